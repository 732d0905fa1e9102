"""Interval arithmetic on arrays, and sympy expressions compiled to it.

Every operation rounds outward: one ulp for arithmetic, which IEEE 754 rounds correctly, eight for
elementary functions, where numpy is within four. Intervals are pairs of arrays ``(lower, upper)``; ±inf
means unbounded. Where a cell leaves the domain of an operation, its enclosure is the whole line, never nan.

Source of the methods: Moore, Kearfott & Cloud, *Introduction to Interval Analysis* (SIAM 2009).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import sympy
from sympy.codegen.cfunctions import expm1, log1p

from wbound.calculus.to_numpy import to_float
from wbound.errors import BadInput
from wbound.typing import Array

__all__ = [
    "UNARY",
    "Array",
    "Ok",
    "Pair",
    "Program",
    "add",
    "constant",
    "exp_of",
    "multiply",
    "outward",
    "power_of",
    "rational_power",
    "reciprocal",
]

Pair = tuple[Any, Any]  # lower < inf and upper > -inf everywhere, which keeps sums free of nan
Ok = Any  # True, or a boolean array: where the cells lie inside the domain and no pole is in them

_EPS = float(np.finfo(np.float64).eps)
_ULPS = 8.0 * _EPS


def outward(lower: Any, upper: Any) -> Pair:
    """One ulp outward: what a correctly rounded operation needs."""
    return np.nextafter(lower, -np.inf), np.nextafter(upper, np.inf)


def _out_far(lower: Any, upper: Any) -> Pair:
    """Outward by eight ulp; an overflow on the wrong side becomes the largest double first."""
    lower, upper = outward(lower, upper)
    return lower - np.abs(lower) * _ULPS, upper + np.abs(upper) * _ULPS


def _zero(product: Any) -> Any:
    return np.where(np.isnan(product), 0.0, product)  # 0 · ∞ = 0 for the ends of intervals


def _whole(where: Any, lower: Any, upper: Any) -> Pair:
    return np.where(where, -np.inf, lower), np.where(where, np.inf, upper)


# ---- operations: intervals in; interval out, and where it is continuous on the cell --------------------
def add(a: Pair, b: Pair) -> tuple[Pair, Ok]:
    lower, upper = a[0] + b[0], a[1] + b[1]
    down, up = outward(lower, upper)
    # A sum that rounds to zero is zero: its sign must not be lost to the rounding outward.
    return (np.where(lower == 0, 0.0, down), np.where(upper == 0, 0.0, up)), True


def multiply(a: Pair, b: Pair) -> tuple[Pair, Ok]:
    p, q, r, s = _zero(a[0] * b[0]), _zero(a[0] * b[1]), _zero(a[1] * b[0]), _zero(a[1] * b[1])
    lower, upper = outward(
        np.minimum(np.minimum(p, q), np.minimum(r, s)), np.maximum(np.maximum(p, q), np.maximum(r, s))
    )
    # An underflow must not cost the sign.
    same = (a[0] >= 0) & (b[0] >= 0) | (a[1] <= 0) & (b[1] <= 0)
    opposite = (a[0] >= 0) & (b[1] <= 0) | (a[1] <= 0) & (b[0] >= 0)
    lower = np.where(same, np.maximum(lower, 0.0), lower)
    return (lower, np.where(opposite, np.minimum(upper, 0.0), upper)), True


def _scale(a: Pair, factor: float) -> tuple[Pair, Ok]:
    """The product with an exact constant."""
    lower, upper = (a[0], a[1]) if factor > 0 else (a[1], a[0])
    if factor in (1.0, -1.0):
        return (factor * lower, factor * upper), True
    down, up = outward(factor * lower, factor * upper)
    if factor > 0:
        return (
            np.where(a[0] >= 0, np.maximum(down, 0.0), down),
            np.where(a[1] <= 0, np.minimum(up, 0.0), up),
        ), True
    return (
        np.where(a[1] <= 0, np.maximum(down, 0.0), down),
        np.where(a[0] >= 0, np.minimum(up, 0.0), up),
    ), True


def reciprocal(a: Pair) -> tuple[Pair, Ok]:
    lower, upper = np.asarray(a[0]), np.asarray(a[1])
    inside = (lower < 0) & (upper > 0) | (lower == 0) & (upper == 0)
    # An end at zero goes to the infinity of its own side.
    down = np.where(upper == 0, -np.inf, 1.0 / upper)
    up = np.where(lower == 0, np.inf, 1.0 / lower)
    least, most = outward(down, up)
    least = np.where(lower >= 0, np.maximum(least, 0.0), least)
    most = np.where(upper <= 0, np.minimum(most, 0.0), most)
    return _whole(inside, least, most), (lower > 0) | (upper < 0)


def _integer_power(a: Pair, n: int) -> tuple[Pair, Ok]:
    """x**n for an integer n ≥ 2."""
    p, q = np.power(a[0], float(n)), np.power(a[1], float(n))
    if n % 2:
        return _out_far(p, q), True
    straddles = (a[0] < 0) & (a[1] > 0)
    lower, upper = _out_far(np.where(straddles, 0.0, np.minimum(p, q)), np.maximum(p, q))
    return (np.maximum(lower, 0.0), upper), True


def _root_like(a: Pair, p: float) -> tuple[Pair, Ok]:
    """x**p for p > 0, x ≥ 0; for a p that is exact in double precision."""
    outside = a[0] < 0
    base = np.maximum(a[0], 0.0), np.maximum(a[1], 0.0)
    lower, upper = (np.sqrt(b) if p == 0.5 else np.power(b, p) for b in base)
    lower, upper = _out_far(lower, upper)
    return _whole(outside, np.maximum(lower, 0.0), upper), np.logical_not(outside)


def power_of(a: Pair, b: Pair) -> tuple[Pair, Ok]:
    """x**y = exp(y log x) for x ≥ 0."""
    logs, inside = _log(a)
    product, _ = multiply(b, logs)
    value, _ = exp_of(product)
    # 0 · ∞ = 0 gives exp(0 log 0) = 1, as 0**0 is; y < 0 at x = 0 gives ∞.
    return _whole(np.asarray(a[0]) < 0, *value), inside


def _monotone(
    f: Callable[[Any], Any], least: float = -np.inf, most: float = np.inf
) -> Callable[[Pair], tuple[Pair, Ok]]:
    def operation(a: Pair) -> tuple[Pair, Ok]:
        lower, upper = _out_far(f(a[0]), f(a[1]))
        return (np.maximum(lower, least), np.minimum(upper, most)), True

    return operation


exp_of = _monotone(np.exp, least=0.0)


def _log_of(f: Callable[[Any], Any], edge: float) -> Callable[[Pair], tuple[Pair, Ok]]:
    def operation(a: Pair) -> tuple[Pair, Ok]:
        lower, upper = np.asarray(a[0]), np.asarray(a[1])
        outside = lower < edge
        down, up = f(np.maximum(lower, edge)), f(np.maximum(upper, edge))
        return _whole(outside, *_out_far(down, up)), lower > edge

    return operation


_log = _log_of(np.log, 0.0)


def _even(f: Callable[[Any], Any], at_zero: float, sign: int) -> Callable[[Pair], tuple[Pair, Ok]]:
    """An even function, increasing (sign 1) or decreasing (-1) on x ≥ 0."""

    def operation(a: Pair) -> tuple[Pair, Ok]:
        near, far = _distance(a)
        lower, upper = _out_far(f(near), f(far)) if sign > 0 else _out_far(f(far), f(near))
        if sign > 0:
            return (np.maximum(lower, at_zero), upper), True
        return (np.maximum(lower, 0.0), np.minimum(upper, at_zero)), True

    return operation


def _distance(a: Pair) -> Pair:
    p, q = np.abs(a[0]), np.abs(a[1])
    return np.where((a[0] <= 0) & (a[1] >= 0), 0.0, np.minimum(p, q)), np.maximum(p, q)


def _abs(a: Pair) -> tuple[Pair, Ok]:
    return _distance(a), True


def _sign(a: Pair) -> tuple[Pair, Ok]:
    lower, upper = np.asarray(a[0]), np.asarray(a[1])
    return (np.sign(lower), np.sign(upper)), (lower > 0) | (upper < 0)


def _meets(a: Pair, offset: float, period: float) -> Any:
    """Whether [a] may hold a point offset + k·period; errs towards yes."""
    first, last = (a[0] - offset) / period, (a[1] - offset) / period
    slack = 8 * _EPS * (1.0 + np.maximum(np.abs(first), np.abs(last)))
    with np.errstate(invalid="ignore"):  # infinite ends: inf - inf is nan, and means yes
        return ~(np.ceil(first - slack) > np.floor(last + slack))


def _wave(f: Callable[[Any], Any], peak: float) -> Callable[[Pair], tuple[Pair, Ok]]:
    """sin and cos: the ends, and ±1 where a peak or a trough may be inside."""

    def operation(a: Pair) -> tuple[Pair, Ok]:
        p, q = f(a[0]), f(a[1])
        lower, upper = _out_far(np.fmin(p, q), np.fmax(p, q))
        top, bottom = _meets(a, peak, 2 * math.pi), _meets(a, peak - math.pi, 2 * math.pi)
        unknown = np.isnan(p) | np.isnan(q)
        upper = np.where(top | unknown, 1.0, np.minimum(upper + 2 * _EPS, 1.0))
        lower = np.where(bottom | unknown, -1.0, np.maximum(lower - 2 * _EPS, -1.0))
        return (lower, upper), True

    return operation


def _tan(a: Pair) -> tuple[Pair, Ok]:
    pole = _meets(a, math.pi / 2, math.pi)
    lower, upper = _out_far(np.tan(a[0]), np.tan(a[1]))
    bad = pole | np.isnan(lower) | np.isnan(upper)
    return _whole(bad, lower, upper), np.logical_not(bad)


UNARY: dict[type, Callable[[Pair], tuple[Pair, Ok]]] = {
    sympy.exp: exp_of,
    expm1: _monotone(np.expm1, least=-1.0),
    sympy.log: _log,
    log1p: _log_of(np.log1p, -1.0),
    sympy.atan: _monotone(np.arctan, least=-1.5707963267948968, most=1.5707963267948968),
    sympy.sinh: _monotone(np.sinh),
    sympy.tanh: _monotone(np.tanh, least=-1.0, most=1.0),
    sympy.cosh: _even(np.cosh, 1.0, 1),
    sympy.sech: _even(lambda x: 1.0 / np.cosh(x), 1.0, -1),
    sympy.Abs: _abs,
    sympy.sign: _sign,
    sympy.sin: _wave(np.sin, math.pi / 2),
    sympy.cos: _wave(np.cos, 0.0),
    sympy.tan: _tan,
}


def constant(expr: sympy.Expr) -> Pair:
    """A constant as an interval: a point where a double is exact, else the doubles around it."""
    value = to_float(expr)
    if math.isnan(value):
        return -math.inf, math.inf
    if expr.is_Rational and math.isfinite(value) and sympy.Rational(value) == expr:
        return value, value
    return math.nextafter(value, -math.inf), math.nextafter(value, math.inf)


def rational_power(exponent: sympy.Rational) -> Callable[[Pair], tuple[Pair, Ok]]:
    """x**exponent for an exact exponent; on x ≥ 0 unless it is an integer."""
    size = abs(exponent)
    p = to_float(size)
    if size == 1:
        positive: Callable[[Pair], tuple[Pair, Ok]] = lambda a: (a, True)  # noqa: E731
    elif size.is_integer:
        positive = partial(_integer_power, n=int(size))
    elif sympy.Rational(p) == size:
        positive = partial(_root_like, p=p)
    else:
        positive = partial(power_of, b=constant(size))
    if exponent > 0:
        return positive

    def operation(a: Pair) -> tuple[Pair, Ok]:
        value, inside = positive(a)
        inverse, finite = reciprocal(value)
        return inverse, finite & inside

    return operation


def _inside(operation: Callable[[Pair], tuple[Pair, Ok]], a: Pair) -> tuple[Pair, Ok]:
    """An operation whose argument is known to be in its domain, though its interval may underflow to 0."""
    return operation(a)[0], True


# ---- programs: an expression as a list of operations, each node once -----------------------------------
class Program:
    """Straight-line code for several expressions that share their nodes."""

    def __init__(self, outputs: tuple[sympy.Expr, ...], symbols: tuple[sympy.Symbol, ...]) -> None:
        self.constants: list[tuple[int, Pair]] = []
        self.code: list[tuple[int, Callable[..., tuple[Pair, Ok]], tuple[int, ...]]] = []
        self.slots: dict[Any, int] = {s: i for i, s in enumerate(symbols)}
        self.inputs = len(symbols)
        self.outputs: list[tuple[int, int]] = []  # slot, and how much code it needs
        for expr in outputs:
            slot = self.visit(expr)
            self.outputs.append((slot, len(self.code)))

    def slot(self, key: Any) -> int:
        return self.slots.setdefault(key, len(self.slots))

    def emit(self, key: Any, operation: Callable[..., tuple[Pair, Ok]], *arguments: int) -> int:
        slot = self.slot(key)
        self.code.append((slot, operation, arguments))
        return slot

    def constant(self, expr: sympy.Expr) -> int:
        slot = self.slot(expr)
        self.constants.append((slot, constant(expr)))
        return slot

    def visit(self, expr: sympy.Expr) -> int:
        if expr in self.slots:
            return self.slots[expr]
        if not expr.free_symbols:
            return self.constant(expr)
        if isinstance(expr, sympy.Symbol):
            raise BadInput("expression", str(expr), "has no value")
        if isinstance(expr, (sympy.Add, sympy.Mul)):
            number, rest = expr.as_coeff_Mul()
            if number != 1 and sympy.Rational(to_float(number)) == number:
                return self.emit(expr, partial(_scale, factor=to_float(number)), self.visit(rest))
            operation = add if isinstance(expr, sympy.Add) else multiply
            head = self.visit(expr.args[0])
            for i, part in enumerate(expr.args[1:]):
                last = i == len(expr.args) - 2
                head = self.emit(expr if last else (expr, i), operation, head, self.visit(part))
            return head
        if isinstance(expr, sympy.Pow):
            return self.power(expr)
        operation_of = UNARY.get(type(expr))
        if operation_of is None:
            raise BadInput("expression", str(expr), f"no interval form of {type(expr).__name__}")
        if isinstance(expr, sympy.log) and expr.args[0].is_positive:
            operation_of = partial(_inside, operation_of)
        return self.emit(expr, operation_of, self.argument(expr.args[0]))

    def argument(self, expr: sympy.Expr) -> int:
        """An argument, cut at 0 where sympy knows its sign: outward rounding must not leave the domain."""
        slot = self.visit(expr)
        if isinstance(expr, sympy.Add) and expr.is_nonnegative:
            return self.emit((expr, "cut"), lambda a: ((np.maximum(a[0], 0.0), a[1]), True), slot)
        return slot

    def power(self, expr: sympy.Pow) -> int:
        base, exponent = expr.args
        if not exponent.is_Rational:
            return self.emit(expr, power_of, self.argument(base), self.visit(exponent))
        slot = self.visit(base) if exponent.is_integer else self.argument(base)
        operation = rational_power(exponent)
        if exponent.is_negative and (base.is_positive or base.is_negative):
            operation = partial(_inside, operation)
        return self.emit(expr, operation, slot)

    def run(self, *inputs: Pair) -> list[tuple[Pair, Ok]]:
        store: list[Any] = [None] * len(self.slots)
        store[: self.inputs] = inputs
        for slot, pair in self.constants:
            store[slot] = pair
        results: list[tuple[Pair, Ok]] = []
        done, ok = 0, True
        # Overflow and 0 · ∞ are answered by the operations themselves.
        with np.errstate(all="ignore"):
            for slot, upto in self.outputs:
                for target, operation, arguments in self.code[done:upto]:
                    store[target], good = operation(*(store[i] for i in arguments))
                    if good is not True:
                        ok = good & ok
                done = max(done, upto)
                results.append((store[slot], ok))
        return results
