"""Theorem 7 (Eq. 21): against a plain loop in mpmath, what its terms bound, exact laws, its order in K."""

from __future__ import annotations

import itertools
import math
from typing import Any

import heun_referee
import mpmath as mp
import numpy as np
import pytest
from heun_referee import sinh_levels

import wbound
from wbound.bounds import theorem_7
from wbound.bounds.theorem_7 import THEOREM_7, sinh_sum
from wbound.data.beyond_log_concave import BoundedData
from wbound.data.gaussian import Gaussian
from wbound.errors import HypothesisFailed
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import SCHEMES, Corrector, Named, Scheme, Steps
from wbound.sampler.steps import batch

HEUN: dict[str, Scheme] = {
    "heun-lambda": SCHEMES["heun-lambda"],
    "heun": SCHEMES["heun"],
    "heun-lam": SCHEMES["heun-lam"],
}


def _long(b: Any) -> Steps:
    """c = 3H, b = 2H/5: the curvatures at both ends of their range decide, and factors change their signs."""
    hf = SCHEMES["ode-hf"].steps(b)
    late = np.where(np.isneginf(b.log_lam_lo), 0.0, 0.4 * b.steps.Q)
    return Steps(hf.A, 6.0 * hf.C, hf.Q, corrector=Corrector(3.0 * hf.C, late))


ALL: dict[str, Scheme] = HEUN | {name: SCHEMES[name] for name in ("ode-hf", "ddim")}
ALL["long"] = Scheme("long", "steps too long", "ode", _long, "a test", 2)
CLOCK = wbound.process("ve-constant", a=1.0)

LEVELS = {
    "short": (3.0, 2.5, 1.9, 1.2, 0.8, 0.3, 0.0),
    "long": (900.0, 30.0, 29.0, 2.0, 0.0),
    "one step": (40.0, 0.0),
    "tiny last": (5.0, 1.0, 0.2, 1e-6, 0.0),
    "huge": (1e9, 1e3, 1e-3, 0.0),
}


def made(levels: Any, scheme: Scheme, m0: float, L0: float, d: int = 3, **more: Any) -> Setting:
    data = wbound.LogConcave(d, m0, L0, d / m0, 0.0)
    return setting(CLOCK, data, grid=Grid.from_lam(np.asarray(levels)), scheme=scheme, **more)


@pytest.mark.parametrize("scheme", ALL.values(), ids=ALL)
@pytest.mark.parametrize("levels", LEVELS.values(), ids=LEVELS)
def test_the_parts_against_a_plain_loop(levels: tuple[float, ...], scheme: Scheme) -> None:
    mp.mp.dps = 20
    facts = ((0.4, 5.0, (2.0, 2.0)), (0.7, 0.7, (1.2, 2.6)), (0.01, 1.0, (0.5, 0.5)))
    for m0, L0, thetas in facts[: 1 if levels[0] > 1e3 else 3]:
        s = made(levels, scheme, m0, L0, score_bias=0.3)
        start = float(s.data.start_error(s.nodes.first[1]))
        got = theorem_7.sums(s, thetas)
        want = heun_referee.parts(scheme.name, levels, heun_referee.Facts(3, m0, L0, start), thetas, 0.3)
        assert (got.start, got.score) == pytest.approx((want[0], want[2]), rel=1e-9)
        assert want[1] * (1.0 - 1e-10) <= got.bias <= want[1] * (1.0 + 1e-3)  # C_2 is a chord above its own


def test_in_x_units_as_in_the_clock() -> None:
    """The same levels of λ under a process with α ≠ 1: the bound with an exact score is the same number."""
    levels = np.array([20.0, 9.0, 3.0, 1.0, 0.2, 0.0])
    data = wbound.LogConcave(3, 0.4, 5.0, 7.0, 0.0)
    for scheme in ALL.values():
        one, other = (
            THEOREM_7(setting(p, data, grid=Grid.from_lam(levels), scheme=scheme))
            for p in (CLOCK, wbound.process("vp-linear"))
        )
        assert one.total == pytest.approx(other.total, rel=1e-9)
    # a biased score is seen in x-units: M α_{k−1} and M α_k in the clock
    vp, M = wbound.process("vp-linear"), 0.3
    s = setting(vp, data, grid=Grid.from_lam(levels), scheme=SCHEMES["heun-lambda"], score_bias=M)
    alpha = np.exp(s.nodes.log_alpha)
    total, P = 0.0, 1.0
    for k in range(levels.size - 1, 0, -1):
        hi, lo = levels[k - 1], levels[k]
        H, (low, top) = hi - lo, (c / (1.0 + c * lo) for c in (0.4, 5.0))
        most = max(abs(H / 4 - H * H / 8 * h) for h in (low, top))
        total += P * (most * alpha[k - 1] + H / 4 * alpha[k]) * M
        far = [max(abs(1 - H / 2 * c / (1 + c * x)) for c in (0.4, 5.0)) for x in (hi, lo)]
        P *= 0.5 + 0.5 * far[0] * far[1]
    assert THEOREM_7(s).score == pytest.approx(total, rel=1e-9)


