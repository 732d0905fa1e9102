"""A tape as a plan of the samplers: `numerics.targets.tape_walk` does what a chunk needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numerics.samplers.plans import Plan, Step
from numerics.targets.tape_walk import TapeWalk
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["TapePlan"]


class TapePlan(Plan):
    """A `TapeWalk` in chunks."""

    parallel = False  # nothing is known about the user's score

    def __init__(self, tape: Tape, data: Any, start: str = "own") -> None:
        self.of = TapeWalk(tape, data, start)
        self.d = self.rows = self.columns = self.of.d
        self.chunk = self.of.chunk

    @property
    def K(self) -> int:
        return self.of.tape.K

    def start(self, rng: np.random.Generator, z: Array) -> None:
        self.of.start(rng, z)

    def steps(self) -> Iterator[tuple[int, Step]]:
        yield self.K, self.of.walk

    def finish(self, z: Array) -> Array:
        return z.T
