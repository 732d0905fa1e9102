"""What a bound may know of the data law p_0: `Curvature`, and the facts of A1 (sections 2 and 11)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from wbound.calculus.stable import growth, logistic, sinh_minus, softplus
from wbound.calculus.suprema import Supremum
from wbound.errors import BadInput, HypothesisFailed, count, nonnegative, positive
from wbound.forward.forward_process import Process
from wbound.memory import dimension
from wbound.score_rate import score_rate
from wbound.typing import Array

__all__ = ["Curvature", "Gaussian", "LogConcave", "StronglyLogConcave"]


#: Facts typed in decimals may miss an inequality of A1 such as E|X_0|² ≥ d/L_0 by this, of E|X_0|².
ROUNDING = 1e-9
#: Where m_0 = L_0 the facts say E|X_0|² twice, as itself and as d/m_0 + |E X_0|²: as far as that they must agree.
AGREE = 1e-13
#: E|X_0|² and d/m_0 that differ by less are the same double but for rounding: then an unknown mean is 0.
EQUAL = 8.0 * float(np.finfo(float).eps)


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
    """The profile of Lemma 1: m(λ) = m_0/(1+m_0λ), L(λ) = L_0/(1+L_0λ), from ``m0`` and ``L0`` (1/x²)."""

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


@dataclass(frozen=True)
class LogConcave(StronglyLogConcave):
    """Facts of a law p_0 ∝ e^{−U} with m_0 I ⪯ ∇²U ⪯ L_0 I (A1), all that a bound may know.

    d: dimension; m0, L0: curvatures in 1/x²; second_moment: E|X_0|² in x²; mean_norm: |E X_0| in x if it
    is known (0 for centred data), else None. Raises `BadInput` for values out of range and
    `HypothesisFailed` (A1) when the moments do not fit: d/L_0 ≤ E|X_0 − E X_0|² ≤ d/m_0 (section 2).
    """

    d: int
    m0: float
    L0: float
    second_moment: float
    mean_norm: float | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "d", count("d", self.d))
        put(self, "m0", positive("m0", self.m0))
        put(self, "L0", positive("L0", self.L0))
        put(self, "second_moment", positive("second_moment", self.second_moment))
        if self.mean_norm is not None:
            put(self, "mean_norm", nonnegative("mean_norm", self.mean_norm))
        if self.m0 > self.L0:
            raise BadInput("m0", self.m0, f"must be at most L0 = {self.L0:g}")
        least, most = self.d / self.L0, self.d / self.m0
        variance = self.second_moment - (self.mean_norm or 0.0) ** 2
        slack = ROUNDING * self.second_moment
        if variance < least - slack or (self.mean_norm is not None and variance > most + slack):
            raise HypothesisFailed(
                "A1",
                "d/L0 <= E|X0 - E X0|^2 <= d/m0",
                f"second_moment = {self.second_moment:g} with mean_norm = {self.mean_norm} leaves a variance "
                f"of {variance:g}, outside [{least:g}, {most:g}] for d = {self.d}, m0 = {self.m0:g}, "
                f"L0 = {self.L0:g}",
            )

    def M1(self, process: Process, T: float) -> float:
        """A2's constant on [0, T] where the facts leave one law (m_0 = L_0: `Gaussian.M1`), in 1/(x² time).

        Raises `BadInput` where they do not: then M1 must be given as a number.
        """
        law = self.gaussian()
        if law is None:
            raise BadInput(
                "M1", "exact", "is known for Gaussian data (m0 = L0) only: give A2's constant as a number"
            )
        return law.M1(process, T)

    def gaussian(self) -> Gaussian | None:
        """The law itself when m_0 = L_0: then p_0 = N(μ, I/m_0), and |μ| is ``mean_norm``, or where that is not known
        what E|X_0|² − d/m_0 = |μ|² says (0 where the two are equal up to the rounding of doubles); else None.

        Raises `HypothesisFailed` where the facts are of no Gaussian: E|X_0|² is not d/m_0 + |μ|² (to `AGREE`).
        """
        if self.m0 != self.L0:
            return None
        # exactly: the difference may be all that is known of the mean
        left, known = Fraction(self.second_moment) - self.d / Fraction(self.m0), self.mean_norm is not None
        off = abs(left - Fraction(self.mean_norm or 0.0) ** 2)
        if off > AGREE * self.second_moment and (known or left < 0):
            raise self._contradiction()
        mean = np.zeros(dimension(self.d))
        if known:
            mean[0] = self.mean_norm
        elif left > EQUAL * self.second_moment:
            mean[0] = math.sqrt(left)
        return Gaussian(mean, 1.0 / self.m0)

    def _contradiction(self) -> HypothesisFailed:
        noise, mean = self.d / self.m0, self.mean_norm
        rest = " makes it at least" if mean is None else f" and mean_norm = {mean!r} make it"
        return HypothesisFailed(
            "the Gaussian law",
            "E|X0|^2 = d/m0 + |E X0|^2",
            f"second_moment = {self.second_moment!r}, but d/m0 = {noise!r}{rest} {noise + (mean or 0.0) ** 2!r}",
        )


@dataclass(frozen=True, eq=False)
class Gaussian(StronglyLogConcave):
    """N(mean, cov): mean (d,) in x; cov (d, d), or (d,) variances, or one variance, in x².

    Singular covariances are laws too: exact laws take them, bounds refuse them (A1 needs a density).
    Raises `BadInput` for wrong shapes, non-finite values, asymmetry, negative eigenvalues.
    """

    mean: Any
    cov: Any

    def __post_init__(self) -> None:
        mean = np.atleast_1d(np.asarray(self.mean, float))
        cov = np.asarray(self.cov, float)
        if mean.ndim != 1 or not mean.size or not np.isfinite(mean).all():
            raise BadInput("mean", self.mean, "must be a finite vector (d,), d >= 1")
        if cov.shape not in ((), (mean.size,), (mean.size, mean.size)) or not np.isfinite(cov).all():
            raise BadInput(
                "cov",
                f"shape {cov.shape}",
                f"must be finite, of shape (), ({mean.size},) or ({mean.size}, {mean.size})",
            )
        if cov.ndim == 2 and not np.allclose(cov, cov.T, rtol=1e-8, atol=1e-10 * float(np.abs(cov).max())):
            raise BadInput("cov", "an asymmetric matrix", "must be symmetric")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "cov", cov)
        if float(self.eigenvalues.min()) < 0.0:
            raise BadInput(
                "cov", f"eigenvalue {float(self.eigenvalues.min()):g}", "must be positive semi-definite"
            )

    @cached_property
    def _eigen(self) -> tuple[Array, Array, Array | None]:
        d = self.mean.size
        if self.cov.ndim < 2:
            values = np.broadcast_to(self.cov, (d,)).astype(float)
            return values, self.mean, None
        values, vectors = np.linalg.eigh(0.5 * (self.cov + self.cov.T))
        # eigh's own rounding may leave −1e-16 of the largest: that is a zero
        tiny = d * np.finfo(float).eps * max(float(values.max()), 0.0)
        values = np.where(np.abs(values) <= tiny, 0.0, values)
        return values, self.mean @ vectors, vectors

    @property
    def eigenvalues(self) -> Array:
        """Variances (d,) along the principal axes, in x²."""
        return self._eigen[0]

    @property
    def coordinates(self) -> Array:
        """The mean (d,) in the principal axes, in x."""
        return self._eigen[1]

    @property
    def vectors(self) -> Array | None:
        """Principal axes (d, d) as columns; None when they are the coordinate axes."""
        return self._eigen[2]

    @property
    def d(self) -> int:  # type: ignore[override]
        return int(self.mean.size)

    @cached_property
    def second_moment(self) -> float:  # type: ignore[override]
        return float(self.mean @ self.mean + self.eigenvalues.sum())

    @property
    def mean_norm(self) -> float | None:  # type: ignore[override]
        return float(np.linalg.norm(self.mean))

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The smallest and the largest variance."""
        return float(self.eigenvalues.min()), float(self.eigenvalues.max())

    def _regular(self) -> None:
        if self._ends[0] <= 0.0:
            zeros = int((self.eigenvalues <= 0.0).sum())
            raise HypothesisFailed(
                "the bound", "A1", f"the covariance is singular ({zeros} zero eigenvalues): L0 is infinite"
            )

    @property
    def m0(self) -> float:  # type: ignore[override]
        """1/(largest variance)."""
        self._regular()
        return 1.0 / self._ends[1]

    @property
    def L0(self) -> float:  # type: ignore[override]
        """1/(smallest variance)."""
        self._regular()
        return 1.0 / self._ends[0]

    def M1(self, process: Process, T: float, rtol: float = 1e-6) -> float:
        """A2's constant on [0, T], exact up to ``rtol`` upward (section 2), in 1/(x² time)."""
        return self.score_rate(process, T, rtol).upper

    def score_rate(self, process: Process, T: float, rtol: float = 1e-6) -> Supremum:
        """`M1` with a lower bound of it to ``rtol``, and the time at which that was seen."""
        self._regular()
        unique, owner = np.unique(self.eigenvalues, return_inverse=True)
        means2 = np.bincount(owner, self.coordinates**2).astype(float)
        return score_rate(process, unique, means2, positive("T", T), rtol)
