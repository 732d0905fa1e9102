"""Speed and memory of `numerics.samplers.sampling` beside what it replaces, in one run.

Usage: ``python benchmarks/sampler.py [--n 100000] [--d 10] [--K 200] [--rounds 7] [--json FILE]``. A round
runs every contender once, warm, one after the other; what is claimed are medians over rounds of the ratio
of two times of one round. One unit of work is a particle × dimension × step. All draw as many normals:

* floor: the same normals, generated in compiled code by the same threads, and thrown away;
* NumPy: the scheme as one writes it down, whole arrays, ``default_rng``;
* diffusers: its ``DDPMScheduler`` on the same betas with the exact noise prediction as its model, so that it
  is our scheme ddpm, in torch on one thread or all, whichever is faster here, in float32 and float64.
  Skipped, aloud, where it is not installed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
from numba import njit

from numerics.samplers.kernels import normals
from numerics.samplers.plans import GaussianPlan, Step
from numerics.samplers.sampling import _run as run
from numerics.samplers.sampling import sample
from numerics.targets.products import Gaussian, LogCosh, SymmetricMixture
from wbound.forward.catalogue import process
from wbound.sampler.make_setting import setting

VP, T = process("vp-linear", a=1.0, b=0.5), 4.0
#: (contender, what it is measured against, the ratio that is asked for, "at most" or "at least")
CLAIMS = (
    ("gaussian", "floor", 1.3, "at most"),
    ("NumPy gaussian", "gaussian", 5.0, "at least"),
    ("NumPy mixture", "mixture", 3.0, "at least"),
    ("diffusers float32", "gaussian", 2.0, "at least"),
    ("diffusers float64", "gaussian", 8.0, "at least"),
)


@njit(nogil=True)
def _draw(rng: Any, out: np.ndarray, times: int) -> None:
    for _ in range(times):
        normals(rng, out)


class Floor(GaussianPlan):
    """The sampler's normals without the sampler."""

    def steps(self) -> Iterator[tuple[int, Step]]:
        K = self.s.nodes.K
        yield K, lambda rng, z: _draw(rng, z.reshape(-1), K)


def numpy_em(n: int, d: int, K: int, score: Callable[[np.ndarray, float, float], np.ndarray]) -> np.ndarray:
    """Euler–Maruyama as one writes it down."""
    rng = np.random.default_rng(0)
    t = np.linspace(T, 0.0, K + 1)
    beta = np.diff(-0.5 * t - 0.5 * t**2)  # ∫ g² over each step: a = 1, b = 1/2
    y = math.sqrt(float(VP.sigma2(T))) * rng.standard_normal((n, d))
    for k in range(K):
        alpha, sigma2 = float(VP.alpha(t[k])), float(VP.sigma2(t[k]))
        y = (1.0 + 0.5 * beta[k]) * y + beta[k] * score(y, alpha, sigma2)
        y += math.sqrt(beta[k]) * rng.standard_normal((n, d))
    return y


def diffusers_ddpm(n: int, d: int, K: int, variance: float, dtype: str) -> np.ndarray:
    """diffusers' loop with the exact ε = −σ·score of N(0, variance I)."""
    import torch
    from diffusers import DDPMScheduler

    alpha2 = VP.alpha(np.linspace(0.0, T, K + 1)) ** 2
    scheduler = DDPMScheduler(
        num_train_timesteps=K, trained_betas=1.0 - alpha2[1:] / alpha2[:-1], clip_sample=False
    )
    kind = getattr(torch, dtype)
    scheduler.alphas_cumprod = torch.tensor(alpha2[1:], dtype=kind)
    scheduler.set_timesteps(K)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        x = torch.randn((n, d), generator=generator, dtype=kind) * math.sqrt(1.0 - alpha2[-1])
        for t in scheduler.timesteps:
            a2 = float(alpha2[int(t) + 1])
            eps = x * (math.sqrt(1.0 - a2) / (a2 * variance + 1.0 - a2))
            x = scheduler.step(eps, t, x, generator=generator).prev_sample
    return x.numpy()


def choose_torch_threads(n: int, d: int) -> int:
    """Set the number of threads that diffusers' loop is faster with."""
    import torch

    best = (math.inf, 1)
    for threads in {1, torch.get_num_threads()}:
        torch.set_num_threads(threads)
        for K in (2, 20):  # the first is to warm up
            begin = time.perf_counter()
            diffusers_ddpm(n, d, K, 2.0, "float32")
        best = min(best, (time.perf_counter() - begin, threads))
    torch.set_num_threads(best[1])
    return best[1]


