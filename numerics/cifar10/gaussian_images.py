"""Gaussian images: a law with the data's mean and covariance + τ² I, whose score is known at every time.

The data's own covariance is singular (three pixels of the digits are constant), hence τ² (in units of the
floats in [−1, 1]). Training on them has a known optimum, of the loss and of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from numerics.cifar10.images import ImageSet
from numerics.cifar10.processes import ImageProcess
from wbound.errors import BadInput, positive
from wbound.typing import Array

__all__ = ["GaussianImages", "gaussian_of", "optimal_loss"]


@dataclass(frozen=True, eq=False)
class GaussianImages:
    """N(mean, V diag(eigenvalues) Vᵀ) on images (C, H, W): eigenvalues (d,) ascending, > 0; ``axes`` V (d, d);
    ``count``: how many draws are called an epoch. Everything float64, on the host."""

    name: str
    shape: tuple[int, int, int]
    mean: Array
    eigenvalues: Array
    axes: Array
    count: int
    device: torch.device
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.count

    @property
    def d(self) -> int:
        return int(self.mean.size)

    @property
    def root_mean_square(self) -> float:
        """√(E|X_0|²/d)."""
        return float(np.sqrt((self.eigenvalues.sum() + self.mean @ self.mean) / self.d))

    @property
    def channels(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        return self.shape[1]

    def floats(
        self, index: Tensor, generator: torch.Generator | None = None, augment: bool = False
    ) -> Tensor:
        """As many fresh draws as ``index`` has entries, (B, C, H, W) float32; nothing is seen twice."""
        z = torch.randn(len(index), self.d, generator=generator, device=self.device)
        mean, root = self._float32
        return (mean + z @ root.T).reshape(-1, *self.shape)

    @cached_property
    def _float32(self) -> tuple[Tensor, Tensor]:
        """The mean and a root of the covariance on the device."""
        both = self.mean, self.axes * np.sqrt(self.eigenvalues)
        mean, root = (torch.from_numpy(a.astype(np.float32)).to(self.device) for a in both)
        return mean, root

    def exact_score(self, process: ImageProcess) -> Callable[[Tensor, Tensor | float], Tensor]:
        """∇log p_t, a score as samplers take it: N(α m, α² C + std² I), computed in float64."""

        def score(x: Tensor, t: Tensor | float) -> Tensor:
            times = np.atleast_1d(t.double().cpu().numpy() if isinstance(t, Tensor) else np.float64(t))
            return self._score(x, process.alpha(times)[:, None], process.std(times)[:, None])

        return score

    def level_score(self, y: Tensor, sigma: Tensor) -> Tensor:
        """∇log of N(m, C + σ² I) at y (B, C, H, W), σ (B,), computed in float64."""
        return self._score(y, np.ones((1, 1)), sigma.double().cpu().numpy()[:, None])

    def _score(self, x: Tensor, alpha: Array, std: Array) -> Tensor:
        flat = x.reshape(len(x), -1).double().cpu().numpy()
        along = (flat - alpha * self.mean) @ self.axes
        out = -(along / (alpha**2 * self.eigenvalues + std**2)) @ self.axes.T
        return torch.from_numpy(out).to(x).reshape(x.shape)


def gaussian_of(images: ImageSet, tau: float, name: str | None = None) -> GaussianImages:
    """The Gaussian with the mean and covariance (1/n) of ``images`` as floats, plus τ² I; τ > 0 in the floats'
    units. Raises `BadInput`."""
    tau = positive("gaussian-tau", tau)
    flat = images.floats().reshape(len(images), -1).double().cpu().numpy()
    if flat.shape[1] > 8192:
        raise BadInput("gaussian-tau", tau, f"images have {flat.shape[1]} values, must have at most 8192")
    mean = flat.mean(axis=0)
    centred = flat - mean
    values, axes = np.linalg.eigh(centred.T @ centred / len(flat))
    return GaussianImages(
        name or f"gaussian:{images.name}",
        images.shape,
        mean,
        np.maximum(values, 0.0) + tau**2,
        axes,
        len(images),
        images.device,
        (f"Gaussian with the data's mean and covariance + {tau:g}² I",),
    )


def optimal_loss(data: GaussianImages, alpha: Array, std: Array) -> Array:
    """The least of E|std·s + Z|² per coordinate at X = αX_0 + std·Z: mean of α²c/(α²c + std²); no network is below
    it. Kind: *exact*."""
    signal = alpha[..., None] ** 2 * data.eigenvalues
    return np.asarray((signal / (signal + std[..., None] ** 2)).mean(axis=-1))
