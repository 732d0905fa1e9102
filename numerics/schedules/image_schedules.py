"""Section 9's eight image schedules as a public implementation claims them, for the schedule doctor."""

from __future__ import annotations

from typing import Any

__all__ = ["image_claims"]

_STDS = {
    "original": "sigma_min*(sigma_max/sigma_min)**t",
    "v1": "sqrt(sigma_min**2+(sigma_max**2-sigma_min**2)*t)",
    "v2": "sqrt(sigma_min**2+(sigma_max**2-sigma_min**2)*t**2)",
    "v3": "(sigma_min**(1/rho)+(sigma_max**(1/rho)-sigma_min**(1/rho))*t)**rho",
}
_BASE = "(beta_min**(1/rho)+(beta_max**(1/rho)-beta_min**(1/rho))*t)"
_BETAS = {
    "original": ("beta_min+(beta_max-beta_min)*t", "beta_min*t+(beta_max-beta_min)*t**2/2"),
    "v1": ("(beta_min+beta_max)/2", "(beta_min+beta_max)/2*t"),
    "v2": (
        f"{_BASE}**rho",
        f"({_BASE}**(rho+1)-beta_min**((rho+1)/rho))/((rho+1)*(beta_max**(1/rho)-beta_min**(1/rho)))",
    ),
    "v3": (
        "beta_min*(beta_max/beta_min)**t",
        "beta_min*((beta_max/beta_min)**t-1)/log(beta_max/beta_min)",
    ),
}


def image_claims(
    sigma_min: float = 0.01,
    sigma_max: float = 50.0,
    beta_min: float = 0.1,
    beta_max: float = 20.0,
    rho: float = 2.0,
) -> dict[str, dict[str, Any]]:
    """Section 9's eight image schedules as a public implementation claims them: keyword arguments of
    `check_expressions`. The VE ones all claim g = std·√(2 log(sigma_max/sigma_min)), which is right for
    ``original`` and wrong for v1, v2, v3."""
    sigma = {"sigma_min": sigma_min, "sigma_max": sigma_max}
    beta = {"beta_min": beta_min, "beta_max": beta_max}
    claims: dict[str, dict[str, Any]] = {}
    for form, (rate, integral) in _BETAS.items():
        claims[f"image-vp-{form}"] = {
            "f": f"({rate})/2",
            "g": f"sqrt({rate})",
            "mean_factor": f"exp(-({integral})/2)",
            "marginal_std": f"sqrt(-expm1(-({integral})))",
            "parameters": beta | ({"rho": rho} if form == "v2" else {}),
            "start": "standard",
        }
    for form, std in _STDS.items():
        claims[f"image-ve-{form}"] = {
            "f": "0",
            "g": f"({std})*sqrt(2*log(sigma_max/sigma_min))",
            "marginal_std": std,
            "parameters": sigma | ({"rho": rho} if form == "v3" else {}),
        }
    return claims
