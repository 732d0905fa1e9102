"""One style for every figure: colour-blind safe, a colour a process, direct labels, byte-stable output."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from numpy.typing import NDArray

from numerics.curves import AXES, Cancellation, Curve, Floor
from numerics.files import write
from wbound.errors import BadInput, positive

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "COLOURS",
    "INK",
    "SUFFIXES",
    "bound_figure",
    "cancellation_figure",
    "colour",
    "csv_text",
    "floor_figure",
    "processes_figure",
    "save",
    "svg",
    "width_of",
]

Array = NDArray[np.float64]

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
    "sub-vp": "#882255",
    "optimal": "#661100",
    "user": "#0072B2",
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

#: Widths by name, in inches: a column and a page of a two-column journal, and the report's.
WIDTHS = {"column": 3.4, "page": 6.9, "report": 4.6}
#: How a figure or its numbers can be written.
SUFFIXES = (".svg", ".png", ".pdf", ".csv")
#: How far above the trivial error ‖X_0‖ a bound is still drawn.
HEADROOM = 30.0


def colour(process: str) -> str:
    """The colour of a process, the same in every figure."""
    return COLOURS.get(process, COLOURS["user"])


def width_of(text: str | float) -> float:
    """Inches of "column", "page", "report" or a number. Raises `BadInput`."""
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
def _styled() -> Iterator[None]:
    with rc_context(STYLE):
        yield


def _log_axis(axis: Any, low: float, high: float, most: int) -> None:
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


class _Entry(NamedTuple):
    """A direct label: where its line ends, its text and how the line looks."""

    x: float
    y: float
    text: str
    look: Mapping[str, Any]


def _text_width(text: str) -> float:
    """Width of a label in inches."""
    prop = FontProperties(family=STYLE["font.family"])
    return float(TextPath((0, 0), text, size=STYLE["font.size"], prop=prop).get_extents().width) / 72.0


#: Margins in inches: left (ticks and label), bottom, top with and without a title; a label's gap.
LEFT, BOTTOM, TOP, TITLED, GAP = 0.62, 0.44, 0.10, 0.30, 0.09
#: Length of the piece of line before a label, in inches.
SAMPLE = 0.2


def _log_frame(
    inches: float,
    height: float,
    x: tuple[float, float],
    y: tuple[float, float],
    entries: Sequence[_Entry] = (),
    title: str = "",
) -> tuple[Figure, Axes]:
    """A figure with logarithmic axes over the given ranges and direct labels in a margin at the right."""
    margin = max((_text_width(entry.text) for entry in entries), default=0.0) + (
        2.0 * GAP + 1.4 * SAMPLE if entries else GAP
    )
    figure = Figure(figsize=(inches, height))
    top = TITLED if title else TOP
    across, up = inches - LEFT - margin, height - BOTTOM - top
    axes = figure.add_axes((LEFT / inches, BOTTOM / height, across / inches, up / height))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*x)
    axes.set_ylim(*y)
    _log_axis(axes.xaxis, *x, most=max(2, int(across / 0.5)))
    _log_axis(axes.yaxis, *y, most=7)
    if title:
        axes.set_title(title, color=INK, fontweight="bold", pad=5)

    def along(value: float, ends: tuple[float, float]) -> float:
        return math.log(value / ends[0]) / math.log(ends[1] / ends[0])

    gap = 1.25 * STYLE["font.size"] / 72.0 / up
    wanted = [along(entry.y, y) for entry in entries]
    right, sample = 1.0 + GAP / across, SAMPLE / across
    for entry, want, place in zip(entries, wanted, _spread(wanted, gap, 0.0, 1.0), strict=True):
        shade = entry.look["color"]
        plain = {"transform": axes.transAxes, "clip_on": False, "color": shade}
        if abs(place - want) > 0.1 * gap or entry.x < x[1] * 0.999:
            axes.add_line(Line2D([along(entry.x, x), right], [want, place], linewidth=0.5, **plain))
        # a sample of the line carries the colour; the words stay in ink, which can be read
        dash, thick = entry.look.get("linestyle", "-"), entry.look.get("linewidth", STYLE["lines.linewidth"])
        plain["alpha"] = entry.look.get("alpha")
        axes.add_line(Line2D([right, right + sample], [place] * 2, linestyle=dash, linewidth=thick, **plain))
        axes.text(right + 1.35 * sample, place, entry.text, va="center", ha="left", transform=axes.transAxes)
    return figure, axes


def _spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
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


def _last(x: Array, y: Array, y_range: tuple[float, float]) -> tuple[float, float] | None:
    """The last point of a line that is drawn."""
    inside = np.flatnonzero(np.isfinite(y) & (y >= y_range[0]) & (y <= y_range[1]))
    return None if inside.size == 0 else (float(x[inside[-1]]), float(y[inside[-1]]))


def _with_slope(label: str, power: float | None, axis: str = "K") -> str:
    return label if power is None else rf"{label}  ${axis}^{{{power:.2f}}}$"


def _range(values: Sequence[Array], ceiling: float = math.inf) -> tuple[float, float]:
    joined = np.concatenate([v[np.isfinite(v) & (v > 0.0)] for v in values])
    if joined.size == 0:
        return 0.1, 1.0
    low, high = float(joined.min()), min(float(joined.max()), ceiling)
    return low / 1.6, max(high, 2.0 * low) * 1.6


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


def bound_figure(curve: Curve, width: str | float = "report", title: str | None = None) -> Figure:
    """Theorem 1, Theorem 2, the exact W2, samples and the lower bound of one process, log–log, labelled.

    Bounds are cut at `HEADROOM` times the trivial error ‖X_0‖, which is drawn where it is in sight. Samples
    are the band between the ends of their bracket.
    """
    inches = width_of(width)
    trivial = float(curve.facts["trivial"])
    if curve.axis == "d":  # ‖X_0‖ grows as √d: the largest is the ceiling, and none is drawn
        ceiling = HEADROOM * trivial * math.sqrt(float(curve.at.max()) / float(curve.facts["d"]))
    else:
        ceiling = HEADROOM * trivial
    shade = colour(curve.process.name)
    looks: dict[str, dict[str, Any]] = {
        "theorem_1": {"linestyle": (0, (1.2, 1.2)), "color": shade},
        "theorem_2": {"linestyle": (0, (5, 1.6)), "color": shade},
        "exact": {"linestyle": "-", "color": shade, "marker": "o", "linewidth": 1.8},
        "exact_em": {"linestyle": "-", "color": MUTED, "linewidth": 0.9},
        "lower": {"linestyle": (0, (6, 1.5, 1, 1.5)), "color": INK, "linewidth": 0.9},
        "samples": {"linestyle": "-", "color": shade, "linewidth": 6.0, "alpha": 0.25},
    }
    with _styled():
        drawn = [
            (line, np.where(line.values <= ceiling, line.values, np.nan))
            for line in curve.lines
            if line.high is None
        ]
        x = (float(curve.at.min()), float(curve.at.max()))
        if x[0] == x[1]:
            x = (x[0] / 2.0, x[1] * 2.0)
        bands = [(e, e.low, e.high) for e in curve.lines if e.low is not None and e.high is not None]
        y = _range([*(v for _, v in drawn), *(end for _, *ends in bands for end in ends)], ceiling)
        bands = [(band, np.maximum(low, y[0]), np.minimum(top, y[1])) for band, low, top in bands]
        entries, high = [], []
        for line, values in drawn:
            end = _last(curve.at, values, y)
            if end is not None:
                entries.append(_Entry(*end, _with_slope(line.label, line.slope), looks[line.key]))
            elif np.isfinite(line.values).any():
                high.append(f"{line.label} is above {ceiling:.0f} here")
            elif line.reason:
                high.append(f"{line.label} does not apply here")
        heading = title if title is not None else curve.process.name
        for band, low, top in bands:
            entries.append(_Entry(x[1], math.sqrt(low[-1] * top[-1]), band.label, looks[band.key]))
        figure, axes = _log_frame(inches, 0.66 * min(inches, 5.2), x, y, entries, heading)
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
        for i, text in enumerate(high):
            axes.annotate(
                text, (1.0, 1.0), xycoords="axes fraction", xytext=(-2, -3 - 10 * i),
                textcoords="offset points", fontsize=7.5, ha="right", va="top",
            )  # fmt: skip
        axes.set_xlabel(AXES[curve.axis], loc="left")
        axes.set_ylabel("W2 error, units of the data")
    return figure


def processes_figure(
    curves: Sequence[Curve], key: str, ylabel: str, width: str | float = "report", title: str = ""
) -> Figure:
    """One line of each process in its own colour, log–log, labelled directly."""
    inches = width_of(width)
    with _styled():
        lines = [(curve, line) for curve in curves if (line := curve.line(key)) is not None]
        x = (min(float(c.at.min()) for c, _ in lines), max(float(c.at.max()) for c, _ in lines))
        y = _range([line.values for _, line in lines])
        entries, looks = [], []
        for curve, line in lines:
            name = curve.process.name
            looks.append({"color": colour(name), "linestyle": DASHES.get(name[:2], "-")})
            end = _last(curve.at, line.values, y)
            if end is not None:
                entries.append(_Entry(*end, name, looks[-1]))
        figure, axes = _log_frame(inches, 0.75 * min(inches, 5.2), x, y, entries, title)
        for (curve, line), look in zip(lines, looks, strict=True):
            axes.plot(curve.at, line.values, marker="o", clip_on=False, **look)
        axes.set_xlabel(AXES[curves[0].axis], loc="left")
        axes.set_ylabel(ylabel)
    return figure


def floor_figure(check: Floor, width: str | float = "report") -> Figure:
    """Proposition 1's floor under the exact W2 of hf, from both starts and on two grids."""
    inches = width_of(width)
    dots, thin = {"linestyle": (0, (2, 1.2))}, {"linestyle": (0, (6, 1.5, 1, 1.5)), "linewidth": 0.9}
    series: tuple[tuple[Array, str, dict[str, Any]], ...] = (
        (check.uniform_exact, f"{check.process.name}, uniform", {"color": colour(check.process.name)}),
        (check.exact, "gaussian, from $p_T$", {"color": "#D55E00"}),
        (check.prior, "gaussian, prior", {"color": "#E69F00"} | dots),
        (check.floor, "floor (Eq. 11)", {"color": INK} | thin),
    )
    with _styled():
        x = (float(check.K.min()), float(check.K.max()))
        y = _range([values for values, _, _ in series])
        entries = [_Entry(x[1], float(values[-1]), label, look) for values, label, look in series]
        figure, axes = _log_frame(inches, 0.66 * min(inches, 5.2), x, y, entries)
        for values, _, look in series:
            axes.plot(check.K, values, **look)
        axes.set_xlabel(AXES["K"], loc="left")
        axes.set_ylabel("W2 error, units of the data")
    return figure


