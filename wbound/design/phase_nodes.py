"""Nodes of the phase law fitted to a spectrum (section 17)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from wbound.data.binned_spectrum import EQUAL, spectral_bins
from wbound.errors import count
from wbound.exact.phase import zolotarev_levels
from wbound.typing import Array

__all__ = ["fitted_nodes"]

#: How many steps the search for nodes takes at most.
MOST = 400
#: How strongly the search is held to where it begins, relative to √tr Σ: of more nodes than W2 needs, rounding would decide.
HOLD = 1e-10
#: The least node for an eigenvalue 0, relative to the least √eigenvalue above 0.
LOWEST = 1e-6
#: Shares of the trace that a search's first nodes may leave out at the lower end.
CUTS = (0.0, 1e-6, 1e-4, 1e-2)


def fitted_nodes(variances: ArrayLike, K: int, counts: ArrayLike | None = None) -> Array:
    """2K+1 nodes (x) with the least W2² = Σ x(2B/(1−B))² on the spectrum ``variances`` (E,) (x²) that a search finds.

    ``counts`` (E,) ≥ 0: how often each stands. Least squares in log s with the analytic Jacobian, from several starts:
    a local minimum, not proved the least. More than 512 distinct eigenvalues are gathered in bins of log x for
    the search. Nodes outside [min s, max s] never help (|B| falls at every eigenvalue when one moves in); an eigenvalue 0
    is served by small nodes, down to `LOWEST` of the least other s. Raises `BadInput`.
    """
    from scipy.optimize import least_squares

    K = count("K", K)
    x, n, zeros = spectral_bins(variances, counts, close=EQUAL)
    s = np.sqrt(x)
    m = 2 * K + 1
    if s.size < m or (
        s.size == m and not zeros
    ):  # exact: every eigenvalue a node, the rest anywhere (0: far below)
        rest = LOWEST * s[0] if zeros else math.exp(float(np.log(s).mean()))
        return np.sort(np.append(s, np.full(m - s.size, rest)))
    least, most = math.log(s[0] * (LOWEST if zeros else 1.0)), math.log(s[-1])
    root, root0 = np.sqrt(n / float(n @ x)), math.sqrt(zeros / float(n @ x))

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

    best, cost, hold = np.full(m, most), math.inf, HOLD * np.eye(m)
    for start in _starts(s, n, m, bool(zeros)):
        first = np.log(start)
        unit = 1.0 / max(float(np.linalg.norm(misfit(first))), 1e-300)
        found = least_squares(
            lambda at, unit=unit, first=first: unit * np.append(misfit(at), HOLD * (at - first)),
            first,
            jac=lambda at, unit=unit: unit * np.vstack((jacobian(at), hold)),
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
