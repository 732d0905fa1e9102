"""Iteration complexity: K(ε) and T(ε) of each theorem and of the exact law, at any size (section 8).

The criterion is additive, and each theorem's own (`Theorem.over_steps`): Eq. 7″ for Theorem 2, Eq. 5 for Theorem 1, on the
uniform grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wbound.calculus.suprema import vertex
from wbound.complexity.exact_law_criterion import exact_criterion
from wbound.complexity.horizons import Horizons, bracket_of, within_reach
from wbound.data.log_concave import gaussian_data
from wbound.errors import BadInput, Unreachable, nonnegative, one_of, positive
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import STARTS, setting
from wbound.sampler.scheme import Scheme, scheme_named
from wbound.summation.criterion import (
    INFINITE,
    SUMMED,
    SUMMED_COARSELY,
    Criterion,
    Value,
    ends_of,
    value_at,
)
from wbound.summation.step_sums import CHECKED, COARSE, FINE, Quality
from wbound.theory.statements import THEOREMS, upper_bound
from wbound.typing import Array

__all__ = ["Iterations", "answer", "exact_iterations", "iterations"]


#: From so many steps on the power law says what one step less does, unless it comes within this part of a step.
NEAR, DOUBT = 512.0, 0.1
#: log K of a horizon where no K works at the present guess.
HOPELESS = 1e3
#: Beyond so many steps one more or less is below the value's error: K is then found to this relative one.
COUNTED, NOISE = 1e10, 1e-9
#: No K is looked for beyond: η³ is then near the end of doubles.
MOST = 1e90
#: Horizons looked at together, where they are tallied and where they are summed one by one.
WIDE, NARROW = 25, 9
#: log K is settled within this, by the power law; horizons are near enough to a parabola's within that, and so is
#: the bracket's part.
SETTLED, CLOSE, BENDS = 0.1, 0.012, 60.0
#: Where more steps than this are needed the power law holds from above well enough for a window.
LAWFUL = 3000.0
#: Within this the power law is a straight line in log K, whose slope two looks measure.
LINEAR = 0.25
#: How often the same horizons are looked at before the search closes in anyway.
LOOKS = 8


@dataclass(frozen=True)
class Iterations:
    """How many steps suffice: ``K`` steps of size ``eta`` = T/K on [0, T], T optimised unless given.

    ``bound`` is the criterion's value at (T, K), in x (W2, not squared), with its parts; ``criterion`` names
    it; ``summed`` says whether every step was summed, else ``relative_error`` estimates the value's error.
    K is the smallest on the branch where the criterion decreases: K works at T and K − 1 does not, which is
    counted up to 1e10 steps (``counted``). Beyond, K is a formula's value to a relative 1e-9 and that error:
    its digits after those say nothing.
    """

    K: int
    T: float
    eta: float
    eps: float
    bound: float
    initialisation: float
    discretisation: float
    score: float
    criterion: str
    summed: bool
    relative_error: float
    counted: bool


def _predicted(v: Value, K: float, eps: float, order: float) -> float:
    """K for ε from one evaluation: constant + x·linear + x²·fast + (start² + x²squared²)^{1/2} = ε, the law of
    `Value`, is solved for x, and x = (K/K_ε)^order."""
    A = eps - v.constant
    if A <= 0.0 or v.squared_start >= A or not v.discretisation < 1e100:
        return math.inf
    linear, squared, fast = v.linear / A, v.squared / A, v.fast / A
    begun = v.squared_start / A
    room = 1.0 - begun**2
    inside = linear**2 + (squared**2 - linear**2) * room
    power = (linear + math.sqrt(max(inside, 0.0))) / room
    if fast:  # Newton's method in x, from where fast is 0 or alone, downward: what is solved is convex
        x = min(1.0 / power if power else math.inf, 1.0 / math.sqrt(fast))
        for _ in range(12):
            root = math.hypot(begun, squared * x)
            over = (linear + fast * x) * x + root - 1.0
            slope = linear + 2.0 * fast * x + (squared**2 * x / root if root else 0.0)
            x -= over / slope
            if abs(over) <= 1e-15:
                break
        power = 1.0 / x
    if power <= 0.0:
        return 1.0
    log_K = math.log(K) + math.log(power) / order
    return math.exp(log_K) if log_K < 300.0 else math.inf


def _solve_K(criterion: Criterion, T: float, K: float, eps: float, order: float) -> tuple[int, Value]:
    """The smallest K on the decreasing branch at this T, from a guess; its value is `CHECKED` beyond `SUMMED`, where its
    error is not 0."""

    known: dict[float, Value] = {}

    def at(k: float, quality: Quality) -> Value:
        k = float(int(k)) if k <= SUMMED else k
        if k not in known:
            known[k] = value_at(criterion, T, k, quality)
        return known[k]

    k = max(float(math.ceil(min(K, MOST))), 1.0)
    v = at(k, FINE)
    for _ in range(40):
        law = max(_predicted(v, k, eps, order), 1.0)
        new = 2.0 * k if math.isinf(law) else law
        new = float(min(max(new, 0.25 * k), 4.0 * k, MOST))
        new = math.ceil(new) if new < 1e15 else new
        # so near the law says of the next step whether it works
        if new == k and NEAR <= k <= COUNTED and v.total <= eps and law - (k - 1.0) > DOUBT:
            return int(k), v
        if new == k or (k > COUNTED and abs(new - k) <= NOISE * k):
            break
        previous, k = k, new
        v = at(k, CHECKED if (k - previous) ** 2 < DOUBT * k else FINE)
        if abs(previous - k) <= 1.0 and not (NEAR <= k <= COUNTED):
            break
    k = float(math.ceil(k))
    v = at(k, FINE)
    # the edge lies between a K that fails and one that works: double away from here, then halve
    fine = 1.0 if k <= COUNTED else NOISE * k
    step, works, fails = fine, k, k
    while not v.total <= eps:
        fails, works = works, works + step
        if works > MOST:
            raise _cut_off(eps, v, MOST)
        step, v = 2.0 * step, at(works, FINE)
    step = fine
    while fine == 1.0 and works == k and works > 1.0 and fails == k:
        lower = max(works - step, 1.0)
        less = at(lower, FINE)
        if not less.total <= eps:
            fails = lower
            break
        works, k, fails, v, step = lower, lower, lower, less, 2.0 * step
    while works - fails > fine and works > 1.0:
        middle = math.floor(0.5 * (works + fails)) if fine == 1.0 else 0.5 * (works + fails)
        candidate = at(middle, FINE)
        if candidate.total <= eps:
            works, v = middle, candidate
        else:
            fails = middle
    return int(works), v


def _cut_off(eps: float, v: Value, K: float) -> Unreachable:
    """Where no more steps are looked at: a floor only where the limit K → ∞ is one."""
    if v.limit >= eps and math.isfinite(v.limit):
        return Unreachable(eps, v.limit, "start and score error at this T")
    limit = f" (which tends to {v.limit:.6g} as K grows)" if math.isfinite(v.limit) else ""
    return Unreachable.beyond(eps, v.total, f"K = {min(K, MOST):.3g} steps", f"the bound{limit}")


def _secant(
    x: Array, off: Array, before: tuple[Array, Array] | None, slope: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """d off/d log K of each horizon, from its last two K, and whether it is: −1 where the power law is exact, −2 where the bound
    falls twice as fast as its limit, as Theorem 1's does while M_1ηG dominates."""
    if before is None:
        return slope, np.zeros(x.size, bool)
    step = x - before[0]
    known = np.isfinite(off) & np.isfinite(before[1]) & (np.abs(step) > 1e-6)
    change = np.subtract(off, before[1], where=known, out=np.zeros(off.size))
    return np.where(known, np.clip(change / np.where(known, step, 1.0), -3.0, -0.6), slope), known


