"""The samplers that are known by their tapes: the multistep ones that people run, DDIM with η, and two variants of `ddim`
(sections 15 and 16 of docs/theory.md).

All in the clock and in y-units: σ = √λ, D_k = E[X_0 | y_k] at σ_k, ε_k = (y_k − D_k)/σ_k, and one evaluation a step. A step
is the integral of a polynomial through the last answers: of D in log σ, dy = −(y − D) dlog(1/σ) (DPM-Solver++, UniPC),
or of ε along dy = ε dσ, in σ (Adams–Bashforth) or in log σ (DEIS).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from wbound.errors import BadInput, real
from wbound.sampler.levels import geometric_step, levels_of
from wbound.sampler.tape import Tape
from wbound.sampler.tape_writer import LONGEST, TapeWriter
from wbound.typing import Array

__all__ = ["MULTISTEP", "Multistep", "ddim", "denoiser_weights", "multistep_named", "slope_weights"]

#: h below which moments come from quadrature: their recursion cancels there.
SHORT = 4.0


@dataclass(frozen=True)
class Multistep:
    """A sampler known by its tape, most with a memory: ``tape(levels)`` is its `Tape` on any levels (of "ddim-inflated" on
    geometric ones).

    ``kind`` is "ode" or "sde"; ``points`` how many answers a step looks at; ``order`` of its steps, as measured:
    W2 ~ K^−order on Gaussian data, a grid smooth in log σ that stops early, from far above the data. At the beginning a
    step looks at as many answers as there are: its first step is Euler's, and leaves ``order_from_near`` where the start is no
    larger than the data, whatever the order. ``lower_order_final``: whether the last steps look at 2 and 1 (None:
    where the levels end at 0, whose last step cannot look at more, log σ being −∞ there; Adams–Bashforth in σ can,
    and does).
    """

    name: str
    title: str
    kind: str
    points: int
    order: int
    source: str
    write: Callable[[_Run], Array]
    lower_order_final: bool | None = None
    eta: float | None = None
    #: what who ranks schedules has to say of it
    caveat: str = ""

    @property
    def order_from_near(self) -> int:
        """What is left of the order, as K → ∞, from a start at the data's own scale."""
        return min(self.order, 3 if self.write is _unipc else 2)

    def tape(
        self,
        levels: ArrayLike,
        *,
        start_std: float | None = None,
        alpha_out: float = 1.0,
        made: Mapping[str, Any] | None = None,
    ) -> Tape:
        """The tape on ``levels`` λ_0 > … > λ_K ≥ 0 (K+1,), in x². Raises `BadInput`.

        start_std: of the start, in units of √(1 + λ_0) (default: N(0, λ_0 I) in y-units); alpha_out, made:
        `Tape`'s.
        """
        lam = levels_of(levels)
        K = lam.size - 1
        if K > LONGEST:
            raise BadInput("levels", K, f"must be at most {LONGEST} steps for a tape, which holds K² numbers")
        writer = TapeWriter(K, K if self.eta else 0, float(lam[0]))
        state = self.write(_Run(self, writer, lam))
        own = math.sqrt(lam[0] / (1.0 + lam[0]))
        return writer.finish(
            state,
            start_std=own if start_std is None else start_std,
            alpha_out=alpha_out,
            level_out=float(lam[-1]),
            own_levels=lam[:-1] if self.write is _shifted else None,
            made={"scheme": self.name, "K": K} if made is None else made,
        )


