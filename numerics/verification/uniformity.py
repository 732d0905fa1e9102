"""Are points uniform in the unit cube, with independent coordinates? Every test has a proved level.

Samples of a product law become such points by the distribution functions of its factors, whatever they are, so
no level depends on the target. The families of tests share the risk alike, and the tests of a family its share:

- one coordinate and two: means of √2 cos(πau_j), and of 2 cos(πau_j) cos(πbu_k), which are 0 with variance 1
  and bounded: Bernstein's inequality. The orders (1, 1) are all but a rank correlation, (2, 2) that of distances
  from the median;
- all pairs together: half of the rows gives the coefficients M of a statistic ½⟨M, ·⟩, which the other half
  tests: given M a mean of independent bounded variables of known variance, Bernstein again;
- all triples, while d is small enough: the same means of three cosines, of orders 1 and 2;
- groups of coordinates on a grid of up to 4096 cells: all Walsh functions, products of signs with mean 0
  (Hoeffding), and all of them together by halves as above;
- projections of the normal scores z = Φ^{−1}(u), which are N(0, I) exactly: fixed ones and |z| by the
  Dvoretzky–Kiefer–Wolfowitz inequality with Massart's constant, and directions that half of the rows shows to
  be too wide or too narrow, by Chernoff's bound of χ² in the other half.

Sources: Boucheron, Lugosi & Massart, *Concentration Inequalities*, Theorems 2.8 and 2.10; Massart (1990).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr, ndtr, ndtri

__all__ = ["LEAST", "Departure", "departure"]

Array = NDArray[np.float64]

#: Rows below which nothing could be found at the risks that are of use.
LEAST = 200
#: Highest order of the cosines.
ORDERS = 8
#: Multiplications that the products of all pairs may take: in high d fewer orders, then fewer rows.
WORK = 8e9
#: Bits of a cell, and how many random groups of coordinates of each size.
BITS, GROUPS = 12, 16
#: Fixed directions of each kind (dense; of a few coordinates), and cells of their distribution functions.
DIRECTIONS, CELLS = 24, 64
#: Rows at a time.
BLOCK = 4096
#: Logarithms that differ by less, relative, are one.
SAME = 1e-9
#: Rows taken at most.
MOST = 100_000


class Departure(NamedTuple):
    """The statistic that is farthest off: ``log_p``, a bound of the logarithm of the probability that any is as
    far off under the hypothesis; its name; ``z``, how far, in standard errors (√n times a Kolmogorov distance
    where it is a distribution function)."""

    log_p: float
    statistic: str
    z: float


def departure(u: Array, seed: int = 0) -> Departure:
    """Test points u (n, d), n ≥ `LEAST`, for the uniform law in [0, 1]^d; ``seed`` of the order in which rows are
    taken, of groups and of directions, none of which depends on u. Kind of the probability: *upper*."""
    n, d = u.shape
    rng = np.random.default_rng(seed)
    rows = rng.permutation(n)[: max(LEAST, min(MOST, int(WORK / d**2)))]
    u = np.clip(u[rows], 2.0**-53, 1.0 - 2.0**-53)
    found = [*_cosines(u), *_triples(u), *_grids(u, rng), *_projections(u, rng)]
    log_p, name, z = min(found, key=lambda one: (one[0], -abs(one[2])))
    return Departure(min(0.0, log_p + math.log(len(found))), name, z)


def _bernstein(mean: Array, n: float, variance: Array | float, most: Array | float) -> Array:
    """log of Bernstein's bound of P(mean of n ≥ ``mean``), for |X − EX| ≤ ``most``; 0 where mean ≤ 0."""
    t = np.maximum(mean, 0.0)
    below = 2.0 * (variance + most * t / 3.0)
    return -n * t**2 / np.where(below > 0.0, below, 1.0)


def _least(log_p: Array, z: Array, name: Callable[[int], str], sides: int = 2) -> Departure:
    """The least probable of a family, at the family's own risk; of those that rounding alone tells apart the first,
    so that every machine names the same."""
    least = float(log_p.min())
    i = int(np.argmax(log_p.ravel() <= least + SAME * abs(least)))
    return Departure(float(log_p.flat[i]) + math.log(sides * log_p.size), name(i), float(z.flat[i]))


# ---------------------------------------------------------------------- pairs
def _orders(n: int, d: int) -> list[tuple[int, int]]:
    """The orders (a, b) that can be afforded, the lowest first."""
    every = [(a, b) for b in range(1, ORDERS + 1) for a in range(1, b + 1)]
    every.sort(key=lambda ab: (ab[1], ab[0] != ab[1], ab[0]))
    return every[: max(3, int(WORK / (n * d**2)))]


