"""Sums over K uniform steps for any K, also far beyond what can be summed one by one.

A tally is Σ_k P_k^q φ_k with P_k = Π_{j>k} e^{growth_j} (j > k: nearer to the data). growth and φ are
functions of one step alone. The steps nearest to the data, where the clock varies fast, are summed one
by one; the rest is the midpoint Euler–Maclaurin formula

    Σ_k Φ(m_k) = (1/η) ∫ Φ(m) dm − (η/24) [Φ'] + (7η³/5760) [Φ'''] − …,

the first two terms, and four of the brackets where those steps end; Φ evaluated at virtual steps
[m − η/2, m + η/2]. Where η is too small for doubles to hold both ends, Φ η^{−p} (p the known order of Φ) is
extrapolated to η from three wider steps. How wide they may be, and how many panels ∫ needs, follows from how fast
log t, the clock and the products move: P by |m|λ a unit of log λ. Horizons whose steps are equally long are one
sum, read on its way.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wbound.calculus.quadrature import rule
from wbound.calculus.stable import softplus
from wbound.data.curvature import Curvature
from wbound.errors import BadInput
from wbound.forward.forward_process import Process
from wbound.sampler.steps import Batch, batch
from wbound.summation.step_rows import (
    CHECKED,
    COARSE,
    FINE,
    OTHER,
    SOUGHT,
    Asked,
    Quality,
    Rows,
    VirtualSteps,
    speed,
)
from wbound.typing import Array, Index

__all__ = ["CHECKED", "COARSE", "FINE", "SOUGHT", "Laid", "Quality", "Rows", "Tally", "one_by_one", "tally"]


class Near(NamedTuple):
    """Steps [0, ``size``) of a batch: as many for each of ``horizons``, one horizon after the other; where steps are
    equally long in all horizons, those of the longest alone."""

    batch: Batch
    size: int
    horizons: int


class Tally(NamedTuple):
    """For each horizon: ``log_P`` (J,): log of the product over all steps; ``sums`` (J, m); ``error`` (J, m):
    relative, estimated where the quality asks for a check, else 0; ``near``: the steps nearest to λ = 0 that
    were summed one by one."""

    log_P: Array
    sums: Array
    error: Array
    near: Near | None


#: log t and the clock's logarithms together move by less than this over all panels.
FARTHEST = 2e5
#: log P moves by less than this, or P is beyond doubles: m ≤ 1/λ, so that it is growth that moves it so far.
STEEPEST = 3e3
#: Where a step moves nothing by more than this, none is summed on its own (`Laid`); by the second, a kink inside
#: it does not count; by the third, nor do the formula's ends.
SMOOTH, BENT, STILL = 1e-4, 1e-5, 1e-7
#: Weights of Φ(a + kη/2) − Φ(a − kη/2), k = 1, 3, 5, 7, in the formula's end at a: in θ = η d/dt the sum of
#: 2 sinh(kθ/2) times these is 1/θ − 1/(2 sinh(θ/2)) = θ/24 − 7θ³/5760 + … up to REST θ⁹.
END = np.array([5240581 / 92897280, -315191 / 51609600, 371173 / 464486400, -27859 / 464486400])
MORE, REST = END.size, 1.06e-5
#: Where a horizon is looked at for its panels, as parts of it.
PARTS = np.linspace(0.0, 1.0, 97)
#: Lengths of steps within this of each other are one.
SAME = 1e-12


def tally(
    process: Process,
    data: Curvature,
    T: ArrayLike,
    K: ArrayLike,
    rows: Rows,
    quality: Quality = CHECKED,
    first: float = 0.0,
) -> Tally:
    """Sums of ``rows`` over K uniform steps of [first, T], for any number J of horizons T at once, which costs
    hardly more than one; K may be any real numbers ≥ 8 × the block. T and K: numbers or arrays (J,)."""
    return Laid(process, data, T, K, rows, quality, first).tally(rows)


class Laid:
    """The steps that K uniform steps of [first, T] are summed by, for J horizons: evaluated together, a check's among them,
    once for all rows that have the kinks and the stiffness of those given."""

    def __init__(
        self,
        process: Process,
        data: Curvature,
        T: ArrayLike,
        K: ArrayLike,
        rows: Rows,
        quality: Quality = CHECKED,
        first: float = 0.0,
    ) -> None:
        self.T, K = np.broadcast_arrays(np.atleast_1d(np.asarray(T, float)), np.asarray(K, float))
        self.eta = (self.T - first) / K
        self.data, self.first, self.quality, self.kinks = data, first, quality, rows.kinks
        self.asked = Asked(process)
        begin = np.full(self.T.size, np.inf)
        if first:
            begin = self.eta * speed(process, data, np.array([first]))[0]
        short = begin < SMOOTH
        # the two ways of summing the near end, each on its own
        mixed = bool(short.any() and not short.all())
        parts = [np.flatnonzero(short), np.flatnonzero(~short)] if mixed else [np.arange(self.T.size)]
        self.passes: list[list[tuple[Index, Panels]]] = []
        for closely in (quality, OTHER) if quality.check else (quality,):
            self.passes.append([])
            for part in parts:
                own = (self.T[part], self.eta[part], begin[part])
                stops, numbers = None, part
                if part.size > 1 and rows.alike and closely.rough and np.ptp(own[1]) <= SAME * own[1][0]:
                    # steps equally long: the sums of a shorter horizon are the longest one's on its way
                    order = np.argsort(own[0])
                    far = order[-1:]
                    part, stops, own = part[order], own[0][order], (own[0][far], own[1][far], own[2][far])
                    numbers = np.zeros(1, np.intp)
                panels = Panels(self.asked, data, *own, rows, closely, first, numbers, stops)
                self.passes[-1].append((part, panels))

    def tally(self, rows: Rows) -> Tally:
        """The sums of ``rows``."""
        steps: Batch | None = None
        found = np.zeros((len(rows.orders), 0))
        if not all(panels.beyond for pass_ in self.passes for _, panels in pass_):
            steps, found = self.asked.evaluate(rows)
        J, m = self.T.size, len(rows.powers)
        made = []
        for pass_ in self.passes:
            log_P, sums = np.empty(J), np.empty((J, m))
            for part, panels in pass_:
                log_P[part], sums[part] = panels.sums(found, rows)
            made.append((log_P, sums))
        (log_P, sums), *others = made
        error = np.zeros(sums.shape)
        for _, other in others:
            with np.errstate(invalid="ignore", divide="ignore"):  # a row that is 0 has no error
                apart = np.where(sums == 0.0, 0.0, np.abs(other / sums - 1.0))
            error = np.where(sums == 0.0, 0.0, apart + self._truncation()[:, None])
        panels, near = self.passes[0][0][1], None
        if steps is not None and len(self.passes[0]) == 1 and not (panels.short or panels.beyond):
            near = Near(steps, panels.at_start.stop, panels.T.size)
        return Tally(log_P, sums, error, near)

    def _truncation(self) -> Array:
        """What the formula leaves out at its ends, which no other panels show: 7/5760 (η d/dt)³ of the summand, a
        square of what moves at `speed`, and less where the block of steps ends; (J,)."""
        process, data, T, eta = self.asked.process, self.data, self.T, self.eta
        begin = self.first + self.quality.block * eta
        near: Array | float = 0.0
        if self.first:
            still = eta * speed(process, data, np.array([self.first])) < SMOOTH
            begin = np.where(still, self.first, begin)
        at_block = begin > self.first
        ends = [begin, T, *(np.clip(at, begin, T) for at in _breaks(process, self.kinks, begin, T))]
        fast = speed(process, data, np.concatenate(ends)).reshape(len(ends), -1)
        fastest = fast[1:].max(axis=0)
        if not at_block.all():
            fastest = fast.max(axis=0)
        else:
            near = REST * (2.0 * eta * fast[0]) ** 9
        return np.asarray(7.0 / 5760.0 * (2.0 * eta * fastest) ** 3 + near)


def one_by_one(process: Process, T: Array, K: Array, rows: Rows, first: float = 0.0) -> tuple[Tally, Array]:
    """The same of few steps, each summed: K whole numbers ≥ 1, (J,); and the largest log of a product on the way."""
    steps = K.astype(np.intp)
    which = np.repeat(np.arange(T.size), steps)
    begins = np.cumsum(steps) - steps
    i = np.arange(which.size) - begins[which]
    eta = ((T - first) / K)[which]
    hi = np.where(i + 1 == steps[which], T[which], first + eta * (i + 1))
    found = rows.of(batch(process, first + eta * i, hi), which)
    growth, before = found[0], np.empty(which.size)
    log_P, largest = np.zeros(T.size), np.zeros(T.size)
    if growth.any():
        for j, (begin, n) in enumerate(zip(begins, steps, strict=True)):
            own = np.cumsum(growth[begin : begin + n])
            before[begin], before[begin + 1 : begin + n] = 0.0, own[:-1]
            log_P[j], largest[j] = own[-1], own.max()
        with np.errstate(over="ignore", invalid="ignore"):  # a bound that overflows is infinite
            terms = found[1:] * np.exp(np.array(rows.powers, float)[:, None] * before)
    else:
        terms = found[1:]
    sums = np.add.reduceat(terms, begins, axis=1).T
    return Tally(log_P, sums, np.zeros(sums.shape), None), largest


class Panels:
    """The steps and panels that sums over some horizons' steps are made of, all of which begin smoothly or none; of one
    alone, the sums to each of its ``stops``, ascending, the last of which is T. ``horizons``: their numbers (J,)."""

    def __init__(
        self,
        asked: Asked,
        data: Curvature,
        T: Array,
        eta: Array,
        begin: Array,
        rows: Rows,
        quality: Quality,
        first: float,
        horizons: Index,
        stops: Array | None = None,
    ) -> None:
        process = asked.process
        self.T, self.eta, self.stops = T, eta, stops
        self.block = quality.block
        self.short = bool((begin < SMOOTH).all())
        if self.short:
            a = np.full(T.size, first)
            self.few = np.flatnonzero(begin > STILL)
            ends = first + eta[self.few, None] * np.arange(3.0)
            self.at_start = asked.between(ends, horizons[self.few])
        else:
            # steps 0 … block − 1: [first + iη, first + (i+1)η], and some more for the derivatives at the block's end
            ends = first + eta[:, None] * np.arange(quality.block + MORE + 1, dtype=float)
            self.at_start = asked.between(ends, horizons)
            a = ends[:, quality.block]
        edges = _edges(process, data, a, T, quality)
        #: whether P is beyond doubles
        self.beyond = edges is None
        if edges is None:
            return
        cuts = _cuts(process, data, first, eta, a, T, rows.kinks, quality.points > 1)
        more = [cut.ends for cut in cuts]
        if stops is not None:
            more.append(stops[None])
        if more:
            edges = np.sort(np.concatenate((edges, *more), axis=1), axis=1)
        edges[:, 0], edges[:, -1] = a, T
        lo, self.hi = edges[:, :-1], edges[:, 1:]
        self.rule = rule(quality.nodes)
        self.width = self.hi - lo
        m = lo[..., None] + self.width[..., None] * self.rule.x  # (J, panels, nodes)
        self.alone = [cut.panels(lo, self.hi) for cut in cuts]
        for j, i in self.alone:  # the step with a kink is summed as it is
            m[j, i] = (0.5 * (lo[j, i] + self.hi[j, i]))[:, None]
        self.beside = [
            cut.beside(asked, eta, j, horizons) for cut, (j, _) in zip(cuts, self.alone, strict=True)
        ]
        inside = np.minimum(m - lo[..., None], self.hi[..., None] - m)
        self.virtual = VirtualSteps(data, m, inside, eta, rows, quality, asked, horizons)
        last, step, out_of = T, eta, horizons
        if stops is not None:
            last, step = stops, np.full(stops.size, eta[0])
            out_of = np.full(stops.size, horizons[0])
        # the formula's other end
        self.few_out = np.flatnonzero(_moving(process, data, last, step, STILL))
        ends = last[self.few_out, None] + step[self.few_out, None] * np.arange(-1.0, 2.0)
        self.at_end = asked.between(ends, out_of[self.few_out])

    def sums(self, found: Array, rows: Rows) -> tuple[Array, Array]:
        """log of the product over all steps (J,), and the sums (J, m), from the rows of all steps asked for."""
        if self.beyond:
            out = np.full((self.T.size if self.stops is None else self.stops.size, len(rows.powers)), np.inf)
            return out[:, 0], out
        eta, width, r = self.eta, self.width, self.rule
        q = np.array(rows.powers, float)[:, None]
        near = found[:, self.at_start]
        if self.short:
            log_P, total = _from(near.reshape(len(found), -1, 2), self.few, self.T.size, q)
        else:
            log_P, total = _near(near.reshape(len(found), self.T.size, self.block + MORE), q)
        values = self.virtual.rows_at(found, rows)
        growth, phi = values[0], values[1:]
        rate = growth / eta[:, None, None]
        panel = width * (rate @ r.w)
        # where a kink's step stands alone the formula ends and begins anew: −(η/24)Φ' and +(η/24)Φ'
        turns = [
            (_turn(found[:, before], found[:, after]), j, i)
            for (before, after), (j, i) in zip(self.beside, self.alone, strict=True)
            if j.size
        ]
        for turn, j, i in turns:
            panel[j, i] += turn[0]
        before = log_P[:, None] + np.cumsum(panel, axis=1) - panel
        on_way = before[..., None] + width[..., None] * (rate @ r.cumulative.T) - 0.5 * growth
        # Σ_{j>k} by the same formula up to m − η/2, where its own end is: (1/8 − 1/24) η growth'
        if growth.any():
            wide = np.maximum(width, eta[:, None])  # in a shorter panel there is hardly anything to sum
            on_way += (eta[:, None] / (12.0 * wide))[..., None] * (growth @ r.derivative.T)
        with np.errstate(over="ignore", invalid="ignore"):  # a bound that overflows is infinite
            weighted = phi * np.exp(q[..., None, None] * on_way)
            parts = ((weighted @ r.w) * width) / eta[:, None]
            for turn, j, i in turns:
                parts[:, j, i] += turn[1:] * np.exp(q * before[j, i])
            if self.stops is None:
                total = total + parts.sum(axis=2)
                log_P = log_P + panel.sum(axis=1)
            else:  # up to each stop
                passed = np.searchsorted(self.hi[0], self.stops)
                total = total + np.cumsum(parts[:, 0], axis=1)[:, passed]
                log_P = log_P + np.cumsum(panel[0])[passed]
            if self.few_out.size:
                end = found[:, self.at_end].reshape(len(found), self.few_out.size, 2)
                inner = np.stack((log_P[self.few_out] - end[0, :, 0], log_P[self.few_out]), axis=1)
                outer = end[1:] * np.exp(q[..., None] * inner)
                total[:, self.few_out] -= (outer[..., 1] - outer[..., 0]) / 24.0
                log_P[self.few_out] -= (end[0, :, 1] - end[0, :, 0]) / 24.0
        return log_P, total.T


def _near(near: Array, q: Array) -> tuple[Array, Array]:
    """The steps nearest to λ = 0, one by one, from their rows (1 + m, J, n) and those of some more: log of their product
    (J,), their sums (m, J)."""
    growth, phi = near[0], near[1:]
    before = np.zeros(growth.shape)
    np.cumsum(growth[:, :-1], axis=1, out=before[:, 1:])
    with np.errstate(over="ignore", invalid="ignore"):  # steps so long that the bound overflows
        terms = phi * np.exp(q[..., None] * before)
        sums = terms[..., :-MORE].sum(axis=2) + _end(terms)
        log_P = before[:, -MORE] + _end(growth)
    return log_P, sums


def _end(terms: Array) -> Array:
    """The formula's end amid the last eight of ``terms`` (…, n), by their differences across it: exact up to η⁷Φ⁽⁷⁾."""
    after, until = terms[..., -MORE:], terms[..., -MORE - 1 : -2 * MORE - 1 : -1]
    return np.asarray((after - until) @ END)


