"""Gaussian data as a spectrum, and the exact law of the schemes that see a process through its clock alone.

In y = x/α units, hf, ddpm and the ODE schemes ode-hf, ddim, heun, heun-lam and heun-lambda from the prior N(0, λ(T)I) or
from p_T depend on the nodes' λ only: the variance of a coordinate with eigenvalue ς² ends at ς² + λ_K + e. For hf and ddpm
e is a sum over adjacent nodes (Eq. 10, 10′), for an ODE 1 + e/(ς² + λ_K) is a product over them (section 12). That makes
searches over schedules cheap, and one answer serves every forward process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbound.data.gaussian import Gaussian
from wbound.sampler.make_setting import has_density
from wbound.sampler.scheme import SCHEMES
from wbound.typing import Array

__all__ = [
    "FLOWS",
    "LAWS",
    "PAIRS",
    "ClockLaw",
    "ClockW2",
    "Pair",
    "Sampling",
    "Spectrum",
    "clock_w2",
    "clock_w2s",
    "flow_excess",
    "prior_excess",
    "start_gap2",
    "width_error2",
]


#: Half-width of the strip around the real axis of log ς² that interpolation may use: e(ς²) is analytic up
#: to π.
STRIP = 2.6
#: What interpolation over eigenvalues may cost, relative to the largest value.
TOLERANCE = 1e-12


class Sampling(NamedTuple):
    """Eigenvalues (n,) at which a function of ς² is evaluated, and the matrix (E, n) that carries it to
    all; None where the samples are the eigenvalues themselves."""

    at: Array
    matrix: Array | None

    def spread(self, values: Array) -> Array:
        """Values at the samples (n,) → at every eigenvalue (E,)."""
        return values if self.matrix is None else self.matrix @ values

    def gather(self, weights: Array) -> Array:
        """The transpose: weights of the eigenvalues (E,) → of the samples (n,)."""
        return weights if self.matrix is None else weights @ self.matrix


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Distinct eigenvalues ς² (E,) ascending (x²), how often each occurs, and the mean's squared length
    (x²) there."""

    variances: Array
    counts: Array
    mean_square: Array

    @staticmethod
    def of(data: Gaussian) -> Spectrum:
        """The spectrum of a Gaussian: only equal eigenvalues are merged."""
        variances, group = np.unique(data.eigenvalues, return_inverse=True)
        return Spectrum(
            variances,
            np.bincount(group).astype(float),
            np.bincount(group, data.coordinates**2).astype(float),
        )

    @property
    def d(self) -> int:
        return int(self.counts.sum())

    @cached_property
    def sampling(self) -> Sampling:
        """Where laws need to be computed. An output law's variance is analytic in log ς² in a strip of
        half-width π (its poles are at ς² = −λ_k), so Chebyshev points there give all eigenvalues to about
        1e-12: thousands cost as much as a hundred, and none is lumped with another. Zero eigenvalues stay
        by themselves."""
        s = self.variances
        positive = s[s > 0.0]
        half = 0.5 * math.log(positive[-1] / positive[0]) if positive.size else 0.0
        ratio = STRIP / half if half > 0.0 else math.inf
        growth = ratio + math.hypot(1.0, ratio)
        n = math.ceil(-math.log(TOLERANCE) / math.log(growth)) + 8 if half > 0.0 else 1
        if n >= positive.size:
            return Sampling(s, None)
        angle = (np.arange(n) + 0.5) * math.pi / n
        x = np.cos(angle)
        centre = 0.5 * math.log(positive[-1] * positive[0])
        target = (np.log(positive) - centre) / half
        # barycentric form of Chebyshev's first points
        away = target[:, None] - x
        hit = np.abs(away) < 1e-14
        with np.errstate(divide="ignore", invalid="ignore"):  # rows that hit a point are set below
            weight = np.where(np.arange(n) % 2, -1.0, 1.0) * np.sin(angle) / away
            matrix = weight / weight.sum(axis=1, keepdims=True)
        rows = hit.any(axis=1)
        matrix[rows] = hit[rows].astype(float)
        at = np.exp(centre + half * x)
        if positive.size == s.size:
            return Sampling(at, matrix)
        whole = np.zeros((s.size, n + 1))
        whole[0, 0] = 1.0
        whole[1:, 1:] = matrix
        return Sampling(np.concatenate(([0.0], at)), whole)


