"""Theorem 1, after Gao, Nguyen & Zhu (arXiv 2311.11003): constants re-derived (section 4 of docs/theory.md).

Carried, like Theorem 2, in units of s_k = α_k(1 + m_0λ_k), since ∫g²m = log of (1 + m_0λ)'s growth (Eq. 6).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from wbound.bounds.shared import sum_of
from wbound.bounds.theorem import Needed, Theorem, stated
from wbound.calculus.quadrature import integrate
from wbound.calculus.stable import LEAST, grown, growth, softplus
from wbound.calculus.suprema import branch_and_bound
from wbound.data.curvature import Curvature
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, HypothesisFailed, nonnegative
from wbound.forward.clock_at_infinity import Clock, Sum, largest, plus, power_of_x
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import EM, Scheme
from wbound.sampler.steps import Batch, batch
from wbound.statement import hypotheses as c
from wbound.statement.formula import Formula
from wbound.statement.statement_object import Bound
from wbound.statement.terms import Explanation, Known, Term, facts_of, product_text, start_of
from wbound.summation.criterion import INFINITE, Criterion, Value, by_size
from wbound.summation.step_sums import Quality, Rows, tally
from wbound.typing import Array, Index

__all__ = ["STEP_SIZE", "THEOREM_1", "Local", "local", "moment_supremum", "start_at", "step_sizes"]


#: sup ν_k is bounded from above to this relative accuracy on steps where it is inside the step.
NU_RTOL = 1e-5
#: D_k's integral, whose error estimate is added: a user's α and λ carry rounding that 1e-13 would chase, and
#: near a zero of f and g the integrand is rounding: 1e-20 of its largest mean makes 1e-10 of D's.
RTOL, FLOOR = 1e-11, 1e-20


class Local(NamedTuple):
    """Theorem 1's local terms in units of s_k, arrays (N,): log of γ_k s_{k−1}/s_k, D_k, η_kG_k, G_k."""

    log_gamma: Array
    D: Array
    eta_G: Array
    G: Array


def _roughness(b: Batch, process: Process, L0: float) -> Array:
    """∫(f + g²L)² over each step, L = min(1/σ², L_0/α²), split at the kink λ = 1/L_0, error added."""

    def integrand(t: Array) -> Array:
        log_alpha, log_lam = process.law(t)
        # g²L = (g²/α²) min(1/λ, L_0)
        L = np.exp(-2.0 * log_alpha + np.minimum(-log_lam, math.log(L0)))
        return np.asarray((process.f(t) + process.g(t) ** 2 * L) ** 2)

    kink = math.inf
    if b.size and -math.log(L0) < float(b.log_lam_hi.max()):
        kink = process.crossing(-math.log(L0))
    first_end = np.clip(kink, b.t_lo, b.t_hi)
    split = (first_end > b.t_lo) & (first_end < b.t_hi)
    accuracy: dict[str, Any] = {"rtol": RTOL, "floor": FLOOR, "option": "f, g", "breaks": process.kinks}
    whole = integrate(integrand, b.t_lo, np.where(split, first_end, b.t_hi), **accuracy)
    total = whole.value + whole.error
    if split.any():
        rest = integrate(integrand, first_end[split], b.t_hi[split], **accuracy)
        total[split] += rest.value + rest.error
    return total


def _displacement(b: Batch, process: Process, data: Curvature) -> Array:
    """sup ν_k over the step, in x, where ν² = (α(τ)−α_{k−1})²(E|X_0|²+dλ) + dα_{k−1}²(λ_{k−1}−λ).

    Its λ-derivative is negative while α < 2α_{k−1}: there the supremum is at τ_k. Elsewhere it is bounded
    from above by cells on which each factor is monotone, refined until they agree to `NU_RTOL`.
    """
    M2, d = data.second_moment, data.d
    F = b.steps.F
    with np.errstate(over="ignore", invalid="ignore"):  # huge steps: infinite, as the bound is
        size = np.exp(2.0 * b.log_alpha_hi) * M2 + d * np.exp(2.0 * b.log_alpha_hi + b.log_lam_lo)
        moved = np.expm1(F) ** 2 * size + d * b.steps.Q * np.exp(-2.0 * F)
    inside = np.flatnonzero(math.log(2.0) < F)
    for i in inside:  # few: the step-size condition allows F > log 2 only in a narrow band
        moved[i] = _supremum_inside(b, process, M2, d, int(i))
    return np.sqrt(moved)


