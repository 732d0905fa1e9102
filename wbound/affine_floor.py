"""The floor of every affine sampler on Gaussian data: E_K and K(ε, κ) (section 17, Theorem 6 of docs/theory.md).

With the Grötzsch function μ(r) = (π/2) 𝐊(√(1−r²))/𝐊(r) = (π/2) agm(1, √(1−r²))/agm(1, r), E_K is the modulus with
μ(E_K) = (2K+1) π²/(2 μ(κ^{−1/2})) (Eq. 20): small values come from the nome e^{−μ}, those near 1 from the conjugate one.
"""

from __future__ import annotations

import math

from wbound.errors import BadInput, count, real

__all__ = ["affine_floor", "affine_iterations", "log_affine_floor"]

#: log E below which E is no double.
LEAST = math.log(5e-324)


def affine_floor(kappa: float, K: int) -> float:
    """E_K: the least worst-case W2/√tr Σ of an affine sampler with K evaluations over spectra in [a, b], κ = b/a.

    Implements Theorem 6, Eq. 20 (docs/theory.md, section 17): *lower* for every affine sampler with exact scores, levels
    that are not random and the data's mean known, and attained (`wbound.phase_sampler`). It is about Gaussian data.

    Args:
        kappa: b/a ≥ 1, the ratio of the largest to the smallest eigenvalue of the covariance.
        K: evaluations of the score, an integer ≥ 0 (0: the start alone, (√κ−1)/(√κ+1)).

    Returns:
        E_K, W2 (not squared) over √tr Σ; 0.0 where it is below doubles (`log_affine_floor` is not).

    Raises:
        BadInput: κ < 1 or K < 0.

    Source: Zolotarev's fourth problem; derived in section 17.
    """
    log_E = log_affine_floor(kappa, K)
    return math.exp(log_E) if log_E > LEAST else 0.0


def log_affine_floor(kappa: float, K: int) -> float:
    """log E_K of `affine_floor`, −∞ for κ = 1: any size. *lower, attained*"""
    kappa, K = _kappa(kappa), count("K", K, 0)
    if kappa == 1.0:
        return -math.inf
    return _log_modulus((2 * K + 1) * math.pi**2 / (2.0 * _groetzsch_kappa(kappa)))


def affine_iterations(eps: float, kappa: float) -> int:
    """K(ε, κ): the least K with E_K ≤ ε, so that an affine sampler with K evaluations may have W2 ≤ ε√tr Σ for every
    spectrum in [a, b], and none with fewer has.

    Implements Theorem 6 (docs/theory.md, section 17): *lower*, attained; hypotheses as `affine_floor`.

    Args:
        eps: W2/√tr Σ (not squared), > 0; from 1 on, K = 0.
        kappa: b/a ≥ 1.

    Raises:
        BadInput: κ < 1, ε ≤ 0.
    """
    kappa = _kappa(kappa)
    eps = real("eps", eps)
    if eps <= 0.0:
        raise BadInput("eps", eps, "must be a finite number > 0, W2 relative to sqrt(tr Sigma)")
    if eps >= 1.0 or kappa == 1.0:
        return 0
    of_kappa, log_eps = _groetzsch_kappa(kappa), math.log(eps)
    guess = max(math.ceil(_groetzsch(eps) * of_kappa / math.pi**2 - 0.5), 0)

    def enough(K: int) -> bool:  # near an integer E_K itself decides
        return _log_modulus((2 * K + 1) * math.pi**2 / (2.0 * of_kappa)) <= log_eps

    while not enough(guess):
        guess += 1
    while guess and enough(guess - 1):
        guess -= 1
    return guess


def _kappa(kappa: float) -> float:
    kappa = real("kappa", kappa)
    if kappa < 1.0:
        raise BadInput("kappa", kappa, "must be >= 1: the largest eigenvalue over the smallest")
    return kappa


def agm(a: float, b: float) -> float:
    """The arithmetic–geometric mean of two positive numbers."""
    while abs(a - b) > 1e-8 * a:  # the next step squares the difference: it is below rounding after one more
        a, b = 0.5 * (a + b), math.sqrt(a * b)
    return 0.5 * (a + b)


def _groetzsch(r: float) -> float:
    """μ(r), 0 < r < 1."""
    return 0.5 * math.pi * agm(1.0, math.sqrt((1.0 - r) * (1.0 + r))) / agm(1.0, r)


def _groetzsch_kappa(kappa: float) -> float:
    """μ(κ^{−1/2}), κ > 1: the complementary modulus is √((κ−1)/κ), without a difference that cancels."""
    return 0.5 * math.pi * agm(1.0, math.sqrt((kappa - 1.0) / kappa)) / agm(1.0, 1.0 / math.sqrt(kappa))


def _log_modulus(mu: float) -> float:
    """log r with μ(r) = ``mu``: r = 4Q Π ((1+Q^{4m})/(1+Q^{4m−2}))⁴, Q = e^{−mu} (theta functions θ₂²/θ₃² at Q²)."""
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
