"""Every scheme of ours as a tape: its steps in the clock, written with denoisers (section 15 of docs/theory.md)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wbound.errors import BadInput
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import Steps, vanishes
from wbound.sampler.tape import Tape
from wbound.sampler.tape_writer import LONGEST, TapeWriter
from wbound.typing import Array

__all__ = ["tape_of"]

#: log λ from which λ is no double.
BEYOND = 709.0


def tape_of(s: Setting) -> Tape:
    """The tape of a scheme of ours on its nodes, for the exact score. Raises `BadInput` beyond `LONGEST` steps, and
    where λ(T) does not fit a double.

    Implements Eq. 16 (docs/theory.md, section 15): *exact*. The start is the setting's; of "exact", which depends on the
    data, the law is asked for by ``tape_law(…, start="exact")``.
    """
    K = s.nodes.K
    if K > LONGEST:
        raise BadInput("K", K, f"must be at most {LONGEST} for a tape, which holds K² numbers")
    ((_, b),) = s.nodes.blocks(K)
    made = {"scheme": s.scheme.name, "process": s.process.name, "K": K, "start": s.start}
    level, alpha = math.exp(min(s.nodes.first[1], BEYOND)), math.exp(s.nodes.first[0])
    if not math.isfinite(level * level):  # tapes are in units of √(1 + λ), and laws in their squares
        raise BadInput("T", s.nodes.T, f"has log lam(T) = {s.nodes.first[1]:.6g}: too large for a tape")
    std = math.sqrt(level / (1.0 + level))
    if s.start == "standard":
        std = 1.0 / (alpha * math.sqrt(1.0 + level))
    if s.scheme.memory is not None:
        lam = np.exp(s.nodes.log_lam)
        return s.scheme.memory.tape(
            lam, start_std=std, alpha_out=math.exp(float(b.log_alpha_lo[-1])), made=made
        )
    steps = s.scheme.steps(b)
    lam_hi, lam_lo = np.exp(b.log_lam_hi), np.exp(b.log_lam_lo)
    # in y-units ŷ_k = back·ŷ_{k−1} + c S + … with S = (D − ŷ)/λ
    back = steps.A * np.exp(-b.steps.F)
    c = steps.C * np.exp(-b.log_alpha_lo - b.log_alpha_hi)
    kept, seen = _kept(steps, b, back, c, lam_hi)
    spread = np.sqrt(steps.Q) * np.exp(-b.log_alpha_lo)
    noisy = not vanishes(steps.Q)
    second = None
    if steps.corrector is not None:
        per = np.exp(-b.log_alpha_lo - b.log_alpha_hi)
        # D multiplies the score at τ_k in x-units: s = S/α_k
        second = steps.corrector.C * per, steps.corrector.D * np.exp(-2.0 * b.log_alpha_lo)
    writer = TapeWriter(2 * K if second else K, K if noisy else 0, float(lam_hi[0]))
    state = writer.start()
    for k in range(K):
        D = writer.evaluate(state, float(lam_hi[k]))
        if second is not None and second[1][k] != 0.0:
            ahead = writer.evaluate(kept[k] * state + seen[k] * D, float(lam_lo[k]))
            first = kept[k] * state + seen[k] * D
            q = second[0][k] / lam_hi[k]
            state = back[k] * state + q * (D - state) + second[1][k] * _score(ahead, first, float(lam_lo[k]))
        elif second is not None:
            q = second[0][k] / lam_hi[k]
            state = back[k] * state + q * (D - state)
        else:
            state = kept[k] * state + seen[k] * D
        if noisy:
            state = state + spread[k] * writer.noise()
    return writer.finish(
        state,
        start_std=std,
        level_out=float(lam_lo[-1]),
        alpha_out=math.exp(float(b.log_alpha_lo[-1])),
        made=made,
    )


def _kept(steps: Steps, b: Any, back: Array, c: Array, lam_hi: Array) -> tuple[Array, Array]:
    """(κ, 1·c/λ): what a step keeps of the state and takes of the denoiser, without a difference where one is known."""
    seen = c / lam_hi
    if steps.flow is not None:
        return steps.flow.keep, seen
    if vanishes(steps.a) and vanishes(steps.c):
        return np.exp(-b.gap), -np.expm1(-b.gap)  # hf, ddpm: λ_k/λ_{k−1}
    return back - seen, seen


def _score(answer: Array, state: Array, level: float) -> Array:
    return answer if level == 0.0 else (answer - state) / level
