"""What a diffusers ``scheduler_config.json`` visits: its formulas for betas and timesteps, without the
library.

Checked against diffusers 0.42.1 (set_timesteps of the schedulers named here); agreement is to the rounding
of their single-precision betas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from numerics.io.reading import MOST, load_json
from numerics.schedules.schedule_formats import Schedule, inside, ve, vector, vp
from wbound.errors import BadInput, count, one_of
from wbound.typing import Array

__all__ = ["from_diffusers", "training_log_lam"]


#: Schedulers whose timesteps are whole training steps; the others interpolate σ between them.
_ROUNDED = ("DDPM", "DDIM", "PNDM", "DPMSolver", "UniPC")
#: Those that lay out K+1 timesteps and drop the last.
_DROPPING = ("DPMSolver", "UniPC")
#: Switches that place the nodes in ways that are not followed here.
_UNREAD = ("use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "use_flow_sigmas")
_SIGMA = ("Euler", "Heun", "LMS", "KDPM2")


def from_diffusers(source: Path | str | Mapping[str, Any], steps: int | None = None) -> Schedule:
    """The nodes that a diffusers ``scheduler_config.json`` (a path, or its content) visits in ``steps``
    steps.

    Betas from beta_schedule (linear, scaled_linear, squaredcos_cap_v2, sigmoid) or trained_betas; the
    timesteps' spacing leading, linspace or trailing; Karras sigmas; EDM schedulers. ``steps`` None means
    all training steps. Raises `BadInput`: flow-matching and zero-terminal-SNR configurations start from λ =
    ∞, which this reader does not take.
    """
    config, name, kind = _read(source)
    if kind.startswith("EDM"):
        return _edm(config, kind, steps)
    if kind.startswith("FlowMatch") or config.get("prediction_type") == "flow_prediction":
        raise BadInput(
            "diffusers",
            kind,
            "flow matching starts at lam = infinity, which is not read: write sigma = t/(1 - t) of the later levels",
        )
    if not kind.startswith((*_ROUNDED, *_SIGMA)):
        raise BadInput(
            "diffusers", kind, "must be one of " + ", ".join((*_ROUNDED, *_SIGMA, "EDM")) + " schedulers"
        )
    if config.get("rescale_betas_zero_snr"):
        raise BadInput(
            "rescale_betas_zero_snr",
            "true",
            "starts at lam = infinity, which is not read: write the sigmas of the later levels",
        )
    _refuse_unread(config)
    betas = _betas(config)
    N = betas.size
    K = N if steps is None else count("steps", steps)
    if K > N:
        raise BadInput("steps", K, f"must be at most num_train_timesteps = {N}")
    log_sigma = 0.5 * _log_lam(betas)
    rounded = kind.startswith(_ROUNDED)
    default = "leading" if kind.startswith(("DDPM", "DDIM", "PNDM")) else "linspace"
    spacing = one_of(
        "timestep_spacing", config.get("timestep_spacing", default), ("leading", "linspace", "trailing")
    )
    times = _timesteps(N, K, spacing, _integer(config, "steps_offset", 0), kind)
    if rounded:
        levels = log_sigma[np.rint(times).astype(int)]
    else:  # interpolated in σ between training steps
        levels = np.log(np.interp(times, np.arange(N), np.exp(log_sigma)))
    if config.get("use_karras_sigmas"):
        high, low = log_sigma[[-1, 0]] if kind.startswith(_DROPPING) else levels[[0, -1]]
        levels = _karras(float(high), float(low), 7.0, K)
    log_lam = np.concatenate((2.0 * levels, [-np.inf]))
    if not (np.diff(log_lam) < 0.0).all():
        raise BadInput("steps", K, "two timesteps coincide at this number of steps")
    notes = [f"{kind}: {K} of {N} training steps, spacing {spacing}; the last step goes to lam = 0"]
    if config.get("set_alpha_to_one") is False or config.get("final_sigmas_type") == "sigma_min":
        key = (
            "set_alpha_to_one is false" if "set_alpha_to_one" in config else "final_sigmas_type is sigma_min"
        )
        notes.append(f"{key}: the library stops at its least noise, and not at the data as here")
    return Schedule(f"{name} ({kind}, {K} steps)", log_lam, vp(), tuple(notes))


def _refuse_unread(config: Mapping[str, Any]) -> None:
    """Options that place the nodes otherwise than the formulas here: passed over, they would change the answer."""
    for key in _UNREAD:
        if config.get(key):
            raise BadInput(key, str(config[key]).lower(), "is not read here, and would move the nodes")
    for key, usual in (("interpolation_type", "linear"), ("timestep_type", "discrete")):
        if config.get(key, usual) not in (usual, None):
            raise BadInput(key, str(config[key]), f"is not read here: must be {usual}")
    for key in ("sigma_min", "sigma_max"):
        if config.get("use_karras_sigmas") and config.get(key) is not None:
            raise BadInput(key, str(config[key]), "is not read here with use_karras_sigmas")


def _read(source: Path | str | Mapping[str, Any]) -> tuple[Mapping[str, Any], str, str]:
    """The content, the file's name and the class."""
    config, name = source, "scheduler_config"
    if not isinstance(source, Mapping):
        path = Path(source)
        config, name = load_json(path), path.name
    if not isinstance(config, Mapping):
        raise BadInput("file", name, "must be a JSON object")
    kind = str(config.get("_class_name", "DDPMScheduler"))
    return config, name, kind


