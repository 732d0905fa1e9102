"""The phase sampler with a look back: its law's fast twin, what its fit lowers, and what it is fitted to."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wbound.design import look_back as f
from wbound.design.phase_design import phase_sampler
from wbound.design.phase_nodes import fitted_nodes
from wbound.errors import BadInput
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import phase_levels
from wbound.sampler.multistep import multistep_named

X, N = np.array([0.04, 0.5, 3.0]), np.array([2.0, 1.0, 3.0])


@pytest.mark.parametrize("K", [1, 2, 5, 8])
@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_the_fast_twin_is_the_tapes_law(K: int, share: float) -> None:
    rng = np.random.default_rng(K)
    q = rng.normal(0.0, 0.5, (3, 2 * K + 1)) + 1.0
    x = np.geomspace(0.01, 50.0, 7)
    gains = f._gains(q, K, share, x)
    for row, got in zip(q, gains, strict=True):
        nu, lam, keep = (part[0] for part in f._parts(row[None], K))
        law = tape_law(f.walked(lam, keep, float(nu), share, "test"), x)
        assert got == pytest.approx(np.sqrt(law.variance), rel=1e-11)
    slope = f._gains(q[:1] + 1e-30j * np.eye(2 * K + 1)[:1], K, share, x).imag / 1e-30
    moved = f._gains(q[:1] + 1e-6 * np.eye(2 * K + 1)[:1], K, share, x)
    before = f._gains(q[:1] - 1e-6 * np.eye(2 * K + 1)[:1], K, share, x)
    assert slope == pytest.approx((moved - before) / 2e-6, rel=1e-5, abs=1e-8)


def test_the_walk_at_its_ends() -> None:
    """With z/λ and no look back it is the phase law's sampler; with σ′/σ and all of it DPM-Solver++(2M)."""
    x = np.geomspace(1e-3, 1e3, 40)
    of = phase_levels(fitted_nodes(X, 4, N))
    own = f.walked(of.levels, of.z / of.levels, of.nu, 0.0, "phase")
    assert tape_law(own, x).variance == pytest.approx(tape_law(of.tape(), x).variance, rel=1e-9)
    lam = np.append(np.geomspace(400.0, 0.01, 5), 0.0)
    full = f.walked(lam[:-1], np.sqrt(lam[1:] / lam[:-1]), 20.0, 1.0, "2m")
    assert tape_law(full, x).variance == pytest.approx(
        tape_law(multistep_named("dpmpp-2m").tape(lam), x).variance, rel=1e-9
    )


def test_fits_lower_what_they_fit() -> None:
    """On the spectrum and its copies: far below where the fit began, at one per cent of what is there."""
    x, n = f.copied(X, N, 8.0)
    plain = sorted((v / 8.0 ** (j / 6), k / 7) for v, k in zip(X, N, strict=True) for j in range(7))
    assert np.column_stack((x, n)) == pytest.approx(np.array(plain), rel=1e-12)
    assert f.copied(X, N, 1.0)[0] is X and f.copied(X, N, 1.0)[1] is N

    def off(tape: f.Tape) -> float:
        return math.sqrt(float(n @ (np.sqrt(tape_law(tape, x).variance) - np.sqrt(x)) ** 2) / float(n @ x))

    of = phase_levels(fitted_nodes(X, 5, N))
    made = f.refitted(X, 5, N, theta=8.0)
    assert off(made) < 0.2 * off(f.walked(of.levels, of.z / of.levels, of.nu, f.SHARE, "first"))
    assert off(made) < 1e-2 and made.made["look_back"] == f.SHARE and made.K == 5


def test_it_spans_what_it_has_to() -> None:
    """A spectrum of a factor 20 or more is fitted as it is; one eigenvalue with copies down to a twentieth."""
    for x, theta in ((np.array([0.1, 3.0]), 1.0), (np.array([0.5, 2.0]), 5.0), (np.array([2.0]), 20.0)):
        a, b = f.refitted(x, 3), f.refitted(x, 3, theta=theta)
        assert np.array_equal(a.answers, b.answers) and a.start_std == b.start_std
    zero = np.array([0.0, 2.0])  # a direction without variance does not count
    assert f.refitted(zero, 3).levels[0] > 0.0
    same = phase_sampler(K=3, spectrum=[0.5, 2.0], look_back=True)
    assert np.array_equal(same.answers, f.refitted([0.5, 2.0], 3).answers)


SPECTRA = {
    "wide": np.geomspace(1e-3, 9.0, 30),
    "power": np.arange(1.0, 101.0) ** -1.5,
    "two": np.array([0.3, 1.0]),
    "with zeros": np.append(np.zeros(3), np.geomspace(0.01, 4.0, 40)),
    "equal": np.repeat([0.04, 0.5, 2.0], [40, 3, 2]),
}


@pytest.mark.parametrize("K", [5, 12, 20, 29])
@pytest.mark.parametrize("name", SPECTRA)
def test_rounding_decides_nothing(name: str, K: int) -> None:
    """Eigenvalues moved in their last places and in another order: the same sampler, its W2 included, and a good one.
    Twelve digits are what is left of so small a W2."""
    x, rng = SPECTRA[name], np.random.default_rng(0)
    size = math.sqrt(float(x.sum()))
    w2s = []
    for i in range(3):
        y = rng.permutation(x * (1.0 + i * rng.integers(-3, 4, x.size) * 2.0**-52))
        of = phase_levels(fitted_nodes(y, K))
        w2s.append([tape_law(tape, y).w2() / size for tape in (of.tape(), f.refitted(y, K, of=of))])
    phase, refitted = np.array(w2s).T
    assert np.ptp(phase) < 1e-12 + 1e-5 * phase.max() and np.ptp(refitted) < 1e-12 + 1e-4 * refitted.max()
    assert refitted.max() < (1e-3 if K == 5 else 1e-5)


@pytest.mark.parametrize("K", [8, 16, 28])
@pytest.mark.parametrize("x", [[1.3, 0.0], [0.3, 1.0, 0.0, 0.0], [1e-3, 0.1, 1.0, 0.0]])
def test_directions_without_variance_are_fitted_too(x: list[float], K: int) -> None:
    """They receive next to nothing, and do not lead the fit of the others astray (W2 was up to a quarter of the spread)."""
    assert tape_law(f.refitted(x, K), np.array(x)).w2() < 3e-5 * math.sqrt(sum(x))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: phase_sampler(K=3, a=1.0, b=2.0, look_back=True), "look_back"),
        (lambda: f.refitted([1.0], 0), "K"),
        (lambda: f.refitted([-1.0], 2), "variances"),
        (lambda: f.refitted([1.0], 2, theta=0.0), "theta"),
        (lambda: f.refitted([1.0], 2, share=math.nan), "share"),
    ],
)
def test_refusals(call, named: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match=f"^{named} = "):
        call()
