"""What a sampler is held against: its exact law or a quadrature, and how many of its outputs are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from numerics.io.reading import finite_array
from numerics.laws.sde_on_line import LineLaw, law1d, normal_law
from numerics.targets import products
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import gaussian_data
from wbound.errors import BadInput, HypothesisFailed, IOFailure, count
from wbound.exact.gaussian_law import EXACT_LAW, exact_w2
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.make_setting import Setting
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = [
    "EVIDENCE",
    "LEAST",
    "PROCESS",
    "ROWS",
    "Referee",
    "as_target",
    "given_outputs",
    "points_of",
    "referee",
    "tape_referee",
    "usual_points",
]


#: The kinds of evidence, the strongest first.
EVIDENCE = ("exact law", "quadrature", "samples")
#: Totals are compared at this (relative) in exact arithmetic that was rounded.
ROUNDING = 1e-10
#: Points of the bracket where none are asked for: exact transport in d > 1 takes O(n³).
BRACKET, BRACKET_ON_LINE = 1000, 100_000
#: Points below which the bracket's confidence would be a fiction (see `transport.empirical_w2`).
LEAST = 16
#: Rows of the test against the referee's law.
ROWS = 20_000
#: What a process may be.
PROCESS = "must be wbound.process(name, …) or wbound.Process(f=…, g=…)"


@dataclass(frozen=True)
class Referee:
    """A value of W2 (x, not squared) without sampling noise: its ``evidence``, its ``error`` (x), and the law
    of the output along each factor of the target."""

    evidence: str
    w2: float
    error: float
    laws: tuple[LineLaw, ...]


def referee(s: Setting) -> tuple[Referee | None, str]:
    """W2 without noise for the setting, by the exact law, else by quadrature on the line; or None, and why
    there is neither (a score bias; a target that is no product of laws on the line)."""
    if not hasattr(s.data, "factors"):
        return None, f"{type(s.data).__name__} is no product of laws on the line"
    try:
        found = law1d(s)
        if isinstance(s.data, Gaussian):
            w2 = float(EXACT_LAW(s))
            return Referee(EVIDENCE[0], w2, ROUNDING * w2, found.factors), ""
        return Referee(EVIDENCE[1], found.w2, found.error, found.factors), ""
    except (HypothesisFailed, IOFailure) as none:  # the latter: a quadrature that does not converge
        return None, str(none)


def tape_referee(tape: Tape, own: Any, start: str) -> Referee:
    """The exact law of a tape on Gaussian data."""
    if not isinstance(own, products.Gaussian):
        raise HypothesisFailed(
            "the exact law", "Gaussian data", f"the law of a tape on {type(own).__name__} is not known"
        )
    w2 = exact_w2(None, own, scheme=tape, start=start)
    laws = []
    for line, multiplicity in own.factors:
        of = tape_law(tape, [line.variance], start=start)
        if own.vectors is not None and of.mean_offset.any():
            detail = "the tape adds constants to coordinates, and the data's axes are others"
            raise HypothesisFailed("the exact law", "independent directions", detail)
        centre = float(of.mean_gain[0]) * line.mean + float(of.mean_offset[0])
        laws.append(normal_law(of.w2(line.mean), line, multiplicity, float(of.variance[0]), centre))
    return Referee(EVIDENCE[0], w2, ROUNDING * w2, tuple(laws))


def as_target(target: Any) -> Any:
    """The target itself; plain Gaussian facts become one."""
    if callable(getattr(target, "score", None)) and callable(getattr(target, "sample", None)):
        return target
    if isinstance(target, Gaussian) or getattr(target, "gaussian", lambda: None)() is not None:
        data = gaussian_data(target)
        return products.Gaussian(data.mean, data.cov)
    raise BadInput("target", type(target).__name__, "must be a target with a score and samples")


def usual_points(d: int) -> int:
    """Points of a bracket where none are asked for."""
    return BRACKET_ON_LINE if d == 1 else BRACKET


def points_of(n: int | None, d: int) -> int:
    if n is None:
        return usual_points(d)
    points = count("n", n, 0)
    if 0 < points < LEAST:
        raise BadInput("n", n, f"must be 0 (no samples) or at least {LEAST}")
    return points


def given_outputs(samples: ArrayLike, least: int, d: int) -> Array:
    """The caller's outputs, checked."""
    allowed = f"must be an (n, {d}) array of finite numbers, n >= {least}"
    x = finite_array("samples", samples, allowed)
    if x.ndim != 2 or x.shape[1] != d or len(x) < least:
        raise BadInput("samples", f"shape {x.shape}", allowed)
    return x
