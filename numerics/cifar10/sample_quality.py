"""Samples from anywhere against data or saved statistics: FID, KID, sliced and Bures W2, with floors and their bias in n.

A Fréchet distance of n samples is biased upward by about c/n, with c the sampler's own (Chong & Forsyth, 2020), so a
figure without its n says little: `fitted` is the line through it at several n, and its value at 1/n = 0. In pixels the
Fréchet distance is the squared Bures W2; in Inception's features it is FID.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from numerics.cifar10.evaluation import (
    Extractor,
    Given,
    Quality,
    Reference,
    Summary,
    inception_score,
    summary,
)
from numerics.cifar10.images import ImageSet
from numerics.io.reading import load_numpy, names_in
from numerics.io.writing import write
from numerics.transport.samples import gaussian_w2
from wbound.errors import BadInput
from wbound.typing import Array

__all__ = ["Fit", "SampleQuality", "Statistics", "features_of", "fitted", "frechet", "kid", "quality_of"]

PIXELS = "pixels"
#: Sizes of the fit over 1/n, the least share of n among them, and how few samples are too few for one.
SIZES, LEAST_SHARE, LEAST_FIT = 8, 0.25, 64
#: Subsets of KID and their largest size (Bińkowski et al., 2018).
SUBSETS, SUBSET = 100, 1000


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean ``mu`` (D,) and covariance ``sigma`` (D, D) of ``features`` of ``n`` images: "pixels" (floats in [−1, 1]) or
    "inception " and the weights' SHA-256; None where a file of another project does not say."""

    mu: Array
    sigma: Array
    n: int | None
    features: str | None
    data: str

    @staticmethod
    def of(features: Array, kind: str, data: str) -> Statistics:
        """Of features (n, D), n ≥ 2; the covariance with n − 1, as FID has it. Raises `BadInput`."""
        if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
            raise BadInput(
                "samples", f"features of shape {features.shape}", "must be two or more, and finite"
            )
        sigma = np.cov(features, rowvar=False).reshape(features.shape[1], -1)
        return Statistics(features.mean(axis=0), sigma, len(features), kind, data)

    @property
    def sha256(self) -> str:
        """Of the numbers."""
        return hashlib.sha256(self.mu.tobytes() + self.sigma.tobytes()).hexdigest()

    @property
    def said(self) -> str:
        """What a distance from these is from, in words."""
        many = "an unknown number of" if self.n is None else f"{self.n}"
        return f"FID is from saved statistics: {self.data}, {many} images"

    def suits(self, kind: str, dimension: int) -> None:
        """Refuse features of another ``kind`` or number. Raises `BadInput`."""
        if self.features not in (None, kind):
            said = f"of {str(self.features)[:24]}, of {self.data}"
            raise BadInput("statistics", said, f"must be of {kind[:24]}, as the samples' are")
        if self.mu.size != dimension:
            raise BadInput(
                "statistics", f"{self.mu.size} features", f"must be {dimension}, as the samples have"
            )

    def save(self, path: str | Path) -> Path:
        """Write an .npz with mu and sigma, as published references have them, and what they are of. Raises
        `IOFailure`."""
        buffer = io.BytesIO()
        about = json.dumps({"n": self.n, "features": self.features, "data": self.data})
        np.savez_compressed(buffer, mu=self.mu, sigma=self.sigma, about=np.array(about))
        return write(path, buffer.getvalue())

    @staticmethod
    def load(path: str | Path) -> Statistics:
        """Of `save`, or anybody's .npz with mu and sigma. Raises `BadInput`, `IOFailure`."""
        name = Path(path).name
        mu, sigma = (load_numpy(Path(path), key=key) for key in ("mu", "sigma"))
        if (
            mu.dtype.kind != "f"
            or sigma.dtype.kind != "f"
            or mu.ndim != 1
            or sigma.shape != (mu.size, mu.size)
        ):
            raise BadInput("statistics", name, "must be an .npz with mu (D,) and sigma (D, D)")
        mu, sigma = mu.astype(np.float64), sigma.astype(np.float64)
        if not (np.isfinite(mu).all() and np.isfinite(sigma).all()) or mu.size == 0:
            raise BadInput("statistics", name, "must hold finite numbers")
        if np.abs(sigma - sigma.T).max() > 1e-6 * np.abs(sigma).max():
            raise BadInput("statistics", name, "its sigma is not symmetric")
        if "about" in names_in(Path(path)):
            try:
                about = json.loads(str(load_numpy(Path(path), key="about")))
                n, features, data = about["n"], about["features"], about["data"]
            except (ValueError, KeyError, TypeError):
                raise BadInput("statistics", name, "does not say what it is of") from None
            if not (isinstance(n, int) and isinstance(features, str) and isinstance(data, str)):
                raise BadInput("statistics", name, "does not say what it is of")
            return Statistics(mu, sigma, n, features, data)
        return Statistics(mu, sigma, None, None, name)


def frechet(features: Array, reference: Statistics) -> float:
    """|m − μ|² + tr(S + Σ − 2(SΣ)^{1/2}) of features (n, D): the squared W2 of the Gaussians. Raises `BadInput`."""
    own = Statistics.of(features, "", "")
    return float(gaussian_w2(own.mu, own.sigma, reference.mu, reference.sigma) ** 2)


