"""The leading constants of the exact law against its recursion (Eq. 12′)."""

from __future__ import annotations

import math

import numpy as np
import pytest

import wbound
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.gaussian_law import exact_w2, law
from wbound.exact.leading_order import DENSITIES, _flat, _roots, leading_constants
from wbound.sampler.make_setting import setting

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


@pytest.mark.parametrize("log_lam", [-80.0, -39.9, -39.0, 0.3, 8.0, 35.0])
def test_what_makes_s_run_from_0_to_1(log_lam: float) -> None:
    """log ∫_0^λ du/(1+u)^{3/2} = log 2(1 − (1+λ)^{−1/2}), at any λ."""
    found = _flat(lambda u: 1.5 * np.logaddexp(0.0, u), log_lam)
    root = -math.expm1(-0.5 * math.log1p(math.exp(log_lam)))
    assert found == pytest.approx(math.log(2.0 * root), rel=1e-13, abs=1e-13)
    # and twice as fast at all times: half of it
    assert _flat(lambda u: np.full(np.shape(u), math.log(2.0)), log_lam) == pytest.approx(
        log_lam - math.log(2.0), rel=1e-13
    )


@pytest.mark.parametrize("grid", DENSITIES)
def test_densities_are_the_slopes_of_their_grids(grid: str) -> None:
    data = Gaussian(np.zeros(2), np.array([2.0, 0.3]))
    K = 20_000
    nodes = setting(wbound.process("vp-linear"), data, 3.0, K, scheme="hf", grid=grid).nodes
    lam = np.exp(nodes.log_lam)
    k = np.arange(200, K - 200, 100)
    slope = 0.5 * K * (lam[k - 1] - lam[k + 1])
    found = DENSITIES[grid](nodes.log_lam[k], float(nodes.log_lam[0]), data)
    np.testing.assert_allclose(np.exp(found), slope, rtol=3e-6)


@pytest.mark.parametrize(("name", "T"), [("vp-linear", 0.5), ("vp-linear", 3.0), ("ve-sqrt", 0.8)])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_law_itself_with_its_signs(name: str, T: float, scheme: str) -> None:
    p, data, K = wbound.process(name), Gaussian([1.5], 1.2), 100_000
    s = setting(p, data, T, K, scheme=scheme, start="exact")
    found, exact = leading_constants(p, data, T, scheme=scheme), law(s, data.eigenvalues)
    want = found.excess + found.log_part * math.log(K)
    np.testing.assert_allclose(K * exact.excess, want, rtol=3e-4)
    np.testing.assert_allclose(K * exact.mean, found.mean, rtol=2e-3, atol=1e-9)


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


@pytest.mark.parametrize("grid", ["uniform", "optimal", "gaussian", "cosine"])
@pytest.mark.parametrize("parameters", [{}, {"a": 3.0, "b": 0.1}])
def test_em_of_sub_vp_has_logarithms_where_the_grid_starts_in_the_clock(
    grid: str, parameters: dict[str, float]
) -> None:
    """log α falls as √λ at 0: Σ(∫f)² over the first steps is a harmonic sum, of the variance and of the mean."""
    p, K = wbound.process("sub-vp", **parameters), 30_000
    data = Gaussian([1.0, 0.5, 0.0], np.array([2.0, 0.3, 0.3]))
    found = leading_constants(p, data, 3.0, scheme="em", grid=grid)
    exact = law(setting(p, data, 3.0, K, scheme="em", start="exact", grid=grid), found.variances)
    want = found.excess + found.log_part * math.log(K)
    np.testing.assert_allclose(K * exact.excess, want, rtol=1e-2)  # O(K^{-1/2}) off
    np.testing.assert_allclose(K * exact.mean, found.mean + found.mean_log * math.log(K), rtol=1.5e-3)
    # W2 is made of both, the mean's by its own law where it has a logarithm
    lost = (found.mean + found.mean_log * math.log(K)) ** 2 @ found.mean_square
    spread = np.array([found.multiplicity / (4.0 * found.variances)]) @ want**2
    assert (K * found.w2(K)) ** 2 == pytest.approx(float(lost + spread[0]), rel=1e-13)
    assert found.w2(K) == pytest.approx(
        float(exact_w2(p, data, 3.0, K, scheme="em", start="exact", grid=grid)), rel=1e-2
    )
    assert bool(found.log_part.all()) == bool(found.mean_log.all()) == (grid != "uniform")
    assert (found.constant == math.inf) == (grid != "uniform")
    # the coefficients by hand: near 0, λ ≈ (bt)² and log α ≈ −bt/2, so that R = χ(0)/16
    if grid != "uniform":
        chi = float(np.exp(DENSITIES[grid](np.array(-np.inf), float(p.log_lam(3.0)), data)))
        np.testing.assert_allclose(found.mean_log, -chi / 32.0, rtol=1e-9)
        np.testing.assert_allclose(found.log_part, -found.variances * chi / 16.0, rtol=1e-9)


def test_what_the_first_steps_make_of_the_logarithm() -> None:
    J = 10**6
    j = np.arange(J, dtype=float)
    direct = float(((np.sqrt(j + 1.0) - np.sqrt(j)) ** 2).sum()) - 0.25 * math.log(J)
    assert _roots() == pytest.approx(direct, abs=1e-9)


def test_first_steps_that_leave_more_than_a_logarithm_are_refused() -> None:
    p = wbound.Process(f="1", g="t**2")  # λ ~ t⁵/5
    with pytest.raises(HypothesisFailed, match="sqrt"):
        leading_constants(p, ONE, 1.0, scheme="em", grid="optimal")
    assert leading_constants(p, ONE, 1.0, scheme="ei", grid="optimal").constant < math.inf
    assert leading_constants(p, ONE, 1.0, scheme="em").constant < math.inf
