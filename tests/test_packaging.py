"""What setup.cfg declares is what the packages hold and import, so that an installed copy is a whole one."""

from __future__ import annotations

import ast
import configparser
import re
import sys
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
    for extra in ("cifar10", "diffusers", "cluster", "certify"):
        declared |= _names(config["options.extras_require"][extra])
    return declared


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


def test_every_requirement_is_pinned_in_constraints(config: configparser.ConfigParser) -> None:
    pins = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[name.lower()] = version
    wanted = _declared(config)
    for extra in ("dev", "docs", "audit"):
        wanted |= _names(config["options.extras_require"][extra])
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
    assert [script.value for script in scripts] == ["numerics.cli.main:run"]


def test_no_pytest_ini_shadows_setup_cfg() -> None:
    for name in ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini"):
        assert not (ROOT / name).exists(), name


def test_the_citation_and_the_changelog_name_this_version(config: configparser.ConfigParser) -> None:
    version = config["metadata"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