@dataclass(frozen=True)
class Fit:
    """Fréchet distances ``values`` of the first n of shuffled samples, by ``sizes``; the least-squares line in 1/n has
    ``at_infinity`` ± ``standard_error`` at 1/n = 0 and slope ``per_n``. *estimate*: the sizes share samples."""

    sizes: tuple[int, ...]
    values: tuple[float, ...]
    at_infinity: float
    standard_error: float
    per_n: float


def fitted(features: Array, reference: Statistics, *, seed: int = 0) -> Fit | None:
    """The `Fit` of features (n, D) against a reference; None below `LEAST_FIT` samples."""
    n = len(features)
    if n < LEAST_FIT:
        return None
    sizes = np.unique(np.rint(1.0 / np.linspace(1.0 / n, 1.0 / (LEAST_SHARE * n), SIZES)).astype(int))
    rng = np.random.default_rng(seed)
    values = np.array([frechet(features[rng.permutation(n)[:m]], reference) for m in sizes])
    design = np.stack((np.ones(sizes.size), 1.0 / sizes), axis=1)
    solution, *_ = np.linalg.lstsq(design, values, rcond=None)
    rest = values - design @ solution
    spread = float(rest @ rest) / (sizes.size - 2)
    error = float(np.sqrt(spread * np.linalg.inv(design.T @ design)[0, 0]))
    return Fit(
        tuple(map(int, sizes)), tuple(map(float, values)), float(solution[0]), error, float(solution[1])
    )


def kid(real: torch.Tensor, fake: torch.Tensor, seed: int = 0) -> Summary:
    """Kernel distance (squared MMD, cubic kernel) of features (n, D): mean and spread over random subsets; unbiased
    in n. Raises `BadInput`."""
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(len(real), len(fake), SUBSET)
    if size < 2:
        raise BadInput("features", f"{len(real)}, {len(fake)}", "must be 2 or more each")
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # it says that it keeps all features, which they are already
        warnings.filterwarnings("ignore", message="Metric `Kernel Inception Distance` will save all")
        torch.manual_seed(seed)  # the subsets
        metric = KernelInceptionDistance(feature=Given(int(real.shape[1])), subsets=SUBSETS, subset_size=size)
        metric.update(real.double(), real=True)
        metric.update(fake.double(), real=False)
        mean, std = metric.compute()
    return Summary(float(mean), float(std), ())


def features_of(images: ImageSet, extractor: Extractor | None) -> tuple[Array, str]:
    """Features (n, D) in float64, and what they are: Inception's, or the pixels as floats in [−1, 1]."""
    if extractor is None:
        return images.floats().flatten(1).double().cpu().numpy(), PIXELS
    return extractor.all(images.images)[0].numpy(), f"inception {extractor.sha256}"


@dataclass(frozen=True)
class SampleQuality:
    """What `quality_of` found of ``n`` samples: `Quality` and its ``floor`` (real training images, as many) where there
    are data; ``frechet`` in ``features`` and its `Fit`, against ``m`` images; ``kid``, ``inception_score``."""

    n: int
    m: int | None
    features: str
    frechet: float
    fit: Fit | None
    floor_frechet: float | None = None
    quality: Quality | None = None
    floor: Quality | None = None
    kid: Summary | None = None
    floor_kid: Summary | None = None
    inception_score: Summary | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        plain = asdict(self)
        for name in ("quality", "floor"):
            found = getattr(self, name)
            plain[name] = None if found is None else found.to_dict()
        for name in ("kid", "floor_kid", "inception_score"):
            found = getattr(self, name)
            plain[name] = None if found is None else found._asdict()
        return plain


def quality_of(
    samples: ImageSet,
    data: ImageSet | None = None,
    *,
    statistics: Statistics | None = None,
    extractor: Extractor | None = None,
    split_seed: int = 0,
) -> SampleQuality:
    """`SampleQuality` of samples against ``data`` (W2 and floors: the held-out part, FID: the training part, as
    published figures have it), or against ``statistics``. Raises `BadInput`: another shape, other features."""
    found, kind = features_of(samples, extractor)
    scores = None
    if extractor is not None:
        logits = extractor.all(samples.images)[1]
        scores = None if logits is None else summary([inception_score(logits)[0]])
    if statistics is not None:
        statistics.suits(kind, found.shape[1])
    if data is None:
        if statistics is None:
            raise BadInput("data", "(not given)", "give --data or --statistics")
        value = frechet(found, statistics)
        fit = fitted(found, statistics)
        return SampleQuality(len(samples), statistics.n, kind, value, fit, inception_score=scores)
    if samples.shape != data.shape:
        raise BadInput("samples", f"images {samples.shape}", f"must be {data.shape}, as the data are")
    train, held = data.split(split_seed)
    reference = Reference.of(train.floats(), held.floats())
    real, _ = features_of(train, extractor)
    known = statistics or Statistics.of(real, kind, data.name)
    apart, _ = features_of(held, extractor)
    kids: tuple[Any, Any] = None, None
    if extractor is not None:
        a, b, c = (torch.from_numpy(v) for v in (real, found, apart))
        kids = kid(a, b), kid(a, c)
    return SampleQuality(
        len(samples),
        known.n,
        kind,
        frechet(found, known),
        fitted(found, known),
        frechet(apart, known),
        reference.quality(samples.floats()),
        reference.floor(len(samples)),
        *kids,
        scores,
    )
