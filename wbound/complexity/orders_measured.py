"""The powers of K(ε, d) and T(ε, d) as measured from `iterations`, beside the derived ones (section 8).

K is known at any size (beyond 1e10 steps as a formula's value), so that ε goes down to 1e-12 and d up to 1e6. The
powers of logarithms are fixed at their derived values and only the power is fitted: over any range that a computer
reaches, a fit of both would take one for the other. Results are cached in a file, under a key that changes with the
code.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from wbound.calculus.parser import symbol
from wbound.complexity.least_steps import iterations
from wbound.complexity.order_formulas import Orders, derive
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, Unreachable, WboundError
from wbound.forward.forward_process import Process
from wbound.theory.statements import upper_bound

__all__ = [
    "DIMENSIONS",
    "EPSILONS",
    "TOLERANCE",
    "Measured",
    "Point",
    "cache_path",
    "measured_orders",
    "orders",
]

#: ε at d = `D_AT`, and d at ε = `EPS_AT`.
EPSILONS = (1e-4, 1e-8, 1e-12)
DIMENSIONS = (1, 1000, 1_000_000)
D_AT, EPS_AT = 10, 1e-6
#: How far a measured power may lie from the derived one.
TOLERANCE = 0.05
#: A2's constant where Theorem 1 needs one: its terms are of lower order whatever it is.
M1 = 1.0


@dataclass(frozen=True)
class Point:
    """One answer of `iterations`."""

    d: int
    eps: float
    K: float
    T: float


@dataclass(frozen=True)
class Measured:
    """Fitted powers of ε and d in K and T, beside the derived ones at the process's parameters.

    ``derived`` is None where the class is not recognised; then no logarithm is divided out. ``points`` are
    the data of the fits. Kind: *order*.
    """

    theorem: str
    scheme: str
    start: str
    K_eps: float
    K_d: float
    T_eps: float
    T_d: float
    derived: tuple[float, float, float, float] | None
    points: tuple[Point, ...]

    @property
    def powers(self) -> tuple[float, float, float, float]:
        """(K in ε, K in d, T in ε, T in d)."""
        return self.K_eps, self.K_d, self.T_eps, self.T_d

    @property
    def gap(self) -> float | None:
        """The largest distance of a measured power from the derived one."""
        if self.derived is None:
            return None
        return max(abs(a - b) for a, b in zip(self.powers, self.derived, strict=True))

    @property
    def agree(self) -> bool | None:
        """Whether every power lies within `TOLERANCE` of the derived one."""
        return None if self.gap is None else self.gap <= TOLERANCE

    @property
    def text(self) -> str:
        """One line, for people."""
        return f"K ~ d^{self.K_d:.3f} ε^{self.K_eps:.3f}, T ~ d^{self.T_d:.3f} ε^{self.T_eps:.3f}"


def measured_orders(
    process: Process,
    theorem: str = "published",
    start: str = "prior",
    scheme: str = "em",
    *,
    epsilons: Sequence[float] = EPSILONS,
    dimensions: Sequence[int] = DIMENSIONS,
    eps_at: float = EPS_AT,
    cached: bool = True,
) -> Measured:
    """Powers of K and T in ε and d by regression, logarithms fixed at their derived powers. Kind: *order*

    Data: m_0 = L_0 = 1, E|X_0|² = d; start "prior" leaves the mean unknown, "centred" makes it 0 (Eq. 8).
    epsilons (at d = 10) and dimensions (at ε = eps_at): two values or more each. ``cached`` reads and
    writes `cache_path`.
    Raises `Unreachable` where λ stays bounded, and `BadInput`.
    """
    if len(set(epsilons)) < 2 or len(set(dimensions)) < 2:
        raise BadInput(
            "epsilons, dimensions", (list(epsilons), list(dimensions)), "must be two values or more each"
        )
    derived = derive(process, theorem, start, scheme)
    if derived.K is sp.oo:
        raise Unreachable(min(epsilons), math.sqrt(min(dimensions)), "; ".join(derived.notes))
    wanted = [(D_AT, float(e)) for e in epsilons] + [(int(d), float(eps_at)) for d in dimensions]
    key = _key(process, theorem, start, scheme)
    known = _read().get(key, {}) if cached else {}
    points = []
    fresh = {}
    for d, eps in wanted:
        label = f"{d} {eps!r}"
        pair = known.get(label)
        if pair is None:
            found = _solve(process, theorem, start, scheme, d, eps)
            pair = fresh[label] = [float(found.K), float(found.T)]
        points.append(Point(d, eps, *pair))
    if cached and fresh:
        _write(key, fresh)
    along_eps, along_d = points[: len(epsilons)], points[len(epsilons) :]
    fits = {}
    for name in ("K", "T"):
        logs = _logarithms(derived, name, process)
        fits[f"{name}_eps"] = _slope(along_eps, name, "eps", logs)
        fits[f"{name}_d"] = _slope(along_d, name, "d", logs)
    return Measured(theorem, scheme, start, **fits, derived=_expected(derived, process), points=tuple(points))


def orders(
    process: Process,
    theorem: str = "published",
    start: str = "prior",
    scheme: str = "em",
    *,
    measure: bool = True,
) -> Orders:
    """The orders of K, η, M and T in d and ε, from (f, g) alone; measured where not recognised. Kind: *order*

    All of `wbound.complexity.order_formulas.derive`; where the class of λ is not recognised, ``slopes`` holds the powers of
    ε and d in K and T fitted to a few answers of `iterations` (unless ``measure`` is False: it takes as long
    as the process takes to integrate). Raises `BadInput` for unknown names.
    """
    derived = derive(process, theorem, start, scheme)
    if derived.recognised or not measure:
        return derived
    try:
        found = measured_orders(
            process, theorem, start, scheme, epsilons=(1e-1, 1e-2), dimensions=(1, 100), eps_at=0.1
        )
    except WboundError as why:  # the measurement is an extra: say why there is none
        return replace(derived, notes=(*derived.notes, f"not measured: {why}"))
    names = ("K_eps", "K_d", "T_eps", "T_d")
    return replace(derived, slopes=dict(zip(names, found.powers, strict=True)))


def _solve(process: Process, theorem: str, start: str, scheme: str, d: int, eps: float) -> Any:
    data = LogConcave(
        d=d, m0=1.0, L0=1.0, second_moment=float(d), mean_norm=0.0 if start == "centred" else None
    )
    a2 = M1 if upper_bound(theorem, scheme).needs_M1 else None
    return iterations(process, data, eps, scheme=scheme, theorem=theorem, M1=a2)


# ---------------------------------------------------------------------- the fit


def _values(exponents: Sequence[sp.Expr], process: Process) -> list[float]:
    at = {symbol(k): v for k, v in process.parameters.items()}
    return [float(sp.N(e.subs(at))) for e in exponents]


def _logarithms(derived: Orders, name: str, process: Process) -> list[float]:
    """The derived powers of log x, log log x, …; zeros where there are none."""
    return _values(derived.powers[name][1:], process) if derived.powers else []


def _expected(derived: Orders, process: Process) -> tuple[float, float, float, float] | None:
    if not derived.powers or derived.T is None or derived.T.has(sp.exp):
        return None
    k, t = (_values(derived.powers[name][:1], process)[0] for name in ("K", "T"))
    return -k, k / 2, -t, t / 2


def _slope(points: Sequence[Point], name: str, variable: str, logs: Sequence[float]) -> float:
    """The slope of log K (or log T) less its logarithms' share against log ε (or log d)."""
    y = []
    for p in points:
        level, share = math.log(math.sqrt(p.d) / p.eps), 0.0
        for power in logs:
            if power:
                share += power * math.log(level)
            level = math.log(level) if level > 1.0 else math.nan
        y.append(math.log(getattr(p, name)) - share)
    x = np.log([getattr(p, variable) for p in points])
    return float(np.polyfit(x, np.array(y), 1)[0])