class Pair(NamedTuple):
    """A step's share of e (of log(1 + e/ς²) for an ODE) per eigenvalue and step (E, K), with derivatives in a =
    λ_k and b = λ_{k−1}."""

    value: Array
    a: Array
    b: Array
    aa: Array
    ab: Array
    bb: Array


def hf_pair(s: Array, a: Array, b: Array) -> Pair:
    """hf: ς⁴H²/(ŵ_k²ŵ_{k−1}) (Eq. 10), arrays broadcast; a zero eigenvalue counts in the last step alone."""
    A, B, H = s + a, s + b, b - a
    null = A == 0.0  # ς² = 0 at the last node: (ς²/ŵ)² = 1, and a stays 0
    safe = np.where(null, 1.0, A)
    u2 = np.where(null, 1.0, s / safe) ** 2
    return Pair(
        u2 * H * H / B,
        np.where(null, 0.0, -2.0 * u2 * H / safe),
        u2 * H * (A + B) / (B * B),
        np.where(null, 0.0, u2 * (6.0 * B / safe - 4.0) / safe),
        np.where(null, 0.0, -2.0 * u2 / safe),
        2.0 * u2 * A * A / B**3,
    )


def ddpm_pair(s: Array, a: Array, b: Array) -> Pair:
    """ddpm: −ς⁶H²/(ŵ_k²ŵ_{k−1}λ_{k−1}) (Eq. 10′); a zero eigenvalue has none."""
    A, B, H = s + a, s + b, b - a
    safe = np.where(A == 0.0, 1.0, A)
    u2 = (s / safe) ** 2
    D, slope = B * b, s + 2.0 * b
    return Pair(
        -s * u2 * H * H / D,
        2.0 * s * u2 * H / (safe * b),
        -s * u2 * (2.0 * H - H * H * slope / D) / D,
        -s * u2 * (2.0 + 6.0 * H / safe) / (safe * b),
        2.0 * s * u2 * a / (safe * b * b),
        -s * u2 * (2.0 - 4.0 * H * slope / D + 2.0 * H * H * slope * slope / (D * D) - 2.0 * H * H / D) / D,
    )


def hf_value(s: Array, a: Array, b: Array, end: Array | float = 0.0) -> Array:
    """`hf_pair` without its derivatives, carried to ŵ_K = ς² + λ_K, λ_K = ``end``."""
    A, H = s + a, b - a
    null = A == 0.0
    u2 = np.where(null, 1.0, (s + end) / np.where(null, 1.0, A)) ** 2
    return np.asarray(u2 * H * H / (s + b))


def ddpm_value(s: Array, a: Array, b: Array, end: Array | float = 0.0) -> Array:
    """`ddpm_pair` without its derivatives, carried to ŵ_K = ς² + λ_K, λ_K = ``end``."""
    A, H = s + a, b - a
    u2 = ((s + end) / np.where(A == 0.0, 1.0, A)) ** 2
    return np.asarray(-s * u2 * H * H / ((s + b) * b))


# ---------------------------------------------------------------------- the ODE: products over adjacent nodes
# A coordinate is multiplied by r where the exact flow multiplies by √(A/B), A = ς² + a, B = ς² + b: with
# φ = log(r²B/A), 1 + e/ς² = exp Σφ. Where ς² = 0 the last step (a = 0) has φ = log(r²b) instead, and e = exp Σφ.


def flow_excess(s: Array, log_growth: Array) -> Array:
    """e (x²) for eigenvalues s (E,) with Σφ (E,)."""
    with np.errstate(over="ignore"):  # a hopeless grid: infinite
        return np.where(s > 0.0, s * np.expm1(log_growth), np.exp(log_growth))


