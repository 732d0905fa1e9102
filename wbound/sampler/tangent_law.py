"""The tangent law: where `ddim` is best asked on Gaussian data from the exact start (section 16 of docs/theory.md).

The isotropic law: Sabour, Fidler & Kreis (arXiv 2404.14507) and Sun, Poor & Zhang (2601.13602); several eigenvalues:
derived here.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from wbound.data.binned_spectrum import spectral_bins
from wbound.errors import count, positive
from wbound.typing import Array, Index

__all__ = ["tangent_density", "tangent_error", "tangent_sigmas"]

#: Cells of the quadrature in arsinh(σ/√x_min), and how often its fixed point is iterated at most.
CELLS, ROUNDS = 2048, 200


def tangent_density(
    variances: ArrayLike, lam_max: float, counts: ArrayLike | None = None
) -> tuple[Array, Array, Array]:
    """The stationary density of `ddim`'s nodes in σ as K → ∞: (σ (N,) ascending from 0, share of the nodes below σ
    (N,), I_i (E,) per distinct eigenvalue above 0).

    ρ ∝ √W, W(σ) = Σ x_i² I_i/(x_i + σ²)², I_i = ∫ x_i/(x_i + σ²)² dσ/ρ (section 16): the global minimum of the
    leading term W2² ≈ Σ x_i I_i²/(4K²). Kind: *order*. Raises `BadInput`.
    """
    x, n, _ = spectral_bins(variances, counts)
    high = math.sqrt(positive("lam_max", lam_max))
    unit = math.sqrt(float(x[0]))
    v = np.linspace(0.0, math.asinh(high / unit), CELLS + 1)
    sigma, per = unit * np.sinh(v), unit * np.cosh(v) * (v[1] - v[0])  # dσ of a cell
    kernel = x[:, None] / (x[:, None] + sigma**2) ** 2
    weight = _simpson(CELLS + 1) * per
    spent = np.ones_like(x)
    for _ in range(ROUNDS):
        root = np.sqrt((n * x * spent) @ kernel)
        new = float(weight @ root) * (kernel @ (weight / root))
        change = float(np.abs(new / spent - 1.0).max())
        spent = np.sqrt(new * spent)  # damped: the map alternates
        if change < 1e-12:
            break
    else:
        raise ArithmeticError(f"the tangent law's weights still change by {change:.1e} after {ROUNDS} rounds")
    root = np.sqrt((n * x * spent) @ kernel)
    below = _cumulative(root * per)
    return sigma, below / below[-1], spent


def tangent_error(K: int, variances: ArrayLike, lam_max: float, counts: ArrayLike | None = None) -> float:
    """(1/2K)(Σ x_i I_i²)^{1/2}, W2 (not squared) in x that `ddim` tends to on the grid `tangent` from the exact start as
    K → ∞ (section 16). Kind: *order*. Raises `BadInput`."""
    x, n, _ = spectral_bins(variances, counts)
    spent = tangent_density(variances, lam_max, counts)[2]
    return math.sqrt(float((n * x * spent**2).sum())) / (2.0 * count("K", K))


def _simpson(points: int) -> Array:
    weights = np.full(points, 2.0 / 3.0)
    weights[1::2] = 4.0 / 3.0
    weights[0] = weights[-1] = 1.0 / 3.0
    return weights


def _cumulative(values: Array) -> Array:
    """Integrals from the first point to each, of cubics through four neighbours."""
    inner = (13.0 * (values[1:-2] + values[2:-1]) - values[:-3] - values[3:]) / 24.0
    first = (9.0 * values[0] + 19.0 * values[1] - 5.0 * values[2] + values[3]) / 24.0
    last = (9.0 * values[-1] + 19.0 * values[-2] - 5.0 * values[-3] + values[-4]) / 24.0
    return np.concatenate(([0.0], np.cumsum(np.concatenate(([first], inner, [last])))))


@lru_cache(maxsize=4)
def _quantiles(
    variances: tuple[float, ...], counts: tuple[float, ...], lam_max: float
) -> tuple[Array, Array]:
    """σ (N,) and the share of the nodes below it: kept, since a grid in blocks asks for each."""
    return tangent_density(variances, lam_max, counts)[:2]


def tangent_sigmas(
    K: int,
    variances: ArrayLike,
    lam_max: float,
    counts: ArrayLike | None = None,
    at: Index | None = None,
) -> Array:
    """σ_0 > … > σ_K = 0 (K+1,) in x of the grid `tangent`, or those of indices ``at``: for one eigenvalue
    √x tan(Θ(1 − k/K)), the best grid of `ddim`; for a spectrum the quantiles of `tangent_density`, best as K → ∞.
    Raises `BadInput`."""
    K, high = count("K", K), math.sqrt(positive("lam_max", lam_max))
    distinct, n, _ = spectral_bins(variances, counts)
    k = np.arange(K + 1) if at is None else at
    share = (K - k) / K
    if distinct.size == 1:
        unit = math.sqrt(float(distinct[0]))
        sigma = unit * np.tan(math.atan2(high, unit) * share)
    else:
        known, below = _quantiles(tuple(distinct.tolist()), tuple(n.tolist()), lam_max)
        # the share is smooth in arsinh σ
        unit = math.sqrt(float(distinct[0]))
        sigma = unit * np.sinh(np.interp(share, below, np.arcsinh(known / unit)))
    sigma[k == 0], sigma[k == K] = high, 0.0
    return sigma
