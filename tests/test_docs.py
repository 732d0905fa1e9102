"""Statements, code and tests name each other truly; the written pages are what the code says."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import wbound

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
KINDS = {"exact", "upper", "lower", "order", "assumption"}


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


links = _module("links")
THEORY = links.THEORY.read_text("utf-8")
ANCHORS = links.anchors(THEORY)
MADE = list(links.made_of(THEORY))


def file_of(module: str) -> Path:
    """Where a dotted module is, if it is there."""
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def missing(markdown: str) -> list[str]:
    """Code and test files that a page names and that are not there."""
    out = []
    for section, modules, files in links.made_of(markdown):
        out += [f"{section}: {m}" for m in modules if not file_of(m).is_file()]
        out += [f"{section}: {f}" for f in files if not (ROOT / f).is_file()]
    return out


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """(line, docstring) of a file's module, classes and functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


def uncited(text: str) -> list[str]:
    """Citations that theory.md has no statement for."""
    return [written for written, anchor in links.citations(text) if anchor not in ANCHORS]


# ---------------------------------------------------------------------- statements → code and tests


def test_every_statement_names_code_and_tests_that_exist() -> None:
    assert len(MADE) > 25
    assert all(modules and files for _, modules, files in MADE)
    assert not missing(THEORY)


def test_a_name_without_a_file_is_noticed() -> None:
    assert missing(THEORY.replace("`wbound.bounds.theorem_2`", "`wbound.sharper`"))
    assert missing(THEORY.replace("tests/wbound/bounds/test_theorem_2.py", "tests/wbound/test_sharper.py"))


def test_every_statement_says_its_kind() -> None:
    for line in re.findall(r"\*\*Kind\*\* (.*?) · \*\*Source\*\*", THEORY):
        assert line.split()[0] in KINDS, line


def test_every_numbered_statement_has_a_kind_line() -> None:
    """Under each heading of a theorem, proposition, lemma or assumption."""
    headed = re.findall(
        r"^\((?:theorem|proposition|lemma|assumption)-[a-z0-9-]+\)=\n#+ .*\n\n(.*)$", THEORY, re.M
    )
    assert len(headed) >= 11
    for line in headed:
        assert all(f"**{word}**" in line for word in ("Kind", "Source", "Code", "Tests")), line


def test_every_equation_number_has_its_anchor() -> None:
    tags = re.findall(r"\\qquad\s*(?:\\;)*\(([0-9]+)('{0,2})\)\s*$", THEORY, re.M)
    assert len(tags) >= 18
    for number, primes in tags:
        assert links.anchor("Eq.", number, primes) in ANCHORS, (number, primes)


# ---------------------------------------------------------------------- code → statements


def test_every_statement_object_is_a_statement_of_the_theory() -> None:
    lost = [s.id for s in wbound.STATEMENTS.values() if s.anchor not in ANCHORS]
    assert not lost, f"no anchor in docs/theory.md: {lost}"
    assert {s.kind.split()[0] for s in wbound.STATEMENTS.values()} <= KINDS


def test_docstrings_cite_what_the_theory_has() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {written}"
        for package in ("wbound", "numerics")
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, text in docstrings(path)
        for written in uncited(text)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text", ["Eq. 99", "Theorem 94", "Eq. 13′", "Lemma 9", "section 21", "Proposition 1′"]
)
def test_a_citation_of_nothing_is_noticed(text: str) -> None:
    assert uncited(f"As {text} says.") == [text]


def test_how_citations_are_written() -> None:
    text = "Theorem 2's sum (Eq. 9′'s root, Eq. 7''), Eq. 12' and Eq. 7″; section 8's lines"
    found = [anchor for _, anchor in links.citations(text)]
    assert found == ["theorem-2", "eq-9-prime", "eq-7-second", "eq-12-prime", "eq-7-second", "section-8"]
    assert links.linked("see Eq. 7.", ANCHORS) == "see :ref:`Eq. 7 <eq-7>`."


