"""The eight processes side by side: quality against training iterations and sampling steps, beside the theory.

What is measured: distances of samples from held-out images (`numerics.cifar10.evaluation`), all sampling seeds,
mean and spread. What stands beside it, on the Gaussian with the same data's mean and covariance + τ² I: the exact
W2 of the same sampler with the exact score, and the K that Theorem 2 asks for; and how well they rank the measured.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from numerics.cifar10.evaluation import (
    COMPONENTS,
    FEATURE_FREE,
    Extractor,
    Quality,
    Reference,
    Summary,
    fid,
    fid_rows,
    inception_score,
    summary,
)
from numerics.cifar10.gaussian_images import GaussianImages, gaussian_of
from numerics.cifar10.images import ImageSet, to_uint8
from numerics.cifar10.kept_cells import CellStore
from numerics.cifar10.network_error import final_law
from numerics.cifar10.processes import ImageProcess
from numerics.cifar10.sample_quality import Statistics, frechet
from numerics.cifar10.sampling import (
    MOST_SEED,
    SCHEMES,
    Score,
    by_family,
    plan,
    room,
    sample_images,
    start_of,
    theory_scheme,
    theory_setting,
)
from numerics.transport.samples import LEAST
from wbound.complexity.least_steps import iterations
from wbound.errors import BadInput, WboundError, count, one_of, positive
from wbound.exact.gaussian_law import EXACT_LAW

__all__ = [
    "Comparison",
    "Judge",
    "Measured",
    "Side",
    "Snapshot",
    "Sweep",
    "Theory",
    "assemble",
    "correlation",
    "judge_of",
    "measure",
    "theory_of",
]

Tell = Callable[[str], Any]


@dataclass(frozen=True)
class Sweep:
    """What is swept: ``steps`` K of the trained networks; ``at`` the K at which training is followed; ``n``
    images a seed, ``seeds`` of sampling; ``scheme``, ``grid``; ``eps_rel`` and ``tau`` of the theory's side: ε as
    a share of the data's spread, and τ in the images' units."""

    steps: tuple[int, ...] = (10, 30, 100, 300, 1000)
    at: int = 100
    n: int = 1000
    seeds: int = 3
    scheme: str = "em"
    grid: str = "uniform"
    eps_rel: float = 0.1
    tau: float = 0.1
    batch: int = 256
    components: int = COMPONENTS

    def __post_init__(self) -> None:
        if not self.steps:
            raise BadInput("steps", self.steps, "must be one K or more")
        for name, values in (("steps", self.steps), ("at", (self.at,)), ("seeds", (self.seeds,))):
            for value in values:
                count(name, value)
        count("n", self.n, LEAST)
        if self.seeds * self.n > MOST_SEED:
            raise BadInput("seeds", self.seeds, f"with n = {self.n} there must be at most {MOST_SEED} images")
        positive("eps_rel", self.eps_rel)
        positive("tau", self.tau)
        one_of("scheme", self.scheme, SCHEMES)


@dataclass(frozen=True)
class Snapshot:
    """A network after so many training iterations; 0: as it was made. ``identity``: of its weights and how it runs, ""
    where nothing is known of them: then nothing measured with it is kept."""

    iterations: int
    score: Score
    identity: str = ""


@dataclass(frozen=True)
class Measured:
    """One cell: samples of one network, distances from the held-out images in the data's units (W2, not squared).

    ``sliced`` and ``bures`` in pixel space, ``pca_sliced`` and ``pca_bures`` on the first principal components:
    `Summary` over the seeds, None where the sampler diverged; low ≤ W2 ≤ high at 99 % for the first seed.
    ``fid`` (by n) and ``inception_score`` are None without weights. ``seconds``: sampling, all seeds.
    """

    process: str
    iterations: int
    K: int
    evaluations: int
    sliced: Summary | None
    bures: Summary | None
    pca_sliced: Summary | None
    pca_bures: Summary | None
    low: float | None
    high: float | None
    seconds: float
    fid: tuple[tuple[int, Summary], ...] | None = None
    inception_score: Summary | None = None


@dataclass(frozen=True)
class Theory:
    """The theory's side of a process on the Gaussian surrogate. ``K``: least K with Theorem 2 ≤ ``eps`` on [0, 1]
    (*upper*), None with a ``reason``; ``exact``: W2 of the exact law by K (*exact*), {} for the predictor–corrector.
    """

    process: str
    eps: float
    K: int | None
    reason: str | None
    exact: Mapping[int, float]


class Side(NamedTuple):
    """One process: what the theory says and what was measured."""

    theory: Theory
    measured: tuple[Measured, ...]


@dataclass(frozen=True)
class Comparison:
    """Everything that `compare` found. ``floor``: n real training images against the held-out ones, below which
    nothing can be told; ``correlations``: by K and by what is measured (sliced and Bures W2 in pixel space, FID at
    its largest n), Spearman's with the exact W2 and with theory's K;
    ``spread``: ‖X_0 − E X_0‖ of the data."""

    data: str
    shape: tuple[int, int, int]
    sweep: Sweep
    measured: tuple[Measured, ...]
    theory: tuple[Theory, ...]
    floor: Quality
    spread: float
    correlations: tuple[dict[str, Any], ...]
    seconds: float
    label: str = FEATURE_FREE
    sha256: str | None = None
    notes: tuple[str, ...] = field(default=())

    def cell(self, process: str, K: int, iterations: int | None = None) -> Measured | None:
        """The cell of a process at K, of the last network unless ``iterations`` are given."""
        found = [m for m in self.measured if m.process == process and m.K == K]
        if iterations is not None:
            found = [m for m in found if m.iterations == iterations]
        return max(found, key=lambda m: m.iterations, default=None)

    def trained(self, process: str) -> list[Measured]:
        """The cells of the last network, by K."""
        last = max(m.iterations for m in self.measured if m.process == process)
        return sorted(
            (m for m in self.measured if m.process == process and m.iterations == last), key=lambda m: m.K
        )

    def followed(self, process: str) -> list[Measured]:
        """The cells at ``sweep.at``, by training iterations."""
        return sorted(
            (m for m in self.measured if m.process == process and m.K == self.sweep.at),
            key=lambda m: m.iterations,
        )


def correlation(a: Sequence[float | None], b: Sequence[float | None]) -> float | None:
    """Spearman's rank correlation of the pairs that have both; None for fewer than three or a constant side."""
    from scipy.stats import spearmanr

    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    sides = list(zip(*pairs, strict=True))
    if len(pairs) < 3 or any(len(set(side)) == 1 for side in sides):
        return None
    return float(spearmanr(*sides).statistic)


