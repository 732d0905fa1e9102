"""What K(ε) is decided by: each theorem's additive bound, and the exact law, as functions of (T, K).

Eq. 7″ for Theorem 2 (for ddpm the smaller of it and Eq. 9′), Eq. 5 for Theorem 1, and of others the `ThetaSums` that
they give, on the uniform grid. Their sums are exact up to `SUMMED` steps; beyond, `wbound.complexity.step_sums`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wbound.bounds import ddpm, shared, theorem_1, theorem_2
from wbound.bounds.shared import Parts
from wbound.bounds.theorem import Theorem, ThetaSums
from wbound.calculus.stable import grown
from wbound.complexity.step_sums import COARSE, Quality, Rows, one_by_one, tally
from wbound.data.curvature import Curvature
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, HypothesisFailed, nonnegative
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import setting
from wbound.sampler.scheme import DDPM, Scheme
from wbound.sampler.steps import Batch, batch
from wbound.sampler.turns import turns_of
from wbound.typing import Array, Index

__all__ = [
    "INFINITE",
    "SUMMED",
    "SUMMED_COARSELY",
    "Criterion",
    "Value",
    "by_size",
    "criterion_of",
    "ends_of",
    "theta_sums",
    "value_at",
    "vertex",
]


#: Up to so many steps the sums are done one by one; while T is searched, up to fewer.
SUMMED, SUMMED_COARSELY = 16_384, 512
#: Up to so many steps those of several horizons are summed at once.
AT_ONCE = 4096
#: With more steps Eq. 9′'s η⁵ is below doubles; Eq. 7″, a bound too, is left.
SHORTEST = 1e50


def _one_by_one(K: float, quality: Quality) -> bool:
    return K <= (min(SUMMED, SUMMED_COARSELY) if quality.rough else SUMMED)


class Value(NamedTuple):
    """A criterion at (T, K) as constant + linear + fast + (squared_start² + squared²)^{1/2}, and its relative error.

    As K grows ``linear`` and ``squared`` fall like K^{−order}, ``fast`` like K^{−2 order}; the other two stay. ``score``
    is the part of ``constant`` that the score's bias makes, ``stopped`` the part that early stopping does, √(dδ).
    """

    constant: float
    linear: float
    squared_start: float = 0.0
    squared: float = 0.0
    score: float = 0.0
    error: float = 0.0
    stopped: float = 0.0
    fast: float = 0.0

    @property
    def total(self) -> float:
        value = self.constant + self.linear + self.fast + math.hypot(self.squared_start, self.squared)
        return math.inf if math.isnan(value) else value

    @property
    def initialisation(self) -> float:
        return self.constant - self.score - self.stopped + self.squared_start

    @property
    def discretisation(self) -> float:
        return self.linear + self.fast + self.squared + self.stopped

    @property
    def limit(self) -> float:
        """As K → ∞."""
        return self.constant + self.squared_start


#: A criterion: (T, K, quality) → its Value at each of the pairs (T_j, K_j), two arrays (J,); K may be real
#: beyond `SUMMED`; infinite where a hypothesis fails.
Criterion = Callable[[Array, Array, Quality], list[Value]]


def value_at(criterion: Criterion, T: float, K: float, quality: Quality) -> Value:
    """A criterion at one pair."""
    return criterion(np.array([T]), np.array([K]), quality)[0]


def by_size(
    summed: Callable[[float, int, Quality], Value],
    tallied: Criterion,
    together: Callable[[Array, Array, Quality], list[Value] | None] | None = None,
) -> Criterion:
    """The pairs with few steps one by one, which ``together`` may do at once, the others by their tallies."""

    def values(T: Array, K: Array, quality: Quality) -> list[Value]:
        few = np.array([_one_by_one(float(k), quality) for k in K])
        out = [INFINITE] * T.size
        own = np.flatnonzero(few)
        at_once = together(T[own], np.floor(K[own]), quality) if together and own.size else None
        if at_once is not None:
            for i, value in zip(own, at_once, strict=True):
                out[i] = value
        else:
            for i in own:
                out[i] = summed(float(T[i]), int(K[i]), quality)
        many = np.flatnonzero(~few)
        if many.size:
            for i, value in zip(many, tallied(T[many], K[many], quality), strict=True):
                out[i] = value
        return out

    return values


#: Where a hypothesis fails, or the bound overflows.
INFINITE = Value(math.inf, math.inf)


def sharp_criterion(
    process: Process, data: Curvature, scheme: Scheme, start: str, M: float, V: float, M1: Any = None
) -> Criterion:
    def rows_of(b: Batch, which: Index) -> Array:
        terms = theorem_2.local(b, data, scheme, bool(M or V))
        n2 = terms.n2 + (V * terms.C) ** 2 if V else terms.n2
        return np.stack(
            [np.broadcast_to(row, b.t_lo.shape) for row in (terms.log_gamma, terms.b, n2, terms.C)]
        )

    # ei's and em's γ differ from hf's by O(η²), b is O(η²), n² O(η³) (with V: O(η²)), C O(η)
    exact_contraction = data.telescopes
    orders = (2.0 if exact_contraction else 1.0, 2.0, 2.0 if V else 3.0, 1.0)
    rows = Rows(rows_of, orders, (1, 2, 1), data.kinks)
    turns: list[tuple[float, tuple[float, ...]]] = []  # of the longest horizon so far
    ancestral = _Ancestral(process, data) if scheme == DDPM and not V and data.A1 is not None else None
    last = float(process.time_of(math.log(data.delta))) if data.delta else 0.0

    def early(T: Array | float) -> Any:
        """Whether the clock has not left δ yet."""
        return last and ~(T > np.float64(last * (1.0 + 1e-9)))

    def summed(T: float, K: int, quality: Quality) -> Value:
        if early(T):
            return INFINITE
        s = setting(process, data, T, K, scheme=scheme, start=start, score_bias=M, score_noise=V)
        best = _of(theorem_2.sums(s), 0.0, *shared.output(s))
        if ddpm.has_ancestral(s):
            # while T is searched any θ near the best will do
            other = _of(ddpm.ancestral_sums(s, 1.8 if quality.rough else None), 0.0)
            best = other if other.total < best.total else best
        return best

    def tallied(T: Array, K: Array, quality: Quality) -> list[Value]:
        if T.size > 1 and not quality.rough and ancestral is not None:  # each has its own θ
            return [value for i in range(T.size) for value in tallied(T[i : i + 1], K[i : i + 1], quality)]
        theta, all_rows = 2.0, rows
        own = ancestral if K.max() < SHORTEST else None
        if own is not None:
            if not quality.rough:
                theta = own.best(float(T[0]), float(K[0]))
            all_rows = own.beside(rows, theta)
        left, out = alive(T)
        if not left.size:
            return out
        longest = float(T[left].max())
        if not turns or turns[0][0] < longest:
            turns[:] = [(longest, turns_of(process, data, scheme, longest))]
        all_rows = all_rows._replace(kinks=tuple(sorted((*data.kinks, *turns[0][1]))))
        got = tally(process, data, T[left], K[left], all_rows, quality, last)
        ends = process.law(T[left])
        for j, i in enumerate(left):
            end = float(ends[0][j]), float(ends[1][j])
            out[i] = value(end, theta, float(got.log_P[j]), got.sums[j], got.error[j])
        return out

    def alive(T: Array) -> tuple[Index, list[Value]]:
        return np.flatnonzero(~early(T)) if last else np.arange(T.size), [INFINITE] * T.size

    def together(T: Array, K: Array, quality: Quality) -> list[Value] | None:
        if K.max() > AT_ONCE or (ancestral is not None and not quality.rough):
            return None
        left, out = alive(T)
        if not left.size:
            return out
        theta = 1.8  # while T is searched
        all_rows = rows if ancestral is None else ancestral.beside(rows, theta)
        got, largest = one_by_one(process, T[left], K[left], all_rows, last)
        ends = process.law(T[left])
        for j, i in enumerate(left):
            if largest[j] <= theorem_2.UNSTABLE:
                end = float(ends[0][j]), float(ends[1][j])
                out[i] = value(end, theta, float(got.log_P[j]), got.sums[j], got.error[j])
        return out

    def value(end: tuple[float, float], theta: float, log_P: float, sums: Array, error: Array) -> Value:
        if not (sums >= 0.0).all():  # steps too long for an expansion: K is far too small
            return INFINITE
        start0 = shared.start_at(data, start, process, *end)
        first, n2, C = (float(v) for v in sums[:3])
        p = shared.Parts(grown(start0, log_P), first, math.sqrt(n2), M * C if M else 0.0)
        scale, extra = 1.0, 0.0
        if last:
            scale, extra = 1.0 + data.normaliser * data.delta, math.sqrt(data.d * data.delta)
        best = _of(p, float(error[:3].max()), scale, extra)
        if ancestral is not None and sums.size > 3:
            drift, noise2, score, weight = (float(v) for v in sums[3:])
            curved = ancestral.curved(theta, end[1], weight)
            p = shared.Parts(start0, drift, math.sqrt(noise2), M * score if M else 0.0)
            other = _of(p, float(error[3:].max()))._replace(fast=curved)
            best = other if other.total < best.total else best
        return best

    return by_size(summed, tallied, together)


class _Ancestral:
    """Eq. 9′ over K steps too many to sum: what it adds to the rows, and its θ."""

    def __init__(self, process: Process, data: Curvature) -> None:
        self.process, self.data = process, data
        self.found: dict[float, tuple[float, float]] = {}

    def beside(self, rows: Rows, theta: float) -> Rows:
        """``rows`` and Eq. 9′'s drift, noise², score and θ-term, which carry their products themselves."""

        def rows_of(b: Batch, which: Index) -> Array:
            terms = ddpm.ancestral_terms(b, self.data)
            own = np.stack((terms.drift, terms.noise2, terms.score, terms.weight(theta)))
            return np.concatenate((rows.of(b, which), own))

        return rows._replace(
            of=rows_of, orders=(*rows.orders, 2.0, 3.0, 1.0, 5.0), powers=(*rows.powers, 0, 0, 0, 0)
        )

    def curved(self, theta: float, log_lam_T: float, weight: float) -> float:
        """The θ-term from its sum, infinite where steps are too long for an expansion to have made one."""
        if not weight >= 0.0:
            return math.inf
        return 0.25 * math.sqrt(shared.decay_constant(theta, self.data, log_lam_T) * weight)

    def best(self, T: float, K: float) -> float:
        """The θ with the smallest θ-term, which hardly moves with K: any θ gives a bound. It is in a valley
        that narrows as λ(T) grows, so look three times, ever closer."""
        before = self.found.get(T)
        if before is not None and 0.25 * K <= before[0] <= 4.0 * K:
            return before[1]
        log_lam_T = ends_of(self.process, T)[1]
        theta, tried = 2.0, np.array([0.0, 0.5, 1.0, 1.3, 1.6, 1.8, 1.9, 2.0, 2.1, 2.2, 2.5, 3.0, 4.0])
        for half_width in (0.2, 0.04, 0.0):
            thetas = tuple(float(v) for v in tried)

            def rows_of(b: Batch, which: Index, thetas: Sequence[float] = thetas) -> Array:
                weight = ddpm.ancestral_terms(b, self.data).weight
                return np.stack((np.zeros(b.size), *(weight(theta) for theta in thetas)))

            n = len(thetas)
            rows = Rows(rows_of, (1.0,) + (5.0,) * n, (0,) * n)
            sums = tally(self.process, self.data, T, K, rows, COARSE).sums[0]
            values = np.log([self.curved(t, log_lam_T, float(w)) for t, w in zip(thetas, sums, strict=True)])
            i = min(max(int(np.argmin(values)), 1), tried.size - 2)
            theta = vertex(tried[i - 1 : i + 2], values[i - 1 : i + 2])
            tried = max(theta, half_width) + half_width * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
        self.found = {T: (K, theta)}  # a search stays at one T while it asks for this
        return theta


