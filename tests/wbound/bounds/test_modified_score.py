"""The bound of the modified score (section 19): against quadrature of what it bounds, exact laws, and their figures."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import settings

import wbound
from wbound.bounds import modified_score
from wbound.bounds.modified_score import MODIFIED_EI, MODIFIED_SCORE, terms
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.sampler.make_setting import Setting


def process_drawn(rng: np.random.Generator) -> wbound.Process:
    """A VP process with a rising rate."""
    low, slope = 10.0 ** rng.uniform(-2.0, 1.0, 2)
    if rng.random() < 0.7:
        return wbound.process("vp-linear", a=slope, b=low)
    return wbound.process("vp-exponential", a=low, b=slope)


def drawn(rng: np.random.Generator, process: wbound.Process, T: float) -> Setting:
    """Gaussian data within N(0, I), steps, and the start."""
    d = int(rng.integers(1, 6))
    variances = 10.0 ** (-rng.uniform(0.0, 3.0, d) * rng.integers(0, 2))
    mean = rng.normal(size=d) * 10.0 ** rng.uniform(-1.0, 1.0) * rng.integers(0, 2)
    K = int(10.0 ** rng.uniform(0.0, 2.4))
    return wbound.setting(process, Gaussian(mean, variances), T, K, scheme=MODIFIED_EI, start="standard")


#: What of the hypotheses `drawn` sees to; the rest is checked.
SEEN_TO = tuple(h.name for h in MODIFIED_SCORE.hypotheses if h.name not in ("m_0 >= 1", "the step size"))


def test_it_is_never_below_the_exact_law() -> None:
    """Two thousand cells in a run, a hundred thousand in the deep one."""
    rounds = settings.default.max_examples // 100
    rng, smallest = np.random.default_rng(19 if rounds == 1 else None), math.inf
    cells = tried = 0
    while cells < 2000 * rounds:
        if tried % 64 == 0:  # dear to make
            process = process_drawn(rng)
            times = process.time_of(math.log(10.0) * rng.uniform(-2.0, 5.0, 64))
        s, tried = drawn(rng, process, float(times[tried % 64])), tried + 1
        try:
            MODIFIED_SCORE.check(s, SEEN_TO)
        except HypothesisFailed:
            continue
        bound, exact, cells = MODIFIED_SCORE.evaluate(s).total, float(EXACT_LAW(s)), cells + 1
        assert bound >= exact * (1.0 - 1e-9), s
        smallest = min(smallest, bound / exact) if exact else smallest  # 0: N(0, I) itself
    assert smallest < 1.2  # where the start is nearly all of it


def _in_x_units(s: Setting) -> tuple[float, float]:
    """W2 and the largest ‖y_k‖ of the sampler by the step as it is defined, along each axis, 40 digits."""
    with mp.workdps(40):
        law, t, p = s.data, s.nodes.t, s.process
        b = [
            mp.mpf(float(p.parameters["b"])) * x + mp.mpf(float(p.parameters["a"])) * x**2 / 2
            for x in map(mp.mpf, t)
        ]
        total, sizes = mp.mpf(0), [mp.mpf(0)] * (s.nodes.K + 1)
        for own, mu in zip(map(mp.mpf, law.eigenvalues), map(mp.mpf, law.coordinates), strict=True):
            v, mean = mp.mpf(1), mp.mpf(0)
            sizes[0] += 1
            for k in range(s.nodes.K):
                gap, alpha = b[k] - b[k + 1], mp.exp(-b[k] / 2)
                w = alpha**2 * own + 1 - alpha**2
                keep, push = mp.exp(-gap / 2), 2 * (1 - mp.exp(-gap / 2))
                # y' = keep y + push (s + y), s = −(y − αμ)/w
                r = keep + push * (1 - 1 / w)
                v, mean = r * r * v + 1 - mp.exp(-gap), r * mean + push * alpha * mu / w
                sizes[k + 1] += v + mean**2
            total += (mp.sqrt(v) - mp.sqrt(own)) ** 2 + (mean - mu) ** 2
        return float(mp.sqrt(total)), float(mp.sqrt(max(sizes)))


def linear(a: float, b: float, T: float, K: int, law: Gaussian) -> Setting:
    return wbound.setting(
        wbound.process("vp-linear", a=a, b=b), law, T, K, scheme=MODIFIED_EI, start="standard"
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_sampler_is_what_the_theory_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    law = Gaussian(rng.normal(size=2), rng.uniform(0.05, 1.0, 2))
    s = linear(float(rng.uniform(0.1, 3.0)), float(rng.uniform(0.1, 1.0)), 2.0, int(rng.integers(8, 40)), law)
    exact, largest = _in_x_units(s)
    assert float(EXACT_LAW(s)) == pytest.approx(exact, rel=1e-12)
    MODIFIED_SCORE.check(s)
    assert largest <= 2.0 * terms(s).B  # as the proof says
    # Theorem 2 holds for it too, from its A, C and Q alone
    assert (
        wbound.w2_bound(s.process, law, T=2.0, K=s.nodes.K, scheme=MODIFIED_EI, start="standard").total
        >= exact
    )


def test_its_terms_are_the_integrals_they_stand_for() -> None:
    """Λ_k by quadrature of β(L − 1), split at the kink; the start by its own formula; M by the score's change."""
    law = Gaussian(np.array([1.0, -2.0]), np.array([0.3, 0.9]))
    s = linear(2.0, 0.1, 2.0, 12, law)
    t = terms(s)
    p, L0 = s.process, 1.0 / 0.3
    kink = float(p.time_of(-math.log(L0))[()])
    with mp.workdps(30):
        for k in range(12):
            lo, hi = float(s.nodes.t[k + 1]), float(s.nodes.t[k])

            def rough(x: Any) -> Any:
                B = mp.mpf(0.1) * x + x**2
                return (mp.mpf(0.1) + 2 * x) * (
                    min(1 / (1 - mp.exp(-B)) if x else mp.inf, L0 * mp.exp(B)) - 1
                )

            points = [lo, *([kink] if lo < kink < hi else []), hi]
            assert t.rough[k] == pytest.approx(float(mp.quad(rough, points)), rel=1e-10)
    assert t.start == pytest.approx(math.sqrt(5.0 + (1 - 0.3**0.5) ** 2 + (1 - 0.9**0.5) ** 2), rel=1e-14)
    assert t.contraction == pytest.approx(1.0 / (1.0 + float(p.lam(2.0)) / 0.9), rel=1e-12)
    assert t.B == pytest.approx(math.sqrt(5.0 + 1.2 + 2.0), rel=1e-14) and t.h == pytest.approx(1 / 6)
    assert t.top == pytest.approx(4.1, rel=1e-9)
    assert t.moved == pytest.approx(math.sqrt(2 * 4.1 / 6) + 4.1 / 12, rel=1e-9)

    def modified(x: np.ndarray, at: float) -> np.ndarray:
        alpha = float(p.alpha(at))
        return x - (x - alpha * law.mean) / (1.0 + alpha**2 * (law.cov - 1.0))

    rng, worst = np.random.default_rng(0), 0.0
    for _ in range(4000):
        k = int(rng.integers(12))
        x = rng.normal(size=2) * 10.0 ** rng.uniform(-2.0, 3.0)
        at = float(rng.uniform(s.nodes.t[k + 1], s.nodes.t[k]))
        moved = np.linalg.norm(modified(x, at) - modified(x, float(s.nodes.t[k])))
        worst = max(worst, float(moved) / (t.h * (1.0 + float(np.linalg.norm(x)))))
    assert 0.3 * t.M < worst <= t.M


