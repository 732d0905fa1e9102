"""Images drawn by a recorded sampler: a tape (docs/theory.md, section 15) run with any network that knows σ.

The tape says what every evaluation is given and what is made of the answers; the network answers with the denoiser
of the data smoothed by √λ. Row by row, in the units of `wbound.sampler.tape.Tape`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from numerics.cifar10.noise_levels import LevelScore
from numerics.cifar10.sampling import noise_of, room, seeds_of
from wbound.errors import BadInput, count
from wbound.sampler.tape import Tape
from wbound.sampler.tape_recurrence import births_of

__all__ = ["LEAST_SIGMA", "sample_tape", "walk"]

#: Where a tape asks for the score at σ = 0, which no network knows, it is asked at this σ (EDM's least).
LEAST_SIGMA = 0.002


@torch.no_grad()
def sample_tape(
    level_score: LevelScore,
    tape: Tape,
    shape: Sequence[int],
    seeds: Sequence[int] = (0,),
    device: str | torch.device = "cpu",
    batch: int = 256,
    *,
    mean: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
    progress: Callable[[int], Any] | None = None,
) -> Tensor:
    """One image a seed, (n, C, H, W) on ``device``, in the data's coordinates, from the tape's own start.

    Image i is a function of ``seeds[i]`` and of everything but ``batch``. ``mean`` (C, H, W): of the data, what a tape
    is answered that asks at pure noise (λ = ∞). Raises `BadInput`.
    """
    size, numbers = tuple(count("shape", side) for side in shape), seeds_of(seeds)
    if np.isinf(tape.levels).any() and mean is None:
        said = "asks for the denoiser at pure noise, the data's mean, which this network does not say"
        raise BadInput("tape", "level infinity", said)
    room(len(seeds), size, batch, 1 + tape.J)
    out = torch.empty((len(seeds), *size), dtype=dtype, device=device)
    for first in range(0, len(numbers), count("batch", batch)):
        chosen = numbers[first : first + batch]
        noise = noise_of(chosen, size, device, dtype, 1 + tape.J)
        out[first : first + batch] = walk(level_score, tape, noise, mean)
        if progress is not None:
            progress(len(chosen))
    return out


def walk(level_score: LevelScore, tape: Tape, noise: Iterator[Tensor], mean: Tensor | None) -> Tensor:
    """Row by row: what is older than the tape's memory is one image, a multiple of what it was a row before."""
    K, found = tape.K, tape.recurrence
    memory, ratio = (K + 1, np.zeros(K + 1)) if found is None else (found.memory, found.ratio)
    births, table = births_of(tape.answers, tape.noises), np.hstack((tape.answers, tape.noises))
    z = next(noise) * tape.start_std + tape.start_mean
    held: dict[int, Tensor] = {}
    old = torch.zeros_like(z)
    for i in range(K + 1):
        for j in np.flatnonzero(births + memory == i).tolist():
            old = old + float(table[i - 1, j]) * held.pop(j)
        old = float(ratio[i]) * old
        for j in np.flatnonzero(births[K:] == i).tolist():
            held[K + j] = next(noise)
        row = float(tape.start[i]) * z + old + float(tape.offsets[i])
        for j, values in held.items():
            if table[i, j]:
                row = row + float(table[i, j]) * values
        if i < K:
            held[i] = _answer(level_score, row, float(tape.levels[i]), mean)
    return row


def _answer(level_score: LevelScore, v: Tensor, level: float, mean: Tensor | None) -> Tensor:
    """The denoiser at v = y/√(1 + λ); the score at λ = 0."""
    if math.isinf(level):
        assert mean is not None
        return mean.to(v).expand_as(v)
    sigma = max(math.sqrt(level), LEAST_SIGMA)
    y = math.sqrt(1.0 + level) * v
    score = level_score(y, torch.full((len(v),), sigma, dtype=v.dtype, device=v.device))
    return score if level == 0.0 else y + level * score
