"""Sums over K uniform steps for any K, also far beyond what can be summed one by one.

A tally is Σ_k P_k^q φ_k with P_k = Π_{j>k} e^{growth_j} (j > k: nearer to the data). growth and φ are
functions of one step alone. The steps nearest to the data, where the clock varies fast, are summed one
by one; the rest is the midpoint Euler–Maclaurin formula

    Σ_k Φ(m_k) = (1/η) ∫ Φ(m) dm − (η/24) [Φ'] + O(η³),

Φ evaluated at virtual steps [m − η/2, m + η/2]. Where η is too small for doubles to hold both ends,
Φ η^{−p} (p the known order of Φ) is extrapolated to η from three wider steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wbound.clock import Batch, batch
from wbound.data import Curvature, softplus
from wbound.errors import BadInput
from wbound.forward import Process
from wbound.quadrature import rule

__all__ = ["Rows", "Tally", "tally"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]


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
    """Steps summed one by one, panels per unit of log clock, nodes a panel, points of an extrapolation, and
    whether to do it again with other panels for an error estimate."""

    block: int
    density: float
    nodes: int
    points: int
    check: bool = False


COARSE, FINE = Quality(64, 0.5, 6, 1), Quality(2048, 1.0, 10, 3)
CHECKED, OTHER = FINE._replace(check=True), Quality(1024, 1.5, 8, 3)
#: log t and the clock's logarithms together move by less than this over all panels.
FARTHEST = 2e5
#: Relative width of the virtual steps that an extrapolation to η starts from.
WIDTH = 2e-4


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
    return Tally(log_P, sums, error, near)


def _once(
    process: Process, data: Curvature, T: Array, K: Array, rows: Rows, quality: Quality, first: float
) -> tuple[Array, Array, Batch | None]:
    eta = (T - first) / K
    q = np.array(rows.powers, float)[:, None]
    short = eta < 1e-4 * first
    if short.any() and not short.all():  # the two ways of summing the near end, each on its own
        log_P, sums = np.empty(T.size), np.empty((T.size, len(rows.powers)))
        for part in (short, ~short):
            own = rows._replace(of=_renumbered(rows, np.flatnonzero(part)))
            log_P[part], sums[part], _ = _once(process, data, T[part], K[part], own, quality, first)
        return log_P, sums, None
    near = None
    if short.all():
        a = np.full(T.size, first)
        log_P, total = _from(process, first, eta, K, rows, q)
    else:
        a, log_P, total, near = _near(process, first, eta, rows, q, quality)
    lo, hi = _panels(process, data, a, T, quality, rows.kinks)
    r = rule(quality.nodes)
    width = hi - lo
    m = lo[..., None] + width[..., None] * r.x  # (J, panels, nodes)
    values = _virtual(process, m, eta, rows, quality.points)
    growth, phi = values[0], values[1:]
    rate = growth / eta[:, None, None]
    panel = width * (rate @ r.w)
    before = log_P[:, None] + np.cumsum(panel, axis=1) - panel
    inside = before[..., None] + width[..., None] * (rate @ r.cumulative.T) - 0.5 * growth
    with np.errstate(over="ignore", invalid="ignore"):  # a bound that overflows is infinite
        weighted = phi * np.exp(q[..., None, None] * inside)
        total = total + ((weighted @ r.w) * width).sum(axis=2) / eta
    log_P = log_P + panel.sum(axis=1)
    few = np.flatnonzero(K < 1e7)  # the formula's other end; its share is below (1/K)²
    if few.size:
        ends = T[few, None] + eta[few, None] * np.arange(-1.0, 2.0)
        _, end = _rows_between(process, ends, rows, few)
        with np.errstate(over="ignore", invalid="ignore"):  # as above
            before = np.stack((log_P[few] - end[0, :, 0], log_P[few]), axis=1)
            outer = end[1:] * np.exp(q[..., None] * before)
            total[:, few] -= (outer[..., 1] - outer[..., 0]) / 24.0
        log_P[few] -= (end[0, :, 1] - end[0, :, 0]) / 24.0
    return log_P, total.T, near


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


def _from(process: Process, first: float, eta: Array, K: Array, rows: Rows, q: Array) -> tuple[Array, Array]:
    """The formula's near end where it is not at λ = 0: nothing varies fast there."""
    log_P, sums = np.zeros(eta.size), np.zeros((len(rows.powers), eta.size))
    few = np.flatnonzero(K < 1e7)  # its share is below (1/K)²
    if few.size:
        _, end = _rows_between(process, first + eta[few, None] * np.arange(3.0), rows, few)
        before = np.stack((np.zeros(few.size), end[0, :, 0]), axis=1)
        with np.errstate(over="ignore", invalid="ignore"):  # as above
            outer = end[1:] * np.exp(q[..., None] * before)
        log_P[few] = (end[0, :, 1] - end[0, :, 0]) / 24.0
        sums[:, few] = (outer[..., 1] - outer[..., 0]) / 24.0
    return log_P, sums


