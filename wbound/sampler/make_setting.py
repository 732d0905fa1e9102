"""One `Setting` for all: the bound, the exact law, a sampler and a verdict take the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wbound.data.curvature import Curvature
from wbound.errors import BadInput, nonnegative, one_of
from wbound.forward.forward_process import Process
from wbound.sampler.grid import Grid, Nodes, grid_named
from wbound.sampler.multistep import Multistep
from wbound.sampler.scheme import Scheme, scheme_named
from wbound.typing import Array

__all__ = ["STARTS", "Setting", "has_density", "setting"]

#: "prior" N(0, σ²(T) I) [published], "exact" p_T, "standard" N(0, I).
STARTS = ("prior", "exact", "standard")


@dataclass(frozen=True, eq=False)
class Setting:
    """What is run: process, data, nodes, scheme, start, the score's bias M and noise V (A3), and A2's M_1.

    ``score_bias`` is M in 1/x (an L2 norm under the sampler's own law), ``score_noise`` V likewise;
    ``M1`` in 1/(x² time) or None where A2 is not claimed.
    """

    process: Process
    data: Any
    nodes: Nodes
    scheme: Scheme
    start: str = "prior"
    score_bias: float = 0.0
    score_noise: float = 0.0
    M1: float | None = None


def has_density(scheme: Scheme, eigenvalues: Array | None) -> None:
    """Raise `BadInput` where a scheme asks for the score of a Gaussian that has no density."""
    if scheme.at_zero and eigenvalues is not None and not np.all(eigenvalues):
        raise BadInput(
            "scheme", scheme.name, "asks for the score at lam = 0, which data without a density have not"
        )


def setting(
    process: Process,
    data: Any,
    T: float | None = None,
    K: int | None = None,
    *,
    scheme: str | Scheme | Multistep = "em",
    start: str = "prior",
    grid: str | Grid = "uniform",
    score_bias: float = 0.0,
    score_noise: float = 0.0,
    M1: float | str | None = None,
) -> Setting:
    """The `Setting` of what a user typed; the one place where it is checked.

    T: forward time > 0; K: number of steps ≥ 1 (both come from an explicit grid); M1: a number, or
    "exact" for data that know their own (Gaussian). Raises `BadInput`.
    """
    if not isinstance(process, Process):
        raise BadInput("process", process, "must be wbound.process(name, …) or wbound.Process(f=…, g=…)")
    if not isinstance(data, Curvature):
        raise BadInput("data", type(data).__name__, "must be wbound.LogConcave(…) or a target")
    chosen = scheme_named(scheme)
    one_of("start", start, STARTS)
    if start == "standard" and not process.standard_start:
        raise BadInput(
            "start", start, f"needs a variance-preserving process; {process.name} does not tend to N(0, I)"
        )
    bias, noise = nonnegative("score_bias", score_bias), nonnegative("score_noise", score_noise)
    nodes = grid_named(grid).nodes(process, data, T, K)
    if not nodes.stopped_early:
        has_density(chosen, getattr(data, "eigenvalues", None))
    if M1 == "exact":
        own = getattr(data, "M1", None)
        if own is None:
            raise BadInput("M1", M1, "is known for Gaussian data only: give A2's constant as a number")
        M1 = own(process, nodes.T)
    return Setting(
        process, data, nodes, chosen, start, bias, noise, None if M1 is None else nonnegative("M1", M1)
    )
