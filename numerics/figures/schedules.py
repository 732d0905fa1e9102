"""Figures of the lower bound, the optimal clock, the chooser and the orders (sections 6, 7, 8)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numerics.figures.style import (
    DASHES,
    INK,
    MARKERS,
    MUTED,
    Entry,
    colour,
    last_point,
    log_frame,
    row_frame,
    styled,
    width_of,
    with_slope,
    x_label,
    y_range_of,
)
from numerics.schedules.grid_comparison import Clockwork
from numerics.schedules.ranking import Ranking
from numerics.studies.exact_over_horizons import Landscape
from numerics.studies.gap import Gap
from numerics.studies.score_error import Fading
from wbound.forward.forward_process import Process
from wbound.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BEST",
    "clock_figure",
    "fading_figure",
    "gap_figure",
    "landscape_figure",
    "nodes_figure",
    "orders_figure",
    "ranking_figure",
    "span",
]


#: The highest K over the floor's K that the gap's figure shows.
CEILING = 6.0
ORANGE, BLUE = "#E69F00", "#0072B2"
#: What is no process has a colour that no process has.
BEST, GIVEN = "#44AA99", "#999933"
#: Colours of what is no process, in the nodes' and the ranking's figures.
KINDS = {"optimum": BEST, "numerical": BEST, "grid": MUTED, "given": GIVEN, "named": MUTED}


def _look(process: str) -> dict[str, Any]:
    return {"color": colour(process), "linestyle": DASHES.get(process[:2], "-")}


def gap_figure(
    gap: Gap,
    keys: Sequence[str],
    width: str | float = "report",
    *,
    over: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """K·ε/(σ_0√d) of the lines ``keys`` and the floor's as ε falls to the right; ``over``: K over the floor's
    K, with a line at 3/2, up to `CEILING`. One clock under two names is one line."""
    inches = width_of(width)
    looks: dict[str, dict[str, Any]] = {
        "gaussian": {"color": BEST, "linewidth": 2.4},
        "optimal": _look("optimal") | {"linewidth": 2.0},
        "theorem_2": _look("optimal") | {"linestyle": (0, (5, 1.6))},
        "theorem_1": {"color": MUTED, "linestyle": (0, (1.2, 1.2))},
    }
    floor: dict[str, Any] = {"color": INK, "linestyle": (0, (6, 1.5, 1, 1.5)), "linewidth": 0.9}
    groups: list[tuple[list[str], Array, dict[str, Any]]] = []
    for line in map(gap.line, keys):
        values = gap.over_floor(line.key) if over else line.values
        same = next((g for g in groups if (g[1] == values).all()), None)
        if same is not None and line.key not in looks:
            same[0].append(line.label)
        else:
            groups.append(([line.label], values, looks.get(line.key, _look(line.process))))
    below = np.ones(gap.u.size) if over else gap.floor
    top = CEILING if over else 1.6 * max(float(v.max()) for _, v, _ in groups)
    with styled():
        x = (float(gap.u.max()), float(gap.u.min()))
        y = (float(below.min()) / (1.1 if over else 1.6), top)
        entries = [Entry(x[1], float(below[-1]), "floor (Eq. 12)", floor)]
        for names, values, look in groups:
            leaves = "" if values[-1] <= top else f", to {values[-1]:.3g}"
            entries.append(Entry(x[1], min(float(values[-1]), top), ", ".join(names) + leaves, look))
        what = "Steps over the floor's" if over else "Steps for ε"
        title = f"{what}: hf from p_T\nN(0, {gap.sigma0**2:g} I), d = {gap.d}; λ(T) where a prior start adds 1 % of ε"
        _, axes = log_frame(
            inches, 0.8 * min(inches, 5.2), x, y, entries, title, legend="clock or bound", ax=ax
        )
        if over:
            axes.axhline(1.5, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)))
            axes.annotate(
                "3/2", (x[0], 1.5), xytext=(3, 2), textcoords="offset points", fontsize=7.5, color=MUTED
            )
        for _, values, look in groups:
            axes.plot(gap.u, values, **look)
        axes.plot(gap.u, below, **floor)
        x_label(axes, "u = ε/(σ₀√d), smaller to the right")
        axes.set_ylabel("K over the floor's K" if over else "K ε/(σ₀√d)")
    return axes


#: Where W2 from the prior stands against the floor: bands with their words and how dense they are.
BANDS: tuple[tuple[float, float, str, str, float], ...] = (
    (0.0, 1.0, "below the floor", ORANGE, 0.4),
    (1.0, 3.0, "1 to 3 times the floor", BLUE, 0.12),
    (3.0, 10.0, "3 to 10 times", BLUE, 0.28),
    (10.0, math.inf, "more", BLUE, 0.5),
)


def landscape_figure(land: Landscape, width: str | float = "report", *, ax: Axes | None = None) -> Axes:
    """W2 from the prior over (T, K) in units of the floor, as bands, with the curve on which it is 0."""
    inches = width_of(width)
    with styled():
        x, y = (float(land.T[0]), float(land.T[-1])), (float(land.K[0]), float(land.K[-1]))
        curve = land.curve
        entries = []
        steps = np.geomspace(y[0] * 2.0, y[1] / 2.0, len(BANDS) + 1)
        for place, (_, _, words, shade, alpha) in zip(steps[1:], BANDS, strict=True):
            look = {"color": shade, "alpha": alpha, "linewidth": 7.0}
            entries.append(Entry(x[1], float(place), words, look))
        if curve["T"].size:
            entries.append(Entry(x[1], float(steps[0]), "W2 = 0", {"color": INK, "linewidth": 1.6}))
        title = (
            f"{land.process.name}, uniform grid\nhf from the prior, N(0, {land.sigma0**2:g} I), d = {land.d}"
        )
        _, axes = log_frame(inches, 0.7 * min(inches, 5.2), x, y, entries, title, legend="exact W2", ax=ax)
        # signed, so that the narrow bands beside the curve can be interpolated
        ratio = land.sign * land.prior / land.floor
        most = float(np.abs(ratio).max()) + 1.0
        for low, high, _, shade, alpha in BANDS:
            ends = (low, min(high, most))
            sides = [(-ends[1], ends[1])] if low == 0.0 else [(-ends[1], -ends[0]), ends]
            for levels in sides:
                if levels[0] < levels[1]:
                    axes.contourf(land.T, land.K, ratio, levels=levels, colors=[shade], alpha=alpha)
        axes.plot(curve["T"], curve["K"], color=INK, linewidth=1.6)
        axes.grid(False)
        x_label(axes, "forward time T")
        axes.set_ylabel("steps K")
    return axes


def clock_figure(
    processes: Sequence[Process],
    log_lam_T: float,
    variance: float,
    width: str | float = "report",
    *,
    ax: Axes | None = None,
) -> Axes:
    """λ/σ_0² against the share t/T of forward time, all with the same λ(T): the clocks side by side."""
    inches = width_of(width)
    share = np.concatenate((np.geomspace(1e-3, 0.02, 20), np.linspace(0.02, 1.0, 99)[1:]))
    with styled():
        lines: list[tuple[list[str], Array, dict[str, Any]]] = []
        for p in processes:
            T = float(p.time_of(log_lam_T)[()])
            values = np.exp(p.log_lam(T * share)) / variance
            same = next((line for line in lines if np.allclose(line[1], values, rtol=1e-9)), None)
            if same is not None:
                same[0].append(p.name)
            else:
                lines.append(([p.name], values, _look(p.name)))
        top = math.exp(log_lam_T) / variance
        y = (1e-4 * top, top)
        # they meet at the end: each is named where it is at half time
        middle = int(np.searchsorted(share, 0.5))
        entries = [Entry(0.5, float(v[middle]), ", ".join(names), look) for names, v, look in lines]
        title = f"Clocks\nall with λ(T) = {top:.4g} σ₀², σ₀² = {variance:g}"
        height = 0.75 * min(inches, 5.2)
        _, axes = log_frame(
            inches, height, (0.0, 1.0), y, entries, title, linear_x=True, legend="process", ax=ax
        )
        for _, values, look in lines:
            axes.plot(share, np.where(values >= y[0], values, np.nan), **look)
        x_label(axes, "t/T")
        axes.set_ylabel("λ(t)/σ₀²")
    return axes


def nodes_figure(
    clocks: Clockwork, width: str | float = "report", variance: float = 1.0, *, ax: Axes | None = None
) -> Axes:
    """Where each schedule puts its nodes in λ, best first, with its factor over the numerical optimum."""
    inches = width_of(width)
    with styled():
        rows = [(lane.name, f"{lane.factor:.3g} ×") for lane in clocks.lanes]
        positive = np.concatenate([lane.lam[:-1] for lane in clocks.lanes]) / variance
        top = clocks.lam_max / variance
        low = max(float(positive.min()), 1e-6 * top)
        judged = "exact W2" if clocks.objective == "exact" else "Theorem 2"
        start = "p_T" if clocks.start == "exact" else "the prior"
        title = f"Nodes of {clocks.K} steps\n{clocks.scheme} from {start}; {judged}; "
        title += f"λ(T) = {clocks.lam_max:.4g}, σ₀² = {variance:g}"
        _, axes = row_frame(inches, rows, (low / 1.5, top * 1.3), ("schedule", "over optimum"), title, ax=ax)
        for i, lane in enumerate(clocks.lanes):
            shade = colour(lane.name) if lane.kind == "process" else KINDS[lane.kind]
            at = lane.lam[:-1] / variance
            if at.size > 400:  # more would be one bar anyway
                at = at[:: -(-at.size // 400)]
            axes.vlines(at[at >= low / 1.5], i - 0.32, i + 0.32, color=shade, linewidth=1.1)
        unit = "" if variance == 1.0 else " over the data's variance"
        x_label(axes, f"λ at the nodes{unit}; the last is 0")
        axes.grid(False, axis="y")
    return axes


def ranking_figure(
    ranking: Ranking, top: int | None = None, width: str | float = "report", *, ax: Axes | None = None
) -> Axes:
    """The chooser's rows as points on one axis, best first, with the factor to the best."""
    inches = width_of(width)
    chosen = ranking.rows if top is None else ranking.rows[:top]
    with styled():
        several = "," in ranking.scheme
        rows = [
            (f"{row.scheme}: " * several + f"{row.process}, {row.grid}", f"{row.factor:.3g} ×")
            for row in chosen
        ]
        errors = np.array([row.error for row in chosen])
        low, high = float(errors.min()), float(errors.max())
        x = (low / 1.15, max(high, 1.5 * low) * 1.15)
        title = (
            f"Schedules for {ranking.data.name}\nGaussian of the data's mean and covariance, d = {ranking.data.d}; "
            f"{ranking.scheme}, K = {ranking.steps}; each at the best λ(T) found"
        )
        _, axes = row_frame(inches, rows, x, ("schedule", "of the best"), title, ax=ax)
        for i, row in enumerate(chosen):
            alone = row.kind == "named" and not row.process.startswith("any")
            shade = colour(row.process) if alone else KINDS[row.kind]
            axes.plot([row.error], [i], color=shade, marker="o", markersize=5.0, linestyle="", clip_on=False)
        if ranking.eps is not None and x[0] < ranking.eps < x[1]:
            axes.axvline(ranking.eps, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        x_label(axes, "exact W2, units of the data")
        axes.grid(False, axis="y")
    return axes


def fading_figure(found: Fading, width: str | float = "report", *, ax: Axes | None = None) -> Axes:
    """Bound (dashed) and exact W2 (solid) along K: exact score, noisy score, biased score, and M S(T)."""
    inches = width_of(width)
    shades = {"": INK, "_noise": "#0072B2", "_bias": "#D55E00"}
    says = {"": "exact score", "_noise": f"noise V = {found.V:g}", "_bias": f"bias M = {found.M:g}"}
    with styled():
        looks: dict[str, dict[str, Any]] = {
            "bound": {"linestyle": (0, (5, 1.6))},
            "exact": {"linestyle": "-", "marker": "o", "linewidth": 1.8},
        }
        series: list[tuple[Array, str, dict[str, Any]]] = []
        for key, shade in shades.items():
            for kind, look in looks.items():
                label = f"{says[key]}, {kind}"
                series.append((getattr(found, kind + key), label, {"color": shade} | look))
        x = (float(found.K.min()), float(found.K.max()))
        y = y_range_of([values for values, _, _ in series])
        entries = [Entry(x[1], float(values[-1]), label, look) for values, label, look in series]
        title = f"{found.process}, {found.scheme}\nN(0, {found.variance:g} I), d = {found.d}; from the prior; T = {found.T:.4g}"
        height = 0.75 * min(inches, 5.2)
        _, axes = log_frame(inches, height, x, y, entries, title, legend="score, W2 by", ax=ax)
        for values, _, look in series:
            axes.plot(found.K, values, clip_on=False, **look)
        if y[0] < found.floor < y[1]:
            axes.plot(x, (found.floor, found.floor), color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)))
        x_label(axes, "steps K")
        axes.set_ylabel("W2 error, units of the data")
    return axes


def orders_figure(
    rows: Sequence[Mapping[str, Any]],
    title: str,
    y: tuple[float, float],
    width: str | float = "report",
    *,
    ax: Axes | None = None,
) -> Axes:
    """K(ε) of one theorem, a line a process, with the fitted powers of ε. ``rows``: name, eps, K, power."""
    inches = width_of(width)
    with styled():
        ends = [(max(row["eps"]), min(row["eps"])) for row in rows]
        x = (max(high for high, _ in ends), min(low for _, low in ends))
        entries = []
        for row in rows:
            end = last_point(np.asarray(row["eps"]), np.asarray(row["K"]), y)
            if end is not None:
                entries.append(Entry(*end, with_slope(row["name"], row["power"], "ε"), _look(row["name"])))
        _, axes = log_frame(inches, 0.8 * min(inches, 5.2), x, y, entries, title, legend="process", ax=ax)
        for row in rows:
            axes.plot(row["eps"], row["K"], marker=MARKERS.get(row["name"], "o"), **_look(row["name"]))
        x_label(axes, "ε, smaller to the right")
        axes.set_ylabel("steps K")
    return axes


def span(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """One range of K for figures that stand side by side."""
    return y_range_of([np.asarray(row["K"], float) for row in rows])
