"""A tape beyond Gaussian data: its W2 to a smoothed data set, both sampled from the same noise, with the exact score.

The plug-in W2 of independent samples is mostly their own noise. Here a fine run of the probability flow from the start
σ_max ξ is the law, and the tape runs from the same ξ: where it is right the two samples are one.
"""

from __future__ import annotations

import math

import numpy as np

from numerics.targets.mixtures import SmoothedData
from numerics.targets.tape_walk import TapeWalk
from numerics.transport.samples import plugin_w2
from wbound.errors import HypothesisFailed, count
from wbound.sampler.multistep import multistep_named
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["CommonNoise"]

#: σ_max of the fine run over the data's largest standard deviation, and its last σ over τ.
FAR, NEAR = 100.0, 0.02


class CommonNoise:
    """``pairs`` draws of a target, by ``fine`` calls of UniPC on log-uniform levels, and the noise that they came from.

    target: data smoothed by noise, centred; ``variances``: eigenvalues (d,) ascending of its covariance, x². Raises
    `BadInput`.
    """

    def __init__(self, target: SmoothedData, pairs: int = 1000, seed: int = 0, fine: int = 200) -> None:
        self.target = target
        flat = target.points - target.mean
        covariance = (target.weights[:, None] * flat).T @ flat
        least = float(target.variances[0])
        self.variances = np.maximum(np.linalg.eigvalsh(covariance), 0.0) + least
        self.size = math.sqrt(float(self.variances.sum()))
        self.noise = np.random.default_rng(seed).standard_normal((target.d, count("pairs", pairs)))
        levels = np.geomspace(
            FAR * math.sqrt(self.variances[-1]), NEAR * math.sqrt(least), count("fine", fine)
        )
        self.law = self.outputs(multistep_named("unipc").tape(np.append(levels, 0.0) ** 2))

    def outputs(self, tape: Tape) -> Array:
        """What the tape makes of this noise (pairs, d), in x. Raises `HypothesisFailed` for a tape that draws more."""
        if tape.stochastic:
            raise HypothesisFailed("common noise", "a tape without noise", "this one draws its own")
        z = self.noise * tape.start_std + tape.start_mean
        TapeWalk(tape, self.target).walk(np.random.default_rng(0), z)
        return np.asarray(z.T)

    def relative(self, tape: Tape) -> float:
        """W2 of the two samples over √tr Σ: an estimate of the laws', between it and the paired root mean square."""
        return plugin_w2(self.outputs(tape), self.law, method="assignment") / self.size
