#!/usr/bin/env bash
# sbi: the default time grid of its variance-exploding sampler is thirty times off at ten points, where its other
# grid is 15 per cent off; and ten points are nine steps.
#
# Versions: sbi 0.27.0, nflows 0.14, zuko 1.6.0, skorch 1.4.0, torch 2.13.0 (a CPU build was used; elsewhere it may be a
#   large download), numpy 2.4.6; pip chooses the rest.
# One would guess: a geometric grid of noise levels with an exact score is tens of per cents off at ten points.
# Behaviour: solve_schedule(n) holds n times, so n - 1 steps. Uniform times are geometric in sigma (1e-4 to 10), and
#   each Euler-Maruyama step takes g^2 at its noisy end: on N(0, 0.25) the spread at 10 points is 15.4 where it
#   should be 0.5. At 100 points it is fine (0.21 per cent, 0.20 on N(0, 1)). solve_schedule="power_law" gives
#   0.576 at 10 points.
# How it is measured: the score is exact, so the sampler is linear. Row k of the batch gets a one in the k-th draw
#   and zeros otherwise; the sum of squares over the rows is the output's variance, free of sampling error.
# Output seen:
#   uniform,    10 points,  9 steps: v 1.00 std +50.154 %, v 0.25 std +2979.078 %
#   uniform,   100 points, 99 steps: v 1.00 std +0.198 %, v 0.25 std +0.214 %
#   power_law,  10 points,  9 steps: v 1.00 std +13.016 %, v 0.25 std +15.162 %
#   power_law, 100 points, 99 steps: v 1.00 std -0.197 %, v 0.25 std -0.192 %
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 \
  sbi==0.27.0 nflows==0.14 zuko==1.6.0 skorch==1.4.0
cd "$room"
"$room/venv/bin/python" - <<'PY'
from unittest import mock

import torch
from sbi.neural_nets.estimators.score_estimator import VEScoreEstimator
from sbi.samplers.score.diffuser import Diffuser

torch.set_default_dtype(torch.float64)


class Units:
    """Draw k is the k-th unit vector along the batch."""

    def __init__(self):
        self.drawn = 0

    def __call__(self, like, **_):
        out = torch.zeros_like(like) if torch.is_tensor(like) else torch.zeros(like)
        out[self.drawn] = 1
        self.drawn += 1
        return out


class Exact:
    """The potential of data N(0, v) under the estimator's own noise levels."""

    device, x_is_iid, x_o = "cpu", True, torch.zeros(1, 1)

    def __init__(self, estimator, v):
        self.vector_field_estimator, self.v = estimator, v

    def gradient(self, x, t):
        return -x / (self.v + self.vector_field_estimator.std_fn(t) ** 2)


def off(schedule, points, v):
    """(steps, relative error of the standard deviation in per cent)."""
    estimator = VEScoreEstimator(
        torch.nn.Identity(), torch.Size((1,)), torch.Size((1,)), solve_schedule=schedule
    )
    times, draw = estimator.solve_schedule(points), Units()
    with mock.patch("torch.randn", draw), mock.patch("torch.randn_like", draw):
        sampler = Diffuser(Exact(estimator, v), "euler_maruyama")
        out = sampler.run(points + 1, times, show_progress_bars=False)
    return len(times) - 1, 100 * (float(out.norm()) / v**0.5 - 1)


seen = {
    ("uniform", 10): (50.154, 2979.078),
    ("uniform", 100): (0.198, 0.214),
    ("power_law", 10): (13.016, 15.162),
    ("power_law", 100): (-0.197, -0.192),
}
for (schedule, points), expected in seen.items():
    (steps, wide), (_, narrow) = (off(schedule, points, v) for v in (1.0, 0.25))
    print(
        f"{schedule + ',':10s} {points:3d} points, {steps:2d} steps: "
        f"v 1.00 std {wide:+.3f} %, v 0.25 std {narrow:+.3f} %"
    )
    assert steps == points - 1
    assert all(abs(a - b) < 2e-3 * max(1, abs(b)) for a, b in zip((wide, narrow), expected)), (wide, narrow)
PY
