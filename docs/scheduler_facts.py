"""Writes docs/howto/scheduler-facts.md and numerics/studies/results/schedulers.json, from real runs: no number is typed.

Run as ``python docs/scheduler_facts.py [--jobs 2]`` (a minute or two; the extra diffusers); ``--page`` writes the page
alone, from the stored rows. A test runs a tenth of the rows again and holds the page to the stored ones.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from numerics.recorders.scheduler_facts import LIN, SD, SHOWN, all_facts

HERE = Path(__file__).resolve().parent
STORED = HERE.parent / "numerics" / "studies" / "results" / "schedulers.json"
PAGE = HERE / "howto" / "scheduler-facts.md"

HEAD = """# Facts of diffusers' schedulers

This page is written by `python docs/scheduler_facts.py` from runs of diffusers {diffusers} (torch {torch}) on {date}:
the library's own classes with an exact network, in double precision, on the Gaussian with variances {variances}. $W_2$
(not squared) is of what the scheduler returns from its own start. LIN and SD are the trainings with betas {lin} and {sd};
rows without either have their class's own. Options that are not named have the class's defaults; `clip_sample` is off.
*Order*: the fitted power of the steps from 25 to 100, where $W_2$ falls there. *Least*: the smallest $W_2$ at any of 10, 20, 25,
50, 100 and 1000 steps, and where: a row
with a number at 1000 whose least is before gets worse with more steps. The library's tables are float32, which processors
round differently: between two, these figures differed by up to 5e-6 of themselves. Steps are not
calls: `calls` is how often the network is asked at 20 steps. What your own configuration costs on your own data:
[](audit-a-sampler.md).

"""


def page(found: dict[str, Any]) -> str:
    """The stored rows as Markdown."""

    def betas(training: dict[str, Any]) -> str:
        return f"{training['beta_start']:g} to {training['beta_end']:g}, {training['beta_schedule']}"

    head = HEAD.format(
        **found["versions"],
        date=found["date"],
        variances=", ".join(f"{v:g}" for v in found["variances"]),
        lin=betas(LIN),
        sd=betas(SD),
    )
    names = (
        "scheduler",
        "training",
        "options",
        "calls",
        *(f"$K={K}$" for K in SHOWN),
        "order",
        "least",
        "at",
    )
    lines = ["| " + " | ".join(names) + " |", "|---|---|---|" + "---:|" * (len(names) - 3)]
    noted: dict[str, int] = {}
    for row in found["rows"]:
        options = ", ".join(f"`{k}={v}`" for k, v in row["options"].items() if k != "clip_sample")
        cells = [f"`{row['scheduler']}`", row["training"] or "own", options, str(row["calls"].get("20", "—"))]
        for K in map(str, SHOWN):
            words = row["failed"].get(K)
            if words is not None:
                cells.append(f"({noted.setdefault(words, len(noted) + 1)})")
            else:
                cells.append(f"{row['w2'][K]:.4g}")
        cells += ["—" if row["order"] is None else f"{row['order']:.2f}"]
        cells += ["—" if row["least"] is None else f"{row['least']:.3g}", str(row["least_at"] or "—")]
        lines.append("| " + " | ".join(cells) + " |")
    said = [f"({i}) {words}" for words, i in noted.items()]
    return head + "\n".join(lines) + "\n" + "".join(f"\n{one}\n" for one in said)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--page", action="store_true")
    asked = parser.parse_args()
    if not asked.page:
        found = all_facts(asked.jobs)
        STORED.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", "utf-8")
    PAGE.write_text(page(json.loads(STORED.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main()
