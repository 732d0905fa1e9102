"""The exact 1-D law: against the exact Gaussian recursion, brute force, and the bounds it referees."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtri

import wbound
from numerics.laws.sde_on_line import law1d, law1d_w2, propagate
from numerics.targets.line_laws import Normal, Pair
from numerics.targets.products import Gaussian, LogCosh, ProductTarget, SymmetricMixture
from numerics.targets.smooth_law import LogCoshLine
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.sampler.grid import Grid, Nodes
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import Scheme, Steps

Array = NDArray[np.float64]
PROCESSES = (
    "ve-exponential",
    "ve-constant",
    "ve-sqrt",
    "ve-polynomial",
    "ou",
    "vp-linear",
    "vp-polynomial",
    "vp-exponential",
    "sub-vp",
)
SCHEMES = ("em", "em-point", "em-point-arrival", "ei", "hf", "ddpm")
#: hf, c = 0.8, s = 1, K = 60, T = 4, prior: W2 to seven decimals, Theorem 2, W2 as known before to ±0.002
KNOWN = {
    "ve-exponential": (0.0294436, 0.08909, 0.029),
    "ve-constant": (0.0370455, 0.52555, 0.037),
    "ve-sqrt": (0.0179711, 0.19572, 0.019),
    "ve-polynomial": (0.0257087, 0.12271, 0.025),
    "vp-linear": (0.0503667, 0.12209, 0.051),
    "vp-polynomial": (0.0785281, 0.20721, 0.079),
    "vp-exponential": (0.0529108, 0.12545, 0.053),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_mixture_under_hf(name: str) -> None:
    digits, bound, first = KNOWN[name]
    p, target = wbound.process(name), SymmetricMixture(0.8, 1.0)
    answer = law1d_w2(p, target, T=4.0, K=60, scheme="hf")
    assert answer.w2 == pytest.approx(digits, abs=6e-8)
    assert abs(answer.w2 - first) < 0.002
    assert answer.error < 1e-6 * answer.w2
    facts = wbound.LogConcave(1, target.m0, target.L0, target.second_moment, None)
    assert wbound.w2_bound(p, facts, T=4.0, K=60, scheme="hf").total == pytest.approx(bound, abs=6e-6)


# ---------------------------------------------------------------------- against the exact law on Gaussians
def _agree(s: Setting, rel: float = 1e-7) -> None:
    answer, exact = law1d(s, quadrature=True), float(EXACT_LAW(s))
    assert answer.w2 == pytest.approx(exact, rel=rel, abs=1e-10 * math.sqrt(s.data.second_moment))
    assert answer.w2 == pytest.approx(exact, abs=10.0 * answer.error + 1e-8 * exact + 1e-10)


@settings(max_examples=3 * settings.default.max_examples // 2)
@given(
    name=st.sampled_from(PROCESSES),
    scheme=st.sampled_from(SCHEMES),
    start=st.sampled_from(("prior", "exact")),
    mean=st.floats(-3.0, 3.0),
    variance=st.floats(-2.0, 2.0).map(lambda e: 10.0**e),
    T=st.floats(0.2, 4.0),
    K=st.floats(0.0, 4.5).map(lambda e: int(math.exp(e))),
)
def test_gaussians_by_quadrature(
    name: str, scheme: str, start: str, mean: float, variance: float, T: float, K: int
) -> None:
    _agree(setting(wbound.process(name), Gaussian(mean, variance), T, K, scheme=scheme, start=start))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["ve-constant", "vp-linear"])
def test_noise_far_narrower_than_the_law(name: str, scheme: str) -> None:
    """Steps of λ from 1e4 to 1e−10: √Q is 1e−5 of the law's width at the end."""
    grid = Grid.from_lam(np.r_[np.geomspace(1e4, 1e-10, 90), 0.0])
    _agree(setting(wbound.process(name), Gaussian(0.3, 1.3), scheme=scheme, grid=grid))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_standard_start_score_noise_and_early_stop(scheme: str) -> None:
    p, data = wbound.process("vp-linear"), Gaussian([0.4, 0.4], [0.8, 0.8])
    _agree(setting(p, data, 2.5, 30, scheme=scheme, start="standard"))
    noisy = setting(p, data, 2.5, 30, scheme=scheme, score_noise=0.4)
    _agree(noisy)
    assert law1d(noisy).w2 == pytest.approx(float(EXACT_LAW(noisy)), rel=1e-12)
    stopped = replace(noisy, nodes=Nodes(p, np.linspace(2.5, 0.1, 25), False), score_noise=0.0)
    assert stopped.nodes.stopped_early
    _agree(stopped)


