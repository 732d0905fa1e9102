"""The ODE schemes' coefficients and their exact Gaussian law, against 30 digits and a plain loop."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import referee

import wbound
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import gaussian_data
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact import gaussian_law
from wbound.exact.gaussian_law import exact_w2, law
from wbound.exact.ode_moves import moves
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import setting
from wbound.sampler.scheme import SCHEMES
from wbound.sampler.steps import batch
from wbound.sampler.tape_of_scheme import tape_of

ODE = ("ode-hf", "ddim", "ode-ei", "heun", "heun-lam", "heun-lambda")
EVERY = pytest.mark.parametrize("make", referee.ALL.values(), ids=referee.ALL)
TIMES = (3.0, 2.2, 1.0, 0.9, 0.4, 0.39, 0.1, 1e-4, 0.0)


def plain_steps(s: referee.Step, scheme: str) -> tuple[Any, Any, Any]:
    """c_k (of the first stage), c′ and c″ in y-units, from section 12's definitions (Heun: Karras et al.)."""
    p, q = mp.sqrt(s.lam_hi), mp.sqrt(s.lam_lo)
    if scheme == "ode-hf":
        return s.H / 2, None, None
    if scheme == "ode-ei":
        return s.E / (2 * s.alpha_lo * s.alpha_hi), None, None
    if scheme == "ddim":
        return p * (p - q), None, None
    if scheme == "heun-lambda":
        return s.H / 2, s.H / 4, s.H / 4
    if scheme == "heun" and q == 0:  # Algorithm 1, line 8: "if t_{i+1} ≠ 0"
        return p * p, p * p, mp.mpf(0)
    return p * (p - q), (p - q) * p / 2, (p - q) * q / 2


def plain_w2(
    p: referee.Plain,
    times: tuple[float, ...],
    variances: tuple[float, ...],
    means: tuple[float, ...],
    scheme: str,
    start: str,
    V: float = 0.0,
) -> float:
    """The law of y_K/α_K, one coordinate and one step after the other, in y-units."""
    path, total = referee.steps(p, times), mp.mpf(0)
    with mp.workdps(referee.DIGITS):
        for v0, mu in zip(variances, means, strict=True):
            v0, mu, noise = mp.mpf(v0), mp.mpf(mu), mp.mpf(V) ** 2 / len(variances)
            T = mp.mpf(times[0])
            v, m = referee.start_law(p, T, start, v0, mu)
            v, m = v / p.alpha(T) ** 2, m / p.alpha(T)
            for s in path:
                c, first, second = plain_steps(s, scheme)
                w, ahead = v0 + s.lam_hi, v0 + s.lam_lo
                r = 1 - c / w
                # ∇log q = α s: score noise ζ is α ζ here
                z = (c * s.alpha_hi) ** 2 * noise
                if first is not None:
                    # at λ_k = 0 = ς² heun's second stage is nothing, as for any ς² > 0
                    late = second / ahead if second else mp.mpf(0)
                    z = ((first - late * c) * s.alpha_hi) ** 2 * noise + (second * s.alpha_lo) ** 2 * noise
                    r = 1 - first / w - late * r
                v, m = r**2 * v + z, mu + r * (m - mu)
            total += (mp.sqrt(v) - mp.sqrt(v0)) ** 2 + (m - mu) ** 2
        return float(mp.sqrt(total))


