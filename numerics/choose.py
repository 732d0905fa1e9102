"""Which schedule, and how many steps, for these data: processes and grids ranked by exact W2 of the
Gaussian with the data's mean and covariance (section 3's exact law), each at its best T.

hf and ddpm, and the ODE schemes ode-hf, ddim, heun and heun-lam, see a process through its clock alone, so a grid
placed in λ is one row for every process; em, ei and ode-ei see α too, except for VE, where they are hf and ode-hf;
em-point and em-point-arrival see f and g at a time, so each process has rows of its own. Every
eigenvalue counts: a law's variance is a smooth function of the eigenvalue, computed at Chebyshev points and carried
to all by interpolation (`Spectrum.sampling`, to 1e-11).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from numerics.candidates import (
    GRIDS,
    ON_CLOCK,
    Candidate,
    Maker,
    candidates_of,
    makers_of,
    seen_as,
    told_apart,
    twin,
)
from numerics.datasets import Dataset
from numerics.ranking import MOST_STEPS, Choice, Ranking
from numerics.schedules import Schedule
from wbound import Process
from wbound.clock import Grid
from wbound.data import Gaussian, LogConcave
from wbound.errors import BadInput, count, one_of, positive
from wbound.gaussian import law
from wbound.optimal import numerical_grid
from wbound.schemes import SCHEMES, scheme_named
from wbound.setting import setting
from wbound.spectrum import FLOWS, PAIRS, ClockW2, Spectrum, clock_w2, start_gap2, width_error2

__all__ = ["GRIDS", "MOST_STEPS", "Choice", "Ranking", "choose"]

Array = NDArray[np.float64]

#: Nodes are optimised one by one for an ODE up to so many steps: beyond, Newton's method takes minutes.
MOST_FLOW_STEPS = 150
#: The scan for T uses at most this many steps; the search that follows uses all.
SCAN_STEPS = 128
#: log λ(T) is searched this far below and above the data's log variance.
BELOW, ABOVE = -2.0, 26.0


@dataclass(frozen=True)
class _Task:
    """The data and scheme that rows are judged by."""

    spectrum: Spectrum
    scheme: str

    def judge(self, log_lam: Array, p: Process | None) -> ClockW2:
        """Exact W2 on these nodes; a process is looked at only where the scheme sees more than its clock."""
        spectrum = self.spectrum
        pair = seen_as(self.scheme, p)
        if pair is not None:
            return clock_w2(spectrum, log_lam, pair)
        assert p is not None
        grid = Grid("nodes", "log_lam", lambda r: log_lam, True, log_lam.size - 1)
        sampling = spectrum.sampling
        blank = Gaussian(np.zeros(1), 1.0)  # a Setting has data; `law` is asked for eigenvalues directly
        laws = [
            law(setting(p, blank, scheme=self.scheme, start=start, grid=grid), sampling.at)
            for start in ("exact", "prior")
        ]
        e, mean = ([sampling.spread(v) for v in pair] for pair in zip(*laws, strict=True))
        s, n, mean2 = spectrum.variances, spectrum.counts, spectrum.mean_square
        squares = [float((n * width_error2(s, e[i]) + mean2 * mean[i] ** 2).sum()) for i in (0, 1)]
        gap = n * start_gap2(s, e[0], e[1]) + mean2 * (mean[0] - mean[1]) ** 2
        return ClockW2(math.sqrt(squares[0]), math.sqrt(squares[1]), math.sqrt(float(gap.sum())))

    def at(self, row: Candidate, u: float, K: int) -> float:
        """The error of a row at log λ(T) = u; infinite where the process does not get there."""
        try:
            log_lam, p, _ = row.place(u, K)
            return self.judge(log_lam, p).robust
        except BadInput:
            return math.inf

    def best(self, row: Candidate, K: int, centre: float, near: float | None = None) -> tuple[float, float]:
        """The best log λ(T) and the error there: a scan unless ``near`` is known, then a bounded search."""
        low, high = 0.0, 0.0
        if near is None:
            few = min(K, SCAN_STEPS)
            mesh = centre + np.linspace(BELOW, ABOVE, 15)
            values = [self.at(row, float(u), few) for u in mesh]
            i = int(np.argmin(values))
            if not math.isfinite(values[i]):
                return float(mesh[i]), math.inf
            # with more steps the best λ(T) is larger, and at most K times so
            low = float(mesh[max(i - 1, 0)])
            high = float(mesh[min(i + 1, mesh.size - 1)]) + math.log(K / few)
        else:
            low, high = near - 1.5, near + 1.5
        found = minimize_scalar(
            lambda u: self.at(row, float(u), K), bounds=(low, high), method="bounded", options={"xatol": 0.02}
        )
        return float(found.x), float(found.fun)

    def steps_for(
        self, row: Candidate, eps: float, centre: float, K: int, u: float, error: float
    ) -> int | None:
        """The least K at which the row's error, at its best T, is at most ε; None above `MOST_STEPS`."""
        bad, good, order = 0, None, float(scheme_named(self.scheme).stages)
        while good is None or good - bad > 1:
            if error <= eps:
                good = K
            else:
                bad = K
            if good is not None and good - bad <= 1:
                break
            guess = K * (error / eps) ** (1.0 / order)  # the error falls as K^−order
            if good is None:
                if bad >= MOST_STEPS:
                    return None
                K = min(max(int(guess * 1.05) + 1, bad + 1), MOST_STEPS)
            else:
                K = (
                    min(max(math.ceil(guess), bad + 1), good - 1)
                    if bad
                    else max(min(int(guess), good - 1), 1)
                )
                if good - bad > 8 and K in (bad + 1, good - 1) and abs(guess - K) > 2:
                    K = (bad + good) // 2
            u, error = self.best(row, K, centre, near=u)
        return good


