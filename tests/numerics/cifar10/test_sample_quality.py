"""Samples from anywhere: Fréchet distances, their bias in n, KID, saved statistics, floors, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from numerics.cifar10 import evaluation
from numerics.cifar10.evaluation import Extractor, fid
from numerics.cifar10.images import load_images
from numerics.cifar10.sample_quality import Statistics, features_of, fitted, frechet, kid, quality_of
from wbound.errors import BadInput


def gaussian(n: int, d: int, seed: int, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal((n, d))


def test_frechet_is_fid_and_needs_the_moments_alone() -> None:
    """Against torchmetrics' on the same features; and of samples with the very moments it is 0."""
    a, b = gaussian(300, 6, 0), gaussian(200, 6, 1, 1.3) + 0.2
    reference = Statistics.of(a, "pixels", "a")
    theirs = fid(torch.from_numpy(a), torch.from_numpy(b))
    assert frechet(b, reference) == pytest.approx(theirs, rel=1e-6)
    assert frechet(a, reference) == pytest.approx(0.0, abs=1e-10)


def test_the_line_in_1_over_n_takes_the_bias_away() -> None:
    """N(0, I) in 20 dimensions against its exact statistics: the true distance is 0, at n it is about d²/4n."""
    d, n = 20, 2000
    exact = Statistics(np.zeros(d), np.eye(d), None, None, "exact")
    found = [fitted(gaussian(n, d, seed), exact) for seed in range(6)]
    last = np.mean([f.values[-1] for f in found if f is not None])
    at_infinity = np.mean([f.at_infinity for f in found if f is not None])
    assert last > 0.05 and abs(at_infinity) < 0.15 * last
    assert all(
        f is not None and f.per_n > 0.0 and max(f.sizes) == n and min(f.sizes) == n // 4 for f in found
    )
    assert fitted(gaussian(63, 3, 0), Statistics(np.zeros(3), np.eye(3), None, None, "")) is None


def test_kid_is_the_unbiased_cubic_kernels() -> None:
    """One subset of everything, by the definition: k(x, y) = (x·y/d + 1)³, without the diagonal."""
    x, y = gaussian(40, 5, 0), gaussian(40, 5, 1) + 0.5
    k = lambda a, b: (a @ b.T / 5 + 1.0) ** 3  # noqa: E731
    off = lambda m: (m.sum() - np.trace(m)) / (40 * 39)  # noqa: E731
    expected = off(k(x, x)) + off(k(y, y)) - 2.0 * k(x, y).mean()
    found = kid(torch.from_numpy(x), torch.from_numpy(y))
    assert found.mean == pytest.approx(expected, rel=1e-3) and found.spread == pytest.approx(0.0, abs=1e-4)


def test_statistics_are_kept_and_read(tmp_path: Path) -> None:
    made = Statistics.of(gaussian(50, 4, 0), "pixels", "digits")
    made.save(tmp_path / "s.npz")
    back = Statistics.load(tmp_path / "s.npz")
    assert np.array_equal(back.mu, made.mu) and np.array_equal(back.sigma, made.sigma)
    assert (back.n, back.features, back.data) == (50, "pixels", "digits")
    np.savez(tmp_path / "published.npz", mu=made.mu, sigma=made.sigma)  # as EDM's references are
    assert Statistics.load(tmp_path / "published.npz").features is None
    bent = made.sigma.copy()
    bent[0, 1] += 1.0
    for arrays, said in (
        ({"mu": made.mu}, "sigma"),
        ({"mu": made.mu[:3], "sigma": made.sigma}, "mu .D,. and sigma"),
        ({"mu": made.mu * np.nan, "sigma": made.sigma}, "finite"),
        ({"mu": made.mu, "sigma": bent}, "not symmetric"),
        ({"mu": made.mu, "sigma": made.sigma, "about": np.array("{}")}, "does not say"),
        ({"mu": np.array([{}]), "sigma": made.sigma}, "unpickling"),
    ):
        np.savez(tmp_path / "bad.npz", **arrays)
        with pytest.raises(BadInput, match=said):
            Statistics.load(tmp_path / "bad.npz")


