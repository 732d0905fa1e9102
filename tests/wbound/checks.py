"""Checks with a name: the tests run them, and test_mutants.py runs each against code that was made wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import mpmath as mp
import numpy as np
import referee
import theorem_1_referee
from referee import Facts, Plain, close, uniform
from scipy.integrate import quad

import wbound
from wbound.bounds import ddpm, shared, theorem_1, theorem_2
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.exact.floor import floor_w2
from wbound.exact.gaussian_law import exact_w2
from wbound.sampler.steps import batch

#: Facts that are tight nowhere: d, m_0, L_0, E|X_0|², |E X_0|.
FACTS = Facts(3, 0.4, 1.7, 6.0, 0.8)
#: A spectrum and means within them, as a law.
SPECTRUM, MEANS = (0.3, 1.5, 4.0), (1.0, -0.5, 0.0)

SCHEMES = ("em", "em-point", "em-point-arrival", "ei", "hf", "ddpm")
T, K = 1.7, 6


def agree(got: object, want: object, rel: float) -> None:
    assert close(got, want, rel), (got, want)


@cache
def plain(name: str) -> Plain:
    return referee.ALL[name]()


# ---------------------------------------------------------------------- Theorem 2


@cache
def _sharp(name: str, scheme: str, start: str, M: float, V: float) -> referee.Sharp:
    return referee.theorem2(plain(name), uniform(T, K), FACTS, scheme, start, M, V)


def sharp_is_the_plain_recursion(
    name: str, scheme: str, start: str = "prior", M: float = 0.1, V: float = 0.2
) -> None:
    """Eq. 7's total, 7′'s parts and 7″, against loops in x-units (V > 0, or Eq. 9′ may be the smaller)."""
    want = _sharp(name, scheme, start, M, V)
    got = wbound.w2_bound(
        plain(name).made,
        FACTS.made(),
        T,
        K,
        scheme=scheme,
        start=start,
        score_bias=M,
        score_noise=V,
    )
    agree(got.total, want.total, 1e-10)
    agree(got.initialisation, want.start, 1e-10)
    agree(got.discretisation, want.discretisation, 1e-10)
    agree(got.score, want.score, 1e-10)
    agree(got.additive, want.additive, 1e-10)
    assert got.total <= got.additive * (1 + 1e-12)
    assert got.additive <= (got.initialisation + got.discretisation + got.score) * (1 + 1e-12)


def ancestral_is_equation_9(name: str, theta: float) -> None:
    """Each of Eq. 9′'s sums at a given θ, and C_θ, against loops and quadrature."""
    p = plain(name)
    want = _ancestral(name, theta)
    s = wbound.setting(p.made, FACTS.made(), T, K, scheme="ddpm")
    terms = ddpm.ancestral_terms(s.nodes.batch, s.data)
    C = shared.decay_constant(theta, s.data, s.nodes.first[1])
    got = (
        float(terms.drift.sum()),
        math.sqrt(float(terms.noise2.sum())),
        0.25 * math.sqrt(C * float(terms.weight(theta).sum())),
        0.2 * float(terms.score.sum()),
    )
    agree(got, want, 1e-10)


@cache
def _ancestral(name: str, theta: float) -> tuple[float, ...]:
    return referee.ancestral_parts(plain(name), uniform(T, K), FACTS, theta, 0.2)


