"""What every bound needs of the data law: its curvature at every noise level (section 2, Lemma 1), and its moments."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from wbound.calculus.stable import growth, logistic, sinh_minus, softplus
from wbound.typing import Array

__all__ = ["Curvature", "StronglyLogConcave"]


class Curvature(ABC):
    """Two-sided curvature of the smoothed law along the clock: m(λ) I ⪯ −∇²log q_λ ⪯ L(λ) I (A1, A1′).

    Arguments are log λ, arrays of one shape; values are in units of 1/x², or without unit where a
    factor λ is included. Subclasses provide ``d``; ``second_moment``, E|X_0|²; ``mean_norm``, |E X_0| if
    known; ``normaliser``, any c > 0 in 1/x² (recursions are carried in units of α(1 + cλ), which stay
    tame); and ``A1``: (m_0, L_0) where p_0 is strongly log-concave with Lipschitz score, else None.
    """

    d: int
    second_moment: float
    mean_norm: float | None
    normaliser: float
    A1: tuple[float, float] | None
    #: whether hf contracts by exactly 1 in units of α(1 + cλ), so that Eq. 9 telescopes
    telescopes: bool = False
    #: log λ where m or L has a kink, or max(m², L²)
    kinks: tuple[float, ...] = ()
    #: where the profile begins: λ_K = delta > 0 for data that a sampler must stop early on, in x²
    delta: float = 0.0

    def check(self, log_lam_lo: float, log_lam_hi: float) -> None:
        """Raise `BadInput` or `HypothesisFailed` where this is no profile on [λ_lo, λ_hi] (A1′)."""
        return None

    def log_contraction(self, log_lam: float) -> float:
        """log of what the exact reverse SDE leaves of a distance between λ and 0 (or delta): −∫ m."""
        return -float(softplus(np.array(math.log(self.normaliser) + log_lam)))

    @abstractmethod
    def lam_m(self, log_lam: Array) -> Array:
        """λ m(λ), no unit."""
        ...

    @abstractmethod
    def lam_L(self, log_lam: Array) -> Array:
        """λ L(λ) ≤ 1, no unit."""
        ...

    def drift_L(self, log_lam: Array) -> Array:
        """1 − L(λ)(1 + cλ)/c ≤ 0, c the normaliser: what hf's step loses or gains at curvature L. No unit."""
        return np.asarray(1.0 - self.lam_L(log_lam) / logistic(math.log(self.normaliser) + log_lam))

    @abstractmethod
    def log_psi(self, log_lam0: Array, log_lam1: Array, ratio: Array) -> Array:
        """log ∫_{λ_0}^{λ_1} (u − λ_0)² max(m², L²) du, with ratio = λ_1/λ_0 − 1 (+∞ at λ_0 = 0)."""
        ...

    @abstractmethod
    def excess(self, log_lam: Array) -> Array:
        """E|X_0|² + dλ − d/L(λ) ≥ 0 (Cramér–Rao), in x²."""
        ...

    @abstractmethod
    def start_error(self, log_lam: float) -> float:
        """E_0: a bound of W2(q_λ, N(0, λI)) at λ = λ(T), in x (W2, not squared)."""
        ...

    def m(self, log_lam: ArrayLike) -> Array:
        """m(λ), in 1/x²; λ > 0."""
        at = np.asarray(log_lam, float)
        return self.lam_m(at) * np.exp(-at)

    def L(self, log_lam: ArrayLike) -> Array:
        """L(λ), in 1/x²; λ > 0."""
        at = np.asarray(log_lam, float)
        return self.lam_L(at) * np.exp(-at)

    def psi(self, log_lam0: ArrayLike, log_lam1: ArrayLike) -> Array:
        """Ψ(λ_0, λ_1) (Theorem 2, Theorem 2′), in x²."""
        low, high = np.asarray(log_lam0, float), np.asarray(log_lam1, float)
        with np.errstate(over="ignore", invalid="ignore"):  # far apart, or λ_0 = 0: ratio = ∞ is meant
            ratio = np.where(np.isneginf(low), np.inf, np.expm1(high - low))
        return np.exp(self.log_psi(np.atleast_1d(low), np.atleast_1d(high), np.atleast_1d(ratio))).reshape(
            low.shape
        )


