"""The leading constants of the exact Gaussian law: W2·K as K → ∞, as integrals over the clock (section 6,
Eq. 12′).

They are orders, not lower bounds: for em and ei positive and negative defects meet, and W2 may cross zero.
First-order expansions of Euler–Maruyama on Gaussians: Hurault, Moreau & Peyré (arXiv 2605.08392).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from wbound.calculus.quadrature import integrate
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import gaussian_data
from wbound.errors import BadInput, HypothesisFailed, count, positive
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import setting
from wbound.sampler.placement import COSINE_OFFSET, curvatures, scale
from wbound.sampler.scheme import Scheme, scheme_named
from wbound.typing import Array

__all__ = ["DENSITIES", "Leading", "leading_constants"]


#: Schemes, and whether ddpm's own constant, a term in f, and em's lost drift are theirs.
SCHEMES: dict[str, tuple[bool, bool, bool]] = {
    "hf": (False, False, False),
    "ei": (False, True, False),
    "em": (False, True, True),
    "ddpm": (True, False, False),
}


@dataclass(frozen=True, eq=False)
class Leading:
    """v_K − ς² = (excess + log_part·log K)/K + o(1/K) per distinct eigenvalue ς² (E,), from the exact
    start, and m_K/m − 1 = (mean + mean_log·log K)/K + o(1/K).

    ``excess`` and ``log_part`` (x²); ``mean`` and ``mean_log``: per unit of mean; ``variances`` ς² (x²),
    ``multiplicity`` and ``mean_square`` (x²), how often each occurs and the mean's squared length along it.
    The logarithms are 0 except where dλ/ds > 0 at the data's end of the grid: log_part for ddpm, and both for
    em where log α falls there as √λ (sub-vp).
    """

    scheme: str
    variances: Array
    multiplicity: Array
    mean_square: Array
    excess: Array
    log_part: Array
    mean: Array
    mean_log: Array
    kind: str = "order"

    def w2(self, K: int) -> float:
        """W2 (not squared, x) to leading order at K steps: (W2·K)/K with the logarithm where there is one."""
        steps = count("K", K)
        defect = self.excess + self.log_part * math.log(steps)
        mean = self.mean + self.mean_log * math.log(steps)
        squares = defect**2 / (4.0 * self.variances) * self.multiplicity + mean**2 * self.mean_square
        return math.sqrt(float(squares.sum())) / steps

    @property
    def constant(self) -> float:
        """lim W2·K in x: infinite where a logarithm multiplies it."""
        return math.inf if self.log_part.any() or (self.mean_log**2 @ self.mean_square) else self.w2(1)

    def to_dict(self) -> dict[str, Any]:
        """The attributes as plain numbers and lists."""
        arrays = ("variances", "multiplicity", "mean_square", "excess", "log_part", "mean", "mean_log")
        out: dict[str, Any] = {name: getattr(self, name).tolist() for name in arrays}
        return {"scheme": self.scheme, "kind": self.kind, "constant": self.constant, **out}


#: log χ of a grid that is the image of a uniform one, χ = dλ/ds: from (log λ, log λ(T), data).
Density = Callable[[Array, float, Gaussian], Array]


def _flat(rate: Callable[[Array], Array], log_lam_T: float) -> float:
    """log ∫_0^{λ(T)} 1/rate, the constant that makes s run from 0 to 1; rate maps log λ to log rate."""
    edges = np.array([-60.0, *np.arange(-40.0, log_lam_T, 10.0), log_lam_T]) if log_lam_T > -40 else None
    ends = np.array([log_lam_T - 60.0, log_lam_T]) if edges is None else edges
    pieces = integrate(lambda u: np.exp(u - rate(u)), ends[:-1], ends[1:]).value
    # below the first end the rate is its value at 0
    return math.log(float(pieces.sum()) + math.exp(ends[0] - float(rate(np.array(-np.inf)))))


def _optimal(log_lam: Array, log_lam_T: float, data: Gaussian) -> Array:
    m0, L0 = curvatures(data)

    def rate(u: Array) -> Array:
        both = np.logaddexp(0.0, u + math.log(m0)) + np.logaddexp(0.0, u + math.log(L0))
        return np.asarray(2.0 / 3.0 * both)

    return rate(log_lam) + _flat(rate, log_lam_T)


def _gaussian(log_lam: Array, log_lam_T: float, data: Gaussian) -> Array:
    log_s2 = 2.0 * math.log(scale(data))

    def rate(u: Array) -> Array:
        return np.asarray(1.5 * np.logaddexp(log_s2, u))

    return rate(log_lam) + _flat(rate, log_lam_T)


def _cosine(log_lam: Array, log_lam_T: float, data: Gaussian) -> Array:
    # λ = σ_0²(cos²φ_0/cos²φ − 1): dλ/dφ = 2(σ_0²+λ) tan φ with tan²φ = (1+λ/σ_0²)/cos²φ_0 − 1
    log_s2 = 2.0 * math.log(scale(data))
    slope = math.tan(0.5 * math.pi * COSINE_OFFSET / (1.0 + COSINE_OFFSET)) ** 2
    log_secant = math.log1p(slope)

    def rate(u: Array) -> Array:
        tan2 = np.logaddexp(math.log(slope), u - log_s2 + log_secant)
        return np.asarray(math.log(2.0) + np.logaddexp(log_s2, u) + 0.5 * tan2)

    return rate(log_lam) + _flat(rate, log_lam_T)


#: The grids by name that are images of a uniform grid, besides "uniform" in t itself.
DENSITIES: dict[str, Density] = {"optimal": _optimal, "gaussian": _gaussian, "cosine": _cosine}


def leading_constants(
    process: Process,
    data: Any,
    T: float,
    *,
    scheme: str | Scheme = "hf",
    grid: str = "uniform",
    density: Callable[[Array], Array] | None = None,
) -> Leading:
    """The leading constants of the exact law of Gaussian data from the exact start (Eq. 12′). Kind:
    *order*.

    T: forward time; scheme: hf, ei, em or ddpm; grid: "uniform" in t or one of `DENSITIES`; or ``density``,
    the step density θ(t) = dt/ds > 0 of any grid τ_k = t(1 − k/K), with ∫_0^T dt/θ = 1. Anisotropic data:
    each eigenvalue has its own constant, and the squares of their W2 add up.

    Raises `BadInput`, and `HypothesisFailed` for data that are not Gaussian or have a zero eigenvalue
    (whose W2 falls as K^{−1/2}), and for em where log α falls faster than √λ at λ = 0 on a grid with dλ/ds > 0
    there (its W2 then falls more slowly than log K/K).
    """
    chosen = scheme_named(scheme)
    if chosen.name not in SCHEMES:
        raise BadInput("scheme", chosen.name, "must be one of " + ", ".join(SCHEMES))
    law = gaussian_data(data)
    setting(process, law, T, 1, scheme=chosen)
    variances, group = np.unique(law.eigenvalues, return_inverse=True)
    if variances[0] <= 0.0:
        raise HypothesisFailed(
            "Eq. 12'", "positive eigenvalues", "a zero eigenvalue has W2 of order K^(-1/2)"
        )
    log_chi = _log_chi(process, law, T, grid, density)
    constants = np.array([_constants(process, T, chosen.name, v, log_chi) for v in variances])
    return Leading(
        chosen.name,
        variances,
        np.bincount(group).astype(float),
        np.bincount(group, law.coordinates**2).astype(float),
        *constants.T,
    )


def _rate(process: Process, t: Array) -> tuple[Array, Array]:
    """log λ and log λ' = 2 log(g/α)."""
    log_alpha, log_lam = process.law(t)
    with np.errstate(divide="ignore"):  # g may vanish at an end
        return log_lam, 2.0 * (np.log(process.g(t)) - log_alpha)


