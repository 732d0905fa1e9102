"""What the statements of docs/theory.md are about, each by a route that the code does not take."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from affine_search import alternation
from drawn_levels import by_quadrature
from scipy.integrate import quad, solve_ivp

import wbound
from numerics.laws.ode_on_line import flow1d
from numerics.targets.mixtures import Bimodal
from wbound.bounds.theorem_1 import THEOREM_1
from wbound.bounds.theorem_2 import THEOREM_2
from wbound.data.gaussian import Gaussian
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import phase_levels
from wbound.sampler.make_setting import Setting
from wbound.statement.statement_object import Bound
from wbound.theory.affine_claims import theorem_4_nodes


def w2(s: Setting) -> float | None:
    return None if s.score_bias else float(EXACT_LAW(s))


def _law(s: Setting) -> Gaussian:
    assert isinstance(s.data, Gaussian)
    return s.data


def _end(s: Setting) -> tuple[float, float]:
    return float(s.process.alpha(s.nodes.T)), float(s.process.lam(s.nodes.T))


def _eigenvalue(s: Setting) -> float:
    alpha, lam = _end(s)
    return 1.0 / (alpha**2 * (float(_law(s).eigenvalues.min()) + lam))


def _second_moment(s: Setting) -> float:
    (alpha, lam), law = _end(s), _law(s)
    return float((alpha**2 * (law.eigenvalues + lam) + alpha**2 * law.coordinates**2).sum())


def _step_noise(s: Setting) -> float:
    """∫(u−λ_1)²E‖∇²log q_u‖²du of a Gaussian, over the first step."""
    hi, lo = (float(s.process.lam(t)) for t in s.nodes.t[:2])
    values = _law(s).eigenvalues
    return quad(lambda u: (u - lo) ** 2 * float(((values + u) ** -2.0).sum()), lo, hi, epsrel=1e-11)[0]


def _curvature_integral(s: Setting) -> float:
    m0 = 1.0 / float(_law(s).eigenvalues.max())
    p = s.process

    def rate(t: float) -> float:
        alpha2 = float(p.alpha(t)) ** 2
        return m0 / (alpha2 * (1 + m0 * float(p.lam(t)))) * float(p.g(t)) ** 2

    return quad(rate, 0.0, s.nodes.T, epsrel=1e-10)[0]


def _start(s: Setting) -> float:
    lam, law = _end(s)[1], _law(s)
    widths = (np.sqrt(law.eigenvalues + lam) - math.sqrt(lam)) ** 2
    return math.sqrt(float((widths + law.coordinates**2).sum()))


def _plain_law(s: Setting) -> tuple[float, float, float]:
    """W2, the variance's excess of a law of one eigenvalue, and the mean's error, by loops over coordinates and
    steps in x-units."""
    law, p, t = _law(s), s.process, s.nodes.t
    alpha, lam = p.alpha(t), p.lam(t)
    steps, total, excess, moved = s.scheme.steps(s.nodes.batch), 0.0, 0.0, 0.0
    for own, mu in zip(law.eigenvalues, law.coordinates, strict=True):
        w = alpha**2 * (own + lam)
        v = {"exact": w[0], "prior": alpha[0] ** 2 * lam[0], "standard": 1.0}[s.start]
        m = alpha[0] * mu if s.start == "exact" else 0.0
        for k in range(s.nodes.K):
            A, C, Q = (float(x[k]) for x in (steps.A, steps.C, steps.Q))
            m = A * m - C / w[k] * (m - alpha[k] * mu)
            v = (A - C / w[k]) ** 2 * v + Q + C**2 * s.score_noise**2 / law.d
        total += (math.sqrt(v) - math.sqrt(own)) ** 2 + (m - mu) ** 2
        excess, moved = v - own, math.hypot(moved, m - mu)
    return math.sqrt(total), excess, moved


def _forward(s: Setting) -> tuple[float, float]:
    """α(T) and σ²(T) by the differential equations of section 0."""
    p = s.process

    def rates(t: float, y: Any) -> list[float]:
        f, g = float(p.f(t)), float(p.g(t))
        return [-f, g**2 - 2.0 * f * y[1]]

    found = solve_ivp(rates, (0.0, s.nodes.T), [0.0, 0.0], method="DOP853", rtol=1e-12, atol=1e-15)
    return math.exp(float(found.y[0, -1])), float(found.y[1, -1])


def _clock(s: Setting) -> float:
    alpha, sigma2 = _forward(s)
    return sigma2 / alpha**2


def _variances(s: Setting) -> Any:
    """Of X_T, along the axes."""
    alpha, lam = _end(s)
    return alpha**2 * (_law(s).eigenvalues + lam)


def _pairing(s: Setting) -> float:
    """E⟨X, s(X)⟩ along each axis by Gauss–Hermite quadrature."""
    x, weight = np.polynomial.hermite_e.hermegauss(8)
    total = 0.0
    for w, mu in zip(_variances(s), _end(s)[0] * _law(s).coordinates, strict=True):
        at = mu + math.sqrt(w) * x
        total += float(weight @ (at * -(at - mu) / w)) / math.sqrt(2.0 * math.pi)
    return total


def _smoothed(s: Setting) -> Any:
    """ŵ at the first two nodes, along the axes."""
    return [_law(s).eigenvalues + float(s.process.lam(t)) for t in s.nodes.t[:2]]


def _score_increment(s: Setting) -> float:
    """E|M_1 − M_0|² of M = αs = −α(X − αμ)/w, from the covariances of the forward process."""
    (w0, w1), (a0, a1) = _smoothed(s), (float(s.process.alpha(t)) for t in s.nodes.t[:2])
    both = a0 / a1 * (a1**2 * w1)  # Cov(X_{τ_0}, X_{τ_1})
    return float((1.0 / w0 + 1.0 / w1 - 2.0 * both * (a0 / (a0**2 * w0)) * (a1 / (a1**2 * w1))).sum())


def _slope(s: Setting) -> float:
    """Cov(X_{τ_1}, X_{τ_0})/Var X_{τ_0}."""
    (w0, w1), (a0, a1) = _smoothed(s), (float(s.process.alpha(t)) for t in s.nodes.t[:2])
    return float((a0 / a1 * (a1**2 * w1) / (a0**2 * w0))[0])


def _frozen(s: Setting) -> float:
    """What a frozen score (ei) or a frozen αs (hf) adds over the first step, solved as it stands."""
    p, (start, end) = s.process, s.nodes.t[:2]
    a0 = float(p.alpha(start))

    def rate(v: float, y: Any) -> Any:
        t = start - v
        frozen = 1.0 if s.scheme.name == "ei" else a0 / float(p.alpha(t))
        return float(p.f(t)) * y + float(p.g(t)) ** 2 * frozen

    found = solve_ivp(rate, (0.0, start - end), [0.0], method="DOP853", rtol=1e-12, atol=1e-15)
    return float(found.y[0, -1])


def _flow_frozen(s: Setting) -> float | None:
    """Where the flow takes ŷ = 0 in the first step with S = 1 there, and what the scheme freezes kept."""
    p, (start, end) = s.process, s.nodes.t[:2]
    a0, lam0 = float(p.alpha(start)), float(p.lam(start))
    if s.scheme.name == "ddim" and end == 0.0:
        return None  # the denoiser's equation is singular there

    def rate(v: float, y: Any) -> Any:
        t = start - v
        alpha = float(p.alpha(t))
        score = (lam0 - y) / float(p.lam(t)) if s.scheme.name == "ddim" else 1.0
        frozen = alpha / a0 if s.scheme.name == "ode-ei" else 1.0
        return 0.5 * (float(p.g(t)) / alpha) ** 2 * score * frozen

    found = solve_ivp(rate, (0.0, start - end), [0.0], method="DOP853", rtol=1e-12, atol=1e-15)
    return float(found.y[0, -1])


def _score_along_the_flow(s: Setting) -> float:
    """‖dS/dΛ‖² of N(0, vI) at λ(T): S = −Ŷ/w with Ŷ ∝ √w along the flow; a complex step in λ."""
    w = float(_law(s).eigenvalues[0]) + _end(s)[1]
    rate = ((w + 1e-30j) ** -0.5).imag / 1e-30
    return s.data.d * rate**2


def _spent(s: Setting, order: int) -> float:
    """∫u^{2(order−1)}(1+L_0u)²‖d^order S/dΛ^order‖²du of a Gaussian, S ∝ w^{−1/2} along each axis."""
    values, lam = _law(s).eigenvalues, _end(s)[1]
    L0, factor = 1.0 / float(values.min()), {1: 0.25, 2: 0.5625}[order]

    def integrand(u: float) -> float:
        rate = factor * float(((values + u) ** -(2.0 * order + 1.0)).sum())
        return u ** (2 * (order - 1)) * (1.0 + L0 * u) ** 2 * rate

    return quad(integrand, 0.0, lam, epsrel=1e-10, limit=200)[0]


def _posterior(s: Setting) -> float:
    """Var(X_{τ_1} | X_{τ_0}, X_0)."""
    v0, v1 = (float(s.process.sigma2(t)) for t in s.nodes.t[:2])
    a0, a1 = (float(s.process.alpha(t)) for t in s.nodes.t[:2])
    return v1 - (a0 / a1 * v1) ** 2 / v0


def _psi(s: Setting) -> float:
    hi, lo = (float(s.process.lam(t)) for t in s.nodes.t[:2])
    L0 = 1.0 / float(_law(s).eigenvalues.min())
    return quad(lambda u: ((u - lo) * L0 / (1.0 + L0 * u)) ** 2, lo, hi, epsrel=1e-11)[0]


def _standard(s: Setting) -> float:
    """W2(N(0, I), p_T)."""
    mean = _end(s)[0] * _law(s).coordinates
    return math.sqrt(float(((np.sqrt(_variances(s)) - 1.0) ** 2 + mean**2).sum()))


def _gap_sum(s: Setting) -> float:
    lam = s.process.lam(s.nodes.t)
    w = float(_law(s).eigenvalues[0]) + lam
    return math.fsum((lam[:-1] - lam[1:]) ** 2 / (w[1:] ** 2 * w[:-1]))


def _mixture(s: Setting) -> tuple[float, float]:
    """The least and the largest −(log q)″ of ½N(−D, v) + ½N(D, v) at λ(T), by differences."""
    v, D = s.data.tau**2 + _end(s)[1], s.data.D
    x, h = np.linspace(-3.0 * D, 3.0 * D, 601), 1e-3 * math.sqrt(v)

    def log_q(at: Any) -> Any:
        return np.logaddexp(-((at - D) ** 2) / (2.0 * v), -((at + D) ** 2) / (2.0 * v))

    # fourth order
    near, far = log_q(x + h) + log_q(x - h), log_q(x + 2.0 * h) + log_q(x - 2.0 * h)
    second = (16.0 * near - far - 30.0 * log_q(x)) / (12.0 * h**2)
    return float((-second).min()), float((-second).max())


def _on_its_grid(s: Setting, grid: str) -> Setting:
    return wbound.setting(s.process, s.data, s.nodes.T, s.nodes.K, scheme="hf", start="exact", grid=grid)


def _published(s: Setting, M: float = 0.0) -> Bound:
    bound = THEOREM_1.evaluate(dataclasses.replace(s, M1=0.0, score_bias=M))
    assert isinstance(bound, Bound)
    return bound


def _time_derivative(s: Setting) -> float:
    """max over times of |∂_t W^{−1}| and |∂_t(αW^{−1})μ|, by differences."""
    law, T = _law(s), s.nodes.T
    h = 1e-4 * T
    t = np.linspace(3.0 * h, T - 3.0 * h, 301)

    def rate(of: Callable[[Any], Any]) -> Any:
        near, far = of(t + h) - of(t - h), of(t + 2.0 * h) - of(t - 2.0 * h)
        return (8.0 * near - far) / (12.0 * h)

    def inverse(at: Any, power: float) -> Any:
        alpha, lam = s.process.alpha(at)[:, None], s.process.lam(at)[:, None]
        return alpha**power / (alpha**2 * (law.eigenvalues + lam))

    slopes = np.abs(rate(lambda at: inverse(at, 0.0))).max()
    moved = np.linalg.norm(rate(lambda at: inverse(at, 1.0)) * law.coordinates, axis=1).max()
    return float(max(slopes, moved)) * (1.0 - 1e-7)


def _worst(s: Setting, points: Any, absolute: bool = False) -> float:
    """The largest error of a size, by the setting's own recursion in x-units, relative to √x or not."""
    sampler, out = s.scheme.steps(s.nodes.batch), 0.0
    alpha, lam = s.process.alpha(s.nodes.t), s.process.lam(s.nodes.t)
    for x in points:
        w = alpha**2 * (x + lam)
        v = {"prior": alpha[0] ** 2 * lam[0], "standard": 1.0}[s.start]
        for k in range(s.nodes.K):
            A, C, Q = (float(y[k]) for y in (sampler.A, sampler.C, sampler.Q))
            v = (A - C / w[k]) ** 2 * v + Q
        off = abs(math.sqrt(v) - math.sqrt(x))
        out = max(out, off if absolute else off / math.sqrt(x))
    return out


