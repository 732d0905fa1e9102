"""Orders of K, η, M and T in d and ε, derived from (f, g) alone (section 8 of docs/theory.md). Kind: *order*.

With x = √d/ε → ∞: T inverts the clock, λ(T) ≍ x; the sums of the theorem are integrals along the clock, each
convergent, logarithmic or a power; K follows. Everything works on the rates (logarithmic derivatives) of
`wbound.calculus.asymptotics`: those of α, λ', λ are explicit in f and g, so no integral is ever evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import sympy as sp
from sympy.simplify.fu import TR7, TR8

from wbound.calculus.asymptotics import LEVELS, ONE, Scale, U, Unrecognised
from wbound.calculus.notebook import html_table
from wbound.calculus.parser import symbol
from wbound.errors import BadInput, one_of
from wbound.forward.forward_process import Process
from wbound.forward.lifetime import end_of, without_elliptic
from wbound.sampler.scheme import EM, SCHEMES

__all__ = ["EPS", "D", "Orders", "Sum", "X", "derive", "tidy"]

Exponents = tuple[sp.Expr, ...]

#: Dimension and accuracy, the symbols of every order.
D, EPS = symbol("d"), symbol("epsilon")
#: x = √d/ε and its iterated logarithms.
X = sp.sqrt(D) / EPS
_LOGS_OF_X = (X, sp.log(X), sp.log(sp.log(X)), sp.log(sp.log(sp.log(X))))
_ZERO: Exponents = (sp.S.Zero,) * LEVELS

#: λ(T) as a power of x, per start: Theorem 1 and 2 from the prior, and Eq. 8.
STARTS = {"prior": sp.S.One, "centred": sp.Rational(2, 3)}
#: The same along the ODE, which contracts as the root of 1 + m_0λ.
FLOW_STARTS = {"prior": sp.Integer(2), "centred": sp.S.One}
#: The SDE schemes whose orders are derived.
STEPS_OF_SDE = ("em", "ei", "hf")


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


@dataclass(frozen=True)
class Orders:
    """K, η, M and T in d and ε up to constant factors, as sympy in `D` and `EPS`; kind *order*.

    ``recognised`` is False where the class of f, g could not be told: then the orders are None and ``notes``
    say why. K = T = ∞ where λ stays bounded: the start's error has a floor. ``powers`` holds the exponents of
    x, log x, log log x, … of each (M relative to ε); ``sums`` what they follow from.
    """

    theorem: str
    start: str
    scheme: str
    recognised: bool
    K: sp.Expr | None = None
    eta: sp.Expr | None = None
    M: sp.Expr | None = None
    T: sp.Expr | None = None
    notes: tuple[str, ...] = ()
    sums: tuple[Sum, ...] = ()
    powers: Mapping[str, Exponents] = field(default_factory=dict)
    #: measured powers "K_eps", "K_d", "T_eps", "T_d", in place of what was not recognised
    slopes: Mapping[str, float] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        if not self.recognised:
            return html_table("Orders", [("not recognised", "; ".join(self.notes))])
        rows = [(name, getattr(self, name)) for name in ("K", "eta", "M", "T")]
        return html_table(self.text.partition(":")[0], rows)

    def _repr_latex_(self) -> str | None:
        if not self.recognised or self.K is sp.oo:
            return None
        names = {"K": "K", "eta": r"\eta", "M": "M", "T": "T"}
        found = {
            letter: getattr(self, name) for name, letter in names.items() if getattr(self, name) is not None
        }
        return (
            "$"
            + r",\quad ".join(rf"{letter} \asymp {sp.latex(value)}" for letter, value in found.items())
            + "$"
        )

    @property
    def text(self) -> str:
        """One line, for people."""
        head = f"Theorem {1 if self.theorem == 'published' else 2 if self.scheme in STEPS_OF_SDE else 3}"
        if not self.recognised:
            found = ", ".join(
                f"{k[0]} ~ {'ε' if k[2:] == 'eps' else 'd'}^{v:.3f}" for k, v in self.slopes.items()
            )
            return f"{head}: not recognised: {'; '.join(self.notes)}" + (
                f"; measured: {found}" if found else ""
            )
        if self.K is sp.oo:
            return f"{head}: unreachable: {'; '.join(self.notes)}"
        return f"{head}: K ≍ {self.K}, eta ≍ {self.eta}, M ≍ {self.M}, T ≍ {self.T}"


def derive(process: Process, theorem: str = "published", start: str = "prior", scheme: str = "em") -> Orders:
    """The orders of K, η, M and T for which the bound is at most ε, as x = √d/ε → ∞. Kind: *order*.

    process: any forward SDE; only its f and g are read, not its name or closed forms. theorem: "published"
    (Theorem 1: K ≍ T x² S² with S = ∫g(f+g²L)/(α(1+m_0λ))dt) or "sharp" (Theorem 2: K ≍ T x I^{1/2}, Eq. 14,
    and the bias of em and ei; for ode-hf Theorem 3 at its best θ: K ≍ T x J^{1/2}, J = ∫λ'³/(1+m_0λ)³ dt, and
    another (log λ(T))^{1/2} where J grows as logarithms only). start: "prior" (λ(T) ≍ x; x² for the ODE) or
    "centred" (Eq. 8: λ(T) ≍ x^{2/3}; x). scheme: em, ei, hf or ode-hf. Parameters stay symbolic; a sign they
    leave open is taken from their values and noted.
    m_0, L_0, M_1 are fixed and ‖X_0‖ ≍ √d. Raises `BadInput` for unknown names.
    Source: docs/theory.md, section 8; the published cells are Gao, Nguyen & Zhu's, arXiv 2311.11003.
    """
    one_of("theorem", theorem, ("published", "sharp"))
    one_of("start", start, STARTS)
    one_of("scheme", scheme, (*STEPS_OF_SDE, "ode-hf"))
    if theorem == "published" and SCHEMES[scheme] != EM:
        raise BadInput("scheme", scheme, f"Theorem 1 is about {EM.name}")
    return _derived(process, theorem, start, scheme)


@lru_cache(maxsize=256)  # tables, comparisons and measurements ask for the same orders again and again
def _derived(process: Process, theorem: str, start: str, scheme: str) -> Orders:
    scale = Scale({symbol(k): sp.Rational(repr(v)) for k, v in process.parameters.items()})
    try:
        return _derive(process, theorem, start, scheme, scale)
    except Unrecognised as why:
        return Orders(theorem, start, scheme, False, notes=(str(why),))


def _derive(process: Process, theorem: str, start: str, scheme: str, scale: Scale) -> Orders:
    clock = _Clock(process, scale)
    if clock.lam is None:
        return Orders(theorem, start, scheme, True, sp.oo, sp.S.Zero, sp.S.Zero, sp.oo, (clock.bounded(),))
    clock.check_origin(theorem)
    flow = SCHEMES[scheme].flow
    x_power = (FLOW_STARTS if flow else STARTS)[start]
    notes = [*clock.notes]
    sums: tuple[Sum, ...]
    closed = " = log(1 + m0 λ(T))/m0" if clock.f == 0 else ""  # Eq. 6
    if flow:
        score = clock.sum("score", "½∫g²/(α(1+m0 λ)^(1/2)) dt", clock.flow_score_rate, x_power)
    else:
        score = clock.sum("score", f"∫g²/(α(1+m0 λ)) dt{closed}", clock.score_rate, x_power)
    T_powers, T_extra = clock.horizon_order(x_power)
    # f + λ'/λ at T, where it grows
    steepness = clock.in_x(clock.speed, x_power) if scale.direction(clock.speed) > 0 else _ZERO
    if theorem == "published":
        main = clock.sum("discretisation", "∫g(f+g²L)/(α(1+m0 λ)) dt", clock.published_rate, x_power)
        sums = (main, score)
        powers = _plus(T_powers, _x(2), main.growth, main.growth)
        if clock.f != 0:  # the drift's share of ν_k, of order η and not √η
            drift = clock.sum("drift", "∫f|X|(f+g²L)/(α(1+m0 λ)) dt", clock.drift_rate, x_power)
            sums = (main, drift, score)
            powers = _largest(scale, powers, _plus(T_powers, _x(1), drift.growth))
        powers = _largest(scale, powers, _plus(T_powers, steepness))  # the step-size condition at T
        if scale.direction(sp.expand(clock.lam - 2 * clock.drift)) < 0:
            notes.append(
                "σ² → 0, so that A2's M_1 grows with T (Gaussian data); the order is for a fixed M_1"
            )
    else:
        if flow:
            local = clock.sum("discretisation", "∫λ'³/((1+m0 λ)(1+L0 λ)²) dt", clock.flow_rate, x_power)
            growth = _plus(local.growth, clock.at_best_theta(local.growth))
        else:
            local = clock.sum("discretisation", "∫λ'³/((1+m0 λ)²(1+L0 λ)²) dt", clock.sharp_rate, x_power)
            growth = local.growth
        half = tuple(e / 2 for e in growth)
        sums = (local,)
        if scheme in BIAS and clock.f != 0:
            formula, rate = BIAS[scheme]
            bias = clock.sum("bias", formula, rate(clock), x_power)
            sums = (local, bias)
            half = _largest(scale, half, bias.growth)
        sums = (*sums, score)
        powers = _plus(T_powers, _x(1), half)
        step = _plus(T_powers, _minus(powers), steepness)  # η(f + λ'/λ) at T must vanish
        if _compare(scale, step, _ZERO) >= 0:
            raise Unrecognised(
                "λ is so steep at T that its steps are not small there, and Eq. 14 says nothing"
            )
    K, T = T_extra * _expression(powers), T_extra * _expression(T_powers)
    eta_powers = _plus(T_powers, _minus(powers))
    if T_extra != 1:
        notes.append("λ grows more slowly than any power of t: T is known up to a constant in its exponent")
    if start == "centred" and theorem == "published":
        notes.append("Theorem 1 as published starts from ‖X_0‖; its proof takes Eq. 8 as well")
    notes += [f"holds where {r.lhs} {r.rel_op} {r.rhs}, as here" for r in scale.assumed]
    named = {"K": powers, "T": T_powers, "eta": eta_powers, "M": _minus(score.growth)}
    named = {k: tuple(tidy(e) for e in v) for k, v in named.items()}
    return Orders(
        theorem,
        start,
        scheme,
        True,
        K,
        _expression(eta_powers),
        EPS * _expression(named["M"]),
        T,
        tuple(notes),
        sums,
        named,
    )


class _Clock:
    """α, λ and their sums as rates in `U`, where u = t, or u = 1/(t* − t) when f or g end at t*."""

    def __init__(self, process: Process, scale: Scale) -> None:
        self.process, self.scale = process, scale
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

    def check_origin(self, theorem: str) -> None:
        """The sums converge at t → 0, where g may be singular."""
        f, g = self._at_zero
        if g == 0:
            return
        try:
            g_rate = self.scale.rate(g)
        except Unrecognised:
            return  # g vanishes near 0 or is too complicated there to be singular: not the case that matters
        # there α → 1, L → L_0: g³ in Theorem 1, λ'³ in Eq. 14, and f²‖X‖, fg², fg with them
        rates = [(3 if theorem == "published" else 6) * g_rate]
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

    @property
    def published_rate(self) -> sp.Expr:
        """Of g(f + g²L)/(α(1+m_0λ)) dt/du."""
        return sp.expand(self.g + self.speed + self.drift - self.lam_ + self.measure)

    @property
    def drift_rate(self) -> sp.Expr:
        """Of f‖X‖(f + g²L)/(α(1+m_0λ)) dt/du, where ‖X‖ ≍ αλ^{1/2}."""
        return sp.expand(self.scale.rate(self.f) + self.speed - self.lam_ / 2 + self.measure)

    @property
    def score_rate(self) -> sp.Expr:
        """Of g²/(α(1+m_0λ)) dt/du = αλ'/(1+m_0λ) dt/du."""
        return sp.expand(self.speed_of_lam - self.drift - self.lam_ + self.measure)

    @property
    def sharp_rate(self) -> sp.Expr:
        """Of λ'³/((1+m_0λ)²(1+L_0λ)²) dt/du."""
        return sp.expand(3 * self.speed_of_lam - 4 * self.lam_ + self.measure)

    @property
    def flow_rate(self) -> sp.Expr:
        """Of λ'³/((1+m_0λ)(1+L_0λ)²) dt/du: Eq. 15's sum at θ = 2."""
        return sp.expand(3 * self.speed_of_lam - 3 * self.lam_ + self.measure)

    @property
    def flow_score_rate(self) -> sp.Expr:
        """Of g²/(α(1+m_0λ)^{1/2}) dt/du."""
        return sp.expand(self.speed_of_lam - self.drift - self.lam_ / 2 + self.measure)

    def at_best_theta(self, growth: Exponents) -> Exponents:
        """What C_θ adds to Eq. 15's sum at θ = 2, at the best θ: nothing where the sum grows as a power of λ
        (a larger θ takes as much from it) or converges by one (a smaller θ will do), else log λ(T)."""
        if growth[0] != 0:
            return _ZERO
        if self.scale.integral(self.flow_rate) is None:
            if self.scale.integral(sp.expand(self.flow_rate + self.lam_ / 100)) is None:
                return _ZERO
            raise Unrecognised(
                "Eq. 15's sum converges, but not by a power of λ: no θ is known to be the best"
            )
        return (_ZERO[0], sp.S.One, *_ZERO[2:])

    @property
    def drift_bias_rate(self) -> sp.Expr:
        """Of em's mismatch b_k/η² weighted by P_k: ½f²‖X‖ over α(1+m_0λ)."""
        return sp.expand(2 * self.scale.rate(self.f) - self.lam_ / 2 + self.measure)

    @property
    def score_bias_rate(self) -> sp.Expr:
        """Of ei's mismatch b_k/η² weighted by P_k: ½fg²√L* over α(1+m_0λ)."""
        return sp.expand(self.scale.rate(self.f) + self.speed_of_lam - 3 * self.lam_ / 2 + self.measure)

    def sum(self, name: str, formula: str, rate: sp.Expr, x_power: sp.Expr) -> Sum:
        """The integral of exp ∫rate up to T, in x."""
        whole = self.scale.integral(rate)
        growth = _ZERO if whole is None else self.in_x(whole, x_power)
        variable = "t" if self.end is None else f"1/({self.end} - t)"
        return Sum(name, formula, variable, tuple(sp.factor(e) for e in self.scale.exponents(rate)), growth)

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

    def in_x(self, rate: sp.Expr, x_power: sp.Expr) -> Exponents:
        """The size of F = exp ∫rate at T as exponents of x, log x, log log x, …"""
        rate = sp.expand(rate)
        levels = self._levels()
        found = list(_ZERO)
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
        found[0] *= x_power
        return tuple(sp.simplify(e) for e in found)

    def horizon_order(self, x_power: sp.Expr) -> tuple[Exponents, sp.Expr]:
        """T in x, as exponents and a factor beyond them."""
        if self.end is not None:
            return _ZERO, sp.S.One
        base = self.scale.exponents(self._levels()[-1])
        if base[0] != 0:
            return self.in_x(1 / U, x_power), sp.S.One
        if len(self._levels()) > 1 or base[1] == 0:
            raise Unrecognised("λ grows too slowly for T to have an order in x")
        log_T = self.in_x(1 / (U * sp.log(U)), x_power)
        return _ZERO, sp.exp(_expression(log_T))