def _null(s: Array, a: Array, b: Array) -> tuple[NDArray[np.bool_], Array, Array]:
    """Where ς² = 0 = a, and A and B with a stand-in there."""
    null, A = (s + a) == 0.0, np.asarray(s + a)
    np.copyto(A, b, where=null)
    return null, A, s + b


def ode_hf_pair(s: Array, a: Array, b: Array) -> Pair:
    """ode-hf, r = (A + B)/2B: φ = 2 log(A + B) − log 4AB; ς² = 0 at the end: r = ½."""
    null, A, B = _null(s, a, b)
    S, H = A + B, b - a
    return Pair(
        ode_hf_value(s, a, b),
        np.where(null, 0.0, -H / (S * A)),
        np.where(null, 1.0 / b, H / (S * B)),
        np.where(null, 0.0, 1.0 / A**2 - 2.0 / S**2),
        np.where(null, 0.0, -2.0 / S**2),
        np.where(null, -1.0 / b**2, 1.0 / B**2 - 2.0 / S**2),
    )


def ddim_pair(s: Array, a: Array, b: Array) -> Pair:
    """ddim, r = (ς² + √(ab))/B: φ = 2 log(ς² + √(ab)) − log AB; ς² = 0 at the end: r = 0."""
    null, A, B = _null(s, a, b)
    inner = np.where(a > 0.0, a, b)  # the last node is fixed: its derivatives are nobody's
    g = np.sqrt(inner * b)
    P = s + g
    up, down = g / inner, g / b
    return Pair(
        ddim_value(s, a, b),
        np.where(a > 0.0, s * (g - inner) / (inner * P * A), 0.0),
        np.where(null, 0.0, np.where(a > 0.0, s * (g - b) / (b * P * B), -1.0 / B)),
        np.where(a > 0.0, 1.0 / A**2 - 0.5 * up / (inner * P) - 0.5 * (up / P) ** 2, 0.0),
        np.where(a > 0.0, 0.5 * up * s / (b * P**2), 0.0),
        np.where(
            null,
            0.0,
            np.where(a > 0.0, 1.0 / B**2 - 0.5 * down / (b * P) - 0.5 * (down / P) ** 2, 1.0 / B**2),
        ),
    )


def heun_lam_pair(s: Array, a: Array, b: Array) -> Pair:
    """heun-lam, r = N/AB, N = ς⁴ + ½ς²(b + 3a) + a√(ab): φ = 2 log N − 3 log A − log B; ς² = 0 at the end: ½."""
    null, A, B = _null(s, a, b)
    inner = np.where(a > 0.0, a, b)
    g = np.sqrt(a * b)
    N = np.where(null, 1.0, s * s + 0.5 * s * (b + 3.0 * a) + a * g)
    N_a, N_b = 1.5 * (s + g), 0.5 * s + 0.5 * a * g / b
    return Pair(
        heun_lam_value(s, a, b),
        np.where(null, 0.0, 2.0 * N_a / N - 3.0 / A),
        np.where(null, 1.0 / b, 2.0 * N_b / N - 1.0 / B),
        np.where(null, 0.0, 1.5 * g / (inner * N) - 2.0 * (N_a / N) ** 2 + 3.0 / A**2),
        np.where(null, 0.0, 1.5 * g / (b * N) - 2.0 * N_a * N_b / N**2),
        np.where(null, -1.0 / b**2, -0.5 * a * g / (b * b * N) - 2.0 * (N_b / N) ** 2 + 1.0 / B**2),
    )


def heun_pair(s: Array, a: Array, b: Array) -> Pair:
    """heun: heun-lam's, but ddim's at the end (a = 0)."""
    middle, last = heun_lam_pair(s, a, b), ddim_pair(s, a, b)
    return Pair(*(np.where(a > 0.0, one, other) for one, other in zip(middle, last, strict=True)))


