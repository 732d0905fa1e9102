"""Convex potentials learned on one part of two samples: lower bounds on W2² that another part can test.

For every convex f with conjugate f*, Kantorovich duality gives

    W2(P, Q)² ≥ E_P φ + E_Q ψ,    φ(x) = |x|² − 2 f(x),    ψ(y) = |y|² − 2 f*(y),

an inequality for the laws themselves: a mean over points that f has not seen estimates the right-hand
side without bias. A poorly fitted f makes the bound weaker, never wrong. Two families:

`quadratic`: f is the potential of the affine map between Gaussians of the fitted moments (Gelbrich's bound);
`separable`: f(x) = Σ_i f_i(⟨θ_i, x⟩) over an orthonormal basis, f_i' the monotone map between the
projections (a sliced bound with its factor d: Σ_i W2²(⟨θ_i, P⟩, ⟨θ_i, Q⟩) ≤ W2²(P, Q)).

Sources: Villani, *Topics in Optimal Transportation* (2003), section 2.1; Gelbrich (1990); Bonneel, Rabin,
Peyré & Pfister (2015).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, eigh, solve_triangular

__all__ = ["orthonormal", "quadratic", "separable"]

Array = NDArray[np.float64]

_KAPPA = 1e6  # slopes of a fitted map are kept within [1/κ, κ]: any positive slope gives a valid bound


def orthonormal(rng: np.random.Generator, d: int, k: int) -> Array:
    """k ≤ d orthonormal directions as columns (d, k), each uniform on the sphere."""
    basis, corner = np.linalg.qr(rng.standard_normal((d, k)))
    return basis * np.where(np.diagonal(corner) < 0.0, -1.0, 1.0)  # QR's own signs are not uniform


def quadratic(fit: tuple[Array, Array], test: tuple[Array, Array]) -> tuple[Array, Array]:
    """φ and ψ at the test points, for the quadratic f with the moments of ``fit``: shapes (n,), (m,).

    With δ = m_1 − m_2 and A the slope of the map, φ = |δ|²/2 + 2⟨δ, x−m_1⟩ + ⟨x−m_1, (I − A)(x−m_1)⟩ and
    ψ = |δ|²/2 − 2⟨δ, y−m_2⟩ + ⟨y−m_2, (I − A^{-1})(y−m_2)⟩.
    """
    m1, m2 = (p.mean(axis=0) for p in fit)
    slopes, basis = _affine(fit)
    delta = m1 - m2
    x, y = test[0] - m1, test[1] - m2
    phi = 0.5 * delta @ delta + 2.0 * x @ delta + (x @ basis) ** 2 @ (1.0 - slopes)
    psi = 0.5 * delta @ delta - 2.0 * y @ delta + (y @ basis) ** 2 @ (1.0 - 1.0 / slopes)
    return phi, psi


def separable(
    fit: tuple[Array, Array], test: tuple[Array, Array], rng: np.random.Generator
) -> tuple[Array, Array]:
    """φ and ψ at the test points for a separable f: shapes (n,), (m,).

    The basis is the one along which the fitted projections differ most, of the coordinates, the axes
    of the affine map, and a few at random (a choice made on ``fit`` costs the bound nothing).
    """
    d = fit[0].shape[1]
    knots = max(2, min(2 * int(np.cbrt(min(len(p) for p in fit))), *(len(p) // 2 for p in fit)))
    bases = [np.eye(d)]
    if d > 1:
        bases += [_affine(fit)[1], *(orthonormal(rng, d, d) for _ in range(max(1, min(8, 256 // d))))]
    best = -1.0
    for candidate in bases:
        a, b = (_bin_means(p @ candidate, knots) for p in fit)
        if (gain := float(((a - b) ** 2).sum())) > best:
            best, basis, graph = gain, candidate, (a, b)
    x, y = (p @ basis for p in test)
    phi, psi = np.zeros(len(x)), np.zeros(len(y))
    for i in range(d):
        f, conjugate = _along(graph[0][:, i], graph[1][:, i], x[:, i], y[:, i])
        phi += x[:, i] ** 2 - 2.0 * f
        psi += y[:, i] ** 2 - 2.0 * conjugate
    return phi, psi


def _affine(fit: tuple[Array, Array]) -> tuple[Array, Array]:
    """Eigenvalues (d,) and eigenvectors (d, d) of the slope A of the map between fitted Gaussians.

    A = L^{-T}(Lᵀ C_2 L)^{1/2} L^{-1} with C_1 = L Lᵀ. Both covariances get the same share d/n of their
    mean, so that with few points A falls back to I, the bound of the means alone.
    """
    d = fit[0].shape[1]
    C1, C2 = (np.atleast_2d(np.cov(p, rowvar=False)) for p in fit)
    pooled = 0.5 * (C1 + C2)
    ridge = d / min(len(p) for p in fit) * pooled
    ridge += (1e-12 * np.trace(pooled) / d or 1.0) * np.eye(d)
    L = cholesky(C1 + ridge, lower=True)
    values, vectors = eigh(L.T @ (C2 + ridge) @ L)
    G = solve_triangular(L, vectors * np.maximum(values, 0.0) ** 0.25, lower=True, trans="T")
    slopes, basis = eigh(G @ G.T)
    return np.clip(slopes, 1.0 / _KAPPA, _KAPPA), basis


def _bin_means(points: Array, bins: int) -> Array:
    """Means of each sorted column over ``bins`` runs of about equal length: (bins, columns)."""
    points = np.sort(points, axis=0)
    edges = np.linspace(0, len(points), bins + 1).astype(np.intp)
    return np.add.reduceat(points, edges[:-1], axis=0) / np.diff(edges)[:, None]


def _along(a: Array, b: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """f(x) and f*(y) for the convex f whose derivative is piecewise linear through the points (a_k, b_k).

    ``f(a_k) + f*(b_k) = a_k b_k`` holds on the graph of f', so the two are conjugate to rounding. Where a_k
    repeats, f has a kink; where b_k repeats, f* has. Beyond the outer points the slope of f' is the
    ratio of the spreads.
    """
    spread_a, spread_b = a[-1] - a[0], b[-1] - b[0]
    slope = np.clip(spread_b / spread_a, 1.0 / _KAPPA, _KAPPA) if spread_a > 0.0 else _KAPPA
    f = np.append(0.0, np.cumsum(np.diff(a) * 0.5 * (b[:-1] + b[1:])))
    return _integral(a, b, f, slope, x), _integral(b, a, a * b - f, 1.0 / slope, y)


def _integral(a: Array, b: Array, f: Array, slope: float, x: Array) -> Array:
    """f at x, from its values f_k and derivatives b_k at a_k, with linear f' between and ``slope`` beyond."""
    k = np.clip(np.searchsorted(a, x, side="right") - 1, 0, len(a) - 1)
    rise = np.full(len(a), slope)
    width = np.diff(a)
    rise[:-1] = np.divide(np.diff(b), width, out=np.full(len(width), slope), where=width > 0.0)
    h = x - a[k]
    return f[k] + h * (b[k] + 0.5 * np.where(h < 0.0, slope, rise[k]) * h)
