"""wbound statements: the statement objects on the command line."""

from __future__ import annotations

from typing import Any

import pytest

import wbound


def test_all_are_listed_in_the_theory_s_order(wb: Any) -> None:
    rows = wb.ask("statements")["statements"]
    assert {row["id"] for row in rows} == set(wbound.STATEMENTS) and len(rows) == len(wbound.STATEMENTS)
    assert [row["section"] for row in rows] == sorted(row["section"] for row in rows)
    row = next(row for row in rows if row["id"] == "eq-7-second")
    assert row == {
        "id": "eq-7-second",
        "name": "Eq. 7″",
        "kind": "upper",
        "equations": ["7″"],
        "section": 5,
        "source": "derived here",
    }
    code, out, _ = wb("statements")
    assert code == 0 and all(f"\n{id} " in out for id in wbound.STATEMENTS)
    line = next(line for line in out.splitlines() if line.startswith("eq-14 "))
    assert line.split() == ["eq-14", "order", "14", "8", "derived", "here"]


@pytest.mark.parametrize("id", wbound.STATEMENTS)
def test_one_is_shown_whole(id: str, wb: Any) -> None:
    statement = wbound.STATEMENTS[id]
    got = wb.ask("statements", id)
    assert (got["id"], got["name"], got["kind"]) == (id, statement.name, statement.kind)
    assert got["hypotheses"] == [h.name for h in statement.hypotheses]
    assert got["latex"] == statement.latex and got["citation"] == statement.citation
    code, out, _ = wb("statements", id)
    lines = out.splitlines()
    assert code == 0 and f"  {statement.latex}" in lines and f"  {statement.citation}" in lines
    assert all(f"  {h.name}" in lines for h in statement.hypotheses)
    assert lines[0].startswith(f"{statement.name}: {statement.kind}, section {statement.section}")


@pytest.mark.parametrize("id", ["theorem-9", "Theorem 2", "", "eq-12-prime:hf"])
def test_an_unknown_one_is_refused_by_name(id: str, wb: Any) -> None:
    said = wb.refused("statements", id)
    assert f"statement = {id}" in said and "must be one of theorem-1, theorem-2" in said
