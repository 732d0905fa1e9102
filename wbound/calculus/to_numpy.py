"""sympy → float64 functions of numpy arrays, with constants rounded correctly.

An expression of a user becomes a list of numpy operations, each shared part once. Nothing is compiled from
text, and the tree is not rebuilt on the way: sympy simplifies whatever it rebuilds, at any length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any

import numpy as np
import sympy
from sympy.codegen.cfunctions import expm1, log1p

from wbound.errors import BadInput

__all__ = ["NODES", "function", "to_float"]

_UFUNCS: dict[type, Callable[..., Any]] = {
    sympy.exp: np.exp,
    expm1: np.expm1,
    sympy.log: np.log,
    log1p: np.log1p,
    sympy.sin: np.sin,
    sympy.cos: np.cos,
    sympy.tan: np.tan,
    sympy.atan: np.arctan,
    sympy.sinh: np.sinh,
    sympy.cosh: np.cosh,
    sympy.tanh: np.tanh,
    sympy.Abs: np.abs,
    sympy.sign: np.sign,  # the derivative of Abs
}

# What an expression of a user may consist of, besides symbols.
NODES = (
    *(sympy.Add, sympy.Mul, sympy.Pow, sympy.Rational, type(sympy.pi), type(sympy.E)),
    *(kind for kind in _UFUNCS if kind is not sympy.sign),
    sympy.sech,
)


def to_float(constant: sympy.Expr) -> float:
    """A constant as a double: correctly rounded for a rational, infinity where it does not fit."""
    try:
        if constant.is_Rational:
            return constant.p / constant.q
        return float(constant.evalf(20))
    except OverflowError:
        return math.inf
    except TypeError:  # complex
        return math.nan


class _Special(Exception):
    """A node that has no numpy operation here."""


class _Code:
    """Straight-line numpy code for one expression."""

    def __init__(self, expr: sympy.Expr, symbols: tuple[sympy.Symbol, ...]) -> None:
        self.start: list[Any] = [None] * len(symbols)
        self.steps: list[tuple[int, Callable[..., Any], int, int]] = []
        self.slots: dict[Any, int] = {symbol: i for i, symbol in enumerate(symbols)}
        self.variable = symbols[0]
        self.result = self.visit(expr)
        self.finish()

    def constant(self, value: float) -> int:
        # Constants are numpy scalars: 1/0 is then infinite, where Python would raise.
        return self.keep(("constant", value), np.float64(value))

    def keep(self, key: Any, value: Any = None) -> int:
        if key not in self.slots:
            self.slots[key] = len(self.start)
            self.start.append(value)
        return self.slots[key]

    def emit(self, key: Any, operation: Callable[..., Any], first: int, second: int = -1) -> int:
        if key in self.slots:
            return self.slots[key]
        slot = self.keep(key)
        self.steps.append((slot, operation, first, second))
        return slot

    def visit(self, expr: sympy.Expr) -> int:
        if expr in self.slots:
            return self.slots[expr]
        if not expr.free_symbols:
            return self.constant(to_float(expr))
        kept = _keeping_digits(expr)
        if kept is not None:
            self.slots[expr] = self.visit(kept)
            return self.slots[expr]
        if isinstance(expr, sympy.Add):
            return self.total(expr)
        if isinstance(expr, sympy.Mul):
            return self.product(expr)
        if isinstance(expr, sympy.Pow):
            return self.power(expr, *expr.args)
        if isinstance(expr, sympy.sech):
            below = self.emit((expr, "cosh"), np.cosh, self.visit(expr.args[0]))
            return self.emit(expr, np.divide, self.constant(1.0), below)
        if type(expr) in _UFUNCS:
            return self.emit(expr, _UFUNCS[type(expr)], self.visit(expr.args[0]))
        raise _Special(type(expr).__name__)

    def total(self, expr: sympy.Add) -> int:
        slot = -1
        # What holds no array first, in all likelihood; and positive terms, so that a - b is one operation.
        terms = sorted(expr.args, key=lambda term: (self.late(term), term.as_coeff_Mul()[0] == -1))
        for i, term in enumerate(terms):
            key = expr if i == len(terms) - 1 else (expr, i)
            if i == 0:
                slot = self.visit(term)
            elif term.as_coeff_Mul()[0] == -1:
                slot = self.emit(key, np.subtract, slot, self.factors(term.as_coeff_Mul()[1]))
            else:
                slot = self.emit(key, np.add, slot, self.visit(term))
        return slot

    def late(self, expr: sympy.Expr) -> bool:
        return self.variable in expr.free_symbols

    def factors(self, expr: sympy.Expr) -> int:
        return self.product(expr) if isinstance(expr, sympy.Mul) else self.visit(expr)

    def product(self, expr: sympy.Mul) -> int:
        if expr in self.slots:
            return self.slots[expr]
        fixed = [part for part in expr.args if not part.free_symbols]
        number = to_float(sympy.Mul(*fixed, evaluate=False)) if fixed else 1.0
        above, below = (self.constant(number) if number != 1.0 else -1), -1
        for part in sorted(expr.args, key=self.late):
            if not part.free_symbols:
                continue
            if isinstance(part, sympy.Pow) and part.exp.is_Rational and part.exp.is_negative:
                slot = self.power((part, "inverse"), part.base, -part.exp)
                below = slot if below < 0 else self.emit((expr, part), np.multiply, below, slot)
            else:
                slot = self.visit(part)
                above = slot if above < 0 else self.emit((expr, part), np.multiply, above, slot)
        if below < 0:
            self.slots[expr] = above
            return above
        return self.emit(expr, np.divide, above if above >= 0 else self.constant(1.0), below)

    def power(self, key: Any, base: sympy.Expr, exponent: sympy.Expr) -> int:
        slot = self.visit(base)
        if exponent == 1:
            return slot
        if exponent == 2:
            return self.emit(key, np.square, slot)
        if exponent == 3:
            squared = self.emit((base, "squared"), np.square, slot)
            return self.emit(key, np.multiply, squared, slot)
        if exponent == 4:
            return self.emit(key, np.square, self.emit((base, "squared"), np.square, slot))
        if exponent == sympy.S.Half:
            return self.emit(key, np.sqrt, slot)
        if exponent.is_Rational and exponent.is_negative:
            inverse = self.power((key, "inverse"), base, -exponent)
            return self.emit(key, np.divide, self.constant(1.0), inverse)
        return self.emit(key, np.power, slot, self.visit(exponent))

    def finish(self) -> None:
        """Notes where an array is used for the last time: the result may then be written over it."""
        last = {slot: i for i, (_, _, *operands) in enumerate(self.steps) for slot in operands}
        temporary = {slot for slot, *_ in self.steps}
        self.over = [
            next((slot for slot in operands if slot in temporary and last[slot] == i), -1)
            for i, (_, _, *operands) in enumerate(self.steps)
        ]

    def scalars(self, *arguments: Any) -> Any:
        values = self.start.copy()
        values[: len(arguments)] = arguments
        for slot, operation, first, second in self.steps:
            if second < 0:
                values[slot] = operation(values[first])
            else:
                values[slot] = operation(values[first], values[second])
        return values[self.result]

    def arrays(self, *arguments: Any) -> Any:
        values = self.start.copy()
        values[: len(arguments)] = arguments
        shape = _shape(arguments)
        for (slot, operation, first, second), over in zip(self.steps, self.over, strict=True):
            operands = (values[first],) if second < 0 else (values[first], values[second])
            if over >= 0 and values[over].shape == shape:
                values[slot] = operation(*operands, out=values[over])
            else:
                values[slot] = operation(*operands)
        return values[self.result]


def _keeping_digits(expr: sympy.Expr) -> sympy.Expr | None:
    """log(1 + x) as log1p(x), and e^x − 1 or 1 − e^x by expm1(x): near 0 the plain ones are rounding, which a quadrature
    would refine without end. None for anything else."""
    if (
        isinstance(expr, sympy.log)
        and isinstance(expr.args[0], sympy.Add)
        and sympy.S.One in expr.args[0].args
    ):
        return log1p(sympy.Add(*(term for term in expr.args[0].args if term != 1)))
    if isinstance(expr, sympy.Add):
        for one in (sympy.S.One, sympy.S.NegativeOne):
            for term in expr.args if one in expr.args else ():
                if isinstance(-one * term, sympy.exp):
                    rest = (other for other in expr.args if other not in (one, term))
                    return sympy.Add(*rest, -one * expm1((-one * term).args[0]))
    return None


@lru_cache(maxsize=1024)
def function(expr: sympy.Expr, *symbols: sympy.Symbol) -> Callable[..., Any]:
    """``expr`` as a float64 function of ``symbols``: arrays of any shape in, their broadcast shape out.

    Scalars give a float. Overflow gives ±inf and a left domain nan, without a warning: the caller
    checks. Raises `BadInput` when a symbol of ``expr`` is missing. Cached by expression.
    """
    missing = expr.free_symbols - set(symbols)
    if missing:
        raise BadInput("expression", str(expr), f"has no value for {', '.join(sorted(map(str, missing)))}")
    if not expr.free_symbols:
        constant = to_float(expr)
        return lambda *arguments: _filled(constant, [np.asarray(argument) for argument in arguments])
    compiled: Callable[..., Any]
    on_arrays: Callable[..., Any]
    try:
        code = _Code(expr, symbols)
        compiled, on_arrays = code.scalars, code.arrays
    except _Special:  # erf and the like, in closed forms of our own
        compiled = on_arrays = sympy.lambdify(symbols, expr, ["scipy", "numpy"], cse=True)
    whole = expr.free_symbols == set(symbols)

    def evaluate(*arguments: Any) -> Any:
        floats = [
            np.float64(argument)
            if isinstance(argument, (float, int))
            else np.asarray(argument, dtype=np.float64)
            for argument in arguments
        ]
        scalar = not any(argument.ndim for argument in floats)
        # A user's expression may overflow or leave its domain at an end of its range; the callers test
        # for finite values and say where, which a warning would not.
        with np.errstate(all="ignore"):
            if scalar:
                return float(compiled(*floats))
            result = on_arrays(*floats)
        return result if whole else _filled(result, floats)

    return evaluate


def _shape(arguments: Collection[Any]) -> tuple[int, ...]:
    """The broadcast shape of arrays and numpy's scalars; numpy's own way takes longer than a small array's arithmetic."""
    found: tuple[int, ...] = ()
    for argument in arguments:
        shape = argument.shape
        if shape and shape != found:
            if found:
                return np.broadcast_shapes(*(other.shape for other in arguments))
            found = shape
    return found


def _filled(value: Any, arguments: Collection[Any]) -> Any:
    shape = _shape(arguments)
    if not shape:
        return float(value)
    if np.shape(value) == shape and not any(value is argument for argument in arguments):
        return value
    filled = np.empty(shape)
    filled[...] = value
    return filled
