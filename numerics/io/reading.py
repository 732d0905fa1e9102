"""Arrays, JSON and numbers from a user's files: nothing in a file is ever executed or unpickled."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wbound.errors import BadInput, IOFailure
from wbound.memory import fits
from wbound.typing import Array

__all__ = [
    "MOST",
    "MOST_BYTES",
    "Table",
    "finite_array",
    "is_file",
    "is_folder",
    "load_json",
    "load_numpy",
    "names_in",
    "text_numbers",
    "text_of",
    "text_table",
]

#: Numbers that a text file or a schedule may hold.
MOST = 1_000_000
#: Bytes that a text file may hold: `MOST` numbers with all their digits and more.
MOST_BYTES = 64_000_000


def is_folder(path: Path) -> bool:
    """Whether there is a folder of that name; what nothing can be called is none."""
    try:
        return path.is_dir()
    except OSError:  # too long
        return False


def is_file(path: Path) -> bool:
    """Whether there is a file of that name; what nothing can be called is none."""
    try:
        return path.is_file()
    except OSError:  # too long
        return False


def text_of(path: Path, what: str = "text") -> str:
    """A file's text, no more of it than `MOST_BYTES`. Raises `BadInput` (too long, not UTF-8) and
    `IOFailure`."""
    try:
        with open(path, "rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise BadInput("file", path.name, f"must hold at most {MOST_BYTES // 1_000_000} MB of {what}")
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput("file", path.name, f"must be {what} in UTF-8") from None
    except OSError as error:
        raise IOFailure(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:  # a name that no file can have
        if isinstance(error, BadInput):
            raise
        raise BadInput("file", str(path), f"is no name of a file: {error}") from None


def load_numpy(
    path: Path, usual: str | None = None, *, key: str | None = None, advice: str = ""
) -> NDArray[Any]:
    """The array of a .npy file, or of a .npz file the one named ``key``; without a key the one named
    ``usual``, or the only one (``advice``: what a message adds where there are several). Never unpickles.
    `BadInput` (also for what would not fit into memory), `IOFailure`."""
    try:
        with open(path, "rb") as stream:
            fits("file", os.fstat(stream.fileno()).st_size, 1.0, path.name)
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                if key is not None:
                    raise BadInput("key", key, f"goes with an .npz file of several arrays, not {path.name}")
                return loaded
            with loaded:
                pick = _picked(path, loaded.files, usual, key, advice)
                # a small archive may unpack to any size
                members = {member.filename: member.file_size for member in loaded.zip.infolist()}
                fits("file", members.get(f"{pick}.npy", members.get(pick, 0)), 1.0, path.name)
                return np.asarray(loaded[pick])
    except BadInput:
        raise
    except OSError as error:
        if error.errno is None:  # numpy says so of files that it does not recognise
            raise _no_array(path, error) from None
        raise IOFailure(f"cannot read {path}: {error.strerror}") from None
    except Exception as error:  # damage shows in any way (zip, zlib, the header), and runs nothing
        raise _no_array(path, error) from None


def _no_array(path: Path, error: BaseException) -> BadInput:
    return BadInput(
        "file",
        path.name or str(path),
        f"is no file of numbers that can be read without unpickling: {_short(error)}",
    )


def _short(error: BaseException) -> str:
    return str(error).splitlines()[0][:100] if str(error) else type(error).__name__


def _picked(path: Path, names: list[str], usual: str | None, key: str | None, advice: str) -> str:
    """The array of an .npz file to read: by its key, by its usual name, or the only one."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput("file", path.name, f"holds {twice[:40]} twice")
    held = ", ".join(name[:40] for name in names[:8]) + (", ..." if len(names) > 8 else "") or "nothing"
    if key is not None:
        if key not in names:
            raise BadInput("key", key, f"is not in {path.name}, which holds {held}")
        return key
    if usual in names:
        return str(usual)
    if len(names) != 1:
        raise BadInput(
            "file",
            path.name,
            f"holds {held}: must hold one array" + (f", or {usual}" if usual else "") + advice,
        )
    return names[0]


def names_in(path: Path) -> list[str]:
    """The names of the arrays in an .npz file; none for any other. `BadInput`, `IOFailure`."""
    if path.suffix.lower() != ".npz":
        return []
    try:
        with np.load(path, allow_pickle=False) as loaded:
            return list(loaded.files)
    except OSError as error:
        if error.errno is None:
            raise _no_array(path, error) from None
        raise IOFailure(f"cannot read {path}: {error.strerror}") from None
    except Exception as error:  # as in load_numpy
        raise _no_array(path, error) from None


