#!/usr/bin/env bash
# bionemo-moco: the two ancestral steps of its DDPM are not the same step: one takes the noise of the level below.
#
# Versions: bionemo-moco 0.0.2.2, jaxtyping 0.3.11, wadler_lindig 0.1.8, pot 0.9.7.post1, scipy 1.17.1, torch 2.13.0
#   (a CPU build was used; elsewhere it may be a large download), numpy 2.4.6. The package goes in with --no-deps,
#   since it asks for an older numpy; nothing here depends on that.
# One would guess: `step` and `step_noise`, given the same exact prediction, draw from the same law.
# Behaviour: `step_noise` adds the posterior variance of its level. `step` adds that of the level below: its table
#   of log variances is shifted by one. On data N(0, 1) and a cosine schedule of 100 steps the first leaves the spread
#   2.3 per cent too small (what ancestral sampling with this variance gives), the second 4.6. Both shrink with the
#   number of steps: at 1000 they are below one per cent.
# How it is measured: the prediction is exact, so the sampler is linear. Row k of the batch gets a one in the k-th
#   draw and zeros otherwise; the sum of squares over the rows is the output's variance.
# Output seen:
#   noise of `step` at t is the posterior variance at t - 1: True
#   steps  100: step -4.582 %, step_noise -2.290 %
#   steps 1000: step -0.608 %, step_noise -0.383 %
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 scipy==1.17.1
"$room/venv/bin/pip" install -q --no-compile --no-deps \
  bionemo-moco==0.0.2.2 jaxtyping==0.3.11 wadler_lindig==0.1.8 pot==0.9.7.post1
cd "$room"
"$room/venv/bin/python" - <<'PY'
from unittest import mock

import torch
from bionemo.moco.distributions.prior import GaussianPrior
from bionemo.moco.distributions.time import UniformTimeDistribution
from bionemo.moco.interpolants import DDPM
from bionemo.moco.schedules.noise.discrete_noise_schedules import DiscreteCosineNoiseSchedule


class Units:
    """Draw k is the k-th unit vector along the batch; row 0 is the start's."""

    def __init__(self):
        self.drawn = 1

    def __call__(self, like, **_):
        out = torch.zeros_like(like)
        out[self.drawn] = 1
        self.drawn += 1
        return out


def ddpm(steps):
    return DDPM(
        UniformTimeDistribution(discrete_time=True, nsteps=steps),
        GaussianPrior(),
        DiscreteCosineNoiseSchedule(steps),
    )


def off(steps, how):
    """Relative error of the standard deviation on N(0, 1), per cent."""
    model = ddpm(steps)
    x = torch.zeros(steps + 1, 1, dtype=torch.float64)
    x[0] = 1
    with mock.patch("torch.randn_like", Units()):
        for t in range(steps - 1, -1, -1):
            alpha = model.forward_data_schedule[t].double()
            sigma = model.forward_noise_schedule[t].double()
            exact = alpha / (alpha**2 + sigma**2) * x
            x = getattr(model, how)(exact, torch.full((steps + 1,), t), x)
    return 100 * (float(x.norm()) - 1)


model = ddpm(100)
shifted = torch.allclose(model.log_var[2:].exp(), model._posterior_variance[1:-1])
print(f"noise of `step` at t is the posterior variance at t - 1: {shifted}")
assert shifted
for steps, expected in {100: (-4.582, -2.290), 1000: (-0.608, -0.383)}.items():
    got = off(steps, "step"), off(steps, "step_noise")
    print(f"steps {steps:4d}: step {got[0]:+.3f} %, step_noise {got[1]:+.3f} %")
    assert all(abs(a - b) < 0.01 for a, b in zip(got, expected)), got
PY