def theory_of(process: ImageProcess, law: GaussianImages, sweep: Sweep) -> Theory:
    """The `Theory` of a process on the Gaussian surrogate ``law`` of the data."""
    data = final_law(process, law)
    eps = sweep.eps_rel * math.sqrt(float(law.eigenvalues.sum()))
    owner = theory_scheme(by_family(process, sweep.scheme))
    if owner is None:
        return Theory(process.name, eps, None, "the predictor–corrector is no linear step", {})
    found = (
        (K, theory_setting(process, data, K, sweep.scheme, sweep.grid)) for K in {*sweep.steps, sweep.at}
    )
    exact = {K: float(EXACT_LAW(s)) for K, s in found if s is not None}
    try:
        asked = iterations(process.process, data, eps, scheme=owner, start=start_of(process), T=1.0)
    except WboundError as error:
        return Theory(process.name, eps, None, str(error), exact)
    return Theory(process.name, eps, int(asked.K), None, exact)


@dataclass(frozen=True)
class Judge:
    """Networks → cells: the held-out images, the Gaussian surrogate of the training ones, and, where there are
    weights, the training images' features, or saved statistics of features. Made by `judge_of`."""

    name: str
    reference: Reference
    law: GaussianImages
    shape: tuple[int, int, int]
    device: torch.device
    sweep: Sweep
    extractor: Extractor | None
    real: torch.Tensor | Statistics | None

    def cell(
        self, process: ImageProcess, snapshot: Snapshot, K: int, store: CellStore | None = None
    ) -> Measured:
        """One cell, measured now or, where ``store`` has it, before."""
        s = self.sweep
        path = None
        if store is not None and snapshot.identity:
            path = store.path(self._all_of(process, snapshot, K))
            kept = store.get(path)
            if kept is not None:
                return Measured(**kept)
        room(s.seeds * s.n, self.shape)
        began = time.perf_counter()

        def draw(first: int, last: int) -> torch.Tensor:
            seeds = range(first, last)
            return sample_images(
                snapshot.score,
                process,
                self.shape,
                K,
                s.scheme,
                seeds,
                self.device,
                s.batch,
                grid=s.grid,
            )

        groups = []
        for low in range(0, s.seeds * s.n, s.n):
            parts = [(i, min(i + s.batch, low + s.n)) for i in range(low, low + s.n, s.batch)]
            if path is None or store is None:
                groups.append(torch.cat([draw(*part) for part in parts]))
            else:
                found = [store.drawn(path, part[0], lambda part=part: draw(*part)) for part in parts]  # type: ignore[misc]
                groups.append(torch.cat([x.to(self.device) for x in found]))
        made = self._measured(process, snapshot, K, groups, time.perf_counter() - began)
        if path is not None and store is not None:
            store.put(path, made)
        return made

    def _all_of(self, process: ImageProcess, snapshot: Snapshot, K: int) -> dict[str, Any]:
        """All that a cell depends on, as plain values."""
        swept = {k: getattr(self.sweep, k) for k in ("n", "seeds", "scheme", "grid", "batch", "components")}
        held = hashlib.sha256(self.reference.held.tobytes() + self.reference.train.tobytes()).hexdigest()
        return {
            **{"process": process.to_dict(), "network": snapshot.identity, "iterations": snapshot.iterations},
            **{"K": K, "sweep": swept, "data": held, "device": self.device.type},
            "inception": None if self.extractor is None else self.extractor.sha256,
            **({"statistics": self.real.sha256} if isinstance(self.real, Statistics) else {}),
        }

    def _measured(
        self,
        process: ImageProcess,
        snapshot: Snapshot,
        K: int,
        groups: Sequence[torch.Tensor],
        seconds: float,
    ) -> Measured:
        s = self.sweep
        evaluations = plan(process, K, s.scheme, s.grid).evaluations
        name, done = process.name, snapshot.iterations
        if not all(bool(torch.isfinite(x).all()) for x in groups):
            return Measured(name, done, K, evaluations, None, None, None, None, None, None, seconds)
        found = [self.reference.quality(x, bracket=i == 0) for i, x in enumerate(groups)]
        values = {
            (space, key): summary([getattr(q.spaces[space], key) for q in found])
            for space in ("pixel", "pca")
            for key in ("sliced", "bures")
        }
        first = found[0].spaces["pixel"]
        fids, scores = self._features(groups)
        return Measured(
            name,
            done,
            K,
            evaluations,
            values["pixel", "sliced"],
            values["pixel", "bures"],
            values["pca", "sliced"],
            values["pca", "bures"],
            first.low,
            first.high,
            seconds,
            fids,
            scores,
        )

    def _features(
        self, groups: Sequence[torch.Tensor]
    ) -> tuple[tuple[tuple[int, Summary], ...] | None, Summary | None]:
        real = self.real
        if self.extractor is None or real is None:
            return None, None
        found = [self.extractor.all(to_uint8(x)) for x in groups]
        logits = [b for _, b in found if b is not None]
        scores = summary([inception_score(b)[0] for b in logits]) if logits else None

        def against(features: torch.Tensor) -> float:
            if isinstance(real, Statistics):
                return frechet(features.double().numpy(), real)
            return fid(real, features)

        return tuple(fid_rows(against, [a for a, _ in found])), scores


