"""Ctrl-C at a moment of its own: not while threads and processes are being made."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

__all__ = ["uninterrupted"]


@contextmanager
def uninterrupted(processes: bool = False) -> Iterator[None]:
    """Ctrl-C waits for the end of what is inside: within a pool's locks it would become a `RuntimeError`.

    processes: whether some are begun inside. They never see it: the one that began them ends them, and they write no
    traceback.
    """
    before, came = signal.getsignal(signal.SIGINT), list[Any]()
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    mask: Any = None
    signal.signal(signal.SIGINT, lambda *signalled: came.append(signalled))
    try:
        if processes and hasattr(signal, "pthread_sigmask"):  # not on Windows
            # it comes with the first process, and after it Python lets signals through again
            resource_tracker.ensure_running()
            # what a process inherits
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        if mask is not None and hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[-1])
