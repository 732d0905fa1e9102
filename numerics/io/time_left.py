"""How much time a long work has left, from the share of it that is done."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["TimeLeft"]


class TimeLeft:
    """Told the share of the work that is done, in (0, 1], after each unit; says the seconds left.

    The first unit's time is left out as soon as there is a second: it holds what happens once, such as imports and
    compilation.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.begun = clock()
        self.first: tuple[float, float] | None = None

    @property
    def passed(self) -> float:
        """Seconds since the work began."""
        return self.clock() - self.begun

    def after(self, share: float) -> float:
        """Seconds left when ``share`` of the work is done."""
        now = self.clock()
        since, before = (self.begun, 0.0) if self.first is None else self.first
        if share > before:
            rate = (now - since) / (share - before)
        else:  # nothing since the first unit
            rate = (now - self.begun) / share if share > 0.0 else 0.0
        if self.first is None:
            self.first = (now, share)
        return max(rate * (1.0 - share), 0.0)
