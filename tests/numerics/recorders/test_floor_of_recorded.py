"""Theorem 6 against the schedulers that people run: recorded, each is at its worst Gaussian no better than E_K."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("diffusers")

sys.path.append(str(Path(__file__).resolve().parents[2] / "wbound"))

from affine_search import alternation

from numerics.recorders.diffusers_schedulers import record_scheduler
from wbound.bounds.theorem_6 import affine_floor
from wbound.exact.law_of_tape import tape_law

SCHEDULERS: dict[str, dict[str, Any]] = {
    "DDIMScheduler": {"clip_sample": False, "timestep_spacing": "trailing"},
    "DDPMScheduler": {"clip_sample": False},
    "EulerDiscreteScheduler": {"use_karras_sigmas": True},
    "EulerAncestralDiscreteScheduler": {},
    "HeunDiscreteScheduler": {"use_karras_sigmas": True},
    "DPMSolverMultistepScheduler": {"use_karras_sigmas": True},
    "UniPCMultistepScheduler": {"use_karras_sigmas": True},
    "DEISMultistepScheduler": {},
    "LMSDiscreteScheduler": {},
    "EDMDPMSolverMultistepScheduler": {},
    "FlowMatchEulerDiscreteScheduler": {"shift": 3.0},
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_no_scheduler_is_below_the_floor(name: str) -> None:
    """On the 2K + 2 points where Theorem 5 says so, for classes of many sizes and places; K counts the calls."""
    smallest = np.inf
    for steps in (1, 2, 3, 5, 8, 12):
        if steps == 1 and name.startswith(("Heun", "EDM", "DEIS", "UniPC", "DPM", "LMS")):
            continue  # some need two levels
        tape = record_scheduler(name, steps, **SCHEDULERS[name])
        for kappa in (2.0, 1e2, 1e4, 1e6):
            floor = affine_floor(kappa, tape.K)
            for least in np.geomspace(1e-6, 10.0, 15):
                x = least * alternation(tape.K, kappa)
                for start in ("own", "prior"):
                    V = tape_law(tape, x, start=start).variance
                    off = float(np.abs(np.sqrt(V / x) - 1.0).max())
                    # what is below rounding of doubles and of the library's single precision says nothing
                    assert off >= floor * (1.0 - 1e-9) or floor < 1e-6, (steps, kappa, least, off / floor)
                    smallest = min(smallest, off / floor)
    assert 1.0 <= smallest < 1e9
