#!/usr/bin/env bash
# diffusers: UniPC with solver_type="bh1" ends in NaN at any number of steps, unless the schedule stops above zero.
#
# Versions: diffusers 0.42.1, scipy 1.17.1, torch 2.13.0 (a CPU build was used; elsewhere it may be a large download),
#   numpy 2.4.6; pip chooses the rest.
# One would guess: bh1 and bh2 differ by some per cents.
# Behaviour: the last level is sigma = 0 by default, so the last step is infinitely long in log-SNR. bh1 multiplies
#   the correction, which is 0 there, by that length; bh2 by expm1 of its negative, which is -1. All steps but the last
#   are finite, the output is NaN. final_sigmas_type="sigma_min" gives finite output with bh1. The class's own
#   help recommends bh1 for fewer than 10 steps.
# Output seen (a zero noise prediction, one coordinate):
#   bh2, zero:       5 steps finite, 20 steps finite
#   bh1, zero:       5 steps NaN (from step 5), 20 steps NaN (from step 20)
#   bh1, sigma_min:  5 steps finite, 20 steps finite
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 scipy==1.17.1 diffusers==0.42.1
cd "$room"
HF_HOME="$room" HF_HUB_OFFLINE=1 "$room/venv/bin/python" - 2> "$room/messages" <<'PY' || { tail -n 3 "$room/messages" >&2; exit 1; }
import torch
from diffusers import UniPCMultistepScheduler


def first_nan(solver, final, steps):
    """The number of the first step whose output is not finite, None where there is none."""
    scheduler = UniPCMultistepScheduler(
        beta_start=1e-4, beta_end=0.02, solver_type=solver, final_sigmas_type=final
    )
    scheduler.set_timesteps(steps)
    x = torch.ones(1, 1, dtype=torch.float64)
    for number, t in enumerate(scheduler.timesteps, 1):
        x = scheduler.step(torch.zeros_like(x), t, x).prev_sample
        if not bool(torch.isfinite(x).all()):
            return number
    return None


for solver, final, nan in (("bh2", "zero", False), ("bh1", "zero", True), ("bh1", "sigma_min", False)):
    said = []
    for steps in (5, 20):
        number = first_nan(solver, final, steps)
        said.append(f"{steps} steps " + ("finite" if number is None else f"NaN (from step {number})"))
        assert number == (steps if nan else None), (solver, final, steps, number)
    print(f"{solver}, {final + ':':11s} {', '.join(said)}")
PY
