"""Theorem 7 (Eq. 21): against a plain loop in mpmath, what its terms bound, exact laws, its order in K."""

from __future__ import annotations

import heun_referee
import mpmath as mp
import numpy as np
import pytest

import wbound
from wbound import theorem_7
from wbound.clock import Grid
from wbound.schemes import SCHEMES, Scheme
from wbound.setting import Setting, setting
from wbound.theorem_7 import HEUN_LAMBDA

HEUN: dict[str, Scheme] = {
    "heun-lambda": HEUN_LAMBDA,
    "heun": SCHEMES["heun"],
    "heun-lam": SCHEMES["heun-lam"],
}
ALL: dict[str, Scheme] = HEUN | {name: SCHEMES[name] for name in ("ode-hf", "ddim")}
CLOCK = wbound.process("ve-constant", a=1.0)

LEVELS = {
    "short": (3.0, 2.5, 1.9, 1.2, 0.8, 0.3, 0.0),
    "long": (900.0, 30.0, 29.0, 2.0, 0.0),
    "one step": (40.0, 0.0),
    "tiny last": (5.0, 1.0, 0.2, 1e-6, 0.0),
    "huge": (1e9, 1e3, 1e-3, 0.0),
}


def made(
    levels: tuple[float, ...], scheme: Scheme, m0: float, L0: float, d: int = 3, **more: object
) -> Setting:
    data = wbound.LogConcave(d, m0, L0, d / m0, 0.0)
    return setting(CLOCK, data, grid=Grid.from_lam(np.array(levels)), scheme=scheme, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", ALL.values(), ids=ALL)
@pytest.mark.parametrize("levels", LEVELS.values(), ids=LEVELS)
def test_the_parts_against_a_plain_loop(levels: tuple[float, ...], scheme: Scheme) -> None:
    mp.mp.dps = 20
    for m0, L0, thetas in ((0.4, 5.0, (2.0, 2.0)), (0.7, 0.7, (1.2, 2.6)), (0.01, 1.0, (0.5, 0.5))):
        s = made(levels, scheme, m0, L0, score_bias=0.3)
        start = float(s.data.start_error(s.nodes.first[1]))
        got = theorem_7.sums(s, thetas)
        want = heun_referee.parts(scheme.name, levels, heun_referee.Facts(3, m0, L0, start), thetas, 0.3)
        assert (got.start, got.score) == pytest.approx((want[0], want[2]), rel=1e-9)
        assert want[1] * (1.0 - 1e-10) <= got.bias <= want[1] * (1.0 + 1e-3)  # C_2 is a chord above its own
