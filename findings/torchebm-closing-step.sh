#!/usr/bin/env bash
# torchebm: the SDE sampler closes with one step of fixed size 0.04, so its error has a floor that no number of
# steps lowers.
#
# Versions: torchebm 0.8.9, torch 2.13.0 (a CPU build was used; elsewhere it may be a large download), numpy 2.4.6.
# One would guess: four times the steps, about a quarter of the error.
# Behaviour: with the defaults of mode="sde" (last_step="Mean", last_step_size=0.04) integration stops at t = 0.96
#   and one Euler step of the reverse drift, without noise, jumps to the end. On data N(0, 1) the spread is
#   12 per cent too small at 250 steps and a little worse at 1000. On N(0, 0.25) it is half of what it should be.
#   last_step=None integrates to the end and converges: its error falls as one over the steps.
# How it is measured: the score is exact, so the sampler is linear. Row k of the batch gets a one in the k-th draw and
#   zeros otherwise; the sum of squares over the rows is the output's variance, free of sampling error.
# Output seen:
#   v 1.00, default:        250 steps -12.459 %, 1000 steps -12.685 %
#   v 1.00, last_step=None: 250 steps +0.353 %, 1000 steps +0.089 %
#   v 0.25, default:        250 steps -51.203 %, 1000 steps -51.652 %
#   v 0.25, last_step=None: 250 steps +1.270 %, 1000 steps +0.327 %
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 torchebm==0.8.9
cd "$room"
"$room/venv/bin/python" - <<'PY'
from unittest import mock

import torch
from torchebm.interpolants import VariancePreservingInterpolant
from torchebm.samplers import FlowSampler

path = VariancePreservingInterpolant()


class Units:
    """Draw k is the k-th unit vector along the batch; row 0 is the start's."""

    def __init__(self):
        self.drawn = 1

    def __call__(self, like, **_):
        out = torch.zeros_like(like)
        out[self.drawn] = 1
        self.drawn += 1
        return out


class Score(torch.nn.Module):
    """The exact score of data N(0, v)."""

    def __init__(self, v):
        super().__init__()
        self.v, self.nothing = v, torch.nn.Parameter(torch.zeros(1))

    def forward(self, x, t):
        alpha, sigma = path.compute_alpha_t(t)[0], path.compute_sigma_t(t)[0]
        return -x / (alpha**2 * self.v + sigma**2)[:, None]


def off(v, steps, **options):
    """Relative error of the standard deviation, per cent."""
    sampler = FlowSampler(
        Score(v), mode="sde", interpolant="vp", prediction="score", dtype=torch.float64, **options
    )
    start = torch.zeros(steps + 2, 1, dtype=torch.float64)
    start[0] = 1
    with mock.patch("torch.randn_like", Units()):
        return 100 * (float(sampler.sample(x=start, n_steps=steps).norm()) / v**0.5 - 1)


seen = {
    (1.0, "default"): (-12.459, -12.685),
    (1.0, "last_step=None"): (0.353, 0.089),
    (0.25, "default"): (-51.203, -51.652),
    (0.25, "last_step=None"): (1.270, 0.327),
}
for (v, how), expected in seen.items():
    got = [off(v, steps, **({} if how == "default" else {"last_step": None})) for steps in (250, 1000)]
    print(f"v {v:.2f}, {how + ':':15s} 250 steps {got[0]:+.3f} %, 1000 steps {got[1]:+.3f} %")
    assert all(abs(a - b) < 0.002 for a, b in zip(got, expected)), got
PY
