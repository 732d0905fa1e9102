"""What optimal grids minimise, with gradients and Hessians: Theorem 2 for hf (Eq. 9), and exact Gaussian W2.

Both are sums over adjacent nodes, or functions of such sums, one an eigenvalue.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from wbound.calculus.stable import expm1_minus, sinh_minus
from wbound.data.curvature import Curvature
from wbound.exact.clock_law import LAWS, Spectrum, clock_w2s, flow_excess, width_error2
from wbound.sampler import placement
from wbound.sampler.grid import log_nodes
from wbound.sampler.scheme import HF, scheme_named
from wbound.typing import Array

__all__ = ["Derivatives", "ExactW2", "Objective", "SharpBound"]


#: How many scales of beginnings there are where steps' errors cancel, and how far they go beyond the data's deviations.
SCALES, BEYOND = 8, 12.0


class Derivatives(NamedTuple):
    """A value F and ∇F at the nodes λ_0 … λ_{K−1} (K,), and a metric: tridiagonal (K,), (K−1,) plus JᵀJ, J
    (E, K)."""

    value: float
    gradient: Array
    diagonal: Array
    beside: Array
    low_rank: Array | None


class Objective(Protocol):
    """What is minimised: a function of the nodes λ (K+1,), the last 0."""

    def value(self, lam: Array) -> float:
        """F alone."""
        ...

    def values(self, grids: Sequence[Array]) -> list[float]:
        """F on each of several sets of nodes."""
        ...

    def derivatives(self, lam: Array) -> Derivatives:
        """F, its gradient, and a metric for Newton's step."""
        ...

    def w2(self, lam: Array) -> float:
        """The W2 (not squared) that F is, or whose square F is."""
        ...

    @property
    def convex(self) -> bool:
        """Whether F is convex in a suitable clock."""
        ...

    @property
    def scales(self) -> Array:
        """Scales (x) of √λ for the beginnings of a search that has many minima to choose from; empty where it has one."""
        ...


class SharpBound:
    """Eq. 9 squared: E_0²/(1+m_0λ_0)² + dΣ(1+m_0λ_k)^{−2}Ψ(λ_k, λ_{k−1}; L_0)."""

    def __init__(self, data: Curvature, start: str) -> None:
        self.data, self.start = data, start
        self.m, self.L = placement.curvatures(data)
        self.convex, self.scales = self.m == self.L and start == "exact", np.empty(0)

    def w2(self, lam: Array) -> float:
        return math.sqrt(self.value(lam))

    def _start(self, lam0: float) -> tuple[float, float]:
        """E_0²/(1+m_0λ_0)² and its derivative."""
        if self.start == "exact":
            return 0.0, 0.0
        error2, slope = self.data.start_error(math.log(lam0)) ** 2, 0.0
        q = (self.m * lam0) ** -2.0
        if error2 < self.data.second_moment * (1.0 - 1e-12):  # Eq. 8: −dλ log(1−q) moves with λ
            slope = -self.data.d * (math.log1p(-q) + 2.0 * q / (1.0 - q))
        unit = 1.0 / (1.0 + self.m * lam0)
        return error2 * unit**2, (slope - 2.0 * self.m * error2 * unit) * unit**2

    def _psi(self, a: Array, b: Array) -> tuple[Array, Array]:
        v = 1.0 + self.L * a
        y = np.log1p(self.L * (b - a) / v)
        return 2.0 * v / self.L * sinh_minus(y), y

    def value(self, lam: Array) -> float:
        a, b = lam[1:], lam[:-1]
        psi, _ = self._psi(a, b)
        return self._start(float(lam[0]))[0] + self.data.d * float((psi / (1.0 + self.m * a) ** 2).sum())

    def values(self, grids: Sequence[Array]) -> list[float]:
        return [self.value(lam) for lam in grids]

    def derivatives(self, lam: Array) -> Derivatives:
        a, b, d = lam[1:], lam[:-1], float(self.data.d)
        m, L, H = self.m, self.L, b - a
        va, vb, u = 1.0 + L * a, 1.0 + L * b, 1.0 / (1.0 + m * a)
        psi, y = self._psi(a, b)
        psi_a = -2.0 * expm1_minus(-y)  # −2∫(u−a)L²/(1+Lu)² du
        psi_b = (L * H / vb) ** 2
        psi_aa, psi_ab, psi_bb = (
            2.0 * L * L * H / (va * vb),
            -2.0 * H * (L / vb) ** 2,
            2.0 * H * L * L * va / vb**3,
        )
        c, c1, c2 = u**2, -2.0 * m * u**3, 6.0 * m * m * u**4
        g_a, g_b = c1 * psi + c * psi_a, c * psi_b
        total = assemble(
            d * (c2 * psi + 2.0 * c1 * psi_a + c * psi_aa),
            d * (c1 * psi_b + c * psi_ab),
            d * c * psi_bb,
            d * g_a,
            d * g_b,
        )
        start, slope = self._start(float(lam[0]))
        gradient, diagonal = total.gradient.copy(), total.diagonal.copy()
        gradient[0] += slope
        if start > 0.0:
            diagonal[0] += 1.5 * slope**2 / start  # the curvature of a power law
        value = start + d * float((c * psi).sum())
        return total._replace(value=value, gradient=gradient, diagonal=diagonal)


