"""Integrals over many intervals at once: Gauss–Legendre panels, halved until they agree.

Every integral over a step goes through here unless a closed form is known. A panel is accepted when
its rule and the rule on its two halves agree; the disagreement is kept as the error estimate, so
that an upper bound can be moved upward by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from wbound.errors import BadInput
from wbound.typing import Array, Index

__all__ = ["Integral", "Mesh", "Rule", "halved", "integrate", "mesh", "rule", "weighted_rule"]


#: Halvings of one interval before the integrand is called not integrable.
MAX_DEPTH = 200
#: More panels at once than this are no integral that converges.
MANY = 200_000
#: More panels of one interval than this that do not agree are no singularity, which has one at each depth.
NOISY = 32
#: Rounding that is taken for what it is, relative to the interval's integral.
NOISE = 1e-6
#: An interval whose first panel alone still does not agree after so many halvings has a singularity at its start,
#: and is cut there at these parts of the panel at once.
SINGULAR, GRADES = 3, np.append(0.0, 0.5 ** np.arange(8.0, -1.0, -1.0))
#: Halvings that lead from the panel to each part.
DEEPER = np.array([8, 8, 7, 6, 5, 4, 3, 2, 1])
#: Intervals treated together, so that memory stays small for a million steps, and up to how many by both rules at once.
CHUNK, AT_ONCE = 16384, 4096


class Rule(NamedTuple):
    """A Gauss–Legendre rule on [0, 1]: nodes (n,), weights (n,), and two matrices (n, n): row i of one
    integrates the interpolating polynomial from 0 to node i, row i of the other differentiates it there."""

    x: Array
    w: Array
    cumulative: Array
    derivative: Array


@cache
def rule(n: int) -> Rule:
    """The n-point `Rule`: exact for polynomials of degree 2n − 1 (its running integrals: n − 1)."""
    x, w = np.polynomial.legendre.leggauss(n)
    # Legendre expansion of each Lagrange polynomial, integrated term by term:
    # ∫_{-1}^x P_j = (P_{j+1} − P_{j−1})/(2j+1), and ∫_{-1}^x P_0 = x + 1.
    P = np.polynomial.legendre.legvander(x, n)
    coefficients = (2 * np.arange(n) + 1)[:, None] / 2 * (P[:, :n].T * w)
    running = np.empty((n, n))
    running[:, 0] = x + 1.0
    for j in range(1, n):
        running[:, j] = (P[:, j + 1] - P[:, j - 1]) / (2 * j + 1)
    slopes = np.polynomial.legendre.legval(x, np.polynomial.legendre.legder(np.eye(n))).T
    return Rule((x + 1) / 2, w / 2, running @ coefficients / 2, 2 * slopes @ coefficients)


@cache
def weighted_rule(n: int, power: int) -> tuple[Array, Array]:
    """Nodes and weights (n,) of Gauss's rule on [0, 1] for ∫z^power f(z)dz: exact for f of degree 2n − 1."""
    from scipy.special import roots_jacobi  # slow to import, and most bounds need none

    x, w = roots_jacobi(n, 0, power)
    return 0.5 * (x + 1.0), w * 0.5 ** (power + 1)


class Mesh(NamedTuple):
    """Panels that tile given intervals: ends (P,), the interval each belongs to, sorted in time, and
    the summed error estimate per quantity and interval (m, N)."""

    lo: Array
    hi: Array
    owner: Index
    error: Array


def _gather(join: np.ufunc, into: Array, owner: Index, values: Array) -> None:
    """``into[:, owner] = join(into[:, owner], values)``, owners repeated."""
    for row, new in zip(into, values, strict=True):
        join.at(row, owner, new)


