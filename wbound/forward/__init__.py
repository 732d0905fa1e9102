"""Forward processes: f and g, their integrals over a step, and the catalogue."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(
    __name__,
    {
        "wbound.forward.forward_process": "Along Expressions Process by_sign",
    },
)
