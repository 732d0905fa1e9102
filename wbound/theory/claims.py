"""The other statements of docs/theory.md as objects, besides the theorems.

Each takes a `Setting`, like the theorems, so that one test serves all.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from wbound.bounds import ddpm, shared, theorem_2
from wbound.bounds.theorem_2 import THEOREM_2
from wbound.data.log_concave import gaussian_data
from wbound.exact.floor import lower_bound
from wbound.exact.gaussian_law import EXACT_LAW, law
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import SCHEMES
from wbound.statement import hypotheses as c
from wbound.statement.hypotheses import sigma0, statement
from wbound.statement.statement_object import Statement
from wbound.theory.identities import IDENTITIES
from wbound.theory.limits import LIMITS

__all__ = ["CLAIMS"]


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
    statement("eq-10", "exact", _defect, c.isotropic, c.spread, c.scheme("hf"), c.exact_score, c.to_the_end),
    statement(
        "eq-10-prime", "exact", _defect, c.isotropic, c.spread, c.scheme("ddpm"), c.exact_score, c.to_the_end
    ),
    statement("eq-11", "lower", _cauchy_schwarz, c.isotropic, c.spread, c.to_the_end),
    statement(
        "eq-12",
        "lower",
        _steps_needed,
        c.isotropic,
        c.spread,
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
        c.spread,
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
    statement(
        "flow-law",
        "exact",
        EXACT_LAW.evaluate,
        c.isotropic,
        c.spread,
        c.scheme(*_FLOW),
        c.exact_score,
        c.to_the_end,
    ),
)
