"""What sampling takes and refuses: seeds, memory, progress, an interruption."""

from __future__ import annotations

import gc
import math
import os
import signal
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest

import wbound
from numerics.samplers import sampling
from numerics.samplers.sampling import sample, samples
from numerics.targets.products import Gaussian
from wbound.errors import BadInput
from wbound.sampler.make_setting import setting

VP = wbound.process("vp-linear", a=1.0, b=0.5)
DIAGONAL = Gaussian(np.array([1.0, -0.5, 0.2]), np.array([2.0, 0.3, 0.7]))


def test_seeds() -> None:
    s = setting(VP, DIAGONAL, 3.0, 5)
    np.testing.assert_array_equal(samples(s, 10, np.random.SeedSequence(3)), samples(s, 10, 3))
    rng = np.random.default_rng(0)
    first, second = samples(s, 10, rng), samples(s, 10, rng)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(samples(s, 10, np.random.default_rng(0)), first)


def test_memory_is_that_of_the_result() -> None:
    n, d = 200_000, 10
    target = Gaussian(np.zeros(d), 1.0)
    sample(VP, target, 3.0, 2, n=10)  # compiled
    tracemalloc.start()
    try:
        sample(VP, target, 3.0, 5, n=n)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.3 * n * d * 8


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    sample(VP, DIAGONAL, 3.0, 5, n=10_000, progress=True)
    shown = capsys.readouterr()
    assert "sampling" in shown.err and shown.out == ""
    sample(VP, DIAGONAL, 3.0, 5, n=10_000)  # not a terminal
    assert capsys.readouterr().err == ""


def test_ctrl_c_stops_between_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    made, chunks, work = [0], [0], sampling._Chunks.advance

    def advance(self: Any, *arguments: Any) -> None:
        made[0], chunks[0] = made[0] + 1, len(self.bounds)
        if made[0] == 3:
            os.kill(os.getpid(), signal.SIGINT)
        work(self, *arguments)

    monkeypatch.setattr(sampling._Chunks, "advance", advance)
    gc.collect()
    gc.disable()  # what a signal raises inside a callback of the collection is swallowed there
    try:
        with pytest.raises(KeyboardInterrupt):
            sample(VP, Gaussian(np.zeros(10), 1.0), 3.0, 50, n=1_000_000, threads=2)
    finally:
        gc.enable()
    assert made[0] < chunks[0] // 2
    assert not [t for t in threading.enumerate() if t.name.startswith("sampler")]


def test_ctrl_c_waits_while_chunks_are_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the pool's locks it became "cannot release un-acquired lock" or "can't start new thread"."""
    handed, submit = [0], sampling.ThreadPoolExecutor.submit

    def interrupted(self: Any, *arguments: Any) -> Any:
        handed[0] += 1
        os.kill(os.getpid(), signal.SIGINT)
        return submit(self, *arguments)

    monkeypatch.setattr(sampling.ThreadPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sample(VP, Gaussian(np.zeros(10), 1.0), 3.0, 50, n=200_000, threads=2)
    assert handed[0] > 2
    assert not [t for t in threading.enumerate() if t.name.startswith("sampler")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 0}, "n = 0"),
        ({"n": 1.5}, "n = 1.5"),
        ({"n": 10**15}, "must be at most"),
        ({"seed": -1}, "seed = -1"),
        ({"threads": 0}, "threads = 0"),
        ({"bias": "sideways"}, "bias = sideways"),
        ({"bias": [0.0, 0.0, 0.0]}, "not 0"),
        ({"bias": [1.0]}, r"bias = shape \(1,\)"),
        ({"bias": ["a", "b", "c"]}, "bias = "),
        ({"score_bias": -0.1}, "score_bias"),
        ({"score_noise": math.nan}, "score_noise"),
        ({"start": "nowhere"}, "start = nowhere"),
        ({"scheme": "rk4"}, "scheme = rk4"),
        ({"grid": np.array([1.0, 0.0])}, "grid"),
        ({"K": 0}, "K = 0"),
        ({"T": -1.0}, "T = -1.0"),
        ({"target": wbound.LogConcave(3, 1.0, 1.0, 3.0)}, "has no score"),
        ({"target": 3}, "data = int"),
        ({"T": 60.0, "K": 1}, "so large that samples overflow"),
    ],
)
def test_bad_input(change: dict[str, Any], said: str) -> None:
    good = {"process": VP, "target": DIAGONAL, "T": 3.0, "K": 5, "n": 10}
    with pytest.raises(BadInput, match=said):
        sample(**(good | change))
