"""rectified-flow: its closed forms, its end, and flow matching's own Euler steps, which are ddim."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

import wbound
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.exact.gaussian_law import exact_w2
from wbound.sampler.grid import Grid

P = wbound.process("rectified-flow")


def test_the_process_of_straight_paths() -> None:
    """α' = −fα and (σ²)' = g² − 2fσ² with α = 1 − t, σ = t; not one of the published eight."""
    t = sp.Symbol("t", positive=True)
    f, g = 1 / (1 - t), sp.sqrt(2 * t / (1 - t))
    assert sp.simplify(sp.diff(1 - t, t) + f * (1 - t)) == 0
    assert sp.simplify(g**2 - 2 * f * t**2 - sp.diff(t**2, t)) == 0
    at = np.array([1e-12, 1e-3, 0.3, 0.5, 0.999, 1.0 - 1e-12])
    np.testing.assert_allclose(P.f(at), 1.0 / (1.0 - at), rtol=1e-14)
    np.testing.assert_allclose(P.g(at), np.sqrt(2.0 * at / (1.0 - at)), rtol=1e-14)
    np.testing.assert_allclose(P.alpha(at), 1.0 - at, rtol=1e-14)
    np.testing.assert_allclose(np.sqrt(P.sigma2(at)), at, rtol=1e-13)
    np.testing.assert_allclose(P.log_lam(at), 2.0 * (np.log(at) - np.log1p(-at)), rtol=1e-13)
    np.testing.assert_allclose(P.time_of(P.log_lam(at)), at, rtol=1e-12)
    assert P.t_max == 1.0 and "rectified-flow" in wbound.NAMED
    assert "rectified-flow" not in wbound.PUBLISHED and "rectified-flow" not in wbound.CATALOGUE


def test_it_ends_where_the_noise_is_pure() -> None:
    with pytest.raises(BadInput, match="must be below 1, where process rectified-flow ends"):
        exact_w2(P, Gaussian([0.0], 1.0), T=1.0, K=5, scheme="ddim")
    with pytest.raises(BadInput, match="rectified-flow takes"):
        wbound.process("rectified-flow", a=1.0)


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("K", [2, 7, 20])
def test_euler_of_flow_matching_is_ddim_to_thirteen_digits(K: int, shift: float) -> None:
    """x_{s} = x_t − (t − s) v with v = E[Z − X_0 | x_t], from x_1 = Z: after its first step, ddim from N(0, λ_1)."""
    x = np.array([4.0, 1.0, 0.04])
    times = np.linspace(1.0, 0.0, K + 1)
    times = shift * times / (1.0 + (shift - 1.0) * times)
    gain = np.ones_like(x)  # the state is gain · Z
    for t, s in zip(times[:-1], times[1:], strict=True):
        D = (1.0 - t) * x / ((1.0 - t) ** 2 * x + t**2)  # E[X_0 | x_t] = D x_t
        Z = (1.0 - (1.0 - t) * D) / t
        gain *= 1.0 - (t - s) * (Z - D)
    known = math.sqrt(float(((gain - np.sqrt(x)) ** 2).sum()))
    ours = exact_w2(P, Gaussian(np.zeros(3), x), scheme="ddim", grid=Grid.from_t(times[1:]))
    assert ours == pytest.approx(known, rel=1e-13)


def test_its_bounds_hold_and_its_own_time_is_a_grid() -> None:
    data = Gaussian(np.zeros(3), np.array([2.0, 1.0, 0.5]))
    for scheme in ("em", "hf", "ei", "ddpm", "ddim", "heun"):
        for T, K in ((0.9, 30), (0.99, 200)):
            bound = wbound.w2_bound(P, data, T=T, K=K, scheme=scheme, theorem="sharp").total
            assert exact_w2(P, data, T=T, K=K, scheme=scheme) <= bound < 10.0
