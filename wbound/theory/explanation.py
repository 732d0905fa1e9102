"""A bound taken apart: the formula of its statement, the numbers in it, and terms that add up to its total.

The sums over steps are summarised, each by its value. Eq. 7 is no sum: its square is one, since
e_k² = γ_k²e_{k−1}² + (b_k + C_kM)(2γ_ke_{k−1} + b_k + C_kM) + n_k², and the terms are those of e_K².
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from wbound.bounds import ddpm, shared, theorem_1, theorem_2, theorem_3, theorem_7
from wbound.sampler.make_setting import Setting
from wbound.statement.statement_object import Bound
from wbound.theory.statements import upper_bound

__all__ = ["Explanation", "Known", "Shares", "Term", "explain", "shares"]


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


class Shares(NamedTuple):
    """What e_K² of Eq. 7 is made of, in units of s_K²: the start, the drift errors b_k, the steps' noise n_k²,
    the score's bias M and its noise V."""

    start: float
    bias: float
    noise: float
    score_bias: float
    score_noise: float


def shares(s: Setting) -> Shares:
    """e_K² of Eq. 7 split over its causes; their sum is the square of the recursion's result. Kind: *exact*."""
    M, V = s.score_bias, s.score_noise
    u = shared.start_term(s)
    start, bias, noise, from_M, from_V = u * u, 0.0, 0.0, 0.0, 0.0
    for _, block in s.nodes.blocks():
        terms = theorem_2.local(block, s.data, s.scheme, bool(M or V))
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite step makes an infinite bound
            gamma = np.exp(terms.log_gamma)
        rows = (np.broadcast_to(v, block.size).tolist() for v in (gamma, terms.b, terms.n2, terms.C))
        for g, b, n2, C in zip(*rows, strict=True):
            kept, moved = g * u, b + C * M
            both = 2.0 * kept + moved
            fade, v2 = g * g, (V * C) * (V * C)
            start *= fade
            bias = fade * bias + b * both
            noise = fade * noise + n2
            from_M = fade * from_M + C * M * both
            from_V = fade * from_V + v2
            u = math.sqrt((kept + moved) * (kept + moved) + n2 + v2)
    return Shares(start, bias, noise, from_M, from_V)


def explain(s: Setting, theorem: str = "sharp") -> Explanation:
    """The bound of a theorem in a setting, term by term; ``total`` is that of `wbound.w2_bound`.

    theorem: "published" (Theorem 1, Eq. 5) or "sharp": Theorem 2 or 2′ (Eq. 7), the Eq. 9″ of ddpm where it
    is smaller, Theorem 3 (Eq. 15) or Theorem 7 (Eq. 21). Raises `BadInput` and `HypothesisFailed` as the statement does.
    """
    statement = upper_bound(theorem, s.scheme)
    bound: Bound = statement(s)
    if not math.isfinite(bound.total):
        parts = {
            "initialisation": bound.initialisation,
            "discretisation": bound.discretisation,
            "score": bound.score,
        }
        return Explanation(
            bound.statement,
            "W2 ≤ initialisation + discretisation + score",
            (),
            tuple(Term(name, "", value, name) for name, value in parts.items()),
            bound.total,
            ("The bound is infinite: a step is too long for these data, or T too large for doubles.",),
        )
    if statement is theorem_1.THEOREM_1:
        return _theorem_1(s, bound)
    if statement is theorem_3.THEOREM_3:
        return _theorem_3(s, bound)
    if statement is theorem_7.THEOREM_7:
        return _theorem_7(s, bound)
    return _eq_9(s, bound) if bound.statement == "Eq. 9'" else _eq_7(s, bound)


def _n(value: float) -> str:
    return f"{value:.6g}"


def _product(*factors: float) -> str:
    return " × ".join(_n(v) for v in factors)


