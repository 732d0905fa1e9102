"""The order of rooms: who may import whom, read from the imports of every file; and no file stands in a circle.

A new file needs no word here: its room has its place. A new room is one word in `ORDER`.
"""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import numerics
import wbound

ROOT = Path(__file__).resolve().parent.parent

# Ground floor first: a file imports from its own room and from rooms to the left of it.
ORDER: dict[str, str] = {
    "wbound": "moved errors extras memory typing calculus forward data sampler summation statement bounds exact theory complexity"
    " design certified",
    "numerics": "moved io transport targets samplers laws sweep verification schedules recorders studies figures tables report"
    " cifar10 cli",
}

# What each package may import besides the standard library and itself; numerics stands on wbound.
MAY_IMPORT: dict[str, str] = {
    "wbound": "numpy scipy sympy pandas numba flint psutil",
    "numerics": "wbound numpy scipy sympy numba pandas matplotlib sklearn joblib loky pyarrow PIL tqdm typer"
    " jinja2 tabulate ot dask distributed torch diffusers torchsde k_diffusion accelerate torchmetrics safetensors",
}

# Only inside a function (or under TYPE_CHECKING), so that importing the package stays cheap.
LAZY: dict[str, frozenset[str]] = {
    "wbound": frozenset({"pandas", "numba", "flint", "psutil"}),
    "numerics": frozenset({"ot", "dask", "distributed", "numerics.cifar10"}),
}

