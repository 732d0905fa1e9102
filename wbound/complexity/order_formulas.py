"""Orders of K, η, M and T in d and ε, derived from (f, g) alone (section 8 of docs/theory.md). Kind: *order*.

With x = √d/ε → ∞: T inverts the clock, λ(T) ≍ x; the sums of the theorem are integrals along the clock, each
convergent, logarithmic or a power; K follows, as each theorem says (`Theorem.needs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import sympy as sp

from wbound.calculus.asymptotics import Scale, Unrecognised
from wbound.calculus.notebook import html_table
from wbound.calculus.parser import symbol
from wbound.errors import BadInput, one_of
from wbound.forward.clock_at_infinity import EPS, Clock, D, Exponents, Sum, X, expression, minus, plus, tidy
from wbound.forward.forward_process import Process
from wbound.sampler.scheme import SCHEMES
from wbound.theory.statements import upper_bound

__all__ = ["EPS", "D", "Orders", "Sum", "X", "derive", "tidy"]

#: What the start's error falls by beyond the bound's contraction, as a power of λ(T): from the prior, and Eq. 8.
STARTS = {"prior": sp.S.Zero, "centred": sp.S.Half}
#: The SDE schemes whose orders are derived.
STEPS_OF_SDE = ("em", "ei", "hf")


@dataclass(frozen=True)
class Orders:
    """K, η, M and T in d and ε up to constant factors, as sympy in `D` and `EPS`; kind *order*.

    ``recognised`` is False where the class of f, g could not be told: then the orders are None and ``notes``
    say why. K = T = ∞ where λ stays bounded: the start's error has a floor. ``powers`` holds the exponents of
    x, log x, log log x, … of each (M relative to ε); ``sums`` what they follow from.
    """

    theorem: str
    start: str
    scheme: str
    recognised: bool
    K: sp.Expr | None = None
    eta: sp.Expr | None = None
    M: sp.Expr | None = None
    T: sp.Expr | None = None
    notes: tuple[str, ...] = ()
    sums: tuple[Sum, ...] = ()
    powers: Mapping[str, Exponents] = field(default_factory=dict)
    #: measured powers "K_eps", "K_d", "T_eps", "T_d", in place of what was not recognised
    slopes: Mapping[str, float] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        if not self.recognised:
            return html_table("Orders", [("not recognised", "; ".join(self.notes))])
        rows = [(name, getattr(self, name)) for name in ("K", "eta", "M", "T")]
        return html_table(self.text.partition(":")[0], rows)

    def _repr_latex_(self) -> str | None:
        if not self.recognised or self.K is sp.oo:
            return None
        names = {"K": "K", "eta": r"\eta", "M": "M", "T": "T"}
        found = {
            letter: getattr(self, name) for name, letter in names.items() if getattr(self, name) is not None
        }
        return (
            "$"
            + r",\quad ".join(rf"{letter} \asymp {sp.latex(value)}" for letter, value in found.items())
            + "$"
        )

    @property
    def text(self) -> str:
        """One line, for people."""
        head = upper_bound(self.theorem, self.scheme).name
        if not self.recognised:
            found = ", ".join(
                f"{k[0]} ~ {'ε' if k[2:] == 'eps' else 'd'}^{v:.3f}" for k, v in self.slopes.items()
            )
            return f"{head}: not recognised: {'; '.join(self.notes)}" + (
                f"; measured: {found}" if found else ""
            )
        if self.K is sp.oo:
            return f"{head}: unreachable: {'; '.join(self.notes)}"
        return f"{head}: K ≍ {self.K}, eta ≍ {self.eta}, M ≍ {self.M}, T ≍ {self.T}"


def derive(process: Process, theorem: str = "published", start: str = "prior", scheme: str = "em") -> Orders:
    """The orders of K, η, M and T for which the bound is at most ε, as x = √d/ε → ∞. Kind: *order*.

    process: any forward SDE; only its f and g are read, not its name or closed forms. theorem: "published"
    (Theorem 1: K ≍ T x² S² with S = ∫g(f+g²L)/(α(1+m_0λ))dt) or "sharp" (Theorem 2: K ≍ T x I^{1/2}, Eq. 14,
    and the bias of em and ei; for ode-hf Theorem 3 at its best θ: K ≍ T x J^{1/2}, J = ∫λ'³/(1+m_0λ)³ dt, and
    another (log λ(T))^{1/2} where J grows as logarithms only). start: "prior" (λ(T) ≍ x; x² for the ODE) or
    "centred" (Eq. 8: λ(T) ≍ x^{2/3}; x). scheme: em, ei, hf or ode-hf. Parameters stay symbolic; a sign they
    leave open is taken from their values and noted.
    m_0, L_0, M_1 are fixed and ‖X_0‖ ≍ √d. Raises `BadInput` for unknown names.
    Source: docs/theory.md, section 8; the published cells are Gao, Nguyen & Zhu's, arXiv 2311.11003.
    """
    one_of("start", start, STARTS)
    known = (*STEPS_OF_SDE, "ode-hf")
    by = upper_bound(theorem, one_of("scheme", scheme, known))
    if not by.takes(SCHEMES[scheme]):
        about = ", ".join(name for name in known if by.takes(SCHEMES[name]))
        raise BadInput("scheme", scheme, f"{by.name} is about {about}")
    return _derived(process, theorem, start, scheme)


@lru_cache(maxsize=256)  # tables, comparisons and measurements ask for the same orders again and again
def _derived(process: Process, theorem: str, start: str, scheme: str) -> Orders:
    scale = Scale({symbol(k): sp.Rational(repr(v)) for k, v in process.parameters.items()})
    try:
        return _derive(process, theorem, start, scheme, scale)
    except Unrecognised as why:
        return Orders(theorem, start, scheme, False, notes=(str(why),))


def _derive(process: Process, theorem: str, start: str, scheme: str, scale: Scale) -> Orders:
    by = upper_bound(theorem, scheme)
    assert by.needs is not None  # `derive` has asked
    power = sp.Rational(by.power)
    clock = Clock(process, scale, 1 / (power + STARTS[start]))  # start(T) ≍ λ^{−power}, or less by λ^{−1/2}
    if clock.lam is None:
        return Orders(theorem, start, scheme, True, sp.oo, sp.S.Zero, sp.S.Zero, sp.oo, (clock.bounded(),))
    needed = by.needs(clock, scheme)
    notes = [*clock.notes, *needed.notes]
    weight = "½∫g²/(α(1+m0 λ)^(1/2)) dt"
    if power == 1:
        closed = " = log(1 + m0 λ(T))/m0" if clock.f == 0 else ""  # Eq. 6
        weight = f"∫g²/(α(1+m0 λ)) dt{closed}"
    score = clock.sum("score", weight, clock.score_rate(power))
    T_powers, T_extra = clock.horizon
    K, T = T_extra * expression(needed.K), T_extra * expression(T_powers)
    eta_powers = plus(T_powers, minus(needed.K))
    if T_extra != 1:
        notes.append("λ grows more slowly than any power of t: T is known up to a constant in its exponent")
    if start == "centred" and by.starts_centred:
        notes.append(by.starts_centred)
    notes += [f"holds where {r.lhs} {r.rel_op} {r.rhs}, as here" for r in scale.assumed]
    named = {"K": needed.K, "T": T_powers, "eta": eta_powers, "M": minus(score.growth)}
    named = {k: tuple(tidy(e) for e in v) for k, v in named.items()}
    return Orders(
        theorem,
        start,
        scheme,
        True,
        K,
        expression(eta_powers),
        EPS * expression(named["M"]),
        T,
        tuple(notes),
        (*needed.sums, score),
        named,
    )
