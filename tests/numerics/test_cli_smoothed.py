"""wbound smoothed: real data sampled with their exact score, as numbers, samples and images."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import instead
from PIL import Image

from numerics.io.image_files import png, tiles
from numerics.verification.held_out_samples import held_out
from wbound.errors import BadInput


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(0).uniform(0.0, 16.0, (40, 4, 5)))
    return path


def test_numbers_samples_and_images(wb: Any, images: Path, tmp_path: Path) -> None:
    given = ("smoothed", "--data", str(images), "--tau", "2", "--K", "8", "--n", "30")
    got = wb.ask(*given, "-o", str(tmp_path / "x.npy"))
    points = np.load(images)
    own = held_out(points, 2.0, K=8, n=30)
    assert (got["w2"], got["floor"], got["pairs"]) == (own.w2, own.floor, 20)
    assert got["vacuous"] == own.bound.vacuous and got["tau"] == 2.0
    samples = np.load(tmp_path / "x.npy")
    assert samples.shape == (30, 4, 5)
    np.testing.assert_allclose(samples.reshape(30, -1), own.samples + points.mean(axis=0).ravel())
    wb.ask(*given, "--figure", str(tmp_path / "x.png"))
    with Image.open(tmp_path / "x.png") as drawn:
        size = drawn.size
    assert size == (4 * (10 * 6 - 1), 4 * (3 * 5 - 1))
    code, out, _ = wb(*given)
    assert code == 0 and "Theorem 2'" in out and "half to half" in out
    got = wb.ask(*given, "--scheme", "heun")
    assert got["bound"] is None and got["null_because"]["bound"] == "Theorem 3 needs A1"
    assert "no bound" in wb(*given, "--scheme", "ddim")[1]


def test_refusals(wb: Any, images: Path, tmp_path: Path) -> None:
    given = ("smoothed", "--data", str(images), "--K", "4", "--n", "5")
    assert "tau = 0" in wb.refused(*given, "--tau", "0")
    assert "out = x.gif" in wb.refused(*given, "-o", "x.gif")
    assert "n = 0" in wb.refused(*instead(given, "--n", "0"))
    assert "K = 0" in wb.refused(*instead(given, "--K", "0"))
    flat = tmp_path / "flat.npy"
    np.save(flat, np.zeros((9, 3)))
    assert "no height and width" in wb.refused("smoothed", "--data", str(flat), "--figure", "x.png")


def test_tiles() -> None:
    images = np.stack([np.full((2, 3), v) for v in (-1.0, 0.0, 8.0, 16.0, 99.0)])
    got = tiles(images, 3, 0.0, 16.0)
    assert got.shape == (5, 11) and got.dtype == np.uint8
    assert [int(got[0, 4 * i]) for i in range(3)] == [0, 0, 128]
    assert [int(got[3, 4 * i]) for i in range(2)] == [255, 255]
    assert (got[2] == 128).all() and (got[:, 3] == 128).all()
    back = np.asarray(Image.open(io.BytesIO(png(got, 2))))
    np.testing.assert_array_equal(back[::2, ::2], got)
    with pytest.raises(BadInput, match="images = shape"):
        tiles(images[0], 3, 0.0, 1.0)
