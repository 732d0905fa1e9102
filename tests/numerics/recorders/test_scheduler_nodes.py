"""Scheduler configurations: nodes that diffusers 0.42.1 printed for 20 steps (float32), and refusals."""

from __future__ import annotations

import json
import math
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import wbound
from numerics.cli.main import main
from numerics.recorders.callables import record
from numerics.recorders.scheduler_nodes import schedule_of_diffusers, training_log_lam
from numerics.schedules.schedule_formats import Schedule, from_array
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, HypothesisFailed, IOFailure, WboundError
from wbound.exact.gaussian_law import exact_w2
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.grid import Grid

pytest.importorskip("diffusers")
#: make oldest-diffusers runs this file too.
OLD = tuple(int(part) for part in version("diffusers").split(".")[:2]) < (0, 31)

#: class, configuration, and the first, second and last level above 0 that its set_timesteps(20) visits
SEEN = [
    ("DDPMScheduler", {}, [97.1042755, 60.8223064, 0.01000133]),
    ("DDPMScheduler", {"timestep_spacing": "trailing"}, [157.4072694, 96.176092, 0.172770371]),
    ("DDPMScheduler", {"beta_schedule": "squaredcos_cap_v2"}, [13.0696952, 6.4299286, 0.006427109]),
    (
        "DDPMScheduler",
        {"beta_schedule": "sigmoid", "timestep_spacing": "linspace"},
        [158.7433658, 93.1048561, 0.012215265],
    ),
    (
        "DDIMScheduler",
        {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1},
        [11.0283353, 8.3906875, 0.041314478],
    ),
    (
        "EulerDiscreteScheduler",
        {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
        [14.6146469, 10.74685, 0.029167535],
    ),
    (
        "EulerDiscreteScheduler",
        {"timestep_spacing": "leading", "steps_offset": 1},
        [98.0424118, 61.3788567, 0.014832044],
    ),
    ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}, [157.4072723, 96.1760941, 0.172770381]),
    ("EulerDiscreteScheduler", {"use_karras_sigmas": True}, [157.4072723, 118.8035507, 0.01000133]),
    (
        "HeunDiscreteScheduler",
        {"beta_start": 0.00085, "beta_end": 0.012},
        [25.1461163, 18.4359989, 0.029167535],
    ),
    ("LMSDiscreteScheduler", {}, [157.4072723, 93.8286667, 0.01000133]),
    ("EulerAncestralDiscreteScheduler", {}, [157.4072723, 93.8286667, 0.01000133]),
    ("DPMSolverMultistepScheduler", {}, [157.4072723, 96.1760941, 0.176010117]),
    ("DPMSolverMultistepScheduler", {"timestep_spacing": "leading"}, [88.2518921, 57.0813751, 0.166297734]),
    ("DPMSolverMultistepScheduler", {"timestep_spacing": "trailing"}, [157.4072723, 96.1760941, 0.172770381]),
    ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}, [157.4072723, 118.8035507, 0.01000133]),
    ("UniPCMultistepScheduler", {}, [157.4072723, 96.1760941, 0.176010117]),
    ("EDMEulerScheduler", {}, [80.0, 59.6575241, 0.002]),
    ("EDMDPMSolverMultistepScheduler", {}, [79.9999847, 59.6575012, 0.002]),
]


@pytest.mark.parametrize(("kind", "config", "levels"), SEEN)
def test_levels_of_diffusers(kind: str, config: dict[str, object], levels: list[float]) -> None:
    s = schedule_of_diffusers({"_class_name": kind, **config}, 20)
    sigma = np.exp(0.5 * s.log_lam)
    assert sigma.size == 21
    assert sigma[-1] == 0.0
    assert [sigma[0], sigma[1], sigma[-2]] == pytest.approx(levels, rel=1e-6)


def test_a_file_and_all_training_steps(tmp_path: Path) -> None:
    path = tmp_path / "scheduler_config.json"
    path.write_text(json.dumps({"_class_name": "DDPMScheduler", "num_train_timesteps": 50, "beta_end": 0.2}))
    s = schedule_of_diffusers(path)
    assert s.K == 50
    assert s.name.startswith("scheduler_config.json (DDPMScheduler, 50 steps)")
    betas = {"_class_name": "DDPMScheduler", "trained_betas": np.linspace(1e-4, 0.2, 50).tolist()}
    trained = schedule_of_diffusers(betas | {"num_train_timesteps": 50})
    assert trained.log_lam == pytest.approx(s.log_lam, rel=1e-5)


