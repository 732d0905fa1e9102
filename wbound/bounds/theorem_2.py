"""Theorem 2 and 2′: the sharp W2 bound of SDE schemes of one score a step, for every process (sections 5
and 11 of docs/theory.md).

Everything is carried in units of s_k = α_k(1 + cλ_k), c the data's `normaliser`: then hf contracts by
exactly 1 (strongly log-concave data), nothing overflows before the bound does, and s_K = 1 at λ_K = 0.
The local terms are functions of one step alone, so that the same ones serve the sums here and the
integrals over virtual steps in `over_steps`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from wbound.bounds.ddpm import ManySteps, ancestral, ancestral_sums, best_of, has_ancestral
from wbound.bounds.shared import Parts, bound_of, output, start_error, start_term, starts_at, value_of
from wbound.bounds.theorem import Needed, Theorem, stated
from wbound.bounds.theorem_2_explained import Shares, eq_7, eq_9
from wbound.calculus.stable import grown, growth, logistic, softplus
from wbound.data.curvature import Curvature, StronglyLogConcave
from wbound.extras import installed
from wbound.forward.clock_at_infinity import Clock, largest
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import DDPM, Scheme, keeps, vanishes
from wbound.sampler.steps import Batch, GridBatch
from wbound.sampler.turns import turns_of
from wbound.statement import hypotheses as c
from wbound.statement.formula import Formula
from wbound.statement.statement_object import Bound
from wbound.statement.terms import Explanation
from wbound.summation.criterion import AT_ONCE, INFINITE, Criterion, Value, by_size
from wbound.summation.step_sums import Quality, Rows, Tally, one_by_one, tally
from wbound.typing import Array, Index

__all__ = ["THEOREM_2", "Local", "local", "shares"]


#: Steps so large that their product of contractions exceeds e^300 in units of s_k: the bound is called infinite,
#: since early terms below 1e-300 would be lost in doubles and then matter.
UNSTABLE = 300.0
#: With more steps Eq. 9′'s η⁵ is below doubles; Eq. 7″, a bound too, is left.
SHORTEST = 1e50


class Local(NamedTuple):
    """Theorem 2's local terms of each step in units of s_k, arrays (N,), or 0.0 where they vanish.

    log_gamma: log of γ_k s_{k−1}/s_k; b: b_k/s_k and n2: n_k²/s_k² (x, x²); C: C_k/s_k (x² over x-units).
    """

    log_gamma: Array | float
    b: Array | float
    n2: Array
    C: Array | float


def local(b: Batch, data: Curvature, scheme: Scheme, score: bool = True) -> Local:
    """γ_k, b_k, n_k², C_k of Eq. 7 for every step of the batch, in units of s_k. *upper*

    Without ``score`` C is not computed.
    """
    steps = scheme.steps(b)
    c = data.normaliser
    heat_flow = vanishes(steps.a) and vanishes(steps.c) and vanishes(steps.q)
    quick = isinstance(data, StronglyLogConcave) and isinstance(b, GridBatch) and b.tame
    if quick and heat_flow and not score:
        return _tame_local(b, data)  # type: ignore[arg-type]
    unit = softplus(math.log(c) + b.log_lam_lo)  # log s_k/α_k
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # huge steps give inf, and say so
        log_n2 = data.log_psi(b.log_lam_lo, b.log_lam_hi, b.ratio)
        log_n2 += math.log(data.d)
        log_n2 -= 2.0 * unit
        n2 = np.exp(log_n2)
        exact_mean = vanishes(steps.a) and vanishes(steps.c)
        per_unit = None
        if score or not vanishes(steps.q) or not exact_mean:
            per_unit = np.exp(-unit - b.log_alpha_lo)
        C = steps.C * per_unit if score and per_unit is not None else 0.0
        if not vanishes(steps.q) and per_unit is not None:
            # X_k: √Q^hf − √Q = q/(√Q^hf + √Q)
            mismatch = np.where(steps.q == 0.0, 0.0, steps.q / (np.sqrt(b.steps.Q) + np.sqrt(steps.Q)))
            n2 = (np.sqrt(n2) + math.sqrt(data.d) * np.abs(mismatch) * per_unit) ** 2
        if exact_mean and data.telescopes:
            return Local(0.0, 0.0, n2, C)
        y = growth(c, b.log_lam_lo, b.log_lam_hi, b.ratio)
        # curvatures at τ_{k−1} in x-units: m/α² = λm/σ²
        lam_m, lam_L = data.lam_m(b.log_lam_hi), data.lam_L(b.log_lam_hi)
        m, L = lam_m / b.sigma2_hi, lam_L / b.sigma2_hi
        # γ^hf s_{k−1}/s_k = 1 + (e^y − 1)(1 − m(1+cλ)/c): exactly 1 for strongly log-concave data; the
        # scheme's own γ differs from it by a − c·m, which is small: no cancellation for tiny steps
        drift: Array | float = 0.0
        if not data.telescopes:
            drift = np.expm1(y) * (1.0 - lam_m / logistic(math.log(c) + b.log_lam_hi))
        lag = np.exp(y - b.steps.F)
        # |A − Cm| ≥ |A − CL| where C(m + L) ≤ 2A, and it is A − Cm
        change = drift - (steps.a - steps.c * m) * lag
        log_gamma = np.log1p(np.maximum(change, -0.5))
        rest = np.flatnonzero(~((steps.C * (m + L) <= 2.0 * steps.A) & (change > -0.5)))
        if rest.size:
            drift_L = data.drift_L(b.log_lam_hi)[rest]
            drift_L = np.where(drift_L == 0.0, 0.0, np.expm1(y[rest]) * drift_L)
            own = _at(steps.A, rest), _at(steps.C, rest), _at(steps.a, rest), _at(steps.c, rest)
            left = (
                keeps(*own, m[rest], _at(drift, rest), lag[rest]),
                keeps(*own, L[rest], drift_L, lag[rest]),
            )
            log_gamma[rest] = np.log(np.maximum(*np.abs(left)))
        if exact_mean or per_unit is None:
            return Local(log_gamma, 0.0, n2, C)
        # b_k² = a²‖X‖² − 2acd + c²dL = dL(c − a/L)² + a²α²(E|X_0|² + dλ − d/L(λ)): nothing left to clip
        # (no square of c or of α: c may be 1e-170 in x²)
        bias = np.sqrt(data.d * L) * np.abs(steps.c - steps.a / L)
        if not vanishes(steps.a):
            bias = np.hypot(bias, steps.a * np.exp(b.log_alpha_hi) * np.sqrt(data.excess(b.log_lam_hi)))
        return Local(log_gamma, bias * per_unit, n2, C)


def _at(value: Array | float, where: NDArray[np.intp]) -> Array:
    return np.broadcast_to(value, (where.size,)) if np.ndim(value) == 0 else np.asarray(value)[where]


def _tame_local(b: GridBatch, data: StronglyLogConcave) -> Local:
    """`local` of hf in λ itself, its fast twin on tame steps: dΨ/(1 + m_0λ_k)²."""
    per_unit = data.m0 * b.lam[1:]
    per_unit += 1.0
    n2 = data.psi_between(b.lam[1:], b.H)
    n2 /= per_unit
    n2 /= per_unit
    n2 *= data.d
    return Local(0.0, 0.0, n2, 0.0)


# ---------------------------------------------------------------------- the recursion and its parts


def _recursion(u: float, gamma: Array, drift: Array, noise2: Array) -> float:
    """u_k² = (γ_k u_{k−1} + drift_k)² + noise2_k (Eq. 7). Run as it is, or compiled for many steps."""
    for k in range(len(gamma)):
        w = gamma[k] * u + drift[k]
        u = (w * w + noise2[k]) ** 0.5
    return u


@cache
def _compiled() -> Callable[..., float]:
    import numba

    compiled: Callable[..., float] = numba.njit(cache=True)(_recursion)
    return compiled


def _run(u: float, gamma: Array, drift: Array, noise2: Array) -> float:
    # below some thousand steps plain Python is quicker than loading the compiler
    if gamma.size >= 20_000 and installed("numba"):
        return float(_compiled()(u, gamma, drift, noise2))
    try:
        return float(_recursion(u, *(v.tolist() for v in (gamma, drift, noise2))))
    except OverflowError:
        return math.inf


class Sums:
    """Eq. 7′'s sums, gathered block by block in the sampler's order, in units of s_K: what is held does not grow with K."""

    def __init__(self, M: float, V: float) -> None:
        self.M, self.V = M, V
        self.log_P = 0.0  # log of the product of the γ of the blocks so far
        self.largest = 0.0  # the largest log of a product of the last of them
        self.bias = self.noise2 = self.score = 0.0

    def add(self, terms: Local) -> None:
        """The next block's terms, steps in the sampler's order, all after those added so far."""
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite step makes an infinite part
            P: Array | float = 1.0
            if isinstance(terms.log_gamma, np.ndarray):
                tail = np.cumsum(terms.log_gamma[::-1])[::-1]
                P = np.exp(np.append(tail[1:], 0.0))
                whole = float(tail[0])
                self.largest = max(self.largest + whole, float(tail.max()), 0.0)
                self.log_P += whole
                left = math.exp(min(whole, UNSTABLE + 1.0))
                self.bias, self.noise2, self.score = (
                    self.bias * left,
                    self.noise2 * left * left,
                    self.score * left,
                )
            n2 = terms.n2 if self.V == 0.0 else terms.n2 + (self.V * terms.C) ** 2
            self.noise2 += float(np.sum(n2 * P**2))
            self.bias += float(np.sum(terms.b * P))
            if self.M:
                self.score += self.M * float(np.sum(terms.C * P))

    def parts(self, start: float) -> Parts:
        """The `Parts`, given e_0/s_0."""
        if not self.largest <= UNSTABLE:
            return Parts(math.inf if start else 0.0, math.inf, math.inf, math.inf if self.M else 0.0)
        first = grown(start, self.log_P)
        return Parts(first, self.bias, math.sqrt(self.noise2), self.score)


def sums(s: Setting) -> Parts:
    """Eq. 7′'s parts of a setting by summing every step, without the recursion of Eq. 7."""
    gathered = Sums(s.score_bias, s.score_noise)
    for block in s.nodes.onward():
        gathered.add(local(block, s.data, s.scheme, bool(s.score_bias or s.score_noise)))
    return gathered.parts(start_term(s))


