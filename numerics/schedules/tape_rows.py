"""A tape as a row of a ranking of schedules."""

from __future__ import annotations

import math

import numpy as np

from numerics.laws.tape_parts import parts_on
from numerics.schedules.ranking import Choice
from numerics.targets.datasets import Dataset
from wbound.sampler.tape import Tape

__all__ = ["tape_row"]


def tape_row(tape: Tape, data: Dataset) -> Choice:
    """A tape's row: its levels stand for a grid, and what ranks is W2 from q_λ + W2 that its own start changes."""
    parts = parts_on(tape, data)
    exact = parts_on(tape, data, "exact").w2
    with np.errstate(divide="ignore"):
        log_lam = np.append(np.log(tape.levels), math.log(tape.level_out) if tape.level_out else -math.inf)
    name = str(tape.made.get("sampler") or tape.made.get("scheme") or "tape")
    return Choice(
        rank=0,
        process=name,
        grid="tape",
        scheme="tape",
        kind="given",
        K=tape.K,
        T=None,
        sigma_max=math.sqrt(tape.start_level),
        parameters={},
        error=exact + parts.start,
        w2=parts.w2,
        w2_exact_start=exact,
        start_share=parts.start,
        factor=1.0,
        steps=None,
        log_lam=log_lam,
        tape=tape,
    )
