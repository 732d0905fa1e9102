"""wbound images: train, resume, check, and what is said without the extra."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import typer
from hostile import instead

from numerics.cifar10 import comparison_output, comparison_runs, training
from numerics.cifar10.processes import NAMES
from numerics.cifar10.runs import load_run
from numerics.cli.commands import cifar10_train as command
from numerics.io.locks import LOCK, locked
from wbound.errors import IOFailure

TRAIN = ["images", "train", "--process", "vp-v2", "--preset", "smoke", "--batch", "8", "--device", "cpu"]


@pytest.mark.parametrize("name", [info.name for info in command.images.registered_commands])
def test_every_command_has_help_and_json(name: str, wb: Any) -> None:
    code, out, _ = wb("images", name, "--help")
    assert code == 0 and "--json" in out and f"Usage: wbound images {name}" in out
    summary = typer.main.get_command(command.images).commands[name].get_short_help_str(limit=58)  # type: ignore[attr-defined]
    assert not summary.endswith("..."), summary


def test_without_a_command_it_prints_help(wb: Any) -> None:
    code, out, _ = wb("images")
    assert code == 0 and "Commands:" in out and "train" in out


def test_train_and_resume(wb: Any, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    answer = wb.ask(*TRAIN, "--steps", "4", "-p", "rho=3", "--log-every", "2", "--out", run)
    assert answer["step"] == 4 and answer["folder"] == run and answer["device"] == "cpu"
    assert answer["optimum"] is None and "Gaussian" in answer["null_because"]["optimum"]
    assert load_run(run).process.parameters["rho"] == 3.0
    code, out, err = wb("images", "resume", run, "--steps", "6", "--device", "cpu")
    assert code == 0 and out.startswith("step 6: loss ") and f"wrote {run}" in err
    done = wb.ask("images", "resume", run, "--device", "cpu")
    assert done["images_per_second"] is None and "no step" in done["null_because"]["images_per_second"]
    tau = wb.ask(*TRAIN, "--steps", "2", "--gaussian-tau", "0.5", "--out", str(tmp_path / "gaussian"))
    assert 0.0 < tau["optimum"] < 1.0


def test_check(wb: Any) -> None:
    answer = wb.ask("images", "check", "--data", "digits")
    assert [row["process"] for row in answer["processes"]] == list(NAMES)
    assert all(row["consistent"] for row in answer["processes"])
    assert answer["processes"][5]["std"] == pytest.approx(35.35533977)
    assert (answer["data"]["n"], answer["data"]["held_out"]) == (1797, 449)
    code, out, _ = wb("images", "check")
    assert code == 0 and "35.355" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--process", "vp-v4"], "process = vp-v4: must be one of"),
        (["--preset", "tiny"], "preset = tiny: must be one of"),
        (["--seed", "1e30"], "seed"),
        (["--steps", "0"], "must be an integer >= 1"),
        (["--steps", "1.5"], "steps = 1.5"),
        (["-p", "rho"], "must be NAME=VALUE"),
        (["-p", "sigma_max=3"], "sigma_max"),
        (["--data", "cifar10"], "give --root"),
        (["--data", "cifar10", "--root", "/nowhere"], "root = /nowhere: must be a folder"),
        (["--data", "nothing.npz"], "nothing.npz"),
        (["--device", "cuda:77"], "device = cuda:77: is not there"),
        (["--batch", "__import__('os')"], "batch"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, wb: Any, tmp_path: Path) -> None:
    code = 4 if "nothing.npz" in arguments else 2
    assert said in wb.refused(*instead(TRAIN, "--out", str(tmp_path / "run"), *arguments), code=code)
    assert not (tmp_path / "run").exists()


def test_quiet_hides_the_bar(wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool | None] = []

    def training_of(*_: Any, progress: bool | None, **named: Any) -> Any:
        seen.append(progress)
        return types.SimpleNamespace(main=False)

    monkeypatch.setattr(training, "train", training_of)
    for flags in ([], ["--progress"], ["--progress", "--quiet"], ["--quiet"]):
        assert wb(*TRAIN, "--out", str(tmp_path / "run"), *flags)[0] == 0
    assert seen == [None, True, False, False]


def test_runs_that_are_none(wb: Any, tmp_path: Path) -> None:
    assert "must be the directory of a training run" in wb.refused("images", "resume", str(tmp_path))


def test_an_interruption_names_the_last_checkpoint(
    wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = training._State.advance

    def interrupted(self: Any) -> Any:
        if self.step == 5:
            raise KeyboardInterrupt
        return advance(self)

    monkeypatch.setattr(training._State, "advance", interrupted)
    run = str(tmp_path / "run")
    code, out, err = wb(*TRAIN, "--steps", "9", "--checkpoint-every", "2", "--out", run)
    assert code == 130 and out == "" and "Traceback" not in err
    assert "recovery-000000005.safetensors" in err and f"wbound images resume {run}" in err


def test_a_loss_that_is_not_finite_is_exit_4(wb: Any, tmp_path: Path) -> None:
    wild = [
        "--steps",
        "60",
        "--lr",
        "1e30",
        "--warmup",
        "0",
        "--clip",
        "1e30",
        "--out",
        str(tmp_path / "run"),
    ]
    assert "is not finite at step" in wb.refused(*instead(TRAIN, *wild), code=4)


def test_without_the_extra_one_line_says_what_to_install(wb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "diffusers", None)
    for arguments in (["images"], [*TRAIN, "--out", "x"], ["images", "check"]):
        said = wb.refused(*arguments)
        assert "torch, diffusers not installed" in said and "pip install 'wbound[cifar10]'" in said


def test_without_the_extra_everything_else_works() -> None:
    code = (
        f"import sys; [sys.modules.__setitem__(name, None) for name in {command.NEEDS}]\n"
        "from numerics.cli.main import main\n"
        "sys.exit(main(['bound', '--process', 'vp-linear', '--T', '4', '--K', '10', '--d', '3', '--m0', '0.5', "
        "'--L0', '0.5', '--second-moment', '6', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and json.loads(done.stdout)["total"] > 0.0, done.stderr


def test_a_second_training_of_one_run_is_refused(wb: Any, tmp_path: Path) -> None:
    with locked(tmp_path / "run"):
        said = wb.refused(*TRAIN, "--steps", "1", "--out", str(tmp_path / "run"), code=4)
    assert "run is locked" in said and f"process {os.getpid()}" in said
    assert [p.name for p in (tmp_path / "run").iterdir()] == [LOCK]


def test_a_second_comparison_in_one_folder_is_refused(
    wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is trained; and the lock is there while the first one works, and while it writes."""
    words = "images compare --process vp-v2 --K 2 --n 16 --seeds 1 --steps 1 --jobs 1 -o"
    compare = words.split()
    with locked(tmp_path / "out"):
        said = wb.refused(*compare, str(tmp_path / "out"), code=4)
    assert "out is locked" in said and f"process {os.getpid()}" in said
    assert [p.name for p in (tmp_path / "out").iterdir()] == [LOCK]

    seen: list[str] = []
    for module, name in ((comparison_runs, "trained"), (comparison_output, "write_all")):
        original = getattr(module, name)

        def checked(*given: Any, _original: Any = original, _name: str = name, **named: Any) -> Any:
            with pytest.raises(IOFailure, match="is locked"), locked(tmp_path / "out"):
                pass
            seen.append(_name)
            return _original(*given, **named)

        monkeypatch.setattr(module, name, checked)
    assert wb(*compare, str(tmp_path / "out"))[0] == 0
    assert seen == ["trained", "write_all"]
    with locked(tmp_path / "out"):
        pass


def test_an_interrupted_comparison_names_the_runs_it_has(
    wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison_runs, "measure", interrupted)
    words = "--process vp-v2 --process vp-v1 --K 2 --n 16 --seeds 1 --steps 1 --jobs 1 -o"
    code, out, err = wb("images", "compare", *words.split(), str(tmp_path / "out"))
    assert code == 130 and out == "" and "Traceback" not in err
    last = err.splitlines()[-1]
    assert f"{tmp_path}/out/runs/vp-v2 (the same command goes on)" in last and "vp-v1" not in last


def test_a_batch_that_cannot_fit_is_refused_before_it_is_drawn(wb: Any, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    assert "batch = 1000000000000: must be at most" in wb.refused(
        *TRAIN[:-4], "--batch", "1e12", "--out", out
    )
    assert not (tmp_path / "run").exists()
