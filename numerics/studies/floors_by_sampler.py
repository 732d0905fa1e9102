"""For whom a lower bound holds: evaluations that W2 ≤ ε needs with hf, with ddim and with any affine sampler."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wbound.bounds.theorem_6 import affine_floor, affine_iterations
from wbound.errors import BadInput, count
from wbound.exact.ddim_angles import ddim_floor, ddim_iterations
from wbound.exact.floor import floor_w2, lower_bound

__all__ = ["SAMPLERS", "Conditioning", "Floor", "conditioning", "floor_columns", "floor_values", "floors"]

#: Whose floors there are.
SAMPLERS = ("hf", "ddim", "affine")
#: Resamples of the data, and the largest dimension in which they are drawn.
RESAMPLES, MOST_DIMENSIONS = 60, 400
#: An eigenvalue below this share of the largest is none: nothing varies in its direction.
NOTHING = 1e-10


@dataclass(frozen=True)
class Floor:
    """The least number of evaluations of the score for W2 ≤ ε√tr Σ, ``relative`` = ε; for whom, and by which statement."""

    sampler: str
    evaluations: int
    relative: float
    whose: str
    statement: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def floors(
    relative: float, kappa: float, samplers: tuple[str, ...] = SAMPLERS, far: float | None = None
) -> list[Floor]:
    """Floors for spectra in [a, κa] at W2 ≤ ``relative``·√tr Σ (W2, not squared). Kind: *lower*.

    hf and ddim (from the exact start p_T with λ(T) = ``far``·σ_0², None: λ(T) → ∞) by the isotropic member of the class,
    on any grid; affine by Theorem 6. Raises `BadInput`.
    """
    out = []
    start = "from the exact start, λ(T) " + ("→ ∞" if far is None else f"= {far:.4g} σ_0²")
    for name in samplers:
        if name == "hf":
            steps = lower_bound(1, 1.0, relative, far).steps
            out.append(
                Floor(
                    name,
                    steps,
                    relative,
                    f"hf {start}, any process and grid",
                    "Proposition 1 (Eq. 12)",
                )
            )
        elif name == "ddim":
            steps = ddim_iterations(1, 1.0, relative, far).steps
            out.append(Floor(name, steps, relative, f"ddim {start}, any grid", "Eq. 17"))
        else:
            steps = affine_iterations(relative, kappa)
            whose = "every affine sampler, mean known, levels not random; so many are enough"
            out.append(Floor(name, steps, relative, whose, "Theorem 6 (Eq. 20)"))
    return out


@dataclass(frozen=True)
class Conditioning:
    """κ of data, the largest over the smallest eigenvalue of their covariance, and how far to trust it.

    ``low`` and ``high``: 5 and 95 % of κ over resamples of the samples (None: a spectrum, or too many dimensions), in
    ``vanished`` of which some direction had no spread: there κ is of the others, and the data's may be any larger.
    ``alone``: the κ that samples of as many directions show where the true one is 1, as both grow ((1+√γ)²/(1−√γ)²,
    γ = directions/n; Marchenko & Pastur). ``left_out``: directions in which nothing varies.
    """

    kappa: float
    directions: int
    left_out: int
    n: int | None = None
    low: float | None = None
    high: float | None = None
    alone: float | None = None
    vanished: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, without what is not known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def conditioning(
    eigenvalues: NDArray[np.float64], samples: NDArray[Any] | None = None, seed: int = 0
) -> Conditioning:
    """`Conditioning` of covariance eigenvalues (d,) in x², and of the samples (n, …) that they come from.

    Raises `BadInput` where no eigenvalue is above 0, and where the samples leave directions undetermined (n ≤ d): then
    no lower eigenvalue is known.
    """
    x = np.sort(np.asarray(eigenvalues, dtype=np.float64))
    if not x.size or not x[-1] > 0.0:
        raise BadInput("data", "no spread", "must vary in some direction")
    kept = x[x > NOTHING * x[-1]]
    kappa, left = float(kept[-1] / kept[0]), int(x.size - kept.size)
    if samples is None:
        return Conditioning(kappa, int(kept.size), left)
    flat = np.asarray(samples, dtype=np.float64).reshape(len(samples), -1)
    n, d = count("samples", len(flat), 2), int(kept.size)
    if n <= x.size:
        raise BadInput(
            "data",
            f"{n} samples of {x.size} dimensions",
            "leave directions unseen: kappa needs more samples than dimensions",
        )
    gamma = d / n
    alone = ((1.0 + math.sqrt(gamma)) / (1.0 - math.sqrt(gamma))) ** 2
    if x.size > MOST_DIMENSIONS:
        return Conditioning(kappa, d, left, n, alone=alone)
    rng = np.random.default_rng(seed)
    found, vanished = [], 0
    for _ in range(RESAMPLES):
        again = np.cov(flat[rng.integers(0, n, n)], rowvar=False).reshape(x.size, x.size)
        values = np.linalg.eigvalsh(again)
        seen = values[values > NOTHING * values[-1]]
        vanished += int(seen.size < d)
        found.append(float(seen[-1] / seen[0]))
    low, high = np.quantile(found, [0.05, 0.95])
    return Conditioning(kappa, d, left, n, float(low), float(high), alone, vanished)


def floor_columns(kappa: float, most: int = 1000) -> dict[str, NDArray[np.float64]]:
    """W2/√tr Σ that each sampler cannot go below at the worst spectrum in [a, κa], for K = 1 … ``most`` evaluations (λ(T) →
    ∞), by name: columns of a figure. Kind: *lower*."""
    K = np.unique(np.round(np.geomspace(1, most, 60))).astype(np.float64)
    return {
        "K": K,
        "hf": np.array([floor_w2(int(k), 1, 1.0) for k in K]),
        "ddim": np.array([ddim_floor(int(k), [1.0]) for k in K]),
        "affine": np.array([affine_floor(kappa, int(k)) for k in K]),
    }


def floor_values(kappa: float, most: int = 10) -> list[float]:
    """E_0 … E_most of κ: the least worst-case W2/√tr Σ after so many evaluations."""
    return [affine_floor(kappa, K) for K in range(most + 1)]
