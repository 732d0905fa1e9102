"""The house stands on its floors: who may import whom, read from the imports of every file.

To add a file, write its name into the row it belongs to, to the right of what it imports from.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Ground floor first. A file imports from rows above it in this list, or from files to its left in its own
# row. A name without a file is allowed (planned); a file without a name is not. A package is one name.
FLOORS: dict[str, tuple[str, ...]] = {
    "wbound": (
        "errors memory lazily compiled spelling expressions arithmetic intervals line quadrature asymptotics",
        "increments optimal_clock ending forward rows images clocks catalogue score_rate",
        "data profiles",
        "placement clock pointwise schemes formulas equations setting tally largest_level",
        "published sharp ode flow gaussian spectrum objectives leading conditions identities limits claims statements"
        " explained",
        "turns criteria horizons complexity worst_spectrum growth cells measured columns tolerance optimal"
        " balls certified_inputs certified_file certified_path certified_terms certified_published certified",
        "tables",
    ),
    "numerics": (
        "potentials quantiles bures transport files locks tiles terminal loading schedules scheduler_config datasets",
        "lines tabulation smoothing targets mixtures",
        "kernels plans coupling samplers densities pushed flow1d law1d",
        "heldout independence agreement verdict matrix scatter",
        "candidates ranking fewest_steps choose sweep_config sweep_cells sweep search image_schedules doctor",
        "curves floorcheck needed fading gap landscape clockwork drawing figures panels typeset threecolumn report",
        "cifar10 cli",
    ),
}

# What each package may import besides the standard library and itself; numerics stands on wbound.
MAY_IMPORT: dict[str, str] = {
    "wbound": "numpy scipy sympy pandas numba flint psutil",
    "numerics": "wbound numpy scipy sympy numba pandas matplotlib sklearn joblib loky pyarrow PIL tqdm rich typer"
    " jinja2 tabulate ot dask distributed torch diffusers accelerate torchmetrics safetensors",
}

# Only inside a function (or under TYPE_CHECKING), so that importing the package stays cheap.
LAZY: dict[str, frozenset[str]] = {
    "wbound": frozenset({"pandas", "numba", "flint", "psutil"}),
    "numerics": frozenset({"ot", "dask", "distributed", "numerics.cifar10"}),
}

# Importers by name: nobody else.
ONLY_IN: dict[str, frozenset[str]] = {
    "ot": frozenset({"numerics.transport"}),
    "dask": frozenset({"numerics.sweep.run", "numerics.cli"}),
    "distributed": frozenset({"numerics.sweep.run", "numerics.cli"}),
    "typer": frozenset({"numerics.cli", "numerics.cifar10"}),
    "torch": frozenset({"numerics.cifar10"}),
    "diffusers": frozenset({"numerics.cifar10"}),
    "accelerate": frozenset({"numerics.cifar10"}),
    "torchmetrics": frozenset({"numerics.cifar10"}),
    "safetensors": frozenset({"numerics.cifar10"}),
    "numerics.cifar10": frozenset({"numerics.cli"}),
}


@dataclass(frozen=True)
class Import:
    """One imported module: its dotted name, its line, and whether importing the file runs it."""

    name: str
    line: int
    eager: bool


def place(module: str) -> tuple[int, int] | None:
    """(floor, position in its row) of ``package.name``; None for what is not in the table."""
    package, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    for floor, row in enumerate(FLOORS[package]):
        if name in row.split():
            return floor, row.split().index(name)
    return None


def unit(module: str) -> str:
    """``package.name`` of a module however deep: the unit that the table speaks of."""
    return ".".join(module.split(".")[:2])


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _from_names(node: ast.ImportFrom, here: list[str]) -> Iterator[str]:
    """The modules that a from-import means; in ``from package import name`` the table tells a module."""
    base = here[: len(here) - node.level + 1] if node.level else []
    base = base + (node.module.split(".") if node.module else [])
    if base[0] in FLOORS and len(base) == 1:
        for alias in node.names:
            submodule = f"{base[0]}.{alias.name}"
            yield submodule if place(submodule) else base[0]
    else:
        yield ".".join(base)


def imports(source: str, module: str, *, is_package: bool = False) -> list[Import]:
    """All imports of a source text, including those in functions and ``import_module("…")``."""
    here = module.split(".") if is_package else module.split(".")[:-1]
    found: list[Import] = []

    def walk(node: ast.AST, eager: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.extend(Import(name, node.lineno, eager) for name in _from_names(node, here))
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                found.append(Import(node.args[0].value, node.lineno, eager))
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            for child in node.body:
                walk(child, False)
            for child in node.orelse:
                walk(child, eager)
            return
        inside = eager and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            walk(child, inside)

    walk(ast.parse(source), True)
    return found


def complaints(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What is wrong with the imports of one file; empty if nothing."""
    package, own = module.partition(".")[0], unit(module)
    roof = module == package  # the package's own __init__: above its top floor
    my_place = place(module)
    if not roof and my_place is None:
        return [f"{module}: not in the table of floors: add it to a row of FLOORS in tests/test_floors.py"]
    out: list[str] = []
    for item in imports(source, module, is_package=is_package):
        where, top = f"{module}:{item.line}: imports {item.name}", item.name.partition(".")[0]
        target = unit(item.name)
        names = {top, target}
        if top == package:
            if target == own:
                continue
            if target == package:
                out.append(f"{where}: the package's front door; import from the file that owns it")
            elif (their_place := place(item.name)) is None:
                out.append(f"{where}: not in the table of floors")
            elif not roof and my_place is not None and their_place > my_place:
                out.append(f"{where}: from floor {my_place[0]} up to floor {their_place[0]}, or to its right")
        elif top not in sys.stdlib_module_names and top not in MAY_IMPORT[package].split():
            out.append(f"{where}: {package} may import {MAY_IMPORT[package]}")
        for name in names & LAZY[package]:
            if item.eager:
                out.append(f"{where}: {name} is imported inside functions only")
        for name in names & ONLY_IN.keys():
            if own not in ONLY_IN[name]:
                out.append(f"{where}: only {', '.join(sorted(ONLY_IN[name]))} may import {name}")
    return out


