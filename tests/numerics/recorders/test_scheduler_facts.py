"""The page of facts: a tenth of its rows run again, and held against the scheduler's own run on coordinates."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from numerics.recorders.scheduler_facts import CASES, SHOWN, TRAININGS, VARIANCES, fact
from numerics.report.blocks import Context
from numerics.report.sections import scheduler_facts as section

diffusers = pytest.importorskip("diffusers")
if (HERE := str(Path(__file__).resolve().parent)) not in sys.path:  # the tests are no package
    sys.path.insert(0, HERE)

ROOT = Path(__file__).resolve().parents[3]
STORED = section.stored()
ROWS: dict[str, Mapping[str, Any]] = {row["name"]: row for row in STORED["rows"]}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "docs_scheduler_facts", ROOT / "docs" / "scheduler_facts.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_case_is_stored_with_its_versions() -> None:
    assert [row["name"] for row in STORED["rows"]] == [case.name for case in CASES]
    assert len(ROWS) == len(CASES) >= 30
    assert STORED["variances"] == list(VARIANCES) and STORED["shown"] == list(SHOWN)
    for row in STORED["rows"]:
        assert set(row["w2"]) | set(row["failed"]) >= {str(K) for K in SHOWN}
        assert not set(row["w2"]) & set(row["failed"])
        if row["w2"]:
            assert row["least"] == min(row["w2"].values()) == row["w2"][str(row["least_at"])]


@pytest.mark.skipif(
    STORED["versions"]["diffusers"] != diffusers.__version__,
    reason="the stored facts are of another version of diffusers",
)
@pytest.mark.parametrize("case", CASES[3::10], ids=lambda case: case.name)
def test_a_tenth_of_the_rows_again(case: Any) -> None:
    again, row = fact(case, (10, 20, 25, 50, 100)), ROWS[case.name]
    # the library's tables are float32, and another processor rounds them otherwise: 5e-6 was seen between two
    for K, w2 in again["w2"].items():
        assert row["w2"][K] == pytest.approx(w2, rel=2e-5), K
    assert again["failed"] == {K: said for K, said in row["failed"].items() if int(K) <= 100}
    assert (again["order"] is None) == (row["order"] is None)
    if row["order"] is not None:
        assert again["order"] == pytest.approx(row["order"], rel=1e-4)


@pytest.mark.parametrize(
    "name",
    [
        "DDIMScheduler LIN clip_sample=False, timestep_spacing=leading",
        "DPMSolverMultistepScheduler SD use_karras_sigmas=True",
        "EDMEulerScheduler",
    ],
)
def test_a_row_is_what_the_scheduler_returns_on_coordinates(name: str) -> None:
    """The library run with the exact network, written apart from the recorder: gains on a start of 1, no noise."""
    from real_runs import run_real

    case = next(case for case in CASES if case.name == name)
    out = run_real(case.scheduler, {**TRAININGS[case.training], **case.options}, 10, np.array(VARIANCES))[0]
    w2 = math.sqrt(float(((np.abs(out) - np.sqrt(VARIANCES)) ** 2).sum()))
    assert w2 == pytest.approx(ROWS[name]["w2"]["10"], rel=1e-5)


def test_the_page_and_the_report_show_the_stored_rows(script: Any) -> None:
    assert script.PAGE.read_text("utf-8") == script.page(json.loads(script.STORED.read_text("utf-8")))
    part = section.build(Context({}, True, lambda line: None))
    assert part.data["count"] == len(CASES) and json.dumps(part.data, allow_nan=False)
    assert part.data["rows"][0]["w2_10"] == STORED["rows"][0]["w2"]["10"]
    # what is known of the library without our page
    assert part.data["failing"] >= 1 and part.data["worse"] >= 1
