"""The real scheduler run on Gaussian coordinates with the exact network: what a tape's law has to say.

Written apart from the recorder: the network's level is read off the library's own tables here, in its own way.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def exact_network(scheduler: Any, v: Any, mean: Any) -> Any:
    """(input, timestep) → output of the network that knows N(mean, v) on each coordinate."""
    import torch

    c = scheduler.config
    kind = c.get("prediction_type", "epsilon")
    name = type(scheduler).__name__
    log_ratio = None
    if hasattr(scheduler, "alphas_cumprod"):
        bar = scheduler.alphas_cumprod.to(torch.float64)
        log_ratio = torch.log1p(-bar) - torch.log(bar)

    def posterior(x: Any, a: float, s: float) -> Any:
        return mean + a * v * (x - a * mean) / (a * a * v + s * s)

    def network(x: Any, t: Any) -> Any:
        x, t = x.double(), float(t)
        if "EDM" in name or "Cosine" in name:
            sigma = math.exp(4 * t) if "EDM" in name else math.tan(t * math.pi / 2)
            y = x * math.sqrt(sigma**2 + c.sigma_data**2)
            D = posterior(y, 1.0, sigma)
            skip = c.sigma_data**2 / (sigma**2 + c.sigma_data**2)
            out = sigma * c.sigma_data / math.sqrt(sigma**2 + c.sigma_data**2)
            return (D - skip * y) / (out if kind == "epsilon" else -out)
        if "FlowMatch" in name or c.get("use_flow_sigmas"):
            s = t / c.num_train_timesteps
            D = posterior(x, 1 - s, s)
            return (x - D) / s  # E[noise − data]
        if c.get("timestep_type") == "continuous" and kind == "v_prediction":
            level = math.exp(8 * t)
        else:
            low = math.floor(t)
            high = min(low + 1, len(log_ratio) - 1)
            part = t - low
            level = math.exp(float((1 - part) * log_ratio[low] + part * log_ratio[high])) if part else None
            if level is None:
                bar_t = float(bar[low])
                level = (1 - bar_t) / bar_t if bar_t > 0 else math.inf
        a, s = (1 / math.sqrt(1 + level), math.sqrt(level / (1 + level))) if level < math.inf else (0.0, 1.0)
        D = posterior(x, a, s)
        noise = (x - a * D) / s
        return {
            "epsilon": noise,
            "sample": D,
            "v_prediction": a * noise - s * D,
            "flow_prediction": noise - D,
        }[kind]

    return network


def run_real(
    kind: str,
    config: dict[str, Any],
    K: int,
    v: Array,
    mean: float = 0.0,
    start: Any = None,
    placing: dict[str, Any] | None = None,
    stepping: dict[str, Any] | None = None,
    seed: int = 0,
    n: int = 1,
) -> Array:
    """The output (n, len(v)) of the library's scheduler with the exact network; ``start`` (n, len(v)) of unit scale."""
    import diffusers
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = getattr(diffusers, kind)(**config)
        scheduler.set_timesteps(K, **(placing or {})) if K else scheduler.set_timesteps(**(placing or {}))
        torch.manual_seed(seed)
        shape = (n, 1, 1, len(v))
        begun = np.ones((n, len(v))) if start is None else start
        x = torch.from_numpy(begun.copy()).reshape(shape) * float(getattr(scheduler, "init_noise_sigma", 1.0))
        network = exact_network(scheduler, torch.from_numpy(np.asarray(v, float)), mean)
        for t in scheduler.timesteps:
            seen = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
            x = scheduler.step(network(seen, t), t, x, **(stepping or {})).prev_sample
    return np.asarray(x.double().numpy()).reshape(n, len(v))