@pytest.mark.parametrize(
    "process", [("vp-linear", 20.0, 0.1), ("vp-linear", 0.0, 1.0), ("vp-exponential", 1.0, 4.0)]
)
def test_the_score_s_change_where_the_mean_decides(process: tuple[str, float, float]) -> None:
    """M over all steps one after the other, a mean of 30; the largest is inside, at the data, at the noise."""
    name, first, second = process
    p = wbound.process(name, a=first, b=second) if first else wbound.process("ou", theta=0.5, sigma=1.0)

    law = Gaussian(np.array([30.0]), np.array([0.9]))
    s = wbound.setting(p, law, 1.0, 7, scheme=MODIFIED_EI, start="standard")
    each = []
    for hi, lo in zip(s.nodes.t, s.nodes.t[1:], strict=False):
        late, early = (float(s.process.alpha(t)) for t in (hi, lo))
        w = (1.0 - 0.1 * late**2) * (1.0 - 0.1 * early**2)
        each.append(0.5 * 30.0 * float(s.process.g(hi)) ** 2 * early * (1.0 + 0.1 * late * early) / w)
    assert terms(s).M == pytest.approx(max(each), rel=1e-12)


#: Strasman et al.'s public configuration at a = 0: a run of their code, and ours (docs/theory.md, section 19).
THEIRS = {"isotropic": (44.3, 44.4905), "heteroscedastic": (1.9e4, 19356.5), "correlated": (169.0, 170.619)}


