"""Theorems 2 and 3 and Eq. 9′ on tame steps, compiled: what they sum is written in λ itself, without logarithms.

A pass is over one set of steps and one data law's m_0 and L_0; start, bias and noise of the score enter afterwards. Under
A1 alone; what the passes do not hold (steps that are not tame, products beyond doubles) is left to the owners,
`wbound.bounds.theorem_2`, `theorem_3` and `ddpm`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from wbound.bounds import theorem_3
from wbound.bounds.compiled_theta import best_theta
from wbound.bounds.shared import Parts, bound_of, output, start_at
from wbound.bounds.theorem_2 import UNSTABLE
from wbound.bounds.theorem_3 import SAMPLED
from wbound.data.curvature import StronglyLogConcave
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import DDPM, vanishes
from wbound.sampler.tame_steps import TameSteps, table
from wbound.statement.statement_object import Bound
from wbound.typing import Array

__all__ = ["BoundPass", "bound_columns"]

#: The looks and the accuracy of `wbound.bounds.theorem_3.best_theta` and of Eq. 9′'s.
LOOKS_3 = np.array([0.0, 0.5, 1.0, 1.4, 1.7, 1.85, 1.95, 2.0, 2.05, 2.15, 2.3, 2.6, 3.0, 3.5, 4.0])
LOOKS_9 = np.linspace(0.0, 4.0, 9)
ACCURACY_3, ACCURACY_9 = 2e-4, 1e-3
#: Sums below this have lost digits to what underflows in them.
FAINT = 1e-250


class _Beyond(Exception):
    """Doubles do not hold a pass."""


def bound_columns(tame: TameSteps) -> Array:
    """What the passes read of a scheme's steps, for any data."""
    steps, b = tame.steps, tame.batch
    if steps.flow is not None:
        return table(steps.C, steps.flow.keep, np.abs(steps.flow.half), size=b.size)
    mismatch: Array | float = 0.0
    if not vanishes(steps.q):
        with np.errstate(invalid="ignore"):  # q = 0 = Q
            mismatch = np.where(steps.q == 0.0, 0.0, steps.q / (np.sqrt(b.steps.Q) + np.sqrt(steps.Q)))
    return table(steps.A, steps.C, steps.a, steps.c, mismatch, size=b.size)


