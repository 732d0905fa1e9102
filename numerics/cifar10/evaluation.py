"""How good images are: W2 in pixel and principal-component space, always; FID and IS with local weights.

The feature-free set needs no network: sliced W2 and Bures W2 (the distance of the Gaussians with the samples'
means and covariances) against held-out data, the plug-in W2 with the bracket of `numerics.transport` (the
plug-in alone is biased upward), and the same numbers between two halves of the data, below which nothing
can be told apart. It says nothing about perception; FID says little about anything else.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from numerics.transport.samples import empirical_w2, gaussian_w2, sliced_w2
from wbound.errors import BadInput, IOFailure, count
from wbound.typing import Array

__all__ = [
    "FEATURE_FREE",
    "FID_SIZES",
    "Distances",
    "Extractor",
    "Given",
    "Quality",
    "Reference",
    "Summary",
    "fid",
    "fid_rows",
    "inception",
    "inception_score",
    "summary",
]


FEATURE_FREE = "feature-free: W2 in the data's units, no network looks at the images"
#: Numbers of images at which FID is said, since it falls with n.
FID_SIZES = (1_000, 5_000, 20_000, 50_000)
#: Principal components of the second space, and points of a bracket (an assignment of n points is O(n³)).
COMPONENTS, BRACKET = 16, 1_000
PROJECTIONS = 256
#: Bytes that a file of Inception's weights may hold; the published ones are 95 MB.
MOST_WEIGHTS = 400_000_000


class Summary(NamedTuple):
    """Every value, their mean, and their standard deviation (None for one value)."""

    mean: float
    spread: float | None
    values: tuple[float, ...]


def summary(values: Sequence[float]) -> Summary:
    """Mean and standard deviation (n − 1) of all seeds' values: never the best of them."""
    if not values:
        raise BadInput("seeds", 0, "must be one or more")
    kept = tuple(float(v) for v in values)
    spread = float(np.std(kept, ddof=1)) if len(kept) > 1 else None
    return Summary(float(np.mean(kept)), spread, kept)


@dataclass(frozen=True)
class Distances:
    """W2 (not squared) of two samples of n and m points: ``sliced`` (no factor √d), ``bures`` of the Gaussians
    with their moments, and of ``points`` of each the plug-in ``w2`` with low ≤ W2 ≤ high at 99 % (None where
    no bracket was asked for)."""

    n: int
    m: int
    sliced: float
    bures: float
    w2: float | None = None
    low: float | None = None
    high: float | None = None
    points: int | None = None


def distances(x: Array, y: Array, *, seed: int = 0, bracket: bool = True) -> Distances:
    """`Distances` of samples x (n, d) and y (m, d). Raises `BadInput` (also for what is not finite)."""
    if not np.isfinite(x).all():
        raise BadInput("samples", "nan or infinity", "must be finite: the sampler diverged")
    moments = [(a.mean(axis=0), np.cov(a, rowvar=False, bias=True).reshape(a.shape[1], -1)) for a in (x, y)]
    bures = gaussian_w2(*moments[0], *moments[1])
    sliced = sliced_w2(x, y, n_projections=PROJECTIONS, seed=seed)
    if not bracket:
        return Distances(len(x), len(y), sliced, bures)
    points = min(len(x), len(y), BRACKET)
    both = empirical_w2(x[:points], y[:points], seed=seed)
    return Distances(len(x), len(y), sliced, bures, both.w2, both.low, both.high, points)


@dataclass(frozen=True)
class Quality:
    """`Distances` from the held-out data by space ("pixel", "pca"); ``label`` says what kind of number."""

    spaces: Mapping[str, Distances]
    label: str = FEATURE_FREE

    def to_dict(self) -> dict[str, Any]:
        return {"label": self.label, **{name: asdict(d) for name, d in self.spaces.items()}}


@dataclass(frozen=True, eq=False)
class Reference:
    """What images are compared with: ``held`` (m, d) out of training, and ``train`` (n, d), in the data's units.

    The second space is the first ``components`` principal axes of the training half, which share no point
    with what is compared.
    """

    train: Array
    held: Array
    components: int = COMPONENTS

    @staticmethod
    def of(train: torch.Tensor, held: torch.Tensor, components: int = COMPONENTS) -> Reference:
        """From images (n, C, H, W) as floats. Raises `BadInput`."""
        return Reference(_rows(train), _rows(held), components)

    @cached_property
    def axes(self) -> Array:
        """The first principal axes (d, k) of the training half."""
        d = self.train.shape[1]
        _, vectors = np.linalg.eigh(np.cov(self.train, rowvar=False, bias=True).reshape(d, d))
        return vectors[:, ::-1][:, : min(count("components", self.components), d)]

    def quality(self, images: torch.Tensor | Array, *, seed: int = 0, bracket: bool = True) -> Quality:
        """How far images (n, …) are from the held-out data, as they stand: neither clipped nor rounded."""
        x = _rows(images)
        if x.shape[1] != self.held.shape[1] or len(x) < 2:
            raise BadInput(
                "images", f"shape {x.shape}", f"must be two or more with {self.held.shape[1]} values"
            )
        pairs = {"pixel": (x, self.held), "pca": (x @ self.axes, self.held @ self.axes)}
        return Quality({k: distances(a, b, seed=seed, bracket=bracket) for k, (a, b) in pairs.items()})

    def floor(self, n: int | None = None, *, seed: int = 0, bracket: bool = True) -> Quality:
        """The same of n real images: of the training half, as many as the samples (None: all)."""
        return self.quality(self.train[:n], seed=seed, bracket=bracket)


