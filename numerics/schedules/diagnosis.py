"""What the schedule doctor says: findings, the diagnosis that they make, and what a start costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wbound.data.gaussian import Gaussian

__all__ = [
    "AGREES",
    "QUIET",
    "ROUNDING",
    "Diagnosis",
    "Finding",
    "ending",
    "graded_by",
    "judged_on",
    "start_w2",
]


#: Relative disagreement that counts as none.
AGREES = 1e-7
#: And as rounding, of numbers typed with a few digits or held in single precision: a warning.
ROUNDING = 1e-5
#: The variance that schedules are judged on without data: that of images in [−1, 1] (σ_data = 0.5 of Karras
#: et al. 2022). With variance 1 every VP process starts without an error, whatever is left of the data.
VARIANCE = 0.25
#: Signal-to-noise ratio at T, and share of the data's size lost by the start, below which a start is called quiet.
QUIET = 0.01
#: What is not quiet is warned of where a first level twice as high would lower W2 by this share, whatever the sampler of
#: `wbound.exact.clock_law`.
LOUD = 0.1


@dataclass(frozen=True)
class Finding:
    """One check: ``ok``; ``level`` "error" (not a schedule, see `Diagnosis.verdict`) or "warning" (it costs
    accuracy, or is rounding); ``value``, the number looked at; ``detail`` in words."""

    name: str
    ok: bool
    level: str
    value: float | None
    detail: str


@dataclass(frozen=True)
class Diagnosis:
    """All findings on one schedule. ``consistent``: no check of level error failed. ``notes``: the data judged
    on, and what was taken otherwise than it stands."""

    name: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def consistent(self) -> bool:
        return all(f.ok for f in self.findings if f.level == "error")

    @property
    def verdict(self) -> str:
        """One line: consistent, or what the first error means."""
        wrong = next((f for f in self.findings if f.level == "error" and not f.ok), None)
        return "consistent" if wrong is None else f"INCONSISTENT: {_MEANS[wrong.name]}"

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
        return {
            "name": self.name,
            "consistent": self.consistent,
            "verdict": self.verdict,
            "findings": rows,
            "notes": list(self.notes),
        }


#: What an error says of the schedule.
_MEANS = {
    "array": "this array is no schedule of its form",
    "monotone clock": "no forward SDE has this schedule",
    "agreement": "the arrays are not of one schedule",
    "coefficients": "f and g are not those of section 0's setting on all of (0, T]",
    "law": "the law of this f and g could not be computed",
    "mean factor": "the mean factor claimed is not that of this f",
    "marginal std": "the std claimed is not that of this f and g",
    "g against the marginal": "the std claimed is not that of this f and g",
}


def start_w2(
    data: Gaussian, log_alpha: float, log_lam: float, prior_variance: float, over: float | None = None
) -> tuple[float, float]:
    """W2 in x between p_T and the start N(0, prior_variance·I), and what is left of it after the exact
    reverse SDE.

    For Gaussian data, exactly: each coordinate of p_T has variance α²(ς²+λ) and the reverse SDE carries a
    difference of variances to the output times (ς²/(α(ς²+λ)))². ``over``: (prior_variance − σ²)/α², where it is
    known without the difference, which has no digit left for small α². Kind: *exact*.
    """
    s, mean2 = data.eigenvalues, data.coordinates**2
    alpha, lam = math.exp(log_alpha), math.exp(log_lam)
    w = alpha**2 * (s + lam)
    more = (prior_variance / alpha**2 - lam if over is None else over) - s  # of the variance, over α²
    at_T = (alpha**2 * more / (np.sqrt(w) + math.sqrt(prior_variance))) ** 2 + alpha**2 * mean2
    share = s / (s + lam)
    moved = np.maximum(share**2 * more, -s)
    wide = np.sqrt(s + moved) + np.sqrt(s)
    out = np.divide(moved, wide, out=np.zeros_like(s), where=wide > 0.0) ** 2 + mean2 * share**2
    return math.sqrt(float(at_T.sum())), math.sqrt(float(out.sum()))


def judged_on(data: Gaussian | None) -> tuple[Gaussian, str]:
    """The data to judge on, and which they are in words."""
    if data is not None:
        share = float(data.eigenvalues.sum()) / data.d
        return (
            data,
            f"judged on the Gaussian of the data given: d = {data.d}, variance {share:.4g} a coordinate",
        )
    said = f"judged on N(0, {VARIANCE:g}), the variance usually taken for images in [-1, 1]; give your own data for theirs"
    return Gaussian(np.zeros(1), VARIANCE), said


def graded_by(name: str, worst: float, detail: str, rounding: float = ROUNDING) -> Finding:
    """A relative disagreement: none, a warning where rounding may be all of it, or an error."""
    warned = AGREES < worst <= rounding
    said = f"{detail}: small enough for rounding" if warned else detail
    return Finding(name, worst <= AGREES, "warning" if warned else "error", worst, said)


def ending(
    data: Gaussian,
    log_alpha: float,
    log_lam: float,
    smoothing: float,
    prior: float,
    start: str,
    over: float | None,
    higher: Callable[[], tuple[float, str]] | None = None,
) -> list[Finding]:
    """The signal left at T and the start's error. higher: of a schedule with K steps, the share of W2 that a first
    level twice as high would leave, and with which sampler; asked for only where the start is not quiet."""
    spread = float(data.eigenvalues.sum()) / data.d
    snr = spread / math.exp(min(log_lam, 700.0))
    smoothed = Gaussian(data.coordinates, data.eigenvalues + smoothing**2)
    at_T, left = start_w2(smoothed, log_alpha, log_lam, prior, over)
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
            f"signal-to-noise ratio, the data's variance {spread:.4g} over lam(T) = {math.exp(min(log_lam, 700.0)):.4g}"
            f": {snr:.4g}; quiet up to {QUIET:g} (alpha(T) = {math.exp(log_alpha):.4g}, alpha(T)^2 = "
            f"{math.exp(2.0 * log_alpha):.4g}){said}",
        ),
        Finding(
            "start error",
            quiet_start or (enough and left <= 2.0 * noise),
            "warning",
            left,
            f"W2(p_T, {name}) = {at_T:.6g}; after the exact reverse SDE {left:.6g} of the data's {whole:.6g}",
        ),
    ]
