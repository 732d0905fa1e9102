"""Enclosures hold what they enclose, compared with 40 digits; suprema are never below the truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wbound.calculus.parser import FUNCTIONS, T, X, function, parse, symbol
from wbound.calculus.suprema import Supremum, branch_and_bound, enclose, maximum, supremum
from wbound.errors import BadInput

A = symbol("a")
_LEAVES = st.sampled_from(["x", "x", "x", "a", "2", "0.3", "1.7", "-1"])
_POWERS = st.sampled_from(["2", "3", "4", "-1", "-2", "0.5", "1.5", "(1/3)", "-0.7"])
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds("({})+({})".format, inner, inner),
        st.builds("({})-({})".format, inner, inner),
        st.builds("({})*({})".format, inner, inner),
        st.builds("({})/({})".format, inner, inner),
        st.builds("({})**({})".format, inner, _POWERS),
        st.builds("({})**({})".format, inner, inner),
        st.builds("{}({})".format, st.sampled_from(sorted(FUNCTIONS)), inner),
    ),
    max_leaves=6,
)


def _tame(name: str) -> Callable[[mpmath.mpf], mpmath.mpf]:
    def evaluate(u: mpmath.mpf) -> mpmath.mpf:
        if abs(u) > 200:  # beyond, 40 digits are no reference, and mpmath may need for ever
            raise ValueError
        return getattr(mpmath, name)(u)

    return evaluate


_MPMATH = [{n: _tame(n) for n in ("exp", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh")}, "mpmath"]


@settings(max_examples=5 * settings.default.max_examples)
@given(
    text=_TREES,
    centre=st.one_of(st.sampled_from([0.0, 1.0, -1.0]), st.floats(-20, 20)),
    width=st.floats(-9, 1).map(lambda power: 10.0**power),
    a=st.floats(0.1, 3),
    shares=st.lists(st.floats(0, 1), min_size=3, max_size=3),
)
def test_values_lie_inside(text: str, centre: float, width: float, a: float, shares: list[float]) -> None:
    try:
        expr = parse(text, "x", ("a",))
    except BadInput:
        assume(False)
    lo = np.array([centre, centre - width / 2, centre - width, centre])
    hi = np.array([centre + width, centre + width / 2, centre, centre])
    lower, upper = enclose(expr, X, lo, hi, {"a": a})
    assert not np.isnan(lower).any() and not np.isnan(upper).any() and np.all(lower <= upper)
    exact = sympy.lambdify((X, A), expr, _MPMATH)
    for i in range(lo.size):
        for x in (lo[i], hi[i], *(lo[i] + s * (hi[i] - lo[i]) for s in shares)):
            if not lo[i] <= x <= hi[i]:
                continue
            with mpmath.workdps(40):
                try:
                    value = exact(mpmath.mpf(float(x)), mpmath.mpf(a))
                except (ValueError, ZeroDivisionError, OverflowError):
                    continue
                if isinstance(value, mpmath.mpc) or mpmath.isnan(value):
                    continue
                slack = abs(value) * mpmath.mpf(10) ** -30  # the reference is rounded too
                assert lower[i] - slack <= value <= upper[i] + slack, (expr, x, lo[i], hi[i])


@pytest.mark.parametrize(
    ("text", "lo", "hi", "range_"),
    [
        ("x**2", -1, 2, (0, 4)),
        ("x**3-3*x", -0.5, 0.5, (-1.375, 1.375)),
        ("exp(-x**2)", -1, 2, (math.exp(-4), 1)),
        ("1/x", 1, 2, (0.5, 1)),
        ("sin(x)", 0, 10, (-1, 1)),
        ("cos(x)", 3, 3.3, (-1, math.cos(3.3))),
        ("tanh(x)-x", 0, 1, (math.tanh(1) - 1, 0)),
        ("abs(x)", -3, 1, (0, 3)),
        ("sqrt(x)", 0, 4, (0, 2)),
        ("log(x)", 0, 1, (-math.inf, 0)),
        ("1/x", -1, 1, (-math.inf, math.inf)),
        ("1/x", 0, 1, (1, math.inf)),
        ("log(x)", -1, 1, (-math.inf, math.inf)),
        ("sqrt(x)", -1, 1, (-math.inf, math.inf)),
        ("tan(x)", 1, 2, (-math.inf, math.inf)),
        ("exp(x)", 700, 800, (math.exp(700), math.inf)),
        ("exp(-x)", 0, math.inf, (0, 1)),
        ("atan(1/x)", -1, 1, (-math.pi / 2, math.pi / 2)),  # it jumps, though its slope has one sign
    ],
)
def test_ranges_are_tight_where_they_can_be(
    text: str, lo: float, hi: float, range_: tuple[float, float]
) -> None:
    lower, upper = enclose(parse(text, "x"), X, lo, hi)
    assert lower == pytest.approx(range_[0], rel=1e-13, abs=1e-13) and lower <= range_[0]
    assert upper == pytest.approx(range_[1], rel=1e-13, abs=1e-13) and upper >= range_[1]


def test_shapes_parameters_and_bad_cells() -> None:
    expr = parse("a*t", "t", ("a",))
    lower, upper = enclose(expr, T, np.zeros((2, 1)), np.ones(3), {"a": (1.0, 2.0)})
    assert lower.shape == upper.shape == (2, 3) and np.all(upper >= 2.0) and np.all(lower <= 0.0)
    assert enclose(expr, T, 1.0, 1.0, {A: 3.0})[1] == pytest.approx(3.0)
    with pytest.raises(BadInput, match="no value for a"):
        enclose(expr, T, 0.0, 1.0)
    for lo, hi in ((1.0, 0.0), (math.nan, 1.0), (-1.0, 1.0), (math.inf, math.inf)):
        with pytest.raises(BadInput):
            enclose(expr, T, lo, hi, {"a": 1.0})
    with pytest.raises(BadInput, match="no interval form of erf"):
        enclose(sympy.erf(T), T, 0.0, 1.0)


# ---- suprema -------------------------------------------------------------------------------------------
SMOOTH = [
    "sqrt(0.5+t)",
    "t*exp(-t)",
    "sin(t)*exp(-t/3)",
    "abs(sin(40*t))*exp(-t)",
    "abs(t-1.3)",
    "-(t-1)**2-1",
    "t**2.5*exp(-t)",
    "tanh(t)-t/3",
    "t**t",
    "19.9*(0.1+19.9*t)/(1+exp(-t))**2",
    "cos(t**3)/(1+t)",
    "0.001*t+exp(-((t-3.3337)/0.0001)**2)",
]


@pytest.mark.parametrize("text", SMOOTH)
def test_suprema_are_above_every_sample_and_close(text: str) -> None:
    expr = parse(text)
    dense = function(expr, T)(np.linspace(0.0, 5.0, 200_001)).max()
    found = supremum(expr, T, 0.0, 5.0)
    assert isinstance(found, Supremum) and 0.0 <= found.at <= 5.0
    assert found.lower <= found.upper <= found.lower + 1e-9 * abs(found.lower) * (1 + 1e-6)
    assert dense <= found.upper
    assert function(expr, T)(found.at) == pytest.approx(found.lower, rel=1e-12)


@settings(max_examples=3 * settings.default.max_examples)
@given(place=st.floats(0.01, 4.99), width=st.floats(-7, -3).map(lambda p: 10.0**p), height=st.floats(0.5, 10))
def test_spikes_between_grid_points_are_caught(place: float, width: float, height: float) -> None:
    expr = parse("sin(t)/4+c*exp(-((t-a)/b)**2)", "t", ("a", "b", "c"))
    bound = maximum(expr, T, 0.0, 5.0, {"a": place, "b": width, "c": height})
    top = height + math.sin(place) / 4  # the slope of the sine moves the top by less than the width squared
    assert top * (1 - 1e-12) <= bound <= top * (1 + 2e-9) + width**2


def test_unbounded_and_undefined_functions() -> None:
    assert maximum(parse("1/t"), T, 0.0, 1.0) == math.inf
    assert maximum(parse("tan(t)"), T, 0.0, 5.0) == math.inf
    assert maximum(parse("atan(1/(t-1))"), T, 0.0, 5.0) == pytest.approx(math.pi / 2)
    assert maximum(parse("t"), T, 2.0, 2.0) == pytest.approx(2.0)


def test_infinite_ranges() -> None:
    assert maximum(parse("exp(-x**2)", "x"), X, -math.inf, math.inf) == pytest.approx(1.0)
    assert maximum(parse("atan(x)", "x"), X, -math.inf, math.inf) == pytest.approx(math.pi / 2)
    assert maximum(parse("x**2", "x"), X, -math.inf, math.inf) == math.inf


def test_branch_and_bound_with_an_enclosure_of_ones_own() -> None:
    def enclosure(lo, hi):  # x (1 - x) by its two factors, crude on purpose
        return lo * (1 - hi), hi * (1 - lo)

    found = branch_and_bound(enclosure, 0.0, 1.0, rtol=1e-6, breaks=[0.3, 7.0])
    assert 0.25 <= found.upper <= 0.25 * (1 + 1.1e-6)
    low = branch_and_bound(enclosure, 0.0, 1.0, rtol=1e-14, max_cells=8)  # stopped early: wide, never low
    assert 0.25 <= low.upper < 1.0
    # Values that are too good by rounding must not cut the truth off.
    liar = branch_and_bound(enclosure, 0.0, 1.0, point=lambda x: x * (1 - x) * (1 + 1e-12), rtol=1e-6)
    assert liar.upper >= 0.25
    unknown = branch_and_bound(lambda lo, hi: (lo * np.nan, hi * np.nan), 0.0, 1.0, max_rounds=3)
    assert unknown.upper == math.inf
    with pytest.raises(BadInput):
        branch_and_bound(enclosure, 1.0, 0.0)


def test_a_monotone_supremum_takes_few_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [0]

    def counted(enclosure: Any, *arguments: Any, **options: Any) -> Any:
        def counting(lo: Any, hi: Any) -> Any:
            cells[0] += np.size(lo)
            return enclosure(lo, hi)

        return branch_and_bound(counting, *arguments, **options)

    monkeypatch.setattr("wbound.calculus.suprema.branch_and_bound", counted)
    top = maximum(parse("sqrt(0.5+t)*exp(t/4)"), T, 0.0, 5.0)
    assert top == pytest.approx(math.sqrt(5.5) * math.exp(1.25), rel=1e-8)
    assert 0 < cells[0] < 1000
