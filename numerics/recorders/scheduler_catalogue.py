"""diffusers schedulers × options for one training, ranked on one's own data at equal calls of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numerics.recorders.diffusers_schedulers import Plan, is_flow
from numerics.recorders.kept_tapes import kept_tape
from numerics.recorders.parts import parts_on
from numerics.recorders.scheduler_source import diffusers_library, quiet, source_of
from numerics.targets.datasets import Dataset
from wbound.errors import BadInput, WboundError, count

__all__ = ["RankedScheduler", "catalogue", "ranked_schedulers"]

Options = Mapping[str, Any]

SPACED: tuple[Options, ...] = tuple({"timestep_spacing": s} for s in ("leading", "linspace", "trailing"))
KARRAS, EXPONENTIAL, BETA, LU = (
    {f"use_{name}": True} for name in ("karras_sigmas", "exponential_sigmas", "beta_sigmas", "lu_lambdas")
)
ORDERS: tuple[Options, ...] = ({"solver_order": 2}, {"solver_order": 3})


def _times(*factors: tuple[Options, ...]) -> tuple[Options, ...]:
    """Every combination of one of each."""
    out: tuple[Options, ...] = ({},)
    for factor in factors:
        out = tuple({**a, **b} for a in out for b in factor)
    return out


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
class RankedScheduler:
    """A scheduler with options at ``steps`` steps and ``calls`` network calls: W2 (not squared, in the data's units), or
    why there is none; ``line``: what to paste."""

    line: str
    steps: int
    calls: int | None
    w2: float | None
    failed: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "line": self.line,
            "steps": self.steps,
            "calls": self.calls,
            "w2": self.w2,
            "failed": self.failed,
        }


def catalogue(training: Any = "DDPMScheduler", calls: int = 20) -> Iterator[tuple[str, Plan]]:
    """(line to paste, plan) of every row for a training: a scheduler, configuration or class (see `source_of`), whose keys
    are handed on as the line does. Rows whose class or key this version of the library lacks are left out."""
    source = source_of(training)
    library = diffusers_library()
    with quiet():
        scheduler = source.make()
    if hasattr(scheduler, "precondition_noise"):
        rows = EDM
    elif is_flow(scheduler):
        rows = FLOW
    elif hasattr(scheduler, "alphas_cumprod"):
        rows = TABLE
    else:
        raise BadInput("training", source.name, "has neither training betas, flow times nor EDM's levels")
    for name, options in rows.items():
        kind = getattr(library, name, None)
        steps = (calls + 1) // 2 if name in TWICE else max(calls - (name in ONCE_MORE), 1)
        for change in options if kind is not None else ():
            try:
                made = source.but(change, kind)
            except WboundError:
                continue
            said = "".join(f", {key}={value!r}" for key, value in change.items())
            line = f"{name}.from_config(scheduler.config{said}).set_timesteps({steps})"
            yield line, Plan(made, steps, {}, {})


def ranked_schedulers(
    data: Dataset,
    calls: int,
    training: Any = "DDPMScheduler",
    *,
    start: str = "own",
    watch: Callable[[int, int], None] | None = None,
) -> tuple[RankedScheduler, ...]:
    """Every row of the `catalogue` at ``calls`` calls of the network on N(mean, covariance) of the data, the best first;
    what the library refuses, and what is not affine, last and with the reason. *exact* for that Gaussian.

    Raises `BadInput` and `Missing`.
    """
    calls = count("steps", calls)
    rows = list(catalogue(training, calls))
    out = []
    with quiet():
        for done, (line, plan) in enumerate(rows):
            assert plan.K is not None
            try:
                tape = kept_tape(plan)
                w2 = parts_on(tape, data, start).w2
                out.append(RankedScheduler(line, plan.K, tape.K, w2))
            except WboundError as error:
                out.append(RankedScheduler(line, plan.K, None, None, str(error)))
            if watch is not None:
                watch(done + 1, len(rows))
    return tuple(sorted(out, key=lambda r: (r.w2 is None, r.w2 or 0.0)))
