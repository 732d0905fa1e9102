"""Sums over K uniform steps for any K, also far beyond what can be summed one by one.

A tally is Σ_k P_k^q φ_k with P_k = Π_{j>k} e^{growth_j} (j > k: nearer to the data). growth and φ are
functions of one step alone. The steps nearest to the data, where the clock varies fast, are summed one
by one; the rest is the midpoint Euler–Maclaurin formula

    Σ_k Φ(m_k) = (1/η) ∫ Φ(m) dm − (η/24) [Φ'] + O(η³),

Φ evaluated at virtual steps [m − η/2, m + η/2]. Where η is too small for doubles to hold both ends,
Φ η^{−p} (p the known order of Φ) is extrapolated to η from three wider steps. How wide they may be, and how
many panels ∫ needs, follows from how fast log t, the clock and the products move: P by |m|λ a unit of log λ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wbound.calculus.quadrature import rule
from wbound.calculus.stable import softplus
from wbound.data.curvature import Curvature
from wbound.errors import BadInput
from wbound.forward.forward_process import Process
from wbound.sampler.steps import Batch, batch
from wbound.typing import Array, Index

__all__ = ["Rows", "Tally", "tally"]


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


class Tally(NamedTuple):
    """For each horizon: ``log_P`` (J,): log of the product over all steps; ``sums`` (J, m); ``error`` (J, m):
    relative, estimated where the quality asks for a check, else 0; ``near``: the steps nearest to λ = 0 that
    were summed one by one, as many for each horizon, one horizon after the other."""

    log_P: Array
    sums: Array
    error: Array
    near: Batch | None


class Quality(NamedTuple):
    """Steps summed one by one, panels per unit of log clock, nodes a panel, points of an extrapolation and the
    width of the virtual step it starts from (in units of what moves there), and whether to do it all again,
    nothing of it the same, for an error estimate."""

    block: int
    density: float
    nodes: int
    points: int
    width: float = 2e-4
    check: bool = False


COARSE, FINE = Quality(64, 0.5, 6, 1), Quality(2048, 1.0, 10, 3)
CHECKED, OTHER = FINE._replace(check=True), Quality(1024, 1.5, 8, 3, 0.9e-4)
#: A virtual step is no shorter than so many units in the last place of its time.
HELD = 16.0
#: log t and the clock's logarithms together move by less than this over all panels.
FARTHEST = 2e5
#: log P moves by less than this, or P is beyond doubles: m ≤ 1/λ, so that it is growth that moves it so far.
STEEPEST = 3e3
#: Where a step moves nothing by more than this, none is summed on its own (`_once`); by the second, a kink inside
#: it does not count; by the third, nor do the formula's ends.
SMOOTH, BENT, STILL = 1e-4, 1e-5, 1e-7


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
    T, K = np.broadcast_arrays(np.atleast_1d(np.asarray(T, float)), np.asarray(K, float))
    log_P, sums, near = _once(process, data, T, K, rows, quality, first)
    if not quality.check:
        return Tally(log_P, sums, np.zeros(sums.shape), near)
    other = _once(process, data, T, K, rows, OTHER, first)[1]
    with np.errstate(invalid="ignore", divide="ignore"):  # a row that is 0 has no error
        error = np.where(sums == 0.0, 0.0, np.abs(other / sums - 1.0))
    left_out = _truncation(process, data, T, (T - first) / K, rows, quality, first)
    return Tally(log_P, sums, np.where(sums == 0.0, 0.0, error + left_out[:, None]), near)


def _truncation(
    process: Process, data: Curvature, T: Array, eta: Array, rows: Rows, quality: Quality, first: float
) -> Array:
    """What the formula leaves out at its ends, which no other panels show: 7/5760 (η d/dt)³ of the summand, a
    square of what moves at `_speed`; (J,)."""
    begin = first + quality.block * eta
    if first:
        begin = np.where(eta * _speed(process, data, np.array([first])) < SMOOTH, first, begin)
    ends = [begin, T, *(np.clip(at, begin, T) for at in _breaks(process, rows.kinks, begin, T))]
    fastest = np.max([_speed(process, data, end) for end in ends], axis=0)
    return np.asarray(7.0 / 5760.0 * (2.0 * eta * fastest) ** 3)


def _once(
    process: Process, data: Curvature, T: Array, K: Array, rows: Rows, quality: Quality, first: float
) -> tuple[Array, Array, Batch | None]:
    eta = (T - first) / K
    q = np.array(rows.powers, float)[:, None]
    begin = eta * _speed(process, data, np.array([first]))[0] if first else np.full(T.size, np.inf)
    short = begin < SMOOTH
    if short.any() and not short.all():  # the two ways of summing the near end, each on its own
        log_P, sums = np.empty(T.size), np.empty((T.size, len(rows.powers)))
        for part in (short, ~short):
            own = rows._replace(of=_renumbered(rows, np.flatnonzero(part)))
            log_P[part], sums[part], _ = _once(process, data, T[part], K[part], own, quality, first)
        return log_P, sums, None
    near = None
    if short.all():
        a = np.full(T.size, first)
        log_P, total = _from(process, first, eta, begin > STILL, rows, q)
    else:
        a, log_P, total, near = _near(process, first, eta, rows, q, quality)
    edges = _edges(process, data, a, T, quality)
    if edges is None:
        return np.full(T.size, np.inf), np.full((T.size, len(rows.powers)), np.inf), near
    cuts = _cuts(process, data, first, eta, a, T, rows.kinks, quality.points > 1)
    edges = np.sort(np.concatenate((edges, *(cut.ends for cut in cuts)), axis=1), axis=1)
    edges[:, 0], edges[:, -1] = a, T
    lo, hi = edges[:, :-1], edges[:, 1:]
    r = rule(quality.nodes)
    width = hi - lo
    m = lo[..., None] + width[..., None] * r.x  # (J, panels, nodes)
    alone = [cut.panels(lo, hi) for cut in cuts]
    for j, i in alone:  # the step with a kink is summed as it is
        m[j, i] = (0.5 * (lo[j, i] + hi[j, i]))[:, None]
    inside = np.minimum(m - lo[..., None], hi[..., None] - m)
    values = _virtual(process, data, m, inside, eta, rows, quality)
    growth, phi = values[0], values[1:]
    rate = growth / eta[:, None, None]
    panel = width * (rate @ r.w)
    # where a kink's step stands alone the formula ends and begins anew: −(η/24)Φ' and +(η/24)Φ'
    turns = [
        (cut.turns(process, rows, eta, j), j, i) for cut, (j, i) in zip(cuts, alone, strict=True) if j.size
    ]
    for turn, j, i in turns:
        panel[j, i] += turn[0]
    before = log_P[:, None] + np.cumsum(panel, axis=1) - panel
    inside = before[..., None] + width[..., None] * (rate @ r.cumulative.T) - 0.5 * growth
    # Σ_{j>k} by the same formula up to m − η/2, where its own end is: (1/8 − 1/24) η growth'
    if growth.any():
        wide = np.maximum(width, eta[:, None])  # in a shorter panel there is hardly anything to sum
        inside += (eta[:, None] / (12.0 * wide))[..., None] * (growth @ r.derivative.T)
    with np.errstate(over="ignore", invalid="ignore"):  # a bound that overflows is infinite
        weighted = phi * np.exp(q[..., None, None] * inside)
        total = total + ((weighted @ r.w) * width).sum(axis=2) / eta
        for turn, j, i in turns:
            total[:, j] += turn[1:] * np.exp(q * before[j, i])
    log_P = log_P + panel.sum(axis=1)
    few = np.flatnonzero(_moving(process, data, T, eta, STILL))  # the formula's other end
    if few.size:
        ends = T[few, None] + eta[few, None] * np.arange(-1.0, 2.0)
        _, end = _rows_between(process, ends, rows, few)
        with np.errstate(over="ignore", invalid="ignore"):  # as above
            before = np.stack((log_P[few] - end[0, :, 0], log_P[few]), axis=1)
            outer = end[1:] * np.exp(q[..., None] * before)
            total[:, few] -= (outer[..., 1] - outer[..., 0]) / 24.0
        log_P[few] -= (end[0, :, 1] - end[0, :, 0]) / 24.0
    return log_P, total.T, near


def _speed(process: Process, data: Curvature, t: Array) -> Array:
    """How fast the fastest of log t, log α, log λ and log P moves at times > 0, per unit of time."""
    log_alpha, log_lam = process.law(t)
    # g = 0 sets no limit, nor does a λ below doubles; a clock may be too fast for them
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        clock = np.exp(2.0 * (np.log(process.g(t)) - log_alpha) - log_lam)
    if not data.telescopes:
        clock = clock * np.maximum(1.0, np.abs(data.lam_m(log_lam)))
    return np.asarray(np.fmax(1.0 / t, np.fmax(process.f(t), clock)))


def _renumbered(rows: Rows, horizons: Index) -> Callable[[Batch, Index], Array]:
    return lambda b, which: rows.of(b, horizons[which])


def _rows_between(process: Process, ends: Array, rows: Rows, horizons: Index) -> tuple[Batch, Array]:
    """The steps between neighbours in ``ends`` (J, n + 1), a row a horizon, and their rows (1 + m, J, n)."""
    J, n = ends.shape[0], ends.shape[1] - 1
    b = batch(process, ends[:, :-1].ravel(), ends[:, 1:].ravel())
    return b, rows.of(b, np.repeat(horizons, n)).reshape(-1, J, n)


def _near(
    process: Process, first: float, eta: Array, rows: Rows, q: Array, quality: Quality
) -> tuple[Array, Array, Array, Batch]:
    """The steps nearest to λ = 0, one by one: where they end (J,), log of their product (J,), their sums
    (m, J), and themselves."""
    # steps 0 … block: [first + iη, first + (i+1)η], one more than summed, for the derivative at the block's end
    ends = first + eta[:, None] * np.arange(quality.block + 2, dtype=float)
    steps, near = _rows_between(process, ends, rows, np.arange(eta.size))
    growth, phi = near[0], near[1:]
    before = np.zeros(growth.shape)
    np.cumsum(growth[:, :-1], axis=1, out=before[:, 1:])
    with np.errstate(over="ignore", invalid="ignore"):  # steps so long that the bound overflows
        terms = phi * np.exp(q[..., None] * before)
        sums = terms[..., :-1].sum(axis=2)
        # (1/24)(Φ(a + η/2) − Φ(a − η/2)) is η/24 Φ'(a)
        sums = sums + (terms[..., -1] - terms[..., -2]) / 24.0
        log_P = before[:, -1] + (growth[:, -1] - growth[:, -2]) / 24.0
    return ends[:, -2], log_P, sums, steps


def _from(
    process: Process, first: float, eta: Array, moving: NDArray[np.bool_], rows: Rows, q: Array
) -> tuple[Array, Array]:
    """The formula's near end where it is not at λ = 0 and nothing varies fast; it counts where it moves at all."""
    log_P, sums = np.zeros(eta.size), np.zeros((len(rows.powers), eta.size))
    few = np.flatnonzero(moving)
    if few.size:
        _, end = _rows_between(process, first + eta[few, None] * np.arange(3.0), rows, few)
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

    def turns(self, process: Process, rows: Rows, eta: Array, horizons: Index) -> Array:
        """(1/24) of what the rows' slopes beyond the step are above those before it, times η: (1 + m, J)."""
        step = eta[horizons, None]
        slope: Array | float = 0.0
        for end, away in ((self.ends[horizons, :1], -step), (self.ends[horizons, 1:], step)):
            at = np.sort(end + away * np.arange(4.0), axis=1)
            rows_there = _rows_between(process, at, rows, horizons)[1]
            # the parabola through three steps' values, where the first of them begins
            nearest = rows_there if away[0, 0] > 0.0 else rows_there[..., ::-1]
            slope = slope + 3.0 * nearest[..., 1] - 2.0 * nearest[..., 0] - nearest[..., 2]
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
    if not data.telescopes and not out.all():
        out |= eta * _speed(process, data, t) > least
    return np.asarray(out)


