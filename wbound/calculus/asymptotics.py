"""Growth of functions at infinity: leading terms on the scale u^p (log u)^q (log log u)^r … e^φ.

A small calculus of germs at u → ∞, for expressions built from powers, exp, log and the like, with
symbolic positive parameters (section 8 of docs/theory.md). Two representations:

* a `Series` is a few leading terms of a function with the size of what is left out;
* a *rate* is the logarithmic derivative F'/F of a positive function, an explicit sympy expression in `U`.
  It stands for F up to constant factors: products add, quotients subtract, and what cannot be written
  down (F = exp ∫f) still has an explicit rate. Rates cancel exactly, by algebra, before any expansion.

Signs that symbols leave open (is ρ > 1?) are taken from the parameters' values and reported.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

__all__ = ["LEVELS", "ONE", "Monomial", "Scale", "Series", "U", "Unrecognised"]

#: The variable that tends to infinity.
U = sp.Dummy("u", positive=True)
#: How many of u, log u, log log u, … the scale holds.
LEVELS = 4
#: Terms kept of an infinite expansion, and of a finite one.
KEPT, KEPT_EXACT = 6, 60

_LOGS: tuple[sp.Expr, ...] = (U, sp.log(U), sp.log(sp.log(U)), sp.log(sp.log(sp.log(U))))
#: u, u log u, u log u log log u, …: (log_j u)' = 1/_WEIGHTS[j-1]
_WEIGHTS: tuple[sp.Expr, ...] = tuple(sp.Mul(*_LOGS[: j + 1]) for j in range(LEVELS))


class Unrecognised(Exception):
    """The class of a function at infinity could not be told; says why."""


class _Open(Unrecognised):
    """A sign that only the parameters' values would tell."""


class Monomial(NamedTuple):
    """u^p0 (log u)^p1 (log log u)^p2 … e^φ."""

    powers: tuple[sp.Expr, ...]
    phi: sp.Expr

    @property
    def expr(self) -> sp.Expr:
        """As sympy, in `U`."""
        return sp.Mul(*(w**p for w, p in zip(_LOGS, self.powers, strict=True))) * sp.exp(self.phi)

    @property
    def rate(self) -> sp.Expr:
        """Its logarithmic derivative."""
        logs = sum((p / w for w, p in zip(_WEIGHTS, self.powers, strict=True)), sp.S.Zero)
        return sp.expand(self.phi.diff(U)) + logs

    def times(self, other: Monomial, power: sp.Expr = sp.S.One) -> Monomial:
        """self · other^power."""
        powers = tuple(sp.expand(p + power * q) for p, q in zip(self.powers, other.powers, strict=True))
        return Monomial(powers, sp.expand(self.phi + power * other.phi))


ONE = Monomial((sp.S.Zero,) * LEVELS, sp.S.Zero)


def _log_monomial(j: int, power: sp.Expr = sp.S.One) -> Monomial:
    return Monomial(tuple(power if i == j else sp.S.Zero for i in range(LEVELS)), sp.S.Zero)


class Series(NamedTuple):
    """Σ coefficient · monomial, largest first, plus a remainder o(rest); exact when rest is None."""

    terms: tuple[tuple[sp.Expr, Monomial], ...]
    rest: Monomial | None = None


