"""What the command line looks like: commands in groups, views of them, old names that still run, quiet, marked options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Any

import hostile
import pytest
import typer

from numerics.cli.grouped_help import command_groups
from numerics.cli.main import GROUPS, NOW, app, main, now
from numerics.cli.views import Chooser, joined

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]

# ---------------------------------------------------------------------- groups


def test_help_shows_every_command_once_under_a_head(wb: Any) -> None:
    code, out, _ = wb("--help")
    assert code == 0
    heads = re.findall(r"^([A-Z][a-z ]+):$", out, re.M)
    assert [head for head in heads if head != "Options"] == list(GROUPS)
    shown = re.findall(r"^  ([a-z][a-z-]*) +[A-Z]", out, re.M)
    assert sorted(shown) == sorted(COMMANDS)


def test_no_name_is_in_two_groups() -> None:
    listed = " ".join(GROUPS.values()).split()
    assert len(listed) == len(set(listed))
    assert not set(listed) & set(NOW)


def test_a_command_that_no_group_names_comes_last() -> None:
    found = command_groups(["novel", "b", "a"], {"First": "a absent b", "Empty": "absent"})
    assert found == {"First": ["a", "b"], "More": ["novel"]}


def test_options_stand_in_groups_too(wb: Any) -> None:
    _, out, _ = wb("bound", "--help")
    assert re.findall(r"^([A-Z]\w+):$", out, re.M) == ["Process", "Data", "Sampler", "Options", "Output"]
    _, out, _ = wb("lower-bound", "--help")
    heads = re.findall(r"^([A-Z][\w -]+):$", out, re.M)
    assert "With --view gap" in heads and heads[-1] == "Output"
    assert "[default: 3; with --view gap: 100; with --view landscape: 1]" in " ".join(out.split())


# ---------------------------------------------------------------------- old names

#: A quick line of every old name, and what it is called now.
OLD: dict[str, tuple[str, str]] = {
    "gap": ("--points 1 --u-from 0.1 --u-to 0.1", "lower-bound --view gap"),
    "landscape": ("--points 6 --K-to 5", "lower-bound --view landscape"),
    "clocks": ("--points 3 --process ou", "optimal --view clocks"),
    "scatter": ("--cells 2 --jobs 1", "search --view scatter"),
    "verify-certificate": ("FILE", "certify --check"),
    "cifar10": ("check", "images"),
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("certificates") / "c.json"
    facts = "--d 1 --m0 1 --L0 1 --mean-norm 0 --scheme hf"
    assert main(["certify", *f"--process ou --T 2 --K 3 {facts}".split(), "-o", str(file)]) == 0
    return file


def test_every_old_name_is_here() -> None:
    assert {name: called for name, (_, called) in OLD.items()} == NOW


@pytest.mark.parametrize("name", OLD)
def test_an_old_name_runs_as_the_new_one_and_says_so_in_a_line(name: str, wb: Any, certificate: Path) -> None:
    words, called = OLD[name]
    words = words.replace("FILE", str(certificate))
    code, out, err = wb(name, *words.split())
    first, _, rest = err.partition("\n")
    assert code == 0 and first.startswith(f"wbound {name} is now wbound {called}: ")
    new = wb(*called.split(), *words.split())
    assert (code, out, rest.count("\n")) == (new[0], new[1], new[2].count("\n"))


@pytest.mark.parametrize("line", ["FILE --bits 99 --json", "--bits 99 --json FILE", "--json FILE --bits 99"])
def test_the_file_of_verify_certificate_is_found_wherever_it_stands(
    line: str, wb: Any, certificate: Path
) -> None:
    code, out, _ = wb("verify-certificate", *line.replace("FILE", str(certificate)).split())
    assert code == 0 and wb.strict(out)["bits"] == 99
    assert now(["verify-certificate", "--json", "-"]) == ["certify", "--json", "--check", "-"]
    assert "--check" in wb("verify-certificate", "--json")[2].splitlines()[-1]


def test_the_picture_that_was_written_with_o_is_a_figure_and_a_line_says_so(wb: Any, tmp_path: Path) -> None:
    file = tmp_path / "c.svg"
    code, out, err = wb("optimal", "--view", "clocks", "--points", "3", "-o", str(file), "--json")
    assert code == 0 and file.read_text("utf-8").startswith("<?xml")
    assert err.splitlines()[0].startswith(f"-o {file} is now --figure {file}: ")
    assert wb.strict(out)["figure"] == str(file) and wb.strict(out)["out"] is None
    both = ("-o", str(file), "--figure", str(file))
    assert "must end in .csv" in wb.refused("curve", "--process", "ou", *both)


# ---------------------------------------------------------------------- views


def test_numbers_and_picture_are_written_side_by_side(wb: Any, tmp_path: Path) -> None:
    numbers, picture = tmp_path / "c.csv", tmp_path / "c.svg"
    got = wb.ask("optimal", "--view", "clocks", "--points", "3", "-o", str(numbers), "--figure", str(picture))
    assert (got["out"], got["figure"]) == (str(numbers), str(picture))
    assert len(numbers.read_text("utf-8").splitlines()) == 4 and picture.stat().st_size > 1000


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("lower-bound --view nope", "view = nope: must be one of gap, landscape"),
        ("lower-bound --view gap --T 4", "T = 4: does not go with --view gap"),
        ("lower-bound --over", "over = True: goes with --view gap"),
        ("lower-bound --points 3", "points = 3: goes with --view gap or --view landscape"),
        ("search --view scatter --seconds 2", "seconds = 2: does not go with --view scatter"),
        ("optimal --process ou --process ve-sqrt --T 3", "process = ve-sqrt: is a second one"),
        ("certify --check x.json --K 3", "K = 3: does not go with --check"),
        ("optimal --view clocks --lam-max best", "lam_max = best"),
    ],
)
def test_an_option_of_another_view_is_refused_by_name(line: str, said: str, wb: Any) -> None:
    assert said in wb.refused(*line.split())


def test_a_view_has_its_own_defaults_and_only_what_was_given() -> None:
    """Both functions get what was typed for them, and no default of the other."""
    seen: list[dict[str, Any]] = []

    def first(a: Annotated[str, typer.Option("--a", help="A.")] = "1", over: bool = False) -> None:
        """First."""
        seen.append({"a": a, "over": over})

    first.__annotations__["over"] = Annotated[bool, typer.Option("--over", help="Over.")]

    def second(
        a: Annotated[str, typer.Option("--a", help="A.")] = "2",
        b: Annotated[str | None, typer.Option("--b", help="B.")] = None,
    ) -> None:
        """Second."""
        seen.append({"a": a, "b": b})

    both: Any = joined(first, {Chooser("--view", "second"): second})
    for values in ({}, {"view": "second"}, {"view": "second", "a": "3", "b": "4"}, {"over": True}):
        both(**values)
    assert seen == [
        {"a": "1", "over": False},
        {"a": "2", "b": None},
        {"a": "3", "b": "4"},
        {"a": "1", "over": True},
    ]


@pytest.mark.parametrize("name", [name for name in hostile.COMMANDS if "--view" in name])
def test_the_command_of_a_view_is_its_function(name: str, wb: Any) -> None:
    """The examples of the help run under today's names."""
    _, out, _ = wb(name.split()[0], "--help")
    examples = re.findall(rf"^ +wbound ({re.escape(name)} .*)$", out, re.M)
    assert examples and all(shlex.split(line)[0] not in NOW for line in examples)