def _ends(s: Setting) -> tuple[float, float]:
    values = _law(s).eigenvalues
    return float(values.min()), float(values.max())


def _class_error(s: Setting) -> float:
    """Theorem 6's sampler at 2,000 eigenvalues of the class."""
    a, b = _ends(s)
    x = np.geomspace(a, b, 2000)
    tape = wbound.phase_sampler(K=s.nodes.K, a=a, b=b)
    return float(np.abs(np.sqrt(tape_law(tape, x).variance / x) - 1.0).max())


def _phase_law(s: Setting) -> float:
    """Theorem 4's sampler by its tape's law, in x."""
    tape = phase_levels(theorem_4_nodes(s)).tape()
    return tape_law(tape, _law(s).eigenvalues).w2()


def _from_the_mean(s: Setting) -> float:
    """`ddim` from N(EX_0, λ(T)I): the data's mean moved to 0."""
    centred = Gaussian(np.zeros(s.data.d), _law(s).eigenvalues)
    return float(EXACT_LAW(dataclasses.replace(s, data=centred, start="prior")))


def _two_modes(s: Setting) -> float | None:
    """W2 on the mixture that has this profile, its modes along the first axis: pushed quantiles, in x."""
    if s.score_bias:
        return None
    centre = np.zeros(s.data.d)
    centre[0] = s.data.D
    found = flow1d(dataclasses.replace(s, data=Bimodal(centre, s.data.tau)), 1e-7)
    return found.w2 - found.error


