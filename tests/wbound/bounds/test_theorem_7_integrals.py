"""Theorem 7's constants and step integrals: by balls, by plain quadrature, and what they bound."""

from __future__ import annotations

import math

import flint
import heun_referee
import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import quad

import wbound
from wbound.bounds import theorem_7_integrals
from wbound.bounds.shared import decay_constant
from wbound.bounds.theorem_7_integrals import CLOSED, integrals, second_constant
from wbound.sampler.steps import batch

CLOCK = wbound.process("ve-constant", a=1.0)
LARGE = 1e250


def highest(y: flint.arb) -> flint.arb:
    """f over a ball of y: max over x ∈ [0, 1] of (24−12y)x² + (4−4y+⅔y²)x³ − 19(1−y)²x⁵, from above."""
    arb = flint.arb
    A, B, C = 24 - 12 * y, 4 - 4 * y + 2 * y * y / 3, 19 * (1 - y) ** 2

    def value(x: flint.arb) -> flint.arb:
        return x * x * (A + B * x - C * x**3)

    def slope(x: flint.arb) -> flint.arb:
        return x * (2 * A + 3 * B * x - 5 * C * x**3)

    if slope(arb(1)) > 0:  # it rises up to 1: 2A + 3Bx − 5Cx³ is concave and positive at 0
        return value(arb(1))
    # the ends of where the sign of the slope is not known, by bisection from both sides
    lo, hi = arb(0.5), arb(1)
    assert slope(lo) > 0
    step = arb(0.25)
    while step > 1e-4:
        lo = lo + step if lo + step < 1 and slope(lo + step) > 0 else lo
        hi = hi - step if hi - step > lo and slope(hi - step) < 0 else hi
        step = step / 2
    middle = (lo + hi) / 2
    around = middle + (hi - lo) / 2 * arb(0, 1)
    return value(middle) + slope(around) * (around - middle)


def test_the_closed_form_of_the_second_constant_by_balls() -> None:
    """2 + ∫(f − 11.4)⁺dy/y ≤ 8.2 over (0, 1]: so C_2 ≤ (dL_0²/16)(8.2 + 11.4 log V) at θ = 2, for every V and κ."""
    before, flint.ctx.prec = flint.ctx.prec, 80
    try:
        arb = flint.arb
        slope = arb("11.4")
        assert float(slope) == pytest.approx(CLOSED[1], rel=1e-15)
        first = arb("0.0005")  # below it f ≤ 11.4
        assert highest(first / 2 + first / 2 * arb(0, 1)).upper() < slope
        total, cells = arb(2), 4000
        ratio = (1 / first) ** (arb(1) / cells)
        lo = first
        for _ in range(cells):
            hi = lo * ratio
            middle, half = (lo + hi) / 2, (hi - lo) / 2
            excess = highest(middle + half * arb(0, 1)).upper() - slope
            if not excess < 0:
                total += excess * ratio.log()
            lo = hi
        assert lo > 1 - arb("1e-12")
        assert total.upper() < arb("8.2") and CLOSED[0] == 8.2
        assert float(total) == pytest.approx(8.112, abs=0.03)  # what it really is
    finally:
        flint.ctx.prec = before


@pytest.mark.parametrize("log_V", [1e-8, 0.3, 2.0, 9.0, 60.0, 250.0])
def test_the_second_constant_is_below_its_closed_form(log_V: float) -> None:
    second_constant.cache_clear()
    closed = (CLOSED[0] + CLOSED[1] * log_V) / 16.0
    for kappa in (1.0, 7.0, 1e4, LARGE):
        assert second_constant(2.0, kappa, log_V) <= closed * (1.0 + 1e-3)
    if log_V > 5.0:  # and not far below
        assert second_constant(2.0, LARGE, log_V) > closed * 0.97


@pytest.mark.parametrize("theta", [0.0, 0.7, 1.5, 2.0, 3.4])
def test_the_constants_by_quadrature(theta: float) -> None:
    mp.mp.dps = 15
    second_constant.cache_clear()
    for kappa, L0, lam_T in ((1.0, 2.0, 40.0), (5.0, 0.3, 900.0), (1e5, 1.0, 0.2), (1e5, 1.0, 300.0)):
        f, log_V = heun_referee.Facts(3, L0 / kappa, L0), math.log1p(L0 * lam_T)
        want = heun_referee.second_constant(theta, f, lam_T)
        got = 3 * L0**2 * second_constant(theta, kappa, log_V)
        assert want * (1.0 - 1e-12) <= got <= want * (1.0 + 5e-3)


