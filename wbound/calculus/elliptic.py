"""Jacobi's elliptic functions and the Grötzsch function at moduli however near to 0 or 1 (for section 17 of docs/theory.md).

A modulus r is given by itself, and its complement √(1 − r²) never by a difference that cancels. μ(r) =
(π/2) 𝐊(√(1−r²))/𝐊(r) = (π/2) agm(1, √(1−r²))/agm(1, r); r² = θ₂⁴/θ₃⁴ at the nome e^{−2μ(r)} (DLMF 22.2.2, 20.2).
"""

from __future__ import annotations

import math

import numpy as np

from wbound.typing import Array

__all__ = ["agm", "groetzsch", "groetzsch_root", "jacobi_dn", "jacobi_sc", "log_modulus"]

#: Terms of a theta series: at the nomes met, at most e^{−π}, the next is below 1e-40.
TERMS = 6


def agm(a: float, b: float) -> float:
    """The arithmetic–geometric mean of two positive numbers."""
    while abs(a - b) > 1e-8 * a:  # the next step squares the difference: it is below rounding after one more
        a, b = 0.5 * (a + b), math.sqrt(a * b)
    return 0.5 * (a + b)


def groetzsch(r: float) -> float:
    """μ(r), 0 < r < 1: decreasing from ∞ to 0."""
    return 0.5 * math.pi * agm(1.0, math.sqrt((1.0 - r) * (1.0 + r))) / agm(1.0, r)


def groetzsch_root(kappa: float) -> float:
    """μ(κ^{−1/2}), κ > 1: the complementary modulus is √((κ−1)/κ), without a difference that cancels."""
    return 0.5 * math.pi * agm(1.0, math.sqrt((kappa - 1.0) / kappa)) / agm(1.0, 1.0 / math.sqrt(kappa))


def log_modulus(mu: float) -> float:
    """log r with μ(r) = ``mu``: r = 4Q Π ((1+Q^{4m})/(1+Q^{4m−2}))⁴, Q = e^{−mu} (θ₂²/θ₃² at Q²; DLMF 20.5)."""
    if mu >= 0.5 * math.pi:
        return _log_small_modulus(mu)
    # μ(r) μ(√(1−r²)) = π²/4
    conjugate = math.exp(_log_small_modulus(math.pi**2 / (4.0 * mu)))
    return 0.5 * math.log1p(-(conjugate**2))


def _log_small_modulus(mu: float) -> float:
    Q2 = math.exp(-2.0 * mu)
    log_r, even, odd = math.log(4.0) - mu, Q2 * Q2, Q2
    while odd > 1e-18:
        log_r += 4.0 * (math.log1p(even) - math.log1p(odd))
        even, odd = even * Q2 * Q2, odd * Q2 * Q2
    return log_r


def jacobi_sc(part: Array, ell: float) -> Array:
    """sc(part·𝐊) (any shape), 0 < part < 1, of the modulus √(1 − ell²), 0 < ell ≤ 1."""
    early = part <= 0.5
    near = _near(np.where(early, part, 1.0 - part), ell)[0]
    return np.where(early, near, 1.0 / (ell * near))  # sc(𝐊 − u) = 1/(ell sc(u))


def jacobi_dn(part: Array, ell: float) -> Array:
    """dn(part·𝐊) (any shape), 0 < part < 1, of the modulus √(1 − ell²), 0 < ell ≤ 1."""
    early = part <= 0.5
    dn = _near(np.where(early, part, 1.0 - part), ell)[1]
    return np.where(early, dn, ell / dn)  # dn(𝐊 − u) = ell/dn(u)


def _near(part: Array, ell: float) -> tuple[Array, Array]:
    """(sc, dn) at part·𝐊, 0 < part ≤ ½, as √ell's and theta functions' quotients (DLMF 22.2): of the modulus' own nome;
    where that is near 1, of its complement ell at an imaginary argument (DLMF 22.6.1: sc(u) = sn(iu; ell)/i)."""
    if ell == 1.0:  # modulus 0
        return np.tan(0.5 * math.pi * part), np.ones_like(part)
    mu = groetzsch(ell)
    real = mu < 0.5 * math.pi
    z, log_q = (0.5 * math.pi * part, -0.5 * math.pi**2 / mu) if real else (mu * part, -2.0 * mu)
    sine, cosine = (np.sin, np.cos) if real else (np.sinh, np.cosh)
    one, two, three, four = np.zeros_like(z), np.zeros_like(z), np.ones_like(z), np.ones_like(z)
    for n in range(TERMS if log_q > -20.0 else 2):  # sinh of more would overflow where it is not needed
        sign, half, whole = (-1.0) ** n, math.exp(log_q * (n + 0.5) ** 2), math.exp(log_q * n**2)
        one += 2.0 * sign * half * sine((2 * n + 1) * z)
        two += 2.0 * half * cosine((2 * n + 1) * z)
        if n:
            three += 2.0 * whole * cosine(2 * n * z)
            four += 2.0 * sign * whole * cosine(2 * n * z)
    root = math.sqrt(ell)
    below = (two, four) if real else (four, two)  # an imaginary argument exchanges θ₂ and θ₄
    return one / (root * below[0]), root * three / below[1]
