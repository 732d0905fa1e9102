"""A bar of progress."""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["bar"]


def bar(**said: Any) -> Any:
    """A bar of tqdm, ``said`` as it takes it, in a process that shares its line with no other."""
    from tqdm import tqdm

    # its own lock is one between processes: of one that is killed, a semaphore and a warning would be left
    tqdm.set_lock(threading.RLock())
    return tqdm(**said)