def test_real_images_are_at_the_floor_and_noise_is_far() -> None:
    digits = load_images("digits")
    held = digits.split()[1]
    near = quality_of(held, digits)
    assert near.quality is not None and near.floor is not None and near.floor_frechet is not None
    assert near.frechet == pytest.approx(near.floor_frechet)  # they are the floor's images
    assert near.quality.spaces["pixel"].sliced < 1e-6 < near.floor.spaces["pixel"].sliced
    assert near.fit is not None and near.fit.at_infinity < near.frechet
    noise = replace(held, images=torch.randint(0, 256, held.images.shape, dtype=torch.uint8))
    far = quality_of(noise, digits)
    assert (
        far.quality is not None
        and far.quality.spaces["pixel"].sliced > 3.0 * near.floor.spaces["pixel"].sliced
    )
    assert far.frechet > 5.0 * near.frechet and far.kid is None
    json.dumps(far.to_dict())


# ---------------------------------------------------------------------- the commands


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Held-out digits as a file of samples."""
    path = tmp_path / "samples.npz"
    np.savez(path, images=load_images("digits").split()[1].images.numpy())
    return path


def test_evaluate_takes_a_file_of_samples(samples: Path, wb: Any, tmp_path: Path) -> None:
    said = wb.ask("images", "evaluate", "--samples", str(samples), "--data", "digits")
    assert said["n"] == 449 and said["features"] == "pixels" and said["kid"] is None
    assert said["fit"]["at_infinity"] < said["frechet"] and "pixel" in said["floor"]
    code, out, _ = wb("images", "evaluate", "--samples", str(samples), "--data", "digits")
    assert code == 0 and "1/n = 0" in out and "biased" in out
    stats = tmp_path / "stats.npz"
    code, out, _ = wb("images", "fid-stats", "--data", "digits", "-o", str(stats))
    assert code == 0 and "1348 images" in out
    found = wb.ask("images", "evaluate", "--samples", str(samples), "--statistics", str(stats))
    assert found["frechet"] == pytest.approx(said["frechet"]) and found["quality"] is None


def test_inceptions_features_bring_fid_and_kid(
    samples: Path, wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With small features in Inception's place: FID, its fit, KID, the inception score; and statistics of others."""

    def features(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        flat = images.flatten(1).double() / 255.0
        return flat[:, 10:16], flat[:, 20:30]

    monkeypatch.setattr(evaluation, "inception", lambda path, device="cpu": Extractor(features, "abc"))
    words = ["images", "evaluate", "--samples", str(samples), "--inception", "weights.pth"]
    said = wb.ask(*words, "--data", "digits")
    assert (
        said["features"] == "inception abc"
        and said["kid"]["mean"] < 0.01
        and said["inception_score"] is not None
    )
    code, out, _ = wb(*words, "--data", "digits")
    assert code == 0 and "FID" in out and "KID" in out
    stats = str(tmp_path / "stats.npz")
    assert wb("images", "fid-stats", "--data", "digits", "--inception", "weights.pth", "-o", stats)[0] == 0
    assert wb.ask(*words, "--statistics", stats)["frechet"] == pytest.approx(said["frechet"])
    assert "must be of pixels" in wb.refused(*words[:4], "--statistics", stats)


def test_samples_that_are_refused(samples: Path, wb: Any, tmp_path: Path) -> None:
    def refused(said: str, *words: str, code: int = 2) -> None:
        assert said in wb.refused("images", "evaluate", *words, code=code)

    refused(
        "give DIR, --network or --samples",
    )
    refused("give --data or --statistics", "--samples", str(samples))
    refused("goes without", "run", "--samples", str(samples), "--data", "digits")
    refused("cannot read", "--samples", str(tmp_path / "no.npz"), "--data", "digits", code=4)
    np.savez(tmp_path / "large.npz", images=np.zeros((20, 1, 16, 16), np.uint8))
    refused(
        "images (1, 16, 16): must be (1, 8, 8)", "--samples", str(tmp_path / "large.npz"), "--data", "digits"
    )
    np.savez(tmp_path / "nan.npz", images=np.full((20, 1, 8, 8), np.nan))
    refused("must lie in [-1, 1]", "--samples", str(tmp_path / "nan.npz"), "--data", "digits")
    (tmp_path / "evil.pkl").write_bytes(b"\x80\x04.")
    refused("must be digits, a .npy", "--samples", str(tmp_path / "evil.pkl"), "--data", "digits")
    folder = tmp_path / "folder"
    folder.mkdir()
    for i, size in enumerate((8, 8, 8, 9)):
        Image.new("L", (size, size), 30 * i).save(folder / f"{i}.png")
    refused("9", "--samples", str(folder), "--data", "digits")


def test_features_are_what_they_say() -> None:
    digits = load_images("digits").split()[1]
    found, kind = features_of(digits, None)
    assert kind == "pixels" and np.array_equal(found, digits.floats().flatten(1).double().numpy())
