"""Functions made of expressions: shapes, accuracy, edges; compared with mpmath and with sympy's own."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import sympy

from wbound.calculus.parser import T, X, parse, symbol
from wbound.calculus.to_numpy import function, to_float
from wbound.errors import BadInput

A, B = symbol("a"), symbol("b")
TEXTS = [
    "(b+a*t)/2",
    "sqrt(b+a*t)",
    "a*exp(b*t)/(1+t)**2.5",
    "expm1(2*b*t)*a**2/(2*b)",
    "log1p(t)**3-t**4+t**-3",
    "-t-a-b",
    "a-t*b-2*t**2",
    "exp(-b*t-a*t**2/2)*(b+a*t)/(t+1)/(t+2)**2",
    "tanh(t)*sech(t)+sinh(t)/cosh(2*t)",
    "abs(t-1)+sin(a*t)*cos(b*t)+tan(t/9)+atan(t)",
    "t**t+a**t+0.3**(t+b)",
    "1/(t+b)",
    "-1/(t+b)**0.5",
    "2*(t+1)*(t+1)",
]


@pytest.mark.parametrize("text", TEXTS)
def test_values_and_shapes(text: str) -> None:
    expr = parse(text, "t", ("a", "b"))
    f, a, b = function(expr, T, A, B), 1.7, 0.4
    reference = sympy.lambdify((T, A, B), expr, ["mpmath", {"expm1": mpmath.expm1, "log1p": mpmath.log1p}])
    at = np.array([[0.1, 0.7, 1.3], [2.0, 3.3, 4.9]])
    with mpmath.workdps(40):
        expected = np.array([[float(reference(*map(mpmath.mpf, (t, a, b)))) for t in row] for row in at])
    kept = at.copy()
    values = f(at, a, b)
    assert values.dtype == np.float64 and values.shape == at.shape
    np.testing.assert_array_equal(at, kept)  # results are written over temporaries, never over arguments
    scale = np.abs(expected) + (1.0 if "-" in text or "sin" in text else 0.0)
    assert np.all(np.abs(values - expected) <= 2e-15 * scale * 10)
    for index in np.ndindex(at.shape):
        single = f(float(at[index]), a, b)
        assert type(single) is float and single == pytest.approx(values[index], rel=1e-15, abs=1e-15)
    assert f(at[:, :1], np.array([1.0, 1.7, 2.0]), b)[1, 1] == pytest.approx(f(2.0, a, b), rel=1e-15)


def test_constants_and_broadcasting() -> None:
    assert function(sympy.Integer(3), T)(np.ones((2, 1))).tolist() == [[3.0], [3.0]]
    assert function(sympy.Integer(3), T)(1.0) == 3.0
    assert function(T, T, A)(np.ones(2), np.ones((3, 1))).shape == (3, 2)
    identity = function(T, T)
    assert identity(2) == 2.0 and identity([1, 2]).tolist() == [1.0, 2.0] and identity(np.array(2)) == 2.0
    assert function(T * A, T, A)(np.arange(3), 2).tolist() == [0.0, 2.0, 4.0]


def test_constants_are_rounded_once() -> None:
    tiny = sympy.log(1 + sympy.Rational(1, 10**20))
    assert to_float(tiny) == 1e-20 and function(tiny * T, T)(2.0) == 2e-20
    assert function(10**30 * T, T)(np.ones(2)).dtype == np.float64
    assert to_float(sympy.Rational(1, 3)) == 1 / 3 and to_float(sympy.Integer(10) ** 400) == np.inf
    assert function(sympy.sqrt(2) * sympy.Rational(1, 3) * T, T)(1.0) == to_float(sympy.sqrt(2) / 3)


def test_edges_give_inf_and_nan_without_a_warning() -> None:
    assert function(sympy.exp(T), T)(1000.0) == np.inf
    assert function(1 / T, T)(0.0) == np.inf and function(A / T, T, A)(0.0, 1.0) == np.inf
    assert np.isnan(function(sympy.log(X), X)(-1.0))
    assert np.isnan(function(sympy.sqrt(X), X)(np.array([-1.0, 1.0]))).tolist() == [True, False]


def test_missing_values_and_special_functions() -> None:
    with pytest.raises(BadInput, match="no value for a"):
        function(T + A, T)
    erf = function(sympy.erf(T) + A, T, A)
    assert erf(0.5, 1.0) == pytest.approx(1.5204998778130465) and erf(np.ones(3), 1.0).shape == (3,)
    assert function(sympy.Abs(X - 1).diff(X), X)(0.0) == -1.0


def test_cached_by_expression() -> None:
    assert function(parse("t+1"), T) is function(parse("1+t"), T)


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("log(1+t)", mpmath.log1p),
        ("exp(t)-1", mpmath.expm1),
        ("1-exp(-t)", lambda t: -mpmath.expm1(-t)),
        ("log(1+t+t^2)", lambda t: mpmath.log1p(t + t * t)),
    ],
)
def test_digits_are_kept_near_zero(text: str, exact: Callable[[mpmath.mpf], mpmath.mpf]) -> None:
    """Plain differences have 1e-16/t of rounding, which a quadrature would refine without end."""
    of = function(parse(text, "t"), T)
    for t in (1e-10, 1e-3, 0.7, 5.0):
        with mpmath.workdps(50):
            value = exact(mpmath.mpf(t))
            assert abs(of(np.array([t]))[0] / value - 1) < 4e-15
