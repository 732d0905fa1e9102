"""A second implementation of the theory, as plain as possible: nothing here comes from wbound's formulas.

Processes are retyped from the table of section 1 (and a few of a user's) with mpmath; coefficients are
integrals over each step in 30 digits; recursions are loops in x-units, one coordinate at a time. It is slow
and it may subtract nearly equal numbers, for 30 digits leave room; `wbound` is compared with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np

import wbound

DIGITS = 30
Number = Any
Function = Callable[[Number], Number]


@dataclass(frozen=True)
class Plain:
    """A forward process by its formulas: f, g², A = ∫_0^t f, λ; and the same one made by wbound."""

    name: str
    f: Function
    g2: Function
    A: Function
    lam: Function
    made: wbound.Process

    def alpha(self, t: Number) -> Number:
        return mp.exp(-self.A(t))

    def sigma2(self, t: Number) -> Number:
        return self.alpha(t) ** 2 * self.lam(t)


def _zero(t: Number) -> Number:
    return mp.mpf(0)


def _vp(beta: Function, B: Function) -> tuple[Function, ...]:
    return (lambda t: beta(t) / 2, beta, lambda t: B(t) / 2, lambda t: mp.expm1(B(t)))


def ve_exponential(a: float = 1.0, b: float = 0.5) -> Plain:
    lam = lambda t: a**2 * mp.expm1(2 * b * mp.mpf(t)) / (2 * b)  # noqa: E731
    made = wbound.process("ve-exponential", a=a, b=b)
    return Plain("ve-exponential", _zero, lambda t: a**2 * mp.exp(2 * b * t), _zero, lam, made)


def ve_constant(a: float = 1.0) -> Plain:
    made = wbound.process("ve-constant", a=a)
    return Plain("ve-constant", _zero, lambda t: mp.mpf(a) ** 2, _zero, lambda t: mp.mpf(a) ** 2 * t, made)


def ve_sqrt(a: float = 1.0) -> Plain:
    made = wbound.process("ve-sqrt", a=a)
    return Plain("ve-sqrt", _zero, lambda t: 2 * a * mp.mpf(t), _zero, lambda t: a * mp.mpf(t) ** 2, made)


def ve_polynomial(a: float = 1.0, b: float = 0.5, c: float = 1.0) -> Plain:
    p = 2 * mp.mpf(c) + 1
    lam = lambda t: ((b + a * mp.mpf(t)) ** p - mp.mpf(b) ** p) / (a * p)  # noqa: E731
    made = wbound.process("ve-polynomial", a=a, b=b, c=c)
    return Plain("ve-polynomial", _zero, lambda t: (b + a * mp.mpf(t)) ** (p - 1), _zero, lam, made)


def ou(theta: float = 0.5, sigma: float = 1.0) -> Plain:
    lam = lambda t: mp.mpf(sigma) ** 2 * mp.expm1(2 * theta * mp.mpf(t)) / (2 * theta)  # noqa: E731
    made = wbound.process("ou", theta=theta, sigma=sigma)
    return Plain(
        "ou", lambda t: mp.mpf(theta), lambda t: mp.mpf(sigma) ** 2, lambda t: theta * mp.mpf(t), lam, made
    )


def vp_linear(a: float = 1.0, b: float = 0.5) -> Plain:
    parts = _vp(lambda t: b + a * mp.mpf(t), lambda t: b * mp.mpf(t) + a * mp.mpf(t) ** 2 / 2)
    return Plain("vp-linear", *parts, wbound.process("vp-linear", a=a, b=b))


def vp_polynomial(a: float = 1.0, b: float = 0.5, rho: float = 2.0) -> Plain:
    p = mp.mpf(rho) + 1
    parts = _vp(
        lambda t: (b + a * mp.mpf(t)) ** mp.mpf(rho),
        lambda t: ((b + a * mp.mpf(t)) ** p - mp.mpf(b) ** p) / (a * p),
    )
    return Plain("vp-polynomial", *parts, wbound.process("vp-polynomial", a=a, b=b, rho=rho))


def vp_exponential(a: float = 1.0, b: float = 0.5) -> Plain:
    parts = _vp(lambda t: a * mp.exp(b * mp.mpf(t)), lambda t: a * mp.expm1(b * mp.mpf(t)) / b)
    return Plain("vp-exponential", *parts, wbound.process("vp-exponential", a=a, b=b))


def sub_vp(a: float = 1.0, b: float = 0.5) -> Plain:
    B = lambda t: b * mp.mpf(t) + a * mp.mpf(t) ** 2 / 2  # noqa: E731
    beta = lambda t: b + a * mp.mpf(t)  # noqa: E731
    # σ = 1 − e^{−B}, α = e^{−B/2}
    lam = lambda t: mp.expm1(-B(t)) ** 2 * mp.exp(B(t))  # noqa: E731
    made = wbound.process("sub-vp", a=a, b=b)
    return Plain(
        "sub-vp",
        lambda t: beta(t) / 2,
        lambda t: -beta(t) * mp.expm1(-2 * B(t)),
        lambda t: B(t) / 2,
        lam,
        made,
    )


def user_rational(a: float = 0.8, b: float = 1.2) -> Plain:
    """f = a/(1+t), g = b: α = (1+t)^{−a}, λ = b²((1+t)^{2a+1} − 1)/(2a+1)."""
    p = 2 * mp.mpf(a) + 1
    lam = lambda t: mp.mpf(b) ** 2 * ((1 + mp.mpf(t)) ** p - 1) / p  # noqa: E731
    return Plain(
        "user-rational",
        lambda t: a / (1 + mp.mpf(t)),
        lambda t: mp.mpf(b) ** 2,
        lambda t: a * mp.log(1 + mp.mpf(t)),
        lam,
        wbound.Process(f="a/(1+t)", g="b", a=a, b=b),
    )


def user_fading(a: float = 0.7, b: float = 1.5, c: float = 0.2) -> Plain:
    """f = a, g = b e^{−ct}: λ = b²(e^{2(a−c)t} − 1)/(2(a−c))."""
    q = 2 * (mp.mpf(a) - mp.mpf(c))
    return Plain(
        "user-fading",
        lambda t: mp.mpf(a),
        lambda t: mp.mpf(b) ** 2 * mp.exp(-2 * c * mp.mpf(t)),
        lambda t: a * mp.mpf(t),
        lambda t: mp.mpf(b) ** 2 * mp.expm1(q * t) / q,
        wbound.Process(f="a", g="b*exp(-c*t)", a=a, b=b, c=c),
    )


def user_singular(a: float = 0.6, b: float = 1.0) -> Plain:
    """f = 0, g² = b²(1 + a√t), not smooth at 0: λ = b²(t + (2a/3)t^{3/2})."""
    return Plain(
        "user-singular",
        _zero,
        lambda t: mp.mpf(b) ** 2 * (1 + a * mp.sqrt(mp.mpf(t))),
        _zero,
        lambda t: mp.mpf(b) ** 2 * (t + 2 * mp.mpf(a) / 3 * mp.mpf(t) ** mp.mpf("1.5")),
        wbound.Process(f="0", g="b*sqrt(1+a*sqrt(t))", a=a, b=b),
    )


NAMED: dict[str, Callable[..., Plain]] = {
    "ve-exponential": ve_exponential,
    "ve-constant": ve_constant,
    "ve-sqrt": ve_sqrt,
    "ve-polynomial": ve_polynomial,
    "ou": ou,
    "vp-linear": vp_linear,
    "vp-polynomial": vp_polynomial,
    "vp-exponential": vp_exponential,
    "sub-vp": sub_vp,
}
USERS: dict[str, Callable[..., Plain]] = {
    "user-rational": user_rational,
    "user-fading": user_fading,
    "user-singular": user_singular,
}
ALL = {**NAMED, **USERS}

#: (f, g) of the catalogue's rows as a user would type them.
TEXTS: dict[str, tuple[str, str]] = {
    "ve-exponential": ("0", "a*exp(b*t)"),
    "ve-constant": ("0", "a"),
    "ve-sqrt": ("0", "sqrt(2*a*t)"),
    "ve-polynomial": ("0", "(b+a*t)**c"),
    "ou": ("theta", "sigma"),
    "vp-linear": ("(b+a*t)/2", "sqrt(b+a*t)"),
    "vp-polynomial": ("(b+a*t)**rho/2", "(b+a*t)**(rho/2)"),
    "vp-exponential": ("a*exp(b*t)/2", "sqrt(a)*exp(b*t/2)"),
    "sub-vp": ("(b+a*t)/2", "sqrt(-(b+a*t)*expm1(-2*b*t-a*t**2))"),
}


def twin(process: wbound.Process) -> wbound.Process:
    """The row as a user's own process: no closed form, everything by quadrature."""
    f, g = TEXTS[process.name]
    return wbound.Process(f=f, g=g, **process.parameters)


