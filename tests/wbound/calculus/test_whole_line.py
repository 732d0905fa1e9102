"""Ranges on the whole line: known ones are met, cheating densities are refused, samples stay inside."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from wbound.calculus.parser import X, parse, symbol
from wbound.calculus.whole_line import _Line, curvature_on_line, range_on_line
from wbound.errors import BadInput

KNOWN = [
    ("-x**2/2", 1.0, 1.0),
    ("-x**2/2-log(cosh(x))", 1.0, 2.0),
    ("-x**2/2-0.3*log(2*cosh(3*x))", 1.0, 3.7),
    ("log(exp(-(x-0.8)**2/2)+exp(-(x+0.8)**2/2))", 0.36, 1.0),  # a mixture: its terms underflow far out
    ("-x**2-log1p(exp(x))", 2.0, 2.25),
    ("-x**2-log(1+exp(-x))", 2.0, 2.25),
    ("-sqrt(1+x**2)-x**2", 2.0, 3.0),
    ("-x**2/2+0.2*cos(x)", 0.8, 1.2),
    ("-x**2-log(1+x**2)", 1.75, 4.0),
    ("-x**2+0.1*exp(-x**2)", 2 - 0.4 * math.exp(-1.5), 2.2),
    ("-x**2/2+0.1*tanh(x)**2", 0.8, 1 + 0.2 / 3),
]


@pytest.mark.parametrize(("text", "m", "L"), KNOWN)
def test_known_curvatures(text: str, m: float, L: float) -> None:
    low, high = curvature_on_line(parse(text, "x"), X)
    assert low <= m * (1 + 1e-15) and low == pytest.approx(m, rel=3e-9)
    assert high >= L * (1 - 1e-15) and high == pytest.approx(L, rel=3e-9)


def test_a_density_that_cheats_between_grid_points() -> None:
    # Height 5e-9 and width 1e-4: no grid sees it, and −(log p)″ doubles at its top, and falls at its flanks.
    text = "-x**2/2+exp(-((x-0.3337)/0.0001)**2)*5e-9"
    low, high = curvature_on_line(parse(text, "x"), X)
    c = 2 * 5e-9 / 1e-8
    assert low == pytest.approx(1 - 2 * c * math.exp(-1.5), rel=1e-7) and high == pytest.approx(
        1 + c, rel=1e-7
    )


def test_parameters() -> None:
    expr = parse("-x**2/2-a*log(cosh(b*x))", "x", ("a", "b"))
    assert curvature_on_line(expr, X, {"a": 0.3, symbol("b"): 2.0}) == pytest.approx((1.0, 2.2))
    with pytest.raises(BadInput, match="no value for b"):
        curvature_on_line(expr, X, {"a": 0.3})
    with pytest.raises(BadInput, match="too many digits"):
        range_on_line(parse("(24+x**2)**-a", "x", ("a",)), X, {"a": 0.7234567891})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-x**4", "cannot be bounded above"),
        ("-cosh(x)", "cannot be bounded above"),
        ("-abs(x)-x**2", "its derivative may jump or be undefined near x = 0"),
        ("x*atan(1/x)-x**2", "may jump or be undefined near x = 0"),  # bounded second derivative, but a kink
        ("log(x)-x**2", "the density may jump or be undefined near x = "),
        ("tan(x)-x**2", "the density may jump or be undefined near x = "),
        ("1/(x-2)-x**2", "the density may jump or be undefined near x = 2"),
        ("-abs(x)**1.5-x**2", "may jump or be undefined near x = 0"),
    ],
)
def test_what_cannot_be_proved_is_refused_with_its_place(text: str, why: str) -> None:
    with pytest.raises(BadInput) as caught:
        curvature_on_line(parse(text, "x"), X, option="density")
    assert str(caught.value).startswith("density = ") and why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_concave_directions_come_back_as_they_are() -> None:
    low, high = curvature_on_line(parse("log(exp(-(x-3)**2/2)+exp(-(x+3)**2/2))", "x"), X)
    assert low == pytest.approx(-8.0) and high == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("sinh(x)/cosh(x)", -1.0, 1.0),
        ("x*exp(-x**2/2)", -math.exp(-0.5), math.exp(-0.5)),
        ("x**2*exp(-x)/(1+exp(-x)*x**4+exp(-2*x))", None, None),
        ("(sqrt(1+x**2)-x)/(1+abs(x))", None, None),
        ("exp(2*x)/(1+exp(x))**2", 0.0, 1.0),
        ("x/sqrt(1+x**2)", -1.0, 1.0),
        ("x*sin(x)/(1+x**2)", None, None),
        ("x*exp(x)/(1+exp(2*x))", None, None),
        ("3", 3.0, 3.0),
    ],
)
def test_ranges(text: str, low: float | None, high: float | None) -> None:
    expr = parse(text, "x")
    lower, upper = range_on_line(expr, X)
    assert math.isfinite(lower) and math.isfinite(upper)
    if low is not None:
        assert lower <= low and lower == pytest.approx(low, rel=3e-9, abs=1e-11)
    if high is not None:
        assert upper >= high and upper == pytest.approx(high, rel=3e-9, abs=1e-11)
    exact = sympy.lambdify(X, expr, "mpmath")
    for x in [*np.linspace(-3, 3, 41), *np.logspace(0.5, 3, 20), *-np.logspace(0.5, 3, 20)]:
        with mpmath.workdps(30):
            assert lower <= exact(mpmath.mpf(float(x))) <= upper


_LEAVES = st.sampled_from(["x", "x", "2", "x**2", "exp(-x)", "exp(x)", "exp(-x**2)", "(1+x**2)"])
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds("({})+({})".format, inner, inner),
        st.builds("({})-({})".format, inner, inner),
        st.builds("({})*({})".format, inner, inner),
        st.builds("({})/({})".format, inner, inner),
        st.builds("({})**{}".format, inner, st.sampled_from(["2", "3", "(-1)", "(-2)", "0.5", "1.5"])),
        st.builds(
            "{}({})".format, st.sampled_from(["exp", "log1p", "cos", "tanh", "sinh", "cosh", "abs"]), inner
        ),
    ),
    max_leaves=5,
)


def _tame(name: str) -> Callable[[mpmath.mpf], mpmath.mpf]:
    def evaluate(u: mpmath.mpf) -> mpmath.mpf:
        if abs(u) > 500:
            raise ValueError
        return getattr(mpmath, name)(u)

    return evaluate


_MPMATH = [{n: _tame(n) for n in ("exp", "cos", "sinh", "cosh", "tanh")}, "mpmath"]


@settings(max_examples=2 * settings.default.max_examples)
@given(
    text=_TREES,
    start=st.floats(-2, 2).map(lambda power: 10.0**power),
    width=st.floats(-6, 2).map(lambda power: 10.0**power),
)
@example("x*exp(x)", 3.0, 1.0)
def test_both_readings_hold_on_any_cell(text: str, start: float, width: float) -> None:
    try:
        expr = parse(text, "x")
        line = _Line(expr, X)
    except BadInput:
        assume(False)
    lo = np.array([start, start, -start - width, -math.inf, 0.0, -start])
    hi = np.array([start + width, math.inf, -start, -start, start, 0.0])
    lower, upper = line(lo, hi)
    assert np.all(lower <= upper)
    exact = sympy.lambdify(X, expr, _MPMATH)
    for i in range(lo.size):
        for x in np.linspace(max(lo[i], -300.0), min(hi[i], 300.0), 5):
            with mpmath.workdps(300):
                try:
                    value = exact(mpmath.mpf(float(x)))
                except (ValueError, ZeroDivisionError, OverflowError):
                    continue
                if isinstance(value, mpmath.mpc) or mpmath.isnan(value):
                    continue
                slack = abs(value) * mpmath.mpf(10) ** -250  # the reference is rounded too
                assert lower[i] - slack <= value <= upper[i] + slack, (expr, x, lo[i], hi[i])


@settings(max_examples=settings.default.max_examples // 20)
@given(
    weights=st.lists(st.floats(0.1, 2).map(lambda w: round(w, 3)), min_size=3, max_size=3),
    places=st.lists(st.floats(-2, 2).map(lambda c: round(c, 3)), min_size=2, max_size=2),
)
def test_random_densities_stay_inside(weights: list[float], places: list[float]) -> None:
    text = (
        f"-{weights[0]}*x**2-{weights[1]}*log(cosh(x-({places[0]})))-0.1*log1p(exp({weights[2]}*x))"
        f"+0.1*exp(-(x-({places[1]}))**2)"
    )
    expr = parse(text, "x")
    low, high = curvature_on_line(expr, X)
    exact = sympy.lambdify(X, -expr.diff(X, 2), ["mpmath", {"log1p": mpmath.log1p}])
    seen = []
    for x in [*np.linspace(-5, 5, 101), -60.0, -20.0, 20.0, 60.0]:
        with mpmath.workdps(80):
            value = exact(mpmath.mpf(float(x)))
            assert low <= value <= high
            seen.append(float(value))
    assert low > min(seen) - 0.05 and high < max(seen) + 0.05  # not vacuous
