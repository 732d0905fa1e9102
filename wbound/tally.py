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
from numpy.typing import NDArray

from wbound.clock import Batch, batch
from wbound.data import Curvature, softplus
from wbound.forward import Process
from wbound.quadrature import rule

__all__ = ["Rows", "Tally", "tally"]

Array = NDArray[np.float64]


class Rows(NamedTuple):
    """What is summed: ``of(batch) -> (1 + m, N)``, the growth first; ``orders`` (1 + m) the powers p of η of
    each row as η → 0; ``powers`` (m,) the q of each φ."""

    of: Callable[[Batch], Array]
    orders: tuple[float, ...]
    powers: tuple[int, ...]
    #: log λ where the rows have a kink
    kinks: tuple[float, ...] = ()
    #: M_1 where a row holds M_1ηG: virtual steps stay so short that it is small
    stiffness: float = 0.0


class Tally(NamedTuple):
    """``log_P``: log of the product over all steps; ``sums`` (m,); ``error`` (m,): relative, estimated
    where the quality asks for a check, else 0."""

    log_P: float
    sums: Array
    error: Array


class Quality(NamedTuple):
    """Steps summed one by one, panels per unit of log clock, nodes a panel, points of an extrapolation, and
    whether to do it again with other panels for an error estimate."""

    block: int
    density: float
    nodes: int
    points: int
    check: bool = False


COARSE, FINE = Quality(256, 0.5, 6, 1), Quality(2048, 1.0, 10, 3)
CHECKED, OTHER = FINE._replace(check=True), Quality(1024, 1.5, 8, 3)
#: Relative width of the virtual steps that an extrapolation to η starts from.
WIDTH = 2e-4


def tally(
    process: Process,
    data: Curvature,
    T: float,
    K: float,
    rows: Rows,
    quality: Quality = CHECKED,
    first: float = 0.0,
) -> Tally:
    """Sums of ``rows`` over K uniform steps of [first, T]; K may be any real number ≥ 8 × the block."""
    value = _once(process, data, T, K, rows, quality, first)
    if not quality.check:
        return Tally(*value, np.zeros(len(rows.powers)))
    other = _once(process, data, T, K, rows, OTHER, first)
    with np.errstate(invalid="ignore", divide="ignore"):  # a row that is 0 has no error
        error = np.where(value[1] == 0.0, 0.0, np.abs(other[1] / value[1] - 1.0))
    return Tally(*value, error)


def _once(
    process: Process, data: Curvature, T: float, K: float, rows: Rows, quality: Quality, first: float
) -> tuple[float, Array]:
    eta = (T - first) / K
    q = np.array(rows.powers, float)[:, None]
    if eta < 1e-4 * first:
        a = first
        log_P, sums = _from(process, first, eta, K, rows, q)
    else:
        a, log_P, sums = _near(process, first, eta, rows, q, quality)
    lo, hi = _panels(process, data, a, T, quality, rows.kinks)
    r = rule(quality.nodes)
    width = (hi - lo)[:, None]
    m = lo[:, None] + width * r.x
    values = _virtual(process, m.ravel(), eta, rows, quality.points).reshape(len(rows.orders), *m.shape)
    growth, phi = values[0], values[1:]
    rate = growth / eta
    panel = width[:, 0] * (rate @ r.w)
    start = log_P + np.concatenate(([0.0], np.cumsum(panel)[:-1]))
    inside = start[:, None] + width * (rate @ r.cumulative.T) - 0.5 * growth
    with np.errstate(over="ignore", invalid="ignore"):  # a bound that overflows is infinite
        weighted = phi * np.exp(q[:, :, None] * inside)
        sums = sums + ((weighted @ r.w) * width[:, 0]).sum(axis=1) / eta
    total = log_P + float(panel.sum())
    if K < 1e7:  # the formula's other end; its share is below (1/K)²
        end = rows.of(batch(process, np.array([T - eta, T]), np.array([T, T + eta])))
        with np.errstate(over="ignore", invalid="ignore"):  # as above
            outer = end[1:] * np.exp(q * np.array([total - end[0, 0], total]))
            sums = sums - (outer[:, 1] - outer[:, 0]) / 24.0
        total -= float(end[0, 1] - end[0, 0]) / 24.0
    return total, sums


