"""Sums over K steps for any K, and a bound made of them as a function of (T, K)."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(__name__, {})
