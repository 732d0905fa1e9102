"""Forward SDEs dX = −f(t) X dt + g(t) dB: from (f, g) to α, σ², the clock λ, and one step's integrals.

All statements are of section 0 of docs/theory.md: Eq. 1 (the SDE), Eq. 2 (its law), Eq. 3 (the clock).
A process is one of three families, because they differ in what must be integrated:

* ``ve``          f = 0:       one integral, ∫g²
* ``stationary``  g² = 2κ f:   one integral, ∫f (VP has κ = 1, Ornstein–Uhlenbeck κ = ς²/2ϑ)
* ``general``     anything:    ∫f inside ∫g² e^{2∫f}

The one integral is a closed form for the catalogue's rows and a quadrature for a user's own process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from wbound.calculus.notebook import html_table
from wbound.calculus.parser import accept, function, spelled, symbol
from wbound.calculus.quadrature import integrate
from wbound.errors import BadInput, real
from wbound.forward.inverse_clock import clock_table, times_of
from wbound.forward.kept_integrals import KeptIntegral
from wbound.forward.lifetime import end_of
from wbound.forward.process_checks import check_domain, check_identities, first_negative, refuse
from wbound.forward.process_expressions import Along, Expressions, expressions_of, sizes_in
from wbound.forward.step_integrals import GeneralSteps, Increments, StationarySteps, VeSteps
from wbound.typing import Array

__all__ = ["Along", "Expressions", "Process"]


class Process:
    """A forward SDE dX = −f(t) X dt + g(t) dB (Eq. 1), given by text or sympy expressions in t.

    ``Process(f="(b+a*t)/2", g="sqrt(b+a*t)", a=1, b=0.5)``: text passes a whitelist parser, nothing is
    evaluated as Python. Parameters are finite numbers; those > 0 are kept in ``parameters``, the others are
    put into f and g, since sympy takes a parameter as positive. f and g must be finite and ≥ 0 on (0, T]
    (the setting of section 0) and g not zero: a process that is negative from the start is refused when it is
    made, one that becomes so later is refused where it is used that far.
    `wbound.process` makes the named ones, with closed forms.

    The methods take forward times t ≥ 0 of any shape and return float64 of that shape.
    Raises `BadInput` for text outside the whitelist, unknown names, and f or g < 0.
    """

    def __init__(self, f: Any, g: Any, **parameters: float) -> None:
        values, fixed = by_sign(parameters)
        texts = [
            accept(value, "t", tuple(values), option=option, constants=fixed)
            for option, value in (("f", f), ("g", g))
        ]
        self._setup("user", values, *texts)
        at = np.array([1e-9])  # its start; later times are looked at when they are asked for
        with np.errstate(all="ignore"):
            self._f_of(at), self._g_of(at)

    def _setup(
        self,
        name: str,
        parameters: Mapping[str, float],
        f: sp.Expr,
        g: sp.Expr,
        family: str | None = None,
        increment: sp.Expr | None = None,
        log_lam: sp.Expr | None = None,
        short: sp.Expr | None = None,
        t_max: float = math.inf,
        checked: bool = True,
    ) -> None:
        self.name, self.parameters = name, dict(parameters)
        self._ends_at = t_max
        self._crossings: dict[float, float] = {}
        self._f, self._g, self._increment, self._log_lam = f, g, increment, log_lam
        self._values = tuple(self.parameters.values())
        self._symbols = tuple(symbol(p) for p in self.parameters)
        t = symbol("t")
        self._f_of, self._g_of = self._function(f, t), self._function(g, t)
        self._unchecked = (self._f_of, self._g_of)
        if name == "user":  # the catalogue's are known to be >= 0
            self._f_of, self._g_of = self._checked("f", f, self._f_of), self._checked("g", g, self._g_of)
        #: times at which f or g² has a kink, where every quadrature splits
        self.kinks = self._kinks(sizes_in(f, g))
        #: κ in g² = 2κ f, as sympy; None outside the stationary family
        self._kappa: sp.Expr | None = None
        if family is None or family == "stationary":
            ratio = self._ratio(f, g, t)
            if family is None:
                family = "ve" if f == 0 else "general" if t in ratio.free_symbols else "stationary"
            if family == "stationary":  # the catalogue says so, or the ratio
                self._kappa = sp.simplify(ratio) if t in ratio.free_symbols else ratio
        self.family = family
        self.kappa = None if self._kappa is None else self._number(self._kappa)
        self._increment_of = (
            None if increment is None else self._function(increment, symbol("lo"), symbol("hi"))
        )
        self._log_lam_of = None if log_lam is None else self._function(log_lam, t)
        #: (1 − σ²)/α² in α, where the row says it, as sympy; for g² = 2κf it is κ + (1 − κ)/α²
        self._short = short
        if increment is not None and checked:
            check_identities(self)

    @classmethod
    def named(
        cls, name: str, parameters: Mapping[str, float], f: sp.Expr, g: sp.Expr, **closed: Any
    ) -> Process:
        """A process with closed forms: ``family``; ``increment`` in lo < hi, which is ∫_lo^hi g² (family ve)
        or ∫_lo^hi f (the others); ``log_lam`` in t (required for general); ``short``, (1 − σ²)/α² in alpha, where
        the family does not say it; ``t_max``, where λ becomes infinite, if it does. They are checked against
        quadrature here, unless ``checked`` is False; raises `BadInput` where they differ."""
        self = cls.__new__(cls)
        self._setup(name, parameters, f, g, **closed)
        return self

    def _function(self, expr: sp.Expr, *variables: sp.Symbol) -> Callable[..., Array]:
        compiled, values = function(expr, *variables, *self._symbols), self._values

        def call(*times: Array) -> Array:
            result: Array = compiled(*times, *values)
            return result

        return call

    @staticmethod
    def _checked(option: str, expr: sp.Expr, of: Callable[..., Array]) -> Callable[..., Array]:
        """The coefficient ``of`` that refuses to be negative wherever it is read."""

        def call(times: Array) -> Array:
            values = of(times)
            # a NaN, where it is no number, is judged by who asked; here only at the start of a process
            if np.size(values) and np.min(values) < 0.0:
                refuse(option, expr, np.asarray(values), times, np.asarray(values) < 0.0)
            return values

        return call

    @staticmethod
    @lru_cache(maxsize=256)  # a search makes the same process with hundreds of parameters
    def _ratio(f: sp.Expr, g: sp.Expr, t: sp.Symbol) -> sp.Expr:
        """g²/(2f), free of t where sympy sees that cheaply."""
        if f == 0:
            return t
        ratio = sp.expand_power_base(g**2) / (2 * f)
        if t in ratio.free_symbols and sp.count_ops(ratio) < 60:
            ratio = sp.cancel(ratio)  # such as 2(c/2 − t/2)/(c − t)
        return ratio

    def _kinks(self, sizes: Iterable[sp.Abs]) -> tuple[float, ...]:
        """Where the arguments of |·| vanish: they must be linear in t, so that none is overlooked."""
        t, found = symbol("t"), set()
        for size in sizes:
            (inner,) = size.args
            slope = sp.diff(inner, t)
            if t in slope.free_symbols:
                raise BadInput(
                    "f, g", f"abs({inner})", "abs of an expression that is not linear in t hides its kinks"
                )
            if slope != 0:
                found.add(-self._number(inner.subs(t, 0)) / self._number(slope))
        return tuple(sorted(at for at in found if at > 0.0))

    def _number(self, expr: sp.Expr) -> float:
        return float(function(expr, *self._symbols)(*self._values))

    # ------------------------------------------------------------------ the law at a time
    def f(self, t: ArrayLike) -> Array:
        """Drift coefficient f(t), in 1/time."""
        return self._at(self._f_of, t)

    def g(self, t: ArrayLike) -> Array:
        """Diffusion coefficient g(t), in x/√time."""
        return self._at(self._g_of, t)

    def alpha(self, t: ArrayLike) -> Array:
        """α(t) = exp(−∫_0^t f) (Eq. 2)."""
        return np.exp(self.log_alpha(t))

    def sigma2(self, t: ArrayLike) -> Array:
        """σ²(t), the variance of the noise in X_t (Eq. 2), in units of x²."""
        times = self._times(t)
        if self.family == "ve":
            return np.asarray(self._from_zero(times))
        if self.kappa is not None:
            return np.asarray(-self.kappa * np.expm1(-2.0 * self._from_zero(times)))
        log_alpha, log_lam = self._general(times)
        return np.exp(log_lam + 2.0 * log_alpha)

    def lam(self, t: ArrayLike) -> Array:
        """λ(t) = σ²/α² (Eq. 3), in units of x²; inf where it exceeds double precision."""
        with np.errstate(over="ignore"):  # said in the docstring; log_lam does not overflow
            return np.exp(self.log_lam(t))

    def log_alpha(self, t: ArrayLike) -> Array:
        """log α(t) = −∫_0^t f."""
        times = self._times(t)
        if self.family == "ve":
            return np.zeros_like(times)
        if self.family == "stationary":
            return np.asarray(-self._from_zero(times))
        return self._general(times)[0]

    def log_lam(self, t: ArrayLike) -> Array:
        """log λ(t), finite where λ overflows; −inf at t = 0."""
        times = self._times(t)
        if self.family == "general":
            return self._general(times)[1]
        return self._log_lam_from(times, self._from_zero(times))

    @cached_property
    def standard_start(self) -> bool:
        """Whether samplers may start from N(0, I): the law of X_T tends to it as T grows, which says that g² = 2f
        (κ = 1, up to the rounding of parameters), or that a closed form of the row's own says it."""
        if self._kappa is None:
            return self._short is not None
        return abs(self._limit[1]) < 1e-12

    @cached_property
    def _limit(self) -> tuple[float, float]:
        """κ and 1 − κ, the latter with its own digits."""
        assert self._kappa is not None
        exact = {s: sp.Rational(v) for s, v in zip(self._symbols, self._values, strict=True)}
        return self._number(self._kappa), float(sp.N((1 - self._kappa).subs(exact), 30))

    def short_of_one(self, log_alpha: float) -> tuple[float, float]:
        """(1 − σ²)/α² and |1 − σ|/α at log α, without the difference, which has no digit left for α² < 1e-16: for
        g² = 2κf, σ² = κ(1 − α²) and so (1 − σ²)/α² = κ + (1 − κ)/α². Raises `BadInput` where σ² is no function of α."""
        alpha = math.exp(log_alpha)
        if self._kappa is None:
            if self._short is None:
                raise BadInput("start", "standard", f"sigma is no function of alpha for process {self.name}")
            per_alpha2 = float(function(self._short, symbol("alpha"), *self._symbols)(alpha, *self._values))
            short = alpha * per_alpha2
        else:
            kappa, rest = self._limit
            # beyond e^700 nothing is left of it once a sampler has run
            per_alpha2 = kappa + (rest * math.exp(min(-2.0 * log_alpha, 700.0)) if rest else 0.0)
            short = kappa * alpha + (rest * math.exp(min(-log_alpha, 700.0)) if rest else 0.0)
        return per_alpha2, abs(short) / (1.0 + math.sqrt(max(1.0 - alpha * short, 0.0)))

    def law(self, t: ArrayLike) -> tuple[Array, Array]:
        """log α and log λ at once: one pass of quadrature where there is no closed form."""
        times = self._times(t)
        if self.family == "general":
            return self._general(times)
        integral = self._from_zero(times)
        log_alpha = np.zeros_like(times) if self.family == "ve" else np.asarray(-integral)
        return log_alpha, self._log_lam_from(times, integral)

    def laws(self, *times: Array) -> list[tuple[Array, Array]]:
        """`law` at each of several arrays of times of one dimension, by one pass of quadrature for all."""
        if self._increment_of is not None:
            return [self.law(t) for t in times]
        ends = np.cumsum([t.size for t in times])[:-1]
        log_alpha, log_lam = self.law(np.concatenate(times))
        return list(zip(np.split(log_alpha, ends), np.split(log_lam, ends), strict=True))

    def _log_lam_from(self, times: Array, integral: Array) -> Array:
        with np.errstate(divide="ignore"):  # λ(0) = 0: log λ = −inf is meant
            if self._log_lam_of is not None:
                return self._at(self._log_lam_of, times)
            if self.kappa is None:
                return np.log(integral)
            # λ = κ(e^{2A} − 1), so log λ = log κ + 2A + log(1 − e^{−2A}) never overflows
            doubled = 2.0 * integral
            return np.asarray(np.log(self.kappa) + doubled + np.log(-np.expm1(-doubled)))

    def _times(self, t: ArrayLike) -> Array:
        times = np.asarray(t, float)
        if times.size and not float(times.min()) >= 0.0:
            raise BadInput("t", repr(t), "must be forward times >= 0")
        end = self._ends_at  # a user's own process fails there by itself
        if end < math.inf and times.size and float(times.max()) >= end:
            raise BadInput("t", float(times.max()), f"must be below {end:.12g}, where lam is infinite")
        return times

    def _at(self, of: Callable[..., Array], t: ArrayLike) -> Array:
        times = self._times(t)
        return np.asarray(of(times), float)

    def _from_zero(self, times: Array) -> Array:
        """∫_0^t of the family's one integral."""
        if self._increment_of is not None:
            return np.asarray(self._increment_of(0.0, times))
        return self._kept(times)

    @cached_property
    def _kept(self) -> KeptIntegral:
        of, option = (self._g2, "g") if self.family == "ve" else (self._f_of, "f")
        return KeptIntegral(of, option, self.kinks)

    def _one_integral(self, lo: Array, hi: Array) -> Array:
        if self._increment_of is not None:
            return np.asarray(self._increment_of(lo, hi))
        if self.family == "ve":
            return integrate(self._g2, lo, hi, option="g", breaks=self.kinks).value
        return integrate(self._f_of, lo, hi, option="f", breaks=self.kinks).value

    def _g2(self, t: Array) -> Array:
        with np.errstate(over="ignore"):  # beyond double precision: the integral is infinite too
            return np.asarray(self._g_of(t) ** 2)

    def _general(self, times: Array) -> tuple[Array, Array]:
        """log α and log λ of the general family at any times: closed, or by steps from 0 upward."""
        if self._increment_of is not None:
            integral = self._from_zero(times)
            return -integral, self._log_lam_from(times, integral)
        ends, index = _upward(times)
        log_alpha, log_lam = self._accumulate(
            GeneralSteps(self._f_of, self._g_of, ends[:-1], ends[1:], self.kinks)
        )
        return log_alpha[index], log_lam[index]

    @staticmethod
    def _accumulate(upward: Increments) -> tuple[Array, Array]:
        log_alpha = np.concatenate(([0.0], -np.cumsum(upward.F)))
        with np.errstate(divide="ignore"):  # a step with g = 0 adds nothing: log 0 = −inf
            terms = np.log(upward.Q) - 2.0 * log_alpha[:-1]
        return log_alpha, np.concatenate(([-np.inf], np.logaddexp.accumulate(terms)))

    # ------------------------------------------------------------------ steps and the clock
    def steps(self, lo: ArrayLike, hi: ArrayLike) -> Increments:
        """The `Increments` of the steps [lo_i, hi_i] in forward time, arrays (N,), 0 ≤ lo < hi."""
        low, high = np.asarray(lo, float), np.asarray(hi, float)
        if self.family == "general":
            return GeneralSteps(self._f_of, self._g_of, low, high, self.kinks)
        integral = self._one_integral(low, high)
        return VeSteps(integral) if self.kappa is None else StationarySteps(integral, self.kappa)

    def along(self, t: Array) -> Along:
        """log α, log λ at the decreasing times t (K+1,), t_K ≥ 0, and the steps between them."""
        steps = self.steps(t[1:], t[:-1])
        if self._increment_of is not None:
            integral = self._from_zero(t)
        elif self.family == "general":
            # from t_K upward, after what lies before it; reversed views turn decreasing into increasing
            first = t[-1:]
            start = (0.0, -np.inf) if first[0] == 0 else tuple(float(v[0]) for v in self._general(first))
            log_alpha = start[0] - np.concatenate(([0.0], np.cumsum(steps.F[::-1])))
            with np.errstate(divide="ignore"):  # as in _accumulate
                terms = np.log(steps.Q[::-1]) - 2.0 * log_alpha[:-1]
            log_lam = np.logaddexp.accumulate(np.concatenate(([start[1]], terms)))[::-1]
            return Along(log_alpha[::-1], lambda part: log_lam[part], steps)
        else:
            pieces = steps.G if self.family == "ve" else steps.F
            integral = np.cumsum(np.concatenate((self._from_zero(t[-1:]), pieces[::-1])))[::-1]
        log_alpha = np.zeros_like(t) if self.family == "ve" else -integral
        lam: Callable[[], Array] | None = None
        if self.family == "ve":
            lam = lambda: integral  # noqa: E731
        elif self.kappa is not None:
            lam = lambda: self._stationary_lam(integral)  # noqa: E731
        read = lambda part: self._log_lam_from(t[part], integral[part])  # noqa: E731
        return Along(log_alpha, read, steps, lam, self.kappa)

    @cached_property
    def t_max(self) -> float:
        """Where the process ends, which every t must be below: where λ, f or g is infinite, or f or g leaves
        its domain or turns negative; ∞ if nowhere. Looked for, in a user's own f and g, when first asked for."""
        return min(self._pole, self._turn)

    @cached_property
    def _turn(self) -> float:
        """Where a user's own f or g first turns negative: ∞ if it is not seen to."""
        if self.name != "user":
            return math.inf

        return first_negative(self._unchecked)

    @cached_property
    def _pole(self) -> float:
        """Where λ, f or g is infinite, or f or g leaves its domain; ∞ if nowhere."""
        if self.name != "user":
            return self._ends_at
        from wbound.calculus.asymptotics import Unrecognised  # whose expansions the named ones never need

        try:
            end = end_of(
                self._f,
                self._g,
                {s: sp.Rational(v) for s, v in zip(self._symbols, self._values, strict=True)},
            )
        except Unrecognised:
            return math.inf
        return math.inf if end is None else self._number(end)

    def time_of(self, log_lam: ArrayLike, t_max: float = 1e300) -> Array:
        """The time t at which log λ(t) has each given value: the clock's inverse, to 1e-14 relative.

        Safeguarded Newton in log t, since d log λ/d log t = t g²/σ² > 0. Raises `BadInput` when λ never
        gets there before ``t_max``.
        """
        return times_of(self, log_lam, t_max)

    @cached_property
    def _clock_table(self) -> tuple[Array, Array, Array] | None:
        """Of a process of the catalogue, whose clock has a closed form: `clock_table`."""
        return None if self.name == "user" or self._increment_of is None else clock_table(self)

    def _stationary_lam(self, integral: Array) -> Array:
        lam = 2.0 * integral
        np.expm1(lam, out=lam)
        if self.kappa is not None and self.kappa != 1.0:
            lam *= self.kappa
        return lam

    def crossing(self, log_lam: float) -> float:
        """`time_of` one value, kept: searches ask for the time of the same kink again and again."""
        known = self._crossings.get(log_lam)
        if known is None:
            if len(self._crossings) >= 64:
                self._crossings = {}
            known = self._crossings[log_lam] = float(self.time_of(log_lam))
        return known

    @cached_property
    def slopes(self) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
        """f′ (1/time²) and (g²)′ (x²/time²), as functions of forward times."""
        t = symbol("t")
        return self._function(sp.diff(self._f, t), t), self._function(sp.diff(self._g**2, t), t)

    # ------------------------------------------------------------------ what it is
    @cached_property
    def expr(self) -> Expressions:
        """f, g, α, σ², λ, log λ as sympy expressions; integrals without a closed form stay unevaluated."""
        return expressions_of(self._f, self._g, self.family, self._kappa, self._increment, self._log_lam)

    def check_domain(self, T: float) -> None:
        """Refuse a process whose f or g is negative, infinite or both zero on (0, T]: `BadInput`."""
        check_domain(self, T)

    def __repr__(self) -> str:
        values = "".join(f", {k}={v:g}" for k, v in self.parameters.items())
        if self.name == "user":
            return f"Process(f={str(self._f)!r}, g={str(self._g)!r}{values})"
        return f"process({self.name!r}{values})"

    def _repr_latex_(self) -> str:
        f, g = sp.latex(self._f), sp.latex(self._g)
        return rf"$dX = -f(t)\,X\,dt + g(t)\,dB,\quad f(t) = {f},\quad g(t) = {g}$"

    def _repr_html_(self) -> str:
        rows = [("f(t)", str(self._f)), ("g(t)", str(self._g)), *self.parameters.items()]
        return html_table(f"process {self.name}: dX = −f(t) X dt + g(t) dB", rows)

    def _key(self) -> tuple[Any, ...]:
        return (self.name, tuple(self.parameters.items()), self._f, self._g, self._increment)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Process) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[Any, ...]:
        state = (
            self.name,
            self.parameters,
            self._f,
            self._g,
            self.family,
            self._increment,
            self._log_lam,
            self._short,
            self._ends_at,
        )
        return _rebuild, (type(self), state)


def _rebuild(cls: type[Process], state: tuple[Any, ...]) -> Process:
    self = cls.__new__(cls)
    self._setup(*state)
    return self


def by_sign(parameters: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """Parameters > 0, which stay symbols, and the others, which `accept` takes as constants; in plain
    letters. Raises `BadInput` for what is no finite number, and for a name given twice."""
    kept: dict[str, float] = {}
    fixed: dict[str, float] = {}
    for name, given in parameters.items():
        plain, value = spelled(name), real(name, given)
        if plain in kept or plain in fixed:
            raise BadInput(name, given, f"{plain} is given twice")
        (kept if value > 0.0 else fixed)[plain] = value
    return kept, fixed


def _upward(times: Array) -> tuple[Array, NDArray[np.intp]]:
    """0 and the times > 0 in increasing order, each once, and where each of ``times`` stands among them (of
    its shape). 0 is no step's end: f and g may be infinite there."""
    ends = np.unique(np.concatenate(([0.0], times.ravel())))
    return ends, np.searchsorted(ends, times)
