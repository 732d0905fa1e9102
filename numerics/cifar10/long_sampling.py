"""Many images: what they will cost, drawn in parts that outlive an interruption, by one process or several.

Image i is a function of its seed, so a part is a range of seeds: what is there already is not drawn again, and the
processes of a launcher (torchrun) each draw every so-manieth part.
"""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from numerics.io.reading import is_file, is_folder, load_json
from numerics.io.writing import directory, write
from wbound.errors import BadInput, IOFailure

__all__ = ["Parts", "archive", "said_seconds", "seconds_of"]


def archive(images: Tensor) -> bytes:
    """The images (n, C, H, W), uint8, as an .npz."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=images.cpu().numpy())
    return buffer.getvalue()


class Parts:
    """The parts of ``out``, in the folder ``out``.parts, which is gone once they are one file.

    ``about``: all that the images depend on; parts of something else are refused. Raises `BadInput`, `IOFailure`.
    """

    def __init__(self, out: str | Path, about: Mapping[str, Any], seeds: range, each: int) -> None:
        self.out = Path(out)
        self.folder = self.out.with_name(f"{self.out.name}.parts")
        self.ranges = [seeds[i : i + each] for i in range(0, len(seeds), each)]
        said: dict[str, Any] = json.loads(json.dumps({**about, "each": each, "first": seeds.start}))
        card = self.folder / "about.json"
        if is_file(card):
            held = load_json(card)
            differing = [k for k in said if not isinstance(held, dict) or held.get(k) != said[k]]
            if differing:
                raise BadInput(
                    "out", str(self.out), f"{self.folder.name} holds parts with another {differing[0]}"
                )
        else:
            write(directory(self.folder) / card.name, json.dumps(said) + "\n")

    def missing(self) -> list[range]:
        """The seeds that are not drawn yet, by part."""
        return [seeds for seeds in self.ranges if not self._path(seeds).is_file()]

    def draw(
        self,
        draw: Callable[[range], Tensor],
        rank: int = 0,
        world: int = 1,
        tell: Callable[[str], Any] = lambda s: None,
    ) -> None:
        """Draw this process's share of what is missing; each part is kept when it is whole."""
        missing = self.missing()
        have = len(self.ranges) - len(missing)
        if have and rank == 0:
            tell(f"{have} of {len(self.ranges)} parts are there already: {self.folder}")
        for seeds in missing:
            if self.ranges.index(seeds) % world == rank:
                write(self._path(seeds), archive(draw(seeds)))

    def whole(self) -> Tensor:
        """All images, in the order of their seeds."""
        try:
            found = []
            for seeds in self.ranges:
                with np.load(self._path(seeds), allow_pickle=False) as held:
                    found.append(held["images"])
        except (OSError, ValueError, KeyError) as error:
            raise IOFailure(f"cannot read {self._path(seeds)}: {error}; delete it and call again") from None
        return torch.from_numpy(np.concatenate(found))

    def done(self) -> None:
        """Remove the parts: the whole is written."""
        if is_folder(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, seeds: range) -> Path:
        return self.folder / f"{seeds.start:010d}.npz"


def seconds_of(score: Callable[[Tensor, float], Any], shape: tuple[int, ...], device: torch.device) -> float:
    """Seconds of one evaluation of a batch of ``shape``, after one that warms up."""
    x = torch.zeros(shape, device=device)

    def evaluate() -> None:
        score(x, 0.5)

    evaluate()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    evaluate()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def said_seconds(seconds: float) -> str:
    """ "40 s", "12 min", "3 h 20 min"."""
    if seconds < 100.0:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60.0)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
