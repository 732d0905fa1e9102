"""Writes docs/growth.md from docs/growth.json, which ``python docs/growth.py --measure`` renews (three minutes of a quiet
core): processor seconds and memory of the tools as their sizes grow, and slopes fitted over the last three decades.

A time is the median of three runs in one process after a first that compiles and fills caches; where a run takes over two
seconds, of one. Memory is the largest that NumPy and Python held beyond what they held before (tracemalloc, a run of its own).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
STORED, PAGE = HERE / "growth.json", HERE / "growth.md"
#: Cells of a sweep for each T.
CELLS = 7 * 2 * 5 * 4 * 4
#: What is asked of a run: nothing but that it was done.
Run = Callable[[], object]


def _spectrum(d: int) -> Any:
    from numerics.targets.datasets import from_spectrum

    return from_spectrum(np.geomspace(1e-3, 10.0, d), "power law")


def _choose_d(d: int) -> Run:
    from numerics.schedules.choice import choose

    data = _spectrum(d)
    return lambda: choose(data, 20, scheme="hf", processes=["vp-linear", "ve-exponential"], numerical=False)


def _covariance_n(n: int) -> Run:
    from numerics.targets.datasets import from_samples

    samples = np.random.default_rng(0).normal(size=(n, 16)) * np.geomspace(0.1, 3.0, 16)
    return lambda: from_samples(samples)


def _gaussian() -> Any:
    from wbound.data.gaussian import Gaussian

    return Gaussian(np.zeros(3), 2.0)


def _bound(scheme: str) -> Callable[[int], Run]:
    import wbound

    p, data = wbound.process("vp-linear"), _gaussian()
    return lambda K: lambda: wbound.w2_bound(p, data, 4.0, K, scheme=scheme)


def _exact(K: int) -> Run:
    import wbound

    p, data = wbound.process("vp-linear"), _gaussian()
    return lambda: wbound.exact_w2(p, data, 4.0, K, scheme="em")


def _tally(kind: str) -> Callable[[int], Run]:
    import wbound
    from wbound.bounds import theorem_2
    from wbound.complexity.exact_law_criterion import exact_criterion
    from wbound.summation.criterion import value_at
    from wbound.summation.step_sums import CHECKED

    p, data, em = wbound.process("vp-linear"), _gaussian(), wbound.SCHEMES["em"]
    if kind == "exact":
        criterion = exact_criterion(p, data, em)
    else:
        criterion = theorem_2.over_steps(p, data, em, "prior", 0.0, 0.0)
    return lambda K: lambda: value_at(criterion, 4.0, float(K), CHECKED)


def _sweep(cells: int) -> Run:
    """The batches that a worker gets, one after the other: what a core does, without starting workers."""
    from numerics.sweep import cells as made
    from numerics.sweep.config import read
    from numerics.sweep.run import _size

    plan = read(
        {
            "outputs": ["bound", "exact"],
            "scheme": ["em", "ei", "hf", "ddpm", "ode-hf", "ddim", "ode-ei"],
            "start": ["prior", "exact"],
            "d": [10],
            "T": np.linspace(1.0, 4.0, cells // CELLS).tolist(),
            "K": [10, 30, 100, 300, 1000],
            "process": [{"name": "vp-linear", "a": [1.0, 2.0]}, {"name": "ou", "theta": [0.5, 1.0]}],
            "target": [{"name": "power-law", "exponent": [0.5, 1.0, 1.5, 2.0]}],
        }
    )
    assert plan.cells == cells
    body, each = plan.to_dict(), _size(plan)

    def run() -> None:
        made._held = None
        for first in range(0, plan.cells, each):
            made.batch(body, first, min(first + each, plan.cells))

    return run


def _tape(K: int) -> Any:
    from wbound.sampler.multistep import MULTISTEP

    return MULTISTEP["ddim-shifted"].tape(np.append(np.geomspace(6400.0, 1e-5, K), 0.0))


def _tape_K(K: int) -> Run:
    from wbound.exact.law_of_tape import tape_law

    tape, x = _tape(K), np.geomspace(1e-2, 10.0, 16)
    return lambda: tape_law(tape, x)


def _tape_d(d: int) -> Run:
    from wbound.exact.law_of_tape import tape_law

    tape, x = _tape(50), np.geomspace(1e-2, 10.0, d)
    return lambda: tape_law(tape, x)


#: What is measured: its name, what grows, sizes, what makes the run of a size (asked for when needed, since some import much),
#: and what the slope is, or what bends it.
CASES: tuple[tuple[str, str, Sequence[int], Callable[[], Callable[[int], Run]], str], ...] = (
    (
        "choose",
        "d, eigenvalues",
        (16, 64, 256, 1024, 4096, 16_384),
        lambda: _choose_d,
        "Flat, then linear: candidates are judged on a sample of the spectrum where it is dense, and only sums over the "
        "coordinates see d.",
    ),
    (
        "covariance of samples",
        "n, samples of 16 numbers",
        (100, 1000, 10_000, 100_000),
        lambda: _covariance_n,
        "Linear in n once n outweighs what is done once (the eigenvalues, d³).",
    ),
    (
        "bound, hf, step by step",
        "K",
        (1000, 10_000, 100_000, 1_000_000),
        lambda: _bound("hf"),
        "Linear beyond what a call costs (below K = 10⁴ that is most of it, which is why the fitted power is below 1). Memory is "
        "that of a block of 32,768 steps, and of the times up to K = 2²⁰; beyond, not even they are held.",
    ),
    (
        "bound, em, step by step",
        "K",
        (1000, 10_000, 100_000, 1_000_000),
        lambda: _bound("em"),
        "As above, with more terms a step and Eq. 7's recursion.",
    ),
    (
        "exact law, em, step by step",
        "K",
        (1000, 10_000, 100_000, 1_000_000),
        lambda: lambda K: _exact(K),
        "As above.",
    ),
    (
        "bound, em, by tally",
        "K",
        (100_000, 10**6, 10**7, 10**8, 10**9),
        lambda: _tally("bound"),
        "Constant: beyond 16,384 steps sums are the Euler–Maclaurin formula, whose panels are as many as the clock moves by "
        "logarithmic units. This is what `iterations` uses, up to K = 10⁹⁰.",
    ),
    (
        "exact law, em, by tally",
        "K",
        (100_000, 10**6, 10**7, 10**8, 10**9),
        lambda: _tally("exact"),
        "Constant, as above.",
    ),
    (
        "sweep, one core",
        "cells",
        (CELLS, 5 * CELLS, 25 * CELLS),
        lambda: _sweep,
        "Linear, in the processor's time of a worker: batches of cells share nothing. How it falls with cores was "
        "not measured: two were at hand, with other work on both.",
    ),
    (
        "tape law, step by step",
        "K, evaluations",
        (3, 30, 300, 3000),
        lambda: _tape_K,
        "Linear in K where a step looks back at a few answers, as here at one; a tape in which every step sees all before is a "
        "triangle, and quadratic. Any tape holds K² coefficients (72 MB at K = 3000), found once and not in the time: tapes are "
        "for the few dozen calls that networks are asked, the laws above for more.",
    ),
    (
        "tape law, spectrum",
        "d, eigenvalues",
        (10, 100, 1000, 10_000, 100_000),
        lambda: _tape_d,
        "Linear beyond d = 1000; before, each of the K steps costs a call of NumPy whatever d is.",
    ),
)


def measured(run: Run) -> tuple[float, float]:
    """Processor seconds and bytes of a run."""
    run()
    begin = time.process_time()
    run()
    times = [time.process_time() - begin]
    while len(times) < 3 and times[0] < 2.0:
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        run()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return statistics.median(times), float(peak)


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The fitted power over the last three decades."""
    x, y = np.log10(np.array(sizes, float)), np.log10(np.array(values, float))
    last = x >= x[-1] - 3.0 - 1e-9
    return float(np.polyfit(x[last], y[last], 1)[0])


