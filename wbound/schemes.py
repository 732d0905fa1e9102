"""The samplers as linear steps y_k = A y_{k−1} + C s(y_{k−1}) + √Q ξ (section 3 of docs/theory.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbound.clock import Batch
from wbound.errors import one_of
from wbound.increments import expm1_minus

__all__ = ["SCHEMES", "Scheme", "Steps", "scheme_named"]

Array = NDArray[np.float64]


class Steps(NamedTuple):
    """Coefficients of N steps, arrays (N,): A (no unit), C and Q (x²).

    a, c, q are the exact step's (``hf``: A^hf, C^hf, Q^hf) minus these, computed without cancellation:
    they are what Theorem 2's b_k and X_k and the exact law's defect are made of (0.0 where they vanish
    identically). ``corrector`` is None
    for one-stage schemes.
    """

    A: Array
    C: Array
    Q: Array
    a: Array | float = 0.0
    c: Array | float = 0.0
    q: Array | float = 0.0
    corrector: Array | None = None


@dataclass(frozen=True)
class Scheme:
    """A sampler: ``steps(batch)`` gives its `Steps`. ``kind`` is "sde" or "ode" (then Q = 0)."""

    name: str
    title: str
    kind: str
    steps: Callable[[Batch], Steps]
    source: str


def _hf(b: Batch) -> Steps:
    return Steps(_exp(b.steps.F), b.steps.C, b.steps.Q)


def _em(b: Batch) -> Steps:
    s = b.steps
    return Steps(1.0 + s.F, s.G, s.G, _big(expm1_minus, s.F), s.C_minus_G, s.Q_minus_G)


def _ei(b: Batch) -> Steps:
    return Steps(_exp(b.steps.F), b.steps.E, b.steps.Q, c=b.steps.C_minus_E)


def _ddpm(b: Batch) -> Steps:
    # Q λ_k/λ_{k−1} = Q σ_k²/(Q + σ_k²), since Q = α_k²(λ_{k−1} − λ_k)
    Q = b.steps.Q
    with np.errstate(invalid="ignore"):  # Q = ∞ on a huge step: the ratio is 1
        share = np.where(np.isinf(Q), 1.0, Q / (Q + b.sigma2_lo))
    injected = np.where(np.isinf(Q), b.sigma2_lo, b.sigma2_lo * share)
    return Steps(_exp(b.steps.F), b.steps.C, injected, q=Q * share)


def _exp(F: Array) -> Array:
    return _big(np.exp, F)


def _big(of: Callable[[Array], Array], F: Array) -> Array:
    with np.errstate(over="ignore"):  # a huge step: A_k is infinite and the bound says so
        return of(F)


#: The schemes by name; ODE schemes are added here as values.
SCHEMES: dict[str, Scheme] = {
    s.name: s
    for s in (
        Scheme("em", "Euler–Maruyama", "sde", _em, "Gao, Nguyen & Zhu, arXiv 2311.11003"),
        Scheme("ei", "exponential integrator", "sde", _ei, "score frozen over the step"),
        Scheme(
            "hf", "heat-flow Euler", "sde", _hf, "α·score frozen; the conditional mean is exact (Lemma 3)"
        ),
        Scheme("ddpm", "DDPM ancestral", "sde", _ddpm, "Ho et al., 2020: denoiser frozen"),
    )
}


def scheme_named(scheme: str | Scheme) -> Scheme:
    """A `Scheme`, or the one called so. Raises `BadInput` with the names."""
    return scheme if isinstance(scheme, Scheme) else SCHEMES[one_of("scheme", scheme, SCHEMES)]