def _rows(images: torch.Tensor | Array) -> Array:
    array = images.detach().cpu().numpy() if isinstance(images, torch.Tensor) else np.asarray(images)
    return array.reshape(len(array), -1).astype(np.float64)


# ---------------------------------------------------------------------- FID and IS


class Extractor(NamedTuple):
    """Images uint8 (B, C, H, W) → (features (B, D), logits (B, classes) or None), with the weights' hash."""

    features: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]]
    sha256: str

    def all(self, images: torch.Tensor, batch: int = 128) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Features and logits of images (n, C, H, W), on the CPU in double precision."""
        found = [self.features(images[i : i + batch]) for i in range(0, len(images), batch)]
        logits = [b for _, b in found if b is not None]
        first = torch.cat([a.double().cpu() for a, _ in found])
        return first, torch.cat([b.double().cpu() for b in logits]) if logits else None


class Given(torch.nn.Module):
    """Features in, the same features out: torchmetrics' metrics fed with what was extracted once."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def fid(real: torch.Tensor, fake: torch.Tensor) -> float:
    """FID (a squared W2: of the Gaussians with the features' means and covariances) of features (n, D)."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    if min(len(real), len(fake)) < 2 or real.shape[1:] != fake.shape[1:]:
        raise BadInput("features", f"{tuple(real.shape)}, {tuple(fake.shape)}", "must be (n >= 2, D) alike")
    metric = FrechetInceptionDistance(feature=Given(int(real.shape[1]))).set_dtype(torch.float64)
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    return float(metric.compute())


def fid_rows(
    against: Callable[[torch.Tensor], float], fakes: Sequence[torch.Tensor], sizes: Sequence[int] = FID_SIZES
) -> list[tuple[int, Summary]]:
    """(n, FID of the first n of every seed's features), at the sizes that all seeds have, and at what they have where
    that is less than the smallest size; ``against``: features (n, D) → their FID from the real ones."""
    least = min(len(f) for f in fakes)
    wanted = [n for n in sizes if n <= least] or [least]
    return [(n, summary([against(f[:n]) for f in fakes])) for n in wanted]


def inception_score(logits: torch.Tensor, splits: int = 10, seed: int = 0) -> tuple[float, float]:
    """Inception score of logits (n, classes): mean and standard deviation over splits (Salimans et al., 2016)."""
    from torchmetrics.image.inception import InceptionScore

    if len(logits) < splits:
        raise BadInput("images", len(logits), f"must be {splits} or more")
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # it says that it keeps all features, which they are already
        warnings.filterwarnings("ignore", message="Metric `InceptionScore` will save all extracted features")
        torch.manual_seed(seed)  # the order of the images in the splits
        metric = InceptionScore(feature=Given(int(logits.shape[1])), splits=splits)
        metric.update(logits)
        mean, std = metric.compute()
    return float(mean), float(std)


def inception(path: str | Path, device: str | torch.device = "cpu") -> Extractor:
    """Inception-v3 of FID, as torch-fidelity has it, with the weights of a local file; nothing is downloaded.

    The file holds a state_dict and is read as tensors only. Resizing is TensorFlow's, as in the literature.
    Raises `IOFailure` and `BadInput`: no such file, anything but tensors, another network's, or torch-fidelity
    missing.
    """
    state, digest = _weights(path)
    try:
        from torchmetrics.image.fid import NoTrainInceptionV3
    except Exception as error:  # torch-fidelity imports torchvision, which may not fit this torch
        raise BadInput("inception", Path(path).name, f"torch-fidelity does not load: {error}") from None
    if find_spec("torch_fidelity") is None:
        raise BadInput(
            "inception", Path(path).name, "needs torch-fidelity and torchvision: pip install 'wbound[fid]'"
        )
    with tempfile.TemporaryDirectory() as folder:
        # torch-fidelity unpickles what it is given: it is given tensors that were read as such
        clean = Path(folder) / "weights.pt"
        torch.save(state, clean)
        try:
            net = NoTrainInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], str(clean))
        except RuntimeError as error:
            said = " ".join(str(error).split())[:160]
            raise BadInput(
                "inception", Path(path).name, f"is no Inception-v3 of torch-fidelity: {said}"
            ) from None
    net = net.to(device)

    @torch.no_grad()
    def features(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        x = images if images.shape[1] == 3 else images.expand(-1, 3, -1, -1)
        # the parent's: both outputs of one pass, and the literature's resizing
        first, second = super(NoTrainInceptionV3, net).forward(x.contiguous().to(device))
        return first, second

    return Extractor(features, digest)


def _weights(path: str | Path) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors of a state_dict file, and its SHA-256."""
    file = Path(path)
    try:
        with open(file, "rb") as stream:
            content = stream.read(MOST_WEIGHTS + 1)
    except OSError as error:
        raise IOFailure(f"cannot read {file}: {error.strerror}") from None
    except ValueError as error:  # a name that no file can have
        raise BadInput("inception", str(path), f"is no name of a file: {error}") from None
    if len(content) > MOST_WEIGHTS:
        raise BadInput("inception", file.name, f"must hold at most {MOST_WEIGHTS // 1_000_000} MB")
    allowed = "must be a state_dict: names and tensors only, saved by torch.save"
    try:
        with warnings.catch_warnings():
            # of a pickle protocol that torch.save does not write: tensors or nothing all the same
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception:  # whatever the reader meets in damaged bytes: it runs nothing of them
        raise BadInput("inception", file.name, allowed) from None
    if (
        not isinstance(state, dict)
        or not all(isinstance(v, torch.Tensor) for v in state.values())
        or not state
    ):
        raise BadInput("inception", file.name, allowed)
    return state, hashlib.sha256(content).hexdigest()
