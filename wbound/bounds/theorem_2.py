"""Theorem 2 and 2′: the sharp W2 bound of SDE schemes of one score a step, for every process (sections 5
and 11 of docs/theory.md).

Everything is carried in units of s_k = α_k(1 + cλ_k), c the data's `normaliser`: then hf contracts by
exactly 1 (strongly log-concave data), nothing overflows before the bound does, and s_K = 1 at λ_K = 0.
The local terms are functions of one step alone, so that the same ones serve the sums here and the
integrals over virtual steps in `wbound.complexity.least_steps`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbound.bounds.ddpm import ancestral, has_ancestral
from wbound.bounds.shared import Parts, bound_of, output, start_term
from wbound.calculus.stable import grown, growth, logistic, softplus
from wbound.data.curvature import Curvature, StronglyLogConcave
from wbound.extras import installed
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import Scheme, keeps, vanishes
from wbound.sampler.steps import Batch, GridBatch
from wbound.statement import hypotheses as c
from wbound.statement.hypotheses import statement
from wbound.statement.statement_object import Bound
from wbound.typing import Array

__all__ = ["THEOREM_2", "Local", "local"]


#: Steps so large that their product of contractions exceeds e^300 in units of s_k: the bound is called infinite,
#: since early terms below 1e-300 would be lost in doubles and then matter.
UNSTABLE = 300.0


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
    """Eq. 7′'s sums, gathered from the data's end (k = K) backward, block by block, in units of s_K."""

    def __init__(self, M: float, V: float) -> None:
        self.M, self.V = M, V
        self.log_P = 0.0  # log of the product of the γ after the blocks so far
        self.largest = 0.0  # the largest log of such a product
        self.bias = self.noise2 = self.score = 0.0

    def add(self, terms: Local) -> None:
        """The next block's terms, steps in the sampler's order, all before those added so far."""
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite step makes an infinite part
            P: Array | float = math.exp(min(self.log_P, 700.0))
            if isinstance(terms.log_gamma, np.ndarray):
                tail = np.cumsum(terms.log_gamma[::-1])[::-1]
                P = np.exp(np.concatenate((tail[1:], [0.0])) + self.log_P)
                self.largest = max(self.largest, float(tail.max()) + self.log_P)
                self.log_P += float(tail[0])
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
    for _, block in s.nodes.blocks():
        gathered.add(local(block, s.data, s.scheme, bool(s.score_bias or s.score_noise)))
    return gathered.parts(start_term(s))


def _evaluate(s: Setting) -> Bound:
    data, nodes = s.data, s.nodes
    M, V = s.score_bias, s.score_noise
    start = start_term(s)
    gathered = Sums(M, V)
    arrays: tuple[Array, Array, Array] | None = None
    for where, block in nodes.blocks():
        terms = local(block, data, s.scheme, bool(M or V))
        gathered.add(terms)
        if M == 0.0 and not isinstance(terms.log_gamma, np.ndarray):
            continue  # Eq. 9: the recursion telescopes
        if arrays is None:
            arrays = (np.empty(nodes.K), np.empty(nodes.K), np.empty(nodes.K))
        with np.errstate(over="ignore", invalid="ignore"):  # as above
            arrays[0][where] = np.exp(terms.log_gamma)
            arrays[1][where] = terms.b + M * terms.C
            arrays[2][where] = terms.n2 if V == 0.0 else terms.n2 + (V * terms.C) ** 2
    p = gathered.parts(start)
    if arrays is None or not gathered.largest <= UNSTABLE:
        total = p.additive
    else:
        total = _run(start, *arrays)
    scale, extra = output(s)
    name = "Theorem 2" if data.telescopes else "Theorem 2'"
    result = bound_of(s, name, total * scale + extra, Parts(*(v * scale for v in p)), extra)
    if has_ancestral(s):
        other = ancestral(s)
        if other.total < result.total:
            return other
    return result


THEOREM_2 = statement(
    "theorem-2",
    "upper",
    _evaluate,
    c.profile,
    c.an_sde,
    c.no_memory,
    source="derived here; setting of Gao, Nguyen & Zhu, arXiv 2311.11003",
    covers=("eq-7", "noisy-scores"),
)
