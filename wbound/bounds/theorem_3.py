"""Theorem 3: the W2 bound of the probability-flow ODE (Eq. 15, section 12 of docs/theory.md).

Carried in y-units, divided by u_k = (1 + m_0λ_k)^{1/2}: there the exact flow contracts by 1, and nothing
overflows before the bound does. Setting after Gao & Zhu, arXiv 2401.17958.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import sympy as sp

from wbound.bounds.shared import Parts, begun, decay_constant, start_error, sum_of, weights
from wbound.bounds.theorem import Needed, Theorem, stated
from wbound.bounds.theta_sums import StepRows, ThetaSums
from wbound.calculus.asymptotics import Unrecognised
from wbound.calculus.stable import LEAST, grown, growth, softplus
from wbound.data.curvature import Curvature
from wbound.forward.clock_at_infinity import ZERO, Clock, Exponents, plus
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import Scheme
from wbound.sampler.steps import Batch
from wbound.statement import hypotheses as c
from wbound.statement.formula import Formula
from wbound.statement.statement_object import Bound
from wbound.statement.terms import FAR, SLOW, Explanation, Known, Term, add_stop
from wbound.typing import Array

__all__ = [
    "THEOREM_3",
    "Local",
    "best_theta",
    "local",
    "log_products",
    "log_products_of_groups",
    "log_sum",
    "output",
    "start_at",
    "sums",
]


#: θ is chosen on at most so many of the steps (any θ gives a bound), between these.
SAMPLED = 1024
THETAS = (0.0, 4.0)


class Local(NamedTuple):
    """Eq. 15's local terms of each step, arrays (N,), in y-units over u_k.

    log_gamma: log of γ_k u_{k−1}/u_k; drift: |½H_k − c_k|(dL_0/(1+L_0λ_{k−1}))^{1/2}/u_k (x); C:
    c_kα_{k−1}/u_k (x² over x-units); log_weight: (θ, part) ↦ log of ∫(u−λ_k)²(1+L_0u)^{−θ}du/u_k² on that
    part of the steps.
    """

    log_gamma: Array
    drift: Array | float
    C: Array
    log_weight: Callable[..., Array]


def local(b: Batch, data: Curvature, scheme: Scheme) -> Local:
    """Eq. 15's local terms for every step of the batch. *upper*"""
    assert data.A1 is not None
    m0, L0 = data.A1
    steps = scheme.steps(b)
    assert steps.flow is not None
    unit = 0.5 * softplus(math.log(m0) + b.log_lam_lo)  # log u_k
    y = 0.5 * growth(m0, b.log_lam_lo, b.log_lam_hi, b.ratio)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # huge steps: inf, and say so
        log_per = -b.steps.F - 2.0 * b.log_alpha_hi  # C e^log_per is c_k
        sizes = []
        for curvature in (m0, L0):
            z = math.log(curvature) + b.log_lam_hi
            # 1 − c a/(1+aλ) = (1 + aλ(1 − c/λ))/(1+aλ): nothing cancels on a huge step
            kept = np.exp(-softplus(z)) + np.exp(z - softplus(z)) * steps.flow.keep
            lost = steps.C * np.exp(log_per + math.log(curvature) - softplus(z))
            sizes.append((np.abs(kept), lost))
        (kept_m, lost_m), (kept_L, lost_L) = sizes
        short = (lost_m < 0.5) & (lost_m + lost_L <= 2.0)  # then γ = 1 − c m
        log_gamma = np.where(
            short, np.log1p(-np.where(short, lost_m, 0.0)), np.log(np.maximum(kept_m, kept_L))
        )
        drift: Array | float = 0.0
        if np.any(steps.flow.half):
            slow = 0.5 * (math.log(data.d * L0) - softplus(math.log(L0) + b.log_lam_hi))
            drift = np.abs(steps.flow.half) * np.exp(log_per + slow - unit)
        C = steps.C * np.exp(-b.log_alpha_lo - unit)

    of = weights(L0, b)

    def log_weight(theta: float, part: slice = slice(None)) -> Array:
        return of(theta, part) - 2.0 * unit[part]

    return Local(log_gamma + y, drift, C, log_weight)


def start_at(data: Curvature, start: str, process: Process, log_alpha: float, log_lam: float) -> float:
    """E_0/u_0 for each start: it contracts as (1 + m_0λ)^{−1/2} only."""
    assert data.A1 is not None
    unit = 0.5 * float(softplus(np.array(math.log(data.A1[0]) + log_lam)))
    E0 = start_error(data, start, process, log_alpha, log_lam)
    return max(E0 * math.exp(-unit), LEAST) if E0 else 0.0


