"""What the command line looks like: commands in groups, views of them, old names that still run, quiet, marked options."""

from __future__ import annotations

import io
import re
import shlex
import sys
import tempfile
import types
from pathlib import Path
from typing import Annotated, Any

import hostile
import numpy as np
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
    assert quiet == wb("--quiet", *line)
    assert loud[:2] == quiet[:2] and "wrote" in loud[2] and quiet[2] == ""
    assert wb.refused(*line, "--quiet", "--T", "x") == wb(*line, "--T", "x")[2]
    assert wb(*line)[2] == loud[2]  # of that run alone


def test_quiet_hides_the_bar_of_a_sweep(wb: Any, tmp_path: Path, monkeypatch: Any) -> None:
    seen: list[bool] = []

    def made(*_: Any, progress: bool, **named: Any) -> Any:
        seen.append(progress)
        return types.SimpleNamespace(path=tmp_path / "x.parquet", cells=1, failed=0, resumed=0)

    monkeypatch.setattr("numerics.sweep.run.sweep", made)
    assert wb("sweep", "plan.toml")[0] == 0
    code, _, err = wb("sweep", "plan.toml", "--quiet")
    assert (code, err, seen) == (0, "", [True, False])


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


#: Lines of commands that have required options, with one of each pair.
NEEDING = {
    **{name: hostile.RIGHT[name] or "" for name in ("bound", "iterations", "tolerance", "certify", "orders")},
    "curve": "--process ou",
    "check": "--process ou",
    "schedule": "--process ou --T 2 --K 5",
    "score-error": hostile.RIGHT["score-error"] or "",
    "choose": "--data 4,1,0.25 --K 3 --process ou --grid uniform",
    "verify": "--process ou --T 2 --K 5 --d 1 --n 0",
}


def marked(command: str) -> set[str]:
    """The options that the help calls required."""
    return {
        parameter.opts[-1]
        for parameter in COMMANDS[command].params
        if "[required" in (getattr(parameter, "help", None) or "")
    }


@pytest.mark.parametrize("command", NEEDING)
def test_what_is_required_is_marked_and_what_is_marked_is_required(command: str, wb: Any) -> None:
    words = NEEDING[command].split()
    given = words[::2]
    assert wb(command, *words)[0] == 0
    refused = set()
    for option in given:
        at = words.index(option)
        code, out, err = wb(command, *words[:at], *words[at + 2 :])
        if code == 2:
            refused.add(option)
            assert out == "" and err.count("\n") == 1
    assert refused == marked(command) & set(given)
    # the other of a pair is marked with it
    for option in marked(command) - set(given):
        others = re.findall(r"--[a-zA-Z-]+", _help_of(command, option).partition("[required")[2])
        assert set(others) & refused, option


def _help_of(command: str, option: str) -> str:
    return str(next(p.help for p in COMMANDS[command].params if option in p.opts))


def test_the_others_mark_nothing() -> None:
    named = {name for name in COMMANDS if name != "images" and marked(name)}
    assert named == set(NEEDING)
    assert "[required]" in _shown("images", "train", "--out")


def _shown(group: str, command: str, option: str) -> str:
    """The line of the help in which an option that the parser itself requires stands."""
    inner = COMMANDS[group].commands[command]
    context = inner.make_context(command, [], resilient_parsing=True)
    return str(next(p.get_help_record(context) for p in inner.params if option in p.opts))


# ---------------------------------------------------------------------- standard input


