"""Noise levels λ (x²) as arrays: what is taken for some, and geometric ones, on which `ddim`'s error on Gaussian data is
almost one scalar (section 16 of docs/theory.md)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from wbound.errors import BadInput
from wbound.typing import Array

__all__ = ["geometric_error", "geometric_step", "levels_of"]

#: How far the steps of a geometric grid may differ, relatively.
EVEN = 1e-9


def levels_of(levels: ArrayLike) -> Array:
    """Levels λ_0 > … > λ_K ≥ 0 (K+1,) in x². Raises `BadInput`."""
    try:
        lam = np.array(levels, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise BadInput("levels", levels, "must be an array of numbers") from None
    if lam.ndim != 1 or lam.size < 2:
        raise BadInput("levels", lam.shape, "must be a vector of at least two levels")
    if not np.isfinite(lam).all():
        raise BadInput("levels", float(lam[~np.isfinite(lam)][0]), "must be finite")
    if lam[-1] < 0.0:
        raise BadInput("levels", float(lam[-1]), "must be >= 0")
    steps = np.diff(lam)
    if (steps >= 0.0).any():
        k = int(np.argmax(steps >= 0.0)) + 1
        raise BadInput(
            "levels", float(lam[k]), f"must decrease strictly: level {k} is not below the one before"
        )
    return lam


def geometric_step(levels: ArrayLike) -> tuple[float, bool]:
    """h = log(λ_{k−1}/λ_k) of levels λ (x²) that are geometric, and whether a last step goes to 0.

    Raises `BadInput` where they are not geometric, or fewer than two are above 0.
    """
    lam = levels_of(levels)
    positive_levels = lam[lam > 0.0]
    if positive_levels.size < 2:
        raise BadInput("levels", positive_levels.size, "must hold two levels above 0")
    steps = -np.diff(np.log(positive_levels))
    if float(np.ptp(steps)) > EVEN * float(steps.max()):
        raise BadInput(
            "levels",
            f"steps from {steps.min():.6g} to {steps.max():.6g}",
            "must be geometric, as the grid log-lam's: log(lam_{k-1}/lam_k) one number",
        )
    logs = np.log(positive_levels[[0, -1]])  # their ratio may leave double precision
    h = float(logs[0] - logs[1]) / (positive_levels.size - 1)
    return h, bool(lam[-1] == 0.0)


def geometric_error(levels: ArrayLike, variances: ArrayLike) -> Array:
    """R (E,) with |log(r/√x) + h/8| ≤ R, r = √λ_0 times the gain of `ddim` on geometric ``levels`` λ (x²).

    Implements Eq. 18 (docs/theory.md, section 16): *upper*; the output undivided at the last level above 0, or at 0.
    variances: eigenvalues x > 0 (E,), x². Raises `BadInput`.
    """
    h, to_zero = geometric_step(levels)
    lam = levels_of(levels)
    lam = lam[lam > 0.0]
    x = np.atleast_1d(np.asarray(variances, dtype=np.float64))
    if not (np.isfinite(x) & (x > 0.0)).all():
        raise BadInput("variances", variances, "must be finite numbers > 0")
    z = 2.0 * math.pi**2 / h
    ripple = 0.25 * math.pi**2 / math.sinh(z) if z < 700.0 else 0.0
    first, last = x / lam[0], lam[-1] / x
    if to_zero:
        return np.asarray(ripple + (first + last) / (1.0 + math.exp(0.5 * h)))
    ends = np.maximum(first / (1.0 + math.exp(0.5 * h)), last / (1.0 + math.exp(-0.5 * h)))
    return np.asarray(ripple + ends)
