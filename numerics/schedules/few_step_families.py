"""Families of samplers for 5 to 20 calls between the fitted phase sampler and DPM-Solver++(2M): tapes for a spectrum, K
calls and one number (section 17).

Both parents are made for the Gaussian with the data's covariance and know nothing else of the data: nodes fitted to its
spectrum; log-uniform levels, then 0, whose range has the least W2 there (from p_T, plus what the prior start changes).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
from scipy.optimize import least_squares

from wbound.design import look_back
from wbound.design.look_back import SHARE, copied, walked
from wbound.design.phase_nodes import fitted_nodes
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import PhaseSampler, phase_levels, zolotarev_levels
from wbound.sampler.multistep import multistep_named
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = [
    "FAMILIES",
    "PARENTS",
    "Family",
    "Spectrum",
    "fitted",
    "phase_parent",
    "refitted",
    "tuned",
    "tuned_levels",
]

#: Distinct eigenvalues (x², ascending) and how often each stands.
Spectrum = tuple[tuple[float, ...], tuple[float, ...]]
#: σ_max over the largest standard deviation that are tried for a range, and how many values of the last σ above 0: from
#: 1/100 of the smallest to half of the largest, or twice the smallest.
HIGHS = tuple(np.geomspace(1.5, 150.0, 13).tolist())
LOWS = 17
#: Evaluations of 2M's own fit at most, and when it is close enough.
ROUNDS: int = 60
CLOSE: dict[str, float] = {"xtol": 1e-9, "ftol": 1e-9, "gtol": 1e-12}


@dataclass(frozen=True)
class Family:
    """``make(spectrum, K, theta)`` is a tape of K calls for every number of ``thetas``."""

    name: str
    words: str
    thetas: tuple[float, ...]
    make: Callable[[Spectrum, int, float], Tape]


def _law(spectrum: Spectrum) -> tuple[Array, Array]:
    return np.array(spectrum[0]), np.array(spectrum[1])


@lru_cache(maxsize=512)
def fitted(spectrum: Spectrum, K: int) -> PhaseSampler:
    """The phase sampler with nodes fitted to the spectrum."""
    return phase_levels(fitted_nodes(spectrum[0], K, spectrum[1]))


def phase_parent(spectrum: Spectrum, K: int) -> Tape:
    """The phase sampler with nodes fitted to the spectrum, as a tape."""
    return fitted(spectrum, K).tape()


@lru_cache(maxsize=2048)
def tuned_levels(
    spectrum: Spectrum, K: int, scheme: str = "dpmpp-2m", most: float = math.inf
) -> tuple[float, ...]:
    """Log-uniform levels λ (K+1,), the last 0, with the range at which the scheme's W2 on the Gaussian is least; σ at most
    ``most`` (x), as a network asks."""
    x, n = _law(spectrum)
    small, large = math.sqrt(x[0]), math.sqrt(x[-1])
    lows = np.geomspace(0.01 * small, max(2.0 * small, 0.5 * large), LOWS).tolist()
    ranges = [(high * large, low) for high in HIGHS for low in lows if low < high * large <= most]
    if not ranges:
        return (0.0,)
    tops, bottoms = np.array(ranges).T
    lam = np.hstack((np.geomspace(tops, bottoms, K, axis=1), np.zeros((len(ranges), 1)))) ** 2
    exact, prior = TOGETHER.get(scheme, partial(_outputs, scheme))(lam, x)
    off = np.sqrt((exact - np.sqrt(x)) ** 2 @ n) + np.sqrt((exact - prior) ** 2 @ n)
    return tuple(lam[int(np.argmin(off))].tolist())


def _outputs(scheme: str, lam: Array, x: Array) -> tuple[Array, Array]:
    """√V (M, E) of a scheme's outputs on each row of levels (M, K+1), from p_T and from the prior."""
    laws = [tape_law(multistep_named(scheme).tape(row), x) for row in lam]
    gain, noise = (np.array([getattr(law, name) for law in laws]) for name in ("gain", "noise"))
    far = lam[:, :1]
    exact, prior = (np.sqrt(gain**2 * (v / (1.0 + far)) + noise) for v in (x + far, far))
    return exact, prior


