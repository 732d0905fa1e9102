"""Section: exact W2 over (T, K) from the prior start, its zero curve, and the statement that survives."""

from __future__ import annotations

import math

import numpy as np

from numerics.figures import curves
from numerics.figures.schedules import landscape_figure
from numerics.report.blocks import Context, Figure, Figures, Part, Prose
from numerics.studies.exact_over_horizons import landscape
from wbound.forward.catalogue import process

__all__ = ["build"]

PROCESS = "vp-linear"
#: The K whose zero the text names.
AT = 50


def build(context: Context) -> Part:
    """The part of this section."""
    T = np.geomspace(0.5, 4.0, 40 if context.quick else 120)
    K = np.unique(np.append(np.rint(np.geomspace(1, 1000, 15 if context.quick else 40)), AT)).astype(int)
    land = landscape(process(PROCESS), T, K, sigma0=math.sqrt(2.0))
    at = int(np.flatnonzero(land.K == AT)[0])
    content = {
        "process": PROCESS,
        "variance": land.sigma0**2,
        "cells": int(land.prior.size),
        "below": int((land.prior < land.floor).sum()),
        "exact_least": float((land.exact / land.floor).min()),
        "naive": land.naive,
        "survives": land.survives,
        "K": AT,
        "T": float(land.zero_T[at]),
        "K_last": int(land.K[-1]),
        "T_last": float(land.zero_T[-1]),
    }
    text = (
        "A sampler does not start from p_T but from the prior N(0, σ²(T) I), which makes the output too narrow, "
        "where the steps make it too wide (Eq. 10). At one T for each K the two cancel and W2 is 0: on the uniform "
        "grid of {process}, σ_0² = {variance:g}, at K = {K:int} that is T = {T:.6f}, at K = {K_last:int} it is "
        "T = {T_last:.6f}. Of {cells:int} cells {below:int} are below the floor that holds from p_T, where the "
        "smallest ratio to it is {exact_least:.5f}.\n\n"
        "What survives: with u = W2/(σ_0√d) from the prior and ϱ⁴ ≤ θ(2u + u²), K ≥ 4(1 - ϱ)²/((1 + θ)(2u + u²)). "
        "Over the cells the smallest ratio of K to that bound, each with its own smallest θ, is {survives:.5f}; "
        "without the proviso it is {naive:.2g}."
    )
    drawn = Figure(
        "landscape",
        curves.svg(landscape_figure(land), "lan"),
        "Exact W2 from the prior over forward time and steps, both axes logarithmic, in units of the floor. A curve "
        "on which it is zero rises from T near 1 at one step to T near 2.2 at a thousand steps, in a band that is "
        "below the floor; to its left the start dominates, to its right the discretisation.",
        "W2 from the prior in units of the floor; on the black line it is 0. To the left of it the start dominates, "
        "to the right the steps do.",
        land.columns(),
        'wbound lower-bound --view landscape --sigma0 "2**0.5" --T-from 0.5 --T-to 4 --figure landscape.svg',
    )
    return Part(content, (Prose(text), Figures((drawn,))))
