"""A sampler of the user's own, a function of NumPy or PyTorch arrays, as a tape: `record`."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numerics.recorders.recording import Ended, NotRecorded, Run, record_run
from numerics.recorders.scheduler_source import keys_of
from wbound.errors import BadInput, WboundError, one_of, positive
from wbound.sampler.tape import Tape

__all__ = ["ANSWERS", "record", "record_callable"]

#: What a network may answer at x = αX_0 + σZ, made of its denoiser D = E[X_0 | x].
ANSWERS: dict[str, Callable[..., Any]] = {
    "denoiser": lambda x, D, a, s: D,
    "noise": lambda x, D, a, s: (x - a * D) / s,
    "score": lambda x, D, a, s: (a * D - x) / s**2,
    "v": lambda x, D, a, s: a * ((x - a * D) / s) - s * D,
    "velocity": lambda x, D, a, s: (x - a * D) / s - D,
}


def record(
    sampler: Any, steps: int | None = None, *, sigmas: Sequence[float] | None = None, **options: Any
) -> Tape:
    """The tape of any sampler, by running it on unit vectors (section 15 of docs/theory.md): *exact*.

    ``sampler``: a diffusers scheduler (object, class, name, configuration or JSON file) run for ``steps`` or on
    ``timesteps`` or ``sigmas`` (see `record_scheduler`); a function in the style of k-diffusion,
    ``sampler(model, x, sigmas, **options)`` (see `record_k_diffusion`); or a function of one's own,
    ``sampler(network, x, noise)`` (see `record_callable`). Other keywords go to it.

    Raises `BadInput`, `NotRecorded` (not affine; NaN; an exception, in the library's words) and `Missing` (the extra).
    """
    if callable(sampler) and not isinstance(sampler, type) and not hasattr(sampler, "set_timesteps"):
        if steps is not None:
            raise BadInput("steps", steps, "goes with a scheduler: a function takes its own options")
        if _like_k_diffusion(sampler):
            from numerics.recorders.k_diffusion_samplers import record_k_diffusion

            return record_k_diffusion(sampler, sigmas, **options)
        if sigmas is not None:
            options["sigmas"] = sigmas
        return record_callable(sampler, **options)
    from numerics.recorders.diffusers_schedulers import record_scheduler

    return record_scheduler(sampler, steps, sigmas=sigmas, **options)


def _like_k_diffusion(function: Any) -> bool:
    names = keys_of(function)
    return names[:2] == ("model", "x")


def record_callable(
    sampler: Callable[..., Any],
    *,
    start_std: float = 1.0,
    start_level: float | None = None,
    answers: str = "denoiser",
    alpha_out: float = 1.0,
    **options: Any,
) -> Tape:
    """The tape of a function of one's own, ``sampler(network, x, noise, **options)``, that returns the sample.

    x: the start, N(0, ``start_std``²) on each coordinate; network(x, sigma, alpha=1.0): what the network answers at
    x = αX_0 + σZ, in the form ``answers``, one of `ANSWERS`; noise(): a fresh standard normal like x. Arrays (n,) of
    NumPy; torch tensors work as well. ``start_level``: λ at the start, by default that of the first evaluation;
    ``alpha_out``: the α of what it returns. Raises `BadInput`, `NotRecorded`. Implements section 15: *exact*.
    """
    one_of("answers", answers, tuple(ANSWERS))
    scale, alpha = positive("start_std", start_std), positive("alpha_out", alpha_out)
    name = getattr(sampler, "__name__", "sampler")

    def drive(run: Run) -> Ended:
        def network(x: Any, sigma: Any, alpha: Any = 1.0) -> Any:
            a, s = float(alpha), float(sigma)
            if not (math.isfinite(a) and math.isfinite(s) and a >= 0.0 and s >= 0.0 and a + s > 0.0):
                raise BadInput("network", f"sigma = {s:g}, alpha = {a:g}", "must be a level: both >= 0")
            seen = _numbers(x)
            unit, level = math.hypot(a, s), (s / a) ** 2 if a > 0.0 else math.inf
            D = run.answer(seen / unit, level)
            if s == 0.0:
                if answers != "denoiser":
                    raise BadInput("sigma", 0.0, f"the network's {answers} has no meaning there")
                D = seen / a
            return _like(ANSWERS[answers](seen, D, a, s), x)

        with contextlib.ExitStack() as stack:
            if "torch" in sys.modules:
                from numerics.recorders.noise_capture import captured

                stack.enter_context(captured(run))
            try:
                out = _numbers(sampler(network, run.start() * scale, run.noise, **options))
            except WboundError:
                raise
            except Exception as error:  # whatever it raises: its words are the answer
                raise NotRecorded("exception", name, f"{type(error).__name__}: {error}") from None
        if out.size != run.size:
            raise NotRecorded("refused", name, f"returns {out.size} numbers for {run.size} coordinates")
        return Ended(
            out,
            start_level=start_level,
            start_scale=None if start_level is None else scale / math.sqrt(1.0 + start_level),
            alphas=(alpha,),
            made={"library": "own", "sampler": name, "answers": answers, "start_std": scale},
        )

    return record_run(name, drive)


def _numbers(x: Any) -> Any:
    """A NumPy or torch array as numbers (n,)."""
    if hasattr(x, "detach"):
        x = x.detach().double().numpy()
    return np.array(x, dtype=np.float64).reshape(-1)


def _like(values: Any, x: Any) -> Any:
    if hasattr(x, "detach"):
        import torch

        return torch.from_numpy(values).reshape(x.shape)
    return values.reshape(np.shape(x))
