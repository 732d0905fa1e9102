"""The other numbered statements of docs/theory.md that the code computes, as objects; and what their formulas speak of.

Each takes a `Setting`, like the theorems, so that one test serves all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wbound import ode, published, sharp
from wbound.data import Gaussian, growth
from wbound.errors import HypothesisFailed
from wbound.gaussian import EXACT_LAW, gaussian_data, law, lower_bound
from wbound.leading import DENSITIES, leading_constants
from wbound.schemes import SCHEMES
from wbound.setting import Hypothesis, Setting, Statement
from wbound.sharp import THEOREM_2

__all__ = ["CLAIMS", "quantities"]

HERE = "derived here"


def _if(statement: str, name: str, holds: Callable[[Setting], bool], why: str) -> Hypothesis:
    def check(s: Setting) -> None:
        if not holds(s):
            raise HypothesisFailed(statement, name, why)

    return Hypothesis(name, check)


def _a1(statement: str) -> Hypothesis:
    why = "the data are not strongly log-concave with Lipschitz score"
    return _if(statement, "A1", lambda s: s.data.A1 is not None, why)


def _scheme(statement: str, *names: str) -> Hypothesis:
    name = "scheme " + " or ".join(names)
    return _if(statement, name, lambda s: s.scheme.name in names, f"{name} is needed")


def _exact_score(statement: str) -> Hypothesis:
    return _if(
        statement, "exact score", lambda s: not s.score_bias and not s.score_noise, "the score has an error"
    )


def _to_the_end(statement: str) -> Hypothesis:
    return _if(statement, "lambda_K = 0", lambda s: not s.nodes.stopped_early, "the sampler stops early")


def _exact_start(statement: str) -> Hypothesis:
    return _if(statement, "start exact", lambda s: s.start == "exact", "another start adds its own error")


def _uniform(statement: str) -> Hypothesis:
    return _if(statement, "uniform grid", lambda s: s.nodes.uniform, "the grid given is another")


def _isotropic(statement: str) -> Hypothesis:
    def holds(s: Setting) -> bool:
        data = gaussian_data(s.data)
        return not np.ptp(data.eigenvalues) and not data.coordinates.any() and bool(data.eigenvalues[0] > 0.0)

    return _if(statement, "data N(0, sigma0^2 I)", holds, "the data are not centred and isotropic")


def _gaussian(statement: str) -> Hypothesis:
    def check(s: Setting) -> None:
        try:
            gaussian_data(s.data)
        except HypothesisFailed as failed:
            raise HypothesisFailed(statement, "Gaussian data", failed.detail) from None

    return Hypothesis("Gaussian data", check)


def _sigma0(s: Setting) -> float:
    return math.sqrt(float(gaussian_data(s.data).eigenvalues[0]))


def _lam_T(s: Setting) -> float:
    return math.exp(s.nodes.first[1])


def _constants(s: Setting) -> tuple[float, float]:
    assert s.data.A1 is not None
    return s.data.A1


# ---------------------------------------------------------------------- what they compute


def _hessian(s: Setting) -> float:
    """L*(T): the largest eigenvalue of −∇²log p_T is at most this, in 1/x²."""
    log_alpha, log_lam = s.nodes.first
    return float(s.data.L(log_lam)) * math.exp(-2.0 * log_alpha)


def _moment(s: Setting) -> float:
    log_alpha, log_lam = s.nodes.first
    at = np.array([log_lam])
    size = float(s.data.excess(at)[0]) + s.data.d / float(s.data.L(log_lam))
    return math.exp(2.0 * log_alpha) * size


def _martingale(s: Setting) -> float:
    log_lam = s.nodes.log_lam
    return float(s.data.d * s.data.psi(log_lam[1], log_lam[0]))


def _contraction(s: Setting) -> float:
    b = s.nodes.batch
    return float(growth(_constants(s)[0], b.log_lam_lo, b.log_lam_hi, b.ratio).sum())


def _parts(s: Setting) -> sharp.Parts:
    scale, extra = sharp.output(s)
    p = sharp.sums(s)
    return sharp.Parts(p.start * scale, p.bias * scale + extra, p.noise * scale, p.score * scale)


def _defect(s: Setting) -> float:
    return float(law(s, np.array([_sigma0(s) ** 2])).excess[0])


def _steps_needed(s: Setting) -> float:
    """K of Eq. 12 at ε = this setting's own W2: its K is no smaller."""
    return lower_bound(s.data.d, _sigma0(s), float(EXACT_LAW(s)), _lam_T(s)).K


