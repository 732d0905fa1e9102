"""Images drawn with a score: the schemes of section 3 and 12, predictor–corrector, any K, a seed per image.

Every coefficient of a step is `wbound.sampler.scheme`'s, on the process's own clock λ: for VE rows the score is that
of the literature's marginal (data smoothed by sigma_min), so the sampler ends at t = 0 with that law
(section 9), and "the data" of a theorem beside it are the smoothed ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from numerics.cifar10.noise_levels import TimedScore
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, count, nonnegative, one_of
from wbound.memory import fits
from wbound.sampler.grid import Grid, Nodes, grid_named
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import SCHEMES as STEPS
from wbound.typing import Array

if TYPE_CHECKING:
    from numerics.cifar10.processes import ImageProcess

__all__ = [
    "SCHEMES",
    "SNR",
    "Plan",
    "Score",
    "by_family",
    "nodes_of",
    "noise_of",
    "plan",
    "room",
    "sample_images",
    "seeds_of",
    "start_of",
    "theory_scheme",
    "theory_setting",
]

#: score(x, t): x (B, C, H, W) in the marginal's own coordinates, t (B,); ∇log p_t(x), shaped like x.
Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

#: Names of the command line → the scheme of `wbound.sampler.scheme` whose steps they take.
_OWNERS = {
    **{name: name for name in ("em", "em-point", "em-point-arrival", "ei", "hf", "ddpm")},
    "pc": "hf",
    "ode-heun": "heun",
}
#: By family, as in the published experiments: Euler–Maruyama of Song et al.'s code for VP, predictor–corrector for VE.
_PAPER = {"vp": "em-point", "ve": "pc"}
SCHEMES = (*_OWNERS, "paper")
#: The corrector's signal-to-noise ratio of Song et al., 2021, for CIFAR-10.
SNR = 0.16
#: torch's generator on the CPU takes a seed modulo 2³²: beyond, two seeds could be one image.
MOST_SEED = 2**32 - 1


@dataclass(frozen=True, eq=False)
class Plan:
    """K steps y = A x + C s(x, t) + √Q ξ in the sampler's order, arrays (K,).

    With ``second`` = (C, D) the step ends instead on A x + C s(x, t) + D s(y, t_next); D = 0: no second score.
    ``langevin`` corrector steps come before each, ``alpha`` (K,) being Algorithm 5's α_i.
    """

    t: Array
    t_next: Array
    A: Array
    C: Array
    Q: Array
    second: tuple[Array, Array] | None = None
    langevin: int = 0
    alpha: Array | None = None

    @property
    def K(self) -> int:
        return int(self.t.size)

    @property
    def evaluations(self) -> int:
        """Score evaluations an image."""
        twice = 0 if self.second is None else int(np.count_nonzero(self.second[1]))
        return self.K * (1 + self.langevin) + twice


def by_family(process: ImageProcess, scheme: str) -> str:
    """The scheme itself; "paper" is em-point for VP and pc for VE. Raises `BadInput`."""
    return _PAPER[process.kind] if one_of("scheme", scheme, SCHEMES) == "paper" else scheme


def theory_scheme(scheme: str) -> str | None:
    """The scheme of `wbound.sampler.scheme` that this one is, None for the predictor–corrector. Raises `BadInput`."""
    return None if one_of("scheme", scheme, tuple(_OWNERS)) == "pc" else _OWNERS[scheme]


def start_of(process: ImageProcess) -> str:
    """The start that image samplers take, in `wbound.setting`'s words: N(0, I) for VP, the prior for VE."""
    return "standard" if process.kind == "vp" else "prior"


def nodes_of(process: ImageProcess, K: int, grid: str | Grid = "uniform") -> Nodes:
    """The K + 1 nodes from t = 1 to 0; a named grid's scales are those of data with variance 1. Raises
    `BadInput`."""
    return grid_named(grid).nodes(process.process, None, 1.0, count("K", K))


