"""Comforts of the command line: Tab completes names, figures have a width, tables fit, Ctrl-C tells."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import wbound
from numerics.cli import words
from numerics.cli.main import app, main
from numerics.figures import style
from numerics.schedules.schedule_formats import FORMS
from numerics.targets.named import DENSITY, TARGETS
from wbound.sampler.make_setting import STARTS
from wbound.theory.statements import THEOREMS

COMMAND = typer.main.get_command(app)
COMMANDS: dict[str, Any] = COMMAND.commands  # type: ignore[attr-defined]
WBOUND = Path(sys.executable).with_name("wbound")

#: What completes, by the option's name, with something each has to offer.
COMPLETED = {
    "process": set(wbound.NAMED),
    "scheme": {"em", "hf", "ddpm"},
    "grid": set(wbound.GRIDS),
    "theorem": {"published", "sharp"},
    "width": set(style.WIDTHS),
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
        shown = offered(command, option)
        assert shown >= COMPLETED[option], command
        first = min(COMPLETED[option])
        assert offered(command, option, first[:2]) == {w for w in shown if w.startswith(first[:2])}


def test_the_words_that_complete_are_those_of_their_owners() -> None:
    assert tuple(wbound.NAMED) == words.PROCESSES
    assert (*wbound.SCHEMES, *wbound.MULTISTEP, *wbound.RANDOM_TIMES) == words.SCHEMES
    assert tuple(wbound.GRIDS) == words.GRIDS
    assert tuple(THEOREMS) == words.THEOREMS
    assert tuple(STARTS) == words.STARTS
    assert tuple(FORMS) == words.FORMS
    assert (*(name for name in TARGETS if name != "facts"), DENSITY) == words.TARGETS
    assert tuple(style.WIDTHS) == words.WIDTHS


def test_the_other_names_complete() -> None:
    assert offered("show", "name", "vp-") == {"vp-linear", "vp-polynomial", "vp-exponential"}
    assert offered("statements", "id", "eq-12-prime:e") == {"eq-12-prime:em", "eq-12-prime:ei"}
    assert offered("schedule", "as_") == {"sigmas", "betas", "alphas_cumprod", "times", "timesteps"}
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
    "curve": "--process ou --to 100 --points 3 --figure",
    "lower-bound --view gap": "--u-from 0.1 --u-to 0.05 --points 2 --figure",
    "lower-bound --view landscape": "--points 6 --K-to 20 --figure",
    "lower-bound": "--K-to 20 --figure",
    "optimal": "--K 4 --m0 1 --L0 1 --figure",
    "optimal --view clocks": "--points 5 --figure",
    "score-error": "--process ou --to 20 --points 2 --figure",
    "choose": "--data digits --steps 4 --process ou --grid uniform --figure",
    "audit": "--diffusers EDMEulerScheduler --data 1,0.25 --steps 2 --figure",
}
#: These need an extra, which the oldest versions are tested without.
EXTRA = {"audit": "diffusers"}


def test_every_command_that_draws_is_here_and_has_a_width() -> None:
    drawing_ones = [
        name
        for name, command in COMMANDS.items()
        if any(".svg" in (getattr(p, "help", None) or "") for p in command.params)
    ]
    assert set(drawing_ones) == {line.split()[0] for line in DRAW} == set(with_option("width"))


@pytest.mark.parametrize("command", DRAW)
def test_the_width_is_the_figure_s(command: str, wb: Any, tmp_path: Path) -> None:
    pytest.importorskip(EXTRA.get(command, "numpy"))
    for width, inches in (("column", 3.4), ("text", 5.5), ("4", 4.0)):
        file = tmp_path / f"{width}.svg"
        code, _, err = wb(*command.split(), *DRAW[command].split(), str(file), "--width", width)
        assert code == 0, err
        found = re.search(r'<svg[^>]* width="([\d.]+)pt"', file.read_text("utf-8"))
        assert found is not None and float(found[1]) == pytest.approx(72.0 * inches, abs=0.01)
    file = tmp_path / "no.svg"
    said = wb.refused(*command.split(), *DRAW[command].split(), str(file), "--width", "huge")
    assert "width" in said and "column" in said and not file.exists()


# ---------------------------------------------------------------------- 80 columns

FACTS = "--d 3 --m0 0.5 --L0 0.7 --second-moment 6"
#: Every command that prints a table or a text, at a size that is quick; those below print a line or a path.
PRINTED = [
    "processes",
    "show sub-vp",
    "statements",
    "statements eq-9-prime",
    'check --f "(b+a*t)/2" --g "sqrt(b+a*t)" -p a=1 -p b=0.5',
    f"bound --process vp-linear --T 4 --K 100 {FACTS} --score-bias 0.1 --explain",
    f"iterations --process vp-linear --eps 0.1 {FACTS} --scheme hf",
    "table --d 2 --eps 1",
    "table --derived --theorem sharp",
    'orders --f 0 --g "(1+t)**3" --theorem both',
    "tolerance --process ou --eps 0.1 --d 3 --m0 1 --L0 1 --mean-norm 0",
    "schemes --process vp-linear",
    "lower-bound --K-to 100",
    "lower-bound --scheme em --T 2.8 --K-to 100",
    "lower-bound --view gap --u-from 0.1 --u-to 0.05 --points 2",
    "lower-bound --view landscape --points 6 --K-to 20",
    "optimal --K 10 --m0 0.2 --L0 5",
    "optimal --view clocks --points 5",
    "audit --diffusers EDMEulerScheduler --data 1,0.25 --steps 4",
    "choose --data digits --steps 10 --process ou --process vp-linear --eps-rel 0.5",
    "schedule --process vp-linear --T 4 --K 5",
    "curve --process vp-linear --to 100",
    "curve --process ou --against eps --from 0.1 --to 1 --points 3",
    "curve --data digits --scheme em --to 20 --points 2",
    "score-error --process ou --to 20 --points 2",
    "smoothed --data digits --K 10 --n 50",
    "search --view scatter --cells 20 --jobs 1",
    "peers --law correlated --a -5,0",
    "peers --process ou -p theta=1 --T 2 --K 20 --start prior --target gaussian -q cov=2,0.5",
    "gaussian-errors --data digits --K 5",
    "verify --process vp-linear --T 4 --K 20 --target gaussian --n 100",
    f"certify --process vp-linear --T 4 --K 20 {FACTS}",
]
SHORT = {"report", "sweep", "images", "search"}


def test_every_command_is_tried_at_80_columns() -> None:
    assert {line.split()[0] for line in PRINTED} | SHORT == set(COMMANDS)


@pytest.mark.parametrize("line", PRINTED)
def test_what_is_printed_fits_80_columns(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(EXTRA.get(line.split()[0], "numpy"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    code = main(shlex.split(line))
    out, err = capsys.readouterr()
    assert code == 0, err
    assert len(out.splitlines()) >= 3
    assert [text for text in out.splitlines() if len(text) > 80] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_too(command: str, wb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = wb(command, "--help")
    assert code == 0 and "Usage: wbound" in out
    assert command == "images" or f"wbound {command}" in out.split("\n", 1)[1], "an example"
    summary = COMMANDS[command].get_short_help_str(limit=58)
    assert not summary.endswith("..."), summary