def _supremum_inside(b: Batch, process: Process, M2: float, d: int, i: int) -> float:
    log_alpha, sigma2 = float(b.log_alpha_hi[i]), float(b.sigma2_hi[i])
    size = math.exp(2.0 * log_alpha) * M2

    def enclosure(lo: Array, hi: Array) -> tuple[Array, Array]:
        # λ is carried times α_{k−1}², which does not overflow
        (log_lo, lam_lo), (log_hi, lam_hi) = process.laws(lo, hi)
        lam_lo, lam_hi = np.exp(lam_lo + 2.0 * log_alpha), np.exp(lam_hi + 2.0 * log_alpha)
        low = np.expm1(log_hi - log_alpha) ** 2 * (size + d * lam_lo) + d * np.maximum(sigma2 - lam_hi, 0.0)
        high = np.expm1(log_lo - log_alpha) ** 2 * (size + d * lam_hi) + d * (sigma2 - lam_lo)
        return low, high

    return branch_and_bound(enclosure, float(b.t_lo[i]), float(b.t_hi[i]), rtol=NU_RTOL).upper


def local(b: Batch, process: Process, data: Curvature, M1: float | Array) -> Local:
    """γ_k, D_k, ηG_k and G_k of Eq. 5 for every step of the batch, in units of s_k. *upper*

    M1: one number, or one a step (N,).
    """
    assert data.A1 is not None
    m0, L0 = data.A1
    eta = b.t_hi - b.t_lo
    y = growth(m0, b.log_lam_lo, b.log_lam_hi, b.ratio)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # infinite steps are said so
        per_unit = np.exp(-b.log_alpha_lo - softplus(math.log(m0) + b.log_lam_lo))
        # γ = 1 + F − y + M_1ηG (y = ∫g²m), in the new units times e^{y−F}
        z = b.steps.F - y
        log_gamma = np.log1p(z) - z + np.log1p(M1 * eta * b.steps.G / (1.0 + z))
        D = np.sqrt(eta * _roughness(b, process, L0)) * _displacement(b, process, data) * per_unit
        return Local(log_gamma, D, eta * b.steps.G * per_unit, b.steps.G * per_unit)


def step_sizes(b: Batch, data: Curvature, part: slice = slice(None)) -> Array:
    """∫g²(m + L) / (2(1 + F_k)) of each step (N,), or of a part: the step-size condition is that this is ≤ 1."""
    assert data.A1 is not None
    m0, L0 = data.A1
    lo, hi = b.log_lam_lo[part], b.log_lam_hi[part]
    y = growth(m0, lo, hi, b.ratio[part])

    def clocked(log_lam: Array) -> Array:
        z = math.log(L0) + log_lam  # ∫min(1/λ, L_0)dλ
        return np.where(z <= 0.0, np.exp(np.minimum(z, 0.0)), 1.0 + z)

    return (y + clocked(hi) - clocked(lo)) / (2.0 * (1.0 + b.steps.F[part]))


def moment_supremum(process: Process, data: Curvature, T: float, rtol: float = 1e-6) -> float:
    """ω = sup over [0, T] of ‖X_t‖ = (α²E|X_0|² + dσ²)^{1/2}, in x: computed, or bounded to ``rtol`` upward."""
    M2, d = data.second_moment, data.d
    at_T = float(process.alpha(T) ** 2 * M2 + d * process.sigma2(T))
    if process.family in ("ve", "stationary"):  # monotone: an end is the supremum
        return math.sqrt(max(M2, at_T))

    def enclosure(lo: Array, hi: Array) -> tuple[Array, Array]:
        (log_a_hi, log_s_lo), (log_a_lo, log_s_hi) = process.laws(lo, hi)  # α decreases, λ increases
        with np.errstate(over="ignore"):  # a wide cell: unknown, hence refined
            low = np.exp(2.0 * log_a_lo) * M2 + d * np.exp(2.0 * log_a_lo + log_s_lo)
            top = np.exp(2.0 * log_a_hi) * M2 + d * np.exp(2.0 * log_a_hi + log_s_hi)
        return low, top

    return math.sqrt(branch_and_bound(enclosure, 0.0, T, rtol=rtol).upper)


