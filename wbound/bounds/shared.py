"""What Theorem 2, Eq. 9′ and Theorem 3 share: the start's error, the parts of a sum, the weights of section 12."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbound.calculus.quadrature import rule
from wbound.calculus.stable import LEAST, growth, softplus
from wbound.data.curvature import Curvature
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import Setting
from wbound.sampler.steps import Batch
from wbound.statement.statement_object import Bound
from wbound.statement.terms import Known, Term, facts_of, start_of
from wbound.summation.criterion import Value
from wbound.typing import Array

__all__ = ["begun", "decay_constant", "output", "start_error", "start_term", "sum_of", "value_of", "weights"]


def start_term(s: Setting) -> float:
    """e_0/s_0: the start's error (Theorem 2) in units of s_0."""
    return start_at(s.data, s.start, s.process, *s.nodes.first)


def start_at(data: Curvature, start: str, process: Process, log_alpha: float, log_lam: float) -> float:
    """α(T)E_0 in units of s_0 = α(1 + cλ) for each start."""
    return starts_at(data, start, process, np.array([log_alpha]), np.array([log_lam]))[0]


def starts_at(data: Curvature, start: str, process: Process, log_alpha: Array, log_lam: Array) -> list[float]:
    """`start_at` at several horizons (J,)."""
    units = (-softplus(math.log(data.normaliser) + log_lam)).tolist()
    out = []
    for unit, *end in zip(units, log_alpha.tolist(), log_lam.tolist(), strict=True):
        E0 = start_error(data, start, process, *end)
        out.append(max(E0 * math.exp(unit), LEAST) if E0 else 0.0)
    return out


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


def output(s: Setting) -> tuple[float, float]:
    """Scale of the output y_K/α_K and what early stopping adds: √(dδ) (section 11)."""
    if not s.nodes.stopped_early:
        return 1.0, 0.0
    delta = math.exp(s.nodes.last[1])
    return 1.0 + s.data.normaliser * delta, math.sqrt(s.data.d * delta)


def bound_of(s: Setting, statement: str, total: float, p: Parts, extra: float = 0.0) -> Bound:
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


def sum_of(
    s: Setting, statement: str, start: float, discretisation: float, score: float, extra: float = 0.0
) -> Bound:
    """The bound that is the sum of its parts and of what early stopping adds; a part that is no number is infinite."""
    start, middle, score = (math.inf if math.isnan(v) else v for v in (start, discretisation, score))
    total = start + middle + score + extra
    return Bound(total, start, middle + extra, score, total, math.sqrt(s.data.second_moment), statement)


def begun(s: Setting, value: float) -> tuple[list[Known], Term]:
    """The symbols that the bounds of section 12 share, P_0 in y-units, and their start's term, ``value``."""
    size = start_error(s.data, s.start, s.process, *s.nodes.first)
    known, start = start_of(s, size, value, "P_0 E_0")
    return [k._replace(symbol=k.symbol.replace("P_0α(T)", "P_0")) for k in (*facts_of(s), *known)], start


def value_of(p: Parts, error: float, scale: float = 1.0, extra: float = 0.0) -> Value:
    """The parts as a `Value` of (T, K)."""
    score, bias, start, noise = (v * scale for v in (p.score, p.bias, p.start, p.noise))
    return Value(score + extra, bias, start, noise, score, error, extra)


