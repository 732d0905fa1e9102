"""A smooth density on the line, held on a uniform grid, under maps and Gaussian noise.

The grid holds log p, which is close to a parabola where p spans twenty orders of magnitude: local
polynomials of degree 9 join the nodes, tails keep their relative accuracy, and sums over the grid are
trapezoidal rules of smooth decaying functions, hence accurate beyond any power of the spacing.

Source: Trefethen & Weideman, *The exponentially convergent trapezoidal rule* (SIAM Review 2014).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from wbound.calculus.quadrature import rule
from wbound.errors import IOFailure
from wbound.extras import needing
from wbound.typing import Array

__all__ = ["Density", "Map", "convolve", "of_function"]

Map = Callable[[Array], Array]

#: log p is kept down to this below its peak: 1e−20.
DEPTH = 46.0
#: Standard deviations of noise that matter for where the law lies: e^{−z²/2} is then 1e−20.
NOISE = 9.6
#: Gaussians are summed to 1e−29 of their peak, and a floor of that height keeps log p smooth between modes.
FAR = 11.5
FLOOR = 1e-29
#: A trapezoidal sum of Gaussians of width s at spacing h ≤ s/1.25 is off by 2 exp(−2π²(s/h)²) < 1e−13.
RESOLVE = 1.25
#: Nodes are added up to this factor to resolve narrow noise; beyond it the noise is a short average.
MOST_SPLIT = 16
_MOST_NODES = 1 << 20
_HALF = 5  # of the 10 points of the local polynomials


@cache
def _kernels() -> Any:
    """The compiled loops (compiled on first use, kept on disk)."""
    with needing("samplers"):
        from numba import njit

    @njit(cache=True, nogil=True, error_model="numpy")
    def shape(x: Array) -> tuple[bool, float, bool]:
        """Whether all x are finite, their largest distance from one to the next, and whether they run one way."""
        most, up, down = 0.0, True, True
        for i in range(x.size):
            if not math.isfinite(x[i]):
                return False, math.inf, False
            if i:
                step = x[i] - x[i - 1]
                most, up, down = max(most, abs(step)), up and step > 0.0, down and step < 0.0
        return True, most, up or down

    @njit(cache=True, nogil=True, error_model="numpy")
    def summed(x: Array, w: Array, s: float, n: int) -> tuple[float, float, Array]:
        """Σ_j w_j N(x_j, s²) as lo, h and log p of about n nodes, cut where p is below 1e−20 of its peak. A coarse grid
        finds where that is. Each Gaussian, exp(−(lo + ih − x_j)²/2s²), runs over the grid by two products a node."""
        lo, hi = x.min() - NOISE * s, x.max() + NOISE * s
        h, size = (hi - lo) / 192, 193
        for fine in range(2):
            p = np.zeros(size)
            d = h / s
            shrink = math.exp(-d * d)
            for j in range(x.size):
                u = (x[j] - lo) / h
                if not -1e9 < u < 1e9:
                    continue
                i0 = min(max(math.floor(u + 0.5), 0), size - 1)
                r = (i0 - u) * d
                if abs(r) > FAR:
                    continue
                top = w[j] * math.exp(-0.5 * r * r)
                ratio = math.exp(-r * d - 0.5 * d * d)
                value = top
                for i in range(i0, min(size - 1, int(u + FAR / d)) + 1):
                    p[i] += value
                    value *= ratio
                    ratio *= shrink
                ratio = math.exp(r * d - 0.5 * d * d)
                value = top * ratio
                ratio *= shrink
                for i in range(i0 - 1, max(0, math.ceil(u - FAR / d)) - 1, -1):
                    p[i] += value
                    value *= ratio
                    ratio *= shrink
            p += FLOOR * p.max()
            least = p.max() * math.exp(-DEPTH)
            first, last = 0, size - 1
            while p[first] < least:
                first += 1
            while p[last] < least:
                last -= 1
            if not fine:
                lo, hi = max(lo, lo + (first - 1) * h), min(hi, lo + (last + 1) * h)
                h, size = (hi - lo) / n, n + 1
        p = p[first : last + 1]
        return lo + first * h, h, np.log(p / (p.sum() * h))

    @njit(cache=True, nogil=True, error_model="numpy")
    def lagrange(padded: Array, weights: Array, t: Array, out: Array) -> None:
        """Degree-9 interpolation at t, counted in nodes of the unpadded grid; linear beyond the padding."""
        last = padded.size - 2 * _HALF  # cells of the unpadded grid + 1
        for k in range(t.size):
            cell = min(max(math.floor(t[k]), 0), last - 1)
            v = t[k] - cell
            if v < -1.0 or v > 2.0:  # a straight line through the last cell
                a, b = padded[cell + _HALF], padded[cell + _HALF + 1]
                out[k] = a + (b - a) * v
                continue
            top, bottom, hit = 0.0, 0.0, -1
            for i in range(2 * _HALF):
                gap = v - (i - _HALF + 1)
                if gap == 0.0:
                    hit = i
                    break
                q = weights[i] / gap
                top += q * padded[cell + 1 + i]
                bottom += q
            out[k] = padded[cell + 1 + hit] if hit >= 0 else top / bottom

    return shape, summed, lagrange


_BARYCENTRIC = np.array([(-1.0) ** i * math.comb(2 * _HALF - 1, i) for i in range(2 * _HALF)])
#: Central difference of order 10: f′ ≈ Σ c_j (f_{+j} − f_{−j}).
_SLOPE = np.array([5.0 / 6.0, -5.0 / 21.0, 5.0 / 84.0, -5.0 / 504.0, 1.0 / 1260.0])


def _pad(values: Array) -> Array:
    """Five more nodes at either end by a parabola: there the density is 1e−20 of its peak."""
    out = np.empty(values.size + 2 * _HALF)
    out[_HALF:-_HALF] = values
    for i in range(_HALF - 1, -1, -1):
        out[i] = 3.0 * out[i + 1] - 3.0 * out[i + 2] + out[i + 3]
    for i in range(out.size - _HALF, out.size):
        out[i] = 3.0 * out[i - 1] - 3.0 * out[i - 2] + out[i - 3]
    return out


@dataclass(frozen=True, eq=False)
class Density:
    """exp(log_p) on z_i = lo + i h, normalised on construction by `normalised`; z in x, log_p (n,)."""

    lo: float
    h: float
    log_p: Array

    @property
    def z(self) -> Array:
        return np.asarray(self.lo + self.h * np.arange(self.log_p.size), float)

    @cached_property
    def p(self) -> Array:
        """p at the nodes, in 1/x."""
        return np.exp(self.log_p)

    @cached_property
    def _padded(self) -> Array:
        return _pad(self.log_p)

    def at(self, z: Array) -> Array:
        """log p at any z."""
        return _interpolate(self._padded, (z - self.lo) / self.h)

    def split(self, factor: int) -> Density:
        """The same density on a grid ``factor`` times as fine."""
        if factor == 1:
            return self
        t = np.arange((self.log_p.size - 1) * factor + 1) / factor
        return Density(self.lo, self.h / factor, _interpolate(self._padded, t))

    def trimmed(self) -> Density:
        """Without the ends where p is below 1e−20 of its peak, normalised."""
        keep = np.flatnonzero(self.log_p >= self.log_p.max() - DEPTH)
        first, last = int(keep[0]), int(keep[-1])
        log_p = self.log_p[first : last + 1]
        top = float(log_p.max())
        total = math.log(float(np.exp(log_p - top).sum()) * self.h) + top
        return Density(self.lo + first * self.h, self.h, log_p - total)

    @cached_property
    def node_tails(self) -> tuple[Array, Array]:
        """P(Z ≤ z_i) and P(Z > z_i), each summed from its own side."""
        r = rule(8)
        n = self.log_p.size
        t = (np.arange(n - 1)[:, None] + r.x).ravel()
        cells = np.exp(_interpolate(self._padded, t)).reshape(n - 1, -1) @ r.w * self.h
        # beyond the ends: an exponential with the last cell's slope
        slopes = np.abs(np.array([self.log_p[1] - self.log_p[0], self.log_p[-1] - self.log_p[-2]])) / self.h
        with np.errstate(divide="ignore"):  # a flat end would have no tail estimate: none is added
            ends = np.where(slopes > 0.0, self.p[[0, -1]] / slopes, 0.0)
        below = np.cumsum(np.concatenate((ends[:1], cells)))
        above = np.cumsum(np.concatenate((ends[1:], cells[::-1])))[::-1]
        return below, above

    def tails(self, z: Array) -> tuple[Array, Array]:
        """P(Z ≤ z) and P(Z > z) at any z within the grid, each with its own relative accuracy."""
        below, above = self.node_tails
        n = self.log_p.size
        t = np.clip((z - self.lo) / self.h, 0.0, n - 1.0)
        cell = np.minimum(t.astype(np.intp), n - 2)
        left = below[cell] + self._part(cell.astype(float), t)
        right = above[cell + 1] + self._part(t, cell + 1.0)
        return left, right

    def _part(self, a: Array, b: Array) -> Array:
        r = rule(8)
        t = a[:, None] + (b - a)[:, None] * r.x
        values = np.exp(_interpolate(self._padded, t.ravel())).reshape(t.shape)
        return np.asarray(values @ r.w * (b - a) * self.h)


def _interpolate(padded: Array, t: Array) -> Array:
    out = np.empty(t.size)
    _kernels()[2](padded, _BARYCENTRIC, np.ascontiguousarray(t, float), out)
    return out


def of_function(log_p: Map, lo: float, hi: float, n: int) -> Density:
    """The density ∝ exp(log_p(z)) on about n nodes of the part of [lo, hi] that carries it."""
    coarse = Density(lo, (hi - lo) / 192, log_p(np.linspace(lo, hi, 193))).trimmed()
    a, b = max(lo, coarse.lo - coarse.h), min(hi, coarse.lo + coarse.h * coarse.log_p.size)
    return Density(a, (b - a) / n, log_p(np.linspace(a, b, n + 1))).trimmed()


def convolve(density: Density, moved: Map, variance: float, n: int) -> Density:
    """The density of moved(Z) + N(0, variance) on about n nodes, Z having ``density``; variance > 0.

    A trapezoidal sum over Z where the grid resolves the noise, or can be made to. Where the noise is far
    narrower than the grid's spacing, the density of moved(Z) itself, which must then be monotone, is averaged
    over the noise by a Gauss–Hermite rule. Raises `IOFailure` when neither is possible, `OverflowError` where
    an image is infinite.
    """
    s = math.sqrt(variance)
    x = moved(density.z)
    shape, summed, _ = _kernels()
    bounded, most, monotone = shape(x)
    if not bounded:
        raise OverflowError("the law of a step is infinite in double precision")
    factor = max(1, math.ceil(RESOLVE * most / s))
    if factor > MOST_SPLIT and monotone:
        return _average(density, x, s, n)
    if factor * density.log_p.size > _MOST_NODES:
        raise IOFailure(f"a step that is not monotone has noise too narrow for the law's grid: {s:.3g}")
    if factor > 1:
        density = density.split(factor)
        x = moved(density.z)
    return Density(*summed(x, density.p / density.p.sum(), s, n))


def _average(density: Density, x: Array, s: float, n: int) -> Density:
    """By the density of x at the nodes: log p − log|x′|, interpolated where the noise may have come from."""
    if x[0] > x[-1]:
        density = Density(
            -(density.lo + density.h * (density.log_p.size - 1)), density.h, density.log_p[::-1]
        )
        x = x[::-1]
    at, weights = np.polynomial.hermite_e.hermegauss(12)
    weights = weights / weights.sum()
    padded = _pad(x)
    slope = np.zeros_like(x)  # dx per node
    for j, c in enumerate(_SLOPE, start=1):
        slope += c * (
            padded[_HALF + j : padded.size - _HALF + j] - padded[_HALF - j : padded.size - _HALF - j]
        )
    # only at the far ends can the parabola's padding bend it down
    slope = np.maximum(slope, 0.1 * np.gradient(x))
    log_rho, log_slope = _pad(density.log_p - np.log(slope / density.h)), _pad(np.log(slope))
    lo, hi = float(x[0]) - 4.0 * s, float(x[-1]) + 4.0 * s
    z = np.linspace(lo, hi, n + 1)
    v = (z[:, None] - s * at).ravel()
    t = np.interp(v, x, np.arange(float(x.size)))
    t = np.where(
        v < x[0], (v - x[0]) / slope[0], np.where(v > x[-1], x.size - 1 + (v - x[-1]) / slope[-1], t)
    )
    for _ in range(6):
        move = (v - _interpolate(padded, t)) * np.exp(-_interpolate(log_slope, t))
        t = t + np.clip(move, -1.0, 1.0)
        if float(np.abs(move).max()) < 1e-12 * x.size:
            break
    log_values = _interpolate(log_rho, t).reshape(z.size, -1)
    top = log_values.max(axis=1)
    mixed = np.exp(log_values - top[:, None]) @ weights
    return Density(lo, float(z[1] - z[0]), top + np.log(mixed)).trimmed()
