"""Tapes of diffusers schedulers kept in a folder, so that one that has run before need not run again."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from numerics.io.writing import directory, write
from numerics.recorders.diffusers_schedulers import Plan, record_plan
from numerics.recorders.recording import NotRecorded
from wbound.complexity.orders_measured import cache_path
from wbound.errors import WboundError
from wbound.sampler.tape import ARRAYS, NUMBERS, Tape

__all__ = ["kept_tape", "tapes_folder"]


#: A tape holds K² numbers: longer ones are not kept.
LONGEST = 200
#: What a refusal that is kept may be: of the library and not of what was asked.
REFUSALS = ("nan", "exception", "not affine", "refused")


def tapes_folder() -> Path:
    """Where tapes are kept: ``$XDG_CACHE_HOME/wbound/tapes``, else under ``~/.cache``. It may be removed."""
    return cache_path().parent / "tapes"


@cache
def _code() -> str:
    """A fingerprint of the code that tapes come from."""
    digest = hashlib.sha256()
    for folder in (Path(__file__).parent, Path(inspect.getfile(Tape)).parent):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _key(plan: Plan) -> str | None:
    """A name that changes with the class, its configuration, the steps, the libraries' versions and this code; None for
    what these do not tell: an object that was handed over, and a class that is not of the library."""
    if plan.source.live is not None or not plan.source.kind.__module__.startswith("diffusers."):
        return None
    import torch

    parts: dict[str, Any] = {
        "code": _code(),
        "versions": [plan.source.version, f"torch {torch.__version__}"],
        "class": plan.source.name,
        "config": plan.source.config,
        "K": plan.K,
        "placing": plan.placing,
        "stepping": plan.stepping,
        "begin_index": plan.begin_index,
    }
    try:
        text = json.dumps(parts, sort_keys=True)
    except (TypeError, ValueError):  # values that no JSON holds
        return None
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def kept_tape(plan: Plan) -> Tape:
    """`record_plan`, from the folder where it is there; what is damaged there is made anew.

    Raises `NotRecorded`, as the run did.
    """
    key = _key(plan) if plan.K is not None and plan.K <= LONGEST else None
    if key is None:
        return record_plan(plan)
    path = tapes_folder() / f"{key}.tape"
    found = _read(path, key)
    if isinstance(found, Tape):
        return found
    if found is not None:
        raise NotRecorded(found["kind"], plan.what, found["said"])
    try:
        tape = record_plan(plan)
    except NotRecorded as error:
        _write(path, {"key": key, "kind": error.kind, "said": error.said})
        raise
    arrays = {name: array for name in ARRAYS if (array := getattr(tape, name)) is not None}
    shapes = {name: array.shape for name, array in arrays.items()}
    numbers = [np.array([getattr(tape, name) for name in NUMBERS]), *(a.ravel() for a in arrays.values())]
    flat = np.concatenate(numbers).astype("<f8").tobytes()
    _write(path, {"key": key, "shapes": shapes, "made": dict(tape.made)}, flat)
    return tape


# A file is a digest, a line of JSON, and then the numbers as they lie in memory: text would cost most of a ranking's time.


def _read(path: Path, key: str) -> Tape | Mapping[str, str] | None:
    """The tape, or why there is none; None where nothing is kept, or nothing that can be read."""
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
        if digest != _digest(content):
            return None
        line, _, rest = content.partition(b"\n")
        head = json.loads(line)
        if not isinstance(head, dict) or head.get("key") != key:
            return None
        if "shapes" in head:
            return _tape(head, rest)
    except (OSError, ValueError, TypeError, KeyError, RecursionError, WboundError):
        return None
    said = head.get("said")
    return head if head.get("kind") in REFUSALS and isinstance(said, str) else None


def _tape(head: Mapping[str, Any], numbers: bytes) -> Tape:
    values, at = np.frombuffer(numbers, "<f8"), len(NUMBERS)
    found: dict[str, Any] = dict(zip(NUMBERS, values[:at].tolist(), strict=True))
    for name, shape in head["shapes"].items():
        size = math.prod(shape)
        found[name] = values[at : at + size].reshape(shape)
        at += size
    return Tape(**found, made=head["made"])


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _write(path: Path, head: Mapping[str, Any], numbers: bytes = b"") -> None:
    """Whole or not at all; a folder that cannot be written is no error."""
    content = json.dumps(head, allow_nan=False).encode() + b"\n" + numbers
    with contextlib.suppress(WboundError):
        directory(path.parent)
        write(path, _digest(content) + b"\n" + content)