def _leading(s: Setting) -> float:
    return leading_constants(s.process, s.data, s.nodes.T, scheme=s.scheme).w2(s.nodes.K)


def _optimal_clock(s: Setting) -> float:
    L0 = _constants(s)[1]
    # the density at λ = 0 is the integral of 1/rate
    log_integral = float(DENSITIES["optimal"](np.array(-np.inf), s.nodes.first[1], s.data))
    return math.sqrt(s.data.d / 3.0) / s.nodes.K * (L0 ** (2.0 / 3.0) * math.exp(log_integral)) ** 1.5


def _statement(
    id: str, kind: str, evaluate: Callable[[Setting], Any], *hypotheses: Any, source: str = HERE
) -> Statement:
    """hypotheses: makers, which are told the statement's name."""
    blank = Statement(id, source, kind, (), evaluate)
    return Statement(id, source, kind, tuple(make(blank.name) for make in hypotheses), evaluate)


def _scheme_of(*names: str) -> Callable[[str], Hypothesis]:
    return lambda statement: _scheme(statement, *names)


_SDE = tuple(name for name, scheme in SCHEMES.items() if scheme.kind == "sde")


def _far(statement: str) -> Hypothesis:
    return _if(
        statement,
        "m_0 lambda(T) > 1",
        lambda s: _constants(s)[0] * _lam_T(s) > 1.0,
        "the start is too near to the data",
    )


def _mean_known(statement: str) -> Hypothesis:
    return _if(statement, "a known mean", lambda s: s.data.mean_norm is not None, "|E X_0| is not given")


#: By id. Theorems 1, 2, 3, the exact law and Proposition 1 stand where they are computed.
CLAIMS: tuple[Statement, ...] = (
    _statement("eq-4", "upper", _hessian, _a1),
    _statement("lemma-2", "exact", _moment, _a1),
    _statement("lemma-3", "upper", _martingale, _a1),
    _statement("eq-6", "exact", _contraction, _a1, _to_the_end),
    Statement("theorem-2-prime", THEOREM_2.source, "upper", THEOREM_2.hypotheses, THEOREM_2.evaluate),
    _statement("eq-7-prime", "upper", lambda s: sum(_parts(s)), _scheme_of(*_SDE)),
    _statement("eq-7-second", "upper", lambda s: _parts(s).additive, _scheme_of(*_SDE), _to_the_end),
    _statement(
        "eq-8", "upper", lambda s: float(s.data.start_error(s.nodes.first[1])), _a1, _mean_known, _far
    ),
    _statement("eq-9", "upper", THEOREM_2.evaluate, _a1, _scheme_of("hf"), _exact_score, _to_the_end),
    _statement("eq-9-second", "upper", sharp.ancestral, _a1, _scheme_of("ddpm"), _to_the_end),
    _statement("eq-10", "exact", _defect, _isotropic, _scheme_of("hf"), _exact_score, _to_the_end),
    _statement("eq-10-prime", "exact", _defect, _isotropic, _scheme_of("ddpm"), _exact_score, _to_the_end),
    _statement(
        "eq-12", "lower", _steps_needed, _isotropic, _scheme_of("hf"), _exact_score, _exact_start, _to_the_end
    ),
    _statement(
        "eq-12-prime",
        "order",
        _leading,
        _gaussian,
        _scheme_of("hf"),
        _exact_score,
        _exact_start,
        _to_the_end,
        _uniform,
    ),
    _statement(
        "eq-13", "order", _optimal_clock, _a1, _scheme_of("hf"), _exact_score, _exact_start, _to_the_end
    ),
)


# ---------------------------------------------------------------------- what the formulas speak of


def quantities(s: Setting, statement: str = "theorem-2") -> dict[str, Any]:
    """The symbols of `wbound.formulas` in a setting, in x-units, for K of a few: nodes and steps by their index.

    γ_k and e_0 are Theorem 1's own where ``statement`` is "theorem-1".
    Numbers that are too large or too small for doubles are not looked after here.
    """
    nodes, data, b = s.nodes, s.data, s.nodes.batch
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
        "alpha": np.exp(log_alpha),
        "lambda": lam,
        "H": _step_array(lam[:-1] - lam[1:]),
        "kappa": _step_array(np.exp(-0.5 * b.gap)),
    }
    if data.A1 is not None:
        out |= {"m_0": data.A1[0], "L_0": data.A1[1], "P": 1.0 / (1.0 + data.A1[0] * lam)}
        out |= {"E_0": sharp.start_error(data, s.start, *nodes.first)}
        out |= {"Psi": _step_array(data.psi(log_lam[1:], log_lam[:-1]))}
    law_ = data if isinstance(data, Gaussian) else None
    if law_ is not None and not np.ptp(law_.eigenvalues) and not law_.coordinates.any():
        out |= _exact_terms(s, float(law_.eigenvalues[0]))
    if s.scheme.kind == "sde":
        out |= _sharp_terms(s)
    elif data.A1 is not None and steps.flow is not None:
        out |= _flow_terms(s)
    if statement == "theorem-1":
        out |= _published_terms(s)
    return out


