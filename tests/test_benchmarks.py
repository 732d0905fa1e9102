"""benchmarks/run.py: what it flags, what it keeps, and that it measures every script beside it."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def run() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_run", FOLDER / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_flags_what_is_over_30_percent_worse(run: Any) -> None:
    small, large = run.Claim("a", "x", "y", 1.0), run.Claim("a", "z", "y", 1.0, "at least")
    assert run.flagged([small, large], {small.key: 1.0 / 1.29, large.key: 1.29}) == []
    assert run.flagged([small, large], {small.key: 1.0 / 1.31, large.key: 1.31}) == [small.key, large.key]
    assert run.flagged([small, large], {small.key: 5.0, large.key: 0.2}) == []  # better is not worse
    assert run.flagged([small], {}) == []


def test_a_claim_is_met_on_its_side(run: Any) -> None:
    assert run.Claim("a", "x", "y", 1.0, "at most", 1.0).met
    assert not run.Claim("a", "x", "y", 1.01, "at most", 1.0).met
    assert not run.Claim("a", "x", "y", 0.99, "at least", 1.0).met
    assert run.Claim("a", "x", "y", 1e9).met


def test_a_run(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kept, compared, measured again where it looks worse, and said."""
    ratios = iter([1.0, 2.0, 1.1, 2.0, 2.0])
    monkeypatch.setattr(
        run, "FAMILIES", {"a": lambda quick: [run.Claim("a", "x", "y", next(ratios), asked=1.5)]}
    )
    monkeypatch.setattr(run, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(run.read_kept, "__defaults__", (tmp_path / "results.json",))
    assert run.main(["--keep", "--strict"]) == 0
    assert json.loads((tmp_path / "results.json").read_text())["claims"][0]["ratio"] == 1.0
    assert run.main(["--check"]) == 0  # 2.0, and 1.1 when measured again: missed, but not flagged
    text = capsys.readouterr().out
    assert "MISSED: a: x / y" in text and "WORSE" not in text
    assert run.main(["--check", "--strict"]) == 1
    assert "WORSE by over 30 % than kept: a: x / y (1 kept)" in capsys.readouterr().out


def test_every_script_is_part_of_the_one_command(run: Any) -> None:
    tree = ast.parse((FOLDER / "run.py").read_text("utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    scripts = {path.stem for path in FOLDER.glob("*.py")} - {"run"}
    assert scripts <= imported


def test_the_kept_results_are_of_this_command(run: Any) -> None:
    rows = json.loads((FOLDER / "results.json").read_text("utf-8"))
    assert {row["family"] for row in rows["claims"]} == set(run.FAMILIES)
    assert rows["environment"]["date"]
