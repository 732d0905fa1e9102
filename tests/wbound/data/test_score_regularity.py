"""A2's constant for Gaussian data: the enclosures that prove it, cell by cell (what it is: test_data.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wbound
from wbound.data import score_regularity
from wbound.data.gaussian import Gaussian

Array = np.ndarray[Any, np.dtype[np.float64]]

#: One of each family, closed and by quadrature, with a kink at t = 1 in the last.
PROCESSES = [
    wbound.process("ve-polynomial"),
    wbound.process("vp-linear"),
    wbound.process("sub-vp"),
    wbound.Process(f="a/(1+t)", g="b+t**2", a=0.7, b=0.3),
    wbound.Process(f="a*abs(t-1)", g="sqrt(b+t)", a=0.8, b=0.5),
]
LAWS = [
    Gaussian(np.zeros(3), np.array([0.2, 1.5, 6.0])),
    Gaussian(np.array([2.0, -1.0, 0.5]), np.array([0.2, 1.5, 6.0])),
]


def enclosure_of(p: wbound.Process, law: Gaussian) -> Callable[..., Any]:
    """What `score_rate` hands to the branch and bound."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_regularity, "branch_and_bound", lambda enclosure, *_, **__: enclosure)
        found: Any = score_regularity.score_rate(p, law.eigenvalues, law.coordinates**2, 4.0, 1e-6)
    return found  # type: ignore[no-any-return]


def rate(p: wbound.Process, law: Gaussian, t: Array) -> Array:
    """The two expressions of section 2, from α, σ², f and g alone."""
    alpha, sigma2, f, g = p.alpha(t), p.sigma2(t), p.f(t), p.g(t)
    w = alpha**2 * law.eigenvalues[:, None] + sigma2
    slope = g**2 - 2.0 * f * w
    second = alpha * (-f / w - slope / w**2) * law.coordinates[:, None]
    return np.maximum(np.abs(slope / w**2).max(axis=0), np.linalg.norm(second, axis=0))


@pytest.mark.parametrize("p", PROCESSES, ids=repr)
@pytest.mark.parametrize("law", LAWS, ids=["centred", "with a mean"])
def test_a_cell_holds_the_rate_inside_it(p: wbound.Process, law: Gaussian) -> None:
    enclosure = enclosure_of(p, law)

    @settings(max_examples=settings.default.max_examples)
    @given(
        lo=st.floats(0.0, 4.0),
        width=st.floats(-12.0, 0.5).map(lambda e: 10.0**e),
        share=st.floats(0.0, 1.0),
    )
    def check(lo: float, width: float, share: float) -> None:
        if "abs" in str(p.expr.f) and lo < 1.0 < lo + width:
            lo = 1.0  # cells are split at kinks
        low, high = enclosure(np.array([lo]), np.array([lo + width]))
        value = rate(p, law, np.array([lo + share * width]))
        assert low[0] <= value[0] * (1.0 + 1e-9)
        assert high[0] >= value[0] * (1.0 - 1e-9)

    check()


@pytest.mark.parametrize("p", PROCESSES, ids=repr)
@pytest.mark.parametrize("law", LAWS, ids=["centred", "with a mean"])
def test_a_smooth_maximum_is_closed_in_on_with_the_square_of_the_cell(
    p: wbound.Process, law: Gaussian
) -> None:
    """From the middle by the derivative: what a cell leaves open falls by the cell's slope, and at the maximum,
    where that vanishes, by its square (from its ends alone: by the cell)."""
    enclosure = enclosure_of(p, law)
    t = np.linspace(0.02, 4.0, 40_001)
    at = float(t[int(np.argmax(rate(p, law, t)))])
    if at == t[0]:  # largest at the start: any smooth place shows the derivative's order instead
        at = 0.7
    excess = []
    for half in (1e-2, 1e-3):
        ends = np.array([at - half]), np.array([at + half])
        inside = rate(p, law, np.linspace(*(float(v[0]) for v in ends), 2001)).max()
        excess.append(float(enclosure(*ends)[1][0]) - float(inside))
    assert excess[0] > 0.0 and excess[1] <= excess[0] / 50.0


@pytest.mark.parametrize("p", PROCESSES, ids=repr)
@pytest.mark.parametrize("law", LAWS, ids=["centred", "with a mean"])
def test_a_point_is_known(p: wbound.Process, law: Gaussian) -> None:
    t = np.array([0.0, 1e-3, 0.4, 1.0, 2.7, 4.0])
    low, high = enclosure_of(p, law)(t, t)
    np.testing.assert_allclose(low, rate(p, law, t), rtol=1e-10)
    np.testing.assert_allclose(high, rate(p, law, t), rtol=1e-10)


@pytest.mark.parametrize("p", PROCESSES, ids=repr)
@pytest.mark.parametrize("law", LAWS, ids=["centred", "with a mean"])
def test_where_it_was_seen(p: wbound.Process, law: Gaussian) -> None:
    found = law.score_rate(p, 4.0, 1e-6)
    assert found.lower <= found.upper <= found.lower * (1.0 + 1e-6)
    assert rate(p, law, np.array([found.at]))[0] == pytest.approx(found.lower, rel=1e-10)
    if 0.0 < found.at < 4.0:
        assert law.score_rate(p, found.at, 1e-6).upper == pytest.approx(found.upper, rel=1e-5)
