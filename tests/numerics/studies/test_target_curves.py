"""Curves of targets: quadrature as the exact line, samples as a band, the score's error as an axis."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numerics import Gaussian, LogCosh, SymmetricMixture, law1d_w2
from numerics.cli.main import main
from numerics.figures import curves as figures
from numerics.figures import style
from numerics.studies import curves
from numerics.verification.verdict import bracket
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput
from wbound.forward.catalogue import process
from wbound.sampler.make_setting import setting
from wbound.theory.statements import w2_bound

OU, MIXTURE = process("ou"), SymmetricMixture(0.8, 1.0)


def values(curve: curves.Curve, key: str) -> list[float]:
    line = curve.line(key)
    assert line is not None
    return [float(v) for v in line.values]


def test_the_exact_line_of_a_product_is_its_quadrature() -> None:
    curve = curves.bound_curve(OU, MIXTURE, [10, 40], T=3.0, scheme="hf", M1="exact")
    for i, K in enumerate((10, 40)):
        assert values(curve, "exact")[i] == law1d_w2(OU, MIXTURE, 3.0, K, scheme="hf").w2
        assert values(curve, "exact_em")[i] == law1d_w2(OU, MIXTURE, 3.0, K).w2
        bound = w2_bound(OU, MIXTURE, 3.0, K, theorem="published", M1=MIXTURE.M1(OU, 3.0))
        assert values(curve, "theorem_1")[i] == bound.total
    assert curve.line("lower") is None and "Gaussian" in curve.refusals["lower"]
    assert curve.line("samples") is None


def test_samples_are_a_band_between_the_ends_of_their_bracket() -> None:
    curve = curves.bound_curve(OU, MIXTURE, [10, 40], T=3.0, scheme="hf", n=2000, seed=4)
    line = curve.line("samples")
    assert line is not None and line.low is not None and line.high is not None
    for i, K in enumerate((10, 40)):
        one = bracket(setting(OU, MIXTURE, 3.0, K, scheme="hf"), 2000, seed=4)
        assert (line.low[i], line.values[i], line.high[i]) == (one.low, one.w2, one.high)
        assert one.low <= values(curve, "exact")[i] <= one.high
    columns = curve.columns()
    assert list(columns)[-3:] == ["samples", "samples_low", "samples_high"] and "99 %" in line.label


def test_along_the_score_error() -> None:
    curve = curves.bound_curve(OU, MIXTURE, [0.05, 0.2, 0.8], axis="M", T=4.0, K=60, scheme="hf", n=5000)
    for i, M in enumerate((0.05, 0.2, 0.8)):
        assert (
            values(curve, "theorem_2")[i] == w2_bound(OU, MIXTURE, 4.0, 60, scheme="hf", score_bias=M).total
        )
    band = curve.line("samples")
    assert band is not None and band.low is not None and band.high is not None
    assert (band.low[1:] > 0.0).all() and (np.diff(band.low) > 0.0).all()
    assert (band.high[1:] < values(curve, "theorem_2")[1:]).all()
    assert curve.line("exact") is None and curve.line("lower") is None
    assert "unbiased score" in curve.refusals["exact"]


def test_a_bias_leaves_no_floor() -> None:
    data = Gaussian([0.0], 2.0)
    plain, biased = (
        curves.bound_curve(OU, data, [10, 20], T=3.0, scheme="hf", score_bias=M) for M in (0.0, 0.3)
    )
    assert plain.line("lower") is not None and biased.line("lower") is None


@pytest.mark.parametrize(
    "target", [LogCosh(2, 0.5, 2.0), SymmetricMixture([0.3, 0.4], 1.0), Gaussian([1.0, 1.0], 2.0)]
)
def test_along_the_dimension(target: Any) -> None:
    curve = curves.bound_curve(OU, target, [1, 3], axis="d", T=3.0, K=20, scheme="hf")
    for i, d in enumerate((1, 3)):
        other = target.resized(d)
        assert other.d == d and type(other) is type(target)
        assert values(curve, "exact")[i] == pytest.approx(law1d_w2(OU, other, 3.0, 20, scheme="hf").w2)
        # all facts are those of d coordinates, none kept from the other dimension
        per = sum(f.multiplicity * (f.line.variance + f.line.mean**2) for f in other.factors)
        assert other.second_moment == pytest.approx(per) and other.mean_norm == pytest.approx(
            math.sqrt(d) if isinstance(target, Gaussian) else 0.0
        )
        assert (other.m0, other.L0) == pytest.approx((target.m0, target.L0))
        assert other.sample(3).shape == (3, d)


def test_dimensions_of_a_law_with_unequal_coordinates() -> None:
    with pytest.raises(BadInput, match="coordinates"):
        Gaussian([0.0, 0.0], [1.0, 2.0]).resized(3)
    with pytest.raises(BadInput, match="d = 0"):
        LogCosh(2, 0.5, 2.0).resized(0)


@pytest.mark.parametrize("axes", ["all", "none"])
def test_points_along_the_axes_of_the_factors(axes: str) -> None:
    """`along` turns points into the coordinates of the factors: a rotation, and the right one."""
    cov = np.array([[2.0, 0.6], [0.6, 1.0]]) if axes == "all" else np.array([2.0, 1.0])
    for target in (Gaussian([1.0, -0.5], cov), SymmetricMixture([0.3, -0.4], 1.0), LogCosh(2, 0.5, 2.0)):
        x = target.sample(50_000, 1)
        parts = target.along(x)
        assert [part.shape[1] for part in parts] == [f.multiplicity for f in target.factors]
        assert np.square(np.hstack(parts)).sum() == pytest.approx(np.square(x).sum(), rel=1e-12)
        for part, (line, _) in zip(parts, target.factors, strict=True):
            error = math.sqrt(line.variance / part.size)
            assert abs(part.mean() - line.mean) < 5.0 * error
            assert part.var() == pytest.approx(line.variance, rel=0.04)
    ends = SymmetricMixture([0.3, -0.4], 1.0).along(np.array([[0.3, -0.4]]))
    assert float(ends[0][0, 0]) == pytest.approx(0.5) and abs(float(ends[1][0, 0])) < 1e-15


def test_a_figure_with_a_band(tmp_path: Path) -> None:
    curve = curves.bound_curve(OU, MIXTURE, [10, 40], T=3.0, scheme="hf", n=2000)
    figure = style.figure_of(figures.bound_figure(curve))
    bands = [c for axes in figure.axes for c in axes.collections]
    assert len(bands) == 1
    path = bands[0].get_paths()[0].vertices
    line = curve.line("samples")
    assert line is not None and line.high is not None
    assert path[:, 1].max() == pytest.approx(line.high.max())
    assert any("samples" in text.get_text() for axes in figure.axes for text in axes.texts)
    plain = figures.bound_figure(curves.bound_curve(OU, MIXTURE, [10, 40], T=3.0, scheme="hf"))
    assert not plain.collections
    first, second = (figures.svg(figures.bound_figure(curve), "x") for _ in range(2))
    assert first == second and figures.save(figure, tmp_path / "x.pdf").stat().st_size > 1000


def test_along_d_nothing_is_cut_at_the_trivial_error_of_another_d() -> None:
    data = LogConcave(1, 0.5, 0.5, 2.0, 0.0)
    curve = curves.bound_curve(OU, data, [1, 1e6], axis="d", T=0.5, K=10, scheme="hf", M1="exact")
    figure = style.figure_of(figures.bound_figure(curve))
    drawn = [line for axes in figure.axes for line in axes.lines if len(line.get_xdata()) == 2]
    assert max(float(np.nanmax(line.get_ydata())) for line in drawn) >= values(curve, "theorem_2")[1]
    assert not any("trivial" in text.get_text() for axes in figure.axes for text in axes.texts)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    common = ["curve", "--process", "ou", "--target", "mixture", "--n", "500", "--points", "2", "--to"]
    assert main([*common, "40", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["samples_low"]) == 2 and found["n"] == 500 and len(found["exact"]) == 2
    path = tmp_path / "m.csv"
    assert main([*common, "1", "--against", "M", "--K", "20", "--out", str(path)]) == 0
    header = path.read_text().splitlines()[0]
    assert header == "M,theorem_1,theorem_2,samples,samples_low,samples_high"
    assert "samples, high" in capsys.readouterr().out
    beyond = ["curve", "--process", "ou", "--target", "modes", "--n", "0", "--points", "2", "--to", "40"]
    assert main([*beyond, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "theorem_1" not in found and all(
        b > e for b, e in zip(found["theorem_2"], found["exact"], strict=True)
    )
    assert main([*common, "40", "--m0", "1"]) == 2
    assert "m0 = 1: does not go with --target" in capsys.readouterr().err
    assert main([*common, "40", "--data", "digits"]) == 2
    assert "data = digits" in capsys.readouterr().err