def test_factors_add_up() -> None:
    """A rotated Gaussian with three eigenvalues; a mixture with normal coordinates beside it."""
    p = wbound.process("vp-linear")
    cov = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, 0.2], [0.0, 0.2, 0.5]])
    s = setting(p, Gaussian([0.5, -1.0, 0.2], cov), 3.0, 25, scheme="ei")
    assert law1d(s).w2 == pytest.approx(float(EXACT_LAW(s)), rel=1e-12)
    _agree(s)
    mixture = law1d_w2(p, SymmetricMixture([0.4, 0.3, 0.0], 1.0), 3.0, 25, scheme="ei")
    along = law1d_w2(p, SymmetricMixture(0.5, 1.0), 3.0, 25, scheme="ei").w2
    across = wbound.exact.gaussian_law.exact_w2(p, Gaussian(0.0, 1.0), 3.0, 25, scheme="ei")
    assert mixture.w2 == pytest.approx(math.sqrt(along**2 + 2.0 * across**2), rel=1e-9)
    assert [f.multiplicity for f in mixture.factors] == [1, 2]
    one, many = (law1d_w2(p, LogCosh(d, 0.5, 4.0), 3.0, 25).w2 for d in (1, 7))
    assert many == pytest.approx(math.sqrt(7.0) * one, rel=1e-9)


@pytest.mark.parametrize("K", [1, 2, 5])
def test_long_steps_do_not_cancel(K: int) -> None:
    """λ(T) = 1e29, α(T) = 1e−15: A y and C s(y) are huge and cancel."""
    for scheme in ("hf", "ddpm"):
        _agree(setting(wbound.process("vp-linear"), Gaussian(0.2, 1.3), 11.0, K, scheme=scheme))


def test_what_overflows_is_infinite() -> None:
    p = wbound.process("vp-polynomial")
    assert law1d_w2(p, SymmetricMixture(0.5, 1.0), 30.0, 1, scheme="ei").w2 == math.inf


# ---------------------------------------------------------------------- against brute force
def _brute(s: Setting, line: Any, n: int = 6000, nodes: int = 40) -> float:
    """The law of y_K as points: each step's noise by its quantiles, the cloud thinned to n points by sorting.
    Errors of order 1/nodes in the tails; it shares with the code only the coefficients A, C, Q."""
    b = s.nodes.batch
    steps = s.scheme.steps(b)
    u = (np.arange(n) + 0.5) / n
    log_alpha, log_lam = s.nodes.first
    y = math.sqrt(math.exp(log_lam + 2.0 * log_alpha)) * ndtri(u)
    xi = ndtri((np.arange(nodes) + 0.5) / nodes)
    xi /= math.sqrt(float((xi**2).mean()))
    for k in range(b.size):
        alpha, sigma2 = math.exp(float(b.log_alpha_hi[k])), float(b.sigma2_hi[k])
        y = steps.A[k] * y + steps.C[k] * line.score(y, alpha, sigma2)
        if steps.Q[k] > 0.0:
            y = (y[:, None] + math.sqrt(steps.Q[k]) * xi).ravel()
        y = np.sort(y)
        if y.size > n:
            y = y.reshape(n, -1).mean(axis=1)
    return math.sqrt(float(((y - line.quantile(u)) ** 2).mean()))


@pytest.mark.parametrize(
    ("target", "name", "scheme"),
    [
        (SymmetricMixture(0.8, 1.0), "ve-exponential", "hf"),
        (SymmetricMixture(0.8, 1.0), "vp-linear", "ddpm"),
        (LogCosh(1, 0.5, 8.0), "vp-linear", "em"),
        (ProductTarget("-x**2/2 - log1p(exp(3*x))", 1), "ve-sqrt", "ei"),
    ],
)
def test_against_brute_force(target: Any, name: str, scheme: str) -> None:
    s = setting(wbound.process(name), target, 2.5, 4, scheme=scheme)
    assert law1d(s).w2 == pytest.approx(_brute(s, target.factors[0].line), rel=6e-3)


