"""Any function in the style of k-diffusion, ``sampler(model, x, sigmas, **options)``, as a tape."""

from __future__ import annotations

import inspect
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numerics.recorders.noise_capture import captured, tensor_of
from numerics.recorders.recording import Ended, NotRecorded, Run, record_run
from numerics.recorders.scheduler_source import keys_of, nearest, needs_torch
from wbound.errors import BadInput, WboundError
from wbound.sampler.tape import Tape

__all__ = ["record_k_diffusion"]


def record_k_diffusion(
    sampler: Callable[..., Any], sigmas: Sequence[float] | None = None, **options: Any
) -> Tape:
    """The tape of ``sampler(model, x, sigmas, **options)``; model(x, σ) is the denoiser, x = σ_0 Z at first.

    ``sigmas``: noise levels, the last may be 0; left out for samplers with ``sigma_min`` and ``sigma_max`` of their own
    (given as options). Normal numbers and Brownian trees that it draws are recorded. Raises `BadInput`, `NotRecorded`
    (adaptive steps, NaN, an exception in the sampler's own words) and `Missing` (torch).
    Implements section 15: *exact* to the sampler's own rounding.
    """
    needs_torch("recording a function of PyTorch")
    names = keys_of(sampler)
    name = getattr(sampler, "__name__", "sampler")
    for key in options:
        if key not in names and not _takes_any(sampler):
            raise BadInput(key, options[key], f"{name} takes no such option: {nearest(key, names)}")
    levels = None if sigmas is None else np.asarray(sigmas, dtype=np.float64)
    if levels is not None and (
        levels.ndim != 1 or levels.size < 2 or not np.isfinite(levels).all() or levels.min() < 0.0
    ):
        raise BadInput("sigmas", list(np.ravel(levels)[:4]), "must be a list of at least two numbers >= 0")
    begin = float(levels[0]) if levels is not None else float(options.get("sigma_max", math.nan))
    if not begin > 0.0:
        raise BadInput("sigmas", begin, "must begin above 0 (or give sigma_max)")
    library = _library_of(sampler)
    what = f"{name} ({library})"

    def drive(run: Run) -> Ended:
        import torch

        def model(x: Any, sigma: Any, **_: Any) -> Any:
            s = float(torch.as_tensor(sigma).reshape(-1)[0])
            seen = x.detach().double().numpy().reshape(-1)
            answer = run.answer(seen / math.sqrt(1.0 + s**2), s**2)
            return tensor_of(seen if s == 0.0 else answer, x)

        x = tensor_of(run.start()) * begin
        fixed = dict(options)
        if "disable" in names and "disable" not in fixed:
            fixed["disable"] = True
        if levels is not None:
            fixed["sigmas"] = torch.from_numpy(levels.copy())
        with captured(run), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                out = sampler(model, x, **fixed)
            except WboundError:
                raise
            except Exception as error:  # whatever it raises: its words are the answer
                raise NotRecorded("exception", what, f"{type(error).__name__}: {error}") from None
        return Ended(
            out.detach().double().numpy().reshape(-1).copy(),
            start_level=begin**2,
            start_scale=begin / math.sqrt(1.0 + begin**2),
            made={
                "library": library,
                "sampler": name,
                "sigmas": None if levels is None else levels.tolist(),
                "options": {key: repr(value) for key, value in sorted(options.items())},
            },
        )

    return record_run(what, drive)


def _takes_any(function: Any) -> bool:
    found = inspect.signature(function).parameters.values()
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in found)


def _library_of(function: Any) -> str:
    """The package that a function comes from, with its version where it says one."""
    from importlib import metadata

    top = str(getattr(function, "__module__", "") or "a function").partition(".")[0]
    try:
        return f"{top} {metadata.version(top.replace('_', '-'))}"
    except metadata.PackageNotFoundError:
        said = getattr(sys.modules.get(top), "__version__", None)
        return top if said is None else f"{top} {said}"
