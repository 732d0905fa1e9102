"""A tape on the line: against the exact law of normals, and the law of the scheme that it is a tape of."""

from __future__ import annotations

import math

import numpy as np
import pytest

import wbound
from numerics.laws.ode_on_line import pushed_w2
from numerics.laws.tape_on_line import tape_map, tape_w2_on_line
from numerics.targets.line_laws import Normal, Pair
from numerics.targets.products import SymmetricMixture
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import phase_levels
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import setting
from wbound.sampler.multistep import ddim, multistep_named
from wbound.sampler.pure_noise import from_pure_noise
from wbound.sampler.tape_of_scheme import tape_of

LEVELS = np.append(np.geomspace(400.0, 1e-3, 6), 0.0)


@pytest.mark.parametrize("name", ["phase", "dpmpp-2m", "unipc-3"])
@pytest.mark.parametrize("variance", [0.5, 30.0])
def test_normals(name: str, variance: float) -> None:
    """Off the triangular solve's path: a normal line is pushed like any other; and from the mean where the start is there."""
    tape = (
        phase_levels([0.3, 1.0, 2.0, 5.0, 9.0]).tape()
        if name == "phase"
        else multistep_named(name).tape(LEVELS)
    )
    law = tape_law(tape, [variance])
    assert tape_w2_on_line(tape, Normal(0.0, variance)) == pytest.approx(law.w2(), rel=1e-6)
    away = tape_w2_on_line(tape, Normal(0.7, variance))
    assert away == pytest.approx(law.w2(mean=0.7), rel=1e-6)
    # a shift of everything by the mean
    assert tape_w2_on_line(tape, Normal(0.7, variance), shift=0.7) == pytest.approx(law.w2(), rel=1e-6)


@pytest.mark.parametrize("scheme", ["ddim", "heun"])
def test_a_scheme_and_its_tape(scheme: str) -> None:
    """The pushed law of the scheme's own steps."""
    grid = Grid.from_lam(LEVELS)
    s = setting(
        wbound.process("ve-constant"), SymmetricMixture(0.8, 1.0), scheme=scheme, start="prior", grid=grid
    )
    line = s.data.factors[0][0]
    assert tape_w2_on_line(tape_of(s), line) == pytest.approx(pushed_w2(s, line, 1e-8)[0], rel=1e-6)


def test_pure_noise_and_refusals() -> None:
    """At λ = ∞ the answer is the mean; noise has no pushed law; a map that turns is sorted."""
    line = Pair(1.0, 0.3)
    tape = from_pure_noise(LEVELS)
    y = tape_map(tape, line)(np.array([-1.0, 0.0, 1.0]))
    assert y[1] == pytest.approx(0.0, abs=1e-12) and y[2] == -y[0] and abs(y[2]) > 0.5
    with pytest.raises(HypothesisFailed, match="draws noise"):
        tape_w2_on_line(ddim(1.0).tape(LEVELS), line)
    with pytest.raises(BadInput, match="rtol"):
        tape_w2_on_line(tape, line, rtol=0.0)
    line, turning = Pair(1.0, 0.05), multistep_named("ab4").tape(np.append(np.geomspace(100.0, 1e-2, 5), 0.0))
    grid = np.linspace(-9.0, 9.0, 60_001)
    image, mass = tape_map(turning, line)(grid * turning.start_std), np.exp(-0.5 * grid**2)
    assert (np.diff(image) < 0.0).any()
    order = np.argsort(image)
    mass = mass[order] / mass.sum()
    below = np.cumsum(mass) - 0.5 * mass
    brute = math.sqrt(float(mass @ (image[order] - line.at_tails(below, 1.0 - below)) ** 2))
    assert tape_w2_on_line(turning, line, rtol=1e-3) == pytest.approx(brute, rel=2e-2)
