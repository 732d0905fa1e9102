"""The explorer on the reader's own data and sampler, in a browser: what it shows is what its Python and its command give."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, sync_playwright

import wbound
from numerics.recorders.audited import audit_tape
from numerics.report import Section, build, explorer
from numerics.targets import datasets
from wbound.data.gaussian import Gaussian
from wbound.exact.gaussian_law import exact_w2

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no browser")

SPECTRUM = [4.0, 1.0, 1.0, 0.25, 3e-5]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("own")
    file = build(folder, sections=[Section("explorer", "Explorer", explorer.build)])
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox"], env={**os.environ, "HOME": str(folder)}
        )
        page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector("#explorer-plot text")
        yield page
        assert said == []
        assert [
            url for url in asked if not url.startswith(("file:", "data:"))
        ] == []  # nothing leaves the page
        chromium.close()


@pytest.fixture
def page(opened: Page) -> Iterator[Page]:
    yield opened
    for button in ("#explorer-dials", "#explorer-untape"):
        if opened.locator(button).is_visible():
            opened.click(button)


def choose(page: Page, **values: str) -> None:
    for name, value in values.items():
        page.select_option(f"#explorer-{name}", value)


def shown(page: Page) -> Any:
    """What is on the page after the next frame."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate("() => { window.wboundRedraw(); return window.wboundShown(); }")


def unfold(page: Page) -> None:
    page.evaluate(
        "() => document.querySelectorAll('#explorer-app details').forEach((e) => { e.open = true; })"
    )


def by_python(page: Page, folder: Path) -> list[float]:
    """The numbers that the page's Python prints, run in ``folder``."""
    code = page.locator("#explorer-python").text_content()
    done = subprocess.run(
        [sys.executable, "-c", str(code)], cwd=folder, capture_output=True, text=True, check=True
    )
    return [float(line) for line in done.stdout.split()]


