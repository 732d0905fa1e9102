"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wbound.errors import IOFailure

__all__ = ["csv_text", "directory", "write"]


def directory(path: Path | str) -> Path:
    """``path`` as a directory, made if need be. Raises `IOFailure`."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IOFailure(f"cannot make the folder {folder}: {error.strerror}") from None
    except ValueError as error:  # a name that nothing can have
        raise IOFailure(f"cannot make the folder {str(folder)!r}: {error}") from None
    return folder


def write(path: Path | str, content: bytes | str) -> Path:
    """Write ``content`` to ``path`` by renaming a finished neighbour onto it: a full disk or an interruption
    leaves the former file as it was. Raises `IOFailure`."""
    target = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = None
    try:
        if target.exists() and not target.is_file():  # /dev/stdout and the like cannot be renamed onto
            target.write_bytes(data)
            return target
        neighbour = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        # made with the permissions that any new file gets: to ask for the umask would change it for other threads
        with open(neighbour, "xb") as stream:
            temporary = neighbour
            stream.write(data)
        neighbour.replace(target)
    except OSError as error:
        raise IOFailure(f"cannot write {target}: {error.strerror}") from None
    except ValueError as error:  # a name that nothing can have
        raise IOFailure(f"cannot write {str(target)!r}: {error}") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):  # it was renamed
                temporary.unlink()
    return target


def csv_text(columns: Mapping[str, Any]) -> str:
    """Columns as CSV (RFC 4180, but lines end in a newline alone), numbers with all their digits, an empty cell
    where there is none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_cell(name) for name in columns)
    listed = (v.tolist() if isinstance(v, np.ndarray) else list(v) for v in columns.values())
    writer.writerows([_cell(value) for value in row] for row in zip(*listed, strict=True))
    return out.getvalue()


def _cell(value: Any) -> Any:
    """A float as the shortest text that reads back as itself; none for NaN and None. A carriage return is a line's
    end, which the writer quotes."""
    if isinstance(value, str):
        return value.replace("\r\n", "\n").replace("\r", "\n")
    if not isinstance(value, float):
        return "" if value is None else value
    if math.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(float(value))
