"""Lemma 5's identities and inequalities on mixtures whose Hessians do not commute, by quadrature in the plane."""

from __future__ import annotations

from typing import Any

import flint
import numpy as np
import pytest
import score_jets as jets
from score_jets import Component

long = np.longdouble


def turned(weight: float, mean: tuple[float, float], xx: float, xy: float, yy: float) -> Component:
    return Component(long(weight), (long(mean[0]), long(mean[1])), (long(xx), long(xy), long(yy)))


def alike(means: tuple[tuple[float, float], ...], xx: float, xy: float, yy: float) -> list[Component]:
    """One covariance: then the Hessian is its inverse less a covariance of means, and A1 holds for near ones."""
    return [turned(1.0 / len(means), mean, xx, xy, yy) for mean in means]


#: The first two satisfy A1; of the third, with unlike covariances, the Hessian is not even bounded below.
MIXTURES = {
    "near": alike(((0.5, 0.3), (-0.4, 0.2), (0.1, -0.5)), 1.0, 0.35, 0.4),
    "long": alike(((0.9, 0.5), (-0.6, 0.3), (-0.1, -0.8)), 0.7, -0.2, 1.6),
    "apart": [turned(0.4, (0.9, 0.2), 0.5, 0.2, 0.4), turned(0.6, (-0.9, -0.4), 0.4, -0.2, 0.6)],
}


def means(parts: list[Component], lam: float, reach: float = 11.0, h: float = 0.15) -> dict[str, Any]:
    """Expectations under q_λ by the trapezoidal rule, which is exact to rounding for such integrands."""
    n = int(reach / h)
    line = np.arange(-n, n + 1).astype(long) * long(h)
    x, y = (v.ravel() for v in np.meshgrid(line, line))
    q = jets.density(parts, long(lam), x, y, np.exp, 2 * np.pi * long(1))
    at = jets.integrands(jets.fields(jets.logarithm(q)))
    return {key: (v * q[0, 0]).sum() * long(h) ** 2 for key, v in at.items()}


@pytest.mark.parametrize("parts", MIXTURES.values(), ids=MIXTURES)
def test_the_identities(parts: list[Component]) -> None:
    E = means(parts, 0.4)
    assert float(E["mass"]) == pytest.approx(1.0, rel=1e-9)
    assert E["commutator²"] > 1e-4  # they do not commute
    assert E["asymmetry²"] < 1e-25 and E["DT off²"] < 1e-25 * E["|DT|²"]
    assert float(E["D t2"]) == pytest.approx(float(E["N"] + E["t3"]), rel=1e-8)
    assert float(E["D N"]) == pytest.approx(float(4 * E["|DH|²"] - E["t4"]), rel=1e-8)
    assert float(E["D t3"] * 4 / 3 + E["D N"]) == pytest.approx(
        float(4 * E["|DH|²"] + 4 * E["<DH,H²>"] - E["t4"]), rel=1e-8
    )
    # 16‖D²S‖² = 4E|DT|²
    second = E["D(-F')"] - 20 * E["<DH,H DH>"] + E["t5"]
    assert float(4 * E["|DT|²"]) == pytest.approx(float(second), rel=1e-7)


@pytest.mark.parametrize("name", ["near", "long"])
def test_the_inequalities_under_a1(name: str) -> None:
    for lam in (0.05, 1.0):
        E = means(MIXTURES[name], lam, h=0.12 if lam < 0.1 else 0.15)
        fall = 4 * E["|DH|²"] + 4 * E["<DH,H²>"] - E["t4"]
        assert fall >= 7 * E["t4"] and E["D N"] > 0
        assert E["<DH,H²>"] >= E["t4"] and E["<DH,H³>"] >= E["t5"] and E["<DH,H DH>"] >= E["t5"]
        assert 4 * E["|DT|²"] <= E["D(-F')"] - 19 * E["t5"]


def test_along_the_flow_the_mean_of_d_is_the_derivative_of_the_mean() -> None:
    """dE[f]/dΛ = E[Df], for what the identities differentiate: eighth-order differences in λ."""
    h, weights = 0.01, (4 / 5, -1 / 5, 4 / 105, -1 / 280)
    parts, lam = MIXTURES["near"], 0.4
    E, other = (
        means(parts, lam, h=0.2),
        [[means(parts, lam + sign * j * h, h=0.2) for j in (1, 2, 3, 4)] for sign in (1, -1)],
    )

    def fall(of: Any) -> float:
        return float(sum(w * (of(b) - of(a)) for w, a, b in zip(weights, *other, strict=True)) / h)

    for of, want in (
        (lambda e: e["t2"], E["D t2"]),
        (lambda e: e["t3"], E["D t3"]),
        (lambda e: e["N"], E["D N"]),
        (lambda e: 4 * e["|DH|²"] + 4 * e["<DH,H²>"] - e["t4"], E["D(-F')"]),
    ):
        assert fall(of) == pytest.approx(float(want), rel=1e-7)


def test_for_a_gaussian_the_bounds_are_attained() -> None:
    parts = [turned(1.0, (0.3, -0.2), 1.3, 0.4, 0.6)]
    E = means(parts, 0.3)
    for got, want in (
        (4 * E["|DT|²"], E["D(-F')"] - 19 * E["t5"]),
        (4 * E["|DH|²"] + 4 * E["<DH,H²>"] - E["t4"], 7 * E["t4"]),
    ):
        assert float(got) == pytest.approx(float(want), rel=1e-9)


