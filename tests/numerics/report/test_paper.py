"""The note in LaTeX: its parts are there and nest, its numbers are the library's, formulas are cut without loss."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from numerics.report import paper
from numerics.report.paper import STATED, escaped, pieces, write_paper
from numerics.studies.bounds_compared import law_named, peers, rising_beta
from wbound.theory.statements import STATEMENTS


@pytest.fixture(scope="module")
def note(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One law of three: the others cost the same again."""
    patch = pytest.MonkeyPatch()
    patch.setattr(paper, "LAWS", {"isotropic": paper.LAWS["isotropic"]})
    said: list[str] = []
    wrote: list[Path] = []
    folder = tmp_path_factory.mktemp("note")
    path = write_paper(folder, quick=True, say=said.append, wrote=wrote.append)
    patch.undo()
    return path, path.read_text("utf-8"), said, wrote


def test_environments_and_braces_nest(note: Any) -> None:
    path, text, said, wrote = note
    assert (
        len(said) == 4
        and wrote[-1] == path
        and {p.name for p in path.parent.glob("*.pdf")} == {"gap.pdf", "floors.pdf"}
    )
    open_ones: list[str] = []
    bare = re.sub(r"%[^\n]*", "", text.replace(r"\%", ""))
    for kind, name in re.findall(r"\\(begin|end)\{([a-z]+\*?)\}", bare):
        if kind == "begin":
            open_ones.append(name)
        else:
            assert open_ones.pop() == name
    assert not open_ones
    depth = 0
    for c in re.sub(r"\\[{}]", "", bare):
        depth += (c == "{") - (c == "}")
        assert depth >= 0
    assert depth == 0
    for file in re.findall(r"\\includegraphics\[width=\\columnwidth\]\{(.*?)\}", text):
        assert (path.parent / file).read_bytes().startswith(b"%PDF")
    assert text.isascii()
    assert text.count("$") % 2 == 0


def test_what_a_reader_needs_is_in_it(note: Any) -> None:
    text = note[1]
    for id in STATED:
        s = STATEMENTS[id]
        name = escaped(s.name[0].upper() + s.name[1:])
        assert escaped(s.citation) in text and rf"\stated{{{name}}}{{{s.kind}}}{{Hypotheses: " in text
        assert all(escaped(h.name) in text for h in s.hypotheses)
        assert all(rf"\fit{{{part}}}" in text for part in pieces(s.latex))
    for words in ("wbound peers", "wbound table", "wbound gaussian-errors", "lower-bound"):
        assert words in text
    assert text.count(r"\toprule") == 5 and "numpy" in text and "2402.04650" in text
    row = peers(rising_beta(0.0), law_named("isotropic"), 1.0, 100).rows[1]
    assert row.bound is not None and row.exact is not None and row.ratio is not None
    shown = " & ".join(f"${v:.3g}$" for v in (row.bound, row.exact, row.ratio))
    assert shown in text


@pytest.mark.parametrize("id", STATEMENTS)
def test_a_formula_is_cut_without_loss(id: str) -> None:
    formula = STATEMENTS[id].latex
    cut = pieces(formula)
    assert " ".join(cut) == formula
    for part in cut:
        assert part.count("{") == part.count("}") and part.count(r"\left") == part.count(r"\right")
    assert len(pieces("a + b - {c + d} + \\left(e - f\\right)")) == 4


def test_characters() -> None:
    assert escaped("a_b & 50% of λ ≥ 2′") == r"a\_b \& 50\% of $\lambda$ $\geq$ 2$'$"
    assert escaped("\\x{}") == r"\textbackslash{}x\{\}"
    with pytest.raises(ValueError, match="no LaTeX"):
        escaped("☃")


def test_the_command(wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(out: str, *, quick: bool, say: Any, wrote: Any) -> Path:
        wrote(Path(out) / "note.tex")
        return Path(out) / "note.tex"

    monkeypatch.setattr("numerics.report.paper.write_paper", fake)
    got = wb.ask("report", "--paper", "--quick", "--out", str(tmp_path))
    assert got == {"note": str(tmp_path / "note.tex"), "files": [str(tmp_path / "note.tex")]}
