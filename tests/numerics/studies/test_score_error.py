"""A noisy score beside a biased one, on Gaussian data, where both are exact; and the command that draws it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wbound
from numerics import Gaussian, sample
from numerics.studies.score_error import fading, shift
from wbound.errors import BadInput, HypothesisFailed
from wbound.sampler.make_setting import setting
from wbound.theory.statements import upper_bound

VP = wbound.process("vp-linear")


def test_bias_stays_and_noise_fades() -> None:
    K = np.array([10, 100, 1000, 10_000])
    got = fading(VP, K, T=3.4, M=0.1, V=1.0)
    assert (got.bound_bias >= got.exact_bias).all() and (got.bound_noise >= got.exact_noise).all()
    assert (got.bound >= got.exact).all() and (got.exact_noise >= got.exact * (1.0 - 1e-12)).all()
    assert got.exact_noise[-1] < 2e-3 * got.exact_noise[0]
    # Theorem 2 adds the noise in squares: it falls as K^{-1/2}
    assert got.bound_noise[-1] / got.bound_noise[-2] == pytest.approx(10.0**-0.5, rel=0.15)
    for values in (got.bound_bias, got.exact_bias):
        assert values[-1] == pytest.approx(got.floor, rel=2e-3)
    assert list(got.columns()) == [
        *("K", "bound", "bound_bias", "bound_noise", "exact", "exact_bias", "exact_noise")
    ]


@pytest.mark.parametrize("scheme", ["em", "ei", "hf", "ddpm", "ode-hf", "ddim"])
def test_the_shift_is_that_of_samples(scheme: str) -> None:
    target, n = Gaussian([0.3], 0.7), 100_000
    s = setting(VP, target, 3.0, 12, scheme=scheme, score_bias=0.4)
    x = sample(VP, target, 3.0, 12, n, scheme, score_bias=0.4)
    plain = sample(VP, target, 3.0, 12, n, scheme)
    assert x.mean() - plain.mean() == pytest.approx(shift(s), abs=5.0 * x.std() * math.sqrt(2.0 / n))


def test_the_shift_of_hf_is_the_bounds_score_part() -> None:
    """On N(0, vI) the bound of hf loses nothing there: Σ P_k C_k M."""
    s = setting(VP, wbound.data.gaussian.Gaussian([0.0], 2.0), 3.0, 40, scheme="hf", score_bias=0.2)
    assert upper_bound("sharp", s.scheme)(s).score == pytest.approx(shift(s), rel=1e-10)


def test_refusals() -> None:
    with pytest.raises(BadInput, match="scheme = ddim: must be an SDE scheme"):
        fading(VP, [10], T=3.0, scheme="ddim")
    for change in ({"M": -1.0}, {"V": math.nan}, {"variance": 0.0}, {"d": 0}):
        with pytest.raises(BadInput):
            fading(VP, [10], T=3.0, **change)  # type: ignore[arg-type]
    two = wbound.data.gaussian.Gaussian([0.0, 0.0], [1.0, 2.0])
    with pytest.raises(HypothesisFailed, match="the direction of the bias"):
        shift(setting(VP, two, 3.0, 5, scheme="hf", score_bias=0.1))
    with pytest.raises(HypothesisFailed, match="one stage"):
        shift(setting(VP, wbound.data.gaussian.Gaussian([0.0], 1.0), 3.0, 5, scheme="heun", score_bias=0.1))


def test_the_command(wb: Any, tmp_path: Path) -> None:
    given = ("score-error", "--process", "ou", "--T", "4", "--to", "100", "--points", "3")
    drawn, table = tmp_path / "a.svg", tmp_path / "a.csv"
    got = wb.ask(*given, "-o", str(drawn))
    own = fading(wbound.process("ou"), got["K"], T=4.0, V=1.0)
    assert got["exact_bias"] == own.exact_bias.tolist() and got["bound_noise"] == own.bound_noise.tolist()
    assert drawn.read_text("utf-8").startswith("<?xml")
    wb.ask(*given, "-o", str(table))
    assert table.read_text("utf-8").startswith("K,bound,bound_bias")
    code, out, _ = wb(*given)
    assert code == 0 and "M S(T)" in out and "stays" in out
    assert "to = 5" in wb.refused(*given[:-4], "--to", "5")
    assert "scheme = ddim" in wb.refused(*given, "--scheme", "ddim")
    assert "score_bias = -1" in wb.refused(*given, "--score-bias", "-1")
