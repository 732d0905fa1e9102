"""The numbered formulas of docs/theory.md in sympy, but those of the theorems, which make their own of these symbols.
Building them takes a third of a second: who asks for one imports this file.

Nothing here is what the bounds compute with: those are carried in units in which nothing overflows. The two are
compared, so that a formula that is shown is the one that is meant.
"""

from __future__ import annotations

import sympy as sp

from wbound.statement.formula import Formula, Supremum

__all__ = ["FORMULAS"]

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
a, c, m, ell, G_0, G_1, iota = (sp.IndexedBase(s) for s in ("a", "c", "m", "ell", "G_0", "G_1", "iota"))
later = sp.Product(gamma[j], (j, k + 1, K))
whole = sp.Product(gamma[k], (k, 1, K))


def summed(term: sp.Expr) -> sp.Sum:
    return sp.Sum(term, (k, 1, K))


def decay() -> sp.Expr:
    """C_θ at θ ≠ 2; ϑ is θ − 1, or 4θ³/27 where θ < 3/2."""
    peak = sp.Symbol("vartheta", nonnegative=True)
    return d * L_0**2 * (1 + peak * (1 - (1 + L_0 * lambda_T) ** (theta - 2)) / (2 - theta))


def theta_term(weight: sp.Expr) -> sp.Expr:
    """¼C_θ^{1/2}(Σ weight ∫(u−λ_k)²(1+L_0u)^{−θ}du)^{1/2} at θ ≠ 2."""
    inner = sp.Integral((x - lam[k]) ** 2 * (1 + L_0 * x) ** (-theta), (x, lam[k], lam[k - 1]))
    return sp.sqrt(decay()) / 4 * sp.sqrt(summed(weight * inner))


def _modified_score() -> sp.Expr:
    """Section 19's bound, h = T/K: M_s is how fast the modified score changes, W_0 is W2(p_0, N(0, I))."""
    W_0, B, M_s, beta_T = sp.symbols("W_0 B M_s beta_T", nonnegative=True)
    h = T / K
    clock = 2 * sp.log(alpha[k] / alpha[k - 1])
    rough = sp.Integral(sp.Min(1 / x, L_0), (x, lam[k], lam[k - 1])) - clock
    frozen = B * summed(rough * (sp.sqrt(2 * h * beta_T) + h * beta_T / 2 + 2 * rough))
    return W_0 / (1 + m_0 * lambda_T) + frozen + M_s * h * T * beta_T * (1 + 2 * B) + M * T * beta_T


slow = sp.sqrt(d * L_0 / (1 + L_0 * lam[k - 1]))
_excess_10 = sigma_0**4 * summed(H[k] ** 2 / (w[k] ** 2 * w[k - 1])) - delta
_excess_10_prime = -(sigma_0**6) * summed(H[k] ** 2 / (w[k] ** 2 * w[k - 1] * lam[k - 1])) - delta
step = sp.Le(e[k] ** 2, (gamma[k] * e[k - 1] + b[k] + C[k] * M) ** 2 + n[k] ** 2 + C[k] ** 2 * V**2)
_noise = summed(later**2 * (n[k] ** 2 + C[k] ** 2 * V**2))
_bias = summed(later * b[k])
_score = summed(later * C[k]) * M
_rate, _clock = sp.Function(r"\dot{\lambda}"), sp.Function("lambda")
_alpha, _f, _g = sp.Function("alpha"), sp.Function("f"), sp.Function("g")
tau, y = sp.IndexedBase("tau"), sp.IndexedBase("y")
D_0, s, sigma_min, sigma_max, rho = sp.symbols("D s sigma_min sigma_max rho", positive=True)
_roots = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
_sigma_T = alpha_T * sp.sqrt(lambda_T)
_lam_T = sp.Function("lambda")(T)
_B, _2B = sp.Integral(_g(t) ** 2, (t, 0, T)), sp.Integral(2 * _f(t), (t, 0, T))
_E_8 = sp.Min(X_0, sp.sqrt(mu**2 - d * lambda_T * sp.log(1 - (m_0 * lambda_T) ** (-2))))
_w_hat = sigma_0**2 + _clock(t)
_to_K = sp.Product(r[k] ** 2, (k, 1, K))
_v_exact = alpha_T**2 * (sigma_0**2 + lambda_T) * _to_K + summed(Q[k] * sp.Product(r[j] ** 2, (j, k + 1, K)))
_v_prior = _v_exact - alpha_T**2 * sigma_0**2 * _to_K
_v_smoothed = s**2 + lambda_T
_CURVATURE = sp.Symbol(r"{-\nabla^2\log p_T}")
_SMOOTHED = sp.Symbol(r"{-\nabla^2\log q_{\lambda_T}}")
_LEAST = sp.Symbol(r"{\min_x(-\nabla^2\log q_{\lambda_T})}")
_x_1 = L_0 * H[1] / (1 + L_0 * lam[1])
_ancestral_drift = summed(P[k] * (1 - kappa[k] ** 2) * H[k] * slow) / 2
_ancestral_theta = theta_term(P[k] ** 2 * (1 - kappa[k] ** 4) ** 2)
_ancestral_noise = summed(P[k] ** 2 * kappa[k] ** 2 * ((1 + kappa[k] ** 2) / 2) ** 2 * d * Psi[k])
_ancestral_score = M * summed(P[k] * H[k] * alpha[k - 1])


