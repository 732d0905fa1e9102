"""A W2 bound after Strasman et al. (arXiv 2402.04650): the exponential integrator of the modified score (section 19).

Their statement, read from their public code, with hypotheses under which docs/theory.md proves it again. It is here to
stand beside Theorems 1 to 7, which do not use it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import sympy as sp

from wbound.bounds.shared import sum_of
from wbound.calculus.parser import symbol
from wbound.calculus.suprema import supremum
from wbound.data.log_concave import gaussian_data
from wbound.errors import BadInput, HypothesisFailed
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import Scheme, Steps
from wbound.sampler.steps import Batch
from wbound.statement import hypotheses as c
from wbound.statement.hypotheses import statement
from wbound.statement.statement_object import Bound
from wbound.typing import Array

__all__ = ["MODIFIED_EI", "MODIFIED_SCORE", "Terms", "terms"]

#: By how much of β(T)/T a rate that is called non-decreasing may be seen to fall: rounding of its enclosure.
ROUNDING = 1e-12
NAME = "the modified score bound"


def _steps(b: Batch) -> Steps:
    # dY = (−½βY + β s̃_{k−1})dt + √β dB with s̃ = s + x: of Y_{k−1} e^{−F} + 2(1 − e^{−F}) remains, F = ½∫β
    F = b.steps.F
    with np.errstate(over="ignore"):  # a huge step
        off, more = 4.0 * np.sinh(0.5 * F) ** 2, 4.0 * np.sinh(F) ** 2
    return Steps(1.0 - np.expm1(-F), -2.0 * np.expm1(-F), -np.expm1(-2.0 * F), off, off, more)


#: Their sampler as it is derived here: the modified score ∇log(p_t/φ) is frozen over a step, φ the density of N(0, I).
#: It is a scheme for g² = 2f alone, so that it is none of `SCHEMES`.
MODIFIED_EI = Scheme(
    "ei-modified",
    "exponential integrator of the modified score",
    "sde",
    _steps,
    "after Strasman et al., arXiv 2402.04650",
)


class Terms(NamedTuple):
    """What the bound is made of (no unit but where said): B (x); h (time); top = β(T) (1/time); rough, the Λ_k (K,);
    M (1/(x time)), the modified score's rate of change; start, W2(p_0, N(0, I)) (x); contraction, 1/(1+m_0λ(T))."""

    B: float
    h: float
    top: float
    rough: Array
    M: float
    start: float
    contraction: float

    @property
    def moved(self) -> float:
        """M_2 = √(2hβ(T)) + ½hβ(T): how far the reverse process moves in a step, over B."""
        return math.sqrt(2.0 * self.h * self.top) + 0.5 * self.h * self.top

    @property
    def discretisation(self) -> float:
        """Σ Λ_k(M_2 + 2Λ_k)B + MhTβ(T)(1 + 2B), in x; T = Kh."""
        frozen = float((self.rough * (self.moved + 2.0 * self.rough)).sum()) * self.B
        return frozen + self.M * self.h * self.rough.size * self.h * self.top * (1.0 + 2.0 * self.B)


def _clock(s: Setting) -> Array:
    """∫_0^τ β at the nodes (K+1,)."""
    return -2.0 * s.nodes.log_alpha


def roughness(clock: Array, L0: float) -> Array:
    """Λ_k = ∫β(min(1/σ², L_0/α²) − 1) over each step, from ∫β at its ends (K+1,), decreasing: with b = ∫_0^tβ it is
    ∫(L_0e^b − 1)db up to b = log(1 + 1/L_0) and ∫db/(e^b − 1) after it."""
    lo, hi = clock[1:], clock[:-1]
    kink = math.log1p(1.0 / L0)
    a, b = np.minimum(lo, kink), np.minimum(hi, kink)
    early = L0 * np.exp(a) * np.expm1(b - a) - (b - a)
    a, b = np.maximum(lo, kink), np.maximum(hi, kink)
    return np.asarray(early + _log_share(b) - _log_share(a))


def _log_share(b: Array) -> Array:
    """log(1 − e^{−b}), b > 0, to rounding."""
    return np.where(b > math.log(2.0), np.log1p(-np.exp(-b)), np.log(-np.expm1(-b)))


