"""Text of a user → sympy → fast float64 functions. No text of a user is ever evaluated.

Three gates, in this order: a scan that admits a short alphabet of numbers, names and operators and spells
what people type (``t^2``, ``2t``, ``t²``, ``np.exp``: see `wbound.calculus.spelling`) in plain ASCII; Python's own
parser in ``eval`` mode, whose tree is only read, never compiled; and a builder that knows a handful of node
types and bounds every number before sympy sees it, because sympy evaluates as it builds and ``9**9**9**9``
would never come back. A refusal is a `BadInput` that points at the character as it was typed.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

import numpy as np
import sympy
from sympy.codegen.cfunctions import expm1, log1p

from wbound.calculus.spelling import LETTERS, MAX_NESTING, MAX_TOKENS, Misspelt, plain
from wbound.calculus.to_numpy import NODES, function, to_float
from wbound.errors import BadInput

__all__ = ["FUNCTIONS", "LAM", "T", "X", "accept", "function", "number", "parse", "spelled", "symbol"]

MAX_CHARACTERS = 1000
MAX_EXPONENT = 1000  # of a power
MAX_BITS = 4096  # of an exact rational that a power may create
MAX_MASS = 1e6  # of all numbers where logarithms are nested in an exponent
MAX_DENOMINATOR = 1000  # of an exponent of a number
MAX_ROOT = 50_000  # bits of a number times the denominator of its exponent
LARGEST, SMALLEST = 1e300, 1e-300  # every constant must be at home in double precision

_RESERVED: dict[str, dict[str, bool]] = {
    "t": {"nonnegative": True},  # forward time
    "s": {"nonnegative": True},  # forward time, when it is integrated over
    "r": {"nonnegative": True},
    "lam": {"positive": True},  # the clock λ
    "x": {"real": True},  # a coordinate of the data
}
_CONSTANTS: dict[str, sympy.Expr] = {"pi": sympy.pi, "e": sympy.E, "E": sympy.E}


class _Function(NamedTuple):
    build: Callable[[sympy.Expr], sympy.Expr]
    value: Callable[[float], float]  # guards constants before sympy sees them


FUNCTIONS: dict[str, _Function] = {
    "sqrt": _Function(sympy.sqrt, math.sqrt),
    "exp": _Function(sympy.exp, math.exp),
    "expm1": _Function(expm1, math.expm1),
    "log": _Function(sympy.log, math.log),
    "log1p": _Function(log1p, math.log1p),
    "sin": _Function(sympy.sin, math.sin),
    "cos": _Function(sympy.cos, math.cos),
    "tan": _Function(sympy.tan, math.tan),
    "atan": _Function(sympy.atan, math.atan),
    "sinh": _Function(sympy.sinh, math.sinh),
    "cosh": _Function(sympy.cosh, math.cosh),
    "tanh": _Function(sympy.tanh, math.tanh),
    "sech": _Function(lambda u: 1 / sympy.cosh(u), lambda u: 1.0 / math.cosh(u)),
    "abs": _Function(sympy.Abs, abs),
}

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@lru_cache(maxsize=1024)
def symbol(name: str) -> sympy.Symbol:
    """The one symbol that all modules share under this name.

    ``t``, ``s``, ``r`` are nonnegative, ``lam`` is positive, ``x`` is real; any other name is a
    parameter and positive. Raises `BadInput` when the name is not a plain identifier.
    """
    if not isinstance(name, str) or len(name) > 40 or not _NAME.fullmatch(name):
        raise BadInput("name", _shown(str(name)), "must be a letter, then letters, digits or _ (at most 40)")
    if name in FUNCTIONS or name in _CONSTANTS or keyword.iskeyword(name):
        raise BadInput("name", name, "is taken by a function, a constant or the grammar")
    return sympy.Symbol(name, **_RESERVED.get(name, {"positive": True}))


T = symbol("t")
LAM = symbol("lam")
X = symbol("x")


def parse(
    text: str,
    variable: str = "t",
    parameters: Collection[str] = (),
    *,
    option: str = "expression",
    constants: Mapping[str, float] | None = None,
) -> sympy.Expr:
    """Text of a user as an exact sympy expression in ``variable`` and ``parameters``.

    Numbers become exact rationals from their digits (``0.1`` is 1/10). Operators ``+ - * / **`` (also ``^``,
    ``·`` and raised digits), parentheses, ``pi``, ``e`` and the names of `FUNCTIONS`; a number right before a
    name or a parenthesis multiplies it, except after ``/`` or a power, where that could be read twice.
    Parameters are positive symbols: sympy may simplify with that, so only positive values may be put in for
    them; ``constants`` are names that stand for the number given. ``option`` is the name that a message
    begins with. Raises `BadInput`, pointing at the character, for everything else, for constants outside
    double precision, and for what would be complex or infinite everywhere.
    """
    if not isinstance(text, str):
        raise BadInput(option, text, "must be text")
    return _parse(text, variable, tuple(parameters), tuple((constants or {}).items()), option)


@lru_cache(maxsize=1024)
def _parse(
    text: str,
    variable: str,
    parameters: tuple[str, ...],
    constants: tuple[tuple[str, float], ...],
    option: str,
) -> sympy.Expr:
    return _Builder(text, _allowed(variable, parameters, constants, option), option, variable == "t").run()


def _allowed(
    variable: str, parameters: Collection[str], constants: Collection[tuple[str, float]], option: str
) -> dict[str, sympy.Expr]:
    names: dict[str, sympy.Expr] = {variable: symbol(variable)} if variable else {}
    for name in (*parameters, *(name for name, _ in constants)):
        if name in _RESERVED or name == variable:
            raise BadInput(option, name, "is the name of a variable, not of a parameter")
        names[name] = symbol(name)
    for name, value in constants:
        names[name] = parse(repr(float(value)), "", (), option=name)
    return names


def spelled(name: str) -> str:
    """A parameter's name in plain letters: ``β_min`` is ``beta_min``; any other is returned as it is."""
    return LETTERS.get(name[:1], name[:1]) + name[1:]


