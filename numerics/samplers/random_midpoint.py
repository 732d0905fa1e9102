"""The randomised midpoint as a sampler with the exact score, for any target (section 17 of docs/theory.md)."""

from __future__ import annotations

import math

import numpy as np

from wbound.errors import BadInput, count
from wbound.memory import fits
from wbound.sampler.make_setting import Setting
from wbound.typing import Array

__all__ = ["RUNS", "outputs"]

#: How often the times are drawn.
RUNS = 256


def outputs(s: Setting, n: int, rng: np.random.Generator, runs: int = RUNS) -> Array:
    """n outputs y_K of a `Setting` whose scheme is one of `wbound.sampler.scheme.RANDOM_TIMES`: (n, d) float64 in x (y_K/α_K
    where the grid stops early).

    The step is that of `random_midpoint_law`, for any target with a ``score`` and a ``sample``. Each output has the
    sampler's law; the evaluation times are drawn ``runs`` times, and outputs of one run share them: they are independent
    given the times. Raises `BadInput`.
    """
    target = s.data
    for name in ("score", "sample"):
        if not hasattr(target, name):
            raise BadInput("target", type(target).__name__, f"must have a method {name}")
    n, runs = count("n", n), min(count("runs", runs), count("n", n))
    fits("n", n, 8.0 * target.d, "the outputs")
    lam = np.exp(s.nodes.log_lam)
    alpha, start, noisy = math.exp(s.nodes.first[0]), s.start, not s.scheme.flow
    out = []
    for part in np.array_split(np.arange(n), runs):
        size = (part.size, target.d)
        y = rng.standard_normal(size) * (1.0 / alpha if start == "standard" else math.sqrt(lam[0]))
        if start == "exact":
            y = y + target.sample(part.size, rng)
        for before, after in zip(lam, lam[1:], strict=False):
            H, u = before - after, rng.random()
            pull = H if noisy else 0.5 * H
            shake = math.sqrt(u * H) * rng.standard_normal(size) if noisy else 0.0
            inner = y + u * pull * target.score(y, 1.0, float(before)) + shake
            y = y + pull * target.score(inner, 1.0, float(before - u * H)) + shake
            if noisy:
                y = y + math.sqrt((1.0 - u) * H) * rng.standard_normal(size)
        out.append(y)
    return np.concatenate(out)
