"""Arrays of a user's own, checked before they are read as a schedule."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics.io.reading import MOST
from wbound.errors import BadInput
from wbound.typing import Array

__all__ = ["inside", "vector", "without_infinity"]


def without_infinity(values: ArrayLike, form: str) -> tuple[ArrayLike, int | None]:
    """The array without a start at λ = ∞ (ᾱ = 0, or a last β = 1), and at which index that was; as it is, and
    None, where there is none."""
    a = np.asarray(values)
    if a.ndim != 1 or a.size < 2 or a.dtype.kind not in "fiu":
        return values, None
    if form == "betas" and a[-1] == 1.0:
        return a[:-1], a.size - 1
    if form == "alphas_cumprod" and a[-1] == 0.0 and a[0] != 0.0:
        return a[:-1], a.size - 1
    if form == "alphas_cumprod" and a[0] == 0.0 and a[-1] != 0.0:
        return a[1:], 0
    return values, None


def vector(values: ArrayLike, form: str, begin: int = 0) -> Array:
    """A finite real vector, whose first value has the index ``begin``. Raises `BadInput`."""
    try:
        given = np.asarray(values)
    except (TypeError, ValueError):
        raise BadInput(form, "an array", "must be numbers of one length") from None
    if given.dtype.kind not in "fiu" and given.size:
        raise BadInput(form, f"dtype {given.dtype}", "must be real numbers")
    a = given.astype(float)
    if a.ndim != 1 or a.size < 1:
        raise BadInput(form, f"shape {a.shape}", "must be a vector of at least one value")
    if a.size > MOST:
        raise BadInput(form, f"{a.size} values", f"must have at most {MOST}")
    bad = np.flatnonzero(~np.isfinite(a))
    if bad.size:
        raise BadInput(form, f"{a[bad[0]]} at index {begin + bad[0]}", "must be finite")
    return a


def inside(a: Array, form: str, low: float, high: float, place: NDArray[np.intp] | None = None) -> None:
    """Refuse values outside (low, high); place: where each value stands in the array as it was given."""
    bad = np.flatnonzero((a <= low) | (a >= high))
    if bad.size:
        k = bad[0] if place is None else bad[np.argmin(place[bad])]
        at = k if place is None else place[k]
        infinite = (form == "alphas_cumprod" and a[k] == 0.0) or (form == "betas" and a[k] == 1.0)
        why = ": lam is infinite there, pure noise, which no number here covers" if infinite else ""
        raise BadInput(form, f"{a[k]:g} at index {at}", f"must be above {low:g} and below {high:g}{why}")
