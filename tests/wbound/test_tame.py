"""The fast twins in λ itself against their owners in log λ, over the catalogue, and where they may be used."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wbound
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.exact.gaussian_law import defects, exact_w2
from wbound.forward.catalogue import NAMED
from wbound.sampler.grid import GRIDS
from wbound.sampler.steps import GridBatch, batch

PROCESSES = sorted(name for name in NAMED if not name.startswith("optimal"))
LOGS = st.floats(-4.0, 4.0)


@contextmanager
def _slow() -> Iterator[None]:
    """Send every batch the owners' way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GridBatch, "tame", False)
        yield


@given(
    name=st.sampled_from(PROCESSES),
    scheme=st.sampled_from(("em", "em-point", "em-point-arrival", "ei", "hf")),
    log_T=st.floats(-3.0, 0.7),
    log_K=st.floats(0.0, 6.0),
    log_v=LOGS,
    V=st.sampled_from((0.0, 0.3)),
)
def test_the_exact_law(name: str, scheme: str, log_T: float, log_K: float, log_v: float, V: float) -> None:
    """Each step's defects, and W2 from p_T, where nothing cancels."""
    p, K, v = wbound.process(name), math.ceil(math.exp(log_K)), math.exp(log_v)
    T = min(math.exp(log_T), 0.9 * p.t_max)  # rectified-flow ends at 1
    s = wbound.setting(p, Gaussian(np.array([0.7]), v), T, K, scheme=scheme)
    b = s.nodes.batch
    if b.tame:
        fast = defects(b, s.scheme, np.array([v]), 1.0 / v, V)
        slow = defects(batch(p, b.t_lo, b.t_hi), s.scheme, np.array([v]), 1.0 / v, V)
        zeros = np.zeros((1, b.size))
        for field in ("log_r", "rho", "shift"):
            got, want = (
                zeros + (0.0 if (part := getattr(terms, field)) is None else part) for terms in (fast, slow)
            )
            np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-13 * float(np.abs(want).max()))
    args = {"scheme": scheme, "start": "exact", "score_noise": V}
    got = exact_w2(p, s.data, T, K, **args)
    with _slow():
        want = exact_w2(p, s.data, T, K, **args)
    assert got == pytest.approx(want, rel=1e-9)


@given(
    name=st.sampled_from(PROCESSES),
    log_T=st.floats(-3.0, 0.7),
    log_K=st.floats(0.0, 6.0),
    log_m0=LOGS,
    spread=st.floats(0.0, 5.0),
    grid=st.sampled_from(sorted(GRIDS)),
)
def test_theorem_2(name: str, log_T: float, log_K: float, log_m0: float, spread: float, grid: str) -> None:
    m0 = math.exp(log_m0)
    L0 = m0 * math.exp(spread)
    data = LogConcave(4, m0, L0, 4.0 / math.sqrt(m0 * L0), 0.0)
    p, K = wbound.process(name), math.ceil(math.exp(log_K))
    T = min(math.exp(log_T), 0.9 * p.t_max)
    got = wbound.w2_bound(p, data, T, K, scheme="hf", grid=grid)
    with _slow():
        want = wbound.w2_bound(p, data, T, K, scheme="hf", grid=grid)
    assert got.total == pytest.approx(want.total, rel=1e-11)
    assert got.discretisation == pytest.approx(want.discretisation, rel=1e-11)


def test_only_far_from_the_ends_of_doubles() -> None:
    data = LogConcave(2, 1.0, 1.0, 2.0)

    def tame(name: str, T: float, K: int) -> bool:
        return bool(wbound.setting(wbound.process(name), data, T, K, scheme="hf").nodes.batch.tame)

    assert tame("vp-linear", 4.0, 100)
    assert not tame("vp-linear", 4.0, 1)  # F = 5: a long step
    assert not tame("vp-polynomial", 8.0, 10_000)  # λ(T) about 1e88
    # and what is not tame is computed all the same
    assert math.isfinite(wbound.w2_bound(wbound.process("vp-polynomial"), data, 40.0, 200, scheme="hf").total)
