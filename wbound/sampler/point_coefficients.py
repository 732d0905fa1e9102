"""f and g² taken at one end of a step, beside their integrals over it (section 3 of docs/theory.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from wbound.calculus.quadrature import CHUNK, rule
from wbound.errors import BadInput
from wbound.sampler.steps import Batch
from wbound.typing import Array

__all__ = ["Pointwise", "pointwise"]


#: What the difference of an integral and its rectangle loses, relative to the two.
ROUNDING = 1e-15


class Pointwise(NamedTuple):
    """f(τ)η (no unit) and g²(τ)η (x²) of each step (N,), and what the integrals ∫f and ∫g² are more than that
    (0.0 where they are the same)."""

    F: Array
    G: Array
    F_rest: Array | float
    G_rest: Array


def pointwise(b: Batch, scheme: str, *, arrival: bool) -> Pointwise:
    """`Pointwise` at the departure τ_{k−1} of each reverse step, or at its arrival τ_k.

    ∫f − f(τ)η is −∫(t − τ_k)f′ dt at the departure and ∫(τ_{k−1} − t)f′ dt at the arrival, which loses no
    digits on short steps; on long ones, and where f′ is not smooth, the difference itself is taken: whichever
    has the smaller error. Raises `BadInput`, naming ``scheme``, where f or g is infinite at t = 0.
    """
    p = b.process
    at = b.t_lo if arrival else b.t_hi
    width = b.t_hi - b.t_lo
    with np.errstate(all="ignore"):  # infinite at 0: refused; a huge step: infinite, and the bound says so
        f, g = p.f(at), p.g(at)
        for letter, value in (("f", f), ("g", g)):
            if (wrong := np.flatnonzero((at == 0.0) & ~np.isfinite(value))).size:
                told = f"takes {letter} at t = 0, where it is {value[wrong[0]]:g}: take em or em-point"
                raise BadInput("scheme", scheme, told)
        F, G = f * width, g**2 * width
        slope_f, slope_g2 = p.slopes
        F_rest: Array | float = 0.0
        if p.family == "ve":
            F = np.zeros_like(G)
        else:
            F_rest = _rest(slope_f, b, b.steps.F, F, arrival)
        if p.kappa is not None:  # g² = 2κf
            G_rest = 2.0 * p.kappa * np.asarray(F_rest)
        else:
            G_rest = _rest(slope_g2, b, b.steps.G, G, arrival)
    return Pointwise(F, G, F_rest, G_rest)


def _rest(slope: Callable[[Array], Array], b: Batch, whole: Array, rectangle: Array, arrival: bool) -> Array:
    """An integral over each step minus its rectangle (N,): by the slope, or as it stands where that is more
    exact."""
    out = whole - rectangle
    smooth = np.ones(b.size, bool)
    for kink in b.process.kinks:
        smooth &= ~((b.t_lo < kink) & (kink < b.t_hi))
    for start in range(0, b.size, CHUNK):
        part = slice(start, start + CHUNK)
        lo, width = b.t_lo[part], b.t_hi[part] - b.t_lo[part]
        by_slope, coarse = (_by_slope(slope, lo, width, n, arrival) for n in (10, 6))
        lost = ROUNDING * (np.abs(whole[part]) + np.abs(rectangle[part]))
        better = np.abs(by_slope - coarse) < np.maximum(lost, ROUNDING * np.abs(by_slope))
        out[part] = np.where(better & smooth[part], by_slope, out[part])
    return out


def _by_slope(slope: Callable[[Array], Array], lo: Array, width: Array, n: int, arrival: bool) -> Array:
    r = rule(n)
    weight = r.w * (1.0 - r.x if arrival else -r.x)
    value: Array = width * width * (slope(lo[:, None] + width[:, None] * r.x) @ weight)
    return value
