"""A diffusers scheduler from what a user has: an object, a class, a configuration, a JSON file."""

from __future__ import annotations

import copy
import difflib
import inspect
import json
import logging
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from numerics.io.reading import load_json
from wbound.errors import BadInput, WboundError

__all__ = ["Missing", "Source", "diffusers_library", "keys_of", "nearest", "needs_torch", "source_of"]


#: Counts of a configuration, which become sizes of tables.
COUNTS = ("num_train_timesteps", "original_inference_steps", "solver_order", "pndm_order")
MOST_COUNTED = 100_000


class Missing(WboundError, ImportError):
    """A library that an optional part needs is not installed."""


def needs_torch(what: str) -> None:
    """Raises `Missing` where torch is not installed."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise Missing(
            f"diffusers: {what} needs the extra: pip install 'wbound[diffusers]' ({error})"
        ) from None


def diffusers_library() -> Any:
    """The module `diffusers`. Raises `Missing`."""
    needs_torch("recording a scheduler")
    try:
        import diffusers
    except ImportError as error:
        raise Missing(
            f"diffusers: recording a scheduler needs the extra: pip install 'wbound[diffusers]' ({error})"
        ) from None
    return diffusers


def nearest(word: str, names: Collection[str]) -> str:
    """The names that ``word`` may have meant, in words."""
    found = difflib.get_close_matches(word, sorted(names), 3, 0.5)
    return " or ".join(found) if found else ", ".join(sorted(names))


@cache
def keys_of(function: Any) -> tuple[str, ...]:
    """The names of a function's parameters, without self and a catch-all."""
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = inspect.signature(function).parameters.items()
    return tuple(name for name, p in found if name != "self" and p.kind not in kinds)


@dataclass(frozen=True, eq=False)
class Source:
    """How to make a scheduler anew: its class, its configuration, or the object to copy.

    ``ignored``: keys of the configuration that the class does not take, as the library ignores them too.
    """

    kind: Any
    config: Mapping[str, Any]
    ignored: tuple[str, ...] = ()
    live: Any = None

    @property
    def name(self) -> str:
        return str(self.kind.__name__)

    @property
    def version(self) -> str:
        """The library and its version: a scheduler of one's own is named by its module."""
        module = self.kind.__module__.partition(".")[0]
        return f"diffusers {diffusers_library().__version__}" if module == "diffusers" else module

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that the class takes."""
        return keys_of(self.kind.__init__)

    def make(self) -> Any:
        """A fresh scheduler. Raises `BadInput` with the library's words where it refuses the configuration."""
        if self.live is not None:
            return copy.deepcopy(self.live)
        for key in COUNTS:  # the library would allocate whatever is asked
            value = self.config.get(key, 1)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_COUNTED
            ):
                raise BadInput(key, value, f"must be an integer from 1 to {MOST_COUNTED}")
        with quiet():
            try:
                return self.kind.from_config(dict(self.config))
            except Exception as error:  # whatever a library raises: its words are the answer
                raise BadInput(
                    "scheduler", self.name, f"{self.version} refuses this configuration: {str(error)[:300]}"
                ) from None

    def but(self, changes: Mapping[str, Any], kind: Any = None) -> Source:
        """The same with other values, or of another class. Raises `BadInput` for a key that it does not take."""
        made = self if kind is None else replace(self, kind=kind, live=None)
        for key in changes:
            if key not in made.keys:
                raise BadInput(key, changes[key], f"{made.name} takes no such key: {nearest(key, made.keys)}")
        if not changes and kind is None:
            return self
        kept = {k: v for k, v in made.config.items() if k != "_use_default_values" or kind is not None}
        defaults = kept.get("_use_default_values")
        if defaults:
            kept["_use_default_values"] = [key for key in defaults if key not in changes]
        return replace(made, config={**kept, **changes}, live=None)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain values, of the keys that the class takes."""
        taken = self.keys
        return {key: _plain(value) for key, value in sorted(self.config.items()) if key in taken}


def _plain(value: Any) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    return json.loads(json.dumps(value, default=str))


@contextmanager
def quiet() -> Iterator[None]:
    """Without the library's warnings: what it ignores is said by us, in one line."""
    logger = logging.getLogger("diffusers")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def source_of(given: Any) -> Source:
    """The scheduler that ``given`` means: a scheduler, its ``config``, its class or the class's name, a
    mapping with ``_class_name``, or a JSON file. Raises `BadInput`, `IOFailure` and `Missing`."""
    library = diffusers_library()
    if isinstance(given, Source):
        return given
    if isinstance(given, type):
        _steps(given, given.__name__)
        return Source(given, {})
    if isinstance(given, Mapping):
        return _from_mapping(library, given, "configuration")
    if isinstance(given, (str, Path)):
        text = str(given)
        if text.isidentifier():
            return Source(_class(library, text), {})
        content = load_json(Path(given))
        if not isinstance(content, Mapping):
            raise BadInput("file", Path(given).name, "must be a JSON object: a scheduler's configuration")
        return _from_mapping(library, content, Path(given).name)
    _steps(type(given), type(given).__name__)
    return Source(type(given), dict(getattr(given, "config", {})), live=given)


def _from_mapping(library: Any, content: Mapping[str, Any], name: str) -> Source:
    named = content.get("_class_name")
    if named is None:
        named = _by_keys(library, content, name)
    if not isinstance(named, str):
        raise BadInput(f"{name}: _class_name", named, "must be the name of a scheduler")
    kind = _class(library, named)
    ignored = tuple(k for k in content if not k.startswith("_") and k not in keys_of(kind.__init__))
    return Source(kind, dict(content), ignored)


def _by_keys(library: Any, content: Mapping[str, Any], name: str) -> str:
    """The class of a live scheduler's ``config``, which holds all keys of the class and not its name."""
    keys = {k for k in content if not k.startswith("_")}
    names = [n for n in dir(library) if n.endswith("Scheduler") and isinstance(getattr(library, n), type)]
    found = [n for n in names if "Parallel" not in n and set(keys_of(getattr(library, n).__init__)) == keys]
    if len(found) == 1:
        return found[0]
    said = f" (it may be {' or '.join(found)})" if found else ""
    raise BadInput(name, "_class_name", f"is missing{said}: give the scheduler itself, or add it")


def _class(library: Any, name: str) -> Any:
    if not name.endswith("Scheduler") or not hasattr(library, name):
        names = [n for n in dir(library) if n.endswith("Scheduler")]
        near = difflib.get_close_matches(name, names, 3, 0.5)
        said = f": did you mean {' or '.join(near)}?" if near else ", such as DDIMScheduler"
        raise BadInput("scheduler", name, f"is no scheduler of diffusers {library.__version__}{said}")
    kind = getattr(library, name)
    _steps(kind, name)
    return kind


def _steps(kind: Any, name: str) -> None:
    for method in ("set_timesteps", "step"):
        if not callable(getattr(kind, method, None)):
            raise BadInput("scheduler", name, f"has no method {method}: nothing that runs step by step")
