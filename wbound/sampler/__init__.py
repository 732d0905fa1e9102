"""A sampler: where its times lie, what its steps do, and the setting in which a statement is read."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(__name__, {})
