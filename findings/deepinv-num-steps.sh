#!/usr/bin/env bash
# deepinv: num_steps of its SDE solvers counts the points of the time grid, so N takes N - 1 steps, and 1 takes none.
#
# Versions: deepinv 0.5.0, tqdm 4.70.1, torch 2.13.0 (a CPU build was used; elsewhere it may be a large download),
#   numpy 2.4.6. deepinv goes in with --no-deps, since it asks for torchvision; the file of the solvers, which
#   needs none of that, is loaded by itself.
# One would guess: num_steps=10 calls the drift ten times (Heun: twenty).
# Behaviour: nine times (eighteen), and the step is (t_start - t_end) / 9. With num_steps=1 the start comes
#   back untouched, pure noise, without a word. Comparing packages at equal num_steps is off by one call.
# Output seen:
#   EulerSolver num_steps 10: 9 calls, dx/dt = -x over [1, 0]: 0.346439 = (1 - 1/9)^9
#   EulerSolver num_steps  2: 1 calls, dx/dt = -x over [1, 0]: 0.000000 = (1 - 1/1)^1
#   EulerSolver num_steps  1: 0 calls, the start comes back
#   HeunSolver  num_steps 10: 18 calls
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 tqdm==4.70.1
"$room/venv/bin/pip" install -q --no-compile --no-deps deepinv==0.5.0
cd "$room"
"$room/venv/bin/python" - <<'PY'
import importlib.util
import sys
from pathlib import Path

import torch

file = Path(torch.__file__).parents[1] / "deepinv" / "sampling" / "sde_solver.py"
spec = importlib.util.spec_from_file_location("sde_solver", file)
solvers = importlib.util.module_from_spec(spec)
sys.modules["sde_solver"] = solvers
spec.loader.exec_module(solvers)


class Decay:
    """dx/dt = -x, no noise; counts how often it is asked."""

    device, dtype = "cpu", torch.float64

    def __init__(self):
        self.calls = 0

    def discretize(self, x, t):
        self.calls += 1
        return -x, 0.0


def run(name, num_steps):
    sde = Decay()
    solver = getattr(solvers, name)(t_start=1.0, t_end=0.0, num_steps=num_steps)
    out = solver.sample(sde, torch.ones(1, 1, dtype=torch.float64))
    assert out.nfe == sde.calls
    return sde.calls, float(out.sample)


for asked in (10, 2, 1):
    calls, end = run("EulerSolver", asked)
    assert calls == asked - 1
    if calls:
        print(
            f"EulerSolver num_steps {asked:2d}: {calls} calls, dx/dt = -x over [1, 0]: {end:.6f}"
            f" = (1 - 1/{calls})^{calls}"
        )
        assert abs(end - (1 - 1 / calls) ** calls) < 1e-6
    else:
        print(f"EulerSolver num_steps {asked:2d}: {calls} calls, the start comes back")
        assert end == 1
calls, _ = run("HeunSolver", 10)
print(f"HeunSolver  num_steps 10: {calls} calls")
assert calls == 18
PY