def _edges(process: Process, data: Curvature, a: Array, T: Array, quality: Quality) -> Array | None:
    """Panels of each [a, T] on which log t, the clock's logarithms and log P move by at most about one unit, by
    their ends (J, n + 1): as many for each, as the one that moves most needs. None where P is beyond doubles."""
    samples = [np.geomspace(a, T, 97, axis=1), np.linspace(a, T, 97, axis=1)[:, 1:-1]]
    end = process.t_max
    if end < math.inf and bool((T < end).all()):  # the clock moves by what is left of the process's life
        samples.append(end - np.geomspace(end - a, end - T, 97, axis=1)[:, 1:-1])
    t = np.clip(np.concatenate(samples, axis=1), a[:, None], T[:, None])
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


def _virtual(
    process: Process, data: Curvature, middles: Array, inside: Array, eta: Array, rows: Rows, quality: Quality
) -> Array:
    """The rows of steps [m − η/2, m + η/2] at middles (J, panels, nodes) that lie so far ``inside`` their panels,
    which end at kinks: (1 + m, J, panels, nodes)."""
    which = np.repeat(np.arange(eta.size), middles[0].size)
    m, step = middles.ravel(), eta[which]
    wide = np.empty(m.size)
    direct = step > 1e-6 * m
    tiny = np.flatnonzero(~direct)
    if tiny.size:
        room = inside.ravel()[tiny]
        room = np.where(room > 0.0, 0.66 * room, np.inf)  # a panel of no width counts for nothing
        wide[tiny] = np.minimum(quality.width / _speed(process, data, m[tiny]), room)
        if rows.stiffness:
            with np.errstate(divide="ignore"):  # g = 0 sets no limit
                limit = 0.1 * np.sqrt(quality.width / (rows.stiffness * process.g(m[tiny]) ** 2))
            # a width that doubles hold at m: at m = 1e13 they hold no shorter one, and the check says what that costs
            wide[tiny] = np.minimum(wide[tiny], np.maximum(limit, HELD * np.spacing(m[tiny])))
        direct[tiny] = step[tiny] >= wide[tiny]
    out = np.empty((len(rows.orders), m.size))
    orders = np.array(rows.orders)[:, None]
    # beside a t* steps may be below rounding: what is not a number there is refused by whoever asked
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if direct.any():
            lo, hi = m[direct] - 0.5 * step[direct], m[direct] + 0.5 * step[direct]
            out[:, direct] = rows.of(batch(process, lo, hi), which[direct])
            if quality.points > 1:  # as doubles hold it a step may be 1e-10 longer or shorter
                out[:, direct] *= 1.0 + orders * (step[direct] / (hi - lo) - 1.0)
        if not direct.all():
            at, own, step, wide = m[~direct], which[~direct], step[~direct], wide[~direct]
            # extrapolation of Φη^{−p} to η by the polynomial through its values at 1, 2, 3 (or fewer) virtual widths
            x = step / wide
            points = quality.points if data.telescopes else max(quality.points, 2)
            total = np.zeros((len(rows.orders), at.size))
            for i in range(1, points + 1):
                others = [j for j in range(1, points + 1) if j != i]
                weight = math.prod(((x - j) / (i - j) for j in others), start=np.ones(at.size))
                lo, hi = at - 0.5 * i * wide, at + 0.5 * i * wide
                total += weight * rows.of(batch(process, lo, hi), own) / (hi - lo) ** orders
            out[:, ~direct] = total * step**orders
    return out.reshape(len(rows.orders), *middles.shape)