# ---------------------------------------------------------------------- one step


@dataclass(frozen=True)
class Step:
    """A step's integrals in mpmath numbers: index lo is the theory's k, hi is k−1."""

    p: Plain
    t_lo: Number
    t_hi: Number
    alpha_lo: Number
    alpha_hi: Number
    lam_lo: Number
    lam_hi: Number
    F: Number
    G: Number
    E: Number

    @property
    def H(self) -> Number:
        return self.lam_hi - self.lam_lo


def steps(p: Plain, times: Sequence[float]) -> list[Step]:
    """The steps of the decreasing times τ_0 … τ_K."""
    out = []
    with mp.workdps(DIGITS):
        for hi, lo in zip(times[:-1], times[1:], strict=True):
            a, b = mp.mpf(lo), mp.mpf(hi)
            ends = [a, b] if a > 0 else [a, b / 64, b]
            A_lo = p.A(a)
            # ∫(α_k/α)g², since α_k/α(t) = e^{A(t) − A_k}
            E = mp.quad(lambda t, A_lo=A_lo: p.g2(t) * mp.exp(p.A(t) - A_lo), ends)
            G = mp.quad(p.g2, ends)
            out.append(Step(p, a, b, p.alpha(a), p.alpha(b), p.lam(a), p.lam(b), p.A(b) - A_lo, G, E))
    return out


