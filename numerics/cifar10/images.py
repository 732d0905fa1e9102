"""Images as bytes on the device that trains: CIFAR-10, digits, arrays, folders; flips and dequantisation there.

A byte b stands for the interval [b, b + 1)/128 − 1: `ImageSet.floats` takes its middle, or a uniform point of
it (dequantisation), and `to_uint8` gives b back. All images, of VP and VE processes alike, are in [−1, 1].
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.cifar10.archives import cifar10
from numerics.targets.datasets import noted_samples_of
from wbound.errors import BadInput

__all__ = ["ImageSet", "load_images", "to_png", "to_uint8"]

#: The held-out share where nothing is published.
HELD_OUT = 0.25


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images (N, C, H, W), uint8, on a device.

    ``held_out``: how many of the last images are the published test set (0: none is published); ``flips``:
    whether mirror images are of the same law; ``dequantise``: whether training draws within a byte's
    interval. ``notes``: what was done, in words.
    """

    name: str
    images: Tensor
    held_out: int = 0
    flips: bool = False
    dequantise: bool = False
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.images.shape[0])

    @property
    def channels(self) -> int:
        return int(self.images.shape[1])

    @property
    def size(self) -> int:
        """Height and width."""
        return int(self.images.shape[2])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        return (self.channels, self.size, self.size)

    @property
    def device(self) -> torch.device:
        return self.images.device

    @property
    def root_mean_square(self) -> float:
        """√(E|X_0|²/d) of the floats."""
        return math.sqrt(float(self.floats().double().square().mean()))

    def split(self, seed: int = 0) -> tuple[ImageSet, ImageSet]:
        """Training and held-out images: as published, or a quarter held out by ``seed``."""
        n = len(self)
        if self.held_out:
            parts = torch.arange(n).split([n - self.held_out, self.held_out])
        else:
            order = torch.from_numpy(np.random.default_rng(seed).permutation(n))
            held = max(1, int(HELD_OUT * n))
            parts = order.split([n - held, held])
        train, held_out = (self.images[part.to(self.device)] for part in parts)
        return (
            replace(self, images=train, held_out=0),
            replace(self, images=held_out, held_out=0, name=f"{self.name} (held out)"),
        )

    def floats(
        self, index: Tensor | None = None, generator: torch.Generator | None = None, augment: bool = False
    ) -> Tensor:
        """The images at ``index`` (all by default) as float32 in [−1, 1], (B, C, H, W).

        ``augment``: flip each at random and draw within its bytes' intervals, where the set says so;
        ``generator``, of the set's device, is what is drawn from.
        """
        x = (self.images if index is None else self.images[index]).float()
        shift: Tensor | float = 0.5
        if augment and self.dequantise:
            shift = torch.rand(x.shape, generator=generator, device=x.device)
        x = (x + shift) / 128.0 - 1.0
        if augment and self.flips:
            mirrored = torch.rand(len(x), generator=generator, device=x.device) < 0.5
            x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
        return x


def to_uint8(x: Tensor) -> Tensor:
    """Floats in [−1, 1], of any shape, as bytes: the inverse of `ImageSet.floats`; what lies outside is
    clipped."""
    return ((x.float() + 1.0) * 128.0).floor().clamp(0.0, 255.0).to(torch.uint8)


def to_png(x: Tensor, columns: int | None = None, scale: int | None = None) -> bytes:
    """A grid of images (n, C, H, W), floats in [−1, 1] or bytes, as a PNG: ``columns`` a row (default √n),
    each pixel ``scale`` wide (default: images of about 64), a pixel of white between."""
    from PIL import Image

    pixels = (x if x.dtype == torch.uint8 else to_uint8(x)).cpu().numpy()
    n, channels, size, _ = pixels.shape
    columns = columns or math.ceil(math.sqrt(n))
    scale = scale or max(1, 64 // size)
    pixels = pixels.repeat(scale, axis=2).repeat(scale, axis=3)
    step = size * scale + 1
    sheet = np.full((channels, step * math.ceil(n / columns) + 1, step * columns + 1), 255, np.uint8)
    for i, image in enumerate(pixels):
        row, column = divmod(i, columns)
        sheet[:, row * step + 1 : (row + 1) * step, column * step + 1 : (column + 1) * step] = image
    out = io.BytesIO()
    Image.fromarray(sheet[0] if channels == 1 else np.moveaxis(sheet, 0, 2)).save(out, "PNG")
    return out.getvalue()


def load_images(
    source: str | Path,
    root: str | Path | None = None,
    device: torch.device | str = "cpu",
    *,
    flips: bool | None = None,
    dequantise: bool = False,
) -> ImageSet:
    """Images by name: "cifar10" (in ``root``), "digits" (scikit-learn's, 1797 × 1 × 8 × 8), a .npz/.npy array,
    or a folder of images of one size.

    Arrays: (n, H, W), (n, H, W, C) or (n, C, H, W), C 1 or 3, H = W; bytes, or floats in [−1, 1].
    ``flips``: default, only CIFAR-10. Raises `BadInput`, `IOFailure`.
    """
    if str(source) == "cifar10":
        if root is None:
            raise BadInput("root", "(not given)", "give --root, the folder with the CIFAR-10 archive")
        train, test = cifar10(root)
        images, held_out, mirrored = np.concatenate((train, test)), len(test), True
        notes: tuple[str, ...] = (f"{len(train)} training and {len(test)} test images, as published",)
    else:
        if root is not None:
            raise BadInput("root", str(root), "goes with --data cifar10")
        (images, notes), held_out, mirrored = _bytes(source), 0, False
    tensor = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    name = str(source) if str(source) in ("cifar10", "digits") else Path(source).name
    return ImageSet(name, tensor, held_out, mirrored if flips is None else flips, dequantise, notes)


def _bytes(source: str | Path) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    a, notes = noted_samples_of(source)
    if str(source) == "digits":
        a = a / 8.0 - 1.0  # 0 … 16
    a = _channels_first(a, Path(source).name)
    if a.dtype == np.uint8:
        return a, notes
    if a.dtype.kind != "f":
        raise BadInput("data", f"dtype {a.dtype}", "images must be bytes (uint8) or floats in [-1, 1]")
    low, high = float(a.min()), float(a.max())
    if not (-1.0 <= low and high <= 1.0):  # nan too
        raise BadInput("data", f"values {low:g} ... {high:g}", "images as floats must lie in [-1, 1]")
    return np.rint((a + 1.0) * 127.5).astype(np.uint8), notes


def _channels_first(a: NDArray[Any], name: str) -> NDArray[Any]:
    """(n, C, H, W) with C 1 or 3 and H = W. Raises `BadInput`."""
    if a.ndim == 3:
        a = a[:, None]
    elif a.ndim == 4 and a.shape[3] in (1, 3):
        a = np.moveaxis(a, 3, 1)
    if a.ndim != 4 or a.shape[1] not in (1, 3) or a.shape[2] != a.shape[3] or len(a) < 4 or a.shape[2] < 4:
        raise BadInput(
            "data",
            f"{name} of shape {a.shape}",
            "images must be (n, H, W), (n, H, W, C) or (n, C, H, W) with C 1 or 3, H = W >= 4, n >= 4",
        )
    return a
