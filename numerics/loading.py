"""Arrays, JSON and numbers from a user's files: nothing in a file is ever executed or unpickled."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wbound.errors import BadInput, IOFailure

__all__ = ["MOST", "load_json", "load_numpy", "text_numbers"]

#: Numbers that a text file or a schedule may hold.
MOST = 1_000_000


def load_numpy(path: Path, key: str | None = None) -> NDArray[Any]:
    """The one array of a .npy or .npz file, or the one named ``key``; never unpickles. `BadInput`,
    `IOFailure`."""
    try:
        with open(path, "rb") as stream:
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
                return np.asarray(loaded[pick])
    except BadInput:
        raise
    except OSError as error:
        if error.errno is None:  # numpy says so of files that it does not recognise
            raise _no_array(path, error) from None
        raise IOFailure(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, MemoryError, SyntaxError) as error:
        raise _no_array(path, error) from None


def _no_array(path: Path, error: BaseException) -> BadInput:
    return BadInput(
        "file", path.name, f"is no array file that can be read without unpickling: {_short(error)}"
    )


def _short(error: BaseException) -> str:
    return str(error).splitlines()[0][:100] if str(error) else type(error).__name__


def load_json(path: Path) -> Any:
    """A JSON file's value. Raises `BadInput` (no JSON) and `IOFailure` (cannot be read)."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise IOFailure(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput("file", path.name, "must be JSON in UTF-8") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput("file", path.name, f"must be JSON: {_short(error)}") from None


def text_numbers(path: Path) -> NDArray[np.float64]:
    """Numbers of a text file, separated by blanks, commas, semicolons or new lines; # begins a comment."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise IOFailure(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput("file", path.name, "must be text in UTF-8") from None
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
