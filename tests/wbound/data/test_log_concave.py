"""What a bound may know of p_0: Lemma 1's profile, Ψ, the start's error (Eq. 8), and A2's constant M_1."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
import referee
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

import wbound
from wbound.calculus.stable import growth, logistic, softplus
from wbound.data.curvature import Curvature
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.gaussian_law import exact_w2

Array = np.ndarray
Make = Callable[..., referee.Plain]
EVERY = pytest.mark.parametrize("make", referee.ALL.values(), ids=referee.ALL)
POSITIVE = st.floats(-6.0, 6.0).map(lambda x: 10.0**x)


@given(m0=POSITIVE, ratio=st.floats(0.0, 6.0), log_lam=st.floats(-40.0, 300.0))
def test_lemma_1(m0: float, ratio: float, log_lam: float) -> None:
    L0 = m0 * 10.0**ratio
    data = LogConcave(1, m0, L0, 1.0 / m0)
    with mp.workdps(40):
        lam = mp.exp(mp.mpf(log_lam))
        assert data.m(log_lam) == pytest.approx(float(m0 / (1 + m0 * lam)), rel=1e-12)
        assert data.L(log_lam) == pytest.approx(float(L0 / (1 + L0 * lam)), rel=1e-12)
        at = np.array([log_lam])
        assert data.lam_m(at)[0] == pytest.approx(float(m0 * lam / (1 + m0 * lam)), rel=1e-12)
        assert data.lam_L(at)[0] == pytest.approx(float(L0 * lam / (1 + L0 * lam)), rel=1e-12)
    # sharper than the published L = min(1/λ, L_0), and never below m
    assert float(data.m(log_lam)) <= float(data.L(log_lam)) * (1 + 1e-13)
    assert float(data.L(log_lam)) <= min(math.exp(-log_lam), L0) * (1 + 1e-12)


def test_lemma_1_is_the_curvature_of_a_smoothed_gaussian() -> None:
    """−∇² log of N(0, ς² + λ), read off the density by finite differences, for the two extreme axes."""
    data = Gaussian(np.zeros(2), np.array([0.4, 3.0]))
    lam = 0.7

    def log_density(x: float, v: float) -> float:
        z = np.linspace(-12, 12, 200001) * math.sqrt(v)
        mixed = np.exp(-(z**2) / (2 * v) - (x - z) ** 2 / (2 * lam))
        return math.log(np.trapezoid(mixed, z))

    h = 1e-3
    for v, value in ((0.4, data.L), (3.0, data.m)):
        second = (log_density(0.3 + h, v) - 2 * log_density(0.3, v) + log_density(0.3 - h, v)) / h**2
        assert -second == pytest.approx(float(value(math.log(lam))), rel=1e-5)


@given(L0=POSITIVE, low=st.floats(-8.0, 8.0), gap=st.floats(-7.0, 3.0))
def test_psi_against_quadrature(L0: float, low: float, gap: float) -> None:
    """Ψ = ∫(u−λ_0)²L²/(1+Lu)², for steps from 1e-7 of λ_0 to a thousand of it."""
    u0 = 10.0**low
    u1 = u0 * (1.0 + 10.0**gap)
    data = LogConcave(1, L0, L0, 1.0 / L0)
    with mp.workdps(40):
        a, b = mp.log(mp.mpf(u0)), mp.log(mp.mpf(u1))
        exact = referee.psi(mp.mpf(u0), mp.mpf(u1), mp.mpf(L0))
        ratio = mp.mpf(u1) / mp.mpf(u0) - 1
        log_psi = data.log_psi(np.array([float(a)]), np.array([float(b)]), np.array([float(ratio)]))[0]
        assert log_psi == pytest.approx(float(mp.log(exact)), rel=1e-12, abs=1e-11)
        # and the closed form of Theorem 2
        v0 = 1 + mp.mpf(L0) * u0
        x = L0 * (mp.mpf(u1) - u0) / v0
        closed = v0 / L0 * (x - 2 * mp.log1p(x) + x / (1 + x))
        assert float(closed) == pytest.approx(float(exact), rel=1e-9)


def test_psi_from_zero_its_series_and_its_far_end() -> None:
    data = LogConcave(1, 0.5, 2.0, 1.0)
    whole = quad(lambda u: (2.0 * u / (1 + 2.0 * u)) ** 2, 0.0, 3.0)[0]
    assert float(data.psi(-np.inf, math.log(3.0))) == pytest.approx(whole, rel=1e-12)
    # x³/3 − x⁴/2 + 3x⁵/5 for small x
    x, v0 = 1e-3, 1 + 2.0 * 5.0
    u1 = 5.0 + x * v0 / 2.0
    series = v0 / 2.0 * (x**3 / 3 - x**4 / 2 + 3 * x**5 / 5)
    assert float(data.psi(math.log(5.0), math.log(u1))) == pytest.approx(series, rel=1e-8)
    # λ = 1e200: Ψ ≈ λ, which does not overflow in its logarithm
    far = data.log_psi(np.array([-np.inf]), np.array([500.0]), np.array([np.inf]))[0]
    assert far == pytest.approx(500.0, rel=1e-12)
    beyond = data.log_psi(np.array([100.0]), np.array([2000.0]), np.array([np.inf]))[0]
    assert beyond == pytest.approx(2000.0, rel=1e-12)


@given(c=POSITIVE, low=st.floats(-60.0, 200.0), gap=st.floats(-16.0, 3.0))
def test_growth_of_the_units(c: float, low: float, gap: float) -> None:
    ratio = 10.0**gap
    with mp.workdps(40):
        u0 = mp.exp(mp.mpf(low))
        exact = mp.log((1 + c * u0 * (1 + mp.mpf(ratio))) / (1 + c * u0))
        got = growth(c, np.array([low]), np.array([low + math.log1p(ratio)]), np.array([ratio]))[0]
        assert got == pytest.approx(float(exact), rel=1e-12)
        assert softplus(np.array([low]))[0] == pytest.approx(float(mp.log1p(u0)), rel=1e-13)
        assert logistic(np.array([low]))[0] == pytest.approx(float(u0 / (1 + u0)), rel=1e-13)


# ---------------------------------------------------------------------- the start


@given(variance=POSITIVE, log_lam=st.floats(-10.0, 150.0), mean=st.floats(0.0, 3.0))
def test_the_start_error_bounds_the_starts_exact_w2(variance: float, log_lam: float, mean: float) -> None:
    """W2(N(μ, (ς²+λ)I), N(0, λI)) exactly; Eq. 8 is at most twice it where it is used far out."""
    d = 3
    mu = mean * math.sqrt(variance)
    known = LogConcave(d, 1 / variance, 1 / variance, d * variance + mu**2, mu)
    unknown = LogConcave(d, 1 / variance, 1 / variance, d * variance + mu**2)
    with mp.workdps(120):
        lam = mp.exp(mp.mpf(log_lam))
        width = variance / (mp.sqrt(variance + lam) + mp.sqrt(lam))
        exact = float(mp.sqrt(mp.mpf(mu) ** 2 + d * width**2))
        parallel = float(mp.sqrt(d) * width)
    assert exact <= known.start_error(log_lam) * (1 + 1e-12)
    assert known.start_error(log_lam) <= unknown.start_error(log_lam)
    assert unknown.start_error(log_lam) == pytest.approx(math.sqrt(d * variance + mu**2), rel=1e-15)
    if log_lam - math.log(variance) > 12.0 and mu == 0.0:
        assert known.start_error(log_lam) == pytest.approx(2.0 * parallel, rel=1e-4)


@given(u=st.floats(1.0001, 1e6), m0=POSITIVE)
def test_equation_8_to_its_last_digit(u: float, m0: float) -> None:
    """E_0² = |EX_0|² − dλ log1p(−(m_0λ)^{−2}), or ‖X_0‖² where that is smaller."""
    d, mean = 5, 0.3 / math.sqrt(m0)
    data = LogConcave(d, m0, 4 * m0, 0.5 * d / m0 + mean**2, mean)
    lam = u / m0
    with mp.workdps(40):
        square = mp.mpf(mean) ** 2 - d * mp.mpf(lam) * mp.log1p(-((mp.mpf(m0) * mp.mpf(lam)) ** -2))
        best = math.sqrt(min(float(square), data.second_moment))
    assert data.start_error(math.log(lam)) == pytest.approx(best, rel=1e-9)
    # m_0λ ≤ 1: only ‖X_0‖
    assert data.start_error(math.log(0.999 / m0)) == pytest.approx(math.sqrt(data.second_moment), rel=1e-15)


def test_the_chain_behind_equation_8() -> None:
    """1+χ² = E e^{XX'/λ} = (1−(m_0λ)^{−2})^{−1/2} for N(0, 1/m_0), by quadrature; then 2λ log(1+χ²)."""
    m0, lam = 1.3, 2.1
    density = lambda x: math.exp(-m0 * x * x / 2) * math.sqrt(m0 / (2 * math.pi))  # noqa: E731
    inner = lambda x: quad(lambda y: density(y) * math.exp(x * y / lam), -14, 14)[0]  # noqa: E731
    chi = quad(lambda x: density(x) * inner(x), -14, 14)[0]
    assert chi == pytest.approx((1 - (m0 * lam) ** -2) ** -0.5, rel=1e-8)
    data = LogConcave(1, m0, m0, 1 / m0, 0.0)
    assert data.start_error(math.log(lam)) ** 2 == pytest.approx(
        min(2 * lam * math.log(chi), 1 / m0), rel=1e-8
    )


def test_psi_in_lambda_itself_and_equation_8_off_centre() -> None:
    """∫(u − λ_0)²(L_0/(1 + L_0u))² du of several steps at once; |E X_0|² beside −dλ log(1 − (m_0λ)^{−2})."""
    data, low, H = LogConcave(3, 0.7, 5.0, 4.0, 0.9), np.array([0.0, 0.3, 7.0]), np.array([0.4, 1e-3, 50.0])
    want = [
        quad(lambda u, a=a: (u - a) ** 2 * (5.0 / (1.0 + 5.0 * u)) ** 2, a, a + h, epsrel=1e-12, epsabs=0)[0]
        for a, h in zip(low, H, strict=True)
    ]
    assert data.psi_between(low, H) == pytest.approx(want, rel=1e-9)
    for lam in (6.0, 1e3, 1e11):
        centred = -3.0 * lam * math.log1p(-((0.7 * lam) ** -2.0))
        assert data.start_error(math.log(lam)) == pytest.approx(math.sqrt(0.81 + centred), rel=1e-13)


def test_a_profile_by_its_products_with_lambda() -> None:
    """m and L of any profile from λm and λL, which is all that a profile must give."""
    data, at = LogConcave(3, 0.4, 1.7, 6.0), np.array([-2.0, 0.3, 5.0])
    assert Curvature.m(data, at) == pytest.approx(0.4 / (1.0 + 0.4 * np.exp(at)), rel=1e-13)
    assert Curvature.L(data, at) == pytest.approx(1.7 / (1.0 + 1.7 * np.exp(at)), rel=1e-13)


def test_far_from_the_data() -> None:
    """Where m_0λ is beyond e^20, and steps over many powers of ten: Eq. 8, Ψ and the contraction in 30 digits."""
    data = LogConcave(3, 0.4, 1.7, 6.0, 0.0)
    with mp.workdps(30):
        for log_lam in (2.5, 25.0, 80.0, 600.0):
            lam = mp.exp(log_lam)
            square = (
                -3 * lam * mp.log1p(-((mp.mpf("0.4") * lam) ** -2))
                if log_lam < 30
                else 3 / mp.mpf("0.16") / lam
            )
            assert data.start_error(log_lam) == pytest.approx(float(mp.sqrt(square)), rel=1e-9)
            assert data.log_contraction(log_lam) == pytest.approx(
                float(-mp.log1p(mp.mpf("0.4") * lam)), rel=1e-13
            )
        ends = np.array([[-3.0, 2.0], [0.5, 70.0], [2.0, 300.0], [-1.0, 5.0], [1.0, 90.0]])
        got = data.log_psi(ends[:, 0], ends[:, 1], np.expm1(ends[:, 1] - ends[:, 0]))
        for value, (low, high) in zip(got, ends, strict=True):
            v0, v1 = (1 + mp.mpf("1.7") * mp.exp(mp.mpf(x)) for x in (low, high))
            y = mp.log(v1 / v0)
            assert value == pytest.approx(float(mp.log(2 * v0 / mp.mpf("1.7") * (mp.sinh(y) - y))), rel=1e-12)


def test_excess_is_what_the_moments_leave() -> None:
    data = LogConcave(4, 0.5, 2.0, 3.0)
    log_lam = np.array([-3.0, 2.0])
    lam = np.exp(log_lam)
    expected = 3.0 + 4 * lam - 4 / (2.0 / (1 + 2.0 * lam))
    np.testing.assert_allclose(data.excess(log_lam), expected, rtol=1e-12)


# ---------------------------------------------------------------------- facts and laws


def test_facts_that_fit_and_that_do_not() -> None:
    LogConcave(3, 0.5, 0.5, 6.0)  # N(0, 2I)
    LogConcave(3, 0.5, 0.5, 6.0 * (1 + 1e-12))
    LogConcave(3, 0.5, 2.0, 10.0, 2.0)
    for facts in ((3, 0.5, 0.5, 5.9), (3, 0.5, 2.0, 1.4), (3, 0.5, 2.0, 6.1, 0.0), (3, 0.5, 2.0, 6.0, 2.2)):
        with pytest.raises(HypothesisFailed, match=r"A1 does not apply: d/L0 <= E\|X0 - E X0\|\^2 <= d/m0"):
            LogConcave(*facts)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ((0, 1, 1, 1), "d = 0: must be an integer >= 1"),
        ((1.5, 1, 1, 1), "d = 1.5: must be an integer >= 1"),
        ((1, 2, 1, 1), "m0 = 2.0: must be at most L0 = 1"),
        ((1, 0, 1, 1), "m0 = 0: must be a finite number > 0"),
        ((1, -1, 1, 1), "m0 = -1: must be a finite number > 0"),
        ((1, float("nan"), 1, 1), "m0 = nan"),
        ((1, 1, float("inf"), 1), "L0 = inf"),
        ((1, 1, 1, 0), "second_moment = 0"),
        ((1, 1, 1, 1, -0.1), "mean_norm = -0.1: must be a finite number >= 0"),
        ((1, "1", 1, 1), "m0 = 1: must be a finite number > 0"),
    ],
)
def test_facts_out_of_range(facts: tuple[object, ...], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        LogConcave(*facts)  # type: ignore[arg-type]
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_gaussian_and_its_facts() -> None:
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    spectrum = np.array([0.2, 0.2, 1.0, 3.0, 7.0])
    mean = rng.standard_normal(5)
    full = Gaussian(mean, (basis * spectrum) @ basis.T)
    np.testing.assert_allclose(full.eigenvalues, spectrum, rtol=1e-12)
    np.testing.assert_allclose(full.vectors @ full.coordinates, mean, rtol=1e-12)
    assert full.second_moment == pytest.approx(spectrum.sum() + mean @ mean, rel=1e-13)
    assert full.mean_norm == pytest.approx(np.linalg.norm(mean), rel=1e-14)
    assert (full.m0, full.L0) == pytest.approx((1 / 7, 5.0), rel=1e-12)
    assert full.A1 == (full.m0, full.L0) and full.d == 5
    for cov, values in ((2.0, [2.0] * 5), (np.array([1.0, 2, 3, 4, 5]), [1, 2, 3, 4, 5])):
        law = Gaussian(mean, cov)
        np.testing.assert_array_equal(law.eigenvalues, values)
        np.testing.assert_array_equal(law.coordinates, mean)
    assert Gaussian(0.5, 2.0).d == 1


def test_facts_of_a_gaussian_are_a_gaussian_again() -> None:
    law = LogConcave(3, 0.5, 0.5, 7.0).gaussian()
    assert law is not None
    np.testing.assert_allclose(law.eigenvalues, 2.0)
    assert law.mean_norm == pytest.approx(1.0, rel=1e-12)
    assert LogConcave(3, 0.5, 0.6, 6.0).gaussian() is None
    centred = LogConcave(3, 0.7, 0.7, 3 / 0.7).gaussian()
    assert centred is not None and centred.mean_norm == 0.0
    near = LogConcave(3, 0.5, 0.5, 6.0 * (1 + 1e-12)).gaussian()  # a mean is as given, however small
    assert near is not None and near.mean_norm == pytest.approx(
        math.sqrt(6.0 * (1 + 1e-12) - 6.0), rel=1e-12, abs=0.0
    )
    given = LogConcave(3, 0.5, 0.5, 6.000000005, 7.0710678e-5).gaussian()
    assert given is not None and given.mean_norm == 7.0710678e-5


def test_facts_of_a_gaussian_agree_or_are_refused() -> None:
    """Where m_0 = L_0, E|X_0|² = d/m_0 + |μ|² over random facts; what misses it by 1e-12 is refused with the numbers,
    in the law and in what rests on it, and a bound, which A1's window is enough for, is still given."""
    rng = np.random.default_rng(5)
    p = wbound.process("vp-linear")
    for _ in range(100):
        d, m0 = int(rng.integers(1, 300)), float(np.exp(rng.uniform(-6, 6)))
        mu = float(np.exp(rng.uniform(-12, 3)) / math.sqrt(m0)) if rng.random() < 0.8 else 0.0
        second = d / m0 + mu**2
        law = LogConcave(d, m0, m0, second, mu).gaussian()
        assert law is not None and law.mean_norm == mu
        assert law.second_moment == pytest.approx(second, rel=1e-13)
        alone = LogConcave(d, m0, m0, second).gaussian()
        assert alone is not None
        # what E|X_0|² − d/m_0 says, to the rounding of E|X_0|²
        assert abs(alone.mean_norm**2 - mu**2) <= 1e-14 * second  # type: ignore[operator]
        off = float(rng.choice([-1.0, 1.0]) * np.exp(rng.uniform(math.log(1e-12), math.log(9e-10))))
        wrong = LogConcave(d, m0, m0, second * (1 + off), mu)
        for call in (wrong.gaussian, lambda: wrong.M1(p, 1.0), lambda: exact_w2(p, wrong, 1.0, 2)):
            with pytest.raises(HypothesisFailed, match="second_moment = .* but d/m0 = .* and mean_norm"):
                call()
        assert wbound.w2_bound(p, wrong, 1.0, 2).total > 0.0
    with pytest.raises(HypothesisFailed, match="makes it at least 6"):
        LogConcave(3, 0.5, 0.5, 6.0 * (1 - 1e-12)).gaussian()


def test_a_singular_gaussian_is_a_law_without_a_bound() -> None:
    rng = np.random.default_rng(1)
    root = rng.standard_normal((6, 3))
    law = Gaussian(np.zeros(6), root @ root.T)
    assert (law.eigenvalues[:3] == 0.0).all() and (law.eigenvalues[3:] > 0.0).all()
    for fact in ("m0", "L0", "A1", "normaliser"):
        with pytest.raises(
            HypothesisFailed, match=r"A1 fails: the covariance is singular \(3 zero eigenvalues\)"
        ):
            getattr(law, fact)


@pytest.mark.parametrize(
    ("mean", "cov", "said"),
    [
        ([0.0, np.nan], 1.0, "mean"),
        ([[0.0]], 1.0, "mean"),
        ([0.0, 0.0], np.ones(3), "cov = shape (3,)"),
        ([0.0, 0.0], np.inf, "cov"),
        ([0.0, 0.0], [[1.0, 0.5], [0.2, 1.0]], "cov = an asymmetric matrix"),
        ([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]], "cov = eigenvalue -1"),
        ([0.0, 0.0], [1.0, -1.0], "cov = eigenvalue -1"),
    ],
)
def test_what_is_no_gaussian(mean: object, cov: object, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        Gaussian(mean, cov)
    assert said in str(caught.value) and "\n" not in str(caught.value)


# ---------------------------------------------------------------------- A2's constant


def sampled_M1(p: wbound.Process, law: Gaussian, T: float, n: int = 20001) -> float:
    """The supremum's value on a dense sample: at most the truth."""
    t = np.concatenate((np.linspace(0.0, T, n), T * np.geomspace(1e-9, 1.0, n)))
    log_alpha, log_lam = p.law(t)
    f, g2, alpha = p.f(t), p.g(t) ** 2, np.exp(log_alpha)
    best, moved = 0.0, np.zeros_like(t)
    for v, mean in zip(law.eigenvalues, law.coordinates, strict=True):
        w = alpha**2 * v + np.exp(2 * log_alpha + log_lam)
        best = max(best, float(np.max(np.abs(g2 - 2 * f * w) / w**2)))
        moved += (mean * alpha * (f / w - g2 / w**2)) ** 2
    return max(best, float(np.sqrt(moved.max())))


@EVERY
@pytest.mark.parametrize("T", [0.3, 4.0, 40.0])
def test_M1_is_never_below_and_within_1e_5(make: Make, T: float) -> None:
    p = make().made
    rng = np.random.default_rng(int(10 * T))
    for mean in (0.0, 2.0):
        law = Gaussian(mean * rng.standard_normal(3), np.exp(1.5 * rng.standard_normal(3)))
        M1, seen = law.M1(p, T), sampled_M1(p, law, T)
        assert seen * (1 - 1e-12) <= M1 <= seen * (1 + 1e-5)


def test_M1_of_many_eigenvalues() -> None:
    """The largest may belong to one in the middle of the spectrum: here the one at twice the stationary one."""
    p = wbound.process("ou")
    law = Gaussian(np.zeros(300), np.geomspace(1.0, 1e6, 300))
    M1 = law.M1(p, 0.1)
    assert sampled_M1(p, law, 0.1, 201) * (1 - 1e-12) <= M1 <= 0.2500003


def test_M1_special_cases() -> None:
    vp = wbound.process("vp-linear")
    assert Gaussian(np.zeros(3), 1.0).M1(vp, 4.0) == 0.0  # the stationary law's score does not change
    # by hand: VE constant, w = 1 + t, |w'|/w² largest at 0; with a mean μ, |(1/w)'μ| = |μ|/w²
    assert Gaussian(np.zeros(1), 1.0).M1(wbound.process("ve-constant"), 3.0) == pytest.approx(1.0, rel=1e-5)
    assert Gaussian(np.array([3.0, 4.0]), 1.0).M1(wbound.process("ve-constant"), 3.0) == pytest.approx(
        5.0, rel=1e-5
    )
    with pytest.raises(HypothesisFailed, match="singular"):
        Gaussian(np.zeros(2), np.array([0.0, 1.0])).M1(vp, 1.0)
    with pytest.raises(BadInput, match="T = -1"):
        Gaussian(np.zeros(2), 1.0).M1(vp, -1.0)


def test_M1_is_the_slope_of_the_score() -> None:
    """A2 itself: |s(x,t) − s(x,r)| ≤ M_1 |t−r| (1+|x|), at random points, for a law with a mean."""
    rng = np.random.default_rng(2)
    p = wbound.process("vp-linear")
    law = Gaussian(np.array([1.5, -0.4]), np.array([0.3, 2.5]))
    M1 = law.M1(p, 3.0)
    largest = 0.0
    for _ in range(2000):
        t, r = rng.uniform(0, 3.0), rng.uniform(0, 3.0)
        x = rng.standard_normal(2) * np.exp(rng.uniform(-3, 3))
        alpha, lam = p.alpha([t, r]), p.lam([t, r])
        w = alpha[:, None] ** 2 * (law.eigenvalues + lam[:, None])
        score = -(x - alpha[:, None] * law.coordinates) / w
        change = np.linalg.norm(score[0] - score[1])
        largest = max(largest, float(change / (abs(t - r) * (1 + np.linalg.norm(x)))))
    assert largest <= M1