def cancellation_figure(point: Cancellation, width: str | float = "report") -> Figure:
    """Exact W2 from the prior start against λ(T): it vanishes at one tuned λ(T), at finite K."""
    inches = width_of(width)
    lam, w2 = point.curve
    orange, blue = "#E69F00", "#0072B2"
    floor: dict[str, Any] = {"color": INK, "linestyle": (0, (6, 1.5, 1, 1.5)), "linewidth": 0.9}
    with _styled():
        x = (float(lam.min()), float(lam.max()))
        y = (point.floor * 1e-3, float(w2.max()) * 1.6)
        entries = [
            _Entry(x[1], float(w2[-1]), "from the prior", {"color": orange}),
            _Entry(x[1], point.floor, "floor (Eq. 11)", floor),
        ]
        figure, axes = _log_frame(inches, 0.66 * min(inches, 5.2), x, y, entries)
        axes.plot(lam, np.maximum(w2, y[0]), color=orange)
        axes.plot(x, (point.floor, point.floor), **floor)
        axes.plot([point.lam_T], [point.exact], color=blue, marker="o", markersize=4.5, linestyle="")
        axes.annotate("from $p_T$", (point.lam_T, point.exact), xytext=(6, 5), textcoords="offset points")
        axes.annotate(
            f"W2 = 0 at {point.lam_T:.4f}", (point.lam_T, y[0] * 2.0), xytext=(9, 0),
            textcoords="offset points", va="center",
        )  # fmt: skip
        axes.set_xlabel("λ(T), units of the data squared", loc="left")
        axes.set_ylabel("W2 error, units of the data")
    return figure


