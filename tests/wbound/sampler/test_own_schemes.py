"""Schemes of a user's own: what they do is read from their coefficients, and what they say of themselves is checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import referee

import wbound
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.exact.gaussian_law import exact_w2
from wbound.sampler.grid import Grid
from wbound.sampler.scheme import SCHEMES, Corrector, Scheme, Steps
from wbound.sampler.steps import Batch

Numbers = tuple[float, ...]


def twice(reach: float, early: float, late: float) -> Callable[[Batch], Steps]:
    """Two stages, in shares of ddim's step: y′ a step of ``reach``, then ``early`` and ``late`` shares of the score
    before and after; at λ_k = 0 the score before alone."""

    def steps(b: Batch) -> Steps:
        whole = SCHEMES["ddim"].steps(b).C
        kappa, ends = np.exp(-0.5 * b.gap), np.isneginf(b.log_lam_lo)
        # in y-units √λ_k (√λ_{k−1} − √λ_k), times α_k²
        after = np.where(ends, 0.0, late * b.steps.Q * kappa / (1.0 + kappa))
        corrector = Corrector(np.where(ends, whole, early * whole), after)
        return Steps(np.exp(b.steps.F), reach * whole, np.zeros(b.size), corrector=corrector)

    return steps


def plain_w2(p: referee.Plain, times: Numbers, v0: float, mu: float, shares: Numbers, start: str) -> float:
    """The law of `twice` on N(μ, v), one step after the other, in y-units, with 50 digits."""
    with mp.workdps(50):
        T = mp.mpf(times[0])
        v, m = referee.start_law(p, T, start, mp.mpf(v0), mp.mpf(mu))
        v, m = v / p.alpha(T) ** 2, m / p.alpha(T)
        for hi, lo in zip(times[:-1], times[1:], strict=True):
            a, b = p.lam(mp.mpf(lo)), p.lam(mp.mpf(hi))
            step = mp.sqrt(b) * (mp.sqrt(b) - mp.sqrt(a))
            r = 1 - step / (v0 + b)
            if a > 0:
                ahead = 1 - shares[0] * step / (v0 + b)
                late = shares[2] * mp.sqrt(a) * (mp.sqrt(b) - mp.sqrt(a))
                r = 1 - shares[1] * step / (v0 + b) - late / (v0 + a) * ahead
            v, m = r**2 * v, mu + r * (m - mu)
        return float(mp.sqrt((mp.sqrt(v) - mp.sqrt(v0)) ** 2 + (m - mu) ** 2))


def cases(seed: int, n: int) -> list[tuple[referee.Plain, Numbers, float, float, str]]:
    rng, makes = np.random.default_rng(seed), list(referee.ALL.values())
    out = []
    for i in range(n):
        T, K = referee.log_uniform(rng, 0.3, 5.0), int(rng.integers(1, 9))
        times = (T, *(T * np.sort(rng.uniform(0.02, 1.0, K - 1))[::-1]).tolist(), 0.0)
        v, mu = referee.log_uniform(rng, 1e-2, 1e2), float(rng.normal())
        out.append((makes[i % len(makes)](), times, v, mu, ("prior", "exact")[i % 2]))
    return out


@pytest.mark.parametrize("shares", [(1.0, 0.25, 0.75), (2 / 3, 0.25, 0.75), (1.0, 0.6, 0.6), (0.5, 0.0, 1.0)])
def test_two_stages_are_their_own(shares: Numbers) -> None:
    """Not Heun's: midpoint, Ralston and worse, against their own recursion in 50 digits."""
    scheme = Scheme("twice", "a test", "ode", twice(*shares), "a test", 2)
    for p, times, v, mu, start in cases(3, 24):
        got = exact_w2(p.made, Gaussian([mu], v), scheme=scheme, grid=Grid.from_t(times), start=start)
        want = plain_w2(p, times, v, mu, shares, start)
        assert got == pytest.approx(want, rel=1e-9, abs=1e-14), (p.name, times, v)