def test_the_best_theta() -> None:
    s = made(sinh_levels(3.0, 1e5, 40), SCHEMES["heun"], 0.01, 3.0)
    best = theorem_7.sums(s).bias
    grid = np.linspace(0.0, 4.0, 41)
    values = [
        [theorem_7.sums(s, (a, 2.0)).bias for a in grid],
        [theorem_7.sums(s, (2.0, b)).bias for b in grid],
    ]
    # the two sums are apart: each has its own best θ
    assert best <= (min(values[0]) + min(values[1]) - theorem_7.sums(s, (2.0, 2.0)).bias) * (1.0 + 1e-6)
    assert best == pytest.approx(
        min(values[0]) + min(values[1]) - theorem_7.sums(s, (2.0, 2.0)).bias, rel=5e-3
    )


def test_many_steps_are_summed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    s = made(sinh_levels(1.0, 1e4, 3000), SCHEMES["heun-lambda"], 0.01, 1.0)
    whole = theorem_7.sums(s, (2.0, 1.9)).bias
    monkeypatch.setattr(theorem_7, "BLOCK", 64)
    assert theorem_7.sums(s, (2.0, 1.9)).bias == pytest.approx(whole, rel=1e-12)
    assert theorem_7.sums(s).bias <= whole


ORDER = {  # κ: K, and of the sinh grid, d = 8, λ(T) = 10³/m_0, L_0 = 1: Eq. 21 and the exact law
    1.0: {32: (0.0979, 0.0762), 128: (0.00577, 0.00449), 512: (3.545e-4, 2.76e-4), 2048: (2.206e-5, 1.72e-5)},
    1e4: {32: (70.72, 15.0), 128: (3.967, 0.853), 512: (0.2405, 0.0516), 2048: (0.01491, 0.00319)},
}


@pytest.mark.parametrize("kappa", ORDER)
def test_the_order_in_K(kappa: float) -> None:
    """Second order, beside the exact law of a Gaussian with eigenvalues from 1 to κ; the closed form above both."""
    lam_T, bounds = 1e3 * kappa, []
    for K, (bound, exact) in ORDER[kappa].items():
        data = Gaussian(np.zeros(8), np.geomspace(1.0, kappa, 8))
        s = setting(CLOCK, data, lam_T, K, grid="sinh", scheme=SCHEMES["heun-lambda"], start="exact")
        got = THEOREM_7(s)
        assert got.total == pytest.approx(bound, rel=1e-3) and got.initialisation == 0.0
        assert float(EXACT_LAW(s)) == pytest.approx(exact, rel=4e-3)
        assert got.total <= sinh_sum(8, 1.0 / kappa, 1.0, lam_T, K) <= 4.5 * got.total
        bounds.append(got.total)
    slope = np.polyfit(np.log(list(ORDER[kappa])[1:]), np.log(bounds[1:]), 1)[0]
    assert slope == pytest.approx(-2.0, abs=0.03)


@pytest.mark.parametrize(("scheme", "power", "order"), [
    ("heun-lambda", 2.0, 2.0), ("heun-lambda", 1.5, 2.0), ("heun", 2.0, 2.0), ("heun", 1.2, 1.2), ("heun-lam", 2.0, 2.0),
])  # fmt: skip
def test_the_order_on_powers(scheme: str, power: float, order: float) -> None:
    """λ_k ∝ t^p near 0: second order where p > 4/3 in the clock, and where p ≥ 2 for Karras' last step."""
    K = np.array([512, 1024, 2048])
    totals = [
        THEOREM_7(
            made(50.0 * np.linspace(1.0, 0.0, k + 1) ** power, HEUN[scheme], 0.5, 2.0, start="exact")
        ).total
        for k in K.tolist()
    ]
    assert np.polyfit(np.log(K), np.log(totals), 1)[0] == pytest.approx(-order, abs=0.06)


def test_the_closed_form_as_it_stands() -> None:
    mp.mp.dps = 20
    d, m0, L0, lam_T, K = 3, mp.mpf("0.2"), mp.mpf("1.5"), mp.mpf(70), 9
    h = mp.asinh(mp.sqrt(L0 * lam_T)) / K
    q, A = mp.sinh(h) * mp.sinh(3 * h) / mp.sinh(2 * h), mp.log(1 + m0 * lam_T)
    log_V, lead = mp.log(1 + L0 * lam_T), q**4 * mp.exp(2 * h) * L0 / m0 * A
    one = mp.sqrt((lead / 16 + mp.sinh(h) ** 6 / 48) * (mp.mpf("8.2") + mp.mpf("11.4") * log_V) / 16)
    two = mp.sqrt((lead / 12 + mp.sinh(h) ** 10 / 192) * (1 + log_V)) / 2
    assert sinh_sum(d, 0.2, 1.5, 70.0, K) == pytest.approx(float(mp.sqrt(d / L0) * (one + two)), rel=1e-13)
    want = [float(mp.sinh((K - k) * h) ** 2 / L0) for k in range(K + 1)]
    assert sinh_levels(1.5, 70.0, K) == pytest.approx(np.array(want), rel=1e-13)


