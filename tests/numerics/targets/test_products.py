"""Targets: exact scores and samples, the facts of A1, A2's constant; laws on the line and their tables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad

import wbound
from numerics.targets.line_laws import Line, Normal, Pair
from numerics.targets.products import (
    Gaussian,
    LogCosh,
    ProductTarget,
    SymmetricMixture,
    Target,
    _score_at_zero,
    product_M1,
)
from numerics.targets.quintic_table import tabulate
from numerics.targets.smooth_law import LogCoshLine, Smooth
from wbound.errors import BadInput, HypothesisFailed, IOFailure

Array = NDArray[np.float64]

ROTATED = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, 0.2], [0.0, 0.2, 0.5]])
TARGETS: dict[str, Any] = {
    "gaussian": Gaussian([0.5, -1.0, 0.2], ROTATED),
    "diagonal": Gaussian([0.5, -1.0], [1.5, 0.7]),
    "mixture": SymmetricMixture([0.5, 0.3, -0.2], 1.1),
    "mixture-1d": SymmetricMixture(0.8, 1.0),
    "log-cosh": LogCosh(2, 0.5, 4.0),
    "expression": ProductTarget("-x**2/2 - log1p(exp(x))", 2),
    "callable": ProductTarget(lambda x: -0.5 * x**2 - np.log1p(np.exp(x)), 2, m0=1.0, L0=1.25),
}
#: α and σ² of a few times: near the data, in between, near the prior, VE far out
TIMES = [(1.0, 0.01), (0.9, 0.3), (0.4, 0.84), (1.0, 25.0), (1.0, 1e6)]


def _log_p0(name: str, x: Array) -> Array:
    """log p_0 up to a constant, from its definition."""
    if name in ("gaussian", "diagonal"):
        t = TARGETS[name]
        cov = t.cov if t.cov.ndim == 2 else np.diag(t.cov)
        gap = x - t.mean
        return np.asarray(-0.5 * np.einsum("ni,ij,nj->n", gap, np.linalg.inv(cov), gap))
    if name.startswith("mixture"):
        t = TARGETS[name]
        side = [-0.5 * ((x - sign * t.c) ** 2).sum(axis=1) / t.s**2 for sign in (-1.0, 1.0)]
        return np.logaddexp(*side)
    if name == "log-cosh":
        return np.asarray((-0.25 * x**2 - 3.5 * np.log(np.cosh(x))).sum(axis=1))
    return np.asarray((-0.5 * x**2 - np.log1p(np.exp(x))).sum(axis=1))


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_is_data_too(name: str) -> None:
    target = TARGETS[name]
    assert isinstance(target, Target) and isinstance(target, wbound.data.curvature.StronglyLogConcave)
    x = target.sample(200_000, 3)
    assert x.shape == (200_000, target.d) and np.isfinite(x).all()
    square = (x**2).sum(axis=1)
    assert abs(square.mean() - target.second_moment) < 5.0 * square.std() / math.sqrt(len(x))
    mean = math.sqrt(float((x.mean(axis=0) ** 2).sum()))
    assert target.mean_norm is not None
    assert abs(mean - target.mean_norm) < 6.0 * math.sqrt(target.second_moment / len(x))
    # the facts fit together as Cramér–Rao and Brascamp–Lieb demand
    wbound.LogConcave(target.d, target.m0, target.L0, target.second_moment, target.mean_norm)
    assert sum(f.multiplicity for f in target.factors) == target.d
    variance = sum(f.multiplicity * f.line.variance for f in target.factors)
    assert variance == pytest.approx(target.second_moment - target.mean_norm**2, rel=1e-10)
    assert np.array_equal(target.sample(5, 7), target.sample(5, np.random.Generator(np.random.SFC64(7))))


@pytest.mark.parametrize("name", TARGETS)
def test_score_is_the_gradient_of_the_density(name: str) -> None:
    """At t = 0 by differences of log p_0; for t > 0 by Monte Carlo over the posterior's definition."""
    target, rng = TARGETS[name], np.random.default_rng(1)
    x = target.sample(20, 5)
    h = 1e-5
    for i in range(target.d):
        step = np.zeros(target.d)
        step[i] = h
        slope = (_log_p0(name, x + step) - _log_p0(name, x - step)) / (2.0 * h)
        assert np.allclose(target.score(x, 1.0, 0.0)[:, i], slope, atol=2e-8)
    # ∇log p_t(x) = E[αX_0 − x | x]/σ², weights from X_0's own draws
    draws = target.sample(400_000, rng)
    alpha, sigma2 = 0.8, 0.5
    for at in x[:3]:
        w = np.exp(-0.5 * ((at - alpha * draws) ** 2).sum(axis=1) / sigma2)
        per = (alpha * draws - at) / sigma2
        estimate = w @ per / w.sum()
        spread = np.sqrt((w**2) @ (per - estimate) ** 2) / w.sum()
        assert (np.abs(target.score(at[None], alpha, sigma2)[0] - estimate) < 5.0 * spread).all()


