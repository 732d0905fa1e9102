"""K(ε) beyond A1 and of users' processes: sums beyond summation, the horizons that are searched, and cut-offs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import dawsn

import wbound
from wbound.bounds import shared, theorem_2
from wbound.data.beyond_log_concave import BoundedData, bounded_data, early_stopped
from wbound.errors import Unreachable
from wbound.sampler.make_setting import setting
from wbound.summation.criterion import value_at
from wbound.summation.step_sums import CHECKED, COARSE, FINE, Quality

#: Far finer than what a search uses.
REFINED = Quality(8192, 4.0, 12, 3, 5e-5)

CATALOGUE = ("ve-sqrt", "ve-exponential", "ou", "vp-linear", "vp-exponential")
USERS = (
    ("0", "exp(t**2)"),
    ("0", "1+t"),
    ("1/2", "1"),
    ("(1+t)/2", "sqrt(1+t)"),
    ("0", "exp(exp(t))"),
    ("0", "1/(1-t)"),
)


def _nodes(lo: float, hi: float, near: float) -> tuple[np.ndarray, np.ndarray]:
    """Gauss nodes and weights in log λ, finest near lo."""
    x, w = np.polynomial.legendre.leggauss(12)
    edges = np.concatenate((np.arange(lo, min(lo + 4.0, hi), 0.05), np.arange(min(lo + 4.0, hi), hi, 1.0)))
    edges = np.unique(np.append(edges, (hi, min(max(near, lo), hi))))
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half * (1.0 + x)).ravel(), (half * w).ravel()


def _limit(p: wbound.Process, data: BoundedData, T: float, K: float) -> float:
    """The bound of hf as η → 0, by hand: start, η² d∫λ'² max(m, L)²/3 P² dλ in squares, and √(dδ)."""
    D2, v0 = data.D**2, data.tau**2 + data.delta
    lo = math.log(data.delta) if data.delta else math.log(v0) - 40.0
    hi = float(p.log_lam(T))
    kink = math.log(max(0.5 * D2 - data.tau**2, 1e-300))
    u, w = _nodes(lo, hi, kink)
    t, lam = p.time_of(u), np.exp(u)
    v = data.tau**2 + lam
    P = v0 / v * np.exp(D2 * (1.0 / v0 - 1.0 / v))
    size = np.maximum(np.abs(1.0 - D2 / v), 1.0) / v
    speed = p.g(t) ** 2 / p.alpha(t) ** 2
    last = float(p.time_of(lo)) if data.delta else 0.0
    middle = math.sqrt(data.d * float((lam * (speed * size * P) ** 2 / 3.0) @ w)) * (T - last) / K
    V = data.tau**2 + math.exp(hi)
    start = math.sqrt(data.second_moment) * v0 / V * math.exp(D2 * (1.0 / v0 - 1.0 / V))
    return math.hypot(start, middle) + math.sqrt(data.d * data.delta)


BEYOND = (
    ("sub-vp", {"a": 0.474, "b": 0.743}, (1.2, 0.1, 2, 0.7085101029033694), 0.505038253051403, 3e-4),
    ("vp-linear", {}, (1.2, 0.01, 2, 1.296), 0.69, 1e-7),
    ("vp-linear", {}, (1.2, 0.01, 2, 1.296), 0.683, 1e-7),
    ("ou", {}, (0.6, 0.0125, 1, 0.3), 0.3, 1e-6),
    ("ve-exponential", {}, (1.0, 0.02, 3, 0.9), 0.4, 1e-7),
)


@pytest.mark.parametrize(("name", "parameters", "facts", "eps", "close"), BEYOND)
def test_K_of_steep_profiles(
    name: str, parameters: dict[str, float], facts: Any, eps: float, close: float
) -> None:
    """D²/δ of 14 … 144: what is returned works, and 1e-3 less does at no horizon, by integrals of their own."""
    p, data = wbound.process(name, **parameters), early_stopped(*facts)
    found = wbound.iterations(p, data, eps, scheme="hf")
    assert found.bound <= eps and found.relative_error < 1e-8
    # at finite K the bound is above its leading part by a share of order 1/K
    assert _limit(p, data, found.T, found.K) == pytest.approx(eps, rel=close)
    assert found.counted == (found.K <= 1e10)
    times = found.T * np.exp(np.linspace(-0.2, 0.2, 7))
    assert min(_limit(p, data, float(T), found.K * (1.0 - 2e-3)) for T in times) > eps


