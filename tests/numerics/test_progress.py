"""Progress says the time left; an interrupted command keeps and names what it has."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import numerics.report
import numerics.schedules.row_levels
import numerics.studies.curves
import numerics.verification.matrix
from numerics.cli import progress
from numerics.report import Part, Section
from wbound.sampler import grid


def interrupting(real: Callable[..., Any], after: int) -> Callable[..., Any]:
    """``real`` for so many calls, then Ctrl-C."""
    calls = [0]

    def wrapped(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    return wrapped


def test_the_time_left_is_said_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    told = progress.Progress("curve")
    for done in range(1, 9):
        now[0] += 1.0
        told(done, 10, {"at": done})
    assert capsys.readouterr().err.splitlines() == [
        "curve: 3 of 10, 3 s passed, about 7 s left",
        "curve: 6 of 10, 6 s passed, about 4 s left",
    ]
    assert len(told.rows) == 8


def test_parts_are_announced_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    announce = progress.announcing("orders", 3)
    for name in ("ou", "sub-vp", "ve-sqrt"):
        announce(name)
        now[0] += 4.0
    assert capsys.readouterr().err.splitlines() == [
        "orders of ou (1 of 3)",
        "orders of sub-vp (2 of 3, about 8 s left)",
        "orders of ve-sqrt (3 of 3, about 4 s left)",
    ]


def test_a_curve_keeps_its_points(wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["curve", "--process", "ou", "--to", "100", "--points", "3"]
    whole = wb.ask(*given)
    monkeypatch.setattr(numerics.studies.curves, "_exact", interrupting(numerics.studies.curves._exact, 2))
    file = tmp_path / "mine.svg"
    code, out, err = wb(*given, "--figure", str(file))
    assert (code, out) == (130, "") and not file.exists()
    partial = tmp_path / "mine.svg.partial.csv"
    assert err.splitlines()[-1] == f"interrupted: written so far: {partial} (8 of 15)"
    rows = list(csv.DictReader(partial.read_text("utf-8").splitlines()))
    assert len(rows) == 8 and {row["line"] for row in rows} == {"theorem_1", "theorem_2", "exact"}
    for row in rows:
        assert float(row["value"]) == whole[row["line"]][whole["K"].index(float(row["at"]))]


def test_without_a_file_it_says_what_would_have_kept_them(wb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerics.studies.curves, "_exact", interrupting(numerics.studies.curves._exact, 2))
    code, _, err = wb("curve", "--process", "ou", "--to", "100", "--points", "3")
    assert code == 130
    assert err.splitlines()[-2].startswith("ou along K: 8 of 15 were done")
    assert err.splitlines()[-1] == "interrupted: nothing was written"


def test_steps_along_eps_are_kept(wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numerics.studies.steps_needed

    monkeypatch.setattr(
        numerics.studies.steps_needed, "iterations", interrupting(numerics.studies.steps_needed.iterations, 3)
    )
    file = tmp_path / "steps.csv"
    given = ["--against", "eps", "--from", "0.1", "--to", "1", "--points", "2", "-o", str(file)]
    code, _, err = wb("curve", "--process", "ou", *given)
    assert code == 130 and not file.exists() and f"{file}.partial.csv (3 of 8)" in err


def test_the_chooser_keeps_its_rows(wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = numerics.schedules.row_levels.Task
    monkeypatch.setattr(task, "best", interrupting(task.best, 4))
    file = tmp_path / "ranking.svg"
    code, _, err = wb("choose", "--data", "digits", "--steps", "10", "--figure", str(file))
    assert code == 130 and not file.exists()
    rows = list(csv.DictReader(Path(f"{file}.partial.csv").read_text("utf-8").splitlines()))
    assert len(rows) == 4 and all(float(row["error"]) > 0.0 for row in rows) and "(4 of " in err


def test_the_matrix_keeps_its_cells(wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        numerics.verification.matrix, "run_cell", interrupting(numerics.verification.matrix.run_cell, 2)
    )
    file = tmp_path / "verify.json"
    given = ["--process", "ou", "--n", "16", "--jobs", "1", "-o", str(file)]
    code, _, err = wb("verify", "--all", *given)
    assert code == 130 and not file.exists()
    kept = json.loads(Path(f"{file}.partial.json").read_text("utf-8"))
    assert kept["partial"] is True and len(kept["rows"]) == 2 and "(2 of " in err


def test_the_report_names_its_files(wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from numerics.report import build
    from numerics.report.blocks import Column, Table

    rows = [{"a": 1.0}]
    first = Section(
        "first",
        "First",
        lambda context: Part({"rows": rows}, (Table("rows", "t", (Column("a", "A", "g"),), csv="a.csv"),)),
    )
    second = Section("second", "Second", interrupting(lambda context: Part({}, ()), 0))
    monkeypatch.setattr(
        numerics.report, "build", lambda out, **named: build(out, sections=[first, second], **named)
    )
    code, _, err = wb("report", "--out", str(tmp_path / "r"))
    assert code == 130 and err.splitlines()[-1].endswith(f"written so far: {tmp_path / 'r' / 'a.csv'}")
    assert not (tmp_path / "r" / "index.html").exists()


BOUND = ("bound", "--process", "vp-linear", "--T", "4", "--K", "200000", "--d", "3", "--m0", "1", "--L0", "2")


def test_a_long_sum_over_steps_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch, wb: Any) -> None:
    now = [0.0]

    def later() -> float:
        now[0] += 0.7
        return now[0]

    monkeypatch.setattr(progress.time, "monotonic", later)
    said = wb(*BOUND, "--mean-norm", "0")[2]
    assert "steps: 98304 of 200000" in said and "s left" in said
    assert wb(*BOUND, "--mean-norm", "0", "--quiet")[2] == ""
    assert grid.watch is None


def test_a_long_sum_over_steps_can_be_interrupted(monkeypatch: pytest.MonkeyPatch, wb: Any) -> None:
    monkeypatch.setattr(progress.Progress, "__call__", interrupting(progress.Progress.__call__, 2))
    code, out, _ = wb(*BOUND, "--mean-norm", "0", "--json")
    assert code == 130 and out == ""
