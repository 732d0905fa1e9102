"""The multistep samplers against the library that runs them: diffusers' schedulers on the same levels, exact denoiser."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from wbound.exact.law_of_tape import tape_law
from wbound.sampler.multistep import Multistep, multistep_named

#: diffusers hands tensors to NumPy in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

SPECTRUM = np.array([4.0, 1.0, 0.25, 0.04, 0.01])
SD: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
KARRAS: dict[str, Any] = {"use_karras_sigmas": True}
#: The classes keep their levels in float32.
FLOAT32 = 2e-5


def levels_of(scheduler: Any) -> np.ndarray:
    """λ at the scheduler's own sigmas (K+1,)."""
    return np.asarray(scheduler.sigmas.double().numpy() ** 2)


def gains(scheduler: Any, lam: np.ndarray, vp: bool) -> np.ndarray:
    """What the scheduler makes of a start of size σ_0 in y-units, per eigenvalue, from the denoiser x y/(x + λ).

    vp: samples in units of x, α = 1/√(1 + λ); else in y-units (Euler's classes).
    """
    import torch

    y0 = math.sqrt(lam[0])
    x = torch.tensor(SPECTRUM)
    state = torch.full((1, 1, 1, 5), y0, dtype=torch.float64) / (math.sqrt(1.0 + lam[0]) if vp else 1.0)
    for level, t in zip(lam, scheduler.timesteps, strict=False):
        y = state * (math.sqrt(1.0 + level) if vp else 1.0)
        noise = (y - x * y / (x + level)) / math.sqrt(level)
        state = scheduler.step(noise, t, state).prev_sample
    return np.asarray(state.ravel().numpy() * (math.sqrt(1.0 + lam[-1]) if vp else 1.0))


def agree(name: str | Multistep, scheduler: Any, K: int, vp: bool = True, accuracy: float = FLOAT32) -> None:
    scheduler.set_timesteps(K)
    lam = levels_of(scheduler)
    tape = multistep_named(name).tape(lam)
    assert tape.K == K
    own = tape_law(tape, SPECTRUM).gain * math.sqrt(lam[0] / (1.0 + lam[0]))
    assert own == pytest.approx(gains(scheduler, lam, vp), rel=accuracy, abs=0.1 * accuracy)


def off(m: str, **options: Any) -> Multistep:
    return replace(multistep_named(m), **options)


@pytest.mark.parametrize("K", [1, 2, 5, 12, 20])
@pytest.mark.parametrize("more", [{}, KARRAS], ids=["plain", "karras"])
def test_dpm_solver_multistep(K: int, more: dict[str, Any]) -> None:
    """Fewer than 15 steps: lower orders at the end; from 15 on the last step alone, which ends at 0."""
    from diffusers import DPMSolverMultistepScheduler as DPM

    if K == 1 and more:
        return  # Karras' levels of one step are one level twice
    for order in (2, 3):
        lowered = K < 15
        for final in ({}, {"euler_at_final": True}):
            m = off(f"dpmpp-{order}m", lower_order_final=lowered)
            agree(m, DPM(**SD, **more, **final, solver_order=order), K)


def test_dpm_solver_that_stops_early() -> None:
    """final_sigmas_type sigma_min from 15 steps on: the last step looks at as many answers as the others."""
    from diffusers import DPMSolverMultistepScheduler as DPM

    for order in (2, 3):
        agree(f"dpmpp-{order}m", DPM(**SD, solver_order=order, final_sigmas_type="sigma_min"), 18)
        lowered = off(f"dpmpp-{order}m", lower_order_final=True)
        agree(lowered, DPM(**SD, solver_order=order, final_sigmas_type="sigma_min"), 9)


@pytest.mark.parametrize("K", [2, 5, 12, 20])
@pytest.mark.parametrize("more", [{}, KARRAS], ids=["plain", "karras"])
def test_unipc(K: int, more: dict[str, Any]) -> None:
    from diffusers import UniPCMultistepScheduler as UniPC

    for name, order in (("unipc", 2), ("unipc-3", 3)):
        agree(name, UniPC(**SD, **more, solver_order=order), K)
        if not more:  # Karras' levels end at sigma_min by themselves
            early = UniPC(**SD, solver_order=order, final_sigmas_type="sigma_min", lower_order_final=False)
            agree(name, early, K)


@pytest.mark.parametrize("K", [2, 9, 20])
def test_deis(K: int) -> None:
    """In log ρ, down to the training's least level; its integrals are differences of float32."""
    from diffusers import DEISMultistepScheduler as DEIS

    for order in (2, 3):
        agree(off(f"deis{order}", lower_order_final=K < 15), DEIS(**SD, solver_order=order), K, accuracy=1e-4)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_lms_is_adams_bashforth_in_sigma(order: int) -> None:
    from diffusers import LMSDiscreteScheduler as LMS

    class Ordered(LMS):  # type: ignore[misc]
        def step(self, *arguments: Any) -> Any:
            return super().step(*arguments, order=order)

    for more in ({}, KARRAS):
        scheduler = Ordered(**SD, **more)
        scheduler.is_scale_input_called = True
        agree(f"ab{order}", scheduler, 15, vp=False)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_ddim_with_eta(eta: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gain and noise by unit impulses, one coordinate each."""
    import sys

    import torch
    from diffusers import DDIMScheduler as DDIM

    K, x = 12, 0.3
    scheduler = DDIM(**SD, clip_sample=False, set_alpha_to_one=True)
    scheduler.set_timesteps(K)
    kept = scheduler.alphas_cumprod.double().numpy()
    lam = np.array([1.0 / kept[t] - 1.0 for t in scheduler.timesteps.numpy()] + [0.0])
    drawn: list[int] = []

    def impulse(shape: Any, **_: Any) -> Any:
        drawn.append(1)
        out = torch.zeros(K + 1, dtype=torch.float64)
        out[len(drawn)] = 1.0
        return out

    monkeypatch.setattr(sys.modules[DDIM.__module__], "randn_tensor", impulse)
    state = torch.zeros(K + 1, dtype=torch.float64)
    state[0] = 1.0
    for level, t in zip(lam, scheduler.timesteps, strict=False):
        y = state * math.sqrt(1.0 + level)
        noise = (y - x * y / (x + level)) / math.sqrt(level)
        state = scheduler.step(noise, t, state, eta=eta).prev_sample
    out = state.numpy()
    law = tape_law(multistep_named(f"ddim(eta={eta})").tape(lam), [x])
    assert law.gain[0] == pytest.approx(out[0], rel=FLOAT32)
    assert law.noise[0] == pytest.approx((out[1:] ** 2).sum(), rel=FLOAT32, abs=1e-12)
