"""The phase law's samplers: exact at 2K+1 nodes, the best of all affine ones (section 17 of docs/theory.md).

For nodes s_1, …, s_n > 0, n = 2K+1, φ(t) = Σ arctan(t/s_i), √λ_j = φ⁻¹(πj) and √z_j = φ⁻¹(π(j−½)): the steps
y ← y + (λ_j − z_j) ∇log q_{λ_j}(y), levels decreasing, from N(0, ν²I) with ν = Σ s_i, have gain r(x) = νΠ(x+z_j)/(x+λ_j)
with (r(s²) − s)/(r(s²) + s) = Π (s_i − s)/(s_i + s) (Theorem 4, Eq. 19). In y-units; the data's mean is added at the start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wbound.affine_floor import affine_floor
from wbound.elliptic import jacobi_dn, jacobi_sc
from wbound.errors import BadInput, count, positive
from wbound.tape import Tape
from wbound.tape_of_scheme import TapeWriter

__all__ = ["PhaseSampler", "fitted_nodes", "phase_levels", "phase_sampler", "zolotarev_levels"]

Array = NDArray[np.float64]

#: Bins of a spectrum that nodes are fitted to, and how many steps the search takes at most.
BINS, MOST = 512, 400
#: The least node for an eigenvalue 0, relative to the least √eigenvalue above 0.
LOWEST = 1e-6
#: Shares of the trace that a search's first nodes may leave out at the lower end.
CUTS = (0.0, 1e-6, 1e-4, 1e-2)


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
    K = s.size // 2
    roots = _phases(s, np.asarray(np.arange(1, 2 * K + 1) * (0.5 * math.pi), dtype=np.float64))
    return PhaseSampler(roots[1::2][::-1] ** 2, roots[::2][::-1] ** 2, float(s.sum()), s)


def _phases(s: Array, wanted: Array) -> Array:
    """t with Σ arctan(t/s_i) = ``wanted``: Newton in log t, kept in brackets that halve."""
    # from both sides: the phase in u = log t rises from 0 to nπ/2
    lo = np.full(wanted.size, math.log(s[0]) - 2.0)
    hi = np.full(wanted.size, math.log(s[-1]) + 2.0)
    short = math.pi * 0.5 * s.size - wanted  # what is left to the whole, Σ arctan(s_i/t)
    late = short < wanted
    lo = np.minimum(lo, np.log(wanted / (1.0 / s).sum()) - 1.0)
    hi = np.maximum(hi, np.log(s.sum() / short) + 1.0)
    u = 0.5 * (lo + hi)
    for _ in range(200):
        t = np.exp(u)[:, None]
        gone = np.arctan(t / s).sum(axis=1) - wanted
        left = short - np.arctan(s / t).sum(axis=1)
        miss = np.where(late, left, gone)
        lo, hi = np.where(miss < 0.0, u, lo), np.where(miss < 0.0, hi, u)
        slope = (t * s / (t * t + s * s)).sum(axis=1)
        step = u - miss / slope
        step = np.where((step > lo) & (step < hi), step, 0.5 * (lo + hi))
        if np.abs(step - u).max() <= 4e-16 * max(1.0, float(np.abs(u).max())):
            return np.exp(step)
        u = step
    return np.exp(u)


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
    E = affine_floor(b / a, K)
    scale = math.sqrt((1.0 - E) * (1.0 + E))
    return PhaseSampler(
        tangents[1::2][::-1] ** 2, tangents[::2][::-1] ** 2, scale * float(nodes.sum()), np.sort(nodes), scale
    )


def fitted_nodes(variances: ArrayLike, K: int, counts: ArrayLike | None = None) -> Array:
    """2K+1 nodes (x) with the least W2² = Σ x(2B/(1−B))² on the spectrum ``variances`` (E,) (x²) that a search finds.

    ``counts`` (E,) ≥ 0: how often each stands. Least squares in log s with the analytic Jacobian, from several starts:
    a local minimum, not proved the least. More than `BINS` distinct eigenvalues are gathered in bins of log x for the
    search. Nodes outside [min s, max s] never help (|B| falls at every eigenvalue when one moves in); an eigenvalue 0
    is served by small nodes, down to `LOWEST` of the least other s. Raises `BadInput`.
    """
    from scipy.optimize import least_squares

    K = count("K", K)
    x, n, zeros = _binned(variances, counts)
    s = np.sqrt(x)
    m = 2 * K + 1
    if s.size < m or (
        s.size == m and not zeros
    ):  # exact: every eigenvalue a node, the rest anywhere (0: far below)
        rest = LOWEST * s[0] if zeros else math.exp(float(np.log(s).mean()))
        return np.sort(np.append(s, np.full(m - s.size, rest)))
    least, most = math.log(s[0] * (LOWEST if zeros else 1.0)), math.log(s[-1])
    root, root0 = np.sqrt(n), math.sqrt(zeros)

    def folded(at: Array) -> tuple[Array, Array]:
        """Any numbers as nodes in the range, reflected at its ends; and the sign of d log s."""
        along = np.mod(at - least, 2.0 * (most - least)) - (most - least)
        return np.exp(most - np.abs(along)), -np.sign(along)

    def misfit(at: Array) -> Array:
        nodes = folded(at)[0]
        B = np.prod((nodes - s[:, None]) / (nodes + s[:, None]), axis=1)
        # s 2B/(1−B) tends to 1/Σ 1/s_i as s → 0
        return np.append(root * s * 2.0 * B / (1.0 - B), root0 / (1.0 / nodes).sum())

    def jacobian(at: Array) -> Array:
        nodes, sign = folded(at)
        factors = (nodes - s[:, None]) / (nodes + s[:, None])
        B = np.prod(factors, axis=1)
        left = np.cumprod(np.hstack((np.ones((s.size, 1)), factors[:, :-1])), axis=1)
        right = np.cumprod(np.hstack((np.ones((s.size, 1)), factors[:, :0:-1])), axis=1)[:, ::-1]
        slope = left * right * 2.0 * nodes * s[:, None] / (nodes + s[:, None]) ** 2
        slope *= (root * s * 2.0 / (1.0 - B) ** 2)[:, None]
        slope = np.vstack((slope, root0 / nodes / (1.0 / nodes).sum() ** 2))
        return np.asarray(slope * sign)

    best, cost = np.full(m, most), math.inf
    for start in _starts(s, n, m, bool(zeros)):
        unit = 1.0 / max(float(np.linalg.norm(misfit(np.log(start)))), 1e-300)
        found = least_squares(
            lambda at, unit=unit: unit * misfit(at),
            np.log(start),
            jac=lambda at, unit=unit: unit * jacobian(at),
            method="lm",
            xtol=1e-10,
            ftol=1e-10,
            gtol=1e-10,
            max_nfev=MOST,
        )
        if found.cost / unit**2 < cost:
            best, cost = found.x, float(found.cost / unit**2)
    return np.sort(folded(best)[0])


def _starts(s: Array, n: Array, m: int, zeros: bool) -> list[Array]:
    """Where the search begins: Zolotarev's nodes of the whole range, of shorter ones that hold most of the trace, and,
    where there are eigenvalues 0, of longer ones."""
    share = np.cumsum(n * s**2) / float((n * s**2).sum())
    lows = [float(s[min(int(np.searchsorted(share, cut)), s.size - 1)]) for cut in CUTS]
    lows += [float(s[0]) * part for part in (0.3, 0.1, 0.01)] if zeros else []
    classes = [
        zolotarev_levels(m // 2, low**2, float(s[-1] ** 2)).nodes
        for low in dict.fromkeys(lows)
        if low < s[-1]
    ]
    return [nodes for nodes in classes if nodes is not None] or [np.full(m, s[-1])]


def _binned(variances: ArrayLike, counts: ArrayLike | None) -> tuple[Array, Array, float]:
    """The distinct eigenvalues > 0 and how often each stands (many: in bins of log x, each at its mean), and how
    often 0 does."""
    x = np.asarray(variances, dtype=np.float64).ravel()
    n = np.ones_like(x) if counts is None else np.asarray(counts, dtype=np.float64).ravel()
    if n.shape != x.shape or not np.isfinite(n).all() or (n < 0.0).any():
        raise BadInput("counts", counts, f"must be numbers >= 0 in the shape {x.shape} of the variances")
    if not x.size or not np.isfinite(x).all() or (x < 0.0).any() or not (n[x > 0.0] > 0.0).any():
        raise BadInput("variances", variances, "must be finite numbers >= 0, one of them > 0")
    zeros = float(n[x == 0.0].sum())
    there = (x > 0.0) & (n > 0.0)
    x, n = x[there], n[there]
    values, group = np.unique(x, return_inverse=True)
    number = np.asarray(np.bincount(group, weights=n), dtype=np.float64)
    if values.size <= BINS:
        return values, number, zeros
    edges = np.linspace(math.log(values[0]), math.log(values[-1]), BINS + 1)
    bins = np.clip(np.searchsorted(edges, np.log(values), side="right") - 1, 0, BINS - 1)
    number_in = np.asarray(np.bincount(bins, weights=number, minlength=BINS), dtype=np.float64)
    total = np.bincount(bins, weights=number * values, minlength=BINS)
    full = number_in > 0.0
    return total[full] / number_in[full], number_in[full], zeros


def phase_sampler(
    nodes: ArrayLike | None = None,
    *,
    K: int | None = None,
    a: float | None = None,
    b: float | None = None,
    spectrum: ArrayLike | None = None,
) -> Tape:
    """The phase law's sampler as a tape: of given ``nodes``; of ``K`` and the class of spectra in [``a``, ``b``] (the
    minimax of Theorem 6); or of ``K``, its nodes fitted to a ``spectrum``.

    nodes: (2K+1,) in x; a, b: the least and the largest eigenvalue, in x²; spectrum: eigenvalues (E,), in x². Exact for
    Gaussian data with these covariances and the mean added at the start; nothing is claimed of other data.
    Raises `BadInput`. Implements Theorems 4 and 6 (docs/theory.md, section 17).
    """
    given = [nodes is not None, a is not None or b is not None, spectrum is not None]
    if sum(given) != 1:
        raise BadInput("phase_sampler", sum(given), "takes one of: nodes; K, a and b; K and spectrum")
    if nodes is not None:
        if K is not None and 2 * K + 1 != np.size(nodes):
            raise BadInput("K", K, f"does not fit {np.size(nodes)} nodes, which are 2K+1")
        return phase_levels(nodes).tape()
    if K is None:
        raise BadInput("K", K, "is needed: the number of evaluations")
    if spectrum is not None:
        return phase_levels(fitted_nodes(spectrum, K)).tape()
    if a is None or b is None:
        raise BadInput("b" if b is None else "a", None, "is needed: the spectrum lies in [a, b]")
    return zolotarev_levels(K, a, b).tape()
