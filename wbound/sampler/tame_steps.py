"""Tame steps as plain arrays, which compiled passes over many settings read: no logarithm of λ or α is needed there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wbound.sampler.scheme import Scheme, Steps
from wbound.sampler.steps import TAME, Batch, GridBatch
from wbound.typing import Array

__all__ = ["TameClock", "TameSteps", "clocked", "table", "tamed"]

#: More steps than this round otherwise than the sums in logarithms do, which are then as quick.
MOST = 65_536
#: The largest F = ∫f of a step.
LONGEST = 2.0


@dataclass(frozen=True, eq=False)
class TameSteps:
    """A scheme's steps on tame nodes: λ (x²) and 1/α² at the nodes (K+1,); e^{−F} and H = λ_{k−1} − λ_k (K,)."""

    batch: GridBatch
    scheme: Scheme
    steps: Steps
    lam: Array
    per_alpha2: Array
    back: Array
    H: Array


def tamed(batch: Batch, scheme: Scheme) -> TameSteps | None:
    """The `TameSteps`; None where the steps are not tame (as `GridBatch.tame`, but for `LONGEST`), are too many,
    or have a memory."""
    shared = clocked(batch)
    return None if shared is None or scheme.memory is not None else shared.under(scheme)


@dataclass(frozen=True, eq=False)
class TameClock:
    """What `TameSteps` of every scheme on the same nodes share."""

    batch: GridBatch
    lam: Array
    per_alpha2: Array
    back: Array
    H: Array

    def under(self, scheme: Scheme) -> TameSteps:
        """The steps of a scheme without a memory."""
        own = scheme.steps(self.batch)
        return TameSteps(self.batch, scheme, own, self.lam, self.per_alpha2, self.back, self.H)


def clocked(batch: Batch) -> TameClock | None:
    """What tame steps of any scheme share; None where they are not tame, or too many."""
    # no step so long that the coefficients' differences would lose more than two digits
    if not isinstance(batch, GridBatch) or batch.size > MOST:
        return None
    if not (batch.within(TAME) and float(batch.steps.F.max()) <= LONGEST):
        return None
    lam, per_alpha2 = np.ascontiguousarray(batch.lam), np.ascontiguousarray(batch.per_alpha2)
    return TameClock(batch, lam, per_alpha2, np.exp(-batch.steps.F), np.asarray(batch.H))


def table(*rows: Array | float, size: int) -> Array:
    """Rows (N,) or numbers as one array (rows, N)."""
    out = np.empty((len(rows), size))
    for own, row in zip(out, rows, strict=True):
        own[:] = row
    return out