def _outputs_of_2m(lam: Array, x: Array) -> tuple[Array, Array]:
    """`_outputs` of DPM-Solver++(2M), all rows at once, as `two_m_from` has it."""
    far = lam[:, :1]
    per_unit = look_back.gains(np.ones(len(lam)), lam[:, :-1], np.sqrt(lam[:, 1:] / lam[:, :-1]), 1.0, x)
    return per_unit * np.sqrt(x + far), per_unit * np.sqrt(far)


#: Schemes whose outputs are known on many sets of levels at once.
TOGETHER: dict[str, Callable[[Array, Array], tuple[Array, Array]]] = {"dpmpp-2m": _outputs_of_2m}


def tuned(scheme: str, spectrum: Spectrum, K: int, most: float = math.inf) -> Tape:
    """A multistep scheme on its `tuned_levels`."""
    return multistep_named(scheme).tape(np.array(tuned_levels(spectrum, K, scheme, most)))


def blend(a: Tape, b: Tape, theta: float) -> Tape:
    """(1 − θ)a + θb, row by row: tapes of the same levels; the start of ``a``."""
    unit = math.sqrt((1.0 + b.start_level) / (1.0 + a.start_level))

    def mixed(name: str, factor: float = 1.0) -> Array:
        return np.asarray((1.0 - theta) * getattr(a, name) + theta * factor * getattr(b, name))

    return replace(
        a, start=mixed("start", 1.0 / unit), answers=mixed("answers"), made={"scheme": "blend", "K": a.K}
    )


def two_m_from(levels: Array, nu: float, share: float = 1.0) -> Tape:
    """2M on ``levels`` (K+1,), the last 0, from N(0, ν²), with ``share`` of its look back."""
    return walked(levels[:-1], np.sqrt(levels[1:] / levels[:-1]), nu, share, "dpmpp-2m")


def _look_back(of: PhaseSampler, theta: float, clipped: float = 0.0) -> Tape:
    """The phase sampler's levels and start, with keep = (z/λ)^{1−c}(√(λ′/λ))^c and θ of 2M's look back."""
    keeps = of.z / of.levels
    toward = np.sqrt(np.append(of.levels[1:], 0.0) / of.levels)
    return walked(of.levels, keeps ** (1.0 - clipped) * toward**clipped, of.nu, theta, "phase-2m")


def _misfit(made: Callable[[Array], Tape], spectrum: Spectrum) -> Callable[[Array], Array]:
    """(√V − √x)/√tr Σ of a tape's law, eigenvalue by eigenvalue."""
    x, n = _law(spectrum)
    root = np.sqrt(n / float(n @ x))
    return lambda q: np.asarray(root * (np.sqrt(tape_law(made(q), x).variance) - np.sqrt(x)))


def inflated(spectrum: Spectrum, theta: float) -> Spectrum:
    """The spectrum and its copies down to x/θ (`wbound.design.look_back.copied`)."""
    values, number = copied(*_law(spectrum), theta)
    return tuple(values.tolist()), tuple(number.tolist())


@lru_cache(maxsize=512)
def refitted(spectrum: Spectrum, K: int, share: float = SHARE, theta: float | None = None) -> Tape:
    """`wbound.design.look_back.refitted`, kept."""
    of = fitted(spectrum, K)
    return look_back.refitted(spectrum[0], K, spectrum[1], share=share, theta=theta, of=of)


def _spanning(spectrum: Spectrum, K: int, reach: float) -> Tape:
    return refitted(spectrum, K, theta=max(1.0, reach * spectrum[0][0] / spectrum[0][-1]))


@lru_cache(maxsize=512)
def fitted_2m(spectrum: Spectrum, K: int) -> Tape:
    """2M on K levels and from a start that are fitted to the spectrum in the same way, from the tuned levels."""
    first = np.log(np.array(tuned_levels(spectrum, K)[:-1]))

    def made(q: Array) -> Tape:
        levels = np.exp(q[1] - np.append(0.0, np.cumsum(np.exp(q[2:]))))
        return two_m_from(np.append(levels, 0.0), math.exp(q[0]))

    q0 = np.concatenate(([0.5 * first[0], first[0]], np.log(-np.diff(first))))
    misfit = _misfit(made, spectrum)
    return made(least_squares(misfit, q0, bounds=(q0 - 4.0, q0 + 3.0), max_nfev=ROUNDS, **CLOSE).x)


