"""The three-column table: stored results, formats, orders and tolerance on the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import wbound
from numerics.tables import orders
from wbound.complexity.orders_table import ROWS, order_rows
from wbound.complexity.tolerance_search import score_tolerance


@pytest.fixture(scope="module")
def rows() -> Any:
    return order_rows([wbound.process(name) for name in ("ve-constant", "vp-linear", "optimal")])


def test_stored_results_are_of_every_row_and_agree_with_what_is_derived() -> None:
    stored = orders.load()
    assert stored["renew"] == orders.RENEW
    names = [wbound.process(name).name for name in ROWS]
    assert [(r["process"], r["theorem"]) for r in stored["rows"]] == [
        (name, theorem) for name in names for theorem in ("published", "sharp")
    ]
    for row in stored["rows"]:
        assert row["measured"]["agree"] and row["measured"]["gap"] <= 0.05
        if row["theorem"] == "sharp":  # √d/ε × T(ε)
            assert row["measured"]["derived"]["K_eps"] == pytest.approx(
                row["measured"]["derived"]["T_eps"] - 1.0
            )
    eps = [point["eps"] for point in stored["rows"][0]["measured"]["points"]]
    assert max(eps) / min(eps) >= 1e4
    derived = {(r.process, r.theorem): orders.record(r) for r in order_rows()}
    for row in stored["rows"]:
        fresh = derived[row["process"], row["theorem"]]
        assert row["cells"] == fresh["cells"] and row["T"] == fresh["T"]
    first = [r for r in stored["rows"] if r["theorem"] == "published" and r["cells"]["K"]["published"]]
    assert len(first) == 8 and all(r["cells"]["K"]["powers_agree"] for r in first)
    assert sum(r["cells"]["K"]["verdict"] == "agrees" for r in first) >= 7
    assert all(r["cells"]["K"]["footnote"] for r in first if r["cells"]["K"]["verdict"] != "agrees")


def test_every_format(rows: Any) -> None:
    text = orders.columns_text(rows, "text")
    assert "Theorem 1" in text and "Theorem 2" in text and "[1]" in text and "< needed" in text
    narrow = orders.columns_text(rows, "text", 100)
    tables = [line for line in narrow.splitlines() if line.startswith(("ve-", "vp-", "process", "--"))]
    assert max(map(len, tables)) <= 100 < max(map(len, text.splitlines()[:8])) and "M, derived" in narrow
    parsed = list(csv.DictReader(orders.columns_text(rows, "csv").splitlines()))
    assert parsed[0]["process"] == "ve-constant" and parsed[0]["K_derived"] == "d^(3/2)/ε^3"
    latex = orders.columns_text(rows, "latex")
    assert r"\toprule" in latex and r"\frac{\varepsilon}" in latex
    counts = {line.count("&") for line in latex.splitlines() if line.endswith(r"\\")}
    assert counts == {5}
    assert orders.columns_text(rows, "markdown").startswith("| process |")


def test_the_table_of_orders_with_ones_own_row(
    wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wbound.complexity.orders_table.ROWS", ("ou",))
    out = wb.ask("table", "--derived", "--f", "0", "--g", "(1+t)**3")
    assert [row["process"] for row in out["rows"]] == ["ou", "ou", "user", "user"]
    assert out["rows"][2]["cells"]["K"]["derived"] == "d**(15/14)/epsilon**(15/7)"
    assert out["rows"][3]["cells"]["K"]["derived"] == "d**(4/7)/epsilon**(8/7)"
    path = tmp_path / "orders.json"
    code, _, _ = wb("table", "--derived", "--theorem", "sharp", "--format", "json", "-o", str(path))
    assert code == 0 and json.loads(path.read_text("utf-8"))["rows"][0]["process"] == "ou"
    assert "eps" in wb.refused("table", "--derived", "--eps", "0.1")
    assert "--derived" in wb.refused("table", "--process", "ou")
    assert "theorem" in wb.refused("table", "--derived", "--theorem", "third")


def test_orders_measured_and_side_by_side(wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    out = wb.ask("orders", "--process", "vp-exponential", "--theorem", "both", "--measured")
    assert [row["measured"]["agree"] for row in out["rows"]] == [True, True]
    assert out["rows"][1]["measured"]["K_eps"] == pytest.approx(-1.0, abs=0.05)
    assert (tmp_path / "wbound" / "measured.json").is_file()
    code, text, _ = wb("orders", "--process", "ve-constant", "--theorem", "both")
    assert code == 0 and "> needed" in text


def test_tolerance_is_the_library_s(wb: Any) -> None:
    facts = ["--d", "10", "--m0", "1", "--L0", "1", "--mean-norm", "0"]
    data = wbound.LogConcave(10, 1.0, 1.0, 10.0, 0.0)
    for theorem in ("published", "sharp"):
        out = wb.ask("tolerance", "--process", "ve-constant", "--eps", "0.1", *facts, "--theorem", theorem)
        assert out["M"] == score_tolerance(wbound.process("ve-constant"), data, 0.1, theorem=theorem)
        assert out["order"] == "epsilon/log(sqrt(d)/epsilon)" and out["verdict"] == "insufficient"
    ode = wb.ask("tolerance", "--process", "ve-constant", "--eps", "0.1", *facts, "--scheme", "ddim")
    assert ode["M"] == score_tolerance(wbound.process("ve-constant"), data, 0.1, scheme="ddim") < out["M"]
    assert ode["order"] == "epsilon**(3/2)/d**(1/4)" and "SDE" in ode["null_because"]["published"]
    _, text, _ = wb("tolerance", "--process", "ou", "--eps", "0.1", *facts, "--scheme", "ddim")
    assert "Theorem 3" in text and "published" not in text
    _, text, _ = wb("orders", "--process", "ve-sqrt", "--theorem", "sharp", "--scheme", "ode-hf")
    assert text.startswith("Theorem 3: K ≍ d/epsilon**2")
    # below it some K works, above it none does
    common = ["iterations", "--process", "ve-constant", "--eps", "0.1", *facts, "--scheme", "hf"]
    assert wb.ask(*common, "--score-bias", repr(0.9 * out["M"]))["K"] > 0
    wb.refused(*common, "--score-bias", repr(1.1 * out["M"]))
    assert "share" in wb.refused("tolerance", "--process", "ou", "--eps", "0.1", *facts, "--share", "2")