def _evaluate(s: Setting) -> Bound:
    data, nodes = s.data, s.nodes
    M, V = s.score_bias, s.score_noise
    start = start_term(s)
    gathered = Sums(M, V)
    u, plain = start, M == 0.0
    for block in nodes.onward():
        terms = local(block, data, s.scheme, bool(M or V))
        gathered.add(terms)
        if plain and not isinstance(terms.log_gamma, np.ndarray):
            continue  # Eq. 9: the recursion telescopes
        plain = False
        with np.errstate(over="ignore", invalid="ignore"):  # as above
            rows = (
                np.exp(terms.log_gamma),
                terms.b + M * terms.C,
                terms.n2 if V == 0.0 else terms.n2 + (V * terms.C) ** 2,
            )
        u = _run(u, *(np.array(np.broadcast_to(row, block.t_lo.shape)) for row in rows))
    p = gathered.parts(start)
    total = p.additive if plain or not gathered.largest <= UNSTABLE else u
    scale, extra = output(s)
    name = "Theorem 2" if data.telescopes else "Theorem 2'"
    result = bound_of(s, name, total * scale + extra, Parts(*(v * scale for v in p)), extra)
    if has_ancestral(s):
        other = ancestral(s)
        if other.total < result.total:
            return other
    return result


def _left(data: Curvature, start: str, process: Process, log_alpha: float, log_lam: float) -> float:
    left = math.exp(min(data.log_contraction(log_lam), 700.0))
    return start_error(data, start, process, log_alpha, log_lam) * left


