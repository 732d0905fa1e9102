"""Constants and step integrals of Theorem 7 (section 20 of docs/theory.md): what a second-order step may spend.

With v = 1+L_0u and x = hv/L_0 ∈ [1/(1+(κ−1)/v), 1] for every eigenvalue h of −∇²log q_u:

    ∫u²v^θ‖D²S‖² ≤ C_2,   C_2 = (dL_0²/16)(2 + ∫max_x(Ax² + Bx³ − 19(1−y)²x⁵) v^{θ−3}dv),   y = 1/v,

A = θ(6 + 6(θ−1)z + (θ−1)(θ−2)z²), B = (2 + 4θz + θ(θ−1)z²)/3, z = 1−y. All of them err upward.
(C_1, of the first derivative, is `wbound.bounds.shared.decay_constant`.)
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbound.calculus.quadrature import rule
from wbound.calculus.stable import softplus
from wbound.sampler.steps import Batch
from wbound.typing import Array

__all__ = ["FAR", "Integrals", "edges", "integrals", "second_constant"]

#: ∫u²(1+L_0u)²‖D²S‖² ≤ (dL_0²/16)(CLOSED[0] + CLOSED[1] log V) for every κ: C_2 at θ = 2 in closed form.
CLOSED = (8.2, 11.4)
#: A step is cut into panels of at most this much of log u, with so many nodes; or fewer where all are short.
WIDTH, NODES, SHORT, FEWER = 1.0, 12, 0.1, 6
#: The part of a step below e^{−DEEP} of min(λ_{k−1}, 1/L_0) is bounded, not integrated.
DEEP = 45.0
#: Gauss's error on such a panel is below 1e-13 of the step's integral, and rounding below this.
UPWARD = 1.0 + 1e-11
#: log L_0λ_{k−1} of a step longer than one panel beyond which its integrals leave doubles: they are infinite.
FAR = 230.0
#: Width of the cells of C_2 in log v, near v = 1 and beyond v = e^4.
CELL, WIDE = 0.04, 0.2


@lru_cache(maxsize=4096)
def second_constant(theta: float, kappa: float, log_V: float) -> float:
    """C_2/(dL_0²), no unit: ∫_0^{λ(T)} u²v^θ‖D²S‖²du ≤ C_2, for κ = L_0/m_0. *upper*

    On a cell of y = 1/v the maximum over x is below its chord plus what the most concave of the quadratics in
    z may rise above theirs; against v^{θ−3} the chord is integrated in closed form.
    """
    if log_V < 1e-9:  # a cell of no width in doubles: there Ax² + Bx³ ≤ 6θ + ⅔, and v^{θ−3} ≤ 1.01
        return (2.0 + (6.1 * theta + 1.0) * log_V) / 16.0
    ends = edges(log_V)
    y = np.exp(-ends)
    near, far = y[:-1], y[1:]  # y falls along the ends
    least = 1.0 / (1.0 + (kappa - 1.0) * near)  # x ≥ this on all of the cell
    at_near, at_far = _highest(theta, 1.0 - near, least), _highest(theta, 1.0 - far, least)
    width = near - far
    concave = 19.0 + max(0.0, -theta * (theta - 1.0) * (theta - 2.0)) + max(0.0, -theta * (theta - 1.0) / 3.0)
    rise = 0.25 * concave * width**2
    with np.errstate(
        over="ignore", invalid="ignore", divide="ignore"
    ):  # V^{θ−2} beyond doubles: infinite, another θ is better
        M0, M1 = (_exponential(theta - n, ends) for n in (2.0, 3.0))
        # the chord's weights at the two ends; both are positive
        to_near, to_far = (M1 - far * M0) / width, (near * M0 - M1) / width
        total = float(np.sum(at_near * to_near + at_far * to_far + rise * M0))
    return (2.0 + total) * UPWARD / 16.0 if math.isfinite(total) else math.inf


def edges(log_V: float) -> Array:
    """Ends of C_2's cells in log v, from 0 to log V."""
    inner = np.linspace(0.0, min(log_V, 4.0), max(2, math.ceil(min(log_V, 4.0) / CELL) + 1))
    if log_V <= 4.0:
        return inner
    return np.concatenate((inner, np.linspace(4.0, log_V, math.ceil((log_V - 4.0) / WIDE) + 1)[1:]))


def _exponential(p: float, ends: Array) -> Array:
    """∫e^{ps}ds over each cell."""
    step = np.diff(ends)
    return np.asarray(np.exp(p * ends[:-1]) * np.expm1(p * step) / p) if p else step


