"""How accurate the score must be: its weight by quadrature, closed forms, and K on either side of the tolerance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from sums_by_quadrature import integrals

import wbound
from wbound.complexity.order_formulas import EPS, D, derive
from wbound.complexity.tolerance_search import score_tolerance, score_weight
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, HypothesisFailed, Unreachable
from wbound.forward.forward_process import Process

PUBLISHED = wbound.PUBLISHED
DATA = LogConcave(d=10, m0=1.0, L0=1.0, second_moment=10.0, mean_norm=0.0)


@pytest.mark.parametrize("name", [*PUBLISHED, "sub-vp"])
def test_score_weight_by_quadrature(name: str) -> None:
    p = wbound.process(name)
    T = float(p.time_of(8.0))
    assert score_weight(p, DATA, T) == pytest.approx(integrals(p, 8.0)["score"], rel=1e-5)


def test_score_tolerance_in_closed_form_for_exploding_noise() -> None:
    """max over y = 1 + λ of (ε − √10/y)/log y, the same for every VE process."""
    eps = 1e-3
    y = np.geomspace(1e3, 1e9, 2_000_001)
    best = float(((eps - math.sqrt(10.0) / y) / np.log(y)).max())
    for name in ("ve-exponential", "ve-constant", "ve-sqrt", "ve-polynomial"):
        assert score_tolerance(wbound.process(name), DATA, eps, theorem="published") == pytest.approx(
            best, rel=1e-6
        )


def test_a_share_of_epsilon_for_the_score() -> None:
    p, eps = wbound.process("ve-constant"), 0.1
    y = np.geomspace(10.0, 1e6, 2_000_001)
    best = float((np.minimum(0.5 * eps, eps - math.sqrt(10.0) / y) / np.log(y)).max())
    assert score_tolerance(p, DATA, eps, theorem="published", share=0.5) == pytest.approx(best, rel=1e-5)


def test_score_tolerance_follows_its_order() -> None:
    for name in ("ve-constant", "vp-linear"):
        p = wbound.process(name)
        order = sp.lambdify((D, EPS), derive(p).M)
        ratios = [score_tolerance(p, DATA, e, theorem="published") / order(10, e) for e in (1e-8, 1e-12)]
        assert ratios[1] == pytest.approx(ratios[0], rel=0.1)


@pytest.mark.parametrize("theorem", ["published", "sharp"])
def test_below_the_tolerance_some_K_works_and_above_none(theorem: str) -> None:
    p, eps = wbound.process("vp-linear"), 0.05
    M = score_tolerance(p, DATA, eps, theorem=theorem)
    a2 = {"M1": 1.0} if theorem == "published" else {}
    assert (
        wbound.complexity.least_steps.iterations(p, DATA, eps, theorem=theorem, score_bias=0.98 * M, **a2).K
        >= 1
    )
    with pytest.raises(Unreachable):
        wbound.complexity.least_steps.iterations(p, DATA, eps, theorem=theorem, score_bias=1.02 * M, **a2)


@pytest.mark.parametrize("name", ["vp-linear", "ve-sqrt", "sub-vp"])
def test_the_tolerance_of_an_ode(name: str) -> None:
    """Below it some K works, above it none; its weight is the limit of Eq. 15's sum of c_kα_{k−1}."""
    p, eps = wbound.process(name), 0.3
    T = float(p.time_of(4.0))
    for scheme in ("ode-hf", "ddim", "ode-ei"):
        limit = score_weight(p, DATA, T, scheme)
        score = wbound.w2_bound(p, DATA, T, 20_000, scheme=scheme, score_bias=1.0).score
        assert score == pytest.approx(limit, rel=2e-3)
    M = score_tolerance(p, DATA, eps, scheme="ddim")
    assert M < score_tolerance(p, DATA, eps, scheme="hf")  # the ODE contracts as the root only
    assert wbound.iterations(p, DATA, eps, scheme="ddim", score_bias=0.98 * M).K >= 1
    with pytest.raises(Unreachable):
        wbound.iterations(p, DATA, eps, scheme="ddim", score_bias=1.02 * M)


def test_the_tolerance_of_an_ode_in_closed_form_for_exploding_noise() -> None:
    """Without the mean: max over y = 1 + λ of (ε − √(10/y))/(√y − 1)."""
    data, eps = LogConcave(d=10, m0=1.0, L0=1.0, second_moment=10.0), 1e-2
    y = np.geomspace(1e5, 1e10, 2_000_001)
    best = float(((eps - np.sqrt(10.0 / y)) / (np.sqrt(y) - 1.0)).max())
    for name in ("ve-exponential", "ve-constant", "ve-sqrt"):
        assert score_tolerance(wbound.process(name), data, eps, scheme="ode-hf") == pytest.approx(
            best, rel=1e-6
        )


def test_score_tolerance_refuses() -> None:
    p = wbound.process("ou")
    with pytest.raises(Unreachable, match=r"floor 2\.1"):
        score_tolerance(Process(f="0", g="exp(-t/2)/(1+exp(-t))"), LogConcave(10, 1.0, 1.0, 10.0), 0.1)
    with pytest.raises(HypothesisFailed, match="scheme em"):
        score_tolerance(p, DATA, 0.1, theorem="published", scheme="hf")
    for bad in ({"share": 1.5}, {"share": 0.0}, {"start": "exact"}, {"theorem": "x"}):
        with pytest.raises(BadInput):
            score_tolerance(p, DATA, 0.1, **bad)
