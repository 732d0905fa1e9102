"""The time left is right within a factor of 2 once a tenth of the work is done: over profiles recorded from real runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from numerics.io.time_left import TimeLeft
from numerics.report.contents import SECTIONS
from numerics.schedules.choice import SEARCH
from numerics.studies.curves import work_of
from numerics.studies.steps_needed import WORK as STEPS_WORK

#: Seconds of each unit of real runs on one machine, with what the unit was.
RECORDED = json.loads(Path(__file__).with_name("profiles.json").read_text("utf-8"))


def wrong(times: Sequence[float], shares: Sequence[float], last: float = 0.5) -> float:
    """The worst factor between the seconds said to be left and those that are, from a tenth of the work to ``last``."""
    now, total = [0.0], float(sum(times))
    left, worst, looked = TimeLeft(lambda: now[0]), 1.0, False
    for seconds, share in zip(times, shares, strict=True):
        now[0] += seconds
        said, true = left.after(share), total - now[0]
        if now[0] >= 0.1 * total and (now[0] <= last * total or not looked) and true > 0.0:
            looked = True
            worst = max(worst, said / true, true / said if said else np.inf)
    assert looked
    return worst


def shares_of(work: Sequence[float]) -> list[float]:
    return (np.cumsum(work) / np.sum(work)).tolist()


def test_a_curve_along_K() -> None:
    run = RECORDED["curve"]
    work = [work_of(key, "K", [K], None)[0] for key, K in run["units"]]
    assert wrong(run["seconds"], shares_of(work)) < 2.0


def test_steps_along_eps() -> None:
    run = RECORDED["eps"]
    assert wrong(run["seconds"], shares_of([STEPS_WORK.get(key, 1.0) for key in run["units"]])) < 2.0


@pytest.mark.parametrize("name", ["choose, eps", "verify"])
def test_rows_and_cells(name: str) -> None:
    run = RECORDED[name]
    n = len(run["seconds"])
    work = [1.0] * (n // 2) + [SEARCH] * (n // 2) if name == "choose, eps" else [1.0] * n
    assert wrong(run["seconds"], shares_of(work)) < 2.0


def test_the_report() -> None:
    """Of another run than the weights were taken from."""
    seconds = RECORDED["report"]
    order = [s for s in SECTIONS if not s.last] + [s for s in SECTIONS if s.last]
    assert set(seconds) == {s.id for s in order}
    assert wrong([seconds[s.id] for s in order], shares_of([s.share(False) for s in order])) < 2.0


def test_what_happens_once_is_left_out() -> None:
    assert wrong([5.0] + [1.0] * 99, shares_of([1.0] * 100)) == pytest.approx(1.0)
    grows = [1.0 + k for k in range(50)]
    assert wrong(grows, shares_of(grows)) == pytest.approx(1.0)
    assert wrong(grows, shares_of([1.0] * 50)) > 2.0  # the control: as if all cost the same
    now = [0.0]
    left = TimeLeft(lambda: now[0])
    now[0] = 3.0
    assert left.after(0.25) == pytest.approx(9.0) and left.passed == 3.0
    assert left.after(0.25) == pytest.approx(9.0)  # nothing more is done
    assert left.after(1.0) == 0.0
