"""Named grids: known values, scales, and clocks that overflow."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

import wbound
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.floor import floor_w2
from wbound.exact.gaussian_law import exact_w2
from wbound.sampler import placement

DATA = wbound.LogConcave(d=4, m0=0.3, L0=3.0, second_moment=8.0, mean_norm=0.0)
EDM = [80, 57.5859847, 40.7855738, 28.3745846, 19.352453]


def test_edm_has_the_published_levels() -> None:
    grid = wbound.Grid.edm(rho=7.0, sigma_min=0.002)
    sigma = np.exp(0.5 * grid.nodes(wbound.process("ve-constant"), None, 6400.0, 18).log_lam)
    assert sigma[:5] == pytest.approx(EDM, rel=1e-8)
    assert sigma[-4:] == pytest.approx([0.0229345, 0.007528, 0.002, 0.0], rel=1e-5)


def test_cosine_is_nichol_and_dhariwals_for_unit_variance() -> None:
    data = wbound.LogConcave(d=1, m0=1.0, L0=1.0, second_moment=1.0, mean_norm=0.0)

    def bar(u: np.ndarray) -> np.ndarray:
        return np.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2

    T = 0.9
    lam = np.exp(placement.cosine(math.log(1 / bar(np.array(T)) - 1), 10, data))
    assert lam[:-1] == pytest.approx(1 / bar(T * (1 - np.arange(10) / 10)) - 1, rel=1e-11)


@pytest.mark.parametrize("name", [n for n in wbound.GRIDS if n != "uniform"])
@pytest.mark.parametrize("log_lam_T", [-20.0, 1.0, 30.0, 200.0, 22000.0])
@pytest.mark.parametrize("K", [1, 2, 37])
def test_grids_fall_from_lam_T_to_zero(name: str, log_lam_T: float, K: int) -> None:
    place = {
        "optimal": placement.optimal,
        "gaussian": placement.gaussian,
        "log-lam": placement.log_uniform,
        "edm": placement.edm,
        "cosine": placement.cosine,
        "tangent": placement.tangent,
        "sinh": placement.sinh,
    }[name]
    log_lam = place(log_lam_T, K, DATA)
    assert log_lam.shape == (K + 1,)
    assert log_lam[0] == log_lam_T
    assert log_lam[-1] == -np.inf
    assert (np.diff(log_lam) < 0).all()


def test_sinh_against_mpmath() -> None:
    """λ_k = sinh²((K−k)h)/L_0, also where λ(T) is beyond doubles or L_0λ(T) far below 1."""
    mpmath.mp.dps = 40
    for log_lam_T in (-60.0, -3.0, 0.5, 40.0, 2000.0):
        K = 7
        whole = mpmath.asinh(mpmath.sqrt(DATA.L0 * mpmath.exp(log_lam_T)))
        want = [2 * mpmath.log(mpmath.sinh(whole * (K - k) / K)) - mpmath.log(DATA.L0) for k in range(K)]
        got = placement.sinh(log_lam_T, K, DATA)
        assert got[:-1] == pytest.approx(np.array(want, float), rel=1e-13, abs=1e-13)
    for data, error in (
        (None, BadInput),
        (wbound.CurvatureProfile("1/(1+lam)", "2/(1+2*lam)", 1, 1.0), HypothesisFailed),
    ):
        with pytest.raises(error, match="sinh"):
            placement.sinh(1.0, 4, data)


@pytest.mark.parametrize("name", list(wbound.GRIDS))
def test_grids_by_name_serve_every_process(name: str) -> None:
    for process in ("ve-exponential", "vp-polynomial", "sub-vp"):
        p = wbound.process(process)
        nodes = wbound.setting(p, DATA, 4.0, 12, scheme="hf", grid=name).nodes
        assert nodes.T == 4.0
        assert nodes.first[1] == pytest.approx(float(p.log_lam(4.0)), rel=1e-14)
        bound = wbound.w2_bound(p, DATA, 4.0, 12, scheme="hf", grid=name)
        assert 0.0 < bound.total < math.inf


def test_scales_are_the_datas_own() -> None:
    big = wbound.LogConcave(d=4, m0=3e-5, L0=3e-4, second_moment=8e4, mean_norm=0.0)
    for place in (
        placement.optimal,
        placement.gaussian,
        placement.log_uniform,
        placement.edm,
        placement.cosine,
    ):
        small, large = place(3.0, 9, DATA), place(3.0 + math.log(1e4), 9, big)
        assert large[:-1] - small[:-1] == pytest.approx(math.log(1e4), abs=1e-9)


def test_gaussian_grid_is_uniform_in_the_root() -> None:
    data = Gaussian(np.zeros(3), 2.0)
    lam = np.exp(placement.gaussian(math.log(50.0), 8, data))
    assert np.diff((2.0 + lam) ** -0.5, n=2) == pytest.approx(np.zeros(7), abs=1e-15)


def test_the_outside_figures_of_the_floor_and_the_clocks() -> None:
    data = wbound.LogConcave(d=100, m0=0.5, L0=0.5, second_moment=200.0, mean_norm=0.0)
    p = wbound.process("ve-constant")
    kw = {"T": 1e6, "K": 1000, "scheme": "hf", "start": "exact"}
    assert floor_w2(1000, 100, math.sqrt(2.0), 1e6) == pytest.approx(0.028176, abs=5e-7)
    assert exact_w2(p, data, grid="gaussian", **kw) == pytest.approx(0.028379, abs=5e-7)
    assert exact_w2(p, data, grid="optimal", **kw) == pytest.approx(0.031471, abs=5e-7)
    assert wbound.w2_bound(p, data, grid="optimal", **kw).total == pytest.approx(0.041766, abs=5e-7)


def test_the_tuned_cancellation_and_the_floor_that_survives() -> None:
    data = wbound.LogConcave(d=1, m0=0.5, L0=0.5, second_moment=2.0, mean_norm=0.0)
    p, T = wbound.process("ve-constant"), 9.883060988
    assert exact_w2(p, data, T, 50, scheme="hf", grid="gaussian") < 1e-6
    kept = exact_w2(p, data, T, 50, scheme="hf", grid="gaussian", start="exact")
    assert kept > floor_w2(50, 1, math.sqrt(2.0), T) > 0.0


def test_bad_input() -> None:
    p = wbound.process("ve-constant")
    singular = Gaussian(np.zeros(2), np.array([1.0, 0.0]))
    with pytest.raises(HypothesisFailed, match="A1"):
        wbound.setting(p, singular, 1.0, 5, grid="optimal")
    with pytest.raises(BadInput, match="needs the data's m0 and L0"):
        wbound.Grid.optimal().nodes(p, None, 1.0, 5)
    with pytest.raises(BadInput, match=r"sigma_min = 2.0: must be below sqrt\(lam\(T\)\) = 1"):
        wbound.Grid.edm(sigma_min=2.0).nodes(p, None, 1.0, 5)
    with pytest.raises(BadInput, match="rho"):
        wbound.Grid.edm(rho=0.0)
    with pytest.raises(BadInput, match="grid = karras: must be one of uniform, optimal"):
        wbound.setting(p, DATA, 1.0, 5, grid="karras")
    with pytest.raises(BadInput, match="lam_max"):
        wbound.optimal_grid(DATA, 5, 0.0)
