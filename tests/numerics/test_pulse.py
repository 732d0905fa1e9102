"""A command that says nothing for two seconds says that it runs; Ctrl-C ends each in one line and code 130."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from numerics.cli import main as command_line
from numerics.cli import output, pulse
from numerics.cli.pulse import ERASE, Pulse
from numerics.io.interrupts import uninterrupted


class Stream(io.StringIO):
    """Standard error, a terminal or not, which says when it was written to."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal, self.spoke = terminal, threading.Event()

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        size = super().write(text)
        if text.strip():
            self.spoke.set()
        return size


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Any:
    def of(terminal: bool) -> Stream:
        stream = Stream(terminal)
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return of


def test_on_a_terminal_one_line_is_written_anew_and_taken_away(streams: Any) -> None:
    stream = streams(True)
    with Pulse("wbound curve", patience=0.01):
        assert stream.spoke.wait(60.0)
        print("a word", file=sys.stderr)
    said = stream.getvalue()
    assert said.startswith(f"{ERASE}wbound curve: 0 s (Ctrl-C stops it)")
    assert f"{ERASE}a word\n" in said  # the line makes room
    assert said.endswith((ERASE, "a word\n")) and sys.stderr is stream


def test_elsewhere_it_is_a_line(streams: Any) -> None:
    stream = streams(False)
    with Pulse("wbound curve", elsewhere=0.01):
        assert stream.spoke.wait(60.0)
    assert stream.getvalue().splitlines()[0] == "wbound curve: 0 s" and "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_is_quiet(terminal: bool, streams: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = streams(terminal)
    monkeypatch.setattr(output, "QUIET", True)
    with Pulse("wbound curve", 0.001, 0.001):
        time.sleep(0.2)
    assert stream.getvalue() == ""


def test_a_bar_says_enough(streams: Any) -> None:
    from tqdm import tqdm

    stream = streams(True)
    with tqdm(total=3, file=io.StringIO()), Pulse("wbound curve", 0.001):
        time.sleep(0.2)
    assert stream.getvalue() == ""


def test_the_command_line_has_it(streams: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = streams(True)
    monkeypatch.setattr(pulse, "PATIENCE", 0.01)

    class Slow:
        def main(self, **named: Any) -> int:
            assert stream.spoke.wait(60.0)
            return 0

    monkeypatch.setattr(command_line, "_command", Slow)
    assert command_line.main(["lower-bound", "--K-to", "20"]) == 0
    assert stream.getvalue().startswith(f"{ERASE}wbound lower-bound: 0 s")


def test_what_a_library_makes_of_ctrl_c_is_an_interruption(wb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def main(self, **named: Any) -> int:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(60.0)
            except KeyboardInterrupt:
                raise RuntimeError("cannot schedule new futures after shutdown") from None
            return 0

    monkeypatch.setattr(command_line, "_command", Broken)
    assert wb("curve") == (130, "", "interrupted: nothing was written\n")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


#: Lines that take much longer than two seconds, and whether each is asked in every run.
SLOW = {
    "iterations --f log(1+t) --g sqrt(log(1+t)+1) --eps 1e-10 --d 10 --m0 1 --L0 1 --mean-norm 0 --scheme em": False,
    "certify --process vp-linear --T 4 --K 200000 --d 3 --m0 1 --L0 1 --mean-norm 0 --scheme em": True,
    "lower-bound --K-to 1000000": False,
    "choose --data digits --steps 150 --scheme heun": True,
    "verify --process ou --T 2 --K 500 --d 50 --n 400000": True,
    "verify --all --jobs 2": True,
    "search --seconds 60 --jobs 2": False,
    "search --view scatter --cells 100000 --jobs 2": False,
    "bound --process vp-linear --T 4 --K 100000000 --d 3 --m0 1 --L0 2 --mean-norm 0": False,
    "curve --process sub-vp --to 1e7 --points 40": False,
    "report -o page": False,
    "smoothed --tau 2 --K 2000 --n 4000": False,
    "score-error --process ou --d 2 --T 2 --to 100000 --points 400": False,
    "schemes --d 2 --eps 0.001": False,
}


@contextlib.contextmanager
def on_a_terminal(line: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command with a terminal for standard error, alone in its process group, and the terminal's other side."""
    near, far = pty.openpty()
    code = "from numerics.cli.entry import run; run()"
    command = [sys.executable, "-c", code, *line.split()]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=far, cwd=folder, start_new_session=True
    )
    os.close(far)
    try:
        yield process, near
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        os.close(near)


def read(near: int, patience: float) -> str:
    """What comes next from the terminal: nothing at its end."""
    if not select.select([near], [], [], patience)[0]:
        raise TimeoutError(f"nothing was said within {patience} s")
    try:
        return os.read(near, 1 << 16).decode()
    except OSError:  # the other side is closed
        return ""


@pytest.mark.parametrize(
    "line", [line if often else pytest.param(line, marks=pytest.mark.deep) for line, often in SLOW.items()]
)
def test_ctrl_c_where_it_has_said_that_it_runs(line: str, tmp_path: Path) -> None:
    with on_a_terminal(line, tmp_path) as (process, near):
        said = read(near, 300.0)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the processes that it began too
        while part := read(near, 300.0):
            said += part
        assert process.wait(60.0) == 130, said
        assert "Traceback" not in said and "Error" not in said
        assert said.replace(ERASE, "\n").strip().splitlines()[-1].startswith("interrupted: ")


def test_processes_that_are_begun_do_not_see_ctrl_c() -> None:
    code = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    with uninterrupted(processes=True):
        inside = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (inside.stdout, after.stdout) == ("True\n", "False\n")


def test_ctrl_c_while_it_imports(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from numerics.cli import entry

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "run", interrupted)
    with pytest.raises(SystemExit) as ended:
        entry.run()
    assert ended.value.code == 130 and capsys.readouterr().err == "interrupted: nothing was written\n"
