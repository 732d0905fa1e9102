"""The audit's curve: exact W2 over the number of steps, with the failures and what helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numerics.figures.style import COLOURS, MUTED, Entry, log_frame, styled, width_of, x_label, y_range_of
from numerics.io.writing import csv_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from numerics.recorders.audited import Audit

__all__ = ["audit_csv", "audit_figure"]


def audit_csv(audit: Audit) -> str:
    """The curve as CSV: steps, W2 (empty where there is none)."""
    curve = audit.curve or tuple((r.steps, None if r.parts is None else r.parts.w2) for r in audit.rows)
    return csv_text({"steps": [k for k, _ in curve], "w2": ["" if w is None else w for _, w in curve]})


def audit_figure(audit: Audit, width: str | float = "report", *, ax: Axes | None = None) -> Axes:
    """W2 (not squared, in the data's units) over K, both logarithmic; the best change of each kind as a mark."""
    inches = width_of(width)
    seen = [(k, w) for k, w in audit.curve if w is not None and w > 0.0]
    if not seen:
        seen = [
            (r.calls or r.steps, r.parts.w2) for r in audit.rows if r.parts is not None and r.parts.w2 > 0.0
        ]
    at = np.array([k for k, _ in seen] or [1], dtype=float)
    values = np.array([w for _, w in seen] or [1.0])
    best = {h.cost: h for h in reversed(audit.helps)}
    marks = [(float(h.steps), h.w2, h.line) for h in best.values() if h.w2 > 0.0]
    with styled():
        look: dict[str, Any] = {
            "color": COLOURS["vp-linear"],
            "marker": "o",
            "markersize": 2.6,
            "linewidth": 1.2,
        }
        x = (float(at.min()), float(max(at.max(), 2.0 * at.min())))
        y = y_range_of([values, np.array([w for _, w, _ in marks] or [values.min()])])
        entries = [Entry(x[1], float(values[-1]), "as it is", look)]
        title = f"{audit.what.partition(' (')[0]}\nof what it returns; start: {audit.start}; "
        title += f"data of scale {audit.scale:.4g}"
        _, axes = log_frame(inches, 0.75 * min(inches, 5.2), x, y, entries, title, ax=ax)
        axes.plot(at, values, clip_on=False, **look)
        for k, w, _ in marks:
            axes.plot([k], [w], color=COLOURS["vp-polynomial"], marker="D", markersize=4.0, clip_on=False)
        for k, found in audit.curve:
            if found is None:
                axes.plot([k], [y[0]], color=MUTED, marker="x", markersize=3.5, clip_on=False)
        x_label(axes, "steps K")
        axes.set_ylabel("W2, units of the data")
    return axes