@pytest.mark.parametrize("theta", [0.0, 0.06, 0.5, 1.05, 1.4, 2.0, 3.3])
def test_what_a_cell_adds_to_its_chord(theta: float) -> None:
    """κ = 1, one cell: x is 1, and what each of the three quadratics in z rises above its own chord is added."""
    log_V = theorem_7_integrals.CELL
    ends = np.array([0.0, -math.expm1(-log_V)])
    z = np.linspace(*ends, 2001)

    def parts(z: np.ndarray) -> np.ndarray:
        A = theta * (6.0 + 6.0 * (theta - 1.0) * z + (theta - 1.0) * (theta - 2.0) * z**2)
        B = (2.0 + 4.0 * theta * z + theta * (theta - 1.0) * z**2) / 3.0
        return np.stack((A, B, -19.0 * z**2))

    at_ends = parts(ends)
    arcs = parts(z) - np.array([np.interp(z, ends, row) for row in at_ends])
    chord, rise = at_ends.sum(axis=0), float(arcs.max(axis=1).sum())
    area = quad(
        lambda v: (np.interp(1.0 - 1.0 / v, ends, chord) + rise) * v ** (theta - 3.0), 1.0, math.exp(log_V)
    )
    assert 16.0 * second_constant(theta, 1.0, log_V) == pytest.approx(2.0 + area[0], rel=2e-11)


def test_the_highest_of_a_cells_end_by_samples() -> None:
    """Three times closer about the largest of 201 samples; x near 0 where θ is, to which Newton's method has far to go."""
    rng = np.random.default_rng(0)
    z, least = (
        np.append(rng.uniform(0.0, 1.0, 300), [0.0, 1e-9, 1.0]),
        np.append(np.zeros(150), rng.uniform(0, 1, 153)),
    )
    for theta in (0.0, 1e-3, 0.4, 1.3, 2.0, 4.0):
        A = theta * (6.0 + 6.0 * (theta - 1.0) * z + (theta - 1.0) * (theta - 2.0) * z**2)
        B = (2.0 + 4.0 * theta * z + theta * (theta - 1.0) * z**2) / 3.0
        lo, hi = least, np.ones(303)
        for _ in range(3):
            x = lo + (hi - lo) * np.linspace(0.0, 1.0, 201)[:, None]
            f = A * x**2 + B * x**3 - 19.0 * z**2 * x**5
            at = f.argmax(axis=0)
            lo, hi = (x[np.clip(at + by, 0, 200), np.arange(303)] for by in (-1, 1))
        assert theorem_7_integrals._highest(theta, z, least) == pytest.approx(f.max(axis=0), rel=1e-11)


def test_the_second_constant_of_no_time() -> None:
    """log V below doubles' cells: 2 + ∫ is 2, and what is added for the rest is above it."""
    for theta in (0.0, 2.0, 4.0):
        before = second_constant(theta, 3.0, 2e-9)
        assert 2.0 / 16.0 <= second_constant(theta, 3.0, 9e-10) <= before * (1.0 + 1e-9)
        added = 16.0 * second_constant(theta, 3.0, 9e-10) - 2.0
        assert (6.0 * theta + 0.6) * 9e-10 <= added <= (6.2 * theta + 1.1) * 9e-10


@pytest.mark.parametrize("theta", [0.0, 1.0, 2.0, 3.3])
def test_what_the_constants_bound_for_a_gaussian(theta: float) -> None:
    """N(0, I/h): along the flow Ŷ ∝ √w, w = 1/h + λ, so DS and D²S are powers: ‖DS‖² = d/4w³, ‖D²S‖² = 9d/16w⁵."""
    mp.mp.dps = 15
    L0, lam_T, d = 3.0, 70.0, 2
    log_V = math.log1p(L0 * lam_T)
    ends = heun_referee.pieces(0, mp.mpf(lam_T), mp.mpf(L0))
    for h in (3.0, 0.8, 0.05):
        first = mp.quad(lambda u, h=h: (1 + L0 * u) ** theta * d / (4 * (1 / h + u) ** 3), ends)
        second = mp.quad(lambda u, h=h: u**2 * (1 + L0 * u) ** theta * 9 * d / (16 * (1 / h + u) ** 5), ends)
        kappa = L0 / h
        data = wbound.LogConcave(d, h, L0, d / L0)
        bounds = (
            decay_constant(theta, data, math.log(lam_T)) / 4,
            d * L0**2 * second_constant(theta, kappa, log_V),
        )
        assert float(first) <= bounds[0] and float(second) <= bounds[1]
        if h == 3.0:  # κ = 1: what is lost is what the integrations by parts drop
            assert float(first) > 0.3 * bounds[0] and float(second) > 0.1 * bounds[1]


STEPS = [(1.0, 0.9), (1.0, 0.0), (5.0, 1e-9), (1e6, 2.0), (1e9, 0.0), (1e-7, 0.0), (3.0, 2.999), (1e40, 1e-3)]


