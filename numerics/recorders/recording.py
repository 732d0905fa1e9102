"""Recording a sampler that is run: unit vectors go in, and what it hands to the network is its tape.

Section 15 of docs/theory.md: a sampler that acts on coordinates alike and affinely is known completely after one
run. Three runs are made: one on small random numbers, which counts evaluations and noises; one on unit vectors, which
gives the tape; one on numbers of all sizes. The tape has to predict the first and the third, or it is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from wbound.errors import WboundError
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["MOST_CALLS", "Ended", "NotRecorded", "Run", "record_run"]


#: A tape holds K² numbers twice, and a run on unit vectors as many.
MOST_CALLS = 4096
#: How far the tape may be from what it predicts, relative to the sum of its terms' sizes so far: libraries that keep
#: tables or states in single precision are within 1e-6.
AFFINE = 2e-5
#: The same of the largest state so far in y-units, that is √(1 + λ) times an input: what single precision loses of it.
ROUNDED = 1e-6
#: The λ beyond which a state is not counted as larger.
LARGE = 1e8
#: Sizes of the numbers in the third run; in the first all have the smallest, in the second they are 0 and 1.
SIZES = np.array([1e-3, 1e-3, 1.0, 1.0, 30.0, 1e3, 1e3, 1.0])


class NotRecorded(WboundError, ValueError):
    """A sampler that could not be recorded, and why: one line with its name, version and number of steps.

    ``kind``: "nan", "exception" (the library's own words are in the message), "not affine", or "refused" (it asks for
    what is no denoiser, or draws what is not normal). ``cure``: the changes of its configuration with which it can be
    recorded, where they were looked for and found.
    """

    def __init__(self, kind: str, what: str, said: str, cure: Mapping[str, Any] | None = None) -> None:
        self.kind, self.what, self.said = kind, what, " ".join(said.split())
        self.cure = dict(cure or {})
        super().__init__(f"{what}: {self.said}")


class Vectors(Protocol):
    """What the start, an answer or a noise is in a run."""

    def start(self) -> Array: ...
    def answer(self, k: int) -> Array: ...
    def noise(self, j: int) -> Array: ...
    def piece(self, path: int, low: float, high: float) -> Array: ...


@dataclass
class Run:
    """One run of a sampler: hands out starts, answers and noises, and writes down what the network is given.

    A driver calls `start` once, `answer` at each evaluation and `noise` at each draw, all arrays of ``size`` numbers.
    """

    size: int
    vectors: Vectors
    rows: list[Array] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    draws: int = 0
    paths: list[list[tuple[float, float]]] = field(default_factory=list)

    def start(self) -> Array:
        """A draw of N(0, 1)."""
        return self.vectors.start()

    def answer(self, x: Array, level: float, own: float | None = None) -> Array:
        """The denoiser at the input ``x``, in units of √(1 + λ), told ``level`` λ; ``own``: the sampler's level.

        Raises `NotRecorded` for what is not a number.
        """
        k = len(self.rows)
        if k >= MOST_CALLS:
            raise NotRecorded("refused", "sampler", f"more than {MOST_CALLS} evaluations of the network")
        if not np.isfinite(x).all():
            raise NotRecorded("nan", "sampler", f"gives the network NaN at its evaluation {k + 1}")
        if math.isnan(level) or level < 0.0:
            raise NotRecorded("nan", "sampler", f"tells the network no level at its evaluation {k + 1}")
        self.rows.append(x)
        self.levels.append(level)
        self.own.append(level if own is None or math.isnan(own) else own)
        return self.vectors.answer(k)

    def noise(self) -> Array:
        """A fresh standard normal."""
        self.draws += 1
        return self.vectors.noise(self.draws - 1)

    def path(self) -> Callable[[float, float], Array]:
        """A Brownian path of its own: increments over intervals (t, t′)."""
        number = len(self.paths)
        self.paths.append([])

        def increment(low: float, high: float) -> Array:
            if high < low:
                return -increment(high, low)
            self.paths[number].append((low, high))
            return self.vectors.piece(number, low, high)

        return increment


class _Random:
    """Random numbers, remembered; a Brownian path is held at 0 until its elementary intervals are known."""

    def __init__(self, seed: int, sizes: Array, pieces: _Pieces | None) -> None:
        self._random, self._sizes, self._pieces = np.random.default_rng(seed), sizes, pieces
        self.first = self._fresh()
        self.answers: list[Array] = []
        self.noises: list[Array] = []
        known = 0 if pieces is None else pieces.count
        self.increments = [self._fresh() for _ in range(known)]

    def _fresh(self) -> Array:
        return self._random.standard_normal(self._sizes.size) * self._sizes

    def start(self) -> Array:
        return self.first.copy()

    def answer(self, k: int) -> Array:
        self.answers.append(self._fresh())
        return self.answers[-1].copy()

    def noise(self, j: int) -> Array:
        self.noises.append(self._fresh())
        return self.noises[-1].copy()

    def piece(self, path: int, low: float, high: float) -> Array:
        out = np.zeros(self._sizes.size)
        if self._pieces is not None:
            for index, width in self._pieces.of(path, low, high):
                out += math.sqrt(width) * self.increments[index]
        return out


class _Units:
    """Unit vectors: coordinate 0 is fed zeros, 1 is the start, then the noises, paths' pieces and answers."""

    def __init__(self, K: int, J: int, pieces: _Pieces) -> None:
        self.K, self.J, self._pieces = K, J, pieces
        self.size = 2 + J + pieces.count + K

    def _unit(self, column: int) -> Array:
        out = np.zeros(self.size)
        out[column] = 1.0
        return out

    def start(self) -> Array:
        return self._unit(1)

    def answer(self, k: int) -> Array:
        return self._unit(2 + self.J + self._pieces.count + k) if k < self.K else np.zeros(self.size)

    def noise(self, j: int) -> Array:
        return self._unit(2 + j) if j < self.J else np.zeros(self.size)

    def piece(self, path: int, low: float, high: float) -> Array:
        out = np.zeros(self.size)
        for index, width in self._pieces.of(path, low, high):
            out[2 + self.J + index] = math.sqrt(width)
        return out


