"""Where modules were before the rooms: an old dotted name still gives the module, and a warning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader, MetaPathFinder
else:  # the import system asks for their methods only, and importlib.abc takes longer than all of this
    Loader = MetaPathFinder = object

__all__ = ["ELSEWHERE", "MOVED", "MovedFinder", "front_door"]

#: Old dotted name → new one.
MOVED: dict[str, str] = {
    "wbound.arithmetic": "wbound.calculus.interval_arithmetic",
    "wbound.asymptotics": "wbound.calculus.asymptotics",
    "wbound.balls": "wbound.calculus.balls",
    "wbound.catalogue": "wbound.forward.catalogue",
    "wbound.cells": "wbound.complexity.orders_published",
    "wbound.certified_inputs": "wbound.sampler.description",
    "wbound.certified_path": "wbound.certified.path",
    "wbound.certified_published": "wbound.certified.theorem_1_terms",
    "wbound.certified_terms": "wbound.certified.statements",
    "wbound.claims": "wbound.theory.claims",
    "wbound.clock": "wbound.sampler.grid",
    "wbound.clocks": "wbound.forward.catalogue_optimal",
    "wbound.columns": "wbound.complexity.orders_table",
    "wbound.compiled": "wbound.calculus.to_numpy",
    "wbound.complexity.criteria": "wbound.summation.criterion",
    "wbound.complexity.step_rows": "wbound.summation.step_rows",
    "wbound.complexity.step_sums": "wbound.summation.step_sums",
    "wbound.conditions": "wbound.statement.hypotheses",
    "wbound.criteria": "wbound.summation.criterion",
    "wbound.ending": "wbound.forward.lifetime",
    "wbound.equations": "wbound.statement.formulas",
    "wbound.explained": "wbound.theory.explanation",
    "wbound.expressions": "wbound.calculus.parser",
    "wbound.flow": "wbound.exact.ode_moves",
    "wbound.formulas": "wbound.statement.formula",
    "wbound.gaussian": "wbound.exact.gaussian_law",
    "wbound.growth": "wbound.complexity.order_formulas",
    "wbound.horizons": "wbound.complexity.horizons",
    "wbound.identities": "wbound.theory.claims",
    "wbound.images": "wbound.forward.catalogue_images",
    "wbound.increments": "wbound.forward.step_integrals",
    "wbound.intervals": "wbound.calculus.suprema",
    "wbound.leading": "wbound.exact.leading_order",
    "wbound.limits": "wbound.theory.claims",
    "wbound.line": "wbound.calculus.whole_line",
    "wbound.measured": "wbound.complexity.orders_measured",
    "wbound.objectives": "wbound.design.objectives",
    "wbound.ode": "wbound.bounds.theorem_3",
    "wbound.optimal": "wbound.design.placed_numerically",
    "wbound.optimal_clock": "wbound.forward.optimal_clock",
    "wbound.placement": "wbound.sampler.placement",
    "wbound.profiles": "wbound.data.beyond_log_concave",
    "wbound.published": "wbound.bounds.theorem_1",
    "wbound.quadrature": "wbound.calculus.quadrature",
    "wbound.rows": "wbound.forward.row",
    "wbound.schemes": "wbound.sampler.scheme",
    "wbound.score_rate": "wbound.data.score_regularity",
    "wbound.setting": "wbound.sampler.make_setting",
    "wbound.sharp": "wbound.bounds.theorem_2",
    "wbound.spectrum": "wbound.exact.clock_law",
    "wbound.statements": "wbound.theory.statements",
    "wbound.tables": "wbound.complexity.tables",
    "wbound.tally": "wbound.summation.step_sums",
    "wbound.tolerance": "wbound.complexity.tolerance_search",
}

#: Names that are in another file than the rest of their old module.
ELSEWHERE: dict[str, dict[str, str]] = {
    "wbound.increments": {
        "expm1_minus": "wbound.calculus.stable",
        "sinh_minus": "wbound.calculus.stable",
    },
    "wbound.gaussian": {
        "gaussian_data": "wbound.data.log_concave",
        "LowerBound": "wbound.exact.floor",
        "lower_bound": "wbound.exact.floor",
        "floor_w2": "wbound.exact.floor",
        "PROPOSITION_1": "wbound.exact.floor",
        "Gaussian": "wbound.data.gaussian",
    },
    "wbound.clock": {
        "TAME": "wbound.sampler.steps",
        "Batch": "wbound.sampler.steps",
        "GridBatch": "wbound.sampler.steps",
        "batch": "wbound.sampler.steps",
    },
    "wbound.criteria": {
        "exact_criterion": "wbound.complexity.exact_law_criterion",
        "vertex": "wbound.calculus.suprema",
    },
    "wbound.certified_inputs": {
        "Inputs": "wbound.certified.certificate",
    },
    "wbound.columns": {"as_markdown": "numerics.tables.orders"},
    "wbound.setting": {
        "PRIMES": "wbound.statement.statement_object",
        "TITLES": "wbound.statement.statement_object",
        "SECTIONS": "wbound.statement.statement_object",
        "Hypothesis": "wbound.statement.statement_object",
        "Statement": "wbound.statement.statement_object",
        "Bound": "wbound.statement.statement_object",
    },
    "wbound.sharp": {
        "Parts": "wbound.bounds.shared",
        "start_term": "wbound.bounds.shared",
        "start_at": "wbound.bounds.shared",
        "start_error": "wbound.bounds.shared",
        "output": "wbound.bounds.shared",
        "decay_constant": "wbound.bounds.shared",
        "weights": "wbound.bounds.shared",
        "has_ancestral": "wbound.bounds.ddpm",
        "Ancestral": "wbound.bounds.ddpm",
        "ancestral_terms": "wbound.bounds.ddpm",
        "best_theta": "wbound.bounds.ddpm",
        "ancestral_sums": "wbound.bounds.ddpm",
        "ancestral": "wbound.bounds.ddpm",
    },
    "wbound.explained": {"shares": "wbound.bounds.theorem_2", "Shares": "wbound.bounds.theorem_2_explained"},
    "wbound.ode": {},
}


def front_door(
    room: str, given: dict[str, str]
) -> tuple[dict[str, str], Callable[[str], Any], Callable[[], list[str]]]:
    """What a room gives, looked up when first used: the home of each name, ``__getattr__`` and ``__dir__``. Its files
    are attributes without being imported, too. given: names, with blanks between them, by the dotted name of the file
    that owns them."""
    home = {name: file for file, names in given.items() for name in names.split()}

    def found(name: str) -> Any:
        if name in home:
            value = getattr(import_module(home[name]), name)
            setattr(sys.modules[room], name, value)  # from now on without this function
            return value
        if not name.startswith("_"):
            with suppress(_NoSuchFile):
                return _file(f"{room}.{name}")
        raise AttributeError(f"module {room!r} has no attribute {name!r}")

    def listed() -> list[str]:
        there = vars(sys.modules[room])
        return sorted({*there, *home, *there.get("__all__", ())})

    return home, found, listed


class _NoSuchFile(Exception):
    """A room has no file of this name, of today or of old."""


def _file(dotted: str) -> ModuleType:
    try:
        return import_module(dotted)
    except ModuleNotFoundError as error:
        if error.name != dotted:  # the file is there, and misses something
            raise
        raise _NoSuchFile from None


class _Keeping(ModuleType):
    """A package some of whose functions are called as a module of it was: importing that leaves the function."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and callable(vars(self).get(name))):
            super().__setattr__(name, value)


class _Loader(Loader):
    """Gives the module that is there under its new name."""

    def __init__(self, new: str, elsewhere: dict[str, str]) -> None:
        self.new, self.elsewhere = new, elsewhere
        self.spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        package, _, name = spec.name.rpartition(".")
        if name in vars(sys.modules[package]).get("_HOME", ()):  # what the door gives by this name goes first
            getattr(sys.modules[package], name)
        if callable(vars(sys.modules[package]).get(name)):
            sys.modules[package].__class__ = _Keeping
        module = import_module(self.new)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # the import system wrote the old name over it
        for name, home in self.elsewhere.items():
            vars(module).setdefault(name, getattr(import_module(home), name))


class MovedFinder(MetaPathFinder):
    """Finds the old names of a table."""

    def __init__(self, table: dict[str, str], elsewhere: dict[str, dict[str, str]]) -> None:
        self.table, self.elsewhere = table, elsewhere

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        new = self.table.get(fullname)
        if new is None:
            return None
        warnings.warn(f"{fullname} is now {new}", DeprecationWarning, stacklevel=2)
        return ModuleSpec(fullname, _Loader(new, self.elsewhere.get(fullname, {})))


sys.meta_path.append(MovedFinder(MOVED, ELSEWHERE))
