"""What the tests of the command line share."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from numerics.cli import pulse
from numerics.cli.main import main

HERE = str(Path(__file__).resolve().parent)
if HERE not in sys.path:  # the tests are no package: this lets them share `hostile`
    sys.path.insert(0, HERE)


pulse.ELSEWHERE = math.inf  # on a busy machine a command would say how long it takes


def strict(text: str) -> Any:
    """One JSON object, without NaN or infinity."""
    assert text.count("\n") == 1, text

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} in JSON")

    out = json.loads(text, parse_constant=refuse)
    assert isinstance(out, dict)
    return out


class CommandLine:
    """Runs `wbound` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.strict: Callable[[str], Any] = strict

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        code = main(arguments)
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err

    def ask(self, *arguments: str) -> Any:
        """What --json says."""
        code, out, err = self(*arguments, "--json")
        assert code == 0, err
        return strict(out)

    def refused(self, *arguments: str, code: int = 2) -> str:
        """The one line on stderr of a command that is refused."""
        got, out, err = self(*arguments)
        assert got == code, err
        assert out == ""
        assert err.count("\n") == 1 and err.strip(), err
        return err


@pytest.fixture
def wb(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


class Report(NamedTuple):
    """A report made in this session: its folder, its progress lines, its files in their order."""

    folder: Path
    said: list[str]
    wrote: list[Path]


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The quick report, made once for all tests that look at it."""
    from numerics.report import build

    made = Report(tmp_path_factory.mktemp("report") / "deep" / "report", [], [])
    build(made.folder, quick=True, say=made.said.append, wrote=made.wrote.append)
    return made
