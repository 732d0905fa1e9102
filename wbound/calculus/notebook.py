"""What a notebook shows of an object: a small table of HTML, everything escaped, and formulas in LaTeX."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

__all__ = ["html_table", "shown"]


def shown(value: Any) -> str:
    """A value as text: numbers short, "—" where there is none."""
    if value is None:
        return "—"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def html_table(title: str, rows: Iterable[Iterable[Any]], heads: Iterable[str] = ()) -> str:
    """A table under a bold title; a row's first cell heads it. All text is escaped."""
    head = "".join(f"<th scope='col'>{escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>"
        + "".join(
            f"<th scope='row' style='text-align:left'>{escape(shown(cell))}</th>"
            if i == 0
            else f"<td style='text-align:left'>{escape(shown(cell))}</td>"
            for i, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    caption = f"<caption style='text-align:left;font-weight:bold'>{escape(title)}</caption>"
    return f"<table>{caption}{top}<tbody>{body}</tbody></table>"
