"""Comforts of the command line: Tab completes names, figures have a width, tables fit, Ctrl-C tells."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import wbound
from numerics import drawing
from numerics.cli.main import app

COMMAND = typer.main.get_command(app)
COMMANDS: dict[str, Any] = COMMAND.commands  # type: ignore[attr-defined]
WBOUND = Path(sys.executable).with_name("wbound")

#: What completes, by the option's name, with something each has to offer.
COMPLETED = {
    "process": set(wbound.NAMED),
    "scheme": {"em", "hf", "ddpm"},
    "grid": set(wbound.GRIDS),
    "theorem": {"published", "sharp"},
    "width": set(drawing.WIDTHS),
    "target": {"gaussian", "mixture", "logcosh"},
}


def offered(command: str, option: str, typed: str = "") -> set[str]:
    """What the shell is offered for an option."""
    click_command = COMMANDS[command]
    parameter = next(p for p in click_command.params if p.name == option)
    context = click_command.make_context(command, [], resilient_parsing=True)
    return {item.value for item in parameter.shell_complete(context, typed)}


def with_option(option: str) -> list[str]:
    return [name for name, c in COMMANDS.items() if any(p.name == option for p in c.params)]


@pytest.mark.parametrize("option", COMPLETED)
def test_names_complete_in_every_command_that_has_them(option: str) -> None:
    commands = with_option(option)
    assert len(commands) >= 2
    for command in commands:
        if option == "scheme" and command == "optimal":
            continue  # hf or ddpm: two words
        if option == "theorem" and command in ("orders", "table"):
            assert offered(command, option) == {"published", "sharp", "both"}
            continue
        words = offered(command, option)
        assert words >= COMPLETED[option], command
        first = min(COMPLETED[option])
        assert offered(command, option, first[:2]) == {w for w in words if w.startswith(first[:2])}


def test_the_other_names_complete() -> None:
    assert offered("show", "name", "vp-") == {"vp-linear", "vp-polynomial", "vp-exponential"}
    assert offered("schedule", "as_") == {"sigmas", "betas", "alphas_cumprod", "timesteps"}
    assert offered("bound", "start") == {"prior", "exact", "standard"}
    assert offered("curve", "against") == {"K", "T", "d", "M", "eps"}
    assert "latex" in offered("table", "format")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_completion_in_a_shell(tmp_path: Path) -> None:
    """--install-completion in a home of its own; then what Tab would offer there."""
    script = """
    set -e
    wbound --install-completion bash >&2 || wbound --install-completion >&2
    . "$HOME/.bashrc"
    COMP_WORDS=(wbound choose --process ve-); COMP_CWORD=3; _wbound_completion wbound
    printf 'process %s\\n' "${COMPREPLY[@]}"
    COMP_WORDS=(wbound lower); COMP_CWORD=1; _wbound_completion wbound
    printf 'command %s\\n' "${COMPREPLY[@]}"
    wbound --show-completion bash | grep -c _WBOUND_COMPLETE
    """
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "HOME": str(tmp_path), "PATH": f"{WBOUND.parent}{os.pathsep}{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert {w for w in lines if w.startswith("process")} == {
        f"process {name}" for name in wbound.NAMED if name.startswith("ve-")
    }
    assert "command lower-bound" in lines and int(lines[-1]) >= 1


# ---------------------------------------------------------------------- figures

#: Each command that draws, at a size that is quick.
DRAW = {
    "curve": "--process ou --to 100 --points 3 -o",
    "gap": "--u-from 0.1 --u-to 0.05 --points 2 -o",
    "landscape": "--points 6 --K-to 20 -o",
    "lower-bound": "--K-to 20 -o",
    "optimal": "--K 4 --m0 1 --L0 1 --figure",
    "clocks": "--points 5 -o",
    "choose": "--data digits --steps 4 --process ou --grid uniform --figure",
}


def test_every_command_that_draws_is_here_and_has_a_width() -> None:
    drawing_ones = [
        name
        for name, command in COMMANDS.items()
        if any(".svg" in (getattr(p, "help", None) or "") for p in command.params)
    ]
    assert set(drawing_ones) == set(DRAW)
    assert set(DRAW) == set(with_option("width"))


@pytest.mark.parametrize("command", DRAW)
def test_the_width_is_the_figure_s(command: str, wb: Any, tmp_path: Path) -> None:
    for width, inches in (("column", 3.4), ("text", 5.5), ("4", 4.0)):
        file = tmp_path / f"{width}.svg"
        code, _, err = wb(command, *DRAW[command].split(), str(file), "--width", width)
        assert code == 0, err
        found = re.search(r'<svg[^>]* width="([\d.]+)pt"', file.read_text("utf-8"))
        assert found is not None and float(found[1]) == pytest.approx(72.0 * inches, abs=0.01)
    file = tmp_path / "no.svg"
    said = wb.refused(command, *DRAW[command].split(), str(file), "--width", "huge")
    assert "width" in said and "column" in said and not file.exists()
