"""Many settings at once, on one machine or a cluster."""

from __future__ import annotations

from wbound.extras import needing
from wbound.moved import front_door

with needing("sweep"):
    import loky  # noqa: F401  (what runs writes Parquet from a pool of its own)
    import pyarrow  # noqa: F401

_HOME, __getattr__, __dir__ = front_door(
    __name__,
    {
        "numerics.sweep.run": "CELLS Outcome RESULT RETRIES Sweep done sweep",
    },
)