def choose(
    data: Dataset,
    steps: int | None = None,
    *,
    eps: float | None = None,
    eps_rel: float | None = None,
    scheme: str | Sequence[str] = "hf",
    processes: Sequence[str | Process] | None = None,
    grids: Iterable[str] | None = None,
    schedules: Iterable[Schedule] = (),
    numerical: bool = True,
    watch: Callable[[int, int, dict[str, Any]], None] = lambda done, total, row: None,
) -> Ranking:
    """Rank processes and grids for these data. Kind: *exact* for the Gaussian surrogate.

    steps: K ≥ 1 of every row; or eps (x), or eps_rel (ε/‖X_0 − E X_0‖): then K is the least that a row needs,
    and without ``steps`` rows are compared at the least K of all of them. scheme: a sampler, SDE or ODE, or
    several (with ``steps``), ranked together at the same K. processes: names or `Process`es (default: the
    catalogue's and the images'); grids: "uniform" and names of `GRIDS` (default all). schedules: the user's
    own, ranked at their own K. numerical: the nodes optimised one by one, too. watch: is told how many rows are
    done, of how many, and the last. Raises `BadInput`.
    """
    began = time.perf_counter()
    chosen = [scheme] if isinstance(scheme, str) else list(dict.fromkeys(scheme))
    for name in chosen or [""]:
        one_of("scheme", name, SCHEMES)
    if len(chosen) > 1:
        if steps is None:
            raise BadInput("steps", "None", "give steps: several schemes are compared at one K")
        parts = [
            choose(
                data,
                steps,
                eps=eps,
                eps_rel=eps_rel,
                scheme=name,
                processes=processes,
                grids=None if grids is None else list(grids),
                schedules=list(schedules),
                numerical=numerical,
                watch=watch,
            )
            for name in chosen
        ]
        return _together(parts, began)
    scheme = chosen[0]
    eps = _tolerance(data, eps, eps_rel)
    if steps is None and eps is None:
        raise BadInput("steps", "None", "give steps, or eps, or eps_rel")
    K = count("steps", steps) if steps is not None else 20
    if K > MOST_STEPS:
        raise BadInput("steps", K, f"must be at most {MOST_STEPS}")
    gaussian = data.gaussian
    task = _Task(Spectrum.of(gaussian), scheme)
    facts, limits = _facts(data)
    makers = makers_of(processes, facts)
    rows = candidates_of(scheme, makers, _grids(grids), gaussian, facts)
    centre = 2.0 * math.log(data.scale)
    found = []
    total = len(rows) * (1 if eps is None else 2)
    for row in rows:
        found.append((row, *task.best(row, K, centre)))
        watch(len(found), total, {"process": row.name, "grid": row.grid, "error": found[-1][2]})
    found = [f for f in found if math.isfinite(f[2])]
    needed: list[int | None] = [None] * len(found)
    if eps is not None:
        for i, (row, u, error) in enumerate(found):
            needed[i] = task.steps_for(row, eps, centre, K, u, error)
            watch(len(rows) + i + 1, total, {"process": row.name, "grid": row.grid, "steps": needed[i]})
        if steps is None:
            reached = [n for n in needed if n is not None]
            if not reached:
                raise BadInput("eps", eps, f"no schedule reaches it within {MOST_STEPS} steps")
            K = min(reached)
            found = [(row, *task.best(row, K, centre, near=u)) for row, u, _ in found]
    choices = []
    for (row, u, _), n in zip(found, needed, strict=True):
        log_lam, p, T = row.place(u, K)
        choices.append(_choice(row.name, row.grid, "named", log_lam, p, T, task, n))
    if numerical:
        choices.extend(_numerical(task, gaussian, K, eps, choices, makers))
    for s in schedules:
        choices.append(_choice(s.name, "given", "given", s.log_lam, s.process, None, task, None))
    return _ranked(choices, data, task, K, eps, limits, began)


