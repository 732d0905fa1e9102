"""Noise levels for data in one line: the nodes with the least exact W2, for samplers that see the clock alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from wbound.data.gaussian import Gaussian
from wbound.design.placed_numerically import numerical_grid
from wbound.errors import BadInput, one_of
from wbound.exact.clock_law import LAWS
from wbound.typing import Array

__all__ = ["sigmas"]


def sigmas(data: Any, K: int = 20, sampler: str = "ddim") -> Array:
    """Noise levels σ = √λ of K steps for ``data``, (K+1,), in x, decreasing to 0.

    The nodes that minimise W2 from p_T plus what the prior start changes, on the Gaussian with the data's mean and
    covariance, as `numerical_grid` finds them, the first level too. Kind: *exact* for that Gaussian; the best that the
    search found. `wbound choose` compares other samplers and named schedules.

    Data are variances, the eigenvalues of a covariance; or samples, more of them than dimensions; or a
    `wbound.data.gaussian.Gaussian`, or an object with one as ``gaussian``.

    Args:
        data: variances (d,) in x², samples (n, …) in x, or a Gaussian.
        K: steps, an integer >= 1.
        sampler: hf, ddpm, ode-hf, ddim, heun, heun-lam or heun-lambda.

    Raises:
        BadInput: for data of another kind, fewer samples than dimensions, and other samplers.

    Source: section 3's exact law (docs/theory.md).
    """
    one_of("sampler", sampler, LAWS)
    found = numerical_grid(_gaussian(data), K, objective="exact", scheme=sampler, start="prior")
    return np.asarray(np.sqrt(found.lam))


def _gaussian(data: Any) -> Gaussian:
    held = data if isinstance(data, Gaussian) else getattr(data, "gaussian", None)
    if isinstance(held, Gaussian):
        return held
    values = np.asarray(data)
    if values.dtype.kind not in "fiub" or values.ndim < 1 or not np.isfinite(values).all():
        raise BadInput(
            "data", f"{type(data).__name__} of {values.dtype}", "must be finite numbers: variances or samples"
        )
    if values.ndim == 1:
        if not (values >= 0.0).all() or not (values > 0.0).any():
            raise BadInput("data", "variances", "must be >= 0 and not all 0")
        return Gaussian(np.zeros(values.size), values.astype(float))
    flat = values.reshape(len(values), -1).astype(float)
    if len(flat) <= flat.shape[1]:
        raise BadInput(
            "data",
            f"shape {values.shape}",
            "must hold more samples than dimensions; wbound choose takes fewer",
        )
    return Gaussian(
        flat.mean(axis=0), np.cov(flat, rowvar=False, bias=True).reshape(flat.shape[1], flat.shape[1])
    )
