"""The gap closed: steps that the exact law, Theorem 2, Theorem 1 and the lower bound ask for, as ε falls.

Everything starts from p_T, in units where processes compare: u = ε/(σ_0√d) and K·u, which Eq. 12 bounds from
below by 4(1−ϱ)²/(2+u). λ(T) is tied to ε, so that a prior start would add `SHARE` of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from numerics.schedules.fewest_steps import fewest
from wbound.complexity.least_steps import iterations
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, positive
from wbound.exact.floor import lower_bound
from wbound.exact.gaussian_law import exact_w2
from wbound.forward.catalogue import PUBLISHED
from wbound.forward.catalogue import process as named
from wbound.forward.forward_process import Process
from wbound.memory import dimension
from wbound.theory.statements import upper_bound
from wbound.typing import Array

__all__ = ["SHARE", "Gap", "GapLine", "gap_closed"]


#: The part of ε that the prior start would make at the λ(T) chosen for ε.
SHARE = 0.01
#: No K beyond is looked for.
MOST_STEPS = 10**8
#: The process whose Theorem 1 is shown.
EXAMPLE = "vp-linear"


@dataclass(frozen=True)
class GapLine:
    """K·u along u (N,): ``kind`` exact, upper or lower; ``process`` whose clock it is ("" where none is).
    ``K`` (N,) are the steps themselves."""

    key: str
    label: str
    kind: str
    process: str
    K: Array
    values: Array


@dataclass(frozen=True)
class Gap:
    """The lines over u = ε/(σ_0√d), falling; λ(T), ϱ and the floor 4(1−ϱ)²/(2+u) at each u."""

    d: int
    sigma0: float
    u: Array
    lam_T: Array
    varrho: Array
    floor: Array
    lines: tuple[GapLine, ...]

    def line(self, key: str) -> GapLine:
        """The line called so."""
        return next(line for line in self.lines if line.key == key)

    def over_floor(self, key: str) -> Array:
        """K over the steps of Eq. 12 (N,): at least 1 for exact laws and for upper bounds."""
        return self.line(key).values / self.floor

    def columns(self) -> dict[str, Array]:
        """The numbers as columns."""
        out = {"u": self.u, "eps": self.u * self.sigma0 * math.sqrt(self.d), "lam_T": self.lam_T}
        out |= {"varrho": self.varrho, "floor": self.floor}
        return out | {line.key: line.values for line in self.lines}


def gap_closed(
    at: ArrayLike,
    *,
    d: int = 100,
    sigma0: float = math.sqrt(2.0),
    processes: Sequence[str] = PUBLISHED,
) -> Gap:
    """K·u of hf from the exact start for the processes and the optimal clocks, of Theorem 2 on the optimal
    clock, of Theorem 1, and the floor. Kinds: *exact*, *upper*, *lower*.

    at: values of u = ε/(σ_0√d), below 1; d: dimension; sigma0: σ_0 in x of the data N(0, σ_0² I).
    Processes run on the uniform grid; "optimal" is section 7's clock, "gaussian" the grid
    uniform in w^{−1/2}.
    """
    d, sigma0 = dimension(d), positive("sigma0", sigma0)
    us = np.sort(np.atleast_1d(np.asarray(at, float)))[::-1]
    for u in us:
        if not 0.0 < u < 1.0:
            raise BadInput("u", float(u), "must be above 0 and below 1")
    s2 = sigma0**2
    # from the prior W2 grows by about σ_0√d ϱ⁴/2
    total = s2 / np.sqrt(2.0 * SHARE * us)
    lam_T = total - s2
    varrho = np.sqrt(s2 / total)
    eps = us * sigma0 * math.sqrt(d)
    facts = LogConcave(d, 1.0 / s2, 1.0 / s2, d * s2, 0.0)
    law = Gaussian(np.zeros(d), s2)
    floor = us * np.array([lower_bound(d, sigma0, e, lam).K for e, lam in zip(eps, lam_T, strict=True)])
    best = named("optimal", m0=1.0 / s2, L0=1.0 / s2)
    lines = []

    def add(key: str, label: str, kind: str, process: str, steps: Callable[[int], float]) -> None:
        K = np.array([steps(i) for i in range(us.size)], float)
        lines.append(GapLine(key, label, kind, process, K, K * us))

    def exactly(p: Process, grid: str) -> Callable[[int], float]:
        def steps(i: int) -> float:
            T = float(p.time_of(math.log(lam_T[i])))

            def w2(K: int) -> float:
                return exact_w2(p, law, T=T, K=K, scheme="hf", start="exact", grid=grid)

            K = fewest(w2, eps[i], min(int(2.0 / us[i]), MOST_STEPS), MOST_STEPS, 1)
            if K is None:
                raise BadInput("eps", eps[i], f"needs more than {MOST_STEPS:g} steps")
            return float(K)

        return steps

    def bounded(p: Process, theorem: str) -> Callable[[int], float]:
        def steps(i: int) -> float:
            T = float(p.time_of(math.log(lam_T[i])))
            first = upper_bound(theorem, "em").needs_M1
            return float(
                iterations(
                    p, law if first else facts, eps[i], theorem=theorem, scheme="em" if first else "hf",
                    M1="exact" if first else None, start="exact", T=T,
                ).K
            )  # fmt: skip

        return steps

    for name in processes:
        add(name, name, "exact", name, exactly(named(name), "uniform"))
    add("optimal", "optimal clock", "exact", "optimal", exactly(best, "uniform"))
    add("gaussian", "gaussian grid", "exact", "", exactly(named("ve-constant"), "gaussian"))
    add("theorem_2", "Theorem 2, optimal clock", "upper", "optimal", bounded(best, "sharp"))
    add("theorem_1", f"Theorem 1, {EXAMPLE}", "upper", EXAMPLE, bounded(named(EXAMPLE), "published"))
    return Gap(d, sigma0, us, lam_T, varrho, floor, tuple(lines))