def _log_chi(
    process: Process, data: Gaussian, T: float, grid: str, density: Callable[[Array], Array] | None
) -> Callable[[Array, Array, Array], Array]:
    """log χ as a function of (t, log λ, log λ')."""
    if density is not None:
        whole = float(
            integrate(lambda t: 1.0 / density(t), np.zeros(1), np.array([T]), option="density").value[0]
        )
        if not abs(whole - 1.0) < 1e-6:
            raise BadInput("density", f"int dt/theta = {whole:.9g}", "must be 1 on [0, T]")
        return lambda t, log_lam, log_rate: np.log(density(t)) + log_rate
    if grid == "uniform":
        log_T = math.log(positive("T", T))
        return lambda t, log_lam, log_rate: log_T + log_rate
    if grid not in DENSITIES:
        raise BadInput(
            "grid", grid, "must be one of " + ", ".join(("uniform", *DENSITIES)) + ", or give density"
        )
    log_lam_T = float(process.log_lam(T))
    return lambda t, log_lam, log_rate: DENSITIES[grid](log_lam, log_lam_T, data)


def _constants(
    process: Process, T: float, scheme: str, variance: float, log_chi: Callable[[Array, Array, Array], Array]
) -> tuple[float, float, float, float]:
    """excess, log_part, mean and mean_log of one eigenvalue."""
    log_v = math.log(variance)

    def parts(t: Array) -> tuple[Array, Array, Array, Array]:
        log_lam, log_rate = _rate(process, t)
        return np.logaddexp(log_v, log_lam), log_lam, log_rate, log_chi(t, log_lam, log_rate)

    def over(integrand: Callable[[Array], Array]) -> float:
        return float(integrate(integrand, np.zeros(1), np.array([T]), option="Eq. 12'").value[0])

    ancestral, drifts, loses = SCHEMES[scheme]
    if ancestral:
        return *_ancestral(process, T, variance, parts, over), 0.0, 0.0

    def variance_term(t: Array) -> Array:
        log_w, _, log_rate, chi = parts(t)
        # σ_0⁴ χ (λ' − f ŵ)/ŵ³ dt
        value = np.exp(2.0 * log_v + chi + log_rate - 3.0 * log_w)
        if drifts:
            value = value - process.f(t) * np.exp(2.0 * log_v + chi - 2.0 * log_w)
        return value

    excess = over(variance_term)
    if not loses or process.family == "ve":
        return excess, 0.0, 0.0, 0.0
    # em leaves a_k = f²h²/2 of the mean, contracted by ς²/ŵ, and twice that of the variance
    lost, lost_log = _drift(process, T, variance, parts, over)
    return excess - variance * lost, -variance * lost_log, -0.5 * lost, -0.5 * lost_log


