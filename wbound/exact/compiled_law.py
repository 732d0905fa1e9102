"""The exact law on tame steps in one compiled pass: every eigenvalue through all steps, nothing but arithmetic.

What `wbound.exact.gaussian_law.law` sums from the data's end in logarithms is run here forward in λ itself. A pass does
not depend on the start or the score's noise: what they add is linear in it (`Passed`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from wbound.data.gaussian import Gaussian
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import forgotten, trapezoid, vanishes
from wbound.sampler.tame_steps import TameSteps, table
from wbound.typing import Array

__all__ = ["LawPass", "Passed", "Spectrum", "law_pass", "spectrum", "w2", "w2_from"]


class Spectrum(NamedTuple):
    """Distinct eigenvalues ς² (E,), how often each stands, the squares of the mean along each together (x²), and the
    recursion's unit c (1/x²)."""

    variances: Array
    counts: Array
    means2: Array
    c: float


class Passed(NamedTuple):
    """What the steps do to eigenvalues (E,), in units of s_k = α_k(1 + cλ_k)^power; the rows of ``parts`` (5, E): left
    of the start, the variance's defect and the mean's (per unit of mean) that the steps add, the variance per unit of
    V²/d, and what is injected, which with the start's is the variance itself."""

    c: float
    power: float
    parts: Array


@lru_cache(maxsize=16)
def spectrum(data: Gaussian) -> Spectrum:
    """The `Spectrum` of a law."""
    variances, group = np.unique(data.eigenvalues, return_inverse=True)
    counts, means2 = np.bincount(group), np.bincount(group, data.coordinates**2)
    return Spectrum(
        variances, counts.astype(np.float64), means2.astype(np.float64), 1.0 / float(variances.mean())
    )


def law_pass(tame: TameSteps) -> LawPass | None:
    """The `LawPass` of tame steps; None for a second stage that is not the trapezoidal rule's, whose defect is a
    difference with the rounding of its own order of sums."""
    steps, b = tame.steps, tame.batch
    if steps.flow is None:
        ancestral = not vanishes(steps.q) and vanishes(steps.a) and vanishes(steps.c)
        whole = b.steps.Q * forgotten(b) if ancestral else 0.0
        rows = (b.steps.Q, steps.C, steps.Q, steps.a, steps.c, whole - steps.q, whole)
        return LawPass(tame, table(*rows, size=b.size))
    first: Array = steps.C
    second: Array | float = 0.0
    rule: Array | float = 0.0
    if steps.corrector is not None:
        first, second = steps.corrector
        alone = (second == 0.0) & (first == steps.C)
        own = trapezoid(b)
        assert own.corrector is not None
        same = (steps.C == own.C) & (first == own.corrector.C) & (second == own.corrector.D)
        if not (alone | same).all():
            return None
        rule = np.where(alone, 0.0, 1.0)
    per = tame.back * tame.per_alpha2[:-1]  # C times it is c_k
    kappa = np.sqrt(tame.lam[1:] / tame.lam[:-1])
    rest = tame.H / tame.lam[:-1] / (1.0 + kappa)
    moves = (steps.C * per, steps.flow.keep, steps.flow.excess, 2.0 * steps.flow.half * per)
    return LawPass(tame, table(*moves, kappa, rest, steps.C, first, second, rule, size=b.size))


@dataclass(frozen=True, eq=False)
class LawPass:
    """The law's coefficients of tame steps, for any data."""

    tame: TameSteps
    columns: Array

    def over(self, law: Spectrum) -> Passed:
        """The compiled pass over the eigenvalues ς² > 0 of a law."""
        t = self.tame
        ode = t.steps.flow is not None
        out = np.zeros((5, law.variances.size))
        out[0] = 1.0
        run = _compiled()[ode]
        run(t.lam, t.per_alpha2, t.back, t.H, self.columns, law.variances, law.c, out)
        return Passed(law.c, 0.5 if ode else 1.0, out)


def w2(s: Setting, law: Spectrum, of: Passed) -> float | None:
    """The exact W2 of a setting from its pass over its data's spectrum; None where doubles do not hold it."""
    return w2_from(s, s.start, s.score_noise, law, of)


def w2_from(s: Setting, start: str, V: float, law: Spectrum, of: Passed) -> float | None:
    """`w2` of ``s`` with another start and another noise V of the score."""
    log_alpha, log_lam = s.nodes.first
    lam = math.exp(log_lam)
    begun, short, first = 1.0, 0.0, lam
    if start == "exact":
        begun = 0.0
    elif start == "standard":
        short, first = s.process.short_of_one(log_alpha)[0], math.exp(-2.0 * log_alpha)
    per = (1.0 + of.c * lam) ** -of.power
    V2, delta = V**2 / s.data.d if V else 0.0, math.exp(s.nodes.last[1])
    scale = (1.0 + of.c * delta) ** of.power if delta else 1.0
    total = _compiled()[2](
        law.variances, law.counts, law.means2, of.parts, V2, begun, short, first, per, scale, delta
    )
    return math.sqrt(total) if math.isfinite(total) else None


# ---------------------------------------------------------------------- the passes


