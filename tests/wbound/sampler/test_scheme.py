"""The samplers' coefficients A, C, Q of section 3 and their distance from the exact step."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import referee
from scipy.integrate import quad

import wbound
from wbound.errors import BadInput
from wbound.forward import step_integrals
from wbound.sampler.multistep import MULTISTEP
from wbound.sampler.scheme import RANDOM_TIMES, SCHEMES, keeps, scheme_named
from wbound.sampler.steps import batch

Make = Callable[..., referee.Plain]
EVERY = pytest.mark.parametrize("make", referee.ALL.values(), ids=referee.ALL)
SDE = [name for name, scheme in SCHEMES.items() if scheme.kind == "sde"]
TIMES = (3.0, 2.2, 1.0, 0.9, 0.4, 0.39, 0.1, 1e-4, 0.0)


def test_the_schemes() -> None:
    assert SDE == ["em", "em-point", "em-point-arrival", "ei", "hf", "ddpm"] == list(SCHEMES)[:6]
    assert scheme_named(SCHEMES["ei"]) is SCHEMES["ei"]
    with pytest.raises(
        BadInput, match="scheme = euler: must be one of em, em-point, em-point-arrival, ei, hf"
    ):
        scheme_named("euler")


@EVERY
@pytest.mark.parametrize("name", SDE)
def test_coefficients_and_mismatches(make: Make, name: str) -> None:
    """A, C, Q against 30 digits; a, c, q are the exact step's (hf) minus the scheme's, to all digits."""
    p = make()
    t = np.array(TIMES)
    got = SCHEMES[name].steps(batch(p.made, t[1:], t[:-1]))
    for k, s in enumerate(referee.steps(p, TIMES)):
        with mp.workdps(referee.DIGITS):
            own, exact = referee.coefficients(s, name), referee.coefficients(s, "hf")
            gaps = [e - o for e, o in zip(exact, own, strict=True)]
            noise = float(1e-14 * s.F * s.G), float(1e-20 * exact[2])
        for value, true in zip((got.A, got.C, got.Q), own, strict=True):
            assert value[k] == pytest.approx(float(true), rel=1e-12), k
        for value, true in zip((got.a, got.c, got.q), gaps, strict=True):
            assert np.broadcast_to(value, 8)[k] == pytest.approx(float(true), rel=1e-12, abs=max(noise)), k
    assert got.corrector is None


@pytest.mark.parametrize("name", referee.NAMED)
def test_against_scipy(name: str) -> None:
    """em's and ei's integrals by another quadrature, from f and g alone."""
    p = wbound.process(name)
    lo, hi = 0.35, 0.8
    b = batch(p, np.array([lo]), np.array([hi]))
    F = quad(p.f, lo, hi, epsrel=1e-13)[0]
    G = quad(lambda t: float(p.g(t)) ** 2, lo, hi, epsrel=1e-13)[0]
    # ∫(α_k/α(t)) g² with α_k/α(t) = e^{∫_lo^t f}
    E = quad(lambda t: np.exp(quad(p.f, lo, t, epsrel=1e-13)[0]) * float(p.g(t)) ** 2, lo, hi, epsrel=1e-12)[
        0
    ]
    Q = quad(
        lambda t: np.exp(2 * quad(p.f, lo, t, epsrel=1e-13)[0]) * float(p.g(t)) ** 2, lo, hi, epsrel=1e-12
    )[0]
    em, ei = SCHEMES["em"].steps(b), SCHEMES["ei"].steps(b)
    hf, ddpm = SCHEMES["hf"].steps(b), SCHEMES["ddpm"].steps(b)
    assert (em.A[0], em.C[0], em.Q[0]) == pytest.approx((1 + F, G, G), rel=1e-11)
    assert (ei.A[0], ei.C[0], ei.Q[0]) == pytest.approx((np.exp(F), E, Q), rel=1e-11)
    assert (hf.A[0], hf.C[0], hf.Q[0]) == pytest.approx((np.exp(F), Q * np.exp(-F), Q), rel=1e-11)
    ratio = float(p.lam(lo) / p.lam(hi))
    assert (ddpm.A[0], ddpm.C[0], ddpm.Q[0]) == pytest.approx(
        (np.exp(F), Q * np.exp(-F), Q * ratio), rel=1e-11
    )


def test_for_ve_the_first_three_are_one() -> None:
    for name in ("ve-exponential", "ve-constant", "ve-sqrt", "ve-polynomial"):
        b = batch(wbound.process(name), np.array([0.0, 0.5]), np.array([0.5, 2.0]))
        hf = SCHEMES["hf"].steps(b)
        for other in ("em", "ei"):
            steps = SCHEMES[other].steps(b)
            for field in ("A", "C", "Q"):
                np.testing.assert_array_equal(getattr(steps, field), getattr(hf, field))
            assert not np.any(steps.a) and not np.any(steps.c) and not np.any(steps.q)


def test_the_last_ancestral_step_adds_no_noise() -> None:
    b = batch(wbound.process("vp-linear"), np.array([0.0]), np.array([0.5]))
    steps = SCHEMES["ddpm"].steps(b)
    assert steps.Q[0] == 0.0 and np.broadcast_to(steps.q, 1)[0] == b.steps.Q[0]


def test_a_huge_step_keeps_the_digits_of_its_excess() -> None:
    """Where a step keeps next to nothing its excess keep² − κ² is far below both terms of its other form."""
    data = wbound.LogConcave(1, 1.0, 1.0, 1.0, 0.0)
    s = wbound.setting(wbound.process("vp-linear"), data, 8.0, 3, scheme="ode-ei")
    flow, kappa = s.scheme.steps(s.nodes.batch).flow, np.exp(-0.5 * s.nodes.batch.gap)
    assert flow is not None and flow.excess[0] < 1e-15
    assert flow.excess == pytest.approx((flow.keep - kappa) * (flow.keep + kappa), rel=1e-9, abs=0.0)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_huge_step_is_infinite_and_quiet(name: str) -> None:
    """e^F beyond double precision: A is infinite, nothing is nan but what a difference of infinities is."""
    b = batch(wbound.process("vp-exponential", b=1.0), np.array([0.0, 1.0]), np.array([1.0, 9.0]))
    steps = SCHEMES[name].steps(b)
    finite = {
        "em": 1 + (np.exp(9) - np.e) / 2,
        "em-point": 1 + 4 * np.exp(9),
        "em-point-arrival": 1 + 4 * np.e,
    }
    assert steps.A[1] == pytest.approx(finite.get(name, np.inf))
    for value in (steps.A, steps.C, steps.Q):
        assert not np.isnan(value).any()


def test_sums_over_the_panels_of_a_step_alone() -> None:
    """Steps of one panel and of several, a step's share of 1e-30 beside another's of 1."""
    values = np.array([1e-30, 1.0, 2.0, 3.0, 1e-20, 2e-20, 5.0])
    owner = np.array([0, 1, 1, 1, 2, 2, 3])
    before, after = step_integrals._sums_within(values, owner)
    assert np.array_equal(before, [0.0, 0.0, 1.0, 3.0, 0.0, 1e-20, 0.0])
    assert np.array_equal(after, [0.0, 5.0, 3.0, 0.0, 2e-20, 0.0, 0.0])


def test_what_f_leaves_near_the_end_of_a_step() -> None:
    """C − E where f has died out: ∫ g²e^A(e^{A−F} − 1), whose exponent is 1e-9 of F; by 40 digits."""
    p = wbound.Process(f="exp(-t)", g="exp(t)")
    got = batch(p, np.array([15.0]), np.array([30.0])).steps.C_minus_E[0]
    with mp.workdps(40):
        F = lambda a, b: mp.exp(-a) - mp.exp(-b)  # noqa: E731
        want = mp.quad(
            lambda t: mp.exp(2 * t) * mp.exp(F(15, t)) * mp.expm1(-F(t, 30)),
            mp.linspace(15, 30, 16),
        )
    assert got == pytest.approx(float(want), rel=1e-12)


def test_what_a_step_keeps_of_a_distance() -> None:
    """(A − C·curvature)·lag in fractions: from hf's where that cancels less (A, C large), else as it stands."""
    rng = np.random.default_rng(3)
    near, far = np.array([1e-3, 0.4, 0.02]), np.array([3e6, 1e4, 7e9])
    for A, a in ((far, near), (near, far)):
        C, c = A * np.array([0.3, 2.0, 0.9]), a * np.array([5.0, 0.2, -0.5])
        curvature, lag = rng.uniform(0.5, 2.0, 3), np.array([1.0, 1e-3, 20.0]) / np.maximum(A, a)
        rows = list(zip(*(map(Fraction, x.tolist()) for x in (A, C, a, c, curvature, lag)), strict=True))
        drift = np.array([float(((A + a) - (C + c) * m) * g - 1) for A, C, a, c, m, g in rows])
        got = keeps(A, C, a, c, curvature, drift, lag)
        for value, start, (A_k, C_k, a_k, c_k, m, g) in zip(got, drift, rows, strict=True):
            least = min((abs(a_k) + abs(c_k) * m) * g + abs(Fraction(start)) + 1, (A_k + C_k * m) * g)
            assert value == pytest.approx(float((A_k - C_k * m) * g), abs=1e-15 * float(least))


def test_how_often_a_scheme_asks_for_the_score() -> None:
    """Once or twice a step, once less where the last score would be p_0's; as many steps as so many calls allow."""
    every = {**SCHEMES, **RANDOM_TIMES, **{name: scheme_named(name) for name in MULTISTEP}}
    asks = {name: (2, 0) for name in ("heun-lambda", *RANDOM_TIMES)} | {
        name: (2, 1) for name in ("heun", "heun-lam")
    }
    for name, scheme in every.items():
        per, spared = asks.get(name, (1, 0))
        assert (scheme.name, scheme.power) == (name, 0.5 if scheme.kind == "ode" else 1.0)
        assert scheme.order == (1.5 if name in RANDOM_TIMES else per)
        for K in (1, 2, 9):
            assert scheme.calls(K) == per * K - spared
            assert [scheme.steps_of(per * K - spared + more) for more in (0, per - 1, per)] == [K, K, K + 1]
        assert scheme.steps_of(0) == 1
    assert {name: scheme.kind for name, scheme in every.items() if scheme.memory} == {
        name: m.kind for name, m in MULTISTEP.items()
    }