# Importers by name: nobody else.
ONLY_IN: dict[str, frozenset[str]] = {
    "ot": frozenset({"numerics.transport"}),
    "dask": frozenset({"numerics.sweep", "numerics.cli"}),
    "distributed": frozenset({"numerics.sweep", "numerics.cli"}),
    "typer": frozenset({"numerics.cli", "numerics.cifar10"}),
    "torch": frozenset({"numerics.cifar10", "numerics.recorders"}),
    "diffusers": frozenset({"numerics.cifar10", "numerics.recorders"}),
    "torchsde": frozenset({"numerics.recorders"}),
    "k_diffusion": frozenset({"numerics.recorders"}),
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


def place(module: str) -> int | None:
    """The place in `ORDER` of a module's room; None where it has none."""
    package, _, rest = module.partition(".")
    row = ORDER[package].split()
    name = rest.partition(".")[0]
    return row.index(name) if name in row else None


def unit(module: str) -> str:
    """``package.room`` of a module however deep: what the order speaks of."""
    return ".".join(module.split(".")[:2])


def files() -> list[tuple[str, Path]]:
    """(dotted module name, path) of every Python file of the two packages."""
    out = []
    for package in ORDER:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            out.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return out


FILES = files()
MODULES = frozenset(module for module, _ in FILES)
PACKAGES = frozenset(module for module, path in FILES if path.name == "__init__.py")
#: Packages that are more than a door: what they give is their own.
OWNERS = frozenset({"numerics.report", "numerics.cli.commands"})


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _from_names(node: ast.ImportFrom, here: list[str]) -> Iterator[str]:
    """The modules that a from-import means: ``from room import file`` is the file."""
    base = here[: len(here) - node.level + 1] if node.level else []
    name = ".".join(base + (node.module.split(".") if node.module else []))
    for alias in node.names:
        below = f"{name}.{alias.name}"
        yield below if below in MODULES or (name in ORDER and place(below) is not None) else name


def imports(source: str, module: str, *, is_package: bool = False) -> list[Import]:
    """All imports of a source text, including those in functions and ``import_module("…")``."""
    here = module.split(".") if is_package else module.split(".")[:-1]
    found: list[Import] = []

    def walk(node: ast.AST, eager: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.extend(Import(name, node.lineno, eager) for name in dict.fromkeys(_from_names(node, here)))
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
    roof = module == package  # the package's own __init__: above its last room
    mine = place(module)
    if not roof and mine is None:
        return [f"{module}: in no room: put it in one, or add its room to ORDER in tests/test_floors.py"]
    out: list[str] = []
    for item in imports(source, module, is_package=is_package):
        where, top = f"{module}:{item.line}: imports {item.name}", item.name.partition(".")[0]
        target = unit(item.name)
        names = {top, target}
        if item.name in PACKAGES - OWNERS and not roof and not module.startswith(f"{item.name}."):
            if top in MAY_IMPORT[package].split() and item.name == top:
                pass  # numerics may take what wbound's front door gives
            elif item.name != own:
                out.append(f"{where}: a front door; import from the file that owns it")
        if top == package:
            if target == own:
                continue
            if target == package:
                out.append(f"{where}: a front door; import from the file that owns it")
            elif (theirs := place(item.name)) is None:
                out.append(f"{where}: in no room")
            elif not roof and mine is not None and theirs > mine:
                out.append(f"{where}: from {own} up to {target}")
        elif module == "wbound" and top == "numerics" and not item.eager:
            continue  # the one door of both packages: names in `_HOME`, and their types
        elif top not in sys.stdlib_module_names and top not in MAY_IMPORT[package].split():
            out.append(f"{where}: {package} may import {MAY_IMPORT[package]}")
        for name in names & LAZY[package]:
            if item.eager:
                out.append(f"{where}: {name} is imported inside functions only")
        for name in names & ONLY_IN.keys():
            if own not in ONLY_IN[name]:
                out.append(f"{where}: only {', '.join(sorted(ONLY_IN[name]))} may import {name}")
    return list(dict.fromkeys(out))


@pytest.mark.parametrize(("module", "path"), FILES, ids=[module for module, _ in FILES])
def test_imports_go_down(module: str, path: Path) -> None:
    wrong = complaints(path.read_text("utf-8"), module, is_package=path.name == "__init__.py")
    assert not wrong, "\n".join(wrong)


def test_every_room_is_in_the_order_once_and_there() -> None:
    for package, row in ORDER.items():
        names = row.split()
        assert len(names) == len(set(names)), package
        assert all(f"{package}.{name}" in MODULES for name in names), package


def test_every_room_says_in_a_sentence_what_it_is() -> None:
    for module, path in FILES:
        if module in PACKAGES:
            said = ast.get_docstring(ast.parse(path.read_text("utf-8")))
            assert said and said.split("\n")[0].endswith((".", ":")), module


# ---------------------------------------------------------------------- no circle of files


def circle(arrows: Mapping[str, Iterable[str]]) -> list[str]:
    """Modules that import each other in a circle, wherever in the file; empty if none do."""
    try:
        tuple(TopologicalSorter(arrows).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_file_stands_in_a_circle() -> None:
    arrows = {
        module: {
            item.name
            for item in imports(path.read_text("utf-8"), module, is_package=path.name == "__init__.py")
            if item.name in MODULES and item.name != module
        }
        for module, path in FILES
        if module not in ORDER  # whose doors are behind everything
    }
    arrows = {module: {name for name in names if name in arrows} for module, names in arrows.items()}
    assert sum(map(len, arrows.values())) > 400
    assert not circle(arrows), " -> ".join(circle(arrows))


def test_a_circle_is_noticed() -> None:
    assert set(circle({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]})) == {"a", "b", "c"}
    assert not circle({"a": ["b", "c"], "b": ["c"]})


# ---------------------------------------------------------------------- names of files


def _functions(path: Path) -> set[str]:
    """Public functions of a file."""
    tree = ast.parse(path.read_text("utf-8"))
    return {n.name for n in tree.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")}


def hidden(room: str, stems: Iterable[str], functions: Iterable[str]) -> list[str]:
    """Files of a room that a function's name hides once the room or its package hands the function on."""
    front = set(wbound.__all__ if room.startswith("wbound") else numerics.__all__)
    taken = set(functions) | (front if room.startswith("wbound") else set())
    return sorted(set(stems) & taken)


# The entry point is numerics.cli.main:run, and a command's file is called as the command: neither room hands a name on.
@pytest.mark.parametrize("room", sorted(PACKAGES - {"numerics.cli", "numerics.cli.commands"}))
def test_no_file_is_called_as_a_public_function(room: str) -> None:
    here = [path for module, path in FILES if module.rpartition(".")[0] == room and module not in PACKAGES]
    functions = set().union(*map(_functions, here)) if here else set()
    assert not hidden(room, [path.stem for path in here], functions)


def test_a_file_called_as_a_function_is_noticed() -> None:
    assert hidden("wbound.complexity", ["iterations", "criteria"], []) == ["iterations"]
    assert hidden("numerics.schedules", ["choose", "doctor"], ["choose"]) == ["choose"]


# ---------------------------------------------------------------------- the rules can fail


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        ("wbound.errors", "from wbound import bounds", "from wbound.errors up to wbound.bounds"),
        ("wbound.errors", "from wbound.bounds.theorem_2 import x", "from wbound.errors up to wbound.bounds"),
        ("wbound.errors", "from .bounds import theorem_2", "from wbound.errors up to wbound.bounds"),
        (
            "wbound.data.x",
            "def f():\n    from ..bounds import theorem_2",
            "from wbound.data up to wbound.bounds",
        ),
        ("wbound.forward.x", "import wbound.data.curvature", "from wbound.forward up to wbound.data"),
        ("wbound.bounds.x", "from wbound import process", "front door"),
        ("wbound.bounds.x", "from wbound.data import Gaussian", "front door"),
        ("numerics.laws.x", "from numerics.targets import Gaussian", "front door"),
        ("wbound.bounds.x", "import numerics", "may import"),
        ("wbound", "from numerics.targets.products import Gaussian", "may import"),
        ("wbound.bounds.x", "def f():\n    import numerics.targets.products", "may import"),
        ("wbound.bounds.x", "def f():\n    import ot", "may import"),
        ("wbound.bounds.x", "import torch", "may import"),
        ("wbound.bounds.x", "def f():\n    from matplotlib import pyplot", "may import"),
        ("wbound.bounds.x", "import importlib\nimportlib.import_module('torch')", "may import"),
        ("wbound.complexity.x", "import pandas as pd", "inside functions only"),
        ("wbound.bounds.x", "class A:\n    from numba import njit", "inside functions only"),
        (
            "wbound.certified.x",
            "try:\n    import flint\nexcept ImportError:\n    flint = None",
            "inside functions only",
        ),
        ("wbound.novelty", "import numpy", "in no room"),
        ("wbound.bounds.x", "from wbound.novelty import x", "in no room"),
        ("numerics.transport.x", "import ot", "inside functions only"),
        ("numerics.verification.x", "def f():\n    import ot", "only numerics.transport"),
        (
            "numerics.targets.x",
            "from numerics.verification.verdict import verify",
            "up to numerics.verification",
        ),
        ("numerics.report.page", "from ..cli import main", "from numerics.report up to numerics.cli"),
        ("numerics.samplers.x", "def f():\n    import torch", "only numerics.cifar10"),
        ("numerics.cli.x", "from numerics.cifar10 import training", "inside functions only"),
        ("numerics.figures.x", "def f():\n    from numerics import cifar10", "only numerics.cli"),
    ],
)
def test_a_wrong_import_is_noticed(module: str, source: str, said: str) -> None:
    found = complaints(source, module)
    assert len(found) >= 1 and said in "\n".join(found), found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "wbound.bounds.x",
            "from wbound import errors\nfrom .theorem_1 import x\nimport wbound.sampler.grid\nimport math",
        ),
        ("wbound.complexity.x", "def f():\n    import pandas as pd"),
        (
            "wbound.complexity.x",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas as pd",
        ),
        (
            "wbound",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from numerics.targets.products import Gaussian",
        ),
        ("wbound.bounds.x", "from scipy import special\nimport numpy as np"),
        ("wbound.bounds.x", "from wbound.bounds import shared\nfrom wbound.data import curvature"),
        ("numerics.transport.x", "def f():\n    import ot"),
        (
            "numerics.targets.x",
            "import wbound\nfrom wbound.complexity.tables import x\nfrom wbound import process",
        ),
        (
            "numerics.report.page",
            "from numerics.report.blocks import x\nfrom .contents import y\nfrom . import blocks",
        ),
        ("numerics.cli.x", "def f():\n    from numerics.cifar10 import training"),
        ("numerics.cli.x", "def f():\n    from numerics.report import build"),
        ("numerics.cifar10.training", "import torch"),
    ],
)
def test_a_right_import_passes(module: str, source: str) -> None:
    assert complaints(source, module) == []


