"""The command line of certificates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FACTS = ("--process", "vp-linear", "-p", "a=1", "-p", "b=0.1", "--d", "3", "--m0", "0.3", "--L0", "0.3")
WHERE = (*FACTS, "--mean-norm", "0", "--T", "4", "--K", "30", "--scheme", "hf")


def test_a_certificate_is_written_and_rechecked(tmp_path: Path, wb: Any) -> None:
    file = tmp_path / "certificate.json"
    answer = wb.ask("certify", *WHERE, "--eps", "1/10", "-o", str(file))
    assert answer["holds"] is True and answer["bound"]["lower"] > answer["exact"]["upper"]
    # what was typed is kept as typed: 0.1 is 1/10, not the double
    assert (
        answer["inputs"]["parameters"] == {"a": "1", "b": "0.1"} and answer["inputs"]["data"]["m0"] == "0.3"
    )
    assert answer["steps"]["radius"] < 1e-12 and answer["floor"] is None
    assert wb.ask("verify-certificate", str(file))["bits"] > answer["bits"]
    code, out, _ = wb("verify-certificate", str(file))
    assert code == 0 and "proved" in out
    body = json.loads(file.read_text("utf-8"))
    body["inputs"]["T"] = "4.0001"
    file.write_text(json.dumps(body), "utf-8")
    assert "recorded" in wb.refused("verify-certificate", str(file), code=3)
    file.write_text("{", "utf-8")
    assert "JSON" in wb.refused("verify-certificate", str(file))
    file.write_bytes(b"\xff\xfe")
    assert "JSON" in wb.refused("verify-certificate", str(file))
    assert "cannot read" in wb.refused("verify-certificate", str(tmp_path / "none"), code=4)


@pytest.mark.parametrize("grid", ["uniform", "edm"])
def test_bound_certifies_what_it_prints(grid: str, wb: Any) -> None:
    answer = wb.ask("bound", *WHERE, "--grid", grid, "--certify")
    for name in ("bound", "exact"):
        certified = answer["certified"][name]
        value = answer["total" if name == "bound" else "exact"]
        assert abs(value - certified["mid"]) <= certified["radius"] + 1e-11 * certified["mid"]
    code, out, _ = wb("bound", *WHERE, "--grid", grid, "--certify")
    assert code == 0 and "proved" in out


def test_bad_options(wb: Any) -> None:
    assert "bits" in wb.refused("certify", *WHERE, "--bits", "8")
    assert "ddpm" in wb.refused("certify", *WHERE[:-1], "ddim")
    assert "theta" in wb.refused("certify", *WHERE[:-1], "ddpm", "--theta", "-1")
