"""A row of a ranking: its exact W2 at a λ(T) and K, the λ(T) where that is least, and the steps for an accuracy."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from numerics.schedules.candidates import Candidate, remembers, seen_as
from numerics.schedules.fewest_steps import fewest
from numerics.schedules.ranking import MOST_STEPS
from wbound import Process
from wbound.data.gaussian import Gaussian
from wbound.design.largest_level import Level, enough, float32_holds
from wbound.errors import BadInput
from wbound.exact.clock_law import LAWS, ClockW2, Spectrum, clock_w2, clock_w2s, start_gap2, width_error2
from wbound.exact.gaussian_law import law
from wbound.exact.law_of_tape import tape_law
from wbound.forward import catalogue
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import setting
from wbound.sampler.scheme import scheme_named
from wbound.sampler.tape_of_scheme import BEYOND
from wbound.sampler.tape_writer import LONGEST
from wbound.typing import Array

__all__ = ["Task"]

#: The scan for T uses at most this many steps; the search that follows uses all.
SCAN_STEPS = 128
#: log λ(T) is searched this far below and above the data's log variance a coordinate: √λ(T) from 1/20 of the
#: data's standard deviation to 5e8 times it.
BELOW, ABOVE = -6.0, 40.0
#: How near to an end of what could be searched a level counts as at the end.
TOLERANCE = 0.05


@dataclass(frozen=True)
class Task:
    """The data and scheme that rows are judged by."""

    spectrum: Spectrum
    scheme: str
    log_variance: float
    #: between which log λ all levels above 0 have to lie
    range: tuple[float, float] = (-math.inf, math.inf)

    def judge(self, log_lam: Array, p: Process | None) -> ClockW2:
        """Exact W2 on these nodes; a process is looked at only where the scheme sees more than its clock."""
        spectrum = self.spectrum
        sampling = spectrum.sampling
        pair = seen_as(self.scheme, p)
        if remembers(self.scheme):
            laws = self._by_tape(log_lam, sampling.at)
        elif pair in LAWS:
            return clock_w2(spectrum, log_lam, pair)
        else:
            p = p or catalogue.process("ve-constant")  # where it sees the clock alone, any process shows it
            grid = Grid("nodes", "log_lam", lambda r: log_lam, True, log_lam.size - 1)
            blank = Gaussian(np.zeros(1), 1.0)  # a Setting has data; `law` is asked for eigenvalues directly
            laws = [
                law(setting(p, blank, scheme=self.scheme, start=start, grid=grid), sampling.at)
                for start in ("exact", "prior")
            ]
        e, mean = ([sampling.spread(v) for v in each] for each in zip(*laws, strict=True))
        s, n, mean2 = spectrum.variances, spectrum.counts, spectrum.mean_square
        squares = [float((n * width_error2(s, e[i]) + mean2 * mean[i] ** 2).sum()) for i in (0, 1)]
        gap = n * start_gap2(s, e[0], e[1]) + mean2 * (mean[0] - mean[1]) ** 2
        return ClockW2(math.sqrt(squares[0]), math.sqrt(squares[1]), math.sqrt(float(gap.sum())))

    def _by_tape(self, log_lam: Array, variances: Array) -> list[tuple[Array, Array]]:
        """The output's variance minus ς², and the mean's error per unit, from p_T and from the prior."""
        memory = scheme_named(self.scheme).memory
        assert memory is not None
        if log_lam.size - 1 > LONGEST:
            raise BadInput("steps", log_lam.size - 1, f"must be at most {LONGEST} for {self.scheme}")
        if not log_lam[0] < BEYOND:
            raise BadInput("log lam(T)", float(log_lam[0]), f"is too large for {self.scheme}")
        tape = memory.tape(np.exp(log_lam))
        laws = [tape_law(tape, variances, start=start) for start in ("exact", "prior")]
        return [(of.variance - variances, of.mean_gain - 1.0) for of in laws]

    def at(self, row: Candidate, u: float, K: int) -> float:
        """The error of a row at log λ(T) = u; infinite where the process does not get there."""
        try:
            log_lam, p, _ = row.trial(u, K)
            return self.judge(log_lam, p).robust
        except BadInput:
            return math.inf

    def held(self, row: Candidate, u: float, K: int) -> float:
        """`at`, and infinite where a sampler in float32 cannot follow the nodes."""
        try:
            log_lam, p, _ = row.trial(u, K)
            return self.judge(log_lam, p).robust if float32_holds(log_lam, self.log_variance) else math.inf
        except BadInput:
            return math.inf

    def scan(self, row: Candidate, levels: Array, K: int) -> list[float]:
        """`held` at each of several levels, all of them at once where the scheme sees the clock alone."""
        placed = row.places(levels.tolist(), K)
        out = [math.inf] * levels.size
        at: dict[str, list[tuple[int, Array]]] = {}
        for i, one in enumerate(placed):
            if one is None or not float32_holds(one[0], self.log_variance):
                continue
            pair = seen_as(self.scheme, one[1])
            if pair is not None and pair in LAWS and not remembers(self.scheme):
                at.setdefault(pair, []).append((i, one[0]))
                continue
            with contextlib.suppress(BadInput):
                out[i] = self.judge(one[0], one[1]).robust
        for pair, own in at.items():
            found = clock_w2s(self.spectrum, [log_lam for _, log_lam in own], pair)
            for (i, _), w2 in zip(own, found, strict=True):
                out[i] = w2.robust
        return out

    def best(self, row: Candidate, K: int, near: float | None = None) -> Level:
        """Where the row's error is least in log λ(T), a scan unless ``near`` is known and then a bounded search;
        and back from there where the last of it gains next to nothing (`wbound.design.largest_level`)."""
        low = max(self.log_variance + BELOW, self.range[0])
        high = max(min(self.log_variance + ABOVE, self.range[1]), low + 1.0)

        known: dict[float, float] = {}

        def error(u: float) -> float:
            if u not in known:
                known[u] = self.held(row, u, K)
            return known[u]

        if near is None:
            few = min(K, SCAN_STEPS)
            mesh = np.linspace(low, high, round((high - low) / 2.0) + 1)
            values = self.scan(row, mesh, few)
            i = int(np.argmin(values))
            if not math.isfinite(values[i]):
                return Level(float(mesh[i]), math.inf, None, float(mesh[i]))
            # with more steps the best λ(T) is larger, and at most K times so
            left = float(mesh[max(i - 1, 0)])
            right = float(mesh[min(i + 1, mesh.size - 1)]) + math.log(K / few)
        else:
            left, right = near - 1.5, near + 1.5
        u, least = self._inside(error, max(left, low), min(right, high))
        limit = "range" if min(u - low, high - u) < TOLERANCE else None
        if not math.isfinite(error(u + TOLERANCE)):
            limit = "float32" if math.isfinite(self.at(row, u + TOLERANCE, K)) else "process"
        return enough(error, u, least, low, limit)

    def _inside(self, error: Callable[[float], float], left: float, right: float) -> tuple[float, float]:
        """The least error between, where it is finite from ``left`` up to some point."""
        if not math.isfinite(error(right)):
            good, bad = left, right
            while bad - good > 0.5 * TOLERANCE:
                middle = 0.5 * (good + bad)
                good, bad = (middle, bad) if math.isfinite(error(middle)) else (good, middle)
            right = good
        found = minimize_scalar(error, bounds=(left, right), method="bounded", options={"xatol": 0.02})
        ends = [(float(found.x), float(found.fun)), (right, error(right))]
        return min(ends, key=lambda end: end[1])

    def steps_for(self, row: Candidate, eps: float, K: int, known: Level) -> int | None:
        """The least K at which the row's error, at the best T found, is at most ε; None above `MOST_STEPS`."""
        at = {K: known}

        def error(K: int) -> float:
            if K not in at:
                nearest = min(at, key=lambda k: abs(k - K))
                at[K] = self.best(row, K, at[nearest].farthest)
            return at[K].error

        return fewest(error, eps, K, MOST_STEPS, scheme_named(self.scheme).stages)
