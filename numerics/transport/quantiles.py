"""Laws on the line as quantile functions: samples with weights, a user's functions, their coupling.

The optimal coupling of two laws on the line is the comonotone one, so everything here is about two
nondecreasing functions on (0, 1). Also `finite_array`, the check of what a user hands in as numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from numerics.io.reading import finite_array
from wbound.errors import BadInput, IOFailure
from wbound.typing import Array

__all__ = ["Quantile", "Steps", "couple", "law", "merge_counts", "quantile_w2", "rms"]

Quantile = Callable[[Array], ArrayLike]

_EPS = float(np.finfo(np.float64).eps)
_END = 36.0  # levels run over 1/(1 + e^{±36}): the upper one is the second largest double below 1


@dataclass(frozen=True)
class Steps:
    """A sample's quantile function: ``points`` in order, each taken up to its level (the last is 1)."""

    points: Array
    levels: Array
    equal: bool

    def __call__(self, u: Array) -> Array:
        return self.points[self.index(u)]

    def index(self, u: Array) -> NDArray[np.intp]:
        """Which point has level u."""
        return np.minimum(np.searchsorted(self.levels, u), len(self.points) - 1)


def law(option: str, value: Any, weights: Any) -> Steps | Quantile:
    """A sample's quantile function, or the user's own with its answers checked; else `BadInput`."""
    if callable(value):
        if weights is not None:
            allowed = f"must be absent where {option} is a quantile function"
            raise BadInput(f"{option}_weights", "given", allowed)
        return _checked(option, value)
    allowed = "must be a sample of shape (n,), n >= 1, finite, or a quantile function"
    points = finite_array(option, value, allowed)
    if points.ndim != 1 or points.size == 0:
        raise BadInput(option, f"shape {points.shape}", allowed)
    if weights is None:
        return Steps(np.sort(points), np.arange(1, points.size + 1) / points.size, True)
    allowed = f"must be {points.size} finite numbers >= 0 with a sum > 0"
    mass = finite_array(f"{option}_weights", weights, allowed)
    if mass.shape != points.shape:
        raise BadInput(f"{option}_weights", f"shape {mass.shape}", allowed)
    if mass.min() < 0.0 or mass.max() == 0.0:
        raise BadInput(f"{option}_weights", f"{mass.min():g} to {mass.max():g}", allowed)
    order = np.argsort(points)
    order = order[mass[order] > 0.0]
    levels = np.cumsum(mass[order] / mass.max())
    return Steps(points[order], levels / levels[-1], False)


def couple(one: Steps, two: Steps) -> float:
    """W2 (not squared) of two samples. Exact."""
    if one.equal and two.equal:
        i, j, mass = merge_counts(len(one.points), len(two.points))
    else:
        levels = np.union1d(one.levels, two.levels)
        i, j, mass = one.index(levels), two.index(levels), np.diff(levels, prepend=0.0)
    return rms(one.points[i] - two.points[j], mass)


def merge_counts(n: int, m: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """The comonotone coupling of n and m equal weights, in whole numbers: indices into both, masses."""
    if n == m:
        same = np.arange(n)
        return same, same, np.full(n, 1.0 / n)
    levels = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)  # in units of 1/(n m)
    return (levels - 1) // m, (levels - 1) // n, np.diff(levels, prepend=0) / (n * m)


def rms(gap: Array, mass: Array) -> float:
    """Root of the mean of gap² with weights ``mass``, scaled so that no square overflows."""
    scale = float(np.abs(gap).max(initial=0.0))
    if scale == 0.0:
        return 0.0
    return scale * math.sqrt(float(mass @ (gap / scale) ** 2))


