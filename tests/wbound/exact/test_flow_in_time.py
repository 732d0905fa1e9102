"""Runge–Kutta methods in t by plain loops over states, and the laws without steps by the moments' own equations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import wbound
from wbound.errors import BadInput
from wbound.exact.flow_in_time import flow_gain, limit_variance

X = np.array([0.2, 1.0, 6.0])
PROCESSES = {"vp-linear": 1.6, "ve-exponential": 2.0, "sub-vp": 1.3}


def backward(name: str, share: float) -> Callable[[float, np.ndarray], np.ndarray]:
    """Of a deviation y, with the time s = T − t: dy/ds = (f − share g²/w) y."""
    p, T = wbound.process(name), PROCESSES[name]

    def drift(s: float, y: np.ndarray) -> np.ndarray:
        t = np.array(T - s)
        w = p.alpha(t) ** 2 * X + p.sigma2(t)
        return np.asarray((p.f(t) - share * p.g(t) ** 2 / w) * y)

    return drift


@pytest.mark.parametrize("name", PROCESSES)
def test_gains_are_the_methods_on_a_state(name: str) -> None:
    drift, T = backward(name, 0.5), PROCESSES[name]
    times = np.array([T, 0.7 * T, 0.5 * T, 0.1 * T, 0.01])
    ends = {method: np.ones(3) for method in ("euler-t", "heun-t", "rk4-t")}
    for hi, lo in zip(times[:-1], times[1:], strict=True):
        s, h = T - hi, hi - lo
        y = ends["euler-t"]
        ends["euler-t"] = y + h * drift(s, y)
        y = ends["heun-t"]
        one = drift(s, y)
        ends["heun-t"] = y + h * (one + drift(s + h, y + h * one)) / 2.0
        y = ends["rk4-t"]
        one = drift(s, y)
        two = drift(s + h / 2.0, y + h / 2.0 * one)
        three = drift(s + h / 2.0, y + h / 2.0 * two)
        four = drift(s + h, y + h * three)
        ends["rk4-t"] = y + h * (one + 2.0 * two + 2.0 * three + four) / 6.0
    for method, want in ends.items():
        assert flow_gain(wbound.process(name), X, times, method) == pytest.approx(want, rel=1e-12)


def test_a_time_at_which_g_is_infinite_is_named() -> None:
    p = wbound.Process(f="0", g="t**-0.25")
    with pytest.raises(BadInput, match="finite at t = 0"):
        flow_gain(p, [1.0], [1.0, 0.5, 0.0], "heun-t")


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize(("kind", "share"), [("sde", 1.0), ("ode", 0.5)])
def test_the_laws_without_steps_solve_the_moments_equations(name: str, kind: str, share: float) -> None:
    """dv/ds = 2(f − share g²/w) v, and g² more along the SDE, from a start that is not the process's."""
    p, T, end, begun = wbound.process(name), PROCESSES[name], 0.2, np.array([0.5, 3.0, 1.0])
    drift = backward(name, share)

    def slope(s: float, v: np.ndarray) -> np.ndarray:
        return 2.0 * drift(s, v) + (float(p.g(np.array(T - s))) ** 2 if kind == "sde" else 0.0)

    want = solve_ivp(slope, (0.0, T - end), begun, rtol=1e-11, atol=1e-13).y[:, -1]
    t = np.array([T, end])
    before, after = p.alpha(t)[:, None] ** 2 * X + p.sigma2(t)[:, None]
    got = limit_variance(kind, begun, before, after, float(np.diff(p.log_alpha(t[::-1]))[0]))
    assert got == pytest.approx(want, rel=1e-8)