# ---------------------------------------------------------------------- the cache


def cache_path() -> Path:
    """Where measured points are kept: ``$XDG_CACHE_HOME/wbound/measured.json``, else under ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (
        (Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache")
        / "wbound"
        / "measured.json"
    )


@cache
def _code() -> str:
    """A fingerprint of the code that the numbers come from."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _key(process: Process, theorem: str, start: str, scheme: str) -> str:
    parts = [_code(), str(process.expr.f), str(process.expr.g), sorted(process.parameters.items())]
    return hashlib.sha256(json.dumps([*parts, theorem, start, scheme]).encode()).hexdigest()[:32]


def _read() -> dict[str, dict[str, list[float]]]:
    """What the cache holds of this code's numbers; empty where it cannot be read or is not what we write."""
    try:
        held = json.loads(cache_path().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(held, dict) or held.get("code") != _code() or not isinstance(held.get("points"), dict):
        return {}
    good: dict[str, dict[str, list[float]]] = {}
    for key, entries in held["points"].items():
        if isinstance(entries, dict):
            good[key] = {k: v for k, v in entries.items() if _is_pair(v)}
    return good


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, float) and math.isfinite(v) and v > 0.0 for v in value)
    )


def _write(key: str, fresh: dict[str, list[float]]) -> None:
    """Adds to the cache, atomically; a cache that cannot be written is no error."""
    held = _read()
    held.setdefault(key, {}).update(fresh)
    path = cache_path()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                json.dump({"code": _code(), "points": held}, out)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
