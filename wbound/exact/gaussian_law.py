"""The exact law of every scheme on Gaussian data, and Proposition 1 (sections 3 and 6 of docs/theory.md).

This is the referee: no sampling, no noise, any scheme, grid, start and spectrum. Pierret & Galerne (arXiv 2405.14250)
have exact laws of Gaussians, an eigenvalue at a time, too; where the schemes are the same, both agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from wbound.calculus.stable import growth, softplus
from wbound.data.log_concave import gaussian_data
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.law_of_tape import TapeLaw, tape_law
from wbound.exact.ode_moves import moves, noise2
from wbound.forward.forward_process import Process
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.multistep import Multistep
from wbound.sampler.scheme import Scheme, Steps, forgotten, keeps, vanishes
from wbound.sampler.steps import Batch, GridBatch
from wbound.sampler.tape import Tape
from wbound.sampler.tape_of_scheme import tape_of
from wbound.statement import hypotheses as c
from wbound.statement.hypotheses import statement
from wbound.typing import Array

__all__ = ["EXACT_LAW", "Defects", "alone", "defects", "exact_w2", "from_starts", "start_defects"]


#: F_k above which a step is long: e^F − 1 − F is then no smaller than 1 + F by much.
LONG = 1.0
#: Numbers held at once when a spectrum meets a long grid.
BLOCK = 1 << 20


class Defects(NamedTuple):
    """The exact law's local terms per eigenvalue and step, arrays (E, N), in units of s_k = α_k(1 + cλ_k).

    log_r (None: all 0) and sign (None: all positive): of r_k s_{k−1}/s_k, where r_k = A_k − C_k/w_{k−1} moves a coordinate;
    rho: the variance's defect r_k²w_{k−1} + Q_k − w_k over s_k²; shift: the mean's, −a_kα_{k−1}/s_k per unit of mean.
    """

    log_r: Array | None
    sign: Array | None
    rho: Array
    shift: Array | float


def defects(
    b: Batch,
    scheme: Scheme,
    variances: Array,
    c: float,
    V2: float = 0.0,
    power: float = 1.0,
    means: bool = True,
) -> Defects:
    """`Defects` for eigenvalues ς² (E,), c > 0 in 1/x², and V2 = V²/d of score noise; nothing cancels.

    With ŵ = ς² + λ and share = H/ŵ_{k−1} ≤ 1: hf's r is 1 + share (cς² − 1)/(1 + cλ_k) in these units and
    its defect α_k²H²/ŵ_{k−1} = Q·share (Eq. 10); a scheme's own r differs by a − c/w, its Q by q.
    Without ``means`` the shift may be left at 0. ODE schemes: `wbound.exact.ode_moves.moves`, in units of α_k(1 + cλ_k)^power.
    """
    steps = scheme.steps(b)
    if steps.flow is not None:
        return Defects(*moves(b, steps, variances, c, V2, power), 0.0)
    v = variances[:, None]
    ancestral = not vanishes(steps.q) and vanishes(steps.a) and vanishes(steps.c)
    if isinstance(b, GridBatch) and b.tame and bool(np.all(c * v == 1.0)) and not ancestral:
        return _tame_defects(b, steps, c, V2, means)
    unit, unit_hi = b.ends(lambda log_lam: softplus(math.log(c) + log_lam))  # log s_k/α_k
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # ς² = 0: log 0; huge steps: inf
        one = bool(np.all(c * v == 1.0))  # an isotropic law: then ŵ is the unit itself
        log_w = unit_hi[None] - math.log(c) if one else np.logaddexp(np.log(v), b.log_lam_hi)
        share = b.ratio / (1.0 + b.ratio)
        endless = np.isinf(b.ratio)
        if endless.any():
            share[endless] = 1.0
        share = share * np.exp(b.log_lam_hi - log_w)
        own = np.zeros_like(share) if one else share * (c * v - 1.0) * np.exp(-unit)
        rho = b.steps.Q * share
        if not ancestral:
            rho -= steps.q
        else:
            # Q·share − q = (QH/λ_{k−1} − q) − (QH/λ_{k−1}) ς²/ŵ_{k−1}: for ddpm the bracket is 0 to the last
            # bit, where the plain difference loses every digit of a long last step
            whole = b.steps.Q * forgotten(b)
            rho = (whole - steps.q) - whole * np.exp(np.log(v) - log_w)
        rho *= np.exp(-2.0 * (unit + b.log_alpha_lo))
        far = endless if not endless.any() else np.isinf(b.steps.Q)
        if far.any():  # e^{2F} is beyond doubles, H²/ŵ (for ddpm −Hς²/ŵ) is not
            beyond = (
                share**2 * np.exp(log_w - 2.0 * unit)
                if vanishes(steps.q)
                else -share * v * np.exp(-2.0 * unit)
            )
            rho = np.where(far, beyond, rho)
        moved = own
        shift: Array | float = 0.0
        if not (vanishes(steps.a) and vanishes(steps.c)):
            y = growth(c, b.log_lam_lo, b.log_lam_hi, b.ratio)
            lag, per_w = np.exp(y - b.steps.F), np.exp(-log_w - 2.0 * b.log_alpha_hi)
            slip = (steps.a - steps.c * per_w) * lag
            moved = own - slip
            # (r² − r_hf²)w_{k−1} over s_k²; w_{k−1}/s_{k−1}² = ŵ_{k−1}/(1+cλ_{k−1})²
            before = np.exp(log_w - 2.0 * unit_hi)
            rho -= slip * (2.0 + own + moved) * before
            shift = -steps.a * np.exp(-b.steps.F - unit)
            long = b.steps.F > LONG
            if long.any():
                # a, c and q are then no small differences: the defect as it stands loses nothing
                left = keeps(steps.A, steps.C, steps.a, steps.c, per_w, own, lag)
                kept = (left * np.exp(0.5 * log_w - unit_hi)) ** 2
                injected = np.exp(np.log(steps.Q) - 2.0 * (unit + b.log_alpha_lo))
                if vanishes(steps.q):
                    injected = np.exp(b.log_lam_hi + np.log(-np.expm1(-b.gap)) - 2.0 * unit)
                after = np.exp(np.logaddexp(np.log(v), b.log_lam_lo) - 2.0 * unit)
                moved = np.where(long, left - 1.0, moved)
                rho = np.where(long, kept + injected - after, rho)
        if V2:
            rho += V2 * (steps.C * np.exp(-unit - b.log_alpha_lo)) ** 2
        if float(moved.min()) > -0.5:
            return Defects(np.log1p(moved), None, rho, shift)
        return Defects(np.log(np.abs(1.0 + moved)), np.sign(1.0 + moved), rho, shift)


def _tame_defects(b: GridBatch, steps: Steps, c: float, V2: float, means: bool) -> Defects:
    """`defects` of an isotropic law, ς² = 1/c, in λ itself: its fast twin on tame steps, for em, ei and hf."""
    w = 1.0 / c + b.lam  # ŵ: units of αŵ here, which are s/c
    per_w, per_alpha2 = np.reciprocal(w), b.per_alpha2
    per_s2 = per_w[1:] * per_w[1:]
    per_s2 *= per_alpha2[1:]
    rho = b.steps.Q * b.steps.Q
    rho *= per_alpha2[1:]
    rho *= per_w[:-1]  # Q·share
    if not vanishes(steps.q):
        rho -= steps.q
    if V2:
        rho += V2 * steps.C**2
    rho *= per_s2
    if vanishes(steps.a) and vanishes(steps.c):
        rho *= c**-2.0
        return Defects(None, None, rho[None], 0.0)
    slip = steps.c * per_w[:-1]
    slip *= per_alpha2[:-1]
    np.subtract(steps.a, slip, out=slip)
    back = np.exp(-b.steps.F)
    back *= per_w[1:]
    slip *= back
    slip *= w[:-1]  # times the lag (s_{k−1}/s_k) α_k²/α_{k−1}²
    shift = 0.0 if vanishes(steps.a) or not means else steps.a * back * (-1.0 / c)
    wide = float(slip.max()) >= 0.5
    moved = 1.0 - slip if wide else np.log1p(-slip)
    # (r² − r_hf²)w_{k−1} over (α_kŵ_k)², where w_{k−1}/(α_{k−1}ŵ_{k−1})² = 1/ŵ_{k−1}
    rest = slip * per_w[:-1]
    slip -= 2.0
    rest *= slip
    rho += rest
    rho *= c**-2.0
    if not wide:
        return Defects(moved[None], None, rho[None], shift)
    with np.errstate(divide="ignore"):  # a coordinate wiped out
        return Defects(np.log(np.abs(moved))[None], np.sign(moved)[None], rho[None], shift)


def start_defects(
    start: str,
    variances: Array,
    c: float,
    process: Process,
    log_alpha: float,
    log_lam: float,
    power: float = 1.0,
) -> tuple[Array, float]:
    """The start's variance defect (v_0 − w_0)/s_0² (E,) and mean defect over s_0 per unit mean, with
    s_0 = α(1 + cλ)^power."""
    missing, lost = _missing(start, variances, process, log_alpha)
    per = math.exp(_log_unit(c, log_lam, power))
    return missing * per**2, lost * per


def _log_unit(c: float, log_lam: float, power: float) -> float:
    """log of α_0/s_0 at λ = λ(T)."""
    return -power * float(softplus(np.float64(math.log(c) + log_lam)))


def _missing(start: str, variances: Array, process: Process, log_alpha: float) -> tuple[Array, float]:
    """The start's variance defect over α² (E,) in x², and mean defect over α per unit mean."""
    if start == "exact":
        return np.zeros_like(variances), 0.0
    missing = -variances  # N(0, σ²I): v_0 − w_0 = −α²ς²
    if start == "standard":
        missing = missing + process.short_of_one(log_alpha)[0]  # 1 − w_0 = (1 − σ²) − α²ς²
    return missing, -1.0


