"""Theorem 7: a W2 bound of second order for Heun's samplers (Eq. 21, section 20 of docs/theory.md).

Carried in y-units divided by u_k = (1 + m_0λ_k)^{1/2}, as Theorem 3 is: there the exact flow contracts by 1.
What a step does is read from its coefficients, never from the scheme's name.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from wbound.bounds.shared import Parts, begun, decay_constant, sum_of
from wbound.bounds.theorem import Theorem, stated
from wbound.bounds.theorem_3 import (
    best_theta,
    log_products,
    log_products_of_groups,
    log_sum,
    output,
    start_at,
)
from wbound.bounds.theorem_7_integrals import CLOSED, Integrals, integrals, second_constant
from wbound.bounds.theta_sums import StepRows, ThetaSums
from wbound.calculus.stable import grown, growth, softplus
from wbound.data.curvature import Curvature
from wbound.errors import HypothesisFailed
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import Scheme, Steps
from wbound.sampler.steps import Batch
from wbound.statement import hypotheses as c
from wbound.statement.formula import Formula
from wbound.statement.statement_object import Bound
from wbound.statement.terms import Explanation, Known, Term, add_stop
from wbound.typing import Array

__all__ = ["THEOREM_7", "Local", "five", "local", "sinh_sum", "sums"]

#: Steps whose integrals are held at once, and the most of them on which θ is chosen (any θ gives a bound).
BLOCK, SAMPLED = 16384, 1024
#: A coefficient's rounding, relative: a is ½c, and ¼H − b is known, to no better.
ROUNDING = 1e-12
EPS = float(np.finfo(np.float64).eps)
#: What is asked of a step's numbers, so that it is an average of the identity and of two Euler steps.
WEIGHTS = "one stage, or a = c/2 and b >= 0"


class Local(NamedTuple):
    """Eq. 21's local terms of each step, arrays (N,), in y-units over u_k.

    log_gamma: log of γ_k u_{k−1}/u_k; drift: (|½H−a−b| + bℓ_k|½H−c|)(dℓ_{k−1})^{1/2}/u_k (x); score:
    (max_h|a−bch|α_{k−1} + bα_k)/u_k (x² over x-units); flat, steep: G_k = λ_{k−1} flat + steep (u−λ_k); two:
    whether the step has two stages; unit: log u_k.
    """

    log_gamma: Array
    drift: Array
    score: Array
    flat: Array
    steep: Array
    two: NDArray[np.bool_]
    unit: Array


class _Kept(NamedTuple):
    """Of curvature h: |1 − ch|, |1 − 2bh|, |1 − ah|, and ch, 2bh, ah; arrays (N,), no unit."""

    first: Array
    late: Array
    alone: Array
    first_lost: Array
    late_lost: Array
    alone_lost: Array


def _kept(b: Batch, steps: Steps, own: Array, D: Array, curvature: float) -> _Kept:
    assert steps.flow is not None
    log_h = math.log(curvature)
    z = log_h + b.log_lam_hi
    log_per = -b.steps.F - 2.0 * b.log_alpha_hi  # C e^log_per is c_k
    at_hi = log_per + log_h - softplus(z)
    at_lo = log_h - softplus(log_h + b.log_lam_lo) - 2.0 * b.log_alpha_lo
    first_lost, alone_lost = steps.C * np.exp(at_hi), own * np.exp(at_hi)
    late_lost = np.where(D == 0.0, 0.0, 2.0 * D * np.exp(at_lo))
    # 1 − ch = (1 + hλ(1 − c/λ))/(1+hλ), h = curvature: nothing cancels on a huge step
    stays, moves = np.exp(-softplus(z)), np.exp(z - softplus(z))
    first = np.abs(stays + moves * steps.flow.keep)
    alone = np.where(own == steps.C, first, np.abs(1.0 - alone_lost))
    return _Kept(first, np.abs(1.0 - late_lost), alone, first_lost, late_lost, alone_lost)


def _log_gamma(m: _Kept, L: _Kept, two: NDArray[np.bool_]) -> Array:
    """log γ_k: ½ + ½g(c, λ_{k−1})g(2b, λ_k), or g(a, λ_{k−1}); g is 1 − its loss at m where that decides."""
    lost = np.where(two, 0.5 * (m.first_lost + m.late_lost * (1.0 - m.first_lost)), m.alone_lost)
    at_m = np.where(
        two,
        (m.first_lost + L.first_lost <= 2.0) & (m.late_lost + L.late_lost <= 2.0),
        m.alone_lost + L.alone_lost <= 2.0,
    )
    short = at_m & (lost < 0.5)
    left = np.where(
        two,
        0.5 + 0.5 * np.maximum(m.first, L.first) * np.maximum(m.late, L.late),
        np.maximum(m.alone, L.alone),
    )
    return np.where(short, np.log1p(-np.where(short, lost, 0.0)), np.log(left))


def local(b: Batch, data: Curvature, scheme: Scheme) -> Local:
    """Eq. 21's local terms for every step of the batch. *upper*"""
    assert data.A1 is not None
    m0, L0 = data.A1
    steps = scheme.steps(b)
    assert steps.flow is not None
    own, D = (steps.C, np.zeros_like(steps.C)) if steps.corrector is None else steps.corrector
    two = D > 0.0
    unit = 0.5 * softplus(math.log(m0) + b.log_lam_lo)  # log u_k
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # huge steps: inf, and say so
        m, L = _kept(b, steps, own, D, m0), _kept(b, steps, own, D, L0)
        log_gamma = _log_gamma(m, L, two) + 0.5 * growth(m0, b.log_lam_lo, b.log_lam_hi, b.ratio)
        # ½H − a − b and bℓ_k(½H − c), over e^log_per
        off = np.where(own == steps.C, steps.flow.half, 0.5 * b.steps.C - own) - D * np.exp(-b.steps.F)
        off = np.abs(off) + 0.5 * L.late_lost * np.abs(steps.flow.half)
        slow = 0.5 * (math.log(data.d * L0) - softplus(math.log(L0) + b.log_lam_hi))
        drift = off * np.exp(slow - unit - b.steps.F - 2.0 * b.log_alpha_hi)
        drift = np.where(off == 0.0, 0.0, drift)
        through = (np.abs(own - 0.5 * h.late_lost * steps.C) for h in (m, L))
        score = (np.maximum(*through) + D) * np.exp(-b.log_alpha_lo - unit)
        quarter = -0.25 * np.expm1(-b.gap)  # ¼H/λ_{k−1}
        corrected = D * np.exp(-2.0 * b.log_alpha_lo - b.log_lam_hi)  # b/λ_{k−1}
        flat = np.where(two, np.abs(quarter - corrected) + 4.0 * EPS * quarter, 0.0)
        steep = np.where(two, 0.25 * L.late_lost, 0.5)
    return Local(log_gamma, drift, score, flat, steep, two, unit)


