"""Targets: data laws in d dimensions with an exact score at every time, and their A1 facts (section 10).

Every target is a product of laws on the line in some orthonormal axes, so its exact 1-D laws and A2's
constant come from its factors; every target serves as data of a bound.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import sympy
from numpy.typing import ArrayLike
from sympy.codegen.cfunctions import log1p

from numerics.targets.line_laws import Line, Normal, Pair, Third
from numerics.targets.smooth_law import LogCoshLine, Smooth
from wbound.calculus.parser import X, parse, symbol
from wbound.calculus.suprema import branch_and_bound, enclose
from wbound.calculus.to_numpy import function
from wbound.calculus.whole_line import curvature_on_line, range_on_line
from wbound.data import curvature, gaussian
from wbound.errors import BadInput, HypothesisFailed, count, positive
from wbound.forward.forward_process import Process
from wbound.memory import dimension
from wbound.typing import Array

__all__ = [
    "Factor",
    "Gaussian",
    "LogCosh",
    "ProductTarget",
    "SymmetricMixture",
    "Target",
    "along_and_across",
    "generator",
    "points_in",
]


class Factor(NamedTuple):
    """One law on the line and how many coordinates have it (independent, in orthonormal axes)."""

    line: Line
    multiplicity: int


@runtime_checkable
class Target(Protocol):
    """What a sampler and a referee need of a data law; bounds need `wbound.data.curvature.Curvature`.

    ``score(x, alpha, sigma2)``: ∇log p_t at x (n, d), in 1/x; ``sample(n, seed)``: (n, d) draws of X_0;
    ``factors``: the law as a product of laws on the line; ``M1(process, T)``: A2's constant on [0, T].
    """

    d: int

    @property
    def factors(self) -> tuple[Factor, ...]: ...

    def score(self, x: ArrayLike, alpha: float, sigma2: float) -> Array: ...

    def sample(self, n: int, seed: int | np.random.Generator = 0) -> Array: ...

    def M1(self, process: Process, T: float) -> float: ...


def generator(seed: int | np.random.Generator) -> np.random.Generator:
    """A Generator from a seed (a whole number ≥ 0), or the one given."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.Generator(np.random.SFC64(count("seed", seed, 0)))


def points_in(x: ArrayLike, d: int) -> Array:
    """x as an array (n, d), or `BadInput`."""
    at = np.asarray(x, float)
    if at.ndim != 2 or at.shape[1] != d:
        raise BadInput("x", f"shape {at.shape}", f"must be of shape (n, {d})")
    return at


def along_and_across(at: Array, c: Array) -> tuple[Array, ...]:
    """Points (n, d) along c (n, 1), and across it (n, d − 1) where d > 1."""
    basis, _ = np.linalg.qr(c[:, None], mode="complete")  # any basis where c = 0
    basis[:, 0] *= -1.0 if basis[:, 0] @ c < 0.0 else 1.0
    turned = at @ basis
    return (turned[:, :1],) if c.size == 1 else (turned[:, :1], turned[:, 1:])


class _Product(curvature.StronglyLogConcave):
    """The facts of a product of laws on the line, from ``factors`` (attributes set by the subclass)."""

    factors: tuple[Factor, ...]

    @property
    def d(self) -> int:  # type: ignore[override]
        return sum(f.multiplicity for f in self.factors)

    @property
    def m0(self) -> float:  # type: ignore[override]
        """Smallest curvature, in 1/x²."""
        return min(f.line.m0 for f in self.factors)

    @property
    def L0(self) -> float:  # type: ignore[override]
        """Largest curvature, in 1/x²."""
        return max(f.line.L0 for f in self.factors)

    @cached_property
    def second_moment(self) -> float:  # type: ignore[override]
        return sum(f.multiplicity * (f.line.variance + f.line.mean**2) for f in self.factors)

    @property
    def mean_norm(self) -> float | None:  # type: ignore[override]
        return math.sqrt(sum(f.multiplicity * f.line.mean**2 for f in self.factors))

    def M1(self, process: Process, T: float) -> float:
        """A2's constant on [0, T] from the factors; see `product_M1`. *upper*"""
        return product_M1(self.factors, process, T)


