"""Forward processes: f and g, their integrals over a step, and the catalogue."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Where the names of this room's front door are made; they are looked up when first used.
_HOME = {
    "Along": "wbound.forward.forward_process",
    "Expressions": "wbound.forward.forward_process",
    "Process": "wbound.forward.forward_process",
    "by_sign": "wbound.forward.forward_process",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
