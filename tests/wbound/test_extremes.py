"""Steps and clocks at the ends of double precision, where plain formulas lose their digits: against many of them."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
import referee
from checks import SCHEMES

import wbound
from wbound.bounds import theorem_2
from wbound.data.gaussian import Gaussian
from wbound.exact.gaussian_law import exact_w2
from wbound.sampler.grid import Grid


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("make", "T", "K"),
    [
        (referee.vp_exponential, 8.0, 3),
        (referee.ou, 30.0, 2),
        (referee.user_fading, 24.0, 3),
        (referee.ou, 7.0, 3),
    ],
)
def test_steps_so_long_that_e_to_F_swamps_the_rest(make: object, T: float, K: int, scheme: str) -> None:
    """Differences such as e^F − 1 − F are then no way to compute 1 + F: against 200 digits."""
    p = make()  # type: ignore[operator]
    digits, referee.DIGITS = referee.DIGITS, 200
    try:
        want = referee.exact_w2(p, referee.uniform(T, K), (0.5, 2.0), (1.0, 0.0), scheme, "prior")
    finally:
        referee.DIGITS = digits
    law = Gaussian(np.array([1.0, 0.0]), np.array([0.5, 2.0]))
    assert exact_w2(p.made, law, T, K, scheme=scheme) == pytest.approx(want, rel=3e-8)


def test_a_step_beyond_double_precision() -> None:
    """vp-polynomial at T = 40, F up to 660 a step: hf's law is finite; what overflows is infinite, never 0."""
    p, law = wbound.process("vp-polynomial"), Gaussian(np.array([1.0, 0.0]), np.array([0.5, 2.0]))
    assert 0.3 < exact_w2(p, law, 40.0, 200, scheme="hf") < 3.0
    for scheme in SCHEMES:
        for K in (1, 3, 50):
            value = exact_w2(p, law, 40.0, K, scheme=scheme)
            assert not math.isnan(value) and value > 0.1
            assert value <= wbound.w2_bound(p, law, 40.0, K, scheme=scheme).total


@pytest.mark.parametrize("scheme", ["hf", "ddpm"])
def test_clocks_beyond_double_precision(scheme: str) -> None:
    """λ_{k−1}/λ_k beyond e^709, and every step still matters: λ_{k−1}/λ_k² is of the order of 1."""
    B = np.array([5760.0, 2881.0, 1441.0, 721.0, 361.0, 181.0, 91.0, 46.0, 23.0, 11.0, 5.0, 2.0, 0.5])
    times = (*((np.sqrt(1.0 + 8.0 * B) - 1.0) / 2.0).tolist(), 0.0)  # B = t/2 + t²/2
    p, total = referee.vp_linear(a=1.0, b=0.5), mp.mpf(0)
    with mp.workdps(30):
        path = referee.steps(p, times)
        for v in (mp.mpf("0.5"), mp.mpf(2)):  # Eq. 10 and 10′ from the exact start, which keeps the mean
            per = [s.H**2 / ((v + s.lam_lo) ** 2 * (v + s.lam_hi)) for s in path]
            own = [-v / s.lam_hi if scheme == "ddpm" else 1 for s in path]
            excess = v**2 * mp.fsum(x * y for x, y in zip(per, own, strict=True))
            total += (mp.sqrt(v + excess) - mp.sqrt(v)) ** 2
    law = Gaussian(np.array([1.0, 0.0]), np.array([0.5, 2.0]))
    got = exact_w2(p.made, law, grid=Grid.from_t(times), scheme=scheme, start="exact")
    assert got == pytest.approx(float(mp.sqrt(total)), rel=1e-9)


def test_steps_whose_clock_is_below_doubles() -> None:
    """λ underflows to 0 over the last steps, where ddpm's ratio λ_k/λ_{k−1} is 0/0: found by the search of
    test_statements.py as an infinite exact W2. The figure is from 60 digits."""
    p = wbound.process("ve-polynomial", a=1.0, b=0.011109, c=90.0171)
    law = Gaussian(np.zeros(1), 1.0)
    assert exact_w2(p, law, 1.018023887859084, 403, scheme="ddpm") == pytest.approx(
        0.220362102308330044, rel=1e-12
    )
    assert 0.2203 < wbound.w2_bound(p, law, 1.018023887859084, 403, scheme="ddpm").total < 0.6


