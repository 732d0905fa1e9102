"""Images a second of training and of sampling, float32 as one writes it down beside ours, on a GPU or the CPU; and what
checkpoints hold training up.

Usage: ``python benchmarks/images.py [--presets paper large] [--batch 128] [--rounds 5] [--steps 20] [--K 20] [--compile]
[--precision bf16] [--only sampling] [--json FILE]``.
Baseline of training: the same network and loss in float32 without TF32, compilation, channels-last, fused Adam or
tables; ours is `numerics.cifar10.training`'s own step (on a GPU bf16, TF32, compiled, channels-last). Baseline of
sampling: version faadd9f's, float32, eager, a label computed at every evaluation; ours is what ``wbound images sample``
runs on a run's directory, with --precision and --compile as given (their defaults: a GPU's are bf16 and compiled, a
CPU's bf16 where it has instructions for it, else float32, and eager, unless it will take long). On a CPU all is
measured in processor time. A round times both, warm, one after the other, so compilation is in neither; what is claimed
are medians over rounds of ratios. Floating-point operations are counted by torch on the baseline's step; the matrix rate
is that of a large product, measured here. Checkpoints: the share of five minutes that one holds training up. Without a
GPU the presets are smoke and small at 8 × 8, and the table says so.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch.utils.flop_counter import FlopCounterMode

from numerics.cifar10.checkpoints import CheckpointWriter
from numerics.cifar10.fast_networks import Speed, for_images
from numerics.cifar10.images import ImageSet
from numerics.cifar10.networks import ScoreNetwork
from numerics.cifar10.networks_in_use import in_use
from numerics.cifar10.runs import Run, make_config
from numerics.cifar10.sampling import sample_images
from numerics.cifar10.training import _State


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(work: Callable[[], object], times: int) -> float:
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    synchronise()
    begin = clock()
    for _ in range(times):
        work()
    synchronise()
    return (clock() - begin) / times


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
    if args.only == "sampling":
        return {"rows": sampling(state, args)}
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
    share = held_up(state)
    print(f"{preset}, {config.process}: a checkpoint every 5 minutes takes {100 * share:.3g} % of the time")
    return {"rows": [*rows, *sampling(state, args)], "flops_per_step": flops, "checkpoint_share": share}


def former_score(
    network: ScoreNetwork, state: _State
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The network as version faadd9f sampled with it: the time to the host, std there, and back, at every call."""

    def score(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        times = t.double().cpu().numpy()
        both = np.stack(np.broadcast_arrays(times, state.process.std(times))).reshape(2, -1)
        at, std = torch.from_numpy(both).to(x.device, x.dtype).expand(2, len(x))
        with torch.no_grad():
            return network(x, at, std)

    return score


def sampling(state: _State, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Images a second of ``em`` at K steps: faadd9f's way, and what the command runs on the same weights."""
    shape = (state.data.channels, state.data.size, state.data.size)
    former = ScoreNetwork(state.network.architecture).to(state.device).eval().requires_grad_(False)
    said: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "run")
        run.begin(state.config, state.network.architecture)
        writer = CheckpointWriter(run.checkpoints)
        state.save(writer)
        writer.wait()
        speed = Speed(for_images(args.precision, state.device), args.compile or None)  # the command's
        ours = in_use(str(run.folder), None, state.device, speed=speed, tell=said.append)
    scores = {"faadd9f": former_score(former, state), "ours": ours.score}

    def work_of(score: Any) -> Callable[[], object]:
        seeds, many = range(args.batch), args.batch
        return lambda: sample_images(score, state.process, shape, args.K, "em", seeds, state.device, many)

    works = {name: work_of(score) for name, score in scores.items()}
    spent: dict[str, list[float]] = {name: [] for name in works}
    for name, work in works.items():
        strictly(name == "faadd9f")
        work()
    for _ in range(args.rounds):
        for name, work in works.items():
            strictly(name == "faadd9f")
            spent[name].append(seconds(work, 1))
    for line in said:
        print(line, file=sys.stderr)
    return [
        {
            "preset": state.config.preset,
            "process": state.config.process,
            "what": f"sampling, K = {args.K}",
            "who": name if name == "faadd9f" else ours.about.partition(", ")[2],
            "images_per_second": args.batch / statistics.median(times),
            "peak_gib": None,
            "share_of_matrix_rate": None,
            "ratio": statistics.median(a / b for a, b in zip(spent["faadd9f"], times, strict=True)),
        }
        for name, times in spent.items()
    ]


def held_up(state: _State) -> float:
    """The share of five minutes that a checkpoint for recovery holds training up, the median of nine."""
    with tempfile.TemporaryDirectory() as folder:
        writer = CheckpointWriter(Path(folder))
        times = []
        for _ in range(9):
            begin = time.perf_counter()
            state.save(writer, "recovery")
            times.append(time.perf_counter() - begin)
            writer.wait()  # five minutes are enough for it
    return statistics.median(times) / 300.0


def main() -> None:
    gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["paper", "large"] if gpu else ["smoke"])
    parser.add_argument("--batch", type=int, default=128 if gpu else 32)
    parser.add_argument("--rounds", type=int, default=5 if gpu else 3)
    parser.add_argument("--steps", type=int, default=20 if gpu else 3)
    parser.add_argument("--kinds", nargs="+", default=["vp", "ve"])
    parser.add_argument("--K", type=int, default=20)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--only", choices=("sampling",))
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
        for kind in args.kinds:
            rows += measure(preset, kind, args)["rows"]
    print(
        f"{'preset':8}{'process':13}{'what':17}{'who':24}{'images/s':>10}{'ratio':>7}{'peak GiB':>10}{'of matrix rate':>16}"
    )
    for r in rows:
        memory = "—" if r["peak_gib"] is None else f"{r['peak_gib']:.2f}"
        ratio = "—" if r["ratio"] is None else f"{r['ratio']:.2f}"
        share = "—" if r["share_of_matrix_rate"] is None else f"{100 * r['share_of_matrix_rate']:.1f} %"
        print(
            f"{r['preset']:8}{r['process']:13}{r['what']:17}{r['who']:24}{r['images_per_second']:10.0f}"
            f"{ratio:>7}{memory:>10}{share:>16}"
        )
    if not gpu:
        print("no GPU here: networks for images of 8 x 8, float32; nothing of this speaks of a GPU")
    if args.json:
        args.json.write_text(json.dumps({"where": where, "torch": torch.__version__, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
