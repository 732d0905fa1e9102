"""K of the exact law at its worst: no spectrum that the facts allow is worse, and one is as bad."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import linprog, minimize_scalar

import wbound
from wbound.complexity.tables import table_data
from wbound.complexity.worst_spectrum import WorstSpectrum, worst_iterations
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.gaussian_law import exact_w2, law
from wbound.sampler.make_setting import setting

Array = np.ndarray


def squares(process: wbound.Process, v: Array, T: float, K: int, scheme: str) -> tuple[Array, Array]:
    """(√(ς²+e) − ς)² and (√(ς²+e′) − √(ς²+e))² of each variance, from the law itself."""
    data = Gaussian(np.zeros(v.size), v)
    exact, prior = (
        np.sqrt(np.maximum(v + law(setting(process, data, T, K, scheme=scheme, start=s), v).excess, 0.0))
        for s in ("exact", "prior")
    )
    return (exact - np.sqrt(v)) ** 2, (prior - exact) ** 2


def worst_by_programs(a: Array, b: Array, v: Array, mean: float) -> float:
    """The largest (∫a)^½ + (∫b)^½ over laws on v with this mean: linear programs along many directions of (a, b),
    and the best point between the two answers on either side of each."""
    corners = []
    for angle in np.linspace(0.0, 0.5 * math.pi, 41):
        got = linprog(
            -(math.cos(angle) * a / a.max() + math.sin(angle) * b / b.max()),
            A_eq=np.stack((np.ones(v.size), v)),
            b_eq=[1.0, mean],
        )
        corners.append((float(got.x @ a), float(got.x @ b)))
    along = np.linspace(0.0, 1.0, 101)[:, None]
    between = [
        (1.0 - along) * p + along * q for p, q in zip(np.array(corners), np.array(corners)[1:], strict=False)
    ]
    return float(np.sqrt(np.maximum(np.concatenate(between), 0.0)).sum(axis=1).max())


def facts_of(rng: np.random.Generator) -> LogConcave:
    d, low = int(rng.integers(1, 30)), 10.0 ** rng.uniform(-2, 1)
    high = low * 10.0 ** rng.uniform(0.0, 3.0)
    share = rng.choice([0.0, 1.0, rng.uniform()])
    return LogConcave(d, 1.0 / high, 1.0 / low, d * (low + share * (high - low)), 0.0)


@pytest.mark.parametrize("seed", range(12))
def test_the_worst_is_that_of_linear_programs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    facts, spectra = (facts := facts_of(rng)), WorstSpectrum(facts)
    process = wbound.process(str(rng.choice(wbound.PUBLISHED)))
    scheme = str(rng.choice(["em", "ei", "hf", "ddpm", "ode-hf", "ddim"]))
    T, K = float(process.time_of(rng.uniform(0.0, 6.0))), int(rng.integers(2, 60))
    runs = [
        law(setting(process, spectra.gaussian, T, K, scheme=scheme, start=s), spectra.sampled).excess
        for s in ("exact", "prior")
    ]
    found = spectra.worst(np.stack(runs))
    assert found.shares.sum() == pytest.approx(1.0) and found.shares.min() >= 0.0
    assert found.shares @ found.variances == pytest.approx(facts.second_moment / facts.d, rel=1e-9)
    # it is a spectrum that the facts allow, and the law itself says so of it
    a, b = squares(process, found.variances, T, K, scheme)
    own = math.sqrt(facts.d * found.shares @ a) + math.sqrt(facts.d * found.shares @ b)
    assert own == pytest.approx(found.total, rel=1e-6, abs=1e-9)
    low, high = 1.0 / facts.L0, 1.0 / facts.m0
    v = np.unique(np.clip(np.append(np.geomspace(low, high, 400), facts.second_moment / facts.d), low, high))
    a, b = squares(process, v, T, K, scheme)
    programs = math.sqrt(facts.d) * worst_by_programs(a, b, v, facts.second_moment / facts.d)
    assert programs == pytest.approx(found.total, rel=2e-3)


@pytest.mark.parametrize("seed", [0, 2, 10, 14])  # in the last two the worst has three variances
def test_the_two_errors_are_weighed_as_their_sum_asks(seed: int) -> None:
    """Bumps at different variances: the worst for one error is not the worst for the other, nor for their sum."""
    rng = np.random.default_rng(seed)
    facts = LogConcave(4, 0.02, 1.0, 4.0 * rng.uniform(3.0, 40.0), 0.0)
    spectra, at = WorstSpectrum(facts), rng.uniform(0.5, 3.5, 2)
    size = rng.uniform(0.05, 0.3, 2)

    def excess(v: Array) -> Array:
        first, second = (size[i] * np.exp(-((np.log(v) - at[i]) ** 2)) for i in (0, 1))
        return np.stack((v * first, v * (first - second)))

    found = spectra.worst(excess(spectra.sampled))
    mean = facts.second_moment / facts.d
    v = np.union1d(np.geomspace(1.0, 50.0, 2500), [mean])
    e, moved = excess(v)
    a = (np.sqrt(v + e) - np.sqrt(v)) ** 2
    b = (np.sqrt(v + moved) - np.sqrt(v + e)) ** 2

    def dual(theta: float) -> float:
        got = linprog(-(a / theta + b / (1.0 - theta)), A_eq=np.stack((np.ones(v.size), v)), b_eq=[1.0, mean])
        return math.sqrt(-facts.d * got.fun)

    # no spectrum is worse, and this one is as bad
    assert found.total == pytest.approx(
        minimize_scalar(dual, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-5}).fun, rel=1e-5
    )
    e, moved = excess(found.variances)
    root = np.sqrt(found.variances)
    own = [((np.sqrt(root**2 + e) - root) ** 2), (np.sqrt(root**2 + moved) - np.sqrt(root**2 + e)) ** 2]
    assert sum(math.sqrt(facts.d * found.shares @ x) for x in own) == pytest.approx(found.total, rel=1e-8)


@pytest.mark.parametrize("scheme", ["em", "hf", "ddim"])
def test_no_gaussian_with_these_facts_needs_more(scheme: str) -> None:
    """Random whole spectra at (T, K) stay below ε; at K − 1 no T of many serves all; more steps only help."""
    rng, process, eps = np.random.default_rng(3), wbound.process("vp-linear"), 0.3
    facts = LogConcave(8, 0.5, 4.0, 7.0, 0.0)
    found = worst_iterations(process, facts, eps, scheme=scheme)
    low, high = 1.0 / facts.L0, 1.0 / facts.m0
    for _ in range(30):
        v = rng.uniform(low, high, 8) if rng.uniform() < 0.5 else rng.choice([low, high], 8)
        mean, goal = v.mean(), facts.second_moment / facts.d
        # towards an end until the mean is right
        end, part = (
            (high, (goal - mean) / (high - mean)) if goal > mean else (low, (mean - goal) / (mean - low))
        )
        v = v + part * (end - v)
        a, b = squares(process, v, found.T, found.K, scheme)
        assert math.sqrt(a.sum()) + math.sqrt(b.sum()) <= eps * (1.0 + 1e-9)
        assert exact_w2(process, Gaussian(np.zeros(8), v), found.T, found.K, scheme=scheme) <= eps
        assert (
            wbound.exact_iterations(process, Gaussian(np.zeros(8), v), eps, scheme=scheme, T=found.T).K
            <= found.K
        )
    spectra = WorstSpectrum(facts)

    def worst(T: float, K: int) -> float:
        runs = [
            law(setting(process, spectra.gaussian, T, K, scheme=scheme, start=s), spectra.sampled).excess
            for s in ("exact", "prior")
        ]
        return spectra.worst(np.stack(runs)).total

    assert all(worst(T, found.K - 1) > eps for T in np.linspace(0.5 * found.T, 2.0 * found.T, 61))
    assert worst(found.T, found.K) <= eps
    assert all(worst(found.T, K) <= eps for K in range(found.K, 4 * found.K))


def test_what_an_isotropic_gaussian_hides() -> None:
    """em, vp-linear, five steps, from the prior: its errors cancel at one variance, not over a spread."""
    process, T, K = wbound.process("vp-linear"), 2.366, 5
    same, spread = np.full(100, 2.0), np.repeat([1.0, 2.0], 50)
    flattered, honest = (exact_w2(process, Gaussian(np.zeros(100), v), T, K) for v in (same, spread))
    assert flattered == pytest.approx(0.036, abs=5e-4) and honest == pytest.approx(0.63, abs=5e-3)
    one = wbound.exact_iterations(process, Gaussian(np.zeros(100), 2.0 * np.ones(100)), 0.2).K
    assert worst_iterations(process, LogConcave(100, 0.25, 1.0, 200.0, 0.0), 0.2).K > 2 * one


@pytest.mark.parametrize("name", wbound.PUBLISHED)
def test_between_the_exact_law_of_one_and_the_bound(name: str) -> None:
    process, data = wbound.process(name), table_data(10, 0.25, 1.0)
    facts = LogConcave(10, 0.25, 1.0, data.second_moment, 0.0)
    worst = worst_iterations(process, facts, 0.1).K
    assert wbound.exact_iterations(process, data, 0.1).K <= worst <= wbound.iterations(process, facts, 0.1).K


def test_facts_that_leave_one_law() -> None:
    process = wbound.process("ve-sqrt")
    facts, law_ = LogConcave(3, 0.5, 0.5, 6.0, 0.0), Gaussian(np.zeros(3), 2.0 * np.ones(3))
    assert worst_iterations(process, facts, 0.1).K == wbound.exact_iterations(process, law_, 0.1).K


def test_bad_input() -> None:
    process = wbound.process("ou")
    with pytest.raises(HypothesisFailed, match="centred"):
        worst_iterations(process, LogConcave(3, 0.5, 1.0, 6.0), 0.1)
    with pytest.raises(BadInput, match="eps"):
        worst_iterations(process, LogConcave(3, 0.5, 1.0, 5.0, 0.0), -1.0)
