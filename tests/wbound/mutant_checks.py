"""The tests that must notice a mutant, run without pytest, and what they need computed once for all mutants."""

from __future__ import annotations

import fnmatch
import functools
import importlib
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import mpmath as mp
import pytest
import referee

Check = Callable[[], None]

# The tests of a room lie in its folder, and their names are all different; those of numerics' rooms come after.
for rooms in (Path(__file__).resolve().parent, Path(__file__).resolve().parents[1] / "numerics"):
    sys.path += [str(f) for f in sorted(rooms.iterdir()) if f.is_dir()]


def _cases(test: FunctionType) -> Iterator[dict[str, Any]]:
    """The arguments of each of a parametrised test's cases."""
    axes = []
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            names = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
            rows = [v if len(names) > 1 else (v,) for v in mark.args[1]]
            axes.append([dict(zip(map(str.strip, names), row, strict=True)) for row in rows])
    for combination in itertools.product(*axes):
        yield {name: value for part in combination for name, value in part.items()}


def tests_of(files: str) -> dict[str, Check]:
    """The tests of some files that need no fixture but monkeypatch, by name; random searches and deep ones are left out."""
    out: dict[str, Check] = {}
    for file in files.split():
        for name, test in vars(importlib.import_module(file)).items():
            if not (name.startswith("test_") and isinstance(test, FunctionType)):
                continue
            marks = {m.name for m in getattr(test, "pytestmark", [])}
            if hasattr(test, "hypothesis") or "deep" in marks or "compiled" in name:
                continue
            for i, case in enumerate(_cases(test)):
                needed = set(inspect.signature(test).parameters) - set(case)
                if needed <= {"monkeypatch"}:
                    label = f"{file}.{name}" + (f"[{i}]" if case else "")
                    check = functools.partial(test, **case)
                    out[label] = functools.partial(_patching, check) if needed else check
    return out


def _patching(test: Callable[..., None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        test(monkeypatch=patch)


def _same(x: Any) -> str:
    """A key by value: a plain process by its name and parameters, anything else by its text."""
    return f"{x.name} {x.made!r}" if isinstance(x, referee.Plain) else repr(x)


def remember(module: ModuleType, name: str) -> None:
    """What the referee computes in 30 digits does not depend on a mutant: it is computed once."""
    original, known = getattr(module, name), {}  # type: ignore[var-annotated]

    @functools.wraps(original)
    def memo(*args: Any, **options: Any) -> Any:
        key = (mp.mp.dps, *map(_same, args), *((k, _same(v)) for k, v in options.items()))
        if key not in known:
            known[key] = original(*args, **options)
        return known[key]

    setattr(module, name, memo)


def place(name: str, patterns: list[str]) -> tuple[bool, int, int]:
    """Where a test stands: those of the short list first, of a test's many cases four and every seventh, which is
    enough to notice most; the first case of each before the second of any."""
    case = int(name.rstrip("]").partition("[")[2] or 0)
    at = next((i for i, pattern in enumerate(patterns) if fnmatch.fnmatch(name, pattern)), len(patterns))
    return at == len(patterns) or (case > 3 and case % 7 != 0), case, at
