"""The randomised midpoint for the reverse SDE and for the flow: what is exact of its law on Gaussians (section 17).

A step of it evaluates the score twice, the second time at a level that is drawn at random. So it is no affine sampler with fixed
levels: the floors of Theorem 6 say nothing of it, and its law on a Gaussian is a mixture of Gaussians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wbound.calculus.quadrature import rule
from wbound.data.log_concave import gaussian_data
from wbound.errors import HypothesisFailed, one_of
from wbound.forward.forward_process import Process
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import RANDOM_TIMES
from wbound.typing import Array

__all__ = ["KINDS", "RandomMidpointLaw", "law_of_random_midpoint", "random_midpoint_law"]

#: The schemes by "sde", dY = S dΛ + dB, and "ode", dY = ½S dΛ, in y-units.
KINDS = {scheme.kind: name for name, scheme in RANDOM_TIMES.items()}
#: Below, moments of z = 1/(1 − uq) are taken by quadrature and series: their closed forms cancel there.
SMALL = 0.5
#: Terms of the series: 0.5^60 is below a unit in the last place of its first term.
TERMS = 60


@dataclass(frozen=True)
class RandomMidpointLaw:
    """Output of the randomised midpoint on N(0, Σ): ``variances`` x (E,) of the data, ``second_moment`` (E,) of the output along
    them, exact, both in x²; W2 lies between ``low`` (Gelbrich's bound: the distance of Gaussians with these moments) and
    ``high`` (the coupling at given times), in x."""

    variances: Array
    second_moment: Array
    low: float
    high: float


def _z_moments(q: Array, rest: Array) -> tuple[Array, Array, Array, Array]:
    """E z, E z², E z³, E z⁴ of z = 1/(1 − uq), u uniform on [0, 1]; rest = 1 − q with its own digits."""
    with np.errstate(over="ignore"):  # a huge step: infinite
        return -np.log(rest) / q, 1.0 / rest, (1.0 + rest) / (2.0 * rest**2), (rest**-3.0 - 1.0) / (3.0 * q)


def _two_ways(q: Array, rest: Array) -> tuple[NDArray[np.bool_], Array, Array]:
    """Where q is small; q there, else 0; and q and 1 − q elsewhere, else ½."""
    small = q < SMALL
    return small, np.where(small, q, 0.0), np.where(small, 0.5, rest)


def _noise_defect(q: Array, rest: Array) -> Array:
    """E n − (1 − q), n = u(1 − qz)² + 1 − u the variance a step injects over H: −q²/6 + …; closed form, or its series
    Σ_{i≥2} (1 − 1/i − 2/(i+1)) q^i."""
    small, little, much = _two_ways(q, rest)
    i = np.arange(2.0, TERMS)
    series = (little[..., None] ** i * (1.0 - 1.0 / i - 2.0 / (i + 1.0))).sum(axis=-1)
    large = 1.0 - much
    closed = 2.0 + large + (2.0 / large + 1.0) * np.log(much) + large / much
    return np.where(small, series, closed)


def _by_quadrature(q: Array) -> tuple[Array, Array]:
    """Variances over u of n and of z, q < ½, from values that do not cancel."""
    r = rule(20)
    z = 1.0 / (1.0 - r.x * q[..., None])
    n = r.x * (1.0 - q[..., None] * z) ** 2 + 1.0 - r.x
    n, z = ((v - (v @ r.w)[..., None]) ** 2 @ r.w for v in (n, z))
    return n, z


def _noise_variance(q: Array, rest: Array) -> Array:
    """Variance over u of n = 3 − (2+q)z + qz²."""
    small, little, much = _two_ways(q, rest)
    large = 1.0 - much
    one, two, three, four = _z_moments(large, much)
    a = 2.0 + large
    square = 9.0 + a**2 * two + large**2 * four - 6.0 * a * one + 6.0 * large * two - 2.0 * large * a * three
    mean = 3.0 - a * one + large * two
    return np.where(small, _by_quadrature(little)[0], np.maximum(square - mean**2, 0.0))


def _flow_moments(q: Array, rest: Array) -> tuple[Array, Array]:
    """E r and Var r/(E r)² of the flow's factor r = 1 − q/4 − (q/4)z."""
    small, little, much = _two_ways(q, rest)
    mean = 1.0 - 0.25 * (q - np.log(rest))
    one, two, *_ = _z_moments(1.0 - much, much)
    spread = np.where(small, _by_quadrature(little)[1], two - one**2)
    with np.errstate(divide="ignore"):  # a factor of mean 0
        return mean, (0.25 * q / mean) ** 2 * spread


def random_midpoint_law(
    process: Process,
    data: object,
    T: float | None = None,
    K: int | None = None,
    *,
    kind: str = "sde",
    start: str = "prior",
    grid: str | Grid = "uniform",
) -> RandomMidpointLaw:
    """The randomised midpoint on centred Gaussian data with exact scores: second moment *exact*, W2 between two bounds.

    A step from λ to λ − H in y-units, u uniform on [0, 1], ξ and ξ′ standard normal: x = y + uH S_λ(y) + √(uH) ξ, then
    y + H S_{λ−uH}(x) + √(uH) ξ + √((1−u)H) ξ′; for the flow ½S and no noise. Two evaluations a step, the second at a random
    level: the floors of affine samplers (Theorem 6) exclude it.

    process, T, K, start, grid as in `exact_w2`; kind: "sde" (scheme random-midpoint) or "ode" (ode-random-midpoint). data: a
    `Gaussian` with mean 0. Where the grid stops early the output is y_K/α_K. Raises `BadInput` and `HypothesisFailed`.
    Source: the method of Shen & Lee (2019), for diffusion Yu & Yu (arXiv 2502.04849) and others; derived in docs/theory.md.
    """
    one_of("kind", kind, tuple(KINDS))
    return law_of_random_midpoint(setting(process, data, T, K, scheme=KINDS[kind], start=start, grid=grid))


def law_of_random_midpoint(s: Setting) -> RandomMidpointLaw:
    """`random_midpoint_law` of a `Setting` whose scheme is one of `RANDOM_TIMES`."""
    start = s.start
    if not s.scheme.random:
        raise HypothesisFailed(
            "the randomised midpoint's law", "levels that are drawn", f"scheme = {s.scheme.name}"
        )
    if s.score_bias or s.score_noise:
        raise HypothesisFailed("the randomised midpoint's law", "an exact score", "the score has an error")
    known = gaussian_data(s.data)
    if known.coordinates.any():
        detail = "the data's mean is not 0: move the data, or the start"
        raise HypothesisFailed("the randomised midpoint's law", "start at the mean", detail)
    if not (known.eigenvalues.all() or s.nodes.stopped_early):
        detail = "an eigenvalue is 0: near lam = 0 its score has no second moment over the random levels"
        raise HypothesisFailed("the randomised midpoint's law", "eigenvalues > 0", detail)
    x, times = np.unique(known.eigenvalues, return_counts=True)
    if s.nodes.first[1] > 300.0:  # its square is a double
        raise HypothesisFailed("the randomised midpoint's law", "lam(T) in double precision", "it overflows")
    lam = np.exp(s.nodes.log_lam)
    w = x[:, None] + lam
    H = lam[:-1] - lam[1:]
    q, rest = H / w[:, :-1], w[:, 1:] / w[:, :-1]
    begun = {
        "exact": w[:, 0],
        "prior": np.full_like(x, lam[0]),
        "standard": np.full_like(x, math.exp(-2.0 * s.nodes.first[0])),
    }[start]
    if not s.scheme.flow:
        # r = 1 − q whatever u: ŵ telescopes
        per = (w[:, -1:] / w[:, 1:]) ** 2 * H
        carried = (w[:, -1] / w[:, 0]) ** 2 * (begun - w[:, 0])
        moment = w[:, -1] + carried + (per * _noise_defect(q, rest)).sum(axis=1)
        spread = (per**2 * _noise_variance(q, rest)).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):  # x = 0, stopped early
            # E√V ≥ √m(1 − Var/(2m²)); and (√V − √x)² ≤ (V − x)²/x
            first = (np.sqrt(moment) - np.sqrt(x)) ** 2 + np.sqrt(x) * spread / moment**1.5
            second = (spread + (moment - x) ** 2) / x
        high = np.fmin(first, second)
    else:
        mean, spread = _flow_moments(q, rest)
        gain = np.prod(mean, axis=1) * np.sqrt(begun)
        excess = gain**2 * np.expm1(np.log1p(spread).sum(axis=1))
        moment = gain**2 + excess
        high = (gain - np.sqrt(x)) ** 2 + excess
    low = (np.sqrt(moment) - np.sqrt(x)) ** 2
    return RandomMidpointLaw(
        np.repeat(x, times),
        np.repeat(moment, times),
        math.sqrt(float(times @ low)),
        math.sqrt(float(times @ high)),
    )
