"""The optimal clock of section 7 in closed form: dλ/ds = ((1+m_0λ)(1+L_0λ))^{2/3}, by elliptic functions.

With x = √(m_0L_0) λ, c = (m_0+L_0)/(2√(m_0L_0)) and y = (1+2cx+x²)^{1/3}, the flow obeys (dy/ds)² =
(4/9)(y³ + c²−1), so y is Weierstrass's ℘ with g_2 = 0, g_3 = −(4/729)(c²−1): 9℘ counted back from the pole,
where λ becomes infinite, and a rational function of ℘ and ℘' (Biermann and Weierstrass) counted forward
from any point, which loses no digits however short the way. For m_0 = L_0, ℘ = 1/z² and all is rational.

Source: Whittaker & Watson, *A Course of Modern Analysis*, 20.6; DLMF 23.6 for ℘ by Jacobi's functions.
"""

from __future__ import annotations

import math
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike

from wbound.typing import Array

__all__ = ["OptimalClock", "OptimalStep", "clock", "clock_step", "life", "log_clock_left", "times"]


#: ℘ with g_2 = 0, g_3 = −1: its real root is −ROOT, and Jacobi's parameter is (2+√3)/4.
ROOT = 4.0 ** (-1.0 / 3.0)
PARAMETER = 0.5 + 0.25 * math.sqrt(3.0)
STRETCH = math.sqrt(math.sqrt(3.0) * ROOT)


class _Flow:
    """The constants of one pair m_0 ≤ L_0: the unit of λ, c, and the size k of ℘, g_3 = −k⁶."""

    def __init__(self, m0: float, L0: float) -> None:
        self.unit = 1.0 / math.sqrt(m0 * L0)
        self.c = 0.5 * (m0 + L0) * self.unit
        # c² − 1 = ((L_0−m_0)/2)² unit²
        self.rest = (0.5 * (L0 - m0) * self.unit) ** 2
        self.k = (4.0 / 729.0 * self.rest) ** (1.0 / 6.0)

    def weierstrass(self, z: Array) -> tuple[Array, Array]:
        """℘(z) and −℘'(z) for z > 0 up to the pole's distance."""
        if self.k == 0.0:
            return z**-2.0, 2.0 * z**-3.0
        from scipy.special import ellipj

        sn, cn, dn, _ = ellipj(self.k * STRETCH * z, PARAMETER)
        p = self.k**2 * ROOT * (math.sqrt(3.0) * (cn / (sn * dn)) ** 2 - 1.0)
        return p, np.sqrt(4.0 * p**3 + self.k**6)

    def before_pole(self, r: Array) -> Array:
        """∫ from x to ∞, given ℘ = y/9 there, is r: this is y."""
        return 9.0 * self.weierstrass(r)[0]

    @cached_property
    def life(self) -> float:
        """`to_pole` from λ = 0."""
        return float(self.to_pole(np.array(1.0)))

    def to_pole(self, y: Array) -> Array:
        """r of `before_pole`, by Carlson's R_F."""
        from scipy.special import elliprf

        p = y / 9.0
        turn = np.exp(2j * np.pi / 3.0)
        root = self.k**2 * ROOT
        first, second = p + root, p + root * turn
        return np.asarray(elliprf(first + 0j, second, np.conj(second)).real)

    def step(self, x: Array, z: Array) -> Array:
        """How far x moves in the time z > 0, to full relative precision (x and z in this flow's units)."""
        y = (1.0 + x * (2.0 * self.c + x)) ** (1.0 / 3.0)
        p, slope = self.weierstrass(z)
        gap = p - y / 9.0
        speed = x + self.c
        # at the pole and beyond it λ is infinite: callers keep z below it, rounding may not
        with np.errstate(divide="ignore"):
            dy = (2.0 / 3.0 * (speed * slope + y * y * gap) + 4.0 / 81.0 * speed**2) / (2.0 * gap * gap)
        rise = dy * (dy * dy + 3.0 * y * (dy + y))
        return rise / (speed + np.sqrt(speed**2 + rise))


_flow = lru_cache(maxsize=64)(_Flow)
#: The nodes and weights of Gauss and Legendre, which cost more than a use of them.
_legendre = cache(np.polynomial.legendre.leggauss)


def life(m0: float, L0: float) -> float:
    """∫_0^∞ ((1+m_0λ)(1+L_0λ))^{−2/3} dλ, in x²: the time after which the clock is infinite."""
    flow = _flow(m0, L0)
    return flow.life * flow.unit


