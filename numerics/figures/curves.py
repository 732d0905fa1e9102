"""The figures: bounds against exact values, processes side by side, the floor, the cancellation."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numerics.figures.output import SUFFIXES, save, svg
from numerics.figures.style import (
    COLOURS,
    DASHES,
    INK,
    MARKERS,
    MUTED,
    Entry,
    colour,
    last_point,
    log_frame,
    styled,
    width_of,
    with_slope,
    x_label,
    y_range_of,
)
from numerics.io.writing import csv_text
from numerics.studies.curves import AXES, Curve
from numerics.studies.tapes import TapeCurve
from wbound.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "COLOURS",
    "INK",
    "SUFFIXES",
    "bound_figure",
    "colour",
    "csv_text",
    "processes_figure",
    "save",
    "steps_figure",
    "svg",
    "tapes_figure",
    "width_of",
]


#: How far above the trivial error ‖X_0‖ a bound is still drawn.
HEADROOM = 30.0


def _clear_of(at: Array, lines: Sequence[Array], x: tuple[float, float], level: float) -> tuple[float, str]:
    """Where along a horizontal line a short label is furthest from the other lines, and its alignment."""
    places = {"right": 1.0, "left": 0.0, "center": 0.5}
    span = math.log(x[1] / x[0])
    share = np.log(at / x[0]) / span

    def distance(ha: str) -> float:
        start = {"right": 0.65, "left": 0.0, "center": 0.32}[ha]
        near = (share >= start - 1e-9) & (share <= start + 0.36)
        gaps = [np.abs(np.log10(v[near & np.isfinite(v)] / level)) for v in lines]
        return min((float(g.min()) for g in gaps if g.size), default=math.inf)

    best = max(places, key=lambda ha: min(distance(ha), 1.0))
    return x[0] * math.exp(span * places[best]), best


def _looks(shade: str) -> dict[str, dict[str, Any]]:
    """How the line of each statement looks, whatever the axis."""
    looks: dict[str, dict[str, Any]] = {
        "theorem_1": {"linestyle": (0, (1.2, 1.2)), "color": shade},
        "exact": {"linestyle": "-", "color": shade, "marker": "o", "linewidth": 1.8},
        "at_least": {"linestyle": "-", "color": shade, "linewidth": 1.2},
        "at_most": {"linestyle": (0, (3, 1.2)), "color": shade, "linewidth": 1.2},
        "exact_em": {"linestyle": "-", "color": MUTED, "linewidth": 0.9},
        "lower": {"linestyle": (0, (6, 1.5, 1, 1.5)), "color": INK, "linewidth": 0.9},
        "samples": {"linestyle": "-", "color": shade, "linewidth": 6.0, "alpha": 0.25},
    }
    return defaultdict(lambda: {"linestyle": (0, (5, 1.6)), "color": shade}, looks)


def held(curve: Curve) -> str:
    """What a curve's title says under its first line: the data, what is not on the axis, the start."""
    f, lam = curve.facts, curve.process.lam
    words = [str(f["data"])] if f.get("data") else []
    words += [f"d = {f['d']}"] if curve.axis != "d" else []
    start = "p_T" if f["start"] == "exact" else f"the {f['start']} start"
    words.append(f"{f['scheme']} from {start}")
    T = f.get("T")
    if isinstance(T, float | int):
        words.append(f"T = {T:.4g}, λ(T) = {float(lam(T)):.3g}")
    elif curve.axis != "T":
        words.append("best T found")
    words += [f"K = {f['K']}"] if f.get("K") is not None and curve.axis != "K" else []
    words += [f"score error M = {f['score_bias']:g}"] if f.get("score_bias") else []
    return "; ".join(words)


def useful_from(curve: Curve, key: str) -> tuple[float, bool] | None:
    """Where a bound's line crosses the trivial error ‖X_0‖, by interpolation in logarithms, and whether it is vacuous
    to the left of it; None where it does not cross."""
    line = curve.line(key)
    if line is None:
        return None
    size = float(curve.facts["trivial"])
    trivial = (
        size * np.sqrt(curve.at / float(curve.facts["d"]))
        if curve.axis == "d"
        else np.full(curve.at.size, size)
    )
    over = np.log(line.values / trivial)
    for i in range(over.size - 1):
        a, b = over[i], over[i + 1]
        if np.isfinite(a) and np.isfinite(b) and (a >= 0.0) != (b >= 0.0):
            share = a / (a - b)
            return float(curve.at[i] * (curve.at[i + 1] / curve.at[i]) ** share), bool(a >= 0.0)
    return None