def coefficients(s: Step, scheme: str) -> tuple[Number, Number, Number]:
    """A_k, C_k, Q_k of the table in section 3."""
    hf = (s.alpha_lo / s.alpha_hi, s.alpha_lo * s.alpha_hi * s.H, s.alpha_lo**2 * s.H)
    if scheme == "em":
        return 1 + s.F, s.G, s.G
    if scheme.startswith("em-point"):
        at, eta = (s.t_lo if scheme == "em-point-arrival" else s.t_hi), s.t_hi - s.t_lo
        return 1 + s.p.f(at) * eta, s.p.g2(at) * eta, s.p.g2(at) * eta
    if scheme == "ei":
        return hf[0], s.E, hf[2]
    if scheme == "ddpm":
        return hf[0], hf[1], hf[2] * s.lam_lo / s.lam_hi
    assert scheme == "hf"
    return hf


def uniform(T: float, K: int) -> list[Number]:
    return [mp.mpf(T) * (K - k) / K for k in range(K + 1)]


# ---------------------------------------------------------------------- the exact law


def start_law(p: Plain, T: Number, start: str, v: Number, mu: Number) -> tuple[Number, Number]:
    """Variance and mean of y_0 in one coordinate."""
    a, s2 = p.alpha(T), p.sigma2(T)
    return {"exact": (a**2 * v + s2, a * mu), "prior": (s2, mp.mpf(0)), "standard": (mp.mpf(1), mp.mpf(0))}[
        start
    ]


