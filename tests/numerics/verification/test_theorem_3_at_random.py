"""Theorems 3 and 3′ over random cells: none below the exact value; the smallest ratios are printed."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numerics.report.sections.verification import scattered
from numerics.targets.products import SymmetricMixture
from numerics.verification import theorem_3_at_random as module
from numerics.verification.theorem_3_at_random import draw, ratio, scatter
from wbound.data.gaussian import Gaussian

#: A slice in `make test`, the issue's 10⁵ cells in `make deep`.
CELLS = 100_000 if os.environ.get("WBOUND_DEEP", "") not in ("", "0") else 1700


def test_theorem_3_over_random_cells(capsys: pytest.CaptureFixture[str]) -> None:
    found = scatter(CELLS, seed=1, jobs=1 if CELLS < 1000 else None)
    with capsys.disabled():
        print(
            f"\nTheorem 3 over {found.cells} cells: smallest", found.smallest, "Theorem 3':", found.as_profile
        )
    assert found.cells == CELLS and 0 < found.mixtures < CELLS // 10
    assert found.violations == 0
    assert set(found.smallest) == set(module.SCHEMES)
    assert all(1.0 <= value < 1.3 for value in found.smallest.values())
    assert set(found.as_profile) == set(module.SCHEMES)
    assert all(1.0 <= value < 1.5 for value in found.as_profile.values())


def test_cells_are_of_every_kind_and_do_not_depend_on_jobs() -> None:
    rng = np.random.default_rng(0)
    drawn = [s for s in (draw(rng) for _ in range(800)) if s is not None]
    assert {s.scheme.name for s in drawn} == set(module.SCHEMES)
    assert {s.process.name for s in drawn} == set(module.PROCESSES)
    assert {type(s.data) for s in drawn} >= {Gaussian, SymmetricMixture}
    assert {s.start for s in drawn} == {"prior", "exact"}
    one, two = (scatter(300, seed=3, jobs=jobs) for jobs in (1, 2))
    assert replace(one, seconds=0.0) == replace(two, seconds=0.0)


@pytest.mark.parametrize("name", ["THEOREM_3", "THEOREM_3_PRIME"])
def test_a_bound_that_is_too_small_is_counted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    theorem = getattr(module, name)

    class Half:
        def __call__(self, s: Any) -> Any:
            b = theorem(s)
            return replace(b, total=0.5 * b.total)

    monkeypatch.setattr(module, name, Half())
    found = scatter(150, jobs=1)
    least = found.smallest if name == "THEOREM_3" else found.as_profile
    assert found.violations > 0 and min(least.values()) < 1.0
    s = next(s for s in iter(lambda: draw(np.random.default_rng(5)), 0) if s is not None)
    assert min(ratio(s)) > 0.0


def test_the_command_and_the_stored_results(wb: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    got = wb.ask("search", "--view", "scatter", "--cells", "60", "--jobs", "1", "-o", str(path))
    kept = json.loads(path.read_text("utf-8"))
    assert kept == {k: v for k, v in got.items() if k not in ("out", "null_because")}
    assert (got["cells"], got["violations"]) == (60, 0)
    code, out, _ = wb("search", "--view", "scatter", "--cells", "20", "--jobs", "1")
    assert code == 0 and "smallest bound/exact" in out
    assert "cells = 0" in wb.refused("search", "--view", "scatter", "--cells", "0")
    stored = scattered()
    assert stored["cells"] >= 10_000 and stored["violations"] == 0
    assert all(1.0 <= value < 1.05 for value in stored["smallest"].values())
