"""The tools behind make oldest and make audit."""

from __future__ import annotations

import configparser
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tool_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def config() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


def test_oldest_pins_every_lower_bound_and_only_tools_from_constraints(
    config: configparser.ConfigParser,
) -> None:
    made = subprocess.run(
        [sys.executable, "tools/oldest.py", "all", "certify", "cluster"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    held = dict(pin.split("==") for pin in made)
    assert len(held) == len(made)
    wanted = config["options"]["install_requires"].split("\n")
    extras = ("certify", "cluster", "plots", "samplers", "data", "report", "sweep")
    wanted += [line for e in extras for line in config["options.extras_require"][e].split("\n")]
    lines = [line for line in wanted if line.strip() and not line.strip().startswith(("#", "wbound["))]
    assert {"numba", "matplotlib", "loky", "distributed"} <= held.keys()
    for line in lines:
        name, _, rest = line.replace(",", " ").partition(" >=")
        assert held[name.strip()] == rest.split()[0], line
    given = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    assert held["pytest"] == given["pytest"] and held["numpy"] != given["numpy"]


def test_a_range_without_a_lower_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oldest = tool("oldest")
    (tmp_path / "setup.cfg").write_text(
        "[options]\ninstall_requires =\n  numpy <3\n[options.extras_require]\n"
    )
    monkeypatch.setattr(oldest, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match="no lower bound in setup.cfg: numpy <3"):
        oldest.oldest([])


VULNERABLE = {
    "dependencies": [
        {
            "name": "jinja2",
            "version": "2.11.2",
            "vulns": [{"id": "PYSEC-2021-66", "fix_versions": ["2.11.3"]}],
        }
    ]
}


def answer(*names: str, **more: Any) -> dict[str, Any]:
    return {"dependencies": [{"name": n, "version": "1", "vulns": []} | more for n in names]}


@pytest.mark.parametrize(
    ("canary", "reply", "count", "code", "said"),
    [
        (VULNERABLE, answer("a", "b"), 2, 0, "2 packages, no known vulnerability"),
        (VULNERABLE, VULNERABLE, 1, 1, "jinja2 2.11.2: PYSEC-2021-66, mended in 2.11.3"),
        (VULNERABLE, "ConnectionError: no route", 2, 2, "NOTHING WAS CHECKED"),
        ("ConnectionError: no route", answer("a"), 1, 2, "cannot be reached (ConnectionError: no route)"),
        # a mirror without the service finds nothing wrong with anything
        (answer("jinja2"), answer("a"), 1, 2, "NOTHING WAS CHECKED"),
        ({"dependencies": [{"name": "jinja2", "skip_reason": "not found"}]}, answer("a"), 1, 2, "knows nothing of"),
        (VULNERABLE, {"dependencies": [{"name": "a", "skip_reason": "not found"}]}, 1, 2, "1 of 1 packages were NOT"),
        (VULNERABLE, answer("a"), 3, 2, "2 of 3 packages were NOT CHECKED"),
    ],
)  # fmt: skip
def test_an_audit_never_passes_quietly(canary: Any, reply: Any, count: int, code: int, said: str) -> None:
    got, lines = tool("audit").verdict(canary, reply, count)
    assert got == code and said in "\n".join(lines)
    assert len(lines) == 1


def test_the_bill_of_materials_lists_all_but_this_project() -> None:
    bill = {"components": [{"name": "numpy", "version": "2"}, {"name": "wbound", "version": "1"}]}
    assert tool("audit").pins(json.loads(json.dumps(bill))) == ["numpy==2"]
