"""The probability-flow ODE's steps on Gaussian data: how each coordinate moves (section 12 of theory.md).

In y-units a coordinate of variance ŵ_{k−1} = ς² + λ_{k−1} is multiplied by r_k = 1 − c_k/ŵ_{k−1}, by a step of
two stages by r_k = 1 − c′_k/ŵ_{k−1} − (c″_k/ŵ_k)(1 − c_k/ŵ_{k−1}), where the exact flow multiplies by
√(ŵ_k/ŵ_{k−1}). What a step does is read from its coefficients, never from a scheme's name.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbound.calculus.stable import growth, softplus
from wbound.sampler.scheme import Corrector, Flow, Steps, trapezoid
from wbound.sampler.steps import Batch
from wbound.typing import Array

__all__ = ["Moves", "moves", "noise2"]


class Moves(NamedTuple):
    """Per eigenvalue and step, arrays (E, N), in units of s_k = α_k(1 + cλ_k)^power: log and sign (None: all
    positive) of r_k s_{k−1}/s_k, and the variance's defect r_k²ŵ_{k−1} − ŵ_k (with score noise) over
    (s_k/α_k)²."""

    log_r: Array
    sign: Array | None
    rho: Array


class _Step(NamedTuple):
    """r_k and 1 − r_k, (E, N), and the defect r_k²ŵ_{k−1} − ŵ_k as λ_{k−1} · defect + rest · e^log_rest."""

    kept: Array
    lost: Array
    defect: Array
    rest: Array | float
    log_rest: Array


def moves(b: Batch, steps: Steps, variances: Array, c: float, V2: float = 0.0, power: float = 1.0) -> Moves:
    """`Moves` for eigenvalues ς² (E,), c > 0 in 1/x², and V2 = V²/d of score noise. *exact*"""
    assert steps.flow is not None
    v = variances[:, None]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # ς² = 0: log 0; huge steps: inf
        log_w = np.logaddexp(np.log(v), b.log_lam_hi)
        own, noise = np.exp(np.log(v) - log_w), np.exp(b.log_lam_hi - log_w)  # shares of ŵ_{k−1}
        step = _euler(b, steps, steps.flow, own, noise, log_w)
        if steps.corrector is not None:
            step = _second(b, steps, steps.corrector, v, own, noise, log_w, step)
        y = power * growth(c, b.log_lam_lo, b.log_lam_hi, b.ratio)
        unit = power * softplus(math.log(c) + b.log_lam_lo)  # log s_k/α_k
        rho = step.defect * np.exp(b.log_lam_hi - 2.0 * unit)
        if np.any(step.rest):
            rho = rho + step.rest * np.exp(step.log_rest - 2.0 * unit)
        if V2:
            rho = rho + V2 * noise2(b, steps, v) * np.exp(-2.0 * (unit + b.log_alpha_lo))
        moved = np.expm1(y) - np.exp(y) * step.lost
        near = (np.abs(moved) < 0.5) & (y < 1.0)
        # long steps, and what is far from 1: the product itself, whose factors do not cancel
        log_r = np.where(near, np.log1p(np.where(near, moved, 0.0)), y + np.log(np.abs(step.kept)))
    positive = bool((step.kept > 0.0).all())
    return Moves(log_r, None if positive else np.sign(step.kept), rho)


def _euler(b: Batch, steps: Steps, flow: Flow, own: Array, noise: Array, log_w: Array) -> _Step:
    """One stage. r²ŵ_{k−1} − ŵ_k = noise·λ_{k−1}·excess + own·2(½H − c)."""
    log_per = -b.steps.F - 2.0 * b.log_alpha_hi  # C e^log_per is c_k
    lost = steps.C * np.exp(log_per - log_w)
    kept = own + noise * flow.keep
    return _Step(kept, lost, noise * flow.excess, own * 2.0 * flow.half, log_per)


def _second(
    b: Batch, steps: Steps, given: Corrector, v: Array, own: Array, noise: Array, log_w: Array, first: _Step
) -> _Step:
    """Two stages: where the second changes nothing the ``first``; `_trapezoid` where the coefficients are its own
    to the last bit, since its defect is of third order; else r as it stands, whose defect ŵ_{k−1}(r² − ŵ_k/ŵ_{k−1})
    has the rounding of 1 − ŵ_k/ŵ_{k−1}, to which 1 − r is nearly half."""
    alone = (given.D == 0.0) & (given.C == steps.C)
    rule = trapezoid(b)
    assert rule.corrector is not None
    known = (steps.C == rule.C) & (given.C == rule.corrector.C) & (given.D == rule.corrector.D)
    chosen = _trapezoid(b, v, own, noise)
    if not (known | alone).all():
        log_per = -b.steps.F - 2.0 * b.log_alpha_hi
        log_lo = np.logaddexp(np.log(v), b.log_lam_lo)
        late = np.where(
            given.D == 0.0,
            0.0,
            given.D * np.exp(-2.0 * b.log_alpha_lo - np.where(given.D == 0.0, 0.0, log_lo)),
        )
        lost = given.C * np.exp(log_per - log_w) + late * first.kept
        share = np.exp(b.log_lam_hi + np.log(-np.expm1(-b.gap)) - log_w)  # 1 − ŵ_k/ŵ_{k−1}
        plain = _Step(1.0 - lost, lost, np.zeros_like(lost), share - lost * (2.0 - lost), log_w)
        chosen = _where(known, chosen, plain)
    return _where(alone, first, chosen)


def _where(which: NDArray[np.bool_], one: _Step, other: _Step) -> _Step:
    return _Step(*(np.where(which, a, b) for a, b in zip(one, other, strict=True)))


def _trapezoid(b: Batch, v: Array, own: Array, noise: Array) -> _Step:
    """The trapezoidal rule in σ after ddim's step, with κ² = λ_k/λ_{k−1} and β = ς²/ŵ_k:

    r = β(own + noise(1 + 3κ²)/2) + (1−β) noise κ,   1 − r = noise (1−κ)(1 − ½β(1−κ)),
    r²ŵ_{k−1} − ŵ_k = λ_{k−1} noise (1−κ)³ (¼β²(1+3κ) + β(1−β)κ).
    """
    kappa, rest = np.exp(-0.5 * b.gap), -np.expm1(-0.5 * b.gap)
    log_lo = np.logaddexp(np.log(v), b.log_lam_lo)
    gone = np.isneginf(log_lo)  # ς² = 0 = λ_k: the last step is Euler's, as for β = 1
    beta = np.where(gone, 1.0, np.exp(np.log(v) - np.where(gone, 0.0, log_lo)))
    other = np.where(gone, 0.0, np.exp(b.log_lam_lo - np.where(gone, 0.0, log_lo)))  # 1 − β
    kept = beta * (own + 0.5 * noise * (1.0 + 3.0 * kappa**2)) + other * noise * kappa
    lost = noise * rest * (1.0 - 0.5 * beta * rest)
    defect = noise * rest**3 * (0.25 * beta**2 * (1.0 + 3.0 * kappa) + beta * other * kappa)
    return _Step(kept, lost, defect, 0.0, np.zeros_like(b.gap))


def noise2(b: Batch, steps: Steps, v: Array) -> Array:
    """The variance (x²) per unit of score noise variance that a step adds: each stage draws its own."""
    if steps.corrector is None:
        return np.asarray(steps.C**2)
    first, second = steps.corrector
    w = np.exp(2.0 * b.log_alpha_lo + np.logaddexp(np.log(v), b.log_lam_lo))
    # the first stage's noise moves y′, too
    through = np.where(second != 0.0, second * steps.C / np.where(w > 0.0, w, 1.0), 0.0)
    return np.asarray((first - through) ** 2 + second**2)
