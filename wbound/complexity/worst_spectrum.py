"""The exact law at its worst: the Gaussian that the facts d, m_0, L_0, ‖X_0‖ allow and a sampler serves worst.

One Gaussian may flatter a sampler: on N(0, vI) the errors of its steps may cancel (section 6), for a variance v
that another direction of the data does not have. The worst spectrum leaves nothing to cancel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy

from wbound.complexity.exact_law_criterion import exact_criterion
from wbound.complexity.least_steps import Iterations, answer
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import HypothesisFailed, positive
from wbound.exact.clock_law import start_gap2, width_error2
from wbound.forward.forward_process import Process
from wbound.sampler.scheme import Scheme, scheme_named
from wbound.summation.criterion import Value, ends_of
from wbound.typing import Array

__all__ = ["Worst", "WorstSpectrum", "worst_iterations"]


#: Points in log ς² at which errors are compared, for each factor e from 1/L_0 to 1/m_0 and at least, and how many
#: times finer they lie around the worst.
EACH, LEAST, FINER = 32, 96, 16
#: Half-width of the strip around the real axis of log ς² where an output's variance is analytic, a little below
#: π, and what interpolation in that variable may cost, relative to the largest error.
STRIP, TOLERANCE = 2.6, 1e-10
#: Rounds of the search for how the two errors are weighed.
ROUNDS, EDGE = 60, 1e-9


class Worst(NamedTuple):
    """The largest W2(from p_T) + W2(between the outputs from p_T and from the prior), in x (not squared): its two
    parts, and the variances (x²) with the share of the coordinates that each has."""

    exact: float
    start: float
    variances: Array
    shares: Array

    @property
    def total(self) -> float:
        return self.exact + self.start


class _Chords:
    """Spectra of mean variance m that have one or two variances of a grid: their maxima are those of all
    spectra's, for a functional that is linear in the spectrum."""

    def __init__(self, v: Array, m: float) -> None:
        self.v, self.m = v, m
        self.left, self.right = np.flatnonzero(v < m), np.flatnonzero(v > m)
        self.at = int(np.argmin(np.abs(v - m)))  # the grid holds m
        low, high = v[self.left][:, None], v[self.right][None]
        self.share = (high - m) / (high - low)  # of the coordinates with the lower variance

    def best(self, y: Array) -> Array:
        """The shares (n,) that make Σ y(ς²) largest."""
        shares = np.zeros(self.v.size)
        if self.share.size:
            chords = self.share * y[self.left][:, None] + (1.0 - self.share) * y[self.right][None]
            i, j = np.unravel_index(int(np.argmax(chords)), chords.shape)
            if chords[i, j] > y[self.at]:
                shares[self.left[i]], shares[self.right[j]] = self.share[i, j], 1.0 - self.share[i, j]
                return shares
        shares[self.at] = 1.0
        return shares


class WorstSpectrum:
    """The spectra that the facts allow: eigenvalues in [1/L_0, 1/m_0], their mean ‖X_0‖²/d, in any proportions.

    facts: centred (``mean_norm`` = 0). Proportions need not be multiples of 1/d: for a given d the worst is at
    most this, and equal to it where they are. Raises `HypothesisFailed` where the mean is not known to be 0.
    """

    def __init__(self, facts: LogConcave) -> None:
        if facts.mean_norm != 0.0:
            raise HypothesisFailed("the worst spectrum", "centred data", f"mean_norm = {facts.mean_norm}")
        low, high = 1.0 / facts.L0, 1.0 / facts.m0
        self.d, self.mean = facts.d, min(max(facts.second_moment / facts.d, low), high)
        self.centre, self.half = 0.5 * math.log(high * low), 0.5 * math.log(high / low)
        if self.half < 1e-12:  # one variance
            self.sampled = np.array([self.mean])
            return
        ratio = STRIP / self.half
        n = math.ceil(-math.log(TOLERANCE) / math.log(ratio + math.hypot(1.0, ratio))) + 4
        self.x = np.cos(np.arange(n) * math.pi / (n - 1))[::-1]  # Chebyshev's second points: with both ends
        self.sampled = self._variances(self.x)
        self.coarse = self._grid(np.linspace(-1.0, 1.0, max(LEAST, round(2.0 * self.half * EACH)) + 1))

    def _variances(self, u: Array) -> Array:
        return np.exp(self.centre + self.half * u)

    def _grid(self, u: Array) -> tuple[_Chords, Array]:
        """The spectra on a grid of log ς², and the matrix that carries values at the sampled variances there."""
        u = np.union1d(u, [min(max((math.log(self.mean) - self.centre) / self.half, -1.0), 1.0)])
        matrix = scipy.interpolate.BarycentricInterpolator(self.x, np.eye(self.x.size))(u)
        v = self._variances(u)
        return _Chords(v, float(v[np.argmin(np.abs(v - self.mean))])), matrix

    @property
    def gaussian(self) -> Gaussian:
        """A centred Gaussian with the sampled variances, to be put through a sampler."""
        return Gaussian(np.zeros(self.sampled.size), self.sampled)

    def worst(self, excess: Array) -> Worst:
        """The worst spectrum, for the output's variances minus ς² from p_T and from the prior, (2, n).

        Maximises √A + √B, A = Σ(√(ς²+e) − ς)², B = Σ(√(ς²+e′) − √(ς²+e))², over all spectra. As (√A + √B)² =
        min_θ A/θ + B/(1−θ), linear in the spectrum and convex in θ, the maximum is the least over θ of the
        largest A/θ + B/(1−θ), which a spectrum of one or two variances attains; at a kink in θ two such are mixed.
        """
        if not np.isfinite(excess).all():
            return Worst(math.inf, math.inf, self.sampled[:1], np.ones(1))
        if self.half < 1e-12:
            return self._made(self.sampled, *self._errors(self.sampled, excess), np.ones(1))
        relative = (excess / self.sampled).T
        grid, matrix = self.coarse
        a, b = self._errors(grid.v, grid.v * (matrix @ relative).T)
        shares = _largest(grid, a, b)
        inside = np.flatnonzero(shares[1:-1]) + 1
        inside = inside[grid.v[inside] != grid.m]
        if inside.size:
            u = (np.log(grid.v) - self.centre) / self.half
            around = [np.linspace(u[i - 1], u[i + 1], 2 * FINER + 1) for i in inside]
            grid, matrix = self._grid(np.concatenate([[-1.0, 1.0], *around]))
            a, b = self._errors(grid.v, grid.v * (matrix @ relative).T)
            shares = _largest(grid, a, b)
        return self._made(grid.v, a, b, shares)

    @staticmethod
    def _errors(v: Array, excess: Array) -> tuple[Array, Array]:
        return width_error2(v, excess[0]), start_gap2(v, excess[0], excess[1])

    def _made(self, v: Array, a: Array, b: Array, shares: Array) -> Worst:
        used = shares > 0.0
        return Worst(
            math.sqrt(self.d * float(shares @ a)),
            math.sqrt(self.d * float(shares @ b)),
            v[used],
            shares[used],
        )


