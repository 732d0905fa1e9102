"""A smooth function on an interval as a table of quintics, refined until it predicts its own refinement."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from wbound.errors import IOFailure
from wbound.extras import needing
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
        at = np.ascontiguousarray(y, float)
        out = np.empty(at.shape)
        _quintics()(at.ravel(), self.lo, self.step, self.coefficients, out.reshape(-1))
        return out


@cache
def _quintics() -> Any:
    """The compiled loop (compiled on first use, kept on disk)."""
    with needing("samplers"):
        from numba import njit

    @njit(cache=True, nogil=True, error_model="numpy")
    def quintics(y: Array, lo: float, step: float, coefficients: Array, out: Array) -> None:
        last = len(coefficients) - 1
        for i in range(y.size):
            u = (y[i] - lo) / step
            cell = 0
            if u >= last:
                cell = last
            elif u > 0.0:
                cell = int(u)
            v, c = u - cell, coefficients[cell]
            out[i] = ((((c[5] * v + c[4]) * v + c[3]) * v + c[2]) * v + c[1]) * v + c[0]

    return quintics


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
