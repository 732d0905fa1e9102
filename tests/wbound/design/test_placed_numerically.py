"""Numerically optimal grids: derivatives, convexity, known gains, and the place of every named grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

import wbound
from wbound.data.gaussian import Gaussian
from wbound.design.objectives import ExactW2, Objective, SharpBound
from wbound.design.placed_numerically import grid_gaps, numerical_grid
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.clock_law import FLOWS, PAIRS, Spectrum
from wbound.exact.gaussian_law import exact_w2, law
from wbound.sampler import placement

ONE = Gaussian(np.zeros(1), 2.0)
MANY = Gaussian(np.array([1.0, 0.0, 2.0, 0.0, 0.3]), np.array([2.0, 0.1, 30.0, 0.01, 5.0]))
SINGULAR = Gaussian(np.array([1.0, 0.0, 2.0, 0.0, 0.3]), np.array([2.0, 0.1, 30.0, 0.0, 5.0]))
FACTS = wbound.LogConcave(d=3, m0=0.3, L0=4.0, second_moment=6.0, mean_norm=0.0)
VE = wbound.process("ve-constant")

OBJECTIVES: list[Objective] = [
    SharpBound(FACTS, "exact"),
    SharpBound(FACTS, "prior"),
    SharpBound(wbound.LogConcave(d=3, m0=0.3, L0=4.0, second_moment=6.0), "prior"),
    *(
        ExactW2(Spectrum.of(g), scheme, start)
        for g in (ONE, MANY, SINGULAR)
        for scheme in PAIRS | FLOWS
        for start in ("exact", "prior")
        if g is not SINGULAR or not wbound.SCHEMES[scheme].at_zero
    ),
]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradients(objective: Objective) -> None:
    rng = np.random.default_rng(3)
    for _ in range(3):
        lam = np.append(np.sort(np.exp(rng.uniform(-4, 5, 9)))[::-1], 0.0)
        d = objective.derivatives(lam)
        assert d.value == pytest.approx(objective.value(lam), rel=1e-12)
        step = 1e-5
        for k in range(9):
            up, down = lam.copy(), lam.copy()
            up[k] *= 1 + step
            down[k] *= 1 - step
            slope = (objective.value(up) - objective.value(down)) / (2 * step * lam[k])
            size = float(np.abs(d.gradient * lam[:9]).max())
            assert slope * lam[k] == pytest.approx(d.gradient[k] * lam[k], abs=1e-6 * size), k


def test_the_slopes_of_a_width_where_nothing_is_left() -> None:
    """Of (√(ς²+e) − ς)² in e: finite where the excess takes all of a variance, 1 and 0 where there is none."""
    s = np.array([1.0, 1e-8, 0.0])
    target = ExactW2(Spectrum(s, np.ones(3), np.zeros(3)), "hf", "exact")
    first, second = target._outer(-s)
    assert np.isfinite(first).all() and np.isfinite(second).all() and (first[:2] < -1e40).all()
    assert (first[2], second[2]) == (1.0, 0.0)
    first, second = target._outer(np.array([0.3, 0.0, 0.0]))
    assert first[0] == pytest.approx(1.0 - 1.0 / math.sqrt(1.3), rel=1e-14)
    assert second[0] == pytest.approx(0.5 * 1.3**-1.5, rel=1e-14)


@pytest.mark.parametrize("scheme", ["hf", "ddpm"])
def test_the_metric_and_the_start_of_the_exact_w2(scheme: str) -> None:
    """The metric is half of W2²'s Hessian from p_T, over W2; from the prior the outputs' distance is added, by the law's
    own numbers, and its slope."""
    spectrum, lam = Spectrum.of(MANY), np.array([40.0, 9.0, 2.0, 0.4, 0.0])
    exact, prior = ExactW2(spectrum, scheme, "exact"), ExactW2(spectrum, scheme, "prior")
    d, from_prior = exact.derivatives(lam), prior.derivatives(lam)
    assert d.low_rank is not None and from_prior.low_rank == pytest.approx(d.low_rank)
    assert from_prior.value == pytest.approx(prior.value(lam), rel=1e-12)
    full = np.diag(d.diagonal) + np.diag(d.beside, 1) + np.diag(d.beside, -1) + d.low_rank.T @ d.low_rank
    grid = wbound.Grid.from_lam(lam)
    assert exact.w2(lam) == pytest.approx(
        exact_w2(VE, MANY, scheme=scheme, start="exact", grid=grid), rel=1e-9
    )
    laws = [
        law(wbound.setting(VE, MANY, scheme=scheme, start=of, grid=grid), MANY.eigenvalues)
        for of in ("exact", "prior")
    ]
    one, two = (np.sqrt(MANY.eigenvalues + of.excess) for of in laws)
    apart = (one - two) ** 2 + ((laws[0].mean - laws[1].mean) * MANY.coordinates) ** 2
    assert prior.w2(lam) - exact.w2(lam) == pytest.approx(math.sqrt(apart.sum()), rel=1e-8)
    for k in range(4):
        up, down = lam.copy(), lam.copy()
        step = 1e-4 * lam[k]
        up[k] += step
        down[k] -= step
        both = [2.0 * exact.value(at) * exact.derivatives(at).gradient for at in (up, down)]
        column = (both[0] - both[1]) / (2.0 * step) / (2.0 * d.value)
        assert column == pytest.approx(full[k], abs=1e-6 * float(np.abs(full[k]).max())), k
        slope = (prior.value(up) - prior.value(down)) / (2.0 * step)
        assert slope == pytest.approx(
            from_prior.gradient[k], abs=1e-6 * float(np.abs(from_prior.gradient).max())
        ), k


def test_the_roots_of_weights_between_samples() -> None:
    wide = Gaussian(np.zeros(300), np.geomspace(1e-3, 1e2, 300))
    of, weights = ExactW2(Spectrum.of(wide), "hf", "exact"), np.linspace(1.0, 3.0, 300)
    B, R = of.spectrum.sampling.matrix, of._roots(weights)
    assert B is not None and R.T @ R == pytest.approx(B.T @ np.diag(weights) @ B, rel=1e-9, abs=1e-12)


def test_eq_9_squared_is_theorem_2s() -> None:
    lam = np.array([40.0, 9.0, 2.0, 0.4, 0.0])
    for start in ("exact", "prior"):
        bound = wbound.w2_bound(VE, FACTS, scheme="hf", start=start, grid=wbound.Grid.from_lam(lam)).total
        assert SharpBound(FACTS, start).w2(lam) == pytest.approx(bound, rel=1e-12)


@pytest.mark.parametrize("scheme", PAIRS | FLOWS)
def test_second_derivatives_of_the_pairs(scheme: str) -> None:
    s, a, b = sp.symbols("s a b", positive=True)
    H, A, B = b - a, s + a, s + b
    middle = 1 - sp.sqrt(b) * (sp.sqrt(b) - sp.sqrt(a)) / B  # ddim's r
    root = sp.sqrt(b) - sp.sqrt(a)
    multiplied = {
        "ode-hf": 1 - H / (2 * B),
        "ddim": middle,
        "heun": 1 - sp.sqrt(b) * root / (2 * B) - sp.sqrt(a) * root / (2 * A) * middle,
    }
    multiplied["heun-lam"] = multiplied["heun"]
    multiplied["heun-lambda"] = 1 - H / (4 * B) - H / (4 * A) * (1 - H / (2 * B))
    formula = {"hf": s**2 * H**2 / (A**2 * B), "ddpm": -(s**3) * H**2 / (A**2 * B * b)}
    formula |= {name: sp.log(r**2 * B / A) for name, r in multiplied.items()}
    at = {s: sp.Rational(7, 5), a: sp.Rational(1, 3), b: sp.Rational(9, 4)}
    own = formula[scheme]
    expected = [own, own.diff(a), own.diff(b), own.diff(a, 2), own.diff(a, b), own.diff(b, 2)]
    values = (PAIRS | FLOWS)[scheme](*(np.array([float(v)]) for v in at.values()))
    for value, want in zip(values, expected, strict=True):
        assert float(value[0]) == pytest.approx(float(want.subs(at)), rel=1e-11)


def test_the_hessian_of_eq_9_is_the_gradients_derivative() -> None:
    objective = SharpBound(FACTS, "exact")
    lam = np.array([40.0, 9.0, 2.0, 0.4, 0.0])
    d = objective.derivatives(lam)
    full = np.diag(d.diagonal) + np.diag(d.beside, 1) + np.diag(d.beside, -1)
    for k in range(4):
        up, down = lam.copy(), lam.copy()
        up[k] += 1e-5 * lam[k]
        down[k] -= 1e-5 * lam[k]
        column = (objective.derivatives(up).gradient - objective.derivatives(down).gradient) / (2e-5 * lam[k])
        assert column == pytest.approx(full[k], abs=1e-7 * float(np.abs(full).max()))


def test_gaussian_pairs_are_jointly_convex_in_the_inverse_root() -> None:
    X, Z = sp.symbols("X Z", positive=True)  # ŵ_k^{−1/2} ≥ ŵ_{k−1}^{−1/2}
    a, b = X**-2, Z**-2
    pair = sp.expand(sp.simplify((b - a) ** 2 / (a**2 * b)))
    assert sp.expand(pair - (X**4 / Z**2 - 2 * X**2 + Z**2)) == 0
    determinant = pair.diff(X, 2) * pair.diff(Z, 2) - pair.diff(X, Z) ** 2
    assert sp.simplify(determinant - 8 * ((X / Z) ** 2 - 1) ** 3) == 0


def test_eq_9_pairs_are_jointly_convex_for_equal_curvatures() -> None:
    # X⁶/Z³ − Z³ − 6X³ log(X/Z) with X = v_k^{−1/3}, Z = v_{k−1}^{−1/3}; homogeneous, so Z = 1
    X, Z = sp.symbols("X Z", positive=True)
    pair = X**6 / Z**3 - Z**3 - 6 * X**3 * sp.log(X / Z)
    determinant = sp.lambdify(
        X, (pair.diff(X, 2) * pair.diff(Z, 2) - pair.diff(X, Z) ** 2).subs(Z, 1), "mpmath"
    )
    import mpmath

    with mpmath.workdps(60):
        for power in np.linspace(-6, 6, 200):
            assert determinant(1 + mpmath.mpf(10) ** power) > 0
    # m_0 < L_0: not convex in the optimal clock's own time, as the docstring says
    assert not numerical_grid(FACTS, 3, 10.0).convex
    assert numerical_grid(ONE, 3, 10.0).convex


@pytest.mark.parametrize(("K", "gain"), [(2, 0.13), (5, 0.028), (20, 0.0017)])
def test_gains_over_the_asymptotic_grid(K: int, gain: float) -> None:
    found = numerical_grid(ONE, K, 50.0, objective="exact")
    assert found.decrement < 1e-12

    def excess(lam: np.ndarray) -> float:
        w2 = exact_w2(VE, ONE, scheme="hf", start="exact", grid=wbound.Grid.from_lam(lam))
        return (w2 + math.sqrt(2.0)) ** 2 - 2.0

    asymptotic = np.exp(placement.gaussian(math.log(50.0), K, ONE))
    assert excess(asymptotic) / excess(found.lam) - 1.0 == pytest.approx(gain, rel=0.05)
    assert found.value == pytest.approx(
        exact_w2(VE, ONE, scheme="hf", start="exact", grid=wbound.Grid.from_lam(found.lam))
    )


def test_a_convex_optimum_is_reached_from_anywhere() -> None:
    rng = np.random.default_rng(0)
    best = numerical_grid(ONE, 12, 50.0, objective="exact")
    from wbound.design.newton import minimise

    for _ in range(5):
        start = np.concatenate(([50.0], np.sort(rng.uniform(0.01, 49.0, 11))[::-1], [0.0]))
        end = minimise(ExactW2(Spectrum.of(ONE), "hf", "exact"), start, 1)
        assert end.value == pytest.approx(best.value, rel=1e-10)
        assert end.lam == pytest.approx(best.lam, rel=1e-5)


@pytest.mark.parametrize("objective", ["sharp", "exact"])
def test_no_neighbour_is_better(objective: str) -> None:
    data = FACTS if objective == "sharp" else MANY
    found = numerical_grid(data, 10, 1e3, objective=objective)
    rng = np.random.default_rng(1)
    target: Objective = (
        SharpBound(FACTS, "exact") if objective == "sharp" else ExactW2(Spectrum.of(MANY), "hf", "exact")
    )
    least = target.value(found.lam)
    for _ in range(200):
        moved = found.lam * np.exp(rng.uniform(-1, 1, 11) * 10.0 ** rng.uniform(-4, -1))
        moved[0] = found.lam[0]
        moved = np.sort(moved)[::-1]
        assert target.value(moved) >= least * (1 - 1e-13)


@pytest.mark.parametrize("scheme", FLOWS)
def test_an_ode_has_better_nodes_than_any_name(scheme: str) -> None:
    """Newton's metric is rougher for products: heun ends where little is left to gain."""
    for data in (MANY,) if wbound.SCHEMES[scheme].at_zero else (MANY, SINGULAR):
        found = numerical_grid(data, 25, objective="exact", start="prior", scheme=scheme)
        assert found.decrement < 1e-3 and (np.diff(found.lam) < 0).all()
        assert found.section7 is None or found.value <= found.section7
        own = [
            exact_w2(VE, data, scheme=scheme, start=start, grid=wbound.Grid.from_lam(found.lam))
            for start in ("exact", "prior")
        ]
        assert own[1] <= found.value * (1.0 + 1e-9) and own[0] <= found.value * (1.0 + 1e-9)