def test_refusals() -> None:
    with pytest.raises(HypothesisFailed, match=r"A1 fails: \|c\| = 1\.11803 must be below s = 1"):
        SymmetricMixture([1.0, 0.5], 1.0)
    with pytest.raises(HypothesisFailed, match="A1"):
        SymmetricMixture(1.0, 1.0)
    for c, s in (("a", 1.0), ([[1.0]], 1.0), ([], 1.0), (math.nan, 1.0), (0.5, 0.0), (0.5, -1.0)):
        with pytest.raises(BadInput):
            SymmetricMixture(c, s)
    for d, m0, L0 in ((0, 1.0, 2.0), (2, 2.0, 1.0), (2, 0.0, 1.0), (1.5, 1.0, 1.0)):
        with pytest.raises(BadInput):
            LogCosh(d, m0, L0)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="shape"):
        TARGETS["mixture"].score(np.zeros((4, 2)), 1.0, 0.0)
    with pytest.raises(BadInput, match="n"):
        TARGETS["mixture"].sample(0)
    with pytest.raises(BadInput, match="seed"):
        TARGETS["mixture"].sample(3, -1)


# ---------------------------------------------------------------------- a user's density
def test_curvature_of_an_expression_is_proved() -> None:
    target = ProductTarget("-x**2/2 - log1p(exp(x))", 3)
    assert target.proved and target.d == 3
    assert 1.0 - 1e-8 < target.m0 <= 1.0 and 1.25 <= target.L0 < 1.25 + 1e-8
    scaled = ProductTarget("-k*x**2/2 - b*log(cosh(x))", 1, parameters={"k": 0.5, "b": 3.5})
    other = LogCosh(1, 0.5, 4.0)
    x = np.linspace(-40.0, 40.0, 41)[:, None]
    for alpha, sigma2 in TIMES:
        assert np.allclose(
            scaled.score(x, alpha, sigma2), other.score(x, alpha, sigma2), rtol=1e-9, atol=1e-9
        )
    assert scaled.mean_norm == 0.0 and scaled.second_moment == pytest.approx(other.second_moment, rel=1e-12)
    assert ProductTarget("-x**2/2", 1, m0=1.0, L0=1.0).factors[0].line.variance == pytest.approx(
        1.0, rel=1e-12
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        # a bump 1e−3 wide between any grid's points: smooth, tiny, and not convex
        ("-x**2/2 + 0.001*exp(-1e6*(x - 0.31)**2)", "at least -891"),
        ("-x**2/2 + 0.3*exp(-1e4*(x - 0.123)**2)", "m0 must be > 0"),
        ("x**2", "at least -2"),
        ("-x**4", "cannot be bounded"),
        ("-x**2/2 - abs(x)", "may jump"),
        ("-x", "m0 must be > 0"),
        ("-log(1 + x**2)", "m0 must be > 0"),
    ],
)
def test_a_density_that_cheats_is_refused(text: str, why: str) -> None:
    with pytest.raises(HypothesisFailed, match=f"A1 fails: .*{why}"):
        ProductTarget(text, 1)


