"""What K(ε) is decided by: each theorem's additive bound, and the exact law, as functions of (T, K).

Eq. 7″ for Theorem 2 (for ddpm the smaller of it and Eq. 9′), Eq. 15 for ODE schemes, Eq. 5 for Theorem 1, on
the uniform grid. Their sums are exact up to `SUMMED` steps; beyond, `wbound.tally`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbound import ode, published, sharp
from wbound.clock import Batch, batch
from wbound.data import Curvature, Gaussian, LogConcave
from wbound.errors import HypothesisFailed
from wbound.forward import Process
from wbound.gaussian import defects, gaussian_data, law, start_defects
from wbound.schemes import Scheme
from wbound.setting import setting
from wbound.tally import COARSE, Quality, Rows, tally

__all__ = [
    "INFINITE",
    "SUMMED",
    "SUMMED_COARSELY",
    "Criterion",
    "Value",
    "ends_of",
    "exact_criterion",
    "ode_criterion",
    "published_criterion",
    "sharp_criterion",
    "vertex",
]

Array = NDArray[np.float64]

#: Up to so many steps the sums are done one by one; while T is searched, up to fewer.
SUMMED, SUMMED_COARSELY = 16_384, 2_048


def _one_by_one(K: float, quality: Quality) -> bool:
    return K <= (min(SUMMED, SUMMED_COARSELY) if quality is COARSE else SUMMED)


class Value(NamedTuple):
    """A criterion at (T, K) as constant + linear + (squared_start² + squared²)^{1/2}, and its relative error.

    As K grows ``linear`` and ``squared`` fall like K^{−order}; the other two stay. ``score`` is the part of
    ``constant`` that the score's bias makes, ``stopped`` the part that early stopping does, √(dδ).
    """

    constant: float
    linear: float
    squared_start: float = 0.0
    squared: float = 0.0
    score: float = 0.0
    error: float = 0.0
    stopped: float = 0.0

    @property
    def total(self) -> float:
        value = self.constant + self.linear + math.hypot(self.squared_start, self.squared)
        return math.inf if math.isnan(value) else value

    @property
    def initialisation(self) -> float:
        return self.constant - self.score - self.stopped + self.squared_start

    @property
    def discretisation(self) -> float:
        return self.linear + self.squared + self.stopped

    @property
    def limit(self) -> float:
        """As K → ∞."""
        return self.constant + self.squared_start


#: A criterion: (T, K, quality) → Value; K may be real beyond `SUMMED`; infinite where a hypothesis fails.
Criterion = Callable[[float, float, Quality], Value]


#: Where a hypothesis fails, or the bound overflows.
INFINITE = Value(math.inf, math.inf)


def sharp_criterion(
    process: Process, data: Curvature, scheme: Scheme, start: str, M: float, V: float
) -> Criterion:
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
    ancestral = _Ancestral(process, data) if scheme.name == "ddpm" and not V and data.A1 is not None else None
    last = float(process.time_of(math.log(data.delta))) if data.delta else 0.0

    def value(T: float, K: float, quality: Quality) -> Value:
        if last and not T > last * (1.0 + 1e-9):  # the clock has not left δ yet
            return INFINITE
        if _one_by_one(K, quality):
            s = setting(process, data, T, int(K), scheme=scheme, start=start, score_bias=M, score_noise=V)
            best = _of(sharp.sums(s), 0.0, *sharp.output(s))
            if sharp.has_ancestral(s):
                # while T is searched any θ near the best will do
                other = _of(sharp.ancestral_sums(s, 1.8 if quality is COARSE else None), 0.0)
                best = other if other.total < best.total else best
            return best
        theta = 0.0
        summed = rows
        if ancestral is not None:
            theta = 2.0 if quality is COARSE else ancestral.best(T, K)
            summed = ancestral.beside(rows, theta)
        got = tally(process, data, T, K, summed, quality, last)
        if not (got.sums >= 0.0).all():  # steps too long for an expansion: K is far too small
            return INFINITE
        start0 = sharp.start_at(data, start, *ends_of(process, T))
        sums = [float(v) for v in got.sums]
        p = sharp.Parts(
            start0 * math.exp(min(got.log_P, 700.0)), sums[0], math.sqrt(sums[1]), M * sums[2] if M else 0.0
        )
        scale, extra = 1.0, 0.0
        if last:
            scale, extra = 1.0 + data.normaliser * data.delta, math.sqrt(data.d * data.delta)
        best = _of(p, float(got.error[:3].max()), scale, extra)
        if ancestral is not None:
            drift, noise2, score = sums[3:6]
            p = sharp.Parts(
                start0,
                drift + ancestral.curved(theta, T, sums[6]),
                math.sqrt(noise2),
                M * score if M else 0.0,
            )
            other = _of(p, float(got.error[3:].max()))
            best = other if other.total < best.total else best
        return best

    return value


class _Ancestral:
    """Eq. 9′ over K steps too many to sum: what it adds to the rows, and its θ."""

    def __init__(self, process: Process, data: Curvature) -> None:
        self.process, self.data = process, data
        self.found: dict[float, tuple[float, float]] = {}

    def beside(self, rows: Rows, theta: float) -> Rows:
        """``rows`` and Eq. 9′'s drift, noise², score and θ-term, which carry their products themselves."""

        def rows_of(b: Batch) -> Array:
            terms = sharp.ancestral_terms(b, self.data)
            own = np.stack((terms.drift, terms.noise2, terms.score, terms.weight(theta)))
            return np.concatenate((rows.of(b), own))

        return rows._replace(
            of=rows_of, orders=(*rows.orders, 2.0, 3.0, 1.0, 5.0), powers=(*rows.powers, 0, 0, 0, 0)
        )

    def curved(self, theta: float, T: float, weight: float) -> float:
        """The θ-term from its sum."""
        return 0.25 * math.sqrt(sharp.decay_constant(theta, self.data, ends_of(self.process, T)[1]) * weight)

    def best(self, T: float, K: float) -> float:
        """The θ with the smallest θ-term, which hardly moves with K: any θ gives a bound. It is in a valley
        that narrows as λ(T) grows, so look three times, ever closer."""
        before = self.found.get(T)
        if before is not None and 0.25 * K <= before[0] <= 4.0 * K:
            return before[1]
        theta, tried = 2.0, np.array([0.0, 0.5, 1.0, 1.3, 1.6, 1.8, 1.9, 2.0, 2.1, 2.2, 2.5, 3.0, 4.0])
        for half_width in (0.2, 0.04, 0.0):
            thetas = tuple(float(v) for v in tried)

            def rows_of(b: Batch, thetas: Sequence[float] = thetas) -> Array:
                weight = sharp.ancestral_terms(b, self.data).weight
                return np.stack((np.zeros(b.size), *(weight(theta) for theta in thetas)))

            n = len(thetas)
            rows = Rows(rows_of, (1.0,) + (5.0,) * n, (0,) * n)
            sums = tally(self.process, self.data, T, K, rows, COARSE).sums
            values = np.log([self.curved(t, T, float(w)) for t, w in zip(thetas, sums, strict=True)])
            i = min(max(int(np.argmin(values)), 1), tried.size - 2)
            theta = vertex(tried[i - 1 : i + 2], values[i - 1 : i + 2])
            tried = max(theta, half_width) + half_width * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
        self.found = {T: (K, theta)}  # a search stays at one T while it asks for this
        return theta


