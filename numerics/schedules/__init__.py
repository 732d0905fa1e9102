"""Schedules of a user's own: read, diagnosed, compared and chosen for data."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(
    __name__,
    {
        "numerics.schedules.schedule_formats": (
            "EXACT FORMS NoClock Schedule export from_array nearest read schedule start_std to_array values_of ve vp"
        ),
        "numerics.schedules.checked_arrays": "inside vector without_infinity",
    },
)