def theta_criterion(
    theorem: Theorem, process: Process, data: Curvature, scheme: Scheme, start: str, M: float
) -> Criterion:
    """Of a theorem that is `wbound.bounds.theorem.ThetaSums`."""
    assert theorem.sums is not None
    own = theorem.sums

    def summed(T: float, K: int, quality: Quality) -> Value:
        s = setting(process, data, T, K, scheme=scheme, start=start, score_bias=M)
        # while T is searched a θ near the best will do
        return _of(own.of(s, quality.rough), 0.0)

    def tallied(T: Array, K: Array, quality: Quality) -> list[Value]:
        found = theta_sums(own, process, data, scheme, T, K, quality)
        log_alpha, log_lam = process.law(T)
        out = []
        for j, (drift, score, log_P, error) in enumerate(found):
            first = theorem.start(data, start, process, float(log_alpha[j]), float(log_lam[j]))
            parts = Parts(grown(first, log_P), drift, 0.0, M * score if M else 0.0)
            out.append(_of(parts, error))
        return out

    return by_size(summed, tallied)


class Summed(NamedTuple):
    """Σ P_k drift_k with the θ-terms, Σ P_k score_k, log of the product of all γ, and the relative error."""

    drift: float
    score: float
    log_P: float
    error: float


def theta_sums(
    own: ThetaSums, process: Process, data: Curvature, scheme: Scheme, T: Array, K: Array, quality: Quality
) -> list[Summed]:
    """The sums over K_j uniform steps of [0, T_j], too many to sum one by one."""
    log_lam = process.law(T)[1]
    growth, drift, score, curved = own.orders

    def at(thetas: list[Array], part: slice, q: Quality) -> tuple[Array, list[Array], Array, Array]:
        """Of some horizons: drift and score (J, 2); each θ-term for each of its θ (J, n); log of the product of γ
        (J,); the relative error (J,)."""

        def rows_of(b: Batch, which: Index) -> Array:
            rows = own.rows(b, data, scheme)
            with np.errstate(over="ignore"):  # an infinite step makes an infinite part
                squares = [w(float(t)) for w, tried in zip(rows.weights, thetas, strict=True) for t in tried]
            plain = (np.broadcast_to(row, b.t_lo.shape) for row in rows[:3])
            return np.stack([*plain, *squares])

        n = sum(tried.size for tried in thetas)
        rows = Rows(rows_of, (growth, drift, score) + (curved,) * n, (1, 1) + (2,) * n)
        got = tally(process, data, T[part], K[part], rows, q)
        constants = [
            [
                constant(float(t), data, float(far))
                for constant, tried in zip(own.constants, thetas, strict=True)
                for t in tried
            ]
            for far in log_lam[part]
        ]
        # steps too long for an expansion: K is far too small
        sums = np.where(got.sums >= 0.0, got.sums, np.inf)
        roots = np.sqrt(np.array(constants) * sums[:, 2:])
        terms = np.split(roots, np.cumsum([tried.size for tried in thetas])[:-1], axis=1)
        return sums[:, :2], terms, got.log_P, np.nanmax(got.error, axis=1)

    # any θ gives a bound: a look at many, then one around the best, for each θ-term
    each, coarsely = np.arange(T.size), [own.wide] * len(own.constants)
    ends, terms, log_P, error = at(coarsely, slice(None), COARSE)
    best = [np.argmin(values, axis=1) for values in terms]
    least = sum(values[each, i] for values, i in zip(terms, best, strict=True))
    if not quality.rough:
        for j in range(T.size):
            part = slice(j, j + 1)
            close = [own.closer(int(i[j])) for i in best]
            near = at(close, part, COARSE)[1]
            thetas = [c[[int(np.argmin(values))]] for c, values in zip(close, near, strict=True)]
            one = at(thetas, part, quality)
            ends[j], least[j] = one[0][0], sum(values[0, 0] for values in one[1])
            log_P[j], error[j] = one[2][0], one[3][0]
    return [
        Summed(*(float(v) for v in (ends[j, 0] + least[j], ends[j, 1], log_P[j], error[j]))) for j in each
    ]


