"""Runge–Kutta methods for the probability-flow ODE in t itself, f and g² taken at single times, and the limits without steps:
their exact laws on Gaussians.

Section 19 of docs/theory.md. The schemes of section 12 are written in the clock or in σ; these are what a general
ODE solver does with dX = (f X + ½g²∇log p_t)dt run backward, as Pierret & Galerne (arXiv 2405.14250) do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from wbound.errors import BadInput, one_of
from wbound.forward.forward_process import Process
from wbound.typing import Array

__all__ = ["FLOW_METHODS", "flow_gain", "limit_variance"]

#: Times within a step (0: departure, 1: arrival), the matrix and the weights of each explicit method.
FLOW_METHODS: dict[str, tuple[tuple[float, ...], tuple[tuple[float, ...], ...], tuple[float, ...]]] = {
    "euler-t": ((0.0,), ((),), (1.0,)),
    "heun-t": ((0.0, 1.0), ((), (1.0,)), (0.5, 0.5)),
    "rk4-t": (
        (0.0, 0.5, 0.5, 1.0),
        ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)),
        (1 / 6, 1 / 3, 1 / 3, 1 / 6),
    ),
}


def limit_variance(kind: str, begun: Array, before: Array, after: Array, log_ratio: float) -> Array:
    """The variance at the end of the reverse SDE ("sde") or of the flow ("ode") without steps, per eigenvalue (E,), in x-units.
    *exact*

    begun: the start's variance; before, after: w = α²ς² + σ² at T and at the end; log_ratio: log of α at T over α at the end.
    A deviation is multiplied by (w/α at the end)/(w/α at T) along the SDE, and by (w at the end/w at T)^½ along the flow.
    """
    if kind == "ode":
        return np.asarray(begun * after / before)
    return np.asarray(after + (np.exp(log_ratio) * after / before) ** 2 * (begun - before))


def flow_gain(process: Process, variances: ArrayLike, times: ArrayLike, method: str) -> Array:
    """What a method multiplies the deviation from the mean by along each eigenvalue, in x-units (E,): its output has the
    variance gain² times the start's. *exact*

    process: the forward SDE; variances: eigenvalues of the data's covariance (E,), in x²; times: decreasing forward times
    (K+1,) ≥ 0, the last of which may be 0; method: one of `FLOW_METHODS`. Raises `BadInput`: for a time at which f or g
    is not finite, and where the score is asked for at λ = 0 and an eigenvalue is 0.
    """
    x, t = np.asarray(variances, float), np.asarray(times, float)
    nodes, matrix, weights = FLOW_METHODS[one_of("method", method, FLOW_METHODS)]
    if t.ndim != 1 or t.size < 2 or not (np.diff(t) < 0.0).all() or not t[-1] >= 0.0:
        raise BadInput("times", repr(times), "must be decreasing forward times >= 0, at least two")
    if t[-1] == 0.0 and nodes[-1] == 1.0 and not x.all():
        raise BadInput("method", method, "asks for the score at t = 0, which data without a density have not")
    rates = [_rate(process, x, t[:-1] + c * np.diff(t)) for c in nodes]
    gain, step = np.ones_like(x), -np.diff(t)
    for k in range(step.size):
        slopes: list[Array] = []
        for stage, row in enumerate(matrix):
            inner = gain + step[k] * sum((a * s for a, s in zip(row, slopes, strict=True)), np.zeros_like(x))
            slopes.append(rates[stage](k) * inner)
        gain = gain + step[k] * sum((b * s for b, s in zip(weights, slopes, strict=True)), np.zeros_like(x))
    return gain


def _rate(process: Process, x: Array, times: Array) -> Callable[[int], Array]:
    """k ↦ f − ½g²/w at the k-th time, (E,): the backward drift of a deviation over the deviation."""
    f, g2 = process.f(times), process.g(times) ** 2
    if not (np.isfinite(f) & np.isfinite(g2)).all():
        k = int(np.flatnonzero(~(np.isfinite(f) & np.isfinite(g2)))[0])
        raise BadInput(
            "f, g", process.name, f"must be finite at t = {times[k]:.6g}, where the method reads them"
        )
    alpha2, sigma2 = np.exp(2.0 * process.log_alpha(times)), process.sigma2(times)
    # a g of 0 where w is 0 drives nothing
    return lambda k: f[k] - 0.5 * g2[k] / (alpha2[k] * x + sigma2[k])