def _search(
    criterion: Criterion,
    eps: float,
    order: float,
    bracket: tuple[float, float],
    guess: float,
    length_of: Callable[[float], float],
) -> tuple[int, float, Value]:
    """The smallest K over the horizons u in the bracket, and that u; the criterion takes u for T. ``guess``: K at the
    longest; ``length_of``: what K steps share at u."""
    lo, hi = bracket

    def alike(u: Array, i: int, log_K: float) -> Array:
        """log K of steps as long as those of horizon i with K: then one pass over the longest serves them all."""
        logs = np.log([length_of(float(at)) for at in u])
        return np.maximum(log_K + logs - logs[i], 0.0)

    # the start's share falls by 1e-4 over the bracket: what bends K over T may be as narrow
    close = min(CLOSE, (hi - lo) / BENDS)
    u = np.linspace(lo, hi, WIDE)
    log_K = alike(u, -1, math.log(guess))
    # far above its K a bound falls by the power law, and far below it no T works
    slope, before = np.full(u.size, -1.0 if order <= 1.0 else -1.6), None
    best, found, looks, lost = 0.5 * (lo + hi), math.log(guess), 0, True
    last: tuple[float, float] | None = None  # log K and what it was off by at the best of the window before
    tries = 0
    # look at several T at once, each with a K of its own; close in on the best once its K settles
    for _ in range(60):
        K = np.exp(log_K)
        values = criterion(u, K, COARSE)
        needed = np.array([_predicted(v, float(k), eps, order) for v, k in zip(values, K, strict=True)])
        hope = np.isfinite(needed)
        off = np.log(needed, where=hope, out=np.full(u.size, np.inf)) - log_K
        if not hope.any():  # K is too small everywhere, or a hypothesis asks for more steps
            tries += 1
            log_K, before = log_K + max(1, tries - 8) * math.log(8.0), None
            if tries == 20 or log_K.min() > math.log(MOST):
                break
            continue
        lost = False
        slope, measured = _secant(log_K, off, before, slope)
        if (
            last is not None and hope.all()
        ):  # the slope between two windows, one for all: what varies moves the vertex
            here = np.interp(best, u, log_K), np.interp(best, u, off)
            if abs(here[0] - last[0]) > SETTLED:
                slope = np.full(u.size, np.clip((here[1] - last[1]) / (here[0] - last[0]), -3.0, -0.6))
                measured = hope
        last = None
        before = log_K, off
        cost = log_K - np.where(hope, off / slope, -HOPELESS)
        i = int(np.argmin(cost))
        best, found = float(u[i]), max(float(cost[i]), 0.0)
        if off[i] <= 0.0 and log_K[i] == 0.0:  # one step is enough
            break
        spacing = float(u[1] - u[0])
        near = slice(max(i - 1, 0), i + 2)
        inside = 0 < i < u.size - 1
        best = vertex(u[near], cost[near]) if inside and hope[near].all() else float(u[i])
        # K is a whole number: where it is small it cannot settle; far above what is needed the law holds
        looks, settled = looks + 1, np.abs(off) <= SETTLED + math.exp(-log_K[i])
        settled |= measured & (np.abs(off) <= LINEAR)
        if spacing >= close and cost[i] > math.log(LAWFUL) and (slope[near] == -1.0).all():
            settled |= off < 0.0
        # a window is placed by its best, and closed around it by its neighbours as well
        judged = slice(i, i + 1) if spacing >= close else near
        if looks < LOOKS and not settled[judged][hope[judged]].all():
            # where no K works yet that is not far above the best, a larger one may
            stuck = ~hope & (log_K > cost[i] + 7.0)
            raised = log_K + np.where(stuck, 0.0, math.log(8.0))
            each = np.maximum(np.where(hope, cost, raised), 0.0)
            log_K = alike(u, i, float(cost[i])) if hope.all() else each
            continue
        if inside or u[i] in (lo, hi):
            if spacing < close:
                break
            width = 2.2 * spacing
        else:  # look on, beyond the window's end
            width = float(u[-1] - u[0])
        left = min(max(best - 0.5 * width, lo), max(hi - width, lo))
        known, known_K, costs, slopes = u[hope], log_K[hope], cost[hope], slope[hope]
        # equal steps are quick; but what is off must not vary with T where the last window's vertex decides
        quick = found > math.log(LAWFUL) and width / (WIDE - 1) >= close
        u = np.linspace(left, min(left + width, hi), WIDE if quick else NARROW)
        log_K, slope, before = (
            np.maximum(np.interp(u, known, costs), 0.0),
            np.interp(u, known, slopes),
            None,
        )
        last = float(np.interp(best, known, known_K)), float(np.interp(best, known, off[hope]))
        if quick:
            i = int(np.argmin(np.abs(u - best)))
            log_K = alike(u, i, float(log_K[i]))
        looks = 0
    if lost:
        least = min(values, key=lambda v: v.total)
        raise _cut_off(eps, least, float(K[0]))
    if found > math.log(MOST):
        raise _cut_off(eps, value_at(criterion, best, MOST, FINE), MOST)
    k, v = _solve_K(criterion, best, math.exp(found), eps, order)
    if k <= 4096:
        return _polish(criterion, eps, bracket, best, k, v)
    return k, best, v


