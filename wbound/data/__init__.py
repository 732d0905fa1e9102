"""What is known of the data: curvature at every noise level, moments, the score's regularity."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(
    __name__,
    {
        "wbound.data.log_concave": "AGREE EQUAL LogConcave ROUNDING",
        "wbound.data.curvature": "Curvature StronglyLogConcave",
        "wbound.data.gaussian": "Gaussian",
        "wbound.calculus.stable": "LEAST grown growth logistic softplus",
    },
)
