"""The law of a tape in one compiled pass: a few eigenvalues at a time through all rows, in the processor's own cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from wbound.sampler.tape import Tape
from wbound.sampler.tape_recurrence import births_of
from wbound.typing import Array, Index

__all__ = ["compiled_parts"]

#: Eigenvalues that go through the rows together.
TOGETHER = 128


def compiled_parts(tape: Tape, x: Array) -> Array:
    """(4, E): the output's gain on the start, the noises' variance, its gain on the data's mean and on 1, at x (E,)."""
    found, K = tape.recurrence, tape.K
    births = births_of(tape.answers, tape.noises) if found is None else found.births
    own = K + 1 if found is None else found.memory
    ratio = np.zeros(K + 1) if found is None else found.ratio
    # columns are read down: one after the other in memory
    columns = np.ascontiguousarray(np.hstack((tape.answers, tape.noises)).T)
    out = np.empty((4, x.size))
    _compiled()(x, tape.levels, tape.start, tape.offsets, columns, births, own, ratio, out)
    return out


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., None]:
    import numba

    compiled: Callable[..., None] = numba.njit(nogil=True, cache=True, fastmath={"contract"})(_pass)
    return compiled


def _pass(
    x: Array,
    levels: Array,
    start: Array,
    offsets: Array,
    columns: Array,
    births: Index,
    own: int,
    ratio: Array,
    out: Array,
) -> None:
    """As `wbound.exact.law_of_tape` does it in NumPy: v_j = ρ_j u_j from the last row to the first, u_j the sum of a
    column over ``own`` rows and, from there, W_i = v_i + c_{i+1}W_{i+1}."""
    K = levels.size
    v, W = np.empty((K + 1, TOGETHER)), np.empty((K + 1, TOGETHER))
    v[K], W[K] = 1.0, 1.0
    u, mean, noise = np.empty(TOGETHER), np.empty(TOGETHER), np.empty(TOGETHER)
    gain, one, at = np.empty(TOGETHER), np.empty(TOGETHER), np.empty(TOGETHER)
    for begin in range(0, x.size, TOGETHER):
        n = min(TOGETHER, x.size - begin)
        at[:n] = x[begin : begin + n]
        at[n:] = at[0]
        mean[:], noise[:], gain[:], one[:] = 0.0, 0.0, start[K], offsets[K]
        for j in range(columns.shape[0]):
            row = K - 1 - j if j < K else j  # answers from the last to the first, then noises
            column, birth = columns[row], births[row]
            last = min(birth + own - 1, K)
            weight, beyond = column[last], W[last]
            for e in range(TOGETHER):
                u[e] = weight * beyond[e]
            for i in range(birth, last):
                weight, kept = column[i], v[i]
                if weight != 0.0:
                    for e in range(TOGETHER):
                        u[e] += weight * kept[e]
            if j >= K:
                for e in range(TOGETHER):
                    noise[e] += u[e] * u[e]
                continue
            level, now, whole, after = levels[row], v[row], W[row], W[row + 1]
            a, o, c = start[row], offsets[row], ratio[row + 1]
            if math.isinf(level):
                for e in range(TOGETHER):
                    mean[e] += u[e]
                    now[e] = 0.0
            elif level == 0.0:
                for e in range(TOGETHER):
                    now[e] = -u[e] / at[e]
                    mean[e] -= now[e]
            else:
                half, unit = 0.5 * level, math.sqrt(1.0 + level)
                for e in range(TOGETHER):
                    share = 0.5 * u[e] / (0.5 * at[e] + half)  # of half of both: the sum does not overflow
                    now[e] = at[e] * share * unit
                    mean[e] += level * share
            for e in range(TOGETHER):
                gain[e] += a * now[e]
                whole[e] = now[e] + c * after[e]
            if o != 0.0:
                for e in range(TOGETHER):
                    one[e] += o * now[e]
        out[0, begin : begin + n], out[1, begin : begin + n] = gain[:n], noise[:n]
        out[2, begin : begin + n], out[3, begin : begin + n] = mean[:n], one[:n]
