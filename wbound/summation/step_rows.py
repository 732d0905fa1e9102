"""The steps that sums over very many are made from (`wbound.summation.step_sums`): what is summed, how closely, which
steps are evaluated for it, and virtual steps where doubles hold none of the right length."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from wbound.data.curvature import Curvature
from wbound.forward.forward_process import Process
from wbound.sampler.steps import Batch, batch
from wbound.typing import Array, Index

__all__ = [
    "CHECKED",
    "COARSE",
    "FINE",
    "OTHER",
    "SOUGHT",
    "Asked",
    "Quality",
    "Rows",
    "VirtualSteps",
    "speed",
]


class Rows(NamedTuple):
    """What is summed: ``of(batch, which) -> (1 + m, N)``, the growth first, where ``which`` (N,) says to which
    horizon each step belongs; ``orders`` (1 + m) the powers p of η of each row as η → 0; ``powers`` (m,) the q
    of each φ."""

    of: Callable[[Batch, Index], Array]
    orders: tuple[float, ...]
    powers: tuple[int, ...]
    #: log λ where the rows have a kink
    kinks: tuple[float, ...] = ()
    #: M_1 where a row holds M_1ηG: virtual steps stay so short that it is small
    stiffness: float = 0.0
    #: whether the rows are the same whatever the horizon
    alike: bool = True


class Quality(NamedTuple):
    """Steps summed one by one, panels per unit of log clock, nodes a panel, points of an extrapolation and the
    width of the virtual step it starts from (in units of what moves there), whether to do it all again,
    nothing of it the same, for an error estimate, and whether constants near the best will do, as while T is searched."""

    block: int
    density: float
    nodes: int
    points: int
    width: float = 2e-4
    check: bool = False
    rough: bool = False


COARSE, FINE = Quality(32, 0.5, 6, 1, rough=True), Quality(256, 1.0, 10, 3)
CHECKED, OTHER = FINE._replace(check=True), Quality(192, 1.5, 8, 3, 0.9e-4)
#: The sums of the one with the constants of the other.
SOUGHT = FINE._replace(rough=True)
#: A virtual step is no shorter than so many units in the last place of its time.
HELD = 16.0


def speed(process: Process, data: Curvature, t: Array) -> Array:
    """How fast the fastest of log t, log α, log λ and log P moves at times > 0, per unit of time."""
    log_alpha, log_lam = process.law(t)
    # g = 0 sets no limit, nor does a λ below doubles; a clock may be too fast for them
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        clock = np.exp(2.0 * (np.log(process.g(t)) - log_alpha) - log_lam)
    if not data.telescopes:
        clock = clock * np.maximum(1.0, np.abs(data.lam_m(log_lam)))
    return np.asarray(np.fmax(1.0 / t, np.fmax(process.f(t), clock)))


class Asked:
    """Steps whose rows are wanted, evaluated all at once: a call for a few steps costs as much as one for many."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lo: list[Array] = []
        self.hi: list[Array] = []
        self.which: list[Index] = []
        self.size = 0

    def add(self, lo: Array, hi: Array, which: Index) -> slice:
        """Where the rows of these steps (N,) will be; ``which`` horizon each belongs to."""
        where = slice(self.size, self.size + lo.size)
        self.size += lo.size
        self.lo.append(lo)
        self.hi.append(hi)
        self.which.append(which)
        return where

    def between(self, ends: Array, horizons: Index) -> slice:
        """The steps between neighbours in ``ends`` (J, n + 1), a row a horizon."""
        which = np.repeat(horizons, ends.shape[1] - 1)
        return self.add(ends[:, :-1].ravel(), ends[:, 1:].ravel(), which)

    @cached_property
    def steps(self) -> Batch:
        """All of them."""
        return batch(self.process, *(np.concatenate(parts) for parts in (self.lo, self.hi)))

    def evaluate(self, rows: Rows) -> tuple[Batch, Array]:
        """All steps, and their rows (1 + m, N)."""
        steps = self.steps
        # beside a t* steps may be below rounding: what is not a number there is refused by whoever asked
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return steps, rows.of(steps, np.concatenate(self.which))


class VirtualSteps:
    """The rows of steps [m − η/2, m + η/2] at middles (J, panels, nodes) that lie so far ``inside`` their panels,
    which end at kinks: what has to be evaluated for them, and what follows."""

    def __init__(
        self,
        data: Curvature,
        middles: Array,
        inside: Array,
        eta: Array,
        rows: Rows,
        quality: Quality,
        asked: Asked,
        horizons: Index,
    ) -> None:
        process = asked.process
        self.shape, self.quality = middles.shape, quality
        which = np.repeat(horizons, middles[0].size)
        m, step = middles.ravel(), np.repeat(eta, middles[0].size)
        wide = np.empty(m.size)
        direct = step > 1e-6 * m
        tiny = np.flatnonzero(~direct)
        if tiny.size:
            room = inside.ravel()[tiny]
            room = np.where(room > 0.0, 0.66 * room, np.inf)  # a panel of no width counts for nothing
            wide[tiny] = np.minimum(quality.width / speed(process, data, m[tiny]), room)
            if rows.stiffness:
                with np.errstate(divide="ignore"):  # g = 0 sets no limit
                    limit = 0.1 * np.sqrt(quality.width / (rows.stiffness * process.g(m[tiny]) ** 2))
                # a width that doubles hold at m: at m = 1e13 they hold no shorter one, and the check says what that costs
                wide[tiny] = np.minimum(wide[tiny], np.maximum(limit, HELD * np.spacing(m[tiny])))
            direct[tiny] = step[tiny] >= wide[tiny]
        self.direct, self.step, self.wide = direct, step, wide
        # extrapolation of Φη^{−p} to η by the polynomial through its values at 1, 2, 3 (or fewer) virtual widths
        self.points = quality.points if data.telescopes else max(quality.points, 2)
        self.lengths: list[Array] = []
        self.places: list[slice] = []
        if direct.any():
            self._ask(asked, m[direct], step[direct], which[direct])
        if not direct.all():
            at, own, own_wide = m[~direct], which[~direct], wide[~direct]
            for i in range(1, self.points + 1):
                self._ask(asked, at, i * own_wide, own)

    def _ask(self, asked: Asked, m: Array, step: Array, which: Index) -> None:
        lo, hi = m - 0.5 * step, m + 0.5 * step
        self.lengths.append(hi - lo)
        self.places.append(asked.add(lo, hi, which))

    def rows_at(self, found: Array, rows: Rows) -> Array:
        """(1 + m, J, panels, nodes), from the ``rows`` of all steps that were asked for."""
        direct, step = self.direct, self.step
        out = np.empty((len(rows.orders), step.size))
        orders = np.array(rows.orders)[:, None]
        values = [found[:, place] for place in self.places]
        lengths = list(self.lengths)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # as in `Asked`
            if direct.any():
                own, length = values.pop(0), lengths.pop(0)
                if self.quality.points > 1:  # as doubles hold it a step may be 1e-10 longer or shorter
                    own = own * (1.0 + orders * (step[direct] / length - 1.0))
                out[:, direct] = own
            if values:
                x = step[~direct] / self.wide[~direct]
                points = range(1, self.points + 1)
                total = np.zeros(values[0].shape)
                for i, own, length in zip(points, values, lengths, strict=True):
                    others = [j for j in points if j != i]
                    weight = math.prod(((x - j) / (i - j) for j in others), start=np.ones(x.size))
                    total += weight * own / length**orders
                out[:, ~direct] = total * step[~direct] ** orders
        return out.reshape(len(rows.orders), *self.shape)