def test_the_closed_form_over_random_settings() -> None:
    rng = np.random.default_rng(5)
    for _ in range(60):
        L0, kappa, K = (
            10.0 ** rng.uniform(-2, 2),
            10.0 ** rng.uniform(0, 5),
            int(10.0 ** rng.uniform(0.5, 2.2)),
        )
        m0, lam_T = L0 / kappa, 10.0 ** rng.uniform(-2, 6) / L0
        if math.exp(2.0 * math.asinh(math.sqrt(L0 * lam_T)) / K) > 3.0:
            with pytest.raises(HypothesisFailed, match="e\\^"):
                sinh_sum(3, m0, L0, lam_T, K)
            continue
        s = made(sinh_levels(L0, lam_T, K), SCHEMES["heun-lambda"], m0, L0, start="prior")
        got = THEOREM_7(s)
        assert got.discretisation <= sinh_sum(3, m0, L0, lam_T, K)
        # the sampler keeps no more of the start's error than the flow
        E0 = float(s.data.start_error(s.nodes.first[1]))
        assert got.initialisation <= E0 / math.sqrt(1.0 + m0 * lam_T) * (1.0 + 1e-9)


def test_the_contraction_is_the_flows_own_where_steps_are_short_enough() -> None:
    """H ≤ 2(λ_k + 1/L_0): γ_k ≤ ((1 + m_0λ_k)/(1 + m_0λ_{k−1}))^{1/2}, since 3r⁴ − 8r³ + 6r² − 1 = (r−1)³(3r+1)."""
    rng = np.random.default_rng(2)
    m0, L0 = 0.3, 4.0
    lo = 10.0 ** rng.uniform(-3, 5, 4000)
    b = batch(CLOCK, lo, lo + 2.0 * (lo + 1.0 / L0) * rng.random(4000))
    terms = theorem_7.local(b, wbound.LogConcave(1, m0, L0, 1.0 / m0), SCHEMES["heun-lambda"])
    assert (terms.log_gamma <= 1e-14).all() and terms.log_gamma.min() < -1e-3
    assert not terms.drift.any()


@pytest.mark.parametrize("two", [True, False])
@pytest.mark.parametrize("off", ["first", "late"])
def test_the_contraction_just_where_L_decides(two: bool, off: str) -> None:
    """½ + ½ max|1 − ch| max|1 − 2bh|, or max|1 − ah|: either side of where the curvature m no longer has the larger."""
    rng = np.random.default_rng(3)
    small = rng.uniform(0.05, 0.45, (3, 2000))
    large = 2.0 - small - rng.uniform(0.1, 1.0, (3, 2000))
    beyond = slice(0, 3, 2) if off == "first" else slice(1, 3)  # ch and ah, or 2bh and ah
    large[beyond] = 2.0 - small[beyond] * (1.0 + rng.uniform(-0.4, 0.4, 2000))
    kept = [theorem_7._Kept(*np.abs(1.0 - lost), *lost) for lost in (small, large)]
    got = theorem_7._log_gamma(*kept, np.full(2000, two))
    first, late, alone = np.maximum(np.abs(1.0 - small), np.abs(1.0 - large))
    want = np.log(0.5 + 0.5 * first * late if two else alone)
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)


# ---------------------------------------------------------------------- what the proof couples


WEIGHTS, MEANS = np.array([0.3, 0.45, 0.25]), np.array([[0.5, 0.3], [-0.4, 0.2], [0.1, -0.5]])
COV = np.array([[1.0, 0.35], [0.35, 0.4]])


def constants() -> tuple[float, float]:
    """m_0 and L_0 of the mixture of N(μ_i, Σ): in Σ's own units 𝓗 = I − Cov(μ | x) ⪰ 1 − (diameter/2)²."""
    values, vectors = np.linalg.eigh(COV)
    own = (MEANS @ vectors) / np.sqrt(values)
    diameter = max(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(own, 2))
    return (1.0 - diameter**2 / 4.0) / float(values.max()), 1.0 / float(values.min())


