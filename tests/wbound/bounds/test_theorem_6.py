"""Theorem 6's floor: its figures by independent routes, and no affine sampler below it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from affine_search import (
    BATCH,
    FAMILIES,
    RECORD,
    Cell,
    alternation,
    directed,
    drawn,
    search,
    worst,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import wbound
from wbound.bounds.root_floor import MOST, absolute_floor, absolute_nodes
from wbound.bounds.theorem_6 import affine_floor, affine_iterations, log_affine_floor
from wbound.errors import BadInput
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import zolotarev_levels
from wbound.sampler.make_setting import setting
from wbound.sampler.tape_of_scheme import tape_of

KAPPAS = (10.0, 1e3, 1e6)
#: Of section 17.
FIGURES = {
    (10.0, 1): 0.0110164356,
    (10.0, 2): 2.16463060e-4,
    (1e3, 3): 3.17980960e-3,
    (1e6, 5): 5.7502874e-3,
}


def by_levels(kappa: float, K: int) -> tuple[mp.mpf, int]:
    """max |r/√x − 1| over [1, κ] of the sampler with the closed-form levels, and how often it alternates at that height:
    mpmath's elliptic functions, a dense grid and a search around each extremum of it."""
    n, m = 2 * K + 1, 1 - 1 / mp.mpf(kappa)
    whole = mp.ellipk(m)

    def sc(j: int) -> mp.mpf:
        return mp.ellipfun("sc", j * whole / n, m=m)

    lam, z = [sc(2 * j) ** 2 for j in range(1, K + 1)], [sc(2 * j - 1) ** 2 for j in range(1, K + 1)]

    def quotient(log_x: mp.mpf) -> mp.mpf:
        x = mp.exp(log_x)
        return mp.fprod((x + a) / (x + b) for a, b in zip(z, lam, strict=True)) / mp.sqrt(x)

    end = mp.log(kappa)
    # many points to an extremum, which crowd at the ends as the levels do
    grid = [mp.log(mp.ellipfun("dn", whole * i / (12 * n), m=m) ** 2 * kappa) for i in range(12 * n, -1, -1)]
    grid[0], grid[-1] = mp.mpf(0), end
    values = [quotient(u) for u in grid]
    extrema = [values[0], values[-1]]
    for i in range(1, len(grid) - 1):
        a, b, c = values[i - 1 : i + 2]
        if (b - a) * (c - b) < 0:  # the vertex of a parabola, three times over
            u, h = grid[i], min(grid[i] - grid[i - 1], grid[i + 1] - grid[i])
            for _ in range(3):
                h /= 64
                a, b, c = quotient(u - h), quotient(u), quotient(u + h)
                u += h * (a - c) / (2 * (a - 2 * b + c))
            extrema.append(quotient(u))
    high, low = max(extrema), min(extrema)
    error = (high - low) / (high + low)  # ν makes both sides equal
    nu = 2 / (high + low)
    at_height = sum(abs(abs(nu * e - 1) / error - 1) < mp.mpf(10) ** -12 for e in extrema)
    return error, at_height


@pytest.mark.parametrize("kappa", KAPPAS)
def test_by_the_levels(kappa: float) -> None:
    """E_K by Eq. 20 and by the sampler's own levels and a maximum: 1e-10 relative, at 2K + 2 points in turn."""
    few = (*range(1, 7), 10, 20)
    for K in few if settings.default.max_examples < 1000 else range(1, 21):  # every K in the deep run
        with mp.workdps(60):
            error, points = by_levels(kappa, K)
            assert abs(affine_floor(kappa, K) / error - 1) < 1e-10, K
            assert points == 2 * K + 2


@pytest.mark.parametrize("kappa", KAPPAS)
def test_by_the_product(kappa: float) -> None:
    """Every K to 20: the product of Eq. 20 and the identity of moduli, with mpmath's 𝐊."""
    with mp.workdps(120):  # 1 − E² keeps E's digits

        def mu(r: mp.mpf) -> mp.mpf:
            return mp.pi / 2 * mp.ellipk(1 - r**2) / mp.ellipk(r**2)

        of_kappa = mu(1 / mp.sqrt(kappa))
        for K in range(1, 21):
            Q = mp.exp(-(2 * K + 1) * mp.pi**2 / (2 * of_kappa))
            product = (
                4 * Q * mp.nprod(lambda i, Q=Q: ((1 + Q ** (4 * i)) / (1 + Q ** (4 * i - 2))) ** 4, [1, 40])
            )
            assert abs(affine_floor(kappa, K) / product - 1) < 1e-12
            assert abs(2 / mp.pi**2 * mu(mp.mpf(affine_floor(kappa, K))) * of_kappa - (2 * K + 1)) < 1e-12 * (
                2 * K + 1
            )
            assert affine_floor(kappa, K) < 4 * mp.exp(-(2 * K + 1) * mp.pi**2 / mp.log(16 * kappa))


