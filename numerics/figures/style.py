"""How figures are drawn: one style, colour-blind safe, a colour a process, direct labels, stable bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from wbound.errors import BadInput, positive
from wbound.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "COLOURS",
    "DASHES",
    "INK",
    "MUTED",
    "RULE",
    "STYLE",
    "WIDTHS",
    "Entry",
    "colour",
    "last_point",
    "log_axis",
    "log_frame",
    "row_frame",
    "spread",
    "styled",
    "text_width",
    "width_of",
    "with_slope",
    "x_label",
    "y_range_of",
]


INK, MUTED, RULE = "#222222", "#6b6b6b", "#d9d9d9"
#: Okabe & Ito's colours (2008) with their grey in place of the yellow, which white paper swallows; the same
#: process has the same colour in every figure.
COLOURS = {
    "ve-exponential": "#E69F00",
    "ve-constant": INK,
    "ve-sqrt": "#56B4E9",
    "ve-polynomial": "#009E73",
    "ou": "#CC79A7",
    "vp-linear": "#0072B2",
    "vp-polynomial": "#D55E00",
    "vp-exponential": "#8C8C8C",
    "sub-vp": "#8E5BD6",
    "optimal": "#C2303A",
    "user": "#0072B2",
}
#: The image parametrisations have the colour of the process whose clock they read in other units.
KIN = {
    "image-ve-original": "ve-exponential",
    "image-ve-v1": "ve-constant",
    "image-ve-v2": "ve-sqrt",
    "image-ve-v3": "ve-polynomial",
    "image-vp-original": "vp-linear",
    "image-vp-v1": "ou",
    "image-vp-v2": "vp-polynomial",
    "image-vp-v3": "vp-exponential",
    "optimal-ve": "optimal",
    "optimal-vp": "optimal",
}
#: A second cue beside the colour: the variance-preserving ones are dashed.
DASHES: dict[str, Any] = {"vp": (0, (5, 1.6)), "ou": (0, (1.2, 1.2)), "su": (0, (5, 1.6, 1, 1.6))}

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.grid.which": "major",
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.5,
    "lines.markersize": 3.2,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.hashsalt": "wbound",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "mathtext.fontset": "dejavusans",
}

#: Widths by name, in inches: a column and a page of a two-column journal, the text of a one-column paper, and
#: the report's.
WIDTHS = {"column": 3.4, "text": 5.5, "page": 6.9, "report": 4.6}


def colour(process: str) -> str:
    """The colour of a process, the same in every figure."""
    return COLOURS.get(KIN.get(process, process), COLOURS["user"])


def width_of(text: str | float) -> float:
    """Inches of a name of `WIDTHS` or of a number. Raises `BadInput`."""
    if isinstance(text, str) and text in WIDTHS:
        return WIDTHS[text]
    try:
        inches = float(text)
    except ValueError:
        raise BadInput("width", text, f"must be {', '.join(WIDTHS)} or inches") from None
    if not 1.0 <= positive("width", inches) <= 40.0:
        raise BadInput("width", text, "must be between 1 and 40 inches")
    return inches


@contextmanager
def styled() -> Iterator[None]:
    with rc_context(STYLE):
        yield


def log_axis(axis: Any, low: float, high: float, most: int) -> None:
    """Decades as ticks, at most so many of them; 1, 2, 5 where there is less than two decades."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    stride = max(1, math.ceil((last - first + 1) / most))
    ticks = [10.0**e for e in range(first, last + 1) if (e - first) % stride == 0]
    plain = first >= -2 and last <= 3
    if len(ticks) < 2:
        ticks = [m * 10.0**e for e in range(first - 1, last + 1) for m in (1, 2, 5)]
        ticks = [tick for tick in ticks if low <= tick <= high]
        plain = True
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(
        FuncFormatter(lambda v, _: f"{v:g}" if plain else rf"$10^{{{round(math.log10(v))}}}$")
    )
    axis.set_minor_formatter(NullFormatter())


class Entry(NamedTuple):
    """A direct label: where its line ends, its text and how the line looks."""

    x: float
    y: float
    text: str
    look: Mapping[str, Any]


def text_width(text: str) -> float:
    """Width of a label in inches."""
    if not text:
        return 0.0
    prop = FontProperties(family=STYLE["font.family"])
    return float(TextPath((0, 0), text, size=STYLE["font.size"], prop=prop).get_extents().width) / 72.0


#: Margins in inches: left (ticks and label), bottom, top with and without a title; a label's gap.
LEFT, BOTTOM, TOP, TITLED, GAP = 0.62, 0.44, 0.10, 0.30, 0.09
#: Length of the piece of line before a label, in inches.
SAMPLE = 0.2