def score(y: Any, lam: float) -> Any:
    """∇log q_λ of three Gaussians of the plane with one covariance; its Hessians do not commute."""
    inverse = np.linalg.inv(COV + lam * np.eye(2))
    pull = -(y[:, None, :] - MEANS) @ inverse
    log_p = 0.5 * np.einsum("nki,nki->nk", y[:, None, :] - MEANS, pull) + np.log(WEIGHTS)
    share = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    return np.einsum("nk,nki->ni", share / share.sum(axis=1, keepdims=True), pull)


@pytest.mark.parametrize("scheme", HEUN)
def test_the_distance_that_the_proof_bounds(scheme: str) -> None:
    """The flow and the sampler from one point of q_λ(T), in the plane: their distance, which is at least W2."""
    m0, L0 = constants()
    assert m0 > 0.05
    rng, n = np.random.default_rng(4), 1000
    data = MEANS[rng.choice(3, n, p=WEIGHTS)] + rng.multivariate_normal(np.zeros(2), COV, n)
    for lam_T, K in ((0.3, 1), (4.0, 2), (30.0, 6), (30.0, 20)):
        y = data + math.sqrt(lam_T) * rng.standard_normal((n, 2))
        levels = sinh_levels(L0, lam_T, K)
        flow, sampler = y, y
        for hi, lo in itertools.pairwise(levels):
            fine = np.linspace(
                math.asinh(math.sqrt(L0 * hi)), math.asinh(math.sqrt(L0 * lo)), 1 + max(4, 64 // K)
            )
            for a, b in itertools.pairwise(np.sinh(fine) ** 2 / L0):
                flow = runge_kutta(flow, a, b)
            c, own, late = (float(v) for v in heun_referee.coefficients(scheme, lo, hi))
            s = score(sampler, hi)
            sampler, ahead = sampler + own * s, sampler + c * s
            if late:
                sampler = sampler + late * score(ahead, lo)
        apart = math.sqrt(((flow - sampler) ** 2).sum(axis=1).mean())
        bound = THEOREM_7(made(levels, HEUN[scheme], m0, L0, d=2, start="exact")).total
        assert 0.0 < apart <= bound <= 100.0 * apart


def runge_kutta(y: Any, hi: float, lo: float) -> Any:
    """The classical step of dŶ/dλ = −½S in λ."""
    H = hi - lo
    k1 = 0.5 * score(y, hi)
    k2 = 0.5 * score(y + 0.5 * H * k1, 0.5 * (hi + lo))
    k3 = 0.5 * score(y + 0.5 * H * k2, 0.5 * (hi + lo))
    k4 = 0.5 * score(y + H * k3, lo)
    return y + H / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


# ---------------------------------------------------------------------- hypotheses, ends


def test_hypotheses() -> None:
    levels = (3.0, 1.0, 0.0)
    s = made(levels, SCHEMES["heun-lambda"], 0.4, 5.0, score_noise=0.1)
    with pytest.raises(HypothesisFailed, match="A3"):
        THEOREM_7(s)
    with pytest.raises(HypothesisFailed, match="ODE scheme"):
        THEOREM_7(made(levels, SCHEMES["hf"], 0.4, 5.0))
    lopsided = Scheme("ralston", "2/3", "ode", Named(_lopsided), "a test", 2)
    with pytest.raises(HypothesisFailed, match="a = c/2"):
        THEOREM_7(made(levels, lopsided, 0.4, 5.0))
    profile = BoundedData(1.0, 0.5, 2, 1.0)
    with pytest.raises(HypothesisFailed, match="A1"):
        THEOREM_7(setting(CLOCK, profile, grid=Grid.from_lam(np.array(levels)), scheme=SCHEMES["heun"]))


def _lopsided(b: Any) -> Steps:
    steps = SCHEMES["ode-hf"].steps(b)
    return steps._replace(corrector=Corrector(0.6 * steps.C, 0.2 * b.steps.Q))


def test_stopped_early_and_far_out() -> None:
    data = wbound.LogConcave(3, 0.4, 5.0, 7.5, 0.0)
    grid = Grid.from_lam(np.array([5.0, 2.0, 0.5, 0.1]), stop="early")
    s = setting(CLOCK, data, grid=grid, scheme=SCHEMES["heun"], score_bias=0.2)
    got, own = THEOREM_7(s), theorem_7.sums(s)
    scale = math.sqrt(1.0 + 0.4 * 0.1)
    assert got.initialisation == pytest.approx(own.start * scale, rel=1e-12)
    assert got.discretisation == pytest.approx(own.bias * scale + math.sqrt(3 * 0.1), rel=1e-12)
    assert got.score == pytest.approx(own.score * scale, rel=1e-12) and got.score > 0.0
    assert got.total == pytest.approx(got.initialisation + got.discretisation + got.score, rel=1e-12)
    assert got.additive == got.total and got.trivial == math.sqrt(7.5)
    far = THEOREM_7(made((1e120, 1.0, 0.0), SCHEMES["heun-lambda"], 0.4, 5.0))
    assert far.total == math.inf and far.vacuous