def judge_of(
    images: ImageSet,
    sweep: Sweep,
    *,
    seed: int = 0,
    extractor: Extractor | None = None,
    statistics: Statistics | None = None,
) -> Judge:
    """What judges networks trained on ``images.split(seed)[0]``; FID is from ``statistics``, where given, and else from
    these. Raises `BadInput`."""
    train, held = images.split(seed)
    if min(len(train), len(held)) < LEAST:  # before networks are trained on them
        raise BadInput("data", f"{len(held)} held-out images", f"must hold out {LEAST} or more")
    reference = Reference.of(train.floats(), held.floats(), sweep.components)
    law = gaussian_of(train, sweep.tau)
    real: torch.Tensor | Statistics | None = None
    if statistics is not None:
        if extractor is None:
            raise BadInput("statistics", statistics.data, "goes with --inception, or with --samples")
        statistics.suits(f"inception {extractor.sha256}", int(extractor.all(train.images[:2])[0].shape[1]))
        real = statistics
    elif extractor is not None:
        real = extractor.all(train.images)[0]
    return Judge(images.name, reference, law, images.shape, images.device, sweep, extractor, real)


def measure(
    judge: Judge,
    process: ImageProcess,
    snapshots: Sequence[Snapshot],
    tell: Tell = lambda text: None,
    store: CellStore | None = None,
) -> Side:
    """One process: the last network at every K, all of them at ``sweep.at``, and the theory. What ``store`` has is not
    measured again. Raises `BadInput`."""
    if not snapshots:
        raise BadInput("process", process.name, "has no checkpoint to sample from")
    s, cells = judge.sweep, []
    ordered = sorted(snapshots, key=lambda snapshot: snapshot.iterations)
    for snapshot in ordered:
        last = snapshot is ordered[-1]
        for K in sorted({*(s.steps if last else ()), s.at}):
            cells.append(judge.cell(process, snapshot, K, store))
            sliced = cells[-1].sliced
            said = "diverged" if sliced is None else f"sliced W2 {sliced.mean:.4g}"
            tell(f"{process.name}, {snapshot.iterations} iterations, K = {K}: {said}")
    return Side(theory_of(process, judge.law, s), tuple(cells))