class StronglyLogConcave(Curvature):
    """The profile of Lemma 1: m(λ) = m_0/(1+m_0λ), L(λ) = L_0/(1+L_0λ), from ``m0`` and ``L0`` (1/x²).

    The two inequalities of Lemma 1, Brascamp–Lieb below and Cramér–Rao above: Chewi & Pooladian, arXiv 2203.04954
    (docs/theory.md, section 13).
    """

    m0: float
    L0: float
    telescopes = True

    @property
    def normaliser(self) -> float:  # type: ignore[override]
        """m_0: then the steps of hf contract by exactly 1."""
        return self.m0

    @property
    def A1(self) -> tuple[float, float] | None:  # type: ignore[override]
        """(m_0, L_0)."""
        return self.m0, self.L0

    def m(self, log_lam: ArrayLike) -> Array:
        """m_0/(1 + m_0λ), in 1/x²."""
        return np.asarray(self.m0 * logistic(-math.log(self.m0) - np.asarray(log_lam, float)))

    def L(self, log_lam: ArrayLike) -> Array:
        """L_0/(1 + L_0λ), in 1/x²."""
        return np.asarray(self.L0 * logistic(-math.log(self.L0) - np.asarray(log_lam, float)))

    def lam_m(self, log_lam: Array) -> Array:
        """m_0λ/(1 + m_0λ)."""
        return np.asarray(logistic(math.log(self.m0) + log_lam))

    def lam_L(self, log_lam: Array) -> Array:
        """L_0λ/(1 + L_0λ)."""
        return np.asarray(logistic(math.log(self.L0) + log_lam))

    def drift_L(self, log_lam: Array) -> Array:
        """(1 − L_0/m_0)/(1 + L_0λ): as a difference it has no digit left where L_0λ is above 1e16."""
        return np.asarray((1.0 - self.L0 / self.m0) * logistic(-math.log(self.L0) - log_lam))

    def log_psi(self, log_lam0: Array, log_lam1: Array, ratio: Array) -> Array:
        """log of Ψ = (2 v_0/L_0)(sinh y − y), y = log((1+L_0λ_1)/(1+L_0λ_0)), v_0 = 1+L_0λ_0."""
        log_L = math.log(self.L0)
        y = growth(self.L0, log_lam0, log_lam1, ratio)
        far = y > 50.0  # there 2(sinh y − y) = e^y to double precision
        with np.errstate(divide="ignore"):  # a step so small that y³ underflows: Ψ = 0 is right
            if far.any():
                last = np.where(far, y, np.log(2.0 * sinh_minus(np.minimum(y, 50.0))))
            else:
                last = np.log(2.0 * sinh_minus(y))
        last += softplus(log_L + log_lam0)
        last -= log_L
        return last

    def psi_between(self, lam0: Array, H: Array) -> Array:
        """Ψ(λ_0, λ_0 + H) in λ itself: the fast twin of `log_psi` where L_0λ is far from the ends of doubles."""
        v0 = self.L0 * lam0
        v0 += 1.0
        z = H / v0
        z *= self.L0
        psi = sinh_minus(np.log1p(z, out=z))
        psi *= v0
        psi *= 2.0 / self.L0
        return psi

    def excess(self, log_lam: Array) -> Array:
        """E|X_0|² − d/L_0: at λ, dλ − d/L(λ) = −d/L_0."""
        return np.full_like(log_lam, max(self.second_moment - self.d / self.L0, 0.0))

    def start_error(self, log_lam: float) -> float:
        """‖X_0‖, or Eq. 8 where the mean is known, m_0λ > 1 and it is smaller."""
        trivial = math.sqrt(self.second_moment)
        u = math.log(self.m0) + log_lam
        if (
            self.mean_norm is None or u <= 1e-15
        ):  # so near 1 that 1 − (m0λ)^{−2} is 0 in doubles: Eq. 8 is infinite
            return trivial
        # −dλ log1p(−(m0λ)^{−2}); for large m0λ the logarithm is −(m0λ)^{−2} to double precision
        if u > 20.0:
            centred = self.d / self.m0 * math.exp(-u)
        else:
            centred = -self.d * math.exp(log_lam) * math.log1p(-math.exp(-2.0 * u))
        return min(trivial, math.sqrt(self.mean_norm**2 + centred))
