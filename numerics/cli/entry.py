"""The console entry point: Ctrl-C ends it in one line, while it still imports too."""

from __future__ import annotations

import sys

__all__ = ["run"]


def run() -> None:
    """The command line of this process, and its exit code."""
    try:
        from numerics.cli.main import run as command_line

        command_line()
    except KeyboardInterrupt:  # before `main` could, or after it had ended
        sys.stderr.write("interrupted: nothing was written\n")
        sys.exit(130)
