"""The figure of section 17: W2/√tr Σ against network calls, and the region that no affine sampler enters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from numerics.figures.style import INK, MUTED, Entry, log_frame, styled, width_of, x_label

__all__ = ["few_calls_figure"]

#: The lines by name: their label and look.
LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "theorem-1": ("published bound (em)", {"color": MUTED, "linestyle": (0, (1.2, 1.2))}),
    "theorem-2": ("Theorem 2 (hf)", {"color": MUTED, "linestyle": (0, (5, 1.6))}),
    "hf": ("hf", {"color": "#D55E00"}),
    "ddim": ("ddim's floor (Eq. 17)", {"color": "#0072B2", "linestyle": (0, (6, 1.5, 1, 1.5))}),
    "heun": ("Heun", {"color": "#CC79A7"}),
    "unipc": ("UniPC as shipped", {"color": "#56B4E9"}),
    "dpmpp-2m": ("DPM-Solver++(2M)", {"color": "#009E73"}),
    "phase": ("phase sampler", {"color": "#E69F00", "linewidth": 2.2}),
}
#: The least W2/√tr Σ that is drawn.
LEAST = 1e-8


def few_calls_figure(
    found: Mapping[str, Any], width: str | float = "report", *, ax: Axes | None = None
) -> Axes:
    """Lines of `numerics.studies.worst_by_calls.lines_by_calls`; shaded: below E_K, where no affine sampler stays at its
    worst spectrum (Theorem 6; Gaussian data, exact scores, levels not drawn at random)."""
    inches, lines = width_of(width), found["lines"]
    shown = {
        name: tuple(np.asarray(v, dtype=np.float64) for v in lines[name]) for name in LOOKS if lines[name][0]
    }
    with styled():
        right = max(float(at[-1]) for at, _ in shown.values())
        x, y = (1.0, right), (LEAST, 20.0)
        entries = []
        for name, (at, values) in shown.items():
            last = int(np.flatnonzero(values >= LEAST)[-1])
            entries.append(Entry(float(at[last]), min(float(values[last]), y[1]), *LOOKS[name]))
        said = f"W2 at the worst spectrum\nGaussian data of κ = {found['kappa']:.3g}, exact scores"
        _, axes = log_frame(inches, 0.8 * min(inches, 5.6), x, y, entries, said, legend="sampler", ax=ax)
        at, floor = (np.asarray(v, dtype=np.float64) for v in lines["affine"])
        # E_K between whole K is no number of calls: steps, each up to the next K
        axes.fill_between(
            np.append(at, right), LEAST, np.maximum(np.append(floor, floor[-1]), LEAST), step="post", color="#CCCCCC", linewidth=0
        )  # fmt: skip
        axes.annotate(
            "no affine sampler, worst spectrum", (1.15, LEAST * 3.0), color=INK, fontsize="small", va="bottom"
        )
        for name, (calls, values) in shown.items():
            inside = values >= LEAST
            axes.plot(calls[inside], values[inside], **LOOKS[name][1])
        x_label(axes, "calls of the network")
        axes.set_ylabel("W2 / sqrt(tr Σ)")
    return axes