def _polish(
    criterion: Criterion, eps: float, limits: tuple[float, float], u: float, k: int, v: Value
) -> tuple[int, float, Value]:
    """For small K the power law is rough: lower K one by one while some T works."""
    while k > 1:
        at = _lowest(criterion, float(k - 1), u, limits)
        fewer = value_at(criterion, at, float(k - 1), FINE)
        if not fewer.total <= eps:
            break
        u, k, v = at, k - 1, fewer
        smaller, better = _solve_K(criterion, u, float(k), eps, 1.0)
        if smaller < k:
            k, v = smaller, better
    return k, u, v


def _lowest(criterion: Criterion, K: float, u: float, limits: tuple[float, float]) -> float:
    """The horizon with the smallest value at this K, from one near it: vertices of three parabolas, ever
    narrower where they are inside."""
    reach = 0.05
    for _ in range(8):
        x = np.clip(u + reach * np.array([-1.0, 0.0, 1.0]), *limits)
        y = np.array([value.total for value in criterion(x, np.full(3, K), COARSE)])
        if not np.isfinite(y).all():
            return float(x[int(np.argmin(y))])
        inside = bool(y[1] <= y[0] and y[1] <= y[2])
        u = vertex(x, y)
        if inside:
            if reach < 0.02:
                break
            reach *= 0.2
    return u