def test_figures() -> None:
    for (kappa, K), value in FIGURES.items():
        assert affine_floor(kappa, K) == pytest.approx(value, rel=1e-8)
    assert [affine_iterations(0.01, 10.0**j) for j in (1, 2, 4, 6, 8)] == [2, 2, 4, 5, 6]
    assert [affine_iterations(0.001, 10.0**j) for j in (1, 2, 4, 6, 8)] == [2, 3, 5, 7, 9]


@settings(max_examples=2 * settings.default.max_examples)
@given(
    log_kappa=st.floats(1e-12, 690.0),
    log_eps=st.floats(-690.0, -1e-6),
)
def test_iterations_are_the_least_that_are_enough(log_kappa: float, log_eps: float) -> None:
    kappa, eps = math.exp(log_kappa), math.exp(log_eps)
    K = affine_iterations(eps, kappa)
    assert log_affine_floor(kappa, K) <= math.log(eps)
    assert K == 0 or log_affine_floor(kappa, K - 1) > math.log(eps)
    assert log_affine_floor(kappa, 10**9) < log_affine_floor(kappa, 10**9 - 1) <= 0.0


def test_no_evaluation() -> None:
    """E_0 = (√κ − 1)/(√κ + 1): the best multiple of the start."""
    for kappa in (1.0 + 1e-9, 1.5, 10.0, 1e6, 1e80):
        root = math.sqrt(kappa)
        assert affine_floor(kappa, 0) == pytest.approx((kappa - 1.0) / (root + 1.0) ** 2, rel=1e-9)
    assert affine_floor(1.0, 3) == 0.0 and affine_iterations(1e-300, 1.0) == 0
    assert affine_iterations(1.0, 1e9) == 0


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: affine_floor(0.99, 3), "kappa"),
        (lambda: affine_floor(math.inf, 3), "kappa"),
        (lambda: affine_floor(10.0, -1), "K"),
        (lambda: affine_iterations(0.0, 10.0), "eps"),
        (lambda: affine_iterations(0.1, 0.0), "kappa"),
        (lambda: absolute_floor(0), "K"),
        (lambda: absolute_floor(MOST + 1), "K"),
        (lambda: zolotarev_levels(0, 1.0, 2.0), "K"),
        (lambda: zolotarev_levels(2, 0.0, 2.0), "a"),
        (lambda: zolotarev_levels(2, 2.0, 1.0), "b"),
    ],
)
def test_what_is_outside_is_refused_by_name(call: Callable[[], object], named: str) -> None:
    with pytest.raises(BadInput) as caught:
        call()
    assert caught.value.option == named


# ---------------------------------------------------------------------- no counterexample


def test_no_affine_sampler_is_below(record_property: Callable[[str, object], None]) -> None:
    """2,000 random samplers (100,000 in the deep run), with noise, memory and levels of any kind."""
    cells = list(search(20 * settings.default.max_examples, 7))
    assert {c.family for c in cells} == set(FAMILIES)
    for family in FAMILIES:
        closest = min((c for c in cells if c.family == family), key=lambda c: c.ratio)
        assert closest.ratio >= 1.0 - 1e-9, closest
        record_property("smallest ratio", f"Theorem 6 ({family}): {closest.ratio:.12g} at {closest}")
    assert min(c.ratio for c in cells) < 1.001  # the search comes near


def test_the_record_of_the_long_search() -> None:
    """100,000 samplers, none below; each family's closest is drawn again from its seed."""
    record = json.loads(RECORD.read_text("utf-8"))
    assert record["samplers"] >= 100_000 and len(record["closest"]) == len(FAMILIES)
    for row in record["closest"]:
        cell = Cell(**row)
        family, K, kappa, tapes = drawn(record["seed"], cell.batch)
        assert (family, K) == (cell.family, cell.K) and kappa == pytest.approx(cell.kappa, rel=1e-12)
        again = worst(tapes, K, kappa)[cell.index] / affine_floor(kappa, K)
        assert again == pytest.approx(cell.ratio, rel=1e-6) and cell.ratio >= 1.0 - 1e-9


