"""The exact law of a tape on Gaussian data: one triangular solve per eigenvalue (section 15 of docs/theory.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from wbound.errors import BadInput, one_of
from wbound.exact.compiled_tape import compiled_parts
from wbound.extras import installed
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
#: Evaluations times eigenvalues up to which a `Recurrence` is not looked for: finding it costs more than it saves.
FEW = 1 << 13
#: Below this an eigenvalue is no divisor: ρ has lost digits.
TINY = 1e-290


@dataclass(frozen=True, eq=False)
class TapeLaw:
    """The output's law on N(μ, Σ) along eigenvalues x of Σ, arrays (E,).

    ``variances``: x, in x²; ``gain``: of the output on the start (in its units, `Tape`); ``start_variance``: the
    start's; ``noise``: the variance that the noises leave; ``variance``: the output's, gain² · start + noise;
    ``mean_gain`` and ``mean_offset``: the output's mean is mean_gain · μ + mean_offset · (1, …, 1). *exact*
    """

    variances: Array
    gain: Array
    start_variance: Array
    noise: Array
    mean_gain: Array
    mean_offset: Array

    @property
    def variance(self) -> Array:
        """The output's variance (E,), in x²."""
        return np.asarray(self.gain**2 * self.start_variance + self.noise)

    def by_direction(self, mean: ArrayLike = 0.0, ones: ArrayLike = 1.0) -> Array:
        """W2² along each direction (E,): (√V − √x)² + (mean error)².

        mean: the data's along them, (E,) or one number. ones: the vector (1, …, 1) along them, on which a tape's
        offsets and its start's mean lie: 1 where the directions are the coordinates.
        """
        mu = np.asarray(mean, dtype=np.float64)
        width = np.sqrt(self.variance) - np.sqrt(self.variances)
        moved = (self.mean_gain - 1.0) * mu + self.mean_offset * np.asarray(ones, dtype=np.float64)
        return np.asarray(width**2 + moved**2)

    def w2(self, mean: ArrayLike = 0.0, counts: ArrayLike = 1, ones: ArrayLike = 1.0) -> float:
        """W2 (not squared, in x) of the output from N(μ, Σ); ``counts``: how often each eigenvalue stands."""
        return math.sqrt(float((self.by_direction(mean, ones) * np.asarray(counts)).sum()))