class Piped:
    """Standard input that holds these bytes."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


def _npy(values: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values, float))
    return file.getvalue()


def _npz(values: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, sigmas=np.asarray(values, float))
    return file.getvalue()


LEVELS = [2.0, 1.0, 0.5, 0.0]
SCHEDULES = {
    "npy": _npy(LEVELS),
    "npz": _npz(LEVELS),
    "json": b'{"sigmas": [2, 1, 0.5, 0]}',
    "csv": b"2,1,0.5,0\n",
    "txt": b"2\n1\n0.5\n0\n",
    "named": b"sigma\n2\n1\n0.5\n0\n",
}


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_dash_is_standard_input_whatever_it_holds(kind: str, wb: Any, monkeypatch: Any) -> None:
    want = wb.ask("schedule", "--sigmas", "2,1,0.5,0", "--as", "sigmas")["values"]
    monkeypatch.setattr(sys, "stdin", Piped(SCHEDULES[kind]))
    assert wb.ask("schedule", "--sigmas", "-", "--as", "sigmas")["values"] == want


#: A line for every option that takes a file of numbers, what stands for -, and the same as a list or a file.
READING = {
    "--grid-t": "bound --process ou --d 1 --m0 1 --L0 1 --mean-norm 0 --grid-t {}",
    "--grid-lam": "bound --process ou --d 1 --m0 1 --L0 1 --mean-norm 0 --grid-lam {}",
    "--grid-sigma": "bound --process ou --d 1 --m0 1 --L0 1 --mean-norm 0 --grid-sigma {}",
    "--sigmas": "check --sigmas {}",
    "--betas": "check --betas {}",
    "--alphas-cumprod": "check --alphas-cumprod {}",
    "--timesteps": "audit --diffusers EulerDiscreteScheduler --data 4,1 --timesteps {}",
    "--variances": "lower-bound --variances {} --process ou --T 4 --K-to 100",
    "--data": "choose --data {} --steps 3 --process ou --grid uniform",
    "-q": "verify --process ou --T 2 --K 3 --target gaussian -q cov={} --n 0",
}
VALUES = {
    "--timesteps": "900,500,100",
    "--betas": "0.1,0.2,0.5",
    "--alphas-cumprod": "0.9,0.5,0.1",
    "--variances": "4,1",
    "--data": "4,1",
}


@pytest.mark.parametrize("option", READING)
def test_every_option_that_takes_numbers_takes_a_dash(
    option: str, wb: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    if option == "--timesteps":
        pytest.importorskip("diffusers")
    values = VALUES.get(option, "2,1,0.5,0" if option != "-q" else "2,0.5")
    file = tmp_path / "standard-input.npy"
    file.write_bytes(_npy([float(v) for v in values.split(",")]))
    want = wb(*READING[option].format(file).split())
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    monkeypatch.setattr(sys, "stdin", Piped(file.read_bytes()))
    got = wb(*READING[option].format("-").split())
    assert got[0] == want[0] in (0, 3) and _timeless(got[1]) == _timeless(want[1])
    assert not list((tmp_path / "copies").iterdir())


def _timeless(text: str) -> str:
    return re.sub(r"\d+\.\d+ s\b", "", text)


def test_no_option_that_takes_a_file_of_numbers_is_left_out() -> None:
    """By their metavar; what writes, and what is no file of numbers, is named here."""
    others = {"--out", "--figure", "--samples", "--diffusers", "--check", "--tape"}
    found = {
        parameter.opts[-1]
        for name, command in hostile.COMMANDS.items()
        if not name.startswith("images ")
        for parameter in command.params
        if "FILE" in (parameter.metavar or "")
    }
    assert found - others == set(READING) - {"-q"}


def test_samples_a_configuration_and_a_certificate_come_by_a_dash_too(
    wb: Any, monkeypatch: Any, certificate: Path, tmp_path: Path
) -> None:
    points = np.random.default_rng(0).normal(size=(64, 2))
    line = ("verify", "--process", "ou", "--T", "2", "--K", "5", "--d", "2", "--n", "64", "--samples")
    monkeypatch.setattr(sys, "stdin", Piped(_npy(points)))
    got = wb(*line, "-")
    (tmp_path / "x.npy").write_bytes(_npy(points))
    assert got[0] in (0, 3) and got[1:] == wb(*line, str(tmp_path / "x.npy"))[1:]
    monkeypatch.setattr(sys, "stdin", Piped(certificate.read_bytes()))
    assert wb.ask("certify", "--check", "-")["holds"] is not False
    words = (
        b'{"_class_name": "DDPMScheduler", "beta_start": 1e-4, "beta_end": 0.02, "num_train_timesteps": 50}'
    )
    monkeypatch.setattr(sys, "stdin", Piped(words))
    assert wb("check", "--diffusers", "-")[0] in (0, 3)


def test_standard_input_is_read_once_and_its_faults_are_one_line(wb: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b"2 1 0\n"))
    assert "can be read once" in wb.refused("check", "--sigmas", "-", "--betas", "-")
    monkeypatch.setattr(sys, "stdin", Piped(b"2 x 0\n"))
    assert "standard-input.txt" in wb.refused("schedule", "--sigmas", "-")
    monkeypatch.setattr(sys, "stdin", Piped(b""))
    assert "at least one value" in wb.refused("schedule", "--sigmas", "-")
    monkeypatch.setattr(sys, "stdin", None)
    assert "cannot read standard input" in wb.refused("schedule", "--sigmas", "-", code=4)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero on this system")
def test_standard_input_without_an_end_is_refused(wb: Any, monkeypatch: Any) -> None:
    with open("/dev/zero") as endless:
        monkeypatch.setattr(sys, "stdin", endless)
        assert "at most 64 MB" in wb.refused("schedule", "--sigmas", "-")


# ---------------------------------------------------------------------- what is written down

ROOT = Path(__file__).resolve().parents[2]
#: What a reader may copy a line from; CHANGELOG.md says what things were called.
TEXTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "docs").glob("*.py")),
    *sorted((ROOT / "notebooks").glob("*.py")),
    *sorted(path for name in ("wbound", "numerics") for path in (ROOT / name).rglob("*.py")),
]


def _lines(text: str) -> list[str]:
    """What follows ``wbound`` where that is the command: in code, or at the start of a line."""
    return re.findall(r"(?:`|\"|'|\$ |^ *)wbound ([a-z][^`\n]*)", text, re.M)


def test_every_line_that_is_written_down_has_a_name_of_today() -> None:
    told, wrong = 0, []
    for path in TEXTS:
        for line in _lines(path.read_text("utf-8")):
            name = re.match(r"[a-z-]+", line)
            assert name is not None
            told += name[0] in COMMANDS
            if name[0] in NOW or re.search(r" (-o|--out) \S+\.(svg|png|pdf)\b", line):
                wrong.append(f"{path.relative_to(ROOT)}: wbound {line}")
    assert told > 100 and not wrong, "\n".join(wrong)


def test_a_line_of_an_old_name_is_noticed() -> None:
    assert _lines("see `wbound gap` and\n  wbound clocks --points 3\n$ wbound cifar10 check") == [
        "gap",
        "clocks --points 3",
        "cifar10 check",
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_a_help_are_read_by_the_parser(name: str, wb: Any) -> None:
    """Options and arguments of every example exist, in that command."""
    out = re.sub(r" \\\n +", " ", wb(name, "--help")[1])
    inner = {name: COMMANDS[name]}
    if hasattr(COMMANDS[name], "commands"):
        inner = {f"{name} {word}": command for word, command in COMMANDS[name].commands.items()}
        out = "".join(wb(*words.split(), "--help")[1] for words in inner)
    for line in re.findall(r"^ +(wbound .*)$", out, re.M):
        words = shlex.split(line.split("  #")[0])[1:]
        key = " ".join(words[: len(next(iter(inner)).split())])
        if "..." in words or key not in inner:
            continue
        known = {opt for p in inner[key].params for opt in (*p.opts, *p.secondary_opts)} | {"--json"}
        used = [w for w in words if re.fullmatch(r"--[A-Za-z][\w-]*|-[a-z]", w)]
        assert set(used) <= known, line
