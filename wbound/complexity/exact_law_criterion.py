"""What K(ε) is decided by on Gaussian data: the exact law as a function of (T, K)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wbound.data.log_concave import gaussian_data
from wbound.exact.gaussian_law import BLOCK, defects, laws, start_defects
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import setting
from wbound.sampler.scheme import Scheme
from wbound.sampler.steps import Batch
from wbound.summation.criterion import Criterion, Value, by_size
from wbound.summation.step_sums import Laid, Quality, Rows, few_steps
from wbound.typing import Array, Index

__all__ = ["exact_criterion"]

#: The starts of the criterion's two parts.
STARTS = ("exact", "prior")


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
        found = laws(setting(process, data, T, K, scheme=scheme), variances, STARTS)
        return made(np.stack([v.excess for v in found]), np.stack([v.mean for v in found]), 0.0)

    def together(T: Array, K: Array, quality: Quality) -> list[Value] | None:
        # while T is searched; as few numbers at once as in `law`
        if (
            not quality.rough
            or scheme.random
            or scheme.memory is not None
            or variances.size * K.sum() > BLOCK
        ):
            return None
        b, begins, _ = few_steps(process, T, K)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # huge steps: an infinite law
            d = defects(b, scheme, variances, c, power=power)
            # the product of the steps nearer to the data: of none, before a horizon's first
            log_P, sign = np.zeros(d.rho.shape), np.ones(d.rho.shape)
            log_r = np.zeros(d.rho.shape) if d.log_r is None else d.log_r
            for begin, end in zip(begins, np.append(begins[1:], b.size), strict=True):
                np.cumsum(log_r[:, begin : end - 1], axis=1, out=log_P[:, begin + 1 : end])
                if d.sign is not None:
                    np.cumprod(d.sign[:, begin : end - 1], axis=1, out=sign[:, begin + 1 : end])
            P, last = np.exp(log_P), np.append(begins[1:], b.size) - 1
            excess = np.add.reduceat(P * P * d.rho, begins, axis=1)
            mean = np.add.reduceat(sign * P * d.shift, begins, axis=1)
            total = sign[:, last] * np.exp(log_P[:, last] + log_r[:, last])
            if d.sign is not None:
                total *= d.sign[:, last]
        return [
            made(*from_starts(end, total[:, h], excess[:, h], mean[:, h]), 0.0)
            for h, end in enumerate(zip(*process.law(T), strict=True))
        ]

    def from_starts(
        end: tuple[float, float], total: Array, excess: Array, mean: Array
    ) -> tuple[Array, Array]:
        """The output's variances minus ς² and mean errors, (2, E) each, from what its steps (E,) make and keep; ``end``:
        log α and log λ at T."""
        log_alpha, log_lam = (float(v) for v in end)
        starts = [start_defects(start, variances, c, process, log_alpha, log_lam, power) for start in STARTS]
        with np.errstate(over="ignore", invalid="ignore"):  # as above
            return (
                np.stack([excess + total**2 * variance0 for variance0, _ in starts]),
                np.stack([mean + total * mean0 for _, mean0 in starts]),
            )

    def tallied(T: Array, K: Array, quality: Quality) -> list[Value]:
        nonlocal at
        excess, mean, total = (np.empty((T.size, variances.size)) for _ in range(3))
        error = np.zeros(T.size)
        laid = Laid(process, target, T, K, Rows(rows_of, (1.0, 2.0 + more, 2.0), (2, 1)), quality)
        for i, variance in enumerate(variances):
            at = variances[i : i + 1]
            order = 2.0 + more if c * variance == 1.0 else 1.0
            got = laid.tally(Rows(rows_of, (order, 2.0 + more, 2.0), (2, 1)))
            error = np.fmax(error, got.error.max(axis=1))
            with np.errstate(over="ignore"):  # an unstable scheme: infinite, and said to be
                total[:, i] = np.exp(got.log_P)
            excess[:, i], mean[:, i] = got.sums.T
        return [
            made(*from_starts(end, total[h], excess[h], mean[h]), float(error[h]))
            for h, end in enumerate(zip(*process.law(T), strict=True))
        ]

    return by_size(summed, tallied, together)