def _moved_in_time(s: Setting, noise: float) -> float:
    """The variance along −dv = [2(f − ½(1 + noise)g²/w)v + noise g²]dt, in x-units, solved in t."""
    p, t, x = s.process, s.nodes.t, float(_law(s).eigenvalues[0])

    def slope(u: float, v: Any) -> Any:  # u = T − t
        at = float(t[0]) - u
        f, g2 = float(p.f(at)), float(p.g(at)) ** 2
        w = float(p.alpha(at)) ** 2 * (x + float(p.lam(at)))
        return 2.0 * (f - 0.5 * (1.0 + noise) * g2 / w) * v + noise * g2

    w = float(p.alpha(t[0])) ** 2 * (x + float(p.lam(t[0])))
    begun = {"exact": w, "prior": float(p.sigma2(t[0])), "standard": 1.0}[s.start]
    span = (0.0, float(t[0] - t[-1]))
    return float(solve_ivp(slope, span, [begun], method="DOP853", rtol=1e-12, atol=1e-14).y[0, -1])


def _coupled_at_the_times(s: Setting) -> float:
    """Not below W2: output and data coupled given the times, in x."""
    of = by_quadrature(s)
    if s.scheme.kind == "ode":
        square = of.moment - 2.0 * of.gain * math.sqrt(of.start * of.x) + of.x
    else:
        square = (of.spread + (of.moment - of.x) ** 2) / of.x
    return math.sqrt(s.data.d * max(square, 0.0))