# ---------------------------------------------------------------------- doors that find names when first used


def homes(package: str) -> dict[str, str]:
    """Where a package's door finds each of its names."""
    return dict(vars(sys.modules[package])["_HOME"])


@pytest.mark.parametrize("package", ORDER)
def test_a_front_door_lists_what_it_gives(package: str) -> None:
    """Its list, its table, what a type checker reads and ``dir`` are the same names."""
    door = sys.modules[package]
    assert len(set(door.__all__)) == len(door.__all__)
    checked = {
        name.asname or name.name
        for node in ast.walk(ast.parse(Path(str(door.__file__)).read_text("utf-8")))
        if isinstance(node, ast.If) and _is_type_checking(node.test)
        for line in node.body
        if isinstance(line, ast.ImportFrom)
        for name in line.names
    }
    room = {"transport"} if package == "numerics" else set()  # its attribute without a table
    assert set(door.__all__) == checked == set(homes(package)) | room
    assert set(door.__all__) <= set(dir(door))


def test_wbound_gives_every_public_name_of_numerics() -> None:
    assert set(numerics.__all__) <= set(wbound.__all__)
    for name in numerics.__all__:
        assert getattr(wbound, name) is getattr(numerics, name), name


def test_no_room_of_wbound_gives_what_numerics_owns() -> None:
    """The tables of names are imports too: only the door of the package may name the floor above."""
    doors = [module for module in PACKAGES if module.startswith("wbound.")]
    assert len(doors) > 10
    for module in doors:
        room = importlib.import_module(module)
        for home in set(vars(room)["_HOME"].values()):
            theirs, mine = place(home), place(module)
            assert home.startswith("wbound.") and theirs is not None and mine is not None and theirs <= mine


