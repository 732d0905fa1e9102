"""Checkpoints: one safetensors file each, written whole or not at all; a step number, tensors and their shapes.

A file holds the network, its average (EMA) and Adam's state; its header holds the step and the architecture,
as JSON. Nothing is pickled, so a stranger's checkpoint runs nothing.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from numerics.cifar10.networks import UNSAID, Architecture
from numerics.io.reading import is_folder
from numerics.io.writing import directory, write
from wbound.errors import BadInput, IOFailure

__all__ = [
    "Checkpoint",
    "checkpoint_step",
    "checkpoints_of",
    "load_checkpoint",
    "restore",
    "restore_optimiser",
    "save_checkpoint",
]

FORMAT = "wbound images 1"
_NAME = re.compile(r"step-(\d{9})\.safetensors")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """``network``, ``average``: tensors by parameter name; ``optimiser``: by "state.parameter"."""

    step: int
    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimiser: dict[str, Tensor]


def checkpoints_of(folder: Path) -> list[Path]:
    """The finished checkpoints of a folder, oldest first."""
    if not is_folder(folder):
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def checkpoint_step(path: Path) -> int:
    """The step in a checkpoint's file name. Raises `BadInput`."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise BadInput("checkpoint", path.name, "must be named step-000000123.safetensors")
    return int(match[1])


def save_checkpoint(
    folder: Path,
    step: int,
    network: nn.Module,
    average: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    shape: Architecture,
    keep: int = 2,
) -> Path:
    """Write the checkpoint of ``step``, then delete all but the last ``keep``. Raises `IOFailure`: the former
    ones are then as they were."""
    names: dict[Any, str] = {parameter: name for name, parameter in network.named_parameters()}
    tensors = {f"network.{name}": parameter.detach() for name, parameter in network.named_parameters()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
    for parameter, state in optimiser.state.items():
        tensors |= {f"optimiser.{key}.{names[parameter]}": value for key, value in state.items()}
    header = {"format": FORMAT, "step": str(step), "architecture": json.dumps(shape.to_dict())}
    whole = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    path = write(directory(folder) / f"step-{step:09d}.safetensors", save(whole, header))
    for old in checkpoints_of(folder)[:-keep]:
        with contextlib.suppress(OSError):  # a checkpoint too many harms nobody
            old.unlink()
    return path


def load_checkpoint(path: Path, shape: Architecture | None = None) -> Checkpoint:
    """A checkpoint, checked against the architecture where one is given. Raises `BadInput` (no checkpoint, a
    truncated one, one of another architecture) and `IOFailure`."""
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimiser": {}}
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, Any] = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise BadInput("checkpoint", path.name, f"must be of the format {FORMAT}")
            _compare(path, header.get("architecture", "{}"), shape)
            for name in sorted(file.keys()):
                part, _, rest = name.partition(".")
                if part not in parts:
                    raise BadInput("checkpoint", path.name, f"holds the tensor {name}")
                parts[part][rest] = file.get_tensor(name)
    except SafetensorError as error:
        raise BadInput("checkpoint", path.name, f"is no whole checkpoint: {error}") from None
    except OSError as error:
        raise IOFailure(f"cannot read {path}: {error.strerror or error}") from None
    step = header.get("step", "")
    if not (step.isascii() and step.isdigit()):
        raise BadInput("checkpoint", path.name, "has no step")
    return Checkpoint(int(step), **parts)


def _compare(path: Path, found: str, shape: Architecture | None) -> None:
    if shape is None:
        return
    try:
        theirs = json.loads(found)
    except ValueError:
        theirs = None
    if not isinstance(theirs, dict):
        raise BadInput("checkpoint", path.name, "does not say its architecture")
    theirs = UNSAID | theirs
    differing = [k for k, v in shape.to_dict().items() if theirs.get(k) != v]
    if differing:
        said = ", ".join(f"{k} {theirs.get(k)} and not {shape.to_dict()[k]}" for k in differing)
        raise BadInput("checkpoint", path.name, f"is of another architecture: {said}")


def restore(tensors: Mapping[str, Tensor], into: Mapping[str, Tensor], path: Path) -> None:
    """Copy tensors by name, all of them, each of the same shape. Raises `BadInput`."""
    if tensors.keys() != into.keys():
        odd = sorted(tensors.keys() ^ into.keys())[0]
        raise BadInput("checkpoint", path.name, f"is of another architecture: the tensor {odd}")
    for name, tensor in tensors.items():
        if tensor.shape != into[name].shape:
            raise BadInput(
                "checkpoint",
                path.name,
                f"is of another architecture: {name} is {tuple(tensor.shape)}, not {tuple(into[name].shape)}",
            )
        into[name].copy_(tensor)


def restore_optimiser(
    optimiser: torch.optim.Optimizer, network: nn.Module, checkpoint: Checkpoint, path: Path
) -> None:
    """Adam's state, by parameter name. Raises `BadInput` where it does not fit."""
    order = {name: i for i, name in enumerate(n for n, p in network.named_parameters() if p.requires_grad)}
    shapes = dict(network.named_parameters())
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in checkpoint.optimiser.items():
        key, _, parameter = name.partition(".")
        if parameter not in order or (key != "step" and tensor.shape != shapes[parameter].shape):
            raise BadInput("checkpoint", path.name, f"is of another architecture: the optimiser's {name}")
        # of the parameter's memory layout, so that fused kernels meet the layout that they left
        like = tensor if key == "step" else torch.empty_like(shapes[parameter].detach()).copy_(tensor)
        state.setdefault(order[parameter], {})[key] = like
    if checkpoint.optimiser and len(state) != len(order):
        raise BadInput("checkpoint", path.name, "does not hold the whole state of the optimiser")
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
