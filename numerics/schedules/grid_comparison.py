"""Clocks and grids side by side: where each named schedule puts its K nodes in λ, and how far it is from the
numerically optimal grid with the same λ(T) (section 7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wbound.bounds.theorem_2 import THEOREM_2
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import gaussian_data
from wbound.design.placed_numerically import OBJECTIVES, NumericalGrid, numerical_grid
from wbound.errors import BadInput, HypothesisFailed, count, one_of
from wbound.exact.clock_law import Spectrum, clock_w2
from wbound.exact.floor import floor_w2
from wbound.forward.catalogue import PUBLISHED
from wbound.forward.catalogue import process as named
from wbound.forward.forward_process import Process
from wbound.sampler.grid import GRIDS, Grid, log_nodes
from wbound.sampler.make_setting import setting
from wbound.sampler.scheme import HF, scheme_named
from wbound.typing import Array

__all__ = ["Clockwork", "Lane", "side_by_side"]


#: Processes that stand beside the grids.
SHOWN = (*PUBLISHED, "sub-vp")


@dataclass(frozen=True, eq=False)
class Lane:
    """One schedule: log λ (K+1,), its Theorem 2 and its exact W2 in x (None where they do not apply), and the
    objective over the optimum's. ``kind``: "process" (uniform in t), "grid" or "optimum"."""

    name: str
    kind: str
    log_lam: Array
    theorem_2: float | None
    exact: float | None
    value: float
    factor: float

    @property
    def lam(self) -> Array:
        """λ (K+1,) in x², decreasing to 0."""
        return np.exp(self.log_lam)


@dataclass(frozen=True, eq=False)
class Clockwork:
    """The lanes, best first; ``floor`` is Eq. 11 as W2 for centred isotropic data from the exact start, else
    None; ``left_out``: schedules without nodes here, and why."""

    K: int
    lam_max: float
    objective: str
    scheme: str
    start: str
    lanes: tuple[Lane, ...]
    optimum: NumericalGrid
    floor: float | None
    left_out: dict[str, str]

    def lane(self, name: str) -> Lane:
        """The lane called so."""
        return next(lane for lane in self.lanes if lane.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        rows = [
            {
                **{k: getattr(lane, k) for k in ("name", "kind", "theorem_2", "exact", "value", "factor")},
                "lam": lane.lam.tolist(),
            }
            for lane in self.lanes
        ]
        own = ("K", "lam_max", "objective", "scheme", "start", "floor", "left_out")
        return {k: getattr(self, k) for k in own} | {"rows": rows, "optimum": self.optimum.to_dict()}


def _gaussian(data: Any) -> Gaussian | None:
    try:
        return gaussian_data(data)
    except HypothesisFailed:
        return None


def side_by_side(
    data: Any,
    K: int,
    lam_max: float | None = None,
    *,
    objective: str = "sharp",
    scheme: str = "hf",
    start: str = "exact",
    processes: Sequence[str | Process] = SHOWN,
) -> Clockwork:
    """Every named grid, and every process on its uniform grid, against the numerically optimal grid.

    data: facts of A1 ("sharp"), or Gaussian data; K: steps; lam_max: λ(T) of all in x², or None for the best
    one (start "prior"). objective, scheme, start: as `wbound.numerical_grid`. Kinds: *upper* (Theorem 2) and
    *exact*. Raises `BadInput`, `HypothesisFailed`.
    """
    K = count("K", K)
    one_of("objective", objective, OBJECTIVES)
    options: dict[str, Any] = {"objective": objective, "scheme": scheme, "start": start}
    free = None
    if lam_max is None:
        free = numerical_grid(data, K, None, **options)
        lam_max = float(free.lam[0])
    law = _gaussian(data)
    nodes, left_out = _nodes(data, K, math.log(lam_max), processes)
    starts = [np.exp(log_lam) for _, _, log_lam in nodes]
    for lam in starts:
        lam[0] = lam_max
    best = numerical_grid(
        data, K, lam_max, starts=starts + ([free.lam] if free is not None else []), **options
    )
    if free is not None:
        best = replace(best, limit=free.limit, last_decade=free.last_decade)
    spectrum = None if law is None else Spectrum.of(law)
    nodes.append(("numerical", "optimum", log_nodes(best.lam)))
    lanes = []
    for name, kind, log_lam in nodes:
        bound = _theorem_2(data, log_lam, start) if scheme_named(scheme) == HF else None
        exact = None
        if spectrum is not None:
            w2 = clock_w2(spectrum, log_lam, scheme)
            exact = w2.exact if start == "exact" else w2.robust
        value = bound if objective == "sharp" else exact
        assert value is not None  # numerical_grid has refused what has none
        lanes.append(Lane(name, kind, log_lam, bound, exact, value, 1.0))
    least = lanes[-1].value
    order = sorted(lanes, key=lambda lane: (lane.value, lane.kind != "optimum"))
    ranked = tuple(replace(lane, factor=lane.value / least if least > 0.0 else 1.0) for lane in order)
    return Clockwork(
        K, lam_max, objective, scheme, start, ranked, best, _floor(law, K, lam_max, scheme, start), left_out
    )


def _nodes(
    data: Any, K: int, log_lam_T: float, processes: Sequence[str | Process]
) -> tuple[list[tuple[str, str, Array]], dict[str, str]]:
    found: list[tuple[str, str, Array]] = []
    left_out: dict[str, str] = {}
    lanes = [(named(p) if isinstance(p, str) else p, "uniform") for p in processes]
    lanes += [(named("ve-constant"), grid) for grid in GRIDS if grid != "uniform"]
    for p, grid in lanes:
        name = p.name if grid == "uniform" else grid
        try:
            T = float(p.time_of(log_lam_T)[()])
            log_lam = setting(p, data, T, K, scheme="hf", grid=grid).nodes.log_lam.copy()
        except (BadInput, HypothesisFailed) as error:
            left_out[name] = str(error)
            continue
        log_lam[0] = log_lam_T  # T has rounded it
        found.append((name, "process" if grid == "uniform" else "grid", log_lam))
    return found, left_out


def _theorem_2(data: Any, log_lam: Array, start: str) -> float | None:
    grid = Grid.from_lam(np.exp(log_lam))
    try:
        return float(
            THEOREM_2(setting(named("ve-constant"), data, scheme="hf", start=start, grid=grid)).total
        )
    except HypothesisFailed:  # data outside A1
        return None


def _floor(law: Gaussian | None, K: int, lam_max: float, scheme: str, start: str) -> float | None:
    if law is None or scheme_named(scheme) != HF or start != "exact":
        return None
    if np.ptp(law.eigenvalues) > 0.0 or law.coordinates.any():
        return None
    return floor_w2(K, law.d, math.sqrt(float(law.eigenvalues[0])), lam_max)
