"""The samplers' best schedules over the floor of every affine sampler, against calls of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numerics.figures.style import INK, Entry, log_frame, styled, width_of, x_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from numerics.studies.calls import ByCalls

__all__ = ["calls_figure"]

#: Colours of Okabe & Ito with marks and dashes, so that grey tells them apart too.
LOOKS: dict[str, dict[str, Any]] = {
    "ddpm": {"color": "#E69F00", "marker": "o"},
    "em-point": {"color": "#CC79A7", "marker": "v", "linestyle": (0, (1.2, 1.2))},
    "ddim": {"color": "#0072B2", "marker": "s", "linestyle": (0, (5, 1.6))},
    "heun": {"color": "#009E73", "marker": "^", "linestyle": (0, (5, 1.6, 1, 1.6))},
    "dpmpp-2m": {"color": "#D55E00", "marker": "D", "linewidth": 2.0},
}
#: How far below the best sampler the frame goes.
BELOW = 0.1


def calls_figure(found: ByCalls, width: str | float = "report", *, ax: Axes | None = None) -> Axes:
    """Exact W2 over the data's scale of each sampler's best schedule, and, shaded, what no affine sampler reaches at the
    worst spectrum with the data's κ (Theorem 6)."""
    inches = width_of(width)
    with styled():
        lines = {name: found.relative(name) for name in found.best}
        low = BELOW * min(float(v.min()) for v in lines.values())
        x, y = (float(found.calls.min()), float(found.calls.max())), (low, 1.0)
        entries = [
            Entry(x[1], float(v[-1]), name, LOOKS.get(name, {"color": INK})) for name, v in lines.items()
        ]
        axes = log_frame(
            inches,
            0.8 * min(inches, 5.2),
            x,
            y,
            entries,
            f"{found.data.name}, d = {found.data.d}\nGaussian of the data's mean and covariance, κ = {found.known.kappa:.3g}; "
            "best schedule found of each sampler, its λ(T) too",
            legend="sampler",
            ax=ax,
        )[1]
        floor = np.maximum(found.floor, 1e-300)
        axes.fill_between(found.calls, 1e-300, floor, color="#BBBBBB", linewidth=0.0)
        axes.plot(found.calls, floor, color=INK, linewidth=0.9)
        if found.floor[0] > low:
            axes.annotate(
                "no affine sampler at the\nworst spectrum of this κ", (x[0], floor[0]), xytext=(16, -2),
                textcoords="offset points", fontsize=7.5, va="top",
            )  # fmt: skip
        for name, values in lines.items():
            axes.plot(found.calls, values, clip_on=False, markersize=4.0, **LOOKS.get(name, {"color": INK}))
        x_label(axes, "calls of the network")
        axes.set_ylabel("W2 / scale of the data")
    return axes
