"""Samplers for a few calls on a trained network: the phase sampler and others as tapes, with the network's own denoiser.

``python -m numerics.cifar10.few_calls RUN`` prints the rows of `few_call_rows` as JSON; those of one network are kept in
numerics/studies/results, and docs/howto/few-steps.md shows them.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from numerics.cifar10.noise_levels import of_denoiser
from numerics.cifar10.runs import Trained, load_run, versions
from numerics.cifar10.tape_sampling import walk
from numerics.io.table_writers import markdown_table
from numerics.schedules.few_step_families import Spectrum, phase_parent, refitted, tuned
from numerics.transport.samples import plugin_w2
from wbound.errors import BadInput, HypothesisFailed, count
from wbound.sampler.multistep import multistep_named
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["SAMPLERS", "denoiser_of", "few_call_rows", "record_of", "run_tape", "table"]

#: Tapes for a spectrum, K calls and the largest σ that the network knows; all know the mean and the covariance of the
#: training images and nothing else.
SAMPLERS: dict[str, Callable[[Spectrum, int, float], Tape]] = {
    "phase": lambda spectrum, K, most: phase_parent(spectrum, K),
    "refitted": lambda spectrum, K, most: refitted(spectrum, K),
    "dpmpp-2m": lambda spectrum, K, most: tuned("dpmpp-2m", spectrum, K, most),
    "unipc": lambda spectrum, K, most: tuned("unipc", spectrum, K, most),
    "ddim": lambda spectrum, K, most: tuned("ddim(eta=0)", spectrum, K, most),
}
#: The least standard deviation (x) that spectra are given: images lie on a lattice of bytes, networks stop above 0.
LEAST = 0.02
#: Calls of the network's own fine run; of what is printed the calls, the images and the seeds.
FINE = 60
CALLS, IMAGES, SEEDS = (5, 6, 8, 10), 200, (0, 1)


def denoiser_of(trained: Trained) -> Callable[[torch.Tensor, float], torch.Tensor]:
    """E[X_0 | y] at y = x/α and the level λ, (B, C, H, W), by the network: (x + std² s)/α at the time whose clock is λ.

    For VP networks; raises `BadInput` for others, and for a level that the process does not reach.
    """
    process = trained.process
    if process.kind != "vp":
        raise BadInput("process", process.name, "must be a VP process")

    def denoised(y: torch.Tensor, level: float) -> torch.Tensor:
        t = max(float(process.process.time_of(math.log(level))), process.t_min)
        if t > 1.0 + 1e-9:
            raise BadInput("level", level, "is above what the network was trained on")
        alpha, std = float(process.alpha(t)), float(process.std(t))
        x = (alpha * y).float()
        return ((x + std**2 * trained.score(x, min(t, 1.0))) / alpha).to(y.dtype)

    return denoised


def run_tape(
    tape: Tape,
    denoise: Callable[[torch.Tensor, float], torch.Tensor],
    noise: torch.Tensor,
    mean: torch.Tensor,
) -> torch.Tensor:
    """The tape's output (B, C, H, W) from standard normal ``noise``, started at ``mean``; levels finite and > 0.

    Raises `HypothesisFailed` for a tape that draws noise.
    """
    if tape.stochastic:
        raise HypothesisFailed("the tape", "a tape without noise", "this one draws noise")

    def centred(y: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return denoise(y + mean, float(sigma[0]) ** 2) - mean

    # all coefficients of the start and the answers sum to 1 in y-units: the mean goes along
    return walk(of_denoiser(centred), tape, iter((noise,)), None) + mean


def few_call_rows(
    trained: Trained, calls: Sequence[int] = (5, 10), n: int = 200, seed: int = 0
) -> list[dict[str, Any]]:
    """For each sampler and number of calls, over √tr Σ of the training images: ``flow``, W2 (plug-in, common noise) to the
    network's own probability flow in 60 calls of UniPC, which is the sampler's own error; ``held_out``, W2 (plug-in, biased
    upward) to held-out images, in which the network's error is too. The first row is the flow's own. Raises `BadInput`.
    """
    n = count("n", n)
    whole = trained.config.images("cpu")
    rows = whole.floats().double().flatten(1).numpy()
    mean = rows.mean(axis=0)
    x = np.maximum(np.linalg.eigvalsh(np.cov(rows.T)), LEAST**2)
    spectrum = (tuple(x.tolist()), (1.0,) * x.size)
    size, held = math.sqrt(float(x.sum())), _held_out(trained, n)
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((n, *trained.shape)))
    centre, denoise = torch.from_numpy(mean).reshape(trained.shape), denoiser_of(trained)
    most = float(trained.process.std(1.0) / trained.process.alpha(1.0))
    far = np.append(np.geomspace(min(20.0 * math.sqrt(x[-1]), most), LEAST, FINE), 0.0) ** 2

    def drawn(tape: Tape) -> Array:
        return np.asarray(run_tape(tape, denoise, noise, centre).flatten(1).numpy())

    flow = drawn(multistep_named("unipc").tape(far))
    out = [
        {"sampler": "flow", "calls": FINE, "flow": 0.0, "held_out": plugin_w2(flow[: len(held)], held) / size}
    ]
    for K in calls:
        for name, make in SAMPLERS.items():
            got = drawn(make(spectrum, K, most))
            apart = plugin_w2(got, flow, method="assignment") / size
            out.append(
                {
                    "sampler": name,
                    "calls": K,
                    "flow": apart,
                    "held_out": plugin_w2(got[: len(held)], held) / size,
                }
            )
    return out


def _held_out(trained: Trained, n: int) -> Array:
    """Up to n held-out images, flat."""
    from numerics.cifar10.images import load_images

    config = trained.config
    other = load_images(config.data, config.root, "cpu", flips=False).split(config.split_seed)[1]
    return np.asarray(other.floats(torch.arange(min(n, len(other)))).double().flatten(1).numpy())


def record_of(trained: Trained) -> dict[str, Any]:
    """What is printed: ``rows`` of each seed, the run and the versions."""
    rows = [{"seed": seed, **row} for seed in SEEDS for row in few_call_rows(trained, CALLS, IMAGES, seed)]
    keys = ("process", "data", "preset", "steps", "seed")
    run = {key: trained.config.to_dict()[key] for key in keys}
    return {"rows": rows, "images": IMAGES, "run": run, "versions": versions()}


def table(record: dict[str, Any]) -> str:
    """The record in Markdown: ``flow`` and ``held_out``, of each seed."""
    rows = record["rows"]
    calls = sorted({row["calls"] for row in rows if row["sampler"] != "flow"})
    heads = [f"{what}, {K} calls" for what in ("flow", "held out") for K in calls]
    cells = []
    for name in dict.fromkeys(row["sampler"] for row in rows if row["sampler"] != "flow"):
        told = [
            ", ".join(f"{r[key]:.3f}" for r in rows if (r["sampler"], r["calls"]) == (name, K))
            for key in ("flow", "held_out")
            for K in calls
        ]
        cells.append([name, *told])
    return markdown_table(["sampler", *heads], cells) + "\n"


def main() -> None:
    print(json.dumps(record_of(load_run(sys.argv[1])), indent=1))


if __name__ == "__main__":
    main()