class _Run:
    """One sampler on one set of levels: what its steps look at."""

    def __init__(self, sampler: Multistep, writer: TapeWriter, lam: Array) -> None:
        self.sampler, self.writer, self.lam = sampler, writer, lam
        self.sigma = np.sqrt(lam)
        # as numbers, which single steps take
        self._logs, sigma = np.log(self.sigma[:-1]).tolist(), self.sigma.tolist()
        self._lengths = [math.inf if to == 0.0 else math.log(at / to) for at, to in pairwise(sigma)]
        self.start = writer.start()
        # what is left of the start is σ_k/σ_0 of it, as for every consistent method without noise
        self.left = self.sigma / self.sigma[0]
        lower = sampler.lower_order_final
        self.lower = lam[-1] == 0.0 if lower is None else lower

    @property
    def K(self) -> int:
        return int(self.lam.size - 1)

    def points(self, k: int) -> int:
        """How many answers step k = 0 … K−1 looks at."""
        most = min(self.sampler.points, k + 1)
        if self.lower:
            most = min(most, self.K - k)
        return 1 if self.lam[k + 1] == 0.0 else most

    def answer(self, state: Array, k: int) -> Array:
        return self.writer.evaluate(state, float(self.lam[k]))

    def h(self, k: int) -> float:
        """log σ_k/σ_{k+1} of step k."""
        return self._lengths[k]

    def places(self, k: int, points: int) -> Array:
        """Where D_k, D_{k−1}, … lie, in units of step k: 0, −h_{k−1}/h_k, …"""
        at, h = self._logs, self._lengths[k]
        return np.array([(at[k] - at[k - j]) / h for j in range(points)])

    def exponential(self, state: Array, k: int, weights: Array, answers: Sequence[Array]) -> Array:
        """(σ_{k+1}/σ_k) y + Σ_j weights_j answers_j."""
        moved = state * (self.sigma[k + 1] / self.sigma[k])
        for weight, answer in zip(weights.tolist(), answers, strict=True):
            moved += weight * answer
        moved[0] = self.start[0] * self.left[k + 1]
        return moved


# ------------------------------------------------------------------------------------------------- weights


@lru_cache(maxsize=1)
def _rule() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(16)
    return 0.5 * (nodes + 1.0), 0.5 * weights


def _moments(h: float, most: int, *, late: bool) -> Array:
    """∫_0^h e^{−(h−τ)} (τ/h)^i dτ (late) or ∫_0^h e^{−τ} (τ/h)^i dτ, i = 0 … most − 1."""
    if h < SHORT:
        u, weight = _rule()
        kernel = h * weight * np.exp(-h * (1.0 - u) if late else -h * u)
        return np.array([kernel @ u**i for i in range(most)])
    out = np.empty(most)
    out[0] = -math.expm1(-h)
    for i in range(1, most):
        out[i] = 1.0 - i / h * out[i - 1] if late else i / h * out[i - 1] - math.exp(-h)
    return out


def denoiser_weights(h: float, places: ArrayLike) -> Array:
    """W_j (n,) with Σ_j W_j D_j = ∫_0^h e^{−(h−τ)} P(τ) dτ, P the polynomial through D_j at τ/h = ``places`` (n,).

    y(h) = e^{−h} y(0) + that: the exact step for a denoiser that is a polynomial in log σ. They sum to 1 − e^{−h}.
    """
    at = np.asarray(places, dtype=np.float64)
    return np.asarray(np.linalg.solve(np.vander(at, increasing=True).T, _moments(h, at.size, late=True)))


def slope_weights(sigma: ArrayLike, to: float, *, logarithmic: bool = False) -> Array:
    """w_j (n,) with Σ_j w_j ε_j = ∫ P dσ from σ_k = ``sigma[0]`` to ``to``, P the polynomial through ε_j at ``sigma[j]``
    = σ_k, σ_{k−1}, …, in σ or (DEIS) in log σ. They sum to ``to`` − σ_k. n ≤ 4 in σ."""
    at = np.asarray(sigma, dtype=np.float64)
    length = to - at[0]
    if logarithmic:
        h = math.log(at[0] / to)
        places = np.log(at[0] / at) / h
        moments = -at[0] * _moments(h, at.size, late=False)
        return np.asarray(np.linalg.solve(np.vander(places, increasing=True).T, moments))
    # Lagrange's polynomials, of degree ≤ 3, at two Gauss points: exact, and with no difference but the nodes' own
    out = np.zeros(at.size)
    for point in (0.5 - 0.5 / math.sqrt(3.0), 0.5 + 0.5 / math.sqrt(3.0)):
        x = at[0] + point * length
        for j in range(at.size):
            others = np.delete(at, j)
            out[j] += 0.5 * length * np.prod((x - others) / (at[j] - others))
    return out


# ------------------------------------------------------------------------------------------------- samplers


def _dpmpp(run: _Run) -> Array:
    """DPM-Solver++ multistep: 2M (midpoint) and 3M as their authors' code and diffusers have them."""
    state, answers = run.start, list[Array]()
    for k in range(run.K):
        answers.insert(0, run.answer(state, k))
        points, h = run.points(k), run.h(k)
        state = run.exponential(state, k, _dpmpp_weights(h, run.places(k, points)), answers[:points])
        del answers[2:]
    return state