def contenders(n: int, d: int, K: int) -> dict[str, Callable[[], np.ndarray]]:
    """What runs, by name; neighbours are those that are compared."""
    gauss = Gaussian(np.zeros(d), 2.0)
    mixture = SymmetricMixture(np.full(d, 0.8 / math.sqrt(d)), 1.0)
    unit = np.full(d, d**-0.5)

    def ours(target: Any, scheme: str = "em") -> Callable[[], np.ndarray]:
        return lambda: sample(VP, target, T, K, n=n, scheme=scheme, progress=False)

    runs: dict[str, Callable[[], np.ndarray]] = {
        "floor": lambda: run(Floor(setting(VP, gauss, T, K), unit), n, 0, None, False),
        "gaussian": ours(gauss),
        "NumPy gaussian": lambda: numpy_em(n, d, K, lambda y, a, s2: -y / (2.0 * a * a + s2)),
        "mixture": ours(mixture),
        "NumPy mixture": lambda: numpy_em(n, d, K, mixture.score),
        "product (log cosh)": ours(LogCosh(d, 0.5, 2.0)),
    }
    if find_spec("torch") and find_spec("diffusers"):
        print(f"torch on {choose_torch_threads(n, d)} threads", file=sys.stderr)
        for dtype in ("float32", "float64"):
            runs[f"diffusers {dtype}"] = lambda dtype=dtype: diffusers_ddpm(n, d, K, 2.0, dtype)
        runs["gaussian, ddpm"] = ours(gauss, "ddpm")
    else:
        print("SKIPPED: diffusers' scheduler (torch and diffusers are not installed)", file=sys.stderr)
    return runs


def same_law(runs: dict[str, Callable[[], np.ndarray]], n: int, d: int) -> None:
    """Refuse to compare samplers of different laws: second moments must agree within 6 standard errors."""
    pairs = [("gaussian", "NumPy gaussian"), ("mixture", "NumPy mixture")]
    pairs += [("gaussian, ddpm", x) for x in ("diffusers float32", "diffusers float64") if x in runs]
    for ours, theirs in pairs:
        a, b = (float((runs[name]() ** 2).mean()) for name in (ours, theirs))
        if abs(a / b - 1.0) > 6.0 * math.sqrt(4.0 / (n * d)):
            raise SystemExit(f"{ours} and {theirs} do not sample one law: second moments {a:.5g} and {b:.5g}")


def peak_memory(n: int, d: int, K: int) -> float:
    """Peak of what `sample` allocates, in units of its result's n·d·8 bytes."""
    tracemalloc.start()
    try:
        sample(VP, Gaussian(np.zeros(d), 2.0), T, K, n=n, progress=False)
        return tracemalloc.get_traced_memory()[1] / (8.0 * n * d)
    finally:
        tracemalloc.stop()


def measure(n: int = 100_000, d: int = 10, K: int = 200, rounds: int = 7) -> dict[str, Any]:
    """Medians in ns per particle·dimension·step, the claims' ratios, and memory."""
    runs = contenders(n, d, K)
    same_law(runs, n, d)  # warms everything, too
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, go in runs.items():
            begin = time.perf_counter()
            go()
            times[name].append((time.perf_counter() - begin) / (n * d * K) * 1e9)
    claims = []
    for name, against, target, sense in CLAIMS:
        if name in times:
            ratio = statistics.median(a / b for a, b in zip(times[name], times[against], strict=True))
            met = ratio <= target if sense == "at most" else ratio >= target
            claims.append(
                {"claim": f"{name} / {against}", "ratio": ratio, "asked": f"{sense} {target:g}", "met": met}
            )
    return {
        "n": n,
        "d": d,
        "K": K,
        "rounds": rounds,
        "threads": len(os.sched_getaffinity(0)),
        "ns": {name: statistics.median(v) for name, v in times.items()},
        "best_ns": {name: min(v) for name, v in times.items()},
        "claims": claims,
        "peak_memory": peak_memory(n, d, min(K, 20)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, value in (("n", 100_000), ("d", 10), ("K", 200), ("rounds", 7)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--json", help="write the numbers here, too")
    a = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)  # diffusers announces its own changes
    result = measure(a.n, a.d, a.K, a.rounds)
    print(f"n = {a.n}, d = {a.d}, K = {a.K}, {result['threads']} threads, {a.rounds} rounds, float64")
    print(f"{'ns per particle, dimension and step':40s}{'median':>8s}{'best':>8s}")
    for name, value in result["ns"].items():
        print(f"  {name:38s}{value:8.2f}{result['best_ns'][name]:8.2f}")
    for c in result["claims"]:
        print(f"{c['claim']:36s}{c['ratio']:7.2f}   {c['asked']:14s}{'met' if c['met'] else 'MISSED'}")
    print(f"peak memory: {result['peak_memory']:.3f} x n·d·8 bytes (at most 2)")
    if a.json:
        with open(a.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
