"""Profiles of weakly log-concave data and of log-Lipschitz perturbations, against the exact curvature of laws on the line."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
from hypothesis import settings
from scipy.special import logsumexp

import wbound
from numerics import exact_w2, law1d_w2
from numerics.targets.mixtures import Bimodal
from wbound.data.weak_log_concavity import lipschitz_perturbation, log_concave_from, weakly_log_concave
from wbound.errors import BadInput, HypothesisFailed

Array = np.ndarray
NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)


def curvature(U: Callable[[Array], Array], lam: Array, y: Array, reach: float) -> Array:
    """−(log q_λ)″(y) = (1 − Var(X_0|y)/λ)/λ of p_0 ∝ e^{−U}, by quadrature of the posterior; arrays (n,)."""
    # the posterior's mass is within a few √λ of its mode, and within p_0's reach
    at = np.linspace(-reach, reach, 4001)
    rough = -U(at) - (at - y[:, None]) ** 2 / (2.0 * lam[:, None])
    inside = rough > rough.max(axis=1, keepdims=True) - 45.0
    lo, hi = (np.where(inside, at, s * np.inf) for s in (1.0, -1.0))
    left, right = lo.min(axis=1) - at[1] + at[0], hi.max(axis=1) + at[1] - at[0]
    # in two halves at 0, where |x| has its kink
    middle = np.clip(0.0, left, right)
    x = np.concatenate(
        [a[:, None] + (b - a)[:, None] * 0.5 * (NODES + 1.0) for a, b in ((left, middle), (middle, right))],
        axis=1,
    )
    log_w = np.concatenate(
        [
            np.log(np.maximum((b - a)[:, None] * WEIGHTS, 1e-300))
            for a, b in ((left, middle), (middle, right))
        ],
        axis=1,
    )
    log_p = log_w - U(x) - (x - y[:, None]) ** 2 / (2.0 * lam[:, None])
    p = np.exp(log_p - logsumexp(log_p, axis=1, keepdims=True))
    mean = (p * x).sum(axis=1, keepdims=True)
    return np.asarray((1.0 - (p * (x - mean) ** 2).sum(axis=1) / lam) / lam)


def softplus_pair(alpha: float, M: float) -> Callable[[Array], Array]:
    """αx²/2 − log cosh(√M x): the symmetric mixture's U."""
    return lambda x: 0.5 * alpha * x**2 - np.logaddexp(math.sqrt(M) * x, -math.sqrt(M) * x)


def test_weak_log_concavity_is_attained_by_the_mixture() -> None:
    for c, s in ((1.5, 1.0), (0.4, 0.7), (3.0, 0.5)):
        alpha, M = 1.0 / s**2, c**2 / s**4
        profile = weakly_log_concave(alpha, M, 1, c**2 + s**2, 0.0, L0=alpha)
        known = wbound.bounded_data(c, s, 1, c**2 + s**2, 0.0)
        at = np.linspace(-8.0, 8.0, 60)
        assert profile.lam_m(at) == pytest.approx(known.lam_m(at), rel=1e-12)
        assert profile.lam_L(at) == pytest.approx(known.lam_L(at), rel=1e-12)
        lam = np.exp(at)
        got = curvature(softplus_pair(alpha, M), lam, np.zeros(60), c + 12.0 * s)
        assert lam * got == pytest.approx(profile.lam_m(at), rel=1e-6, abs=1e-8)
        profile.check(-8.0, 8.0)
        assert profile.proved


def weak(rng: np.random.Generator) -> tuple[Callable[[Array], Array], float, float, float | None]:
    """A law on the line that is weakly log-concave: U, α, M, L_0. Where the pair of points is not symmetric, or U is no
    mixture's, κ(r) ≥ α − f_M(r)/r is by the sum of two such terms, each no less than its symmetric pair's."""
    alpha, M = 10.0 ** rng.uniform(-1.0, 1.0), 10.0 ** rng.uniform(-1.0, 1.5)
    shift = rng.normal() / math.sqrt(alpha)
    root, more = math.sqrt(M), 10.0 ** rng.uniform(-2.0, 1.0) * rng.integers(0, 2)

    def U(x: Array) -> Array:
        # tanh of a sum of two points: tanh u − tanh v ≤ 2 tanh((u − v)/2)
        return 0.5 * alpha * x**2 - np.logaddexp(root * (x - shift), -root * (x - shift)) + more * x**4

    return U, alpha, M, None if more else alpha


def perturbed(rng: np.random.Generator) -> tuple[Callable[[Array], Array], float, float, float | None]:
    """A log-Lipschitz perturbation on the line: U + H, α, β, L_0."""
    alpha, beta = 10.0 ** rng.uniform(-1.0, 1.0), 10.0 ** rng.uniform(-1.0, 0.7)
    kind, more = int(rng.integers(4)), 10.0 ** rng.uniform(-2.0, 1.0) * rng.integers(0, 2)
    w = 10.0 ** rng.uniform(-0.5, 0.8)
    H: Callable[[Array], Array] = (
        lambda x: -beta * np.abs(x),
        lambda x: beta * np.sin(w * x) / w,
        lambda x: beta * np.abs(x),
        lambda x: beta * np.sqrt(1.0 + (x - 1.0) ** 2) - 2.0 * beta * np.abs(x) * (x < 0.0),
    )[kind]
    if kind == 3:
        beta = 3.0 * beta  # of the sum
    return (
        (lambda x: 0.5 * alpha * x**2 + H(x) + more * x**4),
        alpha,
        beta,
        alpha if kind == 0 and not more else None,
    )


