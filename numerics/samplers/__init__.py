"""Samplers that run: plans of a step, compiled kernels, coupled paths."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(
    __name__,
    {
        "numerics.samplers.sampling": "Paths Seed cores coupled_exact coupled_paths sample samples",
    },
)
