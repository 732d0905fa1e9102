"""The least number of steps, against a search one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numerics.schedules.fewest_steps import fewest


@pytest.mark.parametrize("seed", range(40))
def test_against_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    most, power = int(rng.integers(1, 400)), float(rng.uniform(0.3, 3.0))
    falls = np.minimum.accumulate(
        np.arange(1, most + 1.0) ** -power * np.exp(0.2 * rng.standard_normal(most))
    )
    falls[: min(int(rng.integers(0, 3)), most - 1)] = math.inf
    asked: list[int] = []

    def error(K: int) -> float:
        asked.append(K)
        return float(falls[K - 1])

    for eps in (2.0, 0.3, float(falls[-1]), 0.99 * float(falls[-1])):
        for order in (1, 2):
            asked.clear()
            enough = np.flatnonzero(falls <= eps)
            found = fewest(error, eps, int(rng.integers(1, most + 1)), most, order)
            assert found == (int(enough[0]) + 1 if enough.size else None)
            assert len(asked) <= 40 and all(1 <= K <= most for K in asked)


@pytest.mark.parametrize("guess", [1, 3, 7, 40, 5000])
@pytest.mark.parametrize("eps", [0.9, 0.1, 0.031, 1e-3])
def test_of_a_known_function(guess: int, eps: float) -> None:
    seen: list[int] = []

    def w2(K: int) -> float:
        seen.append(K)
        return 1.0 / K + 3.0 / K**2

    K = fewest(w2, eps, guess, 10**8, 1)
    assert K is not None
    calls = len(seen)
    assert w2(K) <= eps < (w2(K - 1) if K > 1 else math.inf)
    assert calls < 30
    assert fewest(lambda K: 1.0, 0.5, guess, 1000, 1) is None
