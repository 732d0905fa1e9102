"""Samples against a referee's law: the textbook's statistics, their level, and the joint law's share of the risk."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from numerics import Gaussian, SymmetricMixture
from numerics.laws.sde_on_line import LineLaw, law1d
from numerics.samplers.sampling import samples
from numerics.verification import verdict
from numerics.verification.law_test import RISK, _statistics, agreement, levels
from numerics.verification.uniformity import departure
from numerics.verification.verdict import verify
from wbound.forward.catalogue import process
from wbound.sampler.make_setting import setting

Array = NDArray[np.float64]
VP, MIXTURE = process("vp-linear"), SymmetricMixture(0.8, 1.0)


def _plane() -> tuple[Any, Array, tuple[LineLaw, ...]]:
    """A Gaussian in the plane, 20,000 outputs, and their laws."""
    target = Gaussian(np.zeros(2), [2.0, 2.0])
    s = setting(VP, target, 4.0, 100, scheme="hf")
    return target, samples(s, 20_000, 0, progress=False), law1d(s).factors


def test_the_comparison_of_laws_is_calibrated() -> None:
    s = setting(VP, MIXTURE, 3.0, 8, scheme="ddpm")
    laws = law1d(s).factors
    found = []
    for seed in range(40):
        v = verify(VP, MIXTURE, 3.0, 8, scheme="ddpm", n=16, seed=seed)
        assert v.agreement is not None
        found.append(v.agreement.p)
    # three statistics and Bonferroni: p is at least uniform, and not always 1
    assert 1e-3 < min(found) < 0.3 and np.mean(np.array(found) < 0.5) < 0.6
    x = MIXTURE.sample(verdict.ROWS, 0)  # the target's own law is another one
    off = agreement(MIXTURE, x, laws)
    assert off is not None and off.p < RISK and not off.holds
    assert agreement(MIXTURE, x[:100], laws) is None


def test_the_statistics_are_the_textbook_ones() -> None:
    variance, n = 2.0, 5000
    s = setting(VP, Gaussian([0.0], variance), 4.0, 50, scheme="hf", start="exact")
    (law,) = law1d(s).factors
    v = (math.sqrt(variance) + law.w2) ** 2  # N(0, v): from p_T hf leaves the variance too large
    x = np.random.default_rng(5).normal(0.05, 1.02 * math.sqrt(v), n)
    (p_mean, _, z_mean), (_, _, z_variance), (p_law, _, distance) = _statistics(x, law)
    assert z_mean == pytest.approx(x.mean() * math.sqrt(n / v), rel=1e-9)
    assert z_variance == pytest.approx((np.mean(x**2) - v) / math.sqrt(2.0 * v**2 / n), rel=1e-9)
    assert p_mean == pytest.approx(2.0 * stats.norm.sf(abs(z_mean)), rel=1e-9)
    test = stats.kstest(x, "norm", args=(0.0, math.sqrt(v)), method="asymp")
    assert distance == pytest.approx(math.sqrt(n) * test.statistic, abs=1e-2)
    assert p_law == pytest.approx(test.pvalue, rel=0.1) and p_law < 0.05


def test_a_few_hundred_rows_are_tested_too() -> None:
    target, x, laws = _plane()
    right, wrong = x[:300], x[:300, [0, 0]]
    found = [agreement(target, one, laws) for one in (right, wrong, right[:199])]
    assert found[0] is not None and found[0].holds and found[0].n == 600
    assert found[1] is not None and not found[1].holds
    assert found[2] is None


def test_the_tests_of_factors_and_of_the_joint_law_share_the_risk() -> None:
    target, x, laws = _plane()
    few = x[:900, [0, 1]].copy()
    few[:, 1] = 0.8 * few[:, 1] + 0.6 * few[:, 0]
    off = departure(levels(target, few, laws))
    alone = agreement(target, few, laws)  # 1800 values: too few for the tests of factors
    assert alone is not None and alone.p == pytest.approx(math.exp(off.log_p)) and alone.p < RISK
    more = np.concatenate((few, few[:300] + 0.4))
    found = agreement(target, more, laws)
    single = [p for p, _, _ in _statistics(more.ravel(), laws[0])]
    joint = math.exp(departure(levels(target, more, laws)).log_p)
    assert found is not None and found.p == pytest.approx(2.0 * min(3.0 * min(single), joint))
    shifted = x[:1500] + 0.2
    found = agreement(target, shifted, laws)
    single = [p for p, _, _ in _statistics(shifted.ravel(), laws[0])]
    joint = math.exp(departure(levels(target, shifted, laws)).log_p)
    assert 3.0 * min(single) < joint  # here it is the mean
    assert (
        found is not None
        and found.p == pytest.approx(6.0 * min(single))
        and found.statistic == "mean of the coordinates"
    )
