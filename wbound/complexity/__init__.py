"""How many steps an accuracy needs: least K, horizons, tolerances of the score, orders in d and ε."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Where the names of this room's front door are made; they are looked up when first used.
_HOME = {
    "CLOSE": "wbound.complexity.least_steps",
    "COUNTED": "wbound.complexity.least_steps",
    "HOPELESS": "wbound.complexity.least_steps",
    "Iterations": "wbound.complexity.least_steps",
    "LOOKS": "wbound.complexity.least_steps",
    "MOST": "wbound.complexity.least_steps",
    "NARROW": "wbound.complexity.least_steps",
    "NOISE": "wbound.complexity.least_steps",
    "SETTLED": "wbound.complexity.least_steps",
    "WIDE": "wbound.complexity.least_steps",
    "answer": "wbound.complexity.least_steps",
    "exact_iterations": "wbound.complexity.least_steps",
    "iterations": "wbound.complexity.least_steps",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
