"""The phase law (Theorem 4), its minimax member (Theorem 6) and nodes fitted to a spectrum."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import ndtr, ndtri

from wbound.bounds.theorem_6 import affine_floor
from wbound.calculus.elliptic import agm, groetzsch, groetzsch_root, jacobi_dn, jacobi_sc, log_modulus
from wbound.data.binned_spectrum import spectral_bins
from wbound.design.phase_design import phase_sampler
from wbound.design.phase_nodes import fitted_nodes
from wbound.errors import BadInput
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import PhaseSampler, phase_levels, zolotarev_levels

nodes_of = st.integers(1, 8).flatmap(
    lambda K: st.lists(st.floats(-3.0, 3.0), min_size=2 * K + 1, max_size=2 * K + 1)
)


def B(s_i: np.ndarray, s: np.ndarray) -> np.ndarray:
    return np.prod((s_i - s[:, None]) / (s_i + s[:, None]), axis=1)


@settings(max_examples=2 * settings.default.max_examples)
@given(logs=nodes_of, log_x=st.lists(st.floats(-8.0, 8.0), min_size=1, max_size=6))
def test_theorem_4(logs: list[float], log_x: list[float]) -> None:
    """(r − s)/(r + s) = Π (s_i − s)/(s_i + s), by the tape's own law; and the order of levels and zeros."""
    s_i = np.sort(10.0 ** np.array(logs))
    sampler, x = phase_levels(s_i), 10.0 ** np.array(log_x)
    r, s = np.sqrt(tape_law(sampler.tape(), x).variance), np.sqrt(x)
    assert (r - s) / (r + s) == pytest.approx(B(s_i, s), abs=1e-13)
    assert sampler.gain(x) == pytest.approx(r, rel=1e-12)
    K = sampler.K
    both = np.ravel(np.column_stack((sampler.levels, sampler.z)))
    assert (np.diff(both) < 0.0).all() and both[-1] > 0.0
    assert sampler.nu == pytest.approx(s_i.sum(), rel=1e-14)
    assert ((0.0 < sampler.coefficients) & (sampler.coefficients < sampler.levels)).all()
    phase = np.arctan(np.sqrt(both)[:, None] / s_i).sum(axis=1)
    assert phase == pytest.approx(np.arange(2 * K, 0, -1) * 0.5 * math.pi, rel=1e-13)


@pytest.mark.parametrize("K", [1, 2, 5, 9])
def test_up_to_2K_plus_1_eigenvalues_cost_nothing(K: int) -> None:
    """W2 ≤ 1e-12 √tr Σ at the nodes, and with one eigenvalue more it is not 0."""
    rng = np.random.default_rng(K)
    for m in {1, 2, 2 * K, 2 * K + 1}:
        x = np.exp(rng.uniform(-6.0, 4.0, m))
        spectrum = np.repeat(x, rng.integers(1, 4, m))
        tape = phase_sampler(K=K, spectrum=spectrum)
        assert tape.K == K and not tape.stochastic
        assert tape_law(tape, spectrum).w2() <= 1e-12 * math.sqrt(spectrum.sum())
    more = np.geomspace(1.0, 1e4, 2 * K + 2)
    assert tape_law(phase_sampler(K=K, spectrum=more), more).w2() > 1e-10 * math.sqrt(more.sum())


def test_the_tangent_law() -> None:
    """Equal nodes: √λ_j = s tan(πj/n)."""
    for K in (1, 4, 30):
        n = 2 * K + 1
        sampler = phase_levels(np.full(n, 1.7))
        assert np.sqrt(sampler.levels[::-1]) == pytest.approx(
            1.7 * np.tan(math.pi * np.arange(1, K + 1) / n), rel=1e-12
        )
        same = zolotarev_levels(K, 1.7**2, 1.7**2)
        for of in ("levels", "z", "nu", "nodes"):
            assert getattr(same, of) == pytest.approx(getattr(sampler, of), rel=1e-14), of


def test_what_a_sampler_says_of_itself() -> None:
    sampler = phase_levels([3.0, 1.0, 2.0])
    assert sampler.nodes is not None and sampler.nodes.tolist() == [1.0, 2.0, 3.0] and sampler.nu == 6.0
    # φ(t) = arctan t + arctan t/2 + arctan t/3 = π at t² = 1·2 + 1·3 + 2·3 = 11, and π/2 where 1 = t² (1/2 + 1/3 + 1/6)
    assert sampler.levels == pytest.approx([11.0], rel=1e-13) and sampler.z == pytest.approx([1.0], rel=1e-13)
    assert sampler.coefficients == pytest.approx([10.0], rel=1e-13)
    more = phase_levels([0.1, 0.5, 2.0, 3.0, 40.0])
    assert more.coefficients.tolist() == [high - low for high, low in zip(more.levels, more.z, strict=True)]


