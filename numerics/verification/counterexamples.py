"""A directed search for counterexamples: optimisers that make bound/exact as small as it gets, and a dense grid.

The exact law of Gaussian data is known for every process, scheme and grid, so a ratio below 1 would refute a theorem
(or its code). Where an optimiser stops is an upper limit on the smallest ratio there is, no value of it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from numerics.io.interrupts import uninterrupted
from wbound.bounds.theorem import Theorem
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, WboundError, count, positive
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.extras import needing
from wbound.forward.catalogue import CATALOGUE
from wbound.sampler.description import Description, process_of
from wbound.sampler.scheme import SCHEMES
from wbound.theory.statements import THEOREMS, upper_bound
from wbound.typing import Array

__all__ = [
    "CELLS",
    "COUNTEREXAMPLE",
    "FAMILIES",
    "Case",
    "Family",
    "Found",
    "dense",
    "evaluate",
    "parsed",
    "plans",
    "record",
    "search",
]


#: A ratio below this is no rounding: both sides carry about 1e-13.
COUNTEREXAMPLE = 1.0 - 1e-9
#: Exact values below this share of ‖X_0‖ are not looked at: there the ratio is one of roundings.
NOISE = 1e-9
#: Steps at most: small K is where a bound is nearly attained, and quick.
MOST_STEPS = 300
#: Where nothing can be compared (a hypothesis fails, nothing is finite), as log ratio.
NOTHING = 60.0
#: Cells of the dense grid.
CELLS = 10**6


@dataclass(frozen=True)
class Family:
    """What is searched as one: a theorem, a scheme and a start."""

    theorem: str
    scheme: str
    start: str

    @property
    def statement(self) -> str:
        """The theorem's name in docs/theory.md."""
        return self.by.id

    @property
    def by(self) -> Theorem:
        """The theorem."""
        return upper_bound(self.theorem, self.scheme)


#: From p_T, where the start cannot hide the terms, and from the prior.
FAMILIES: tuple[Family, ...] = tuple(
    Family(theorem, name, start)
    for start in ("exact", "prior")
    for theorem in THEOREMS
    for name, scheme in SCHEMES.items()
    if upper_bound(theorem, scheme).takes(scheme)
)


