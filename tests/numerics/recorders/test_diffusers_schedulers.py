"""Recorded schedulers against the library itself: run on Gaussian coordinates with the exact network."""

from __future__ import annotations

import json
import math
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numerics.recorders.callables import record
from numerics.recorders.diffusers_schedulers import plan_of, record_plan
from numerics.recorders.recording import NotRecorded
from numerics.recorders.scheduler_source import Missing, quiet, source_of
from wbound.errors import BadInput, IOFailure, WboundError
from wbound.exact.law_of_tape import tape_law

pytest.importorskip("diffusers")
pytest.importorskip("torchsde")
if (HERE := str(Path(__file__).resolve().parent)) not in sys.path:  # the tests are no package
    sys.path.insert(0, HERE)

from real_runs import run_real

#: make oldest-diffusers runs this file too.
OLD = tuple(int(part) for part in version("diffusers").split(".")[:2]) < (0, 31)
LIN = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
COSINE = {"beta_schedule": "squaredcos_cap_v2"}
#: W2 at 10, 20, 50 steps on this spectrum, measured apart from this code (diffusers 0.42.1, float64).
SPECTRUM = np.array([4.0, 1.0, 0.25, 0.04, 0.01])
FIGURES: list[tuple[str, dict[str, Any], tuple[float, float, float]]] = [
    (
        "DDIMScheduler",
        LIN | {"timestep_spacing": "leading", "clip_sample": False},
        (0.36841, 0.19511, 0.08130),
    ),
    (
        "DDIMScheduler",
        SD | {"timestep_spacing": "linspace", "clip_sample": False},
        (0.32785, 0.18650, 0.09230),
    ),
    ("EulerDiscreteScheduler", LIN, (0.40423, 0.20446, 0.08283)),
    ("HeunDiscreteScheduler", SD, (0.10866, 0.03589, 0.01822)),
    ("DPMSolverMultistepScheduler", SD, (0.16751, 0.10416, 0.05939)),
    ("DPMSolverMultistepScheduler", SD | {"use_karras_sigmas": True}, (0.10176, 0.01546, 0.01200)),
    ("DPMSolverMultistepScheduler", SD | {"use_lu_lambdas": True}, (0.03624, 0.00804, 0.01315)),
    ("UniPCMultistepScheduler", LIN | {"use_karras_sigmas": True}, (0.35848, 0.05692, 0.00254)),
    (
        "DDPMScheduler",
        SD | {"variance_type": "fixed_large", "clip_sample": False},
        (0.29685, 0.15218, 0.05891),
    ),
    ("DPMSolverSDEScheduler", LIN, (0.20297, 0.08274, 0.02534)),
    ("PNDMScheduler", LIN | {"skip_prk_steps": True}, (0.07598, 0.02886, 0.00384)),
    (
        "PNDMScheduler",
        LIN | {"skip_prk_steps": True, "prediction_type": "v_prediction"},
        (0.40718, 0.20479, 0.08283),
    ),
    ("EDMEulerScheduler", {}, (0.54127, 0.27500, 0.11107)),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, (0.38210, 0.19250, 0.07753)),
    (
        "DPMSolverMultistepScheduler",
        SD | {"algorithm_type": "sde-dpmsolver++", "solver_order": 3},
        (0.17760, 0.16287, 0.19404),
    ),
]


def figures(row: int, at: tuple[int, ...]) -> None:
    kind, config, want = FIGURES[row]
    for K, value in zip((10, 20, 50), want, strict=True):
        if K in at:
            got = tape_law(record(kind, K, changes=config), SPECTRUM, output="raw").w2()
            assert got == pytest.approx(value, abs=1.1e-5), (kind, config, K)


@pytest.mark.parametrize("row", range(len(FIGURES)))
def test_known_figures(row: int) -> None:
    if OLD and FIGURES[row][1].get("algorithm_type"):
        pytest.skip("diffusers 0.30 raises there: it has no stochastic third order")
    figures(row, (10,))


