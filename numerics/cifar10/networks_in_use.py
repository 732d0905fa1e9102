"""The network that a command samples with: of a run of ours, or somebody else's; one shape for both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.cifar10.fast_networks import Speed
from numerics.cifar10.foreign_networks import foreign_network
from numerics.cifar10.noise_levels import LevelScore, along
from numerics.cifar10.processes import ImageProcess, image_process
from numerics.cifar10.runs import OF_ALL, Config, load_run
from wbound.errors import BadInput

__all__ = ["InUse", "finite", "in_use"]


@dataclass(frozen=True, eq=False)
class InUse:
    """A network as samplers take it: a process's ``score`` and the smoothed data's ``level_score``, the images'
    ``shape``; ``step`` and ``config`` of a run of ours (None for others'); ``about``: what it is, in words;
    ``identity``: what its samples depend on, up to float32's rounding."""

    name: str
    process: ImageProcess
    score: Callable[[Tensor, Tensor | float], Tensor]
    level_score: LevelScore
    shape: tuple[int, int, int]
    step: int | None
    config: Config | None
    about: str
    identity: str


def in_use(
    run: str | None,
    network: str | None,
    device: torch.device | str = "cpu",
    *,
    process: ImageProcess | None = None,
    step: int | None = None,
    shape: tuple[int, int, int] | None = None,
    speed: Speed | None = None,
    tell: Callable[[str], object] = lambda text: None,
) -> InUse:
    """A run's directory, or ``network`` as `foreign_network` takes it, as the score of ``process``; ``shape`` of its
    images, where the network does not say it; ``speed`` and ``tell``: see `load_run`; other people's run as they are. Raises
    `BadInput`, `IOFailure`."""
    if (run is None) == (network is None):
        raise BadInput("network", network or "(not given)", "give DIR or --network, one of them")
    if run is not None:
        if shape is not None:
            raise BadInput("shape", shape, "goes with --network: a run knows its own")
        t = load_run(run, device, step, process, speed, tell)
        about = f"step {t.step}, {t.how}"
        identity = f"step {t.step}, {t.how.partition(',')[0]}, {t.sha256}"
        return InUse(run, t.process, t.score, t.level_score, t.shape, t.step, t.config, about, identity)
    assert network is not None
    if step is not None:
        raise BadInput("step", step, "goes with a run directory")
    if speed not in (None, Speed()):
        raise BadInput(
            "precision", str(speed), "goes with a run directory: other people's networks run as they are"
        )
    found = foreign_network(network, device)
    if shape is not None and found.shape is not None and shape != found.shape:
        raise BadInput("shape", shape, f"must be {found.shape}, as the network says")
    sides = found.shape or shape
    if sides is None:
        raise BadInput("shape", "(not given)", "give --shape C,H,W: the network does not say it")
    own = process or image_process(OF_ALL)
    score = along(found.level_score, own)
    return InUse(network, own, score, found.level_score, sides, None, None, found.about, found.about)


def finite(images: Tensor) -> Tensor:
    """The images (n, …), refused where one has NaN or infinity. Raises `BadInput`."""
    bad = int((~torch.isfinite(images).flatten(1).all(dim=1)).sum())
    if bad:
        raise BadInput(
            "samples", f"NaN or infinity in {bad} of {len(images)}", "must be finite: the sampler diverged"
        )
    return images
