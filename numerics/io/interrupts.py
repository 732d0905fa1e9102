"""Ctrl-C and SIGTERM at a moment of their own: not while threads and processes are being made, or a step is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

__all__ = ["uninterrupted"]


@contextmanager
def uninterrupted(processes: bool = False) -> Iterator[None]:
    """Ctrl-C, and SIGTERM where somebody answers it, wait for the end of what is inside: within a pool's locks they
    would become a `RuntimeError`, within a step of training they would leave half a step.

    processes: whether some are begun inside. They never see Ctrl-C: the one that began them ends them, and they write
    no traceback.
    """
    answers: dict[signal.Signals, Callable[..., Any]] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            answer = signal.getsignal(number)
            if callable(answer):
                answers[number] = answer
    came: list[tuple[Any, ...]] = []
    for number in answers:
        signal.signal(number, lambda *signalled: came.append(signalled))
    mask: Any = None
    try:
        if processes and signal.SIGINT in answers and hasattr(signal, "pthread_sigmask"):  # not on Windows
            # it comes with the first process, and after it Python lets signals through again
            resource_tracker.ensure_running()
            # what a process inherits
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        if mask is not None and hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, answer in answers.items():
            signal.signal(number, answer)
        if came:
            answers[came[0][0]](*came[0])