@pytest.mark.parametrize("scheme", PAIRS)
def test_thousand_steps_and_a_free_end(scheme: str) -> None:
    found = numerical_grid(MANY, 1000, objective="exact", start="prior", scheme=scheme)
    assert found.decrement < 1e-8
    assert found.lam.shape == (1001,)
    assert (np.diff(found.lam) < 0).all()
    assert found.section7 is not None
    assert found.value <= found.section7
    wide = Gaussian(np.zeros(1200), np.geomspace(1e-3, 1e2, 1200))
    many = numerical_grid(wide, 50, objective="exact", start="prior", scheme=scheme)
    assert many.decrement < 1e-8


def test_every_named_grid_is_at_least_the_optimum() -> None:
    for objective, data in (("sharp", FACTS), ("exact", MANY), ("exact", SINGULAR)):
        gaps, best = grid_gaps(wbound.process("vp-linear"), data, 4.0, 20, objective=objective)
        names = {gap.grid for gap in gaps}
        assert names == set(wbound.GRIDS) - ({"optimal", "sinh"} if data is SINGULAR else set())
        assert all(gap.factor >= 1.0 for gap in gaps)
        assert [gap.value for gap in gaps] == sorted(gap.value for gap in gaps)
        assert best.lam[0] == pytest.approx(float(wbound.process("vp-linear").lam(4.0)))
    sharp, best = grid_gaps(VE, FACTS, 1e3, 20)
    bound = wbound.w2_bound(VE, FACTS, 1e3, 20, scheme="hf", start="exact", grid="edm").total
    assert next(g.value for g in sharp if g.grid == "edm") == pytest.approx(bound, rel=1e-10)


def test_bad_input() -> None:
    with pytest.raises(BadInput, match="lam_max = None: is needed from the exact start"):
        numerical_grid(ONE, 5)
    with pytest.raises(BadInput, match="objective = kl"):
        numerical_grid(ONE, 5, 1.0, objective="kl")
    with pytest.raises(BadInput, match="scheme = em: must be one of hf"):
        numerical_grid(ONE, 5, 1.0, objective="exact", scheme="em")
    with pytest.raises(BadInput, match="at most 5000 steps"):
        numerical_grid(ONE, 5001, 1.0)
    with pytest.raises(HypothesisFailed, match="A1"):
        numerical_grid(SINGULAR, 5, 1.0)
    with pytest.raises(HypothesisFailed, match="Gaussian data"):
        numerical_grid(FACTS, 5, 1.0, objective="exact")