def test_the_identity_of_the_second_derivative_to_forty_digits() -> None:
    """A mixture on the line times N(0, 1), in balls of 55 digits; the trapezoidal rule's own error is e^{−2πr/h}."""
    flint.ctx.dps, before = 55, flint.ctx.dps
    try:
        arb = flint.arb
        one, zero = arb(1), arb(0)
        parts = [
            Component(arb("0.3"), (arb("0.7"), zero), (arb("0.9"), zero, one)),
            Component(arb("0.7"), (arb("-0.4"), zero), (arb("0.5"), zero, one)),
        ]
        h, n = arb("0.06"), 260
        x = np.array([h * i for i in range(-n, n + 1)], dtype=object)
        exp = np.frompyfunc(lambda v: v.exp(), 1, 1)
        q = jets.density(parts, arb("0.3"), x, x * 0, exp, 2 * arb.pi())
        at = jets.integrands(jets.fields(jets.logarithm(q)))
        # across the line only q's own factor depends on y: at y = 0 it is 1/√(2π(1+λ))
        across = (2 * arb.pi() * arb("1.3")).sqrt()
        E = {key: (v * q[0, 0]).sum() * h * across for key, v in at.items()}
        # across, 𝓗 is c = 1/(1+λ) for every y; T = c²y and DT = (3/2)c³y are 0 at y = 0: their mean squares
        c = 1 / arb("1.3")
        N, DT2 = E["N"] + c**3, E["|DT|²"] + (c**3 * 3 / 2) ** 2 / c
        for got, want in (
            (E["D t2"], N + E["t3"]),
            (4 * DT2, E["D(-F')"] - 20 * E["<DH,H DH>"] + E["t5"]),
        ):
            assert abs(got / want - 1) < arb("1e-38")
    finally:
        flint.ctx.dps = before


@pytest.mark.parametrize("lam", [0.3, 2.0])
def test_the_identity_in_the_clock_of_sigma(lam: float) -> None:
    """G = σS along dY/dσ = −G, and S along dY/dΛ = ½S, on two modes of the line: derivatives by sixth-order differences of
    flows that are solved, expectations by the trapezoidal rule."""
    c, s, step = 0.8, 1.0, 0.02
    y = np.linspace(-14.0, 14.0, 2001)

    def score(at: Any, level: float) -> Any:
        return (-at + c * np.tanh(c * at / (s * s + level))) / (s * s + level)

    def mean(values: Any, level: float) -> float:
        v = s * s + level
        q = (np.exp(-((y - c) ** 2) / (2 * v)) + np.exp(-((y + c) ** 2) / (2 * v))) / np.sqrt(8 * np.pi * v)
        return float((values * q).sum() * (y[1] - y[0]))

    def moved(slope: Any, begin: float, by: float) -> Any:
        at, t, h = y, begin, by / 20
        for _ in range(20):
            k1 = slope(at, t)
            k2 = slope(at + h / 2 * k1, t + h / 2)
            k3 = slope(at + h / 2 * k2, t + h / 2)
            at, t = at + h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(at + h * k3, t + h)), t + h
        return at

    def derivatives(of: dict[int, Any]) -> tuple[Any, Any]:
        first = sum(w * (of[j] - of[-j]) for j, w in ((1, 45), (2, -9), (3, 1))) / (60 * step)
        second = sum(w * (of[j] + of[-j]) for j, w in ((1, 270), (2, -27), (3, 2))) - 490 * of[0]
        return first, second / (180 * step**2)

    def energies(level: float) -> tuple[float, float, float]:
        """t_1, t_2 and N."""
        v = s * s + level
        t = np.tanh(c * y / v)
        S, S1, S2 = score(y, level), (c * c / v * (1 - t * t) - 1) / v, -2 * c**3 / v**3 * (1 - t * t) * t
        return mean(-S1, level), mean(S1**2, level), mean((S2 + S * S1) ** 2, level)

    sigma, span = lam**0.5, range(-3, 4)
    at = {j: (sigma + j * step, moved(lambda x, u: -u * score(x, u * u), sigma, j * step)) for j in span}
    first, second = derivatives({j: u * score(x, u * u) for j, (u, x) in at.items()})
    late = {j: moved(lambda x, u: 0.5 * score(x, lam - u), 0.0, j * step) for j in span}
    _, twice = derivatives({j: score(x, lam - j * step) for j, x in late.items()})
    t1, t2, N = energies(lam)
    h = 0.01
    slope = (
        8 * (energies(lam + h)[2] - energies(lam - h)[2])
        - energies(lam + 2 * h)[2]
        + energies(lam - 2 * h)[2]
    ) / (12 * h)
    assert mean(first**2, lam) == pytest.approx(t1 - 2 * lam * t2 + lam**2 * N, rel=1e-7)
    want = 9 * lam * N + 6 * lam**2 * slope + 16 * lam**3 * mean(twice**2, lam)
    assert mean(second**2, lam) == pytest.approx(want, rel=1e-6)