def _facts(s: Setting) -> Iterator[Known]:
    """The symbols that several formulas share."""
    log_alpha, log_lam = s.nodes.first
    yield Known("K", float(s.nodes.K), "steps")
    yield Known("d", float(s.data.d), "dimension")
    if s.data.A1 is not None:
        yield Known("m_0", s.data.A1[0], "strong convexity (A1)")
        yield Known("L_0", s.data.A1[1], "Lipschitz constant of the score (A1)")
    yield Known("α(T)", math.exp(log_alpha), "scale at the start")
    yield Known("λ(T)", math.exp(log_lam) if log_lam < 709.0 else math.inf, "σ²/α² at the start")


_START = {
    "prior": "from N(0, σ²(T) I)",
    "exact": "0: the start is p_T itself",
    "standard": "from N(0, I)",
}


#: What Eq. 9′ and 15 share: an upper bound of ‖S‖ at the step's start, and the θ-term's integral.
_SLOW = "(dL_0/(1+L_0λ_(k-1)))^(1/2)"
_FAR = "∫(u-λ_k)²/(1+L_0u)^θ du"
_SCALE = "of the output y_K/α_K; the terms hold it"


def _start(s: Setting, size: float, value: float, symbol: str) -> tuple[tuple[Known, ...], Term]:
    """The start's error as (E_0, the contraction P_0α(T)) and its term."""
    contraction = value / size if size else math.nan
    known = [Known("E_0", size, f"error at the start, over α(T): {_START[s.start]}")]
    if size:
        known.append(Known("P_0α(T)", contraction, "contraction of all steps together"))
    filled = _product(contraction, size) if size else "0"
    return tuple(known), Term(symbol, filled, value, f"start, {_START[s.start]}")


def _theorem_1(s: Setting, bound: Bound) -> Explanation:
    b, data = s.nodes.batch, s.data
    assert s.M1 is not None
    terms = theorem_1.local(b, s.process, data, s.M1)
    tail = np.cumsum(terms.log_gamma[::-1])[::-1]
    P = np.exp(np.append(tail[1:], 0.0))
    omega = theorem_1.moment_supremum(s.process, data, s.nodes.T) if s.M1 else 0.0
    D, eta_G, G = (float(P @ v) for v in (terms.D, terms.eta_G, terms.G))
    size = 0.0 if s.start == "exact" else bound.trivial
    if s.start == "standard":  # Theorem 1 has its own error of this start
        prior, own = (
            theorem_1.start_at(data, name, s.process, *s.nodes.first) for name in ("prior", s.start)
        )
        size *= own / prior
    start_known, start = _start(s, size, bound.initialisation, "P_0α(T) E_0")
    known = [
        *_facts(s),
        Known("η", s.nodes.T / s.nodes.K, "length of a step"),
        *start_known,
        Known("M_1", s.M1, "regularity of the score in time (A2)"),
    ]
    if s.M1:
        known.append(Known("ω", omega, "largest ‖X_t‖"))
        known.append(Known("Σ P_k η G_k", eta_G, "weights of M_1"))
    if s.score_bias:
        known.append(Known("M", s.score_bias, "score error (A3)"))
        known.append(Known("Σ P_k G_k", G, "weights of M"))
    out = [
        start,
        Term("Σ P_k D_k", f"sum over {s.nodes.K} steps", D, "discretisation: how far X_t moves in a step"),
        Term(
            "M_1 (1 + ω) Σ P_k η G_k",
            _product(s.M1, 1.0 + omega, eta_G),
            s.M1 * (1.0 + omega) * eta_G,
            "discretisation: how far the score moves in time",
        ),
        Term("M Σ P_k G_k", _product(s.score_bias, G), s.score_bias * G, "score error"),
    ]
    formula = "W2 ≤ P_0α(T) E_0 + Σ P_k D_k + M_1 (1 + ω) Σ P_k η G_k + M Σ P_k G_k"
    return Explanation("Theorem 1 (Eq. 5)", formula, tuple(known), tuple(out), bound.total)