class Gaussian(gaussian.Gaussian):
    """N(mean, cov) as a target: `wbound.data.gaussian.Gaussian` with its score and samples; singular laws too."""

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """One normal law per pair of eigenvalue and mean in the principal axes."""
        pairs, counts = np.unique(np.stack((self.eigenvalues, self.coordinates)), axis=1, return_counts=True)
        return tuple(Factor(Normal(m, v), int(n)) for v, m, n in zip(*pairs, counts, strict=True))

    def score(self, x: ArrayLike, alpha: float, sigma2: float) -> Array:
        """∇log p_t at x (n, d): −W^{−1}(x − αμ), W = α²Σ + σ²I. *exact*"""
        at = points_in(x, self.d)
        w = alpha**2 * self.eigenvalues + sigma2
        if self.vectors is None:
            return (alpha * self.mean - at) / w
        return ((alpha * self.coordinates - at @ self.vectors) / w) @ self.vectors.T

    def sample(self, n: int, seed: int | np.random.Generator = 0) -> Array:
        """n independent draws (n, d) of X_0."""
        z = generator(seed).standard_normal((count("n", n), self.d)) * np.sqrt(self.eigenvalues)
        return self.mean + (z if self.vectors is None else z @ self.vectors.T)

    def along(self, x: ArrayLike) -> tuple[Array, ...]:
        """Points x (n, d) in the axes of `factors`: (n, multiplicity) for each, in their order."""
        at = points_in(x, self.d)
        at = at if self.vectors is None else at @ self.vectors
        own = np.stack((self.eigenvalues, self.coordinates))
        pairs, group = np.unique(own, axis=1, return_inverse=True)
        group = group.ravel()  # NumPy 2.0 gives it as (1, d)
        return tuple(at[:, group == i] for i in range(pairs.shape[1]))

    def resized(self, d: int) -> Gaussian:
        """The same law per coordinate in dimension d, where all coordinates share one; else `BadInput`."""
        if np.ptp(self.eigenvalues) > 0.0 or np.ptp(self.mean) > 0.0:
            raise BadInput("d", d, "needs one law for all coordinates, and these differ")
        return Gaussian(np.full(dimension(d), self.mean[0]), float(self.eigenvalues[0]))


class SymmetricMixture(_Product):
    """½N(−c, s²I) + ½N(c, s²I), |c| < s (section 10): c a vector (d,) or a number (d = 1), s > 0, both in x.

    L_0 = 1/s², m_0 = (1 − |c|²/s²)/s². Raises `HypothesisFailed` (A1) where |c| ≥ s.
    """

    def __init__(self, c: ArrayLike, s: float) -> None:
        try:
            centre = np.atleast_1d(np.asarray(c, float))
        except (TypeError, ValueError):
            raise BadInput("c", c, "must be numbers") from None
        if centre.ndim != 1 or centre.size == 0 or not np.isfinite(centre).all():
            raise BadInput("c", c, "must be a finite vector (d,) or a number")
        self.c, self.s = centre, positive("s", s)
        size = float(np.linalg.norm(centre))
        if size >= self.s:
            raise HypothesisFailed(
                "the target",
                "A1",
                f"|c| = {size:.6g} must be below s = {self.s:.6g}: the law is not strongly log-concave",
            )
        rest = (Factor(Normal(0.0, self.s**2), centre.size - 1),) if centre.size > 1 else ()
        self.factors = (Factor(Pair(size, self.s), 1), *rest)

    def score(self, x: ArrayLike, alpha: float, sigma2: float) -> Array:
        """∇log p_t at x (n, d): (−x + αc tanh(α⟨c, x⟩/v))/v, v = α²s² + σ². *exact*"""
        at = points_in(x, self.d)
        v = (alpha * self.s) ** 2 + sigma2
        return (np.tanh(at @ self.c * (alpha / v))[:, None] * (alpha * self.c) - at) / v

    def sample(self, n: int, seed: int | np.random.Generator = 0) -> Array:
        """n independent draws (n, d) of X_0."""
        rng, n = generator(seed), count("n", n)
        side = 2.0 * rng.integers(0, 2, (n, 1)) - 1.0
        return side * self.c + self.s * rng.standard_normal((n, self.d))

    def along(self, x: ArrayLike) -> tuple[Array, ...]:
        """Points x (n, d) in the axes of `factors`: along c (n, 1), then across it (n, d − 1)."""
        return along_and_across(points_in(x, self.d), self.c)

    def resized(self, d: int) -> SymmetricMixture:
        """The same two modes, apart along the first axis, in dimension d."""
        centre = np.zeros(dimension(d))
        centre[0] = np.linalg.norm(self.c)
        return SymmetricMixture(centre, self.s)


