"""What a process is held to when it is made and where it is used: f and g at every time, closed forms by quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from wbound.calculus.quadrature import integrate
from wbound.errors import BadInput
from wbound.typing import Array

__all__ = ["check_domain", "check_identities", "first_negative", "refuse"]


#: Where f and g are looked at, in units of T.
_LOOKED = np.concatenate((np.geomspace(1e-9, 1.0, 40), np.linspace(0.0, 1.0, 101)[1:]))


def check_domain(process: Any, T: float) -> None:
    """Refuse a process whose f or g is negative, infinite or both zero on (0, T]: `BadInput`."""
    if process._pole <= T:
        raise BadInput(
            "T",
            T,
            f"must be below {process._pole:.12g}, where process {process.name} ends (lam, f or g is infinite "
            "there, or f or g no number >= 0)",
        )
    t = T * _LOOKED
    if process._turn <= T:
        beyond = process._turn * (1.0 + np.array([1e-12, 1e-9, 1e-6, 1e-3]))
        t = np.concatenate((t, beyond[beyond <= T]))
    with np.errstate(all="ignore"):  # what is not finite is refused just below
        values = {"f": process.f(t), "g": process.g(t)}
    for option, v in values.items():
        if not (v.min() >= 0.0 and v.max() < math.inf):
            wrong = ~np.isfinite(v) | (v < 0)
            refuse(option, getattr(process, "_" + option), v, t, wrong)
    if not (values["g"] > 0).any():
        raise BadInput("g", str(process._g), "must not vanish on all of (0, T]: lam(T) > 0 is required")


def check_identities(process: Any) -> None:
    """The closed form against quadrature (section 0's identities, integrated), at a few steps."""
    end = min(1.0, 0.5 * process.t_max)
    lo, hi = end * np.array([0.0, 0.03, 0.5]), end * np.array([0.03, 0.5, 1.0])
    claimed = process._one_integral(lo, hi)
    integrand = (lambda t: process._g_of(t) ** 2) if process.family == "ve" else process._f_of
    value = integrate(integrand, lo, hi, option=f"process {process.name}").value
    if process.family == "general":
        steps = process.steps(lo, hi)
        claimed = np.concatenate((claimed, process.lam(hi) - process.lam(lo)))
        value = np.concatenate((value, steps.Q / process.alpha(lo) ** 2))
    if (~np.isfinite(claimed) & np.isfinite(value)).any():
        raise BadInput(
            "process", repr(process), f"exceeds double precision by t = {end:.3g}: take smaller parameters"
        )
    if process._short is not None:
        short = np.array([process.short_of_one(float(a))[0] for a in process.log_alpha(hi)])
        claimed = np.append(claimed, short * process.alpha(hi) ** 2 + process.sigma2(hi))
        value = np.append(value, np.ones_like(hi))
    # np.allclose's own work is a third of making a process
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        near = (claimed == value) | (np.isfinite(value) & (np.abs(claimed - value) <= 1e-9 * np.abs(value)))
    if not near.all():
        raise BadInput(
            "process", process.name, f"closed form {claimed} differs from the quadrature {value} of f and g"
        )


def first_negative(of_time: tuple[Callable[[Array], Array], ...]) -> float:
    """Where one of these, f and g, first turns negative: ∞ if it is not seen to."""

    def negative(t: Array) -> NDArray[np.bool_]:
        with np.errstate(all="ignore"):  # what is infinite is looked for by `end_of`
            values = [np.asarray(of(t), float) for of in of_time]
        return np.asarray((values[0] < 0.0) | (values[1] < 0.0))

    times = np.concatenate(([1e-9], np.geomspace(1e-3, 1e3, 400)))
    found = np.flatnonzero(negative(times))
    if not found.size or found[0] == 0:
        return math.inf
    lo, hi = times[found[0] - 1], times[found[0]]
    for _ in range(60):
        mid = 0.5 * (lo + hi)
        lo, hi = (lo, mid) if negative(np.array([mid]))[0] else (mid, hi)
    return float(lo)


def refuse(option: str, expr: sp.Expr, values: Array, times: Array, wrong: NDArray[np.bool_]) -> None:
    """`BadInput` at the first of the times at which f or g is not what section 0 asks for."""
    v, t, bad = (np.ravel(x) for x in np.broadcast_arrays(values, times, wrong))
    k = int(np.flatnonzero(bad)[0])
    raise BadInput(
        option, str(expr), f"is {v[k]:g} at t = {t[k]:.6g}: must be finite and >= 0 on (0, T] (section 0)"
    )