def _dpmpp_weights(h: float, places: Array) -> Array:
    whole = -math.expm1(-h)
    if places.size == 1:
        return np.array([whole])
    r0 = -places[1]
    if places.size == 2:
        return whole * np.array([1.0 + 0.5 / r0, -0.5 / r0])
    r1 = places[1] - places[2]
    # D1 = D1_0 + r0/(r0+r1) (D1_0 − D1_1), D2 = (D1_0 − D1_1)/(r0+r1), by the weights of D_k, D_{k−1}, D_{k−2}
    first, second = np.array([1.0, -1.0, 0.0]) / r0, np.array([0.0, 1.0, -1.0]) / r1
    D2 = (first - second) / (r0 + r1)
    D1 = first + r0 * D2
    _, m1, m2 = _moments(h, 3, late=True)
    # published with half of the second moment: of second order, see `MULTISTEP`
    return np.array([whole, 0.0, 0.0]) + m1 * D1 + 0.5 * m2 * D2


def _unipc(run: _Run) -> Array:
    """UniPC with B(h) = e^{−h} − 1 (bh2): the answer at a predicted point corrects the step that led there."""
    state, answers = run.start, list[Array]()
    before, corrected = 0, state  # what the last step looked at, and where it began
    for k in range(run.K):
        answers.insert(0, run.answer(state, k))
        if before:
            h = run.h(k - 1)
            if before == 1:
                weights = -math.expm1(-h) * np.array([0.5, 0.5])
            else:
                weights = denoiser_weights(h, np.concatenate(([1.0], run.places(k - 1, before))))
            state = run.exponential(corrected, k - 1, weights, answers[: before + 1])
        before, corrected = run.points(k), state
        h = run.h(k)
        if before == 3:
            weights = denoiser_weights(h, run.places(k, 3))
        else:
            weights = _dpmpp_weights(h, run.places(k, before))
        state = run.exponential(state, k, weights, answers[:before])
        del answers[3:]
    return state


def _adams_bashforth(run: _Run) -> Array:
    return _slopes(run, logarithmic=False)


def _deis(run: _Run) -> Array:
    return _slopes(run, logarithmic=True)


def _slopes(run: _Run, *, logarithmic: bool) -> Array:
    state, slopes = run.start, list[Array]()
    for k in range(run.K):
        slopes.insert(0, (state - run.answer(state, k)) / run.sigma[k])
        points = run.points(k) if logarithmic else min(run.sampler.points, k + 1)
        to, at = float(run.sigma[k + 1]), run.sigma[k - np.arange(points)]
        if points == 1:
            weights = np.array([to - at[0]])
        else:
            weights = slope_weights(at, to, logarithmic=logarithmic)
        for weight, slope in zip(weights, slopes, strict=False):
            state = state + weight * slope
        state[0] = run.start[0] * run.left[k + 1]
        del slopes[run.sampler.points - 1 :]
    return state


def _ddim(run: _Run) -> Array:
    eta, state = run.sampler.eta or 0.0, run.start
    for k in range(run.K):
        D = run.answer(state, k)
        high, low = float(run.lam[k]), float(run.lam[k + 1])
        share = low / high
        # √(λ_k − η²λ_k(λ_{k−1}−λ_k)/λ_{k−1})/√λ_{k−1} = √(share (1 − η²(1 − share)))
        keep = math.sqrt(share * (1.0 - eta**2 + eta**2 * share))
        state = keep * state + (1.0 - keep) * D
        if eta and low:
            state = state + eta * math.sqrt(low * (1.0 - share)) * run.writer.noise()
    return state


def _inflated(run: _Run) -> Array:
    """`ddim` from e^{h/8} times its start, whatever that is: on geometric levels (18)'s scalar is gone."""
    run.start = math.exp(geometric_step(run.lam)[0] / 8.0) * run.start
    return _ddim(run)


def _shifted(run: _Run) -> Array:
    """`ddim` with the denoiser of the step from λ to μ at λ′ = (λ + √(λμ))/2: y ← y + ½(λ − μ) ∇log q_{λ′}(y). The network
    sees states of the level λ and is told λ′."""
    state = run.start
    for high, low in zip(run.lam[:-1].tolist(), run.lam[1:].tolist(), strict=True):
        kept = math.sqrt(low / high)
        state = kept * state + (1.0 - kept) * run.writer.evaluate(state, 0.5 * high * (1.0 + kept))
    return state


