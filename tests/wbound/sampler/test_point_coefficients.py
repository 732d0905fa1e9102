"""Euler–Maruyama with f and g² at a point: settings of packages, the law in 50 digits, Theorem 2, singular ends."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import referee
from hypothesis import given, settings
from hypothesis import strategies as st

import wbound
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.exact.gaussian_law import exact_w2
from wbound.sampler.grid import Grid
from wbound.sampler.point_coefficients import pointwise
from wbound.sampler.scheme import POINTWISE, SCHEMES
from wbound.sampler.steps import batch

#: σ(t) = σ_min(σ_max/σ_min)^t from 1e-4 to 10, and β(t) from 0.01 to 10, t in [0, 1]; the rectified flow.
VE = wbound.Process(f="0", g="1e-4*exp(b*t)*sqrt(2*b)", b=math.log(1e5))
VP = wbound.Process(f="(b+a*t)/2", g="sqrt(b+a*t)", a=9.99, b=0.01)
FLOW = wbound.Process(f="1/(1-t)", g="sqrt(2*t/(1-t))")


@pytest.mark.parametrize(
    ("process", "times", "v", "percent"),
    [
        (VE, np.linspace(1.0, 0.0, 50), 1.0, 0.86),
        (VE, np.linspace(1.0, 0.0, 100), 1.0, 0.20),
        (VE, np.linspace(1.0, 0.0, 200), 1.0, 0.03),
        (VP, np.linspace(1.0, 1e-3, 50), 0.01, 5.57),
        (VP, np.linspace(1.0, 1e-3, 100), 0.01, 1.62),
        (FLOW, np.linspace(0.99, 0.0, 51), 1.0, 0.02),
    ],
)
def test_what_packages_do(process: wbound.Process, times: Any, v: float, percent: float) -> None:
    """The error of the standard deviation in per cent: sbi's VE and VP (to its t_min = 1e-3), a rectified flow."""
    grid = Grid.from_t(times, stop="early" if times[-1] else None)
    error = exact_w2(process, Gaussian([0.0], v), scheme="em-point", grid=grid) / math.sqrt(v)
    assert 100.0 * error == pytest.approx(percent, abs=0.0051)


def test_what_a_step_integrates_matters() -> None:
    """The same VE at 99 steps under the paper's em, and the K for 0.1 % of either."""
    data = Gaussian([0.0], 1.0)
    assert exact_w2(VE, data, 1.0, 99, scheme="em") == pytest.approx(0.0598, abs=5e-5)
    for scheme, K in (("em-point", 133), ("em", 5385)):
        assert (
            exact_w2(VE, data, 1.0, K, scheme=scheme) <= 1e-3 < exact_w2(VE, data, 1.0, K - 1, scheme=scheme)
        )


@pytest.mark.parametrize("name", POINTWISE)
def test_the_law_in_fifty_digits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty random settings of every process: a recursion in x, one coordinate and one step after the other."""
    monkeypatch.setattr(referee, "DIGITS", 50)
    rng, makes = np.random.default_rng(17), list(referee.ALL.values())
    for i in range(50):
        p, T, K = makes[i % len(makes)](), referee.log_uniform(rng, 0.2, 4.0), int(rng.integers(1, 9))
        times = [T, *(T * np.sort(rng.uniform(0.01, 1.0, K - 1))[::-1]).tolist(), 0.0]
        v, mu = referee.log_uniform(rng, 1e-3, 1e3), float(rng.normal())
        start = ("prior", "exact")[i % 2]
        got = exact_w2(p.made, Gaussian([mu], v), scheme=name, grid=Grid.from_t(times), start=start)
        with mp.workdps(50):
            w = plain_w2(p, times, v, mu, name, start)
        assert got == pytest.approx(w, rel=1e-11), (p.name, times, v, mu)


def plain_w2(p: referee.Plain, times: list[float], v0: float, mu: float, name: str, start: str) -> float:
    v, m = referee.start_law(p, mp.mpf(times[0]), start, mp.mpf(v0), mp.mpf(mu))
    for hi, lo in zip(map(mp.mpf, times[:-1]), map(mp.mpf, times[1:]), strict=True):
        at = lo if name == "em-point-arrival" else hi
        A, C = 1 + p.f(at) * (hi - lo), p.g2(at) * (hi - lo)
        w = p.alpha(hi) ** 2 * v0 + p.sigma2(hi)
        m = A * m - C / w * (m - p.alpha(hi) * mu)
        v = (A - C / w) ** 2 * v + C
    return float(mp.sqrt((mp.sqrt(v) - mp.sqrt(v0)) ** 2 + (m - mu) ** 2))


@pytest.mark.parametrize("name", POINTWISE)
def test_short_steps_keep_their_digits(name: str) -> None:
    """a, c, q of steps of 1e-6 and 1e-9 of t: second-order differences of first-order terms, to 1e-9."""
    for make in referee.ALL.values():
        p = make()
        for hi, lo in ((1.3, 1.3 * (1 - 1e-6)), (0.4, 0.4 * (1 - 1e-9))):
            with mp.workdps(60):
                a, b = mp.mpf(lo), mp.mpf(hi)
                at = a if name == "em-point-arrival" else b
                C = p.g2(at) * (b - a)
                H, F = p.lam(b) - p.lam(a), p.A(b) - p.A(a)
                want = (
                    mp.expm1(F) - p.f(at) * (b - a),
                    p.alpha(a) * p.alpha(b) * H - C,
                    p.alpha(a) ** 2 * H - C,
                )
                size = F**2, F * H + abs(want[1]), F * H + abs(want[2])
            got = SCHEMES[name].steps(batch(p.made, np.array([lo]), np.array([hi])))
            for value, true, unit in zip((got.a, got.c, got.q), want, size, strict=True):
                found = float(np.broadcast_to(value, 1)[0])
                assert found == pytest.approx(float(true), abs=float(1e-9 * unit), rel=1e-9), (p.name, hi)


def test_kinks_are_seen() -> None:
    """f with a kink inside a step, near an end too: the rectangle's rest in closed form."""
    p, k = wbound.Process(f="abs(t-1)/2", g="sqrt(1+t)"), 1.0
    for lo, hi in ((0.5, 1.2), (0.9, 1.0 + 1e-3), (1.0 - 1e-3, 1.4)):
        got = pointwise(batch(p, np.array([lo]), np.array([hi])), "em-point", arrival=False)
        whole = 0.25 * ((k - lo) ** 2 + (hi - k) ** 2)
        assert got.F_rest == pytest.approx(whole - 0.5 * abs(hi - k) * (hi - lo), rel=1e-10, abs=1e-15)


