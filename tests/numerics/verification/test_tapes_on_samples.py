"""Tapes on a user's own samples: where data are Gaussian it is the exact law, where they are clusters the order turns."""

from __future__ import annotations

import numpy as np
import pytest

import wbound
from numerics.targets.products import Gaussian
from numerics.verification.tapes_on_samples import run_on_samples, smoothing_of
from wbound.errors import BadInput
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.make_setting import setting
from wbound.sampler.tape import Tape
from wbound.sampler.tape_of_scheme import tape_of


def tape(scheme: str, K: int, variance: float) -> Tape:
    data = Gaussian([0.0], [[variance]])
    return tape_of(setting(wbound.process("ve-sqrt", a=1.0), data, scheme=scheme, grid="edm", T=200.0, K=K))


def test_on_normal_samples_it_is_the_exact_law_of_the_smoothed_ones() -> None:
    x = 1.0 + 2.0 * np.random.default_rng(0).standard_normal((600, 1))
    of = tape("ddim", 4, 4.0)
    found = run_on_samples(x, [of], tau=0.2)
    known = tape_law(of, [float(x.var()) + 0.04]).w2(float(x.mean()))
    assert known > 0.5 and found.values[0] == pytest.approx(known, rel=0.03)
    assert found.draws == 600 and found.tau == 0.2 and found.floor < 0.1 * known


def test_clusters_turn_the_order_of_the_gaussian() -> None:
    """On ±7 of width 0.1 the Gaussian puts unipc-3 far before ddim at 10 steps; on the samples it is behind."""
    x = np.repeat([-7.0, 7.0], 120)[:, None] + 0.1 * np.random.default_rng(0).standard_normal((240, 1))
    tapes = [tape(scheme, 10, float(x.var())) for scheme in ("unipc-3", "ddim")]
    gaussian = [tape_law(one, [float(x.var())]).w2() for one in tapes]
    found = run_on_samples(x, tapes)
    assert gaussian[0] < 0.2 * gaussian[1]
    assert found.values[0] > 1.5 * found.values[1] > 3.0 * found.floor
    assert found.spread < 0.2 * (found.values[0] - found.values[1])
    again = run_on_samples(x, tapes)
    assert again == found


def test_the_smoothing_is_half_the_distance_of_neighbours() -> None:
    x = np.arange(40.0)[:, None] * np.ones((1, 4))  # neighbours are 2 apart, 1 a coordinate
    assert smoothing_of(x) == pytest.approx(0.5)
    assert smoothing_of(np.repeat(x, 3, axis=0)) == pytest.approx(0.5)  # copies are no neighbours
    with pytest.raises(BadInput, match="differ"):
        smoothing_of(np.ones((5, 2)))


@pytest.mark.parametrize("samples", [np.ones(5), np.ones((3, 2)), np.array([["a"], ["b"], ["c"], ["d"]])])
def test_what_is_no_samples_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(BadInput, match="data"):
        run_on_samples(samples, [tape("ddim", 2, 1.0)])
