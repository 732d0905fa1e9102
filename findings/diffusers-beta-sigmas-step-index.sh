#!/usr/bin/env bash
# diffusers: DPMSolverMultistepScheduler with beta sigmas runs at 30 steps and raises an IndexError at 50.
#
# Versions: diffusers 0.42.1, scipy 1.17.1, torch 2.13.0 (a CPU build was used; elsewhere it may be a large download),
#   numpy 2.4.6; pip chooses the rest.
# One would guess: use_beta_sigmas works at any number of steps below the 1000 of the training.
# Behaviour: beta sigmas lie so densely at the noisy end that, rounded to whole timesteps, the first two coincide. The
#   scheduler finds its place by looking its timestep up and takes the second hit: it skips the first level
#   and, one ahead all along, reads past the end at the last step. set_begin_index(0), called after set_timesteps,
#   cures it.
# Output seen:
#   30 steps: first timesteps 998 997, starts at index 0, runs
#   50 steps: first timesteps 998 998, starts at index 1, IndexError
#   50 steps, set_begin_index(0): starts at index 0, runs
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 scipy==1.17.1 diffusers==0.42.1
cd "$room"
HF_HOME="$room" HF_HUB_OFFLINE=1 "$room/venv/bin/python" - 2> "$room/messages" <<'PY' || { tail -n 3 "$room/messages" >&2; exit 1; }
import torch
from diffusers import DPMSolverMultistepScheduler


def run(steps, begin=None):
    """(first two timesteps, index of the first step, how the run ended)."""
    scheduler = DPMSolverMultistepScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", use_beta_sigmas=True
    )
    scheduler.set_timesteps(steps)
    if begin is not None:
        scheduler.set_begin_index(begin)
    x, indices = torch.ones(1, 1, dtype=torch.float64), []
    try:
        for t in scheduler.timesteps:
            x = scheduler.step(torch.zeros_like(x), t, x).prev_sample
            indices.append(scheduler.step_index - 1)  # step counts on when it is done
    except IndexError:
        ended = "IndexError"
    else:
        ended = "runs"
    return [int(t) for t in scheduler.timesteps[:2]], indices[0], ended


seen = {(30, None): ([998, 997], 0, "runs"), (50, None): ([998, 998], 1, "IndexError"), (50, 0): ([998, 998], 0, "runs")}
for (steps, begin), expected in seen.items():
    first, index, ended = run(steps, begin)
    if begin is None:
        print(f"{steps} steps: first timesteps {first[0]} {first[1]}, starts at index {index}, {ended}")
    else:
        print(f"{steps} steps, set_begin_index({begin}): starts at index {index}, {ended}")
    assert (first, index, ended) == expected, (first, index, ended)
PY
