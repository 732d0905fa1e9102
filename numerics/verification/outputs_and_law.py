"""A sampler's outputs beside its exact law, without a bound: schemes and tapes that no theorem is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numerics.samplers.sampling import sample
from numerics.samplers.sampling import samples as draw
from numerics.transport import samples as transport
from numerics.verification.law_test import Agreement, agreement
from numerics.verification.referees import (
    LEAST,
    PROCESS,
    ROWS,
    Referee,
    as_target,
    given_outputs,
    points_of,
    referee,
    tape_referee,
)
from wbound.errors import BadInput, HypothesisFailed, count, real
from wbound.exact.gaussian_law import alone
from wbound.forward.forward_process import Process
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.multistep import Multistep
from wbound.sampler.scheme import Scheme
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["Followed", "follow", "followed"]


@dataclass(frozen=True)
class Followed:
    """A sampler beside its exact law, without a bound: the ``referee``, the ``agreement`` of n
    outputs with its law, the bracket of W2 from them (``empirical``), and all that in words."""

    referee: Referee
    agreement: Agreement
    empirical: transport.EmpiricalW2
    reason: str


def follow(
    process: Process | None,
    target: Any,
    T: float | None = None,
    K: int | None = None,
    *,
    scheme: str | Scheme | Multistep | Tape = "heun",
    n: int | None = None,
    seed: int = 0,
    start: str | None = None,
    grid: str | Grid = "uniform",
    score_noise: float = 0.0,
    samples: ArrayLike | None = None,
    level: float = 0.99,
) -> Followed:
    """Compare a sampler's outputs with its exact law (exact Gaussian law, or quadrature on the line).

    For what has no bound: Heun's schemes on data beyond A1, and on Gaussian data multistep schemes and tapes; and for a
    scheme by itself. Arguments as in `verify`, ``samples`` among them: the outputs of your own run of it (of a tape that ends
    above zero, divided by its α); of a tape as in `wbound.exact_w2`. Raises `HypothesisFailed` where there is no referee,
    `BadInput`.
    """
    own = as_target(target)
    if isinstance(scheme, Tape):
        alone(scheme, T, K, grid, score_noise=score_noise)
    else:
        if process is None:
            raise BadInput("process", "None", PROCESS)
        s = setting(
            process, own, T, K, scheme=scheme, start=start or "prior", grid=grid, score_noise=score_noise
        )
        return followed(s, n=n, seed=seed, samples=samples, level=level)
    points, for_sampler, for_target = _drawn(own, n, seed)
    value = tape_referee(scheme, own, start or "own")
    if samples is not None:
        x = given_outputs(samples, points, own.d)
    else:
        rows = max(points, ROWS)
        x = sample(None, own, n=rows, scheme=scheme, seed=for_sampler, start=start, progress=False)
    return _beside(value, own, x, points, for_target, seed, level)


def followed(
    s: Setting,
    *,
    n: int | None = None,
    seed: int = 0,
    samples: ArrayLike | None = None,
    level: float = 0.99,
) -> Followed:
    """`follow` of a setting whose data are a target. Raises `HypothesisFailed` and `BadInput`."""
    points, for_sampler, for_target = _drawn(s.data, n, seed)
    value, why = referee(s)
    if value is None:
        raise HypothesisFailed("the exact law", "a referee", why)
    if samples is not None:
        x = given_outputs(samples, points, s.data.d)
    else:
        x = draw(s, max(points, ROWS), for_sampler, progress=False)
    return _beside(value, s.data, x, points, for_target, seed, level)


def _drawn(
    target: Any, n: int | None, seed: int
) -> tuple[int, np.random.SeedSequence, np.random.SeedSequence]:
    """How many points, and the seeds of the sampler's and the target's."""
    for_sampler, for_target = np.random.SeedSequence(count("seed", seed, 0)).spawn(2)
    return max(points_of(n, target.d), LEAST), for_sampler, for_target


def _beside(
    value: Referee,
    own: Any,
    x: Array,
    points: int,
    for_target: np.random.SeedSequence,
    seed: int,
    level: float,
) -> Followed:
    follows = agreement(own, x, value.laws)
    if follows is None:
        raise HypothesisFailed("the exact law", "a density", "the map turns: its law has no density here")
    y = own.sample(points, np.random.Generator(np.random.SFC64(for_target)))
    empirical = transport.empirical_w2(x[:points], y, seed=seed, level=real("level", level))
    reason = (
        f"{value.evidence}: W2 = {value.w2:.6g}; samples: {empirical.low:.6g} <= W2 <= {empirical.high:.6g}, "
        f"the {follows.statistic} {abs(follows.z):.3g} standard errors off"
    )
    return Followed(value, follows, empirical, reason)