def _last(process: Process, data: Any) -> float:
    """The time at which the steps end: that of λ = δ for early-stopped data."""
    delta = getattr(data, "delta", 0.0)
    return float(process.time_of(math.log(delta))) if delta else 0.0


def iterations(
    process: Process,
    data: Any,
    eps: float,
    *,
    scheme: str | Scheme = "em",
    theorem: str = "sharp",
    start: str = "prior",
    score_bias: float = 0.0,
    score_noise: float = 0.0,
    M1: float | str | None = None,
    T: float | None = None,
) -> Iterations:
    """The smallest K on the uniform grid whose bound is ≤ ε, T optimised unless given (section 8). *upper*

    eps: W2, not squared, in the data's units. theorem "sharp" uses Eq. 7″ (ddpm: or Eq. 9′ if smaller), which
    is at least the total of `w2_bound`, and Eq. 15 for ODE schemes, 21 if of two stages; "published": Eq. 5 (scheme em, needs
    M1: a number or "exact"). start "exact" needs T, since T → 0 is then free. Raises `Unreachable` with the
    floor that the score's bias, early stopping or the process's clock sets, `BadInput`, `HypothesisFailed`.
    For early-stopped data (δ > 0) the steps are uniform down to λ_K = δ, and √(dδ) is in the bound.
    """
    eps = positive("eps", eps)
    chosen = scheme_named(scheme)
    one_of("theorem", theorem, THEOREMS)
    one_of("start", start, STARTS)
    M, V = nonnegative("score_bias", score_bias), nonnegative("score_noise", score_noise)
    last = _last(process, data)
    # the same checks as w2_bound's, at a setting that cannot overflow; M1's value is checked below
    probe = setting(
        process,
        data,
        positive("T", T) if T is not None else min(max(1.0, 2.0 * last), 0.5 * (last + process.t_max)),
        1,
        scheme=chosen,
        start=start,
        score_bias=M,
        score_noise=V,
        M1=0.0 if M1 is not None else None,
    )
    by = upper_bound(theorem, chosen)
    by.check(probe, but=by.more_steps)
    assert by.over_steps is not None  # a theorem without is about profiles, which the check refused
    criterion = by.over_steps(process, data, chosen, start, M, V, M1)

    def first(t: float) -> float:
        if t <= last:  # no sampler starts below δ
            return math.inf
        return by.start(data, start, process, *ends_of(process, t))

    stopped = math.sqrt(data.d * data.delta)
    name = by.criterion(chosen)
    found = answer(
        process, criterion, first, eps, by.order, name, start, T, M, data.second_moment, last, stopped
    )
    data.check(math.log(data.delta) if data.delta else -math.inf, ends_of(process, found.T)[1])
    return found


