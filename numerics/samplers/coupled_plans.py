"""Two paths driven by one noise: the sampler beside the exact reverse SDE, and K steps beside 2K.

The first is the coupling of Theorem 2's proof, for Gaussian data, where the exact path's transitions are
known; along its error points the worst score bias of size M (A3). The second measures the strong order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from numerics.samplers.plans import Coefficients, GaussianPlan, ScorePlan, Step, bind, one_stage
from wbound.calculus.stable import sinh_minus
from wbound.errors import BadInput
from wbound.sampler.grid import Nodes
from wbound.sampler.make_setting import Setting
from wbound.sampler.steps import Batch
from wbound.typing import Array

__all__ = ["PairedPlan", "RefinedPlan"]


class _Exact(NamedTuple):
    """The exact path in z, (N, E): Y ← R Y + p ξ + rest ξ′, where √Q ξ is the noise of hf's step."""

    R: Array
    p: Array
    rest: Array


def _exact(b: Batch, variances: Array, unit_lo: Array, unit_hi: Array) -> _Exact:
    """With ŵ = ς² + λ and B the Brownian motion of the heat flow, Y/α moves by ∫ ŵ_k/ŵ dB, hf by ∫ dB.

    So R = ŵ_k/ŵ_{k−1}, p²H = ŵ_k² y² and p² + rest² = ŵ_k(1 − e^{−y}), where y = log(ŵ_{k−1}/ŵ_k).
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # ς² = 0 at λ_k = 0: ŵ_k = 0, y = ∞
        log_v = np.log(variances)
        log_lo = np.logaddexp(log_v, b.log_lam_lo[:, None])
        log_hi = np.logaddexp(log_v, b.log_lam_hi[:, None])
        log_H = b.log_lam_hi + np.where(np.isinf(b.ratio), 0.0, np.log(b.ratio / (1.0 + b.ratio)))
        share = np.exp(log_H[:, None] - log_hi)  # H/ŵ_{k−1} = 1 − e^{−y}
        y = np.where(share < 0.5, -np.log1p(-share), log_hi - log_lo)
        half = np.minimum(0.5 * y, 1.0)
        # 1 − e^{−y} − y²/(e^y − 1), as a difference of squares where y is small
        near = 2.0 * sinh_minus(half) * (2.0 * np.sinh(half) + y) / np.expm1(y)
        left = np.where(y < 1.0, near, share - y**2 / np.expm1(y))
        p = np.exp(log_lo + np.log(y) - 0.5 * log_H[:, None] - unit_lo[:, None])
        rest = np.exp(0.5 * (log_lo + np.log(left)) - unit_lo[:, None])
        R = np.exp(log_lo - log_hi + (unit_hi - unit_lo)[:, None])
    gone = np.isneginf(log_lo)
    return _Exact(R, np.where(gone, 0.0, p), np.where(gone, 0.0, rest))


class PairedPlan(GaussianPlan):
    """The error e = y − Y and the exact path Y, rows 0 … d−1 and d … 2d−1 of a chunk; Y starts as section 4
    couples it (prior: Y_0 = α(T)X_0 + y_0). ``worst``: the bias follows the error that the step is about to
    leave, M r∘e/‖r∘e‖ with ‖·‖ from the exact second moments; where there is no error yet, ``direction``.
    ``both``: finish with (y, Y), 2d columns, instead of y.
    """

    def __init__(self, s: Setting, direction: Array, *, worst: bool, both: bool) -> None:
        super().__init__(s, direction)
        self.worst, self.both = worst, both
        self.rows = 2 * self.d
        self.columns = self.rows if both else self.d
        self.counts = np.bincount(self.group).astype(float)
        #: per unit of X_0, of the start's noise: e_0 and Y_0
        self.of_data, self.of_noise = self._start()

    def _start(self) -> tuple[tuple[float, float], tuple[float, float]]:
        alpha, sigma = math.exp(-self.unit0), math.exp(0.5 * self.log_lam - self.unit0)
        if self.s.start == "exact":
            return (0.0, alpha), (0.0, sigma)
        if self.s.start == "prior":
            return (-alpha, alpha), (0.0, sigma)
        one = math.exp(-self.log_s0)  # Z and αX_0 + σZ
        return (-alpha, alpha), (one - sigma, sigma)

    def start(self, rng: np.random.Generator, z: Array) -> None:
        d = self.d
        spread = np.sqrt(self.variances)[self.group][:, None]
        x, noise = spread * rng.standard_normal((d, z.shape[1])), rng.standard_normal((d, z.shape[1]))
        z[d:] = self.of_data[1] * x + self.of_noise[1] * noise
        z[:d] = self.of_data[0] * (x + self.mean[:, None]) + self.of_noise[0] * noise

    def steps(self) -> Iterator[tuple[int, Step]]:
        from numerics.samplers.kernels import paired

        moments = _Moments(self)
        for b, a in self.blocks(8):
            exact = _exact(b, self.variances, self._unit(b.log_lam_lo), self._unit(b.log_lam_hi))
            slip = a.r - exact.R
            ahead = a.q[:, None] - exact.p
            r, h_bias = moments.along(a, exact, slip, ahead) if self.worst else (a.r, a.gain)
            yield (
                b.size,
                bind(
                    paired,
                    self.group,
                    r,
                    slip,
                    exact.R,
                    ahead,
                    exact.p,
                    exact.rest,
                    a.v,
                    a.h_mean,
                    self.mean,
                    h_bias,
                    self.push,
                ),
            )

    def finish(self, z: Array) -> Array:
        d = self.d
        z[:d] += z[d:]
        if not self.both:
            return super().finish(z[:d])
        return np.concatenate((super().finish(z[:d]), super().finish(z[d:])), axis=1)


class _Moments:
    """Mean (d,) and second central moments (E,) of (e, Y) in z, step by step: what makes M exact."""

    def __init__(self, plan: PairedPlan) -> None:
        self.plan = plan
        v = plan.variances
        (e_x, Y_x), (e_z, Y_z) = plan.of_data, plan.of_noise
        self.mean = e_x * plan.mean
        self.ee, self.eY, self.YY = e_x**2 * v + e_z**2, e_x * Y_x * v + e_z * Y_z, Y_x**2 * v + Y_z**2

    def along(self, a: Coefficients, exact: _Exact, slip: Array, ahead: Array) -> tuple[Array, Array]:
        """r times what the bias adds to it (N, E), and the gain of a bias in the fixed direction (N,)."""
        plan, M = self.plan, self.plan.s.score_bias
        longer, fixed = np.empty_like(a.r), np.zeros_like(a.gain)
        for k in range(a.gain.size):
            r, D, R, p, rest, q = a.r[k], slip[k], exact.R[k], exact.p[k], exact.rest[k], ahead[k]
            size2 = (plan.counts * r**2 * self.ee).sum() + ((r[plan.group] * self.mean) ** 2).sum()
            if size2 > 0.0:
                r = longer[k] = r * (1.0 + a.gain[k] * M / math.sqrt(size2))
            else:
                longer[k], fixed[k] = r, a.gain[k]
            self.mean = r[plan.group] * self.mean + a.h_mean[k] * plan.mean + fixed[k] * plan.push
            ee = r**2 * self.ee + 2.0 * r * D * self.eY + D**2 * self.YY + q**2 + rest**2 + a.v[k] ** 2
            self.eY = R * (r * self.eY + D * self.YY) + q * p - rest**2
            self.YY = R**2 * self.YY + p**2 + rest**2
            self.ee = ee
        return longer, fixed


class RefinedPlan(ScorePlan):
    """K steps and the 2K steps that halve them, on one Brownian motion: rows 0 … d−1 and d … 2d−1.

    The coarse ξ is the fine ones weighted by √H: ∫dB over the coarse step of the heat flow, normalised.
    """

    def __init__(self, s: Setting, direction: Array) -> None:
        """s: the fine setting, with an even number of steps."""
        super().__init__(s, direction)
        if s.nodes.K % 2:
            raise BadInput("K", s.nodes.K, "must be even: the coarse path takes two steps at a time")
        if s.score_bias or s.score_noise:
            raise BadInput("score_bias", s.score_bias, "must be 0, and score_noise: the score is exact here")
        self.rows = self.columns = 2 * self.d
        given = None if s.nodes.given is None else s.nodes.given[::2]
        self.coarse = replace(s, nodes=Nodes(s.process, s.nodes.t[::2], s.nodes.uniform, given))

    def start(self, rng: np.random.Generator, z: Array) -> None:
        super().start(rng, z[: self.d])
        z[self.d :] = z[: self.d]

    def steps(self) -> Iterator[tuple[int, Step]]:
        halves, whole = self.s.nodes.batch, self.coarse.nodes.batch
        fine, coarse = one_stage(halves, self.s), one_stage(whole, self.coarse)
        # H_2/(H_1 + H_2) = Q_2/Q of hf, as both end at the same α
        second = np.sqrt(halves.steps.Q[1::2] / whole.steps.Q)
        first = np.exp(halves.steps.F[1::2]) * np.sqrt(halves.steps.Q[::2] / whole.steps.Q)

        def step(rng: np.random.Generator, z: Array) -> None:
            d = self.d
            y, x = z[:d], z[d:]
            for k in range(first.size):
                total = np.zeros_like(x)
                for i, weight in ((2 * k, first[k]), (2 * k + 1, second[k])):
                    noise = rng.standard_normal(x.shape)
                    total += weight * noise
                    x[:] = self._move(halves, fine, i, x) + math.sqrt(fine.Q[i]) * noise
                y[:] = self._move(whole, coarse, k, y) + math.sqrt(coarse.Q[k]) * total

        yield halves.size, step