def _turning(strength: float, last: int = 1) -> Scheme:
    """A scheme whose last steps have no noise and overshoot: y ↦ y + strength · C s(y)."""
    hf = wbound.sampler.scheme.SCHEMES["hf"]

    def steps(b: Any) -> Steps:
        exact = hf.steps(b)
        C, Q = exact.C.copy(), exact.Q.copy()
        C[-last:] *= strength
        Q[-last:] = 0.0
        return Steps(exact.A, C, Q, 0.0, exact.C - C, exact.Q - Q)

    return Scheme("turning", "a test", "sde", steps, "a test")


def _sorted_w2(x: Array, w: Array, line: Any) -> float:
    """W2 of points x with weights w to a line, by sorting: levels at the middle of each weight."""
    order = np.argsort(x, kind="stable")
    x, w = x[order], w[order] / w.sum()
    lower, upper = np.cumsum(w) - 0.5 * w, np.cumsum(w[::-1])[::-1] - 0.5 * w
    return math.sqrt(float(w @ (x - line.at_tails(lower, upper)) ** 2))


@pytest.mark.parametrize(
    ("line", "strength", "ways", "rel"),
    [
        (Pair(2.0, 0.7), 0.5, 1, 2e-6),
        (Pair(2.0, 0.7), 4.0, 0, 1.5e-4),  # where two flat ends meet in a gap, points converge slowly
        (Pair(2.0, 0.7), 1.3, 1, 2e-6),
        (LogCoshLine(0.5, 9.0), 3.0, 0, 2e-6),
        (Pair(0.5, 1.0), 30.0, -1, 2e-6),
    ],
)
def test_a_last_step_without_noise(line: Any, strength: float, ways: int, rel: float) -> None:
    """Rising, turning and falling maps, against the sorted images of 200,001 points of the last noisy law."""
    p = wbound.process("ve-constant")
    # m(y) = y + C s(y) turns where 1 + C s′ = 0
    s = setting(p, SymmetricMixture(0.5, 0.7), 2.0, 4, scheme=_turning(strength))
    (pushed,) = propagate(s, line, [700])
    z = pushed.density.z
    assert pushed._direction(pushed.images(z)) == ways
    fine = np.linspace(z[0], z[-1], 200_001)
    images, mass = pushed.images(fine), np.exp(pushed.density.at(fine))
    brute = _sorted_w2(images, mass, line)
    assert pushed.w2(line) == pytest.approx(brute, rel=rel)
    at, density = pushed.curve()
    assert (np.diff(at) > 0.0).all() and (density >= 0.0).all()
    assert np.trapezoid(density, at) == pytest.approx(1.0, abs=2e-2)
    assert np.trapezoid(density * at**2, at) == pytest.approx(mass @ images**2 / mass.sum(), rel=2e-2)
    # refinement changes nothing
    (finer,) = propagate(s, line, [1100])
    assert finer.w2(line) == pytest.approx(pushed.w2(line), rel=1e-7)


def test_several_steps_without_noise_compose() -> None:
    """The last three steps noise-free (an ODE scheme has all of them so): against brute force."""
    s = setting(wbound.process("ve-constant"), SymmetricMixture(0.5, 0.7), 2.0, 6, scheme=_turning(0.5, 3))
    line = s.data.factors[0].line
    assert law1d(s).w2 == pytest.approx(_brute(s, line), rel=5e-2)
    whole = setting(
        wbound.process("ve-constant"), SymmetricMixture(0.5, 0.7), 2.0, 6, scheme=_turning(0.5, 6)
    )
    z = np.linspace(-9.0, 9.0, 200_001)
    y = math.sqrt(float(whole.nodes.batch.sigma2_hi[0])) * z
    steps = whole.scheme.steps(whole.nodes.batch)
    for k in range(6):
        y = y + steps.C[k] * line.score(y, 1.0, float(whole.nodes.batch.sigma2_hi[k]))
    assert law1d(whole).w2 == pytest.approx(_sorted_w2(y, np.exp(-0.5 * z * z), line), rel=1e-6)


