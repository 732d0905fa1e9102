"""The options --target and -q: a target by name, or a user's density, with its parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from numerics.cli import options as o
from numerics.cli import standard_input

__all__ = ["NAMES", "TargetName", "TargetParameters", "target_from"]

#: The targets by name with their parameters and default values (text, as a user would type it).
NAMES: dict[str, dict[str, str]] = {
    "gaussian": {"mean": "0", "cov": "1"},
    "mixture": {"c": "0.8", "s": "1"},
    "logcosh": {"m0": "0.5", "L0": "2"},
    "modes": {"c": "1.5", "s": "1"},
    "peaks": {"means": "-1,1", "s": "0.5", "weights": ""},
    "smoothed": {"points": "digits", "tau": "1"},
}
DENSITY = "density="


TargetName = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME|density=TEXT",
        help="gaussian, mixture, logcosh (A1); modes, peaks, smoothed (beyond A1); or the log-density of one "
        "coordinate in x.",
        autocompletion=o.completing(lambda: (*NAMES, DENSITY)),
    ),
]
TargetParameters = Annotated[
    list[str] | None,
    typer.Option(
        "-q",
        "--target-parameter",
        metavar="NAME=VALUE",
        help="mean, cov (gaussian; lists or a file), c, s (mixture, modes), m0, L0 (logcosh), means, s, weights "
        "(peaks; lists, or a file of rows), points, tau (smoothed; digits or a file), or the density's own.",
    ),
]


def target_from(text: str, q: list[str] | None, d: str | None) -> Any:
    """The target that the options spell, in dimension ``d`` (default: that of its parameters, else 1).

    Targets beyond A1 have a curvature profile instead. Raises `BadInput`, and `HypothesisFailed` (A1) for a
    density or mixture that is not strongly log-concave.
    """
    from numerics.targets import mixtures, products
    from wbound.errors import BadInput, positive
    from wbound.memory import dimension as size_of

    wanted = o.number("d", d)
    dimension = None if wanted is None else size_of(wanted)
    given: dict[str, str] = {}
    for item in q or []:
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not key or not value:
            raise BadInput("-q", item, "must be NAME=VALUE")
        if key in given:
            raise BadInput("-q", item, f"{key} is given twice")
        given[key] = value
    if text.startswith(DENSITY):
        values = {key: positive(key, o.number(key, value)) for key, value in given.items()}
        facts = {key: values.pop(key) for key in ("m0", "L0") if key in values}
        return products.ProductTarget(text[len(DENSITY) :], dimension or 1, parameters=values, **facts)
    if text not in NAMES:
        raise BadInput("target", text, f"must be one of {', '.join(NAMES)}, or {DENSITY}TEXT")
    for key in given:
        if key not in NAMES[text]:
            raise BadInput("-q", key, f"must be one of {', '.join(NAMES[text])} for {text}")
    chosen = NAMES[text] | given
    if text == "gaussian":
        return products.Gaussian(*_gaussian(chosen["mean"], chosen["cov"], dimension))
    if text == "mixture":
        centre = _numbers("c", chosen["c"])
        made: Any = products.SymmetricMixture(centre, positive("s", o.number("s", chosen["s"])))
        if dimension in (None, made.d):
            return made
        if made.d > 1:
            raise BadInput("d", dimension, f"must be {made.d}, the size of c")
        return made.resized(dimension)
    if text == "modes":
        made = mixtures.Bimodal(_numbers("c", chosen["c"]), o.required("s", chosen["s"]))
        return _in_its_own(made, dimension, "c")
    if text == "peaks":
        widths = _numbers("s", chosen["s"])
        weights = _numbers("weights", chosen["weights"]) if chosen["weights"] else None
        means = _numbers("means", chosen["means"])
        return _in_its_own(mixtures.GaussianMixture(means, widths, weights), dimension, "means")
    if text == "smoothed":
        from numerics.targets.datasets import samples_of

        points = samples_of(chosen["points"])
        made = mixtures.SmoothedData(points - points.mean(axis=0), o.required("tau", chosen["tau"]))
        return _in_its_own(made, dimension, "a point")
    m0, L0 = (positive(key, o.number(key, chosen[key])) for key in ("m0", "L0"))
    return products.LogCosh(dimension or 1, m0, L0)


def _in_its_own(made: Any, d: int | None, what: str) -> Any:
    """The target, whose dimension is that of its parameters."""
    from wbound.errors import BadInput

    if d not in (None, made.d):
        raise BadInput("d", d, f"must be {made.d}, the size of {what}")
    return made


def _numbers(option: str, text: str) -> Any:
    """Numbers of a list "1,1/2,-3", or of a file."""
    import numpy as np

    text = standard_input.as_file(text) or text
    if Path(text).suffix in (".npy", ".npz", ".txt", ".csv"):
        return np.asarray(o.array_from(option, text), float)
    return np.array([o.number(option, part) for part in text.split(",")])


def _gaussian(mean_text: str, cov_text: str, d: int | None) -> tuple[Any, Any]:
    """Mean (d,) and covariance; single numbers are taken for every coordinate."""
    import numpy as np

    from wbound.errors import BadInput

    mean, cov = _numbers("mean", mean_text), _numbers("cov", cov_text)
    sizes = [a.shape[0] for a in (mean, cov) if a.ndim > 0 and a.size > 1]
    size = d if d is not None else max(sizes, default=1)
    if mean.size == 1:
        mean = np.full(size, float(mean.ravel()[0]))
    if cov.size == 1:
        cov = np.asarray(float(cov.ravel()[0]))
    if d is not None and mean.shape != (d,):
        raise BadInput("d", d, f"must be {mean.size}, the size of mean")
    return mean, cov
