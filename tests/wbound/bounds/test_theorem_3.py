"""Theorem 3 (Eq. 15): against a plain loop in 30 digits, what it bounds, and exact Gaussian laws."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import referee
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_ode_moves import plain_steps

import wbound
from wbound.bounds import theorem_3
from wbound.bounds.shared import decay_constant
from wbound.bounds.theorem_3 import THEOREM_3
from wbound.complexity.exact_law_criterion import exact_criterion
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import setting
from wbound.sampler.scheme import SCHEMES
from wbound.sampler.steps import batch
from wbound.summation import criterion as criteria
from wbound.summation.step_sums import FINE
from wbound.theory.statements import STATEMENTS, upper_bound

ODE = ("ode-hf", "ddim", "ode-ei")
PLAIN = ("ve-sqrt", "vp-linear", "sub-vp", "user-rational")


def plain_parts(
    p: referee.Plain,
    times: tuple[float, ...],
    facts: referee.Facts,
    scheme: str,
    theta: float,
    M: float = 0.0,
    start: str = "prior",
) -> tuple[float, float, float]:
    """Eq. 15's start, discretisation and score terms at one θ, from the formulas of section 12."""
    with mp.workdps(referee.DIGITS):
        d, m0, L0 = facts.d, mp.mpf(facts.m0), mp.mpf(facts.L0)
        P, curved, drift, score = mp.mpf(1), mp.mpf(0), mp.mpf(0), mp.mpf(0)
        for s in reversed(referee.steps(p, times)):
            c, _, _ = plain_steps(s, scheme)
            points = [s.lam_lo + (s.lam_hi - s.lam_lo) * mp.mpf(10) ** -j for j in range(0, 4)] + [s.lam_lo]
            curved += P**2 * mp.quad(
                lambda u, s=s: (u - s.lam_lo) ** 2 * (1 + L0 * u) ** (-theta), points[::-1]
            )
            drift += P * abs(s.H / 2 - c) * mp.sqrt(d * L0 / (1 + L0 * s.lam_hi))
            score += P * c * s.alpha_hi * M
            P *= max(abs(1 - c * a / (1 + a * s.lam_hi)) for a in (m0, L0))
        lam_T = p.lam(mp.mpf(times[0]))
        C = referee.decay_constant(theta, facts, lam_T)
        first = P * referee.start_error(facts, lam_T) if start == "prior" else mp.mpf(0)
        return float(first), float(mp.sqrt(C * curved) / 4 + drift), float(score)


@pytest.mark.parametrize("scheme", ODE)
@pytest.mark.parametrize("make", [referee.ALL[name] for name in PLAIN], ids=PLAIN)
def test_the_parts_against_a_plain_loop(make: Any, scheme: str) -> None:
    """γ, P, the θ-term, the drift's and the score's sums at given θ; the best θ is no worse than any."""
    p = make()
    facts = referee.Facts(3, 0.4, 5.0, 3.5, 0.2)
    times = (2.4, 1.9, 1.1, 0.6, 0.15, 0.0)
    s = setting(p.made, facts.made(), scheme=scheme, grid=Grid.from_t(times), score_bias=0.3)
    totals = []
    for theta in (0.5, 1.7, 2.0, 2.6):
        start, middle, score = plain_parts(p, times, facts, scheme, theta, 0.3)
        got = theorem_3.sums(s, theta)
        assert (got.start, got.bias, got.score) == pytest.approx((start, middle, score), rel=1e-9)
        totals.append(start + middle + score)
    b = THEOREM_3(s)
    assert b.statement == "Theorem 3" and b.total <= min(totals) * (1 + 1e-9)
    assert b.total == pytest.approx(b.initialisation + b.discretisation + b.score, rel=1e-12)
    fine = min(theorem_3.sums(s, t).bias for t in np.linspace(0.0, 4.0, 401))
    assert b.discretisation == pytest.approx(fine, rel=1e-4)


def test_the_best_theta_where_its_valley_is_narrow() -> None:
    """log V = 180: a grid of θ with steps of 1/2 would miss by a factor of several."""
    p = wbound.process("vp-linear")
    s = setting(p, wbound.LogConcave(1, 1.0, 1.0, 1.0, 0.0), 18.5, 400, scheme="ode-hf")
    best = theorem_3.sums(s).bias
    fine = min(theorem_3.sums(s, t).bias for t in np.linspace(1.9, 2.1, 401))
    assert best == pytest.approx(fine, rel=1e-3)
    assert theorem_3.sums(s, 1.5).bias > 1.5 * best and theorem_3.sums(s, 2.5).bias > 1e6 * best


