"""A schedule as an object: log λ at its nodes, and the process whose α goes with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wbound import Grid, Process, process
from wbound.errors import BadInput
from wbound.sampler.grid import grid_named
from wbound.sampler.make_setting import setting
from wbound.typing import Array

__all__ = ["NoClock", "Schedule", "schedule", "ve", "vp"]


class NoClock(BadInput):
    """Levels along which λ does not fall strictly: no forward SDE has them."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """A schedule: log λ at its K+1 nodes, decreasing to −∞, and the process whose α goes with it.

    Where it ends above zero the last is log δ, and its output y_K/α_K (section 11). ``notes`` say in words what was
    assumed when it was read, ``places`` (one a node above 0) where in the array that was read its value stands.
    """

    name: str
    log_lam: Array
    process: Process
    notes: tuple[str, ...] = ()
    places: NDArray[np.intp] | None = None

    @property
    def K(self) -> int:
        return int(self.log_lam.size - 1)

    @property
    def stopped_early(self) -> bool:
        """Whether it ends above zero."""
        return bool(self.log_lam[-1] > -math.inf)

    @property
    def above(self) -> Array:
        """log λ at the nodes above 0: (K,), or (K+1,) where it ends above zero."""
        return self.log_lam if self.stopped_early else self.log_lam[:-1]

    @property
    def lam(self) -> Array:
        """λ (K+1,) in x², decreasing to 0, or to δ."""
        return np.exp(self.log_lam)

    @property
    def sigma_max(self) -> float:
        """√λ at the first node, in x."""
        return math.exp(0.5 * float(self.log_lam[0]))

    @cached_property
    def grid(self) -> Grid:
        """The grid that reads these nodes through any process: give it to exact_w2, w2_bound or sample."""
        return Grid.from_lam(self.lam, "early" if self.stopped_early else None)

    def to_dict(self) -> dict[str, Any]:
        """Name, K, λ, the process and the notes as plain values."""
        return {
            "name": self.name,
            "K": self.K,
            "lam": self.lam.tolist(),
            "process": self.process.name,
            "parameters": dict(self.process.parameters),
            "notes": list(self.notes),
        }


def vp() -> Process:
    """The variance-preserving process with λ = e^t − 1."""
    return process("ou", theta=0.5, sigma=1.0)  # λ = e^t − 1: β = 1


def ve() -> Process:
    """The variance-exploding process with λ = t."""
    return process("ve-constant", a=1.0)  # λ = t


def schedule(
    p: Process,
    data: Any = None,
    T: float | None = None,
    K: int | None = None,
    *,
    grid: str | Grid = "uniform",
) -> Schedule:
    """The schedule of a process on a grid (T and K come from an explicit grid). Raises `BadInput`.

    ``data`` matters to the grids whose scale is the data's own (`wbound.GRIDS`).
    """
    nodes = grid_named(grid).nodes(p, data, T, K) if data is None else setting(p, data, T, K, grid=grid).nodes
    name = grid if isinstance(grid, str) else grid.name
    return Schedule(f"{p.name} on {name}", nodes.log_lam, p)


# ---------------------------------------------------------------------- arrays
