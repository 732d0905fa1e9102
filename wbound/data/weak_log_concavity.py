"""Curvature profiles of data that become log-concave under the flow: weakly log-concave ones, and log-Lipschitz perturbations
of strongly log-concave ones (section 11 of docs/theory.md)."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfcx

from wbound.data.beyond_log_concave import CurvatureProfile
from wbound.errors import HypothesisFailed, positive
from wbound.typing import Array

__all__ = ["lipschitz_perturbation", "log_concave_from", "weakly_log_concave"]


def _upper(alpha: float, L0: float | None) -> str:
    """L(λ) in text: L_0/(1 + L_0λ), or 1/λ where no L_0 is known."""
    if L0 is None:
        return "1/lam"
    if positive("L0", L0) < alpha:
        detail = f"L0 = {L0:g} is below alpha = {alpha:g}, which the Hessian is at least far away"
        raise HypothesisFailed("Theorem 2'", "alpha <= L0", detail)
    return f"{float(L0)!r}/(1+{float(L0)!r}*lam)"


def weakly_log_concave(
    alpha: float,
    M: float,
    d: int,
    second_moment: float,
    mean_norm: float | None = None,
    L0: float | None = None,
) -> CurvatureProfile:
    """The profile of weakly log-concave data: m = α/(1+αλ) − M/(1+αλ)², L = L_0/(1+L_0λ), or 1/λ without L_0.

    Implements section 11 of docs/theory.md: *exact* for the symmetric mixture (α = 1/s², M = |c|²/s⁴, L_0 = α), else m a *lower*
    and L an *upper* bound of the curvature. Hypothesis, the user's word: p_0 ∝ e^{−U} with
    ⟨∇U(x) − ∇U(y), x − y⟩ ≥ αr² − r f_M(r), r = |x − y|, f_M(r) = 2√M tanh(½√M r), and ∇²U ⪯ L_0 I where L_0 is given.

    alpha, M > 0 and L0 ≥ alpha in 1/x²; d: dimension; second_moment: E|X_0|² in x²; mean_norm: |E X_0| in x or None. Raises
    `BadInput`, and `HypothesisFailed` where the numbers contradict each other (the moments: when a bound is asked for).
    Source: the class and its constants under Ornstein–Uhlenbeck: Gentiloni-Silveri & Ocello (arXiv 2501.02298), for other
    processes Kremling et al. (arXiv 2510.17608), read as abstracts; derived again in docs/theory.md, in the clock.
    """
    values = {"alpha": positive("alpha", alpha), "M": positive("M", M)}
    m = "alpha/(1+alpha*lam) - M/(1+alpha*lam)**2"
    return CurvatureProfile(m, _upper(values["alpha"], L0), d, second_moment, mean_norm, values)


def lipschitz_perturbation(
    alpha: float,
    beta: float,
    d: int,
    second_moment: float,
    mean_norm: float | None = None,
    L0: float | None = None,
) -> CurvatureProfile:
    """The profile of a log-Lipschitz perturbation of strongly log-concave data: p_0 ∝ e^{−U−H}, U α-convex, H β-Lipschitz.

    Implements section 11 of docs/theory.md: with b = β√(λ/(1+αλ)) and h = φ/Φ of the standard normal,
    m = α/(1+αλ) − β²/(1+αλ)² − β h(b)/(√λ (1+αλ)^{3/2}): *exact* for the density ∝ exp(−αx²/2 + β|x|) on the line, else a *lower*
    bound of the curvature; L = L_0/(1+L_0λ) where ∇²(U+H) ⪯ L_0 I (L0 ≥ alpha), or 1/λ. m is about −β√(2/π)/√λ near λ = 0.

    alpha in 1/x², beta in 1/x, both > 0; the rest, and what is raised, as `weakly_log_concave`. The hypothesis is the user's
    word.
    Source: the class: Brigati & Pedrotti (arXiv 2404.15205), read as an abstract; this m is derived in docs/theory.md.
    """
    a, b = positive("alpha", alpha), positive("beta", beta)

    def m(lam: Array) -> Array:
        v = 1.0 + a * np.asarray(lam)
        at = b * np.sqrt(lam / v)
        # φ(b)/Φ(b) = √(2/π)/erfcx(−b/√2)
        ratio = math.sqrt(2.0 / math.pi) / erfcx(-at / math.sqrt(2.0))
        return np.asarray(a / v - (b / v) ** 2 - b * ratio / (np.sqrt(lam) * v**1.5))

    return CurvatureProfile(m, _upper(a, L0), d, second_moment, mean_norm)


def log_concave_from(alpha: float, M: float) -> float:
    """λ from which weakly log-concave data are log-concave under the flow: max(0, (M − α)/α²), in x².

    Of `weakly_log_concave`: m ≥ 0 where 1 + αλ ≥ M/α. *upper*: the law may be log-concave earlier. Raises `BadInput`.
    """
    a = positive("alpha", alpha)
    return max(0.0, (positive("M", M) - a) / a**2)