def test_the_trapezoid_in_a_users_hands_is_heun() -> None:
    """Its coefficients, not its name: the same digits where what it does is the same."""
    p, data = wbound.process("vp-linear"), Gaussian([0.3], 2.0)
    mine = Scheme("mine", "a test", "ode", twice(1.0, 0.5, 0.5), "a test", 2)
    for K in (1, 10, 3000):
        assert exact_w2(p, data, 4.0, K, scheme=mine) == pytest.approx(
            exact_w2(p, data, 4.0, K, scheme="heun"), rel=1e-12
        )


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", [name for name, of in SCHEMES.items() if not of.at_zero])
def test_bare_coefficients_are_enough(name: str, whole: bool) -> None:
    """A, C, Q (and the corrector) alone: the law, and Theorem 2 or 3, as with the mismatches to all digits; and with
    these given too."""
    of = SCHEMES[name]

    def bare(b: Batch) -> Steps:
        steps = of.steps(b)
        return steps if whole else Steps(steps.A, steps.C, steps.Q, corrector=steps.corrector)

    own = replace(of, name="bare", steps=bare)
    for p, times, v, mu, start in cases(4, 12):
        options: dict[str, Any] = {"grid": Grid.from_t(times), "start": start}
        data = Gaussian([mu], v)
        assert exact_w2(p.made, data, scheme=own, **options) == pytest.approx(
            exact_w2(p.made, data, scheme=of, **options), rel=1e-8, abs=1e-12
        )
        if of.stages == 1 and name != "ddpm":  # whose own bound is Eq. 9′
            assert wbound.w2_bound(p.made, data, scheme=own, **options).total == pytest.approx(
                wbound.w2_bound(p.made, data, scheme=of, **options).total, rel=1e-8
            )


def changed(name: str, kind: str = "sde", stages: int = 1, **changes: Callable[[Steps], Any]) -> Scheme:
    def steps(b: Batch) -> Steps:
        got = SCHEMES[name].steps(b)
        return got._replace(**{key: of(got) for key, of in changes.items()})

    return Scheme("changed", "a test", kind, steps, "a test", stages)


@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        (changed("em", C=lambda s: 1.01 * s.C), "its c is not hf's C minus its own"),
        (changed("hf", A=lambda s: s.A + 0.01), "its a is not hf's A minus its own"),
        (changed("ddpm", Q=lambda s: 1.01 * s.Q), "its q is not hf's Q minus its own"),
        (changed("hf", Q=lambda s: s.Q[1:]), "must give Q as numbers of shape"),
        (changed("hf", Q=lambda s: -s.Q), "has Q < 0"),
        (changed("hf", kind="ode"), "is no ODE scheme"),
        (changed("ddim", kind="ode", A=lambda s: 1.1 * s.A, a=lambda s: float("nan")), "is no ODE scheme"),
        (
            changed("ddim", kind="ode", C=lambda s: 1.1 * s.C, c=lambda s: float("nan")),
            "its flow does not belong",
        ),
        (changed("heun", kind="ode"), "has two stages, but says stages = 1"),
        (changed("ddim", kind="ode", stages=2), "has one stage, without a corrector"),
        (
            changed("heun", "ode", 2, corrector=lambda s: Corrector(s.corrector.C, s.corrector.D + 0.1)),
            "asks for the score at lam = 0",
        ),
    ],
)
def test_what_a_scheme_says_of_itself_is_checked(scheme: Scheme, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        exact_w2(wbound.process("vp-linear"), Gaussian([0.0], 2.0), 3.0, 4, scheme=scheme)


def test_names_belong_to_coefficients() -> None:
    """No other scheme under the name of one that theorems go by, no two stages of an SDE, no third kind."""
    p, data = wbound.process("vp-linear"), Gaussian([0.0], 2.0)
    with pytest.raises(BadInput, match="ddpm: is the name of another scheme"):
        wbound.w2_bound(p, data, 3.0, 4, scheme=replace(SCHEMES["hf"], name="ddpm"))
    with pytest.raises(BadInput, match="must be 1, or 2 for an ODE"):
        Scheme("x", "x", "sde", SCHEMES["hf"].steps, "x", 2)
    with pytest.raises(BadInput, match="must be one of sde, ode"):
        Scheme("x", "x", "pde", SCHEMES["hf"].steps, "x")