def test_contraction_where_L_decides() -> None:
    """γ_k = max(|1−cm|, |1−cL|) where c_k > λ_{k−1}, as for a drift that sets in late: both cases."""
    a, b = mp.mpf(4), mp.mpf(3)
    p = referee.Plain(
        "late drift",
        lambda t: a * mp.mpf(t),
        lambda t: b**2 * mp.exp(-8 * mp.mpf(t)),
        lambda t: a * mp.mpf(t) ** 2 / 2,
        lambda t: mp.quad(lambda u: b**2 * mp.exp(-8 * u + a * u**2), [0, t / 4, t]),
        wbound.Process(f="4*t", g="3*exp(-4*t)"),
    )
    facts, seen = referee.Facts(2, 0.05, 30.0, 20.0), set()
    for T in (0.6, 0.75, 0.9, 1.1):
        s = setting(p.made, facts.made(), T, 1, scheme="ode-ei")
        got = theorem_3.local(s.nodes.batch, s.data, s.scheme).log_gamma[0]
        (step,) = referee.steps(p, (T, 0.0))
        with mp.workdps(referee.DIGITS):
            c, _, _ = plain_steps(step, "ode-ei")
            lost = [c * x / (1 + x * step.lam_hi) for x in (mp.mpf(facts.m0), mp.mpf(facts.L0))]
            unit = mp.sqrt(1 + facts.m0 * step.lam_hi)
            want = float(mp.log(max(abs(1 - x) for x in lost) * unit))
        seen.add((lost[0] < 0.5, lost[0] + lost[1] > 2))
        assert got == pytest.approx(want, rel=1e-9)
    assert (True, True) in seen and (True, False) in seen


@pytest.mark.parametrize("first", [10.04, 6.0])
def test_contraction_just_where_L_decides(first: float) -> None:
    """A step with c(m + L) just above 2 and cm below 1/2, after steps unlike it: noise that comes in pulses."""
    times, a, m0, L0 = (first, 5.43, 2.26, 0.0), mp.mpf("0.6"), mp.mpf("0.01136"), mp.mpf("0.6025")

    def over(lo: float, hi: float, power: int) -> mp.mpf:
        """∫g²e^{power·at}."""
        cuts = [lo + (mp.mpf(hi) - lo) * j / 12 for j in range(13)]
        return mp.quad(lambda u: mp.exp(power * a * u - 8 * mp.sin(u) ** 2), cuts)

    made = wbound.Process(f="a", g="exp(-4*sin(t)**2)", a=float(a))
    data = wbound.LogConcave(1, float(m0), float(L0), 1 / float(m0))
    s = setting(made, data, grid=Grid.from_t(times), scheme="ode-ei")
    got, seen = theorem_3.local(s.nodes.batch, data, s.scheme).log_gamma, []
    with mp.workdps(20):
        for k, (hi, lo) in enumerate(zip(times[:-1], times[1:], strict=True)):
            lam_hi, lam_lo = over(0.0, hi, 2), over(0.0, lo, 2) if lo else mp.mpf(0)
            c = over(lo, hi, 1) * mp.exp(a * hi) / 2  # ½∫λ'α/α_{k−1}
            lost = [c * x / (1 + x * lam_hi) for x in (m0, L0)]
            seen.append(lost[0] < 0.5 and lost[1] < 2 < lost[0] + lost[1])
            unit = mp.sqrt((1 + m0 * lam_hi) / (1 + m0 * lam_lo))
            want = mp.log(max(abs(1 - x) for x in lost) * unit)
            assert got[k] == pytest.approx(float(want), rel=1e-8, abs=1e-10)
    assert seen == [False, True, False]


def test_a_sum_of_what_is_beyond_doubles() -> None:
    assert theorem_3.log_sum(np.array([-2000.0, -2000.0])) == pytest.approx(-2000.0 + math.log(2.0))
    assert theorem_3.log_sum(np.array([1500.0, -math.inf])) == 1500.0
    assert theorem_3.log_sum(np.array([-math.inf])) == -math.inf


