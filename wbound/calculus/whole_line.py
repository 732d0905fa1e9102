"""The range of an expression on the whole real line, proved by interval arithmetic.

Far out, plain interval arithmetic fails: ``sinh(x)/cosh(x)`` on [X, ∞) is ∞/∞. There an expression is read
as coefficient · y^a · exp(q(y)) · (a bounded factor), with y = |x|, a and q collected over products and
powers, and in a sum the fastest growing term taken out; what remains are decaying monomials, whose range on
[Y, ∞) is known. The two readings, this one and the plain one, are intersected on every cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import sympy
from sympy.codegen.cfunctions import expm1

from wbound.calculus.interval_arithmetic import (
    UNARY,
    Pair,
    Program,
    add,
    constant,
    exp_of,
    multiply,
    rational_power,
)
from wbound.calculus.parser import MAX_DENOMINATOR
from wbound.calculus.suprema import Enclosure, branch_and_bound, split
from wbound.calculus.to_numpy import to_float
from wbound.errors import BadInput
from wbound.typing import Array

__all__ = ["curvature_on_line", "range_on_line"]

_MAX_TERMS = 300  # of a product that is multiplied out
_Y = sympy.Symbol("y", positive=True)
Growth = tuple[Any, tuple[tuple[Any, Any], ...]]  # (a, ((p, c), ...)): y^a exp(Σ c y^p), p > 0 decreasing
Rest = Callable[[Pair], Pair]
_ONE: Growth = (sympy.S.Zero, ())


class _Tail(NamedTuple):
    """coefficient · y^a · exp(q(y)) · rest(y) on y > 0."""

    coefficient: sympy.Expr
    growth: Growth
    rest: Rest | None

    def over(self, growth: Growth = _ONE) -> Rest:
        """Its range after division by ``growth``, as a function of cells."""
        value, rest = constant(self.coefficient), self.rest
        ratio = _divide(self.growth, growth)
        if ratio == _ONE:
            return (lambda cell: value) if rest is None else (lambda cell: multiply(value, rest(cell))[0])
        power = _monomial(ratio)
        if rest is None:
            return lambda cell: multiply(value, power(cell))[0]
        return lambda cell: multiply(multiply(value, power(cell))[0], rest(cell))[0]


def _combine(first: Growth, second: Growth, weight: sympy.Expr) -> Growth:
    exponents = dict(first[1])
    for p, c in second[1]:
        exponents[p] = exponents.get(p, sympy.S.Zero) + weight * c
    kept = [(p, c) for p, c in exponents.items() if c != 0]
    return first[0] + weight * second[0], tuple(sorted(kept, key=lambda term: -to_float(term[0])))


def _divide(first: Growth, second: Growth) -> Growth:
    return _combine(first, second, sympy.S.NegativeOne)


def _grows(growth: Growth) -> float:
    """Positive when it tends to infinity with y, negative when to zero."""
    return to_float(growth[1][0][1] if growth[1] else growth[0])


def _monomial(growth: Growth) -> Rest:
    """The range of y^a exp(q(y)) on cells in y ≥ 0."""
    a, terms = constant(growth[0]), [(rational_power(p), constant(c)) for p, c in growth[1]]
    log = UNARY[sympy.log]

    def exponent(y: Pair) -> Pair:
        total: Pair = multiply(a, log(y)[0])[0] if growth[0] != 0 else (0.0, 0.0)
        for power, c in terms:
            total = add(total, multiply(c, power(y)[0])[0])[0]
        return total

    if _grows(growth) > 0:
        return lambda cell: exp_of(exponent(cell))[0]

    # y d/dy of the exponent is a + Σ c p y^p. Divided by the leading power, its positive terms fall with y:
    # if it is negative at lo, it is so from there on, and the ends give the range.
    slopes = [(to_float(p), to_float(p) * to_float(c)) for p, c in growth[1]]
    slopes.append((0.0, to_float(growth[0])))
    top, lead = slopes[0]
    later = [(p - top, c) for p, c in slopes[1:] if c > 0]

    def decaying(cell: Pair) -> Pair:
        lo, hi = np.asarray(cell[0]) + 0.0, np.asarray(cell[1])  # -0.0 to a negative power would be -inf
        slope: Any = lead
        for p, c in later:
            slope = slope + c * np.power(lo, p)
        falls = slope < -1e-9 * abs(lead)  # far above the rounding of a few positive terms
        ends = np.concatenate([lo, np.minimum(hi, np.finfo(np.float64).max)])
        down, up = exp_of(exponent((ends, np.concatenate([lo, hi]))))[0]
        lower, upper = exp_of(exponent((lo, hi)))[0]
        n = lo.size
        lower = np.where(falls, np.where(np.isinf(hi), 0.0, down[n:]), lower)
        upper = np.where(falls, up[:n], upper)
        return np.where(np.isnan(lower), 0.0, lower), np.where(np.isnan(upper), np.inf, upper)

    return decaying


# ---- reading an expression in y > 0 --------------------------------------------------------------------
def _read(expr: sympy.Expr) -> _Tail:
    if not expr.free_symbols:
        return _Tail(expr, _ONE, None)
    if expr == _Y:
        return _Tail(sympy.S.One, (sympy.S.One, ()), None)
    if isinstance(expr, sympy.Add):
        return _read_sum([_read(term) for term in expr.args])
    if isinstance(expr, sympy.Mul):
        return _read_product([_read(part) for part in expr.args])
    if isinstance(expr, sympy.Pow) and expr.exp.is_Rational:
        return _read_power(_read(expr.base), expr.exp)
    if isinstance(expr, sympy.exp):
        return _read_exp(expr.args[0])
    if type(expr) in UNARY:
        inner, operation = _read(expr.args[0]).over(), UNARY[type(expr)]
        return _Tail(sympy.S.One, _ONE, lambda cell: operation(inner(cell))[0])
    program = Program((expr,), (_Y,))
    return _Tail(sympy.S.One, _ONE, lambda cell: program.run(cell)[0][0])


def _read_sum(terms: list[_Tail]) -> _Tail:
    pure: dict[Growth, sympy.Expr] = {}
    for term in terms:
        if term.rest is None:
            pure[term.growth] = pure.get(term.growth, sympy.S.Zero) + term.coefficient
    # Leading terms that cancel, such as (y² + 1) - y², must be seen to cancel.
    kept = [_Tail(c, growth, None) for growth, c in pure.items() if c != 0 and sympy.expand(c) != 0]
    kept += [term for term in terms if term.rest is not None]
    if not kept:
        return _Tail(sympy.S.Zero, _ONE, None)
    if len(kept) == 1:
        return kept[0]
    lead = kept[0].growth
    for term in kept[1:]:
        if _grows(_divide(term.growth, lead)) > 0:
            lead = term.growth

    ranges = [term.over(lead) for term in kept]

    def rest(cell: Pair) -> Pair:
        total = ranges[0](cell)
        for other in ranges[1:]:
            total = add(total, other(cell))[0]
        return total

    return _Tail(sympy.S.One, lead, rest)


def _read_product(parts: list[_Tail]) -> _Tail:
    coefficient, growth = sympy.S.One, _ONE
    rests = [part.rest for part in parts if part.rest is not None]
    for part in parts:
        coefficient = coefficient * part.coefficient
        growth = _combine(growth, part.growth, sympy.S.One)

    def rest(cell: Pair) -> Pair:
        total = rests[0](cell)
        for other in rests[1:]:
            total = multiply(total, other(cell))[0]
        return total

    return _Tail(coefficient, growth, rest if rests else None)


def _read_power(base: _Tail, exponent: sympy.Rational) -> _Tail:
    growth = _combine(_ONE, base.growth, exponent)
    if base.rest is None and (exponent.is_integer or base.coefficient.is_positive):
        return _Tail(base.coefficient**exponent, growth, None)
    operation = rational_power(exponent)
    bare = _Tail(base.coefficient, _ONE, base.rest).over()
    return _Tail(sympy.S.One, growth, lambda cell: operation(bare(cell))[0])


def _read_exp(argument: sympy.Expr) -> _Tail:
    if _terms(argument) <= _MAX_TERMS:
        argument = sympy.expand(argument)
    coefficient, exponents, other = sympy.S.One, [], []
    for term in sympy.Add.make_args(argument):
        c, power = term.as_independent(_Y, as_Add=False)
        base, p = power.as_base_exp()
        if power == 1:
            coefficient = coefficient * sympy.exp(c)
        elif base == _Y and p.is_Rational and p > 0:
            exponents.append((p, c))
        else:
            other.append(term)
    growth: Growth = _combine(_ONE, (sympy.S.Zero, tuple(exponents)), sympy.S.One)
    if not other:
        return _Tail(coefficient, growth, None)
    inner = _read_sum([_read(term) for term in other]).over()
    return _Tail(coefficient, growth, lambda cell: exp_of(inner(cell))[0])


def _terms(expr: sympy.Expr) -> float:
    """How many terms ``expr`` may have when multiplied out (an upper bound)."""
    if isinstance(expr, sympy.Add):
        return sum(_terms(term) for term in expr.args)
    if isinstance(expr, sympy.Mul):
        return math.prod(_terms(part) for part in expr.args)
    if isinstance(expr, sympy.Pow) and expr.exp.is_Integer and expr.exp > 0:
        k, n = _terms(expr.base), float(expr.exp)
        return 1.0 if k == 1 else math.inf if n * math.log(k) > 20 else k**n
    return 1.0


def _exponentials(expr: sympy.Expr) -> sympy.Expr:
    """Hyperbolic functions as exponentials, so that growing factors can cancel."""
    exp = sympy.exp
    rules: list[tuple[Any, Callable[[sympy.Expr], sympy.Expr]]] = [
        (sympy.sinh, lambda u: (exp(u) - exp(-u)) / 2),
        (sympy.cosh, lambda u: (exp(u) + exp(-u)) / 2),
        (sympy.sech, lambda u: 2 / (exp(u) + exp(-u))),
        (sympy.tanh, lambda u: (exp(u) - exp(-u)) / (exp(u) + exp(-u))),
        (expm1, lambda u: exp(u) - 1),
    ]
    for kind, rule in rules:
        expr = expr.replace(kind, rule)
    return expr


def _multiplied_out(expr: sympy.Expr) -> sympy.Expr | None:
    """One quotient whose numerator is multiplied out: leading terms that cancel do so here."""
    top, bottom = sympy.fraction(sympy.together(expr))
    if _terms(top) > _MAX_TERMS:
        return None
    return sympy.expand(top, power_exp=False) / bottom


class _Line:
    """Enclosures of an expression on cells that lie on one side of 0 (or are finite)."""

    def __init__(self, expr: sympy.Expr, symbol: sympy.Symbol) -> None:
        # sinh = tanh · cosh lets powers of cosh cancel already in sympy.
        plain = [expr, expr.replace(sympy.sinh, lambda u: sympy.tanh(u) * sympy.cosh(u))]
        self.plain = [Enclosure(form, symbol, None) for form in dict.fromkeys(plain)]
        self.tails = []
        for side in (1, -1):
            far = _exponentials(expr).subs(symbol, side * _Y)
            forms = [expr.subs(symbol, side * _Y), far, _multiplied_out(far)]
            self.tails.append([_read(form).over() for form in dict.fromkeys(forms) if form is not None])

    def __call__(self, lo: Array, hi: Array) -> Pair:
        lower, upper = np.full(lo.shape, -np.inf), np.full(lo.shape, np.inf)
        for enclosure in self.plain:
            down, up = enclosure(lo, hi)
            lower, upper = np.fmax(lower, down), np.fmin(upper, up)
        for tails, where in zip(self.tails, (lo >= 0, hi <= 0), strict=True):
            if not where.any():
                continue
            cell = (lo[where], hi[where]) if tails is self.tails[0] else (-hi[where], -lo[where])
            for tail in tails:
                with np.errstate(all="ignore"):  # infinite cells; nan is dropped by fmax and fmin
                    down, up = tail(cell)
                lower[where] = np.fmax(lower[where], down)
                upper[where] = np.fmin(upper[where], up)
        return lower, upper

    def negated(self, lo: Array, hi: Array) -> Pair:
        lower, upper = self(lo, hi)
        return -upper, -lower


def range_on_line(
    expr: sympy.Expr,
    symbol: sympy.Symbol,
    parameters: Mapping[Any, float] | None = None,
    *,
    rtol: float = 1e-9,
    atol: float = 1e-12,
    option: str = "expression",
) -> tuple[float, float]:
    """Proved bounds ``lower <= expr <= upper`` for all real values of ``symbol`` (lower, upper).

    They hold at every point where ``expr`` is defined, and are within ``rtol`` (or ``atol``) of its range
    where refinement gets there (not where it oscillates for ever). Raises `BadInput`, saying on which side,
    when ``expr`` is unbounded or beyond what interval arithmetic can bound.
    """
    exact, x = _exact(expr, symbol, parameters, option)
    return _range(exact, x, str(expr), rtol, atol, option)


def _range(
    exact: sympy.Expr, x: sympy.Symbol, shown: str, rtol: float, atol: float, option: str
) -> tuple[float, float]:
    if not exact.free_symbols:
        return constant(exact)
    try:
        line = _Line(exact, x)
    except BadInput as error:
        raise BadInput(option, shown, error.allowed) from None
    options: dict[str, Any] = {"rtol": rtol, "atol": atol, "breaks": (-1.0, 0.0, 1.0)}
    upper = branch_and_bound(line, -math.inf, math.inf, **options).upper
    lower = -branch_and_bound(line.negated, -math.inf, math.inf, **options).upper
    for bound, side in ((lower, "below"), (upper, "above")):
        if not math.isfinite(bound):
            raise BadInput(option, shown, f"cannot be bounded {side} on the whole real line")
    return lower, upper


def _exact(
    expr: sympy.Expr, symbol: sympy.Symbol, parameters: Mapping[Any, float] | None, option: str
) -> tuple[sympy.Expr, sympy.Symbol]:
    """Numbers for the parameters, and a symbol that is real and no more."""
    values = {str(key): sympy.Rational(repr(float(value))) for key, value in (parameters or {}).items()}
    swap = {s: values[str(s)] for s in expr.free_symbols - {symbol} if str(s) in values}
    for power in expr.atoms(sympy.Pow):
        # sympy would write 24**(p/q) as a root of a number with q digits.
        exponent = power.exp.xreplace(swap)
        if power.base != symbol and exponent.is_Rational and exponent.q > MAX_DENOMINATOR:
            raise BadInput(option, str(expr), f"the exponent {to_float(exponent)!r} has too many digits")
    x = sympy.Symbol("x", real=True)
    exact = expr.subs(swap).subs(symbol, x)
    if missing := exact.free_symbols - {x}:
        raise BadInput(option, str(expr), f"has no value for {', '.join(sorted(map(str, missing)))}")
    return exact, x


def curvature_on_line(
    log_density: sympy.Expr,
    symbol: sympy.Symbol,
    parameters: Mapping[Any, float] | None = None,
    *,
    rtol: float = 1e-9,
    option: str = "density",
) -> tuple[float, float]:
    """Proved (m, L) with m ≤ −(log p)″ ≤ L on the whole line: assumption A1's facts for one coordinate.

    m ≤ 0 comes back as it is: whether that is refused is the caller's business. Raises `BadInput` when the
    log-density or its derivative may jump or leave its domain (the message says near which x), and when
    the second derivative cannot be bounded.
    """
    exact, x = _exact(log_density, symbol, parameters, option)
    shown, slope = str(log_density), exact.diff(x)
    for what, expr in (("the density", exact), ("its derivative", slope)):
        where = _first_doubt(expr, x, shown, option)
        if where is not None:
            raise BadInput(option, shown, f"{what} may jump or be undefined near x = {where:.6g}")
    return _range(-slope.diff(x), x, shown, rtol, 1e-12, option)


def _first_doubt(expr: sympy.Expr, x: sympy.Symbol, shown: str, option: str) -> float | None:
    """A point near which ``expr`` is not proved continuous; None when it is so on the whole line."""
    if not expr.free_symbols:
        return None
    try:
        program = Program((expr,), (x,))
    except BadInput as error:
        raise BadInput(option, shown, error.allowed) from None
    left, right = np.array([-np.inf, -1.0, 0.0, 1.0]), np.array([-1.0, 0.0, 1.0, np.inf])
    for _ in range(40):
        ((_, ok),) = program.run((left, right))
        doubt = ~np.broadcast_to(ok, left.shape)
        left, right = left[doubt], right[doubt]
        if left.size == 0:
            return None
        if left.size > 4096 or np.any(left >= 1e12) or np.any(right <= -1e12):
            break
        left, right = split(left, right, 8)
    if np.any((left <= 0) & (right >= 0)):
        return 0.0
    return float(left[0] if np.isfinite(left[0]) else right[0])
