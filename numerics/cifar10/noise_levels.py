"""Networks that know the noise level alone: from the score of the data smoothed by σ to every process's.

X_t = α(t) X_0 + std(t) Z is α times the data smoothed by σ = std/α, so one function of (y, σ) is the score of all
processes at all times (docs/theory.md, sections 1 and 9): ∇log p_t(x) = s(x/α, std/α)/α. For VE rows σ = std(t).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from wbound.typing import Array

if TYPE_CHECKING:
    from numerics.cifar10.processes import ImageProcess

__all__ = ["LevelScore", "TimedScore", "along", "denoiser_of", "level_score_of", "of_denoiser"]

#: s(y, σ): y (B, C, H, W), σ > 0 (B,); the score of the data smoothed by σ, shaped like y.
LevelScore = Callable[[Tensor, Tensor], Tensor]
#: score(x, t), as samplers take it.
Score = Callable[[Tensor, "Tensor | float"], Tensor]


@dataclass(frozen=True, eq=False)
class TimedScore:
    """score(x, t), x (B, C, H, W), t a float or (B,), of a network that reads ``labels`` (R, N) of times (N,), which are
    computed in float64 on the host: a sampler makes them once for all its steps (`table`), and no step waits.

    ``evaluate``: x and labels (R, B) → the score.
    """

    labels: Callable[[Array], Array]
    evaluate: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, x: Tensor, t: Tensor | float) -> Tensor:
        times = np.atleast_1d(t.double().cpu().numpy() if isinstance(t, Tensor) else np.float64(t))
        return self.at(x, self.table(times, x))

    def table(self, times: Array, like: Tensor) -> Tensor:
        """The labels (R, N) on the device of ``like``, in its format."""
        return torch.from_numpy(np.ascontiguousarray(self.labels(times))).to(like.device, like.dtype)

    def at(self, x: Tensor, labels: Tensor) -> Tensor:
        """The score at labels (R, 1) or (R, B)."""
        with torch.no_grad():
            return self.evaluate(x, labels.expand(-1, len(x)))


def along(level_score: LevelScore, process: ImageProcess) -> TimedScore:
    """The process's score from the smoothed data's."""

    def labels(times: Array) -> Array:
        alpha = process.alpha(times)
        return np.stack(np.broadcast_arrays(alpha, process.std(times) / alpha))

    def evaluate(x: Tensor, both: Tensor) -> Tensor:
        over = both[0][:, None, None, None]
        return level_score(x / over, both[1]) / over

    return TimedScore(labels, evaluate)


def of_denoiser(denoiser: Callable[[Tensor, Tensor], Tensor]) -> LevelScore:
    """(D(y, σ) − y)/σ² of a denoiser D = E[X_0 | X_0 + σZ = y] (Tweedie's formula)."""

    def level_score(y: Tensor, sigma: Tensor) -> Tensor:
        return (denoiser(y, sigma) - y) / sigma[:, None, None, None].square()

    return level_score


def denoiser_of(level_score: LevelScore) -> Callable[[Tensor, Tensor], Tensor]:
    """y + σ² s(y, σ): the inverse of `of_denoiser`."""
    return lambda y, sigma: y + sigma[:, None, None, None].square() * level_score(y, sigma)


def level_score_of(score: Score, process: ImageProcess) -> LevelScore:
    """The smoothed data's score from one process's, at the time with std/α = σ: the inverse of `along`. Where σ is
    beyond t_min or 1 the nearest time's, which is then no longer exact."""
    low, high = process.t_min, 1.0
    t = np.concatenate((np.geomspace(low, 1e-2, 4096)[:-1], np.linspace(1e-2, high, 8192)))
    known = np.log(process.std(t) / process.alpha(t))

    def level_score(y: Tensor, sigma: Tensor) -> Tensor:
        at = np.interp(np.log(sigma.double().cpu().numpy()), known, t)
        a = torch.from_numpy(process.alpha(at)).to(y)[:, None, None, None]
        return score(a * y, torch.from_numpy(at).to(y.device)) * a

    return level_score
