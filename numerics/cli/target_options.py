"""The options --target and -q: a target by name, or a user's density, with its parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from numerics.cli import options as o
from numerics.cli import standard_input, words

TargetName = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME|density=TEXT",
        help="gaussian, isotropic, power-law, geometric, mixture, logcosh (A1); modes, peaks, smoothed (beyond A1); or the "
        "log-density of one coordinate in x.",
        autocompletion=o.completing(lambda: words.TARGETS),
    ),
]
TargetParameters = Annotated[
    list[str] | None,
    typer.Option(
        "-q",
        "--target-parameter",
        metavar="NAME=VALUE",
        help="mean, cov (gaussian; lists or a file), mean, variance (and exponent: power-law, condition: geometric), c, s "
        "(mixture, modes), m0, L0 (logcosh), means, s, weights (peaks; lists, or a file of rows), points, tau (smoothed; "
        "digits or a file), or the density's own.",
    ),
]


def target_from(text: str, q: list[str] | None, d: str | None) -> Any:
    """The target that the options spell, in dimension ``d`` (default: that of its parameters, else 1).

    Targets beyond A1 have a curvature profile instead. Raises `BadInput`, and `HypothesisFailed` (A1) for a
    density or mixture that is not strongly log-concave.
    """
    from numerics.targets.named import DENSITY, FACTS, TARGETS, target_named
    from wbound.errors import BadInput
    from wbound.memory import dimension

    wanted = o.number("d", d)
    size = None if wanted is None else dimension(wanted)
    given: dict[str, Any] = {}
    for item in q or []:
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not key or not value:
            raise BadInput("-q", item, "must be NAME=VALUE")
        if key in given:
            raise BadInput("-q", item, f"{key} is given twice")
        given[key] = value
    if not text.startswith(DENSITY) and (text not in TARGETS or text == FACTS):
        names = ", ".join(name for name in TARGETS if name != FACTS)
        raise BadInput("target", text, f"must be one of {names}, or {DENSITY}TEXT")
    return target_named(text, {key: _read(key, value) for key, value in given.items()}, size)


def _read(option: str, text: str) -> Any:
    """A parameter's text, or the numbers of the file that it names."""
    name = standard_input.as_file(text) or text
    if option != "points" and Path(name).suffix in (".npy", ".npz", ".txt", ".csv"):
        import numpy as np

        return np.asarray(o.array_from(option, name), float)
    return name
