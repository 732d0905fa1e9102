"""Theorem 2 and 2′: the sharp W2 bound for every scheme and process (sections 5 and 11 of docs/theory.md).

Everything is carried in units of s_k = α_k(1 + cλ_k), c the data's `normaliser`: then hf contracts by
exactly 1 (strongly log-concave data), nothing overflows before the bound does, and s_K = 1 at λ_K = 0.
The local terms are functions of one step alone, so that the same ones serve the sums here and the
integrals over virtual steps in `wbound.complexity`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbound.calculus.quadrature import rule
from wbound.calculus.scipy_when_called import minimize_scalar
from wbound.calculus.stable import LEAST, grown, growth, logistic, softplus
from wbound.data.curvature import Curvature, StronglyLogConcave
from wbound.errors import HypothesisFailed
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import Scheme, keeps, vanishes
from wbound.sampler.steps import Batch, GridBatch
from wbound.statement.statement_object import Bound, Hypothesis, Statement
from wbound.typing import Array

__all__ = [
    "THEOREM_2",
    "Local",
    "ancestral_terms",
    "decay_constant",
    "local",
    "output",
    "start_error",
    "start_term",
    "weights",
]


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


def start_term(s: Setting) -> float:
    """e_0/s_0: the start's error (Theorem 2) in units of s_0."""
    return start_at(s.data, s.start, s.process, *s.nodes.first)


def start_at(data: Curvature, start: str, process: Process, log_alpha: float, log_lam: float) -> float:
    """α(T)E_0 in units of s_0 = α(1 + cλ) for each start."""
    unit = math.exp(-float(softplus(np.float64(math.log(data.normaliser) + log_lam))))
    E0 = start_error(data, start, process, log_alpha, log_lam)
    return max(E0 * unit, LEAST) if E0 else 0.0


def start_error(data: Curvature, start: str, process: Process, log_alpha: float, log_lam: float) -> float:
    """E_0 for each start, in x. From N(0, I) the noises of X_T = αX_0 + σZ and y_0 = Z are coupled: the error
    is ‖αX_0 + (σ−1)Z‖ over α, or the centred one plus √d(1−σ)/α."""
    if start == "exact":
        return 0.0
    E0 = data.start_error(log_lam)
    if start == "prior":
        return E0
    off = math.sqrt(data.d) * process.short_of_one(log_alpha)[1]
    return min(math.hypot(math.sqrt(data.second_moment), off), E0 + off)


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
    if gamma.size >= 20_000:
        return float(_compiled()(u, gamma, drift, noise2))
    try:
        return float(_recursion(u, *(v.tolist() for v in (gamma, drift, noise2))))
    except OverflowError:
        return math.inf


class Parts(NamedTuple):
    """Eq. 7′'s sums in x, and Eq. 7″ made of them."""

    start: float
    bias: float
    noise: float
    score: float

    @property
    def additive(self) -> float:
        """Eq. 7″: Σ P_k(b_k + C_kM) + (P_0²e_0² + Σ P_k²n_k²)^{1/2}."""
        return self.bias + self.score + math.hypot(self.start, self.noise)


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
    result = _bound(s, name, total * scale + extra, Parts(*(v * scale for v in p)), extra)
    if has_ancestral(s):
        other = ancestral(s)
        if other.total < result.total:
            return other
    return result


def has_ancestral(s: Setting) -> bool:
    """Whether Eq. 9′ applies: ddpm under A1, no score noise, run to λ = 0."""
    return (
        s.scheme.name == "ddpm"
        and s.score_noise == 0.0
        and s.data.A1 is not None
        and not s.nodes.stopped_early
    )


def output(s: Setting) -> tuple[float, float]:
    """Scale of the output y_K/α_K and what early stopping adds: √(dδ) (section 11)."""
    if not s.nodes.stopped_early:
        return 1.0, 0.0
    delta = math.exp(s.nodes.last[1])
    return 1.0 + s.data.normaliser * delta, math.sqrt(s.data.d * delta)


def _bound(s: Setting, statement: str, total: float, p: Parts, extra: float = 0.0) -> Bound:
    finite = [v if not math.isnan(v) else math.inf for v in (total, *p, p.additive + extra)]
    total, start, bias, noise, score, additive = finite
    return Bound(
        total=total,
        initialisation=start,
        discretisation=bias + noise + extra,
        score=score,
        additive=additive,
        trivial=math.sqrt(s.data.second_moment),
        statement=statement,
    )


# ---------------------------------------------------------------------- Eq. 9′: ddpm


def decay_constant(theta: float, data: Curvature, log_lam: float) -> float:
    """C_θ = dL_0²(1 + θ(1 − V^{θ−2})/(2−θ)), V = 1+L_0λ(T); at θ = 2: dL_0²(1 + 2 log V) (section 12)."""
    assert data.A1 is not None
    L0 = data.A1[1]
    log_V = float(softplus(np.float64(math.log(L0) + log_lam)))
    gap = (theta - 2.0) * log_V
    # (1 − V^{θ−2})/(2−θ) = log V · expm1(gap)/gap
    slope = log_V * (math.expm1(gap) / gap if gap else 1.0) if gap < 700.0 else math.inf
    with np.errstate(
        over="ignore"
    ):  # V^{θ−2} beyond doubles: an infinite bound, of which another θ is better
        return data.d * L0**2 * (1.0 + theta * slope)


