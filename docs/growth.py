"""Writes docs/growth.md from docs/growth.json, which ``python docs/growth.py --measure`` renews (four minutes of a quiet
machine): processor seconds and memory of the tools as their sizes grow, and powers fitted over three decades.

A time is the median of three runs in one process after a first that fills caches; where a run takes over two seconds, of
one. Memory is the largest that NumPy and Python held beyond what they held before (tracemalloc, a run of its own). A sweep
on several cores is timed on the clock, workers' start and files included, once for each number of cells and cores.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
STORED, PAGE = HERE / "growth.json", HERE / "growth.md"
#: Cells of a sweep for each T, and of the sweeps that are measured.
EACH_T = 7 * 2 * 4 * 2
CELLS = (EACH_T, 10 * EACH_T, 100 * EACH_T, 1000 * EACH_T)
PROCESSES = ("vp-linear", "ve-exponential")
#: Seconds beyond which one run is enough.
LONG = 2.0
#: What is asked of a run: nothing but that it was done.
Run = Callable[[], object]


def _spectrum(d: int) -> Any:
    from numerics.targets.datasets import from_spectrum

    return from_spectrum(np.geomspace(1e-3, 10.0, d), "power law")


def _choose_d(d: int) -> Run:
    from numerics.schedules.choice import choose

    data = _spectrum(d)
    return lambda: choose(data, 20, scheme="hf", processes=PROCESSES, numerical=False)


def _covariance_n(n: int) -> Run:
    from numerics.targets.datasets import from_samples

    samples = _samples(n)
    return lambda: from_samples(samples)


def _choose_n(n: int) -> Run:
    from numerics.schedules.choice import choose
    from numerics.targets.datasets import from_samples

    samples = _samples(n)
    return lambda: choose(from_samples(samples), 20, scheme="hf", processes=PROCESSES, numerical=False)


def _samples(n: int) -> Any:
    return np.random.default_rng(0).normal(size=(n, 16)) * np.geomspace(0.1, 3.0, 16)


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


def _plan(cells: int) -> Any:
    from numerics.sweep.config import read

    plan = read(
        {
            "outputs": ["bound", "exact"],
            "scheme": ["em", "ei", "hf", "ddpm", "ode-hf", "ddim", "ode-ei"],
            "start": ["prior", "exact"],
            "d": [10],
            "T": np.linspace(1.0, 4.0, cells // EACH_T).tolist(),
            "K": [10, 30, 100, 1000],
            "process": [{"name": "vp-linear", "a": [1.0]}],
            "target": [{"name": "power-law", "exponent": [1.0, 2.0]}],
        }
    )
    assert plan.cells == cells
    return plan


def _sweep(cells: int) -> Run:
    """The batches that a worker gets, one after the other: what a core does, without starting workers."""
    from numerics.sweep import cells as made
    from numerics.sweep.run import _size

    plan = _plan(cells)
    body, each = plan.to_dict(), _size(plan)

    def run() -> None:
        made._held = None
        for first in range(0, plan.cells, each):
            made.batch(body, first, min(first + each, plan.cells))

    return run


def _on_cores(cells: int, cores: int) -> float:
    """Seconds on the clock of a whole sweep."""
    from numerics.sweep import sweep

    plan = _plan(cells)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        done = sweep(plan, folder, jobs=cores, progress=False)
        seconds = time.perf_counter() - begin
    assert (done.cells, done.failed) == (cells, 0), done
    return seconds


def _tape(K: int) -> Any:
    from wbound.sampler.multistep import MULTISTEP

    return MULTISTEP["ddim-shifted"].tape(np.append(np.geomspace(6400.0, 1e-5, K), 0.0))


def _tape_made(K: int) -> Run:
    return lambda: _tape(K)


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
        "choose",
        "n, samples of 16 numbers",
        (100, 1000, 10_000, 100_000),
        lambda: _choose_n,
        "Flat: of samples the covariance is made once, and what is judged after that has d numbers, whatever n is.",
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
        tuple(10**i for i in range(3, 9)),
        lambda: _bound("hf"),
        "Linear beyond what a call costs, which below K = 10⁴ is most of it. Memory is "
        "that of a block of 32,768 steps, and of the times up to K = 2²⁰; beyond, not even they are held.",
    ),
    (
        "bound, em, step by step",
        "K",
        tuple(10**i for i in range(3, 9)),
        lambda: _bound("em"),
        "As above, with more terms a step and Eq. 7's recursion.",
    ),
    (
        "exact law, em, step by step",
        "K",
        tuple(10**i for i in range(3, 9)),
        lambda: lambda K: _exact(K),
        "As above.",
    ),
    (
        "bound, em, by tally",
        "K",
        tuple(10**i for i in range(3, 10)),
        lambda: _tally("bound"),
        "Constant beyond 16,384 steps, where sums are the Euler–Maclaurin formula, whose panels are as many as the clock moves "
        "by logarithmic units. This is what `iterations` uses, up to K = 10⁹⁰.",
    ),
    (
        "exact law, em, by tally",
        "K",
        tuple(10**i for i in range(3, 10)),
        lambda: _tally("exact"),
        "Constant, as above.",
    ),
    (
        "sweep, one core",
        "cells",
        CELLS,
        lambda: _sweep,
        "Linear, in the processor's time of a worker: batches of cells share nothing.",
    ),
    (
        "tape law, step by step",
        "K, evaluations",
        (3, 30, 300, 3000),
        lambda: _tape_K,
        "Linear in K where a step looks back at a few answers, as here at one; a tape in which every step sees all before is a "
        "triangle, and quadratic. The tape is made once, and not in this time.",
    ),
    (
        "tape, made",
        "K, evaluations",
        (3, 30, 300, 3000),
        lambda: _tape_made,
        "Quadratic: a tape holds a coefficient for every pair of steps (72 MB of doubles at K = 3000, and four such tables "
        "while it is made), whether its sampler looks back or not. Tapes are for the few dozen calls that networks are asked, "
        "the laws above for more.",
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
    times = [_timed(run)]
    if times[0] < LONG:
        times = [_timed(run) for _ in range(3)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        run()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return statistics.median(times), float(peak)


def _timed(run: Run) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


def slope(sizes: Sequence[float], values: Sequence[float], decades: float = 3.0) -> float:
    """The fitted power over the last decades (16 to 16,384 is three)."""
    x, y = np.log10(np.array(sizes, float)), np.log10(np.array(values, float))
    last = x >= x[-1] - decades - 0.02
    return float(np.polyfit(x[last], y[last], 1)[0])


def measure() -> dict[str, Any]:
    """All cases measured, as they are stored."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    loads = [_load()]
    rows = []
    for name, axis, sizes, maker, _ in CASES:
        make = maker()
        make(sizes[0])()  # compiles
        for size in sizes:
            seconds, peak = measured(make(size))
            rows.append({"case": name, "axis": axis, "size": size, "seconds": seconds, "bytes": peak})
            print(f"{name}, {axis} = {size}: {seconds:.4g} s, {1e-6 * peak:.3g} MB", file=sys.stderr)
            loads.append(_load())
    of_cores = []
    for cells in CELLS:
        for n in sorted({1, 2, cores} | {2**i for i in range(cores.bit_length()) if 2**i <= cores}):
            if n <= cores:
                of_cores.append({"cells": cells, "cores": n, "seconds": _on_cores(cells, n)})
                print(f"sweep, {cells} cells on {n} cores: {of_cores[-1]['seconds']:.3g} s", file=sys.stderr)
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    about: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    about |= {"cores": cores, "load": loads[0], "busiest": max(loads)}
    return {**about, "rows": rows, "sweeps": of_cores, "worker_bytes": worker}