def _from(end: Array, few: Index, J: int, q: Array) -> tuple[Array, Array]:
    """The formula's near end where it is not at λ = 0 and nothing varies fast; it counts where it moves at all: at ``few``
    of the J horizons, from the rows (1 + m, few, 2) of two steps there."""
    log_P, sums = np.zeros(J), np.zeros((q.size, J))
    if few.size:
        before = np.stack((np.zeros(few.size), end[0, :, 0]), axis=1)
        with np.errstate(over="ignore", invalid="ignore"):  # as above
            outer = end[1:] * np.exp(q[..., None] * before)
        log_P[few] = (end[0, :, 1] - end[0, :, 0]) / 24.0
        sums[:, few] = (outer[..., 1] - outer[..., 0]) / 24.0
    return log_P, sums


def _breaks(process: Process, kinks: tuple[float, ...], a: Array, T: Array) -> list[float]:
    """Times of kinks between the first a and the last T."""
    times = [at for at in process.kinks if a.min() < at < T.max()]
    if kinks:
        log_lam = process.log_lam(np.array([a.min(), T.max()]))
        times += [process.crossing(kink) for kink in kinks if log_lam[0] < kink < log_lam[1]]
    return times


_NONE: Index = np.zeros(0, np.intp)


class _Cut(NamedTuple):
    """A kink: ``ends`` (J, 2) of the step of each horizon that it is in, where such a step stands ``alone`` (J,),
    or the kink itself where steps are too short for it to matter: (J, 1) where that is so of all."""

    ends: Array
    alone: NDArray[np.bool_]

    def panels(self, lo: Array, hi: Array) -> tuple[Index, Index]:
        """Which horizon's which panel is a step alone."""
        if not self.alone.any():
            return _NONE, _NONE
        found = (lo == self.ends[:, :1]) & (hi == self.ends[:, 1:]) & self.alone[:, None]
        horizons, panels = np.nonzero(found)
        return horizons, panels

    def beside(self, asked: Asked, eta: Array, these: Index, horizons: Index) -> tuple[slice, slice]:
        """Three steps before and three after those alone, in `these` of the horizons, are asked for."""
        if not these.size:
            return slice(0), slice(0)
        away = eta[these, None] * np.arange(4.0)
        before = asked.between(np.sort(self.ends[these, :1] - away, axis=1), horizons[these])
        return before, asked.between(self.ends[these, 1:] + away, horizons[these])


