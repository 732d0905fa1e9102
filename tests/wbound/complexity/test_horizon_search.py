"""The best T from few passes over horizons: how many, and that no T near it needs fewer steps."""

import math

import numpy as np
import pytest

import wbound
from wbound.complexity import horizon_search
from wbound.complexity.horizon_search import solve_K
from wbound.data.gaussian import Gaussian
from wbound.summation.criterion import Value
from wbound.summation.step_sums import Quality
from wbound.typing import Array

CASES = [
    ("vp-linear", "em", 1e-8),
    ("ve-constant", "hf", 1e-8),
    ("ve-sqrt", "em", 1e-3),
    ("ou", "ddpm", 1e-8),
]


@pytest.mark.parametrize(("name", "scheme", "eps"), CASES)
def test_no_horizon_near_the_best_needs_fewer_steps(name: str, scheme: str, eps: float) -> None:
    p, data = wbound.process(name), Gaussian(np.zeros(10), 1.0)
    best = wbound.iterations(p, data, eps, scheme=scheme)
    for share in (0.97, 0.99, 1.01, 1.03):
        near = wbound.iterations(p, data, eps, scheme=scheme, T=share * best.T)
        assert near.K > best.K * (1.0 - 3e-6)


def test_a_search_of_equal_steps_takes_few_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    plain = horizon_search._of_equal_steps

    def counted(criterion, *rest):  # type: ignore[no-untyped-def]
        def own(T: Array, K: Array, quality: Quality) -> list[Value]:
            looks.append(T.size)
            return list(criterion(T, K, quality))

        return plain(own, *rest)

    monkeypatch.setattr(horizon_search, "_of_equal_steps", counted)
    wbound.iterations(wbound.process("vp-linear"), Gaussian(np.zeros(10), 1.0), 1e-8)
    assert looks == [horizon_search.PLACES.size]  # where the power law holds one pass is enough


def test_a_power_that_is_not_the_laws_is_measured() -> None:
    """A bound like K^{−1} log K, ddpm's: without its slope a dozen evaluations, each a part nearer."""
    seen = 0

    def criterion(T: Array, K: Array, quality: Quality) -> list[Value]:
        nonlocal seen
        seen += K.size
        return [Value(0.0, 1e3 * math.log(k) / k) for k in K]

    K, value = solve_K(criterion, 1.0, 1e12, 1e-8, 1.0)
    assert value.total <= 1e-8 < 1e3 * math.log(K * (1.0 - 2e-9)) / (K * (1.0 - 2e-9))
    assert seen <= 6