# ---------------------------------------------------------------------- files


def _rendered(figure: Figure, kind: str, dpi: int) -> bytes:
    """The figure as bytes that depend on its content only: no date, no version."""
    nothing: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }
    buffer = io.BytesIO()
    with _styled():
        face = "white" if kind == "png" else "none"
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=nothing[kind], facecolor=face)
    return buffer.getvalue()


def save(figure: Figure, path: Path | str, dpi: int = 200) -> Path:
    """Write a figure as .svg, .png or .pdf, by its suffix, whole. Raises `BadInput` and `IOFailure`."""
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in ("svg", "png", "pdf"):
        raise BadInput("out", str(path), "must end in .svg, .png or .pdf")
    return write(path, _rendered(figure, kind, dpi))


def svg(figure: Figure, identifier: str) -> str:
    """The figure as an SVG element for a page: ids prefixed with ``identifier``, since a page has many; ink,
    muted and rule colours as CSS variables, so that they follow the page's light or dark theme."""
    text = _rendered(figure, "svg", 72).decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{identifier}-\1"', text)
    text = re.sub(r'(href="|url\()#([^")]+)', rf"\1#{identifier}-\2", text)
    for name, value in {"ink": INK, "muted": MUTED, "rule": RULE}.items():
        text = text.replace(value, f"var(--{name}, {value})")
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    return text.strip()


def csv_text(columns: Mapping[str, Any]) -> str:
    """Columns as CSV, numbers with all their digits, an empty cell where there is none."""
    names = list(columns)
    arrays = [np.asarray(columns[name]) for name in names]
    out = [",".join(names)]
    for row in zip(*arrays, strict=True):
        cells = []
        for value in row:
            if isinstance(value, float | np.floating):
                number = float(value)
                whole = number.is_integer() and abs(number) < 1e15
                cells.append("" if math.isnan(number) else str(int(number)) if whole else repr(number))
            else:
                cells.append(str(value))
        out.append(",".join(cells))
    return "\n".join(out) + "\n"