def _eq_7(s: Setting, bound: Bound) -> Explanation:
    scale, extra = shared.output(s)
    found = shares(s)
    size = shared.start_error(s.data, s.start, s.process, *s.nodes.first)
    start_known, start = _start(s, size, math.sqrt(found.start) * scale, "(P_0α(T) E_0)²")
    squared = scale * scale
    steps = f"sum over {s.nodes.K} steps"
    inner = [
        Term(start.symbol, f"({start.filled})²", found.start * squared, start.meaning),
        Term("Σ P_k² n_k²", steps, found.noise * squared, "discretisation: noise inside the steps"),
    ]
    known = [*_facts(s), *start_known]
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
    if extra:
        delta = math.exp(s.nodes.last[1])
        known += [Known("δ", delta, "λ where the sampler stops"), Known("scale", scale, _SCALE)]
        terms.append(Term("√(dδ)", f"√({_product(s.data.d, delta)})", extra, "early stopping"))
        formula = formula.replace("W2 ≤ e_K", "W2 ≤ scale e_K + √(dδ)", 1)
    remarks = []
    if ddpm.has_ancestral(s):
        remarks.append(f"Eq. 9'' of ddpm gives {_n(ddpm.ancestral(s).total)}; the smaller is the bound.")
    statement = f"{bound.statement} (Eq. 7)"
    return Explanation(statement, formula, tuple(known), tuple(terms), bound.total, tuple(remarks))


