"""A diffusers scheduler that runs a tape: custom levels with their coefficients, for networks trained on a table of betas.

Used with the extra diffusers only. The sample is y = x/α, as `EulerDiscreteScheduler` has it: the input of the network is
y/√(1 + λ), and a pipeline multiplies its noise by ``init_noise_sigma``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_utils import SchedulerMixin, SchedulerOutput

from wbound.errors import BadInput, count, one_of
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["TapeScheduler"]

#: What the network answers.
ANSWERS = ("epsilon", "v_prediction", "sample")


class TapeScheduler(SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """A tape without noise as a scheduler: K calls, at its levels, with its coefficients (Eq. 16; section 17's samplers).

    ``tape``: a `Tape` or its `to_dict`; the rest as diffusers' schedulers have it, and of the training: ``beta_schedule``
    linear, scaled_linear or squaredcos_cap_v2, or ``trained_betas``; ``prediction_type`` epsilon, v_prediction or sample.
    A level is told to the network as the timestep at which the training's table has it, between two of them
    interpolated in log σ. For data off their centre give a pipeline latents ``mean + init_noise_sigma * noise``.

    Raises `BadInput`: a tape with noise, offsets, or a start that its first input does not show; levels outside the
    training's, unless ``outside`` is "nearest": then the network is told the nearest that it knows.
    """

    order = 1

    @register_to_config
    def __init__(
        self,
        tape: Tape | Mapping[str, Any],
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: str = "linear",
        trained_betas: list[float] | None = None,
        prediction_type: str = "epsilon",
        outside: str = "refuse",
    ) -> None:
        of = tape if isinstance(tape, Tape) else Tape.from_dict(tape)
        self.register_to_config(tape=of.to_dict())
        one_of("prediction_type", prediction_type, ANSWERS)
        one_of("outside", outside, ("refuse", "nearest"))
        if of.stochastic or of.offsets.any() or of.start_mean:
            raise BadInput(
                "tape", of.made.get("scheme", "a tape"), "must have no noise, offsets or start mean"
            )
        if (
            of.start[0] <= 0.0
            or of.answers[0].any()
            or not np.isfinite(of.levels).all()
            or not (of.levels > 0.0).all()
        ):
            raise BadInput(
                "tape", of.made.get("scheme", "a tape"), "must begin at its start, with levels > 0 and finite"
            )
        training = DDPMScheduler(
            num_train_timesteps=num_train_timesteps,
            beta_start=beta_start,
            beta_end=beta_end,
            beta_schedule=beta_schedule,
            trained_betas=trained_betas,
        )
        self.alphas_cumprod = training.alphas_cumprod
        table = training.alphas_cumprod.double().numpy()
        log_sigma = 0.5 * np.log((1.0 - table) / table)
        self._told = _timesteps(0.5 * np.log(of.levels), log_sigma, outside)
        self._tape = of
        # rows over (y_0, answers) in y-units; y_0 is the first input undivided
        unit = np.append(np.sqrt(1.0 + of.levels), 1.0)
        self._start: Array = unit * of.start / (unit[0] * of.start[0])
        self._answers: Array = unit[:, None] * of.answers
        self.sigmas = torch.from_numpy(np.sqrt(of.levels))
        self.init_noise_sigma = float(of.start_std * of.start[0] * unit[0])
        self.num_inference_steps = of.K
        self.timesteps = torch.from_numpy(self._told.copy())
        self._begin()

    def _begin(self) -> None:
        self._at: int = 0
        self._first: torch.Tensor | None = None
        self._held: list[torch.Tensor] = []

    def set_timesteps(self, num_inference_steps: int, device: str | torch.device | None = None) -> None:
        """The tape's K calls; any other number is refused with `BadInput`."""
        if count("num_inference_steps", num_inference_steps) != self._tape.K:
            raise BadInput(
                "num_inference_steps", num_inference_steps, f"must be {self._tape.K}: the tape's calls"
            )
        self.timesteps = torch.from_numpy(self._told.copy()).to(device)
        self._begin()

    def scale_model_input(self, sample: torch.Tensor, timestep: float | torch.Tensor) -> torch.Tensor:
        """y/√(1 + λ) of the call that is next."""
        if self._at >= self._tape.K:
            raise BadInput("timestep", float(timestep), "comes after the last: call set_timesteps again")
        return sample / math.sqrt(1.0 + float(self._tape.levels[self._at]))

    def step(
        self,
        model_output: torch.Tensor,
        timestep: float | torch.Tensor,
        sample: torch.Tensor,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor]:
        """The next input, or the output, from the network's answer at ``sample`` (y-units)."""
        i = self._at
        if i >= self._tape.K:
            raise BadInput("timestep", float(timestep), "comes after the last: call set_timesteps again")
        if i == 0:
            self._first = sample
        assert self._first is not None
        self._held.append(self._denoised(model_output, sample, math.sqrt(float(self._tape.levels[i]))))
        self._at = i + 1
        moved = float(self._start[i + 1]) * self._first
        for weight, answer in zip(self._answers[i + 1].tolist(), self._held, strict=False):
            if weight:
                moved = moved + weight * answer
        return SchedulerOutput(prev_sample=moved) if return_dict else (moved,)

    def _denoised(self, answer: torch.Tensor, sample: torch.Tensor, sigma: float) -> torch.Tensor:
        wanted = self.config["prediction_type"]
        if wanted == "epsilon":
            return sample - sigma * answer
        if wanted == "sample":
            return answer
        return sample / (1.0 + sigma**2) - answer * (sigma / math.sqrt(1.0 + sigma**2))

    def __len__(self) -> int:
        return int(self.config["num_train_timesteps"])


def _timesteps(wanted: Array, log_sigma: Array, outside: str) -> Array:
    """Where the training's table (ascending) has log σ = ``wanted`` (K,)."""
    low, high = float(log_sigma[0]), float(log_sigma[-1])
    beyond = (wanted < low - 1e-9) | (wanted > high + 1e-9)
    if beyond.any() and outside == "refuse":
        raise BadInput(
            "tape",
            f"sigma = {math.exp(float(wanted[beyond][0])):.5g}",
            f"is outside the training, {math.exp(low):.5g} to {math.exp(high):.5g}; "
            'outside="nearest" tells the network the nearest',
        )
    return np.asarray(np.interp(wanted, log_sigma, np.arange(log_sigma.size, dtype=np.float64)))