@pytest.mark.parametrize("kappa", [1.0 + 1e-9, 2.0, 1e3, 1e6, 1e12, 1e100, 1e290])
@pytest.mark.parametrize("K", [1, 2, 7, 40])
def test_the_minimax_sampler(K: int, kappa: float) -> None:
    """Its gain is off by E_K at 2K+2 points in turn and by no more between; its nodes give its levels."""
    a = 3e-4
    sampler = zolotarev_levels(K, a, a * kappa)
    n, floor = 2 * K + 1, affine_floor(kappa, K)
    inner = jacobi_dn(np.arange(1, n) / n, 1.0 / math.sqrt(kappa)) ** 2 * (a * kappa)
    at = np.concatenate(([a], inner[::-1], [a * kappa]))
    off = sampler.gain(at) / np.sqrt(at) - 1.0
    assert off == pytest.approx(floor * (-1.0) ** np.arange(n + 1), abs=1e-12 if kappa < 1e50 else 1e-11)
    between = np.exp(np.linspace(math.log(a), math.log(a * kappa), 40 * n))
    assert np.abs(sampler.gain(between) / np.sqrt(between) - 1.0).max() <= floor + 1e-11
    assert sampler.nodes is not None
    again = phase_levels(sampler.nodes)
    assert again.levels == pytest.approx(sampler.levels, rel=1e-11)
    assert again.z == pytest.approx(sampler.z, rel=1e-11)
    assert again.nu * sampler.scale == pytest.approx(sampler.nu, rel=1e-13)


def test_its_tape_reaches_the_floor_on_every_spectrum() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        K, a, kappa = int(rng.integers(1, 8)), math.exp(rng.uniform(-5, 5)), math.exp(rng.uniform(0.5, 14))
        tape = phase_sampler(K=K, a=a, b=a * kappa)
        x = a * np.exp(rng.uniform(0, math.log(kappa), int(rng.integers(1, 30))))
        assert tape_law(tape, x).w2() <= (affine_floor(kappa, K) + 1e-12) * math.sqrt(x.sum())
        one = np.full(3, a)  # and it is attained
        assert tape_law(tape, one).w2() == pytest.approx(
            affine_floor(kappa, K) * math.sqrt(one.sum()), abs=1e-12 * math.sqrt(a)
        )


def test_off_centre_the_start_stands_at_the_mean() -> None:
    """With the mean added to every state nothing changes; from the origin the mean is missed."""
    tape = phase_sampler(K=3, a=0.5, b=4.0)
    law = tape_law(tape, [0.5, 2.0])
    assert (np.abs(law.mean_gain + law.gain / math.sqrt(1.0 + tape.start_level) - 1.0) < 1e-12).all()
    assert law.w2(mean=10.0) > law.w2() + 1e-3


# ---------------------------------------------------------------------- fitted nodes


def test_fitted_nodes_are_stationary_and_better_than_the_class() -> None:
    """No neighbour is better, by another optimiser; and W2 is well below the minimax sampler's."""
    rng = np.random.default_rng(1)
    for K in (1, 2, 3):
        x = np.exp(rng.uniform(-4, 3, 40))
        n = rng.integers(1, 5, 40)
        found = fitted_nodes(x, K, n)

        def w2(log_nodes: np.ndarray, x: Any = x, n: Any = n) -> float:
            b = B(np.exp(log_nodes), np.sqrt(x))
            return math.sqrt(float((n * x * (2.0 * b / (1.0 - b)) ** 2).sum()))

        best = w2(np.log(found))
        assert best == pytest.approx(tape_law(phase_levels(found).tape(), x).w2(counts=n), rel=1e-8)
        again = minimize(
            w2,
            np.log(found) + 1e-3 * rng.standard_normal(found.size),
            method="Nelder-Mead",
            options={"maxiter": 600},
        )
        assert again.fun >= best * (1 - 1e-6)
        assert best < 0.7 * tape_law(phase_sampler(K=K, a=x.min(), b=x.max()), x).w2(counts=n)
        assert found.min() >= math.sqrt(x.min()) * (1 - 1e-9) and found.max() <= math.sqrt(x.max()) * (
            1 + 1e-9
        )


def test_many_eigenvalues_are_binned() -> None:
    """3,072 of them: the nodes found over bins are as good for all as for the bins, to a thousandth."""
    x = np.geomspace(1e-4, 100.0, 3072)
    for K, most in ((3, 5.3e-3), (10, 1.2e-6)):
        w2 = tape_law(phase_levels(fitted_nodes(x, K)).tape(), x).w2() / math.sqrt(x.sum())
        assert w2 < most
    values, number, zeros = spectral_bins(np.append(x, [0.0, 0.0]))
    assert number.sum() == 3072 and zeros == 2 and values.size <= 512
    assert (values * number).sum() == pytest.approx(x.sum(), rel=1e-12)


