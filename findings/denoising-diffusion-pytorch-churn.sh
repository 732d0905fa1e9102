#!/usr/bin/env bash
# denoising-diffusion-pytorch: the Karras sampler's default churn makes its error three to fifteen times larger, the more
# so the more steps.
#
# Versions: denoising-diffusion-pytorch 2.3.4, einops 0.8.2, tqdm 4.70.1, torch 2.13.0 (a CPU build was used;
#   elsewhere it may be a large download), numpy 2.4.6. The package goes in with --no-deps: its other dependencies
#   belong to its trainer, and the file of this sampler is loaded by itself.
# One would guess: churn corrects earlier errors, so the stochastic sampler is the closer one at 32 steps.
# Behaviour: with an exact denoiser there is nothing to correct. On data N(0, 0.25), S_churn = 80 (the default) gives
#   a spread 5.4 per cent too large at 32 steps, S_churn = 0 gives 1.6. Doubling the steps divides the error of
#   the latter by four (second order); that of the former only by about two.
# How it is measured: the sampler is linear then. Row k of the batch gets a small number in the k-th draw (small, since
#   the package clamps its output to [-1, 1]) and zeros otherwise; the sum of squares is the output's variance.
# Output seen:
#   steps  32: default +5.43 %, S_churn=0 +1.57 %
#   steps  64: default +2.38 %, S_churn=0 +0.36 %
#   steps 128: default +1.26 %, S_churn=0 +0.09 %
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 einops==0.8.2 tqdm==4.70.1
"$room/venv/bin/pip" install -q --no-compile --no-deps denoising-diffusion-pytorch==2.3.4
cd "$room"
"$room/venv/bin/python" - 2> "$room/progress" <<'PY' || { tail -n 3 "$room/progress" >&2; exit 1; }
import importlib.util
from pathlib import Path
from unittest import mock

import einops
import torch

SMALL, V = 1e-3, 0.25
file = Path(einops.__file__).parents[1] / "denoising_diffusion_pytorch" / "elucidated_diffusion.py"
spec = importlib.util.spec_from_file_location("elucidated_diffusion", file)
package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)


class Units:
    """Draw k is SMALL times the k-th unit vector along the batch."""

    def __init__(self):
        self.drawn = 0

    def __call__(self, shape, **_):
        out = torch.zeros(shape, dtype=torch.float64)
        out[self.drawn] = SMALL
        self.drawn += 1
        return out


class Exact(torch.nn.Module):
    """The network whose preconditioned output is the exact denoiser of N(0, V)."""

    random_or_learned_sinusoidal_cond, self_condition = True, False

    def __init__(self, sigma_data=0.5):
        super().__init__()
        self.s, self.nothing = sigma_data, torch.nn.Parameter(torch.zeros(1))

    def forward(self, x, told, _):
        sigma = torch.exp(4 * told.double()).view(-1, 1, 1, 1)
        whole = (sigma**2 + self.s**2).sqrt()
        x = x.double() * whole
        return (V / (V + sigma**2) - self.s**2 / whole**2) * x * whole / (sigma * self.s)


def off(steps, **options):
    """Relative error of the standard deviation, per cent."""
    sampler = package.ElucidatedDiffusion(
        Exact(), image_size=1, channels=1, num_sample_steps=steps, **options
    )
    with mock.patch("torch.randn", Units()):
        out = sampler.sample(batch_size=steps + 1, clamp=False)
    return 100 * (float((2 * out - 1).norm()) / SMALL / V**0.5 - 1)


seen = {32: (5.425, 1.568), 64: (2.380, 0.364), 128: (1.263, 0.086)}
for steps, expected in seen.items():
    got = off(steps), off(steps, S_churn=0)
    print(f"steps {steps:3d}: default {got[0]:+.2f} %, S_churn=0 {got[1]:+.2f} %")
    assert all(abs(a - b) < 0.02 for a, b in zip(got, expected)), got
PY
