"""Other people's networks: a U-Net of diffusers in a local folder, or a function of one's own, as a denoiser.

Both become the score of the data smoothed by σ, which every process, grid, scheme and tape can be sampled with.
Weights are read from safetensors alone; nothing is unpickled and nothing is fetched.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from numerics.cifar10.noise_levels import LevelScore, of_denoiser
from numerics.io.reading import is_file, is_folder, load_json
from numerics.recorders.scheduler_source import quiet, source_of
from wbound.errors import BadInput, WboundError

__all__ = ["PICKLES", "ForeignNetwork", "foreign_network"]

#: Endings of files that Python unpickles, which would run what is in them.
PICKLES = (".bin", ".ckpt", ".joblib", ".npk", ".pickle", ".pkl", ".pt", ".pth")
WEIGHTS = "diffusion_pytorch_model.safetensors"
SAFE = "only safetensors are read: a pickle can run anything (docs/howto/images.md says how to convert one)"

Denoiser = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class ForeignNetwork:
    """``level_score``: the score of the data smoothed by σ; ``shape`` (C, H, W) where the network says it; ``about``:
    what it is, in words."""

    name: str
    level_score: LevelScore
    shape: tuple[int, int, int] | None
    about: str


def foreign_network(text: str, device: torch.device | str = "cpu") -> ForeignNetwork:
    """``diffusers:FOLDER`` (a UNet2DModel with its scheduler's configuration) or ``module:function``, which is called
    without arguments and returns D(x, σ): x (B, C, H, W), σ (B,), the denoised images.

    Raises `BadInput`: no such thing, a pickle, another model, NaN among the weights, a scheduler whose network's
    answers are not known.
    """
    head, colon, rest = text.partition(":")
    if Path(text).suffix.lower() in PICKLES or Path(rest).suffix.lower() in PICKLES:
        raise BadInput("network", text, SAFE)
    if not colon or not rest:
        raise BadInput("network", text, "must be diffusers:FOLDER or my_module:make")
    return _of_diffusers(Path(rest), device) if head == "diffusers" else _of_function(head, rest, device)


# ---------------------------------------------------------------------- a function


def _of_function(module: str, function: str, device: torch.device | str) -> ForeignNetwork:
    name = f"{module}:{function}"
    here = str(Path.cwd())
    sys.path.insert(0, here)  # as ``python -m`` finds modules
    try:
        made = getattr(importlib.import_module(module), function)()
    except WboundError:
        raise
    except Exception as error:  # whatever the user's module raises: its words are the answer
        raise BadInput("network", name, f"{type(error).__name__}: {str(error)[:200]}") from None
    finally:
        sys.path.remove(here)
    if not callable(made):
        raise BadInput("network", name, f"must return a function D(x, sigma), not {type(made).__name__}")
    if isinstance(made, torch.nn.Module):
        made = made.to(device).eval().requires_grad_(False)
        _finite(made, name)
    said = getattr(made, "shape", None)
    shape = tuple(int(side) for side in said) if isinstance(said, tuple | list) and len(said) == 3 else None
    return ForeignNetwork(name, of_denoiser(_checked(made, name)), shape, "denoiser D(x, sigma)")  # type: ignore[arg-type]


def _checked(denoiser: Denoiser, name: str) -> Denoiser:
    """The denoiser, refused where it answers in another shape; its own exceptions in one line."""

    def checked(y: Tensor, sigma: Tensor) -> Tensor:
        try:
            out = denoiser(y, sigma)
        except (RuntimeError, ValueError, TypeError) as error:
            said = " ".join(str(error).split())[:200]
            raise BadInput("network", name, f"refuses images {tuple(y.shape[1:])}: {said}") from None
        if not isinstance(out, Tensor) or out.shape != y.shape:
            found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise BadInput("network", name, f"must return a tensor {tuple(y.shape)}, not {found}")
        return out.to(y.dtype)

    return checked


# ---------------------------------------------------------------------- diffusers


def _of_diffusers(folder: Path, device: torch.device | str) -> ForeignNetwork:
    from diffusers.models.unets.unet_2d import UNet2DModel

    inner = folder / "unet" if is_folder(folder / "unet") else folder
    if not is_file(inner / "config.json"):
        raise BadInput(
            "network", str(folder), "must be a folder with a UNet2DModel (config.json, or unet/config.json)"
        )
    config = load_json(inner / "config.json")
    found = config.get("_class_name") if isinstance(config, dict) else None
    if found != "UNet2DModel":
        raise BadInput("network", str(folder), f"holds a model {found}, must hold a UNet2DModel")
    if not is_file(inner / WEIGHTS):
        pickled = sorted(p.name for p in inner.iterdir() if p.suffix.lower() in PICKLES)
        said = f"holds {pickled[0]}: {SAFE}" if pickled else f"has no {WEIGHTS}"
        raise BadInput("network", str(inner), said)
    try:
        with quiet():
            unet, loading = UNet2DModel.from_pretrained(
                str(inner), use_safetensors=True, local_files_only=True, output_loading_info=True
            )
    except Exception as error:  # whatever the library meets in a damaged folder: its words are the answer
        said = " ".join(str(error).split())[:200]
        raise BadInput("network", str(inner), f"does not load as a UNet2DModel: {said}") from None
    odd = [*loading["missing_keys"], *loading["unexpected_keys"]]
    if odd:
        raise BadInput("network", str(inner), f"its weights do not fit its config.json: {odd[0]}")
    unet = unet.float().to(device).eval().requires_grad_(False)
    _finite(unet, str(inner))
    places = (folder / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json")
    place = next((p for p in places if is_file(p)), None)
    if place is None:
        raise BadInput(
            "network", str(folder), "has no scheduler/scheduler_config.json: what it answers is unknown"
        )
    denoiser, about = _answers(unet, place)
    size = unet.config.sample_size
    channels = unet.config.in_channels
    if unet.config.out_channels != channels:
        raise BadInput("network", str(inner), f"answers {unet.config.out_channels} channels for {channels}")
    sides = (size, size) if isinstance(size, int) else tuple(size or ())
    shape = (channels, *sides) if len(sides) == 2 else None
    return ForeignNetwork(f"diffusers:{folder}", of_denoiser(_checked(denoiser, str(folder))), shape, about)


def _answers(unet: Any, place: Path) -> tuple[Denoiser, str]:
    """The network as a denoiser, by what its scheduler says of its inputs and answers."""

    def ask(x: Tensor, label: Tensor) -> Tensor:
        out: Tensor = unet(x, label, return_dict=False)[0]
        return out

    said = load_json(place)
    name = said.get("_class_name") if isinstance(said, dict) else None
    if name == "ScoreSdeVeScheduler":  # it reads σ, and answers the score
        return lambda y, s: y + s[:, None, None, None].square() * ask(y, s), f"{name}, score"
    scheduler = source_of(place).make()
    name = type(scheduler).__name__
    if hasattr(scheduler, "precondition_outputs"):  # Karras et al.'s preconditioning, the library's

        def preconditioned(y: Tensor, sigma: Tensor) -> Tensor:
            s = sigma[:, None, None, None]
            F = ask(scheduler.precondition_inputs(y, s), scheduler.precondition_noise(sigma))
            out: Tensor = scheduler.precondition_outputs(y, F, s)
            return out

        return preconditioned, f"{name}, EDM's preconditioning"
    table = getattr(scheduler, "alphas_cumprod", None)
    form = scheduler.config.get("prediction_type", "epsilon")
    if table is None or form not in ("epsilon", "v_prediction", "sample"):
        raise BadInput(
            "network",
            str(place),
            f"{name} with prediction_type {form}: what its network answers is not known here",
        )
    kept = table.double().numpy()
    kept = kept[(kept > 0.0) & (kept < 1.0)]  # σ of 0 and of infinity are no levels to be asked at
    levels = torch.from_numpy(0.5 * (np.log1p(-kept) - np.log(kept))).to(unet.device)  # log σ of y = x/α

    def denoiser(y: Tensor, sigma: Tensor) -> Tensor:
        # as training had it at whole steps; between them log σ is interpolated; beyond them, the nearest step
        log = sigma.double().log()
        k = torch.searchsorted(levels, log).clamp(1, len(levels) - 1)
        at = (k - 1 + (log - levels[k - 1]) / (levels[k] - levels[k - 1])).clamp(0.0, len(levels) - 1.0)
        s = sigma[:, None, None, None]
        a = (1.0 + s.square()).rsqrt()
        out = ask(a * y, at.to(y.dtype))
        if form == "sample":
            return out
        return y - s * out if form == "epsilon" else a.square() * y - a * s * out

    low, high = math.exp(float(levels[0])), math.exp(float(levels[-1]))
    return denoiser, f"{name}, {form}, trained for sigma in [{low:.3g}, {high:.3g}]"


def _finite(network: torch.nn.Module, name: str) -> None:
    for key, parameter in network.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise BadInput("network", name, f"has NaN or infinity among its weights: {key}")
