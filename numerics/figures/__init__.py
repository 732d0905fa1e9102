"""Figures: style, frames and one function a picture."""

from __future__ import annotations

from wbound.extras import needing
from wbound.moved import front_door

with needing("plots"):
    import matplotlib  # noqa: F401  (every file here draws with it)

_HOME, __getattr__, __dir__ = front_door(
    __name__,
    {
        "numerics.figures.curves": (
            "COLOURS HEADROOM INK SUFFIXES bound_figure colour csv_text processes_figure save steps_figure"
            " svg width_of"
        ),
        "numerics.figures.lower_bound": "cancellation_figure floor_figure",
    },
)
