"""The other statements of docs/theory.md as objects, besides the theorems.

Each takes a `Setting`, like the theorems, so that one test serves all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial

import numpy as np

from wbound.bounds import ddpm, shared, theorem_2
from wbound.bounds.theorem_2 import THEOREM_2
from wbound.bounds.theorem_3 import THEOREM_3
from wbound.bounds.theorem_7_integrals import CLOSED
from wbound.calculus.quadrature import integrate
from wbound.calculus.stable import growth, softplus
from wbound.data.log_concave import gaussian_data
from wbound.exact.floor import lower_bound
from wbound.exact.flow_in_time import limit_variance
from wbound.exact.gaussian_law import EXACT_LAW, law
from wbound.exact.leading_order import DENSITIES, leading_constants
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import SCHEMES
from wbound.statement import hypotheses as c
from wbound.statement.hypotheses import sigma0, statement
from wbound.statement.statement_object import Statement
from wbound.theory.affine_claims import AFFINE
from wbound.typing import Array

__all__ = ["CLAIMS"]


# ---------------------------------------------------------------------- sections 0 to 3


PUBLISHED = "Gao, Nguyen & Zhu, arXiv 2311.11003"
PIERRET = "after Pierret & Galerne, arXiv 2405.14250; derived here"


def _lam(s: Setting) -> float:
    return float(s.process.lam(s.nodes.T))


def _roughness_in_time(s: Setting) -> float:
    """A2's M_1 on [0, T], in 1/(x² time)."""
    return float(gaussian_data(s.data).M1(s.process, s.nodes.T))


def _hessian(s: Setting) -> float:
    """L*(T): the largest eigenvalue of −∇²log p_T is at most this, in 1/x²."""
    log_alpha, log_lam = s.nodes.first
    return float(s.data.L(log_lam)) * math.exp(-2.0 * log_alpha)


def _convexity(s: Setting) -> float:
    """m(T): the smallest eigenvalue is at least this, in 1/x²."""
    log_alpha, log_lam = s.nodes.first
    return float(s.data.m(log_lam)) * math.exp(-2.0 * log_alpha)


def _published_hessian(s: Setting) -> float:
    """L(T) = min(1/σ², L_0/α²), in 1/x²."""
    log_alpha, log_lam = s.nodes.first
    return math.exp(min(-log_lam, math.log(c.constants(s)[1])) - 2.0 * log_alpha)


def _moment(s: Setting) -> float:
    log_alpha, log_lam = s.nodes.first
    size = float(s.data.excess(np.array([log_lam]))[0]) + s.data.d / float(s.data.L(log_lam))
    return math.exp(2.0 * log_alpha) * size


def _roughness(s: Setting) -> float:
    """R(λ(T)) ≤ this, in 1/x⁴."""
    return float(s.data.d * s.data.L(s.nodes.first[1]) ** 2)


def _increment(s: Setting) -> float:
    """E|M_1 − M_0|² over the first step: of a Gaussian, of its score's variance in y-units, in 1/x²."""
    values = gaussian_data(s.data).eigenvalues[:, None]
    before, after = (1.0 / (values + np.exp(at)) for at in s.nodes.log_lam[:2])
    return float((after - before).sum())


def _martingale(s: Setting) -> float:
    log_lam = s.nodes.log_lam
    return float(s.data.d * s.data.psi(log_lam[1], log_lam[0]))


def _regression(s: Setting) -> float:
    """What E[Y_{t_1} | Y_0] multiplies Y_0 by, for N(0, σ_0²I): A_1 − C_1/w_0 of hf."""
    b, w = s.nodes.batch, c.sigma0(s) ** 2 + c.lam_T(s)
    return float(np.exp(b.steps.F[0]) - b.steps.C[0] * math.exp(-2.0 * s.nodes.first[0]) / w)


def _flow_step(s: Setting) -> float:
    """c_1 of an ODE scheme, in y-units."""
    return float(s.scheme.steps(s.nodes.batch).C[0] * np.exp(-s.nodes.log_alpha[:2].sum()))


def _called(name: str, process: Process) -> bool:
    return process.name == name