def _exact_terms(s: Setting, variance: float) -> dict[str, Any]:
    """Of N(0, ς²I): section 3's recursion in x-units, and section 6's symbols."""
    nodes, process = s.nodes, s.process
    lam, alpha, steps = np.exp(nodes.log_lam), np.exp(nodes.log_alpha), s.scheme.steps(nodes.batch)
    w = variance + lam
    start = {"exact": w[0], "prior": lam[0], "standard": alpha[0] ** -2.0}[s.start]  # v_0/α_0²
    noise = s.score_noise**2 / s.data.d * steps.C**2
    sigma0 = math.sqrt(variance)
    return {
        "sigma_0": sigma0,
        "w": w,
        "r": _step_array(steps.A - steps.C / (alpha[:-1] ** 2 * w[:-1])),
        "Q": _step_array(steps.Q + noise),
        "v_0": start * alpha[0] ** 2,
        "delta": (w[0] - start) * variance**2 / w[0] ** 2,
        "varrho": sigma0 / math.sqrt(w[0]),
        "lambda(t)": lambda t: float(process.lam(t)),
        "rate": lambda t: float(process.g(t) / process.alpha(t)) ** 2,
    }


def _step_array(values: Any) -> np.ndarray:
    """By k = 1 … K."""
    return np.append(np.nan, np.asarray(values, float))


def _sharp_terms(s: Setting) -> dict[str, Any]:
    nodes, K = s.nodes, s.nodes.K
    unit = np.exp(nodes.log_alpha) * (1.0 + s.data.normaliser * np.exp(nodes.log_lam))
    terms = sharp.local(nodes.batch, s.data, s.scheme)
    per = {"b": unit[1:], "n2": unit[1:] ** 2, "C": unit[1:]}
    b, n2, C = (np.broadcast_to(getattr(terms, name), K) * by for name, by in per.items())
    gamma = np.exp(np.broadcast_to(terms.log_gamma, K)) * unit[1:] / unit[:-1]
    first = sharp.start_term(s) * unit[0]
    return {
        "gamma": _step_array(gamma), "b": _step_array(b), "n": _step_array(np.sqrt(n2)), "C": _step_array(C),
        "e_0": first,
    }  # fmt: skip


def _flow_terms(s: Setting) -> dict[str, Any]:
    nodes = s.nodes
    assert s.data.A1 is not None
    lam, steps = np.exp(nodes.log_lam), s.scheme.steps(nodes.batch)
    unit = np.sqrt(1.0 + s.data.A1[0] * lam)
    gamma = np.exp(ode.local(nodes.batch, s.data, s.scheme).log_gamma) * unit[1:] / unit[:-1]
    later = np.append(np.cumprod(gamma[::-1])[::-1], 1.0)
    c = steps.C * np.exp(-nodes.log_alpha[1:] - nodes.log_alpha[:-1])
    return {"gamma": _step_array(gamma), "P": later, "C": _step_array(c)}


def _published_terms(s: Setting) -> dict[str, Any]:
    nodes = s.nodes
    assert s.M1 is not None and s.data.A1 is not None
    unit = np.exp(nodes.log_alpha) * (1.0 + s.data.A1[0] * np.exp(nodes.log_lam))
    terms = published.local(nodes.batch, s.process, s.data, s.M1)
    return {
        "gamma": _step_array(np.exp(terms.log_gamma) * unit[1:] / unit[:-1]),
        "D": _step_array(terms.D * unit[1:]),
        "G": _step_array(terms.G * unit[1:]),
        "M_1": s.M1,
        "eta": nodes.T / nodes.K,
        "omega": published.moment_supremum(s.process, s.data, nodes.T),
        "e_0": published.start_at(s.data, s.start, *nodes.first) * unit[0],
    }
