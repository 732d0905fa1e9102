"""Iteration complexity: K(ε) and T(ε) of each theorem and of the exact law, at any size (section 8).

The criterion is additive (`wbound.criteria`): Eq. 7″ for Theorem 2, Eq. 5 for Theorem 1, on the uniform grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wbound import ode, published, sharp
from wbound.criteria import (
    INFINITE,
    SUMMED,
    SUMMED_COARSELY,
    Criterion,
    Value,
    ends_of,
    exact_criterion,
    ode_criterion,
    published_criterion,
    sharp_criterion,
    vertex,
)
from wbound.errors import BadInput, Unreachable, nonnegative, one_of, positive
from wbound.forward import Process
from wbound.gaussian import gaussian_data
from wbound.horizons import Horizons, bracket_of, within_reach
from wbound.lazily import minimize_scalar
from wbound.schemes import Scheme, scheme_named
from wbound.setting import STARTS, setting
from wbound.tally import CHECKED, COARSE, FINE, Quality

__all__ = ["Iterations", "exact_iterations", "iterations"]

#: log K of a horizon where no K works at the present guess.
HOPELESS = 1e3


@dataclass(frozen=True)
class Iterations:
    """How many steps suffice: ``K`` steps of size ``eta`` = T/K on [0, T], T optimised unless given.

    ``bound`` is the criterion's value at (T, K), in x (W2, not squared), with its parts; ``criterion`` names
    it; ``summed`` says whether every step was summed, else ``relative_error`` estimates the value's error.
    K is the smallest on the branch where the criterion decreases: K works at T and K − 1 does not.
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


def _predicted(v: Value, K: float, eps: float, order: float) -> float:
    """K for ε from one evaluation: constant + x·linear + (start² + x²squared²)^{1/2} = ε, the law of `Value`,
    is solved for x, and x = (K/K_ε)^order."""
    A = eps - v.constant
    if A <= 0.0 or v.squared_start >= A or not v.discretisation < 1e100:
        return math.inf
    linear, squared = v.linear / A, v.squared / A
    room = 1.0 - (v.squared_start / A) ** 2
    inside = linear**2 + (squared**2 - linear**2) * room
    power = (linear + math.sqrt(max(inside, 0.0))) / room
    if power <= 0.0:
        return 1.0
    log_K = math.log(K) + math.log(power) / order
    return math.exp(log_K) if log_K < 300.0 else math.inf


def _solve_K(criterion: Criterion, T: float, K: float, eps: float, order: float) -> tuple[int, Value]:
    """The smallest K on the decreasing branch at this T, from a guess."""

    known: dict[float, Value] = {}

    def at(k: float) -> Value:
        k = float(int(k)) if k <= SUMMED else k
        if k not in known:
            known[k] = criterion(T, k, FINE)
        return known[k]

    k = max(float(math.ceil(K)), 1.0)
    v = at(k)
    for _ in range(40):
        new = max(_predicted(v, k, eps, order), 1.0)
        if math.isinf(new):
            new = 2.0 * k
        new = float(min(max(new, 0.25 * k), 4.0 * k))
        new = math.ceil(new) if new < 1e15 else new
        if new == k or (k > 1e10 and abs(new - k) <= 1e-10 * k):
            break
        previous, k = k, new
        v = at(k)
        if abs(previous - k) <= 1.0:
            break
    k = float(math.ceil(k))
    v = at(k)
    # the edge lies between a K that fails and one that works: double away from here, then halve
    fine = 1.0 if k < 1e10 else 1e-9 * k  # beyond, one step more or less is below the error of the value
    step, works, fails = fine, k, k
    while not v.total <= eps:
        fails, works = works, works + step
        if works > 1e60:
            raise Unreachable(eps, v.limit, "start and score error at this T")
        step, v = 2.0 * step, at(works)
    step = fine
    while works == k and works > 1.0 and fails == k:
        lower = max(works - step, 1.0)
        less = at(lower)
        if not less.total <= eps:
            fails = lower
            break
        works, k, fails, v, step = lower, lower, lower, less, 2.0 * step
    while works - fails > fine and works > 1.0:
        middle = math.floor(0.5 * (works + fails)) if fine == 1.0 else 0.5 * (works + fails)
        candidate = at(middle)
        if candidate.total <= eps:
            works, v = middle, candidate
        else:
            fails = middle
    return int(works), v


