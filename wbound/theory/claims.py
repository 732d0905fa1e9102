"""The other statements of docs/theory.md as objects, besides the theorems; and what all their formulas speak of.

Each takes a `Setting`, like the theorems, so that one test serves all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from wbound.bounds import ddpm, shared, theorem_1, theorem_2, theorem_3
from wbound.bounds.theorem_2 import THEOREM_2
from wbound.bounds.theorem_7_integrals import CLOSED, first_constant, second_constant
from wbound.data.beyond_log_concave import BoundedData
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import gaussian_data
from wbound.exact.floor import lower_bound
from wbound.exact.gaussian_law import EXACT_LAW, law, start_defects
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import SCHEMES
from wbound.statement import hypotheses as c
from wbound.statement.hypotheses import sigma0, statement
from wbound.statement.statement_object import Statement
from wbound.theory.affine_claims import AFFINE, affine_terms
from wbound.theory.identities import IDENTITIES
from wbound.theory.limits import LIMITS

__all__ = ["CLAIMS", "quantities"]


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


def _log_V(s: Setting) -> float:
    return math.log1p(c.constants(s)[1] * c.lam_T(s))


def _second_derivative(s: Setting) -> float:
    """C_2 at θ = 2 in closed form, in 1/x⁴."""
    return s.data.d * c.constants(s)[1] ** 2 * (CLOSED[0] + CLOSED[1] * _log_V(s)) / 16.0


_SDE = tuple(name for name, scheme in SCHEMES.items() if scheme.kind == "sde")
_FLOW = tuple(name for name, scheme in SCHEMES.items() if scheme.kind == "ode" and scheme.stages == 1)

#: By id. Theorems 1, 2, 3, the exact law and Proposition 1 stand where they are computed.
CLAIMS: tuple[Statement, ...] = (
    *IDENTITIES,
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
    *LIMITS,
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
        lambda s: 0.25 * first_constant(2.0, s.data.d, c.constants(s)[1], _log_V(s)),
        c.a1,
    ),
    statement(
        "flow-law", "exact", EXACT_LAW.evaluate, c.isotropic, c.scheme(*_FLOW), c.exact_score, c.to_the_end
    ),
    *AFFINE,
)


# ---------------------------------------------------------------------- what the formulas speak of


def quantities(s: Setting, statement: str = "theorem-2") -> dict[str, Any]:
    """The symbols of `wbound.statement.formulas` in a setting, in x-units, for K of a few: nodes and steps by their index.

    γ_k and e_0 are Theorem 1's own where ``statement`` is "theorem-1".
    Numbers that are too large or too small for doubles are not looked after here.
    """
    nodes, data, process, b = s.nodes, s.data, s.process, s.nodes.batch
    log_alpha, log_lam = nodes.log_alpha, nodes.log_lam
    lam = np.exp(log_lam)
    steps = s.scheme.steps(b)
    out: dict[str, Any] = {
        "K": nodes.K,
        "d": data.d,
        "T": nodes.T,
        "M": s.score_bias,
        "V": s.score_noise,
        "X_0": math.sqrt(data.second_moment),
        "mu": data.mean_norm,
        "alpha_T": math.exp(nodes.first[0]),
        "lambda_T": math.exp(nodes.first[1]),
        "tau": nodes.t,
        "alpha": np.exp(log_alpha),
        "lambda": lam,
        "H": _step_array(lam[:-1] - lam[1:]),
        "kappa": _step_array(np.exp(-0.5 * b.gap)),
        **{f"{name}(t)": partial(_at, getattr(process, name)) for name in ("alpha", "f", "g")},
        "lambda(t)": partial(_at, process.lam),
        "rate": lambda t: float(process.g(t) / process.alpha(t)) ** 2,
        **{key: value for key, value in process.parameters.items() if key.startswith(("sigma_", "rho"))},
    }
    if isinstance(data, BoundedData):
        out |= {"D": data.D, "s": data.tau}
    if data.A1 is not None:
        out |= {"m_0": data.A1[0], "L_0": data.A1[1], "P": 1.0 / (1.0 + data.A1[0] * lam)}
        out |= {"E_0": shared.start_error(data, s.start, process, *nodes.first)}
        out |= {"Psi": _step_array(data.psi(log_lam[1:], log_lam[:-1]))}
    law_ = data if isinstance(data, Gaussian) else None
    if law_ is not None and not np.ptp(law_.eigenvalues):
        out |= _exact_terms(s, float(law_.eigenvalues[0]))
        if law_.coordinates.any():
            del out["sigma_0"]  # section 6 is about centred data
    if statement == "theorem-7":
        out |= _heun_terms(s)
    elif s.scheme.kind == "sde":
        out |= _sharp_terms(s)
    elif data.A1 is not None and steps.flow is not None:
        out |= _flow_terms(s)
    if statement == "theorem-1":
        out |= _published_terms(s)
    return out | affine_terms(s, statement)


def _exact_terms(s: Setting, variance: float) -> dict[str, Any]:
    """Of N(μ, ς²I): section 3's recursions in x-units, and, where μ = 0, section 6's symbols."""
    nodes = s.nodes
    lam, alpha, steps = np.exp(nodes.log_lam), np.exp(nodes.log_alpha), s.scheme.steps(nodes.batch)
    w = variance + lam
    start = {"exact": w[0], "prior": lam[0], "standard": alpha[0] ** -2.0}[s.start]  # v_0/α_0²
    noise = s.score_noise**2 / s.data.d * steps.C**2
    sigma0 = math.sqrt(variance)
    missing, _ = start_defects(s.start, np.array([variance]), 1.0, s.process, *nodes.first, power=0.0)
    return {
        "sigma_0": sigma0,
        "w": w,
        "r": _step_array(steps.A - steps.C / (alpha[:-1] ** 2 * w[:-1])),
        "Q": _step_array(steps.Q + noise),
        "v_0": start * alpha[0] ** 2,
        "y_0": alpha[0] * float(s.data.mean_norm) if s.start == "exact" else 0.0,
        "delta": -float(missing[0]) * variance**2 / w[0] ** 2,
        "varrho": sigma0 / math.sqrt(w[0]),
    }


def _at(function: Callable[[float], Any], t: float) -> float:
    return float(function(t))


def _step_array(values: Any) -> np.ndarray:
    """By k = 1 … K."""
    return np.append(np.nan, np.asarray(values, float))


def _sharp_terms(s: Setting) -> dict[str, Any]:
    nodes, K = s.nodes, s.nodes.K
    unit = np.exp(nodes.log_alpha) * (1.0 + s.data.normaliser * np.exp(nodes.log_lam))
    terms = theorem_2.local(nodes.batch, s.data, s.scheme)
    per = {"b": unit[1:], "n2": unit[1:] ** 2, "C": unit[1:]}
    b, n2, C = (np.broadcast_to(getattr(terms, name), K) * by for name, by in per.items())
    gamma = np.exp(np.broadcast_to(terms.log_gamma, K)) * unit[1:] / unit[:-1]
    first = shared.start_term(s) * unit[0]
    return {
        "gamma": _step_array(gamma), "b": _step_array(b), "n": _step_array(np.sqrt(n2)), "C": _step_array(C),
        "e_0": first,
    }  # fmt: skip


def _flow_terms(s: Setting) -> dict[str, Any]:
    nodes = s.nodes
    assert s.data.A1 is not None
    lam, steps = np.exp(nodes.log_lam), s.scheme.steps(nodes.batch)
    unit = np.sqrt(1.0 + s.data.A1[0] * lam)
    gamma = np.exp(theorem_3.local(nodes.batch, s.data, s.scheme).log_gamma) * unit[1:] / unit[:-1]
    later = np.append(np.cumprod(gamma[::-1])[::-1], 1.0)
    c = steps.C * np.exp(-nodes.log_alpha[1:] - nodes.log_alpha[:-1])
    return {"gamma": _step_array(gamma), "P": later, "C": _step_array(c)}


def _heun_terms(s: Setting) -> dict[str, Any]:
    """Eq. 21's symbols, as they stand there."""
    nodes, steps = s.nodes, s.scheme.steps(s.nodes.batch)
    assert s.data.A1 is not None
    (m0, L0), lam, alpha = s.data.A1, np.exp(nodes.log_lam), np.exp(nodes.log_alpha)
    both = alpha[1:] * alpha[:-1]
    own, D = (steps.C, np.zeros(nodes.K)) if steps.corrector is None else steps.corrector
    a, b, c_, H = own / both, D / alpha[1:] ** 2, steps.C / both, lam[:-1] - lam[1:]
    m, ell = m0 / (1.0 + m0 * lam), L0 / (1.0 + L0 * lam)

    def g(number: np.ndarray, at: slice) -> np.ndarray:
        return np.maximum(np.abs(1.0 - number * m[at]), np.abs(1.0 - number * ell[at]))

    before, after, two = slice(None, -1), slice(1, None), b > 0.0
    gamma = np.where(two, 0.5 + 0.5 * g(c_, before) * g(2.0 * b, after), g(a, before))
    log_V = math.log1p(L0 * float(lam[0]))
    return {
        "P": np.append(np.cumprod(gamma[::-1])[::-1], 1.0), "m": m, "ell": ell,
        "a": _step_array(a), "b": _step_array(b), "c": _step_array(c_), "iota": _step_array(two),
        "G_0": _step_array(np.where(two, np.abs(H / 4.0 - b), 0.0)),
        "G_1": _step_array(np.where(two, 0.5 * b * ell[1:], 0.5)),
        "C_2(t)": lambda theta: s.data.d * L0**2 * second_constant(theta, L0 / m0, log_V),
    }  # fmt: skip


def _published_terms(s: Setting) -> dict[str, Any]:
    nodes = s.nodes
    assert s.M1 is not None and s.data.A1 is not None
    unit = np.exp(nodes.log_alpha) * (1.0 + s.data.A1[0] * np.exp(nodes.log_lam))
    terms = theorem_1.local(nodes.batch, s.process, s.data, s.M1)
    return {
        "gamma": _step_array(np.exp(terms.log_gamma) * unit[1:] / unit[:-1]),
        "D": _step_array(terms.D * unit[1:]),
        "G": _step_array(terms.G * unit[1:]),
        "M_1": s.M1,
        "eta": nodes.T / nodes.K,
        "omega": theorem_1.moment_supremum(s.process, s.data, nodes.T),
        "e_0": theorem_1.start_at(s.data, s.start, s.process, *nodes.first) * unit[0],
    }