def _near(
    process: Process, first: float, eta: float, rows: Rows, q: Array, quality: Quality
) -> tuple[float, float, Array]:
    """The steps nearest to λ = 0, one by one: where they end, log of their product, and their sums."""
    # steps 0 … block: [first + iη, first + (i+1)η], one more than summed, for the derivative at the block's end
    ends: Array = first + eta * np.arange(quality.block + 2, dtype=float)
    near = rows.of(batch(process, ends[:-1], ends[1:]))
    growth, phi = near[0], near[1:]
    before = np.concatenate(([0.0], np.cumsum(growth)))[:-1]
    with np.errstate(over="ignore", invalid="ignore"):  # steps so long that the bound overflows
        terms = phi * np.exp(q * before)
        sums = terms[:, :-1].sum(axis=1)
        # (1/24)(Φ(a + η/2) − Φ(a − η/2)) is η/24 Φ'(a)
        sums = sums + (terms[:, -1] - terms[:, -2]) / 24.0
        log_P = float(before[-1] + (growth[-1] - growth[-2]) / 24.0)

    return float(ends[-2]), log_P, sums


def _from(process: Process, first: float, eta: float, K: float, rows: Rows, q: Array) -> tuple[float, Array]:
    """The formula's near end where it is not at λ = 0: nothing varies fast there."""
    if K >= 1e7:  # its share is below (1/K)²
        return 0.0, np.zeros(len(rows.powers))
    ends: Array = first + eta * np.arange(3.0)
    end = rows.of(batch(process, ends[:-1], ends[1:]))
    with np.errstate(over="ignore", invalid="ignore"):  # as above
        outer = end[1:] * np.exp(q * np.array([0.0, end[0, 0]]))
    return float(end[0, 1] - end[0, 0]) / 24.0, (outer[:, 1] - outer[:, 0]) / 24.0


def _panels(
    process: Process, data: Curvature, a: float, T: float, quality: Quality, kinks: tuple[float, ...]
) -> tuple[Array, Array]:
    """Panels of [a, T] on which log t and the clock's logarithms move by at most about one unit."""
    t = np.unique(np.concatenate((np.geomspace(a, T, 97), np.linspace(a, T, 97))))
    t[0], t[-1] = a, T
    log_alpha, log_lam = process.law(t)
    L0 = data.A1[1] if data.A1 is not None else data.normaliser
    move = (
        np.log(t / a)
        + softplus(np.log(data.normaliser) + log_lam)
        + softplus(np.log(L0) + log_lam)
        - log_alpha
    )
    count = max(int(np.ceil(quality.density * (move[-1] - move[0]))), 2)
    edges = np.interp(np.linspace(move[0], move[-1], count + 1), move, t)
    inside = [kink for kink in kinks if log_lam[0] < kink < log_lam[-1]]
    if inside:
        edges = np.unique(np.append(edges, [process.crossing(kink) for kink in inside]))
    edges = np.unique(np.append(edges, [at for at in process.kinks if a < at < T]))
    edges[0], edges[-1] = a, T
    return edges[:-1], edges[1:]


def _virtual(process: Process, m: Array, eta: float, rows: Rows, points: int) -> Array:
    """The rows of steps [m − η/2, m + η/2], (1 + m, N)."""
    direct = eta > 1e-6 * m
    out = np.empty((len(rows.orders), m.size))
    if direct.any():
        at = m[direct]
        out[:, direct] = rows.of(batch(process, at - 0.5 * eta, at + 0.5 * eta))
    if not direct.all():
        at = m[~direct]
        f, g2 = process.f(at), process.g(at) ** 2
        rate = np.maximum(1.0 / at, np.maximum(f, g2 / process.sigma2(at)))
        delta = WIDTH / rate
        if rows.stiffness:
            with np.errstate(divide="ignore"):  # g = 0 sets no limit
                delta = np.minimum(delta, 0.1 * np.sqrt(WIDTH / (rows.stiffness * g2)))
        orders = np.array(rows.orders)[:, None]
        # quadratic extrapolation of Φη^{−p} from δ, 2δ, 3δ to η (with one point: its value at δ)
        x = eta / delta
        weights: tuple[Array | float, ...] = (1.0,)
        if points == 3:
            weights = ((x - 2) * (x - 3) / 2, -(x - 1) * (x - 3), (x - 1) * (x - 2) / 2)
        total = np.zeros((len(rows.orders), at.size))
        for i, weight in enumerate(weights, start=1):
            wide = i * delta
            total += weight * rows.of(batch(process, at - 0.5 * wide, at + 0.5 * wide)) / wide**orders
        out[:, ~direct] = total * eta**orders
    return out
