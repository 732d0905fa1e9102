"""Hostile command lines: an exit code of the contract, one line for what is wrong, no hang, no memory blow-up."""

from __future__ import annotations

import contextlib
import functools
import time
from collections import Counter
from pathlib import Path
from typing import Any

import hostile
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import numerics.report
from numerics.io.locks import locked
from numerics.verification import counterexamples

#: Words after which much work is what nothing is said about, or another extra is needed.
HEAVY = ("search", "scatter", "images", "cifar10")


def many(share: float) -> Any:
    return settings(
        max_examples=round(share * settings.default.max_examples),
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to write into, with a few files that are not what they seem."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "endless.txt").symlink_to("/dev/zero")
    (tmp_path / "full.csv").symlink_to("/dev/full")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "words.csv").write_text("a,b\n1,2\n", "utf-8")
    (tmp_path / "list.json").write_text('{"sigmas": [3, 2, 1], "betas": "x"}', "utf-8")
    (tmp_path / "grid.txt").write_text("2 1 0\n", "utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop.npy").symlink_to("loop.npy")
    return tmp_path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One section of the report, one family of the search, and its dense grid locked but not computed."""
    from numerics.report.contents import SECTIONS

    def locked_only(folder: Path | str, *_: Any, **__: Any) -> list[Any]:
        with locked(folder):
            return []

    short = [section for section in SECTIONS if section.id == "environment"]
    monkeypatch.setattr(numerics.report, "build", functools.partial(numerics.report.build, sections=short))
    monkeypatch.setattr(
        counterexamples,
        "search",
        functools.partial(counterexamples.search, families=counterexamples.FAMILIES[:1]),
    )
    monkeypatch.setattr(counterexamples, "dense", locked_only)


FILES = (
    *("missing.npy", "endless.txt", "full.csv", "empty.npy", "words.csv", "list.json", "grid.txt", "folder"),
    *(
        "loop.npy",
        "x.svg",
        "x.csv",
        "x.npy",
        "x.json",
        "folder/x.csv",
        "none/x.csv",
        "/dev/null",
        "/proc/self/mem",
    ),
)


def test_the_judge_sees_what_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work and sleep, each in a limit of its own, a loop that swallows every ordinary error, and plain tracebacks."""

    def working(*_: Any) -> int:
        while True:
            with contextlib.suppress(Exception):
                sum(range(10_000))

    def raising(*_: Any) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(hostile, "WAITING", 2.0)
    for run, said in (
        (working, "over 0.2 s"),
        (lambda *_: time.sleep(60.0), "over 0.2 s"),
        (raising, "traceback"),
    ):
        monkeypatch.setattr(hostile, "main", run)
        assert said in hostile.judge([], seconds=0.2).wrong
    monkeypatch.setattr(hostile, "main", lambda *_: 1)
    assert hostile.judge([]).wrong == "exit code 1"
    monkeypatch.setattr(hostile, "main", lambda *_: 2)
    assert hostile.judge([]).wrong == "exit code 2 and not a word"
    monkeypatch.setattr(hostile, "main", lambda *_: len(bytearray(2 * hostile.ROOM)))
    assert "MemoryError" in hostile.judge([]).wrong


def test_every_command_is_here() -> None:
    assert set(hostile.COMMANDS) == {*hostile.RIGHT, *hostile.IMAGES}


@pytest.mark.parametrize("command", [name for name, right in hostile.RIGHT.items() if right is not None])
def test_the_right_lines_are_right(command: str, there: Path, quick: None) -> None:
    """Otherwise the hostile lines, made of them, would test refusals of the wrong thing."""
    found = hostile.judge([*command.split(), *(hostile.RIGHT[command] or "").split()])
    assert found.code == 0 and not found.wrong, found
    assert "\\n" not in found.out  # a newline that was escaped twice


@pytest.mark.long
def test_hostile_lines(there: Path, quick: None) -> None:
    """Of every command some, whatever the seed."""
    drawn: Counter[str] = Counter()

    @many(8.5)
    @given(hostile.lines(FILES, tuple(hostile.RIGHT)))
    def each(line: list[str]) -> None:
        drawn[
            max((name for name in hostile.RIGHT if line[: len(name.split())] == name.split()), key=len)
        ] += 1
        found = hostile.judge(line)
        assert not found.wrong, (line, found.wrong)

    each()
    assert min(drawn[name] for name in hostile.RIGHT) >= 5, drawn


