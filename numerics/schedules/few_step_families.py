"""Families of samplers for 5 to 20 calls between the fitted phase sampler and DPM-Solver++(2M): tapes for a spectrum, K
calls and one number (section 17).

Both parents are made for the Gaussian with the data's covariance and know nothing else of the data: nodes fitted to its
spectrum; log-uniform levels, then 0, whose range has the least W2 there (from p_T, plus what the prior start changes).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.optimize import least_squares

from wbound.data.binned_spectrum import spectral_bins
from wbound.design.phase_design import fitted_nodes
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import PhaseSampler, phase_levels, zolotarev_levels
from wbound.sampler.multistep import multistep_named
from wbound.sampler.tape import Tape
from wbound.sampler.tape_writer import TapeWriter
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
    "walked",
]

#: Distinct eigenvalues (x², ascending) and how often each stands.
Spectrum = tuple[tuple[float, ...], tuple[float, ...]]
#: σ_max over the largest standard deviation that are tried for a range, and how many values of the last σ above 0: from
#: 1/100 of the smallest to half of the largest, or twice the smallest.
HIGHS = tuple(np.geomspace(1.5, 150.0, 13).tolist())
LOWS = 17
#: What a loop of one's own does with the numbers that a tape of `walked` keeps.
STEP = (
    "y from mean + start_std xi; y <- keep y + (1 - keep)(D + look_back h_k/(2 h_{k-1}) (D - D before)), "
    "h_k = log(sigma_k/sigma_{k+1}), without the look back in the first and in the last step"
)
#: Rounds of a fit at most, and when it is close enough.
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
def tuned_levels(spectrum: Spectrum, K: int, scheme: str = "dpmpp-2m") -> tuple[float, ...]:
    """Log-uniform levels λ (K+1,), the last 0, with the range at which the scheme's W2 on the Gaussian is least."""
    x, n = _law(spectrum)
    sampler, best, least = multistep_named(scheme), (0.0,), math.inf
    small, large = math.sqrt(x[0]), math.sqrt(x[-1])
    for high in HIGHS:
        for bottom in np.geomspace(0.01 * small, max(2.0 * small, 0.5 * large), LOWS):
            top = high * large
            if bottom >= top:
                continue
            lam = np.append(np.geomspace(top, bottom, K), 0.0) ** 2
            tape = sampler.tape(lam)
            exact, prior = (np.sqrt(tape_law(tape, x, start=start).variance) for start in ("exact", "prior"))
            off = math.sqrt(float(n @ (exact - np.sqrt(x)) ** 2)) + math.sqrt(float(n @ (exact - prior) ** 2))
            if off < least:
                best, least = tuple(lam.tolist()), off
    return best


def tuned(scheme: str, spectrum: Spectrum, K: int) -> Tape:
    """A multistep scheme on its `tuned_levels`."""
    return multistep_named(scheme).tape(np.array(tuned_levels(spectrum, K, scheme)))


def blend(a: Tape, b: Tape, theta: float) -> Tape:
    """(1 − θ)a + θb, row by row: tapes of the same levels; the start of ``a``."""
    unit = math.sqrt((1.0 + b.start_level) / (1.0 + a.start_level))

    def mixed(name: str, factor: float = 1.0) -> Array:
        return np.asarray((1.0 - theta) * getattr(a, name) + theta * factor * getattr(b, name))

    return replace(
        a, start=mixed("start", 1.0 / unit), answers=mixed("answers"), made={"scheme": "blend", "K": a.K}
    )


def walked(levels: Array, keeps: Array, nu: float, share: float, name: str) -> Tape:
    """y ← keep y + (1 − keep)(D + share h_k/2h_{k−1} (D − D before)) at ``levels`` (K,) from N(0, ν²): 2M's look back in any
    share; none in the first step, nor in one to 0, the last."""
    writer = TapeWriter(levels.size, 0, nu**2)
    h = 0.5 * np.log(levels[:-1] / levels[1:])
    state, before = writer.start(), writer.start()
    for k, keep in enumerate(keeps.tolist()):
        D = writer.evaluate(state, float(levels[k]))
        ahead = D + share * h[k] / (2.0 * h[k - 1]) * (D - before) if 0 < k < levels.size - 1 else D
        state, before = keep * state + (1.0 - keep) * ahead, D
    made = {
        "scheme": name,
        "K": int(levels.size),
        "sigmas": np.sqrt(levels).tolist(),
        "keep": keeps.tolist(),
        "start_std": nu,
        "look_back": share,
        "step": STEP,
    }
    return writer.finish(state, start_std=nu / math.sqrt(1.0 + nu**2), made=made)