def mesh(
    lo: Array,
    hi: Array,
    moments: Callable[[Array, Array], Array],
    combine: Callable[[Array, Array], Array] = np.add,
    rtol: float = 1e-13,
    option: str = "integrand",
    against: tuple[int, ...] | None = None,
    breaks: Sequence[float] = (),
    floor: float = 0.0,
) -> Mesh:
    """Panels on which ``moments(lo, hi) -> (m, P)`` agrees with itself on the two halves.

    ``combine(first, second)`` joins the moments of two adjacent panels (a sum unless the moments are
    relative to the panel's start). ``against`` names, for each moment, the one whose size over the whole
    interval its errors count against: itself unless said; it must be additive. ``breaks`` are times where the
    integrand has a kink: panels end there, since nodes may all lie on one side of it. ``floor``: an error per
    unit of time that is small enough whatever the value. Raises `BadInput` where the integrand is not finite
    or does not converge.
    """
    n, start = lo.size, lo
    owner = np.arange(n)
    for at in breaks:
        inside = (lo < at) & (at < hi)
        if inside.any():
            lo, hi = np.append(lo, np.full(inside.sum(), at)), np.append(np.where(inside, at, hi), hi[inside])
            owner = np.append(owner, owner[inside])
    current = moments(lo, hi)
    # a singular end never converges relative to its own panel, so errors count against the interval
    scale = np.zeros((current.shape[0], n))
    _gather(np.maximum, scale, owner, np.where(np.isfinite(current), np.abs(current), 0.0))
    rows: slice | list[int] = slice(None) if against is None else list(against)
    error = np.zeros_like(scale)
    before = np.full_like(current, np.inf)  # each panel's parent's disagreement
    done: list[tuple[Array, Array, Index]] = []
    depth = np.zeros(owner.size, int)
    while True:
        mid = 0.5 * (lo + hi)
        # one call for all halves: most meshes are small, and there the calls are what takes time
        halves = moments(np.concatenate((lo, mid)), np.concatenate((mid, hi)))
        first, second = halves[:, : lo.size], halves[:, lo.size :]
        both = combine(first, second)
        if np.isnan(both).any():
            bad = int(np.flatnonzero(np.isnan(both).any(axis=0))[0])
            raise BadInput(option, f"nan in [{lo[bad]:.6g}, {hi[bad]:.6g}]", "must be finite for t > 0")
        with np.errstate(invalid="ignore"):  # inf − inf where a huge step overflows: taken as agreed
            gap = np.abs(both - current)
        gap[np.isinf(both)] = 0.0
        _gather(np.maximum, scale, owner, np.where(np.isinf(both), 0.0, np.abs(both)))
        size = np.maximum(np.abs(both), 1e-2 * scale[rows][:, owner])
        fine = gap <= np.maximum(rtol * size, floor * (hi - lo))
        # halving does not help, on many panels at once: the integrand's own rounding, near a zero of it
        many = np.bincount(owner[~fine.all(axis=0)], minlength=n)[owner] > NOISY
        fine |= many & (gap <= NOISE * size) & (gap > 0.1 * before)
        ok = fine.all(axis=0) | (mid <= lo) | (mid >= hi)
        _gather(np.add, error, owner[ok], gap[:, ok])
        done.append((lo[ok], hi[ok], owner[ok]))
        if ok.all():
            break
        bad_ = ~ok
        if 2 * np.count_nonzero(bad_) > MANY or depth[bad_].max() >= MAX_DEPTH - 1:
            raise BadInput(option, f"near t = {lo[bad_][0]:.6g}", "could not be integrated to 1e-12")
        alone = np.bincount(owner[bad_], minlength=n) == 1
        cut = bad_ & (depth >= SINGULAR) & alone[owner] & (lo == start[owner])
        cut &= lo + GRADES[1] * (hi - lo) > lo
        bad_ &= ~cut
        ends = lo[cut, None] + (hi - lo)[cut, None] * GRADES
        ends[:, -1] = hi[cut]
        below, above = ends[:, :-1].ravel(), ends[:, 1:].ravel()
        pieces = np.repeat(np.flatnonzero(cut), DEEPER.size)
        graded = moments(below, above) if pieces.size else current[:, :0]
        lo, hi = np.concatenate((lo[bad_], mid[bad_], below)), np.concatenate((mid[bad_], hi[bad_], above))
        owner = np.concatenate((owner[bad_], owner[bad_], owner[pieces]))
        current = np.concatenate((first[:, bad_], second[:, bad_], graded), axis=1)
        before = np.concatenate((gap[:, bad_], gap[:, bad_], gap[:, pieces]), axis=1)
        deeper = depth[pieces] + np.tile(DEEPER, np.count_nonzero(cut))
        depth = np.concatenate((depth[bad_] + 1, depth[bad_] + 1, deeper))
    lo, hi, owner = (np.concatenate(part) for part in zip(*done, strict=True))
    order = np.lexsort((lo, owner))
    return Mesh(lo[order], hi[order], owner[order], error)


class Integral(NamedTuple):
    """Values (…, N) and error estimates (…, N) of the integrals over N intervals."""

    value: Array
    error: Array


