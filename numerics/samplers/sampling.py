"""Samplers with the exact score (section 3 of docs/theory.md), for any target, scheme, grid and start.

Particles move in chunks of fixed size, each with its own SFC64 generator spawned from the seed, so that the
bits do not depend on how many threads share the chunks.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from numerics.io.interrupts import uninterrupted
from numerics.io.progress_bar import bar
from numerics.samplers import random_midpoint
from numerics.samplers.coupled_plans import PairedPlan, RefinedPlan
from numerics.samplers.plans import GaussianPlan, MixturePlan, Plan, ProductPlan, ScorePlan, Step
from numerics.samplers.tape_plan import TapePlan
from numerics.targets.mixtures import Bimodal
from numerics.targets.products import SymmetricMixture
from numerics.targets.smooth_law import Smooth
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, HypothesisFailed, count
from wbound.exact.gaussian_law import alone
from wbound.forward.forward_process import Process
from wbound.memory import available
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.multistep import Multistep
from wbound.sampler.scheme import Scheme
from wbound.sampler.tape import Tape
from wbound.sampler.tape_of_scheme import tape_of
from wbound.typing import Array

__all__ = ["Paths", "coupled_exact", "coupled_paths", "sample", "samples"]


#: Particles in a chunk at least.
_LEAST = 64
#: Seconds after which a run is long enough for a progress bar.
_PATIENCE = 2.0

Seed = int | np.random.SeedSequence | np.random.Generator


class Paths(NamedTuple):
    """Ends of two coupled paths, (n, d) each, in x; ``error`` = ‖first − second‖ = (mean |·|²)^{1/2}."""

    first: Array
    second: Array

    @property
    def error(self) -> float:
        """The L2 distance of the pairs, in x: an upper bound of W2 between the two laws, up to sampling."""
        return math.sqrt(float(((self.first - self.second) ** 2).sum(axis=1).mean()))


def sample(
    process: Process | None,
    target: Any,
    T: float | None = None,
    K: int | None = None,
    n: int = 10_000,
    scheme: str | Scheme | Multistep | Tape = "em",
    seed: Seed = 0,
    *,
    start: str | None = None,
    grid: str | Grid = "uniform",
    score_bias: float = 0.0,
    score_noise: float = 0.0,
    bias: str | ArrayLike = "constant",
    threads: int | None = None,
    progress: bool | None = None,
) -> Array:
    """n independent outputs y_K of the sampler, (n, d) float64 in x (y_K/α_K where the grid stops early).

    Implements section 3: y_k = A_k y_{k−1} + C_k s_θ(y_{k−1}, τ_{k−1}) + √Q_k ξ_k with the target's exact
    score, s_θ = s + bias + noise (A3, section 11).

    T: forward time; K: steps (both come from an explicit grid); n: samples; scheme: a name of `wbound.SCHEMES` or a
    `wbound.Scheme`; one of `wbound.sampler.multistep.MULTISTEP` or "ddim(eta=0.5)", by their tapes (section 15; without
    score errors); "random-midpoint" or "ode-random-midpoint" (likewise; the levels are drawn 256 times, and the samples
    are independent given these); or a `Tape`, which brings levels and start of its own: it takes no T, K, grid, bias
    or noise, its process may be None, and start is one of `wbound.exact.law_of_tape.TAPE_STARTS` ("own" is the default).
    start: prior (the default), exact or standard. seed: a whole number ≥ 0, a SeedSequence, or a Generator (which is
    advanced): one seed gives one array of bits, on any number of threads.
    score_bias: M, the L2 size of the bias in 1/x, over all d coordinates, and ``bias`` its direction:
    "constant" (along (1, …, 1)), a vector (d,), or "worst": along the error y − Y, Y the coupled exact path,
    that the step is about to leave (Gaussian targets only). score_noise: V, the L2 size of independent
    Gaussian noise in the score, in 1/x.
    threads: default all that this process may use. progress: a bar on stderr; None shows one on a terminal
    once the run has taken two seconds. Memory: n·d doubles and some chunks; Ctrl-C stops between chunks.

    Raises `BadInput` for values out of range, steps so large that samples overflow, and n that does not fit
    the memory; `HypothesisFailed` for bias = worst without Gaussian data.
    Source: Gao, Nguyen & Zhu, arXiv 2311.11003 (em); Ho et al., 2020 (ddpm); Song et al., 2021 (ddim); Gao &
    Zhu, arXiv 2401.17958 (ode-ei); Karras et al., 2022 (heun); docs/theory.md (em-point, ei, hf, ode-hf, heun-lam).
    """
    if isinstance(scheme, Tape):
        alone(scheme, T, K, grid, score_noise=score_noise, score_bias=score_bias)
        return _run(TapePlan(scheme, as_scored(target), start or "own"), n, seed, threads, progress)
    if process is None:
        raise BadInput("process", "None", "must be wbound.process(name, …) or wbound.Process(f=…, g=…)")
    s = setting(
        process,
        target,
        T,
        K,
        scheme=scheme,
        start=start or "prior",
        grid=grid,
        score_bias=score_bias,
        score_noise=score_noise,
    )
    return samples(s, n, seed, bias=bias, threads=threads, progress=progress)


def samples(
    s: Setting,
    n: int = 10_000,
    seed: Seed = 0,
    *,
    bias: str | ArrayLike = "constant",
    threads: int | None = None,
    progress: bool | None = None,
) -> Array:
    """`sample` of a `Setting`: the same one that bounds, the exact law and a verdict take."""
    if isinstance(bias, str) and bias == "worst":
        plan: Plan = PairedPlan(_gaussian(s), _direction(s, "constant"), worst=True, both=False)
        return _run(plan, n, seed, threads, progress)
    direction = _direction(s, bias)
    data = s.data
    if s.scheme.memory is not None or s.scheme.random:
        if s.score_bias or s.score_noise:
            name, error = ("score_bias", s.score_bias) if s.score_bias else ("score_noise", s.score_noise)
            raise BadInput(name, error, f"must be 0: {s.scheme.name} is sampled with the exact score")
        if s.scheme.random:
            return random_midpoint.outputs(_scored(s), n, np.random.Generator(np.random.SFC64(_root(seed))))
        of = _scored(s).data
        return _run(
            TapePlan(tape_of(s), of, "exact" if s.start == "exact" else "own"), n, seed, threads, progress
        )
    if s.scheme.stages == 2:
        plan = ScorePlan(_scored(s), direction)
    elif isinstance(data, Gaussian):
        plan = GaussianPlan(s, direction)
    elif isinstance(data, SymmetricMixture | Bimodal):
        plan = MixturePlan(s, direction)
    elif isinstance(getattr(data, "line", None), Smooth):
        plan = ProductPlan(s, direction)
    else:
        plan = ScorePlan(_scored(s), direction)
    return _run(plan, n, seed, threads, progress)


def coupled_exact(
    process: Process,
    target: Any,
    T: float | None = None,
    K: int | None = None,
    n: int = 10_000,
    scheme: str | Scheme = "em",
    seed: Seed = 0,
    *,
    start: str = "prior",
    grid: str | Grid = "uniform",
    score_bias: float = 0.0,
    score_noise: float = 0.0,
    bias: str | ArrayLike = "constant",
    threads: int | None = None,
    progress: bool | None = None,
) -> Paths:
    """The sampler's output y_K beside the exact reverse SDE's Y, on one noise: Theorem 2's coupling.

    Y has the law p_0 exactly, so ``.error`` ≥ W2(L(y_K), p_0) up to sampling, and Theorem 2 bounds it; for hf
    on isotropic centred Gaussian data with bias = "worst" it is Eq. 7 itself. Gaussian targets only, else
    `HypothesisFailed`. Arguments and errors as in `sample`. Source: docs/theory.md, proof of Theorem 2.
    """
    s = setting(
        process,
        target,
        T,
        K,
        scheme=scheme,
        start=start,
        grid=grid,
        score_bias=score_bias,
        score_noise=score_noise,
    )
    return coupled(s, n, seed, bias=bias, threads=threads, progress=progress)


def coupled(
    s: Setting,
    n: int,
    seed: Seed = 0,
    *,
    bias: str | ArrayLike = "constant",
    threads: int | None = None,
    progress: bool | None = None,
) -> Paths:
    """`coupled_exact` of a setting. Raises `HypothesisFailed` where its data are not Gaussian."""
    s = _gaussian(s)
    worst = isinstance(bias, str) and bias == "worst"
    plan = PairedPlan(s, _direction(s, "constant" if worst else bias), worst=worst, both=True)
    return _split(_run(plan, n, seed, threads, progress))


def coupled_paths(
    process: Process,
    target: Any,
    T: float | None = None,
    K: int | None = None,
    n: int = 10_000,
    seed: Seed = 0,
    scheme: str | Scheme = "hf",
    *,
    start: str = "prior",
    grid: str | Grid = "uniform",
    progress: bool | None = None,
) -> Paths:
    """Outputs with K and with 2K steps, from one start and one Brownian motion: ``.error`` is the strong one.

    On ``grid`` with 2K steps, of which the coarse path takes two at once (an explicit grid is the fine one);
    any target with a ``score``. The coarse noise is the fine one's, weighted by √H. For hf the error falls as
    K^{−1} (proof of Theorem 2). Arguments and errors as in `sample`. Source: docs/theory.md, section 5.
    """
    steps = 2 * count("K", K) if K is not None else None
    s = _scored(setting(process, target, T, steps, scheme=scheme, start=start, grid=grid))
    return _split(_run(RefinedPlan(s, _direction(s, "constant")), n, seed, 1, progress))


def _split(both: Array) -> Paths:
    d = both.shape[1] // 2
    return Paths(both[:, :d], both[:, d:])


# ---------------------------------------------------------------------- what the user typed
def _gaussian(s: Setting) -> Setting:
    if isinstance(s.data, Gaussian):
        return s
    detail = f"the exact path of {type(s.data).__name__} is not at hand"
    raise HypothesisFailed("the coupled exact path", "Gaussian data", detail)


def _scored(s: Setting) -> Setting:
    """The setting with data that have a score: a plain `wbound` Gaussian becomes a target."""
    data = as_scored(s.data)
    if s.start == "exact" and not callable(getattr(data, "sample", None)):
        raise BadInput(
            "start", s.start, f"needs a target that can be sampled; {type(data).__name__} has no sample"
        )
    return s if data is s.data else replace(s, data=data)


def as_scored(data: Any) -> Any:
    """Data that have a score. Raises `BadInput`."""
    if isinstance(data, Gaussian) and not hasattr(data, "score"):
        from numerics.targets.products import Gaussian as Target

        return Target(data.mean, data.cov)
    if not callable(getattr(data, "score", None)):
        raise BadInput(
            "target", type(data).__name__, "has no score: give a target, such as numerics.Gaussian"
        )
    return data


def _direction(s: Setting, bias: str | ArrayLike) -> Array:
    """The unit vector (d,) of a constant bias."""
    d, allowed = s.data.d, f"must be constant, worst, or a vector of shape ({s.data.d},), finite and not 0"
    if isinstance(bias, str):
        if bias != "constant":
            raise BadInput("bias", bias, allowed)
        return np.full(d, 1.0 / math.sqrt(d))
    try:
        vector = np.asarray(bias, float)
    except (TypeError, ValueError):
        raise BadInput("bias", bias, allowed) from None
    if vector.shape != (d,) or not np.isfinite(vector).all() or not vector.any():
        raise BadInput("bias", f"shape {vector.shape}", allowed)
    vector = vector / np.abs(vector).max()
    return np.asarray(vector / np.linalg.norm(vector))


def _root(seed: Seed) -> np.random.SeedSequence:
    if isinstance(seed, np.random.SeedSequence):
        return seed
    if isinstance(seed, np.random.Generator):
        return np.random.SeedSequence(seed.integers(0, 1 << 32, 8).tolist())
    return np.random.SeedSequence(count("seed", seed, 0))


# ---------------------------------------------------------------------- chunks and threads
class _Chunks:
    """The state of a run: which particles a chunk has, its generator and, between blocks, its numbers."""

    def __init__(self, plan: Plan, n: int, seed: Seed) -> None:
        self.plan, self.root = plan, _root(seed)
        self.size = max(_LEAST, plan.chunk // plan.d)
        self.bounds = [(i, min(i + self.size, n)) for i in range(0, n, self.size)]
        self.out = np.empty((n, plan.columns))
        self.alive: list[tuple[np.random.Generator, Array] | None] = [None] * len(self.bounds)

    def advance(self, i: int, step: Step, last: bool) -> None:
        """One block of steps of chunk i; the last one writes the samples."""
        lo, hi = self.bounds[i]
        state = self.alive[i]
        if state is None:
            key = (*self.root.spawn_key, i)  # what self.root.spawn would give, without remembering
            child = np.random.SeedSequence(self.root.entropy, spawn_key=key, pool_size=self.root.pool_size)
            rng = np.random.Generator(np.random.SFC64(child))
            state = rng, self._room(lo, hi, last)
            self.plan.start(*state)
        step(*state)
        if not last:
            self.alive[i] = state
            return
        self.alive[i] = None
        done = self.plan.finish(state[1])
        if not np.isfinite(done).all():
            raise BadInput("K", self.plan.K, "samples overflow: take more steps or a smaller T")
        self.out[lo:hi] = done

    def _room(self, lo: int, hi: int, last: bool) -> Array:
        """Where a chunk lives: its own part of the result if it has to wait between blocks."""
        shape = self.plan.rows, hi - lo
        if last or self.plan.rows != self.plan.columns:
            return np.empty(shape)
        return self.out[lo:hi].reshape(shape)


def cores() -> int:
    """Cores that this process may use."""
    from joblib import cpu_count

    return int(cpu_count())


def _run(plan: Plan, n: int, seed: Seed, threads: int | None, progress: bool | None) -> Array:
    n = count("n", n)
    _refuse_oversize(n, plan)
    workers = cores() if threads is None else count("threads", threads)
    chunks, K = _Chunks(plan, n, seed), plan.K
    done = 0
    with _bar(n * K, progress) as tick:
        for steps, step in plan.steps():
            done += steps
            _each(chunks, step, done == K, steps, workers if plan.parallel else 1, tick)
    return chunks.out


def _each(
    chunks: _Chunks, step: Step, last: bool, steps: int, workers: int, tick: Callable[[int], None]
) -> None:
    """Every chunk by one block. On any error or Ctrl-C: no new chunk, wait for those at work, raise."""
    work = [(hi - lo) * steps for lo, hi in chunks.bounds]
    if min(workers, len(work)) == 1:
        for i, size in enumerate(work):
            chunks.advance(i, step, last)
            tick(size)
        return
    stop = threading.Event()

    def one(i: int) -> int:
        if not stop.is_set():
            chunks.advance(i, step, last)
        return work[i]

    with ThreadPoolExecutor(min(workers, len(work)), thread_name_prefix="sampler") as pool:
        try:
            with uninterrupted():
                futures = [pool.submit(one, i) for i in range(len(work))]
            for future in as_completed(futures):
                tick(future.result())
        except BaseException:
            stop.set()
            raise


@contextmanager
def _bar(total: int, progress: bool | None) -> Iterator[Callable[[int], None]]:
    """A tqdm bar on stderr in particle-steps: always, never, or (None) on a terminal after `_PATIENCE`."""
    if progress is False:
        yield lambda size: None
        return
    patience = 0.0 if progress else _PATIENCE
    hidden = None if progress is None else False  # None: tqdm asks whether stderr is a terminal
    with bar(
        total=total, desc="sampling", unit="step", unit_scale=True, delay=patience, disable=hidden
    ) as shown:
        yield lambda size: shown.update(size) and None


def _refuse_oversize(n: int, plan: Plan) -> None:
    rows = plan.columns if plan.rows == plan.columns else plan.columns + plan.rows
    need, limit = 8.0 * n * rows, 0.9 * available()
    if need > limit:
        fits = int(limit / (8.0 * rows))
        raise BadInput("n", n, f"must be at most {fits}: d = {plan.d} would take {1e-9 * need:.3g} GB")
