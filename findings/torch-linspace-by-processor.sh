#!/usr/bin/env bash
# torch and diffusers: the table of betas, and with it every step, depends on the processor's vector instructions.
#
# Versions: diffusers 0.42.1, torch 2.13.0 (a CPU build was used; elsewhere it may be a large download), numpy 2.4.6;
#   pip chooses the rest. On x86 with AVX2 or more.
# One would guess: with versions pinned, a schedule's betas are the same numbers on every x86 machine.
# Behaviour: diffusers makes betas with torch.linspace in float32, whose kernel for wide vectors rounds otherwise than the
#   one without. ATEN_CPU_CAPABILITY=default chooses the latter on any machine. A fifth of the betas differ by a unit in
#   the last place, and three quarters of alphas_cumprod by up to four times that. Numbers kept from one machine are to be
#   compared with room for that on another: W2 of five samplers moved by 1e-6 to 3e-5 of itself between two.
# Output seen (betas linear 1e-4 to 0.02, 1000 of them):
#   betas that differ: 196 of 1000; of alphas_cumprod: 725; largest relative difference 2.4e-07
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 diffusers==0.42.1
cd "$room"
cat > tables.py <<'PY'
import sys

import numpy as np
from diffusers import DDIMScheduler

scheduler = DDIMScheduler(beta_start=1e-4, beta_end=0.02)
np.savez(sys.argv[1], betas=scheduler.betas.numpy(), kept=scheduler.alphas_cumprod.numpy())
PY
export HF_HOME="$room" HF_HUB_OFFLINE=1
{
  "$room/venv/bin/python" tables.py wide.npz
  ATEN_CPU_CAPABILITY=default "$room/venv/bin/python" tables.py narrow.npz
} 2> "$room/messages" || { tail -n 3 "$room/messages" >&2; exit 1; }
"$room/venv/bin/python" - <<'PY'
import numpy as np

wide, narrow = np.load("wide.npz"), np.load("narrow.npz")
betas = int((wide["betas"] != narrow["betas"]).sum())
kept = int((wide["kept"] != narrow["kept"]).sum())
apart = float(np.abs(wide["kept"] / narrow["kept"] - 1.0).max())
print(f"betas that differ: {betas} of 1000; of alphas_cumprod: {kept}; largest relative difference {apart:.2g}")
assert 100 < betas < 400 and kept > 300 and 1e-7 < apart < 1e-5
PY
