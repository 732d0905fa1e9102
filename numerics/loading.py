"""Arrays, JSON and numbers from a user's files: nothing in a file is ever executed or unpickled."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wbound.errors import BadInput, IOFailure
from wbound.memory import fits

__all__ = ["MOST", "MOST_BYTES", "is_file", "is_folder", "load_json", "load_numpy", "text_numbers", "text_of"]

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


def load_numpy(path: Path, key: str | None = None) -> NDArray[Any]:
    """The one array of a .npy or .npz file, or the one named ``key``; never unpickles. `BadInput` (also for
    what would not fit into memory), `IOFailure`."""
    try:
        with open(path, "rb") as stream:
            fits("file", os.fstat(stream.fileno()).st_size, 1.0, path.name)
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            with loaded:
                names = loaded.files
                pick = key if key in names else names[0] if len(names) == 1 else None
                if pick is None:
                    held = ", ".join(names[:5]) or "nothing"
                    raise BadInput(
                        "file",
                        path.name,
                        f"holds {held}: must hold one array" + (f", or {key}" if key else ""),
                    )
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


def load_json(path: Path) -> Any:
    """A JSON file's value. Raises `BadInput` (no JSON) and `IOFailure` (cannot be read)."""
    text = text_of(path, "JSON")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput("file", path.name, f"must be JSON: {_short(error)}") from None


def text_numbers(path: Path) -> NDArray[np.float64]:
    """Numbers of a text file, separated by blanks, commas, semicolons or new lines; # begins a comment."""
    text = text_of(path)
    words = [
        w
        for line in text.splitlines()
        for w in line.split("#")[0].replace(",", " ").replace(";", " ").split()
    ]
    if len(words) > MOST:
        raise BadInput("file", path.name, f"must hold at most {MOST} numbers")
    numbers = []
    for word in words:
        try:
            numbers.append(float(word))
        except ValueError:
            raise BadInput("file", path.name, f"must hold numbers only, not '{word[:20]}'") from None
    return np.array(numbers)
