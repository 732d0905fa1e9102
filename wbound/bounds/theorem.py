"""What a theorem is to all that asks for one: an upper bound of W2 with its start, its sums over steps, its order and
its terms. A new one is a file that makes a `Theorem`, and a line in `wbound.theory.statements`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from wbound.bounds.shared import Parts
from wbound.data.curvature import Curvature
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import Scheme
from wbound.sampler.steps import Batch
from wbound.statement.hypotheses import Maker, statement
from wbound.statement.statement_object import Bound, Statement
from wbound.statement.terms import Explanation
from wbound.typing import Array

__all__ = ["Start", "StepRows", "Theorem", "ThetaSums", "make_theorem"]

#: (data, start, process, log α(T), log λ(T)) ↦ what is left of the start's error as K → ∞, in x.
Start = Callable[[Curvature, str, Process, float, float], float]


class StepRows(NamedTuple):
    """A bound's local terms of each step, arrays (N,): log of γ, the drift, what the score's bias is multiplied by, and
    for each of its θ-terms θ ↦ the weight in the sum of squares."""

    log_gamma: Array
    drift: Array | float
    score: Array
    weights: Sequence[Callable[[float], Array]]


class ThetaSums(NamedTuple):
    """A bound P_0 start + Σ P_k drift_k + Σ_i (C_i(θ_i) Σ P_k² w_ik(θ_i))^{1/2} + M Σ P_k score_k, any θ_i.

    of: (setting, roughly) ↦ its parts step by step, ``roughly`` with θ = 2; best: the
    θ that are taken else. rows: (batch, data, scheme) ↦ `StepRows`;
    constants: C_i as (θ, data, log λ(T)) ↦ number; orders: the powers of η as η → 0 of log γ, drift, score and weights;
    wide: the θ that are tried first, closer: (their index) ↦ those tried then.
    """

    of: Callable[[Setting, bool], Parts]
    best: Callable[[Setting], tuple[float, ...]]
    rows: Callable[[Batch, Curvature, Scheme], StepRows]
    constants: Sequence[Callable[[float, Curvature, float], float]]
    orders: tuple[float, float, float, float]
    wide: Array
    closer: Callable[[int], Array]


@dataclass(frozen=True, kw_only=True)
class Theorem(Statement):
    """An upper bound of W2.

    called: its name for a user ("published", "sharp"), which it shares with others; takes: the schemes that it is
    about. criterion: what `wbound.iterations` calls it; order: its discretisation part falls like K^{−order}; power:
    of (1+m_0λ), by which an error contracts; start: `Start`. more_steps: names of hypotheses that a larger K meets.
    explain: (setting, its finite bound) ↦ `Explanation`. sums: None where it is no `ThetaSums`; then
    `wbound.complexity.criteria` knows how it is summed over many steps.
    """

    called: str
    takes: Callable[[Scheme], bool]
    criterion: Callable[[Scheme], str]
    order: float
    power: float
    start: Start
    explain: Callable[[Setting, Bound], Explanation]
    more_steps: tuple[str, ...] = ()
    sums: ThetaSums | None = None


def make_theorem(
    id: str,
    evaluate: Callable[[Setting], Bound],
    *hypotheses: Maker,
    source: str,
    covers: tuple[str, ...],
    called: str,
    takes: Callable[[Scheme], bool],
    criterion: str | Callable[[Scheme], str],
    order: float,
    power: float,
    start: Start,
    explain: Callable[[Setting, Bound], Explanation],
    more_steps: tuple[str, ...] = (),
    sums: ThetaSums | None = None,
) -> Theorem:
    """A `Theorem` whose hypotheses name it."""
    plain = statement(id, "upper", evaluate, *hypotheses, source=source, covers=covers)
    return Theorem(
        **vars(plain),
        called=called,
        takes=takes,
        criterion=criterion if callable(criterion) else lambda scheme: criterion,
        order=order,
        power=power,
        start=start,
        explain=explain,
        more_steps=more_steps,
        sums=sums,
    )
