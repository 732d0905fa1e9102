"""wbound report: the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from numerics.cli import options as o
from numerics.cli import output
from numerics.cli.output import WRITTEN, emit, say


def report(
    out: Annotated[str, o.out("Where to write it.", "DIR")] = "report",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer points: a first look.")] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="Make the stored results of the searches again first (half an hour)."),
    ] = False,
    paper: Annotated[
        bool, typer.Option("--paper", help="A note in LaTeX instead: DIR/note.tex and its figures.")
    ] = False,
    json: o.Json = False,
) -> None:
    """Write the report: a page, its numbers, its curves.

    DIR/index.html opens from disk with no network; DIR/report.json holds every number on it, and a CSV file
    lies beside it for every figure and table. Long searches are stored results, whose age the page says; --full
    makes them again, in the sources.

    --paper writes a note in LaTeX instead: statements with their hypotheses and citations, tables (booktabs),
    figures at column width, the command behind each and the versions; pdflatex note.tex compiles it with Debian's
    texlive-latex-recommended.

    \b
    Examples:
      wbound report --out report
      wbound report --full
      wbound report --paper --out note
    """
    from wbound.errors import BadInput

    if full and (quick or paper):
        raise BadInput("full", "with --quick" if quick else "with --paper", "give one of them")
    if paper:
        one_thread()
        from numerics.report.paper import write_paper

        note = write_paper(out, quick=quick, say=say, wrote=lambda path: WRITTEN.append(str(path)))
        say(f"wrote {note} and {len(WRITTEN) - 1} figures beside it")
        emit({"note": str(note), "files": list(WRITTEN)}, json, lambda: str(note))
        return
    one_thread()
    from numerics.report import build

    if full:
        renew()

    page = build(out, quick=quick, say=say, wrote=lambda path: WRITTEN.append(str(path)))
    say(f"wrote {page} and {len(WRITTEN) - 1} files of numbers beside it")
    emit({"page": str(page), "files": list(WRITTEN)}, json, lambda: str(page))


def one_thread() -> None:
    """Linear algebra on one thread where nothing else is set: matrices of a page are small, and a second thread waits for
    them at full speed longer than it works. Libraries read this when they are loaded."""
    import os
    import sys

    if "numpy" not in sys.modules:
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def renew() -> None:
    """Run the commands that make the stored results, each to its end before its file is replaced. Raises
    `Inconsistent` where one refutes a bound, `IOFailure` where one fails or its file cannot be replaced."""
    import subprocess
    import sys
    from tempfile import TemporaryDirectory

    from numerics.io.writing import write
    from numerics.report.stored import RENEWALS, result_path
    from wbound.errors import Inconsistent, IOFailure

    with TemporaryDirectory() as folder:
        for i, (name, words) in enumerate(RENEWALS.items(), 1):
            say(f"stored results [{i}/{len(RENEWALS)}] wbound {words}")
            program = [sys.executable, "-c", "from numerics.cli.main import run; run()"]
            line = [
                *program,
                *words.split(),
                "-o",
                f"{folder}/{name}",
                *(["--quiet"] if output.QUIET else []),
            ]
            code = subprocess.run(line, cwd=folder, stdout=subprocess.DEVNULL, check=False).returncode
            if code == 3:
                raise Inconsistent(f"wbound {words} found a bound that does not hold")
            if code:
                raise IOFailure(f"wbound {words} ended with exit code {code}: {name} is as it was")
            WRITTEN.append(str(write(result_path(name), Path(f"{folder}/{name}").read_text("utf-8"))))
