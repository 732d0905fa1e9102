"""Theorem 1 a second time, in the plain words of `referee`."""

from __future__ import annotations

from collections.abc import Sequence

import mpmath as mp
from referee import DIGITS, Facts, Number, Plain, Step, steps


def roughness(p: Plain, s: Step, L0: float) -> Number:
    """∫(f + g²L)², L = min(1/σ², L_0/α²), over the step, split at λ = 1/L_0."""

    def integrand(t: Number) -> Number:
        return (p.f(t) + p.g2(t) * min(1 / p.sigma2(t), L0 / p.alpha(t) ** 2)) ** 2

    points = [s.t_lo, s.t_hi]
    if s.lam_lo < 1 / mp.mpf(L0) < s.lam_hi:
        kink = mp.findroot(lambda t: p.lam(t) * L0 - 1, (s.t_lo, s.t_hi), solver="anderson")
        points.insert(1, kink)
    # tanh-sinh never evaluates the ends, where 1/σ² is infinite at t = 0
    return mp.quad(integrand, points)


def displacement2(p: Plain, s: Step, facts: Facts, t: Number) -> Number:
    """ν_k(τ)² = ‖X_τ − X_{τ_{k−1}}‖² from the covariances of X: w_τ + w_{k−1} − 2cov, means included.

    cov(X_τ, X_{k−1}) = α_τ α_{k−1} (Var X_0 + λ_τ), as the later noise is independent.
    """
    a, lam = p.alpha(t), p.lam(t)
    m2, d = facts.second_moment, facts.d
    own = a**2 * (m2 + d * lam) + s.alpha_hi**2 * (m2 + d * s.lam_hi)
    return own - 2 * a * s.alpha_hi * (m2 + d * lam)


def theorem1(
    p: Plain, times: Sequence[float], facts: Facts, M1: float, start: str = "prior", M: float = 0.0
) -> tuple[float, float, float]:
    """Eq. 5's three parts, with suprema from dense samples (so a hair below the truth)."""
    with mp.workdps(DIGITS):
        d, m0 = facts.d, mp.mpf(facts.m0)
        T = mp.mpf(times[0])
        eta = T / (len(times) - 1)
        grid = [T * j / 400 for j in range(401)]
        omega = max(mp.sqrt(p.alpha(t) ** 2 * (facts.second_moment + d * p.lam(t))) for t in grid)
        e = p.alpha(T) * mp.sqrt(facts.second_moment) if start == "prior" else mp.mpf(0)
        first, middle, last = e, mp.mpf(0), mp.mpf(0)
        for s in steps(p, times):
            # ∫g²m = ∫ m_0 dλ/(1+m_0λ)
            gamma = 1 + s.F - mp.log((1 + m0 * s.lam_hi) / (1 + m0 * s.lam_lo)) + M1 * eta * s.G
            inside = [s.t_lo + (s.t_hi - s.t_lo) * j / 200 for j in range(201)]
            nu = mp.sqrt(max(displacement2(p, s, facts, t) for t in inside))
            D = mp.sqrt(eta * roughness(p, s, facts.L0)) * nu
            first *= gamma
            middle = gamma * middle + D + M1 * eta * s.G * (1 + omega)
            last = gamma * last + M * s.G
        return float(first), float(middle), float(last)


def step_size_ratios(p: Plain, times: Sequence[float], facts: Facts) -> list[float]:
    """∫g²(m + L)/(2(1+F)) per step, by quadrature in the clock: ∫(m_0/(1+m_0λ) + min(1/λ, L_0))dλ."""
    out = []
    with mp.workdps(DIGITS):
        for s in steps(p, times):
            points = sorted({s.lam_lo, s.lam_hi, min(max(1 / mp.mpf(facts.L0), s.lam_lo), s.lam_hi)})
            if points[-1] > 100 * points[-2]:
                points.insert(-1, mp.sqrt(points[-1] * points[-2]))
            value = mp.quad(
                lambda u: facts.m0 / (1 + facts.m0 * u) + min(1 / u if u else mp.inf, facts.L0), points
            )
            out.append(float(value / (2 * (1 + s.F))))
    return out
