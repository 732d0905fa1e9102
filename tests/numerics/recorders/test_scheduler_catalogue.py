"""Schedulers ranked at equal calls: the rows can be run, the lines can be pasted, and what they give is what is said."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np
import pytest

from numerics.cli.main import main
from numerics.recorders.callables import record
from numerics.recorders.scheduler_catalogue import RankedScheduler, catalogue, ranked_schedulers
from numerics.targets import datasets
from wbound.exact.law_of_tape import tape_law

diffusers = pytest.importorskip("diffusers")

DATA = datasets.from_spectrum([4.0, 1.0, 0.25, 0.04])
SD: dict[str, Any] = {
    "_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1, "clip_sample": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> tuple[RankedScheduler, ...]:
    return ranked_schedulers(DATA, 7, SD)


def test_at_least_sixty_rows_at_equal_calls_best_first(rows: tuple[RankedScheduler, ...]) -> None:
    assert len(rows) >= 60 and len({row.line for row in rows}) == len(rows)
    known = [row.w2 for row in rows if row.w2 is not None]
    assert known == sorted(known) and len(known) >= 55
    assert {row.calls for row in rows if row.calls is not None} == {7}
    assert all(row.failed is not None for row in rows if row.w2 is None)


def test_a_pasted_line_gives_the_w2_that_is_said(rows: tuple[RankedScheduler, ...]) -> None:
    rng = np.random.default_rng(2)
    known = [row for row in rows if row.w2 is not None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = diffusers.PNDMScheduler.from_config(SD)
        for i in rng.choice(len(known), 8, replace=False):
            row = known[i]
            line, _, steps = row.line.partition(".set_timesteps(")
            made = eval(
                line, {"scheduler": scheduler, **{n: getattr(diffusers, n) for n in (line.split(".")[0],)}}
            )
            tape = record(made, int(steps.rstrip(")")))
            assert tape_law(tape, DATA.eigenvalues, output="raw").w2() == pytest.approx(row.w2, rel=1e-9), (
                line
            )


def test_flow_matching_and_edm_have_their_own_rows() -> None:
    assert {line.split(".")[0] for line, _ in catalogue("FlowMatchEulerDiscreteScheduler", 6)} == {
        "FlowMatchEulerDiscreteScheduler",
        "FlowMatchHeunDiscreteScheduler",
    }
    assert all(line.startswith("EDM") for line, _ in catalogue("EDMEulerScheduler", 6))


def test_choose_for_diffusers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    line = [
        "choose",
        "--data",
        "1,0.25",
        "--steps",
        "5",
        "--for",
        "diffusers",
        "--diffusers",
        "EDMEulerScheduler",
    ]
    assert main([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["best"]["w2"] == min(row["w2"] for row in found["rows"]) and found["own"]["w2"] > 0.0
    assert main(line) == 0
    assert "line to paste" in capsys.readouterr().out
    for more, words in (
        (["--for", "all"], "for = all"),
        (["--grid", "edm"], "does not go with --for diffusers"),
    ):
        assert main([*line, *more]) == 2
        said = capsys.readouterr().err
        assert words in said or "twice" in said
    monkeypatch.setitem(sys.modules, "diffusers", None)
    assert main(line) == 2 and "wbound[diffusers]" in capsys.readouterr().err
