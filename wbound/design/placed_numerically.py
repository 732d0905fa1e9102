"""Optimal grids (section 7): the closed form, and numerically optimal ones by Newton's method.

Eq. 9 and Eq. 10 are sums over adjacent nodes, so their Hessians are tridiagonal (plus one rank an
eigenvalue for W2 of anisotropic Gaussians), and a few damped Newton steps in log λ reach the optimum to
rounding.

Convexity: Eq. 10's sum is jointly convex in the nodes' (σ_0²+λ)^{−1/2} (each pair, X = w_k^{−1/2} ≥ Z =
w_{k−1}^{−1/2}, is X⁴/Z² − 2X² + Z², whose Hessian has determinant 8(ρ²−1)³, ρ = X/Z), and Eq. 9's for m_0 =
L_0 in (1+m_0λ)^{−1/3} (section 7 has both proofs): there the stationary point found is the global minimum. For
m_0 < L_0 and for anisotropic spectra pairs are not convex in a common clock: the optimum found is a local one from
the best start known, and searches from other beginnings have ended there too. Not so where steps err to both sides
(`ClockLaw.cancels`: heun, heun-lambda): their errors cancel at many grids, and the best end of many beginnings is kept.

Beside these: schedules from the data's spectrum by other criteria, named in `wbound.design`; and rates √d/ε for broad
classes of schedules, named in `wbound.sampler.placement`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import scipy

from wbound.data.curvature import Curvature
from wbound.data.log_concave import gaussian_data
from wbound.design.largest_level import DECADE, LEAST_GAIN, enough, float32_holds
from wbound.design.newton import Found, minimise
from wbound.design.objectives import ExactW2, Objective, SharpBound
from wbound.errors import BadInput, HypothesisFailed, count, one_of, positive
from wbound.exact.clock_law import LAWS, Spectrum
from wbound.forward.forward_process import Process
from wbound.sampler import placement
from wbound.sampler.grid import GRIDS, log_nodes
from wbound.sampler.make_setting import setting
from wbound.typing import Array

__all__ = ["OBJECTIVES", "GridGap", "NumericalGrid", "grid_gaps", "numerical_grid", "optimal_grid"]


class Goal(NamedTuple):
    """What a grid may be optimal for: of which schemes, and (data, scheme, start) ↦ what is minimised."""

    schemes: tuple[str, ...]
    of: Callable[[Any, str, str], Objective]


#: "sharp": Theorem 2 for hf (Eq. 9); "exact": the exact Gaussian W2.
OBJECTIVES = {
    "sharp": Goal(("hf",), lambda data, scheme, start: SharpBound(data, start)),
    "exact": Goal(
        tuple(LAWS), lambda data, scheme, start: ExactW2(Spectrum.of(gaussian_data(data)), scheme, start)
    ),
}
MOST_STEPS = 5000
Rounds = tuple[tuple[int, int], ...]
#: The λ(T) at which a search looks, as log λ(T)/ς², ς² the data's mean variance.
LOWEST, HIGHEST = -3.0, 24.0
#: A search among many minima: Newton's steps, and from how many ends of the round before; and a first look.
ROUNDS: Rounds = ((15, 99), (60, 4), (150, 2))
LOOK: Rounds = ((10, 99), (40, 2))
#: Ends as near as this are in one minimum; a beginning so much worse than the best leads nowhere.
SAME, HOPELESS = 1e-6, 1e6
#: A last decade of σ_max that gained more than this is followed by another, with nodes of its own.
STILL_GAINING = 0.3


def optimal_grid(data: Curvature, K: int, lam_max: float) -> Array:
    """Section 7's grid as values of λ (K+1,), decreasing from lam_max (x²) to 0; use it as
    ``Grid.from_lam(…)``.

    H ∝ ((1+m_0λ)(1+L_0λ))^{2/3}, which minimises Eq. 9 as K → ∞ (Eq. 13). Kind: *order*. Raises `BadInput`,
    and `HypothesisFailed` (A1) for data without m_0 and L_0.
    """
    lam_max, steps = positive("lam_max", lam_max), count("K", K)
    values = np.exp(placement.optimal(math.log(lam_max), steps, data))
    values[0] = lam_max
    return values


class _Freed(NamedTuple):
    """The end of a search over λ(T) too, the limit of `wbound.design.largest_level.LIMITS` at which it sits, and what the
    last decade of √λ(T) gained there, as a share."""

    found: Found
    limit: str | None
    last_decade: float | None


@dataclass(frozen=True, eq=False)
class NumericalGrid:
    """A numerically optimal grid. ``lam`` (K+1,) decreasing to 0 (x²), for ``Grid.from_lam``; ``value``
    what was minimised, in x (W2, never squared); ``section7`` or ``None`` the same on section 7's grid with
    the same λ(T). ``convex``: whether a stationary point is known to be the global minimum. ``decrement``
    is Newton's relative decrement at the end: how much of the value there may be left to gain. ``limit``: where
    λ(T) was searched, the limit of `wbound.design.largest_level.LIMITS` at which it sits, None for an inner minimum;
    ``last_decade``: what the last ten times of √λ(T) gained there, as a share of the value before.
    """

    lam: Array
    value: float
    objective: str
    scheme: str
    start: str
    section7: float | None
    iterations: int
    decrement: float
    convex: bool
    limit: str | None = None
    last_decade: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The attributes as plain numbers and lists."""
        return {**vars(self), "lam": self.lam.tolist()}


