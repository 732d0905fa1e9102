"""What ``pip install wbound`` brings, in an environment of its own and without any extra: ``make light``.

Not pytest's, which is not installed there. The first part is what the base is for; the second asks for everything that
an extra brings, and holds the line that names it. Exits with a status other than 0 at the first thing that is wrong.
"""

from __future__ import annotations

import importlib
import io
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import wbound
from numerics.cli.main import main

#: What the extras bring, as it is imported.
EXTRAS = (
    *("numba", "ot", "pandas", "pyarrow", "sklearn", "matplotlib", "jinja2", "joblib", "loky", "PIL"),
    *("torch", "diffusers", "flint", "dask"),
)
#: Megabytes that the installed packages may take, without pip and setuptools.
MOST = 350
#: Lines that run, and something that they print.
RUN: dict[str, str] = {
    "--version": "wbound ",
    "--help": "lower-bound ",
    "bound --process ou --T 2 --K 20 --d 3 --m0 1 --L0 2 --mean-norm 0": "Theorem 2",
    "bound --process ou --T 2 --K 20 --d 3 --m0 1 --L0 1 --mean-norm 0 --scheme hf --explain": "ratio",
    "bound --process vp-linear --T 4 --K 30000 --d 3 --m0 1 --L0 2 --mean-norm 0 --json": '"total"',
    "iterations --process ou --eps 0.5 --d 3 --m0 1 --L0 1 --mean-norm 0 --scheme hf": "K",
    "table --d 2 --eps 1": "Fewest steps",
    "table --d 2 --eps 1 --format markdown": "| process",
    "table --derived": "ve-exponential",
    "schemes --d 2 --eps 0.5 --scheme hf,ddim --process ou": "K(ε)",
    "processes": "vp-linear",
    "show vp-linear": "log λ",
    "statements theorem-2": "Theorem 2",
    "check --f 0 --g 1+t": "verdict",
    "tolerance --process ou --eps 0.5 --d 3 --m0 1 --L0 1 --mean-norm 0 --scheme hf": "M",
    "schedule --process ou --T 2 --K 5": "sigmas",
    "optimal --K 4 --d 2": "K",
    "lower-bound --K-to 20": "floor",
    "choose --data 4,1,0.25 --steps 3 --process ou --grid uniform": "uniform",
    "choose --data digits --steps 3 --process ou --grid uniform": "uniform",
    "curve --process ou --to 100 --points 2": "100",
    "score-error --process ou --d 2 --T 2 --to 20 --points 2": "20",
}
#: Lines that need an extra: the package that is missed first, and the extra.
MISSING: dict[str, tuple[str, str]] = {
    "curve --process ou --to 100 --points 2 --figure x.svg": ("matplotlib", "plots"),
    "choose --data 4,1 --steps 3 --process ou --figure x.svg": ("matplotlib", "plots"),
    "verify --process ou --T 2 --K 5 --d 1 --n 20": ("joblib", "samplers"),
    "smoothed --tau 2 --K 2 --n 4": ("PIL", "data"),
    "search --seconds 0.02 --jobs 1": ("loky", "sweep"),
    "sweep plan.toml": ("loky", "sweep"),
    "report --quick -o page": ("jinja2", "report"),
    "choose --data folder --steps 3 --process ou": ("PIL", "data"),
    "images check": ("", "cifar10"),
    "certify --process ou --T 2 --K 3 --d 3 --m0 1 --L0 1 --mean-norm 0": ("python-flint", "certify"),
    "audit --diffusers DDIMScheduler --data 4,1 --steps 5": ("", "diffusers"),
}
#: The same in Python.
CALLS: dict[str, tuple[Callable[[], object], str, str]] = {
    "complexity_table": (lambda: wbound.complexity_table(2, 1.0), "pandas", "data"),
    "scheme_table": (lambda: wbound.scheme_table(2, 1.0), "pandas", "data"),
    "sample": (lambda: wbound.sample, "joblib", "samplers"),
    "figures": (lambda: importlib.import_module("numerics.figures.curves"), "matplotlib", "plots"),
    "report": (lambda: importlib.import_module("numerics.report"), "jinja2", "report"),
    "sweep": (lambda: importlib.import_module("numerics.sweep"), "loky", "sweep"),
    "tiles": (lambda: importlib.import_module("numerics.io.image_files"), "PIL", "data"),
    "simplex": (
        lambda: wbound.transport.empirical_w2(np.eye(16), np.eye(16) + 1.0, method="simplex"),
        "ot",
        "samplers",
    ),
    "certify_affine": (lambda: wbound.certify_affine(3.0, 4), "python-flint", "certify"),
}