def quantile_w2(one: Steps | Quantile, two: Steps | Quantile, rtol: float) -> float:
    """W2 (not squared) with a relative error of at most ``rtol``, or `IOFailure`.

    ∫(Q_x − Q_y)² du with u = 1/(1 + e^{−s}): panels in s, cut at the jumps of samples, are bisected until
    the error estimates add up to less than is allowed.
    """
    edges = np.linspace(-_END, _END, 73)
    for side in (one, two):
        if isinstance(side, Steps):
            edges = np.append(edges, logit(side.levels[:-1]))
    edges = np.unique(edges[np.abs(edges) <= _END])
    low, high = edges[:-1], edges[1:]
    table = _panels(one, two, low, high)
    most = 20 * len(low) + 20_000
    while True:
        value, error, size = table.sum(axis=1)
        # Q carries rounding errors, so (Q_x − Q_y)² is known to 2 W2·noise + noise² at best
        noise = 4.0 * _EPS * math.sqrt(size)
        allowed = 2.0 * rtol * value + 2.0 * math.sqrt(value) * noise + noise * noise
        if error <= allowed:
            break
        order = np.argsort(table[1])
        split = order[np.cumsum(table[1][order]) > 0.5 * allowed]
        middle = 0.5 * (low[split] + high[split])
        if len(low) > most or not ((low[split] < middle) & (middle < high[split])).all():
            raise IOFailure(
                f"quadrature of quantile functions stopped at a relative error of {error / value:.2g}"
            )
        left, right = np.append(low[split], middle), np.append(middle, high[split])
        low, high = np.append(np.delete(low, split), left), np.append(np.delete(high, split), right)
        table = np.append(np.delete(table, split, axis=1), _panels(one, two, left, right), axis=1)
    ends = expit(np.array([-_END, _END]))
    tail = float(((np.asarray(one(ends)) - np.asarray(two(ends))) ** 2).sum() * ends[0])
    if tail > allowed:
        share = f"they carry about {tail / value:.2g} of W2 squared"
        raise IOFailure(f"tails too heavy for a quadrature to {rtol:g}: beyond levels of 1e-16 {share}")
    return math.sqrt(value)


def _clenshaw_curtis(n: int) -> tuple[Array, Array]:
    """Nodes and weights of the rule with n + 1 nodes on [−1, 1], n even; exact for degree n."""
    angle, j = np.pi * np.arange(n + 1) / n, np.arange(1, n // 2 + 1)
    share = np.where(2 * j == n, 1.0, 2.0) / (4 * j * j - 1)
    weight = (1.0 - np.cos(2.0 * np.outer(angle, j)) @ share) * 2.0 / n
    weight[[0, -1]] *= 0.5
    return -np.cos(angle), weight


# Nested, with the ends of the panel: a jump anywhere shows in the difference of the two rules, whose
# 1.4-fold bounds the error of the finer one for every place of the jump (Gauss rules have blind places).
_NODES, _FINE = _clenshaw_curtis(16)
_COARSE = np.zeros(17)
_COARSE[::2] = _clenshaw_curtis(8)[1]


def _panels(one: Steps | Quantile, two: Steps | Quantile, low: Array, high: Array) -> Array:
    """Rows: ∫(Q_x − Q_y)² du, its error estimate, ∫(Q_x² + Q_y²) du: one column a panel."""
    if len(low) > 4096:  # keep the tables of nodes small
        cuts = range(0, len(low), 4096)
        return np.concatenate(
            [_panels(one, two, low[k : k + 4096], high[k : k + 4096]) for k in cuts], axis=1
        )
    half, middle = 0.5 * (high - low)[:, None], 0.5 * (low + high)[:, None]
    s = middle + half * _NODES
    # a sample is constant on a panel, as no panel reaches over one of its jumps
    a, b = (np.asarray(side(expit(middle if isinstance(side, Steps) else s))) for side in (one, two))
    mass = half * expit(s) * expit(-s)
    square = (a - b) ** 2 * mass
    fine = square @ _FINE
    return np.stack([fine, 1.4 * np.abs(fine - square @ _COARSE), ((a * a + b * b) * mass) @ _FINE])


def _checked(option: str, function: Quantile) -> Quantile:
    """A user's quantile function that refuses answers of the wrong shape, infinite, or decreasing."""
    allowed = "must be a quantile function: levels in (0, 1) to finite, nondecreasing values, same shape"

    def evaluate(u: Array) -> Array:
        q = finite_array(option, function(u), allowed)
        if q.shape != u.shape:
            raise BadInput(option, f"returned shape {q.shape} for {u.shape}", allowed)
        along = q.ravel()[np.argsort(u, axis=None, kind="stable")]
        if (np.diff(along) < -1e-9 * np.abs(along).max()).any():
            raise BadInput(option, "a decreasing function", allowed)
        return q

    return evaluate
