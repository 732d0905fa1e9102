"""The last rows of `choose`: the floor, two samplers on the Gaussian and on the samples, which stands first, and the tape."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wbound
from numerics.cli.few_calls_rows import row_lines
from numerics.schedules.few_call_samplers import FIRST, MOST_CALLS, few_calls
from numerics.schedules.few_step_families import tuned, tuned_levels
from numerics.targets import datasets
from numerics.targets.mixtures import SmoothedData
from numerics.transport.samples import plugin_w2
from numerics.verification.common_noise import CommonNoise
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.law_of_tape import tape_law
from wbound.exact.tape_response import amplification, state_widths
from wbound.sampler.multistep import ddim, multistep_named
from wbound.sampler.tape import Tape


def rows(n: int = 300) -> np.ndarray:
    """Two clusters in three dimensions, off the origin."""
    rng = np.random.default_rng(3)
    side = np.where(rng.random(n) < 0.5, -1.0, 1.0)[:, None]
    return side * [3.0, 0.0, 0.0] + rng.standard_normal((n, 3)) * [0.3, 1.0, 0.1] + [5.0, -2.0, 1.0]


def test_the_floor_is_for_the_datas_kappa() -> None:
    """E_K of κ on the directions that vary, times the data's spread; a spectrum of few eigenvalues is reached exactly."""
    data = datasets.from_spectrum([0.0, 1e-3, 0.25, 1.0, 4.0])
    got = few_calls(data, 2)
    assert got.kappa == pytest.approx(4000.0) and got.directions == 4
    assert got.floor == wbound.affine_floor(got.kappa, 2)
    assert got.floor_w2 == pytest.approx(got.floor * data.spread)
    assert got.smoothing is None and all(s.smoothed is None for s in got.samplers)
    assert "no samples" in got.why
    # 2K + 1 nodes and a direction without variance
    assert got.sampler("phase").w2 < 1e-5
    assert [s.w2 for s in got.samplers] == sorted(s.w2 for s in got.samplers)
    without = few_calls(datasets.from_spectrum([1e-3, 0.25, 1.0, 4.0, 9.0]), 2).sampler("phase")
    assert without.w2 < 1e-12


def test_the_numbers_are_the_tapes() -> None:
    data, samples = datasets.from_samples(rows()), rows()
    got = few_calls(data, 4, samples)
    assert got.smoothing is not None and got.smoothing.points == len(samples)
    target = SmoothedData(samples - samples.mean(axis=0), 0.1 * data.scale)
    common = CommonNoise(target, got.smoothing.pairs, fine=100)
    for one in got.samplers:
        assert one.calls == one.tape.K == 4
        # a W2 of 7e-11 is what is left of numbers about 1, whose last bit may be another where an array begins elsewhere
        assert one.w2 == pytest.approx(tape_law(one.tape, data.eigenvalues).w2(), rel=1e-9, abs=1e-14)
        assert one.smoothed == pytest.approx(common.relative(one.tape), rel=1e-9)
        assert one.amplification == amplification(one.tape, data.eigenvalues)
        widths = state_widths(one.tape, data.eigenvalues)
        assert (one.width_low, one.width) == (widths.min(), widths.max())


def test_the_smallest_w2_on_the_samples_stands_first() -> None:
    """Digits at 5 calls: exact on the Gaussian is the phase sampler; on the samples the order is another, and is said."""
    found = few_calls(datasets.digits(), 5, datasets.samples_of("digits"))
    smoothed = [s.smoothed or math.inf for s in found.samplers]
    assert smoothed == sorted(smoothed) and found.why == FIRST[found.samplers[0].name]
    assert found.sampler("phase").w2 < 1e-1 * found.sampler("dpmpp-2m").w2
    assert (found.sampler("phase").smoothed or math.inf) < (found.sampler("dpmpp-2m").smoothed or 0.0)
    assert 1.3 < found.sampler("phase").width < 1.9 and found.sampler("phase").width_low > 0.99


