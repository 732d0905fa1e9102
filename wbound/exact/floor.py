"""Proposition 1: no horizon and no grid brings hf below this floor on isotropic Gaussian data (Eq. 11, section 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wbound.errors import BadInput, HypothesisFailed, count, nonnegative, one_of, positive
from wbound.statement import hypotheses as c
from wbound.statement.hypotheses import statement

__all__ = ["PROPOSITION_1", "LowerBound", "lower_bound"]


@dataclass(frozen=True)
class LowerBound:
    """W2 ≤ ε on N(0, σ_0² I) needs at least K steps of hf (Eq. 12), whatever the process and the grid, from the exact
    start, or from the prior under the proviso of ``theta``. ``K`` is the real number of Eq. 12, ``steps`` the integer;
    ``varrho`` is σ_0/√(σ_0² + λ(T))."""

    K: float
    varrho: float
    u: float
    start: str
    theta: float

    @property
    def steps(self) -> int:
        return max(math.ceil(self.K), 1)


def lower_bound(
    d: int,
    sigma0: float,
    eps: float,
    lam_T: float | None = None,
    start: str = "exact",
    theta: float = 0.0,
) -> LowerBound:
    """Proposition 1 (Eq. 12): W2 ≤ ε needs K ≥ 4(1−ϱ)²/((1+θ)(2u+u²)), u = ε/(σ_0√d). Kind: *lower*.

    d: dimension; sigma0: σ_0 in x; eps: ε in x (W2, not squared); lam_T: λ(T) in x², None for λ(T) → ∞.
    start "exact" has θ = 0. From "prior" the bound holds under the proviso ϱ⁴ ≤ θ(2u+u²): otherwise the
    start's negative term may cancel the discretisation, and `HypothesisFailed` says so.
    Source: Gao, Nguyen & Zhu, arXiv 2311.11003 (the order Ω(√d/ε)); the constant is derived here.
    """
    d, sigma0, eps = count("d", d), positive("sigma0", sigma0), positive("eps", eps)
    one_of("start", start, ("exact", "prior"))
    theta = nonnegative("theta", theta)
    u = eps / (sigma0 * math.sqrt(d))
    varrho = 0.0 if lam_T is None else sigma0 / math.sqrt(sigma0**2 + positive("lam_T", lam_T))
    width = 2.0 * u + u * u
    if start == "exact" and theta:
        raise BadInput("theta", theta, "is for start = prior; the exact start needs none")
    if start == "prior" and varrho**4 > theta * width:
        raise HypothesisFailed(
            "Proposition 1",
            "varrho^4 <= theta (2u+u^2)",
            f"varrho^4 = {varrho**4:.6g} but theta (2u+u^2) = {theta * width:.6g}: from the prior a tuned "
            "T can give W2 = 0 at finite K; raise theta or lam_T",
        )
    return LowerBound(4.0 * (1.0 - varrho) ** 2 / ((1.0 + theta) * width), varrho, u, start, theta)


def floor_w2(K: int, d: int, sigma0: float, lam_T: float | None = None) -> float:
    """Eq. 11 as W2: hf from p_T has W2 ≥ √d(√(σ_0² + 4σ_0⁴/K (1/σ_0 − 1/√w_0)²) − σ_0), in x. *lower*"""
    varrho = 0.0 if lam_T is None else sigma0 / math.sqrt(sigma0**2 + lam_T)
    excess = 4.0 / K * (1.0 - varrho) ** 2  # relative to σ_0²
    return math.sqrt(d) * sigma0 * excess / (math.sqrt(1.0 + excess) + 1.0)


PROPOSITION_1 = statement(
    "proposition-1",
    "lower",
    lambda s: floor_w2(s.nodes.K, s.data.d, c.sigma0(s), math.exp(min(s.nodes.first[1], 700.0))),
    c.gaussian,
    c.isotropic_or_point,
    c.scheme("hf"),
    c.start("exact", "can cancel (Eq. 10)"),
    source="Gao, Nguyen & Zhu, arXiv 2311.11003; constant derived here",
    covers=("eq-11",),
)
