"""A real data set sampled with its exact score and no network: smoothed by noise, against held-out data.

The data are split in two. The sampler's target is one half smoothed by noise (its score is a softmax over
that half); its samples are compared with the other half, beside what the two halves are apart themselves.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numerics.samplers.sampling import samples as draw
from numerics.targets.mixtures import SmoothedData
from numerics.transport.samples import plugin_w2
from wbound.errors import BadInput, count
from wbound.forward.catalogue import process as named
from wbound.forward.forward_process import Process
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import setting
from wbound.sampler.scheme import Scheme
from wbound.statement.statement_object import Bound
from wbound.theory.statements import upper_bound
from wbound.typing import Array

__all__ = ["HeldOut", "held_out"]


#: λ(T) of the default process, in units of E|X_0|².
FAR = 100.0


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What came out, in x: ``w2`` of samples and held-out half (plug-in, W2, not squared); ``floor``, that of
    the two halves themselves, and ``floor_smoothed``, of fresh smoothed data and the held-out half.

    ``samples`` (n, d); ``target``: what they are drawn from; ``bound``: Theorem 2′ on the sampler's law and
    the target's, None for ODE schemes (Theorem 3 needs A1); ``seconds``: what sampling took; ``pairs``:
    points in each W2.
    """

    w2: float
    floor: float
    floor_smoothed: float
    samples: Array
    target: SmoothedData
    bound: Bound | None
    seconds: float
    pairs: int

    def to_dict(self) -> dict[str, Any]:
        """The numbers, without the arrays."""
        numbers = {
            name: getattr(self, name) for name in ("w2", "floor", "floor_smoothed", "seconds", "pairs")
        }
        bound = None if self.bound is None or math.isinf(self.bound.total) else self.bound.total
        return {**numbers, "bound": bound, "vacuous": self.bound.vacuous if self.bound else None}


def held_out(
    points: ArrayLike,
    tau: float = 1.0,
    *,
    process: Process | None = None,
    T: float | None = None,
    K: int = 200,
    n: int = 1000,
    scheme: str | Scheme = "hf",
    grid: str | Grid = "edm",
    start: str = "prior",
    seed: int = 0,
) -> HeldOut:
    """Sample one half of a data set, smoothed by τ, with its exact score; compare with the other half.

    points: (N, …) numbers, N ≥ 4, centred here (as the prior is); tau > 0 in their unit; process and T:
    default ve-sqrt with a = 1, which has σ(t) = t (Karras et al.), up to λ(T) = 100 E|X_0|²; K steps of
    ``scheme`` on ``grid`` from ``start``; n samples. The W2 are plug-in values of equal numbers of points:
    biased upward alike, so they are to be read beside each other (evidence, no bound). Raises `BadInput`.
    """
    target, other = _halves(points, tau, seed)
    n = count("n", n)
    chosen = process if process is not None else named("ve-sqrt", a=1.0)
    end = T
    if end is None:
        end = float(chosen.time_of(math.log(FAR * target.second_moment)))
    s = setting(chosen, target, end, K, scheme=scheme, start=start, grid=grid)
    began = time.perf_counter()
    x = draw(s, n, seed)
    seconds = time.perf_counter() - began
    pairs = min(n, len(other), len(target.points))
    fresh = target.sample(pairs, seed + 1)
    bound = None if s.scheme.flow else upper_bound("sharp", s.scheme)(s)
    return HeldOut(
        w2=plugin_w2(x[:pairs], other[:pairs]),
        floor=plugin_w2(target.points[:pairs], other[:pairs]),
        floor_smoothed=plugin_w2(fresh, other[:pairs]),
        samples=x,
        target=target,
        bound=bound,
        seconds=seconds,
        pairs=pairs,
    )


def _halves(points: ArrayLike, tau: float, seed: int) -> tuple[SmoothedData, Array]:
    """One half of the centred data, smoothed, and the other half (rows, d)."""
    try:
        rows = np.asarray(points, float)
    except (TypeError, ValueError):
        raise BadInput("points", type(points).__name__, "must be numbers") from None
    if rows.ndim < 2 or rows.shape[0] < 4:
        raise BadInput("points", f"shape {rows.shape}", "must be of shape (N, …) with N >= 4")
    rows = rows - rows.mean(axis=0)
    order = np.random.default_rng(count("seed", seed, 0)).permutation(len(rows))
    half = len(rows) // 2
    return SmoothedData(rows[order[:half]], tau), rows[order[half:]].reshape(len(rows) - half, -1)
