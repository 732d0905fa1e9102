"""The process of flow matching on straight paths, x_t = (1 − t) X_0 + t Z (section 18 of docs/theory.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wbound.calculus.parser import parse
from wbound.forward.row import Row

__all__ = ["FLOW"]

_F, _G = "1/(1-t)", "sqrt(2*t/(1-t))"
_INCREMENT, _LOG_LAM = "-log1p(-(hi-lo)/(1-lo))", "2*log(t)-2*log1p(-t)"


def _closed(values: Mapping[str, float]) -> dict[str, Any]:
    """α = 1 − t, σ = t: f = 1/(1−t) and g² = (σ²)' + 2fσ² = 2t/(1−t); at t = 1 λ is infinite."""
    return {
        "f": parse(_F, "t", ()),
        "g": parse(_G, "t", ()),
        "family": "general",
        "increment": parse(_INCREMENT, "t", ("lo", "hi")),
        "log_lam": parse(_LOG_LAM, "t", ()),
        "t_max": 1.0,
    }


#: Beside the published eight; not a row of their table. It ends at t = 1, pure noise.
FLOW: tuple[Row, ...] = (
    Row(
        "rectified-flow",
        (),
        _F,
        _G,
        "general",
        _INCREMENT,
        log_lam=_LOG_LAM,
        source="Liu, Gong & Liu, 2023; Lipman et al., 2023",
        published=False,
        closed=_closed,
    ),
)
