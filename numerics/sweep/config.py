"""The grid of a sweep: a TOML file → axes → cells, numbered once and for all."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from numerics.io.reading import text_of
from numerics.targets.named import FACTS, SPECTRA
from numerics.targets.named import TARGETS as NAMED_TARGETS
from wbound.calculus.balls import exact_text
from wbound.calculus.parser import number
from wbound.errors import BadInput, count, nonnegative, one_of, positive
from wbound.forward.catalogue import FORMS, NAMED, row_name
from wbound.sampler.description import USER, Description
from wbound.sampler.grid import GRIDS
from wbound.sampler.make_setting import STARTS
from wbound.sampler.scheme import SCHEMES
from wbound.theory.statements import THEOREMS

__all__ = ["AXES", "OUTPUTS", "TARGETS", "Plan", "described", "read"]

#: What a cell may be asked for.
OUTPUTS = ("bound", "exact", "iterations", "sample")

#: The axes of the grid, slowest first: neighbours in number share what is dear to make.
AXES = (
    *("process", "target", "d", "grid", "T", "K", "start"),
    *("scheme", "theorem", "M1", "score_bias", "score_noise", "eps", "seed"),
)

#: Targets by name and their parameters with defaults (None: may be left out).
TARGETS: dict[str, dict[str, float | None]] = {
    name: {key: None if text is None else number(text, key) for key, text in row.parameters.items()}
    for name, row in NAMED_TARGETS.items()
    if name in SPECTRA or name == FACTS
}

#: More cells than this are a mistake in the file, or work for several sweeps.
MOST_CELLS = 10**9

_DEFAULTS: dict[str, list[Any]] = {
    "d": [1],
    "grid": ["uniform"],
    "T": [None],
    "K": [None],
    "start": ["prior"],
    "scheme": ["em"],
    "theorem": ["sharp"],
    "M1": [None],
    "score_bias": [0.0],
    "score_noise": [0.0],
    "eps": [None],
    "seed": [0],
}
_NAMES: dict[str, Collection[str]] = {"scheme": SCHEMES, "grid": GRIDS, "start": STARTS, "theorem": THEOREMS}
_PLURAL = {f"{axis}s": axis for axis in ("process", "target", "grid", "scheme", "theorem", "start", "seed")}
_PLURAL["processes"] = "process"
del _PLURAL["processs"]


@dataclass(frozen=True)
class Plan:
    """The axes of a sweep, each a list of values, and what to compute in each cell.

    Process and target values are dicts of a name (or f and g) and numbers. ``n``: particles of a sample.
    """

    axes: Mapping[str, Sequence[Any]]
    outputs: tuple[str, ...]
    n: int = 1000

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(len(self.axes[axis]) for axis in AXES)

    @property
    def cells(self) -> int:
        """How many there are."""
        return math.prod(self.shape)

    def between(self, first: int, last: int) -> Iterator[tuple[int, dict[str, int]]]:
        """The cells first ≤ i < last, as (i, the index on each axis)."""
        shape = self.shape
        strides = [(axis, math.prod(shape[j + 1 :]), shape[j]) for j, axis in enumerate(AXES)]
        for i in range(first, last):
            yield i, {axis: i // stride % length for axis, stride, length in strides}

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "axes": {axis: list(self.axes[axis]) for axis in AXES},
            "outputs": list(self.outputs),
            "n": self.n,
        }

    @staticmethod
    def from_dict(value: Mapping[str, Any]) -> Plan:
        """The inverse of `to_dict`."""
        return Plan(value["axes"], tuple(value["outputs"]), value["n"])

    @cached_property
    def digest(self) -> str:
        """A hash of all of it: two plans with one digest have the same cells."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


def described(at: Mapping[str, Any]) -> Description:
    """The setting of a cell, whose value on each axis is given; eps too, but no seed."""
    process, target = dict(at["process"]), at["target"]
    d, name = at["d"], target.get("name", "isotropic")
    facts = {**TARGETS[name], **{k: x for k, x in target.items() if k != "name"}}
    if name == "facts" and facts["second_moment"] is None:  # the most that A1 allows
        facts["second_moment"] = d / facts["m0"] + (facts["mean_norm"] or 0.0) ** 2
    texts = {k: exact_text(k, x) for k, x in facts.items() if x is not None}
    words = {key: process.pop(key, None) for key in ("name", "form", "f", "g")}
    plain: dict[str, Any] = {axis: at[axis] for axis in ("K", "scheme", "theorem", "start", "grid")}
    exact = {axis: _exactly(axis, at[axis]) for axis in ("T", "score_bias", "score_noise", "M1", "eps")}
    return Description(
        process=USER if words["name"] is None else row_name(words["name"], words["form"]),
        parameters={key: exact_text(key, value) for key, value in process.items()},
        f=words["f"],
        g=words["g"],
        data={"d": d, **texts} if name == "facts" else {"target": name, "d": str(d), **texts},
        **plain | exact,
    )


