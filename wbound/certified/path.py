"""A process read at a grid in ball arithmetic: α, λ at the nodes and the integrals of each step (section 0).

Closed forms are the sympy expressions of the catalogue's rows themselves. Everything else is integrated
rigorously, step by step, from the data's end upward. Precision takes the place of the double path's care
for cancellation: balls know what they lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import sympy as sp

from wbound.calculus.balls import Ball, Program, flint
from wbound.calculus.parser import symbol
from wbound.errors import BadInput
from wbound.forward.forward_process import Process

__all__ = ["Path"]

#: An analytic function of a complex ball: (ball, analytic flag) ↦ ball.
Analytic = Callable[[Any, bool], Any]


def integral(of: Analytic, lo: Ball, hi: Ball, what: str) -> Ball:
    """∫_lo^hi of a function that is real on the line, as a real ball. Raises `BadInput`."""
    value = flint().acb.integral(of, lo, hi).real
    if not value.is_finite():
        raise BadInput("certify", what, f"could not be integrated rigorously near t = {float(lo):.6g}")
    return value


def running(of: Analytic, lo: Ball, what: str) -> Analytic:
    """s ↦ ∫_lo^s of, an analytic function where ``of`` is: the integral to the ball's real midpoint, and the
    mean value form from there (balls are convex)."""
    acb = flint().acb

    def up_to(s: Any, analytic: bool) -> Any:
        middle = s.mid()
        if middle.imag != 0:
            # along the real line first, then straight to the midpoint
            corner = acb(middle.real)
            bend = acb.integral(of, corner, middle)
            before = integral(of, lo, middle.real, what) + bend
        else:
            before = acb(integral(of, lo, middle.real, what))
        return before + of(s, analytic) * (s - middle)

    return up_to


class Path:
    """The process at decreasing times t (K+1,), exact balls, in the working precision.

    ``alpha``, ``lam`` at the nodes (K+1,); per step F = ∫f and H = λ_{k−1} − λ_k (K,), and on demand G = ∫g²
    and E = ∫(α_k/α)g² (K,). values: balls of the parameters.
    """

    def __init__(self, process: Process, values: dict[str, Ball], t: Sequence[Ball]) -> None:
        self.process, self.values, self.t = process, values, list(t)
        self.K = len(self.t) - 1
        increment = process._increment
        self.closed = increment is not None
        time = symbol("t")
        self._f = self._program(process._f, time)
        self._g2 = self._program(process._g**2, time)
        self.kappa = None if process._kappa is None else self._program(process._kappa).constant()
        if increment is not None:
            whole = increment.subs({symbol("lo"): 0, symbol("hi"): time})
            self._whole = self._program(whole, time)
            if process.family == "general":
                self._lam_of = self._program(sp.exp(process._log_lam), time)
            self._read_nodes()
        else:
            self._integrate_steps()

    def _program(self, expr: sp.Expr, *symbols: sp.Symbol) -> Program:
        return Program(expr, symbols, self.values)

    def f(self, t: Any, analytic: bool = False) -> Any:
        """f at a ball (real or complex)."""
        return self._f(t, analytic=analytic)

    def g2(self, t: Any, analytic: bool = False) -> Any:
        """g² at a ball (real or complex)."""
        return self._g2(t, analytic=analytic)

    def short_of_one(self) -> Ball:
        """(1 − σ²)/α² at the first node (`Process.short_of_one`)."""
        alpha = self.alpha[0]
        if self.kappa is not None:
            return self.kappa + (1 - self.kappa) / alpha**2
        return self._program(self.process._short, symbol("alpha"))(alpha)

    # ------------------------------------------------------------------ nodes
    def _law_closed(self, t: Any, analytic: bool = False) -> tuple[Any, Any]:
        """A = ∫_0^t f (0 for ve) and λ by the closed forms."""
        whole = self._whole(t, analytic=analytic)
        family = self.process.family
        if family == "ve":
            return 0 * whole, whole
        if family == "stationary":
            return whole, self.kappa * (2 * whole).expm1()
        return whole, self._lam_of(t, analytic=analytic)

    def _lam_closed(self, t: Any, analytic: bool) -> Any:
        return self._law_closed(t, analytic)[1]

    def _read_nodes(self) -> None:
        zero = flint().arb(0)
        A, self.lam = [], []
        for t in self.t:
            # t = 0 is where a closed form of log λ has its −∞
            integral_, lam = (zero, zero) if t.is_zero() else self._law_closed(t)
            A.append(integral_)
            self.lam.append(lam)
        self._frame(A)
        self.H = [hi - lo for hi, lo in pairwise(self.lam)]

    def _frame(self, A: list[Ball]) -> None:
        self.F = [hi - lo for hi, lo in pairwise(A)]
        if self.process.family == "ve":
            self.alpha = [flint().arb(1)] * (self.K + 1)
        else:
            self.alpha = [(-a).exp() for a in A]

    def _integrate_steps(self) -> None:
        """Step by step from 0 upward."""
        arb, family = flint().arb, self.process.family
        upward = list(reversed(self.t))
        first = not upward[0].is_zero()
        if first:  # what lies before an early stop
            upward = [arb(0), *upward]
        A, lam = [arb(0)], [arb(0)]
        for lo, hi in pairwise(upward):
            if family == "ve":
                A.append(arb(0))
                lam.append(lam[-1] + integral(self._g2_of, lo, hi, "g"))
            else:
                A.append(A[-1] + integral(self._f_of, lo, hi, "f"))
                if self.kappa is not None:
                    lam.append(self.kappa * (2 * A[-1]).expm1())
                else:  # λ' = g²/α²
                    lam.append(lam[-1] + integral(self._weighted(lo, 2), lo, hi, "f, g") * (2 * A[-2]).exp())
        self.lam = lam[first:][::-1]
        self._frame(A[first:][::-1])
        self.H = [hi - lo for hi, lo in pairwise(self.lam)]

    # ------------------------------------------------------------------ integrands
    @property
    def _f_of(self) -> Analytic:
        # a constant comes as a real ball, which the library's integral refuses
        return lambda t, analytic: flint().acb(self._f(t, analytic=analytic))

    @property
    def _g2_of(self) -> Analytic:
        return lambda t, analytic: flint().acb(self._g2(t, analytic=analytic))

    def _since(self, lo: Ball) -> Analytic:
        """s ↦ ∫_lo^s f."""
        if not self.closed:
            return running(self._f_of, lo, "f")
        start = flint().arb(0) if lo.is_zero() else self._law_closed(lo)[0]
        return lambda t, analytic: self._whole(t, analytic=analytic) - start

    def _weighted(self, lo: Ball, power: int) -> Analytic:
        """s ↦ g² e^{power ∫_lo^s f}."""
        A = self._since(lo)
        return lambda t, analytic: self._g2(t, analytic=analytic) * (power * A(t, analytic)).exp()

    def within(self, k: int) -> tuple[Analytic, Analytic]:
        """t ↦ α and t ↦ λ on the step that begins at node k (its lower end), complex balls allowed."""
        family, lo, lam, alpha = self.process.family, self.t[k], self.lam[k], self.alpha[k]
        if self.closed:
            if family == "ve":
                return lambda t, analytic: t * 0 + 1, self._lam_closed
            return lambda t, analytic: (-self._whole(t, analytic=analytic)).exp(), self._lam_closed
        if family == "ve":
            more = running(self._g2_of, lo, "g")
            return lambda t, analytic: t * 0 + 1, lambda t, analytic: lam + more(t, analytic)
        since = self._since(lo)

        def alpha_of(t: Any, analytic: bool) -> Any:
            return alpha * (-since(t, analytic)).exp()

        if self.kappa is not None:
            return alpha_of, lambda t, analytic: self.kappa * (1 / alpha_of(t, analytic) ** 2 - 1)
        gained = running(self._weighted(lo, 2), lo, "f, g")
        return alpha_of, lambda t, analytic: lam + gained(t, analytic) / alpha**2

    # ------------------------------------------------------------------ integrals of the steps
    @cached_property
    def G(self) -> list[Ball]:
        """∫g² per step."""
        if self.process.family == "ve":
            return self.H
        if self.kappa is not None:
            return [2 * self.kappa * F for F in self.F]
        return [integral(self._g2_of, self.t[k + 1], self.t[k], "g") for k in range(self.K)]

    @cached_property
    def E(self) -> list[Ball]:
        """∫(α_k/α)g² per step."""
        if self.process.family == "ve":
            return self.H
        if self.kappa is not None:
            return [2 * self.kappa * F.expm1() for F in self.F]
        steps = range(self.K)
        return [integral(self._weighted(self.t[k + 1], 1), self.t[k + 1], self.t[k], "f, g") for k in steps]