def assemble(judge: Judge, sides: Sequence[Side], seconds: float, notes: tuple[str, ...] = ()) -> Comparison:
    """The `Comparison` of what `measure` found for each process; ``notes``: of the networks."""
    s = judge.sweep
    theory, measured = [side.theory for side in sides], [m for side in sides for m in side.measured]
    return Comparison(
        data=judge.name,
        shape=judge.shape,
        sweep=s,
        measured=tuple(measured),
        theory=tuple(theory),
        floor=judge.reference.floor(s.n),
        spread=float(np.sqrt(judge.reference.train.var(axis=0).sum())),
        correlations=tuple(_correlations(measured, theory, s)),
        seconds=seconds,
        sha256=None if judge.extractor is None else judge.extractor.sha256,
        notes=(
            f"theory's side: the Gaussian with the training images' mean and covariance + {s.tau:g}² I, with its "
            "exact score, on [0, 1]; VE rows end with data smoothed by sigma_min",
            f"theory's K is for ε = {s.eps_rel:g} ‖X_0 − E X_0‖ and the uniform grid",
            f"sampling seeds: {s.seeds}, of {s.n} images each; training seeds: one",
            *((judge.real.said,) if isinstance(judge.real, Statistics) else ()),
            *notes,
        ),
    )


def _correlations(
    measured: Sequence[Measured], theory: Sequence[Theory], sweep: Sweep
) -> Iterator[dict[str, Any]]:
    last = {t.process: max(m.iterations for m in measured if m.process == t.process) for t in theory}
    for K in sorted({*sweep.steps, sweep.at}):
        cells = {m.process: m for m in measured if m.K == K and m.iterations == last[m.process]}
        for name, value in (("sliced", _sliced), ("bures", _bures), ("fid", _fid)):
            values = [value(cells[t.process]) for t in theory]
            if all(v is None for v in values):
                continue
            yield {
                "K": K,
                "measured": name,
                "with_exact_w2": correlation([t.exact.get(K) for t in theory], values),
                "with_theory_K": correlation([t.K for t in theory], values),
                "processes": sum(v is not None for v in values),
            }


def _sliced(m: Measured) -> float | None:
    return None if m.sliced is None else m.sliced.mean


def _bures(m: Measured) -> float | None:
    return None if m.bures is None else m.bures.mean


def _fid(m: Measured) -> float | None:
    return m.fid[-1][1].mean if m.fid else None
