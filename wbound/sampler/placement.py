"""Where the named grids put their nodes in the clock: log λ (K+1,) from λ(T) down to λ = 0 (sections 6, 7).

Each function takes log λ(T), K and the data (or None), and works where λ overflows; with ``at`` it gives the nodes of
those indices alone, so that a grid of very many nodes is never held. Scales that the
literature fixes for images of standard deviation ½ or 1 are taken in units of the data's own,
√(E|X_0−EX_0|²/d); without data that is 1.

Whose results these stand beside (section 13): schedules from the data's spectrum, Sabour et al. (arXiv 2404.14507),
Benita, Elad & Keshet (2502.00180), Sun, Poor & Zhang (2601.13602); the optimal √d for broad classes of schedules, Koike
(2605.18069), also Yu & Yu (2502.04849) and Meng & Wang (2512.06702).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps

import numpy as np

from wbound.data.curvature import Curvature
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, HypothesisFailed, positive
from wbound.forward.optimal_clock import clock, log_clock_left, times
from wbound.sampler.tangent_law import tangent_sigmas
from wbound.typing import Array, Index

__all__ = [
    "PLACEMENTS",
    "SEARCHED",
    "SIGMA_MIN",
    "cosine",
    "curvatures",
    "edm",
    "gaussian",
    "log_uniform",
    "optimal",
    "scale",
    "sinh",
    "tangent",
]


#: The last noise level above 0 of `edm` and `log_uniform`, in units of the data's standard deviation: EDM's
#: 0.002 for images of standard deviation 0.5. (At most as large a share of √λ(T).)
SIGMA_MIN = 0.004

#: Offset of the cosine schedule (Nichol & Dhariwal, 2021).
COSINE_OFFSET = 0.008


def scale(data: Curvature | None) -> float:
    """√(E|X_0 − E X_0|²/d) in x (with E X_0 taken as 0 where it is unknown); 1 without data."""
    if data is None:
        return 1.0
    variance = (data.second_moment - (data.mean_norm or 0.0) ** 2) / data.d
    return math.sqrt(variance) if variance > 0.0 else 1.0


def curvatures(
    data: Curvature | None, grid: str = "optimal", statement: str = "Eq. 13"
) -> tuple[float, float]:
    """(m_0, L_0) of strongly log-concave data, which a grid is made of. Raises `HypothesisFailed`."""
    if data is None:
        raise BadInput("grid", grid, "needs the data's m0 and L0")
    facts = data.A1
    if facts is None:
        raise HypothesisFailed(statement, "A1", f"the {grid} grid needs m0 and L0")
    return facts


def _framed(inner: Callable[..., Array]) -> Callable[..., Array]:
    """(log λ(T), K, data, …, at) ↦ log λ at the nodes ``at`` (default: all, (K+1,)), from those between the ends,
    ``inner(log λ(T), K, data, k, …)`` at indices k (N,)."""

    @wraps(inner)
    def levels(
        log_lam_T: float, K: int, data: Curvature | None, *options: float | None, at: Index | None = None
    ) -> Array:
        k = np.arange(K + 1) if at is None else at
        out = np.where(k == 0, log_lam_T, -np.inf)
        inside = (k > 0) & (k < K)
        out[inside] = inner(log_lam_T, K, data, k[inside], *options)
        return out

    return levels


@_framed
def optimal(log_lam_T: float, K: int, data: Curvature | None, k: Index) -> Array:
    """Section 7's grid: uniform in the optimal clock's own time, H ∝ ((1+m_0λ)(1+L_0λ))^{2/3}: the least of Theorem 2
    for `hf` (Eq. 9) as K → ∞, not of other schemes or of the exact W2."""
    m0, L0 = curvatures(data)
    gone, left = times(log_lam_T, m0, L0)
    share = k / K
    since, until = gone * (1.0 - share), left + gone * share
    early = since < until
    out = np.empty(k.size)
    out[early] = np.log(clock(since[early], m0, L0))
    out[~early] = log_clock_left(until[~early], m0, L0)
    return out


@_framed
def gaussian(log_lam_T: float, K: int, data: Curvature | None, k: Index) -> Array:
    """Uniform in (σ_0²+λ)^{−1/2}, σ_0² the mean variance: Eq. 10's optimum (hf, exact start) as K → ∞ for
    N(μ, σ_0² I)."""
    log_s2 = 2.0 * math.log(scale(data))
    start = math.exp(-0.5 * float(np.logaddexp(0.0, log_lam_T - log_s2)))  # √(σ_0²/w_0)
    # v = σ_0/√w rises from start to 1; λ = σ_0²(v^{−2} − 1), from log v
    log_v = np.log1p(-(1.0 - start) * (1.0 - k / K))
    return np.asarray(log_s2 - 2.0 * log_v + np.log(-np.expm1(2.0 * log_v)))


def _least(log_lam_T: float, data: Curvature | None, sigma_min: float | None) -> float:
    """log of the last σ above 0."""
    if sigma_min is None:
        return math.log(SIGMA_MIN) + min(math.log(scale(data)), 0.5 * log_lam_T)
    log_min = math.log(positive("sigma_min", sigma_min))
    if not log_min < 0.5 * log_lam_T:
        raise BadInput(
            "sigma_min", sigma_min, f"must be below sqrt(lam(T)) = {math.exp(0.5 * log_lam_T):.6g}"
        )
    return log_min


@_framed
def log_uniform(
    log_lam_T: float, K: int, data: Curvature | None, k: Index, sigma_min: float | None = None
) -> Array:
    """Uniform in log λ: K levels from λ(T) to sigma_min², then 0."""
    least = 2.0 * _least(log_lam_T, data, sigma_min)
    return np.asarray(log_lam_T + k / max(K - 1, 1) * (least - log_lam_T))


@_framed
def edm(
    log_lam_T: float,
    K: int,
    data: Curvature | None,
    k: Index,
    rho: float = 7.0,
    sigma_min: float | None = None,
) -> Array:
    """σ^{1/ρ} uniform: K levels from √λ(T) to sigma_min, then 0 (Karras et al., 2022, Eq. 5)."""
    share = k / max(K - 1, 1)
    low, high = _least(log_lam_T, data, sigma_min) / rho, 0.5 * log_lam_T / rho
    with np.errstate(divide="ignore"):  # the last level has no share of the first
        mixed = np.logaddexp(np.log1p(-share) + high, np.log(share) + low)
    return np.asarray(2.0 * rho * mixed)


@_framed
def cosine(
    log_lam_T: float, K: int, data: Curvature | None, k: Index, offset: float = COSINE_OFFSET
) -> Array:
    """ᾱ = cos²(φ)/cos²(φ_0), φ uniform from φ_0 = (π/2)·offset/(1+offset) (Nichol & Dhariwal, 2021), with
    λ = σ_0²(1/ᾱ − 1), σ_0² the data's mean variance (1 in their normalisation)."""
    log_s2 = 2.0 * math.log(scale(data))
    first = 0.5 * math.pi * offset / (1.0 + offset)
    # cos φ_T = cos φ_0 √ᾱ(T); near π/2 the angle comes from its cosine's arcsine
    cosine_T = math.cos(first) * math.exp(-0.5 * float(np.logaddexp(0.0, log_lam_T - log_s2)))
    last = 0.5 * math.pi - math.asin(cosine_T) if cosine_T < 0.7 else math.acos(cosine_T)
    rest = (last - first) * (1.0 - k / K)
    # cos²φ_0/cos²φ − 1 = sin(φ−φ_0) sin(φ+φ_0)/cos²φ
    lam = np.sin(rest) * np.sin(rest + 2.0 * first) / np.cos(first + rest) ** 2
    return np.asarray(log_s2 + np.log(lam))