@pytest.mark.parametrize("hi, lo", STEPS)
def test_the_step_integrals(hi: float, lo: float) -> None:
    """To 1e-10 and from above, on short and huge steps, where nodes that are linear in u would understate."""
    mp.mp.dps = 24
    b, L0, flat, steep = batch(CLOCK, np.array([lo]), np.array([hi])), 1.7, 0.02, 0.6
    at = integrals(b, L0, np.array([flat]), np.array([steep]), np.array([True]), slice(None))
    cuts = [mp.mpf(lo)]
    cuts += [x for x in (mp.mpf(10) ** j for j in range(-12, 41, 1 if hi < 1e20 else 3)) if lo < x < hi]
    cuts += [mp.mpf(hi)]
    for theta in (0.6, 2.0, 3.7):

        def first(u: mp.mpf, theta: float = theta) -> mp.mpf:
            return (flat * hi + steep * (u - lo)) ** 2 * (1 + L0 * u) ** (-mp.mpf(theta))

        def second(u: mp.mpf, theta: float = theta) -> mp.mpf:
            return ((u - lo) * (hi - u) / u) ** 2 / 16 * (1 + L0 * u) ** (-mp.mpf(theta)) if u else mp.mpf(0)

        for got, of in ((at.log_first(theta)[0], first), (at.log_second(theta)[0], second)):
            want = mp.log(mp.quad(of, cuts, maxdegree=5))
            assert -1e-13 * max(1.0, abs(float(want))) <= float(mp.mpf(got) - want) <= 1e-10


def test_the_steps_of_a_batch_are_each_alone() -> None:
    """Of one stage and of two, of one panel and of many, down to 0 and near doubles' end, each with its own G."""
    lo = np.array([0.9, 0.0, 2.0, 2.999, 0.0, 1e-3, 1e300])
    hi = np.array([1.0, 5.0, 1e6, 3.0, 1e-7, 1e40, 1.0001e300])
    flat, steep = (
        np.array([0.02, 0.3, 0.0, 0.1, 0.2, 0.05, 1.0]),
        np.array([0.6, 0.1, 0.5, 0.9, 0.3, 0.4, 0.2]),
    )
    two = np.array([True, True, False, True, True, False, True])
    whole = integrals(batch(CLOCK, lo, hi), 1.7, flat, steep, two, slice(None))
    for theta in (0.0, 1.3, 4.0):
        first, second = whole.log_first(theta), whole.log_second(theta)
        assert np.isfinite(first).all() and (np.isfinite(second) == two).all()
        for part in (slice(0, 7), slice(2, 6), slice(1, 7, 2), *(slice(k, k + 1) for k in range(7))):
            some = integrals(batch(CLOCK, lo, hi), 1.7, flat, steep, two, part)
            assert some.log_first(theta) == pytest.approx(first[part], rel=1e-12)
            assert some.log_second(theta) == pytest.approx(second[part], rel=1e-12)


def test_short_steps_of_one_batch_by_either_rule() -> None:
    edges = np.geomspace(1.0, 1.05**40, 41)
    b, zero = batch(CLOCK, edges[:-1], edges[1:]), np.zeros(40)
    two = np.ones(40, bool)
    fine = integrals(b, 2.0, zero + 0.1, zero + 0.7, two, slice(None))
    assert fine.first.shape == (40, theorem_7_integrals.FEWER)
    long = batch(CLOCK, np.append(edges[:-1], 0.0), np.append(edges[1:], 1.0))
    whole = integrals(long, 2.0, np.full(41, 0.1), np.full(41, 0.7), np.ones(41, bool), slice(None))
    assert whole.first.shape[1] == theorem_7_integrals.NODES
    for theta in (0.0, 2.0, 4.0):
        assert np.allclose(fine.log_first(theta), whole.log_first(theta)[:-1], rtol=0, atol=2e-12)
        assert np.allclose(fine.log_second(theta), whole.log_second(theta)[:-1], rtol=0, atol=2e-12)


def test_beyond_doubles_the_integrals_are_infinite_never_small() -> None:
    b = batch(CLOCK, np.array([0.0, 1e150]), np.array([1e150, 1.0001e150]))
    one = np.ones(2)
    at = integrals(b, 1.0, one, one, np.array([True, False]), slice(None))
    assert at.log_first(2.0)[0] == math.inf == at.log_second(2.0)[0]
    assert at.log_second(2.0)[1] == -math.inf and math.isfinite(at.log_first(2.0)[1])
    assert second_constant(4.0, 1.0, 500.0) == math.inf


@pytest.mark.parametrize("theta", [0.3, 1.7, 2.6])
def test_a_clock_beyond_doubles_is_no_warning(theta: float) -> None:
    """Cells of y = 1/v that have no width in doubles: what was found in a dense search, at a huge λ(T)."""
    for log_V in (745.0, 2e3, 2.7e5):
        assert second_constant(theta, 4.0, log_V) > 0.0
