"""How far a network's score is from the exact one of Gaussian images, which tests of training ask."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from numerics.cifar10.gaussian_images import GaussianImages
from numerics.cifar10.processes import ImageProcess
from wbound.typing import Array


@torch.no_grad()
def relative_error(
    score: Callable[[torch.Tensor, float], torch.Tensor],
    data: GaussianImages,
    process: ImageProcess,
    *,
    times: int = 50,
    n: int = 256,
    seed: int = 0,
) -> tuple[Array, Array]:
    """Times (N,), the middles of N equal parts of [t_min, 1], and (E|s_θ − s|²/E|s|²)^{1/2} at each, X_t ~ p_t.

    Relative L2 under the forward marginals, from n draws a time. Kind: *estimate* (its spread is of order
    1/√(n d) of itself).
    """
    t = process.t_min + (1.0 - process.t_min) * (np.arange(times) + 0.5) / times
    generator = torch.Generator(data.device).manual_seed(seed)
    exact, out = data.exact_score(process), np.zeros(times)
    for i, at in enumerate(t):
        x = float(process.alpha(at)) * data.floats(torch.arange(n), generator)
        x = x + float(process.std(at)) * torch.randn(x.shape, generator=generator, device=x.device)
        true = exact(x, float(at)).double()
        off = (score(x, float(at)).double() - true).square().sum()
        out[i] = float((off / true.square().sum()).sqrt())
    return t, out