def _shrunk(spectrum: Spectrum, K: int, theta: float) -> Tape:
    of = fitted(spectrum, K)
    return blend(of.tape(), two_m_from(np.append(of.levels, 0.0), of.nu), theta)


def _at_2m(spectrum: Spectrum, K: int, theta: float) -> Tape:
    lam = np.array(tuned_levels(spectrum, K))
    return two_m_from(lam, math.sqrt(lam[0]), 1.0 - theta)


def _class(spectrum: Spectrum, K: int, theta: float) -> Tape:
    return zolotarev_levels(K, spectrum[0][0] / theta, spectrum[0][-1]).tape()


def _between_levels(spectrum: Spectrum, K: int, theta: float) -> Tape:
    """2M on levels between the phase sampler's and the tuned ones, geometrically; the start likewise."""
    of, lam = fitted(spectrum, K), np.array(tuned_levels(spectrum, K))
    levels = of.levels ** (1.0 - theta) * lam[:-1] ** theta
    return two_m_from(np.append(levels, 0.0), of.nu ** (1.0 - theta) * math.sqrt(lam[0]) ** theta)


def _wide_tuned(scheme: str) -> Callable[[Spectrum, int, float], Tape]:
    return lambda spectrum, K, theta: tuned(scheme, inflated(spectrum, theta), K)


#: What a hybrid is held to.
PARENTS: dict[str, Callable[[Spectrum, int], Tape]] = {
    "phase": phase_parent,
    "dpmpp-2m": lambda spectrum, K: tuned("dpmpp-2m", spectrum, K),
}

_SHARES, _WIDER = (0.1, 0.3, 0.6), (1.5, 4.0, 10.0)

#: What was tried.
FAMILIES: tuple[Family, ...] = (
    Family(
        "shrunk",
        "fitted phase nodes, every coefficient θ of the way to 2M's at the same levels",
        _SHARES,
        _shrunk,
    ),
    Family(
        "look-back",
        "the fitted phase sampler with θ of 2M's look back",
        _SHARES,
        lambda s, K, t: _look_back(fitted(s, K), t),
    ),
    Family(
        "clipped",
        "the fitted phase sampler, what a step keeps θ of the way to ddim's",
        _SHARES,
        lambda s, K, t: _look_back(fitted(s, K), 0.0, t),
    ),
    Family(
        "inflated",
        "phase nodes fitted to the spectrum and its copies down to x/θ",
        _WIDER,
        lambda s, K, t: phase_parent(inflated(s, t), K),
    ),
    Family("class", "Theorem 6's sampler of [x_min/θ, x_max]", _WIDER, _class),
    Family("damped-2m", "2M on its tuned levels with 1 − θ of its look back", _SHARES, _at_2m),
    Family(
        "levels",
        "2M on levels θ of the way from the phase sampler's to its tuned ones",
        (0.3, 0.6, 0.9),
        _between_levels,
    ),
    Family("wide-2m", "2M, its range tuned for the copies down to x/θ too", _WIDER, _wide_tuned("dpmpp-2m")),
    Family(
        "unipc", "UniPC, its range tuned likewise (1: for the spectrum)", (1.0, *_WIDER), _wide_tuned("unipc")
    ),
    Family("dpmpp-3m", "DPM-Solver++(3M), its range tuned likewise", (1.0, *_WIDER), _wide_tuned("dpmpp-3m")),
    Family(
        "fitted-2m",
        "2M, its levels and start fitted to the spectrum and its copies down to x/θ",
        _WIDER,
        lambda s, K, t: fitted_2m(inflated(s, t), K),
    ),
    Family(
        "refitted",
        "the fitted phase sampler with 0.7 of 2M's look back, then levels, coefficients and start fitted again to the spectrum "
        "and its copies down to x/θ",
        (2.0, 4.0, 8.0, 16.0, 30.0),
        lambda s, K, t: refitted(s, K, theta=t),
    ),
    Family(
        "refitted-full",
        "the same with all of the look back",
        (4.0, 8.0, 16.0),
        lambda s, K, t: refitted(s, K, 1.0, t),
    ),
    Family(
        "spanning",
        "refitted with x/θ only as low as it has to be for all that is fitted to to span a factor θ: the spectrum alone where "
        "it does so itself",
        (5.0, 10.0, 16.0, 20.0, 24.0),
        _spanning,
    ),
)
