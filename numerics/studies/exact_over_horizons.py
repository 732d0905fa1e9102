"""Exact W2 of hf over (T, K) from the prior start: where it vanishes, and the lower bound that survives.

Isotropic Gaussian data N(0, σ_0² I), Eq. 10: the discretisation widens the output, the prior start narrows
it, and the two cancel along a curve (section 6).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from wbound.errors import BadInput, count, positive
from wbound.exact.clock_law import hf_pair, width_error2
from wbound.exact.floor import floor_w2
from wbound.forward.forward_process import Process
from wbound.typing import Array

__all__ = ["Landscape", "landscape"]


@dataclass(frozen=True)
class Landscape:
    """Over K (M,) and T (N,): W2 from the prior and from p_T and the floor of Eq. 11 (M, N), in x.

    ``sign`` (M, N): −1 where the prior's output is too narrow, 1 where it is too wide.
    ``zero_T`` (M,): the T at which W2 from the prior is 0, nan where it is not on the axis. ``survives``:
    the smallest K(2u+u²+ϱ⁴)/(4(1−ϱ)²) of the cells, u = W2/(σ_0√d) from the prior: at least 1, since with
    θ = ϱ⁴/(2u+u²) the bound of section 6 holds. ``naive``: the smallest K(2u+u²)/(4(1−ϱ)²), the same without
    the proviso, which falls below 1 near the curve.
    """

    process: Process
    d: int
    sigma0: float
    T: Array
    K: Array
    prior: Array
    exact: Array
    floor: Array
    sign: Array
    zero_T: Array
    survives: float
    naive: float

    def columns(self) -> dict[str, Array]:
        """The cells as columns."""
        K, T = np.meshgrid(self.K, self.T, indexing="ij")
        names = ("prior", "exact", "floor")
        return {"T": T.ravel(), "K": K.ravel()} | {name: getattr(self, name).ravel() for name in names}

    @property
    def curve(self) -> dict[str, Array]:
        """The zero curve as columns."""
        there = np.isfinite(self.zero_T)
        return {"K": self.K[there], "T": self.zero_T[there]}


def _widening(process: Process, variance: float, T: Array, K: int) -> tuple[Array, Array]:
    """Eq. 10's sum per T, and w_0 = σ_0² + λ(T); uniform grid of K steps."""
    share = np.arange(K, -1, -1) / K
    lam = np.exp(process.log_lam(T[:, None] * share))
    pair = hf_pair(np.array(variance), lam[:, 1:], lam[:, :-1])
    return pair.value.sum(axis=1), variance + lam[:, 0]


def landscape(process: Process, T: ArrayLike, K: ArrayLike, *, d: int = 1, sigma0: float = 1.0) -> Landscape:
    """Exact W2 of hf on the uniform grid over T (increasing) and K from both starts; the prior's zeros.

    d: dimension; sigma0: σ_0 in x. Kinds: *exact*, and *lower* for the floor.
    """
    d, sigma0 = count("d", d), positive("sigma0", sigma0)
    times, Ks = np.asarray(T, float), np.array([count("K", k) for k in np.atleast_1d(K).tolist()])
    if times.ndim != 1 or times.size < 2 or not (np.diff(times) > 0.0).all() or times[0] <= 0.0:
        raise BadInput("T", f"{times.size} values", "must be increasing and > 0, two or more")
    s2 = sigma0**2
    shape = (Ks.size, times.size)
    prior, exact, floor, sign = (np.empty(shape) for _ in range(4))
    zero = np.full(Ks.size, np.nan)
    survives = naive = math.inf
    variance = np.array(s2)

    def excess(time: float, K: int) -> float:
        wide, w0 = _widening(process, s2, np.array([time]), K)
        return float((wide - s2**3 / w0**2)[0])

    for i, k in enumerate(Ks.tolist()):
        wide, w0 = _widening(process, s2, times, k)
        narrow = s2**3 / w0**2
        exact[i] = np.sqrt(d * width_error2(variance, wide))
        prior[i] = np.sqrt(d * width_error2(variance, wide - narrow))
        sign[i] = np.sign(wide - narrow)
        floor[i] = [floor_w2(k, d, sigma0, float(w - s2)) for w in w0]
        rising = np.flatnonzero(sign[i, :-1] * sign[i, 1:] < 0.0)
        if rising.size:
            j = int(rising[0])
            zero[i] = brentq(excess, times[j], times[j + 1], args=(k,), xtol=1e-13)
        u, varrho = prior[i] / (sigma0 * math.sqrt(d)), np.sqrt(s2 / w0)
        least = 4.0 * (1.0 - varrho) ** 2
        naive = min(naive, float((k * (2.0 * u + u * u) / least).min()))
        survives = min(survives, float((k * (2.0 * u + u * u + varrho**4) / least).min()))
    return Landscape(process, d, sigma0, times, Ks, prior, exact, floor, sign, zero, survives, naive)
