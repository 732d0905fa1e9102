"""Images a second of training, fp32 as one writes it down beside ours, and of sampling, on a GPU or the CPU.

Usage: ``python benchmarks/images.py [--presets paper large] [--batch 128] [--rounds 5] [--steps 20] [--json FILE]``.
Baseline: the same network and loss in float32 without TF32, compilation, channels-last, fused Adam or tables.
Ours: `numerics.cifar10.training`'s own step (on a GPU bf16, TF32, compiled, channels-last). A round times both,
warm, one after the other; what is claimed are medians over rounds of ratios. Sampling is timed as the commands do
it, float32 and eager, beside nothing. Floating-point operations are
counted by torch on the baseline's step; the matrix rate is that of a large product, measured here. Without a
GPU the presets are smoke and small at 8 × 8, and the table says so.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch.utils.flop_counter import FlopCounterMode

from numerics.cifar10.images import ImageSet
from numerics.cifar10.networks import ScoreNetwork
from numerics.cifar10.runs import make_config, score_of
from numerics.cifar10.sampling import sample_images
from numerics.cifar10.training import _State


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(work: Callable[[], object], times: int) -> float:
    synchronise()
    begin = time.perf_counter()
    for _ in range(times):
        work()
    synchronise()
    return (time.perf_counter() - begin) / times


def peak(work: Callable[[], object]) -> float | None:
    """Peak memory in GiB of one more call; None on the CPU."""
    if not torch.cuda.is_available():
        return None
    torch.cuda.reset_peak_memory_stats()
    work()
    synchronise()
    return torch.cuda.max_memory_allocated() / 2**30


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a product of two large square matrices."""
    n = 8192 if device.type == "cuda" else 1024
    a = torch.randn(n, n, device=device, dtype=dtype)
    for _ in range(3):
        a @ a
    return 2.0 * n**3 / seconds(lambda: a @ a, 20 if device.type == "cuda" else 3)


class Baseline:
    """Denoising score matching as in a tutorial: float32, eager, contiguous."""

    def __init__(self, state: _State) -> None:
        self.state = state
        self.network = ScoreNetwork(state.network.architecture).to(state.device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=2e-4, foreach=False)
        self.average = [p.detach().clone() for p in self.network.parameters()]

    def step(self) -> None:
        state = self.state
        batch, device = state.config.batch, state.device
        index = torch.randint(0, len(state.data), (batch,), device=device)
        t = torch.rand(batch, device=device) * (1.0 - state.process.t_min) + state.process.t_min
        times = t.double().cpu().numpy()
        alpha, std = (
            torch.as_tensor(v, dtype=torch.float32, device=device)[:, None, None, None]
            for v in (state.process.alpha(times), state.process.std(times))
        )
        x0 = state.data.floats(index)
        z = torch.randn_like(x0)
        score = self.network(alpha * x0 + std * z, t, std.flatten())
        loss = (std * score + z).square().mean()
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            for mean, p in zip(self.average, self.network.parameters(), strict=True):
                mean.mul_(0.999).add_(p, alpha=0.001)
        loss.item()


def strictly(fp32: bool) -> None:
    """Baseline: no TF32 anywhere."""
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("highest" if fp32 else "high")
        torch.backends.cudnn.allow_tf32 = not fp32


