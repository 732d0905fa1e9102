"""Tapes of one sampler at several numbers of steps, or of several samplers, on one's own data: W2 over network calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numerics.laws.tape_parts import parts_on
from numerics.studies.slopes import slope
from numerics.targets.datasets import Dataset
from wbound.errors import BadInput
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["TapeCurve", "tape_curve"]


@dataclass(frozen=True, eq=False)
class TapeCurve:
    """``names`` and ``calls`` of the tapes, fewest calls first; ``w2`` of what each returns from its own start, and
    ``exact_start`` from q_λ (W2, not squared, in x); ``slope``: the fitted power of the calls, None below three;
    ``data``: their name, in ``d`` dimensions."""

    names: tuple[str, ...]
    calls: Array
    w2: Array
    exact_start: Array
    slope: float | None
    data: str
    d: int

    def columns(self) -> dict[str, Array]:
        """The numbers as columns."""
        return {"calls": self.calls, "w2": self.w2, "w2_exact_start": self.exact_start}


def tape_curve(tapes: Sequence[tuple[str, Tape]], data: Dataset) -> TapeCurve:
    """W2 of named tapes on N(mean, covariance) of the data, over their calls of the network: *exact*.

    Raises `BadInput` for no tape, and `HypothesisFailed` as `parts_on`.
    """
    if not tapes:
        raise BadInput("tape", "(none)", "give at least one tape")
    rows = sorted(tapes, key=lambda one: one[1].K)
    calls = np.array([tape.K for _, tape in rows], dtype=float)
    w2, exact = (np.array([parts_on(tape, data, start).w2 for _, tape in rows]) for start in ("own", "exact"))
    return TapeCurve(tuple(name for name, _ in rows), calls, w2, exact, slope(calls, w2), data.name, data.d)
