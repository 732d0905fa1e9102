"""Builds the sections and writes the page, report.json and a CSV beside each figure and table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from numerics.figures.style import INK
from numerics.io.locks import locked
from numerics.io.time_left import TimeLeft
from numerics.io.writing import csv_text, write
from numerics.report.blocks import (
    Block,
    Context,
    Figures,
    Folded,
    Html,
    Panel,
    Part,
    Prose,
    Section,
    Table,
    Words,
    finite,
    number,
    prose,
    table_csv,
    template,
    typeset,
)
from numerics.report.contents import SECTIONS
from numerics.report.glossary import WORDS, slug

__all__ = ["build"]

TITLE = "Diffusion samplers: bound, exact value, ratio"
SUBTITLE = (
    "How far the output of a sampler is from the data, how many calls of the network that takes, and what is "
    "proved about it."
)


def build(
    out: Path | str,
    *,
    quick: bool = False,
    say: Callable[[str], None] = lambda line: None,
    wrote: Callable[[Path], None] = lambda path: None,
    sections: Sequence[Section] = SECTIONS,
) -> Path:
    """Write the report into the folder ``out`` and return the page's path.

    quick: fewer points, for a first look; say: takes progress lines; wrote: takes each finished file.
    Raises `IOFailure` when a file cannot be written, and when another run writes there; the page itself is
    written last, whole.
    """
    with locked(out) as folder:
        left = TimeLeft()
        parts: dict[str, Part] = {}
        context = Context(parts, quick, say)
        order = [s for s in sections if not s.last] + [s for s in sections if s.last]
        total, done = sum(s.share(quick) for s in order), 0.0
        for i, section in enumerate(order):
            more = f", about {left.after(done / total):.0f} s left" if done > 0.0 else ""
            say(f"[{i + 1}/{len(order)}] {section.title}  ({left.passed:.0f} s passed{more})")
            part = section.build(context)
            parts[section.id] = Part(finite(part.data), part.blocks)
            for name, text in _tables(section, parts[section.id]).items():
                wrote(write(folder / name, text))
            done += section.share(quick)
        data = {section.id: parts[section.id].data for section in sections}
        wrote(
            write(
                folder / "report.json", json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
            )
        )
        page = write(folder / "index.html", _page(sections, parts))
        wrote(page)
        return page


def _tables(section: Section, part: Part) -> dict[str, str]:
    """The CSV files of a section by name."""
    files: dict[str, str] = {}
    for block in unfolded(part.blocks):
        if isinstance(block, Figures):
            files |= {f"{figure.id}.csv": csv_text(figure.columns) for figure in block.figures}
        elif isinstance(block, Table) and block.csv:
            files[block.csv] = csv_text(table_csv(block.columns, part.data[block.rows]))
    return files


def unfolded(blocks: Sequence[Block]) -> list[Block]:
    """The blocks, and in place of a folded one what is in it."""
    return [one for block in blocks for one in (block.blocks if isinstance(block, Folded) else (block,))]


def _page(sections: Sequence[Section], parts: dict[str, Part]) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    shown = [
        {
            "id": section.id,
            "title": section.title,
            "fold": section.fold,
            "blocks": [
                _shown(section.id, parts[section.id].data, block) for block in parts[section.id].blocks
            ],
        }
        for section in sections
    ]
    return environment.from_string(template("page.html.j2")).render(
        title=TITLE,
        subtitle=SUBTITLE,
        style=Html(template("page.css")),
        script=Html(template("page.js")),
        sections=shown,
    )


def _shown(section: str, data: dict[str, Any], block: Block) -> dict[str, Any]:
    """A block as the template wants it."""
    if isinstance(block, Prose):
        paragraphs = [prose(section, data, text) for text in block.text.split("\n\n")]
        return {"kind": "prose", "paragraphs": paragraphs, "lead": block.lead}
    if isinstance(block, Folded):
        inside = [_shown(section, data, one) for one in block.blocks]
        return {"kind": "folded", "title": typeset(block.title), "blocks": inside}
    if isinstance(block, Words):
        entries = [
            {"id": slug(w), "word": w, "means": prose(section, {}, word.means), "section": word.section}
            for w, word in WORDS.items()
        ]
        return {"kind": "words", "entries": entries}
    if isinstance(block, Panel):
        return {"kind": "panel", "html": block.html, "script": block.script}
    if isinstance(block, Figures):
        figures = [
            {
                "id": f.id,
                "svg": Html(f.svg),  # drawn by numerics.figures.curves
                "alt": f.alt,
                "caption": prose(section, data, f.caption),
                "csv": f"{f.id}.csv",
                "command": f.command,
            }
            for f in block.figures
        ]
        return {"kind": "figures", "figures": figures}
    rows = data[block.rows]
    numeric = [
        any(isinstance(row[c.key], int | float) and not isinstance(row[c.key], bool) for row in rows)
        for c in block.columns
    ]
    cells = []
    for i, row in enumerate(rows):
        line = []
        for j, column in enumerate(block.columns):
            value = row[column.key]
            markup = block.markup.get((i, column.key))
            if markup is not None:
                html = Html(markup)  # MathML that sympy prints
            elif isinstance(value, int | float) and not isinstance(value, bool):
                html = number(section, data, f"{block.rows}.{i}.{column.key}", column.format)
            else:
                html = Html(escape("—" if value is None else str(value)))
            colour = block.colours[i].replace(INK, "var(--ink)") if j == 0 and block.colours else ""
            raw = "" if value is None else value
            line.append({"raw": raw, "html": html, "numeric": numeric[j], "colour": colour})
        cells.append(line)
    columns = [
        {"title": typeset(c.title), "gloss": c.gloss, "numeric": numeric[j]}
        for j, c in enumerate(block.columns)
    ]
    return {
        "kind": "table",
        "caption": typeset(block.caption),
        "label": block.caption,
        "columns": columns,
        "rows": cells,
        "csv": block.csv,
        "command": block.command,
    }
