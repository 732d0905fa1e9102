"""What a page is made of: sections that bring data, and blocks that show it.

A block never types a number: it names a path in its section's data, so that the page and report.json cannot
disagree. To add to the report, write a function ``(Context) -> Part`` and list a `Section` with it in
`numerics.report.contents`.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from typing import Any

from numerics.report.glossary import WORDS, slug

__all__ = [
    "Block",
    "Column",
    "Context",
    "Figure",
    "Figures",
    "Folded",
    "Html",
    "Panel",
    "Part",
    "Prose",
    "Section",
    "Table",
    "Words",
    "lookup",
    "number",
    "show",
    "typeset",
]


def template(name: str) -> str:
    """The text of a file of `numerics/report/templates`."""
    return resources.files("numerics.report").joinpath("templates", name).read_text("utf-8")


class Html(str):
    """Text that is HTML already: the template does not escape it again."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def html(template: str, *values: str) -> Html:
    """``template`` with values put in, escaped unless they are `Html`."""
    return Html(template.format(*(v if isinstance(v, Html) else Html(escape(v)) for v in values)))


@dataclass(frozen=True)
class Context:
    """What a builder may look at: the parts built before, and how thorough to be."""

    parts: dict[str, Part]
    quick: bool
    say: Callable[[str], None]


@dataclass(frozen=True)
class Section:
    """A section of the page: ``build`` makes it; ``weight`` is its seconds on one machine, for the progress line, and
    ``quick_weight`` those of its quick version (0: the same);
    ``last``: built after all others, whose parts it reads, wherever it stands on the page; ``fold``: evidence, which
    stands closed until somebody opens it, searches in it or prints."""

    id: str
    title: str
    build: Callable[[Context], Part]
    weight: float = 1.0
    quick_weight: float = 0.0
    last: bool = False
    fold: bool = False

    def share(self, quick: bool) -> float:
        """Its part of the time, in seconds on one machine."""
        return self.quick_weight if quick and self.quick_weight else self.weight


@dataclass(frozen=True)
class Part:
    """A built section: its data (JSON types; no NaN) and the blocks that show it."""

    data: dict[str, Any]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Prose:
    """Paragraphs. ``{path:format}`` is a number of the section's data, ``code`` stands between backquotes, and
    ``[[word]]`` is a word of the glossary, with its gloss and a link to it."""

    text: str
    lead: bool = False


@dataclass(frozen=True)
class Column:
    """A column: the key in each row, its title, the format of its numbers ("" for text), and a gloss."""

    key: str
    title: str
    format: str = ""
    gloss: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of the section's data at ``rows`` (a list of objects). ``markup`` holds MathML by (row, key) for
    cells whose data are formulas; ``colours`` a colour by row, shown beside the first cell."""

    rows: str
    caption: str
    columns: Sequence[Column]
    command: str = ""
    csv: str = ""
    markup: Mapping[tuple[int, str], str] = field(default_factory=dict)
    colours: Sequence[str] = ()


@dataclass(frozen=True)
class Figure:
    """A drawn figure: SVG text, what it shows in words, its numbers as columns, the command that makes it."""

    id: str
    svg: str
    alt: str
    caption: str
    columns: Mapping[str, Any]
    command: str


@dataclass(frozen=True)
class Figures:
    """Figures side by side where there is room."""

    figures: Sequence[Figure]


@dataclass(frozen=True)
class Panel:
    """Controls and the script that answers them, in the page itself: HTML and JavaScript of ours."""

    html: Html
    script: Html


@dataclass(frozen=True)
class Folded:
    """Blocks that stand closed under a line of words."""

    title: str
    blocks: Sequence[Prose | Table | Figures]


@dataclass(frozen=True)
class Words:
    """The glossary."""


Block = Prose | Table | Figures | Panel | Folded | Words


# ---------------------------------------------------------------------- numbers

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
#: Integers from here on are shown as a × 10ⁿ.
LARGE = 10**7


def show(value: Any, spec: str) -> str:
    """A value as the page shows it: integers in groups, exponents as powers of ten, a true minus sign."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, int) and spec in ("", "int"):
        if abs(value) < LARGE:
            return f"{value:,}".replace(",", "\u202f").replace("-", "\u2212")
        spec = ".3g"
    text = format(value, spec if spec != "int" else ".3g")
    match = re.fullmatch(r"(-?[\d.]+)e([+-]\d+)", text)
    if match and value == 0:
        text = "0"
    elif match:
        text = f"{match[1]} × 10{str(int(match[2])).translate(_SUPERSCRIPT)}"
    return text if text.startswith("−") else text.replace("-", "\u2212", 1) if text.startswith("-") else text


def lookup(data: Any, path: str) -> Any:
    """The value at a dotted path of mappings and lists."""
    for step in path.split("."):
        data = data[int(step)] if isinstance(data, list | tuple) else data[step]
    return data


def number(section: str, data: Mapping[str, Any], path: str, spec: str) -> Html:
    """A number of the section's data as a span that says where it is in report.json."""
    value = lookup(data, path)
    return html(
        '<span class="n" data-n="{}" data-f="{}">{}</span>', f"{section}.{path}", spec, show(value, spec)
    )


_INDEX = re.compile(r"(?<=\w)_([A-Za-z0-9]+)|\^(?:\(((?:[^()]|\([^()]*\))*)\)|(-?\w+(?:/\w+)?))")


def typeset(text: str) -> Html:
    """Escaped text with its indices and powers, X_0 and w^(-1/2), as subscripts and superscripts."""
    out, at = [], 0
    for match in _INDEX.finditer(text):
        low, high = match[1], match[2] or match[3]
        out.append(html("{}", text[at : match.start()]))
        out.append(html("<sub>{}</sub>", low) if low else html("<sup>{}</sup>", high.replace("-", "\u2212")))
        at = match.end()
    return Html("".join([*out, html("{}", text[at:])]))


def _words(text: str) -> list[Html]:
    """Text with its ``[[words]]`` linked and glossed."""
    out = []
    for i, piece in enumerate(re.split(r"\[\[(.+?)\]\]", text)):
        out.append(
            html('<a class="word" href="#{}">{}</a> ({})', slug(piece), piece, typeset(WORDS[piece].gloss))
            if i % 2
            else typeset(piece)
        )
    return out


def prose(section: str, data: Mapping[str, Any], text: str) -> Html:
    """`Prose.text` as HTML: everything escaped but the numbers and the code."""
    out: list[Html] = []
    for literal, path, spec, _ in string.Formatter().parse(text):
        for i, piece in enumerate(literal.split("`")):
            out += [html("<code>{}</code>", piece)] if i % 2 else _words(piece)
        if path:
            out.append(number(section, data, path, spec or ""))
    return Html("".join(out))


def finite(value: Any) -> Any:
    """``value`` as JSON types, NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def table_csv(columns: Iterable[Column], rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """A table's rows as columns for a CSV file."""
    listed = list(rows)
    return {column.key: [row[column.key] for row in listed] for column in columns}
