"""Curves: their values are the statements', their slopes the theory's, their floors floors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import wbound
from numerics.studies import curves, lower_bound, slopes
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.exact.floor import floor_w2
from wbound.exact.gaussian_law import exact_w2

DATA = LogConcave(3, 0.5, 0.5, 6.0, 0.0)


def test_a_curve_is_made_of_the_statements_own_values() -> None:
    p = wbound.process("vp-linear")
    curve = curves.bound_curve(p, DATA, [20, 80], T=3.0, scheme="hf", M1="exact")
    target = Gaussian(np.zeros(3), 2.0)
    for i, K in enumerate((20, 80)):
        values = {line.key: line.values[i] for line in curve.lines}
        assert (
            values["theorem_1"]
            == wbound.w2_bound(p, target, T=3.0, K=K, theorem="published", M1="exact").total
        )
        assert values["theorem_2"] == wbound.w2_bound(p, DATA, T=3.0, K=K, scheme="hf").total
        assert values["exact"] == exact_w2(p, target, T=3.0, K=K, scheme="hf")
        assert values["exact_em"] == exact_w2(p, target, T=3.0, K=K)
        assert values["lower"] == floor_w2(K, 3, math.sqrt(2.0), float(p.lam(3.0)))
        from_p_T = exact_w2(p, target, T=3.0, K=K, scheme="hf", start="exact")
        assert curve.line("exact").start[i] == pytest.approx(values["exact"] - from_p_T, rel=1e-9)  # type: ignore[union-attr]
    assert list(curve.columns()) == ["K", "theorem_1", "theorem_2", "exact", "exact_em", "lower"]


def test_the_starts_share_is_known_where_the_slope_depends_on_it() -> None:
    p = wbound.process("vp-linear")
    curve = curves.bound_curve(p, DATA, [10, 100, 1000, 3000, 30_000], T=2.0, scheme="hf")
    line = curve.line("exact")
    assert line is not None
    target = Gaussian(np.zeros(3), 2.0)
    from_p_T = [exact_w2(p, target, T=2.0, K=int(K), scheme="hf", start="exact") for K in curve.at]
    share = line.values - np.array(from_p_T)
    small = np.abs(share) <= slopes.START_SHARE * line.values
    assert small.any() and not small.all()
    last = curve.at[small].max()
    known = np.isfinite(line.start)
    assert known.tolist() == (curve.at >= last / 10.0).tolist()
    assert line.start[known] == pytest.approx(share[known], rel=1e-9)
    assert line.slope == curves.slope(curve.at, line.values, share)


@pytest.mark.parametrize("name", ["ve-exponential", "vp-exponential", "ou"])
def test_slopes_in_K(name: str) -> None:
    p = wbound.process(name)
    curve = curves.bound_curve(p, DATA, curves.geometric(100, 1e4, 9), scheme="hf", M1="exact")
    slopes = {line.key: line.slope for line in curve.lines}
    assert slopes["exact"] == pytest.approx(-1.0, abs=0.05)
    assert slopes["theorem_2"] == pytest.approx(-1.0, abs=0.05)
    assert slopes["lower"] == pytest.approx(-1.0, abs=0.01)
    tail = curves.tail_slope(p, Gaussian(np.zeros(3), 2.0), curve.facts["T"])
    assert tail is not None and tail.slope == pytest.approx(-0.5, abs=0.02) and tail.K_low < tail.K_high


def test_what_does_not_apply_is_left_out_and_says_why() -> None:
    p = wbound.process("ve-constant")
    mixed = LogConcave(3, 0.5, 1.0, 4.0, 0.0)
    curve = curves.bound_curve(p, mixed, [10, 1000], T=100.0, M1=0.3)
    assert [line.key for line in curve.lines] == ["theorem_1", "theorem_2"]
    first = curve.line("theorem_1")
    assert first is not None and math.isnan(first.values[0]) and first.values[1] > 0.0
    assert "step k =" in first.reason
    assert "Gaussian" in curve.refusals["exact"] and "lower" in curve.refusals
    assert curve.line("nothing") is None


@pytest.mark.parametrize(("axis", "at"), [("T", [1.0, 2.0, 4.0]), ("d", [1, 4, 16])])
def test_other_axes(axis: str, at: list[float]) -> None:
    p = wbound.process("ou")
    curve = curves.bound_curve(p, DATA, at, axis=axis, T=None if axis == "T" else 3.0, K=40, M1="exact")
    two = curve.line("theorem_2")
    assert two is not None and two.slope is None
    if axis == "d":
        # per-coordinate facts: W2 grows exactly as √d
        assert two.values / two.values[0] == pytest.approx([1.0, 2.0, 4.0], rel=1e-12)
    else:
        assert two.values[1] == wbound.w2_bound(p, DATA, T=2.0, K=40, scheme="em").total
    with pytest.raises(wbound.BadInput, match="axis"):
        curves.bound_curve(p, DATA, [1.0], axis="eps", K=4)
    with pytest.raises(wbound.BadInput, match="LogConcave"):
        curves.bound_curve(p, Gaussian(np.zeros(2), 1.0), [2], axis="d", T=1.0, K=4)


def test_slope_uses_the_last_decade_where_the_start_is_small() -> None:
    x = np.geomspace(1.0, 1e4, 9)
    y = x**-1.0 + 1e-3
    assert curves.slope(x, x**-0.5) == pytest.approx(-0.5, abs=1e-12)
    assert curves.slope(x, 3.0 * x**-2.0 * np.where(x < 300.0, 7.0, 1.0)) == pytest.approx(-2.0, abs=1e-12)
    limited = curves.slope(x, y, np.full(9, 1e-3))
    assert limited is not None and -1.0 < limited < -0.9
    assert curves.slope(x[:2], y[:2]) is None
    assert curves.slope(x, np.full(9, np.nan)) is None


def test_the_horizon_is_where_it_says() -> None:
    for name in wbound.PUBLISHED:
        p = wbound.process(name)
        assert float(p.lam(curves.horizon(p, DATA))) == pytest.approx(1000.0 * 2.0, rel=1e-10)


def test_geometric_is_integers_without_repetition() -> None:
    assert curves.geometric(1, 8, 20).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert curves.spaced("T", 1.0, 4.0, 3) == pytest.approx([1.0, 2.0, 4.0])


def test_the_floor_is_a_floor_and_is_reached() -> None:
    check = lower_bound.floor_check(3, 1.0, curves.geometric(10, 1e4, 7))
    assert (check.exact >= check.floor).all() and (check.uniform_exact >= check.floor).all()
    assert 1.0 <= check.closest < 1.001
    for key in ("exact", "prior", "uniform_exact", "floor"):
        assert check.slopes[key] == pytest.approx(-1.0, abs=0.01)
    # figures from outside this code, five digits: d = 100, σ_0² = 2, λ(T) = 1e6, K = 1000
    far = lower_bound.floor_check(100, math.sqrt(2.0), [1000], lam_T=1e6)
    assert far.floor[0] == pytest.approx(0.028176, abs=5e-7)
    assert far.exact[0] == pytest.approx(0.028379, abs=5e-7)


def test_the_cancellation_point_is_found() -> None:
    point = lower_bound.cancellation(3, math.sqrt(2.0), 50)
    assert point.lam_T == pytest.approx(9.883060988, rel=1e-9)
    assert point.prior < 1e-6 < point.floor < point.exact
    lam, w2 = point.curve
    assert lam[np.argmin(w2)] == point.lam_T and (np.diff(lam) > 0).all()
    # the problem has one scale: λ(T)/σ_0² depends on K alone
    assert lower_bound.cancellation(7, 3.0, 50).lam_T == pytest.approx(point.lam_T * 4.5, rel=1e-9)


def test_exact_curve_takes_the_best_T_of_singular_data() -> None:
    data = Gaussian([1.0, 0.0, 2.0], [4.0, 0.0, 1.0])
    p = wbound.process("vp-linear")
    curve = curves.exact_curve(p, data, [8, 64])
    best, time = curve.lines[0].values, curve.lines[1].values
    assert best[1] < best[0]
    for i, K in enumerate((8, 64)):
        assert best[i] == pytest.approx(exact_w2(p, data, T=float(time[i]), K=K), rel=1e-12)
        everywhere = [exact_w2(p, data, T=float(T), K=K) for T in np.geomspace(0.3, 6.0, 60)]
        assert best[i] <= min(everywhere) * 1.001
