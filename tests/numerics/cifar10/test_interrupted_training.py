"""Training that Ctrl-C or SIGTERM ends: no whole step is lost, and nothing that is not finite is kept."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from typing import Any

import pytest
from small_runs import config_of, last, same

from numerics.cifar10 import training
from numerics.cifar10.checkpoints import checkpoint_step
from numerics.cifar10.runs import Run
from numerics.cifar10.training import resume, train


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_in_a_step_loses_none(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes in the seventh step, before its average: what is kept is after that step, whole."""
    config = config_of(save_minutes=0.0)
    train(tmp_path / "whole", config)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    average, calls = training.get_ema_multi_avg_fn, list[float]()

    def between(decay: float) -> Any:
        calls.append(decay)
        if len(calls) == 7:
            signal.raise_signal(number)
        return average(decay)

    before = signal.signal(number, interrupted)
    monkeypatch.setattr(training, "get_ema_multi_avg_fn", between)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", config)
    finally:
        signal.signal(number, before)
    assert last(tmp_path / "cut").name.startswith("recovery") and checkpoint_step(last(tmp_path / "cut")) == 7
    resume(tmp_path / "cut")
    assert same(last(tmp_path / "cut"), last(tmp_path / "whole"))


def test_an_interruption_keeps_nothing_that_is_not_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = training._State.advance

    def spoiled(state: Any) -> Any:
        advance(state)
        state.current[0].fill_(math.nan)
        raise KeyboardInterrupt

    monkeypatch.setattr(training._State, "advance", spoiled)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", config_of())
    assert Run(tmp_path / "run").last is None
