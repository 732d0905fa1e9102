"""Integrals over many intervals: exact where they should be, with an error estimate that covers the error."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbound.calculus.quadrature import CHUNK, halved, integrate, mesh, rule
from wbound.errors import BadInput

Array = np.ndarray


@pytest.mark.parametrize("n", [1, 2, 5, 8, 16])
def test_the_rule_is_exact_for_polynomials(n: int) -> None:
    r = rule(n)
    for degree in range(2 * n):
        assert r.w @ r.x**degree == pytest.approx(1.0 / (degree + 1), rel=1e-14)
    for degree in range(n):
        np.testing.assert_allclose(
            r.cumulative @ r.x**degree, r.x ** (degree + 1) / (degree + 1), rtol=1e-12, atol=1e-15
        )
    # one degree more and it is not
    assert abs(r.w @ r.x ** (2 * n) - 1.0 / (2 * n + 1)) > 1e-12 or n > 8


INTEGRANDS: dict[str, tuple[Callable[[Array], Array], Callable[..., mp.mpf], list[float]]] = {
    "polynomial": (lambda t: 3 * t**7 - t, lambda t: 3 * t**7 - t, []),
    "oscillating": (lambda t: np.sin(40 * t), lambda t: mp.sin(40 * t), []),
    "root": (np.sqrt, mp.sqrt, []),
    "blow-up": (lambda t: t**-0.4, lambda t: t ** mp.mpf("-0.4"), []),
    "kink": (lambda t: np.abs(t - 0.7123), lambda t: abs(t - mp.mpf("0.7123")), [0.7123]),
    "steep": (lambda t: np.exp(30 * t), lambda t: mp.exp(30 * t), []),
    "peak": (lambda t: 1 / (1e-4 + (t - 1) ** 2), lambda t: 1 / (mp.mpf("1e-4") + (t - 1) ** 2), [1.0]),
}


@pytest.mark.parametrize("name", INTEGRANDS)
def test_an_integral_with_its_error(name: str) -> None:
    function, exact, breaks = INTEGRANDS[name]
    edges = np.array([1e-12, 1e-3, 0.1, 0.5, 1.3, 2.0, 3.0])
    got = integrate(function, edges[:-1], edges[1:])
    with mp.workdps(30):
        for i, (lo, hi) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            points = [mp.mpf(lo), *(b for b in breaks if lo < b < hi), mp.mpf(hi)]
            value = float(mp.quad(exact, mp.linspace(lo, hi, 21) if name == "oscillating" else points))
            # sin(40t) takes both signs: rounding counts against its size, not against the integral
            slack = 1e-12 * (hi - lo) if name == "oscillating" else 3e-13 * abs(value)
            assert abs(got.value[i] - value) <= slack + 2.0 * got.error[i], (lo, hi)
            assert got.error[i] <= 1e-9 * abs(value) + 1e-12


@given(
    powers=st.lists(st.floats(-0.6, 6.0), min_size=1, max_size=4),
    lo=st.floats(0.0, 2.0),
    width=st.floats(1e-6, 5.0),
)
def test_sums_of_powers(powers: list[float], lo: float, width: float) -> None:
    hi = lo + width
    got = integrate(lambda t: sum(t**p for p in powers), np.array([lo]), np.array([hi])).value[0]
    with mp.workdps(40):
        value = sum(
            (mp.mpf(hi) ** (mp.mpf(p) + 1) - mp.mpf(lo) ** (mp.mpf(p) + 1)) / (mp.mpf(p) + 1) for p in powers
        )
    assert got == pytest.approx(float(value), rel=1e-11)


def test_more_intervals_than_a_chunk() -> None:
    edges = np.linspace(0.0, 1.0, CHUNK + 1000)
    got = integrate(np.cos, edges[:-1], edges[1:])
    np.testing.assert_allclose(np.cumsum(got.value), np.sin(edges[1:]), rtol=1e-12)
    few = integrate(np.cos, edges[:-1:1000], np.minimum(edges[:-1:1000] + 0.5, 1.0))
    np.testing.assert_allclose(
        few.value, np.sin(np.minimum(edges[:-1:1000] + 0.5, 1.0)) - np.sin(edges[:-1:1000]), rtol=1e-12
    )


def test_the_panels_tile_every_interval() -> None:
    lo, hi = np.array([0.0, 2.0, 0.5]), np.array([1.0, 2.5, 0.9])
    r = rule(8)

    def moments(a: Array, b: Array) -> Array:
        return ((np.sqrt(a[:, None] + (b - a)[:, None] * r.x) @ r.w) * (b - a))[None]

    m = mesh(lo, hi, moments)
    assert m.lo.size > 10  # √t at 0 is refined
    for i in range(3):
        own = m.owner == i
        assert m.lo[own][0] == lo[i] and m.hi[own][-1] == hi[i]
        np.testing.assert_array_equal(m.lo[own][1:], m.hi[own][:-1])


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda t: np.where(t < 1.5, 1.0, np.nan), "nan"),
        (lambda t: 1.0 / t, "integrated"),
        (lambda t: np.sin(1e9 * t * t) / t, "integrated"),
    ],
    ids=["nan", "1/t", "noise"],
)
def test_what_cannot_be_integrated_says_so(function: Callable[[Array], Array], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        integrate(function, np.array([0.0]), np.array([2.0]), option="f")
    assert said in str(caught.value) and str(caught.value).startswith("f = ")


def test_an_infinite_integral_is_infinite() -> None:
    with np.errstate(over="ignore"):  # the integrand itself overflows, on purpose
        got = integrate(lambda t: np.exp(1000.0 * t), np.array([0.0]), np.array([2.0]))
    assert got.value[0] == math.inf


def test_a_floor_ends_the_chase_of_rounding() -> None:
    """Short intervals about a zero of high order hold nothing but rounding: the floor leaves them alone, and
    what it leaves is below it."""
    zero = 1.5 * np.pi / 55.0
    edges = zero + 1e-6 * np.linspace(-1.0, 1.0, 65)
    edges = np.concatenate(([0.0], edges, [0.1]))
    asked = 0

    def of(t: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += t.size
        return (1.0 + np.sin(55.0 * t)) ** 2

    def points(floor: float) -> int:
        nonlocal asked
        asked = 0
        result = integrate(of, edges[:-1], edges[1:], rtol=1e-11, floor=floor)
        assert result.value.sum() == pytest.approx(_plain(0.0, 0.1), rel=1e-10)
        return asked

    assert points(1e-20) < 20 * 66 < points(0.0)


def _plain(lo: float, hi: float) -> float:
    """∫ (1 + sin 55t)² in closed form."""

    def primitive(t: float) -> float:
        return 1.5 * t - 2.0 * np.cos(55.0 * t) / 55.0 - np.sin(110.0 * t) / 220.0

    return primitive(hi) - primitive(lo)


@pytest.mark.parametrize("steep", [0.1, 30.0, 300.0])
def test_halved_panels_agree_with_closed_forms(steep: float) -> None:
    """Several intervals at once, each in parts: ∫_0^1 s e^{−s u} du for s = steep, 2 steep, 3 steep."""
    s, r = steep * np.arange(1.0, 4.0), rule(6)

    def panels(owner: Array, lo: Array, hi: Array) -> Array:
        u = lo[:, None] + (hi - lo)[:, None] * r.x
        return np.asarray((s[owner, None] * np.exp(-s[owner, None] * u)) @ r.w * (hi - lo))

    def enough(both: Array, whole: Array, owner: Array) -> Array:
        return 1e-12 * np.maximum(both, 1e-2 * whole[owner])

    owner, lo, hi = np.array([0, 1, 2, 1]), np.array([0.0, 0.0, 0.0, 0.3]), np.array([1.0, 0.3, 1.0, 1.0])
    value, error, agreed = halved(panels, owner, lo, hi, enough, depth=40)
    truth = -np.expm1(-s)
    assert agreed and (np.abs(value - truth) <= error + 1e-14).all() and (error < 1e-10).all()
    # what does not agree yet is carried, and said
    _, error, agreed = halved(panels, owner, lo, hi, enough, depth=1)
    assert agreed == (steep == 0.1) == bool((error < 1e-10).all())


@pytest.mark.parametrize("power", [-0.75, -0.5, -0.25, 0.5])
def test_a_singular_start_is_cut_in_grades(power: float) -> None:
    """∫t^p over many orders of t at once, beside an interval that is smooth: the closed form, few calls, tiles."""
    calls = []

    def moments(lo: Array, hi: Array) -> Array:
        calls.append(lo.size)
        r = rule(16)
        t = lo[:, None] + (hi - lo)[:, None] * r.x
        return ((t**power @ r.w) * (hi - lo))[None]

    lo, hi = np.array([0.0, 1.0]), np.array([1.0, 3.0])
    m = mesh(lo, hi, moments)
    got = np.bincount(m.owner, moments(m.lo, m.hi)[0])
    exact = (hi ** (power + 1.0) - lo ** (power + 1.0)) / (power + 1.0)
    # what lies before the smallest panel counts against 1e-2 of the interval's integral
    np.testing.assert_allclose(got, exact, rtol=2e-13)
    for i in (0, 1):
        own = m.owner == i
        assert m.lo[own][0] == lo[i] and m.hi[own][-1] == hi[i]
        np.testing.assert_array_equal(m.lo[own][1:], m.hi[own][:-1])
    assert m.hi[0] < 1e-5 and len(calls) < 60  # by halves alone -1/2 takes about ninety rounds of two calls
