"""Theorem 1 (Eq. 5): totals against loops in x-units, its terms against what they bound, its hypotheses."""

from __future__ import annotations

import math

import checks
import mpmath as mp
import numpy as np
import pytest
import referee
import theorem_1_referee
from checks import FACTS

import wbound
from wbound.bounds import theorem_1
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.gaussian_law import exact_w2
from wbound.sampler.grid import Grid

NAMES = pytest.mark.parametrize("name", referee.ALL)


@NAMES
def test_the_total_and_its_parts(name: str) -> None:
    checks.published_is_the_plain_recursion(name)


@pytest.mark.parametrize(
    ("M1", "M", "start"), [(0.0, 0.0, "prior"), (1.5, 0.0, "exact"), (0.0, 0.7, "exact")]
)
def test_its_terms_one_by_one(M1: float, M: float, start: str) -> None:
    checks.published_is_the_plain_recursion("vp-linear", M1=M1, M=M, start=start)


@pytest.mark.parametrize("name", ["ve-sqrt", "vp-exponential", "sub-vp", "user-rational"])
def test_local_terms(name: str) -> None:
    checks.published_local_terms(name)


@NAMES
def test_the_step_size_condition(name: str) -> None:
    checks.step_size_condition(name)


@NAMES
def test_omega(name: str) -> None:
    checks.omega_is_the_supremum(name)


def test_omega_inside_the_interval() -> None:
    """A process whose second moment has its maximum inside: neither end is the supremum."""
    p = wbound.Process(f="t", g="3*exp(-t)")
    data = LogConcave(1, 1.0, 1.0, 1.0)
    t = np.linspace(0.0, 4.0, 100_001)
    seen = np.sqrt(p.alpha(t) ** 2 + p.sigma2(t))
    assert 0 < int(np.argmax(seen)) < 100_000
    got = theorem_1.moment_supremum(p, data, 4.0)
    assert seen.max() <= got <= seen.max() * (1 + 1e-5)


def test_the_start_from_a_standard_normal() -> None:
    """αX_0 + σZ against Z: the first part is (α²‖X_0‖² + d(1−σ)²)^{1/2} where the prior's is α‖X_0‖."""
    p, data = wbound.process("vp-linear"), FACTS.made()
    for T in (0.8, 2.0):
        given = {"T": T, "K": 40, "theorem": "published", "M1": 0.3}
        prior, standard = (wbound.w2_bound(p, data, start=s, **given) for s in ("prior", "standard"))  # type: ignore[arg-type]
        alpha, sigma = float(p.alpha(T)), math.sqrt(float(p.sigma2(T)))
        size = math.hypot(1.0, math.sqrt(FACTS.d) * (1.0 - sigma) / (alpha * math.sqrt(FACTS.second_moment)))
        assert standard.initialisation == pytest.approx(size * prior.initialisation, rel=1e-12)
        assert (standard.discretisation, standard.score) == (prior.discretisation, prior.score)
        assert standard.additive == standard.total and standard.trivial == math.sqrt(FACTS.second_moment)


def test_the_published_integral_in_closed_form() -> None:
    """Eq. 6, ∫m g² = log(1+m_0λ(T)): with M_1 = 0 the first term tends to ‖X_0‖/(1+m_0λ(T))."""
    p, data = wbound.process("vp-linear"), FACTS.made()
    want = math.sqrt(6.0) / (1 + 0.4 * float(p.lam(2.0)))
    gaps = [
        wbound.w2_bound(p, data, 2.0, K, theorem="published", M1=0.0).initialisation / want - 1
        for K in (200, 400, 800)
    ]
    assert gaps[0] / gaps[1] == pytest.approx(2.0, rel=0.05) and abs(gaps[2]) < 0.01


def test_the_displacement_inside_a_step() -> None:
    """Where α more than doubles over a step, the supremum of ν_k may be inside: neither end nor a sample
    is a bound. Here the step-size condition still holds."""
    p = referee.ou(theta=0.45, sigma=1.0)
    facts = referee.Facts(1, 0.4, 0.4, 400.0)
    T, K = 4.0, 2  # F = 0.9 a step
    data = facts.made()
    assert (theorem_1.step_sizes(wbound.setting(p.made, data, T, K).nodes.batch, data) <= 1).all()
    got = wbound.w2_bound(p.made, data, T, K, theorem="published", M1=0.2)
    want = theorem_1_referee.theorem1(p, referee.uniform(T, K), facts, 0.2)
    assert want[1] * (1 - 1e-9) <= got.discretisation <= want[1] * (1 + 1e-4)
    # a drift that sets in late: α > 2α_{k−1} and flat at the data's end, so that ν first grows with λ
    q = wbound.Process(f="3*t**2", g="3")
    b = wbound.setting(q, LogConcave(1, 0.4, 0.4, 3.0), 1.0, 1).nodes.batch
    law = LogConcave(1, 0.4, 0.4, 3.0)
    t = np.linspace(0.0, 1.0, 20_001)
    alpha, lam = q.alpha(t), q.lam(t)
    a, top = float(q.alpha(1.0)), float(q.lam(1.0))
    nu = np.sqrt((alpha - a) ** 2 * (3.0 + lam) + a**2 * np.maximum(top - lam, 0.0))
    assert 0 < int(np.argmax(nu)) < 20_000
    moved = float(theorem_1._displacement(b, q, law)[0])
    assert nu.max() * (1 - 1e-9) <= moved <= nu.max() * (1 + 1e-4)


