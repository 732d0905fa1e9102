"""What commands print: one JSON object or text on stdout, everything else on stderr."""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numerics.io import terminal

#: Whether this run keeps its progress to itself (--quiet).
QUIET = False

#: Files that this run has finished, named when it is interrupted.
WRITTEN: list[str] = []


def warn(text: str) -> None:
    """One line on stderr, --quiet or not."""
    print(text, file=sys.stderr, flush=True)


def say(text: str) -> None:
    """One line on stderr of what is being done; none under --quiet."""
    if not QUIET:
        warn(text)


def note(path: Path | str) -> None:
    """Remember a finished file, and say so."""
    WRITTEN.append(str(path))
    say(f"wrote {path}")


def drawable(file: str, width: str, option: str = "figure") -> None:
    """Refuse a figure that cannot be written, before the work. Raises `BadInput`."""
    from numerics.figures import output, style
    from wbound.errors import one_of

    style.width_of(width)
    one_of(option, Path(file).suffix.lower(), output.SUFFIXES)


def placed(
    out: str | None,
    figure: str | None,
    width: str,
    kinds: Sequence[str] = (".csv",),
    pictures: Sequence[str] | None = None,
) -> tuple[str | None, str | None]:
    """Where the result and the picture go, refused before the work where they cannot be written.

    A picture after -o, as it was before there was --figure, is taken for one, which is said. ``kinds``: what a result
    may end in; ``pictures``: what a picture may, where that is no drawing of ours. Raises `BadInput`.
    """
    if out is not None and Path(out).suffix.lower() not in kinds:
        from numerics.figures.output import SUFFIXES
        from wbound.errors import BadInput

        drawn = pictures or [suffix for suffix in SUFFIXES if suffix != ".csv"]
        if Path(out).suffix.lower() not in drawn or figure is not None:
            allowed = f"must end in {' or '.join(kinds)}; --figure FILE draws: {', '.join(drawn)}"
            raise BadInput("out", out, allowed)
        out, figure = None, out
        warn(f"-o {figure} is now --figure {figure}: -o is the result; this goes with the next version")
    if figure is not None and pictures is not None:
        from wbound.errors import one_of

        one_of("figure", Path(figure).suffix.lower(), pictures)
    elif figure is not None:
        drawable(figure, width)
    return out, figure


class _Figures:
    """The files of `numerics.figures`, each imported when it is drawn with."""

    def __getattr__(self, file: str) -> Any:
        return importlib.import_module(f"numerics.figures.{file}")


figures = _Figures()


def keep(columns: Mapping[str, Any], draw: Callable[[], Any], out: str | None, figure: str | None) -> None:
    """Write the numbers to ``out`` and what ``draw`` makes to ``figure``: its numbers if that ends in .csv."""
    for file in (out, figure):
        if file is None:
            continue
        if file.lower().endswith(".csv"):
            from numerics.io.writing import csv_text, write

            write(file, csv_text(columns))
        else:
            from numerics.figures.output import save

            save(draw(), file)
        note(file)


def emit_table(
    payload: Mapping[str, Any],
    kind: str,
    out: str | None,
    text: Callable[[int | None], str],
    reasons: Mapping[str, str] | None = None,
) -> None:
    """A table as JSON or as ``text`` has it in so many characters (None: any): into a file, or printed."""
    if kind == "json" and out is None:
        emit(payload, True, str, reasons)
        return
    if kind == "json":
        made = json.dumps(clean(payload), indent=1, ensure_ascii=False)
    else:
        made = text(terminal.columns() if out is None else None)
    if out is None:
        emit({}, False, lambda: made.rstrip("\n"))
    else:
        from numerics.io.writing import write

        write(out, made.rstrip("\n") + "\n")
        note(out)


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