class _Identical(_Product):
    """d independent coordinates of one law on the line."""

    def __init__(self, line: Line, d: int) -> None:
        self.line = line
        self.factors = (Factor(line, count("d", d)),)

    def score(self, x: ArrayLike, alpha: float, sigma2: float) -> Array:
        """∇log p_t at x (n, d), coordinate by coordinate, to 1e-10 √L_0. *exact*"""
        return self.line.score(points_in(x, self.d), alpha, sigma2)

    def sample(self, n: int, seed: int | np.random.Generator = 0) -> Array:
        """n independent draws (n, d) of X_0."""
        n = count("n", n)
        return self.line.sample(n * self.d, generator(seed)).reshape(n, self.d)

    def along(self, x: ArrayLike) -> tuple[Array, ...]:
        """Points x (n, d) in the axes of `factors`: they are the coordinates."""
        return (points_in(x, self.d),)

    def resized(self, d: int) -> _Identical:
        """The same law per coordinate in dimension d."""
        made = copy.copy(self)
        made.__dict__.pop("second_moment", None)  # what was computed for another d
        made.factors = (Factor(self.line, count("d", d)),)
        return made


class LogCosh(_Identical):
    """d coordinates ∝ exp(−m0 x²/2 − (L0 − m0) log cosh x) (section 10); 0 < m0 ≤ L0 in 1/x²."""

    def __init__(self, d: int, m0: float, L0: float) -> None:
        low, high = positive("m0", m0), positive("L0", L0)
        if low > high:
            raise BadInput("m0", m0, f"must be at most L0 = {high:g}")
        super().__init__(LogCoshLine(low, high), d)


class ProductTarget(_Identical):
    """d coordinates with a user's log-density on the line (up to a constant).

    ``log_density``: text in x (through the whitelist parser; ``parameters`` are positive numbers), for which
    m0 and L0 are proved by interval arithmetic on the second derivative, and given m0, L0 must be true too;
    or a callable of arrays with m0 and L0 as the user's word (``proved`` is False; values that contradict
    them are refused). Raises `HypothesisFailed` (A1) where the law is not strongly log-concave with a
    Lipschitz score, and `BadInput`.
    """

    def __init__(
        self,
        log_density: str | sympy.Expr | Callable[[Array], Array],
        d: int,
        m0: float | None = None,
        L0: float | None = None,
        parameters: Mapping[str, float] | None = None,
    ) -> None:
        given = (
            None if m0 is None else positive("m0", m0),
            None if L0 is None else positive("L0", L0),
        )
        if callable(log_density) and not isinstance(log_density, sympy.Basic):
            if parameters or given[0] is None or given[1] is None:
                raise BadInput("log_density", "a callable", "needs m0= and L0=, and takes no parameters")
            if given[0] > given[1]:
                raise BadInput("m0", m0, f"must be at most L0 = {given[1]:g}")
            self.expr: sympy.Expr | None = None
            self.proved = False
            super().__init__(Smooth(log_density, given[0], given[1]), d)
            return
        values = {name: positive(name, value) for name, value in (parameters or {}).items()}
        expr = parse(log_density, "x", tuple(values)) if isinstance(log_density, str) else log_density
        if not isinstance(expr, sympy.Expr):
            raise BadInput("log_density", type(log_density).__name__, "must be text, sympy or a callable")
        expr = expr.subs({symbol(k): sympy.Rational(v) for k, v in values.items()})
        self.expr, self.proved = expr, True
        super().__init__(_proved_line(expr, given), d)


