"""Exact laws of samplers on Gaussian data, the lower bound, and the leading order in 1/K."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(__name__, {})
