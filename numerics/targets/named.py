"""The targets by name: their parameters, what is known of them, and how they are made. The command line, a sweep and the
verification matrix read this one table, and `law_of` makes the target that a `Description` names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from wbound.calculus.balls import double_of
from wbound.data.curvature import Curvature
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, one_of, positive
from wbound.memory import dimension
from wbound.sampler.description import Description
from wbound.typing import Array

__all__ = ["DENSITY", "FACTS", "SPECTRA", "TARGETS", "Named", "law_of", "target_named"]

#: Before the log-density of one coordinate, which is a target too.
DENSITY = "density="


class Named(NamedTuple):
    """A target by name. parameters: their default values as a user would type them (None: may be left out); make:
    (values, d or None) ↦ the target; a value is text, a number, or an array where a list is taken."""

    parameters: Mapping[str, str | None]
    make: Callable[[Mapping[str, Any], int | None], Any]


def _number(key: str, value: Any) -> float:
    if np.ndim(value):
        raise BadInput(key, "a list", "must be a number")
    return double_of(key, value) if isinstance(value, str) else float(value)


def _numbers(key: str, value: Any) -> Array:
    """A list "1,1/2,-3", or an array as it is."""
    if not isinstance(value, str):
        return np.asarray(value, float)
    return np.array([double_of(key, part) for part in value.split(",")])


def _in_its_own(made: Any, d: int | None, what: str) -> Any:
    """The target, whose dimension is that of its parameters."""
    if d not in (None, made.d):
        raise BadInput("d", d, f"must be {made.d}, the size of {what}")
    return made


def _gaussian(v: Mapping[str, Any], d: int | None) -> Any:
    """Mean (d,) and covariance; single numbers are taken for every coordinate."""
    from numerics.targets.products import Gaussian

    mean, cov = _numbers("mean", v["mean"]), _numbers("cov", v["cov"])
    sizes = [a.shape[0] for a in (mean, cov) if a.ndim > 0 and a.size > 1]
    size = d if d is not None else max(sizes, default=1)
    if mean.size == 1:
        mean = np.full(size, float(mean.ravel()[0]))
    if cov.size == 1:
        cov = np.asarray(float(cov.ravel()[0]))
    if d is not None and mean.shape != (d,):
        raise BadInput("d", d, f"must be {mean.size}, the size of mean")
    return Gaussian(mean, cov)


def _mixture(v: Mapping[str, Any], d: int | None) -> Any:
    from numerics.targets.products import SymmetricMixture

    made = SymmetricMixture(_numbers("c", v["c"]), positive("s", _number("s", v["s"])))
    if d in (None, made.d):
        return made
    if made.d > 1:
        raise BadInput("d", d, f"must be {made.d}, the size of c")
    return made.resized(d)


def _logcosh(v: Mapping[str, Any], d: int | None) -> Any:
    from numerics.targets.products import LogCosh

    m0, L0 = (positive(key, _number(key, v[key])) for key in ("m0", "L0"))
    return LogCosh(d or 1, m0, L0)


def _modes(v: Mapping[str, Any], d: int | None) -> Any:
    from numerics.targets.mixtures import Bimodal

    return _in_its_own(Bimodal(_numbers("c", v["c"]), _number("s", v["s"])), d, "c")


def _peaks(v: Mapping[str, Any], d: int | None) -> Any:
    from numerics.targets.mixtures import GaussianMixture

    weights = None if v["weights"] is None else _numbers("weights", v["weights"])
    made = GaussianMixture(_numbers("means", v["means"]), _numbers("s", v["s"]), weights)
    return _in_its_own(made, d, "means")


def _smoothed(v: Mapping[str, Any], d: int | None) -> Any:
    """points: an array (n, d), as it is; digits or a file, around their mean."""
    from numerics.targets.datasets import samples_of
    from numerics.targets.mixtures import SmoothedData

    points = v["points"]
    if isinstance(points, str):
        points = samples_of(points)
        points = points - points.mean(axis=0)
    return _in_its_own(SmoothedData(points, _number("tau", v["tau"])), d, "a point")


def _spectrum(shape: Callable[[Array, Mapping[str, float]], Array]) -> Callable[..., Any]:
    """A Gaussian whose variances are those of a shape (d,), times ``variance``."""

    def make(v: Mapping[str, Any], d: int | None) -> Any:
        from numerics.targets.products import Gaussian

        size, of = d or 1, {key: _number(key, value) for key, value in v.items()}
        i = np.arange(dimension(size), dtype=float)
        return Gaussian(np.full(size, of["mean"]), of["variance"] * shape(i, of))

    return make


def _facts(v: Mapping[str, Any], d: int | None) -> LogConcave:
    """A1's facts alone; the second moment, where it is left out, is the most that A1 allows."""
    of = {key: None if value is None else _number(key, value) for key, value in v.items()}
    m0, L0, size = positive("m0", of["m0"]), positive("L0", of["L0"]), d or 1
    moment, mean = of["second_moment"], of["mean_norm"]
    return LogConcave(size, m0, L0, size / m0 + (mean or 0.0) ** 2 if moment is None else moment, mean)