def _square_root(process: Process, T: float) -> float:
    """lim (log α)²/λ at t → 0, in 1/x²: 0 where log α falls faster to 0 than √λ, as it does where g(0) > 0."""
    t = T * np.array([1e-6, 2e-6])
    log_alpha, log_lam = process.law(t)
    ratio = np.exp(2.0 * np.log(-log_alpha) - log_lam)
    slope = math.log2(ratio[1] / ratio[0])
    if slope > 1e-3:
        return 0.0
    if slope < -1e-3:
        raise HypothesisFailed(
            "Eq. 12'", "log alpha = O(sqrt(lam)) at t = 0", "em's first steps leave more than log K/K of W2"
        )
    return float(2.0 * ratio[0] - ratio[1])  # the limit to second order


@cache
def _roots() -> float:
    """lim Σ_{j<J} (√(j+1) − √j)² − ¼ log J: what the first steps make of the logarithm, each on its own."""
    J = 4096
    j = np.arange(J, dtype=float)
    gaps = 1.0 / (np.sqrt(j + 1.0) + np.sqrt(j))
    # a term is 1/(4x) + 1/(64x³) + …, x = j + ½, and ¼ log((j+1)/j) is 1/(4x) + 1/(48x³) + …
    return float((gaps**2).sum()) - 0.25 * math.log(J) - 1.0 / (384.0 * J**2)


