"""The image parametrisations of section 9 on unit time: β from beta_min to beta_max, std from sigma_min to
sigma_max.

The literature takes std(t), with std(0) = sigma_min, as the noise of the marginal and sigma_max² as the
prior's variance. The clock of the process itself starts at 0: λ(t) = std(t)² − sigma_min². So the
literature's convention is the same process on data smoothed by sigma_min (their clock started at λ =
sigma_min²), or, to relative sigma_min²/λ, the same thing: `marginal_std` speaks their language,
`Process.lam` ours.

Sources: Song et al., 2021 (``original``); the variants v1–v3 are those of Gao, Nguyen & Zhu, arXiv
2311.11003.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from wbound.errors import BadInput
from wbound.forward.forward_process import Process
from wbound.forward.row import Row
from wbound.typing import Array

__all__ = ["IMAGES", "marginal_std", "mean_factor", "reaching"]


VE = (("sigma_min", 0.01), ("sigma_max", 50.0))
VP = (("beta_min", 0.1), ("beta_max", 20.0))
_SONG = "Song et al., 2021"
_PAPER = "Gao, Nguyen & Zhu, arXiv 2311.11003"


def _ve(name: str, g: str, increment: str, source: str = _PAPER, rho: float | None = None) -> Row:
    return Row(
        f"image-ve-{name}",
        VE if rho is None else (*VE, ("rho", rho)),
        "0",
        g,
        "ve",
        increment,
        source=source,
        published=False,
        ordered=(("sigma_min", "sigma_max"),),
    )


def _vp(name: str, beta: str, increment: str, source: str = _PAPER, rho: float | None = None) -> Row:
    return Row(
        f"image-vp-{name}",
        VP if rho is None else (*VP, ("rho", rho)),
        f"({beta})/2",
        f"sqrt({beta})",
        "stationary",
        increment,
        source=source,
        published=False,
        ordered=(("beta_min", "beta_max"),),
    )


def _power(base: str, slope: str, power: str) -> str:
    # base(hi)^power − base(lo)^power, from the larger end: no cancellation
    return f"-({base})**({power})*expm1(({power})*log1p(-({slope})*(hi-lo)/({base})))"


_STD = "sigma_min**(1/rho)+(sigma_max**(1/rho)-sigma_min**(1/rho))"
_BETA = "beta_min**(1/rho)+(beta_max**(1/rho)-beta_min**(1/rho))"
_SLOPE = "beta_max**(1/rho)-beta_min**(1/rho)"
_RATIO = "log(sigma_max/sigma_min)"
_GROWTH = "log(beta_max/beta_min)"

#: Section 9's eight rows.
IMAGES: tuple[Row, ...] = (
    _ve(
        "original",
        f"sigma_min*exp({_RATIO}*t)*sqrt(2*{_RATIO})",
        f"-sigma_min**2*exp(2*{_RATIO}*hi)*expm1(-2*{_RATIO}*(hi-lo))",
        _SONG,
    ),
    _ve("v1", "sqrt(sigma_max**2-sigma_min**2)", "(sigma_max**2-sigma_min**2)*(hi-lo)"),
    _ve("v2", "sqrt(2*(sigma_max**2-sigma_min**2)*t)", "(sigma_max**2-sigma_min**2)*(hi-lo)*(hi+lo)"),
    _ve(
        "v3",
        # g² = d std²/dt = 2ρ (σ_max^{1/ρ} − σ_min^{1/ρ}) std^{2−1/ρ}
        f"sqrt(2*rho*(sigma_max**(1/rho)-sigma_min**(1/rho)))*({_STD}*t)**(rho-1/2)",
        _power(f"{_STD}*hi", "sigma_max**(1/rho)-sigma_min**(1/rho)", "2*rho"),
        rho=2.0,
    ),
    _vp(
        "original",
        "beta_min+(beta_max-beta_min)*t",
        "(hi-lo)*(beta_min+(beta_max-beta_min)*(lo+hi)/2)/2",
        _SONG,
    ),
    _vp("v1", "(beta_min+beta_max)/2", "(beta_min+beta_max)/4*(hi-lo)"),
    _vp(
        "v2",
        f"({_BETA}*t)**rho",
        _power(f"{_BETA}*hi", _SLOPE, "rho+1") + f"/(2*(rho+1)*({_SLOPE}))",
        rho=2.0,
    ),
    _vp(
        "v3",
        f"beta_min*exp({_GROWTH}*t)",
        f"-beta_min*exp({_GROWTH}*hi)*expm1(-{_GROWTH}*(hi-lo))/(2*{_GROWTH})",
    ),
)


def _smoothing(process: Process) -> float:
    return process.parameters["sigma_min"] ** 2 if process.name.startswith("image-ve-") else 0.0


def marginal_std(process: Process, t: ArrayLike) -> Array:
    """The literature's marginal standard deviation at t (x): √(λ + sigma_min²) for VE rows, σ(t) for VP
    rows."""
    return np.sqrt(process.sigma2(t) + _smoothing(process))


def mean_factor(process: Process, t: ArrayLike) -> Array:
    """The factor α(t) that multiplies the data in the marginal's mean."""
    return process.alpha(t)


def reaching(name: str, log_lam: float) -> dict[str, float]:
    """The parameter (sigma_max or beta_max) with which the row ``name`` has log λ(1) = log_lam, others
    default.

    Raises `BadInput` where no admissible value does.
    """
    row = next(row for row in IMAGES if row.name == name)
    start = dict(row.defaults)
    if row.family == "ve":  # λ(1) = σ_max² − σ_min²
        return {"sigma_max": math.exp(0.5 * float(np.logaddexp(log_lam, 2.0 * math.log(start["sigma_min"]))))}
    low = start["beta_min"]
    goal = float(np.logaddexp(0.0, log_lam))  # B = log(1+λ)

    def gap(log_ratio: float) -> float:
        return _BETA_INTEGRALS[row.name](low, log_ratio, start.get("rho", 1.0)) - goal

    if gap(1e-9) > 0.0:
        raise BadInput("log lam", log_lam, f"is passed before t = 1 with beta_min = {low:g}")
    from scipy.optimize import brentq

    most = 2.0 * math.log1p(goal / low) + 5.0  # e^u/u and its like are beyond goal/low there
    return {"beta_max": low * math.exp(float(brentq(gap, 1e-9, most, xtol=1e-14)))}


def _v2(low: float, log_ratio: float, rho: float) -> float:
    a, b = math.expm1(log_ratio / rho), rho + 1.0
    return low * math.expm1(b * math.log1p(a)) / (b * a)


#: ∫_0^1 β as a function of beta_min, log(beta_max/beta_min) and ρ
_BETA_INTEGRALS: dict[str, Callable[[float, float, float], float]] = {
    "image-vp-original": lambda low, u, rho: 0.5 * low * (1.0 + math.exp(u)),
    "image-vp-v1": lambda low, u, rho: 0.5 * low * (1.0 + math.exp(u)),
    "image-vp-v2": _v2,
    "image-vp-v3": lambda low, u, rho: low * math.expm1(u) / u,
}
