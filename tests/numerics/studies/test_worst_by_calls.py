"""The figure's lines: every sampler above the floor of its class, the phase sampler on it, bounds above the exact law."""

from __future__ import annotations

import csv
import json
import math
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import wbound
from numerics.figures.few_calls import LOOKS, few_calls_figure
from numerics.figures.style import figure_of
from numerics.report import Section, build
from numerics.report.sections import answer, few_calls
from numerics.studies import worst_by_calls as w
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import zolotarev_levels
from wbound.sampler.multistep import multistep_named

FACTS = wbound.LogConcave(d=3, m0=1e-2, L0=4.0, second_moment=100.0, mean_norm=0.0)


def test_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(w, "shipped", lambda *_: {"worst": {"5": 0.5}, "versions": {"diffusers": "0"}})
    found = w.lines_by_calls(FACTS, 1.0, (2, 4, 8), (20, 200))
    lines, kappa = found["lines"], found["kappa"]
    assert kappa == 400.0 and set(lines) == {*LOOKS, "affine"}
    floor = dict(zip(*lines["affine"], strict=True))
    # every whole number of calls: the shaded region claims nothing between two of them
    assert list(floor) == list(range(1, 9)) and floor[4] == wbound.affine_floor(kappa, 4)
    for name in ("hf", "heun", "dpmpp-2m", "ddim", "phase"):
        for K, value in zip(*lines[name], strict=True):
            assert value >= floor[K] * (1 - 2e-3), (name, K)
    for K, value in zip(*lines["phase"], strict=True):
        assert value == pytest.approx(floor[K], rel=2e-3)  # over 121 eigenvalues
    # a search of ranges is at least as good as any range, and 2M's is another sampler's law
    x = np.geomspace(0.25, 100.0, w.POINTS)
    for high, low in ((50.0, 0.1), (20.0, 0.3), (200.0, 0.05)):
        levels = np.append(np.geomspace(high, low, 8), 0.0) ** 2
        law = tape_law(multistep_named("dpmpp-2m").tape(levels), x)
        assert dict(zip(*lines["dpmpp-2m"], strict=True))[8] <= w.worst_of_class(law.variance, x) * 1.02
    assert lines["unipc"] == ([5], [0.5])
    # what applies is finite and falls
    for name in ("theorem-1", "theorem-2"):
        values = lines[name][1]
        assert all(math.isfinite(v) and v > 0 for v in values) and sorted(values, reverse=True) == values
    figure = figure_of(few_calls_figure(found))
    drawn = {text.get_text() for text in figure.findobj(match=lambda a: hasattr(a, "get_text"))}
    assert {label for label, _ in LOOKS.values()} <= drawn


def test_worst_of_class_is_a_maximum() -> None:
    x = np.geomspace(1.0, 1e3, 4001)
    gain = zolotarev_levels(3, 1.0, 1e3).gain(x)
    assert w.worst_of_class(gain**2, x) == pytest.approx(3.17980960e-3, rel=1e-4)
    assert w.worst_of_class(np.array([4.0, 9.0]), np.array([1.0, 4.0])) == 1.0


def test_the_kept_record_is_what_is_run() -> None:
    """One row again, where diffusers is there; and the record is of the digits of the report."""
    kept = json.loads(resources.files("numerics.studies").joinpath("results", w.KEPT).read_text("utf-8"))
    assert set(kept["worst"]) == {str(K) for K in w.SHIPPED_CALLS} and kept["versions"]["diffusers"]
    pytest.importorskip("diffusers")
    again = w.as_shipped(kept["scale"], kept["kappa"], kept["a"], 10)
    assert again == pytest.approx(kept["worst"]["10"], rel=1e-5)


def test_without_the_library_the_record_stands_for_these_data_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from numerics.recorders.scheduler_source import Missing

    def missing(*_: object) -> float:
        raise Missing("diffusers is not installed")

    monkeypatch.setattr(w, "as_shipped", missing)
    kept = json.loads(resources.files("numerics.studies").joinpath("results", w.KEPT).read_text("utf-8"))
    assert w.shipped(kept["kappa"], kept["a"], kept["scale"])["worst"] == kept["worst"]
    assert w.shipped(kept["kappa"], kept["a"], 1.0)["worst"] == {}


def test_the_record_stands_while_its_versions_are_the_installed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = json.loads(resources.files("numerics.studies").joinpath("results", w.KEPT).read_text("utf-8"))
    about, calls = (kept["kappa"], kept["a"], kept["scale"]), []
    monkeypatch.setattr(w, "as_shipped", lambda scale, kappa, a, K: calls.append(K) or 0.25)
    monkeypatch.setattr(w, "_installed", kept["versions"].get)
    assert w.shipped(*about) == kept and calls == []
    monkeypatch.setattr(w, "version", lambda name: "9.9")
    monkeypatch.setattr(w, "_installed", lambda name: "9.9")
    assert set(w.shipped(*about)["worst"].values()) == {0.25} and calls == list(w.SHIPPED_CALLS)
    calls.clear()
    monkeypatch.setattr(w, "_installed", kept["versions"].get)
    assert set(w.shipped(about[0], about[1], 1.0)["worst"].values()) == {0.25} and calls


def test_the_section(tmp_path: Path) -> None:
    """On a page of its own, with the answer that shows its figure: numbers as in the JSON, a long CSV of the lines."""
    shown = (Section("answer", "Answer", answer.build), Section("few-calls", "Few calls", few_calls.build))
    page = build(tmp_path, quick=True, sections=shown)
    assert "<svg" in page.read_text("utf-8")
    data = json.loads((tmp_path / "report.json").read_text("utf-8"))["few-calls"]
    assert data["K"] == 10 and data["phase"] < 1e-5 < 1e-2 < data["ddim"]
    rows = list(csv.DictReader((tmp_path / "few-calls.csv").read_text("utf-8").splitlines()))
    assert {row["line"] for row in rows} >= {"affine", "phase", "dpmpp-2m", "theorem-2"}
    assert (tmp_path / "few-calls-table.csv").is_file()
