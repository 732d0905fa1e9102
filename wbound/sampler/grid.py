"""Grids and the nodes they give: a grid is a value, and every grid ends as times and log λ (section 0)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike

from wbound.data.curvature import Curvature
from wbound.errors import BadInput, count, one_of, positive
from wbound.forward.forward_process import Process
from wbound.memory import fits
from wbound.sampler import placement
from wbound.sampler.steps import Batch, GridBatch, batch
from wbound.typing import Array, Index

__all__ = ["EXPLICIT", "GRIDS", "OPTIONS", "Grid", "Nodes", "Placed", "grid_named", "log_nodes"]


#: Steps treated together: small enough for the processor's cache, which is worth a factor of several.
BLOCK = 32768
#: On so many steps at most what may be any number is chosen, where there are more than a block.
SAMPLED = 1024
#: Is told how many steps of a sum in several blocks are done, and of how many.
watch: Callable[[int, int], None] | None = None
#: The nodes of a grid of more steps are not held, but made as they are asked for.
HELD = 1 << 18
#: Bytes a node that is held, while its time is found.
ARRAY = 250.0
#: More steps than this are not summed one by one.
MOST_STEPS = 200_000_000


@dataclass(frozen=True, eq=False)
class Nodes:
    """Decreasing forward times τ_0 = T > … > τ_K, with log α and log λ there, arrays (K+1,).

    λ_K = 0, or δ > 0 when the sampler stops early (then the output is y_K/α_K).
    """

    process: Process
    t: Array
    uniform: bool
    #: log λ as the grid gave it, where it was placed in the clock
    given: Array | None = None

    @property
    def K(self) -> int:
        return int(self.t.size - 1)

    @property
    def T(self) -> float:
        return float(self.t[0])

    @cached_property
    def first(self) -> tuple[float, float]:
        """log α and log λ at τ_0 = T."""
        log_alpha, log_lam = self.process.law(self.t[:1])
        return float(log_alpha[0]), float(log_lam[0] if self.given is None else self.given[0])

    @cached_property
    def last(self) -> tuple[float, float]:
        """log α and log λ at τ_K: (0, −∞) unless stopped early."""
        log_alpha, log_lam = self.process.law(self.t[-1:])
        return float(log_alpha[0]), float(log_lam[0] if self.given is None else self.given[-1])

    @property
    def stopped_early(self) -> bool:
        return self.last[1] > -np.inf

    @cached_property
    def batch(self) -> Batch:
        """All K steps, in the sampler's order, held at once. Raises `BadInput` where they do not fit into memory."""
        fits("K", self.K, ARRAY, "all steps at once")
        return self._steps(0, self.K)

    @property
    def log_alpha(self) -> Array:
        """log α at the nodes (K+1,)."""
        return np.concatenate((self.batch.log_alpha_hi[:1], self.batch.log_alpha_lo))

    @property
    def log_lam(self) -> Array:
        """log λ at the nodes (K+1,)."""
        return np.concatenate((self.batch.log_lam_hi[:1], self.batch.log_lam_lo))

    @property
    def in_blocks(self) -> bool:
        """Whether the steps are more than a block."""
        return self.K > BLOCK

    def sampled(self) -> tuple[Batch, Array]:
        """Some of the steps, in the sampler's order, and how many each stands for (N,): the last ones, which are unlike
        the others, and the middle one of every group before. What may be any number (θ) is chosen on them."""
        last, first = SAMPLED // 8, max(self.K - SAMPLED // 8, 0)
        even = np.arange(0, first, max(-(-first // (SAMPLED - last)), 1))
        # ever shorter groups towards the data's end: where λ is small the clock has its own scale
        shorter = np.rint(self.K - np.geomspace(last, max(self.K, last), last // 2)).astype(np.int64)
        ends = np.unique(np.concatenate((even, shorter.clip(0), np.arange(first, self.K + 1))))
        counts = np.diff(ends)
        before = ends[:-1] + counts // 2
        found = batch(self.process, self.t[before + 1], self.t[before])
        if self.given is not None:
            found = replace(found, log_lam_lo=self.given[before + 1], log_lam_hi=self.given[before])
        return found, counts.astype(float)

    def blocks(self, size: int | None = None) -> Iterator[tuple[slice, Batch]]:
        """The steps in blocks, from the data's end (k = K) backward; within a block in the sampler's
        order."""
        size = BLOCK if size is None else size
        if size >= self.K:
            yield slice(0, self.K), self.batch
            return
        for end in range(self.K, 0, -size):
            begin = max(end - size, 0)
            yield slice(begin, end), self._steps(begin, end)
            self._tell(self.K - begin)

    def onward(self, size: int | None = None) -> Iterator[Batch]:
        """The steps in blocks, in the sampler's order."""
        size = BLOCK if size is None else size
        if size >= self.K:
            yield self.batch
            return
        for begin in range(0, self.K, size):
            end = min(begin + size, self.K)
            yield self._steps(begin, end)
            self._tell(end)

    def _tell(self, done: int) -> None:
        if watch is not None:
            watch(done, self.K)

    def _steps(self, begin: int, end: int) -> Batch:
        t = self.t[begin : end + 1]
        given = None if self.given is None else self.given[begin : end + 1]
        return GridBatch(self.process, t, given)


class Placed:
    """Values at the nodes of a grid, made as they are asked for: an array (K+1,) to whoever reads one.

    ``at``: indices k (N,), ascending, ↦ values there.
    """

    ndim = 1

    def __init__(self, K: int, at: Callable[[Index], Array]) -> None:
        self.size, self.shape, self.at = K + 1, (K + 1,), at
        self._last: tuple[tuple[int, int, int], Array] | None = None

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, where: Any) -> Any:
        if isinstance(where, slice):
            asked = where.indices(self.size)
            # log λ is asked for by the times, and then again by itself
            if self._last is None or self._last[0] != asked:
                self._last = asked, self.at(np.arange(*asked))
            return self._last[1]
        return self.at(where) if np.ndim(where) else self.at(np.array([range(self.size)[where]]))[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.at(np.arange(self.size))


class _Request(NamedTuple):
    """What a grid may look at when it places its nodes."""

    process: Process
    data: Curvature | None
    T: float
    K: int
    delta: float = 0.0

    @property
    def log_lam_T(self) -> float:
        return float(self.process.log_lam(self.T))


def _uniform(r: _Request) -> Placed:
    last = 0.0
    if r.delta:
        last = float(r.process.time_of(math.log(r.delta)))
        if not last < r.T:
            raise BadInput("delta", r.delta, f"must be below lam(T) = {math.exp(r.log_lam_T):.6g}")
    step = (r.T - last) / r.K

    def at(k: Index) -> Array:
        t = (r.K - k) * step
        if last:
            t += last
        t[k == 0] = r.T
        return np.asarray(t)

    return Placed(r.K, at)


def _levels(place: Callable[..., Array], *options: float | None) -> Callable[[_Request], Placed]:
    """K levels and then 0, or K + 1 levels down to δ; the last option is the least σ."""

    def levels(r: _Request) -> Placed:
        if r.delta:
            *others, _ = options
            least = (*others, math.sqrt(r.delta))
            return Placed(r.K, lambda k: place(r.log_lam_T, r.K + 1, r.data, *least, at=k))
        return Placed(r.K, lambda k: place(r.log_lam_T, r.K, r.data, *options, at=k))

    return levels


def _positive_or_none(delta: float | None) -> float | None:
    return None if delta is None else positive("delta", delta)


def _given(**options: float | None) -> tuple[tuple[str, float], ...]:
    return tuple((name, float(value)) for name, value in options.items() if value is not None)


@dataclass(frozen=True, eq=False)
class Grid:
    """How the nodes are placed: by name (`GRIDS`), or explicit times, λ or σ.

    ``place(request) -> (K+1,)`` gives decreasing values of ``coordinate`` ("t" or "log_lam"), the last at
    λ = 0 unless it stops early: an explicit grid made with stop="early", or a named one with ``delta`` (or
    with data that have one, such as `wbound.early_stopped`), which ends at λ_K = δ. Then the output is
    y_K/α_K (section 11). An explicit grid brings its own T and K. Beyond 2¹⁸ steps the nodes are made block by block;
    an explicit grid holds the values that it was given, 8 bytes each, and a ``place`` of your own that gives an array
    about 250 bytes a node while their times are found.
    """

    name: str
    coordinate: str
    place: Callable[[_Request], Array | Placed]
    explicit: bool = False
    length: int | None = None
    delta: float | None = None
    #: what an explicit grid was made of (K+1,)
    values: Array | None = None
    #: what a named one was made with, names and numbers (`OPTIONS`); None: a grid of your own, which no text says
    options: tuple[tuple[str, float], ...] | None = None

    @staticmethod
    def uniform(delta: float | None = None) -> Grid:
        """τ_k = T(1 − k/K), the published grid; with ``delta`` > 0 (x²) uniform down to λ_K = δ."""
        return Grid("uniform", "t", _uniform, delta=_positive_or_none(delta), options=_given(delta=delta))

    @staticmethod
    def power(exponent: float) -> Grid:
        """τ_k = T(1 − k/K)^exponent, exponent > 0: 1 is the published grid, and more puts more nodes near 0."""
        to = positive("exponent", exponent)

        def place(r: _Request) -> Placed:
            return Placed(r.K, lambda k: r.T * (1.0 - k / r.K) ** to)

        return Grid("power", "t", place, options=_given(exponent=to))

    @staticmethod
    def log_lam(sigma_min: float | None = None, delta: float | None = None) -> Grid:
        """Uniform in log λ: K levels from λ(T) to sigma_min² (default: `placement.SIGMA_MIN`), then 0; with
        ``delta`` K + 1 levels down to λ_K = δ."""
        place = _levels(placement.log_uniform, sigma_min)
        options = _given(sigma_min=sigma_min, delta=delta)
        return Grid("log-lam", "log_lam", place, delta=_positive_or_none(delta), options=options)

    @staticmethod
    def edm(rho: float = 7.0, sigma_min: float | None = None, delta: float | None = None) -> Grid:
        """σ^{1/ρ} uniform: K levels from √λ(T) to sigma_min in x (default: `placement.SIGMA_MIN`), then 0;
        with ``delta`` K + 1 levels down to λ_K = δ.

        Source: Karras et al., 2022, Eq. 5 (ρ = 7, σ from 0.002 to 80).
        """
        power = positive("rho", rho)
        place = _levels(placement.edm, power, sigma_min)
        options = _given(rho=power, sigma_min=sigma_min, delta=delta)
        return Grid("edm", "log_lam", place, delta=_positive_or_none(delta), options=options)

    @staticmethod
    def cosine() -> Grid:
        """The cosine schedule, λ in units of the data's mean variance (Nichol & Dhariwal, 2021)."""
        return _in_clock("cosine")

    @staticmethod
    def optimal() -> Grid:
        """Section 7's grid, H ∝ ((1+m_0λ)(1+L_0λ))^{2/3}, Theorem 2's best for hf as K → ∞; needs the data's m_0 and L_0
        (A1)."""
        return _in_clock("optimal")

    @staticmethod
    def gaussian() -> Grid:
        """Uniform in (σ_0²+λ)^{−1/2}, σ_0² the data's mean variance: for hf from the exact start asymptotically optimal
        on N(μ, σ_0²I)."""
        return _in_clock("gaussian")

    @staticmethod
    def tangent() -> Grid:
        """The grid on which `ddim` from the exact start reaches its floor on isotropic Gaussian data, and of a spectrum
        the tangent law's (section 16); other data count with their mean variance."""
        return _in_clock("tangent")

    @staticmethod
    def sinh() -> Grid:
        """λ_k = sinh²((K−k)h)/L_0, on which Theorem 7 for `heun-lambda` has a closed form (section 20); needs the data's
        L_0 (A1)."""
        return _in_clock("sinh")

    @staticmethod
    def from_t(values: ArrayLike, stop: str | None = None) -> Grid:
        """Explicit forward times (K+1,), strictly decreasing to 0; with stop="early" to a time above 0."""
        t = _decreasing(values, "grid times", stop)
        return Grid("from_t", "t", lambda r: t, True, t.size - 1, values=t)

    @staticmethod
    def from_lam(values: ArrayLike, stop: str | None = None) -> Grid:
        """Explicit clock values λ (K+1,) in x², strictly decreasing to 0; with stop="early" to δ > 0."""
        lam = _decreasing(values, "grid lam", stop)
        return Grid(
            "from_lam",
            "log_lam",
            lambda r: Placed(r.K, lambda k: log_nodes(lam[k])),
            True,
            lam.size - 1,
            values=lam,
        )

    @staticmethod
    def from_sigma(values: ArrayLike, stop: str | None = None) -> Grid:
        """Explicit noise levels √λ (K+1,) in x, strictly decreasing to 0; with stop="early" to √δ > 0."""
        sigma = _decreasing(values, "grid sigma", stop)

        def place(r: _Request) -> Placed:
            return Placed(r.K, lambda k: 2.0 * log_nodes(sigma[k]))

        return Grid("from_sigma", "log_lam", place, True, sigma.size - 1, values=sigma)

    def nodes(self, process: Process, data: Curvature | None, T: float | None, K: int | None) -> Nodes:
        """The grid read through ``process``'s clock. T and K are required unless the grid is explicit,
        and must agree with it if given. Raises `BadInput`."""
        if self.length is not None:
            if K is not None and count("K", K) != self.length:
                raise BadInput("K", K, f"the grid given has {self.length} steps")
            steps, end = self.length, 1.0
        else:
            steps, end = count("K", K), positive("T", T)
        if steps > MOST_STEPS:
            raise BadInput("K", K, "more steps than can be summed one by one; use wbound.iterations")
        if self.options is None and not self.explicit:
            fits("K", steps, ARRAY, "a grid of your own, whose nodes are held")
        delta = 0.0 if self.explicit else self.delta or (data.delta if data is not None else 0.0)
        if delta and self.name not in STOPPING:
            raise BadInput("grid", self.name, f"does not stop early: use {', '.join(STOPPING)}")
        values = self.place(_Request(process, data, end, steps, delta))
        if steps <= HELD:
            values = np.asarray(values)
        t = values if self.coordinate == "t" else self._times(process, values, end)
        if self.explicit and T is not None and abs(positive("T", T) - t[0]) > 1e-9 * t[0]:
            raise BadInput("T", T, f"the grid given starts at T = {t[0]:.12g}")
        process.check_domain(float(t[0]))
        if isinstance(t, np.ndarray) and self.name != "uniform":
            self._apart(t)
        uniform = self.name == "uniform" and not delta
        given = values if self.coordinate == "log_lam" else None
        nodes = Nodes(process, cast("Array", t), uniform, cast("Array | None", given))
        log_lam_T = nodes.first[1]
        if not np.isfinite(log_lam_T):
            raise BadInput("T", float(t[0]), "lam(T) must be > 0, and its logarithm finite")
        return nodes

    def _times(self, process: Process, log_lam: Array | Placed, T: float) -> Array | Placed:
        """Times at log λ (K+1,); of a named grid the first is T itself."""
        if isinstance(log_lam, np.ndarray):
            t = process.time_of(log_lam)
            if not self.explicit:
                t[0] = T
            return t

        def at(k: Index) -> Array:
            t = process.time_of(log_lam[slice(int(k[0]), int(k[-1]) + 1) if _all_between(k) else k])
            if not self.explicit:
                t[k == 0] = T
            self._apart(t)
            return t

        return Placed(log_lam.size - 1, at)

    def _apart(self, t: Array) -> None:
        if not (np.diff(t) < 0).all():
            raise BadInput(
                self.name, "grid", "its nodes coincide in double precision as times of this process"
            )


def _all_between(k: Index) -> bool:
    return k.size > 1 and int(k[-1] - k[0]) == k.size - 1


def _in_clock(name: str) -> Grid:
    place = placement.PLACEMENTS[name]
    return Grid(
        name,
        "log_lam",
        lambda r: Placed(r.K, lambda k: place(r.log_lam_T, r.K, r.data, at=k)),
        options=(),
    )


#: Named grids that can end at λ_K = δ > 0.
STOPPING = ("uniform", "log-lam", "edm")

#: Grids by name.
GRIDS: dict[str, Grid] = {
    "uniform": Grid.uniform(),
    **{name: _in_clock(name) for name in placement.PLACEMENTS},
    **{grid.name: grid for grid in (Grid.log_lam(), Grid.edm())},  # these can stop early
}

#: How grids with options are made, and what these are called.
OPTIONS: dict[str, tuple[Callable[..., Grid], tuple[str, ...]]] = {
    "uniform": (Grid.uniform, ("delta",)),
    "power": (Grid.power, ("exponent",)),
    "log-lam": (Grid.log_lam, ("sigma_min", "delta")),
    "edm": (Grid.edm, ("rho", "sigma_min", "delta")),
}
#: How explicit grids are made of their values.
EXPLICIT: dict[str, Callable[..., Grid]] = {
    "from_t": Grid.from_t,
    "from_lam": Grid.from_lam,
    "from_sigma": Grid.from_sigma,
}


def grid_named(grid: Any) -> Grid:
    """A `Grid`, or the one called so; a bare array is refused, since it could be t, λ or σ."""
    if isinstance(grid, Grid):
        return grid
    if not isinstance(grid, str):
        raise BadInput(
            "grid",
            grid,
            "must be a name or a Grid; say Grid.from_t, Grid.from_lam or Grid.from_sigma of an array",
        )
    return GRIDS[one_of("grid", grid, GRIDS)]


def _decreasing(values: ArrayLike, option: str, stop: str | None = None) -> Array:
    if stop is not None:
        one_of("stop", stop, ("early",))
    try:
        a = np.array(values, float)
    except (TypeError, ValueError):
        raise BadInput(option, values, "must be numbers") from None
    if a.ndim != 1 or a.size < 2:
        raise BadInput(option, f"shape {a.shape}", "must be a vector (K+1,) with K >= 1")
    if not np.isfinite(a).all():
        raise BadInput(
            option,
            f"{a[~np.isfinite(a)][0]} at index {int(np.flatnonzero(~np.isfinite(a))[0])}",
            "must be finite",
        )
    rising = np.flatnonzero(np.diff(a) >= 0)
    if rising.size:
        k = int(rising[0])
        raise BadInput(option, f"{a[k]:g}, {a[k + 1]:g} at index {k}", "must be strictly decreasing")
    if stop is None and a[-1] != 0.0:
        raise BadInput(option, f"last value {a[-1]:g}", "must end at 0 exactly (or say stop='early')")
    if stop is not None and not a[-1] > 0.0:
        raise BadInput(option, f"last value {a[-1]:g}", "must end above 0 where stop = early")
    return a


def log_nodes(values: Array) -> Array:
    """log λ of nodes that may end at λ = 0."""
    with np.errstate(divide="ignore"):  # the last node is λ = 0
        return np.log(values)
