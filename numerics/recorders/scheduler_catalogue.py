"""diffusers schedulers × options for one training, ranked on one's own data at equal calls of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from numerics.laws.tape_parts import w2_on
from numerics.recorders.diffusers_schedulers import Plan
from numerics.recorders.kept_tapes import kept_tape
from numerics.recorders.network_levels import training_of
from numerics.recorders.remedies import Options, rows_of
from numerics.recorders.scheduler_nodes import sigma_range, training_log_lam
from numerics.recorders.scheduler_source import diffusers_library, keys_of, quiet, source_of
from numerics.schedules.choice import choose
from numerics.schedules.schedule_formats import nearest, to_array
from numerics.targets.datasets import Dataset
from wbound.errors import BadInput, WboundError, count
from wbound.sampler.tape import Tape

__all__ = ["RankedSampler", "best_first", "catalogue", "ranked_schedulers"]

SPACED: tuple[Options, ...] = tuple({"timestep_spacing": s} for s in ("leading", "linspace", "trailing"))
KARRAS, EXPONENTIAL, BETA, LU = (
    {f"use_{name}": True} for name in ("karras_sigmas", "exponential_sigmas", "beta_sigmas", "lu_lambdas")
)
ORDERS: tuple[Options, ...] = ({"solver_order": 2}, {"solver_order": 3})


def _times(*factors: tuple[Options, ...]) -> tuple[Options, ...]:
    """Every combination of one of each."""
    return tuple({key: one[key] for one in parts for key in one} for parts in product(*factors))


#: Class → its rows, of a training with a table of betas.
TABLE: dict[str, tuple[Options, ...]] = {
    "DDIMScheduler": _times(({"clip_sample": False},), SPACED),
    "DDPMScheduler": _times(({"clip_sample": False},), SPACED),
    "PNDMScheduler": _times(({"skip_prk_steps": True},), SPACED),
    "EulerDiscreteScheduler": (*SPACED, KARRAS, EXPONENTIAL, BETA),
    "EulerAncestralDiscreteScheduler": SPACED,
    "HeunDiscreteScheduler": (*SPACED, KARRAS, EXPONENTIAL, BETA),
    "KDPM2DiscreteScheduler": (*SPACED, KARRAS, EXPONENTIAL, BETA),
    "LMSDiscreteScheduler": (*SPACED[1:], KARRAS),
    "DPMSolverMultistepScheduler": (
        *_times(ORDERS, (*SPACED, KARRAS, EXPONENTIAL, BETA, LU)),
        *_times(({"euler_at_final": True},), (*SPACED, KARRAS, EXPONENTIAL)),
        *_times(({"algorithm_type": "sde-dpmsolver++"},), (*SPACED[1:], KARRAS)),
    ),
    "DPMSolverSinglestepScheduler": ({}, KARRAS, EXPONENTIAL),
    "DEISMultistepScheduler": _times(ORDERS, (*SPACED, KARRAS, EXPONENTIAL)),
    "UniPCMultistepScheduler": _times(ORDERS, (*SPACED, KARRAS, EXPONENTIAL)),
    "SASolverScheduler": ({}, KARRAS),
    "DPMSolverSDEScheduler": ({}, KARRAS),
}
#: The same for EDM's networks.
EDM: dict[str, tuple[Options, ...]] = {
    "EDMEulerScheduler": tuple({"sigma_schedule": s} for s in ("karras", "exponential")),
    "EDMDPMSolverMultistepScheduler": _times(
        ORDERS, tuple({"sigma_schedule": s} for s in ("karras", "exponential"))
    ),
}
#: The same for flow matching.
FLOW: dict[str, tuple[Options, ...]] = {
    "FlowMatchEulerDiscreteScheduler": ({}, KARRAS, EXPONENTIAL, BETA),
    "FlowMatchHeunDiscreteScheduler": ({},),
}
#: Two calls a step, and one in the last: at ``calls`` calls they make (calls + 1)/2 steps.
TWICE = (
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "DPMSolverSDEScheduler",
    "FlowMatchHeunDiscreteScheduler",
)
#: The first step asks twice.
ONCE_MORE = ("PNDMScheduler",)


@dataclass(frozen=True)
class RankedSampler:
    """A sampler with options at ``steps`` steps and ``calls`` network calls: W2 (not squared, in the data's units), or
    why there is none; ``line``: what to paste.

    ``tape``: what was run; ``config``: the scheduler's configuration as its library takes it, None for a function;
    ``levels``: ("sigmas" or "timesteps", the list) where the row is laid out by one.
    """

    line: str
    steps: int
    calls: int | None
    w2: float | None
    failed: str | None = None
    tape: Tape | None = field(default=None, repr=False, compare=False)
    config: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    levels: tuple[str, tuple[float, ...]] | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("line", "steps", "calls", "w2", "failed")}


def catalogue(training: Any = "DDPMScheduler", calls: int = 20) -> Iterator[tuple[str, Plan]]:
    """(line to paste, plan) of every row for a training: a scheduler, configuration or class (see `source_of`), whose keys
    are handed on as the line does. Rows whose class or key this version of the library lacks are left out."""
    source = source_of(training)
    with quiet():
        scheduler = source.make()
    rows = {"edm": EDM, "flow": FLOW, "table": TABLE}.get(training_of(scheduler) or "")
    if rows is None:
        raise BadInput("training", source.name, "has neither training betas, flow times nor EDM's levels")
    for name, change, made in rows_of(source, rows):
        steps = (calls + 1) // 2 if name in TWICE else max(calls - (name in ONCE_MORE), 1)
        said = "".join(f", {key}={value!r}" for key, value in change.items())
        line = f"{name}.from_config(scheduler.config{said}).set_timesteps({steps})"
        yield line, Plan(made, steps, {}, {})


def ranked_schedulers(
    data: Dataset,
    calls: int,
    training: Any = "DDPMScheduler",
    *,
    own: bool = False,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    start: str = "own",
    watch: Callable[[int, int], None] | None = None,
) -> tuple[RankedSampler, ...]:
    """Every row of the `catalogue` at ``calls`` calls of the network on N(mean, covariance) of the data, the best first;
    what the library refuses, and what is not affine, last and with the reason. *exact* for that Gaussian.

    own: our own best levels as well, within sigma_min and sigma_max, or the training's range (`own_rows`).
    Raises `BadInput` and `Missing`.
    """
    calls = count("steps", calls)
    rows = list(catalogue(training, calls))
    if own:
        rows += list(own_rows(data, calls, training, sigma_min, sigma_max))
    out = []
    if watch is not None:
        watch(0, len(rows))  # what came before, imports among it, is no measure of the rest
    with quiet():
        for done, (line, plan) in enumerate(rows):
            steps, config = plan.steps, {"_class_name": plan.source.name, **plan.source.to_dict()}
            levels = next(((k, tuple(plan.placing[k])) for k in LISTS if k in plan.placing), None)
            try:
                tape = kept_tape(plan)
                w2 = w2_on(tape, data, start)
                out.append(RankedSampler(line, steps, tape.K, w2, None, tape, config, levels))
            except WboundError as error:
                out.append(RankedSampler(line, steps, None, None, str(error)))
            if watch is not None:
                watch(done + 1, len(rows))
    return best_first(out)


def best_first(rows: Iterable[RankedSampler]) -> tuple[RankedSampler, ...]:
    """The rows by W2, those that failed last."""
    return tuple(sorted(rows, key=lambda r: (r.w2 is None, r.w2 or 0.0)))


#: Arguments of ``set_timesteps`` that are lists.
LISTS = ("timesteps", "sigmas")


def own_rows(
    data: Dataset, calls: int, training: Any, sigma_min: float | None, sigma_max: float | None
) -> Iterator[tuple[str, Plan]]:
    """Our own best levels within the training's range as lists that the library takes: sigmas for Euler's method, which
    is ddim, and for DPM-Solver++(2M) the nearest training timesteps. Nothing where the training has no table."""
    source, library = source_of(training), diffusers_library()
    with quiet():
        if not hasattr(source.make(), "alphas_cumprod"):
            return
    low, high = sigma_range(source)
    low = low if sigma_min is None else sigma_min
    high = high if sigma_max is None else sigma_max
    for name, scheme, key in OWN:
        kind = getattr(library, name, None)
        if kind is None or key not in keys_of(kind.set_timesteps):
            continue
        off = {k: False for k in PLACING if source.config.get(k) and k in keys_of(kind.__init__)}
        made = choose(data, calls, scheme=scheme, processes=(), sigma_min=low, sigma_max=high).best.schedule
        try:
            if key == "sigmas":
                levels: list[float] = [float(f"{s:.7g}") for s in [*(made.lam[:-1] ** 0.5).tolist(), 0.0]]
            else:
                table, _ = training_log_lam(source)
                levels = [int(t) for t in to_array(nearest(made, table), "timesteps", training=table)]
            plan = Plan(source.but(off, kind), None, {key: levels}, {})
        except WboundError:  # a table that timesteps are no indices of, or too few of them
            continue
        said = "".join(f", {k}={v!r}" for k, v in off.items())
        yield f"{name}.from_config(scheduler.config{said}).set_timesteps({key}={levels})", plan


#: The class, which of our schemes it runs, and how it takes levels.
OWN = (
    ("EulerDiscreteScheduler", "ddim", "sigmas"),
    ("DPMSolverMultistepScheduler", "dpmpp-2m", "timesteps"),
)
#: Keys that lay levels out in another way.
PLACING = (*(key for change in (KARRAS, EXPONENTIAL, BETA, LU) for key in change), "use_flow_sigmas")
