"""The schedule doctor: is a claimed schedule one forward SDE's, and does it end where its sampler starts?

Section 0's identities for expressions in t: α' = −fα and (std²)' = g² − 2f·std², the monotone clock, the
signal left at T, and what that does to W2. For arrays: the signal left at T, the start error, the clock, the
steps, and whether two arrays are of one schedule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike

from numerics.schedules.checked_arrays import without_infinity
from numerics.schedules.diagnosis import (
    AGREES,
    QUIET,
    ROUNDING,
    Diagnosis,
    Finding,
    ending,
    graded_by,
    judged_on,
    start_w2,
)
from numerics.schedules.schedule_formats import from_array
from numerics.schedules.schedule_object import NoClock, Schedule
from wbound import Process
from wbound.calculus.parser import accept, function, symbol
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, WboundError, one_of, positive
from wbound.exact.clock_law import LAWS, Spectrum, clock_w2
from wbound.forward.forward_process import by_sign
from wbound.sampler.scheme import SCHEMES
from wbound.typing import Array

__all__ = ["Diagnosis", "Finding", "check_expressions", "check_schedule", "start_w2"]


#: A step in which λ falls by more than `FAR` is looked at.
FAR = 100.0
#: And warned of where one more node in it would lower W2 by this share whatever the sampler of `wbound.exact.clock_law`.
LONG = 0.4
POINTS = 400


# ---------------------------------------------------------------------- expressions


def check_expressions(
    f: Any,
    g: Any,
    *,
    marginal_std: Any = None,
    mean_factor: Any = None,
    parameters: Mapping[str, float] | None = None,
    T: float = 1.0,
    data: Gaussian | None = None,
    start: str = "prior",
    name: str = "schedule",
) -> Diagnosis:
    """Check a claimed schedule given by expressions in t (text or sympy; text is parsed, never evaluated).

    f, g: the SDE; marginal_std, mean_factor: what is claimed of X_t's noise and of α, or None; parameters:
    numbers; T: the end; data: Gaussian data (default: variance `VARIANCE`) for the signal-to-noise ratio and
    the start's W2; start: "prior" N(0, σ²(T)), or the claimed std(T)², or "standard" N(0, I). A std that is
    std(0) > 0 at t = 0 is accepted as the literature's convention (section 9: data smoothed by std(0)).
    Comparisons are made at `POINTS` times: they find a wrong formula, they do not prove a right one.

    Raises `BadInput` for expressions that cannot be read, f or g < 0 from the start, T ≤ 0, and T beyond the
    process's end. Sources: section 0, section 9.
    """
    T = positive("T", T)
    one_of("start", start, ("prior", "standard"))
    process = Process(f=f, g=g, **dict(parameters or {}))
    values, fixed = by_sign(parameters or {})
    given = {"mean_factor": mean_factor, "marginal_std": marginal_std}
    claims = {
        option: accept(claim, "t", tuple(values), option=option, constants=fixed)
        for option, claim in given.items()
        if claim is not None
    }
    gaussian, judged = judged_on(data)
    found: list[Finding] = []
    t = T * np.unique(
        np.concatenate((np.geomspace(1e-4, 1.0, POINTS // 2), np.linspace(0.0, 1.0, POINTS // 2 + 1)[1:]))
    )
    try:
        process.check_domain(T)
    except BadInput as error:
        if error.option == "T":  # beyond the end of the process
            raise
        return Diagnosis(name, (Finding("coefficients", False, "error", None, str(error)),), (judged,))
    found.append(
        Finding("coefficients", True, "error", None, "f and g are finite and >= 0 on (0, T], g not 0")
    )
    try:
        log_alpha, log_lam = process.law(t)
    except WboundError as error:
        found.append(Finding("law", False, "error", None, str(error)))
        return Diagnosis(name, tuple(found), (judged,))
    alpha = np.exp(log_alpha)
    smoothing = 0.0
    if mean_factor is not None:
        claimed = _values(claims["mean_factor"], values, t)
        found.append(_compare("mean factor", claimed, alpha, t, "alpha = exp(-int f)"))
    std = None
    if marginal_std is not None:
        std = _values(claims["marginal_std"], values, t)
        first = float(_values(claims["marginal_std"], values, np.zeros(1))[0])
        smoothing = first if math.isfinite(first) and first > 0.0 else 0.0
        found += _marginal(process, claims["marginal_std"], values, std, t, T, alpha, log_lam, smoothing)
    lam = np.exp(np.minimum(log_lam, 700.0)) if std is None else (std / alpha) ** 2
    rising = bool((np.diff(lam) >= 0.0).all() and lam[-1] > lam[0])
    found.append(
        Finding(
            "monotone clock",
            rising,
            "error",
            None,
            "lam = std^2/alpha^2 rises with t"
            if rising
            else "lam = std^2/alpha^2 falls somewhere: no forward SDE does that",
        )
    )
    end = float(log_lam[-1])
    prior = (
        1.0
        if start == "standard"
        else float(std[-1]) ** 2
        if std is not None
        else math.exp(end + 2.0 * float(log_alpha[-1]))
    )
    over = None  # of a claimed std: the difference to it
    if start == "standard" and process.standard_start and not smoothing:
        over = process.short_of_one(float(log_alpha[-1]))[0]
    elif start == "prior" and std is None:
        over = 0.0
    found += ending(gaussian, float(log_alpha[-1]), end, smoothing, prior, start, over)
    return Diagnosis(name, tuple(found), (judged,))


def _values(expr: sp.Expr, parameters: Mapping[str, float], t: Array) -> Array:
    symbols = tuple(symbol(p) for p in parameters)
    return np.asarray(
        function(expr, symbol("t"), *symbols)(t, *(float(v) for v in parameters.values())), float
    )


def _compare(name: str, claimed: Array, true: Array, t: Array, what: str) -> Finding:
    with np.errstate(divide="ignore", invalid="ignore"):  # a claim may be 0 or nan: said so
        error = np.abs(claimed / true - 1.0)
    error = np.where(np.isfinite(error), error, np.inf)
    k = int(np.argmax(error))
    worst = float(error[k])
    detail = f"{what}: largest relative difference {worst:.3g} at t = {t[k]:.4g}"
    return graded_by(name, worst, detail)


def _marginal(
    process: Process,
    expr: sp.Expr,
    parameters: Mapping[str, float],
    std: Array,
    t: Array,
    T: float,
    alpha: Array,
    log_lam: Array,
    smoothing: float,
) -> list[Finding]:
    """std² against σ² (+ α²·std(0)², the literature's convention), and g² against (std²)' + 2f·std²."""
    true = alpha * np.sqrt(np.exp(np.minimum(log_lam, 700.0)) + smoothing**2)
    what = "std = sigma(t)"
    if smoothing:
        what = f"std^2 = sigma^2 + alpha^2 std(0)^2, std(0) = {smoothing:.6g} (clock from lam = std(0)^2)"
    out = [_compare("marginal std", std, true, t, what)]
    slope = sp.diff(expr**2, symbol("t"))

    def factor(at: Array) -> Array:
        names = tuple(symbol(p) for p in parameters)
        rate = function(slope, symbol("t"), *names)(at, *(float(v) for v in parameters.values()))
        # a constant std implies g = 0; a std that overflows implies no g
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            implied = np.asarray(rate, float) + 2.0 * process.f(at) * _values(expr, parameters, at) ** 2
            return process.g(at) ** 2 / implied

    ratio, middle = factor(t), float(factor(np.array([0.5 * T]))[0])
    away = np.where(np.isfinite(ratio), np.abs(ratio - 1.0), np.inf)
    k = int(np.argmax(away))
    graded = graded_by(
        "g against the marginal",
        float(away[k]),
        f"g^2 and (std^2)' + 2 f std^2 differ by {float(away[k]):.3g} relative at most, at t = {t[k]:.4g}",
    )
    if graded.ok:
        graded = replace(graded, detail="g^2 = (std^2)' + 2 f std^2")
    elif graded.level == "error":
        size = "large" if middle > 1.0 else "small"
        said = (
            f"g^2 is too {size} by a factor {_factor(middle)} at t = {0.5 * T:g} against (std^2)' + 2 f std^2 "
            f"(and {_factor(float(ratio[k]))} at t = {t[k]:.4g})"
        )
        if abs(middle - 1.0) <= AGREES:  # wrong elsewhere
            said = f"g^2 is {_factor(float(ratio[k]))} times (std^2)' + 2 f std^2 at t = {t[k]:.4g}"
        graded = replace(graded, detail=said)
    out.append(replace(graded, value=middle))
    return out


def _factor(ratio: float) -> str:
    """A factor whose difference from 1 can be read."""
    return (
        f"{ratio:.4g}"
        if not abs(ratio - 1.0) < 5e-3
        else f"1 {'-' if ratio < 1.0 else '+'} {abs(ratio - 1.0):.3g}"
    )


# ---------------------------------------------------------------------- arrays


def check_schedule(
    schedule: Schedule | None = None,
    *,
    sigmas: ArrayLike | None = None,
    betas: ArrayLike | None = None,
    alphas_cumprod: ArrayLike | None = None,
    data: Gaussian | None = None,
    name: str | None = None,
    notes: tuple[str, ...] = (),
    stop: str | None = None,
) -> Diagnosis:
    """Check a schedule of nodes: a `Schedule`, or arrays (with stop="early" they end above zero, at their last level).
    Two arrays of one schedule are compared with each
    other: their λ, relative, or relative to 1 + λ where one of them is ᾱ, which holds no more.

    An array that cannot be a schedule at all (NaN, zeros, not monotone) is an error among the findings; a
    start at λ = ∞ (ᾱ = 0, a last β = 1) is a warning, and the rest is checked. ``data``: Gaussian data,
    default variance `VARIANCE`; ``notes`` are put before the diagnosis's own. Raises `BadInput` when nothing
    is given.
    """
    given = {"sigmas": sigmas, "betas": betas, "alphas_cumprod": alphas_cumprod}
    arrays = {form: values for form, values in given.items() if values is not None}
    if schedule is None and not arrays:
        raise BadInput("schedule", "nothing", "give a schedule, sigmas, betas or alphas_cumprod")
    gaussian, judged = judged_on(data)
    found: list[Finding] = []
    said = [*notes, *(() if schedule is None else schedule.notes)]
    read: dict[str, Schedule] = {} if schedule is None else {schedule.name: schedule}
    infinite: list[str] = []
    for form, values in arrays.items():
        rest, at = without_infinity(values, form)
        try:
            made = from_array(rest, form, name=name, begin=int(at == 0), stop=stop)
        except BadInput as error:
            kind = "monotone clock" if isinstance(error, NoClock) else "array"
            found.append(Finding(kind, False, "error", None, str(error)))
            continue
        if at is not None:
            infinite.append(f"{form}[{at}] = {np.asarray(values)[at]:g}")
        read[form] = made
        said += made.notes
    if not read:
        return Diagnosis(name or next(iter(arrays)), tuple(found), (judged, *said))
    (label, first), *others = read.items()
    log_alpha = float(first.process.law(first.process.time_of(first.log_lam[:1]))[0][0])
    end = float(first.log_lam[0])
    start = "standard" if first.process.standard_start else "prior"  # samplers of ᾱ and β
    over = first.process.short_of_one(log_alpha)[0] if start == "standard" else 0.0
    prior = 1.0 if start == "standard" else math.exp(end + 2.0 * log_alpha)
    if infinite:
        detail = (
            f"{', '.join(infinite)}: lam(T) is infinite, the start is pure noise and exact, and the first step "
            f"away from it is in no number here; the rest, from lam = {math.exp(end):.4g} on, was checked"
        )
        found.append(Finding("infinite start", False, "warning", None, detail))
    else:

        def louder() -> tuple[float, str]:
            return _least_helped(gaussian, first.log_lam, higher)

        found = [*ending(gaussian, log_alpha, end, 0.0, prior, start, over, louder), *found]
    end_at = "0" if not first.stopped_early else f"{math.exp(float(first.log_lam[-1])):.4g}"
    found.append(
        Finding("monotone clock", True, "error", None, f"lam falls strictly over {first.K} steps to {end_at}")
    )
    if first.stopped_early:
        found.append(_noise_left(first, gaussian))
    found += [_agreement(label, first, other, s, arrays) for other, s in others]
    found.append(_largest_step(first.log_lam, gaussian))
    return Diagnosis(name or first.name, tuple(found), (judged, *said))


def _noise_left(schedule: Schedule, data: Gaussian) -> Finding:
    """What a schedule that ends above zero leaves in its output: W2(q_δ, p_0), exactly."""
    s, delta = data.eigenvalues, math.exp(float(schedule.log_lam[-1]))
    left = math.sqrt(float(((delta / (np.sqrt(s + delta) + np.sqrt(s))) ** 2).sum()))
    whole = math.sqrt(data.second_moment)
    detail = (
        f"it ends above zero, at sigma/alpha = {math.sqrt(delta):.6g}: from exact steps its output, divided by alpha, is the "
        f"data with noise of that size, W2 = {left:.6g} of the data's {whole:.6g}"
    )
    return Finding("end above zero", left <= QUIET * whole, "warning", left, detail)


def _least_helped(
    data: Gaussian, log_lam: Array, change: Callable[[Array, float], Array]
) -> tuple[float, str]:
    """The largest share of exact W2 (from p_T, plus what the prior start changes) that a change of the nodes leaves
    with any sampler of the clock, and that sampler. One that is worse than no output at all does not count; 0 if
    none is left, or λ leaves double precision."""
    spectrum, whole, kept = Spectrum.of(data), math.sqrt(data.second_moment), {"any": 0.0}
    other = change(log_lam, float(data.eigenvalues.mean()))
    if float(other[0]) < 300.0:
        singular = not spectrum.variances.all()
        for scheme in (name for name in LAWS if not (singular and SCHEMES[name].at_zero)):
            before, after = (clock_w2(spectrum, nodes, scheme).robust for nodes in (log_lam, other))
            if before <= whole:
                kept[scheme] = after / before if before > 0.0 else 1.0
    least = max(kept, key=lambda scheme: kept[scheme])
    return kept[least], least


def higher(log_lam: Array, variance: float) -> Array:
    """The nodes with √λ(T) twice as high, moved alike in log(1 + λ/ς²)."""
    unit = math.log(variance) if variance > 0.0 else float(log_lam[0])
    place = np.logaddexp(0.0, log_lam - unit)
    end = place[-1]  # 0, or where it ends above zero
    stretch = (np.logaddexp(0.0, log_lam[0] + math.log(4.0) - unit) - end) / (place[0] - end)
    moved = end + (place - end) * stretch
    with np.errstate(divide="ignore"):  # a level so small that 1 + λ/ς² is 1
        return np.append(unit + moved[:-1] + np.log(-np.expm1(-moved[:-1])), log_lam[-1])


def finer(log_lam: Array, variance: float) -> Array:
    """The nodes with one more, in the geometric middle of the step in which λ falls most."""
    k = int(_falls(log_lam).argmax())
    return np.insert(log_lam, k + 1, 0.5 * (log_lam[k] + log_lam[k + 1]))


def _falls(log_lam: Array) -> Array:
    """How far log λ falls in each step but one to 0."""
    return -np.diff(log_lam if log_lam[-1] > -math.inf else log_lam[:-1])


def _largest_step(log_lam: Array, data: Gaussian) -> Finding:
    """The step in which λ falls most. Far above the data's variance a sampler may cross decades at no cost (DDIM is
    exact there), so what a long step costs is looked at: what a node at its geometric middle would gain."""
    ratio = math.exp(min(float(_falls(log_lam).max(initial=0.0)), 700.0))
    detail = f"lam falls by a factor {ratio:.4g} at most in one step"
    if ratio <= FAR:
        return Finding("largest step", True, "warning", ratio, detail)
    kept, scheme = _least_helped(data, log_lam, finer)
    detail += f"; one more node there leaves {kept:.3g} of W2 with {scheme}, the sampler it helps least"
    return Finding("largest step", kept >= 1.0 - LONG, "warning", ratio, detail)


def _agreement(
    label: str, first: Schedule, other: str, second: Schedule, arrays: Mapping[str, ArrayLike]
) -> Finding:
    """Whether two arrays are of one schedule, and at which index they differ most."""
    if second.stopped_early != first.stopped_early:
        above, below = (label, other) if first.stopped_early else (other, label)
        return Finding("agreement", False, "error", None, f"{above} ends above zero, {below} at 0")
    if second.K != first.K:
        detail = f"{label} has {first.K} steps and {other} {second.K}"
        why = "; ".join(note for s in (first, second) for note in s.notes)
        return Finding("agreement", False, "error", None, detail + (f": {why}" if why else ""))
    one, two = first.above, second.above
    apart = np.abs(np.expm1(np.clip(two - one, -700.0, 700.0)))
    scale = "lam"
    if "alphas_cumprod" in (label, other):
        apart = apart * np.exp(one - np.logaddexp(0.0, one))
        scale = "1 + lam"
    k = int(np.argmax(apart))
    worst = float(apart[k])

    def place(name: str, s: Schedule) -> str:
        at = k if s.places is None else int(s.places[k])
        held = f" = {np.asarray(arrays[name])[at]:.9g}" if name in arrays else ""
        return f"{name}[{at}]{held}"

    detail = (
        f"lam of {place(label, first)} and of {place(other, second)}, {math.exp(min(one[k], 700.0)):.6g} and "
        f"{math.exp(min(two[k], 700.0)):.6g}, differ by {worst:.3g} of {scale}, the most of all"
    )
    rounding = ROUNDING
    for name in (label, other):
        kind = np.asarray(arrays[name]).dtype if name in arrays else np.dtype(float)
        if kind.kind == "f" and kind.itemsize < 8:  # a product of so many factors, each rounded
            bound = min(2.0 * first.K * float(np.finfo(kind.name).eps), 1e-3)
            detail += f" ({kind} may lose {bound:.2g} in {first.K} products)"
            rounding = max(rounding, bound)
    return graded_by("agreement", worst, detail, rounding)
