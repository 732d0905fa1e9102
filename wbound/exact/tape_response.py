"""How a tape responds to an error of the network, and how wide the states are that it shows the network (section 15).

Both on Gaussian data, direction by direction, from the tape's numbers alone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from wbound.errors import BadInput
from wbound.exact.law_of_tape import start_moments
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["amplification", "answer_weights", "state_widths"]


def _kept(tape: Tape, variances: ArrayLike) -> tuple[Array, Array]:
    """The eigenvalues x (E,), and ρ (K, E), what a denoiser keeps of its input v: x√(1+λ)/(x+λ)."""
    x = np.atleast_1d(np.asarray(variances, dtype=np.float64))
    if x.ndim != 1 or not x.size or not np.isfinite(x).all() or (x < 0.0).any():
        raise BadInput("variances", variances, "must be a vector of finite numbers >= 0")
    lam = tape.levels
    if not (np.isfinite(lam) & (lam > 0.0)).all():
        raise BadInput("levels", lam.tolist(), "must be finite and > 0, where the network predicts a noise")
    return x, x * np.sqrt(1.0 + lam)[:, None] / (x + lam[:, None])


def answer_weights(tape: Tape, variances: ArrayLike) -> Array:
    """∂(output)/∂(answer j) (K, E) along eigenvalues ``variances`` (E,), x²: what a change of the j-th denoiser does to the
    output, later answers following. u = b + Bᵀ(ρu) of the tape's law. *exact*. Raises `BadInput`."""
    x, rho = _kept(tape, variances)
    u = np.empty((tape.K, x.size))
    for j in range(tape.K - 1, -1, -1):
        u[j] = tape.answers[tape.K, j] + tape.answers[j + 1 : tape.K, j] @ (rho[j + 1 :] * u[j + 1 :])
    return u


def amplification(tape: Tape, variances: ArrayLike, counts: ArrayLike = 1.0) -> float:
    """The most that the network's error moves the output, over ‖X_0 − EX_0‖, per unit of error of the predicted noise.

    An error δ of the predicted noise, in every direction and at every call, each with its worst sign, changes the output
    by Σ_j √λ_j |u_j| δ in a direction (D = y − √λ ε̂): the root of the sum of their squares over the spectrum ``variances``
    (E,), x², ``counts`` often each, over √tr Σ. A number without a unit; of Gaussian data. *exact*. Raises `BadInput`.
    """
    moved = np.sqrt(tape.levels) @ np.abs(answer_weights(tape, variances))
    x = np.atleast_1d(np.asarray(variances, dtype=np.float64))
    n = np.broadcast_to(np.asarray(counts, dtype=np.float64), x.shape)
    trace = float(n @ x)
    if not trace > 0.0:
        raise BadInput("variances", variances, "must hold one > 0")
    return math.sqrt(float(n @ moved**2) / trace)


def state_widths(tape: Tape, variances: ArrayLike, start: str = "own") -> Array:
    """Standard deviation of each input of the network over that of q_λ at its level (K, E): 1 is what it was trained on.

    Along eigenvalues ``variances`` (E,), x², of Gaussian data; start: one of `TAPE_STARTS`. *exact*. Raises `BadInput`.
    """
    x, rho = _kept(tape, variances)
    first, _, _ = start_moments(tape, x, start)
    own = np.hstack((tape.start[:, None], tape.noises))
    held = np.zeros((tape.K, own.shape[1], x.size))
    for i in range(tape.K):
        held[i] = own[i][:, None] + np.einsum("j,jse,je->se", tape.answers[i, :i], held[:i], rho[:i])
    variance = held[:, 0] ** 2 * first + (held[:, 1:] ** 2).sum(axis=1)
    lam = tape.levels[:, None]
    return np.asarray(np.sqrt(variance * (1.0 + lam) / (x + lam)))
