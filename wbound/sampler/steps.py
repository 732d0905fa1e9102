"""Steps of a sampler between its times, as arrays, or as a grid's formula at any step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wbound.forward.forward_process import Along, Process
from wbound.forward.step_integrals import Increments, StationarySteps
from wbound.typing import Array

__all__ = ["Batch", "GridBatch", "batch"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Steps [t_lo, t_hi] of forward time, arrays (N,): what a local term of a bound may look at.

    Index "lo" is the theory's k, "hi" its k−1. The steps need not be contiguous: the same local terms
    serve sums over a grid and integrals over virtual steps.
    """

    t_lo: Array
    t_hi: Array
    log_alpha_lo: Array
    log_alpha_hi: Array
    log_lam_lo: Array
    log_lam_hi: Array
    steps: Increments
    process: Process

    @cached_property
    def ratio(self) -> Array:
        """λ_{k−1}/λ_k − 1 from the step's own integral, +∞ where λ_k = 0 or it overflows."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # ∞ is meant
            ratio = self.steps.Q / self.sigma2_lo
        if np.isnan(ratio).any():  # λ_k and Q both below double precision
            ratio = np.where(np.isnan(ratio), np.inf, ratio)
        return ratio

    @cached_property
    def gap(self) -> Array:
        """log λ_{k−1} − log λ_k, +∞ where λ_k = 0."""
        with np.errstate(invalid="ignore"):  # ∞ − ∞: λ_{k−1} below double precision, a step of nothing
            gap = np.where(np.isfinite(self.ratio), np.log1p(self.ratio), self.log_lam_hi - self.log_lam_lo)
        return np.where(np.isnan(gap), np.inf, gap)

    @cached_property
    def sigma2_lo(self) -> Array:
        """σ²(τ_k), in x²."""
        return np.exp(self.log_lam_lo + 2.0 * self.log_alpha_lo)

    @cached_property
    def sigma2_hi(self) -> Array:
        """σ²(τ_{k−1}), in x²."""
        return np.exp(self.log_lam_hi + 2.0 * self.log_alpha_hi)

    @property
    def size(self) -> int:
        return int(self.t_lo.size)

    def ends(self, of: Callable[[Array], Array]) -> tuple[Array, Array]:
        """``of(log λ)`` at the steps' lo and hi ends."""
        return of(self.log_lam_lo), of(self.log_lam_hi)


class GridBatch(Batch):
    """The steps between neighbouring nodes, read from the process as needed; arrays (N,) from (N+1,)."""

    def __init__(self, process: Process, t: Array, given: Array | None = None) -> None:
        """t: decreasing times; given: log λ there, where the grid was placed in the clock."""
        put, along = self.__dict__.update, process.along(t)  # the fields are frozen
        put(t_lo=t[1:], t_hi=t[:-1], steps=along.steps, process=process, along=along, given=given)
        put(log_alpha_lo=along.log_alpha[1:], log_alpha_hi=along.log_alpha[:-1])

    along: Along
    given: Array | None

    @property
    def log_lam(self) -> Array:
        """log λ at the nodes (N+1,)."""
        return self.along.log_lam if self.given is None else self.given

    @property
    def log_lam_lo(self) -> Array:
        return self.log_lam[1:]

    @property
    def log_lam_hi(self) -> Array:
        return self.log_lam[:-1]

    def ends(self, of: Callable[[Array], Array]) -> tuple[Array, Array]:
        """As `Batch.ends`, computed once a node."""
        values = of(self.log_lam)
        return values[1:], values[:-1]

    # Where λ, α² and products of a few of them are far from the ends of doubles, and no step is long, local
    # terms may be written in λ itself, which is cheaper than in log λ: the batch is tame.

    def within(self, most: float) -> bool:
        """Whether log λ and −log α, largest at the first node, are below ``most``."""
        highest = self.along.highest if self.given is None else float(self.given[0])
        return max(highest, -float(self.along.log_alpha[0])) < most

    @cached_property
    def tame(self) -> bool:
        return (
            self.within(TAME)
            and (self.steps.largest if isinstance(self.steps, StationarySteps) else float(self.steps.F.max()))
            <= 1.0
        )

    @cached_property
    def lam(self) -> Array:
        """λ at the nodes (N+1,), of a tame batch."""
        return self.along.lam if self.given is None else np.exp(self.given)

    @cached_property
    def per_alpha2(self) -> Array:
        """1/α² at the nodes (N+1,), of a tame batch."""
        return self.along.per_alpha2

    @property
    def H(self) -> Array:
        """λ_{k−1} − λ_k (N,) from each step's own integral, of a tame batch."""
        return self.steps.Q * self.per_alpha2[1:]


def batch(process: Process, lo: Array, hi: Array) -> Batch:
    """The `Batch` of any steps [lo_i, hi_i], arrays (N,) of forward times, lo < hi."""
    n = lo.size
    log_alpha, log_lam = process.law(np.concatenate((lo, hi)))  # at once: both ends have one way from 0
    return Batch(
        lo, hi, log_alpha[:n], log_alpha[n:], log_lam[:n], log_lam[n:], process.steps(lo, hi), process
    )


#: log of what `GridBatch.tame` allows λ and 1/α to reach.
TAME = 100.0
