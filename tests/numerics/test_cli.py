"""The command line: its numbers are the library's, its errors one line, its JSON strict."""

from __future__ import annotations

import ast
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest

import numerics.studies.lower_bound
import wbound
from numerics.cli import commands, options, output
from numerics.cli.families import COMMANDS, VIEWS, Families, brief
from numerics.cli.main import main

DATA = ["--d", "3", "--m0", "0.5", "--L0", "0.5", "--second-moment", "6"]
BOUND = ["bound", "--process", "vp-linear", "-p", "a=1", "-p", "b=0.5", "--T", "4", "--K", "100", *DATA]


RUN = "import sys; from numerics.cli.main import run; run()"


# ---------------------------------------------------------------------- the whole


#: Imports that a shell should not wait for: packages, and commands that do not run.
HEAVY = {"numpy", "sympy", "scipy", "matplotlib", "pandas", "numba", "sklearn", "ot", "pydantic", "tabulate"}


def imported(*arguments: str, **environment: str) -> tuple[str, set[str]]:
    """What a command line prints, and what it imports, in a process of its own."""
    code = (
        "import atexit, sys; from numerics.cli.main import run; sys.argv[0] = 'wbound'; "
        "atexit.register(lambda: print('\\n' + ' '.join(sys.modules))); run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    printed, _, modules = done.stdout.rstrip().rpartition("\n")
    return printed, set(modules.split())


def commands_of(modules: set[str]) -> set[str]:
    return {m.rpartition(".")[2] for m in modules if m.startswith("numerics.cli.commands.")}


def test_help_and_version_import_the_option_parser_alone() -> None:
    printed, modules = imported("--help")
    assert all(f"\n  {command} " in printed for command in COMMANDS)
    assert not HEAVY & modules and not commands_of(modules)
    printed, modules = imported("--version")
    assert printed.startswith("wbound ") and not HEAVY & modules and not commands_of(modules)


@pytest.mark.parametrize(
    ("typed", "offered", "files"),
    [
        ("lower", ["lower-bound"], set()),
        ("bound --pr", ["--process"], {"bound"}),
        ("bound --process ve-s", ["ve-sqrt"], {"bound"}),
        ("choose --scheme unipc-", ["unipc-3"], {"choose"}),
    ],
)
def test_tab_imports_the_command_that_it_stands_in(typed: str, offered: list[str], files: set[str]) -> None:
    line = f"wbound {typed}"
    asked = {"_WBOUND_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(typed.count(" ") + 1)}
    printed, modules = imported(**asked)
    assert printed.split() == offered
    assert not HEAVY & modules and commands_of(modules) == files


def test_a_bound_imports_no_command_but_its_own_and_nothing_that_draws() -> None:
    printed, modules = imported(*BOUND)
    assert "Theorem 2" in printed and commands_of(modules) == {"bound"}
    assert not modules & (HEAVY - {"numpy", "sympy", "scipy"})


def test_the_line_of_a_command_is_what_its_help_begins_with() -> None:
    for name, command in Families().items():
        assert command.name == name
        assert brief([]).commands[name].get_short_help_str(200) == command.get_short_help_str(200), name


def test_every_command_of_every_file_is_listed() -> None:
    named = {name: file for name, (file, _) in COMMANDS.items() if name != "images"}
    named |= {name: file for name, (*_, file) in VIEWS.items()}
    folder = Path(commands.__path__[0])
    written = {
        (function.name, file.stem)
        for file in folder.glob("*.py")
        if file.stem not in ("cifar10_train", "cifar10_measure", "images_sample", "images_evaluate")
        for function in ast.parse(file.read_text("utf-8")).body
        if isinstance(function, ast.FunctionDef) and "Example" in (ast.get_docstring(function) or "")
    }
    assert written == {(name.replace("-", "_"), file) for name, file in named.items()}


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "images"])
def test_every_command_has_help_and_json(command: str, wb: Any) -> None:
    code, out, _ = wb(command, "--help")
    assert code == 0
    assert "--json" in out and "Usage: wbound " + command in out


def test_without_a_command_it_prints_help(wb: Any) -> None:
    code, out, _ = wb()
    assert code == 0 and "Start here:" in out