def measure(names: Sequence[str] = ()) -> dict[str, Any]:
    """All cases (or those named) measured, as they are stored."""
    rows = []
    for name, axis, sizes, maker, _ in CASES:
        if names and name not in names:
            continue
        make = maker()
        for size in sizes:
            seconds, peak = measured(make(size))
            rows.append({"case": name, "size": size, "seconds": seconds, "bytes": peak})
            print(f"{name}, {axis} = {size}: {seconds:.4g} s, {1e-6 * peak:.3g} MB", file=sys.stderr)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "python": platform.python_version(), "cores": cores}
    return {**about, "numpy": np.__version__, "rows": rows}


HEAD = """# Growth

How time and memory grow with sizes, measured on {date} (Python {python}, NumPy {numpy}; one of {cores} cores, shared with
other work). Written by `python docs/growth.py` from `docs/growth.json`; `--measure` renews that. Seconds are the
processor's, after a first run that compiles; memory is the largest held beyond what was held before. *Slope*: the fitted power
over the last three decades (or all, where they are fewer): 1 is linear, 0 does not grow.
"""


def _size(n: int) -> str:
    power = round(math.log10(n))
    return f"10^{power}" if n >= 1000 and n == 10**power else f"{n:,}"


def page(found: dict[str, Any]) -> str:
    """The stored measurements as Markdown."""
    out = [HEAD.format(**found)]
    for name, axis, _, _, why in CASES:
        rows = [row for row in found["rows"] if row["case"] == name]
        sizes = [row["size"] for row in rows]
        seconds, memory = ([row[key] for row in rows] for key in ("seconds", "bytes"))
        head = f"| {axis} | " + " | ".join(f"${_size(n).replace(',', '{,}')}$" for n in sizes) + " | slope |"
        out += [
            f"\n## {name[0].upper()}{name[1:]}, in {axis.split(',')[0]}\n",
            f"{why}\n",
            head,
            "|---|" + "---:|" * (len(sizes) + 1),
            f"| ms | {' | '.join(f'{1e3 * v:.3g}' for v in seconds)} | {slope(sizes, seconds):.2f} |",
            f"| MB | {' | '.join(f'{1e-6 * v:.2g}' for v in memory)} | {slope(sizes, memory):.2f} |",
        ]
    return "\n".join(out) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", action="store_true", help="renew docs/growth.json first")
    if parser.parse_args().measure:
        STORED.write_text(json.dumps(measure(), indent=1) + "\n", "utf-8")
    PAGE.write_text(page(json.loads(STORED.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main()
