"""The page in a browser: it fits a desk and a telephone, asks the network for nothing, and is accessible."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SIZES = [(1400, "light"), (1400, "dark"), (390, "light"), (390, "dark")]

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no browser")

MEASURE = """() => {
  const root = document.documentElement, width = innerWidth;
  const name = (e) => e.tagName + "." + (e.className.baseVal ?? e.className) + " " + e.textContent.trim().slice(0, 40);
  const wide = [...document.body.querySelectorAll("*")].filter((e) => !e.closest(".scroll, svg, math") && e.checkVisibility() &&
    e.getBoundingClientRect().right > width + 1).map(name);
  // boxes of words, line by line; a formula is one box, and so is a drawing
  const boxes = [...document.querySelectorAll("math, svg")].filter((e) => e.checkVisibility())
    .map((e) => [name(e), e.getBoundingClientRect()]);
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
  for (let node; (node = walk.nextNode()); ) {
    if (!node.data.trim() || node.parentElement.closest("math, svg, script, style, option, textarea")) continue;
    if (!node.parentElement.checkVisibility()) continue;  // folded
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) if (box.width && box.height) boxes.push([node.data.trim().slice(0, 40), box]);
  }
  boxes.sort((a, b) => a[1].top - b[1].top);
  const overlaps = [];
  for (let i = 0; i < boxes.length; i++) {
    const [one, a] = boxes[i];
    for (let j = i + 1; j < boxes.length && boxes[j][1].top < a.bottom - 3; j++) {
      const [other, b] = boxes[j];
      if (b.left < a.right - 2 && a.left < b.right - 2) overlaps.push(one + " / " + other);
    }
  }
  const labels = [...document.querySelectorAll("#explorer-plot text")].map((e) => [e, e.getBoundingClientRect()]);
  for (const [e, a] of labels) for (const [f, b] of labels)
    if (e !== f && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)
      overlaps.push("plot: " + e.textContent + " / " + f.textContent);
  return { scroll: root.scrollWidth, wide, overlaps, boxes: boxes.length, labels: labels.length,
    paper: getComputedStyle(document.body).backgroundColor };
}"""

#: What axe-core finds, without the inside of drawings, each of which is one image with words.
AXE = """async () => {
  document.querySelectorAll('[role="img"] svg > *').forEach((e) => e.remove());
  const found = await axe.run({ resultTypes: ["violations"] });
  return { passes: found.passes.length, violations: found.violations.map((v) =>
    ({ id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 5).map((n) => n.html.slice(0, 200)) })) };
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    home = tmp_path_factory.mktemp("browser")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox"], env={**os.environ, "HOME": str(home)}
        )
        yield launched
        launched.close()


#: Opens all that is folded.
UNFOLD = "() => document.querySelectorAll('details').forEach((e) => { e.open = true; })"
#: The words that a reader sees before the evidence, outside scripts and figures; and of the whole page as it opens.
WORDS = """() => {
  const count = (root) => {
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), words = [];
    for (let node; (node = walk.nextNode()); ) {
      const e = node.parentElement;
      if (!e.closest("script, style, svg, option, noscript") && e.checkVisibility()) words.push(...node.data.split(/\\s+/));
    }
    return words.filter((word) => /[\\p{L}\\p{N}]/u.test(word)).length;
  };
  return { first: count(document.body) - count(document.querySelector("#evidence")), all: count(document.body) };
}"""


