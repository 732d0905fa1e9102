"""Laws on the line whose smoothed score is known exactly: what product targets are made of.

A `Line` is the law of one coordinate of X_0. Along the forward process X_t = αX_0 + σZ (Eq. 2) it gives the
denoiser E[X_0 | X_t = x], the score, the density and both tails, at any α ≥ 0 and σ² ≥ 0.
Sources: section 10 of docs/theory.md; Lemma 3 for the denoiser form.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from wbound.errors import IOFailure
from wbound.typing import Array

__all__ = ["LOG_2PI", "Line", "Normal", "Pair", "Third", "invert"]

LOG_2PI = math.log(2.0 * math.pi)

#: sup |sech² u tanh u|
CUBIC = 2.0 / (3.0 * math.sqrt(3.0))


class Third(NamedTuple):
    """A bound of the third derivative of log p_t: |∂³log p_t| ≤ c3 α³/(α²v3 + σ²)³, c3 in x³, v3 in x²."""

    c3: float
    v3: float


class Line(ABC):
    """A law on the line: ``mean`` (x), ``variance`` (x²), ``m0`` ≤ −(log p_0)″ ≤ ``L0`` (1/x²).

    ``slope`` is |(log p_0)′(0)| (1/x); ``symmetric``: p_0 is known to be even; ``third`` bounds the third
    derivative of log p_t, None where nothing is proved. Arguments x, α (``alpha``) and σ² (``sigma2``) as in
    Eq. 2; x of any shape.
    """

    mean: float
    variance: float
    m0: float
    L0: float
    slope: float = 0.0
    symmetric: bool = False
    third: Third | None = None

    @abstractmethod
    def denoise(self, x: Array, alpha: float, sigma2: float) -> Array:
        """E[X_0 | X_t = x], in x; α > 0 or σ² > 0. *exact*"""

    @abstractmethod
    def score(self, x: Array, alpha: float, sigma2: float) -> Array:
        """(log p_t)′(x), in 1/x. *exact*"""

    @abstractmethod
    def log_density(self, x: Array, alpha: float = 1.0, sigma2: float = 0.0) -> Array:
        """log p_t(x), normalised. *exact*"""

    @abstractmethod
    def tails(self, x: Array, alpha: float = 1.0, sigma2: float = 0.0) -> tuple[Array, Array]:
        """P(X_t ≤ x) and P(X_t > x), each with its own relative accuracy. *exact*"""

    @abstractmethod
    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """n independent draws (n,) of X_0."""

    def quantile(self, u: ArrayLike, alpha: float = 1.0, sigma2: float = 0.0) -> Array:
        """The quantiles of p_t at levels u in (0, 1), in x, to 1e-12 of the law's width. *exact*"""
        level = np.asarray(u, float)
        return self.at_tails(level, 1.0 - level, alpha, sigma2)

    def at_tails(
        self,
        lower: Array,
        upper: Array,
        alpha: float = 1.0,
        sigma2: float = 0.0,
        guess: Array | None = None,
    ) -> Array:
        """The x with P(X_t ≤ x) = lower and P(X_t > x) = upper: the smaller of the two decides."""
        width = math.sqrt(alpha**2 * self.variance + sigma2)
        return invert(
            lambda x: self.tails(x, alpha, sigma2),
            lambda x: self.log_density(x, alpha, sigma2),
            lower,
            upper,
            alpha * self.mean,
            width,
            guess,
        )


def invert(
    tails: Callable[[Array], tuple[Array, Array]],
    log_density: Callable[[Array], Array],
    lower: Array,
    upper: Array,
    middle: float,
    width: float,
    guess: Array | None = None,
) -> Array:
    """x with tails(x) = (lower, upper), by safeguarded Newton on the logarithm of the smaller tail.

    ``middle`` and ``width`` scale the search; ``guess`` is a start (default: the normal quantile).
    Raises `IOFailure` if 200 steps do not get there.
    """
    lower, upper = np.broadcast_arrays(np.asarray(lower, float), np.asarray(upper, float))
    shape, lower, upper = lower.shape, lower.ravel(), upper.ravel()
    left_side = lower <= upper
    goal = np.log(np.maximum(np.where(left_side, lower, upper), 1e-320))
    sign = np.where(left_side, 1.0, -1.0)
    # log tail ~ −z²/2: the normal quantile to a few percent
    z = -sign * np.sqrt(np.maximum(-2.0 * (goal + 0.69), 0.0))
    x = middle + width * z if guess is None else np.array(guess, float).ravel()
    lo, hi = np.full_like(x, -np.inf), np.full_like(x, np.inf)
    reach = np.full_like(x, 4.0 * width)
    todo = np.arange(x.size)
    for _ in range(200):
        at = x[todo]
        both = tails(at)
        side = sign[todo]
        tail = np.where(side > 0, both[0], both[1])
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # an empty tail: bisect instead
            gap = np.log(tail) - goal[todo]
            step = -gap * side * np.exp(np.log(tail) - log_density(at))
        right = side * gap < 0.0  # the root lies to the right
        lo[todo] = np.where(right, np.maximum(lo[todo], at), lo[todo])
        hi[todo] = np.where(right, hi[todo], np.minimum(hi[todo], at))
        low, high = lo[todo], hi[todo]
        new = at + step
        # the law's own scale bounds a step until both ends are known; then bisect where Newton leaves them
        open_ended = np.isinf(low) | np.isinf(high)
        far = ~np.isfinite(new) | (open_ended & (np.abs(new - at) > reach[todo]))
        new = np.where(far, at + np.where(right, 1.0, -1.0) * reach[todo], new)
        reach[todo] = np.where(far, 2.0 * reach[todo], reach[todo])
        outside = ~open_ended & ~((new > low) & (new < high))
        new = np.where(
            outside, 0.5 * np.where(open_ended, 0.0, low) + 0.5 * np.where(open_ended, 0.0, high), new
        )
        settled = (np.abs(new - at) <= 1e-14 * (np.abs(at) + width)) | (np.abs(gap) <= 1e-15)
        x[todo] = np.where(np.abs(gap) <= 1e-15, at, new)
        todo = todo[~settled]
        if todo.size == 0:
            return x.reshape(shape)
    raise IOFailure(f"quantiles did not converge near x = {x[todo[0]]:.6g}")


