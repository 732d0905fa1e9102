"""A2's constant for Gaussian data: how fast the score changes with time, as a supremum (section 2)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import sympy as sp

from wbound.calculus.parser import symbol
from wbound.calculus.suprema import Enclosure, Supremum, branch_and_bound
from wbound.errors import BadInput
from wbound.forward.forward_process import Process
from wbound.typing import Array

__all__ = ["score_rate"]

Pair = tuple[Array, Array]
_T = symbol("t")


class _Cell(NamedTuple):
    """Bounds on cells: f, g² (N,); their derivatives where they are known; α (N,); w (variances, N)."""

    f: Pair
    g2: Pair
    slopes: tuple[Pair, Pair] | None
    alpha: Pair
    w: Pair

    def first(self, n: int) -> _Cell:
        """The first n of them."""

        def of(pair: Pair) -> Pair:
            return pair[0][..., :n], pair[1][..., :n]

        slopes = None if self.slopes is None else (of(self.slopes[0]), of(self.slopes[1]))
        return _Cell(of(self.f), of(self.g2), slopes, of(self.alpha), of(self.w))


@lru_cache(maxsize=64)
def _derivatives(f: sp.Expr, g: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    return sp.diff(f, _T), sp.diff(g**2, _T)


def score_rate(process: Process, variances: Array, means2: Array, T: float, rtol: float) -> Supremum:
    """sup over [0, T] of max(max_i |w_i'|/w_i², |(αW^{−1})'μ|), w_i = α²v_i + σ², in 1/(x² time).

    variances v (n,): distinct and positive; means2 (n,): |μ|² in the eigenspace of each. An upper bound to
    ``rtol`` by interval branch and bound, never a sample, and where the lower one was seen. On a cell each
    function is bounded by its parts' ends, and from its middle by its derivative (mean value form), which
    closes in on a smooth maximum with the square of the cell.
    """
    v, mean2 = variances[:, None], means2[:, None]
    values = process.parameters
    # of g², not of g: the outward rounding of what stands under a root must not leave its domain
    bounds = [Enclosure(e, _T, values) for e in (process.expr.f, process.expr.g**2)]
    try:
        slopes = [Enclosure(e, _T, values) for e in _derivatives(process.expr.f, process.expr.g)]
    except BadInput:  # a derivative without an interval form
        slopes = []

    def cell(lo: Array, hi: Array) -> _Cell:
        f, g2 = (bound(lo, hi) for bound in bounds)
        (log_a_hi, log_s_lo), (log_a_lo, log_s_hi) = process.laws(lo, hi)  # α decreases, λ increases
        a = np.exp(log_a_lo), np.exp(log_a_hi)
        if process.kappa is not None:  # w = κ + α²(v − κ) is monotone
            ends = tuple(process.kappa + own**2 * (v - process.kappa) for own in a)
            w = np.minimum(*ends), np.maximum(*ends)
        else:
            with np.errstate(over="ignore", invalid="ignore"):  # a wide cell: unknown, hence refined
                w = (
                    a[0] ** 2 * v + np.exp(2.0 * log_a_lo + log_s_lo),
                    a[1] ** 2 * v + np.exp(2.0 * log_a_hi + log_s_hi),
                )
        with np.errstate(all="ignore"):  # as above
            tilt = [slope.natural(lo, hi) for slope in slopes]
        return _Cell(
            (np.maximum(f[0], 0.0), f[1]),
            (np.maximum(g2[0], 0.0), g2[1]),
            (tilt[0], tilt[1]) if tilt else None,
            a,
            w,
        )

    def by_ends(c: _Cell) -> tuple[Pair, Pair]:
        """Bounds of |w'|/w² and of |(α/w)'| for each variance, (n, N), from the ends of their parts."""
        (f_lo, f_hi), (g2_lo, g2_hi), (a_lo, a_hi), (w_lo, w_hi) = c.f, c.g2, c.alpha, c.w
        if process.kappa is not None:  # w' = −2fα²(v − κ)
            gap = np.abs(v - process.kappa)
            rate = 2.0 * f_lo * a_lo**2 * gap, 2.0 * f_hi * a_hi**2 * gap
        else:
            down, up = g2_lo - 2.0 * f_hi * w_hi, g2_hi - 2.0 * f_lo * w_lo
            rate = np.maximum(np.maximum(down, -up), 0.0), np.maximum(np.abs(down), np.abs(up))
        # (α/w)' = −α (g²/w² − f/w) since w' = g² − 2fw
        low, high = g2_lo / w_hi**2 - f_hi / w_lo, g2_hi / w_lo**2 - f_lo / w_hi
        size = (
            a_lo * np.maximum(np.maximum(low, -high), 0.0),
            a_hi * np.maximum(np.abs(low), np.abs(high)),
        )
        return (rate[0] / w_hi**2, rate[1] / w_lo**2), size

    def swings(c: _Cell, half: Array) -> tuple[Array, Array]:
        """Half the cell times the largest derivative of w'/w² and of α(g²/w² − f/w), (n, N)."""
        assert c.slopes is not None
        f, g2, (df, dg2) = c.f, c.g2, c.slopes
        inverse = 1.0 / c.w[1], 1.0 / c.w[0]
        square = inverse[0] ** 2, inverse[1] ** 2
        dw = g2[0] - 2.0 * f[1] * c.w[1], g2[1] - 2.0 * f[0] * c.w[0]
        # (w'/w²)' = w''/w² − 2w'²/w³, w'' = (g²)' − 2f'w − 2fw'
        bent = _minus(_minus(dg2, _twice(_times(df, c.w))), _twice(_times(f, dw)))
        cubed = _times(_times(dw, dw), (inverse[0] * square[0], inverse[1] * square[1]))
        first = _minus(_times(bent, square), _twice(cubed))
        # (g²/w² − f/w)' − f(g²/w² − f/w), times α
        inner = _minus(_times(g2, square), _times(f, inverse))
        third = inverse[0] * square[0], inverse[1] * square[1]
        change = _minus(_times(dg2, square), _twice(_times(_times(g2, dw), third)))
        change = _minus(change, _minus(_times(df, inverse), _times(_times(f, dw), square)))
        second = _times(c.alpha, _minus(change, _times(f, inner)))
        return half * _largest(first), half * _largest(second)

    def enclosure(lo: Array, hi: Array) -> Pair:
        middle, n = lo + 0.5 * (hi - lo), lo.size
        # the cells and their middles, at once
        c = cell(np.concatenate((lo, middle)), np.concatenate((hi, middle)))
        with np.errstate(all="ignore"):  # w² below doubles, or a wide cell: unknown, hence refined
            ends = by_ends(c)
            (first_lo, first_hi), (size_lo, size_hi) = ((low[:, :n], high[:, :n]) for low, high in ends)
            if c.slopes is not None and bool((lo < hi).any()):
                at_first, at_size = (high[:, n:] for _, high in ends)
                one, two = swings(c.first(n), np.nextafter(np.maximum(hi - middle, middle - lo), np.inf))
                first_hi = np.fmin(first_hi, at_first + one)
                size_hi = np.fmin(size_hi, at_size + two)
            second = (np.sqrt((mean2 * size**2).sum(axis=0)) for size in (size_lo, size_hi))
            second_lo, second_hi = second
            return (
                np.maximum(first_lo.max(axis=0), second_lo),
                np.maximum(first_hi.max(axis=0), second_hi),
            )

    if variances[0] == variances[-1] == process.kappa and not means2.any():
        return Supremum(0.0, 0.0, 0.0)  # the stationary law itself: the score does not change in time
    return branch_and_bound(enclosure, 0.0, T, rtol=rtol, breaks=process.kinks)


def _times(a: Pair, b: Pair) -> Pair:
    products = a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1]
    low, high = products[0], products[0]
    for product in products[1:]:
        low, high = np.minimum(low, product), np.maximum(high, product)
    return low, high


def _minus(a: Pair, b: Pair) -> Pair:
    return a[0] - b[1], a[1] - b[0]


def _twice(a: Pair) -> Pair:
    return 2.0 * a[0], 2.0 * a[1]


def _largest(a: Pair) -> Array:
    return np.maximum(np.abs(a[0]), np.abs(a[1]))
