"""W2/√tr Σ against network calls on Gaussian data of one κ: samplers at their worst spectrum, bounds, and the floor of every
affine sampler (sections 5, 6, 16 and 17).

Theorem 6's floor is about the worst spectrum in [a, κa], and so is each sampler's line here: max |√V/√x − 1| over the class,
which W2/√tr Σ is at most for every spectrum in it. The two bounds are for hf and em on data with the given facts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from scipy.optimize import minimize

from numerics.recorders.scheduler_source import Missing
from wbound.bounds.theorem_6 import affine_floor
from wbound.data.log_concave import LogConcave
from wbound.errors import WboundError
from wbound.exact.clock_law import prior_excess
from wbound.exact.ddim_angles import ddim_floor
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import zolotarev_levels
from wbound.forward.catalogue import process
from wbound.sampler.multistep import multistep_named
from wbound.sampler.scheme import scheme_named
from wbound.theory.statements import upper_bound, w2_bound
from wbound.typing import Array

__all__ = ["CALLS", "KEPT", "as_shipped", "lines_by_calls", "record_shipped", "shipped", "worst_of_class"]

#: Calls of the network on the axis; bounds go on to `BOUND_CALLS`.
CALLS = (1, 2, 3, 5, 7, 10, 14, 20, 50, 100)
BOUND_CALLS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
#: Eigenvalues of the class that are looked at.
POINTS = 121
#: E_K down to which calls are shown one by one.
SMALL = 1e-12
#: The scheduler as its library ships it, where it is run, and the file of what it gave.
SHIPPED, SHIPPED_CALLS, KEPT = (
    "UniPCMultistepScheduler",
    (5, 7, 10, 14, 20, 30, 50, 100),
    "unipc-as-shipped.json",
)


def worst_of_class(variance: Array, x: Array) -> float:
    """max |√V/√x − 1| over eigenvalues x (E,)."""
    return float(np.abs(np.sqrt(variance / x) - 1.0).max())


def _range(kind: str, calls: int, x: Array) -> float:
    """The least worst case over log-uniform grids that a search of their ends finds: hf, heun and dpmpp-2m from N(0, λ(T)I)."""
    scheme = scheme_named(kind)
    K = scheme.steps_of(calls)

    def off(q: Array) -> float:
        top, bottom = 0.5 * math.log(x[-1]) + q[0], 0.5 * math.log(x[0]) + q[1]
        if top - bottom < 0.1 or top > 40.0 or bottom < -40.0:
            return math.inf
        lam = np.append(np.exp(2.0 * np.linspace(top, bottom, K)), 0.0)
        if scheme.memory is not None:
            return worst_of_class(tape_law(multistep_named(kind).tape(lam), x).variance, x)
        return worst_of_class(prior_excess(x, lam, kind) + x, x)

    wide = 0.5 * math.log(x[-1] / x[0])
    mesh = [(u, v) for u in np.linspace(0.3, 5.0, 7) for v in np.linspace(-4.0, 0.8 * wide, 12)]
    first = np.array(min(mesh, key=lambda q: off(np.array(q))))
    found = minimize(off, first, method="Nelder-Mead", options={"maxfev": 50, "xatol": 0.02, "fatol": 1e-9})
    return float(found.fun)


def as_shipped(scale: float, kappa: float, a: float, calls: int) -> float:
    """diffusers' UniPC with the configuration that it is shipped with, recorded, at its worst spectrum in [a, κa] (x²), the
    data divided by ``scale`` (x). Raises `Missing` without the extra diffusers, and what recording raises."""
    from numerics.recorders.diffusers_schedulers import record_scheduler

    x = np.geomspace(a, a * kappa, POINTS) / scale**2
    return worst_of_class(tape_law(record_scheduler(SHIPPED, calls), x).variance, x)


def record_shipped(kappa: float, a: float, scale: float) -> dict[str, Any]:
    """The record of `as_shipped` with versions: what `KEPT` holds."""
    rows = {str(calls): as_shipped(scale, kappa, a, calls) for calls in SHIPPED_CALLS}
    return {
        "scheduler": SHIPPED, "versions": {name: version(name) for name in ("diffusers", "torch")},
        "kappa": kappa, "a": a, "scale": scale, "worst": rows,
    }  # fmt: skip


def shipped(kappa: float, a: float, scale: float) -> dict[str, Any]:
    """`record_shipped`: what was recorded before (of digits) where its versions are the installed ones or none are, since a
    recorder's libraries take seconds to import; else recorded anew."""
    kept = json.loads(resources.files("numerics.studies").joinpath("results", KEPT).read_text("utf-8"))
    same = all(
        math.isclose(kept[k], v, rel_tol=1e-6) for k, v in (("kappa", kappa), ("a", a), ("scale", scale))
    )
    if same and all(_installed(name) in (None, known) for name, known in kept["versions"].items()):
        return dict(kept)
    try:
        return record_shipped(kappa, a, scale)
    except Missing:
        return kept if same else {"worst": {}, "versions": {}, "scheduler": SHIPPED}


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def lines_by_calls(
    data: LogConcave, scale: float, calls: Sequence[int] = CALLS, bounds: Sequence[int] = BOUND_CALLS
) -> dict[str, Any]:
    """Lines of the figure for the class [1/L0, 1/m0] of ``data``: name → (calls, W2/√tr Σ), and ``shipped``'s versions.

    data: m0, L0, d and second moment, centred; scale: what images are divided by for a network (x). Kinds: *upper* (the
    bounds, for these data), *exact* over 121 eigenvalues (samplers), *lower* (``affine``; ``ddim``: Eq. 17's floor
    from the exact start).
    """
    a, kappa = 1.0 / data.L0, data.L0 / data.m0
    x = np.geomspace(a, a * kappa, POINTS)
    size = math.sqrt(data.second_moment)
    lines: dict[str, tuple[list[int], list[float]]] = {}
    for kind in ("hf", "heun", "dpmpp-2m"):
        at = [K for K in calls if K > 2 or (K == 2 and kind != "hf")]
        lines[kind] = (at, [_range(kind, K, x) for K in at])
    at = list(calls)
    lines["ddim"] = (at, [ddim_floor(K, [1.0]) for K in at])
    every = [K for K in range(1, max(calls) + 1) if affine_floor(kappa, K) > SMALL]  # below, doubles
    lines["affine"] = (every, [affine_floor(kappa, K) for K in every])
    phase = [K for K in every if K in calls]
    lines["phase"] = (
        phase,
        [worst_of_class(zolotarev_levels(K, a, a * kappa).gain(x) ** 2, x) for K in phase],
    )
    recorded = shipped(kappa, a, scale)
    lines["unipc"] = ([int(K) for K in recorded["worst"]], list(recorded["worst"].values()))
    for name, theorem, scheme in (("theorem-1", "published", "em"), ("theorem-2", "sharp", "hf")):
        found = {K: _bound(data, K, theorem, scheme) / size for K in bounds}
        kept = {K: v for K, v in found.items() if math.isfinite(v)}
        lines[name] = (list(kept), list(kept.values()))
    return {"lines": lines, "kappa": kappa, "shipped": recorded["versions"]}


def _bound(data: LogConcave, K: int, theorem: str, scheme: str) -> float:
    """The least over T of vp-linear's bound on a uniform grid; infinite where it applies at none."""
    p, best, M1 = process("vp-linear"), math.inf, 0.0 if upper_bound(theorem, scheme).needs_M1 else None
    for T in np.linspace(1.0, 8.0, 29):
        try:
            total = w2_bound(p, data, T=float(T), K=K, scheme=scheme, theorem=theorem, M1=M1).total
        except WboundError:  # it does not apply at this T
            continue
        best = min(best, total)
    return best