def _exactly(axis: str, value: Any) -> str | None:
    return value if value in (None, "exact") else exact_text(axis, value)


def read(source: Path | str | Mapping[str, Any]) -> Plan:
    """The `Plan` of a TOML file or of its contents. Raises `BadInput` and `IOFailure`.

    Keys: ``process`` and ``target`` (tables of a name and parameters, each a number or a list of numbers),
    the other axes (a value or a list; plurals are taken), ``outputs`` of bound, exact, iterations, sample,
    and ``n``.
    """
    if isinstance(source, Mapping):
        body = source
    else:
        text = text_of(Path(source), "TOML")
        try:
            body = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # a number of too many digits is a ValueError
            raise BadInput("config", Path(source).name, f"is not TOML: {error}") from None
    given: dict[str, Any] = {}
    for key, value in body.items():
        name = _PLURAL.get(key, key)
        if name not in (*AXES, "outputs", "n"):
            raise BadInput("config", key, "is not known; allowed: " + ", ".join((*AXES, "outputs", "n")))
        if name in given:
            raise BadInput("config", key, f"is given twice ({name})")
        given[name] = value
    wanted_of = _listed("outputs", given.pop("outputs", ["bound"]))
    outputs = tuple(dict.fromkeys(one_of("outputs", x, OUTPUTS) for x in wanted_of))
    n = count("n", given.pop("n", 1000), 2)
    axes: dict[str, list[Any]] = {
        "process": _tables("process", given.pop("process", None)),
        "target": _tables("target", given.pop("target", [{"name": "isotropic"}])),
        **{axis: list(values) for axis, values in _DEFAULTS.items()},
    }
    for axis, value in given.items():
        axes[axis] = [_value(axis, x) for x in _listed(axis, value)]
    plan = Plan({axis: axes[axis] for axis in AXES}, outputs, n)
    if plan.cells > MOST_CELLS:
        raise BadInput("config", plan.cells, f"cells: at most {MOST_CELLS:.0e} in one sweep")
    for axis, wanted in {
        "K": {"bound", "exact", "sample"},
        "T": {"bound", "exact", "sample"},
        "eps": {"iterations"},
    }.items():
        if axis not in given and wanted & set(outputs):
            raise BadInput(
                "config", axis, "is missing: " + ", ".join(sorted(wanted & set(outputs))) + " need it"
            )
    return plan


def _listed(option: str, value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise BadInput("config", option, "is an empty list")
    return values


def _value(axis: str, value: Any) -> Any:
    if axis in _NAMES:
        return one_of(axis, value, _NAMES[axis])
    if axis == "M1" and value == "exact":
        return value
    if not isinstance(value, str | int | float):
        raise BadInput(axis, value, "must be a number")
    plain = number(value, axis)
    if axis in ("d", "K"):
        return count(axis, plain)
    if axis == "seed":
        return count(axis, value if isinstance(value, int) else plain, 0)
    return (nonnegative if axis in ("M1", "score_bias", "score_noise") else positive)(axis, plain)


def _tables(axis: str, value: Any) -> list[dict[str, Any]]:
    """Every combination of the parameters of every table."""
    if value is None:
        raise BadInput("config", axis, "is missing: give at least one")
    out = []
    for entry in _listed(axis, value):
        table = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(table, dict):
            raise BadInput(axis, entry, "must be a name, or a table of a name and parameters")
        words = {key: table[key] for key in ("name", "f", "g", "form") if key in table}
        for key, word in words.items():
            if not isinstance(word, str):
                raise BadInput(key, word, "must be text")
        _check(axis, words, table)
        names = [key for key in table if key not in words]
        choices = [[_number(key, x) for x in _listed(key, table[key])] for key in names]
        out += [{**words, **dict(zip(names, c, strict=True))} for c in itertools.product(*choices)]
    return out


def _number(key: str, value: Any) -> float:
    if not isinstance(value, str | int | float):
        raise BadInput(key, value, "must be a number")
    return number(value, key)


def _check(axis: str, words: Mapping[str, str], table: Mapping[str, Any]) -> None:
    if axis == "target":
        name = one_of("target", words.get("name", "isotropic"), TARGETS)
        for key in table:
            if key not in ("name", *TARGETS[name]):
                raise BadInput(key, table[key], f"target {name} takes " + ", ".join(TARGETS[name]))
        return
    if ("name" in words) == ("f" in words or "g" in words) or ("f" in words) != ("g" in words):
        raise BadInput("process", dict(words), "needs a name, or f and g")
    if "name" in words:
        names: tuple[str, ...] = (*NAMED, *FORMS)
        one_of("process", words["name"], names)
