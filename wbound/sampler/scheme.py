"""The samplers as linear steps y_k = A y_{k−1} + C s(y_{k−1}) + √Q ξ (section 3 of docs/theory.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wbound.errors import BadInput, HypothesisFailed, one_of
from wbound.sampler.coefficients import Corrector, Flow, Own, Steps, vanishes
from wbound.sampler.multistep import MULTISTEP, Multistep, multistep_named
from wbound.sampler.point_coefficients import pointwise
from wbound.sampler.steps import Batch
from wbound.typing import Array

__all__ = [
    "DDIM",
    "DDPM",
    "EM",
    "HF",
    "POINTWISE",
    "RANDOM_TIMES",
    "SCHEMES",
    "Corrector",
    "Flow",
    "Scheme",
    "Steps",
    "scheme_named",
    "vanishes",
]


@dataclass(frozen=True)
class Scheme:
    """A sampler: ``steps(batch)`` gives its `Steps`. ``kind`` is "sde" or "ode" (then Q = 0); ``stages`` is how
    often a step asks for the score (2: its `Steps` have a `Corrector`; an ODE's), ``at_zero`` whether the last
    step asks for it at λ = 0 too; ``sees`` what of a process its steps depend on: "clock" (λ alone, in units of
    α), "alpha" (∫f and ∫g² too) or "point" (f and g at a time). The coefficients of a scheme of your own are
    completed and checked by `Own`, which raises `BadInput`. ``memory``: of a sampler that looks at earlier
    answers too, and of DDIM with η: it is known by its tape, and its ``steps`` raise `HypothesisFailed`. ``random``:
    the second of its two levels is drawn (`RANDOM_TIMES`); its ``steps`` raise too.
    """

    name: str
    title: str
    kind: str
    steps: Callable[[Batch], Steps]
    source: str
    stages: int = 1
    at_zero: bool = False
    memory: Multistep | None = None
    sees: str = "point"
    random: bool = False

    @property
    def flow(self) -> bool:
        """Whether it follows the probability-flow ODE."""
        return self.kind == "ode"

    @property
    def power(self) -> float:
        """Of (1 + ς^{−2}λ): what it multiplies by as its steps shrink, 1 along the SDE and ½ along the ODE."""
        return 0.5 if self.flow else 1.0

    @property
    def order(self) -> float:
        """The order of W2 in 1/K on smooth nodes (one call of the score, one order; of random times the order of the
        bound that is known)."""
        return 1.5 if self.random else float(self.stages)

    def steps_of(self, calls: int) -> int:
        """The most steps that so many calls of the score allow, one at least: the inverse of `calls`."""
        return max(calls if self.stages == 1 else (calls + self._spared) // self.stages, 1)

    def calls(self, K: int) -> int:
        """How often K steps down to λ = 0 ask for the score."""
        return self.stages * K - self._spared

    @property
    def _spared(self) -> bool:
        """Whether the last step asks for the score once less."""
        return self.stages == 2 and not (self.at_zero or self.random)

    def __post_init__(self) -> None:
        one_of("kind", self.kind, ("sde", "ode"))
        one_of("sees", self.sees, ("clock", "alpha", "point"))
        if self.stages not in ((1, 2) if self.kind == "ode" or self.random else (1,)):
            raise BadInput("stages", self.stages, "must be 1, or 2 for an ODE scheme")
        if not isinstance(self.steps, Named | Own):
            object.__setattr__(self, "steps", Own(self.steps, self.name, self.kind, self.stages))


@dataclass(frozen=True)
class Named:
    """The steps of a scheme of `SCHEMES`, complete as they are."""

    of: Callable[[Batch], Steps]

    def __call__(self, b: Batch) -> Steps:
        return self.of(b)


def _hf(b: Batch) -> Steps:
    return Steps(_exp(b.steps.F), b.steps.C, b.steps.Q, 0.0, 0.0, 0.0)


def _em(b: Batch) -> Steps:
    s = b.steps
    return Steps(1.0 + s.F, s.G, s.G, s.A_minus, s.C_minus_G, s.Q_minus_G)


def _em_point(b: Batch) -> Steps:
    return _at_a_point(b, "em-point", arrival=False)


def _em_point_arrival(b: Batch) -> Steps:
    return _at_a_point(b, "em-point-arrival", arrival=True)


def _at_a_point(b: Batch, name: str, *, arrival: bool) -> Steps:
    # a: e^F − 1 − f(τ)η, as (e^F − 1 − F) + (F − f(τ)η); the others alike
    s, at = b.steps, pointwise(b, name, arrival=arrival)
    with np.errstate(over="ignore", invalid="ignore"):  # a huge step: infinite
        a, c, q = s.A_minus + at.F_rest, s.C_minus_G + at.G_rest, s.Q_minus_G + at.G_rest
    return Steps(1.0 + at.F, at.G, at.G, a, c, q)


def _ei(b: Batch) -> Steps:
    return Steps(_exp(b.steps.F), b.steps.E, b.steps.Q, 0.0, b.steps.C_minus_E, 0.0)


def _ddpm(b: Batch) -> Steps:
    # Q λ_k/λ_{k−1} = Q σ_k²/(Q + σ_k²), since Q = α_k²(λ_{k−1} − λ_k)
    Q, share = b.steps.Q, forgotten(b)
    with np.errstate(invalid="ignore"):  # as there
        injected = np.where(np.isinf(Q), b.sigma2_lo, b.sigma2_lo * share)
    return Steps(_exp(b.steps.F), b.steps.C, injected, 0.0, 0.0, Q * share)


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
    return Steps(_exp(b.steps.F), C, np.zeros_like(C), 0.0, C, b.steps.Q, flow=flow)


def _ddim(b: Batch) -> Steps:
    # c_k = √λ_{k−1}(√λ_{k−1} − √λ_k) = H_k/(1 + κ)
    kappa, rest = np.exp(-0.5 * b.gap), -np.expm1(-0.5 * b.gap)
    whole = b.steps.C / (1.0 + kappa)
    with np.errstate(invalid="ignore"):  # C = ∞ on a huge step
        c = np.where(kappa > 0.0, whole * kappa, 0.0)
    flow = Flow(-0.5 * whole * rest, kappa, 0.0)
    return Steps(_exp(b.steps.F), whole, np.zeros_like(whole), 0.0, c, b.steps.Q, flow=flow)


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
    return Steps(_exp(b.steps.F), C, np.zeros_like(C), 0.0, c, b.steps.Q, flow=flow)


def trapezoid(b: Batch) -> Steps:
    """ddim's step, then the trapezoidal rule in σ = √λ: c′ = ½√λ_{k−1}D, c″ = ½√λ_k D, D = √λ_{k−1} − √λ_k.

    At λ_k = 0 the factor √λ_k leaves c′ = ½λ_{k−1} alone: the last step is Euler's in the clock (ode-hf's)
    and needs no score at λ = 0.
    """
    first = _ddim(b)
    kappa = np.exp(-0.5 * b.gap)
    with np.errstate(invalid="ignore"):  # as above
        second = Corrector(0.5 * first.C, 0.5 * b.steps.Q * kappa / (1.0 + kappa))
    return first._replace(corrector=second)


def _heun(b: Batch) -> Steps:
    """`trapezoid`, but at λ_k = 0 the first stage alone: Euler's step in σ, to the denoiser. (Of first order
    where λ_{K−1} ~ 1/K, as on uniform steps of a clock that begins like t.)"""
    steps = trapezoid(b)
    assert steps.corrector is not None
    ends = np.isneginf(b.log_lam_lo)
    return steps._replace(
        corrector=Corrector(
            np.where(ends, steps.C, steps.corrector.C), np.where(ends, 0.0, steps.corrector.D)
        )
    )


def _heun_lambda(b: Batch) -> Steps:
    """Heun's method in the clock: ode-hf's step, then c′ = c″ = ¼H, in the last step too: where λ_k = 0 it asks for
    the score of p_0."""
    first = _ode_hf(b)
    return first._replace(corrector=Corrector(0.5 * first.C, 0.25 * b.steps.Q))


def _exp(F: Array) -> Array:
    return _big(np.exp, F)


def _big(of: Callable[[Array], Array], F: Array) -> Array:
    with np.errstate(over="ignore"):  # a huge step: A_k is infinite and the bound says so
        return of(F)


#: The schemes by name, SDE schemes first.
SCHEMES: dict[str, Scheme] = {
    s.name: s
    for s in (
        Scheme(
            "em",
            "Euler–Maruyama, f and g² integrated",
            "sde",
            Named(_em),
            "Gao, Nguyen & Zhu, arXiv 2311.11003",
            sees="alpha",
        ),
        Scheme(
            "em-point",
            "Euler–Maruyama, f and g² at the departure",
            "sde",
            Named(_em_point),
            "the textbook's: f and g² at τ_{k−1}, where the step begins",
        ),
        Scheme(
            "em-point-arrival",
            "Euler–Maruyama, f and g² at the arrival",
            "sde",
            Named(_em_point_arrival),
            "f and g² at τ_k, where the step ends; the score at τ_{k−1}",
        ),
        Scheme("ei", "exponential integrator", "sde", Named(_ei), "score frozen over the step", sees="alpha"),
        Scheme(
            "hf",
            "heat-flow Euler",
            "sde",
            Named(_hf),
            "α·score frozen; the conditional mean is exact (Lemma 3)",
            sees="clock",
        ),
        Scheme(
            "ddpm", "DDPM ancestral", "sde", Named(_ddpm), "Ho et al., 2020: denoiser frozen", sees="clock"
        ),
        Scheme(
            "ode-hf",
            "heat-flow Euler, ODE",
            "ode",
            Named(_ode_hf),
            "section 12: α·score frozen",
            sees="clock",
        ),
        Scheme(
            "ddim", "DDIM", "ode", Named(_ddim), "Song, Meng & Ermon, 2021: denoiser frozen", sees="clock"
        ),
        Scheme(
            "ode-ei",
            "exponential integrator, ODE",
            "ode",
            Named(_ode_ei),
            "Gao & Zhu, arXiv 2401.17958",
            sees="alpha",
        ),
        Scheme(
            "heun",
            "Heun in σ, last step Euler in σ; ODE",
            "ode",
            Named(_heun),
            "Karras et al., 2022, Algorithm 1 (σ = t)",
            2,
            sees="clock",
        ),
        Scheme(
            "heun-lam",
            "Heun in σ, last step Euler in λ; ODE",
            "ode",
            Named(trapezoid),
            "section 12: as heun, the last step ode-hf's",
            2,
            sees="clock",
        ),
        Scheme(
            "heun-lambda",
            "Heun in λ, asks for the score at λ = 0; ODE",
            "ode",
            Named(_heun_lambda),
            "section 20: the trapezoidal rule in the clock",
            2,
            True,
            sees="clock",
        ),
    )
}


#: Schemes that statements of their own are about: Theorem 1, Proposition 1 and Eq. 9, Eq. 9′, Eq. 17 and 18.
EM, HF, DDPM, DDIM = (SCHEMES[name] for name in ("em", "hf", "ddpm", "ddim"))


def _drawn(b: Batch) -> Steps:
    raise HypothesisFailed(
        "what is asked of a scheme's steps", "levels that are not random", "the second level of each is drawn"
    )


#: Those whose second level in each step is drawn: their law is a mixture, of which `wbound.random_midpoint_law` has the
#: second moment, and bounds of W2.
RANDOM_TIMES: dict[str, Scheme] = {
    name: Scheme(
        name,
        title,
        kind,
        Named(_drawn),
        "Shen & Lee, 2019; Yu & Yu, arXiv 2502.04849",
        2,
        sees="clock",
        random=True,
    )
    for name, title, kind in (
        ("random-midpoint", "randomised midpoint", "sde"),
        ("ode-random-midpoint", "randomised midpoint, ODE", "ode"),
    )
}

#: The schemes that see f and g at a time, and so more of a process than α and the clock.
POINTWISE = tuple(name for name, scheme in SCHEMES.items() if scheme.sees == "point")


def scheme_named(scheme: str | Scheme | Multistep) -> Scheme:
    """A `Scheme`, or the one called so: of `SCHEMES`, `MULTISTEP` or `RANDOM_TIMES`, or "ddim(eta=…)". Raises `BadInput` with the
    names, and for a scheme of your own with the name of one of these: theorems and tables go by it."""
    if isinstance(scheme, Scheme):
        named = SCHEMES.get(scheme.name) or RANDOM_TIMES.get(scheme.name)
        if named is None and scheme.memory is None and scheme.name in MULTISTEP:
            named = remembering(MULTISTEP[scheme.name])
        if named is not None and scheme != named:
            raise BadInput(
                "scheme", scheme.name, "is the name of another scheme: give your own a name of its own"
            )
        return scheme
    if isinstance(scheme, str) and (scheme in SCHEMES or scheme in RANDOM_TIMES):
        return SCHEMES[scheme] if scheme in SCHEMES else RANDOM_TIMES[scheme]
    try:
        return remembering(multistep_named(scheme))
    except BadInput as error:
        if error.option != "scheme":
            raise
        one_of("scheme", scheme, (*SCHEMES, *MULTISTEP, *RANDOM_TIMES, "ddim(eta=...)"))
        raise


def remembering(m: Multistep) -> Scheme:
    """A `Multistep` where a scheme goes."""

    def steps(b: Batch) -> Steps:
        raise HypothesisFailed(
            "what is asked of a scheme's steps",
            "steps by the score where they stand",
            f"{m.name} is known by its tape: its exact law and samples are there",
        )

    return Scheme(m.name, m.title, m.kind, Named(steps), m.source, memory=m, sees="clock")