def theory_setting(
    process: ImageProcess, data: Gaussian, K: int, scheme: str = "em", grid: str | Grid = "uniform"
) -> Setting | None:
    """The same sampler as a `Setting` for exact laws and bounds, on ``data`` as it ends with; None for "pc"."""
    owner = theory_scheme(by_family(process, scheme))
    if owner is None:
        return None
    made = setting(process.process, data, 1.0, K, scheme=owner, start=start_of(process))
    return replace(made, nodes=nodes_of(process, K, grid))


def plan(
    process: ImageProcess, K: int, scheme: str = "em", grid: str | Grid = "uniform", langevin: int = 1
) -> Plan:
    """The `Plan` of K steps from t = 1 to 0. Raises `BadInput`.

    "pc": reverse diffusion after ``langevin`` corrector steps. Reverse diffusion (Song et al., 2021, appendix E)
    undoes a step of the forward chain, here the process's exact transition (mean factor e^{−F} = α_{k−1}/α_k,
    variance v): A = 2 − e^{−F}, C = Q = v; for VP it is theirs with √(1 − β_i) = e^{−F}, for VE it is em.
    """
    scheme = by_family(process, scheme)
    owner = STEPS[_OWNERS[scheme]]
    nodes = nodes_of(process, K, grid)
    steps = owner.steps(nodes.batch)
    A, C, Q = (np.asarray(v, float) for v in (steps.A, steps.C, steps.Q))
    t = np.maximum(nodes.t, process.t_min)  # where networks are trained
    if scheme == "pc":
        forward = 1.0 / A  # e^{−F}
        v = C * forward
        # Algorithm 5's α_i is 1 − β_i of a VP chain
        return Plan(t[:-1], t[1:], 2.0 - forward, v, v, None, count("langevin", langevin), forward**2)
    second = None if steps.corrector is None else (steps.corrector.C, steps.corrector.D)
    return Plan(t[:-1], t[1:], A, C, Q, second)


def sample_images(
    score: Score,
    process: ImageProcess,
    shape: Sequence[int],
    K: int,
    scheme: str = "em",
    seeds: Sequence[int] = (0,),
    device: str | torch.device = "cpu",
    batch: int = 256,
    *,
    grid: str | Grid = "uniform",
    snr: float = SNR,
    langevin: int = 1,
    denoise: bool | None = None,
    dtype: torch.dtype = torch.float32,
    watch: Callable[[int, float, torch.Tensor, torch.Tensor], Any] | None = None,
    progress: Callable[[int], Any] | None = None,
) -> torch.Tensor:
    """One image a seed, (n, C, H, W) on ``device``, in the data's coordinates (nominally [−1, 1], not clipped).

    Image i is a function of ``seeds[i]`` and of everything but ``batch``: each has its own generator for its
    start and every step's noise. Starts: N(0, I) for VP, N(0, prior_std² I) for VE. ``snr`` and ``langevin``
    are the predictor–corrector's (Song et al., 2021, Algorithms 4 and 5), whose step size is taken from each
    image's own norms, where theirs averages them over the batch. ``denoise`` leaves the last step's noise out,
    as Song et al. do; default: for "pc" alone, since the law of the other schemes is section 3's.
    ``watch(k, t, x, s)`` sees every state and score of the (first) stage, ``progress(images)`` each finished
    step. Raises `BadInput`; a score that is not finite is the caller's to judge.
    """
    scheme = by_family(process, scheme)
    steps = plan(process, K, scheme, grid, langevin)
    n, size = len(seeds), tuple(count("shape", side) for side in shape)
    room(n, size, batch, 1 + steps.K * (1 + steps.langevin))
    numbers = seeds_of(seeds)
    many = count("batch", batch)
    nonnegative("snr", snr)
    bare = scheme == "pc" if denoise is None else denoise
    if len(size) != 3 or n == 0:
        raise BadInput("shape", tuple(shape), "must be (channels, height, width), with one seed or more")
    out = torch.empty((n, *size), dtype=dtype, device=device)
    for first in range(0, n, many):
        chosen = numbers[first : first + many]
        noise = noise_of(chosen, size, device, dtype, 1 + steps.K * (1 + steps.langevin))
        done = _run(score, steps, process.prior_std, noise, bare, snr, watch, progress)
        out[first : first + many] = done
    return out