@pytest.mark.parametrize("name", THEIRS)
def test_their_figures(name: str) -> None:
    """To two digits theirs, which has B and |μ| from a sample; nothing here is fitted to it."""
    from numerics.studies.bounds_compared import law_named, rising_beta

    s = wbound.setting(rising_beta(0.0), law_named(name), 1.0, 100, scheme=MODIFIED_EI, start="standard")
    value, (theirs, ours) = MODIFIED_SCORE.evaluate(s).total, THEIRS[name]
    assert value == pytest.approx(ours, rel=1e-5) and value == pytest.approx(theirs, rel=0.02)
    if name == "correlated":
        with pytest.raises(HypothesisFailed, match="m_0 >= 1"):
            MODIFIED_SCORE(s)
    else:
        MODIFIED_SCORE.check(s)


def test_the_formula() -> None:
    """The total at few steps, as it is displayed, and each refusal on its own side of where it begins."""
    from formula_values import formula_value, quantities

    law = Gaussian(np.array([0.5, -0.1]), np.array([0.4, 0.8]))
    s = linear(1.0, 0.5, 1.0, 3, law)
    shown = formula_value(MODIFIED_SCORE.formula, quantities(s, "modified-score-bound"))
    assert MODIFIED_SCORE(s).total == pytest.approx(shown, rel=1e-9)


def test_where_steps_are_too_long() -> None:
    """∫β(m + L − 2) ≤ 2e^{−½∫β} by quadrature, on both sides of where it fails."""
    law = Gaussian(np.zeros(2), np.array([0.02, 0.7]))
    held = []
    for K in (4, 6, 8, 12, 16, 24, 32):
        s = linear(1.0, 0.5, 2.0, K, law)
        p, worst = s.process, -math.inf
        kink = float(p.time_of(math.log(0.02))[()])
        for hi, lo in zip(s.nodes.t, s.nodes.t[1:], strict=False):
            with mp.workdps(20):

                def bent(x: Any) -> Any:
                    B = x / 2 + x**2 / 2
                    m = 1 / (1 + mp.exp(-B) * (mp.mpf("0.7") - 1))
                    return (mp.mpf(0.5) + x) * (
                        m + min(1 / (1 - mp.exp(-B)) if x else mp.inf, 50 * mp.exp(B)) - 2
                    )

                points = [lo, *([kink] if lo < kink < hi else []), hi]
                gap = (hi - lo) / 2 + (hi**2 - lo**2) / 2
                worst = max(worst, float(mp.quad(bent, points)) - 2 * math.exp(-gap / 2))
        try:
            modified_score._short_steps(s)
            held.append(True)
        except HypothesisFailed as failed:
            assert failed.step is not None
            held.append(False)
        assert held[-1] == (worst <= 0.0)
    assert True in held and False in held


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("roughness", lambda v: 0.999 * v),
        ("score_change", lambda v: 0.999 * v),
        ("terms", lambda v: v._replace(B=0.999 * v.B)),
        ("terms", lambda v: v._replace(start=0.99 * v.start)),
        ("terms", lambda v: v._replace(contraction=0.5 * v.contraction)),
        ("terms", lambda v: v._replace(top=0.999 * v.top)),
        ("terms", lambda v: v._replace(h=0.999 * v.h)),
    ],
)
def test_a_term_that_is_less_is_noticed(name: str, wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its numbers made smaller by itself: the total at few steps, by the formula, tells."""
    from formula_values import formula_value, quantities

    law = Gaussian(np.array([0.5]), np.array([0.4]))
    s = linear(1.0, 0.5, 1.0, 3, law)
    shown = formula_value(MODIFIED_SCORE.formula, quantities(s, "modified-score-bound"))
    assert MODIFIED_SCORE(s).total == pytest.approx(shown, rel=1e-9)
    original = getattr(modified_score, name)
    monkeypatch.setattr(modified_score, name, lambda *a: wrong(original(*a)))
    assert MODIFIED_SCORE.evaluate(s).total < shown * (1.0 - 1e-6)


def test_the_score_s_error_and_the_parts() -> None:
    law = Gaussian(np.array([0.5]), np.array([0.4]))
    s = linear(1.0, 0.5, 1.0, 3, law)
    biased = dataclasses.replace(s, score_bias=0.2)
    b = MODIFIED_SCORE(biased)
    assert b.score == pytest.approx(0.2 * 1.0 * 1.5, rel=1e-9)
    assert b.total == b.additive == pytest.approx(b.initialisation + b.discretisation + b.score)
    assert b.trivial == pytest.approx(math.sqrt(0.65), rel=1e-14) and b.vacuous


def test_it_is_a_scheme_for_vp_alone() -> None:
    law = Gaussian(np.zeros(1), np.array([0.5]))
    s = wbound.setting(wbound.process("ou", theta=1.0, sigma=1.0), law, 1.0, 3, scheme=MODIFIED_EI)
    with pytest.raises(BadInput, match="ei-modified"):
        EXACT_LAW(s)
