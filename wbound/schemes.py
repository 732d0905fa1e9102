"""The samplers as linear steps y_k = A y_{k−1} + C s(y_{k−1}) + √Q ξ (section 3 of docs/theory.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbound.clock import Batch
from wbound.errors import one_of

__all__ = ["SCHEMES", "Corrector", "Flow", "Scheme", "Steps", "scheme_named", "vanishes"]

Array = NDArray[np.float64]


def vanishes(x: Array | float) -> bool:
    """Whether x is 0 on every step; quick where its first entry is not."""
    return not x if isinstance(x, float) else not (x.size and x[0]) and not np.any(x)


class Flow(NamedTuple):
    """How far an ODE step's c_k (section 12) is from that of the heat flow's own Euler step, arrays (N,).

    half: ½C^hf − C (x²); keep: 1 − c_k/λ_{k−1}, what is left of pure noise (no unit); excess: keep² −
    λ_k/λ_{k−1} (no unit). None of them from a difference that cancels.
    """

    half: Array | float
    keep: Array
    excess: Array | float


class Corrector(NamedTuple):
    """Heun's second stage, arrays (N,) in x²: y_k = A y_{k−1} + C s(y_{k−1}, τ_{k−1}) + D s(y′, τ_k), with y′
    what the first stage gives. Where D = 0 the score at τ_k is not needed."""

    C: Array
    D: Array


class Steps(NamedTuple):
    """Coefficients of N steps, arrays (N,): A (no unit), C and Q (x²).

    a, c, q are the exact step's (``hf``: A^hf, C^hf, Q^hf) minus these, computed without cancellation:
    they are what Theorem 2's b_k and X_k and the exact law's defect are made of (0.0 where they vanish
    identically). ODE schemes have Q = 0 and a ``flow``; ``corrector`` is None for one-stage schemes.
    """

    A: Array
    C: Array
    Q: Array
    a: Array | float = 0.0
    c: Array | float = 0.0
    q: Array | float = 0.0
    corrector: Corrector | None = None
    flow: Flow | None = None


@dataclass(frozen=True)
class Scheme:
    """A sampler: ``steps(batch)`` gives its `Steps`. ``kind`` is "sde" or "ode" (then Q = 0); ``stages`` is
    how often a step asks for the score (2: its `Steps` have a `Corrector`)."""

    name: str
    title: str
    kind: str
    steps: Callable[[Batch], Steps]
    source: str
    stages: int = 1


def _hf(b: Batch) -> Steps:
    return Steps(_exp(b.steps.F), b.steps.C, b.steps.Q)


def _em(b: Batch) -> Steps:
    s = b.steps
    return Steps(1.0 + s.F, s.G, s.G, s.A_minus, s.C_minus_G, s.Q_minus_G)


def _ei(b: Batch) -> Steps:
    return Steps(_exp(b.steps.F), b.steps.E, b.steps.Q, c=b.steps.C_minus_E)


def _ddpm(b: Batch) -> Steps:
    # Q λ_k/λ_{k−1} = Q σ_k²/(Q + σ_k²), since Q = α_k²(λ_{k−1} − λ_k)
    Q, share = b.steps.Q, forgotten(b)
    with np.errstate(invalid="ignore"):  # as there
        injected = np.where(np.isinf(Q), b.sigma2_lo, b.sigma2_lo * share)
    return Steps(_exp(b.steps.F), b.steps.C, injected, q=Q * share)


def forgotten(b: Batch) -> Array:
    """1 − λ_k/λ_{k−1} = Q/(Q + σ_k²) of each step (N,)."""
    Q = b.steps.Q
    # Q = ∞ on a huge step: the ratio is 1; Q = 0, below doubles: nothing is injected whatever the ratio
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(np.isinf(Q), 1.0, np.where(Q == 0.0, 0.0, Q / (Q + b.sigma2_lo)))


def keeps(
    A: Array, C: Array, a: Array | float, c: Array | float, curvature: Array, drift: Array, lag: Array
) -> Array:
    """(A − C·curvature)·lag, what a step keeps of a distance, which is 1 + ``drift`` for hf: from hf's or as it
    stands, whichever cancels less (ei may keep 1e-12 of A, with hf's own far below)."""
    by_hf = np.maximum(np.abs(a), np.abs(c) * curvature) * lag + np.abs(drift) + 1.0
    as_it_stands = np.maximum(A, C * curvature) * lag
    return np.where(by_hf < as_it_stands, 1.0 + drift - (a - c * curvature) * lag, (A - C * curvature) * lag)


# ---------------------------------------------------------------------- the probability-flow ODE (section 12)
# dỸ = ½∇log q dΛ, steps ỹ_k = ỹ_{k−1} + c_k ∇log q(ỹ_{k−1}); in x-units A = α_k/α_{k−1}, C = c_k α_k α_{k−1}


def _ode_hf(b: Batch) -> Steps:
    C, kappa2 = 0.5 * b.steps.C, np.exp(-b.gap)  # c_k = ½H_k; κ² = λ_k/λ_{k−1}
    flow = Flow(0.0, 0.5 * (1.0 + kappa2), 0.25 * np.expm1(-b.gap) ** 2)
    return Steps(_exp(b.steps.F), C, np.zeros_like(C), c=C, q=b.steps.Q, flow=flow)


def _ddim(b: Batch) -> Steps:
    # c_k = √λ_{k−1}(√λ_{k−1} − √λ_k) = H_k/(1 + κ)
    kappa, rest = np.exp(-0.5 * b.gap), -np.expm1(-0.5 * b.gap)
    whole = b.steps.C / (1.0 + kappa)
    with np.errstate(invalid="ignore"):  # C = ∞ on a huge step
        c = np.where(kappa > 0.0, whole * kappa, 0.0)
    flow = Flow(-0.5 * whole * rest, kappa, 0.0)
    return Steps(_exp(b.steps.F), whole, np.zeros_like(whole), c=c, q=b.steps.Q, flow=flow)


def _ode_ei(b: Batch) -> Steps:
    half, c = 0.5 * b.steps.C_minus_E, b.steps.C_minus_half_E
    C, kappa2, rest = 0.5 * b.steps.E, np.exp(-b.gap), -np.expm1(-b.gap)
    # a huge step: infinite, and the bound says so; σ² below double precision: a step of nothing, ode-hf's
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        seen = b.sigma2_hi > 0.0
        keep = np.where(seen, kappa2 + c * np.exp(-b.steps.F) / b.sigma2_hi, 0.5)
        late = np.where(seen, half * np.exp(-b.steps.F) / b.sigma2_hi, 0.0)  # (½H − c_k)/λ_{k−1}
        kappa = np.sqrt(kappa2)
        excess = np.where(
            rest < 0.5,
            0.25 * rest**2 + late * (1.0 + kappa2 + late),
            (keep - kappa) * (keep + kappa),  # where late is about −½
        )
    flow = Flow(half, keep, excess)
    return Steps(_exp(b.steps.F), C, np.zeros_like(C), c=c, q=b.steps.Q, flow=flow)


def _heun(b: Batch) -> Steps:
    """ddim's step, then the trapezoidal rule in σ: c′ = ½√λ_{k−1}D, c″ = ½√λ_k D, D = √λ_{k−1} − √λ_k.

    At λ_k = 0 the factor √λ_k leaves c′ = ½λ_{k−1} alone: the last step is Euler's in the clock (ode-hf's)
    and needs no score at λ = 0. (Karras et al. end with Euler's in σ: of first order where λ_{K−1} ~ 1/K.)
    """
    first = _ddim(b)
    kappa = np.exp(-0.5 * b.gap)
    with np.errstate(invalid="ignore"):  # as above
        second = Corrector(0.5 * first.C, 0.5 * b.steps.Q * kappa / (1.0 + kappa))
    return first._replace(corrector=second)


def _exp(F: Array) -> Array:
    return _big(np.exp, F)


def _big(of: Callable[[Array], Array], F: Array) -> Array:
    with np.errstate(over="ignore"):  # a huge step: A_k is infinite and the bound says so
        return of(F)


#: The schemes by name, SDE schemes first.
SCHEMES: dict[str, Scheme] = {
    s.name: s
    for s in (
        Scheme("em", "Euler–Maruyama", "sde", _em, "Gao, Nguyen & Zhu, arXiv 2311.11003"),
        Scheme("ei", "exponential integrator", "sde", _ei, "score frozen over the step"),
        Scheme(
            "hf", "heat-flow Euler", "sde", _hf, "α·score frozen; the conditional mean is exact (Lemma 3)"
        ),
        Scheme("ddpm", "DDPM ancestral", "sde", _ddpm, "Ho et al., 2020: denoiser frozen"),
        Scheme("ode-hf", "heat-flow Euler, ODE", "ode", _ode_hf, "section 12: α·score frozen"),
        Scheme("ddim", "DDIM", "ode", _ddim, "Song, Meng & Ermon, 2021: denoiser frozen"),
        Scheme("ode-ei", "exponential integrator, ODE", "ode", _ode_ei, "Gao & Zhu, arXiv 2401.17958"),
        Scheme("heun", "Heun, ODE", "ode", _heun, "Karras et al., 2022, Algorithm 1", 2),
    )
}


def scheme_named(scheme: str | Scheme) -> Scheme:
    """A `Scheme`, or the one called so. Raises `BadInput` with the names."""
    return scheme if isinstance(scheme, Scheme) else SCHEMES[one_of("scheme", scheme, SCHEMES)]
