"""What a theorem is to all that asks for one: an upper bound of W2 with its start, its sums over steps, its order and
its terms. A new one is a file that makes a `Theorem`, and a line in `wbound.theory.statements`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from wbound.data.curvature import Curvature
from wbound.forward.clock_at_infinity import Clock, Exponents, Sum
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import Scheme
from wbound.statement.formula import Formula
from wbound.statement.hypotheses import Maker, statement
from wbound.statement.statement_object import Bound, Statement
from wbound.statement.terms import Explanation
from wbound.summation.criterion import OverSteps

__all__ = ["Needed", "Start", "Theorem", "stated"]

#: (data, start, process, log α(T), log λ(T)) ↦ what is left of the start's error as K → ∞, in x.
Start = Callable[[Curvature, str, Process, float, float], float]


class Needed(NamedTuple):
    """What a theorem asks for as x = √d/ε → ∞: K as exponents of x, log x, …, the sums that they follow from, notes."""

    K: Exponents
    sums: tuple[Sum, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Theorem(Statement):
    """An upper bound of W2.

    placed: its section of docs/theory.md; claim: makes its formula, of the symbols of `wbound.statement.formulas`, when
    asked. called: its name for a user ("published", "sharp"), which it shares with others; takes: the schemes that it is
    about. criterion: what `wbound.iterations` calls it; order: its discretisation part falls like K^{−order}; power:
    of (1+m_0λ), by which an error contracts; start: `Start`. more_steps: names of hypotheses that a larger K meets.
    explain: (setting, its finite bound) ↦ `Explanation`. over_steps: the bound as a function of (T, K), or None; thetas:
    the θ that its terms take in a setting, () where it has none. needs: (clock, scheme) ↦ `Needed`, or None where no order is
    derived; starts_centred: what its orders say of a start by Eq. 8, or nothing; why_K: why its K is what it is, with the
    main sum's formula, its size ("integrand", "at_T"), and K to be put in.
    """

    placed: int
    claim: Callable[[], Formula]
    called: str
    takes: Callable[[Scheme], bool]
    criterion: Callable[[Scheme], str]
    order: float
    power: float
    start: Start
    explain: Callable[[Setting, Bound], Explanation]
    more_steps: tuple[str, ...] = ()
    over_steps: OverSteps | None = None
    thetas: Callable[[Setting], tuple[float, ...]] = lambda s: ()
    needs: Callable[[Clock, str], Needed] | None = None
    starts_centred: str = ""
    why_K: str = ""

    @property
    def section(self) -> int:
        return self.placed

    @property
    def formula(self) -> Formula:
        return self.claim()

    @property
    def needs_M1(self) -> bool:
        """Whether A2 is among its hypotheses, so that it asks for M_1."""
        return any(hypothesis.name == "A2" for hypothesis in self.hypotheses)


def stated(
    id: str,
    evaluate: Callable[[Setting], Bound],
    *hypotheses: Maker,
    source: str,
    covers: tuple[str, ...],
) -> dict[str, Any]:
    """What a theorem says as every statement does; its hypotheses name it."""
    return vars(statement(id, "upper", evaluate, *hypotheses, source=source, covers=covers))
