"""Section: versions, time and commit, so that a page can be traced to what made it."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from numerics.report.blocks import Column, Context, Part, Prose, Table
from numerics.report.stored import ages

__all__ = ["build"]

LIBRARIES = ("wbound", "numpy", "scipy", "sympy", "numba", "pandas", "matplotlib", "scikit-learn", "POT")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """The commit of the sources, with "+" where files differ from it; None outside a repository."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout.strip()

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def build(context: Context) -> Part:
    """The part of this section."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    made = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdigit() else datetime.now(UTC)
    rows = [
        {"what": "made", "value": made.strftime("%Y-%m-%d %H:%M UTC")},
        {"what": "commit", "value": commit() or "not in a repository"},
        {"what": "Python", "value": platform.python_version()},
        {"what": "system", "value": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"},
        *({"what": name, "value": _version(name) or "not installed"} for name in LIBRARIES),
    ]
    text = (
        "Every number comes from closed forms, sums and quadrature; only the verification is sampled too, "
        "with the seed that stands there. Long searches are stored results, the oldest of {oldest:int} days; `wbound "
        "report --full` "
        "makes them again before the page (half an hour). Make the page again with `wbound report --out DIR`."
        + (" This is the quick version, with fewer points." if context.quick else "")
    )
    stored = ages(made)
    content = {
        "rows": rows,
        "quick": context.quick,
        "stored": stored,
        "oldest": max(row["days"] for row in stored),
    }
    kept = Table(
        "stored",
        "Stored results, not made with the page",
        (
            Column("file", "file"),
            Column("date", "of"),
            Column("days", "days old", "int"),
            Column("command", "made by"),
        ),
        csv="stored-results.csv",
    )
    table = Table("rows", "Versions", (Column("what", "what"), Column("value", "value")))
    return Part(content, (Prose(text), kept, table))
