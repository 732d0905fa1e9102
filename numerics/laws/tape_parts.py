"""What a tape's W2 on Gaussian data is made of: its start, its steps, and its last jump (section 15 of docs/theory.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from numerics.targets.datasets import Dataset
from wbound.errors import HypothesisFailed
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["Parts", "parts_of", "parts_on", "w2_on"]


@dataclass(frozen=True, eq=False)
class Parts:
    """W2 (not squared, in x) of the output as the sampler returns it, and its parts, each a W2 between two Gaussians.

    ``start``: between the outputs of the start that is drawn and of the exact one; ``last_jump``: between the data and
    the last step taken from exact states (at the last evaluation, and at earlier ones whose answers it uses, carried by
    the exact flow); ``steps``: between that and the output of the exact start: what the steps before add. By the
    triangle inequality w2 ≤ start + steps + last_jump; they may cancel. ``divided``: W2 of the output divided by its α.
    ``spreads`` (E,): the output's standard deviation over the data's along each direction; NaN where the data have none.
    """

    w2: float
    divided: float
    start: float
    steps: float
    last_jump: float
    spreads: Array


def parts_on(tape: Tape, data: Dataset, start: str = "own") -> Parts:
    """The parts on N(mean, covariance) of the data, from ``start`` (see `tape_law`): *exact*.

    Raises `HypothesisFailed` for a tape that adds constants to coordinates where the data's axes are others: along
    these they lie in ways that the data set does not hold.
    """
    _axes(tape, data)
    return parts_of(tape, data.eigenvalues, data.coordinates, start)


def w2_on(tape: Tape, data: Dataset, start: str = "own") -> float:
    """The W2 of `parts_on` alone."""
    _axes(tape, data)
    return tape_law(tape, data.eigenvalues, start=start, output="raw").w2(data.coordinates)


def _axes(tape: Tape, data: Dataset) -> None:
    if data.n is not None and data.d > 1 and (tape.start_mean != 0.0 or tape.offsets.any()):
        detail = "the tape adds constants to coordinates, and the data's axes are others: give a spectrum"
        raise HypothesisFailed("the exact law", "independent directions", detail)


def parts_of(tape: Tape, variances: Array, mean: Array, start: str = "own") -> Parts:
    """The parts on N(mean, diag(variances)), arrays (E,) along the coordinates, from ``start`` (see `tape_law`): *exact*."""
    drawn = tape_law(tape, variances, start=start, output="raw")
    exact = tape_law(tape, variances, start="exact", output="raw")
    width, middle = _last_step(tape, variances, mean)
    truth = np.sqrt(variances)
    stages = [
        (np.sqrt(drawn.variance), drawn.mean_gain * mean + drawn.mean_offset),
        (np.sqrt(exact.variance), exact.mean_gain * mean + exact.mean_offset),
        (width, middle),
        (truth, mean),
    ]
    start_part, steps_part, last_part = (_between(a, b) for a, b in zip(stages, stages[1:], strict=False))
    a = tape.alpha_out
    spreads = np.full(variances.size, math.nan)
    np.divide(stages[0][0], truth, out=spreads, where=truth > 0.0)
    return Parts(
        w2=_between(stages[0], stages[3]),
        divided=_between((stages[0][0] / a, stages[0][1] / a), stages[3]),
        start=start_part,
        steps=steps_part,
        last_jump=last_part,
        spreads=spreads,
    )


def _between(a: tuple[Array, Array], b: tuple[Array, Array]) -> float:
    return math.sqrt(float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2).sum()))


def _last_step(tape: Tape, x: Array, mean: Array) -> tuple[Array, Array]:
    """(standard deviation, mean) (E,) of the last step's output from exact states.

    The output is c v_{K−1} + Σ b_j D_j + noise, c the share of the last input that leaves no start in the rest; the
    states are those of the exact flow, v_j = (μ + √(x+λ_j) Z)/√(1+λ_j) at the sampler's own λ_j.
    """
    K = tape.K
    level = tape.levels
    own = level if tape.own_levels is None else tape.own_levels
    c = tape.start[K] / tape.start[K - 1] if tape.start[K - 1] != 0.0 else 0.0
    answers = tape.answers[K] - c * tape.answers[K - 1]
    noises = tape.noises[K] - c * tape.noises[K - 1]
    offset = tape.offsets[K] - c * tape.offsets[K - 1]
    wide, placed = _exact_states(own, x)  # (K, E)
    keeps, takes = _denoiser(level, x)
    deviation = c * wide[-1] + answers @ (keeps * wide)
    middle = c * placed[-1] + answers @ (keeps * placed + takes)
    variance = deviation**2 + float((noises**2).sum())
    a = tape.alpha_out
    return np.sqrt(variance) * a, (middle * mean + offset) * a


def _exact_states(level: Array, x: Array) -> tuple[Array, Array]:
    """(√(x+λ)/√(1+λ), 1/√(1+λ)), arrays (K, E): an exact input's standard deviation, and its mean per μ."""
    lam = np.where(np.isfinite(level), level, 1.0)[:, None]
    infinite = np.isinf(level)[:, None]
    wide = np.where(infinite, 1.0, np.sqrt((x + lam) / (1.0 + lam)))
    placed = np.where(infinite, 0.0, 1.0 / np.sqrt(1.0 + lam)) * np.ones_like(x)
    return wide, placed


def _denoiser(level: Array, x: Array) -> tuple[Array, Array]:
    """(ρ, τ), arrays (K, E): D = ρ v + τ μ; at λ = 0 the score (μ − v)/x."""
    lam = np.where(np.isfinite(level), level, 1.0)[:, None]
    infinite, zero = np.isinf(level)[:, None], (level == 0.0)[:, None]
    total = np.where(x + lam > 0.0, x + lam, 1.0)
    safe = np.where(x > 0.0, x, 1.0)
    keeps = np.where(infinite, 0.0, np.where(zero, -1.0 / safe, x * np.sqrt(1.0 + lam) / total))
    takes = np.where(infinite, 1.0, np.where(zero, 1.0 / safe, lam / total))
    return keeps, takes
