"""Bound, exact value and lower bound along K, T or d: the numbers behind the figures and the report."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from numerics.schedules.candidates import seen_as
from numerics.studies.slopes import geometric, slope, spaced
from wbound.complexity.least_steps import iterations
from wbound.data.curvature import Curvature
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave, gaussian_data
from wbound.errors import BadInput, HypothesisFailed, Unreachable, count, one_of, positive
from wbound.exact.floor import PROPOSITION_1
from wbound.exact.gaussian_law import exact_w2, from_starts
from wbound.exact.random_midpoint import law_of_random_midpoint
from wbound.extras import needing
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import EM, scheme_named
from wbound.statement.statement_object import Bound, Statement
from wbound.theory.statements import upper_bound
from wbound.typing import Array

if TYPE_CHECKING:
    import pandas

__all__ = [
    "AXES",
    "Counter",
    "Curve",
    "Line",
    "Watch",
    "bound_curve",
    "exact_curve",
    "geometric",
    "horizon",
    "slope",
    "spaced",
    "tail_slope",
    "unwatched",
]

#: Is told how many points are done, of how many, and the last one: its line, where it is, its value.
Watch = Callable[[int, int, dict[str, Any]], None]

#: What a curve can run along, with its unit.
AXES = {
    "K": "steps K",
    "T": "forward time T",
    "d": "dimension d",
    "M": "score error M, 1/x",
    "eps": "ε (W2), units of the data, smaller to the right",
}
#: λ(T) in units of the data's variance per coordinate, where a curve is not given a T.
FAR = 1e3


@dataclass(frozen=True)
class Line:
    """One curve: ``values`` (N,), nan where its statement does not apply; ``start`` (N,) the part of each
    value that the start makes; ``reason`` the first refusal; ``slope`` the fitted power of the axis. A line
    of samples has ``low`` and ``high`` (N,): W2 lies between them at a stated level, its values are the
    plug-in."""

    key: str
    label: str
    values: Array
    start: Array
    slope: float | None = None
    reason: str = ""
    low: Array | None = None
    high: Array | None = None


@dataclass(frozen=True)
class Curve:
    """Lines over one axis, of one process and scheme; W2, never squared, in x."""

    process: Process
    axis: str
    at: Array
    lines: tuple[Line, ...]
    facts: dict[str, Any]
    #: statements that do not apply, at some values or at all: key → the first refusal
    refusals: dict[str, str]

    def line(self, key: str) -> Line | None:
        """The line called so, if it is there."""
        return next((line for line in self.lines if line.key == key), None)

    def to_frame(self) -> pandas.DataFrame:
        """The numbers as a pandas table, over the axis."""
        with needing("data"):
            import pandas as pd

        return pd.DataFrame(self.columns()).set_index(self.axis)

    def columns(self) -> dict[str, Array]:
        """The numbers as columns, the axis first."""
        out = {self.axis: self.at}
        for line in self.lines:
            ends = {"low": line.low, "high": line.high}
            out[line.key] = line.values
            out |= {f"{line.key}_{end}": values for end, values in ends.items() if values is not None}
        return out


def horizon(process: Process, data: Curvature, far: float = FAR) -> float:
    """T with λ(T) = ``far`` × the data's variance per coordinate: the start is then far away."""
    mean2 = (data.mean_norm or 0.0) ** 2
    scale = max(data.second_moment - mean2, 0.0) / data.d or data.second_moment / data.d
    return float(process.time_of(math.log(far * scale))[()])


# ---------------------------------------------------------------------- bound against exact


def unwatched(done: int, total: int, row: dict[str, Any]) -> None:
    """Nobody looks."""


class Counter:
    """Tells a `Watch` of every point, and of the share of the work that is done; work: of each point, in their order."""

    def __init__(self, watch: Watch, work: Sequence[float]) -> None:
        self.watch, self.total, self.done = watch, len(work), 0
        self.shares = np.cumsum(work) / max(sum(work), np.finfo(float).tiny)

    def __call__(self, line: str, at: float, value: float) -> None:
        row = {"line": line, "at": at, "value": value, "share": float(self.shares[self.done])}
        self.done += 1
        self.watch(self.done, self.total, row)