# ---------------------------------------------------------------------- exponents of x, log x, …


def _x(power: int) -> Exponents:
    return (sp.Integer(power), *_ZERO[1:])


def _plus(*parts: Exponents) -> Exponents:
    return tuple(sp.Add(*column) for column in zip(*parts, strict=True))


def _minus(part: Exponents) -> Exponents:
    return tuple(-e for e in part)


def _compare(scale: Scale, a: Exponents, b: Exponents) -> int:
    return next((s for p, q in zip(a, b, strict=True) if (s := scale.sign(p - q))), 0)


def _largest(scale: Scale, *parts: Exponents) -> Exponents:
    best = parts[0]
    for part in parts[1:]:
        if _compare(scale, part, best) > 0:
            best = part
    return best


def _expression(powers: Exponents) -> sp.Expr:
    front = D ** tidy(powers[0] / 2) * EPS ** tidy(-powers[0])
    return front * sp.Mul(*(w ** tidy(p) for w, p in zip(_LOGS_OF_X[1:], powers[1:], strict=True)))


def tidy(e: sp.Expr) -> sp.Expr:
    """An exponent as people write it: 2 + 1/(2c+1)."""
    return sp.apart(sp.together(e)) if len(e.free_symbols) == 1 else sp.factor(e)


#: The schemes whose steps miss the exact mean, and the sum that this adds.
BIAS: dict[str, tuple[str, Callable[[_Clock], sp.Expr]]] = {
    "em": ("∫f²|X|/(α(1+m0 λ)) dt", lambda clock: clock.drift_bias_rate),
    "ei": ("∫f g²(L*)^(1/2)/(α(1+m0 λ)) dt", lambda clock: clock.score_bias_rate),
}