def measure(preset: str, kind: str, args: argparse.Namespace) -> dict[str, Any]:
    gpu = torch.cuda.is_available()
    engine = Accelerator(cpu=not gpu)
    device, size, channels = engine.device, 32 if gpu else 8, 3 if gpu else 1
    pixels = torch.randint(0, 256, (4096, channels, size, size), dtype=torch.uint8, device=device)
    config = make_config(f"{kind}-original", preset=preset, steps=10**6, batch=args.batch)
    shape = config.architecture(channels, size)
    state = _State(
        engine, config, config.image_process(), ImageSet("noise", pixels), ScoreNetwork(shape).to(device)
    )
    baseline = Baseline(state)
    works = {"baseline": baseline.step, "ours": lambda: state.advance()}
    with FlopCounterMode(display=False) as counted:
        baseline.step()
    flops = counted.get_total_flops()
    training: dict[str, list[float]] = {name: [] for name in works}
    memory = {}
    for name, work in works.items():
        strictly(name == "baseline")
        for _ in range(3):
            work()
        memory[name] = peak(work)
    for _ in range(args.rounds):
        for name, work in works.items():
            strictly(name == "baseline")
            training[name].append(seconds(work, args.steps))
    dtypes = {"baseline": torch.float32, "ours": torch.bfloat16 if gpu else torch.float32}
    rows = []
    for name, times in training.items():
        strictly(name == "baseline")
        middle, rate = statistics.median(times), matrix_rate(device, dtypes[name])
        rows.append(
            {
                "preset": preset,
                "process": config.process,
                "what": "training",
                "who": name,
                "images_per_second": args.batch / middle,
                "peak_gib": memory[name],
                "share_of_matrix_rate": flops / middle / rate,
                "ratio": statistics.median(b / o for b, o in zip(training["baseline"], times, strict=True)),
            }
        )
    rows.append(sampling(state, baseline, args))
    return {"rows": rows, "flops_per_step": flops}


def sampling(state: _State, baseline: Baseline, args: argparse.Namespace) -> dict[str, Any]:
    """Images a second of the sampler ``em`` as the commands run it: the network in float32, not compiled. There is
    nothing of ours to compare it with."""
    network, K = baseline.network.eval(), 5
    shape = (state.data.channels, state.data.size, state.data.size)
    score = score_of(network, state.process)

    def run() -> object:
        return sample_images(
            score, state.process, shape, K, "em", range(args.batch), state.device, args.batch
        )

    strictly(True)
    run()
    spent = [seconds(run, 1) for _ in range(args.rounds)]
    return {
        "preset": state.config.preset,
        "process": state.config.process,
        "what": f"sampling, K = {K}",
        "who": "as is",
        "images_per_second": args.batch / statistics.median(spent),
        "peak_gib": None,
        "share_of_matrix_rate": None,
        "ratio": None,
    }


def main() -> None:
    gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["paper", "large"] if gpu else ["smoke"])
    parser.add_argument("--batch", type=int, default=128 if gpu else 32)
    parser.add_argument("--rounds", type=int, default=5 if gpu else 3)
    parser.add_argument("--steps", type=int, default=20 if gpu else 3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    where = (
        torch.cuda.get_device_name()
        if gpu
        else f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"
    )
    print(f"{where}, torch {torch.__version__}, batch {args.batch}; ratio: times the baseline's speed")
    rows: list[dict[str, Any]] = []
    for preset in args.presets:
        for kind in ("vp", "ve"):
            rows += measure(preset, kind, args)["rows"]
    print(
        f"{'preset':8}{'process':13}{'what':17}{'who':10}{'images/s':>10}{'ratio':>7}{'peak GiB':>10}{'of matrix rate':>16}"
    )
    for r in rows:
        memory = "—" if r["peak_gib"] is None else f"{r['peak_gib']:.2f}"
        ratio = "—" if r["ratio"] is None else f"{r['ratio']:.2f}"
        share = "—" if r["share_of_matrix_rate"] is None else f"{100 * r['share_of_matrix_rate']:.1f} %"
        print(
            f"{r['preset']:8}{r['process']:13}{r['what']:17}{r['who']:10}{r['images_per_second']:10.0f}"
            f"{ratio:>7}{memory:>10}{share:>16}"
        )
    if not gpu:
        print("no GPU here: networks for images of 8 x 8, float32; nothing of this speaks of a GPU")
    if args.json:
        args.json.write_text(json.dumps({"where": where, "torch": torch.__version__, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
