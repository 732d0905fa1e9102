"""The compiled passes of Theorems 2 and 3 and Eq. 9′, paired with their owners."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wbound
from wbound.bounds import compiled_bounds
from wbound.bounds.compiled_bounds import BoundPass, bound_columns
from wbound.data.gaussian import Gaussian
from wbound.forward.catalogue import CATALOGUE
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import SCHEMES
from wbound.sampler.tame_steps import tamed
from wbound.statement.statement_object import Bound
from wbound.theory.statements import upper_bound

ONE_STAGE = [name for name, s in SCHEMES.items() if s.stages == 1]
PARTS = ("total", "initialisation", "discretisation", "score", "additive", "trivial")


def passed(s: Setting) -> Bound | None:
    tame = tamed(s.nodes.batch, s.scheme)
    return None if tame is None else BoundPass(tame, bound_columns(tame), s.data, {}).bound(s)


def alike(found: Bound, own: Bound) -> None:
    assert found.statement == own.statement
    for part in PARTS:
        assert getattr(found, part) == pytest.approx(getattr(own, part), rel=1e-13, abs=1e-300), part


@given(
    st.sampled_from(list(CATALOGUE)),
    st.sampled_from(ONE_STAGE),
    st.sampled_from(["prior", "exact"]),
    st.floats(0.1, 4.0),
    st.integers(1, 400),
    st.lists(st.floats(-3.0, 2.0), min_size=1, max_size=6),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from(["uniform", "edm", "gaussian"]),
)
def test_the_pass_is_the_owner_s_bound(
    name: str,
    scheme: str,
    start: str,
    T: float,
    K: int,
    logs: list[float],
    M: float,
    V: float,
    grid: str,
) -> None:
    data = Gaussian(np.ones(len(logs)), 10.0 ** np.array(logs))
    noise = 0.0 if SCHEMES[scheme].kind == "ode" else V
    try:
        s = setting(
            wbound.process(name),
            data,
            T,
            K,
            scheme=scheme,
            start=start,
            score_bias=M,
            score_noise=noise,
            grid=grid,
        )
    except wbound.WboundError:
        return
    found = passed(s)
    if found is not None:
        alike(found, upper_bound("sharp", scheme)(s))


@pytest.mark.parametrize("scheme", ["em", "ddpm", "ddim"])
def test_an_early_stop_a_standard_start_and_more_steps_than_theta_looks_at(scheme: str) -> None:
    p, data = wbound.process("vp-linear"), Gaussian(np.ones(3), np.array([0.1, 1.0, 1.0]))
    for start, grid, K in (
        ("standard", "uniform", 40),
        ("prior", Grid.uniform(delta=1e-3), 40),
        ("prior", "uniform", 1500),
    ):
        s = setting(p, data, 2.0, K, scheme=scheme, start=start, grid=grid)
        found = passed(s)
        assert found is not None
        alike(found, upper_bound("sharp", scheme)(s))


def test_a_product_beyond_doubles_is_left_to_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Gaussian(np.zeros(2), np.array([1e-2, 1.0]))
    for scheme in ("em", "ddim"):
        s = setting(wbound.process("ou"), data, 3.0, 20, scheme=scheme)
        assert passed(s) is not None
        with monkeypatch.context() as patch:
            patch.setattr(compiled_bounds, "UNSTABLE", -1.0)  # no product of steps is so small
            assert passed(s) is None
        with monkeypatch.context() as patch:
            patch.setattr(compiled_bounds, "FAINT", 1e300)  # what is left of the start has underflowed
            assert passed(s) is None
