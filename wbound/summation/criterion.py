"""A bound as a function of (T, K), which K(ε) is decided by: exact up to `SUMMED` steps, beyond by
`wbound.summation.step_sums`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from wbound.data.curvature import Curvature
from wbound.forward.forward_process import Process
from wbound.sampler.scheme import Scheme
from wbound.summation.step_rows import Quality
from wbound.typing import Array

__all__ = [
    "AT_ONCE",
    "INFINITE",
    "SUMMED",
    "SUMMED_COARSELY",
    "Criterion",
    "OverSteps",
    "Value",
    "by_size",
    "ends_of",
    "value_at",
]


#: Up to so many steps the sums are done one by one; while T is searched, up to fewer.
SUMMED, SUMMED_COARSELY = 16_384, 512
#: Up to so many steps those of several horizons are summed at once.
AT_ONCE = 4096


class Value(NamedTuple):
    """A criterion at (T, K) as constant + linear + fast + (squared_start² + squared²)^{1/2}, and its relative error.

    As K grows ``linear`` and ``squared`` fall like K^{−order}, ``fast`` like K^{−2 order}; the other two stay. ``score``
    is the part of ``constant`` that the score's bias makes, ``stopped`` the part that early stopping does, √(dδ).
    """

    constant: float
    linear: float
    squared_start: float = 0.0
    squared: float = 0.0
    score: float = 0.0
    error: float = 0.0
    stopped: float = 0.0
    fast: float = 0.0

    @property
    def total(self) -> float:
        value = self.constant + self.linear + self.fast + math.hypot(self.squared_start, self.squared)
        return math.inf if math.isnan(value) else value

    @property
    def initialisation(self) -> float:
        return self.constant - self.score - self.stopped + self.squared_start

    @property
    def discretisation(self) -> float:
        return self.linear + self.fast + self.squared + self.stopped

    @property
    def limit(self) -> float:
        """As K → ∞."""
        return self.constant + self.squared_start


#: A criterion: (T, K, quality) → its Value at each of the pairs (T_j, K_j), two arrays (J,); K may be real
#: beyond `SUMMED`; infinite where a hypothesis fails.
Criterion = Callable[[Array, Array, Quality], list[Value]]


#: Where a hypothesis fails, or the bound overflows.
INFINITE = Value(math.inf, math.inf)


class OverSteps(Protocol):
    """A bound's `Criterion` for a process, data, a scheme, a start, the score's M and V, and A2's M_1."""

    def __call__(
        self,
        process: Process,
        data: Curvature,
        scheme: Scheme,
        start: str,
        M: float = 0.0,
        V: float = 0.0,
        M1: Any = None,
    ) -> Criterion: ...


def value_at(criterion: Criterion, T: float, K: float, quality: Quality) -> Value:
    """A criterion at one pair."""
    return criterion(np.array([T]), np.array([K]), quality)[0]


def by_size(
    summed: Callable[[float, int, Quality], Value],
    tallied: Criterion,
    together: Callable[[Array, Array, Quality], list[Value] | None] | None = None,
) -> Criterion:
    """The pairs with few steps one by one, which ``together`` may do at once, the others by their tallies."""

    def values(T: Array, K: Array, quality: Quality) -> list[Value]:
        few = K <= (min(SUMMED, SUMMED_COARSELY) if quality.rough else SUMMED)
        if not few.any():
            return tallied(T, K, quality)
        out = [INFINITE] * T.size
        own = np.flatnonzero(few)
        at_once = together(T[own], np.floor(K[own]), quality) if together and own.size else None
        if at_once is not None:
            for i, value in zip(own, at_once, strict=True):
                out[i] = value
        else:
            for i in own:
                out[i] = summed(float(T[i]), int(K[i]), quality)
        many = np.flatnonzero(~few)
        if many.size:
            for i, value in zip(many, tallied(T[many], K[many], quality), strict=True):
                out[i] = value
        return out

    return values


def ends_of(process: Process, T: float) -> tuple[float, float]:
    log_alpha, log_lam = process.law(T)
    return float(log_alpha), float(log_lam)
