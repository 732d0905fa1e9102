"""The schedule doctor: is a claimed schedule one forward SDE's, and does it end where its sampler starts?

Section 0's identities for expressions in t: α' = −fα and (std²)' = g² − 2f·std², the monotone clock, the
signal left at T, and what that does to W2. For arrays: the clock, the end, the start error and the steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from numerics.schedules import Schedule, from_array
from wbound import Process
from wbound.data import Gaussian
from wbound.errors import BadInput, WboundError, one_of, positive
from wbound.expressions import accept, function, symbol
from wbound.spectrum import FLOWS, PAIRS, Spectrum, clock_w2

__all__ = ["Diagnosis", "Finding", "check_expressions", "check_schedule", "image_claims", "start_w2"]

Array = NDArray[np.float64]

#: Relative disagreement that counts as rounding of a claimed closed form.
AGREES = 1e-7
#: Signal-to-noise ratio at T, and share of the data's size lost by the start, below which a start is called quiet.
QUIET = 0.01
#: A step in which λ falls by more than `FAR` is looked at.
FAR = 100.0
#: What is not quiet, or far, is warned of where the remedy would lower W2 by these shares whatever the sampler of
#: `wbound.spectrum`: a first level twice as high (`LOUD`), one more node in the longest step (`LONG`).
LOUD, LONG = 0.1, 0.4
POINTS = 400


@dataclass(frozen=True)
class Finding:
    """One check: ``ok``; ``level`` "error" (no forward SDE has this) or "warning" (it costs accuracy);
    ``value``, the number looked at; ``detail`` in words."""

    name: str
    ok: bool
    level: str
    value: float | None
    detail: str


@dataclass(frozen=True)
class Diagnosis:
    """All findings on one schedule. ``consistent``: no check of level error failed."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def consistent(self) -> bool:
        return all(f.ok for f in self.findings if f.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Checks of level warning that failed."""
        return tuple(f for f in self.findings if f.level == "warning" and not f.ok)

    def __getitem__(self, name: str) -> Finding:
        return next(f for f in self.findings if f.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; infinities and NaN become None."""
        rows = [
            {**vars(f), "value": f.value if f.value is None or math.isfinite(f.value) else None}
            for f in self.findings
        ]
        return {"name": self.name, "consistent": self.consistent, "findings": rows}


def start_w2(data: Gaussian, log_alpha: float, log_lam: float, prior_variance: float) -> tuple[float, float]:
    """W2 in x between p_T and the start N(0, prior_variance·I), and what is left of it after the exact
    reverse SDE.

    For Gaussian data, exactly: each coordinate of p_T has variance α²(ς²+λ) and the reverse SDE carries a
    difference of variances to the output times (ς²/(α(ς²+λ)))². Kind: *exact*.
    """
    s, mean2 = data.eigenvalues, data.coordinates**2
    alpha, lam = math.exp(log_alpha), math.exp(log_lam)
    w = alpha**2 * (s + lam)
    at_T = (np.sqrt(w) - math.sqrt(prior_variance)) ** 2 + alpha**2 * mean2
    share = s / (s + lam)
    left = np.maximum(s + share**2 * (prior_variance / alpha**2 - s - lam), 0.0)
    out = (np.sqrt(left) - np.sqrt(s)) ** 2 + mean2 * share**2
    return math.sqrt(float(at_T.sum())), math.sqrt(float(out.sum()))


def _unit() -> Gaussian:
    return Gaussian(np.zeros(1), 1.0)


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
    positive numbers; T: the end; data: Gaussian data (default N(0, 1)) for the signal-to-noise ratio and
    the start's W2; start: "prior" N(0, σ²(T)), or the claimed std(T)², or "standard" N(0, I). A std that is
    std(0) > 0 at t = 0 is accepted as the literature's convention (section 9: data smoothed by std(0)).
    Comparisons are made at `POINTS` times: they find a wrong formula, they do not prove a right one.

    Raises `BadInput` for expressions that cannot be read and for T ≤ 0. Sources: section 0, section 9.
    """
    values = dict(parameters or {})
    T = positive("T", T)
    one_of("start", start, ("prior", "standard"))
    process = Process(f=f, g=g, **values)
    found: list[Finding] = []
    t = T * np.unique(
        np.concatenate((np.geomspace(1e-4, 1.0, POINTS // 2), np.linspace(0.0, 1.0, POINTS // 2 + 1)[1:]))
    )
    try:
        process.check_domain(T)
    except BadInput as error:
        return Diagnosis(name, (Finding("coefficients", False, "error", None, str(error)),))
    found.append(
        Finding("coefficients", True, "error", None, "f and g are finite and >= 0 on (0, T], g not 0")
    )
    try:
        log_alpha, log_lam = process.law(t)
    except WboundError as error:
        found.append(Finding("law", False, "error", None, str(error)))
        return Diagnosis(name, tuple(found))
    alpha = np.exp(log_alpha)
    smoothing = 0.0
    if mean_factor is not None:
        claimed = _values(mean_factor, values, t, "mean_factor")
        found.append(_compare("mean factor", claimed, alpha, t, "alpha = exp(-int f)"))
    std = None
    if marginal_std is not None:
        std = _values(marginal_std, values, t, "marginal_std")
        first = float(_values(marginal_std, values, np.zeros(1), "marginal_std")[0])
        smoothing = first if math.isfinite(first) and first > 0.0 else 0.0
        found += _marginal(process, marginal_std, values, std, t, T, alpha, log_lam, smoothing)
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
    gaussian = data or _unit()
    end = float(log_lam[-1])
    prior = (
        1.0
        if start == "standard"
        else float(std[-1]) ** 2
        if std is not None
        else math.exp(end + 2.0 * float(log_alpha[-1]))
    )
    found += _ending(gaussian, float(log_alpha[-1]), end, smoothing, prior, start)
    return Diagnosis(name, tuple(found))


def _values(expression: Any, parameters: Mapping[str, float], t: Array, option: str) -> Array:
    expr = accept(expression, "t", tuple(parameters), option=option)
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
    return Finding(name, worst <= AGREES, "error", worst, detail)


def _marginal(
    process: Process,
    expression: Any,
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
    expr = accept(expression, "t", tuple(parameters), option="marginal_std")
    slope = sp.diff(expr**2, symbol("t"))

    def factor(at: Array) -> Array:
        names = tuple(symbol(p) for p in parameters)
        rate = function(slope, symbol("t"), *names)(at, *(float(v) for v in parameters.values()))
        # a constant std implies g = 0; a std that overflows implies no g
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            implied = (
                np.asarray(rate, float)
                + 2.0 * process.f(at) * _values(expression, parameters, at, "marginal_std") ** 2
            )
            return process.g(at) ** 2 / implied

    ratio, middle = factor(t), float(factor(np.array([0.5 * T]))[0])
    away = np.where(np.isfinite(ratio), np.abs(ratio - 1.0), np.inf)
    k = int(np.argmax(away))
    ok = bool(away[k] <= AGREES)
    if ok:
        said = "g^2 = (std^2)' + 2 f std^2"
    else:
        size = "large" if middle > 1.0 else "small"
        said = (
            f"g^2 is too {size} by a factor {middle:.4g} at t = {0.5 * T:g} against (std^2)' + 2 f std^2 "
            f"(and {float(ratio[k]):.4g} at t = {t[k]:.4g})"
        )
    out.append(Finding("g against the marginal", ok, "error", middle, said))
    return out


def _ending(
    data: Gaussian,
    log_alpha: float,
    log_lam: float,
    smoothing: float,
    prior: float,
    start: str,
    higher: Callable[[], tuple[float, str]] | None = None,
) -> list[Finding]:
    """The signal left at T and the start's error. higher: of a schedule with K steps, the share of W2 that a first
    level twice as high would leave, and with which sampler; asked for only where the start is not quiet."""
    spread = float(data.eigenvalues.sum()) / data.d
    snr = spread / math.exp(min(log_lam, 700.0))
    smoothed = Gaussian(data.coordinates, data.eigenvalues + smoothing**2)
    at_T, left = start_w2(smoothed, log_alpha, log_lam, prior)
    whole = math.sqrt(data.second_moment)
    quiet_start, enough, said = left <= QUIET * whole, False, ""
    if higher is not None and not (quiet_start and snr <= QUIET):
        kept, scheme = higher()
        enough = kept > 1.0 - LOUD
        said = (
            f"; twice as high a first level leaves {kept:.3g} of W2 with {scheme}, the sampler it helps least"
        )
    # N(0, I) in place of N(0, σ²(T)I) is no matter of the first level
    noise = start_w2(smoothed, log_alpha, log_lam, math.exp(min(log_lam, 700.0) + 2.0 * log_alpha))[1]
    name = "N(0, I)" if start == "standard" else f"N(0, {prior:.6g} I)"
    return [
        Finding(
            "signal at T",
            snr <= QUIET or enough,
            "warning",
            snr,
            f"terminal signal-to-noise ratio (data's variance over lam(T)) {snr:.4g}; quiet up to {QUIET:g}{said}",
        ),
        Finding(
            "start error",
            quiet_start or (enough and left <= 2.0 * noise),
            "warning",
            left,
            f"W2(p_T, {name}) = {at_T:.6g}; after the exact reverse SDE {left:.6g} of the data's {whole:.6g}",
        ),
    ]


# ---------------------------------------------------------------------- arrays


def check_schedule(
    schedule: Schedule | None = None,
    *,
    sigmas: ArrayLike | None = None,
    betas: ArrayLike | None = None,
    alphas_cumprod: ArrayLike | None = None,
    data: Gaussian | None = None,
    name: str | None = None,
) -> Diagnosis:
    """Check a schedule of nodes: a `Schedule`, or arrays. Two arrays of one schedule are compared with each
    other.

    An array that cannot be a schedule at all (NaN, zeros, not monotone) is an error among the findings.
    ``data``: Gaussian data, default N(0, 1). Raises `BadInput` when nothing is given.
    """
    given = {"sigmas": sigmas, "betas": betas, "alphas_cumprod": alphas_cumprod}
    arrays = {form: values for form, values in given.items() if values is not None}
    if schedule is None and not arrays:
        raise BadInput("schedule", "nothing", "give a schedule, sigmas, betas or alphas_cumprod")
    found: list[Finding] = []
    read: dict[str, Schedule] = {} if schedule is None else {schedule.name: schedule}
    for form, values in arrays.items():
        try:
            read[form] = from_array(values, form)
        except BadInput as error:
            found.append(Finding("monotone clock", False, "error", None, str(error)))
    if not read:
        return Diagnosis(name or next(iter(arrays)), tuple(found))
    (label, first), *others = read.items()
    found.append(
        Finding("monotone clock", True, "error", None, f"lam falls strictly over {first.K} steps to 0")
    )
    for other, s in others:
        if s.K != first.K:
            found.append(
                Finding("agreement", False, "error", None, f"{label} has {first.K} steps and {other} {s.K}")
            )
            continue
        apart = float(np.abs(np.expm1(s.log_lam[:-1] - first.log_lam[:-1])).max())
        detail = f"lam of {label} and of {other} differ by {apart:.3g} at most"
        found.append(Finding("agreement", apart <= 1e-5, "error", apart, detail))
    gaussian = data or _unit()
    found.append(_largest_step(first.log_lam, gaussian))
    log_alpha = float(first.process.law(first.process.time_of(first.log_lam[:1]))[0][0])
    end = float(first.log_lam[0])
    kappa = first.process.kappa
    start = "standard" if kappa is not None and abs(kappa - 1.0) < 1e-12 else "prior"  # samplers of ᾱ and β
    prior = 1.0 if start == "standard" else math.exp(end + 2.0 * log_alpha)
    found += _ending(
        gaussian, log_alpha, end, 0.0, prior, start, lambda: _least_helped(gaussian, first.log_lam, higher)
    )
    return Diagnosis(name or first.name, tuple(found))


def _least_helped(
    data: Gaussian, log_lam: Array, change: Callable[[Array, float], Array]
) -> tuple[float, str]:
    """The largest share of exact W2 (from p_T, plus what the prior start changes) that a change of the nodes leaves
    with any sampler of the clock, and that sampler. One that is worse than no output at all does not count; 0 if
    none is left, or λ leaves double precision."""
    spectrum, whole, kept = Spectrum.of(data), math.sqrt(data.second_moment), {"any": 0.0}
    other = change(log_lam, float(data.eigenvalues.mean()))
    if float(other[0]) < 300.0:
        for scheme in (*PAIRS, *FLOWS):
            before, after = (clock_w2(spectrum, nodes, scheme).robust for nodes in (log_lam, other))
            if before <= whole:
                kept[scheme] = after / before if before > 0.0 else 1.0
    least = max(kept, key=lambda scheme: kept[scheme])
    return kept[least], least


def higher(log_lam: Array, variance: float) -> Array:
    """The nodes with √λ(T) twice as high, moved alike in log(1 + λ/ς²)."""
    unit = math.log(variance) if variance > 0.0 else float(log_lam[0])
    place = np.logaddexp(0.0, log_lam - unit)
    moved = place * (np.logaddexp(0.0, log_lam[0] + math.log(4.0) - unit) / place[0])
    with np.errstate(divide="ignore"):  # the last node is λ = 0
        return np.asarray(unit + moved + np.log(-np.expm1(-moved)))


def finer(log_lam: Array, variance: float) -> Array:
    """The nodes with one more, in the geometric middle of the step in which λ falls most."""
    k = int((-np.diff(log_lam[:-1])).argmax())
    return np.insert(log_lam, k + 1, 0.5 * (log_lam[k] + log_lam[k + 1]))


def _largest_step(log_lam: Array, data: Gaussian) -> Finding:
    """The step in which λ falls most. Far above the data's variance a sampler may cross decades at no cost (DDIM is
    exact there), so what a long step costs is looked at: what a node at its geometric middle would gain."""
    falls = -np.diff(log_lam[:-1])
    ratio = math.exp(min(float(falls.max(initial=0.0)), 700.0))
    detail = f"lam falls by a factor {ratio:.4g} at most in one step"
    if ratio <= FAR:
        return Finding("largest step", True, "warning", ratio, detail)
    kept, scheme = _least_helped(data, log_lam, finer)
    detail += f"; one more node there leaves {kept:.3g} of W2 with {scheme}, the sampler it helps least"
    return Finding("largest step", kept >= 1.0 - LONG, "warning", ratio, detail)


# ---------------------------------------------------------------------- the images' schedules as claimed

_STDS = {
    "original": "sigma_min*(sigma_max/sigma_min)**t",
    "v1": "sqrt(sigma_min**2+(sigma_max**2-sigma_min**2)*t)",
    "v2": "sqrt(sigma_min**2+(sigma_max**2-sigma_min**2)*t**2)",
    "v3": "(sigma_min**(1/rho)+(sigma_max**(1/rho)-sigma_min**(1/rho))*t)**rho",
}
_BASE = "(beta_min**(1/rho)+(beta_max**(1/rho)-beta_min**(1/rho))*t)"
_BETAS = {
    "original": ("beta_min+(beta_max-beta_min)*t", "beta_min*t+(beta_max-beta_min)*t**2/2"),
    "v1": ("(beta_min+beta_max)/2", "(beta_min+beta_max)/2*t"),
    "v2": (
        f"{_BASE}**rho",
        f"({_BASE}**(rho+1)-beta_min**((rho+1)/rho))/((rho+1)*(beta_max**(1/rho)-beta_min**(1/rho)))",
    ),
    "v3": (
        "beta_min*(beta_max/beta_min)**t",
        "beta_min*((beta_max/beta_min)**t-1)/log(beta_max/beta_min)",
    ),
}


def image_claims(
    sigma_min: float = 0.01,
    sigma_max: float = 50.0,
    beta_min: float = 0.1,
    beta_max: float = 20.0,
    rho: float = 2.0,
) -> dict[str, dict[str, Any]]:
    """Section 9's eight image schedules as a public implementation claims them: keyword arguments of
    `check_expressions`. The VE ones all claim g = std·√(2 log(sigma_max/sigma_min)), which is right for
    ``original`` and wrong for v1, v2, v3."""
    sigma = {"sigma_min": sigma_min, "sigma_max": sigma_max}
    beta = {"beta_min": beta_min, "beta_max": beta_max}
    claims: dict[str, dict[str, Any]] = {}
    for form, (rate, integral) in _BETAS.items():
        claims[f"image-vp-{form}"] = {
            "f": f"({rate})/2",
            "g": f"sqrt({rate})",
            "mean_factor": f"exp(-({integral})/2)",
            "marginal_std": f"sqrt(-expm1(-({integral})))",
            "parameters": beta | ({"rho": rho} if form == "v2" else {}),
            "start": "standard",
        }
    for form, std in _STDS.items():
        claims[f"image-ve-{form}"] = {
            "f": "0",
            "g": f"({std})*sqrt(2*log(sigma_max/sigma_min))",
            "marginal_std": std,
            "parameters": sigma | ({"rho": rho} if form == "v3" else {}),
        }
    return claims
