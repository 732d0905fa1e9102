"""The short memory of a tape, found in its numbers: most samplers carry one state and their last answers.

What a row of such a tape takes of older answers and noises is a multiple of what the row before it took. Then the
triangular solve of `tape_law` is a recursion over W_i = v_i + c_{i+1} W_{i+1}: K products of an eigenvalue instead of K².
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wbound.typing import Array, Index

__all__ = ["MEMORY", "Recurrence", "births_of", "recurrence"]

#: For so many rows a new answer or noise may be taken in any way.
MEMORY = 5
#: How far an entry may be from the multiple, in units of the largest of its column: rounding, and no more.
ACCURACY = 1e-15


class Recurrence(NamedTuple):
    """``table[i, j] = ratio[i] table[i − 1, j]`` for i ≥ births[j] + memory, columns being (answers, noises).

    ``ratio`` (K+1,); ``births`` (K + J,): the first row in which a column may stand (an answer's own plus 1).
    """

    memory: int
    ratio: Array
    births: Index


def births_of(answers: Array, noises: Array) -> Index:
    """The first row (K + J,) in which an answer, a noise may stand: its own plus 1; its first that is not 0, or the last."""
    rows, K = answers.shape
    seen = noises != 0.0
    first = np.where(seen.any(axis=0), seen.argmax(axis=0), rows - 1)
    return np.concatenate((np.arange(1, K + 1), first))


def recurrence(answers: Array, noises: Array) -> Recurrence | None:
    """The `Recurrence` of a tape's ``answers`` (K+1, K) and ``noises`` (K+1, J), or None where it has none."""
    table = np.hstack((answers, noises))
    rows, births = table.shape[0], births_of(answers, noises)
    size = np.abs(table).max(axis=0)
    before, now, age = table[:-1], table[1:], np.arange(1, rows)[:, None] - births
    both, square = before * now, before * before
    for memory in range(1, MEMORY + 1):
        old = age >= memory
        whole = np.where(old, square, 0.0).sum(axis=1)
        ratio = np.where(old, both, 0.0).sum(axis=1) / np.where(whole > 0.0, whole, 1.0)
        if (
            np.abs(now - ratio[:, None] * before)[old] <= np.broadcast_to(ACCURACY * size, old.shape)[old]
        ).all():
            return Recurrence(memory, np.concatenate(([0.0], ratio)), births)
    return None
