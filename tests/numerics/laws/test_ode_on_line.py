"""ODE samplers on the line: the pushed law against the exact recursion, `law1d` and Theorem 3."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import wbound
from numerics.laws.ode_on_line import Flow1d, curve, flow1d, monotone, push, pushed_w2
from numerics.laws.sde_on_line import law1d_w2
from numerics.targets.line_laws import Normal, Pair
from numerics.targets.mixtures import Bimodal, GaussianMixture
from numerics.targets.products import Gaussian, LogCosh, SymmetricMixture
from wbound.bounds.theorem_3 import THEOREM_3
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import setting
from wbound.sampler.scheme import SCHEMES, Flow, Scheme, Steps

ODE = ("ode-hf", "ddim", "ode-ei")
EIGHT = (
    "ve-exponential",
    "ve-constant",
    "ve-sqrt",
    "ve-polynomial",
    "ou",
    "vp-linear",
    "vp-polynomial",
    "vp-exponential",
)


def flow1d_w2(
    process: wbound.Process, target: Any, T: float, K: int, *, scheme: str = "ode-hf", start: str = "prior"
) -> Flow1d:
    return flow1d(setting(process, target, T, K, scheme=scheme, start=start))


@pytest.mark.parametrize("scheme", [*ODE, "heun", "heun-lam"])
@pytest.mark.parametrize("start", ["prior", "exact", "standard"])
def test_normal_laws_by_quadrature(scheme: str, start: str) -> None:
    """Off the exact recursion's path: a normal line is pushed like any other."""
    p, line = wbound.process("vp-linear"), Normal(0.7, 1.6)
    for K, last in ((1, 0.0), (9, 0.0), (20, 0.05)):
        grid = Grid.from_t(np.linspace(3.0, last, K + 1), stop="early" if last else None)
        s = setting(p, Gaussian([0.7], 1.6), scheme=scheme, start=start, grid=grid)
        w2, error, rising = pushed_w2(s, line, 1e-9)
        assert rising
        assert w2 == pytest.approx(float(EXACT_LAW(s)), rel=1e-9)
        assert error < 1e-8 * w2


@pytest.mark.parametrize("scheme", ODE)
@pytest.mark.parametrize("target", [SymmetricMixture(0.8, 1.0), Bimodal(2.0, 0.9), LogCosh(1, 0.5, 4.0)])
def test_against_the_other_referee(scheme: str, target: Any) -> None:
    """`law1d` follows the start's density on a grid; here its quantiles are followed."""
    for name in ("vp-linear", "ve-constant"):
        p = wbound.process(name)
        for K in (2, 25):
            got = flow1d_w2(p, target, 3.0, K, scheme=scheme)
            want = law1d_w2(p, target, 3.0, K, scheme=scheme, rtol=1e-7)
            assert got.monotone and got.w2 == pytest.approx(want.w2, rel=1e-6)


def test_law1d_takes_heun() -> None:
    p, target = wbound.process("vp-linear"), SymmetricMixture([0.48, 0.64], 1.0)
    s = setting(p, target, 4.0, 20, scheme="heun")
    answer, own = law1d_w2(p, target, 4.0, 20, scheme="heun"), flow1d(s)
    assert answer.w2 == pytest.approx(own.w2, rel=1e-9)
    pair = answer.factors[0]
    mass = float(np.sum(0.5 * (pair.density[1:] + pair.density[:-1]) * np.diff(pair.x)))
    assert mass == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(HypothesisFailed, match="heun pushes no noise"):
        law1d_w2(p, target, 4.0, 20, scheme="heun", score_noise=0.1)


def test_heun_on_a_mixture_is_of_second_order() -> None:
    p, target = wbound.process("vp-linear"), Bimodal(1.5, 1.0)
    K = np.array([50, 100, 200])
    for scheme, order in (("heun-lam", 2.0), ("ode-hf", 1.0)):
        w2 = [flow1d_w2(p, target, 4.0, int(k), scheme=scheme, start="exact").w2 for k in K]
        assert np.polyfit(np.log(K), np.log(w2), 1)[0] == pytest.approx(-order, abs=0.1)


