"""The start N(0, I) of variance-preserving processes: how far it is from p_T when α(T)² is below the last digit of 1."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import wbound
from wbound.bounds import shared, theorem_1, theorem_3
from wbound.certified.certificate import certify
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, Unreachable
from wbound.exact.gaussian_law import exact_w2
from wbound.forward.forward_process import Process

#: Digits of the independent route; 1 − σ² is taken as the difference that it is.
DIGITS = 700


def plain(name: str, B: float) -> tuple[Any, Any]:
    """α and σ² of a row by the formulas of section 1, in mpmath, from B = 2∫f."""
    alpha2 = mp.exp(-mp.mpf(B))
    return mp.sqrt(alpha2), (1 - alpha2) ** 2 if name == "sub-vp" else 1 - alpha2


def drawn(rng: np.random.Generator) -> tuple[str, Process]:
    def value() -> float:
        return float(np.exp(rng.uniform(-1.5, 1.5)))

    name = str(rng.choice(["vp-linear", "vp-polynomial", "vp-exponential", "sub-vp", "ou", "user"]))
    if name == "ou":
        return name, wbound.process(name, theta=0.5, sigma=1.0)
    if name == "user":
        return name, Process(f="c*(1+t)", g="sqrt(2*c*(1+t))", c=value())
    parameters = {"a": value(), "b": value()}
    return name, wbound.process(name, **parameters | ({"rho": value()} if name == "vp-polynomial" else {}))


def facts(rng: np.random.Generator) -> tuple[LogConcave, Any]:
    """Facts with m_0λ far above 1, and Eq. 8's E_0 as a function of λ in mpmath."""
    d, m0, mean = int(rng.integers(1, 50)), float(np.exp(rng.uniform(-1, 1))), float(rng.choice([0.0, 0.3]))
    data = LogConcave(d, m0, 2.0 * m0, 0.75 * d / m0 + mean**2, mean)

    def E0(lam: Any) -> Any:
        near = mp.sqrt(mp.mpf(mean) ** 2 - d * lam * mp.log(1 - (mp.mpf(m0) * lam) ** -2))
        return min(near, mp.sqrt(mp.mpf(data.second_moment)))

    return data, E0


@pytest.mark.parametrize("seed", range(40))
def test_the_start_errors_against_many_digits(seed: int) -> None:
    """e_0 = min(√(α²‖X_0‖² + d(1−σ)²), αE_0 + √d|1−σ|) of section 5, and Theorem 1's, for B = −2 log α up to 700."""
    rng = np.random.default_rng(seed)
    name, p = drawn(rng)
    B = float(rng.choice([3.0, 24.0, 30.0, 36.0, 45.0, 100.0, 700.0])) * float(rng.uniform(0.9, 1.0))
    T = float(p.time_of(np.array([B]))[0])  # log λ is B, or nearly: log α is what is taken from there
    log_alpha, log_lam = (float(v) for v in p.law(T))
    data, E0 = facts(rng)
    with mp.workdps(DIGITS):
        alpha, sigma2 = plain(name, -2.0 * log_alpha)
        lam, off = sigma2 / alpha**2, mp.sqrt(data.d) * abs(1 - mp.sqrt(sigma2)) / alpha
        size = mp.sqrt(mp.mpf(data.second_moment))
        coupled = mp.sqrt(size**2 + off**2)
        want = float(min(coupled, E0(lam) + off))
        m0 = mp.mpf(data.m0)
        units = [float(v / (1 + m0 * lam)) for v in (want, coupled)]
        flow = float(want / mp.sqrt(1 + m0 * lam))
    assert shared.start_error(data, "standard", p, log_alpha, log_lam) == pytest.approx(
        want, rel=1e-11, abs=0.0
    )
    got = [
        of.start_at(data, "standard", p, log_alpha, log_lam)  # type: ignore[attr-defined]
        for of in (shared, theorem_1, theorem_3)
    ]
    assert got == pytest.approx([max(units[0], 1e-300), max(units[1], 1e-300), flow], rel=1e-11, abs=0.0)


@pytest.mark.parametrize("seed", range(24))
def test_the_exact_law_and_the_bound_from_it(seed: int) -> None:
    """One step of hf in x-units, in mpmath: w2 and the start's part of Theorem 2, and the certificate of both."""
    rng = np.random.default_rng(seed)
    name, p = drawn(rng)
    T = float(p.time_of(rng.uniform(1.0, 80.0)))
    log_alpha = float(p.log_alpha(T))
    variance, mean = float(np.exp(rng.uniform(-1, 1))), float(rng.choice([0.0, 0.5]))
    law = Gaussian([mean, 0.0], variance)
    with mp.workdps(DIGITS):
        alpha, sigma2 = plain(name, -2.0 * log_alpha)
        v, lam = mp.mpf(variance), sigma2 / alpha**2
        r = v / (v + lam) / alpha  # A − C/w with A = 1/α, C = λα, w = α²(v + λ)
        out = r**2 + lam  # from N(0, 1): A1's step to λ = 0 adds Q = λ
        spread = mp.sqrt(out) - mp.sqrt(v)
        # the mean: r·0 + C μα/w
        shift = mean * (lam / (v + lam) - 1)
        want = float(mp.sqrt(2 * spread**2 + shift**2))
        E0 = mp.sqrt(mean**2 - 2 * lam * mp.log(1 - (v / lam) ** 2)) if lam > v else mp.inf
        off = mp.sqrt(2) * abs(1 - mp.sqrt(sigma2)) / alpha
        size = mp.sqrt(mean**2 + 2 * v)
        start = float(min(mp.sqrt(size**2 + off**2), min(E0, size) + off) / (1 + lam / v))
    assert exact_w2(p, law, T, 1, scheme="hf", start="standard") == pytest.approx(want, rel=1e-9, abs=0.0)
    bound = wbound.w2_bound(p, law, T, 1, scheme="hf", start="standard")
    assert bound.initialisation == pytest.approx(start, rel=1e-10, abs=0.0) and bound.total >= want * (
        1 - 1e-12
    )
    certificate = certify(p, law, T, 1, scheme="hf", start="standard")
    assert certificate.holds is True and certificate.bits <= 640
    certificate.check("bound", bound.total)