class _Law(NamedTuple):
    """The law of the output per eigenvalue (E,): variance minus ς², and mean error per unit mean."""

    excess: Array
    mean: Array


def law(s: Setting, variances: Array, means: bool = True) -> _Law:
    """The exact output law along eigenvalues ς² (E,): y_K, or y_K/α_K when stopped early; without ``means``
    (centred data) the mean error is left at 0. *exact*"""
    return laws(s, variances, (s.start,), means)[0]


def laws(s: Setting, variances: Array, starts: Sequence[str], means: bool = True) -> list[_Law]:
    """`law` from each of several starts, whatever the setting's own: their steps are the same. *exact*"""
    if s.scheme.memory is not None:
        tapes = [_remembered(replace(s, start=start), variances) for start in starts]
        return [_Law(of.variance - variances, of.mean_gain - 1.0) for of in tapes]
    c = 1.0 / float(variances.mean()) if variances.any() else 1.0
    power = s.scheme.power  # units in which a step multiplies by about 1
    V2 = s.score_noise**2 / s.data.d
    size = max(BLOCK // max(variances.size, 1), 64)
    log_P = np.zeros_like(variances)
    sign_P = np.ones_like(variances)
    excess, mean = np.zeros_like(variances), np.zeros_like(variances)
    for _, block in s.nodes.blocks(min(size, 65536)):
        d = defects(block, s.scheme, variances, c, V2, power, means)
        with np.errstate(invalid="ignore", over="ignore"):  # a coordinate wiped out (r = 0): log P = −∞
            if d.log_r is None:
                P = np.exp(log_P)
                excess = excess + P * P * d.rho.sum(axis=1)
                continue
            after = np.empty((variances.size, block.size + 1))
            after[:, -1] = log_P
            np.cumsum(d.log_r[:, ::-1], axis=1, out=after[:, -2::-1])
            after[:, :-1] += log_P[:, None]
            log_P = after[:, 0].copy()
            if means:
                P = np.exp(after[:, 1:])
                mean_P = P * sign_P[:, None]
                if d.sign is not None:
                    mean_P[:, :-1] *= np.cumprod(d.sign[:, :0:-1], axis=1)[:, ::-1]
                    sign_P = sign_P * np.prod(d.sign, axis=1)
                if isinstance(d.shift, np.ndarray):
                    mean = mean + np.einsum("ek,ek->e", mean_P, np.broadcast_to(d.shift, mean_P.shape))
                P *= P
            else:
                P = after[:, 1:]
                P *= 2.0
                np.exp(P, out=P)
            excess = excess + np.einsum("ek,ek->e", P, d.rho)
    out = []
    for start in starts:
        missing, lost = _missing(start, variances, s.process, s.nodes.first[0])
        with np.errstate(over="ignore", invalid="ignore"):  # as above; ∞ · 0 is an infinite law
            scaled = sign_P * np.exp(log_P + _log_unit(c, s.nodes.first[1], power))
            own, own_mean = excess + scaled**2 * missing, mean + scaled * (lost if means else 0.0)
        if s.nodes.stopped_early:  # y_K/α_K has variance ŵ_K + (s_K/α_K)² times the defect
            delta = math.exp(s.nodes.last[1])
            scale = (1.0 + c * delta) ** power
            own, own_mean = delta + scale**2 * own, scale * own_mean
        out.append(_Law(own, own_mean))
    return out


def _remembered(s: Setting, variances: Array) -> TapeLaw:
    """The law of a scheme with memory, by its tape."""
    if s.score_noise:
        detail = f"the law of {s.scheme.name} is known for the exact score"
        raise HypothesisFailed("the exact law", "an exact score", detail)
    return tape_law(tape_of(s), variances, start="exact" if s.start == "exact" else "own")


def remaining(s: Setting, variances: Array) -> Array:
    """The output's variances (E,) as the sum of what each step injects and what is left of the start's: for
    coordinates of which little is left, where ς² plus the law's defect cancels. *exact*"""
    if s.scheme.memory is not None:
        return _remembered(s, variances).variance
    c = 1.0 / float(variances.mean())
    power = s.scheme.power
    V2 = s.score_noise**2 / s.data.d
    log_P, out = np.zeros_like(variances), np.zeros_like(variances)
    size = max(BLOCK // variances.size, 64)
    for _, block in s.nodes.blocks(min(size, 65536)):
        d, steps = defects(block, s.scheme, variances, c, V2, power), s.scheme.steps(block)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # Q = 0: log 0 = −∞; huge steps
            per = -power * softplus(math.log(c) + block.log_lam_lo) - block.log_alpha_lo
            log_Q = np.log(steps.Q + V2 * noise2(block, steps, variances[:, None]) if V2 else steps.Q)
            log_r = np.zeros_like(d.rho) if d.log_r is None else d.log_r
            after = np.cumsum(log_r[:, ::-1], axis=1)[:, ::-1] + log_P[:, None]
            later = np.concatenate((after[:, 1:], log_P[:, None]), axis=1)
            out = out + np.exp(log_Q + 2.0 * (per + later)).sum(axis=1)
        log_P = after[:, 0].copy()
    log_alpha, log_lam = s.nodes.first
    log_start = {
        "prior": np.full_like(variances, log_lam),
        "exact": np.logaddexp(np.log(variances), log_lam),
        "standard": np.full_like(variances, -2.0 * log_alpha),
    }[s.start]
    out = out + np.exp(log_start + 2.0 * (log_P + _log_unit(c, log_lam, power)))
    if s.nodes.stopped_early:
        out = out * (1.0 + c * math.exp(s.nodes.last[1])) ** (2.0 * power)
    return out


def _evaluate(s: Setting) -> float:
    return _distances(s, (s.start,))[0]


def _distances(s: Setting, starts: Sequence[str]) -> list[float]:
    data = gaussian_data(s.data)
    variances, group = np.unique(data.eigenvalues, return_inverse=True)
    found = laws(s, variances, starts, bool(data.coordinates.any()))
    out = []
    for start, (excess, mean) in zip(starts, found, strict=True):
        # √v − ς = (v − ς²)/(√v + ς): exact to the last digits near equality
        v = np.maximum(variances + excess, 0.0)
        collapsed = excess < -0.5 * variances
        if collapsed.any():  # ς² + excess would cancel
            v[collapsed] = remaining(replace(s, start=start), variances[collapsed])
        spread = np.sqrt(v) + np.sqrt(variances)
        with np.errstate(
            invalid="ignore", over="ignore"
        ):  # ς² = 0 = v: no error; an infinite law is infinitely far
            width = np.where(spread == 0.0, 0.0, np.maximum(excess, -variances) / spread)
            total = float((width[group] ** 2).sum() + ((mean[group] * data.coordinates) ** 2).sum())
        out.append(math.sqrt(total) if not math.isnan(total) else math.inf)
    return out


EXACT_LAW = statement(
    "exact-law",
    "exact",
    _evaluate,
    c.gaussian,
    c.unbiased,
    c.fixed_times,
    source="linear recursion of section 3",
)


def from_starts(s: Setting, starts: Sequence[str]) -> list[float]:
    """`EXACT_LAW` of a setting from each of ``starts``: its hypotheses do not look at the start. *exact*"""
    EXACT_LAW.check(s)
    return _distances(s, starts)


def exact_w2(
    process: Process | None,
    data: Any,
    T: float | None = None,
    K: int | None = None,
    *,
    scheme: str | Scheme | Multistep | Tape = "em",
    start: str | None = None,
    grid: str | Grid = "uniform",
    score_noise: float = 0.0,
) -> float:
    """W2 between the sampler's output and Gaussian data, exactly (W2, not squared, in x).

    Section 3's exact law: any scheme, grid, start, spectrum (singular ones too), d in the thousands; for
    multistep schemes and tapes section 15's. ``data``: a `Gaussian`, or a `LogConcave` with m_0 = L_0 (which is
    one). start: "prior" (the default), "exact" or "standard". ``score_noise`` is V of section 11, spread evenly
    over coordinates. A `Tape` as scheme brings levels and start of its own: it takes no T, K, grid or score
    noise, its process may be None, and start is one of `TAPE_STARTS` ("own" is the default); the output is divided by
    its α. Raises `BadInput` and `HypothesisFailed`. Kind: *exact*.
    """
    if isinstance(scheme, Tape):
        alone(scheme, T, K, grid, score_noise=score_noise)
        known = gaussian_data(data)
        ones = 1.0 if known.vectors is None else known.vectors.sum(axis=0)
        return tape_law(scheme, known.eigenvalues, start=start or "own").w2(known.coordinates, ones=ones)
    if process is None:
        raise BadInput("process", "None", "must be wbound.process(name, …) or wbound.Process(f=…, g=…)")
    s = setting(
        process, data, T, K, scheme=scheme, start=start or "prior", grid=grid, score_noise=score_noise
    )
    return float(EXACT_LAW(s))


def alone(
    tape: Tape,
    T: float | None,
    K: int | None,
    grid: str | Grid,
    *,
    score_noise: float = 0.0,
    score_bias: float = 0.0,
) -> None:
    """Refuse what a tape has of its own, or has not, by name."""
    if K is not None and K != tape.K:
        raise BadInput("K", K, f"must not be given: the tape asks the score {tape.K} times")
    given = {"T": T, "grid": None if grid == "uniform" else grid}
    for name, value in given.items():
        if value is not None:
            raise BadInput(
                name, getattr(value, "name", value), "must not be given: a tape has its own levels"
            )
    for name, error in (("score_noise", score_noise), ("score_bias", score_bias)):
        if error:
            raise BadInput(name, error, "must be 0: a tape's law is known for the exact score")