def test_eigenvalues_that_are_zero() -> None:
    """They count with what the sampler leaves there, 1/Σ 1/s_i."""
    x = np.array([0.0, 0.0, 1.0, 2.0, 3.0, 5.0])
    for K in (1, 2, 3):
        nodes = fitted_nodes(x, K)
        sampler = phase_levels(nodes)
        assert math.sqrt(tape_law(sampler.tape(), [0.0]).variance[0]) == pytest.approx(
            1.0 / (1.0 / nodes).sum(), rel=1e-9
        )
        without = fitted_nodes(x[2:], K)
        assert tape_law(sampler.tape(), x).w2() < tape_law(phase_levels(without).tape(), x).w2()


@settings(max_examples=settings.default.max_examples // 2)
@given(
    logs=st.lists(st.floats(-30.0, 30.0), min_size=1, max_size=30),
    K=st.integers(1, 10),
    zeros=st.integers(0, 2),
)
def test_any_spectrum(logs: list[float], K: int, zeros: int) -> None:
    """No overflow, no warning, and no worse than the class's own sampler."""
    x = np.append(np.exp(logs), np.zeros(zeros))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler = phase_levels(fitted_nodes(x, K))
        w2 = tape_law(sampler.tape(), x).w2()
    a, b = math.exp(min(logs)), math.exp(max(logs))
    if b > a:
        assert w2 <= tape_law(phase_sampler(K=K, a=a, b=b), x).w2() * (1 + 1e-6) + 1e-12 * math.sqrt(x.sum())


# ---------------------------------------------------------------------- elliptic functions


@pytest.mark.parametrize("kappa", [1.0 + 1e-12, 1.5, 1.99, 2.01, 1e3, 1e12, 1e80, 1e300])
def test_elliptic_functions(kappa: float) -> None:
    """Against mpmath, on both sides of the modulus at which the nome is exchanged."""
    ell = math.sqrt(1.0 / kappa)
    with mp.workdps(40 + 2 * int(math.log10(kappa))):
        m = 1 - mp.mpf(ell) ** 2
        whole = mp.ellipk(m)
        for part in (1e-3, 0.3, 0.5, 0.7, 0.999):
            u = whole * mp.mpf(part)
            at = np.array([part])
            assert abs(jacobi_sc(at, ell)[0] / mp.ellipfun("sc", u, m=m) - 1) < 2e-14
            assert abs(jacobi_dn(at, ell)[0] / mp.ellipfun("dn", u, m=m) - 1) < 2e-14
        mu = mp.pi / 2 * whole / mp.ellipk(1 - m)
        assert abs(groetzsch_root(kappa) / mu - 1) < (1e-14 if kappa > 1.1 else 1e-5)
        if kappa > 1.1:
            assert abs(groetzsch(ell) / mu - 1) < 1e-14
            assert log_modulus(float(mu)) == pytest.approx(math.log(ell), rel=1e-14, abs=1e-14)


@pytest.mark.parametrize("b", [1e-12, 0.3, 1.0, math.sqrt(2.0), 7.0])
def test_the_arithmetic_geometric_mean(b: float) -> None:
    assert agm(1.0, b) == pytest.approx(float(mp.agm(1, mp.mpf(b))), rel=1e-15)


def test_elliptic_functions_of_modulus_0() -> None:
    """sc is the tangent, dn is 1, on both halves of the quarter period."""
    part = np.array([0.1, 0.3, 0.5, 0.8])
    assert jacobi_sc(part, 1.0) == pytest.approx([math.tan(0.5 * math.pi * p) for p in part], rel=1e-14)
    assert jacobi_dn(part, 1.0) == pytest.approx(np.ones(4), rel=1e-15)


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: phase_levels([1.0, 2.0]), "nodes"),
        (lambda: phase_levels([1.0]), "nodes"),
        (lambda: phase_levels([1.0, 0.0, 2.0]), "nodes"),
        (lambda: phase_levels([1.0, math.nan, 2.0]), "nodes"),
        (lambda: phase_sampler(K=0, a=1.0, b=2.0), "K"),
        (lambda: phase_sampler(K=2, a=0.0, b=2.0), "a"),
        (lambda: phase_sampler(K=2, a=-1.0, b=2.0), "a"),
        (lambda: phase_sampler(K=2, a=3.0, b=2.0), "b"),
        (lambda: phase_sampler(K=2, a=3.0), "b"),
        (lambda: phase_sampler(K=2, b=3.0), "a"),
        (lambda: phase_sampler(a=1.0, b=2.0), "K"),
        (lambda: phase_sampler(), "phase_sampler"),
        (lambda: phase_sampler([1.0, 2.0, 3.0], K=2), "K"),
        (lambda: phase_sampler([1.0, 2.0, 3.0], spectrum=[1.0]), "phase_sampler"),
        (lambda: fitted_nodes([0.0], 2), "variances"),
        (lambda: fitted_nodes([-1.0, 1.0], 2), "variances"),
        (lambda: fitted_nodes([1.0, 2.0], 2, [1.0]), "counts"),
        (lambda: fitted_nodes([1.0, 2.0], 2, [1.0, -1.0]), "counts"),
    ],
)
def test_refusals(call: Callable[[], object], named: str) -> None:
    with pytest.raises(BadInput) as caught:
        call()
    assert caught.value.option == named and "\n" not in str(caught.value)