def _search(
    criterion: Criterion, eps: float, order: float, bracket: tuple[float, float], guess: float
) -> tuple[int, float, Value]:
    """The smallest K over the horizons u in the bracket, and that u; the criterion takes u for T."""
    lo, hi = bracket
    K = guess

    def cost(u: float) -> float:
        k = criterion(u, float(max(int(K), 1)) if K <= SUMMED else K, COARSE)
        needed = _predicted(k, K, eps, order)
        return math.log(needed) if math.isfinite(needed) else HOPELESS + min(k.initialisation / eps, 1e3)

    # sweeps: look at a few T, move the window to the best, shrink it once the best is inside and K settles
    width, best, points = hi - lo, 0.5 * (lo + hi), 7
    for _ in range(60):
        left = min(max(best - 0.5 * width, lo), hi - width) if width < hi - lo else lo
        grid = np.linspace(left, left + width, points)
        values = [cost(float(u)) for u in grid]
        i = int(np.argmin(values))
        best = float(grid[i])
        if values[i] >= HOPELESS:  # K is too small everywhere, or a hypothesis asks for more steps
            K *= 8.0
            continue
        off = values[i] - math.log(K)
        if K == 1.0 and off <= 0.0:  # one step is enough
            break
        # Theorem 1: half-way down while the guess is far off, for far below its own K no horizon works
        K = max(K * math.exp(0.5 * off if off < -4.0 and order < 1.0 else off), 1.0)
        inside = 0 < i < points - 1 or width >= hi - lo
        if abs(off) < 0.1 and inside:
            if width < 0.05:
                break
            width, points = 2.2 * width / (points - 1), 5
        elif abs(off) > 1.0 and inside:
            width = max(0.7 * width, 1e-3)
        elif inside:
            width, points = 0.5 * width, 5
    if 0 < i < points - 1 and max(values) < HOPELESS:  # the vertex of the parabola through three values
        best = vertex(grid[i - 1 : i + 2], np.array(values[i - 1 : i + 2]))
    k, v = _solve_K(criterion, best, K, eps, order)
    if k <= 4096:
        return _polish(criterion, eps, bracket, best, k, v)
    return k, best, v