def files() -> list[tuple[str, Path]]:
    """(dotted module name, path) of every Python file of the two packages."""
    out = []
    for package in FLOORS:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            out.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return out


@pytest.mark.parametrize(("module", "path"), files(), ids=[module for module, _ in files()])
def test_imports_go_down(module: str, path: Path) -> None:
    wrong = complaints(path.read_text("utf-8"), module, is_package=path.name == "__init__.py")
    assert not wrong, "\n".join(wrong)


def test_every_name_of_the_table_is_there_once() -> None:
    for package, rows in FLOORS.items():
        names = " ".join(rows).split()
        assert len(names) == len(set(names)), package


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        ("wbound.errors", "from wbound import sharp", "from floor 0 up to floor 4"),
        ("wbound.errors", "from wbound.bounds.theorem_2 import x", "from floor 0 up to floor 4"),
        ("wbound.errors", "from .sharp import x", "from floor 0 up to floor 4"),
        ("wbound.errors", "def f():\n    from . import sharp", "from floor 0 up to floor 4"),
        ("wbound.bounds.theorem_1", "import wbound.bounds.theorem_2", "to its right"),
        ("wbound.bounds.theorem_2", "from wbound import process", "front door"),
        ("wbound.bounds.theorem_2", "import numerics", "may import"),
        ("wbound.bounds.theorem_2", "def f():\n    import numerics.targets.products", "may import"),
        ("wbound.bounds.theorem_2", "def f():\n    import ot", "may import"),
        ("wbound.bounds.theorem_2", "import torch", "may import"),
        ("wbound.bounds.theorem_2", "def f():\n    from matplotlib import pyplot", "may import"),
        ("wbound.bounds.theorem_2", "import importlib\nimportlib.import_module('torch')", "may import"),
        ("wbound.complexity.tables", "import pandas as pd", "inside functions only"),
        ("wbound.bounds.theorem_2", "class A:\n    from numba import njit", "inside functions only"),
        (
            "wbound.certified.certificate",
            "try:\n    import flint\nexcept ImportError:\n    flint = None",
            "inside functions only",
        ),
        ("wbound.novelty", "import numpy", "not in the table"),
        ("wbound.bounds.theorem_2", "from wbound.novelty import x", "not in the table"),
        ("numerics.transport", "import ot", "inside functions only"),
        ("numerics.verification.verdict", "def f():\n    import ot", "only numerics.transport"),
        (
            "numerics.targets.products",
            "from numerics.verification.verdict import verify",
            "from floor 1 up to floor 3",
        ),
        ("numerics.report.page", "from ..cli import main", "from floor 5 up to floor 6"),
        ("numerics.samplers.sampling", "def f():\n    import torch", "only numerics.cifar10"),
        ("numerics.cli.images", "from numerics.cifar10 import train", "inside functions only"),
        ("numerics.figures.curves", "def f():\n    from numerics import cifar10", "only numerics.cli"),
    ],
)
def test_a_wrong_import_is_noticed(module: str, source: str, said: str) -> None:
    found = complaints(source, module)
    assert len(found) >= 1 and said in "\n".join(found), found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "wbound.bounds.theorem_2",
            "from wbound import errors\nfrom .published import x\nimport wbound.sampler.grid\nimport math",
        ),
        ("wbound.complexity.tables", "def f():\n    import pandas as pd"),
        (
            "wbound.complexity.tables",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas as pd",
        ),
        ("wbound.bounds.theorem_2", "from scipy import special\nimport numpy as np"),
        ("numerics.transport", "def f():\n    import ot"),
        (
            "numerics.targets.products",
            "import wbound\nfrom wbound.complexity.tables import x\nfrom wbound import process",
        ),
        (
            "numerics.report.page",
            "from numerics.report.charts import x\nfrom .tables import y\nfrom . import z",
        ),
        ("numerics.cli.images", "def f():\n    from numerics.cifar10 import train"),
        ("numerics.cifar10.train", "import torch"),
    ],
)
def test_a_right_import_passes(module: str, source: str) -> None:
    assert complaints(source, module) == []


_PROBE = """
import json, sys
import numpy, sympy
before = set(sys.modules)
import wbound
print(json.dumps({"file": wbound.__file__, "loaded": sorted(set(sys.modules) - before)}))
"""


def test_import_wbound_is_light() -> None:
    """Beside numpy and sympy it loads its own files and the standard library's, not even scipy."""
    run = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True, cwd=ROOT)
    answer = json.loads(run.stdout)
    assert answer["file"], "wbound has no __init__.py"
    heads = {name.partition(".")[0] for name in answer["loaded"]}
    assert heads - set(sys.stdlib_module_names) <= {"wbound", "numpy", "sympy"}, heads