def times(log_lam: float, m0: float, L0: float) -> tuple[float, float]:
    """The times from λ = 0 to λ and from λ to ∞ (x²), any log λ, each to full relative precision."""
    flow = _flow(m0, L0)
    log_x = log_lam - math.log(flow.unit)
    if log_x > 300.0:  # y³ = x² to double precision
        left = 3.0 * math.exp(-log_x / 3.0)
    else:
        x = math.exp(log_x)
        left = float(flow.to_pole(np.array((1.0 + x * (2.0 * flow.c + x)) ** (1.0 / 3.0))))
    whole = flow.life
    gone = whole - left
    if gone < 0.5 * whole:
        gone = _short(math.exp(log_x), flow)
    return gone * flow.unit, left * flow.unit


def _short(x: float, flow: _Flow) -> float:
    """∫_0^x (1+2cx+x²)^{−2/3} dx without subtraction: panels in log(1+2cx)."""
    nodes, weights = _legendre(24)
    end = math.log1p(2.0 * flow.c * x)
    edges = np.linspace(0.0, end, math.ceil(end) + 2)
    u = edges[:-1, None] + np.diff(edges)[:, None] * 0.5 * (nodes + 1.0)
    at = np.expm1(u) / (2.0 * flow.c)
    values = np.exp(u) / (2.0 * flow.c) * (1.0 + at * (2.0 * flow.c + at)) ** (-2.0 / 3.0)
    return float((np.diff(edges) * 0.5 * (values @ weights)).sum())


def clock(s: ArrayLike, m0: ArrayLike, L0: ArrayLike) -> Array:
    """λ at time s ≥ 0 since λ = 0 (s and λ in x²); inf from the end of life on."""
    at = np.asarray(s, float)
    return clock_step(np.zeros_like(at), at, m0, L0)


def clock_step(lo: ArrayLike, hi: ArrayLike, m0: ArrayLike, L0: ArrayLike) -> Array:
    """λ(hi) − λ(lo) of the optimal clock, to full relative precision in hi − lo."""
    flow = _flow(float(np.asarray(m0)), float(np.asarray(L0)))
    low, high = np.broadcast_arrays(np.asarray(lo, float) / flow.unit, np.asarray(hi, float) / flow.unit)
    out = np.zeros(low.shape)
    end = flow.life
    out[high >= end] = np.inf
    moving = (high > low) & (high < end)
    if moving.any():
        a, b = low[moving], high[moving]
        x = np.zeros_like(a)
        later = a > 0.0
        x[later] = flow.step(np.zeros(int(later.sum())), a[later])
        out[moving] = flow.step(x, b - a) * flow.unit
    return out


def log_clock_left(left: Array, m0: float, L0: float) -> Array:
    """log λ at which the time ``left`` > 0 (x²) remains before λ is infinite; never overflows."""
    flow = _flow(m0, L0)
    z = np.asarray(left, float) / flow.unit
    log_unit = math.log(flow.unit)
    far = z < 1e-60  # x = 27/z³ to double precision
    out = log_unit + math.log(27.0) - 3.0 * np.log(z)
    if not far.all():
        y3 = flow.before_pole(z[~far]) ** 3
        with np.errstate(divide="ignore", invalid="ignore"):  # all the time left: λ = 0, up to rounding
            x = (y3 - 1.0) / (flow.c + np.sqrt(flow.rest + y3))
            out[~far] = log_unit + np.log(np.maximum(x, 0.0))
    return out


class OptimalClock(sp.Function):
    """λ(s) of the optimal clock as a sympy function of (s, m0, L0), with its derivative in s."""

    nargs = 3
    is_nonnegative = True
    _imp_ = staticmethod(clock)

    @classmethod
    def eval(cls, s: sp.Expr, m0: sp.Expr, L0: sp.Expr) -> sp.Expr | None:
        """0 at s = 0; rational where m0 and L0 are the same."""
        if s.is_zero:
            return sp.S.Zero
        return ((1 - m0 * s / 3) ** -3 - 1) / m0 if m0 == L0 else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """dλ/ds = ((1+m0 λ)(1+L0 λ))^{2/3}."""
        if argindex != 1:
            raise sp.ArgumentIndexError(self, argindex)
        _, m0, L0 = self.args
        return ((1 + m0 * self) * (1 + L0 * self)) ** sp.Rational(2, 3)

    def _numpycode(self, printer: Any) -> str:
        return f"OptimalClock({', '.join(printer._print(a) for a in self.args)})"


class OptimalStep(sp.Function):
    """λ(hi) − λ(lo) as a sympy function of (lo, hi, m0, L0): `clock_step`."""

    nargs = 4
    is_nonnegative = True
    _imp_ = staticmethod(clock_step)

    @classmethod
    def eval(cls, lo: sp.Expr, hi: sp.Expr, m0: sp.Expr, L0: sp.Expr) -> sp.Expr | None:
        """`OptimalClock` itself where lo = 0."""
        return OptimalClock(hi, m0, L0) if lo.is_zero else None

    def _numpycode(self, printer: Any) -> str:
        return f"OptimalStep({', '.join(printer._print(a) for a in self.args)})"
