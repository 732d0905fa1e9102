"""The phase sampler with a look back: levels, coefficients and start fitted to a spectrum and to what is narrower (section 17).

Between the fitted phase sampler and DPM-Solver++(2M): nearly exact on Gaussians like the one, of second order like the other.
How far that carries beyond Gaussian data is measured (docs/howto/few-steps.md), and not proved.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from wbound.data.binned_spectrum import EQUAL, spectral_bins
from wbound.design.phase_nodes import fitted_nodes
from wbound.errors import count, positive, real
from wbound.exact.phase import PhaseSampler, phase_levels
from wbound.sampler.tape import Tape
from wbound.sampler.tape_writer import TapeWriter
from wbound.typing import Array

__all__ = ["REACH", "SHARE", "copied", "gains", "refitted", "walked"]

#: The share of 2M's look back, and the factor that the eigenvalues fitted to span at least.
SHARE, REACH = 0.7, 20.0
#: What a loop of one's own does with the numbers that a tape of `walked` keeps.
STEP = (
    "y from mean + start_std xi; y <- keep y + (1 - keep)(D + look_back h_k/(2 h_{k-1}) (D - D before)), "
    "h_k = log(sigma_k/sigma_{k+1}), without the look back in the first and in the last step"
)
#: Evaluations of a fit at most, and when it is close enough.
STEPS, NEAR = 400, 1e-10
#: How far a trial step may go from where it begins, in logarithms.
WIDEST = 4.0
#: How strongly it is held to where it begins, relative to √tr Σ: what the spectrum leaves open, rounding would decide.
HOLD = 3e-6
#: Copies of a spectrum from x down to x/θ, and distinct eigenvalues of it, at least: together `EQUATIONS` for each unknown.
COPIES, MOST, EQUATIONS = 7, 24, 2


def walked(levels: Array, keeps: Array, nu: float, share: float, name: str) -> Tape:
    """y ← keep y + (1 − keep)(D + share h_k/2h_{k−1} (D − D before)) at ``levels`` (K,) from N(0, ν²): 2M's look back in any
    share; none in the first step, nor in one to 0, the last."""
    writer = TapeWriter(levels.size, 0, nu**2)
    h = 0.5 * np.log(levels[:-1] / levels[1:])
    state, before = writer.start(), writer.start()
    for k, keep in enumerate(keeps.tolist()):
        D = writer.evaluate(state, float(levels[k]))
        ahead = D + share * h[k] / (2.0 * h[k - 1]) * (D - before) if 0 < k < levels.size - 1 else D
        state, before = keep * state + (1.0 - keep) * ahead, D
    made = {
        "scheme": name,
        "K": int(levels.size),
        "sigmas": np.sqrt(levels).tolist(),
        "keep": keeps.tolist(),
        "start_std": nu,
        "look_back": share,
        "step": STEP,
    }
    return writer.finish(state, start_std=nu / math.sqrt(1.0 + nu**2), made=made)


def copied(variances: Array, counts: Array, theta: float, copies: int = COPIES) -> tuple[Array, Array]:
    """A spectrum (E,) in x² and how often each stands, in so many copies from each x down to x/θ, ascending: room for
    structure narrower than the variance. θ = 1 is the spectrum."""
    if theta == 1.0:
        return variances, counts
    values = np.outer(np.geomspace(1.0 / theta, 1.0, copies), variances).ravel()
    order = np.argsort(values)
    return values[order], np.tile(counts / copies, copies)[order]


def _parts(q: Array, K: int) -> tuple[Array, Array, Array]:
    """ν (M,), λ (M, K) and keeps (M, K) of q (M, 2K+1): log ν, log λ_1, log of the K − 1 steps in log λ, and the logits of
    what a step keeps."""
    first = np.zeros((len(q), 1))
    lam = np.exp(q[:, 1:2] - np.cumsum(np.hstack((first, np.exp(q[:, 2 : K + 1]))), axis=1))
    return np.exp(q[:, 0]), lam, 1.0 / (1.0 + np.exp(-q[:, K + 1 :]))


def _gains(q: Array, K: int, share: float, x: Array) -> Array:
    """`gains` of each row of q."""
    return gains(*_parts(q, K), share, x)


def gains(nu: Array, lam: Array, keep: Array, share: float, x: Array) -> Array:
    """√V (M, E) of each of several tapes of `walked`: its fast twin, for ν (M,), λ (M, K) and keeps (M, K), real or complex."""
    K = lam.shape[1]
    h = 0.5 * np.log(lam[:, :-1] / lam[:, 1:])
    state, before = nu[:, None] * np.ones_like(x), np.zeros_like(x)
    for k in range(K):
        D = x / (x + lam[:, k : k + 1]) * state
        ahead = D + (share * h[:, k] / (2.0 * h[:, k - 1]))[:, None] * (D - before) if 0 < k < K - 1 else D
        state, before = keep[:, k : k + 1] * state + (1.0 - keep[:, k : k + 1]) * ahead, D
    return np.asarray(state * np.sign(state.real))


def refitted(
    variances: ArrayLike,
    K: int,
    counts: ArrayLike | None = None,
    *,
    share: float = SHARE,
    theta: float | None = None,
    of: PhaseSampler | None = None,
) -> Tape:
    """The fitted phase sampler with ``share`` of 2M's look back, and then its levels, coefficients and start fitted again,
    to the spectrum and its copies down to x/θ: least squares of √V − √x from there, held to it with weight `HOLD`; a local
    minimum.

    variances (E,) ≥ 0 in x², counts (E,): how often each stands; K calls. theta: None for the least at which what is fitted
    to spans a factor `REACH`, max(1, 20 x_min/x_max): of a wide spectrum the copies would only cost. Where there are more
    than 24 distinct eigenvalues and more than two for each unknown, they are gathered in bins of log x. of: the fitted phase
    sampler, where it is there already. Of a spectrum with eigenvalues 0 there is a second fit, to them too and from the
    others' phase sampler, and the one with less W2 is taken. Measured, no claim beyond Gaussian data. Raises `BadInput`.
    """
    K, share = count("K", K), real("share", share, "must be a finite number")
    equations = EQUATIONS * (2 * K + 1)
    values, number, zeros = spectral_bins(variances, counts, most=max(MOST, equations), close=EQUAL)
    of = phase_levels(fitted_nodes(variances, K, counts)) if of is None else of
    wide = max(1.0, REACH * float(values[0] / values[-1])) if theta is None else positive("theta", theta)
    x, n = copied(values, number, wide, max(COPIES, -(-equations // values.size)))
    parts = [_fit(of, x, n, share)]
    if zeros:
        # the nodes for an eigenvalue 0 may lie many decades below the others, where a fit ends poorly: begin without
        without = phase_levels(fitted_nodes(values, K, number))
        parts.append(_fit(without, np.append(0.0, x), np.append(zeros, n), share))
        values, number = np.append(0.0, values), np.append(zeros, number)
    off = [float(number @ (gains(*part, share, values)[0] - np.sqrt(values)) ** 2) for part in parts]
    nu, levels, keeps = (part[0] for part in parts[int(np.argmin(np.nan_to_num(off, nan=np.inf)))])
    return walked(levels, keeps, float(nu), share, "refitted")


def _fit(of: PhaseSampler, x: Array, n: Array, share: float) -> tuple[Array, Array, Array]:
    """`_parts` of the sampler near ``of`` with the least squares of √V − √x at x (E,), which stand n (E,) times each."""
    from scipy.optimize import least_squares

    K = of.levels.size
    root, unit, hold = np.sqrt(n / float(n @ x)), 1e-30j * np.eye(2 * K + 1), HOLD * np.eye(2 * K + 1)
    lam, keep = np.log(of.levels), of.z / of.levels
    q0 = np.concatenate(([math.log(of.nu), lam[0]], np.log(-np.diff(lam)), np.log(keep / (1.0 - keep))))

    def misfit(q: Array) -> Array:
        near = np.clip(q, q0 - WIDEST, q0 + WIDEST)
        return np.append(root * (_gains(near[None], K, share, x)[0] - np.sqrt(x)), HOLD * (q - q0))

    def jacobian(q: Array) -> Array:
        near = np.clip(q, q0 - WIDEST, q0 + WIDEST)
        slopes = root[:, None] * _gains(near + unit, K, share, x).imag.T / 1e-30
        return np.vstack((slopes * (near == q), hold))

    found = least_squares(
        misfit, q0, jac=jacobian, method="lm", xtol=NEAR, ftol=NEAR, gtol=NEAR, max_nfev=STEPS
    )
    return _parts(np.clip(found.x, q0 - WIDEST, q0 + WIDEST)[None], K)
