"""The optimal clock of section 7 as forward processes, VE and VP: a uniform grid in their t is the grid
`optimal`, Theorem 2's best for `hf` as K → ∞."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from wbound.calculus.parser import symbol
from wbound.errors import BadInput
from wbound.forward.optimal_clock import OptimalClock, OptimalStep, life
from wbound.forward.row import Row

__all__ = ["OPTIMAL"]

_PARAMETERS = (("m0", 1.0), ("L0", 1.0), ("kappa", 1.0))


def _clock(values: Mapping[str, float]) -> tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr, float]:
    """λ(t), its rate, its step from lo to hi, λ(lo), and the time at which λ is infinite."""
    m0, L0 = values["m0"], values["L0"]
    if m0 > L0:
        raise BadInput("m0", m0, f"must be at most L0 = {L0:g}")
    t, lo, hi = symbol("t"), symbol("lo"), symbol("hi")
    m, kappa = symbol("m0"), symbol("kappa")
    L = m if m0 == L0 else symbol("L0")
    lam, before = OptimalClock(kappa * t, m, L), OptimalClock(kappa * lo, m, L)
    rate = kappa * ((1 + m * lam) * (1 + L * lam)) ** sp.Rational(2, 3)
    step = OptimalStep(kappa * lo, kappa * hi, m, L)
    if m0 == L0:
        # 1+m_0λ = (1−x t)^{−3}, x = κm_0/3; the differences are written so that nothing cancels
        x = kappa * m / 3
        rate = kappa * (1 - x * t) ** -4
        lam = -((1 - x * t) ** -3) * expm1(3 * log1p(-x * t)) / m
        step = -((1 - x * hi) ** -3) * expm1(3 * log1p(-x * (hi - lo) / (1 - x * lo))) / m
    return lam, rate, step, before, life(m0, L0) / values["kappa"]


def _ve(values: Mapping[str, float]) -> dict[str, Any]:
    lam, rate, step, _, end = _clock(values)
    return {
        "f": sp.S.Zero,
        "g": sp.sqrt(rate),
        "family": "ve",
        "increment": step,
        "log_lam": sp.log(lam),
        "t_max": end,
    }


def _vp(values: Mapping[str, float]) -> dict[str, Any]:
    lam, rate, step, before, end = _clock(values)
    beta = rate / (1 + lam)  # 1+λ = e^B
    return {
        "f": beta / 2,
        "g": sp.sqrt(beta),
        "family": "stationary",
        "increment": log1p(step / (1 + before)) / 2,
        "log_lam": sp.log(lam),
        "t_max": end,
    }


_RATE = "kappa*((1+m0*lam)*(1+L0*lam))**(2/3)"
_LAM = "dlam/dt = " + _RATE

#: Section 7's process in its two forms. The texts use lam for λ(t).
OPTIMAL: tuple[Row, ...] = (
    Row(
        "optimal-ve",
        _PARAMETERS,
        "0",
        f"sqrt({_RATE})",
        "ve",
        _LAM,
        source="derived here (section 7)",
        published=False,
        closed=_ve,
    ),
    Row(
        "optimal-vp",
        _PARAMETERS,
        f"{_RATE}/(2*(1+lam))",
        f"sqrt({_RATE}/(1+lam))",
        "stationary",
        _LAM,
        source="derived here (section 7)",
        published=False,
        closed=_vp,
    ),
)
