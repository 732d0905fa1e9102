"""Densities on a grid: interpolation, tails, maps and noise, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from numerics.laws.density import Density, convolve, of_function
from numerics.laws.mapped_density import Pushed
from numerics.targets.line_laws import Normal, Pair
from wbound.errors import IOFailure

Array = NDArray[np.float64]


def _normal(mean: float, variance: float, n: int = 200) -> Density:
    line, width = Normal(mean, variance), 9.8 * math.sqrt(variance)
    return of_function(line.log_density, mean - width, mean + width, n)


def test_a_density_between_its_nodes() -> None:
    pair = Pair(1.5, 0.8)
    density = of_function(pair.log_density, -40.0, 40.0, 240)
    assert 200 <= density.log_p.size <= 280 and density.z[0] > -12.0  # only where it carries mass
    x = np.linspace(-6.0, 6.0, 101)
    assert np.allclose(density.at(x), pair.log_density(x), atol=1e-9)
    lower, upper = density.tails(x)
    assert np.allclose(lower, pair.tails(x)[0], rtol=1e-9) and np.allclose(upper, pair.tails(x)[1], rtol=1e-9)
    assert np.allclose(density.node_tails[0], pair.tails(density.z)[0], rtol=3e-2)  # the last cell too
    fine = density.split(4)
    assert fine.h == density.h / 4.0 and np.allclose(fine.log_p, pair.log_density(fine.z), atol=1e-6)
    assert np.allclose(fine.log_p[80:-80], pair.log_density(fine.z[80:-80]), atol=1e-9)


@pytest.mark.parametrize("variance", [4.0, 0.3, 1e-2, 1e-4, 1e-6, 1e-14])
@pytest.mark.parametrize("slope", [0.7, -1.3])
def test_normals_stay_normal(variance: float, slope: float) -> None:
    """Wide noise, noise that needs more nodes, and noise narrower than any: aZ + b + √Q ξ is normal."""
    out = convolve(_normal(0.4, 1.5), lambda z: slope * z + 0.2, variance, 200)
    exact = Normal(0.4 * slope + 0.2, slope**2 * 1.5 + variance)
    inner = np.abs(out.z - exact.mean) < 8.5 * math.sqrt(exact.variance)
    assert np.allclose(out.log_p[inner], exact.log_density(out.z[inner]), atol=2e-9)
    assert 100 < out.log_p.size <= 260


def _bent(z: Array) -> Array:
    return np.asarray(z + 0.45 * np.tanh(2.0 * z), float)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_narrow_noise_after_a_bent_map(sign: float) -> None:
    """The change of variables: p(z)/m′(z), m′ from 1.9 at the middle to 1."""
    out = convolve(_normal(0.3, 1.0, 300), lambda z: sign * _bent(z), 1e-12, 300)
    z = np.linspace(-4.0, 4.0, 33)
    exact = Normal(0.3, 1.0).log_density(z) - np.log1p(0.9 / np.cosh(2.0 * z) ** 2)
    assert np.allclose(out.at(sign * _bent(z)), exact, atol=1e-6)
    # noise that both ways can treat: they agree
    wide = convolve(_normal(0.3, 1.0, 4000), lambda z: sign * _bent(z), 2e-5, 300)
    narrow = convolve(_normal(0.3, 1.0, 200), lambda z: sign * _bent(z), 2e-5, 300)
    assert np.allclose(narrow.at(z), wide.at(z), atol=1e-6)


def test_a_map_that_turns() -> None:
    """|Z|-like: √(1+Z²) + noise, against the same by a sum over 20,001 points."""
    density = _normal(0.0, 1.0, 300)

    def turn(z: Array) -> Array:
        return np.asarray(np.sqrt(1.0 + z * z), float)

    out = convolve(density, turn, 1e-3, 1600)
    z = np.linspace(-9.0, 9.0, 20_001)
    x = np.array([0.95, 1.0, 1.05, 1.3, 2.0])
    weight = np.exp(-0.5 * z * z) / np.exp(-0.5 * z * z).sum()
    exact = np.exp(-0.5 * (x[:, None] - turn(z)) ** 2 / 1e-3) @ weight / math.sqrt(2e-3 * math.pi)
    assert np.allclose(np.exp(out.at(x)), exact, rtol=1e-5)
    with pytest.raises(IOFailure, match="not monotone"):
        convolve(density, turn, 1e-13, 400)
    with pytest.raises(OverflowError):
        convolve(density, lambda z: z + math.inf, 1.0, 400)


def test_w2_of_a_pushed_normal() -> None:
    """Affine images of a normal to a normal: (mean difference)² + (difference of widths)²."""
    density = _normal(0.4, 1.5)
    for slope, shift in ((1.0, 0.0), (0.6, 0.3), (-2.0, 1.0), (1e-9, 0.5)):
        pushed = Pushed(density, lambda z, a=slope, b=shift: a * z + b)
        line = Normal(-0.3, 0.8)
        gap = abs(slope) * math.sqrt(1.5) - math.sqrt(0.8)
        exact = math.hypot(slope * 0.4 + shift + 0.3, gap)
        assert pushed.w2(line) == pytest.approx(exact, rel=1e-9)
    assert Pushed(density).w2(Normal(0.4, 1.5)) < 1e-9
    assert Pushed(density, None, 2.0).w2(Normal(0.8, 6.0)) < 1e-9
    x, p = Pushed(density, lambda z: -2.0 * z).curve()
    assert np.allclose(np.cumsum(p) * (x[1] - x[0]), ndtr((x + 0.8) / math.sqrt(6.0)), atol=2e-2)