# ---------------------------------------------------------------------- taken apart


def shares(s: Setting) -> Shares:
    """e_K² of Eq. 7 split over its causes; their sum is the square of the recursion's result. Kind: *exact*."""
    M, V = s.score_bias, s.score_noise
    u = start_term(s)
    start, bias, noise, from_M, from_V = u * u, 0.0, 0.0, 0.0, 0.0
    for block in s.nodes.onward():
        terms = local(block, s.data, s.scheme, bool(M or V))
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite step makes an infinite bound
            gamma = np.exp(terms.log_gamma)
        rows = (np.broadcast_to(v, block.size).tolist() for v in (gamma, terms.b, terms.n2, terms.C))
        for g, b, n2, C in zip(*rows, strict=True):
            kept, moved = g * u, b + C * M
            both = 2.0 * kept + moved
            fade, v2 = g * g, (V * C) * (V * C)
            start *= fade
            bias = fade * bias + b * both
            noise = fade * noise + n2
            from_M = fade * from_M + C * M * both
            from_V = fade * from_V + v2
            u = math.sqrt((kept + moved) * (kept + moved) + n2 + v2)
    return Shares(start, bias, noise, from_M, from_V)


def _explain(s: Setting, bound: Bound) -> Explanation:
    found = shares(s)
    if bound.statement == "Eq. 9'":
        return eq_9(s, bound, math.sqrt(sum(found)))
    return eq_7(s, bound, found)


