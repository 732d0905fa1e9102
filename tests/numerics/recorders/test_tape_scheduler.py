"""A tape as a diffusers scheduler: in a pipeline of the library, recorded again, for each kind of answer."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from numerics.recorders.diffusers_schedulers import record_scheduler  # noqa: E402
from numerics.recorders.tape_scheduler import TapeScheduler  # noqa: E402
from wbound.errors import BadInput  # noqa: E402
from wbound.exact.phase import phase_levels, zolotarev_levels  # noqa: E402
from wbound.sampler.multistep import ddim, multistep_named  # noqa: E402
from wbound.sampler.pure_noise import from_pure_noise  # noqa: E402
from wbound.sampler.tape import Tape  # noqa: E402

LEVELS = np.append(np.geomspace(50.0, 0.05, 6), 0.0) ** 2
TAPES = {
    "phase": phase_levels(np.geomspace(0.2, 6.0, 11)).tape(),
    "2M": multistep_named("dpmpp-2m").tape(LEVELS),
    "UniPC": multistep_named("unipc").tape(LEVELS),
}
VARIANCE = 0.02


class Exact(torch.nn.Module):
    """The noise that is best for N(0, x): what a trained U-Net answers, told the timestep, half of its channels ignored."""

    device, dtype = torch.device("cpu"), torch.float64

    def __init__(self, scheduler: TapeScheduler, kind: str = "epsilon") -> None:
        super().__init__()
        self.none = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.config = SimpleNamespace(in_channels=6)
        table = scheduler.alphas_cumprod.double().numpy()
        self.log_sigma, self.kind = 0.5 * np.log((1.0 - table) / table), kind
        self.told: list[float] = []

    def forward(self, sample: Any, timestep: Any) -> Any:
        sigma = math.exp(np.interp(float(timestep), np.arange(1000), self.log_sigma))
        self.told.append(sigma)
        y = sample[:, :3] * math.sqrt(1.0 + sigma**2)
        D = VARIANCE / (VARIANCE + sigma**2) * y
        eps = (y - D) / sigma
        alpha, s = 1.0 / math.sqrt(1.0 + sigma**2), sigma / math.sqrt(1.0 + sigma**2)
        answers = {"epsilon": eps, "sample": D, "v_prediction": alpha * eps - s * D}
        return SimpleNamespace(sample=answers[self.kind])


class Decoder(torch.nn.Module):
    """Latents are the images."""

    device, dtype = torch.device("cpu"), torch.float64

    def decode(self, latents: Any) -> Any:
        return SimpleNamespace(sample=latents)


def by_the_tape(tape: Tape, start: np.ndarray) -> np.ndarray:
    """Row by row, from what the implementation draws over its size."""
    answers: list[np.ndarray] = []
    for i in range(tape.K + 1):
        v = tape.start[i] * tape.start_std * start + sum(
            w * D for w, D in zip(tape.answers[i], answers, strict=False)
        )
        if i == tape.K:
            return np.asarray(v)
        lam = tape.levels[i]
        answers.append(VARIANCE * math.sqrt(1.0 + lam) / (VARIANCE + lam) * v)
    raise AssertionError


@pytest.mark.parametrize("name", TAPES)
def test_in_a_pipeline_of_the_library(name: str) -> None:
    """LDMSuperResolutionPipeline's own loop: its noise times init_noise_sigma, scale_model_input, step."""
    import diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion_superresolution as latent

    tape = TAPES[name]
    scheduler = TapeScheduler(tape)
    unet = Exact(scheduler)
    pipeline = latent.LDMSuperResolutionPipeline(vqvae=Decoder(), unet=unet, scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    image = torch.zeros(2, 3, 4, 4, dtype=torch.float64)
    seed = torch.Generator().manual_seed(3)
    made = pipeline(image, num_inference_steps=tape.K, generator=seed, output_type="np").images
    noise = torch.randn((2, 3, 4, 4), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = np.clip(by_the_tape(tape, noise.numpy()), -1.0, 1.0) / 2.0 + 0.5
    assert np.abs(made - expected.transpose(0, 2, 3, 1)).max() < 1e-6 and np.abs(expected - 0.5).max() > 0.05
    assert unet.told == pytest.approx(np.sqrt(tape.levels).tolist(), rel=1e-6)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_answers_of_each_kind_and_data_off_their_centre(kind: str) -> None:
    tape = TAPES["phase"]
    scheduler = TapeScheduler(tape, prediction_type=kind, beta_schedule="scaled_linear")
    network, mean = Exact(scheduler, kind), 0.7
    noise = torch.linspace(-2.0, 2.0, 48, dtype=torch.float64).reshape(1, 3, 4, 4)
    for _ in range(2):  # set_timesteps begins anew
        scheduler.set_timesteps(tape.K)
        y = mean + scheduler.init_noise_sigma * noise
        for t in scheduler.timesteps:
            # of data with this mean: the centred network at y − mean
            v = scheduler.scale_model_input(y - mean, t)
            answer = network(torch.cat([v, v], dim=1), t).sample
            if kind == "sample":
                answer = answer + mean
            elif kind == "v_prediction":
                sigma = float(scheduler.sigmas[scheduler._at])
                answer = answer - mean * sigma / math.sqrt(1.0 + sigma**2)  # αε − σD
            y = scheduler.step(answer, t, y, return_dict=False)[0]
        assert np.abs(y.numpy() - mean - by_the_tape(tape, noise.numpy())).max() < 1e-6


def test_recorded_it_is_the_tape_again_and_it_is_saved_with_it(tmp_path: Any) -> None:
    tape = TAPES["2M"]
    scheduler = TapeScheduler(tape)
    again = record_scheduler(scheduler, tape.K)
    for name in ("answers", "start"):
        assert getattr(again, name) == pytest.approx(getattr(tape, name), rel=1e-5, abs=1e-5)
    assert again.levels == pytest.approx(tape.levels, rel=1e-5) and again.start_std == pytest.approx(
        tape.start_std
    )
    scheduler.save_pretrained(tmp_path)
    loaded = TapeScheduler.from_pretrained(tmp_path)
    assert loaded.init_noise_sigma == scheduler.init_noise_sigma and torch.equal(
        loaded.timesteps, scheduler.timesteps
    )


def test_refusals() -> None:
    with pytest.raises(BadInput, match="no noise"):
        TapeScheduler(ddim(1.0).tape(LEVELS))
    with pytest.raises(BadInput, match="levels > 0 and finite"):
        TapeScheduler(from_pure_noise(LEVELS))
    far = zolotarev_levels(5, 1e-8, 1.0).tape()
    with pytest.raises(BadInput, match="outside the training, 0.010"):
        TapeScheduler(far)
    nearest = TapeScheduler(far, outside="nearest")
    assert float(nearest.timesteps[-1]) == 0.0
    with pytest.raises(BadInput, match="num_inference_steps = 9"):
        nearest.set_timesteps(9)
    with pytest.raises(BadInput, match="prediction_type"):
        TapeScheduler(TAPES["phase"], prediction_type="flow")
    done = TapeScheduler(TAPES["phase"])
    y = torch.zeros(1)
    for t in done.timesteps:
        y = done.step(y, t, y).prev_sample
    with pytest.raises(BadInput, match="comes after the last"):
        done.step(y, 0.0, y)
