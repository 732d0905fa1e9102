"""Steps needed for an accuracy: K(ε) of the bounds, of the exact law and of the floor along ε."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numerics.studies.curves import Counter, Curve, Line, Watch, facts_of, shown, slope, unwatched
from wbound.complexity.least_steps import Iterations, exact_iterations, iterations
from wbound.data.log_concave import LogConcave, gaussian_data
from wbound.errors import HypothesisFailed, Unreachable, positive
from wbound.exact.floor import LowerBound, lower_bound
from wbound.forward.forward_process import Process
from wbound.theory.statements import upper_bound

__all__ = ["steps_curve"]

#: The work of a point of each line beside the sharp theorem's, as a guess for those who wait.
WORK = {"theorem_1": 4.0, "exact": 2.0, "lower": 2.0}


def steps_curve(
    process: Process,
    data: LogConcave,
    at: ArrayLike,
    *,
    T: float | None = None,
    scheme: str = "em",
    start: str = "prior",
    M1: float | str | None = None,
    score_bias: float = 0.0,
    watch: Watch = unwatched,
) -> Curve:
    """The smallest K with W2 ≤ ε by Theorem 1, by the sharp theorem, by the exact law, and at least, along ε.

    at: values of ε in x (W2, not squared), sorted from the largest; T: forward time, else the best for every
    point; M1: A2's constant, "exact" for Gaussian data, None leaves Theorem 1 out (it is of em, whatever the
    scheme). The exact law's K is for Gaussian data with an exact score; the floor (Eq. 12) for hf from p_T on
    such data, at the best T found for hf. A line's slope is the power of ε that the last decade fits; facts["T"] has each
    point's T. Unreachable points are nan, and the line says why. Kinds: *upper*, *upper*, *exact*, *lower*.
    """
    eps = np.sort([positive("eps", float(e)) for e in np.atleast_1d(np.asarray(at, float))])[::-1]
    target: Any = gaussian_data(data) if data.m0 == data.L0 else data
    sharp = upper_bound("sharp", scheme)

    def bound(theorem: str, scheme: str) -> Callable[[float], Iterations]:
        a2 = M1 if upper_bound(theorem, scheme).needs_M1 else None
        known = target if a2 == "exact" else data
        return lambda e: iterations(
            process, known, e, scheme=scheme, theorem=theorem, start=start, score_bias=score_bias, M1=a2, T=T
        )

    wanted: list[tuple[str, str, Callable[[float], Any]]] = []
    if M1 is not None:
        wanted.append(("theorem_1", "Theorem 1 (em)", bound("published", "em")))
    wanted.append((sharp.id.replace("-", "_"), f"{sharp.name} ({scheme})", bound("sharp", scheme)))
    refusals: dict[str, str] = {}
    if score_bias:
        refusals["exact"] = f"a score with bias {score_bias:g} has no one law"
    elif target is data:
        refusals["exact"] = "known for Gaussian data (m0 = L0) only"
    else:
        wanted.append(
            ("exact", f"exact ({scheme})", lambda e: exact_iterations(process, target, e, scheme=scheme, T=T))
        )
        sigma0 = 1.0 / math.sqrt(data.m0)

        def floor(e: float) -> LowerBound:
            """Of the exact start at the T that is best for hf: a nearer start has less to do."""
            time = T if T is not None else exact_iterations(process, target, e, scheme="hf").T
            return lower_bound(data.d, sigma0, e, float(process.lam(time)))

        wanted.append(("lower", "lower bound (hf)", floor))
    lines, times = [], {}
    tell = Counter(watch, [WORK.get(key, 1.0) for key, _, _ in wanted for _ in eps])
    for key, label, needed in wanted:
        K, time, reason = np.full(eps.size, np.nan), np.full(eps.size, np.nan), ""
        for i, e in enumerate(eps):
            try:
                answer = needed(float(e))
            except (Unreachable, HypothesisFailed) as failed:
                reason = reason or str(failed)
                tell(key, float(e), math.nan)
                continue
            K[i], time[i] = float(getattr(answer, "steps", answer.K)), float(getattr(answer, "T", math.nan))
            tell(key, float(e), float(K[i]))
        power = slope(1.0 / eps, K)
        lines.append(Line(key, label, K, np.zeros(eps.size), None if power is None else -power, reason))
        if key != "lower":
            times[key] = time
        if reason:
            refusals[key] = reason
    facts = facts_of(process, data, scheme, start) | {"score_bias": score_bias, "T": times}
    return Curve(process, "eps", eps, shown(lines), facts, refusals)