def start_at(data: Curvature, start: str, process: Process, log_alpha: float, log_lam: float) -> float:
    """α(T)‖X_0‖ in units of s_0 (Y and y share the noise of the start); 0 from p_T; from N(0, I) with σZ
    and Z coupled."""
    if start == "exact":
        return 0.0
    unit = math.exp(-float(softplus(np.float64(math.log(data.normaliser) + log_lam))))
    size = math.sqrt(data.second_moment)
    if start == "standard":
        size = math.hypot(size, math.sqrt(data.d) * process.short_of_one(log_alpha)[1])
    return max(size * unit, LEAST)


def _summed(s: Setting) -> tuple[float, Array]:
    """log P_0, and the sums of P_k times D_k, η_kG_k and G_k."""
    assert s.M1 is not None
    log_P, sums = 0.0, np.zeros(3)
    for b in s.nodes.onward():
        terms = local(b, s.process, s.data, s.M1)
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite step makes an infinite bound
            tail = np.cumsum(terms.log_gamma[::-1])[::-1]
            P = np.exp(np.append(tail[1:], 0.0))
            own = [P @ terms.D, P @ terms.eta_G, P @ terms.G]
            sums = np.where(sums == 0.0, 0.0, sums * np.exp(tail[0])) + own
        log_P += float(tail[0])
    return log_P, sums


def _evaluate(s: Setting) -> Bound:
    assert s.M1 is not None
    data = s.data
    log_P, sums = _summed(s)
    start = start_at(data, s.start, s.process, *s.nodes.first)
    omega = moment_supremum(s.process, data, s.nodes.T) if s.M1 else 0.0
    D, eta_G, G = sums.tolist()
    score = s.score_bias * G if s.score_bias else 0.0
    return sum_of(s, "Theorem 1", grown(start, log_P), D + s.M1 * (1.0 + omega) * eta_G, score)


def _explain(s: Setting, bound: Bound) -> Explanation:
    data = s.data
    assert s.M1 is not None
    omega = moment_supremum(s.process, data, s.nodes.T) if s.M1 else 0.0
    D, eta_G, G = _summed(s)[1].tolist()
    size = 0.0 if s.start == "exact" else bound.trivial
    if s.start == "standard":  # Theorem 1 has its own error of this start
        prior, own = (start_at(data, name, s.process, *s.nodes.first) for name in ("prior", s.start))
        size *= own / prior
    start_known, start = start_of(s, size, bound.initialisation, "P_0α(T) E_0")
    known = [
        *facts_of(s),
        Known("η", s.nodes.T / s.nodes.K, "length of a step"),
        *start_known,
        Known("M_1", s.M1, "regularity of the score in time (A2)"),
    ]
    if s.M1:
        known.append(Known("ω", omega, "largest ‖X_t‖"))
        known.append(Known("Σ P_k η G_k", eta_G, "weights of M_1"))
    if s.score_bias:
        known.append(Known("M", s.score_bias, "score error (A3)"))
        known.append(Known("Σ P_k G_k", G, "weights of M"))
    out = [
        start,
        Term("Σ P_k D_k", f"sum over {s.nodes.K} steps", D, "discretisation: how far X_t moves in a step"),
        Term(
            "M_1 (1 + ω) Σ P_k η G_k",
            product_text(s.M1, 1.0 + omega, eta_G),
            s.M1 * (1.0 + omega) * eta_G,
            "discretisation: how far the score moves in time",
        ),
        Term("M Σ P_k G_k", product_text(s.score_bias, G), s.score_bias * G, "score error"),
    ]
    formula = "W2 ≤ P_0α(T) E_0 + Σ P_k D_k + M_1 (1 + ω) Σ P_k η G_k + M Σ P_k G_k"
    return Explanation("Theorem 1 (Eq. 5)", formula, tuple(known), tuple(out), bound.total)


# ---------------------------------------------------------------------- over many steps


