"""Any diffusers scheduler as a tape: the real implementation is run, as its pipelines run it, on unit vectors.

What the network is told is the timestep. Its level is that of the training table at that step (between two steps
log σ is interpolated), of the flow's time, or of EDM's noise condition; the scheduler's own level may differ.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numerics.recorders.network_levels import Told, is_flow, told_of
from numerics.recorders.noise_capture import captured, tensor_of
from numerics.recorders.recording import Ended, NotRecorded, Run, record_run
from numerics.recorders.scheduler_source import Source, keys_of, nearest, quiet, source_of
from wbound.errors import BadInput, WboundError, count
from wbound.sampler.tape import Tape

__all__ = [
    "MOST_STEPS",
    "Plan",
    "drive",
    "is_flow",
    "plan_of",
    "record_plan",
    "record_scheduler",
    "recorded",
    "told_of",
]


#: Steps that are laid out at most.
MOST_STEPS = 4096
#: What these want of the network is a consistency function or a flow map, which no denoiser is.
CONSISTENCY = ("LCM", "TCD", "CMStochastic", "FlowMatchLCM", "FlowMap", "SCM", "ConsistencyDecoder")
#: Arguments of `step` that a pipeline fills in; the rest are the user's.
FILLED = {
    "model_output", "timestep", "sample", "return_dict", "generator", "variance_noise",
    "old_pred_original_sample", "timestep_back", "prev_timestep",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Plan:
    """A scheduler and how it is to be run: K, arguments of ``set_timesteps`` and of ``step``, the first index."""

    source: Source
    K: int | None
    placing: Mapping[str, Any]
    stepping: Mapping[str, Any]
    begin_index: int | None = None

    @property
    def steps(self) -> int:
        """The number of steps, or of levels that are listed."""
        if self.K is not None:
            return self.K
        return len(self.placing["timesteps"] if "timesteps" in self.placing else self.placing["sigmas"])

    @property
    def what(self) -> str:
        """Its name in errors."""
        K = "" if self.K is None else f", K = {self.K}"
        return f"{self.source.name} ({self.source.version}){K}"

    def placed(self) -> Any:
        """A fresh scheduler with its timesteps set. Raises `NotRecorded` with the library's words."""
        scheduler = self.source.make()
        with _library(self.what):
            if self.K is None:
                scheduler = _laid_out(scheduler, self.source, self.placing)
            else:
                scheduler.set_timesteps(self.K, **self.placing)
            if self.begin_index is not None:
                scheduler.set_begin_index(self.begin_index)
        return scheduler


def _laid_out(scheduler: Any, source: Source, placing: Mapping[str, Any]) -> Any:
    """``set_timesteps`` on a list; some classes take only a tensor or an array, whatever their documentation says."""
    import torch

    try:
        scheduler.set_timesteps(**placing)
        return scheduler
    except AttributeError:
        made: Callable[[Any], Any] = torch.tensor
    except TypeError:  # diffusers 0.30's flow matching computes with it as it is
        made = np.array
    scheduler = source.make()
    scheduler.set_timesteps(**{k: made(v) if isinstance(v, list) else v for k, v in placing.items()})
    return scheduler


