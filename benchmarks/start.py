"""Start times: processor seconds of command lines in fresh interpreters, as ratios to the imports that they stand on.

Pairs are interleaved, ours and the peer's in turn; a ratio is the median over the pairs, with the smallest and the
largest beside it. Bytecode is kept in a folder of the run, for both sides, as an installed package has it.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from typing import Any

__all__ = ["PAIRS", "measure"]

TYPER = ("-c", "import typer")
SPINE = ("-c", "import numpy, sympy")
WBOUND = ("-c", "from numerics.cli.main import run; run()")
FACTS = ("--T", "4", "--K", "100", "--d", "3", "--m0", "1", "--L0", "2", "--mean-norm", "0")
#: What the shell asks when Tab is pressed after a line.
ASKED = {"_WBOUND_COMPLETE": "complete_bash"}

#: Name, command line, environment, the peer's name and command line, the largest ratio.
PAIRS: tuple[tuple[str, tuple[str, ...], dict[str, str], str, tuple[str, ...], float], ...] = (
    ("wbound --version", (*WBOUND, "--version"), {}, "import typer", TYPER, 3.0),
    ("wbound --help", (*WBOUND, "--help"), {}, "import typer", TYPER, 3.0),
    (
        "Tab after a command's name",
        WBOUND,
        {**ASKED, "COMP_WORDS": "wbound bo", "COMP_CWORD": "1"},
        "import typer",
        TYPER,
        3.0,
    ),
    (
        "Tab after --process",
        WBOUND,
        {**ASKED, "COMP_WORDS": "wbound bound --process vp", "COMP_CWORD": "3"},
        "import typer",
        TYPER,
        3.0,
    ),
    (
        "wbound bound",
        (*WBOUND, "bound", "--process", "vp-linear", *FACTS),
        {},
        "import numpy, sympy",
        SPINE,
        1.3,
    ),
)


def measure(rounds: int) -> list[dict[str, Any]]:
    """A row for each of `PAIRS`: its names, the median ratio of ``rounds`` pairs, their spread, our seconds."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, ours, environment, against, theirs, asked in PAIRS:
            both = ((ours, environment), (theirs, {}))
            for line, more in both:  # which writes the bytecode
                _seconds(line, more, folder)
            times = [tuple(_seconds(line, more, folder) for line, more in both) for _ in range(rounds)]
            ratios = [mine / other for mine, other in times]
            rows.append(
                {
                    "name": name,
                    "against": against,
                    "asked": asked,
                    "ratio": statistics.median(ratios),
                    "spread": [min(ratios), max(ratios)],
                    "seconds": statistics.median(mine for mine, _ in times),
                }
            )
    return rows


def _seconds(line: tuple[str, ...], more: dict[str, str], folder: str) -> float:
    """Seconds of processor of one fresh interpreter; it has to end well."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": folder, "OMP_NUM_THREADS": "1", **more}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *line], check=True, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
