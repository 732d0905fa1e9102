"""Statements of kind *order* as objects, what a bound or the exact law tends to as K → ∞ (sections 6 to 8)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from wbound.calculus.quadrature import integrate
from wbound.calculus.stable import softplus
from wbound.exact.leading_order import DENSITIES, leading_constants
from wbound.sampler.make_setting import Setting
from wbound.statement import hypotheses as c
from wbound.statement.hypotheses import statement
from wbound.statement.statement_object import Statement
from wbound.typing import Array

__all__ = ["LIMITS"]


def _leading(s: Setting) -> float:
    return leading_constants(s.process, s.data, s.nodes.T, scheme=s.scheme).w2(s.nodes.K)


def _floor_grid(s: Setting) -> float:
    """On the grid uniform in ŵ^{−1/2}, whatever the setting's own."""
    return leading_constants(s.process, s.data, s.nodes.T, scheme=s.scheme, grid="gaussian").w2(s.nodes.K)


def _optimal_clock(s: Setting) -> float:
    L0 = c.constants(s)[1]
    # the density at λ = 0 is the integral of 1/rate
    log_integral = float(DENSITIES["optimal"](np.array(-np.inf), s.nodes.first[1], s.data))
    return math.sqrt(s.data.d / 3.0) / s.nodes.K * (L0 ** (2.0 / 3.0) * math.exp(log_integral)) ** 1.5


def _over(s: Setting, integrand: Callable[[Array, Array, Array, Array], Array]) -> float:
    """∫_0^T of a function of (t, log α, log λ, log g), split at λ = 1/L_0."""

    def at(t: Array) -> Array:
        with np.errstate(divide="ignore"):  # g may vanish at an end
            return integrand(t, *s.process.law(t), np.log(s.process.g(t)))

    T, kink = s.nodes.T, -math.log(c.constants(s)[1])
    ends = [0.0, float(s.process.crossing(kink)), T] if kink < s.nodes.first[1] else [0.0, T]
    pieces = integrate(at, np.array(ends[:-1]), np.array(ends[1:]), breaks=s.process.kinks)
    return float(pieces.value.sum())


def _sharp(s: Setting) -> float:
    """η√(dI)."""
    m0, L0 = (math.log(v) for v in c.constants(s))

    def integrand(t: Array, log_alpha: Array, log_lam: Array, log_g: Array) -> Array:
        slow = softplus(m0 + log_lam) + softplus(L0 + log_lam)
        return np.exp(6.0 * (log_g - log_alpha) + 2.0 * (L0 - slow)) / 3.0

    return s.nodes.T / s.nodes.K * math.sqrt(s.data.d * _over(s, integrand))


def _published(s: Setting) -> float:
    """√(dη)∫g(f+g²L)/(α(1+m_0λ))dt."""
    m0, L0 = (math.log(v) for v in c.constants(s))

    def integrand(t: Array, log_alpha: Array, log_lam: Array, log_g: Array) -> Array:
        pull = s.process.f(t) + np.exp(2.0 * (log_g - log_alpha) + np.minimum(-log_lam, L0))
        return pull * np.exp(log_g - log_alpha - softplus(m0 + log_lam))

    return math.sqrt(s.data.d * s.nodes.T / s.nodes.K) * _over(s, integrand)


def _score(s: Setting) -> float:
    """∫g²/(α(1+m_0λ))dt, what an error M of the score is multiplied by."""
    m0 = math.log(c.constants(s)[0])

    def integrand(t: Array, log_alpha: Array, log_lam: Array, log_g: Array) -> Array:
        return np.exp(2.0 * log_g - log_alpha - softplus(m0 + log_lam))

    return _over(s, integrand)


_FROM_p_T = (c.exact_score, c.start("exact"), c.to_the_end)

#: By id.
LIMITS: tuple[Statement, ...] = (
    statement("eq-12-prime", "order", _leading, c.gaussian, c.scheme("hf"), *_FROM_p_T, c.uniform),
    *(
        statement(f"eq-12-prime:{name}", "order", _leading, c.gaussian, c.scheme(name), *_FROM_p_T, c.uniform)
        for name in ("em", "ei", "ddpm")
    ),
    statement("eq-13", "order", _optimal_clock, c.a1, c.scheme("hf"), *_FROM_p_T),
    statement("section-7:floor", "order", _floor_grid, c.isotropic, c.spread, c.scheme("hf"), *_FROM_p_T),
    statement("eq-14", "order", _sharp, c.a1, c.scheme("hf"), *_FROM_p_T, c.uniform),
    statement("section-8:published", "order", _published, c.a1, c.scheme("em"), c.to_the_end, c.uniform),
    statement("section-8:score", "order", _score, c.a1, c.scheme("em"), c.to_the_end, c.uniform),
)