SLOPES = ("vp-linear", "ve-exponential", "ve-sqrt", "ou", "sub-vp")


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("process", SLOPES)
def test_of_first_order(name: str, process: str) -> None:
    """The exact law from p_T falls as 1/K, and so does Theorem 2."""
    p, data = wbound.process(process), Gaussian(np.zeros(3), [0.5, 1.0, 2.0])
    T, K = float(p.time_of(math.log(30.0))), np.array([4000, 16000, 64000])
    w2 = [exact_w2(p, data, T, int(k), scheme=name, start="exact") for k in K]
    bound = [wbound.w2_bound(p, data, T=T, K=int(k), scheme=name, start="exact").total for k in K]
    for values in (w2, bound):
        assert np.polyfit(np.log(K), np.log(values), 1)[0] == pytest.approx(-1.0, abs=0.1), values


SMALLEST: dict[str, float] = {}


@settings(max_examples=2 * settings.default.max_examples)
@given(
    which=st.sampled_from(sorted(referee.ALL)),
    name=st.sampled_from(POINTWISE),
    log_lam=st.floats(math.log(0.05), math.log(1e6)),
    spread=st.floats(0.0, 3.0),
    size=st.floats(-2.0, 2.0),
    K=st.integers(1, 300),
    start=st.sampled_from(("prior", "exact")),
)
def test_theorem_2_holds(
    which: str, name: str, log_lam: float, spread: float, size: float, K: int, start: str
) -> None:
    """Bound ≥ exact over random processes, spectra, T, K and starts."""
    p = referee.ALL[which]().made
    data = Gaussian([0.3, 0.0, 0.0], 10.0 ** (size + spread * np.array([-0.5, 0.1, 0.5])))
    T = float(p.time_of(log_lam + math.log(float(data.eigenvalues.mean()))))
    bound = wbound.w2_bound(p, data, T=T, K=K, scheme=name, start=start).total
    exact = exact_w2(p, data, T, K, scheme=name, start=start)
    if math.isfinite(exact) and exact > 0.0:
        assert bound >= exact * (1.0 - 1e-12)
        SMALLEST[f"{name}, {start}"] = min(SMALLEST.get(f"{name}, {start}", math.inf), bound / exact)


def test_smallest_ratios_are_told() -> None:
    print("\nsmallest Theorem 2 / W2:", {key: round(value, 4) for key, value in sorted(SMALLEST.items())})
    assert not SMALLEST or min(SMALLEST.values()) >= 1.0 - 1e-12


def test_ends_where_f_or_g_is_infinite() -> None:
    data = Gaussian([0.0], 1.0)
    for p, letter in (
        (wbound.Process(f="0", g="t**(-1/4)"), "g"),
        (wbound.Process(f="1/sqrt(t)", g="1"), "f"),
    ):
        for scheme in ("em", "em-point"):
            assert 0.0 < exact_w2(p, data, 1.0, 20, scheme=scheme) < 10.0
        with pytest.raises(BadInput, match=f"em-point-arrival: takes {letter} at t = 0, where it is inf"):
            exact_w2(p, data, 1.0, 20, scheme="em-point-arrival")
    with pytest.raises(BadInput, match="T = 1"):
        exact_w2(FLOW, data, 1.0, 20, scheme="em-point")


@pytest.mark.parametrize("name", POINTWISE)
def test_steps_needed(name: str) -> None:
    """`iterations` by Theorem 2, where every step is summed and where they are tallied, and by the exact law."""
    p = wbound.process("vp-linear")
    data = wbound.LogConcave(3, 0.5, 2.0, 4.0, 0.0)
    found = wbound.iterations(p, data, 0.3, scheme=name)
    assert found.summed and wbound.w2_bound(p, data, T=found.T, K=found.K, scheme=name).additive <= 0.3
    less = wbound.w2_bound(p, data, T=found.T, K=found.K - 1, scheme=name).additive
    assert less > 0.3
    far = wbound.iterations(p, data, 3e-4, scheme=name)
    assert not far.summed and far.relative_error < 1e-11  # q changes sign at em-point: panels end there
    for K, fits in ((far.K, True), (far.K - 1, False)):
        assert (wbound.w2_bound(p, data, T=far.T, K=K, scheme=name).additive <= 3e-4 * (1.0 + 1e-11)) is fits
    gauss = Gaussian(np.zeros(3), [0.5, 1.0, 2.0])
    exact = wbound.exact_iterations(p, gauss, 1e-5, scheme=name)
    assert not exact.summed
    assert exact_w2(p, gauss, exact.T, exact.K, scheme=name) <= 1e-5 * (1.0 + 1e-6)