# ---------------------------------------------------------------------- over many steps


def over_steps(
    process: Process,
    data: Curvature,
    scheme: Scheme,
    start: str,
    M: float = 0.0,
    V: float = 0.0,
    M1: Any = None,
) -> Criterion:
    def rows_of(b: Batch, which: Index) -> Array:
        terms = local(b, data, scheme, bool(M or V))
        n2 = terms.n2 + (V * terms.C) ** 2 if V else terms.n2
        return np.stack(
            [np.broadcast_to(row, b.t_lo.shape) for row in (terms.log_gamma, terms.b, n2, terms.C)]
        )

    # ei's and em's γ differ from hf's by O(η²), b is O(η²), n² O(η³) (with V: O(η²)), C O(η)
    exact_contraction = data.telescopes
    orders = (2.0 if exact_contraction else 1.0, 2.0, 2.0 if V else 3.0, 1.0)
    rows = Rows(rows_of, orders, (1, 2, 1), data.kinks)
    turns: list[tuple[float, tuple[float, ...]]] = []  # of the longest horizon so far
    ancestral = ManySteps(process, data) if scheme == DDPM and not V and data.A1 is not None else None
    last = float(process.time_of(math.log(data.delta))) if data.delta else 0.0

    def early(T: Array | float) -> Any:
        """Whether the clock has not left δ yet."""
        return last and ~(T > np.float64(last * (1.0 + 1e-9)))

    def summed(T: float, K: int, quality: Quality) -> Value:
        if early(T):
            return INFINITE
        s = setting(process, data, T, K, scheme=scheme, start=start, score_bias=M, score_noise=V)
        best = value_of(sums(s), 0.0, *output(s))
        if has_ancestral(s):
            # while T is searched any θ near the best will do
            other = value_of(ancestral_sums(s, 1.8 if quality.rough else None), 0.0)
            best = other if other.total < best.total else best
        return best

    def tallied(T: Array, K: Array, quality: Quality) -> list[Value]:
        if T.size > 1 and not quality.rough and ancestral is not None:  # each has its own θ
            return [value for i in range(T.size) for value in tallied(T[i : i + 1], K[i : i + 1], quality)]
        theta, all_rows = 2.0, rows
        own = ancestral if K.max() < SHORTEST else None
        if own is not None:
            if not quality.rough:
                theta = own.best(float(T[0]), float(K[0]))
            all_rows = own.beside(rows, theta)
        left, out = alive(T)
        if not left.size:
            return out
        longest = float(T[left].max())
        if not turns or turns[0][0] < longest:
            turns[:] = [(longest, turns_of(process, data, scheme, longest))]
        all_rows = all_rows._replace(kinks=tuple(sorted((*data.kinks, *turns[0][1]))))
        got = tally(process, data, T[left], K[left], all_rows, quality, last)
        for i, value in zip(left, values(T[left], theta, got), strict=True):
            out[i] = value
        return out

    def alive(T: Array) -> tuple[Index, list[Value]]:
        return np.flatnonzero(~early(T)) if last else np.arange(T.size), [INFINITE] * T.size

    def together(T: Array, K: Array, quality: Quality) -> list[Value] | None:
        if K.max() > AT_ONCE or (ancestral is not None and not quality.rough):
            return None
        left, out = alive(T)
        if not left.size:
            return out
        theta = 1.8  # while T is searched
        all_rows = rows if ancestral is None else ancestral.beside(rows, theta)
        got, largest = one_by_one(process, T[left], K[left], all_rows, last)
        for i, value, most in zip(left, values(T[left], theta, got), largest, strict=True):
            if most <= UNSTABLE:
                out[i] = value
        return out

    def values(T: Array, theta: float, got: Tally) -> list[Value]:
        log_alpha, log_lam = process.law(T)
        starts = starts_at(data, start, process, log_alpha, log_lam)
        # steps too long for an expansion: K is far too small
        fine = (got.sums >= 0.0).all(axis=1)
        scale, extra = 1.0, 0.0
        if last:
            scale, extra = 1.0 + data.normaliser * data.delta, math.sqrt(data.d * data.delta)
        sums, log_P, far = got.sums.tolist(), got.log_P.tolist(), log_lam.tolist()
        error = got.error[:, :3].max(axis=1).tolist()
        out = [INFINITE] * T.size
        for j in np.flatnonzero(fine).tolist():
            first, n2, C = sums[j][:3]
            p = Parts(grown(starts[j], log_P[j]), first, math.sqrt(n2), M * C if M else 0.0)
            out[j] = best = value_of(p, error[j], scale, extra)
            if ancestral is not None and len(sums[j]) > 3:
                drift, noise2, score, weight = sums[j][3:]
                curved = ancestral.curved(theta, far[j], weight)
                p = Parts(starts[j], drift, math.sqrt(noise2), M * score if M else 0.0)
                other = value_of(p, float(got.error[j, 3:].max()))._replace(fast=curved)
                out[j] = other if other.total < best.total else best
        return out

    return by_size(summed, tallied, together)