def _turn(before: Array, after: Array) -> Array:
    """(1/24) of what the rows' slopes beyond a step are above those before it, times η, (1 + m, J): from three steps on
    either side (1 + m, 3J)."""
    slope: Array | float = 0.0
    for beside in (before.reshape(len(before), -1, 3)[..., ::-1], after.reshape(len(after), -1, 3)):
        # the parabola through three steps' values, where the first of them begins
        slope = slope + 3.0 * beside[..., 1] - 2.0 * beside[..., 0] - beside[..., 2]
    return np.asarray(slope / 24.0)


def _cuts(
    process: Process,
    data: Curvature,
    first: float,
    eta: Array,
    a: Array,
    T: Array,
    kinks: tuple[float, ...],
    exactly: bool,
) -> list[_Cut]:
    """The kinks, their steps alone where ``exactly`` is asked for and they are long enough."""
    cuts = []
    for at in _breaks(process, kinks, a, T):
        ends = np.clip(at, a, T)[:, None]  # a horizon without it gets a panel of no width
        alone = exactly & _moving(process, data, np.full(T.size, at), eta, BENT)
        if alone.any():
            begin = first + eta * np.floor((at - first) / eta)
            alone &= (begin >= np.maximum(a, first + 3.0 * eta)) & (begin + 4.0 * eta <= T)
            ends = np.where(alone[:, None], np.stack((begin, begin + eta), axis=1), ends)
        cuts.append(_Cut(ends, alone))
    return cuts


