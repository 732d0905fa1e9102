"""Is there a sampler for 5 to 20 calls that is no worse than the better of two parents everywhere? The families of
`few_step_families` on laws that are not Gaussian, with exact scores (section 17).

``python -m numerics.studies.few_step_search`` writes the record again (some ten minutes) and prints its tables.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from numerics.io.table_writers import markdown_table
from numerics.io.writing import write
from numerics.laws.tape_on_line import tape_w2_on_line
from numerics.schedules.few_step_families import FAMILIES, PARENTS, Family, Spectrum
from numerics.targets.datasets import samples_of
from numerics.targets.line_laws import Line, Pair
from numerics.targets.mixtures import SmoothedData
from numerics.targets.smooth_law import LogCoshLine
from numerics.verification.common_noise import CommonNoise
from wbound.design.look_back import REACH
from wbound.errors import IOFailure
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["CALLS", "DIGITS", "LINE", "OTHERS", "RECORD", "TARGETS", "measured", "search", "table"]

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


def _smoothed(points: Array, tau: float) -> Judge:
    common = CommonNoise(SmoothedData(points - points.mean(axis=0), tau), PAIRS, SEED)
    values = common.variances
    return (tuple(values.tolist()), (1.0,) * values.size), common.relative


def _three() -> Judge:
    return _smoothed(np.array([[-1.0, 0.0], [0.5, 1.0], [1.5, -0.5]]), 0.3)


def _ring(width: float, tau: float) -> Judge:
    angle = 2.0 * math.pi * np.random.default_rng(1).random(400)
    return _smoothed(np.column_stack((width * np.cos(angle), np.sin(angle))), tau)


#: The laws that are searched: a name for the table, and what makes the judge.
TARGETS: dict[str, Callable[[], Judge]] = {
    "±1, s = 0.7": lambda: _on_line(Pair(1.0, 0.7)),
    "±1, s = 0.3": lambda: _on_line(Pair(1.0, 0.3)),
    "±1, s = 0.1": lambda: _on_line(Pair(1.0, 0.1)),
    "log-cosh (1, 10)": lambda: _on_line(LogCoshLine(1.0, 10.0)),
    "digits, τ = 0.3": lambda: _smoothed(pooled_digits(), 0.3),
    "digits, τ = 1": lambda: _smoothed(pooled_digits(), 1.0),
}

#: Laws that no choice was made by: what the search finds is run on them afterwards.
OTHERS: dict[str, Callable[[], Judge]] = {
    "±1, s = 0.5": lambda: _on_line(Pair(1.0, 0.5)),
    "±1, s = 0.2": lambda: _on_line(Pair(1.0, 0.2)),
    "±1, s = 0.05": lambda: _on_line(Pair(1.0, 0.05)),
    "log-cosh (1, 3)": lambda: _on_line(LogCoshLine(1.0, 3.0)),
    "log-cosh (1, 100)": lambda: _on_line(LogCoshLine(1.0, 100.0)),
    "three normals": _three,
    "ring": lambda: _ring(1.0, 0.2),
    "ellipse 5 : 1": lambda: _ring(5.0, 0.3),
    "digits, τ = 0.6": lambda: _smoothed(pooled_digits(), 0.6),
    "digits 8 × 8, τ = 0.4": lambda: _smoothed(samples_of("digits")[:600].reshape(600, -1), 0.4),
    "digits 8 × 8, τ = 1": lambda: _smoothed(samples_of("digits")[:600].reshape(600, -1), 1.0),
}

#: The searched laws on the line, and those that cost more.
LINE, DIGITS = tuple(TARGETS)[:4], tuple(TARGETS)[4:]


@lru_cache(maxsize=len(TARGETS) + len(OTHERS))
def judge(target: str) -> Judge:
    """The spectrum of a target of `TARGETS` or `OTHERS`, and the relative W2 (over √tr Σ) of a tape's output to it."""
    return {**TARGETS, **OTHERS}[target]()