class _A2:
    """A2's constant M_1 on [0, T]: the number given, or the data's own."""

    def __init__(self, process: Process, data: Curvature, M1: Any) -> None:
        self.process, self.data = process, data
        self.given = None if M1 == "exact" else float(M1)
        self.law: Any = data
        if self.given is None and isinstance(data, LogConcave):
            self.law = data.gaussian() or data
        self.known: dict[float, float] = {}
        self.rough: list[tuple[float, float, float]] = []

    def __call__(self, T: float) -> float:
        if self.given is not None:
            return self.given
        if T not in self.known:
            self.known[T] = self.law.M1(self.process, T)
        return self.known[T]

    def roughly(self, T: float) -> float:
        """An upper bound that serves while T is searched: of a longer horizon, for A2 on [0, T'] holds on
        [0, T]. What was found at one time serves every horizon between that time and T'."""
        longer = _octave(T)
        if self.given is not None or not longer < self.process.t_max:
            return self(T)
        if not isinstance(self.law, Gaussian):
            return self(longer)
        for at, end, value in self.rough:
            if at <= T <= end:
                return value
        found = self.law.score_rate(self.process, longer, 1e-2)
        self.rough.append((found.at, longer, found.upper))
        return found.upper


def _octave(T: float) -> float:
    """The next power of two: few horizons, each an upper bound for the shorter ones."""
    return 2.0 ** math.ceil(math.log2(T))


def over_steps(
    process: Process,
    data: Curvature,
    scheme: Scheme,
    start: str,
    M: float = 0.0,
    V: float = 0.0,
    M1: Any = None,
) -> Criterion:
    if M1 == "exact" and not hasattr(data, "M1"):
        raise BadInput("M1", M1, "is known for Gaussian data only: give A2's constant as a number")
    a2 = _A2(process, data, M1 if M1 == "exact" else nonnegative("M1", M1))
    moments: dict[tuple[float, bool], float] = {}

    def omega_of(T: float, quality: Quality) -> float:
        # while T is searched a rougher bound will do; then the search stays at one T
        rough = quality.rough
        if (T, rough) not in moments:
            moments[T, rough] = moment_supremum(process, data, T, 1e-3 if rough else 1e-6)
        return moments[T, rough]

    def a2_at(T: float, quality: Quality) -> float:
        return a2.roughly(T) if quality.rough else a2(T)

    def summed(T: float, K: int, quality: Quality) -> Value:
        m1 = a2_at(T, quality)
        try:
            b = THEOREM_1(setting(process, data, T, K, scheme=scheme, start=start, score_bias=M, M1=m1))
        except HypothesisFailed as failed:
            if failed.step is None:
                raise
            return INFINITE  # the step-size condition: more steps are needed
        return Value(b.initialisation + b.score, b.discretisation, score=b.score)

    def tallied(T: Array, K: Array, quality: Quality) -> list[Value]:
        # the longest first: what is found for it may serve the others
        m1 = np.empty(T.size)
        for i in np.argsort(-T):
            m1[i] = a2_at(float(T[i]), quality)

        def rows_of(b: Batch, which: Index) -> Array:
            return np.stack(local(b, process, data, m1[which]))

        kink = -math.log(data.A1[1]) if data.A1 is not None else 0.0
        alike = bool(m1.min() == m1.max())
        rows = Rows(rows_of, (2.0, 1.5, 2.0, 1.0), (1, 1, 1), (kink,), float(m1.max()), alike)
        got = tally(process, data, T, K, rows, quality)
        assert got.near is not None
        sizes = step_sizes(got.near.batch, data, slice(got.near.size))
        longest = sizes.reshape(got.near.horizons, -1).max(axis=1)
        longest = np.maximum(longest, step_sizes(batch(process, T - T / K, T), data))
        log_alpha, log_lam = process.law(T)
        out = []
        for i in range(T.size):
            if longest[i] > 1.0:
                out.append(INFINITE)
                continue
            omega = omega_of(float(T[i]), quality) if m1[i] else 0.0
            first = start_at(data, start, process, float(log_alpha[i]), float(log_lam[i]))
            first = grown(first, float(got.log_P[i]))
            D, eta_G, G = (float(v) for v in got.sums[i])
            score = M * G if M else 0.0
            moved = float(m1[i]) * (1.0 + omega) * eta_G
            out.append(Value(first + score, D, score=score, error=float(got.error[i].max()), fast=moved))
        return out

    return by_size(summed, tallied)