def exact_w2(
    p: Plain,
    times: Sequence[float],
    variances: Sequence[float],
    means: Sequence[float],
    scheme: str,
    start: str,
    noise: float = 0.0,
) -> float:
    """Section 3: v_k = (A − C/w)²v + Q per coordinate, the mean alike; noise is V², spread evenly."""
    path = steps(p, times)
    total = mp.mpf(0)
    with mp.workdps(DIGITS):
        for v0, mu in zip(variances, means, strict=True):
            v, m = start_law(p, mp.mpf(times[0]), start, mp.mpf(v0), mp.mpf(mu))
            for s in path:
                A, C, Q = coefficients(s, scheme)
                w = s.alpha_hi**2 * (v0 + s.lam_hi)
                # the score of N(αμ, w) at y is −(y − αμ)/w
                m = A * m - C / w * (m - s.alpha_hi * mu)
                v = (A - C / w) ** 2 * v + Q + C**2 * mp.mpf(noise) ** 2 / len(variances)
            total += (mp.sqrt(v) - mp.sqrt(v0)) ** 2 + (m - mu) ** 2
        return float(mp.sqrt(total))


# ---------------------------------------------------------------------- Theorem 2


@dataclass(frozen=True)
class Facts:
    """What a bound knows: d, m_0, L_0, E|X_0|², |E X_0| or None."""

    d: int
    m0: float
    L0: float
    second_moment: float
    mean_norm: float | None = None

    def made(self) -> wbound.LogConcave:
        return wbound.LogConcave(self.d, self.m0, self.L0, self.second_moment, self.mean_norm)


def psi(u0: Number, u1: Number, L: Number) -> Number:
    """Ψ by quadrature of its definition."""
    if u1 == u0:
        return mp.mpf(0)
    points = [u0, u1]
    if u1 > 10 * (u0 + 1 / mp.mpf(L)):  # decades, so that the quadrature sees them all
        n = int(mp.log10(u1 * L)) + 2
        points = [u0 + (u1 - u0) * mp.mpf(10) ** (j - n) for j in range(n + 1)]
        points[0] = u0
    return mp.quad(lambda u: (u - u0) ** 2 * (L / (1 + L * u)) ** 2, points)


def start_error(facts: Facts, lam: Number) -> Number:
    """E_0: ‖X_0‖, or Eq. 8 where it is allowed and smaller."""
    best = mp.sqrt(facts.second_moment)
    if facts.mean_norm is not None and facts.m0 * lam > 1:
        square = mp.mpf(facts.mean_norm) ** 2 - facts.d * lam * mp.log1p(-((facts.m0 * lam) ** -2))
        best = min(best, mp.sqrt(square))
    return best


@dataclass(frozen=True)
class Terms:
    """γ_k, b_k, n_k, C_k of Eq. 7, in x-units."""

    gamma: Number
    b: Number
    n: Number
    C: Number


def theorem2_terms(s: Step, facts: Facts, scheme: str) -> Terms:
    d, m0, L0 = facts.d, mp.mpf(facts.m0), mp.mpf(facts.L0)
    A, C, Q = coefficients(s, scheme)
    Ah, Ch, Qh = coefficients(s, "hf")
    sigma2 = s.alpha_hi**2 * s.lam_hi
    m = m0 / (s.alpha_hi**2 + m0 * sigma2)
    L = L0 / (s.alpha_hi**2 + L0 * sigma2)
    a, c = Ah - A, Ch - C
    X2 = s.alpha_hi**2 * (facts.second_moment + d * s.lam_hi)
    b = mp.sqrt(max(a**2 * X2 - 2 * a * c * d + c**2 * d * L, mp.mpf(0)))
    n = s.alpha_lo * mp.sqrt(d * psi(s.lam_lo, s.lam_hi, L0)) + mp.sqrt(d) * abs(mp.sqrt(Qh) - mp.sqrt(Q))
    return Terms(max(abs(A - C * m), abs(A - C * L)), b, n, C)


@dataclass(frozen=True)
class Sharp:
    """Eq. 7's total, the parts of Eq. 7′, and Eq. 7″."""

    total: float
    start: float
    discretisation: float
    score: float
    additive: float


