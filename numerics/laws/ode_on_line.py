"""Exact laws of the probability-flow ODE on the line: the start's quantiles, pushed through the steps.

A step is a map of the line, so the output's law is the start's under one composed map. Where that map is
monotone (section 12 of docs/theory.md: c_kL_0/(1+L_0λ_{k−1}) ≤ 1, which is checked), the output's quantile at
a level is the image of the start's, and W2 is an integral over the start: a referee without noise. Where it
turns, the pushed quantiles are sorted first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from numerics.laws.mapped_density import ROUGH
from numerics.targets.line_laws import Line, Normal
from wbound.calculus.quadrature import halved, rule
from wbound.data import gaussian
from wbound.errors import BadInput, HypothesisFailed, IOFailure, positive
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import Steps
from wbound.sampler.steps import Batch
from wbound.typing import Array, Index

__all__ = [
    "LEAST",
    "Flow1d",
    "Start",
    "curve",
    "flow1d",
    "monotone",
    "push",
    "pushed_w2",
    "w2_under",
]


#: Where the map turns: nodes of the first pass, of the last one, and how they grow from one to the next.
FIRST, MOST, GROWTH = 192, 400_000, 2.0
#: Panels of the first look where it rises.
_PANELS = 24
#: Tail of the start beyond which nothing is followed.
LEAST = 1e-21


@dataclass(frozen=True, eq=False)
class Flow1d:
    """``w2`` of the ODE sampler's output to the target (x, not squared), its ``error`` estimate;
    ``monotone``: whether the composed map rises (proved by section 12's condition, else seen at points)."""

    w2: float
    error: float
    monotone: bool


def flow1d(s: Setting, rtol: float = 1e-8) -> Flow1d:
    """W2 between an ODE sampler's output and a product target, without sampling noise (W2, not squared, x).

    Section 12: any ODE scheme, start and grid; W2² = Σ multiplicity · (1-D W2)², by quadrature refined until two passes
    agree to ``rtol`` (1e-5 where the map turns). Raises `BadInput` for data that are no product target,
    `HypothesisFailed` for SDE schemes. Kind: *exact*.
    """
    if not hasattr(s.data, "factors"):
        raise BadInput("data", type(s.data).__name__, "must be a product target of numerics.targets.products")
    if not s.scheme.flow:
        raise HypothesisFailed("the pushed law", "an ODE scheme", f"{s.scheme.name} is an SDE scheme")
    if s.score_bias or s.score_noise:
        raise HypothesisFailed("the pushed law", "an exact score", "bias and noise have no one law here")
    rtol = positive("rtol", rtol)
    w2, error, rising = 0.0, 0.0, True
    for line, multiplicity in s.data.factors:
        if isinstance(line, Normal):
            one = float(EXACT_LAW(replace(s, data=gaussian.Gaussian(line.mean, line.variance))))
            off, own = 1e-12 * one, True
        else:
            one, off, own = pushed_w2(s, line, rtol)
        w2, error = math.hypot(w2, math.sqrt(multiplicity) * one), math.hypot(error, off)
        rising = rising and own
    return Flow1d(w2, error, rising)


def monotone(b: Batch, steps: Steps, L0: float) -> bool:
    """Whether c_kL_0/(1+L_0λ_{k−1}) ≤ 1 for every step: then each one-stage map rises (section 12)."""
    share = np.exp(-np.logaddexp(-math.log(L0), b.log_lam_hi) - 2.0 * b.log_alpha_hi - b.steps.F)
    return steps.corrector is None and bool((steps.C * share <= 1.0 + 1e-12).all())


def push(s: Setting, line: Line) -> Callable[[Array], Array]:
    """The composed map of the line: y_0 ↦ y_K (y_K/α_K where the grid stops early), in x.

    With the denoiser D a step is e^F keep y + α_k(1 − keep) D(y), keep = 1 − c_k/λ_{k−1}: both terms stay
    tame on a long step, where A y and C s(y) are huge and cancel. A second stage is read from its coefficients:
    with e = 1 − c′_k/λ_{k−1} it is e^F e y + α_k(1 − e) D(y) + (c″_k/λ_k)(α_k D(y′) − y′),
    the last with the score of p_0 where λ_k = 0.
    """
    b = s.nodes.batch
    steps = s.scheme.steps(b)
    assert steps.flow is not None
    keep = steps.flow.keep
    with np.errstate(over="ignore", invalid="ignore"):  # a huge step: refused on the next line
        share = steps.C * np.exp(-b.steps.F) / b.sigma2_hi  # c_k/λ_{k−1} = 1 − keep
        growth = np.exp(b.steps.F)
    if not (np.isfinite(growth).all() and np.isfinite(share).all()):
        raise OverflowError
    alpha_lo, alpha_hi = np.exp(b.log_alpha_lo), np.exp(b.log_alpha_hi)
    second = steps.corrector
    if second is not None:
        with np.errstate(over="ignore", invalid="ignore"):  # as above
            part = second.C * np.exp(-b.steps.F) / b.sigma2_hi  # c′_k/λ_{k−1}
            seen = (second.D != 0.0) & (b.sigma2_lo > 0.0)
            late = np.where(seen, second.D / np.where(seen, b.sigma2_lo, 1.0), 0.0)
        if not (np.isfinite(part).all() and np.isfinite(late).all()):
            raise OverflowError
        rest = np.where(second.C == steps.C, keep, 1.0 - part)

    def moved(y: Array) -> Array:
        for k in range(b.size):
            mean = line.denoise(y, float(alpha_hi[k]), float(b.sigma2_hi[k]))
            ahead = growth[k] * keep[k] * y + alpha_lo[k] * share[k] * mean
            if second is not None:
                base = growth[k] * rest[k] * y + alpha_lo[k] * part[k] * mean
                if late[k]:
                    pulled = line.denoise(ahead, float(alpha_lo[k]), float(b.sigma2_lo[k]))
                    base = base + late[k] * (alpha_lo[k] * pulled - ahead)
                elif second.D[k]:  # the score of p_0 itself
                    base = base + second.D[k] * line.score(ahead, float(alpha_lo[k]), 0.0)
                ahead = base
            y = ahead
        return y

    scale = math.exp(-s.nodes.last[0]) if s.nodes.stopped_early else 1.0
    return lambda y: scale * moved(np.asarray(y, float))


class Start(NamedTuple):
    """The start's law on the line at (α, σ²), and the ends of what is followed of it."""

    line: Line
    at: tuple[float, float]
    lo: float
    hi: float


def _start(s: Setting, line: Line) -> Start:
    log_alpha, log_lam = s.nodes.first
    alpha, sigma2 = math.exp(log_alpha), math.exp(log_lam + 2.0 * log_alpha)
    own, at = line, (alpha, sigma2)
    if s.start != "exact":
        own, at = Normal(0.0, 1.0 if s.start == "standard" else sigma2), (1.0, 0.0)
    # both levels are given: the smaller one decides
    lo, hi = own.at_tails(np.array([LEAST, 1.0]), np.array([1.0, LEAST]), *at).tolist()
    return Start(own, at, lo, hi)


def curve(s: Setting, line: Line, n: int = 513) -> tuple[Array, Array]:
    """Points x (n,) of the output along ``line`` and its density there, where the map rises; else empty."""
    start = _start(s, line)
    y = np.linspace(start.lo, start.hi, n)
    x = push(s, line)(y)
    if not (np.diff(x) > 0.0).all():
        return np.empty(0), np.empty(0)
    return x, np.exp(start.line.log_density(y, *start.at)) / np.gradient(x, y)


def pushed_w2(s: Setting, line: Line, rtol: float) -> tuple[float, float, bool]:
    """W2 of the output to a law on the line, its error estimate, and whether the map rises. *exact*"""
    b = s.nodes.batch
    try:
        moved, start = push(s, line), _start(s, line)
        return w2_under(moved, start, line, rtol, rising=monotone(b, s.scheme.steps(b), line.L0))
    except OverflowError:
        return math.inf, 0.0, True


def w2_under(
    moved: Callable[[Array], Array], start: Start, line: Line, rtol: float, *, rising: bool = False
) -> tuple[float, float, bool]:
    """W2 of the start's image under ``moved`` to a law on the line, its error estimate, and whether the map rises: said
    (``rising``), or seen at points. *exact*"""
    try:
        if not rising:
            x = moved(np.linspace(start.lo, start.hi, 4 * FIRST))
            # flat to rounding is no turn
            rising = bool((np.diff(x) >= -1e-13 * float(np.abs(x).max())).all())
        if rising:
            return *_along(start, line, moved, rtol), True
        n, w2 = FIRST, _sorted(start, line, moved, FIRST)
        while True:
            n = math.ceil(n * GROWTH)
            before, w2 = w2, _sorted(start, line, moved, n)
            error = abs(w2 - before)
            if error <= 0.1 * max(rtol, 1e-4) * w2:
                return w2, error, False
            if n > MOST:
                raise IOFailure(f"the pushed law stopped at a relative error of {error / w2:.2g}, {n} nodes")
    except OverflowError:
        return math.inf, 0.0, True


def _finite(x: Array) -> Array:
    if not np.isfinite(x).all():
        raise OverflowError
    return x


def _along(start: Start, line: Line, moved: Callable[[Array], Array], rtol: float) -> tuple[float, float]:
    """W2 and its error estimate where the map rises: Gauss panels over the start, halved until they agree."""
    nodes, weights = rule(10).x, rule(10).w
    scale = math.sqrt(line.variance + line.mean**2)

    def panels(_: Index, lo: Array, hi: Array) -> Array:
        y = lo[:, None] + (hi - lo)[:, None] * nodes
        flat = y.ravel()
        lower, upper = start.line.tails(flat, *start.at)
        x = _finite(moved(flat))
        gap = (x - line.at_tails(lower, upper)) ** 2 * np.exp(start.line.log_density(flat, *start.at))
        return np.asarray((gap.reshape(y.shape) @ weights) * (hi - lo))

    def enough(both: Array, whole: Array, _: Index) -> float:
        # quantiles are known to about 1e−14 of the law's width
        total, noise = float(whole[0]), 2e-14 * scale
        return (rtol * total + noise * math.sqrt(total) + noise**2) / 32.0

    edges = np.linspace(start.lo, start.hi, _PANELS + 1)
    one = np.zeros(_PANELS, int)
    value, error, agreed = halved(panels, one, edges[:-1], edges[1:], enough, depth=48)
    if not agreed:
        raise IOFailure(ROUGH)
    w2 = math.sqrt(value[0])
    return w2, 0.5 * float(error[0]) / w2 if w2 > 0.0 else 0.0


def _sorted(start: Start, line: Line, moved: Callable[[Array], Array], n: int) -> float:
    """W2 with n nodes of the start where the map turns: their images are sorted first."""
    y = np.linspace(start.lo, start.hi, n)
    mass = np.exp(start.line.log_density(y, *start.at)) * (y[1] - y[0])
    x = _finite(moved(y))
    order = np.argsort(x, kind="stable")
    x, mass = x[order], mass[order]
    below, above = np.cumsum(mass) - 0.5 * mass, np.cumsum(mass[::-1])[::-1] - 0.5 * mass
    target = line.at_tails(below / (below + above), above / (below + above))
    return math.sqrt(float(mass @ (x - target) ** 2))
