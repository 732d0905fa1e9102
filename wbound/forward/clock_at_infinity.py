"""The clock as t → ∞, or as it ends: rates of what is summed along it, and their sizes in x = √d/ε (section 8).

Everything works on the rates (logarithmic derivatives) of `wbound.calculus.asymptotics`: those of α, λ', λ are explicit in
f and g, so no integral is ever evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy as sp
from sympy.simplify.fu import TR7, TR8

from wbound.calculus.asymptotics import LEVELS, ONE, Scale, U, Unrecognised
from wbound.calculus.parser import symbol
from wbound.forward.forward_process import Process
from wbound.forward.lifetime import end_of, without_elliptic

__all__ = ["EPS", "Clock", "D", "Exponents", "Sum", "X", "tidy"]

Exponents = tuple[sp.Expr, ...]

#: Dimension and accuracy, the symbols of every order.
D, EPS = symbol("d"), symbol("epsilon")
#: x = √d/ε and its iterated logarithms.
X = sp.sqrt(D) / EPS
_LOGS_OF_X = (X, sp.log(X), sp.log(sp.log(X)), sp.log(sp.log(sp.log(X))))
ZERO: Exponents = (sp.S.Zero,) * LEVELS


@dataclass(frozen=True)
class Sum:
    """A sum of a theorem as an integral along the clock, up to constant factors."""

    name: str
    formula: str
    #: what tends to infinity: t, or 1/(t* − t) where f or g end at t*; ``integrand`` is per unit of it
    variable: str
    #: (p, q, …): the integrand is ≍ s^p (log s)^q … in that variable; −∞ or ∞ beyond every power
    integrand: Exponents
    #: the integral at T as x^p (log x)^q …
    growth: Exponents

    @property
    def kind(self) -> str:
        """convergent, logarithmic or power."""
        if all(e == 0 for e in self.growth):
            return "convergent"
        return "logarithmic" if self.growth[0] == 0 else "power"


class Clock:
    """α, λ and their sums as rates in `U`, where u = t, or u = 1/(t* − t) when f or g end at t*; λ(T) ≍ x^power."""

    def __init__(self, process: Process, scale: Scale, x_power: sp.Expr) -> None:
        self.process, self.scale, self.x_power = process, scale, x_power
        self.notes: list[str] = []
        t = symbol("t")
        clash = {
            symbol(n): sp.Rational(repr(process.parameters[n]))
            for n in ("d", "epsilon")
            if n in process.parameters
        }
        f, g = (without_elliptic(e.subs(clash), scale.values) for e in (process.expr.f, process.expr.g))
        self.end = end_of(f, g, scale.values)
        self._at_zero = (f.subs(t, 1 / U), g.subs(t, 1 / U))
        if self.end is None:
            inside, self.measure = U, sp.S.Zero
        else:
            inside, self.measure = self.end - 1 / U, -2 / U
            self.notes.append(f"f or g ends at t = {float(self.end.subs(scale.values)):.6g}: T tends to it")
        f, g2 = f.subs(t, inside), (g**2).subs(t, inside)
        self.f, g2 = self._settled(f, drift=True), self._settled(g2, drift=False)
        self.drift = sp.expand(self.f / U**2 if self.end is not None else self.f)  # f dt/du
        self.g = sp.expand(scale.rate(g2) / 2)
        #: of λ' = g²/α², with respect to t
        self.speed_of_lam = sp.expand(2 * self.g + 2 * self.drift)
        #: of λ; None where λ stays bounded
        self.lam = scale.integral(sp.expand(self.speed_of_lam + self.measure))

    def _settled(self, e: sp.Expr, drift: bool) -> sp.Expr:
        """The expression without bounded oscillations: only its size matters, and ∫f up to a constant."""
        waves = [w for w in e.atoms(sp.sin, sp.cos) if self._grows(w.args[0])]
        if not waves:
            return e
        flat = TR8(TR7(sp.expand(e)))
        waves = [w for w in flat.atoms(sp.sin, sp.cos) if self._grows(w.args[0])]
        names = {w: sp.Dummy() for w in waves}
        affine = sp.expand(flat.xreplace(names))
        mean = affine.subs(dict.fromkeys(names.values(), 0))
        swing = [affine.diff(s) for s in names.values()]
        if any(c.has(*names.values()) for c in swing) or any(
            w.args[0].diff(U).has(U) or (drift and c.has(U)) for w, c in zip(waves, swing, strict=True)
        ):
            raise Unrecognised("an oscillation that does not average out")
        size = sum((abs(self.scale.ratio(c, mean)) for c in swing), sp.S.Zero) if mean != 0 else sp.oo
        if self.scale.sign(1 - size) <= 0:
            raise Unrecognised("an oscillation that brings f or g² to zero again and again")
        return mean

    def _grows(self, e: sp.Expr) -> bool:
        c, m = self.scale.lead(e, zero=True)
        return c != 0 and self.scale.compare(m, ONE) > 0

    def check_origin(self, power: int) -> None:
        """The sums, which hold g to that power, converge at t → 0, where g may be singular."""
        f, g = self._at_zero
        if g == 0:
            return
        try:
            g_rate = self.scale.rate(g)
        except Unrecognised:
            return  # g vanishes near 0 or is too complicated there to be singular: not the case that matters
        # there α → 1, L → L_0: f²‖X‖, fg², fg are summed with it
        rates = [power * g_rate]
        if f != 0 and f.has(U):
            f_rate = self.scale.rate(f)
            rates += [2 * f_rate, f_rate + 2 * g_rate, f_rate + g_rate]
        if any(self.scale.integral(sp.expand(rate - 2 / U)) is not None for rate in rates):
            raise Unrecognised("f or g is so singular at t = 0 that the first steps decide")

    def bounded(self) -> str:
        where = "t grows" if self.end is None else f"t tends to {self.end}"
        return (
            f"λ stays bounded as {where}{self._limit()}; the start's error cannot go below "
            "E_0/(1 + m0 λ) there, whatever K"
        )

    def _limit(self) -> str:
        with np.errstate(all="ignore"):  # a sample for the message only
            if self.end is None:
                lams = self.process.lam(np.array([1e2, 1e3]))
            else:
                end = float(self.end.subs(self.scale.values))
                lams = self.process.lam(end * np.array([1 - 1e-6, 1 - 1e-9]))
        settled = np.isfinite(lams).all() and abs(lams[1] - lams[0]) < 1e-3 * lams[1]
        return f" (λ → {float(lams[1]):.6g} at these parameters)" if settled else ""

    # ------------------------------------------------------------------ rates of what is summed
    @property
    def lam_(self) -> sp.Expr:
        assert self.lam is not None
        return self.lam

    @property
    def speed(self) -> sp.Expr:
        """Of f + λ'/λ ≍ f + g²L."""
        own = sp.expand(self.speed_of_lam - self.lam_)
        return own if self.f == 0 else self.scale.larger(own, self.scale.rate(self.f))

    def score_rate(self, power: sp.Expr) -> sp.Expr:
        """Of g²/(α(1+m_0λ)^power) dt/du = αλ'/(1+m_0λ)^power dt/du."""
        return sp.expand(self.speed_of_lam - self.drift - power * self.lam_ + self.measure)

    def sum(self, name: str, formula: str, rate: sp.Expr) -> Sum:
        """The integral of exp ∫rate up to T, in x."""
        whole = self.scale.integral(rate)
        growth = ZERO if whole is None else self.in_x(whole)
        variable = "t" if self.end is None else f"1/({self.end} - t)"
        return Sum(name, formula, variable, tuple(sp.factor(e) for e in self.scale.exponents(rate)), growth)

    def with_short_steps(self, root: Exponents) -> Exponents:
        """K ≍ T x · root, where the steps at T are small: η(f + λ'/λ) vanishes there."""
        T = self.horizon[0]
        K = plus(T, power_of_x(1), root)
        if compare(self.scale, plus(T, minus(K), self.steepness), ZERO) >= 0:
            raise Unrecognised(
                "λ is so steep at T that its steps are not small there, and Eq. 14 says nothing"
            )
        return K

    # ------------------------------------------------------------------ from u to x
    def _levels(self) -> list[sp.Expr]:
        """Rates of λ, log λ, log log λ, …, down to the first that is not beyond every power of u."""
        levels = [self.lam_]
        while self.scale.exponents(levels[-1])[0] is sp.oo:
            if len(levels) == LEVELS:
                raise Unrecognised("λ is an exponential iterated too often")
            whole = self.scale.integral(self.scale.rate(levels[-1]))
            assert whole is not None
            levels.append(whole)
        return levels

    def in_x(self, rate: sp.Expr) -> Exponents:
        """The size of F = exp ∫rate at T as exponents of x, log x, log log x, …"""
        rate = sp.expand(rate)
        levels = self._levels()
        found = list(ZERO)
        for i, level in enumerate(levels[:-1]):  # log_i λ(T) ≍ log_i x
            if rate == 0:
                break
            r = self.scale.ratio(rate, level)
            if r in (sp.oo, -sp.oo):
                raise Unrecognised("a sum grows faster than any power of λ")
            found[i] += r
            rate = sp.expand(rate - r * level)
        n = len(levels) - 1
        base, own = self.scale.exponents(levels[-1]), self.scale.exponents(rate)
        j = next((i for i, e in enumerate(base) if e != 0), LEVELS)
        if any(e in (sp.oo, -sp.oo) for e in (*base, *own)) or j == LEVELS:
            raise Unrecognised("λ lies between the classes of the scale")
        if any(e != 0 for e in own[:j]):
            raise Unrecognised("λ grows too slowly for T to have an order in x")
        # log_n x ≍ Π_{i≥j} (log_i u)^{base_i}: solve for log_j u, and log_{j+k} u ≍ log_{n+k} x
        for i in range(j, LEVELS):
            power = own[i] if i == j else own[i] - own[j] * base[i] / base[j]
            power = power / base[j] if i == j else power
            if power != 0:
                if n + i - j >= LEVELS:
                    raise Unrecognised("logarithms are iterated too deeply")
                found[n + i - j] += power
        found[0] *= self.x_power
        return tuple(sp.simplify(e) for e in found)

    @cached_property
    def steepness(self) -> Exponents:
        """f + λ'/λ at T, where it grows."""
        return self.in_x(self.speed) if self.scale.direction(self.speed) > 0 else ZERO

    @cached_property
    def horizon(self) -> tuple[Exponents, sp.Expr]:
        """T in x, as exponents and a factor beyond them."""
        if self.end is not None:
            return ZERO, sp.S.One
        base = self.scale.exponents(self._levels()[-1])
        if base[0] != 0:
            return self.in_x(1 / U), sp.S.One
        if len(self._levels()) > 1 or base[1] == 0:
            raise Unrecognised("λ grows too slowly for T to have an order in x")
        log_T = self.in_x(1 / (U * sp.log(U)))
        return ZERO, sp.exp(expression(log_T))


# ---------------------------------------------------------------------- exponents of x, log x, …


def power_of_x(power: int) -> Exponents:
    return (sp.Integer(power), *ZERO[1:])


def plus(*parts: Exponents) -> Exponents:
    return tuple(sp.Add(*column) for column in zip(*parts, strict=True))


def minus(part: Exponents) -> Exponents:
    return tuple(-e for e in part)


def compare(scale: Scale, a: Exponents, b: Exponents) -> int:
    return next((s for p, q in zip(a, b, strict=True) if (s := scale.sign(p - q))), 0)


def largest(scale: Scale, *parts: Exponents) -> Exponents:
    best = parts[0]
    for part in parts[1:]:
        if compare(scale, part, best) > 0:
            best = part
    return best


def expression(powers: Exponents) -> sp.Expr:
    front = D ** tidy(powers[0] / 2) * EPS ** tidy(-powers[0])
    return front * sp.Mul(*(w ** tidy(p) for w, p in zip(_LOGS_OF_X[1:], powers[1:], strict=True)))


def tidy(e: sp.Expr) -> sp.Expr:
    """An exponent as people write it: 2 + 1/(2c+1)."""
    return sp.apart(sp.together(e)) if len(e.free_symbols) == 1 else sp.factor(e)