def heun_lambda_pair(s: Array, a: Array, b: Array) -> Pair:
    """heun-lambda, r = N/8AB, N = 6AB + 3A² − B²: φ = 2 log|N| − 3 log A − log 64B; ς² = 0 has no score at the end."""
    null, A, B = _null(s, a, b)
    N = 6.0 * A * B + 3.0 * A * A - B * B
    N = np.where(N == 0.0, 1.0, N)  # then nothing is left of the coordinate, whatever its derivatives
    N_a, N_b = 6.0 * (A + B), 6.0 * A - 2.0 * B
    return Pair(
        heun_lambda_value(s, a, b),
        np.where(null, 0.0, 2.0 * N_a / N - 3.0 / A),
        np.where(null, 0.0, 2.0 * N_b / N - 1.0 / B),
        np.where(null, 0.0, 12.0 / N - 2.0 * (N_a / N) ** 2 + 3.0 / A**2),
        np.where(null, 0.0, 12.0 / N - 2.0 * N_a * N_b / N**2),
        np.where(null, 0.0, -4.0 / N - 2.0 * (N_b / N) ** 2 + 1.0 / B**2),
    )


def _ends(s: Array, a: Array, b: Array) -> tuple[NDArray[np.bool_] | None, Array, Array]:
    """`_null`, quick where no eigenvalue is 0."""
    return (None, s + a, s + b) if s.min() > 0.0 else _null(s, a, b)


def _quarter(b: Array) -> Array:
    return np.asarray(np.log(0.25 * b))


# φ alone, without cancellation where a step is short: log1p of r²B/A − 1, and what it is where ς² = 0 = a


def _logged(
    inside: Array, null: NDArray[np.bool_] | None, last: Callable[[Array], Array] | float, b: Array
) -> Array:
    with np.errstate(divide="ignore"):  # nothing is left of a coordinate
        if null is None:
            return np.log1p(inside, out=inside)
        np.copyto(inside, 0.0, where=null)
        np.log1p(inside, out=inside)
        np.copyto(inside, last(b) if callable(last) else last, where=null)
        return inside


def ode_hf_value(s: Array, a: Array, b: Array) -> Array:
    """φ of `ode_hf_pair`."""
    null, A, B = _ends(s, a, b)
    return _logged((b - a) ** 2 / (4.0 * A * B), null, _quarter, b)


def ddim_value(s: Array, a: Array, b: Array) -> Array:
    """φ of `ddim_pair`."""
    null, A, B = _ends(s, a, b)
    A *= B  # in place: of many pairs fresh memory costs more than the arithmetic
    inside = -s * (np.sqrt(b) - np.sqrt(a)) ** 2
    inside /= A
    return _logged(inside, null, -np.inf, b)


def heun_lam_value(s: Array, a: Array, b: Array) -> Array:
    """φ of `heun_lam_pair`."""
    null, A, B = _ends(s, a, b)
    kappa, beta = np.sqrt(a / b), s / A
    inside = b / (A * B) * (np.sqrt(b) - np.sqrt(a)) ** 2 * (1.0 - kappa)
    inside = inside * (0.25 * beta**2 * (1.0 + 3.0 * kappa) + beta * (a / A) * kappa)
    return _logged(inside, null, _quarter, b)


def heun_value(s: Array, a: Array, b: Array) -> Array:
    """φ of `heun_pair`."""
    return np.where(a > 0.0, heun_lam_value(s, a, b), ddim_value(s, a, b))


def heun_lambda_value(s: Array, a: Array, b: Array) -> Array:
    """φ of `heun_lambda_pair`: r²B/A − 1 = x³(x − 8)/(64(1 + x)), x = B/A − 1."""
    null, A, B = _ends(s, a, b)
    x = (b - a) / A
    with np.errstate(over="ignore"):  # a hopeless step: infinite
        return _logged(np.maximum(x**3 * (x - 8.0) * (A / B) / 64.0, -1.0), null, np.inf, b)


