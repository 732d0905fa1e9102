"""Do samples follow the law that a referee computes? Moments and distribution functions, factor by factor.

A wrong sampler (a factor in the noise, a score read at the wrong time) may still be good enough to stay below
a bound; it does not have the law of section 3's recursion, and that is much easier to see than a W2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov, ndtr

from numerics.law1d import LineLaw

__all__ = ["LEAST", "RISK", "Agreement", "agreement"]

Array = NDArray[np.float64]

#: How often right samples are called wrong: about that of 5 standard errors.
RISK = 1e-6
#: Values of a factor below which its statistics are not normal enough to be trusted to `RISK`.
LEAST = 2000


@dataclass(frozen=True)
class Agreement:
    """``p``: how probable statistics this far off are under the exact law (Bonferroni over all of them);
    ``statistic``: the one that is farthest off; ``z``: how far, in standard errors; ``n``: values tested."""

    p: float
    statistic: str
    z: float
    n: int

    @property
    def holds(self) -> bool:
        """Whether the samples may have come from the law."""
        return self.p >= RISK


def agreement(target: Any, x: Array, laws: Sequence[LineLaw]) -> Agreement | None:
    """Test samples x (n, d) of a sampler's output against its exact law along the factors of ``target``.

    Mean, variance and distribution function (Kolmogorov–Smirnov) of each factor, the coordinates of a factor
    taken together, since they are independent and of one law. None where there are fewer than `LEAST` values
    or the law has no density. Kind: a test at risk `RISK`.
    """
    found: list[tuple[float, str, float]] = []
    tested = 0
    for i, (values, law) in enumerate(zip(target.along(x), laws, strict=True)):
        if values.size < LEAST or law.x.size == 0:
            continue
        tested += values.size
        where = f"factor {i + 1}" if len(laws) > 1 else "the coordinates"
        found += [(p, f"{name} of {where}", z) for p, name, z in _statistics(values.ravel(), law)]
    if not found:
        return None
    p, statistic, z = min(found)
    return Agreement(min(1.0, p * len(found)), statistic, z, tested)


def _statistics(values: Array, law: LineLaw) -> list[tuple[float, str, float]]:
    """Two-sided p-value, name and standard errors off, for each statistic."""
    n, steps = values.size, np.diff(law.x)
    cell = 0.5 * steps * (law.density[1:] + law.density[:-1])
    weight = 0.5 * (np.append(steps, 0.0) + np.insert(steps, 0, 0.0)) * law.density
    weight = weight / weight.sum()
    mean = float(weight @ law.x)
    away = law.x - mean
    variance, fourth = float(weight @ away**2), float(weight @ away**4)
    shift = values - mean
    z_mean = float(shift.mean()) / math.sqrt(variance / n)
    z_variance = (float((shift**2).mean()) - variance) / math.sqrt(max(fourth - variance**2, 0.0) / n)
    levels = np.insert(np.cumsum(cell), 0, 0.0)
    at = np.interp(np.sort(values), law.x, levels / levels[-1])
    order = np.arange(n + 1) / n
    distance = math.sqrt(n) * max(float((order[1:] - at).max()), float((at - order[:-1]).max()))
    return [
        (2.0 * float(ndtr(-abs(z_mean))), "mean", z_mean),
        (2.0 * float(ndtr(-abs(z_variance))), "variance", z_variance),
        (float(kolmogorov(distance)), "distribution function", distance),
    ]