def _shown(text: str) -> str:
    """Text safe for a terminal: look-alikes and control characters become escapes."""
    return text[:100].encode("unicode_escape").decode("ascii")


class _Node(NamedTuple):
    expr: sympy.Expr
    value: float | None  # its double, when it is a constant


class _Builder:
    """One text on its way to one expression."""

    def __init__(self, text: str, names: dict[str, sympy.Expr], option: str, open_: bool) -> None:
        """open_: whether a user may add parameters, as to f and g."""
        self.text, self.names, self.option, self.open = text, names, option, open_
        self.plain = ""  # the text in plain spelling
        self.origin: tuple[int, ...] = (0,)  # and where each of its characters came from

    def refuse(self, why: str, at: int | None = None) -> NoReturn:
        """A `BadInput` at a character of the plain spelling, shown where the user typed it."""
        self.refuse_typed(why, None if at is None else self.origin[min(at, len(self.origin) - 1)])

    def refuse_typed(self, why: str, at: int | None) -> NoReturn:
        where = "" if at is None else f" at character {at + 1}"
        head, _, tail = why.partition("; ")
        raise BadInput(self.option, _shown(self.text), head + where + ("; " + tail if tail else ""))

    def run(self) -> sympy.Expr:
        self.scan()
        try:
            # Parentheses around, so that leading blanks are no indentation; columns shift by one.
            tree = ast.parse(f"({self.plain})", mode="eval").body
            expr = self.build(tree, 0).expr
        except SyntaxError as error:
            self.refuse("cannot be read", min(max((error.offset or 2) - 2, 0), len(self.plain) - 1))
        except BadInput:
            raise
        except Exception as error:  # from inside sympy, of many kinds: a user still gets one line
            self.refuse(f"cannot be evaluated: {type(error).__name__}")
        for constant in _constants(expr):
            self.checked_value(to_float(constant), True, None)
        return expr

    # ---- gate 1: characters, tokens, nesting ---------------------------------------------------
    def scan(self) -> None:
        if not self.text.strip():
            self.refuse_typed("is empty", None)
        if len(self.text) > MAX_CHARACTERS:
            self.refuse_typed(f"is {len(self.text)} characters long; at most {MAX_CHARACTERS}", None)
        try:
            self.plain, self.origin = plain(self.text, self.names, FUNCTIONS, _CONSTANTS, open_=self.open)
        except Misspelt as error:
            self.refuse_typed(error.why, error.at)

    # ---- gate 3: a few node types, every number bounded before sympy sees it -------------------
    def build(self, node: ast.expr, depth: int) -> _Node:
        at = max(node.col_offset - 1, 0)
        if depth > MAX_NESTING:
            self.refuse(f"is nested more than {MAX_NESTING} deep", at)
        match node:
            case ast.Constant():
                return self.constant(self.plain[at : (node.end_col_offset or 0) - 1], at)
            case ast.Name(id=name) if name in self.names:
                expr = self.names[name]
                return self.checked(_Node(expr, to_float(expr) if expr.is_Rational else None), at)
            case ast.Name(id=name) if name in _CONSTANTS:
                return self.checked(_Node(_CONSTANTS[name], float(_CONSTANTS[name])), at)
            case ast.Name(id=name):
                self.refuse(f"function '{name}' needs an argument in parentheses", at)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.build(operand, depth + 1)
                return _Node(-inner.expr, None if inner.value is None else -inner.value)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.build(operand, depth + 1)
            case ast.BinOp(op=ast.Pow(), left=left, right=right):
                return self.power(self.build(left, depth + 1), self.build(right, depth + 1), at)
            case ast.BinOp():
                return self.chain(node, depth)
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
                return self.call(name, self.build(argument, depth + 1), at)
            case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
                self.refuse(f"function '{name}' takes one argument", at)
            case ast.Call():
                self.refuse("something is called that is no function; write * to multiply", at)
            case _:
                self.refuse("only numbers, names, + - * / **, parentheses and functions are allowed", at)

    def constant(self, digits: str, at: int) -> _Node:
        value = float(digits)
        if not math.isfinite(value) or value > LARGEST or (value != 0 and value < SMALLEST):
            self.refuse("a number is outside double precision", at)
        if value == 0 and re.search(r"[1-9]", re.split("[eE]", digits)[0]):
            self.refuse("a number is outside double precision", at)
        if value == 0:
            return _Node(sympy.S.Zero, 0.0)  # 0e999999999 must not become a power of ten
        return _Node(sympy.Rational(digits), value)

    def chain(self, node: ast.expr, depth: int) -> _Node:
        """A left-associative chain of + - * /, unrolled: a long sum is not deep."""
        steps: list[tuple[ast.BinOp, int]] = []
        while isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Pow):
            steps.append((node, max(node.right.col_offset - 1, 0)))
            node = node.left
        total = self.build(node, depth + 1)
        for step, at in reversed(steps):
            total = self.join(step.op, total, self.build(step.right, depth + 1), at)
        return total

    def join(self, op: ast.operator, left: _Node, right: _Node, at: int) -> _Node:
        if isinstance(op, ast.Div) and right.expr.is_zero:
            self.refuse("division by zero", at)
        both = (left.value, right.value) if left.value is not None and right.value is not None else None
        expr: sympy.Expr
        value: float | None
        match op:
            case ast.Add():
                expr, value = left.expr + right.expr, both and both[0] + both[1]
            case ast.Sub():
                expr, value = left.expr - right.expr, both and both[0] - both[1]
            case ast.Mult():
                expr, value = left.expr * right.expr, both and both[0] * both[1]
            case ast.Div():
                if both and both[1] == 0:
                    self.refuse("division by zero", at)
                expr, value = left.expr / right.expr, both and both[0] / both[1]
            case _:
                self.refuse("only the operators + - * / ** are allowed", at)
        return self.checked(_Node(expr, value), at)

    def power(self, base: _Node, exponent: _Node, at: int) -> _Node:
        if exponent.value is not None and abs(exponent.value) > MAX_EXPONENT:
            self.refuse(f"an exponent is larger than {MAX_EXPONENT}", at)
        self.bound_factors(base.expr, exponent.expr, at)
        self.bound_logs(exponent.expr, at)
        if not exponent.expr.is_integer and not base.expr.is_extended_nonnegative:
            for factor in sympy.Mul.make_args(base.expr):
                if isinstance(factor, sympy.Pow) and not factor.is_extended_nonnegative:
                    self.refuse("a power of a power that may be negative", at)
        value: float | None = None
        if base.value is not None and base.value <= 0 and not exponent.expr.is_integer:
            self.refuse("a power of zero or of a negative number", at)
        if base.value is not None and exponent.value is not None:
            try:
                value = math.pow(base.value, exponent.value)
            except (ValueError, OverflowError):
                self.refuse("a power is infinite or undefined", at)
            self.checked_value(value, base.value == 0, at)
        return self.checked(_Node(base.expr**exponent.expr, value), at)

    def call(self, name: str, argument: _Node, at: int) -> _Node:
        build, evaluate = FUNCTIONS[name]
        value: float | None = None
        if argument.value is not None:
            try:
                value = evaluate(argument.value)
            except (ValueError, OverflowError):
                self.refuse(f"{name} is infinite or undefined here", at)
            self.checked_value(value, True, at)
        if name == "sqrt":
            self.bound_factors(argument.expr, sympy.S.Half, at)
        if name in ("exp", "expm1"):
            self.bound_logs(argument.expr, at)
        if name in ("abs", "sinh", "cosh", "tanh", "sech") and not argument.expr.is_extended_real:
            # sympy would look for real and imaginary parts, at any length.
            self.refuse(f"{name} of what may be complex", at)
        return self.checked(_Node(build(argument.expr), value), at)

    def bound_factors(self, base: sympy.Expr, exponent: sympy.Expr, at: int) -> None:
        """Checks what each factor of ``base`` becomes: (24**x)**(y/x) is 24**y, exp(c)**log(24) is 24**c."""
        for factor in sympy.Mul.make_args(base):
            inner, power = factor.as_base_exp()
            combined = power * exponent
            if inner is sympy.E:
                self.bound_logs(combined, at)
            else:
                # In 12**(10**9 + a) sympy takes the constant term of the exponent out.
                self.bound_power(inner, combined.as_coeff_Add()[0], at)

    def bound_power(self, base: sympy.Expr, exponent: sympy.Rational, at: int) -> None:
        """Refuses powers whose exact rationals would not fit: 2**(10**9), ((2*t)**999)**999.

        sympy writes 24**(p/q) as a root of a product of powers up to q: the denominator counts as well.
        """
        size = abs(to_float(exponent))
        if size > MAX_EXPONENT:
            self.refuse(f"an exponent is larger than {MAX_EXPONENT}", at)
        if _bits(base) * max(size, 1.0) > MAX_BITS:
            self.refuse("a power has too many digits", at)
        content = _content(base)
        if content and exponent.q > 1 and (content * exponent.q > MAX_ROOT or exponent.q > MAX_DENOMINATOR):
            self.refuse("an exponent has too many digits for a number in its base", at)

    def bound_logs(self, exponent: sympy.Expr, at: int) -> None:
        """The same for exp(10**9*log(2*t)), which sympy turns into a power by itself."""
        if exponent.has(sympy.log):
            logs = exponent.atoms(sympy.log)
            if any(term.args[0].has(sympy.log) for term in logs) and _mass(exponent) > MAX_MASS:
                self.refuse("an exponent has logarithms in logarithms and numbers too large for it", at)
            bits = max(_bits(term.args[0]) for term in logs)
            size = _weight(exponent, roots=False)
            if size > MAX_EXPONENT or bits * size > MAX_BITS:
                self.refuse(f"an exponent is larger than {MAX_EXPONENT}", at)
            if sum(_content(term.args[0]) for term in logs) * _weight(exponent, roots=True) > MAX_ROOT:
                self.refuse("an exponent has too many digits for the logarithm of a number", at)

    def checked_value(self, value: float, zero_allowed: bool, at: int | None) -> None:
        size = abs(value)
        if not size <= LARGEST or (size < SMALLEST and not (size == 0 and zero_allowed)):
            self.refuse("a constant is outside double precision", at)

    def checked(self, node: _Node, at: int) -> _Node:
        expr, value = node
        if expr.has(sympy.zoo, sympy.nan, sympy.oo, sympy.S.NegativeInfinity):
            self.refuse("is infinite or undefined", at)
        if expr.has(sympy.I):
            self.refuse("is a complex number", at)
        # Where two exponents meet their denominators multiply: keep each of them small.
        if any(power.q > MAX_DENOMINATOR for _, power in _numeric_powers(expr)):
            self.refuse("an exponent has too many digits for a number in its base", at)
        if isinstance(expr, sympy.Pow) and expr.exp.is_number and abs(to_float(expr.exp)) > MAX_EXPONENT:
            self.refuse(f"an exponent is larger than {MAX_EXPONENT}", at)
        if value is None and not expr.free_symbols:  # t - t, (2*t)/t
            value = to_float(expr)
        if value is not None:
            self.checked_value(value, True, at)
            if expr.is_Rational and max(expr.p.bit_length(), expr.q.bit_length()) > 4 * MAX_BITS:
                self.refuse("a constant has too many digits", at)
        return _Node(expr, value)


