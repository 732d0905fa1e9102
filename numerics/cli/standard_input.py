"""Standard input in place of a file of numbers: ``-`` is copied to a file, whose kind its first bytes say.

What reads files then reads it as any other, limits and messages included; it is gone when the run ends.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

#: What a user types for it.
DASH = "-"
#: Bytes that are copied at once.
CHUNK = 1 << 20

_held: list[Any] = []  # the folder of this run's copy


def from_option(context: typer.Context, value: str | None) -> str | None:
    """The callback of an option that takes a file of numbers."""
    return value if context.resilient_parsing else as_file(value)


def as_file(value: str | None) -> str | None:
    """``value``, or for ``-`` the name of a file that holds what standard input does. It is there once: raises
    `BadInput` for a second ``-``, for more than fits (memory; 64 MB of text), and `IOFailure`."""
    if value != DASH:
        return value
    import tempfile  # slow, for what few runs do

    from wbound.errors import BadInput, IOFailure

    if _held:
        raise BadInput("-", "standard input", "can be read once: give one file as -")
    folder = tempfile.TemporaryDirectory(prefix="wbound-")
    _held.append(folder)
    copied = Path(folder.name) / "copied"
    try:
        return str(copied.rename(copied.with_name(f"standard-input{_copy(copied)}")))
    except (OSError, AttributeError) as error:  # closed, or none at all
        raise IOFailure(f"cannot read standard input: {getattr(error, 'strerror', None) or error}") from None


def _copy(file: Path) -> str:
    """Copy standard input, and return the suffix of what it is."""
    from numerics.io.reading import MOST_BYTES
    from wbound.errors import BadInput
    from wbound.memory import fits

    size, suffix = 0, ""
    with open(file, "wb") as stream:
        while chunk := sys.stdin.buffer.read(CHUNK):
            suffix = suffix or _suffix(chunk)
            stream.write(chunk)
            size += len(chunk)
            if suffix in (".npy", ".npz"):
                fits("file", size, 1.0, "standard input")
            elif size > MOST_BYTES:
                raise BadInput(
                    "file", "standard input", f"must hold at most {MOST_BYTES // 1_000_000} MB of text"
                )
    return suffix or ".txt"


def _suffix(begun: bytes) -> str:
    """The kind of a file that begins so."""
    if begun.startswith(b"\x93NUMPY"):
        return ".npy"
    if begun.startswith(b"PK"):
        return ".npz"
    if begun.lstrip()[:1] in (b"{", b"["):
        return ".json"
    return ".csv" if b"," in begun.partition(b"#")[0] else ".txt"


def as_typed(file: str) -> str:
    """How a file is called in results: as the user did."""
    return "standard input" if _held and Path(file).parent == Path(_held[0].name) else file


def discard() -> None:
    """Remove this run's copy."""
    while _held:
        _held.pop().cleanup()
