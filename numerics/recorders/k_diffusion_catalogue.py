"""Samplers of k-diffusion × schedules of its own and ours, ranked on one's own data at equal calls of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numerics.laws.tape_parts import parts_on
from numerics.recorders.k_diffusion_library import k_diffusion_sampling
from numerics.recorders.k_diffusion_samplers import record_k_diffusion
from numerics.recorders.scheduler_catalogue import RankedSampler, best_first
from numerics.schedules.choice import choose
from numerics.targets.datasets import Dataset
from wbound.errors import BadInput, WboundError, count, positive

__all__ = ["ranked_k_diffusion"]


@dataclass(frozen=True)
class _Sampler:
    """A function of ``k_diffusion.sampling`` with options; ``twice``: two calls a step, one in the last."""

    name: str
    options: dict[str, Any]
    twice: bool = False


SAMPLERS = (
    _Sampler("sample_euler", {}),
    _Sampler("sample_heun", {}, True),
    _Sampler("sample_dpm_2", {}, True),
    _Sampler("sample_lms", {}),
    _Sampler("sample_dpmpp_2m", {}),
    _Sampler("sample_euler_ancestral", {}),
    _Sampler("sample_euler_ancestral", {"eta": 0.5}),
    _Sampler("sample_dpm_2_ancestral", {}, True),
    _Sampler("sample_dpmpp_2s_ancestral", {}, True),
    _Sampler("sample_dpmpp_sde", {}, True),
    _Sampler("sample_dpmpp_2m_sde", {}),
    _Sampler("sample_dpmpp_2m_sde", {"solver_type": "heun"}),
    _Sampler("sample_dpmpp_2m_sde", {"eta": 0.0}),
    _Sampler("sample_dpmpp_3m_sde", {}),
)
#: Its schedules between σ_min and σ_max.
SCHEDULES: tuple[tuple[str, dict[str, float]], ...] = (
    ("get_sigmas_karras", {"rho": 7.0}),
    ("get_sigmas_karras", {"rho": 3.0}),
    ("get_sigmas_exponential", {}),
    ("get_sigmas_polyexponential", {"rho": 1.5}),
)
#: Which of our schemes a function runs, where our own best levels are tried on it.
OWN = {"sample_euler": "ddim", "sample_dpmpp_2m": "dpmpp-2m"}


def rows_of(
    sampling: Any, calls: int, low: float, high: float, own: dict[str, Sequence[float]]
) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any], list[float]]]:
    """(line to paste, function, options, sigmas) of every row at ``calls`` calls, levels from ``high`` to ``low``, then 0."""
    for one in SAMPLERS:
        if not hasattr(sampling, one.name):
            continue
        said = "".join(f", {key}={value!r}" for key, value in one.options.items())
        n = (calls + 1) // 2 if one.twice else calls
        for name, more in SCHEDULES:
            words = "".join(f", {key}={value!r}" for key, value in more.items())
            sigmas = getattr(sampling, name)(n, low, high, **more)
            line = f"{one.name}(model, x, {name}({n}, {low!r}, {high!r}{words}){said})"
            yield line, getattr(sampling, one.name), one.options, [float(s) for s in sigmas]
        if one.name in own and not one.options:
            levels = [float(f"{s:.7g}") for s in own[one.name]]
            line = f"{one.name}(model, x, torch.tensor({levels}))"
            yield line, getattr(sampling, one.name), {}, levels


def ranked_k_diffusion(
    data: Dataset,
    calls: int,
    sigma_min: float,
    sigma_max: float,
    *,
    own: bool = True,
    start: str = "own",
    folder: Path | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> tuple[RankedSampler, ...]:
    """Every row at ``calls`` calls of the network on N(mean, covariance) of the data, the best first, from x = σ_0 Z;
    what cannot be run last, with the reason. *exact* for that Gaussian and a perfect network.

    sigma_min, sigma_max: between which the network was trained; all levels lie there, or are 0. own: our best levels
    for `sample_euler` (which is ddim) and `sample_dpmpp_2m`, too. folder: where k-diffusion lies, None for where Python
    finds it. Raises `BadInput` and `Missing`.
    """
    calls = count("steps", calls)
    low, high = positive("sigma_min", sigma_min), positive("sigma_max", sigma_max)
    if not low < high:
        raise BadInput("sigma_min", low, f"must be below sigma_max = {high:g}")
    sampling = k_diffusion_sampling(folder)
    found: dict[str, Sequence[float]] = {}
    for name, scheme in OWN.items() if own else ():
        best = choose(data, calls, scheme=scheme, processes=(), sigma_min=low, sigma_max=high).best
        found[name] = [*(best.schedule.lam[:-1] ** 0.5).tolist(), 0.0]
    rows = list(rows_of(sampling, calls, low, high, found))
    out = []
    for done, (line, sampler, options, sigmas) in enumerate(rows):
        try:
            tape = record_k_diffusion(sampler, sigmas, **options)
            w2 = parts_on(tape, data, start).w2
            out.append(
                RankedSampler(line, len(sigmas) - 1, tape.K, w2, tape=tape, levels=("sigmas", tuple(sigmas)))
            )
        except WboundError as error:
            out.append(RankedSampler(line, len(sigmas) - 1, None, None, str(error)))
        if watch is not None:
            watch(done + 1, len(rows))
    return best_first(out)