@EVERY
@pytest.mark.parametrize("name", ODE)
def test_coefficients(make: Any, name: str) -> None:
    """A, C, Q, the corrector, c = C^hf − C and the flow's three numbers, to all digits."""
    p = make()
    t = np.array(TIMES)
    b = batch(p.made, t[1:], t[:-1])
    got = SCHEMES[name].steps(b)
    assert got.flow is not None and not got.Q.any() and SCHEMES[name].kind == "ode"
    for k, s in enumerate(referee.steps(p, TIMES)):
        with mp.workdps(referee.DIGITS):
            c, first, second = plain_steps(s, name)
            per = s.alpha_lo * s.alpha_hi
            keep = 1 - c / s.lam_hi
            want = {
                "A": s.alpha_lo / s.alpha_hi,
                "C": c * per,
                "c": (s.H - c) * per,
                "q": s.alpha_lo**2 * s.H,
                "half": (s.H / 2 - c) * per,
                "keep": keep,
                "excess": keep**2 - s.lam_lo / s.lam_hi,
            }
            noise = float(mp.mpf(10) ** -20 * per * s.H), 1e-17
        have = {**{key: getattr(got, key) for key in "ACcq"}, **got.flow._asdict()}
        for key, true in want.items():
            value = float(np.broadcast_to(have[key], 8)[k])
            slack = max(noise) if key != "half" else float(1e-14 * s.F * c * per) + noise[0]
            assert value == pytest.approx(float(true), rel=1e-11, abs=slack), (key, k)
        if first is None:
            assert got.corrector is None
        else:
            assert got.corrector.C[k] == pytest.approx(float(first * per), rel=1e-12)
            assert got.corrector.D[k] == pytest.approx(float(second * s.alpha_lo**2), rel=1e-12)


@pytest.mark.parametrize("name", ODE)
def test_the_law_against_a_plain_loop(name: str) -> None:
    """Ten processes of each kind: means, several variances (0 too), starts, noise, early stopping."""
    rng = np.random.default_rng(5)
    makes = list(referee.ALL.values())
    for i in range(20):
        p = makes[i % len(makes)]()
        K = int(rng.integers(1, 7))
        cuts = np.sort(rng.uniform(0.05, 1.0, K - 1))[::-1]
        T = referee.log_uniform(rng, 0.3, 5.0)
        last = 0.03 * T if i % 4 == 3 else 0.0
        times = (T, *(T * cuts).tolist(), last)
        singular = i % 3 == 0 and not SCHEMES[name].at_zero
        v = (referee.log_uniform(rng, 1e-3, 1e3), 0.5, 0.0 if singular else 2.0)
        mu = (float(rng.normal()), 0.0, 0.7)
        start, V = ("prior", "exact")[i % 2], (0.0, 0.8)[i % 2]
        want = plain_w2(p, times, v, mu, name, start, V)
        grid = Grid.from_t(times, stop="early" if last else None)
        got = exact_w2(p.made, Gaussian(mu, v), scheme=name, grid=grid, start=start, score_noise=V)
        assert got == pytest.approx(want, rel=1e-9), (p.name, times, v)


@pytest.mark.parametrize("name", ODE)
def test_one_huge_step(name: str) -> None:
    """λ(T) = 1e30 and K = 1, 2: no digit is lost where 1 − c/ŵ is 1e−15 or less."""
    p = referee.vp_linear()
    T = float(p.made.time_of(math.log(1e30)))
    for times in ((T, 0.0), (T, 0.5 * T, 0.0)):
        want = plain_w2(p, times, (2.0,), (0.3,), name, "prior")
        grid = Grid.from_t(times)
        assert exact_w2(p.made, Gaussian([0.3], 2.0), scheme=name, grid=grid) == pytest.approx(want, rel=1e-9)


def test_a_score_at_zero_needs_a_density() -> None:
    """heun-lambda asks for ∇log p_0: refused for a singular Gaussian, taken where the sampler stops early."""
    p, data = wbound.process("vp-linear"), Gaussian([0.0, 0.0], [0.0, 1.0])
    with pytest.raises(BadInput, match="heun-lambda: asks for the score at lam = 0"):
        exact_w2(p, data, 3.0, 5, scheme="heun-lambda")
    assert exact_w2(p, data, 3.0, 50, scheme="heun-lambda", grid=Grid.uniform(delta=0.1)) < 1.0
    assert (
        SCHEMES["heun-lambda"].calls(7) == 14
        and SCHEMES["heun"].calls(7) == 13
        and SCHEMES["hf"].calls(7) == 7
    )


