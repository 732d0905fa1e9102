"""Figures: style, frames and one function a picture."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Where the names of this room's front door are made; they are looked up when first used.
_HOME = {
    "COLOURS": "numerics.figures.curves",
    "HEADROOM": "numerics.figures.curves",
    "INK": "numerics.figures.curves",
    "SUFFIXES": "numerics.figures.curves",
    "bound_figure": "numerics.figures.curves",
    "cancellation_figure": "numerics.figures.lower_bound",
    "colour": "numerics.figures.curves",
    "csv_text": "numerics.figures.curves",
    "floor_figure": "numerics.figures.lower_bound",
    "processes_figure": "numerics.figures.curves",
    "save": "numerics.figures.curves",
    "steps_figure": "numerics.figures.curves",
    "svg": "numerics.figures.curves",
    "width_of": "numerics.figures.curves",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