def plan_of(
    given: Any,
    steps: int | None = None,
    *,
    changes: Mapping[str, Any] | None = None,
    timesteps: Sequence[float] | None = None,
    sigmas: Sequence[float] | None = None,
    begin_index: int | None = None,
    **options: Any,
) -> Plan:
    """What to run: see `record_scheduler`, which takes the same. Raises `BadInput` for what is not taken."""
    source = source_of(given)
    if source.name.startswith(CONSISTENCY):
        raise BadInput(
            "scheduler",
            source.name,
            "asks for a consistency function or flow map, not a denoiser: no law of it here",
        )
    if "Inverse" in source.name:
        raise BadInput("scheduler", source.name, "goes from data to noise: it samples nothing")
    places, steppers = keys_of(source.kind.set_timesteps), keys_of(source.kind.step)
    placing: dict[str, Any] = {}
    stepping: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for key, value in {**(changes or {}), **options}.items():
        if key in source.keys:
            config[key] = value
        elif key in steppers and key not in FILLED:
            stepping[key] = value
        elif key in places and key not in ("num_inference_steps", "device", "timesteps", "sigmas"):
            placing[key] = value
        else:
            known = {*source.keys, *(set(steppers) - FILLED), *places} - {"device", "num_inference_steps"}
            raise BadInput(key, value, f"{source.name} takes no such key: {nearest(key, known)}")
    for key, listed in (("timesteps", timesteps), ("sigmas", sigmas)):
        if listed is None:
            continue
        if key not in places:
            raise BadInput(key, list(listed), f"{source.name}.set_timesteps takes no {key}")
        placing[key] = [_plain(value) for value in listed]
    given_lists = "timesteps" in placing or "sigmas" in placing
    if steps is None and not given_lists:
        raise BadInput("steps", "(not given)", "give the number of steps, or timesteps or sigmas")
    if steps is not None and given_lists:
        listed_count = len(placing["timesteps"] if "timesteps" in placing else placing["sigmas"])
        if count("steps", steps) != listed_count:
            raise BadInput("steps", steps, f"must be the {listed_count} of the list, or left out")
    K = None if given_lists or steps is None else count("steps", steps)
    if K is not None and K > MOST_STEPS:
        raise BadInput("steps", K, f"must be at most {MOST_STEPS}")
    needed = {
        k for k in keys_of(source.kind.step)
        if k not in FILLED and k not in stepping and _required(source.kind.step, k)
    }  # fmt: skip
    if needed:
        raise NotRecorded(
            "refused", source.name, f"its step needs {', '.join(sorted(needed))}: no plain sampler"
        )
    return Plan(source.but(config), K, placing, stepping, begin_index)


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)


def _required(function: Any, key: str) -> bool:
    import inspect

    return inspect.signature(function).parameters[key].default is inspect.Parameter.empty


def record_scheduler(given: Any, steps: int | None = None, **how: Any) -> Tape:
    """The tape of a diffusers scheduler at ``steps`` steps, run by the library's own class.

    ``given``: a scheduler, its ``config``, a class or its name, a mapping with ``_class_name``, or a JSON file.
    ``changes``: other values of its configuration; ``timesteps`` or ``sigmas``: in place of ``steps``; other keywords
    (eta, s_churn, mu, shift, …) go to its configuration, ``step`` or ``set_timesteps``, whichever takes them;
    ``begin_index`` is set as pipelines do with ``set_begin_index``.

    Raises `BadInput` (unknown class or key), `NotRecorded` (not affine, with the option that makes it so; NaN or an
    exception of the library, in its words), `Missing` (the extra). Implements section 15: *exact* to the library's
    single-precision tables.
    """
    return recorded(plan_of(given, steps, **how))


def recorded(plan: Plan) -> Tape:
    """The tape of a plan; an error names the options of the configuration that bring it about. Raises `NotRecorded`."""
    with quiet():
        try:
            return record_plan(plan)
        except NotRecorded as error:
            if error.kind not in ("not affine", "exception"):
                raise
            found = cure(plan)
            if found is None:
                raise
            cured = ", ".join(f"{key}={value!r}" for key, value in found.items())
            raise NotRecorded(
                error.kind, plan.what, f"{error.said}: with {cured} it can be recorded", found
            ) from None


def record_plan(plan: Plan, trials: bool = True) -> Tape:
    """The tape of a plan, without a search for what is wrong. Raises `NotRecorded`. ``trials``: see `record_run`."""
    return record_run(plan.what, lambda run: drive(plan, run), trials=trials)


def cure(plan: Plan) -> dict[str, Any] | None:
    """The fewest options of the configuration that, switched off, make the scheduler affine: found by trying."""
    config = dict(plan.source.make().config)
    tries: dict[str, Any] = {
        key: False for key, value in config.items() if value is True and key in plan.source.keys
    }
    if str(config.get("variance_type", "")).startswith("learned"):
        tries["variance_type"] = "fixed_small"

    def works(changes: Mapping[str, Any]) -> bool:
        try:
            record_plan(Plan(plan.source.but(changes), plan.K, plan.placing, plan.stepping, plan.begin_index))
        except WboundError:
            return False
        return True

    for key, value in tries.items():
        if works({key: value}):
            return {key: value}
    kept = dict(tries)
    if len(kept) < 2 or not works(kept):
        return None
    for key in tries:
        fewer = {k: v for k, v in kept.items() if k != key}
        if works(fewer):
            kept = fewer
    return kept


# ---------------------------------------------------------------------- the run


