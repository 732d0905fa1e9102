"""Tapes run on a user's own samples with their exact score: what a ranking by the Gaussian says of real data.

The samples are smoothed by noise of a given size, so that their score is a softmax over them (as `held_out` does), each
tape draws from that law, and its draws are compared with fresh ones of the law itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats.qmc import Halton

from numerics.targets.mixtures import SmoothedData
from numerics.targets.tape_walk import TapeWalk
from numerics.transport.samples import plugin_w2
from wbound.errors import BadInput, count, positive
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["OnSamples", "run_on_samples", "smoothing_of"]


#: Samples that the law is made of at most, for its score is a sum over them; and draws of a tape at least.
MOST_POINTS, LEAST_DRAWS = 1000, 200
#: How often draws are made, to see what chance does.
REPEATS = 2
#: Dimensions in which starts are laid evenly: a Halton sequence is no better than chance in many.
MOST_EVEN = 16
#: Products that the scores of all tapes may take.
BUDGET = 4e11


@dataclass(frozen=True)
class OnSamples:
    """W2 (plug-in, not squared, in x) of each tape's draws from fresh draws of the smoothed samples, ``values``; of fresh
    draws from fresh draws, ``floor``; how far differences between tapes were apart when repeated, at most, ``spread``;
    ``tau``: the noise that smoothed them, in x; ``draws``: on each side. Plug-in values are biased upward alike."""

    values: tuple[float, ...]
    floor: float
    spread: float
    tau: float
    draws: int


def smoothing_of(points: Array, seed: int = 0) -> float:
    """Half the median distance of a sample to its nearest neighbour, a coordinate: what the samples cannot tell anyway."""
    few = points[np.random.default_rng(seed).permutation(len(points))[:500]]
    square = (points**2).sum(axis=1)
    gap = (few**2).sum(axis=1)[:, None] + square[None, :] - 2.0 * few @ points.T
    scale = float(square.max()) or 1.0
    gap[gap <= 1e-12 * scale] = math.inf  # itself, and copies of it
    nearest = np.sqrt(gap.min(axis=1))
    nearest = nearest[np.isfinite(nearest)]
    if not nearest.size:
        raise BadInput("data", "one point", "must hold samples that differ")
    return 0.5 * float(np.median(nearest)) / math.sqrt(points.shape[1])


def run_on_samples(
    samples: NDArray[Any],
    tapes: Sequence[Tape],
    *,
    tau: float | None = None,
    most: int = MOST_POINTS,
    seed: int = 0,
    watch: Callable[[int, int], None] | None = None,
) -> OnSamples:
    """Each tape from its own start with the exact score of the samples (n, …) smoothed by ``tau`` (x; None:
    `smoothing_of`), against fresh draws of that law: evidence, no bound.

    Of more than ``most`` samples so many are taken, fewer where their scores would take too long; and as many draws, in
    which each stands once, or as often as the others. Raises `BadInput`.
    """
    a = np.asarray(samples)
    if a.ndim < 2 or a.shape[0] < 4 or a.dtype.kind not in "fiub":
        raise BadInput("data", f"shape {a.shape}, dtype {a.dtype}", "must be real numbers (n, …), n >= 4")
    rows = a.reshape(len(a), -1)
    evaluations = max(sum(tape.K for tape in tapes), 1)
    room = math.isqrt(int(BUDGET / (REPEATS * evaluations * rows.shape[1])))
    kept = max(min(count("most", most, 4), room), 50)
    rows = rows[np.random.default_rng(count("seed", seed, 0)).permutation(len(rows))[:kept]].astype(float)
    law = SmoothedData(rows, smoothing_of(rows) if tau is None else positive("tau", tau))
    n = len(rows) * -(-LEAST_DRAWS // len(rows))
    found = np.empty((REPEATS, len(tapes) + 1))
    done, total = 0, REPEATS * len(tapes)
    for i in range(REPEATS):
        y = _evenly(law, n, _generator(seed, i, 0))
        found[i, -1] = plugin_w2(_evenly(law, n, _generator(seed, i, 1)), y)
        for j, tape in enumerate(tapes):
            found[i, j] = plugin_w2(_run(tape, law, n, _generator(seed, i, 2)), y)  # the same draws for all
            done += 1
            if watch is not None:
                watch(done, total)
    mean, apart = found.mean(axis=0), found[:, :-1] - found[:, :-1].mean(axis=1, keepdims=True)
    spread = float(np.ptp(apart, axis=0).max(initial=0.0))
    return OnSamples(tuple(mean[:-1].tolist()), float(mean[-1]), spread, float(law.tau), n)


def _evenly(law: SmoothedData, n: int, rng: np.random.Generator) -> Array:
    """n draws (n, d), a multiple of the samples, in which every one of them stands equally often."""
    return np.asarray(
        np.tile(law.points, (n // len(law.points), 1)) + law.tau * rng.standard_normal((n, law.d))
    )


class _EvenStart:
    """In place of a generator where a tape draws its start: points of a scrambled Halton sequence, as normals."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def standard_normal(self, out: Array) -> None:
        d, n = out.shape
        if d > MOST_EVEN:
            self._rng.standard_normal(out=out)
            return
        out[:] = ndtri(np.clip(Halton(d, rng=self._rng).random(n).T, 1e-300, 1.0 - 1e-16))


def _run(tape: Tape, law: SmoothedData, n: int, rng: np.random.Generator) -> Array:
    """n outputs of the tape from its own start, (n, d)."""
    walk = TapeWalk(tape, law)
    out, chunk = [], max(walk.chunk // law.d, 64)
    for begin in range(0, n, chunk):
        z = np.empty((law.d, min(chunk, n - begin)))
        walk.start(_EvenStart(rng), z)  # type: ignore[arg-type]
        walk.walk(rng, z)
        out.append(z.T.copy())
    found = np.concatenate(out)
    if not np.isfinite(found).all():
        raise BadInput("tape", str(tape.made.get("sampler", "tape")), "overflows on these samples")
    return found


def _generator(*parts: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(parts)))
