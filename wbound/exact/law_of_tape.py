"""The exact law of a tape on Gaussian data: one triangular solve per eigenvalue (section 15 of docs/theory.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from wbound.errors import BadInput, one_of
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["TAPE_STARTS", "TapeLaw", "tape_law"]

#: "own": what the implementation draws; "prior" N(0, λI), "exact" q_λ, in y-units at the start's level;
#: "standard": N(0, I) in units of √(1 + λ).
TAPE_STARTS = ("own", "prior", "exact", "standard")
#: Numbers held at once.
BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class TapeLaw:
    """The output's law on N(μ, Σ) along eigenvalues x of Σ, arrays (E,).

    ``variances``: x, in x²; ``gain``: of the output on the start (in its units, `Tape`); ``start_variance``: the
    start's; ``noise``: the variance that the noises leave; ``variance``: the output's, gain² · start + noise;
    ``mean_gain`` and ``mean_offset``: the output's mean is mean_gain · μ + mean_offset; ``weights`` (E, K): of each
    answer in the output. *exact*
    """

    variances: Array
    gain: Array
    start_variance: Array
    noise: Array
    mean_gain: Array
    mean_offset: Array
    weights: Array

    @property
    def variance(self) -> Array:
        """The output's variance (E,), in x²."""
        return np.asarray(self.gain**2 * self.start_variance + self.noise)

    def by_direction(self, mean: ArrayLike = 0.0) -> Array:
        """W2² along each direction (E,): (√V − √x)² + (mean error)²; ``mean``: the data's, (E,) or one number."""
        mu = np.asarray(mean, dtype=np.float64)
        width = np.sqrt(self.variance) - np.sqrt(self.variances)
        moved = (self.mean_gain - 1.0) * mu + self.mean_offset
        return np.asarray(width**2 + moved**2)

    def w2(self, mean: ArrayLike = 0.0, counts: ArrayLike = 1) -> float:
        """W2 (not squared, in x) of the output from N(μ, Σ); ``counts``: how often each eigenvalue stands."""
        return math.sqrt(float((self.by_direction(mean) * np.asarray(counts)).sum()))


def tape_law(
    tape: Tape, variances: ArrayLike, *, start: str = "own", output: str = "divided", spreads: bool = False
) -> TapeLaw:
    """The exact law of ``tape`` on Gaussian data, per eigenvalue ``variances`` (E,) of its covariance, in x².

    start: one of `TAPE_STARTS`; output: "divided" by the last α, or "raw" as the implementation returns it.
    By the adjoint: u_j, the weight of the j-th answer in the output, solves u = b + Bᵀ(ρu) from the last to the
    first, ρ_j = x√(1+λ_j)/(x+λ_j) being what the denoiser keeps of its input. Raises `BadInput`.

    Implements Eq. 16's law (docs/theory.md, section 15): *exact*.
    """
    one_of("start", start, TAPE_STARTS)
    one_of("output", output, ("divided", "raw"))
    x = np.atleast_1d(np.asarray(variances, dtype=np.float64))
    if x.ndim != 1 or not x.size or not np.isfinite(x).all() or (x < 0.0).any():
        raise BadInput("variances", variances, "must be a vector of finite numbers >= 0")
    if (x == 0.0).any() and (tape.levels == 0.0).any():
        raise BadInput(
            "variances", 0.0, "must be > 0 for a tape with an evaluation at level 0: no score there"
        )
    blocks = max(BLOCK // (tape.K + tape.J + 1), 1)
    parts = [_solve(tape, x[i : i + blocks], start) for i in range(0, x.size, blocks)]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    law = TapeLaw(x, *columns)
    if output == "divided" or tape.alpha_out == 1.0:
        return law
    a = tape.alpha_out
    return TapeLaw(
        x,
        law.gain * a,
        law.start_variance,
        law.noise * a**2,
        law.mean_gain * a,
        law.mean_offset * a,
        law.weights * a,
    )


def _keeps(tape: Tape, x: Array) -> tuple[Array, Array]:
    """(ρ, τ), arrays (K, E): an answer is ρ v + τ μ for the input v = y/√(1 + λ)."""
    lam = tape.levels[:, None]
    with np.errstate(
        divide="ignore", invalid="ignore", over="ignore"
    ):  # λ = 0 and λ = ∞ have their own values
        rho = np.where(lam > 1.0, x * np.sqrt(1.0 / lam + 1.0) / (np.sqrt(lam) * (x / lam + 1.0)), 0.0)
        rho = np.where(lam <= 1.0, x * np.sqrt(1.0 + lam) / (x + lam), rho)
        tau = np.where(lam > 1.0, 1.0 / (x / lam + 1.0), lam / (x + lam))
        at_data = lam == 0.0
        return np.where(at_data, -1.0 / x, rho), np.where(at_data, 1.0 / x, tau)


def _weights(tape: Tape, rho: Array) -> Array:
    """u (K, E): the weight of each answer in the output."""
    u = np.repeat(tape.answers[tape.K][:, None], rho.shape[1], axis=1)
    carried = np.empty_like(u)  # ρ_i u_i
    for j in range(tape.K - 1, -1, -1):
        if j + 1 < tape.K:
            u[j] += tape.answers[j + 1 : tape.K, j] @ carried[j + 1 :]
        np.multiply(rho[j], u[j], out=carried[j])
    return u


def _solve(tape: Tape, x: Array, start: str) -> tuple[Array, Array, Array, Array, Array, Array]:
    rho, tau = _keeps(tape, x)
    u = _weights(tape, rho)
    carried, K = rho * u, tape.K
    gain = tape.start[K] + tape.start[:K] @ carried
    noises = tape.noises[K][:, None] + tape.noises[:K].T @ carried
    noise = np.einsum("je,je->e", noises, noises)
    from_mean = np.einsum("ke,ke->e", tau, u)
    offset = tape.offsets[K] + tape.offsets[:K] @ carried
    variance, mean, shift = start_moments(tape, x, start)
    return gain, variance, noise, from_mean + gain * mean, offset + gain * shift, u.T


def start_moments(tape: Tape, x: Array, start: str) -> tuple[Array, float, float]:
    """The start's variance (E,), and its mean as (per unit of the data's mean, constant), in its units."""
    level = tape.start_level
    if start == "own":
        return np.full_like(x, tape.start_std**2), 0.0, tape.start_mean
    if start == "standard" or math.isinf(level):
        return np.ones_like(x), 0.0, 0.0
    if start == "prior":
        return np.full_like(x, level / (1.0 + level)), 0.0, 0.0
    return (x + level) / (1.0 + level), 1.0 / math.sqrt(1.0 + level), 0.0
