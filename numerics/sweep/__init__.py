"""Many settings at once, on one machine or a cluster."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(
    __name__,
    {
        "numerics.sweep.run": "CELLS Outcome RESULT RETRIES Sweep done sweep",
    },
)
