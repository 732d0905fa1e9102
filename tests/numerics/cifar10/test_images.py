"""Images as bytes: every source, round trips, augmentation, grids."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from numerics.cifar10.images import ImageSet, load_images, to_png, to_uint8
from wbound.errors import BadInput


def test_bytes_come_back() -> None:
    every = ImageSet("all", torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16))
    x = every.floats()
    assert x.dtype == torch.float32 and float(x.min()) > -1.0 and float(x.max()) < 1.0
    assert torch.equal(to_uint8(x), every.images)
    drawn = ImageSet("all", every.images, dequantise=True)
    for seed in range(20):
        y = drawn.floats(generator=torch.Generator().manual_seed(seed), augment=True)
        assert not torch.equal(x, y) and torch.equal(to_uint8(y), every.images)
    assert to_uint8(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


def test_digits() -> None:
    images = load_images("digits")
    assert (len(images), images.shape, images.name) == (1797, (1, 8, 8), "digits")
    levels = images.images.unique()
    assert len(levels) == 17 and (int(levels[0]), int(levels[-1])) == (0, 255)
    assert not images.flips


def test_a_split_is_a_partition_that_the_seed_draws() -> None:
    images = load_images("digits")
    train, held = images.split(3)
    assert (len(train), len(held)) == (1348, 449)
    both = torch.cat((train.images, held.images)).reshape(1797, -1)
    order = lambda x: x.numpy()[np.lexsort(x.numpy().T)]  # noqa: E731
    assert np.array_equal(order(both), order(images.images.reshape(1797, -1)))
    assert torch.equal(images.split(3)[0].images, train.images)
    assert not torch.equal(images.split(4)[0].images, train.images)
    published = ImageSet("p", images.images, held_out=797)
    assert torch.equal(published.split(9)[1].images, images.images[1000:])


def test_flips_mirror_half_of_the_images() -> None:
    one = torch.arange(16, dtype=torch.uint8).reshape(1, 1, 4, 4)
    images = ImageSet("flips", one.expand(1000, 1, 4, 4).contiguous(), flips=True)
    plain = images.floats(torch.arange(1000))
    x = images.floats(torch.arange(1000), torch.Generator().manual_seed(0), augment=True)
    same = (x == plain).flatten(1).all(1)
    assert torch.equal(x[~same], plain[~same].flip(-1))
    assert 420 < int(same.sum()) < 580


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 8, 8, 1), (5, 1, 8, 8), (5, 8, 8, 3), (5, 3, 8, 8)])
def test_arrays(shape: tuple[int, ...], tmp_path: Path) -> None:
    a = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.savez(tmp_path / "a.npz", a)
    images = load_images(tmp_path / "a.npz", flips=True)
    channels = 3 if 3 in shape else 1
    assert images.shape == (channels, 8, 8) and images.flips and images.name == "a.npz"
    first = a[2] if len(shape) == 3 else np.moveaxis(a, 3, 1)[2] if shape[3] in (1, 3) else a[2]
    assert np.array_equal(images.images[2].numpy(), first.reshape(channels, 8, 8))


def test_floats_and_folders(tmp_path: Path) -> None:
    a = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", (a / 127.5 - 1.0).astype(np.float32))
    assert np.array_equal(load_images(tmp_path / "a.npy").images.numpy(), np.moveaxis(a, 3, 1))
    folder = tmp_path / "folder"
    folder.mkdir()
    for i, pixels in enumerate(a):
        Image.fromarray(pixels).save(folder / f"{i}.png")
    assert np.array_equal(load_images(folder).images.numpy(), np.moveaxis(a, 3, 1))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((5, 8, 9), np.uint8), "H = W"),
        (np.zeros((5, 2, 8, 8), np.uint8), "C 1 or 3"),
        (np.zeros((5, 8), np.uint8), "images must be"),
        (np.zeros((5, 8, 8), np.int64), "dtype int64"),
        (np.full((5, 8, 8), 1.5), "must lie in"),
        (np.full((5, 8, 8), np.nan), "must lie in"),
    ],
)
def test_arrays_that_are_no_images(array: np.ndarray, said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(BadInput, match=said):
        load_images(tmp_path / "a.npy")


def test_sources_that_are_none() -> None:
    with pytest.raises(BadInput, match="give --root"):
        load_images("cifar10")
    with pytest.raises(BadInput, match="goes with --data cifar10"):
        load_images("digits", root=".")
    with pytest.raises(BadInput, match="data = nowhere"):
        load_images("nowhere")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_shows_every_image_in_its_place(channels: int) -> None:
    pixels = torch.randint(0, 256, (5, channels, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    sheet = np.asarray(Image.open(io.BytesIO(to_png(pixels, columns=3, scale=1))))
    assert sheet.shape[:2] == (2 * 9 + 1, 3 * 9 + 1)
    fourth = sheet[10:18, 1:9]
    assert np.array_equal(fourth, pixels[3, 0] if channels == 1 else np.moveaxis(pixels[3].numpy(), 0, 2))
    assert (sheet[0] == 255).all() and (sheet[10:18, 19:] == 255).all()
    whole = Image.open(io.BytesIO(to_png(ImageSet("x", pixels).floats())))
    assert whole.size == (3 * 65 + 1, 2 * 65 + 1)
