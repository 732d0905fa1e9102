"""Exact laws on the line: the law of y_k by quadrature for any target on the line and any scheme.

For a product target a sampler acts coordinate by coordinate, so W2² is the sum over its factors of 1-D
W2² (sections 3 and 10 of docs/theory.md): a referee without sampling noise. Each step
y_k = A y + C s(y) + √Q ξ is read as y_k = B y + E·E[X_0 | y] + √Q ξ with B = A − C/σ² and E = Cα/σ² at
τ_{k−1}: on a long step A y and C s(y) are huge and cancel, while these two terms do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numerics.laws.density import Density, Map, convolve, of_function
from numerics.laws.mapped_density import Pushed
from numerics.laws.ode_on_line import curve, pushed_w2
from numerics.targets.line_laws import Line, Normal
from wbound.data import gaussian
from wbound.errors import BadInput, HypothesisFailed, IOFailure, positive
from wbound.exact.gaussian_law import EXACT_LAW, law
from wbound.forward.forward_process import Process
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import Scheme
from wbound.typing import Array

__all__ = ["Law1dResult", "LineLaw", "law1d", "law1d_w2", "propagate"]


#: Nodes of the first pass, of the last one, and how they grow from one pass to the next.
FIRST, MOST, GROWTH = 160, 20_000, math.sqrt(2.0)


@dataclass(frozen=True, eq=False)
class LineLaw:
    """The sampler's output along one factor: W2 to the factor's law (x, not squared), its error estimate, the
    density of y_K (of y_K/α_K when stopped early) at x, and how many coordinates have this law."""

    w2: float
    error: float
    multiplicity: int
    line: Line
    x: Array
    density: Array
    nodes: int


@dataclass(frozen=True, eq=False)
class Law1dResult:
    """``w2`` of the sampler's output to the target (x, not squared), its ``error`` estimate, the factors."""

    w2: float
    error: float
    factors: tuple[LineLaw, ...]


def law1d_w2(
    process: Process,
    target: Any,
    T: float | None = None,
    K: int | None = None,
    *,
    scheme: str | Scheme = "em",
    start: str = "prior",
    grid: str | Grid = "uniform",
    score_noise: float = 0.0,
    rtol: float = 1e-6,
) -> Law1dResult:
    """W2 between the sampler's output and a product target, without sampling noise (W2, not squared, in x).

    Sections 3 and 10: any scheme, start and grid; W2² = Σ multiplicity · (1-D W2)². Normal factors by the
    exact recursion, the others by quadrature refined until two passes agree to ``rtol``. ``score_noise`` is V
    of section 11, centred, Gaussian, spread evenly over coordinates. Raises `BadInput` for data that are no
    product target, `IOFailure` where refinement does not get there. Kind: *exact*.
    """
    if not hasattr(target, "factors"):
        raise BadInput("data", type(target).__name__, "must be a product target of numerics.targets.products")
    s = setting(process, target, T, K, scheme=scheme, start=start, grid=grid, score_noise=score_noise)
    return law1d(s, rtol)


def law1d(s: Setting, rtol: float = 1e-6, *, quadrature: bool = False) -> Law1dResult:
    """`law1d_w2` of a `Setting`; ``quadrature``: for normal factors too. *exact*"""
    if s.score_bias:
        raise HypothesisFailed(
            "the exact law", "an unbiased score", f"score_bias = {s.score_bias:g} has no one law"
        )
    rtol = positive("rtol", rtol)
    noise2 = s.score_noise**2 / s.data.d
    laws = []
    for line, multiplicity in s.data.factors:
        if isinstance(line, Normal) and (not quadrature or line.variance == 0.0):
            laws.append(_normal(s, line, multiplicity, noise2))
        elif s.scheme.stages == 2:  # no convolution: the start's quantiles, pushed
            laws.append(_pushed(s, line, multiplicity, rtol))
        else:
            laws.append(_refined(s, line, multiplicity, noise2, rtol))
    w2 = math.sqrt(sum(one.multiplicity * one.w2**2 for one in laws))
    error = math.sqrt(sum(one.multiplicity * one.error**2 for one in laws))
    return Law1dResult(w2, error, tuple(laws))


def _normal(s: Setting, line: Normal, multiplicity: int, noise2: float) -> LineLaw:
    own = replace(s, data=gaussian.Gaussian(line.mean, line.variance), score_noise=math.sqrt(noise2))
    w2 = float(EXACT_LAW(own))
    excess, mean = law(own, np.array([line.variance]))
    variance, centre = max(line.variance + float(excess[0]), 0.0), line.mean * (1.0 + float(mean[0]))
    if not (math.isfinite(variance) and variance > 0.0):
        return LineLaw(w2, 1e-12 * w2, multiplicity, line, np.empty(0), np.empty(0), 0)
    x = centre + math.sqrt(variance) * np.linspace(-NORMAL_REACH, NORMAL_REACH, 513)
    return LineLaw(w2, 1e-12 * w2, multiplicity, line, x, np.exp(Normal(centre, variance).log_density(x)), 0)


