"""Data as mean and spectrum: digits, arrays, folders of images, covariance spectra."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from numerics.schedules.choice import choose
from numerics.targets import datasets
from numerics.targets.datasets import digits, from_samples, from_spectrum, load
from wbound.errors import BadInput, IOFailure
from wbound.exact.gaussian_law import exact_w2


def test_digits() -> None:
    data = digits()
    assert (data.n, data.d, data.rank, data.shape) == (1797, 64, 61, (8, 8))
    samples = datasets.samples_of("digits").reshape(1797, 64)
    assert float(data.eigenvalues.sum()) == pytest.approx(float(samples.var(axis=0).sum()), rel=1e-12)
    assert float(data.coordinates @ data.coordinates) == pytest.approx(
        float((samples.mean(axis=0) ** 2).sum())
    )
    assert data.spread == pytest.approx(data.scale * 8.0)
    assert data.gaussian.second_moment == pytest.approx(float((samples**2).sum()) / 1797)
    assert any("3 of 64 directions are constant" in note for note in data.notes)


def test_the_digits_are_those_of_the_source() -> None:
    from sklearn.datasets import load_digits

    ours, theirs = datasets.samples_of("digits"), load_digits().images
    assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)


def test_arrays_and_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((4, 4))
    samples = rng.standard_normal((500, 4)) @ A + rng.standard_normal(4)
    data = from_samples(samples)
    assert data.eigenvalues == pytest.approx(np.linalg.eigvalsh(np.cov(samples.T, bias=True)))
    np.save(tmp_path / "x.npy", samples.reshape(500, 2, 2))
    np.savez(tmp_path / "x.npz", images=samples)
    for name in ("x.npy", "x.npz"):
        again = load(tmp_path / name)
        assert again.name == name
        assert again.eigenvalues == pytest.approx(data.eigenvalues)
    assert load(tmp_path / "x.npy").shape == (2, 2)
    small = from_samples((samples * 10).astype(np.int8))
    assert small.d == 4


def test_large_dimensions_split_the_mean_by_lanczos(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    samples = rng.standard_normal((900, 300)) * np.exp(-np.arange(300) / 60) + np.exp(-np.arange(300) / 30)
    exact = from_samples(samples)
    monkeypatch.setattr(datasets, "EIGENVECTORS", 10)
    split = from_samples(samples)
    assert split.eigenvalues == pytest.approx(exact.eigenvalues, rel=1e-9)
    for lam in (1e-2, 1.0, 100.0):  # what a law sees of the mean
        share = (exact.eigenvalues / (exact.eigenvalues + lam)) ** 2
        assert float(split.coordinates**2 @ share) == pytest.approx(
            float(exact.coordinates**2 @ share), rel=1e-3
        )


def test_fewer_samples_than_dimensions_are_shrunk_and_said_to_be() -> None:
    samples = np.random.default_rng(2).standard_normal((20, 50))
    data = from_samples(samples)
    assert data.rank == 50
    assert any("20 samples for 50 dimensions: the covariance was shrunk by" in note for note in data.notes)
    assert float(data.eigenvalues.sum()) == pytest.approx(float(samples.var(axis=0).sum()))


def test_a_folder_of_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    (tmp_path / "notes.txt").write_text("not an image")
    data = load(tmp_path)
    assert (data.d, data.n, data.shape) == (60, 6, (5, 4, 3))
    assert any("[-1, 1]" in note for note in data.notes)
    stack = datasets.samples_of(tmp_path)
    assert stack == pytest.approx(pixels / 127.5 - 1.0)
    grey = tmp_path / "grey"
    grey.mkdir()
    for i, image in enumerate(pixels[..., 0]):
        Image.fromarray(image).save(grey / f"{i}.png")
    assert load(grey).shape == (5, 4)


def test_a_spectrum(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("# eigenvalues\n3, 0\n1.5")
    data = from_spectrum(tmp_path / "s.txt")
    assert data.eigenvalues.tolist() == [0.0, 1.5, 3.0]
    assert data.n is None
    np.save(tmp_path / "s.npy", np.array([1, 2]))
    assert from_spectrum(tmp_path / "s.npy").eigenvalues.tolist() == [1.0, 2.0]
    assert from_spectrum([4.0]).scale == 2.0


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.ones(5), r"shape \(5,\)"),
        (np.ones((1, 5)), "n >= 2 samples"),
        (np.ones((5, 2)), "must not be constant"),
        (np.array([[1.0, np.nan], [1.0, 2.0]]), "sample 0: must be finite"),
        (np.array([["a"], ["b"]]), "must be real numbers"),
        (np.array([[1j], [2j]]), "must be real numbers"),
        (np.zeros((9001, 9000), np.int8), "9000 dimensions"),
        (np.zeros((2, 2**18 + 1), np.int8), "262145 dimensions"),
        (np.zeros((3, 0)), "0 dimensions"),
    ],
)
def test_samples_that_cannot_be_used(samples: np.ndarray, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        from_samples(samples)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [[1.0, -1.0], [np.nan], [0.0, 0.0], [], [[1.0]], ["x"]])
def test_spectra_that_cannot_be_used(values: list[float]) -> None:
    with pytest.raises(BadInput, match="spectrum"):
        from_spectrum(values)


def test_folders_and_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds 0 images"):
        load(tmp_path)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(BadInput, match="holds 1 images"):
        load(tmp_path)
    Image.new("RGB", (4, 5)).save(tmp_path / "b.png")
    with pytest.raises(BadInput, match=r"b.png is 4x5: must have the size of a.png, 4x4: sizes are mixed"):
        load(tmp_path)
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(BadInput, match=r"b.png: is no image that can be read, or a damaged one"):
        load(tmp_path)
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r"b.png"):
        load(tmp_path)
    with pytest.raises(BadInput, match=r"must be digits, a .npy, .npz, .csv or .txt file, or a folder"):
        load("mnist")
    with pytest.raises(IOFailure):
        load(tmp_path / "absent.npy")
    wide = tmp_path / "wide"
    wide.mkdir()
    for name in ("a", "b"):
        Image.new("L", (520, 510)).save(wide / f"{name}.png")
    with pytest.raises(BadInput, match="reduce the images"):
        load(wide)


def test_the_shrunk_covariance_is_that_of_scikit_learn() -> None:
    """All eigenvalues, the shrinkage, and the mean's share of every axis, with no d × d array here and one there."""
    from sklearn.covariance import ledoit_wolf

    rng = np.random.default_rng(4)
    for n, d in ((20, 50), (7, 7), (2, 9), (60, 61)):
        x = rng.standard_normal((n, d)) * np.exp(-np.arange(d) / 10.0) + rng.standard_normal(d)
        data = from_samples(x)
        cov, shrinkage = ledoit_wolf(x)
        values, vectors = np.linalg.eigh(cov)
        np.testing.assert_allclose(data.eigenvalues, values, rtol=1e-9, atol=1e-13)
        assert any(f"shrunk by {shrinkage:.4f}" in note for note in data.notes)
        mean = x.mean(axis=0)
        assert np.linalg.norm(data.coordinates) == pytest.approx(np.linalg.norm(mean), rel=1e-12)
        many = d - n + 1  # axes of one eigenvalue share what is left, in whatever way
        np.testing.assert_allclose(
            np.abs(data.coordinates[many:]), np.abs(mean @ vectors[:, many:]), rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize("d", [12_288, 16_384])
def test_image_and_latent_sizes(d: int) -> None:
    """A spectrum of so many, and few samples of so many numbers: judged and ranked, in far less than d × d numbers."""
    spectrum = 100.0 * np.arange(1.0, d + 1.0) ** -1.72
    tracemalloc.start()
    try:
        few = from_samples(
            np.random.default_rng(0).standard_normal((30, d)).astype(np.float32) * np.sqrt(spectrum)
        )
        whole = from_spectrum(spectrum)
        assert few.d == whole.d == d and few.n == 30
        for data in (few, whole):
            ranking = choose(data, 8, processes=(), grids=["edm"], numerical=False)
            row = ranking.best
            known = exact_w2(row.schedule.process, data.gaussian, scheme="ddim", grid=row.schedule.grid)
            assert row.w2 == pytest.approx(known, rel=1e-6)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.2 * 8.0 * d**2
    total = float((few.eigenvalues).sum())
    assert total == pytest.approx(float(spectrum.sum()), rel=0.4)