class _Pieces:
    """The elementary intervals of the Brownian paths that a run asked for: increments over them are independent."""

    def __init__(self, paths: list[list[tuple[float, float]]]) -> None:
        self._ends: list[Array] = []
        self._first: list[int] = []
        self.count = 0
        for asked in paths:
            ends = np.unique(np.array(asked, dtype=float).reshape(-1))
            self._ends.append(ends)
            self._first.append(self.count)
            self.count += max(ends.size - 1, 0)

    def of(self, path: int, low: float, high: float) -> list[tuple[int, float]]:
        """(index, width) of the pieces between ``low`` and ``high``; another run may not ask for other ends."""
        if path >= len(self._ends):
            raise NotRecorded("not affine", "sampler", "draws other noise in another run")
        ends = self._ends[path]
        i, j = (int(np.searchsorted(ends, end)) for end in (low, high))
        if j >= ends.size or ends[i] != low or ends[j] != high:
            raise NotRecorded("not affine", "sampler", "draws noise at other times in another run")
        return [(self._first[path] + n, float(ends[n + 1] - ends[n])) for n in range(i, j)]


@dataclass(frozen=True)
class Ended:
    """What a driver knows after its run: the raw output (size,), in x, and how it began and ended.

    ``start_level``: λ of the start, None for that of the first evaluation; ``start_scale``: the standard deviation
    of what is drawn, in units of √(1 + λ) at that level, None where the first input is the start alone.
    ``alphas``: what α a raw output may have; the one that the tape itself shows is taken.
    """

    output: Array
    start_level: float | None = None
    start_scale: float | None = None
    start_mean: float = 0.0
    alphas: tuple[float, ...] = (1.0,)
    made: Mapping[str, Any] = field(default_factory=dict)


def record_run(what: str, drive: Callable[[Run], Ended], *, trials: bool = True, seed: int = 17) -> Tape:
    """The tape of the sampler that ``drive`` runs (Eq. 16): *exact* up to the sampler's own rounding.

    ``what`` names it in errors. Raises `NotRecorded`: NaN, a number of evaluations, levels or noises that depends on
    the numbers, or a map that is not affine at sizes 1e-3 to 1e3. Without ``trials`` the third run is left out, for a
    sampler that passed at other numbers of steps.
    """
    first = Run(SIZES.size, _Random(seed, np.full(SIZES.size, SIZES.min()), None))
    began = _driven(what, drive, first)
    K, J = len(first.rows), first.draws
    if K == 0:
        raise NotRecorded("refused", what, "never asks the network")
    pieces = _Pieces(first.paths)
    units = _Units(K, J, pieces)
    run = Run(units.size, units)
    ended = _driven(what, drive, run)
    _same(what, first, run)
    table = np.vstack([*run.rows, ended.output])
    offsets = table[:, 0].copy()
    table -= offsets[:, None]
    known = {
        "start": table[:, 1].copy(),
        "noises": table[:, 2 : 2 + J + pieces.count].copy(),
        "answers": table[:, 2 + J + pieces.count :].copy(),
        "offsets": offsets,
    }
    _affine(what, known, first, began)
    if trials:
        last = Run(SIZES.size, _Random(seed + 1, SIZES, pieces))
        again = _driven(what, drive, last)
        _same(what, first, last)
        _affine(what, known, last, again)
    return _tape(known, run, ended)


