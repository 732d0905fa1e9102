"""Theorem 1 in ball arithmetic (section 4 of docs/theory.md): integrals enclosed, suprema bounded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from wbound.calculus.balls import Ball, flint, root, square
from wbound.certified.path import Path, integral
from wbound.certified.statements import Facts, off
from wbound.errors import HypothesisFailed

__all__ = ["Slack", "theorem_1"]

#: α and λ at a time.
Law = tuple[Ball, Ball]


class Slack(NamedTuple):
    """By how much, relative, the double path lets ν_k² (where its supremum lies inside the step) and ω²
    (where no end's value is it) err upward: the ball reaches as far. ``used`` is not empty if that was
    needed."""

    nu: float
    omega: float
    used: list[bool]


def theorem_1(path: Path, data: Facts, start: str, M: Ball, M1: Ball, slack: Slack) -> Ball:
    """Eq. 5, its step-size condition proved for every k. *upper*

    Data must have A1's facts.
    """
    arb, d = flint().arb, data.d
    m0, L0, M2 = data.m0, data.L0, data.second_moment
    T, K = path.t[0], path.K
    eta = T / K
    _step_sizes(path, m0, L0)
    root_M2 = M2.sqrt()
    if start == "exact":
        u = arb(0)
    elif start == "prior":
        u = path.alpha[0] * root_M2
    else:
        u = path.alpha[0] * (M2 + square(off(path, d))).sqrt()
    plain = M1.is_zero()
    reach = arb(0) if plain else 1 + root(_moment(path, M2, d, slack))
    w = [1 + m0 * x for x in path.lam]
    rough = _roughness(path, L0)
    for k in range(K):
        gamma = 1 + path.F[k] - (w[k] / w[k + 1]).log()
        local = root(eta * rough[k] * _displacement(path, M2, d, k, slack))
        if not (plain and M.is_zero()):
            G = path.G[k]
            gamma = gamma + M1 * eta * G
            local = local + M1 * eta * G * reach + M * G
        u = gamma * u + local
    return u


def _step_sizes(path: Path, m0: Ball, L0: Ball) -> None:
    """∫g²(m+L) ≤ 2(1+F_k), certainly, or `HypothesisFailed`."""

    def clocked(lam: Ball) -> Ball:  # ∫_0^λ min(1/u, L_0) du
        z = L0 * lam
        if z <= 1:
            return z
        return 1 + z.log() if z >= 1 else z.union(1 + z.log())

    low, high = [(1 + m0 * x).log() for x in path.lam], [clocked(x) for x in path.lam]
    for k in range(path.K):
        left = low[k] - low[k + 1] + high[k] - high[k + 1]
        if not left <= 2 * (1 + path.F[k]):
            ratio = float((left / (2 * (1 + path.F[k]))).mid())
            raise HypothesisFailed(
                "Theorem 1",
                "the step-size condition, integral of g^2 (m+L) <= 2(1+F_k),",
                f"the left side is {ratio:.6g} times the right, not certainly below it; take more steps",
                step=k + 1,
            )


def _roughness(path: Path, L0: Ball) -> list[Ball]:
    """∫(f + g²L)² per step, L = min(1/σ², L_0/α²), split around the kink λ = 1/L_0."""
    out = []
    for k in range(path.K):
        lo, hi = path.t[k + 1], path.t[k]
        alpha_of, lam_of = path.within(k + 1)

        def far(t: Ball, analytic: bool, alpha_of=alpha_of, lam_of=lam_of) -> Ball:  # type: ignore[no-untyped-def]
            rate = path.g2(t, analytic) / (alpha_of(t, analytic) ** 2 * lam_of(t, analytic))
            return square(path.f(t, analytic) + rate)

        def near(t: Ball, analytic: bool, alpha_of=alpha_of) -> Ball:  # type: ignore[no-untyped-def]
            return square(path.f(t, analytic) + path.g2(t, analytic) * L0 / alpha_of(t, analytic) ** 2)

        if path.lam[k + 1] * L0 >= 1:
            out.append(integral(far, lo, hi, "f, g"))
        elif path.lam[k] * L0 <= 1:
            out.append(integral(near, lo, hi, "f, g"))
        else:
            first, last = _kink(lam_of, L0, lo, hi)
            cell = first.union(last)
            wide = flint().acb(cell)
            middle = near(wide, False).real.union(far(wide, False).real) * (last - first)
            value = middle
            if first > lo:
                value = value + integral(near, lo, first, "f, g")
            if last < hi:
                value = value + integral(far, last, hi, "f, g")
            out.append(value)
    return out


def _kink(lam_of: Callable[[Ball, bool], Ball], L0: Ball, lo: Ball, hi: Ball) -> tuple[Ball, Ball]:
    """Times around the one where L_0λ = 1, as near as the precision tells them apart."""
    acb = flint().acb
    first, last = lo.mid(), hi.mid()
    for _ in range(flint().ctx.prec):
        middle = ((first + last) / 2).mid()
        z = lam_of(acb(middle), False).real * L0
        if z < 1:
            first = middle
        elif z > 1:
            last = middle
        else:
            break
    return first, last


def _displacement(path: Path, M2: Ball, d: int, k: int, slack: Slack) -> Ball:
    """sup ν_k² over the step: at τ_k where α_k ≤ 2α_{k−1}, enclosed by cells otherwise."""
    alpha, lam = path.alpha[k], path.lam[k]
    at_end = square(path.alpha[k + 1] - alpha) * (M2 + d * path.lam[k + 1]) + d * alpha**2 * path.H[k]
    if path.alpha[k + 1] <= 2 * alpha:
        return at_end
    slack.used.append(True)
    alpha_of, lam_of = path.within(k + 1)
    acb = flint().acb

    def law(t: Ball) -> Law:
        return alpha_of(acb(t), False).real, lam_of(acb(t), False).real

    def cell(one: Law, two: Law) -> Ball:
        (a_lo, l_lo), (_, l_hi) = one, two  # α falls, λ rises
        return square(a_lo - alpha) * (M2 + d * l_hi) + d * alpha**2 * (lam - l_lo)

    ends = [(path.alpha[k + 1], path.lam[k + 1]), (alpha, lam)]
    return _supremum(
        cell, law, [path.t[k + 1], path.t[k]], ends, at_end.max(cell(ends[1], ends[1])), slack.nu
    )


def _moment(path: Path, M2: Ball, d: int, slack: Slack) -> Ball:
    """ω² = sup ‖X_t‖² over [0, T]."""
    at = [path.alpha[k] ** 2 * (M2 + d * path.lam[k]) for k in range(path.K + 1)]
    ends = M2.max(at[0])
    if path.process.family in ("ve", "stationary"):
        return ends
    slack.used.append(True)
    best, worst = ends, ends
    for k in range(path.K):
        best = best.max(at[k])
        alpha_of, lam_of = path.within(k + 1)

        def law(t: Ball, alpha_of=alpha_of, lam_of=lam_of) -> tuple[Ball, Ball]:  # type: ignore[no-untyped-def]
            point = flint().acb(t)
            return alpha_of(point, False).real, lam_of(point, False).real

        def cell(one: Law, two: Law) -> Ball:
            return one[0] ** 2 * (M2 + d * two[1])

        pair = [(path.alpha[k + 1], path.lam[k + 1]), (path.alpha[k], path.lam[k])]
        worst = worst.max(_supremum(cell, law, [path.t[k + 1], path.t[k]], pair, best, slack.omega))
    return worst


def _supremum(
    cell: Callable[[Law, Law], Ball],
    law: Callable[[Ball], Law],
    times: Sequence[Ball],
    ends: Sequence[Law],
    best: Ball,
    slack: float,
) -> Ball:
    """A ball around the supremum over a step of what ``cell`` bounds from above on cells of monotone laws; it
    reaches from the supremum to (1 + slack) of it."""
    cells = [(times[0], times[1], ends[0], ends[1])]
    settled = best
    for _ in range(60):
        left = []
        for lo, hi, at_lo, at_hi in cells:
            middle = ((lo + hi) / 2).mid()
            at = law(middle)
            best = best.max(cell(at, at))
            left += [(lo, middle, at_lo, at), (middle, hi, at, at_hi)]
        goal = best * (1 + slack / 2)
        cells = []
        for piece in left:
            top = cell(piece[2], piece[3])
            if top < goal:
                settled = settled.max(top)
            else:
                cells.append(piece)
        if not cells:
            break
    else:
        for piece in cells:
            settled = settled.max(cell(piece[2], piece[3]))
    upper = settled.max(best * (1 + slack))
    return best.union(upper) if math.isfinite(float(upper.mid())) else upper
