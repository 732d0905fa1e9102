"""W2 between laws: quantiles on the line, Gaussians, samples."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(
    __name__,
    {
        "numerics.transport.samples": (
            "EmpiricalW2 LEAST empirical_w2 gaussian_w2 one_dim_w2 plugin_w2 sliced_w2"
        ),
    },
)