def _polish(
    criterion: Criterion, eps: float, limits: tuple[float, float], u: float, k: int, v: Value
) -> tuple[int, float, Value]:
    """For small K the power law is rough: lower K one by one while some T works."""
    while k > 1:
        found = minimize_scalar(
            lambda w, fewer=float(k - 1): criterion(w, fewer, FINE).total,
            bounds=(max(u - 0.4, limits[0]), min(u + 0.4, limits[1])),
            method="bounded",
            options={"xatol": 1e-4},
        )
        if not found.fun <= eps:
            break
        u, k = float(found.x), k - 1
        v = criterion(u, float(k), FINE)
        smaller, better = _solve_K(criterion, u, float(k), eps, 1.0)
        if smaller < k:
            k, v = smaller, better
    return k, u, v


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
    is at least the total of `w2_bound`, and Eq. 15 for ODE schemes; "published" uses Eq. 5 (scheme em, needs
    M1: a number or "exact"). start "exact" needs T, since T → 0 is then free. Raises `Unreachable` with the
    floor that the score's bias, early stopping or the process's clock sets, `BadInput`, `HypothesisFailed`.
    For early-stopped data (δ > 0) the steps are uniform down to λ_K = δ, and √(dδ) is in the bound.
    """
    eps = positive("eps", eps)
    chosen = scheme_named(scheme)
    one_of("theorem", theorem, ("published", "sharp"))
    one_of("start", start, STARTS)
    M, V = nonnegative("score_bias", score_bias), nonnegative("score_noise", score_noise)
    last = _last(process, data)
    # the same checks as w2_bound's, at a setting that cannot overflow
    probe = setting(
        process,
        data,
        positive("T", T) if T is not None else min(max(1.0, 2.0 * last), 0.5 * (last + process.t_max)),
        1,
        scheme=chosen,
        start=start,
        score_bias=M,
        score_noise=V,
    )
    if theorem == "published":
        if M1 is None or (M1 == "exact" and not hasattr(data, "M1")):
            published.THEOREM_1.hypotheses[1].check(probe)
            raise BadInput("M1", M1, "is known for Gaussian data only: give A2's constant as a number")
        for hypothesis in published.THEOREM_1.hypotheses[:-1]:
            if hypothesis.name != "A2":
                hypothesis.check(probe)
        criterion = published_criterion(
            process, data, start, M, M1 if M1 == "exact" else nonnegative("M1", M1)
        )
        order, name = 0.5, "Eq. 5"

        def first(t: float) -> float:
            return published.start_at(data, start, *ends_of(process, t))
    elif chosen.kind == "ode":
        for hypothesis in ode.THEOREM_3.hypotheses:
            hypothesis.check(probe)
        criterion = ode_criterion(process, data, chosen, start, M)
        order, name = 1.0, "Eq. 15"

        def first(t: float) -> float:
            return ode.start_at(data, start, *ends_of(process, t))
    else:
        for hypothesis in sharp.THEOREM_2.hypotheses:
            hypothesis.check(probe)
        criterion = sharp_criterion(process, data, chosen, start, M, V)
        order, name = 1.0, "Eq. 7'' or 9'" if chosen.name == "ddpm" else "Eq. 7''"

        def first(t: float) -> float:
            if t <= last:  # no sampler starts below δ
                return math.inf
            log_alpha, log_lam = ends_of(process, t)
            left = math.exp(min(data.log_contraction(log_lam), 700.0))
            return sharp.start_error(data, start, log_alpha, log_lam) * left

    stopped = math.sqrt(data.d * data.delta)
    answer = _answer(
        process, criterion, first, eps, order, name, start, T, M, data.second_moment, last, stopped
    )
    data.check(math.log(data.delta) if data.delta else -math.inf, ends_of(process, answer.T)[1])
    return answer


def _answer(
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
    room = eps - stopped
    if room <= 0.0:
        raise Unreachable(eps, stopped, "early stopping, sqrt(d delta)")
    if T is None:
        if start == "exact":
            raise BadInput("T", "None", "must be given for start = exact, where T -> 0 costs nothing")
        horizons = Horizons(process.t_max)
        bracket = bracket_of(process, first, room)

        def placed(u: float, K: float, quality: Quality) -> Value:
            at = horizons.time(u)
            if (
                K > SUMMED_COARSELY and at + at / K >= process.t_max
            ):  # steps longer than what is left before λ = ∞
                return INFINITE
            found = criterion(at, K, quality)
            # rounding may have merged the last steps
            return found if not math.isnan(found.constant) else INFINITE

        if M:
            bracket = within_reach(placed, eps, bracket)
        # K ≍ T x^{1/order} with x = ‖X_0‖/ε (section 8); two decades above, where the power law is exact
        size = math.sqrt(second_moment) / eps
        longest = horizons.time(bracket[1])
        guess = max(100.0 * size ** (1.0 / order) * max(longest, 1.0), 2.0 * SUMMED)
        k, u, v = _search(placed, eps, order, bracket, guess)
        at = horizons.time(u)
    else:
        at = positive("T", T)
        limit = criterion(at, 1e18, COARSE)
        floor = limit.limit
        if floor >= eps:
            raise Unreachable(eps, floor, "start and score error at this T")
        k, v = _solve_K(criterion, at, _predicted(limit, 1e18, eps, order), eps, order)
    if k > SUMMED:
        v = criterion(at, float(k), CHECKED)
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
        left = v * np.exp(-np.logaddexp(np.log(v), log_lam))
        if chosen.kind == "ode":
            left = np.sqrt(left)
        sd = np.sqrt(v)
        narrowed = sd * -np.expm1(0.5 * np.log1p(-(left**2))) if left.max() < 1.0 else sd
        return math.sqrt(float(narrowed @ narrowed + ((left * target.coordinates) ** 2).sum()))

    return _answer(
        process,
        criterion,
        first,
        eps,
        float(chosen.stages),
        "exact law",
        "prior",
        T,
        0.0,
        target.second_moment,
    )