#: Milliseconds of a point of each line, and more of them for each step: which of them is dear, no promise.
WORK = {"theorem_1": (2.0, 6e-4), "samples": (50.0, 1e-2), "lower": (0.3, 0.0)}


def work_of(key: str, axis: str, values: Sequence[float] | Array, K: int | None) -> list[float]:
    """The work of one line's points, relative to other lines'."""
    once, each = WORK.get(key, (1.0, 1.2e-4))
    return [once + each * (x if axis == "K" else K or 0) for x in values]


class _Point(NamedTuple):
    value: float
    start: float


def _upper(statement: Statement, s: Setting) -> _Point:
    b: Bound = statement(s)
    return _Point(b.total, b.initialisation)


def _exact(s: Setting) -> _Point:
    here, from_p_T = _w2(s)
    return _Point(here, here - from_p_T)


def _between(s: Setting, end: str) -> _Point:
    """An end of what is known of W2 where the levels are drawn: "low" or "high"."""
    here, from_p_T = (float(getattr(law_of_random_midpoint(x), end)) for x in (s, replace(s, start="exact")))
    return _Point(here, here - from_p_T)


def _w2(s: Setting) -> tuple[float, float]:
    """W2 without noise, from the setting's start and from p_T: of Gaussian data by the exact law, of a product target by
    quadrature on the line."""
    if hasattr(s.data, "factors") and not isinstance(s.data, Gaussian):
        from numerics.laws.sde_on_line import law1d  # quadrature, which Gaussian data never need

        return law1d(s).w2, law1d(replace(s, start="exact")).w2
    here, from_p_T = from_starts(s, (s.start, "exact"))
    return here, from_p_T


def _lower(s: Setting) -> _Point:
    # of the exact start, which is what Proposition 1 is about
    return _Point(float(PROPOSITION_1(replace(s, start="exact", score_noise=0.0))), 0.0)


def _collect(
    key: str, label: str, at: Array, point: Callable[[float], _Point], axis: str, tell: Counter
) -> Line:
    values, starts, reason = np.full(at.size, np.nan), np.full(at.size, np.nan), ""
    for i, x in enumerate(at):
        try:
            values[i], starts[i] = point(float(x))
        except HypothesisFailed as failed:
            reason = reason or str(failed)
        tell(key, float(x), float(values[i]))
    values[np.isinf(values)] = np.nan
    power = slope(at, values, starts) if axis == "K" else None
    return Line(key, label, values, starts, power, reason)


def _resized(data: Any, d: int) -> Any:
    """The same facts per coordinate in dimension d."""
    share = d / data.d
    if isinstance(data, LogConcave):
        mean = None if data.mean_norm is None else data.mean_norm * math.sqrt(share)
        return LogConcave(d, data.m0, data.L0, data.second_moment * share, mean)
    if hasattr(data, "resized"):
        return data.resized(d)
    raise BadInput("data", type(data).__name__, "a curve over d needs facts per coordinate (LogConcave)")


