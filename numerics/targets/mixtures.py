"""Targets beyond A1, with an exact score and a curvature profile: mixtures, and data smoothed by noise.

X_0 = W + τζ with W on finitely many points: the score is a softmax over them, so a real data set can be
sampled with its exact score and no network. Their profile is `wbound.bounded_data`'s, from a ball around the
points (sections 10 and 11 of docs/theory.md).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, ndtr

from numerics.targets.line_laws import LOG_2PI, Line, Normal, Pair
from numerics.targets.products import Factor, along_and_across, generator, points_in
from wbound.data.beyond_log_concave import BoundedData
from wbound.errors import BadInput, HypothesisFailed, count, positive
from wbound.typing import Array

__all__ = ["Bimodal", "GaussianMixture", "Peaks", "SmoothedData", "enclosing_ball"]


#: Numbers held at once when particles meet centres, and those of them that a core keeps in its cache.
CHUNK, CACHED = 1 << 21, 1 << 16


class Bimodal(BoundedData):
    """½N(−c, s²I) + ½N(c, s²I) with any separation: c a vector (d,) or a number (d = 1), s > 0, both in x.

    Section 10's mixture without |c| < s; its profile has D = |c|, v = s² + λ (section 11), which is sharp.
    Inside A1 (|c| < s) `numerics.SymmetricMixture` serves Theorem 1 too.
    """

    def __init__(self, c: ArrayLike, s: float) -> None:
        centre = np.atleast_1d(_finite("c", c))
        if centre.ndim != 1 or centre.size == 0:
            raise BadInput("c", f"shape {centre.shape}", "must be a vector (d,) or a number")
        self.c, self.s = centre, positive("s", s)
        size = float(np.linalg.norm(centre))
        super().__init__(size, self.s, centre.size, size**2 + centre.size * self.s**2, 0.0)

    __eq__, __hash__ = object.__eq__, object.__hash__

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The pair along c, normal laws across it."""
        rest = (Factor(Normal(0.0, self.s**2), self.d - 1),) if self.d > 1 else ()
        return (Factor(Pair(self.D, self.s), 1), *rest)

    def along(self, x: ArrayLike) -> tuple[Array, ...]:
        """Points x (n, d) in the axes of `factors`: along c (n, 1), then across it (n, d − 1)."""
        return along_and_across(points_in(x, self.d), self.c)

    def score(self, x: ArrayLike, alpha: float, sigma2: float) -> Array:
        """∇log p_t at x (n, d): (−x + αc tanh(α⟨c, x⟩/v))/v, v = α²s² + σ². *exact*"""
        at = points_in(x, self.d)
        v = (alpha * self.s) ** 2 + sigma2
        return np.asarray((np.tanh(at @ self.c * (alpha / v))[:, None] * (alpha * self.c) - at) / v)

    def sample(self, n: int, seed: int | np.random.Generator = 0) -> Array:
        """n independent draws (n, d) of X_0."""
        rng, n = generator(seed), count("n", n)
        side = 2.0 * rng.integers(0, 2, (n, 1)) - 1.0
        return np.asarray(side * self.c + self.s * rng.standard_normal((n, self.d)))


