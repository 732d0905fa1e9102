"""A figure as a file or as text: SVG, PNG, PDF, without dates or random ids."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from numerics.figures.style import INK, MUTED, RULE, figure_of, styled
from numerics.io.writing import write
from wbound.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SUFFIXES", "save", "svg"]

#: How a figure or its numbers can be written.
SUFFIXES = (".svg", ".png", ".pdf", ".csv")


def _rendered(figure: Figure, kind: str, dpi: int) -> bytes:
    """The figure as bytes that depend on its content only: no date, no version."""
    nothing: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }
    buffer = io.BytesIO()
    with styled():
        face = "white" if kind == "png" else "none"
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=nothing[kind], facecolor=face)
    return buffer.getvalue()


def save(drawn: Figure | Axes, path: Path | str, dpi: int = 200) -> Path:
    """Write a figure, or that of axes, as .svg, .png or .pdf, by its suffix, whole. Raises `BadInput` and `IOFailure`."""
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in ("svg", "png", "pdf"):
        raise BadInput("out", str(path), "must end in .svg, .png or .pdf")
    return write(path, _rendered(figure_of(drawn), kind, dpi))


def svg(drawn: Figure | Axes, identifier: str) -> str:
    """The figure as an SVG element for a page: ids prefixed with ``identifier``, since a page has many; ink,
    muted and rule colours as CSS variables, so that they follow the page's light or dark theme."""
    text = _rendered(figure_of(drawn), "svg", 72).decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{identifier}-\1"', text)
    text = re.sub(r'(href="|url\()#([^")]+)', rf"\1#{identifier}-\2", text)
    for name, value in {"ink": INK, "muted": MUTED, "rule": RULE}.items():
        text = text.replace(value, f"var(--{name}, {value})")
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    return text.strip()
