"""How a `Setting` is sampled: its coefficients, step block by step block, for each kind of target.

Where the score is Gaussian plus a function of one coordinate, a coordinate is carried as z = (y − αμ)/s_k,
s_k = α_k(1 + cλ_k), in the target's own axes: these units stay tame where α underflows and λ overflows, and
the coefficients are those of the exact law (`wbound.exact.gaussian_law.defects`), so sampler and referee share them.
Any other target is stepped as section 3 of docs/theory.md writes it, through its ``score``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from numerics.targets.quintic_table import Table, tabulate
from numerics.targets.smooth_law import ACCURACY, REACH, Smooth
from wbound.calculus.stable import softplus
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.exact.gaussian_law import defects
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import Steps
from wbound.sampler.steps import Batch
from wbound.typing import Array

__all__ = [
    "GaussianPlan",
    "Linear",
    "MixturePlan",
    "Plan",
    "ProductPlan",
    "ScorePlan",
    "Step",
    "bind",
    "forward",
    "one_stage",
]

#: What advances one chunk (rows, m) by a block of steps, in place.
Step = Callable[[np.random.Generator, Array], None]

#: log(m_0λ) beyond which a smoothed law is Gaussian to 1e-11, and L_0λ below which it is p_0 itself, as
#: `numerics.targets.smooth_law` has them.
_FAR, _NEAR = math.log(1e13), 1e-10

#: Numbers of coefficients held at once; a block is also what one thread does without being interrupted.
_BLOCK, _STEPS = 1 << 18, 4096


class Plan(ABC):
    """One run of a sampler: a particle is ``rows`` numbers while it moves and ``columns`` when it is done."""

    #: Whether chunks may advance at the same time.
    parallel = True
    #: Numbers in a chunk: 64 KiB stay in a core's own cache. A target with a costly score may ask for more.
    chunk = 8192

    def __init__(self, s: Setting, direction: Array) -> None:
        """direction: (d,), a unit vector in the plan's axes, in which a constant score bias points."""
        self.s, self.direction = s, direction
        self.d = self.rows = self.columns = int(s.data.d)

    @abstractmethod
    def start(self, rng: np.random.Generator, z: Array) -> None:
        """Draw the start of a chunk into z (rows, m)."""

    @abstractmethod
    def steps(self) -> Iterator[tuple[int, Step]]:
        """Blocks in the sampler's order: how many steps, and what does them."""

    @abstractmethod
    def finish(self, z: Array) -> Array:
        """The samples (m, columns) in x: y_K, or y_K/α_K where the grid stops early."""

    @property
    def push(self) -> Array:
        """The constant score bias M·direction (d,), in the plan's axes."""
        return self.s.score_bias * self.direction


