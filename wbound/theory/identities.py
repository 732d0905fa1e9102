"""Statements of sections 0 to 3 of docs/theory.md as objects: identities of the clock, Lemmas 1 to 3, the steps."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from wbound.calculus.stable import growth
from wbound.data.log_concave import gaussian_data
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import Setting
from wbound.statement import hypotheses as c
from wbound.statement.hypotheses import statement
from wbound.statement.statement_object import Statement

__all__ = ["IDENTITIES"]

PUBLISHED = "Gao, Nguyen & Zhu, arXiv 2311.11003"


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


#: By id.
IDENTITIES: tuple[Statement, ...] = (
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
    statement("lemma-3:mean", "exact", _regression, c.isotropic, c.spread),
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
)
