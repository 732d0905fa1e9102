"""Sections 15 to 17 with one thing 1 % wrong: some check turns red."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from wbound.bounds import root_floor, theorem_6
from wbound.calculus import elliptic
from wbound.certified import affine
from wbound.design import look_back
from wbound.exact import ddim_angles, law_of_tape, phase
from wbound.sampler import levels, multistep, tangent_law

# the tests of a room lie in its folder, and their names are all different
sys.path += [str(f) for f in Path(__file__).resolve().parent.iterdir() if f.is_dir()]


def of(file: str, name: str, *arguments: Any) -> Callable[[], None]:
    """A test of the files beside, as a check."""
    return lambda: getattr(importlib.import_module(file), name)(*arguments)


PRODUCT = of("test_theorem_6", "test_by_the_product", 10.0)
MINIMAX = of("test_phase", "test_the_minimax_sampler", 2, 1e3)
ELLIPTIC = of("test_phase", "test_elliptic_functions", 1e3)
TANGENT = of("test_phase", "test_the_tangent_law")
ANGLES = of("test_ddim_angles", "test_the_tangent_grid_reaches_it", 7)
FIGURES = of("test_ddim_angles", "test_figures")
ENDS = of("test_ddim_angles", "test_equation_18_is_attained_at_its_ends")
RIPPLE = of("test_ddim_angles", "test_the_ripple", 3.0)
ROOT = of("test_theorem_6", "test_without_a_lower_eigenvalue")
REACHES = of("test_phase", "test_its_tape_reaches_the_floor_on_every_spectrum")
SHIFTED = of("test_ddim_angles", "test_shifted_is_of_second_order")
INFLATED = of("test_ddim_angles", "test_the_inflated_start")
WALK, TWIN = (
    of("test_look_back", "test_the_walk_at_its_ends"),
    of("test_look_back", "test_the_fast_twin_is_the_tapes_law", 5, 0.7),
)
FITS, SPANS = (
    of("test_look_back", f"test_{name}") for name in ("fits_lower_what_they_fit", "it_spans_what_it_has_to")
)
CERTIFIED = of("test_affine_certificate", "test_the_floor", "1000", 3)
CERTIFIED_DDIM = of("test_affine_certificate", "test_ddims_floor")


def times(factor: float) -> Callable[[Any], Any]:
    """A number, an array or each of a tuple times a factor."""

    def change(value: Any) -> Any:
        return tuple(factor * v for v in value) if isinstance(value, tuple) else factor * value

    return change


MUTANTS: dict[str, tuple[ModuleType, str, Callable[[Any], Any], Callable[[], None]]] = {
    "log E_K": (theorem_6, "log_modulus", lambda v: v + 0.01, PRODUCT),
    "μ(κ^{−1/2})": (theorem_6, "groetzsch_root", times(1.01), PRODUCT),
    "sc, dn": (elliptic, "_near", times(1.01), ELLIPTIC),
    "levels and zeros": (phase, "jacobi_sc", times(1.01), MINIMAX),
    "nodes of the class": (phase, "jacobi_dn", times(1.01), MINIMAX),
    "√(1 − E²)": (phase, "log_modulus", lambda v: v + 0.01, MINIMAX),
    "phases": (phase, "_phases", times(1.01), TANGENT),
    "gains of a tape": (law_of_tape, "_parts", times(1.01), REACHES),
    "the start's variance": (law_of_tape, "start_moments", times(1.02), REACHES),
    "log cos": (ddim_angles, "_log_cos", times(1.01), ANGLES),
    "Θ": (ddim_angles, "_angle", times(1.01), ANGLES),
    "density of the nodes": (tangent_law, "tangent_density", times(1.01), FIGURES),
    "R's ends": (levels, "geometric_error", times(1.05), ENDS),
    "R's ripple": (levels, "geometric_error", times(1.05), RIPPLE),
    "h": (levels, "geometric_step", lambda v: (1.01 * v[0], v[1]), RIPPLE),
    "heights": (root_floor, "_heights", lambda v: (v[0], np.append(v[1][:1] + 0.01, v[1][1:])), ROOT),
    "the inflated start's h": (multistep, "geometric_step", lambda v: (1.01 * v[0], v[1]), INFLATED),
    "denoisers of ddim-shifted": (multistep, "_shifted", times(1.01), SHIFTED),
    "gains of the look back": (look_back, "_gains", times(1.01), TWIN),
    "the walk": (look_back, "walked", lambda t: replace(t, start_std=1.01 * t.start_std), WALK),
    "copies of a spectrum": (look_back, "copied", times(1.01), FITS),
    "what it spans": (look_back, "positive", times(1.05), SPANS),
    "certified E_K": (affine, "_floor", times(1.01), CERTIFIED),
    "certified Eq. 17": (affine, "_ddim", times(1.01), CERTIFIED_DDIM),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_one_per_cent_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, function, change, check = MUTANTS[name]
    root_floor._equal_heights.cache_clear()
    tangent_law._quantiles.cache_clear()
    original = getattr(module, function)
    monkeypatch.setattr(module, function, lambda *a, **k: change(original(*a, **k)))
    if module is levels:  # the checks hold the function by name
        holder = importlib.import_module("test_ddim_angles")
        monkeypatch.setattr(holder, function, getattr(module, function))
    with pytest.raises((AssertionError, ArithmeticError)):
        check()
    root_floor._equal_heights.cache_clear()
    tangent_law._quantiles.cache_clear()