class ExactW2:
    """W2 of a scheme of `LAWS` on a Gaussian: from p_T, or `ClockW2.robust`, which adds what the
    prior start changes."""

    def __init__(self, spectrum: Spectrum, scheme: str, start: str) -> None:
        self.spectrum, self.scheme, self.start = spectrum, scheme, start
        self.pair, _, self.flow, cancels = LAWS[scheme]
        self.convex = spectrum.variances.size == 1 and scheme_named(scheme) == HF and start == "exact"
        self.scales = np.empty(0)
        if cancels:
            least, most = np.sqrt(spectrum.variances[spectrum.variances > 0.0])[[0, -1]].tolist()
            self.scales = np.geomspace(least / BEYOND, most * BEYOND, SCALES)

    def w2(self, lam: Array) -> float:
        return self.value(lam)

    def value(self, lam: Array) -> float:
        return self.values([lam])[0]

    def values(self, grids: Sequence[Array]) -> list[float]:
        found = clock_w2s(self.spectrum, [log_nodes(lam) for lam in grids], self.scheme)
        return [w2.exact if self.start == "exact" else w2.robust for w2 in found]

    def derivatives(self, lam: Array) -> Derivatives:
        s, n, sampling = self.spectrum.variances, self.spectrum.counts, self.spectrum.sampling
        p = self.pair(sampling.at[:, None], lam[None, 1:], lam[None, :-1])
        sums = p.value.sum(axis=1)
        rate = np.ones_like(sums)
        if self.flow:  # e = ς²(exp Σφ − 1): de = (ς² + e) dΣφ, left out of the metric beyond that
            sums = flow_excess(sampling.at, sums)
            rate = sampling.at + sums
        e = sampling.spread(sums)
        exact = math.sqrt(float((n * width_error2(s, e)).sum()))
        one, two = self._outer(e)
        per = sampling.gather(n * one) * rate
        total = assemble(per @ p.aa, per @ p.ab, per @ p.bb, per @ p.a, per @ p.b)
        J = p.b.copy()
        J[:, 1:] += p.a[:, :-1]
        J *= rate[:, None]
        low_rank = self._roots(n * two) @ J if s.size > 1 else None
        # ∇W2 = ∇W2²/(2 W2); the metric is that of W2² from p_T, over the same 2 W2
        scale = 0.5 / exact if exact > 0.0 else 0.0  # at W2 = 0, its least value, 0 is a slope too
        gradient, value = total.gradient * scale, exact
        diagonal = total.diagonal * scale
        if self.start == "prior":
            start, slopes, first = self._start(e, float(lam[0]))
            if start > 0.0:
                slope = sampling.gather(slopes) @ J
                slope[0] += first
                value += start
                gradient = gradient + slope
                diagonal[0] += 1.5 * float(slope[0]) ** 2 / start  # the curvature of a power law
        root = math.sqrt(scale)
        return Derivatives(
            value,
            gradient,
            diagonal,
            total.beside * scale,
            None if low_rank is None else low_rank * root,
        )

    def _start(self, e: Array, lam0: float) -> tuple[float, Array, float]:
        """S = W2 between the outputs from p_T and from the prior, ∂S/∂e (E,), and ∂S/∂λ_0 at fixed e."""
        s, n = self.spectrum.variances, self.spectrum.counts
        share = s / (s + lam0)
        if self.flow:
            return self._flow_start(e, lam0, share)
        lost = s * share**2
        alive = s > 0.0
        w = np.where(alive, np.sqrt(np.maximum(s + e, 1e-300)), 1.0)
        z = np.where(alive, np.sqrt(np.maximum(s + e - lost, 1e-300)), 1.0)
        gap = lost / (w + z)
        S = math.sqrt(float((n * gap**2 + self.spectrum.mean_square * share**2).sum()))
        if S == 0.0:
            return 0.0, np.zeros_like(e), 0.0
        per = n * gap / S
        # w − z moves by de (1/2w − 1/2z) and by d(lost)/2z; d(share²)/dλ_0 = −2 share²/(ς²+λ_0)
        rate = -2.0 * share**2 / (s + lam0)
        first = float((per * s * rate / (2.0 * z) + 0.5 * self.spectrum.mean_square * rate / S).sum())
        return S, per * (0.5 / w - 0.5 / z), first

    def _flow_start(self, e: Array, lam0: float, share: Array) -> tuple[float, Array, float]:
        """`_start` of an ODE: outputs √(ς²+e)(1 − √(1−share)) apart, and means by √((ς²+e)/(ς²+λ_0))."""
        n, mean2 = self.spectrum.counts, self.spectrum.mean_square
        w = self.spectrum.variances + lam0
        v, kept = np.maximum(self.spectrum.variances + e, 0.0), np.sqrt(1.0 - share)
        u = share / (1.0 + kept)
        per = n * u**2 + mean2 / w
        S = math.sqrt(float((per * v).sum()))
        if S == 0.0:
            return 0.0, np.zeros_like(e), 0.0
        # d share/dλ_0 = −share/(ς²+λ_0), and 2u du = u d share/√(1−share)
        first = -(n * u * share / kept + mean2 / w) / w
        return S, 0.5 * per / S, 0.5 * float((first * v).sum()) / S

    def _roots(self, weights: Array) -> Array:
        """R with RᵀR = BᵀDB, B from the samples to the eigenvalues and D the weights."""
        B = self.spectrum.sampling.matrix
        if B is None:
            return np.diag(np.sqrt(weights))
        values, vectors = np.linalg.eigh(B.T @ (weights[:, None] * B))
        return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T

    def _outer(self, e: Array) -> tuple[Array, Array]:
        """First and second derivative of (√(ς²+e) − ς)² in e."""
        s = self.spectrum.variances
        v = np.maximum(
            s + e, 1e-100 * s + 1e-300
        )  # nothing is left of a coordinate: no power of it overflows
        ratio = np.sqrt(s / v)
        # 1 − ς/√v = e/(√v(√v+ς))
        return np.where(s > 0.0, e / (np.sqrt(v) * (np.sqrt(v) + np.sqrt(s))), 1.0), 0.5 * ratio / v


def assemble(aa: Array, ab: Array, bb: Array, g_a: Array, g_b: Array) -> Derivatives:
    """Pair k's derivatives in (λ_k, λ_{k−1}) gathered at the nodes λ_0 … λ_{K−1} (λ_K = 0 is fixed)."""
    diagonal, gradient = bb.copy(), g_b.copy()
    diagonal[1:] += aa[:-1]
    gradient[1:] += g_a[:-1]
    return Derivatives(0.0, gradient, diagonal, ab[:-1], None)