def _constants(expr: sympy.Expr) -> Iterator[sympy.Expr]:
    """The largest parts of ``expr`` that hold no symbol."""
    if not expr.free_symbols:
        yield expr
    else:
        for part in expr.args:
            yield from _constants(part)


def _bits(expr: sympy.Expr) -> int:
    """The largest exact rational in ``expr``, in bits; 0 when there is none but ±1."""
    most = max((max(q.p.bit_length(), q.q.bit_length()) for q in expr.atoms(sympy.Rational)), default=0)
    return most if most > 1 else 0


def _numeric_powers(expr: sympy.Expr) -> Iterator[tuple[sympy.Rational, sympy.Rational]]:
    """The factors of ``expr`` that are a rational to a rational power."""
    for factor in sympy.Mul.make_args(expr):
        base, exponent = factor.as_base_exp()
        if base.is_Rational and exponent.is_Rational:
            yield base, exponent


def _content(expr: sympy.Expr) -> int:
    """Bits of the numbers that ``expr`` has as factors, times the roots that they stand under."""
    return sum(_bits(base) * exponent.q for base, exponent in _numeric_powers(expr))


def _mass(expr: sympy.Expr) -> float:
    """The product of all numerators and denominators in ``expr``."""
    numbers = (q for q in sympy.preorder_traversal(expr) if isinstance(q, sympy.Rational) and q != 0)
    return 2.0 ** min(sum(math.log2(abs(q.p) * q.q) for q in numbers), 1000.0)


