"""The stored results of the page: which there are, how old they are, and the commands that renew them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

__all__ = ["RENEWALS", "ages", "result_path"]

#: File of ``numerics/report/results`` → the words of the command that makes it, without its -o.
RENEWALS: dict[str, str] = {
    "verify.json": "verify --all",
    "search.json": "search --seconds 600 --cells 1e6",
    "scatter.json": "search --view scatter --cells 1e5",
    "orders.json": "table --measured --format json",
    "schemes.json": "schemes --d 10,1000 --eps 1,0.1,0.01",
}


def result_path(name: str) -> Path:
    """Where a stored result lies, within this package."""
    return Path(str(resources.files("numerics.report").joinpath("results", name)))


def ages(now: datetime | None = None) -> list[dict[str, Any]]:
    """Each stored result with its date, its age in whole days, and the command that renews it."""
    today = (now or datetime.now(UTC)).date()
    out = []
    for name, words in RENEWALS.items():
        date = str(json.loads(result_path(name).read_text("utf-8"))["date"])[:10]
        age = max((today - datetime.fromisoformat(date).date()).days, 0)
        out.append({"file": name, "date": date, "days": age, "command": f"wbound {words} -o {name}"})
    return out
