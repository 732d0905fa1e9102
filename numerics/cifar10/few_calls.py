"""Samplers for a few calls on a trained network: the phase sampler and others as tapes, with the network's own denoiser.

``python -m numerics.cifar10.few_calls RUN`` prints the rows of `few_call_rows` as JSON; docs/howto/few-steps.md shows them.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from numerics.cifar10.runs import Trained, load_run, versions
from numerics.schedules.few_step_families import Spectrum, phase_parent, refitted, tuned
from numerics.transport.samples import plugin_w2
from wbound.errors import BadInput, HypothesisFailed, count
from wbound.sampler.multistep import multistep_named
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["SAMPLERS", "denoiser_of", "few_call_rows", "run_tape"]

#: Tapes for a spectrum and K calls; all know the mean and the covariance of the training images and nothing else.
SAMPLERS: dict[str, Callable[[Spectrum, int], Tape]] = {
    "phase": phase_parent,
    "refitted": lambda spectrum, K: refitted(spectrum, K),
    "dpmpp-2m": lambda spectrum, K: tuned("dpmpp-2m", spectrum, K),
    "unipc": lambda spectrum, K: tuned("unipc", spectrum, K),
    "ddim": lambda spectrum, K: tuned("ddim(eta=0)", spectrum, K),
}
#: The least standard deviation (x) that spectra are given: images lie on a lattice of bytes, networks stop above 0.
LEAST = 0.02
#: Calls of the network's own fine run.
FINE = 60


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
    # all coefficients of the start and the answers sum to 1 in y-units: the mean goes along
    start = tape.start_std * noise
    answers: list[torch.Tensor] = []
    for i in range(tape.K + 1):
        unit = math.sqrt(1.0 + float(tape.levels[i])) if i < tape.K else 1.0
        y = unit * float(tape.start[i]) * start
        for weight, answer in zip(tape.answers[i].tolist(), answers, strict=False):
            if weight:
                y = y + unit * weight * answer
        if i == tape.K:
            return y + mean
        answers.append(denoise(y + mean, float(tape.levels[i])) - mean)
    raise AssertionError


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
    far = np.append(np.geomspace(20.0 * math.sqrt(x[-1]), LEAST, FINE), 0.0) ** 2

    def drawn(tape: Tape) -> Array:
        return np.asarray(run_tape(tape, denoise, noise, centre).flatten(1).numpy())

    flow = drawn(multistep_named("unipc").tape(far))
    out = [
        {"sampler": "flow", "calls": FINE, "flow": 0.0, "held_out": plugin_w2(flow[: len(held)], held) / size}
    ]
    for K in calls:
        for name, make in SAMPLERS.items():
            got = drawn(make(spectrum, K))
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


def main() -> None:
    trained = load_run(sys.argv[1])
    run = {key: trained.config.to_dict()[key] for key in ("process", "data", "preset", "steps", "seed")}
    print(json.dumps({"rows": few_call_rows(trained), "versions": versions(), "run": run}))


if __name__ == "__main__":
    main()