def answer(
    process: Process,
    criterion: Criterion,
    first: Callable[[float], float],
    eps: float,
    order: float,
    name: str,
    start: str,
    T: float | None,
    M: float,
    second_moment: float,
    last: float = 0.0,
    stopped: float = 0.0,
) -> Iterations:
    """The smallest K of a criterion, and its T: ``first`` is the start's share at T as η → 0, ``order`` the power
    by which the rest falls, ``last`` where the steps end, ``stopped`` what early stopping costs. Raises
    `Unreachable`."""
    room = eps - stopped
    if room <= 0.0:
        raise Unreachable(eps, stopped, "early stopping, sqrt(d delta)")
    if T is None:
        if start == "exact":
            raise BadInput("T", "None", "must be given for start = exact, where T -> 0 costs nothing")
        horizons = Horizons(process.t_max)
        bracket = bracket_of(process, first, eps, stopped)

        def placed(u: Array, K: Array, quality: Quality) -> list[Value]:
            times = np.array([horizons.time(float(v)) for v in u])
            # steps longer than what is left before λ = ∞
            fits = (K <= SUMMED_COARSELY) | ((times + times / K < process.t_max) & (K <= MOST))
            out, there = [INFINITE] * u.size, np.flatnonzero(fits)
            if there.size:
                for i, v in zip(there, criterion(times[there], K[there], quality), strict=True):
                    # rounding may have merged the last steps
                    out[i] = INFINITE if math.isnan(v.constant) else v
            return out

        if M:
            bracket = within_reach(placed, eps, bracket)
        # K ≍ T x^{1/order} with x = ‖X_0‖/ε (section 8); two decades above, where the power law is exact
        size = math.sqrt(second_moment) / eps
        longest = horizons.time(bracket[1])
        guess = min(max(100.0 * size ** (1.0 / order) * max(longest, 1.0), 2.0 * SUMMED), MOST)
        k, u, v = _search(placed, eps, order, bracket, guess, lambda u: horizons.time(u) - last)
        at = horizons.time(u)
    else:
        at = positive("T", T)
        limit = value_at(criterion, at, 1e18, FINE)
        if limit.limit >= eps:
            raise _cut_off(eps, limit, 1e18)
        k, v = _solve_K(criterion, at, _predicted(limit, 1e18, eps, order), eps, order)
    if k > SUMMED:
        if not v.error:  # not looked at yet
            v = value_at(criterion, at, float(k), CHECKED)
        for wider in (2.0, 4.0, 8.0, 16.0):  # what the check finds must fit below ε as well
            if v.total * (1.0 + v.error) <= eps or not v.error < 0.1:
                break
            k = math.ceil(k * (1.0 + wider * v.error / order))
            v = value_at(criterion, at, float(k), CHECKED)
    return Iterations(
        K=k,
        T=at,
        eta=(at - last) / k,
        eps=eps,
        bound=float(v.total),
        initialisation=float(v.initialisation),
        discretisation=float(v.discretisation),
        score=float(v.score),
        criterion=name,
        summed=k <= SUMMED,
        relative_error=float(v.error),
        counted=k <= COUNTED,
    )


def exact_iterations(
    process: Process, data: Any, eps: float, *, scheme: str | Scheme = "em", T: float | None = None
) -> Iterations:
    """The smallest K with W2(output from p_T, p_0) + W2(output from p_T, output from the prior) ≤ ε on
    Gaussian data. *exact*

    Section 6 says why not from the prior alone: a tuned T gives W2 near 0 at any K. eps in x (W2, not
    squared); T optimised unless given. Raises `HypothesisFailed` for data not known to be Gaussian.
    """
    eps = positive("eps", eps)
    target = gaussian_data(data)
    chosen = scheme_named(scheme)
    criterion = exact_criterion(process, target, chosen)

    def first(t: float) -> float:
        """W2 that the prior start alone makes as η → 0: a coordinate contracts by ς²/(ς² + λ), along the ODE
        by its root."""
        log_lam = ends_of(process, t)[1]
        v = target.eigenvalues
        left = (v * np.exp(-np.logaddexp(np.log(v), log_lam))) ** chosen.power
        sd = np.sqrt(v)
        narrowed = sd * -np.expm1(0.5 * np.log1p(-(left**2))) if left.max() < 1.0 else sd
        return math.sqrt(float(narrowed @ narrowed + ((left * target.coordinates) ** 2).sum()))

    return answer(
        process,
        criterion,
        first,
        eps,
        chosen.order,
        "exact law",
        "prior",
        T,
        0.0,
        target.second_moment,
    )
