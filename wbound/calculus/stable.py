"""Functions of doubles that keep their digits, and do not overflow, where the plain formula would."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from wbound.typing import Array

__all__ = ["LEAST", "expm1_minus", "grown", "growth", "logistic", "sinh_minus", "softplus"]

#: What is left of a start's error counts as at least this where it is not 0: below it doubles end, and a product
#: of a sampler's steps that is beyond them may bring it back.
LEAST = 1e-300


def grown(start: float, log_P: float) -> float:
    """start·e^{log_P}, infinite where that is beyond doubles."""
    if start == 0.0:
        return 0.0
    log = math.log(start) + log_P
    return math.exp(log) if log < 709.0 else math.inf


def softplus(x: Array | float) -> Array:
    """log(1 + e^x), for any x, −∞ included."""
    small = np.log1p(np.exp(-np.abs(x)))
    small += np.maximum(x, 0.0)
    return small


def logistic(x: Array) -> Array:
    """1/(1 + e^{−x}) from the vectorised exponential (several times faster than SciPy's expit)."""
    with np.errstate(over="ignore"):  # e^{−x} = ∞ gives 0, which is right
        return 1.0 / (1.0 + np.exp(-x))


def growth(c: float, log_lam0: Array, log_lam1: Array, ratio: Array) -> Array:
    """y = log((1 + cλ_1)/(1 + cλ_0)) ≥ 0 from log λ and ratio = λ_1/λ_0 − 1, keeping the digits of a small
    ratio (+∞ where λ_0 = 0)."""
    log_c = math.log(c)
    far = ratio > 1e13
    with np.errstate(invalid="ignore"):  # 0 · ∞ at λ_0 = 0, replaced below
        y = np.log1p(logistic(log_c + log_lam0) * ratio)
    if far.any():
        y[far] = softplus(log_c + log_lam1[far]) - softplus(log_c + log_lam0[far])
    return y


def _terms(largest: float, factor: Callable[[int], float]) -> int:
    """How many terms a series needs whose n-th ratio is largest/factor(n), to reach 1e-17 of its first."""
    size, n = 1.0, 0
    while size > 1e-17:
        n += 1
        size *= largest / factor(n)
    return n


def _series(x: Array, y: Array, n: int, factor: Callable[[int], float]) -> Array:
    """1 + y/factor(1) (1 + y/factor(2) (1 + … up to factor(n))), by Horner's rule."""
    coefficients = np.cumprod([1.0] + [1.0 / factor(i) for i in range(1, n + 1)])
    out = coefficients[-1] * y if n else np.zeros_like(x)
    for coefficient in coefficients[-2:0:-1]:
        out += coefficient
        out *= y
    out += 1.0
    return out


def expm1_minus(x: Array, largest: float | None = None) -> Array:
    """e^x − 1 − x without cancellation, for any x; ``largest`` is that of |x|, if known."""
    if largest is None:
        largest = max(float(x.max()), -float(x.min())) if x.size else 0.0

    # x²/2 (1 + x/3 (1 + x/4 (1 + …)))
    def factor(n: int) -> float:
        return n + 2

    series = _series(x, x, _terms(min(largest, 0.1), factor), factor)
    series *= x
    series *= x
    series *= 0.5
    return series if largest < 0.1 else np.where(np.abs(x) < 0.1, series, np.expm1(x) - x)


def sinh_minus(x: Array, largest: float | None = None) -> Array:
    """sinh x − x without cancellation, x ≥ 0; infinite beyond 710; ``largest`` is that of x, if known."""
    if largest is None:
        largest = float(x.max()) if x.size else 0.0

    # x³/6 (1 + x²/(4·5) (1 + x²/(6·7) (1 + …))); above 1/2 the subtraction loses less than two digits
    def factor(n: int) -> float:
        return (2 * n + 2) * (2 * n + 3)

    y = x * x
    series = _series(x, y, _terms(min(largest, 0.5) ** 2, factor), factor)
    y *= x
    y /= 6.0
    series *= y
    return series if largest < 0.5 else np.where(x < 0.5, series, np.sinh(x) - x)
