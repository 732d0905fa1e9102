"""Where a forward process ends: the first t* > 0 at which f or g becomes infinite or leaves its domain."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import sympy as sp

from wbound.calculus.parser import symbol
from wbound.calculus.to_numpy import function
from wbound.forward.optimal_clock import OptimalClock, life
from wbound.typing import Array

__all__ = ["end_of", "without_elliptic"]


def end_of(f: sp.Expr, g: sp.Expr, values: Mapping[sp.Symbol, sp.Rational]) -> sp.Expr | None:
    """The first t* > 0 where f or g is infinite or leaves its domain, symbolic; None if there is none."""
    t = symbol("t")
    compiled = [function(e, t, *values) for e in (f, g)]
    numbers = [float(v) for v in values.values()]

    def at(times: Array) -> list[Array]:
        return [np.asarray(of(times, *numbers), float) + np.zeros_like(times) for of in compiled]

    roots: list[tuple[float, sp.Expr]] = []
    for equation in _suspects(f) | _suspects(g):
        for root in _roots(equation, t):
            value = complex(sp.N(root.subs(values)))
            if abs(value.imag) < 1e-12 * abs(value) and value.real > 1e-12:
                roots.append((value.real, root))
    with np.errstate(all="ignore"):  # looking for infinities on purpose; beyond float64 is no end
        for value, root in sorted(roots, key=lambda r: r[0]):
            before, beyond = at(value * (1.0 - 10.0 ** -np.arange(2.0, 11.0))), at(value * (1.0 + _BEYOND))
            if not all((v >= 0.0).all() for v in beyond) or any(_grows_without_end(v) for v in before):
                return sp.simplify(root)
        times = np.geomspace(1e-3, 1e3, 400)
        wrong = times[(at(times)[0] < 0.0) | (at(times)[1] < 0.0)]
    if wrong.size:
        from wbound.calculus.asymptotics import Unrecognised

        raise Unrecognised(f"f or g becomes negative near t = {wrong[0]:.3g}")
    return None


#: How far beyond a suspected end to look, relative to it.
_BEYOND = np.array([1e-9, 1e-6, 1e-3])


def _grows_without_end(v: Array) -> bool:
    """Values ever closer to a point: not finite, or still growing at the same pace."""
    return not np.isfinite(v).all() or bool(v[-1] > 2.0 * v[-3] and (np.diff(v) > 0).all())


def without_elliptic(e: sp.Expr, values: dict[sp.Symbol, sp.Rational]) -> sp.Expr:
    """The optimal clock by what it is near its pole s*: λ ~ 27/((m_0L_0)²(s*−s)³)."""
    for clock in e.atoms(OptimalClock):
        s, m0, L0 = clock.args
        pole = sp.Symbol("s_end", positive=True)
        values[pole] = sp.Rational(life(float(m0.subs(values)), float(L0.subs(values))))
        e = e.subs(clock, 27 / ((m0 * L0) ** 2 * (pole - s) ** 3))
    return e


@lru_cache(maxsize=256)  # one f and g with many values of their parameters is a sweep
def _suspects(e: sp.Expr) -> frozenset[sp.Expr]:
    """Expressions whose zeros may be singular points of ``e``."""
    t = symbol("t")
    found: set[sp.Expr] = set()
    for node in sp.preorder_traversal(e):
        if not node.has(t):
            continue
        if isinstance(node, sp.Pow) and not isinstance(node, sp.exp) and not node.exp.has(t):
            if not (node.exp.is_integer and node.exp.is_nonnegative):
                found.add(node.base)
        elif isinstance(node, sp.log):
            found.add(node.args[0])
        elif isinstance(node, (sp.tan, sp.sin, sp.cos, sp.cot)):
            found |= {node.args[0] - k * sp.pi / 2 for k in range(1, 5)}
        elif type(node).__name__ == "log1p":
            found.add(node.args[0] + 1)
    return frozenset(
        factor for base in found for factor in sp.Mul.make_args(sp.factor(base)) if factor.has(t)
    )


@lru_cache(maxsize=256)
def _roots(equation: sp.Expr, t: sp.Symbol) -> tuple[sp.Expr, ...]:
    """Zeros in closed form: of polynomials up to degree 2, and of what sympy solves at once."""
    if isinstance(equation, sp.Pow):
        return _roots(equation.base, t)
    if equation.is_polynomial(t):
        polynomial = sp.Poly(equation, t)
        if polynomial.degree() <= 2:
            return tuple(sp.roots(polynomial))
        if polynomial.free_symbols_in_domain:
            return ()
        return tuple(sp.nsimplify(r, rational=True) for r in polynomial.nroots())
    if (
        equation.atoms(sp.exp, sp.log)
        and sp.count_ops(equation) < 20
        and not equation.has(sp.sin, sp.cos, sp.tan)
    ):
        unknown = sp.Symbol("t", real=True)
        try:
            return tuple(r for r in sp.solve(equation.subs(t, unknown), unknown) if not r.has(unknown))
        except NotImplementedError:
            return ()
    return ()