def _log_lam(betas: Array) -> Array:
    """log λ after each step of training: Σ −log(1 − β) = log(1 + λ)."""
    return np.asarray(np.log(np.expm1(np.cumsum(-np.log1p(-betas)))))


#: Schedulers whose set_timesteps takes timesteps of one's own (diffusers 0.42.1).
_TAKES_TIMESTEPS = ("DDPM", "DPMSolverMultistep", "DPMSolverSinglestep", "EulerDiscrete", "HeunDiscrete")
#: With these they take none.
_PLACES_OWN = (
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "use_lu_lambdas",
    "use_flow_sigmas",
)


def training_log_lam(source: Path | str | Mapping[str, Any]) -> tuple[Array, tuple[str, ...]]:
    """log λ (N,) at the steps of training of a ``scheduler_config.json`` (a path, or its content), which timesteps
    are indices of, and notes on who takes them. Raises `BadInput` where a configuration takes no timesteps."""
    config, _, kind = _read(source)
    if kind.startswith(("EDM", "FlowMatch")) or not kind.startswith((*_ROUNDED, *_SIGMA)):
        raise BadInput("diffusers", kind, "has no training betas that timesteps could be indices of")
    if config.get("rescale_betas_zero_snr"):
        raise BadInput("rescale_betas_zero_snr", "true", "moves the betas: they are not those of training")
    for key in _PLACES_OWN:
        if config.get(key):
            raise BadInput(key, "true", f"places levels of its own: {kind} then takes no timesteps")
    notes: tuple[str, ...] = ()
    if not kind.startswith(_TAKES_TIMESTEPS):
        names = ", ".join(f"{name}Scheduler" for name in _TAKES_TIMESTEPS)
        notes = (f"{kind}.set_timesteps takes no timesteps of one's own; {names} do",)
    return _log_lam(_betas(config)), notes


def _timesteps(N: int, K: int, spacing: str, offset: int, kind: str) -> Array:
    """Timesteps (K,) decreasing, as real numbers in [0, N−1]."""
    times: Array
    if spacing == "linspace":
        times = np.linspace(0.0, N - 1.0, K)[::-1]
        times = np.rint(times) if kind.startswith(_ROUNDED) else times
        if kind.startswith(_DROPPING):
            times = np.rint(np.linspace(0.0, N - 1.0, K + 1))[::-1][:-1]
    elif spacing == "leading":
        ratio = N // K
        times = np.asarray(np.arange(K)[::-1] * float(ratio))
        if kind.startswith(_DROPPING):
            ratio = N // (K + 1)
            times = np.asarray((np.arange(K + 1) * float(ratio))[::-1][:-1])
        times = np.asarray(times + offset)
    else:
        times = np.rint(np.arange(N, 0, -N / K))[:K] - 1.0
    if times[0] > N - 1 or times[-1] < 0:
        raise BadInput("steps_offset", offset, f"leads past the {N} training steps")
    return times


