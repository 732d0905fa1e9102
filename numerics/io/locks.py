"""One run at a time in a folder: a lock that goes with its process, however that ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from numerics.io.writing import directory
from wbound.errors import IOFailure, WboundError

__all__ = ["LOCK", "locked"]

#: The file in a folder that is locked; it stays there, and holds the number of the last process.
LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path | str) -> Iterator[Path]:
    """``folder``, made if need be, for this run alone. Raises `IOFailure` where another run has it, and where
    nothing can be written."""
    made = directory(folder)
    try:
        with (made / LOCK).open("a+", encoding="utf-8") as handle:
            if not _lock(handle):
                handle.seek(0)
                raise IOFailure(
                    f"{made} is locked: another run (process {_holder(handle)}) writes to it; wait for its end, "
                    "or choose another folder"
                )
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
            yield made
    except WboundError:
        raise
    except OSError as error:
        if error.filename is not None and made not in Path(error.filename).parents:
            raise  # about a file elsewhere, which is another matter
        raise IOFailure(f"cannot write in {made}: {error.strerror or error}") from None


def _holder(handle: IO[str]) -> str:
    try:
        return handle.read(20).strip() or "?"
    except (OSError, ValueError):  # locked against reading, or no text
        return "?"


def _lock(handle: IO[str]) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
