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

from wbound.complexity.exact_law_criterion import exact_criterion
from wbound.complexity.horizon_search import COUNTED, MOST, cut_off, predicted, search, solve_K
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
from wbound.summation.step_sums import CHECKED, FINE, Quality
from wbound.theory.statements import THEOREMS, upper_bound
from wbound.typing import Array

__all__ = ["Iterations", "answer", "exact_iterations", "iterations"]


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
        k, u, v = search(placed, eps, order, bracket, guess, lambda u: horizons.time(u) - last)
        at = horizons.time(u)
    else:
        at = positive("T", T)
        limit = value_at(criterion, at, 1e18, FINE)
        if limit.limit >= eps:
            raise cut_off(eps, limit, 1e18)
        k, v = solve_K(criterion, at, predicted(limit, 1e18, eps, order), eps, order)
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