def named(text: str) -> set[str]:
    """Anchors that a source file names: by number, by assumption, by section or in a list of sections."""
    out = {anchor for _, anchor in links.citations(text)}
    out |= {f"assumption-a{number}" for number in re.findall(r"\bA([123])\b(?!′)", text)}
    for numbers in re.findall(r"sections ((?:\d+(?:, | and | to )?)+)", text):
        out |= {f"section-{number}" for number in re.findall(r"\d+", numbers)}
    return out


def test_code_names_the_statements_it_holds() -> None:
    """Both ways: of the files that a section gives as a statement's code, one says so itself."""
    own: dict[str, set[str]] = {}
    section = ""
    for name in re.findall(r"^\(([a-z0-9-]+)\)=$", THEORY, re.M):
        section = name if name.startswith("section-") else section
        own.setdefault(section, set()).add(name)
    silent = [
        f"{section}: none of {', '.join(modules)} names it"
        for section, modules, _ in MADE
        if not any(named(file_of(m).read_text("utf-8")) & own[section] for m in modules)
    ]
    assert not silent, "\n".join(silent)


# ---------------------------------------------------------------------- pages


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda p: str(p.relative_to(DOCS)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    if "_build" in page.parts:
        return
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, name = target.partition("#")
        if file:
            assert (page.parent / file).exists(), target
        else:
            assert name in ANCHORS, target


def _rows(markdown: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in markdown.splitlines() if line.startswith("| `")]


def test_the_measured_page_is_what_the_code_computes() -> None:
    module = _module("published_numbers")
    page = module.PAGE.read_text("utf-8")
    assert page.startswith(module.HEAD) and module.ORDERS in page, "run python docs/published_numbers.py"
    d, eps = module.CELLS[0]
    written = page.split(f"### d = {d}, ε = {eps:g}")[1].split("###")[0]
    fresh, stored = _rows(module.steps_table(d, eps)), _rows(written)
    assert [row[0] for row in fresh] == [row[0] for row in stored] and len(fresh) == 8
    for new, old in zip(fresh, stored, strict=True):
        numbers = [[float(cell.replace(" ", "")) for cell in row[1:]] for row in (new, old)]
        assert numbers[0] == pytest.approx(numbers[1], rel=2e-3), (
            f"{new[0]}: run python docs/published_numbers.py"
        )
    orders = page.split("## Orders")[1]
    for line in module.orders_table(measured=False).splitlines():
        start = line.rstrip("|").rstrip()
        if line.startswith("| ") and "$" in line:
            assert start in orders, "run python docs/published_numbers.py"
    assert orders.count("agrees within") == 16


def test_the_page_of_networks_on_digits_is_its_record() -> None:
    """And the ranks in it are those of the distances in it: Spearman's, from the ranks' differences (there are no ties)."""
    module = _module("networks_on_digits")
    found = json.loads(module.STORED.read_text("utf-8"))
    assert module.PAGE.read_text("utf-8") == module.page(found), "run python docs/networks_on_digits.py"
    assert set(found["ways"]) == set(module.WAYS) and len(found["exact"]) == 8
    for way in found["ways"].values():
        for said in way["correlations"]:
            K, what = said["K"], said["measured"]
            cells = {c["process"]: sum(c[what]) for c in way["cells"] if c["K"] == K}
            exact = {name: by_K[str(K)] for name, by_K in found["exact"].items()}
            order = [sorted(side, key=lambda name, side=side: side[name]) for side in (cells, exact)]
            apart = sum((order[0].index(name) - order[1].index(name)) ** 2 for name in exact)
            assert said["with_exact_w2"] == pytest.approx(1.0 - 6.0 * apart / (8 * 63))


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("[0-9]*.py")), ids=lambda p: p.stem)
def test_a_notebook_imports_calls_shows_and_asserts(notebook: Path) -> None:
    """None defines what the library should hold, and each holds itself to something."""
    tree = list(ast.walk(ast.parse(notebook.read_text("utf-8"))))
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    assert not [node for node in tree if isinstance(node, defined) and not _is_key(node, tree)]
    assert sum(isinstance(node, ast.Assert) for node in tree) >= 3


def _is_key(node: ast.AST, tree: list[ast.AST]) -> bool:
    """A lambda that only says what min or sorted look at."""
    return any(isinstance(k, ast.keyword) and k.arg == "key" and k.value is node for k in tree)


