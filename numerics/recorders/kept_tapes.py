"""Tapes of diffusers schedulers kept in a folder, so that one that has run before need not run again."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from numerics.io.writing import directory, write
from numerics.recorders.diffusers_schedulers import Plan, record_plan
from numerics.recorders.recording import NotRecorded
from wbound.complexity.orders_measured import cache_path
from wbound.errors import WboundError
from wbound.sampler.tape import Tape

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
    path = tapes_folder() / f"{key}.json"
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
    _write(path, {"key": key, "tape": tape.to_dict()})
    return tape


def _read(path: Path, key: str) -> Tape | Mapping[str, str] | None:
    """The tape, or why there is none; None where nothing is kept, or nothing that can be read."""
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict) or content.get("key") != key:
            return None
        if "tape" in content:
            return Tape.from_dict(content["tape"], path.name)
    except (OSError, ValueError, RecursionError, WboundError):  # WboundError: its digest does not fit
        return None
    said = content.get("said")
    return content if content.get("kind") in REFUSALS and isinstance(said, str) else None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Whole or not at all; a folder that cannot be written is no error."""
    with contextlib.suppress(WboundError):
        directory(path.parent)
        write(path, json.dumps(content, allow_nan=False))
