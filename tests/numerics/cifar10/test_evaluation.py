"""Distances of images with and without features: values known in closed form, floors, files that are refused."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
import torch

from numerics.cifar10 import evaluation as e
from numerics.cifar10.images import load_images
from numerics.transport.samples import gaussian_w2
from wbound.errors import BadInput, IOFailure


def normal(n: int, d: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)) + shift


@pytest.fixture(scope="module")
def digits() -> e.Reference:
    train, held = load_images("digits").split(0)
    return e.Reference.of(train.floats(), held.floats(), components=8)


# ---------------------------------------------------------------------- feature-free


def test_distances_of_shifted_normals() -> None:
    """W2 = 0.5 √d, sliced W2 = 0.5, for equal covariances; and the bracket holds the truth."""
    d, shift = 6, 0.5
    found = e.distances(normal(900, d, 0), normal(900, d, 1, shift))
    assert found.sliced == pytest.approx(shift, rel=0.1)
    assert found.bures == pytest.approx(shift * np.sqrt(d), rel=0.1)
    assert found.low is not None and found.high is not None and found.w2 is not None
    assert found.low <= shift * np.sqrt(d) <= found.high and found.low > 0.8
    assert found.points == 900 and found.n == found.m == 900


def test_bures_is_the_distance_of_the_moments() -> None:
    x, y = normal(300, 5, 2) * np.arange(1, 6), normal(250, 5, 3, 0.2)
    found = e.distances(x, y, bracket=False)
    direct = gaussian_w2(x.mean(axis=0), np.cov(x.T, bias=True), y.mean(axis=0), np.cov(y.T, bias=True))
    assert found.bures == pytest.approx(direct, rel=1e-12)
    assert found.w2 is found.low is found.high is None


def test_real_images_are_at_the_floor_and_noise_is_far_above(digits: e.Reference) -> None:
    floor = digits.floor(len(digits.held))
    noise = digits.quality(normal(len(digits.held), 64, 5).reshape(-1, 1, 8, 8))
    for space in ("pixel", "pca"):
        assert noise.spaces[space].sliced > 3.0 * floor.spaces[space].sliced
        assert noise.spaces[space].bures > 3.0 * floor.spaces[space].bures
        low = noise.spaces[space].low
        assert low is not None and low > 0.0
        # two halves of one law: no lower limit above 0 at 99 %
        assert floor.spaces[space].low == 0.0
    assert floor.label == e.FEATURE_FREE and floor.to_dict()["pixel"]["n"] == len(digits.held)


def test_principal_components_keep_what_they_should(digits: e.Reference) -> None:
    """The axes are orthonormal, the first ones of the training half; distances there are at most those in pixels."""
    axes = digits.axes
    assert axes.shape == (64, 8)
    np.testing.assert_allclose(axes.T @ axes, np.eye(8), atol=1e-12)
    values = np.sort(np.linalg.eigvalsh(np.cov(digits.train.T, bias=True)))[::-1]
    np.testing.assert_allclose(np.var(digits.train @ axes, axis=0), values[:8], rtol=1e-9)
    shifted = digits.quality(digits.held + 0.3, bracket=False)
    assert shifted.spaces["pixel"].bures == pytest.approx(0.3 * 8.0)
    assert shifted.spaces["pca"].bures == pytest.approx(0.3 * np.linalg.norm(axes.sum(axis=0)))


def test_all_seeds_count() -> None:
    found = e.summary([1.0, 2.0, 6.0])
    assert (
        found.mean == 3.0 and found.spread == pytest.approx(np.sqrt(7.0)) and found.values == (1.0, 2.0, 6.0)
    )
    assert e.summary([2.0]).spread is None
    with pytest.raises(BadInput):
        e.summary([])


def test_what_is_not_finite_is_refused(digits: e.Reference) -> None:
    bad = np.zeros((4, 1, 8, 8))
    bad[2, 0, 1, 1] = np.nan
    with pytest.raises(BadInput, match="diverged"):
        digits.quality(bad)
    with pytest.raises(BadInput, match="64 values"):
        digits.quality(np.zeros((4, 1, 4, 4)))


# ---------------------------------------------------------------------- with features


def tiny(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Identity features of the pixels, and three classes by brightness."""
    flat = images.flatten(1).double()
    level = flat.mean(dim=1, keepdim=True)
    return flat, torch.cat([level, 2.0 * level - 100.0, 50.0 - level], dim=1) / 20.0