def integrate(
    function: Callable[[Array], Array],
    lo: Array,
    hi: Array,
    *,
    rtol: float = 1e-13,
    option: str = "integrand",
    breaks: Sequence[float] = (),
    floor: float = 0.0,
) -> Integral:
    """∫ function over each interval [lo_i, hi_i], shape (N,), with an error estimate.

    ``function`` maps times of any shape to values of that shape. ``floor``: errors of so much of the largest
    mean value over an interval are small enough (for where the function nearly vanishes, and is rounding).
    Raises `BadInput` where it is not finite or does not converge.
    """
    lo, hi = np.atleast_1d(np.asarray(lo, float)), np.atleast_1d(np.asarray(hi, float))
    value, error = np.empty(lo.size), np.empty(lo.size)
    r = rule(nodes_for(lo.size))

    def moments(a: Array, b: Array, r: Rule = r) -> Array:
        t = a[:, None] + (b - a)[:, None] * r.x
        with np.errstate(over="ignore", invalid="ignore"):  # infinite values are for the caller to judge
            out: Array = (function(t) @ r.w)[None] * (b - a)
        return out

    fine, coarse = rule(5), rule(3)
    parts = [slice(start, start + CHUNK) for start in range(0, lo.size, CHUNK)]
    for part in parts:
        # short steps, which are most, agree at once; the others are refined
        few, rules = (lo[part], hi[part]), (fine, coarse)
        if few[0].size > AT_ONCE:
            value[part], other = (moments(*few, own)[0] for own in rules)
        else:  # one call for both rules: it is the calls that take time
            first, width = few[0][:, None], (few[1] - few[0])[:, None]
            nodes = [(first + width * own.x).ravel() for own in rules]
            with np.errstate(over="ignore", invalid="ignore"):  # as in `moments`
                both = np.split(function(np.concatenate(nodes)), [nodes[0].size])
                value[part], other = (
                    (at.reshape(width.size, -1) @ own.w) * width[:, 0]
                    for at, own in zip(both, rules, strict=True)
                )
        with np.errstate(invalid="ignore"):  # inf − inf: left to the mesh
            error[part] = np.abs(value[part] - other)
    enough = 0.0
    if floor and lo.size:
        means = np.abs(value) / (hi - lo)
        enough = floor * float(np.max(means, where=np.isfinite(means), initial=0.0))
    for part in parts:
        size = np.maximum(rtol * np.abs(value[part]), enough * (hi[part] - lo[part]))
        rough = ~(error[part] <= size)
        for kink in breaks:
            rough |= (lo[part] < kink) & (kink < hi[part])
        left = part.start + np.flatnonzero(rough)
        if left.size:
            m = mesh(lo[left], hi[left], moments, rtol=rtol, option=option, breaks=breaks, floor=enough)
            value[left] = np.bincount(m.owner, moments(m.lo, m.hi)[0], minlength=left.size)
            error[left] = m.error[0]
    return Integral(value, error)


def halved(
    panels: Callable[[Index, Array, Array], Array],
    owner: Index,
    lo: Array,
    hi: Array,
    enough: Callable[[Array, Array, Index], Array | float],
    *,
    depth: int,
    most: int = 2_000_000,
) -> tuple[Array, Array, bool]:
    """Integrals of positive functions over intervals 0 … n − 1 = max(owner), their error estimates, both (n,), and
    whether every panel agrees with its two halves; those that do not are halved, ``depth`` times and while they
    are few.

    ``panels(owner, lo, hi)``: integrals (P,) over parts of the intervals. ``enough(halves, integrals, owner)``: the
    disagreement allowed to each part, from its own integral (P,) and those of the intervals so far (n,).
    """
    n = int(owner.max()) + 1
    value, error, whole = np.zeros(n), np.zeros(n), panels(owner, lo, hi)
    for left_to_do in range(depth - 1, -1, -1):
        mid = 0.5 * (lo + hi)
        first, second = panels(owner, lo, mid), panels(owner, mid, hi)
        both = first + second
        gap = np.abs(both - whole)
        rough = gap > enough(both, value + np.bincount(owner, both, n), owner)
        last = left_to_do == 0 or owner.size > most  # what is left is carried as an error
        done = np.ones_like(rough) if last else ~rough
        value += np.bincount(owner[done], both[done], n)
        error += np.bincount(owner[done], gap[done], n)
        if done.all():
            break
        lo, hi = np.concatenate((lo[rough], mid[rough])), np.concatenate((mid[rough], hi[rough]))
        owner, whole = np.tile(owner[rough], 2), np.concatenate((first[rough], second[rough]))
    return value, error, not rough.any()


def nodes_for(intervals: int) -> int:
    """Nodes a panel: many intervals are short ones, where fewer do."""
    return 16 if intervals < 4096 else 8