# ---------------------------------------------------------------------- the very quantities it bounds


def test_the_local_error_is_what_the_proof_says() -> None:
    """N(0, v): ode-hf's local error is |√(ŵ_k/ŵ_{k−1}) − 1 + H/2ŵ_{k−1}|√(dŵ_{k−1}) = ¼∫(u−λ_k)√d ŵ^{−3/2}du,
    which is the proof's ¼∫(u−λ_k)N^{1/2}, since N = d/ŵ³: it may not lose a factor."""
    d, v = 3, mp.mpf("0.7")
    for lo, hi in ((0.0, 0.4), (1.0, 1.3), (0.0, 50.0)):
        lo_, hi_ = mp.mpf(lo), mp.mpf(hi)
        w0, w1 = v + lo_, v + hi_
        moved = abs(mp.sqrt(w0 / w1) - (1 - (hi_ - lo_) / (2 * w1))) * mp.sqrt(d * w1)
        local = mp.quad(lambda u, lo_=lo_: (u - lo_) * mp.sqrt(d) * (v + u) ** -1.5, [lo_, hi_]) / 4
        assert float(moved / local) == pytest.approx(1.0, rel=1e-12)
        # R = d/ŵ² is all of dL_0²/(1+L_0u)² here, so C_θ's ∫pN and the weights are the proof's own:
        # the smallest ¼(C_θ ∫(u−λ_k)²/p)^{1/2} over θ is above it, by Cauchy–Schwarz, and not by much
        process = wbound.process("ve-constant")
        b = batch(process, np.array([lo]), np.array([hi]))
        data = Gaussian(np.zeros(d), float(v))
        weight = theorem_3.local(b, data, SCHEMES["ode-hf"]).log_weight
        unit = 0.5 * math.log(1.0 + lo / float(v))
        terms = [
            0.25 * math.sqrt(decay_constant(t, data, math.log(hi)) * math.exp(float(weight(t)[0]) + 2 * unit))
            for t in np.linspace(0.0, 4.0, 81)
        ]
        # (the step that does not start at 0 pays for the decay below it, too)
        assert 1.0 <= min(terms) / float(local) < (2.1 if lo == 0.0 else 4.0)


def test_the_decay_constant_holds_what_it_bounds() -> None:
    """For N(0, I/h) 4∫p‖dS/dΛ‖² ≤ C_θ, S being −y/(1/h + λ) and y along the flow in proportion to √(1/h + λ): its norm is
    d/4(1/h + λ)³. Where h = L_0 and θ ≥ 3/2 nothing but the end's p(λ(T))R(λ(T)) is lost."""
    d, L0, lam_T = 2, 3.0, 40.0
    for theta in (0.0, 1.0, 1.5, 2.0, 3.3):
        for h in (L0, 0.7, 0.01):
            facts = referee.Facts(d, h, L0, d / h)
            C = decay_constant(theta, facts.made(), math.log(lam_T))
            with mp.workdps(referee.DIGITS):
                spent = mp.quad(
                    lambda u, theta=theta, h=h: (1 + L0 * u) ** theta * d / (1 / mp.mpf(h) + u) ** 3,
                    [0, 1, 5, lam_T],
                )
                assert pytest.approx(float(referee.decay_constant(theta, facts, lam_T)), rel=1e-12) == C
            assert float(spent) < C
            if h == L0 and theta >= 1.5:
                left = d * L0**2 * (1 + L0 * lam_T) ** (theta - 2.0)
                assert pytest.approx(C, rel=1e-12) == float(spent) + left


def test_the_drift_is_the_distance_to_the_heat_flows_step() -> None:
    """For N(0, I/L_0) ‖∇log q_λ‖² = dL_0/(1+L_0λ): two samplers' steps from p_τ differ by the drift term."""
    rng = np.random.default_rng(0)
    p, v, d, n = wbound.process("vp-linear"), 0.5, 2, 400_000
    b = batch(p, np.array([0.7]), np.array([1.0]))
    y = math.sqrt(v + float(np.exp(b.log_lam_hi[0]))) * rng.standard_normal((n, d))
    score = -y / (v + np.exp(b.log_lam_hi[0]))
    c = {name: SCHEMES[name].steps(b).C[0] / np.exp(b.log_alpha_lo + b.log_alpha_hi)[0] for name in ODE}
    data = Gaussian(np.zeros(d), v)
    for name in ("ddim", "ode-ei"):
        apart = math.sqrt(float((((c[name] - c["ode-hf"]) * score) ** 2).sum(axis=1).mean()))
        drift = float(np.ravel(theorem_3.local(b, data, SCHEMES[name]).drift)[0])
        assert drift * math.sqrt(1.0 + float(np.exp(b.log_lam_lo[0])) / v) == pytest.approx(apart, rel=5e-3)
    assert not np.any(theorem_3.local(b, data, SCHEMES["ode-hf"]).drift)