def _blocks(K: int) -> list[slice]:
    return [slice(i, min(i + BLOCK, K)) for i in range(0, K, BLOCK)]


def _sample(K: int) -> list[tuple[slice, float]]:
    """Steps on which θ is chosen, with the log of how many each stands for: the last ones are unlike the others."""
    first = K - SAMPLED // 8
    stride = -(-first // SAMPLED)
    return [(slice(0, first, stride), math.log(stride)), (slice(first, K), 0.0)]


class Sums(NamedTuple):
    """Eq. 21's five terms in x, in y-units at λ_K over u_K: start, drift, first and second derivative, score."""

    start: float
    drift: float
    first: float
    second: float
    score: float


class _Curved:
    """The θ-terms' sums over a batch of a setting's steps: their logarithms, and the best θ of these steps alone."""

    def __init__(self, s: Setting, b: Batch, terms: Local, log_P: Array) -> None:
        assert s.data.A1 is not None
        self.s, self.b, self.terms, self.L0 = s, b, terms, s.data.A1[1]
        self.weight = 2.0 * (log_P - terms.unit)  # log P_k² over u_k²
        self.whole = [(p, 0.0, self._of(p)) for p in _blocks(log_P.size)]

    def _of(self, part: slice) -> Integrals:
        terms = self.terms
        return integrals(self.b, self.L0, terms.flat, terms.steep, terms.two, part)

    def log_sums(
        self, i: int, theta: float, parts: list[tuple[slice, float, Integrals]] | None = None
    ) -> float:
        """log of the sum in the first (i = 0) or the second θ-term."""
        return log_sum(
            np.concatenate(
                [
                    (over.log_second(theta) if i else over.log_first(theta)) + self.weight[p] + log
                    for p, log, over in parts or self.whole
                ]
            )
        )

    def best(self, all_of_them: bool = False) -> tuple[float, ...]:
        K = self.weight.size
        looked = (
            self.whole if K <= SAMPLED or all_of_them else [(p, log, self._of(p)) for p, log in _sample(K)]
        )
        return tuple(
            best_theta(lambda t, i=i: _log_term(self.s, i, t, self.log_sums(i, t, looked)))  # type: ignore[misc]
            for i in range(2 if self.terms.two.any() else 1)
        )


def _log_term(s: Setting, i: int, theta: float, log_sum: float) -> float:
    """log of the first (i = 0) or the second θ-term."""
    if log_sum == -math.inf:  # no step of two stages
        return log_sum
    return 0.5 * (log_sum + _log((_first, _second)[i](theta, s.data, s.nodes.first[1])))


def five(s: Setting, thetas: tuple[float, ...] | None = None) -> Sums:
    """Eq. 21's terms, with the best θ_1 and θ_2 unless they are given; of more steps than a block these are chosen on
    fewer."""
    if thetas is None and s.nodes.in_blocks:
        thetas = _best(s)
    log_P0 = drift = score = 0.0
    logs = [-math.inf, -math.inf]
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite step makes an infinite part
        for _, b in s.nodes.blocks():
            terms = local(b, s.data, s.scheme)
            log_P, log_P0 = log_products(terms.log_gamma, log_P0)
            curved = _Curved(s, b, terms, log_P)
            if thetas is None:
                thetas = curved.best()
            for i in range(2 if terms.two.any() else 1):
                logs[i] = float(np.logaddexp(logs[i], curved.log_sums(i, (*thetas, 2.0)[i])))
            P = np.exp(log_P)
            drift += float(np.sum(P * terms.drift))
            score += s.score_bias * float(np.sum(P * terms.score)) if s.score_bias else 0.0
        assert thetas is not None
        of = (*thetas, 2.0)
        first, second = (float(np.exp(_log_term(s, i, of[i], logs[i]))) for i in (0, 1))
        start = start_at(s.data, s.start, s.process, *s.nodes.first)
        return Sums(grown(start, log_P0), drift, first, second, score)


def _best(s: Setting) -> tuple[float, ...]:
    with np.errstate(over="ignore", invalid="ignore"):  # as above
        if not s.nodes.in_blocks:
            terms = local(s.nodes.batch, s.data, s.scheme)
            return _Curved(s, s.nodes.batch, terms, log_products(terms.log_gamma)[0]).best()
        b, counts = s.nodes.sampled()
        terms = local(b, s.data, s.scheme)
        log_P = log_products_of_groups(terms.log_gamma, counts) + 0.5 * np.log(counts)
        return _Curved(s, b, terms, log_P).best(all_of_them=True)


def sums(s: Setting, thetas: tuple[float, ...] | None = None) -> Parts:
    """`five` as Theorem 3's parts: start, discretisation (as ``bias``; ``noise`` is 0), score."""
    t = five(s, thetas)
    return Parts(t.start, t.drift + t.first + t.second, 0.0, t.score)


def _log(value: float) -> float:
    return math.log(value) if value < math.inf else math.inf


def _evaluate(s: Setting) -> Bound:
    p = sums(s)
    scale, extra = output(s)
    return sum_of(s, "Theorem 7", p.start * scale, p.bias * scale, p.score * scale, extra)


def _explain(s: Setting, bound: Bound) -> Explanation:
    scale, extra = output(s)
    found = Sums(*(v * scale for v in five(s)))
    known, start = begun(s, found.start)
    steps = f"sum over {s.nodes.K} steps"
    drift = "Σ P_k (|H_k/2 - a_k - b_k| + b_k l_k |H_k/2 - c_k|) (d l_(k-1))^(1/2)"
    first = "C_θ^(1/2)/2 (Σ P_k² ∫G_k² (1+L_0u)^(-θ) du)^(1/2)"
    second = "C_2^(1/2)/4 (Σ P_k² ∫((u-λ_k)(λ_(k-1)-u)/u)² (1+L_0u)^(-θ) du)^(1/2)"
    score = "M Σ P_k (max_h |a_k - b_k c_k h| α_(k-1) + b_k α_k)"
    out = [
        start,
        Term(first, f"{steps}, best θ", found.first, "discretisation: first derivative of the score"),
        Term(second, f"{steps}, of two stages, best θ", found.second, "discretisation: second derivative"),
        Term(drift, steps, found.drift, "discretisation: drift of the steps"),
        Term(score, steps if s.score_bias else "0", found.score, "score error at both stages"),
    ]
    if s.score_bias:
        known.append(Known("M", s.score_bias, "score error (A3, at both stages)"))
    formula = f"W2 ≤ P_0 E_0 + {first} + {second} + {drift} + {score}"
    formula += add_stop(s, scale, extra, known, out)
    remark = (
        "l_k = L_0/(1+L_0λ_k), h is m_0/(1+m_0λ_k) or l_k; G_k = |H_k/4 - b_k| + b_k l_k (u-λ_k)/2 for two stages, "
        "(u-λ_k)/2 for one."
    )
    return Explanation("Theorem 7 (Eq. 21)", formula, tuple(known), tuple(out), bound.total, (remark,))


def _rows(b: Batch, data: Curvature, scheme: Scheme) -> StepRows:
    assert data.A1 is not None
    terms = local(b, data, scheme)
    over = integrals(b, data.A1[1], terms.flat, terms.steep, terms.two, slice(None))
    weights = (
        lambda t: np.exp(over.log_first(t) - 2.0 * terms.unit),
        lambda t: np.exp(over.log_second(t) - 2.0 * terms.unit),
    )
    return StepRows(terms.log_gamma, terms.drift, terms.score, weights)


def _log_V(data: Curvature, log_lam: float) -> float:
    assert data.A1 is not None
    return float(softplus(np.float64(math.log(data.A1[1]) + log_lam)))


def _first(theta: float, data: Curvature, log_lam: float) -> float:
    return 0.25 * decay_constant(theta, data, log_lam)


def _second(theta: float, data: Curvature, log_lam: float) -> float:
    assert data.A1 is not None
    m0, L0 = data.A1
    return data.d * L0**2 * second_constant(theta, L0 / m0, _log_V(data, log_lam))


#: The θ that are tried while T is searched.
WIDE = np.array([0.0, 0.4, 0.8, 1.2, 1.5, 1.7, 1.85, 1.95, 2.0, 2.05, 2.15, 2.4, 3.0, 4.0])


# ---------------------------------------------------------------------- the grid with a closed form


def sinh_sum(d: int, m0: float, L0: float, lam_T: float, K: int) -> float:
    """The discretisation part of Eq. 21 for heun-lambda on the grid `sinh`, in closed form, in x. *upper*

    Raises `HypothesisFailed` where e^{2h} > 3 (too few steps).
    """
    h = math.asinh(math.sqrt(L0 * lam_T)) / K
    if math.exp(2.0 * h) > 3.0:
        raise HypothesisFailed(
            "Theorem 7's closed form", "e^{2h} <= 3", f"e^{{2h}} = {math.exp(2.0 * h):g} with K = {K}"
        )
    log_V, A = math.log1p(L0 * lam_T), math.log1p(m0 * lam_T)
    q = math.sinh(h) * math.sinh(3.0 * h) / math.sinh(2.0 * h)
    spread = q**4 * math.exp(2.0 * h) * (L0 / m0) * A
    second = (spread / 16.0 + math.sinh(h) ** 6 / 48.0) * (CLOSED[0] + CLOSED[1] * log_V) / 16.0
    first = (spread / 12.0 + math.sinh(h) ** 10 / 192.0) * (1.0 + log_V)
    return math.sqrt(d / L0) * (math.sqrt(second) + 0.5 * math.sqrt(first))


# ---------------------------------------------------------------------- hypotheses


def _weights(s: Setting) -> None:
    if not s.scheme.flow:
        return
    before = 0
    for b in s.nodes.onward():
        steps = s.scheme.steps(b)
        if steps.corrector is None:
            return
        own, D = steps.corrector
        with np.errstate(invalid="ignore"):  # infinite coefficients: the bound is infinite
            wrong = (D < 0.0) | ((D > 0.0) & (np.abs(own - 0.5 * steps.C) > ROUNDING * np.abs(steps.C)))
        if wrong.any():
            step = before + int(np.argmax(wrong)) + 1
            raise HypothesisFailed("Theorem 7", WEIGHTS, f"{s.scheme.name} has other weights in step {step}")
        before += b.size


SUMS = ThetaSums(
    of=lambda s, roughly: sums(s, (2.0, 2.0) if roughly else None),
    start=start_at,
    rows=_rows,
    constants=(_first, _second),
    orders=(3.0, 3.0, 1.0, 5.0),
    wide=WIDE,
    best=_best,
)


def _claim() -> Formula:
    """At θ_1 = θ_2 ≠ 2: G_k = G_0 + G_1(u−λ_k), ι_k = 1 for two stages, else 0."""
    from wbound.statement import formulas as f  # dear to build

    k, P, H, a, b, c, lam, x = f.k, f.P, f.H, f.a, f.b, f.c, f.lam, f.x
    steps, decay = (x, lam[k], lam[k - 1]), (1 + f.L_0 * x) ** (-f.theta)
    first = sp.Integral((f.G_0[k] + f.G_1[k] * (x - lam[k])) ** 2 * decay, steps)
    second = (x - lam[k]) ** 2 * (lam[k - 1] - x) ** 2 / (16 * x**2) * decay
    second = f.iota[k] * sp.Integral(second, steps)
    one, two = (sp.sqrt(f.summed(P[k] ** 2 * part)) for part in (first, second))
    curved = sp.sqrt(f.decay()) / 2 * one + sp.sqrt(sp.Function("C_2")(f.theta)) * two
    drift = sp.Abs(H[k] / 2 - a[k] - b[k]) + b[k] * f.ell[k] * sp.Abs(H[k] / 2 - c[k])
    through = sp.Max(*(sp.Abs(a[k] - b[k] * c[k] * h[k]) for h in (f.m, f.ell)))
    score = f.M * f.summed(P[k] * (through * f.alpha[k - 1] + b[k] * f.alpha[k]))
    return Formula(sp.Le(f.W_2, P[0] * f.E_0 + f.summed(P[k] * drift * f.slow) + curved + score))


THEOREM_7 = Theorem(
    **stated(
        "theorem-7",
        _evaluate,
        c.an_ode,
        c.fixed_times,
        c.own(WEIGHTS, _weights),
        c.a1,
        c.no_noise,
        source="derived here; heun after Karras et al., 2022, Algorithm 1",
        covers=("eq-21",),
    ),
    placed=20,
    claim=_claim,
    called="sharp",
    takes=lambda scheme: scheme.stages == 2,
    criterion=lambda scheme: "Eq. 21",
    order=2.0,
    power=0.5,
    start=start_at,
    explain=_explain,
    over_steps=SUMS.over_steps,
    thetas=SUMS.best,
)
