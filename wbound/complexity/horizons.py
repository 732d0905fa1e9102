"""Where T is searched for K(ε): from where the start's share is ε to where it no longer counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy

from wbound.calculus.roots import root
from wbound.errors import BadInput, Unreachable
from wbound.forward.forward_process import Process
from wbound.summation.criterion import Criterion, value_at
from wbound.summation.step_sums import COARSE

__all__ = ["Horizons", "bracket_of", "grows", "within_reach"]

#: Steps beyond T that sums look at, as a share of it: λ must be finite there too.
LATER = 1.0 / 256.0
#: How near an end of the bracket is found: no best T is so near it, where the start takes all of ε, or 1e-4 of it.
EDGE = 1e-5
#: u far below any horizon of use, and where doubles end.
BELOW, LOWEST = -60.0, -600.0


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


def grows(process: Process, T: float, later: float) -> bool:
    """Whether log λ is finite and still grows from T to ``later``, in doubles: f and g of a user's own may be beyond
    them, or below, long before `Process.t_max`."""
    try:
        with np.errstate(all="ignore"):  # looking for where it ends
            here, beyond = process.log_lam(np.array([T, later])) if later > T else 2 * (process.log_lam(T),)
    except BadInput:  # f and g are not finite so late, or cannot be integrated
        return False
    return bool(np.isfinite(here) and np.isfinite(beyond) and (beyond > here or later <= T))


def bracket_of(
    process: Process, first: Callable[[float], float], eps: float, stopped: float = 0.0
) -> tuple[float, float]:
    """The horizons u where the start's share is what ``stopped``, √(dδ), leaves of ε, and where it is 1e-4 of that
    (or as far as λ is finite and grows)."""
    horizons = Horizons(process.t_max)
    last, cut = horizons.last, False

    def good(u: float) -> bool:
        T = horizons.time(u)
        later = horizons.time(min(u + LATER, horizons.last)) if process.name == "user" else T
        if not grows(process, T, later):
            return False
        try:
            at(u)
        except BadInput:  # a profile given in λ itself ends with doubles
            return False
        return True

    known: dict[float, float] = {}

    def at(u: float) -> float:
        if u not in known:
            known[u] = first(horizons.time(u))
        return known[u]

    def stop(inside: float, outside: float, level: float = -1.0) -> float:
        """The last good u between two, or one where the start's share is below ``level`` already."""
        nonlocal last, cut
        while outside - inside > 1e-6:
            middle = 0.5 * (inside + outside)
            if not good(middle):
                outside = middle
            elif at(middle) <= level:
                return middle
            else:
                inside = middle
        last, cut = inside, True
        return last

    if not good(0.0):
        lo, step = -1.0, 1.0
        while not good(lo):
            lo, step = lo - step, 2.0 * step
            if lo < LOWEST:
                raise BadInput("process", repr(process), "lam(t) grows nowhere in double precision")
        stop(lo, 0.0)

    def reach(level: float) -> float | None:
        lo, hi = BELOW, min(0.0, last)
        while not at(hi) <= level:
            if hi >= last:
                return None
            lo, hi = hi, min(hi + 1.0 + abs(hi), last)
            if not good(hi):
                hi = stop(lo, hi, level)
        while at(lo) <= level and lo > LOWEST:
            lo, hi = lo - 20.0, lo
        if not at(lo) > level:
            return lo
        step = 1.0
        while hi - step > lo and at(hi - step) <= level:
            hi, step = hi - step, 2.0 * step
        lo = max(lo, hi - step)

        def above(u: float) -> float:
            value = at(u)
            return min(math.log(value / level), 700.0) if value > 0.0 else -700.0

        found = root(above, lo, hi, EDGE) if at(hi) < level else hi
        inside = min(found + EDGE, hi)
        return inside if at(inside) <= level else min(found + 2.0 * EDGE, hi)

    # as T → 0 the start's share is all of ‖X_0‖: an ε above that leaves T free downward, where nothing is won
    room = min(eps - stopped, 0.98 * at(BELOW))
    low = reach(room)
    if low is None:
        floor = stopped + min(
            at(float(u)) for u in np.append(np.linspace(min(-5.0, last - 1.0), last, 66), last)
        )
        if cut and _rises(process, horizons, last):
            where = f"T = {horizons.time(last):.6g}, the last with f, g, lam(T) and the data's profile in double precision"
            raise Unreachable.beyond(eps, floor, where, "the limit as K grows")
        raise Unreachable(eps, floor, "the start: lam(t) stays too small for this process")
    high = reach(1e-4 * room)
    return low, high if high is not None else max(min(low + 4.0, last), low)


def _rises(process: Process, horizons: Horizons, u: float) -> bool:
    """Whether log λ still rises where doubles end, or settled before."""
    before, here = (float(process.log_lam(horizons.time(v))) for v in (u - 0.1, u))
    return here - before > 1e-9


def within_reach(criterion: Criterion, eps: float, bracket: tuple[float, float]) -> tuple[float, float]:
    """Where some K works: with a biased score the limit K → ∞ leaves start + score (and √(dδ) where it stops
    early), below ε on a stretch of T only. Refuses ε below its minimum over T."""

    def limit(u: float) -> float:
        return value_at(criterion, u, 1e18, COARSE).limit

    lo, hi = bracket
    grid = np.linspace(lo, hi, 13)
    values = [value.limit for value in criterion(grid, np.full(13, 1e18), COARSE)]
    i = int(np.argmin(values))
    found = scipy.optimize.minimize_scalar(
        limit, bounds=(float(grid[max(i - 1, 0)]), float(grid[min(i + 1, 12)])), method="bounded"
    )
    best, floor = (float(found.x), float(found.fun)) if found.fun < values[i] else (float(grid[i]), values[i])
    if not math.isfinite(floor):
        raise Unreachable.beyond(eps, floor, "K = 1e+18 steps", "the bound")
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