def test_version(wb: Any) -> None:
    code, out, _ = wb("--version")
    assert code == 0 and out.strip() == f"wbound {wbound.__version__}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bogus"], "bogus"),
        (["bound", "--bogus", "1"], "--bogus"),
        (["bound", "--T"], "--T"),
        (["processes", "extra"], "extra"),
        (["show"], "process"),
        (["show", "nope"], "must be one of ve-exponential"),
        (["show", "vp-linear", "-p", "a"], "NAME=VALUE"),
        (["show", "vp-linear", "-p", "a=1", "-p", "a=2"], "twice"),
        (["show", "vp-linear", "-p", "a=x"], "unknown name"),
        (["show", "vp-linear", "-p", "z=1"], "takes a, b"),
        (["show", "vp-linear", "-p", "name=1"], "name"),
        (["show", "vp-linear", "--f", "0", "--g", "1"], "either"),
        (["show", "--f", "0", "--g", "__import__('os')"], "g ="),
        (["show", "--f", "0", "--g", "t", "-p", "self=1"], "self"),
        (hostile.instead(BOUND, "--K", "1.5"), "integer"),
        (hostile.instead(BOUND, "--K", "0"), "integer >= 1"),
        (hostile.instead(BOUND, "--T", "-1"), "> 0"),
        (hostile.instead(BOUND, "--T", "nan"), "T = nan"),
        (hostile.instead(BOUND, "--T", "inf"), "T = inf"),
        (hostile.instead(BOUND, "--m0", "2"), "at most L0"),
        (hostile.instead(BOUND, "--m0", "0"), "m0"),
        (hostile.instead(BOUND, "--second-moment", "1"), "A1"),
        ([*BOUND, "--scheme", "rk4"], "em, em-point, em-point-arrival, ei, hf, ddpm"),
        ([*BOUND, "--theorem", "best"], "published, sharp"),
        ([*BOUND, "--start", "there"], "prior, exact, standard"),
        ([*BOUND, "--grid", "random"], "uniform"),
        ([*BOUND, "--grid-t", "4,2,1,0"], "K = 100"),
        ([*BOUND, "--grid", "uniform", "--grid-t", "4,2,0"], "one of --grid"),
        ([*BOUND, "--theorem", "published"], "M1"),
        ([*BOUND, "--theorem", "published", "--M1", "1", "--scheme", "hf"], "scheme em"),
        (hostile.instead(BOUND, "--theorem", "published", "--M1", "exact", "--L0", "1"), "Gaussian data"),
        (["bound", "--process", "ve-constant", "--T", "100", "--K", "3", *DATA, "--theorem", "published",
          "--M1", "1"], "at step k = 3"),
        (["bound", "--process", "ou", "--grid-t", "3,2,2.5,0", *DATA], "strictly decreasing"),
        (["bound", "--process", "ou", "--grid-t", "3,2,1", *DATA], "end at 0"),
        (["bound", "--process", "ou", "--T", "1", "--K", "5", "--d", "3"], "m0"),
        (["bound", "--process", "ou", "--T", "1", "--K", "5", *DATA[:6]], "mean-norm"),
        (["iterations", "--process", "ou", *DATA], "--eps"),
        (["iterations", "--process", "ou", *DATA, "--eps", "1", "--eps-rel", "1"], "one of them"),
        (["iterations", "--process", "ou", *DATA, "--eps", "1e-3", "--score-bias", "1"], "floor"),
        (["iterations", "--process", "ou", "--d", "3", "--m0", ".5", "--L0", "1", "--second-moment", "6",
          "--eps-rel", "0.1"], "scale"),
        (["table", "--format", "word"], "text, markdown, latex, csv, json"),
        (["lower-bound", "--start", "prior", "--lam-T", "10"], "Proposition 1"),
        (["lower-bound", "--K-to", "5"], "K_to"),
        (["curve", "--process", "ou", "-o", "x.gif"], ".svg"),
        (["curve", "--process", "ou", "--from", "10", "--to", "5"], "above --from"),
        (["curve", "--process", "ou", "--to", "1e9"], "1e7"),
        (["curve", "--process", "ou", "--against", "e"], "K, T, d"),
        (["curve", "--process", "ou", "--figure", "x.svg", "--width", "huge"], "inches"),
        (["check"], "--f and --g"),
        (["check", "--f", "0", "--g", "1", "--sigmas", "3,2,1"], "--f and --g"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_2(arguments: list[str], said: str, wb: Any) -> None:
    assert said in wb.refused(*arguments)


def test_an_option_of_one_value_is_not_given_twice(wb: Any) -> None:
    """The parser would keep the last value and drop the first: of any option, in any command."""
    told = 0
    for name, command in hostile.COMMANDS.items():
        for option in hostile.options_of(name):
            if option.is_flag:
                continue
            for first in {option.opts[0], option.opts[-1]}:
                line = [*name.split(), first, "1", option.opts[-1], "2"]
                if option.multiple:
                    assert "given twice, and takes" not in wb(*line, "--bogus")[2]
                else:
                    assert wb.refused(*line).endswith(
                        f"{option.opts[-1]} is given twice, and takes one value\n"
                    )
                    told += 1
        assert command.params
    assert told > 300


def test_flags_and_lists_may_be_repeated(wb: Any) -> None:
    assert wb(*BOUND, "--scheme", "em", "--json", "--json")[0] == 0


def test_an_error_of_the_library_is_said_in_its_own_words(wb: Any) -> None:
    with pytest.raises(wbound.BadInput) as caught:
        wbound.process("vp-linear", z=1.0)
    assert wb.refused("show", "vp-linear", "-p", "z=1") == f"wbound: {caught.value}\n"


def test_files_that_cannot_be_read_or_written_are_exit_4(tmp_path: Path, wb: Any) -> None:
    missing = str(tmp_path / "none" / "grid.npy")
    assert "cannot read" in wb.refused("bound", "--process", "ou", "--grid-t", missing, *DATA, code=4
    )  # fmt: skip
    code, _, err = wb("curve", "--process", "ou", "--to", "30", "--figure", str(tmp_path / "none" / "x.svg"))
    assert code == 4 and "cannot write" in err
    (tmp_path / "text.npy").write_text("not an array")
    assert "numbers" in wb.refused("bound", "--process", "ou", "--grid-t", str(tmp_path / "text.npy"), *DATA
    )  # fmt: skip
    (tmp_path / "plain").write_text("a file")
    code, _, err = wb("report", "--quick", "--out", str(tmp_path / "plain" / "report"))
    assert code == 4 and err.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_behind_stdout_is_exit_4() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", RUN, "processes"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 4
    assert done.stderr.startswith("wbound: cannot write to standard output") and done.stderr.count("\n") == 1


def test_a_reader_that_goes_away_causes_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "processes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == ""
        assert child.wait(30) == 4


def test_an_interruption_names_what_was_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wb: Any
) -> None:
    def interrupted(*arguments: Any, **named: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(numerics.studies.lower_bound, "floor_check", interrupted)
    code, out, err = wb("lower-bound")
    assert (code, out) == (130, "") and err.splitlines()[-1] == "interrupted: nothing was written"

    def half(*arguments: Any, **named: Any) -> Any:
        named["wrote"](tmp_path / "bounds.csv")
        raise KeyboardInterrupt

    monkeypatch.setattr("numerics.report.build", half)
    code, _, err = wb("report", "--out", str(tmp_path))
    assert code == 130 and err.splitlines()[-1].endswith("bounds.csv")


def test_errors_that_are_ours_to_fix_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **named: Any) -> Any:
        raise LookupError

    monkeypatch.setattr(numerics.studies.lower_bound, "floor_check", broken)
    with pytest.raises(LookupError):
        main(["lower-bound"])


