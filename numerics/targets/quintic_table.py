"""A smooth function on an interval as a table of quintics, refined until it predicts its own refinement."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from wbound.errors import IOFailure
from wbound.typing import Array

__all__ = ["Table", "tabulate", "tabulate_shares"]

_MOST_CELLS = 1 << 19


class Table(NamedTuple):
    """A function on [lo, lo + n·step] as n quintics: Σ_j coefficients[i, j] (u − i)^j, u = (y − lo)/step."""

    lo: float
    step: float
    coefficients: Array

    @property
    def hi(self) -> float:
        return self.lo + self.step * len(self.coefficients)

    def __call__(self, y: Array) -> Array:
        """Values at y inside [lo, hi] (the end cells' polynomials outside)."""
        u = (np.asarray(y, float) - self.lo) / self.step
        cell = np.clip(u.astype(np.intp), 0, len(self.coefficients) - 1)
        v = u - cell
        c = self.coefficients[cell]
        value = c[..., 5]
        for j in (4, 3, 2, 1, 0):
            value = value * v + c[..., j]
        return np.asarray(value)


def tabulate(function: Callable[[Array], Array], lo: float, hi: float, tol: float, cells: int = 64) -> Table:
    """A `Table` of ``function`` on [lo, hi] that predicts the values between its nodes to ``tol``.

    Cells are halved until it does; raises `IOFailure` beyond 2¹⁹ cells.
    """
    return tabulate_shares(lambda share: function(lo + share * (hi - lo)), lo, hi, tol, cells)


def tabulate_shares(
    of_share: Callable[[Array], Array], lo: float, hi: float, tol: float, cells: int = 64
) -> Table:
    """`tabulate` of a function of (y − lo)/(hi − lo), which is exact in double precision for 2^k cells."""
    from scipy.interpolate import make_interp_spline  # slow to load, and seldom needed

    share = np.arange(cells + 1) / cells
    values = of_share(share)
    while True:
        spline = make_interp_spline(share, values, k=5)
        middle = (np.arange(cells) + 0.5) / cells
        between = of_share(middle)
        error = float(np.abs(spline(middle) - between).max())
        merged = np.empty(2 * cells + 1)
        merged[::2], merged[1::2] = values, between
        values, cells = merged, 2 * cells
        share = np.arange(cells + 1) / cells
        if error <= tol:
            break
        if cells > _MOST_CELLS:
            raise IOFailure(f"a function could not be tabulated: error {error:.2g} at {cells} cells")
    spline = make_interp_spline(share, values, k=5)
    columns = [spline(share[:-1], nu=j) / (float(cells) ** j * math.factorial(j)) for j in range(6)]
    return Table(lo, (hi - lo) / cells, np.ascontiguousarray(np.stack(columns, axis=1)))
