"""Section: what the schedulers that people run cost, from runs of the library, stored."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from numerics.report.blocks import Column, Context, Part, Prose, Table

__all__ = ["RENEW", "RESULTS", "build", "stored"]

#: The stored rows, within `numerics.studies`, and the command that makes them.
RESULTS = ("results", "schedulers.json")
RENEW = "python docs/scheduler_facts.py"


@cache
def stored() -> dict[str, Any]:
    """The results that come with the package."""
    found: dict[str, Any] = json.loads(
        resources.files("numerics.studies").joinpath(*RESULTS).read_text("utf-8")
    )
    return found


def build(context: Context) -> Part:
    """The part of this section."""
    found = stored()
    steps = [int(K) for K in found["shown"]]
    rows = []
    for row in found["rows"]:
        said = ", ".join(f"{key}={value}" for key, value in row["options"].items() if key != "clip_sample")
        shown: dict[str, Any] = {
            "scheduler": row["scheduler"],
            "training": row["training"] or "own",
            "options": said,
        }
        shown |= {f"w2_{K}": row["w2"].get(str(K)) for K in steps}
        shown |= {key: row[key] for key in ("order", "least", "least_at")}
        rows.append(shown)
    last = str(max(steps))
    worse = [r for r in found["rows"] if last in r["w2"] and r["least_at"] != int(last)]
    content = {
        "date": found["date"],
        "diffusers": found["versions"]["diffusers"],
        "torch": found["versions"]["torch"],
        "count": len(rows),
        "worse": len(worse),
        "failing": sum(bool(r["failed"]) for r in found["rows"]),
        "last": int(last),
        "rows": rows,
    }
    variances = ", ".join(f"{v:g}" for v in found["variances"])
    text = (
        "What diffusers' own classes return with an exact network, on the Gaussian with variances "
        + variances
        + ", from their own starts: exact W2, from one run of each on unit vectors (section 15 of the theory). LIN is linear "
        "betas from 1e-4 to 0.02, SD scaled linear ones from 0.00085 to 0.012. Of {count:int} configurations {worse:int} are "
        "nearer to the data at fewer steps than at {last:int}, and {failing:int} return NaN or raise at some number of "
        "steps. What your own configuration costs on your data: `wbound audit`.\n\n"
        "These are stored results of {date}, of diffusers {diffusers} and torch {torch}; to renew them: `"
        + RENEW
        + "` in "
        "the sources."
    )
    table = Table(
        "rows",
        "W2 of schedulers by steps",
        [
            Column("scheduler", "scheduler"),
            Column("training", "training"),
            Column("options", "options"),
            *(Column(f"w2_{K}", f"K = {K}", ".4g") for K in steps),
            Column("order", "order", ".2f", "fitted power of the steps from 25 to 100, where W2 falls there"),
            Column("least", "least", ".3g", "the smallest W2 at any number of steps that was run"),
            Column("least_at", "at", "int"),
        ],
        command="wbound audit --diffusers DDIMScheduler --set clip_sample=false --data 4,1,0.25,0.04,0.01",
        csv="schedulers.csv",
    )
    return Part(content, (Prose(text), table))
