"""Tables in LaTeX, by the package booktabs."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["booktabs_table"]


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
