"""W2 between laws: quantiles on the line, Gaussians, samples."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Where the names of this room's front door are made; they are looked up when first used.
_HOME = {
    "EmpiricalW2": "numerics.transport.samples",
    "LEAST": "numerics.transport.samples",
    "empirical_w2": "numerics.transport.samples",
    "gaussian_w2": "numerics.transport.samples",
    "one_dim_w2": "numerics.transport.samples",
    "plugin_w2": "numerics.transport.samples",
    "sliced_w2": "numerics.transport.samples",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
