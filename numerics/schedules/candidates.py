"""What a ranking ranks: each process on its own uniform grid, and each grid of the clock once for all the
processes that the scheme reads alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wbound import Process, process
from wbound.data.curvature import Curvature
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput
from wbound.forward.catalogue import CATALOGUE, NAMED
from wbound.forward.catalogue_flow import FLOW
from wbound.forward.catalogue_images import IMAGES, reaching
from wbound.sampler.placement import PLACEMENTS
from wbound.sampler.scheme import scheme_named
from wbound.typing import Array

__all__ = [
    "Candidate",
    "Maker",
    "alpha_classes",
    "candidates_of",
    "makers_of",
    "on_clock",
    "pointwise",
    "remembers",
    "seen_as",
    "sees_alpha",
    "squeezed",
    "told_apart",
    "twin",
    "within",
]


#: From log λ(T) to the process and its T.
Maker = Callable[[float], tuple[Process, float]]


#: From log λ(T) and K to the nodes log λ (K+1,), the process behind them and its T.
Place = Callable[[float, int], tuple[Array, Process | None, float]]


class Candidate:
    """What makes a row: nodes for a given log λ(T) and K, and the process behind them. ``trial`` is `place` for a search,
    whose processes nobody keeps."""

    def __init__(self, name: str, grid: str, place: Place, trial: Place | None = None):
        self.name, self.grid, self.place = name, grid, place
        self.trial = place if trial is None else trial

    def places(self, levels: Sequence[float], K: int) -> list[tuple[Array, Process | None, float] | None]:
        """`trial` at each log λ(T); None where it raises `BadInput`."""
        if isinstance(self.trial, _Uniform):
            return self.trial.each(levels, K)
        return [_or_none(self.trial, u, K) for u in levels]


def _or_none(place: Place, u: float, K: int) -> tuple[Array, Process | None, float] | None:
    try:
        return place(u, K)
    except BadInput:
        return None


def within(row: Candidate, low: float, high: float) -> Candidate:
    """The row with its levels above 0 in [low, high] (log λ), for a scheme that sees the clock alone: what lies outside
    is squeezed into it, and is then no process's own."""

    def held_in(place: Place) -> Place:
        def nodes(u: float, K: int) -> tuple[Array, Process | None, float]:
            log_lam, p, T = place(u, K)
            held = squeezed(log_lam, low, high)
            return (log_lam, p, T) if held is log_lam else (held, None, math.nan)

        return nodes

    return Candidate(row.name, row.grid, held_in(row.place), held_in(row.trial))


def squeezed(log_lam: Array, low: float, high: float) -> Array:
    """The nodes (K+1,) with those above 0 in [low, high]: moved there by one linear map of log λ where they are not."""
    first, last = float(log_lam[0]), float(log_lam[-2])
    top, bottom = min(max(first, low), high), min(max(last, low), high)
    if (top, bottom) == (first, last):
        return log_lam
    if log_lam.size == 2:
        return np.array([top, -math.inf])
    if not bottom < top:
        raise BadInput("sigma_max", math.exp(0.5 * first), "leaves no range for the levels")
    out = bottom + (log_lam - last) * ((top - bottom) / (first - last))
    out[0], out[-2] = top, bottom
    return np.asarray(out)


def remembers(scheme: str) -> bool:
    """Whether it is a multistep scheme, or DDIM with η: known by its tape, and seeing the clock alone."""
    return scheme_named(scheme).memory is not None


def on_clock(scheme: str) -> bool:
    """Whether it sees a process through its clock alone."""
    return scheme_named(scheme).sees == "clock"


def seen_as(scheme: str, p: Process | None) -> str | None:
    """The scheme that this one is, seen through this process's clock; None if it sees α too."""
    if on_clock(scheme):
        return scheme
    if pointwise(scheme):
        return None
    return twin(scheme) if p is None or p.family == "ve" else None


def pointwise(scheme: str) -> bool:
    """Whether it sees f and g at a time."""
    return scheme_named(scheme).sees == "point"


def twin(scheme: str) -> str:
    """What em, ei or ode-ei is on a VE process; em-point and em-point-arrival tend to it as steps shrink."""
    return "ode-hf" if scheme_named(scheme).flow else "hf"


def makers_of(processes: Sequence[str | Process] | None, facts: LogConcave) -> list[tuple[str, Maker]]:
    chosen = (
        list(processes) if processes is not None else [*CATALOGUE, *(row.name for row in (*IMAGES, *FLOW))]
    )
    return [_maker(p, facts) for p in chosen]