def tape_law(
    tape: Tape, variances: ArrayLike, *, start: str = "own", output: str = "divided", compiled: bool = False
) -> TapeLaw:
    """The exact law of ``tape`` on Gaussian data, per eigenvalue ``variances`` (E,) of its covariance, in x².

    start: one of `TAPE_STARTS`; output: "divided" by the last α, or "raw" as the implementation returns it.
    By the adjoint: u_j, the weight of the j-th answer in the output, solves u = b + Bᵀ(ρu) from the last to the
    first, ρ_j = x√(1+λ_j)/(x+λ_j) being what the denoiser keeps of its input; in K steps where the tape has a
    `Recurrence`. compiled: by one pass in numba where that is installed, for many calls (its first compiles it).
    Raises `BadInput`.

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
    out = compiled_parts(tape, x) if compiled and installed("numba") else _parts(tape, x)
    variance, mean, shift = start_moments(tape, x, start)
    gain, noise = out[0], out[1]
    a = 1.0 if output == "divided" else tape.alpha_out
    return TapeLaw(
        x, a * gain, variance, a**2 * noise, a * (out[2] + gain * mean), a * (out[3] + gain * shift)
    )


def _parts(tape: Tape, x: Array) -> Array:
    """(4, E): the output's gain on the start, the noises' variance, its gain on the data's mean and on 1."""
    out = np.empty((4, x.size))
    size = min(max(BLOCK // (tape.K + 1), 16), x.size)
    room = np.empty(
        (2, (tape.K + 1) * size)
    )  # one for all blocks: fresh memory costs more than the arithmetic
    for begin in range(0, x.size, size):
        part = x[begin : begin + size]
        C, W = room[:, : (tape.K + 1) * part.size].reshape(2, tape.K + 1, part.size)
        out[:, begin : begin + size] = _solve(tape, part, C, W)
    return out


def _keeps(tape: Tape, x: Array, out: Array) -> None:
    """ρ (K, E): an answer is ρ v + τ μ for the input v = y/√(1 + λ), ρ = x√(1 + λ)/(x + λ)."""
    at_data, pure = tape.levels == 0.0, np.isinf(tape.levels)
    lam = np.where(at_data | pure, 1.0, tape.levels)  # those have their own values
    half = 0.5 * x  # of both, so that the sum does not overflow
    np.add(0.5 * lam[:, None], half, out=out)
    np.divide(half, out, out=out)
    out *= np.sqrt(1.0 + lam)[:, None]
    if pure.any():
        out[pure] = 0.0
    if at_data.any():
        out[at_data] = -1.0 / x


class _Mean:
    """Σ_j τ_j u_j (E,): what the answers bring of the data's mean, from v = ρu where that has it.

    τ = λ/(x + λ) = ρλ/(x√(1 + λ)); at λ = ∞ 1, and at λ = 0, where the answer is the score, 1/x = −ρ.
    """

    def __init__(self, tape: Tape, x: Array) -> None:
        self.levels, self.x = tape.levels, x
        self.tiny = np.flatnonzero(x < TINY)
        self.rest = np.zeros_like(x)

    def take(self, j: int, u: Array) -> None:
        """What v_j will not have: a level of infinity, and an x that is no divisor."""
        level = self.levels[j]
        if level == math.inf:
            self.rest += u
        elif self.tiny.size and level > 0.0:
            self.rest[self.tiny] += u[self.tiny] * (level / (self.x[self.tiny] + level))

    def total(self, v: Array) -> Array:
        lam = np.where(np.isinf(self.levels), 0.0, self.levels)
        out = (lam / np.sqrt(1.0 + lam)) @ v
        np.divide(out, self.x, out=out, where=self.x >= TINY)
        out[self.tiny] = 0.0
        at_data = self.levels == 0.0
        if at_data.any():
            out -= v[at_data].sum(axis=0)
        return np.asarray(out + self.rest)


def _solve(tape: Tape, x: Array, C: Array, W: Array) -> tuple[Array, Array, Array, Array]:
    """The output's gain on the start, the noises' variance, and what it has of the data's mean and of 1.

    C (K+1, E): room for ρ, and then for v = ρu, what the answers keep of their inputs; W (K+1, E): room.
    """
    K = tape.K
    r = tape.recurrence if "recurrence" in vars(tape) or K * x.size > FEW else None
    _keeps(tape, x, C[:K])
    C[K] = 1.0
    mean = _Mean(tape, x)
    noises = _by_rows(tape, C, W, mean) if r is None else _by_recurrence(tape, r, C, W, mean)
    noise = np.einsum("je,je->e", noises, noises)
    return tape.start @ C, noise, mean.total(C[:K]), tape.offsets @ C


def _by_rows(tape: Tape, C: Array, W: Array, mean: _Mean) -> Array:
    """C from the last row to the first, `ROWS` of them at a time; gives the noises' gains (J, E)."""
    K, A = tape.K, tape.answers
    for last in range(K, 0, -ROWS):
        first = max(last - ROWS, 0)
        u = W[first:last]
        np.matmul(A[last:, first:last].T, C[last:], out=u)
        for j in range(last - 1, first - 1, -1):
            if j + 1 < last:
                u[j - first] += A[j + 1 : last, j] @ C[j + 1 : last]
            mean.take(j, u[j - first])
            C[j] *= u[j - first]
    return np.asarray(tape.noises.T @ C)


def _by_recurrence(tape: Tape, r: Recurrence, C: Array, W: Array, mean: _Mean) -> Array:
    """`_by_rows`' fast twin: a column is its own rows for `Recurrence.memory`, and then W_i = v_i + c_{i+1}W_{i+1}."""
    K, more = tape.K, r.memory - 1
    W[K] = 1.0
    u = np.empty(C.shape[1])
    for j in range(K - 1, -1, -1):
        _column(tape.answers[:, j], j + 1, more, C, W, u)
        mean.take(j, u)
        C[j] *= u
        np.multiply(W[j + 1], r.ratio[j + 1], out=W[j])
        W[j] += C[j]
    noises = np.empty((tape.J, C.shape[1]))
    for j in range(tape.J):
        _column(tape.noises[:, j], int(r.births[K + j]), more, C, W, noises[j])
    return noises


def _column(column: Array, birth: int, more: int, C: Array, W: Array, out: Array) -> None:
    """Σ_i column_i v_i: its own rows birth … last − 1, and all that follows from row last."""
    last = min(birth + more, column.size - 1)
    np.multiply(W[last], column[last], out=out)
    for i in range(birth, last):
        if column[i]:
            out += column[i] * C[i]


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