def ancestral_total(name: str, M: float = 0.2) -> None:
    """Eq. 9′'s total: its terms at the best θ of a fine scan, the start and the noise in squares; `w2_bound`
    takes the smaller of it and Eq. 7."""
    p = plain(name)
    s = wbound.setting(p.made, FACTS.made(), T, 40, scheme="ddpm", score_bias=M)
    got = ddpm.ancestral(s)
    both = (got.total, theorem_2.sums(s).additive)
    assert wbound.w2_bound(p.made, FACTS.made(), T, 40, scheme="ddpm", score_bias=M).total <= min(both)
    fine = wbound.w2_bound(p.made, FACTS.made(), T, 1000, scheme="ddpm", start="exact")
    assert fine.statement == "Eq. 9'" and fine.total < got.total
    terms = ddpm.ancestral_terms(s.nodes.batch, s.data)
    curved = min(
        0.25 * math.sqrt(shared.decay_constant(th, s.data, s.nodes.first[1]) * float(terms.weight(th).sum()))
        for th in np.linspace(0.0, 4.0, 801)
    )
    with mp.workdps(30):
        lam = p.lam(mp.mpf(T))
        start = float(referee.start_error(FACTS, lam) / (1 + FACTS.m0 * lam))
    noise = math.sqrt(float(terms.noise2.sum()))
    score = M * float(terms.score.sum())
    agree(got.total, float(terms.drift.sum()) + curved + math.hypot(start, noise) + score, 1e-5)
    agree(got.score, score, 1e-12)
    agree(got.initialisation, start, 1e-12)


def local_noise_is_psi_and_the_mismatch(scheme: str) -> None:
    """n_k in x: α_k(dΨ)^{1/2} + (dX_k)^{1/2}, X_k the mean square of (√Q^hf − √Q)ξ."""
    p = plain("vp-linear")
    data = FACTS.made()
    times = uniform(T, K)
    s = wbound.setting(p.made, data, T, K, scheme=scheme)
    got = theorem_2.local(s.nodes.batch, data, s.scheme)
    for k, step in enumerate(referee.steps(p, times)):
        unit = float(step.alpha_lo * (1 + FACTS.m0 * step.lam_lo))
        n = math.sqrt(got.n2[k]) * unit
        with mp.workdps(30):
            exact, own = referee.coefficients(step, "hf")[2], referee.coefficients(step, scheme)[2]
            mismatch = float(mp.sqrt(FACTS.d) * abs(mp.sqrt(exact) - mp.sqrt(own)))
            smooth = quad(
                lambda u, step=step: (u - float(step.lam_lo)) ** 2 * (FACTS.L0 / (1 + FACTS.L0 * u)) ** 2,
                float(step.lam_lo),
                float(step.lam_hi),
                epsabs=0,
                epsrel=1e-12,
            )[0]
        agree(n, float(step.alpha_lo) * math.sqrt(FACTS.d * smooth) + mismatch, 1e-9)


def start_of_every_kind() -> None:
    """α(T)E_0 of each start, from its definition, in the bound's initialisation part (hf: times 1/(1+m_0λ))."""
    p, data = plain("vp-linear"), FACTS.made()
    with mp.workdps(30):
        a, lam = float(p.alpha(mp.mpf(T))), float(p.lam(mp.mpf(T)))
        E0 = float(referee.start_error(FACTS, p.lam(mp.mpf(T))))
    sigma = a * math.sqrt(lam)
    contraction = 1.0 / (1.0 + FACTS.m0 * lam) / a  # of e_0 in x to the end
    # αX_0 + (σ−1)Z, or α(start) + the change of the noise's width
    coupled = math.hypot(a * math.sqrt(FACTS.second_moment), (1 - sigma) * math.sqrt(FACTS.d))
    standard = min(coupled, a * E0 + (1 - sigma) * math.sqrt(FACTS.d))
    for start, value in {"prior": a * E0, "exact": 0.0, "standard": standard}.items():
        got = wbound.w2_bound(p.made, data, T, K, scheme="hf", start=start).initialisation
        agree(got, value * contraction, 1e-10)


