"""W2 between Gaussian laws, with all the digits that the covariances carry."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, lapack, svd

from numerics.io.reading import finite_array
from wbound.errors import BadInput, IOFailure
from wbound.typing import Array

__all__ = ["gaussian_w2"]


_EPS = float(np.finfo(np.float64).eps)
_PSD_TOL = 1e-9  # rounding allowed in a covariance, in units of its own variances


def gaussian_w2(m1: ArrayLike, C1: ArrayLike, m2: ArrayLike, C2: ArrayLike) -> float:
    """W2 (not squared) between N(m1, C1) and N(m2, C2). Exact.

    ``W2² = |m1 − m2|² + min_U ‖F_1 − F_2 U‖_F²`` over orthogonal U, for any factors ``C_i = F_i F_iᵀ``;
    the minimiser is the polar factor of ``F_2ᵀ F_1``. The norm is evaluated as it stands: the textbook
    ``tr C1 + tr C2 − 2 tr (C1^{1/2} C2 C1^{1/2})^{1/2}`` cancels, and returns 0 for laws 1e-8 apart.
    The factors are pivoted Cholesky factors of the correlation matrix, so that each direction
    keeps its digits whatever its scale, and a singular covariance gets a factor of its rank.

    Arguments: ``m1``, ``m2``: means, shape (d,) (a scalar for d = 1, or broadcast to every coordinate).
    ``C1``, ``C2``: covariances, positive semidefinite, shape (d, d); shape (d,) is the *variances* of
    independent coordinates, a scalar the variance of each. Of any rank: a coordinate whose variance
    given the others is below about 10 d rounding errors of its own variance counts as determined.
    Errors: `BadInput` for shapes, NaN, asymmetry, or an eigenvalue negative beyond rounding.
    Source: Givens & Shortt (1984), Bhatia, Jain & Lim (2019) for the Procrustes form.
    """
    mean = "must be a vector of finite numbers"
    a, b = finite_array("m1", m1, mean), finite_array("m2", m2, mean)
    raw = [
        finite_array(name, C, "must be a covariance matrix or variances")
        for name, C in (("C1", C1), ("C2", C2))
    ]
    d = max([1, *(v.shape[0] for v in (a, b, *raw) if v.ndim)])
    for name, v in (("m1", a), ("m2", b)):
        if v.ndim > 1 or v.shape not in ((), (d,)):
            raise BadInput(name, f"shape {v.shape}", f"must be a vector of length d = {d}")
    for name, v in zip(("C1", "C2"), raw, strict=True):
        if v.shape not in ((), (d,), (d, d)):
            raise BadInput(name, f"shape {v.shape}", f"must have shape ({d}, {d}), or ({d},) for variances")
    shift = np.broadcast_to(a, (d,)) - np.broadcast_to(b, (d,))
    return math.hypot(*shift.tolist(), _bures(raw[0], raw[1], d))


def _bures(C1: Array, C2: Array, d: int) -> float:
    """The covariance part of `gaussian_w2`."""
    scale = max(float(np.abs(C1).max()), float(np.abs(C2).max()))
    if scale == 0.0:
        return 0.0
    one, two = _covariance("C1", C1 / scale, d), _covariance("C2", C2 / scale, d)
    if one.ndim == two.ndim == 1:
        # √v − √w without cancellation
        root = np.sqrt(one) + np.sqrt(two)
        gap = np.divide(one - two, root, out=np.zeros(d), where=root > 0.0)
        return math.sqrt(scale) * float(np.linalg.norm(gap))
    F1, F2 = _factor("C1", one), _factor("C2", two)
    if F1.shape[1] < F2.shape[1]:
        F1, F2 = F2, F1
    if F2.shape[1] == 0:
        return math.sqrt(scale) * float(np.linalg.norm(F1))
    cross = F2.T @ F1
    try:
        left, _, right = svd(cross, full_matrices=False, check_finite=False)
    except LinAlgError:  # gesdd may fail to converge where gesvd does not
        left, _, right = svd(cross, full_matrices=False, check_finite=False, lapack_driver="gesvd")
    value = float(np.linalg.norm(F1 - (F2 @ left) @ right))
    if F1.shape == F2.shape:
        # U = I is admissible too, and free of the rounding of U where the laws coincide
        value = min(value, float(np.linalg.norm(F1 - F2)))
    return math.sqrt(scale) * value


def _covariance(name: str, C: Array, d: int) -> Array:
    """A checked covariance: variances (d,) if diagonal, else the symmetric matrix."""
    variances = np.broadcast_to(C, (d,)) if C.ndim < 2 else np.diagonal(C)
    if (variances < -_PSD_TOL).any() or (C.ndim < 2 and (variances < 0.0).any()):
        raise BadInput(
            name, f"a variance of {variances.min():.6g} of the largest", "must be positive semidefinite"
        )
    if C.ndim < 2 or np.count_nonzero(C) == np.count_nonzero(variances):
        return np.maximum(variances, 0.0)
    root = np.sqrt(np.maximum(variances, 0.0))
    if (np.abs(C - C.T) > _PSD_TOL * np.maximum(np.outer(root, root), _EPS)).any():
        raise BadInput(name, "not symmetric", "must be symmetric")
    return 0.5 * (C + C.T)


def _factor(name: str, C: Array) -> Array:
    """F of shape (d, rank) with F Fᵀ = C, or `BadInput` if C has a negative eigenvalue."""
    if C.ndim == 1:
        return np.diag(np.sqrt(C))[:, C > 0.0]
    variances = np.diagonal(C)
    # a standard deviation below the rounding errors of the largest is one of them
    live = np.flatnonzero(variances > (len(C) * _EPS) ** 2)
    root, d = np.sqrt(variances[live]), len(live)
    refusal = BadInput(name, "an eigenvalue below zero", "must be positive semidefinite (up to rounding)")
    dead = np.setdiff1d(np.arange(len(C)), live)
    if np.abs(C[dead]).max(initial=0.0) > _PSD_TOL:
        raise refusal
    corr = C[np.ix_(live, live)] / root / root[:, None]
    L, pivot, rank, info = lapack.dpstrf(corr, tol=8.0 * (d + 8) * _EPS, lower=1)
    if info < 0:
        raise IOFailure(f"LAPACK's dpstrf refused its argument {-info}")
    order = pivot - 1
    L = np.tril(L)[:, :rank]
    rest = corr[np.ix_(order[rank:], order[rank:])] - L[rank:] @ L[rank:].T
    if np.abs(rest).max(initial=0.0) > _PSD_TOL:
        raise refusal
    F = np.zeros((len(C), rank))
    F[live[order]] = root[order, None] * L
    return F
