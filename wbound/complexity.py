"""Iteration complexity: K(ε) and T(ε) of each theorem and of the exact law, at any size (section 8).

The criterion is additive: Eq. 7″ for Theorem 2 (for ddpm the smaller of it and Eq. 9′), Eq. 5 for
Theorem 1, on the uniform grid. Its sums are exact up to `SUMMED` steps; beyond, `wbound.tally`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbound import ode, published, sharp
from wbound.clock import Batch
from wbound.data import Curvature
from wbound.errors import BadInput, HypothesisFailed, Unreachable, nonnegative, one_of, positive
from wbound.forward import Process
from wbound.gaussian import defects, gaussian_data, law, start_defects
from wbound.lazily import minimize_scalar
from wbound.schemes import Scheme, scheme_named
from wbound.setting import STARTS, setting
from wbound.tally import CHECKED, COARSE, FINE, Quality, Rows, tally

__all__ = ["Iterations", "exact_iterations", "iterations"]

Array = NDArray[np.float64]

#: Up to so many steps the sums are done one by one.
SUMMED = 16_384
#: log K of a horizon where no K works at the present guess.
HOPELESS = 1e3


class Value(NamedTuple):
    """A criterion at (T, K) as constant + linear + (squared_start² + squared²)^{1/2}, and its relative error.

    As K grows ``linear`` and ``squared`` fall like K^{−order}; the other two stay. ``score`` is the part of
    ``constant`` that the score's bias makes.
    """

    constant: float
    linear: float
    squared_start: float = 0.0
    squared: float = 0.0
    score: float = 0.0
    error: float = 0.0

    @property
    def total(self) -> float:
        value = self.constant + self.linear + math.hypot(self.squared_start, self.squared)
        return math.inf if math.isnan(value) else value

    @property
    def initialisation(self) -> float:
        return self.constant - self.score + self.squared_start

    @property
    def discretisation(self) -> float:
        return self.linear + self.squared

    @property
    def limit(self) -> float:
        """As K → ∞."""
        return self.constant + self.squared_start


#: A criterion: (T, K, quality) → Value; K may be real beyond `SUMMED`; infinite where a hypothesis fails.
Criterion = Callable[[float, float, Quality], Value]


@dataclass(frozen=True)
class Iterations:
    """How many steps suffice: ``K`` steps of size ``eta`` = T/K on [0, T], T optimised unless given.

    ``bound`` is the criterion's value at (T, K), in x (W2, not squared), with its parts; ``criterion`` names
    it; ``summed`` says whether every step was summed, else ``relative_error`` estimates the value's error.
    K is the smallest on the branch where the criterion decreases: K works at T and K − 1 does not.
    """

    K: int
    T: float
    eta: float
    eps: float
    bound: float
    initialisation: float
    discretisation: float
    score: float
    criterion: str
    summed: bool
    relative_error: float


_INFINITE = Value(math.inf, math.inf)


# ---------------------------------------------------------------------- criteria


def _sharp(process: Process, data: Curvature, scheme: Scheme, start: str, M: float, V: float) -> Criterion:
    def rows_of(b: Batch) -> Array:
        terms = sharp.local(b, data, scheme, bool(M or V))
        n2 = terms.n2 + (V * terms.C) ** 2 if V else terms.n2
        return np.stack(
            [np.broadcast_to(row, b.t_lo.shape) for row in (terms.log_gamma, terms.b, n2, terms.C)]
        )

    # ei's and em's γ differ from hf's by O(η²), b is O(η²), n² O(η³) (with V: O(η²)), C O(η)
    exact_contraction = data.telescopes
    orders = (2.0 if exact_contraction else 1.0, 2.0, 2.0 if V else 3.0, 1.0)
    rows = Rows(rows_of, orders, (1, 2, 1), data.kinks)

    def value(T: float, K: float, quality: Quality) -> Value:
        if K <= SUMMED:
            s = setting(process, data, T, int(K), scheme=scheme, start=start, score_bias=M, score_noise=V)
            best = _of(sharp.sums(s), 0.0)
            if sharp.has_ancestral(s):
                # while T is searched any θ near the best will do
                other = _of(sharp.ancestral_sums(s, 1.8 if quality is COARSE else None), 0.0)
                best = other if other.total < best.total else best
            return best
        got = tally(process, data, T, K, rows, quality)
        if not (got.sums >= 0.0).all():  # steps too long for an expansion: K is far too small
            return _INFINITE
        start0 = sharp.start_at(data, start, *_ends(process, T))
        p = sharp.Parts(
            start0 * math.exp(min(got.log_P, 700.0)),
            got.sums[0],
            math.sqrt(got.sums[1]),
            M * got.sums[2] if M else 0.0,
        )
        best = _of(p, float(got.error.max()))
        if scheme.name == "ddpm" and V == 0.0 and data.A1 is not None:
            other = _ancestral(process, data, start, M, T, K, quality)
            best = other if other.total < best.total else best
        return best

    return value


def _ode(process: Process, data: Curvature, scheme: Scheme, start: str, M: float) -> Criterion:
    def value(T: float, K: float, quality: Quality) -> Value:
        if K <= SUMMED:
            s = setting(process, data, T, int(K), scheme=scheme, start=start, score_bias=M)
            # while T is searched a θ near the best will do
            return _of(ode.sums(s, 2.0 if quality is COARSE else None), 0.0)
        return _of(*ode.tallied(process, data, scheme, start, M, T, K, quality))

    return value


def _of(p: sharp.Parts, error: float) -> Value:
    return Value(p.score, p.bias, p.start, p.noise, p.score, error)


def _ancestral(
    process: Process, data: Curvature, start: str, M: float, T: float, K: float, quality: Quality
) -> Value:
    """Eq. 9′ over K steps too many to sum."""
    log_alpha, log_lam = _ends(process, T)

    def at(thetas: Sequence[float], quality: Quality) -> tuple[Array, Array, float]:
        """drift, noise², score; the θ-term for each θ; the relative error."""

        def rows_of(b: Batch) -> Array:
            terms = sharp.ancestral_terms(b, data)
            weights = [terms.weight(theta) for theta in thetas]
            return np.stack((np.zeros(b.size), terms.drift, terms.noise2, terms.score, *weights))

        n = len(thetas)
        rows = Rows(rows_of, (1.0, 2.0, 3.0, 1.0) + (5.0,) * n, (0,) * (3 + n))
        got = tally(process, data, T, K, rows, quality)
        constants = np.array([sharp.decay_constant(theta, data, log_lam) for theta in thetas])
        return got.sums[:3], 0.25 * np.sqrt(constants * got.sums[3:]), float(got.error.max())

    # any θ gives a bound; the best is in a valley that narrows as λ(T) grows: look three times, ever closer
    theta, tried = 2.0, np.array([0.0, 0.5, 1.0, 1.3, 1.6, 1.8, 1.9, 2.0, 2.1, 2.2, 2.5, 3.0, 4.0])
    for half_width in () if quality is COARSE else (0.2, 0.04, 0.0):
        values = np.log(at(tuple(tried), COARSE)[1])
        i = min(max(int(np.argmin(values)), 1), tried.size - 2)
        theta = _vertex(tried[i - 1 : i + 2], values[i - 1 : i + 2])
        tried = max(theta, half_width) + half_width * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    sums, curved, error = at((theta,), quality)
    drift, noise2, score = (float(v) for v in sums)
    first = sharp.start_at(data, start, log_alpha, log_lam)
    return _of(
        sharp.Parts(first, drift + float(curved[0]), math.sqrt(noise2), M * score if M else 0.0), error
    )


def _published(process: Process, data: Curvature, start: str, M: float, M1: Any) -> Criterion:
    known: dict[float, float] = {}

    def a2(T: float) -> float:
        if M1 != "exact":
            return float(M1)
        if T not in known:
            known[T] = data.M1(process, T)  # type: ignore[attr-defined]
        return known[T]

    def value(T: float, K: float, quality: Quality) -> Value:
        # while T is searched, the constant of a longer horizon serves (A2 on [0, T'] holds on [0, T])
        m1 = a2(_octave(T)) if quality is COARSE and _octave(T) < process.t_max else a2(T)
        if K <= SUMMED:
            try:
                b = published.THEOREM_1(
                    setting(process, data, T, int(K), scheme="em", start=start, score_bias=M, M1=m1)
                )
            except HypothesisFailed as failed:
                if failed.step is None:
                    raise
                return _INFINITE  # the step-size condition: more steps are needed
            return Value(b.initialisation + b.score, b.discretisation, score=b.score)

        worst = 0.0

        def rows_of(b: Batch) -> Array:
            nonlocal worst
            terms = published.local(b, process, data, m1)
            if b.size == quality.block + 1:
                worst = float(published.step_sizes(b, data).max())
            return np.stack(terms)

        kink = -math.log(data.A1[1]) if data.A1 is not None else 0.0
        rows = Rows(rows_of, (2.0, 1.5, 2.0, 1.0), (1, 1, 1), (kink,))
        got = tally(process, data, T, K, rows, quality)
        eta = T / K
        last = float(published.step_sizes(_step(process, T - eta, T), data)[0])
        if max(worst, last) > 1.0:
            return _INFINITE
        omega = published.moment_supremum(process, data, T) if m1 else 0.0
        first = published.start_at(data, start, *_ends(process, T)) * math.exp(min(got.log_P, 700.0))
        middle = float(got.sums[0]) + m1 * (1.0 + omega) * float(got.sums[1])
        score = M * float(got.sums[2]) if M else 0.0
        return Value(first + score, middle, score=score, error=float(got.error.max()))

    return value


def _exact(process: Process, data: Any, scheme: Scheme) -> Criterion:
    """W2(output from p_T, p_0) + W2(output from p_T, output from the prior): at least the W2 from the prior,
    without its cancellations (section 6: from the prior alone a tuned T gives W2 near 0 at any K)."""
    target = gaussian_data(data)
    variances, group = np.unique(target.eigenvalues, return_inverse=True)
    means2 = np.bincount(group, target.coordinates**2)
    counts = np.bincount(group)
    c = 1.0 / float(variances.mean())
    # an ODE's steps multiply by about 1 in units of α(1 + cλ)^{1/2}, a stage more gains an order
    power, more = (0.5, scheme.stages - 1.0) if scheme.kind == "ode" else (1.0, 0.0)

    def w2(excess: Array, mean: Array) -> float:
        """W2 of the output to the data."""
        return between(variances, excess, mean)

    def between(v: Array, excess: Array, mean: Array) -> float:
        """W2 of N(0, v) and N(mean, v + excess), along the axes."""
        root = np.sqrt(v)
        width = np.maximum(excess, -v) / np.maximum(np.sqrt(np.maximum(v + excess, 0.0)) + root, 1e-300)
        return math.sqrt(float(counts @ width**2 + means2 @ mean**2))

    def both(excess: Array, mean: Array, error: float = 0.0) -> Value:
        from_exact = np.maximum(variances + excess[0], 0.0)
        return Value(
            between(from_exact, excess[1] - excess[0], mean[1] - mean[0]), w2(excess[0], mean[0]), error=error
        )

    def rows_of(b: Batch) -> Array:
        # only reached with one eigenvalue at a time
        d = defects(b, scheme, at, c, power=power)
        return np.stack([np.broadcast_to(row, (1, b.size))[0] for row in (d.log_r, d.rho, d.shift)])

    at = variances[:1]

    def value(T: float, K: float, quality: Quality) -> Value:
        nonlocal at
        if K <= SUMMED:
            laws = [
                law(setting(process, data, T, int(K), scheme=scheme, start=s), variances)
                for s in ("exact", "prior")
            ]
            return both(np.stack([v.excess for v in laws]), np.stack([v.mean for v in laws]))
        excess, mean = np.empty((2, variances.size)), np.empty((2, variances.size))
        error = 0.0
        for i, variance in enumerate(variances):
            at = variances[i : i + 1]
            order = 2.0 + more if c * variance == 1.0 else 1.0
            rows = Rows(rows_of, (order, 2.0 + more, 2.0), (2, 1))
            got = tally(process, target, T, K, rows, quality)
            error = max(error, float(np.nanmax(np.append(got.error, 0.0))))
            total = math.exp(min(got.log_P, 700.0))
            for j, start in enumerate(("exact", "prior")):
                variance0, mean0 = start_defects(start, at, c, *_ends(process, T), power)
                excess[j, i] = got.sums[0] + total**2 * variance0[0]
                mean[j, i] = got.sums[1] + total * mean0
        return both(excess, mean, error)

    return value


def _ends(process: Process, T: float) -> tuple[float, float]:
    log_alpha, log_lam = process.law(np.array([T]))
    return float(log_alpha[0]), float(log_lam[0])


def _step(process: Process, lo: float, hi: float) -> Batch:
    from wbound.clock import batch

    return batch(process, np.array([lo]), np.array([hi]))


def _octave(T: float) -> float:
    """The next power of two: few horizons, each an upper bound for the shorter ones."""
    return 2.0 ** math.ceil(math.log2(T))


class _Horizons(NamedTuple):
    """T as searched: by u = log T, or by u = log(T/(t* − T)) where the clock is infinite at a finite t*, since
    there the last 1e-7 of T's range may hold half of log λ's."""

    end: float

    @property
    def last(self) -> float:
        """The largest u: log T where doubles end, or where T could not be told from t*."""
        return 600.0 if math.isinf(self.end) else 34.0

    def time(self, u: float) -> float:
        """T at u."""
        return math.exp(u) if math.isinf(self.end) else self.end / (1.0 + math.exp(-u))


# ---------------------------------------------------------------------- the search


def _predicted(v: Value, K: float, eps: float, order: float) -> float:
    """K for ε from one evaluation, by the law of `Value`: constant + x·linear + (start² + x²squared²)^{1/2} = ε
    is solved for x, and x = (K/K_ε)^order."""
    A = eps - v.constant
    if A <= 0.0 or v.squared_start >= A or not v.discretisation < 1e100:
        return math.inf
    linear, squared = v.linear / A, v.squared / A
    room = 1.0 - (v.squared_start / A) ** 2
    inside = linear**2 + (squared**2 - linear**2) * room
    power = (linear + math.sqrt(max(inside, 0.0))) / room
    if power <= 0.0:
        return 1.0
    log_K = math.log(K) + math.log(power) / order
    return math.exp(log_K) if log_K < 300.0 else math.inf


def _solve_K(criterion: Criterion, T: float, K: float, eps: float, order: float) -> tuple[int, Value]:
    """The smallest K on the decreasing branch at this T, from a guess."""

    def at(k: float) -> Value:
        return criterion(T, float(int(k)) if k <= SUMMED else k, FINE)

    k = max(float(math.ceil(K)), 1.0)
    v = at(k)
    for _ in range(40):
        new = max(_predicted(v, k, eps, order), 1.0)
        if math.isinf(new):
            new = 2.0 * k
        new = float(min(max(new, 0.25 * k), 4.0 * k))
        new = math.ceil(new) if new < 1e15 else new
        if new == k or (k > 1e10 and abs(new - k) <= 1e-10 * k):
            break
        previous, k = k, new
        v = at(k)
        if abs(previous - k) <= 1.0:
            break
    k = float(math.ceil(k))
    if k > 1e10:  # one step more or less is below the error of the value
        v = at(k)
        while v.total > eps * (1.0 + 1e-9):
            k *= 1.0 + 1e-9
            v = at(k)
        return int(k), v
    v = at(k)
    for _ in range(100_000):
        if v.total <= eps:
            break
        k += max(1.0, math.floor(1e-10 * k))
        v = at(k)
    while k > 1.0:
        less = at(k - 1.0)
        if not less.total <= eps:
            break
        k, v = k - 1.0, less
    return int(k), v


def _search(
    criterion: Criterion, eps: float, order: float, bracket: tuple[float, float], guess: float
) -> tuple[int, float, Value]:
    """The smallest K over the horizons u in the bracket, and that u; the criterion takes u for T."""
    lo, hi = bracket
    K = guess

    def cost(u: float) -> float:
        k = criterion(u, float(max(int(K), 1)) if K <= SUMMED else K, COARSE)
        needed = _predicted(k, K, eps, order)
        return math.log(needed) if math.isfinite(needed) else HOPELESS + min(k.initialisation / eps, 1e3)

    # sweeps: look at a few T, move the window to the best, shrink it once the best is inside and K settles
    width, best, points = hi - lo, 0.5 * (lo + hi), 9
    for _ in range(60):
        left = min(max(best - 0.5 * width, lo), hi - width) if width < hi - lo else lo
        grid = np.linspace(left, left + width, points)
        values = [cost(float(u)) for u in grid]
        i = int(np.argmin(values))
        best = float(grid[i])
        if values[i] >= HOPELESS:  # K is too small everywhere, or a hypothesis asks for more steps
            K *= 8.0
            continue
        off = values[i] - math.log(K)
        if K == 1.0 and off <= 0.0:  # one step is enough
            break
        # Theorem 1: half-way down while the guess is far off, for far below its own K no horizon works
        K = max(K * math.exp(0.5 * off if off < -4.0 and order < 1.0 else off), 1.0)
        inside = 0 < i < points - 1 or width >= hi - lo
        if abs(off) < 0.1 and inside:
            if width < 0.05:
                break
            width, points = 2.2 * width / (points - 1), 5
        elif abs(off) > 1.0 and inside:
            width = max(0.7 * width, 1e-3)
        elif inside:
            width, points = 0.5 * width, 5
    if 0 < i < points - 1 and max(values) < HOPELESS:  # the vertex of the parabola through three values
        best = _vertex(grid[i - 1 : i + 2], np.array(values[i - 1 : i + 2]))
    k, v = _solve_K(criterion, best, K, eps, order)
    if k <= 4096:
        return _polish(criterion, eps, bracket, best, k, v)
    return k, best, v


def _vertex(x: Array, y: Array) -> float:
    """Where the parabola through three points is lowest; the middle one unless it bends upward between them."""
    left, right = x[1] - x[0], x[2] - x[1]
    if not (left > 0.0 and right > 0.0):  # points that rounding has merged
        return float(x[1])
    fall, rise = (y[1] - y[0]) / left, (y[2] - y[1]) / right
    if not rise > fall:
        return float(x[1])
    # the slope is fall at the first interval's middle and rise at the second's
    at = 0.5 * (x[0] + x[1]) - fall * 0.5 * (left + right) / (rise - fall)
    return float(min(max(at, x[0]), x[2]))


def _polish(
    criterion: Criterion, eps: float, limits: tuple[float, float], u: float, k: int, v: Value
) -> tuple[int, float, Value]:
    """For small K the power law is rough: lower K one by one while some T works."""
    while k > 1:
        found = minimize_scalar(
            lambda w: criterion(w, float(k - 1), FINE).total,
            bounds=(max(u - 0.4, limits[0]), min(u + 0.4, limits[1])),
            method="bounded",
            options={"xatol": 1e-4},
        )
        if not found.fun <= eps:
            break
        u, k = float(found.x), k - 1
        v = criterion(u, float(k), FINE)
        smaller, better = _solve_K(criterion, u, float(k), eps, 1.0)
        if smaller < k:
            k, v = smaller, better
    return k, u, v


def _bracket(process: Process, first: Callable[[float], float], eps: float) -> tuple[float, float]:
    """The horizons u where the start's share is ε, and where it is 1e-4 ε (or as far as λ goes)."""
    horizons = _Horizons(process.t_max)

    def at(u: float) -> float:
        return first(horizons.time(u))

    def reach(level: float) -> float | None:
        lo, hi = -60.0, 0.0
        while at(hi) > level:
            if hi >= horizons.last:
                return None
            lo, hi = hi, min(hi + 1.0 + abs(hi), horizons.last)
            if not math.isfinite(_ends(process, horizons.time(hi))[1]):
                return None
        while at(lo) <= level and lo > -600.0:
            lo, hi = lo - 20.0, lo
        for _ in range(60):
            mid = 0.5 * (lo + hi)
            lo, hi = (mid, hi) if at(mid) > level else (lo, mid)
            if hi - lo < 1e-6:
                break
        return hi

    low = reach(eps)
    if low is None:
        floor = min(
            at(float(u))
            for u in np.linspace(-5.0, min(60.0, horizons.last), 66)
            if math.isfinite(_ends(process, horizons.time(float(u)))[1])
        )
        raise Unreachable(eps, floor, "the start: lam(t) stays too small for this process")
    high = reach(1e-4 * eps)
    return low, high if high is not None else min(low + 4.0, horizons.last)


