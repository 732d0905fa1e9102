"""How far up the first noise level √λ(T) is worth going, and how far float32 follows.

The error of an ODE sampler tends to a limit as λ(T) → ∞: DDIM crosses levels far above the data in one step,
exactly. Its minimiser is then far out, or at infinity, and gains nothing: a search stops where more gains less
than `LEAST_GAIN`. A sampler in float32 that computes x + d·(σ_k − σ_{k−1}) rounds x by 2^−24 of its size before
the step, √(ς²+λ_{k−1}), which is to be little beside its size after it, √(ς²+λ_k).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy

from wbound.typing import Array

__all__ = ["DECADE", "HELD", "LEAST_GAIN", "LIMITS", "Level", "enough", "float32_holds", "float32_rounding"]


#: More of σ_max that lowers the error by less than this share is not worth having.
LEAST_GAIN = 0.01
#: Ten times σ_max, in log λ(T).
DECADE = 2.0 * math.log(10.0)
#: The most that one step may lose of x's size to rounding in float32.
HELD = 1e-3
#: Half a unit in the last place of float32, relative.
_ROUNDING = 2.0**-24
#: The limits of a search for λ(T), in words.
LIMITS = {
    "gain": f"more of σ_max gains less than {100 * LEAST_GAIN:g} %",
    "float32": f"with more of σ_max, a step in float32 rounds away over {HELD:g} of x",
    "process": "the process does not get farther in double precision",
    "range": "the end of the range that was searched",
}


class Level(NamedTuple):
    """A first level: log λ(T), the error there, which of `LIMITS` it sits at (None: an inner minimum), and log λ(T)
    of the least error known, however little that gains."""

    log_lam: float
    error: float
    limit: str | None
    farthest: float


def float32_rounding(log_lam: Array, log_variance: float) -> float:
    """The most that a step on the nodes log λ (K+1,) loses to rounding, relative to x after it: 2^−24·√((ς²+λ_{k−1})/
    (ς²+λ_k)), ς² the data's variance a coordinate, given as its log."""
    log_size = np.logaddexp(log_lam, log_variance)
    return _ROUNDING * math.exp(min(-0.5 * float(np.diff(log_size).min()), 700.0))


def float32_holds(log_lam: Array, log_variance: float) -> bool:
    """Whether no step loses more than `HELD`, on nodes that decrease: then none does if all of them together do not."""
    whole = float(np.ptp(np.logaddexp(log_lam[[0, -1]], log_variance)))
    if _ROUNDING * math.exp(min(0.5 * whole, 700.0)) <= HELD:
        return True
    return float32_rounding(log_lam, log_variance) <= HELD


def enough(
    error: Callable[[float], float], u: float, least: float, low: float, limit: str | None = None
) -> Level:
    """Where to stop: u itself if the minimum ``least`` = error(u) is an inner one, else the smallest log λ(T) ≥ low
    known from which nothing up to u gains `LEAST_GAIN`.

    error: of a schedule with this log λ(T), infinite where there is none; limit: of `LIMITS`, if u is where the
    search had to end. A minimum is an inner one if ten times its σ_max costs `LEAST_GAIN`.
    """
    if limit is None and error(u + DECADE) > least * (1.0 + LEAST_GAIN):
        return Level(u, least, None, u)
    most = least / (1.0 - LEAST_GAIN)
    good, bad = u, u
    while error(bad) <= most and bad > low:
        good, bad = bad, max(bad - 0.5 * DECADE, low)
    v = bad
    if error(bad) > most:
        v = float(scipy.optimize.brentq(lambda v: min(error(v) / most, 1e300) - 1.0, bad, good, xtol=1e-3))
        while error(v) > most:  # the root from the side that keeps the promise
            v = min(v + 1e-3, good)
    return Level(v, error(v), limit if limit is not None and v > u - DECADE else "gain", u)
