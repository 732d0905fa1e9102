"""Samplers that run: plans of a step, compiled kernels, coupled paths."""

from __future__ import annotations

from wbound.extras import needing
from wbound.moved import front_door

with needing("samplers"):
    import joblib  # noqa: F401  (what samples is compiled, and counts its cores)
    import numba  # noqa: F401

_HOME, __getattr__, __dir__ = front_door(
    __name__,
    {
        "numerics.samplers.sampling": "Paths Seed cores coupled_exact coupled_paths sample samples",
    },
)