def test_singular_directions() -> None:
    """ς² = 0: ddim and Heun follow noise exactly until λ_k = 0, and to the end where they end with Euler in σ."""
    p, data = wbound.process("vp-linear"), Gaussian([0.0], 0.0)
    for K in (1, 7, 50):
        for name in ("ddim", "heun"):
            s = setting(p, data, 4.0, K, scheme=name, start="exact")
            assert law(s, np.zeros(1)).excess[0] == 0.0
        s = setting(p, data, 4.0, K, scheme="heun-lam", start="exact")
        left = float(np.exp(s.nodes.log_lam[-2]))  # λ_{K−1}
        assert law(s, np.zeros(1)).excess[0] == pytest.approx(left / 4.0, rel=1e-12)
        early = setting(
            p,
            data,
            scheme="heun",
            start="exact",
            grid=Grid.from_t(np.linspace(4.0, 0.1, K + 1), stop="early"),
        )
        delta = math.exp(early.nodes.last[1])
        assert law(early, np.zeros(1)).excess[0] == pytest.approx(delta, rel=1e-12)


def test_collapsed_coordinates_with_noise() -> None:
    """What little is left of a coordinate after long steps, each stage's score noise in it."""
    p = referee.vp_linear()
    for name in ("ddim", "heun", "heun-lam"):
        times = (9.0, 7.5, 0.0)
        want = plain_w2(p, times, (50.0,), (0.0,), name, "prior", 1e-3)
        got = exact_w2(p.made, Gaussian([0.0], 50.0), scheme=name, grid=Grid.from_t(times), score_noise=1e-3)
        assert got == pytest.approx(want, rel=1e-10)


def test_given_numbers() -> None:
    p, data = wbound.process("vp-linear", a=1.0, b=0.5), Gaussian(np.zeros(3), 2.0)
    assert exact_w2(p, data, 6.0, 100, scheme="ode-hf") == pytest.approx(2.336547, abs=5e-7)
    assert exact_w2(p, data, 6.0, 1000, scheme="ode-hf") == pytest.approx(0.170365, abs=5e-7)


