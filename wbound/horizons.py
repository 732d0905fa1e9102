"""Where T is searched for K(ε): from where the start's share is ε to where it no longer counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from wbound.criteria import Criterion, ends_of, value_at
from wbound.errors import Unreachable
from wbound.forward import Process
from wbound.lazily import minimize_scalar
from wbound.tally import COARSE

__all__ = ["Horizons", "bracket_of", "within_reach"]


class Horizons(NamedTuple):
    """T as searched: by u = log T, or by u = log(T/(t* − T)) where the clock is infinite at a finite t*,
    since there the last 1e-7 of T's range may hold half of log λ's."""

    end: float

    @property
    def last(self) -> float:
        """The largest u: log T where doubles end, or where T could not be told from t*."""
        return 600.0 if math.isinf(self.end) else 34.0

    def time(self, u: float) -> float:
        """T at u."""
        return math.exp(u) if math.isinf(self.end) else self.end / (1.0 + math.exp(-u))


def bracket_of(process: Process, first: Callable[[float], float], eps: float) -> tuple[float, float]:
    """The horizons u where the start's share is ε, and where it is 1e-4 ε (or as far as λ goes)."""
    horizons = Horizons(process.t_max)

    def at(u: float) -> float:
        return first(horizons.time(u))

    def reach(level: float) -> float | None:
        lo, hi = -60.0, 0.0
        while at(hi) > level:
            if hi >= horizons.last:
                return None
            lo, hi = hi, min(hi + 1.0 + abs(hi), horizons.last)
            if not math.isfinite(ends_of(process, horizons.time(hi))[1]):
                return None
        while at(lo) <= level and lo > -600.0:
            lo, hi = lo - 20.0, lo
        for _ in range(60):
            mid = 0.5 * (lo + hi)
            lo, hi = (mid, hi) if at(mid) > level else (lo, mid)
            if hi - lo < 1e-6:
                break
        return hi

    # as T → 0 the start's share is all of ‖X_0‖: an ε above that leaves T free downward, where nothing is won
    eps = min(eps, 0.98 * at(-60.0))
    low = reach(eps)
    if low is None:
        floor = min(
            at(float(u))
            for u in np.linspace(-5.0, min(60.0, horizons.last), 66)
            if math.isfinite(ends_of(process, horizons.time(float(u)))[1])
        )
        raise Unreachable(eps, floor, "the start: lam(t) stays too small for this process")
    high = reach(1e-4 * eps)
    return low, high if high is not None else min(low + 4.0, horizons.last)


def within_reach(criterion: Criterion, eps: float, bracket: tuple[float, float]) -> tuple[float, float]:
    """Where some K works: with a biased score the limit K → ∞ leaves start + score (and √(dδ) where it stops
    early), below ε on a stretch of T only. Refuses ε below its minimum over T."""

    def limit(u: float) -> float:
        return value_at(criterion, u, 1e18, COARSE).limit

    lo, hi = bracket
    grid = np.linspace(lo, hi, 13)
    values = [value.limit for value in criterion(grid, np.full(13, 1e18), COARSE)]
    i = int(np.argmin(values))
    found = minimize_scalar(
        limit, bounds=(float(grid[max(i - 1, 0)]), float(grid[min(i + 1, 12)])), method="bounded"
    )
    best, floor = (float(found.x), float(found.fun)) if found.fun < values[i] else (float(grid[i]), values[i])
    if floor >= eps:
        raise Unreachable(eps, floor, "the score's bias M together with the start")

    def edge(outside: float) -> float:
        """Where the limit crosses ε between ``outside`` and the best T."""
        inside = best
        if limit(outside) < eps:
            return outside
        for _ in range(24):
            middle = 0.5 * (inside + outside)
            inside, outside = (middle, outside) if limit(middle) < eps else (inside, middle)
        return inside

    return edge(lo), edge(hi)
