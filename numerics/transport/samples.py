"""Every 2-Wasserstein distance of the toolkit: Gaussian laws, laws on the line, and samples.

All distances are W2, never W2². POT (`ot`) is imported here only, inside the one function that calls
its solver; importing this module imports NumPy and SciPy. Laws known by samples get a bracket
(`empirical_w2`), because the W2 of two samples alone says little: it is biased upward.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from numerics.io.reading import finite_array
from numerics.transport import potentials
from numerics.transport.gaussians import gaussian_w2
from numerics.transport.quantiles import Quantile, Steps, couple, law, merge_counts, quantile_w2, rms
from wbound.errors import BadInput, IOFailure, count, positive, real
from wbound.extras import needing
from wbound.memory import available
from wbound.typing import Array

__all__ = ["LEAST", "EmpiricalW2", "empirical_w2", "gaussian_w2", "one_dim_w2", "plugin_w2", "sliced_w2"]


_ITERATIONS = 10**7  # of the network simplex; its default stops early at n = 4000, 3.9 % too high
_SPLITS = 4  # by a single one, two halves of a discrete law may coincide
_SMALL = 1000  # points up to which the assignment, which needs no import, is the faster solver
_SLOW = 4000  # points from which it takes over half a minute, eight times as long for twice as many
LEAST = 16  # points a sample below which a confidence statement would be a fiction
_MATRICES = {"assignment": 1.2, "simplex": 6.0}  # peak memory in cost matrices, measured


def _points(option: str, value: Any, least: int) -> Array:
    allowed = f"must be an (n, d) array of finite numbers, n >= {least}, d >= 1"
    array = finite_array(option, value, allowed)
    if array.ndim != 2 or array.shape[0] < least or array.shape[1] < 1:
        raise BadInput(option, f"shape {array.shape}", allowed)
    return array


def _pair(x: Any, y: Any, least: int) -> tuple[Array, Array, float]:
    """Both samples, moved and scaled by one number to order 1 (W2 scales along), and that number."""
    a, b = _points("x", x, least), _points("y", y, least)
    if a.shape[1] != b.shape[1]:
        raise BadInput("y", f"d = {b.shape[1]}", f"must have the dimension of x, d = {a.shape[1]}")
    scale = max(float(np.abs(a).max()), float(np.abs(b).max())) or 1.0
    a, b = a / scale, b / scale
    centre = 0.5 * (a.mean(axis=0) + b.mean(axis=0))
    a, b = a - centre, b - centre
    spread = max(float(np.abs(a).max()), float(np.abs(b).max())) or 1.0
    return a / spread, b / spread, scale * spread


def _generator(seed: Any) -> np.random.Generator:
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(count("seed", seed, 0))


def one_dim_w2(
    x: ArrayLike | Quantile,
    y: ArrayLike | Quantile,
    *,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
    rtol: float = 1e-9,
) -> float:
    """W2 (not squared) between two laws on the line, by the quantile coupling. Exact.

    ``W2² = ∫_0^1 (Q_x(u) − Q_y(u))² du``.

    Arguments: ``x``, ``y``: each a sample of shape (n,), in any order, the sizes may differ; or a quantile
    function, taking an array of levels in (0, 1) to an array of the same shape. ``x_weights``,
    ``y_weights``: weights ≥ 0 of a sample's points, any sum > 0; equal if None. ``rtol``: relative error
    allowed to the quadrature (used where a quantile function enters; two samples are summed exactly).
    Errors: `BadInput`; `IOFailure` if the quadrature cannot vouch for ``rtol``: tails too
    heavy for levels in double precision (the mass beyond 1 − 1e-16 is not seen), or too many jumps.
    Source: Villani, *Topics in Optimal Transportation*, Theorem 2.18.
    """
    tolerance = positive("rtol", rtol)
    one, two = law("x", x, x_weights), law("y", y, y_weights)
    if isinstance(one, Steps) and isinstance(two, Steps):
        return couple(one, two)
    return quantile_w2(one, two, tolerance)


@dataclass(frozen=True)
class EmpiricalW2:
    """What two samples say about W2 (not squared) of their laws; made by `empirical_w2`.

    ``w2``: W2 of the samples themselves (the plug-in: biased upward). ``low ≤ W2(P, Q) ≤ high`` with
    confidence ``level``. ``n``, ``m``: points of x and of y. ``method``: the solver. The three lower
    limits, of which ``low`` is the largest: ``low_quadratic``, ``low_separable``, ``low_triangle``.
    """

    w2: float
    low: float
    high: float
    n: int
    m: int
    level: float
    method: str
    low_quadratic: float
    low_separable: float
    low_triangle: float


def empirical_w2(
    x: ArrayLike,
    y: ArrayLike,
    *,
    seed: int | np.random.Generator = 0,
    level: float = 0.99,
    method: str = "auto",
    memory_limit: float | None = None,
) -> EmpiricalW2:
    """W2 (not squared) of two samples, with a bracket for W2 of the laws P and Q they came from.

    Kind: a confidence statement: ``low ≤ W2(P, Q) ≤ high`` with probability ``level`` over the samples.
    Assumed: the points of x are independent draws of P, those of y of Q, the two samples independent
    of each other; fourth moments exist; n and m are large enough for means over n/2 points to be normal
    (Student's quantiles t are used). Of α = 1 − level, α/2 goes to ``high``, α/6 to each lower limit.

    *high*: W2² is jointly convex, so ``E W2²(P_n, Q_m) ≥ W2²(P, Q)``: the plug-in's bias is on the safe
    side. The plug-in fluctuates about its own mean with variance ``s² = Var φ(X)/n + Var ψ(Y)/m`` (del Barrio
    & Loubes), φ and ψ the optimal dual potentials, here those of the samples. ``high`` solves
    ``h² = w2² + t s h/w2``: along a geodesic s grows like W2, and it is taken at the upper end. Above a few
    dimensions ``high`` is mostly the bias: more points bring it down, less confidence does not.

    *low_quadratic* (Gelbrich's bound) and *low_separable* (the sliced bound, with its factor d): a pair of
    `potentials` fitted on one half of both samples and averaged over the other half estimates without
    bias a number ≤ W2². The halves then change roles, and the two estimates are averaged, their errors
    taken as independent (they are to first order: the best potentials are stationary, so that the fit
    moves an estimate in second order, downward). No plug-in bias enters: equal laws give 0 in any d.

    *low_triangle*: ``W2(P, Q) ≥ W2(P_n, Q_m) − W2(P, P_n) − W2(Q, Q_m)``. By convexity, P_n being the mean of
    its sub-samples, ``E W2²(P, P_n) ≤ E W2²(P', P'')`` for the halves P', P'' of x; the mean of
    W2²(P', P'') over four splits is raised twice by the margin above, for its own fluctuation and for
    that of W2²(P, P_n), taken to be no larger. It sees what no affine or coordinatewise map shows.

    Arguments: ``x`` (n, d), ``y`` (m, d) with n, m ≥ 16; ``seed`` splits the samples into halves;
    ``level`` in (0, 1); ``method`` and ``memory_limit``: see `plugin_w2`. Errors: as `plugin_w2`.
    Sources: the construction is put together here, from Kantorovich duality with sample splitting,
    convexity, and E. del Barrio & J.-M. Loubes, "Central limit theorems for empirical transportation
    cost in general dimension", Ann. Probab. 47 (2019).
    """
    a, b, scale = _pair(x, y, LEAST)
    confidence = real("level", level)
    if not 0.0 < confidence < 1.0:
        raise BadInput("level", level, "must be between 0 and 1, both excluded")
    rng = _generator(seed)
    risk = 1.0 - confidence
    n, m = len(a), len(b)
    plug = _solve(a, b, method, memory_limit)
    halves = _halves(a, rng), _halves(b, rng)
    quadratic = _tested(potentials.quadratic, halves, risk / 6.0)
    separable = _tested(lambda fit, test: potentials.separable(fit, test, rng), halves, risk / 6.0)
    floors = 0.0
    for points in (a, b):
        plans = [_solve(*_halves(points, rng), method, memory_limit) for _ in range(_SPLITS)]
        cost, margin = np.mean([(plan.cost, plan.margin(risk / 12.0)) for plan in plans], axis=0)
        floors += _upper(cost, 2.0 * margin)
    triangle = max(0.0, math.sqrt(plug.cost) - floors)
    return EmpiricalW2(
        w2=scale * math.sqrt(plug.cost),
        low=scale * max(quadratic, separable, triangle),
        high=scale * _upper(plug.cost, plug.margin(risk / 2.0)),
        n=n,
        m=m,
        level=confidence,
        method=plug.method,
        low_quadratic=scale * quadratic,
        low_separable=scale * separable,
        low_triangle=scale * triangle,
    )


def plugin_w2(
    x: ArrayLike, y: ArrayLike, *, method: str = "auto", memory_limit: float | None = None
) -> float:
    """W2 (not squared) of two finite samples, points weighted equally. Exact; not that of their laws.

    Arguments: ``x`` (n, d), ``y`` (m, d). ``method``: "sorted" (d = 1), "assignment" (n = m; SciPy's, the
    least memory), "simplex" (POT's network simplex), or "auto": sorted if it applies, else the assignment
    for n = m ≤ 1000 (4000 where the simplex does not fit the memory), else the simplex. The value is the same.
    ``memory_limit``: bytes for the cost matrix and the solver; None: 80 % of what is available now.
    Errors: `BadInput`, also (before anything is allocated, and with the number that fits) for samples
    too large for the memory; `IOFailure` if a solver stops early or no dual certifies its answer.
    """
    a, b, scale = _pair(x, y, 1)
    return scale * math.sqrt(_solve(a, b, method, memory_limit).cost)


def sliced_w2(
    x: ArrayLike, y: ArrayLike, *, n_projections: int = 128, seed: int | np.random.Generator = 0
) -> float:
    """Sliced W2 (not squared) of two samples: the root of the mean of W2² over random directions.

    ``SW2² = E_θ W2²(⟨θ, x⟩, ⟨θ, y⟩)``, θ uniform on the sphere; √d · SW2 ≤ W2 (no factor d is applied here).
    The directions come in orthonormal families of d, each direction uniform: unbiased, of smaller
    variance than independent ones, and exact for a shift when d divides ``n_projections``.

    Arguments: ``x`` (n, d), ``y`` (m, d), sizes may differ; ``n_projections`` ≥ 1 (for d = 1 one is taken,
    which is exact); ``seed``. Errors: `BadInput`. Source: Bonneel, Rabin, Peyré & Pfister (2015).
    """
    a, b, scale = _pair(x, y, 1)
    left, d, rng = count("n_projections", n_projections), a.shape[1], _generator(seed)
    left = 1 if d == 1 else left
    i, j, mass = merge_counts(len(a), len(b))
    total, taken = 0.0, left
    while left > 0:
        basis = potentials.orthonormal(rng, d, min(d, left))
        for direction in basis.T:
            total += float(mass @ (np.sort(a @ direction)[i] - np.sort(b @ direction)[j]) ** 2)
        left -= basis.shape[1]
    return scale * math.sqrt(total / taken)


@dataclass(frozen=True)
class _Plan:
    """An optimal cost (W2²), its dual potentials at the points of either sample, the method."""

    cost: float
    phi: Array
    psi: Array
    method: str

    def margin(self, risk: float) -> float:
        """How far the mean of the cost may lie above it, at one-sided ``risk``."""
        return _margin(((1.0, self.phi), (1.0, self.psi)), risk, 1.0)


def _solve(a: Array, b: Array, method: str, memory_limit: float | None) -> _Plan:
    """The optimal plan between equal weights on a and on b, certified by its dual."""
    n, m, d = len(a), len(b), a.shape[1]
    if method not in ("auto", "sorted", "assignment", "simplex"):
        raise BadInput("method", method, "must be one of auto, sorted, assignment, simplex")
    if method == "sorted" and d > 1:
        raise BadInput("method", method, f"must be assignment or simplex for d = {d}: sorting needs d = 1")
    if method == "assignment" and n != m:
        raise BadInput("method", method, f"must be simplex for unequal sizes, {n} and {m}")
    automatic = method == "auto"
    if automatic:
        # the simplex is the faster one for many points, but the import of POT takes longer than small ones;
        # where it has no room, more than the assignment does in time are refused: neither can be interrupted
        small = n <= _SMALL or (n <= _SLOW and _bytes("simplex", n, m) > _limit(memory_limit))
        method = "sorted" if d == 1 else "assignment" if n == m and small else "simplex"
    if method == "sorted":
        return _sorted_plan(a[:, 0], b[:, 0])
    limit, need = _limit(memory_limit), _bytes(method, n, m)
    if need > limit:
        fits = int(math.sqrt(limit / _bytes(method, 1, 1)))
        if automatic and n == m:
            fits = max(fits, min(_SLOW, int(math.sqrt(limit / _bytes("assignment", 1, 1)))))
        sizes = f"{1e-9 * need:.3g} GB of the {1e-9 * limit:.3g} GB allowed"
        allowed = f"must be at most {fits} points a sample: {method} would take {sizes}"
        raise BadInput("n", f"{n} x {m}", allowed)
    # differences, not |x|² + |y|² − 2⟨x, y⟩, which cancels for near points
    from scipy.spatial.distance import cdist

    # |x − y|² = |x' − y'|² + 2⟨x' − y', δ⟩ + |δ|² for x', y' about their means, δ apart: the plan is the same,
    # and the solvers need not find the shift (ten spreads of it cost the assignment five times the time)
    x, y, shift = a - a.mean(axis=0), b - b.mean(axis=0), a.mean(axis=0) - b.mean(axis=0)
    value, u, v = (_assignment if method == "assignment" else _simplex)(cdist(x, y, "sqeuclidean"))
    apart = float(shift @ shift)
    return _Plan(max(value, 0.0) + apart, u + 2.0 * (x @ shift) + apart, v - 2.0 * (y @ shift), method)


def _bytes(method: str, n: int, m: int) -> float:
    return 8.0 * _MATRICES[method] * n * m


def _limit(memory_limit: float | None) -> float:
    return 0.8 * available() if memory_limit is None else positive("memory_limit", memory_limit)


def _sorted_plan(a: Array, b: Array) -> _Plan:
    """On the line: the quantile coupling; potentials by φ' = 2(x − T(x)), T the mean of the partners of x."""
    a, b = np.sort(a), np.sort(b)
    i, j, mass = merge_counts(len(a), len(b))
    phi, psi = _line_potential(a, b[j], i, mass), _line_potential(b, a[i], j, mass)
    return _Plan(rms(a[i] - b[j], mass) ** 2, phi, psi, "sorted")


def _line_potential(own: Array, partners: Array, index: NDArray[np.intp], mass: Array) -> Array:
    slope = own - np.bincount(index, weights=mass * partners) * len(own)
    return np.append(0.0, np.cumsum(np.diff(own) * (slope[1:] + slope[:-1])))  # trapezoidal rule for φ'


def _assignment(cost: Array) -> tuple[float, Array, Array]:
    """SciPy's assignment, and dual potentials for it: shortest paths in the graph of reduced costs.

    ``v_j ≤ v_σ(i) + c_ij − c_iσ(i)`` for all i, j, with u_i = c_iσ(i) − v_σ(i), is dual feasibility with
    equality on the assignment: a fixed point (Bellman–Ford) proves the assignment optimal.
    """
    from scipy.optimize import linear_sum_assignment

    n = len(cost)
    _, sigma = linear_sum_assignment(cost)
    paid = cost[np.arange(n), sigma]
    v, block = np.zeros(n), max(1, 262_144 // n)  # a block of rows stays in the cache
    buffer = np.empty((block, n))
    for _ in range(n + 1):
        offset, new = v[sigma] - paid, v.copy()
        for k in range(0, n, block):
            rows = cost[k : k + block]
            sums = np.add(rows, offset[k : k + block, None], out=buffer[: len(rows)])
            np.minimum(new, sums.min(axis=0), out=new)
        moved, v = float((v - new).max()), new
        if moved <= 1e-12:
            return float(paid.mean()), paid - v[sigma], v
    raise IOFailure("the assignment is not optimal: its dual potentials do not settle")


def _simplex(cost: Array) -> tuple[float, Array, Array]:
    """POT's network simplex, an early stop being an error, its answer certified by its dual potentials."""
    for backend in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):  # else POT imports what it finds installed
        os.environ.setdefault(f"POT_BACKEND_DISABLE_{backend}", "1")
    with needing("samplers"):
        import ot

    n, m = cost.shape
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            value, log = ot.emd2(
                np.full(n, 1.0 / n), np.full(m, 1.0 / m), cost, numItermax=_ITERATIONS, log=True
            )
        except UserWarning as stop:
            raise IOFailure(f"the network simplex stopped early: {' '.join(str(stop).split())}") from None
    u, v = np.asarray(log["u"]), np.asarray(log["v"])
    slack = min(float((cost[k] - u[k] - v).min()) for k in range(n))
    gap = abs(float(value) - float(u.mean() + v.mean()))
    if slack < -1e-9 or gap > 1e-9:
        raise IOFailure(f"the network simplex is not certified: dual gap {gap:.2g}, violation {-slack:.2g}")
    return float(value), u, v


def _halves(points: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Two halves of equal size, at random; an odd point is left out."""
    half = len(points) // 2
    order = rng.permutation(len(points))
    return points[order[:half]], points[order[half : 2 * half]]


def _upper(cost: float, margin: float) -> float:
    """The h of `empirical_w2`: h² = cost + margin · h/√cost."""
    half = 0.5 * margin / math.sqrt(cost) if cost > 0.0 else 0.0
    return half + math.sqrt(half * half + cost)


def _margin(terms: Sequence[tuple[float, Array]], risk: float, side: float) -> float:
    """One-sided margin of Σ weight · mean(values) over independent samples: above for side 1, below for −1.

    Student's quantile, and the skewness term of its Edgeworth expansion where that widens the margin
    (Hall 1992, section 2.6).
    """
    variance = third = 0.0
    for weight, values in terms:
        rest = weight * (values - values.mean()) / len(values)
        variance += float(rest @ rest) * len(values) / (len(values) - 1)
        third += float((rest**3).sum())
    if variance == 0.0:
        return 0.0
    t = -float(stdtrit(min(len(values) for _, values in terms) - 1, risk))
    skew = max(0.0, side * third / variance**1.5)
    return math.sqrt(variance) * (t + skew * (2.0 * t * t + 1.0) / 6.0)


def _tested(
    family: Callable[[tuple[Array, Array], tuple[Array, Array]], tuple[Array, Array]],
    halves: tuple[tuple[Array, Array], tuple[Array, Array]],
    risk: float,
) -> float:
    """Lower confidence limit of W2 from potentials fitted on one half and tested on the other, both ways."""
    terms: list[tuple[float, Array]] = []
    for fit, test in ((0, 1), (1, 0)):
        phi, psi = family((halves[0][fit], halves[1][fit]), (halves[0][test], halves[1][test]))
        terms += [(0.5, phi), (0.5, psi)]
    estimate = sum(weight * float(values.mean()) for weight, values in terms)
    return math.sqrt(max(0.0, estimate - _margin(terms, risk, -1.0)))