def forward(s: Setting, wide: int) -> list[Batch]:
    """The steps in the sampler's order, in blocks; ``wide`` coefficients a step."""
    size = max(16, min(_STEPS, _BLOCK // max(wide, 1)))
    return [block for _, block in s.nodes.blocks(size)][::-1]


class Coefficients(NamedTuple):
    """N steps in z: r (N, E); the scheme's noise q, the score noise v, the shift per unit of mean and the
    gain C_k/s_k of a score error, all (N,)."""

    r: Array
    q: Array
    v: Array
    h_mean: Array
    gain: Array

    @property
    def noise(self) -> Array:
        """√(q² + v²): score noise is centred and independent of ξ, so one normal carries both."""
        return np.hypot(self.q, self.v) if self.v.any() else self.q


def one_stage(b: Batch, s: Setting) -> Steps:
    """The scheme's steps; two-stage schemes are refused."""
    steps = s.scheme.steps(b)
    if steps.corrector is not None:
        raise BadInput("scheme", s.scheme.name, "has two stages; these samplers take schemes of one stage")
    return steps


def _coefficients(b: Batch, s: Setting, variances: Array, c: float) -> Coefficients:
    d, steps = defects(b, s.scheme, variances, c), one_stage(b, s)
    log_s = b.log_alpha_lo + softplus(math.log(c) + b.log_lam_lo)
    with np.errstate(divide="ignore", over="ignore"):  # Q = 0 at ddpm's last step; infinities refused below
        gain = np.sign(steps.C) * np.exp(np.log(np.abs(steps.C)) - log_s)
        q = np.exp(0.5 * np.log(steps.Q) - log_s)
        size = np.ones_like(d.rho) if d.log_r is None else np.exp(d.log_r)
        r = np.ascontiguousarray((size if d.sign is None else d.sign * size).T)
    v = gain * (s.score_noise / math.sqrt(s.data.d)) if s.score_noise else np.zeros_like(gain)
    h_mean = np.array(np.broadcast_to(np.asarray(d.shift, float), q.shape))
    finite(b, r.sum(axis=1), q, v, h_mean, gain)
    return Coefficients(r, q, v, h_mean, gain)


def finite(b: Batch, *arrays: Array) -> None:
    """Refuse steps, arrays (N,), whose coefficients are not finite: `BadInput`."""
    for values in arrays:
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            where = f"a step from t = {b.t_hi[wrong[0]]:.6g} to {b.t_lo[wrong[0]]:.6g}"
            raise BadInput("K", where, "is so large that samples overflow: take more steps or a smaller T")


def bind(kernel: Callable[..., None], *arrays: Any) -> Step:
    """The kernel with its coefficients."""
    return lambda rng, z: kernel(rng, z, *arrays)


class Linear(Plan):
    """What the plans in z share: a Gaussian with ``variances`` and ``mean``, (d,), in the plan's axes."""

    def __init__(self, s: Setting, direction: Array, variances: Array, mean: Array) -> None:
        super().__init__(s, direction)
        self.variances, self.group = np.unique(variances, return_inverse=True)
        self.mean = np.ascontiguousarray(mean)
        #: c of the units: any positive number will do
        self.c = 1.0 / float(self.variances.mean()) if self.variances.any() else 1.0
        log_alpha, self.log_lam = s.nodes.first
        self.unit0, self.unit_K = self._unit(np.array([self.log_lam, s.nodes.last[1]])).tolist()
        self.log_s0 = log_alpha + self.unit0

    def _unit(self, log_lam: Array) -> Array:
        """log(1 + cλ)."""
        return softplus(math.log(self.c) + log_lam)

    def blocks(self, more: int = 1) -> Iterator[tuple[Batch, Coefficients]]:
        """Batches and coefficients; ``more`` is how many numbers a step holds per distinct variance."""
        for b in forward(self.s, more * self.variances.size):
            yield b, _coefficients(b, self.s, self.variances, self.c)

    def noise0(self) -> Array:
        """The start's standard deviation (d,), in z."""
        if self.s.start == "exact":
            with np.errstate(divide="ignore"):  # a variance of 0
                log_w = np.logaddexp(np.log(self.variances), self.log_lam)
            return np.exp(0.5 * log_w - self.unit0)[self.group]
        log_sd = 0.5 * self.log_lam - self.unit0 if self.s.start == "prior" else -self.log_s0
        return np.full(self.d, math.exp(log_sd))

    def start(self, rng: np.random.Generator, z: Array) -> None:
        rng.standard_normal(out=z)
        z *= self.noise0()[:, None]
        if self.s.start != "exact":  # N(0, ·) lies −αμ from p_T's mean
            z -= (self.mean * math.exp(-self.unit0))[:, None]

    def finish(self, z: Array) -> Array:
        """z (d, m) as (m, d), in x and the plan's own axes."""
        if self.s.nodes.stopped_early:
            z = z * math.exp(self.unit_K)
        return z.T + self.mean


class GaussianPlan(Linear):
    """N(μ, Σ): a linear recursion per principal axis, rotated once at the end."""

    def __init__(self, s: Setting, direction: Array) -> None:
        data: Gaussian = s.data
        self.vectors = data.vectors
        if self.vectors is not None:
            direction = direction @ self.vectors
        super().__init__(s, direction, data.eigenvalues, data.coordinates)

    def steps(self) -> Iterator[tuple[int, Step]]:
        from numerics.samplers.kernels import linear

        for b, a in self.blocks():
            yield b.size, bind(linear, a.r, self.group, a.noise, a.h_mean, self.mean, a.gain, self.push)

    def finish(self, z: Array) -> Array:
        x = super().finish(z)
        return x if self.vectors is None else x @ self.vectors.T


class MixturePlan(Linear):
    """½N(−c, s²I) + ½N(c, s²I): N(0, s²I) and a pull αc tanh(α⟨c,x⟩/v)/v of the score along c.

    The axes are reflected (Householder) so that c is the first one; the map is its own inverse.
    """

    def __init__(self, s: Setting, direction: Array) -> None:
        self.length = float(np.linalg.norm(s.data.c))
        normal = s.data.c / self.length if self.length else np.zeros(s.data.d)
        self.flip = -math.copysign(1.0, float(normal[0]))
        normal[0] -= self.flip  # away from cancellation
        self.u = normal / np.linalg.norm(normal)
        self.s2 = s.data.s**2
        super().__init__(s, self._turn(direction), np.full(s.data.d, self.s2), np.zeros(s.data.d))

    def _turn(self, x: Array) -> Array:
        return self.flip * (x - 2.0 * np.multiply.outer(x @ self.u, self.u))

    def start(self, rng: np.random.Generator, z: Array) -> None:
        super().start(rng, z)
        if self.s.start == "exact":  # p_T is the mixture itself, smoothed
            side = 2.0 * rng.integers(0, 2, z.shape[1]) - 1.0
            z[0] += side * (self.length * math.exp(-self.unit0))

    def steps(self) -> Iterator[tuple[int, Step]]:
        from numerics.samplers.kernels import tanh

        for b, a in self.blocks(4):
            log_v = np.logaddexp(math.log(self.s2), b.log_lam_hi)  # v/α²
            kappa = self.length * np.exp(self._unit(b.log_lam_hi) - log_v)
            with np.errstate(over="ignore"):  # refused on the next line
                amp = a.gain * self.length * np.exp(-b.log_alpha_hi - log_v)
            finite(b, amp)
            yield b.size, bind(tanh, a.r[:, 0].copy(), amp, kappa, a.noise, a.gain, self.push)

    def finish(self, z: Array) -> Array:
        return self._turn(super().finish(z))


class ProductPlan(Linear):
    """Independent coordinates of one smoothed law: a Gaussian of its mean and variance, and the rest of the
    score from the law's table at each λ."""

    def __init__(self, s: Setting, direction: Array) -> None:
        self.line: Smooth = s.data.line
        d = s.data.d
        super().__init__(s, direction, np.full(d, self.line.variance), np.full(d, self.line.mean))

    def start(self, rng: np.random.Generator, z: Array) -> None:
        if self.s.start != "exact":
            return super().start(rng, z)
        z[:] = self.line.sample(z.size, rng).reshape(z.shape)
        z -= self.line.mean
        z *= math.exp(-self.unit0)
        z += math.exp(0.5 * self.log_lam - self.unit0) * rng.standard_normal(z.shape)

    def steps(self) -> Iterator[tuple[int, Step]]:
        from numerics.samplers.kernels import tabulated

        for b, a in self.blocks(2048):
            with np.errstate(over="ignore"):  # refused on the next line
                amp = a.gain * np.exp(-b.log_alpha_hi)  # what multiplies ∇log q_λ(y)
            finite(b, amp)
            tables, units = [self._rest(float(x)) for x in b.log_lam_hi], self._unit(b.log_lam_hi)
            # z = (y − μ)/(1 + cλ); where there is no rest, any units will do
            unit = [math.exp(u) if t.step else 1.0 for t, u in zip(tables, units, strict=True)]
            low = np.array([(t.lo - self.line.mean) / u for t, u in zip(tables, unit, strict=True)])
            per = np.array([u / t.step if t.step else 0.0 for t, u in zip(tables, unit, strict=True)])
            first = np.cumsum([0, *(len(t.coefficients) for t in tables)])
            cells = np.concatenate([t.coefficients * x for t, x in zip(tables, amp, strict=True)])
            yield (
                b.size,
                bind(
                    tabulated,
                    a.r[:, 0].copy(),
                    first,
                    low,
                    per,
                    cells,
                    a.noise,
                    a.h_mean,
                    self.mean,
                    a.gain,
                    self.push,
                ),
            )

    def _rest(self, log_lam: float) -> Table:
        """∇log q_λ(y) + (y − μ)/(ς² + λ) as a table in y, with a straight cell at either end.

        Where the smoothed law is Gaussian there is no rest: one cell of zeros, and step 0.
        """
        line = self.line
        if log_lam + math.log(line.m0) > _FAR:
            return Table(line.mean, 0.0, np.zeros((1, 6)))
        lam = math.exp(log_lam)
        w = line.variance + lam
        if line.L0 * lam > _NEAR:
            denoiser, made = line.table(lam)
        else:
            reach = REACH * math.sqrt(1.0 / line.m0 + lam)
            denoiser, tol = False, 0.1 * ACCURACY * math.sqrt(line.L0)
            made = tabulate(lambda y: line.score(y, 1.0, lam), line.mean - reach, line.mean + reach, tol)
        inner = np.array(made.coefficients)
        y = made.lo - line.mean + made.step * np.arange(len(inner))
        if denoiser:  # (D(y) − y)/λ, minus the same of the Gaussian's denoiser, which is straight in y
            inner[:, 0] -= line.mean + line.variance / w * y
            inner[:, 1] -= line.variance / w * made.step
            inner /= lam
        else:
            inner[:, 0] += y / w
            inner[:, 1] += made.step / w
        # the tangents at both ends, the right one measured from its own left end
        powers = np.arange(6)
        value, slope = inner[-1].sum(), (inner[-1] * powers).sum()
        left, right = np.zeros((1, 6)), np.zeros((1, 6))
        left[0, :2] = inner[0, 0] - inner[0, 1], inner[0, 1]
        right[0, :2] = value, slope
        return Table(made.lo - made.step, made.step, np.concatenate((left, inner, right)))


class ScorePlan(Plan):
    """Any target with a ``score`` and, for the exact start, a ``sample``: section 3's step, in NumPy."""

    parallel = False  # nothing is known about the user's score

    def __init__(self, s: Setting, direction: Array) -> None:
        super().__init__(s, direction)
        self.chunk = getattr(s.data, "chunk", self.chunk)

    def start(self, rng: np.random.Generator, z: Array) -> None:
        s = self.s
        log_alpha, log_lam = s.nodes.first
        rng.standard_normal(out=z)
        if s.start != "standard":
            z *= math.exp(0.5 * log_lam + log_alpha)
        if s.start == "exact":
            z += math.exp(log_alpha) * np.asarray(s.data.sample(z.shape[1], rng), float).T

    def steps(self) -> Iterator[tuple[int, Step]]:
        V = self.s.score_noise / math.sqrt(self.d)
        for b in forward(self.s, 64):
            steps = self.s.scheme.steps(b)
            if self.s.scheme.stages == 2:
                finite(b, steps.A, steps.C)
                yield b.size, self._walk_twice(b, steps, V)
                continue
            steps = one_stage(b, self.s)
            noise = np.hypot(np.sqrt(steps.Q), steps.C * V)
            finite(b, steps.A, steps.C, noise)
            yield b.size, self._walk(b, steps, noise)

    def _walk(self, b: Batch, steps: Steps, noise: Array) -> Step:
        def step(rng: np.random.Generator, z: Array) -> None:
            with np.errstate(over="ignore", invalid="ignore"):  # overflow is noticed at the end
                for k in range(b.size):
                    z[:] = self._move(b, steps, k, z)
                    if noise[k]:
                        z += noise[k] * rng.standard_normal(z.shape)

        return step

    def _walk_twice(self, b: Batch, steps: Steps, V: float) -> Step:
        """Two stages; each asks for the score, with its own noise, except the second where D = 0."""
        assert steps.corrector is not None
        first, second = steps.corrector

        def noisy(rng: np.random.Generator, value: Array) -> Array:
            return value + V * rng.standard_normal(value.shape) if V else value

        def step(rng: np.random.Generator, z: Array) -> None:
            with np.errstate(over="ignore", invalid="ignore"):  # overflow is noticed at the end
                for k in range(b.size):
                    here = noisy(rng, self._score(z, float(b.log_alpha_hi[k]), float(b.sigma2_hi[k])))
                    ahead = steps.A[k] * z + steps.C[k] * here
                    z[:] = steps.A[k] * z + first[k] * here
                    if second[k] != 0.0:
                        there = self._score(ahead, float(b.log_alpha_lo[k]), float(b.sigma2_lo[k]))
                        z += second[k] * noisy(rng, there)

        return step

    def _score(self, z: Array, log_alpha: float, sigma2: float) -> Array:
        """s(z) and the constant bias, (d, m)."""
        value = np.asarray(self.s.data.score(z.T, math.exp(log_alpha), sigma2), float)
        if value.shape != z.T.shape:
            raise BadInput("score", f"shape {value.shape}", f"must have its argument's, {z.T.shape}")
        return np.asarray(value.T + self.push[:, None])

    def _move(self, b: Batch, steps: Steps, k: int, z: Array) -> Array:
        """A_k z + C_k s_θ(z)."""
        value = self._score(z, float(b.log_alpha_hi[k]), float(b.sigma2_hi[k]))
        return np.asarray(steps.A[k] * z + steps.C[k] * value)

    def finish(self, z: Array) -> Array:
        return z.T / math.exp(self.s.nodes.last[0])
