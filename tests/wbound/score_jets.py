"""Derivatives of log q in the plane for q a mixture of Gaussians, and what Lemma 5 is about, at points.

A jet is a dict (i, j) ↦ ∂_x^i∂_y^j of a function at the points, up to a total order; values are arrays of any
number type. Nothing here comes from wbound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

Jet = dict[tuple[int, int], Any]
Matrix = list[list[Any]]

ORDER = 6
AXES = ((1, 0), (0, 1))


class Component(NamedTuple):
    """A Gaussian's weight, mean (2,) and covariance (xx, xy, yy)."""

    weight: Any
    mean: tuple[Any, Any]
    cov: tuple[Any, Any, Any]


def orders(n: int) -> list[tuple[int, int]]:
    return [(i, total - i) for total in range(n + 1) for i in range(total + 1)]


def add(*jets: Jet) -> Jet:
    return {k: sum((j[k] for j in jets[1:]), jets[0][k]) for k in jets[0] if all(k in j for j in jets)}


def times(jet: Jet, c: Any) -> Jet:
    return {k: v * c for k, v in jet.items()}


def multiply(f: Jet, g: Jet, n: int) -> Jet:
    """Leibniz."""
    return {
        (i, j): sum(
            f[k, m] * g[i - k, j - m] * (math.comb(i, k) * math.comb(j, m))
            for k in range(i + 1)
            for m in range(j + 1)
        )
        for i, j in orders(n)
    }


def along(f: Jet, axis: int, n: int) -> Jet:
    """The derivative along an axis, a jet of order n."""
    a, b = AXES[axis]
    return {(i, j): f[i + a, j + b] for i, j in orders(n)}


def laplacian(f: Jet, n: int) -> Jet:
    return {(i, j): f[i + 2, j] + f[i, j + 2] for i, j in orders(n)}


def density(parts: list[Component], lam: Any, x: Any, y: Any, exp: Callable[[Any], Any], tau: Any) -> Jet:
    """The jet of q_λ; ``tau`` is 2π in the number type."""
    return add(*(_gaussian(p, lam, x, y, exp, tau) for p in parts))


def _gaussian(p: Component, lam: Any, x: Any, y: Any, exp: Callable[[Any], Any], tau: Any) -> Jet:
    xx, xy, yy = p.cov[0] + lam, p.cov[1], p.cov[2] + lam
    det = xx * yy - xy * xy
    a, b, c = yy / det, -xy / det, xx / det
    dx, dy = x - p.mean[0], y - p.mean[1]
    q = exp((dx * dx * a + dx * dy * b * 2 + dy * dy * c) / (-2)) * (p.weight / (tau * det**0.5))
    out: Jet = {(0, 0): q}
    u, v = (dx * a + dy * b) * (-1), (dx * b + dy * c) * (-1)
    for i, j in orders(ORDER)[1:]:
        if i:
            value = u * out[i - 1, j]
            if i > 1:
                value = value - out[i - 2, j] * (a * (i - 1))
            if j:
                value = value - out[i - 1, j - 1] * (b * j)
        else:
            value = v * out[0, j - 1]
            if j > 1:
                value = value - out[0, j - 2] * (c * (j - 1))
        out[i, j] = value
    return out


def logarithm(q: Jet) -> Jet:
    """The derivatives of log q of order ≥ 1, from q ∂φ = ∂q."""
    phi: Jet = {}
    for i, j in orders(ORDER)[1:]:
        axis = 0 if i else 1
        low = (i - 1, j) if i else (0, j - 1)
        value = q[i, j]
        for k in range(low[0] + 1):
            for m in range(low[1] + 1):
                if (k, m) != low:
                    up = (k + 1, m) if axis == 0 else (k, m + 1)
                    value = value - phi[up] * q[low[0] - k, low[1] - m] * (
                        math.comb(low[0], k) * math.comb(low[1], m)
                    )
        phi[i, j] = value / q[0, 0]
    return phi


class Fields(NamedTuple):
    """At points: 𝓗, T, ∇T, DT, and DT again from its definition ∂_Λ + ½S·∇ by the heat equation; ∇DT."""

    H: Matrix
    T: list[Any]
    grad_T: Matrix
    DT: list[Any]
    DT_plain: list[Any]
    grad_DT: Matrix


