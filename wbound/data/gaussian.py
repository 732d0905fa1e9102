"""Gaussian data laws, singular ones too (sections 2 and 3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from wbound.calculus.suprema import Supremum
from wbound.data.curvature import StronglyLogConcave
from wbound.data.score_regularity import score_rate
from wbound.errors import BadInput, HypothesisFailed, positive
from wbound.forward.forward_process import Process
from wbound.typing import Array

__all__ = ["Gaussian"]


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

    @cached_property
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

    @cached_property
    def m0(self) -> float:  # type: ignore[override]
        """1/(largest variance)."""
        self._regular()
        return 1.0 / self._ends[1]

    @cached_property
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