@cache
def _compiled() -> tuple[Callable[..., Any], ...]:
    import numba

    make = numba.njit(cache=True, nogil=True, error_model="numpy")
    return make(_sde), make(_ode), make(_distance)


def _sde(
    lam: Array, per_alpha2: Array, back: Array, H: Array, columns: Array, v: Array, c: float, out: Array
) -> None:
    """`wbound.exact.gaussian_law.defects` step by step, with ŵ = ς² + λ and its shares as quotients."""
    left, excess, mean, noise, injected = out[0], out[1], out[2], out[3], out[4]
    for k in range(back.size):
        hi, lo = lam[k], lam[k + 1]
        per_lo, per_hi = 1.0 / (1.0 + c * lo), 1.0 / (1.0 + c * hi)
        per = per_lo * per_lo * per_alpha2[k + 1]
        lag = back[k] * (1.0 + c * hi) * per_lo
        Q, C, own_Q, a, own_c = columns[0, k], columns[1, k], columns[2, k], columns[3, k], columns[4, k]
        rest, whole, h = columns[5, k], columns[6, k], H[k]
        shift = -a * back[k] * per_lo
        slow, alpha2 = own_c * per_alpha2[k] * lag, a * lag
        added, drawn = C * C * per, own_Q * per
        for e in range(v.size):
            w = v[e] + hi
            per_w = 1.0 / w
            share = h * per_w
            own = share * (c * v[e] - 1.0) * per_lo
            slip = alpha2 - slow * per_w
            moved = own - slip
            if whole != 0.0:
                rho = rest - whole * v[e] * per_w
            else:
                rho = Q * share + rest
            rho = rho * per - slip * (2.0 + own + moved) * w * per_hi * per_hi
            r = 1.0 + moved
            r2 = r * r
            left[e] *= r
            excess[e] = excess[e] * r2 + rho
            mean[e] = mean[e] * r + shift
            noise[e] = noise[e] * r2 + added
            injected[e] = injected[e] * r2 + drawn


def _ode(
    lam: Array, per_alpha2: Array, back: Array, H: Array, columns: Array, v: Array, c: float, out: Array
) -> None:
    """`wbound.exact.ode_moves.moves` step by step, in units of α_k(1 + cλ_k)^½."""
    left, excess, noise = out[0], out[1], out[3]
    for k in range(back.size):
        hi, lo, h = lam[k], lam[k + 1], H[k]
        per_lo = 1.0 / (1.0 + c * lo)
        z = c * h * per_lo
        grown = math.sqrt(1.0 + z)
        gained = z / (1.0 + grown)  # e^y − 1
        c_k, keep, over, half = columns[0, k], columns[1, k], columns[2, k], columns[3, k]
        kappa, rest, C = columns[4, k], columns[5, k], columns[6, k]
        first, second, rule = columns[7, k], columns[8, k], columns[9, k]
        per = per_alpha2[k + 1] * per_lo
        for e in range(v.size):
            per_w = 1.0 / (v[e] + hi)
            own, pure = v[e] * per_w, hi * per_w
            lost, kept = c_k * per_w, own + pure * keep
            rho, drawn = pure * over * hi + own * half, C * C
            if rule != 0.0:
                after = v[e] + lo
                beta, other = v[e] / after, lo / after
                kept = beta * (own + 0.5 * pure * (1.0 + 3.0 * kappa * kappa)) + other * pure * kappa
                lost = pure * rest * (1.0 - 0.5 * beta * rest)
                third = 0.25 * beta * beta * (1.0 + 3.0 * kappa) + beta * other * kappa
                rho = hi * (pure * rest * rest * rest) * third
                through = second * C / (after / per_alpha2[k + 1])  # noise of the first stage moves y′
                drawn = (first - through) ** 2 + second * second
            moved = gained - grown * lost
            if abs(moved) < 0.5:
                r = 1.0 + moved
            else:
                r = grown * kept
            r2 = r * r
            left[e] *= r
            excess[e] = excess[e] * r2 + rho * per_lo
            noise[e] = noise[e] * r2 + drawn * per


def _distance(
    v: Array,
    counts: Array,
    means2: Array,
    parts: Array,
    V2: float,
    begun: float,
    short: float,
    first: float,
    per: float,
    scale: float,
    delta: float,
) -> float:
    """W2² as `wbound.exact.gaussian_law` ends: the start's defect ``begun`` · (short − ς²) and its variance
    first + (1 − begun) ς², what the steps leave of them, and √v − ς from the excess."""
    total = 0.0
    for e in range(v.size):
        left = parts[0, e] * per
        excess = parts[1, e] + V2 * parts[3, e] + left * left * begun * (short - v[e])
        mean = (parts[2, e] - begun * left) * scale
        excess = delta + scale * scale * excess
        variance = v[e] + excess
        if excess < -0.5 * v[e]:  # the sum would cancel
            start = first + (1.0 - begun) * v[e]
            variance = scale * scale * (parts[4, e] + V2 * parts[3, e] + left * left * start)
        width = max(excess, -v[e]) / (math.sqrt(max(variance, 0.0)) + math.sqrt(v[e]))
        total += counts[e] * width * width + means2[e] * mean * mean
    return total
