"""A process as sympy expressions, and what is read along a row of times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import sympy as sp

from wbound.calculus.parser import symbol
from wbound.forward.step_integrals import Increments
from wbound.typing import Array

__all__ = ["Along", "Expressions", "expressions_of", "sizes_in"]


class Along:
    """A process read at decreasing times (K+1,): log α, log λ there, and the K steps between; what costs
    a logarithm or an exponential is computed when it is asked for."""

    def __init__(
        self,
        log_alpha: Array,
        log_lam: Callable[[slice], Array],
        steps: Increments,
        lam: Callable[[], Array] | None = None,
        kappa: float | None = None,
    ) -> None:
        """log_lam of a part of the times; lam: λ there where it is cheaper than exp(log λ); κ: in λ = κ(α^{−2} − 1)
        of the stationary family."""
        self.log_alpha, self.steps = log_alpha, steps
        self._log_lam, self._lam, self._kappa = log_lam, lam, kappa

    @cached_property
    def log_lam(self) -> Array:
        """log λ (K+1,)."""
        return self._log_lam(slice(None))

    @cached_property
    def highest(self) -> float:
        """log λ at the first time, where it is largest."""
        return float(self._log_lam(slice(1))[0])

    @cached_property
    def lam(self) -> Array:
        """λ (K+1,), in x²; only where it does not overflow."""
        return np.exp(self.log_lam) if self._lam is None else self._lam()

    @cached_property
    def per_alpha2(self) -> Array:
        """1/α² (K+1,); only where it does not overflow."""
        if self._kappa is None:
            return np.exp(-2.0 * self.log_alpha)
        return 1.0 + (self.lam if self._kappa == 1.0 else self.lam / self._kappa)


@dataclass(frozen=True)
class Expressions:
    """The process in sympy, t = `wbound.calculus.parser.symbol("t")`, parameters as positive symbols."""

    f: sp.Expr
    g: sp.Expr
    alpha: sp.Expr
    sigma2: sp.Expr
    lam: sp.Expr
    log_lam: sp.Expr


@lru_cache(maxsize=256)  # a search makes the same process with hundreds of parameters
def sizes_in(f: sp.Expr, g: sp.Expr) -> frozenset[sp.Expr]:
    """Every |·| in f and g²."""
    return frozenset(f.atoms(sp.Abs) | (g**2).atoms(sp.Abs))


def expressions_of(
    f: sp.Expr,
    g: sp.Expr,
    family: str,
    kappa: sp.Expr | None,
    increment: sp.Expr | None,
    closed: sp.Expr | None,
) -> Expressions:
    """f, g, α, σ², λ, log λ (``closed`` where it is known); integrals without a closed form stay unevaluated."""
    t, lo, hi = symbol("t"), symbol("lo"), symbol("hi")
    if increment is not None:
        whole = increment.subs({lo: 0, hi: t})
    else:
        u = sp.Symbol("u", nonnegative=True)
        whole = sp.Integral((g**2 if family == "ve" else f).subs(t, u), (u, 0, t))
    if family == "ve":
        alpha, lam = sp.Integer(1), whole
        sigma2, log_lam = lam, sp.log(lam)
    else:
        alpha = sp.exp(-whole)
        if kappa is not None:
            lam = kappa * (sp.exp(2 * whole) - 1)
            sigma2 = kappa * (1 - sp.exp(-2 * whole))
            log_lam = sp.log(kappa) + 2 * whole + sp.log(1 - sp.exp(-2 * whole))
        else:
            v = sp.Symbol("v", nonnegative=True)
            lam = sp.Integral((g**2 / alpha**2).subs(t, v), (v, 0, t))
            if closed is not None:
                lam = sp.exp(closed)
            sigma2, log_lam = alpha**2 * lam, sp.log(lam)
    if closed is not None:
        log_lam = closed
    return Expressions(f, g, alpha, sigma2, lam, log_lam)
