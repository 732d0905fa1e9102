"""A tape run on particles, with a target's exact score (section 15 of docs/theory.md): NumPy alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wbound.errors import BadInput, one_of
from wbound.exact.law_of_tape import TAPE_STARTS
from wbound.sampler.tape import Tape
from wbound.sampler.tape_recurrence import births_of
from wbound.typing import Array

__all__ = ["TapeWalk"]

#: Numbers that a chunk's particles, answers and noises may take.
_ROOM = 1 << 22


class TapeWalk:
    """Any target with a ``score`` and, for the exact start, a ``sample``; columns are y-units, divided by α.

    Answers and noises are held as long as rows look at them in their own way: a few, where the tape has a short memory.
    """

    def __init__(self, tape: Tape, data: Any, start: str = "own") -> None:
        self.tape, self.data = tape, data
        self.drawn = one_of("start", start, TAPE_STARTS)
        self.d = int(data.d)
        found = tape.recurrence
        self.births = births_of(tape.answers, tape.noises)
        self.memory = tape.K + 1 if found is None else found.memory
        self.ratio = np.zeros(tape.K + 1) if found is None else found.ratio
        self.chunk = _ROOM // (min(self.memory, tape.K) * (2 if tape.J else 1) + 4)
        self.chunk = min(self.chunk, getattr(data, "chunk", self.chunk))
        self.mean = _mean(data) if np.isinf(tape.levels).any() else None
        if (tape.levels == 0.0).any():
            self._answer(np.zeros((self.d, 1)), 0.0)  # a target without a score at level 0 says so here

    def start(self, rng: np.random.Generator, z: Array) -> None:
        t, level = self.tape, self.tape.start_level
        rng.standard_normal(out=z)
        if self.drawn == "own":
            z *= t.start_std
            z += t.start_mean
        elif self.drawn != "standard" and not math.isinf(level):
            z *= math.sqrt(level / (1.0 + level))
            if self.drawn == "exact":
                z += np.asarray(self.data.sample(z.shape[1], rng), float).T / math.sqrt(1.0 + level)

    def walk(self, rng: np.random.Generator, z: Array) -> None:
        """A chunk (d, m) from its start to its end, in place. Row by row: what is older than the memory is one array, a
        multiple of what it was a row before."""
        t, K = self.tape, self.tape.K
        table = np.hstack((t.answers, t.noises))
        held: dict[int, Array] = {}
        old = np.zeros_like(z)
        with np.errstate(over="ignore", invalid="ignore"):  # overflow is noticed at the end
            for i in range(K + 1):
                for j in np.flatnonzero(self.births + self.memory == i).tolist():
                    old += table[i - 1, j] * held.pop(j)
                old *= self.ratio[i]
                for j in np.flatnonzero(self.births[K:] == i).tolist():
                    held[K + j] = rng.standard_normal(z.shape)
                row = t.start[i] * z + old
                row += t.offsets[i]
                for j, values in held.items():
                    if table[i, j]:
                        row += table[i, j] * values
                if i == K:
                    z[:] = row
                else:
                    held[i] = self._answer(row, float(t.levels[i]))

    def _answer(self, v: Array, level: float) -> Array:
        """The denoiser at v = y/√(1 + λ), (d, m); the score at λ = 0. In these units α² + σ² = 1."""
        if math.isinf(level):
            return np.broadcast_to(np.asarray(self.mean, float).reshape(-1, 1), v.shape)
        unit = math.sqrt(1.0 + level)
        score = np.asarray(self.data.score(v.T, 1.0 / unit, level / (1.0 + level)), float)
        if score.shape != v.T.shape:
            raise BadInput("score", f"shape {score.shape}", f"must have its argument's, {v.T.shape}")
        if level == 0.0:
            return score.T
        return np.asarray(unit * (v + (level / (1.0 + level)) * score.T))


def _mean(data: Any) -> Array:
    """E X_0 (d,) of a target that knows it."""
    for known in (getattr(data, "mean", None), getattr(getattr(data, "line", None), "mean", None)):
        if known is not None and not callable(known):
            return np.broadcast_to(np.asarray(known, float), (int(data.d),))
    if data.mean_norm == 0.0:
        return np.zeros(int(data.d))
    raise BadInput(
        "target", type(data).__name__, "must know its mean: the tape asks for the denoiser at pure noise"
    )
