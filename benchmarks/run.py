"""Every speed claim of the project in one run, as ratios to a named peer, limit or budget.

    python benchmarks/run.py [--quick] [--only WORD] [--keep] [--check]

Each claim is a ratio of two times of one run ("at most": the smaller the better, "at least": the larger). A
budget is a limit in seconds: its ratio is seconds over budget. ``--keep`` writes benchmarks/results.json;
``--check`` compares with it and flags every ratio that is over 30 % worse there and again when measured
again, and every claim that is missed (exit 1 with ``--strict``; a noisy machine flags now and then).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
#: How much worse than the kept ratio is flagged.
WORSE = 1.3


@dataclass(frozen=True)
class Claim:
    """One ratio: ``name`` over ``against``, how it is to be (``sense`` and ``asked``; None: only watched), and the spread
    of the rounds whose median it is, where it is known: the smallest and largest, or against a former build the quartiles."""

    family: str
    name: str
    against: str
    ratio: float
    sense: str = "at most"
    asked: float | None = None
    seconds: float | None = None
    spread: list[float] | None = None

    @property
    def key(self) -> str:
        return f"{self.family}: {self.name} / {self.against}"

    @property
    def met(self) -> bool:
        if self.asked is None:
            return True
        return self.ratio <= self.asked if self.sense == "at most" else self.ratio >= self.asked

    def worse_than(self, kept: float) -> float:
        """By which factor this ratio is worse than a kept one (below 1: better)."""
        return self.ratio / kept if self.sense == "at most" else kept / self.ratio


def flagged(claims: Iterable[Claim], kept: dict[str, float]) -> list[str]:
    """Keys of the claims whose ratio is over 30 % worse than the kept one."""
    return [c.key for c in claims if c.key in kept and c.worse_than(kept[c.key]) > WORSE]


# ---------------------------------------------------------------------- the families


def spine(quick: bool) -> list[Claim]:
    import spine as bench

    rows = {r["case"]: r for r in bench.measure(5 if quick else 15)}
    unit = rows["log1p + expm1 pass"]["seconds"]
    claims = []
    for case, row in rows.items():
        seconds = row["seconds"]
        if case.startswith("iterations") or case == "complexity_table":
            budget = bench.CALL if case.startswith("iterations") else bench.TABLE
            claims.append(Claim("spine", case, f"{budget:g} s", seconds / budget, asked=1.0, seconds=seconds))
        elif case == "plain loop over quad, scaled":
            ours = rows["w2_bound hf, sharp"]["seconds"]
            claims.append(
                Claim(
                    "spine", "loop over quad", "w2_bound hf, sharp", seconds / ours, "at least", 1000.0, ours
                )
            )
        elif seconds != unit:
            claims.append(
                Claim("spine", case, "log1p + expm1 pass", row["ratio"], asked=row["limit"], seconds=seconds)
            )
    steps = 1_000_000 if quick else 4_000_000
    for case, held in bench.memory(steps).items():
        name = f"memory at {steps:,} steps, {case}"
        claims.append(Claim("spine", name, f"{1e-6 * bench.MEMORY:.0f} MB", held / bench.MEMORY, asked=1.0))
    return claims


def start(quick: bool) -> list[Claim]:
    """What a shell waits for before anything is computed."""
    import start as bench

    rows = bench.measure(5 if quick else 15)
    return [
        Claim(
            *("start", r["name"], r["against"], r["ratio"]),
            asked=r["asked"],
            seconds=r["seconds"],
            spread=r["spread"],
        )
        for r in rows
    ]


def sampler(quick: bool) -> list[Claim]:
    import sampler as bench

    size = {"n": 100_000, "K": 60, "rounds": 5} if quick else {}
    result = bench.measure(**size)
    asked = {f"{a} / {b}": (b, target, sense) for a, b, target, sense in bench.CLAIMS}
    claims = []
    for c in result["claims"]:
        against, target, sense = asked[c["claim"]]
        claims.append(
            Claim("sampler", c["claim"].removesuffix(f" / {against}"), against, c["ratio"], sense, target)
        )
    claims.append(Claim("sampler", "peak memory", "n d 8 bytes", result["peak_memory"], asked=2.0))
    return claims


def transport(quick: bool) -> list[Claim]:
    import ot
    import transport as bench

    from numerics.transport import samples as ours

    repeat = 3 if quick else 7
    x, y = bench.samples(1000, 10)
    a, b = np.random.default_rng(0).standard_normal((2, 10**6))
    factors = np.random.default_rng(0).standard_normal((2, 500, 500))
    C1, C2 = (factor @ factor.T / 500 for factor in factors)
    pairs: list[tuple[str, str, Callable[[], Any], Callable[[], Any], float | None]] = [
        (
            "plugin_w2, n = 1000",
            "ot.emd2",
            lambda: ours.plugin_w2(x, y),
            lambda: bench.pot(x, y),
            1.5,
        ),
        (
            "one_dim_w2, 1e6 points",
            "ot.emd2_1d",
            lambda: ours.one_dim_w2(a, b),
            lambda: ot.emd2_1d(a, b),
            1.5,
        ),
        (
            "gaussian_w2, d = 500",
            "trace formula, two eigh",
            lambda: ours.gaussian_w2(0.0, C1, 0.0, C2),
            lambda: bench.textbook(C1, C2),
            None,
        ),
    ]
    claims = []
    for name, against, mine, theirs, asked in pairs:
        mine(), theirs()
        times = [(_seconds(mine), _seconds(theirs)) for _ in range(repeat)]
        ratio = statistics.median(m / t for m, t in times)
        claims.append(Claim("transport", name, against, ratio, asked=asked, seconds=times[0][0]))
    return claims


def images(quick: bool) -> list[Claim]:
    """Training of networks against the same in float32 as one writes it down, and sampling against version faadd9f's:
    3 × on a GPU; on a CPU what the command does by itself, 1.2 × where there are instructions for bf16 and no
    slower (0.9 ×) where not. Compiled it is faster, after minutes of a compiler: images.py --compile."""
    if not all(find_spec(name) for name in ("torch", "diffusers", "accelerate")):
        print("SKIPPED: images (the extra cifar10 is not installed)", file=sys.stderr)
        return []
    import images as bench
    import torch

    gpu = torch.cuda.is_available()
    if not gpu:
        torch.set_num_threads(1)  # the networks of the CPU are too small for more
    claims = []
    from numerics.cifar10.fast_networks import for_images

    few = for_images("auto", torch.device("cuda" if gpu else "cpu")) == "bf16"
    for preset in ("paper", "large") if gpu else ("smoke", "small"):
        many = 128 if gpu else 256 if preset == "small" else 32  # 256: the command's own
        size = argparse.Namespace(batch=many, rounds=3 if quick else 5, steps=20 if gpu else 3)
        vars(size).update(
            K=20, precision="auto", compile=False, only="sampling" if preset == "small" else None
        )
        for row in bench.measure(preset, "vp", size)["rows"]:
            if row["who"] in ("baseline", "faadd9f"):
                continue
            asked = 3.0 if gpu else None if preset == "smoke" else 1.2 if few else 0.9
            name = f"{row['what']}, {preset}, {'GPU' if gpu else 'CPU'}"
            against = "float32 baseline" if row["what"] == "training" else "float32, eager (faadd9f)"
            claims.append(Claim("images", name, against, row["ratio"], "at least", asked))
    return claims


def tapes(quick: bool) -> list[Claim]:
    """The exact law of a recorded scheduler against running it, five schedulers and their medians."""
    if not all(find_spec(name) for name in ("torch", "diffusers")):
        print("SKIPPED: tapes (torch and diffusers are not installed)", file=sys.stderr)
        return []
    import tapes as bench

    rows = bench.measure(5 if quick else 15)
    claims = []
    for key, seconds, how, asked in (
        ("ratio", "law", "NumPy", 5.0),
        ("compiled_ratio", "compiled", "compiled", 20.0),
    ):
        for row in rows:
            name, against = f"run {row['scheduler']}, {row['evaluations']} calls", f"exact law, {how}"
            claims.append(Claim("tapes", name, against, row[key], "at least", seconds=row[seconds]))
        median = statistics.median(row[key] for row in rows)
        claims.append(Claim("tapes", "run, median of five", f"exact law, {how}", median, "at least", asked))
    found = bench.rank(3 if quick else 9)
    name = f"{found['rows']:.0f} schedulers ranked on digits"
    claims.append(
        Claim(
            "tapes",
            f"{name}, anew",
            f"{bench.ANEW:g} s",
            found["anew"] / bench.ANEW,
            asked=1.0,
            seconds=found["anew"],
        )
    )
    claims.append(
        Claim(
            "tapes",
            f"{name}, tapes kept",
            "one 20-step DDIM run",
            found["ratio"],
            asked=25.0,
            seconds=found["kept"],
        )
    )
    return claims


def budgets(quick: bool) -> list[Claim]:
    """What has a budget in seconds."""
    import wbound
    from numerics.schedules.choice import choose
    from numerics.targets.datasets import from_spectrum
    from wbound.data.gaussian import Gaussian
    from wbound.forward.catalogue import process

    p, law = process("vp-linear"), Gaussian(np.zeros(3), 2.0)
    spectrum = from_spectrum(np.geomspace(1.0, 1e-4, 3072))
    cases: list[tuple[str, float, Callable[[], Any]]] = [
        ("certify hf, K = 1e5", 5.0, lambda: wbound.certify(p, law, 4.0, 100_000, scheme="hf")),
        ("choose hf, d = 3072, K = 1000", 10.0, lambda: choose(spectrum, 1000, scheme="hf")),
        # a tenth of the claim and the start of the workers, or the claim itself
        ("sweep, 1e4 cells", 16.0, lambda: _sweep(10_000))
        if quick
        else ("sweep, 1e5 cells", 60.0, lambda: _sweep(100_000)),
    ]
    claims = []
    for name, budget, case in cases:
        times = [_seconds(case) for _ in range(1 if quick else 3)]
        seconds = statistics.median(times)
        claims.append(Claim("budget", name, f"{budget:g} s", seconds / budget, asked=1.0, seconds=seconds))
    with tempfile.TemporaryDirectory() as folder:
        program = "from numerics.cli.main import run; run()"
        lines: dict[str, tuple[float, int, list[str]]] = {
            "import wbound": (1.0, 3, ["import wbound"]),
            "wbound lower-bound": (1.0, 3, [program, "lower-bound"]),
        }
        if not quick:
            lines["wbound report"] = (12.0, 1, [program, "report", "--out", folder])
        for name, budget, rounds, words in ((name, *line) for name, line in lines.items()):
            seconds = statistics.median(_processor(words) for _ in range(rounds))
            told = f"{budget:g} s of processor"
            claims.append(Claim("budget", name, told, seconds / budget, asked=1.0, seconds=seconds))
    return claims


def affine(quick: bool) -> list[Claim]:
    """Calls of the affine floor, and nodes fitted to 3,072 eigenvalues beside the best grid of ddim."""
    import affine as bench

    found = bench.measure(5 if quick else 15)
    claims = [
        Claim("affine", name, "50 us", seconds / 50e-6, asked=1.0, seconds=seconds)
        for name, seconds in found["calls"].items()
    ]
    for fit in found["fits"]:
        name = f"nodes at K = {fit['K']}, 3072 eigenvalues"
        if fit["K"] == 10:
            claims.append(
                Claim("affine", name, "0.5 s", fit["seconds"] / 0.5, asked=1.0, seconds=fit["seconds"])
            )
        claims.append(
            Claim("affine", f"{name}, time", "numerical_grid of ddim", fit["seconds"] / fit["grid_seconds"])
        )
        claims.append(Claim("affine", f"{name}, W2", "numerical_grid of ddim", fit["w2"] / fit["grid_w2"]))
    return claims


def former(quick: bool) -> list[Claim]:
    """Today's build against a former one, interleaved (benchmarks/former.py); without the history, nothing."""
    import former as bench

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
        kinds: dict[str, dict[str, Any]] = {name: {"scheme": name} for name in ("em", "hf", "ddpm")}
        kinds["Theorem 1"] = {"theorem": "published", "M1": "exact"}
        for process in wbound.PUBLISHED:
            for kind, own in kinds.items():
                for eps in (0.1, 1e-3, 1e-8):
                    name = f"{CATALOGUE}{process}, {kind}, eps = {eps:g}"
                    cases[name] = ("iterations", {"process": process, "eps": eps, **own}, None)
    found = bench.compare({name: case[:2] for name, case in cases.items()}, 5)
    claims = [
        Claim(
            "former", c.case, bench.COMMIT, c.ratio, "at least", cases[c.case][2], c.seconds, [c.low, c.high]
        )
        for c in found
        if not c.case.startswith(CATALOGUE)
    ]
    ours = [c for c in found if c.case.startswith(CATALOGUE)]
    if ours:
        low, middle, high = statistics.quantiles([c.ratio for c in ours], n=4)
        seconds = statistics.median(c.seconds for c in ours)
        name = f"iterations, median of the catalogue's {len(ours)}"
        claims.append(Claim("former", name, bench.COMMIT, middle, "at least", 5.0, seconds, [low, high]))
    return claims


