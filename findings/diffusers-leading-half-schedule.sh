#!/usr/bin/env bash
# diffusers: with leading timesteps, asking for one step more can start the sampler in the middle of the schedule.
#
# Versions: diffusers 0.42.1, scipy 1.17.1, torch 2.13.0 (a CPU build was used; elsewhere it may be a large download),
#   numpy 2.4.6; pip chooses the rest.
# One would guess: 501 DDIM steps are a shade better than 500.
# Behaviour: the stride is 1000 // steps. It is 2 at 500 steps and 1 at 501, so that 501 steps walk from t = 500 down
#   and are given pure noise there. The error is 23 times that of 500 steps, without a warning. From 333 to 334
#   steps the first timestep falls from 996 to 666 and the error triples.
# How it is measured: with an exact network on Gaussian data a deterministic sampler is linear in its start, so the image
#   of 1 in each direction is the spread of the output, and W2 follows from the spreads.
# Output seen (variances 4, 1, 0.25, 0.04, 0.01; betas linear 1e-4 to 0.02, clip_sample off):
#   333 steps: first timestep 996, W2 0.01283
#   334 steps: first timestep 666, W2 0.03807
#   500 steps: first timestep 998, W2 0.00869
#   501 steps: first timestep 500, W2 0.20175
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 scipy==1.17.1 diffusers==0.42.1
cd "$room"
HF_HOME="$room" HF_HUB_OFFLINE=1 "$room/venv/bin/python" - 2> "$room/messages" <<'PY' || { tail -n 3 "$room/messages" >&2; exit 1; }
import torch
from diffusers import DDIMScheduler

V = torch.tensor([4, 1, 0.25, 0.04, 0.01], dtype=torch.float64)  # the data's variance in each direction


def w2(scheduler):
    """W2 between the output, from the scheduler's own start, and Gaussian data with an exact noise network."""
    x = torch.full((1, 5), float(scheduler.init_noise_sigma), dtype=torch.float64)
    for t in scheduler.timesteps:
        told = scheduler.scale_model_input(x, t).double()
        alpha2 = scheduler.alphas_cumprod[int(t)].double()
        noise = (1 - alpha2).sqrt() * told / (alpha2 * V + 1 - alpha2)
        x = scheduler.step(noise, t, x).prev_sample.double()
    return float((x.abs() - V.sqrt()).norm())


seen = {333: (996, 0.01283), 334: (666, 0.03807), 500: (998, 0.00869), 501: (500, 0.20175)}
for steps, (first, distance) in seen.items():
    scheduler = DDIMScheduler(
        beta_start=1e-4, beta_end=0.02, timestep_spacing="leading", clip_sample=False
    )
    scheduler.set_timesteps(steps)
    got = w2(scheduler)
    print(f"{steps} steps: first timestep {int(scheduler.timesteps[0])}, W2 {got:.5f}")
    assert len(scheduler.timesteps) == steps
    assert int(scheduler.timesteps[0]) == first and abs(got - distance) < 2e-5, got
PY
