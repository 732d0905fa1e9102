"""How far a command is, with the time left, on stderr; and what an interrupted one leaves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from numerics.cli.output import WRITTEN, say
from numerics.io.time_left import TimeLeft

Rows = Sequence[Mapping[str, Any]]


class Progress:
    """Called with how many are done, of how many, and what was found: says so every few seconds, and keeps it.

    What was found may say as ``share`` how much of the whole work is done, where the units are not alike.
    """

    def __init__(self, what: str, every: float = 3.0) -> None:
        self.what, self.every = what, every
        self.left = TimeLeft(lambda: time.monotonic())
        self.told = self.left.begun
        self.done = self.total = 0
        self.rows: list[dict[str, Any]] = []

    def __call__(self, done: int, total: int, row: Mapping[str, Any] | None = None) -> None:
        self.done, self.total = done, total
        kept = dict(row or {})
        share = kept.pop("share", done / total if total else 1.0)
        if row is not None:
            self.rows.append(kept)
        left, now = self.left.after(share), time.monotonic()
        if now - self.told >= self.every and done:
            self.told, passed = now, self.left.passed
            say(f"{self.what}: {done} of {total}, {passed:.0f} s passed, about {left:.0f} s left")


def announcing(what: str, total: int) -> Callable[[str], None]:
    """To be called with a name before each of ``total`` parts: says which it is, and the time left."""
    left, done = TimeLeft(lambda: time.monotonic()), 0

    def announce(name: str) -> None:
        nonlocal done
        said = f", about {left.after(done / total):.0f} s left" if done else ""
        say(f"{what} of {name} ({done + 1} of {total}{said})")
        done += 1

    return announce


def steps_watched() -> None:
    """From now on a sum over steps that takes longer than two seconds says how far it is; `main` ends it."""
    from wbound.sampler import grid

    now = Progress("steps", every=2.0)

    def told(done: int, total: int) -> None:
        nonlocal now
        if done <= now.done or total != now.total:  # another sum
            now = Progress("steps", every=2.0)
        now(done, total)

    grid.watch = told


def rows_as_csv(rows: Rows) -> str:
    """Rows as CSV, in the order of their first keys."""
    from numerics.io.writing import csv_text

    names = list(dict.fromkeys(key for row in rows for key in row))
    return csv_text({name: [row.get(name, "") for row in rows] for name in names})


def rows_as_json(rows: Rows) -> str:
    """Rows as one JSON object, which says that it is not everything."""
    from numerics.cli.output import clean

    return json.dumps(clean({"partial": True, "rows": list(rows)}), indent=1, ensure_ascii=False) + "\n"


@contextmanager
def keeping(
    progress: Progress, out: str | None, suffix: str, as_text: Callable[[Rows], str] = rows_as_csv
) -> Iterator[None]:
    """Where the work inside is interrupted, write what was found so far beside ``out`` and have it named."""
    try:
        yield
    except KeyboardInterrupt:
        count = f"{progress.done} of {progress.total}"
        if progress.rows and out is not None:
            from numerics.io.writing import write

            WRITTEN.append(f"{write(f'{out}.partial{suffix}', as_text(progress.rows))} ({count})")
        elif progress.done:
            say(f"{progress.what}: {count} were done; with an output file they would have been kept")
        raise
