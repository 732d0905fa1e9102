"""How runs end that do not end well: Ctrl-C, SIGTERM, full and read-only disks, missing extras, two runs at once."""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
import subprocess
import sys
import time
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import COMMANDS, RIGHT, options_of

import wbound
from numerics.cli.commands.cifar10_train import NEEDS
from numerics.cli.main import main
from numerics.io import writing
from numerics.io.locks import LOCK, locked
from numerics.verification import matrix
from wbound.calculus import balls
from wbound.errors import IOFailure

WBOUND = [sys.executable, "-c", "import sys; from numerics.cli.main import run; run()"]
OU = "--process ou --T 2 --K 4"
FACTS = "--d 2 --m0 1 --L0 1 --mean-norm 0"
TOML = 'process = "ou"\nT = 2\nK = [4, 5, 6]\n'

#: Every command that writes, into FILE or DIR, at a size that is quick.
WRITERS = {
    **{
        name: f"{name} {RIGHT[name] or ''} -o FILE.json"
        for name in ("schemes", "search", "search --view scatter")
    },
    **{
        name: f"{name} {RIGHT[name] or ''} --figure FILE.svg"
        for name in (
            "lower-bound --view gap",
            "lower-bound --view landscape",
            "score-error",
            "optimal",
            "choose",
        )
    },
    "lower-bound": f"lower-bound {RIGHT['lower-bound']} -o FILE.csv",
    "smoothed": f"smoothed {RIGHT['smoothed']} -o FILE.npy",
    "verify": "verify --all --n 64 --jobs 1 -o FILE.json",
    "schedule": f"schedule {OU} -o FILE.npy",
    "schedule-json": f"schedule {OU} -o FILE.json",
    "curve-csv": "curve --process ou --to 20 --points 2 -o FILE.csv",
    "curve-svg": "curve --process ou --to 20 --points 2 --figure FILE.svg",
    "curve-png": "curve --process ou --to 20 --points 2 --figure FILE.png",
    "optimal --view clocks": "optimal --view clocks --points 3 -o FILE.csv",
    "table": "table --derived -o FILE.txt",
    "optimal-txt": "optimal --K 3 --d 2 -o FILE.txt",
    "choose-npz": "choose --data 4,1 --steps 3 --process ou --grid uniform -o FILE.npz",
    "certify": f"certify {OU} {FACTS} --scheme hf -o FILE.json",
    "sweep": "sweep plan.toml --jobs 1 -o DIR",
    "report": "report --quick -o DIR",
    "peers": f"peers {RIGHT['peers']} -o FILE.csv",
    "gaussian-errors": f"gaussian-errors {RIGHT['gaussian-errors']} -o FILE.csv",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    two = matrix.cells(["ou"])[:2]
    monkeypatch.setattr(matrix, "cells", lambda *_: two)  # of verify --all
    (tmp_path / "plan.toml").write_text(TOML, "utf-8")
    return tmp_path


def line(command: str, file: Path, folder: Path) -> list[str]:
    return [word.replace("FILE", str(file)).replace("DIR", str(folder)) for word in WRITERS[command].split()]


# ---------------------------------------------------------------------- disks


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """As on a full disk: no file grows."""
    importlib.import_module("joblib")  # makes semaphores, which are files of memory, not of a disk
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_every_command_that_writes_is_here() -> None:
    """But for those of images, which have tests of its own."""
    writes = {name for name in COMMANDS if any("--out" in option.opts for option in options_of(name))}
    assert {words.split()[0] for words in WRITERS.values()} == {
        w.split()[0] for w in writes if not w.startswith("images ")
    }


@pytest.mark.parametrize("command", WRITERS)
def test_a_full_disk_is_one_line_and_leaves_the_former_file(command: str, here: Path, capsys: Any) -> None:
    words = line(command, here / "x", here / "out")
    file = next((Path(w) for w in words if w.startswith(str(here / "x."))), None)
    if file is not None:
        file.write_bytes(b"former")
    with no_room():
        code = main(words)
    said = capsys.readouterr().err.splitlines()
    assert code == 4 and said[-1].startswith("wbound: cannot write"), said
    assert "Traceback" not in "\n".join(said)
    if file is not None:
        assert file.read_bytes() == b"former"
    left = [p.name for p in here.rglob("*") if p.is_file()]
    assert set(left) <= {"plan.toml", LOCK, *([file.name] if file is not None else [])}, left


@pytest.mark.parametrize("command", WRITERS)
def test_a_place_that_takes_no_files_is_one_line(command: str, here: Path, capsys: Any) -> None:
    """/proc takes no new files, not even from root."""
    if not Path("/proc/self").is_dir():
        pytest.skip("no /proc on this system")
    code = main(line(command, Path("/proc/x"), Path("/proc/out")))
    said = capsys.readouterr().err.splitlines()
    assert code == 4 and said[-1].startswith("wbound: cannot "), said


def test_a_device_that_is_full(here: Path, wb: Any) -> None:
    (here / "x.csv").symlink_to("/dev/full")
    _, _, err = wb("optimal", "--view", "clocks", "--points", "3", "-o", "x.csv")
    assert err == "wbound: cannot write x.csv: No space left on device\n"


def test_a_file_is_written_whole_or_not_at_all(here: Path) -> None:
    target = here / "x.bin"
    writing.write(target, b"1" * 100)
    with no_room(), pytest.raises(IOFailure, match="File too large"):
        writing.write(target, b"2" * 100)
    assert target.read_bytes() == b"1" * 100 and len(list(here.iterdir())) == 2


# ---------------------------------------------------------------------- missing extras


@pytest.mark.parametrize(
    ("packages", "words", "extra"),
    [
        (("flint",), f"certify {OU} {FACTS} --scheme hf", "certify"),
        (("flint",), f"bound {OU} {FACTS} --certify", "certify"),
        (("flint",), "certify --check plan.toml", "certify"),
        (("distributed",), "sweep plan.toml --scheduler tcp://127.0.0.1:1 -o out", "cluster"),
        (("dask", "distributed"), "sweep plan.toml --scheduler tcp://127.0.0.1:1 -o out", "cluster"),
        *(((name,), "images check", "cifar10") for name in NEEDS),
        (("safetensors",), "images train --process vp-v1 -o out", "cifar10"),
        (("torch", "diffusers", "accelerate"), "images sample run --figure x.png", "cifar10"),
    ],
)
def test_a_missing_extra_is_named_with_its_command(
    packages: tuple[str, ...], words: str, extra: str, here: Path, wb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in packages:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)
    balls.flint.cache_clear()
    assert f"pip install 'wbound[{extra}]'" in wb.refused(*words.split())


# ---------------------------------------------------------------------- two runs at once, and their end


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*WBOUND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(condition: Any, process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_a_second_report_is_refused_and_the_first_names_what_it_wrote(here: Path, wb: Any) -> None:
    """Real processes; the first is stopped after its first files."""
    first = start("report", "--out", "page")
    until(lambda: list(here.glob("page/*.csv")), first)
    said = wb.refused("report", "--out", "page", code=4)
    assert "page is locked" in said and f"process {first.pid}" in said
    written = {path.name for path in here.glob("page/*.csv")}
    first.send_signal(signal.SIGTERM)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 143, err
    assert "Traceback" not in err and err.splitlines()[-1].startswith("interrupted: written so far: ")
    assert all(name in err.splitlines()[-1] for name in written)
    with locked(here / "page"):  # the lock has gone with its process
        pass


def test_a_sweep_that_is_terminated_says_how_far_it_came(here: Path, wb: Any) -> None:
    plan = (
        f'process = "ou"\nT = 2\nK = [500, 501]\nseed = {list(range(300))}\noutputs = ["sample"]\nn = 500\n'
    )
    (here / "long.toml").write_text(plan, "utf-8")
    first = start("sweep", "long.toml", "--out", "cells", "--jobs", "1")
    until(lambda: list(here.glob("cells/parts/*.parquet")), first)
    assert "cells is locked" in wb.refused("sweep", "long.toml", "--out", "cells", code=4)
    first.send_signal(signal.SIGTERM)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 143 and "of 600 cells in cells (run again to go on)" in err, err


def test_a_lock_goes_with_its_process_even_by_kill_9(here: Path) -> None:
    code = (
        f"import time; from numerics.io.locks import locked\nwith locked({str(here)!r}):"
        f" print('in', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "in\n"
        with pytest.raises(IOFailure, match=f"process {holder.pid}"), locked(here):
            pass
        holder.kill()
        holder.wait(30)
    with locked(here) as folder:
        assert (folder / LOCK).read_text() == str(os.getpid())


def test_sigterm_is_left_alone_where_somebody_has_it(monkeypatch: pytest.MonkeyPatch, wb: Any) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        assert wb("processes")[0] == 0
        os.kill(os.getpid(), signal.SIGTERM)
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.getsignal(signal.SIGTERM) is before


def test_damaged_results_of_a_sweep_are_one_line(here: Path, wb: Any) -> None:
    assert wb("sweep", "plan.toml", "--jobs", "1", "-o", "out")[0] == 0
    result = here / "out" / "results.parquet"
    whole = result.read_bytes()
    for content in (b"", b"PAR1", whole[: len(whole) // 2], whole[:-8] + b"\xff" * 8, b"\0" * 5000):
        result.write_bytes(content)
        assert "results.parquet" in wb.refused("sweep", "plan.toml", "--jobs", "1", "-o", "out")
    for text in ("", "{}", "[]", "null", '{"batch": "x"}', "\xff"):
        (here / "out" / "sweep.json").write_text(text, "utf-8")
        assert "choose another folder" in wb.refused("sweep", "plan.toml", "--jobs", "1", "-o", "out")


def test_a_number_that_leaves_doubles_is_no_result(monkeypatch: pytest.MonkeyPatch, wb: Any) -> None:
    def overflowing(*_: Any, **__: Any) -> Any:
        return np.float64(1e308) * 10.0

    # as if it stood in a module of ours, which is what the line names
    ours = types.FunctionType(overflowing.__code__, {"__name__": "wbound.made", "np": np})
    line = overflowing.__code__.co_firstlineno + 1
    monkeypatch.setattr(wbound.sampler.grid.Grid, "nodes", ours)
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # what makes an error of it is not the tests' own filter
        said = wb.refused("schedule", *OU.split())
    assert "double precision" in said and "overflow" in said and f"wbound.made:{line}" in said


@pytest.mark.parametrize(
    "ask",
    [
        lambda: bytearray(1 << 62),
        lambda: np.empty(1 << 50),
        lambda: np.empty(1 << 61),
        lambda: np.arange(0.0, 1e300),
        lambda: np.empty((1 << 62, 8)),
    ],
)
def test_memory_that_runs_out_is_one_line(ask: Any, monkeypatch: pytest.MonkeyPatch, wb: Any) -> None:
    """Each of these fails in words of its own."""

    def full(*_: Any, **__: Any) -> Any:
        return ask()

    monkeypatch.setattr(wbound.sampler.grid.Grid, "nodes", full)
    assert "does not fit into memory" in wb.refused("schedule", *OU.split())


def test_a_file_missing_elsewhere_is_not_the_locked_folder_s_fault(here: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"), locked(here / "made"):
        (here / "nowhere" / "stored.json").read_text()
    with pytest.raises(IOFailure, match="cannot write in"), locked(here / "made") as folder:
        (folder / "no" / "file").write_text("")
