"""Theorem 3′: the W2 bound of one-stage ODE schemes on data with a curvature profile (A1′; section 12 of docs/theory.md).

In y-units and without Theorem 3's units: a profile need not contract. The weight of the Cauchy–Schwarz step is a constant
p_k on each step, so that the profile is asked for at the nodes, and inside the steps for −∫m³ alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import sympy as sp

from wbound.bounds.shared import begun, start_error
from wbound.bounds.theorem import Theorem, stated
from wbound.bounds.theorem_3 import THEOREM_3, best_theta, log_products, log_products_of_groups, log_sum
from wbound.calculus.stable import grown
from wbound.data.beyond_log_concave import Profile
from wbound.data.curvature import Curvature
from wbound.forward.forward_process import Process
from wbound.sampler.grid import Nodes
from wbound.sampler.make_setting import Setting
from wbound.sampler.steps import Batch
from wbound.statement import hypotheses as c
from wbound.statement.formula import Formula
from wbound.statement.statement_object import Bound
from wbound.statement.terms import Explanation, Term, add_stop
from wbound.typing import Array

__all__ = ["THEOREM_3_PRIME", "Local", "at_theta", "local"]

#: log λ at which λ = 0 is looked at: a profile's limit there, for all that doubles can tell.
ZERO = -690.0


class Local(NamedTuple):
    """Of each step, arrays (N,): log γ_k; |½H−c_k|(dL_{k−1})^{1/2} (x); c_kα_{k−1} (x² over x-units); log H_k³/3 (x⁶);
    log max(|m|, L)² at λ_k (1/x⁴); −∫m³du (1/x⁴); and log(1 + (λ−λ_K)max(|m|, L)(λ_K)) in its middle."""

    log_gamma: Array
    drift: Array
    score: Array
    log_cube: Array
    log_size2: Array
    spent: Array
    log_v: Array


def _log_size2(data: Curvature, log_lam: Array) -> Array:
    at = np.maximum(log_lam, ZERO)
    return np.asarray(2.0 * (np.log(np.maximum(np.abs(data.lam_m(at)), data.lam_L(at))) - at))


def _log_v(data: Curvature, nodes: Nodes, log_lam: Array) -> Array:
    """log(1 + (λ−λ_K)max(|m|, L)(λ_K))."""
    log_size2 = float(_log_size2(data, np.array([nodes.last[1]]))[0])
    last = math.exp(0.5 * log_size2) if log_size2 < 1400.0 else math.inf
    return np.log1p(last * (np.exp(log_lam) - math.exp(nodes.last[1])))


def local(b: Batch, s: Setting) -> Local:
    """Theorem 3′'s local terms for every step of the batch, some of a setting's. *upper*"""
    data = s.data
    assert isinstance(data, Profile)
    steps = s.scheme.steps(b)
    assert steps.flow is not None
    lam_m, lam_L = data.lam_m(b.log_lam_hi), data.lam_L(b.log_lam_hi)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # huge steps: inf, and say so
        log_per = -b.steps.F - 2.0 * b.log_alpha_hi  # C e^log_per is c_k
        share = steps.C * np.exp(log_per - b.log_lam_hi)  # c_k/λ_{k−1}
        lost_m, lost_L = share * lam_m, share * lam_L
        short = (lost_m < 0.5) & (lost_m + lost_L <= 2.0)  # then γ = 1 − c m
        # 1 − c m = (1 − λm) + λm(1 − c/λ)
        kept = (np.abs(1.0 - h + h * steps.flow.keep) for h in (lam_m, lam_L))
        log_gamma = np.where(short, np.log1p(-np.where(short, lost_m, 0.0)), np.log(np.maximum(*kept)))
        slow = 0.5 * (math.log(data.d) + np.log(lam_L) - b.log_lam_hi)
        drift = np.where(steps.flow.half == 0.0, 0.0, np.abs(steps.flow.half) * np.exp(log_per + slow))
        score = steps.C * np.exp(-b.log_alpha_lo)
        log_cube = 3.0 * (b.log_lam_hi + np.log(-np.expm1(-b.gap))) - math.log(3.0)
        spent = data.minus_cubed(b.log_lam_hi, b.ratio)
        at_lo, at_hi = b.ends(lambda at: _log_v(data, s.nodes, at))
        log_v = 0.5 * (at_lo + at_hi)
    return Local(log_gamma, drift, score, log_cube, _log_size2(data, b.log_lam_lo), spent, log_v)


class AtTheta:
    """The θ-term's two sums with p_k = v^θ in the middle of step k, gathered block by block from the data's end."""

    def __init__(self, s: Setting, theta: float) -> None:
        with np.errstate(over="ignore", invalid="ignore"):  # as below
            highest = float(_log_v(s.data, s.nodes, np.array([s.nodes.first[1]]))[0])
        # only p's shape matters: its logarithm is below 0
        self.d, self.theta, self.highest = s.data.d, theta, highest
        self.p = self.falls = self.spent = 0.0  # of the step after; Σ (p_k − p_{k+1})⁺M_k², −Σ p_k∫m³
        self.log_cubes = -math.inf

    def add(self, t: Local, log_P: Array, counts: Array | float = 1.0) -> None:
        """The steps before those added so far; ``counts``: how many each stands for."""
        self.gather(t, self.theta * (t.log_v - self.highest), log_P, counts)

    def gather(self, t: Local, log_p: Array, log_P: Array, counts: Array | float = 1.0) -> None:
        """As `add`, with any p_k."""
        p = np.exp(log_p)
        self.falls += float(np.maximum(p - np.append(p[1:], self.p), 0.0) @ np.exp(t.log_size2))
        self.spent += float((p * counts) @ t.spent)
        self.p = float(p[0])
        self.log_cubes = float(
            np.logaddexp(self.log_cubes, log_sum(t.log_cube + np.log(counts) + 2.0 * log_P - log_p))
        )

    @property
    def constant(self) -> float:
        """Not below (1/d) Σ p_k ∫E|𝓛S|²: p_K M_K² + Σ_{k<K}(p_k − p_{k+1})⁺M_k² − Σ p_k∫m³."""
        # rounding alone could make it less than a part of its first term that nothing takes away
        return max(self.falls + self.spent, 1e-12 * self.falls)

    @property
    def log_term(self) -> float:
        """log of the θ-term."""
        constant = self.constant
        if not 0.0 < constant < math.inf:
            return math.inf
        return 0.5 * (self.log_cubes + math.log(self.d) + math.log(constant)) - math.log(4.0)


def at_theta(s: Setting, t: Local, log_P: Array, theta: float, counts: Array | float = 1.0) -> float:
    """log of the θ-term of all of a setting's steps; ``counts``: how many each stands for."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # huge steps: inf, and say so
        term = AtTheta(s, theta)
        term.add(t, log_P, counts)
        return term.log_term