def criterion_of(
    theorem: Theorem,
    process: Process,
    data: Curvature,
    scheme: Scheme,
    start: str,
    M: float,
    V: float,
    M1: Any = None,
) -> Criterion:
    """What decides K by a theorem."""
    if theorem.sums is not None:
        return theta_criterion(theorem, process, data, scheme, start, M)
    own: Criterion = OWN[theorem.id](process, data, scheme, start, M, V, M1)
    return own


def _of(p: shared.Parts, error: float, scale: float = 1.0, extra: float = 0.0) -> Value:
    score, bias, start, noise = (v * scale for v in (p.score, p.bias, p.start, p.noise))
    return Value(score + extra, bias, start, noise, score, error, extra)


class _A2:
    """A2's constant M_1 on [0, T]: the number given, or the data's own."""

    def __init__(self, process: Process, data: Curvature, M1: Any) -> None:
        self.process, self.data = process, data
        self.given = None if M1 == "exact" else float(M1)
        self.law: Any = data
        if self.given is None and isinstance(data, LogConcave):
            self.law = data.gaussian() or data
        self.known: dict[float, float] = {}
        self.rough: list[tuple[float, float, float]] = []

    def __call__(self, T: float) -> float:
        if self.given is not None:
            return self.given
        if T not in self.known:
            self.known[T] = self.law.M1(self.process, T)
        return self.known[T]

    def roughly(self, T: float) -> float:
        """An upper bound that serves while T is searched: of a longer horizon, for A2 on [0, T'] holds on
        [0, T]. What was found at one time serves every horizon between that time and T'."""
        longer = _octave(T)
        if self.given is not None or not longer < self.process.t_max:
            return self(T)
        if not isinstance(self.law, Gaussian):
            return self(longer)
        for at, end, value in self.rough:
            if at <= T <= end:
                return value
        found = self.law.score_rate(self.process, longer, 1e-2)
        self.rough.append((found.at, longer, found.upper))
        return found.upper