def iterations(
    process: Process,
    data: Any,
    eps: float,
    *,
    scheme: str | Scheme = "em",
    theorem: str = "sharp",
    start: str = "prior",
    score_bias: float = 0.0,
    score_noise: float = 0.0,
    M1: float | str | None = None,
    T: float | None = None,
) -> Iterations:
    """The smallest K on the uniform grid whose bound is ≤ ε, T optimised unless given (section 8). *upper*

    eps: W2, not squared, in the data's units. theorem "sharp" uses Eq. 7″ (ddpm: or Eq. 9′ if smaller), which
    is at least the total of `w2_bound`, and Eq. 15 for ODE schemes; "published" uses Eq. 5 (scheme em, needs M1: a number or "exact").
    start "exact" needs T, since T → 0 is then free. Raises `Unreachable` with the floor that the score's bias
    or the process's clock sets, `BadInput`, `HypothesisFailed`.
    """
    eps = positive("eps", eps)
    chosen = scheme_named(scheme)
    one_of("theorem", theorem, ("published", "sharp"))
    one_of("start", start, STARTS)
    M, V = nonnegative("score_bias", score_bias), nonnegative("score_noise", score_noise)
    # the same checks as w2_bound's, at a setting that cannot overflow
    probe = setting(
        process,
        data,
        positive("T", T) if T is not None else min(1.0, 0.5 * process.t_max),
        1,
        scheme=chosen,
        start=start,
        score_bias=M,
        score_noise=V,
    )
    if theorem == "published":
        if M1 is None or (M1 == "exact" and not hasattr(data, "M1")):
            published.THEOREM_1.hypotheses[1].check(probe)
            raise BadInput("M1", M1, "is known for Gaussian data only: give A2's constant as a number")
        for hypothesis in published.THEOREM_1.hypotheses[:-1]:
            if hypothesis.name != "A2":
                hypothesis.check(probe)
        criterion = _published(process, data, start, M, M1 if M1 == "exact" else nonnegative("M1", M1))
        order, name = 0.5, "Eq. 5"

        def first(t: float) -> float:
            return published.start_at(data, start, *_ends(process, t))
    elif chosen.kind == "ode":
        for hypothesis in ode.THEOREM_3.hypotheses:
            hypothesis.check(probe)
        criterion = _ode(process, data, chosen, start, M)
        order, name = 1.0, "Eq. 15"

        def first(t: float) -> float:
            return ode.start_at(data, start, *_ends(process, t))
    else:
        for hypothesis in sharp.THEOREM_2.hypotheses:
            hypothesis.check(probe)
        criterion = _sharp(process, data, chosen, start, M, V)
        order, name = 1.0, "Eq. 7'' or 9'" if chosen.name == "ddpm" else "Eq. 7''"

        def first(t: float) -> float:
            log_alpha, log_lam = _ends(process, t)
            left = math.exp(min(data.log_contraction(log_lam), 700.0))
            return sharp.start_error(data, start, log_alpha, log_lam) * left

    if data.delta:
        raise BadInput("data", "early stopped", "iterations counts steps down to lam = 0; use w2_bound")
    answer = _answer(process, criterion, first, eps, order, name, start, T, M, data.second_moment)
    data.check(-math.inf, _ends(process, answer.T)[1])
    return answer


