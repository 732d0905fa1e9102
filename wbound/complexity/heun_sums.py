"""Theorem 7's sums over uniform steps too many to sum one by one (Eq. 21, section 8 of docs/theory.md)."""

from __future__ import annotations

import math

import numpy as np

from wbound.bounds import theorem_7
from wbound.bounds.shared import Parts
from wbound.bounds.theorem_3 import start_at
from wbound.bounds.theorem_7_integrals import first_constant, integrals, second_constant
from wbound.calculus.stable import grown, softplus
from wbound.complexity.step_sums import COARSE, Quality, Rows, tally
from wbound.data.curvature import Curvature
from wbound.forward.forward_process import Process
from wbound.sampler.scheme import Scheme
from wbound.sampler.steps import Batch
from wbound.typing import Array, Index

__all__ = ["tallied"]


def tallied(
    process: Process,
    data: Curvature,
    scheme: Scheme,
    start: str,
    M: float,
    T: Array,
    K: Array,
    quality: Quality,
) -> list[tuple[Parts, float]]:
    """`theorem_7.sums` over K_j uniform steps of [0, T_j], too many to sum one by one, and their relative error."""
    assert data.A1 is not None
    m0, L0 = data.A1
    log_alpha, log_lam = process.law(T)
    log_V = softplus(math.log(L0) + log_lam)

    def at(one: Array, two: Array, part: slice, q: Quality) -> tuple[Array, Array, Array, Array, Array]:
        """Of some horizons: drift and score (J, 2); the third and the fourth term for each θ (J, n); log of the
        product of γ (J,); the relative error (J,)."""

        def rows_of(b: Batch, which: Index) -> Array:
            terms = theorem_7.local(b, data, scheme)
            over = integrals(b, L0, terms.flat, terms.steep, terms.two, slice(None))
            with np.errstate(over="ignore"):  # an infinite step makes an infinite part
                first = [np.exp(over.log_first(float(t)) - 2.0 * terms.unit) for t in one]
                second = [np.exp(over.log_second(float(t)) - 2.0 * terms.unit) for t in two]
            return np.stack([terms.log_gamma, terms.drift, terms.score, *first, *second])

        n = one.size + two.size
        rows = Rows(rows_of, (3.0, 3.0, 1.0) + (5.0,) * n, (1, 1) + (2,) * n)
        got = tally(process, data, T[part], K[part], rows, q)
        first = [[0.25 * first_constant(float(t), data.d, L0, float(v)) for t in one] for v in log_V[part]]
        second = [
            [data.d * L0**2 * second_constant(float(t), L0 / m0, float(v)) for t in two] for v in log_V[part]
        ]
        # steps too long for an expansion: K is far too small
        sums = np.where(got.sums >= 0.0, got.sums, np.inf)
        curved = np.sqrt(np.hstack((first, second)) * sums[:, 2:])
        return (
            sums[:, :2],
            curved[:, : one.size],
            curved[:, one.size :],
            got.log_P,
            np.nanmax(got.error, axis=1),
        )

    # any θ gives a bound: a look around 2, then one around the best, for each of the two
    wide = np.array([0.0, 0.4, 0.8, 1.2, 1.5, 1.7, 1.85, 1.95, 2.0, 2.05, 2.15, 2.4, 3.0, 4.0])
    ends, *curved, log_P, error = at(wide, wide, slice(None), COARSE)
    best = [np.argmin(values, axis=1) for values in curved]
    least = sum(values[np.arange(T.size), i] for values, i in zip(curved, best, strict=True))
    if quality is not COARSE:
        for j in range(T.size):
            part = slice(j, j + 1)
            close = [
                np.linspace(wide[max(i[j] - 1, 0)], wide[min(i[j] + 1, wide.size - 1)], 13) for i in best
            ]
            near = at(close[0], close[1], part, COARSE)[1:3]
            thetas = [c[[int(np.argmin(values))]] for c, values in zip(close, near, strict=True)]
            found = at(thetas[0], thetas[1], part, quality)
            ends[j], least[j] = found[0][0], found[1][0, 0] + found[2][0, 0]
            log_P[j], error[j] = found[3][0], found[4][0]
    out = []
    for j in range(T.size):
        at_T = start_at(data, start, process, float(log_alpha[j]), float(log_lam[j]))
        parts = Parts(
            grown(at_T, float(log_P[j])),
            float(ends[j, 0]) + float(least[j]),
            0.0,
            M * float(ends[j, 1]) if M else 0.0,
        )
        out.append((parts, float(error[j])))
    return out