def best_theta(log_value: Callable[[float], float]) -> float:
    """The θ with the smallest log of Eq. 15's θ-term. Its valley near θ = 2 is only about 1/log V wide, so a
    coarse look brackets it and golden sections follow; a poor θ is a larger bound, never a wrong one."""
    from scipy.optimize import minimize_scalar  # slow to import, and most bounds need none

    grid = np.array([0.0, 0.5, 1.0, 1.4, 1.7, 1.85, 1.95, 2.0, 2.05, 2.15, 2.3, 2.6, 3.0, 3.5, 4.0])
    values = [log_value(float(t)) for t in grid]
    i = int(np.argmin(values))
    lo, hi = float(grid[max(i - 1, 0)]), float(grid[min(i + 1, grid.size - 1)])
    # a θ whose constant is beyond doubles is no better than the worst: the search subtracts values
    found = minimize_scalar(
        lambda t: min(log_value(t), 1e9), bounds=(lo, hi), method="bounded", options={"xatol": 2e-4}
    )
    return float(found.x) if found.fun < values[i] else float(grid[i])


def log_sum(values: Array) -> float:
    top = float(values.max())
    return top + math.log(float(np.exp(values - top).sum())) if math.isfinite(top) else top


def _log_term(s: Setting, theta: float, log_weights: float) -> float:
    return 0.5 * (math.log(decay_constant(theta, s.data, s.nodes.first[1])) + log_weights)


def log_products(log_gamma: Array, after: float = 0.0) -> tuple[Array, float]:
    """log P_k of consecutive steps (N,), and of the step before them; ``after``: the log of all γ after them."""
    tail = np.cumsum(np.append(log_gamma, after)[::-1])[::-1]
    return tail[1:], float(tail[0])


def log_products_of_groups(log_gamma: Array, counts: Array) -> Array:
    """log P_k (N,) of steps that each stand in the middle of ``counts`` like it."""
    return log_products(counts * log_gamma)[0] + 0.5 * (counts - 1.0) * log_gamma


