"""Eq. 9′ and Eq. 9″: ddpm coupled with the reverse SDE of its own noise level (section 12)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from wbound.bounds.shared import Parts, bound_of, decay_constant, start_term, weights
from wbound.calculus.stable import softplus
from wbound.calculus.suprema import vertex
from wbound.data.curvature import Curvature
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import DDPM
from wbound.sampler.steps import Batch
from wbound.statement.statement_object import Bound
from wbound.summation.criterion import ends_of
from wbound.summation.step_sums import COARSE, Laid, Rows
from wbound.typing import Array, Index

__all__ = ["ancestral_terms"]


def has_ancestral(s: Setting) -> bool:
    """Whether Eq. 9′ applies: ddpm under A1, no score noise, run to λ = 0."""
    return s.scheme == DDPM and s.score_noise == 0.0 and s.data.A1 is not None and not s.nodes.stopped_early


class Ancestral(NamedTuple):
    """The local terms of Eq. 9′, arrays (N,), in y-units times P_k."""

    drift: Array
    noise2: Array
    score: Array
    weight: Callable[[float], Array]


def ancestral_terms(b: Batch, data: Curvature) -> Ancestral:
    """P_k ½(1−κ²)H(dL_0/(1+L_0λ_{k−1}))^{1/2}, P_k²κ²(½(1+κ²))²dΨ, P_kHα_{k−1}, and
    θ ↦ P_k²(1−κ⁴)²∫(u−λ_k)²(1+L_0u)^{−θ}du, of Eq. 9′ with κ_k² = λ_k/λ_{k−1}, P_k = 1/(1+m_0λ_k)."""
    assert data.A1 is not None
    m0, L0 = data.A1
    log_P = -softplus(math.log(m0) + b.log_lam_lo)
    kappa2 = np.exp(-b.gap)
    rest = -np.expm1(-b.gap)  # 1 − κ²
    log_H = b.log_lam_hi + np.log(rest)
    slow = 0.5 * (math.log(data.d * L0) - softplus(math.log(L0) + b.log_lam_hi))
    with np.errstate(over="ignore", invalid="ignore"):  # a huge step: the bound is infinite and says so
        drift = 0.5 * rest * np.exp(log_P + log_H + slow)
        psi = np.exp(2.0 * log_P + math.log(data.d) + data.log_psi(b.log_lam_lo, b.log_lam_hi, b.ratio))
        noise2 = np.where(kappa2 > 0.0, kappa2 * (0.5 * (1.0 + kappa2)) ** 2 * psi, 0.0)
        score = np.exp(log_P + log_H + b.log_alpha_hi)
    return Ancestral(drift, noise2, score, curvature_weight(b, data))


def curvature_weight(b: Batch, data: Curvature) -> Callable[[float], Array]:
    """The last of `ancestral_terms` alone."""
    assert data.A1 is not None
    m0, L0 = data.A1
    log_P2 = -2.0 * softplus(math.log(m0) + b.log_lam_lo)
    with np.errstate(over="ignore", invalid="ignore"):  # as above
        factor = (-np.expm1(-b.gap) * (1.0 + np.exp(-b.gap))) ** 2
    log_weight = weights(L0, b)

    def weight(theta: float) -> Array:
        with np.errstate(over="ignore"):  # as above
            return factor * np.exp(log_P2 + log_weight(theta))

    return weight


def best_theta(value: Callable[[float], float]) -> float:
    """The smallest value over θ ∈ [0, 4] of Eq. 9′'s or 15's θ-term: any θ gives a valid bound."""
    return _least(value)[1]


def _least(value: Callable[[float], float]) -> tuple[float, float]:
    """The θ ∈ [0, 4] found, and its value."""
    from scipy.optimize import minimize_scalar  # slow to import, and most bounds need none

    grid = np.linspace(0.0, 4.0, 9)
    values = [value(float(t)) for t in grid]
    i = int(np.argmin(values))
    lo, hi = float(grid[max(i - 1, 0)]), float(grid[min(i + 1, 8)])
    # a θ whose constant is beyond doubles is no better than the worst: the search subtracts values
    finite = minimize_scalar(
        lambda t: min(value(t), 1e300), bounds=(lo, hi), method="bounded", options={"xatol": 1e-3}
    )
    found = value(float(finite.x))
    return (float(finite.x), found) if found < values[i] else (float(grid[i]), values[i])


class AncestralSums(NamedTuple):
    """Eq. 9′'s sums over the steps, in x: drift, θ-term, martingale noise, and the score's by M."""

    drift: float
    curved: float
    noise: float
    score: float


def by_cause(s: Setting, theta: float | None = None) -> AncestralSums:
    """`AncestralSums`, with the best θ unless one is given; of more steps than a block it is chosen on fewer."""
    data = s.data
    if theta is None and s.nodes.in_blocks:
        b, counts = s.nodes.sampled()
        theta, _ = _least(partial(_of_block, s, ancestral_terms(b, data).weight, counts))
    drift = noise2 = score = weight = 0.0
    for _, b in s.nodes.blocks():
        terms = ancestral_terms(b, data)
        if theta is None:  # one block
            theta, _ = _least(partial(_of_block, s, terms.weight, 1.0))
        weight += float(terms.weight(theta).sum())
        drift += float(terms.drift.sum())
        noise2 += float(terms.noise2.sum())
        score += float(terms.score.sum()) if s.score_bias else 0.0
    assert theta is not None
    return AncestralSums(drift, _curved(theta, weight, s), math.sqrt(noise2), s.score_bias * score)


def _of_block(s: Setting, weight: Callable[[float], Array], counts: Array | float, theta: float) -> float:
    return _curved(theta, float((weight(theta) * counts).sum()), s)


def _curved(theta: float, weight: float, s: Setting) -> float:
    return 0.25 * math.sqrt(decay_constant(theta, s.data, s.nodes.first[1])) * math.sqrt(weight)


def best_of(s: Setting) -> float:
    """The θ that is best of those that `best_theta` tries."""
    seen: dict[float, float] = {}

    def value(theta: float) -> float:
        seen[theta] = ancestral_sums(s, theta).bias
        return seen[theta]

    best_theta(value)
    return float(min(seen, key=lambda theta: seen[theta]))


def ancestral_sums(s: Setting, theta: float | None = None) -> Parts:
    """Eq. 9′'s parts, with the best θ unless one is given: start, drift and θ-term, martingale noise, score."""
    t = by_cause(s, theta)
    return Parts(start_term(s), t.drift + t.curved, t.noise, t.score)