def _answer(
    process: Process,
    criterion: Criterion,
    first: Callable[[float], float],
    eps: float,
    order: float,
    name: str,
    start: str,
    T: float | None,
    M: float,
    second_moment: float,
) -> Iterations:
    if T is None:
        if start == "exact":
            raise BadInput("T", "None", "must be given for start = exact, where T -> 0 costs nothing")
        horizons = _Horizons(process.t_max)
        bracket = _bracket(process, first, eps)

        def placed(u: float, K: float, quality: Quality) -> Value:
            at = horizons.time(u)
            if K > SUMMED and at + at / K >= process.t_max:  # steps longer than what is left before λ = ∞
                return _INFINITE
            found = criterion(at, K, quality)
            # rounding may have merged the last steps
            return found if not math.isnan(found.constant) else _INFINITE

        if M:
            _check_floor(placed, eps, bracket)
        # K ≍ T x^{1/order} with x = ‖X_0‖/ε (section 8); two decades above, where the power law is exact
        size = math.sqrt(second_moment) / eps
        longest = horizons.time(bracket[1])
        guess = max(100.0 * size ** (1.0 / order) * max(longest, 1.0), 2.0 * SUMMED)
        k, u, v = _search(placed, eps, order, bracket, guess)
        at = horizons.time(u)
    else:
        at = positive("T", T)
        limit = criterion(at, 1e18, COARSE)
        floor = limit.limit
        if floor >= eps:
            raise Unreachable(eps, floor, "start and score error at this T")
        k, v = _solve_K(criterion, at, _predicted(limit, 1e18, eps, order), eps, order)
    if k > SUMMED:
        v = criterion(at, float(k), CHECKED)
    return Iterations(
        K=k,
        T=at,
        eta=at / k,
        eps=eps,
        bound=float(v.total),
        initialisation=float(v.initialisation),
        discretisation=float(v.discretisation),
        score=float(v.score),
        criterion=name,
        summed=k <= SUMMED,
        relative_error=float(v.error),
    )


