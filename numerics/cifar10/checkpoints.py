"""Checkpoints: one safetensors file each, written whole or not at all; a step number, tensors and their shapes.

Some are kept, by steps (``step-…``, which show how training went); one more is there to go on from, by the clock
(``recovery-…``). Both are copied from the device at once and written by a thread, while training goes on.

A file holds the network, its average (EMA) and Adam's state; its header holds the step and the architecture,
as JSON. Nothing is pickled, so a stranger's checkpoint runs nothing.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
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
    "Cadence",
    "Checkpoint",
    "CheckpointWriter",
    "captured",
    "checkpoint_step",
    "checkpoints_of",
    "load_checkpoint",
    "restore",
    "restore_optimiser",
]

FORMAT = "wbound images 1"
_NAME = re.compile(r"(step|recovery)-(\d{9})\.safetensors")
#: The largest share of the time that checkpoints for recovery may take of training.
SHARE = 0.02


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """``network``, ``average``: tensors by parameter name; ``optimiser``: by "state.parameter"."""

    step: int
    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimiser: dict[str, Tensor]


def checkpoints_of(folder: Path, kind: str = "step") -> list[Path]:
    """The finished checkpoints of a folder that are kept ("step"), or those for "recovery", oldest first."""
    if not is_folder(folder):
        return []
    named = ((path, _NAME.fullmatch(path.name)) for path in folder.iterdir())
    return sorted(path for path, match in named if match is not None and match[1] == kind)


def checkpoint_step(path: Path) -> int:
    """The step in a checkpoint's file name. Raises `BadInput`."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise BadInput("checkpoint", path.name, "must be named step-000000123.safetensors")
    return int(match[2])


def captured(
    step: int,
    network: nn.Module,
    average: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    shape: Architecture,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a checkpoint, copied to the host, and its header: what training does next is not in it."""
    names: dict[Any, str] = {parameter: name for name, parameter in network.named_parameters()}
    tensors = {f"network.{name}": parameter.detach() for name, parameter in network.named_parameters()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
    for parameter, state in optimiser.state.items():
        tensors |= {f"optimiser.{key}.{names[parameter]}": value for key, value in state.items()}
    header = {"format": FORMAT, "step": str(step), "architecture": json.dumps(shape.to_dict())}
    # contiguous first: a copy keeps a tensor's layout, which the file does not
    return {name: t.contiguous().to("cpu", copy=True) for name, t in tensors.items()}, header


class CheckpointWriter:
    """Writes checkpoints into ``folder`` with one thread, in their order; ``keep`` of those by steps stay, and of those
    for recovery the last, as long as nothing later is there."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None

    def submit(self, step: int, kind: str, content: tuple[dict[str, Tensor], dict[str, str]]) -> Path:
        """Have it written once the one before is; its path. Raises what the one before met (`IOFailure`)."""
        self.wait()
        path = self.folder / f"{kind}-{step:09d}.safetensors"
        self._pending = self._pool.submit(self._write, path, content)
        return path

    def wait(self) -> None:
        """Until all is written. Raises `IOFailure`: the former checkpoints are then as they were."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _write(self, path: Path, content: tuple[dict[str, Tensor], dict[str, str]]) -> None:
        directory(self.folder)
        write(path, save(*content))
        step = checkpoint_step(path)
        passed = [old for old in checkpoints_of(self.folder, "recovery") if checkpoint_step(old) < step]
        if path.name.startswith("step"):
            passed = checkpoints_of(self.folder, "recovery") + checkpoints_of(self.folder)[: -self.keep]
        for old in passed:
            with contextlib.suppress(OSError):  # a checkpoint too many harms nobody
                old.unlink()


class Cadence:
    """When the next checkpoint for recovery is due: ``seconds`` after the last, or so long that what the last one held
    training up is `SHARE` of the time. ``clock``: seconds from anywhere."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self.clock = seconds, clock
        self.last, self.spent, self.longest = clock(), 0.0, 0.0

    @property
    def due(self) -> bool:
        """Whether it is; never where ``seconds`` is 0."""
        return self.seconds > 0.0 and self.clock() - self.last >= max(self.seconds, self.longest / SHARE)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Around what holds training up for a checkpoint."""
        began = self.clock()
        yield
        self.last = self.clock()
        self.longest = self.last - began
        self.spent += self.longest


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