def test_the_curve_is_the_law() -> None:
    answer = law1d_w2(wbound.process("vp-linear"), LogCosh(1, 0.5, 4.0), 4.0, 200, scheme="hf")
    (factor,) = answer.factors
    assert np.trapezoid(factor.density, factor.x) == pytest.approx(1.0, abs=1e-9)
    # a good sampler's density is near the data's
    p0 = np.exp(factor.line.log_density(factor.x))
    assert 0.0 < np.abs(factor.density - p0).max() < 0.03 * p0.max()
    exact = law1d_w2(wbound.process("vp-linear"), Gaussian(0.3, 2.0), 4.0, 50).factors[0]
    assert np.trapezoid(exact.density, exact.x) == pytest.approx(1.0, abs=1e-9)


# ---------------------------------------------------------------------- what it referees
@settings(max_examples=2 * settings.default.max_examples)
@given(
    shape=st.tuples(st.sampled_from(("mixture", "log-cosh")), st.floats(0.0, 0.97), st.floats(0.2, 3.0)),
    name=st.sampled_from(PROCESSES),
    scheme=st.sampled_from(SCHEMES),
    start=st.sampled_from(("prior", "exact")),
    T=st.floats(0.3, 4.0),
    K=st.floats(0.0, 3.7).map(lambda e: int(math.exp(e))),
)
def test_the_sharp_bound_holds(
    shape: tuple[str, float, float], name: str, scheme: str, start: str, T: float, K: int
) -> None:
    kind, bend, scale = shape
    target: Any = (
        SymmetricMixture(bend * scale, scale)
        if kind == "mixture"
        else LogCosh(1, scale, scale * (1.0 + 40.0 * bend))
    )
    p = wbound.process(name)
    exact = law1d_w2(p, target, T, K, scheme=scheme, start=start)
    bound = wbound.w2_bound(p, target, T=T, K=K, scheme=scheme, start=start)
    assert exact.w2 - exact.error <= bound.total * (1.0 + 1e-9)
    assert exact.error <= 1e-6 * exact.w2 or exact.error < 1e-10


@pytest.mark.parametrize("name", ["ve-constant", "ou", "vp-linear"])
def test_the_published_bound_holds(name: str) -> None:
    p = wbound.process(name)
    for target in (SymmetricMixture([0.5, 0.4], 1.0), LogCosh(2, 0.8, 1.6)):
        bound = wbound.w2_bound(p, target, T=1.5, K=400, scheme="em", theorem="published", M1="exact")
        assert law1d_w2(p, target, T=1.5, K=400, scheme="em").w2 <= bound.total


def test_the_law_falls_like_one_over_K() -> None:
    p, target = wbound.process("vp-linear"), LogCosh(1, 0.5, 4.0)
    K = np.array([100, 200, 400])
    for scheme in ("em", "hf"):
        w2 = [law1d_w2(p, target, 4.0, int(k), scheme=scheme, start="exact").w2 for k in K]
        assert np.polyfit(np.log(K), np.log(w2), 1)[0] == pytest.approx(-1.0, abs=0.1)


def test_refusals() -> None:
    p = wbound.process("ou")
    with pytest.raises(BadInput, match="product target"):
        law1d_w2(p, wbound.LogConcave(1, 1.0, 2.0, 0.8), 1.0, 3)
    with pytest.raises(BadInput, match="rtol"):
        law1d_w2(p, SymmetricMixture(0.5, 1.0), 1.0, 3, rtol=0.0)
    s = setting(p, SymmetricMixture(0.5, 1.0), 1.0, 3, score_bias=0.1)
    with pytest.raises(HypothesisFailed, match="unbiased"):
        law1d(s)


def test_a_singular_gaussian_has_an_exact_law_too() -> None:
    s = setting(wbound.process("ou"), Gaussian([0.0, 1.0], [1.0, 0.0]), 3.0, 20)
    assert law1d(s).w2 == pytest.approx(float(EXACT_LAW(s)), rel=1e-12)
    assert isinstance(s.data.factors[0].line, Normal)
