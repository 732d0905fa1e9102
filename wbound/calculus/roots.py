"""A root of a function on an interval, without SciPy's optimisers, whose import takes longer than most commands."""

from __future__ import annotations

import math
from collections.abc import Callable

from wbound.errors import BadInput

__all__ = ["root"]


def root(of: Callable[[float], float], lo: float, hi: float, xtol: float) -> float:
    """Where ``of`` changes sign on [lo, hi], to ``xtol`` or as near as doubles are; its ends must have signs that differ.

    Raises `BadInput` where they have not. Source of the method: Chandrupatla, *Adv. Eng. Softw.* 28 (1997) 145–149:
    inverse quadratic interpolation where it is safe, else bisection.
    """
    # b is the latest point, a the other end of the bracket, c the one before
    b, a = lo, hi
    at_b, at_a = of(b), of(a)
    c, at_c = a, at_a
    if not at_a * at_b <= 0.0:
        raise BadInput(
            "root", f"[{lo:.6g}, {hi:.6g}]", "must be an interval on which the function changes sign"
        )
    share = 0.5
    for _ in range(2000):
        best = a if abs(at_a) < abs(at_b) else b
        if at_a == 0.0 or at_b == 0.0:
            return best
        room = (2.0 * math.ulp(best) + 0.5 * xtol) / abs(b - a)
        if room > 0.5:
            return best
        x = b + min(max(share, room), 1.0 - room) * (a - b)
        at_x = of(x)
        if (at_x > 0.0) == (at_b > 0.0):
            c, at_c = b, at_b
        else:
            c, at_c, a, at_a = a, at_a, b, at_b
        b, at_b = x, at_x
        share = 0.5
        between, height = (b - a) / (c - a), (at_b - at_a) / (at_c - at_a)
        if 1.0 - math.sqrt(1.0 - between) < height < math.sqrt(between):
            share = at_b / (at_b - at_a) * at_c / (at_c - at_a)
            share += (c - b) / (a - b) * at_b / (at_c - at_b) * at_a / (at_c - at_a)
    return best
