"""The gap, the landscape, the side by side: nothing below the floor, and what section 7 promises."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wbound
from numerics.figures import output, schedules, style
from numerics.schedules.grid_comparison import side_by_side
from numerics.studies.exact_over_horizons import Landscape, landscape
from numerics.studies.gap import Gap, gap_closed
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput
from wbound.exact.gaussian_law import exact_w2


@pytest.fixture(scope="module")
def gap() -> Gap:
    return gap_closed(np.geomspace(0.1, 1e-3, 3))


def test_nothing_is_below_the_floor_and_the_optimal_clock_reaches_it(gap: Gap) -> None:
    for line in gap.lines:
        assert (gap.over_floor(line.key) >= 1.0).all(), line.key
    # the limit of the floor is 2(1 − ϱ)², u → 0
    assert gap.floor == pytest.approx(4.0 * (1.0 - gap.varrho) ** 2 / (2.0 + gap.u), rel=1e-12)
    assert gap.over_floor("gaussian")[-1] < 1.003
    assert gap.over_floor("optimal")[-1] < 9.0 / 8.0
    assert (gap.over_floor("theorem_2") < 1.5).all()
    assert gap.over_floor("theorem_1")[-1] > 1e4


def test_the_steps_are_the_least(gap: Gap) -> None:
    law = Gaussian(np.zeros(gap.d), gap.sigma0**2)
    for name in ("ou", "ve-sqrt"):
        p = wbound.process(name)
        for i in range(gap.u.size):
            T = float(p.time_of(math.log(gap.lam_T[i])))
            eps = gap.u[i] * gap.sigma0 * math.sqrt(gap.d)
            K = int(gap.line(name).K[i])
            at = {"T": T, "scheme": "hf", "start": "exact"}
            assert exact_w2(p, law, K=K, **at) <= eps < exact_w2(p, law, K=K - 1, **at)


def test_the_prior_start_adds_the_share_that_is_said(gap: Gap) -> None:
    p, law = wbound.process("ou"), Gaussian(np.zeros(gap.d), gap.sigma0**2)
    i = gap.u.size - 1
    T = float(p.time_of(math.log(gap.lam_T[i])))
    # the steps widen the output, the start narrows it by more
    wide, narrow = (exact_w2(p, law, T=T, K=10**6, scheme="hf", start=s) for s in ("exact", "prior"))
    eps = gap.u[i] * gap.sigma0 * math.sqrt(gap.d)
    assert wide + narrow == pytest.approx(0.01 * eps, rel=1e-3)


# ---------------------------------------------------------------------- the landscape


@pytest.fixture(scope="module")
def land() -> Landscape:
    return landscape(
        wbound.process("vp-linear"),
        np.geomspace(0.5, 4.0, 60),
        [1, 3, 10, 50, 200],
        d=3,
        sigma0=math.sqrt(2.0),
    )


def test_the_cells_are_the_exact_law(land: Landscape) -> None:
    law = Gaussian(np.zeros(3), 2.0)
    for i, j in ((0, 5), (2, 30), (4, 59)):
        at = {"T": float(land.T[j]), "K": int(land.K[i]), "scheme": "hf"}
        assert land.prior[i, j] == pytest.approx(exact_w2(land.process, law, start="prior", **at), rel=1e-9)
        assert land.exact[i, j] == pytest.approx(exact_w2(land.process, law, start="exact", **at), rel=1e-9)
    assert (land.exact >= land.floor).all() and (land.prior < land.floor).any()


def test_the_zero_curve_and_what_survives(land: Landscape) -> None:
    law = Gaussian(np.zeros(3), 2.0)
    assert np.isfinite(land.zero_T).all() and (np.diff(land.zero_T) > 0.0).all()
    for K, T in zip(land.K, land.zero_T, strict=True):
        assert exact_w2(land.process, law, T=float(T), K=int(K), scheme="hf") < 1e-6
    assert land.survives >= 1.0 > land.naive
    with pytest.raises(BadInput):
        landscape(land.process, [2.0, 1.0], [3])


# ---------------------------------------------------------------------- side by side


def test_lanes_are_the_library_s_grids() -> None:
    data = LogConcave(3, 1.0, 1.0, 3.0, 0.0)
    found = side_by_side(data, 12, 200.0, objective="exact")
    gaps, best = wbound.grid_gaps(wbound.process("ou"), data, found_T("ou", 200.0), 12, objective="exact")
    for one in gaps:
        name = "ou" if one.grid == "uniform" else one.grid
        assert found.lane(name).exact == pytest.approx(one.value, rel=1e-9)
    assert found.lane("numerical").exact == pytest.approx(best.value, rel=1e-9)
    assert found.floor is not None and all(lane.exact >= found.floor for lane in found.lanes if lane.exact)
    assert found.lanes[0].name == "numerical" and found.lanes[0].factor == 1.0
    mixed = side_by_side(LogConcave(3, 0.5, 2.0, 4.0, 0.0), 6, 100.0)
    assert all(lane.exact is None and lane.theorem_2 is not None for lane in mixed.lanes)
    assert mixed.floor is None


def found_T(name: str, lam_T: float) -> float:
    return float(wbound.process(name).time_of(math.log(lam_T))[()])


# ---------------------------------------------------------------------- figures and commands


def test_figures_are_drawn_and_say_what_leaves(gap: Gap, land: Landscape) -> None:
    keys = [line.key for line in gap.lines if line.key != "theorem_1"]
    figure = style.figure_of(schedules.gap_figure(gap, keys, over=True))
    said = [text.get_text() for text in figure.axes[0].texts]
    assert "ve-exponential, ou" in said and any(text.startswith("ve-constant, to ") for text in said)
    nodes = schedules.nodes_figure(side_by_side(LogConcave(1, 1.0, 1.0, 1.0, 0.0), 5, 50.0), "column")
    processes = [wbound.process(name) for name in (*wbound.PUBLISHED, "optimal")]
    clocks = schedules.clock_figure(processes, math.log(1e3), 1.0)
    for one in map(style.figure_of, (figure, schedules.landscape_figure(land), nodes, clocks)):
        assert output.svg(one, "x").startswith("<svg")
        # a label outside the canvas would be cut
        box = one.get_tightbbox()
        width, height = one.get_size_inches()
        assert box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02


def test_images_have_the_colour_of_their_kin() -> None:
    for image, kin in style.KIN.items():
        assert image in wbound.NAMED and style.colour(image) == style.COLOURS[kin]
    assert schedules.BEST not in style.COLOURS.values() and schedules.GIVEN not in style.COLOURS.values()


GAP, LANDSCAPE = (("lower-bound", "--view", name) for name in ("gap", "landscape"))


def test_gap_and_landscape_commands(wb: Any, tmp_path: Path) -> None:
    out = wb.ask(*GAP, "--points", "2", "--u-to", "0.02", "--figure", str(tmp_path / "g.svg"), "--over")
    rows = {row["key"]: row for row in out["rows"]}
    assert (
        all(min(row["over_floor"]) >= 1.0 for row in rows.values()) and rows["theorem_1"]["kind"] == "upper"
    )
    code, text, _ = wb(*GAP, "--points", "1", "--u-to", "0.1")
    assert code == 0 and "floor (Eq. 12)" in text
    small = [*LANDSCAPE, "--points", "12", "--K-to", "50", "--sigma0", "2**0.5"]
    out = wb.ask(*small, "-o", str(tmp_path / "l.csv"))
    assert out["survives"] >= 1.0 > out["naive"] and out["exact_over_floor"] >= 1.0 and out["zero"]["T"]
    code, text, _ = wb(*small, "--figure", str(tmp_path / "l.svg"))
    assert code == 0 and "survives" in text
    assert "u_to" in wb.refused(*GAP, "--u-to", "1e-9")
    assert "T-from" in wb.refused(*LANDSCAPE, "--T-from", "3", "--T-to", "2")


def test_lower_bound_says_its_kind_and_the_leading_constants(wb: Any) -> None:
    out = wb.ask("lower-bound", "--K-to", "1e3")
    assert out["kind"] == "lower" and [row["kind"] for row in out["leading"]] == ["order"] * 4
    # 1e-3 at K = 10⁶, vp-linear
    p, T = wbound.process("vp-linear"), 4.0
    out = wb.ask(
        "lower-bound", "--scheme", "ei", "--T", "4", "--sigma0", "2**0.5", "--d", "1", "--K-to", "1e6"
    )
    assert out["kind"] == "order"
    (row,) = out["leading"]
    assert row["w2_times_K"][-1] == pytest.approx(row["constant"], rel=1e-3)
    own = wbound.leading_constants(p, Gaussian(np.zeros(1), 2.0), T, scheme="ei")
    assert row["constant"] == pytest.approx(own.constant, rel=1e-12)
    # em crosses zero from the exact start: no lower bound
    (em,) = wb.ask(
        "lower-bound", "--scheme", "em", "--T", "2.8418", "--sigma0", "2**0.5", "--d", "1", "--K-to", "100"
    )["leading"]
    assert em["w2"][0] < 1e-6 < em["w2"][1]
    # anisotropic: the squares add up
    many = wb.ask("lower-bound", "--variances", "4,1,0.25", "--process", "ou", "--T", "4", "--K-to", "100")
    alone = [
        wb.ask("lower-bound", "--variances", v, "--process", "ou", "--T", "4", "--K-to", "100")["leading"][0]
        for v in ("4,4", "1,1", "0.25,0.25")
    ]
    total = math.sqrt(sum(row["constant"] ** 2 / 2.0 for row in alone))
    assert many["leading"][0]["constant"] == pytest.approx(total, rel=1e-9)
    assert "figure" in wb.refused("lower-bound", "--scheme", "em", "--figure", "x.svg")
    assert "start" in wb.refused("lower-bound", "--scheme", "em", "--start", "prior")