def _check_floor(criterion: Criterion, eps: float, bracket: tuple[float, float]) -> None:
    """With a biased score the limit K → ∞ leaves start + score: refuse ε below its minimum over T."""

    def limit(u: float) -> float:
        return criterion(u, 1e18, COARSE).limit

    lo, hi = bracket
    grid = np.linspace(lo, hi, 13)
    values = [limit(float(u)) for u in grid]
    i = int(np.argmin(values))
    found = minimize_scalar(
        limit, bounds=(float(grid[max(i - 1, 0)]), float(grid[min(i + 1, 12)])), method="bounded"
    )
    floor = min(float(found.fun), values[i])
    if floor >= eps:
        raise Unreachable(eps, floor, "the score's bias M together with the start")


def exact_iterations(
    process: Process, data: Any, eps: float, *, scheme: str | Scheme = "em", T: float | None = None
) -> Iterations:
    """The smallest K with W2(output from p_T, p_0) + W2(output from p_T, output from the prior) ≤ ε on Gaussian
    data. *exact*

    Section 6 says why not from the prior alone: a tuned T gives W2 near 0 at any K. eps in x (W2, not
    squared); T optimised unless given. Raises `HypothesisFailed` for data not known to be Gaussian.
    """
    eps = positive("eps", eps)
    target = gaussian_data(data)
    chosen = scheme_named(scheme)
    criterion = _exact(process, target, chosen)

    def first(t: float) -> float:
        """W2 that the prior start alone makes as η → 0: a coordinate contracts by ς²/(ς² + λ), along the ODE
        by its root."""
        log_lam = _ends(process, t)[1]
        v = target.eigenvalues
        left = v * np.exp(-np.logaddexp(np.log(v), log_lam))
        if chosen.kind == "ode":
            left = np.sqrt(left)
        sd = np.sqrt(v)
        narrowed = sd * -np.expm1(0.5 * np.log1p(-(left**2))) if left.max() < 1.0 else sd
        return math.sqrt(float(narrowed @ narrowed + ((left * target.coordinates) ** 2).sum()))

    return _answer(
        process, criterion, first, eps, float(chosen.stages), "exact law", "prior", T, 0.0, target.second_moment
    )