def _cosines(u: Array) -> Iterator[Departure]:
    n, d = u.shape
    half, orders = n // 2, _orders(n, d) if d > 1 else []
    single = np.zeros((ORDERS, d))
    pairs = np.zeros((2, len(orders), d, d))
    for which, (start, stop) in enumerate(((0, half), (half, n))):
        for i in range(start, stop, BLOCK):
            first = np.cos(math.pi * u[i : min(i + BLOCK, stop)])
            c = [np.ones_like(first), first]
            for _ in range(ORDERS - 1):  # Chebyshev's recursion
                c.append(2.0 * first * c[-1] - c[-2])
            single += [math.sqrt(2.0) * one.sum(axis=0) for one in c[1:]]
            for m, (a, b) in enumerate(orders):
                pairs[which, m] += 2.0 * c[a].T @ c[b]
    mean = single / n
    yield _least(
        _bernstein(np.abs(mean), n, 1.0, math.sqrt(2.0)),
        math.sqrt(n) * mean,
        lambda i: f"distribution of coordinate {i % d + 1}",
    )
    if d == 1:
        return
    pairs[:, :, np.arange(d), np.arange(d)] = 0.0
    both = (pairs[0] + pairs[1]) / n

    def pair(i: int) -> str:
        j, k = sorted((i // d % d + 1, i % d + 1))
        a, b = orders[i // d**2]
        what = {(1, 1): "rank correlation", (2, 2): "correlation of distances from the median"}
        return f"{what.get((a, b), 'dependence')} of coordinates {j} and {k}"

    yield _least(_bernstein(np.abs(both), n, 1.0, 2.0), math.sqrt(n) * both, pair)
    learnt, tested = pairs[0] / half, pairs[1] / (n - half)
    log_p, z = np.zeros(len(orders)), np.zeros(len(orders))
    for m, (a, b) in enumerate(orders):
        # E h² is |M|², or 2|M|² where (j, k) and (k, j) are one product; |h| ≤ |M|_op |√2 cos|²
        size = (2.0 if a == b else 1.0) * float((learnt[m] ** 2).sum())
        most = min(2.0 * d * float(np.linalg.norm(learnt[m], 2)), 2.0 * float(np.abs(learnt[m]).sum()))
        value = np.array((learnt[m] * tested[m]).sum())
        log_p[m] = _bernstein(value, n - half, size, most)
        z[m] = float(value) * math.sqrt((n - half) / size) if size > 0.0 else 0.0
    yield _least(log_p, z, lambda m: f"dependence of all pairs together, of orders {orders[m]}", sides=1)
    yield _wide(u, learnt[0])


def _wide(u: Array, learnt: Array) -> Departure:
    """Variances, in the other half of the rows, along directions in which the first half is wide or narrow."""
    half, d = len(u) // 2, u.shape[1]
    vectors = np.linalg.eigh(learnt)[1]
    v = vectors if d <= 4 else vectors[:, [0, 1, -2, -1]]
    square = np.zeros(v.shape[1])
    for i in range(half, len(u), BLOCK):
        square += ((ndtri(u[i : i + BLOCK]) @ v) ** 2).sum(axis=0)
    n = len(u) - half
    r = np.maximum(square / n, 1e-300)
    return _least(
        -0.5 * n * (r - 1.0 - np.log(r)),
        (r - 1.0) * math.sqrt(0.5 * n),
        lambda _: "variance along a combination of all coordinates",
    )


def _triples(u: Array) -> Iterator[Departure]:
    n, d = u.shape
    affordable = 0.5 * WORK / n
    sets = [(1, 2)] if (2 * d) ** 3 / 3 <= affordable else [(1,), (2,)] if 2 * d**3 / 3 <= affordable else []
    if d < 3 or not sets:
        return
    found: list[Departure] = []
    tests = 0
    for orders in sets:
        m = d * len(orders)  # columns: all coordinates of the first order, then of the second
        total = np.zeros((m, m, m))
        for i in range(0, n, BLOCK):
            angle = math.pi * u[i : i + BLOCK]
            c = np.concatenate([math.sqrt(2.0) * np.cos(a * angle) for a in orders], axis=1)
            for j in range(m):
                rest = c[:, j + 1 :]
                total[j, j + 1 :, j + 1 :] += (c[:, j, None] * rest).T @ rest
        three = np.argwhere(_increasing(m))
        of = np.sort(three % d, axis=1)
        distinct = (np.diff(of, axis=1) > 0).all(axis=1)
        three, of = three[distinct], of[distinct]
        mean = total[tuple(three.T)] / n
        log_p = _bernstein(np.abs(mean), n, 1.0, 2.0 * math.sqrt(2.0))
        i = int(np.argmin(log_p))
        found.append(
            Departure(float(log_p[i]), f"joint law of {_named(of[i])}", math.sqrt(n) * float(mean[i]))
        )
        tests += 2 * mean.size
    worst = min(found)
    yield worst._replace(log_p=worst.log_p + math.log(tests))


def _increasing(m: int) -> NDArray[np.bool_]:
    """Which (i, j, k) < m have i < j < k."""
    i, j, k = np.ogrid[:m, :m, :m]
    return np.asarray((i < j) & (j < k))


# ---------------------------------------------------------------------- cells of a grid
def _groups(d: int, rng: np.random.Generator) -> Iterator[tuple[NDArray[np.intp], int]]:
    """Coordinates, and bits of each; all of them together where that leaves a bit."""
    for size in (BITS, BITS // 2, BITS // 3, BITS // 4):
        if size >= d:
            yield np.arange(d), BITS // d
            return
        if math.comb(d, size) <= 2 * GROUPS:
            yield from ((np.array(group), BITS // size) for group in combinations(range(d), size))
        else:
            yield from ((np.sort(rng.permutation(d)[:size]), BITS // size) for _ in range(GROUPS))


def _grids(u: Array, rng: np.random.Generator) -> Iterator[Departure]:
    n, d = u.shape
    if d == 1:
        return
    half = n // 2
    codes = (u * 2**BITS).astype(np.int16)
    found: list[Departure] = []
    together: list[tuple[float, float, NDArray[np.intp]]] = []
    tests = 0
    for group, bits in _groups(d, rng):
        cell = np.zeros(n, np.int64)
        for j in group:
            cell = (cell << bits) | (codes[:, j] >> (BITS - bits))
        cells = 1 << bits * group.size
        counts = np.stack([np.bincount(part, minlength=cells) for part in (cell[:half], cell[half:])])
        walsh = _walsh(counts.astype(float))
        both = (walsh[0] + walsh[1])[1:] / n
        i = int(np.argmax(np.abs(both)))
        # the coordinates that function i + 1 depends on: group[-1] has the lowest bits
        shifts = bits * np.arange(group.size)[::-1]
        used = group[((i + 1) >> shifts) & ((1 << bits) - 1) > 0]
        name = "distribution of" if used.size == 1 else "joint law of"
        found.append(
            Departure(-0.5 * n * both[i] ** 2, f"{name} {_named(used)}", float(both[i] * math.sqrt(n)))
        )
        tests += cells - 1
        learnt = walsh[0] / half
        learnt[0] = 0.0
        size, value = float(learnt @ learnt), float(learnt @ walsh[1]) / (n - half)
        most = float(np.abs(_walsh(learnt[None])).max())
        log_p = float(_bernstein(np.array(value), n - half, size, most))
        together.append((log_p, value * math.sqrt((n - half) / size) if size > 0.0 else 0.0, group))
    worst = min(found)
    yield worst._replace(log_p=worst.log_p + math.log(2 * tests))
    least = min(range(len(together)), key=lambda i: together[i][0])
    log_p, z, group = together[least]
    yield Departure(log_p + math.log(len(together)), f"joint law of {_named(group)}", z)


def _walsh(rows: Array) -> Array:
    """The sums of all Walsh functions over the cells of each row (m, 2^b), in the order of bits."""
    out, size = rows, rows.shape[1]
    step = 1
    while step < size:
        a = out.reshape(len(rows), -1, 2, step)
        out = np.stack((a[:, :, 0] + a[:, :, 1], a[:, :, 0] - a[:, :, 1]), axis=2).reshape(len(rows), size)
        step *= 2
    return out


def _named(group: NDArray[np.intp]) -> str:
    names = [str(j + 1) for j in group]
    if len(names) == 1:
        return f"coordinate {names[0]}"
    return f"coordinates {', '.join(names[:-1])} and {names[-1]}"


# ---------------------------------------------------------------------- projections
def _projections(u: Array, rng: np.random.Generator) -> Iterator[Departure]:
    n, d = u.shape
    v = rng.standard_normal((d, DIRECTIONS if d > 1 else 1))
    if d > 4:
        few = np.zeros((d, DIRECTIONS))
        for one in few.T:
            one[rng.permutation(d)[: rng.integers(3, 5)]] = rng.choice((-1.0, 1.0))
        v = np.concatenate((v, few), axis=1)
    v /= np.linalg.norm(v, axis=0)
    counts = np.zeros((v.shape[1] + 1, CELLS))
    for i in range(0, n, BLOCK):
        z = ndtri(u[i : i + BLOCK])
        level = np.concatenate((ndtr(z @ v), chdtr(d, (z**2).sum(axis=1))[:, None]), axis=1)
        cell = np.minimum((level * CELLS).astype(np.int64), CELLS - 1) + CELLS * np.arange(len(counts))
        counts += np.bincount(cell.ravel(), minlength=counts.size).reshape(counts.shape)
    edges = np.arange(1, CELLS + 1) / CELLS
    distance = np.abs(np.cumsum(counts, axis=1) / n - edges).max(axis=1)
    log_p = -2.0 * n * distance**2
    z = math.sqrt(n) * distance
    yield _least(log_p[:-1], z[:-1], lambda i: f"distribution function of projection {i + 1}")
    yield _least(log_p[-1:], z[-1:], lambda i: "distribution function of the distance from the centre")