def _load() -> float:
    """Of the machine in the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan


HEAD = """# Growth

How time and memory grow with sizes, measured on {date} (Python {python}, NumPy {numpy}; a machine of {cores} cores, whose
load was {load:.1f} when it began and up to {busiest:.1f} before the sweeps on several cores: above 1, other work ran beside
it, and seconds on the clock are longer for it). Written by `python docs/growth.py` from `docs/growth.json`; `--measure`
renews that. Seconds are the processor's, after a first run that compiles; memory is the largest held beyond what was held before.
*Power*: fitted over the last three decades, and over the last one: 1 is linear, 0 does not grow.
"""
CORES = """
## Sweep, on several cores

Seconds on the clock of a whole sweep: workers are started, and files written. What cores share out is the table above; the
start is not, which is why few cells gain nothing. A worker held {worker:.0f} MB at most, most of it the packages that it imports.

"""


def _number(n: int) -> str:
    power = round(math.log10(n))
    return f"$10^{power}$" if n >= 1000 and n == 10**power else f"${n:,}$".replace(",", "{,}")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---", *["---:"] * (len(head) - 1)], *rows)]


def page(found: dict[str, Any]) -> str:
    """The stored measurements as Markdown."""
    out = [HEAD.format(**found)]
    for name, axis, _, _, why in CASES:
        rows = [row for row in found["rows"] if (row["case"], row["axis"]) == (name, axis)]
        sizes = [row["size"] for row in rows]
        lines = []
        for unit, key, scale, digits in (("ms", "seconds", 1e3, 3), ("MB", "bytes", 1e-6, 2)):
            values = [row[key] for row in rows]
            powers = (f"{slope(sizes, values, decades):.2f}" for decades in (3.0, 1.0))
            lines.append([unit, *(f"{scale * v:.{digits}g}" for v in values), *powers])
        out += [
            f"\n## {name[0].upper()}{name[1:]}, in {axis.split(',')[0]}\n",
            f"{why}\n",
            *_table([axis, *map(_number, sizes), "power", "at the end"], lines),
        ]
    seconds = {(row["cells"], row["cores"]): row["seconds"] for row in found["sweeps"]}
    cells, cores = (sorted({key[i] for key in seconds}) for i in range(2))
    lines = [
        [f"{n} cores, s" if n > 1 else "1 core, s", *(f"{seconds[c, n]:.3g}" for c in cells)] for n in cores
    ]
    lines += [
        [f"1 to {n}, times", *(f"{seconds[c, 1] / seconds[c, n]:.2f}" for c in cells)] for n in cores[1:]
    ]
    return (
        "\n".join(
            [
                *out,
                CORES.format(worker=1e-6 * found["worker_bytes"]),
                *_table(["cells", *map(_number, cells)], lines),
            ]
        )
        + "\n"
    )


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