def test_maps_rise_where_section_12_says() -> None:
    p, L0 = wbound.process("vp-linear"), 4.0
    for scheme in ODE:
        b = setting(p, LogCosh(1, 0.5, L0), 4.0, 7, scheme=scheme).nodes.batch
        steps = SCHEMES[scheme].steps(b)
        c = steps.C * np.exp(-b.log_alpha_lo - b.log_alpha_hi)
        share = c * L0 / (1.0 + L0 * np.exp(b.log_lam_hi))
        assert monotone(b, steps, L0) and share.max() <= 1.0
        assert not monotone(b, steps._replace(C=steps.C / share.max() * 1.01), L0)
    b = setting(p, LogCosh(1, 0.5, L0), 4.0, 7, scheme="heun").nodes.batch
    assert not monotone(b, SCHEMES["heun"].steps(b), L0)  # seen, not proved


def test_a_map_that_turns() -> None:
    """A scheme that steps 1.9 times as far as ddim: quantiles are sorted, and `law1d` agrees."""

    def far(b: Any) -> Steps:
        steps = SCHEMES["ddim"].steps(b)
        kappa = np.exp(-0.5 * b.gap)
        keep = 1.0 - 1.9 * (1.0 - kappa)
        C = 1.9 * steps.C
        flow = Flow(0.5 * b.steps.C - C, keep, keep**2 - kappa**2)
        return steps._replace(C=C, c=b.steps.C - C, flow=flow)

    target = Bimodal(2.0, 0.7)
    s = setting(wbound.process("vp-linear"), target, 2.0, 2, scheme=Scheme("far", "far", "ode", far, "none"))
    got, want = flow1d(s), law1d_w2(s.process, target, 2.0, 2, scheme=s.scheme, rtol=1e-6)
    assert not got.monotone
    assert got.w2 == pytest.approx(want.w2, rel=1e-4)
    assert curve(s, Pair(2.0, 0.7))[0].size == 0
    # on normal data the exact law knows it too
    normal = replace(s, data=Gaussian([0.3], 0.5))
    assert pushed_w2(normal, Normal(0.3, 0.5), 1e-6)[0] == pytest.approx(float(EXACT_LAW(normal)), rel=1e-4)


# ---------------------------------------------------------------------- Theorem 3 beyond Gaussians
SMALLEST: dict[str, float] = {}


@settings(max_examples=3 * settings.default.max_examples)
@given(
    name=st.sampled_from(EIGHT),
    log_lam=st.floats(math.log(0.1), math.log(1e6)),
    share=st.floats(0.05, 0.999),
    s=st.floats(-1.0, 1.0).map(lambda e: 10.0**e),
    K=st.floats(0.0, math.log(300.0)).map(lambda e: int(math.exp(e))),
    scheme=st.sampled_from(ODE),
    start=st.sampled_from(("prior", "exact")),
)
def test_theorem_3_on_mixtures_inside_A1(
    name: str, log_lam: float, share: float, s: float, K: int, scheme: str, start: str
) -> None:
    p = wbound.process(name)
    try:
        T = float(p.time_of(log_lam + 2.0 * math.log(s)))
    except BadInput:
        assume(False)
    cell = setting(p, SymmetricMixture(share * s, s), T, K, scheme=scheme, start=start)
    exact, bound = flow1d(cell).w2, THEOREM_3(cell).total
    assert bound >= exact * (1.0 - 1e-7)
    SMALLEST[scheme] = min(SMALLEST.get(scheme, math.inf), bound / exact)


def test_the_smallest_ratio_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("\nsmallest Theorem 3 / W2, mixtures:", {k: round(v, 4) for k, v in sorted(SMALLEST.items())})


# ---------------------------------------------------------------------- refusals


def test_refusals() -> None:
    p, target = wbound.process("vp-linear"), SymmetricMixture(0.5, 1.0)
    with pytest.raises(HypothesisFailed, match="an ODE scheme fails: hf is an SDE scheme"):
        flow1d_w2(p, target, 3.0, 10, scheme="hf")
    with pytest.raises(BadInput, match="must be a product target"):
        flow1d_w2(p, GaussianMixture([[0.0, 1.0], [1.0, 0.0]], 1.0), 3.0, 10)
    with pytest.raises(HypothesisFailed, match="exact score"):
        flow1d(setting(p, target, 3.0, 10, scheme="ddim", score_noise=0.1))
    far = wbound.process("vp-polynomial")
    assert flow1d_w2(far, target, 40.0, 3, scheme="ode-hf").w2 == math.inf
    with pytest.raises(OverflowError):
        push(setting(far, target, 40.0, 3, scheme="ode-hf"), Pair(0.5, 1.0))
