"""Compiled loops of the samplers: many particles, step after step, score and noise in one pass.

A chunk of m particles is a C-contiguous array (rows, m): one row a coordinate, so that a step's coefficients
are constants of the inner loop. Each kernel draws from the `Generator` it is given, row by row, exactly what
``rng.standard_normal((rows, m))`` would give at each step (a step with no noise draws nothing), holds no
lock, and writes nothing but its chunk: chunks may run side by side. No kernel reorders sums or fuses
operations, so the bits are those of the same formula in NumPy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["linear", "normals", "paired", "tabulated", "tanh"]

Array = NDArray[np.float64]


@njit(cache=True, nogil=True)
def normals(rng: Any, out: Array) -> None:
    """Fill ``out`` (n,) with standard normals: the floor below which no sampler can be."""
    for i in range(out.size):
        out[i] = rng.standard_normal()


@njit(cache=True, nogil=True)
def _noise(rng: Any, q: float, out: Array) -> None:
    """``out`` ← ξ, or zeros and no draw where q = 0."""
    if q == 0.0:
        out[:] = 0.0
    else:
        normals(rng, out)


@njit(cache=True, nogil=True)
def linear(
    rng: Any, z: Array, r: Array, group: Any, q: Array, h_mean: Array, mean: Array, h_bias: Array, bias: Array
) -> None:
    """z_j ← r_kg z_j + h_k mean_j + b_k bias_j + q_k ξ, g = group_j, over the steps k. z: (d, m).

    r: (N, E); group: (d,) indices into E; q, h_mean, h_bias: (N,); mean, bias: (d,).
    """
    d, m = z.shape
    noise = np.empty(m)
    for k in range(q.size):
        for j in range(d):
            h, a, row = h_mean[k] * mean[j] + h_bias[k] * bias[j], r[k, group[j]], z[j]
            _noise(rng, q[k], noise)
            for i in range(m):
                row[i] = a * row[i] + (h + q[k] * noise[i])


@njit(cache=True, nogil=True)
def tanh(
    rng: Any, z: Array, r: Array, amp: Array, kappa: Array, q: Array, h_bias: Array, bias: Array
) -> None:
    """As `linear` with one r_k (N,), and amp_k tanh(kappa_k z_0) added to row 0: the symmetric mixture."""
    d, m = z.shape
    noise = np.empty(m)
    for k in range(q.size):
        for j in range(d):
            h, row = h_bias[k] * bias[j], z[j]
            _noise(rng, q[k], noise)
            if j == 0:
                for i in range(m):
                    # tanh x = 1 − 2/(e^{2x} + 1): half the time of the library's, as exact when added to z
                    pull = 1.0 - 2.0 / (math.exp(2.0 * kappa[k] * row[i]) + 1.0)
                    row[i] = (r[k] * row[i] + amp[k] * pull) + (h + q[k] * noise[i])
            else:
                for i in range(m):
                    row[i] = r[k] * row[i] + (h + q[k] * noise[i])


@njit(cache=True, nogil=True)
def tabulated(
    rng: Any,
    z: Array,
    r: Array,
    first: Any,
    low: Array,
    per: Array,
    table: Array,
    q: Array,
    h_mean: Array,
    mean: Array,
    h_bias: Array,
    bias: Array,
) -> None:
    """As `linear` with one r_k (N,), and a tabulated function of each coordinate added: products of 1-D laws.

    table: (cells, 6), those of step k from row first_k to first_{k+1}, one quintic in t = u − i each, with
    u = (z − low_k) per_k; its first and last cells serve all that lies beyond them, too.
    """
    d, m = z.shape
    noise = np.empty(m)
    for k in range(q.size):
        cells, start, scale = table[first[k] : first[k + 1]], low[k], per[k]
        last = cells.shape[0] - 1.0
        for j in range(d):
            h, row = h_mean[k] * mean[j] + h_bias[k] * bias[j], z[j]
            _noise(rng, q[k], noise)
            for i in range(m):
                u = (row[i] - start) * scale
                within = u if u > 0.0 else 0.0
                # unsigned: an index that cannot be negative needs no wrap-around test
                cell = np.uint64(within if within < last else last)
                t = u - cell
                c = cells[cell]
                square = t * t
                value = (c[0] + c[1] * t) + ((c[2] + c[3] * t) + (c[4] + c[5] * t) * square) * square
                row[i] = (r[k] * row[i] + value) + (h + q[k] * noise[i])


@njit(cache=True, nogil=True)
def paired(
    rng: Any,
    z: Array,
    group: Any,
    r: Array,
    slip: Array,
    R: Array,
    ahead: Array,
    p: Array,
    rest: Array,
    v: Array,
    h_mean: Array,
    mean: Array,
    h_bias: Array,
    bias: Array,
) -> None:
    """The sampler's error e = y − Y (rows 0 … d−1) and the exact path Y (rows d … 2d−1), one noise for both.

        e ← r e + slip Y + h + ahead ξ − rest ξ′ + v ζ,    Y ← R Y + p ξ + rest ξ′

    r, slip, R, ahead, p, rest: (N, E); v: (N,), where it is 0 no ζ is drawn; the rest as in `linear`.
    """
    d, m = z.shape[0] // 2, z.shape[1]
    one, two, three = np.empty(m), np.empty(m), np.empty(m)
    for k in range(v.size):
        for j in range(d):
            g = group[j]
            h = h_mean[k] * mean[j] + h_bias[k] * bias[j]
            error, path = z[j], z[d + j]
            normals(rng, one)
            normals(rng, two)
            _noise(rng, v[k], three)
            a, b, c, e, f, w = r[k, g], slip[k, g], R[k, g], ahead[k, g], p[k, g], rest[k, g]
            for i in range(m):
                error[i] = (a * error[i] + b * path[i]) + (h + e * one[i] - w * two[i] + v[k] * three[i])
                path[i] = c * path[i] + (f * one[i] + w * two[i])
