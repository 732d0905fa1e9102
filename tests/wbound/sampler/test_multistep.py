"""Multistep samplers as tapes: against their published formulas in 50 digits, their orders, what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wbound.errors import BadInput
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.multistep import (
    MULTISTEP,
    Multistep,
    ddim,
    denoiser_weights,
    multistep_named,
    slope_weights,
)
from wbound.sampler.tape_writer import LONGEST

DDIM = ("ddim(eta=0)", "ddim(eta=0.5)", "ddim(eta=1)")
NAMES = (*MULTISTEP, *DDIM)
VARIANTS = ("ddim-inflated", "ddim-shifted")

# --------------------------------------------------------------- the formulas as published, on N(0, x), in mpmath


def lagrange(nodes: list[Any], j: int) -> Callable[[Any], Any]:
    return lambda u: mp.fprod((u - n) / (nodes[j] - n) for i, n in enumerate(nodes) if i != j)


def steps_seen(points: int, K: int, k: int, last: Any) -> int:
    """How many answers step k looks at: fewer at the beginning, and at the end where the levels end at 0."""
    most = min(points, k + 1, K - k) if last == 0 else min(points, k + 1)
    return most


def plain_dpmpp(points: int, sigma: list[Any], x: Any) -> Any:
    """Algorithm of DPM-Solver++ (multistep): D1_0 = (m0 − m1)/r0 and so on, λ_t = −log σ."""
    y, m, K = sigma[0], [], len(sigma) - 1
    for k in range(K):
        m.insert(0, x / (x + sigma[k] ** 2) * y)
        order = steps_seen(points, K, k, sigma[-1])
        if sigma[k + 1] == 0:
            return m[0]
        h = mp.log(sigma[k] / sigma[k + 1])
        moved = sigma[k + 1] / sigma[k] * y - (mp.exp(-h) - 1) * m[0]
        if order > 1:
            r0 = mp.log(sigma[k - 1] / sigma[k]) / h
            D1_0 = (m[0] - m[1]) / r0
        if order == 2:
            moved -= (mp.exp(-h) - 1) * D1_0 / 2
        if order == 3:
            r1 = mp.log(sigma[k - 2] / sigma[k - 1]) / h
            D1_1 = (m[1] - m[2]) / r1
            D1 = D1_0 + r0 / (r0 + r1) * (D1_0 - D1_1)
            D2 = (D1_0 - D1_1) / (r0 + r1)
            moved += ((mp.exp(-h) - 1) / h + 1) * D1 - ((mp.exp(-h) - 1 + h) / h**2 - mp.mpf(1) / 2) * D2
        y = moved
    return y


def bh2(h: Any, rks: list[Any], order: int) -> tuple[Any, list[Any], Any]:
    """(R, b, B) of UniPC with B(h) = e^{hh} − 1, hh = −h."""
    hh, rows, b = -h, [], []
    phi, factorial = mp.expm1(hh) / hh - 1, mp.mpf(1)
    for i in range(1, order + 1):
        rows.append([r ** (i - 1) for r in rks])
        b.append(phi * factorial / mp.expm1(hh))
        factorial *= i + 1
        phi = phi / hh - 1 / factorial
    return mp.matrix(rows), b, mp.expm1(hh)


def plain_unipc(points: int, sigma: list[Any], x: Any) -> Any:
    """UniP and UniC as in the paper's code: predict, evaluate, correct, predict again from the corrected point."""
    lam = [-mp.log(s) if s else mp.inf for s in sigma]
    y, m, K, order, before = sigma[0], [], len(sigma) - 1, 0, mp.mpf(0)
    for k in range(K):
        new = x / (x + sigma[k] ** 2) * y
        if order:
            h = lam[k] - lam[k - 1]
            rks = [(lam[k - 1 - i] - lam[k - 1]) / h for i in range(1, order)]
            D1s = [(m[i] - m[0]) / r for i, r in enumerate(rks, 1)]
            R, b, B = bh2(h, [*rks, mp.mpf(1)], order)
            rho = [mp.mpf(1) / 2] if order == 1 else list(mp.lu_solve(R, mp.matrix(b)))
            correction = sum(r * D for r, D in zip(rho, [*D1s, new - m[0]], strict=True))
            y = sigma[k] / sigma[k - 1] * before - mp.expm1(-h) * m[0] - B * correction
        m.insert(0, new)
        order, before = steps_seen(points, K, k, sigma[-1]), y
        if sigma[k + 1] == 0:
            return m[0]
        h = lam[k + 1] - lam[k]
        rks = [(lam[k - i] - lam[k]) / h for i in range(1, order)]
        D1s = [(m[i] - m[0]) / r for i, r in enumerate(rks, 1)]
        R, b, B = bh2(h, [*rks, mp.mpf(1)], order)
        rho = []
        if order == 2:
            rho = [mp.mpf(1) / 2]
        elif order > 2:
            rho = list(mp.lu_solve(R[: order - 1, : order - 1], mp.matrix(b[:-1])))
        predicted = sum(r * D for r, D in zip(rho, D1s, strict=True))
        y = sigma[k + 1] / sigma[k] * y - mp.expm1(-h) * m[0] - B * predicted
    return y


