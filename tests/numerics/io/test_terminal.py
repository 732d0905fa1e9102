"""Text that fits: every cell stays, no line is longer than asked, and nothing changes where there is room."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics.cli import output
from numerics.io import terminal

WORD = st.text("abc", min_size=1, max_size=9)


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.lists(st.lists(WORD, min_size=n, max_size=n), min_size=1, max_size=4)
    ),
    st.integers(12, 60),
)
def test_every_cell_is_there_and_every_line_fits(cells: list[list[str]], width: int) -> None:
    heads = [f"h{i}" for i in range(len(cells[0]))]
    text = terminal.table(heads, cells, width=width)
    assert max(map(len, text.splitlines())) <= width
    words = text.replace(":", " ").split()
    for row in cells:
        for cell in row:
            assert cell in words
    assert terminal.table(heads, cells) == terminal.table(heads, cells, width=1000)


def test_blocks_repeat_the_first_column_and_keep_nameless_ones_with_their_neighbour() -> None:
    heads = ["name", "a long title", "", "another one"]
    cells = [["x", "1", "=", "2"], ["y", "3", ">", "4"]]
    text = terminal.table(heads, cells, ["left", "right", "left", "right"], 28)
    first, second = text.split("\n\n")
    assert first.splitlines()[0].rstrip() == "name      a long title" and first.splitlines()[2].split() == [
        "x",
        "1",
        "=",
    ]
    assert second.splitlines()[0].split() == ["name", "another", "one"]
    assert second.splitlines()[-1].split() == ["y", "4"]


def test_too_narrow_for_two_columns_it_becomes_paragraphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "16")
    lines = output.grid_table(("name", "a long title"), [("x", 1), ("y", 2)]).splitlines()
    assert lines == ["name: x", "a long title: 1", "", "name: y", "a long title: 2"]


def test_prose_is_broken_between_words_and_remarks_hang() -> None:
    assert terminal.wrapped("one two three four", 9) == "one two\n  three\n  four"
    assert terminal.wrapped("  one two three", 12, 4) == "  one two\n      three"
    assert terminal.wrapped("short\n\nalso", 9) == "short\n\nalso"
    assert terminal.wrapped("a long line that stays", None) == "a long line that stays"


def test_a_pipe_gets_long_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("name", 1.0, "a remark that is longer than the terminal")]
    monkeypatch.setenv("COLUMNS", "30")
    assert len(output.aligned(rows).splitlines()) == 1
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    lines = output.aligned(rows).splitlines()
    assert len(lines) == 3 and max(map(len, lines)) <= 30 and lines[1].startswith(" " * 9)
