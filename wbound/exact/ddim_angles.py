"""`ddim`'s floor on Gaussian data, in closed form (section 16 of docs/theory.md).

With σ_k = √x tan φ_k a step of `ddim` multiplies a coordinate of variance x, measured by the exact flow, by
cos(φ_{k−1} − φ_k). The angles add up to Θ = arctan(σ_max/√x), and log cos is concave.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from wbound.errors import BadInput, count, positive
from wbound.typing import Array

__all__ = ["DdimFloor", "ddim_floor", "ddim_iterations"]

#: Steps that `ddim_iterations` counts to.
MOST_STEPS = 10**15


def ddim_floor(K: int, variances: ArrayLike, lam_max: float | None = None) -> float:
    """W2 that `ddim` from the exact start cannot go below on Gaussian data, on any grid of K steps down to λ = 0.

    Implements Eq. 17 (docs/theory.md, section 16): *lower*; equality for one eigenvalue at equal angles (the grid
    `tangent`). Each direction's own floor: W2² ≥ Σ x (1 − cos^K(Θ_x/K))², Θ_x = arctan √(λ_max/x).

    Args:
        K: steps, an integer ≥ 1.
        variances: eigenvalues (E,) of the covariance, each as often as it stands, in x².
        lam_max: λ at the start in x², None for λ → ∞ (Θ = π/2).

    Returns:
        W2 (not squared), in x.

    Raises:
        BadInput: K < 1, no eigenvalue, one below 0, λ_max ≤ 0.

    Source: derived in docs/theory.md.
    """
    K, x = count("K", K), _spectrum(variances)
    lost = -np.expm1(K * _log_cos(_angle(x, lam_max) / K))
    return math.sqrt(float((x * lost**2).sum()))


@dataclass(frozen=True)
class DdimFloor:
    """W2 ≤ ε on N(μ, σ_0²I) needs at least ``steps`` of `ddim` from the exact start (the least integer with 1 −
    cos^K(Θ/K) ≤ u), and ``K`` = Θ²/(2 log 1/(1−u)) of the closed form, no larger; ``u`` is ε/(σ_0√d), ``angle`` Θ in radians."""

    K: float
    steps: int
    u: float
    angle: float


def ddim_iterations(d: int, sigma0: float, eps: float, lam_max: float | None = None) -> DdimFloor:
    """The least number of `ddim`'s steps from the exact start for W2 ≤ ε on N(μ, σ_0²I), on any grid.

    Implements Eq. 17 (docs/theory.md, section 16): *lower*, and enough on the grid `tangent`.

    Args:
        d: dimension.
        sigma0: σ_0 in x.
        eps: W2 (not squared) in x.
        lam_max: λ at the start in x², None for λ → ∞.

    Raises:
        BadInput: a value out of its domain, or more than 1e15 steps.

    Source: derived in docs/theory.md.
    """
    d, sigma0, eps = count("d", d), positive("sigma0", sigma0), positive("eps", eps)
    u = eps / (sigma0 * math.sqrt(d))
    angle = float(_angle(np.array([sigma0**2]), lam_max)[0])
    if u >= 1.0:
        return DdimFloor(0.0, 1, u, angle)
    need = angle**2 / (-2.0 * math.log1p(-u))
    if need > MOST_STEPS:
        raise BadInput("eps", eps, f"needs more than {MOST_STEPS:.0e} steps")
    wanted = math.log1p(-u)

    def enough(K: int) -> bool:
        return float(K * _log_cos(np.array([angle / K]))[0]) >= wanted

    low, high = max(math.floor(need * (1.0 - 1e-12)), 1), max(math.ceil(need), 1)
    while not enough(high):  # 1 − cos^K is above the closed form by O(1/K) of it
        low, high = high, high + max(1, high // 8)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return DdimFloor(need, high, u, angle)


def _log_cos(angle: Array) -> Array:
    """log cos, of small angles to rounding."""
    with np.errstate(divide="ignore"):  # K = 1, Θ = π/2: cos is 0
        return np.asarray(0.5 * np.log1p(-(np.sin(angle) ** 2)))


def _spectrum(variances: ArrayLike) -> Array:
    x = np.atleast_1d(np.asarray(variances, dtype=np.float64))
    if x.ndim != 1 or not x.size or not np.isfinite(x).all() or (x < 0.0).any():
        raise BadInput("variances", variances, "must be a vector of finite numbers >= 0")
    return x


def _angle(x: Array, lam_max: float | None) -> Array:
    """Θ (E,) in radians."""
    if lam_max is None:
        return np.full_like(x, 0.5 * math.pi)
    return np.asarray(np.arctan2(math.sqrt(positive("lam_max", lam_max)), np.sqrt(x)))
