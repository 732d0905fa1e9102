"""Changes of a scheduler's configuration that are tried one by one, each as the line that a user pastes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numerics.recorders.diffusers_schedulers import Plan
from numerics.recorders.network_levels import is_flow, training_of
from numerics.recorders.scheduler_source import Source, diffusers_library, keys_of
from wbound.errors import WboundError

__all__ = ["Options", "Remedy", "Rows", "remedies_of", "rows_of"]

#: Keys of a configuration; of a class all that are tried.
Options = Mapping[str, Any]
Rows = Mapping[str, tuple[Options, ...]]

#: Ways to space sigmas, of which one at most is on.
SIGMAS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas")
#: Values that are tried of a key, where the class takes it.
VALUES: dict[str, tuple[Any, ...]] = {
    "timestep_spacing": ("leading", "linspace", "trailing"),
    "final_sigmas_type": ("zero",),
    "euler_at_final": (True,),
    "lower_order_final": (True,),
    "set_alpha_to_one": (True,),
    "interpolation_type": ("linear",),
    "solver_order": (1, 2, 3),
    "solver_type": ("midpoint", "heun", "bh1", "bh2"),
    "rescale_betas_zero_snr": (True, False),
    "variance_type": ("fixed_small",),
    "skip_prk_steps": (True,),
    "steps_offset": (0, 1),
}
#: Amounts of noise that are tried, where a step takes it.
CHURNS = (0.25, 1.0, 5.0)
#: Classes by what a network was trained with, the cheapest change after a key: at as many calls of the network as
#: the plan has steps, Heun's at one fewer where that is even.
CLASSES: dict[str, Rows] = {
    "table": {
        "DPMSolverMultistepScheduler": ({}, {"use_karras_sigmas": True}, {"use_lu_lambdas": True}),
        "UniPCMultistepScheduler": ({}, {"use_karras_sigmas": True}),
        "DEISMultistepScheduler": ({},),
        "EulerDiscreteScheduler": ({"use_karras_sigmas": True},),
        "HeunDiscreteScheduler": ({"use_karras_sigmas": True},),
        "DDIMScheduler": ({"clip_sample": False, "timestep_spacing": "trailing"},),
    },
    "edm": {
        "EDMDPMSolverMultistepScheduler": ({}, {"sigma_schedule": "exponential"}),
        "EDMEulerScheduler": ({},),
    },
    "flow": {"FlowMatchEulerDiscreteScheduler": ({},), "FlowMatchHeunDiscreteScheduler": ({},)},
}


def rows_of(source: Source, rows: Rows) -> Iterator[tuple[str, Options, Source]]:
    """(class, its keys, the configuration read by it); without what this version of the library lacks."""
    library = diffusers_library()
    for name, options in rows.items():
        kind = getattr(library, name, None)
        for change in options if kind is not None else ():
            with suppress(WboundError):
                yield name, change, source.but(change, kind)


@dataclass(frozen=True, eq=False)
class Remedy:
    """A plan that differs in one thing; ``line`` is what to paste; ``cost``: 0 a key or an argument, 1 other steps, 2 a
    class."""

    plan: Plan
    line: str
    cost: int


def remedies_of(plan: Plan) -> Iterator[Remedy]:
    """Everything that is tried for a plan: keys, arguments, the number of steps, classes. Those that cannot be made
    are left out."""
    try:
        scheduler = plan.source.make()
    except WboundError:
        return
    config = dict(scheduler.config)
    yield from _keys(plan, config)
    yield from _arguments(plan, scheduler)
    yield from _steps(plan, config)
    yield from _classes(plan, scheduler)


def _keys(plan: Plan, config: Mapping[str, Any]) -> Iterator[Remedy]:
    taken = plan.source.keys
    changes: list[dict[str, Any]] = []
    spacings = [key for key in SIGMAS if key in taken]
    for key in spacings:
        changes.append({k: k == key for k in spacings if k == key or config.get(k)})
    if any(config.get(k) for k in spacings):
        changes.append({k: False for k in spacings if config.get(k)})
    for key, values in VALUES.items():
        if key in taken:
            same = [v for v in values if key != "solver_type" or str(v)[:2] in _kin(str(config.get(key)))]
            changes += [{key: value} for value in same]
    for change in changes:
        if all(config.get(k) == v for k, v in change.items()):
            continue
        said = ", ".join(f"{k}={v!r}" for k, v in change.items())
        line = f"scheduler = {plan.source.name}.from_config(scheduler.config, {said})"
        yield from _made(plan, change, line)


def _kin(solver: str) -> tuple[str, ...]:
    """The beginnings of the solver types that a class with this one has."""
    return ("bh",) if solver.startswith("bh") else ("mi", "he")


def _made(plan: Plan, change: Mapping[str, Any], line: str) -> Iterator[Remedy]:
    try:
        yield Remedy(replace(plan, source=plan.source.but(change)), line, 0)
    except WboundError:
        return


def _arguments(plan: Plan, scheduler: Any) -> Iterator[Remedy]:
    taken = keys_of(plan.source.kind.step)
    for key in ("eta", "s_churn"):
        if plan.stepping.get(key):
            yield Remedy(
                replace(plan, stepping={**plan.stepping, key: 0.0}), f"scheduler.step(..., {key}=0.0)", 0
            )
    if "s_churn" in taken and not plan.stepping.get("s_churn"):
        for churn in CHURNS:
            yield Remedy(
                replace(plan, stepping={**plan.stepping, "s_churn": churn}),
                f"scheduler.step(..., s_churn={churn:g})",
                0,
            )
    if plan.begin_index is None and hasattr(scheduler, "set_begin_index"):
        yield Remedy(replace(plan, begin_index=0), "scheduler.set_begin_index(0)", 0)
    if "sigmas" in keys_of(plan.source.kind.set_timesteps) and is_flow(scheduler) and plan.K:
        sigmas = np.linspace(1.0, 1.0 / plan.K, plan.K).tolist()
        line = f"scheduler.set_timesteps(sigmas=np.linspace(1, 1/{plan.K}, {plan.K}))"
        yield Remedy(replace(plan, K=None, placing={**plan.placing, "sigmas": sigmas}), line, 0)


def _steps(plan: Plan, config: Mapping[str, Any]) -> Iterator[Remedy]:
    """The next numbers of steps that divide the training steps, where this one does not."""
    N = config.get("num_train_timesteps")
    if plan.K is None or not isinstance(N, int) or N % plan.K == 0:
        return
    divisors = [k for k in range(1, N + 1) if N % k == 0]
    near = [
        max([k for k in divisors if k < plan.K], default=0),
        min([k for k in divisors if k > plan.K], default=0),
    ]
    for k in near:
        if 0.7 * plan.K <= k <= 1.3 * plan.K:
            yield Remedy(replace(plan, K=k), f"scheduler.set_timesteps({k})", 1)


def _classes(plan: Plan, scheduler: Any) -> Iterator[Remedy]:
    for name, change, source in rows_of(plan.source, CLASSES.get(training_of(scheduler) or "", {})):
        if name == plan.source.name:
            continue
        K = plan.K
        if K is not None and "Heun" in name:  # two calls a step, one in the last
            K = (K + 1) // 2
        if K is None:
            continue
        said = "".join(f", {k}={v!r}" for k, v in change.items())
        line = f"scheduler = {name}.from_config(scheduler.config{said})"
        if plan.K != K:
            line += f"; scheduler.set_timesteps({K})"
        yield Remedy(Plan(source, K, {}, {}), line, 2)