def weights(L0: float, b: Batch) -> Callable[..., Array]:
    """(θ, part) ↦ log ∫_{λ_k}^{λ_{k−1}} (u−λ_k)² (1+L_0u)^{−θ} du of a part (a slice, default all) of the steps:
    section 12's local weight.

    With 1+L_0u = v_0e^y it is (v_0/L_0)³ v_0^{−θ} ∫_0^Y (e^y−1)² e^{(1−θ)y} dy.
    """
    length = growth(L0, b.log_lam_lo, b.log_lam_hi, b.ratio)
    base = softplus(math.log(L0) + b.log_lam_lo)  # log v_0

    def log_weight(theta: float, part: slice = slice(None)) -> Array:
        Y, log_v0 = length[part], base[part]
        with np.errstate(divide="ignore"):  # a step so small that its cube underflows
            out = np.log(_weight(theta, Y))
        # the integral is at most e^{(3−θ)Y}: where that overflows its logarithm is Y's part and a constant
        far = (3.0 - theta) * Y > 600.0
        if far.any():
            out[far] = (3.0 - theta) * Y[far] - math.log(3.0 - theta)
        return 3.0 * (log_v0 - math.log(L0)) - theta * log_v0 + out

    return log_weight


def _weight(theta: float, Y: Array) -> Array:
    """∫_0^Y (e^y−1)² e^{(1−θ)y} dy, (N,), where it does not overflow."""
    out = np.zeros(Y.shape)
    # exact to rounding: 16 nodes on [0, 1], 6 on [0, 0.1], 4 on [0, 0.01]
    ends = (0.0, 0.01, 0.1, 1.0)
    for lo, hi, r in zip(ends, ends[1:], (rule(4), rule(6), rule(16)), strict=False):
        where = (Y > lo) & (Y <= hi)
        if where.any():
            y = Y[where][:, None] * r.x
            out[where] = Y[where] * ((np.expm1(y) ** 2 * np.exp((1.0 - theta) * y)) @ r.w)
    long = Y > 1.0
    if long.any():  # the three exponentials on their own: what cancels is less than two digits
        y = Y[long] if theta >= 3.0 else np.minimum(Y[long], 600.0 / (3.0 - theta))

        def part(a: float) -> Array:
            return np.expm1(a * y) / a if a else y

        out[long] = part(3.0 - theta) - 2.0 * part(2.0 - theta) + part(1.0 - theta)
    return out


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
        factor = (rest * (1.0 + kappa2)) ** 2

    log_weight = weights(L0, b)

    def weight(theta: float) -> Array:
        with np.errstate(over="ignore"):  # as above
            return factor * np.exp(2.0 * log_P + log_weight(theta))

    return Ancestral(drift, noise2, score, weight)


def best_theta(value: Callable[[float], float]) -> float:
    """The smallest value over θ ∈ [0, 4] of Eq. 9′'s or 15's θ-term: any θ gives a valid bound."""
    grid = np.linspace(0.0, 4.0, 9)
    values = [value(float(t)) for t in grid]
    i = int(np.argmin(values))
    lo, hi = float(grid[max(i - 1, 0)]), float(grid[min(i + 1, 8)])
    # a θ whose constant is beyond doubles is no better than the worst: the search subtracts values
    finite = minimize_scalar(
        lambda t: min(value(t), 1e300), bounds=(lo, hi), method="bounded", options={"xatol": 1e-3}
    )
    return min(value(float(finite.x)), values[i])


def ancestral_sums(s: Setting, theta: float | None = None) -> Parts:
    """Eq. 9′'s parts, with the best θ unless one is given: start, drift and θ-term, martingale noise, score."""
    data = s.data
    terms = ancestral_terms(s.nodes.batch, data)
    log_lam_T = s.nodes.first[1]

    def theta_term(theta: float) -> float:
        total = float(terms.weight(theta).sum())
        return 0.25 * math.sqrt(decay_constant(theta, data, log_lam_T)) * math.sqrt(total)

    return Parts(
        start_term(s),
        float(terms.drift.sum()) + (best_theta(theta_term) if theta is None else theta_term(theta)),
        math.sqrt(float(terms.noise2.sum())),
        s.score_bias * float(terms.score.sum()) if s.score_bias else 0.0,
    )


def ancestral(s: Setting) -> Bound:
    """Eq. 9″: ddpm coupled with the reverse SDE of noise level κ_k (Eq. 9′); as in Eq. 7″ the start's error
    and the martingale noise combine in squares. *upper*"""
    p = ancestral_sums(s)
    return _bound(s, "Eq. 9'", p.additive, p)


def _scheme_is_sde(s: Setting) -> None:
    if s.scheme.kind != "sde":
        raise HypothesisFailed("Theorem 2", "an SDE scheme", f"{s.scheme.name} is an ODE scheme")


def _curvature_known(s: Setting) -> None:
    try:
        s.data.normaliser  # noqa: B018  singular Gaussians raise here, naming A1
    except HypothesisFailed as failed:
        raise HypothesisFailed("Theorem 2", failed.hypothesis, failed.detail) from None
    s.data.check(s.nodes.last[1], s.nodes.first[1])


THEOREM_2 = Statement(
    id="theorem-2",
    source="derived here; setting of Gao, Nguyen & Zhu, arXiv 2311.11003",
    kind="upper",
    hypotheses=(
        Hypothesis("A1 or A1′", _curvature_known),
        Hypothesis("an SDE scheme", _scheme_is_sde),
    ),
    evaluate=_evaluate,
    covers=("eq-7", "noisy-scores"),
)
