"""Nodes optimised one by one for a ranking, for each number of steps once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numerics.schedules.candidates import twin
from wbound.data.gaussian import Gaussian
from wbound.design.placed_numerically import NumericalGrid, numerical_grid
from wbound.exact.clock_law import LAWS
from wbound.typing import Array

__all__ = ["MOST_FLOW_STEPS", "Numerical"]


#: Nodes are optimised one by one for an ODE up to so many steps: beyond, Newton's method takes minutes.
MOST_FLOW_STEPS = 150


class Numerical:
    """The nodes optimised one by one, for each K once: at least as good as every named row that the scheme reads
    through the clock alone; for em, ei and ode-ei those of their twin."""

    def __init__(self, data: Gaussian, scheme: str, most: float = math.inf) -> None:
        self.data, self.scheme = data, scheme if scheme in LAWS else twin(scheme)
        self.most = most  # of log λ(T)
        self.known: dict[int, NumericalGrid] = {}

    def too_many(self, K: int) -> bool:
        return LAWS[self.scheme].flow and K > MOST_FLOW_STEPS

    def grid(self, K: int, starts: Sequence[Array] = ()) -> NumericalGrid:
        """The nodes, at least as good as each of ``starts`` (λ, (K+1,))."""
        if K not in self.known or starts:
            how: dict[str, Any] = {"objective": "exact", "scheme": self.scheme, "start": "prior"}
            found = numerical_grid(self.data, K, starts=starts, **how)
            if math.log(float(found.lam[0])) > self.most:
                found = numerical_grid(self.data, K, math.exp(self.most), **how)
            self.known[K] = found
        return self.known[K]