def test_nu_by_simulation() -> None:
    """‖Y_t − Y_{k−1}‖ is ‖X_τ − X_{τ_{k−1}}‖: the forward process simulated exactly, in one dimension."""
    rng = np.random.default_rng(3)
    p, law = referee.vp_linear(), LogConcave(1, 0.4, 1.7, 6.0)
    n, lo, hi = 400_000, 0.6, 0.9
    alpha, lam = p.made.alpha([lo, hi]), p.made.lam([lo, hi])
    # any X_0 with this second moment serves: ±√6
    x0 = math.sqrt(6.0) * rng.choice([-1.0, 1.0], n)
    first = alpha[0] * (x0 + math.sqrt(lam[0]) * rng.standard_normal(n))
    second = first * alpha[1] / alpha[0] + alpha[1] * math.sqrt(lam[1] - lam[0]) * rng.standard_normal(n)
    square = (first - second) ** 2
    with mp.workdps(30):
        s = referee.steps(p, [hi, lo])[0]
        nu2 = float(theorem_1_referee.displacement2(p, s, referee.Facts(1, 0.4, 1.7, 6.0), mp.mpf(lo)))
    assert square.mean() == pytest.approx(nu2, abs=5 * square.std() / math.sqrt(n))
    b = wbound.sampler.steps.batch(p.made, np.array([lo]), np.array([hi]))
    assert float(theorem_1._displacement(b, p.made, law)[0]) == pytest.approx(math.sqrt(nu2), rel=1e-9)


def test_the_condition_names_the_first_step() -> None:
    """ve-exponential: λ grows fastest at T, so the first step breaks it; ve-constant: the last one does."""
    law = Gaussian(np.zeros(1), 0.01)
    for name, T, K, first in (("ve-exponential", 40.0, 20, 1), ("ve-constant", 4.0, 50, 50)):
        p = wbound.process(name)
        ratios = theorem_1.step_sizes(wbound.setting(p, law, T, K).nodes.batch, law)
        assert int(np.flatnonzero(ratios > 1.0)[0]) + 1 == first
        with pytest.raises(
            HypothesisFailed, match=f"step-size condition.*fails at step k = {first}:"
        ) as caught:
            wbound.w2_bound(p, law, T, K, theorem="published", M1=1.0)
        assert caught.value.step == first and "\n" not in str(caught.value)
        assert f"{ratios[first - 1]:.6g} times the right" in str(caught.value)


def test_lambda_may_overflow() -> None:
    """T = 40: λ is e^820; sub-vp besides, whose suprema are found by cells."""
    law = Gaussian(np.array([1.0, 0.0, 0.0]), np.array([0.5, 1.0, 2.0]))
    for name in ("vp-linear", "sub-vp"):
        p = wbound.process(name)
        got = wbound.w2_bound(p, law, 40.0, 20_000, theorem="published", M1="exact")
        assert exact_w2(p, law, 40.0, 20_000) <= got.total < 1.0


def test_M1_zero_is_false_for_a_law_that_moves() -> None:
    """Why M_1 has no default: with M_1 = 0 the bound falls to 0.63 of the exact W2 (a far mean, a growing g)."""
    p, law = wbound.process("ve-exponential"), Gaussian(np.array([1e5]), 1.0)
    exact = exact_w2(p, law, 4.0, 20)
    assert wbound.w2_bound(p, law, 4.0, 20, theorem="published", M1=0.0).total == pytest.approx(
        0.63003 * exact, rel=1e-4
    )
    assert wbound.w2_bound(p, law, 4.0, 20, theorem="published", M1="exact").total >= exact


def test_the_discretisation_falls_as_the_root() -> None:
    """Theorem 1 as K grows: the discretisation falls as K^{−1/2}, by the D terms."""
    p, data = wbound.process("vp-linear"), FACTS.made()
    part = [
        wbound.w2_bound(p, data, 3.0, K, theorem="published", M1=0.5).discretisation for K in (2000, 8000)
    ]
    assert math.log(part[0] / part[1]) / math.log(4.0) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({}, "M1 = None: Theorem 1 needs A2's constant"),
        ({"M1": -1.0}, "M1 = -1.0: must be a finite number >= 0"),
        ({"M1": float("nan")}, "M1 = nan"),
        ({"M1": "best"}, "M1 = best"),
    ],
)
def test_bad_M1(typed: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        wbound.w2_bound(wbound.process("ou"), FACTS.made(), 1.0, 50, theorem="published", **typed)  # type: ignore[arg-type]
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"scheme": "hf"}, "Theorem 1 does not apply: scheme em fails: scheme = hf"),
        ({"scheme": "ddpm"}, "scheme = ddpm"),
        ({"score_noise": 0.1}, r"A3 (bias only) fails: score_noise = 0.1"),
        ({"grid": Grid.from_t(np.linspace(1.0, 0.0, 51)), "T": None, "K": None}, "uniform grid fails"),
    ],
)
def test_hypotheses(typed: dict[str, object], said: str) -> None:
    arguments: dict[str, object] = {"T": 1.0, "K": 50, "theorem": "published", "M1": 0.5, **typed}
    with pytest.raises(HypothesisFailed) as caught:
        wbound.w2_bound(wbound.process("ou"), FACTS.made(), **arguments)  # type: ignore[arg-type]
    assert said in str(caught.value) and "\n" not in str(caught.value)
