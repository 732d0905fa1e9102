"""An option is declared once: what several commands take comes from one place, and means the same in each."""

from __future__ import annotations

import ast
import collections
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import hostile
import pytest

from numerics.cli import data_options, option_groups
from numerics.cli.data_options import ScheduleOptions
from numerics.cli.option_groups import GridOptions, MaybeFacts, PictureOptions
from wbound.errors import BadInput

CLI = Path(option_groups.__file__).parent
#: What declares an option, by the name of the function.
DECLARING = ("Option", "numeric", "word", "steps", "numbers_in", "out", "tape_in", "_listed")
#: Options that two files declare apart, and why they are not one.
APART = {
    "--T": "required or not, and what it is without it",
    "--as": "the forms that each can write",
    "--cells": "random cells and cells of a grid",
    "--data": "what else each takes: names, images, samples alone",
    "--diffusers": "one that is audited, and a schedule",
    "--eps": "a list, times, and what a certificate adds",
    "--figure": "a grid of images",
    "--from": "of K, or of whatever runs",
    "--grid": "several, and those of images",
    "--lam-max": "what it is without it",
    "--measured": "of a table, or beside one",
    "--n": "points of a bracket, samples, images",
    "--out": "what is written",
    "--points": "of what",
    "--process": "of a table, and those of images",
    "--sampler": "for whom a floor is, and rows of a table",
    "--samples": "outputs, and images",
    "--scheme": "several, or the few that a command has",
    "--sigma-max": "in place of --T, and the end of a search",
    "--sigma-min": "of a grid, and the end of a search",
    "--sigma0": "Eq. 17's",
    "--sigmas": "of a scheduler that is run",
    "--start": "which starts there are",
    "--steps": "of training, and what K is of",
    "--tape": "which options it stands for",
    "--tau": "of the data, or of what a network is trained on",
    "--theta": "of a certificate, or of a proviso",
    "--kappa": "of a certificate, or of a floor",
    "--to": "of K, or of whatever runs",
    "--K-to": "of a check, or of a map",
    "--jobs": "one with a GPU",
    "--seed": "of images, which follow each other",
}
IMAGES = ("cifar10_train.py", "cifar10_measure.py", "images_evaluate.py", "images_sample.py")


def declared(path: Path) -> list[str]:
    """The names of the options that a file declares itself."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func).rpartition(".")[2]
        if called not in DECLARING:
            continue
        words = [x.value for x in node.args if isinstance(x, ast.Constant) and isinstance(x.value, str)]
        usual = {"steps": "--steps", "out": "--out", "tape_in": "--tape"}.get(called)
        name = usual or next((w for w in words if w.startswith("--")), None)
        if name is not None:
            found.append(name)
    return found


def test_an_option_of_two_commands_is_declared_in_one_place() -> None:
    by: dict[str, set[str]] = collections.defaultdict(set)
    for path in sorted(CLI.rglob("*.py")):
        for name in declared(path):
            by[name].add("images" if path.name in (*IMAGES, "image_options.py") else path.name)
    twice = {name for name, files in by.items() if len(files) > 1}
    assert twice == set(APART)


def test_a_second_declaration_would_be_noticed(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text('K: Annotated[str, o.steps("Steps.")]\nx: Annotated[str, o.word("--stop", "Stop.")]\n')
    assert declared(file) == ["--steps", "--stop"]


def test_the_number_of_steps_is_k_and_steps_in_every_command() -> None:
    """Of ``wbound images``, --steps is of training."""
    for name, command in hostile.COMMANDS.items():
        if name.startswith("images "):
            continue
        names = {n for p in command.params for n in p.opts if n in ("--K", "--steps")}
        assert names in (set(), {"--K", "--steps"}), name


@pytest.mark.parametrize("option", ["--K", "--steps"])
def test_both_names_mean_the_same(option: str, wb: Any) -> None:
    line = ("schedule", "--process", "ou", "--T", "2", option, "3", "--as", "sigmas")
    assert wb.ask(*line)["K"] == 3
    assert "takes one value" in wb.refused(*line, "--K", "3")


def groups() -> list[Any]:
    """Every group of options."""
    found = [x for m in (option_groups, data_options) for x in vars(m).values()]
    return [x for x in found if isinstance(x, type) and is_dataclass(x)]


@pytest.mark.parametrize("group", groups(), ids=lambda group: group.__name__)
def test_every_option_of_a_group_has_a_help(group: Any) -> None:
    hints = get_type_hints(group, include_extras=True)
    for hint in hints.values():
        if not is_dataclass(hint):
            assert any(getattr(part, "help", None) for part in hint.__metadata__)


def test_a_group_is_what_was_typed() -> None:
    given = ScheduleOptions(betas="0.1,0.2", diffusers="x.json")
    assert given.arrays == {"betas": "0.1,0.2"}
    assert given.beside_training == ScheduleOptions(betas="0.1,0.2")
    assert ScheduleOptions(betas="0.1,0.2").beside_training == ScheduleOptions()
    facts = MaybeFacts(m0="2")
    assert facts.centred == MaybeFacts(m0="2", mean_norm="0")
    assert facts.usually("3", "1") == MaybeFacts("3", "2", "2", None, "0")
    assert facts.usually("3", "1", "5").L0 == "5"
    assert MaybeFacts(second_moment="7").centred.mean_norm is None
    assert GridOptions().texts == {"grid": "uniform"}


def test_a_picture_is_refused_before_the_work() -> None:
    assert PictureOptions("x.csv", "x.svg").placed.files == {"out": "x.csv", "figure": "x.svg"}
    with pytest.raises(BadInput, match="must end in"):
        PictureOptions("x.exe").placed  # noqa: B018
