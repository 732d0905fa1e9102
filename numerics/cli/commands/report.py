"""wbound report: the page."""

from __future__ import annotations

from typing import Annotated

import typer

from numerics.cli import options as o
from numerics.cli.output import WRITTEN, emit, say


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("report")(report)


def report(
    out: Annotated[str, o.out("Where to write it.", "DIR")] = "report",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer points: a first look.")] = False,
    paper: Annotated[
        bool, typer.Option("--paper", help="A note in LaTeX instead: DIR/note.tex and its figures.")
    ] = False,
    json: o.Json = False,
) -> None:
    """Write the report: a page and its numbers; or a note.

    DIR/index.html opens from disk with no network; DIR/report.json holds every number on it, and a CSV file
    lies beside it for every figure and table. --paper: statements with their hypotheses and citations, tables (booktabs),
    figures at column width, the command behind each and the versions; pdflatex note.tex compiles it with Debian's
    texlive-latex-recommended.

    \b
    Examples:
      wbound report --out report
      wbound report --paper --out note
    """
    if paper:
        from numerics.report.paper import write_paper

        note = write_paper(out, quick=quick, say=say, wrote=lambda path: WRITTEN.append(str(path)))
        say(f"wrote {note} and {len(WRITTEN) - 1} figures beside it")
        emit({"note": str(note), "files": list(WRITTEN)}, json, lambda: str(note))
        return
    from numerics.report import build

    page = build(out, quick=quick, say=say, wrote=lambda path: WRITTEN.append(str(path)))
    say(f"wrote {page} and {len(WRITTEN) - 1} files of numbers beside it")
    emit({"page": str(page), "files": list(WRITTEN)}, json, lambda: str(page))


__all__ = ["register", "report"]