class _Parts(NamedTuple):
    start: float
    drift: float
    curved: float
    score: float


def _best(s: Setting, t: Local, log_P: Array, counts: Array | float = 1.0) -> float:
    return best_theta(lambda at: at_theta(s, t, log_P, at, counts))


def _parts(s: Setting) -> _Parts:
    theta, E0 = None, start_error(s.data, s.start, s.process, *s.nodes.first)
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite step makes an infinite part
        if s.nodes.in_blocks:  # any θ gives a bound: chosen on fewer steps
            few, counts = s.nodes.sampled()
            t = local(few, s)
            theta = _best(s, t, log_products_of_groups(t.log_gamma, counts), counts)
        log_P0 = drift = score = 0.0
        term = None
        for _, b in s.nodes.blocks():
            t = local(b, s)
            log_P, log_P0 = log_products(t.log_gamma, log_P0)
            term = term or AtTheta(s, _best(s, t, log_P) if theta is None else theta)
            term.add(t, log_P)
            P = np.exp(log_P)
            drift += float(np.sum(P * t.drift))
            score += s.score_bias * float(np.sum(P * t.score)) if s.score_bias else 0.0
        assert term is not None
        curved = math.exp(min(term.log_term, 709.7))
        found = grown(E0, log_P0), drift, curved if curved < 1e308 else math.inf, score
    return _Parts(*(math.inf if math.isnan(x) else x for x in found))


def _evaluate(s: Setting) -> Bound:
    p = _parts(s)
    extra = math.sqrt(s.data.d * math.exp(s.nodes.last[1])) if s.nodes.stopped_early else 0.0
    total = sum(p) + extra
    return Bound(
        total=total,
        initialisation=p.start,
        discretisation=p.drift + p.curved + extra,
        score=p.score,
        additive=total,
        trivial=math.sqrt(s.data.second_moment),
        statement="Theorem 3'",
    )


def _explain(s: Setting, bound: Bound) -> Explanation:
    p, steps = _parts(s), f"sum over {s.nodes.K} steps"
    known, start = begun(s, p.start)
    curved = "C_p^(1/2)/4 (Σ P_k² H_k³/(3 p_k))^(1/2)"
    drift = "Σ P_k |H_k/2 - c_k| (d L_(k-1))^(1/2)"
    out = [
        start,
        Term(curved, f"{steps}, best θ", p.curved, "discretisation: curvature"),
        Term(drift, steps, p.drift, "discretisation: drift of the steps"),
        Term("Σ P_k c_k α_(k-1) M", steps if s.score_bias else "0", p.score, "score error"),
    ]
    extra = math.sqrt(s.data.d * math.exp(s.nodes.last[1])) if s.nodes.stopped_early else 0.0
    formula = f"W2 ≤ P_0 E_0 + {curved} + {drift} + Σ P_k c_k α_(k-1) M"
    formula += add_stop(s, 1.0, extra, known, out)
    return Explanation("Theorem 3'", formula, tuple(known), tuple(out), bound.total)


def _start(data: Curvature, start: str, process: Process, log_alpha: float, log_lam: float) -> float:
    return start_error(data, start, process, log_alpha, log_lam)


def _claim() -> Formula:
    from wbound.statement import formulas as f  # dear to build

    k, P, C = f.k, f.P, f.C
    squares = f.summed(P[k] ** 2 * f.H[k] ** 3 / (3 * sp.IndexedBase("p")[k]))
    drift = sp.Abs(f.H[k] / 2 - C[k]) * sp.sqrt(f.d * f.ell[k - 1]) + C[k] * f.alpha[k - 1] * f.M
    curved = sp.sqrt(sp.Symbol("C_p")) / 4 * sp.sqrt(squares)
    return Formula(sp.Le(f.W_2, P[0] * f.E_0 + curved + f.summed(P[k] * drift)))


THEOREM_3_PRIME = Theorem(
    **stated(
        "theorem-3-prime",
        _evaluate,
        c.an_ode,
        c.fixed_times,
        c.no_memory,
        c.one_stage,
        c.profile,
        c.a_profile,
        c.no_noise,
        source="derived here; profiles after Arsenyan, Vardanyan & Dalalyan, arXiv 2506.09681",
        covers=(),
    ),
    placed=12,
    claim=_claim,
    called="sharp",
    takes=THEOREM_3.takes,
    criterion=lambda scheme: "Theorem 3'",
    order=1.0,
    power=0.5,
    start=_start,
    explain=_explain,
)
