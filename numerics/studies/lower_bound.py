"""The lower-bound check: Proposition 1's floor beside the exact W2 of both starts, and the tuned cancellation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from numerics.studies.slopes import slope
from wbound.calculus.roots import root
from wbound.data.gaussian import Gaussian
from wbound.errors import count, positive
from wbound.exact.floor import floor_w2
from wbound.exact.gaussian_law import EXACT_LAW, from_starts, law
from wbound.forward.catalogue import process as named
from wbound.forward.forward_process import Process
from wbound.memory import dimension
from wbound.sampler.make_setting import Setting, setting
from wbound.typing import Array

__all__ = ["Cancellation", "Floor", "cancellation", "floor_check"]

#: Whose exact W2 stands beside the floor.
STARTS = ("exact", "prior")


@dataclass(frozen=True)
class Floor:
    """The lower-bound check of Proposition 1: for each K the floor (Eq. 11) as W2 and the exact W2 of hf from
    both starts, on the grid uniform in w^{−1/2} ("gaussian", section 7) and on a process' own uniform grid;
    slopes in K."""

    d: int
    sigma0: float
    lam_T: float
    process: Process
    T: float
    K: Array
    floor: Array
    exact: Array
    prior: Array
    uniform_exact: Array
    uniform_prior: Array
    slopes: dict[str, float | None]

    @property
    def closest(self) -> float:
        """The smallest exact W2/floor from the exact start: at least 1 if Proposition 1 is right."""
        return float(min((self.exact / self.floor).min(), (self.uniform_exact / self.floor).min()))

    def columns(self) -> dict[str, Array]:
        """The numbers as columns."""
        names = ("K", "floor", "exact", "prior", "uniform_exact", "uniform_prior")
        return {name: getattr(self, name) for name in names}


def floor_check(
    d: int,
    sigma0: float,
    at: ArrayLike,
    *,
    lam_T: float | None = None,
    process: Process | None = None,
) -> Floor:
    """Proposition 1 against the exact law (kinds: *lower*, *exact*), for K in ``at``.

    d: dimension; sigma0: σ_0 in x; lam_T: λ(T) in x² (default: far enough that the start's share is small);
    process: whose uniform grid is shown beside the optimal one (default ``vp-linear``).
    """
    d, sigma0 = dimension(d), positive("sigma0", sigma0)
    Ks = np.atleast_1d(np.asarray(at, float))
    # the start's share of v_K − σ_0² is ϱ⁴ = (σ_0²/w_0)² against 4/K
    far = positive("lam_T", lam_T) if lam_T is not None else 1e4 * sigma0**2
    chosen = process if process is not None else named("vp-linear")
    T = float(chosen.time_of(math.log(far))[()])
    data = Gaussian(np.zeros(d), sigma0**2)
    table: dict[str, list[float]] = {k: [] for k in ("exact", "prior", "uniform_exact", "uniform_prior")}
    for K in Ks:
        for grid, key in (("gaussian", ""), ("uniform", "uniform_")):
            s = setting(chosen, data, T, int(K), scheme="hf", start="exact", grid=grid)
            for start, w2 in zip(STARTS, from_starts(s, STARTS), strict=True):
                table[f"{key}{start}"].append(w2)
    columns = {name: np.array(values) for name, values in table.items()}
    floor = np.array([floor_w2(int(K), d, sigma0, far) for K in Ks])
    slopes = {name: slope(Ks, values) for name, values in (columns | {"floor": floor}).items()}
    return Floor(d, sigma0, far, chosen, T, Ks, floor, slopes=slopes, **columns)


@dataclass(frozen=True)
class Cancellation:
    """Where the naive lower bound fails: at this λ(T) the prior start's error cancels the discretisation and
    W2 vanishes at finite K (section 6), while from p_T it stays above the floor. ``curve`` is (λ(T), W2)."""

    sigma0: float
    d: int
    K: int
    lam_T: float
    prior: float
    exact: float
    floor: float
    curve: tuple[Array, Array]


def cancellation(d: int, sigma0: float, K: int) -> Cancellation:
    """The tuned λ(T) of hf on the grid uniform in w^{−1/2}, as the root of Eq. 10's right side.

    d: dimension; sigma0: σ_0 in x; K: steps. The root is found, not known beforehand.
    """
    d, sigma0, K = dimension(d), positive("sigma0", sigma0), count("K", K)
    data = Gaussian(np.zeros(d), sigma0**2)
    process = named("ve-constant")  # λ(t) = t; hf sees the clock only
    variance = np.array([sigma0**2])

    def at(lam_T: float, start: str = "prior") -> Setting:
        return setting(process, data, lam_T, K, scheme="hf", start=start, grid="gaussian")

    def excess(log_lam: float) -> float:
        return float(law(at(math.exp(log_lam)), variance).excess[0])

    # near the data the start's negative term wins, far away the discretisation
    scale = 2.0 * math.log(sigma0)
    lam_T = math.exp(root(excess, scale - 6.0, scale + 0.5 * math.log(K) + 6.0, 1e-15))
    away = np.geomspace(1e-3, math.log(100.0), 60)  # dense near the root, where W2 falls to 0
    around = lam_T * np.exp(np.concatenate((-away[away < math.log(10.0)][::-1], [0.0], away)))
    curve = np.array([float(EXACT_LAW(at(lam))) for lam in around])
    return Cancellation(
        sigma0,
        d,
        K,
        lam_T,
        float(EXACT_LAW(at(lam_T))),
        float(EXACT_LAW(at(lam_T, "exact"))),
        floor_w2(K, d, sigma0, lam_T),
        (around, curve),
    )
