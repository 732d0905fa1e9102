"""The floor of every affine sampler on Gaussian data: E_K and K(ε, κ) (section 17, Theorem 6 of docs/theory.md).

With the Grötzsch function μ(r) = (π/2) 𝐊(√(1−r²))/𝐊(r) = (π/2) agm(1, √(1−r²))/agm(1, r), E_K is the modulus with
μ(E_K) = (2K+1) π²/(2 μ(κ^{−1/2})) (Eq. 20): small values come from the nome e^{−μ}, those near 1 from the conjugate one.
"""

from __future__ import annotations

import math

from wbound.calculus.elliptic import groetzsch, groetzsch_root, log_modulus
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
    return log_modulus((2 * K + 1) * math.pi**2 / (2.0 * groetzsch_root(kappa)))


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
    of_kappa, log_eps = groetzsch_root(kappa), math.log(eps)
    guess = max(math.ceil(groetzsch(eps) * of_kappa / math.pi**2 - 0.5), 0)

    def enough(K: int) -> bool:  # near an integer E_K itself decides
        return log_modulus((2 * K + 1) * math.pi**2 / (2.0 * of_kappa)) <= log_eps

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
