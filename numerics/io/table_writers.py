"""Cells under their heads in Markdown, and in LaTeX by the package booktabs; as text `numerics.io.terminal` writes them,
as CSV `numerics.io.writing`."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["booktabs_table", "markdown_table"]


def markdown_table(heads: Iterable[str], rows: Iterable[Iterable[str]], aligned: str = "") -> str:
    """A table of cells in Markdown under their heads; ``aligned``: l or r for each column (default l)."""
    heads = list(heads)
    rule = "".join(f"{'---:' if side == 'r' else '---'}|" for side in aligned or "l" * len(heads))
    return "\n".join([_row(heads), f"|{rule}", *map(_row, rows)])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def booktabs_table(caption: str, aligned: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells in LaTeX under their heads; ``aligned``: l or r for each column."""
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        rf"\caption{{{caption}}}",
        r"\centering\small",
        rf"\begin{{tabular}}{{{aligned}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
        *(" & ".join(cells) + r" \\" for cells in rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)
