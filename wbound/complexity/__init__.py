"""How many steps an accuracy needs: least K, horizons, tolerances of the score, orders in d and ε."""

from __future__ import annotations

from wbound.moved import front_door

_HOME, __getattr__, __dir__ = front_door(
    __name__,
    {
        "wbound.complexity.least_steps": "Iterations answer exact_iterations iterations",
        "wbound.complexity.horizon_search": "CLOSE COUNTED HOPELESS LOOKS MOST NARROW NOISE SETTLED WIDE",
    },
)
