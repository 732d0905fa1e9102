"""sympy → float64 functions of numpy arrays, with constants rounded correctly."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any

import numpy as np
import sympy
from sympy.codegen.cfunctions import expm1, log1p
from sympy.printing.numpy import SciPyPrinter

from wbound.errors import BadInput

__all__ = ["NODES", "function", "to_float"]

# What an expression of a user may consist of, besides symbols.
NODES = (
    *(sympy.Add, sympy.Mul, sympy.Pow, sympy.Rational, type(sympy.pi), type(sympy.E)),
    *(sympy.exp, sympy.log, sympy.sin, sympy.cos, sympy.tan, sympy.atan, sympy.sinh, sympy.cosh, sympy.tanh),
    *(sympy.sech, sympy.Abs, expm1, log1p),
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


class _FloatPrinter(SciPyPrinter):
    """Prints every rational as a double: exact integers of any size would make object arrays."""

    def _print_Rational(self, expr: sympy.Rational) -> str:
        return repr(to_float(expr))

    def _print_Float(self, expr: sympy.Float) -> str:
        return repr(float(expr))

    _print_Integer = _print_Half = _print_One = _print_Zero = _print_NegativeOne = _print_Rational


def _rounded(expr: sympy.Expr) -> sympy.Expr:
    """Constant parts as correctly rounded doubles: log(1 + 10**-20) must not become log(1.0)."""
    if not expr.args:
        return expr
    if not expr.free_symbols:
        return sympy.Float(expr.evalf(20), 17)
    return expr.func(*(part if part.is_Rational else _rounded(part) for part in expr.args))


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
        return lambda *arguments: _filled(constant, arguments)
    # lambdify compiles source that sympy's printer writes from a tree of whitelisted nodes; symbols are
    # renamed to dummies, so no character of a user's text is in it.
    printer = _FloatPrinter({"fully_qualified_modules": False, "inline": True})
    special = not all(isinstance(node, (sympy.Symbol, *NODES)) for node in sympy.preorder_traversal(expr))
    modules = ["scipy", "numpy"] if special else ["numpy"]  # erf and the like, in closed forms of our own
    compiled = sympy.lambdify(symbols, _rounded(expr), modules, printer=printer, cse=True, dummify=True)
    whole = expr.free_symbols == set(symbols)

    def evaluate(*arguments: Any) -> Any:
        scalar = True
        floats: list[Any] = []
        for argument in arguments:
            if isinstance(argument, (float, int)):
                floats.append(np.float64(argument))
            else:
                array = np.asarray(argument, dtype=np.float64)
                scalar = scalar and array.ndim == 0
                floats.append(array)
        # A user's expression may overflow or leave its domain at an end of its range; the callers test
        # for finite values and say where, which a warning would not.
        with np.errstate(all="ignore"):
            result = compiled(*floats)
        if scalar:
            return float(result)
        return result if whole else _filled(result, floats)

    return evaluate


def _filled(value: Any, arguments: Collection[Any]) -> Any:
    shape = np.broadcast_shapes(*(np.shape(argument) for argument in arguments))
    return np.array(np.broadcast_to(value, shape), dtype=np.float64) if shape else float(value)