def test_the_score_term_is_what_a_bias_moves() -> None:
    """A constant bias of size M on N(μ, vI) moves the mean by Σ P_k c_kα_{k−1}M exactly (in y-units)."""
    p, v, M, K = wbound.process("vp-linear"), 0.8, 0.4, 30
    data = Gaussian([0.0], v)
    s = setting(p, data, 3.0, K, scheme="ode-hf", score_bias=M, start="exact")
    b = s.nodes.batch
    C = SCHEMES["ode-hf"].steps(b).C
    mean = 0.0
    for k in range(K):
        alpha_lo, alpha_hi, lam = (
            np.exp(b.log_alpha_lo[k]),
            np.exp(b.log_alpha_hi[k]),
            np.exp(b.log_lam_hi[k]),
        )
        mean = alpha_lo / alpha_hi * mean + C[k] * (-mean / (alpha_hi**2 * (v + lam)) + M)
    assert THEOREM_3(s).score == pytest.approx(mean, rel=1e-10)


# ---------------------------------------------------------------------- against exact laws

PARAMETERS = {
    "ve-exponential": ("a", "b"),
    "ve-constant": ("a",),
    "ve-sqrt": ("a",),
    "ve-polynomial": ("a", "b", "c"),
    "ou": ("theta", "sigma"),
    "vp-linear": ("a", "b"),
    "vp-polynomial": ("a", "b", "rho"),
    "vp-exponential": ("a", "b"),
    "sub-vp": ("a", "b"),
}
SMALLEST: dict[str, float] = {}
decades = st.floats(-2.0, 2.0).map(lambda e: 10.0**e)


@settings(max_examples=20 * settings.default.max_examples)
@given(
    name=st.sampled_from(sorted(PARAMETERS)),
    values=st.tuples(decades, decades, decades),
    log_lam=st.floats(math.log(1e-2), math.log(1e80)),
    K=st.floats(0.0, math.log(2000.0)).map(lambda e: int(math.exp(e))),
    scheme=st.sampled_from(ODE),
    start=st.sampled_from(("prior", "exact")),
    variances=st.lists(st.floats(-6.0, 6.0).map(lambda e: 10.0**e), min_size=1, max_size=4),
    mean=st.one_of(st.just(0.0), st.floats(-3.0, 3.0).map(lambda e: 10.0**e)),
)
def test_theorem_3_holds(
    name: str,
    values: tuple[float, float, float],
    log_lam: float,
    K: int,
    scheme: str,
    start: str,
    variances: list[float],
    mean: float,
) -> None:
    try:
        p = wbound.process(name, **dict(zip(PARAMETERS[name], values, strict=False)))
        T = float(p.time_of(log_lam))
        s = setting(p, Gaussian(np.full(len(variances), mean), variances), T, K, scheme=scheme, start=start)
    except BadInput:  # exponents beyond doubles, or a clock that never gets there
        assume(False)
    exact, bound = float(EXACT_LAW(s)), THEOREM_3(s).total
    assert bound >= exact * (1.0 - 1e-9)
    if exact > 0.0 and mean == 0.0:
        SMALLEST[scheme] = min(SMALLEST.get(scheme, math.inf), bound / exact)


def test_the_smallest_ratio_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("\nsmallest Theorem 3 / exact:", {k: round(v, 4) for k, v in sorted(SMALLEST.items())})
    assert all(ratio >= 1.0 for ratio in SMALLEST.values())


def test_given_numbers() -> None:
    p, data = wbound.process("vp-linear", a=1.0, b=0.5), wbound.LogConcave(3, 0.5, 0.5, 6.0, 0.0)
    assert wbound.w2_bound(p, data, 6.0, 100, scheme="ode-hf").total == pytest.approx(2.8402, rel=1e-4)
    assert wbound.w2_bound(p, data, 6.0, 1000, scheme="ode-hf").total == pytest.approx(0.2064, rel=1e-4)


