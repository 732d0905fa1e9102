"""Theorem 2 taken apart: Eq. 7 and Eq. 9″ with the numbers in them."""

from __future__ import annotations

import math
from typing import NamedTuple

from wbound.bounds.ddpm import ancestral, by_cause, has_ancestral
from wbound.bounds.shared import output, start_error, start_term
from wbound.sampler.make_setting import Setting
from wbound.statement.statement_object import Bound
from wbound.statement.terms import FAR, SLOW, Explanation, Known, Term, add_stop, facts_of, n_text, start_of

__all__ = ["Shares", "eq_7", "eq_9"]


class Shares(NamedTuple):
    """What e_K² of Eq. 7 is made of, in units of s_K²: the start, the drift errors b_k, the steps' noise n_k²,
    the score's bias M and its noise V."""

    start: float
    bias: float
    noise: float
    score_bias: float
    score_noise: float


def eq_7(s: Setting, bound: Bound, found: Shares) -> Explanation:
    """Eq. 7, whose terms are those of e_K²."""
    scale, extra = output(s)
    size = start_error(s.data, s.start, s.process, *s.nodes.first)
    start_known, start = start_of(s, size, math.sqrt(found.start) * scale, "(P_0α(T) E_0)²")
    squared = scale * scale
    steps = f"sum over {s.nodes.K} steps"
    inner = [
        Term(start.symbol, f"({start.filled})²", found.start * squared, start.meaning),
        Term("Σ P_k² n_k²", steps, found.noise * squared, "discretisation: noise inside the steps"),
    ]
    known = [*facts_of(s), *start_known]
    moved, formula = "b_k", "(P_0α(T) E_0)² + Σ P_k² n_k²"
    if s.score_bias:
        moved = "(b_k + C_k M)"
        known.append(Known("M", s.score_bias, "score error (A3)"))
    moved_twice = f"(2γ_k e_(k-1) + {moved.strip('()')})"
    if found.bias:
        symbol = f"Σ P_k² b_k {moved_twice}"
        inner.append(Term(symbol, steps, found.bias * squared, "discretisation: drift of the steps"))
    if s.score_bias:
        symbol = f"Σ P_k² C_k M {moved_twice}"
        inner.append(Term(symbol, steps, found.score_bias * squared, "score error"))
    if s.score_bias or found.bias:
        formula += f" + Σ P_k² {moved} {moved_twice}"
    if s.score_noise:
        known.append(Known("V", s.score_noise, "score noise"))
        inner.append(Term("Σ P_k² C_k² V²", steps, found.score_noise * squared, "score noise"))
        formula += " + Σ P_k² C_k² V²"
    terms = [Term("e_K", "root of the sum", bound.total - extra, "Eq. 7", tuple(inner))]
    formula = f"W2 ≤ e_K, e_K² = {formula}"
    last = add_stop(s, scale, extra, known, terms)
    if last:
        formula = formula.replace("W2 ≤ e_K", f"W2 ≤ scale e_K{last}", 1)
    remarks = []
    if has_ancestral(s):
        remarks.append(f"Eq. 9'' of ddpm gives {n_text(ancestral(s).total)}; the smaller is the bound.")
    statement = f"{bound.statement} (Eq. 7)"
    return Explanation(statement, formula, tuple(known), tuple(terms), bound.total, tuple(remarks))


def eq_9(s: Setting, bound: Bound, seven: float) -> Explanation:
    """Eq. 9″; ``seven``: what Eq. 7 gives."""
    found, left = by_cause(s), start_term(s)
    size = start_error(s.data, s.start, s.process, *s.nodes.first)
    start_known, start = start_of(s, size, left, "(P_0 E_0)²")
    steps = f"sum over {s.nodes.K} steps"
    root = Term(
        "(I² + III²)^(1/2)",
        "root of the sum",
        math.hypot(left, found.noise),
        "start and noise",
        (
            Term("I²  = (P_0 E_0)²", f"({start.filled})²", left**2, start.meaning),
            Term(
                "III² = Σ P_k² κ_k² ((1+κ_k²)/2)² d Ψ_k",
                steps,
                found.noise**2,
                "discretisation: noise inside the steps",
            ),
        ),
    )
    score = "Σ P_k H_k α_(k-1) M"
    terms = (
        Term(f"II = Σ P_k (1-κ_k²)/2 H_k {SLOW}", steps, found.drift, "discretisation: drift of the steps"),
        Term(
            f"IV = C_θ^(1/2)/4 (Σ P_k² (1-κ_k⁴)² {FAR})^(1/2)",
            f"{steps}, best θ",
            found.curved,
            "discretisation: curvature",
        ),
        Term(f"V  = {score}", steps if s.score_bias else "0", found.score, "score error"),
        root,
    )
    known = [k._replace(symbol=k.symbol.replace("P_0α(T)", "P_0")) for k in (*facts_of(s), *start_known)]
    if s.score_bias:
        known.append(Known("M", s.score_bias, "score error (A3)"))
    remark = f"κ_k² = λ_k/λ_(k-1). Eq. 7 gives {n_text(seven)}; the smaller is the bound."
    formula = "W2 ≤ II + IV + V + (I² + III²)^(1/2)"
    return Explanation("Theorem 2 for ddpm (Eq. 9'')", formula, tuple(known), terms, bound.total, (remark,))