def _panels(
    process: Process, data: Curvature, a: Array, T: Array, quality: Quality, kinks: tuple[float, ...]
) -> tuple[Array, Array]:
    """Panels (J, n) of each [a, T] on which log t and the clock's logarithms move by at most about one unit:
    as many for each, as the one that moves most needs."""
    t = np.concatenate((np.geomspace(a, T, 97, axis=1), np.linspace(a, T, 97, axis=1)[:, 1:-1]), axis=1)
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
    move -= move[:, :1]
    longest = int(np.argmax(move[:, -1]))
    if not move[longest, -1] < FARTHEST:
        told = f"log lam = {log_lam[longest, -1]:.6g} there is too far to sum to: take a shorter one"
        raise BadInput("T", float(T[longest]), told)
    count = max(int(np.ceil(quality.density * float(move[longest, -1]))), 2)
    at = np.linspace(0.0, 1.0, count + 1)
    edges = np.stack([np.interp(at * own[-1], own, times) for own, times in zip(move, t, strict=True)])
    cuts = [process.crossing(kink) for kink in kinks if log_lam[:, 0].min() < kink < log_lam[:, -1].max()]
    cuts += [at for at in process.kinks if a.min() < at < T.max()]
    for cut in cuts:  # a horizon without it gets a panel of no width
        edges = np.sort(np.concatenate((edges, np.clip(cut, a, T)[:, None]), axis=1), axis=1)
    edges[:, 0], edges[:, -1] = a, T
    return edges[:, :-1], edges[:, 1:]


def _virtual(process: Process, middles: Array, eta: Array, rows: Rows, points: int) -> Array:
    """The rows of steps [m − η/2, m + η/2] at middles (J, panels, nodes): (1 + m, J, panels, nodes)."""
    which = np.repeat(np.arange(eta.size), middles[0].size)
    m, step = middles.ravel(), eta[which]
    direct = step > 1e-6 * m
    out = np.empty((len(rows.orders), m.size))
    if direct.any():
        at, half = m[direct], 0.5 * step[direct]
        out[:, direct] = rows.of(batch(process, at - half, at + half), which[direct])
    if not direct.all():
        at, own, step = m[~direct], which[~direct], step[~direct]
        f, g2 = process.f(at), process.g(at) ** 2
        rate = np.maximum(1.0 / at, np.maximum(f, g2 / process.sigma2(at)))
        delta = WIDTH / rate
        if rows.stiffness:
            with np.errstate(divide="ignore"):  # g = 0 sets no limit
                delta = np.minimum(delta, 0.1 * np.sqrt(WIDTH / (rows.stiffness * g2)))
        orders = np.array(rows.orders)[:, None]
        # quadratic extrapolation of Φη^{−p} from δ, 2δ, 3δ to η (with one point: its value at δ)
        x = step / delta
        weights: tuple[Array | float, ...] = (1.0,)
        if points == 3:
            weights = ((x - 2) * (x - 3) / 2, -(x - 1) * (x - 3), (x - 1) * (x - 2) / 2)
        total = np.zeros((len(rows.orders), at.size))
        for i, weight in enumerate(weights, start=1):
            wide = i * delta
            total += weight * rows.of(batch(process, at - 0.5 * wide, at + 0.5 * wide), own) / wide**orders
        out[:, ~direct] = total * step**orders
    return out.reshape(len(rows.orders), *middles.shape)