class ClockLaw(NamedTuple):
    """A scheme's exact law on the clock, over adjacent nodes: with derivatives, and without (of the SDE carried to where
    the sampler stops); the ODE's are products. ``cancels``: whether steps err to both sides, so that nodes exist at which
    their errors cancel, and W2 has many minima."""

    pair: Callable[[Array, Array, Array], Pair]
    value: Callable[..., Array]
    flow: bool
    cancels: bool = False


#: The laws by scheme: of the SDE a sum over adjacent nodes of the clock, of the ODE a product.
LAWS: dict[str, ClockLaw] = {
    "hf": ClockLaw(hf_pair, hf_value, False),
    "ddpm": ClockLaw(ddpm_pair, ddpm_value, False),
    "ode-hf": ClockLaw(ode_hf_pair, ode_hf_value, True),
    "ddim": ClockLaw(ddim_pair, ddim_value, True),
    "heun": ClockLaw(heun_pair, heun_value, True, cancels=True),
    "heun-lam": ClockLaw(heun_lam_pair, heun_lam_value, True),
    "heun-lambda": ClockLaw(heun_lambda_pair, heun_lambda_value, True, cancels=True),
}
PAIRS = {name: law.pair for name, law in LAWS.items() if not law.flow}
FLOWS = {name: law.pair for name, law in LAWS.items() if law.flow}


def width_error2(s: Array, e: Array) -> Array:
    """(√(ς²+e) − ς)², to the last digits near e = 0; a variance below 0 by rounding counts as 0."""
    return _share2(np.maximum(e, -s), np.sqrt(np.maximum(s + e, 0.0)) + np.sqrt(s))


def _share2(part: Array, total: Array) -> Array:
    """(part/total)², 0 where the total is."""
    if total.size and float(total.min()) > 0.0:
        share = part / total
    else:
        share = np.divide(
            part, total, out=np.zeros(np.broadcast_shapes(part.shape, total.shape)), where=total > 0.0
        )
    share *= share
    return np.asarray(share)


class ClockW2(NamedTuple):
    """Exact W2 in x (not squared): of the output to the data, from p_T and from the prior N(0, σ²(T)I), and
    between the two outputs: what the prior start changes."""

    exact: float
    prior: float
    start: float

    @property
    def robust(self) -> float:
        """exact + start ≥ prior (triangle inequality): unlike ``prior`` it cannot be tuned to 0 (section
        6)."""
        return self.exact + self.start


def start_gap2(s: Array, e: Array, moved: Array) -> Array:
    """(√(ς²+e) − √(ς²+moved))², by its difference of squares."""
    return _share2(e - moved, np.sqrt(np.maximum(s + e, 0.0)) + np.sqrt(np.maximum(s + moved, 0.0)))


def clock_w2(spectrum: Spectrum, log_lam: Array, scheme: str = "hf") -> ClockW2:
    """Exact W2 of a scheme of `LAWS` on the nodes log λ (K+1,), decreasing to −∞, or to log δ where the sampler stops
    early: then the output is y_K/α_K (section 11). Kind: *exact*.

    A twin of `wbound.exact.gaussian_law.law` for these schemes; tests compare the two. Raises `BadInput` for a scheme that
    asks for the score at λ = 0 where an eigenvalue is 0.
    """
    return clock_w2s(spectrum, [log_lam], scheme)[0]