class Opened:
    """The page, open, with what it asked for and what it said."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.asked: list[str] = []
        self.said: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector("#explorer-plot text")

    def axe(self) -> Any:
        spec = find_spec("axe_playwright_python")
        assert spec is not None and spec.submodule_search_locations is not None
        source = Path(spec.submodule_search_locations[0], "axe.min.js")
        self.page.add_script_tag(content=source.read_text("utf-8"))
        return self.page.evaluate(AXE)

    def serious(self) -> list[dict[str, Any]]:
        """What axe-core calls serious or critical."""
        found = self.axe()
        assert found["passes"] >= 20
        return [v for v in found["violations"] if v["impact"] in ("serious", "critical")]


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}-{size[1]}")
def opened(request: pytest.FixtureRequest, browser: Browser, report: Any) -> Iterator[Opened]:
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, is_mobile=width < 600
    )
    yield Opened(context.new_page(), report.folder / "index.html")
    context.close()


def test_it_fits_and_is_accessible(opened: Opened, report: Any) -> None:
    page = opened.page
    width = page.viewport_size["width"] if page.viewport_size else 0
    for least in (200, 500):  # as it opens, and with all that is folded
        got = page.evaluate(MEASURE)
        assert got["scroll"] <= width and got["wide"] == []
        assert got["overlaps"] == [] and got["boxes"] > least and got["labels"] > 10
        if least == 200:
            page.evaluate(UNFOLD)
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (got["paper"] == "rgb(255, 255, 255)") is not dark
    assert opened.serious() == []
    assert opened.said == []
    own = (report.folder / "index.html").as_uri()
    assert own in opened.asked and [url for url in opened.asked if url not in (own, "data:,")] == []


def test_tables_sort(browser: Browser, report: Any) -> None:
    data = json.loads((report.folder / "report.json").read_text("utf-8"))
    page = browser.new_page()
    page.goto((report.folder / "index.html").as_uri())
    table = page.locator("#complexity table").first

    def names() -> list[str]:
        return [text.strip() for text in table.locator("tbody tr > :first-child").all_inner_texts()]

    rows = {row["process"]: row for row in data["complexity"]["rows"]}
    assert names() == list(rows)
    button = table.locator("thead button", has_text="Theorem 2")
    orders = []
    for _ in range(2):
        button.click()
        orders.append([rows[name]["K_sharp"] for name in names()])
    assert orders[0] == sorted(orders[0]) and orders[1] == sorted(orders[1], reverse=True) != orders[0]
    assert table.locator("th[aria-sort]").count() == 1
    page.close()


def test_a_reader_meets_1500_words_at_most(browser: Browser, report: Any) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    opened = Opened(page, report.folder / "index.html")
    got = page.evaluate(WORDS)
    assert 500 < got["first"] <= 1500 and got["all"] - got["first"] < 120
    page.evaluate(UNFOLD)
    assert page.evaluate(WORDS)["all"] > 5000  # the count sees what is there
    assert opened.said == []
    page.close()


def test_folded_evidence_is_found_printed_and_opened_by_a_link(browser: Browser, report: Any) -> None:
    file = (report.folder / "index.html").as_uri()
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(file)
    is_open = "id => document.getElementById(id).open"
    assert not page.evaluate(is_open, "clocks") and not page.locator("#clocks table").is_visible()
    page.emulate_media(media="print")
    assert page.locator("#clocks table").evaluate(
        "e => e.checkVisibility() && e.getBoundingClientRect().height > 100"
    )
    page.emulate_media(media="screen")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(is_open, "clocks")
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert not page.evaluate(is_open, "clocks")
    page.click("a[href='#word-ddpm']")
    page.wait_for_function("() => document.getElementById('words').open")
    # the browser's own search goes into what is folded, and opens it
    page.goto("about:blank")
    page.goto(f"{file}#:~:text=read%20with%20different%20clocks")
    page.wait_for_function(
        "() => document.querySelector('#clocks').open || document.querySelector('#words').open", timeout=5000
    )
    page.close()


def test_the_keyboard_goes_through_the_dials(browser: Browser, report: Any) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto((report.folder / "index.html").as_uri())
    page.wait_for_selector("#explorer-plot text")
    page.focus("#explorer-process")
    reached = []
    for _ in range(24):
        reached.append(
            page.evaluate("() => document.activeElement.id || document.activeElement.textContent.trim()")
        )
        page.keyboard.press("Tab")
    wanted = ["process", "p-a", "p-b", "d", "m0", "gaussian", "scheme", "start", "T", "K", "best", "eps", "M"]
    places = [reached.index(f"explorer-{name}") for name in wanted]
    assert places == sorted(places) and "your own data" in reached and "a recorded sampler" in reached
    before = page.locator("#explorer-said").text_content()
    page.focus("#explorer-K")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "said => document.getElementById('explorer-said').textContent !== said", arg=before
    )
    assert (
        page.get_attribute("#explorer-K", "aria-valuetext") == page.locator("#explorer-K-out").text_content()
    )
    assert page.get_attribute("#explorer-said", "role") == "status"
    page.close()


def test_axe_and_the_measure_see_what_is_wrong(browser: Browser, report: Any) -> None:
    """The control: a picture without words, pale letters, two paragraphs on each other, a wide box."""
    page = browser.new_page(viewport={"width": 390, "height": 900})
    opened = Opened(page, report.folder / "index.html")
    page.evaluate("""() => document.querySelector("main").insertAdjacentHTML("beforeend",
      '<img src="data:,"><p style="color:#eee">pale</p><p>under</p><p style="margin-top:-2.2em">over</p>' +
      '<p style="width:500px">wide</p>')""")
    got = page.evaluate(MEASURE)
    assert got["scroll"] > 390 and any("wide" in name for name in got["wide"])
    assert any("under" in pair and "over" in pair for pair in got["overlaps"])
    assert {v["id"] for v in opened.serious()} >= {"image-alt", "color-contrast"}
    page.close()
