"""wbound search: optimisers and a dense grid that look for a case in which a bound fails."""

from __future__ import annotations

from typing import Annotated, Any

from numerics.cli import options as o
from numerics.cli.output import emit, grid_table, note, say


def search(
    seconds: Annotated[
        str,
        o.numeric("--seconds", "Processor time of the optimisers, shared among the theorems and schemes."),
    ] = "60",
    cells: Annotated[str, o.numeric("--cells", "Cells of the dense grid, at least; 0: none.")] = "0",
    folder: Annotated[
        str, o.word("--folder", "Where the dense grid is kept, and goes on.", metavar="DIR")
    ] = "search",
    seed: o.Seed = "0",
    jobs: o.Jobs = None,
    out: o.Kept = None,
    json: o.Json = False,
) -> None:
    """Look for a counterexample: the smallest bound/exact.

    On Gaussian data, whose exact W2 is known. For each theorem, scheme and start an optimiser minimises
    bound/exact over the process and its parameters, λ(T), K, the grid, the spectrum and the mean; --cells adds a
    dense grid. A ratio below 1 would refute a theorem or its code: exit code 3. What is found is an upper limit
    on the smallest ratio there is.

    \b
    Examples:
      wbound search --seconds 30
      wbound search --seconds 600 --cells 1e6 --folder build/search --out search.json
    """
    import json as text_of
    import time

    from numerics.io.writing import write
    from numerics.sweep.config import MOST_CELLS
    from numerics.verification import counterexamples as s
    from wbound.errors import BadInput, Inconsistent, count

    begun, budget, first = (
        time.monotonic(),
        o.required("seconds", seconds),
        count("seed", o.required("seed", seed), 0),
    )
    workers = None if jobs is None else count("jobs", o.required("jobs", jobs))
    wanted = count("cells", o.required("cells", cells), 0)

    if wanted > MOST_CELLS:
        raise BadInput("cells", wanted, f"must be at most {MOST_CELLS:.0e}")
    if wanted:
        s.plans(wanted)  # refused before the work

    def progress(found: s.Found) -> None:
        f = found.family
        say(f"{f.statement}, {f.scheme} from {f.start}: {found.ratio:.9g} after {found.evaluations} cases")

    found = s.search(budget, seed=first, jobs=workers, progress=progress)
    grid = s.dense(folder, wanted, jobs=workers) if wanted else []
    payload: dict[str, Any] = s.record(found, grid, seconds=time.monotonic() - begun, seed=first)
    if out is not None:
        note(write(out, text_of.dumps(payload, indent=1, ensure_ascii=False) + "\n"))

    def text() -> str:
        heads = ["theorem", "scheme", "start", "smallest ratio", "cases"]
        rows: list[list[Any]] = [
            [f.family.statement, f.family.scheme, f.family.start, f"{f.ratio:.9g}", f.evaluations]
            for f in found
        ]
        tables = [grid_table(heads, rows)]
        if grid:
            names = ("statement", "scheme", "start", "ratio", "compared", "refused", "cells")
            tables.append(grid_table(["theorem", *names[1:]], [[row[n] for n in names] for row in grid]))
        return "\n\n".join(tables)

    emit(payload, json, text)
    wrong = [
        r for r in (*payload["search"], *grid) if r["ratio"] is not None and r["ratio"] < s.COUNTEREXAMPLE
    ]
    if wrong:
        raise Inconsistent(f"a counterexample: {wrong[0]}")