def ode_criterion(process: Process, data: Curvature, scheme: Scheme, start: str, M: float) -> Criterion:
    def value(T: float, K: float, quality: Quality) -> Value:
        if _one_by_one(K, quality):
            s = setting(process, data, T, int(K), scheme=scheme, start=start, score_bias=M)
            # while T is searched a θ near the best will do
            return _of(ode.sums(s, 2.0 if quality is COARSE else None), 0.0)
        return _of(*ode.tallied(process, data, scheme, start, M, T, K, quality))

    return value


def _of(p: sharp.Parts, error: float, scale: float = 1.0, extra: float = 0.0) -> Value:
    score, bias, start, noise = (v * scale for v in (p.score, p.bias, p.start, p.noise))
    return Value(score + extra, bias, start, noise, score, error, extra)


def published_criterion(process: Process, data: Curvature, start: str, M: float, M1: Any) -> Criterion:
    known: dict[tuple[float, bool], float] = {}
    moments: dict[tuple[float, bool], float] = {}
    gaussian = (
        data if isinstance(data, Gaussian) else data.gaussian() if isinstance(data, LogConcave) else None
    )

    def omega_of(T: float, quality: Quality) -> float:
        # while T is searched a rougher bound will do; then the search stays at one T
        rough = quality is COARSE
        if (T, rough) not in moments:
            moments[T, rough] = published.moment_supremum(process, data, T, 1e-3 if rough else 1e-6)
        return moments[T, rough]

    def a2(T: float, rough: bool = False) -> float:
        if M1 != "exact":
            return float(M1)
        if (T, rough) not in known:
            if gaussian is not None:
                known[T, rough] = gaussian.M1(process, T, 1e-2 if rough else 1e-6)
            else:
                known[T, rough] = data.M1(process, T)  # type: ignore[attr-defined]
        return known[T, rough]

    def value(T: float, K: float, quality: Quality) -> Value:
        # while T is searched, the constant of a longer horizon serves (A2 on [0, T'] holds on [0, T])
        m1 = a2(_octave(T), True) if quality is COARSE and _octave(T) < process.t_max else a2(T)
        if _one_by_one(K, quality):
            try:
                b = published.THEOREM_1(
                    setting(process, data, T, int(K), scheme="em", start=start, score_bias=M, M1=m1)
                )
            except HypothesisFailed as failed:
                if failed.step is None:
                    raise
                return INFINITE  # the step-size condition: more steps are needed
            return Value(b.initialisation + b.score, b.discretisation, score=b.score)

        worst = 0.0

        def rows_of(b: Batch) -> Array:
            nonlocal worst
            terms = published.local(b, process, data, m1)
            if b.size == quality.block + 1:
                worst = float(published.step_sizes(b, data).max())
            return np.stack(terms)

        kink = -math.log(data.A1[1]) if data.A1 is not None else 0.0
        rows = Rows(rows_of, (2.0, 1.5, 2.0, 1.0), (1, 1, 1), (kink,), m1)
        got = tally(process, data, T, K, rows, quality)
        eta = T / K
        last = float(published.step_sizes(_step(process, T - eta, T), data)[0])
        if max(worst, last) > 1.0:
            return INFINITE
        omega = omega_of(T, quality) if m1 else 0.0
        first = published.start_at(data, start, *ends_of(process, T)) * math.exp(min(got.log_P, 700.0))
        middle = float(got.sums[0]) + m1 * (1.0 + omega) * float(got.sums[1])
        score = M * float(got.sums[2]) if M else 0.0
        return Value(first + score, middle, score=score, error=float(got.error.max()))

    return value


