"""Do samples follow the law that a referee computes? Its factors one by one, and that they are independent.

A wrong sampler (a factor in the noise, a score read at the wrong time, one noise for all coordinates) may still
be good enough to stay below a bound; it does not have the law of section 3's recursion, and that is much easier
to see than a W2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import kolmogorov, ndtr

from numerics.laws.sde_on_line import LineLaw
from numerics.verification import uniformity
from wbound.typing import Array

__all__ = ["LEAST", "RISK", "Agreement", "agreement", "levels"]


#: How often right samples are called wrong, at most (of the tests of single factors: about): that of 5 standard
#: errors.
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
        """Whether the samples may have come from the law: no test says that they did not."""
        return self.p >= RISK


def agreement(target: Any, x: Array, laws: Sequence[LineLaw]) -> Agreement | None:
    """Test samples x (n, d) of a sampler's output against its exact law, a product along the axes of ``target``.

    Half of the risk goes to mean, variance and distribution function (Kolmogorov–Smirnov) of each factor, its
    coordinates taken together (from `LEAST` values on), and half to the joint law (`numerics.verification.uniformity`, at
    a level that is proved; the coordinates are those along the axes). In d = 1 the former have all of it. None
    where there is too little to test or no law has a density. Kind: a test at risk `RISK`.
    """
    single: list[tuple[float, str, float]] = []
    tested = 0
    for i, (values, law) in enumerate(zip(target.along(x), laws, strict=True)):
        if law.x.size and values.size >= LEAST:
            tested += values.size
            where = f"factor {i + 1}" if len(laws) > 1 else "the coordinates"
            single += [(p, f"{name} of {where}", z) for p, name, z in _statistics(values.ravel(), law)]
    found = [(p * len(single), statistic, z) for p, statistic, z in single]
    known = sum(law.multiplicity for law in laws if law.x.size)
    if len(x) >= uniformity.LEAST and (known > 1 or (known == 1 and not found)):
        off = uniformity.departure(levels(target, x, laws))
        tested = max(tested, len(x) * known)
        found = [(2.0 * p, statistic, z) for p, statistic, z in found]
        found.append(((2.0 if found else 1.0) * math.exp(off.log_p), off.statistic, off.z))
    if not found:
        return None
    p, statistic, z = min(found, key=lambda one: (one[0], -abs(one[2])))
    return Agreement(min(1.0, p), statistic, z, tested)


def levels(target: Any, x: Array, laws: Sequence[LineLaw]) -> Array:
    """Samples x (n, d) as levels of their law along the axes of ``target``: independent and uniform in [0, 1]
    if they have it. A column for each axis whose law has a density."""
    pairs = zip(target.along(x), laws, strict=True)
    return np.concatenate([np.interp(at, *_distribution(law)) for at, law in pairs if law.x.size], axis=1)


def _distribution(law: LineLaw) -> tuple[Array, Array]:
    """The points of the law's table, and its distribution function there."""
    cell = 0.5 * np.diff(law.x) * (law.density[1:] + law.density[:-1])
    levels = np.insert(np.cumsum(cell), 0, 0.0)
    return law.x, levels / levels[-1]


def _statistics(values: Array, law: LineLaw) -> list[tuple[float, str, float]]:
    """Two-sided p-value, name and standard errors off, for each statistic."""
    n, steps = values.size, np.diff(law.x)
    weight = 0.5 * (np.append(steps, 0.0) + np.insert(steps, 0, 0.0)) * law.density
    weight = weight / weight.sum()
    mean = float(weight @ law.x)
    away = law.x - mean
    variance, fourth = float(weight @ away**2), float(weight @ away**4)
    shift = values - mean
    z_mean = float(shift.mean()) / math.sqrt(variance / n)
    z_variance = (float((shift**2).mean()) - variance) / math.sqrt(max(fourth - variance**2, 0.0) / n)
    at = np.interp(np.sort(values), *_distribution(law))
    order = np.arange(n + 1) / n
    distance = math.sqrt(n) * max(float((order[1:] - at).max()), float((at - order[:-1]).max()))
    return [
        (2.0 * float(ndtr(-abs(z_mean))), "mean", z_mean),
        (2.0 * float(ndtr(-abs(z_variance))), "variance", z_variance),
        (float(kolmogorov(distance)), "distribution function", distance),
    ]
