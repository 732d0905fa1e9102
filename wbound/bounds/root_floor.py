"""ε_K: the floor of affine samplers where no eigenvalue is bounded below (section 17 of docs/theory.md).

It is the error of the best uniform approximation of √x on [0, 1] by rational functions of type (K, K), which is the
gain of a phase-law sampler: r(s²) − s = 2sB/(1−B), B = Π (s_i − s)/(s_i + s) (Theorems 4 and 5), equal to ±ε_K in turn at
0, at 1 and once between neighbouring nodes. Newton's method makes these 2K+2 heights equal.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from wbound.errors import BadInput, count
from wbound.typing import Array

__all__ = ["absolute_floor", "absolute_nodes"]

#: What was checked against mpmath and known figures; ε_40 = 4.4e-12.
MOST = 40


def absolute_floor(K: int) -> float:
    """ε_K: the least worst-case W2/√(d·b) of an affine sampler with K evaluations over covariances 0 ≼ Σ ≼ bI.

    Implements Theorem 6's companion for κ = ∞ (docs/theory.md, section 17): *lower* for every affine sampler with exact
    scores, levels that are not random and the data's mean known, and attained by the phase-law sampler of
    √b·`absolute_nodes` (K). Computed to about 1e-12 relative, by equal heights; not enclosed.

    Args:
        K: evaluations of the score, from 1 to 40.

    Returns:
        ε_K, W2 (not squared) over √(d·b): about 8 e^{−π√(2K)} (Stahl, 1993).

    Raises:
        BadInput: K < 1 or K > 40.
    """
    return _equal_heights(_within(K))[1]


def absolute_nodes(K: int) -> Array:
    """The 2K+1 nodes s_i (x, increasing, in units of √b) of the sampler that reaches ε_K. Raises `BadInput`."""
    return np.exp(_equal_heights(_within(K))[0])


def _within(K: int) -> int:
    K = count("K", K)
    if K > MOST:
        raise BadInput("K", K, f"must be at most {MOST}: the floor is below 4.4e-12 there")
    return K


@functools.lru_cache(maxsize=128)
def _equal_heights(K: int) -> tuple[Array, float]:
    """(log s_i, ε_K): Newton in log s_i for equal log heights, each step no longer than a third of the least gap."""
    m = 2 * K + 1
    # zeros of the error accumulate at 0 like e^{−π√..}: equally spaced in the square root of the index (Stahl)
    nodes = (
        -math.pi * math.sqrt(0.5) * 2.0 * (math.sqrt(K + 1.0) - np.sqrt(np.arange(1, m + 1) / 2.0 + 0.5 / m))
    )
    for _ in range(300):
        at, heights = _heights(nodes)
        # ∂ log|e|/∂ log s_i at the extrema, whose own movement changes nothing to first order
        s, s_i = np.exp(at)[:, None], np.exp(nodes)[None, :]
        B = np.prod((s_i - s) / (s_i + s), axis=1)
        slope = 2.0 * s_i * s / ((s_i - s) * (s_i + s)) / (1.0 - B)[:, None]
        inverse = np.exp(-nodes)
        slope = np.vstack((inverse / inverse.sum(), slope))  # at s = 0: log(1/Σ 1/s_i)
        step = np.linalg.solve(np.diff(slope, axis=0), -np.diff(heights))
        gap = float(np.diff(np.append(nodes, 0.0)).min())
        length = float(np.abs(step).max())
        nodes = nodes + step * min(1.0, gap / (3.0 * length)) if length > 0.0 else nodes
        if float(np.ptp(heights)) < 1e-13 * m:
            break
    else:
        raise ArithmeticError(f"heights did not become equal for K = {K}")
    return nodes, float(np.exp(_heights(nodes)[1].mean()))


def _heights(nodes: Array) -> tuple[Array, Array]:
    """log s of the 2K extrema between nodes and of s = 1, and the log heights |2sB/(1−B)| there, with s = 0 first."""
    lo, hi = nodes.copy(), np.append(nodes[1:], 0.0)
    s_i = np.exp(nodes)[None, :]

    def slope(u: Array) -> tuple[Array, Array]:
        """d log|e|/d log s, which falls from ∞ to −∞ between nodes, and log|e|."""
        s = np.exp(u)[:, None]
        factors = (s_i - s) / (s_i + s)
        B = np.prod(factors, axis=1)
        log_B = (-2.0 * s * s_i / ((s_i - s) * (s_i + s))).sum(axis=1)
        value = np.log(2.0) + u + np.log(np.abs(B)) - np.log1p(-B)
        return 1.0 + log_B / (1.0 - B), value

    inner = slice(0, nodes.size - 1)
    a, b = lo[inner].copy(), hi[inner].copy()
    u = 0.5 * (a + b)
    for _ in range(34):  # heights are flat there: half the digits are enough
        rising = slope(np.append(u, 0.0))[0][:-1] > 0.0
        a, b = np.where(rising, u, a), np.where(rising, b, u)
        u = 0.5 * (a + b)
    at = np.append(u, 0.0)
    return at, np.append(-math.log(float(np.exp(-nodes).sum())), slope(at)[1])