def _proved_line(expr: sympy.Expr, given: tuple[float | None, float | None]) -> Smooth:
    try:
        low, high = curvature_on_line(expr, X, option="log_density")
    except BadInput as error:
        raise HypothesisFailed(
            "the target", "A1", f"0 < m0 <= -(log density)'' <= L0 is not proved: {error}"
        ) from None
    if low <= 0.0:
        raise HypothesisFailed(
            "the target", "A1", f"-(log density)'' is only proved to be at least {low:.6g}: m0 must be > 0"
        )
    slack = 1e-6  # interval arithmetic misses the true range by rounding: then what is proved counts
    m0, L0 = (given[0] or low), (given[1] or high)
    if m0 > low * (1.0 + slack) or high * (1.0 - slack) > L0:
        raise HypothesisFailed(
            "the target",
            "A1",
            f"m0 = {given[0]}, L0 = {given[1]} claimed, but only [{low:.6g}, {high:.6g}] is proved",
        )
    slope = expr.diff(X)
    try:
        bend = max(map(abs, range_on_line(slope.diff(X, 2), X)))
    except BadInput:  # A1 holds, A2's constant stays unknown
        bend = None
    stable = _stable(expr)
    value, derivative = function(stable, X), function(stable.diff(X), X)
    line = Smooth(value, min(m0, low), max(L0, high), derivative, bend)
    if expr.subs(X, -X) == expr:
        line.make_symmetric()
    return line


def _stable(expr: sympy.Expr) -> sympy.Expr:
    """The same function without the overflow of exp and cosh far out, where they are written as usual."""
    u = sympy.Wild("u")
    size = sympy.Abs(u)
    softplus = (u + size) / 2 + log1p(sympy.exp(-size))
    rules = (
        (log1p(sympy.exp(u)), softplus),
        (sympy.log(1 + sympy.exp(u)), softplus),
        (sympy.log(sympy.cosh(u)), size + log1p(sympy.exp(-2 * size)) - sympy.log(2)),
    )
    for pattern, better in rules:
        expr = expr.replace(pattern, better)
    return expr