# ---------------------------------------------------------------------- orders in d and ε


def main_rate(clock: Clock) -> sp.Expr:
    """Of λ'³/((1+m_0λ)²(1+L_0λ)²) dt/du."""
    return sp.expand(3 * clock.speed_of_lam - 4 * clock.lam_ + clock.measure)


def drift_bias_rate(clock: Clock) -> sp.Expr:
    """Of em's mismatch b_k/η² weighted by P_k: ½f²‖X‖ over α(1+m_0λ)."""
    return sp.expand(2 * clock.scale.rate(clock.f) - clock.lam_ / 2 + clock.measure)


def score_bias_rate(clock: Clock) -> sp.Expr:
    """Of ei's mismatch b_k/η² weighted by P_k: ½fg²√L* over α(1+m_0λ)."""
    return sp.expand(clock.scale.rate(clock.f) + clock.speed_of_lam - 3 * clock.lam_ / 2 + clock.measure)


#: The schemes whose steps miss the exact mean, and the sum that this adds.
BIAS: dict[str, tuple[str, Callable[[Clock], sp.Expr]]] = {
    "em": ("∫f²|X|/(α(1+m0 λ)) dt", drift_bias_rate),
    "ei": ("∫f g²(L*)^(1/2)/(α(1+m0 λ)) dt", score_bias_rate),
}


def _needs(clock: Clock, scheme: str) -> Needed:
    """K ≍ T x I^{1/2} (Eq. 14), and the bias of em and ei."""
    clock.check_origin(6)  # λ'³
    local = clock.sum("discretisation", "∫λ'³/((1+m0 λ)²(1+L0 λ)²) dt", main_rate(clock))
    half = tuple(e / 2 for e in local.growth)
    if scheme in BIAS and clock.f != 0:
        formula, rate = BIAS[scheme]
        bias = clock.sum("bias", formula, rate(clock))
        return Needed(clock.with_short_steps(largest(clock.scale, half, bias.growth)), (local, bias))
    return Needed(clock.with_short_steps(half), (local,))


def _claim() -> Formula:
    from wbound.statement import formulas as f  # dear to build

    return Formula(f.step, "e", f.e_0, f.e[f.K], root=True)


THEOREM_2 = Theorem(
    **stated(
        "theorem-2",
        _evaluate,
        c.profile,
        c.an_sde,
        c.no_memory,
        c.fixed_times,
        source="derived here; setting of Gao, Nguyen & Zhu, arXiv 2311.11003",
        covers=("eq-7", "noisy-scores"),
    ),
    placed=5,
    claim=_claim,
    called="sharp",
    takes=lambda scheme: not scheme.flow,
    criterion=lambda scheme: "Eq. 7'' or 9'" if scheme == DDPM else "Eq. 7''",
    order=1.0,
    power=1.0,
    start=_left,
    explain=_explain,
    over_steps=over_steps,
    thetas=lambda s: (best_of(s),) if has_ancestral(s) else (),
    needs=_needs,
    why_K="Theorem 2 adds the squares of the steps' errors where Theorem 1 adds the errors: the local error is O(η^(3/2)), "
    "the whole O(η) (Eq. 14). I = {formula}, with integrand {integrand}, {at_T}, and K ≍ T (√d/ε) I^(1/2).",
)
