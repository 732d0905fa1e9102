"""What a command does while it says nothing: after two silent seconds, which it is and for how long it has run.

Whatever says more by itself goes first: each line of `numerics.cli.output.say`, and every bar, ends the silence.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from typing import Any, TextIO

from numerics.cli import output

__all__ = ["ELSEWHERE", "PATIENCE", "Pulse"]

#: Silent seconds on a terminal before it is said that the command runs, then one line that is written anew.
PATIENCE = 2.0
#: The same where standard error is a file or a pipe: a line, and the next after twice as long.
ELSEWHERE = 10.0
#: Seconds between two looks.
TICK = 0.2
#: To the line's begin, and erase to its end.
ERASE = "\r\x1b[K"


class Pulse:
    """Around a command: a thread says on stderr that it still runs, and for how long. None under --quiet.

    what: its name; patience, elsewhere: `PATIENCE` and `ELSEWHERE`, infinite for never.
    """

    def __init__(self, what: str, patience: float | None = None, elsewhere: float | None = None) -> None:
        self.what, self.stream = what, sys.stderr
        self.terminal = _is_terminal(self.stream)
        given, default = (patience, PATIENCE) if self.terminal else (elsewhere, ELSEWHERE)
        mine = threading.current_thread() is threading.main_thread()  # streams are one for all threads
        self.patience = (default if given is None else given) if mine else math.inf
        self.ended, self.lock, self.shown = threading.Event(), threading.Lock(), False

    def __enter__(self) -> Pulse:
        self.begun = self.heard = time.monotonic()
        self.streams = sys.stdout, sys.stderr
        if math.isfinite(self.patience):
            if self.terminal:
                sys.stdout, sys.stderr = (_Heard(stream, self) for stream in self.streams)
            else:
                sys.stderr = _Heard(self.stream, self)
            threading.Thread(target=self._run, daemon=True, name="pulse").start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        sys.stdout, sys.stderr = self.streams
        self.clear()

    def clear(self) -> None:
        """Somebody speaks: take the line away, and count the silence anew."""
        with self.lock:
            self.heard = time.monotonic()
            if self.shown:
                self.shown = False
                self._write(ERASE)

    def _run(self) -> None:
        wait = self.patience
        while not self.ended.wait(min(TICK, self.patience)):
            now = time.monotonic()
            if output.QUIET or now - self.heard < wait or _bars():
                continue
            with self.lock:
                if self.ended.is_set():
                    return
                said = f"{self.what}: {now - self.begun:.0f} s"
                if self.terminal:
                    self.shown = True
                    self._write(f"{ERASE}{said} (Ctrl-C stops it)")
                else:
                    self.heard, wait = now, 2.0 * wait
                    self._write(f"{said}\n")
            if self.terminal and self.ended.wait(1.0 - min(TICK, self.patience)):
                return

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):  # nobody reads it any more
            self.ended.set()


class _Heard:
    """A stream that takes the line away before it is written to."""

    def __init__(self, stream: TextIO, pulse: Pulse) -> None:
        self._stream, self._pulse = stream, pulse

    def write(self, text: str) -> int:
        self._pulse.clear()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def _bars() -> bool:
    """Whether a bar of tqdm is on."""
    tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
    return any(not bar.disable for bar in tuple(getattr(tqdm, "_instances", ())))
