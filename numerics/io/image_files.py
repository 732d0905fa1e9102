"""Small images side by side as one PNG, for a page or a file."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from wbound.errors import BadInput, count
from wbound.extras import needing

with needing("data"):
    from PIL import Image

__all__ = ["png", "tiles"]


def tiles(images: NDArray[np.float64], columns: int, low: float, high: float) -> NDArray[np.uint8]:
    """Grey images (n, h, w) in rows of ``columns``, a pixel apart: (H, W) bytes, ``low`` black, ``high`` white.

    Values outside [low, high] are clipped. Raises `BadInput`.
    """
    if images.ndim != 3 or images.shape[0] == 0:
        raise BadInput("images", f"shape {images.shape}", "must be of shape (n, height, width), n >= 1")
    n, height, width = images.shape
    across = min(count("columns", columns), n)
    down = -(-n // across)
    whole = np.full((down * (height + 1) - 1, across * (width + 1) - 1), 128, np.uint8)
    grey = np.rint(255.0 * np.clip((images - low) / (high - low), 0.0, 1.0)).astype(np.uint8)
    for i, image in enumerate(grey):
        top, left = (i // across) * (height + 1), (i % across) * (width + 1)
        whole[top : top + height, left : left + width] = image
    return whole


def png(pixels: NDArray[np.uint8], scale: int = 1) -> bytes:
    """(H, W) bytes as a PNG file, each pixel ``scale`` pixels wide."""
    image = Image.fromarray(pixels)
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()
