"""A spectrum as its distinct eigenvalues, many of them gathered in bins: what searches and quadratures run over."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from wbound.errors import BadInput
from wbound.typing import Array

__all__ = ["EQUAL", "spectral_bins"]

#: A bin's edge lies by so much of its width below an even share of the range, and a fit counts eigenvalues that are closer
#: than this, relatively, as one: rounding decides neither in which bin one stands nor how many there are.
BELOW, EQUAL = 1e-6, 1e-12


def spectral_bins(
    variances: ArrayLike, counts: ArrayLike | None = None, most: int = 512, close: float = 0.0
) -> tuple[Array, Array, float]:
    """The distinct eigenvalues > 0 and how often each stands (more than ``most``: in bins of log x, each at its mean), and how
    often 0 does.

    variances: (E,) ≥ 0 in x²; counts: (E,) ≥ 0, 1 each without; close: the relative difference up to which two are one.
    Raises `BadInput`.
    """
    x = np.asarray(variances, dtype=np.float64).ravel()
    n = np.ones_like(x) if counts is None else np.asarray(counts, dtype=np.float64).ravel()
    if n.shape != x.shape or not np.isfinite(n).all() or (n < 0.0).any():
        raise BadInput("counts", counts, f"must be numbers >= 0 in the shape {x.shape} of the variances")
    if not x.size or not np.isfinite(x).all() or (x < 0.0).any() or not (n[x > 0.0] > 0.0).any():
        raise BadInput("variances", variances, "must be finite numbers >= 0, one of them > 0")
    zeros = float(n[x == 0.0].sum())
    there = (x > 0.0) & (n > 0.0)
    x, n = x[there], n[there]
    order = np.argsort(x, kind="stable")
    x, n = x[order], n[order]
    first = np.append(0, 1 + np.flatnonzero(x[1:] > (1.0 + close) * x[:-1]))
    values, number = x[first], np.add.reduceat(n, first)
    if values.size <= most:
        return values, number, zeros
    edges = np.linspace(math.log(values[0]), math.log(values[-1]), most + 1)
    edges -= BELOW * (edges[1] - edges[0])
    bins = np.clip(np.searchsorted(edges, np.log(values), side="right") - 1, 0, most - 1)
    number_in = np.asarray(np.bincount(bins, weights=number, minlength=most), dtype=np.float64)
    total = np.bincount(bins, weights=number * values, minlength=most)
    full = number_in > 0.0
    return total[full] / number_in[full], number_in[full], zeros
