"""Theorem 3, Theorem 7 and the exact law of ODE samplers in ball arithmetic (sections 12 and 20), in y-units.

As in `wbound.certified.statements` each function is the formula as docs/theory.md has it: the double path computes the
same over other units, and its integrals by quadrature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from wbound.bounds.theorem_7_integrals import edges
from wbound.calculus.balls import Ball, flint, root, square
from wbound.certified.path import Path
from wbound.certified.statements import Facts, Spectrum, decay_constant, power_integral, start_error

__all__ = ["STEPS", "flow_law", "theorem_3", "theorem_7"]


class Step(NamedTuple):
    """Section 20's step: y′ = y + a S(y, λ_{k−1}) + b S(y + c S(y, λ_{k−1}), λ_k); of one stage b = c = 0."""

    a: Ball
    b: Ball
    c: Ball

    @property
    def two(self) -> bool:
        return not self.b.is_zero()


def _trapezoid(path: Path, k: int, last: Ball | None) -> Step:
    hi, lo = path.lam[k], path.lam[k + 1]
    if lo.is_zero():
        return Step(hi if last is None else last * hi, flint().arb(0), flint().arb(0))
    h = hi.sqrt() - lo.sqrt()
    c = h * hi.sqrt()
    return Step(c / 2, h * lo.sqrt() / 2, c)


def _alone(a: Ball) -> Step:
    return Step(a, flint().arb(0), flint().arb(0))


#: The steps by scheme: (path, k) ↦ a, b, c, in x².
STEPS: dict[str, Callable[[Path, int], Step]] = {
    "ode-hf": lambda path, k: _alone(path.H[k] / 2),
    "ddim": lambda path, k: _alone(path.lam[k].sqrt() * (path.lam[k].sqrt() - path.lam[k + 1].sqrt())),
    "ode-ei": lambda path, k: _alone(path.E[k] / (2 * path.alpha[k] * path.alpha[k + 1])),
    "heun": lambda path, k: _trapezoid(path, k, None),
    "heun-lam": lambda path, k: _trapezoid(path, k, flint().arb(0.5)),
    "heun-lambda": lambda path, k: Step(path.H[k] / 4, path.H[k] / 4, path.H[k] / 2),
}


def theorem_3(
    path: Path, data: Facts, scheme: str, start: str, M: Ball, thetas: Sequence[Ball], former: bool = False
) -> Ball:
    """Eq. 15 for a given θ; ``former`` as in `decay_constant`. *upper*"""
    constant = decay_constant(path, data, thetas[0], former)
    return _bound(path, data, scheme, start, M, thetas[0], constant)


def theorem_7(path: Path, data: Facts, scheme: str, start: str, M: Ball, thetas: Sequence[Ball]) -> Ball:
    """Eq. 21 for given θ_1 and θ_2, the latter of steps of two stages. *upper*"""
    constant = decay_constant(path, data, thetas[0], False)
    return _bound(path, data, scheme, start, M, thetas[0], constant, thetas[-1])


def _bound(
    path: Path,
    data: Facts,
    scheme: str,
    start: str,
    M: Ball,
    theta: Ball,
    constant: Ball,
    theta_2: Ball | None = None,
) -> Ball:
    """Eq. 21, C_1 given, and √(dδ) where the sampler stops early."""
    arb, d, m0, L0, lam = flint().arb, data.d, data.m0, data.L0, path.lam
    P, score, drift, first, second = arb(1), arb(0), arb(0), arb(0), arb(0)
    for k in reversed(range(path.K)):
        a, b, c = step = STEPS[scheme](path, k)
        hi, lo, H = lam[k], lam[k + 1], path.H[k]
        (m, late_m), (L, late_L) = (tuple(h / (1 + h * at) for at in (hi, lo)) for h in (m0, L0))

        def g(size: Ball, m: Ball, L: Ball) -> Ball:
            return abs(1 - size * m).max(abs(1 - size * L))

        v1, v0 = 1 + L0 * hi, 1 + L0 * lo
        p1, p2, p3 = (power_integral(v0, v1, j - theta) for j in (1, 2, 3))
        # ∫(u−λ_k)^n v^{−θ}du, n = 0, 1, 2
        moments = p1 / L0, (p2 - v0 * p1) / L0**2, (p3 - 2 * v0 * p2 + v0**2 * p1) / L0**3
        flat, steep = (abs(H / 4 - b), b * late_L / 2) if step.two else (arb(0), arb(0.5))
        first += square(P) * (
            square(flat) * moments[0] + 2 * flat * steep * moments[1] + square(steep) * moments[2]
        )
        drift += P * (abs(H / 2 - a - b) + b * late_L * abs(H / 2 - c)) * (d * L).sqrt()
        score += P * (
            abs(a - b * c * late_m).max(abs(a - b * c * late_L)) * path.alpha[k] + b * path.alpha[k + 1]
        )
        if step.two and theta_2 is not None:
            second += square(P) * _second(hi, lo, L0, theta_2)
        P *= (1 + g(c, m, L) * g(2 * b, late_m, late_L)) / 2 if step.two else g(a, m, L)
    total = P * start_error(path, data, start) + drift + root(constant * first) / 2 + M * score
    if theta_2 is not None and not second.is_zero():
        total += root(d * L0**2 * second_constant(theta_2, m0, L0, lam[0]) * second)
    return total + (d * lam[-1]).sqrt()


