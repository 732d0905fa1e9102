"""The table scheme ↔ class of docs/howto/choose-a-schedule.md: each class, recorded, is that scheme on its own levels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wbound
from numerics.recorders.callables import record
from wbound.data.gaussian import Gaussian
from wbound.exact.gaussian_law import exact_w2
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.grid import Grid

pytest.importorskip("diffusers")

X = np.array([4.0, 1.0, 0.25, 0.04])
SD: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
OFF = {"clip_sample": False}
PAGE = Path(__file__).resolve().parents[3] / "docs" / "howto" / "choose-a-schedule.md"

ROWS: list[tuple[str, dict[str, Any], str]] = [
    ("DDIMScheduler", OFF, "ddim"),
    ("EulerDiscreteScheduler", {}, "ddim"),
    ("DPMSolverMultistepScheduler", {"solver_order": 1}, "ddim"),
    ("EulerAncestralDiscreteScheduler", {}, "ddpm"),
    ("DDPMScheduler", OFF, "ddpm"),
    ("DDIMScheduler", OFF | {"eta": 1.0}, "ddpm"),
    ("DDIMScheduler", OFF | {"eta": 0.5}, "ddim(eta=0.5)"),
    ("HeunDiscreteScheduler", {}, "heun"),
    ("DPMSolverMultistepScheduler", {}, "dpmpp-2m"),
    ("DPMSolverMultistepScheduler", {"solver_order": 3}, "dpmpp-3m"),
    ("LMSDiscreteScheduler", {}, "ab4"),
    ("UniPCMultistepScheduler", {"solver_order": 2}, "unipc"),
    ("UniPCMultistepScheduler", {"solver_order": 3}, "unipc-3"),
]


@pytest.mark.parametrize(("kind", "options", "scheme"), ROWS, ids=lambda value: str(value))
def test_the_class_is_the_scheme(kind: str, options: dict[str, Any], scheme: str) -> None:
    """From the exact start, so that what differs is no start; the library's tables are in single precision."""
    tape = record(kind, 8, **SD, **options)
    levels = np.append(tape.levels[:1], tape.levels[1::2]) if scheme == "heun" else tape.levels
    ours = exact_w2(
        wbound.process("ve-constant"),
        Gaussian(np.zeros(4), X),
        scheme=scheme,
        grid=Grid.from_lam(np.append(levels, 0.0)),
        start="exact",
    )
    assert tape_law(tape, X, start="exact").w2() == pytest.approx(ours, rel=3e-5)
    row = next(
        line
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith(f"| `{scheme}`") or (scheme.startswith("unipc") and line.startswith("| `unipc`"))
    )
    assert kind in row


def test_the_third_order_is_another_from_fifteen_steps_on() -> None:
    tape = record("DPMSolverMultistepScheduler", 15, **SD, solver_order=3)
    grid = Grid.from_lam(np.append(tape.levels, 0.0))
    ours = exact_w2(
        wbound.process("ve-constant"), Gaussian(np.zeros(4), X), scheme="dpmpp-3m", grid=grid, start="exact"
    )
    assert abs(tape_law(tape, X, start="exact").w2() / ours - 1.0) > 1e-3


def test_the_table_names_no_scheme_that_is_not_run() -> None:
    named = re.findall(r"^\| `([a-z][a-z0-9-]+)[`(]", PAGE.read_text("utf-8"), re.M)
    assert set(named) == {scheme.partition("(")[0] for _, _, scheme in ROWS} - {"unipc-3"}
