#!/usr/bin/env bash
# bayesflow: its EDM schedule with variance_type="exploding" integrates the ODE of another process and starts at
# the wrong scale.
#
# Versions: bayesflow 2.0.12, keras 3.15.0 on the torch backend, torch 2.13.0 (a CPU build was used; elsewhere it may
#   be a large download), numpy 2.4.6; pip chooses the rest.
# One would guess: "preserving" and "exploding" differ by a change of scale, and draw from one law.
# Behaviour: "exploding" switches the forward law to alpha = 1, sigma = exp(-logSNR / 2), but g^2 stays that of the
#   preserving form (the derivative of log(1 + sigma^2), not of sigma^2), and the start is N(0, 1) where sigma_max
#   is 80. The first contracts far too little, the second starts 80 times too small, so the output looks plausible:
#   on data N(0, 1) with the exact score the spread is 0.607, close to exp(-1/2), where it should be 1; on
#   N(0, 0.25) it is 0.397 where it should be 0.5. No number of steps mends it.
# How it is measured: the ODE is linear in its start, so the image of 1 is the standard deviation of the output.
# Output seen:
#   preserving, data N(0, 1.00): std 1.0000 at 100 steps, 1.0000 at 1000
#   preserving, data N(0, 0.25): std 0.5000 at 100 steps, 0.5000 at 1000
#   exploding, data N(0, 1.00): std 0.6066 at 100 steps, 0.6066 at 1000
#   exploding, data N(0, 0.25): std 0.3969 at 100 steps, 0.3969 at 1000
#   the start of "exploding": std 1.0, sigma_max 80
#   g^2 of "exploding" at sigma = 10: 0.990 % of the derivative of sigma^2
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 keras==3.15.0 bayesflow==2.0.12
cd "$room"
KERAS_BACKEND=torch KERAS_HOME="$room" "$room/venv/bin/python" - 2> "$room/messages" <<'PY' || { tail -n 3 "$room/messages" >&2; exit 1; }
import math

import torch
from bayesflow.networks import DiffusionModel

told = {}


class Exact(DiffusionModel):
    """A diffusion model whose score is that of data N(0, v) under its own schedule."""

    def score(self, xz, time=None, log_snr_t=None, **_):
        alpha, sigma = self.noise_schedule.get_alpha_sigma(log_snr_t=log_snr_t)
        return -xz / (alpha**2 * told["v"] + sigma**2)


seen = {"preserving": (1.0, 0.5), "exploding": (math.exp(-0.5), 0.39688)}
for kind, expected in seen.items():
    for v, std in zip((1.0, 0.25), expected):
        told["v"] = v
        model = Exact(noise_schedule="edm", schedule_kwargs={"variance_type": kind})
        got = [
            float(model(torch.ones(1, 1), inverse=True, method="rk45", steps=steps)) for steps in (100, 1000)
        ]
        print(f"{kind}, data N(0, {v:.2f}): std {got[0]:.4f} at 100 steps, {got[1]:.4f} at 1000")
        assert all(abs(a - std) < 2e-4 for a in got), got

schedule = model.noise_schedule
start = float(model.base_distribution.sample((100_000,)).std())
print(f'the start of "exploding": std {start:.1f}, sigma_max {schedule.sigma_max:.0f}')
assert abs(start - 1) < 0.05
level = torch.tensor(-2 * math.log(10.0), dtype=torch.float64)
t = schedule.get_t_from_log_snr(level, training=False)
step = 1e-4
ends = [torch.exp(-schedule.get_log_snr(t + side * step, training=False)) for side in (-1, 1)]
share = float(schedule.get_drift(level)) / float((ends[1] - ends[0]) / (2 * step))
print(f'g^2 of "exploding" at sigma = 10: {100 * share:.3f} % of the derivative of sigma^2')
assert abs(share - 1 / 101) < 1e-5, share
PY
