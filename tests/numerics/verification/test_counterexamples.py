"""The search for counterexamples: what it minimises, that it finds a planted one, and what it stores."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wbound
from numerics.cli.main import main
from numerics.report.blocks import Context
from numerics.report.sections import search as section
from numerics.verification import counterexamples as s
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.exact.gaussian_law import exact_w2
from wbound.sampler.description import Description
from wbound.statement.statement_object import Bound
from wbound.theory.statements import upper_bound

CASE = s.Case("vp-linear", {"a": 1.0, "b": 0.5}, 3.0, 40, 1.5, (0.5, 2.0), (1.0, 0.0))


def test_the_families_are_every_bound_there_is() -> None:
    """Theorem 1, and the sharp bound of every scheme, from p_T and from the prior."""
    assert len(s.FAMILIES) == 26 == len(set(s.FAMILIES))
    assert {f.statement for f in s.FAMILIES} == {"theorem-1", "theorem-2", "theorem-3", "theorem-7"}
    schemes = set(wbound.SCHEMES)
    assert {f.scheme for f in s.FAMILIES if f.theorem == "sharp" and f.start == "exact"} == schemes


def test_a_case_is_what_the_front_door_computes() -> None:
    law = Gaussian(np.array(CASE.mean), np.array(CASE.variances))
    grid = wbound.Grid.from_t(3.0 * (1.0 - np.arange(41) / 40) ** 1.5)
    p = wbound.process("vp-linear", a=1.0, b=0.5)
    bound, exact = s.evaluate(s.Family("sharp", "ei", "exact"), CASE)
    assert bound == wbound.w2_bound(p, law, grid=grid, scheme="ei", start="exact").total
    assert exact == exact_w2(p, law, grid=grid, scheme="ei", start="exact")
    again = s.Case.from_dict(json.loads(json.dumps(CASE.to_dict())))
    assert again == CASE


def test_every_point_of_the_box_is_a_case() -> None:
    rng = np.random.default_rng(1)
    for family in s.FAMILIES[:3]:
        for process in wbound.CATALOGUE:
            box = np.array(s._box(process, family))
            case = s._case(process, (box[:, 0] + box[:, 1]) / 2 + 0.1 * rng.uniform(-1, 1, len(box)), family)
            assert case.T > 0 and case.K >= 1 and all(v > 0 for v in case.variances)
            assert len(case.variances) == len(case.mean)
            assert (case.warp == 1.0) == (family.theorem == "published")


def test_it_finds_a_planted_counterexample(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that loses a tenth is refuted in a moment; the case that is handed back says so again."""
    original = s.upper_bound

    def smaller(theorem: str, scheme: str) -> Any:
        by = original(theorem, scheme)
        return replace(by, evaluate=lambda at: Bound(0.9 * by.evaluate(at).total, *[0.0] * 5, "planted"))

    family = s.Family("sharp", "hf", "prior")
    monkeypatch.setattr(s, "upper_bound", smaller)
    found = s._one(family, 20.0, 0, enough=s.COUNTEREXAMPLE)
    assert found.refutes and found.case is not None and found.evaluations < 2000
    bound, exact = s.evaluate(family, found.case)
    assert bound / exact == pytest.approx(found.ratio) and found.ratio < 1.0
    monkeypatch.undo()
    bound, exact = s.evaluate(family, found.case)
    assert bound >= exact * s.COUNTEREXAMPLE


def test_the_dense_grid_and_its_summary(tmp_path: Path) -> None:
    """A small one: every cell has its row, nothing is below 1, and the stored inputs give the ratio again."""
    rows = s.dense(tmp_path, 1000, jobs=1)
    assert sum(row["cells"] for row in rows) >= 1000
    assert {(row["scheme"], row["start"]) for row in rows if row["theorem"] == "sharp"} == {
        (f.scheme, f.start) for f in s.FAMILIES if f.theorem == "sharp"
    }
    for row in rows:
        assert row["compared"] > 0.2 * row["cells"]
        assert row["ratio"] >= s.COUNTEREXAMPLE, row
    row = next(row for row in rows if row["scheme"] == "hf" and row["start"] == "exact")
    case, spec = row["case"], json.loads(row["case"]["target_parameters"])
    p = wbound.process(case["process"], **json.loads(case["process_parameters"]))
    i = np.arange(case["d"])
    shape = spec["condition"] ** (-i / max(case["d"] - 1, 1)) if "condition" in spec else np.ones(case["d"])
    law = Gaussian(np.full(case["d"], spec["mean"]), spec["variance"] * shape)
    at = {"scheme": "hf", "start": "exact"}
    bound = wbound.w2_bound(p, law, case["T"], case["K"], **at).total
    assert bound / exact_w2(p, law, case["T"], case["K"], **at) == pytest.approx(row["ratio"], rel=1e-9)


def test_the_dense_grid_has_as_many_cells_as_it_is_asked_for() -> None:
    from numerics.sweep.config import read

    for cells in (1000, 30_000, 10**5, 10**6):
        made = sum(read(plan).cells for plan in s.plans(cells).values())
        assert cells <= made <= 2.8 * cells  # the smallest plan has one K: as many cells as schemes


def test_the_command_and_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.json"
    assert main(["search", "--seconds", "1.6", "--jobs", "1", "--json", "--out", str(file)]) == 0
    said = json.loads(capsys.readouterr().out)
    stored = s.parsed(file.read_text(), file.name)
    assert len(stored["search"]) == len(s.FAMILIES) == len(said["search"]) and stored["grid"] == []
    for row in stored["search"]:
        if row["case"] is not None:
            case = s.Case.from_dict(row["case"])
            bound, exact = s.evaluate(s.Family(row["theorem"], row["scheme"], row["start"]), case)
            assert bound / exact == pytest.approx(row["ratio"], rel=1e-9)
    for text in ("{}", "[", '{"format": 1, "search": [{"ratio": "x"}]}'):
        with pytest.raises(BadInput, match="is no results file of wbound search"):
            s.parsed(text, "bad.json")


def test_the_section_of_the_report() -> None:
    """The stored results are what the page shows, none of them below 1, and their cases can be run again."""
    part = section.build(Context({}, True, print))
    assert part.data["below"] == 0 and len(part.data["rows"]) == len(s.FAMILIES)
    assert part.data["ratio"] >= s.COUNTEREXAMPLE and part.data["compared"] > 1000
    for row in section.stored()["search"][::5]:
        family = s.Family(row["theorem"], row["scheme"], row["start"])
        bound, exact = s.evaluate(family, s.Case.from_dict(row["case"]))
        assert bound / exact == pytest.approx(row["ratio"], rel=1e-6)


@pytest.mark.parametrize(
    "typed",
    [["--seconds", "0"], ["--seconds", "nan"], ["--cells", "-1"], ["--cells", "700"], ["--seed", "x"]],
)
def test_bad_options_in_one_line(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--seconds", "1", *typed]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_case_is_a_description() -> None:
    """Its nodes are T(1 − k/K)^warp, its law the case's, from JSON too."""
    family = s.Family("sharp", "hf", "exact")
    described = CASE.described(family)
    made = Description.from_dict(json.loads(json.dumps(described.to_dict())))
    assert made == described and hash(made) == hash(described)
    np.testing.assert_array_equal(made.setting.nodes.t, 3.0 * (1.0 - np.arange(41) / 40) ** 1.5)
    assert s.evaluate(family, CASE)[0] == upper_bound("sharp", "hf")(made.setting).total