def _eq_9(s: Setting, bound: Bound) -> Explanation:
    found = ddpm.ancestral_sums(s)
    drift = float(ddpm.ancestral_terms(s.nodes.batch, s.data).drift.sum())
    size = shared.start_error(s.data, s.start, s.process, *s.nodes.first)
    start_known, start = _start(s, size, found.start, "(P_0 E_0)²")
    steps = f"sum over {s.nodes.K} steps"
    root = Term(
        "(I² + III²)^(1/2)",
        "root of the sum",
        math.hypot(found.start, found.noise),
        "start and noise",
        (
            Term("I²  = (P_0 E_0)²", f"({start.filled})²", found.start**2, start.meaning),
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
        Term(f"II = Σ P_k (1-κ_k²)/2 H_k {_SLOW}", steps, drift, "discretisation: drift of the steps"),
        Term(
            f"IV = C_θ^(1/2)/4 (Σ P_k² (1-κ_k⁴)² {_FAR})^(1/2)",
            f"{steps}, best θ",
            found.bias - drift,
            "discretisation: curvature",
        ),
        Term(f"V  = {score}", steps if s.score_bias else "0", found.score, "score error"),
        root,
    )
    known = [k._replace(symbol=k.symbol.replace("P_0α(T)", "P_0")) for k in (*_facts(s), *start_known)]
    if s.score_bias:
        known.append(Known("M", s.score_bias, "score error (A3)"))
    seven = math.sqrt(sum(shares(s)))
    remark = f"κ_k² = λ_k/λ_(k-1). Eq. 7 gives {_n(seven)}; the smaller is the bound."
    formula = "W2 ≤ II + IV + V + (I² + III²)^(1/2)"
    return Explanation("Theorem 2 for ddpm (Eq. 9'')", formula, tuple(known), terms, bound.total, (remark,))


def _theorem_3(s: Setting, bound: Bound) -> Explanation:
    scale, extra = theorem_3.output(s)
    terms = theorem_3.local(s.nodes.batch, s.data, s.scheme)
    P = np.exp(np.append(np.cumsum(terms.log_gamma[::-1])[::-1][1:], 0.0))
    drift = float(np.sum(P * terms.drift)) * scale
    size = shared.start_error(s.data, s.start, s.process, *s.nodes.first)
    start_known, start = _start(s, size, bound.initialisation, "P_0 E_0")
    known = [k._replace(symbol=k.symbol.replace("P_0α(T)", "P_0")) for k in (*_facts(s), *start_known)]
    steps = f"sum over {s.nodes.K} steps"
    curved = bound.discretisation - extra - drift
    out = [
        start,
        Term(f"C_θ^(1/2)/4 (Σ P_k² {_FAR})^(1/2)", f"{steps}, best θ", curved, "discretisation: curvature"),
        Term(f"Σ P_k |H_k/2 - c_k| {_SLOW}", steps, drift, "discretisation: drift of the steps"),
        Term("Σ P_k c_k α_(k-1) M", steps if s.score_bias else "0", bound.score, "score error"),
    ]
    if s.score_bias:
        known.append(Known("M", s.score_bias, "score error (A3)"))
    formula = (
        f"W2 ≤ P_0 E_0 + C_θ^(1/2)/4 (Σ P_k² {_FAR})^(1/2) + Σ P_k (|H_k/2 - c_k| {_SLOW} + c_k α_(k-1) M)"
    )
    if extra:
        delta = math.exp(s.nodes.last[1])
        known += [Known("δ", delta, "λ where the sampler stops"), Known("scale", scale, _SCALE)]
        out.append(Term("√(dδ)", f"√({_product(s.data.d, delta)})", extra, "early stopping"))
        formula += " + √(dδ)"
    return Explanation("Theorem 3 (Eq. 15)", formula, tuple(known), tuple(out), bound.total)


def _theorem_7(s: Setting, bound: Bound) -> Explanation:
    scale, extra = theorem_3.output(s)
    found = theorem_7.Sums(*(v * scale for v in theorem_7.five(s)))
    size = shared.start_error(s.data, s.start, s.process, *s.nodes.first)
    start_known, start = _start(s, size, found.start, "P_0 E_0")
    known = [k._replace(symbol=k.symbol.replace("P_0α(T)", "P_0")) for k in (*_facts(s), *start_known)]
    steps = f"sum over {s.nodes.K} steps"
    drift = "Σ P_k (|H_k/2 - a_k - b_k| + b_k l_k |H_k/2 - c_k|) (d l_(k-1))^(1/2)"
    first = "C_1^(1/2)/2 (Σ P_k² ∫G_k² (1+L_0u)^(-θ) du)^(1/2)"
    second = "C_2^(1/2)/4 (Σ P_k² ∫((u-λ_k)(λ_(k-1)-u)/u)² (1+L_0u)^(-θ) du)^(1/2)"
    score = "M Σ P_k (max_h |a_k - b_k c_k h| α_(k-1) + b_k α_k)"
    out = [
        start,
        Term(first, f"{steps}, best θ", found.first, "discretisation: first derivative of the score"),
        Term(second, f"{steps}, of two stages, best θ", found.second, "discretisation: second derivative"),
        Term(drift, steps, found.drift, "discretisation: drift of the steps"),
        Term(score, steps if s.score_bias else "0", found.score, "score error at both stages"),
    ]
    if s.score_bias:
        known.append(Known("M", s.score_bias, "score error (A3, at both stages)"))
    formula = f"W2 ≤ P_0 E_0 + {first} + {second} + {drift} + {score}"
    if extra:
        delta = math.exp(s.nodes.last[1])
        known += [Known("δ", delta, "λ where the sampler stops"), Known("scale", scale, _SCALE)]
        out.append(Term("√(dδ)", f"√({_product(s.data.d, delta)})", extra, "early stopping"))
        formula += " + √(dδ)"
    remark = (
        "l_k = L_0/(1+L_0λ_k), h is m_0/(1+m_0λ_k) or l_k; G_k = |H_k/4 - b_k| + b_k l_k (u-λ_k)/2 for two stages, "
        "(u-λ_k)/2 for one."
    )
    return Explanation("Theorem 7 (Eq. 21)", formula, tuple(known), tuple(out), bound.total, (remark,))
