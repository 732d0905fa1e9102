"""Writes a tape step by step, as a sampler is written: states that are scaled, added, and asked about."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["LONGEST", "TapeWriter"]

#: A tape is dense: K² numbers twice.
LONGEST = 4096


class TapeWriter:
    """Writes a tape step by step: states are rows over (start, answers, noises, 1), in y-units.

    ``start()`` is the start as a state, ``evaluate(state, level)`` asks the network and gives its answer as a state,
    ``noise()`` a fresh normal; states are added and scaled as arrays. ``finish(state, …)`` makes the `Tape`.
    """

    def __init__(self, evaluations: int, noises: int, start_level: float) -> None:
        self._K, self._J = evaluations, noises
        self.start_level = start_level
        self._rows: list[Array] = []
        self._levels: list[float] = []
        self._drawn = 0

    def _unit(self, column: int) -> Array:
        row = np.zeros(1 + self._K + self._J + 1)
        row[column] = 1.0
        return row

    def start(self) -> Array:
        """The start: its unit is √(1 + λ) at the start's level."""
        return self._unit(0) * math.sqrt(1.0 + self.start_level)

    def evaluate(self, state: Array, level: float) -> Array:
        """The answer (denoiser; score at level 0) at ``state`` and ``level``."""
        self._rows.append(state / math.sqrt(1.0 + level))
        self._levels.append(level)
        return self._unit(len(self._rows))

    def noise(self) -> Array:
        """A fresh standard normal."""
        self._drawn += 1
        return self._unit(self._K + self._drawn)

    def finish(self, state: Array, *, start_std: float, **rest: Any) -> Tape:
        """The tape whose output is ``state``."""
        table = np.vstack([*self._rows, state])
        K, J = len(self._rows), self._drawn
        return Tape(
            levels=np.array(self._levels),
            start=table[:, 0],
            answers=table[:, 1 : 1 + K],
            noises=table[:, 1 + self._K : 1 + self._K + J],
            offsets=table[:, -1],
            start_level=self.start_level,
            start_std=start_std,
            **rest,
        )
