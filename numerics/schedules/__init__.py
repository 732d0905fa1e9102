"""Schedules of a user's own: read, diagnosed, compared and chosen for data."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Where the names of this room's front door are made; they are looked up when first used.
_HOME = {
    "EXACT": "numerics.schedules.schedule_formats",
    "FORMS": "numerics.schedules.schedule_formats",
    "NoClock": "numerics.schedules.schedule_formats",
    "Schedule": "numerics.schedules.schedule_formats",
    "export": "numerics.schedules.schedule_formats",
    "from_array": "numerics.schedules.schedule_formats",
    "inside": "numerics.schedules.schedule_formats",
    "nearest": "numerics.schedules.schedule_formats",
    "read": "numerics.schedules.schedule_formats",
    "schedule": "numerics.schedules.schedule_formats",
    "start_std": "numerics.schedules.schedule_formats",
    "to_array": "numerics.schedules.schedule_formats",
    "values_of": "numerics.schedules.schedule_formats",
    "ve": "numerics.schedules.schedule_formats",
    "vector": "numerics.schedules.schedule_formats",
    "vp": "numerics.schedules.schedule_formats",
    "without_infinity": "numerics.schedules.schedule_formats",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
