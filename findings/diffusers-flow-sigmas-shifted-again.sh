#!/usr/bin/env bash
# diffusers: the flow-matching Euler scheduler does not run the sigmas that it is given: it shifts them first, and
# its own sigmas given back to it are shifted a second time.
#
# Versions: diffusers 0.42.1, scipy 1.17.1, torch 2.13.0 (a CPU build was used; elsewhere it may be a large download),
#   numpy 2.4.6; pip chooses the rest.
# One would guess: set_timesteps(sigmas=s) runs s, so a scheduler's own sigmas are a fixed point.
# Behaviour: with shift 3 each sigma passed becomes 3 s / (1 + 2 s). The scheduler's own 28 levels, read from it and
#   handed back, turn into others (0.737 in the middle becomes 0.894), and W2 nearly doubles. A row that was tuned elsewhere
#   has to be un-shifted before it is passed, or run with shift=1.
# How it is measured: with an exact network on Gaussian data a deterministic sampler is linear in its start, so the image
#   of 1 in each direction is the spread of the output, and W2 follows from the spreads.
# Output seen (variances 4, 1, 0.25, 0.04, 0.01; shift 3, 28 steps, exact velocity):
#   its own sigmas:      1.0000 0.9874 0.7371 0.0089, W2 0.13791
#   the same, given back: 1.0000 0.9958 0.8937 0.0263, W2 0.26572
#   un-shifted first:    1.0000 0.9874 0.7371 0.0089, W2 0.13791
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 scipy==1.17.1 diffusers==0.42.1
cd "$room"
HF_HOME="$room" HF_HUB_OFFLINE=1 "$room/venv/bin/python" - 2> "$room/messages" <<'PY' || { tail -n 3 "$room/messages" >&2; exit 1; }
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

SHIFT, STEPS = 3.0, 28
V = torch.tensor([4, 1, 0.25, 0.04, 0.01], dtype=torch.float64)  # the data's variance in each direction


def run(**asked):
    """(sigmas, W2 of the output from N(0, I) to Gaussian data with an exact velocity)."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=SHIFT)
    scheduler.set_timesteps(**asked)
    x = torch.ones(1, 5, dtype=torch.float64)
    for t in scheduler.timesteps:
        s = float(t) / scheduler.config.num_train_timesteps
        denoised = (1 - s) * V / ((1 - s) ** 2 * V + s**2) * x
        x = scheduler.step((x - denoised) / s, t, x).prev_sample.double()
    return scheduler.sigmas[:-1].tolist(), float((x.abs() - V.sqrt()).norm())


def show(name, sigmas, distance):
    parts = " ".join(f"{sigmas[i]:.4f}" for i in (0, 1, 14, -1))
    print(f"{name + ':':21s} {parts}, W2 {distance:.5f}")


own, near = run(num_inference_steps=STEPS)
again, far = run(sigmas=own)
plain = [s / (SHIFT - (SHIFT - 1) * s) for s in own]
mended, mended_distance = run(sigmas=plain)
show("its own sigmas", own, near)
show("the same, given back", again, far)
show("un-shifted first", mended, mended_distance)
assert all(abs(b - SHIFT * a / (1 + (SHIFT - 1) * a)) < 1e-6 for a, b in zip(own, again))
assert all(abs(a - b) < 1e-6 for a, b in zip(own, mended))
assert abs(near - 0.13791) < 2e-5 and abs(far - 0.26572) < 2e-5 and abs(mended_distance - near) < 1e-5
PY