@pytest.mark.parametrize("scheme", ODE)
def test_the_bound_falls_like_one_over_K(scheme: str) -> None:
    """Up to a logarithm, which the slope of W2 K in log K shows to be at most one power."""
    p, data = wbound.process("vp-linear"), wbound.LogConcave(3, 0.5, 2.0, 3.0, 0.0)
    K = np.array([2000, 8000, 32000])
    b = [wbound.w2_bound(p, data, 5.0, int(k), scheme=scheme, start="exact").total for k in K]
    slope = np.polyfit(np.log(K), np.log(b), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.1)


@pytest.mark.parametrize("scheme", ODE)
@pytest.mark.parametrize("delta", [1e-4, 0.3])
def test_early_stopping(scheme: str, delta: float) -> None:
    """Eq. 15 about q_δ, plus √(dδ): above the exact law of y_K/α_K."""
    p, data = wbound.process("vp-linear"), Gaussian([0.5, 0.0], [0.3, 2.0])
    grid = Grid.uniform(delta=delta)
    s = setting(p, data, 3.0, 40, scheme=scheme, grid=grid)
    b = THEOREM_3(s)
    assert b.total >= float(EXACT_LAW(s))
    # y_K/α_K: e_K in y-units, and √(dδ); the sums are over (1+m_0δ)^{1/2}
    sums, scale, extra = theorem_3.sums(s), math.sqrt(1.0 + data.m0 * delta), math.sqrt(2.0 * delta)
    assert b.initialisation == pytest.approx(scale * sums.start, rel=1e-12)
    assert b.discretisation == pytest.approx(scale * sums.bias + extra, rel=1e-12)
    assert b.total == b.additive == pytest.approx(b.initialisation + b.discretisation, rel=1e-12)
    assert b.trivial == pytest.approx(math.sqrt(data.second_moment), rel=1e-14)
    whole = wbound.w2_bound(p, data, 3.0, 40, scheme=scheme)
    if delta == 1e-4:  # about the bound without, and √(2δ) more
        assert b.total == pytest.approx(whole.total + math.sqrt(2.0 * delta), rel=0.02)


# ---------------------------------------------------------------------- how many steps


@pytest.mark.parametrize("scheme", ODE)
@pytest.mark.parametrize("name", ["vp-linear", "ve-exponential", "sub-vp"])
def test_the_tally_is_the_sum(name: str, scheme: str) -> None:
    p, data = wbound.process(name), wbound.LogConcave(2, 0.5, 3.0, 2.0, 0.0)
    K = 30_000
    criterion = theorem_3.SUMS.over_steps(p, data, SCHEMES[scheme], "prior", 0.2)
    (got,) = criterion(np.array([3.0]), np.array([float(K)]), FINE)
    want = theorem_3.sums(setting(p, data, 3.0, K, scheme=scheme, score_bias=0.2))
    assert got.initialisation == pytest.approx(want.start, rel=1e-8)
    assert got.score == pytest.approx(want.score, rel=1e-8)
    assert got.discretisation == pytest.approx(want.bias, rel=2e-3)
    assert got.discretisation >= want.bias * (1 - 1e-6)


@pytest.mark.parametrize("scheme", ODE)
def test_iterations(scheme: str) -> None:
    """K works at T and K − 1 does not; far beyond summation the law K ∝ 1/ε holds up to a logarithm."""
    p, data = wbound.process("vp-linear"), wbound.LogConcave(10, 0.5, 2.0, 10.0, 0.0)
    got = wbound.iterations(p, data, 0.3, scheme=scheme)
    assert got.criterion == "Eq. 15" and got.summed

    def bound(k: int) -> float:
        return wbound.w2_bound(p, data, got.T, k, scheme=scheme).total

    assert bound(got.K) <= 0.3 < bound(got.K - 1)
    few, many = (wbound.iterations(p, data, eps, scheme=scheme).K for eps in (1e-5, 1e-6))
    assert 10.0 < many / few < 14.0
    assert wbound.iterations(p, data, 0.3, scheme="hf").K < got.K


