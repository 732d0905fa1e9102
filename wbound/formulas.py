"""The numbered formulas of docs/theory.md in sympy: to be shown as LaTeX, and to be computed as they stand.

Nothing here is what the bounds compute with: those are carried in units in which nothing overflows. The two are
compared, so that a formula that is shown is the one that is meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

__all__ = ["FORMULAS", "Formula", "evaluated"]


#: Functions of time by their names in LaTeX, as the terms name them.
FUNCTIONS = {r"\dot{\lambda}": "rate", "lambda": "lambda(t)"}


@dataclass(frozen=True)
class Formula:
    """``claim``, a sympy relation, whose right side is the value. A recursion is one in k: ``first`` is its value at
    k = 0, the left side its value at k (or its square, for ``root``), and what is meant is ``last`` of the one at K.
    """

    claim: sp.Rel
    recursive: str = ""
    first: sp.Expr | None = None
    last: sp.Expr | None = None
    root: bool = False

    @property
    def latex(self) -> str:
        """The relation as LaTeX; of a recursion its step, its beginning, and what follows."""
        parts = [self.claim]
        if self.first is not None:
            parts.append(sp.Eq(sp.IndexedBase(self.recursive)[0], self.first, evaluate=False))
        if self.last is not None:
            parts.append(sp.Eq(sp.Symbol("W_2"), self.last, evaluate=False))
        return r",\qquad ".join(sp.latex(p) for p in parts)

    def value(self, terms: Mapping[str, Any]) -> float:
        """The right side in floats. terms: numbers by symbol, sequences for indexed symbols (by their index), and
        functions of one number."""
        if not self.recursive:
            return evaluated(self.claim.rhs, terms)
        known = {**terms, self.recursive: [evaluated(self.first, terms)]}
        for k in range(1, int(terms["K"]) + 1):
            step = evaluated(self.claim.rhs, {**known, "k": k})
            known[self.recursive].append(math.sqrt(step) if self.root else step)
        if self.last is None:
            return float(known[self.recursive][-1])
        return evaluated(self.last, known)


def evaluated(expr: Any, terms: Mapping[str, Any]) -> float:
    """A sympy expression in floats: sums and products term by term, integrals by quadrature."""
    if isinstance(expr, sp.Sum | sp.Product):
        index, low, high = expr.limits[0]
        ends = range(round(evaluated(low, terms)), round(evaluated(high, terms)) + 1)
        values = [evaluated(expr.function, {**terms, str(index): i}) for i in ends]
        return math.fsum(values) if isinstance(expr, sp.Sum) else math.prod(values)
    if isinstance(expr, sp.Integral):
        return _integral(expr, terms)
    if isinstance(expr, sp.Indexed):
        return float(terms[str(expr.base)][round(evaluated(expr.indices[0], terms))])
    if isinstance(expr, sp.Symbol):
        return float(terms[str(expr)])
    if isinstance(expr, sp.core.function.AppliedUndef):
        return float(terms[FUNCTIONS[str(expr.func)]](evaluated(expr.args[0], terms)))
    if expr.is_Number or expr.is_NumberSymbol:
        return float(expr)
    parts = [evaluated(a, terms) for a in expr.args]
    if isinstance(expr, sp.Add):
        return math.fsum(parts)
    if isinstance(expr, sp.Mul):
        return math.prod(parts)
    if isinstance(expr, sp.Pow):
        return float(parts[0] ** parts[1])
    named: dict[str, Callable[..., float]] = {
        "Max": max,
        "Min": min,
        "Abs": abs,
        "exp": math.exp,
        "log": math.log,
    }
    return float(named[type(expr).__name__](*parts))


def _integral(expr: sp.Integral, terms: Mapping[str, Any]) -> float:
    from scipy.integrate import quad

    variable, low, high = expr.limits[0]
    a, b = evaluated(low, terms), evaluated(high, terms)

    def integrand(x: float) -> float:
        return evaluated(expr.function, {**terms, str(variable): x})

    return float(quad(integrand, a, b, epsabs=0.0, epsrel=1e-11, limit=200)[0])


# ---------------------------------------------------------------------- the symbols of the theory

k, j, K, d = sp.symbols("k j K d", integer=True, positive=True)
M, M_1, V, eta, omega, theta = sp.symbols("M M_1 V eta omega theta", nonnegative=True)
m_0, L_0, e_0, E_0, X_0, mu = sp.symbols("m_0 L_0 e_0 E_0 X_0 mu", positive=True)
sigma_0, varrho, u, eps, T = sp.symbols("sigma_0 varrho u varepsilon T", positive=True)
alpha_T, lambda_T, delta = sp.symbols("alpha_T lambda_T delta", positive=True)
W_2, x, t = sp.Symbol("W_2"), sp.Symbol("x", positive=True), sp.Symbol("t", positive=True)
gamma, D, G, C, b, n, H, P, lam, Psi, S = (
    sp.IndexedBase(name) for name in ("gamma", "D", "G", "C", "b", "n", "H", "P", "lambda", "Psi", "S")
)
kappa, w, alpha, v, r, Q, e = (sp.IndexedBase(s) for s in ("kappa", "w", "alpha", "v", "r", "Q", "e"))
_later = sp.Product(gamma[j], (j, k + 1, K))
_all = sp.Product(gamma[k], (k, 1, K))


def _sum(term: sp.Expr) -> sp.Sum:
    return sp.Sum(term, (k, 1, K))


def _theta_term(weight: sp.Expr) -> sp.Expr:
    """¼C_θ^{1/2}(Σ weight ∫(u−λ_k)²(1+L_0u)^{−θ}du)^{1/2} at θ ≠ 2."""
    C_theta = d * L_0**2 * (1 + theta * (1 - (1 + L_0 * lambda_T) ** (theta - 2)) / (2 - theta))
    inner = sp.Integral((x - lam[k]) ** 2 * (1 + L_0 * x) ** (-theta), (x, lam[k], lam[k - 1]))
    return sp.sqrt(C_theta) / 4 * sp.sqrt(_sum(weight * inner))


_slow = sp.sqrt(d * L_0 / (1 + L_0 * lam[k - 1]))
_excess_10 = sigma_0**4 * _sum(H[k] ** 2 / (w[k] ** 2 * w[k - 1])) - delta
_excess_10_prime = -(sigma_0**6) * _sum(H[k] ** 2 / (w[k] ** 2 * w[k - 1] * lam[k - 1])) - delta
_step = sp.Le(e[k] ** 2, (gamma[k] * e[k - 1] + b[k] + C[k] * M) ** 2 + n[k] ** 2 + C[k] ** 2 * V**2)
_noise = _sum(_later**2 * (n[k] ** 2 + C[k] ** 2 * V**2))
_bias = _sum(_later * b[k])
_score = _sum(_later * C[k]) * M
_rate, _clock = sp.Function(r"\dot{\lambda}"), sp.Function("lambda")

#: The formulas by the anchor of docs/theory.md. ``delta`` in Eq. 10 and 10′ is what the start changes.
FORMULAS: dict[str, Formula] = {
    "eq-4": Formula(sp.Le(sp.Symbol("L^*"), L_0 / (alpha_T**2 + L_0 * alpha_T**2 * lambda_T))),
    "lemma-2": Formula(sp.Eq(sp.Symbol(r"{\|X_T\|^2}"), alpha_T**2 * (X_0**2 + d * lambda_T))),
    "lemma-3": Formula(
        sp.Le(
            sp.Symbol(r"{\|\int(\Lambda_1-\Lambda)\,dM\|^2}"),
            d * sp.Integral((x - lam[1]) ** 2 * L_0**2 / (1 + L_0 * x) ** 2, (x, lam[1], lam[0])),
        )
    ),
    "theorem-1": Formula(
        sp.Le(W_2, e_0 * _all + _sum(_later * (D[k] + M_1 * eta * G[k] * (1 + omega) + M * G[k])))
    ),
    "eq-6": Formula(
        sp.Eq(
            sp.Integral(sp.Function("m")(t) * sp.Function("g")(t) ** 2, (t, 0, T)), sp.log(1 + m_0 * lambda_T)
        )
    ),
    "theorem-2": Formula(_step, "e", e_0, e[K], root=True),
    "theorem-2-prime": Formula(_step, "e", e_0, e[K], root=True),
    "eq-7-prime": Formula(sp.Le(W_2, e_0 * _all + _bias + sp.sqrt(_noise) + _score)),
    "eq-7-second": Formula(sp.Le(W_2, _bias + _score + sp.sqrt((e_0 * _all) ** 2 + _noise))),
    "eq-8": Formula(
        sp.Le(
            sp.Symbol("E_0"),
            sp.Min(X_0, sp.sqrt(mu**2 - d * lambda_T * sp.log(1 - (m_0 * lambda_T) ** (-2)))),
        )
    ),
    "eq-9": Formula(
        sp.Le(W_2, sp.sqrt(E_0**2 / (1 + m_0 * lambda_T) ** 2 + d * _sum(Psi[k] / (1 + m_0 * lam[k]) ** 2)))
    ),
    "eq-9-second": Formula(
        sp.Le(
            W_2,
            _sum(P[k] * (1 - kappa[k] ** 2) * H[k] * _slow) / 2
            + _theta_term(P[k] ** 2 * (1 - kappa[k] ** 4) ** 2)
            + M * _sum(P[k] * H[k] * alpha[k - 1])
            + sp.sqrt(
                (P[0] * E_0) ** 2
                + _sum(P[k] ** 2 * kappa[k] ** 2 * ((1 + kappa[k] ** 2) / 2) ** 2 * d * Psi[k])
            ),
        )
    ),
    "theorem-3": Formula(
        sp.Le(
            W_2,
            P[0] * E_0
            + _theta_term(P[k] ** 2)
            + _sum(P[k] * (sp.Abs(H[k] / 2 - C[k]) * _slow + C[k] * alpha[k - 1] * M)),
        )
    ),
    "exact-law": Formula(
        sp.Eq(v[k], r[k] ** 2 * v[k - 1] + Q[k]),
        "v",
        sp.Symbol("v_0"),
        sp.sqrt(d) * sp.Abs(sp.sqrt(v[K]) - sigma_0),
    ),
    "eq-10": Formula(sp.Eq(v[K] - sigma_0**2, _excess_10)),
    "eq-10-prime": Formula(sp.Eq(v[K] - sigma_0**2, _excess_10_prime)),
    "proposition-1": Formula(
        sp.Ge(
            W_2,
            sp.sqrt(d)
            * (
                sp.sqrt(
                    sigma_0**2 + 4 * sigma_0**4 / K * (1 / sigma_0 - 1 / sp.sqrt(sigma_0**2 + lambda_T)) ** 2
                )
                - sigma_0
            ),
        )
    ),
    "eq-12": Formula(sp.Ge(K, 4 * (1 - varrho) ** 2 / (2 * u + u**2))),
    "eq-12-prime": Formula(
        sp.Eq(
            W_2,
            sp.sqrt(d)
            * sigma_0**3
            / (2 * K)
            * sp.Integral(T * _rate(t) ** 2 / (sigma_0**2 + _clock(t)) ** 3, (t, 0, T)),
        )
    ),
    "eq-13": Formula(
        sp.Eq(
            W_2,
            sp.sqrt(d / sp.Integer(3))
            / K
            * sp.Integral((L_0 / ((1 + m_0 * x) * (1 + L_0 * x))) ** sp.Rational(2, 3), (x, 0, lambda_T))
            ** sp.Rational(3, 2),
        )
    ),
}
