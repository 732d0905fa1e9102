"""Curvature profiles and Theorem 2′: Ψ and the recursion against plain loops, early stopping, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import referee

import wbound
from wbound import CurvatureProfile, Grid, bounded_data, early_stopped
from wbound.bounds import theorem_2
from wbound.bounds.theorem_1 import THEOREM_1
from wbound.bounds.theorem_2 import THEOREM_2, local, sums
from wbound.errors import BadInput, HypothesisFailed, Unreachable
from wbound.sampler.make_setting import setting
from wbound.sampler.steps import batch
from wbound.summation import criterion as criteria

SCHEMES = ("em", "ei", "hf", "ddpm")
Array = np.ndarray
Curve = Callable[[Any], Any]


def ball(D: float, tau: float) -> tuple[Curve, Curve]:
    """m and L of bounded data smoothed by noise, from section 11."""

    def m(u: Any) -> Any:
        v = mp.mpf(tau) ** 2 + u
        return (1 - mp.mpf(D) ** 2 / v) / v

    return m, lambda u: 1 / (mp.mpf(tau) ** 2 + u)


def plain(
    p: referee.Plain,
    times: tuple[float, ...],
    shape: tuple[float, float],
    d: int,
    second_moment: float,
    scheme: str,
    M: float = 0.0,
    V: float = 0.0,
) -> float:
    """Theorem 2′: e_K/α_K + √(dλ_K) by Eq. 7 in x-units, one step after the other, from section 11, for a ball (D, τ)."""
    m, L = ball(*shape)
    with mp.workdps(referee.DIGITS):
        path = referee.steps(p, times)
        e = p.alpha(mp.mpf(times[0])) * mp.sqrt(second_moment)
        for s in path:
            A, C, Q = referee.coefficients(s, scheme)
            hf = referee.coefficients(s, "hf")
            low, high = (curve(s.lam_hi) / s.alpha_hi**2 for curve in (m, L))
            gamma = max(abs(A - C * low), abs(A - C * high))
            a, c = hf[0] - A, hf[1] - C
            size2 = s.alpha_hi**2 * (second_moment + d * s.lam_hi)
            b2 = max(a**2 * size2 - 2 * a * c * d + c**2 * d * high, mp.mpf(0))
            n = s.alpha_lo * mp.sqrt(d * plain_psi(s.lam_lo, s.lam_hi, m, L))
            n += mp.sqrt(d) * abs(mp.sqrt(hf[2]) - mp.sqrt(Q))
            e = mp.sqrt((gamma * e + mp.sqrt(b2) + C * M) ** 2 + n**2 + (C * V) ** 2)
        last = path[-1]
        return float(e / last.alpha_lo + mp.sqrt(d * last.lam_lo))


def plain_psi(lo: Any, hi: Any, m: Curve, L: Curve) -> Any:
    """∫(u−λ_k)² max(m², L²) du, split where |m| = L."""
    gap = lambda u: abs(m(u)) - L(u)  # noqa: E731
    cuts = [lo + (hi - lo) * mp.mpf(j) / 40 for j in range(41)]
    points = [lo]
    for left, right in pairwise(cuts):
        if left > 0 and gap(left) * gap(right) < 0:
            points.append(mp.findroot(gap, (left, right), solver="anderson"))
    points.append(hi)
    return mp.quad(lambda u: (u - lo) ** 2 * max(m(u) ** 2, L(u) ** 2), points)


TIMES = (2.2, 1.7, 1.1, 0.7, 0.4, 0.15, 0.0)
STOPPED = (2.2, 1.7, 1.1, 0.7, 0.4, 0.15, 0.06)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("make", [referee.vp_linear, referee.ve_exponential, referee.sub_vp])
@pytest.mark.parametrize("times", [TIMES, STOPPED], ids=["whole", "stopped"])
def test_theorem_2_prime_against_a_plain_loop(make: Any, scheme: str, times: tuple[float, ...]) -> None:
    """Every scheme, with bias and noise, the kink |m| = L inside a step; closed forms, text and callables."""
    p, (D, tau, d, M2) = make(), (2.0, 0.9, 3, 5.0)
    grid = Grid.from_t(times, stop="early" if times[-1] else None)
    text = {"m": "(1 - D**2/(q+lam))/(q+lam)", "L": "1/(q+lam)"}
    datas = (
        bounded_data(D, tau, d, M2),
        CurvatureProfile(**text, d=d, second_moment=M2, parameters={"D": D, "q": tau**2}),
        CurvatureProfile(
            m=lambda u: (1 - D**2 / (tau**2 + u)) / (tau**2 + u),
            L=lambda u: 1 / (tau**2 + u),
            d=d,
            second_moment=M2,
        ),
    )
    assert (datas[1].proved, datas[2].proved) == (True, False)
    for M, V in ((0.0, 0.0), (0.3, 0.5)):
        want = plain(p, times, (D, tau), d, M2, scheme, M, V)
        for data in datas:
            b = wbound.w2_bound(p.made, data, scheme=scheme, grid=grid, score_bias=M, score_noise=V)
            assert b.total == pytest.approx(want, rel=1e-10)
            assert b.statement == "Theorem 2'" and b.total <= b.additive * (1 + 1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_log_concave_data_are_one_case(scheme: str) -> None:
    """m_0/(1+m_0λ), L_0/(1+L_0λ) as a profile: Theorem 2 (without Eq. 8), to rounding."""
    p, facts = wbound.process("vp-linear"), wbound.LogConcave(3, 0.5, 2.0, 3.0)
    profile = CurvatureProfile(m="0.5/(1+0.5*lam)", L="2/(1+2*lam)", d=3, second_moment=3.0)
    s = [setting(p, data, 3.0, 50, scheme=scheme, score_bias=0.1) for data in (facts, profile)]
    one, two = (sums(each) for each in s)
    assert two == pytest.approx(one, rel=1e-9)
    if scheme != "ddpm":  # there Eq. 9′, which asks for A1, may be smaller
        assert THEOREM_2(s[1]).total == pytest.approx(THEOREM_2(s[0]).total, rel=1e-9)


def test_psi_of_all_kinds_of_steps() -> None:
    """Short, long, from λ = 0, across the kink: closed forms and quadrature, never below the truth."""
    p = wbound.process("ve-constant")
    lo = np.array([0.0, 0.0, 0.0, 0.3, 0.5, 1.5, 1.0])
    hi = np.array([0.1, 3.0, 1e9, 0.3003, 1.2, 2.0, 1e5])
    b = batch(p, lo, hi)
    text = CurvatureProfile(m="(1-4/(1+lam))/(1+lam)", L="1/(1+lam)", d=1, second_moment=5.0)
    for data in (bounded_data(2.0, 1.0, 1, 5.0), text):
        got = data.log_psi(b.log_lam_lo, b.log_lam_hi, b.ratio)
        for k in range(lo.size):
            assert -1e-13 <= got[k] - decades(float(lo[k]), float(hi[k])) < 1e-9, k


def decades(lo: float, hi: float) -> float:
    """log ∫(u−λ_k)² max(m², L²) du of the ball (2, 1), decade by decade, split at its kink λ = 1."""
    m, L = ball(2.0, 1.0)
    with mp.workdps(30):
        cuts = [mp.mpf(hi - lo) * mp.mpf(10) ** -j + mp.mpf(lo) for j in range(13)]
        points = sorted({*cuts, mp.mpf(lo), *([mp.mpf(1)] if lo < 1 < hi else [])})
        return float(mp.log(mp.quad(lambda u: (u - lo) ** 2 * max(m(u) ** 2, L(u) ** 2), points)))


@pytest.mark.parametrize(("D", "tau"), [(2.0, 0.9), (0.7, 1.0), (1.5, 0.0)])
def test_psi_and_profile_of_a_ball(D: float, tau: float) -> None:
    """λm and λL from section 11, where |m| = L, what is left of E|X_0|², and units."""
    data = bounded_data(D, tau, 2, 4.0) if tau else early_stopped(D, 0.1, 2, 4.0)
    m, L = ball(D, tau)
    lam = np.array([0.1, 0.4, 1.0, 3.0, 50.0])
    np.testing.assert_allclose(data.lam_m(np.log(lam)), [float(u * m(mp.mpf(u))) for u in lam], rtol=1e-12)
    np.testing.assert_allclose(data.lam_L(np.log(lam)), [float(u * L(mp.mpf(u))) for u in lam], rtol=1e-12)
    np.testing.assert_allclose(data.excess(np.log(lam)), 4.0 - 2.0 * tau**2, rtol=1e-14)
    assert data.normaliser == pytest.approx(1.0 / tau**2 if tau else 0.5, rel=1e-14)
    assert data.kinks == pytest.approx([math.log(D**2 / 2 - tau**2)] if D**2 > 2 * tau**2 else [], rel=1e-12)
    assert data.start_error(3.0) == 2.0
    text = CurvatureProfile(
        m=f"(1-{D**2}/({tau**2}+lam))/({tau**2}+lam)", L=f"1/({tau**2}+lam)", d=2, second_moment=4.0
    )
    for name in ("lam_m", "lam_L", "excess"):
        np.testing.assert_allclose(
            getattr(text, name)(np.log(lam)), getattr(data, name)(np.log(lam)), rtol=1e-11
        )
    text = CurvatureProfile(m="0", L="1/(1+2*lam)", d=1, second_moment=4.0)  # d(1/L − λ) = 1 + λ
    np.testing.assert_allclose(text.excess(np.log(lam)), np.maximum(3.0 - lam, 0.0), rtol=1e-12, atol=1e-13)
    first = 0.0 if tau else 0.1
    with mp.workdps(20):
        total = float(mp.quad(m, [first, 1, 4]))
    assert data.log_contraction(math.log(4.0)) == pytest.approx(-total, rel=1e-12)


@pytest.mark.parametrize(
    ("m", "where"),
    [
        ("-1/7", [7.0]),
        ("-1", [1.0]),
        ("-1/10**26", [1e26]),
        ("-8*lam/(1+lam)**3", [1.0, 2.0 + math.sqrt(5.0)]),  # 8λ² = (1 + λ)³
    ],
)
def test_psi_knows_where_the_curvatures_meet(m: str, where: list[float]) -> None:
    data = CurvatureProfile(m=m, L="1/lam", d=1, second_moment=2.0)
    assert data.kinks == pytest.approx(np.log(where), rel=1e-12, abs=1e-12)


def test_psi_of_a_small_ball() -> None:
    """D² < 2τ²: L is the larger everywhere, and Ψ is closed from λ = 0 on: v_1 − v_0 − 2τ² log(v_1/v_0) + …"""
    data = bounded_data(0.7, 1.2, 2, 4.0)
    lo, hi = np.array([0.0, 0.0, 0.5, 0.0]), np.array([0.2, 3.0, 1e40, 1e40])
    b = batch(wbound.process("ve-constant"), lo, hi)
    v0, v1 = 1.44 + lo, 1.44 + hi
    want = hi - lo - 2.0 * v0 * np.log(v1 / v0) + v0**2 * (1.0 / v0 - 1.0 / v1)
    got = data.log_psi(b.log_lam_lo, b.log_lam_hi, b.ratio)
    np.testing.assert_allclose(got, np.log(want), rtol=1e-11)


@pytest.mark.parametrize("meet", [1.0, 10.0, 0.001])
def test_psi_in_closed_form(meet: float) -> None:
    """m = −1/κ and L = 1/λ: ∫(u−λ_0)²/u² du below λ = κ, where they meet, and ∫(u−λ_0)²/κ² du above."""
    data = CurvatureProfile(m=f"-1/{meet}", L="1/lam", d=1, second_moment=2.0)
    lo = meet * np.array([0.0, 1e-3, 0.2, 0.0, 1e-4, 0.5, 0.9, 1.0, 1.5, 40.0, 0.5])
    hi = meet * np.array([0.7, 1.0, 0.3, 2.0, 50.0, 1.2, 1.1, 3.0, 1.6, 4e3, 25.5])

    def below(a: Array, b: Array) -> Array:
        return b - a**2 / b - 2.0 * a * np.log(b / np.where(a > 0.0, a, 1.0))

    top, bottom = np.minimum(hi, meet), np.maximum(lo, meet)
    above = ((hi - lo) ** 3 - (bottom - lo) ** 3) / (3.0 * meet**2)
    want = np.where(lo < meet, below(lo, top), 0.0) + np.where(hi > meet, above, 0.0)
    b = batch(wbound.process("ve-constant"), lo, hi)
    for part in (slice(None), slice(0, 3), slice(4, 5), slice(10, 11)):
        got = data.log_psi(b.log_lam_lo[part], b.log_lam_hi[part], b.ratio[part])
        np.testing.assert_allclose(np.exp(got), want[part], rtol=1e-10)


def test_a_kink_of_the_users_is_integrated_too() -> None:
    """|λ − 1| in m, beside where |m| = L: the integral is split there."""
    data = CurvatureProfile(m="-3*abs(lam-1)/(1+lam)**2", L="1/(1+lam)", d=1, second_moment=2.0)
    assert data.kinks == pytest.approx(np.log([0.5, 1.0, 2.0]), abs=1e-12)
    text = "(1-abs(lam-3)/(9*(1+lam)))/(2*(1+lam))"
    other = CurvatureProfile(m=text, L="1/(1+lam)", d=1, second_moment=2.0)
    assert other.kinks == pytest.approx([math.log(3.0)], abs=1e-12)
    b = batch(wbound.process("ve-constant"), np.array([0.5]), np.array([1.7]))
    with mp.workdps(20):
        f = lambda u: (u - 0.5) ** 2 * max((3 * abs(u - 1) / (1 + u) ** 2) ** 2, 1 / (1 + u) ** 2)  # noqa: E731
        true = mp.log(mp.quad(f, [0.5, 1, *(mp.mpf(j) / 20 for j in range(21, 35))]))
    got = float(data.log_psi(b.log_lam_lo, b.log_lam_hi, b.ratio)[0])
    assert got == pytest.approx(float(true), abs=1e-9)


def test_the_contraction_is_the_product_of_the_steps() -> None:
    """As η → 0 Π γ_k → exp(−∫m) = (τ²/v_T) exp(D²(1/τ² − 1/v_T)), for the closed form and for text."""
    p, data = wbound.process("ve-constant"), bounded_data(1.5, 0.8, 2, 2.5)
    text = CurvatureProfile(m="(1-2.25/(0.64+lam))/(0.64+lam)", L="1/(0.64+lam)", d=2, second_moment=2.5)
    v = 0.64 + 5.0
    exact = math.log(0.64 / v) + 2.25 * (1 / 0.64 - 1 / v)
    s = setting(p, data, 5.0, 200_000, scheme="hf")
    terms = local(s.nodes.batch, data, s.scheme)
    unit = math.log1p(data.normaliser * 5.0)
    assert float(np.sum(terms.log_gamma)) - unit == pytest.approx(exact, abs=1e-4)
    assert data.log_contraction(math.log(5.0)) == pytest.approx(exact, rel=1e-12)
    assert text.log_contraction(math.log(5.0)) == pytest.approx(exact, rel=1e-9)


# ---------------------------------------------------------------------- early stopping


def test_early_stopped_data() -> None:
    """Two points ±c, τ = 0: grids end at δ by themselves; vacuous where exp(D²/δ) is large."""
    p, data = wbound.process("vp-linear"), early_stopped(0.5, 0.2, 1, 0.25, 0.0)
    for grid in ("uniform", "log-lam", "edm"):
        s = setting(p, data, 3.0, 40, scheme="hf", grid=grid)
        assert math.exp(s.nodes.last[1]) == pytest.approx(0.2, rel=1e-12)
        assert s.nodes.K == 40 and s.nodes.stopped_early and not s.nodes.uniform
        b = THEOREM_2(s)
        times = tuple(s.nodes.t.tolist())
        want = plain(referee.vp_linear(), times, (0.5, 0.0), 1, 0.25, "hf")
        assert b.total == pytest.approx(want, rel=1e-9)
    tiny = wbound.w2_bound(p, early_stopped(2.0, 0.01, 1, 4.0), 3.0, 40, scheme="hf")
    assert tiny.vacuous and tiny.total > 1e6
    even = setting(p, data, 3.0, 10, scheme="hf").nodes.t
    np.testing.assert_allclose(np.diff(even), np.diff(even)[0], rtol=1e-12)


def test_grids_that_stop_early() -> None:
    p, facts = wbound.process("vp-linear"), wbound.LogConcave(1, 1.0, 1.0, 1.0)
    by_lam = Grid.from_lam([5.0, 1.0, 0.1], stop="early")
    same = (
        Grid.from_sigma(np.sqrt([5.0, 1.0, 0.1]), stop="early"),
        Grid.from_t(p.time_of(np.log([5.0, 1.0, 0.1])), stop="early"),
    )
    want = wbound.w2_bound(p, facts, scheme="hf", grid=by_lam).total
    for grid in same:
        assert wbound.w2_bound(p, facts, scheme="hf", grid=grid).total == pytest.approx(want, rel=1e-12)
    named = setting(p, facts, 3.0, 5, scheme="hf", grid=Grid.edm(delta=0.01)).nodes
    assert named.K == 5 and math.exp(named.last[1]) == pytest.approx(0.01, rel=1e-12)
    assert math.exp(named.first[1]) == pytest.approx(float(p.lam(3.0)), rel=1e-12)
    sigma = np.exp(named.log_lam / 14.0)  # σ^{1/7} is uniform
    np.testing.assert_allclose(np.diff(sigma), np.diff(sigma)[0], rtol=1e-9)


# ---------------------------------------------------------------------- refusals


def bound(T: float = 4.0, **profile: Any) -> wbound.Bound:
    data = CurvatureProfile(**{"d": 3, "second_moment": 5.0, **profile})
    return wbound.w2_bound(wbound.process("vp-linear"), data, T, 20, scheme="hf")


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ({"m": "1/(1+lam)+lam-2", "L": "1/(1+lam)"}, r"m = 1/\(1\+lam\)\+lam-2: exceeds L: .* at lam = 2\.0"),
        ({"m": "0", "L": "1.5/(1+lam)"}, r"L = 1\.5/\(1\+lam\): exceeds 1/lam: .* at lam = 2\.0"),
        ({"m": "0", "L": "1"}, r"L = 1: exceeds 1/lam: .* at lam = 1\.0"),
        (
            {"m": "log(lam-1)/100", "L": "1/(1+lam)"},
            "m = .*: is not finite at lam = .*, which the clock passes",
        ),
        (
            {"m": lambda u: np.where(u > 3, np.nan, 0.0), "L": "1/(1+lam)"},
            r"m = a callable: is not finite at lam = 3\.",
        ),
        ({"m": "0", "L": lambda u: np.ones(3)}, "L = a callable: must map an array of lam to one"),
        ({"m": "lam.real", "L": "1/(1+lam)"}, r"m = lam\.real: character .* no attributes"),
    ],
)
def test_profiles_that_are_none(profile: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        bound(**profile)
    assert "\n" not in str(caught.value)


def test_a_profile_that_cheats_between_samples() -> None:
    """A spike of m above L, far narrower than the samples are apart: seen by the proof, not by looking."""
    spike = "0.5*exp(-(1e7*(lam-1))**2) + 0.45/(1+lam)"
    with pytest.raises(BadInput, match="m <= L"):
        bound(m=spike, L="1/(1+lam)")
    looked_at = bound(m=lambda u: 0.5 * np.exp(-((1e7 * (u - 1.0001)) ** 2)) + 0.45 / (1 + u), L="1/(1+lam)")
    assert math.isfinite(looked_at.total)


def test_moments_that_do_not_fit() -> None:
    with pytest.raises(HypothesisFailed, match=r"A1' .*E\|X0 - E X0\|\^2 \+ d lam >= d/L"):
        bound(m="0", L="1/(3+lam)")  # Cramér–Rao asks for a variance of 9
    with pytest.raises(HypothesisFailed, match=r"A1' .*<= d/m"):
        bound(m="1/(1+lam)", L="1/(1+lam)", mean_norm=0.0)
    with pytest.raises(HypothesisFailed, match="d tau"):
        bounded_data(1.0, 1.0, 3, 2.0)
    with pytest.raises(HypothesisFailed, match="d tau"):
        bounded_data(1.0, 1.0, 3, 8.0, 0.0)
    with pytest.raises(BadInput, match="mean_norm"):
        CurvatureProfile(m="0", L="1/(1+lam)", d=1, second_moment=1.0, mean_norm=2.0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: early_stopped(1.0, 0.0, 2, 1.0), "delta = 0.0: must be a finite number > 0"),
        (lambda: early_stopped(1.0, -1.0, 2, 1.0), "delta = -1.0"),
        (lambda: bounded_data(1.0, 0.0, 2, 1.0), "tau = 0.0"),
        (lambda: bounded_data(-1.0, 1.0, 2, 2.0), "D = -1.0"),
        (lambda: Grid.from_lam([3.0, 1.0, 0.5]), "must end at 0 exactly"),
        (lambda: Grid.from_lam([3.0, 1.0, 0.0], stop="early"), "must end above 0"),
        (lambda: Grid.from_lam([3.0, 1.0, 0.5], stop="late"), "stop = late: must be one of early"),
        (lambda: Grid.uniform(delta=0.0), "delta = 0.0"),
    ],
)
def test_bad_values(make: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        make()


def test_where_the_clock_goes_and_the_profile_does_not() -> None:
    p, data = wbound.process("vp-linear"), early_stopped(1.0, 0.1, 2, 1.0)
    for grid in (Grid.from_lam([3.0, 1.0, 0.0]), Grid.from_lam([3.0, 1.0, 0.01], stop="early")):
        with pytest.raises(BadInput, match=r"must end at lam >= delta = 0\.1"):
            wbound.w2_bound(p, data, scheme="hf", grid=grid)
    with pytest.raises(BadInput, match="grid = cosine: does not stop early"):
        wbound.w2_bound(p, data, 3.0, 10, scheme="hf", grid="cosine")
    with pytest.raises(BadInput, match=r"delta = 0\.1: must be below"):
        wbound.w2_bound(p, data, 0.05, 10, scheme="hf")
    with pytest.raises(BadInput, match="T is too large"):
        bound(60.0, m="0", L="1/(1+lam)")
    # closed forms in log λ have no such limit
    assert wbound.w2_bound(p, bounded_data(1.0, 1.0, 2, 2.5), 60.0, 2000, scheme="hf").total > 0.0


def test_published_names_A1() -> None:
    p, data = wbound.process("vp-linear"), bounded_data(1.0, 1.0, 2, 2.5)
    with pytest.raises(HypothesisFailed, match="Theorem 1 does not apply: A1 fails"):
        wbound.w2_bound(p, data, 3.0, 10, theorem="published", M1=1.0)
    with pytest.raises(HypothesisFailed, match="uniform grid"):  # nor a grid that stops early
        THEOREM_1(
            setting(p, wbound.LogConcave(1, 1.0, 1.0, 1.0), 1.0, 50, grid=Grid.uniform(delta=0.1), M1=1.0)
        )


# ---------------------------------------------------------------------- how many steps


def test_iterations_on_a_profile() -> None:
    """K works, K − 1 does not; T reaches out for the factor exp(D²/τ²); far beyond summation K ∝ 1/ε."""
    p = wbound.process("vp-linear")
    data = bounded_data(2.0, 1.0, 3, 5.0, 0.0)
    text = CurvatureProfile(m="(1-4/(1+lam))/(1+lam)", L="1/(1+lam)", d=3, second_moment=5.0, mean_norm=0.0)
    got, same = (wbound.iterations(p, each, 0.5, scheme="hf") for each in (data, text))
    assert (same.K, pytest.approx(same.T, rel=1e-6)) == (got.K, got.T)

    def additive(k: int) -> float:
        return wbound.w2_bound(p, data, got.T, k, scheme="hf").additive

    assert additive(got.K) <= 0.5 < additive(got.K - 1)
    few, many = (wbound.iterations(p, data, eps, scheme="hf").K for eps in (1e-4, 1e-5))
    assert 9.5 < many / few < 13.0
    K = 20_000  # beyond what is summed: the tally, its kink included, is the sum
    value = theorem_2.over_steps(p, data, wbound.SCHEMES["hf"], "prior", 0.1, 0.2)
    s = setting(p, data, 3.0, K, scheme="hf", score_bias=0.1, score_noise=0.2)
    assert criteria.value_at(value, 3.0, float(K), wbound.summation.step_sums.FINE).total == pytest.approx(
        sums(s).additive, rel=1e-6
    )


@pytest.mark.parametrize("name", ["vp-linear", "ve-sqrt"])
def test_iterations_of_early_stopped_data(name: str) -> None:
    """Steps go down to λ_K = δ; √(dδ) is in the bound and below it no K helps."""
    p, data = wbound.process(name), early_stopped(0.5, 0.05, 1, 0.25, 0.0)
    got = wbound.iterations(p, data, 0.4, scheme="hf")
    last = float(p.time_of(math.log(0.05)))
    assert got.eta == pytest.approx((got.T - last) / got.K)
    assert got.discretisation > math.sqrt(0.05) > got.initialisation

    def additive(k: int) -> float:
        return wbound.w2_bound(p, data, got.T, k, scheme="hf").additive

    assert additive(got.K) <= 0.4 < additive(got.K - 1)
    with pytest.raises(Unreachable, match=r"floor 0\.2236.* early stopping"):
        wbound.iterations(p, data, 0.2, scheme="hf")
    with pytest.raises(Unreachable, match="at this T"):
        wbound.iterations(p, data, 0.2237, scheme="hf", T=2.0)
    # beyond what is summed: long steps and short ones beside where the clock stops, against the sum
    value = theorem_2.over_steps(p, data, wbound.SCHEMES["em"], "prior", 0.1, 0.2)
    for T, K in ((3.0, 20_000), (200.0 if name == "ve-sqrt" else 5.0, 40_000)):
        s = setting(p, data, T, K, scheme="em", score_bias=0.1, score_noise=0.2)
        far = criteria.value_at(value, T, float(K), wbound.summation.step_sums.FINE)
        assert far.total == pytest.approx(
            wbound.w2_bound(p, data, T, K, scheme="em", score_bias=0.1, score_noise=0.2).additive, rel=1e-6
        )
        assert s.nodes.stopped_early and far.stopped == pytest.approx(math.sqrt(0.05))
    few, many = (wbound.iterations(p, data, math.sqrt(0.05) + e, scheme="hf").K for e in (1e-5, 1e-6))
    # K ~ T(ε)/(ε − √(dδ)): T grows as a logarithm, or as the root
    assert 9.0 < many / few / (10.0**0.5 if name == "ve-sqrt" else 1.0) < 14.0


# ---------------------------------------------------------------------- noisy scores


def test_noise_fades_and_bias_stays() -> None:
    """Section 11: as K grows V's share of the bound and of the exact law fall like K^{−1/2}, M's does not."""
    p, data = wbound.process("vp-linear"), wbound.LogConcave(3, 0.5, 0.5, 6.0, 0.0)
    K = (1000, 4000, 16000)

    def total(k: int, **score: float) -> float:
        return wbound.w2_bound(p, data, 5.0, k, scheme="hf", start="exact", **score).total

    noise = [math.sqrt(total(k, score_noise=0.5) ** 2 - total(k) ** 2) for k in K]
    bias = [total(k, score_bias=0.5) - total(k) for k in K]
    exact = [
        wbound.exact.gaussian_law.exact_w2(p, data, 5.0, k, scheme="hf", start="exact", score_noise=0.5)
        for k in K
    ]
    slope = np.polyfit(np.log(K), np.log(noise), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.02)
    assert bias[-1] == pytest.approx(bias[0], rel=0.05)
    assert all(e <= total(k, score_noise=0.5) for e, k in zip(exact, K, strict=True))
    # the law's variance takes C²V² a step: W2 falls like 1/K, below the bound's K^{−1/2}
    assert np.polyfit(np.log(K), np.log(exact), 1)[0] == pytest.approx(-1.0, abs=0.05)


@pytest.mark.parametrize("length", [1e-7, 1e-5, 1e-4, 1e-3, 3e-2])
def test_short_steps_of_a_profile(length: float) -> None:
    """Three evaluations a step and two that say how far they are off: what is added covers it, and is below 1e-12."""
    data = CurvatureProfile("0.2/(1+lam)-0.9*exp(-lam)", "1/(0.3+lam)", 3, 4.0)
    hi = np.array([1e-3, 0.2, 0.35, 1.0, 3.0, 40.0])  # m = 0 near 2.7, and |m| < L all along
    ratio = np.full(hi.size, length / (1.0 - length))
    psi, spent = (
        data.log_psi(np.log(hi * (1.0 - length)), np.log(hi), ratio),
        data.minus_cubed(np.log(hi), ratio),
    )
    short = data._short(np.log(hi), 1.0 / (1.0 + ratio), length + 0.0 * hi, data._squared, 2)
    assert short[2].any() == (length > 1e-2)
    with mp.workdps(40):
        w = mp.mpf(length)
        for k, at in enumerate(hi):
            u1 = mp.mpf(float(at))
            m = lambda u: mp.mpf(0.2) / (1 + u) - mp.mpf(0.9) * mp.exp(-u)  # noqa: E731
            L = lambda u: 1 / (mp.mpf(0.3) + u)  # noqa: E731
            size = lambda z: max(abs(m(u1 * (1 - w + w * z))), L(u1 * (1 - w + w * z))) ** 2  # noqa: E731
            inner = mp.quad(lambda z: z**2 * size(z), [0, 1])
            want = mp.log(inner * (u1 * w) ** 3)
            off = 1e-14 * max(abs(float(want)), 1.0)  # of the logarithm itself
            assert -off <= psi[k] - float(want) <= off + 2e-12
            cube = mp.quad(lambda z: -(m(u1 * (1 - w + w * z)) ** 3), [0, 1])
            true = float(cube * u1 * w)
            assert -1e-14 * abs(true) <= spent[k] - true <= 4e-12 * abs(true)
