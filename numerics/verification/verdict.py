"""A bound beside its referee and beside samples: does it hold, is it refuted, or is that undecided?

Evidence has an order: the exact Gaussian law, quadrature on the line, samples. Samples decide only where no
referee without noise exists, or where they do not have the law that the referee computes; but nothing "holds"
against a bracket of the same run.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from numerics.io.reading import finite_array
from numerics.laws.sde_on_line import LineLaw, law1d, normal_law
from numerics.samplers.sampling import coupled, sample
from numerics.samplers.sampling import samples as draw
from numerics.targets import products
from numerics.transport import samples as transport
from numerics.verification.law_test import Agreement, agreement
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import gaussian_data
from wbound.errors import BadInput, HypothesisFailed, IOFailure, count, one_of, real
from wbound.exact.gaussian_law import EXACT_LAW, alone, exact_w2
from wbound.exact.law_of_tape import tape_law
from wbound.forward.forward_process import Process
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.multistep import Multistep
from wbound.sampler.scheme import Scheme
from wbound.sampler.tape import Tape
from wbound.statement.statement_object import Bound
from wbound.theory.statements import THEOREMS, upper_bound
from wbound.typing import Array

__all__ = [
    "EVIDENCE",
    "HOLDS",
    "REFUTED",
    "UNDECIDED",
    "Followed",
    "Referee",
    "Verdict",
    "as_target",
    "bracket",
    "contradicted",
    "follow",
    "followed",
    "judged",
    "needed_M1",
    "referee",
    "verify",
]


HOLDS, REFUTED, UNDECIDED = "holds", "refuted", "undecided"
#: The kinds of evidence, the strongest first.
EVIDENCE = ("exact law", "quadrature", "samples")
#: Totals are compared at this (relative) in exact arithmetic that was rounded.
ROUNDING = 1e-10
#: Points of the bracket where none are asked for: exact transport in d > 1 takes O(n³).
BRACKET, BRACKET_ON_LINE = 1000, 100_000
#: Points below which the bracket's confidence would be a fiction (see `transport.empirical_w2`).
LEAST = 16
#: Rows of the test against the referee's law.
ROWS = 20_000
_PROCESS = "must be wbound.process(name, …) or wbound.Process(f=…, g=…)"


@dataclass(frozen=True)
class Referee:
    """A value of W2 (x, not squared) without sampling noise: its ``evidence``, its ``error`` (x), and the law
    of the output along each factor of the target."""

    evidence: str
    w2: float
    error: float
    laws: tuple[LineLaw, ...]


@dataclass(frozen=True)
class Verdict:
    """What is known about one bound in one setting. W2 in x, never squared.

    ``verdict``: "holds", "refuted" or "undecided", decided by ``evidence`` (one of `EVIDENCE`; "none"
    without any), and ``reason`` in words. ``exact`` and ``error``: the referee's value and its error, None
    without one. ``empirical``: the bracket low ≤ W2 ≤ high of the samples at ``level``; ``coupling``: an
    upper limit of W2 from coupled exact paths, at the same level. ``ratio``: bound/exact, or bound over the
    upper limit without a referee and where the samples do not have its law. ``agreement``: the samples against the referee's law;
    ``consistent`` is False where they do not have it (then the sampler that ran is not the setting's), or
    where their bracket lies above a bound that the referee does not refute.
    """

    process: str
    parameters: dict[str, float]
    target: str
    d: int
    scheme: str
    start: str
    T: float
    K: int
    score_bias: float
    score_noise: float
    theorem: str
    bound: Bound
    M1: float | None
    exact: float | None
    error: float | None
    empirical: transport.EmpiricalW2 | None
    coupling: float | None
    ratio: float | None
    verdict: str
    evidence: str
    level: float
    reason: str
    agreement: Agreement | None

    @property
    def consistent(self) -> bool:
        """Whether samples and referee agree (True where only one of them is there)."""
        if self.agreement is not None and not self.agreement.holds:
            return False
        low = None if self.empirical is None else self.empirical.low
        return not contradicted(self.bound.total, self.exact, self.error, low)

    def to_dict(self) -> dict[str, Any]:
        """The fields, nested ones as dictionaries, with ``vacuous`` and ``consistent``."""
        out = asdict(self) | {"consistent": self.consistent}
        out["bound"] |= {"vacuous": self.bound.vacuous}
        return out


@overload
def verify(
    process: Process | None,
    target: Any,
    T: float | None = None,
    K: int | None = None,
    *,
    scheme: Tape,
    n: int | None = None,
    seed: int = 0,
    start: str | None = None,
    samples: ArrayLike | None = None,
    level: float = 0.99,
) -> Followed: ...


@overload
def verify(
    process: Process | None,
    target: Any,
    T: float | None = None,
    K: int | None = None,
    *,
    scheme: str | Scheme | Multistep = "em",
    theorem: str = "sharp",
    n: int | None = None,
    seed: int = 0,
    start: str | None = None,
    grid: str | Grid = "uniform",
    score_bias: float = 0.0,
    score_noise: float = 0.0,
    M1: float | str | None = "exact",
    bias: str | ArrayLike = "constant",
    samples: ArrayLike | None = None,
    level: float = 0.99,
) -> Verdict: ...


def verify(
    process: Process | None,
    target: Any,
    T: float | None = None,
    K: int | None = None,
    *,
    scheme: str | Scheme | Multistep | Tape = "em",
    theorem: str | None = None,
    n: int | None = None,
    seed: int = 0,
    start: str | None = None,
    grid: str | Grid = "uniform",
    score_bias: float = 0.0,
    score_noise: float = 0.0,
    M1: float | str | None = "exact",
    bias: str | ArrayLike = "constant",
    samples: ArrayLike | None = None,
    level: float = 0.99,
) -> Verdict | Followed:
    """Put a bound beside what is known of the sampler's W2, and say whether it holds; of a tape, which has no bound,
    whether its outputs have its exact law (`follow`).

    Evidence, the strongest first:

    1. *exact law* (Gaussian data, no score bias): holds if bound ≥ W2 (to 1e-10), else refuted;
    2. *quadrature* (product targets, no score bias), W2 ± error: holds if bound ≥ W2 + error, refuted if
       bound < W2 − error, undecided in between; undecided too, in 1 and 2, where it would hold and a bracket
       of the samples has .low > bound: then they contradict each other (`Verdict.consistent` is False);
    3. *samples*, where there is no referee, or where they do not have its law: refuted if .low > bound, holds
       if .high ≤ bound, both at ``level``; else undecided. For Gaussian data with a score bias the L2
       distance to the coupled exact paths is a second upper limit.

    The plug-in W2 decides nothing: it is biased upward. Samples are compared with the referee's law too, its
    factors and their independence (`numerics.verification.law_test`).

    process, T, K, scheme, start, grid, score_bias M, score_noise V: as in `wbound.w2_bound`; theorem: "sharp" (the default)
    or "published" (which takes M1: a number, or "exact" for a target that knows or bounds it). n: points of
    the bracket, 0 for no samples, default 1,000 (100,000 on the line); bias: the direction of score_bias,
    "constant", a vector, or "worst" (Gaussian). samples: (rows, d) of your own sampler in this setting,
    in place of ours: the first n rows go into the bracket, all of them into the comparison of laws.

    Raises `HypothesisFailed` where the theorem does not apply (a target outside A1 gets no bound), and
    `BadInput`.
    """
    if isinstance(scheme, Tape):
        if theorem is not None:
            name = THEOREMS[one_of("theorem", theorem, THEOREMS)][0].name
            raise HypothesisFailed(name, "a scheme of section 3 or 12", "no bound is computed for a tape")
        if n == 0:
            raise BadInput(
                "n", n, f"must be at least {LEAST} for a tape: its outputs are all there is to verify"
            )
        if score_bias:
            raise BadInput("score_bias", score_bias, "must be 0 for a tape")
        tape: dict[str, Any] = {"scheme": scheme, "start": start, "grid": grid, "score_noise": score_noise}
        return follow(process, target, T, K, **tape, n=n, seed=seed, samples=samples, level=level)
    if process is None:
        raise BadInput("process", "None", _PROCESS)
    named = one_of("theorem", theorem or "sharp", THEOREMS)
    own = as_target(target)
    M1 = needed_M1(named, M1, own)
    where = setting(
        process,
        own,
        T,
        K,
        scheme=scheme,
        start=start or "prior",
        grid=grid,
        score_bias=score_bias,
        score_noise=score_noise,
        M1=M1,
    )
    return judged(where, named, n=n, seed=seed, bias=bias, samples=samples, level=level)


def needed_M1(theorem: str, M1: Any, target: Any) -> Any:
    """``M1`` where the theorem asks for it, and None where it does not, or where "exact" is what fails: outside A1."""
    needed = any(one.needs_M1 for one in THEOREMS.get(theorem, ()))
    return None if not needed or (M1 == "exact" and target.A1 is None) else M1


def judged(
    s: Setting,
    theorem: str = "sharp",
    *,
    n: int | None = None,
    seed: int = 0,
    bias: str | ArrayLike = "constant",
    samples: ArrayLike | None = None,
    level: float = 0.99,
) -> Verdict:
    """`verify` of a setting whose data are a target. Raises `HypothesisFailed` and `BadInput`."""
    own, confidence = s.data, real("level", level)
    if not 0.0 < confidence < 1.0:
        raise BadInput("level", level, "must be between 0 and 1, both excluded")
    points = _points(n, s.data.d)
    for_sampler, for_target = np.random.SeedSequence(count("seed", seed, 0)).spawn(2)
    bound: Bound = upper_bound(theorem, s.scheme, s.data)(s)
    value, why = referee(s)
    coupling = None
    x: Array | None
    if samples is not None:
        x = _given(samples, max(points, LEAST), s.data.d)
    elif points == 0:
        x = None
    elif s.score_bias and isinstance(own, Gaussian):
        paths = coupled(s, max(points, ROWS), for_sampler, bias=bias, progress=False)
        x, coupling = paths.first, _upper(((paths.first - paths.second) ** 2).sum(axis=1), confidence)
    else:
        # the comparison of laws wants more; without a referee there is none
        rows = points if value is None else max(points, ROWS)
        x = draw(s, rows, for_sampler, bias=bias, progress=False)
    follows = None
    if value is not None and x is not None and hasattr(own, "along"):
        follows = agreement(own, x, value.laws)
    empirical = None
    if x is not None and points:
        exact_sample = own.sample(points, np.random.Generator(np.random.SFC64(for_target)))
        empirical = transport.empirical_w2(x[:points], exact_sample, seed=seed, level=confidence)
    verdict, evidence, reason, ratio = _decide(bound.total, value, why, follows, empirical, coupling)
    return Verdict(
        process=s.process.name,
        parameters=s.process.parameters,
        target=type(own).__name__,
        d=s.data.d,
        scheme=s.scheme.name,
        start=s.start,
        T=s.nodes.T,
        K=s.nodes.K,
        score_bias=s.score_bias,
        score_noise=s.score_noise,
        theorem=theorem,
        bound=bound,
        M1=s.M1,
        exact=None if value is None else value.w2,
        error=None if value is None else value.error,
        empirical=empirical,
        coupling=coupling,
        ratio=ratio,
        verdict=verdict,
        evidence=evidence,
        level=confidence,
        reason=reason,
        agreement=follows,
    )


@dataclass(frozen=True)
class Followed:
    """A sampler beside its exact law, without a bound: the ``referee``, the ``agreement`` of n
    outputs with its law, the bracket of W2 from them (``empirical``), and all that in words."""

    referee: Referee
    agreement: Agreement
    empirical: transport.EmpiricalW2
    reason: str


def follow(
    process: Process | None,
    target: Any,
    T: float | None = None,
    K: int | None = None,
    *,
    scheme: str | Scheme | Multistep | Tape = "heun",
    n: int | None = None,
    seed: int = 0,
    start: str | None = None,
    grid: str | Grid = "uniform",
    score_noise: float = 0.0,
    samples: ArrayLike | None = None,
    level: float = 0.99,
) -> Followed:
    """Compare a sampler's outputs with its exact law (exact Gaussian law, or quadrature on the line).

    For what has no bound: Heun's schemes on data beyond A1, and on Gaussian data multistep schemes and tapes; and for a
    scheme by itself. Arguments as in `verify`, ``samples`` among them: the outputs of your own run of it (of a tape that ends
    above zero, divided by its α); of a tape as in `wbound.exact_w2`. Raises `HypothesisFailed` where there is no referee,
    `BadInput`.
    """
    own = as_target(target)
    if isinstance(scheme, Tape):
        alone(scheme, T, K, grid, score_noise=score_noise)
    else:
        if process is None:
            raise BadInput("process", "None", _PROCESS)
        s = setting(
            process, own, T, K, scheme=scheme, start=start or "prior", grid=grid, score_noise=score_noise
        )
        return followed(s, n=n, seed=seed, samples=samples, level=level)
    points, for_sampler, for_target = _drawn(own, n, seed)
    value = _tape_referee(scheme, own, start or "own")
    if samples is not None:
        x = _given(samples, points, own.d)
    else:
        rows = max(points, ROWS)
        x = sample(None, own, n=rows, scheme=scheme, seed=for_sampler, start=start, progress=False)
    return _beside(value, own, x, points, for_target, seed, level)


def followed(
    s: Setting,
    *,
    n: int | None = None,
    seed: int = 0,
    samples: ArrayLike | None = None,
    level: float = 0.99,
) -> Followed:
    """`follow` of a setting whose data are a target. Raises `HypothesisFailed` and `BadInput`."""
    points, for_sampler, for_target = _drawn(s.data, n, seed)
    value, why = referee(s)
    if value is None:
        raise HypothesisFailed("the exact law", "a referee", why)
    if samples is not None:
        x = _given(samples, points, s.data.d)
    else:
        x = draw(s, max(points, ROWS), for_sampler, progress=False)
    return _beside(value, s.data, x, points, for_target, seed, level)


def _drawn(
    target: Any, n: int | None, seed: int
) -> tuple[int, np.random.SeedSequence, np.random.SeedSequence]:
    """How many points, and the seeds of the sampler's and the target's."""
    for_sampler, for_target = np.random.SeedSequence(count("seed", seed, 0)).spawn(2)
    return max(_points(n, target.d), LEAST), for_sampler, for_target


def _beside(
    value: Referee,
    own: Any,
    x: Array,
    points: int,
    for_target: np.random.SeedSequence,
    seed: int,
    level: float,
) -> Followed:
    follows = agreement(own, x, value.laws)
    if follows is None:
        raise HypothesisFailed("the exact law", "a density", "the map turns: its law has no density here")
    y = own.sample(points, np.random.Generator(np.random.SFC64(for_target)))
    empirical = transport.empirical_w2(x[:points], y, seed=seed, level=real("level", level))
    reason = (
        f"{value.evidence}: W2 = {value.w2:.6g}; samples: {empirical.low:.6g} <= W2 <= {empirical.high:.6g}, "
        f"the {follows.statistic} {abs(follows.z):.3g} standard errors off"
    )
    return Followed(value, follows, empirical, reason)


def contradicted(bound: float, exact: float | None, error: float | None, low: float | None) -> bool:
    """Whether samples with W2 ≥ ``low`` stand against a bound that the referee, W2 = exact ± error, does not
    refute."""
    return exact is not None and error is not None and low is not None and exact - error <= bound < low


def referee(s: Setting) -> tuple[Referee | None, str]:
    """W2 without noise for the setting, by the exact law, else by quadrature on the line; or None, and why
    there is neither (a score bias; a target that is no product of laws on the line)."""
    if not hasattr(s.data, "factors"):
        return None, f"{type(s.data).__name__} is no product of laws on the line"
    try:
        found = law1d(s)
        if isinstance(s.data, Gaussian):
            w2 = float(EXACT_LAW(s))
            return Referee(EVIDENCE[0], w2, ROUNDING * w2, found.factors), ""
        return Referee(EVIDENCE[1], found.w2, found.error, found.factors), ""
    except (HypothesisFailed, IOFailure) as none:  # the latter: a quadrature that does not converge
        return None, str(none)


def _tape_referee(tape: Tape, own: Any, start: str) -> Referee:
    """The exact law of a tape on Gaussian data."""
    if not isinstance(own, products.Gaussian):
        raise HypothesisFailed(
            "the exact law", "Gaussian data", f"the law of a tape on {type(own).__name__} is not known"
        )
    w2 = exact_w2(None, own, scheme=tape, start=start)
    laws = []
    for line, multiplicity in own.factors:
        of = tape_law(tape, [line.variance], start=start)
        if own.vectors is not None and of.mean_offset.any():
            detail = "the tape adds constants to coordinates, and the data's axes are others"
            raise HypothesisFailed("the exact law", "independent directions", detail)
        centre = float(of.mean_gain[0]) * line.mean + float(of.mean_offset[0])
        laws.append(normal_law(of.w2(line.mean), line, multiplicity, float(of.variance[0]), centre))
    return Referee(EVIDENCE[0], w2, ROUNDING * w2, tuple(laws))


def bracket(s: Setting, n: int | None = None, *, seed: int = 0, level: float = 0.99) -> transport.EmpiricalW2:
    """The bracket of W2 from n samples of the setting and n of its target, as `verify` takes it (n > 0)."""
    s = replace(s, data=as_target(s.data))
    points = max(_points(n, s.data.d), LEAST)
    for_sampler, for_target = np.random.SeedSequence(count("seed", seed, 0)).spawn(2)
    x = draw(s, points, for_sampler, progress=False)
    y = s.data.sample(points, np.random.Generator(np.random.SFC64(for_target)))
    return transport.empirical_w2(x, y, seed=seed, level=level)


def as_target(target: Any) -> Any:
    """The target itself; plain Gaussian facts become one."""
    if callable(getattr(target, "score", None)) and callable(getattr(target, "sample", None)):
        return target
    if isinstance(target, Gaussian) or getattr(target, "gaussian", lambda: None)() is not None:
        data = gaussian_data(target)
        return products.Gaussian(data.mean, data.cov)
    raise BadInput("target", type(target).__name__, "must be a target with a score and samples")


def usual_points(d: int) -> int:
    """Points of a bracket where none are asked for."""
    return BRACKET_ON_LINE if d == 1 else BRACKET


def _points(n: int | None, d: int) -> int:
    if n is None:
        return usual_points(d)
    points = count("n", n, 0)
    if 0 < points < LEAST:
        raise BadInput("n", n, f"must be 0 (no samples) or at least {LEAST}")
    return points


def _given(samples: ArrayLike, least: int, d: int) -> Array:
    """The caller's outputs, checked."""
    allowed = f"must be an (n, {d}) array of finite numbers, n >= {least}"
    x = finite_array("samples", samples, allowed)
    if x.ndim != 2 or x.shape[1] != d or len(x) < least:
        raise BadInput("samples", f"shape {x.shape}", allowed)
    return x


def _upper(square: Array, level: float) -> float:
    """Upper limit of the root of the mean of ``square``, at half of the risk (the bracket has the other)."""
    margin = float(ndtri(0.5 + 0.5 * level)) * float(square.std(ddof=1)) / math.sqrt(square.size)
    return math.sqrt(float(square.mean()) + margin)


def _decide(
    bound: float,
    value: Referee | None,
    why: str,
    follows: Agreement | None,
    empirical: transport.EmpiricalW2 | None,
    coupling: float | None,
) -> tuple[str, str, str, float | None]:
    """Verdict, evidence, reason, ratio: the rule of `verify`; ``why`` there is no value."""
    strange = follows is not None and not follows.holds
    if value is not None and not strange:
        ratio = bound / value.w2 if 0.0 < value.w2 < math.inf else None
        shown = f"{value.evidence}: W2 = {value.w2:.6g}, bound {bound:.6g}"
        # the exact law has rounding only, on either side; a quadrature's error is held against the bound
        least = value.w2 - value.error if value.evidence == EVIDENCE[0] else value.w2 + value.error
        if empirical is not None and contradicted(bound, value.w2, value.error, empirical.low):
            shown += (
                f"; but samples: {empirical.low:.6g} <= W2 at level {empirical.level:g}, above the bound: by "
                "chance, or they do not have the referee's law"
            )
            return UNDECIDED, EVIDENCE[2], shown, ratio
        if bound >= least or bound == value.w2:
            return HOLDS, value.evidence, shown, ratio
        if bound < value.w2 - value.error:
            return REFUTED, value.evidence, shown, ratio
        return UNDECIDED, value.evidence, f"{shown}: nearer than the error {value.error:.2g}", ratio
    if empirical is None:
        return UNDECIDED, "none", f"no samples, and no referee: {why}", None
    low, high = empirical.low, min(empirical.high, math.inf if coupling is None else coupling)
    ratio = bound / high if high > 0.0 else None
    shown = f"samples: {low:.6g} <= W2 <= {high:.6g} at level {empirical.level:g}, bound {bound:.6g}"
    if strange and follows is not None and value is not None:
        shown += (
            f"; they do not have the law of the referee ({value.evidence}, W2 = {value.w2:.6g}): "
            f"the {follows.statistic} is {abs(follows.z):.3g} standard errors off"
        )
    if low > bound:
        return REFUTED, EVIDENCE[2], shown, ratio
    return (HOLDS if high <= bound else UNDECIDED), EVIDENCE[2], shown, ratio
