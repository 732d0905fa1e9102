"""Roots beside SciPy's."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from wbound.calculus.roots import root
from wbound.errors import BadInput

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "exponential": lambda x: math.exp(x) - 3.0,
    "flat": lambda x: x**9 - 1e-3,
    "arctan": lambda x: math.atan(50.0 * (x - 0.3)),
    "triple": lambda x: (x - 1e-3) ** 3,
    "cut off": lambda x: max(min(math.exp(-9.0 * x) - 1e-4, 1e-3), -1e-5),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_beside_brentq(name: str) -> None:
    calls = 0

    def counted(x: float) -> float:
        nonlocal calls
        calls += 1
        return FUNCTIONS[name](x)

    found = root(counted, -4.0, 6.0, 1e-12)
    assert calls <= 60
    assert found == pytest.approx(
        brentq(FUNCTIONS[name], -4.0, 6.0, xtol=1e-12, maxiter=1000), abs=1e-5 if name == "triple" else 3e-12
    )


@given(
    at=st.floats(-1e3, 1e3), left=st.floats(1e-3, 1e3), right=st.floats(1e-3, 1e3), steep=st.floats(-3.0, 3.0)
)
def test_a_step_is_found_where_it_is(at: float, left: float, right: float, steep: float) -> None:
    def step(x: float) -> float:
        return -(10.0**steep) if x < at else 1.0

    assert root(step, at - left, at + right, 1e-9) == pytest.approx(at, abs=2e-9)


def test_no_change_of_sign() -> None:
    assert root(lambda x: x, 0.0, 1.0, 1e-9) == 0.0
    with pytest.raises(BadInput, match="changes sign"):
        root(lambda x: x * x + 1.0, -1.0, 1.0, 1e-9)
