"""Values along an axis, and the power of K by which a line falls."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from wbound.typing import Array

__all__ = ["geometric", "slope", "spaced"]

#: A point belongs to a slope in K where the start's share of the value is at most this.
START_SHARE = 0.1


def geometric(start: float, stop: float, points: int) -> Array:
    """Integers from start to stop, geometrically spaced, without repetition (float64)."""
    values = np.rint(np.geomspace(start, stop, points))
    return np.unique(values)


def spaced(axis: str, start: float, stop: float, points: int) -> Array:
    """Values of an axis from start to stop, geometrically spaced: integers for K and d."""
    return geometric(start, stop, points) if axis in ("K", "d") else np.geomspace(start, stop, points)


def slope(x: ArrayLike, y: ArrayLike, share: ArrayLike | None = None, decades: float = 1.0) -> float | None:
    """The power p of y ≈ x^p: least squares in logarithms over the last ``decades`` of x in which y is
    positive and finite and ``share`` (the start's part of y) at most `START_SHARE`; None below 3 points."""
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    good = np.isfinite(ys) & (ys > 0.0)
    if share is not None:
        with np.errstate(invalid="ignore"):  # where y is nan it is not good anyway
            good &= np.abs(np.asarray(share, float)) <= START_SHARE * np.abs(ys)
    if not good.any():
        return None
    good &= xs >= xs[good].max() * 10.0**-decades * (1.0 - 1e-9)
    if good.sum() < 3:
        return None
    return float(np.polyfit(np.log(xs[good]), np.log(ys[good]), 1)[0])
