"""What is said of data that are far from the Gaussian with their moments."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from numerics.targets.gaussian_surrogate import FAR, departures
from wbound.errors import BadInput

RNG = np.random.default_rng(3)
NORMAL = RNG.standard_normal((3000, 3)) @ np.diag([3.0, 1.0, 0.2])


def kinds(samples: np.ndarray) -> list[str]:
    return [one.kind for one in departures(samples)]


def test_normal_data_have_none() -> None:
    assert kinds(NORMAL) == []
    assert kinds(RNG.standard_normal((30, 4))) == []  # few samples are noisy, and noise is no finding


@pytest.mark.parametrize(
    ("name", "kind"), [("laplace", "tails"), ("uniform", "clusters"), ("t", "tails"), ("two", "clusters")]
)
def test_tails_and_clusters(name: str, kind: str) -> None:
    n = (4000, 2)
    samples = {
        "laplace": RNG.laplace(size=n),
        "uniform": RNG.random(n),
        "t": RNG.standard_t(3, n),
        "two": np.where(RNG.random(n) < 0.5, -7.0, 7.0) + 0.1 * RNG.standard_normal(n),
    }[name]
    found = [one for one in departures(samples - samples.mean(axis=0)) if one.kind != "centre"]
    assert [one.kind for one in found] == [kind] and found[0].size > FAR
    if name == "two":  # W2 of two points from N(0, 1): √(2 − 2E|Z|)
        assert found[0].size == pytest.approx(math.sqrt(2.0 - 2.0 * math.sqrt(2.0 / math.pi)), rel=0.03)
    if name == "laplace":
        kept, _ = integrate.quad(
            lambda u: stats.norm.ppf(u) * stats.laplace.ppf(u) / math.sqrt(2.0), 0.0, 1.0
        )
        assert found[0].size == pytest.approx(math.sqrt(2.0 - 2.0 * kept), rel=0.15)


def test_clusters_across_the_coordinates_and_along_one_of_many() -> None:
    turned = np.linalg.qr(RNG.standard_normal((40, 40)))[0]
    x = RNG.standard_normal((2000, 40))
    x[:, 0] = np.where(x[:, 0] < 0.0, -6.0, 6.0) + 0.1 * RNG.standard_normal(2000)
    assert kinds(x @ turned) == ["clusters"]
    x[:, 0] *= 1.0 / 6.0  # of no larger variance than the rest: only a coordinate shows it
    assert "clusters" in kinds(x)


def test_the_mean_and_few_samples() -> None:
    assert kinds(NORMAL + np.array([5.0, 0.0, 0.0])) == ["centre"]
    found = departures(RNG.standard_normal((20, 30)))
    assert [one.kind for one in found] == ["few"] and found[0].size == pytest.approx(2.0 / 3.0)
    assert "20 samples for 30 dimensions" in found[0].text


def test_what_is_no_samples_is_refused() -> None:
    for wrong in (np.ones(4), np.ones((1, 3)), np.array([["a"], ["b"]])):
        with pytest.raises(BadInput, match="data"):
            departures(wrong)
