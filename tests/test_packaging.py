"""What setup.cfg declares is what the packages hold and import, so that an installed copy is a whole one."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Callable, Collection
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("wbound", "numerics")
# Where a distribution's name is not the name that is imported.
DISTRIBUTION = {"sklearn": "scikit-learn", "ot": "pot", "PIL": "pillow", "flint": "python-flint"}


@pytest.fixture(scope="module")
def config() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def _names(requirements: str) -> set[str]:
    """Lower-case names of a block of requirement lines."""
    lines = [line.strip() for line in requirements.splitlines() if line.strip()]
    return {re.split(r"[ <>=!~\[;]", line)[0].lower() for line in lines}


def _declared(config: configparser.ConfigParser) -> set[str]:
    declared = _names(config["options"]["install_requires"])
    for extra in ("all", "cifar10", "diffusers", "cluster", "certify"):
        declared |= _brought(config, extra)
    return declared


def _brought(config: configparser.ConfigParser, extra: str) -> set[str]:
    """What an extra brings, with the extras that it names."""
    text = config["options.extras_require"][extra]
    inner = [name for named in re.findall(r"^wbound\[(.+)\]$", text, re.M) for name in named.split(",")]
    return (_names(text) - {"wbound"}).union(*(_brought(config, name) for name in inner))


def _imported(path: Path) -> set[str]:
    """Top-level names of the absolute imports of a file, wherever they stand."""
    out = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            out |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            out.add(node.module.partition(".")[0])
    return out


def test_every_import_is_declared(config: configparser.ConfigParser) -> None:
    declared = _declared(config)
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            outside = _imported(path) - set(sys.stdlib_module_names) - set(PACKAGES)
            missing = {name for name in outside if DISTRIBUTION.get(name, name.lower()) not in declared}
            assert not missing, (
                f"{path.relative_to(ROOT)} imports {sorted(missing)}: not declared in setup.cfg"
            )


#: What `wbound` does without an extra, in its own words (`wbound.extras`).
BASE = {"numpy", "scipy", "sympy", "typer", "tqdm", "tabulate", "psutil"}
#: Files that refuse or go on in another way by themselves, by the start of their path.
OTHERWISE = {
    "numerics/cifar10/": {
        "torch",
        "diffusers",
        "accelerate",
        "torchmetrics",
        "safetensors",
        "torch-fidelity",
    },
    "numerics/recorders/": {"torch", "diffusers", "torchsde"},
    "numerics/sweep/run.py": {"dask", "distributed"},
    "wbound/calculus/balls.py": {"python-flint"},
    "wbound/bounds/theorem_2.py": {"numba"},
    "wbound/exact/compiled_tape.py": {"numba"},
    "wbound/exact/compiled_law.py": {"numba"},
    "wbound/bounds/compiled_bounds.py": {"numba"},
    "wbound/bounds/compiled_theta.py": {"numba"},
}
#: Rooms whose door names the extra before any file of theirs is imported, and that extra.
DOORS = {
    "numerics/figures/": "plots",
    "numerics/samplers/": "samplers",
    "numerics/sweep/": "sweep",
    "numerics/report/": "report",
    "numerics/cifar10/": "cifar10",
}


def unnamed(source: str, brought: Callable[[str], set[str]], known: Collection[str]) -> list[str]:
    """Imports outside of the base that no ``with needing(…)`` of an extra that brings them stands around."""
    found: list[str] = []

    def walk(node: ast.AST, covered: frozenset[str]) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for rest in node.orelse:
                walk(rest, covered)
            return
        if isinstance(node, ast.With):
            for item in node.items:
                call = item.context_expr
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "needing":
                    covered |= brought(ast.literal_eval(call.args[0]))
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        for name in (name.partition(".")[0] for name in names):
            if name not in sys.stdlib_module_names and name not in PACKAGES:
                distribution = DISTRIBUTION.get(name, name.lower())
                if distribution not in {*known, *covered}:
                    found.append(f"line {node.lineno}: {name}")  # type: ignore[attr-defined]
        for child in ast.iter_child_nodes(node):
            walk(child, covered)

    walk(ast.parse(source), frozenset())
    return found


def test_the_base_is_light(config: configparser.ConfigParser) -> None:
    assert _names(config["options"]["install_requires"]) == BASE


def test_what_an_extra_brings_is_imported_where_a_missing_one_is_named(
    config: configparser.ConfigParser,
) -> None:
    """As make light sees it, for every import that there is."""
    seen, wrong = 0, []
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        where = path.relative_to(ROOT).as_posix()
        known = set(BASE)
        for start, names in OTHERWISE.items():
            known |= names if where.startswith(start) else set()
        for room, extra in DOORS.items():
            if where.startswith(room) and path.name != "__init__.py":
                known |= _brought(config, extra)
        found = unnamed(path.read_text("utf-8"), lambda extra: _brought(config, extra), known)
        wrong += [f"{where}, {one}" for one in found]
        seen += 1
    assert seen > 200 and not wrong, "\n".join(wrong)
    for room, extra in DOORS.items():
        if extra != "cifar10":  # whose command asks
            assert f'needing("{extra}")' in (ROOT / room / "__init__.py").read_text("utf-8"), room


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("import numba", ["line 1: numba"]),
        ("def f():\n    from PIL import Image", ["line 2: PIL"]),
        ('with needing("data"):\n    import numba', ["line 2: numba"]),
        ('with needing("samplers"):\n    import numba', []),
        ("if TYPE_CHECKING:\n    import pandas as pd\nimport numpy, json, wbound", []),
    ],
)
def test_an_import_that_names_no_extra_is_noticed(
    source: str, wrong: list[str], config: configparser.ConfigParser
) -> None:
    assert unnamed(source, lambda extra: _brought(config, extra), BASE) == wrong


def test_every_requirement_is_pinned_in_constraints(config: configparser.ConfigParser) -> None:
    pins = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[name.lower()] = version
    wanted = _declared(config)
    for extra in ("dev", "docs", "audit"):
        wanted |= _brought(config, extra)
    assert wanted <= pins.keys(), f"not pinned in constraints.txt: {sorted(wanted - pins.keys())}"


def test_every_data_file_is_declared(config: configparser.ConfigParser) -> None:
    for package in PACKAGES:
        patterns = config["options.package_data"][package].split()
        declared = {path for pattern in patterns for path in (ROOT / package).glob(pattern)}
        for path in (ROOT / package).rglob("*"):
            if path.is_dir() or path.suffix in (".py", ".pyc") or "__pycache__" in path.parts:
                continue
            assert path in declared, f"{path.relative_to(ROOT)} would be missing from an installed copy"


def test_every_folder_with_code_is_a_package() -> None:
    for package in PACKAGES:
        for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
            assert (folder / "__init__.py").exists(), f"{folder.relative_to(ROOT)} has no __init__.py"


def test_the_installed_distribution_is_this_one(config: configparser.ConfigParser) -> None:
    assert metadata.version("wbound") == config["metadata"]["version"]
    scripts = metadata.entry_points(group="console_scripts", name="wbound")
    assert [script.value for script in scripts] == ["numerics.cli.entry:run"]


def test_no_pytest_ini_shadows_setup_cfg() -> None:
    for name in ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini"):
        assert not (ROOT / name).exists(), name


def test_the_citation_and_the_changelog_name_this_version(config: configparser.ConfigParser) -> None:
    version = config["metadata"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