def sharp_holds_where_it_is_tight() -> None:
    """Two cases of ratio within 1 % of 1: any loss in Theorem 2's terms is a violation."""
    d = Gaussian(np.zeros(2), 1.0)
    for p, scheme, steps in ((wbound.process("ve-constant"), "hf", 1), (wbound.process("ou"), "hf", 2)):
        bound = wbound.w2_bound(p, d, 400.0, steps, scheme=scheme, start="exact").total
        exact = exact_w2(p, d, 400.0, steps, scheme=scheme, start="exact")
        assert exact * (1 - 1e-9) <= bound <= 1.1 * exact, (bound, exact)
    law = Gaussian(np.array([30.0]), 1.0)
    p = wbound.process("ve-constant")
    bound = wbound.w2_bound(p, law, 3.0, 2000, scheme="hf").total
    exact = exact_w2(p, law, 3.0, 2000, scheme="hf")
    assert exact * (1 - 1e-9) <= bound <= 1.001 * exact, (bound, exact)


# ---------------------------------------------------------------------- Theorem 1


@cache
def _published(name: str, T: float, K: int, M1: float, M: float, start: str) -> tuple[float, float, float]:
    return theorem_1_referee.theorem1(plain(name), uniform(T, K), FACTS, M1, start, M)


def published_is_the_plain_recursion(
    name: str, T: float = 1.0, K: int = 12, M1: float = 0.3, M: float = 0.2, start: str = "prior"
) -> None:
    """Eq. 5's three parts against loops in x-units; suprema there are dense samples, hence 1e-5 upward."""
    want = _published(name, T, K, M1, M, start)
    got = wbound.w2_bound(
        plain(name).made,
        FACTS.made(),
        T,
        K,
        theorem="published",
        M1=M1,
        score_bias=M,
        start=start,
    )
    agree(got.initialisation, want[0], 1e-10)
    agree(got.score, want[2], 1e-10)
    assert want[1] * (1 - 1e-9) <= got.discretisation <= want[1] * (1 + 1e-5), (got.discretisation, want[1])
    agree(got.total, got.initialisation + got.discretisation + got.score, 1e-14)


def published_local_terms(name: str) -> None:
    """D_k and γ_k of every step, in x: what they bound, by covariances and quadrature."""
    p = plain(name)
    s = wbound.setting(p.made, FACTS.made(), 1.0, 5, M1=0.3)
    got = theorem_1.local(s.nodes.batch, p.made, s.data, 0.3)
    for k, step in enumerate(referee.steps(p, uniform(1.0, 5))):
        with mp.workdps(30):
            lo, hi = (
                step.alpha_lo * (1 + FACTS.m0 * step.lam_lo),
                step.alpha_hi * (1 + FACTS.m0 * step.lam_hi),
            )
            nu2 = max(
                theorem_1_referee.displacement2(p, step, FACTS, step.t_lo + (step.t_hi - step.t_lo) * j / 100)
                for j in range(101)
            )
            D = float(mp.sqrt(mp.mpf("0.2") * theorem_1_referee.roughness(p, step, FACTS.L0) * nu2))
            G = float(step.G)
            y = mp.log((1 + FACTS.m0 * step.lam_hi) / (1 + FACTS.m0 * step.lam_lo))
            gamma = float(1 + step.F - y) + 0.3 * 0.2 * G
            lo, hi = float(lo), float(hi)
        agree(math.exp(got.log_gamma[k]) * lo / hi, gamma, 1e-11)
        assert D * (1 - 1e-9) <= got.D[k] * lo <= D * (1 + 1e-5)
        agree(got.eta_G[k] * lo, 0.2 * G, 1e-11)
        agree(got.G[k] * lo, G, 1e-11)


def step_size_condition(name: str) -> None:
    p = plain(name)
    nodes = wbound.setting(p.made, FACTS.made(), T, K).nodes
    agree(
        theorem_1.step_sizes(nodes.batch, FACTS.made()),
        theorem_1_referee.step_size_ratios(p, uniform(T, K), FACTS),
        1e-10,
    )


def omega_is_the_supremum(name: str, T: float = 3.0, second_moment: float = 6.0) -> None:
    """Against a dense sample: never below, at most 1e-5 above."""
    p = plain(name).made
    data = LogConcave(3, 0.4, 1.7, second_moment, None)
    t = np.linspace(0.0, T, 20001)
    seen = float(np.sqrt(np.max(p.alpha(t) ** 2 * second_moment + 3 * p.sigma2(t))))
    assert seen * (1 - 1e-12) <= theorem_1.moment_supremum(p, data, T) <= seen * (1 + 1e-5)