@pytest.mark.parametrize(
    ("a", "b", "T", "K"), [(1.0, 0.896394, 93.34766429352365, 3), (math.e, 1.0, 41.128, 2)]
)
def test_a_long_step_that_keeps_next_to_nothing(a: float, b: float, T: float, K: int) -> None:
    """ei, over whose last step A is 3 or 15 and A − C/w is 3e-12 or 5e-8 of either sign, with all of the noise before
    it to multiply: found by the search of test_statements.py as an exact W2 above Theorem 2. In 25 digits here."""
    p = wbound.Process(f="a*exp(-b*t)", g="c*exp(b*t)", a=a, b=b, c=1.0)
    got = exact_w2(p, Gaussian(np.zeros(1), 1.0), T, K, scheme="ei")
    with mp.workdps(25):
        nodes = [mp.mpf(T) * (K - k) / K for k in range(K + 1)]

        def alpha(t: mp.mpf) -> mp.mpf:
            return mp.exp(-mp.mpf(a) * (1 - mp.exp(-mp.mpf(b) * t)) / b)

        def noise(power: int, lo: mp.mpf, hi: mp.mpf) -> mp.mpf:
            pieces = mp.linspace(lo, hi, 16)
            return (
                mp.quad(lambda t: mp.exp(2 * mp.mpf(b) * t) / alpha(t) ** power, pieces) if hi else mp.mpf(0)
            )

        lam = [noise(2, mp.mpf(0), t) for t in nodes]
        v = alpha(nodes[0]) ** 2 * lam[0]  # the prior start
        for k, (hi, lo) in enumerate(zip(nodes[:-1], nodes[1:], strict=True)):
            score = alpha(lo) * noise(1, lo, hi) / (alpha(hi) ** 2 * (1 + lam[k]))
            v = (alpha(lo) / alpha(hi) - score) ** 2 * v + alpha(lo) ** 2 * (lam[k] - lam[k + 1])
        assert got == pytest.approx(float(mp.sqrt(v) - 1), rel=1e-8)


def test_the_bound_and_the_law_agree_on_what_such_a_step_keeps() -> None:
    """Two eigenvalues, of which r differs by 1e-8 alone: hf's own at L0 as a difference of numbers near 1 lost that, and
    Theorem 2 came out 2.5e-9 below the exact law (found by the same search)."""
    p = wbound.Process(f="a*exp(-b*t)", g="c*exp(b*t)", a=1.0, b=1.0, c=1.0)
    law = Gaussian(np.zeros(2), np.array([1.0, math.e]))
    V = 0.6065306597126334
    exact = exact_w2(p, law, 73.34657359027997, 4, scheme="ei", score_noise=V)
    bound = wbound.w2_bound(p, law, 73.34657359027997, 4, scheme="ei", score_noise=V).total
    assert exact * (1.0 - 1e-12) <= bound <= exact * (1.0 + 1e-7)


def test_a_bias_whose_square_is_below_doubles_keeps_its_digits() -> None:
    """c = 1e-166 over the first step of ei, whose share of W2 is all there is: found by the search of
    test_statements.py as a bound 2.7e-9 below the exact law. For λ = ∫e^{2(a−c)t} dt all is closed: in 150 digits."""
    a, c, T, K = 7.86561, 6.52082, 32.34310755908913, 7
    p = wbound.Process(f="a", g="exp(-c*t)", a=a, c=c)
    law = Gaussian(np.zeros(1), 1.0)
    s = wbound.setting(p, law, T, K, scheme="ei")
    got = theorem_2.local(s.nodes.batch, law, s.scheme).b[0]
    with mp.workdps(150):
        hi, lo, A, C = mp.mpf(T), mp.mpf(T) * (K - 1) / K, mp.mpf(a), mp.mpf(c)

        def noise(q: int, t: mp.mpf) -> mp.mpf:
            return mp.expm1((q * A - 2 * C) * t) / (q * A - 2 * C)

        lam = noise(2, hi), noise(2, lo)
        E = mp.exp(-A * lo) * (noise(1, hi) - noise(1, lo))
        hf = mp.exp(-A * (lo + hi)) * (lam[0] - lam[1])
        expected = (
            abs(hf - E) / mp.sqrt(mp.exp(-2 * A * hi) * (1 + lam[0])) / (mp.exp(-A * lo) * (1 + lam[1]))
        )
    assert got == pytest.approx(float(expected), rel=1e-11, abs=0.0)
    assert wbound.w2_bound(p, law, T, K, scheme="ei").total >= exact_w2(p, law, T, K, scheme="ei") * (
        1.0 - 1e-12
    )
