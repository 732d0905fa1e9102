"""How far data are from the Gaussian with their mean and covariance, on which exact laws judge samplers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from wbound.errors import BadInput
from wbound.typing import Array

__all__ = ["Departure", "departures"]


#: So many directions of largest variance are looked at, and so many coordinates.
DIRECTIONS, COORDINATES = 8, 256
#: Rows or columns up to which all singular vectors are made.
SMALL = 512
#: Samples that are looked at.
ROWS = 4000
#: W2 between a direction's law, at variance 1, and N(0, 1) from which it is called far: Laplace's law is at 0.22, the
#: uniform one at 0.21, two points at 0.64.
FAR = 0.2
#: What W2 of so many normal samples rarely exceeds, times √n.
NOISE = 4.0
#: |E X_0| in units of √(E|X_0 − E X_0|²) from which data are off-centre.
OFF_CENTRE = 0.5


@dataclass(frozen=True)
class Departure:
    """One way in which data are not what a ranking by the Gaussian takes them for. ``kind``: "tails", "clusters",
    "shape", "centre" or "few"; ``size``: W2 along the worst direction at variance 1; ‖mean‖ over the spread; n/d."""

    kind: str
    size: float
    text: str


def departures(samples: NDArray[Any]) -> tuple[Departure, ...]:
    """What a ranking on N(mean, covariance) of the samples (n, …) does not see: heavy tails and clusters along the
    directions of largest variance and the coordinates, a mean far from 0, fewer samples than dimensions.

    A direction is judged by W2 between its samples, at mean 0 and variance 1, and N(0, 1). Raises `BadInput`.
    """
    a = np.asarray(samples)
    if a.ndim < 2 or a.shape[0] < 2 or a.dtype.kind not in "fiub":
        raise BadInput("data", f"shape {a.shape}, dtype {a.dtype}", "must be real numbers (n, …), n >= 2")
    n, d = a.shape[0], math.prod(a.shape[1:])
    rows = a.reshape(n, d)[np.random.default_rng(0).permutation(n)[:ROWS]].astype(float)
    mean = rows.mean(axis=0)
    rows -= mean
    spread = math.sqrt(float((rows**2).sum()) / len(rows))
    out = []
    worst, excess = _worst(rows)
    if worst > max(FAR, NOISE / math.sqrt(len(rows))):
        kind, words = (
            ("tails", "heavy tails")
            if excess > 1.0
            else ("clusters", "clusters, or edges")
            if excess < -0.8
            else ("shape", "uneven, neither heavy-tailed nor in two clusters")
        )
        text = f"far from Gaussian: {words} (W2 {worst:.2g} from N(0, 1) along one direction at variance 1, excess "
        out.append(Departure(kind, worst, f"{text}kurtosis {excess:.2g})"))
    share = float(np.linalg.norm(mean)) / spread if spread > 0.0 else math.inf
    if share > OFF_CENTRE:
        text = f"off-centre: |mean| is {share:.2g} times the spread, and samplers start at 0: subtract it"
        out.append(Departure("centre", share, text))
    if n < d:
        text = (
            f"{n} samples for {d} dimensions: most of the covariance is a guess (shrunk toward one variance)"
        )
        out.append(Departure("few", n / d, text))
    return tuple(out)


def _axes(rows: Array, count: int) -> Array:
    """The ``count`` first right singular vectors (count, d)."""
    if min(rows.shape) <= SMALL:
        return np.asarray(np.linalg.svd(rows, full_matrices=False)[2][:count])
    from scipy.sparse.linalg import svds

    return np.asarray(svds(rows, count, v0=np.ones(min(rows.shape)))[2])


def _worst(rows: Array) -> tuple[float, float]:
    """(W2 from N(0, 1) at variance 1, excess kurtosis) of the direction that is farthest."""
    n, d = rows.shape
    columns = [rows[:, i] for i in np.argsort(rows.var(axis=0))[::-1][:COORDINATES]]
    count = min(DIRECTIONS, d, n - 1)
    if count and rows.any():
        columns += list((rows @ _axes(rows, count).T).T)
    normal = ndtri((np.arange(n) + 0.5) / n)
    found = [(0.0, 0.0)]
    for column in columns:
        size = float(column.std())
        if size <= 1e-9 * float(np.abs(rows).max()):
            continue
        z = np.sort((column - column.mean()) / size)
        found.append((math.sqrt(float(((z - normal) ** 2).mean())), float((z**4).mean()) - 3.0))
    return max(found)
