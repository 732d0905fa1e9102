"""The exact law of a tape without noise on the line: its start's quantiles, pushed through its evaluations (section 15)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from numerics.laws.ode_on_line import LEAST, Start, w2_under
from numerics.targets.line_laws import Line, Normal
from wbound.errors import BadInput, HypothesisFailed
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["tape_map", "tape_w2_on_line"]


def tape_map(tape: Tape, line: Line) -> Callable[[Array], Array]:
    """From the start (in units of √(1 + λ) at the start's level) to the output in y-units, both (n,), with the exact
    denoiser of ``line``. Raises `HypothesisFailed` for a tape that draws noise."""
    if tape.stochastic:
        raise HypothesisFailed("the pushed law", "a tape without noise", "this one draws noise")

    def answer(v: Array, level: float) -> Array:
        if math.isinf(level):
            return np.full_like(v, line.mean)
        unit = math.sqrt(1.0 + level)
        if level == 0.0:
            return line.score(v, 1.0, 0.0)
        return line.denoise(v, 1.0 / unit, level / (1.0 + level))

    def moved(start: Array) -> Array:
        v = np.asarray(start, dtype=np.float64)
        answers = np.empty((tape.K, v.size))
        for i in range(tape.K + 1):
            row = tape.start[i] * v + tape.offsets[i] + tape.answers[i, :i] @ answers[:i]
            if i == tape.K:
                return np.asarray(row)
            answers[i] = answer(row, float(tape.levels[i]))
        raise AssertionError

    return moved


def tape_w2_on_line(tape: Tape, line: Line, *, shift: float = 0.0, rtol: float = 1e-7) -> float:
    """W2 (not squared, in x) between a tape's output, from its own start, and a law on the line, by quadrature. *exact*

    The start's normal is known by its quantiles, and so is the output's where the composed map rises; where it turns, its
    images are sorted, on meshes that are doubled until two agree: an estimate. shift: added to the start, in y-units (a
    sampler that starts at the data's mean has it there). Raises `HypothesisFailed` for a tape that draws noise, `BadInput`
    for rtol out of (0, 1), `IOFailure` where a quadrature does not converge; infinite where the output overflows.
    """
    if not 0.0 < rtol < 1.0:
        raise BadInput("rtol", rtol, "must be in (0, 1)")
    mean = tape.start_mean + (
        0.0 if math.isinf(tape.start_level) else shift / math.sqrt(1.0 + tape.start_level)
    )
    own = Normal(mean, tape.start_std**2)
    lo, hi = own.at_tails(np.array([LEAST, 1.0]), np.array([1.0, LEAST])).tolist()
    moved = tape_map(tape, line)
    return w2_under(moved, Start(own, (1.0, 0.0), lo, hi), line, rtol)[0]