class BoundPass:
    """The bound of a scheme's tame steps for data under A1; starts and score errors come afterwards, by `bound`."""

    def __init__(
        self, tame: TameSteps, columns: Array, data: StronglyLogConcave, starts: dict[Any, float]
    ) -> None:
        """``starts``: what is known of the starts on these nodes and data, for every scheme."""
        self.starts = starts
        self.tame, self.columns, self.data = tame, columns, data
        self.m0, self.L0, self.d = data.m0, data.L0, float(data.d)
        self.means = tame.steps.flow is None and not (vanishes(tame.steps.a) and vanishes(tame.steps.c))
        self.ancestral = tame.scheme == DDPM
        self._known: dict[str, Any] = {}

    def bound(self, s: Setting) -> Bound | None:
        """The `Bound` of a setting with these steps and data, by its scheme's sharp theorem; None where doubles do not
        hold the pass."""
        found = self.of(s, s.start, s.score_bias, s.score_noise)
        if found is None:
            return None
        statement, total, p, extra = found
        return bound_of(s, statement, total, p, extra)

    def of(self, s: Setting, start: str, M: float, V: float) -> tuple[str, float, Parts, float] | None:
        """`bound` of ``s`` with another start and score error: the statement, the total, its `Parts` (of an ODE its
        whole discretisation in ``bias``), and what stopping early adds."""
        try:
            if s.scheme.flow:
                return self._theorem_3(s, start, M)
            own = self._theorem_2(s, start, M, V)
            if self.ancestral and V == 0.0 and not s.nodes.stopped_early:
                other = self._ancestral(s, start, M)
                if other[1] < own[1]:
                    return other
            return own
        except _Beyond:
            return None

    def _once(self, what: str, make: Callable[[], Any]) -> Any:
        if what not in self._known:
            self._known[what] = make()
        return self._known[what]

    def _start(self, s: Setting, start: str, of: Callable[..., float]) -> float:
        key = start, of
        if key not in self.starts:
            self.starts[key] = of(s.data, start, s.process, *s.nodes.first)
        return self.starts[key]

    # ------------------------------------------------------------------ Theorem 2
    def _terms_2(self) -> tuple[Array, list[float]]:
        t = self.tame
        terms, sums = np.empty((4, t.H.size)), np.empty(6)
        excess = math.sqrt(max(self.data.second_moment - self.d / self.L0, 0.0))
        steps = (t.lam, t.per_alpha2, t.back, t.H, self.columns)
        _compiled()[0](*steps, self.means, self.m0, self.L0, self.d, excess, terms, sums)
        return terms, _held(sums)

    def _theorem_2(self, s: Setting, begin: str, M: float, V: float) -> tuple[str, float, Parts, float]:
        terms, (bias, noise2, noisy, score, left, _) = self._once("2", self._terms_2)
        start = self._start(s, begin, start_at)
        first = start * left
        if start and first < FAINT:
            raise _Beyond
        p = Parts(first, bias, math.sqrt(noise2 + V**2 * noisy), M * score)
        total = _compiled()[1](start, M, V, terms) if M or self.means else p.additive
        if not s.nodes.stopped_early:
            return "Theorem 2", total, p, 0.0
        scale, extra = output(s)
        return "Theorem 2", total * scale + extra, Parts(*(v * scale for v in p)), extra

    # ------------------------------------------------------------------ Eq. 9′ and Theorem 3
    def _terms_9(self) -> tuple[list[float], float]:
        t = self.tame
        weights, sums = np.empty((3, t.H.size)), np.empty(3)
        _compiled()[2](t.lam, t.per_alpha2, t.H, self.m0, self.L0, self.d, weights, sums)
        return _held(sums), self._best(weights, LOOKS_9, ACCURACY_9, False)[1]

    def _ancestral(self, s: Setting, begin: str, M: float) -> tuple[str, float, Parts, float]:
        (drift, noise2, score), curved = self._once("9", self._terms_9)
        start = self._start(s, begin, start_at)
        p = Parts(start, drift + curved, math.sqrt(noise2), M * score)
        return "Eq. 9'", p.additive, p, 0.0

    def _terms_3(self) -> tuple[list[float], float]:
        t = self.tame
        weights, sums = np.empty((3, t.H.size)), np.empty(4)
        steps = (t.lam, t.per_alpha2, t.back, t.H, self.columns)
        _compiled()[3](*steps, self.m0, self.L0, self.d, weights, sums)
        stride = -(-t.H.size // SAMPLED)
        theta, value = self._best(weights[:, ::stride], LOOKS_3, ACCURACY_3, True)
        if stride > 1:
            value = self._best(weights, np.array([theta]), 0.0, True)[1]
        return _held(sums), 0.25 * math.exp(value)

    def _theorem_3(self, s: Setting, begin: str, M: float) -> tuple[str, float, Parts, float]:
        (drift, score, left, _), curved = self._once("3", self._terms_3)
        start = self._start(s, begin, theorem_3.start_at)
        first = start * left
        if start and first < FAINT:
            raise _Beyond
        scale, extra = theorem_3.output(s)
        p = Parts(first * scale, (drift + curved) * scale, 0.0, M * score * scale)
        return "Theorem 3", p.start + p.bias + p.score + extra, p, extra

    def _best(self, weights: Array, looks: Array, accuracy: float, log: bool) -> tuple[float, float]:
        """The θ and the value that the owner's search finds."""
        log_V = math.log1p(self.L0 * self.tame.lam[0])
        theta, value, least = best_theta(weights, looks, accuracy, log, log_V, self.d * self.L0**2)
        if not least > FAINT:
            raise _Beyond
        return theta, value


def _held(sums: Array) -> list[float]:
    """A pass's sums, the last the largest product of its steps. Raises `_Beyond`."""
    found: list[float] = sums.tolist()
    if not math.isfinite(sum(found)) or (len(found) > 3 and found[-1] > math.exp(UNSTABLE)):
        raise _Beyond
    return found


# ---------------------------------------------------------------------- the passes


@cache
def _compiled() -> tuple[Callable[..., Any], ...]:
    import numba

    make = numba.njit(cache=True, nogil=True, error_model="numpy")
    return tuple(make(of) for of in (_second, _recursion, _ninth, _third))


def _second(
    lam: Array,
    per_alpha2: Array,
    back: Array,
    H: Array,
    columns: Array,
    means: bool,
    m0: float,
    L0: float,
    d: float,
    excess: float,
    terms: Array,
    sums: Array,
) -> None:
    """`wbound.bounds.theorem_2.local` into ``terms`` (γ, b, n², C), and from the data's end its sums: Σ bP, Σ n²P²,
    Σ C²P², Σ CP, the product of all γ and the largest on the way."""
    P, largest, bias, noise2, noisy, score = 1.0, 1.0, 0.0, 0.0, 0.0, 0.0
    root = math.sqrt(d)
    for k in range(H.size - 1, -1, -1):
        hi, lo, h = lam[k], lam[k + 1], H[k]
        A, C, a, c, mismatch = columns[0, k], columns[1, k], columns[2, k], columns[3, k], columns[4, k]
        s_lo, v0 = 1.0 + m0 * lo, 1.0 + L0 * lo
        per = 1.0 / s_lo
        per_unit = per * math.sqrt(per_alpha2[k + 1])
        z = L0 * h / v0
        w = z / (2.0 + z)
        if w < 0.245:  # sinh y − y, y = log(1 + z) = 2 artanh w, by its series
            w2, series = w * w, 0.0
            n = 7 if w < 0.05 else 14
            for j in range(n, 0, -1):
                series = series * w2 + 4.0 * j / (2.0 * j + 1.0)
            psi = series * w2 * w
        else:
            psi = 0.5 * (1.0 + z - 1.0 / (1.0 + z)) - math.log1p(z)
        n2 = d * psi * 2.0 * v0 / L0 * per * per
        if mismatch != 0.0:
            n = math.sqrt(n2) + root * abs(mismatch) * per_unit
            n2 = n * n
        gamma, b = 1.0, 0.0
        if means:
            s_hi = 1.0 + m0 * hi
            lag = s_hi * per * back[k]
            m = m0 / s_hi * per_alpha2[k]
            L = L0 / (1.0 + L0 * hi) * per_alpha2[k]
            change = -(a - c * m) * lag
            if C * (m + L) <= 2.0 * A and change > -0.5:
                gamma = 1.0 + change
            else:
                drift = (1.0 - L0 / m0) / (1.0 + L0 * hi) * (m0 * h * per)
                gamma = 0.0
                for i in range(2):
                    curvature, own = (m, 0.0) if i == 0 else (L, drift)
                    by_hf = max(abs(a), abs(c) * curvature) * lag + abs(own) + 1.0
                    if by_hf < max(A, C * curvature) * lag:
                        left = 1.0 + own - (a - c * curvature) * lag
                    else:
                        left = (A - C * curvature) * lag
                    gamma = max(gamma, abs(left))
            b = math.sqrt(d * L) * abs(c - a / L)
            if a != 0.0:  # the larger first: squares of a or c may underflow
                other = abs(a) * excess / math.sqrt(per_alpha2[k])
                large, small = max(b, other), min(b, other)
                b = large * math.sqrt(1.0 + (small / large) * (small / large)) if large > 0.0 else 0.0
            b *= per_unit
        own_C = C * per_unit
        terms[0, k], terms[1, k], terms[2, k], terms[3, k] = gamma, b, n2, own_C
        bias += b * P
        noise2 += n2 * P * P
        noisy += own_C * own_C * P * P
        score += own_C * P
        P *= gamma
        largest = max(largest, P)
    sums[0], sums[1], sums[2], sums[3], sums[4], sums[5] = bias, noise2, noisy, score, P, largest


def _recursion(u: float, M: float, V: float, terms: Array) -> float:
    """u_k² = (γ_k u_{k−1} + b_k + C_kM)² + n_k² + (C_kV)² (Eq. 7)."""
    for k in range(terms.shape[1]):
        w = terms[0, k] * u + (terms[1, k] + M * terms[3, k])
        noise = V * terms[3, k]
        u = math.sqrt(w * w + (terms[2, k] + noise * noise))
    return u


def _ninth(
    lam: Array, per_alpha2: Array, H: Array, m0: float, L0: float, d: float, weights: Array, sums: Array
) -> None:
    """`wbound.bounds.ddpm.ancestral_terms`: of θ's weight (factor, log v_0, length), and the sums of drift, noise², score."""
    drift, noise2, score = 0.0, 0.0, 0.0
    for k in range(H.size):
        hi, lo, h = lam[k], lam[k + 1], H[k]
        P, v0 = 1.0 / (1.0 + m0 * lo), 1.0 + L0 * lo
        kappa2, rest = lo / hi, h / hi
        z = L0 * h / v0
        w = z / (2.0 + z)
        y = math.log1p(z)
        if w < 0.245:
            w2, series = w * w, 0.0
            n = 7 if w < 0.05 else 14
            for j in range(n, 0, -1):
                series = series * w2 + 4.0 * j / (2.0 * j + 1.0)
            psi = series * w2 * w
        else:
            psi = 0.5 * (1.0 + z - 1.0 / (1.0 + z)) - y
        psi *= d * 2.0 * v0 / L0 * P * P
        half = 0.5 * (1.0 + kappa2)
        drift += 0.5 * rest * P * h * math.sqrt(d * L0 / (1.0 + L0 * hi))
        noise2 += kappa2 * half * half * psi
        score += P * h / math.sqrt(per_alpha2[k])
        factor = rest * (1.0 + kappa2) * P
        v = v0 / L0
        weights[0, k], weights[1, k], weights[2, k] = factor * factor * v * v * v, math.log(v0), y
    sums[0], sums[1], sums[2] = drift, noise2, score


def _third(
    lam: Array,
    per_alpha2: Array,
    back: Array,
    H: Array,
    columns: Array,
    m0: float,
    L0: float,
    d: float,
    weights: Array,
    sums: Array,
) -> None:
    """`wbound.bounds.theorem_3.local`: of θ's weight (factor with P², log v_0, length), and from the data's end the sums
    of drift and score, the product of all γ and the largest on the way."""
    P, largest, drift, score = 1.0, 1.0, 0.0, 0.0
    for k in range(H.size - 1, -1, -1):
        hi, lo, h = lam[k], lam[k + 1], H[k]
        C, keep, half = columns[0, k], columns[1, k], columns[2, k]
        per_c = back[k] * per_alpha2[k]
        u2, v0 = 1.0 + m0 * lo, 1.0 + L0 * lo
        at_m, at_L = 1.0 / (1.0 + m0 * hi), 1.0 / (1.0 + L0 * hi)
        lost_m, lost_L = C * per_c * m0 * at_m, C * per_c * L0 * at_L
        if lost_m < 0.5 and lost_m + lost_L <= 2.0:
            gamma = 1.0 - lost_m
        else:
            gamma = max(abs(at_m + m0 * hi * at_m * keep), abs(at_L + L0 * hi * at_L * keep))
        v, y = v0 / L0, math.log1p(L0 * h / v0)
        weights[0, k], weights[1, k], weights[2, k] = P * P / u2 * v * v * v, math.log(v0), y
        per_u = 1.0 / math.sqrt(u2)
        drift += P * half * per_c * math.sqrt(d * L0 * at_L) * per_u
        score += P * C * math.sqrt(per_alpha2[k + 1]) * per_u
        P *= gamma * math.sqrt(1.0 + m0 * h / u2)
        largest = max(largest, P)
    sums[0], sums[1], sums[2], sums[3] = drift, score, P, largest
