#!/usr/bin/env bash
# TorchDiff: what it calls the sub-VP SDE is no SDE's pair of forward and reverse; its samples keep the wrong
# spread however many steps are taken.
#
# Versions: TorchDiff 2.7.0, tqdm 4.70.1, torch 2.13.0 (a CPU build was used; elsewhere it may be a large download),
#   numpy 2.4.6. It goes in with --no-deps; transformers, torchvision and the package's own utilities, which
#   only its training, its text encoder and its image files use, are stood in for.
# One would guess: sub-VP converges as VP does, with a somewhat different error.
# Behaviour: "sub-vp" keeps the data's scale at 1, adds the VP variance 1 - exp(-B(t)), and runs back without drift and
#   with g^2 = beta. Without drift the variance would have to grow as B(t), not as 1 - exp(-B(t)), and the start
#   N(0, I) lacks the data. With the exact network of its own forward law the output variance on N(0, 1) tends
#   to about 0.693; "vp" tends to 1.
# How it is measured: the sampler is linear with that network. Row k of the batch gets a one in the k-th draw and zeros
#   otherwise; the sum of squares over the rows is the output's variance, free of sampling error.
# Output seen:
#   vp:     variance 1.0112 at 100 steps, 1.0013 at 1000, 1.0003 at 4000
#   sub-vp: variance 0.7002 at 100 steps, 0.6940 at 1000, 0.6934 at 4000
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 tqdm==4.70.1
"$room/venv/bin/pip" install -q --no-compile --no-deps TorchDiff==2.7.0
cd "$room"
"$room/venv/bin/python" - 2> "$room/progress" <<'PY' || { tail -n 3 "$room/progress" >&2; exit 1; }
import importlib
import sys
import types
from pathlib import Path
from unittest import mock

import torch

for name in ("transformers", "torchvision", "torchvision.utils", "torchdiff.utils"):
    sys.modules[name] = mock.MagicMock()
package = types.ModuleType("torchdiff")
package.__path__ = [str(Path(torch.__file__).parents[1] / "torchdiff")]
sys.modules["torchdiff"] = package
sde = importlib.import_module("torchdiff.sde")


class Units:
    """Draw k is the k-th unit vector along the batch."""

    def __init__(self):
        self.drawn = 0

    def __call__(self, like, *shape, **_):
        if not torch.is_tensor(like):
            like = torch.zeros((like, *shape), dtype=torch.float64)
        out = torch.zeros_like(like)
        out[self.drawn] = 1
        self.drawn += 1
        return out


class Exact(torch.nn.Module):
    """The noise that a perfect network answers for data N(0, 1) under the package's forward law."""

    def __init__(self, forward_law):
        super().__init__()
        self.forward_law = forward_law

    def forward(self, x, t, _):
        scale, std = (part.view(-1, 1, 1, 1) for part in self.forward_law.get_forward_params(t))
        return std * x / (scale**2 + std**2)


def variance(method, steps):
    schedule = sde.SchedulerSDE()
    network = Exact(sde.ForwardSDE(schedule, method=method))
    draw = Units()
    with mock.patch("torch.randn", draw), mock.patch("torch.randn_like", draw):
        out = sde.SampleSDE(
            sde.ReverseSDE(schedule, method=method),
            network,
            (1, 1),
            batch_size=steps + 1,
            in_channels=1,
            device="cpu",
            norm_range=(-10.0, 10.0),
        )(steps, norm_output=False, save_imgs=False)
    return float(out.norm()) ** 2


seen = {"vp": (1.0112, 1.0013, 1.0003), "sub-vp": (0.7002, 0.6940, 0.6934)}
for method, expected in seen.items():
    got = [variance(method, steps) for steps in (100, 1000, 4000)]
    print(f"{method + ':':7s} variance {got[0]:.4f} at 100 steps, {got[1]:.4f} at 1000, {got[2]:.4f} at 4000")
    assert all(abs(a - b) < 2e-4 for a, b in zip(got, expected)), got
PY
