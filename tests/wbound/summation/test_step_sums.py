"""Sums over any number of steps, against sums that are known in closed form."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import wbound
from wbound.data.curvature import Curvature
from wbound.sampler.steps import Batch
from wbound.summation.step_rows import OTHER
from wbound.summation.step_sums import CHECKED, COARSE, FINE, SOUGHT, Rows, one_by_one, tally
from wbound.typing import Array, Index

CLOCK = wbound.process("ve-constant", a=1.0)  # λ = t
DATA = wbound.LogConcave(2, 0.5, 2.0, 3.0)
#: A profile whose products move by |m|λ a unit of log λ.
BENT = wbound.bounded_data(1.5, 0.5, 2, 2.6)
#: How close sums are, of steps that doubles hold and of those extrapolated to.
QUALITIES = {"fine": (FINE, 5e-13, 3e-10), "other": (OTHER, 5e-13, 3e-11), "coarse": (COARSE, 3e-7, 5e-4)}
RATES, POWERS = (0.3, 1.9), (1, 2, 0)


def falls(t: Array) -> Array:
    """log P at t is log P at the first time less this."""
    return np.asarray(0.9 * np.log1p(t) + 0.2 * t)


def fading(b: Batch, which: Index) -> Array:
    """Growths with a slope; φ = −P^{−q}Δ(P^q e^{−at}), whose sums telescope; and (t_hi² − t_lo²)²."""
    length = b.t_hi - b.t_lo
    down = 0.9 * np.log1p(length / (1.0 + b.t_lo)) + 0.2 * length
    own = [
        -np.exp(-a * b.t_lo) * np.expm1(-q * down - a * length) for a, q in zip(RATES, POWERS, strict=False)
    ]
    return np.stack((-down, *own, (length * (b.t_hi + b.t_lo)) ** 2))


def faded(T: float, K: float, first: float) -> list[float]:
    """The sums of `fading` over K uniform steps of [first, T]."""
    fallen, eta = float(falls(np.array(T)) - falls(np.array(first))), (T - first) / K
    out = [
        -math.exp(-a * first) * math.expm1(-a * (T - first) - q * fallen)
        for a, q in zip(RATES, POWERS, strict=False)
    ]
    # Σ (η(2first + (2k+1)η))², k < K
    squares = 4.0 * first**2 * K + 4.0 * first * eta * K**2 + eta**2 * K * (4.0 * K**2 - 1.0) / 3.0
    return [*out, eta**2 * squares]


ROWS = Rows(fading, (1.0, 1.0, 1.0, 2.0), POWERS)


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("data", [DATA, BENT], ids=["log-concave", "profile"])
def test_sums_that_telescope(quality: str, data: Curvature) -> None:
    """Horizons at once and alone, from steps of a thousandth to some that doubles do not hold, from 0 and from later."""
    of, *rel = QUALITIES[quality]
    T, K = np.array([2.5, 7.0, 3.1, 2.6, 4.0]), np.array([3e3, 1e5, 1e9, 1e13, 4e17])
    for first in (0.0, 0.02, 2.4):
        got = tally(CLOCK, data, T, K, ROWS, of, first)
        want = np.array([faded(t, k, first) for t, k in zip(T, K, strict=True)])
        for part, close in zip((slice(0, 2), slice(2, 5)), rel, strict=True):
            assert got.sums[part] == pytest.approx(want[part], rel=close)
        assert got.log_P == pytest.approx(
            falls(np.array(first)) - falls(T), rel=min(rel[1], 1e-8) if of is COARSE else 1e-12
        )
        assert not got.error.any()
        for j in (0, 2, 4):
            alone = tally(CLOCK, data, T[j], K[j], ROWS, of, first)
            assert alone.sums[0] == pytest.approx(want[j], rel=rel[j > 1])
            assert alone.log_P[0] == pytest.approx(got.log_P[j], rel=rel[1])


def test_steps_equally_long_are_read_on_the_way() -> None:
    T = np.array([3.0, 0.75, 6.0, 1.5])
    for of, rel in ((COARSE, 5e-4), (SOUGHT, 3e-10)):
        for eta in (1e-4, 1e-9, 1e-14):
            got = tally(CLOCK, DATA, T, T / eta, ROWS, of)
            want = np.array([faded(t, t / eta, 0.0) for t in T])
            held = rel if eta < 1e-6 else 1e-3 * rel
            assert got.sums == pytest.approx(want, rel=held) and got.log_P == pytest.approx(
                -falls(T), rel=1e-3 * rel
            )


def test_few_steps_one_by_one() -> None:
    T, K = np.array([2.5, 7.0, 3.1]), np.array([1.0, 7.0, 300.0])
    for first in (0.0, 0.2):
        got, largest = one_by_one(CLOCK, T, K, ROWS, first)
        want = [faded(t, k, first) for t, k in zip(T, K, strict=True)]
        assert got.sums == pytest.approx(np.array(want), rel=1e-12)
        assert got.log_P == pytest.approx(falls(np.array(first)) - falls(T), rel=1e-13)
        assert largest == pytest.approx(falls(np.array(first)) - falls(first + (T - first) / K), rel=1e-12)


def test_the_estimate_of_the_error() -> None:
    """Next to nothing where all is smooth, whatever the start; about the error where a row moves faster than its panels."""
    for first in (0.0, 0.02, 2.4):
        T, K = np.array([7.0, 3.0]), np.array([1e5, 1e9])
        got = tally(CLOCK, DATA, T, K, ROWS, CHECKED, first)
        want = np.array([faded(t, k, first) for t, k in zip(T, K, strict=True)])
        assert (np.abs(got.sums / want - 1.0) <= 2.0 * got.error + 1e-12).all() and got.error.max() < 1e-9
        assert got.log_P == pytest.approx(falls(np.array(first)) - falls(T), rel=1e-12)

    def fast(b: Batch, which: Index) -> Array:
        length = b.t_hi - b.t_lo
        return np.stack((0.0 * length, length * (1.0 + np.sin(160.0 * b.t_lo)), 0.0 * length))

    got = tally(CLOCK, DATA, 30.0, 3e6, Rows(fast, (1.0, 1.0, 1.0), (0, 0)), CHECKED)
    true = abs(got.sums[0, 0] / (30.0 + (1.0 - math.cos(4800.0)) / 160.0) - 1.0)
    assert true > 1e-4 and 0.2 * true < got.error[0, 0] < 30.0 * true and got.error[0, 1] == 0.0


@pytest.mark.parametrize("K", [5e3, 123457.0, 1e8, 1e14])
def test_a_kink_of_a_row(K: float) -> None:
    """Σ η|kη − 1| and Σ ηe^{−0.7kη}|kη − 1|, k < K."""

    def bent(b: Batch, which: Index) -> Array:
        length = b.t_hi - b.t_lo
        return np.stack((-0.7 * length, length * np.abs(b.t_lo - 1.0), length * np.abs(b.t_lo - 1.0)))

    with mp.workdps(60):
        eta = mp.mpf(2.5) / mp.mpf(K)
        bend, want = mp.floor(1 / eta) + 1, []  # the first k above 1
        for r in (mp.mpf(1), mp.exp(-eta * mp.mpf(0.7))):

            def below(n: Any, r: Any = r) -> Any:
                """Σ (kη − 1) r^k, k < n."""
                if r == 1:
                    return eta * n * (n - 1) / 2 - n
                by_k = (r * (1 - r**n) / (1 - r) - n * r**n) / (1 - r)
                return eta * by_k - (1 - r**n) / (1 - r)

            want.append(float(eta * (below(mp.mpf(K)) - 2 * below(bend))))
    rows = Rows(bent, (1.0, 1.0, 1.0), (0, 1), kinks=(0.0,))  # log λ = 0 at t = 1
    got = tally(CLOCK, DATA, 2.5, K, rows, FINE)
    assert got.sums[0] == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize("first", [0.0, 0.02])
def test_a_kink_of_the_growth(first: float) -> None:
    """log P is −t before t = 1 and −t − 2(t − 1)² after; P e^{−t} telescopes."""

    def bent(t: Array) -> Array:
        return np.asarray(t + 2.0 * np.maximum(t - 1.0, 0.0) ** 2)

    def rows_of(b: Batch, which: Index) -> Array:
        down = bent(b.t_hi) - bent(b.t_lo)
        return np.stack((-down, -np.exp(-b.t_lo) * np.expm1(-down - (b.t_hi - b.t_lo))))

    T, K = np.array([0.8, 2.5, 3.0]), np.array([1e5, 5e3, 1e4])
    got = tally(CLOCK, DATA, T, K, Rows(rows_of, (1.0, 1.0), (1,), kinks=(0.0,)), FINE, first)
    fallen = bent(T) - bent(np.array(first))
    assert got.log_P == pytest.approx(-fallen, rel=1e-13)
    assert got.sums[:, 0] == pytest.approx(-np.exp(-first) * np.expm1(-fallen - (T - first)), rel=1e-11)


def test_products_beyond_doubles_are_infinite() -> None:
    """|m|λ of 40,000 over a unit of log λ."""
    far = wbound.bounded_data(100.0, 0.5, 2, 9000.0)
    for quality in (FINE, COARSE):
        got = tally(CLOCK, far, [3.0, 3.0], [1e5, 1e5], ROWS, quality)
        assert (got.sums == np.inf).all() and (got.log_P == np.inf).all() and got.sums.shape == (2, 3)


def test_a_process_that_ends() -> None:
    """Close to the end of a process's life the clock moves by what is left of it."""
    p = wbound.Process(f="0", g="1/(1-t)")  # λ = t/(1 − t)
    for left in (1e-2, 1e-6):
        T = np.array([1.0 - left])

        def rows_of(b: Batch, which: Index) -> Array:
            return np.stack((0.0 * b.t_lo, np.exp(b.log_lam_hi) - np.exp(b.log_lam_lo)))

        got = tally(p, DATA, T, 1e9, Rows(rows_of, (1.0, 1.0), (0,)), FINE)
        assert got.sums[0, 0] == pytest.approx((1.0 - left) / left, rel=1e-9)
