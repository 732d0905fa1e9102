"""Theorem 2, Eq. 9′, the exact law and Proposition 1 in ball arithmetic (sections 3 to 6).

Each function is the statement's formula as docs/theory.md has it, in x-units, term by term: the double path
computes the same in other units and by other means, so each checks the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from wbound.calculus.balls import Ball, flint, root, square
from wbound.certified.path import Path
from wbound.errors import BadInput

__all__ = [
    "SCHEMES",
    "Facts",
    "Spectrum",
    "ancestral",
    "decay_constant",
    "eq_12",
    "exact_law",
    "floor",
    "off",
    "start_error",
    "theorem_2",
]


class Spectrum(NamedTuple):
    """A Gaussian along its principal axes: distinct variances, how many axes have each, and the mean's
    squared size there."""

    variance: list[Ball]
    axes: list[int]
    mean2: list[Ball]


class Facts(NamedTuple):
    """What is known of p_0, in balls: A1's facts, and the law itself where it is Gaussian; else ``why`` not."""

    d: int
    second_moment: Ball
    m0: Ball = None
    L0: Ball = None
    mean_norm: Ball = None
    spectrum: Spectrum | None = None
    why: str = "p_0 is not known to be Gaussian (m0 = L0)"


class Coefficients(NamedTuple):
    """A, C, Q of each step (K,), and what of the exact step's minus these (section 3) does not vanish: a and c, or None
    where the mean is exact; ``injects``: whether Q is not the exact step's."""

    A: list[Ball]
    C: list[Ball]
    Q: list[Ball]
    mismatch: tuple[list[Ball], list[Ball]] | None = None
    injects: bool = False


def _exact(path: Path) -> Coefficients:
    alpha, H, K = path.alpha, path.H, path.K
    Q = [alpha[k + 1] ** 2 * H[k] for k in range(K)]
    if path.process.family == "ve":
        return Coefficients([flint().arb(1)] * K, [alpha[k + 1] * alpha[k] * H[k] for k in range(K)], Q)
    return Coefficients([x.exp() for x in path.F], [alpha[k + 1] * alpha[k] * H[k] for k in range(K)], Q)


def _ei(path: Path) -> Coefficients:
    A, C, Q, *_ = _exact(path)
    if path.process.family == "ve":
        return Coefficients(A, path.H, Q)
    return Coefficients(A, path.E, Q, ([flint().arb(0)] * path.K, _minus(C, path.E)))


def _em(path: Path) -> Coefficients:
    A, C, *_ = _exact(path)
    if path.process.family == "ve":
        return Coefficients(A, path.H, path.H, injects=True)
    plain = [1 + x for x in path.F]
    return Coefficients(plain, path.G, path.G, (_minus(A, plain), _minus(C, path.G)), injects=True)


def _ddpm(path: Path) -> Coefficients:
    A, C, Q, *_ = _exact(path)
    lam = path.lam
    return Coefficients(A, C, [Q[k] * lam[k + 1] / lam[k] for k in range(path.K)], injects=True)


def _minus(x: list[Ball], y: list[Ball]) -> list[Ball]:
    return [one - other for one, other in zip(x, y, strict=True)]


#: The table of section 3: the SDE schemes' steps on a path.
SCHEMES: dict[str, Callable[[Path], Coefficients]] = {"em": _em, "ei": _ei, "hf": _exact, "ddpm": _ddpm}


def coefficients(path: Path, scheme: str) -> Coefficients:
    """The table of section 3. Raises `BadInput`."""
    if scheme not in SCHEMES:
        raise BadInput("scheme", scheme, "certified mode knows " + ", ".join(SCHEMES))
    return SCHEMES[scheme](path)


def psi(v0: Ball, v1: Ball, L: Ball) -> Ball:
    """Ψ = (v_0/L)(x − 2 log(1+x) + x/(1+x)), 1+x = v_1/v_0 (Theorem 2)."""
    growth = v1 / v0
    x = growth - 1
    return v0 / L * (x - 2 * growth.log() + x / growth)