def _theta(s: Setting, terms: Local, log_P: Array) -> float:
    part = slice(None, None, -(-log_P.size // SAMPLED))
    return best_theta(lambda t: _log_term(s, t, log_sum(terms.log_weight(t, part) + 2.0 * log_P[part])))


class Sums(NamedTuple):
    """Eq. 15's terms in y-units at λ_K: start, the steps' drift, their θ-term, score."""

    start: float
    drift: float
    curved: float
    score: float


def _summed(s: Setting, theta: float | None = None) -> Sums:
    if theta is None and s.nodes.in_blocks:
        (theta,) = _best(s)
    log_P0, drift, score, squares = 0.0, 0.0, 0.0, -math.inf
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite step makes an infinite part
        for _, b in s.nodes.blocks():
            terms = local(b, s.data, s.scheme)
            log_P, log_P0 = log_products(terms.log_gamma, log_P0)
            if theta is None:
                theta = _theta(s, terms, log_P)
            squares = float(np.logaddexp(squares, log_sum(terms.log_weight(theta) + 2.0 * log_P)))
            P = np.exp(log_P)
            drift += float(np.sum(P * terms.drift)) if np.any(terms.drift) else 0.0
            score += s.score_bias * float(np.sum(P * terms.C)) if s.score_bias else 0.0
        assert theta is not None
        curved = 0.25 * float(np.exp(_log_term(s, theta, squares)))
        start = start_at(s.data, s.start, s.process, *s.nodes.first)
        return Sums(grown(start, log_P0), drift, curved, score)


def sums(s: Setting, theta: float | None = None) -> Parts:
    """Eq. 15's parts in y-units at λ_K, with the best θ unless one is given: start, the drift's and θ's sum
    (as ``bias``; ``noise`` is 0), score. Of more steps than a block θ is chosen on fewer."""
    p = _summed(s, theta)
    return Parts(p.start, p.drift + p.curved, 0.0, p.score)


def _best(s: Setting) -> tuple[float, ...]:
    with np.errstate(over="ignore", invalid="ignore"):  # as above
        if not s.nodes.in_blocks:
            terms = local(s.nodes.batch, s.data, s.scheme)
            return (_theta(s, terms, log_products(terms.log_gamma)[0]),)
        b, counts = s.nodes.sampled()
        terms = local(b, s.data, s.scheme)
        weight = 2.0 * log_products_of_groups(terms.log_gamma, counts) + np.log(counts)
        return (best_theta(lambda t: _log_term(s, t, log_sum(terms.log_weight(t) + weight))),)


def output(s: Setting) -> tuple[float, float]:
    """Scale of the output in y-units and what early stopping adds: √(dδ) (section 11)."""
    if not s.nodes.stopped_early:
        return 1.0, 0.0
    # Eq. 15 is then about q_δ: the part of ∫pN below δ is only left out
    delta = math.exp(s.nodes.last[1])
    assert s.data.A1 is not None
    return math.sqrt(1.0 + s.data.A1[0] * delta), math.sqrt(s.data.d * delta)


def _evaluate(s: Setting) -> Bound:
    p = sums(s)
    scale, extra = output(s)
    return sum_of(s, "Theorem 3", p.start * scale, p.bias * scale, p.score * scale, extra)


def _explain(s: Setting, bound: Bound) -> Explanation:
    scale, extra = output(s)
    found = Sums(*(v * scale for v in _summed(s)))
    known, start = begun(s, bound.initialisation)
    steps = f"sum over {s.nodes.K} steps"
    out = [
        start,
        Term(
            f"C_θ^(1/2)/4 (Σ P_k² {FAR})^(1/2)", f"{steps}, best θ", found.curved, "discretisation: curvature"
        ),
        Term(f"Σ P_k |H_k/2 - c_k| {SLOW}", steps, found.drift, "discretisation: drift of the steps"),
        Term("Σ P_k c_k α_(k-1) M", steps if s.score_bias else "0", bound.score, "score error"),
    ]
    if s.score_bias:
        known.append(Known("M", s.score_bias, "score error (A3)"))
    formula = (
        f"W2 ≤ P_0 E_0 + C_θ^(1/2)/4 (Σ P_k² {FAR})^(1/2) + Σ P_k (|H_k/2 - c_k| {SLOW} + c_k α_(k-1) M)"
    )
    formula += add_stop(s, scale, extra, known, out)
    return Explanation("Theorem 3 (Eq. 15)", formula, tuple(known), tuple(out), bound.total)


def _rows(b: Batch, data: Curvature, scheme: Scheme) -> StepRows:
    terms = local(b, data, scheme)
    return StepRows(terms.log_gamma, terms.drift, terms.C, (lambda t: np.exp(terms.log_weight(t)),))


# ---------------------------------------------------------------------- orders in d and ε


def main_rate(clock: Clock) -> sp.Expr:
    """Of λ'³/((1+m_0λ)(1+L_0λ)²) dt/du: Eq. 15's sum at θ = 2."""
    return sp.expand(3 * clock.speed_of_lam - 3 * clock.lam_ + clock.measure)


def _at_best_theta(clock: Clock, growth: Exponents) -> Exponents:
    """What C_θ adds to Eq. 15's sum at θ = 2, at the best θ: nothing where the sum grows as a power of λ
    (a larger θ takes as much from it) or converges by one (a smaller θ will do), else log λ(T)."""
    if growth[0] != 0:
        return ZERO
    rate = main_rate(clock)
    if clock.scale.integral(rate) is None:
        if clock.scale.integral(sp.expand(rate + clock.lam_ / 100)) is None:
            return ZERO
        raise Unrecognised("Eq. 15's sum converges, but not by a power of λ: no θ is known to be the best")
    return (ZERO[0], sp.S.One, *ZERO[2:])


def _needs(clock: Clock, scheme: str) -> Needed:
    """K ≍ T x J^{1/2} at the best θ, J = ∫λ'³/(1+m_0λ)³ dt, and another (log λ(T))^{1/2} where J grows as logarithms."""
    clock.check_origin(6)  # λ'³
    local = clock.sum("discretisation", "∫λ'³/((1+m0 λ)(1+L0 λ)²) dt", main_rate(clock))
    growth = plus(local.growth, _at_best_theta(clock, local.growth))
    return Needed(clock.with_short_steps(tuple(e / 2 for e in growth)), (local,))


#: Tried while T is searched.
WIDE = 2.0 + 1.2 * np.array([-1.0, -0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5, 1.0])

SUMS = ThetaSums(
    of=lambda s, roughly: sums(s, 2.0 if roughly else None),
    start=start_at,
    rows=_rows,
    constants=(lambda theta, data, log_lam: decay_constant(theta, data, log_lam) / 16.0,),
    orders=(2.0, 2.0, 1.0, 3.0),
    wide=WIDE,
    best=_best,
)


def _claim() -> Formula:
    from wbound.statement import formulas as f  # dear to build

    k, P, C = f.k, f.P, f.C
    drift = sp.Abs(f.H[k] / 2 - C[k]) * f.slow + C[k] * f.alpha[k - 1] * f.M
    return Formula(sp.Le(f.W_2, P[0] * f.E_0 + f.theta_term(P[k] ** 2) + f.summed(P[k] * drift)))


THEOREM_3 = Theorem(
    **stated(
        "theorem-3",
        _evaluate,
        c.an_ode,
        c.no_memory,
        c.one_stage,
        c.a1,
        c.no_noise,
        source="derived here; the ODE sampler of Gao & Zhu, arXiv 2401.17958",
        covers=("eq-15",),
    ),
    placed=12,
    claim=_claim,
    called="sharp",
    takes=lambda scheme: scheme.flow and scheme.stages == 1,
    criterion=lambda scheme: "Eq. 15",
    order=1.0,
    power=0.5,
    start=start_at,
    explain=_explain,
    over_steps=SUMS.over_steps,
    thetas=SUMS.best,
    needs=_needs,
)