def _highest(theta: float, z: Array, least: Array) -> Array:
    """The maximum over x ∈ [least, 1] of Ax² + Bx³ − 19z²x⁵ (rises, then falls, on x > 0)."""
    A = theta * (6.0 + 6.0 * (theta - 1.0) * z + (theta - 1.0) * (theta - 2.0) * z**2)
    B = (2.0 + 4.0 * theta * z + theta * (theta - 1.0) * z**2) / 3.0
    C = 19.0 * z**2
    steep = np.where(C > 0.0, C, 1.0)  # at z = 0 it rises up to 1
    x = np.where(C > 0.0, np.minimum(1.0, np.sqrt(0.6 * B / steep) + np.cbrt(0.4 * A / steep)), 1.0)
    for _ in range(6):
        # Newton on 2A + 3Bx − 5Cx³, concave for x > 0, from the right of its zero; where it is positive x stays
        slope = 3.0 * B - 15.0 * C * x**2
        value = 2.0 * A + 3.0 * B * x - 5.0 * C * x**3
        x = x - np.minimum(value, 0.0) / np.where(slope < 0.0, slope, -1.0)
    x = np.clip(x, least, 1.0)
    return np.asarray(x**2 * (A + B * x - C * x**3))


class Integrals(NamedTuple):
    """Panels over the steps of a batch: log u falls by t from log λ_{k−1}. Arrays (P, n) unless said.

    first: (G_k/λ_{k−1})² e^{−t} times the weight; second: ((u−λ_k)(λ_{k−1}−u))²/(16u²λ_{k−1}²) e^{−t} times the
    weight, 0 for one-stage steps; falls: log v less its value at λ_k. starts: each step's first panel (N,); left:
    what is bounded below the panels, of either, (2, N); scale: log of λ_{k−1}³ (N,); base: log v at λ_k (N,).
    """

    first: Array
    second: Array
    falls: Array
    starts: NDArray[np.intp]
    left: Array
    scale: Array
    base: Array

    def log_first(self, theta: float) -> Array:
        """log of ∫G_k²v^{−θ}du, (N,), in x⁶."""
        return self._log(self.first, self.left[0], theta)

    def log_second(self, theta: float) -> Array:
        """log of (1/16)∫(u−λ_k)²(λ_{k−1}−u)²u^{−2}v^{−θ}du, (N,), in x⁶; −∞ for one-stage steps."""
        return self._log(self.second, self.left[1], theta)

    def _log(self, values: Array, left: Array, theta: float) -> Array:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # 0: −∞; infinite coefficients
            per_panel = np.sum(values * np.exp(-theta * self.falls), axis=1)
            total = np.add.reduceat(per_panel, self.starts) + left
            out = self.scale - theta * self.base + np.log(total * UPWARD)
        return np.where(np.isnan(total), np.inf, out)


def integrals(
    b: Batch, L0: float, flat: Array, steep: Array, two: NDArray[np.bool_], part: slice
) -> Integrals:
    """The `Integrals` of a part of the steps with G_k/λ_{k−1} = flat + steep (u−λ_k)/λ_{k−1}, arrays (N,), no unit."""
    log_hi, gap = b.log_lam_hi[part], b.gap[part]
    flat, steep, two = flat[part], steep[part], two[part]
    log_Lam = math.log(L0) + log_hi
    base = softplus(math.log(L0) + b.log_lam_lo[part])
    end = np.minimum(gap, DEEP + np.maximum(log_Lam, 0.0))
    beyond = (log_Lam > FAR) & (end > WIDTH)
    end = np.where(beyond, WIDTH, end)
    pieces = np.maximum(1, np.ceil(end / WIDTH)).astype(np.intp)
    last = np.cumsum(pieces)
    starts = last - pieces
    step = np.repeat(np.arange(gap.size), pieces)
    r = rule(FEWER if float(end.max()) <= SHORT else NODES)
    width = (end / pieces)[step][:, None]
    t = width * ((np.arange(step.size) - starts[step])[:, None] + r.x)
    shape = (step, None)
    above = -np.expm1(t - gap[shape])  # (u − λ_k)/u
    away = np.exp(-t)  # u/λ_{k−1}
    weight = r.w * width * away
    with np.errstate(over="ignore", invalid="ignore"):  # a huge step: infinite, and the bound says so
        first = (flat[shape] + steep[shape] * above * away) ** 2 * weight
        rest = np.exp(-end)
        cut = end < gap
        below = np.where(cut, (flat + steep * rest) ** 2 * rest, 0.0)
    second = np.where(two[shape], (above * np.expm1(-t)) ** 2 * weight / 16.0, 0.0)
    left = np.stack((below, np.where(cut & two, rest / 16.0, 0.0)))
    left[0, beyond] = np.inf
    left[1, beyond & two] = np.inf
    falls = softplus(log_Lam[shape] - t) - base[shape]
    return Integrals(first, second, falls, starts, left, 3.0 * log_hi, base)