def test_K_falls_as_epsilon_grows_where_it_is_astronomic() -> None:
    p, data = wbound.process("vp-linear"), early_stopped(1.2, 0.01, 2, 1.296)
    found = [wbound.iterations(p, data, eps, scheme="hf").K for eps in (0.675, 0.683, 0.69, 0.7)]
    assert found == sorted(found, reverse=True) and found[-1] > 1e61


@pytest.mark.parametrize("ratio", [3.0, 30.0, 144.0])
@pytest.mark.parametrize("scheme", ["em", "ei", "hf", "ddpm"])
@pytest.mark.parametrize("early", [True, False])
def test_the_tally_of_steep_profiles_equals_the_sum(ratio: float, scheme: str, early: bool) -> None:
    p = wbound.process("vp-linear")
    if early:
        data = early_stopped(1.2, 1.44 / ratio, 2, 1.0)
    else:
        data = bounded_data(1.2, math.sqrt(1.44 / ratio), 2, 2.88 / ratio + 1.0)
    K, T = 40_000, 4.5
    value = value_at(
        theorem_2.over_steps(p, data, wbound.SCHEMES[scheme], "prior", 0.1, 0.2), T, float(K), CHECKED
    )
    s = setting(p, data, T, K, scheme=scheme, score_bias=0.1, score_noise=0.2)
    scale, extra = shared.output(s)
    expected = theorem_2.sums(s).additive * scale + extra
    off = abs(value.total / expected - 1.0)
    assert off < 1e-9 and off <= 2.0 * value.error + 1e-12
    assert value.error < 1e-7


@pytest.mark.parametrize("spoiled", [{"width": 1e-2}, {"density": 0.02}, {"points": 2, "width": 2e-3}])
def test_the_self_check_sees_what_it_checks(spoiled: dict[str, float]) -> None:
    """Virtual steps too wide, or panels too long: the error that is claimed is the one that is made."""
    p, data = wbound.process("vp-linear"), early_stopped(1.2, 0.02, 2, 1.2)
    criterion = theorem_2.over_steps(p, data, wbound.SCHEMES["hf"], "prior", 0.0, 0.0)
    right = value_at(criterion, 6.0, 1e20, REFINED).squared
    value = value_at(criterion, 6.0, 1e20, CHECKED._replace(**spoiled))
    made = abs(value.squared / right - 1.0)
    assert made > 1e-6
    assert value.error > 0.3 * made
    fine = value_at(criterion, 6.0, 1e20, CHECKED)
    assert abs(fine.squared / right - 1.0) < 2.0 * fine.error < 1e-7


# ---------------------------------------------------------------------- users' processes


def _gauss(rate: Callable[[np.ndarray], np.ndarray], t: np.ndarray) -> np.ndarray:
    x, w = np.polynomial.legendre.leggauss(80)
    return np.asarray(0.5 * t * (rate(0.5 * t[:, None] * (1.0 + x)) @ w))


CLOCKS: dict[tuple[str, str], Callable[[np.ndarray], np.ndarray]] = {
    ("0", "exp(t**2)"): lambda t: np.exp(2.0 * t**2) * dawsn(math.sqrt(2.0) * t) / math.sqrt(2.0),
    ("t**2", "1"): lambda t: _gauss(lambda s: np.exp(2.0 * s**3 / 3.0), t),
    ("1", "exp(-t)"): lambda t: t,
}
COUNTS = {
    ("0", "exp(t**2)"): (72, 55),
    ("t**2", "1"): (91, 68),
    ("1", "exp(-t)"): (395, 116),
}


def _by_hand(lam: np.ndarray, centred: bool) -> float:
    """Eq. 9 for d = 3, m_0 = L_0 = ½, E|X_0|² = 6, from the nodes' λ, increasing from 0: hf knows no more."""
    d, c = 3, 0.5
    v = 1.0 + c * lam
    y = np.log(v[1:] / v[:-1])
    noise2 = d * float((2.0 * v[:-1] / c * (np.sinh(y) - y) / v[:-1] ** 2).sum())
    E0 = math.sqrt(6.0)
    u = c * lam[-1]
    if centred and u > 1.0:
        E0 = min(E0, math.sqrt(-d * lam[-1] * math.log1p(-(u**-2))))
    return math.hypot(E0 / v[-1], math.sqrt(noise2))


