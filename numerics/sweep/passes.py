"""Bounds and exact laws of many settings in compiled passes: what settings share is computed once, in nothing but
arithmetic. Each has its owner in `wbound`, which says the same to 1e-13 and has what no pass holds."""

from __future__ import annotations

import math
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

from wbound.bounds.compiled_bounds import BoundPass, bound_columns
from wbound.bounds.shared import Parts
from wbound.data.gaussian import Gaussian
from wbound.exact.compiled_law import LawPass, Passed, law_pass, spectrum, w2_from
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import SCHEMES
from wbound.sampler.tame_steps import TameClock, TameSteps, clocked
from wbound.statement.statement_object import Statement
from wbound.theory.statements import upper_bound
from wbound.typing import Array

__all__ = ["Found", "Passes", "PassesOfData", "compiles"]


class Found(NamedTuple):
    """A bound as `wbound.bounds.compiled_bounds.BoundPass.of` gives it."""

    statement: str
    total: float
    parts: Parts
    extra: float


_upper_bound = cache(upper_bound)


@cache
def compiles() -> bool:
    """Whether there is a compiler."""
    return find_spec("numba") is not None


class Passes:
    """What the passes read of the steps on one set of nodes, for any data."""

    def __init__(self) -> None:
        self._clock: list[TameClock | None] = []  # one, once it is known
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
            if not self._clock:
                self._clock = [clocked(s.nodes.batch)]
            clock = self._clock[0]
            self._tame[name] = None if clock is None or s.scheme.memory is not None else clock.under(s.scheme)
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
    share. `bound` and `exact` are what ``upper_bound(…)(s)`` and ``EXACT_LAW(s)`` are, whose hypotheses they check; None
    where no pass holds them."""

    def __init__(self, base: Setting, passes: Passes, checked: set[Any]) -> None:
        """``base``: any setting of these nodes and data; ``checked``: which hypotheses held, of these data on any nodes."""
        self.base, self.passes, self._checked = base, passes, checked
        data = base.data
        self._gaussian = isinstance(data, Gaussian)
        self._spectrum = spectrum(data) if self._gaussian and data.eigenvalues.min() > 0.0 else None
        self.trivial = math.sqrt(data.second_moment)
        self._starts: dict[Any, float] = {}
        self._settings: dict[str, Setting] = {}
        self._bounds: dict[str, BoundPass | None] = {}
        self._laws: dict[str, Passed | None] = {}

    def bound(self, start: str, scheme: str, theorem: str, M: float, V: float) -> Found | None:
        """A bound by a theorem's name."""
        statement = _upper_bound(theorem, scheme)
        if not self._gaussian or statement.id not in ("theorem-2", "theorem-3"):
            return None
        self._check(statement, start, scheme, M, V)
        s = self._setting(scheme)
        if scheme not in self._bounds:
            tame = self.passes.steps(s)
            made = None if tame is None else BoundPass(tame, self.passes.columns(tame), s.data, self._starts)
            self._bounds[scheme] = made
        one = self._bounds[scheme]
        found = None if one is None else one.of(s, start, M, V)
        return None if found is None or math.isnan(found[1]) else Found(*found)

    def exact(self, start: str, scheme: str, M: float, V: float) -> float | None:
        """The exact W2."""
        if self._spectrum is None:
            return None
        self._check(EXACT_LAW, start, scheme, M, V)
        s = self._setting(scheme)
        if scheme not in self._laws:
            law = self.passes.law(s)
            self._laws[scheme] = None if law is None else law.over(self._spectrum)
        one = self._laws[scheme]
        return None if one is None else w2_from(s, start, V, self._spectrum, one)

    def _setting(self, scheme: str) -> Setting:
        if scheme not in self._settings:
            base = self.base
            self._settings[scheme] = Setting(base.process, base.data, base.nodes, SCHEMES[scheme])
        return self._settings[scheme]

    def _check(self, statement: Statement, start: str, scheme: str, M: float, V: float) -> None:
        """The hypotheses, once: those of these statements do not look at the start, and of a Gaussian's nodes at none."""
        key = (statement.id, scheme, M, V)
        if key not in self._checked:
            base = self.base
            statement.check(Setting(base.process, base.data, base.nodes, SCHEMES[scheme], start, M, V))
            self._checked.add(key)
