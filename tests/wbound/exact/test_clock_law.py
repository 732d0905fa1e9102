"""The exact law through the clock alone, and interpolation over eigenvalues, against the recursion."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wbound
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.exact import clock_law
from wbound.exact.clock_law import FLOWS, PAIRS, Sampling, Spectrum, clock_w2, clock_w2s, prior_excess
from wbound.exact.gaussian_law import exact_w2, law


def gaussian(seed: int, d: int, decades: float, zeros: int = 0) -> Gaussian:
    rng = np.random.default_rng(seed)
    values = 10.0 ** rng.uniform(-decades / 2, decades / 2, d)
    values[:zeros] = 0.0
    return Gaussian(rng.standard_normal(d), values)


@given(
    seed=st.integers(0, 10**6),
    scheme=st.sampled_from(sorted(PAIRS | FLOWS)),
    K=st.integers(1, 40),
    T=st.floats(0.5, 5.0),
    name=st.sampled_from(wbound.PUBLISHED),
    zeros=st.integers(0, 2),
)
def test_the_clock_alone_gives_the_recursions_w2(
    seed: int, scheme: str, K: int, T: float, name: str, zeros: int
) -> None:
    data, p = gaussian(seed, 5, 4.0, 0 if wbound.SCHEMES[scheme].at_zero else zeros), wbound.process(name)
    log_lam = wbound.setting(p, data, T, K, scheme=scheme).nodes.log_lam
    found = clock_w2(Spectrum.of(data), log_lam, scheme)
    for start, value in (("exact", found.exact), ("prior", found.prior)):
        assert value == pytest.approx(
            exact_w2(p, data, T, K, scheme=scheme, start=start), rel=1e-6, abs=1e-10
        )
    assert found.prior <= found.robust * (1 + 1e-12)


@pytest.mark.parametrize("scheme", sorted(PAIRS | FLOWS))
@pytest.mark.parametrize("end", [0.0, 0.3])
def test_the_excess_by_eigenvalue_is_the_recursions(scheme: str, end: float) -> None:
    x, lam = np.array([0.2, 1.0, 7.0]), np.array([30.0, 8.0, 2.5, 1.0, end])
    grid = wbound.Grid.from_lam(lam, stop="early" if end else None)
    s = wbound.setting(wbound.process("vp-linear"), Gaussian(np.zeros(1), 1.0), scheme=scheme, grid=grid)
    assert prior_excess(x, lam, scheme) + end == pytest.approx(law(s, x).excess, rel=1e-11)


@given(
    seed=st.integers(0, 10**6),
    scheme=st.sampled_from(sorted(PAIRS | FLOWS)),
    K=st.integers(1, 40),
    grid=st.sampled_from(["uniform", "log_lam", "edm"]),
    log_delta=st.floats(-14.0, 2.0),
    zeros=st.integers(0, 2),
)
def test_nodes_that_stop_early_give_the_law_of_what_is_returned(
    seed: int, scheme: str, K: int, grid: str, log_delta: float, zeros: int
) -> None:
    data, p = gaussian(seed, 5, 4.0, zeros), wbound.process("vp-linear")
    placed = getattr(wbound.Grid, grid)(delta=math.exp(log_delta))
    log_lam = wbound.setting(p, data, 4.0, K, scheme=scheme, grid=placed).nodes.log_lam
    assert log_lam[-1] == pytest.approx(log_delta, rel=1e-9, abs=1e-9)
    found = clock_w2(Spectrum.of(data), log_lam, scheme)
    for start, value in (("exact", found.exact), ("prior", found.prior)):
        want = exact_w2(p, data, 4.0, K, scheme=scheme, start=start, grid=placed)
        assert value == pytest.approx(want, rel=1e-6, abs=1e-10)
    assert found.prior <= found.robust * (1 + 1e-12)


@pytest.mark.parametrize("decades", [1.0, 5.0, 9.0])
@pytest.mark.parametrize("zeros", [0, 3])
def test_interpolation_over_thousands_of_eigenvalues(decades: float, zeros: int) -> None:
    data = gaussian(1, 1500, decades, zeros)
    spectrum = Spectrum.of(data)
    assert spectrum.d == 1500
    assert spectrum.sampling.at.size < 160
    full = Spectrum(spectrum.variances, spectrum.counts, spectrum.mean_square)
    vars(full)["sampling"] = Sampling(full.variances, None)
    for K in (2, 30):
        log_lam = wbound.setting(wbound.process("ve-constant"), data, 1e4, K, grid="edm").nodes.log_lam
        for scheme in PAIRS | FLOWS:
            if zeros and wbound.SCHEMES[scheme].at_zero:
                with pytest.raises(BadInput, match="score at lam = 0"):
                    clock_w2(spectrum, log_lam, scheme)
                continue
            assert clock_w2(spectrum, log_lam, scheme) == pytest.approx(
                clock_w2(full, log_lam, scheme), rel=1e-11
            )
    s = wbound.setting(wbound.process("vp-linear"), data, 4.0, 20, scheme="em")
    at, everywhere = law(s, spectrum.sampling.at), law(s, spectrum.variances)
    scale = float(np.abs(everywhere.excess).max())
    assert spectrum.sampling.spread(at.excess) == pytest.approx(everywhere.excess, abs=1e-10 * scale)
    assert spectrum.sampling.spread(at.mean) == pytest.approx(everywhere.mean, abs=1e-10)


def test_gather_is_the_transpose_of_spread() -> None:
    sampling = Spectrum.of(gaussian(2, 400, 6.0)).sampling
    rng = np.random.default_rng(0)
    values, weights = rng.standard_normal(sampling.at.size), rng.standard_normal(400)
    assert float(weights @ sampling.spread(values)) == pytest.approx(
        float(sampling.gather(weights) @ values), rel=1e-9
    )


def test_robust_cannot_be_tuned() -> None:
    data = Gaussian(np.zeros(1), 2.0)
    log_lam = wbound.setting(
        wbound.process("ve-constant"), data, 9.883060988, 50, grid="gaussian"
    ).nodes.log_lam
    w2 = clock_w2(Spectrum.of(data), log_lam)
    assert w2.prior < 1e-6
    assert w2.robust == pytest.approx(2.0 * w2.exact, rel=1e-3)
    # between the two outputs, directly: |√v_exact − √v_prior|
    ends = [
        exact_w2(wbound.process("ve-constant"), data, 9.883060988, 50, scheme="hf", start=s, grid="gaussian")
        for s in ("exact", "prior")
    ]
    assert w2.start == pytest.approx(ends[0] - ends[1], abs=1e-9)
    assert math.isclose(w2.exact, ends[0], rel_tol=1e-10)


@pytest.mark.parametrize("scheme", sorted(PAIRS | FLOWS))
@pytest.mark.parametrize("most", [1, 400, 1 << 18])
def test_many_rows_at_once_are_each_of_them(scheme: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of other lengths, that stop early or not, in one part or several."""
    spectrum = Spectrum.of(gaussian(3, 7, 3.0))
    tops, sizes, ends = np.linspace(-1.0, 12.0, 6), (1, 2, 5, 9, 30, 4), (None, -4.0) * 3
    rows = []
    for top, K, end in zip(tops, sizes, ends, strict=True):
        inner = np.linspace(top, -6.0, K + 1) if end is None else np.linspace(top, end, K + 1)
        rows.append(np.append(inner[:-1], -np.inf) if end is None else inner)
    alone = [clock_w2(spectrum, row, scheme) for row in rows]
    monkeypatch.setattr(clock_law, "MOST", most)
    for one, other in zip(clock_w2s(spectrum, rows, scheme), alone, strict=True):
        assert one == pytest.approx(other, rel=1e-13)
    assert len({w2.exact for w2 in alone}) == len(rows)
