"""What a displayed formula of the theory comes to in a setting, evaluated as it stands: the symbols it speaks of, and
its sums, products, integrals and suprema in floats."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
from drawn_levels import by_quadrature
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from wbound.bounds import shared, theorem_1, theorem_2, theorem_3
from wbound.bounds.root_floor import absolute_nodes
from wbound.bounds.theorem_7_integrals import second_constant
from wbound.calculus.elliptic import groetzsch_root
from wbound.data.beyond_log_concave import BoundedData
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import gaussian_data
from wbound.exact.gaussian_law import start_defects
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import SCHEMES
from wbound.sampler.tangent_law import tangent_density
from wbound.sampler.tape import Tape
from wbound.sampler.tape_of_scheme import tape_of
from wbound.statement.formula import Formula, Supremum
from wbound.statement.hypotheses import lam_T, sigma0
from wbound.theory.affine_claims import theorem_4_nodes
from wbound.typing import Array

#: Functions of time by their names in LaTeX, as the terms name them.
FUNCTIONS = {
    r"\dot{\lambda}": "rate",
    **{name: f"{name}(t)" for name in ("lambda", "alpha", "f", "g", "C_2")},
}


def formula_value(formula: Formula, terms: Mapping[str, Any]) -> float:
    """The right side of a formula in floats. terms: numbers by symbol, sequences for indexed symbols (by their index), and
    functions of one number."""
    if not formula.recursive:
        return evaluated(formula.claim.rhs, terms)
    known = {**terms, formula.recursive: [evaluated(formula.first, terms)]}
    for k in range(1, int(terms["K"]) + 1):
        step = evaluated(formula.claim.rhs, {**known, "k": k})
        known[formula.recursive].append(math.sqrt(step) if formula.root else step)
    if formula.last is None:
        return float(known[formula.recursive][-1])
    return evaluated(formula.last, known)


def evaluated(expr: Any, terms: Mapping[str, Any]) -> float:
    """A sympy expression in floats: sums and products term by term, integrals by quadrature."""
    if isinstance(expr, sp.Sum | sp.Product):
        index, low, high = expr.limits[0]
        if high is sp.oo:
            return _infinite_product(expr, terms)
        ends = range(round(evaluated(low, terms)), round(evaluated(high, terms)) + 1)
        values = [evaluated(expr.function, {**terms, str(index): i}) for i in ends]
        return math.fsum(values) if isinstance(expr, sp.Sum) else math.prod(values)
    if isinstance(expr, sp.Integral):
        return _integral(expr, terms)
    if isinstance(expr, Supremum):
        return _supremum(expr, terms)
    if isinstance(expr, sp.Indexed):
        return float(terms[str(expr.base)][round(evaluated(expr.indices[0], terms))])
    if isinstance(expr, sp.Symbol):
        return float(terms[str(expr)])
    if isinstance(expr, sp.core.function.AppliedUndef):
        return float(terms[FUNCTIONS[str(expr.func)]](evaluated(expr.args[0], terms)))
    if expr.is_Number or expr.is_NumberSymbol:
        return float(expr)
    parts = [evaluated(a, terms) for a in expr.args]
    if isinstance(expr, sp.Add):
        return math.fsum(parts)
    if isinstance(expr, sp.Mul):
        return math.prod(parts)
    if isinstance(expr, sp.Pow):
        return float(parts[0] ** parts[1])
    named: dict[str, Callable[..., float]] = {
        "Max": max,
        "Min": min,
        "Abs": abs,
        "exp": math.exp,
        "log": math.log,
        "cos": math.cos,
        "sinh": math.sinh,
        "atan": math.atan,
    }
    return float(named[type(expr).__name__](*parts))


def _infinite_product(expr: sp.Product, terms: Mapping[str, Any]) -> float:
    """Of factors that tend to 1 geometrically: until one is 1 to rounding."""
    index, low, _ = expr.limits[0]
    whole, i, factor = 1.0, round(evaluated(low, terms)), 0.0
    while abs(factor - 1.0) > 1e-16:
        factor = evaluated(expr.function, {**terms, str(index): i})
        whole, i = whole * factor, i + 1
    return whole


def _supremum(expr: Supremum, terms: Mapping[str, Any]) -> float:
    """The largest of 400 values, and of what a search finds around it."""
    inner, variable, end = expr.args
    T, n = evaluated(end, terms), 400

    def below(x: float) -> float:
        return -evaluated(inner, {**terms, str(variable): x})

    values = [below(T * i / n) for i in range(n + 1)]
    i = values.index(min(values))
    ends = (T * max(i - 1, 0) / n, T * min(i + 1, n) / n)
    found = minimize_scalar(below, bounds=ends, method="bounded", options={"xatol": 1e-9 * T})
    return -min(values[i], float(found.fun))


def _integral(expr: sp.Integral, terms: Mapping[str, Any]) -> float:
    variable, low, high = expr.limits[0]
    a, b = evaluated(low, terms), evaluated(high, terms)

    def integrand(x: float) -> float:
        return evaluated(expr.function, {**terms, str(variable): x})

    return float(quad(integrand, a, b, epsabs=0.0, epsrel=1e-11, limit=200)[0])


# ---------------------------------------------------------------------- what the formulas speak of


def quantities(s: Setting, statement: str = "theorem-2") -> dict[str, Any]:
    """The symbols of `wbound.statement.formulas` in a setting, in x-units, for K of a few: nodes and steps by their index.

    γ_k and e_0 are Theorem 1's own where ``statement`` is "theorem-1".
    Numbers that are too large or too small for doubles are not looked after here.
    """
    if s.scheme.random:
        return _drawn_terms(s)
    if statement == "theorem-3-prime":
        return _profile_terms(s)
    own = s
    if s.scheme.memory:  # known by its tape: a formula of it is one of levels alone
        s = dataclasses.replace(s, scheme=SCHEMES["ddim"])
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
    if statement == "modified-score-bound":
        out |= _modified_score_terms(s)
    return out | affine_terms(own, statement)


def _profile_terms(s: Setting, theta: float = 1.6) -> dict[str, Any]:
    """Theorem 3′'s symbols, p_k as the code takes it at a θ, with the profile of bounded data as section 11 has it."""
    data, nodes = s.data, s.nodes
    assert isinstance(data, BoundedData)
    lam, alpha, steps = np.exp(nodes.log_lam), np.exp(nodes.log_alpha), s.scheme.steps(nodes.batch)
    v = data.tau**2 + lam
    m, L = (1.0 - data.D**2 / v) / v, 1.0 / v
    c = steps.C / (alpha[1:] * alpha[:-1])
    gamma = np.maximum(np.abs(1.0 - c * m[:-1]), np.abs(1.0 - c * L[:-1]))
    size2 = np.maximum(np.abs(m), L) ** 2
    at = 1.0 + math.sqrt(size2[-1]) * (lam - lam[-1])
    p = np.sqrt(at[1:] * at[:-1]) ** theta

    def minus_cubed(u: float) -> float:
        w = data.tau**2 + u
        return -(((1.0 - data.D**2 / w) / w) ** 3)

    spent = [quad(minus_cubed, lam[k + 1], lam[k], epsrel=1e-12, limit=400)[0] for k in range(nodes.K)]
    C = p[-1] * size2[-1] + float(np.maximum(p[:-1] - p[1:], 0.0) @ size2[1:-1]) + float(p @ spent)
    return {
        "K": nodes.K, "d": data.d, "M": s.score_bias, "alpha": alpha, "H": _step_array(lam[:-1] - lam[1:]),
        "P": np.append(np.cumprod(gamma[::-1])[::-1], 1.0), "C": _step_array(c), "ell": L, "p": _step_array(p),
        "C_p": data.d * C, "E_0": 0.0 if s.start == "exact" else shared.start_error(data, s.start, s.process, *nodes.first),
    }  # fmt: skip


