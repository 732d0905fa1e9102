"""The report: page, JSON and CSV agree; it opens offline, in a browser, wide and narrow, light and dark."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import wbound
from numerics.report import SECTIONS, Part, Section, build
from numerics.report.blocks import Column, Prose, Table, lookup, prose, show, typeset
from numerics.report.glossary import WORDS, slug


class Page(HTMLParser):
    """What the tests look at: numbers with their paths, text, attributes."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "path", "use", "rect"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.numbers: list[tuple[str, str, str]] = []
        self.loose: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append((tag, dict(attributes)))

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        inside = {tag for tag, _ in self.open}
        attributes = self.open[-1][1] if self.open else {}
        if "data-n" in attributes:
            self.numbers.append((str(attributes["data-n"]), str(attributes["data-f"]), data))
        elif "tbody" in inside and not inside & {"math", "code"}:
            self.loose.append(data)


@pytest.fixture(scope="module")
def folder(report: Any) -> Path:
    return Path(report.folder)


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "index.html").read_text("utf-8"))


@pytest.fixture(scope="module")
def data(folder: Path) -> Any:
    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    return json.loads((folder / "report.json").read_text("utf-8"), parse_constant=refuse)


def texts(value: Any) -> Iterator[str]:
    """Every text in report.json."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def test_every_number_on_the_page_is_in_the_json(page: Page, data: Any) -> None:
    assert len(page.numbers) > 200
    for path, spec, text in page.numbers:
        value = lookup(data, path)
        assert isinstance(value, int | float) or value is None or isinstance(value, str), path
        assert show(value, spec) == text, path
    # and tables have no number that is not: names with digits are words of the data
    for text in page.loose:
        if re.search(r"\d", text):
            assert text.strip() in set(texts(data)), text


def test_csv_files_agree_with_the_json(folder: Path, data: Any) -> None:
    rows = list(csv.DictReader((folder / "bounds.csv").read_text("utf-8").splitlines()))
    for row, expected in zip(rows, data["bounds"]["rows"], strict=True):
        for key, cell in row.items():
            value = expected[key]
            assert (
                cell == "" if value is None else float(cell) == value if key != "process" else cell == value
            )
    links = {
        str(a["href"]) for tag, a in Page((folder / "index.html").read_text("utf-8")).elements if tag == "a"
    }
    local = {link for link in links if not link.startswith("#")}
    assert all((folder / link).is_file() for link in local)
    assert {f"bound-{name}.csv" for name in wbound.PUBLISHED} <= local and "digits.csv" in local


def test_every_csv_parses(folder: Path) -> None:
    files = sorted(folder.glob("*.csv"))
    assert len(files) >= 35
    for file in files:
        rows = list(csv.reader(io.StringIO(file.read_text("utf-8"), newline=""), strict=True))
        assert len(rows) > 1 and {len(row) for row in rows} == {len(rows[0])}, file.name
        assert all(rows[0]) and len(set(rows[0])) == len(rows[0]), file.name


def test_what_the_report_must_show(data: Any) -> None:
    assert [row["process"] for row in data["complexity"]["rows"]] == list(wbound.PUBLISHED)
    assert data["bounds"]["violations"] == 0 and data["bounds"]["smallest_2"] >= 1.0
    assert data["lower"]["closest"] >= 1.0
    assert data["lower"]["cancellation"]["lam_T"] == pytest.approx(9.883060988, rel=1e-9)
    assert data["lower"]["cancellation"]["prior"] < 1e-6
    digits = data["digits"]
    assert (digits["n"], digits["d"], digits["rank"], digits["constant"]) == (1797, 64, 61, 3)
    assert "A1" in digits["refusal"] and "singular" in digits["refusal"]
    rows = data["complexity"]["rows"]
    fewest = min(rows, key=lambda row: row["K_exact"])
    said = data["complexity"]
    assert (said["best"], said["exact"], said["sharp"]) == tuple(
        fewest[key] for key in ("process", "K_exact", "K_sharp")
    )
    found = data["bounds"]
    stored = [row for row in data["search"]["rows"] if row["ratio"] is not None]
    for number in (1, 2):  # one smallest ratio for each claim
        ratios = [row["ratio"] for row in stored if row["statement"] == f"Theorem {number}"]
        assert found[f"found_{number}"] == min(ratios)


def test_the_answer_is_the_least_that_was_found(data: Any) -> None:
    answer = data["answer"]
    rows = answer["rows"]
    assert [row["error"] for row in rows] == sorted(row["error"] for row in rows)
    assert (answer["best"], answer["share"]) == (rows[0]["scheme"], rows[0]["share"]) and rows[0][
        "factor"
    ] == 1.0
    assert all(row["share"] == pytest.approx(row["error"] / answer["scale"]) for row in rows)
    assert all(row["calls"] <= answer["calls"] for row in rows)
    assert answer["floor_few"] == wbound.affine_floor(answer["kappa"], answer["few"])
    assert answer["floor"] < rows[0]["share"]
    few = answer["per_cent"]
    assert wbound.affine_floor(answer["kappa"], few) <= 0.01 < wbound.affine_floor(answer["kappa"], few - 1)


def test_evidence_is_folded_and_what_comes_first_is_not(folder: Path) -> None:
    source = (folder / "index.html").read_text("utf-8")
    for section in SECTIONS:
        opened = f'<details id="{section.id}"' if section.fold else f'<section id="{section.id}"'
        assert opened in source and source.count(f' id="{section.id}"') == 1
    assert "<details open" not in source and [s.id for s in SECTIONS if not s.fold] == [
        "answer",
        "explorer",
        "complexity",
        "bounds",
    ]


def test_every_word_is_explained_where_it_stands_first_and_linked(folder: Path) -> None:
    source = (folder / "index.html").read_text("utf-8")
    main = source[source.index("<main>") : source.index('<section id="evidence"')]
    for name in ("script", "style", "svg", "code", "noscript", "details"):  # what stands closed is read later
        main = re.sub(rf"<{name}\b.*?</{name}>", "", main, flags=re.S)
    main = re.sub(r"<option.*?</option>|<figcaption.*?</figcaption>|<h2.*?</h2>", "", main, flags=re.S)
    for word, meaning in WORDS.items():
        link = f'<a class="word" href="#{slug(word)}">{word}</a> ('
        assert main.count(link) == 1, word
        assert f'<dt id="{slug(word)}">{word}</dt>' in source
        assert len(meaning.gloss.split()) <= 12
        before = re.sub(r"<[^>]*>", " ", main[: main.index(link)])
        # a plain word before its explanation, not as a part of another
        assert not re.search(rf"(?<![\w-]){re.escape(word)}s?(?![\w-])", before), (word, before[-200:])


def test_the_age_of_stored_results_is_said(data: Any) -> None:
    from datetime import UTC, datetime

    from numerics.report.stored import RENEWALS, ages, result_path

    rows = data["environment"]["stored"]
    assert [row["file"] for row in rows] == list(RENEWALS)
    assert {p.name for p in result_path("verify.json").parent.glob("*.json")} == set(RENEWALS)
    late = ages(datetime(2030, 1, 1, tzinfo=UTC))
    for row in late:
        assert (
            row["days"] == (datetime(2030, 1, 1).date() - datetime.fromisoformat(row["date"]).date()).days > 0
        )
    assert data["environment"]["oldest"] == max(row["days"] for row in rows)


def test_lower_bound_clock_chooser_and_orders(data: Any) -> None:
    gap = data["gap"]
    assert gap["below"] == 0 and gap["theorem_2_most"] < 1.5 and gap["reached"] < 1.01
    assert gap["theorem_1"] > 1e3 and {row["key"] for row in gap["rows"]} > set(wbound.PUBLISHED)
    assert gap["floor_last"] == pytest.approx(
        4 * (1 - gap["varrho_last"]) ** 2 / (2 + gap["u_last"]), rel=1e-12
    )
    land = data["cancellation"]
    assert land["survives"] >= 1.0 > land["naive"] and land["exact_least"] >= 1.0 and land["below"] > 0
    rows = data["clocks"]["rows"]
    assert rows[0]["nodes"] == "optimised" and all(row["exact"] >= data["clocks"]["floor"] for row in rows)
    chooser = data["chooser"]
    assert chooser["best"] == "numerical" and chooser["gain"] >= 1.0
    assert [row["error"] for row in chooser["rows"]] == sorted(row["error"] for row in chooser["rows"])
    orders = data["orders"]
    assert (orders["powers"], orders["published"]) == (8, 8) and orders["logs"] >= 7
    assert orders["agree"] == orders["measured"] == 20 and orders["largest_gap"] <= 0.05
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", orders["date"]) and "wbound table" in orders["renew"]
    marked = {mark for row in orders["rows"] if row["notes"] for mark in row["notes"].split(", ")}
    assert marked == set("abcdefghijklmnopqrstuvwxyz"[: len(orders["notes"])])


def test_verification_covers_odes_and_profiles(data: Any) -> None:
    found = data["verification"]
    assert found["refuted"] == found["undecided"] == found["inconsistent"] == 0 and found["ratio"] > 1.0
    kinds = {(row["statement"], row["evidence"]) for row in found["kinds"]}
    assert {("Theorem 3", "exact law"), ("Theorem 3", "quadrature"), ("Theorem 2'", "quadrature")} < kinds
    assert {row["score"] for row in found["targets"]} == {"exact", "biased, M = 0.2", "noisy, V = 0.3"}


def test_sde_or_ode_and_beyond_log_concave_data(data: Any, folder: Path) -> None:
    versus = data["versus"]
    assert versus["settings"] == 48 and len(versus["rows"]) == 32
    assert versus["bound_better"] == 0 == versus["exact_better"]  # one-stage ODEs need a longer clock
    # the second order pays, beside em-point too; ending with Euler in σ loses it on clocks that begin like t
    assert versus["heun_small"] >= 12 and versus["heun_gain"] > 5.0
    assert versus["heun_better"] < versus["lam_better"]
    for row in versus["powers"]:  # of one stage order 1, times T(ε); of Heun half of that, times T(ε)
        assert (
            0.5 < row["bound_heun-lam"] < row["bound_ode-hf"]
            and row["bound_heun"] < row["bound_ode-hf"] + 0.1
        )
        assert 0.5 < row["exact_heun-lam"] < row["exact_ode-hf"] < 2.1
        assert row["exact_hf"] < row["exact_ode-hf"] + 1e-9
    fades = data["score-error"]
    assert fades["violations"] == 0 < fades["compared"]
    assert fades["noise_last"] < 0.05 * fades["noise_first"]
    assert fades["bias_exact"] == pytest.approx(fades["floor"], rel=0.01)
    assert fades["bias_bound"] >= fades["bias_exact"]
    digits = data["smoothed"]["rows"]
    assert [row["scheme"] for row in digits] == ["hf", "heun"]
    assert digits[0]["vacuous"] == "yes" and digits[0]["bound"] > digits[0]["trivial"]
    assert digits[1]["bound"] is None and digits[1]["vacuous"] == "none proved"
    assert all(row["w2"] == pytest.approx(row["perfect"], rel=0.1) for row in digits)
    rows = (folder / "smoothed-digits.csv").read_text("utf-8").split()
    assert len(rows) == 61 and rows[0].count(",") == 64


def test_commands_on_the_page_are_commands(page: Page, folder: Path) -> None:
    import html
    import shlex

    from numerics.cli.families import COMMANDS

    source = (folder / "index.html").read_text("utf-8")
    commands = [html.unescape(c) for c in re.findall(r"<code>(wbound [^<]*)</code>", source)]
    assert len(commands) > 20
    assert all(shlex.split(command)[1] in COMMANDS for command in commands)


def test_the_page_is_one_file_that_needs_no_network(folder: Path, page: Page) -> None:
    source = (folder / "index.html").read_text("utf-8")
    assert len(source) < 2_500_000
    loads = [a.get(key) for _, a in page.elements for key in ("src", "data", "srcset", "poster", "action")]
    drawn = [link for link in loads if link and str(link).startswith("data:image/png;base64,")]
    assert len(drawn) == 1 and not [link for link in loads if link and link not in drawn]
    hrefs = [str(a[key]) for tag, a in page.elements for key in ("href", "xlink:href") if key in a]
    assert not [link for link in hrefs if "//" in link]
    style = source[source.index("<style>") : source.index("</style>")]
    assert "url(" not in style and "@import" not in style and "prefers-color-scheme: dark" in style
    assert str(Path.home()) not in source and "/tmp" not in source


def test_figures_have_words_and_ids_are_unique(page: Page) -> None:
    images = [a for _, a in page.elements if a.get("role") == "img"]
    assert len(images) == len([1 for tag, _ in page.elements if tag == "figure"]) >= 12
    assert all(len(str(a["aria-label"])) > 40 for a in images)
    ids = [a["id"] for _, a in page.elements if a.get("id")]
    assert len(ids) == len(set(ids))


def test_progress_and_files_are_reported(report: Any) -> None:
    folder, said, wrote = report
    steps = [line for line in said if line.startswith("[")]
    assert len(steps) == len(SECTIONS) and "s left" in steps[-1]
    assert wrote[-1] == folder / "index.html"
    assert set(wrote) == {p for p in folder.iterdir() if not p.name.startswith(".")}  # a lock is none of them


# ---------------------------------------------------------------------- pieces


def test_show() -> None:
    assert show(None, ".3g") == "—" and show(True, "") == "yes"
    assert show(1234567, "int") == "1\u202f234\u202f567" and show(-12, "int") == "\u221212"
    assert show(10**9, "int") == "1 × 10⁹" and show(1.5e-7, ".2g") == "1.5 × 10⁻⁷"
    assert show(-0.5, ".2f") == "\u22120.50" and show(12.0, ".4g") == "12"


def test_prose_escapes_all_but_its_own_markup() -> None:
    out = prose("s", {"a": {"b": 2.0}}, "<b> X_0 {a.b:.1f} w^(-1/2) `x < y_0`")
    assert out == (
        '&lt;b&gt; X<sub>0</sub> <span class="n" data-n="s.a.b" data-f=".1f">2.0</span> '
        "w<sup>\u22121/2</sup> <code>x &lt; y_0</code>"
    )
    assert typeset("t^(-2*(c + 2)), S^2 and η^(3/2)") == (
        "t<sup>\u22122*(c + 2)</sup>, S<sup>2</sup> and η<sup>3/2</sup>"
    )
    assert typeset("σ_0² & ‖X_0‖") == "σ<sub>0</sub>² &amp; ‖X<sub>0</sub>‖"
    with pytest.raises(KeyError):
        prose("s", {}, "{missing}")


def test_a_section_is_a_value_and_a_failed_page_leaves_the_old_one(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": None}, {"a": 2, "b": 3.5}]
    blocks = (
        Prose("Two rows, {n:int}."),
        Table("rows", "T_0", (Column("a", "A"), Column("b", "B", ".2f")), csv="t.csv"),
    )
    mine = Section("mine", "Mine", lambda context: Part({"rows": rows, "n": 2}, blocks))
    path = build(tmp_path, sections=[mine])
    before = path.read_text("utf-8")
    assert 'data-n="mine.rows.1.b" data-f=".2f">3.50</span>' in before
    assert (tmp_path / "t.csv").read_text() == "a,b\n1,\n2,3.5\n"

    def broken(context: Any) -> Part:
        raise wbound.Unreachable(1.0, 2.0, "a test")

    with pytest.raises(wbound.Unreachable):
        build(tmp_path, sections=[mine, Section("b", "B", broken)])
    assert path.read_text("utf-8") == before


def test_infinite_data_become_null(tmp_path: Path) -> None:
    mine = Section("mine", "Mine", lambda context: Part({"x": float("inf")}, (Prose("{x:.2f}"),)))
    assert ">—</span>" in build(tmp_path, sections=[mine]).read_text("utf-8")
    assert json.loads((tmp_path / "report.json").read_text()) == {"mine": {"x": None}}


# ---------------------------------------------------------------------- the command


def test_the_command_writes_the_report(tmp_path: Path, wb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(out: str, *, quick: bool, say: Any, wrote: Any) -> Path:
        assert quick
        say("progress")
        wrote(Path(out) / "index.html")
        return Path(out) / "index.html"

    monkeypatch.setattr("numerics.report.build", fake)
    out = wb.ask("report", "--quick", "--out", str(tmp_path))
    assert out == {"page": str(tmp_path / "index.html"), "files": [str(tmp_path / "index.html")]}


def test_full_renews_every_stored_result(tmp_path: Path, wb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    from numerics.report import stored

    ran: list[list[str]] = []
    code = [0]

    def fake(line: list[str], **named: Any) -> Any:
        ran.append(line[3:])
        Path(line[line.index("-o") + 1]).write_text('{"new": true}', "utf-8")
        return subprocess.CompletedProcess(line, code[0])

    monkeypatch.setattr(subprocess, "run", fake)
    monkeypatch.setattr(stored, "result_path", lambda name: tmp_path / name)
    monkeypatch.setattr("numerics.report.build", lambda out, **named: Path(out) / "index.html")
    wb.ask("report", "--full", "--out", str(tmp_path))
    assert [" ".join(line[: line.index("-o")]) for line in ran] == list(stored.RENEWALS.values())
    assert all(json.loads((tmp_path / name).read_text("utf-8")) == {"new": True} for name in stored.RENEWALS)
    assert "one of them" in wb.refused("report", "--full", "--quick")
    (tmp_path / "verify.json").write_text("old", "utf-8")
    for wrong, exit_code in ((3, 3), (2, 4), (130, 4)):
        code[0] = wrong
        assert wb("report", "--full", "--out", str(tmp_path))[0] == exit_code
        assert (tmp_path / "verify.json").read_text("utf-8") == "old"


def test_the_renewing_commands_are_commands() -> None:
    from typer.main import get_command

    from numerics.cli.main import app
    from numerics.report.stored import RENEWALS

    group: Any = get_command(app)
    for words in RENEWALS.values():
        name, *rest = words.split()
        options = {option for parameter in group.commands[name].params for option in parameter.opts}
        assert {word for word in rest if word.startswith("-")} | {"-o"} <= options


def test_the_commit_is_found_or_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from numerics.report.sections import environment

    found = environment.commit()
    assert found is None or re.fullmatch(r"[0-9a-f]{7,}\+?", found)
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable) + os.pathsep + "nowhere")
    monkeypatch.setattr(environment.subprocess, "run", lambda *a, **n: (_ for _ in ()).throw(OSError()))
    assert environment.commit() is None