# ---------------------------------------------------------------------- output and options


def test_json_has_no_nan_or_infinity_but_says_why() -> None:
    out = output.clean(
        {"a": math.nan, "b": [1.0, math.inf], "c": None, "d": np.float64(2.0), "e": np.arange(2), "f": True},
        {"a": "no mean", "c": "not asked for"},
    )
    assert out == {
        "a": None,
        "b": [1.0, None],
        "c": None,
        "d": 2.0,
        "e": [0, 1],
        "f": True,
        "null_because": {"a": "no mean", "b.1": "infinite: it overflows", "c": "not asked for"},
    }


@pytest.mark.parametrize("suffix", [".npy", ".txt", ".csv", ""])
def test_arrays_come_from_lists_and_files(suffix: str, tmp_path: Path) -> None:
    values = [4.0, 2.0, 0.5, 0.0]
    if suffix == "":
        text = "4,2,1/2,0"
    else:
        path = tmp_path / f"grid{suffix}"
        if suffix == ".npy":
            np.save(path, np.array(values))
        else:
            path.write_text(" ".join(map(str, values)) if suffix == ".txt" else "t\n4\n2\n0.5\n0\n")
        text = str(path)
    assert options.array_from("grid_t", text).tolist() == values


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "grid.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(wbound.BadInput):
        options.array_from("grid_t", str(path))