def test_the_stochastic_third_order_is_worse_with_more_steps() -> None:
    if OLD:
        pytest.skip("diffusers 0.30 raises there: it has no stochastic third order")
    kind, config, (_, at_20, at_50) = FIGURES[-1]
    with quiet():  # trials of 500 steps are the same code as those of 10
        tape = record_plan(plan_of(kind, 500, changes=config), trials=False)
    at_500 = tape_law(tape, SPECTRUM, output="raw").w2()
    assert at_500 == pytest.approx(1.38, abs=5e-3) and at_500 > at_50 > at_20


@pytest.mark.deep
@pytest.mark.parametrize("row", range(len(FIGURES)))
def test_known_figures_at_all_steps(row: int) -> None:
    figures(row, (20, 50))


def test_flow_matching_of_28_steps() -> None:
    tape = record("FlowMatchEulerDiscreteScheduler", 28, shift=3.0)
    assert tape_law(tape, [1.0]).w2() == pytest.approx(0.0642687, abs=2e-7)  # section 18
    assert math.isinf(tape.start_level) and tape.level_out == 0.0


# ---------------------------------------------------------------------- noise


@pytest.mark.parametrize(
    ("kind", "config", "stepping"),
    [
        ("DDPMScheduler", SD | {"variance_type": "fixed_large", "clip_sample": False}, {}),
        ("DDIMScheduler", LIN | {"clip_sample": False}, {"eta": 0.7}),
        pytest.param("EulerAncestralDiscreteScheduler", SD, {}, marks=pytest.mark.deep),
        pytest.param("DPMSolverSDEScheduler", LIN, {}, marks=pytest.mark.deep),
        pytest.param("SASolverScheduler", LIN, {}, marks=pytest.mark.deep),
        pytest.param("CosineDPMSolverMultistepScheduler", {}, {}, marks=pytest.mark.deep),
        pytest.param("KDPM2AncestralDiscreteScheduler", LIN, {}, marks=pytest.mark.deep),
        pytest.param("EulerDiscreteScheduler", SD, {"s_churn": 3.0}, marks=pytest.mark.deep),
        pytest.param(
            "DPMSolverMultistepScheduler",
            SD | {"algorithm_type": "sde-dpmsolver++"},
            {},
            marks=pytest.mark.deep,
        ),
    ],
)
def test_noisy_samplers_by_simulation(kind: str, config: dict[str, Any], stepping: dict[str, Any]) -> None:
    """Variance and mean of n real samples, within 4.5 standard errors on each of four coordinates."""
    v, n, mean = np.array([4.0, 1.0, 0.3, 0.05]), 8000, 1.5
    start = np.random.default_rng(11).standard_normal((n, v.size))
    out = run_real(kind, config, 8, v, mean, start, stepping=stepping, seed=4, n=n)
    tape = record(kind, 8, changes=config, **stepping)
    law = tape_law(tape, v, output="raw")
    assert tape.J > 0 and law.noise.min() > 0.0
    np.testing.assert_allclose(out.var(axis=0) / law.variance, 1.0, atol=4.5 * math.sqrt(2.0 / n))
    at = law.mean_gain * mean + law.mean_offset
    assert np.abs((out.mean(axis=0) - at) / np.sqrt(law.variance / n)).max() < 4.5


# ---------------------------------------------------------------------- what a user may give


def same(a: Any, b: Any) -> bool:
    names = ("levels", "start", "answers", "noises", "offsets")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