@pytest.mark.parametrize("scheme", [*ODE, "heun", "heun-lam"])
def test_exact_iterations(scheme: str) -> None:
    p, data = wbound.process("vp-linear"), Gaussian(np.zeros(4), [0.5, 0.5, 2.0, 2.0])
    got = wbound.exact_iterations(p, data, 0.05, scheme=scheme)
    criterion = exact_criterion(p, data, SCHEMES[scheme])

    def at(T: float, K: float) -> float:
        return criteria.value_at(criterion, T, K, FINE).total

    assert at(got.T, got.K) <= 0.05 < at(got.T, got.K - 1)
    # beyond what is summed: the same as a sum just below and just above the threshold
    K = criteria.SUMMED
    near, far = at(3.0, K), at(3.0, K + 1.0)
    assert far == pytest.approx(near, rel=1e-3)
    few, many = (wbound.exact_iterations(p, data, eps, scheme=scheme).K for eps in (1e-4, 1e-6))
    ratio = 10.0 if scheme == "heun-lam" else 100.0  # heun's last step is of first order where λ ~ t
    assert ratio * 0.9 < many / few < ratio * 2.0


# ---------------------------------------------------------------------- refusals


def test_dispatch_and_refusals() -> None:
    p, data = wbound.process("vp-linear"), wbound.LogConcave(2, 0.5, 2.0, 2.0)
    assert upper_bound("sharp", "ddim") is THEOREM_3 is STATEMENTS["theorem-3"]
    assert upper_bound("sharp", "hf").id == "theorem-2"
    with pytest.raises(HypothesisFailed, match=r"Theorem 3 does not apply: A3 .* score_noise = 0.1"):
        wbound.w2_bound(p, data, 3.0, 10, scheme="ddim", score_noise=0.1)
    assert upper_bound("sharp", "heun") is STATEMENTS["theorem-7"]
    assert wbound.w2_bound(p, data, 3.0, 10, scheme="heun").statement == "Theorem 7"
    assert (
        wbound.w2_bound(p, wbound.bounded_data(1.0, 1.0, 2, 2.5), 3.0, 10, scheme="ode-hf").statement
        == "Theorem 3'"
    )
    with pytest.raises(HypothesisFailed, match="singular"):
        wbound.w2_bound(p, Gaussian([0.0, 0.0], [0.0, 1.0]), 3.0, 10, scheme="ode-hf")
    with pytest.raises(HypothesisFailed, match="Theorem 1 does not apply: scheme em"):
        wbound.w2_bound(p, data, 3.0, 10, scheme="ddim", theorem="published", M1=1.0)
    with pytest.raises(HypothesisFailed, match="Theorem 3 does not apply: an ODE scheme"):
        THEOREM_3(setting(p, data, 3.0, 10, scheme="hf"))
    with pytest.raises(HypothesisFailed, match="a step of one stage .*heun has two: its bound is Theorem 7"):
        THEOREM_3(setting(p, data, 3.0, 10, scheme="heun"))
    assert wbound.score_tolerance(p, data, 0.1, scheme="heun") == wbound.score_tolerance(
        p, data, 0.1, scheme="ddim"
    )
    # steps beyond doubles: infinite, and said so
    b = wbound.w2_bound(wbound.process("vp-polynomial"), data, 40.0, 3, scheme="ddim")
    assert b.total == math.inf and b.vacuous


def test_a_clock_beyond_doubles() -> None:
    """log λ(T) = 745: the start's share grows by e^700 in units in which it is e^{−372}, and at θ > 2 Eq. 15's
    constant leaves doubles. Found by the grid of a million cells; the figures are from 700 digits."""
    p, law = wbound.process("vp-exponential", a=0.5, b=2.0), Gaussian(np.zeros(3), np.geomspace(1.0, 10.0, 3))
    for K, exact in ((42, 9.20658287675e153), (60, 1.56704669722e151), (1000, 1.43247994768e82)):
        assert EXACT_LAW(setting(p, law, 4.0, K, scheme="ode-hf")) == pytest.approx(exact, rel=1e-10)
        bound = wbound.w2_bound(p, law, 4.0, K, scheme="ode-hf").total
        assert exact <= bound < 3.0 * exact
    assert decay_constant(4.0, law, 745.0) == math.inf
    assert 0.0 < decay_constant(1.0, law, 745.0) < 20.0
