"""wbound schemes: SDE or ODE, on the command line and in the stored results that the report shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import wbound
from numerics.report.sections.sde_or_ode import stored


def test_the_rows_are_the_librarys(wb: Any, tmp_path: Path) -> None:
    path = tmp_path / "schemes.json"
    given = ("--d", "2,3", "--eps", "1/2", "--process", "ou", "--scheme", "hf, ddim,heun")
    got = wb.ask("schemes", *given, "-o", str(path))
    frame = wbound.scheme_table([2, 3], 0.5, schemes=["hf", "ddim", "heun"], processes=["ou"])
    assert [row["d"] for row in got["rows"]] == [2, 3] and got["out"] == str(path)
    for row, want in zip(got["rows"], frame.to_dict("records"), strict=True):
        assert row == {key: None if value is None else value for key, value in want.items()}
    assert got["rows"][0]["K_bound_heun"] > got["rows"][0]["K_exact_heun"]
    kept = json.loads(path.read_text("utf-8"))
    assert kept["rows"] == got["rows"] and kept["schemes"] == ["hf", "ddim", "heun"]
    code, out, _ = wb("schemes", *given)
    assert code == 0 and "heun, exact" in out and "ODE gain, bound" in out and "heun, bound" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--d", "2.5"), "d = 2.5"),
        (("--d", "2", "--eps", "0"), "eps = 0"),
        (("--d", "2", "--scheme", "hf,rk4"), "scheme = rk4"),
        (("--d", "2", "--process", "brown"), "process = brown"),
        (("--d", "1"), "d = 1"),
        (("--d", "2", "--m0", "2"), "m0 = 2"),
    ],
)
def test_bad_input(wb: Any, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = wb("schemes", *arguments)
    assert code == 2 and out == "" and said in err.splitlines()[-1]


def test_stored_results_are_those_of_today() -> None:
    """A cell of each kind is made again; d and ε count through ε/√d alone."""
    found = stored()
    rows = {(r["process"], r["d"], r["eps"]): r for r in found["rows"]}
    assert len(rows) == 8 * 2 * 3 and found["schemes"] == list(wbound.SCHEMES)
    for name, d, eps in (("vp-linear", 10, 1.0), ("ve-sqrt", 10, 0.1)):
        fresh = wbound.scheme_table(d, eps, found["m0"], found["L0"], processes=[name])
        assert {k: v for k, v in fresh.iloc[0].items() if k != "d"} == {
            k: v for k, v in rows[name, d, eps].items() if k != "d"
        }
    for name in wbound.PUBLISHED:
        small, large = rows[name, 10, 0.1], rows[name, 1000, 1.0]
        assert all(large[k] == v for k, v in small.items() if k.startswith("K_"))
    for row in found["rows"]:
        for s in wbound.SCHEMES:
            assert row[f"K_bound_{s}"] >= row[f"K_exact_{s}"]