#: The cases of `iterations` whose median is one claim.
CATALOGUE = "iterations: "


#: 10⁴ cells of closed form for each target.
SWEEP = {
    "outputs": ["bound", "exact"],
    "schemes": ["em", "ei", "hf", "ddpm"],
    "starts": ["prior", "exact"],
    "d": [1, 3, 10, 30, 100],
    "T": [1.0, 2.0, 3.0, 4.0, 5.0],
    "K": [10, 20, 30, 40, 50, 60, 70, 80, 90, 100],
    "process": [
        {"name": "vp-linear", "a": [1.0, 2.0]},
        {"name": "ou", "theta": [0.5, 1.0]},
        {"name": "ve-exponential", "a": [1.0]},
    ],
}


def _sweep(cells: int) -> None:
    from numerics.sweep.run import sweep

    exponents = [1.0 + 0.1 * i for i in range(cells // 10_000)]
    grid = {**SWEEP, "target": [{"name": "power-law", "exponent": exponents}]}
    with tempfile.TemporaryDirectory() as folder:
        result = sweep(grid, folder, progress=False)
    if result.cells != cells or result.failed:
        raise SystemExit(f"the sweep has {result.cells} cells, {result.failed} failed")


def _processor(words: list[str]) -> float:
    """Seconds of processor that a program of Python and its arguments take in a fresh interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _seconds(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


FAMILIES: dict[str, Callable[[bool], list[Claim]]] = {
    "start": start,
    "spine": spine,
    "sampler": sampler,
    "transport": transport,
    "images": images,
    "tapes": tapes,
    "budget": budgets,
    "affine": affine,
    "former": former,
}


# ---------------------------------------------------------------------- the run


def measured(families: Sequence[str], quick: bool) -> list[Claim]:
    """All claims of the families, in order."""
    claims = []
    for family in families:
        print(f"measuring: {family}", file=sys.stderr)
        with contextlib.redirect_stdout(sys.stderr):
            claims += FAMILIES[family](quick)
    return claims


def environment() -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "versions": {name: version(name) for name in ("numpy", "scipy", "numba", "sympy", "POT")},
    }


def read_kept(path: Path = RESULTS) -> dict[str, float]:
    """The kept ratios by key; none where nothing was kept."""
    if not path.exists():
        return {}
    rows = json.loads(path.read_text("utf-8"))["claims"]
    return {Claim(**row).key: row["ratio"] for row in rows}


def table(claims: Sequence[Claim], kept: dict[str, float]) -> str:
    rows = []
    for c in claims:
        asked = "" if c.asked is None else f"{c.sense} {c.asked:.4g}"
        before = f"{kept[c.key]:.3g}" if c.key in kept else ""
        spread = "" if c.spread is None else f"{c.spread[0]:.3g} … {c.spread[1]:.3g}"
        missed = "" if c.met else "MISSED"
        rows.append((c.family, c.name, c.against, f"{c.ratio:.3g}", spread, asked, before, missed))
    heads = ["family", "claim", "against", "ratio", "spread", "asked", "kept", ""]
    return tabulate(rows, heads, disable_numparse=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under a minute")
    parser.add_argument("--only", choices=FAMILIES, action="append", help="a family (may be repeated)")
    parser.add_argument("--keep", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--check", action="store_true", help="flag what is over 30 %% worse than kept")
    parser.add_argument("--strict", action="store_true", help="exit 1 where something is flagged or missed")
    parser.add_argument("--json", type=Path, help="write the results there")
    a = parser.parse_args(arguments)
    warnings.simplefilter("ignore", FutureWarning)  # diffusers announces its own changes
    families = list(a.only or FAMILIES)
    claims, kept = measured(families, a.quick), read_kept()
    print(table(claims, kept))
    worse = set(flagged(claims, kept)) if a.check else set()
    if worse:  # a slow spell is not a slow program: once more, and what is worse both times is flagged
        again = measured([f for f in families if any(key.startswith(f"{f}: ") for key in worse)], a.quick)
        worse &= set(flagged(again, kept))
    missed = [c.key for c in claims if not c.met]
    for key in sorted(worse):
        print(f"WORSE by over 30 % than kept: {key} ({kept[key]:.3g} kept)")
    for key in missed:
        print(f"MISSED: {key}")
    if a.check:
        print(f"benchmarks: {len(claims)} claims, {len(missed)} missed, {len(worse)} worse than kept")
    text = json.dumps({"environment": environment(), "claims": [asdict(c) for c in claims]}, indent=1) + "\n"
    for path in (RESULTS if a.keep else None, a.json):
        if path is not None:
            path.write_text(text, "utf-8")
    return 1 if a.strict and (worse or missed) else 0


if __name__ == "__main__":
    sys.exit(main())
