"""Hypotheses that several statements of docs/theory.md share, made for a statement by its name; what they speak of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wbound.data.beyond_log_concave import BoundedData, Profile
from wbound.data.log_concave import gaussian_data
from wbound.errors import BadInput, HypothesisFailed
from wbound.sampler import placement
from wbound.sampler.levels import geometric_step
from wbound.sampler.make_setting import Setting
from wbound.statement.statement_object import Hypothesis, Statement

__all__ = [
    "HERE",
    "a1",
    "a_profile",
    "an_ode",
    "an_sde",
    "at_the_mean",
    "bounded",
    "coefficients",
    "constants",
    "exact_score",
    "far",
    "fixed_start",
    "gaussian",
    "geometric",
    "isotropic",
    "isotropic_or_point",
    "lam_T",
    "mean_known",
    "no_memory",
    "no_noise",
    "on_tangent",
    "one_eigenvalue",
    "one_stage",
    "own",
    "process",
    "profile",
    "regular",
    "scheme",
    "sigma0",
    "spread",
    "start",
    "statement",
    "stops_early",
    "to_the_end",
    "unbiased",
    "uniform",
]

HERE = "derived here"

#: Makes a hypothesis, told the statement's name.
Maker = Callable[[str], Hypothesis]


def statement(
    id: str,
    kind: str,
    evaluate: Callable[[Setting], Any],
    *hypotheses: Maker,
    source: str = HERE,
    covers: tuple[str, ...] = (),
) -> Statement:
    """A `Statement` whose hypotheses name it."""
    name = Statement(id, source, kind, (), evaluate).name
    return Statement(id, source, kind, tuple(make(name) for make in hypotheses), evaluate, covers)


def _where(name: str, holds: Callable[[Setting], bool], why: str | Callable[[Setting], str]) -> Maker:
    def make(of: str) -> Hypothesis:
        def check(s: Setting) -> None:
            if not holds(s):
                raise HypothesisFailed(of, name, why if isinstance(why, str) else why(s))

        return Hypothesis(name, check)

    return make


def _accepted(name: str, check: Callable[[Setting], Any]) -> Maker:
    """What another function refuses as an option's value."""

    def make(of: str) -> Hypothesis:
        def mine(s: Setting) -> None:
            try:
                check(s)
            except BadInput as refused:
                raise HypothesisFailed(of, name, str(refused)) from None

        return Hypothesis(name, mine)

    return make


def _renamed(name: str, check: Callable[[Setting], Any]) -> Maker:
    """What another function refuses, in the statement's own name."""

    def make(of: str) -> Hypothesis:
        def mine(s: Setting) -> None:
            try:
                check(s)
            except HypothesisFailed as failed:
                raise HypothesisFailed(of, failed.hypothesis, failed.detail) from None

        return Hypothesis(name, mine)

    return make


def own(name: str, check: Callable[[Setting], None]) -> Maker:
    """A hypothesis of one statement alone, whose check names that itself."""
    return lambda of: Hypothesis(name, check)


def _isotropic(s: Setting) -> bool:
    data = gaussian_data(s.data)
    return not np.ptp(data.eigenvalues) and not data.coordinates.any()


def _spread(s: Setting) -> bool:
    values = gaussian_data(s.data).eigenvalues
    return bool(values.min() > 0.0 and np.ptp(values) > 0.0)


def _on_tangent(s: Setting) -> bool:
    own = placement.tangent(s.nodes.first[1], s.nodes.K, s.data)
    return bool(np.allclose(s.nodes.log_lam[:-1], own[:-1], rtol=1e-9, atol=1e-9))


def _profile(s: Setting) -> None:
    s.data.normaliser  # noqa: B018  singular Gaussians raise here
    s.data.check(s.nodes.last[1], s.nodes.first[1])