def off(path: Path, d: int) -> Ball:
    """√d |1−σ(T)|/α(T): what N(0, I) adds to the prior's start error (section 5)."""
    alpha = path.alpha[0]
    sigma = alpha * path.lam[0].sqrt()
    # (1 − σ)/α = α (1 − σ²)/α² / (1 + σ): 1 − σ as a difference asks for as many bits as 1/α² has
    return flint().arb(d).sqrt() * abs(path.short_of_one()) * alpha / (1 + sigma)


def start_error(path: Path, data: Facts, start: str) -> Ball:
    """E_0 of Theorem 2 (Eq. 8), y-units. *upper*"""
    if start == "exact":
        return flint().arb(0)
    trivial, lam = data.second_moment.sqrt(), path.lam[0]
    best = trivial
    if data.mean_norm is not None and data.m0 * lam > 1:
        centred = -data.d * lam * (-((data.m0 * lam) ** -2)).log1p()
        best = trivial.min(root(data.mean_norm**2 + centred))
    if start == "prior":
        return best
    far = off(path, data.d)
    return (data.second_moment + square(far)).sqrt().min(best + far)


# ---------------------------------------------------------------------- Theorem 2


def theorem_2(path: Path, data: Facts, scheme: str, start: str, M: Ball, V: Ball) -> Ball:
    """e_K of Eq. 7, and √(dδ) where the sampler stops early (section 11). *upper*"""
    arb, d = flint().arb, data.d
    m0, L0, M2 = data.m0, data.L0, data.second_moment
    s = coefficients(path, scheme)
    root_d = arb(d).sqrt()
    biased, noisy = not M.is_zero(), not V.is_zero()
    excess = (M2 - d / L0).nonnegative_part()  # E|X_0|² + dλ − d/L*, which A1 makes ≥ 0
    e = path.alpha[0] * start_error(path, data, start)
    v = [1 + L0 * x for x in path.lam]
    w = [1 + m0 * x for x in path.lam]
    for k in range(path.K):
        alpha = path.alpha[k + 1]
        # A^hf − C^hf m = (α_k/α_{k−1})(1+m_0λ_k)/(1+m_0λ_{k−1}), with L_0 likewise: nothing cancels
        shrink = alpha / path.alpha[k]
        gamma = shrink * w[k + 1] / w[k]
        bias = arb(0)
        if s.mismatch is not None:
            alpha2 = path.alpha[k] ** 2
            m, L = m0 / (alpha2 * w[k]), L0 / (alpha2 * v[k])
            a, c = (each[k] for each in s.mismatch)
            at_L = shrink * v[k + 1] / v[k] - (a - c * L)
            gamma = abs(gamma - (a - c * m)).max(abs(at_L))
            bias = root(d * L * square(c - a / L) + square(a) * alpha2 * excess)
        noise = alpha * root(d * psi(v[k + 1], v[k], L0))
        if s.injects:
            exact_Q = alpha**2 * path.H[k]
            noise = noise + root_d * abs(root(exact_Q) - root(s.Q[k]))
        drift = gamma * e + bias
        if biased:
            drift = drift + s.C[k] * M
        e2 = square(drift) + square(noise)
        if noisy:
            e2 = e2 + square(s.C[k] * V)
        e = root(e2)
    if path.lam[-1].is_zero():
        return e
    return e / path.alpha[-1] + (d * path.lam[-1]).sqrt()


def power_integral(v0: Ball, v1: Ball, a: Ball) -> Ball:
    """∫_{v_0}^{v_1} v^{a−1} dv."""
    if a.is_zero():
        return (v1 / v0).log()
    return (v1**a - v0**a) / a


def decay_constant(path: Path, data: Facts, theta: Ball, former: bool) -> Ball:
    """C_θ of section 12; ``former``: the larger one that certificates of formats 1 and 2 were written with, θ in ϑ's
    place."""
    peak = theta if former else theta - 1 if theta >= 1.5 else 4 * theta**3 / 27
    V = 1 + data.L0 * path.lam[0]
    return data.d * data.L0**2 * (1 + peak * power_integral(flint().arb(1), V, theta - 2))


