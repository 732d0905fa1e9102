"""wbound statements: what the theory says, as objects: kinds, hypotheses, formulas in LaTeX, citations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from numerics.cli import options as o
from numerics.cli.output import emit, grid_table

if TYPE_CHECKING:
    from wbound.statement.statement_object import Statement


def statements(
    id: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]", help="A statement, such as theorem-2.", autocompletion=o.complete_statement
        ),
    ] = None,
    json: o.Json = False,
) -> None:
    """List the statements, or show one.

    Every statement of the theory that the code computes: its kind (exact, upper, lower, order), equation
    numbers, section and source. With an id: its hypotheses, its formula in LaTeX, and how to cite it.

    \b
    Examples:
      wbound statements
      wbound statements theorem-2
      wbound statements eq-12-prime:em --json
    """
    from wbound.errors import one_of
    from wbound.theory.statements import STATEMENTS

    if id is not None:
        _show(STATEMENTS[one_of("statement", id, STATEMENTS)], json)
        return
    rows = [_row(s) for s in sorted(STATEMENTS.values(), key=lambda s: s.section)]

    def text() -> str:
        heads = ("id", "kind", "Eq.", "section", "source")
        cells = [(r["id"], r["kind"], ", ".join(r["equations"]), r["section"], r["source"]) for r in rows]
        return f"{grid_table(heads, cells)}\n\nwbound statements ID shows one, with its formula in LaTeX."

    emit({"statements": rows}, json, text)


def _row(s: Statement) -> dict[str, Any]:
    return {
        "id": s.id,
        "name": s.name,
        "kind": s.kind,
        "equations": s.equations,
        "section": s.section,
        "source": s.source,
    }


def _show(s: Statement, json: bool) -> None:
    hypotheses = [h.name for h in s.hypotheses]
    payload = _row(s) | {"hypotheses": hypotheses, "latex": s.latex, "citation": s.citation}

    def text() -> str:
        numbers = "".join(f", Eq. {n}" for n in s.equations)
        lines = [
            f"{s.name}: {s.kind}, section {s.section}{numbers}",
            "",
            "Under",
            *(f"  {h}" for h in hypotheses),
        ]
        return "\n".join([*lines, "", "Formula (LaTeX)", f"  {s.latex}", "", "Cite", f"  {s.citation}"])

    emit(payload, json, text)