def plain_slopes(points: int, sigma: list[Any], x: Any, logarithmic: bool) -> Any:
    """∫ of the polynomial through the last ε, in σ (LMS) or in log σ (DEIS)."""
    y, eps, K = sigma[0], [], len(sigma) - 1
    for k in range(K):
        eps.insert(0, sigma[k] / (x + sigma[k] ** 2) * y)  # (y − D)/σ
        order = steps_seen(points, K, k, sigma[-1]) if logarithmic else min(points, k + 1)
        past = [sigma[k - j] for j in range(order)]
        nodes = [mp.log(s) for s in past] if logarithmic else past
        for j in range(order):
            P = lagrange(nodes, j)
            if order == 1:
                weight = sigma[k + 1] - sigma[k]
            else:
                weight = mp.quad(
                    lambda s, P=P: P(mp.log(s) if logarithmic else s), [sigma[k], sigma[k + 1]], maxdegree=5
                )
            y += weight * eps[j]
    return y


def plain_ddim(eta: Any, sigma: list[Any], x: Any) -> tuple[Any, Any]:
    """(gain on a start of size σ_0, the variance that noises leave)."""
    y, noise = sigma[0], mp.mpf(0)
    for high, low in zip(sigma, sigma[1:], strict=False):
        per = x / (x + high**2)
        injected = eta**2 * low**2 * (high**2 - low**2) / high**2
        r = per + mp.sqrt(low**2 - injected) * (1 - per) / high
        y, noise = r * y, r**2 * noise + injected
    return y, noise


def plain_variant(name: str, sigma: list[Any], x: Any) -> Any:
    """Section 16 in scores: y ← y + √λ(√λ − √μ) s_λ from a wider start; y ← y + ½(λ − μ) s_λ′, λ′ = (λ + √(λμ))/2."""
    y, wider = sigma[0], name == "ddim-inflated"
    if wider:
        y *= mp.exp(mp.log(sigma[0] / sigma[1]) / 4)  # h = 2 log σ_0/σ_1
    for high, low in zip(sigma, sigma[1:], strict=False):
        if wider:
            y -= high * (high - low) * y / (x + high**2)
        else:
            y -= (high**2 - low**2) / 2 * y / (x + (high**2 + high * low) / 2)
    return y


def plain(name: str, sigma: list[Any], x: Any) -> tuple[Any, Any]:
    if name in VARIANTS:
        return plain_variant(name, sigma, x), mp.mpf(0)
    if name.startswith("ddim"):
        return plain_ddim(mp.mpf(name[9:-1]), sigma, x)
    points = MULTISTEP[name].points
    if name.startswith("dpmpp"):
        return plain_dpmpp(points, sigma, x), mp.mpf(0)
    if name.startswith("unipc"):
        return plain_unipc(points, sigma, x), mp.mpf(0)
    return plain_slopes(points, sigma, x, name.startswith("deis")), mp.mpf(0)


