"""Sums over any number of steps, against sums that are known in closed form."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest

import wbound
from wbound.sampler.steps import Batch
from wbound.summation.step_rows import OTHER
from wbound.summation.step_sums import CHECKED, COARSE, FINE, Rows, one_by_one, tally
from wbound.typing import Array, Index

CLOCK = wbound.process("ve-constant", a=1.0)  # λ = t
DATA = wbound.LogConcave(2, 0.5, 2.0, 3.0)
QUALITIES = {"fine": (FINE, 3e-12), "other": (OTHER, 3e-12), "coarse": (COARSE, 5e-7)}
FADE, RATES, POWERS = 0.7, (0.3, 1.9, 0.8), (1, 2, 0)


def fading(b: Batch, which: Index) -> Array:
    """P = e^{−FADE t} at a step's lower end, and ∫ae^{−at} over it; the third row (t_hi² − t_lo²)²."""
    length = b.t_hi - b.t_lo
    own = [-np.expm1(-a * length) * np.exp(-a * b.t_lo) for a in RATES[:2]]
    return np.stack((-FADE * length, *own, (length * (b.t_hi + b.t_lo)) ** 2))


def faded(T: float, K: float, first: float) -> list[float]:
    """The sums of `fading` over K uniform steps of [first, T]: geometric ones, and one of squares."""
    with mp.workdps(60):
        T, K, first = mp.mpf(T), mp.mpf(K), mp.mpf(first)
        eta, out = (T - first) / K, []
        for a, q in zip(RATES[:2], POWERS[:2], strict=True):
            rate = a + q * mp.mpf(FADE)
            out.append(
                mp.expm1(-a * eta)
                * mp.expm1(-rate * (T - first))
                / -mp.expm1(-rate * eta)
                * mp.exp(-a * first)
            )
        # Σ (η(2first + (2k+1)η))², k < K
        out.append(eta**2 * (4 * first**2 * K + 4 * first * eta * K**2 + eta**2 * K * (4 * K**2 - 1) / 3))
        return [abs(float(x)) for x in out]


ROWS = Rows(fading, (1.0, 1.0, 1.0, 2.0), POWERS)


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("first", [0.0, 0.2, 2.4])
def test_geometric_sums(quality: str, first: float) -> None:
    """Horizons at once and alone, from a step of some hundredths to one that doubles do not hold."""
    of, rel = QUALITIES[quality]
    T, K = np.array([2.5, 7.0, 3.1, 2.6, 4.0]), np.array([3e3, 1e5, 1e9, 1e13, 4e17])
    got = tally(CLOCK, DATA, T, K, ROWS, of, first)
    want = np.array([faded(t, k, first) for t, k in zip(T, K, strict=True)])
    assert got.sums == pytest.approx(want, rel=rel)
    assert got.log_P == pytest.approx(-FADE * (T - first), rel=rel) and not got.error.any()
    for j in (0, 2, 4):
        alone = tally(CLOCK, DATA, T[j], K[j], ROWS, of, first)
        assert alone.sums[0] == pytest.approx(want[j], rel=rel) and alone.log_P[0] == pytest.approx(
            got.log_P[j]
        )


def test_steps_equally_long_are_read_on_the_way() -> None:
    T = np.array([3.0, 0.75, 6.0, 1.5])
    for eta in (1e-4, 1e-9, 1e-14):
        got = tally(CLOCK, DATA, T, T / eta, ROWS, COARSE)
        want = np.array([faded(t, t / eta, 0.0) for t in T])
        assert got.sums == pytest.approx(want, rel=1e-6) and got.log_P == pytest.approx(-FADE * T, rel=1e-7)


@pytest.mark.parametrize("first", [0.0, 0.2])
def test_few_steps_one_by_one(first: float) -> None:
    T, K = np.array([2.5, 7.0, 3.1]), np.array([1.0, 7.0, 300.0])
    got, largest = one_by_one(CLOCK, T, K, ROWS, first)
    assert got.sums == pytest.approx(
        np.array([faded(t, k, first) for t, k in zip(T, K, strict=True)]), rel=1e-12
    )
    assert got.log_P == pytest.approx(-FADE * (T - first), rel=1e-13)
    assert largest == pytest.approx(-FADE * (T - first) / K, rel=1e-12)


def test_the_estimate_of_the_error_is_above_it() -> None:
    """Of long steps, whose formula's end leaves something out; of short ones next to nothing."""

    def steep(b: Batch, which: Index) -> Array:
        return np.stack((0.0 * b.t_lo, (b.t_hi - b.t_lo) / (1.0 + b.t_lo) ** 2))

    for K, most in ((2500.0, 1e-3), (1e6, 1e-9)):
        got = tally(CLOCK, DATA, 30.0, K, Rows(steep, (1.0, 1.0), (0,)), CHECKED)
        with mp.workdps(30):
            eta = mp.mpf(30) / mp.mpf(K)
            want = (mp.psi(1, 1 / eta) - mp.psi(1, 1 / eta + mp.mpf(K))) / eta
        assert abs(got.sums[0, 0] / float(want) - 1.0) <= got.error[0, 0] + 1e-14 and got.error[0, 0] < most


@pytest.mark.parametrize("K", [5e3, 123457.0, 1e8, 1e14])
def test_a_kink(K: float) -> None:
    """Σ η|kη − 1| and Σ ηe^{−FADE kη}|kη − 1|, k < K."""

    def bent(b: Batch, which: Index) -> Array:
        length = b.t_hi - b.t_lo
        return np.stack((-FADE * length, length * np.abs(b.t_lo - 1.0), length * np.abs(b.t_lo - 1.0)))

    with mp.workdps(60):
        eta = mp.mpf(2.5) / mp.mpf(K)
        bend, want = mp.floor(1 / eta) + 1, []  # the first k above 1
        for r in (mp.mpf(1), mp.exp(-eta * mp.mpf(FADE))):

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