def _driven(what: str, drive: Callable[[Run], Ended], run: Run) -> Ended:
    try:
        ended = drive(run)
    except NotRecorded as error:
        raise NotRecorded(error.kind, what if error.what == "sampler" else error.what, error.said) from None
    except ArithmeticError as error:  # ours: a level or a scale
        raise NotRecorded("nan", what, f"its levels leave double precision ({error})") from None
    if not np.isfinite(ended.output).all():
        raise NotRecorded("nan", what, f"its output is NaN after {len(run.rows)} evaluations")
    return ended


def _same(what: str, first: Run, other: Run) -> None:
    """Whether two runs asked alike: how often, at which levels, for how many noises."""
    if (
        len(first.rows) != len(other.rows)
        or first.draws != other.draws
        or len(first.paths) != len(other.paths)
    ):
        said = f"{len(first.rows)} evaluations and {first.draws} noises in one run, "
        said += f"{len(other.rows)} and {other.draws} in another: it adapts to the numbers, and is not affine"
        raise NotRecorded("not affine", what, said)
    if first.levels != other.levels or first.own != other.own:
        raise NotRecorded("not affine", what, "the levels at which it evaluates depend on the numbers")


def _affine(what: str, known: Mapping[str, Array], trial: Run, ended: Ended) -> None:
    vectors = trial.vectors
    assert isinstance(vectors, _Random)
    drawn = [*vectors.noises, *vectors.increments]
    missing = known["noises"].shape[1] - len(drawn)  # a path that was held at 0
    noises = np.array([*drawn, *[np.zeros(trial.size)] * missing]).reshape(-1, trial.size)
    parts = (
        (known["start"][:, None], vectors.first[None, :]),
        (known["answers"], np.array(vectors.answers)),
        (known["noises"], noises),
    )
    told = known["offsets"][:, None] + sum(a @ b for a, b in parts)
    size = np.abs(known["offsets"])[:, None] + sum(np.abs(a) @ np.abs(b) for a, b in parts)
    seen = np.vstack([*trial.rows, ended.output])
    scales = np.sqrt(1.0 + np.minimum([*trial.levels, 0.0], LARGE))[:, None]
    states = np.maximum.accumulate(size * scales, axis=0) / scales
    wrong = np.abs(seen - told) > AFFINE * np.maximum.accumulate(size, axis=0) + ROUNDED * states + 1e-300
    if wrong.any():
        row = int(np.argmax(wrong.any(axis=1)))
        where = f"at evaluation {row + 1}" if row < len(trial.rows) else "in its output"
        raise NotRecorded("not affine", what, f"is not affine {where}: it clips, thresholds or adapts")


def _tape(known: Mapping[str, Array], run: Run, ended: Ended) -> Tape:
    levels, own = np.array(run.levels), np.array(run.own)
    start_level = float(own[0]) if ended.start_level is None else ended.start_level
    start = known["start"]
    scale = ended.start_scale
    if scale is None:
        scale = float(start[0])
    if scale <= 0.0:  # the first input does not see the start
        scale = 1.0
    start = start / scale
    apart = ~np.isclose(own, levels, rtol=1e-5, atol=0.0)
    out, level_out, seen = _ending(known, start, start_level, ended.alphas)
    rows = {key: np.vstack([value[:-1], value[-1:] / out]) for key, value in known.items() if value.ndim == 2}
    return Tape(
        levels=levels,
        start=np.append(start[:-1], start[-1] / out),
        answers=rows["answers"],
        noises=rows["noises"][:, rows["noises"].any(axis=0)],  # some are drawn and not used
        offsets=np.append(known["offsets"][:-1], known["offsets"][-1] / out),
        start_level=start_level,
        start_std=scale,
        start_mean=ended.start_mean,
        own_levels=own if apart.any() else None,
        alpha_out=out,
        level_out=level_out,
        made={**ended.made, "alpha_seen": seen},
    )


def _ending(
    known: Mapping[str, Array], start: Array, start_level: float, alphas: tuple[float, ...]
) -> tuple[float, float, float]:
    """(α of the raw output, λ at which it ends, α as the tape shows it).

    On data that are one point c, from the exact start, every answer is c and a sampler that ends at (α, σ) puts out
    αc + σZ. The α is the one of ``alphas`` that this shows; 1 where it shows none of them.
    """
    mean, noise = (
        (0.0, 1.0)
        if math.isinf(start_level)
        else (
            1.0 / math.sqrt(1.0 + start_level),
            math.sqrt(start_level / (1.0 + start_level)),
        )
    )
    seen = float(known["answers"][-1].sum() + start[-1] * mean)
    near = min(alphas, key=lambda a: abs(a - seen))
    alpha = near if abs(near - seen) < 1e-4 * near else 1.0
    variance = float((start[-1] * noise) ** 2 + (known["noises"][-1] ** 2).sum())
    level = variance / alpha**2
    return alpha, level if level > 1e-10 else 0.0, seen