def test_an_object_its_config_its_class_and_its_file_are_the_same(tmp_path: Path) -> None:
    import diffusers

    config = SD | {"use_karras_sigmas": True, "solver_order": 3}
    live = diffusers.DPMSolverMultistepScheduler(**config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library
        live.set_timesteps(3)
    state = {k: v for k, v in live.__dict__.items() if not hasattr(v, "shape")}
    want = record("DPMSolverMultistepScheduler", 7, changes=config)
    live.save_config(tmp_path)
    file = tmp_path / "scheduler_config.json"
    content = json.loads(file.read_text("utf-8"))
    for given in (live, live.config, dict(live.config), str(file), file, content, plan_of(live, 5).source):
        assert same(record(given, 7), want)
    assert same(record(diffusers.DPMSolverMultistepScheduler, 7, changes=config), want)
    assert state == {k: v for k, v in live.__dict__.items() if not hasattr(v, "shape")}  # it was not touched
    assert not same(record(live, 7, changes={"solver_order": 2}), want)
    content["clip_sample"] = True  # published files have keys of other classes, which the library ignores
    assert source_of(content).ignored == ("clip_sample",) and same(record(content, 7), want)


def test_timesteps_sigmas_eta_mu_and_the_first_index() -> None:
    ddpm = record("DDPMScheduler", timesteps=[900, 500, 100], clip_sample=False)
    assert ddpm.K == 3 and ddpm.made["timesteps"] == [900.0, 500.0, 100.0]
    euler = record("EulerDiscreteScheduler", sigmas=[9.0, 3.0, 1.0, 0.0], **LIN)
    np.testing.assert_allclose(euler.levels, [81.0, 9.0, 1.0], rtol=1e-6)
    flow = record("FlowMatchEulerDiscreteScheduler", sigmas=[1.0, 0.5, 0.25])
    assert flow.levels.tolist() == pytest.approx([math.inf, 1.0, 1.0 / 9.0])
    moved = record("FlowMatchEulerDiscreteScheduler", 4, use_dynamic_shifting=True, mu=1.2)
    assert moved.levels[1] > record("FlowMatchEulerDiscreteScheduler", 4).levels[1]
    still, noisy = (record("DDIMScheduler", 5, eta=eta, clip_sample=False) for eta in (0.0, 1.0))
    assert not still.stochastic and noisy.stochastic
    first = record("DPMSolverMultistepScheduler", 6, begin_index=0, **SD)
    assert same(first, record("DPMSolverMultistepScheduler", 6, **SD)) and first.made["first_index"] == 0


def test_what_the_network_is_told_and_where_the_sampler_is_are_both_kept() -> None:
    tape = record("DPMSolverMultistepScheduler", 8, use_karras_sigmas=True, **SD)
    assert tape.own_levels is not None and not np.allclose(tape.own_levels, tape.levels, rtol=1e-3)
    np.testing.assert_allclose(tape.own_levels, tape.levels, rtol=0.15)  # told whole timesteps
    assert record("DDIMScheduler", 8, clip_sample=False).own_levels is None


@pytest.mark.parametrize(
    ("kind", "config", "alpha", "level"),
    [
        ("DDIMScheduler", {"clip_sample": False}, 1.0, 0.0),
        ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}, 0.9999**0.5, 1e-4),
        ("DPMSolverMultistepScheduler", {"final_sigmas_type": "sigma_min"}, 0.9999**0.5, 1e-4),
        ("EulerDiscreteScheduler", {"final_sigmas_type": "sigma_min"}, 1.0, 1e-4),
        ("EDMEulerScheduler", {"final_sigmas_type": "sigma_min"}, 1.0, 4e-6),
        ("DDPMScheduler", {"clip_sample": False}, 1.0, 0.0),
    ],
)
def test_where_it_ends(kind: str, config: dict[str, Any], alpha: float, level: float) -> None:
    if OLD and kind == "EDMEulerScheduler":
        pytest.skip("diffusers 0.30 has no such end of EDMEulerScheduler")
    tape = record(kind, 6, changes=config)
    assert tape.alpha_out == pytest.approx(alpha, abs=1e-7) and tape.level_out == pytest.approx(
        level, rel=1e-3
    )


