"""The leading constants of the exact law against its recursion (Eq. 12′)."""

from __future__ import annotations

import math

import numpy as np
import pytest

import wbound
from wbound.data import Gaussian
from wbound.errors import BadInput, HypothesisFailed
from wbound.gaussian import exact_w2
from wbound.leading import leading_constants

SCHEMES = ("hf", "ei", "em", "ddpm")
TIMES = {
    "ve-exponential": 5.0,
    "ve-constant": 20.0,
    "ve-sqrt": 5.0,
    "ve-polynomial": 4.0,
    "ou": 4.0,
    "vp-linear": 3.0,
    "vp-polynomial": 3.0,
    "vp-exponential": 3.0,
    "optimal-ve": 2.5,
    "optimal-vp": 2.5,
    "image-ve-v3": 1.0,
    "image-vp-original": 1.0,
}
ONE = Gaussian(np.zeros(1), 2.0)


@pytest.mark.parametrize("name", TIMES)
def test_constants_meet_the_recursion_at_a_million_steps(name: str) -> None:
    p, T, K = wbound.process(name), TIMES[name], 1_000_000
    for scheme in SCHEMES if p.family != "ve" else ("hf", "ddpm"):
        leading = leading_constants(p, ONE, T, scheme=scheme)
        exact = exact_w2(p, ONE, T, K, scheme=scheme, start="exact")
        assert leading.kind == "order"
        assert leading.w2(K) == pytest.approx(exact, rel=1e-3), scheme


@pytest.mark.parametrize("scheme", SCHEMES)
def test_sub_vp(scheme: str) -> None:  # by quadrature: fewer steps
    p, K = wbound.process("sub-vp"), 30_000
    exact = exact_w2(p, ONE, 3.0, K, scheme=scheme, start="exact")
    assert leading_constants(p, ONE, 3.0, scheme=scheme).w2(K) == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize("grid", ["uniform", "optimal", "gaussian", "cosine"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_anisotropic_data_with_a_mean_on_any_smooth_grid(grid: str, scheme: str) -> None:
    data = Gaussian([1.0, 0.5, 0.0], np.array([2.0, 0.3, 0.3]))
    p, K = wbound.process("vp-linear"), 30_000
    exact = exact_w2(p, data, 3.0, K, scheme=scheme, start="exact", grid=grid)
    assert leading_constants(p, data, 3.0, scheme=scheme, grid=grid).w2(K) == pytest.approx(exact, rel=2e-3)


def test_a_density_of_ones_own() -> None:
    # τ = T s²: θ = dt/ds = 2√(Tt)
    p, K, T = wbound.process("vp-linear"), 200_000, 3.0
    grid = wbound.Grid.from_t(T * (1 - np.arange(K + 1) / K) ** 2)
    found = leading_constants(p, ONE, T, scheme="em", density=lambda t: 2.0 * np.sqrt(T * t))
    assert found.w2(K) == pytest.approx(exact_w2(p, ONE, scheme="em", start="exact", grid=grid), rel=1e-3)


def test_hf_on_the_gaussian_grid_reaches_the_lower_bound() -> None:
    found = leading_constants(wbound.process("ve-constant"), ONE, 1e9, scheme="hf", grid="gaussian")
    assert found.constant == pytest.approx(2.0 * math.sqrt(2.0), rel=1e-4)  # 2σ_0√d, Eq. 12
    optimal = leading_constants(wbound.process("vp-linear"), ONE, 6.0, scheme="hf", grid="optimal")
    assert 2.0 * math.sqrt(2.0) < optimal.constant < 3.0 * math.sqrt(2.0)


def test_em_can_have_either_sign_and_ddpm_has_a_logarithm() -> None:
    p = wbound.process("vp-linear")
    assert leading_constants(p, ONE, 3.0, scheme="em").excess[0] < 0.0
    assert leading_constants(wbound.process("vp-polynomial"), ONE, 3.0, scheme="em").excess[0] > 0.0
    ddpm = leading_constants(p, ONE, 3.0, scheme="ddpm")
    assert ddpm.log_part[0] == pytest.approx(-3.0 * 0.5)  # −T g(0)²
    assert ddpm.constant == math.inf
    assert leading_constants(wbound.process("ve-sqrt"), ONE, 3.0, scheme="ddpm").constant < math.inf


def test_bad_input() -> None:
    p = wbound.process("vp-linear")
    with pytest.raises(HypothesisFailed, match="zero eigenvalue"):
        leading_constants(p, Gaussian(np.zeros(2), np.array([1.0, 0.0])), 3.0)
    with pytest.raises(HypothesisFailed, match="Gaussian data"):
        leading_constants(p, wbound.LogConcave(d=1, m0=1.0, L0=2.0, second_moment=1.0), 3.0)
    with pytest.raises(BadInput, match="grid = edm: must be one of uniform, optimal, gaussian, cosine"):
        leading_constants(p, ONE, 3.0, grid="edm")
    with pytest.raises(BadInput, match="must be 1 on"):
        leading_constants(p, ONE, 3.0, density=lambda t: np.ones_like(t))