def _moving(process: Process, data: Curvature, t: Array, eta: Array, least: float) -> NDArray[np.bool_]:
    """Where a step moves something by more than that, at the times t (J,)."""
    out = eta > least * t
    # faster than t: the products of a profile, and the clock near the end of a process's life
    if (not data.telescopes or process.t_max < math.inf) and not out.all():
        out |= eta * speed(process, data, t) > least
    return np.asarray(out)


def _edges(process: Process, data: Curvature, a: Array, T: Array, quality: Quality) -> Array | None:
    """Panels of each [a, T] on which log t, the clock's logarithms and log P move by at most about one unit, by
    their ends (J, n + 1): as many for each, as the one that moves most needs. None where P is beyond doubles."""
    begin, far = a[:, None], T[:, None]
    samples = [begin * np.exp(PARTS * np.log(far / begin)), begin + (far - begin) * PARTS[1:-1]]
    end = process.t_max
    if end < math.inf and bool((T < end).all()):  # the clock moves by what is left of the process's life
        samples.append(end - (end - begin) * np.exp(PARTS[1:-1] * np.log((end - far) / (end - begin))))
    t = np.clip(np.concatenate(samples, axis=1), begin, far)
    t.sort(axis=1)
    t[:, 0], t[:, -1] = a, T
    log_alpha, log_lam = process.law(t)
    L0 = data.A1[1] if data.A1 is not None else data.normaliser
    move = (
        np.log(t / a[:, None])
        + softplus(np.log(data.normaliser) + log_lam)
        + softplus(np.log(L0) + log_lam)
        - log_alpha
    )
    if not data.telescopes:
        size = np.abs(data.lam_m(log_lam))
        passed = np.diff(np.maximum(log_lam, -1e4), axis=1)  # from below doubles on
        own = np.cumsum(0.5 * (size[:, 1:] + size[:, :-1]) * passed, axis=1)
        if own.max() > STEEPEST:
            return None
        move[:, 1:] += own
    move -= move[:, :1]
    longest = int(np.argmax(move[:, -1]))
    if not move[longest, -1] < FARTHEST:
        told = f"log lam = {log_lam[longest, -1]:.6g} there is too far to sum to: take a shorter one"
        raise BadInput("T", float(T[longest]), told)
    count = max(int(np.ceil(quality.density * float(move[longest, -1]))), 2)
    at = np.linspace(0.0, 1.0, count + 1)
    return np.stack([np.interp(at * own[-1], own, times) for own, times in zip(move, t, strict=True)])
