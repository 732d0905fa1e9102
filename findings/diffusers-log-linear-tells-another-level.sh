#!/usr/bin/env bash
# diffusers: EulerDiscreteScheduler with interpolation_type="log_linear" tells the network levels that the sample is
# not at, and never converges.
#
# Versions: diffusers 0.42.1, scipy 1.17.1, torch 2.13.0 (a CPU build was used; elsewhere it may be a large download),
#   numpy 2.4.6; pip chooses the rest.
# One would guess: another spacing of the same levels, so another error at 10 steps and none in the limit.
# Behaviour: the sigmas are replaced by a geometric row, the timesteps stay linear. Mid-way the sample has sigma 0.65
#   while the network is told that of t = 444, which is 1.34. The row is one entry too long as well, so the run
#   ends at the smallest sigma and not at 0. With "linear", W2 falls from 0.311 to 0.022 from 10 to 1000 steps; with
#   "log_linear" it goes from 0.802 to 0.824.
# How it is measured: with an exact network on Gaussian data a deterministic sampler is linear in its start, so the image
#   of 1 in each direction is the spread of the output, and W2 follows from the spreads.
# Output seen (variances 4, 1, 0.25, 0.04, 0.01; betas scaled_linear 0.00085 to 0.012):
#   log_linear, 10 steps: 12 sigmas; at the sixth call sigma 0.653, told 1.345
#   linear:     W2 0.31133 at 10 steps, 0.08295 at 50, 0.02244 at 1000
#   log_linear: W2 0.80219 at 10 steps, 0.81977 at 50, 0.82372 at 1000
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 scipy==1.17.1 diffusers==0.42.1
cd "$room"
HF_HOME="$room" HF_HUB_OFFLINE=1 "$room/venv/bin/python" - 2> "$room/messages" <<'PY' || { tail -n 3 "$room/messages" >&2; exit 1; }
import torch
from diffusers import EulerDiscreteScheduler

V = torch.tensor([4, 1, 0.25, 0.04, 0.01], dtype=torch.float64)  # the data's variance in each direction


def scheduler_of(interpolation, steps):
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", interpolation_type=interpolation
    )
    scheduler.set_timesteps(steps)
    return scheduler


def level_told(scheduler, t):
    """sigma / alpha of the training timestep t, between two by interpolating the logarithm."""
    table = ((1 - scheduler.alphas_cumprod.double()) / scheduler.alphas_cumprod.double()).log() / 2
    low = min(int(t), len(table) - 2)
    return float((table[low] + (float(t) - low) * (table[low + 1] - table[low])).exp())


def w2(scheduler):
    """W2 between the output, from the scheduler's own start, and Gaussian data with an exact noise network."""
    x = torch.full((1, 5), float(scheduler.init_noise_sigma), dtype=torch.float64)
    for t in scheduler.timesteps:
        told = scheduler.scale_model_input(x, t).double()
        sigma2 = level_told(scheduler, t) ** 2
        alpha2 = 1 / (1 + sigma2)
        noise = (1 - alpha2) ** 0.5 * told / (alpha2 * V + 1 - alpha2)
        x = scheduler.step(noise, t, x).prev_sample.double()
    return float((x.abs() - V.sqrt()).norm())


scheduler = scheduler_of("log_linear", 10)
at, told = float(scheduler.sigmas[5]), level_told(scheduler, scheduler.timesteps[5])
print(f"log_linear, 10 steps: {len(scheduler.sigmas)} sigmas; at the sixth call sigma {at:.3f}, told {told:.3f}")
assert len(scheduler.sigmas) == 12 and abs(at - 0.653) < 1e-3 and abs(told - 1.345) < 1e-3

seen = {"linear": (0.31133, 0.08295, 0.02244), "log_linear": (0.80219, 0.81977, 0.82372)}
for how, expected in seen.items():
    got = [w2(scheduler_of(how, steps)) for steps in (10, 50, 1000)]
    print(f"{how + ':':11s} W2 {got[0]:.5f} at 10 steps, {got[1]:.5f} at 50, {got[2]:.5f} at 1000")
    assert all(abs(a - b) < 5e-5 for a, b in zip(got, expected)), got
PY