class GaussianMixture(BoundedData):
    """Σ w_i N(μ_i, s_i² I) in any d: means (k, d) (or (k,) for d = 1), s a number or (k,), weights (k,) or
    equal ones.

    means and s in x. With one s its profile is that of W on the means, in the smallest ball around them that
    is found (``centre``, D), and τ = s. With several s there is no profile here: exact score and samples, no
    bound (`HypothesisFailed`, A1′). Raises `BadInput`.
    """

    def __init__(self, means: ArrayLike, s: Any, weights: ArrayLike | None = None) -> None:
        at = _finite("means", means)
        at = at[:, None] if at.ndim == 1 else at
        if at.ndim != 2 or 0 in at.shape:
            raise BadInput("means", f"shape {at.shape}", "must be of shape (k, d), or (k,) for d = 1")
        k, d = at.shape
        widths = np.atleast_1d(_finite("s", s))
        if widths.shape not in ((1,), (k,)) or not (widths > 0.0).all():
            raise BadInput("s", s, f"must be a number > 0, or {k} of them")
        mass = np.full(k, 1.0) if weights is None else _finite("weights", weights)
        if mass.shape != (k,) or not (mass >= 0.0).all() or not mass.sum() > 0.0:
            raise BadInput("weights", f"shape {mass.shape}", f"must be {k} numbers >= 0, not all 0")
        self.means, self.weights = at, mass / mass.sum()
        #: one variance for all, or (k,)
        self.variances = widths[:1] ** 2 if np.ptp(widths) == 0.0 else widths**2
        self.centre, radius = enclosing_ball(at[mass > 0.0])
        self._shifted = at - self.centre
        self._squares = (self._shifted**2).sum(axis=1)
        with np.errstate(divide="ignore"):  # a component without weight
            self._log_weights = np.log(self.weights)
        self.mean = self.weights @ at
        square = float(self.weights @ (at**2).sum(axis=1) + d * (self.weights @ self._all_variances()))
        norm, least = float(np.linalg.norm(self.mean)), math.sqrt(float(self.variances.min()))
        if self.common:
            super().__init__(radius, least, d, square, norm)
            return
        for name, value in (("D", radius), ("tau", least), ("d", d), ("delta", 0.0)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "second_moment", square)
        object.__setattr__(self, "mean_norm", norm)

    __eq__, __hash__ = object.__eq__, object.__hash__

    #: numbers in a sampler's chunk: matrix products of many particles with all means pay
    chunk = 1 << 16

    @property
    def common(self) -> bool:
        """Whether all components have one variance."""
        return self.variances.size == 1

    @property
    def normaliser(self) -> float:  # type: ignore[override]
        """As `BoundedData`; raises `HypothesisFailed` (A1′) where the components differ in variance."""
        if not self.common:
            raise HypothesisFailed(
                "the bound", "A1'", "components of different variance have no curvature profile here"
            )
        return super().normaliser

    def _all_variances(self) -> Array:
        return np.broadcast_to(self.variances, (self.means.shape[0],))

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The law itself in d = 1, which is when it is a product."""
        if self.d > 1:
            raise AttributeError("factors: a mixture in d > 1 is no product of laws on the line")
        return (Factor(Peaks(self.means[:, 0], np.sqrt(self._all_variances()), self.weights), 1),)

    def along(self, x: ArrayLike) -> tuple[Array, ...]:
        """Points x (n, 1) in the axes of `factors`, in d = 1: themselves."""
        return (points_in(x, self.d),)

    def score(self, x: ArrayLike, alpha: float, sigma2: float) -> Array:
        """∇log p_t at x (n, d): Σ π_i(x)(αμ_i − x)/v_i, v_i = α²s_i² + σ², π a softmax, in chunks. *exact*"""
        at = points_in(x, self.d)
        out = np.empty(at.shape)
        v = alpha**2 * self.variances + sigma2
        k = self.means.shape[0]
        rows, few = max(CHUNK // k, 1), max(CACHED // k, 1)
        level = self._log_weights - (0.5 * alpha**2 / v) * self._squares
        for i in range(0, at.shape[0], rows):
            y = at[i : i + rows] - alpha * self.centre
            share = y @ self._shifted.T
            for j in range(0, y.shape[0], few):
                logits = share[j : j + few]
                logits *= alpha / v
                logits += level
                if not self.common:
                    logits -= (0.5 / v) * (y[j : j + few] ** 2).sum(axis=1)[:, None]
                    logits -= 0.5 * self.d * np.log(v)
                logits -= logits.max(axis=1, keepdims=True)
                # what is below e^{−100} of the largest share is lost in rounding; subnormals would be slow
                np.maximum(logits, -100.0, out=logits)
                np.exp(logits, out=logits)
                logits /= logits.sum(axis=1, keepdims=True)
            if self.common:
                out[i : i + rows] = (alpha * (share @ self._shifted) - y) / v
            else:
                per = share / v
                out[i : i + rows] = alpha * (per @ self._shifted) - per.sum(axis=1)[:, None] * y
        return out

    def sample(self, n: int, seed: int | np.random.Generator = 0) -> Array:
        """n independent draws (n, d) of X_0."""
        rng, n = generator(seed), count("n", n)
        which = rng.choice(self.weights.size, n, p=self.weights)
        width = np.sqrt(self._all_variances())[which][:, None]
        return np.asarray(self.means[which] + width * rng.standard_normal((n, self.d)))


class SmoothedData(GaussianMixture):
    """A data array (n, …) smoothed by noise: X_0 = W + τζ, W one of the n rows (flattened), ζ normal.

    tau > 0 in the data's units. The exact score is a softmax over the rows; the profile comes from the ball
    around them. Raises `BadInput`.
    """

    def __init__(self, points: ArrayLike, tau: float) -> None:
        rows = _finite("points", points)
        if rows.ndim < 2 or 0 in rows.shape:
            raise BadInput("points", f"shape {rows.shape}", "must be of shape (n, d) or (n, …), n >= 1")
        self.shape = rows.shape[1:]
        super().__init__(rows.reshape(rows.shape[0], -1), positive("tau", tau))

    @property
    def points(self) -> Array:
        """The data, (n, d)."""
        return self.means


class Peaks(Line):
    """Σ w_i N(μ_i, s_i²) on the line: means, widths and weights (k,); log-concave or not.

    ``m0`` and ``L0`` bound the curvature where the widths are equal; else L0 = 1/min s² and m0 = −∞.
    """

    def __init__(self, means: Array, widths: Array, weights: Array) -> None:
        self.means, self.variances, self.weights = means, widths**2, weights
        self.mean = float(weights @ means)
        self.variance = float(weights @ ((means - self.mean) ** 2 + self.variances))
        self.L0 = 1.0 / float(self.variances.min())
        reach = 0.5 * float(np.ptp(means))
        equal = float(np.ptp(self.variances)) == 0.0
        self.m0 = (1.0 - reach**2 * self.L0) * self.L0 if equal else -math.inf
        with np.errstate(divide="ignore"):  # a component without weight
            self._log_weights = np.log(weights)

    def _parts(self, x: Array, alpha: float, sigma2: float) -> tuple[Array, Array, Array]:
        """z = x − αμ_i, v_i and log(w_i N(z; v_i)), components last."""
        v = alpha**2 * self.variances + sigma2
        z = np.asarray(x, float)[..., None] - alpha * self.means
        return z, v, self._log_weights - 0.5 * (z**2 / v + LOG_2PI + np.log(v))

    def _shares(self, log_parts: Array) -> Array:
        share = np.exp(log_parts - log_parts.max(axis=-1, keepdims=True))
        return np.asarray(share / share.sum(axis=-1, keepdims=True))

    def denoise(self, x: Array, alpha: float, sigma2: float) -> Array:
        z, v, parts = self._parts(x, alpha, sigma2)
        own = self.means + alpha * self.variances / v * z
        return np.asarray((self._shares(parts) * own).sum(axis=-1))

    def score(self, x: Array, alpha: float, sigma2: float) -> Array:
        z, v, parts = self._parts(x, alpha, sigma2)
        return np.asarray(-(self._shares(parts) * z / v).sum(axis=-1))

    def log_density(self, x: Array, alpha: float = 1.0, sigma2: float = 0.0) -> Array:
        return np.asarray(logsumexp(self._parts(x, alpha, sigma2)[2], axis=-1))

    def tails(self, x: Array, alpha: float = 1.0, sigma2: float = 0.0) -> tuple[Array, Array]:
        z, v, _ = self._parts(x, alpha, sigma2)
        z = z / np.sqrt(v)
        return np.asarray(ndtr(z) @ self.weights), np.asarray(ndtr(-z) @ self.weights)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        which = rng.choice(self.weights.size, n, p=self.weights)
        return np.asarray(self.means[which] + np.sqrt(self.variances[which]) * rng.standard_normal(n))


def enclosing_ball(points: Array, rounds: int = 400) -> tuple[Array, float]:
    """A ball (centre (d,), radius in x) around points (k, d), within about 1/√rounds of the smallest. *upper*

    Source: Bădoiu & Clarkson, 2003: step towards the farthest point, ever less.
    """
    centre = points.mean(axis=0)
    best, radius = centre, math.inf
    for i in range(1, rounds + 1):
        gap = ((points - centre) ** 2).sum(axis=1)
        far = int(np.argmax(gap))
        if gap[far] < radius**2:
            best, radius = centre, math.sqrt(float(gap[far]))
        centre = centre + (points[far] - centre) / (i + 1)
    # rounding must not leave a point outside
    return best, radius * (1.0 + 1e-12)


def _finite(option: str, value: Any) -> Array:
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        raise BadInput(option, type(value).__name__, "must be numbers") from None
    if not np.isfinite(array).all():
        raise BadInput(option, "an array with NaN or infinity", "must be finite")
    return array