def measured(target: str, K: int, family: str, theta: float | None = None) -> float:
    """Relative W2 to a target of K calls of a parent, or of a family's member."""
    spectrum, relative = judge(target)
    if theta is None:
        return relative(PARENTS[family](spectrum, K))
    return relative(next(f for f in FAMILIES if f.name == family).make(spectrum, K, theta))


def search(
    targets: Sequence[str] = tuple(TARGETS),
    calls: Sequence[int] = CALLS,
    families: Sequence[Family] = FAMILIES,
    others: Sequence[str] = tuple(OTHERS),
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Every member in every cell (target, K), then the member whose largest ratio is least on the ``others``.

    Relative W2 in the order of ``cells``; ``worst``, the largest ratio to the better parent, and ``mean``, the geometric
    one; ``winners``: members whose ratio is at most 1 + `LEEWAY` in each cell. ``others`` is the same of the parents and the
    best member.
    """
    record = _compared([(t, K) for t in targets for K in calls], families, say)
    best = _best(record["rows"])
    (family,) = (f for f in families if f.name == best["family"])
    record["others"] = _compared(
        [(t, K) for t in others for K in calls], [replace(family, thetas=(best["theta"],))], say
    )
    return record


def _best(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row whose largest ratio is least; of several, that of the θ which `refitted` takes."""
    return min(rows, key=lambda row: (row["worst"] or math.inf, row["theta"] != REACH))


def _compared(
    cells: list[tuple[str, int]], families: Sequence[Family], say: Callable[[str], None]
) -> dict[str, Any]:
    parents = {name: [measured(t, K, name) for t, K in cells] for name in PARENTS}
    better = np.min(list(parents.values()), axis=0)
    rows: list[dict[str, Any]] = []
    for family in families:
        for theta in family.thetas:
            values = [measured(t, K, family.name, theta) for t, K in cells]
            ratios = np.array(values) / better
            worst, mean = (
                float(ratios.max(initial=0.0)),
                float(np.exp(np.log(ratios).mean())) if cells else 1.0,
            )
            say(f"{family.name} {theta:g}: largest ratio {worst:.3f}")
            rows.append(
                {
                    "family": family.name,
                    "theta": theta,
                    "w2": [_rounded(v) for v in values],
                    "worst": _rounded(worst),
                    "mean": _rounded(mean),
                }
            )
    return {
        "cells": [list(cell) for cell in cells],
        "pairs": PAIRS,
        "leeway": LEEWAY,
        "parents": {name: [_rounded(v) for v in values] for name, values in parents.items()},
        "rows": rows,
        "families": {f.name: f.words for f in families},
        "winners": [[r["family"], r["theta"]] for r in rows if (r["worst"] or math.inf) <= 1.0 + LEEWAY],
    }


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def table(record: dict[str, Any]) -> str:
    """The record in Markdown: the parents, and of each family the member whose largest ratio is least."""
    cells = [tuple(cell) for cell in record["cells"]]
    names = list(dict.fromkeys(target for target, _ in cells))
    head = ["sampler", "θ", *names, "worst ratio", "mean ratio"]
    lines = []

    def line(
        name: str, theta: str, values: list[float | None], worst: float | None, mean: float | None
    ) -> list[str]:
        by = dict(zip(cells, values, strict=True))
        told = [", ".join(_told(by[n, K]) for t, K in cells if t == n) for n in names]
        return [name, theta, *told, _told(worst), _told(mean)]

    better = np.min(list(record["parents"].values()), axis=0)
    for name, values in record["parents"].items():
        ratios = np.array(values) / better
        lines.append(line(name, "", values, float(ratios.max()), float(np.exp(np.log(ratios).mean()))))
    for family in record["families"]:
        rows = [row for row in record["rows"] if row["family"] == family]
        best = _best(rows)
        lines.append(line(family, f"{best['theta']:g}", best["w2"], best["worst"], best["mean"]))
    return markdown_table(head, lines) + "\n"


def _told(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def main() -> None:
    record = search()
    write(RECORD, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    print(table(record))
    print(table(record["others"]))


if __name__ == "__main__":
    main()
