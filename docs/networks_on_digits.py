"""Writes docs/howto/one-network-or-eight.md and numerics/studies/results/networks-on-digits.json: no number is typed.

``python docs/networks_on_digits.py FOLDER`` trains and samples in FOLDER what is not there yet (`WAYS`; some twenty
minutes of processor time with one thread), as the commands of the page do, and goes on where it was cut off; without
FOLDER it writes the page alone, from the stored record. A test holds the page to the record.
"""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
STORED = HERE.parent / "numerics" / "studies" / "results" / "networks-on-digits.json"
PAGE = HERE / "howto" / "one-network-or-eight.md"

COMMON = "images compare --data digits --preset smoke --K 5,10,30,100 --at 5 --n 400 --seeds 2 --jobs 1"
#: What is compared: a name, and what the command says besides.
WAYS = {
    "eight": "--steps 800",
    "one": "--one-network --steps 800",
    "one-long": "--one-network --steps 6400",
}
SAID = {
    "eight": "eight networks, 800 steps each",
    "one": "one network, 800 steps",
    "one-long": "one network, 6400 steps",
}

HEAD = """# One network or eight

Written by `python docs/networks_on_digits.py` from runs of torch {torch} on {date}. The processes are sampled by
Euler–Maruyama on the uniform grid, {seeds} sampling seeds of {n} digits each, the same seeds for all; networks are the
smallest preset's, one training seed. Three ways: a network for each process, trained at its own times, as in the paper
(800 steps of 64 images each); one network conditioned on σ, trained for 800 steps, an eighth of that in all; the same
for 6400 steps, as many as the eight together.

```console
{commands}
```

## Ranks

Spearman's correlation over the eight processes between what was measured and the exact W2 of the Gaussian surrogate
(the same sampler with that law's exact score). {n} real training images are at sliced W2 {sliced:.4g} and Bures W2 {bures:.4g}
from the held-out ones: processes that are as near as that have ranks by chance.

"""

TAIL = """
## What it does not say

One training seed, one size of network, one data set of 64 pixels. What more training of the eight networks would give
was not measured.
"""


def record(folder: Path) -> dict[str, Any]:
    """All ways, run or read, as plain values."""
    from numerics.cifar10.runs import versions
    from numerics.cli.main import main as wbound

    ways, found = {}, {}
    for name, more in WAYS.items():
        out = folder / name
        if not (out / "comparison.json").is_file() and wbound(
            [*COMMON.split(), *more.split(), "-o", str(out)]
        ):
            raise SystemExit(f"{name}: the comparison did not end well")
        found = json.loads((out / "comparison.json").read_text("utf-8"))
        last = max(m["iterations"] for m in found["measured"])
        ways[name] = {
            "command": f"wbound {COMMON} {more} -o {name}",
            "correlations": found["correlations"],
            "cells": [
                {
                    "process": m["process"],
                    "K": m["K"],
                    "sliced": m["sliced"]["values"],
                    "bures": m["bures"]["values"],
                }
                for m in found["measured"]
                if m["iterations"] == last
            ],
        }
    return {
        "date": datetime.date.today().isoformat(),
        "versions": versions(),
        "n": found["sweep"]["n"],
        "seeds": found["sweep"]["seeds"],
        "steps": found["sweep"]["steps"],
        "floor": found["floor"]["pixel"],
        "exact": {t["process"]: t["exact"] for t in found["theory"]},
        "ways": ways,
    }


def _table(heads: list[str], rows: list[list[str]]) -> str:
    return (
        "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---", *["---:"] * (len(heads) - 1)], *rows))
        + "\n"
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def page(found: dict[str, Any]) -> str:
    """The record as Markdown."""
    ways = found["ways"]
    commands = "\n".join(f"$ {way['command']}" for way in ways.values())
    head = HEAD.format(
        **{
            "torch": found["versions"]["torch"],
            "date": found["date"],
            "n": found["n"],
            "seeds": found["seeds"],
        },
        **{"sliced": found["floor"]["sliced"], "bures": found["floor"]["bures"], "commands": commands},
    )
    ranks: dict[tuple[str, int, str], float] = {
        (name, r["K"], r["measured"]): r["with_exact_w2"]
        for name, way in ways.items()
        for r in way["correlations"]
    }
    rows = [
        [str(K), *(f"{ranks[name, K, what]:.2f}" for name in ways for what in ("bures", "sliced"))]
        for K in found["steps"]
    ]
    out = head + _table(
        ["K", *(f"{SAID[name]}: {what}" for name in ways for what in ("Bures", "sliced"))], rows
    )
    out += "\n## Distances\n\nExact W2 of the surrogate; sliced W2 · Bures W2 of the samples, means of the seeds.\n"
    cells = {(name, c["process"], c["K"]): c for name, way in ways.items() for c in way["cells"]}
    for K in found["steps"]:
        rows = [
            [f"`{process}`", f"{exact[str(K)]:.4g}"]
            + [
                f"{_mean(cells[name, process, K]['sliced']):.4g} · {_mean(cells[name, process, K]['bures']):.4g}"
                for name in ways
            ]
            for process, exact in found["exact"].items()
        ]
        out += f"\n### K = {K}\n\n" + _table(["process", "exact", *(SAID[name] for name in ways)], rows)
    return out + TAIL


def main() -> None:
    if len(sys.argv) > 1:
        content = record(Path(sys.argv[1]))
        STORED.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")
    PAGE.write_text(page(json.loads(STORED.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main()