# ---------------------------------------------------------------------- quiet, nearest, marks


def test_quiet_says_nothing_that_is_not_wrong(wb: Any, tmp_path: Path) -> None:
    line = ("lower-bound", "--K-to", "20", "-o", str(tmp_path / "x.csv"))
    loud, quiet = wb(*line), wb(*line, "--quiet")
    assert loud[:2] == quiet[:2] and "wrote" in loud[2] and quiet[2] == ""
    assert wb.refused(*line, "--quiet", "--T", "x") == wb(*line, "--T", "x")[2]
    assert wb(*line)[2] == loud[2]  # of that run alone


def test_every_command_has_quiet_and_q_stays_the_target_s(wb: Any) -> None:
    for name in hostile.COMMANDS:
        assert "--quiet" in wb(*name.split(), "--help")[1]
    assert "-q, --target-parameter" in wb("verify", "--help")[1]


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("show vp-liner", "vp-linear"),
        ("show VP-LINEAR", "vp-linear"),
        ("show ve_constant", "ve-constant"),
        ("bound --process subvp --T 4 --K 5 --d 1 --m0 1 --L0 1 --mean-norm 0", "sub-vp"),
        ("choose --data 4,1 --steps 3 --process vp-polynomal", "vp-polynomial"),
        ("bound --process ou --T 4 --K 5 --d 1 --m0 1 --L0 1 --mean-norm 0 --scheme ode_hf", "ode-hf"),
        ("lower-bound --view landscpe", "landscape"),
    ],
)
def test_a_wrong_name_gets_the_nearest(line: str, near: str, wb: Any) -> None:
    assert wb.refused(*line.split()).endswith(f"; the nearest is {near}\n")


def test_a_name_like_none_gets_the_list_alone(wb: Any) -> None:
    assert "nearest" not in wb.refused("show", "nope")
