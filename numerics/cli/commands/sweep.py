"""wbound sweep: a grid of experiments, on all cores or on a cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from numerics.cli import options as o
from numerics.cli import output
from numerics.cli.output import WRITTEN, emit, note


def sweep(
    config: Annotated[str, typer.Argument(metavar="CONFIG.toml", help="The grid (see the example).")],
    out: Annotated[
        str,
        o.out("Folder of the results, and of a run that goes on.", "DIR"),
    ] = "sweep",
    jobs: o.Jobs = None,
    scheduler: Annotated[
        str | None,
        o.word("--scheduler", "A Dask cluster instead (extra cluster).", metavar="ADDRESS"),
    ] = None,
    json: o.Json = False,
) -> None:
    """Compute a grid of experiments into one Parquet file.

    One row a cell, with its inputs, results, versions and seed; a cell that fails is a row with its error.
    Started again after any interruption, it goes on and repeats nothing. Exit code 4: incomplete.

    \b
    Example (sweep.toml, then wbound sweep sweep.toml -o results):
      outputs = ["bound", "exact"]
      scheme = ["hf", "em"]
      d = [1, 10]
      T = [2, 4]
      K = [10, 100, 1000]
      [[process]]
      name = "vp-linear"
      a = [1, 2]
      [[target]]
      name = "power-law"
      exponent = [1, 2]
    """
    from numerics.sweep.run import done
    from numerics.sweep.run import sweep as run
    from wbound.errors import count

    workers = None if jobs is None else count("jobs", o.required("jobs", jobs))
    try:
        result = run(config, out, jobs=workers, scheduler=scheduler, progress=not output.QUIET)
    except KeyboardInterrupt:
        state = done(out)
        if state is not None:
            WRITTEN.append(f"{state[0]} of {state[1]} cells in {out} (run again to go on)")
        raise
    note(result.path)
    payload = {
        "path": str(result.path),
        "cells": result.cells,
        "failed": result.failed,
        "resumed": result.resumed,
    }

    def text() -> str:
        return f"{result.cells} cells, {result.failed} of them with an error, {result.resumed} from before"

    emit(payload, json, text)
