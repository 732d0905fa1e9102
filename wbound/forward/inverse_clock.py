"""The clock read backward: at which time log λ has a value (section 0 of docs/theory.md)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from wbound.errors import BadInput
from wbound.typing import Array

__all__ = ["clock_table", "times_of"]


#: More values than this look at so many times first; of the catalogue's clocks a table is kept, over the logarithms of these
#: times, of so many.
TABULATED, KEPT = 65, (-40.0, 39.0, 257)

#: Newton's next move after one as small as this, in log t, is below rounding where the clock has a closed form.
NEAR = 1e-9


def times_of(process: Any, log_lam: ArrayLike, t_max: float) -> Array:
    """`Process.time_of`: safeguarded Newton in log t, since d log λ/d log t = t g²/σ² > 0. Raises `BadInput`."""
    target = np.atleast_1d(np.asarray(log_lam, float))
    out = np.zeros_like(target)
    todo = np.isfinite(target)
    if not todo.any():
        return out.reshape(np.shape(log_lam))
    goal = target[todo]
    table = process._clock_table
    if (
        table is None
        or not table[1][0] <= goal.min() <= goal.max() <= table[1][-1]
        or t_max < math.exp(table[0][-1])
    ):
        table = _clock_between(process, goal, t_max)
    logs, known, rates = table
    cell = np.clip(np.searchsorted(known, goal) - 1, 0, logs.size - 2)
    left, right = logs[cell], logs[cell + 1]
    if logs.size == 2:
        u = 0.5 * (left + right)
    elif rates is None:
        u = np.clip(np.interp(goal, known, logs), left, right)
    else:
        u = np.clip(
            _between(goal, known[cell], known[cell + 1], left, right, rates[cell], rates[cell + 1]),
            left,
            right,
        )
    at = np.arange(goal.size)  # those that are still on their way
    for _ in range(200):
        own, a, b = u[at], left[at], right[at]
        t = np.exp(own)
        log_alpha, here = process.law(t)
        gap = here - goal[at]
        a, b = np.where(gap < 0, own, a), np.where(gap >= 0, own, b)
        # a flat clock, or one too steep for doubles: bisect instead
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            slope = t * (process._g_of(t) * np.exp(-0.5 * here - log_alpha)) ** 2
            newton = own - gap / slope
        # an infinite slope would not move at all
        inside = (newton >= a) & (newton <= b) & np.isfinite(slope)
        new = np.where(inside, newton, 0.5 * (a + b))
        moved, size = np.abs(new - own), np.maximum(1.0, np.abs(new))
        u[at], left[at], right[at] = new, a, b
        # the last move was within rounding of log t, of log λ, or of the bracket
        close = moved <= 4e-16 * size
        if rates is not None:
            close |= inside & (moved <= NEAR) & (np.abs(gap) <= NEAR * np.maximum(1.0, np.abs(goal[at])))
        close |= np.abs(gap) <= 2e-16 * np.maximum(1.0, np.abs(goal[at]))
        close |= b - a <= 4e-16 * size
        at = at[~close]
        if not at.size:
            break
    out[todo] = np.exp(u)
    return out.reshape(np.shape(log_lam))


def _between(x: Array, x0: Array, x1: Array, y0: Array, y1: Array, rate0: Array, rate1: Array) -> Array:
    """The cubic through two values with two slopes."""
    h = x1 - x0
    s = (x - x0) / h
    r = 1.0 - s
    return np.asarray(
        r * r * ((1.0 + 2.0 * s) * y0 + s * h * rate0) + s * s * ((1.0 + 2.0 * r) * y1 - r * h * rate1)
    )


def _clock_between(process: Any, goal: Array, t_max: float) -> tuple[Array, Array, None]:
    """log t, ascending, and log λ there, around all of ``goal``. Raises `BadInput` when λ never gets there."""
    # log t brackets for all goals at once, inside the process's life
    last = math.log(min(t_max, (1.0 - 1e-14) * process.t_max))
    lo = hi = min(0.0, last - 1.0)
    lowest, highest = float(goal.min()), float(goal.max())
    step = 1.0
    while _readable(process, hi) < highest:
        lo_before, hi, step = hi, min(hi + step, last), min(2.0 * step, 32.0)
        if hi >= last or not np.isfinite(_readable(process, hi)):
            hi = _last_finite(process, lo_before, hi, highest)
            if _readable(process, hi) < highest:
                raise BadInput("log lam", f"{highest:.6g}", f"is never reached by process {process.name}")
            break
    step = 1.0
    while float(process.log_lam(np.exp(lo))) > lowest:
        lo, step = lo - step, min(2.0 * step, 32.0)
        if lo < -690.0:
            raise BadInput("log lam", f"{lowest:.6g}", f"is below what process {process.name} resolves")
    if goal.size > TABULATED:  # a table of the clock first: then a few steps of Newton are enough
        logs = np.linspace(lo, hi, TABULATED)
        known = process.log_lam(np.exp(logs))
        if np.isfinite(known).all() and (np.diff(known) > 0.0).all():
            return logs, known, None
    return np.array([lo, hi]), np.array([-np.inf, np.inf]), None


def clock_table(process: Any) -> tuple[Array, Array, Array] | None:
    """log t, ascending, log λ there and d log t/d log λ, of a process whose clock has a closed form."""
    first, last, n = KEPT
    logs = np.linspace(first, min(last, math.log((1.0 - 1e-14) * min(process.t_max, 1e300))), n)
    with np.errstate(all="ignore"):  # beyond doubles: left out
        t = np.exp(logs)
        log_alpha, known = process.law(t)
        rates = 1.0 / (t * (process._g_of(t) * np.exp(-0.5 * known - log_alpha)) ** 2)
    good = np.isfinite(known) & (np.abs(known) < 1e6) & np.isfinite(rates)
    logs, known, rates = logs[good], known[good], rates[good]
    return (logs, known, rates) if logs.size > 2 and (np.diff(known) > 0.0).all() else None


def _readable(process: Any, log_t: float) -> float:
    """log λ at e^{log_t}, nan where it is beyond double precision."""
    try:
        return float(process.log_lam(np.exp(log_t)))
    except BadInput:  # f and g are not finite so late, or cannot be integrated
        return math.nan


def _last_finite(process: Any, good: float, bad: float, enough: float) -> float:
    """The last log t at which log λ is finite, or any at which it is so and ``enough``."""
    for _ in range(60):
        mid = 0.5 * (good + bad)
        value = _readable(process, mid)
        if np.isfinite(value):
            good = mid
            if value >= enough:
                break
        else:
            bad = mid
    return good