def test_2m_stands_first_where_it_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the Gaussian says: the order is that of the smoothed samples."""
    wanted = {"phase": 0.3, "refitted": 0.2, "dpmpp-2m": 0.1}
    monkeypatch.setattr(CommonNoise, "relative", lambda self, tape: wanted[str(tape.made["scheme"])])
    found = few_calls(datasets.from_samples(rows()), 3, rows())
    assert [s.name for s in found.samplers] == ["dpmpp-2m", "refitted", "phase"]
    assert "wins on the smoothed samples and stands first" in found.why


def test_beyond_the_most_calls_there_is_the_floor_alone() -> None:
    got = few_calls(datasets.from_spectrum([1.0, 4.0]), MOST_CALLS + 1)
    assert not got.samplers and got.floor > 0.0 and f"up to {MOST_CALLS}" in got.why
    with pytest.raises(BadInput, match="steps = 31"):
        got.sampler("phase")


def test_tuned_levels_are_the_best_of_their_ranges() -> None:
    """No range of a mesh has less: W2 from p_T, and what the start changes."""
    spectrum = ((0.25, 1.0, 9.0), (2.0, 1.0, 1.0))
    x, n = np.array(spectrum[0]), np.array(spectrum[1])

    def off(tape: Tape) -> float:
        exact, prior = (np.sqrt(tape_law(tape, x, start=s).variance) for s in ("exact", "prior"))
        return math.sqrt(float(n @ (exact - np.sqrt(x)) ** 2)) + math.sqrt(float(n @ (exact - prior) ** 2))

    least, lam = off(tuned("dpmpp-2m", spectrum, 6)), np.array(tuned_levels(spectrum, 6))
    assert lam[-1] == 0.0 and np.ptp(np.diff(np.log(lam[:-1]))) < 1e-9
    rng = np.random.default_rng(0)
    for _ in range(40):
        top, bottom = 3.0 * np.exp(rng.uniform(0.4, 5.0)), 0.5 * np.exp(rng.uniform(-4.6, 1.0))
        levels = np.append(np.geomspace(top, bottom, 6), 0.0) ** 2
        assert least <= 1.05 * off(multistep_named("dpmpp-2m").tape(levels))


def test_common_noise() -> None:
    """The fine run is the target's law, another fine run is the same sample, and fresh noise is refused."""
    target = SmoothedData(rows(200) - rows(200).mean(axis=0), 0.3)
    common = CommonNoise(target, 400, seed=1)
    assert common.variances.sum() == pytest.approx(target.second_moment, rel=1e-9)
    fresh = [target.sample(400, seed) for seed in (2, 3)]
    apart = plugin_w2(fresh[0], fresh[1])
    assert plugin_w2(common.law, fresh[0]) < 1.4 * apart
    levels = np.append(np.geomspace(50.0 * common.size, 1e-3, 300), 0.0) ** 2
    assert common.relative(multistep_named("dpmpp-2m").tape(levels)) < 0.02 < 0.2 * apart / common.size
    with pytest.raises(HypothesisFailed, match="draws its own"):
        common.outputs(ddim(1.0).tape(levels))


def test_on_the_command_line(wb: Any, tmp_path: Path) -> None:
    """Rows, their JSON, and the tape as JSON and .npz: the sampler that the row is about, in numbers a loop can take."""
    np.save(tmp_path / "x.npy", rows())
    given = ("choose", "--data", str(tmp_path / "x.npy"), "--steps", "4", "--scheme", "ddim", "--grid", "edm")
    code, out, _ = wb(*given)
    assert code == 0 and "what any affine sampler could reach" in out and "phase sampler, fitted" in out
    assert "common noise" in out and "Theorem 6" in out
    for name, form in (("s.json", "phase"), ("s.npz", "refitted")):
        got = wb.ask(*given, "--as", form, "-o", str(tmp_path / name))
        few = got["few_calls"]
        assert few["calls"] == 4 and few["samplers"][0]["smoothed"] <= few["samplers"][2]["smoothed"]
        tape = Tape.load(tmp_path / name)
        (one,) = [s for s in few["samplers"] if s["name"] == form]
        assert got["file"]["w2"] == one["w2"] and got["file"]["form"] == form
        data = datasets.load(tmp_path / "x.npy")
        assert tape_law(tape, data.eigenvalues).w2() == pytest.approx(one["w2"], rel=1e-9)
        # the loop of the file's own numbers, on a Gaussian's denoiser
        made = tape.made
        x, gain, before, K = 2.0, made["start_std"], 0.0, made["K"]
        h = -np.diff(np.log(made["sigmas"]))
        for k, (sigma, keep) in enumerate(zip(made["sigmas"], made["keep"], strict=True)):
            D = x / (x + sigma**2) * gain
            ahead = D + made["look_back"] * h[k] / (2 * h[k - 1]) * (D - before) if 0 < k < K - 1 else D
            gain, before = keep * gain + (1.0 - keep) * ahead, D
        assert gain**2 == pytest.approx(tape_law(tape, [x]).variance[0], rel=1e-10)
    spectrum = wb.ask("choose", "--data", "4,1", "--steps", "3", "--scheme", "ddim", "--grid", "edm")
    assert spectrum["few_calls"]["smoothing"] is None
    assert "out = .csv" in wb.refused(*given, "--as", "phase", "-o", "sampler.csv")
    assert "row = 2" in wb.refused(*given, "--as", "phase", "--row", "2", "-o", "sampler.json")
    assert "up to 30" in wb(*given[:4], "31", *given[5:])[1]
    assert "steps = 31" in wb.refused(
        *given[:4], "31", *given[5:], "--as", "phase", "-o", str(tmp_path / "no.json")
    )
    assert not (tmp_path / "no.json").exists()


def test_no_digit_that_rounding_decides() -> None:
    """W2 that is 0 but for rounding is told as a bound."""
    data = datasets.from_spectrum([1e-3, 0.25, 1.0, 4.0])
    few, many = ("\n".join(row_lines(few_calls(data, K), data.spread)) for K in (1, 12))
    bound = f"< {1e-12 * data.spread:.2g}"
    assert bound in many and bound not in few