def bound_figure(
    curve: Curve, width: str | float = "report", title: str | None = None, *, ax: Axes | None = None
) -> Axes:
    """Theorem 1, Theorem 2, the exact W2, samples and the lower bound of one process, log–log, labelled.

    Bounds are cut at `HEADROOM` times the trivial error ‖X_0‖, which is drawn where it is in sight; an upright line says
    where a bound stops being vacuous. Samples are the band between the ends of their bracket. title: the first line
    (default: the process); what is held stands under it. ax: axes of the caller's to draw on.
    """
    inches = width_of(width)
    trivial = float(curve.facts["trivial"])
    if curve.axis == "d":  # ‖X_0‖ grows as √d: the largest is the ceiling, and none is drawn
        ceiling = HEADROOM * trivial * math.sqrt(float(curve.at.max()) / float(curve.facts["d"]))
    else:
        ceiling = HEADROOM * trivial
    shade = colour(curve.process.name)
    looks = _looks(shade)
    with styled():
        drawn = [
            (line, np.where(line.values <= ceiling, line.values, np.nan))
            for line in curve.lines
            if line.high is None
        ]
        x = (float(curve.at.min()), float(curve.at.max()))
        if x[0] == x[1]:
            x = (x[0] / 2.0, x[1] * 2.0)
        bands = [(e, e.low, e.high) for e in curve.lines if e.low is not None and e.high is not None]
        y = y_range_of([*(v for _, v in drawn), *(end for _, *ends in bands for end in ends)], ceiling)
        bands = [(band, np.maximum(low, y[0]), np.minimum(top, y[1])) for band, low, top in bands]
        entries, high = [], []
        for line, values in drawn:
            end = last_point(curve.at, values, y)
            if end is not None and np.isfinite(values).sum() == 1 and values.size > 1:
                # one point draws no line, and a label without a line misleads
                high.append(f"{line.label} is below {ceiling:.0f} at {curve.axis} = {end[0]:g} only")
            elif end is not None:
                entries.append(Entry(*end, with_slope(line.label, line.slope), looks[line.key]))
            elif np.isfinite(line.values).any():
                high.append(f"{line.label} is above {ceiling:.0f} here")
            elif line.reason:
                high.append(f"{line.label} does not apply here")
        heading = title if title is not None else curve.process.name
        for band, low, top in bands:
            entries.append(Entry(x[1], math.sqrt(low[-1] * top[-1]), band.label, looks[band.key]))
        _, axes = log_frame(
            inches, 0.66 * min(inches, 5.2), x, y, entries, f"{heading}\n{held(curve)}", legend="W2 by", ax=ax
        )
        for band, low, top in bands:
            axes.fill_between(curve.at, low, top, color=shade, alpha=looks[band.key]["alpha"], linewidth=0.0)
        if y[0] < trivial < y[1] and curve.axis != "d":
            axes.plot(x, (trivial, trivial), color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)))
            place, ha = _clear_of(curve.at, [values for _, values in drawn], x, trivial)
            if high:  # what is said there stands at the right
                place, ha = x[0], "left"
            axes.annotate(
                "trivial error", (place, trivial), xytext=(0, 2), textcoords="offset points", color=MUTED,
                fontsize=7.5, ha=ha,
            )  # fmt: skip
        for line, values in drawn:
            axes.plot(curve.at, values, clip_on=False, **looks[line.key])
        for line in curve.lines:
            found = useful_from(curve, line.key) if line.key.startswith("theorem") else None
            if found is None or not min(x) < found[0] < max(x):
                continue
            at, left = found
            axes.axvline(at, color=MUTED, linewidth=0.7, linestyle=looks[line.key]["linestyle"])
            # the words stand on the side on which it is
            axes.annotate(
                f"{line.label.partition(' (')[0]} vacuous", (at, y[0]), xytext=(-2 if left else 2, 3),
                textcoords="offset points", color=MUTED, fontsize=7.0, ha="right" if left else "left", va="bottom",
                rotation=90,
            )  # fmt: skip
        for i, text in enumerate(high):
            axes.annotate(
                text, (1.0, 1.0), xycoords="axes fraction", xytext=(-2, -3 - 10 * i),
                textcoords="offset points", fontsize=7.5, ha="right", va="top",
            )  # fmt: skip
        x_label(axes, AXES[curve.axis])
        axes.set_ylabel("W2 error, units of the data")
    return axes


