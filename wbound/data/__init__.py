"""What is known of the data: curvature at every noise level, moments, the score's regularity."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Where the names of this room's front door are made; they are looked up when first used.
_HOME = {
    "AGREE": "wbound.data.log_concave",
    "Curvature": "wbound.data.curvature",
    "EQUAL": "wbound.data.log_concave",
    "Gaussian": "wbound.data.gaussian",
    "LEAST": "wbound.calculus.stable",
    "LogConcave": "wbound.data.log_concave",
    "ROUNDING": "wbound.data.log_concave",
    "StronglyLogConcave": "wbound.data.curvature",
    "grown": "wbound.calculus.stable",
    "growth": "wbound.calculus.stable",
    "logistic": "wbound.calculus.stable",
    "softplus": "wbound.calculus.stable",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