def clock_w2s(spectrum: Spectrum, rows: Sequence[Array], scheme: str = "hf") -> list[ClockW2]:
    """`clock_w2` of each of several rows of nodes, all of them at once."""
    s, sampling = spectrum.variances, spectrum.sampling
    _, of, flow, _ = LAWS[scheme]
    lams = [np.exp(row) for row in rows]
    if any(lam[-1] == 0.0 for lam in lams):
        has_density(SCHEMES[scheme], s)
    out = []
    for few in _parts(lams, sampling.at.size):
        a, b = (np.concatenate([lam[part] for lam in few]) for part in (_LATER, _EARLIER))
        sizes = [lam.size - 1 for lam in few]
        begins, alike = np.cumsum([0, *sizes[:-1]]), min(sizes) == max(sizes)
        end = np.array([lam[-1] for lam in few])
        e = np.empty((sampling.at.size, len(few)))
        share = max(1, MOST // a.size)
        for i in range(0, e.shape[0], share):
            at = sampling.at[i : i + share, None]
            terms = of(at, a, b) if flow else of(at, a, b, np.repeat(end, sizes))
            e[i : i + share] = (
                terms.reshape(at.size, len(few), -1).sum(axis=2)  # of one length: in the order of a row alone
                if alike
                else np.add.reduceat(terms, begins, axis=1)
            )
        if flow:
            e = flow_excess(sampling.at[:, None] + end, e)
        out += _w2_of(spectrum, flow, sampling.spread(e), np.array([lam[0] for lam in few]), end)
    return out


#: Pairs of a step and an eigenvalue that are held at once.
MOST = 1 << 18
#: The ends of a step among the nodes.
_LATER, _EARLIER = slice(1, None), slice(None, -1)


def _parts(lams: list[Array], n: int) -> Iterator[list[Array]]:
    """The rows in parts of at most `MOST` pairs, one row at least."""
    part: list[Array] = []
    size = 0
    for lam in lams:
        if part and size + n * lam.size > MOST:
            yield part
            part, size = [], 0
        part.append(lam)
        size += n * lam.size
    if part:
        yield part


def _w2_of(spectrum: Spectrum, flow: bool, e: Array, lam0: Array, end: Array) -> list[ClockW2]:
    """The distances from each e (E, N) of rows that begin at λ_0 and end at λ_K (N,)."""
    s, counts = spectrum.variances[:, None], spectrum.counts
    moved, means2 = _moved_by_prior(flow, s, e, lam0, end)
    e, moved = end + e, end + moved
    mean2 = spectrum.mean_square @ means2
    # `width_error2` from each start and `start_gap2`, each root once
    width, own, other = np.sqrt(s), np.sqrt(np.maximum(s + e, 0.0)), np.sqrt(np.maximum(s + moved, 0.0))
    exact = counts @ _share2(np.maximum(e, -s), own + width)
    prior = counts @ _share2(np.maximum(moved, -s), other + width) + mean2
    start = counts @ _share2(e - moved, own + other) + mean2
    return [ClockW2(*each) for each in np.sqrt([exact, prior, start]).T.tolist()]


def prior_excess(s: Array, lam: Array, scheme: str) -> Array:
    """What the output's variance has over ς² + λ_K (x², (E,)) on levels ``lam`` (K+1,) from N(0, λ_0 I), of a scheme of
    `LAWS`; ς² > 0. *exact*"""
    return _moved_by_prior(LAWS[scheme].flow, s, _excess(s, lam, scheme), float(lam[0]), float(lam[-1]))[0]


def _excess(s: Array, lam: Array, scheme: str) -> Array:
    """`prior_excess` from p_T."""
    end, e = float(lam[-1]), np.zeros(s.size)
    _, of, flow, _ = LAWS[scheme]
    rows = max(1, (1 << 18) // max(lam.size, 1))
    for i in range(0, e.size, rows):
        part, a, b = s[i : i + rows, None], lam[None, 1:], lam[None, :-1]
        e[i : i + rows] = (of(part, a, b) if flow else of(part, a, b, end)).sum(axis=1)
    return flow_excess(s + end, e) if flow else e


def _moved_by_prior(
    flow: bool, s: Array, e: Array, lam0: Array | float, end: Array | float
) -> tuple[Array, Array]:
    """What e becomes from the prior start, and the squared share of the mean that is then missing, (E, N)."""
    w = s + end
    if flow:  # everything is multiplied by R, R² = (ŵ_K+e)/(ς²+λ_0)
        return e - (w + e) * (s / (s + lam0)), np.maximum(w + e, 0.0) / (s + lam0)
    share = w / (s + lam0)
    return e - s * share**2, share**2