@pytest.mark.parametrize(
    ("config", "steps", "said"),
    [
        ({"_class_name": "VQDiffusionScheduler"}, 5, "refuses this configuration"),
        ({"_class_name": "DDIMSchedular"}, 5, "did you mean DDIMScheduler"),
        ({"num_train_timesteps": 50}, 5, "_class_name"),
        ({"_class_name": "DDIMScheduler", "beta_schedule": "cubic"}, 5, "cubic is not implemented"),
        ({"_class_name": "DDIMScheduler", "beta_start": "x"}, 5, "refuses this configuration"),
        ({"_class_name": "DDIMScheduler", "num_train_timesteps": 10.5}, 5, "must be an integer"),
        ({"_class_name": "DDIMScheduler", "num_train_timesteps": 10**12}, 5, "must be an integer"),
        ({"_class_name": "DDIMScheduler"}, 1001, "cannot be larger"),
        ({"_class_name": "DDIMScheduler"}, 0, "steps = 0"),
        ({"_class_name": "EDMEulerScheduler"}, 10**12, "must be at most"),
        ({"_class_name": "DDIMScheduler", "timestep_spacing": "random"}, 5, "random"),
        ({"_class_name": "DDIMScheduler", "steps_offset": 100000}, 5, "none of the 1000 training steps"),
        ({"_class_name": "EDMEulerScheduler", "rho": 1e300}, 5, "coincide"),
    ],
)
def test_refusals(config: dict[str, object], steps: int, said: str) -> None:
    with pytest.raises(WboundError, match=said) as caught:
        schedule_of_diffusers(config, steps)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


def test_pure_noise_ends_above_zero_and_ignored_keys_are_said() -> None:
    flow = schedule_of_diffusers({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}, 8)
    assert flow.K == 7 and any("pure noise" in note for note in flow.notes)
    config = {"_class_name": "DDIMScheduler", "set_alpha_to_one": False, "skip_prk_steps": True}
    said = " ".join(schedule_of_diffusers(config, 5).notes)
    assert "ends above zero, at sigma = 0.0100013" in said and "ignores skip_prk_steps" in said
    assert "its last step moves nothing" in said  # leading timesteps end at 0, where it ends
    karras = {"_class_name": "DPMSolverMultistepScheduler", "use_lu_lambdas": True}
    assert schedule_of_diffusers(karras, 5).K == 5


#: What ends above zero, at 7 steps, and how many of them move.
ABOVE = [
    ("DDIMScheduler", {"set_alpha_to_one": False, "steps_offset": 1}, 7),
    ("DDIMScheduler", {"set_alpha_to_one": False}, 6),
    ("DDIMScheduler", {"timestep_spacing": "trailing"}, 7),
    ("EulerDiscreteScheduler", {"final_sigmas_type": "sigma_min"}, 6),
    ("EulerDiscreteScheduler", {"final_sigmas_type": "sigma_min", "timestep_spacing": "trailing"}, 7),
    ("EDMEulerScheduler", {"final_sigmas_type": "sigma_min"}, 6),
    ("DPMSolverMultistepScheduler", {"final_sigmas_type": "sigma_min", "solver_order": 1}, 7),
]


@pytest.mark.parametrize(("kind", "config", "K"), ABOVE)
def test_what_ends_above_zero_ends_where_the_librarys_own_run_does(
    kind: str, config: dict[str, object], K: int
) -> None:
    """The right values are of the recorded run: these classes run `ddim`, so the schedule has their law, but for the
    whole timesteps that a trailing DDIM rounds to and the network of order 1 is told."""
    if OLD and kind == "EDMEulerScheduler":
        pytest.skip("diffusers 0.30 has no such end of EDMEulerScheduler")
    options = {"clip_sample": False} if kind == "DDIMScheduler" else {}
    s = schedule_of_diffusers({"_class_name": kind, **config}, 7)
    tape = record(kind, 7, changes={**config, **options})
    assert s.stopped_early and s.K == K and tape.level_out > 0.0
    assert s.lam[-1] == pytest.approx(tape.level_out, rel=2e-3)
    joined = config.get("timestep_spacing") != "trailing" and kind != "DPMSolverMultistepScheduler"
    for x in (4.0, 0.04, float(s.lam[-1])):
        data = Gaussian(np.zeros(1), x)
        want = tape_law(tape, data.eigenvalues, start="prior").w2()
        got = exact_w2(s.process, data, scheme="ddim", start="prior", grid=s.grid)
        # tables are in single precision, and the run's steps too
        assert got == pytest.approx(want, abs=(3e-4 if joined else 0.03) * math.sqrt(x)), x
    assert abs(got - read_down(s, data)) > 0.2 * math.sqrt(x)