def _contraction(s: Setting) -> float:
    b = s.nodes.batch
    return float(growth(c.constants(s)[0], b.log_lam_lo, b.log_lam_hi, b.ratio).sum())


# ---------------------------------------------------------------------- bounds, exact laws


def _parts(s: Setting) -> shared.Parts:
    scale, extra = shared.output(s)
    p = theorem_2.sums(s)
    return shared.Parts(p.start * scale, p.bias * scale + extra, p.noise * scale, p.score * scale)


def _defect(s: Setting) -> float:
    return float(law(s, np.array([sigma0(s) ** 2])).excess[0])


def _mean_error(s: Setting) -> float:
    """|E y_K − E X_0|, in x."""
    data = gaussian_data(s.data)
    return float(abs(law(s, data.eigenvalues[:1]).mean[0]) * np.linalg.norm(data.coordinates))


def _cauchy_schwarz(s: Setting) -> float:
    """Eq. 11's right side, in 1/x²."""
    inverse = 1.0 / sigma0(s)
    return 4.0 / s.nodes.K * (inverse - 1.0 / math.sqrt(sigma0(s) ** 2 + c.lam_T(s))) ** 2


def _steps_needed(s: Setting) -> float:
    """K of Eq. 12 at ε = this setting's own W2: its K is no smaller."""
    return lower_bound(s.data.d, sigma0(s), float(EXACT_LAW(s)), c.lam_T(s)).K


def _steps_needed_prior(s: Setting) -> float:
    """The same from the prior, at the smallest θ that the proviso allows."""
    size, eps = sigma0(s), float(EXACT_LAW(s))
    u = eps / (size * math.sqrt(s.data.d))
    theta = (size**2 / (size**2 + c.lam_T(s))) ** 2 / (2.0 * u + u * u)
    least = theta * (1.0 + 1e-12)  # so that rounding does not break the proviso
    return lower_bound(s.data.d, size, eps, c.lam_T(s), start="prior", theta=least).K


def _through_the_exact_start(s: Setting) -> float:
    """W2 from p_T to the data, and from there to the output from the prior."""
    data = gaussian_data(s.data)
    near, prior = (law(dataclasses.replace(s, start=name), data.eigenvalues) for name in ("exact", "prior"))
    one, two = (np.sqrt(np.maximum(data.eigenvalues + at.excess, 0.0)) for at in (near, prior))
    between = (one - two) ** 2 + ((near.mean - prior.mean) * data.coordinates) ** 2
    return float(EXACT_LAW(dataclasses.replace(s, start="exact"))) + math.sqrt(float(between.sum()))


def _from_standard(s: Setting) -> float:
    """e_0 from N(0, I), in x."""
    log_alpha, log_lam = s.nodes.first
    return math.exp(log_alpha) * shared.start_error(s.data, "standard", s.process, log_alpha, log_lam)


def _frozen_rate(s: Setting) -> float:
    """‖dS/dΛ‖² at λ(T), ¼N with N = −R′ − E tr 𝓗³, in 1/x⁶."""
    w = sigma0(s) ** 2 + c.lam_T(s)
    return 0.25 * s.data.d * (2.0 / w**3 - 1.0 / w**3)


def _without_steps(kind: str, s: Setting) -> float:
    """The variance of a coordinate where the grid ends, of the reverse SDE or the flow from the setting's start, in x-units."""
    log_alpha, lam = s.nodes.log_alpha, np.exp(s.nodes.log_lam)
    before, after = (math.exp(2.0 * log_alpha[i]) * (sigma0(s) ** 2 + lam[i]) for i in (0, -1))
    begun = {"exact": before, "prior": math.exp(2.0 * log_alpha[0]) * lam[0], "standard": 1.0}[s.start]
    start, w_T, w_end = (np.array([x]) for x in (begun, before, after))
    return float(limit_variance(kind, start, w_T, w_end, float(log_alpha[0] - log_alpha[-1]))[0])


def _log_V(s: Setting) -> float:
    return math.log1p(c.constants(s)[1] * c.lam_T(s))


def _second_derivative(s: Setting) -> float:
    """C_2 at θ = 2 in closed form, in 1/x⁴."""
    return s.data.d * c.constants(s)[1] ** 2 * (CLOSED[0] + CLOSED[1] * _log_V(s)) / 16.0


