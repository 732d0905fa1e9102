"""Which schedule, and how many steps, for these data: processes and grids ranked by exact W2 of the
Gaussian with the data's mean and covariance (section 3's exact law), each at the best T found.

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
from dataclasses import replace
from typing import Any

import numpy as np

from numerics.schedules.candidates import (
    Candidate,
    Maker,
    candidates_of,
    makers_of,
    on_clock,
    remembers,
    seen_as,
    sees_alpha,
    squeezed,
    told_apart,
    twin,
    within,
)
from numerics.schedules.fewest_steps import fewest
from numerics.schedules.optimised_nodes import MOST_FLOW_STEPS, Numerical
from numerics.schedules.ranking import MOST_STEPS, Choice, Ranking
from numerics.schedules.row_levels import Task
from numerics.schedules.schedule_object import Schedule
from numerics.schedules.tape_rows import tape_row
from numerics.targets.datasets import Dataset
from wbound import Process
from wbound.data.log_concave import LogConcave
from wbound.design.largest_level import DECADE, Level
from wbound.errors import BadInput, count, one_of, positive
from wbound.exact.clock_law import LAWS, Spectrum
from wbound.sampler.grid import GRIDS, log_nodes
from wbound.sampler.make_setting import has_density
from wbound.sampler.placement import SEARCHED
from wbound.sampler.scheme import scheme_named
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["MOST_STEPS", "Choice", "Ranking", "choose"]


#: What the search for a row's steps costs beside its λ(T), as a guess for those who wait.
SEARCH = 4.0


def choose(
    data: Dataset,
    steps: int | None = None,
    *,
    eps: float | None = None,
    eps_rel: float | None = None,
    scheme: str | Sequence[str] = "ddim",
    processes: Sequence[str | Process] | None = None,
    grids: Iterable[str] | None = None,
    schedules: Iterable[Schedule] = (),
    tapes: Iterable[Tape] = (),
    numerical: bool = True,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    watch: Callable[[int, int, dict[str, Any]], None] = lambda done, total, row: None,
) -> Ranking:
    """Rank processes and grids for these data. Kind: *exact* for the Gaussian surrogate.

    steps: K ≥ 1 of every row; or eps (x), or eps_rel (ε/‖X_0 − E X_0‖): then K is the least that a row needs,
    and without ``steps`` rows are compared at the least K of all of them. scheme: a sampler, SDE or ODE, or
    several (with ``steps``), ranked together with at most ``steps`` network calls each:
    schemes of two stages with about half the steps. processes: names or `Process`es (default: the
    catalogue's and the images'); grids: names of `wbound.GRIDS` (default: "uniform" and `placement.SEARCHED`). schedules:
    the user's own, ranked at their own K, and so are tapes, from their own starts. numerical: the nodes optimised one by one.
    sigma_min, sigma_max: all levels above 0 lie between, as a network that was trained there asks; nodes outside are
    squeezed into it in log λ. watch: is told how many rows are done, of how many, and the last. Raises `BadInput`.
    """
    began = time.perf_counter()
    chosen = [scheme] if isinstance(scheme, str) else list(dict.fromkeys(scheme))
    for name in chosen or [""]:
        scheme_named(name)
    if len(chosen) > 1:
        if steps is None:
            raise BadInput(
                "steps", "None", "give steps: several schemes are compared at one number of network calls"
            )
        parts = [
            choose(
                data,
                scheme_named(name).steps_of(count("steps", steps)),
                eps=eps,
                eps_rel=eps_rel,
                scheme=name,
                processes=processes,
                grids=None if grids is None else list(grids),
                schedules=list(schedules),
                tapes=list(tapes) if name == chosen[0] else (),
                numerical=numerical,
                sigma_min=sigma_min,
                sigma_max=sigma_max,
                watch=_part(watch, i, len(chosen)),
            )
            for i, name in enumerate(chosen)
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
    has_density(scheme_named(scheme), gaussian.eigenvalues)
    task = Task(Spectrum.of(gaussian), scheme, 2.0 * math.log(data.scale), _range(sigma_min, sigma_max))
    facts, limits = _facts(data)
    makers = makers_of(processes, facts)
    rows = candidates_of(scheme, makers, _grids(grids), gaussian, facts)
    if task.range != (-math.inf, math.inf):
        if not on_clock(scheme):
            raise BadInput(
                "sigma_max", sigma_max, f"goes with schemes that see the clock alone, not {scheme}"
            )
        limits.append(
            "all levels lie between sigma_min and sigma_max: what lies outside is squeezed into it in log λ"
        )
        rows = [within(row, *task.range) for row in rows]
    found: list[tuple[Candidate, Level]] = []
    total = len(rows) * (1 if eps is None else 2)
    whole = len(rows) * (1.0 if eps is None else 1.0 + SEARCH)
    for i, row in enumerate(rows, 1):
        level = task.best(row, K)
        watch(i, total, {"process": row.name, "grid": row.grid, "error": level.error, "share": i / whole})
        if math.isfinite(level.error):
            found.append((row, level))
    needed: list[int | None] = [None] * len(found)
    if eps is not None:
        for i, (row, level) in enumerate(found):
            needed[i] = task.steps_for(row, eps, K, level)
            share = (len(rows) + SEARCH * (i + 1)) / whole
            watch(
                len(rows) + i + 1,
                total,
                {"process": row.name, "grid": row.grid, "steps": needed[i], "share": share},
            )
    nodes = Numerical(gaussian, scheme, task.range[1]) if numerical and not remembers(scheme) else None
    read = _readers(scheme, found, makers) if nodes is not None else []
    fewest_read: list[int | None] = [None] * len(read)
    if eps is not None and nodes is not None:
        reached = [n for n in needed if n is not None]
        for i, (_, through) in enumerate(read):
            fewest_read[i] = _numerical_steps(task, nodes, through, eps, reached)
    if steps is None and eps is not None:
        reached = [n for n in (*needed, *fewest_read) if n is not None]
        if not reached:
            raise BadInput("eps", eps, f"no schedule reaches it within {MOST_STEPS} steps")
        K = min(reached)
        found = [(row, task.best(row, K, level.farthest)) for row, level in found]
    choices = []
    for (row, level), n in zip(found, needed, strict=True):
        log_lam, p, T = row.place(level.log_lam, K)
        choice = _choice(row.name, row.grid, "named", log_lam, p, T, task, n)
        if level.limit is not None:
            before = task.at(row, level.log_lam - DECADE, K)
            choice = replace(choice, limit=level.limit, last_decade=1.0 - choice.error / before)
        choices.append(choice)
    if nodes is not None and not nodes.too_many(K):
        choices.extend(_numerical(task, nodes, K, choices, read, fewest_read))
    for s in schedules:
        choices.append(_choice(s.name, "given", "given", s.log_lam, s.process, None, task, None))
        if s.stopped_early:
            limits.append(f"{s.name} ends above zero: its W2 is of its output divided by its α")
    choices.extend(tape_row(tape, data) for tape in tapes)
    if not choices:
        asked = ", ".join(dict.fromkeys(row.grid for row in rows)) or "none"
        raise BadInput("grid", asked, f"has no levels on which {scheme} runs at K = {K}")
    return _ranked(choices, data, task, K, eps, limits, began)


def _range(sigma_min: float | None, sigma_max: float | None) -> tuple[float, float]:
    """Between which log λ levels lie."""
    low = -math.inf if sigma_min is None else 2.0 * math.log(positive("sigma_min", sigma_min))
    high = math.inf if sigma_max is None else 2.0 * math.log(positive("sigma_max", sigma_max))
    if not low < high:
        raise BadInput("sigma_min", sigma_min, f"must be below sigma_max = {sigma_max}")
    return low, high


def _part(
    watch: Callable[[int, int, dict[str, Any]], None], i: int, n: int
) -> Callable[[int, int, dict[str, Any]], None]:
    """``watch`` for the i-th of n rankings: what is done, and its share, are of all of them."""
    return lambda done, total, row: watch(
        i * total + done, n * total, {**row, "share": (i + row["share"]) / n}
    )


def _tolerance(data: Dataset, eps: float | None, eps_rel: float | None) -> float | None:
    if eps is not None and eps_rel is not None:
        raise BadInput("eps_rel", eps_rel, "give eps or eps_rel, not both")
    if eps_rel is not None:
        return positive("eps_rel", eps_rel) * data.spread
    return None if eps is None else positive("eps", eps)


def _grids(grids: Iterable[str] | None) -> list[str]:
    return ["uniform", *SEARCHED] if grids is None else [one_of("grid", g, GRIDS) for g in grids]


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
    task: Task,
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


#: The name of a row of optimised nodes, and the process (and T) that reads them; None where no process matters.
_Reader = tuple[str, Maker | None]


def _readers(
    scheme: str, found: list[tuple[Candidate, Level]], makers: list[tuple[str, Maker]]
) -> list[_Reader]:
    """Who reads the nodes optimised one by one: the clock; for em, ei and ode-ei VE, and each class of α."""
    if on_clock(scheme):
        return [("any", None)] if found else []
    names = {row.name for row, _ in found}
    clock = scheme_named(scheme).sees != "point" and (
        "any VE" in names or any(name in names and not sees_alpha(make) for name, make in makers)
    )
    return [("any VE", None)] * clock + list(told_apart(scheme, makers))


def _numerical(
    task: Task,
    nodes: Numerical,
    K: int,
    choices: list[Choice],
    read: list[_Reader],
    needed: list[int | None],
) -> list[Choice]:
    """The rows of the nodes optimised one by one, read through the clock and through each process that the scheme
    sees."""
    on_clock = [c for c in choices if seen_as(task.scheme, c.made_by) is not None]
    best = min(on_clock, key=lambda c: c.error, default=None)
    grid = nodes.grid(K, [] if best is None else [np.exp(best.log_lam)])
    log_lam, out = squeezed(log_nodes(grid.lam), *task.range), []
    for (label, make), n in zip(read, needed, strict=True):
        try:
            p, T = (None, None) if make is None else make(float(log_lam[0]))
        except BadInput:  # a clock that does not get there
            continue
        name = "numerical" if make is None else f"numerical for {nodes.scheme}"
        choice = _choice(label, name, "numerical", log_lam, p, T, task, n)
        out.append(replace(choice, limit=grid.limit, last_decade=grid.last_decade))
    return out


def _numerical_steps(
    task: Task, nodes: Numerical, reader: Maker | None, eps: float, named: list[int]
) -> int | None:
    """The least K at which the optimised nodes, so read, have an error of at most ε; None above the most steps for
    which nodes are optimised, or where no named row reaches ε."""
    if not named:
        return None

    def error(K: int) -> float:
        log_lam = squeezed(log_nodes(nodes.grid(K).lam), *task.range)
        try:
            return task.judge(log_lam, None if reader is None else reader(float(log_lam[0]))[0]).robust
        except BadInput:
            return math.inf

    most = MOST_FLOW_STEPS if LAWS[nodes.scheme].flow else MOST_STEPS
    return fewest(error, eps, min([*named, most]), most, 1)


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
    task: Task,
    K: int,
    eps: float | None,
    limits: list[str],
    began: float,
) -> Ranking:
    said = [
        "exact for a Gaussian with the data's mean and covariance: what else the data are (images are not "
        "Gaussian) and a network's error are not in it, so this ranks schedules and guarantees nothing about "
        "samples",
        "error = W2 from p_T + W2 that the prior start changes; W2 = from the prior, which is what a run gives and "
        "can be tuned to nearly 0 by T alone",
        *limits,
        *data.notes,
    ]
    scheme = scheme_named(task.scheme)
    if remembers(task.scheme):
        said.append(f"nodes are not optimised one by one for {scheme.name}")
    elif task.scheme not in LAWS:
        said.append(
            f"numerically optimal nodes are optimised for {twin(task.scheme)} and read by {task.scheme}"
        )
    if scheme.memory is not None and scheme.memory.caveat:
        said.append(scheme.memory.caveat)
    if scheme.flow and scheme.memory is None and K > MOST_FLOW_STEPS:
        said.append(f"nodes are optimised one by one for ODE schemes up to K = {MOST_FLOW_STEPS} only")
    if scheme.stages == 2:
        often = "2K" if scheme.at_zero else "2K - 1"
        said.append(f"{scheme.name} asks for the score twice a step, {often} times; the others K times")
    return Ranking(_ordered(choices), data, task.scheme, K, eps, tuple(said), time.perf_counter() - began)


def _together(parts: Sequence[Ranking], began: float) -> Ranking:
    """Rankings of several schemes at one number of network calls as one."""
    first = parts[0]
    rows = _ordered([row for part in parts for row in part.rows])
    said = dict.fromkeys(line for part in parts for line in part.limits)
    calls = max(row.calls for row in rows if row.kind != "given") if rows else 0
    said[
        f"schemes are compared at {calls} network calls, or one fewer; your own schedules at their own number"
    ] = None
    names = ", ".join(part.scheme for part in parts)
    steps = max(part.steps for part in parts)
    return Ranking(rows, first.data, names, steps, first.eps, tuple(said), time.perf_counter() - began)
