"""A bound's terms as text for the terminal and as JSON: what --explain prints."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from numerics.cli.output import aligned, short

if TYPE_CHECKING:
    from wbound.theory.explanation import Explanation, Term

#: Longer lines are hard to read, shorter ones cannot hold a formula.
WIDEST, NARROWEST = 100, 50
HARD = "\u00a0"


def as_data(found: Explanation) -> dict[str, Any]:
    """The explanation as JSON types."""

    def term(t: Term) -> dict[str, Any]:
        data: dict[str, Any] = {
            "symbol": t.symbol,
            "numbers": t.filled,
            "value": t.value,
            "meaning": t.meaning,
        }
        return data | ({"squares": [term(part) for part in t.squares]} if t.squares else {})

    return {
        "statement": found.statement,
        "formula": found.formula,
        "known": {k.symbol: k.value for k in found.known},
        "terms": [term(t) for t in found.terms],
        "total": found.total,
        "remarks": list(found.remarks),
    }


def as_text(found: Explanation, width: int | None = None) -> str:
    """The formula, its symbols and its terms, in lines of at most ``width`` characters (the terminal's)."""
    columns = shutil.get_terminal_size((80, 24)).columns if width is None else width
    columns = max(NARROWEST, min(columns, WIDEST))
    # a line ends before a plus, not within a product
    whole = found.formula.replace(" ", HARD).replace(f"{HARD}+", " +").replace(f",{HARD}", ", ")
    formula = (line.replace(HARD, " ") for line in textwrap.wrap(whole, columns, subsequent_indent="     "))
    lines = [found.statement, *formula, ""]
    for line in aligned([(k.symbol, k.value, k.meaning) for k in found.known]).splitlines():
        lines += textwrap.wrap(
            line, columns, initial_indent="  ", subsequent_indent=" " * 8, drop_whitespace=False
        )
    lines += ["", *_sum(found.terms, found.total, "W2", columns, "  ")]
    for remark in found.remarks:
        lines += ["", *textwrap.wrap(remark, columns)]
    return "\n".join(line.rstrip() for line in lines)


def _sum(terms: Sequence[Term], total: float, name: str, columns: int, margin: str) -> Iterator[str]:
    """Terms under each other, their values in a column, and what they add up to."""
    values = [short(v, 6) for v in (*(t.value for t in terms), total)]
    across = max(len(v) for v in values)
    for i, (term, value) in enumerate(zip(terms, values, strict=False)):
        head = f"{margin}{'+' if i else ' '} {value:<{across}}  "
        gap = " " * len(head)
        words = f"{term.symbol} = {term.filled}" if term.filled else term.symbol
        yield from textwrap.wrap(words, columns, initial_indent=head, subsequent_indent=gap + "  ")
        if term.squares:
            yield from _sum(term.squares, term.value**2, f"the root is {value}", columns, margin + "      ")
        else:
            yield from textwrap.wrap(term.meaning, columns, initial_indent=gap, subsequent_indent=gap)
    yield f"{margin}= {values[-1]:<{across}}  {name}"
