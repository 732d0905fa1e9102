"""Runs of a few steps, and what of two is compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from numerics.cifar10.checkpoints import load_checkpoint
from numerics.cifar10.runs import Config, Run, make_config


def config_of(**given: Any) -> Config:
    """A few steps of the smallest network."""
    values = {"steps": 12, "batch": 8, "log_every": 4, "checkpoint_every": 4, "warmup": 5, **given}
    return make_config(values.pop("process", "vp-original"), "digits", "smoke", **values)


def same(one: Path, two: Path) -> bool:
    """Whether two checkpoints agree to the bit: network, average and optimiser."""
    a, b = load_checkpoint(one), load_checkpoint(two)
    parts = ((a.network, b.network), (a.average, b.average), (a.optimiser, b.optimiser))
    return a.step == b.step and all(
        x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x) for x, y in parts
    )


def last(folder: Path) -> Path:
    found = Run(folder).last
    assert found is not None
    return found