a1 = _where(
    "A1", lambda s: s.data.A1 is not None, "the data are not strongly log-concave with Lipschitz score"
)
profile = _renamed("A1 or A1′", _profile)
a_profile = _where(
    "a curvature profile",
    lambda s: isinstance(s.data, Profile),
    "the data have none, or need none: Theorem 3",
)
coefficients = _accepted("f, g >= 0", lambda s: s.process.check_domain(s.nodes.T))
gaussian = _renamed("Gaussian data", lambda s: gaussian_data(s.data))
isotropic_or_point = _where("data N(0, sigma0^2 I)", _isotropic, "the data are not centred and isotropic")
isotropic = _where(
    "data N(0, sigma0^2 I)",
    lambda s: _isotropic(s) and sigma0(s) > 0.0,
    "the data are not centred and isotropic",
)
one_eigenvalue = _where(
    "data N(mu, sigma0^2 I)",
    lambda s: not np.ptp(gaussian_data(s.data).eigenvalues),
    "the eigenvalues differ",
)
bounded = _where(
    "bounded data smoothed by noise",
    lambda s: isinstance(s.data, BoundedData) and s.data.tau > 0.0,
    "D and tau are not given",
)
exact_score = _where(
    "exact score", lambda s: not s.score_bias and not s.score_noise, "the score has an error"
)
unbiased = _where(
    "an unbiased score", lambda s: not s.score_bias, lambda s: f"score_bias = {s.score_bias:g} has no one law"
)
no_noise = _where(
    "A3 (bias only)",
    lambda s: not s.score_noise,
    lambda s: f"score_noise = {s.score_noise:g}: only a bias is bounded here",
)
to_the_end = _where("lambda_K = 0", lambda s: not s.nodes.stopped_early, "the sampler stops early")
stops_early = _where("stopped early", lambda s: s.nodes.stopped_early, "the sampler runs to lambda = 0")
uniform = _where("uniform grid", lambda s: s.nodes.uniform, "the grid given is another")
mean_known = _where("a known mean", lambda s: s.data.mean_norm is not None, "|E X_0| is not given")
far = _where(
    "m_0 lambda(T) > 1",
    lambda s: constants(s)[0] * lam_T(s) > 1.0,
    "the start is too near to the data",
)


an_sde = _where("an SDE scheme", lambda s: not s.scheme.flow, lambda s: f"{s.scheme.name} is an ODE scheme")
an_ode = _where("an ODE scheme", lambda s: s.scheme.flow, lambda s: f"{s.scheme.name} is an SDE scheme")
no_memory = _where(
    "a step by the score where it stands",
    lambda s: s.scheme.memory is None,
    lambda s: f"{s.scheme.name} is known by its tape: its exact laws and samples are there",
)
fixed_times = _where(
    "levels that are not random",
    lambda s: not s.scheme.random,
    lambda s: f"those of {s.scheme.name} are drawn: random_midpoint_law gives bounds of W2 on Gaussian data",
)
one_stage = _where(
    "a step of one stage",
    lambda s: s.scheme.stages == 1,
    lambda s: f"{s.scheme.name} has two: its bound is Theorem 7",
)


# of sections 15 to 18
fixed_start = _where(
    "start prior or standard", lambda s: s.start != "exact", "the exact start's size depends on the data's"
)
at_the_mean = _where(
    "start at the mean",
    lambda s: not gaussian_data(s.data).coordinates.any(),
    "the data's mean is not 0, where the start is: move the data, or the start",
)
regular = _where(
    "eigenvalues > 0", lambda s: bool((gaussian_data(s.data).eigenvalues > 0.0).all()), "an eigenvalue is 0"
)
spread = _where("0 < a < b", _spread, "the eigenvalues are one number, or one of them is 0")
geometric = _accepted("geometric levels", lambda s: geometric_step(np.exp(s.nodes.log_lam)))
on_tangent = _where("grid tangent", _on_tangent, "the grid is another")


def start(name: str, why: str = "has another error") -> Maker:
    """The sampler's start, by name."""
    return _where(f"start {name}", lambda s: s.start == name, lambda s: f"start = {s.start} {why}")


def scheme(*names: str) -> Maker:
    """One of some schemes."""
    name = "scheme " + " or ".join(names)
    return _where(name, lambda s: s.scheme.name in names, lambda s: f"scheme = {s.scheme.name}")


def process(name: str, fits: Callable[[Any], bool]) -> Maker:
    """A kind of process."""
    return _where(f"process {name}", lambda s: fits(s.process), "the process is another")


# ---------------------------------------------------------------------- what the statements speak of


def sigma0(s: Setting) -> float:
    """σ_0 of N(0, σ_0²I), in x."""
    return math.sqrt(float(gaussian_data(s.data).eigenvalues[0]))


def lam_T(s: Setting) -> float:
    """λ(T), in x²."""
    return math.exp(s.nodes.first[1])


def constants(s: Setting) -> tuple[float, float]:
    """(m_0, L_0) of A1, in 1/x²."""
    assert s.data.A1 is not None
    return s.data.A1