@dataclass(frozen=True)
class Case:
    """Everything a comparison depends on: ``T`` and ``K``; nodes at τ_k = T(1 − k/K)^warp; eigenvalues ς² and means
    (x², x)."""

    process: str
    parameters: Mapping[str, float]
    T: float
    K: int
    warp: float
    variances: tuple[float, ...]
    mean: tuple[float, ...]

    def described(self, family: Family) -> Description:
        """The setting of this case in a family; Theorem 1's M_1 is left to who knows how exactly it is wanted."""
        grid = {} if self.warp == 1.0 else {"grid": "power", "grid_options": {"exponent": self.warp.hex()}}
        law = {"variances": self.variances, "means": self.mean}
        return Description(
            self.process,
            {name: value.hex() for name, value in self.parameters.items()},
            {"d": len(self.mean), **{name: tuple(x.hex() for x in values) for name, values in law.items()}},
            self.T.hex(),
            self.K,
            scheme=family.scheme,
            theorem=family.theorem,
            start=family.start,
            **grid,  # type: ignore[arg-type]
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; nothing is rounded, so that it can be run again."""
        lists = {"variances": list(self.variances), "mean": list(self.mean)}
        return {**vars(self), "parameters": dict(self.parameters), **lists}

    @staticmethod
    def from_dict(value: Mapping[str, Any]) -> Case:
        """The inverse of `to_dict`."""
        return Case(**{**value, "variances": tuple(value["variances"]), "mean": tuple(value["mean"])})


def evaluate(family: Family, case: Case) -> tuple[float, float]:
    """The bound and the exact W2 of one case (x, not squared). Raises what a bad setting raises."""
    described = case.described(family)
    if family.by.needs_M1:
        law = described.made_data
        assert isinstance(law, Gaussian)
        described = described.but(M1=law.M1(described.made_process, case.T, rtol=1e-2).hex())
    s = described.setting
    return float(family.by(s).total), float(EXACT_LAW(s))


# ---------------------------------------------------------------------- an optimiser's coordinates


def _parameters(process: str) -> list[str]:
    return [name for name, _ in CATALOGUE[process].defaults]


def _box(process: str, family: Family) -> list[tuple[float, float]]:
    """Ranges of the coordinates, mostly logarithms to base 10."""
    box = [(-2.0, 2.0)] * len(_parameters(process))  # the process's parameters
    box += [(-2.0, 12.0)]  # λ(T)
    box += [(0.0, math.log10(MOST_STEPS))]  # K
    box += [(-0.7, 0.7)]  # the grid's exponent (Theorem 1: none)
    level = (-1.7, 2.0) if family.by.more_steps else (-3.0, 3.0)
    return [*box, level, (0.0, 3.0), (-3.0, 3.0)]  # ς², the spectrum's condition, the mean over ς


def _case(process: str, x: Array, family: Family) -> Case:
    """The case at a point of the box. Raises what the clock raises."""
    names = _parameters(process)
    n = len(names)
    parameters = {name: float(10.0 ** x[i]) for i, name in enumerate(names)}
    made = process_of(process, {name: value.hex() for name, value in parameters.items()})
    T = float(made.time_of(float(x[n]) * math.log(10.0))[()])
    K = max(round(10.0 ** float(x[n + 1])), 1)
    level, condition, mean = (float(10.0**v) for v in x[n + 3 : n + 6])
    if family.by.more_steps:  # the step-size condition: nothing much narrower than the last step
        level *= float(made.lam(T / K)) * condition * 30.0
    # two eigenvalues unless their quotient is 1; below 1e-2 the mean is none
    variances = (level,) if condition < 1.05 else (level, level / condition)
    centre = mean * math.sqrt(level) if mean > 1e-2 else 0.0
    warp = 1.0 if family.by.more_steps else float(10.0 ** x[n + 2])
    return Case(process, parameters, T, K, warp, variances, (centre, 0.0)[: len(variances)])


@dataclass(frozen=True)
class Found:
    """The smallest ratio of a family, and how it was found: ``evaluations`` of the ratio, ``starts`` of the optimiser."""

    family: Family
    ratio: float
    bound: float
    exact: float
    case: Case | None
    evaluations: int
    starts: int

    @property
    def refutes(self) -> bool:
        """Whether it is a counterexample."""
        return self.ratio < COUNTEREXAMPLE

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "statement": self.family.statement,
            "theorem": self.family.theorem,
            "scheme": self.family.scheme,
            "start": self.family.start,
            "ratio": self.ratio if math.isfinite(self.ratio) else None,
            "bound": self.bound if math.isfinite(self.bound) else None,
            "exact": self.exact if math.isfinite(self.exact) else None,
            "evaluations": self.evaluations,
            "starts": self.starts,
            "case": None if self.case is None else self.case.to_dict(),
        }


class _Objective:
    """log(bound/exact) at a point; remembers the smallest, and stops the optimiser at the deadline."""

    def __init__(self, family: Family, deadline: float, enough: float) -> None:
        self.family, self.deadline, self.enough = family, deadline, enough
        self.best, self.values = NOTHING, (math.inf, math.inf)
        self.case: Case | None = None
        self.evaluations = 0

    def at(self, process: str) -> Callable[[Array], float]:
        def value(x: Array) -> float:
            if time.monotonic() > self.deadline or math.exp(self.best) < self.enough:
                raise _Over
            self.evaluations += 1
            try:
                case = _case(process, x, self.family)
                bound, exact = evaluate(self.family, case)
            except (WboundError, OverflowError):
                return NOTHING
            size = math.sqrt(sum(case.variances) + sum(m * m for m in case.mean))
            if not (NOISE * size < exact < math.inf) or not 0.0 < bound < math.inf:
                return NOTHING
            log_ratio = math.log(bound) - math.log(exact)
            if log_ratio < self.best:
                self.best, self.case, self.values = log_ratio, case, (bound, exact)
            return log_ratio

        return value


class _Over(Exception):
    """The time is up."""


def _one(family: Family, seconds: float, seed: int, enough: float = 0.0) -> Found:
    """Differential evolution over one process after the other, each polished by Nelder–Mead from its best; ends at the
    deadline, or at a ratio below ``enough``."""
    from scipy.optimize import Bounds, differential_evolution, minimize

    objective = _Objective(family, time.monotonic() + seconds, enough)
    rng = np.random.default_rng(seed)
    names, starts = list(CATALOGUE), 0
    try:
        while True:
            for process in rng.permutation(names):
                box, f = _box(str(process), family), objective.at(str(process))
                starts += 1
                found = differential_evolution(
                    f, box, popsize=5, maxiter=20, tol=1e-8, polish=False, rng=rng, init="latinhypercube"
                )
                if found.fun < NOTHING:
                    limits = Bounds(*np.array(box).T)
                    minimize(
                        f,
                        found.x,
                        method="Nelder-Mead",
                        bounds=limits,
                        options={"maxfev": 300, "fatol": 1e-12},
                    )
    except _Over:
        pass
    ratio = math.exp(objective.best) if objective.case is not None else math.inf
    return Found(family, ratio, *objective.values, objective.case, objective.evaluations, starts)


def search(
    seconds: float,
    *,
    seed: int = 0,
    jobs: int | None = None,
    families: Iterable[Family] = FAMILIES,
    progress: Callable[[Found], None] = lambda found: None,
) -> list[Found]:
    """The smallest bound/exact of each family, ``seconds`` of processor time in all, shared evenly.

    seed: of the optimisers (how far they get depends on the machine); jobs: processes (default: all cores).
    """
    chosen = list(families)
    share = positive("seconds", seconds) / len(chosen)
    seed = count("seed", seed, 0)
    with needing("sweep"):
        from joblib import Parallel, cpu_count, delayed

    workers = cpu_count() if jobs is None else count("jobs", jobs)
    work = [(family, share, seed + i) for i, family in enumerate(chosen)]
    if workers == 1:
        results: Iterable[Found] = (_one(*each) for each in work)
    else:
        pool = Parallel(n_jobs=min(workers, len(chosen)), return_as="generator", batch_size=1)
        with uninterrupted(processes=True):
            results = pool(delayed(_one)(*each) for each in work)
    out = []
    for found in results:
        out.append(found)
        progress(found)
    return out


# ---------------------------------------------------------------------- the dense grid

_PARTS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("ve-exponential", (0.5, 2.0)),
    ("ve-constant", (0.3, 1.0, 3.0)),
    ("ve-sqrt", (0.3, 1.0, 3.0)),
    ("ve-polynomial", (0.5, 2.0)),
    ("ou", (0.5, 2.0)),
    ("vp-linear", (0.5, 2.0)),
    ("vp-polynomial", (0.5, 2.0)),
    ("vp-exponential", (0.5, 2.0)),
    ("sub-vp", (0.5, 2.0)),
)


def plans(cells: int = CELLS) -> dict[str, dict[str, Any]]:
    """The dense grid as configurations of `numerics.sweep.run`, at least ``cells`` cells (≥ 1000): the sharp theorems,
    and on a part of it Theorem 1, whose M_1 is dear."""
    cells = count("cells", cells, 1000)
    thin = 2 if cells < 10**5 else 1  # of a small grid every second value
    levels, narrow = np.geomspace(1e-2, 1e2, 5)[::thin].tolist(), [0.1, 1.0, 10.0][::thin]
    processes = [
        {"name": name, **{key: list(values[::thin]) for key in _parameters(name)}} for name, values in _PARTS
    ]
    common: dict[str, Any] = {
        "outputs": ["bound", "exact"],
        "process": processes,
        "target": [
            {"name": "isotropic", "variance": levels, "mean": [0.0, 3.0][::thin]},
            {"name": "geometric", "condition": [10.0], "variance": narrow, "mean": [0.0, 1.0][thin - 1 :]},
        ],
        "d": [1, 3][thin - 1 :],
        "T": [0.3, 1.0, 2.0, 4.0][thin - 1 :: thin],
        "start": ["exact", "prior"],
        "scheme": list(SCHEMES),
    }
    # Theorem 1: one process of each kind where it is a sample only
    few = processes if thin == 1 else [processes[1], processes[5]]
    published = {**common, "process": few, "scheme": ["em"], "theorem": "published", "M1": "exact"}
    published["K"] = [100, 1000][thin - 1 :]
    from numerics.sweep.config import read as read_plan

    each, own = (read_plan({**part, "K": [1]}).cells for part in (common, published))
    n = max(math.ceil((cells - len(published["K"]) * own) / each), 1)
    steps = np.unique(np.round(np.geomspace(1, MOST_STEPS, 4 * n)).astype(int))
    chosen = steps[np.linspace(0, steps.size - 1, n).round().astype(int)]
    return {"sharp": {**common, "K": [int(k) for k in chosen]}, "published": published}


def dense(out: Path | str, cells: int = CELLS, *, jobs: int | None = None) -> list[dict[str, Any]]:
    """Run `plans` as sweeps in ``out`` (again: it goes on) and return the smallest ratio by statement, scheme and
    start, with its inputs and how many cells were compared, were infinite, or had a hypothesis that fails."""
    from numerics.sweep.run import sweep

    rows: list[dict[str, Any]] = []
    for name, config in plans(cells).items():
        result = sweep(config, Path(out) / name, jobs=jobs)
        rows += _least(result.path)
    return rows


def _least(path: Path) -> list[dict[str, Any]]:
    with needing("sweep"):
        import pyarrow.parquet as pq

    table = pq.read_table(path).to_pandas()
    scale = np.sqrt(table["d"].to_numpy(float))
    compared = np.isfinite(table["bound"]) & np.isfinite(table["exact"]) & (table["exact"] > NOISE * scale)
    table["ratio"] = np.where(compared, table["bound"] / table["exact"].where(compared, 1.0), math.nan)
    table["refused"] = table["error"].notna()
    inputs = ["process", "process_parameters", "target", "target_parameters", "d", "grid", "T", "K", "M1"]
    out = []
    for (theorem, scheme, start), group in table.groupby(["theorem", "scheme", "start"], sort=False):
        some = group["ratio"].notna()
        best = group.loc[group["ratio"].idxmin()] if some.any() else None
        out.append(
            {
                "statement": upper_bound(theorem, scheme).id,
                "theorem": theorem,
                "scheme": scheme,
                "start": start,
                "cells": len(group),
                "compared": int(some.sum()),
                "refused": int(group["refused"].sum()),
                "ratio": None if best is None else float(best["ratio"]),
                "case": None if best is None else {key: _plain(best[key]) for key in inputs},
            }
        )
    return out


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else None if value is None or value != value else value


# ---------------------------------------------------------------------- stored


def record(
    found: Iterable[Found], grid: Iterable[Mapping[str, Any]], *, seconds: float, seed: int
) -> dict[str, Any]:
    """What a results file holds: date, versions, the search by family and the dense grid by family."""
    return {
        "format": 1,
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "seconds": round(seconds, 1),
        "seed": seed,
        "versions": {name: metadata.version(name) for name in ("wbound", "numpy", "scipy")},
        "search": [f.to_dict() for f in found],
        "grid": [dict(row) for row in grid],
    }


def parsed(text: str, name: str) -> dict[str, Any]:
    """The text of a results file. Raises `BadInput` naming it for anything else."""
    try:
        raw = json.loads(text)
        if raw["format"] != 1 or not raw["search"]:
            raise ValueError
        for row in raw["search"]:
            if row["case"] is not None:
                float(row["ratio"])
                Case.from_dict(row["case"])
        return dict(raw)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadInput(name, "its text", "is no results file of wbound search") from None