def load_json(path: Path) -> Any:
    """A JSON file's value. Raises `BadInput` (no JSON, a name twice in one object) and `IOFailure` (cannot be
    read)."""
    text = text_of(path, "JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise BadInput("file", path.name, f"gives {twice[:40]!a} twice")
        return made

    try:
        return json.loads(text, object_pairs_hook=once)
    except BadInput:
        raise
    except (ValueError, RecursionError) as error:
        raise BadInput("file", path.name, f"must be JSON: {_short(error)}") from None


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers of a text file: ``values`` (rows, columns), the columns' names where the first line has them,
    and in ``notes`` what was not taken as it stands."""

    values: NDArray[np.float64]
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_vector(self) -> bool:
        """One column, or one line."""
        return 1 in self.values.shape


def text_table(path: Path) -> Table:
    """A text file's numbers in lines and columns, separated by commas, by semicolons or by blanks; # begins a
    comment, and a first line of words names the columns.

    Lines of different lengths are one wrapped vector, but not in a .csv file or under names. A first column without
    a name that counts the rows is left out, which a note says. Raises `BadInput`: words, empty cells, lines
    of different lengths, more than `MOST` numbers; and `IOFailure`.
    """
    lines = [
        (n, content)
        for n, line in enumerate(text_of(path).removeprefix("\ufeff").splitlines(), 1)
        if (content := line.split("#")[0].strip())
    ]
    comma, semicolon = (any(sign in content for _, content in lines) for sign in ",;")
    if comma and semicolon:
        raise BadInput("file", path.name, "has both , and ;: one must part the numbers, and . is their point")
    rows = list(_cells(path, lines, "," if comma else ";" if semicolon else ""))
    names: tuple[str, ...] = ()
    head = rows[0][1] if len(rows) > 1 else []
    if any(cell and not _is_number(cell) for cell in head) or (len(head) > 1 and not head[0]):
        names = tuple(rows.pop(0)[1])
        if any(_is_number(cell) for cell in names if cell) and names[0]:
            raise BadInput(
                "file", path.name, f"has words and numbers in its first line: {', '.join(names)[:60]}"
            )
    if sum(len(cells) for _, cells in rows) > MOST:
        raise BadInput("file", path.name, f"must hold at most {MOST} numbers; a .npy file may hold more")
    numbers = [(n, [_number(path, n, cell) for cell in cells]) for n, cells in rows]
    widths = {len(row) for _, row in numbers} | ({len(names)} if names else set())
    if len(widths) > 1:
        if names or path.suffix.lower() == ".csv":
            n, row = next((n, row) for n, row in numbers if len(row) != (len(names) or len(numbers[0][1])))
            first = len(names) or len(numbers[0][1])
            raise BadInput("file", path.name, f"line {n} has {len(row)} numbers, the first line {first}")
        wrapped = np.array([v for _, row in numbers for v in row])
        return Table(wrapped[:, None])
    values = np.array([row for _, row in numbers], float).reshape(len(numbers), widths.pop() if widths else 1)
    return _without_index(path, values, names)


def _cells(path: Path, lines: list[tuple[int, str]], sign: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line; an empty last one (a separator at the end) is none."""
    for n, line in lines:
        text = line if sign else " ".join(line.split())
        try:
            read = csv.reader([text], delimiter=sign or " ", skipinitialspace=True, strict=True)
            cells = [cell.strip() for cell in next(read)]
        except csv.Error as error:
            raise BadInput("file", path.name, f"line {n} cannot be read: {_short(error)}") from None
        yield n, cells[:-1] if len(cells) > 1 and not cells[-1] else cells


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(path: Path, line: int, cell: str) -> float:
    if not cell:
        raise BadInput("file", path.name, f"has an empty cell in line {line}")
    try:
        return float(cell)
    except ValueError:
        raise BadInput("file", path.name, f"must hold numbers only, not '{cell[:20]}'") from None


def _without_index(path: Path, values: NDArray[np.float64], names: tuple[str, ...]) -> Table:
    """The table without a first column that has no name and counts the rows; other doubts are said."""
    notes: list[str] = []
    if names and not names[0] and len(names) > 1:
        if not np.array_equal(values[:, 0], values[0, 0] + np.arange(len(values))):
            raise BadInput(
                "file", path.name, "has a first column without a name that does not count the rows"
            )
        values, names = values[:, 1:], names[1:]
        notes.append("the first column has no name and counts the rows: it was left out")
    if not names and len(values) > 1 and values.shape[1] > 1:
        if np.array_equal(values[0], np.arange(values.shape[1])):
            notes.append(
                "the first line, 0, 1, ..., is read as numbers: give the columns names if it is none"
            )
        if np.array_equal(values[:, 0], values[0, 0] + np.arange(len(values))):
            notes.append("the first column counts the rows and is read as numbers, since nothing names it")
    return Table(values, names, tuple(notes))


def text_numbers(path: Path) -> NDArray[np.float64]:
    """The vector of a text file: one number a line, or one line of them (see `text_table`). Raises `BadInput`,
    for a table of several lines and columns too, and `IOFailure`."""
    table = text_table(path)
    if not table.is_vector and table.values.size:
        rows, columns = table.values.shape
        raise BadInput(
            "file", path.name, f"has {rows} lines of {columns} columns: must be one column, or one line"
        )
    return table.values.ravel()


def finite_array(option: str, value: Any, allowed: str) -> Array:
    """``value`` as a finite float64 array, or `BadInput`."""
    try:
        raw = np.asarray(value)
        if raw.dtype.kind not in "fiu":  # no booleans, text, complex numbers or objects
            raise TypeError
        array = raw.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(option, type(value).__name__, allowed) from None
    if not np.isfinite(array).all():
        raise BadInput(option, "an array with NaN or infinity", allowed)
    return array
