"""Ball arithmetic: exact numbers from text and doubles, sympy → balls, enclosures in doubles.

Every value is a ball (midpoint and radius) that contains the exact number, whatever is rounded on the way.
The library behind it is python-flint (Arb), the extra ``certify``, loaded when it is first needed.
"""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import sympy
from sympy.codegen.cfunctions import expm1, log1p

from wbound.calculus.parser import number, parse
from wbound.errors import BadInput
from wbound.extras import MissingLibrary

__all__ = [
    "Ball",
    "Enclosure",
    "MissingLibrary",
    "Program",
    "double_of",
    "enclosure",
    "exact_ball",
    "exact_number",
    "exact_text",
    "flint",
    "precision",
    "root",
    "square",
]

#: A real ball (flint.arb) or a complex one (flint.acb).
Ball = Any

#: The working precision is one setting of the library for the whole process.
_LOCK = threading.RLock()


@cache
def flint() -> Any:
    """The module python-flint. Raises `MissingLibrary`."""
    try:
        import flint as module
    except ImportError:
        raise MissingLibrary(
            "certified bounds need python-flint: pip install 'wbound[certify]' (or pip install python-flint)"
        ) from None
    return module


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Ball arithmetic at ``bits`` inside; one thread at a time."""
    context = flint().ctx
    with _LOCK:
        before = context.prec
        context.prec = bits
        try:
            yield
        finally:
            context.prec = before


# ---------------------------------------------------------------------- exact numbers


def exact_text(option: str, value: Any) -> str:
    """``value`` as text that says it exactly. Text stays as typed (``0.1`` is 1/10); a double is its binary
    value, in hexadecimal; integers and fractions are themselves. Raises `BadInput`."""
    if isinstance(value, str):
        text = value.strip()
        double_of(option, text)
        return text
    if isinstance(value, bool):
        raise BadInput(option, value, "must be a finite number")
    if isinstance(value, int | np.integer):
        value = Fraction(int(value))
    if isinstance(value, sympy.Rational):
        value = Fraction(int(value.p), int(value.q))
    if isinstance(value, Fraction):
        plain = str(value)
        try:
            exact = float(value)
        except OverflowError:
            raise BadInput(option, plain, "must be at home in double precision") from None
        # the grammar takes at most 60 digits; a fraction that is a double says so
        return exact.hex() if Fraction(exact) == value and len(plain) > 40 else exact_text(option, plain)
    return number(value, option).hex()


def _is_binary(text: str) -> bool:
    return text.lstrip("-").startswith("0x")


def double_of(option: str, text: str) -> float:
    """The double nearest to an exact text. Raises `BadInput`."""
    if not _is_binary(text):
        value = number(text, option)
    else:
        try:
            value = float.fromhex(text)
        except (ValueError, OverflowError):
            raise BadInput(option, text, "must be a number") from None
    if not math.isfinite(value):
        raise BadInput(option, text, "must be a finite number")
    return value


def exact_number(option: str, text: str) -> sympy.Expr:
    """The number of an exact text, in sympy."""
    if _is_binary(text):
        return sympy.Rational(double_of(option, text))
    return parse(text, "", (), option=option)


def exact_ball(option: str, text: str) -> Ball:
    """The ball of an exact text at the working precision."""
    if _is_binary(text):
        return flint().arb(double_of(option, text))
    return Program(parse(text, "", (), option=option), (), {}).constant()


# ---------------------------------------------------------------------- sympy → balls

#: Functions whose balls need no care for branch cuts, by the method that computes them.
_ENTIRE: dict[type, str] = {
    sympy.exp: "exp",
    expm1: "expm1",
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.tan: "tan",
    sympy.sinh: "sinh",
    sympy.cosh: "cosh",
    sympy.tanh: "tanh",
    sympy.sech: "sech",
}


def _log1p(x: Ball, analytic: bool) -> Ball:
    if isinstance(x, flint().arb):
        return x.log1p()
    # log1p has no analytic flag: the cut is where the logarithm's is
    safe = (1 + x).log(analytic=analytic)
    return x.log1p() if safe.is_finite() else safe


def _log(x: Ball, analytic: bool) -> Ball:
    return x.log() if isinstance(x, flint().arb) else x.log(analytic=analytic)


def _sqrt(x: Ball, analytic: bool) -> Ball:
    return x.sqrt() if isinstance(x, flint().arb) else x.sqrt(analytic=analytic)


def _atan(x: Ball, analytic: bool) -> Ball:
    # cuts on the imaginary axis beyond ±i
    if analytic and not (isinstance(x, flint().arb) or x.imag.abs_upper() < 1 or not x.real.contains(0)):
        return flint().acb("nan")
    return x.atan()


def _abs(x: Ball, analytic: bool) -> Ball:
    return abs(x) if isinstance(x, flint().arb) else x.real_abs(analytic=analytic)


def _power(exponent: Any) -> Callable[[Ball, bool], Ball]:
    """x ↦ x^exponent for an exact rational or a constant ball."""
    if isinstance(exponent, int):
        return lambda x, analytic: whole_power(x, exponent)

    def power(x: Ball, analytic: bool) -> Ball:
        real = isinstance(x, flint().arb)
        on_line = x if real else x.real
        if not analytic and on_line.contains(0) and exponent > 0 and (real or x.imag.is_zero()):
            # the base is ≥ 0 where it is defined: what lies below is the ball's own width
            zero, top = flint().arb(0), flint().arb(on_line.upper())
            hull = zero.union(top**exponent) if top > 0 else zero
            return hull if real else flint().acb(hull)
        return x**exponent if real else x.pow(flint().acb(exponent), analytic=analytic)

    return power


class Program:
    """A sympy expression of the whitelist, compiled to ball operations with its constants folded.

    ``symbols``: the arguments of a call; ``values``: balls of the parameters. Built and run at one precision.
    Raises `BadInput` for a node without a ball form.
    """

    def __init__(
        self, expr: sympy.Expr, symbols: tuple[sympy.Symbol, ...], values: Mapping[str, Ball]
    ) -> None:
        self._slots: list[Ball] = [None] * len(symbols)
        self._known: dict[Any, int] = {s: i for i, s in enumerate(symbols)}
        self._values = values
        self._variable = set(range(len(symbols)))
        self._steps: list[tuple[int, Callable[..., Ball], int, int]] = []
        self._result = self._visit(expr)

    def __call__(self, *arguments: Ball, analytic: bool = False) -> Ball:
        slots = self._slots.copy()
        slots[: len(arguments)] = arguments
        for at, of, i, j in self._steps:
            slots[at] = of(slots[i], slots[j]) if j >= 0 else of(slots[i], analytic)
        return slots[self._result]

    def constant(self) -> Ball:
        """The value of an expression without symbols."""
        return self._slots[self._result]

    def _keep(self, value: Ball) -> int:
        self._slots.append(value)
        return len(self._slots) - 1

    def _apply(self, of: Callable[..., Ball], i: int, j: int = -1) -> int:
        if i not in self._variable and j not in self._variable:  # folded
            return self._keep(of(self._slots[i], self._slots[j]) if j >= 0 else of(self._slots[i], False))
        at = self._keep(None)
        self._variable.add(at)
        self._steps.append((at, of, i, j))
        return at

    def _visit(self, expr: sympy.Expr) -> int:
        if expr not in self._known:
            self._known[expr] = self._build(expr)
        return self._known[expr]

    def _build(self, expr: sympy.Expr) -> int:
        arb = flint().arb
        if expr.is_Symbol:
            if str(expr) not in self._values:
                raise BadInput("parameters", str(expr), "has no value")
            return self._keep(self._values[str(expr)])
        if expr.is_Rational:
            return self._keep(arb(flint().fmpq(int(expr.p), int(expr.q))))
        if expr is sympy.pi:
            return self._keep(arb.pi())
        if expr is sympy.E:
            return self._keep(arb.const_e())
        if expr.is_Add or expr.is_Mul:
            of = operator.add if expr.is_Add else operator.mul
            parts = [self._visit(part) for part in expr.args]
            # constants first, so that they fold
            parts.sort(key=lambda i: i in self._variable)
            out = parts[0]
            for part in parts[1:]:
                out = self._apply(of, out, part)
            return out
        if expr.is_Pow:
            return self._pow(*expr.args)
        if type(expr) in _ENTIRE:
            method = _ENTIRE[type(expr)]
            return self._apply(lambda x, _: getattr(x, method)(), self._visit(expr.args[0]))
        special = {sympy.log: _log, log1p: _log1p, sympy.atan: _atan, sympy.Abs: _abs}.get(type(expr))
        if special is None:
            raise BadInput("certify", type(expr).__name__, "has no form in ball arithmetic")
        return self._apply(special, self._visit(expr.args[0]))

    def _pow(self, base: sympy.Expr, exponent: sympy.Expr) -> int:
        if base is sympy.E:
            return self._apply(lambda x, _: x.exp(), self._visit(exponent))
        at, power = self._visit(base), self._visit(exponent)
        if exponent.is_Integer:
            return self._apply(_power(int(exponent)), at)
        if exponent == sympy.Rational(1, 2):
            return self._apply(_sqrt, at)
        if power not in self._variable:
            value = self._slots[power]
            # a parameter that is a whole number leaves no branch cut
            whole = value.unique_fmpz() if value.is_exact() and value.is_integer() else None
            return self._apply(_power(value if whole is None else int(whole)), at)
        log = self._apply(_log, at)
        return self._apply(lambda x, _: x.exp(), self._apply(operator.mul, log, power))


def whole_power(x: Ball, n: int) -> Ball:
    """x^n by multiplication: the library's own real power is nan for balls around 0."""
    if n < 0:
        return 1 / whole_power(x, -n)
    if n > 64:
        return x**n
    out = None
    while n:
        if n & 1:
            out = x if out is None else out * x
        x, n = x * x, n >> 1
    return 1 + 0 * x if out is None else out


