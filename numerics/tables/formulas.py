"""Formulas of sympy as text, LaTeX and MathML."""

from __future__ import annotations

from html import escape
from typing import Any

import sympy as sp

__all__ = ["formula_latex", "formula_mathml", "formula_text"]


def formula_text(value: Any) -> str:
    """An order for the terminal: powers with ^, ε for epsilon."""
    return str(value).replace("**", "^").replace("epsilon", "ε")


def formula_latex(value: Any) -> str:
    """An order in LaTeX, without the dollars."""
    if not isinstance(value, sp.Expr):
        return rf"\text{{{value}}}"
    out = sp.latex(value, fold_frac_powers=True, fold_short_frac=True, root_notation=False)
    return str(out).replace(r"\epsilon", r"\varepsilon")


def formula_mathml(value: sp.Expr) -> str:
    """An order as MathML, which browsers set without a script: one fraction, the others with a slash."""
    top, bottom = sp.fraction(sp.powsimp(value))
    if bottom == 1:
        return f"<math>{_row(value)}</math>"
    return f'<math><mfrac displaystyle="true">{_row(top)}{_row(bottom)}</mfrac></math>'


def _row(expr: sp.Expr) -> str:
    return f"<mrow>{_mathml(expr)}</mrow>"


def _mathml(expr: sp.Expr) -> str:
    """Products, sums, powers and logarithms: all that an order is made of."""
    top, bottom = sp.fraction(expr)
    if bottom != 1:
        parts = [
            f"{_OPEN}{_mathml(p)}{_CLOSE}" if p.is_Add or p.is_Mul else _mathml(p) for p in (top, bottom)
        ]
        return "<mo>/</mo>".join(parts)
    if expr.is_Mul:
        factors = sorted(expr.as_ordered_factors(), key=lambda e: e.has(sp.log))
        out = []
        for factor in factors:
            inner = _mathml(factor)
            out.append(f"{_OPEN}{inner}{_CLOSE}" if factor.is_Add else inner)
        return '<mspace width="0.15em"/>'.join(out)
    if expr.is_Add:
        terms = [_mathml(t) if i == 0 else _signed(t) for i, t in enumerate(_constants_first(expr))]
        return "".join(terms)
    if isinstance(expr, sp.log):
        return f"<mi>log</mi>{_OPEN}{_mathml(expr.args[0])}{_CLOSE}"
    if expr.is_Pow:
        base = f"{_OPEN}{_mathml(expr.base)}{_CLOSE}" if expr.base.is_Add else _mathml(expr.base)
        return f"<msup><mrow>{base}</mrow><mrow>{_mathml(expr.exp)}</mrow></msup>"
    if expr.is_Symbol:
        return f"<mi>{_LETTERS.get(expr.name, expr.name)}</mi>"
    if expr.is_Integer:
        return f"<mn>{expr}</mn>" if expr >= 0 else f"<mo>\u2212</mo><mn>{-expr}</mn>"
    return f"<mtext>{escape(str(expr))}</mtext>"


def _constants_first(expr: sp.Expr) -> list[sp.Expr]:
    return sorted(expr.as_ordered_terms(), key=lambda term: bool(term.free_symbols))


def _signed(term: sp.Expr) -> str:
    if term.could_extract_minus_sign():
        return f"<mo>\u2212</mo>{_mathml(-term)}"
    return f"<mo>+</mo>{_mathml(term)}"


_OPEN, _CLOSE = '<mo stretchy="false">(</mo>', '<mo stretchy="false">)</mo>'


_LETTERS = {"epsilon": "ε", "rho": "ρ", "eta": "η"}