def _betas(config: Mapping[str, Any]) -> Array:
    trained = config.get("trained_betas")
    if trained is not None:
        betas = vector(trained, "trained_betas")
        inside(betas, "trained_betas", 0.0, 1.0)
        return betas
    N = _integer(config, "num_train_timesteps", 1000)
    if not 1 <= N <= MOST:
        raise BadInput("num_train_timesteps", N, f"must be 1 … {MOST}")
    name = one_of(
        "beta_schedule",
        config.get("beta_schedule", "linear"),
        ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"),
    )
    if name == "squaredcos_cap_v2":
        u = np.linspace(0.0, 1.0, N + 1)
        bar = np.cos((u + 0.008) / 1.008 * math.pi / 2.0) ** 2
        return np.minimum(1.0 - bar[1:] / bar[:-1], 0.999)
    low, high = _number(config, "beta_start", 1e-4), _number(config, "beta_end", 0.02)
    for key, value in (("beta_start", low), ("beta_end", high)):
        if not 0.0 < value < 1.0:
            raise BadInput(key, value, "must be in (0, 1)")
    if name == "linear":
        return np.linspace(low, high, N)
    if name == "scaled_linear":
        return np.linspace(math.sqrt(low), math.sqrt(high), N) ** 2
    return low + (high - low) / (1.0 + np.exp(-np.linspace(-6.0, 6.0, N)))


def _edm(config: Mapping[str, Any], kind: str, steps: int | None) -> Schedule:
    low, high = _number(config, "sigma_min", 0.002), _number(config, "sigma_max", 80.0)
    if not 0.0 < low < high:
        raise BadInput("sigma_min", low, f"must be in (0, sigma_max = {high:g})")
    K = count("steps", steps if steps is not None else _integer(config, "num_train_timesteps", 1000))
    if K > MOST:
        raise BadInput("steps", K, f"must be at most {MOST}")
    name = one_of("sigma_schedule", config.get("sigma_schedule", "karras"), ("karras", "exponential"))
    if name == "karras":
        rho = _number(config, "rho", 7.0)
        if rho <= 0.0:
            raise BadInput("rho", rho, "must be > 0")
        levels = _karras(math.log(high), math.log(low), rho, K)
    else:
        levels = math.log(high) + np.linspace(0.0, 1.0, K) * (math.log(low) - math.log(high))
    if not (np.diff(levels) < 0.0).all():
        raise BadInput("steps", K, "two levels coincide at this number of steps")
    notes = (f"{kind}: sigmas {name}, {K} levels; the last step goes to sigma = 0",)
    return Schedule(f"{kind} ({K} steps)", np.concatenate((2.0 * levels, [-np.inf])), ve(), notes)


def _karras(log_high: float, log_low: float, rho: float, K: int) -> Array:
    """Logarithms of K levels (high^(1/ρ) + share (low^(1/ρ) − high^(1/ρ)))^ρ, where the powers themselves, or
    their difference, may leave double precision."""
    share = np.linspace(0.0, 1.0, K)
    inner = log_high + rho * np.log1p(share[share < 1.0] * math.expm1((log_low - log_high) / rho))
    return np.append(inner, [log_low][: K - inner.size])


def _number(config: Mapping[str, Any], key: str, default: float) -> float:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise BadInput(key, value, "must be a finite number")
    return float(value)


def _integer(config: Mapping[str, Any], key: str, default: int) -> int:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(key, value, "must be an integer")
    return value
