"""What commands print: one JSON object or text on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numerics.io import terminal

__all__ = ["WRITTEN", "aligned", "clean", "drawable", "emit", "grid_table", "note", "say", "short"]

#: Files that this run has finished, named when it is interrupted.
WRITTEN: list[str] = []


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


def note(path: Path | str) -> None:
    """Remember a finished file, and say so."""
    WRITTEN.append(str(path))
    say(f"wrote {path}")


def drawable(file: str, width: str, option: str = "out") -> None:
    """Refuse a figure that cannot be written, before the work. Raises `BadInput`."""
    from numerics.figures import output, style
    from wbound.errors import one_of

    style.width_of(width)
    one_of(option, Path(file).suffix.lower(), output.SUFFIXES)


def clean(value: Any, reasons: Mapping[str, str] | None = None) -> dict[str, Any]:
    """``value`` as JSON types without NaN or infinity: those become null, and ``null_because`` says why.

    ``reasons`` gives the reason by dotted path; what has none is said to be infinite or undefined.
    """
    given, because = dict(reasons or {}), {}

    def walk(item: Any, path: str) -> Any:
        if isinstance(item, Mapping):
            return {str(key): walk(part, f"{path}.{key}" if path else str(key)) for key, part in item.items()}
        if hasattr(item, "tolist"):  # NumPy arrays and scalars
            return walk(item.tolist(), path)
        if isinstance(item, list | tuple):
            return [walk(part, f"{path}.{index}") for index, part in enumerate(item)]
        if isinstance(item, float) and not math.isfinite(item):
            because[path] = given.get(path) or ("undefined" if math.isnan(item) else "infinite: it overflows")
            return None
        if item is None:
            if path in given:
                because[path] = given[path]
            return None
        return item if isinstance(item, bool | int | float | str) else str(item)

    out: dict[str, Any] = walk(value, "")
    if because:
        out["null_because"] = because
    return out


def emit(
    payload: Mapping[str, Any],
    as_json: bool,
    text: Callable[[], str],
    reasons: Mapping[str, str] | None = None,
) -> None:
    """Print ``payload`` as one JSON object, or ``text()``, in lines that fit the terminal."""
    if as_json:
        out = json.dumps(clean(payload, reasons), ensure_ascii=False, allow_nan=False)
    else:
        out = terminal.wrapped(text(), terminal.columns())
    try:
        print(out, flush=True)
    except BrokenPipeError:  # the reader has gone (`| head`): nothing to say, and nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(4) from None
    except OSError as error:
        from wbound.errors import IOFailure

        raise IOFailure(f"cannot write to standard output: {error.strerror}") from None


def short(value: Any, digits: int = 6) -> str:
    """A number for people: "—" where there is none."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f") if abs(value) < 10**12 else f"{float(value):.4g}"
    if isinstance(value, float):
        if math.isnan(value):
            return "—"
        return f"{value:.{digits}g}"
    return str(value)


def aligned(rows: Iterable[tuple[str, Any, str]]) -> str:
    """Lines "name  value  remark", in columns; in a terminal long remarks go on under themselves."""
    lines = [(name, short(value), remark) for name, value, remark in rows]
    first = max(len(name) for name, _, _ in lines)
    second = max(len(value) for _, value, _ in lines)
    width = terminal.columns()
    out = []
    for name, value, remark in lines:
        line = f"{name:<{first}}  {value:>{second}}  {remark}".rstrip()
        out.append(terminal.wrapped(line, width, first + second + 4 - len(name) + len(name.lstrip())))
    return "\n".join(out)


def grid_table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table of numbers and words, for the terminal as wide as that is."""
    cells = [[short(cell, 5) for cell in row] for row in rows]
    sides = ["left" if any(isinstance(row[i], str) for row in rows) else "right" for i in range(len(headers))]
    return terminal.table(headers, cells, sides, terminal.columns())