def _sizes_apart(s: Setting) -> float:
    """Not above W2: ‖y_K‖ and ‖X_0‖ apart, in x."""
    of = by_quadrature(s)
    return math.sqrt(s.data.d) * abs(math.sqrt(of.moment) - math.sqrt(of.x))


#: By an independent route: the quantity that a statement is about, where it is not the exact W2 (None: cannot be told).
TRUTH: dict[str, Callable[[Setting], float | None]] = {
    "eq-2": lambda s: _forward(s)[1],
    **dict.fromkeys(
        (
            *("eq-3", "section-1:ve", "section-1:vp", "section-1:ou", "section-1:sub-vp"),
            *(f"section-9:{name}" for name in ("original", "v1", "v2", "v3")),
        ),
        _clock,
    ),
    "assumption-a2:gaussian": _time_derivative,
    "lemma-1:m": lambda s: 1.0 / float(_variances(s).max()),
    "lemma-1:L": _eigenvalue,
    "eq-4": _eigenvalue,
    "lemma-2:score": _pairing,
    "lemma-2:J": lambda s: float((1.0 / _variances(s)).sum()),
    "lemma-3:R": lambda s: float((_smoothed(s)[0] ** -2.0).sum()),
    "lemma-3:increment": _score_increment,
    "lemma-3:mean": _slope,
    "lemma-5": _score_along_the_flow,
    "flow-derivatives": lambda s: _spent(s, 2),
    "flow-derivatives:first": lambda s: _spent(s, 1),
    "theorem-3:ode-hf": _flow_frozen,
    "theorem-3:ddim": _flow_frozen,
    "theorem-3:ode-ei": _flow_frozen,
    "section-3:hf": _frozen,
    "section-3:ei": _frozen,
    "section-3:ddpm": _posterior,
    "theorem-2:Psi": _psi,
    "eq-8:standard": _standard,
    "eq-11": _gap_sum,
    "eq-12:prior": lambda s: float(s.nodes.K),
    "eq-14": lambda s: THEOREM_2.evaluate(s).total,
    "section-7:floor": lambda s: float(EXACT_LAW(_on_its_grid(s, "gaussian"))),
    "section-8:published": lambda s: _published(s).discretisation,
    "section-8:score": lambda s: _published(s, 1.0).score,
    "exact-iterations": lambda s: float(EXACT_LAW(dataclasses.replace(s, start="prior"))),
    "profiles:m": lambda s: _mixture(s)[0],
    "profiles:L": lambda s: _mixture(s)[1],
    "flow-law": lambda s: _plain_law(s)[0],
    "lemma-2": _second_moment,
    "lemma-3": _step_noise,
    "eq-6": _curvature_integral,
    "eq-8": _start,
    "exact-law": lambda s: _plain_law(s)[0],
    "exact-law:mean": lambda s: _plain_law(s)[2],
    "eq-10": lambda s: _plain_law(s)[1],
    "eq-10-prime": lambda s: _plain_law(s)[1],
    "eq-12": lambda s: float(s.nodes.K),
    "eq-16": lambda s: _plain_law(s)[0],
    "theorem-4": _phase_law,
    "theorem-5": lambda s: _worst(s, alternation(s.nodes.K, _ends(s)[1] / _ends(s)[0]) * _ends(s)[0]),
    "theorem-6": lambda s: _worst(s, np.geomspace(*_ends(s), 60)),
    "theorem-6:attained": _class_error,
    "random-levels": lambda s: _worst(s, alternation(s.nodes.K, _ends(s)[1] / _ends(s)[0]) * _ends(s)[0]),
    "theorem-3-prime": _two_modes,
    "limits-without-steps": lambda s: _moved_in_time(s, 1.0),
    "limits-without-steps:flow": lambda s: _moved_in_time(s, 0.0),
    "random-midpoint": lambda s: s.data.d * by_quadrature(s).moment,
    "random-midpoint:flow": lambda s: s.data.d * by_quadrature(s).moment,
    "random-midpoint:low": _coupled_at_the_times,
    "random-midpoint:high": _sizes_apart,
    "random-midpoint:flow-high": _sizes_apart,
    "absolute-floor": lambda s: _worst(s, np.append(0.0, np.geomspace(1e-9, 1.0, 60)) * _ends(s)[1], True),
    "section-18": _from_the_mean,
    "eq-13": lambda s: THEOREM_2.evaluate(_on_its_grid(s, "optimal")).total,
}
