"""The least number of steps at which an error that falls with K is small enough."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["fewest"]


def fewest(error: Callable[[int], float], eps: float, K: int, most: int, order: int) -> int | None:
    """The least K in 1 … ``most`` with error(K) ≤ ε, from a first guess K; None if there is none.

    The error is taken to fall as K^−order at most for the next guess; between a K that is too small and one that is
    enough it is taken to be monotone.
    """
    bad, good, width = 0, None, most
    while good is None or good - bad > 1:
        value = error(K)
        if value <= eps:
            good = K
        else:
            bad = K
        if good is None:
            if bad >= most:
                return None
            guess = min(K * (value / eps) ** (1.0 / order), float(most))
            K = min(max(int(guess * 1.05) + 1, bad + 1), most)
            continue
        slow, width = good - bad > max(8, width // 2), good - bad
        guess = min(K * (value / eps) ** (1.0 / order), float(most))
        near = math.ceil(guess) if bad else int(guess)
        K = (bad + good) // 2 if slow else min(max(near, bad + 1), good - 1)
    return good