def said(line: str) -> tuple[int, str, str]:
    """A command line: its exit code, what it prints, and what it says on stderr."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(line.split())
    return code, out.getvalue(), err.getvalue()


def check(right: bool, what: str, *seen: object) -> None:
    """Stop where something is wrong."""
    if not right:
        sys.exit(f"light base: {what}: {' | '.join(str(s) for s in seen)}")


def numbers() -> None:
    """Bound, exact law and tape in Python; many steps go through NumPy where there is no compiler."""
    law = wbound.process("vp-linear")
    data = wbound.LogConcave(3, 1.0, 1.0, 3.0, 0.0)
    gaussian = data.gaussian()
    for K in (50, 30_000):
        bound = wbound.w2_bound(law, data, T=4.0, K=K, scheme="hf").total
        exact = wbound.exact_w2(law, gaussian, 4.0, K, scheme="hf")
        check(0.0 <= exact <= bound < math.inf, "bound and exact law", K, exact, bound)
    tape = wbound.tape_of(wbound.setting(law, data, 4.0, 20, scheme="ddim"))
    x = np.array([0.25, 1.0, 4.0])
    plain, compiled = (wbound.tape_law(tape, x, compiled=way) for way in (False, True))
    check(
        bool(np.array_equal(plain.gain, compiled.gain)) and plain.gain.shape == (3,),
        "tape",
        plain.gain,
        compiled.gain,
    )


def size() -> int:
    """Megabytes of the installed packages, without pip and setuptools."""
    folder = Path(np.__file__).parents[1]
    left = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
    files = (Path(at) / name for at, _, names in os.walk(folder) for name in names)
    return sum(f.stat().st_size for f in files if not f.relative_to(folder).parts[0].startswith(left)) >> 20


def run() -> None:
    """All of it."""
    there = [name for name in EXTRAS if find_spec(name) is not None]
    check(not there, "this environment has extras", *there)
    names = [name for name in wbound.__all__ if wbound._HOME[name].startswith("wbound.")]
    check(all(getattr(wbound, name) is not None for name in names) and len(names) > 60, "names")
    numbers()
    for line, shown in RUN.items():
        code, out, err = said(line)
        check(code == 0 and shown in out, f"wbound {line}", code, out, err)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("folder").mkdir()
        for name in ("a.png", "b.png"):
            Path("folder", name).write_bytes(b"")
        Path("plan.toml").write_text("")
        before = set(os.listdir())
        for line, (package, extra) in MISSING.items():
            code, out, err = said(line)
            last = err.splitlines()[-1] if err else ""
            right = code == 2 and not out and package in last and f"wbound[{extra}]" in last
            check(right and "Traceback" not in err, f"wbound {line}", code, out, err)
        check(set(os.listdir()) == before, "written all the same", *os.listdir())
        os.chdir("/")
    for call, (ask, package, extra) in CALLS.items():
        try:
            check(False, f"{call} needs no extra", ask())
        except wbound.MissingLibrary as error:
            check(isinstance(error, ImportError) and isinstance(error, wbound.WboundError), call, type(error))
            check(package in str(error) and f"wbound[{extra}]" in str(error), call, error)
    took = size()
    check(took < MOST, f"takes {took} MB, at most {MOST}")
    print(json.dumps({"lines": len(RUN), "missing": len(MISSING) + len(CALLS), "MB": took}))


if __name__ == "__main__":
    run()
