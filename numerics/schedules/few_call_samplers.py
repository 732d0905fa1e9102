"""What a few calls could reach on these data, and what three samplers do with them: the floor of all affine samplers; the
fitted phase sampler, the refitted one, and DPM-Solver++(2M), on the Gaussian and on the samples themselves (section 17).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from numerics.schedules.few_step_families import fitted, refitted, tuned_levels
from numerics.targets.datasets import Dataset
from numerics.targets.mixtures import SmoothedData
from wbound.bounds.theorem_6 import affine_floor
from wbound.data.binned_spectrum import spectral_bins
from wbound.design.look_back import walked
from wbound.errors import BadInput, count
from wbound.exact.law_of_tape import tape_law
from wbound.exact.tape_response import amplification, state_widths
from wbound.sampler.multistep import multistep_named
from wbound.sampler.tape import Tape

if TYPE_CHECKING:
    from numerics.verification.common_noise import CommonNoise

__all__ = ["MOST_CALLS", "FewCalls", "Sampler", "Smoothing", "few_calls"]

#: Calls up to which the samplers are made: beyond, the phase sampler is exact to rounding on most spectra.
MOST_CALLS = 30
#: Samples that make the smoothed law, pairs of draws, calls of the fine run, the smoothing over the data's standard
#: deviation a coordinate, and the dimension up to which it is sampled.
POINTS, PAIRS, FINE, SHARE, MOST_DIMENSIONS = 800, 400, 100, 0.1, 4096
#: What is said of the sampler that stands first.
FIRST = {
    "phase": "the phase sampler has the least W2 on the smoothed samples too",
    "refitted": "the refitted sampler has the least W2 on the smoothed samples and stands first",
    "dpmpp-2m": "DPM-Solver++(2M) wins on the smoothed samples and stands first, whatever the Gaussian says",
}
#: An eigenvalue below this share of the largest is none: nothing varies in its direction.
NOTHING = 1e-10


@dataclass(frozen=True)
class Smoothing:
    """The law that samplers are run on: ``points`` of the data's samples smoothed by normal noise of ``tau`` (x) a
    coordinate, in ``pairs`` pairs of draws from common noise."""

    points: int
    tau: float
    pairs: int


@dataclass(frozen=True, eq=False)
class Sampler:
    """A sampler of ``calls`` calls as its ``tape``, which starts at the data's mean.

    ``w2``: exact, not squared, in x, on the Gaussian; ``smoothed``: W2 over √tr Σ to the smoothed samples, exact score, estimated
    from pairs (None: no samples); ``amplification``: `wbound.exact.tape_response.amplification` on the spectrum;
    ``width_low`` and ``width``: least and largest standard deviation of the states that the network sees over q_λ's.
    """

    name: str
    calls: int
    w2: float
    smoothed: float | None
    amplification: float
    width_low: float
    width: float
    tape: Tape = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The numbers; `Tape.save` writes the tape."""
        return {name: value for name, value in vars(self).items() if name != "tape"}


@dataclass(frozen=True, eq=False)
class FewCalls:
    """``floor``: E_K, the least worst-case W2/√tr Σ of affine samplers over spectra within a factor ``kappa``, and
    ``floor_w2`` = E_K √tr Σ in x; ``samplers``, best first, with ``why`` in that order."""

    calls: int
    kappa: float
    directions: int
    floor: float
    floor_w2: float
    samplers: tuple[Sampler, ...]
    smoothing: Smoothing | None
    why: str

    def sampler(self, name: str) -> Sampler:
        """The one called so. Raises `BadInput` where there is none."""
        for one in self.samplers:
            if one.name == name:
                return one
        raise BadInput("steps", self.calls, f"must be at most {MOST_CALLS} for a {name} sampler")

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            **{name: getattr(self, name) for name in ("calls", "kappa", "directions", "floor", "floor_w2", "why")},
            "samplers": [one.to_dict() for one in self.samplers],
            "smoothing": None if self.smoothing is None else vars(self.smoothing),
        }  # fmt: skip


def few_calls(data: Dataset, calls: int, samples: NDArray[Any] | None = None, seed: int = 0) -> FewCalls:
    """The floor (*lower*, for the class of the data's κ on the directions that vary), and the fitted phase sampler, the
    refitted one and DPM-Solver++(2M) on log-uniform levels, their range tuned on the Gaussian, with ``calls`` calls each.

    samples (n, …): the data themselves, for a look beyond the Gaussian; without them (a spectrum) there is none. What has the
    least W2 there stands first, 2M too. Raises `BadInput`.
    """
    K = count("steps", calls)
    x = data.eigenvalues[data.eigenvalues > NOTHING * data.eigenvalues[-1]]
    kappa = float(x[-1] / x[0])
    floor = affine_floor(kappa, K)
    blank = FewCalls(K, kappa, int(x.size), floor, floor * data.spread, (), None, "")
    if K > MOST_CALLS:
        return replace(blank, why=f"the samplers are made for up to {MOST_CALLS} calls")
    common = _common(data, samples, seed)
    values, number, _ = spectral_bins(data.eigenvalues, most=64)
    coarse = (tuple(values.tolist()), tuple(number.tolist()))
    whole = (tuple(data.eigenvalues.tolist()), (1.0,) * data.d)
    of = fitted(whole, K)
    tapes = {
        "phase": walked(of.levels, of.z / of.levels, of.nu, 0.0, "phase"),
        "refitted": refitted(whole, K),
        "dpmpp-2m": multistep_named("dpmpp-2m").tape(np.array(tuned_levels(coarse, K))),
    }
    found = [_looked_at(name, tape, data, common) for name, tape in tapes.items()]
    if common is None:
        why = "no samples to run on: in the order of W2 on the Gaussian, which is what the phase sampler is made for"
        return replace(blank, samplers=tuple(sorted(found, key=lambda s: s.w2)), why=why)
    found.sort(key=lambda s: s.smoothed or 0.0)
    smoothing = Smoothing(
        len(common.target.points), float(common.target.variances[0]) ** 0.5, common.noise.shape[1]
    )
    return replace(blank, samplers=tuple(found), smoothing=smoothing, why=FIRST[found[0].name])


def _common(data: Dataset, samples: NDArray[Any] | None, seed: int) -> CommonNoise | None:
    if samples is None or data.d > MOST_DIMENSIONS:
        return None
    from numerics.verification.common_noise import CommonNoise

    flat = np.asarray(samples, dtype=np.float64).reshape(len(samples), -1)
    if len(flat) > POINTS:
        flat = flat[np.sort(np.random.default_rng(seed).permutation(len(flat))[:POINTS])]
    return CommonNoise(SmoothedData(flat - flat.mean(axis=0), SHARE * data.scale), PAIRS, seed, FINE)


def _looked_at(name: str, tape: Tape, data: Dataset, common: CommonNoise | None) -> Sampler:
    x = data.eigenvalues
    widths = state_widths(tape, x[x > NOTHING * x[-1]])
    return Sampler(
        name,
        tape.K,
        tape_law(tape, x).w2(),
        None if common is None else common.relative(tape),
        amplification(tape, x),
        float(widths.min()),
        float(widths.max()),
        tape,
    )