def square(x: Ball) -> Ball:
    """x²."""
    return x * x


def root(x: Ball) -> Ball:
    """√ of a number known to be ≥ 0, whose ball may reach below."""
    if x >= 0:
        return x.sqrt()
    zero = flint().arb(0)
    top = x.upper()
    return zero.union(top.sqrt()) if top > 0 else zero if x.is_finite() else x


# ---------------------------------------------------------------------- enclosures


@dataclass(frozen=True)
class Enclosure:
    """lower ≤ the exact number ≤ upper, doubles rounded outward; likewise within ``radius`` of ``mid``."""

    lower: float
    upper: float
    mid: float
    radius: float

    def contains(self, value: float) -> bool:
        """Whether ``value`` is among the numbers that the enclosure leaves possible."""
        return self.lower <= value <= self.upper

    @property
    def relative(self) -> float:
        """radius/|mid|."""
        if self.radius == 0.0:
            return 0.0
        return self.radius / abs(self.mid) if self.mid and math.isfinite(self.radius) else math.inf


def enclosure(x: Ball, least: float = -math.inf) -> Enclosure:
    """The `Enclosure` of a real ball that is known to be ≥ ``least`` (nan or infinite: nothing is known)."""
    if not x.is_finite():
        return Enclosure(least, math.inf, math.inf, math.inf)
    # float() rounds to the nearest double: one further is on the safe side
    lower = max(math.nextafter(float(x.lower()), -math.inf), least)
    upper = math.nextafter(float(x.upper()), math.inf)
    mid = min(max(float(x.mid()), lower), upper)
    if not math.isfinite(upper):
        return Enclosure(min(lower, np.finfo(float).max), math.inf, math.inf, math.inf)
    radius = math.nextafter(max(mid - lower, upper - mid), math.inf)
    return Enclosure(lower, upper, mid, radius)
