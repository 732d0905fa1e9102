"""Statements of sections 15 to 18 of docs/theory.md as objects: tapes, `ddim`'s floor, the floor of all affine samplers.

A floor of all samplers is told of one: the setting's own sampler, as a tape, at its worst spectrum in the data's range.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from wbound.bounds.root_floor import absolute_floor
from wbound.bounds.theorem_6 import affine_floor
from wbound.data.log_concave import gaussian_data
from wbound.exact.ddim_angles import ddim_floor
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import zolotarev_levels
from wbound.exact.random_midpoint import RandomMidpointLaw, law_of_random_midpoint
from wbound.sampler.levels import geometric_error, geometric_step
from wbound.sampler.make_setting import Setting
from wbound.sampler.pure_noise import from_pure_noise
from wbound.sampler.scheme import DDIM
from wbound.sampler.tangent_law import tangent_error
from wbound.sampler.tape_of_scheme import tape_of
from wbound.statement import hypotheses as c
from wbound.statement.hypotheses import sigma0, statement
from wbound.statement.statement_object import Statement
from wbound.typing import Array

__all__ = ["AFFINE", "theorem_4_nodes"]

DISTANCE = "Zolotarev (1877); its use here derived here"


def _tape_w2(s: Setting) -> float:
    law = tape_law(
        tape_of(s), gaussian_data(s.data).eigenvalues, start="exact" if s.start == "exact" else "own"
    )
    return law.w2(gaussian_data(s.data).coordinates)


def _size_error(s: Setting) -> float:
    """√d|√V − √x|, in x."""
    x = sigma0(s) ** 2
    V = float(tape_law(tape_of(s), [x]).variance[0])
    return math.sqrt(s.data.d) * abs(math.sqrt(V) - math.sqrt(x))


def _angles(s: Setting) -> float:
    return ddim_floor(s.nodes.K, gaussian_data(s.data).eigenvalues, c.lam_T(s))


def _geometric(s: Setting) -> float:
    """W2 of `ddim` from N(0, λ_0 I) is at most this, in x; `ddim-inflated` has no h/8."""
    lam = np.exp(s.nodes.log_lam)
    R = float(geometric_error(lam, [sigma0(s) ** 2])[0])
    scalar = geometric_step(lam)[0] / 8.0 if s.scheme == DDIM else 0.0
    return sigma0(s) * math.sqrt(s.data.d) * max(-math.expm1(-scalar - R), math.expm1(R - scalar))


def _tangent(s: Setting) -> float:
    return tangent_error(s.nodes.K, gaussian_data(s.data).eigenvalues, c.lam_T(s))


def theorem_4_nodes(s: Setting) -> Array:
    """2K+1 nodes (x) for Theorem 4, evenly spaced up to √λ(T)."""
    n = 2 * s.nodes.K + 1
    return math.sqrt(c.lam_T(s)) * np.arange(1, n + 1) / n


def _phase_law(s: Setting) -> float:
    at, nodes = sigma0(s), theorem_4_nodes(s)
    B = float(np.prod((nodes - at) / (nodes + at)))
    return math.sqrt(s.data.d) * at * abs(2.0 * B / (1.0 - B))


def _range(s: Setting) -> tuple[float, float]:
    """The least and the largest eigenvalue, in x²."""
    values = gaussian_data(s.data).eigenvalues
    return float(values.min()), float(values.max())


def _answers(s: Setting) -> int:
    """How often at the most the steps ask for the score."""
    return s.nodes.K * s.scheme.stages


def _floor(s: Setting) -> float:
    a, b = _range(s)
    return affine_floor(b / a, _answers(s))


def _attained(s: Setting) -> float:
    """The largest relative error of Theorem 6's sampler, at b."""
    a, b = _range(s)
    return abs(float(zolotarev_levels(s.nodes.K, a, b).gain([b])[0]) / math.sqrt(b) - 1.0)


def _absolute(s: Setting) -> float:
    return absolute_floor(_answers(s)) * math.sqrt(_range(s)[1])


def _drawn(s: Setting) -> float:
    """W2/√(dx) at one of the alternation points is at least this, however levels are drawn."""
    return _floor(s) / math.sqrt(2.0 * _answers(s) + 2.0) - 1.0 / math.sqrt(s.data.d)


def _from_noise(s: Setting) -> float:
    data = gaussian_data(s.data)
    return tape_law(from_pure_noise(np.exp(s.nodes.log_lam)), data.eigenvalues).w2(data.coordinates)


def _of_drawn(end: str) -> Callable[[Setting], float]:
    """Of the randomised midpoint: E|y_K|² in x², or an end of what is known of W2, in x."""

    def value(s: Setting) -> float:
        law: RandomMidpointLaw = law_of_random_midpoint(s)
        return float(law.second_moment.sum() if end == "second_moment" else getattr(law, end))

    return value


_MIDPOINT = "the method of Shen & Lee, arXiv 1909.05503; its law derived here"
_MIDPOINTS = "random-midpoint", "ode-random-midpoint"
_FREE = (c.gaussian, c.exact_score, c.fixed_start, c.at_the_mean)

AFFINE: tuple[Statement, ...] = (
    statement("eq-16", "exact", _tape_w2, c.isotropic, c.exact_score, c.to_the_end),
    statement(
        "eq-17", "lower", _angles, c.isotropic, c.scheme("ddim"), c.exact_score, c.start("exact"), c.to_the_end
    ),
    statement(
        "eq-18", "upper", _geometric, c.isotropic, c.scheme("ddim", "ddim-inflated"), c.exact_score, c.start("prior"),
        c.to_the_end, c.geometric,
    ),
    statement(
        "tangent-law", "order", _tangent, c.regular, c.scheme("ddim"), c.exact_score, c.start("exact"),
        c.to_the_end, c.on_tangent,
        source="derived here; one eigenvalue: Sabour et al., arXiv 2404.14507, Sun, Poor & Zhang, arXiv 2601.13602",
    ),
    statement("lemma-4", "lower", _size_error, c.isotropic, c.exact_score, c.fixed_start, c.to_the_end),
    statement("theorem-4", "exact", _phase_law, c.isotropic, covers=("eq-19",)),
    statement("theorem-5", "lower", _floor, *_FREE, c.spread, c.to_the_end),
    statement("theorem-6", "lower", _floor, *_FREE, c.spread, c.to_the_end, source=DISTANCE, covers=("eq-20",)),
    statement("theorem-6:attained", "exact", _attained, c.gaussian, c.spread, source=DISTANCE),
    statement(
        "absolute-floor", "lower", _absolute, *_FREE, c.regular, c.to_the_end, source="Stahl (1993); derived here"
    ),
    statement("random-levels", "lower", _drawn, *_FREE, c.spread, c.to_the_end),
    *(
        statement(id, kind, _of_drawn(end), c.isotropic, c.scheme(*names), c.exact_score, source=_MIDPOINT)
        for id, kind, end, names in (
            ("random-midpoint", "exact", "second_moment", _MIDPOINTS[:1]),
            ("random-midpoint:flow", "exact", "second_moment", _MIDPOINTS[1:]),
            ("random-midpoint:low", "lower", "low", _MIDPOINTS),
            ("random-midpoint:high", "upper", "high", _MIDPOINTS[:1]),
            ("random-midpoint:flow-high", "upper", "high", _MIDPOINTS[1:]),
        )
    ),
    statement("section-18", "exact", _from_noise, c.isotropic, c.scheme("ddim"), c.exact_score, c.to_the_end),
)  # fmt: skip