def theorem2(
    p: Plain,
    times: Sequence[float],
    facts: Facts,
    scheme: str,
    start: str = "prior",
    M: float = 0.0,
    V: float = 0.0,
) -> Sharp:
    with mp.workdps(DIGITS):
        path = steps(p, times)
        T = mp.mpf(times[0])
        e0 = p.alpha(T) * start_error(facts, p.lam(T)) if start == "prior" else mp.mpf(0)
        terms = [theorem2_terms(s, facts, scheme) for s in path]
        e = e0
        for t in terms:
            e = mp.sqrt((t.gamma * e + t.b + t.C * M) ** 2 + t.n**2 + (t.C * V) ** 2)
        P = mp.mpf(1)
        bias = score = noise = mp.mpf(0)
        for t in reversed(terms):
            bias += P * t.b
            score += P * t.C * M
            noise += P**2 * (t.n**2 + (t.C * V) ** 2)
            P *= t.gamma
        additive = bias + score + mp.sqrt((P * e0) ** 2 + noise)
        return Sharp(*map(float, (e, P * e0, bias + mp.sqrt(noise), score, additive)))


# ---------------------------------------------------------------------- Eq. 9′


def decay_constant(theta: float, facts: Facts, lam_T: Number) -> Number:
    """C_θ as section 12's proof has it: p(0)dL_0² + d∫max_h(p′h² − ph³)du, p = (1+L_0u)^θ, h from 0 to
    L_0/(1+L_0u), the maximum where the derivative in h vanishes or at the end."""
    d, L0 = facts.d, mp.mpf(facts.L0)
    n = max(int(mp.log10(1 + L0 * lam_T)) + 1, 1)
    points = [0, *(((10 ** mp.mpf(j + 1)) - 1) / L0 for j in range(n - 1)), lam_T]

    def highest(u: Number) -> Number:
        p, slope = (1 + L0 * u) ** theta, theta * L0 * (1 + L0 * u) ** (theta - 1)
        h = min(L0 / (1 + L0 * u), 2 * slope / (3 * p))
        return slope * h**2 - p * h**3

    return d * (L0**2 + mp.quad(highest, points))


def ancestral_parts(
    p: Plain, times: Sequence[float], facts: Facts, theta: float, M: float = 0.0
) -> tuple[float, ...]:
    """Eq. 9′'s terms: the first sum, the second (a square root), the θ-term, the score's sum."""
    with mp.workdps(DIGITS):
        d, m0, L0 = facts.d, mp.mpf(facts.m0), mp.mpf(facts.L0)
        drift = noise = curved = score = mp.mpf(0)
        P = mp.mpf(1)
        for s in reversed(steps(p, times)):
            k2 = s.lam_lo / s.lam_hi
            drift += P * (1 - k2) * s.H / 2 * mp.sqrt(d * L0 / (1 + L0 * s.lam_hi))
            noise += P**2 * k2 * ((1 + k2) / 2) ** 2 * d * psi(s.lam_lo, s.lam_hi, L0)
            weight = mp.quad(
                lambda u, s=s: (u - s.lam_lo) ** 2 * (1 + L0 * u) ** (-theta),
                [s.lam_lo, (s.lam_lo + s.lam_hi) / 2, s.lam_hi],
            )
            curved += P**2 * (1 - k2**2) ** 2 * weight
            score += P * s.H * s.alpha_hi * M
            P *= (1 + m0 * s.lam_lo) / (1 + m0 * s.lam_hi)
        C = decay_constant(theta, facts, p.lam(mp.mpf(times[0])))
        return tuple(map(float, (drift, mp.sqrt(noise), mp.sqrt(C * curved) / 4, score)))


# ---------------------------------------------------------------------- tools


def close(a: Any, b: Any, rel: float) -> bool:
    """|a − b| ≤ rel·|b| everywhere, equal infinities allowed."""
    return bool(np.allclose(np.asarray(a, float), np.asarray(b, float), rtol=rel, atol=0.0))


def log_uniform(rng: np.random.Generator, lo: float, hi: float) -> float:
    return math.exp(rng.uniform(math.log(lo), math.log(hi)))
