"""What the best schedule of each sampler costs, against calls of the network, over the floor of every affine sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numerics.schedules.choice import choose
from numerics.schedules.ranking import Choice
from numerics.studies.floors_by_sampler import Conditioning, conditioning
from numerics.targets.datasets import Dataset
from wbound.bounds.theorem_6 import affine_floor
from wbound.errors import count
from wbound.sampler.scheme import scheme_named
from wbound.typing import Array

__all__ = ["TRIED", "ByCalls", "by_calls"]

#: Every grid of the clock, and the uniform grids of two processes: what is tried for each sampler.
TRIED = ("vp-linear", "ve-exponential")


@dataclass(frozen=True, eq=False)
class ByCalls:
    """``best``: scheme → its best row of `choose` at each of ``calls`` (N,), whose ``error`` is W2, not squared, in x;
    ``floor`` (N,): Theorem 6's W2/√tr Σ at the worst spectrum with the data's κ; ``tried`` (N,): pairs of scheme and
    schedule."""

    data: Dataset
    calls: Array
    best: dict[str, list[Choice]]
    floor: Array
    known: Conditioning
    tried: tuple[int, ...]

    def relative(self, scheme: str) -> Array:
        """W2/√tr Σ (N,) of the best schedule of ``scheme``."""
        return np.array([row.error for row in self.best[scheme]]) / self.data.spread

    def columns(self) -> dict[str, Any]:
        """The numbers as columns."""
        out: dict[str, Any] = {"calls": self.calls}
        for scheme, rows in self.best.items():
            out[scheme] = self.relative(scheme)
            out[f"{scheme}_schedule"] = [f"{row.process}, {row.grid}" for row in rows]
        return out | {"floor": self.floor}


def by_calls(
    data: Dataset,
    at: Sequence[int] | Array,
    schemes: Sequence[str],
    watch: Callable[[int, int, dict[str, Any]], None] = lambda done, total, row: None,
) -> ByCalls:
    """Each scheme's best schedule of those tried, at each number of calls ``at`` (integers ≥ 1). Kinds: *exact* for the
    Gaussian with the data's mean and covariance, and *lower* for the floor. Raises `BadInput`."""
    calls = [count("calls", float(k)) for k in at]
    best: dict[str, list[Choice]] = {scheme: [] for scheme in schemes}
    tried = [0] * len(calls)
    for i, scheme in enumerate(schemes):
        for j, k in enumerate(calls):
            steps = max((K for K in range(1, k + 1) if scheme_named(scheme).calls(K) <= k), default=1)
            ranking = choose(data, steps, scheme=scheme, processes=TRIED)
            best[scheme].append(ranking.best)
            tried[j] += len(ranking.rows)
            watch(i * len(calls) + j + 1, len(calls) * len(schemes), {"scheme": scheme, "calls": k})
    known = conditioning(data.gaussian.eigenvalues)
    floor = np.array([affine_floor(known.kappa, k) for k in calls])
    return ByCalls(data, np.array(calls, dtype=np.float64), best, floor, known, tuple(tried))
