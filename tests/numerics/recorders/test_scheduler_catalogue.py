"""Schedulers ranked at equal calls: the rows can be run, the lines can be pasted, and what they give is what is said."""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numerics.cli.main import main
from numerics.recorders.callables import record
from numerics.recorders.scheduler_catalogue import RankedSampler, catalogue, ranked_schedulers
from numerics.recorders.scheduler_nodes import sigma_range
from numerics.schedules.choice import choose
from numerics.targets import datasets
from wbound.errors import BadInput
from wbound.exact.law_of_tape import tape_law

diffusers = pytest.importorskip("diffusers")

DATA = datasets.from_spectrum([4.0, 1.0, 0.25, 0.04])
SD: dict[str, Any] = {
    "_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1, "clip_sample": False,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tapes are kept in a folder of this file's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def rows() -> tuple[RankedSampler, ...]:
    return ranked_schedulers(DATA, 7, SD)


def test_at_least_sixty_rows_at_equal_calls_best_first(rows: tuple[RankedSampler, ...]) -> None:
    assert len(rows) >= 60 and len({row.line for row in rows}) == len(rows)
    known = [row.w2 for row in rows if row.w2 is not None]
    assert known == sorted(known) and len(known) >= 55
    assert {row.calls for row in rows if row.calls is not None} == {7}
    assert all(row.failed is not None for row in rows if row.w2 is None)


def test_a_pasted_line_gives_the_w2_that_is_said(rows: tuple[RankedSampler, ...]) -> None:
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
    assert found["best"]["w2"] == min(row["w2"] for row in found["rows"]) and found["warnings"] == []
    assert main(line) == 0
    assert "line to paste" in capsys.readouterr().out
    for more, words in (
        (["--for", "all"], "for = all"),
        (["--grid", "edm"], "does not go with --for diffusers"),
        (["--samples-check"], "needs samples"),
        (["--as", "sigmas"], "goes with -o FILE"),
        (["--row", "2"], "goes with -o FILE"),
        (["--as", "betas", "-o", "x.json"], "as = betas"),
        (["-o", "x.npy"], "must be one of .json"),
        (["--as", "timesteps", "-o", "x.npy"], "is laid out by no list"),
        (["--row", "99", "-o", "x.json"], "must be at most"),
        (["--sigma-max", "-1"], "sigma_max"),
        (["--tape", "nowhere.json"], "nowhere.json"),
    ):
        assert main([*line, *more]) == (4 if "nowhere" in words else 2)
        said = capsys.readouterr().err
        assert words in said or "twice" in said
    monkeypatch.setitem(sys.modules, "diffusers", None)
    assert main(line) == 2 and "wbound[diffusers]" in capsys.readouterr().err


def test_our_best_levels_run_by_the_library() -> None:
    """Sigmas for Euler, timesteps for 2M: within the training, as good as our own law says, written and read back."""
    found = {r.levels[0]: r for r in ranked_schedulers(DATA, 7, SD, own=True) if r.levels is not None}
    assert set(found) == {"sigmas", "timesteps"}
    sigmas = found["sigmas"]
    assert sigmas.levels is not None and sigmas.levels[1][-1] == 0.0 and sigmas.calls == 7
    low, high = sigma_range(SD)
    assert low * (1 - 1e-6) <= sigmas.levels[1][-2] and sigmas.levels[1][0] <= high * (1 + 1e-6)
    ours = choose(DATA, 7, processes=(), sigma_min=low, sigma_max=high).best
    # Euler is ddim; the library starts from √(σ² + 1) where we start from σ
    assert sigmas.w2 == pytest.approx(ours.w2, rel=0.02)
    timesteps = found["timesteps"].levels
    assert timesteps is not None and list(timesteps[1]) == sorted(set(timesteps[1]), reverse=True)
    best = min(
        r.w2
        for r in ranked_schedulers(DATA, 7, SD)
        if r.w2 and "solver_order=2" in r.line and "DPM" in r.line
    )
    w2 = found["timesteps"].w2
    assert w2 is not None and w2 < 1.5 * best


def test_the_range_of_a_training() -> None:
    low, high = sigma_range(SD)
    betas = np.linspace(math.sqrt(0.00085), math.sqrt(0.012), 1000) ** 2
    kept = np.cumprod(1.0 - betas)
    assert (low, high) == pytest.approx((math.sqrt(1 / kept[0] - 1), math.sqrt(1 / kept[-1] - 1)), rel=1e-4)
    assert sigma_range("EDMEulerScheduler") == (0.002, 80.0)
    with pytest.raises(BadInput, match="no smallest and largest sigma"):
        sigma_range("FlowMatchEulerDiscreteScheduler")


def test_a_row_is_written_as_the_library_reads_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out, tape = tmp_path / "config.json", tmp_path / "mine.json"
    record("EDMEulerScheduler", 5).save(tape)
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
    assert main([*line, "-o", str(out), "--tape", str(tape), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    w2 = tape_law(record(out, 5), [1.0, 0.25], output="raw").w2()
    assert w2 == pytest.approx(found["best"]["w2"], rel=1e-9) and found["written"] == 1
    given = [row for row in found["rows"] if row["line"] == "tape mine.json"]
    assert len(given) == 1 and given[0]["calls"] == 5