def _second(hi: Ball, lo: Ball, L0: Ball, theta: Ball) -> Ball:
    """(1/16) ∫(u−λ_k)²(λ_{k−1}−u)²u^{−2}(1+L_0u)^{−θ}du, in x⁶."""
    if lo.is_zero():  # (λ_{k−1}−u)²: v_1 − v, by powers of v
        v1 = 1 + L0 * hi
        p1, p2, p3 = (power_integral(flint().arb(1), v1, j - theta) for j in (1, 2, 3))
        return (v1**2 * p1 - 2 * v1 * p2 + p3) / (16 * L0**3)
    acb = flint().acb

    def integrand(s: Ball, analytic: bool) -> Ball:  # u = e^s
        u = s.exp()
        weight = (-theta * (1 + L0 * u).log(analytic=analytic)).exp()
        return ((u - lo) * (hi - u)) ** 2 / u * weight

    value = acb.integral(integrand, acb(lo.log()), acb(hi.log())).real
    return value / 16


def second_constant(theta: Ball, m0: Ball, L0: Ball, lam_T: Ball) -> Ball:
    """C_2/(dL_0²): the sum over cells that the double path takes (section 20), in balls. *upper*"""
    arb, kappa = flint().arb, L0 / m0
    log_V = (1 + L0 * lam_T).log()
    if float(log_V) < 1e-9:
        return (2 + (theta * arb("6.1") + 1) * log_V) / 16
    ends = [arb(float(e)) for e in edges(float(log_V))]
    ends[-1] = log_V
    ys = [(-s).exp() for s in ends]
    curved = [theta * (theta - 1), theta * (theta - 1) * (theta - 2)]
    concave = 19 + (-curved[1]).max(arb(0)) + (-curved[0] / 3).max(arb(0))
    total = arb(0)
    for i in range(len(ys) - 1):
        near, far = ys[i], ys[i + 1]
        least = 1 / (1 + (kappa - 1) * near)
        width = near - far
        rise = concave * square(width) / 4
        M0, M1 = (_exponential(theta - n, ends[i], ends[i + 1]) for n in (2, 3))
        at_near, at_far = (_highest(theta, 1 - y, least) for y in (near, far))
        total += at_near * (M1 - far * M0) / width + at_far * (near * M0 - M1) / width + rise * M0
    return (2 + total) / 16


def _exponential(p: Ball, lo: Ball, hi: Ball) -> Ball:
    return hi - lo if p.is_zero() else ((p * hi).exp() - (p * lo).exp()) / p


def _highest(theta: Ball, z: Ball, least: Ball) -> Ball:
    """The maximum over x ∈ [least, 1] of Ax² + Bx³ − 19z²x⁵, which rises and then falls on x > 0."""
    arb = flint().arb
    A = theta * (6 + 6 * (theta - 1) * z + (theta - 1) * (theta - 2) * square(z))
    B = (2 + 4 * theta * z + theta * (theta - 1) * square(z)) / 3
    C = 19 * square(z)

    def value(x: Ball) -> Ball:
        return square(x) * (A + B * x - C * x**3)

    def slope(x: Ball) -> Ball:  # over x
        return 2 * A + 3 * B * x - 5 * C * x**3

    if slope(arb(1)) > 0:
        return value(arb(1))
    if slope(least) < 0:
        return value(least)
    x = arb(1)
    for _ in range(60):  # Newton from the right of the zero of a function that is concave there
        better = (x - slope(x) / (3 * B - 15 * C * square(x))).mid()
        if abs(float(better - x)) <= 1e-30:
            break
        x = better
    off = arb(0, 1e-25)
    if not slope(x - 1e-25) > 0 > slope(x + 1e-25):  # too few digits: nothing is known
        return value((least + 1) / 2 + arb(0, 0.5))
    # the mean value form, by a derivative that is small there
    around = (x + off).max(least).min(arb(1))
    return value(x.max(least).min(arb(1))) + around * slope(around) * 2 * off


# ---------------------------------------------------------------------- the exact law


def flow_law(path: Path, spectrum: Spectrum, scheme: str, start: str) -> Ball:
    """W2 of the output and the Gaussian itself (sections 3 and 12). *exact*"""
    arb, lam = flint().arb, path.lam
    steps = [STEPS[scheme](path, k) for k in range(path.K)]
    total = arb(0)
    for variance, count, mean2 in zip(*spectrum, strict=True):
        kept = arb(1)
        for k, (a, b, c) in enumerate(steps):
            here, there = 1 / (variance + lam[k]), 1 / (variance + lam[k + 1])
            kept *= 1 - a * here - b * there * (1 - c * here)
        begin = {"exact": variance + lam[0], "prior": lam[0], "standard": 1 / square(path.alpha[0])}[start]
        total += count * square(abs(kept) * begin.sqrt() - variance.sqrt())
        if start != "exact":
            total += square(kept) * mean2
    return root(total)