def test_the_search_has_the_tapes_own_law() -> None:
    """Its forward recursion against `tape_law`'s backward one."""
    for batch in range(6):
        _, K, kappa, tapes = drawn(3, batch, 4)
        x = alternation(K, kappa)
        V = tapes.variance(x)
        for i in range(4):
            assert tape_law(tapes.one(i), x).variance == pytest.approx(V[i], rel=1e-9)


def test_a_floor_one_per_cent_higher_is_refuted() -> None:
    """The search can fail: it finds samplers below 1.01 E_K."""
    assert any(c.ratio < 1.01 for c in search(10 * BATCH, 7))


@pytest.mark.parametrize("K", [1, 2, 3])
def test_directed_search(K: int, record_property: Callable[[str, object], None]) -> None:
    """An optimiser over whole tapes, noise included, ends within 2 % above the floor and never below."""
    runs = [(1e3, 2)] if K == 3 else [(kappa, seed) for kappa in (1e2, 1e4) for seed in (1, 2)]
    found = [directed(K, kappa, np.random.default_rng(seed)) for kappa, seed in runs]
    assert 1.0 - 1e-9 <= min(found) and max(found) <= 1.02, found
    record_property("smallest ratio", f"Theorem 6 (directed, K = {K}): {min(found):.12g}")


def test_our_own_schemes() -> None:
    """Every scheme's tape on several grids, from the prior: its worst spectrum in [a, b] is above E of its evaluations."""
    rng = np.random.default_rng(5)
    p = wbound.process("ve-constant")
    for scheme in wbound.SCHEMES:
        for grid in ("uniform", "edm", "log-lam", "cosine"):
            K, kappa = int(rng.integers(1, 9)), float(np.exp(rng.uniform(np.log(2), np.log(1e6))))
            data = wbound.LogConcave(1, 1.0, 1.0, 1.0)
            tape = tape_of(setting(p, data, T=kappa * 10.0, K=K, scheme=scheme, grid=grid))
            x = np.append(alternation(tape.K, kappa), np.geomspace(1.0, kappa, 50))
            off = np.abs(np.sqrt(tape_law(tape, x).variance / x) - 1.0).max()
            assert off >= affine_floor(kappa, tape.K)


# ---------------------------------------------------------------------- no lower eigenvalue


def test_without_a_lower_eigenvalue() -> None:
    """ε_K: the figures of section 17, and heights that are equal in mpmath at 2K + 2 points."""
    assert [absolute_floor(K) for K in (1, 2, 4, 8)] == pytest.approx(
        [0.0436890127, 0.0085014847, 7.3656361e-4, 2.08515864e-5], rel=2e-8
    )
    for K in (1, 3, 8, 20):
        floor, nodes = absolute_floor(K), absolute_nodes(K)
        edges = np.concatenate(([nodes[0] * 1e-3], nodes, [1.0]))
        with mp.workdps(50):

            def off(s: float, nodes: Any = nodes) -> mp.mpf:
                """r(s²) − s by the quotient of even and odd part."""
                up, down = (mp.fprod(mp.mpf(v) + sign * mp.mpf(s) for v in nodes) for sign in (1, -1))
                return mp.mpf(s) * (up + down) / (up - down) - mp.mpf(s)

            # one sign between neighbouring nodes, and no more than the floor anywhere
            for i, (lo, hi) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
                inner = [off(s) for s in np.geomspace(lo, hi, 42)[1:-1]] + ([off(1.0)] if hi == 1.0 else [])
                heights = [(-1) ** i * h / floor for h in inner]
                assert min(heights) > -1e-9 and 0.98 < max(heights) < 1.0 + 1e-10
            assert abs(off(1e-25) / floor - 1) < 1e-10 and abs(off(1.0) / floor + 1) < 1e-10


def test_it_is_the_limit_of_the_floors_of_classes() -> None:
    """The best absolute error on [a, 1] is below ε_K; the relative one, times √a … 1, frames it."""
    for K in (1, 2, 5):
        steps = [absolute_floor(K + i) for i in range(4)]
        assert all(a > b for a, b in zip(steps[:-1], steps[1:], strict=True))
        kappas = np.geomspace(1.0, 1e12, 200)
        # a class with a lower eigenvalue is no harder, absolutely: E_K √a ≤ error at its lower end ≤ ε_K
        assert max(affine_floor(k, K) / math.sqrt(k) for k in kappas) <= absolute_floor(K) * (1 + 1e-9)
