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
    bad, good = 0, None
    while good is None or good - bad > 1:
        value = error(K)
        if value <= eps:
            good = K
        else:
            bad = K
        if good is not None and good - bad <= 1:
            break
        if bad >= most:
            return None
        guess = min(K * (value / eps) ** (1.0 / order), float(most))
        if good is None:
            K = min(max(int(guess * 1.05) + 1, bad + 1), most)
            continue
        K = min(max(math.ceil(guess), bad + 1), good - 1) if bad else max(min(int(guess), good - 1), 1)
        if good - bad > 8 and K in (bad + 1, good - 1) and abs(guess - K) > 2:
            K = (bad + good) // 2
    return good
