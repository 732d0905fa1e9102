#!/usr/bin/env bash
# score-models: for some numbers of steps the sampler drops its last step, and for others it does not.
#
# Versions: score-models 0.5.11, torch-ema 0.3, torch 2.13.0 (a CPU build was used; elsewhere it may be a large
#   download), numpy 2.4.6. score-models goes in with --no-deps, beside what its import asks for.
# One would guess: the error of the spread falls smoothly as the steps grow.
# Behaviour: the time is a float32 that is lowered step by step, and the loop ends early where it falls below
#   epsilon. Rounding alone decides. Asked for 10 steps, the network is called 9 times and the sample stays at
#   t = 0.1; 5, 6 and 50 steps lose theirs too. No warning is given.
# How it is measured: the network is exact for data N(0, 0.25), so the sampler is linear. Row k of the batch gets
#   a one in the k-th draw and zeros otherwise; the sum of squares over the rows is the output's variance.
# Output seen:
#   steps  9: 9 calls, last t 1.0e-05, std +13.03 %
#   steps 10: 9 calls, last t 1.0e-01, std -31.57 %
#   steps 11: 11 calls, last t 1.0e-05, std +8.34 %
#   steps 50: 49 calls, last t 2.0e-02, std -0.39 %
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 scipy==1.17.1 tqdm==4.70.1 h5py==3.16.0
"$room/venv/bin/pip" install -q --no-compile --no-deps torch-ema==0.3 score-models==0.5.11
cd "$room"
"$room/venv/bin/python" - 2> "$room/progress" <<'PY' || { tail -n 3 "$room/progress" >&2; exit 1; }
from unittest import mock

import torch
from score_models import ScoreModel

SPREAD = 0.5  # of the data, so v = 0.25


class Units:
    """Draw k is the k-th unit vector along the batch."""

    def __init__(self):
        self.drawn = 0

    def __call__(self, like, **_):
        out = torch.zeros_like(like)
        out[self.drawn] = 1
        self.drawn += 1
        return out


class Exact(torch.nn.Module):
    """What a perfect network of this package answers: the score times sigma."""

    def __init__(self):
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(1))
        self.times = []

    def forward(self, t, x):
        self.times.append(float(t[0]))
        alpha, sigma = model.sde.marginal_prob_scalars(t)
        return x * (-sigma / (alpha**2 * SPREAD**2 + sigma**2))[:, None]


def measured(steps):
    """(network calls, last time, relative error of the standard deviation in per cent)."""
    global model
    net, draw = Exact(), Units()
    model = ScoreModel(net, sde="vp", beta_min=0.1, beta_max=20.0, device="cpu")
    model.sde.prior = lambda shape: mock.Mock(sample=lambda size: draw(torch.zeros(steps + 2, 1)))
    with mock.patch("torch.randn_like", draw):
        out = model.sample((steps + 2, 1), steps)
    return len(net.times), net.times[-1], 100 * (float(out.norm()) / SPREAD - 1)


seen = {9: (9, 13.03), 10: (9, -31.57), 11: (11, 8.34), 50: (49, -0.39)}
for steps, (calls, error) in seen.items():
    got, last, off = measured(steps)
    print(f"steps {steps:2d}: {got} calls, last t {last:.1e}, std {off:+.2f} %")
    assert got == calls and abs(off - error) < 0.02, (steps, got, off)
PY