def test_the_option_that_is_to_blame_is_named() -> None:
    with pytest.raises(NotRecorded, match="with clip_sample=False it can be recorded") as said:
        record("DDIMScheduler", 6)
    assert said.value.cure == {"clip_sample": False} and "diffusers 0" in str(said.value)
    with pytest.raises(NotRecorded, match="with thresholding=False") as said:
        record("DPMSolverMultistepScheduler", 6, thresholding=True)
    assert said.value.kind == "not affine"
    with pytest.raises(NotRecorded, match="clip_sample=False, variance_type='fixed_small'"):
        record("DDPMScheduler", 6, variance_type="learned_range")
    with pytest.raises(NotRecorded, match="K = 6: its output is NaN") as said:
        record("UniPCMultistepScheduler", 6, solver_type="bh1")
    assert said.value.kind == "nan"
    with pytest.raises(NotRecorded, match="K = 1: ValueError") as said:
        record("PNDMScheduler", 1)
    assert said.value.kind == "exception"


@pytest.mark.parametrize(
    ("given", "how", "said"),
    [
        ("DDIMSchedler", {}, "did you mean DDIMScheduler"),
        ("Nothing", {}, "is no scheduler of diffusers"),
        ("DDIMScheduler", {"clip_samples": False}, "takes no such key: clip_sample"),
        ("EulerDiscreteScheduler", {"eta": 0.5}, "takes no such key"),
        ("DDIMScheduler", {"beta_schedule": "wiggly"}, "wiggly is not implemented"),
        ("LCMScheduler", {}, "consistency"),
        ("TCDScheduler", {}, "consistency"),
        ("DDIMInverseScheduler", {}, "from data to noise"),
        ("RePaintScheduler", {}, "its step needs mask, original_image"),
        ("ScoreSdeVeScheduler", {}, "has no method step"),
        ("DDIMScheduler", {"timesteps": [3, 2]}, "takes no timesteps"),
        ({"beta_start": 0.1}, {}, "_class_name"),
        ({"_class_name": 3}, {}, "must be the name"),
        ("DDIMScheduler", {"clip_sample": False, "num_train_timesteps": 4}, "K = 6: ValueError"),
        (object(), {}, "has no method set_timesteps"),
    ],
)
def test_bad_input_is_one_line(given: Any, how: dict[str, Any], said: str) -> None:
    with pytest.raises(WboundError, match=said) as error:
        record(given, None if "timesteps" in how else 6, **how)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500 and error.value.exit_code == 2


def test_bad_files_and_numbers(tmp_path: Path) -> None:
    with pytest.raises(IOFailure):
        record(str(tmp_path / "none.json"), 6)
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(BadInput, match=r"list\.json"):
        record(str(tmp_path / "list.json"), 6)
    with pytest.raises(BadInput, match="steps"):
        record("DDIMScheduler", clip_sample=False)
    for K in (0, -1, 2.5):
        with pytest.raises(BadInput, match="steps"):
            record("DDIMScheduler", K, clip_sample=False)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="must be the 3 of the list"):
        record("DDPMScheduler", 4, timesteps=[3, 2, 1])


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(Missing, match=r"wbound\[diffusers\]"):
        record("DDIMScheduler", 6)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(Missing, match=r"wbound\[diffusers\]"):
        record(lambda model, x, sigmas: model(x, sigmas[:1]), sigmas=[1.0, 0.0])


def test_a_tape_that_is_one_percent_off_would_be_seen() -> None:
    plan = plan_of("DDIMScheduler", 6, changes=LIN | {"clip_sample": False})
    tape = record_plan(plan)
    real = run_real("DDIMScheduler", LIN | {"clip_sample": False}, 6, SPECTRUM)[0]
    for factor in (0.99, 1.01):
        object.__setattr__(tape, "answers", tape.answers * factor)
        assert np.abs(tape_law(tape, SPECTRUM, output="raw").gain * tape.start_std - real).max() > 1e-4
        tape = record_plan(plan)
