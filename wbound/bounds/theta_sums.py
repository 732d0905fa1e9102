"""Bounds with terms that hold for any θ, summed over many steps: Theorems 3 and 7."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wbound.bounds.shared import Parts, value_of
from wbound.bounds.theorem import Start
from wbound.calculus.stable import grown
from wbound.data.curvature import Curvature
from wbound.forward.forward_process import Process
from wbound.sampler.grid import MOST_STEPS
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import Scheme
from wbound.sampler.steps import Batch
from wbound.summation.criterion import Criterion, Value, by_size
from wbound.summation.step_sums import COARSE, Quality, Rows, Tally, one_by_one, tally
from wbound.typing import Array, Index

__all__ = ["StepRows", "ThetaSums"]


#: So many θ are tried between the neighbours of the best of `ThetaSums.wide`.
CLOSER = 25


class StepRows(NamedTuple):
    """A bound's local terms of each step, arrays (N,): log of γ, the drift, what the score's bias is multiplied by, and
    for each of its θ-terms θ ↦ the weight in the sum of squares."""

    log_gamma: Array
    drift: Array | float
    score: Array
    weights: Sequence[Callable[[float], Array]]


class ThetaSums(NamedTuple):
    """A bound P_0 start + Σ P_k drift_k + Σ_i (C_i(θ_i) Σ P_k² w_ik(θ_i))^{1/2} + M Σ P_k score_k, any θ_i.

    of: (setting, roughly) ↦ its parts step by step, ``roughly`` with θ = 2, else the best θ; start: what is left of its
    error as K → ∞; rows: (batch, data, scheme) ↦ `StepRows`; constants: C_i as (θ, data, log λ(T)) ↦ number; orders: the
    powers of η as η → 0 of log γ, drift, score and weights; wide: the θ that are tried while T is searched, and first
    beyond what ``of`` can sum; best: setting ↦ those that ``of`` takes for each of its θ-terms.
    """

    of: Callable[[Setting, bool], Parts]
    start: Start
    rows: Callable[[Batch, Curvature, Scheme], StepRows]
    constants: Sequence[Callable[[float, Curvature, float], float]]
    orders: tuple[float, float, float, float]
    wide: Array
    best: Callable[[Setting], tuple[float, ...]]

    def over_steps(
        self,
        process: Process,
        data: Curvature,
        scheme: Scheme,
        start: str,
        M: float = 0.0,
        V: float = 0.0,
        M1: Any = None,
    ) -> Criterion:
        """The bound as a function of (T, K); it knows no V and no M_1."""

        best = _Best(self, process, data, scheme)

        def summed(T: float, K: int, quality: Quality) -> Value:
            s = setting(process, data, T, K, scheme=scheme, start=start, score_bias=M)
            # while T is searched a θ near the best will do
            return value_of(self.of(s, quality.rough), 0.0)

        def tallied(T: Array, K: Array, quality: Quality) -> list[Value]:
            return values(T, _summed(self, process, data, scheme, T, K, quality, best))

        def together(T: Array, K: Array, quality: Quality) -> list[Value] | None:
            if not quality.rough or data.delta:
                return None
            thetas = [np.array([2.0])] * len(self.constants)  # as `of` does roughly
            got, _ = one_by_one(process, T, K, _rows(self, data, scheme, thetas))
            ends, terms, log_P, error = _parted(self, data, process.law(T)[1], thetas, got)
            drift = ends[:, 0] + sum(own[:, 0] for own in terms)
            rows = np.stack((drift, ends[:, 1], log_P, error), axis=1).tolist()
            return values(T, [Summed(*row) for row in rows])

        def values(T: Array, found: list[Summed]) -> list[Value]:
            log_alpha, log_lam = process.law(T)
            out = []
            for j, (drift, score, log_P, error) in enumerate(found):
                first = self.start(data, start, process, float(log_alpha[j]), float(log_lam[j]))
                parts = Parts(grown(first, log_P), drift, 0.0, M * score if M else 0.0)
                out.append(value_of(parts, error))
            return out

        return by_size(summed, tallied, together)


class Summed(NamedTuple):
    """Σ P_k drift_k with the θ-terms, Σ P_k score_k, log of the product of all γ, and the relative error."""

    drift: float
    score: float
    log_P: float
    error: float


def _rows(own: ThetaSums, data: Curvature, scheme: Scheme, thetas: list[Array]) -> Rows:
    """What is summed: the growth, drift, score, and each θ-term for each of its θ."""

    def rows_of(b: Batch, which: Index) -> Array:
        rows = own.rows(b, data, scheme)
        with np.errstate(over="ignore"):  # an infinite step makes an infinite part
            squares = [w(float(t)) for w, tried in zip(rows.weights, thetas, strict=True) for t in tried]
        plain = (np.broadcast_to(row, b.t_lo.shape) for row in rows[:3])
        return np.stack([*plain, *squares])

    n = sum(tried.size for tried in thetas)
    growth, drift, score, curved = own.orders
    return Rows(rows_of, (growth, drift, score) + (curved,) * n, (1, 1) + (2,) * n)


def _parted(
    own: ThetaSums, data: Curvature, log_lam: Array, thetas: list[Array], got: Tally
) -> tuple[Array, list[Array], Array, Array]:
    """From the sums of `_rows`: drift and score (J, 2); each θ-term for each of its θ (J, n); log of the product of γ (J,);
    the relative error (J,)."""
    constants = [
        [
            constant(float(t), data, float(far))
            for constant, tried in zip(own.constants, thetas, strict=True)
            for t in tried
        ]
        for far in log_lam
    ]
    # steps too long for an expansion: K is far too small
    sums = np.where(got.sums >= 0.0, got.sums, np.inf)
    roots = np.sqrt(np.array(constants) * sums[:, 2:])
    terms = np.split(roots, np.cumsum([tried.size for tried in thetas])[:-1], axis=1)
    return sums[:, :2], terms, got.log_P, np.nanmax(got.error, axis=1)


def _summed(
    own: ThetaSums,
    process: Process,
    data: Curvature,
    scheme: Scheme,
    T: Array,
    K: Array,
    quality: Quality,
    best: _Best,
) -> list[Summed]:
    """The sums over K_j uniform steps of [0, T_j], too many to sum one by one."""
    log_lam = process.law(T)[1]

    def at(thetas: list[Array], part: slice, q: Quality) -> tuple[Array, list[Array], Array, Array]:
        """`_parted` of some horizons."""
        got = tally(process, data, T[part], K[part], _rows(own, data, scheme, thetas), q)
        return _parted(own, data, log_lam[part], thetas, got)

    def looked(part: slice) -> list[Array]:
        """The best of those between the neighbours of the best of `wide`, for one horizon."""
        first = [int(np.argmin(values)) for values in at([own.wide] * len(own.constants), part, COARSE)[1]]
        last = own.wide.size - 1
        close = [np.linspace(own.wide[max(i - 1, 0)], own.wide[min(i + 1, last)], CLOSER) for i in first]
        return [
            c[[int(np.argmin(values))]] for c, values in zip(close, at(close, part, COARSE)[1], strict=True)
        ]

    if quality.rough:  # any θ gives a bound
        ends, terms, log_P, error = at([own.wide] * len(own.constants), slice(None), COARSE)
        least = sum(values.min(axis=1) for values in terms)
    else:
        parts = []
        for j, (t, k) in enumerate(zip(T.tolist(), K.tolist(), strict=True)):
            part = slice(j, j + 1)
            parts.append(at(best(t, k, quality) if k <= MOST_STEPS else looked(part), part, quality))
        ends, log_P, error = (np.concatenate([part[i] for part in parts]) for i in (0, 2, 3))
        least = np.array([sum(values[0, 0] for values in part[1]) for part in parts])
    found = np.stack((ends[:, 0] + least, ends[:, 1], log_P, error), axis=1)
    return [Summed(*row) for row in found.tolist()]


class _Best:
    """The θ that the bound itself takes at (T, K), so that both say the same."""

    def __init__(self, own: ThetaSums, process: Process, data: Curvature, scheme: Scheme) -> None:
        self.own, self.process, self.data, self.scheme = own, process, data, scheme
        self.last: tuple[float, float, list[Array]] = math.nan, 0.0, []

    def __call__(self, T: float, K: float, quality: Quality) -> list[Array]:
        """An array (1,) for each θ-term; what is not the last word takes those of another K near by."""
        before, k, thetas = self.last
        if quality.check or T != before or not 0.25 * K <= k <= 4.0 * K:
            best = self.own.best(setting(self.process, self.data, T, math.ceil(K), scheme=self.scheme))
            # a term that no step has takes any
            thetas = [np.array([theta]) for theta in (*best, 2.0)[: len(self.own.constants)]]
            self.last = T, K, thetas
        return thetas