def test_claims_about_a_density_are_checked() -> None:
    with pytest.raises(HypothesisFailed, match=r"m0 = 1\.1, L0 = None claimed"):
        ProductTarget("-x**2/2 - log1p(exp(x))", 1, m0=1.1)
    with pytest.raises(HypothesisFailed, match="claimed"):
        ProductTarget("-x**2/2 - log1p(exp(x))", 1, L0=1.2)
    assert ProductTarget("-x**2/2 - log1p(exp(x))", 1, m0=0.5, L0=2.0).L0 == 2.0
    given_word = TARGETS["callable"]
    assert not given_word.proved and given_word.m0 == 1.0 and given_word.L0 == 1.25
    with pytest.raises(HypothesisFailed, match=r"averages 2.* outside \[1, 1\.5\]"):
        ProductTarget(lambda x: -(x**2), 1, m0=1.0, L0=1.5)
    with pytest.raises(BadInput, match="needs m0= and L0="):
        ProductTarget(lambda x: -(x**2), 1)
    with pytest.raises(BadInput, match="at most L0"):
        ProductTarget(lambda x: -(x**2), 1, m0=2.0, L0=1.0)
    with pytest.raises(BadInput, match="finite logarithm"):
        ProductTarget(lambda x: np.where(np.abs(x) < 5.0, -0.5 * x**2, -np.inf), 1, m0=1.0, L0=1.0)
    with pytest.raises(BadInput, match="not allowed"):
        ProductTarget("__import__('os')", 1)
    with pytest.raises(BadInput, match="must be text"):
        ProductTarget(3.0, 1)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- laws on the line