def _tolerance(data: Dataset, eps: float | None, eps_rel: float | None) -> float | None:
    if eps is not None and eps_rel is not None:
        raise BadInput("eps_rel", eps_rel, "give eps or eps_rel, not both")
    if eps_rel is not None:
        return positive("eps_rel", eps_rel) * data.spread
    return None if eps is None else positive("eps", eps)


def _grids(grids: Iterable[str] | None) -> list[str]:
    names = ("uniform", *GRIDS)
    return list(names) if grids is None else [one_of("grid", g, names) for g in grids]


def _facts(data: Dataset) -> tuple[LogConcave, list[str]]:
    """m_0 and L_0 on the directions that vary, for the optimal grid."""
    varying = data.eigenvalues[data.eigenvalues > 0.0]
    m0, L0 = 1.0 / float(varying[-1]), 1.0 / float(varying[0])
    said = []
    if varying.size < data.d:
        said.append(
            f"{data.d - varying.size} directions do not vary; the grid 'optimal' takes L0 from the others"
        )
    moment = data.spread**2 + float(data.coordinates @ data.coordinates)
    return LogConcave(varying.size, m0, L0, moment), said


def _choice(
    name: str,
    grid: str,
    kind: str,
    log_lam: Array,
    p: Process | None,
    T: float | None,
    task: _Task,
    needed: int | None,
) -> Choice:
    w2 = task.judge(log_lam, p)
    return Choice(
        rank=0,
        process=name,
        grid=grid,
        scheme=task.scheme,
        kind=kind,
        K=log_lam.size - 1,
        T=None if T is None or math.isnan(T) else T,
        sigma_max=math.exp(0.5 * float(log_lam[0])),
        parameters={} if p is None else dict(p.parameters),
        error=w2.robust,
        w2=w2.prior,
        w2_exact_start=w2.exact,
        start_share=w2.start,
        factor=1.0,
        steps=needed,
        log_lam=log_lam,
        made_by=p,
    )