def test_heun_is_diffusers_heun() -> None:
    """HeunDiscreteScheduler 0.42.1 (scaled linear β, linspace, K = 10), run with the exact score of N(0, 0.01) from its
    own start: the one output per unit of noise that it gave, whose tables are float32."""
    abar = np.cumprod(1.0 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
    sigma = np.sqrt((1.0 - abar) / abar)[np.linspace(0, 999, 10).astype(int)[::-1]]
    grid = Grid.from_sigma(np.append(sigma, 0.0))
    given = {"heun": 0.17906232625224 - 0.1, "heun-lam": 0.08667914616}
    for name, w2 in given.items():
        got = exact_w2(wbound.process("ve-sqrt"), Gaussian([0.0], 0.01), scheme=name, grid=grid)
        assert got == pytest.approx(w2, rel=1e-5)


def test_the_clock_beyond_doubles() -> None:
    """vp-polynomial at T = 40: log λ(T) = 22143."""
    p, data = wbound.process("vp-polynomial"), Gaussian(np.zeros(3), 2.0)
    values = {name: exact_w2(p, data, 40.0, 10_000, scheme=name) for name in ODE}
    assert values["heun-lam"] < values["ode-ei"] < values["ddim"] < 0.01
    assert values["heun"] < values["ddim"]
    assert exact_w2(p, data, 40.0, 3, scheme="ode-hf") == math.inf


@pytest.mark.parametrize("name", ODE)
def test_a_clock_below_doubles(name: str) -> None:
    """ve-polynomial with λ(t) = 0 in doubles on the last steps: they move nothing, and nothing is NaN."""
    p = wbound.process("ve-polynomial", a=0.038, b=0.0131, c=99.0)
    s = setting(p, Gaussian([0.1], 2.0), 50.0, 1000, scheme=name, start="exact")
    assert np.isneginf(s.nodes.log_lam[-3:]).all()
    exact = float(gaussian_law.EXACT_LAW(s))
    assert 0.0 < exact < 1e6
    if SCHEMES[name].stages == 1:
        assert wbound.w2_bound(p, s.data, 50.0, 1000, scheme=name, start="exact").total >= exact


SLOPES = {
    # λ ~ t at the data's end leaves a logarithm in ddim and heun on a uniform grid: there, see below
    "uniform": ("ve-sqrt", "ve-polynomial", "vp-linear", "vp-polynomial"),
    "edm": ("ve-constant", "ve-exponential", "ou", "vp-exponential"),
}


@pytest.mark.parametrize("name", ODE)
@pytest.mark.parametrize(("grid", "process"), [(g, p) for g, names in SLOPES.items() for p in names])
def test_orders(name: str, grid: str, process: str) -> None:
    """Exact laws fall as K^{−1}, Heun's as K^{−2} (±0.1), from the exact start; ending with Euler in σ only where
    λ_{K−1} ~ K^{−2} or less."""
    p, data = wbound.process(process), Gaussian(np.zeros(3), 2.0)
    T = float(p.time_of(math.log(60.0)))
    # edm's last level above 0 is fixed: only a tiny one leaves the rest visible
    where: Any = Grid.edm(sigma_min=1e-5) if grid == "edm" else grid
    K = np.array([400, 800, 1600, 3200])
    w2 = [exact_w2(p, data, T, int(k), scheme=name, start="exact", grid=where) for k in K]
    slope = np.polyfit(np.log(K), np.log(w2), 1)[0]
    order = 2.0 if name in ("heun-lam", "heun-lambda") else 1.0
    if name == "heun" and (grid == "edm" or process == "ve-sqrt"):  # λ ~ t² at 0, or a last level near 0
        order = 2.0
    assert slope == pytest.approx(-order, abs=0.1), w2


@pytest.mark.parametrize("name", ["ddim", "heun-lam"])
def test_the_logarithm_of_steps_in_sigma(name: str) -> None:
    """Where λ ~ t at 0, uniform steps have Σ(σ_{k−1} − σ_k)² ~ h log(1/h): W2 K^p = a + b log K, b > 0."""
    p, data = wbound.process("ve-constant"), Gaussian(np.zeros(1), 2.0)
    K = np.array([1000, 4000, 16000, 64000])
    power = 2.0 if name == "heun-lam" else 1.0
    scaled = [exact_w2(p, data, 60.0, int(k), scheme=name, start="exact") * k**power for k in K]
    gaps = np.diff(scaled)
    assert (gaps > 0.0).all() and gaps.max() < 1.1 * gaps.min()


def test_moves_hold_a_given_step() -> None:
    """ode-hf: r = 1 − H/2ŵ and the defect H²/4ŵ (in units that undo the bookkeeping)."""
    p, v, c = wbound.process("vp-linear"), np.array([0.7, 3.0]), 0.8
    b = batch(p, np.array([0.5]), np.array([1.1]))
    lam = np.exp([b.log_lam_lo[0], b.log_lam_hi[0]])
    got = moves(b, SCHEMES["ode-hf"].steps(b), v, c)
    H, w, unit = lam[1] - lam[0], v + lam[1], 1.0 + c * lam
    assert got.sign is None
    np.testing.assert_allclose(np.exp(got.log_r[:, 0]), (1 - H / 2 / w) * unit[1] / unit[0], rtol=1e-13)
    np.testing.assert_allclose(got.rho[:, 0], H**2 / (4 * w) / unit[0] ** 2, rtol=1e-13)


def test_a_profile_has_no_exact_law() -> None:
    with pytest.raises(HypothesisFailed, match="Gaussian data"):
        gaussian_data(wbound.bounded_data(1.0, 1.0, 2, 2.5))


@pytest.mark.parametrize("scheme", ["ddim", "heun", "heun-lambda", "heun-lam"])
def test_off_centre_it_is_the_law_of_its_tape(scheme: str) -> None:
    """The law step by step is that of the scheme's tape, which is solved as one system."""
    p, law_of = wbound.process("vp-linear"), Gaussian(np.array([3.0, -1.0]), np.array([1.0, 0.2]))
    for start, own in (("exact", "exact"), ("prior", "own")):
        s = setting(p, law_of, 2.0, 5, scheme=scheme, start=start)
        want = exact_w2(None, law_of, scheme=tape_of(s), start=own)
        assert exact_w2(p, law_of, T=2.0, K=5, scheme=scheme, start=start) == pytest.approx(want, rel=1e-11)
