"""Time and memory of `numerics.transport` beside what one would call otherwise.

Usage: ``python benchmarks/transport.py [--points 1000 2000 4000] [--repeat 3]``. Every exact solver runs in a
process of its own, so that its peak memory is its own; times are medians, warm, one thread. Ratios are
against the first line of each block.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

from numerics.transport import samples as transport  # noqa: E402


def samples(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Two samples of laws 0.2 √d or so apart."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, d)), 0.1 + 0.9 * rng.standard_normal((n, d))


def pot(x: np.ndarray, y: np.ndarray) -> float:
    """POT as it comes: its default number of iterations, and a warning that one may not see."""
    import ot

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return math.sqrt(ot.emd2([], [], ot.dist(x, y)))


def sinkhorn(x: np.ndarray, y: np.ndarray) -> float:
    """Entropic transport, regularised by 5 % of the mean cost."""
    import ot

    cost = ot.dist(x, y)
    weights = np.full(len(x), 1.0 / len(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return math.sqrt(ot.sinkhorn2(weights, weights, cost, 0.05 * cost.mean()))


SOLVERS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "plugin_w2, simplex": lambda x, y: transport.plugin_w2(x, y, method="simplex"),
    "plugin_w2, assignment": lambda x, y: transport.plugin_w2(x, y, method="assignment"),
    "ot.emd2, defaults": pot,
    "ot.sinkhorn2, 5 %": sinkhorn,
    "empirical_w2 (bracket)": lambda x, y: transport.empirical_w2(x, y).w2,
    "sliced_w2 · √d": lambda x, y: math.sqrt(x.shape[1]) * transport.sliced_w2(x, y),
}


def measure(call: Callable[[], float], repeat: int) -> tuple[float, float]:
    """The value and the median time."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        value = call()
        times.append(time.perf_counter() - start)
    return value, statistics.median(times)


def alone(name: str, n: int, d: int, repeat: int) -> dict[str, float]:
    """One solver in this process: value, seconds, and the memory it took beyond what it started with (MB)."""
    solve, (x, y) = SOLVERS[name], samples(n, d)
    solve(x[:20], y[:20])  # imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    value, seconds = measure(lambda: solve(x, y), repeat)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"value": value, "seconds": seconds, "mb": (peak - before) / 1024}


def solvers(sizes: list[int], repeat: int) -> None:
    for d in (2, 10):
        for n in sizes:
            matrix = 8e-6 * n * n
            print(f"\nsamples, n = {n}, d = {d}; one cost matrix is {matrix:.0f} MB")
            first = None
            for name in SOLVERS:
                command = [sys.executable, __file__, "--alone", name, str(n), str(d), "--repeat", str(repeat)]
                row = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
                first = first or row
                print(
                    f"  {name:24s} W2 {row['value']:.6f} ({row['value'] / first['value'] - 1:+.2%})   "
                    f"{row['seconds']:7.3f} s ({row['seconds'] / first['seconds']:5.2f} x)   "
                    f"{row['mb']:6.0f} MB ({row['mb'] / matrix:.1f} matrices)"
                )


def textbook(C1: np.ndarray, C2: np.ndarray) -> float:
    w, v = np.linalg.eigh(C1)
    root = (v * np.sqrt(np.maximum(w, 0.0))) @ v.T
    inner = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ C2 @ root), 0.0)).sum()
    return math.sqrt(max(0.0, np.trace(C1) + np.trace(C2) - 2.0 * inner))


def gaussian(repeat: int) -> None:
    rng = np.random.default_rng(0)
    for d in (100, 500, 2000):
        C1, C2 = (factor @ factor.T / d for factor in rng.standard_normal((2, d, d)))
        value, seconds = measure(lambda a=C1, b=C2: transport.gaussian_w2(0.0, a, 0.0, b), repeat)
        other, slower = measure(lambda a=C1, b=C2: textbook(a, b), repeat)
        print(f"\nGaussian, d = {d}")
        print(f"  gaussian_w2              W2 {value:.9f}   {seconds:7.4f} s")
        print(f"  trace formula, two eigh  W2 {other:.9f}   {slower:7.4f} s ({slower / seconds:5.2f} x)")
        near = (1.0 + 1e-8) * C1
        exact = (math.sqrt(1.0 + 1e-8) - 1.0) * math.sqrt(np.trace(C1))
        got, lost = transport.gaussian_w2(0.0, C1, 0.0, near), textbook(C1, near)
        print(
            f"  laws {exact:.6e} apart: relative error {got / exact - 1:+.1e}, "
            f"trace formula {lost / exact - 1:+.1e}"
        )


def line(repeat: int) -> None:
    import ot

    x, y = np.random.default_rng(0).standard_normal((2, 10**6))
    value, seconds = measure(lambda: transport.one_dim_w2(x, y), repeat)
    other, slower = measure(lambda: math.sqrt(ot.emd2_1d(x, y)), repeat)
    print(f"\nthe line, 10^6 points: one_dim_w2 {value:.9f}   {seconds:.3f} s")
    print(f"                        ot.emd2_1d {other:.9f}   {slower:.3f} s ({slower / seconds:.2f} x)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[1000, 2000, 4000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--alone", nargs=3, metavar=("SOLVER", "N", "D"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        name, n, d = arguments.alone
        print(json.dumps(alone(name, int(n), int(d), arguments.repeat)))
        return
    solvers(arguments.points, arguments.repeat)
    gaussian(arguments.repeat)
    line(arguments.repeat)


if __name__ == "__main__":
    main()
