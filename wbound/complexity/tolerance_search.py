"""How accurate the score must be, as a number (sections 2 and 8 of docs/theory.md)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from wbound.calculus.quadrature import integrate
from wbound.calculus.stable import softplus
from wbound.complexity.horizons import grows
from wbound.data.curvature import Curvature
from wbound.errors import BadInput, HypothesisFailed, Unreachable, one_of, positive
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import STARTS, setting
from wbound.sampler.scheme import Scheme
from wbound.theory.statements import THEOREMS, upper_bound
from wbound.typing import Array

__all__ = ["score_tolerance", "score_weight"]


#: Beyond the λ(T) at which the start's share is ε, T is searched over this range of log λ: there the start's
#: share is 1e-12 ε, while S can only have grown.
RANGE = 28.0


def score_weight(process: Process, data: Curvature, T: float, scheme: str | Scheme = "em") -> float:
    """S(T) = ∫_0^T g²/(α(1+m_0λ)) dt: as K → ∞ the score part of a bound is M S(T). Kind: *exact*

    It is the limit of Σ P_kG_k and Σ P_kC_k; for f = 0, log(1+m_0λ(T))/m_0. For an ODE scheme Eq. 15's sum
    Σ P_kc_kα_{k−1} tends to ½∫_0^T g²/(α(1+m_0λ)^{1/2}) dt; for f = 0, ((1+m_0λ(T))^{1/2} − 1)/m_0. T:
    forward time > 0. In x² (M is in 1/x). Raises `HypothesisFailed` (A1).
    """
    power = upper_bound("sharp", scheme).power
    return float(_weights(process, data, np.array([positive("T", T)]), power)[0])


def _weights(process: Process, data: Curvature, times: Array, power: float) -> Array:
    """S at increasing times (N,); ``power``: 1, or ½ along the ODE, where g² is halved too."""
    if data.A1 is None:
        raise HypothesisFailed("the score's tolerance", "A1", "the data are not strongly log-concave")
    m0 = data.A1[0]
    log_m0 = math.log(m0)
    if process.family == "ve":
        log_unit = softplus(log_m0 + process.log_lam(times))
        return np.asarray((log_unit if power == 1.0 else np.expm1(0.5 * log_unit)) / m0)

    def integrand(t: Array) -> Array:
        log_alpha, log_lam = process.law(t)
        unit = power * softplus(log_m0 + log_lam)
        return np.asarray(power * process.g(t) ** 2 * np.exp(-log_alpha - unit))

    # g² may be singular at 0, and the integrand dies beyond the scale of the clock: panels by octaves
    first = float(process.time_of(math.log(1e-3) - log_m0))
    octaves = np.geomspace(min(first, float(times[0])), float(times[-1]), 65)
    ends = np.unique(np.concatenate(([0.0], octaves[octaves < times[-1]], times)))
    sums = np.concatenate(([0.0], np.cumsum(integrate(integrand, ends[:-1], ends[1:], rtol=1e-12).value)))
    return sums[np.searchsorted(ends, times)]


def score_tolerance(
    process: Process,
    data: Any,
    eps: float,
    *,
    theorem: str = "sharp",
    scheme: str | Scheme = "em",
    start: str = "prior",
    share: float = 1.0,
) -> float:
    """The largest M of A3 that leaves ε in reach: M* = sup{M : `iterations` is finite}, in 1/x. Kind: *exact*

    As K → ∞ the bound of a theorem tends to start(T) + M S(T), S of `score_weight`, for every scheme that has
    one (an ODE's start and S are Theorem 3's, to which Theorem 7's tend); hence M* = max over T of
    (ε − start(T))/S(T). Below M* some K works, at or above it none does.
    ``share`` in (0, 1]: the score part may take at most share·ε; then the maximum of
    min(share·ε, ε − start(T))/S(T).
    eps: W2, not squared, in x. theorem: "published" starts from ‖X_0‖, "sharp" uses Eq. 8 where the mean is
    known.
    Raises `Unreachable` where the clock stays too short for ε, `HypothesisFailed` (A1), `BadInput`.
    """
    eps, share = positive("eps", eps), positive("share", share)
    one_of("theorem", theorem, THEOREMS)
    one_of("start", start, STARTS)
    if share > 1.0:
        raise BadInput("share", share, "must be in (0, 1]")
    if start == "exact":
        raise BadInput("start", start, "leaves M unbounded: T -> 0 costs nothing; take prior or standard")
    by = upper_bound(theorem, scheme)
    # A2's constant costs nothing as K → ∞
    probe = setting(process, data, min(1.0, 0.5 * process.t_max), 1, scheme=scheme, start=start, M1=0.0)
    by.check(probe, but=by.more_steps)
    if data.A1 is None:
        raise HypothesisFailed("the score's tolerance", "A1", "the data are not strongly log-concave")

    def starts(times: Array) -> Array:
        log_alpha, log_lam = process.law(times)
        return np.array(
            [
                by.start(data, start, process, float(a), float(u))
                for a, u in zip(log_alpha, log_lam, strict=True)
            ]
        )

    return _largest(process, data, starts, eps, share, by.power)


def _largest(
    process: Process,
    data: Curvature,
    starts: Callable[[Array], Array],
    eps: float,
    share: float,
    power: float,
) -> float:
    log_m0 = math.log(data.normaliser)
    # start(T) ≤ ‖X_0‖/(m_0 λ) from the prior, for an ODE the root of that: beyond log_top it is far below ε
    log_top = math.log(math.sqrt(data.second_moment) / eps + 1.0) / power - log_m0
    levels = np.linspace(-log_m0 - 3.0, log_top + RANGE, 97)
    times = _times(process, levels)
    for _ in range(3):
        error, weight = starts(times), _weights(process, data, times, power)
        with np.errstate(divide="ignore"):  # a clock of no length weighs nothing
            allowed = np.minimum(share * eps, eps - error) / weight
        i = int(np.argmax(allowed))
        if allowed[i] <= 0.0 or not math.isfinite(allowed[i]):
            raise Unreachable(
                eps, float(error.min()), f"the start: lam(t) stays too small for {process.name}"
            )
        lo, hi = times[max(i - 1, 0)], times[min(i + 1, times.size - 1)]
        times = np.unique(np.linspace(lo, hi, 33))
    # the last bracket is 1e-3 of the first: a parabola's top is flat there
    found = scipy.optimize.minimize_scalar(
        lambda t: (
            -min(share * eps, eps - float(starts(np.array([t]))[0]))
            / float(_weights(process, data, np.array([t]), power)[0])
        ),
        bounds=(float(lo), float(hi)),
        method="bounded",
        options={"xatol": 1e-10 * float(hi)},
    )
    return max(float(-found.fun), float(allowed[i]))


def _times(process: Process, levels: Array) -> Array:
    """The times of these values of log λ; of a clock that ends before, times all along it."""
    try:
        return np.unique(process.time_of(levels))
    except BadInput:
        times = np.geomspace(1e-3, min(1e3, 0.999 * process.t_max), levels.size)
        return np.array([t for t in times if grows(process, t, t)])
