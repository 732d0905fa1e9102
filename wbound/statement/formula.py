"""A formula of the theory in sympy: to be shown as LaTeX, and to be computed as it stands (which:
`wbound.statement.formulas`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

__all__ = ["Formula", "Supremum", "evaluated"]


#: Functions of time by their names in LaTeX, as the terms name them.
FUNCTIONS = {
    r"\dot{\lambda}": "rate",
    **{name: f"{name}(t)" for name in ("lambda", "alpha", "f", "g", "C_2")},
}


@dataclass(frozen=True)
class Formula:
    """``claim``, a sympy relation, whose right side is the value. A recursion is one in k: ``first`` is its value at
    k = 0, the left side its value at k (or its square, for ``root``), and what is meant is ``last`` of the one at K,
    called ``lasting``.
    """

    claim: sp.Rel
    recursive: str = ""
    first: sp.Expr | None = None
    last: sp.Expr | None = None
    root: bool = False
    lasting: str = "W_2"

    @property
    def latex(self) -> str:
        """The relation as LaTeX; of a recursion its step, its beginning, and what follows."""
        parts = [self.claim]
        if self.first is not None:
            parts.append(sp.Eq(sp.IndexedBase(self.recursive)[0], self.first, evaluate=False))
        if self.last is not None:
            parts.append(sp.Eq(sp.Symbol(self.lasting), self.last, evaluate=False))
        return r",\qquad ".join(sp.latex(p) for p in parts)

    def value(self, terms: Mapping[str, Any]) -> float:
        """The right side in floats. terms: numbers by symbol, sequences for indexed symbols (by their index), and
        functions of one number."""
        if not self.recursive:
            return evaluated(self.claim.rhs, terms)
        known = {**terms, self.recursive: [evaluated(self.first, terms)]}
        for k in range(1, int(terms["K"]) + 1):
            step = evaluated(self.claim.rhs, {**known, "k": k})
            known[self.recursive].append(math.sqrt(step) if self.root else step)
        if self.last is None:
            return float(known[self.recursive][-1])
        return evaluated(self.last, known)


class Supremum(sp.Expr):
    """sup of an expression in t over 0 ≤ t ≤ T: (expression, t, T)."""

    def _latex(self, printer: Any) -> str:
        inner, variable, end = (printer._print(a) for a in self.args)
        return rf"\sup_{{0\leq {variable}\leq {end}}} {inner}"


def evaluated(expr: Any, terms: Mapping[str, Any]) -> float:
    """A sympy expression in floats: sums and products term by term, integrals by quadrature."""
    if isinstance(expr, sp.Sum | sp.Product):
        index, low, high = expr.limits[0]
        if high is sp.oo:
            return _infinite_product(expr, terms)
        ends = range(round(evaluated(low, terms)), round(evaluated(high, terms)) + 1)
        values = [evaluated(expr.function, {**terms, str(index): i}) for i in ends]
        return math.fsum(values) if isinstance(expr, sp.Sum) else math.prod(values)
    if isinstance(expr, sp.Integral):
        return _integral(expr, terms)
    if isinstance(expr, Supremum):
        return _supremum(expr, terms)
    if isinstance(expr, sp.Indexed):
        return float(terms[str(expr.base)][round(evaluated(expr.indices[0], terms))])
    if isinstance(expr, sp.Symbol):
        return float(terms[str(expr)])
    if isinstance(expr, sp.core.function.AppliedUndef):
        return float(terms[FUNCTIONS[str(expr.func)]](evaluated(expr.args[0], terms)))
    if expr.is_Number or expr.is_NumberSymbol:
        return float(expr)
    parts = [evaluated(a, terms) for a in expr.args]
    if isinstance(expr, sp.Add):
        return math.fsum(parts)
    if isinstance(expr, sp.Mul):
        return math.prod(parts)
    if isinstance(expr, sp.Pow):
        return float(parts[0] ** parts[1])
    named: dict[str, Callable[..., float]] = {
        "Max": max,
        "Min": min,
        "Abs": abs,
        "exp": math.exp,
        "log": math.log,
        "cos": math.cos,
        "sinh": math.sinh,
        "atan": math.atan,
    }
    return float(named[type(expr).__name__](*parts))


def _infinite_product(expr: sp.Product, terms: Mapping[str, Any]) -> float:
    """Of factors that tend to 1 geometrically: until one is 1 to rounding."""
    index, low, _ = expr.limits[0]
    whole, i, factor = 1.0, round(evaluated(low, terms)), 0.0
    while abs(factor - 1.0) > 1e-16:
        factor = evaluated(expr.function, {**terms, str(index): i})
        whole, i = whole * factor, i + 1
    return whole


def _supremum(expr: Supremum, terms: Mapping[str, Any]) -> float:
    """The largest of 400 values, and of what a search finds around it."""
    from scipy.optimize import minimize_scalar

    inner, variable, end = expr.args
    T, n = evaluated(end, terms), 400

    def below(x: float) -> float:
        return -evaluated(inner, {**terms, str(variable): x})

    values = [below(T * i / n) for i in range(n + 1)]
    i = values.index(min(values))
    ends = (T * max(i - 1, 0) / n, T * min(i + 1, n) / n)
    found = minimize_scalar(below, bounds=ends, method="bounded", options={"xatol": 1e-9 * T})
    return -min(values[i], float(found.fun))


def _integral(expr: sp.Integral, terms: Mapping[str, Any]) -> float:
    from scipy.integrate import quad

    variable, low, high = expr.limits[0]
    a, b = evaluated(low, terms), evaluated(high, terms)

    def integrand(x: float) -> float:
        return evaluated(expr.function, {**terms, str(variable): x})

    return float(quad(integrand, a, b, epsabs=0.0, epsrel=1e-11, limit=200)[0])