class Normal(Line):
    """N(mean, variance); variance 0 is a point mass."""

    def __init__(self, mean: float, variance: float) -> None:
        self.mean, self.variance = float(mean), float(variance)
        self.m0 = self.L0 = math.inf if variance == 0.0 else 1.0 / self.variance
        self.slope = abs(self.mean) * self.m0 if variance else math.inf
        self.symmetric = self.mean == 0.0
        self.third = Third(0.0, self.variance)

    def _width2(self, alpha: float, sigma2: float) -> float:
        return alpha**2 * self.variance + sigma2

    def denoise(self, x: Array, alpha: float, sigma2: float) -> Array:
        w = self._width2(alpha, sigma2)
        return (self.mean * sigma2 + alpha * self.variance * x) / w

    def score(self, x: Array, alpha: float, sigma2: float) -> Array:
        return (alpha * self.mean - x) / self._width2(alpha, sigma2)

    def log_density(self, x: Array, alpha: float = 1.0, sigma2: float = 0.0) -> Array:
        w = self._width2(alpha, sigma2)
        z2 = ((x - alpha * self.mean) / math.sqrt(w)) ** 2
        return np.asarray(-0.5 * (z2 + LOG_2PI + math.log(w)))

    def tails(self, x: Array, alpha: float = 1.0, sigma2: float = 0.0) -> tuple[Array, Array]:
        z = (np.asarray(x, float) - alpha * self.mean) / math.sqrt(self._width2(alpha, sigma2))
        return ndtr(z), ndtr(-z)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return self.mean + math.sqrt(self.variance) * rng.standard_normal(n)


class Pair(Line):
    """½N(−c, s²) + ½N(c, s²), c ≥ 0 and s > 0 in x (section 10); log-concave where c ≤ s.

    With v = α²s² + σ²: score (−x + αc tanh(αcx/v))/v. ``m0`` is (1 − c²/s²)/s², negative for c > s.
    """

    def __init__(self, c: float, s: float) -> None:
        self.c, self.s = float(c), float(s)
        self.mean, self.variance, self.symmetric = 0.0, self.s**2 + self.c**2, True
        self.L0 = 1.0 / self.s**2
        self.m0 = (1.0 - (self.c / self.s) ** 2) / self.s**2
        # (log p_t)‴ = −2 (αc/v)³ sech² tanh
        self.third = Third(2.0 * CUBIC * self.c**3, self.s**2)

    def _v(self, alpha: float, sigma2: float) -> float:
        return (alpha * self.s) ** 2 + sigma2

    def denoise(self, x: Array, alpha: float, sigma2: float) -> Array:
        v, c = self._v(alpha, sigma2), self.c
        return (alpha * self.s**2 * x + sigma2 * c * np.tanh(alpha * c * x / v)) / v

    def score(self, x: Array, alpha: float, sigma2: float) -> Array:
        v, c = self._v(alpha, sigma2), alpha * self.c
        return (c * np.tanh(c * x / v) - x) / v

    def log_density(self, x: Array, alpha: float = 1.0, sigma2: float = 0.0) -> Array:
        v, c = self._v(alpha, sigma2), alpha * self.c
        near = np.abs(np.asarray(x, float)) - c
        other = -2.0 * c * np.abs(x) / v
        return np.asarray(
            -0.5 * (near**2 / v + LOG_2PI + math.log(v)) + np.log1p(np.exp(other)) - math.log(2.0)
        )

    def tails(self, x: Array, alpha: float = 1.0, sigma2: float = 0.0) -> tuple[Array, Array]:
        sd, c = math.sqrt(self._v(alpha, sigma2)), alpha * self.c
        a, b = (np.asarray(x, float) - c) / sd, (np.asarray(x, float) + c) / sd
        return 0.5 * (ndtr(a) + ndtr(b)), 0.5 * (ndtr(-a) + ndtr(-b))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        side = 2.0 * rng.integers(0, 2, n) - 1.0
        return side * self.c + self.s * rng.standard_normal(n)
