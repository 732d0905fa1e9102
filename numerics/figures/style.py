"""How figures are drawn: one style, colour-blind safe, a colour a process, direct labels, stable bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from wbound.errors import BadInput, positive
from wbound.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "COLOURS",
    "DASHES",
    "INK",
    "MARKERS",
    "MUTED",
    "RULE",
    "STYLE",
    "WIDTHS",
    "Entry",
    "colour",
    "figure_of",
    "headed",
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

#: A third cue: a mark for each process, where lines have marks.
MARKERS: dict[str, str] = {
    "ve-exponential": "o",
    "ve-constant": "s",
    "ve-sqrt": "^",
    "ve-polynomial": "D",
    "ou": "v",
    "vp-linear": "o",
    "vp-polynomial": "s",
    "vp-exponential": "^",
    "sub-vp": "D",
    "optimal": "P",
}

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
    """Decades as ticks, at most so many of them; 1, 2, 5 or closer ones where there are less than two decades, and
    never fewer than two."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    stride = max(1, math.ceil((last - first + 1) / most))
    ticks = [10.0**e for e in range(first, last + 1) if (e - first) % stride == 0]
    plain = first >= -2 and last <= 3
    for parts in ((1, 2, 5), range(1, 10)):
        if len(ticks) < 2:
            ticks = [m * 10.0**e for e in range(first - 1, last + 1) for m in parts]
            ticks = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
            plain = first >= -3 and last <= 4
    if len(ticks) < 2:  # less than a factor of two: even steps, as on a linear axis
        ticks = [
            float(t) for t in MaxNLocator(min(max(most, 2), 4)).tick_values(low, high) if low <= t <= high
        ]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}" if plain else _power(v)))
    axis.set_minor_formatter(NullFormatter())


def _power(value: float) -> str:
    """A tick that is no plain number: a power of ten, or a multiple of one."""
    exponent = math.floor(math.log10(value) + 1e-9)
    digits = value / 10.0**exponent
    head = "" if abs(digits - 1.0) < 1e-6 else rf"{digits:.3g}\cdot"
    return rf"${head}10^{{{exponent}}}$"


class Entry(NamedTuple):
    """A direct label: where its line ends, its text and how the line looks."""

    x: float
    y: float
    text: str
    look: Mapping[str, Any]


@lru_cache(maxsize=4096)
def text_width(text: str) -> float:
    """Width of a label in inches."""
    if not text:
        return 0.0
    prop = FontProperties(family=STYLE["font.family"])
    return _extent(TextPath((0, 0), text, size=STYLE["font.size"], prop=prop)) / 72.0


def _extent(path: Path) -> float:
    """The width of a path, as its ``get_extents`` has it, which takes each curve apart: where no control point lies outside
    the points on the curves, those say it."""
    codes, x = np.asarray(path.codes, int), np.asarray(path.vertices, float)[:, 0]
    curves = {int(Path.CURVE3): 2, int(Path.CURVE4): 3}
    on = (codes == Path.MOVETO) | (codes == Path.LINETO)
    control = np.zeros(codes.size, bool)
    i = 0
    while i < codes.size:
        size = curves.get(int(codes[i]), 1)
        if size > 1:
            control[i : i + size - 1] = True
            on[i + size - 1] = True
        i += size
    if not on.any():
        return 0.0
    low, high = x[on].min(), x[on].max()
    if ((x[control] < low) | (x[control] > high)).any():
        return float(path.get_extents().width)
    return float(high - low)


#: Margins in inches: left (ticks and label), bottom, top with and without a title; a line under the title; a label's gap.
LEFT, BOTTOM, TOP, TITLED, LINE, GAP = 0.62, 0.44, 0.10, 0.30, 0.145, 0.09
#: Length of the piece of line before a label, in inches.
SAMPLE = 0.2
#: The size of what stands under a title and over the labels, in points.
SMALL = 7.5