def numerical_grid(
    data: Any,
    K: int,
    lam_max: float | None = None,
    *,
    objective: str = "sharp",
    scheme: str = "hf",
    start: str = "exact",
    starts: Iterable[Array] = (),
) -> NumericalGrid:
    """The grid of K steps that minimises Theorem 2 for hf ("sharp") or the exact Gaussian W2 ("exact").

    data: facts of A1, or Gaussian data for "exact"; lam_max: λ(T) in x², or None to optimise it too (start
    "prior"; up to where more of √λ(T) gains less than 1 %, or float32 cannot follow: `NumericalGrid.limit`);
    scheme: hf, or for "exact" also ddpm, ode-hf, ddim, heun and heun-lam; start: "exact" p_T, or "prior"
    N(0, σ²(T)I), for which "exact" minimises W2 from p_T + W2 between the outputs of the two starts, since the W2
    from the prior alone can be tuned to 0 (section 6). ``starts``: more grids λ (K+1,) to begin from: the result is at
    least as good as each. Other schemes and processes see more than the clock: read the hf grid through
    them.

    Raises `BadInput`, `HypothesisFailed`. Kind: *upper* ("sharp") or *exact*.
    """
    goal = OBJECTIVES[one_of("objective", objective, OBJECTIVES)]
    one_of("start", start, ("exact", "prior"))
    one_of("scheme", scheme, goal.schemes)
    steps = count("K", K)
    if steps > MOST_STEPS:
        raise BadInput("K", K, f"numerical grids have at most {MOST_STEPS} steps; use optimal_grid")
    target = goal.of(data, scheme, start)
    given = [np.asarray(s, float) for s in starts]
    if lam_max is None:
        if start == "exact":
            raise BadInput("lam_max", "None", "is needed from the exact start: T -> 0 would cost nothing")
        search = _free_among_minima if target.scales.size else _free
        found, limit, last_decade = search(target, data, steps, given)
    else:
        fixed = positive("lam_max", lam_max)
        found = _from_best(target, [*_named(math.log(fixed), steps, data), *given], fixed)
        limit = last_decade = None

    lam = found.lam
    try:
        section7: float | None = target.w2(optimal_grid(data, steps, float(lam[0])))
    except HypothesisFailed:  # a singular covariance has no L_0
        section7 = None
    return NumericalGrid(
        lam,
        target.w2(lam),
        objective,
        scheme,
        start,
        section7,
        found.iterations,
        found.decrement,
        target.convex,
        limit,
        last_decade,
    )


def _named(log_lam_T: float, K: int, data: Any) -> list[Array]:
    """The named grids of the clock, as beginnings."""
    grids = []
    for name in placement.SEARCHED:
        try:
            values = np.exp(placement.PLACEMENTS[name](log_lam_T, K, data))
        except HypothesisFailed:
            continue
        if (np.diff(values) < 0.0).all():
            grids.append(values)
    return grids


def _from_best(
    target: Objective,
    beginnings: list[Array],
    lam_max: float,
    some: Sequence[Array] = (),
    rounds: Rounds = ROUNDS,
) -> Found:
    """From the two best beginnings with this λ(T), and from the two best that ``some`` of them are: the best end. Where
    there are many minima, from all of them and more."""
    usable = [b for b in beginnings if abs(b[0] / lam_max - 1.0) < 1e-9]
    for b in usable:
        b[0] = lam_max
    if target.scales.size:
        return _raced(target, [*usable, *_in_arsinh(target.scales, lam_max, usable[0].size - 1)], rounds)
    ranked = _best_first(target, usable)
    tried = {id(b): b for b in (*ranked[:2], *[b for b in ranked if any(b is one for one in some)][:2])}
    return min((minimise(target, b, 1) for b in tried.values()), key=lambda f: f.value)


