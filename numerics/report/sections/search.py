"""Section: how close the bounds come to the truth, from the stored results of the search for counterexamples."""

from __future__ import annotations

from importlib import resources
from typing import Any

from numerics.report.blocks import Column, Context, Part, Prose, Table
from numerics.verification.counterexamples import COUNTEREXAMPLE, parsed
from wbound.theory.statements import STATEMENTS

__all__ = ["RESULTS", "build", "stored"]

#: The stored results, within this package; `wbound search --out FILE` makes them.
RESULTS = ("results", "search.json")


def stored() -> dict[str, Any]:
    """The results that come with the package. Raises `BadInput` where the file is not what it should be."""
    text = resources.files("numerics.report").joinpath(*RESULTS).read_text("utf-8")
    return parsed(text, RESULTS[-1])


def _where(case: dict[str, Any]) -> str:
    """The inputs in a line."""
    numbers = ", ".join(f"{name} = {value:.4g}" for name, value in case["parameters"].items())
    law = ", ".join(f"{v:.3g}" for v in case["variances"])
    mean = f"; mean {case['mean'][0]:.3g}" if any(case["mean"]) else ""
    grid = "" if case["warp"] == 1.0 else f"; nodes T(1 - k/K)^{case['warp']:.3g}"
    return f"{case['process']}, {numbers}; T = {case['T']:.4g}, K = {case['K']}{grid}; variances {law}{mean}"


def build(context: Context) -> Part:
    """The part of this section."""
    found = stored()
    rows = [
        {
            "statement": STATEMENTS[row["statement"]].name,
            "scheme": row["scheme"],
            "start": {"exact": "p_T", "prior": "prior"}[row["start"]],
            "ratio": row["ratio"],
            "evaluations": row["evaluations"],
            "where": "" if row["case"] is None else _where(row["case"]),
        }
        for row in found["search"]
    ]
    ratios = [row["ratio"] for row in (*found["search"], *found["grid"]) if row["ratio"] is not None]
    # a part of the rows may be of a later run
    dates = [row.get("date", found["date"])[:10] for row in found["search"]]
    data: dict[str, Any] = {
        "first": min(dates),
        "date": max(dates),
        "seconds": round(found["seconds"]),
        "ratio": min(ratios),
        "below": sum(ratio < COUNTEREXAMPLE for ratio in ratios),
        "evaluations": sum(row["evaluations"] for row in found["search"]),
        "cells": sum(row["cells"] for row in found["grid"]),
        "compared": sum(row["compared"] for row in found["grid"]),
        "rows": rows,
    }
    text = (
        "An optimiser looked for a case in which a bound is below the exact W2: over the process and its parameters, "
        "T, K, the grid, a Gaussian's spectrum and mean, for each theorem, scheme and start ({evaluations:int} cases), "
        "and a dense grid of {cells:int} cells, {compared:int} of which could be compared. The smallest ratio of a "
        "bound to the exact value is {ratio:.10f}; {below:int} are below 1 by more than rounding. From p_T the start's "
        "error, which every bound can nearly attain, does not hide the terms of the steps. A number here is an upper "
        "limit on the smallest ratio there is.\n\n"
        "These are stored results of {first} to {date} ({seconds:int} s). To look longer: `wbound search --seconds 600 "
        "--cells 1e6 "
        "--out numerics/report/results/search.json` in the sources."
    )
    table = Table(
        "rows",
        "The smallest bound over exact value found",
        (
            Column("statement", "theorem"),
            Column("scheme", "scheme"),
            Column("start", "from"),
            Column("ratio", "smallest ratio", ".8g"),
            Column("evaluations", "cases", "int"),
            Column("where", "where"),
        ),
        command="wbound search",
        csv="smallest-ratios.csv",
    )
    return Part(data, (Prose(text), table))