def test_a_sampler_off_by_a_per_cent_is_noticed() -> None:
    """Each of its numbers matters: with a level, a zero or ν moved by 1 % the error leaves E_K."""
    K, kappa = 4, 1e4
    right = zolotarev_levels(K, 1.0, kappa)
    x = np.exp(np.linspace(0.0, math.log(kappa), 2001))
    for name in ("levels", "z"):
        for j in range(K):
            moved = getattr(right, name).copy()
            moved[j] *= 1.01
            arrays = {"levels": right.levels, "z": right.z} | {name: moved}
            wrong = PhaseSampler(nu=right.nu, nodes=None, **arrays)
            assert np.abs(wrong.gain(x) / np.sqrt(x) - 1.0).max() > affine_floor(kappa, K) + 1e-5
    for factor in (0.99, 1.01):
        wrong = PhaseSampler(right.levels, right.z, right.nu * factor, None)
        assert np.abs(wrong.gain(x) / np.sqrt(x) - 1.0).max() > affine_floor(kappa, K) + 1e-3


# ---------------------------------------------------------------------- beyond Gaussian data


@pytest.mark.parametrize(
    ("s", "K", "phase", "multistep"),
    [(0.7, 5, 0.0211, 0.0119), (0.3, 10, 0.0323, 0.0123), (0.1, 20, 0.0115, 0.0045)],
)
def test_on_a_mixture_2m_is_better(s: float, K: int, phase: float, multistep: float) -> None:
    """The table of docs/howto/few-steps.md: N(±1, s²), exact denoiser, by quantiles; DPM-Solver++(2M) has the best of 25
    ranges."""
    q, line = (np.arange(8000) + 0.5) / 8000, np.linspace(-5.0, 5.0, 40001)
    truth = np.interp(q, 0.5 * (ndtr((line - 1) / s) + ndtr((line + 1) / s)), line)
    size = math.sqrt(1.0 + s * s)

    def denoised(y: np.ndarray, lam: float) -> np.ndarray:
        return (s * s * y + lam * np.tanh(y / (s * s + lam))) / (s * s + lam)

    def w2(y: np.ndarray) -> float:
        return math.sqrt(float(((np.sort(y) - truth) ** 2).mean())) / size

    sampler = zolotarev_levels(K, s * s, 1.0 + s * s)
    y = ndtri(q) * sampler.nu
    for level, z in zip(sampler.levels, sampler.z, strict=True):
        y = y * (z / level) + (1.0 - z / level) * denoised(y, level)
    assert w2(y) == pytest.approx(phase, abs=2e-4)

    def two_m(high: float, low: float) -> float:
        sigma, y, old = np.append(np.geomspace(high, low, K), 0.0), ndtri(q) * high, np.zeros(1)
        for k in range(K):
            D = denoised(y, sigma[k] ** 2)
            used = 1.5 * D - 0.5 * old if 0 < k < K - 1 else D  # r = 1 on log-uniform levels
            y, old = sigma[k + 1] / sigma[k] * y + (1.0 - sigma[k + 1] / sigma[k]) * used, D
        return w2(y)

    best = min(two_m(high, low) for high in (2, 4, 8, 20, 80) for low in (0.02, 0.05, 0.1, 0.2, 0.4))
    assert best == pytest.approx(multistep, abs=2e-4) and best < w2(y)


@pytest.mark.parametrize(("K", "kappa", "most"), [(3, 1e6, 1.96), (5, 1e6, 1.73), (20, 10.0, 1.58)])
def test_how_wide_its_states_are(K: int, kappa: float, most: float) -> None:
    """Before an evaluation, relative to q_λ, per eigenvalue: a trained network sees wider inputs."""
    sampler, x = zolotarev_levels(K, 1.0, kappa), np.geomspace(1.0, kappa, 400)
    size, widest, least = np.full_like(x, sampler.nu), 0.0, math.inf
    for level, z in zip(sampler.levels, sampler.z, strict=True):
        relative = size / np.sqrt(x + level)
        widest, least = max(widest, float(relative.max())), min(least, float(relative.min()))
        size = size * (x + z) / (x + level)
    assert widest == pytest.approx(most, abs=0.01) and least > 0.93
