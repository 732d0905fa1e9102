"""`ddim` from pure noise, as flow matching starts (section 18 of docs/theory.md)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from wbound.sampler.multistep import ddim
from wbound.sampler.tape import Tape

__all__ = ["from_pure_noise"]


def from_pure_noise(levels: ArrayLike) -> Tape:
    """Flow matching's first step from t = 1, then `ddim` on ``levels`` λ_1 > … (x², the last may be 0): K + 1 evaluations.

    At λ = ∞ the answer is the data's mean, and Euler's step leads to N(mean, λ_1) (docs/theory.md, section 18): *exact*.
    Raises `BadInput`.
    """
    after = ddim(0.0).tape(levels)
    K = after.K
    per = after.start / math.sqrt(1.0 + after.start_level)  # by the state y_0 = mean + √λ_1 v
    answers = np.zeros((K + 2, K + 1))
    answers[1:, 0], answers[1:, 1:] = per, after.answers
    return Tape(
        levels=np.append(math.inf, after.levels),
        start=np.append(1.0, per * math.sqrt(after.start_level)),
        answers=answers,
        noises=np.zeros((K + 2, 0)),
        offsets=np.zeros(K + 2),
        start_level=math.inf,
        start_std=1.0,
        level_out=after.level_out,
        made={"scheme": "flow-euler", "K": K + 1},
    )
