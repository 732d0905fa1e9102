"""Theorem 7 once more, as plain as possible: a loop over the steps in mpmath, nothing from wbound's formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import referee
from scipy.integrate import quad

Number = Any


@dataclass(frozen=True)
class Facts:
    """d, m_0, L_0 and E_0 (x)."""

    d: int
    m0: float
    L0: float
    start: float = 0.0


def sinh_levels(L0: float, lam_T: float, K: int) -> Any:
    """λ_k = sinh²((K−k)h)/L_0, h = arsinh√(L_0λ(T))/K: (K+1,) decreasing values in x², the last 0."""
    lam = np.sinh(math.asinh(math.sqrt(L0 * lam_T)) / K * np.arange(K, -1, -1.0)) ** 2 / L0
    lam[0] = lam_T
    return lam


def coefficients(scheme: str, lo: Number, hi: Number) -> tuple[Number, Number, Number]:
    """c, a, b of a step from λ = hi to lo, as section 20's table says."""
    H, h = hi - lo, mp.sqrt(hi) - mp.sqrt(lo)
    karras = h * mp.sqrt(hi)
    return {
        "heun-lambda": (H / 2, H / 4, H / 4),
        "heun": (karras, karras / 2, h * mp.sqrt(lo) / 2) if lo else (hi, hi, mp.mpf(0)),
        "heun-lam": (karras, karras / 2, h * mp.sqrt(lo) / 2),
        "long": (3 * H, 3 * H / 2, 2 * H / 5 if lo else mp.mpf(0)),
        "ode-hf": (H / 2, H / 2, mp.mpf(0)),
        "ddim": (karras, karras, mp.mpf(0)),
    }[scheme]


def second_constant(theta: float, f: Facts, lam_T: float) -> float:
    """C_2 likewise, in doubles; the maximum over h ∈ [m(u), ℓ(u)] where the derivative changes its sign."""
    L, m, theta = f.L0, f.m0, float(theta)

    def integrand(u: float) -> float:
        v = 1.0 + L * u
        p, p2, p3 = (
            sum(
                math.comb(n, j) * _power(u, 2.0, j) * _power(v, theta, n - j) * L ** (n - j)
                for j in range(n + 1)
            )
            for n in (0, 2, 3)
        )
        lo, hi = m / (1.0 + m * u), L / v
        for _ in range(60):
            h = 0.5 * (lo + hi)
            lo, hi = (h, hi) if 2.0 * p3 + p2 * h - 95.0 * p * h**3 > 0.0 else (lo, h)
        return p3 * hi**2 + p2 * hi**3 / 3.0 - 19.0 * p * hi**5

    ends = [float(x) for x in pieces(0, lam_T, mp.mpf(L))]
    total = sum(
        quad(integrand, a, b, epsrel=1e-10, limit=200)[0] for a, b in zip(ends[:-1], ends[1:], strict=True)
    )
    return f.d / 16.0 * (2.0 * L**2 + total)


def _power(x: float, exponent: float, times: int) -> float:
    """The derivative of x^exponent, so often."""
    factor = math.prod(exponent - j for j in range(times))
    return factor * x ** (exponent - times) if factor else 0.0


def pieces(lo: Number, hi: Number, L: Number) -> list[Number]:
    """Ends of panels that double, in v."""
    ends, at = [mp.mpf(lo)], mp.mpf(lo)
    while (at := 2 * at + 1 / L) < hi:
        ends.append(at)
    return [*ends, mp.mpf(hi)]


def parts(
    scheme: str, levels: Sequence[float], f: Facts, thetas: tuple[float, float], M: float = 0.0
) -> tuple[float, float, float]:
    """Eq. 21's initialisation, discretisation and score part for λ_0 > … > λ_K and α = 1."""
    L, m, d = mp.mpf(f.L0), mp.mpf(f.m0), f.d
    one, two = (mp.mpf(t) for t in thetas)
    lam = [mp.mpf(x) for x in levels]

    def far(h: Number, x: Number) -> Number:
        return max(abs(1 - h * c / (1 + c * x)) for c in (m, L))

    P, drift, score, first, second = mp.mpf(1), mp.mpf(0), mp.mpf(0), mp.mpf(0), mp.mpf(0)
    for hi, lo in reversed(list(zip(lam[:-1], lam[1:], strict=True))):
        c, a, b = coefficients(scheme, lo, hi)
        H, low, top = hi - lo, m / (1 + m * lo), L / (1 + L * lo)
        drift += P * (abs(H / 2 - a - b) + b * top * abs(H / 2 - c)) * mp.sqrt(d * L / (1 + L * hi))
        score += P * (max(abs(a - b * c * h) for h in (low, top)) + b) * M

        def G(u: Number, lo: Number = lo, b: Number = b, H: Number = H, top: Number = top) -> Number:
            return abs(H / 4 - b) + b * top * (u - lo) / 2 if b else (u - lo) / 2

        first += P**2 * mp.quad(lambda u, G=G: G(u) ** 2 * (1 + L * u) ** -one, pieces(lo, hi, L))
        if b:
            second += P**2 * mp.quad(
                lambda u, lo=lo, hi=hi: ((u - lo) * (hi - u) / u) ** 2 / 16 * (1 + L * u) ** -two if u else 0,
                [lo, *(lo + (hi - lo) * mp.mpf(4) ** -j for j in range(12, 0, -1)), hi],
            )
        P *= (1 + far(c, hi) * far(2 * b, lo)) / 2 if b else far(a, hi)
    curved = (
        mp.sqrt(
            referee.decay_constant(float(thetas[0]), referee.Facts(d, f.m0, f.L0, d / f.L0), lam[0]) * first
        )
        / 2
    )
    if second:
        curved += mp.sqrt(second_constant(thetas[1], f, float(lam[0])) * second)
    return float(P * f.start), float(drift + curved), float(score)
