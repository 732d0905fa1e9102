"""Enclosures of sympy expressions on cells, and suprema by branch and bound.

A supremum inside an upper bound is bounded here, never sampled: monotone pieces are recognised by the sign
of the derivative, the others are refined until the proved bound meets the best value seen.

Source of the methods: Moore, Kearfott & Cloud, *Introduction to Interval Analysis* (SIAM 2009).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import sympy
from numpy.typing import ArrayLike

from wbound.calculus.interval_arithmetic import Pair, Program, outward
from wbound.errors import BadInput
from wbound.typing import Array

__all__ = ["Enclosure", "Supremum", "branch_and_bound", "enclose", "maximum", "split", "supremum", "vertex"]

_FAR = 1e12  # an infinite cell that starts beyond is not split further


@lru_cache(maxsize=256)
def _programs(expr: sympy.Expr, symbols: tuple[sympy.Symbol, ...]) -> tuple[Program, Program | None]:
    value = Program((expr,), symbols)
    try:
        return value, Program((expr, expr.diff(symbols[0])), symbols)
    except BadInput:  # a derivative that is no expression of this kind: do without it
        return value, None


class Enclosure:
    """The range of an expression on cells, to second order in their width where it is smooth."""

    def __init__(self, expr: sympy.Expr, symbol: sympy.Symbol, parameters: Mapping[Any, Any] | None) -> None:
        values = {str(key): value for key, value in (parameters or {}).items()}
        others = sorted(expr.free_symbols - {symbol}, key=str)
        for other in others:
            if str(other) not in values:
                raise BadInput("expression", str(expr), f"has no value for {other}")
        self.fixed: list[Pair] = [
            value if isinstance(value, tuple) else (float(value), float(value))
            for value in (values[str(other)] for other in others)
        ]
        self.value, self.slope = _programs(expr, (symbol, *others))

    def natural(self, lo: Array, hi: Array) -> Pair:
        ((pair, _),) = self.value.run((lo, hi), *self.fixed)
        return np.broadcast_to(pair[0], lo.shape), np.broadcast_to(pair[1], lo.shape)

    def __call__(self, lo: Array, hi: Array) -> Pair:
        if self.slope is None:
            return self.natural(lo, hi)
        (value, ok), (slope, _) = self.slope.run((lo, hi), *self.fixed)
        lower, upper = (np.broadcast_to(end, lo.shape) for end in value)
        # The ends and the middle, as cells of width zero (an infinite end: as what lies beyond all doubles).
        middle = _centre(lo, hi)
        n = lo.size
        left = np.concatenate([lo, np.minimum(hi, np.finfo(np.float64).max), middle])
        right = np.concatenate([np.maximum(lo, np.finfo(np.float64).min), hi, middle])
        down, up = self.natural(left, right)
        with np.errstate(all="ignore"):  # widths and products of infinite cells; nan is dropped below
            rising, falling = (slope[0] >= 0) & ok, (slope[1] <= 0) & ok
            first = np.where(rising, down[:n], np.where(falling, down[n : 2 * n], -np.inf))
            last = np.where(rising, up[n : 2 * n], np.where(falling, up[:n], np.inf))
            # Mean value form: f(x) ∈ f(c) + f'(cell)(cell - c).
            reach = np.nextafter(np.maximum(hi - middle, middle - lo), np.inf)
            swing = np.nextafter(np.maximum(np.abs(slope[0]), np.abs(slope[1])) * reach, np.inf)
            form = outward(down[2 * n :] - swing, up[2 * n :] + swing)
            usable = ok & np.isfinite(swing)
        lower = np.fmax(lower, np.fmax(first, np.where(usable, form[0], -np.inf)))
        upper = np.fmin(upper, np.fmin(last, np.where(usable, form[1], np.inf)))
        return lower, upper


def enclose(
    expr: sympy.Expr,
    symbol: sympy.Symbol,
    lo: ArrayLike,
    hi: ArrayLike,
    parameters: Mapping[Any, Any] | None = None,
) -> tuple[Array, Array]:
    """Bounds of ``expr`` on each cell [lo_i, hi_i], rigorous in double precision.

    ``parameters`` maps names or symbols to numbers, or to pairs (intervals). Ends may be infinite. Where a
    cell leaves the domain, the whole line. Raises `BadInput` for cells that are no intervals, or that
    contradict what the symbol is assumed to be, and for functions without an interval form.
    """
    lower, upper = np.broadcast_arrays(np.asarray(lo, dtype=np.float64), np.asarray(hi, dtype=np.float64))
    _check_cells(symbol, lower, upper)
    shape = lower.shape
    result = Enclosure(expr, symbol, parameters)(lower.ravel(), upper.ravel())
    return np.reshape(result[0], shape), np.reshape(result[1], shape)


def _check_cells(symbol: sympy.Symbol, lo: Array, hi: Array) -> None:
    if not np.all(lo <= hi) or np.any(lo == np.inf) or np.any(hi == -np.inf):
        raise BadInput("cells", str(symbol), "must be intervals lo <= hi without nan")
    if symbol.is_nonnegative and np.any(lo < 0):
        raise BadInput("cells", str(symbol), "must lie in x >= 0: the symbol is nonnegative")


# ---- suprema -------------------------------------------------------------------------------------------
class Supremum(NamedTuple):
    """lower ≤ supremum ≤ upper; ``upper`` is proved, ``lower`` was seen at the point ``at``."""

    upper: float
    lower: float
    at: float


def branch_and_bound(
    enclosure: Callable[[Array, Array], tuple[Array, Array]],
    lo: float,
    hi: float,
    *,
    point: Callable[[Array], Array] | None = None,
    rtol: float = 1e-9,
    atol: float = 0.0,
    breaks: ArrayLike = (),
    max_cells: int = 1 << 15,
    max_rounds: int = 60,
) -> Supremum:
    """The supremum on [lo, hi] of a function known by its enclosures (upper; never below the truth).

    ``enclosure(lo, hi)`` bounds the function on each cell (nan means unknown); ``point(x)`` gives its
    values (default: the lower bounds on cells of width zero) and only decides what is refined.
    ``breaks`` are points to split at first, such as kinks. Stops when upper − lower ≤ rtol·|lower| + atol,
    when the cells reach the resolution of doubles, when only cells beyond ±1e12 are left, or at
    ``max_cells``: then the bound is wider, still valid.
    """
    cuts = [float(x) for x in np.ravel(np.asarray(breaks, dtype=np.float64)) if lo < x < hi]
    if math.isinf(lo) and math.isinf(hi) and not cuts:
        cuts = [0.0]
    edges = np.array(sorted({float(lo), float(hi), *cuts}))
    if not lo <= hi:
        raise BadInput("interval", f"[{lo}, {hi}]", "must be lo <= hi")
    left, right = (edges[:-1], edges[1:]) if edges.size > 1 else (edges, edges)
    best, at, settled = -math.inf, float(left[0]), -math.inf
    for _ in range(max_rounds):
        left, right = split(left, right, max(2, min(64, 192 // left.size)))
        x = np.concatenate(
            [_centre(left, right), left[np.isfinite(left)][:1], right[np.isfinite(right)][-1:]]
        )
        if point is None:  # cells and points in one call
            below, above = enclosure(np.concatenate((left, x)), np.concatenate((right, x)))
            values, upper = np.asarray(below)[left.size :], np.asarray(above, dtype=np.float64)[: left.size]
        else:
            values, upper = np.asarray(point(x)), np.asarray(enclosure(left, right)[1], dtype=np.float64)
        upper = np.where(np.isnan(upper), np.inf, upper)
        values = np.where(np.isnan(values), -np.inf, values)
        if values[i := int(np.argmax(values))] > best:
            best, at = float(values[i]), float(x[i])
        goal = best + rtol * abs(best) + atol if math.isfinite(best) else best
        keep = upper > goal
        # A cell is at rest when no double lies inside it, or when it is only farther out than matters.
        keep &= np.nextafter(left, right) < right
        keep &= (left < _FAR) & (right > -_FAR)
        if not keep.all():
            settled = max(settled, float(np.max(upper[~keep])))
        left, right, upper = left[keep], right[keep], upper[keep]
        if left.size == 0 or left.size > max_cells or settled == math.inf:
            break
        # Nothing is gained by refining below what is settled already.
        low = upper <= settled
        left, right, upper = left[~low], right[~low], upper[~low]
        if left.size == 0:
            break
    proved = max(settled, float(np.max(upper)) if left.size else -math.inf, best)
    return Supremum(proved, best, at)


def _centre(left: Array, right: Array) -> Array:
    with np.errstate(invalid="ignore"):  # -inf + inf; replaced
        centre = 0.5 * left + 0.5 * right
    far = np.isinf(centre) | np.isnan(centre)
    if far.any():
        finite = np.where(np.isinf(left), np.where(np.isinf(right), 0.0, right), left)
        centre = np.where(far, finite, centre)
    return np.clip(centre, left, right)


def split(left: Array, right: Array, pieces: int) -> tuple[Array, Array]:
    """Each cell into ``pieces``; an infinite one at points that grow like j/(pieces − j)."""
    share = np.arange(pieces + 1) / pieces
    with np.errstate(all="ignore"):  # infinite cells get their own edges below
        edges = left[:, None] + (right - left)[:, None] * share
        if np.isinf(left).any() or np.isinf(right).any():
            ratio = share / (1.0 - share)
            up = left[:, None] + np.maximum(1.0, np.abs(left))[:, None] * ratio
            down = right[:, None] - np.maximum(1.0, np.abs(right))[:, None] * ratio[::-1]
            edges = np.where(np.isinf(right)[:, None], up, np.where(np.isinf(left)[:, None], down, edges))
    edges[:, 0], edges[:, -1] = left, right
    np.clip(edges, left[:, None], right[:, None], out=edges)
    return edges[:, :-1].ravel(), edges[:, 1:].ravel()


def supremum(
    expr: sympy.Expr,
    symbol: sympy.Symbol,
    lo: float,
    hi: float,
    parameters: Mapping[Any, Any] | None = None,
    *,
    rtol: float = 1e-9,
    atol: float = 0.0,
    breaks: ArrayLike = (),
    max_cells: int = 1 << 15,
) -> Supremum:
    """The supremum of ``expr`` on [lo, hi], enclosed (upper: proved). See `branch_and_bound`, `enclose`."""
    _check_cells(symbol, np.asarray(lo, dtype=np.float64), np.asarray(hi, dtype=np.float64))
    enclosure = Enclosure(expr, symbol, parameters)
    return branch_and_bound(
        enclosure,
        lo,
        hi,
        point=lambda x: enclosure.natural(x, x)[0],
        rtol=rtol,
        atol=atol,
        breaks=breaks,
        max_cells=max_cells,
    )


def maximum(
    expr: sympy.Expr,
    symbol: sympy.Symbol,
    lo: float,
    hi: float,
    parameters: Mapping[Any, Any] | None = None,
    **options: Any,
) -> float:
    """An upper bound of the supremum of ``expr`` on [lo, hi], within rtol of it (upper). See `supremum`."""
    return supremum(expr, symbol, lo, hi, parameters, **options).upper


def vertex(x: Array, y: Array) -> float:
    """Where the parabola through three points is lowest; the middle one unless it bends upward."""
    left, right = x[1] - x[0], x[2] - x[1]
    if not (left > 0.0 and right > 0.0):  # points that rounding has merged
        return float(x[1])
    fall, rise = (y[1] - y[0]) / left, (y[2] - y[1]) / right
    if not rise > fall:
        return float(x[1])
    # the slope is fall at the first interval's middle and rise at the second's
    at = 0.5 * (x[0] + x[1]) - fall * 0.5 * (left + right) / (rise - fall)
    return float(min(max(at, x[0]), x[2]))