def fields(phi: Jet) -> Fields:
    S = [along(phi, a, 5) for a in range(2)]

    def generator(f: Jet, n: int) -> Jet:
        return add(laplacian(f, n), *(multiply(S[a], along(f, a, n), n) for a in range(2)))

    T = [generator(S[a], 3) for a in range(2)]
    H = [[times(along(S[a], b, 4), -1) for b in range(2)] for a in range(2)]

    def second(f: Jet, n: int) -> Jet:
        """𝓛_𝓗f = 𝓗:∇²f − T·∇f."""
        parts = [
            multiply(H[a][b], along(along(f, a, n + 1), b, n), n) for a in range(2) for b in range(2)
        ] + [times(multiply(T[a], along(f, a, n), n), -1) for a in range(2)]
        return add(*parts)

    DT = [add(times(generator(T[a], 1), -0.5), second(S[a], 1)) for a in range(2)]
    # by definition: ∂_ΛS = −½∇(Δφ + |∇φ|²), and T = ΔS + S·∇S differentiated
    rate = add(laplacian(phi_from(phi), 4), *(multiply(S[a], S[a], 4) for a in range(2)))
    S_dot = [times(along(rate, a, 3), -0.5) for a in range(2)]
    plain = []
    for a in range(2):
        pieces = [laplacian(S_dot[a], 0)]
        for b in range(2):
            pieces += [
                multiply(S_dot[b], along(S[a], b, 0), 0),
                multiply(S[b], along(S_dot[a], b, 0), 0),
                times(multiply(S[b], along(T[a], b, 0), 0), 0.5),
            ]
        plain.append(add(*pieces)[0, 0])

    def gradient(f: list[Jet]) -> Matrix:
        return [[along(f[a], b, 0)[0, 0] for b in range(2)] for a in range(2)]

    return Fields(
        [[H[a][b][0, 0] for b in range(2)] for a in range(2)],
        [T[a][0, 0] for a in range(2)],
        gradient(T),
        [DT[a][0, 0] for a in range(2)],
        plain,
        gradient(DT),
    )


def phi_from(phi: Jet) -> Jet:
    """φ with its value put to 0: only derivatives of it are used."""
    return phi | {(0, 0): phi[1, 0] * 0}


def product(A: Matrix, B: Matrix) -> Matrix:
    return [[A[i][0] * B[0][j] + A[i][1] * B[1][j] for j in range(2)] for i in range(2)]


def combine(A: Matrix, B: Matrix, a: Any = 1, b: Any = 1) -> Matrix:
    return [[A[i][j] * a + B[i][j] * b for j in range(2)] for i in range(2)]


def inner(A: Matrix, B: Matrix) -> Any:
    return sum(A[i][j] * B[i][j] for i in range(2) for j in range(2))


def integrands(f: Fields) -> dict[str, Any]:
    """What Lemma 5 takes expectations of, at the points; D of a product by the product rule."""
    H2 = product(f.H, f.H)
    H3 = product(H2, f.H)
    DH = combine(f.grad_T, H2, 0.5, 0.5)
    D_H2 = combine(product(DH, f.H), product(f.H, DH))
    DDH = combine(combine(f.grad_DT, product(f.grad_T, f.H), 1, 0.5), D_H2, 0.5, 0.5)  # D∇T = ∇DT + ½∇T 𝓗
    commutator = combine(product(f.H, DH), product(DH, f.H), 1, -1)
    return {
        "mass": f.T[0] * 0 + 1,
        "t2": inner(f.H, f.H),
        "t3": inner(H2, f.H),
        "t4": inner(H2, H2),
        "t5": inner(H2, H3),
        "N": f.T[0] * f.T[0] + f.T[1] * f.T[1],
        "|DT|²": f.DT[0] * f.DT[0] + f.DT[1] * f.DT[1],
        "D t2": inner(DH, f.H) * 2,
        "D t3": inner(DH, H2) * 3,
        "D N": (f.T[0] * f.DT[0] + f.T[1] * f.DT[1]) * 2,
        "|DH|²": inner(DH, DH),
        "<DH,H²>": inner(DH, H2),
        "<DH,H³>": inner(DH, H3),
        "<DH,H DH>": inner(DH, product(f.H, DH)),
        # D of 4|D𝓗|² + 4⟨D𝓗,𝓗²⟩ − tr𝓗⁴, whose mean is −F′
        "D(-F')": inner(DDH, DH) * 8 + inner(DDH, H2) * 4 + inner(DH, D_H2) * 4 - inner(DH, H3) * 4,
        "commutator²": inner(commutator, commutator),
        "asymmetry²": (f.grad_T[0][1] - f.grad_T[1][0]) * (f.grad_T[0][1] - f.grad_T[1][0]),
        "DT off²": sum((a - b) * (a - b) for a, b in zip(f.DT, f.DT_plain, strict=True)),
    }