@pytest.mark.parametrize("command", hostile.RIGHT)
def test_every_option_of_every_command(command: str, there: Path, quick: None) -> None:
    """Each on its own, with values that no seed leaves out; the others are right."""
    for line in hostile.singles(command, FILES, settings.default.max_examples // 50):
        found = hostile.judge(line)
        assert not found.wrong, (line, found.wrong)


def test_a_word_of_a_page_s_length_is_said_in_a_line(there: Path) -> None:
    for line in (
        ["a" * 9999],
        ["bound", "--" + "a" * 9999],
        ["bound", "--K", "a" * 9999],
        ["show", "a" * 9999],
    ):
        found = hostile.judge(line)
        assert found.code == 2 and not found.wrong and len(found.err) < 1000, found


@many(0.5)
@given(
    st.lists(st.text(max_size=8) | st.sampled_from((*hostile.COMMANDS, *hostile.WORDS, "--json")), max_size=5)
)
def test_nonsense(there: Path, quick: None, line: list[str]) -> None:
    if any(word.split(" ")[0] in HEAVY for word in line):
        return
    found = hostile.judge(line)
    assert not found.wrong, (line, found.wrong)


#: More of everything than there is memory for, and what the line has to name.
TOO_LARGE = (
    ("bound --process ou --T 2 --K 1e12 --d 3 --m0 1 --L0 2 --mean-norm 0", "K"),
    ("bound --process ou --T 2 --K 1e18 --grid log-lam --d 3 --m0 1 --L0 2 --mean-norm 0", "K"),
    ("bound --process ou --T 2 --K 20 --d 1e12 --m0 1 --L0 1 --mean-norm 0 --theorem published --M1 exact", "d"),
    ("certify --process ou --T 2 --K 1e12 --d 3 --m0 1 --L0 1 --mean-norm 0 --scheme hf", "K"),
    ("verify --process ou --T 2 --K 20 --n 1e12", "n"),
    ("verify --process ou --T 2 --K 20 --d 1e12", "d"),
    ("verify --process ou --T 2 --K 20 --target mixture --d 1e10", "d"),
    ("verify --process ou --T 2 --K 1e12 --target logcosh", "K"),
    ("lower-bound --d 1e12", "d"),
    ("lower-bound --K-to 1e12", "K_to"),
    ("lower-bound --K-to 20 --K-tuned 1e12", "K"),
    ("lower-bound --view gap --d 1e12 --points 1 --u-from 0.1 --u-to 0.1", "d"),
    ("lower-bound --view gap --points 1e12", "points"),
    ("lower-bound --view landscape --points 1e12", "points"),
    ("lower-bound --view landscape --K-to 1e12", "K_to"),
    ("optimal --K 1e12", "K"),
    ("optimal --view clocks --points 1e12", "points"),
    ("choose --data digits --steps 1e12", "steps"),
    ("schedule --process ou --T 2 --K 1e12", "K"),
    ("schedule --process ou --T 2 --K 1e8 --grid edm", "K"),
    ("curve --process ou --points 1e12", "points"),
    ("curve --process ou --to 1e12", "to"),
    ("curve --process ou --against d --from 1e10 --to 1e12 --points 2 --K 5 --target gaussian --n 0", "d"),
    ("curve --process ou --to 100 --target gaussian --n 1e12 --points 2", "n"),
    ("table --d 1e12", "d"),
    ("schemes --d 1e12", "d"),
    ("score-error --process ou --d 1e12", "d"),
    ("score-error --process ou --points 1e12", "points"),
    ("score-error --process ou --to 1e12", "to"),
    ("smoothed --n 1e12 --K 2", "n"),
    ("smoothed --K 1e12", "K"),
    ("search --cells 1e15 --seconds 1", "cells"),
    ("search --view scatter --cells 1e15", "cells"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("line", "named"), TOO_LARGE, ids=[line.split(" ")[0] + f"-{i}" for i, (line, _) in enumerate(TOO_LARGE)]
)
def test_what_cannot_fit_is_refused_before_it_is_allocated(line: str, named: str, there: Path) -> None:
    """Under a limit of half a gigabyte of new memory and a second or so of work."""
    found = hostile.judge(line.split(), seconds=8.0, room=1 << 29)
    assert not found.wrong and found.code == 2, found
    assert f" {named} = " in found.err, found.err
