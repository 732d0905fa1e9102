"""Text that fits the terminal: tables in blocks of columns, prose in lines; files and pipes get it as it is."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

__all__ = ["columns", "table", "wrapped"]


def columns() -> int | None:
    """The terminal's width in characters; None where standard output is no terminal."""
    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else None


def table(
    headers: Sequence[str],
    cells: Sequence[Sequence[str]],
    sides: Sequence[str] | None = None,
    width: int | None = None,
) -> str:
    """Cells under their headers. Where that is wider than ``width`` it becomes several tables under each other,
    each with the first column again; where a column does not fit beside the first, every row a paragraph.

    sides: "left" or "right" for each column (default left). A column without a header stays with the one
    before it. width: characters; None: as wide as it comes.
    """
    from tabulate import tabulate

    align = list(sides or ["left"] * len(headers))

    def made(chosen: Sequence[int]) -> str:
        return str(
            tabulate(
                [[row[i] for i in chosen] for row in cells],
                headers=[headers[i] for i in chosen],
                tablefmt="simple",
                disable_numparse=True,
                colalign=[align[i] for i in chosen] if cells else None,
            )
        )

    def fits(chosen: Sequence[int]) -> bool:
        return width is None or max(map(len, made(chosen).splitlines())) <= width

    everything = list(range(len(headers)))
    if fits(everything):
        return made(everything)
    blocks: list[list[int]] = []
    for group in _groups(headers):
        if blocks and fits([0, *blocks[-1], *group]):
            blocks[-1] += group
        elif fits([0, *group]):
            blocks.append(group)
        else:
            assert width is not None
            return "\n\n".join(
                "\n".join(
                    wrapped(f"{name}: {cell}", width) for name, cell in zip(headers, row, strict=True) if name
                )
                for row in cells
            )
    return "\n\n".join(made([0, *block]) for block in blocks)


def _groups(headers: Sequence[str]) -> Iterator[list[int]]:
    """The columns after the first, each with those after it that have no header."""
    group: list[int] = []
    for i in range(1, len(headers)):
        if group and headers[i]:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def wrapped(text: str, width: int | None, hang: int = 2) -> str:
    """The text with its long lines broken between words, each going on ``hang`` characters to the right of where
    it began."""
    if width is None:
        return text
    out = []
    for line in text.split("\n"):
        if len(line) <= width:
            out.append(line)
            continue
        margin = " " * min(len(line) - len(line.lstrip()) + hang, width // 2)
        out += textwrap.wrap(line, width, subsequent_indent=margin, break_on_hyphens=False)
    return "\n".join(out)
