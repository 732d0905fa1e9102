"""A density on the line under a last, noise-free map: its W2 to a law on the line, and its curve.

The map is a change of variables, monotone or not: where it turns, a value has several preimages, and its
distribution function sums over the monotone pieces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from numerics.laws.density import Density, Map
from numerics.targets.line_laws import Line
from wbound.calculus.quadrature import halved, rule
from wbound.errors import IOFailure
from wbound.typing import Array, Index

__all__ = ["ROUGH", "Pushed"]

#: What is said where a W2 on the line does not converge.
ROUGH = "W2 to the law on the line did not converge: its quantiles are too rough"


@dataclass(frozen=True, eq=False)
class Pushed:
    """The law of scale · moved(Z), Z with ``density``; ``moved`` None is the identity."""

    density: Density
    moved: Map | None = None
    scale: float = 1.0

    def images(self, z: Array) -> Array:
        """scale · moved(z)."""
        return self.scale * (z if self.moved is None else self.moved(z))

    def _direction(self, x: Array) -> int:
        """1 rising, −1 falling, 0 neither (in the resolution of the images)."""
        step = np.diff(x)
        noise = 1e-13 * float(np.abs(x).max(initial=0.0))
        if (step >= -noise).all():
            return 1
        return -1 if (step <= noise).all() else 0

    def w2(self, line: Line) -> float:
        """W2 (not squared, in x) to ``line``: the root of ∫ (x − G⁻¹(F(x)))² dF, F this law's distribution
        function and G the line's, both tails each from its own side. *exact*

        Raises `OverflowError` where the law is infinite.
        """
        z = self.density.z
        x = self.images(z)
        if not np.isfinite(x).all():
            raise OverflowError("the law of the output is infinite in double precision")
        way = self._direction(x)
        ends = z[[0, -1]] if way else np.concatenate((z[:1], self._turns(x), z[-1:]))
        regions = ends if way else self._regions(ends)

        def integrand(at: Array) -> Array:
            v = self.images(at)
            lower, upper = self.density.tails(at)[::way] if way else self._distribution(v, ends)
            return np.asarray(
                np.exp(self.density.at(at)) * (v - line.at_tails(lower, upper, guess=_guess(v, line))) ** 2
            )

        return math.sqrt(self._integral(integrand, regions, bool(way), math.sqrt(line.variance)))

    def _integral(self, integrand: Map, regions: Array, plain: bool, width: float) -> float:
        """∫ integrand over the regions by Gauss panels, halved where the two halves disagree with the whole.

        Unless ``plain`` z = a + (b−a)(3u² − 2u³) in each region: that flattens the square roots which turns
        of the map leave at its ends.
        """
        counts = np.maximum(2, np.ceil(np.diff(regions) / (8.0 * self.density.h))).astype(int)
        owner = np.repeat(np.arange(counts.size), counts)
        lo = np.concatenate([np.arange(c) / c for c in counts])
        hi = lo + 1.0 / counts[owner]
        r = rule(8)

        def panels(owner: Index, lo: Array, hi: Array) -> Array:
            u = lo[:, None] + (hi - lo)[:, None] * r.x
            start, size = regions[owner][:, None], np.diff(regions)[owner][:, None]
            z = start + size * (u if plain else u * u * (3.0 - 2.0 * u))
            per = size if plain else size * 6.0 * u * (1.0 - u)
            return np.asarray((integrand(z.ravel()).reshape(z.shape) * per) @ r.w * (hi - lo))

        def enough(both: Array, whole: Array, owner: Index) -> float:
            # quantiles are known to 1e−15 of the law's width
            total, noise = float(whole.sum()), 4e-15 * width
            return (1e-9 * total + noise * math.sqrt(total) + noise**2) / 8.0

        value, _, agreed = halved(panels, owner, lo, hi, enough, depth=30)
        if not agreed:
            raise IOFailure(ROUGH)
        return float(value.sum())

    # ------------------------------------------------------------------ maps that turn
    def _regions(self, ends: Array) -> Array:
        """Cuts at the turns, and where a value passes a turn's: kinks of the distribution function."""
        values = self.images(ends)
        cuts = [ends]
        for i in range(1, ends.size - 1):
            for j in range(ends.size - 1):
                low, high = sorted((values[j], values[j + 1]))
                if low < values[i] < high and i not in (j, j + 1):
                    cuts.append(self._preimages(ends[j], ends[j + 1], values[i : i + 1]))
        return np.unique(np.concatenate(cuts))

    def _turns(self, x: Array) -> Array:
        """Where the map's slope changes sign, by golden sections between the neighbours."""
        step = np.diff(x)
        at = np.flatnonzero(step[:-1] * step[1:] < 0.0) + 1
        z, h = self.density.z, self.density.h
        lo, hi = z[at] - h, z[at] + h
        sign = np.where(step[at - 1] > 0.0, 1.0, -1.0)
        ratio = 0.5 * (math.sqrt(5.0) - 1.0)
        for _ in range(45):  # an extremum is known to the root of the rounding
            a, b = hi - ratio * (hi - lo), lo + ratio * (hi - lo)
            left = sign * (self.images(a) - self.images(b)) > 0.0
            lo, hi = np.where(left, lo, a), np.where(left, b, hi)
        return 0.5 * (lo + hi)

    def _preimages(self, a: float, b: float, v: Array) -> Array:
        """z in [a, b] with moved(z) = v, where the map is monotone; clipped to the ends."""
        rising = float(self.images(np.array([b]))[0]) > float(self.images(np.array([a]))[0])
        lo, hi = np.full(v.shape, a), np.full(v.shape, b)
        for _ in range(54):
            mid = 0.5 * (lo + hi)
            right = (self.images(mid) < v) == rising
            lo, hi = np.where(right, mid, lo), np.where(right, hi, mid)
        return 0.5 * (lo + hi)

    def _distribution(self, v: Array, ends: Array) -> tuple[Array, Array]:
        """P(moved(Z) ≤ v) and P(moved(Z) > v), summed over the monotone pieces between ``ends``."""
        below, above = np.zeros_like(v), np.zeros_like(v)
        values = self.images(ends)
        for j in range(ends.size - 1):
            at = self._preimages(float(ends[j]), float(ends[j + 1]), v)
            left = self._mass(np.full_like(v, ends[j]), at, j == 0, False)
            right = self._mass(at, np.full_like(v, ends[j + 1]), False, j == ends.size - 2)
            if values[j + 1] >= values[j]:
                below, above = below + left, above + right
            else:
                below, above = below + right, above + left
        return below, above

    def _mass(self, a: Array, b: Array, from_left: bool, to_right: bool) -> Array:
        """P(a < Z ≤ b), from the side where nothing cancels; open ends include the tails beyond the grid."""
        left_a, right_a = self.density.tails(a)
        left_b, right_b = self.density.tails(b)
        if from_left:
            return left_b
        if to_right:
            return right_a
        return np.maximum(np.where(left_a < 0.5, left_b - left_a, right_a - right_b), 0.0)

    # ------------------------------------------------------------------ the curve
    def curve(self) -> tuple[Array, Array]:
        """Points x (increasing) and the density of the law there: averages over cells where the map turns."""
        x = self.images(self.density.z)
        way = self._direction(x)
        if way and self.moved is None:
            return x, self.density.p / self.scale
        if way:
            step = np.abs(np.gradient(x)) / self.density.h
            with np.errstate(divide="ignore"):  # a map that is flat somewhere has an infinite density there
                density = self.density.p / step
            return x[::way], density[::way]
        edges = np.linspace(float(x.min()), float(x.max()), x.size + 1)
        z = self.density.z
        ends = np.concatenate((z[:1], self._turns(x), z[-1:]))
        below, above = self._distribution(edges, ends)
        mass = np.where(below[1:] < 0.5, np.diff(below), -np.diff(above))
        return 0.5 * (edges[:-1] + edges[1:]), np.maximum(mass, 0.0) / np.diff(edges)


def _guess(x: Array, line: Line) -> Array:
    """Where to look for a quantile: near x, but within the line's own reach."""
    reach = 9.0 * math.sqrt(line.variance)
    return np.clip(x, line.mean - reach, line.mean + reach)
