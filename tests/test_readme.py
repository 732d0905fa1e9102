"""The blocks of the README, the tutorial and the how-to pages run as they are written."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from numerics.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "howto").glob("*.md"))]
_BLOCK = re.compile(r"^```(python|sh|toml)\n(.*?)^```$", re.M | re.S)


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return [code for kind, code in _BLOCK.findall(page.read_text("utf-8")) if kind == language]


def commands(page: Path) -> list[list[str]]:
    """The `wbound` lines of a page's shell blocks."""
    lines = [line for code in blocks(page, "sh") for line in code.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("wbound ")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader stands: a folder with an array and a scheduler's configuration of their own."""
    monkeypatch.chdir(tmp_path)
    config = {
        "_class_name": "DPMSolverMultistepScheduler",
        "beta_schedule": "scaled_linear",
        "use_karras_sigmas": True,
    }
    Path("scheduler_config.json").write_text(json.dumps(config))
    np.save("samples.npy", np.random.default_rng(0).normal(size=(200, 6)) * np.arange(1.0, 7.0))
    return tmp_path


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.stem)
def test_the_python_blocks_run(page: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared: dict[str, object] = {"__name__": "__page__"}
    for i, code in enumerate(blocks(page, "python")):
        exec(compile(code, f"{page.name}, block {i + 1}", "exec"), shared)
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda p: p.stem)
def test_the_shell_lines_run(page: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in blocks(page, "toml"):  # files that the page shows, under the name in their first line
        (folder / text.split("\n", 1)[0].removeprefix("# ")).write_text(text, "utf-8")
    for command in commands(page):
        code = main(command[1:])
        said = capsys.readouterr()
        assert code == 0, f"{shlex.join(command)}: exit code {code}: {said.err}"
        assert said.out or said.err, command
        for option in ("-o", "--figure"):
            if option in command:
                assert (folder / command[command.index(option) + 1]).stat().st_size > 0, command


def test_the_readme_has_ten_lines_of_each() -> None:
    readme = ROOT / "README.md"
    assert len(commands(readme)) == 10
    assert len([line for line in blocks(readme, "python")[0].splitlines() if line.strip()]) <= 12


def test_the_readmes_python_and_shell_give_one_answer(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme, shared = ROOT / "README.md", {}  # type: ignore[var-annotated]
    for code in blocks(readme, "python"):
        exec(compile(code, "README.md", "exec"), shared)
    exact = float(capsys.readouterr().out.splitlines()[-1])

    def asked(name: str) -> dict[str, object]:
        line = next(line for line in commands(readme) if line[1] == name)
        assert main([*(word for word in line[1:] if word != "--explain"), "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    bound, need = asked("bound"), asked("iterations")
    b, found = shared["b"], shared["need"]
    assert (bound["total"], bound["initialisation"], bound["discretisation"]) == (
        b.total,
        b.initialisation,
        b.discretisation,
    )
    assert bound["exact"] == pytest.approx(exact, rel=1e-12)
    assert (need["K"], need["T"]) == (found.K, found.T)
    # and the page's own numbers are these
    text = readme.read_text("utf-8")
    line = next(line for line in commands(readme) if line[1] == "iterations")
    at = line.index("--mean-norm")
    assert main([*line[1:at], *line[at + 2 :], "--json"]) == 0
    without = json.loads(capsys.readouterr().out)["K"]
    assert f"here {without} in place of {found.K}" in text


def test_the_readme_names_files_that_exist() -> None:
    for target in re.findall(r"\]\(([^)#\s]+)\)", (ROOT / "README.md").read_text("utf-8")):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_console_command_is_installed() -> None:
    command = Path(sys.executable).with_name("wbound")
    ran = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert re.search(r"\d+\.\d+", ran.stdout)
