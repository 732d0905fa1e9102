"""The exact law of a tape on Gaussian data: one triangular solve per eigenvalue (section 15 of docs/theory.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from wbound.errors import BadInput, one_of
from wbound.sampler.tape import Tape
from wbound.sampler.tape_recurrence import Recurrence
from wbound.typing import Array

__all__ = ["TAPE_STARTS", "TapeLaw", "tape_law"]

#: "own": what the implementation draws; "prior" N(0, λI), "exact" q_λ, in y-units at the start's level;
#: "standard": N(0, I) in units of √(1 + λ).
TAPE_STARTS = ("own", "prior", "exact", "standard")
#: Numbers held at once.
BLOCK = 1 << 20
#: Rows of the triangular solve that are taken one by one; what lies outside is a product of matrices.
ROWS = 12
#: Below this an eigenvalue is no divisor: ρ has lost digits.
TINY = 1e-290


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


def _keeps(tape: Tape, x: Array) -> Array:
    """ρ (K, E): an answer is ρ v + τ μ for the input v = y/√(1 + λ), ρ = x√(1 + λ)/(x + λ)."""
    at_data, pure = tape.levels == 0.0, np.isinf(tape.levels)
    lam = np.where(at_data | pure, 1.0, tape.levels)  # those have their own values
    half = 0.5 * x  # of both, so that the sum does not overflow
    rho = np.add.outer(0.5 * lam, half)
    np.divide(half, rho, out=rho)
    rho *= np.sqrt(1.0 + lam)[:, None]
    if pure.any():
        rho[pure] = 0.0
    if at_data.any():
        rho[at_data] = -1.0 / x
    return rho


class _Adjoint(NamedTuple):
    """What the output takes of the answers, u (K, E), of what they keep, ρu, and of the noises (J, E)."""

    u: Array
    carried: Array
    noises: Array


def _adjoint(tape: Tape, rho: Array) -> _Adjoint:
    """By rows, from the last to the first, `ROWS` of them at a time."""
    K, A = tape.K, tape.answers
    u = np.repeat(A[K][:, None], rho.shape[1], axis=1)
    carried = np.empty_like(u)
    for last in range(K, 0, -ROWS):
        first = max(last - ROWS, 0)
        if last < K:
            u[first:last] += A[last:K, first:last].T @ carried[last:]
        for j in range(last - 1, first - 1, -1):
            if j + 1 < last:
                u[j] += A[j + 1 : last, j] @ carried[j + 1 : last]
            np.multiply(rho[j], u[j], out=carried[j])
    noises = tape.noises[:K].T @ carried
    noises += tape.noises[K][:, None]
    return _Adjoint(u, carried, noises)


def _adjoint_by_recurrence(tape: Tape, rho: Array, r: Recurrence) -> _Adjoint:
    """`_adjoint`'s fast twin: a column is its own rows for `Recurrence.memory`, and then W_i = v_i + c_{i+1}W_{i+1}."""
    K, E = rho.shape
    W, carried, u = np.empty((K + 1, E)), np.empty((K + 1, E)), np.empty((K, E))
    carried[K], W[K] = 1.0, 1.0
    more = r.memory - 1
    for j in range(K - 1, -1, -1):
        _column(tape.answers[:, j], j + 1, more, carried, W, u[j])
        np.multiply(rho[j], u[j], out=carried[j])
        np.multiply(W[j + 1], r.ratio[j + 1], out=W[j])
        W[j] += carried[j]
    noises = np.empty((tape.J, E))
    for j in range(tape.J):
        _column(tape.noises[:, j], int(r.births[K + j]), more, carried, W, noises[j])
    return _Adjoint(u, carried[:K], noises)


def _column(column: Array, birth: int, more: int, carried: Array, W: Array, out: Array) -> None:
    """Σ_i column_i v_i, by its own rows birth … last − 1 and all that follows from row last."""
    last = min(birth + more, column.size - 1)
    np.multiply(W[last], column[last], out=out)
    for i in range(birth, last):
        if column[i]:
            out += column[i] * carried[i]


def _from_mean(tape: Tape, x: Array, u: Array, carried: Array) -> Array:
    """Σ_j τ_j u_j (E,): what the answers bring of the data's mean. τ = λ/(x + λ) = ρ λ/(x√(1 + λ)); at λ = ∞ 1, and
    at λ = 0, where the answer is the score, 1/x = −ρ."""
    at_data, pure = tape.levels == 0.0, np.isinf(tape.levels)
    lam = np.where(at_data | pure, 0.0, tape.levels)
    out = (lam / np.sqrt(1.0 + lam)) @ carried
    tiny = x < TINY
    np.divide(out, x, out=out, where=~tiny)
    if tiny.any():
        out[tiny] = np.einsum(
            "ke,ke->e", lam[:, None] / np.add.outer(lam + (lam == 0.0), x[tiny]), u[:, tiny]
        )
    if pure.any():
        out += u[pure].sum(axis=0)
    if at_data.any():
        out -= carried[at_data].sum(axis=0)
    return np.asarray(out)


def _solve(tape: Tape, x: Array, start: str) -> tuple[Array, Array, Array, Array, Array, Array]:
    K, r = tape.K, tape.recurrence
    rho = _keeps(tape, x)
    u, carried, noises = _adjoint(tape, rho) if r is None else _adjoint_by_recurrence(tape, rho, r)
    gain = tape.start[K] + tape.start[:K] @ carried
    offset = tape.offsets[K] + tape.offsets[:K] @ carried
    noise = np.einsum("je,je->e", noises, noises)
    variance, mean, shift = start_moments(tape, x, start)
    from_mean = _from_mean(tape, x, u, carried)
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
