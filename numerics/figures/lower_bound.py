"""Figures of the lower bound and of what a prior start cancels (section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from numerics.figures.style import INK, Entry, colour, log_frame, styled, width_of, x_label, y_range_of
from numerics.studies.curves import AXES
from numerics.studies.lower_bound import Cancellation, Floor
from wbound.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["affine_figure", "cancellation_figure", "floor_figure"]


def floor_figure(check: Floor, width: str | float = "report", *, ax: Axes | None = None) -> Axes:
    """Proposition 1's floor under the exact W2 of hf, from both starts and on two grids."""
    inches = width_of(width)
    dots, thin = {"linestyle": (0, (2, 1.2))}, {"linestyle": (0, (6, 1.5, 1, 1.5)), "linewidth": 0.9}
    series: tuple[tuple[Array, str, dict[str, Any]], ...] = (
        (check.uniform_exact, f"{check.process.name}, uniform", {"color": colour(check.process.name)}),
        (check.exact, "gaussian, from $p_T$", {"color": "#D55E00"}),
        (check.prior, "gaussian, prior", {"color": "#E69F00"} | dots),
        (check.floor, "floor (Eq. 11)", {"color": INK} | thin),
    )
    with styled():
        x = (float(check.K.min()), float(check.K.max()))
        y = y_range_of([values for values, _, _ in series])
        entries = [Entry(x[1], float(values[-1]), label, look) for values, label, look in series]
        title = f"hf, N(0, {check.sigma0**2:g} I), d = {check.d}\nλ(T) = {check.lam_T:.3g}; uniform: {check.process.name} in t"
        _, axes = log_frame(
            inches, 0.66 * min(inches, 5.2), x, y, entries, title, legend="grid, start", ax=ax
        )
        for values, _, look in series:
            axes.plot(check.K, values, **look)
        x_label(axes, AXES["K"])
        axes.set_ylabel("W2 error, units of the data")
    return axes


def affine_figure(
    columns: Mapping[str, Array],
    width: str | float = "report",
    *,
    kappa: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """What hf, `ddim` and every affine sampler cannot go below at the worst spectrum (Gaussian data); below the last line,
    shaded, there is no affine sampler (Theorem 6). columns: of `numerics.studies.floors_by_sampler.floor_columns`; kappa: the κ
    that they are of, which the title says."""
    inches, K = width_of(width), columns["K"]
    looks: dict[str, tuple[str, dict[str, Any]]] = {
        "hf": ("hf (Eq. 11)", {"color": "#D55E00", "linestyle": (0, (5, 1.6))}),
        "ddim": ("ddim (Eq. 17)", {"color": "#0072B2", "linestyle": (0, (1.2, 1.2))}),
        "affine": ("every affine sampler", {"color": INK}),
    }
    with styled():
        x = (float(K.min()), float(K.max()))
        y = (float(columns["ddim"].min()) * 1e-4, 1.5)
        ends = {name: columns[name] >= y[0] for name in looks}
        last = {name: int(np.flatnonzero(ends[name])[-1]) for name in looks}
        entries = [
            Entry(x[1], max(float(columns[name][last[name]]), y[0]), label, look)
            for name, (label, look) in looks.items()
        ]
        known = "" if kappa is None else f"; κ = {kappa:.6g}"
        title = f"The floor of each kind of sampler\nworst spectrum of Gaussian data, λ(T) → ∞, exact scores{known}"
        _, axes = log_frame(inches, 0.66 * min(inches, 5.2), x, y, entries, title, legend="floor of", ax=ax)
        axes.fill_between(K, 1e-300, np.maximum(columns["affine"], 1e-300), color="#BBBBBB", linewidth=0)
        for name, (_, look) in looks.items():
            axes.plot(K, np.maximum(columns[name], 1e-300), **look)  # what is below the frame is cut by it
        x_label(axes, "evaluations K")
        axes.set_ylabel("W2 / sqrt(tr Σ), worst spectrum")
    return axes


def cancellation_figure(
    point: Cancellation, width: str | float = "report", *, ax: Axes | None = None
) -> Axes:
    """Exact W2 from the prior start against λ(T): it vanishes at one tuned λ(T), at finite K."""
    inches = width_of(width)
    lam, w2 = point.curve
    orange, blue = "#E69F00", "#0072B2"
    floor: dict[str, Any] = {"color": INK, "linestyle": (0, (6, 1.5, 1, 1.5)), "linewidth": 0.9}
    with styled():
        x = (float(lam.min()), float(lam.max()))
        y = (point.floor * 1e-3, float(w2.max()) * 1.6)
        entries = [
            Entry(x[1], float(w2[-1]), "from the prior", {"color": orange}),
            Entry(x[1], point.floor, "floor (Eq. 11)", floor),
        ]
        title = f"hf, N(0, {point.sigma0**2:g} I), d = {point.d}\nK = {point.K}, gaussian grid"
        _, axes = log_frame(inches, 0.66 * min(inches, 5.2), x, y, entries, title, legend="W2", ax=ax)
        axes.plot(lam, np.maximum(w2, y[0]), color=orange)
        axes.plot(x, (point.floor, point.floor), **floor)
        axes.plot([point.lam_T], [point.exact], color=blue, marker="o", markersize=4.5, linestyle="")
        axes.annotate("from $p_T$", (point.lam_T, point.exact), xytext=(6, 5), textcoords="offset points")
        axes.annotate(
            f"W2 = 0 at {point.lam_T:.4f}", (point.lam_T, y[0] * 2.0), xytext=(9, 0),
            textcoords="offset points", va="center",
        )  # fmt: skip
        x_label(axes, "λ(T), units of the data squared")
        axes.set_ylabel("W2 error, units of the data")
    return axes
