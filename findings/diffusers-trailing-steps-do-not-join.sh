#!/usr/bin/env bash
# diffusers: DDIM on trailing timesteps loses its way where the steps do not divide the training steps.
#
# Versions: diffusers 0.42.1, scipy 1.17.1, torch 2.13.0 (a CPU build was used; elsewhere it may be a large download),
#   numpy 2.4.6; pip chooses the rest.
# One would guess: the spacing is rounded a little, which costs next to nothing.
# Behaviour: the timesteps lie 1000 / steps apart, rounded, but `step` lands 1000 // steps below each of them. At 501
#   steps they lie two apart and each step goes down by one: the sample is soon far noisier than the network is told.
#   The error is 79 times that of 500 steps. At 300 steps (3.33 against 3) it is seven times that of 200.
#   20, 25, 40, 50, 100, 200, 250, 500 and 1000 steps are sound.
# How it is measured: with an exact network on Gaussian data a deterministic sampler is linear in its start, so the image
#   of 1 in each direction is the spread of the output, and W2 follows from the spreads.
# Output seen (variances 4, 1, 0.25, 0.04, 0.01; betas linear 1e-4 to 0.02, clip_sample off):
#   200 steps: timesteps 999, 994, 989, a step lands on 994, W2 0.02182
#   300 steps: timesteps 999, 996, 992, a step lands on 996, W2 0.14979
#   500 steps: timesteps 999, 997, 995, a step lands on 997, W2 0.00892
#   501 steps: timesteps 999, 997, 995, a step lands on 998, W2 0.70099
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


def landing(scheduler):
    """The timestep whose level one step from the first timestep reaches, found from its effect."""
    t = scheduler.timesteps[0]
    noise = torch.ones(1, dtype=torch.float64)
    # x = alpha * 0 + sigma * noise stays pure noise of the new level
    sigma = (1 - scheduler.alphas_cumprod[int(t)].double()).sqrt()
    new = scheduler.step(noise, t, sigma * noise).prev_sample
    return int(((1 - scheduler.alphas_cumprod.double()).sqrt() - new).abs().argmin())


seen = {200: (994, 0.02182), 300: (996, 0.14979), 500: (997, 0.00892), 501: (998, 0.70099)}
for steps, (lands, distance) in seen.items():
    scheduler = DDIMScheduler(
        beta_start=1e-4, beta_end=0.02, timestep_spacing="trailing", clip_sample=False
    )
    scheduler.set_timesteps(steps)
    got, reached = w2(scheduler), landing(scheduler)
    first = ", ".join(str(int(t)) for t in scheduler.timesteps[:3])
    print(f"{steps} steps: timesteps {first}, a step lands on {reached}, W2 {got:.5f}")
    assert reached == lands and abs(got - distance) < 2e-5, (reached, got)
PY
