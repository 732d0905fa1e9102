"""Every CSV that the program writes parses: a header, and rows of as many cells."""

from __future__ import annotations

import csv
import io
import math
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics.cli.progress import rows_as_csv
from numerics.io.writing import csv_text

CLI = Path(__file__).resolve().parents[3] / "numerics" / "cli"
OU = "--process ou --T 2 --K 4"

#: A line for every command that can write a CSV; FILE is where.
LINES = {
    "curve": "curve --process ou --to 20 --points 2 -o FILE",
    "curve --against T": "curve --process ou --against T --K 9 --from 1 --to 2 --points 2 -o FILE",
    "curve --against eps": "curve --process ou --against eps --from 0.5 --to 1 --points 2 -o FILE",
    "curve --data": "curve --data digits --process ou --to 20 --points 2 -o FILE",
    "audit": "audit --diffusers EDMEulerScheduler --data 1,0.25 --steps 2 --figure FILE",
    "choose": "choose --data 4,1 --steps 3 --process ou --grid uniform --figure FILE",
    "optimal --view clocks": "optimal --view clocks --points 3 -o FILE",
    "lower-bound --view gap": "lower-bound --view gap --points 1 --u-from 0.1 --u-to 0.1 -o FILE",
    "lower-bound --view landscape": "lower-bound --view landscape --points 6 --K-to 5 -o FILE",
    "lower-bound": "lower-bound --K-to 20 -o FILE",
    "peers": "peers --law isotropic --a 0 --K 5 -o FILE",
    "gaussian-errors": "gaussian-errors --data 4,1 --K 5 -o FILE",
    "optimal": "optimal --K 3 --d 2 --figure FILE",
    "schedule": f"schedule {OU} -o FILE",
    "score-error": "score-error --process ou -o FILE",
    "table": "table --derived --theorem sharp --format csv -o FILE",
    "table --f": 'table --derived --f 0 --g "(1+t)**3" --format csv -o FILE',
}
#: The files whose commands these are; those of the report and of images have tests of their own.
FILES = {
    "audit",
    "score_error",
    "choose",
    "complexity",
    "curve",
    "gap",
    "gaussian_errors",
    "lower_bound",
    "optimal",
    "orders",
    "peers",
    "schedule",
}


def parsed(text: str, header: bool = True) -> list[list[str]]:
    """The rows, of equally many cells; a header names each column once."""
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert rows and {len(row) for row in rows} == {len(rows[0])}, text[:400]
    if header:
        assert len(set(rows[0])) == len(rows[0]) and all(rows[0])
    return rows


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_what_commands_write_parses(line: str, tmp_path: Path, wb: Any) -> None:
    if line.startswith("audit"):
        pytest.importorskip("diffusers")
    path = tmp_path / "a.csv"
    code, _, err = wb(*(str(path) if word == "FILE" else word for word in shlex.split(line)))
    assert code == 0, err
    rows = parsed(path.read_text("utf-8"), header=not line.startswith("schedule"))
    assert len(rows) > 1


def test_no_command_is_left_out() -> None:
    writing = {
        p.stem
        for p in CLI.rglob("*.py")
        if re.search(r"csv_text|\bkeep\(|\.csv\b.*help|help=.*\.csv|\"csv\"", p.read_text("utf-8"))
    }
    assert (
        writing - {"progress", "data_options", "option_groups", "target_options", "options", "output"}
        <= FILES
    )


def test_only_one_place_writes_csv() -> None:
    """Nothing in the packages joins cells by commas into lines."""
    for package in ("wbound", "numerics"):
        for path in (CLI.parents[1] / package).rglob("*.py"):
            assert not re.search(r"""(["'])[,;]\1\.join\(""", path.read_text("utf-8")), path


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=8)
cells = st.one_of(
    words,
    st.sampled_from(["a,b", 'say "a"', "two\nlines", "a;b", " ", "1,5", "\r", "'"]),
    st.floats(),
    st.integers(-(10**18), 10**18),
    st.none(),
    st.booleans(),
)


def line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read(cell: str, value: Any) -> None:
    """The cell says the value, to the last digit; a carriage return has become a line's end."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        assert cell == ""
    elif isinstance(value, float):
        assert float(cell) == value
    else:
        assert cell == line_ends(str(value))


@given(st.lists(words, min_size=1, max_size=4, unique=True), st.data())
def test_whatever_stands_in_a_cell_comes_back(names: list[str], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 4))
    columns = {name: data.draw(st.lists(cells, min_size=n, max_size=n)) for name in names}
    rows = list(csv.reader(io.StringIO(csv_text(columns), newline=""), strict=True))
    assert rows[0] == [line_ends(name) for name in names] and len(rows) == n + 1
    for i, row in enumerate(rows[1:]):
        for name, cell in zip(names, row, strict=True):
            read(cell, columns[name][i])
    listed = [{name: columns[name][i] for name in names} for i in range(n)]
    assert rows_as_csv(listed) == csv_text(columns)


def test_arrays_are_written_as_their_numbers() -> None:
    text = csv_text(
        {"x": np.array([1.0, 0.1, math.nan, 1e300]), "n": np.array([1, 2, 3, 4]), "k": ["a,b", "", "c", None]}
    )
    assert text == 'x,n,k\n1,1,"a,b"\n0.1,2,\n,3,c\n1e+300,4,\n'
