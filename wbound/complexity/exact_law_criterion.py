"""What K(ε) is decided by on Gaussian data: the exact law as a function of (T, K)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wbound.data.log_concave import gaussian_data
from wbound.exact.gaussian_law import defects, law, start_defects
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import setting
from wbound.sampler.scheme import Scheme
from wbound.sampler.steps import Batch
from wbound.summation.criterion import Criterion, Value, by_size
from wbound.summation.step_sums import Quality, Rows, tally
from wbound.typing import Array, Index

__all__ = ["exact_criterion"]


def exact_criterion(
    process: Process, data: Any, scheme: Scheme, value: Callable[[Array, Array, float], Value] | None = None
) -> Criterion:
    """W2(output from p_T, p_0) + W2(output from p_T, output from the prior): at least the W2 from the prior,
    without its cancellations (section 6: from the prior alone a tuned T gives W2 near 0 at any K).

    ``value``: makes something else of the output's variances minus ς² and its mean errors per unit mean, (2, E)
    each, from p_T and from the prior, and their relative error.
    """
    target = gaussian_data(data)
    variances, group = np.unique(target.eigenvalues, return_inverse=True)
    means2 = np.bincount(group, target.coordinates**2)
    counts = np.bincount(group)
    c = 1.0 / float(variances.mean())
    # an ODE's steps multiply by about 1 in units of α(1 + cλ)^{1/2}, a stage more gains an order
    power, more = scheme.power, scheme.order - 1.0

    def w2(excess: Array, mean: Array) -> float:
        """W2 of the output to the data."""
        return between(variances, excess, mean)

    def between(v: Array, excess: Array, mean: Array) -> float:
        """W2 of N(0, v) and N(mean, v + excess), along the axes."""
        root = np.sqrt(v)
        width = np.maximum(excess, -v) / np.maximum(np.sqrt(np.maximum(v + excess, 0.0)) + root, 1e-300)
        return math.sqrt(float(counts @ width**2 + means2 @ mean**2))

    def both(excess: Array, mean: Array, error: float) -> Value:
        from_exact = np.maximum(variances + excess[0], 0.0)
        return Value(
            between(from_exact, excess[1] - excess[0], mean[1] - mean[0]), w2(excess[0], mean[0]), error=error
        )

    def rows_of(b: Batch, which: Index) -> Array:
        # only reached with one eigenvalue at a time
        d = defects(b, scheme, at, c, power=power)
        rows = (0.0 if d.log_r is None else d.log_r, d.rho, d.shift)
        return np.stack([np.broadcast_to(row, (1, b.size))[0] for row in rows])

    at, made = variances[:1], value or both

    def summed(T: float, K: int, quality: Quality) -> Value:
        laws = [
            law(setting(process, data, T, K, scheme=scheme, start=s), variances) for s in ("exact", "prior")
        ]
        return made(np.stack([v.excess for v in laws]), np.stack([v.mean for v in laws]), 0.0)

    def tallied(T: Array, K: Array, quality: Quality) -> list[Value]:
        nonlocal at
        excess, mean = np.empty((T.size, 2, variances.size)), np.empty((T.size, 2, variances.size))
        error = np.zeros(T.size)
        log_alpha, log_lam = process.law(T)
        for i, variance in enumerate(variances):
            at = variances[i : i + 1]
            order = 2.0 + more if c * variance == 1.0 else 1.0
            rows = Rows(rows_of, (order, 2.0 + more, 2.0), (2, 1))
            got = tally(process, target, T, K, rows, quality)
            error = np.fmax(error, got.error.max(axis=1))
            with np.errstate(over="ignore"):  # an unstable scheme: infinite, and said to be
                total = np.exp(got.log_P)
            for h in range(T.size):
                for j, start in enumerate(("exact", "prior")):
                    variance0, mean0 = start_defects(
                        start, at, c, process, float(log_alpha[h]), float(log_lam[h]), power
                    )
                    excess[h, j, i] = got.sums[h, 0] + total[h] ** 2 * variance0[0]
                    mean[h, j, i] = got.sums[h, 1] + total[h] * mean0
        return [made(excess[h], mean[h], float(error[h])) for h in range(T.size)]

    return by_size(summed, tallied)