LINES: dict[str, Line] = {
    "normal": Normal(0.7, 1.3),
    "pair": Pair(0.8, 1.0),
    "two modes": Pair(2.0, 0.9),
    "log-cosh": LogCoshLine(0.5, 4.0),
    "smooth": TARGETS["expression"].line,
    "stiff": LogCoshLine(0.05, 60.0),
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize(
    ("alpha", "sigma2"), [(1.0, 0.0), (1.0, 1e-6), (0.9, 0.02), (0.6, 0.5), (1.0, 30.0), (1e-3, 1.0)]
)
def test_density_tails_and_quantiles_agree(name: str, alpha: float, sigma2: float) -> None:
    line = LINES[name]
    width, middle = math.sqrt(alpha**2 * line.variance + sigma2), alpha * line.mean

    def p(x: float) -> float:
        return float(np.exp(line.log_density(np.array([x]), alpha, sigma2))[0])

    a, b = middle - 0.4 * width, middle + 1.1 * width
    mass = quad(p, a, b, epsabs=1e-12, epsrel=1e-12, limit=200)[0]
    lower, upper = line.tails(np.array([a, b]), alpha, sigma2)
    assert lower[1] - lower[0] == pytest.approx(mass, abs=2e-11)
    assert np.allclose(lower + upper, 1.0, atol=1e-12)
    u = np.array([1e-14, 1e-6, 0.03, 0.5, 0.8, 1.0 - 1e-9])
    x = line.quantile(u, alpha, sigma2)
    assert np.allclose(line.tails(x, alpha, sigma2)[0], u, rtol=1e-9)
    far = line.at_tails(np.ones(2), np.array([1e-14, 1e-30]), alpha, sigma2)
    assert np.allclose(line.tails(far, alpha, sigma2)[1], [1e-14, 1e-30], rtol=1e-9)
    # the score is the slope of log p, by a difference of order 6
    h = 0.02 * math.sqrt(1.0 / line.L0 * alpha**2 + sigma2)
    at = middle + width * np.linspace(-3.0, 3.0, 7)
    slope = sum(
        c * (line.log_density(at + j * h, alpha, sigma2) - line.log_density(at - j * h, alpha, sigma2)) / h
        for j, c in ((1, 0.75), (2, -0.15), (3, 1.0 / 60.0))
    )
    assert np.allclose(line.score(at, alpha, sigma2), slope, rtol=1e-8, atol=3e-8 / width)
    if sigma2 > 1e-4:  # Lemma 3: E[X_0 | x] = (x + σ² s)/α
        assert np.allclose(
            line.denoise(at, alpha, sigma2) * alpha,
            at + sigma2 * line.score(at, alpha, sigma2),
            atol=1e-9 * width,
        )


@pytest.mark.parametrize("lam", [1e-9, 1e-5, 3e-3, 0.2, 0.26, 1.0, 40.0, 1e7])
def test_the_table_is_accurate_to_1e_10(lam: float) -> None:
    """Log-cosh: against a direct quadrature of the posterior at points of no grid."""
    line = LogCoshLine(0.5, 4.0)
    y = np.sqrt(line.variance + lam) * np.array([-3.3, -1.7, -0.21, 0.013, 0.5, 1.1, 2.9])
    score, denoised = line.score(y, 1.0, lam), line.denoise(y, 1.0, lam)
    for one, s, m in zip(y, score, denoised, strict=True):
        width = 1.0 / math.sqrt(0.5 + 1.0 / lam)
        shift = m - one if lam > 1.0 else lam * s
        u = np.linspace(-11.0, 11.0, 4001) * width
        x = one + shift + u
        log_w = -0.25 * x**2 - 3.5 * np.logaddexp(x, -x) - 0.5 * (shift + u) ** 2 / lam
        w = np.exp(log_w - log_w.max())
        mean = shift + w @ u / w.sum()
        assert abs(s - mean / lam) < 1e-10 * 2.0
        assert abs(m - (one + mean)) < 1e-10 / 2.0


def test_smoothing_reproduces_the_closed_forms() -> None:
    """`Smooth` knows only log p_0: normal and mixture have closed forms to compare with."""
    pair = Pair(0.8, 1.0)
    twins = [
        (Normal(0.3, 0.6), Smooth(lambda x: -((x - 0.3) ** 2) / 1.2, 1.0 / 0.6, 1.0 / 0.6)),
        (pair, Smooth(pair.log_density, pair.m0, pair.L0)),
    ]
    for closed, smooth in twins:
        assert smooth.mean == pytest.approx(closed.mean, abs=1e-12)
        assert smooth.variance == pytest.approx(closed.variance, rel=1e-12)
        for alpha, sigma2 in [*TIMES, (1e-9, 1.0), (1.0, 1e-13), (1.0, 0.0)]:
            width = math.sqrt(alpha**2 * closed.variance + sigma2)
            x = alpha * closed.mean + width * np.linspace(-15.0, 15.0, 31)  # beyond the table too
            assert np.allclose(
                smooth.score(x, alpha, sigma2), closed.score(x, alpha, sigma2), rtol=3e-10, atol=3e-10 / width
            )
            assert np.allclose(
                smooth.denoise(x, alpha, sigma2), closed.denoise(x, alpha, sigma2), atol=3e-10, rtol=1e-11
            )
            at = x[np.abs(x - alpha * closed.mean) < 8.0 * width]
            assert np.allclose(
                smooth.log_density(at, alpha, sigma2), closed.log_density(at, alpha, sigma2), atol=1e-9
            )
            assert np.allclose(
                smooth.tails(at, alpha, sigma2)[0], closed.tails(at, alpha, sigma2)[0], rtol=2e-8
            )


def test_tables_refine_or_refuse() -> None:
    table = tabulate(lambda x: np.sin(40.0 * x), -1.0, 2.0, 1e-11)
    x = np.random.default_rng(0).uniform(-1.0, 2.0, 1000)
    assert np.abs(table(x) - np.sin(40.0 * x)).max() < 1e-11
    assert table.hi == 2.0 and table.lo == -1.0
    with pytest.raises(IOFailure, match="tabulated"):
        tabulate(lambda x: np.sign(x - 0.1234567), -1.0, 1.0, 1e-11)


# ---------------------------------------------------------------------- A2's constant
PROCESSES = ("vp-linear", "ve-exponential", "sub-vp", "ou", "ve-sqrt")


def _rate(target: Any, process: wbound.Process, T: float) -> float:
    """The largest |∂_t s|/(1 + |x|) seen, along the axis where the target is not normal."""
    r = np.concatenate((np.linspace(-4.0, 4.0, 161), np.array([-1e3, -40.0, 40.0, 1e3])))
    axis = target.c / np.linalg.norm(target.c) if isinstance(target, SymmetricMixture) else np.ones(target.d)
    x = r[:, None] * axis
    best = 0.0
    for t in np.linspace(0.02, T - 0.02, 9):
        h = 1e-3 * t
        ends = [target.score(x, float(process.alpha(u)), float(process.sigma2(u))) for u in (t + h, t - h)]
        rate = np.linalg.norm(ends[0] - ends[1], axis=1) / (2.0 * h)
        best = max(best, float((rate / (1.0 + np.linalg.norm(x, axis=1))).max()))
    return best


@pytest.mark.parametrize("name", ["mixture", "mixture-1d", "log-cosh", "expression"])
@pytest.mark.parametrize("process", PROCESSES)
def test_M1_bounds_the_score_in_time(name: str, process: str) -> None:
    p, target = wbound.process(process), TARGETS[name]
    seen, bound = _rate(target, p, 2.0), target.M1(p, 2.0)
    assert seen <= bound * (1.0 + 1e-5)
    assert bound < 6.0 * seen  # of the right size


@pytest.mark.parametrize("process", ["ve-constant", "ou"])
def test_M1_where_the_third_derivative_decides(process: str) -> None:
    """A small curvature: then ½g²s″ is nearly all of ∂_t s, and |x| ~ 0.66 where it is largest."""
    p, target = (
        wbound.process(process, **({"theta": 1e-3} if process == "ou" else {})),
        LogCosh(1, 0.01, 0.03),
    )
    x = np.linspace(-3.0, 3.0, 301)[:, None]
    h = 1e-4
    ends = [target.score(x, float(p.alpha(t)), float(p.sigma2(t))) for t in (h, 3.0 * h)]
    seen = float((np.abs(ends[1] - ends[0])[:, 0] / (2.0 * h) / (1.0 + np.abs(x[:, 0]))).max())
    assert 0.55 * target.M1(p, 1.0) < seen <= target.M1(p, 1.0)


@pytest.mark.parametrize("process", PROCESSES)
def test_M1_is_exact_for_centred_normals(process: str) -> None:
    p, gaussian = wbound.process(process), Gaussian([0.0, 0.0], [0.6, 2.0])
    assert product_M1(gaussian.factors, p, 2.0) == pytest.approx(gaussian.M1(p, 2.0), rel=3e-4)
    shifted = Gaussian([0.9, 0.0], [0.6, 2.0])
    assert product_M1(shifted.factors, p, 2.0) >= shifted.M1(p, 2.0) * (1.0 - 3e-4)


def test_third_derivatives_are_bounded() -> None:
    """|(log p_t)‴| ≤ c3 α³/(α²v3 + σ²)³ (Feynman–Kac), seen by differences of the score."""
    for name in ("pair", "log-cosh", "smooth"):
        line = LINES[name]
        assert line.third is not None
        for alpha, sigma2 in ((1.0, 0.0), (0.9, 0.1), (0.7, 0.5), (0.2, 0.9)):
            h = 2e-3
            x = np.linspace(-5.0, 5.0, 400)
            bend = (
                np.diff(
                    line.score(np.concatenate((x - h, x, x + h)), alpha, sigma2).reshape(3, -1), 2, axis=0
                )[0]
                / h**2
            )
            bound = line.third.c3 * alpha**3 / (alpha**2 * line.third.v3 + sigma2) ** 3
            assert np.abs(bend).max() <= bound * (1.0 + 1e-4)
            if sigma2 == 0.0:
                assert np.abs(bend).max() > 0.99 * bound


def test_the_score_at_the_origin_is_bounded() -> None:
    """U′(0) = 0 and U‴(0) = 0.4: smoothing alone moves the score at 0, by ½U‴λ at first."""
    bent = ProductTarget("-x**2 + 0.4*sin(x) - 0.4*x", 1).line
    tilted = ProductTarget("-x**2/2 - 0.3*log1p(exp(x))", 1).line
    for line, tight in ((bent, 1.02), (tilted, 1.02)):
        assert line.third is not None and not line.symmetric
        v, sup3 = 1.0 / line.m0, line.third.c3 / line.third.v3**3
        for alpha, sigma2 in ((1.0, 1e-3), (0.9, 0.05), (0.6, 0.5), (1.0, 9.0)):
            a, w = np.array([alpha]), np.array([alpha**2 * v + sigma2])
            bound = _score_at_zero(np.array([line.slope]), np.array([sup3]), np.array([v]), (a, a), (w, w))
            seen = abs(float(line.score(np.zeros(1), alpha, sigma2)[0]))
            assert seen <= bound[0] * (1.0 + 1e-9)
            assert sigma2 > 1e-2 or bound[0] < tight * seen


def test_M1_unknown_is_said() -> None:
    with pytest.raises(HypothesisFailed, match="A2"):
        TARGETS["callable"].M1(wbound.process("ou"), 1.0)


@settings(max_examples=settings.default.max_examples // 4)
@given(
    c=st.floats(0.01, 0.95),
    s=st.floats(0.2, 4.0),
    name=st.sampled_from(PROCESSES),
    T=st.floats(0.3, 3.0),
)
def test_M1_of_random_mixtures(c: float, s: float, name: str, T: float) -> None:
    target, p = SymmetricMixture(c * s, s), wbound.process(name)
    assert _rate(target, p, T) <= target.M1(p, T) * (1.0 + 1e-5)