def test_fid_with_identity_features_is_bures_w2_squared() -> None:
    g = torch.Generator().manual_seed(0)
    real = torch.randint(0, 256, (400, 1, 3, 3), generator=g, dtype=torch.uint8)
    fake = torch.randint(0, 200, (300, 1, 3, 3), generator=g, dtype=torch.uint8)
    extractor = e.Extractor(tiny, "")
    a, logits = extractor.all(real, batch=77)
    b, _ = extractor.all(fake, batch=300)
    assert logits is not None and logits.shape == (400, 3)
    x, y = a.numpy(), b.numpy()
    squared = gaussian_w2(x.mean(axis=0), np.cov(x.T), y.mean(axis=0), np.cov(y.T)) ** 2
    assert e.fid(a, b) == pytest.approx(squared, rel=1e-10)
    assert e.fid(a, a) == pytest.approx(0.0, abs=1e-6)
    # one per cent of the images' contrast is seen
    assert e.fid(a, 1.01 * b) != pytest.approx(squared, rel=1e-4)


def test_fid_is_said_at_several_n_over_all_seeds() -> None:
    real = torch.from_numpy(normal(2000, 4, 0))
    fakes = [torch.from_numpy(normal(600, 4, seed, 0.1)) for seed in (1, 2, 3)]

    def against(fake: torch.Tensor) -> float:
        return e.fid(real, fake)

    rows = e.fid_rows(against, fakes, sizes=(100, 500, 5000))
    assert [n for n, _ in rows] == [100, 500]
    for n, found in rows:
        assert found.values == tuple(e.fid(real, f[:n]) for f in fakes) and found.spread is not None
    assert rows[0][1].mean > rows[1][1].mean  # FID falls with n
    assert [n for n, _ in e.fid_rows(against, fakes, sizes=(5000,))] == [600]


def test_inception_score_in_closed_form() -> None:
    """Equal logits give 1; certain ones, half of either class, give 2; the global random state is left alone."""
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    assert e.inception_score(torch.zeros(40, 5), splits=2)[0] == pytest.approx(1.0)
    certain = torch.tensor([[50.0, -50.0], [-50.0, 50.0]]).repeat(2000, 1)
    mean, std = e.inception_score(certain, splits=2)
    assert mean == pytest.approx(2.0, abs=5e-3) and std < 5e-3
    assert torch.equal(before, torch.random.get_rng_state())
    with pytest.raises(BadInput):
        e.inception_score(torch.zeros(3, 5))


class Planted:
    def __reduce__(self):  # would make a file, if it were unpickled
        return (open, ("planted", "w"))


def test_weights_are_tensors_or_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    good = tmp_path / "good.pt"
    torch.save({"a": torch.ones(2)}, good)
    state, digest = e._weights(good)
    assert torch.equal(state["a"], torch.ones(2)) and digest == hashlib.sha256(good.read_bytes()).hexdigest()
    bad = {
        "planted.pt": pickle.dumps({"a": Planted()}),
        "text.pt": b"not a file of torch",
        "cut.pt": good.read_bytes()[:40],
        "empty.pt": b"",
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match="state_dict"):
            e.inception(tmp_path / name)
    torch.save([torch.ones(2)], tmp_path / "list.pt")
    with pytest.raises(BadInput, match="state_dict"):
        e.inception(tmp_path / "list.pt")
    assert not (tmp_path / "planted").exists()
    with pytest.raises(IOFailure, match="No such file"):
        e.inception(tmp_path / "none.pt")


def test_another_networks_weights_or_no_torch_fidelity_say_so(tmp_path, monkeypatch) -> None:
    """Without the optional package one line says what to install; no path leads to a download."""
    asked: list[str] = []
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda url, **_: asked.append(url))
    path = tmp_path / "other.pt"
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(BadInput) as caught:
        e.inception(path)
    assert "torch-fidelity" in str(caught.value) and "\n" not in str(caught.value)
    assert not asked
