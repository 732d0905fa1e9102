"""What the network of a diffusers scheduler is told: its level at a timestep, and the form of its answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numerics.recorders.noise_capture import tensor_of
from numerics.recorders.recording import NotRecorded, Run
from wbound.typing import Array

__all__ = ["FORMS", "Told", "is_flow", "told_of", "training_of"]


@dataclass(frozen=True, eq=False)
class Told:
    """The network's side of a configuration: its level at a timestep, and the form of its answer."""

    kind: str
    level: Callable[[float], tuple[float, float]]
    form: Callable[[Array, Array, float, float], Array]
    table: Array | None = None
    data: float | None = None

    def ask(self, run: Run, seen: Any, t: float, own: float | None) -> Any:
        """The network's output at the input ``seen`` and timestep ``t``."""
        alpha, sigma = self.level(t)
        x = seen.detach().double().numpy().reshape(-1)
        if self.data is not None:  # EDM: the input was scaled by 1/√(σ² + σ_data²)
            x = x * math.sqrt(sigma**2 + self.data**2)
        level = (sigma / alpha) ** 2 if alpha > 0.0 else math.inf
        answer = run.answer(x / math.hypot(alpha, sigma), level, own)
        if level == 0.0:  # a network at level 0 answers without the score, which the tape would take
            answer = x
        return tensor_of(self.form(x, answer, alpha, sigma)).reshape(seen.shape)


def told_of(scheduler: Any) -> Told:
    config, name = scheduler.config, type(scheduler).__name__
    wanted = config.get("prediction_type", "epsilon")
    N = config.get("num_train_timesteps", 1)
    if hasattr(scheduler, "precondition_noise"):
        return _told_edm(scheduler, wanted)
    if is_flow(scheduler):
        times = scheduler.timesteps
        if len(times) and float(times[0]) < float(times[-1]):  # time runs from noise at 0 to data at 1
            return Told("inverted", lambda t: (t / N, 1.0 - t / N), lambda x, D, a, s: -_velocity(x, D, a, s))
        return Told("flow", lambda t: (max(1.0 - t / N, 0.0), t / N), _velocity)
    if config.get("timestep_type") == "continuous" and wanted == "v_prediction":
        return Told("sigma", lambda t: _vp(math.exp(8.0 * t)), _v)
    if hasattr(scheduler, "alphas_cumprod"):
        table = scheduler.alphas_cumprod.double().numpy()
        form = FORMS.get(wanted)
        if form is None:
            raise NotRecorded("refused", name, f"prediction_type {wanted!r} is none of {', '.join(FORMS)}")
        return Told("table", _table_level(table), form, table)
    if hasattr(scheduler, "_alpha_cumprod"):  # Würstchen: a formula in continuous time
        return Told("formula", lambda t: _formula_level(scheduler, t), _noise)
    if name == "IPNDMScheduler":  # its timesteps are angles; its network answers v
        return Told("angle", lambda t: (_cosine(t), math.sin(t * math.pi / 2.0)), _v)
    raise NotRecorded(
        "refused", name, "has neither a training table nor flow times: what its network is told is unknown"
    )


def training_of(scheduler: Any) -> str | None:
    """What a scheduler's network was trained with: "edm", "flow", a "table" of betas, or none of these."""
    if hasattr(scheduler, "precondition_noise"):
        return "edm"
    if is_flow(scheduler):
        return "flow"
    return "table" if hasattr(scheduler, "alphas_cumprod") else None


def is_flow(scheduler: Any) -> bool:
    """Whether timesteps are flow times N·σ, σ in [0, 1]: by its sigmas, or because its configuration says so."""
    config = scheduler.config
    if config.get("use_flow_sigmas"):
        return True
    sigmas = getattr(scheduler, "sigmas", None)
    if hasattr(scheduler, "alphas_cumprod") or sigmas is None or type(scheduler).__name__ == "IPNDMScheduler":
        return False
    return float(max(sigmas)) <= 1.0 + 1e-6 and float(min(sigmas)) >= -1e-6


def _told_edm(scheduler: Any, wanted: str) -> Told:
    import torch

    data = float(scheduler.config.sigma_data)
    one = float(scheduler.precondition_noise(torch.tensor(1.0)))
    sign = {"epsilon": 1.0, "v_prediction": -1.0}.get(wanted)
    if sign is None:
        raise NotRecorded(
            "refused", type(scheduler).__name__, f"prediction_type {wanted!r} has no meaning here"
        )

    def level(t: float) -> tuple[float, float]:
        return 1.0, math.exp(4.0 * t) if one == 0.0 else math.tan(t * math.pi / 2.0)

    def form(y: Array, D: Array, a: float, s: float) -> Array:
        skip, out = data**2 / (s**2 + data**2), sign * s * data / math.sqrt(s**2 + data**2)
        return (D - skip * y) / out

    return Told("edm", level, form, data=data)


def _cosine(t: float) -> float:
    return math.cos(t * math.pi / 2.0) if abs(t - 1.0) > 1e-12 else 0.0


def _vp(level: float) -> tuple[float, float]:
    return 1.0 / math.sqrt(1.0 + level), math.sqrt(level / (1.0 + level))


def _table_level(table: Array) -> Callable[[float], tuple[float, float]]:
    """(α, σ) at a timestep; between two of them log σ/α is interpolated."""

    def level(t: float) -> tuple[float, float]:
        if not -0.5 <= t <= len(table) - 0.5:
            raise NotRecorded(
                "refused", "sampler", f"timestep {t:g} is none of the {len(table)} training steps"
            )
        k = min(max(t, 0.0), len(table) - 1.0)
        low = int(k)
        if not 0.0 <= table[low] <= 1.0:
            raise NotRecorded(
                "nan", "sampler", f"its table of training has the alpha bar {table[low]:g} at step {low}"
            )
        if k == low:
            return math.sqrt(table[low]), math.sqrt(max(1.0 - table[low], 0.0))
        pair = table[low : low + 2]
        if pair.min() <= 0.0:  # log σ/α is infinite at one end, and so between them
            return 0.0, 1.0
        if pair.max() >= 1.0:
            return 1.0, 0.0
        logs = np.log1p(-pair) - np.log(pair)
        return _vp(math.exp(float(logs[0] + (k - low) * (logs[1] - logs[0]))))

    return level


def _formula_level(scheduler: Any, t: float) -> tuple[float, float]:
    import torch

    kept = float(scheduler._alpha_cumprod(torch.tensor([t], dtype=torch.float64), "cpu"))
    return math.sqrt(kept), math.sqrt(1.0 - kept)


def _noise(x: Array, D: Array, a: float, s: float) -> Array:
    return (x - a * D) / s if s > 0.0 else 0.0 * x


def _v(x: Array, D: Array, a: float, s: float) -> Array:
    return a * _noise(x, D, a, s) - s * D


def _velocity(x: Array, D: Array, a: float, s: float) -> Array:
    return _noise(x, D, a, s) - D


#: The network's output at x = αX_0 + σZ, of its denoiser D (section 15).
FORMS: dict[str, Callable[[Array, Array, float, float], Array]] = {
    "epsilon": _noise,
    "v_prediction": _v,
    "sample": lambda x, D, a, s: D,
    "flow_prediction": _velocity,
}