def _weight(expr: sympy.Expr, *, roots: bool) -> float:
    """How large a number, or its denominator too, may come to stand before a logarithm in ``expr``."""
    if expr.is_Rational:
        return max(1.0, abs(to_float(expr))) * (float(min(expr.q, 10**300)) if roots else 1.0)
    if isinstance(expr, sympy.log) or not expr.args:
        return 1.0 if expr.free_symbols else max(1.0, abs(to_float(expr)))
    parts = [_weight(part, roots=roots) for part in expr.args]
    return max(parts) if expr.is_Add else math.prod(parts)


def accept(
    expr: Any,
    variable: str = "t",
    parameters: Collection[str] = (),
    *,
    option: str = "expression",
    constants: Mapping[str, float] | None = None,
) -> sympy.Expr:
    """A user's expression, as text (see `parse`), number or sympy object, in canonical symbols.

    A sympy object may hold what `parse` can build and nothing else; its symbols are replaced by the
    canonical ones of the same name, its floats by the rationals that they print as.
    """
    if isinstance(expr, str):
        return parse(expr, variable, parameters, option=option, constants=constants)
    if isinstance(expr, (int, float, np.integer, np.floating)) and not isinstance(expr, bool):
        return parse(repr(expr.item() if isinstance(expr, np.generic) else expr), "", (), option=option)
    if not isinstance(expr, sympy.Expr):
        raise BadInput(option, expr, "must be text, a number or a sympy expression")
    names = _allowed(variable, parameters, tuple((constants or {}).items()), option)
    nodes = list(sympy.preorder_traversal(expr))
    if len(nodes) > 5 * MAX_TOKENS:
        raise BadInput(option, expr, f"has {len(nodes)} nodes; at most {5 * MAX_TOKENS}")
    swap: dict[sympy.Basic, sympy.Basic] = {}
    for node in nodes:
        if isinstance(node, sympy.Symbol):
            if node.name not in names:
                raise BadInput(option, expr, f"unknown name '{node.name}'; allowed: {', '.join(names)}")
            swap[node] = names[node.name]
        elif isinstance(node, sympy.Float) and node.is_finite:
            swap[node] = sympy.Rational(repr(float(node)))
        elif not isinstance(node, NODES):
            kind = type(node).__name__
            raise BadInput(option, expr, f"{kind!r} is not allowed; functions: {', '.join(FUNCTIONS)}")
    canonical = expr.xreplace(swap)
    if canonical.has(sympy.zoo, sympy.nan, sympy.oo, sympy.S.NegativeInfinity, sympy.I):
        raise BadInput(option, expr, "must be real and finite")
    return canonical


def number(text: Any, option: str = "number") -> float:
    """A number from the command line or a config file: ``0.1``, ``1e-3``, ``1/2``, ``2*pi``."""
    if isinstance(text, str):
        return to_float(parse(text.strip(), "", (), option=option))
    if isinstance(text, bool) or not isinstance(text, (int, float, np.integer, np.floating)):
        raise BadInput(option, text, "must be a finite number")
    value = float(text)
    if not math.isfinite(value):
        raise BadInput(option, text, "must be a finite number")
    return value
