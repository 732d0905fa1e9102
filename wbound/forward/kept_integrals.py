"""∫_0^t of a user's own f or g² at any times: kept at fixed times as it is asked for, so that a later time costs its
last piece only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from wbound.calculus.quadrature import MANY, integrate, mesh, rule
from wbound.errors import BadInput
from wbound.typing import Array

__all__ = ["KeptIntegral"]

#: The integral is kept at times 2^{j/GRADES}, from 2^FIRST on, and where the quadrature needs shorter panels at their ends.
GRADES, FIRST = 64, -30
#: Nodes of a panel between two kept times.
NODES = 8


class KeptIntegral:
    """t ↦ ∫_0^t of a function ≥ 0 of forward times; ``option`` names it in errors, ``breaks`` are its kinks.

    What is kept for a time depends on the function alone, not on what was asked for before. Raises `BadInput` where
    the function is not finite or needs more than `MANY` panels up to there.
    """

    def __init__(self, of: Callable[[Array], Array], option: str, breaks: Sequence[float]) -> None:
        self.of, self.option, self.breaks = of, option, breaks
        #: kept times, ascending, the integrals up to them, and the next exponent
        self.kept: tuple[Array, Array, int] = np.zeros(1), np.zeros(1), GRADES * FIRST

    def __call__(self, times: Array) -> Array:
        """The integrals up to ``times`` ≥ 0, of their shape."""
        ends, index = np.unique(times, return_inverse=True)
        if not ends.size:
            return np.zeros(times.shape)
        at, sums = self._up_to(float(ends[-1]))
        last = np.searchsorted(at, ends, side="right") - 1
        out = sums[last]
        early = int(np.searchsorted(last, 0, side="right"))  # before the first kept time: one after the other
        begins = at[last]
        begins[1:early] = ends[: max(early - 1, 0)]
        rest = np.flatnonzero(begins < ends)
        pieces = np.zeros(ends.size)
        pieces[rest] = integrate(
            self.of, begins[rest], ends[rest], option=self.option, breaks=self.breaks
        ).value
        pieces[:early] = np.cumsum(pieces[:early])
        return np.asarray((out + pieces)[index].reshape(times.shape))

    def _up_to(self, end: float) -> tuple[Array, Array]:
        """The kept times and integrals, those up to ``end`` among them."""
        at, sums, following = self.kept
        last = int(np.floor(np.log2(end) * GRADES)) if end > 0.0 else following - 1
        if last < following:
            return at, sums
        new = 2.0 ** (np.arange(following, last + 1) / GRADES)
        new = new[new <= end]
        if not new.size:
            return at, sums
        r = rule(NODES)

        def moments(lo: Array, hi: Array) -> Array:
            with np.errstate(over="ignore", invalid="ignore"):  # as in `integrate`
                values = self.of(lo[:, None] + (hi - lo)[:, None] * r.x)
                # row by row: a product of matrices rounds as its number of rows has it
                return np.asarray((values * r.w).sum(axis=1)[None] * (hi - lo))

        first = new
        if not following > GRADES * FIRST:  # a singular start is for the adaptive way alone
            start = integrate(self.of, np.zeros(1), new[:1], option=self.option, breaks=self.breaks).value
            at, sums, first = np.append(at, new[0]), np.append(sums, start), new[1:]
        lo = np.append(at[-1], first[:-1]) if first.size else first
        m = mesh(lo, first, moments, option=self.option, breaks=self.breaks)
        if at.size + m.hi.size > MANY:
            raise BadInput(self.option, f"near t = {end:.6g}", "could not be integrated to 1e-12")
        # one sum after the other, wherever the calls before ended
        sums = np.append(sums[:-1], np.cumsum(np.append(sums[-1], moments(m.lo, m.hi)[0])))
        at = np.append(at, m.hi)
        self.kept = at, sums, following + new.size
        return at, sums
