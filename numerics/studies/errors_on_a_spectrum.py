"""Exact W2 of samplers on a Gaussian of any spectrum, as Pierret & Galerne (arXiv 2405.14250) tabulate it: their rows, and
any scheme of ours beside them (section 19 of docs/theory.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, HypothesisFailed, count, nonnegative, one_of, positive
from wbound.exact.flow_in_time import FLOW_METHODS, flow_gain, limit_variance
from wbound.exact.gaussian_law import law, remaining
from wbound.forward.forward_process import Process
from wbound.memory import fits
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import SCHEMES
from wbound.typing import Array

__all__ = [
    "LIMITS",
    "OUTPUTS",
    "ROWS",
    "ErrorRow",
    "error_table",
    "output_variance",
    "power_law",
    "w2_to_data",
]

#: The continuous limits: the reverse SDE and the probability-flow ODE without steps.
LIMITS = ("sde-limit", "ode-limit")
#: Their rows, in their order of kinds.
ROWS = ("sde-limit", "em-point", "ei", "ddpm", "ode-limit", "euler-t", "heun-t", "rk4-t")
#: What is compared with the data: the state at the last time as it is, or over its α.
OUTPUTS = ("raw", "divided")


def power_law(d: int = 3072, most: float = 100.0, exponent: float = 1.72) -> Array:
    """most·k^{−exponent}, k = 1…d: with the defaults from 100 to 1e-4, a spectrum like that of natural images."""
    return positive("most", most) * np.arange(1.0, count("d", d) + 1.0) ** -nonnegative("exponent", exponent)


def _setting(process: Process, x: Array, T: float, K: int, scheme: str, eps: float, start: str) -> Setting:
    grid: Any = "uniform" if eps == 0.0 else Grid.uniform(delta=float(process.lam(eps)))
    return setting(process, Gaussian(np.zeros(x.size), x), T, K, scheme=scheme, start=start, grid=grid)


def _spectrum(variances: ArrayLike) -> Array:
    x = np.asarray(variances, float)
    if x.ndim != 1 or not x.size or not np.isfinite(x).all() or (x < 0.0).any():
        raise BadInput("variances", repr(variances), "must be a vector of finite numbers >= 0")
    return x


def output_variance(
    process: Process,
    variances: ArrayLike,
    T: float,
    K: int,
    sampler: str,
    *,
    eps: float = 0.0,
    start: str = "standard",
) -> Array:
    """The exact variance of the state x_K at the last time (E,), in x-units, undivided, mean taken off.

    variances: eigenvalues (E,) of the data's covariance, in x²; T: forward time > 0; K: uniform steps from T down to the time
    ``eps`` ≥ 0; sampler: a scheme of `SCHEMES`, a method of `FLOW_METHODS`, or one of `LIMITS` (which take no steps); start:
    "standard" N(0, I), "prior" N(0, σ²(T)I) or "exact" p_T. *exact* Raises `BadInput`.
    """
    x = _spectrum(variances)
    one_of("sampler", sampler, (*LIMITS, *FLOW_METHODS, *SCHEMES))
    T, K, eps = positive("T", T), count("K", K), nonnegative("eps", eps)
    if eps >= T:
        raise BadInput("eps", eps, f"must be below T = {T:g}")
    if sampler in SCHEMES:
        s = _setting(process, x, T, K, sampler, eps, start)
        excess = law(s, x, means=False).excess
        variance = np.maximum(x + excess, 0.0)
        gone = excess < -0.5 * x
        if gone.any():
            variance[gone] = remaining(s, x[gone])
        return np.asarray(variance * math.exp(2.0 * s.nodes.last[0]))
    # the start is checked where a scheme's is
    _setting(process, x[:1], T, 1, "em", eps, start)
    log_alpha, sigma2 = process.log_alpha(np.array([T, eps])), process.sigma2(np.array([T, eps]))
    before, after = (math.exp(2.0 * log_alpha[i]) * x + sigma2[i] for i in (0, 1))
    begun = {"standard": np.ones_like(x), "prior": np.full_like(x, sigma2[0]), "exact": before}[start]
    if sampler in LIMITS:
        return limit_variance(
            sampler.partition("-")[0], begun, before, after, float(log_alpha[0] - log_alpha[1])
        )
    fits("K", K, 64.0)
    times = T - (T - eps) * np.arange(K + 1) / K
    times[-1] = eps
    return np.asarray(flow_gain(process, x, times, sampler) ** 2 * begun)


def w2_to_data(
    process: Process,
    variances: ArrayLike,
    T: float,
    K: int,
    sampler: str,
    *,
    eps: float = 0.0,
    start: str = "standard",
    output: str = "raw",
) -> float:
    """W2 (not squared, in x) between a sampler's output and the data, Gaussian of this spectrum, mean taken off. *exact*

    output: "raw" x_K as it is, "divided" x_K/α(eps). The rest as `output_variance`. Raises `BadInput`.
    """
    one_of("output", output, OUTPUTS)
    x, times = np.unique(_spectrum(variances), return_counts=True)
    v = output_variance(process, x, T, K, sampler, eps=eps, start=start)
    if output == "divided":
        v = v * np.exp(-2.0 * process.log_alpha(np.array(eps)))
    return math.sqrt(float((times * (np.sqrt(v) - np.sqrt(x)) ** 2).sum()))


@dataclass(frozen=True)
class ErrorRow:
    """W2 of one sampler at one number of steps (0: a limit) and one truncation; None, and why, where it has none."""

    sampler: str
    K: int
    eps: float
    w2: float | None
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {"sampler": self.sampler, "K": self.K, "eps": self.eps, "w2": self.w2}


def error_table(
    process: Process,
    variances: ArrayLike,
    T: float,
    Ks: Sequence[int],
    *,
    eps: Sequence[float] = (0.0,),
    samplers: Sequence[str] = ROWS,
    start: str = "standard",
    output: str = "raw",
) -> list[ErrorRow]:
    """`w2_to_data` of every sampler at every K and truncation, the limits once for each truncation. *exact*

    A sampler that asks for what a spectrum or process has not, a density or a finite rate, has a row without a value.
    Raises `BadInput` for what is wrong for all.
    """
    for name in samplers:
        one_of("sampler", name, (*LIMITS, *FLOW_METHODS, *SCHEMES))
    _setting(process, np.ones(1), positive("T", T), 1, "em", 0.0, start)
    rows: list[ErrorRow] = []
    for name in samplers:
        for K in (0,) if name in LIMITS else Ks:
            for at in eps:
                try:
                    value = w2_to_data(
                        process, variances, T, max(K, 1), name, eps=at, start=start, output=output
                    )
                    rows.append(ErrorRow(name, K, at, value))
                except (BadInput, HypothesisFailed) as refused:
                    if getattr(refused, "option", "") in ("eps", "T", "K", "variances", "start", "output"):
                        raise
                    rows.append(ErrorRow(name, K, at, None, str(refused)))
    return rows
