"""The verification matrix: bounds against referees over processes, schemes and targets, as stored rows.

Theorem 2: 8 processes × 4 SDE schemes × 4 targets inside A1, and a noisy and a biased score on one more.
Theorem 3: 8 × 3 ODE schemes × the same, with a bias. Theorem 2′: 8 × 4 × the targets beyond A1, with a noisy
score on one, and stopped early. Theorem 1: 8 × em × the targets, all of which know or bound their M_1. Heun's
samplers, and ODE schemes beyond A1, are compared with their exact law here. Cells are
independent of each other.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np

from numerics.io.interrupts import uninterrupted
from numerics.targets.named import DENSITY, target_named
from numerics.verification.law_test import RISK
from numerics.verification.outputs_and_law import followed
from numerics.verification.verdict import (
    HOLDS,
    REFUTED,
    UNDECIDED,
    contradicted,
    judged,
    needed_M1,
)
from wbound.errors import BadInput, HypothesisFailed, count
from wbound.extras import needing
from wbound.forward.catalogue import PUBLISHED
from wbound.sampler.description import Description
from wbound.sampler.scheme import POINTWISE
from wbound.typing import Array

__all__ = ["COLUMNS", "LAW", "TARGETS", "Cell", "Matrix", "cells", "run_cell", "verify_all"]


def _ellipse() -> Array:
    """A small data set in the plane: 24 points."""
    angle = 2.0 * math.pi * np.arange(24) / 24.0
    return np.stack((1.5 * np.cos(angle), 0.8 * np.sin(angle)), axis=1)


#: What is verified on, by the name of a stored row: in words for people; a target, its parameters and d.
TARGETS: dict[str, tuple[str, str, dict[str, Any], int | None]] = {
    "gaussian": (
        "Gaussian, d = 3, with a mean, anisotropic",
        "gaussian",
        {"mean": [1.0, -0.5, 0.25], "cov": [[2.0, 0.6, 0.2], [0.6, 1.0, -0.1], [0.2, -0.1, 0.4]]},
        3,
    ),
    "mixture": ("two modes, d = 2, |c| = 0.8, s = 1", "mixture", {"c": "0.48,0.64"}, 2),
    "logcosh": ("log cosh, d = 3, m0 = 1/2, L0 = 2", "logcosh", {}, 3),
    "density": (
        "a user's density -x²/2 - log(1 + e^x), d = 2",
        f"{DENSITY}-x**2/2 - log(1 + exp(x))",
        {},
        2,
    ),
    "mixture-1d": ("two modes on the line, |c| = 0.8, s = 1", "mixture", {}, 1),
    "modes": ("two modes apart, d = 2, |c| = 1.5, s = 0.8", "modes", {"c": "0.9,1.2", "s": "0.8"}, 2),
    "peaks": (
        "three peaks on the line, s = 0.7",
        "peaks",
        {"means": "-1.2,0.3,1", "s": "0.7", "weights": "0.3,0.5,0.2"},
        1,
    ),
    "smoothed": (
        "eight points on the line smoothed by τ = 0.6",
        "smoothed",
        {"points": np.linspace(-1.0, 1.0, 8)[:, None] ** 3, "tau": "0.6"},
        1,
    ),
    "cloud": (
        "24 points in the plane smoothed by τ = 0.8",
        "smoothed",
        {"points": _ellipse(), "tau": "0.8"},
        2,
    ),
    # as wide as nothing: the profile is that of bounded data from λ = δ on
    "points": (
        "two points on the line, ±0.6, stopped early at δ = 0.3",
        "modes",
        {"c": "0.6", "s": "1e-6"},
        1,
    ),
}
#: The four of the matrix proper; score errors go on the line, since samples say most there.
PROPER, ON_LINE = ("gaussian", "mixture", "logcosh", "density"), "mixture-1d"
#: Beyond A1, with a curvature profile; the noisy score is on the first.
BEYOND = ("modes", "peaks", "smoothed", "cloud")
SCHEMES, ODE = ("em", "ei", "hf", "ddpm"), ("ode-hf", "ddim", "ode-ei")
HEUN = ("heun", "heun-lam", "heun-lambda")
#: Instead of a theorem: no bound, the sampler against its exact law.
LAW = "none"
#: λ(T) in data variances per coordinate, and K. Theorem 1 has a step-size condition: smaller steps.
SHARP, PUBLISHED_AT = ((30.0, 50), (300.0, 200)), ((10.0, 200), (30.0, 400))
#: Score errors M (A3) and V (section 11), in 1/x.
BIAS, NOISE = 0.2, 0.3
#: λ at which bounded data are stopped early (x²).
DELTA = 0.3
#: Points of the bracket in d > 1, and on the line.
N, N_LINE = 300, 20_000
#: What did not run, and why: a hypothesis of the theorem fails in the cell.
REFUSED = "does not apply"


class Cell(NamedTuple):
    """One verification: ``far`` is λ(T) in data variances per coordinate; ``delta`` > 0: stopped at λ_K = δ. The name of
    a `Description`, which `described` makes of it."""

    theorem: str
    process: str
    scheme: str
    target: str
    far: float
    K: int
    M: float = 0.0
    V: float = 0.0
    delta: float = 0.0

    @property
    def described(self) -> Description:
        """The setting, of the target that goes by this name here (`TARGETS`)."""
        known = Description(self.process, {}, {"target": self.target}, None, self.K, scheme=self.scheme)
        target = _target(self.target)
        variance = (target.second_moment - (target.mean_norm or 0.0) ** 2) / target.d
        return known.but(
            T=float(known.made_process.time_of(math.log(self.far * variance))[()]).hex(),
            grid_options={"delta": float(self.delta).hex()} if self.delta else {},
            theorem=None if self.theorem == LAW else self.theorem,
            score_bias=float(self.M).hex(),
            score_noise=float(self.V).hex(),
            M1=needed_M1(self.theorem, "exact", target),
        )


#: A stored row, in this order. statement: what bounds it, "" where nothing does; p: the samples under the
#: referee's law (`numerics.verification.law_test`); reason: only where it did not hold.
COLUMNS = [
    *("theorem", "statement", "process", "scheme", "target", "T", "K", "M", "V", "delta"),
    *("verdict", "evidence", "bound", "exact", "error", "low", "high", "ratio", "p", "reason"),
]


def cells(processes: Iterable[str] = PUBLISHED) -> list[Cell]:
    """The cells of the matrix, for the given processes."""
    names = list(processes)
    wanted: list[
        tuple[str, Iterable[str], Iterable[str], tuple[tuple[float, int], ...], float, float, float]
    ] = [
        ("sharp", PROPER, SCHEMES, SHARP, 0.0, 0.0, 0.0),
        ("sharp", (ON_LINE,), SCHEMES, SHARP[:1], 0.0, NOISE, 0.0),
        ("sharp", (ON_LINE,), (*SCHEMES, *ODE), SHARP[:1], BIAS, 0.0, 0.0),
        ("published", PROPER, ("em",), PUBLISHED_AT, 0.0, 0.0, 0.0),
        ("sharp", PROPER, ODE, SHARP, 0.0, 0.0, 0.0),
        ("sharp", BEYOND, SCHEMES, SHARP[:1], 0.0, 0.0, 0.0),
        ("sharp", BEYOND[:1], SCHEMES, SHARP[:1], 0.0, NOISE, 0.0),
        ("sharp", ("points",), SCHEMES, SHARP[:1], 0.0, 0.0, DELTA),
        ("sharp", PROPER, HEUN, SHARP[:1], 0.0, 0.0, 0.0),
        (LAW, BEYOND[:2], (*ODE, "heun"), SHARP[:1], 0.0, 0.0, 0.0),
        ("sharp", PROPER, POINTWISE, SHARP[:1], 0.0, 0.0, 0.0),
    ]
    return [
        Cell(theorem, p, scheme, target, far, K, M, V, delta)
        for theorem, targets, schemes, sizes, M, V, delta in wanted
        for far, K in sizes
        for target in targets
        for p in names
        for scheme in schemes
    ]


@cache
def _target(name: str) -> Any:
    return target_named(*TARGETS[name][1:])


def run_cell(cell: Cell, seed: int = 0, n: int = N) -> dict[str, Any]:
    """The row of one cell, by the keys of `COLUMNS`."""
    target = _target(cell.target)
    described = cell.described
    points = N_LINE if target.d == 1 else n
    at = (
        cell.process,
        cell.scheme,
        cell.target,
        float.fromhex(str(described.T)),
        cell.K,
        cell.M,
        cell.V,
        cell.delta,
    )
    if cell.theorem == LAW:
        one = followed(described.about(target), n=points, seed=seed)
        held = HOLDS if one.agreement.holds else REFUTED
        reason = "" if one.agreement.holds else one.reason
        ends = (one.empirical.low, one.empirical.high)
        tail = (held, one.referee.evidence, None, one.referee.w2, one.referee.error, *ends, None)
        return dict(zip(COLUMNS, [LAW, "", *at, *tail, one.agreement.p, reason], strict=True))
    try:
        v = judged(described.about(target), cell.theorem, n=points, seed=seed)
    except HypothesisFailed as failed:
        empty: list[Any] = [None] * 7
        return dict(zip(COLUMNS, [cell.theorem, "", *at, REFUSED, "none", *empty, str(failed)], strict=True))
    low, high = (None, None) if v.empirical is None else (v.empirical.low, v.empirical.high)
    p = None if v.agreement is None else v.agreement.p
    reason = v.reason if v.verdict in (REFUTED, UNDECIDED) or not v.consistent else ""
    found = (v.verdict, v.evidence, v.bound.total, v.exact, v.error, low, high, v.ratio, p, reason)
    return dict(zip(COLUMNS, [cell.theorem, v.bound.statement, *at, *found], strict=True))


@dataclass(frozen=True)
class Matrix:
    """Rows of a verification run, with what made them: ``date`` (UTC, ISO), ``seconds``, ``seed``, ``n``
    points of a bracket, ``versions``."""

    rows: tuple[dict[str, Any], ...]
    date: str
    seconds: float
    seed: int
    n: int
    versions: dict[str, str]

    def count(self, verdict: str) -> int:
        """How many rows have this verdict."""
        return sum(row["verdict"] == verdict for row in self.rows)

    @property
    def refuted(self) -> int:
        """Bounds that are refuted."""
        return self.count(REFUTED)

    @property
    def inconsistent(self) -> int:
        """Cells whose samples do not have the referee's law, or stand against a bound that it does not refute."""
        return sum(
            (row["p"] is not None and row["p"] < RISK)
            or (
                row["bound"] is not None
                and contradicted(row["bound"], row["exact"], row["error"], row["low"])
            )
            for row in self.rows
        )

    def summary(self, by: Sequence[str] = ("statement", "evidence")) -> list[dict[str, Any]]:
        """One row for each value of the columns ``by``: how many cells, verdicts, the smallest ratio and
        where, and in how many the samples pass for the referee's law and their bracket holds its value."""
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in self.rows:
            groups.setdefault(tuple(row[key] for key in by), []).append(row)
        return [dict(zip(by, key, strict=True)) | _counts(rows) for key, rows in groups.items()]

    def to_json(self) -> str:
        """The text of a results file: a table, numbers to seven digits."""
        head = {
            "format": 1,
            "date": self.date,
            "seconds": round(self.seconds, 1),
            "seed": self.seed,
            "n": self.n,
            "versions": self.versions,
            "columns": COLUMNS,
        }
        lines = ",\n".join(
            json.dumps([_short(row[key]) for key in COLUMNS], ensure_ascii=False) for row in self.rows
        )
        return f'{json.dumps(head, ensure_ascii=False)[:-1]}, "rows": [\n{lines}\n]}}\n'

    @staticmethod
    def from_json(text: str, name: str = "results") -> Matrix:
        """What `to_json` wrote. Raises `BadInput` naming the file for anything else."""
        try:
            raw = json.loads(text)
            if raw["format"] != 1 or raw["columns"] != COLUMNS:
                raise ValueError
            rows = tuple(dict(zip(COLUMNS, row, strict=True)) for row in raw["rows"])
            numbers = float(raw["seconds"]), int(raw["seed"]), int(raw["n"])
            return Matrix(rows, str(raw["date"]), *numbers, dict(raw["versions"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BadInput(name, "its text", "is no results file of wbound verify --all") from None


def _short(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return float(f"{value:.7g}") if math.isfinite(value) else None


def _counts(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    by_ratio = [row for row in rows if row["ratio"] is not None]
    least = min(by_ratio, key=lambda row: row["ratio"]) if by_ratio else None
    tested = [row["p"] for row in rows if row["p"] is not None]
    both = [row for row in rows if row["exact"] is not None and row["low"] is not None]
    names = ("holds", REFUTED, UNDECIDED, REFUSED)
    return {
        "cells": len(rows),
        **{name.replace(" ", "_"): sum(row["verdict"] == name for row in rows) for name in names},
        "ratio": None if least is None else least["ratio"],
        "where": "" if least is None else f"{least['process']}, {least['scheme']}, K = {least['K']}",
        "tested": len(tested),
        "agree": sum(p >= RISK for p in tested),
        "bracketed": len(both),
        "inside": sum(row["low"] <= row["exact"] <= row["high"] for row in both),
    }


def verify_all(
    *,
    seed: int = 0,
    n: int = N,
    jobs: int | None = None,
    which: Sequence[Cell] | None = None,
    progress: Callable[[int, int, dict[str, Any]], None] = lambda done, total, row: None,
) -> Matrix:
    """Run the verification matrix.

    seed: of every cell's samples; n: points of a bracket in d > 1; jobs: processes (default: the cores that
    this one may use); which: cells (default: all, `cells`); progress: called with how many are done, of how
    many, and the row. Rows do not depend on ``jobs``.
    """
    chosen = list(cells() if which is None else which)
    seed, n = count("seed", seed, 0), count("n", n, 16)
    begun, rows = time.monotonic(), []
    for row in _rows(chosen, seed, n, jobs):
        rows.append(row)
        progress(len(rows), len(chosen), row)
    versions = {name: metadata.version(name) for name in ("numpy", "scipy", "numba")}
    date = datetime.now(UTC).isoformat(timespec="minutes")
    return Matrix(tuple(rows), date, time.monotonic() - begun, seed, n, versions)


def _rows(chosen: Sequence[Cell], seed: int, n: int, jobs: int | None) -> Iterator[dict[str, Any]]:
    if jobs == 1 or len(chosen) < 2:
        yield from (run_cell(cell, seed, n) for cell in chosen)
        return
    with needing("samplers"):
        from joblib import Parallel, cpu_count, delayed

    workers = cpu_count() if jobs is None else count("jobs", jobs)
    pool = Parallel(n_jobs=min(workers, len(chosen)), return_as="generator", batch_size=1)
    with uninterrupted(processes=True):
        rows = pool(delayed(run_cell)(cell, seed, n) for cell in chosen)
    yield from rows
