"""A bound taken apart: terms that add up to its total, and what the formulas of several share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from wbound.sampler.make_setting import Setting

__all__ = [
    "FAR",
    "SLOW",
    "Explanation",
    "Known",
    "Term",
    "add_stop",
    "facts_of",
    "n_text",
    "product_text",
    "start_of",
]


@dataclass(frozen=True)
class Term:
    """A term of a sum: as it stands in the formula, with its numbers put in, and its value in x (W2).

    ``squares`` are what its square adds up to, in x², where it is a root.
    """

    symbol: str
    filled: str
    value: float
    meaning: str
    squares: tuple[Term, ...] = ()


class Known(NamedTuple):
    """A symbol of the formula with its value."""

    symbol: str
    value: float
    meaning: str


@dataclass(frozen=True)
class Explanation:
    """The formula of a bound, its symbols, and the terms whose sum is ``total`` (W2, not squared)."""

    statement: str
    formula: str
    known: tuple[Known, ...]
    terms: tuple[Term, ...]
    total: float
    remarks: tuple[str, ...] = ()


def n_text(value: float) -> str:
    """A number as texts have it."""
    return f"{value:.6g}"


def product_text(*factors: float) -> str:
    """Numbers multiplied."""
    return " × ".join(n_text(v) for v in factors)


def facts_of(s: Setting) -> Iterator[Known]:
    """The symbols that several formulas share."""
    log_alpha, log_lam = s.nodes.first
    yield Known("K", float(s.nodes.K), "steps")
    yield Known("d", float(s.data.d), "dimension")
    if s.data.A1 is not None:
        yield Known("m_0", s.data.A1[0], "strong convexity (A1)")
        yield Known("L_0", s.data.A1[1], "Lipschitz constant of the score (A1)")
    yield Known("α(T)", math.exp(log_alpha), "scale at the start")
    yield Known("λ(T)", math.exp(log_lam) if log_lam < 709.0 else math.inf, "σ²/α² at the start")


START = {
    "prior": "from N(0, σ²(T) I)",
    "exact": "0: the start is p_T itself",
    "standard": "from N(0, I)",
}


#: What several formulas share: an upper bound of ‖S‖ at the step's start, and the θ-term's integral.
SLOW = "(dL_0/(1+L_0λ_(k-1)))^(1/2)"
FAR = "∫(u-λ_k)²/(1+L_0u)^θ du"
SCALE = "of the output y_K/α_K; the terms hold it"


def start_of(s: Setting, size: float, value: float, symbol: str) -> tuple[tuple[Known, ...], Term]:
    """The start's error as (E_0, the contraction P_0α(T)) and its term."""
    contraction = value / size if size else math.nan
    known = [Known("E_0", size, f"error at the start, over α(T): {START[s.start]}")]
    if size:
        known.append(Known("P_0α(T)", contraction, "contraction of all steps together"))
    filled = product_text(contraction, size) if size else "0"
    return tuple(known), Term(symbol, filled, value, f"start, {START[s.start]}")


def add_stop(s: Setting, scale: float, extra: float, known: list[Known], terms: list[Term]) -> str:
    """Adds what early stopping adds, if it does, and says what to append to the formula."""
    if not extra:
        return ""
    delta = math.exp(s.nodes.last[1])
    known += [Known("δ", delta, "λ where the sampler stops"), Known("scale", scale, SCALE)]
    terms.append(Term("√(dδ)", f"√({product_text(s.data.d, delta)})", extra, "early stopping"))
    return " + √(dδ)"
