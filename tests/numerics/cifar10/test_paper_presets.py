"""The presets of the paper's table train, and each family is sampled by its own sampler."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from numerics.cifar10.checkpoints import checkpoints_of, load_checkpoint
from numerics.cifar10.runs import Run
from numerics.cifar10.sampling import plan
from numerics.cli.main import main


@pytest.mark.parametrize(
    ("preset", "process", "scheme", "acts_on"),
    [
        ("paper", "vp-v2", "em-point", "images in [-1, 1]"),
        ("paper", "ve-v3", "pc", "sigma from 0.02 to 100: on [0, 1] it is 0.01 to 50"),
        pytest.param("paper-deep", "vp-v2", "em-point", "images in [-1, 1]", marks=pytest.mark.deep),
        pytest.param("paper-deep", "ve-v3", "pc", "it is 0.01 to 50", marks=pytest.mark.deep),
    ],
)
def test_a_preset_of_the_paper_trains_and_samples(
    tmp_path: Path, capsys, preset: str, process: str, scheme: str, acts_on: str
) -> None:
    """Four steps of two digits move the ends of every block, which begin at 0; samples are those of the family's scheme,
    and both commands say the range that the SDE acts on."""
    run, samples = str(tmp_path / "run"), [str(tmp_path / name) for name in ("paper.npz", "named.npz")]
    given = [
        "--preset",
        preset,
        "--process",
        process,
        "--conditioning",
        "process",
        "--batch",
        "2",
        "--warmup",
        "1",
    ]
    assert (
        main(["images", "train", *given, "--steps", "4", "--checkpoint-every", "1", "--keep", "4", "-o", run])
        == 0
    )
    assert acts_on in capsys.readouterr().out
    config, shape = Run(Path(run)).read()
    rho = {"vp-v2": 5.0, "ve-v3": 7.0}[process]
    assert config.image_process().parameters["rho"] == rho and shape.reference
    first, *_, last = (load_checkpoint(p, shape).network for p in checkpoints_of(Path(run) / "checkpoints"))
    assert all(bool(torch.isfinite(v).all()) for v in last.values())
    ends = [name for name in first if name.endswith(("conv2.weight", "conv_in.weight", "conv_out.weight"))]
    assert len(ends) > 30 and not any(torch.equal(first[name], last[name]) for name in ends)
    for out, name in zip(samples, ("paper", scheme), strict=True):
        words = ["--K", "2", "--n", "2", "--scheme", name, "--precision", "fp32", "-o", out]
        assert main(["images", "sample", run, *words, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert acts_on in said["range"]
        assert (
            said["evaluations"]
            == plan(config.image_process(), 2, scheme).evaluations
            == (4 if scheme == "pc" else 2)
        )
    drawn = [np.load(path)["images"] for path in samples]
    assert drawn[0].shape == (2, 1, 8, 8) and np.array_equal(*drawn)