def test_a_room_s_files_are_its_attributes() -> None:
    """As after ``import wbound`` alone: nothing of it was imported yet."""
    program = (
        "import sys, wbound\n"
        "assert not [m for m in sys.modules if m.startswith('wbound.') and m != 'wbound.moved']\n"
        "print(wbound.exact.gaussian_law.__name__, wbound.errors.__name__)\n"
        "try:\n    wbound.exact.nothing\nexcept AttributeError as error:\n    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.splitlines() == [
        "wbound.exact.gaussian_law wbound.errors",
        "module 'wbound.exact' has no attribute 'nothing'",
    ]


_PROBE = """
import json, sys
import wbound
door = sorted(sys.modules)
for name, home in wbound._HOME.items():
    if home.startswith("wbound."):
        getattr(wbound, name)
print(json.dumps({"door": door, "loaded": sorted(sys.modules)}))
"""


def test_import_wbound_is_light() -> None:
    """The door imports no package at all; every name behind it that is `wbound`'s own imports no heavy one, and nothing of
    `numerics`."""
    run = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True, cwd=ROOT)
    answer = json.loads(run.stdout)
    heavy = {"numba", "ot", "torch", "matplotlib", "pandas", "sklearn", "numerics"}
    assert {"wbound.moved"} == {m for m in answer["door"] if m.startswith("wbound.")}
    assert not (heavy | {"numpy", "scipy", "sympy", "typer"}) & set(answer["door"])
    assert "wbound.exact.gaussian_law" in answer["loaded"] and not heavy & set(answer["loaded"])