@pytest.mark.parametrize("own", COUNTS)
@pytest.mark.parametrize("centred", [False, True])
def test_K_of_users_processes_by_hand(own: tuple[str, str], centred: bool) -> None:
    f, g = own
    data = wbound.LogConcave(3, 0.5, 0.5, 6.0, 0.0 if centred else None)
    found = wbound.iterations(wbound.Process(f=f, g=g), data, 0.1, scheme="hf")
    assert found.K == COUNTS[own][centred]

    def bound(T: float, K: int) -> float:
        return _by_hand(CLOCKS[own](T * np.arange(K + 1) / K), centred)

    assert bound(found.T, found.K) <= 0.1
    assert bound(found.T, found.K) == pytest.approx(found.bound, rel=1e-9)
    times = found.T * np.exp(np.append(np.linspace(-0.7, 0.7, 15), np.linspace(-0.05, 0.05, 11)))
    assert min(bound(float(T), found.K - 1) for T in times) > 0.1


@pytest.mark.parametrize(
    ("f", "g"),
    [own if i < 2 else pytest.param(*own, marks=pytest.mark.deep) for i, own in enumerate(USERS)],
)
def test_every_criterion_of_users_processes(f: str, g: str) -> None:
    """Each theorem, an ODE, the exact law and the score's tolerance: nothing leaps past where λ is finite."""
    p, data = wbound.Process(f=f, g=g), wbound.LogConcave(3, 0.5, 0.5, 6.0, 0.0)
    assert wbound.iterations(p, data, 0.3, scheme="em", score_bias=1e-3).bound <= 0.3
    assert wbound.iterations(p, data, 0.3, scheme="ode-hf").bound <= 0.3
    assert wbound.iterations(p, data, 0.3, theorem="published", M1=0.1).bound <= 0.3
    assert wbound.exact_iterations(p, data.gaussian(), 0.1, scheme="hf").bound <= 0.1
    assert 0.0 < wbound.score_tolerance(p, data, 0.1, scheme="hf") < 1.0


# ---------------------------------------------------------------------- cut-offs and floors


@pytest.mark.parametrize("options", [{}, {"T": 25.0}])
@pytest.mark.parametrize(("delta", "said"), [(1e-4, "the bound is inf"), (0.006, r"K = 1e\+90 steps")])
def test_a_cut_off_is_called_one(delta: float, said: str, options: dict[str, float]) -> None:
    data = early_stopped(1.2, delta, 2, 1.296)
    with pytest.raises(Unreachable, match=said) as caught:
        wbound.iterations(wbound.process("vp-linear"), data, 0.69, scheme="hf", **options)
    assert caught.value.cut_off and "the search is cut off" in str(caught.value)
    assert "floor" not in str(caught.value)


def test_where_doubles_end_is_no_floor() -> None:
    """λ = t, but e^{2t} ends before T = 356; λ < ½ is a floor."""
    data = wbound.LogConcave(3, 0.5, 0.5, 6.0)
    with pytest.raises(Unreachable, match="not reached by T = 355.8") as caught:
        wbound.iterations(wbound.Process(f="1", g="exp(-t)"), data, 0.003, scheme="hf")
    assert caught.value.cut_off
    assert caught.value.floor == pytest.approx(math.sqrt(6.0) / (1.0 + 0.5 * 355.83), rel=1e-3)
    with pytest.raises(Unreachable, match="floor") as caught:
        wbound.iterations(wbound.Process(f="0", g="exp(-t)"), data, 0.003, scheme="hf")
    assert not caught.value.cut_off
    assert caught.value.floor == pytest.approx(math.sqrt(6.0) / 1.25, rel=1e-6)


def test_an_epsilon_below_what_is_counted() -> None:
    p, data = wbound.process("vp-linear"), wbound.LogConcave(3, 0.5, 0.5, 6.0, 0.0)
    for options in ({"scheme": "hf"}, {"scheme": "ddpm"}, {"theorem": "published", "M1": 0.3}):
        for eps in (1e-95, 1e-150):
            with pytest.raises(Unreachable, match="cut off"):
                wbound.iterations(p, data, eps, **options)
    assert not wbound.iterations(p, data, 1e-60, scheme="hf").counted


