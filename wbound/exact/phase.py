"""The phase law's samplers: exact at 2K+1 nodes; one of them is the best affine one at the worst spectrum of a class
(section 17 of docs/theory.md).

For nodes s_1, …, s_n > 0, n = 2K+1, φ(t) = Σ arctan(t/s_i), √λ_j = φ⁻¹(πj) and √z_j = φ⁻¹(π(j−½)): the steps
y ← y + (λ_j − z_j) ∇log q_{λ_j}(y), levels decreasing, from N(0, ν²I) with ν = Σ s_i, have gain r(x) = νΠ(x+z_j)/(x+λ_j)
with (r(s²) − s)/(r(s²) + s) = Π (s_i − s)/(s_i + s) (Theorem 4, Eq. 19). In y-units; the data's mean is added at the start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from wbound.calculus.elliptic import groetzsch_root, jacobi_dn, jacobi_sc, log_modulus
from wbound.errors import BadInput, count, positive
from wbound.sampler.tape import Tape
from wbound.sampler.tape_writer import TapeWriter
from wbound.typing import Array

__all__ = ["PhaseSampler", "phase_levels", "zolotarev_levels"]


@dataclass(frozen=True, eq=False)
class PhaseSampler:
    """A phase-law sampler: levels λ_j (K,) (x², decreasing), z_j (K,) (x²), the start's standard deviation ν (x), and
    the nodes s_i (2K+1,) (x, increasing) at which it is exact up to the factor ``scale`` of its gain."""

    levels: Array
    z: Array
    nu: float
    nodes: Array | None
    scale: float = 1.0

    @property
    def K(self) -> int:
        """Evaluations of the score."""
        return int(self.levels.size)

    @property
    def coefficients(self) -> Array:
        """c_j = λ_j − z_j (K,), x²."""
        return self.levels - self.z

    def gain(self, variances: ArrayLike) -> Array:
        """r(x) (E,), x: the output's standard deviation on N(0, xI)."""
        x = np.atleast_1d(np.asarray(variances, dtype=np.float64))[:, None]
        return np.asarray(self.nu * np.prod((x + self.z) / (x + self.levels), axis=1))

    def tape(self) -> Tape:
        """As a `Tape`: y ← (z_j/λ_j) y + (1 − z_j/λ_j) D."""
        writer = TapeWriter(self.K, 0, self.nu**2)
        state = writer.start()
        for level, z in zip(self.levels.tolist(), self.z.tolist(), strict=True):
            state = (z / level) * state + ((level - z) / level) * writer.evaluate(state, level)
        std = self.nu / math.sqrt(1.0 + self.nu**2)
        made: dict[str, Any] = {"scheme": "phase", "K": self.K}
        return writer.finish(state, start_std=std, made=made)


def phase_levels(nodes: ArrayLike) -> PhaseSampler:
    """The phase law's sampler of 2K+1 nodes (x). Implements Theorem 4 (docs/theory.md, section 17): *exact*.

    Raises `BadInput`: an even number of nodes, or one that is not > 0.
    """
    s = np.sort(np.asarray(nodes, dtype=np.float64).ravel())
    if s.size < 3 or s.size % 2 == 0:
        raise BadInput("nodes", s.size, "must be an odd number of nodes, 2K+1 with K >= 1")
    if not np.isfinite(s).all() or s[0] <= 0.0:
        raise BadInput("nodes", float(s[0]), "must be finite numbers > 0")
    roots = _phases(s)
    return PhaseSampler(roots[1::2][::-1] ** 2, roots[::2][::-1] ** 2, float(s.sum()), s)


def _phases(s: Array) -> Array:
    """t_k (2K,) with Σ arctan(t/s_i) = kπ/2: Newton in log t, kept in brackets that halve.

    arctan(t/s) = π/2 − arctan(s/t), so a phase less kπ/2 is a count and small angles: on the plateaus between nodes far
    apart nothing cancels but those.
    """
    k = np.arange(1, s.size, dtype=np.float64)
    # φ(t) ≤ tΣ1/s and nπ/2 − φ(t) ≤ Σs/t
    lo = np.log(k * (0.5 * math.pi) / (1.0 / s).sum())
    hi = np.log(s.sum() / ((s.size - k) * (0.5 * math.pi)))
    u = 0.5 * (lo + hi)
    for i in range(240):
        t = np.exp(u)[:, None]
        below = s < t
        quotient = np.where(below, s / t, t / s)
        angle = np.arctan(quotient)
        miss = (below.sum(axis=1) - k) * (0.5 * math.pi) + np.where(below, -angle, angle).sum(axis=1)
        lo, hi = np.where(miss < 0.0, u, lo), np.where(miss < 0.0, hi, u)
        step = u - miss / (quotient / (1.0 + quotient**2)).sum(axis=1)
        inside = (step >= lo) & (step <= hi)
        if inside.all() and np.abs(step - u).max() <= 4e-16 * max(1.0, float(np.abs(u).max())):
            return np.asarray(np.exp(step))
        # on a plateau's slopes Newton creeps: every third step halves, 80 times in all
        u = np.where(inside & (i % 3 < 2), step, 0.5 * (lo + hi))
    return np.asarray(np.exp(u))


def zolotarev_levels(K: int, a: float, b: float) -> PhaseSampler:
    """The sampler that reaches E_K on every spectrum in [a, b] (x²): √λ_j = √a sc(2jK′/n), √z_j = √a sc((2j−1)K′/n).

    Implements Theorem 6 (docs/theory.md, section 17): *exact*. Its nodes are those of the gain over ``scale`` = √(1−E_K²).
    Raises `BadInput`: K < 1, a ≤ 0, b < a.
    """
    K, a, b = count("K", K), positive("a", a), positive("b", b)
    if b < a:
        raise BadInput("b", b, f"must be at least a = {a:g}")
    n = 2 * K + 1
    if a == b:
        one = phase_levels(np.full(n, math.sqrt(a)))
        return PhaseSampler(one.levels, one.z, one.nu, one.nodes)
    ell = math.sqrt(a / b)
    tangents = math.sqrt(a) * jacobi_sc(np.arange(1, n) / n, ell)
    nodes = math.sqrt(b) * jacobi_dn((np.arange(1, n + 1) - 0.5) / n, ell)
    # √(1 − E_K²), the complementary modulus of E_K: μ(E_K) μ(√(1 − E_K²)) = π²/4
    scale = math.exp(log_modulus(groetzsch_root(b / a) / (2 * n)))
    return PhaseSampler(
        tangents[1::2][::-1] ** 2, tangents[::2][::-1] ** 2, scale * float(nodes.sum()), np.sort(nodes), scale
    )