def decay_constant(theta: float, data: Curvature, log_lam: float) -> float:
    """C_θ = dL_0²(1 + ϑ(1 − V^{θ−2})/(2−θ)), V = 1+L_0λ(T), which is at least 4∫(1+L_0u)^θ‖dS/dΛ‖²du, in 1/x² (section
    12). *upper* At θ = 2: dL_0²(1 + log V).

    ϑ is the maximum of θx² − x³ over [0, 1]: θ − 1, or 4θ³/27 (at x = 2θ/3) where θ < 3/2.
    """
    assert data.A1 is not None
    L0 = data.A1[1]
    peak = theta - 1.0 if theta >= 1.5 else 4.0 * theta**3 / 27.0
    log_V = float(softplus(np.float64(math.log(L0) + log_lam)))
    gap = (theta - 2.0) * log_V
    # (1 − V^{θ−2})/(2−θ) = log V · expm1(gap)/gap
    slope = log_V * (math.expm1(gap) / gap if gap else 1.0) if gap < 700.0 else math.inf
    with np.errstate(
        over="ignore"
    ):  # V^{θ−2} beyond doubles: an infinite bound, of which another θ is better
        return data.d * L0**2 * (1.0 + peak * slope)


def weights(L0: float, b: Batch) -> Callable[..., Array]:
    """(θ, part) ↦ log ∫_{λ_k}^{λ_{k−1}} (u−λ_k)² (1+L_0u)^{−θ} du of a part (a slice, default all) of the steps:
    section 12's local weight.

    With 1+L_0u = v_0e^y it is (v_0/L_0)³ v_0^{−θ} ∫_0^Y (e^y−1)² e^{(1−θ)y} dy.
    """
    length = growth(L0, b.log_lam_lo, b.log_lam_hi, b.ratio)
    base = softplus(math.log(L0) + b.log_lam_lo)  # log v_0
    # of one part at a time many θ are asked
    local = lru_cache(maxsize=1)(lambda *ends: _LocalWeight(length[slice(*ends)]))

    def log_weight(theta: float, part: slice = slice(None)) -> Array:
        Y, log_v0 = length[part], base[part]
        with np.errstate(divide="ignore"):  # a step so small that its cube underflows
            out = np.log(local(part.start, part.stop, part.step)(theta))
        # the integral is at most e^{(3−θ)Y}: where that overflows its logarithm is Y's part and a constant
        far = (3.0 - theta) * Y > 600.0
        if far.any():
            out[far] = (3.0 - theta) * Y[far] - math.log(3.0 - theta)
        return 3.0 * (log_v0 - math.log(L0)) - theta * log_v0 + out

    return log_weight


class _LocalWeight:
    """∫_0^Y (e^y−1)² e^{(1−θ)y} dy for any θ, (N,), where it does not overflow; what knows no θ is computed once."""

    def __init__(self, Y: Array) -> None:
        self.Y = Y

    @cached_property
    def short(self) -> list[tuple[NDArray[np.bool_], Array, Array, Array, Array]]:
        """Steps Y ≤ 1 by their length: where they are, Y, nodes y, (e^y−1)² there, weights."""
        Y, out = self.Y, []
        # exact to rounding: 16 nodes on [0, 1], 6 on [0, 0.1], 4 on [0, 0.01]
        ends = (0.0, 0.01, 0.1, 1.0)
        for lo, hi, r in zip(ends, ends[1:], (rule(4), rule(6), rule(16)), strict=False):
            where = (Y > lo) & (Y <= hi)
            if where.any():
                y = Y[where][:, None] * r.x
                out.append((where, Y[where], y, np.expm1(y) ** 2, r.w))
        return out

    @cached_property
    def long(self) -> tuple[NDArray[np.bool_], Array]:
        """Where Y > 1, and Y there."""
        where = self.Y > 1.0
        return where, self.Y[where]

    def __call__(self, theta: float) -> Array:
        out = np.zeros(self.Y.shape)
        for where, Y, y, square, w in self.short:
            out[where] = Y * ((square * np.exp((1.0 - theta) * y)) @ w)
        where, y = self.long
        if y.size:  # the three exponentials on their own: what cancels is less than two digits
            if theta < 3.0:
                y = np.minimum(y, 600.0 / (3.0 - theta))

            def part(a: float) -> Array:
                return np.expm1(a * y) / a if a else y

            out[where] = part(3.0 - theta) - 2.0 * part(2.0 - theta) + part(1.0 - theta)
        return out
