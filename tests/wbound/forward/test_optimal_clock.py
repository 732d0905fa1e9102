"""The optimal clock: elliptic functions against quadrature, and the processes built on it (section 7)."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from scipy.integrate import quad

import wbound
from wbound.errors import BadInput
from wbound.forward.optimal_clock import clock, clock_step, life, log_clock_left, times

PAIRS = [(0.5, 0.5), (1.0, 1.0 + 1e-12), (1.0, 4.0), (1e-3, 1.0), (1e-6, 1e6), (7.0, 7e8)]


def elapsed(lo: float, hi: float, m0: float, L0: float) -> float:
    """∫ ((1+m_0λ)(1+L_0λ))^{−2/3} dλ in log(λ + 1/L_0), by quadrature."""

    def integrand(u: float) -> float:
        lam = math.exp(u) - 1.0 / L0
        return math.exp(u) * ((1 + m0 * lam) * (L0 * math.exp(u))) ** (-2 / 3)

    a, b = math.log(lo + 1 / L0), math.log(hi + 1 / L0)
    return sum(
        quad(integrand, *ends, epsabs=0.0, epsrel=1e-13)[0]
        for ends in zip(np.linspace(a, b, 9)[:-1], np.linspace(a, b, 9)[1:], strict=True)
    )


@pytest.mark.parametrize(("m0", "L0"), PAIRS)
def test_the_clock_obeys_its_equation(m0: float, L0: float) -> None:
    for lam in (1e-3 / L0, 1 / L0, 30 / L0, 1 / m0, 1e4 / m0):
        time = elapsed(0.0, lam, m0, L0)
        gone, left = times(math.log(lam), m0, L0)
        assert gone == pytest.approx(time, rel=1e-11)
        assert gone + left == pytest.approx(life(m0, L0), rel=1e-13)
        assert clock(gone, m0, L0) == pytest.approx(lam, rel=1e-11 * (1 + gone / left))
        assert float(log_clock_left(np.array([left]), m0, L0)[0]) == pytest.approx(
            math.log(lam), abs=1e-12 * (1 + left / gone)
        )
    tail = times(1000.0, m0, L0)[1]
    assert tail == pytest.approx(3.0 * (m0 * L0) ** (-2 / 3) * math.exp(-1000 / 3), rel=1e-12)
    assert float(log_clock_left(np.array([tail]), m0, L0)[0]) == pytest.approx(1000.0, rel=1e-14)


@pytest.mark.parametrize(("m0", "L0"), PAIRS)
def test_a_short_step_keeps_its_digits(m0: float, L0: float) -> None:
    at = times(math.log(3.0 / L0), m0, L0)[0]
    h = at * 2.0**-40
    hi = at + h
    rate = ((1 + m0 * clock(at, m0, L0)) * (1 + L0 * clock(at, m0, L0))) ** (2 / 3)
    assert float(clock_step(at, hi, m0, L0)) == pytest.approx(float(rate) * (hi - at), rel=1e-11)


def test_beyond_its_life_the_clock_is_infinite_and_at_rest_it_is_zero() -> None:
    end = life(1.0, 2.0)
    assert np.isinf(clock([end, 2 * end], 1.0, 2.0)).all()
    assert clock(0.0, 1.0, 2.0) == 0.0


@pytest.mark.parametrize("form", ["ve", "vp"])
@pytest.mark.parametrize(("m0", "L0", "kappa"), [(0.5, 0.5, 1.0), (0.2, 3.0, 0.7)])
def test_optimal_is_a_process(form: str, m0: float, L0: float, kappa: float) -> None:
    p = wbound.process("optimal", form=form, m0=m0, L0=L0, kappa=kappa)
    assert p == wbound.process(f"optimal-{form}", m0=m0, L0=L0, kappa=kappa)
    assert p.t_max == pytest.approx(life(m0, L0) / kappa)
    t = p.t_max * np.array([1e-6, 0.1, 0.5, 0.9, 0.99])
    lam = p.lam(t)
    assert lam == pytest.approx(clock(kappa * t, m0, L0), rel=1e-12)
    # the definition: dλ/dt = g²/α² is the optimal density
    assert p.g(t) ** 2 / p.alpha(t) ** 2 == pytest.approx(
        kappa * ((1 + m0 * lam) * (1 + L0 * lam)) ** (2 / 3), rel=1e-12
    )
    if form == "vp":
        assert p.alpha(t) ** 2 == pytest.approx(1 / (1 + lam), rel=1e-12)
        assert p.f(t) == pytest.approx(p.g(t) ** 2 / 2, rel=1e-12)
    assert p.time_of(np.log(lam)) == pytest.approx(t, rel=1e-12)
    assert pickle.loads(pickle.dumps(p)) == p
    # the same numbers from the same f and g by quadrature: steps and all
    lo, hi = t[:-1], t[1:]
    steps = p.steps(lo, hi)
    assert pytest.approx(p.alpha(lo) ** 2 * (p.lam(hi) - p.lam(lo)), rel=1e-9) == steps.Q


def test_equal_curvatures_have_the_closed_form_of_section_7() -> None:
    p = wbound.process("optimal", m0=0.5, L0=0.5, kappa=2.0)
    t = np.array([0.1, 1.0, 2.5])
    assert p.lam(t) == pytest.approx(2.0 * ((1 - 2.0 * t / 6.0) ** -3 - 1), rel=1e-13)
    assert not p.expr.lam.atoms(wbound.forward.optimal_clock.OptimalClock)


def test_a_uniform_grid_in_its_time_is_the_optimal_grid_of_any_process() -> None:
    data = wbound.LogConcave(d=3, m0=0.2, L0=3.0, second_moment=6.0, mean_norm=0.0)
    p, other = wbound.process("optimal", form="vp", m0=0.2, L0=3.0), wbound.process("ve-exponential")
    T = 0.93 * p.t_max
    own = wbound.setting(p, data, T, 40, scheme="hf").nodes
    read = wbound.setting(
        other, data, float(other.time_of(p.log_lam(T))), 40, scheme="hf", grid="optimal"
    ).nodes
    assert read.log_lam[:-1] == pytest.approx(own.log_lam[:-1], rel=1e-11)
    assert wbound.optimal_grid(data, 40, float(p.lam(T)))[:-1] == pytest.approx(
        np.exp(own.log_lam[:-1]), rel=1e-11
    )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: wbound.process("optimal", m0=2.0, L0=1.0), "m0 = 2.0: must be at most L0 = 1"),
        (lambda: wbound.process("optimal", form="sde"), "form = sde: must be one of ve, vp"),
        (lambda: wbound.process("vp-linear", form="ve"), "process = vp-linear: must be one of optimal"),
        (lambda: wbound.process("optimal").lam(3.0), "must be below 3, where lam is infinite"),
        (lambda: wbound.setting(wbound.process("optimal"), _data(), 3.5, 5), "must be below 3"),
        (lambda: wbound.process("optimal").time_of(400.0), "is never reached"),
    ],
)
def test_bad_input(call: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        call()  # type: ignore[operator]


def _data() -> wbound.LogConcave:
    return wbound.LogConcave(d=1, m0=1.0, L0=1.0, second_moment=1.0, mean_norm=0.0)
