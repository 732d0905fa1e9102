"""Where a search for σ_max stops: more of it gains less than 1 %, and float32 follows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbound.data.gaussian import Gaussian
from wbound.design.largest_level import DECADE, HELD, LEAST_GAIN, enough, float32_holds, float32_rounding
from wbound.design.placed_numerically import HIGHEST, numerical_grid


def test_an_inner_minimum_stays() -> None:
    assert enough(lambda u: 1.0 + (u - 3.0) ** 2, 3.0, 1.0, -6.0) == (3.0, 1.0, None, 3.0)


@given(st.floats(-3.0, 6.0), st.floats(0.01, 100.0), st.floats(0.2, 2.0))
def test_a_falling_tail_stops_where_the_rest_gains_a_percent(
    scale: float, weight: float, power: float
) -> None:
    """error = 1 + weight·(λ/scale)^(−power): never a minimum; the answer's formula is known."""

    def error(u: float) -> float:
        return 1.0 + weight * math.exp(-power * (u - scale))

    far = scale + 60.0
    level = enough(error, far, error(far), -40.0)
    rest = error(far) / (1.0 - LEAST_GAIN) - 1.0
    expected = max(scale - math.log(rest / weight) / power, -40.0)
    assert level.limit == "gain" and level.farthest == far
    assert level.log_lam == pytest.approx(expected, abs=5e-3)
    assert level.error == error(level.log_lam) <= error(far) / (1.0 - LEAST_GAIN)


def test_where_the_search_had_to_end_the_limit_is_named_only_if_it_binds() -> None:
    def steep(u: float) -> float:
        return math.exp(-u)

    level = enough(steep, 5.0, steep(5.0), -6.0, "float32")
    assert level.limit == "float32" and 5.0 - 0.02 < level.log_lam <= 5.0
    flat = enough(lambda u: 1.0 + math.exp(-u), 30.0, 1.0, -6.0, "float32")
    assert flat.limit == "gain" and flat.log_lam < 30.0 - DECADE


@pytest.mark.parametrize("seed", range(12))
def test_rounding_of_one_step_in_float32(seed: int) -> None:
    """x + d·(σ_k − σ_{k−1}), each product and sum in float32, against float64: within a few times what is said."""
    rng = np.random.default_rng(seed)
    log_variance, gaps = rng.uniform(-3.0, 3.0), rng.uniform(0.05, 12.0, rng.integers(1, 5))
    sigma = 1e4 * np.exp(-np.cumsum([0.0, *gaps])) * rng.uniform(1.0, 10.0)
    sigma = sigma[sigma > 1e-5]
    log_lam = np.append(2.0 * np.log(sigma), -np.inf)
    rounding = float32_rounding(log_lam, log_variance)
    assert float32_holds(log_lam, log_variance) == (rounding <= HELD)
    s2 = math.exp(log_variance)
    rounding = float32_rounding(log_lam, log_variance)
    assert float32_holds(log_lam, log_variance) == (rounding <= HELD)
    worst = 0.0
    for a, b in zip([*sigma[1:], 0.0], sigma, strict=True):
        x = (math.sqrt(s2 + b * b) * rng.standard_normal(400)).astype(np.float32)
        last, first = np.float32(a), np.float32(b)
        true = x.astype(float) * (s2 + float(last) * float(first)) / (s2 + float(first) ** 2)
        noise = (x - (np.float64(x) * s2 / (s2 + float(first) ** 2)).astype(np.float32)) / first
        moved = x + noise * (last - first)
        worst = max(worst, float(np.sqrt(np.mean((moved - true) ** 2) / (s2 + a * a))))
    assert worst <= 3.0 * rounding + 1e-6
    assert worst >= 0.05 * rounding - 1e-6


DIGITS_LIKE = Gaussian(np.array([20.0, 5.0, 1.0, 0.5]), np.array([180.0, 60.0, 9.0, 0.4]))


@pytest.mark.parametrize("scheme", ["ddim", "ddpm", "hf", "heun", "ode-hf"])
@pytest.mark.parametrize("K", [1, 3, 8, 20])
def test_numerical_grids_stop(scheme: str, K: int) -> None:
    for data in (DIGITS_LIKE, Gaussian(np.zeros(2), np.array([1.0, 0.3])), Gaussian(np.full(3, 30.0), 1.0)):
        found = numerical_grid(data, K, objective="exact", scheme=scheme, start="prior")
        log_lam = np.append(np.log(found.lam[:-1]), -np.inf)
        scale = math.sqrt(float(data.eigenvalues.mean()))
        assert float32_holds(log_lam, 2.0 * math.log(scale))
        assert math.sqrt(found.lam[0]) < 1e7 * scale
        if found.limit is None:
            assert found.last_decade is None
            continue
        assert found.limit in ("gain", "float32", "range") and found.last_decade is not None
        if found.limit == "range":  # heun, exact at every eigenvalue: the start's error is all there is
            assert scheme == "heun" and found.lam[0] > math.exp(HIGHEST - DECADE) * scale**2
            assert found.last_decade > 0.89
        if (
            found.limit == "float32"
        ):  # heun on one variance is exact, and the start's error ~ 1/σ_max is all there is
            more = numerical_grid(
                data, K, 1e2 * found.lam[0], objective="exact", scheme=scheme, start="prior"
            )
            rest = np.append(np.log(more.lam[:-1]), -np.inf)
            assert scheme == "heun" and float32_rounding(rest, 2.0 * math.log(scale)) > 0.1 * HELD
        for times in (
            (10.0, 1e3) if found.limit == "gain" else ()
        ):  # more of it gains less than 1 %, with nodes of its own
            more = numerical_grid(
                data, K, times**2 * found.lam[0], objective="exact", scheme=scheme, start="prior"
            )
            assert more.value > found.value * (1.0 - 1.1 * LEAST_GAIN)
        less = numerical_grid(data, K, 0.01 * found.lam[0], objective="exact", scheme=scheme, start="prior")
        gained = 1.0 - found.value / less.value
        if scheme == "heun":  # not convex: a search may stop short of the optimum, but no gain is overstated
            assert found.last_decade <= 1.05 * gained
        else:
            assert found.last_decade == pytest.approx(gained, rel=0.05)
        assert found.last_decade > LEAST_GAIN