def _best_first(target: Objective, grids: list[Array]) -> list[Array]:
    """The grids by what they are worth."""
    return [grids[i] for i in np.argsort(target.values(grids), kind="stable")]


def _in_arsinh(scales: Array, lam_max: float, K: int) -> list[Array]:
    """Nodes in equal parts of arsinh(√λ/c) for each scale c: sparse above it, and even below."""
    left = 1.0 - np.arange(K + 1) / K
    grids = [(c * np.sinh(left * math.asinh(math.sqrt(lam_max) / c))) ** 2 for c in scales.tolist()]
    for lam in grids:
        lam[0] = lam_max
    return [lam for lam in grids if (np.diff(lam) < 0.0).all()]


def _raced(target: Objective, beginnings: list[Array], rounds: Rounds) -> Found:
    """From every beginning for a few steps, from the best of their ends for more."""
    values = target.values(beginnings)
    ends = [Found(b, value, 0, math.inf) for b, value in zip(beginnings, values, strict=True)]
    ends.sort(key=lambda f: f.value)
    for most, kept in rounds:
        least, begun = ends[0].value, ends[:kept]
        ends = [
            replace(end, iterations=f.iterations + end.iterations)
            for f in begun
            if f.value <= HOPELESS * least
            for end in [minimise(target, f.lam, 1, most)]
        ]
        ends.sort(key=lambda f: f.value)
        # of ends in one minimum one goes on
        ends = [f for i, f in enumerate(ends) if i == 0 or f.value > ends[i - 1].value * (1.0 + SAME)]
    return ends[0]


def _free(target: Objective, data: Any, K: int, given: list[Array]) -> _Freed:
    """λ(T) too: a search over λ(T) on the best named grid, then all nodes together; and back from there where
    the last of it gains next to nothing, or float32 cannot follow."""

    log_s2 = 2.0 * math.log(placement.scale(data))
    mesh = log_s2 + np.linspace(LOWEST, HIGHEST, 28)
    on_mesh = [_named(float(u), K, data) for u in mesh]
    values = iter(target.values([b for named in on_mesh for b in named]))
    i = int(np.argmin([min(next(values) for _ in named) for named in on_mesh]))
    scan = scipy.optimize.minimize_scalar(
        lambda u: min(target.values(_named(float(u), K, data))),
        bounds=(float(mesh[max(i - 1, 0)]), float(mesh[min(i + 1, mesh.size - 1)])),
        method="bounded",
        options={"xatol": 1e-3},
    )
    beginnings = [_best_first(target, _named(float(scan.x), K, data))[0], *given]
    ends = [minimise(target, b, 0) for b in _best_first(target, beginnings)[:2]]
    free = min(ends, key=lambda f: f.value)
    top = math.log(free.lam[0])

    def near(u: float) -> list[Array]:
        return [*_moved(free.lam, u, log_s2), *_named(u, K, data)]

    def fixed(u: float) -> Found:
        # and as a search with this λ(T) given goes: the two best beginnings may both lead to a poor local optimum
        named = _named(u, K, data)
        return _from_best(target, [*_moved(free.lam, u, log_s2), *named], math.exp(u), named)

    level = enough(cache(lambda u: min(target.values(near(u)))), top, free.value, float(mesh[0]))
    found, limit = free if level.limit is None else fixed(level.log_lam), level.limit
    for b in given if limit is not None else []:  # at least as good as each
        if target.value(b) < found.value:
            found = _from_best(target, [b], float(b[0]))
    while not float32_holds(log_nodes(found.lam), log_s2):
        found, limit = fixed(math.log(found.lam[0]) - 0.1 * DECADE), "float32"
    if limit is None:
        return _Freed(found, None, None)
    before = fixed(math.log(found.lam[0]) - DECADE)
    gained = 1.0 - found.value / before.value
    # nodes moved as they are may hide what nodes of its own would gain (heun, exact on one variance): then go on
    while limit == "gain" and gained > STILL_GAINING:
        more = fixed(math.log(found.lam[0]) + DECADE)
        if not more.value < found.value * (1.0 - LEAST_GAIN):
            break
        if not float32_holds(log_nodes(more.lam), log_s2):
            limit = "float32"
            break
        gained, found = 1.0 - more.value / found.value, more
    return _Freed(found, limit, gained)