def log_frame(
    inches: float,
    height: float,
    x: tuple[float, float],
    y: tuple[float, float],
    entries: Sequence[Entry] = (),
    title: str = "",
    *,
    linear_x: bool = False,
) -> tuple[Figure, Axes]:
    """A figure with logarithmic axes over the given ranges (x may run downwards, or be linear) and direct
    labels in a margin at the right."""
    margin = max((text_width(entry.text) for entry in entries), default=0.0) + (
        2.0 * GAP + 1.4 * SAMPLE if entries else GAP
    )
    figure = Figure(figsize=(inches, height))
    top = TITLED if title else TOP
    across, up = inches - LEFT - margin, height - BOTTOM - top
    axes = figure.add_axes((LEFT / inches, BOTTOM / height, across / inches, up / height))
    axes.set_xscale("linear" if linear_x else "log")
    axes.set_yscale("log")
    if x[0] == x[1]:  # a single value has room on both sides
        x = (x[0] / 2.0, x[1] * 2.0) if not linear_x else (x[0] - 1.0, x[1] + 1.0)
    axes.set_xlim(*x)
    axes.set_ylim(*y)
    if not linear_x:
        log_axis(axes.xaxis, min(x), max(x), most=max(2, int(across / 0.5)))
    log_axis(axes.yaxis, *y, most=7)
    if title:
        axes.set_title(title, color=INK, fontweight="bold", pad=5)

    def along(value: float, ends: tuple[float, float]) -> float:
        if linear_x and ends is x:
            return (value - x[0]) / (x[1] - x[0])
        return math.log(value / ends[0]) / math.log(ends[1] / ends[0])

    gap = 1.25 * STYLE["font.size"] / 72.0 / up
    wanted = [along(entry.y, y) for entry in entries]
    right, sample = 1.0 + GAP / across, SAMPLE / across
    for entry, want, place in zip(entries, wanted, spread(wanted, gap, 0.0, 1.0), strict=True):
        shade = entry.look["color"]
        plain = {"transform": axes.transAxes, "clip_on": False, "color": shade}
        if abs(place - want) > 0.1 * gap or along(entry.x, x) < 0.999:
            axes.add_line(Line2D([along(entry.x, x), right], [want, place], linewidth=0.5, **plain))
        # a sample of the line carries the colour; the words stay in ink, which can be read
        dash, thick = entry.look.get("linestyle", "-"), entry.look.get("linewidth", STYLE["lines.linewidth"])
        plain["alpha"] = entry.look.get("alpha")
        axes.add_line(Line2D([right, right + sample], [place] * 2, linestyle=dash, linewidth=thick, **plain))
        axes.text(right + 1.35 * sample, place, entry.text, va="center", ha="left", transform=axes.transAxes)
    return figure, axes


#: Height of a row of `row_frame`, in inches.
ROW = 0.165


def row_frame(
    inches: float, rows: Sequence[tuple[str, str]], x: tuple[float, float], heads: tuple[str, str] = ("", "")
) -> tuple[Figure, Axes]:
    """A figure of rows, each with words at its left and right, over one logarithmic axis; row i is at y = i,
    the first on top. ``heads`` stand above the words."""
    left = max(text_width(text) for text, _ in (*rows, heads)) + GAP
    right = max(text_width(text) for _, text in (*rows, heads)) + 2.0 * GAP
    top = TOP + (ROW if any(heads) else 0.0)
    height = BOTTOM + ROW * len(rows) + top
    figure = Figure(figsize=(inches, height))
    across = inches - left - right
    axes = figure.add_axes((left / inches, BOTTOM / height, across / inches, ROW * len(rows) / height))
    axes.set_xscale("log")
    axes.set_xlim(*x)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    log_axis(axes.xaxis, *x, most=max(2, int(across / 0.5)))
    aside = -0.5 * GAP / across
    for i, (before, after) in enumerate((heads, *rows), -1):
        for text, place, ha in ((before, aside, "right"), (after, 1.0 - 2.0 * aside, "left")):
            axes.text(place, i, text, ha=ha, va="center", transform=axes.get_yaxis_transform(), clip_on=False)
        if i >= 0:
            axes.axhline(i, color=RULE, linewidth=0.5, zorder=0)
    return figure, axes


def x_label(axes: Axes, text: str) -> None:
    """A label under the x axis, from its left end, or as far to the left of it as the figure's edge asks."""
    figure = axes.figure
    assert isinstance(figure, Figure)
    inches, place = float(figure.get_figwidth()), axes.get_position()
    missing = 1.03 * text_width(text) + 0.5 * GAP - (1.0 - place.x0) * inches
    shift = min(max(missing, 0.0), place.x0 * inches)
    axes.set_xlabel(text, x=-shift / (place.width * inches), ha="left")


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near ``wanted``, at least ``gap`` apart and within [low, high] if they fit: neighbours that
    are too near form a block centred on what they want."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[list[int]] = []
    centres: list[float] = []

    def centre(block: list[int]) -> float:
        half = 0.5 * gap * (len(block) - 1)
        middle = sum(wanted[i] for i in block) / len(block)
        return min(max(middle, low + half), max(high - half, low + half))

    for i in order:
        blocks.append([i])
        centres.append(centre([i]))
        while len(blocks) > 1:
            below, above = blocks[-2], blocks[-1]
            room = 0.5 * gap * (len(below) + len(above))
            if centres[-1] - centres[-2] >= room - 1e-12:
                break
            merged = below + above
            blocks[-2:], centres[-2:] = [merged], [centre(merged)]
    out = [0.0] * len(wanted)
    for block, middle in zip(blocks, centres, strict=True):
        for j, i in enumerate(block):
            out[i] = middle + gap * (j - 0.5 * (len(block) - 1))
    return out


def last_point(x: Array, y: Array, y_range: tuple[float, float]) -> tuple[float, float] | None:
    """The last point of a line that is drawn."""
    inside = np.flatnonzero(np.isfinite(y) & (y >= y_range[0]) & (y <= y_range[1]))
    return None if inside.size == 0 else (float(x[inside[-1]]), float(y[inside[-1]]))


def with_slope(label: str, power: float | None, axis: str = "K") -> str:
    return label if power is None else rf"{label}  ${axis}^{{{power:.2f}}}$"


def y_range_of(values: Sequence[Array], ceiling: float = math.inf) -> tuple[float, float]:
    joined = np.concatenate([v[np.isfinite(v) & (v > 0.0)] for v in values])
    if joined.size == 0:
        return 0.1, 1.0
    low, high = float(joined.min()), min(float(joined.max()), ceiling)
    return low / 1.6, max(high, 2.0 * low) * 1.6
