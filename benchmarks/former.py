"""Today's build beside a former one, interleaved in one run: two interpreters that time the cases they are told.

The former build is a git worktree of `COMMIT`, on the path before today's, so that both use one environment. Where the
history is not there (a shallow clone, an archive) the claims are skipped, aloud. Every figure is a ratio of processor
seconds; modules have moved since, so a case finds what it needs by the older name first.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
#: What the claims of ten to thirty times compare with.
COMMIT = "faadd9f"


@contextlib.contextmanager
def former_build() -> Iterator[Path | None]:
    """A worktree of `COMMIT`; None, said on stderr, where git has none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / COMMIT
        made = subprocess.run(
            ["git", "worktree", "add", "--detach", str(path), COMMIT],
            cwd=HERE,
            capture_output=True,
            text=True,
        )
        if made.returncode:
            said = " ".join(made.stderr.split())[-200:]
            print(f"SKIPPED: claims against {COMMIT}, whose history is not here ({said})", file=sys.stderr)
            yield None
            return
        try:
            yield path
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(path)], cwd=HERE, check=True)


class Interpreter:
    """One build, asked for the seconds of a case after the other."""

    def __init__(self, path: Path) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(path),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "former.py"), "--serve"],
            cwd=path,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, case: str, options: dict[str, Any]) -> float:
        """Processor seconds of one more run of a case."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([case, options]) + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@dataclass(frozen=True)
class Comparison:
    """Former over today's seconds of a case: the median of the pairs, the quartiles, today's seconds."""

    case: str
    ratio: float
    low: float
    high: float
    seconds: float


def compare(cases: dict[str, tuple[str, dict[str, Any]]], pairs: int = 5) -> list[Comparison]:
    """Every case in both builds, ``pairs`` times (at least five), the two after each other; empty without history."""
    with former_build() as path:
        if path is None:
            return []
        builds = Interpreter(path), Interpreter(HERE.parent)
        try:
            out = []
            for name, (case, options) in cases.items():
                for build in builds:  # compiles, loads, fills caches
                    build(case, options)
                times = [tuple(build(case, options) for build in builds) for _ in range(max(pairs, 5))]
                ratios = [then / now for then, now in times]
                low, middle, high = statistics.quantiles(ratios, n=4)
                out.append(Comparison(name, middle, low, high, statistics.median(now for _, now in times)))
                print(f"{name}: {middle:.2f} ({low:.2f} to {high:.2f}) times faster than {COMMIT}")
        finally:
            for build in builds:
                build.close()
    return out


# ---------------------------------------------------------------------- what is asked of them

#: The cases of `iterations` whose median is one claim.
CATALOGUE = "iterations: "


def asked(quick: bool) -> dict[str, tuple[str, dict[str, Any], float | None]]:
    """What is compared, by name: a case, its options, and how many times faster it is to be."""
    import wbound

    log = {"f": "log(1+t)", "g": "log(1+t)", "eps": 1e-8}
    cases: dict[str, tuple[str, dict[str, Any], float | None]] = {
        "sweep, a cell of K <= 1000": ("sweep", {"K": [10, 30, 100, 300, 1000], "most": 1680}, 20.0),
        "sweep, a cell of K = 1e4": ("sweep", {"K": [10_000], "most": 84}, 3.0),
        "search, an evaluation": ("search", {"n": 60}, 5.0),
    }
    ranked: dict[str, Any] = {
        "processes": ["vp-linear", "ve-exponential", "ou"],
        "grids": ["uniform", "optimal", "gaussian", "log-lam", "edm"],
    }  # what both builds rank
    for d, K in [(10, 100)] if quick else [(d, K) for d in (10, 3072) for K in (20, 100, 1000)]:
        name = f"choose, {d} eigenvalues, K = {K}"
        cases[name] = ("choose", {"d": d, "K": K, "numerical": False, **ranked}, 5.0)
    if not quick:  # the former build takes up to 17 s for each
        cases["choose, digits, K = 20, optimised nodes too"] = ("choose", {"d": 0, "K": 20, **ranked}, 5.0)
        words = ["choose", "--data", "digits", "--steps", "20"]
        cases["wbound choose --data digits, the program"] = ("program", {"words": words}, 2.0)
        # 40 and 4.8 s of the former build's processor in 12 and 1 s
        cases["wbound lower-bound, the program"] = ("program", {"words": ["lower-bound"]}, 4.8)
        cases["wbound report, the program"] = ("program", {"words": ["report"]}, 40.0 / 12.0)
        cases["iterations, f = g = log(1+t), em, eps = 1e-8"] = ("users", log, 10.0)
        known = ["em", "ei", "hf", "ddpm", "ode-ei", "ode-hf"]
        tables: dict[str, dict[str, Any]] = {"complexity": {"m0": 1.0}, "scheme": {"schemes": known}}
        for kind, own in tables.items():
            # today's complexity_table has Theorem 7's K as well, and the exact law's at its worst
            options = {"name": f"{kind}_table", "L0": 1.0, **own}
            cases[f"{kind}_table, eight processes"] = ("table", options, 5.0)
        kinds: dict[str, dict[str, Any]] = {name: {"scheme": name} for name in ("em", "hf", "ddpm")}
        kinds["Theorem 1"] = {"theorem": "published", "M1": "exact"}
        for process in wbound.PUBLISHED:
            for kind, own in kinds.items():
                for eps in (0.1, 1e-3, 1e-8):
                    name = f"{CATALOGUE}{process}, {kind}, eps = {eps:g}"
                    cases[name] = ("iterations", {"process": process, "eps": eps, **own}, None)
    return cases


# ---------------------------------------------------------------------- cases, run in either build


def _sweep(K: list[int], most: int) -> Callable[[], object]:
    """Batches as a worker gets them, from the start: nothing is known of the run before."""
    try:
        from numerics.sweep_config import read

        from numerics import sweep_cells as cells
        from numerics.sweep import _size as size
    except ImportError:
        from numerics.sweep import cells
        from numerics.sweep.config import read
        from numerics.sweep.run import _size as size
    plan = read({**tomllib.loads((HERE / "sweep.toml").read_text("utf-8")), "K": K})
    body, each, last = plan.to_dict(), size(plan), min(plan.cells, most)

    def run() -> None:
        cells._held = None
        for first in range(0, last, each):
            cells.batch(body, first, min(first + each, last))

    return run


def _gaussian(d: int, variance: float) -> Any:
    import numpy as np

    try:
        from wbound.data.gaussian import Gaussian
    except ImportError:
        from wbound.gaussian import Gaussian
    return Gaussian(np.zeros(d), variance)


def _iterations(process: str, eps: float, **options: Any) -> Callable[[], object]:
    import wbound

    p, data = wbound.process(process), _gaussian(10, 1.0)
    return lambda: wbound.iterations(p, data, eps, **options)


def _table(name: str, **options: Any) -> Callable[[], object]:
    """A table of K(ε) of the eight processes: `complexity_table`, or `scheme_table` of the schemes given."""
    import wbound

    table = getattr(wbound, name)
    return lambda: table(**options)


def _users(f: str, g: str, eps: float) -> Callable[[], object]:
    import wbound

    p, data = wbound.Process(f=f, g=g), _gaussian(10, 1.0)
    return lambda: wbound.iterations(p, data, eps, scheme="em")


def _search(n: int) -> Callable[[], object]:
    """Evaluations of the directed search at points that both builds draw alike."""
    import numpy as np

    try:
        from numerics import search as s
    except ImportError:
        from numerics.verification import counterexamples as s
    family = s.Family("sharp", "em", "exact")
    box = np.array(s._box("vp-linear", family))
    points = np.random.default_rng(0).uniform(*box.T, size=(n, len(box)))
    objective = s._Objective(family, float("inf"), 0.0).at("vp-linear")
    return lambda: [objective(x) for x in points]


def _choose(d: int, K: int, **options: Any) -> Callable[[], object]:
    """The ranking of what both builds know, for a spectrum of ``d`` eigenvalues (0: the digits)."""
    import numpy as np

    try:
        from numerics.choose import choose
        from numerics.datasets import digits, from_spectrum
    except ImportError:
        from numerics.schedules.choice import choose
        from numerics.targets.datasets import digits, from_spectrum
    data = from_spectrum(np.arange(1.0, d + 1.0) ** -1.5, "power law") if d else digits()
    return lambda: choose(data, K, **options)


def _program(words: list[str]) -> Callable[[], object]:
    """A command line in a fresh interpreter of the build, in a folder of its own."""
    line = [sys.executable, "-c", "from numerics.cli.main import run; run()", *words]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    quiet = subprocess.DEVNULL

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(line, check=True, cwd=folder, env=environment, stdout=quiet, stderr=quiet)

    return run


CASES: dict[str, Callable[..., Callable[[], object]]] = {
    "sweep": _sweep,
    "iterations": _iterations,
    "table": _table,
    "users": _users,
    "search": _search,
    "choose": _choose,
    "program": _program,
}


def serve() -> None:
    """Time the cases that stdin names, one a line; the first time of each also prepares it."""
    ready: dict[str, Callable[[], object]] = {}
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a case prints is no answer
    for line in sys.stdin:
        case, options = json.loads(line)
        if line not in ready:
            ready[line] = CASES[case](**options)
        begin = _processor()
        ready[line]()
        out.write(f"{_processor() - begin}\n")
        out.flush()


def _processor() -> float:
    """Processor seconds of this program and of those that it has waited for."""
    others = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + others.ru_utime + others.ru_stime


if __name__ == "__main__":
    if "--serve" not in sys.argv:
        sys.exit("run benchmarks/run.py --only former")
    serve()