# ---------------------------------------------------------------------- orders in d and ε


def main_rate(clock: Clock) -> sp.Expr:
    """Of g(f + g²L)/(α(1+m_0λ)) dt/du."""
    return sp.expand(clock.g + clock.speed + clock.drift - clock.lam_ + clock.measure)


def drift_rate(clock: Clock) -> sp.Expr:
    """Of f‖X‖(f + g²L)/(α(1+m_0λ)) dt/du, where ‖X‖ ≍ αλ^{1/2}."""
    return sp.expand(clock.scale.rate(clock.f) + clock.speed - clock.lam_ / 2 + clock.measure)


def _needs(clock: Clock, scheme: str) -> Needed:
    """K ≍ T x² S², S = ∫g(f+g²L)/(α(1+m_0λ))dt."""
    clock.check_origin(3)  # g³
    main = clock.sum("discretisation", "∫g(f+g²L)/(α(1+m0 λ)) dt", main_rate(clock))
    T = clock.horizon[0]
    sums: tuple[Sum, ...] = (main,)
    notes: tuple[str, ...] = ()
    powers = plus(T, power_of_x(2), main.growth, main.growth)
    if clock.f != 0:  # the drift's share of ν_k, of order η and not √η
        drift = clock.sum("drift", "∫f|X|(f+g²L)/(α(1+m0 λ)) dt", drift_rate(clock))
        sums = (main, drift)
        powers = largest(clock.scale, powers, plus(T, power_of_x(1), drift.growth))
    powers = largest(clock.scale, powers, plus(T, clock.steepness))  # the step-size condition at T
    if clock.scale.direction(sp.expand(clock.lam_ - 2 * clock.drift)) < 0:
        notes = ("σ² → 0, so that A2's M_1 grows with T (Gaussian data); the order is for a fixed M_1",)
    return Needed(powers, sums, notes)


# ---------------------------------------------------------------------- hypotheses


#: The hypothesis that a number of steps may fail and a larger one not.
STEP_SIZE = "step-size condition"


def _a2(s: Setting) -> None:
    if s.M1 is None:
        raise BadInput(
            "M1",
            "None",
            "Theorem 1 needs A2's constant, a number >= 0 (Gaussian data: data.M1(process, T), or M1='exact')",
        )


def _step_size(s: Setting) -> None:
    before = 0
    for b in s.nodes.onward():
        ratio = step_sizes(b, s.data)
        wrong = np.flatnonzero(~(ratio <= 1.0 + 1e-12))
        if wrong.size:
            k = int(wrong[0])
            raise HypothesisFailed(
                "Theorem 1",
                "the step-size condition, integral of g^2 (m+L) <= 2(1+F_k),",
                f"the left side is {float(ratio[k]):.6g} times the right; take more steps",
                step=before + k + 1,
            )
        before += b.size


def _claim() -> Formula:
    from wbound.statement import formulas as f  # dear to build

    k = f.k
    of_step = f.D[k] + f.M_1 * f.eta * f.G[k] * (1 + f.omega) + f.M * f.G[k]
    return Formula(sp.Le(f.W_2, f.e_0 * f.whole + f.summed(f.later * of_step)))


THEOREM_1 = Theorem(
    **stated(
        "theorem-1",
        _evaluate,
        c.a1,
        c.own("A2", _a2),
        c.scheme("em"),
        c.uniform,
        c.no_noise,
        c.own(STEP_SIZE, _step_size),
        source="Gao, Nguyen & Zhu, arXiv 2311.11003 (constants re-derived)",
        covers=("eq-5",),
    ),
    placed=4,
    claim=_claim,
    called="published",
    takes=lambda scheme: scheme == EM,
    criterion=lambda scheme: "Eq. 5",
    order=0.5,
    power=1.0,
    start=start_at,
    explain=_explain,
    more_steps=(STEP_SIZE,),
    over_steps=over_steps,
    needs=_needs,
    starts_centred="Theorem 1 as published starts from ‖X_0‖; its proof takes Eq. 8 as well",
    why_K="The discretisation part of Eq. 5 is √(dη) S, S = {formula}, with integrand {integrand}: S {at_T}, so η ≍ "
    "ε²/(d S²) will do and K = T/η ≍ {K}.",
)