def ddim(eta: float) -> Multistep:
    """DDIM with stochasticity η in [0, 1] (Song, Meng & Ermon, 2021): 0 is `ddim`, 1 is `ddpm`. Raises `BadInput`.

    y_k = D + √(λ_k − η²λ_k(λ_{k−1} − λ_k)/λ_{k−1}) ε + η√(λ_k(λ_{k−1} − λ_k)/λ_{k−1}) ξ.
    """
    value = real("eta", eta, "must be a number from 0 to 1")
    if not 0.0 <= value <= 1.0:
        raise BadInput("eta", eta, "must be a number from 0 to 1")
    kind = "sde" if value else "ode"
    source = "Song, Meng & Ermon, 2021, Eq. 12 and 16"
    return Multistep(f"ddim(eta={value:g})", f"DDIM, η = {value:g}", kind, 1, 1, source, _ddim, eta=value)


_LU = "Lu et al., arXiv 2211.01095"
_ZHAO = "Zhao et al., arXiv 2302.04867, bh2"
_LIU = "Zhang & Chen, arXiv 2204.13902 (ρAB); Adams–Bashforth in σ, known as LMS"
_DEIS = "Zhang & Chen, arXiv 2204.13902, in log ρ as diffusers has it"

_HERE = "section 16 of docs/theory.md; no claim beyond Gaussian data"

#: The multistep samplers by name, and two variants of `ddim`. dpmpp-3m is of second order: its published coefficient of
#: the second difference is half of what the integral of the interpolating polynomial gives.
MULTISTEP: dict[str, Multistep] = {
    m.name: m
    for m in (
        Multistep("dpmpp-2m", "DPM-Solver++(2M)", "ode", 2, 2, _LU, _dpmpp),
        Multistep("dpmpp-3m", "DPM-Solver++(3M)", "ode", 3, 2, _LU, _dpmpp),
        Multistep("ab2", "Adams–Bashforth 2 in σ", "ode", 2, 2, _LIU, _adams_bashforth),
        Multistep("ab3", "Adams–Bashforth 3 in σ", "ode", 3, 3, _LIU, _adams_bashforth),
        Multistep("ab4", "Adams–Bashforth 4 in σ", "ode", 4, 4, _LIU, _adams_bashforth),
        Multistep("deis2", "DEIS 2 in log σ", "ode", 2, 2, _DEIS, _deis),
        Multistep("deis3", "DEIS 3 in log σ", "ode", 3, 3, _DEIS, _deis),
        Multistep("unipc", "UniPC, order 2", "ode", 2, 3, _ZHAO, _unipc),
        Multistep("unipc-3", "UniPC, order 3", "ode", 3, 4, _ZHAO, _unipc),
        Multistep(
            "ddim-inflated",
            "DDIM from e^{h/8} of its start, h = log λ_{k−1}/λ_k",
            "ode",
            1,
            1,
            _HERE,
            _inflated,
            caveat="ddim-inflated runs on geometric levels alone, and starts with e^{h/8} sigma_max, h = "
            "log(lam_{k-1}/lam_k), which sigmas do not say; that is made for Gaussian data, and on others W2 may be above "
            "ddim's",
        ),
        Multistep(
            "ddim-shifted", "DDIM, the denoiser told (λ + √(λμ))/2 from λ to μ", "ode", 1, 2, _HERE, _shifted
        ),
    )
}

_DDIM_NAME = re.compile(r"ddim\(eta=([^()]{1,40})\)")


def multistep_named(name: str | Multistep) -> Multistep:
    """A `Multistep`, the one called so, or "ddim(eta=0.5)". Raises `BadInput` with the names."""
    if isinstance(name, Multistep):
        return name
    if isinstance(name, str) and (found := _DDIM_NAME.fullmatch(name.replace(" ", ""))):
        try:
            return ddim(float(found[1]))
        except ValueError as error:
            raise (
                error if isinstance(error, BadInput) else BadInput("eta", found[1], "must be a number")
            ) from None
    if not isinstance(name, str) or name not in MULTISTEP:
        raise BadInput("scheme", name, "must be one of " + ", ".join((*MULTISTEP, "ddim(eta=…)")))
    return MULTISTEP[name]
