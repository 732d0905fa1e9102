"""Theorem 7 against exact laws on the line: log-cosh laws and mixtures, by their quantiles pushed through the steps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings

import wbound
from numerics import LogCosh, SymmetricMixture
from numerics.laws import ode_on_line
from numerics.targets.line_laws import Line
from wbound.bounds.theorem_7 import THEOREM_7
from wbound.sampler import placement
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import SCHEMES, Scheme
from wbound.typing import Array

CLOCK = wbound.process("ve-constant", a=1.0)


def steps(s: Setting, line: Line) -> Callable[[Array], Array]:
    """The sampler's map of the line for σ² = λ, α = 1, as section 20's table has it."""
    levels = np.exp(s.nodes.log_lam)

    def moved(y: Array) -> Array:
        for hi, lo in itertools.pairwise(levels.tolist()):
            H, h = hi - lo, math.sqrt(hi) - math.sqrt(lo)
            if s.scheme is SCHEMES["heun-lambda"]:
                c, a, b = H / 2.0, H / 4.0, H / 4.0
            else:
                c, b = h * math.sqrt(hi), h * math.sqrt(lo) / 2.0
                a = c if s.scheme.name == "heun" and lo == 0.0 else c / 2.0
            score = line.score(y, 1.0, hi)
            ahead, y = y + c * score, y + a * score
            if b:
                y = y + b * line.score(ahead, 1.0, lo)
        return y

    return moved


def w2(s: Setting, line: Line) -> float:
    start, moved = ode_on_line._start(s, line), steps(s, line)
    x = moved(np.linspace(start.lo, start.hi, 600))
    if (np.diff(x) >= -1e-13 * np.abs(x).max()).all():
        return ode_on_line._along(start, line, moved, 1e-6)[0]
    return ode_on_line._sorted(start, line, moved, 4000)


@pytest.mark.parametrize(
    "scheme", [SCHEMES["heun-lambda"], SCHEMES["heun"], SCHEMES["heun-lam"]], ids=lambda s: s.name
)
def test_theorem_7_holds_on_the_line(scheme: Scheme) -> None:
    rounds = settings.default.max_examples // 100
    rng, smallest = np.random.default_rng(3 if rounds == 1 else None), math.inf
    for _ in range(12 * rounds):
        size = 10.0 ** rng.uniform(-1.0, 1.0)
        if rng.random() < 0.6:
            target = SymmetricMixture([size * rng.uniform(0.05, 0.999)], size)
        else:
            target = LogCosh(1, size, size * 10.0 ** rng.uniform(0.1, 2.0))
        lam_T, K = 10.0 ** rng.uniform(-2.0, 4.0) / target.L0, int(10.0 ** rng.uniform(0.0, 1.4))
        levels = np.exp(placement.sinh(math.log(lam_T), K, target))
        if rng.random() < 0.5:
            levels = lam_T * np.linspace(1.0, 0.0, K + 1) ** rng.uniform(0.8, 4.0)
        start = str(rng.choice(["exact", "prior"]))
        s = setting(CLOCK, target, grid=Grid.from_lam(levels), scheme=scheme, start=start)
        bound, exact = THEOREM_7(s).total, w2(s, target.factors[0][0])
        if exact > 1e-6 / math.sqrt(target.L0):
            assert bound >= exact * (1.0 - 1e-5)
            smallest = min(smallest, bound / exact)
    assert smallest < 4.0


def test_this_map_is_the_librarys() -> None:
    for target in (SymmetricMixture([0.6], 0.8), LogCosh(1, 0.5, 2.0)):
        levels = np.exp(placement.sinh(math.log(30.0), 6, target))
        for scheme in (SCHEMES["heun"], SCHEMES["heun-lam"], SCHEMES["heun-lambda"]):
            s = setting(CLOCK, target, grid=Grid.from_lam(levels), scheme=scheme)
            assert w2(s, target.factors[0][0]) == pytest.approx(ode_on_line.flow1d(s).w2, rel=1e-5)
            # the same levels read by a process with α ≠ 1
            other = setting(wbound.process("vp-linear"), target, grid=Grid.from_lam(levels), scheme=scheme)
            assert ode_on_line.flow1d(other).w2 == pytest.approx(ode_on_line.flow1d(s).w2, rel=1e-7)
