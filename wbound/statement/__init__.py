"""What a statement is: hypotheses, kind, source and formula, before any statement is made."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(__name__, {})
