"""Curvature profiles beyond log-concave data: A1′ of section 11 of docs/theory.md, what Theorem 2′ is about.

m(λ) I ⪯ −∇²log q_λ ⪯ L(λ) I with L ≤ 1/λ and m of any sign. `BoundedData` knows the profiles of bounded
data smoothed by noise, of bounded data stopped early and of the symmetric mixture; `CurvatureProfile` takes
anybody's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from wbound.calculus.parser import LAM, accept, function, parse, symbol
from wbound.calculus.quadrature import halved, rule, weighted_rule
from wbound.calculus.stable import sinh_minus
from wbound.calculus.suprema import branch_and_bound, enclose
from wbound.data.curvature import Curvature
from wbound.data.log_concave import ROUNDING
from wbound.errors import BadInput, HypothesisFailed, count, nonnegative, positive
from wbound.typing import Array, Index

__all__ = ["BoundedData", "CurvatureProfile", "Profile", "bounded_data", "early_stopped"]


#: Relative error at which the quadrature of a step stops; what is left is added to it.
RTOL = 1e-12
#: What m − L and L − 1/λ may exceed 0 by, in units of 1/λ: rounding of a user's digits.
SLACK = 1e-9
#: log λ reaches so far below a grid's largest one where the grid ends at λ = 0.
DEPTH = 100.0
#: Samples of a profile on the clock's range.
SAMPLES = 4001
#: Most operations of an expression that is multiplied out for a proof.
MOST_OPERATIONS = 400


def _enough(both: Array, whole: Array, owner: Index) -> Array:
    """What two rules may differ by on a part of a step."""
    return RTOL * np.maximum(both, 1e-2 * whole[owner])


class Profile(Curvature):
    """A curvature profile without A1: Ψ by quadrature of each step (its error added), E_0 = ‖X_0‖."""

    A1 = None
    telescopes = False

    def log_psi(self, log_lam0: Array, log_lam1: Array, ratio: Array) -> Array:
        """log ∫ (u − λ_0)² max(m², L²) du, split where |m| = L; the error estimate is added. *upper*"""
        with np.errstate(divide="ignore", invalid="ignore"):  # λ_0 = 0: ratio = ∞
            w = np.where(np.isinf(ratio), 1.0, ratio / (1.0 + ratio))
            # u = λ_1 x, x = x_0 + w z: Ψ = λ_1 w³ ∫_0^1 z² (λ max(|m|, L))²/x² dz
            x0 = 1.0 / (1.0 + ratio)
            inner, error, left = self._short(log_lam1, x0, w, self._squared, 2)
            if left.any():
                inner[left], error[left] = self._inner(log_lam1[left], x0[left], w[left], self._squared, 2)
            return log_lam1 + 3.0 * np.log(w) + np.log(inner * (1.0 + 1e-15) + error)

    def minus_cubed(self, log_lam1: Array, ratio: Array) -> Array:
        """−∫ m³ du over steps that end at λ_1, in 1/x⁴; the error estimates are added. *upper*"""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # as above
            w = np.where(np.isinf(ratio), 1.0, ratio / (1.0 + ratio))
            # λ_1^{−2} w ∫_0^1 (λm/x)³ dz
            x0 = 1.0 / (1.0 + ratio)
            spent, error, left = self._short(log_lam1, x0, w, self._minus_cube, 0)
            spent += 1e-13 * np.abs(spent) + error
            if left.any():  # where m < 0 and where m > 0
                steps = log_lam1[left], x0[left], w[left]
                (below, off), (above, off_above) = (
                    self._inner(*steps, part, 0) for part in (self._below_zero, self._above_zero)
                )
                spent[left] = below * (1.0 + 1e-13) + off - np.maximum(above * (1.0 - 1e-13) - off_above, 0.0)
            return np.where(spent != 0.0, w * spent * np.exp(-2.0 * log_lam1), 0.0)

    def _squared(self, at: Array, x: Array) -> Array:
        size = np.maximum(np.abs(self.lam_m(at)), self.lam_L(at))
        size /= x
        return np.asarray(size * size)

    def _minus_cube(self, at: Array, x: Array) -> Array:
        size = self.lam_m(at) / x
        return np.asarray(-size * size * size)

    def _below_zero(self, at: Array, x: Array) -> Array:
        return np.maximum(self._minus_cube(at, x), 0.0)

    def _above_zero(self, at: Array, x: Array) -> Array:
        return np.maximum(-self._minus_cube(at, x), 0.0)

    def _short(
        self, log_lam1: Array, x0: Array, w: Array, of: Callable[[Array, Array], Array], power: int
    ) -> tuple[Array, Array, NDArray[np.bool_]]:
        """∫_0^1 z^power of(log u, u/λ_1) dz of each step, u = λ_1(x_0 + wz), by Gauss's rule of three nodes for the weight
        z^power; its error estimate, the difference to the rule of two; and the steps, long ones or with a kink inside,
        where that is not small.

        The errors are c_6 w⁶S^(6) and c_4 w⁴S^(4) at points inside, S = of: the estimate is not below the error where
        w²|S^(6)| ≤ (c_4/2c_6)|S^(4)|, derivatives by x (section 11); c_4/2c_6 = 233.3 (power 0) or 268.8 (power 2).
        """
        sums = []
        for nodes in (3, 2):
            z, weights = weighted_rule(nodes, power)
            x = x0[:, None] + w[:, None] * z
            sums.append(of(log_lam1[:, None] + np.log(x), x) @ weights)
        value, error = sums[0], np.abs(sums[0] - sums[1])
        left = ~(error <= RTOL * np.abs(value))
        for kink in self.kinks:
            left |= (np.exp(np.minimum(kink - log_lam1, 1.0)) > x0) & (kink < log_lam1)
        return value, error, left

    def _inner(
        self, log_lam1: Array, x0: Array, w: Array, of: Callable[[Array, Array], Array], power: int
    ) -> tuple[Array, Array]:
        """As `_short`, of any steps: more nodes, then halved where these do not agree."""
        n = log_lam1.size

        def panels(owner: Index, lo: Array, hi: Array, nodes: int = 8) -> Array:
            r = rule(nodes)
            z = lo[:, None] + (hi - lo)[:, None] * r.x
            x = x0[owner][:, None] + w[owner][:, None] * z
            at = log_lam1[owner][:, None] + np.log(x)
            return np.asarray((hi - lo) * ((of(at, x) * z**power) @ r.w))

        everyone = np.arange(n)
        value = panels(everyone, np.zeros(n), np.ones(n), 6)
        error = np.abs(value - panels(everyone, np.zeros(n), np.ones(n), 4))
        long = error > RTOL * value
        for kink in self.kinks:
            inside = (np.exp(kink - log_lam1) > x0) & (kink < log_lam1)
            long |= inside
        owner = everyone[long]
        if owner.size:
            lo, hi = np.zeros(owner.size), np.ones(owner.size)
            for kink in self.kinks:
                cut = (np.exp(np.minimum(kink - log_lam1[owner], 1.0)) - x0[owner]) / w[owner]
                split = (cut > lo) & (cut < hi)
                lo, hi = (
                    np.concatenate((lo, cut[split])),
                    np.concatenate((np.where(split, cut, hi), hi[split])),
                )
                owner = np.concatenate((owner, owner[split]))
            refined, left, _ = halved(panels, owner, lo, hi, _enough, depth=60)
            value[long], error[long] = refined[long[: refined.size]], left[long[: left.size]]
        return value, error

    def start_error(self, log_lam: float) -> float:
        """‖X_0‖: Eq. 8 needs A1."""
        return math.sqrt(self.second_moment)


@dataclass(frozen=True)
class BoundedData(Profile):
    """X_0 = W + τζ, W in a ball of radius ``D``, ζ standard normal: m = (1 − D²/v)/v, L = 1/v, v = τ² + λ.

    D, tau in x, tau ≥ 0; d; second_moment: E|X_0|² in x²; mean_norm: |E X_0| in x or None; ``delta`` in x²:
    where tau = 0 the profile holds on λ ≥ delta > 0 (section 11). Raises `BadInput`, and `HypothesisFailed`
    (A1′) when the moments do not fit: dτ² ≤ E|X_0 − E X_0|² ≤ dτ² + D².
    """

    D: float
    tau: float
    d: int
    second_moment: float
    mean_norm: float | None = None
    delta: float = 0.0

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "D", nonnegative("D", self.D))
        put(self, "d", count("d", self.d))
        put(self, "second_moment", positive("second_moment", self.second_moment))
        if self.mean_norm is not None:
            put(self, "mean_norm", nonnegative("mean_norm", self.mean_norm))
        put(self, "tau", nonnegative("tau", self.tau))
        put(self, "delta", nonnegative("delta", self.delta))
        if self.tau == 0.0 and self.delta == 0.0:
            raise BadInput("tau", self.tau, "must be > 0, or stop early at delta > 0")
        least = self.d * self.tau**2
        most = least + self.D**2
        variance = self.second_moment - (self.mean_norm or 0.0) ** 2
        slack = ROUNDING * self.second_moment
        if variance < least - slack or (self.mean_norm is not None and variance > most + slack):
            raise HypothesisFailed(
                "Theorem 2'",
                "A1' (d tau^2 <= E|X0 - E X0|^2 <= d tau^2 + D^2)",
                f"second_moment = {self.second_moment:g} with mean_norm = {self.mean_norm} leaves a variance "
                f"of {variance:g}, outside [{least:g}, {most:g}] for d = {self.d}, tau = {self.tau:g}, "
                f"D = {self.D:g}",
            )

    @property
    def normaliser(self) -> float:  # type: ignore[override]
        """1/τ², or d/E|X_0|² where τ = 0."""
        return 1.0 / self.tau**2 if self.tau else self.d / self.second_moment

    @property
    def kinks(self) -> tuple[float, ...]:  # type: ignore[override]
        """log λ where v = D²/2: |m| = L there."""
        lam = 0.5 * self.D**2 - self.tau**2
        return (math.log(lam),) if lam > 0.0 else ()

    def _log_v(self, log_lam: Array) -> Array:
        return np.logaddexp(2.0 * math.log(self.tau), log_lam) if self.tau else np.asarray(log_lam)

    def lam_m(self, log_lam: Array) -> Array:
        """λ(1 − D²/v)/v."""
        log_v = self._log_v(log_lam)
        return np.asarray(np.exp(log_lam - log_v) * (1.0 - self.D**2 * np.exp(-log_v)))

    def lam_L(self, log_lam: Array) -> Array:
        """λ/v."""
        return np.asarray(np.exp(log_lam - self._log_v(log_lam)))

    def log_psi(self, log_lam0: Array, log_lam1: Array, ratio: Array) -> Array:
        """log of 2v_0(sinh y − y), y = log(v_1/v_0), from v_0 = D²/2 on; below it by quadrature. *upper*"""
        log_v0, log_v1 = self._log_v(log_lam0), self._log_v(log_lam1)
        with np.errstate(invalid="ignore", divide="ignore"):  # 0 · ∞ at λ_0 = 0; a step that underflows
            y = np.log1p(np.exp(log_lam0 - log_v0) * ratio)
            y = np.where(ratio < 1e13, y, log_v1 - log_v0)
            out = log_v0 + np.where(y > 50.0, y, np.log(2.0 * sinh_minus(np.minimum(y, 50.0))))
        below = log_v0 < math.log(0.5) + 2.0 * math.log(self.D) if self.D else np.zeros(y.shape, bool)
        if below.any():
            out[below] = super().log_psi(log_lam0[below], log_lam1[below], ratio[below])
        return out

    def excess(self, log_lam: Array) -> Array:
        """E|X_0|² − dτ²: 1/L − λ = τ²."""
        return np.full_like(log_lam, max(self.second_moment - self.d * self.tau**2, 0.0))

    def log_contraction(self, log_lam: float) -> float:
        """log of (v_0/v) exp(D²(1/v_0 − 1/v)), v_0 = τ² (or δ)."""
        log_v0 = 2.0 * math.log(self.tau) if self.tau else math.log(self.delta)
        log_v = float(self._log_v(np.array(log_lam)))
        return log_v0 - log_v + self.D**2 * (math.exp(-log_v0) - math.exp(-log_v))

    def check(self, log_lam_lo: float, log_lam_hi: float) -> None:
        """With τ = 0 the profile begins at λ = δ: raises `BadInput` for a clock that goes below."""
        if self.tau == 0.0 and log_lam_lo < math.log(self.delta) - SLACK:
            raise BadInput(
                "grid",
                f"ends at lam = {math.exp(log_lam_lo):.6g}",
                f"must end at lam >= delta = {self.delta:.6g}, where the profile begins (stop='early')",
            )


def bounded_data(
    D: float, tau: float, d: int, second_moment: float, mean_norm: float | None = None
) -> BoundedData:
    """The profile of bounded data smoothed by noise: X_0 = W + τζ, W in a ball of radius D (section 11).

    D and tau > 0 in x; d: dimension; second_moment: E|X_0|² in x²; mean_norm: |E X_0| in x if known. The
    symmetric mixture ½N(−c, s²I) + ½N(c, s²I) has D = |c|, tau = s. Raises as `BoundedData`.
    Source: Cov(W | ·) ⪯ D² I; after Arsenyan, Vardanyan & Dalalyan (profiles from conditional covariances).
    """
    return BoundedData(D, positive("tau", tau), d, second_moment, mean_norm)


def early_stopped(
    D: float, delta: float, d: int, second_moment: float, mean_norm: float | None = None
) -> BoundedData:
    """The profile of any data in a ball of radius D, for samplers that stop at λ_K = δ > 0 (section 11).

    Named grids ("uniform", "log-lam", "edm") then end at δ by themselves; explicit ones say stop="early". The
    bound adds √(dδ). D in x, delta in x²; the rest as `bounded_data`. Raises as `BoundedData`.
    """
    return BoundedData(D, 0.0, d, second_moment, mean_norm, positive("delta", delta))


# ---------------------------------------------------------------------- anybody's profile


def _crossings(gap: Callable[[Array], Array]) -> Array:
    """log λ in −90 … 90 where ``gap`` changes its sign."""
    at = np.linspace(-90.0, 90.0, SAMPLES)
    value = gap(at)
    with np.errstate(invalid="ignore"):  # NaN is nobody's sign
        turns = np.flatnonzero(value[:-1] * value[1:] < 0.0)
        met = 1 + np.flatnonzero((value[1:-1] == 0.0) & (value[:-2] * value[2:] < 0.0))
    lo, hi, sign = at[turns], at[turns + 1], np.sign(value[turns])
    for _ in range(60):
        mid = 0.5 * (lo + hi)
        before = gap(mid) * sign > 0.0
        lo, hi = np.where(before, mid, lo), np.where(before, hi, mid)
    return np.append(0.5 * (lo + hi), at[met])


class _Side:
    """One of m and L: text or sympy in lam, a number, or a callable of λ."""

    def __init__(self, option: str, given: Any, parameters: Mapping[str, float]) -> None:
        self.option, self.expr = option, None
        if callable(given) and not isinstance(given, sympy.Basic):
            self.shown, self.of = "a callable", given
            return
        names = tuple(parameters)
        expr = (
            parse(given, "lam", names, option=option)
            if isinstance(given, str)
            else accept(given, "lam", names, option=option)
        )
        self.shown = given if isinstance(given, str) else str(expr)
        self.expr = expr.subs({symbol(k): sympy.Rational(v) for k, v in parameters.items()})
        self.of = function(self.expr, LAM)

    def raw(self, log_lam: Array) -> Array:
        """λ times the value at λ, of any shape; NaN or infinity where it is that."""
        with np.errstate(all="ignore"):  # what is not finite is refused by whoever asked
            lam = np.exp(log_lam)
            try:
                value = np.asarray(self.of(lam), float)
                return lam * np.broadcast_to(value, lam.shape)
            except (TypeError, ValueError) as error:
                raise BadInput(self.option, self.shown, f"must map an array of lam to one: {error}") from None

    def __call__(self, log_lam: Array) -> Array:
        """As `raw`; raises `BadInput` naming λ where it is not finite."""
        value = self.raw(np.asarray(log_lam, float))
        wrong = ~np.isfinite(value)
        if wrong.any():
            with np.errstate(over="ignore"):  # said as infinite
                lam = float(np.exp(np.asarray(log_lam)[wrong].flat[0]))
            raise BadInput(
                self.option, self.shown, f"is not finite at lam = {lam:.6g}, which the clock passes"
            )
        return value


class CurvatureProfile(Profile):
    """Anybody's profile m(λ) I ⪯ −∇²log q_λ ⪯ L(λ) I with L ≤ 1/λ (A1′), for Theorem 2′.

    ``m`` and ``L``: text in ``lam`` (through the whitelist parser; ``parameters`` are positive numbers),
    sympy, a number, or a callable of λ arrays, in 1/x²; d: dimension; second_moment: E|X_0|² in x²;
    mean_norm: |E X_0| in x or None. What is checked on the range of a grid's clock when a bound is asked
    for: finite values, m ≤ L and L ≤ 1/λ (proved by interval arithmetic for text: ``proved`` is True; at
    4,001 points for callables), and that the moments fit: E|X_0 − E X_0|² + dλ ≥ d/L(λ) (Cramér–Rao), and
    ≤ d/m(λ) where m > 0 and the mean is known.
    That −∇²log q_λ lies between m and L is the user's word.

    Raises `BadInput` naming λ where one fails, `HypothesisFailed` (A1′) for the moments.
    """

    def __init__(
        self,
        m: Any,
        L: Any,
        d: int,
        second_moment: float,
        mean_norm: float | None = None,
        parameters: Mapping[str, float] | None = None,
    ) -> None:
        values = {name: positive(name, value) for name, value in (parameters or {}).items()}
        self.d = count("d", d)
        self.second_moment = positive("second_moment", second_moment)
        self.mean_norm = None if mean_norm is None else nonnegative("mean_norm", mean_norm)
        if self.mean_norm is not None and self.mean_norm**2 > self.second_moment * (1.0 + ROUNDING):
            raise BadInput("mean_norm", mean_norm, "must be at most the root of second_moment")
        self._m, self._L = _Side("m", m, values), _Side("L", L, values)
        #: whether m ≤ L and L ≤ 1/λ are proved, or only looked at
        self.proved = self._m.expr is not None and self._L.expr is not None
        self.normaliser = self.d / self.second_moment
        self._known: list[tuple[float, float]] = []
        self._kinks: tuple[float, ...] | None = None

    def lam_m(self, log_lam: Array) -> Array:
        """λ m(λ)."""
        return self._m(log_lam)

    def lam_L(self, log_lam: Array) -> Array:
        """λ L(λ)."""
        return self._L(log_lam)

    def excess(self, log_lam: Array) -> Array:
        """E|X_0|² − d(1/L − λ), rounded upward; at most E|X_0|², since L ≤ 1/λ."""
        lam_L = self.lam_L(log_lam)
        lam = np.exp(log_lam)
        rest = lam * ((1.0 - lam_L) / lam_L - 1e-15)
        return np.asarray(np.clip(self.second_moment - self.d * rest, 0.0, self.second_moment))

    @property
    def kinks(self) -> tuple[float, ...]:  # type: ignore[override]
        """log λ where |m| = L, or where what stands in an abs(…) of m or L vanishes, found between neighbours of a
        fine grid; where one is missed the quadrature is refined instead."""
        if self._kinks is None:
            found = _crossings(lambda at: np.asarray(np.abs(self._m.raw(at)) - self._L.raw(at)))
            for side in (self._m, self._L):
                for size in side.expr.atoms(sympy.Abs) if side.expr is not None else ():
                    inner = _Side(side.option, size.args[0], {})
                    found = np.append(found, _crossings(inner.raw))
            self._kinks = tuple(np.unique(found).tolist())
        return self._kinks

    def log_contraction(self, log_lam: float) -> float:
        """−∫_0^λ m, by Gauss's rule in log λ."""
        r = rule(8)
        lo = np.arange(log_lam - DEPTH, log_lam, 0.5)
        at = lo[:, None] + 0.5 * r.x
        return -0.5 * float((self.lam_m(at) @ r.w).sum())

    def check(self, log_lam_lo: float, log_lam_hi: float) -> None:
        """A1′ on [λ_lo, λ_hi] as far as it can be checked; see the class."""
        if log_lam_hi > 690.0:
            raise BadInput(
                "T",
                f"log lam(T) = {log_lam_hi:.6g}",
                "is beyond what a profile in lam can say: T is too large",
            )
        lo = max(log_lam_lo, log_lam_hi - DEPTH, -690.0)
        if any(a <= lo and log_lam_hi <= b for a, b in self._known):
            return
        at = np.linspace(lo, log_lam_hi, SAMPLES)
        m, L, lam = self._m(at), self._L(at), np.exp(at)
        self._refuse(m - L, at, "m", lambda k: f"exceeds L: {m[k] / lam[k]:.6g} > {L[k] / lam[k]:.6g}")
        self._refuse(L - 1.0, at, "L", lambda k: f"exceeds 1/lam: {L[k] / lam[k]:.6g} > {1.0 / lam[k]:.6g}")
        self._moments(m, L, lam)
        if self._m.expr is not None and self._L.expr is not None:
            self._prove("m", LAM * (self._m.expr - self._L.expr), "m <= L", lo, log_lam_hi)
            self._prove("L", LAM * self._L.expr - 1, "L <= 1/lam", lo, log_lam_hi)
        self._known.append((lo, log_lam_hi))

    def _refuse(self, over: Array, at: Array, option: str, said: Callable[[int], str]) -> None:
        wrong = np.flatnonzero(over > SLACK)
        if wrong.size:
            k = int(wrong[0])
            side = self._m if option == "m" else self._L
            raise BadInput(option, side.shown, f"{said(k)} at lam = {math.exp(at[k]):.6g}")

    def _moments(self, m: Array, L: Array, lam: Array) -> None:
        variance = self.second_moment - (self.mean_norm or 0.0) ** 2
        least = self.d * (lam / L - lam)  # d/L − dλ
        slack = SLACK * (self.second_moment + self.d * lam)
        short = np.flatnonzero(variance < least - slack)
        if short.size:
            k = int(short[0])
            raise HypothesisFailed(
                "Theorem 2'",
                "A1' (E|X0 - E X0|^2 + d lam >= d/L)",
                f"the variance is at most {variance:.6g}, L asks for {least[k]:.6g} at lam = {lam[k]:.6g}",
            )
        if self.mean_norm is None:
            return
        with np.errstate(divide="ignore", invalid="ignore"):  # m ≤ 0 asks for nothing
            most = np.where(m > 0.0, self.d * (lam / m - lam), np.inf)
        wide = np.flatnonzero(variance > most + slack)
        if wide.size:
            k = int(wide[0])
            raise HypothesisFailed(
                "Theorem 2'",
                "A1' (E|X0 - E X0|^2 + d lam <= d/m)",
                f"the variance is {variance:.6g}, but m allows {most[k]:.6g} at lam = {lam[k]:.6g}",
            )

    def _prove(self, option: str, expr: sympy.Expr, what: str, lo: float, hi: float) -> None:
        """``expr`` ≤ 0 (to `SLACK`) for log λ in [lo, hi], by interval branch and bound."""
        forms = [expr]
        if expr.count_ops() <= MOST_OPERATIONS:
            top, bottom = sympy.fraction(sympy.together(expr))
            forms.append(sympy.expand(top) / bottom)  # terms that cancel do so here

        def enclosure(left: Array, right: Array) -> tuple[Array, Array]:
            a, b = np.exp(left) * (1.0 - 1e-14), np.exp(right) * (1.0 + 1e-14)
            both = [enclose(form, LAM, a, b) for form in dict.fromkeys(forms)]
            lower, upper = both[0]
            for down, up in both[1:]:
                lower, upper = np.fmax(lower, down), np.fmin(upper, up)
            return lower, upper

        side = self._m if option == "m" else self._L
        found = branch_and_bound(enclosure, lo, hi, atol=0.5 * SLACK, breaks=np.arange(math.ceil(lo), hi))
        if found.lower > SLACK:
            raise BadInput(option, side.shown, f"breaks {what} at lam = {math.exp(found.at):.6g}")
        if not found.upper <= 2.0 * SLACK:
            raise BadInput(
                option,
                side.shown,
                f"{what} is not proved on lam in [{math.exp(lo):.3g}, {math.exp(hi):.3g}]: near lam = "
                f"{math.exp(found.at):.6g}; give it as a callable to have it looked at instead",
            )
