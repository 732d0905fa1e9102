"""A formula of the theory in sympy, to be shown as LaTeX (which: `wbound.statement.formulas`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

__all__ = ["Formula", "Supremum"]


@dataclass(frozen=True)
class Formula:
    """``claim``, a sympy relation, whose right side is the value. A recursion is one in k: ``first`` is its value at
    k = 0, the left side its value at k (or its square, for ``root``), and what is meant is ``last`` of the one at K,
    called ``lasting``.
    """

    claim: sp.Rel
    recursive: str = ""
    first: sp.Expr | None = None
    last: sp.Expr | None = None
    root: bool = False
    lasting: str = "W_2"

    @property
    def latex(self) -> str:
        """The relation as LaTeX; of a recursion its step, its beginning, and what follows."""
        parts = [self.claim]
        if self.first is not None:
            parts.append(sp.Eq(sp.IndexedBase(self.recursive)[0], self.first, evaluate=False))
        if self.last is not None:
            parts.append(sp.Eq(sp.Symbol(self.lasting), self.last, evaluate=False))
        return r",\qquad ".join(sp.latex(p) for p in parts)


class Supremum(sp.Expr):
    """sup of an expression in t over 0 ≤ t ≤ T: (expression, t, T)."""

    def _latex(self, printer: Any) -> str:
        inner, variable, end = (printer._print(a) for a in self.args)
        return rf"\sup_{{0\leq {variable}\leq {end}}} {inner}"