def bound_curve(
    process: Process,
    data: Curvature,
    at: ArrayLike,
    *,
    axis: str = "K",
    T: float | None = None,
    K: int | None = None,
    scheme: str = "em",
    start: str = "prior",
    M1: float | str | None = None,
    score_bias: float = 0.0,
    n: int = 0,
    seed: int = 0,
    watch: Watch = unwatched,
) -> Curve:
    """Theorem 1, Theorem 2, the exact W2, samples and the lower bound along ``axis``; fitted slopes in K.

    ``at``: values of K, T, d or M (the score's bias); ``T`` (default: `horizon`), ``K`` and ``score_bias``
    are held where they are not the axis. Theorem 1 is of em, whatever the scheme; the lower bound (Eq. 11) is
    of hf from the exact start with the exact score. The exact W2 is known for Gaussian data and product
    targets, with an unbiased score; where the levels are drawn (`RANDOM_TIMES`) two lines that W2 lies between stand in
    its place, on centred Gaussian data, and there is no bound. ``n`` > 0: the bracket of n samples at level 0.99, for
    data that are a target (or Gaussian), all from one ``seed``. A statement that does not apply leaves nan, and its line
    says why. ``M1``: A2's constant, "exact" for data that know it; None leaves Theorem 1 out. ``watch`` is told
    of every point. Kinds: *upper*, *upper*, *exact*, a confidence statement, *lower*.
    """
    one_of("axis", axis, [name for name in AXES if name != "eps"])  # K(ε): `numerics.studies.steps_needed`
    values = np.atleast_1d(np.asarray(at, float))
    if axis != "T" and T is None:
        T = horizon(process, data)
    if axis != "K":
        K = count("K", K)

    def make(x: float, scheme: str, M1: Any = None) -> Setting:
        facts = _resized(data, count("d", x)) if axis == "d" else data
        time = positive("T", x) if axis == "T" else T
        steps = count("K", x) if axis == "K" else K
        constant = M1
        if M1 == "exact":
            constant = _a2(process, facts, float(time or 0.0))
        bias = x if axis == "M" else score_bias
        return setting(process, facts, time, steps, scheme=scheme, start=start, score_bias=bias, M1=constant)

    wanted: list[tuple[str, str, Callable[[float], _Point]]] = []
    if M1 is not None:
        first = upper_bound("published", "em")
        key = first.id.replace("-", "_")
        wanted.append((key, f"{first.name} (em)", lambda x: _upper(first, make(x, "em", M1))))
    if scheme_named(
        scheme
    ).random:  # no bound is proved, and the exact law is a mixture: W2 lies between two numbers
        wanted.append(("at_least", f"W2 at least ({scheme})", lambda x: _between(make(x, scheme), "low")))
        wanted.append(("at_most", f"W2 at most ({scheme})", lambda x: _between(make(x, scheme), "high")))
    else:
        sharp = upper_bound("sharp", scheme, data)
        label = sharp.name if data.A1 is not None or scheme_named(scheme).flow else f"{sharp.name}'"
        wanted.append(
            (sharp.id.replace("-", "_"), f"{label} ({scheme})", lambda x: _upper(sharp, make(x, scheme)))
        )
        wanted.append(("exact", f"exact ({scheme})", lambda x: _exact(make(x, scheme))))
    if scheme_named(scheme) != EM and (seen_as(scheme, process) or scheme) != seen_as(EM.name, process):
        wanted.append(("exact_em", "exact (em)", lambda x: _exact(make(x, "em"))))
    if not score_bias and axis != "M":  # a biased sampler may be below the floor of the exact score
        wanted.append(("lower", "lower bound (hf)", lambda x: _lower(make(x, "hf"))))
    keys = [key for key, _, _ in wanted] + ["samples"] * bool(n)
    tell = Counter(watch, [one for key in keys for one in work_of(key, axis, values, K)])
    lines = [_collect(key, label, values, point, axis, tell) for key, label, point in wanted]
    if n:
        found = []
        for x in values:
            from numerics.verification.verdict import bracket  # samplers: compiled, and not in the base

            found.append(bracket(make(float(x), scheme), n, seed=seed))
            tell("samples", float(x), found[-1].w2)
        plug_in, low, high = np.array([(one.w2, one.low, one.high) for one in found]).T
        level = f"{100.0 * found[0].level:g} %"
        label = f"samples, {level} ({scheme})"
        lines.append(Line("samples", label, plug_in, np.zeros(values.size), low=low, high=high))
    facts = facts_of(process, data, scheme, start) | {
        "T": T,
        "K": K,
        "score_bias": None if axis == "M" else score_bias,
        "n": n,
        "seed": seed if n else None,
        "trivial": math.sqrt(data.second_moment),
    }
    return Curve(
        process, axis, values, shown(lines), facts, {line.key: line.reason for line in lines if line.reason}
    )