def two_m_from(levels: Array, nu: float, share: float = 1.0) -> Tape:
    """2M on ``levels`` (K+1,), the last 0, from N(0, ν²), with ``share`` of its look back."""
    return walked(levels[:-1], np.sqrt(levels[1:] / levels[:-1]), nu, share, "dpmpp-2m")


def _look_back(of: PhaseSampler, theta: float, clipped: float = 0.0) -> Tape:
    """The phase sampler's levels and start, with keep = (z/λ)^{1−c}(√(λ′/λ))^c and θ of 2M's look back."""
    keeps = of.z / of.levels
    toward = np.sqrt(np.append(of.levels[1:], 0.0) / of.levels)
    return walked(of.levels, keeps ** (1.0 - clipped) * toward**clipped, of.nu, theta, "phase-2m")


def inflated(spectrum: Spectrum, theta: float, copies: int = 7) -> Spectrum:
    """The spectrum in ``copies``, from each eigenvalue x down to x/θ: room for structure narrower than the variance."""
    x, n = _law(spectrum)
    values = np.outer(np.geomspace(1.0 / theta, 1.0, copies), x).ravel()
    order = np.argsort(values)
    return tuple(values[order].tolist()), tuple(np.tile(n / copies, copies)[order].tolist())


def _misfit(made: Callable[[Array], Tape], spectrum: Spectrum) -> Callable[[Array], Array]:
    """(√V − √x)/√tr Σ of a tape's law, eigenvalue by eigenvalue."""
    x, n = _law(spectrum)
    root = np.sqrt(n / float(n @ x))
    return lambda q: np.asarray(root * (np.sqrt(tape_law(made(q), x).variance) - np.sqrt(x)))


def _parts(q: Array, K: int) -> tuple[Array, Array, Array]:
    """ν (M,), λ (M, K) and keeps (M, K) of q (M, 2K+1): log ν, log λ_1, log of the K − 1 steps in log λ, and the logits of
    what a step keeps."""
    first = np.zeros((len(q), 1))
    lam = np.exp(q[:, 1:2] - np.cumsum(np.hstack((first, np.exp(q[:, 2 : K + 1]))), axis=1))
    return np.exp(q[:, 0]), lam, 1.0 / (1.0 + np.exp(-q[:, K + 1 :]))


def _gains(q: Array, K: int, share: float, x: Array) -> Array:
    """√V (M, E) of `_walked` for each row of q: its fast twin, for real or complex q."""
    nu, lam, keep = _parts(q, K)
    h = 0.5 * np.log(lam[:, :-1] / lam[:, 1:])
    state, before = nu[:, None] * np.ones_like(x), np.zeros_like(x)
    for k in range(K):
        D = x / (x + lam[:, k : k + 1]) * state
        ahead = D + (share * h[:, k] / (2.0 * h[:, k - 1]))[:, None] * (D - before) if 0 < k < K - 1 else D
        state, before = keep[:, k : k + 1] * state + (1.0 - keep[:, k : k + 1]) * ahead, D
    return np.asarray(state * np.sign(state.real))


@lru_cache(maxsize=512)
def refitted(spectrum: Spectrum, K: int, share: float = 0.7, wide: float = 8.0) -> Tape:
    """The fitted phase sampler with ``share`` of 2M's look back, and then its levels, coefficients and start fitted again,
    to the spectrum and its copies down to x/wide: least squares of √V − √x from there; a local minimum.

    More than 24 distinct eigenvalues are gathered in bins of log x for it.
    """
    of = fitted(spectrum, K)
    values, number, _ = spectral_bins(spectrum[0], spectrum[1], most=24)
    x, n = _law(inflated((tuple(values.tolist()), tuple(number.tolist())), wide))
    root, unit = np.sqrt(n / float(n @ x)), 1e-30j * np.eye(2 * K + 1)
    lam, keep = np.log(of.levels), of.z / of.levels
    q0 = np.concatenate(([math.log(of.nu), lam[0]], np.log(-np.diff(lam)), np.log(keep / (1.0 - keep))))
    found = least_squares(
        lambda q: root * (_gains(q[None], K, share, x)[0] - np.sqrt(x)),
        q0,
        jac=lambda q: root[:, None] * _gains(q + unit, K, share, x).imag.T / 1e-30,
        bounds=(q0 - 4.0, q0 + 4.0),
        max_nfev=ROUNDS,
        **CLOSE,
    )
    nu, levels, keeps = (part[0] for part in _parts(found.x[None], K))
    return walked(levels, keeps, float(nu), share, "refitted")


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
        lambda s, K, t: refitted(s, K, wide=t),
    ),
    Family(
        "refitted-full",
        "the same with all of the look back",
        (4.0, 8.0, 16.0),
        lambda s, K, t: refitted(s, K, 1.0, t),
    ),
)