_OF_SPECTRUM = {"variance": "1", "mean": "0"}
#: Gaussians by the shape of their spectrum.
SPECTRA: dict[str, Named] = {
    "isotropic": Named(_OF_SPECTRUM, _spectrum(lambda i, of: np.ones(i.size))),
    "power-law": Named(
        {"exponent": "1", **_OF_SPECTRUM}, _spectrum(lambda i, of: (i + 1.0) ** -of["exponent"])
    ),
    # from 1 down to 1/condition
    "geometric": Named(
        {"condition": "10", **_OF_SPECTRUM},
        _spectrum(lambda i, of: np.exp(-math.log(of["condition"]) * i / max(i.size - 1, 1))),
    ),
}
#: No law, but what A1 knows of one: not for samples.
FACTS = "facts"
TARGETS: dict[str, Named] = {
    "gaussian": Named({"mean": "0", "cov": "1"}, _gaussian),
    "mixture": Named({"c": "0.8", "s": "1"}, _mixture),
    "logcosh": Named({"m0": "0.5", "L0": "2"}, _logcosh),
    "modes": Named({"c": "1.5", "s": "1"}, _modes),
    "peaks": Named({"means": "-1,1", "s": "0.5", "weights": None}, _peaks),
    "smoothed": Named({"points": "digits", "tau": "1"}, _smoothed),
    **SPECTRA,
    FACTS: Named({"m0": "1", "L0": "1", "second_moment": None, "mean_norm": None}, _facts),
}


def target_named(name: str, given: Mapping[str, Any] | None = None, d: int | None = None) -> Any:
    """The target of that name, or "density=TEXT" (the log-density of one coordinate in x), with these parameters, in
    dimension d (default: that of its parameters, else 1).

    Raises `BadInput`, and `HypothesisFailed` (A1) for a density or mixture that is not strongly log-concave; targets
    beyond A1 have a curvature profile instead.
    """
    values = dict(given or {})
    if name.startswith(DENSITY):
        from numerics.targets.products import ProductTarget

        numbers = {key: positive(key, _number(key, value)) for key, value in values.items()}
        facts = {key: numbers.pop(key) for key in ("m0", "L0") if key in numbers}
        return ProductTarget(name[len(DENSITY) :], d or 1, parameters=numbers, **facts)
    row = TARGETS[one_of("target", name, TARGETS)]
    for key in values:
        if key not in row.parameters:
            raise BadInput("-q", key, f"must be one of {', '.join(row.parameters)} for {name}")
    return row.make({**row.parameters, **values}, d)


def law_of(of: Description) -> Curvature:
    """The data that a `Description` says: facts or a Gaussian, or a target by name with its parameters."""
    texts = dict(of.data)
    if "target" not in texts:
        return of.made_data
    name, d = texts.pop("target"), texts.pop("d", None)
    made: Curvature = target_named(name, texts, None if d is None else int(d))
    return made