def steps_figure(
    curve: Curve, width: str | float = "report", title: str | None = None, *, ax: Axes | None = None
) -> Axes:
    """K(ε) of both theorems, the exact law and the floor of one process (`numerics.studies.steps_needed.steps_curve`), each
    with the power of ε that its end fits; ε falls to the right."""
    inches = width_of(width)
    looks = _looks(colour(curve.process.name))
    with styled():
        lines = [line for line in curve.lines if np.isfinite(line.values).any()]
        x = (float(curve.at.max()), float(curve.at.min()))
        if x[0] == x[1]:
            x = (x[0] * 2.0, x[1] / 2.0)
        y = y_range_of([line.values for line in lines])
        ends = [(line, last_point(curve.at, line.values, y)) for line in lines]
        entries = [
            Entry(*end, with_slope(line.label, line.slope, "ε"), looks[line.key]) for line, end in ends if end
        ]
        heading = title if title is not None else curve.process.name
        _, axes = log_frame(
            inches,
            0.66 * min(inches, 5.2),
            x,
            y,
            entries,
            f"{heading}\n{held(curve)}",
            legend="steps by",
            ax=ax,
        )
        for line in lines:
            axes.plot(curve.at, line.values, clip_on=False, **looks[line.key])
        x_label(axes, AXES["eps"])
        axes.set_ylabel("steps K")
    return axes


def processes_figure(
    curves: Sequence[Curve],
    key: str,
    ylabel: str,
    width: str | float = "report",
    title: str = "",
    *,
    ax: Axes | None = None,
) -> Axes:
    """One line of each process in its own colour, log–log, labelled directly."""
    inches = width_of(width)
    with styled():
        lines = [(curve, line) for curve in curves if (line := curve.line(key)) is not None]
        x = (min(float(c.at.min()) for c, _ in lines), max(float(c.at.max()) for c, _ in lines))
        y = y_range_of([line.values for _, line in lines])
        entries, looks = [], []
        for curve, line in lines:
            name = curve.process.name
            looks.append(
                {
                    "color": colour(name),
                    "linestyle": DASHES.get(name[:2], "-"),
                    "marker": MARKERS.get(name, "o"),
                }
            )
            end = last_point(curve.at, line.values, y)
            if end is not None:
                entries.append(Entry(*end, name, looks[-1]))
        said = f"{title or ylabel}\n{held(curves[0])}"
        _, axes = log_frame(inches, 0.75 * min(inches, 5.2), x, y, entries, said, legend="process", ax=ax)
        for (curve, line), look in zip(lines, looks, strict=True):
            axes.plot(curve.at, line.values, clip_on=False, **look)
        x_label(axes, AXES[curves[0].axis])
        axes.set_ylabel(ylabel)
    return axes


def tapes_figure(curve: TapeCurve, width: str | float = "report", *, ax: Axes | None = None) -> Axes:
    """W2 (not squared, in the data's units) of tapes over their calls of the network, log–log; dotted from the exact
    start."""
    inches = width_of(width)
    with styled():
        x = (float(curve.calls.min()), float(max(curve.calls.max(), 2.0 * curve.calls.min())))
        y = y_range_of([curve.w2, curve.exact_start])
        looks: list[dict[str, Any]] = [
            {"color": COLOURS["vp-linear"], "linestyle": "-"},
            {"color": COLOURS["vp-polynomial"], "linestyle": ":"},
        ]
        entries = [
            Entry(float(curve.calls[-1]), float(values[-1]), label, look)
            for values, label, look in zip(
                (curve.w2, curve.exact_start), ("its own", "exact"), looks, strict=True
            )
        ]
        said = f"W2 of tapes\n{curve.data}, d = {curve.d}"
        _, axes = log_frame(inches, 0.75 * min(inches, 5.2), x, y, entries, said, legend="start", ax=ax)
        for values, look in zip((curve.w2, curve.exact_start), looks, strict=True):
            axes.plot(curve.calls, values, marker="o", clip_on=False, **look)
        x_label(axes, "calls of the network")
        axes.set_ylabel("W2")
    return axes