class _library:
    """An exception of the library as one line with its words; ours pass."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._warnings.__exit__(None, None, None)
        if error is None or isinstance(error, WboundError) or not isinstance(error, Exception):
            return
        raise NotRecorded(
            "exception", self._what, f"{type(error).__name__}: {str(error)[:300] or 'without a word'}"
        ) from None


def drive(plan: Plan, run: Run) -> Ended:
    """One run as pipelines make it: scale the input, ask the network, step."""
    scheduler = plan.placed()
    told = told_of(scheduler)
    taken = keys_of(type(scheduler).step)
    fixed = dict(plan.stepping)
    if "return_dict" in taken:
        fixed["return_dict"] = False
    scaled = hasattr(scheduler, "scale_model_input")
    x = tensor_of(run.start()) * float(getattr(scheduler, "init_noise_sigma", 1.0))
    times = list(scheduler.timesteps)
    if told.kind == "formula":  # its pipeline leaves the last out, and gives each sample its time
        times = [t.reshape(1) for t in times[:-1]]
    earlier: Any = None
    first = None
    with captured(run), _library(plan.what):
        for i, t in enumerate(times):
            seen = scheduler.scale_model_input(x, t) if scaled else x
            index = getattr(scheduler, "step_index", None)
            if index is None:
                index = _index(scheduler, t)
            first = index if first is None else first
            output = told.ask(run, seen, float(t), _own_level(scheduler, index, told))
            arguments = dict(fixed)
            if "old_pred_original_sample" in taken:
                arguments["old_pred_original_sample"] = earlier
                arguments["timestep_back"] = times[i - 1] if i else None
            if "prev_timestep" in taken:
                arguments["prev_timestep"] = times[i + 1] if i + 1 < len(times) else None
            out = scheduler.step(model_output=output, timestep=t, sample=x, **arguments)
            x = out[0]
            if "old_pred_original_sample" in taken:
                earlier = out[1]
    return Ended(
        x.detach().double().numpy().reshape(-1).copy(),
        alphas=_last_alphas(scheduler, told),
        made=_made(plan, scheduler, times, first),
    )


def _made(plan: Plan, scheduler: Any, times: list[Any], first: int | None) -> dict[str, Any]:
    listed = [float(t) for t in times]
    return {
        "library": plan.source.version,
        "sampler": plan.source.name,
        "config": {key: _json(value) for key, value in plan.source.to_dict().items()},
        "K": plan.K if plan.K is not None else len(listed),
        "options": {
            **{k: _json(v) for k, v in plan.placing.items()},
            **{k: _json(v) for k, v in plan.stepping.items()},
        },
        "timesteps": listed,
        "first_index": first,
        "begin_index": plan.begin_index,
    }


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(
        value
    ):  # lambda_min_clipped = -inf: JSON has no number for it
        return str(value)
    return value if isinstance(value, (int, float, str, bool, list, type(None))) else str(value)


def _index(scheduler: Any, t: Any) -> int | None:
    """Where the scheduler will begin, as its own ``_init_step_index`` says it: asked of a copy."""
    import copy

    if not hasattr(scheduler, "_init_step_index"):
        return None
    twin = copy.copy(scheduler)
    twin._init_step_index(t)
    return getattr(twin, "step_index", None)


def _own_level(scheduler: Any, index: int | None, told: Told) -> float | None:
    """λ at which the scheduler itself is: of its own sigmas, where it has them."""
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is None or index is None or not 0 <= index < len(sigmas) or told.kind == "inverted":
        return None
    second = getattr(scheduler, "state_in_first_order", True) is False
    if second and hasattr(scheduler, "sigmas_interpol"):
        sigmas = scheduler.sigmas_interpol
    sigma = float(sigmas[index])
    if told.kind == "flow":
        return (sigma / (1.0 - sigma)) ** 2 if sigma < 1.0 else math.inf
    return sigma**2


def _last_alphas(scheduler: Any, told: Told) -> tuple[float, ...]:
    """What α the output may have: 1, that of the last sigma, that which the configuration says is the last."""
    found = [1.0]
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is not None and len(sigmas):
        last = float(sigmas[-1])
        found.append(1.0 - last if told.kind == "flow" else 1.0 / math.sqrt(1.0 + last**2))
    if hasattr(scheduler, "final_alpha_cumprod"):
        found.append(math.sqrt(float(scheduler.final_alpha_cumprod)))
    return tuple(a for a in found if a > 0.0)