def _drawn_terms(s: Setting) -> dict[str, Any]:
    """Section 17's symbols where the levels are drawn: m_K, S_K and G_K by quadrature over the times."""
    lam, of = np.exp(s.nodes.log_lam), by_quadrature(s)
    return {
        "K": s.nodes.K, "d": s.data.d, "sigma_0": math.sqrt(of.x), "w": of.x + lam,
        "H": _step_array(lam[:-1] - lam[1:]), "v_y": of.start, "m_K": of.moment, "G_K": of.gain, "S_K": of.spread,
    }  # fmt: skip


def _modified_score_terms(s: Setting) -> dict[str, Any]:
    """Section 19's symbols, M_s over every step and every eigenvalue."""
    law, nodes = gaussian_data(s.data), s.nodes
    alpha, beta = np.exp(nodes.log_alpha), 2.0 * s.process.f(nodes.t)
    mean, changes = float(np.linalg.norm(law.coordinates)), []
    for k in range(1, nodes.K + 1):
        for x in law.eigenvalues:
            w, before = (1.0 + alpha[j] ** 2 * (x - 1.0) for j in (k, k - 1))
            changes.append(beta[k - 1] * alpha[k] ** 2 * abs(x - 1.0) / (w * before))
            by_mean = alpha[k] * abs(1.0 - alpha[k] * alpha[k - 1] * (x - 1.0)) / (w * before)
            changes.append(0.5 * beta[k - 1] * mean * by_mean)
    return {
        "B": math.sqrt(law.second_moment + law.d),
        "W_0": math.sqrt(mean**2 + float(((1.0 - np.sqrt(law.eigenvalues)) ** 2).sum())),
        "beta_T": float(beta[0]),
        "M_s": max(changes),
    }


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