def headed(title: str, inches: float) -> list[str]:
    """A title as lines: its first line, which is set bold, and the others broken to ``inches``."""
    first, *rest = title.split("\n")
    out = [first] if title else []
    for text in rest:
        line = ""
        whole = " ".join(text.split())
        if text_width(whole) * SMALL / STYLE["font.size"] <= inches:
            out.append(whole)
            continue
        for word in text.split(" "):
            longer = f"{line} {word}".strip()
            if line and text_width(longer) * SMALL / STYLE["font.size"] > inches:
                out.append(line)
                longer = word
            line = longer
        out.append(line)
    return out


def log_frame(
    inches: float,
    height: float,
    x: tuple[float, float],
    y: tuple[float, float],
    entries: Sequence[Entry] = (),
    title: str = "",
    *,
    linear_x: bool = False,
    legend: str = "",
    ax: Axes | None = None,
) -> tuple[Figure, Axes]:
    """A figure with logarithmic axes over the given ranges (x may run downwards, or be linear) and direct
    labels in a margin at the right, under the words ``legend``. title: a first line, and others that say for what data.

    ax: axes of the caller's, which then hold all this, with a legend in place of the labels."""
    if x[0] == x[1]:  # a single value has room on both sides
        x = (x[0] / 2.0, x[1] * 2.0) if not linear_x else (x[0] - 1.0, x[1] + 1.0)
    if ax is not None:
        return _on_axes(ax, x, y, entries, title, linear_x, legend)
    margin = max((text_width(entry.text) for entry in entries), default=0.0) + (
        2.0 * GAP + 1.4 * SAMPLE if entries else GAP
    )
    if entries:
        margin = max(margin, text_width(legend) + 2.0 * GAP)
    figure = Figure(figsize=(inches, height))
    # a title starts over the axis label where it is longer than the axes
    lines = headed(title, inches - LEFT - GAP)
    over = bool(entries and legend)
    top = (TITLED + LINE * (len(lines) - 1) if lines else TOP) + (LINE if over else 0.0)
    height += top - TITLED if top > TITLED else 0.0
    figure.set_figheight(height)
    across, up = inches - LEFT - margin, height - BOTTOM - top
    axes = figure.add_axes((LEFT / inches, BOTTOM / height, across / inches, up / height))
    _scaled(axes, x, y, linear_x, across)
    axes.minorticks_off()  # `STYLE` gives them no length: they take time alone
    if lines:
        for i, text in enumerate(reversed(lines)):
            head = i == len(lines) - 1
            raised = 5.0 + 72.0 * LINE * (i + over) + (1.0 if head and i else 0.0)
            size = STYLE["axes.titlesize"] if head else SMALL
            axes.annotate(
                text, (0.0, 1.0), xycoords="axes fraction", xytext=(0.0, raised), textcoords="offset points",
                va="bottom", fontsize=size, fontweight="bold" if head else "normal", color=INK if head else MUTED,
                annotation_clip=False,
            )  # fmt: skip

    def along(value: float, ends: tuple[float, float]) -> float:
        if linear_x and ends is x:
            return (value - x[0]) / (x[1] - x[0])
        return math.log(value / ends[0]) / math.log(ends[1] / ends[0])

    gap = 1.25 * STYLE["font.size"] / 72.0 / up
    wanted = [along(entry.y, y) for entry in entries]
    right, sample = 1.0 + GAP / across, SAMPLE / across
    if over:
        axes.annotate(
            legend, (right, 1.0), xycoords="axes fraction", xytext=(0.0, 6.0), textcoords="offset points",
            va="bottom", fontsize=SMALL, color=MUTED, annotation_clip=False,
        )  # fmt: skip
    for entry, want, place in zip(entries, wanted, spread(wanted, gap, 0.0, 1.0), strict=True):
        shade = entry.look["color"]
        plain = {"transform": axes.transAxes, "clip_on": False, "color": shade}
        if abs(place - want) > 0.1 * gap or along(entry.x, x) < 0.999:
            axes.add_line(Line2D([along(entry.x, x), right], [want, place], linewidth=0.5, **plain))
        # a sample of the line carries the colour; the words stay in ink, which can be read
        dash, thick = entry.look.get("linestyle", "-"), entry.look.get("linewidth", STYLE["lines.linewidth"])
        plain["alpha"] = entry.look.get("alpha")
        axes.add_line(
            Line2D(
                [right, right + 0.5 * sample, right + sample], [place] * 3, linestyle=dash, linewidth=thick,
                marker=entry.look.get("marker"), markevery=[1], markersize=3.2, **plain,
            )
        )  # fmt: skip
        axes.text(right + 1.35 * sample, place, entry.text, va="center", ha="left", transform=axes.transAxes)
    return figure, axes


