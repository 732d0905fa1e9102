"""The calculus of growth: leading terms against 600-digit values, rates against quadrature."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from wbound.calculus.asymptotics import ONE, Scale, U, Unrecognised

a, b, rho = sp.symbols("a b rho", positive=True)
VALUES = {a: sp.Rational(3, 2), b: sp.Rational(1, 2), rho: sp.Rational(7, 3)}


def tends_to_one(expr: sp.Expr, scale: Scale, at: tuple[str, str], rate: float) -> None:
    """|expr/(c·m) − 1| falls from the first point to the second, and is small there."""
    c, m = scale.lead(expr)
    gaps = [
        abs((expr / (c * m.expr)).subs({**VALUES, U: sp.Rational(x)}).evalf(600, maxn=3000) - 1) for x in at
    ]
    assert gaps[1] <= max(rate * gaps[0], sp.Float(10) ** -40), (expr, c, m, gaps)


@pytest.mark.parametrize(
    ("expr", "powers"),
    [
        ((1 + U) ** 3, (3, 0, 0, 0)),
        ((b + a * U) ** rho, (rho, 0, 0, 0)),
        (sp.exp(rho * sp.log(b + a * U), evaluate=False), (rho, 0, 0, 0)),
        (sp.sqrt(U**2 + 1) - U, (-1, 0, 0, 0)),
        ((b + a * U) ** rho - (a * U) ** rho, (rho - 1, 0, 0, 0)),
        (sp.log(1 + sp.exp(U)), (1, 0, 0, 0)),
        (sp.log(1 + sp.log(2 + U)), (0, 0, 1, 0)),
        (sp.tanh(U), (0, 0, 0, 0)),
        (1 - sp.tanh(U), (-sp.oo, 0, 0, 0)),
        (sp.tan(sp.pi / 2 - 1 / U), (1, 0, 0, 0)),
        (sp.cos(sp.pi / 2 * (1 - 1 / U)), (-1, 0, 0, 0)),
        (sp.pi / 2 - sp.atan(U), (-1, 0, 0, 0)),
        (sp.exp(sp.log(U) ** 2), (sp.oo, 0, 0, 0)),
        (sp.exp(sp.sqrt(sp.log(U))), (0, sp.oo, 0, 0)),
        (sp.exp(sp.sqrt(U**2 + U)) / sp.exp(U), (0, 0, 0, 0)),
        (sp.exp(sp.exp(U) + U) + sp.exp(sp.exp(U)), (sp.oo, 0, 0, 0)),
        (sp.sinh(U) - sp.cosh(U), None),
    ],
)
def test_leading_terms(expr: sp.Expr, powers: tuple[sp.Expr, ...] | None) -> None:
    scale = Scale(VALUES)
    if powers is None:  # −e^{−u}: negative, and still told
        c, m = scale.lead(expr)
        assert c == -1 and m.phi == -U
        return
    assert all(
        sp.simplify(p - q) == 0 if q.is_finite else p == q
        for p, q in zip(scale.exponents(scale.rate(expr)), map(sp.sympify, powers), strict=True)
    )
    deep = expr.has(sp.exp(sp.exp(U)))
    tends_to_one(
        expr, scale, ("5", "20") if deep else ("1e4", "1e12") if expr.has(sp.log) else ("40", "120"), 0.7
    )


atoms = st.sampled_from(
    [U, 1 + U, b + a * U, sp.log(2 + U), sp.exp(-U), sp.exp(U / 3), 1 / (1 + U), sp.Integer(2), a]
)


def grow(children: st.SearchStrategy[sp.Expr]) -> st.SearchStrategy[sp.Expr]:
    return st.one_of(
        st.builds(lambda x, y: x + y, children, children),
        st.builds(lambda x, y: x * y, children, children),
        st.builds(lambda x, y: x / (1 + y), children, children),
        st.builds(
            lambda x, q: (1 + x) ** q,
            children,
            st.sampled_from([sp.Rational(1, 2), 2, sp.Rational(-1, 3), rho]),
        ),
        st.builds(lambda x: sp.log(1 + x), children),
    )


@given(st.recursive(atoms, grow, max_leaves=5))
@settings(max_examples=60)
def test_leading_terms_of_random_expressions(expr: sp.Expr) -> None:
    """Positive sums, products, powers and logarithms: nothing cancels, so everything must be recognised."""
    scale = Scale(VALUES)
    tends_to_one(expr, scale, ("30", "120") if expr.has(sp.exp) else ("1e6", "1e30"), 0.95)


@pytest.mark.parametrize(
    ("integrand", "grows"),
    [
        (U ** sp.Rational(-1, 2), True),
        (1 / U**2, False),
        (1 / U, True),
        (1 / (U * sp.log(U)), True),
        (1 / (U * sp.log(U) ** 2), False),
        (sp.exp(U**2), True),
        (sp.exp(-sp.sqrt(U)), False),
        (sp.exp(sp.exp(U)), True),
        (U**rho * sp.log(U), True),
    ],
)
def test_integrals_of_rates(integrand: sp.Expr, grows: bool) -> None:
    """exp ∫rate of the integral against ∫ by quadrature: their ratio settles."""
    scale = Scale(VALUES)
    rate = scale.integral(scale.rate(integrand))
    assert (rate is not None) is grows
    if rate is None:
        return
    # d log ∫F/du = F/∫F must tend to the rate
    F = sp.lambdify(U, integrand.subs(VALUES), "numpy")
    top = 6.0 if integrand.has(sp.exp(U)) else 25.0 if integrand.has(sp.exp) else 1e30
    ends = np.log(np.geomspace(3.0, top, 60))  # in log u
    whole = sum(quad(lambda s: F(np.exp(s)) * np.exp(s), lo, hi)[0] for lo, hi in pairwise(ends))
    assert F(top) / whole == pytest.approx(float(rate.subs({**VALUES, U: top})), rel=0.05)


def test_a_sign_that_symbols_leave_open_is_taken_from_the_values_and_noted() -> None:
    scale = Scale(VALUES)
    assert scale.lead(U**rho + U**2)[1].powers[0] == rho
    assert scale.assumed == [sp.Gt(rho - 2, 0)]
    with pytest.raises(Unrecognised, match="open"):
        Scale().lead(U**rho + U**2)


@pytest.mark.parametrize("expr", [sp.sin(U), sp.gamma(U), sp.sqrt(1 - U), sp.log(1 - U)])
def test_what_is_outside_the_scale_is_said_so(expr: sp.Expr) -> None:
    with pytest.raises(Unrecognised):
        Scale().lead(expr)


def test_monomials_equal_up_to_a_factor_compare_as_equal() -> None:
    scale = Scale()
    m = scale.lead(sp.exp(U + 1))[1]
    assert scale.compare(m, scale.lead(sp.exp(U))[1]) == 0 and scale.compare(m, ONE) == 1