def _free_among_minima(target: Objective, data: Any, K: int, given: list[Array]) -> _Freed:
    """λ(T) too, where W2 has many minima: a search at each of several λ(T), each with the last one's end among its
    beginnings, then from the best all nodes together, and on by decades of √λ(T) as far as that gains 1 %."""
    log_s2 = 2.0 * math.log(placement.scale(data))
    top = log_s2 + HIGHEST

    def holds(found: Found) -> bool:
        return math.log(found.lam[0]) <= top + 1e-9 and float32_holds(log_nodes(found.lam), log_s2)

    def at(u: float, near: Found | None, rounds: Rounds = ROUNDS) -> Found:
        moved = [] if near is None else _moved(near.lam, u, log_s2)
        return _from_best(target, [*_named(u, K, data), *moved], math.exp(u), rounds=rounds)

    ends: list[Found] = []
    for u in np.arange(top, log_s2 + LOWEST, -DECADE)[::-1].tolist():
        ends.append(at(u, ends[-1] if ends else None, LOOK))
    ends += [minimise(target, b, 0) for b in given]
    ends += [Found(b, target.value(b), 0, math.inf) for b in given]
    held = [end for end in ends if holds(end)]
    found = min(held or ends[:1], key=lambda f: f.value)
    more = at(math.log(found.lam[0]), found)
    together = [minimise(target, f.lam, 0, 150) for f in (found, more)]
    found = min((found, *filter(holds, (more, *together))), key=lambda f: f.value)

    limit: str | None = "gain"
    for part in (1.0, 0.5, 0.25, 0.125):  # on by whole decades, then by parts of one up to what float32 holds
        while True:
            more = at(min(math.log(found.lam[0]) + part * DECADE, top), found)
            if not holds(more):
                limit = "float32"
                break
            if not more.value < found.value * (1.0 - LEAST_GAIN):
                break
            found = more
        if limit != "float32":
            break
    if limit == "gain":
        if math.log(found.lam[0]) > top - DECADE:
            limit = "range"
        elif more.value > found.value * (1.0 + LEAST_GAIN):
            return _Freed(found, None, None)
    while True:  # and back where the last decade gains next to nothing
        before = at(math.log(found.lam[0]) - DECADE, found)
        if not before.value * (1.0 - LEAST_GAIN) <= found.value:
            return _Freed(found, limit, 1.0 - found.value / before.value)
        found, limit = before, "gain"


def _moved(lam: Array, log_lam_T: float, log_s2: float) -> list[Array]:
    """The nodes with another λ(T): the first alone if the rest are below it, and all in log(1 + λ/ς²)."""
    first = math.exp(log_lam_T)
    out = []
    if lam[1] < 0.99 * first:
        out.append(np.concatenate(([first], lam[1:])))
    s2 = math.exp(log_s2)
    share = math.log1p(first / s2) / math.log1p(lam[0] / s2)
    moved = s2 * np.expm1(share * np.log1p(lam / s2))
    moved[0] = first
    return [*out, moved] if (np.diff(moved) < 0.0).all() else out


@dataclass(frozen=True)
class GridGap:
    """A named grid against the numerically optimal one with the same λ(T): ``value`` in x and
    value/optimum."""

    grid: str
    value: float
    factor: float

    def to_dict(self) -> dict[str, Any]:
        """The attributes."""
        return dict(vars(self))


def grid_gaps(
    process: Process,
    data: Any,
    T: float,
    K: int,
    *,
    objective: str = "sharp",
    scheme: str = "hf",
    start: str = "exact",
) -> tuple[list[GridGap], NumericalGrid]:
    """How far each named grid is from the numerically optimal one, at the process's λ(T); sorted, best first.

    Grids that do not exist for the data (no m_0, L_0) are left out. Arguments as in `numerical_grid`.
    """
    nodes: dict[str, Array] = {}
    for name in GRIDS:
        try:
            log_lam = setting(process, data, T, K, scheme=scheme, grid=name).nodes.log_lam
        except HypothesisFailed:
            continue
        nodes[name] = np.exp(log_lam)
    lam_max = float(next(iter(nodes.values()))[0])
    best = numerical_grid(
        data, K, lam_max, objective=objective, scheme=scheme, start=start, starts=nodes.values()
    )
    target = OBJECTIVES[objective].of(data, scheme, start)
    gaps = []
    for name, lam in nodes.items():
        value = target.w2(lam)
        gaps.append(GridGap(name, value, value / best.value))
    return sorted(gaps, key=lambda gap: gap.value), best
