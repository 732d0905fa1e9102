"""Is there a sampler for 5 to 20 calls that is no worse than the better of two parents everywhere? The families of
`few_step_families` on laws that are not Gaussian, with exact scores (section 17).

``python -m numerics.studies.few_step_search`` writes the record again (some minutes) and prints its table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from numerics.io.writing import write
from numerics.laws.tape_on_line import tape_w2_on_line
from numerics.schedules.few_step_families import FAMILIES, PARENTS, Family, Spectrum
from numerics.targets.datasets import samples_of
from numerics.targets.line_laws import Line, Pair
from numerics.targets.mixtures import SmoothedData
from numerics.targets.smooth_law import LogCoshLine
from numerics.verification.common_noise import CommonNoise
from wbound.errors import IOFailure
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["CALLS", "DIGITS", "LINE", "RECORD", "TARGETS", "measured", "search", "table"]

RECORD = Path(__file__).with_name("results") / "few-step-search.json"
CALLS = (5, 10, 20)
#: Pairs of samples for the digits, and the seed of what they share.
PAIRS, SEED = 1500, 0
#: By how much a hybrid may be above the better parent and still be no worse: what quadratures and pairs leave open.
LEEWAY = 0.01

#: Relative W2 of a tape, and the spectrum that samplers may know.
Judge = tuple[Spectrum, Callable[[Tape], float]]


def _on_line(line: Line) -> Judge:
    def relative(tape: Tape) -> float:
        try:
            return tape_w2_on_line(tape, line, rtol=1e-3) / math.sqrt(line.variance)
        except IOFailure:  # a map that turns too often: no sampler
            return math.inf

    return ((line.variance,), (1.0,)), relative


def pooled_digits() -> Array:
    """The digits as 4 × 4 means of pixels, centred (1797, 16)."""
    images = samples_of("digits").reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
    return np.asarray(images - images.mean(axis=0))


def _digits(tau: float) -> Judge:
    target = SmoothedData(pooled_digits(), tau)
    common = CommonNoise(target, PAIRS, SEED)
    values = common.variances
    return (tuple(values.tolist()), (1.0,) * values.size), common.relative


#: The laws: a name for the table, and what makes the judge.
TARGETS: dict[str, Callable[[], Judge]] = {
    "±1, s = 0.7": lambda: _on_line(Pair(1.0, 0.7)),
    "±1, s = 0.3": lambda: _on_line(Pair(1.0, 0.3)),
    "±1, s = 0.1": lambda: _on_line(Pair(1.0, 0.1)),
    "log-cosh (1, 10)": lambda: _on_line(LogCoshLine(1.0, 10.0)),
    "digits, τ = 0.3": lambda: _digits(0.3),
    "digits, τ = 1": lambda: _digits(1.0),
}

#: Those on the line, and those that cost more.
LINE, DIGITS = tuple(TARGETS)[:4], tuple(TARGETS)[4:]


@lru_cache(maxsize=len(TARGETS))
def judge(target: str) -> Judge:
    """The spectrum of a target of `TARGETS`, and the relative W2 (over √tr Σ) of a tape's output to it."""
    return TARGETS[target]()


def measured(target: str, K: int, family: str, theta: float | None = None) -> float:
    """Relative W2 to a target of K calls of a parent, or of a family's member."""
    spectrum, relative = judge(target)
    if theta is None:
        return relative(PARENTS[family](spectrum, K))
    return relative(next(f for f in FAMILIES if f.name == family).make(spectrum, K, theta))


def search(
    first: Sequence[str] = LINE,
    then: Sequence[str] = DIGITS,
    calls: Sequence[int] = CALLS,
    families: Sequence[Family] = FAMILIES,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Every member on the targets ``first``; on ``then`` those that are no worse than the better parent there, and of every
    other family the nearest to it (None: not run).

    Relative W2 in the order of ``cells`` (target, K), and ``worst``, the largest ratio to the better parent, of those run;
    ``winners``: members run everywhere whose ratio is at most 1 + `LEEWAY` in each cell.
    """
    cells = [(target, K) for target in (*first, *then) for K in calls]
    parents = {name: [measured(t, K, name) for t, K in cells] for name in PARENTS}
    better = np.min(list(parents.values()), axis=0)
    on_line = len(first) * len(calls)
    rows: list[dict[str, Any]] = []
    for family in families:
        found = {}
        for theta in family.thetas:
            found[theta] = [measured(t, K, family.name, theta) for t, K in cells[:on_line]]
            say(f"{family.name} {theta:g}: worst ratio {_worst(found[theta], better):.3f}")
        nearest = min(found, key=lambda theta: _worst(found[theta], better))
        for theta, values in found.items():
            if theta == nearest or _worst(values, better) <= 1.0 + LEEWAY:
                values += [measured(t, K, family.name, theta) for t, K in cells[on_line:]]
                say(f"{family.name} {theta:g}: everywhere {_worst(values, better):.3f}")
            ratios = np.array(values) / better[: len(values)]
            rows.append(
                {
                    "family": family.name,
                    "theta": theta,
                    "w2": [_rounded(v) for v in values] + [None] * (len(cells) - len(values)),
                    "everywhere": len(values) == len(cells),
                    "worst": _rounded(float(ratios.max())),
                    "mean": _rounded(float(np.exp(np.log(ratios).mean()))),
                }
            )
    return {
        "cells": [list(cell) for cell in cells],
        "pairs": PAIRS,
        "leeway": LEEWAY,
        "parents": {name: [_rounded(v) for v in values] for name, values in parents.items()},
        "rows": rows,
        "families": {f.name: f.words for f in families},
        "winners": [[r["family"], r["theta"]] for r in rows if r["everywhere"] and (r["worst"] or math.inf) <= 1.0 + LEEWAY],
    }  # fmt: skip


def _worst(values: Sequence[float], better: Array) -> float:
    return float((np.array(values) / better[: len(values)]).max())


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def table(record: dict[str, Any]) -> str:
    """The record in Markdown: the parents, and of each family the member whose largest ratio is least. Rows of the record
    may hold their ratio alone (``w2`` null)."""
    cells = [tuple(cell) for cell in record["cells"]]
    names = list(dict.fromkeys(target for target, _ in cells))
    head = ["sampler", "θ", *names, "worst ratio", "mean ratio"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]

    def line(name: str, theta: str, values: list[float | None] | None, worst: str, mean: str) -> str:
        if values is None:
            return "| " + " | ".join((name, theta, *("" for _ in names), worst, mean)) + " |"
        by = dict(zip(cells, values, strict=True))
        told = [
            ", ".join("–" if (v := by[n, K]) is None else f"{v:.3g}" for t, K in cells if t == n)
            for n in names
        ]
        return "| " + " | ".join((name, theta, *told, worst, mean)) + " |"

    better = np.min(list(record["parents"].values()), axis=0)
    for name, values in record["parents"].items():
        ratios = np.array(values) / better
        lines.append(line(name, "", values, f"{ratios.max():.3g}", f"{np.exp(np.log(ratios).mean()):.3g}"))
    for family in record["families"]:
        rows = [row for row in record["rows"] if row["family"] == family]
        best = min(rows, key=lambda row: (not row["everywhere"], row["worst"] or math.inf))
        worst, mean = ("" if best[k] is None else f"{best[k]:.3g}" for k in ("worst", "mean"))
        lines.append(line(family, f"{best['theta']:g}", best["w2"], worst, mean))
    return "\n".join(lines) + "\n"


def main() -> None:
    record = search()
    write(RECORD, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    print(table(record))


if __name__ == "__main__":
    main()