def by_command(page: Page, folder: Path, wb: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the page's command says, run in ``folder``."""
    monkeypatch.chdir(folder)
    words = shlex.split(str(page.locator("#explorer-command").text_content()))
    assert words[0] == "wbound" and words[-1] == "--json"
    return wb.ask(*words[1:-1])


def test_pasted_variances(page: Page, tmp_path: Path, wb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    unfold(page)
    page.fill("#explorer-variances", " 4; 1,1\n0.25 3e-5")
    seen = set()
    for name in wbound.PUBLISHED:
        for scheme in ("em", "em-point", "ei", "hf", "ddpm"):
            start = ("prior", "exact")[len(seen) % 2]
            choose(page, process=name, scheme=scheme, start=start)
            got = shown(page)
            s, found = got["setting"], got["found"]
            process, data = wbound.process(name, **s["parameters"]), Gaussian(np.zeros(5), np.array(SPECTRUM))
            exact = exact_w2(process, data, T=s["T"], K=s["K"], scheme=scheme, start=start)
            assert found["exact"] == pytest.approx(exact, rel=1e-9), (name, scheme)
            for w2, v in zip(found["directions"]["w2"], sorted(SPECTRUM), strict=True):
                one = exact_w2(process, Gaussian([0.0], [v]), T=s["T"], K=s["K"], scheme=scheme, start=start)
                assert w2 == pytest.approx(one, rel=1e-9, abs=1e-13 * v**0.5)
            bound = wbound.w2_bound(process, data, T=s["T"], K=s["K"], scheme=scheme, start=start)
            if scheme != "ddpm":  # of which the page takes θ = 2
                assert found["theorem2"]["total"] == pytest.approx(bound.total, rel=1e-9)
            seen.add((name, scheme, found["exact"]))
    assert len(seen) == 40
    choose(page, process="vp-linear", scheme="em-point", start="prior")
    found = shown(page)["found"]
    assert by_python(page, tmp_path) == pytest.approx([found["theorem2"]["total"], found["exact"]], rel=1e-9)
    said = by_command(page, tmp_path, wb, monkeypatch)
    assert (said["total"], said["exact"]) == pytest.approx(
        (found["theorem2"]["total"], found["exact"]), rel=1e-9
    )
    assert page.locator("#fig-directions circle").count() == 5 and "variance" in str(
        page.locator("#explorer-said").text_content()
    )


def test_samples_from_a_file(page: Page, tmp_path: Path, wb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    unfold(page)
    rng = np.random.default_rng(5)
    samples = rng.standard_normal((300, 4, 3)) @ np.diag([3.0, 1.0, 0.1]) + 0.7
    samples[:, 0, 0] = 2.0  # a direction in which nothing varies: bounds refuse, exact laws do not
    forms = {
        "doubles.npy": samples[:, 1:],
        "singles.npy": samples[:, 1:].astype(">f4"),
        "columns.npy": np.asfortranarray(samples[:, 1:, :]),
        "bytes.npy": rng.integers(0, 17, (400, 6)).astype(np.uint8),
        "halves.npy": samples[:, 1:].astype(np.float16),
        "singular.npy": samples,
        "spectrum.npy": np.array(SPECTRUM),
    }
    choose(page, process="vp-linear", scheme="em", start="prior")
    for name, array in forms.items():
        np.save(tmp_path / name, array)
        page.set_input_files("#explorer-samples", tmp_path / name)
        page.wait_for_function(
            "name => document.getElementById('explorer-data-said').textContent.startsWith(name)", arg=name
        )
        got = shown(page)
        s, found, data = got["setting"], got["found"], datasets.load(tmp_path / name)
        assert found["directions"]["variances"] == pytest.approx(
            data.eigenvalues, rel=1e-9, abs=1e-12 * data.eigenvalues[-1]
        ), name
        process = wbound.process("vp-linear", **s["parameters"])
        exact = exact_w2(process, data.gaussian, T=s["T"], K=s["K"], scheme="em")
        assert found["exact"] == pytest.approx(exact, rel=1e-9), name
        if name == "singular.npy":
            assert found["theorem2"] is None and by_python(page, tmp_path) == pytest.approx([exact], rel=1e-9)
            assert "bounds refuse" in str(page.locator("#explorer-command").text_content())
        else:
            bound = wbound.w2_bound(process, data.gaussian, T=s["T"], K=s["K"], scheme="em").total
            assert found["theorem2"]["total"] == pytest.approx(bound, rel=1e-9), name
    said = by_command(page, tmp_path, wb, monkeypatch)
    assert said["exact"] == pytest.approx(found["exact"], rel=1e-9)
    page.click("#explorer-dials")
    assert shown(page)["setting"].get("data") is None and page.locator("#fig-directions").is_hidden()


def test_a_recorded_tape(page: Page, tmp_path: Path, wb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    unfold(page)
    rng = np.random.default_rng(6)
    np.save(tmp_path / "mine.npy", rng.standard_normal((200, 5)) @ rng.standard_normal((5, 5)) + 1.0)
    levels = np.append(np.geomspace(80.0, 0.01, 12) ** 2, 0.0)
    K = 3
    odd = wbound.Tape(
        levels=[np.inf, 4.0, 0.5],
        start=[1.0, 0.8, 0.4, 0.3],
        answers=np.tril(rng.standard_normal((K + 1, K)) * 0.3, -1),
        noises=np.vstack((np.zeros((1, 2)), rng.standard_normal((K, 2)) * 0.2)),
        offsets=[0.0, 0.1, -0.2, 0.05],
        start_level=9.0,
        start_std=0.9,
        start_mean=0.1,
        alpha_out=0.97,
    )
    tapes = {
        "dpmpp.json": wbound.MULTISTEP["dpmpp-2m"].tape(levels),
        "odd.json": odd,
    }
    page.set_input_files("#explorer-samples", tmp_path / "mine.npy")
    data = datasets.load(tmp_path / "mine.npy")
    for name, tape in tapes.items():
        tape.save(tmp_path / name)
        page.set_input_files("#explorer-tape", tmp_path / name)
        page.wait_for_function(
            "name => document.getElementById('explorer-tape-said').textContent.startsWith(name)", arg=name
        )
        for start in ("own", "prior", "exact", "standard"):
            choose(page, start=start)
            found = shown(page)["found"]
            if (
                name == "odd.json"
            ):  # its offset lies along (1, …, 1) of the axes: the mean's sign matters there
                spectrum = page.evaluate("() => window.wboundShown().setting.data.mean")
                assert np.abs(spectrum) == pytest.approx(np.abs(data.coordinates), rel=1e-7)
                one = datasets.Dataset("x", data.eigenvalues, np.array(spectrum), None, (5,))
            else:
                one = data
            (row,) = audit_tape(tape, one, start).rows
            assert row.parts is not None and found["exact"] == pytest.approx(row.parts.w2, rel=1e-9), (
                name,
                start,
            )
    page.set_input_files("#explorer-tape", tmp_path / "dpmpp.json")
    page.wait_for_function(
        "() => document.getElementById('explorer-tape-said').textContent.startsWith('dpmpp')"
    )
    found = shown(page)["found"]
    assert by_python(page, tmp_path) == pytest.approx([found["exact"]], rel=1e-9)
    assert by_command(page, tmp_path, wb, monkeypatch)["rows"][0]["w2"] == pytest.approx(
        found["exact"], rel=1e-9
    )
    assert page.locator("#explorer-scheme").is_hidden() and page.locator("#explorer-process").is_hidden()
    page.click("#explorer-untape")
    assert "tape" not in shown(page)["setting"] and page.locator("#explorer-scheme").is_visible()


def test_what_cannot_be_read_is_refused_in_a_line(page: Page, tmp_path: Path) -> None:
    unfold(page)
    bad: dict[str, bytes] = {"empty.npy": b"", "text.npy": b"not an array at all"}
    for name, array in {
        "words.npy": np.array(["a", "b"]),
        "complex.npy": np.ones((5, 2), complex),
        "nan.npy": np.array([[1.0, np.nan], [1.0, 2.0], [3.0, 4.0]]),
        "few.npy": np.ones((2, 5)),
        "same.npy": np.ones((9, 2)),
        "negative.npy": np.array([1.0, -1.0]),
    }.items():
        np.save(tmp_path / name, array)
        bad[name] = (tmp_path / name).read_bytes()
    np.save(tmp_path / "cut.npy", np.ones((50, 2)))
    bad["cut.npy"] = (tmp_path / "cut.npy").read_bytes()[:-8]
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        page.evaluate("() => { document.getElementById('explorer-data-said').textContent = ''; }")
        page.set_input_files("#explorer-samples", tmp_path / name)
        page.wait_for_function("() => document.getElementById('explorer-data-said').textContent !== ''")
        said = str(page.locator("#explorer-data-said").text_content())
        assert re.fullmatch(r"Not read: .+\.", said), (name, said)
    for typed in ("4, x", "1, -2", "0 0", "1e999", "0x10"):
        page.fill("#explorer-variances", typed)
        assert str(page.locator("#explorer-data-said").text_content()).startswith("Not read: "), typed
    page.fill("#explorer-variances", "")
    good = wbound.MULTISTEP["ab2"].tape([4.0, 1.0, 0.0]).to_dict()
    for name, change in {
        "version": {"version": 2},
        "format": {"format": "other"},
        "shape": {"start": [1.0]},
        "number": {"answers": [["x", 0.0], [0.0, 0.0], [0.0, 0.0]]},
        "level": {"levels": [4.0, -1.0]},
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({**good, **change}), "utf-8")
    (tmp_path / "text.json").write_text("{", "utf-8")
    for file in sorted(tmp_path.glob("*.json")):
        page.evaluate("() => { document.getElementById('explorer-tape-said').textContent = ''; }")
        page.set_input_files("#explorer-tape", file)
        page.wait_for_function("() => document.getElementById('explorer-tape-said').textContent !== ''")
        assert str(page.locator("#explorer-tape-said").text_content()).startswith("Not read: "), file.name
    assert "tape" not in shown(page)["setting"]


def test_the_dials_say_their_command_and_python_too(
    page: Page, tmp_path: Path, wb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(page, process="ve-sqrt", scheme="hf", start="prior")
    found = shown(page)["found"]
    assert by_python(page, tmp_path) == pytest.approx([found["theorem2"]["total"], found["exact"]], rel=1e-9)
    said = by_command(page, tmp_path, wb, monkeypatch)
    assert (said["total"], said["exact"]) == pytest.approx(
        (found["theorem2"]["total"], found["exact"]), rel=1e-9
    )


def test_eigenvalues_of_a_matrix_of_digits(page: Page, tmp_path: Path) -> None:
    unfold(page)
    np.save(tmp_path / "digits.npy", datasets.samples_of("digits"))
    page.set_input_files("#explorer-samples", tmp_path / "digits.npy")
    page.wait_for_function(
        "() => document.getElementById('explorer-data-said').textContent.startsWith('digits')"
    )
    got, data = shown(page)["found"], datasets.digits()
    assert got["directions"]["variances"] == pytest.approx(data.eigenvalues, rel=1e-8, abs=1e-11)
    assert str(page.locator("#explorer-data-said").text_content()).endswith("3 of them 0.")