# sections 15 to 18
_g_K, _v_y, _N, _Q_K, _b_max = (sp.Symbol(name, positive=True) for name in ("g_K", "v_y", "N", "Q_K", "b"))
_J = sp.Symbol("J", integer=True)
_q, _x_i, _I_i, _varsigma = (sp.IndexedBase(name) for name in ("q", "x", "I", "varsigma"))
_h = sp.log(lam[0] / lam[1])
_R_18 = sp.pi**2 / 4 / sp.sinh(2 * sp.pi**2 / _h) + (sigma_0**2 / lam[0] + lam[K - 1] / sigma_0**2) / (
    1 + sp.exp(_h / 2)
)
_w = sp.Symbol("w", positive=True)
#: of a step of the randomised midpoint: q_k, the mean of the noise it injects over H_k, and of its factor's square
_share = H[k] / w[k - 1]
_injected = 3 + (2 / _share + 1) * sp.log(w[k] / w[k - 1]) + H[k] / w[k]
_kept_square = (
    (1 - _share / 4) ** 2 + (1 - _share / 4) * sp.log(w[k] / w[k - 1]) / 2 + _share * H[k] / (16 * w[k])
)
_m_K, _G_K, _S_K = sp.symbols("m_K G_K S_K", positive=True)
_off = (sp.sqrt(_m_K) - sigma_0) ** 2
_output = sp.Symbol("{E|y_K|^2}")
_v_end = sp.Symbol("{v_t}", positive=True)
_nodes_less, _nodes_more = (sp.Product(_varsigma[j] + sign * sigma_0, (j, 1, 2 * K + 1)) for sign in (-1, 1))
_E_K = 4 * _Q_K * sp.Product(((1 + _Q_K ** (4 * k)) / (1 + _Q_K ** (4 * k - 2))) ** 4, (k, 1, sp.oo))
_WORST = sp.Symbol(r"{\max_{a\leq x\leq b}|\sqrt{V(x)}-\sqrt{x}|/\sqrt{x}}")
_DRAWN = sp.Symbol(r"{\max_{a\leq x\leq b}W_2/\sqrt{dx}}")
_WORST_ABSOLUTE = sp.Symbol(r"{\max_{0\leq x\leq b}|\sqrt{V(x)}-\sqrt{x}|}")


def _over_step(integrand: sp.Expr) -> sp.Integral:
    """Over the first step."""
    return sp.Integral(integrand, (t, tau[1], tau[0]))


def _leading(sign: int, integral: sp.Expr) -> sp.Eq:
    """W_2 = √d|c|/(2σ_0K), c = ±σ_0⁴ times the integral."""
    return sp.Eq(W_2, sp.sqrt(d) * sigma_0**3 / (2 * K) * sp.Abs(sign * integral), evaluate=False)


