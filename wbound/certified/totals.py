"""The theorems' totals in ball arithmetic, by the statement that a certificate's inputs ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from wbound.bounds.ddpm import has_ancestral
from wbound.bounds.theorem import Theorem
from wbound.bounds.theorem_1 import NU_RTOL
from wbound.calculus.balls import Ball, exact_ball
from wbound.certified import flow_statements as flow
from wbound.certified import statements as terms
from wbound.certified.path import Path
from wbound.certified.theorem_1_terms import Slack, theorem_1
from wbound.errors import BadInput
from wbound.sampler.description import BETWEEN, Description
from wbound.sampler.make_setting import Setting

__all__ = ["PROVED", "Work", "proved"]

#: By how much the double path lets ω² err upward in the general family (`wbound.bounds.theorem_1.moment_supremum`).
OMEGA_RTOL = 1e-6


class Work(NamedTuple):
    """What a total is computed from. by: the theorem, or None; slack: filled where the total holds a supremum that is
    bounded, not known; former: whether C_θ is that of files of formats 1 and 2."""

    inputs: Description
    where: Setting
    by: Theorem | None
    path: Path
    data: terms.Facts
    M: Ball
    V: Ball
    slack: list[bool]
    former: bool = False


def proved(w: Work) -> tuple[str | None, Ball | None]:
    """The statement's id and its total; None, None where no theorem was asked for. Raises `BadInput`."""
    if w.by is None:
        return None, None
    if w.by.id not in PROVED:
        raise BadInput("theorem", w.by.name, "has no proof in ball arithmetic")
    return PROVED[w.by.id](w)


def _published(w: Work) -> tuple[str, Ball]:
    M1 = exact_ball("M1", str(w.inputs.M1))
    allowed = Slack(NU_RTOL, OMEGA_RTOL, w.slack)
    return "theorem-1", theorem_1(w.path, w.data, w.inputs.start, w.M, M1, allowed)


def _sharp(w: Work) -> tuple[str, Ball]:
    total = terms.theorem_2(w.path, w.data, w.inputs.scheme, w.inputs.start, w.M, w.V)
    if not has_ancestral(w.where):
        return "theorem-2", total
    theta = exact_ball("theta", str(w.inputs.theta))
    other = terms.ancestral(w.path, w.data, w.inputs.start, w.M, theta, w.former)
    name = "theorem-2 (Eq. 9')" if other < total else "theorem-2"
    # where one of them is beyond all balls the other is still a bound
    both = [x for x in (total, other) if x.is_finite()]
    return name, both[0].min(both[-1]) if both else total


def _thetas(w: Work) -> list[Ball]:
    return [exact_ball("theta", text) for text in str(w.inputs.theta).split(BETWEEN)]


def _theorem_3(w: Work) -> tuple[str, Ball]:
    at = w.path, w.data, w.inputs.scheme, w.inputs.start, w.M, _thetas(w)
    return "theorem-3", flow.theorem_3(*at, former=w.former)


def _theorem_7(w: Work) -> tuple[str, Ball]:
    return "theorem-7", flow.theorem_7(w.path, w.data, w.inputs.scheme, w.inputs.start, w.M, _thetas(w))


#: The theorems that are proved in balls, by id.
PROVED: dict[str, Callable[[Work], tuple[str, Ball]]] = {
    "theorem-1": _published,
    "theorem-2": _sharp,
    "theorem-3": _theorem_3,
    "theorem-7": _theorem_7,
}