def ancestral(s: Setting) -> Bound:
    """Eq. 9″: ddpm coupled with the reverse SDE of noise level κ_k (Eq. 9′); as in Eq. 7″ the start's error
    and the martingale noise combine in squares. *upper*"""
    p = ancestral_sums(s)
    return bound_of(s, "Eq. 9'", p.additive, p)


class ManySteps:
    """Eq. 9′ over K steps too many to sum: what it adds to the rows, and its θ."""

    def __init__(self, process: Process, data: Curvature) -> None:
        self.process, self.data = process, data
        self.found: dict[float, tuple[float, float]] = {}

    def beside(self, rows: Rows, theta: float) -> Rows:
        """``rows`` and Eq. 9′'s drift, noise², score and θ-term, which carry their products themselves."""

        def rows_of(b: Batch, which: Index) -> Array:
            terms = ancestral_terms(b, self.data)
            own = np.stack((terms.drift, terms.noise2, terms.score, terms.weight(theta)))
            return np.concatenate((rows.of(b, which), own))

        return rows._replace(
            of=rows_of, orders=(*rows.orders, 2.0, 3.0, 1.0, 5.0), powers=(*rows.powers, 0, 0, 0, 0)
        )

    def curved(self, theta: float, log_lam_T: float, weight: float) -> float:
        """The θ-term from its sum, infinite where steps are too long for an expansion to have made one."""
        if not weight >= 0.0:
            return math.inf
        return 0.25 * math.sqrt(decay_constant(theta, self.data, log_lam_T) * weight)

    def best(self, T: float, K: float) -> float:
        """The θ with the smallest θ-term, which hardly moves with K: any θ gives a bound. It is in a valley
        that narrows as λ(T) grows, so look three times, ever closer."""
        before = self.found.get(T)
        if before is not None and 0.25 * K <= before[0] <= 4.0 * K:
            return before[1]
        log_lam_T = ends_of(self.process, T)[1]
        theta, tried = 2.0, np.array([0.0, 0.5, 1.0, 1.3, 1.6, 1.8, 1.9, 2.0, 2.1, 2.2, 2.5, 3.0, 4.0])
        weight_of = cache(lambda b: curvature_weight(b, self.data))
        none = Rows(lambda b, which: np.zeros((1, b.size)), (1.0,), ())
        laid = Laid(self.process, self.data, T, K, none, COARSE)
        for half_width in (0.2, 0.04, 0.0):
            thetas = tuple(float(v) for v in tried)

            def rows_of(b: Batch, which: Index, thetas: Sequence[float] = thetas) -> Array:
                return np.stack((np.zeros(b.size), *(weight_of(b)(theta) for theta in thetas)))

            n = len(thetas)
            sums = laid.tally(Rows(rows_of, (1.0,) + (5.0,) * n, (0,) * n)).sums[0]
            values = np.log([self.curved(t, log_lam_T, float(w)) for t, w in zip(thetas, sums, strict=True)])
            i = min(max(int(np.argmin(values)), 1), tried.size - 2)
            theta = vertex(tried[i - 1 : i + 2], values[i - 1 : i + 2])
            tried = max(theta, half_width) + half_width * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
        self.found = {T: (K, theta)}  # a search stays at one T while it asks for this
        return theta