def score_change(clock: Array, rate: Array, least: float, mean: float) -> float:
    """M: the modified score of N(μ, Σ) changes by at most Mh(1 + |x|) over a step. clock, rate: ∫β and β at the
    nodes (K+1,), decreasing; least: the smallest variance, ≤ 1; mean: |μ|."""
    a, top, gap = np.exp(-0.5 * clock), rate[:-1], 1.0 - least
    late, early = a[:-1], a[1:]  # α_{k−1} < α_k
    w = (1.0 - late**2 * gap) * (1.0 - early**2 * gap)
    by_x = top * early**2 * abs(gap) / w
    by_mean = 0.5 * mean * top * early * np.abs(1.0 + late * early * gap) / w
    return float(max(by_x.max(), by_mean.max()))


def terms(s: Setting) -> Terms:
    """The bound's `Terms` for a setting in which its hypotheses hold."""
    data = gaussian_data(s.data)
    clock, rate = _clock(s), np.asarray(s.process.g(s.nodes.t)) ** 2
    least, most = float(data.eigenvalues.min()), float(data.eigenvalues.max())
    mean = float(np.linalg.norm(data.coordinates))
    return Terms(
        B=math.sqrt(data.second_moment + data.d),
        h=s.nodes.T / s.nodes.K,
        top=float(rate[0]) * (1.0 + ROUNDING),
        rough=roughness(clock, 1.0 / least),
        M=score_change(clock, rate, least, mean),
        start=math.sqrt(mean**2 + float(((np.sqrt(data.eigenvalues) - 1.0) ** 2).sum())),
        contraction=1.0 / (1.0 + math.exp(min(s.nodes.first[1], 700.0)) / most),
    )


def _evaluate(s: Setting) -> Bound:
    t = terms(s)
    return sum_of(s, NAME, t.start * t.contraction, t.discretisation, s.score_bias * s.nodes.T * t.top)


# ---------------------------------------------------------------------- its hypotheses


def _tighter(s: Setting) -> None:
    largest = float(gaussian_data(s.data).eigenvalues.max())
    if largest > 1.0:
        detail = f"the largest variance is {largest:.6g}: p_0 is not more log-concave than N(0, I)"
        raise HypothesisFailed(NAME, "m_0 >= 1", detail)


def _rising(s: Setting) -> None:
    t, T = symbol("t"), s.nodes.T
    allowed = ROUNDING * float(s.process.g(np.array(T))) ** 2 / T
    try:
        falls = supremum(
            -sp.diff(s.process.expr.g**2, t), t, 0.0, T, s.process.parameters, atol=allowed
        ).upper
    except BadInput as refused:
        raise HypothesisFailed(NAME, "beta does not decrease", f"this is not decided: {refused}") from None
    if not falls <= allowed:
        raise HypothesisFailed(NAME, "beta does not decrease", f"its derivative is down to {-falls:.3g}")


def _short_steps(s: Setting) -> None:
    data, clock = gaussian_data(s.data), _clock(s)
    most, least = float(data.eigenvalues.max()), float(data.eigenvalues.min())
    gap = clock[:-1] - clock[1:]
    # ∫β(m + L − 2) ≤ 2e^{−½∫β}; ∫βm is log(1+m_0λ)'s growth (Eq. 6)
    bent = np.diff(np.log1p(np.expm1(clock[::-1]) / most))[::-1] - gap
    far = bent + roughness(clock, 1.0 / least) > 2.0 * np.exp(-0.5 * gap)
    if far.any():
        k = int(np.flatnonzero(far)[0]) + 1
        raise HypothesisFailed(NAME, "the step size", "beta (m + L - 2) h exceeds 2 exp(-beta h/2)", step=k)


MODIFIED_SCORE = statement(
    "modified-score-bound",
    "upper",
    _evaluate,
    c.coefficients,
    c.process("g^2 = 2f", lambda p: p.kappa is not None and p.standard_start),
    c.scheme(MODIFIED_EI.name),
    c.start("standard", "is another"),
    c.uniform,
    c.gaussian,
    c.regular,
    c.no_noise,
    c.own("m_0 >= 1", _tighter),
    c.own("beta does not decrease", _rising),
    c.own("the step size", _short_steps),
    source="after Strasman, Ocello, Boyer, Le Corff & Lemaire, arXiv 2402.04650: the statement read from their public "
    "code, hypotheses and proof derived here",
)
