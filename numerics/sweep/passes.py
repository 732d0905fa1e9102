"""Bounds and exact laws of many settings in compiled passes: what settings share is computed once, in nothing but
arithmetic. Each has its owner in `wbound`, which says the same to 1e-13 and has what no pass holds."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

from wbound.bounds.compiled_bounds import BoundPass, bound_columns
from wbound.data.gaussian import Gaussian
from wbound.exact.compiled_law import LawPass, Passed, law_pass, spectrum, w2
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.sampler.make_setting import Setting
from wbound.sampler.tame_steps import TameSteps, tamed
from wbound.statement.statement_object import Bound, Statement
from wbound.theory.statements import upper_bound
from wbound.typing import Array

__all__ = ["Passes", "PassesOfData", "compiles"]

_upper_bound = cache(upper_bound)


@cache
def compiles() -> bool:
    """Whether there is a compiler."""
    return find_spec("numba") is not None


class Passes:
    """What the passes read of the steps on one set of nodes, for any data."""

    def __init__(self) -> None:
        self._tame: dict[str, TameSteps | None] = {}
        self._laws: dict[str, LawPass | None] = {}
        self._columns: dict[str, Array] = {}

    @property
    def size(self) -> int:
        """Numbers held, about."""
        return sum(32 * t.H.size for t in self._tame.values() if t is not None)

    def steps(self, s: Setting) -> TameSteps | None:
        """The steps of a setting, if they are tame."""
        name = s.scheme.name
        if name not in self._tame:
            self._tame[name] = tamed(s.nodes.batch, s.scheme)
        return self._tame[name]

    def law(self, s: Setting) -> LawPass | None:
        """The law's coefficients."""
        name = s.scheme.name
        if name not in self._laws:
            tame = self.steps(s)
            self._laws[name] = None if tame is None else law_pass(tame)
        return self._laws[name]

    def columns(self, tame: TameSteps) -> Array:
        """The bounds' coefficients."""
        name = tame.scheme.name
        if name not in self._columns:
            self._columns[name] = bound_columns(tame)
        return self._columns[name]


class PassesOfData:
    """The compiled passes over one set of nodes for one data law, which settings of any scheme, start and score error
    share. `bound` and `exact` are what ``upper_bound(…)(s)`` and ``EXACT_LAW(s)`` are: they check the same hypotheses,
    and raise what those raise."""

    def __init__(self, passes: Passes, checked: set[Any]) -> None:
        """``checked``: which hypotheses held, of these data on any nodes."""
        self.passes, self._checked = passes, checked
        self._starts: dict[Any, float] = {}
        self._bounds: dict[str, BoundPass | None] = {}
        self._laws: dict[str, Passed | None] = {}

    def bound(self, s: Setting, theorem: str) -> Bound:
        """The bound of a setting by a theorem's name."""
        statement = _upper_bound(theorem, s.scheme.name)
        if statement.id not in ("theorem-2", "theorem-3"):
            known: Bound = statement(s)
            return known
        self._check(statement, s)
        name = s.scheme.name
        if name not in self._bounds:
            tame = self.passes.steps(s) if isinstance(s.data, Gaussian) else None
            made = None if tame is None else BoundPass(tame, self.passes.columns(tame), s.data, self._starts)
            self._bounds[name] = made
        one = self._bounds[name]
        found = None if one is None else one.bound(s)
        return statement.evaluate(s) if found is None else found

    def exact(self, s: Setting) -> float:
        """The exact W2 of a setting."""
        self._check(EXACT_LAW, s)
        name, found = s.scheme.name, None
        if name not in self._laws:
            regular = isinstance(s.data, Gaussian) and s.data.eigenvalues.min() > 0.0
            law = self.passes.law(s) if regular else None
            self._laws[name] = None if law is None else law.over(spectrum(s.data))
        one = self._laws[name]
        if one is not None:
            found = w2(s, spectrum(s.data), one)
        return float(EXACT_LAW.evaluate(s)) if found is None else found

    def _check(self, statement: Statement, s: Setting) -> None:
        """The hypotheses, once: those of these statements do not look at the start, and of a Gaussian's nodes at none."""
        if not isinstance(s.data, Gaussian):
            statement.check(s)
            return
        key = (statement.id, s.scheme.name, s.score_bias, s.score_noise)
        if key not in self._checked:
            statement.check(s)
            self._checked.add(key)