def exact_criterion(process: Process, data: Any, scheme: Scheme) -> Criterion:
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
        rows = (0.0 if d.log_r is None else d.log_r, d.rho, d.shift)
        return np.stack([np.broadcast_to(row, (1, b.size))[0] for row in rows])

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
                variance0, mean0 = start_defects(start, at, c, *ends_of(process, T), power)
                excess[j, i] = got.sums[0] + total**2 * variance0[0]
                mean[j, i] = got.sums[1] + total * mean0
        return both(excess, mean, error)

    return value


def ends_of(process: Process, T: float) -> tuple[float, float]:
    log_alpha, log_lam = process.law(np.array([T]))
    return float(log_alpha[0]), float(log_lam[0])


def _step(process: Process, lo: float, hi: float) -> Batch:
    return batch(process, np.array([lo]), np.array([hi]))


def _octave(T: float) -> float:
    """The next power of two: few horizons, each an upper bound for the shorter ones."""
    return 2.0 ** math.ceil(math.log2(T))


def vertex(x: Array, y: Array) -> float:
    """Where the parabola through three points is lowest; the middle one unless it bends upward."""
    left, right = x[1] - x[0], x[2] - x[1]
    if not (left > 0.0 and right > 0.0):  # points that rounding has merged
        return float(x[1])
    fall, rise = (y[1] - y[0]) / left, (y[2] - y[1]) / right
    if not rise > fall:
        return float(x[1])
    # the slope is fall at the first interval's middle and rise at the second's
    at = 0.5 * (x[0] + x[1]) - fall * 0.5 * (left + right) / (rise - fall)
    return float(min(max(at, x[0]), x[2]))
