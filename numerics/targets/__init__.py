"""Data laws with exact scores, and data sets read as Gaussians or mixtures."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(
    __name__,
    {
        "numerics.targets.products": (
            "Factor Gaussian LogCosh ProductTarget SymmetricMixture Target along_and_across generator"
            " product_M1"
        ),
    },
)