def read_down(s: Schedule, data: Gaussian) -> float:
    """W2 with a last step to 0 that the scheduler does not make."""
    down = Grid.from_lam(np.append(s.lam, 0.0))
    return float(exact_w2(s.process, data, scheme="ddim", start="prior", grid=down))


def test_steps_that_do_not_join_are_named() -> None:
    config = {"_class_name": "DDIMScheduler", "timestep_spacing": "linspace"}
    said = " ".join(schedule_of_diffusers(config, 7).notes)
    assert "its steps do not join: after step 2" in said and "wbound audit" in said
    for fine in ({"timestep_spacing": "leading"}, {"timestep_spacing": "trailing"}):
        s = schedule_of_diffusers({"_class_name": "DDIMScheduler", **fine}, 10)
        assert "do not join" not in " ".join(s.notes) and not s.stopped_early
    apart = schedule_of_diffusers(
        {"_class_name": "EulerDiscreteScheduler", "interpolation_type": "log_linear"}, 5
    )
    assert (
        "is told other levels than those of its steps, read here: sigma = 0.956757 at 0.477358"
        in " ".join(apart.notes)
    )
    # it lays out one level more, 0, which its five steps do not reach
    assert apart.K == 5 and math.sqrt(apart.lam[-1]) == pytest.approx(0.01, rel=1e-3)
    learned = schedule_of_diffusers({"_class_name": "DDPMScheduler", "variance_type": "learned_range"}, 10)
    assert "whether its steps join could not be seen" in " ".join(learned.notes)


def test_bounds_that_do_not_cover_an_early_end_refuse_by_name() -> None:
    s = schedule_of_diffusers({"_class_name": "EulerDiscreteScheduler", "final_sigmas_type": "sigma_min"}, 9)
    data = Gaussian(np.zeros(2), np.array([1.0, 0.25]))
    covered = wbound.w2_bound(s.process, data, scheme="hf", grid=s.grid)
    assert covered.total > exact_w2(s.process, data, scheme="hf", grid=s.grid)
    with pytest.raises(HypothesisFailed, match=r"Eq\. 9.*lambda_K = 0.*the sampler stops early"):
        wbound.STATEMENTS["eq-9"](wbound.setting(s.process, data, scheme="hf", grid=s.grid))


def test_objects_configs_and_classes_are_read_alike() -> None:
    import diffusers

    live = diffusers.DPMSolverMultistepScheduler(use_karras_sigmas=True)
    want = schedule_of_diffusers({"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": True}, 9)
    for given in (live, live.config):
        assert (schedule_of_diffusers(given, 9).log_lam == want.log_lam).all()
    assert schedule_of_diffusers("DDIMScheduler", 5).K == 5


