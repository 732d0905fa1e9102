"""Smoothed digits, sampled with their exact score, beside held-out digits."""

from __future__ import annotations

import numpy as np
import pytest

from numerics.targets.datasets import digits
from numerics.verification.held_out_samples import held_out
from wbound.errors import BadInput


def test_digits() -> None:
    """τ = 1 on the scale 0–16: samples are as far from the held-out half as fresh smoothed data are."""
    from sklearn.datasets import load_digits

    points = load_digits().data
    assert points.shape[1] == digits().d
    got = held_out(points, 1.0, K=200, n=1000)
    assert got.samples.shape == (1000, 64) and got.pairs == 898
    assert got.w2 == pytest.approx(got.floor_smoothed, rel=0.02)
    assert got.floor < got.floor_smoothed
    assert got.bound is not None and got.bound.vacuous and got.bound.statement == "Theorem 2'"
    assert got.to_dict()["vacuous"] is True


def test_heun_needs_fewer_steps_and_has_no_bound() -> None:
    points = np.random.default_rng(0).normal(size=(60, 2, 3)) * 4.0
    got = held_out(points, 0.5, K=40, n=200, scheme="heun", seed=3)
    assert got.bound is None and got.to_dict()["bound"] is None
    assert got.target.shape == (2, 3) and got.pairs == 30
    assert got.w2 < 1.5 * got.floor_smoothed


@pytest.mark.parametrize(
    ("points", "said"),
    [(np.zeros((3, 2)), "points = shape"), (np.zeros(9), "points = shape"), ("text", "points = str")],
)
def test_refusals(points: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        held_out(points, 1.0)  # type: ignore[arg-type]
