"""For whom a floor holds, and how far κ of samples is to be trusted."""

from __future__ import annotations

import numpy as np
import pytest

import wbound
from numerics.studies.floors_by_sampler import conditioning, floor_values, floors
from wbound.errors import BadInput


def test_floors_of_the_three() -> None:
    rows = floors(0.01, 1e6)
    assert [(r.sampler, r.evaluations) for r in rows] == [("hf", 200), ("ddim", 123), ("affine", 5)]
    assert floor_values(1e6, 2) == [wbound.affine_floor(1e6, K) for K in range(3)]
    # from a start that is near fewer steps are enough
    near = floors(0.01, 1e6, far=4.0)
    assert [r.evaluations for r in near] == [
        wbound.lower_bound(1, 1.0, 0.01, 4.0).steps,
        wbound.ddim_iterations(1, 1.0, 0.01, 4.0).steps,
        5,
    ]
    assert near[0].evaluations < 80 and "4 σ_0²" in near[0].whose and "∞" in rows[0].whose
    assert floors(0.01, 1.0, ("affine",))[0].evaluations == 0


def test_kappa_of_samples_is_within_its_interval() -> None:
    """90 % intervals hold the true κ in most of 40 data sets; small n says so by what it shows where κ = 1."""
    rng, inside = np.random.default_rng(0), 0
    for seed in range(40):
        x = rng.normal(size=(1500, 3)) * [1.0, 3.0, 10.0]
        known = conditioning(np.linalg.eigvalsh(np.cov(x, rowvar=False)), x, seed)
        assert known.low is not None and known.high is not None
        inside += known.low <= 100.0 <= known.high
    assert inside >= 30
    x = rng.normal(size=(400, 40))
    known = conditioning(np.linalg.eigvalsh(np.cov(x, rowvar=False)), x)
    assert known.alone == pytest.approx(known.kappa, rel=0.3)


def test_what_does_not_vary_is_left_out_and_said() -> None:
    x = np.random.default_rng(1).normal(size=(200, 4)) * [1.0, 2.0, 3.0, 0.0]
    known = conditioning(np.linalg.eigvalsh(np.cov(x, rowvar=False)), x)
    assert known.left_out == 1 and known.directions == 3 and known.kappa < 20
    rare = np.hstack((x, (np.arange(200) == 7)[:, None] * 1.0))
    again = conditioning(np.linalg.eigvalsh(np.cov(rare, rowvar=False)), rare)
    assert 0 < again.vanished < 60


def test_refusals() -> None:
    with pytest.raises(BadInput, match="more samples than dimensions"):
        conditioning(np.ones(5), np.ones((4, 5)))
    with pytest.raises(BadInput, match="must vary"):
        conditioning(np.zeros(2))
    assert conditioning(np.array([1.0, 4.0])).low is None
