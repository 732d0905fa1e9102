"""Scheduler configurations: nodes that diffusers 0.42.1 printed for 20 steps (float32), and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import wbound
from numerics.schedules.diffusers_config import from_diffusers
from numerics.schedules.schedule_formats import from_array
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, IOFailure
from wbound.exact.gaussian_law import exact_w2

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
    s = from_diffusers({"_class_name": kind, **config}, 20)
    sigma = np.exp(0.5 * s.log_lam)
    assert sigma.size == 21
    assert sigma[-1] == 0.0
    assert [sigma[0], sigma[1], sigma[-2]] == pytest.approx(levels, rel=3e-4)


def test_a_file_and_all_training_steps(tmp_path: Path) -> None:
    path = tmp_path / "scheduler_config.json"
    path.write_text(json.dumps({"_class_name": "DDPMScheduler", "num_train_timesteps": 50, "beta_end": 0.2}))
    s = from_diffusers(path)
    assert s.K == 50
    assert s.name.startswith("scheduler_config.json (DDPMScheduler, 50 steps)")
    trained = from_diffusers({"trained_betas": np.linspace(1e-4, 0.2, 50).tolist()})
    assert trained.log_lam == pytest.approx(s.log_lam)


@pytest.mark.parametrize(
    ("config", "steps", "said"),
    [
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, 5, "flow matching starts at lam = infinity"),
        ({"_class_name": "VQDiffusionScheduler"}, 5, "must be one of DDPM"),
        ({"rescale_betas_zero_snr": True}, 5, "starts at lam = infinity"),
        ({"beta_schedule": "cubic"}, 5, "beta_schedule = cubic: must be one of linear"),
        ({"beta_start": "x"}, 5, "beta_start = x: must be a finite number"),
        ({"beta_end": 2.0}, 5, r"must be in \(0, 1\)"),
        ({"trained_betas": [0.1, 1.2]}, 2, "must be above 0 and below 1"),
        ({"num_train_timesteps": 10.5}, 5, "must be an integer"),
        ({}, 1001, "must be at most num_train_timesteps = 1000"),
        ({}, 0, "steps = 0"),
        ({"timestep_spacing": "random"}, 5, "timestep_spacing = random"),
        ({"steps_offset": 100000}, 5, "leads past"),
        ({"_class_name": "EDMEulerScheduler", "sigma_min": 90.0}, 5, "sigma_min"),
    ],
)
def test_refusals(config: dict[str, object], steps: int, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        from_diffusers(config, steps)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_config(tmp_path: Path) -> None:
    with pytest.raises(IOFailure):
        from_diffusers(tmp_path / "absent.json")
    path = tmp_path / "list.json"
    path.write_text("[1]")
    with pytest.raises(BadInput, match="must be a JSON object"):
        from_diffusers(path)


def test_what_preserves_variance_may_start_from_a_standard_normal() -> None:
    """Schedules of betas, of abar and of VP configurations: hf from N(0, I) against the plain recursion in abar."""
    bar = np.cumprod(1.0 - np.linspace(1e-3, 0.3, 12))
    betas = 1.0 - bar / np.concatenate(([1.0], bar[:-1]))
    config = {"_class_name": "DDIMScheduler", "trained_betas": betas.tolist(), "timestep_spacing": "linspace"}
    law = Gaussian([0.5, 0.0], 0.3)
    for made in (
        from_array(betas, "betas"),
        from_array(bar, "alphas_cumprod"),
        from_diffusers(config),
    ):
        lam = 1.0 / bar[::-1] - 1.0
        np.testing.assert_allclose(made.lam[:-1], lam, rtol=1e-12)
        variance, mean = 1.0 / bar[-1], 0.0  # of y_0/alpha(T), y_0 from N(0, I)
        for hi, lo in zip(lam, np.append(lam[1:], 0.0), strict=True):
            variance = ((0.3 + lo) / (0.3 + hi)) ** 2 * variance + hi - lo
            mean = (0.3 + lo) / (0.3 + hi) * mean + (hi - lo) / (0.3 + hi) * 0.5
        want = np.sqrt(2.0 * (np.sqrt(variance) - np.sqrt(0.3)) ** 2 + (mean - 0.5) ** 2)
        given = {"scheme": "hf", "start": "standard", "grid": made.grid}
        assert exact_w2(made.process, law, **given) == pytest.approx(float(want), rel=1e-10)
        assert wbound.w2_bound(made.process, law, **given).total > want
    with pytest.raises(BadInput, match="variance-preserving"):
        wbound.setting(from_array([2.0, 1.0], "sigmas").process, law, 1.0, 2, start="standard")