def candidates_of(
    scheme: str, makers: list[tuple[str, Maker]], grids: list[str], data: Gaussian, facts: LogConcave
) -> list[Candidate]:
    """The rows: each process on a uniform grid, and each grid of the clock once, or once for each of what the
    scheme tells apart."""
    rows = []
    if "uniform" in grids:
        rows += [
            Candidate(name, "uniform", _Uniform(make), _Uniform(getattr(make, "trial", make)))
            for name, make in makers
        ]
    seen = told_apart(scheme, makers)
    whole = not pointwise(scheme) and (on_clock(scheme) or any(not sees_alpha(make) for _, make in makers))
    for grid in (g for g in grids if g != "uniform"):
        place = PLACEMENTS[grid]
        known: Curvature = facts if grid in ("optimal", "sinh") else data
        if whole:
            rows.append(Candidate("any" if on_clock(scheme) else "any VE", grid, _anywhere(place, known)))
        rows += [Candidate(name, grid, _through(place, known, make)) for name, make in seen]
    return rows


def _maker(p: str | Process, facts: LogConcave) -> tuple[str, Maker]:
    """A process's name, and from log λ(T) the process and T: by T, or for images by sigma_max or beta_max;
    the optimal clock is that of the data's m_0 and L_0."""
    if isinstance(p, Process):
        return p.name, _Known(p)
    name = p
    if any(row.name == name for row in IMAGES):
        return name, _Reaching(name)
    optimal = name.startswith("optimal")
    named = process(name, m0=facts.m0, L0=facts.L0) if optimal else process(name)
    return name, _Known(named)


@dataclass(frozen=True, eq=False)
class _Known:
    """A `Maker` of one process, at the time at which its clock gets to a level."""

    process: Process

    def __call__(self, u: float) -> tuple[Process, float]:
        return self.process, float(self.process.time_of(u))


@dataclass(frozen=True)
class _Reaching:
    """A `Maker` of the image process of a name whose largest parameter gets to a level."""

    name: str

    def __call__(self, u: float) -> tuple[Process, float]:
        return NAMED[self.name].make(reaching(self.name, u)), 1.0

    def trial(self, u: float) -> tuple[Process, float]:
        """The same, its closed forms not held against quadrature."""
        return NAMED[self.name].make(reaching(self.name, u), checked=False), 1.0


def sees_alpha(make: Maker) -> bool:
    """Whether a process has another α than 1."""
    return make(3.0)[0].family != "ve"


def told_apart(scheme: str, makers: list[tuple[str, Maker]]) -> list[tuple[str, Maker]]:
    """The processes through which a grid of the clock is another sampler: none where the scheme sees λ alone, one for
    each α(λ) where it sees α, all where it sees f and g at a time."""
    if on_clock(scheme):
        return []
    return list(makers) if scheme_named(scheme).sees == "point" else alpha_classes(makers)


def alpha_classes(makers: list[tuple[str, Maker]]) -> list[tuple[str, Maker]]:
    """One process for each α as a function of λ: all that have σ² = 1 − α² read a grid of the clock alike."""
    classes: dict[Any, tuple[str, Maker]] = {}
    for name, make in makers:
        p = make(3.0)[0]
        if p.family != "ve":
            key = name if p.kappa is None else round(p.kappa, 12)
            classes.setdefault(key, ("any VP" if key == 1.0 else name, make))
    return list(classes.values())


@dataclass(frozen=True, eq=False)
class _Uniform:
    """A process on its own uniform grid."""

    make: Maker

    def __call__(self, u: float, K: int) -> tuple[Array, Process | None, float]:
        p, T = self.make(u)
        log_lam = p.log_lam(T * (np.arange(K, -1, -1) / K))
        if not (np.diff(log_lam) < 0.0).all():
            raise BadInput("T", T, "nodes coincide in double precision")
        return log_lam, p, T

    def each(self, levels: Sequence[float], K: int) -> list[tuple[Array, Process | None, float] | None]:
        """This at each log λ(T), the clock read once for all where it is one process's and gets to all of them."""
        if isinstance(self.make, _Known):
            p = self.make.process
            try:
                T = p.time_of(np.asarray(levels))
                rows = p.log_lam((T[:, None] * (np.arange(K, -1, -1) / K)).ravel()).reshape(T.size, K + 1)
            except BadInput:
                pass
            else:
                good = np.asarray((np.diff(rows) < 0.0).all(axis=1))
                return [(row, p, float(t)) if ok else None for row, t, ok in zip(rows, T, good, strict=True)]
        return [_or_none(self, u, K) for u in levels]


def _anywhere(place: Callable[[float, int, Curvature | None], Array], data: Curvature) -> Place:
    return lambda u, K: (place(u, K, data), None, math.nan)


def _through(place: Callable[[float, int, Curvature | None], Array], data: Curvature, make: Maker) -> Place:
    def nodes(u: float, K: int) -> tuple[Array, Process | None, float]:
        p, T = make(u)
        return place(u, K, data), p, T

    return nodes
