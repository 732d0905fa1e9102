"""Hostile lines of ``wbound images``, among runs that are whole, cut off, damaged or none; nothing is trained."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from test_endings import no_room
from test_fuzz_files import many

from numerics.cifar10 import training
from numerics.cifar10.checkpoints import checkpoints_of
from numerics.cli.main import main
from numerics.io.locks import LOCK

SMALL = "--preset smoke --steps 1 --batch 4 --device cpu"


def _edited(config: Path, where: str, **values: Any) -> None:
    body = json.loads(config.read_text("utf-8"))
    body[where] |= values
    config.write_text(json.dumps(body), "utf-8")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one step and a comparison, and copies of the first with one thing wrong in each."""
    place = tmp_path_factory.mktemp("runs")
    for line in (
        f"images train --process vp-original {SMALL} -o {place}/run",
        f"images train --process vp-original {SMALL} --gaussian-tau 0.5 -o {place}/gaussian",
        f"images compare {hostile.IMAGES['images compare'].replace('compared', f'{place}/compared')}",
    ):
        assert main(line.split()) == 0, line

    def copy(name: str) -> Path:
        return Path(shutil.copytree(place / "run", place / name))

    for name, content in (
        ("cut", lambda whole: whole[: len(whole) // 2]),
        ("empty", lambda whole: b""),
        ("noise", lambda whole: np.random.default_rng(0).bytes(3000)),
        ("long", lambda whole: (1 << 60).to_bytes(8, "little") + whole[8:]),
    ):
        (checkpoint,) = checkpoints_of(copy(name) / "checkpoints")
        checkpoint.write_bytes(content(checkpoint.read_bytes()))
    shutil.rmtree(copy("bare") / "checkpoints")
    (copy("worded") / "config.json").write_text("[1, 2]", "utf-8")
    (copy("endless") / "config.json").unlink()
    (place / "endless" / "config.json").symlink_to("/dev/zero")
    _edited(copy("other") / "config.json", "config", preset="large")
    _edited(copy("lost") / "config.json", "config", data="/nowhere/images.npz")
    _edited(copy("greedy") / "config.json", "config", batch=10**12)
    _edited(copy("tall") / "config.json", "architecture", size=10**9)
    shutil.copy(place / "gaussian" / "config.json", copy("mixed") / "config.json")
    return place


@pytest.fixture
def here(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies of the runs, some files, and a training that makes no step."""
    place = tmp_path / "here"
    shutil.copytree(runs, place, symlinks=True)
    monkeypatch.chdir(place)
    (place / "full.png").symlink_to("/dev/full")
    (place / "words.csv").write_text("a,b\n1,2\n", "utf-8")
    np.save(place / "few.npy", np.zeros((6, 4, 4), np.uint8))
    np.save(place / "flat.npy", np.zeros((8, 3)))

    def stepless(run: Any, state: Any, progress: Any) -> training.Outcome:
        return training.Outcome(run.folder, state.step, 1.0, None, 1.0, 1.0, "cpu", 1)

    monkeypatch.setattr(training, "_loop", stepless)
    return place


FILES = (
    *("run", "gaussian", "compared", "cut", "empty", "noise", "long", "bare", "worded", "endless", "other", "lost"),
    *("greedy", "tall", "mixed", "full.png", "words.csv", "few.npy", "flat.npy", "x.png", "x.npz", "none/x.png"),
    *("missing", "missing.npy", "new", "new/er", "/dev/null", "/dev/zero", "/proc/self", "."),
)  # fmt: skip


def judged(line: list[str], here: Path) -> None:
    shutil.rmtree(here / "new", ignore_errors=True)  # what a line before this one began
    found = hostile.judge(line)
    assert not found.wrong, (line, found.wrong)


@pytest.mark.parametrize("command", hostile.IMAGES)
def test_the_right_lines_are_right(command: str, here: Path) -> None:
    found = hostile.judge([*command.split(), *hostile.IMAGES[command].split()])
    assert found.code == 0 and not found.wrong, found


def test_hostile_lines(here: Path) -> None:
    """Of every command some, whatever the seed."""
    drawn: Counter[str] = Counter()

    @many(2)
    @given(hostile.lines(FILES, tuple(hostile.IMAGES)))
    def each(line: list[str]) -> None:
        drawn[" ".join(line[:2])] += 1
        judged(line, here)

    each()
    assert min(drawn[name] for name in hostile.IMAGES) >= 5, drawn


@pytest.mark.parametrize("command", hostile.IMAGES)
def test_every_option_of_every_command(command: str, here: Path) -> None:
    for line in hostile.singles(command, FILES, settings.default.max_examples // 50):
        judged(line, here)


#: What lacks nothing that the command needs: a run may begin at step 0, samples need neither data nor batch.
ENOUGH = {("resume", "bare"), ("sample", "lost"), ("sample", "greedy"), ("evaluate", "greedy")}


@pytest.mark.parametrize("command", ["resume", "sample", "evaluate", "score-error"])
@pytest.mark.parametrize("run", [name for name in FILES[3:15] if name != "mixed"])
def test_runs_that_are_not_whole_are_refused(command: str, run: str, here: Path, wb: Any) -> None:
    words = hostile.IMAGES[f"images {command}"].split()
    code, _, err = wb("images", command, run, *words[1:])
    if (command, run) in ENOUGH:
        assert code == 0, err
    else:
        assert code in (2, 4) and err.count("\n") == 1 and err.startswith("wbound: "), err


def test_memory_that_runs_out_in_torch_is_one_line(
    here: Path, wb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_loop", lambda *_: torch.empty(1 << 56))
    said = wb.refused("images", "train", *hostile.IMAGES["images train"].split())
    assert "does not fit into memory" in said


#: More than there is memory for, and what the line has to name.
TOO_LARGE = (
    ("train --process vp-original --preset smoke --batch 1e12 -o new", "batch"),
    ("resume greedy --device cpu", "batch"),
    ("sample run --K 1e12 --n 2 --figure x.png", "K"),
    ("sample run --K 2 --n 1e12 --figure x.png", "n"),
    ("sample run --K 2 --n 1e30 --figure x.png", "n"),
    ("sample run --K 1e5 --n 1e6 --batch 1e6 -o x.npz", "batch"),
    ("evaluate run --K 1e12 --n 16", "K"),
    ("evaluate run --K 2 --n 1e9", "n"),
    ("evaluate run --K 2 --n 16 --seeds 1e12", "seeds"),
    ("compare --process vp-original --K 1e12 --n 16 --steps 1 -o new", "K"),
    ("compare --process vp-original --K 2 --n 1e12 --steps 1 -o new", "seeds"),
    ("compare --process vp-original --K 2 --n 16 --seeds 1e12 --steps 1 -o new", "seeds"),
    ("score-error gaussian --K 1e12 --n 16", "K"),
    ("score-error gaussian --K 2 --n 1e12", "n"),
)


@pytest.mark.parametrize(("line", "named"), TOO_LARGE, ids=[line for line, _ in TOO_LARGE])
def test_what_cannot_fit_is_refused_before_it_is_allocated(line: str, named: str, here: Path) -> None:
    """Under a limit of half a gigabyte of new memory and a few seconds of work; no folder is made."""
    found = hostile.judge(["images", *line.split()], seconds=8.0, room=1 << 29)
    assert not found.wrong and found.code == 2, found
    assert f" {named} = " in found.err and not (here / "new").exists(), found.err


#: Lines that write into a new place, and what is there when the disk is full.
WRITERS = {
    "train": f"train --process vp-original {SMALL} -o PLACE",
    "sample": "sample run --K 2 --n 2 -o PLACE.npz",
    "compare": "compare --process vp-original --K 2 --n 16 --seeds 1 --steps 1 --jobs 1 -o PLACE",
    "compare, from runs": "compare --process vp-original --K 2 --n 16 --seeds 1 --steps 1 --jobs 1 -o compared",
}


@pytest.mark.parametrize("command", WRITERS)
def test_a_full_disk_is_one_line(command: str, here: Path, capsys: Any) -> None:
    before = {path: path.read_bytes() for path in here.glob("compared/comparison.*")}
    with no_room():
        code = main(["images", *WRITERS[command].replace("PLACE", str(here / "place")).split()])
    last = capsys.readouterr().err.splitlines()[-1]
    assert code == 4 and last.startswith("wbound: cannot write"), last
    assert {path.name for path in here.rglob("place*/*") if path.is_file()} <= {LOCK}
    assert {path: path.read_bytes() for path in here.glob("compared/comparison.*")} == before != {}


@pytest.mark.parametrize("command", list(WRITERS)[:3])
def test_a_place_that_takes_no_files_is_one_line(command: str, here: Path, capsys: Any) -> None:
    """/proc takes no new files, not even from root."""
    code = main(["images", *WRITERS[command].replace("PLACE", "/proc/place").split()])
    last = capsys.readouterr().err.splitlines()[-1]
    assert code == 4 and last.startswith("wbound: cannot "), last
