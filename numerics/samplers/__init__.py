"""Samplers that run: plans of a step, compiled kernels, coupled paths."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Where the names of this room's front door are made; they are looked up when first used.
_HOME = {
    "Paths": "numerics.samplers.sampling",
    "Seed": "numerics.samplers.sampling",
    "cores": "numerics.samplers.sampling",
    "coupled_exact": "numerics.samplers.sampling",
    "coupled_paths": "numerics.samplers.sampling",
    "sample": "numerics.samplers.sampling",
    "samples": "numerics.samplers.sampling",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