@pytest.mark.parametrize("family", ["weak", "perturbed"])
def test_no_law_on_the_line_is_outside_its_profile(family: str) -> None:
    """Two thousand cells in a run (both), a hundred thousand in the deep one: m below and L above the exact curvature."""
    rounds = settings.default.max_examples // 100
    rng = np.random.default_rng(11 if rounds == 1 else None)
    nearest = math.inf
    for _ in range(50 * rounds):
        U, alpha, size, L0 = (weak if family == "weak" else perturbed)(rng)
        make = weakly_log_concave if family == "weak" else lipschitz_perturbation
        profile = make(alpha, size, 1, 1e6, L0=L0)
        reach = 3.0 + (9.0 / math.sqrt(alpha) + 2.0 * (math.sqrt(size) if family == "weak" else size) / alpha)
        at = rng.uniform(-5.0, 5.0, 20)
        lam = np.exp(at)
        y = rng.uniform(-0.5, 0.5, 20) * reach * rng.integers(0, 2, 20)
        got = lam * curvature(U, lam, y, reach)
        low, high = profile.lam_m(at), profile.lam_L(at)
        assert (got >= low - 1e-6 * (1.0 + np.abs(low))).all()
        assert (got <= high + 1e-6).all()
        nearest = min(nearest, float((got - low).min()))
    assert nearest < 1e-3


def test_the_kink_attains_the_lipschitz_profile() -> None:
    """exp(−αx²/2 + β|x|) at 0, by quadrature at 30 digits; and the limit at λ → 0."""
    for alpha, beta, lam in ((1.0, 0.5, 0.3), (0.2, 3.0, 2.0), (4.0, 1.0, 1e-4), (1.0, 6.0, 50.0)):
        profile = lipschitz_perturbation(alpha, beta, 1, 10.0, 0.0, L0=alpha)
        with mp.workdps(30):
            a = alpha + 1 / mp.mpf(lam)
            top = mp.mpf(beta) / a
            width = 1 / mp.sqrt(a)
            points = [0, top, *(top + k * width for k in (2, 5, 12, 30))] if top > 0 else [0]
            density = lambda x, a=a, beta=beta, top=top: mp.exp(-a * x**2 / 2 + beta * x - beta * top / 2)  # noqa: E731
            mass = mp.quad(density, points)
            variance = mp.quad(lambda x: x**2 * density(x), points) / mass
            want = (1 - variance / lam) / lam
        got = float(profile.lam_m(np.array([math.log(lam)]))[0]) / lam
        assert got == pytest.approx(float(want), rel=1e-9)
    far = lipschitz_perturbation(1.0, 2.0, 1, 10.0).lam_m(np.array([-40.0]))[0]
    assert far == pytest.approx(-2.0 * math.sqrt(2.0 / math.pi) * math.exp(-20.0), rel=1e-6)


def test_when_the_data_are_log_concave() -> None:
    assert log_concave_from(2.0, 1.0) == 0.0
    begins = log_concave_from(0.5, 3.0)
    m = weakly_log_concave(0.5, 3.0, 1, 30.0).lam_m(np.log(begins * np.array([0.999, 1.001])))
    assert begins == pytest.approx(10.0) and m[0] < 0.0 < m[1]


def test_theorem_2_prime_takes_them() -> None:
    """A bound above the exact W2 of a mixture on the line, the same as with its own profile, and a kinked law's."""
    c, s = 1.0, 1.0
    p, target = wbound.process("ou", theta=1.0, sigma=1.4), Bimodal(c, s)
    mine = weakly_log_concave(1.0, 1.0, 1, 2.0, 0.0, L0=1.0)
    where = {"T": 3.0, "K": 40, "scheme": "hf", "start": "exact"}
    bound = wbound.w2_bound(p, mine, **where).total
    assert bound == pytest.approx(
        wbound.w2_bound(p, wbound.bounded_data(c, s, 1, 2.0, 0.0), **where).total, rel=1e-9
    )
    assert bound >= law1d_w2(p, target, **where).w2
    # a Gaussian is a perturbation by nothing: any β > 0 asks for more
    law = wbound.LogConcave(1, 1.0, 1.0, 1.0, 0.0)
    loose = wbound.w2_bound(p, lipschitz_perturbation(1.0, 0.1, 1, 1.0, 0.0, L0=1.0), **where).total
    assert loose > wbound.w2_bound(p, law, **where).total >= exact_w2(p, law, **where)


def test_refusals() -> None:
    with pytest.raises(BadInput, match="M"):
        weakly_log_concave(1.0, 0.0, 1, 1.0)
    with pytest.raises(BadInput, match="beta"):
        lipschitz_perturbation(1.0, -1.0, 1, 1.0)
    for make in (weakly_log_concave, lipschitz_perturbation):
        with pytest.raises(HypothesisFailed, match="alpha <= L0"):
            make(1.0, 1.0, 1, 1.0, L0=0.5)
    small = weakly_log_concave(1.0, 1.0, 3, 0.1, 0.0, L0=1.0)  # the variance is at least d/L_0
    with pytest.raises(HypothesisFailed, match="A1'"):
        wbound.w2_bound(wbound.process("ou"), small, T=1.0, K=5)
