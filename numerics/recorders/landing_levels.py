"""At which levels a sampler's inputs are: seen on data that are one point, where the exact network answers that point."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from numerics.recorders.diffusers_schedulers import Plan, drive
from numerics.recorders.recording import NotRecorded, Run
from wbound.typing import Array

__all__ = ["APART", "Landings", "apart", "landings", "levels_seen"]


#: The network's input is at another level than it is told when log σ differs by so much.
APART = 0.05


def levels_seen(share: Array) -> Array:
    """λ of inputs from their share of the point c: an input is αc + σZ, in units of √(1 + λ) its share is 1/√(1 + λ)."""
    return np.asarray(1.0 / share**2 - 1.0)


def apart(told: Array, share: Array) -> Array:
    """How far the level of each input is from the one that is told, in log σ; 0 where it cannot be seen."""
    fits = (share > 0.03) & (share < 0.9995) & (told > 1e-3) & (told < 1e3)
    out = np.zeros(told.size)
    out[fits] = np.abs(0.5 * np.log(levels_seen(share[fits]) / told[fits]))
    return out


class _Point:
    """Coordinate 0 has the answers 1 and the start 0, coordinate 1 the start 1 and the answers 0; there is no noise."""

    def start(self) -> Array:
        return np.array([0.0, 1.0])

    def answer(self, k: int) -> Array:
        return np.array([1.0, 0.0])

    def noise(self, j: int) -> Array:
        return np.zeros(2)

    def piece(self, path: int, low: float, high: float) -> Array:
        return np.zeros(2)


@dataclass(frozen=True, eq=False)
class Landings:
    """``told`` λ and ``share`` of the point at each evaluation, (K,), and the λ at which it ends."""

    told: Array
    share: Array
    end: float


def landings(plan: Plan) -> Landings:
    """One run of a scheduler on data that are one point, from the exact start and without noise: where each step lands.
    Raises `NotRecorded`."""
    run = Run(2, _Point())
    ended = drive(plan, run)
    rows = np.vstack([*run.rows, ended.output])
    own, draw = run.own[0], rows[0, 1]
    if draw == 0.0:
        raise NotRecorded("refused", plan.what, "its first input does not see the start")
    point = 0.0 if math.isinf(own) else 1.0 / math.sqrt(1.0 + own)
    noise = 1.0 if math.isinf(own) else math.sqrt(own / (1.0 + own))
    share = rows[:, 0] + rows[:, 1] * (point / draw)
    alpha = float(share[-1])
    # fresh noise is not in the run: then of α² + σ² = 1
    end = (1.0 - alpha**2) if run.draws else float(rows[-1, 1] / draw * noise) ** 2
    return Landings(np.array(run.levels), share[:-1], end / alpha**2)