# ---------------------------------------------------------------------- of sections 15 to 18


def _gains(tape: Tape, x: float) -> tuple[float, Array]:
    """(g, q (J,)): Eq. 16 as it stands, with scores, solved whole: what the output holds of y_0 and of the noises."""
    a, B, q, _ = tape.scores()
    K = tape.K
    system = np.eye(K) + B[:K] / (x + tape.levels)
    inputs = np.linalg.solve(system, np.column_stack((a[:K], q[:K])))
    out = np.concatenate(([a[K]], q[K])) - (B[K] / (x + tape.levels)) @ inputs
    return float(out[0]), out[1:]


def _of_tape(s: Setting) -> dict[str, Any]:
    tape, x = tape_of(s), sigma0(s) ** 2
    g, q = _gains(tape, x)
    own = (tape.start_std**2) * (1.0 + tape.start_level)
    v = x + tape.start_level if s.start == "exact" else own
    scale = float(np.prod((x + tape.levels) ** 2))
    return {
        "g_K": g, "v_y": v, "q": np.append(np.nan, q), "J": q.size,
        "N": (g**2 * v + float((q**2).sum())) * scale,
    }  # fmt: skip


def _of_tangent(s: Setting) -> dict[str, Any]:
    x = gaussian_data(s.data).eigenvalues
    spent = tangent_density(x, lam_T(s))[2][np.unique(x, return_inverse=True)[1]]
    return {"x": np.append(np.nan, x), "I": np.append(np.nan, spent)}


def _range(s: Setting) -> tuple[float, float]:
    """The least and the largest eigenvalue, in x²."""
    values = gaussian_data(s.data).eigenvalues
    return float(values.min()), float(values.max())


def _nome(s: Setting, K: int) -> float:
    """Eq. 20's Q for K evaluations."""
    a, b = _range(s)
    return math.exp(-(2 * K + 1) * math.pi**2 / (2.0 * groetzsch_root(b / a)))


def _of_class(s: Setting) -> dict[str, Any]:
    return {"Q_K": _nome(s, s.nodes.K * s.scheme.stages), "K": s.nodes.K * s.scheme.stages}


#: What a statement's formula needs beside `quantities`.
_TERMS: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "eq-16": _of_tape,
    "lemma-4": _of_tape,
    # how much wider than √λ_0 it starts
    "eq-18": lambda s: {
        "w": math.exp((s.nodes.log_lam[0] - s.nodes.log_lam[1]) / 8.0) if s.scheme.memory else 1.0
    },
    "tangent-law": _of_tangent,
    "theorem-4": lambda s: {"varsigma": np.append(np.nan, theorem_4_nodes(s))},
    "theorem-5": _of_class,
    "theorem-6": _of_class,
    "theorem-6:attained": lambda s: {"Q_K": _nome(s, s.nodes.K)},
    "random-levels": _of_class,
    "absolute-floor": lambda s: {
        "b": _range(s)[1],
        "varsigma": np.append(np.nan, absolute_nodes(s.nodes.K * s.scheme.stages)),
        "K": s.nodes.K * s.scheme.stages,
    },
}


def affine_terms(s: Setting, statement: str) -> dict[str, Any]:
    """The symbols of the formula of one of these statements, in a setting."""
    return _TERMS[statement](s) if statement in _TERMS else {}