def _in_x(numerator: sp.Expr) -> sp.Integral:
    """∫T α² (…)/w³ dt, w = α²ŵ."""
    return sp.Integral(T * _alpha(t) ** 2 * numerator / (_alpha(t) ** 2 * _w_hat) ** 3, (t, 0, T))


_w_T = _alpha(t) ** 2 * _w_hat
_L_T = sp.Min(1 / _clock(t), L_0) / _alpha(t) ** 2

#: The formulas by the anchor of docs/theory.md. ``delta`` in Eq. 10 and 10′ is what the start changes.
FORMULAS: dict[str, Formula] = {
    "eq-2": Formula(
        sp.Eq(sp.Function("sigma")(T) ** 2, sp.Integral((_alpha(T) / _alpha(t)) ** 2 * _g(t) ** 2, (t, 0, T)))
    ),
    "eq-3": Formula(sp.Eq(_lam_T, sp.Integral(_g(t) ** 2 / _alpha(t) ** 2, (t, 0, T)))),
    "section-1:ve": Formula(sp.Eq(_lam_T, _B)),
    "section-1:vp": Formula(sp.Eq(_lam_T, sp.exp(_B) - 1)),
    "section-1:ou": Formula(sp.Eq(_lam_T, _g(0) ** 2 * (sp.exp(2 * _f(0) * T) - 1) / (2 * _f(0)))),
    "section-1:sub-vp": Formula(sp.Eq(_lam_T, (1 - sp.exp(-_2B)) ** 2 * sp.exp(_2B))),
    "assumption-a2:gaussian": Formula(
        sp.Le(M_1, Supremum(sp.Abs(_g(t) ** 2 - 2 * _f(t) * _w_T) / _w_T**2, t, T))
    ),
    "lemma-1:m": Formula(sp.Ge(_CURVATURE, m_0 / (alpha_T**2 + m_0 * alpha_T**2 * lambda_T))),
    "lemma-1:L": Formula(sp.Le(_CURVATURE, sp.Min(1 / (alpha_T**2 * lambda_T), L_0 / alpha_T**2))),
    "eq-4": Formula(sp.Le(_CURVATURE, L_0 / (alpha_T**2 + L_0 * alpha_T**2 * lambda_T))),
    "lemma-2": Formula(sp.Eq(sp.Symbol(r"{\|X_T\|^2}"), alpha_T**2 * (X_0**2 + d * lambda_T))),
    "lemma-3": Formula(
        sp.Le(
            sp.Symbol(r"{\|\int(\Lambda_1-\Lambda)\,dM\|^2}"),
            d * sp.Integral((x - lam[1]) ** 2 * L_0**2 / (1 + L_0 * x) ** 2, (x, lam[1], lam[0])),
        )
    ),
    "lemma-2:score": Formula(sp.Eq(sp.Symbol(r"{E\langle X_T,s(X_T,T)\rangle}"), -d)),
    "lemma-2:J": Formula(sp.Le(sp.Symbol(r"{E|s(X_T,T)|^2}"), d * L_0 / (alpha_T**2 * (1 + L_0 * lambda_T)))),
    "lemma-3:R": Formula(
        sp.Le(sp.Symbol(r"{E\|\nabla^2\log q_{\lambda_T}\|_F^2}"), d * L_0**2 / (1 + L_0 * lambda_T) ** 2)
    ),
    "lemma-3:increment": Formula(
        sp.Eq(sp.Symbol(r"{E|M_1-M_0|^2}"), sp.Integral(d / (sigma_0**2 + x) ** 2, (x, lam[1], lam[0])))
    ),
    "lemma-3:mean": Formula(
        sp.Eq(
            sp.Symbol(r"{E[Y_{t_1}|Y_0]/Y_0}"),
            alpha[1] / alpha[0] - alpha[1] * alpha[0] * H[1] / (alpha[0] ** 2 * (sigma_0**2 + lam[0])),
        )
    ),
    "section-3:hf": Formula(sp.Eq(C[1], alpha[1] * alpha[0] * H[1])),
    "section-3:ei": Formula(sp.Eq(C[1], _over_step(alpha[1] / _alpha(t) * _g(t) ** 2))),
    "section-3:ddpm": Formula(sp.Eq(Q[1], alpha[1] ** 2 * H[1] * lam[1] / lam[0])),
    "eq-6": Formula(
        sp.Eq(
            sp.Integral(sp.Function("m")(t) * sp.Function("g")(t) ** 2, (t, 0, T)), sp.log(1 + m_0 * lambda_T)
        )
    ),
    "theorem-2:Psi": Formula(
        sp.Eq(Psi[1], (1 + L_0 * lam[1]) / L_0 * (_x_1 - 2 * sp.log(1 + _x_1) + _x_1 / (1 + _x_1)))
    ),
    "theorem-2-prime": Formula(step, "e", e_0, e[K], root=True),
    "eq-7-prime": Formula(sp.Le(W_2, e_0 * whole + _bias + sp.sqrt(_noise) + _score)),
    "eq-7-second": Formula(sp.Le(W_2, _bias + _score + sp.sqrt((e_0 * whole) ** 2 + _noise))),
    "eq-8": Formula(sp.Le(sp.Symbol("E_0"), _E_8)),
    "eq-8:standard": Formula(
        sp.Le(
            sp.Symbol("e_0"),
            sp.Min(
                sp.sqrt(alpha_T**2 * X_0**2 + d * (1 - _sigma_T) ** 2),
                alpha_T * _E_8 + sp.sqrt(d) * sp.Abs(1 - _sigma_T),
            ),
        )
    ),
    "eq-9": Formula(
        sp.Le(W_2, sp.sqrt(E_0**2 / (1 + m_0 * lambda_T) ** 2 + d * summed(Psi[k] / (1 + m_0 * lam[k]) ** 2)))
    ),
    "eq-9-prime": Formula(
        sp.Le(
            W_2,
            P[0] * E_0 + _ancestral_drift + sp.sqrt(_ancestral_noise) + _ancestral_theta + _ancestral_score,
        )
    ),
    "eq-9-second": Formula(
        sp.Le(
            W_2,
            _ancestral_drift
            + _ancestral_theta
            + _ancestral_score
            + sp.sqrt((P[0] * E_0) ** 2 + _ancestral_noise),
        )
    ),
    "lemma-5": Formula(
        sp.Eq(sp.Symbol(r"{\|dS/d\Lambda\|^2}"), d / (4 * (sigma_0**2 + lambda_T) ** 3)),
    ),
    "flow-derivatives": Formula(
        sp.Le(
            sp.Symbol(r"{\int_0^{\lambda_T}u^2(1+L_0u)^2\|d^2S/d\Lambda^2\|^2du}"),
            d * L_0**2 / 16 * (sp.Rational("8.2") + sp.Rational("11.4") * sp.log(1 + L_0 * lambda_T)),
        )
    ),
    "flow-derivatives:first": Formula(
        sp.Le(
            sp.Symbol(r"{\int_0^{\lambda_T}(1+L_0u)^2\|dS/d\Lambda\|^2du}"),
            d * L_0**2 / 4 * (1 + sp.log(1 + L_0 * lambda_T)),
        )
    ),
    "modified-score-bound": Formula(sp.Le(W_2, _modified_score())),
    "exact-law": Formula(
        sp.Eq(v[k], r[k] ** 2 * v[k - 1] + Q[k]),
        "v",
        sp.Symbol("v_0"),
        sp.sqrt(d) * sp.Abs(sp.sqrt(v[K]) - sigma_0),
    ),
    "exact-law:mean": Formula(
        sp.Eq(y[k], r[k] * y[k - 1] + C[k] * mu / (alpha[k - 1] * w[k - 1])),
        "y",
        sp.Symbol("y_0"),
        sp.Abs(y[K] - mu),
        lasting=r"{|E[y_K]-E[X_0]|}",
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
    "eq-11": Formula(
        sp.Ge(
            summed(H[k] ** 2 / (w[k] ** 2 * w[k - 1])),
            4 / K * (1 / sigma_0 - 1 / sp.sqrt(sigma_0**2 + lambda_T)) ** 2,
        )
    ),
    "eq-12": Formula(sp.Ge(K, 4 * (1 - varrho) ** 2 / (2 * u + u**2))),
    "eq-12:prior": Formula(sp.Ge(K, 4 * (1 - varrho) ** 2 / (2 * u + u**2 + varrho**4))),
    "eq-12-prime": Formula(
        sp.Eq(
            W_2,
            sp.sqrt(d)
            * sigma_0**3
            / (2 * K)
            * sp.Integral(T * _rate(t) ** 2 / (sigma_0**2 + _clock(t)) ** 3, (t, 0, T)),
        )
    ),
    "eq-12-prime:em": Formula(
        _leading(1, _in_x(_g(t) ** 4 - _f(t) * _g(t) ** 2 * _w_T - _f(t) ** 2 * _w_T**2))
    ),
    "eq-12-prime:ei": Formula(_leading(1, _in_x(_g(t) ** 2 * (_g(t) ** 2 - _f(t) * _w_T)))),
    "eq-12-prime:ddpm": Formula(
        sp.Eq(
            W_2,
            sp.sqrt(d)
            / (2 * sigma_0 * K)
            * sp.Abs(
                T * _rate(0) * (sp.log(K) + sp.EulerGamma)
                + sp.Integral(
                    sigma_0**6 * T * _rate(t) ** 2 / (_w_hat**3 * _clock(t)) - T * _rate(0) / t, (t, 0, T)
                )
            ),
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
    "section-7:floor": Formula(sp.Eq(W_2, 2 * sigma_0 * sp.sqrt(d) * (1 - varrho) ** 2 / K)),
    "eq-14": Formula(
        sp.Eq(
            W_2,
            T
            / K
            * sp.sqrt(
                d
                * sp.Integral(
                    _rate(t) ** 3 * L_0**2 / (3 * (1 + m_0 * _clock(t)) ** 2 * (1 + L_0 * _clock(t)) ** 2),
                    (t, 0, T),
                )
            ),
        )
    ),
    "section-8:published": Formula(
        sp.Eq(
            summed(later * D[k]),
            sp.sqrt(d * T / K)
            * sp.Integral(
                _g(t) * (_f(t) + _g(t) ** 2 * _L_T) / (_alpha(t) * (1 + m_0 * _clock(t))), (t, 0, T)
            ),
        )
    ),
    "section-8:score": Formula(
        sp.Eq(summed(later * G[k]), sp.Integral(_g(t) ** 2 / (_alpha(t) * (1 + m_0 * _clock(t))), (t, 0, T)))
    ),
    "exact-iterations": Formula(
        sp.Le(
            W_2,
            sp.sqrt(d)
            * (sp.Abs(sp.sqrt(_v_exact) - sigma_0) + sp.Abs(sp.sqrt(_v_exact) - sp.sqrt(_v_prior))),
        )
    ),
    "section-9:original": Formula(sp.Eq(_lam_T, sigma_min**2 * ((sigma_max / sigma_min) ** (2 * T) - 1))),
    "section-9:v1": Formula(sp.Eq(_lam_T, (sigma_max**2 - sigma_min**2) * T)),
    "section-9:v2": Formula(sp.Eq(_lam_T, (sigma_max**2 - sigma_min**2) * T**2)),
    "section-9:v3": Formula(
        sp.Eq(_lam_T, (_roots[0] + (_roots[1] - _roots[0]) * T) ** (2 * rho) - sigma_min**2)
    ),
    "theorem-3:ode-hf": Formula(sp.Eq(C[1], H[1] / 2)),
    "theorem-3:ddim": Formula(sp.Eq(C[1], sp.sqrt(lam[0]) * (sp.sqrt(lam[0]) - sp.sqrt(lam[1])))),
    "theorem-3:ode-ei": Formula(
        sp.Eq(C[1], _over_step(alpha[1] / _alpha(t) * _g(t) ** 2) / (2 * alpha[1] * alpha[0]))
    ),
    "profiles:m": Formula(sp.Eq(_LEAST, (1 - D_0**2 / _v_smoothed) / _v_smoothed)),
    "profiles:L": Formula(sp.Le(_SMOOTHED, 1 / _v_smoothed)),
    "profiles:early": Formula(step, "e", e_0, e[K] / alpha[K] + sp.sqrt(d * lam[K]), root=True),
    "flow-law": Formula(
        sp.Eq(
            W_2,
            sp.sqrt(d)
            * sp.Abs(
                sp.sqrt(sp.Symbol("v_0")) / alpha_T * sp.Product(1 - C[k] / w[k - 1], (k, 1, K)) - sigma_0
            ),
        )
    ),
    "eq-16": Formula(
        sp.Eq(
            W_2,
            sp.sqrt(d) * sp.Abs(sp.sqrt(_g_K**2 * _v_y + sp.Sum(_q[j] ** 2, (j, 1, _J))) - sigma_0),
        )
    ),
    "eq-17": Formula(
        sp.Ge(W_2, sigma_0 * sp.sqrt(d) * (1 - sp.cos(sp.atan(sp.sqrt(lambda_T) / sigma_0) / K) ** K))
    ),
    "eq-18": Formula(
        sp.Le(
            W_2,
            sigma_0 * sp.sqrt(d) * sp.Max(1 - _w * sp.exp(-_h / 8 - _R_18), _w * sp.exp(_R_18 - _h / 8) - 1),
        )
    ),
    "tangent-law": Formula(sp.Eq(W_2, sp.sqrt(sp.Sum(_x_i[j] * _I_i[j] ** 2, (j, 1, d))) / (2 * K))),
    "lemma-4": Formula(
        sp.Ge(
            W_2,
            sp.sqrt(d) * sp.Abs(sp.sqrt(_N) / sp.Product(sigma_0**2 + lam[k - 1], (k, 1, K)) - sigma_0),
        )
    ),
    "theorem-4": Formula(
        sp.Eq(
            W_2,
            2 * sp.sqrt(d) * sigma_0 * sp.Abs(_nodes_less / (_nodes_more - _nodes_less)),
        )
    ),
    "theorem-5": Formula(sp.Ge(_WORST, _E_K)),
    "theorem-6": Formula(sp.Ge(_WORST, _E_K)),
    "theorem-6:attained": Formula(sp.Eq(_WORST, _E_K)),
    "random-levels": Formula(sp.Ge(_DRAWN, _E_K / sp.sqrt(2 * K + 2) - 1 / sp.sqrt(d))),
    "limits-without-steps": Formula(
        sp.Eq(_v_end, alpha[K] ** 2 * (w[K] + (w[K] / w[0]) ** 2 * (sp.Symbol("v_0") / alpha[0] ** 2 - w[0])))
    ),
    "limits-without-steps:flow": Formula(
        sp.Eq(_v_end, sp.Symbol("v_0") * alpha[K] ** 2 * w[K] / (alpha[0] ** 2 * w[0]))
    ),
    "random-midpoint": Formula(
        sp.Eq(
            _output,
            d * ((w[K] / w[0]) ** 2 * _v_y + summed((w[K] / w[k]) ** 2 * H[k] * _injected)),
        )
    ),
    "random-midpoint:flow": Formula(sp.Eq(_output, d * _v_y * sp.Product(_kept_square, (k, 1, K)))),
    "random-midpoint:low": Formula(sp.Ge(W_2, sp.sqrt(d * _off))),
    "random-midpoint:high": Formula(
        sp.Le(
            W_2,
            sp.sqrt(
                d
                * sp.Min(
                    _off + sigma_0 * _S_K / _m_K ** sp.Rational(3, 2),
                    (_S_K + (_m_K - sigma_0**2) ** 2) / sigma_0**2,
                )
            ),
        )
    ),
    "random-midpoint:flow-high": Formula(
        sp.Le(W_2, sp.sqrt(d * (_m_K - 2 * _G_K * sp.sqrt(_v_y) * sigma_0 + sigma_0**2)))
    ),
    "absolute-floor": Formula(
        sp.Ge(_WORST_ABSOLUTE, sp.sqrt(_b_max) / sp.Sum(1 / _varsigma[j], (j, 1, 2 * K + 1)))
    ),
    "section-18": Formula(
        sp.Eq(
            W_2,
            sp.sqrt(d) * sp.Abs(sp.sqrt(lambda_T) * sp.Product(1 - C[k] / w[k - 1], (k, 1, K)) - sigma_0),
        )
    ),
}
