"""K(ε) along ε: the library's own counts, in their order, with the powers of the theory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wbound
from numerics.studies.steps_needed import steps_curve
from wbound.data.log_concave import LogConcave

DATA = LogConcave(3, 0.5, 0.5, 6.0, 0.0)
EPS = [0.3, 0.1, 0.03]


@pytest.mark.parametrize("scheme", ["hf", "em", "ddim"])
def test_the_counts_are_the_library_s_and_in_order(scheme: str) -> None:
    p = wbound.process("vp-linear")
    curve = steps_curve(p, DATA, EPS[::-1], scheme=scheme, M1="exact")
    sharp = "theorem_3" if scheme == "ddim" else "theorem_2"
    assert list(curve.columns()) == ["eps", "theorem_1", sharp, "exact", "lower"]
    assert curve.at.tolist() == EPS
    values = {line.key: line.values for line in curve.lines}
    for i, eps in enumerate(EPS):
        sharp_answer = wbound.iterations(p, DATA, eps, scheme=scheme)
        assert values[sharp][i] == sharp_answer.K and curve.facts["T"][sharp][i] == sharp_answer.T
        assert values["exact"][i] == wbound.exact_iterations(p, DATA, eps, scheme=scheme).K
        hf = wbound.exact_iterations(p, DATA, eps, scheme="hf")
        floor = wbound.lower_bound(3, math.sqrt(2.0), eps, float(p.lam(hf.T)))
        assert values["lower"][i] == floor.steps <= hf.K
    assert (values["theorem_1"] > values[sharp]).all() and (values[sharp] >= values["exact"]).all()
    assert "lower" not in curve.facts["T"]


def test_powers_of_eps() -> None:
    curve = steps_curve(
        wbound.process("ve-constant"), DATA, np.geomspace(1e-6, 1e-8, 5), scheme="hf", M1="exact"
    )
    slopes = {line.key: line.slope for line in curve.lines}
    assert slopes["theorem_1"] == pytest.approx(-3.0, abs=0.02)
    # centred data: the start's error falls as λ(T)^(-3/2) (Eq. 8), so T ≍ ε^(-2/3) and K ≍ T/ε
    assert slopes["theorem_2"] == pytest.approx(-5.0 / 3.0, abs=0.02)


def test_what_is_not_known_or_not_reached_says_so() -> None:
    rough = LogConcave(3, 0.5, 1.0, 6.0, 0.0)
    p = wbound.process("ou")
    curve = steps_curve(p, rough, EPS, scheme="hf")
    assert [line.key for line in curve.lines] == ["theorem_2"] and "Gaussian" in curve.refusals["exact"]
    biased = steps_curve(p, DATA, [1.0, 0.001], scheme="hf", score_bias=0.05)
    line = biased.line("theorem_2")
    assert line is not None and line.values[0] > 0 and math.isnan(line.values[1]) and "floor" in line.reason
    assert "bias" in biased.refusals["exact"]
    fixed = steps_curve(p, DATA, [0.5], T=4.0, scheme="hf")
    assert fixed.facts["T"]["theorem_2"].tolist() == [4.0]
    with pytest.raises(wbound.BadInput, match="eps"):
        steps_curve(p, DATA, [0.1, -1.0])


def test_the_command(wb: Any, tmp_path: Path) -> None:
    given = ["curve", "--process", "ou", "--against", "eps", "--from", "0.1", "--to", "1", "--points", "3"]
    out = wb.ask(*given)
    assert out["against"] == "eps" and out["eps"][0] == 1.0 and len(out["eps"]) == 3
    p = wbound.process("ou")
    assert out["theorem_2"][1] == wbound.iterations(p, DATA, out["eps"][1], scheme="hf").K
    assert out["slopes"]["theorem_2"] < -0.5
    file = tmp_path / "steps.csv"
    code, text, err = wb(*given, "-o", str(file))
    assert code == 0 and "steps for 3 values" in err
    head, *rows = file.read_text("utf-8").splitlines()
    assert head == "eps,theorem_1,theorem_2,exact,lower" and len(rows) == 3
    assert f"{int(out['theorem_1'][-1]):,}".replace(",", "\u202f") in text and "power" in text
    refused = wb.refused(*given, "--K", "10")
    assert "K" in refused and "eps" in refused
    assert "M" in wb.refused("curve", "--process", "ou", "--against", "epsilon")