def _numerical(
    task: _Task,
    data: Gaussian,
    K: int,
    eps: float | None,
    choices: list[Choice],
    makers: list[tuple[str, Maker]],
) -> list[Choice]:
    """The nodes optimised one by one, read through the clock: at least as good as every named row of it; for
    the other schemes those of their twin, read through each process that they tell apart."""
    scheme = task.scheme if task.scheme in ON_CLOCK else twin(task.scheme)
    if scheme in FLOWS and K > MOST_FLOW_STEPS:
        return []

    def solve(steps: int, starts: list[Array]) -> Array:
        grid = numerical_grid(data, steps, objective="exact", scheme=scheme, start="prior", starts=starts)
        with np.errstate(divide="ignore"):  # the last node is λ = 0
            return np.log(grid.lam)

    on_clock = [c for c in choices if seen_as(task.scheme, c.made_by) is not None]
    best = min(on_clock, key=lambda c: c.error, default=None)
    nodes = solve(K, [] if best is None else [np.exp(best.log_lam)])
    needed = None
    if eps is not None and best is not None and scheme in PAIRS:
        least = min((c.steps for c in on_clock if c.steps is not None), default=None)
        needed = None if least is None else _numerical_steps(task, solve, eps, least)
    name = "any" if task.scheme in ON_CLOCK else "any VE"
    out = []
    if best is not None:
        out.append(_choice(name, "numerical", "numerical", nodes, None, None, task, needed))
    for label, make in told_apart(task.scheme, makers):
        try:
            known, T = make(float(nodes[0]))
        except BadInput:  # a clock that does not get there
            continue
        out.append(_choice(label, f"numerical for {scheme}", "numerical", nodes, known, T, task, None))
    return out


def _numerical_steps(
    task: _Task, solve: Callable[[int, list[Array]], Array], eps: float, least: int, tries: int = 8
) -> int:
    """The least K that the numerically optimal grid needs, between 1 and the best named row's (a few
    solves)."""
    bad, good = 0, least
    for _ in range(tries):
        if good - bad <= 1:
            break
        K = max(bad + 1, good - 1 if bad == 0 else (bad + good) // 2)
        error = task.judge(solve(K, []), None).robust
        if error <= eps:
            good = K
            # the error falls as 1/K: jump to where it would meet ε
            jump = math.ceil(K * error / eps)
            if bad < jump - 1 < good - 1:
                error = task.judge(solve(jump - 1, []), None).robust
                good, bad = (jump - 1, bad) if error <= eps else (good, jump - 1)
        else:
            bad = K
    return good


def _ordered(choices: Sequence[Choice]) -> tuple[Choice, ...]:
    """The rows by their error, with rank and factor."""

    def order(c: Choice) -> tuple[float, float]:
        return c.error, {"numerical": 0.0, "named": 1.0}.get(c.kind, 2.0)

    ranked = sorted(choices, key=order)
    best = ranked[0].error
    return tuple(
        replace(c, rank=i, factor=c.error / best if best > 0.0 else 1.0) for i, c in enumerate(ranked, 1)
    )


def _ranked(
    choices: list[Choice],
    data: Dataset,
    task: _Task,
    K: int,
    eps: float | None,
    limits: list[str],
    began: float,
) -> Ranking:
    said = [
        "exact for a Gaussian with the data's mean and covariance: what else the data are (images are not "
        "Gaussian) and a network's error are not in it, so this ranks schedules and guarantees nothing about "
        "samples",
        "error = W2 from p_T + W2 that the prior start changes (W2 from the prior alone can be tuned to 0)",
        *limits,
        *data.notes,
    ]
    scheme = SCHEMES[task.scheme]
    if task.scheme not in ON_CLOCK:
        said.append(
            f"numerically optimal nodes are optimised for {twin(task.scheme)} and read by {task.scheme}"
        )
    if scheme.kind == "ode" and K > MOST_FLOW_STEPS:
        said.append(f"nodes are optimised one by one for ODE schemes up to K = {MOST_FLOW_STEPS} only")
    if scheme.stages == 2:
        said.append(f"{scheme.name} asks for the score twice a step, 2K - 1 times; the others K times")
    return Ranking(_ordered(choices), data, task.scheme, K, eps, tuple(said), time.perf_counter() - began)


def _together(parts: Sequence[Ranking], began: float) -> Ranking:
    """Rankings of several schemes at one K as one."""
    first = parts[0]
    rows = _ordered([row for part in parts for row in part.rows])
    said = dict.fromkeys(line for part in parts for line in part.limits)
    names = ", ".join(part.scheme for part in parts)
    return Ranking(rows, first.data, names, first.steps, first.eps, tuple(said), time.perf_counter() - began)
