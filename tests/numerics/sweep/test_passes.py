"""Sweeps by compiled passes: the rows of one cell at a time, whatever the batches, and without a compiler too."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import pyarrow.parquet as pq
import pytest

from numerics.sweep import cells, passes
from numerics.sweep.config import described, read
from numerics.targets.named import law_of
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.sampler.description import Description
from wbound.sampler.scheme import SCHEMES
from wbound.theory.statements import upper_bound

GRID: dict[str, Any] = {
    "outputs": ["bound", "exact"],
    "process": [
        {"name": "vp-linear"},
        {"name": "ve-exponential"},
        {"f": "log(1+t)", "g": "sqrt(2*log(1+t))"},
    ],
    "target": [
        {"name": "power-law"},
        {"name": "facts", "m0": 1.0, "L0": 2.0},
        {"name": "isotropic", "mean": 1.0, "variance": 0.5},
    ],
    "d": [3],
    "T": [1.0, 3.0],
    "K": [7, 40],
    "start": ["prior", "exact", "standard"],
    "scheme": list(SCHEMES),
}


def rows(plan: Any, first: int, last: int) -> list[dict[str, Any]]:
    return pq.read_table(io.BytesIO(cells.batch(plan, first, last))).to_pylist()


def test_compiled_cells_are_the_cells_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = read(GRID)
    assert plan.cells >= cells.COMPILED
    body, spans = plan.to_dict(), [(0, 90), (plan.cells - 200, plan.cells)]
    monkeypatch.setattr(cells, "_held", None)
    compiled = [row for span in spans for row in rows(body, *span)]
    assert cells._held is not None and cells._held.compiled
    monkeypatch.setattr(cells, "_held", None)
    monkeypatch.setattr(cells, "compiles", lambda: False)  # no compiler here
    alone = [row for span in spans for row in rows(body, *span)]
    for one, other in zip(compiled, alone, strict=True):
        for name, value in other.items():
            if isinstance(value, float) and math.isfinite(value):
                assert one[name] == pytest.approx(value, rel=2e-13, abs=1e-16), (name, other)
            else:
                assert one[name] == value, (name, other)
    assert any(row["error"] for row in alone) and any(row["exact"] for row in alone)


def test_batches_of_any_size_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    body = read(GRID).to_dict()
    whole = rows(body, 0, 80)
    parts = []
    for first in range(0, 80, 16):
        monkeypatch.setattr(cells, "_held", None)  # another worker
        parts += rows(body, first, first + 16)
    assert parts == whole


def test_what_cells_share_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass of the law for both starts, one set of nodes for all targets."""
    one = {**GRID, "process": [{"name": "ou"}], "target": [{"name": "power-law"}, {"name": "isotropic"}]}
    one |= {"start": ["prior", "exact"], "T": [1.0], "scheme": ["em"], "outputs": ["exact"]}
    plan = read({**one, "K": list(range(1, 201))})
    calls: list[int] = []
    made = passes.clocked
    monkeypatch.setattr(passes, "clocked", lambda *a: calls.append(1) or made(*a))  # type: ignore[func-returns-value]
    monkeypatch.setattr(cells, "_held", None)
    cells.batch(plan.to_dict(), 0, plan.cells)
    assert plan.cells == 800 and len(calls) == 200


def test_the_description_of_a_cell_is_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound and exact value of a cell from its description as JSON, to the last digit where nothing is compiled."""
    plan = read(GRID)
    monkeypatch.setattr(cells, "_held", None)
    monkeypatch.setattr(cells, "compiles", lambda: False)
    for first in range(0, plan.cells, plan.cells // 12):
        (row,) = rows(plan.to_dict(), first, first + 1)
        ((_, index),) = plan.between(first, first + 1)
        made = described({axis: plan.axes[axis][i] for axis, i in index.items()})
        made = Description.from_dict(json.loads(json.dumps(made.to_dict())))
        assert (made.scheme, made.start, made.K) == (row["scheme"], row["start"], row["K"])
        if row["error"] is None:
            s = made.about(law_of(made))
            assert row["exact"] == float(EXACT_LAW(s)) and s.nodes.T == row["T"]
            assert row["bound"] == upper_bound(row["theorem"], row["scheme"])(s).total