@_framed
def tangent(log_lam_T: float, K: int, data: Curvature | None, k: Index) -> Array:
    """Section 16's grid, the best of `ddim` on Gaussian data from the exact start (of many eigenvalues as K → ∞): equal
    angles arctan(√λ/σ_0), or the tangent law's quantiles. Other data, and none, count with their mean variance."""
    variances = np.array([scale(data) ** 2])
    if isinstance(data, Gaussian) and (data.eigenvalues > 0.0).any():
        variances = data.eigenvalues[data.eigenvalues > 0.0]
    unit = math.log(float(variances.max()))
    # beyond √(λ e^-200) there are e^-100 of the nodes
    log_high = min(log_lam_T - unit, 200.0)
    sigma = tangent_sigmas(K, variances * math.exp(-unit), math.exp(log_high), at=k)
    return np.asarray(unit + 2.0 * np.log(sigma))


@_framed
def sinh(log_lam_T: float, K: int, data: Curvature | None, k: Index) -> Array:
    """Section 20's grid, λ_k = sinh²((K−k)h)/L_0: on it Theorem 7 for `heun-lambda` has a closed form, of order 2."""
    log_L0 = math.log(curvatures(data, "sinh", "Theorem 7")[1])
    half = 0.5 * (log_lam_T + log_L0)
    # arsinh e^half, which neither overflows nor loses what is small
    whole = (
        math.asinh(math.exp(half))
        if half < 0.0
        else half + math.log1p(math.sqrt(1.0 + math.exp(-2.0 * half)))
    )
    x = whole * (1.0 - k / K)
    log_sinh = np.where(
        x < 1.0, np.log(np.sinh(np.minimum(x, 1.0))), x - math.log(2.0) + np.log1p(-np.exp(-2.0 * x))
    )
    return np.asarray(2.0 * log_sinh - log_L0)


#: The grids of the clock by name, each (log λ(T), K, data, at=None) -> log λ (K+1,), or at the nodes ``at``.
PLACEMENTS: dict[str, Callable[..., Array]] = {
    "optimal": optimal,
    "gaussian": gaussian,
    "log-lam": log_uniform,
    "edm": edm,
    "cosine": cosine,
    "tangent": tangent,
    "sinh": sinh,
}

#: Those that a search tries unasked at many λ(T): not `tangent`, which is an integral over the spectrum each time, nor
#: `sinh`, which is for one scheme.
SEARCHED = tuple(name for name in PLACEMENTS if name not in ("tangent", "sinh"))