def test_the_initialisation_is_an_upper_bound_where_alpha2_is_lost() -> None:
    """B = 40: σ² is 1 in doubles, and the start's part is what N(0, I) costs. It was 20 % too small."""
    p, data = wbound.process("vp-linear"), LogConcave(3, 0.5, 2.0, 3.0, 0.0)
    T = math.sqrt(80.25) - 0.5  # B = T/2 + T²/2 = 40
    standard, prior = (
        wbound.w2_bound(p, data, T, 50, scheme="hf", start=start).initialisation
        for start in ("standard", "prior")
    )
    # αE_0 = √d α²/m_0 and √d(1 − σ) = √d α²/2: m_0/2 more
    assert standard / prior == pytest.approx(1.25, rel=1e-12, abs=0.0)


def test_who_is_variance_preserving_is_seen_not_named() -> None:
    """Whatever (f, g) has g² = 2f starts from N(0, I); what has not is refused by name."""
    data = LogConcave(2, 0.5, 2.0, 3.0)
    seen = []
    for p in (
        wbound.process("ou", theta=0.5, sigma=1.0),
        wbound.process("ou", theta=2.0, sigma=2.0),
        Process(f="t/2", g="sqrt(t)"),
        Process(f="a*exp(-t)", g="sqrt(2*a)*exp(-t/2)", a=0.3),
    ):
        seen.append(wbound.w2_bound(p, data, 2.0, 20, start="standard").initialisation)
        assert seen[-1] > wbound.w2_bound(p, data, 2.0, 20).initialisation
    for p in (wbound.process("ou", theta=0.6, sigma=1.0), Process(f="t", g="t"), wbound.process("ve-sqrt")):
        with pytest.raises(BadInput, match="variance-preserving"):
            wbound.w2_bound(p, data, 2.0, 20, start="standard")
    with pytest.raises(BadInput, match="no function of alpha"):
        Process(f="t", g="t").short_of_one(-1.0)


def test_a_process_that_preserves_variance_up_to_rounding() -> None:
    """σ = √0.1, ϑ = 0.05 miss κ = 1 by 5e-18, which at α² = e^{−45} is a tenth of α² and more: against the exact κ,
    whatever the parameters are called."""
    p = Process(f="alpha", g="v", alpha=0.05, v=math.sqrt(0.1))
    c = certify(p, LogConcave(2, 0.5, 2.0, 3.0, 0.0), 400, 1, scheme="hf", start="standard")
    c.check(
        "bound",
        wbound.w2_bound(p, LogConcave(2, 0.5, 2.0, 3.0, 0.0), 400, 1, scheme="hf", start="standard").total,
    )
    for log_alpha in (-2.0, -20.0, -22.5, -40.0):
        with mp.workdps(DIGITS):
            kappa = mp.mpf(math.sqrt(0.1)) ** 2 / (2 * mp.mpf(0.05))
            alpha2 = mp.exp(2 * mp.mpf(log_alpha))
            sigma2 = kappa * (1 - alpha2)
            want = float((1 - sigma2) / alpha2), float(abs(1 - mp.sqrt(sigma2)) / mp.sqrt(alpha2))
        assert p.short_of_one(log_alpha) == pytest.approx(want, rel=1e-12, abs=0.0)


def test_a_wrong_closed_form_of_the_start_is_refused() -> None:
    from wbound.calculus.parser import parse, symbol

    right = wbound.process("sub-vp")
    closed = {"family": "general", "increment": right._increment, "log_lam": right._log_lam}
    f, g = right._f, right._g
    ok = Process.named("sub-vp", right.parameters, f, g, **closed, short=2 - symbol("alpha") ** 2)
    assert ok.standard_start
    with pytest.raises(BadInput, match="closed form"):
        Process.named(
            "sub-vp", right.parameters, f, g, **closed, short=parse("1.99-alpha**2", "t", ("alpha",))
        )


def test_iterations_know_the_floor_of_the_start() -> None:
    """B = 28, between what the prior's start and N(0, I)'s leave: no K is enough from N(0, I)."""
    p, data = wbound.process("vp-linear"), LogConcave(3, 0.5, 2.0, 3.0, 0.0)
    with pytest.raises(Unreachable) as caught:
        wbound.iterations(p, data, 4.5e-18, scheme="hf", start="standard", T=7.0)
    # E_0 = √d α/m_0 and √d (1−σ)/α = √d α/2, over 1 + m_0λ = m_0/α², with α = e^{−14}
    assert caught.value.floor == pytest.approx(
        math.sqrt(3.0) * 2.5 * 2.0 * math.exp(-42.0), rel=1e-9, abs=0.0
    )
