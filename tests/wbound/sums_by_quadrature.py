"""The sums that orders are of, by a plain quadrature in log λ."""

from __future__ import annotations

import numpy as np

from wbound.forward.forward_process import Process


def integrals(p: Process, log_lam: float) -> dict[str, float]:
    """S, the score's sum and I up to λ(T) = e^log_lam, m_0 = L_0 = 1: a fine trapezoidal rule in log λ."""
    u = np.linspace(-20.0, log_lam, 40_001)
    t = p.time_of(u)
    log_alpha = p.log_alpha(t)
    lam, g = np.exp(u), p.g(t)
    speed = g**2 * np.exp(-2 * log_alpha)  # λ'
    dt = lam / speed  # dt/du
    per_step = {
        "discretisation": g
        * (p.f(t) + speed * np.minimum(1 / lam, 1.0))
        * np.exp(-log_alpha)
        / (1 + lam)
        * dt,
        "score": speed * np.exp(log_alpha) / (1 + lam) * dt,
        "sharp": speed**3 / (1 + lam) ** 4 * dt,
    }
    return {name: float(np.trapezoid(v, u)) for name, v in per_step.items()}