# ---------------------------------------------------------------------- the exact law


@cache
def _exact(name: str, scheme: str, start: str, V: float) -> float:
    return referee.exact_w2(plain(name), uniform(T, K), SPECTRUM, MEANS, scheme, start, V)


def exact_is_the_plain_recursion(name: str, scheme: str, start: str = "prior", V: float = 0.2) -> None:
    law = Gaussian(np.array(MEANS), np.array(SPECTRUM))
    got = exact_w2(plain(name).made, law, T, K, scheme=scheme, start=start, score_noise=V)
    agree(got, _exact(name, scheme, start, V), 1e-10)


def outside_figures() -> None:
    """From an independent implementation by others: β = 0.1 + 19.9t on unit time, d = 10, N(1, I/2), ei."""
    p = wbound.Process(f="(0.1+19.9*t)/2", g="sqrt(0.1+19.9*t)")
    law = Gaussian(np.ones(10), 0.5)
    figures = {25: 0.17960569, 50: 0.08699929, 100: 0.04281179, 200: 0.02123526, 400: 0.01057524}
    for steps, value in figures.items():
        assert abs(exact_w2(p, law, 1.0, steps, scheme="ei") - value) <= 5e-9


def proposition_1() -> None:
    """Eq. 10 and 11: hf from p_T never gets below the floor, and reaches it on the grid uniform in w^{−1/2}."""
    p, s0, lam_T, d = wbound.process("ve-constant"), math.sqrt(2.0), 50.0, 3
    law = Gaussian(np.zeros(d), 2.0)
    for steps in (1, 5, 40, 1000):
        w = (
            (1 / math.sqrt(2 + lam_T)) + np.arange(steps + 1) / steps * (1 / s0 - 1 / math.sqrt(2 + lam_T))
        ) ** -2
        grid = wbound.Grid.from_lam(np.append(w[:-1] - 2.0, 0.0))
        floor = floor_w2(steps, d, s0, float(w[0] - 2.0))
        best = exact_w2(p, law, grid=grid, scheme="hf", start="exact")
        assert floor * (1 - 1e-12) <= best
        if steps == 1000:
            agree(best, floor, 3e-3)
        # any other grid is worse
        assert exact_w2(p, law, lam_T, steps, scheme="hf", start="exact") >= floor * (1 - 1e-12)


def equation_10() -> None:
    """v_K − σ_0² = σ_0⁴Σ H²/(w_k²w_{k−1}) − σ_0⁶/w_0² from the prior, without the last from p_T."""
    p = plain("vp-exponential")
    with mp.workdps(30):
        path = referee.steps(p, uniform(T, K))
        total = sum(4 * s.H**2 / ((2 + s.lam_lo) ** 2 * (2 + s.lam_hi)) for s in path)
        start = 8 / (2 + path[0].lam_hi) ** 2
        for kind, value in (("exact", total), ("prior", total - start)):
            want = float(abs(mp.sqrt(2 + value) - mp.sqrt(2)))
            law = Gaussian(np.zeros(1), 2.0)
            agree(exact_w2(p.made, law, T, K, scheme="hf", start=kind), want, 1e-11)


def virtual_steps_are_the_sums_steps() -> None:
    """The local terms of one step alone are those of the grid's step: what sums beyond summation rest on."""
    p, data = wbound.process("vp-linear"), FACTS.made()
    s = wbound.setting(p, data, T, K, scheme="em")
    whole = theorem_2.local(s.nodes.batch, data, s.scheme)
    t = s.nodes.t
    one = theorem_2.local(batch(p, t[3:4], t[2:3]), data, s.scheme)
    for field in ("log_gamma", "b", "n2", "C"):
        agree(getattr(one, field)[0], getattr(whole, field)[2], 1e-11)


Check = Callable[[], None]
