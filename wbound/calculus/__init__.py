"""Numbers and expressions: parsing, intervals, quadrature, asymptotics; nothing here knows of diffusion."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(__name__, {})
