"""The spine's speed, as ratios in one run: bounds and exact law at K = 10⁶ beside one log1p + expm1 pass.

    python benchmarks/spine.py [--json FILE]

The limit is a pass of NumPy's log1p and expm1 over 10⁶ doubles; the peer is a plain loop over steps that
integrates each with scipy.integrate.quad and computes the same bound (timed at K = 500 and scaled).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from scipy.integrate import quad

import wbound
from wbound.data.gaussian import Gaussian
from wbound.exact.gaussian_law import exact_w2

K = 1_000_000
Case = TypeVar("Case", bound=Hashable)


def naive(T: float, steps: int) -> float:
    """Theorem 2 for hf and vp-linear (a = 1, b = 1/2), σ_0² = 2, d = 3, step by step with quad."""
    m0, d = 0.5, 3

    def lam(t: float) -> float:
        inner = lambda s: quad(lambda u: 0.25 + 0.5 * u, 0.0, s)[0]  # noqa: E731
        return quad(lambda s: (0.5 + s) * math.exp(2.0 * inner(s)), 0.0, t)[0]

    total = 0.0
    lam_hi = lam_T = lam(T)
    for k in range(1, steps + 1):
        lo = T * (1.0 - k / steps)
        lam_lo = lam(lo)
        psi = quad(lambda u, a=lam_lo: (u - a) ** 2 * m0**2 / (1.0 + m0 * u) ** 2, lam_lo, lam_hi)[0]
        total += d * psi / (1.0 + m0 * lam_lo) ** 2
        lam_hi = lam_lo
    return math.sqrt(6.0 / (1.0 + m0 * lam_T) ** 2 + total)


@cache
def profile() -> wbound.CurvatureProfile:
    """A profile as anybody types it, of a mixture."""
    return wbound.CurvatureProfile("(1-1/(0.25+lam))/(0.25+lam)", "1/(0.25+lam)", 3, 1.75)


#: No bound and no exact law may hold more, in bytes.
MEMORY = 200e6


def memory(steps: int) -> dict[str, float]:
    """The largest that is held, in bytes, by bounds and exact laws of so many steps."""
    p, data = wbound.process("vp-linear"), wbound.LogConcave(3, 0.5, 2.0, 4.0)
    gauss = Gaussian(np.zeros(3), 2.0)

    def bound(data: Any, steps: int, **options: Any) -> object:
        return wbound.w2_bound(p, data, 4.0, steps, **options)

    cases: dict[str, Callable[[int], object]] = {
        "Theorem 1, em": lambda K: bound(data, K, theorem="published", M1=1.0),
        "Theorem 2, em": lambda K: bound(data, K, scheme="em"),
        "Theorem 2, em, grid edm": lambda K: bound(data, K, scheme="em", grid="edm"),
        "Eq. 9', ddpm": lambda K: bound(data, K, scheme="ddpm"),
        "Theorem 3, ddim": lambda K: bound(data, K, scheme="ddim"),
        "Theorem 3', ddim, a profile": lambda K: bound(profile(), K, scheme="ddim"),
        "Theorem 7, heun-lambda": lambda K: bound(data, K, scheme="heun-lambda"),
        "Theorem 7, heun, grid optimal": lambda K: bound(data, K, scheme="heun", grid="optimal"),
        "exact law, heun-lambda, grid log-lam": lambda K: exact_w2(
            p, gauss, 4.0, K, scheme="heun-lambda", grid="log-lam"
        ),
        "exact law, em, grid log-lam": lambda K: exact_w2(p, gauss, 4.0, K, scheme="em", grid="log-lam"),
    }
    held = {}
    for name, case in cases.items():
        case(40_000)
        tracemalloc.start()
        case(steps)
        held[name] = float(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return held


def rounds(cases: dict[Case, Callable[[], object]], repeat: int) -> dict[Case, list[float]]:
    """Seconds of each case, interleaved so that a slow spell of the machine meets them all."""
    for case in cases.values():
        case()
    times: dict[Case, list[float]] = {name: [] for name in cases}
    for _ in range(repeat):
        for name, case in cases.items():
            begin = time.perf_counter()
            case()
            times[name].append(time.perf_counter() - begin)
    return times


#: What is asked of each case, in units of one log1p + expm1 pass.
LIMITS = {
    "w2_bound hf, sharp": 12.0,
    "w2_bound hf, score error": 36.0,
    "w2_bound em, sharp": 15.0,
    "w2_bound em, a profile": 40.0,
    "w2_bound ode-hf, a profile": 40.0,
    "exact_w2 hf, isotropic": 12.0,
    "exact_w2 em, isotropic": 12.0,
}
#: Budgets in seconds.
CALL, TABLE = 0.05, 10.0


def iterations(repeat: int) -> dict[str, list[float]]:
    """Seconds a call, medians, of each scheme (and of Theorem 1 with A2's constant computed) over the eight
    processes at ε = 0.1, 1e-3 and 1e-8, on N(0, I) in ten dimensions."""
    data = Gaussian(np.zeros(10), 1.0)
    kinds: dict[str, dict[str, Any]] = {scheme: {"scheme": scheme} for scheme in ("em", "ei", "hf", "ddpm")}
    kinds["Theorem 1"] = {"theorem": "published", "M1": "exact"}
    processes = [wbound.process(name) for name in wbound.PUBLISHED]
    calls = {
        (kind, p.name, eps): lambda p=p, eps=eps, options=options: wbound.iterations(p, data, eps, **options)
        for kind, options in kinds.items()
        for p in processes
        for eps in (1e-1, 1e-3, 1e-8)
    }
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for (kind, _, _), seconds in rounds(calls, repeat).items():
        found[kind].append(statistics.median(seconds))
    return found


def measure(repeat: int = 9) -> list[dict[str, Any]]:
    """Rows of case, seconds (median), ratio to the pass, and the ratio that is asked for, if one is."""
    x = np.random.default_rng(0).random(K)
    p = wbound.process("vp-linear")
    data, gauss = wbound.LogConcave(3, 0.5, 0.5, 6.0), Gaussian(np.zeros(3), 2.0)
    times = rounds(
        {
            "log1p + expm1 pass": lambda: (np.log1p(x), np.expm1(x)),
            "w2_bound hf, sharp": lambda: wbound.w2_bound(p, data, 4.0, K, scheme="hf"),
            "w2_bound hf, score error": lambda: wbound.w2_bound(p, data, 4.0, K, scheme="hf", score_bias=0.1),
            "w2_bound em, sharp": lambda: wbound.w2_bound(p, data, 4.0, K, scheme="em"),
            "w2_bound em, a profile": lambda: wbound.w2_bound(p, profile(), 4.0, K, scheme="em"),
            "w2_bound ode-hf, a profile": lambda: wbound.w2_bound(p, profile(), 4.0, K, scheme="ode-hf"),
            "exact_w2 hf, isotropic": lambda: exact_w2(p, gauss, 4.0, K, scheme="hf"),
            "exact_w2 em, isotropic": lambda: exact_w2(p, gauss, 4.0, K, scheme="em"),
        },
        repeat,
    )
    passes = times["log1p + expm1 pass"]
    unit = statistics.median(passes)
    results = []
    for name, seconds in times.items():
        # the pass of the same round: a slow spell meets both
        ratio = statistics.median(a / b for a, b in zip(seconds, passes, strict=True))
        results.append(_row(name, statistics.median(seconds), ratio, LIMITS.get(name)))
    begin = time.perf_counter()
    value = naive(4.0, 500)
    peer = (time.perf_counter() - begin) * K / 500
    ours = wbound.w2_bound(p, data, 4.0, 500, scheme="hf").total
    assert abs(value / ours - 1.0) < 1e-6, (value, ours)
    results.append(_row("plain loop over quad, scaled", peer, peer / unit, None))
    results += [
        _row(f"iterations {kind}, slowest of {len(found)}", max(found), max(found) / unit, CALL / unit)
        for kind, found in iterations(max(repeat // 2, 3)).items()
    ]
    begin = time.perf_counter()
    wbound.complexity_table()
    table = time.perf_counter() - begin
    results.append(_row("complexity_table", table, table / unit, TABLE / unit))
    return results


def _row(case: str, seconds: float, ratio: float, limit: float | None) -> dict[str, Any]:
    return {"case": case, "seconds": seconds, "ratio": ratio, "limit": limit}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the results there too")
    parser.add_argument("--repeat", type=int, default=9)
    options = parser.parse_args()
    results = measure(options.repeat)
    for r in results:
        limit = "" if r["limit"] is None else f"  limit {r['limit']:.0f}"
        sys.stdout.write(f"{r['case']:34s} {r['seconds'] * 1e3:12.2f} ms  ratio {r['ratio']:10.1f}{limit}\n")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
