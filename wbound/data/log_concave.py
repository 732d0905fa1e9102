"""What a bound may know of the data law p_0: `Curvature`, and the facts of A1 (sections 2 and 11)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from wbound.data.curvature import StronglyLogConcave
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, HypothesisFailed, count, nonnegative, positive
from wbound.forward.forward_process import Process
from wbound.memory import dimension

__all__ = ["LogConcave", "gaussian_data"]


#: Facts typed in decimals may miss an inequality of A1 such as E|X_0|² ≥ d/L_0 by this, of E|X_0|².
ROUNDING = 1e-9
#: Where m_0 = L_0 the facts say E|X_0|² twice, as itself and as d/m_0 + |E X_0|²: as far as that they must agree.
AGREE = 1e-13
#: E|X_0|² and d/m_0 that differ by less are the same double but for rounding: then an unknown mean is 0.
EQUAL = 8.0 * float(np.finfo(float).eps)


@dataclass(frozen=True)
class LogConcave(StronglyLogConcave):
    """Facts of a law p_0 ∝ e^{−U} with m_0 I ⪯ ∇²U ⪯ L_0 I (A1), all that a bound may know.

    d: dimension; m0, L0: curvatures in 1/x²; second_moment: E|X_0|² in x²; mean_norm: |E X_0| in x if it
    is known (0 for centred data), else None. Raises `BadInput` for values out of range and
    `HypothesisFailed` (A1) when the moments do not fit: d/L_0 ≤ E|X_0 − E X_0|² ≤ d/m_0 (section 2). Lemma 1, whose
    two inequalities are those of Chewi & Pooladian (arXiv 2203.04954), gives the curvature at every λ.
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


def gaussian_data(data: Any) -> Gaussian:
    """``data`` as a Gaussian: itself, or the law that facts with m_0 = L_0 leave no choice about. Raises
    `HypothesisFailed` where they do not, or contradict each other (`LogConcave.gaussian`)."""
    if isinstance(data, Gaussian):
        return data
    try:
        law_ = data.gaussian() if isinstance(data, LogConcave) else None
    except BadInput as error:
        raise HypothesisFailed("the exact law", "a dimension that fits into memory", str(error)) from None
    except HypothesisFailed as failed:
        raise HypothesisFailed("the exact law", failed.hypothesis, failed.detail) from None
    if law_ is None:
        raise HypothesisFailed("the exact law", "Gaussian data", "p_0 is not known to be Gaussian (m0 = L0)")
    return law_