def _largest(grid: _Chords, a: Array, b: Array) -> Array:
    """The shares with the largest √A + √B. At θ the best shares have a best θ of their own: it lies on the side of
    θ where the least is, and where it is θ itself they are the answer."""
    lo, hi, theta = EDGE, 1.0 - EDGE, 0.5
    sides: dict[bool, Array] = {}
    for i in range(ROUNDS):
        shares = grid.best(a / theta + b / (1.0 - theta))
        A, B = math.sqrt(float(shares @ a)), math.sqrt(float(shares @ b))
        own = min(max(A / (A + B), EDGE), 1.0 - EDGE) if A + B > 0.0 else theta
        if abs(own - theta) <= EDGE:
            return shares
        falling = own > theta
        lo, hi = (theta, hi) if falling else (lo, theta)
        sides[falling] = shares
        if hi - lo <= EDGE:
            break
        theta = own if lo < own < hi and i % 3 < 2 else 0.5 * (lo + hi)
    if len(sides) < 2:
        return shares
    # at a kink neither side is level in θ, but a mixture of the two is
    tilt = {side: float(x @ b) * theta**2 - float(x @ a) * (1.0 - theta) ** 2 for side, x in sides.items()}
    share = tilt[True] / (tilt[True] - tilt[False])
    return np.asarray((1.0 - share) * sides[True] + share * sides[False])


def worst_iterations(
    process: Process, facts: LogConcave, eps: float, *, scheme: str | Scheme = "em", T: float | None = None
) -> Iterations:
    """The smallest K that serves every Gaussian law with these facts: `exact_iterations` of the worst spectrum.
    *exact*

    facts: A1 with the mean known to be 0; eps: W2, not squared, in the data's units; T is optimised unless
    given, one T for all laws. At (T, K) each centred Gaussian with eigenvalues in [1/L_0, 1/m_0] and this second
    moment has W2(output from p_T, p_0) + W2(output from p_T, output from the prior) ≤ ε, and at (T, K − 1) some
    spectrum (in proportions that need not be multiples of 1/d) has not. Laws that are not Gaussian are not looked
    at. Raises `BadInput`, `Unreachable`, and `HypothesisFailed` where the mean is not known to be 0.
    """
    eps, chosen = positive("eps", eps), scheme_named(scheme)
    spectra = WorstSpectrum(facts)

    def value(excess: Array, mean: Array, error: float) -> Value:
        found = spectra.worst(excess)
        return Value(found.start, found.exact, error=error)

    def first(t: float) -> float:
        """W2 that the prior start alone makes as η → 0: a coordinate contracts by ς²/(ς² + λ), along the ODE by
        its root."""
        v = spectra.sampled
        log_left = np.log(v) - np.logaddexp(np.log(v), ends_of(process, t)[1])
        missing = -v * np.exp(2.0 * chosen.power * log_left)
        return spectra.worst(np.stack((np.zeros_like(v), missing))).start

    return answer(
        process,
        exact_criterion(process, spectra.gaussian, chosen, value),
        first,
        eps,
        chosen.order,
        "exact law, worst spectrum",
        "prior",
        T,
        0.0,
        facts.second_moment,
    )