class Scale:
    """The calculus, with the parameters' values (by symbol) for signs that their positivity leaves open.

    ``assumed`` collects those signs, as sympy relations.
    """

    def __init__(self, values: Mapping[sp.Symbol, Any] | None = None) -> None:
        self.values = dict(values or {})
        self.assumed: list[sp.Basic] = []
        self._values_allowed = True
        self._series: dict[tuple[sp.Expr, bool], Series] = {}
        self._leads: dict[tuple[sp.Expr, bool], tuple[sp.Expr, Monomial] | None] = {}
        self._compared: dict[tuple[Monomial, Monomial, bool], int] = {}

    # ------------------------------------------------------------------ signs of coefficients
    def sign(self, c: sp.Expr) -> int:
        """−1, 0 or 1; where the symbols leave it open, at the parameters' values, and noted."""
        c = sp.sympify(c, strict=True)  # an int is taken; text is not
        # "extended", since an exponent may be ±∞
        for known, answer in ((c.is_zero, 0), (c.is_extended_positive, 1), (c.is_extended_negative, -1)):
            if known:
                return answer
        if _vanishes(c):
            return 0
        tidy = sp.factor(sp.powsimp(sp.expand(c)))
        for known, answer in ((tidy.is_positive, 1), (tidy.is_negative, -1)):
            if known:
                return answer
        if tidy.free_symbols and not self._values_allowed:
            raise _Open(f"the sign of {tidy} is open")
        if tidy.free_symbols - set(self.values):
            raise Unrecognised(f"the sign of {tidy} is open")
        value = sp.N(tidy.subs(self.values), 30)
        if not value.is_real:
            raise Unrecognised(f"{tidy} is not real")
        answer = 0 if abs(value) < 1e-20 else (1 if value > 0 else -1)
        if tidy.free_symbols:
            self._assume(tidy, answer)
        return answer

    def _assume(self, c: sp.Expr, answer: int) -> None:
        """Notes c > 0, < 0 or = 0 once, without factors that are positive anyway."""
        parts = sp.Mul.make_args(sp.factor_terms(c))
        parts = [part.base if isinstance(part, sp.Pow) and part.exp.is_positive else part for part in parts]
        core = sp.Mul(*(part for part in parts if not part.is_number and not part.is_positive))
        if answer and sp.N(core.subs(self.values)) < 0:
            core = -core
        if answer == 0 and core.could_extract_minus_sign():
            core = -core
        relation = sp.Gt(core, 0, evaluate=False) if answer else sp.Eq(core, 0, evaluate=False)
        if relation not in self.assumed:
            self.assumed.append(relation)

    # ------------------------------------------------------------------ order of monomials and of rates
    def compare(self, a: Monomial, b: Monomial) -> int:
        """1 if a/b → ∞, −1 if a/b → 0, 0 if a/b tends to a positive number."""
        if a == b:
            return 0
        key = (a, b, self._values_allowed)
        if key not in self._compared:
            self._compared[key] = self._compare(a, b)
        return self._compared[key]

    def _compare(self, a: Monomial, b: Monomial) -> int:
        if a.phi == b.phi or not sp.expand(a.phi - b.phi).has(U):
            for p, q in zip(a.powers, b.powers, strict=True):
                if s := self.sign(p - q):
                    return s
            return 0
        return self.direction(sp.expand(a.rate - b.rate))

    def direction(self, rate: sp.Expr) -> int:
        """1, −1, 0: whether exp ∫rate tends to ∞, 0 or a positive number."""
        for r in self.exponents(rate):
            if s := self.sign(r):
                return s
        return 0

    def exponents(self, rate: sp.Expr) -> tuple[sp.Expr, ...]:
        """(p, q, …) such that exp ∫rate ≍ u^p (log u)^q …; it ends at ±∞, beyond every power."""
        found: list[sp.Expr] = []
        for weight in _WEIGHTS:
            rate = sp.expand(rate)
            if rate == 0:
                break
            c, m = self.lead(sp.expand(rate * weight), zero=True)
            order = -1 if c == 0 else self.compare(m, ONE)
            if order > 0:
                found.append(sp.oo * self.sign(c))
                break
            found.append(c if order == 0 else sp.S.Zero)
            rate -= found[-1] / weight
        return tuple(found) + (sp.S.Zero,) * (LEVELS - len(found))

    def ratio(self, a: sp.Expr, b: sp.Expr) -> sp.Expr:
        """lim a/b of two explicit expressions: a number, or ±∞."""
        ca, ma = self.lead(a, zero=True)
        cb, mb = self.lead(b)
        if ca == 0:
            return sp.S.Zero
        order = self.compare(ma, mb)
        if order == 0:
            return sp.simplify(ca / cb)
        return sp.S.Zero if order < 0 else sp.oo * self.sign(ca) * self.sign(cb)

    def larger(self, *rates: sp.Expr) -> sp.Expr:
        """The rate of the largest of positive functions: that of their sum."""
        best = rates[0]
        for rate in rates[1:]:
            if self.direction(sp.expand(rate - best)) > 0:
                best = rate
        return best

    def rate(self, expr: sp.Expr) -> sp.Expr:
        """A rate of an explicit positive function: that of its leading monomial."""
        c, m = self.lead(expr)
        if self.sign(c) < 0:
            raise Unrecognised(f"{expr} becomes negative")
        return m.rate

    def integral(self, rate: sp.Expr) -> sp.Expr | None:
        """The rate of ∫^u F for F = exp ∫rate; None when the integral converges at infinity.

        With weights w = u, u log u, …: the first exponent that is not −1 decides. Larger (finite):
        ∫F ≍ F·w; infinite: ∫F ≍ F/(F'/F + …) (integrate by parts); smaller: convergent.
        """
        seen = sp.S.Zero  # Σ 1/w over the levels where the exponent is −1
        for r, weight in zip(self.exponents(rate), _WEIGHTS, strict=True):
            above = 1 if r is sp.oo else (-1 if r is -sp.oo else self.sign(r + 1))
            if above < 0:
                return None
            if above > 0:
                if r is sp.oo:
                    return sp.expand(rate - self.rate(sp.expand(rate + seen)))
                return sp.expand(rate + seen + 1 / weight)
            seen += 1 / weight
        raise Unrecognised("an integral lies between convergence and divergence on every level of the scale")

    # ------------------------------------------------------------------ series
    def lead(self, expr: sp.Expr, zero: bool = False) -> tuple[sp.Expr, Monomial]:
        """(c, m) with expr ~ c·m; (0, 1) for a function that is zero, where that is allowed."""
        # the leading terms of the parts tell, unless they cancel: no smaller term is looked at, nor its sign
        if quick := self._quick_lead(expr):
            return quick
        s = self.series(expr)
        if s.terms:
            return s.terms[0]
        if zero and (s.rest is None or sp.simplify(expr) == 0):
            return sp.S.Zero, ONE
        raise Unrecognised("the leading terms cancel" if s.rest else "a function vanishes")

    def _quick_lead(self, e: sp.Expr) -> tuple[sp.Expr, Monomial] | None:
        key = (e, self._values_allowed)
        if key not in self._leads:
            self._leads[key] = self._lead_of_parts(e)
        return self._leads[key]

    def _lead_of_parts(self, e: sp.Expr) -> tuple[sp.Expr, Monomial] | None:
        if not e.has(U):
            return None if _vanishes(e) else (e, ONE)
        if e == U:
            return sp.S.One, _log_monomial(0)
        if not (e.is_Add or e.is_Mul or (isinstance(e, sp.Pow) and not e.exp.has(U))):
            s = self.series(e)
            return s.terms[0] if s.terms else None
        if isinstance(e, sp.Pow):
            c, m = self.lead(e.base, zero=True)
            if c == 0 or (not e.exp.is_integer and self.sign(c) < 0):
                return None
            return c**e.exp, ONE.times(m, e.exp)
        leads = [self.lead(part, zero=True) for part in e.args]
        if e.is_Mul:
            c, m = leads[0]
            for c1, m1 in leads[1:]:
                c, m = c * c1, m.times(m1)
            return None if c == 0 else (c, m)
        total, top = sp.S.Zero, ONE
        for c, m in leads:
            order = 1 if total == 0 else self.compare(m, top)
            if c != 0 and order > 0:
                total, top = c, m
            elif c != 0 and order == 0:
                if m != top or _vanishes(total + c):
                    return None
                total += c
        return None if total == 0 else (total, top)

    def series(self, expr: sp.Expr) -> Series:
        """The leading terms of an explicit expression in `U`."""
        key = (expr, self._values_allowed)
        if key not in self._series:
            self._series[key] = self._build(expr)
        return self._series[key]

    def _build(self, e: sp.Expr) -> Series:
        if not e.has(U):
            return Series(()) if _vanishes(e) else Series(((e, ONE),))
        if e == U:
            return Series(((sp.S.One, _log_monomial(0)),))
        if e.is_Add:
            return self._sum(map(self.series, e.args))
        if e.is_Mul:
            result = self.series(e.args[0])
            for factor in e.args[1:]:
                result = self._product(result, self.series(factor))
            return result
        if isinstance(e, sp.exp):
            c, rest = e.args[0].as_independent(U, as_Add=False)
            if isinstance(rest, sp.log):  # exp(ρ log y), a power in disguise
                return self._power(self.series(rest.args[0]), c)
            return self._exp(e.args[0])
        if isinstance(e, sp.Pow):
            if e.exp.has(U):
                return self._exp(e.exp * sp.log(e.base))
            return self._power(self.series(e.base), e.exp)
        inner = self.series(e.args[0]) if len(e.args) == 1 else None
        if inner is None:
            raise Unrecognised(f"{type(e).__name__} is outside the scale")
        if isinstance(e, sp.log):
            return self._log(inner)
        if isinstance(e, log1p):
            return self._log(self._sum((inner, Series(((sp.S.One, ONE),)))))
        if isinstance(e, expm1):
            return self._sum((self._exp(e.args[0]), Series(((-sp.S.One, ONE),))))
        if isinstance(e, (sp.sinh, sp.cosh, sp.tanh, sp.sech, sp.coth, sp.csch)):
            return self.series(e.rewrite(sp.exp))
        if isinstance(e, (sp.tan, sp.cot, sp.sec, sp.csc)):
            sin, cos = self._sine(inner, 0), self._sine(inner, 1)
            up, down = {sp.tan: (sin, cos), sp.cot: (cos, sin), sp.sec: (None, cos), sp.csc: (None, sin)}[
                e.func
            ]
            inverse = self._power(down, sp.S.NegativeOne)
            return inverse if up is None else self._product(up, inverse)
        if isinstance(e, (sp.sin, sp.cos)):
            return self._sine(inner, int(isinstance(e, sp.cos)))
        if isinstance(e, sp.atan):
            return self._atan(inner)
        if isinstance(e, sp.Abs):
            c, _ = self.lead(e.args[0])
            return self._scaled(inner, sp.Integer(self.sign(c)))
        raise Unrecognised(f"{type(e).__name__} is outside the scale")

    def _sum(self, parts: Iterable[Series]) -> Series:
        terms: list[tuple[sp.Expr, Monomial]] = []
        rest: Monomial | None = None
        for part in parts:
            if part.rest is not None and (rest is None or self.compare(part.rest, rest) > 0):
                rest = part.rest
            for c, m in part.terms:
                self._insert(terms, c, m)
        if rest is not None:
            terms = [(c, m) for c, m in terms if self.compare(m, rest) >= 0]
        return self._cut(terms, rest)

    def _insert(self, terms: list[tuple[sp.Expr, Monomial]], c: sp.Expr, m: Monomial) -> None:
        for i, (c0, m0) in enumerate(terms):
            order = self.compare(m, m0)
            if order > 0:
                terms.insert(i, (c, m))
                return
            if order == 0:
                if m != m0:  # equal up to a factor: exp of a difference of exponents that tends to a number
                    gap = self.series(sp.expand(m.phi - m0.phi))
                    if gap.rest is not None or len(gap.terms) > 1 or any(m1 != ONE for _, m1 in gap.terms):
                        raise Unrecognised("two exponents differ by what vanishes at infinity")
                    c = c * sp.exp(sum((c1 for c1, _ in gap.terms), sp.S.Zero))
                total = c0 + c
                if _vanishes(total):
                    del terms[i]
                else:
                    terms[i] = (total, m0)
                return
        terms.append((c, m))

    @staticmethod
    def _cut(terms: list[tuple[sp.Expr, Monomial]], rest: Monomial | None) -> Series:
        kept = KEPT_EXACT if rest is None else 2 * KEPT
        if len(terms) > kept:
            terms, rest = terms[:kept], terms[kept - 1][1]
        return Series(tuple(terms), rest)

    @staticmethod
    def _scaled(s: Series, c: sp.Expr, m: Monomial = ONE) -> Series:
        terms = tuple((c * c0, m0.times(m)) for c0, m0 in s.terms)
        return Series(terms, None if s.rest is None else s.rest.times(m))

    def _product(self, a: Series, b: Series) -> Series:
        parts = [self._scaled(Series(b.terms), c, m) for c, m in a.terms]
        for one, other in ((a, b), (b, a)):
            if one.rest is not None:
                top = other.terms[0][1] if other.terms else other.rest
                if top is not None:
                    parts.append(Series((), one.rest.times(top)))
        return self._sum(parts)

    def _split(self, s: Series) -> tuple[sp.Expr, Monomial, Series]:
        """c, m, δ with s = c·m·(1 + δ)."""
        if not s.terms:
            raise Unrecognised("the leading terms cancel" if s.rest else "division by zero")
        c, m = s.terms[0]
        return c, m, self._scaled(Series(s.terms[1:], s.rest), 1 / c, ONE.times(m, sp.S.NegativeOne))

    def _taylor(self, coefficients: Callable[[int], sp.Expr], small: Series) -> Series:
        """Σ c_k δ^k for δ → 0, to order `KEPT`."""
        total = Series(((coefficients(0), ONE),)) if not _vanishes(coefficients(0)) else Series(())
        if not small.terms and small.rest is None:
            return total
        power, parts = Series(((sp.S.One, ONE),)), [total]
        for k in range(1, KEPT + 1):
            power = self._product(power, small)
            if not _vanishes(c := coefficients(k)):
                parts.append(self._scaled(power, c))
        top = small.terms[0][1] if small.terms else small.rest
        assert top is not None
        return self._sum([*parts, Series((), ONE.times(top, sp.Integer(KEPT)))])

    def _power(self, s: Series, q: sp.Expr) -> Series:
        if not s.terms and s.rest is None:
            if self.sign(q) <= 0:
                raise Unrecognised("division by zero")
            return s
        if q.is_Integer and 0 < q <= 8 and s.rest is None and len(s.terms) <= 4:
            result = s
            for _ in range(int(q) - 1):
                result = self._product(result, s)
            return result
        c, m, small = self._split(s)
        if not q.is_integer and self.sign(c) < 0:
            raise Unrecognised("a power of what becomes negative")
        front = Series(((c**q, ONE.times(m, q)),))
        if not small.terms and small.rest is None:
            return front
        return self._product(front, self._taylor(lambda k: sp.ff(q, k) / sp.factorial(k), small))

    def _log(self, s: Series) -> Series:
        c, m, small = self._split(s)
        if self.sign(c) < 0:
            raise Unrecognised("a logarithm of what becomes negative")
        if m.powers[-1] != 0:
            raise Unrecognised("logarithms are iterated too deeply")
        parts = [Series(((p, _log_monomial(j + 1)),)) for j, p in enumerate(m.powers[:-1]) if p != 0]
        parts += [self.series(m.phi), self.series(sp.log(c))]
        parts.append(
            self._taylor(lambda k: sp.S.Zero if k == 0 else -((-sp.S.One) ** k) / sp.Integer(k), small)
        )
        return self._sum(parts)

    def _exp(self, exponent: sp.Expr) -> Series:
        before, self._values_allowed = self._values_allowed, False
        try:
            s = self.series(exponent)
            order = [self.compare(m, ONE) for _, m in s.terms]
            unfinished = s.rest is not None and self.compare(s.rest, ONE) > 0
        except _Open:
            unfinished = True
        finally:
            self._values_allowed = before
        if unfinished:  # what is left out may still grow: the exponent is kept as it is
            return Series(((sp.S.One, Monomial(ONE.powers, sp.expand(exponent))),))
        powers, phi, factor = list(ONE.powers), sp.S.Zero, sp.S.One
        for (c, m), o in zip(s.terms, order, strict=True):
            logs = [j for j in range(1, LEVELS) if m == _log_monomial(j)]
            if logs:
                powers[logs[0] - 1] += c
            elif o > 0:
                phi += c * m.expr
            elif o == 0:
                factor *= sp.exp(c)
        small = Series(tuple(t for t, o in zip(s.terms, order, strict=True) if o < 0), s.rest)
        whole = Monomial(tuple(powers), sp.expand(phi))
        return self._scaled(self._taylor(lambda k: 1 / sp.factorial(k), small), factor, whole)

    def _at(self, s: Series) -> tuple[sp.Expr, Series]:
        """(point, δ) with s = point + δ, δ → 0."""
        if s.rest is not None and self.compare(s.rest, ONE) > 0:
            raise Unrecognised("a function of what may grow without end")
        point, small = sp.S.Zero, []
        for c, m in s.terms:
            order = self.compare(m, ONE)
            if order > 0:
                raise Unrecognised("a sine or cosine of what grows has no limit")
            if order == 0:
                point += c
            else:
                small.append((c, m))
        return point, Series(tuple(small), s.rest)

    def _sine(self, s: Series, shift: int) -> Series:
        point, small = self._at(s)
        return self._taylor(lambda k: sp.sin(point + (k + shift) * sp.pi / 2) / sp.factorial(k), small)

    def _atan(self, s: Series) -> Series:
        if s.terms and self.compare(s.terms[0][1], ONE) > 0:
            side = sp.Integer(self.sign(s.terms[0][0])) * sp.pi / 2
            turned = self._scaled(self._atan(self._power(s, sp.S.NegativeOne)), sp.S.NegativeOne)
            return self._sum((Series(((side, ONE),)), turned))
        point, small = self._at(s)
        x = sp.Dummy("x")
        derivatives = [sp.atan(x)]
        for _ in range(KEPT):
            derivatives.append(sp.diff(derivatives[-1], x))
        return self._taylor(lambda k: derivatives[k].subs(x, point) / sp.factorial(k), small)


@lru_cache(maxsize=4096)
def _vanishes(c: sp.Expr) -> bool:
    """Whether an expression without `U` is zero: to 28 digits at random parameters, and not by its form of one sign."""
    if c.is_Rational:
        return bool(c.is_zero)
    draw = random.Random(0)
    for _ in range(3):  # first, for most are not zero, and sympy takes long to tell a sign
        at = {s: sp.Rational(draw.randint(101, 997), 211) for s in sorted(c.free_symbols, key=str)}
        parts = [part.evalf(40, subs=at) for part in sp.Add.make_args(c)]
        if not abs(sum(parts)) <= 1e-28 * sum(map(abs, parts)):
            return False
    return not (c.is_positive or c.is_negative)