@st.composite
def level_lists(draw: st.DrawFn, even: bool = False) -> np.ndarray:
    """1 to 7 steps of any lengths from anywhere, to 0 or above; ``even``: of one length, but for a last one to 0."""
    K = draw(st.integers(1 + even, 7))
    gaps = [draw(st.floats(0.02, 6.0))] * K if even else [draw(st.floats(0.02, 6.0)) for _ in range(K)]
    log_sigma = draw(st.floats(-2.0, 5.0)) - np.concatenate(([0.0], np.cumsum(gaps)))
    lam = np.exp(2.0 * log_sigma)
    if draw(st.booleans()):
        lam[-1] = 0.0
    return lam


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data(), x=st.floats(1e-3, 1e3))
@settings(max_examples=max(settings.default.max_examples // 10, 1))
def test_against_the_published_formulas_in_50_digits(name: str, data: st.DataObject, x: float) -> None:
    hold_to_the_formulas(name, data.draw(level_lists(even=name == "ddim-inflated")), x)


@pytest.mark.parametrize("part", range(4))
def test_some_levels_in_50_digits(part: int) -> None:
    """Short steps, long ones, an end at 0 and one above, without a search."""
    for name in list(NAMES)[part::4]:
        for gaps in ([0.3] * 6, [0.2, 0.5, 1.1, 0.4, 5.0, 0.1]):
            if name != "ddim-inflated" or len(set(gaps)) == 1:
                lam = np.exp(2.0 * (2.0 - np.cumsum([0.0, *gaps])))
                hold_to_the_formulas(name, lam, 0.8)
                hold_to_the_formulas(name, np.append(lam[:-1], 0.0), 3.0)


def hold_to_the_formulas(name: str, lam: np.ndarray, x: float) -> None:
    t = multistep_named(name).tape(lam)
    law = tape_law(t, [x])
    with mp.workdps(50):
        gain, noise = plain(name, [mp.sqrt(mp.mpf(float(v))) for v in lam], mp.mpf(x))
        gain, noise = float(gain), float(noise)
    # what the weights cancel: extrapolation over uneven steps
    size = max(1.0, float(np.abs(t.answers).max())) * math.sqrt(x) + abs(gain)
    assert law.gain[0] * t.start_std == pytest.approx(gain, rel=1e-12, abs=2e-13 * size)
    assert law.noise[0] == pytest.approx(noise, rel=1e-12, abs=0.0)
    assert t.K == lam.size - 1
    if name == "ddim-shifted":
        assert t.own_levels is not None and np.array_equal(t.own_levels, lam[:-1])
        assert (t.levels < lam[:-1]).all() and (t.levels > lam[1:]).all()
    else:
        assert np.array_equal(t.levels, lam[:-1])


# --------------------------------------------------------------------------------------------- weights


@settings(max_examples=settings.default.max_examples // 4)
@given(st.floats(1e-6, 60.0), st.lists(st.floats(0.05, 3.0), max_size=3), st.booleans())
def test_weights_integrate_polynomials(h: float, gaps: list[float], ahead: bool) -> None:
    """Σ W_j P(u_j) = ∫_0^h e^{−(h−τ)} P(τ/h) dτ for the monomials, short steps and long, a node ahead too."""
    places = np.concatenate(([1.0] if ahead else [], [0.0], -np.cumsum(gaps)))
    W = denoiser_weights(h, places)
    assert W.sum() == pytest.approx(-math.expm1(-h), rel=1e-12, abs=1e-13 * np.abs(W).sum())
    with mp.workdps(30):
        for i in range(places.size):
            whole = mp.quad(lambda u, i=i: h * mp.exp(-h * (1 - u)) * u**i, [0, 0.5, 1])
            terms = W * places**i
            assert terms.sum() == pytest.approx(float(whole), rel=1e-9, abs=1e-12 * np.abs(terms).sum())


@settings(max_examples=settings.default.max_examples // 4)
@given(st.floats(0.0, 0.98), st.lists(st.floats(1.05, 4.0), max_size=3), st.booleans())
def test_slope_weights_integrate_polynomials(share: float, ratios: list[float], logarithmic: bool) -> None:
    sigma = 0.7 * np.concatenate(([1.0], np.cumprod(ratios)))
    if logarithmic:
        sigma, share = sigma[:3], max(share, 1e-6)
    to = share * sigma[0]
    w = slope_weights(sigma, to, logarithmic=logarithmic)
    with mp.workdps(30):
        for i in range(sigma.size):
            of = (lambda s, i=i: mp.log(s) ** i) if logarithmic else (lambda s, i=i: s**i)
            whole = mp.quad(of, [sigma[0], 0.5 * (sigma[0] + to), to])
            terms = w * np.array([float(of(mp.mpf(s))) for s in sigma])
            size = np.abs(w).sum() * (1.0 + np.abs(np.log(sigma)).max() + sigma.max()) ** i
            assert terms.sum() == pytest.approx(float(whole), rel=1e-9, abs=1e-12 * size)


def test_weights_of_2m() -> None:
    """The midpoint rule in words of the theory: (1 + 1/(2r)) D_k − D_{k−1}/(2r)."""
    lam = np.array([9.0, 4.0, 1.0, 0.25])
    t = MULTISTEP["dpmpp-2m"].tape(lam)
    sigma = np.sqrt(lam)
    r = math.log(sigma[0] / sigma[1]) / math.log(sigma[1] / sigma[2])
    share = 1.0 - sigma[2] / sigma[1]
    unit = 1.0 / math.sqrt(1.0 + lam[2])
    first = sigma[2] / sigma[1] * (1.0 - sigma[1] / sigma[0])
    assert t.answers[2, 1] == pytest.approx(unit * share * (1.0 + 0.5 / r), rel=1e-14)
    assert t.answers[2, 0] == pytest.approx(unit * (first - share * 0.5 / r), rel=1e-14)


# --------------------------------------------------------------------------------------------- orders


def errors(m: Multistep, top: float, steps: tuple[int, ...]) -> np.ndarray:
    """W2 from q_λ at σ = 0.3, from the exact start at σ = top, log-uniform, on N(0, diag(1, 0.5))."""
    x, out = np.array([1.0, 0.5]), []
    for K in steps:
        sigma = np.geomspace(top, 0.3, K + 1)
        law = tape_law(m.tape(sigma**2), x, start="exact")
        out.append(np.sqrt(((np.sqrt(law.variance) - np.sqrt(x + sigma[-1] ** 2)) ** 2).sum()))
    return np.array(out)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_that_is_claimed(name: str) -> None:
    """From far above the data, where the first steps have nothing to lose, W2 falls as K^−order."""
    m = multistep_named(name)
    few, many = errors(m, 1e4, (600, 1200) if m.order < 4 else (300, 600))
    assert math.log2(few / many) == pytest.approx(m.order, abs=0.3)


@pytest.mark.parametrize("name", [n for n in MULTISTEP if MULTISTEP[n].points > 1])
def test_the_first_step_limits_the_order_from_a_start_near_the_data(name: str) -> None:
    """One Euler step leaves O(1/K²), UniPC's corrected one O(1/K³), whatever comes after."""
    m = MULTISTEP[name]
    few, many = errors(m, 2.0, (400, 800))
    assert math.log2(few / many) == pytest.approx(3.0 if name.startswith("unipc") else 2.0, abs=0.1)
    assert m.order_from_near == (3 if name.startswith("unipc") else 2)


def test_3m_would_be_of_third_order_with_the_whole_second_moment() -> None:
    """Its published coefficient is half of the interpolant's: that is where the third order goes."""
    h, places = 0.3, np.array([0.0, -0.9, -2.1])
    lam = np.exp(-2.0 * h * np.array([places[2], places[1], 0.0, 1.0]))
    got = MULTISTEP["dpmpp-3m"].tape(lam).answers[3, 2]
    whole = denoiser_weights(h, places)[0]
    r0, r1 = 0.9, 1.2
    second = (1.0 / r0) / (r0 + r1)  # weight of D_k in the second difference
    moment = 1.0 - 2.0 / h * (1.0 + math.expm1(-h) / h)
    assert whole - got == pytest.approx(0.5 * moment * second, rel=1e-9)


# --------------------------------------------------------------------------------------------- values


def test_ddim_with_eta_at_its_ends_is_ddim_and_ddpm() -> None:
    import wbound
    from numerics import Gaussian
    from wbound.sampler.make_setting import setting
    from wbound.sampler.tape_of_scheme import tape_of

    p, data = wbound.process("vp-linear"), Gaussian([0.0, 0.0], [[2.0, 0.0], [0.0, 0.1]])
    for eta, scheme in ((0, "ddim"), (1.0, "ddpm")):
        own = tape_of(setting(p, data, 4.0, 12, scheme=scheme))
        mine = ddim(eta).tape(np.append(own.levels, 0.0))
        law, other = tape_law(own, [2.0, 0.1]), tape_law(mine, [2.0, 0.1])
        assert other.variance == pytest.approx(law.variance, rel=1e-12)
    assert ddim(0.5).kind == "sde" and ddim(0.5).name == "ddim(eta=0.5)"
    assert (ddim(0).kind, ddim(0).tape([1.0, 0.5, 0.0]).J) == ("ode", 0)


def test_lower_orders_at_the_end() -> None:
    """Where the levels end at 0 the last steps look at 2 and 1 answers; where they stop early only if asked."""
    from dataclasses import replace

    lam = np.geomspace(100.0, 0.01, 9)
    m = MULTISTEP["dpmpp-3m"]
    kept, lowered = m.tape(lam), replace(m, lower_order_final=True).tape(lam)
    assert np.array_equal(kept.answers[:7], lowered.answers[:7])
    assert not np.allclose(kept.answers[7], lowered.answers[7])
    to_zero = np.append(lam[:-1], 0.0)
    ended, full = m.tape(to_zero), replace(m, lower_order_final=False).tape(to_zero)
    assert np.array_equal(ended.answers[8], np.eye(8)[7])  # D alone
    assert np.array_equal(full.answers[8], np.eye(8)[7])
    assert not np.allclose(ended.answers[7], full.answers[7])
    assert np.array_equal(ended.answers[7], lowered.answers[7])


@pytest.mark.parametrize("name", NAMES)
def test_one_step_is_ddims(name: str) -> None:
    got = multistep_named(name).tape([4.0, 1.0])
    if name == "ddim(eta=0)" or not name.startswith("ddim"):
        first = ddim(0).tape([4.0, 1.0])
        assert np.allclose(got.answers, first.answers, rtol=1e-14)
        assert np.allclose(got.start, first.start, rtol=1e-14)


def test_names() -> None:
    assert multistep_named("unipc") is MULTISTEP["unipc"]
    assert multistep_named(MULTISTEP["ab2"]) is MULTISTEP["ab2"]
    assert multistep_named("ddim( eta = 0.25 )").eta == 0.25
    for name, m in MULTISTEP.items():
        assert m.name == name and m.kind == "ode" and m.source and m.title


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dpmpp", "dpmpp-2m"),
        ("ddim(eta=2)", "from 0 to 1"),
        ("ddim(eta=-0.1)", "from 0 to 1"),
        ("ddim(eta=nan)", "from 0 to 1"),
        ("ddim(eta=x)", "eta = x"),
        ("ddim(eta=)", "must be one of"),
        (3, "must be one of"),
    ],
)
def test_a_name_that_is_none(name: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        multistep_named(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("eta", [True, "1", None, math.inf, 1.5])
def test_an_eta_that_is_none(eta: Any) -> None:
    with pytest.raises(BadInput, match="eta"):
        ddim(eta)


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([], "at least two"),
        ([1.0], "at least two"),
        ([[2.0, 1.0]], "at least two"),
        ([1.0, 1.0], "level 1 is not below"),
        ([3.0, 1.0, 2.0], "level 2 is not below"),
        ([2.0, -1.0], ">= 0"),
        ([math.inf, 1.0], "finite"),
        ([2.0, math.nan], "finite"),
        (["a", "b"], "numbers"),
        (np.arange(LONGEST + 2.0)[::-1], f"at most {LONGEST}"),
    ],
)
def test_levels_that_are_none(levels: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        MULTISTEP["dpmpp-2m"].tape(levels)