# ---------------------------------------------------------------------- the search


def _data(kind: str, size: float, share: float, ratio: float, d: int) -> Any:
    D = math.exp(size)
    if kind == "early":
        return early_stopped(D, D**2 / ratio, d, D**2 * share)
    if kind == "bounded":
        return bounded_data(D, D / math.sqrt(ratio), d, D**2 * (d / ratio + share))
    if kind == "profile":
        own = {"w": D**2, "q": D**2 / min(ratio, 20.0)}
        moment = d * own["q"] + D**2 * share
        return wbound.CurvatureProfile("(1-w/(q+lam))/(q+lam)", "1/(q+lam)", d, moment, parameters=own)
    m0 = math.exp(-2.0 * size)
    return wbound.LogConcave(d, m0, m0 * ratio, d / m0 * (1.0 / ratio + share))


@settings(max_examples=max(settings.default.max_examples // 8, 1))
@given(
    kind=st.sampled_from(("early", "bounded", "profile", "log-concave")),
    size=st.floats(-1.0, 1.0),
    share=st.floats(0.3, 1.0),
    ratio=st.floats(math.log(2.0), math.log(144.0)).map(math.exp),
    d=st.integers(1, 4),
    scheme=st.sampled_from(("hf", "ei", "em", "ddpm")),
    own=st.one_of(st.sampled_from(CATALOGUE), st.sampled_from(USERS)),
    aim=st.floats(-5.0, -0.1),
)
def test_what_is_returned_works_and_what_works_is_found(
    kind: str, size: float, share: float, ratio: float, d: int, scheme: str, own: Any, aim: float
) -> None:
    """The bound at (T, K) is ≤ ε by sums or finer panels, 1e-3 fewer steps work at no horizon near; and where ε is
    called unreachable a scan of (T, K) finds nothing below it."""
    p = wbound.process(own) if isinstance(own, str) else wbound.Process(f=own[0], g=own[1])
    data = _data(kind, size, share, ratio, d)
    eps = math.sqrt(d * data.delta) + 10.0**aim * math.sqrt(data.second_moment)
    criterion = theorem_2.over_steps(p, data, wbound.SCHEMES[scheme], "prior", 0.0, 0.0)
    try:
        found = wbound.iterations(p, data, eps, scheme=scheme)
    except Unreachable as failed:
        end = min(p.t_max, 15.0)
        times = end * np.concatenate((np.geomspace(1e-3, 0.9, 24), 1.0 - np.geomspace(1e-4, 0.05, 6)))
        with np.errstate(all="ignore"):
            times = times[np.isfinite(p.log_lam(times)) & (p.log_lam(times) < 600.0)]
        most = 50 if failed.cut_off else 80
        for log_K in range(4, most, 5):
            for value in criterion(times, np.full(times.size, 10.0**log_K), COARSE):
                assert value.total > eps * (1.0 - 1e-3)
        return
    if found.K <= 50_000:
        s = setting(p, data, found.T, found.K, scheme=scheme)
        assert wbound.w2_bound(p, data, found.T, found.K, scheme=scheme).additive <= eps * (1.0 + 1e-12)
        assert s.nodes.K == found.K
    else:
        finer = value_at(criterion, found.T, float(found.K), REFINED)
        assert finer.total <= eps * (1.0 + found.relative_error + 1e-12)
        assert finer.total == pytest.approx(found.bound, rel=3.0 * found.relative_error + 1e-11)
    fewer = float(found.K) * (1.0 - 1e-3)
    fewer = math.floor(fewer) if fewer < 1e9 else fewer
    if fewer >= 1.0:
        last = float(p.time_of(math.log(data.delta))) if data.delta else 0.0
        near = np.concatenate((np.linspace(-0.3, 0.3, 7), np.linspace(-0.03, 0.03, 5)))
        T = last + (found.T - last) * np.exp(near)
        T = T[T < p.t_max]
        assert min(v.total for v in criterion(T, np.full(T.size, fewer), FINE)) > eps
