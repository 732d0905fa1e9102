"""A diffusers configuration as a schedule: the levels that the library itself lays out and ends at, and its training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from numerics.recorders.diffusers_schedulers import MOST_STEPS, Plan
from numerics.recorders.landing_levels import APART, apart, landings, levels_seen
from numerics.recorders.network_levels import told_of
from numerics.recorders.recording import NotRecorded
from numerics.recorders.scheduler_source import Source, keys_of, quiet, source_of
from numerics.schedules.schedule_object import Schedule, ve, vp
from wbound.errors import BadInput, count
from wbound.typing import Array

#: How far λ seen in a run may be from the scheduler's own, of 1 + λ: tables are in single precision.
SEEN = 1e-5

__all__ = ["schedule_of_diffusers", "sigma_range", "training_log_lam"]


def schedule_of_diffusers(given: Any, steps: int | None = None) -> Schedule:
    """The levels that a diffusers scheduler visits in ``steps`` steps, of its own sigmas where it has them, else of its
    training table at its timesteps, in the order of the run; then where it ends: 0, or above.

    ``given``: a scheduler, its ``config``, a class or its name, a mapping with ``_class_name``, or a JSON file; ``steps``
    None: as many as its training has. A schedule that begins at pure noise (flow matching, zero terminal SNR) is read
    from its second level on. One that ends above zero ends there, its output divided by α; a step that stays at its level
    is none. One whose steps do not land where the next departs is read at the levels that the network is told.
    ``notes`` say so.

    Raises `BadInput` (also with the library's words), `IOFailure`, `Missing`.
    """
    source = source_of(given)
    with quiet():
        scheduler = source.make()
        N = scheduler.config.get("num_train_timesteps", 1000)
        K = N if steps is None else count("steps", steps)
        if K > MOST_STEPS:
            raise BadInput("steps", K, f"must be at most {MOST_STEPS}")
        try:
            scheduler.set_timesteps(K)
        except Exception as error:  # whatever a library raises: its words are the answer
            raise BadInput(
                "steps", K, f"{source.name} ({source.version}) refuses it: {str(error)[:300] or 'no word'}"
            ) from None
        told = told_of(scheduler)
        levels = _own_sigmas(scheduler, told.kind)
        exploding = told.kind == "edm"
        notes = [f"{source.name} ({source.version}): {K} steps, as it lays them out"]
        if levels is None:
            levels = np.array([_lam(*told.level(float(t))) for t in scheduler.timesteps])
            end, said = _last(scheduler), None
            if told.kind == "table":  # its steps land by a rule of their own
                end, said = _landed(Plan(source, K, {}, {}), end)
            notes += [] if said is None else [said]
            levels = np.append(levels, end)
        elif told.kind == "table" and (np.diff(levels) < 0.0).all():
            notes += _told_apart(
                np.array([_lam(*told.level(float(t))) for t in scheduler.timesteps]), levels[:-1]
            )
    if source.ignored:
        notes.append(f"{source.name} ignores {', '.join(source.ignored)}")
    kept, end = levels[:-1], float(levels[-1])
    falling = np.append(True, kept[1:] < np.minimum.accumulate(kept)[:-1])
    kept = kept[falling]  # a level that is visited twice is one node
    if np.isnan(kept).any():
        raise BadInput("steps", K, f"{source.name} ({source.version}) lays out NaN")
    if kept.size < min(K, len(levels) - 1):
        raise BadInput("steps", K, f"{source.name} ({source.version}) lays out levels that coincide or rise")
    if kept.size and math.isinf(kept[0]):
        kept = kept[1:]
        notes.append(
            "it begins at pure noise, where one step moves nothing but to N(mean, λ_1 I): read from λ_1 on"
        )
    kept = kept[kept > end]
    if not kept.size:
        raise BadInput("steps", K, f"{source.name} has no level above {end:g} and below infinity")
    if end > 0.0:
        notes.append(
            f"it ends above zero, at sigma = {math.sqrt(end):.6g}: what it returns, divided by alpha, has that noise left"
        )
        if float(levels[-2]) <= end:
            notes.append("its last step moves nothing: it is at that level already")
    with np.errstate(divide="ignore"):  # the data are at 0
        log_lam = np.log(np.append(kept, end))
    name = str(given) if isinstance(given, (str, Path)) else source.name
    short = name.replace("\\", "/").rpartition("/")[2]
    return Schedule(f"{short} ({source.name}, {K} steps)", log_lam, ve() if exploding else vp(), tuple(notes))


def _lam(alpha: float, sigma: float) -> float:
    return (sigma / alpha) ** 2 if alpha > 0.0 else math.inf


def _own_sigmas(scheduler: Any, kind: str) -> Array | None:
    """λ of the scheduler's own sigmas, with the last that a step reaches; None where it has none."""
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is None or kind in ("inverted", "angle"):
        return None
    values, n = np.asarray(sigmas.double().numpy()), len(scheduler.timesteps) + 1
    if not hasattr(scheduler, "sigmas_interpol"):  # which has others between them, and these twice
        if values.size < n:
            return None
        values = values[:n]  # log_linear lays out one more, which no step reaches
    if kind != "flow":
        return np.asarray(values**2)
    rest = 1.0 - values
    return np.where(rest > 0.0, (values / np.where(rest > 0.0, rest, 1.0)) ** 2, math.inf)


def _last(scheduler: Any) -> float:
    """λ at which a scheduler without sigmas ends: of its last ᾱ, which its configuration may leave below 1."""
    last = getattr(scheduler, "final_alpha_cumprod", None)
    if last is None or float(last) >= 1.0:
        return 0.0
    return (1.0 - float(last)) / float(last)


def _landed(plan: Plan, end: float) -> tuple[float, str | None]:
    """λ at which a run really ends, ``end`` if it does there; and in words where a step first lands elsewhere than the next
    one departs, or why that could not be seen."""
    try:
        seen = landings(plan)
    except NotRecorded as error:
        return end, f"whether its steps join could not be seen: {error.said}"
    if not abs(seen.end - end) <= SEEN * (1.0 + end):
        end = seen.end if seen.end > SEEN else 0.0
    off = apart(seen.told, seen.share)
    wrong = np.flatnonzero(off > APART)
    if not wrong.size:
        return end, None
    k = int(wrong[0])
    told, at = math.sqrt(float(seen.told[k])), math.sqrt(float(levels_seen(seen.share[k])))
    return end, (
        f"its steps do not join: after step {k} the network is told sigma = {told:.6g} and its input is at {at:.6g}, the "
        f"first of {wrong.size}; it is read at the levels told, and wbound audit says what its own steps give"
    )


def _told_apart(told: Array, own: Array) -> list[str]:
    """In words, where the network is told other levels than those that the steps are laid out on, λ (K,) both."""
    off = apart(told, 1.0 / np.sqrt(1.0 + own))
    k = int(np.argmax(off))
    if off[k] <= APART:
        return []
    return [
        f"the network is told other levels than those of its steps, read here: sigma = {math.sqrt(told[k]):.6g} at "
        f"{math.sqrt(own[k]):.6g}, the farthest; wbound audit says what that costs"
    ]


def sigma_range(given: Any) -> tuple[float, float]:
    """(smallest, largest) σ/α > 0 and < ∞ that the network of a configuration was trained at: of its table, or of EDM's
    configuration. Raises `BadInput` for flow matching, whose times reach both ends."""
    source = source_of(given)
    with quiet():
        scheduler = source.make()
        if hasattr(scheduler, "precondition_noise"):
            return float(scheduler.config.sigma_min), float(scheduler.config.sigma_max)
        if not hasattr(scheduler, "alphas_cumprod"):
            raise BadInput(
                "training", source.name, "has no smallest and largest sigma: give sigma_min and sigma_max"
            )
        kept = scheduler.alphas_cumprod.double().numpy()
    kept = kept[(kept > 0.0) & (kept < 1.0)]
    sigmas = np.sqrt((1.0 - kept) / kept)
    return float(sigmas.min()), float(sigmas.max())


def training_log_lam(given: Any) -> tuple[Array, tuple[str, ...]]:
    """log λ (N,) at the steps of training of a configuration, which timesteps are indices of, and notes on who takes
    them: of the library's own betas. Raises `BadInput` where there is no such table or it takes no timesteps."""
    source = source_of(given)
    with quiet():
        scheduler = source.make()
        betas = getattr(scheduler, "betas", None)
        if betas is None or not hasattr(scheduler, "alphas_cumprod"):
            raise BadInput(
                "diffusers", source.name, "has no training betas that timesteps could be indices of"
            )
        if scheduler.config.get("rescale_betas_zero_snr"):
            raise BadInput(
                "rescale_betas_zero_snr", "true", "moves the betas: they are not those of training"
            )
        notes = _takes(source, scheduler)
        if source.ignored:
            notes = (*notes, f"{source.name} ignores {', '.join(source.ignored)}")
        table = np.asarray(betas.double().numpy())
    return np.asarray(np.log(np.expm1(np.cumsum(-np.log1p(-table))))), notes


def _takes(source: Source, scheduler: Any) -> tuple[str, ...]:
    """Whether set_timesteps takes timesteps of one's own: tried. Raises `BadInput` where an option forbids it."""
    if "timesteps" not in keys_of(source.kind.set_timesteps):
        for key in (
            "use_karras_sigmas",
            "use_exponential_sigmas",
            "use_beta_sigmas",
            "use_lu_lambdas",
            "use_flow_sigmas",
        ):
            if scheduler.config.get(key):
                raise BadInput(
                    key, "true", f"places levels of its own: {source.name} then takes no timesteps"
                )
        return (
            f"{source.name}.set_timesteps takes no timesteps of one's own; DDPMScheduler, EulerDiscreteScheduler do",
        )
    N = int(scheduler.config.num_train_timesteps)
    wanted = sorted({N - 1, N // 2, 0}, reverse=True)
    try:
        scheduler.set_timesteps(timesteps=wanted)
    except Exception as error:
        raise BadInput("diffusers", source.name, f"takes no timesteps so: {error}") from None
    got = list(dict.fromkeys(float(t) for t in scheduler.timesteps))
    if got != [float(t) for t in wanted]:
        raise BadInput("diffusers", source.name, "takes timesteps, and lays out others, with these options")
    return ()