def published_criterion(
    process: Process, data: Curvature, scheme: Scheme, start: str, M: float, V: float, M1: Any
) -> Criterion:
    if M1 == "exact" and not hasattr(data, "M1"):
        raise BadInput("M1", M1, "is known for Gaussian data only: give A2's constant as a number")
    a2 = _A2(process, data, M1 if M1 == "exact" else nonnegative("M1", M1))
    moments: dict[tuple[float, bool], float] = {}

    def omega_of(T: float, quality: Quality) -> float:
        # while T is searched a rougher bound will do; then the search stays at one T
        rough = quality.rough
        if (T, rough) not in moments:
            moments[T, rough] = theorem_1.moment_supremum(process, data, T, 1e-3 if rough else 1e-6)
        return moments[T, rough]

    def a2_at(T: float, quality: Quality) -> float:
        return a2.roughly(T) if quality.rough else a2(T)

    def summed(T: float, K: int, quality: Quality) -> Value:
        m1 = a2_at(T, quality)
        try:
            b = theorem_1.THEOREM_1(
                setting(process, data, T, K, scheme=scheme, start=start, score_bias=M, M1=m1)
            )
        except HypothesisFailed as failed:
            if failed.step is None:
                raise
            return INFINITE  # the step-size condition: more steps are needed
        return Value(b.initialisation + b.score, b.discretisation, score=b.score)

    def tallied(T: Array, K: Array, quality: Quality) -> list[Value]:
        # the longest first: what is found for it may serve the others
        m1 = np.empty(T.size)
        for i in np.argsort(-T):
            m1[i] = a2_at(float(T[i]), quality)

        def rows_of(b: Batch, which: Index) -> Array:
            return np.stack(theorem_1.local(b, process, data, m1[which]))

        kink = -math.log(data.A1[1]) if data.A1 is not None else 0.0
        alike = bool(m1.min() == m1.max())
        rows = Rows(rows_of, (2.0, 1.5, 2.0, 1.0), (1, 1, 1), (kink,), float(m1.max()), alike)
        got = tally(process, data, T, K, rows, quality)
        assert got.near is not None
        with np.errstate(all="ignore"):  # the virtual steps among them are none of these
            sizes = theorem_1.step_sizes(got.near.batch, data)[: got.near.size]
        longest = sizes.reshape(got.near.horizons, -1).max(axis=1)
        longest = np.maximum(longest, theorem_1.step_sizes(batch(process, T - T / K, T), data))
        log_alpha, log_lam = process.law(T)
        out = []
        for i in range(T.size):
            if longest[i] > 1.0:
                out.append(INFINITE)
                continue
            omega = omega_of(float(T[i]), quality) if m1[i] else 0.0
            first = theorem_1.start_at(data, start, process, float(log_alpha[i]), float(log_lam[i]))
            first = grown(first, float(got.log_P[i]))
            D, eta_G, G = (float(v) for v in got.sums[i])
            score = M * G if M else 0.0
            moved = float(m1[i]) * (1.0 + omega) * eta_G
            out.append(Value(first + score, D, score=score, error=float(got.error[i].max()), fast=moved))
        return out

    return by_size(summed, tallied)


#: The theorems that are summed over many steps in a way of their own, by id.
OWN: dict[str, Callable[..., Criterion]] = {
    theorem_1.THEOREM_1.id: published_criterion,
    theorem_2.THEOREM_2.id: sharp_criterion,
}


def ends_of(process: Process, T: float) -> tuple[float, float]:
    log_alpha, log_lam = process.law(np.array([T]))
    return float(log_alpha[0]), float(log_lam[0])


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
