"""Many settings at once, on one machine or a cluster."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Where the names of this room's front door are made; they are looked up when first used.
_HOME = {
    "CELLS": "numerics.sweep.run",
    "Outcome": "numerics.sweep.run",
    "RESULT": "numerics.sweep.run",
    "RETRIES": "numerics.sweep.run",
    "Sweep": "numerics.sweep.run",
    "done": "numerics.sweep.run",
    "sweep": "numerics.sweep.run",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