def seeds_of(seeds: Sequence[int]) -> list[int]:
    """The seeds, each in 0 … `MOST_SEED`. Raises `BadInput`."""
    numbers = [count("seeds", int(seed), 0) for seed in seeds]
    if max(numbers, default=0) > MOST_SEED:
        raise BadInput("seeds", max(numbers), f"must be at most {MOST_SEED}")
    return numbers


def room(n: int, shape: Sequence[int], batch: int = 1, draws: int = 1) -> None:
    """Refuse n images, and a batch's noise, that would not fit into memory. Raises `BadInput`."""
    numbers = math.prod(shape)
    fits("n", n, 4.0 * numbers + 100.0, "the images")  # and their seeds
    ahead = max(numbers, min(BLOCK, draws * numbers))
    fits("batch", min(batch, n), 8.0 * ahead, "the noise of a batch")


#: Numbers that an image's generator gives at once: a call costs as much as thousands of them.
BLOCK = 1 << 16


def noise_of(
    seeds: Sequence[int], size: tuple[int, ...], device: str | torch.device, dtype: torch.dtype, draws: int
) -> Iterator[torch.Tensor]:
    """``draws`` draws of shape (B, C, H, W), row i from image i's own generator."""
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
    # a function of the image's size alone: what a generator gives depends on how it is asked
    most = max(1, BLOCK // math.prod(size))
    for first in range(0, draws, most):
        asked = (min(most, draws - first), *size)
        rows = [torch.randn(asked, generator=g, device=device, dtype=dtype) for g in generators]
        yield from torch.stack(rows, dim=1)


@torch.no_grad()
def _run(
    score: Score,
    steps: Plan,
    prior_std: float,
    noise: Iterator[torch.Tensor],
    bare: bool,
    snr: float,
    watch: Callable[[int, float, torch.Tensor, torch.Tensor], Any] | None,
    progress: Callable[[int], Any] | None,
) -> torch.Tensor:
    x = next(noise) * prior_std
    at = _asked(score, np.append(steps.t, steps.t_next[-1:]), x)
    for k in range(steps.K):
        t = float(steps.t[k])
        if steps.alpha is not None:
            for _ in range(steps.langevin):
                x = _langevin(x, at(x, k), next(noise), snr, float(steps.alpha[k]))
        s = at(x, k)
        if watch is not None:
            watch(k, t, x, s)
        y = float(steps.A[k]) * x + float(steps.C[k]) * s
        if steps.second is not None:
            C, D = (float(part[k]) for part in steps.second)
            corrected = float(steps.A[k]) * x + C * s
            y = corrected + D * at(y, k + 1) if D else corrected
        if steps.Q[k] > 0.0 and (k < steps.K - 1 or not bare):
            y = y + math.sqrt(steps.Q[k]) * next(noise)
        x = y
        if progress is not None:
            progress(len(x))
    return x


def _asked(score: Score, times: Array, x: torch.Tensor) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """The score at the k-th of the times: of a `TimedScore` from a table made once, so that nothing in the loop waits
    for the device; of any other function, at a tensor of the time."""
    if isinstance(score, TimedScore):
        table = score.table(times, x)
        return lambda x, k: score.at(x, table[:, k : k + 1])
    return lambda x, k: score(x, torch.full((len(x),), float(times[k]), dtype=x.dtype, device=x.device))


def _langevin(x: torch.Tensor, s: torch.Tensor, z: torch.Tensor, snr: float, alpha: float) -> torch.Tensor:
    """x + ε s + √(2ε) z with ε = 2α (r ‖z‖/‖s‖)² of each image (Song et al., 2021, Algorithms 4 and 5)."""
    along = (len(x), *[1] * (x.dim() - 1))
    ratio = z.flatten(1).norm(dim=1) / s.flatten(1).norm(dim=1)
    eps = (2.0 * alpha * (snr * ratio) ** 2).reshape(along)
    return x + eps * s + torch.sqrt(2.0 * eps) * z
