"""A comparison on paper: the table as CSV, Markdown and JSON, and its figures as SVG and PNG."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from numerics.cifar10.comparison import Comparison, Measured, Theory
from numerics.figures.output import save
from numerics.figures.style import (
    DASHES,
    MUTED,
    Entry,
    colour,
    last_point,
    log_frame,
    row_frame,
    styled,
    width_of,
    x_label,
    y_range_of,
)
from numerics.io.table_writers import markdown_table
from numerics.io.writing import csv_text, directory, write
from wbound.typing import Array

__all__ = [
    "FIGURES",
    "columns",
    "iterations_figure",
    "markdown",
    "ranking_figure",
    "steps_figure",
    "write_all",
]


SLICED = "sliced W2 from held-out images"


def look(process: str) -> dict[str, Any]:
    """Colour and dash of an image process: those of the process whose clock it reads."""
    return {"color": colour(f"image-{process}"), "linestyle": DASHES.get(process[:2], "-")}


# ---------------------------------------------------------------------- the table


def _rows(c: Comparison) -> Iterator[dict[str, Any]]:
    theory = {t.process: t for t in c.theory}
    for m in c.measured:
        t = theory[m.process]
        row: dict[str, Any] = {
            "process": m.process,
            "iterations": m.iterations,
            "K": m.K,
            "evaluations": m.evaluations,
        }
        for key in ("sliced", "bures", "pca_sliced", "pca_bures"):
            found = getattr(m, key)
            row[key] = math.nan if found is None else found.mean
            row[f"{key}_spread"] = math.nan if found is None or found.spread is None else found.spread
        row["low"] = math.nan if m.low is None else m.low
        row["high"] = math.nan if m.high is None else m.high
        for n, found in m.fid or ():
            row[f"fid_{n}"] = found.mean
            row[f"fid_{n}_spread"] = math.nan if found.spread is None else found.spread
        if m.inception_score is not None:
            row["inception_score"] = m.inception_score.mean
        row["exact_w2"] = t.exact.get(m.K, math.nan)
        row["theory_K"] = math.nan if t.K is None else float(t.K)
        row["seconds"] = m.seconds
        yield row


def columns(c: Comparison) -> dict[str, list[Any]]:
    """The whole table by column: a row for each process, number of iterations and K; nan where there is none."""
    rows = list(_rows(c))
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name, math.nan) for row in rows] for name in names}


def _with_spread(found: Any) -> str:
    if found is None:
        return "diverged"
    return f"{found.mean:.4g}" + ("" if found.spread is None else f" ± {found.spread:.2g}")


def _known(value: float | None, digits: int = 4) -> str:
    return "—" if value is None else f"{value:.{digits}g}"


def markdown(c: Comparison) -> str:
    """The table of the trained networks for people, with what stands beside it and what it does not say."""
    theory = {t.process: t for t in c.theory}
    fids = sorted({n for m in c.measured for n, _ in m.fid or ()})
    heads = ["process", "iterations", "K", "sliced W2", "Bures W2", "W2, 99 %"]
    heads += [f"FID, n = {n}" for n in fids] + ["exact W2, Gaussian", "theory's K"]
    cells = (_cells(m, theory[name], fids) for name in theory for m in c.trained(name))
    floor = c.floor.spaces["pixel"]
    said = [
        f"{c.label}. The floor, {floor.n} real training images against the held-out ones: sliced W2 "
        f"{floor.sliced:.4g}, Bures W2 {floor.bures:.4g}, W2 in [{_known(floor.low)}, {_known(floor.high)}]; "
        f"‖X_0 − E X_0‖ = {c.spread:.4g}.",
        *(f"{note[:1].upper()}{note[1:]}." for note in c.notes),
        *(
            f"{name}: no K from the theory: {t.reason}."
            for name, t in theory.items()
            if t.K is None and t.reason is not None
        ),
    ]
    if c.sha256 is not None:
        said.append(f"Inception weights: SHA-256 {c.sha256}.")
    ranks = markdown_table(
        ("K", "measured", "with the exact W2 of the Gaussian", "with theory's K", "processes"),
        (
            (
                str(r["K"]),
                str(r["measured"]),
                _known(r["with_exact_w2"], 2),
                _known(r["with_theory_K"], 2),
                str(r["processes"]),
            )
            for r in c.correlations
        ),
    )
    return "\n".join(
        [
            f"# Processes on {c.data}, {c.sweep.scheme}",
            "",
            markdown_table(heads, cells),
            "",
            *(f"- {line}" for line in said),
            "",
            "Rank correlation (Spearman) over the processes:",
            "",
            ranks,
            "",
        ]
    )


def _cells(m: Measured, t: Theory, fids: Sequence[int]) -> list[str]:
    bracket = "—" if m.low is None else f"[{_known(m.low)}, {_known(m.high)}]"
    by_n = dict(m.fid or ())
    return [
        m.process,
        str(m.iterations),
        str(m.K),
        _with_spread(m.sliced),
        _with_spread(m.bures),
        bracket,
        *(_with_spread(by_n[n]) if n in by_n else "—" for n in fids),
        _known(t.exact.get(m.K)),
        "—" if t.K is None else str(t.K),
    ]


def plain(c: Comparison) -> dict[str, Any]:
    """Everything as JSON types (not a number where a sampler diverged becomes null)."""
    out = asdict(c)
    out["theory"] = [asdict(t) | {"exact": {str(K): w2 for K, w2 in t.exact.items()}} for t in c.theory]
    out["floor"] = c.floor.to_dict()
    cleaned: dict[str, Any] = _clean(out)
    return cleaned


def _clean(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        if hasattr(value, "_asdict"):
            return _clean(value._asdict())
        return [_clean(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


# ---------------------------------------------------------------------- the figures


def _mean(m: Measured) -> float:
    return math.nan if m.sliced is None else m.sliced.mean


def _spread(m: Measured) -> float:
    return 0.0 if m.sliced is None or m.sliced.spread is None else m.sliced.spread


def _lines(
    c: Comparison,
    points: Mapping[str, tuple[Array, Array, Array]],
    xlabel: str,
    ylabel: str,
    width: str | float,
    floor: float | None,
    title: str,
) -> Figure:
    """A line of each process with the band of its seeds, and the floor."""
    inches = width_of(width)
    with styled():
        ends = np.concatenate([x for x, _, _ in points.values()])
        x = (float(ends.min()), float(ends.max()))
        if x[0] == x[1]:
            x = (x[0] / 2.0, x[1] * 2.0)
        values = [y for _, y, _ in points.values()]
        y = y_range_of([*values, np.array([floor or math.nan])])
        entries = []
        for name, (at, value, _) in points.items():
            end = last_point(at, value, y)
            if end is not None:
                entries.append(Entry(*end, name, look(name)))
        bottom: dict[str, Any] = {"color": MUTED, "linestyle": (0, (2, 2)), "linewidth": 0.9}
        if floor is not None:
            entries.append(Entry(x[1], floor, "two halves", bottom))
        figure, axes = log_frame(inches, 0.75 * min(inches, 5.2), x, y, entries, title)
        for name, (at, value, spread) in points.items():
            low, high = np.maximum(value - spread, y[0]), np.minimum(value + spread, y[1])
            axes.fill_between(at, low, high, color=look(name)["color"], alpha=0.2, linewidth=0.0)
            axes.plot(at, value, marker="o", clip_on=False, **look(name))
        if floor is not None:
            axes.plot(x, (floor, floor), **bottom)
        x_label(axes, xlabel)
        axes.set_ylabel(ylabel)
    return figure


def steps_figure(c: Comparison, width: str | float = "report") -> Figure:
    """Quality of the trained networks against sampling steps, a line of each process."""
    points = {
        t.process: tuple(
            np.array(v, float) for v in zip(*((m.K, _mean(m), _spread(m)) for m in cells), strict=True)
        )
        for t in c.theory
        if (cells := c.trained(t.process))
    }
    floor = c.floor.spaces["pixel"].sliced
    return _lines(c, points, "sampling steps K", SLICED, width, floor, "trained networks")  # type: ignore[arg-type]


def exact_figure(c: Comparison, width: str | float = "report") -> Figure | None:
    """The exact W2 of the Gaussian surrogate over the same K; None for the predictor–corrector."""
    points = {}
    for t in c.theory:
        if t.exact:
            K = np.array(sorted(t.exact), float)
            points[t.process] = (K, np.array([t.exact[int(k)] for k in K]), np.zeros(K.size))
    if not points:
        return None
    label = "exact W2, Gaussian surrogate"
    return _lines(c, points, "sampling steps K", label, width, None, "the theory's side")


def iterations_figure(c: Comparison, width: str | float = "report") -> Figure:
    """Quality at K = ``sweep.at`` against training iterations; the untrained network stands at the left end."""
    points: dict[str, tuple[Array, Array, Array]] = {}
    places: dict[float, str] = {}
    for t in c.theory:
        cells = c.followed(t.process)
        done = [m.iterations for m in cells]
        # a logarithmic axis has no 0: half the first checkpoint's place
        first = min((n for n in done if n > 0), default=1)
        at = [n or 0.5 * first for n in done]
        places |= {place: f"{n:,}" for place, n in zip(at, done, strict=True)}
        points[t.process] = (
            np.array(at, float),
            np.array([_mean(m) for m in cells]),
            np.array([_spread(m) for m in cells]),
        )
    floor, title = c.floor.spaces["pixel"].sliced, f"K = {c.sweep.at}"
    figure = _lines(c, points, "training iterations", SLICED, width, floor, title)
    axes = figure.axes[0]
    axes.set_xticks(sorted(places), [places[place] for place in sorted(places)], minor=False)
    return figure


def ranking_figure(c: Comparison, width: str | float = "report") -> Figure | None:
    """A row of each process in the order of the surrogate's exact W2 at K = ``sweep.at`` (ring), with the Bures W2
    of its network's samples (dot), and its ranks by the two and by theory's K; None for the predictor–corrector."""
    K = c.sweep.at
    cells = {t.process: (t.exact.get(K), c.cell(t.process, K)) for t in c.theory}
    pairs = {
        name: (exact, cell.bures.mean)
        for name, (exact, cell) in cells.items()
        if exact is not None and cell is not None and cell.bures is not None
    }
    if not pairs:
        return None
    asked = {t.process: t.K for t in c.theory if t.K is not None}
    ranks = [_ranks({n: v[i] for n, v in pairs.items()}) for i in (0, 1)] + [_ranks(asked)]
    order = sorted(pairs, key=lambda name: ranks[0][name])
    rows = [(name, "   ".join(str(r.get(name, "—")) for r in ranks)) for name in order]
    floor = c.floor.spaces["pixel"].bures
    with styled():
        x = y_range_of([np.array([*pairs[name], floor]) for name in order])
        figure, axes = row_frame(width_of(width), rows, x, ("", "○   ●   K"))
        axes.axvline(floor, color=MUTED, linestyle=(0, (2, 2)), linewidth=0.9)
        for i, name in enumerate(order):
            exact, measured = pairs[name]
            shade = look(name)["color"]
            axes.plot([exact, measured], [i, i], color=shade, linewidth=0.8)
            axes.plot([exact], [i], "o", markersize=5.0, markerfacecolor="white", color=shade)
            axes.plot([measured], [i], "o", markersize=5.0, color=shade)
        x_label(axes, f"W2, K = {K}: ○ exact, Gaussian   ● networks, Bures   ┆ two halves")
    return figure


def _ranks(values: Mapping[str, float]) -> dict[str, int]:
    """1 for the least."""
    return {name: i for i, name in enumerate(sorted(values, key=lambda n: values[n]), 1)}


#: The figures by file name.
FIGURES: dict[str, Callable[[Comparison, str | float], Figure | None]] = {
    "steps": steps_figure,
    "iterations": iterations_figure,
    "exact": exact_figure,
    "ranking": ranking_figure,
}


def write_all(c: Comparison, out: str | Path, width: str | float = "report") -> list[Path]:
    """comparison.csv, .md and .json, and the figures as .svg and .png, in ``out``. Raises `IOFailure`."""
    folder = directory(out)
    written = [
        write(folder / "comparison.csv", csv_text(columns(c))),
        write(folder / "comparison.md", markdown(c)),
        write(
            folder / "comparison.json", json.dumps(plain(c), indent=1, ensure_ascii=False, allow_nan=False)
        ),
    ]
    for name, draw in FIGURES.items():
        figure = draw(c, width)
        for path in (folder / f"{name}.svg", folder / f"{name}.png"):
            if figure is not None:
                written.append(save(figure, path))
            else:
                path.unlink(missing_ok=True)  # of an earlier comparison, which this one replaces
    return written