# ---------------------------------------------------------------------- limits, K → ∞


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


# ---------------------------------------------------------------------- the table


_SDE = tuple(name for name, scheme in SCHEMES.items() if not scheme.flow)
_FLOW = tuple(name for name, scheme in SCHEMES.items() if THEOREM_3.takes(scheme))

#: By id. Theorems 1, 2, 3, the exact law and Proposition 1 stand where they are computed.
CLAIMS: tuple[Statement, ...] = (
    statement(
        "eq-2", "exact", lambda s: float(s.process.sigma2(s.nodes.T)), c.coefficients, source=PUBLISHED
    ),
    statement("eq-3", "exact", _lam, c.coefficients, source=PUBLISHED),
    statement("section-1:ve", "exact", _lam, c.process("VE", lambda p: p.family == "ve"), source=PUBLISHED),
    statement("section-1:vp", "exact", _lam, c.process("VP", lambda p: p.kappa == 1.0), source=PUBLISHED),
    statement("section-1:ou", "exact", _lam, c.process("ou", lambda p: p.name == "ou"), source=PUBLISHED),
    statement(
        "section-1:sub-vp",
        "exact",
        _lam,
        c.process("sub-vp", lambda p: p.name == "sub-vp"),
        source="Song et al., arXiv 2011.13456",
    ),
    statement("assumption-a2:gaussian", "upper", _roughness_in_time, c.a1, c.gaussian, source=PUBLISHED),
    statement("lemma-1:m", "lower", _convexity, c.a1, source=PUBLISHED, covers=("eq-4",)),
    statement("lemma-1:L", "upper", _published_hessian, c.a1, source=PUBLISHED, covers=("eq-4",)),
    statement("eq-4", "upper", _hessian, c.a1, covers=("lemma-1",)),
    statement("lemma-2", "exact", _moment, c.a1),
    statement("lemma-2:score", "exact", lambda s: -float(s.data.d), c.a1),
    statement("lemma-2:J", "upper", lambda s: s.data.d * _hessian(s), c.a1),
    statement("lemma-3", "upper", _martingale, c.a1),
    statement("lemma-3:R", "upper", _roughness, c.a1),
    statement("lemma-3:increment", "exact", _increment, c.gaussian),
    statement("lemma-3:mean", "exact", _regression, c.isotropic),
    statement("section-3:hf", "exact", lambda s: float(s.scheme.steps(s.nodes.batch).C[0]), c.scheme("hf")),
    statement("section-3:ei", "exact", lambda s: float(s.scheme.steps(s.nodes.batch).C[0]), c.scheme("ei")),
    statement(
        "section-3:ddpm", "exact", lambda s: float(s.scheme.steps(s.nodes.batch).Q[0]), c.scheme("ddpm")
    ),
    statement("eq-6", "exact", _contraction, c.a1, c.to_the_end),
    *(
        statement(
            f"section-9:{name}",
            "exact",
            _lam,
            c.process(f"image-ve-{name}", partial(_called, f"image-ve-{name}")),
            source="Song et al., arXiv 2011.13456" if name == "original" else PUBLISHED,
        )
        for name in ("original", "v1", "v2", "v3")
    ),
    *(
        statement(f"theorem-3:{name}", "exact", _flow_step, c.scheme(name))
        for name in ("ode-hf", "ddim", "ode-ei")
    ),
    statement(
        "exact-law:mean",
        "exact",
        _mean_error,
        c.one_eigenvalue,
        c.scheme(*_SDE),
        c.unbiased,
        c.to_the_end,
    ),
    statement(
        "theorem-2-prime",
        "upper",
        THEOREM_2.evaluate,
        c.profile,
        c.scheme(*_SDE),
        source=THEOREM_2.source,
    ),
    statement("theorem-2:Psi", "exact", lambda s: float(s.data.psi(*s.nodes.log_lam[1::-1])), c.a1),
    statement("eq-7-prime", "upper", lambda s: sum(_parts(s)), c.profile, c.scheme(*_SDE), c.to_the_end),
    statement("eq-7-second", "upper", lambda s: _parts(s).additive, c.profile, c.scheme(*_SDE), c.to_the_end),
    statement(
        "eq-8",
        "upper",
        lambda s: float(s.data.start_error(s.nodes.first[1])),
        c.a1,
        c.mean_known,
        c.far,
    ),
    statement("eq-8:standard", "upper", _from_standard, c.a1, c.mean_known, c.far, c.start("standard")),
    statement("eq-9", "upper", THEOREM_2.evaluate, c.a1, c.scheme("hf"), c.exact_score, c.to_the_end),
    statement(
        "eq-9-prime",
        "upper",
        lambda s: sum(ddpm.ancestral_sums(s)),
        c.a1,
        c.scheme("ddpm"),
        c.no_noise,
        c.to_the_end,
    ),
    statement("eq-9-second", "upper", ddpm.ancestral, c.a1, c.scheme("ddpm"), c.no_noise, c.to_the_end),
    statement("eq-10", "exact", _defect, c.isotropic, c.scheme("hf"), c.exact_score, c.to_the_end),
    statement("eq-10-prime", "exact", _defect, c.isotropic, c.scheme("ddpm"), c.exact_score, c.to_the_end),
    statement("eq-11", "lower", _cauchy_schwarz, c.isotropic, c.to_the_end),
    statement(
        "eq-12",
        "lower",
        _steps_needed,
        c.isotropic,
        c.scheme("hf"),
        c.exact_score,
        c.start("exact"),
        c.to_the_end,
    ),
    statement(
        "eq-12:prior",
        "lower",
        _steps_needed_prior,
        c.isotropic,
        c.scheme("hf"),
        c.exact_score,
        c.start("prior"),
        c.to_the_end,
    ),
    statement("eq-12-prime", "order", _leading, c.gaussian, c.scheme("hf"), *_FROM_p_T, c.uniform),
    *(
        statement(f"eq-12-prime:{name}", "order", _leading, c.gaussian, c.scheme(name), *_FROM_p_T, c.uniform)
        for name in ("em", "ei", "ddpm")
    ),
    statement("eq-13", "order", _optimal_clock, c.a1, c.scheme("hf"), *_FROM_p_T),
    statement("section-7:floor", "order", _floor_grid, c.isotropic, c.scheme("hf"), *_FROM_p_T),
    statement("eq-14", "order", _sharp, c.a1, c.scheme("hf"), *_FROM_p_T, c.uniform),
    statement("section-8:published", "order", _published, c.a1, c.scheme("em"), c.to_the_end, c.uniform),
    statement("section-8:score", "order", _score, c.a1, c.scheme("em"), c.to_the_end, c.uniform),
    statement("exact-iterations", "upper", _through_the_exact_start, c.gaussian, c.exact_score, c.to_the_end),
    statement(
        "profiles:m",
        "exact",
        lambda s: float(s.data.m(s.nodes.first[1])),
        c.bounded,
        source="derived here, after Arsenyan, Vardanyan & Dalalyan, arXiv 2506.09681",
        covers=("section-10",),
    ),
    statement("profiles:L", "upper", lambda s: float(s.data.L(s.nodes.first[1])), c.bounded),
    statement("profiles:early", "upper", THEOREM_2.evaluate, c.profile, c.scheme(*_SDE), c.stops_early),
    statement("lemma-5", "exact", _frozen_rate, c.isotropic),
    statement("flow-derivatives", "upper", _second_derivative, c.a1, covers=("lemma-5",)),
    statement(
        "flow-derivatives:first",
        "upper",
        lambda s: 0.25 * shared.decay_constant(2.0, s.data, s.nodes.first[1]),
        c.a1,
    ),
    *(
        statement(id, "exact", partial(_without_steps, kind), c.isotropic, c.exact_score, source=PIERRET)
        for id, kind in (("limits-without-steps", "sde"), ("limits-without-steps:flow", "ode"))
    ),
    statement(
        "flow-law",
        "exact",
        EXACT_LAW.evaluate,
        c.isotropic,
        c.scheme(*_FLOW),
        c.exact_score,
        c.to_the_end,
    ),
    *AFFINE,
)