def shown(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The theorems' lines, and the others that have a value."""
    return tuple(line for line in lines if np.isfinite(line.values).any() or line.key.startswith("theorem"))


def facts_of(process: Process, data: Any, scheme: str, start: str) -> dict[str, Any]:
    """What holds all along a curve."""
    known = {"process": process.name, "parameters": process.parameters, "data": in_words(data)}
    return known | {"scheme": scheme, "start": start, "d": data.d, "second_moment": data.second_moment}


def in_words(data: Any) -> str:
    """The law or the facts of data, short enough for a title."""
    if isinstance(data, LogConcave):
        mean = (
            ""
            if data.mean_norm is None
            else f", |E X_0| = {data.mean_norm:g}"
            if data.mean_norm
            else ", centred"
        )
        if data.m0 != data.L0:
            return f"m_0 = {data.m0:g}, L_0 = {data.L0:g}{mean}"
        return f"N({'0' if data.mean_norm == 0.0 else 'μ'}, {1.0 / data.m0:g} I)"
    if isinstance(data, Gaussian):
        return "Gaussian"
    return str(getattr(data, "name", "") or type(data).__name__)


class Tail(NamedTuple):
    """The power of K of Theorem 1's discretisation part between two K far out."""

    slope: float
    K_low: int
    K_high: int


def tail_slope(process: Process, data: Any, T: float) -> Tail | None:
    """How Theorem 1's discretisation part falls where it is 30 % and 3 % of the start's, which is far beyond
    what can be summed for some processes (`wbound.iterations` counts there). Gaussian data."""
    m0, _ = data.A1
    limit = math.sqrt(data.second_moment) / (1.0 + m0 * float(process.lam(T)))
    found = []
    for share in (0.3, 0.03):
        try:
            found.append(
                iterations(process, data, limit * (1.0 + share), theorem="published", M1="exact", T=T)
            )
        except (Unreachable, HypothesisFailed):
            return None
    low, high = found
    power = math.log(high.discretisation / low.discretisation) / math.log(high.K / low.K)
    return Tail(power, low.K, high.K)


_KNOWN: dict[tuple[Any, ...], float] = {}


def _a2(process: Process, data: Any, T: float) -> float:
    """A2's constant of Gaussian data or of a target, computed once for each (process, law, T)."""
    target: Any = data
    key: tuple[Any, ...] = (process, data, T)
    if isinstance(data, LogConcave | Gaussian):
        target = gaussian_data(data)
        key = (process, target.mean.tobytes(), target.cov.tobytes(), T)
    if key not in _KNOWN:
        _KNOWN[key] = target.M1(process, T)
    return _KNOWN[key]


def exact_curve(
    process: Process,
    data: Gaussian,
    at: Sequence[int] | Array,
    *,
    scheme: str = "em",
    start: str = "prior",
    far: tuple[float, float] = (1.0, 1e8),
    watch: Watch = unwatched,
) -> Curve:
    """Exact W2 against K on Gaussian data, each K with the best T found: λ(T) between ``far`` times the data's
    variance per coordinate. Singular covariances are taken. Kind: *exact*."""
    values = np.asarray(at, float)
    scale = max(float(data.eigenvalues.mean()), np.finfo(float).tiny)
    best, time = np.empty(values.size), np.empty(values.size)
    ends = (math.log(far[0] * scale), math.log(far[1] * scale))
    tell = Counter(watch, [1.0 + float(K) / 2000.0 for K in values])
    coarse = np.linspace(*ends, 13)
    for i, K in enumerate(values):

        def w2(log_lam: float, T: float | None = None, K: int = int(K)) -> float:
            T = float(process.time_of(log_lam)[()]) if T is None else T
            return exact_w2(process, data, T=T, K=K, scheme=scheme, start=start)

        tried = [w2(float(u), float(T)) for u, T in zip(coarse, process.time_of(coarse), strict=True)]
        j = int(np.argmin(tried))
        between = (float(coarse[max(j - 1, 0)]), float(coarse[min(j + 1, coarse.size - 1)]))
        # more steps want a longer horizon: the next search starts below this best
        found = scipy.optimize.minimize_scalar(w2, bounds=between, method="bounded", options={"xatol": 1e-2})
        at_best = float(found.x) if found.fun < tried[j] else float(coarse[j])
        best[i], time[i] = min(float(found.fun), tried[j]), float(process.time_of(at_best)[()])
        tell(process.name, float(K), float(best[i]))
        coarse = np.clip(at_best + np.array([-0.8, 0.0, 0.8, 1.6, 2.4]), *ends)
    line = Line("exact", f"exact ({scheme})", best, np.zeros(values.size), slope(values, best))
    horizon_line = Line("T", "best T found", time, np.zeros(values.size))
    facts = {
        "process": process.name,
        "parameters": process.parameters,
        "scheme": scheme,
        "start": start,
        "data": "Gaussian of the data's mean and covariance",
        "d": data.d,
    }
    return Curve(process, "K", values, (line, horizon_line), facts, {})
