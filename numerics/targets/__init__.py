"""Data laws with exact scores, and data sets read as Gaussians or mixtures."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Where the names of this room's front door are made; they are looked up when first used.
_HOME = {
    "Factor": "numerics.targets.products",
    "Gaussian": "numerics.targets.products",
    "LogCosh": "numerics.targets.products",
    "ProductTarget": "numerics.targets.products",
    "SymmetricMixture": "numerics.targets.products",
    "Target": "numerics.targets.products",
    "along_and_across": "numerics.targets.products",
    "generator": "numerics.targets.products",
    "product_M1": "numerics.targets.products",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