def _drift(
    process: Process,
    T: float,
    variance: float,
    parts: Callable[[Array], tuple[Array, Array, Array, Array]],
    over: Callable[[Callable[[Array], Array]], float],
) -> tuple[float, float]:
    """K Σ (∫f)² ς²/ŵ over the steps, to leading order: ∫ f²χς²/(λ'ŵ) dt, and the coefficient of log K where that
    has one."""
    log_v = math.log(variance)

    def whole(t: Array) -> Array:
        log_w, _, log_rate, chi = parts(t)
        return np.asarray(process.f(t) ** 2 * np.exp(log_v + chi - log_rate - log_w))

    with np.errstate(divide="ignore", invalid="ignore"):  # log χ − log λ' at an end where both vanish
        first = float(np.exp(parts(np.zeros(1))[3][0]))
    root = 0.0 if not math.isfinite(first) or first == 0.0 else _square_root(process, T)
    if root == 0.0:
        return over(whole), 0.0
    # near λ = 0, ∫f over step j is (root·χ(0)/K)^{1/2} (√(j+1) − √j), and the integrand R dλ/λ
    R = 0.25 * root * first

    def rest(t: Array) -> Array:
        log_w, log_lam, log_rate, chi = parts(t)
        share = process.f(t) ** 2 * np.exp(chi + log_lam - 2.0 * log_rate) / R
        return np.asarray((share - 1.0) * R * np.exp(log_v + log_rate - log_lam - log_w))

    # near 0 its two parts, each like 1/t, leave a constant and fewer digits: one midpoint there
    ends = np.geomspace(1e-4 * T, T, 17)
    smooth = float(integrate(rest, ends[:-1], ends[1:], rtol=1e-8, option="Eq. 12'", floor=1e-8).value.sum())
    smooth += ends[0] * float(rest(0.5 * ends[:1])[0])
    # ∫_ε R dλ/(λ(1 + λ/ς²)) from ε = χ(0) J/K on, and the J steps before one by one
    log_lam_T = float(process.log_lam(T))
    reached = log_v + log_lam_T - float(np.logaddexp(log_v, log_lam_T))
    return smooth + R * (reached - math.log(first) + 4.0 * _roots()), R


def _ancestral(
    process: Process,
    T: float,
    variance: float,
    parts: Callable[[Array], tuple[Array, Array, Array, Array]],
    over: Callable[[Callable[[Array], Array]], float],
) -> tuple[float, float]:
    """Eq. 10′ to leading order: −(Λ'(0)(log K + γ_E) + ∫(σ_0⁶Λ'²/(ŵ³Λ) − Λ'(0)/s) ds)."""
    with np.errstate(invalid="ignore"):  # log χ − log λ' at an end where both vanish
        first = float(np.exp(parts(np.zeros(1))[3][0]))
    if not math.isfinite(first):
        raise HypothesisFailed("Eq. 12'", "a finite dlam/ds at t = 0", "the grid's first step is too long")

    def smooth(t: Array) -> Array:
        log_w, log_lam, log_rate, chi = parts(t)
        return np.exp(3.0 * (math.log(variance) - log_w) + chi + log_rate - log_lam)

    if first == 0.0:
        return -over(smooth), 0.0

    # split Λ'² = Λ'(Λ' − Λ'(0)) + Λ'Λ'(0): the first part is smooth at 0; the second is an integral in the
    # clock from λ = Λ'(0)δ, whose logarithm meets that of −Λ'(0)∫_δ ds/s
    def rest(t: Array) -> Array:
        log_w, log_lam, log_rate, chi = parts(t)
        # (χ − Λ'(0)) σ_0⁶ λ'/(ŵ³λ): no singularity at 0
        return (np.exp(chi) - first) * np.exp(3.0 * (math.log(variance) - log_w) + log_rate - log_lam)

    ratio = math.exp(float(process.log_lam(T)) - math.log(variance)) if process.log_lam(T) < 700 else math.inf
    tail = math.log1p(1.0 / ratio) if ratio < math.inf else 0.0
    inverse = 1.0 / (1.0 + ratio)
    # ∫_x^X du/(u(1+u)³) = [log(u/(1+u)) + 1/(1+u) + 1/(2(1+u)²)]
    closed = -tail + inverse + 0.5 * inverse**2 - 1.5 - math.log(first / variance)
    return -(first * (np.euler_gamma + closed) + over(rest)), -first