def ancestral(path: Path, data: Facts, start: str, M: Ball, theta: Ball, former: bool = False) -> Ball:
    """Eq. 9′ with I under the root of III, for a given θ ≥ 0; y-units, λ_K = 0. *upper*"""
    arb, d, m0, L0 = flint().arb, data.d, data.m0, data.L0
    lam, K = path.lam, path.K
    v = [1 + L0 * x for x in lam]
    C = decay_constant(path, data, theta, former)
    drift = score = noise2 = inside = arb(0)
    for k in range(K):
        P = 1 / (1 + m0 * lam[k + 1])
        kappa2 = lam[k + 1] / lam[k]
        H = path.H[k]
        drift += P * (1 - kappa2) / 2 * H * (d * L0 / v[k]).sqrt()
        noise2 += P**2 * kappa2 * ((1 + kappa2) / 2) ** 2 * d * psi(v[k + 1], v[k], L0)
        score += P * H * path.alpha[k]
        # ∫(u−λ_k)²(1+L_0u)^{−θ}du, with v = 1+L_0u
        p1, p2, p3 = (power_integral(v[k + 1], v[k], j - theta) for j in (1, 2, 3))
        weight = (p3 - 2 * v[k + 1] * p2 + v[k + 1] ** 2 * p1) / L0**3
        inside += square(P * (1 - square(kappa2))) * weight
    e0 = start_error(path, data, start) / (1 + m0 * lam[0])
    return drift + score * M + root(C * inside) / 4 + root(square(e0) + noise2)


# ---------------------------------------------------------------------- the exact law


def exact_law(path: Path, spectrum: Spectrum, d: int, scheme: str, start: str, V: Ball) -> Ball:
    """W2 of the output and the Gaussian itself (section 3). *exact*"""
    arb, s, K = flint().arb, coefficients(path, scheme), path.K

    def missed(k: int, per_w: Ball) -> Ball:
        return arb(0) if s.mismatch is None else s.mismatch[0][k] - s.mismatch[1][k] * per_w

    alpha, lam = path.alpha, path.lam
    extra = [square(s.C[k] * V) / d for k in range(K)] if not V.is_zero() else None
    total = arb(0)
    last = alpha[-1]
    for variance, count, mean2 in zip(*spectrum, strict=True):
        var, mean = _begin(path, variance, start)
        moving = not mean2.is_zero()
        w_hat = [variance + x for x in lam]
        for k in range(K):
            # r^hf = (α_k/α_{k−1}) ŵ_k/ŵ_{k−1}; a scheme's own differs by a − c/w
            per_w = 1 / (alpha[k] ** 2 * w_hat[k])
            r = alpha[k + 1] / alpha[k] * w_hat[k + 1] / w_hat[k] - missed(k, per_w)
            var = r * r * var + s.Q[k]
            if extra is not None:
                var = var + extra[k]
            if moving:
                mean = r * mean + s.C[k] * alpha[k] * per_w
        total += count * square(root(var) / last - variance.sqrt())
        if moving:
            total += square(mean / last - 1) * mean2
    return root(total)


def _begin(path: Path, variance: Ball, start: str) -> tuple[Ball, Ball]:
    """Variance and mean (per unit of μ) of y_0."""
    arb, alpha, lam = flint().arb, path.alpha[0], path.lam[0]
    if start == "exact":
        return alpha**2 * (variance + lam), alpha
    return (alpha**2 * lam if start == "prior" else arb(1)), arb(0)


# ---------------------------------------------------------------------- Proposition 1


def _varrho(sigma0: Ball, lam_T: Ball) -> Ball:
    return sigma0 / (sigma0**2 + lam_T).sqrt()


def floor(K: int, d: int, sigma0: Ball, lam_T: Ball) -> Ball:
    """Eq. 11 as W2: hf from the exact start on N(0, σ_0²I), any grid of K steps. *lower*"""
    excess = flint().arb(4) / K * square(1 - _varrho(sigma0, lam_T))
    return flint().arb(d).sqrt() * sigma0 * ((1 + excess).sqrt() - 1)


def eq_12(d: int, sigma0: Ball, eps: Ball, lam_T: Ball, start: str) -> Ball:
    """Eq. 12: the K that W2 ≤ ε needs; from the prior with the least θ that its proviso allows. *lower*"""
    u = eps / (sigma0 * flint().arb(d).sqrt())
    varrho, width = _varrho(sigma0, lam_T), 2 * u + u**2
    if start == "prior":  # (1+θ)(2u+u²) with θ = ϱ⁴/(2u+u²)
        width = width + varrho**4
    return 4 * square(1 - varrho) / width
