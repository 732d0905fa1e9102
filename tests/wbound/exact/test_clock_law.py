"""The exact law through the clock alone, and interpolation over eigenvalues, against the recursion."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wbound
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.exact import clock_law
from wbound.exact.clock_law import (
    FLOWS,
    LAWS,
    PAIRS,
    Sampling,
    Spectrum,
    clock_w2,
    clock_w2s,
    prior_excess,
    width_error2,
)
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


def test_the_excess_as_an_error_of_the_width() -> None:
    """(√(ς²+e) − ς)² against fifty digits: no excess, one far below ς², none of the variance left, and none there."""
    s = np.array([0.0, 0.0, 1e-6, 0.3, 0.3, 2.0, 7.0, 50.0])
    e = np.array([0.0, 0.25, 4.0, -1e-9, 1e-13, -2.0, -7.5, 0.2])
    with mp.workdps(50):
        want = [
            float((mp.sqrt(max(mp.mpf(a) + mp.mpf(b), 0)) - mp.sqrt(a)) ** 2)
            for a, b in zip(s.tolist(), e.tolist(), strict=True)
        ]
    assert width_error2(s, e) == pytest.approx(np.array(want), rel=1e-14, abs=0.0)
    assert width_error2(s[2:], e[2:]) == pytest.approx(np.array(want[2:]), rel=1e-14, abs=0.0)


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


def kept(scheme: str, s: Any, a: Any, b: Any) -> Any:
    """r of a step from λ = b to a by its stages' scores, as the sampler takes them."""
    A, B, c = s + a, s + b, mp.sqrt(b) * (mp.sqrt(b) - mp.sqrt(a))
    if scheme in ("ode-hf", "heun-lambda"):
        c = (b - a) / 2
    if scheme == "heun-lambda":
        return 1 - c / (2 * B) - c / (2 * A) * (1 - c / B)
    if scheme == "heun-lam" or (scheme == "heun" and a):
        late = mp.sqrt(a / b) * c / A if a else 0
        return 1 - c / (2 * B) - late / 2 * (1 - c / B)
    return 1 - c / B


def share(scheme: str, s: Any, a: Any, b: Any) -> Any:
    """A step's share of e, or of log(1 + e/ς²) of an ODE: from r and the noise that is injected. Of a point, ς² = 0, the
    last step's is e itself, or its logarithm."""
    A, B, H = s + a, s + b, b - a
    if not A:
        r = kept(scheme, s, a, b) if scheme in FLOWS else 0
        return {"hf": b, "ddpm": mp.mpf(0)}.get(scheme, mp.log(r**2 * b) if r else -mp.inf)
    if scheme in FLOWS:
        return mp.log(kept(scheme, s, a, b) ** 2 * B / A)
    noise = H if scheme == "hf" else a * H / b
    return ((A / B) ** 2 * B + noise - A) * (s / A) ** 2


def test_every_pair_and_its_slopes_in_40_digits() -> None:
    """Several eigenvalues and steps at once, the last to 0; the derivatives at inner nodes."""
    lam = np.array([50.0, 9.0, 1.4, 0.3, 0.0])
    for scheme in PAIRS | FLOWS:
        x = np.array([0.6 if wbound.SCHEMES[scheme].at_zero else 0.0, 1.4, 30.0])
        got = LAWS[scheme].pair(x[:, None], lam[None, 1:], lam[None, :-1])
        value = LAWS[scheme].value(x[:, None], lam[None, 1:], lam[None, :-1])
        for i, k in np.ndindex(3, 4):
            with mp.workdps(40):
                s, a, b = (mp.mpf(float(v)) for v in (x[i], lam[k + 1], lam[k]))
                want = float(share(scheme, s, a, b))
                if math.isinf(want):
                    assert got.value[i, k] == value[i, k] == want and got.b[i, k] == got.bb[i, k] == 0.0
                    continue
                along = [mp.diff(lambda b, s=s, a=a: share(scheme, s, a, b), b, n) for n in (1, 2)]
                names = {"b": along[0], "bb": along[1]}
                if a:
                    orders = {"a": (1, 0), "aa": (2, 0), "ab": (1, 1)}
                    of = lambda a, b, s=s: share(scheme, s, a, b)  # noqa: E731
                    names |= {name: mp.diff(of, (a, b), n) for name, n in orders.items()}
            assert (got.value[i, k], value[i, k]) == pytest.approx((want, want), rel=1e-11), scheme
            for name, slope in names.items():
                assert getattr(got, name)[i, k] == pytest.approx(float(slope), rel=1e-9), (scheme, name)


def test_stopped_early_without_a_search() -> None:
    """Means and several eigenvalues, each scheme, on rows that stop at several levels."""
    data, p = (
        Gaussian(np.array([1.0, 0.5, -2.0, 0.0]), np.array([3.0, 0.2, 3.0, 0.7])),
        wbound.process("vp-linear"),
    )
    spectrum = Spectrum.of(data)
    assert spectrum.d == 4 and spectrum.counts.tolist() == [1.0, 1.0, 2.0]
    assert spectrum.mean_square == pytest.approx([0.25, 0.0, 5.0])
    rows = [np.log([30.0, 4.0, 1.0, end]) for end in (0.5, 0.02)]
    for scheme in PAIRS | FLOWS:
        for row, found in zip(rows, clock_w2s(spectrum, rows, scheme), strict=True):
            grid = wbound.Grid.from_lam(np.exp(row), stop="early")
            for start, value in (("exact", found.exact), ("prior", found.prior)):
                want = exact_w2(p, data, scheme=scheme, start=start, grid=grid)
                assert value == pytest.approx(want, rel=1e-10)
            # between the two outputs: the differences of their widths and of their means
            laws = [
                law(wbound.setting(p, data, scheme=scheme, start=start, grid=grid), spectrum.variances)
                for start in ("exact", "prior")
            ]
            one, two = (np.sqrt(spectrum.variances + of.excess) for of in laws)
            apart = (
                spectrum.counts @ (one - two) ** 2 + spectrum.mean_square @ (laws[0].mean - laws[1].mean) ** 2
            )
            assert found.start == pytest.approx(math.sqrt(apart), rel=1e-9)


@pytest.mark.parametrize("zeros", [0, 1])
def test_samples_of_a_spectrum_carry_a_law(zeros: int) -> None:
    """Functions with their pole at ς² < 0, by interpolation in log ς²; a sample that is an eigenvalue; zeros alone."""
    x = np.geomspace(1e-2, 1e4, 400)
    sample = Spectrum(x, np.ones(400), np.zeros(400)).sampling.at[20]
    x = np.sort(np.append(x, sample))
    spectrum = Spectrum(np.append(np.zeros(zeros), x), np.ones(401 + zeros), np.zeros(401 + zeros))
    sampling = spectrum.sampling
    assert sample in sampling.at and sampling.at.size < 90 and (sampling.at[0] == 0.0) == bool(zeros)
    for c in (0.01, 1.0, 40.0):
        got = sampling.spread(sampling.at / (sampling.at + c) + 0.5)
        assert got == pytest.approx(spectrum.variances / (spectrum.variances + c) + 0.5, rel=3e-12)
    assert Spectrum(x[:1], np.ones(1), np.zeros(1)).sampling.matrix is None


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
