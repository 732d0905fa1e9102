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

from numerics.samplers.sampling import coupled
from numerics.samplers.sampling import samples as draw
from numerics.transport import samples as transport
from numerics.verification.law_test import Agreement, agreement
from numerics.verification.outputs_and_law import Followed, follow, followed
from numerics.verification.referees import (
    EVIDENCE,
    LEAST,
    PROCESS,
    ROWS,
    Referee,
    as_target,
    given_outputs,
    points_of,
    referee,
)
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, HypothesisFailed, count, one_of, real
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
        raise BadInput("process", "None", PROCESS)
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
    points = points_of(n, s.data.d)
    for_sampler, for_target = np.random.SeedSequence(count("seed", seed, 0)).spawn(2)
    bound: Bound = upper_bound(theorem, s.scheme, s.data)(s)
    value, why = referee(s)
    coupling = None
    x: Array | None
    if samples is not None:
        x = given_outputs(samples, max(points, LEAST), s.data.d)
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


def contradicted(bound: float, exact: float | None, error: float | None, low: float | None) -> bool:
    """Whether samples with W2 ≥ ``low`` stand against a bound that the referee, W2 = exact ± error, does not
    refute."""
    return exact is not None and error is not None and low is not None and exact - error <= bound < low


def bracket(s: Setting, n: int | None = None, *, seed: int = 0, level: float = 0.99) -> transport.EmpiricalW2:
    """The bracket of W2 from n samples of the setting and n of its target, as `verify` takes it (n > 0)."""
    s = replace(s, data=as_target(s.data))
    points = max(points_of(n, s.data.d), LEAST)
    for_sampler, for_target = np.random.SeedSequence(count("seed", seed, 0)).spawn(2)
    x = draw(s, points, for_sampler, progress=False)
    y = s.data.sample(points, np.random.Generator(np.random.SFC64(for_target)))
    return transport.empirical_w2(x, y, seed=seed, level=level)


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