def test_notebooks_are_text() -> None:
    assert not list((ROOT / "notebooks").rglob("*.ipynb"))
    assert len(list((ROOT / "notebooks").glob("[0-9]*.py"))) >= 7


# ---------------------------------------------------------------------- CONTRIBUTING.md

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_the_picture_of_the_rooms_is_their_order() -> None:
    """As tests/test_floors.py has it, a line a room."""
    order = _floors()
    picture = re.search(r"^```\nwbound/\n(.*?)^```$", CONTRIBUTING, re.M | re.S)
    assert picture is not None
    drawn: dict[str, list[str]] = {"wbound": []}
    for line in picture[1].splitlines():
        if not line.startswith(" "):
            drawn[line.split("/")[0]] = rooms = []
        else:
            rooms = drawn[list(drawn)[-1]]
            rooms.append(line.split()[0])
            assert len(line.split()) > 2, line
    assert drawn == {package: rooms.split() for package, rooms in order.items()}


def _floors() -> dict[str, str]:
    tree = ast.parse((ROOT / "tests" / "test_floors.py").read_text("utf-8"))
    value = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "ORDER"
    )
    assert value is not None
    return dict(ast.literal_eval(value))


def test_contributing_names_files_that_are_there() -> None:
    named = set(re.findall(r"`((?:wbound|numerics|tests|docs)/[\w./-]+\.(?:py|md))`", CONTRIBUTING))
    assert len(named) > 30
    gone = {name for name in named if not (ROOT / name).is_file()}
    assert gone <= {"wbound/bounds/theorem_N.py", "numerics/cli/commands/NAME.py"}, gone


def test_the_architecture_is_ten_lines_and_each_names_a_file() -> None:
    part = CONTRIBUTING.split("## Architecture")[1].split("\n## ")[0]
    lines = re.findall(r"^(\d+)\. (.*)$", part, re.M)
    assert [int(number) for number, _ in lines] == list(range(1, 11))
    assert all(re.search(r"`(wbound|numerics)/[\w/]+\.py`", text) for _, text in lines)


growth = _module("growth")


def test_the_page_of_growth_is_what_is_stored() -> None:
    """Every case at all its sizes, three decades of each; a power is the fitted one."""
    stored = json.loads(growth.STORED.read_text("utf-8"))
    assert growth.PAGE.read_text("utf-8") == growth.page(stored), "run python docs/growth.py"
    asked = [(name, axis, size) for name, axis, sizes, _, _ in growth.CASES for size in sizes]
    assert [(row["case"], row["axis"], row["size"]) for row in stored["rows"]] == asked
    assert all(sizes[-1] >= 1000 * sizes[0] for _, _, sizes, _, _ in growth.CASES)
    quadratic = "tape, made"  # of bounds, laws and sweeps nothing holds more
    assert all(0.0 < row["bytes"] < (4e8 if row["case"] == quadratic else 2e8) for row in stored["rows"])
    cores = sorted({row["cores"] for row in stored["sweeps"]})
    assert cores[0] == 1 and cores[-1] == stored["cores"]
    assert [(row["cells"], row["cores"]) for row in stored["sweeps"]] == [
        (cells, n) for cells in growth.CELLS for n in cores
    ]
    powers = [9, 9, 1, 1e2, 1e4, 1e7]
    assert growth.slope([1, 10, 100, 1e3, 1e4, 1e5], powers) == pytest.approx(2.3)
    assert growth.slope([1, 10, 100, 1e3, 1e4, 1e5], powers, 1.0) == pytest.approx(3.0)


@pytest.mark.parametrize("case", growth.CASES, ids=[f"{name}-{axis[0]}" for name, axis, *_ in growth.CASES])
def test_what_the_page_of_growth_measures_can_be_measured(case: tuple[Any, ...]) -> None:
    _, _, sizes, maker, _ = case
    assert growth.measured(maker()(sizes[0]))[1] > 0.0


def test_a_sweep_of_the_page_of_growth_has_no_cell_that_fails() -> None:
    growth._on_cores(growth.CELLS[0], 1)