#: Standard deviations of a normal output that are tabulated.
NORMAL_REACH = 9.0


def _pushed(s: Setting, line: Line, multiplicity: int, rtol: float) -> LineLaw:
    if s.score_noise:
        raise HypothesisFailed("the exact law", "an exact score", f"{s.scheme.name} pushes no noise")
    w2, error, _ = pushed_w2(s, line, rtol)
    x, density = curve(s, line) if math.isfinite(w2) else (np.empty(0), np.empty(0))
    return LineLaw(w2, error, multiplicity, line, x, density, x.size)


def _refined(s: Setting, line: Line, multiplicity: int, noise2: float, rtol: float) -> LineLaw:
    sizes = [FIRST, math.ceil(FIRST * GROWTH)]
    floor = 1e-12 * math.sqrt(line.variance + line.mean**2)  # the rounding of quantiles
    w2 = math.inf
    try:
        while True:
            # the first two passes side by side, so that they share the tables of scores
            for pushed in propagate(s, line, sizes, noise2):
                before, w2 = w2, pushed.w2(line)
            # the error falls faster than any power of n: what two passes differ by bounds the finer one's
            error = abs(w2 - before)
            if error <= 0.5 * rtol * w2 or error <= floor:
                return LineLaw(w2, error, multiplicity, line, *pushed.curve(), sizes[-1])
            sizes = [math.ceil(sizes[-1] * GROWTH)]
            if sizes[0] > MOST:
                raise IOFailure(
                    f"the law on the line stopped at a relative error of {error / w2:.2g} with {MOST} nodes"
                )
    except OverflowError:
        return LineLaw(math.inf, 0.0, multiplicity, line, np.empty(0), np.empty(0), sizes[-1])


def propagate(s: Setting, line: Line, sizes: Sequence[int], noise2: float = 0.0) -> list[Pushed]:
    """The law of the output along ``line``, once for each number of nodes in ``sizes``: a density under the
    maps of the noise-free last steps (ddpm's last one). ``noise2`` is V² per coordinate, in 1/x². Raises
    `OverflowError` where the law is infinite."""
    b = s.nodes.batch
    steps = s.scheme.steps(b)
    with np.errstate(over="ignore", invalid="ignore"):  # a huge step: infinite, and said to be
        share = np.where(np.isinf(b.ratio), 1.0, b.ratio / (1.0 + b.ratio))
        per = np.exp(b.log_alpha_hi) / b.sigma2_hi
        # hf's are A/(1 + ratio) and α_k share; a scheme's own differ by its mismatches a and c
        B = np.exp(b.steps.F - b.gap) - steps.a + np.where(steps.c == 0.0, 0.0, steps.c / b.sigma2_hi)
        E = np.exp(b.log_alpha_lo) * share - np.where(steps.c == 0.0, 0.0, steps.c * per)
        Q = steps.Q + noise2 * steps.C**2 if noise2 else steps.Q
    if not (np.isfinite(B).all() and np.isfinite(E).all() and np.isfinite(Q).all()):
        raise OverflowError("a step is infinite in double precision")
    densities = [_start(s, line, n) for n in sizes]
    maps: list[Map] = []
    for k in range(b.size):
        alpha, sigma2 = math.exp(float(b.log_alpha_hi[k])), float(b.sigma2_hi[k])
        maps.append(_step(line, float(B[k]), float(E[k]), alpha, sigma2))
        if Q[k] > 0.0:
            moved = _compose(maps)
            densities = [
                convolve(one, moved, float(Q[k]), n) for one, n in zip(densities, sizes, strict=True)
            ]
            maps = []
    scale = math.exp(-s.nodes.last[0]) if s.nodes.stopped_early else 1.0
    return [Pushed(one, _compose(maps) if maps else None, scale) for one in densities]


def _step(line: Line, B: float, E: float, alpha: float, sigma2: float) -> Map:
    return lambda y: B * y + E * line.denoise(y, alpha, sigma2)


def _compose(maps: list[Map]) -> Map:
    kept = tuple(maps)

    def moved(z: Array) -> Array:
        for each in kept:
            z = each(z)
        return z

    return moved


def _start(s: Setting, line: Line, n: int) -> Density:
    log_alpha, log_lam = s.nodes.first
    alpha, sigma2 = math.exp(log_alpha), math.exp(log_lam + 2.0 * log_alpha)
    if s.start == "exact":
        if line.m0 > 0.0:
            width = 12.0 * math.sqrt(alpha**2 / line.m0 + sigma2)
            lo, hi = alpha * line.mean - width, alpha * line.mean + width
        else:  # not log-concave: from its own tails (of both levels given the smaller decides)
            ends = line.at_tails(np.array([1e-24, 1.0]), np.array([1.0, 1e-24]), alpha, sigma2)
            lo, hi = (float(end) for end in ends)
        return of_function(lambda z: line.log_density(z, alpha, sigma2), lo, hi, n)
    prior = Normal(0.0, 1.0 if s.start == "standard" else sigma2)
    width = 9.8 * math.sqrt(prior.variance)
    return of_function(prior.log_density, -width, width, n)