def _scaled(
    axes: Axes, x: tuple[float, float], y: tuple[float, float], linear_x: bool, across: float
) -> None:
    """Both scales, their ends and their ticks; ``across``: the axes' width in inches."""
    axes.set_xscale("linear" if linear_x else "log")
    axes.set_yscale("log")
    axes.set_xlim(*x)
    axes.set_ylim(*y)
    if not linear_x:
        log_axis(axes.xaxis, min(x), max(x), most=max(2, int(across / 0.5)))
    log_axis(axes.yaxis, *y, most=7)


def _on_axes(
    axes: Axes,
    x: tuple[float, float],
    y: tuple[float, float],
    entries: Sequence[Entry],
    title: str,
    linear_x: bool,
    legend: str,
) -> tuple[Figure, Axes]:
    figure = figure_of(axes)
    across = float(figure.get_figwidth()) * axes.get_position().width
    _scaled(axes, x, y, linear_x, across)
    axes.grid(True, which="major", color=RULE, linewidth=0.5)
    if title:
        axes.set_title("\n".join(headed(title, across)), loc="left", fontsize=SMALL + 0.5)
    if entries:
        names = ("linestyle", "linewidth", "marker", "color", "alpha")
        drawn = [Line2D([], [], **{k: e.look[k] for k in names if k in e.look}) for e in entries]
        axes.legend(
            drawn, [e.text for e in entries], title=legend or None, fontsize=SMALL, title_fontsize=SMALL
        )
    return figure, axes


#: Height of a row of `row_frame`, in inches.
ROW = 0.165


def row_frame(
    inches: float,
    rows: Sequence[tuple[str, str]],
    x: tuple[float, float],
    heads: tuple[str, str] = ("", ""),
    title: str = "",
    *,
    ax: Axes | None = None,
) -> tuple[Figure, Axes]:
    """A figure of rows, each with words at its left and right, over one logarithmic axis; row i is at y = i,
    the first on top. ``heads`` stand above the words, the title's lines above all. ax: axes of the caller's, which then
    hold all this; room for the words at their sides is the caller's."""
    if ax is None:
        lines = headed(title, inches - 2.0 * GAP)
        left = max(text_width(text) for text, _ in (*rows, heads)) + GAP
        right = max(text_width(text) for _, text in (*rows, heads)) + 2.0 * GAP
        top = TOP + (ROW if any(heads) else 0.0) + (LINE * len(lines) + 0.08 if lines else 0.0)
        height = BOTTOM + ROW * len(rows) + top
        figure = Figure(figsize=(inches, height))
        across = inches - left - right
        axes = figure.add_axes((left / inches, BOTTOM / height, across / inches, ROW * len(rows) / height))
        for i, text in enumerate(lines):
            size = STYLE["axes.titlesize"] if i == 0 else SMALL
            figure.text(
                GAP / inches, 1.0 - (TOP + LINE * i) / height, text, va="top", fontsize=size,
                fontweight="normal" if i else "bold", color=MUTED if i else INK,
            )  # fmt: skip
    else:
        axes = ax
        figure = figure_of(axes)
        across = float(figure.get_figwidth()) * axes.get_position().width
        if title:
            axes.set_title(
                "\n".join(headed(title, across)),
                loc="left",
                fontsize=SMALL + 0.5,
                pad=16 if any(heads) else 6,
            )
    axes.set_xscale("log")
    if ax is None:
        axes.minorticks_off()
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


def figure_of(drawn: Figure | Axes) -> Figure:
    """The figure that axes stand in, or the figure itself."""
    found: Any = drawn
    while not isinstance(found, Figure):  # a part of a figure stands in one
        found = found.figure
    return found


def x_label(axes: Axes, text: str) -> None:
    """A label under the x axis, from its left end, or as far to the left of it as the figure's edge asks."""
    figure = figure_of(axes)
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