def test_the_training_that_timesteps_are_indices_of() -> None:
    training, notes = training_log_lam("DDPMScheduler")
    bar = np.cumprod(1.0 - np.linspace(1e-4, 0.02, 1000))
    np.testing.assert_allclose(np.exp(training), 1.0 / bar - 1.0, rtol=1e-6)
    assert not notes
    with pytest.raises(WboundError, match="use_karras_sigmas"):
        training_log_lam({"_class_name": "UniPCMultistepScheduler", "use_karras_sigmas": True})
    with pytest.raises(WboundError, match="Cannot set `timesteps`"):
        training_log_lam({"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True})
    with pytest.raises(WboundError, match="no training betas"):
        training_log_lam("FlowMatchEulerDiscreteScheduler")


@pytest.mark.parametrize("command", ["check", "schedule", "choose"])
def test_commands_read_a_configuration_at_the_steps_asked(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scheduler_config.json"
    config = {"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": True, "clip_sample": False}
    path.write_text(json.dumps(config))
    line = [command, "--diffusers", str(path), "--json", "--K", "7"]
    if command == "choose":
        line += ["--data", "1,0.25", "--process", "vp-linear", "--grid", "edm"]
    assert main(line) == 0
    said = json.loads(capsys.readouterr().out)
    if command == "schedule":
        assert said["K"] == 7
    if command == "choose":
        assert [row["K"] for row in said["rows"] if row["kind"] == "given"] == [7]
    path.write_text(json.dumps(config | {"final_sigmas_type": "sigma_min"}))
    assert main(line) == 0
    said = json.loads(capsys.readouterr().out)
    if command == "check":  # sigma_min of variance 0.25: W2(q_δ, p_0) = √(0.25 + 1e-4) − 0.5
        found = next(row for row in said["findings"] if row["name"] == "end above zero")
        assert found["ok"] and found["value"] == pytest.approx(math.sqrt(0.2501) - 0.5, rel=1e-3)
    if command == "schedule":
        assert said["K"] == 6 and said["lam"][-1] == pytest.approx(1e-4, rel=1e-3)
        assert said["values"][-1] == pytest.approx(0.01, rel=1e-3) and len(said["values"]) == 7
        assert any("--stop early" in note for note in said["notes"])
    if command == "choose":
        (row,) = [row for row in said["rows"] if row["kind"] == "given"]
        s = schedule_of_diffusers(path, 7)
        law = Gaussian(np.zeros(2), np.array([1.0, 0.25]))
        assert row["K"] == 6 and any("divided by its α" in one for one in said["limits"])
        assert row["w2"] == pytest.approx(exact_w2(s.process, law, scheme="ddim", start="prior", grid=s.grid))
    monkeypatch.setitem(sys.modules, "diffusers", None)
    assert main(line) == 2
    assert "wbound[diffusers]" in capsys.readouterr().err


def test_files_that_are_no_config(tmp_path: Path) -> None:
    with pytest.raises(IOFailure):
        schedule_of_diffusers(tmp_path / "absent.json")
    path = tmp_path / "list.json"
    path.write_text("[1]")
    with pytest.raises(BadInput, match="must be a JSON object"):
        schedule_of_diffusers(path)


def test_what_preserves_variance_may_start_from_a_standard_normal() -> None:
    """Schedules of betas, of abar and of VP configurations: hf from N(0, I) against the plain recursion in abar."""
    bar = np.cumprod(1.0 - np.linspace(1e-3, 0.3, 12))
    betas = 1.0 - bar / np.concatenate(([1.0], bar[:-1]))
    config = {"_class_name": "DDIMScheduler", "trained_betas": betas.tolist(), "num_train_timesteps": 12}
    law = Gaussian([0.5, 0.0], 0.3)
    for made in (
        from_array(betas, "betas"),
        from_array(bar, "alphas_cumprod"),
        schedule_of_diffusers(config),
    ):
        lam = 1.0 / bar[::-1] - 1.0
        np.testing.assert_allclose(
            made.lam[:-1], lam, rtol=2e-5
        )  # the library's table is in single precision
        variance, mean = 1.0 / bar[-1], 0.0  # of y_0/alpha(T), y_0 from N(0, I)
        for hi, lo in zip(lam, np.append(lam[1:], 0.0), strict=True):
            variance = ((0.3 + lo) / (0.3 + hi)) ** 2 * variance + hi - lo
            mean = (0.3 + lo) / (0.3 + hi) * mean + (hi - lo) / (0.3 + hi) * 0.5
        want = np.sqrt(2.0 * (np.sqrt(variance) - np.sqrt(0.3)) ** 2 + (mean - 0.5) ** 2)
        given = {"scheme": "hf", "start": "standard", "grid": made.grid}
        assert exact_w2(made.process, law, **given) == pytest.approx(float(want), rel=1e-5)
        assert wbound.w2_bound(made.process, law, **given).total > want
    with pytest.raises(BadInput, match="variance-preserving"):
        wbound.setting(from_array([2.0, 1.0], "sigmas").process, law, 1.0, 2, start="standard")
