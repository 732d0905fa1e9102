"""The compiled pass of the exact law, paired with its owner; a wrong coefficient would show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wbound
from wbound.data.gaussian import Gaussian
from wbound.exact.compiled_law import law_pass, spectrum, w2
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.forward.catalogue import CATALOGUE
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import SCHEMES
from wbound.sampler.tame_steps import tamed


def passed(s: Setting) -> float | None:
    tame = tamed(s.nodes.batch, s.scheme)
    law = None if tame is None else law_pass(tame)
    if law is None:
        return None
    own = spectrum(s.data)
    return w2(s, own, law.over(own))


@given(
    st.sampled_from(list(CATALOGUE)),
    st.sampled_from([name for name in SCHEMES if name != "heun-lambda"]),
    st.sampled_from(["prior", "exact"]),
    st.floats(0.1, 4.0),
    st.integers(1, 400),
    st.lists(st.floats(-3.0, 2.0), min_size=1, max_size=6),
    st.sampled_from([0.0, 2.0]),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from(["uniform", "edm", "gaussian"]),
)
def test_the_pass_is_the_owner_s_law(
    name: str, scheme: str, start: str, T: float, K: int, logs: list[float], mean: float, V: float, grid: str
) -> None:
    data = Gaussian(np.full(len(logs), mean), 10.0 ** np.array(logs))
    try:
        s = setting(wbound.process(name), data, T, K, scheme=scheme, start=start, score_noise=V, grid=grid)
    except wbound.WboundError:
        return
    found = passed(s)
    if found is not None:
        # to 1e-13, and where the law is near the data to a few roundings of ‖X_0‖
        own = float(EXACT_LAW(s))
        assert abs(found - own) <= 1e-13 * own + 4e-19 * K * np.sqrt(data.second_moment)


@pytest.mark.parametrize("scheme", ["em", "ddpm", "ddim", "heun"])
def test_the_standard_start_and_an_early_stop(scheme: str) -> None:
    p, data = wbound.process("vp-linear"), Gaussian(np.ones(3), np.array([0.1, 1.0, 1.0]))
    for start, grid in (("standard", "uniform"), ("prior", Grid.uniform(delta=1e-3))):
        s = setting(p, data, 2.0, 40, scheme=scheme, start=start, grid=grid)
        assert passed(s) == pytest.approx(float(EXACT_LAW(s)), rel=1e-13)


def test_what_is_no_trapezoid_and_what_is_not_tame_is_left_to_the_owner() -> None:
    p, data = wbound.process("vp-linear"), Gaussian(np.zeros(1), 1.0)
    assert passed(setting(p, data, 2.0, 40, scheme="heun-lambda")) is None
    assert passed(setting(p, data, 8.0, 4, scheme="em")) is None
    memory = setting(p, data, 2.0, 40, scheme="dpmpp-2m")
    assert tamed(memory.nodes.batch, memory.scheme) is None
