"""The randomised midpoint on N(0, xI) once more: every step by quadrature over its time, from its definition."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbound.data.log_concave import gaussian_data
from wbound.sampler.make_setting import Setting

NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)
PANELS = 8


class Drawn(NamedTuple):
    """Of one coordinate: the data's variance, the start's, the output's second moment, the mean gain on the start, and the
    variance over the times of the output's variance given them."""

    x: float
    start: float
    moment: float
    gain: float
    spread: float


def _times(q: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """u on [0, 1] and weights, even in −log(1 − uq): 1/(1 − uq) grows to 1/(1 − q)."""
    ends = np.linspace(0.0, -math.log1p(-q), PANELS + 1)
    half = 0.5 * np.diff(ends)[:, None]
    s = (0.5 * (ends[1:] + ends[:-1]))[:, None] + half * NODES
    return (-np.expm1(-s) / q).ravel(), (half * WEIGHTS * np.exp(-s) / q).ravel()


def by_quadrature(s: Setting) -> Drawn:
    """All of it for a setting on isotropic data, run to λ = 0."""
    x, lam = float(gaussian_data(s.data).eigenvalues[0]), np.exp(s.nodes.log_lam)
    start = {"exact": x + lam[0], "prior": lam[0], "standard": math.exp(-2.0 * s.nodes.first[0])}[s.start]
    pull = 1.0 if s.scheme.kind == "sde" else 0.5
    moment, gain, spread = float(start), 1.0, 0.0
    for before, after in zip(lam[:-1], lam[1:], strict=True):
        H = float(before - after)
        u, w = _times(H / (x + float(before)))
        late = before - u * H
        r = 1.0 - pull * H / (x + late) * (1.0 - u * pull * H / (x + before))
        noise = u * H * (1.0 - H / (x + late)) ** 2 + (1.0 - u) * H if pull == 1.0 else 0.0 * u
        mean = float(w @ noise)
        moment = float(w @ r**2) * moment + mean
        spread = float(r[0]) ** 4 * spread + float(w @ (noise - mean) ** 2)
        gain *= float(w @ r)
    return Drawn(x, float(start), moment, gain, spread)
