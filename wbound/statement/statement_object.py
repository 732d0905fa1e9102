"""A statement of docs/theory.md as an object: its hypotheses, its kind, how it is evaluated; and the bound it gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wbound.calculus.notebook import html_table
from wbound.sampler.make_setting import Setting
from wbound.statement.formula import Formula

__all__ = ["Bound", "Hypothesis", "Statement"]

PRIMES = {"": "", "prime": "′", "second": "″"}


#: What an anchor's first word is called.
TITLES = {
    "eq": "Eq.",
    "theorem": "Theorem",
    "lemma": "Lemma",
    "proposition": "Proposition",
    "assumption": "Assumption",
    "section": "section",
}


@dataclass(frozen=True)
class Bound:
    """A bound of W2(L(y_K), p_0), in x (W2, never squared), with its parts.

    ``total`` is the bound; ``initialisation``, ``discretisation`` and ``score`` are its parts, whose sum
    is at least total; ``additive`` is Eq. 7″ (for Theorem 1 total itself); ``trivial`` is ‖X_0‖, what
    sending everything to the origin achieves.
    """

    total: float
    initialisation: float
    discretisation: float
    score: float
    additive: float
    trivial: float
    statement: str
    kind: str = "upper"

    @property
    def vacuous(self) -> bool:
        """Whether total ≥ ‖X_0‖ (an infinite or overflowed bound is)."""
        return not self.total < self.trivial

    def __str__(self) -> str:
        sign = {"lower": ">=", "exact": "="}.get(self.kind, "<=")
        rest = "; vacuous: sending everything to the origin would do as well" if self.vacuous else ""
        parts = f"initialisation {self.initialisation:.4g}, discretisation {self.discretisation:.4g}, score {self.score:.4g}"
        return f"W2 {sign} {self.total:.6g} ({self.statement}: {parts}; trivial {self.trivial:.4g}{rest})"

    def _repr_html_(self) -> str:
        names = ("total", "initialisation", "discretisation", "score", "trivial", "vacuous", "kind")
        return html_table(f"W2 by {self.statement}", [(name, getattr(self, name)) for name in names])

    def _repr_latex_(self) -> str:
        sign = {"lower": r"\ge", "exact": "="}.get(self.kind, r"\le")
        return f"$W_2 {sign} {self.total:.6g}$" if math.isfinite(self.total) else rf"$W_2 {sign} \infty$"


@dataclass(frozen=True)
class Hypothesis:
    """A named hypothesis: ``check(setting)`` raises `HypothesisFailed` where it does not hold."""

    name: str
    check: Callable[[Setting], None]


#: Sections of docs/theory.md and the anchors of statements in them; a theorem says its own.
SECTIONS = {
    0: "eq-2 eq-3",
    2: "assumption-a2 lemma-1 eq-4 lemma-2 lemma-3",
    3: "exact-law",
    4: "eq-6",
    5: "theorem-2 eq-7-prime eq-7-second eq-8 eq-9 eq-9-prime eq-9-second",
    6: "proposition-1 eq-10 eq-10-prime eq-11 eq-12 eq-12-prime",
    7: "eq-13",
    8: "eq-14 exact-iterations",
    11: "theorem-2-prime profiles",
    12: "flow-law theorem-3",
    15: "eq-16",
    16: "eq-17 eq-18 tangent-law",
    17: "lemma-4 theorem-4 theorem-5 theorem-6 absolute-floor random-levels random-midpoint",
    19: "limits-without-steps modified-score-bound",
    20: "lemma-5 flow-derivatives",
}


def _number(anchor: str) -> str:
    """Of eq-12-prime 12′."""
    number, _, primes = anchor.partition("-")[2].partition("-")
    return number.upper() + PRIMES[primes]


@dataclass(frozen=True)
class Statement:
    """A statement of docs/theory.md: its id, source, kind, hypotheses, and its evaluation.

    The id is the anchor there, or "anchor:part" where one place makes several claims. kind: "exact", "upper", "lower"
    or "order". ``evaluate(setting)`` assumes the hypotheses. ``covers``: anchors of what else it says. Its `formula` is
    sympy's, and so is `latex`; `citation` is what to write in a text.
    """

    id: str
    source: str
    kind: str
    hypotheses: tuple[Hypothesis, ...]
    evaluate: Callable[[Setting], Any]
    covers: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        held = ", ".join(h.name for h in self.hypotheses) or "none"
        rows = [("kind", self.kind), ("source", self.source), ("hypotheses", held), ("section", self.section)]
        return html_table(self.name, rows)

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"

    @property
    def anchor(self) -> str:
        """Where it stands in docs/theory.md."""
        return self.id.partition(":")[0]

    @property
    def equations(self) -> tuple[str, ...]:
        """The numbers of its equations there: "7", "12′"."""
        return tuple(_number(a) for a in (self.anchor, *self.covers) if a.startswith("eq-"))

    @property
    def section(self) -> int:
        """The section of docs/theory.md."""
        word, _, number = self.anchor.partition("-")
        if word == "section":
            return int(number)
        return next(i for i, anchors in SECTIONS.items() if self.anchor in anchors.split())

    @property
    def formula(self) -> Formula:
        """The formula as it stands in the theory."""
        from wbound.statement.formulas import FORMULAS  # dear to build

        return FORMULAS[self.id]

    @property
    def latex(self) -> str:
        """The formula in LaTeX; of an order, what it tends to."""
        text = self.formula.latex
        return text.replace(" = ", r" \sim ", 1) if self.kind == "order" else text

    @property
    def name(self) -> str:
        """As texts call it: "Theorem 2′", "Eq. 7″", "Lemma 1 (m)", "the exact law"."""
        word = self.anchor.partition("-")[0]
        part = self.id.partition(":")[2]
        after = f" ({part})" if part else ""
        if word not in TITLES:
            return f"the {self.anchor.replace('-', ' ')}{after}"
        return f"{TITLES[word]} {_number(self.anchor)}{after}"

    @property
    def citation(self) -> str:
        """Where it stands and whose it is."""
        return f"{self.name} (docs/theory.md#{self.anchor}): {self.source}"

    def check(self, s: Setting, but: tuple[str, ...] = ()) -> None:
        """Raise `HypothesisFailed` (or `BadInput` where a value was left out) for the first hypothesis that does
        not hold, those named in ``but`` aside."""
        for hypothesis in self.hypotheses:
            if hypothesis.name not in but:
                hypothesis.check(s)

    def __call__(self, s: Setting) -> Any:
        """Check every hypothesis, then evaluate."""
        self.check(s)
        return self.evaluate(s)