# ---------------------------------------------------------------------- A2's constant
def product_M1(factors: tuple[Factor, ...], process: Process, T: float) -> float:
    """sup over t ≤ T and x of |∂_t s(x, t)|/(1 + |x|), bounded from above (A2's M_1, in 1/(x² time)). *upper*

    Each coordinate's score obeys ∂_t s = f s + (f x + g² s) s′ + ½g² s″ (the Fokker–Planck equation,
    differentiated). By Lemma 1 −s′ = q lies in [m, L*], and s = s(0,t) − p x with p there too, so
    f s + (f x + g² s)s′ is at most b|x| + |f − g²q||s(0,t)| with b = max |−f(p+q) + g²pq| over the corners.
    ψ = −log q_λ obeys ψ_λ = ½(ψ″ − ψ′²), so w = ψ‴ obeys w_λ = ½w″ − ψ′w′ − 3ψ″w: along the reverse SDE
    (Feynman–Kac) it shrinks at least by exp(−3∫m) = (1+m_0λ)^{−3}, which gives |s″| ≤ c3 α³/(α²v3+σ²)³; and
    (ψ′)_λ = ½ψ‴ − ψ′ψ″ gives |ψ′(0)| ≤ (|U′(0)| + ½ sup|U‴| λ/(1+m_0λ))/(1+m_0λ). Over all coordinates
    |∂_t s| ≤ |a| + max b |x|. The supremum over t is bounded by interval branch and bound.
    """
    T = positive("T", T)
    for factor in factors:
        if factor.line.third is None:
            raise HypothesisFailed(
                "Theorem 1", "A2", "M1 is not known for this target: its third derivative is not bounded"
            )
    t, g2 = symbol("t"), process.expr.g**2
    lines = [f.line for f in factors]
    # widths 1/m_0, 1/L_0 and v3 of each factor, in this order: w = α²v + σ² is then 1/m, 1/L*, and s″'s
    thirds = [line.third or Third(0.0, 0.0) for line in lines]
    low = np.array([1.0 / line.L0 for line in lines])
    high = np.array([1.0 / line.m0 for line in lines])
    v3 = np.array([third.v3 for third in thirds])
    c3 = np.array([third.c3 for third in thirds])[:, None]
    # s(0, t) = 0 for symmetric laws; for the others |U′(0)| and sup|U‴|
    slope = np.array([0.0 if line.symmetric else line.slope for line in lines])[:, None]
    sup3 = np.array(
        [0.0 if line.symmetric or not c else c / v**3 for line, (c, v) in zip(lines, thirds, strict=True)]
    )[:, None]
    weight = np.array([f.multiplicity for f in factors], float)[:, None]
    n = len(lines)
    variances = np.concatenate((low, high, v3))[:, None]

    def enclosure(lo: Array, hi: Array) -> tuple[Array, Array]:
        f_lo, f_hi = enclose(process.expr.f, t, lo, hi, process.parameters)
        g2_lo, g2_hi = enclose(g2, t, lo, hi, process.parameters)
        f_lo, g2_lo = np.maximum(f_lo, 0.0), np.maximum(g2_lo, 0.0)
        a_hi, a_lo = process.alpha(lo), process.alpha(hi)  # α decreases, λ increases
        if process.kappa is not None:  # w = κ + α²(v − κ) is monotone
            gap = variances - process.kappa
            ends = process.kappa + a_lo**2 * gap, process.kappa + a_hi**2 * gap
            w_lo, w_hi = np.minimum(*ends), np.maximum(*ends)
        else:
            log_lo, log_hi = process.log_lam(lo), process.log_lam(hi)
            with np.errstate(over="ignore"):  # ∞ leaves an upper bound of ∞, never a wrong one
                w_lo = a_lo**2 * variances + np.exp(log_lo + 2.0 * np.log(a_lo))
                w_hi = a_hi**2 * variances + np.exp(log_hi + 2.0 * np.log(a_hi))
        L_hi, m_lo = 1.0 / w_lo[:n], 1.0 / w_hi[n : 2 * n]
        L_lo, m_hi = 1.0 / w_hi[:n], 1.0 / w_lo[n : 2 * n]
        b_lo, b_hi = np.zeros_like(L_hi), np.zeros_like(L_hi)
        for p, q in (
            ((m_lo, m_hi), (m_lo, m_hi)),
            ((m_lo, m_hi), (L_lo, L_hi)),
            ((L_lo, L_hi), (L_lo, L_hi)),
        ):
            down = g2_lo * p[0] * q[0] - f_hi * (p[1] + q[1])
            up = g2_hi * p[1] * q[1] - f_lo * (p[0] + q[0])
            b_lo = np.maximum(b_lo, np.maximum(down, -up))
            b_hi = np.maximum(b_hi, np.maximum(np.abs(down), np.abs(up)))
        bend_hi = c3 * a_hi**3 / w_lo[2 * n :] ** 3
        bend_lo = c3 * a_lo**3 / w_hi[2 * n :] ** 3
        at_zero = _score_at_zero(slope, sup3, high[:, None], (a_lo, a_hi), (w_lo[n : 2 * n], w_hi[n : 2 * n]))
        # f s + (f x + g²s)s′ holds s(0, t) times f + g²s′
        moved = np.maximum(np.abs(g2_hi * L_hi - f_lo), np.abs(f_hi - g2_lo * m_lo))
        a_up = moved * at_zero + 0.5 * g2_hi * bend_hi
        a_down = 0.5 * g2_lo * bend_lo
        first = np.sqrt((weight * a_up**2).sum(axis=0))
        return (
            np.maximum(np.sqrt((weight * a_down**2).sum(axis=0)), b_lo.max(axis=0)),
            np.maximum(first, b_hi.max(axis=0)),
        )

    return branch_and_bound(enclosure, 0.0, T, rtol=1e-4).upper


def _score_at_zero(
    slope: Array, sup3: Array, v: Array, a: tuple[Array, Array], w: tuple[Array, Array]
) -> Array:
    """Upper bound of |s(0, t)| ≤ (|U′(0)| + ½ sup|U‴| λ/(1+m_0λ))/(α(1+m_0λ)), on cells where α and
    w = α²v + σ² lie in the pairs a and w; v = 1/m_0. Then 1/(α(1+m_0λ)) = αv/w, λ/(1+m_0λ) = v(1 − α²v/w)."""
    share = 1.0 - a[0] ** 2 * v / w[1]
    return np.asarray((slope + 0.5 * sup3 * v * share) * a[1] * v / w[0])
