"""Cells of a comparison that outlive a crash: each is kept when it is measured, and its samples batch by batch before.

A cell's name is a digest of all that it depends on, so that nothing is taken for another.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from numerics.cifar10.evaluation import Summary
from numerics.io.reading import is_file, load_json, load_numpy
from numerics.io.writing import directory, write
from wbound.errors import BadInput

__all__ = ["CellStore", "summaries"]


def summaries(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a cell as JSON gives them back, with their `Summary`s. Raises `BadInput`."""

    def one(value: Any) -> Any:
        return None if value is None else Summary(value[0], value[1], tuple(value[2]))

    try:
        found = {k: one(plain[k]) for k in ("sliced", "bures", "pca_sliced", "pca_bures", "inception_score")}
        fid = plain["fid"]
        found["fid"] = None if fid is None else tuple((n, one(value)) for n, value in fid)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise BadInput("cell", "its content", f"is no cell of a comparison ({error!r})") from None
    return {**plain, **found}


@dataclass(frozen=True)
class CellStore:
    """The cells in ``folder``."""

    folder: Path

    def path(self, what: Mapping[str, Any]) -> Path:
        """Where the cell of all these values is kept."""
        digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
        return self.folder / f"{digest[:32]}.json"

    def get(self, path: Path) -> dict[str, Any] | None:
        """A cell's fields; None where it is not measured yet. Raises `BadInput`, `IOFailure`."""
        if not is_file(path):
            return None
        held = load_json(path)
        if not isinstance(held, dict):
            raise BadInput("cell", path.name, "is no cell of a comparison: delete it")
        return summaries(held)

    def put(self, path: Path, cell: Any) -> None:
        """Keep a measured cell (a dataclass); its samples are not needed any more."""
        write(directory(self.folder) / path.name, json.dumps(asdict(cell)) + "\n")
        shutil.rmtree(path.with_suffix(".samples"), ignore_errors=True)

    def drawn(self, path: Path, first: int, draw: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The batch of samples that begins with seed ``first``: kept, or drawn now and kept."""
        place = path.with_suffix(".samples") / f"{first:010d}.npy"
        if is_file(place):
            return torch.from_numpy(load_numpy(place))
        x = draw()
        buffer = io.BytesIO()
        np.save(buffer, x.cpu().numpy())
        write(directory(place.parent) / place.name, buffer.getvalue())
        return x
