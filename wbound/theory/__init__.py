"""Every statement of docs/theory.md as an object, and a bound explained term by term."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(__name__, {})
