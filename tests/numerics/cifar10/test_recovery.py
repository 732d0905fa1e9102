"""Runs that survive: checkpoints by the clock, what they may cost, and that nothing is lost but the time since."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from numerics.cifar10 import checkpoints, comparison_runs, training
from numerics.cifar10.checkpoints import SHARE, Cadence, checkpoint_step, checkpoints_of, load_checkpoint
from numerics.cifar10.comparison_runs import spread
from numerics.cifar10.runs import Config, Run, load_run, make_config
from numerics.cifar10.training import resume, train
from wbound.errors import BadInput


def config_of(**given: Any) -> Config:
    values = {"steps": 12, "batch": 4, "log_every": 5, "checkpoint_every": 100, "decay": "none", **given}
    return make_config("vp-v1", "digits", "smoke", **values)


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("cost", [0.1, 3.0, 40.0])
def test_checkpoints_by_the_clock_take_2_percent_at_most(cost: float) -> None:
    """A day of steps of a second: one every 5 minutes where that is cheap, fewer where it is not."""
    clock = Clock()
    cadence, gaps, last = Cadence(300.0, clock), [], 0.0
    while clock.now < 86_400.0:
        clock.now += 1.0
        if cadence.due:
            gaps.append(clock.now - last)
            with cadence.held():
                clock.now += cost
            last = clock.now
    assert cadence.spent == pytest.approx(cost * len(gaps)) and cadence.spent <= SHARE * 1.03 * clock.now
    assert gaps[0] == 300.0 and max(gaps) <= max(300.0, cost / SHARE) + 1.0
    assert len(gaps) > 0.9 * 86_400.0 / (max(300.0, cost / SHARE) + cost)
    assert not Cadence(0.0, clock).due


def test_a_crash_loses_what_came_after_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Due at every step here: a crash after step 7 goes on from step 7, to the bits of a run that never stopped."""
    config = config_of(save_minutes=1e-9)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    advance = training._State.advance

    def crash(self: Any) -> Any:
        if self.step == 7:
            raise RuntimeError("out of memory")
        return advance(self)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="out of memory"):
        patch.setattr(training._State, "advance", crash)
        train(tmp_path / "cut", config)
    run = Run(tmp_path / "cut")
    assert [p.name for p in run.checkpoints.iterdir()] == ["recovery-000000007.safetensors"]
    assert run.last is not None and checkpoint_step(run.last) == 7 and load_run(run.folder).step == 7
    assert resume(run.folder).step == 12
    # the last one by steps takes its place
    assert [p.name for p in run.checkpoints.iterdir()] == ["step-000000012.safetensors"]
    train(tmp_path / "whole", replace(config, save_minutes=0.0))
    a, b = (load_checkpoint(checkpoints_of(tmp_path / n / "checkpoints")[0]) for n in ("cut", "whole"))
    assert all(
        torch.equal(a.average[k], b.average[k]) and torch.equal(a.network[k], b.network[k]) for k in a.network
    )


def test_writing_does_not_hold_training_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is held until four more steps are made; what is written is the state of the checkpoint's own step."""
    going_on, seen = threading.Event(), []
    write, advance = checkpoints.write, training._State.advance

    def slow(path: Path, content: bytes) -> Path:
        assert going_on.wait(60.0)
        return write(path, content)

    def counted(self: Any) -> Any:
        seen.append(self.step)
        if self.step == 10:
            going_on.set()
        return advance(self)

    monkeypatch.setattr(checkpoints, "write", slow)
    monkeypatch.setattr(training._State, "advance", counted)
    train(tmp_path / "slow", config_of(checkpoint_every=6))
    assert seen == list(range(12))
    monkeypatch.undo()
    train(tmp_path / "six", config_of(steps=6))
    a, b = (load_checkpoint(checkpoints_of(tmp_path / n / "checkpoints")[0]) for n in ("slow", "six"))
    assert a.step == b.step == 6 and all(torch.equal(a.network[k], b.network[k]) for k in a.network)


def test_processes_are_spread_over_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spread("auto", 3) == ["auto"] * 3
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(comparison_runs.torch.cuda, "device_count", lambda: 3)
    assert spread("auto", 8) == [f"cuda:{i}" for i in (0, 1, 2, 0, 1, 2, 0, 1)]
    assert spread("cuda:1", 4) == ["cuda:1"] * 4 and spread("cpu", 2) == ["cpu"] * 2
    monkeypatch.setattr(comparison_runs.torch.cuda, "device_count", lambda: 1)
    assert spread("cuda", 2) == ["cuda"] * 2


def test_the_cadence_is_checked() -> None:
    with pytest.raises(BadInput, match="save-minutes = -1"):
        config_of(save_minutes=-1.0)


def test_a_comparison_that_was_cut_off_measures_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash in the second batch of the second cell: the first cell and the first batch are not drawn again."""
    from numerics.cifar10 import comparison
    from numerics.cifar10.comparison import Snapshot, Sweep, judge_of, measure
    from numerics.cifar10.images import load_images
    from numerics.cifar10.kept_cells import CellStore
    from numerics.cifar10.processes import image_process

    sweep = Sweep(steps=(2, 3), at=2, n=40, seeds=2, batch=30, components=4)
    judge, process, store = (
        judge_of(load_images("digits"), sweep),
        image_process("vp-v2"),
        CellStore(tmp_path),
    )
    network = Snapshot(5, judge.law.exact_score(process), "exact")
    draw, drawn = comparison.sample_images, []

    def counted(*given: Any, **named: Any) -> Any:
        if len(drawn) == 5:
            raise RuntimeError("lost")
        drawn.append((given[3], given[5][0], len(given[5])))
        return draw(*given, **named)

    monkeypatch.setattr(comparison, "sample_images", counted)
    with pytest.raises(RuntimeError, match="lost"):
        measure(judge, process, [network], store=store)
    assert drawn == [(2, 0, 30), (2, 30, 10), (2, 40, 30), (2, 70, 10), (3, 0, 30)]
    drawn.clear()
    again = measure(judge, process, [network], store=store)
    assert drawn == [(3, 30, 10), (3, 40, 30), (3, 70, 10)]
    monkeypatch.setattr(comparison, "sample_images", draw)
    plain = measure(judge, process, [network])
    for a, b in zip(again.measured, plain.measured, strict=True):
        assert replace(a, seconds=0.0) == replace(b, seconds=0.0)
    assert not list(tmp_path.glob("*.samples")) and len(list(tmp_path.glob("*.json"))) == 2
    # another network, or one that nobody knows, is measured anew
    monkeypatch.setattr(comparison, "sample_images", lambda *a, **k: (drawn.append(a[3]), draw(*a, **k))[1])
    for identity in ("other", ""):
        drawn.clear()
        measure(judge, process, [replace(network, identity=identity)], store=store)
        assert len(drawn) == 8
    (next(tmp_path.glob("*.json"))).write_text("[1]")
    with pytest.raises(BadInput, match="is no cell of a comparison"):
        for path in tmp_path.glob("*.json"):
            store.get(path)
