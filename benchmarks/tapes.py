"""The exact law of a recorded scheduler beside running the scheduler itself, in one run.

Usage: ``python benchmarks/tapes.py [--rounds 9] [--K 50] [--E 3072]``. For DDIM, DPM-Solver++(2M), UniPC, Heun and DDPM of
diffusers on one thread, float64: *run* is the scheduler on E coordinates, one for each eigenvalue, with the exact
denoiser of N(μ, x) and all impulse responses (the start, the data's mean, each noise); *law* is `tape_law` of its tape
on the same eigenvalues, in NumPy and by its compiled pass. A round runs all, one after the other, the law ten
times; times are the processor's, of all threads. The recording is done once,
and not in the ratio: one tape serves every spectrum.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from wbound.exact.law_of_tape import tape_law
from wbound.sampler.tape import Tape

SD: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "DDIM": ("DDIMScheduler", {"clip_sample": False}),
    "DPM-Solver++(2M)": ("DPMSolverMultistepScheduler", {}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "DDPM": ("DDPMScheduler", {"clip_sample": False}),
}

#: From the number of an evaluation, its input over √(α² + σ²) and its level λ: the denoiser's answer.
Answer = Callable[[int, Any, float], Any]


def run(name: str, K: int, start: Any, answer: Answer, noise: Callable[[int], Any]) -> tuple[Any, float]:
    """The scheduler from ``start``, and the λ at which it ends; ``noise(j)`` in place of its j-th."""
    import diffusers

    kind, more = SCHEDULERS[name]
    scheduler = getattr(diffusers, kind)(**SD, **more)
    scheduler.set_timesteps(K)
    known = scheduler.alphas_cumprod.double().numpy()
    lam = (1.0 - known) / known
    module, drawn, x = sys.modules[type(scheduler).__module__], [0], start

    def draw(*_: Any, **__: Any) -> Any:
        drawn[0] += 1
        return noise(drawn[0] - 1)

    kept = getattr(module, "randn_tensor", None)
    if kept is not None:
        module.randn_tensor = draw  # type: ignore[attr-defined]
    try:
        x = x * float(scheduler.init_noise_sigma)
        for i, t in enumerate(scheduler.timesteps):
            seen = scheduler.scale_model_input(x, t)
            at = float(t)
            level = math.exp(float(np.interp(at, np.arange(lam.size), np.log(lam))))
            D = answer(i, seen, level)
            # predicted noise (x − αD)/σ with α² + σ² = 1
            x = scheduler.step((seen * math.sqrt(1.0 + level) - D) / math.sqrt(level), t, x).prev_sample
    finally:
        if kept is not None:
            module.randn_tensor = kept  # type: ignore[attr-defined]
    return x, drawn[0]


def unit(width: int, column: int) -> Any:
    import torch

    out = torch.zeros(1, 1, 1, width, dtype=torch.float64)
    if column < width:
        out[..., column] = 1.0
    return out


def record(name: str, K: int) -> Tape:
    """The scheduler's tape, by unit vectors: once to count, once to record."""
    rows: list[np.ndarray] = []
    levels: list[float] = []
    counts = [0, 0]
    for final in (False, True):
        evaluations, noises = counts
        width = 1 + evaluations + noises
        rows.clear()
        levels.clear()

        def answer(i: int, v: Any, level: float, width: int = width) -> Any:
            rows.append(v.reshape(-1).numpy().copy())
            levels.append(level)
            return unit(width, 1 + i)

        out, drawn = run(
            name,
            K,
            unit(width, 0),
            answer,
            lambda j, width=width, evaluations=evaluations: unit(width, 1 + evaluations + j),
        )
        if final:
            table = np.vstack((*rows, out.reshape(-1).numpy()))
            scale = table[0, 0]
            return Tape(
                levels=np.array(levels),
                start=table[:, 0] / scale,
                answers=table[:, 1 : 1 + evaluations],
                noises=table[:, 1 + evaluations :],
                offsets=np.zeros(len(table)),
                start_level=levels[0],
                start_std=abs(scale),
                made={"scheduler": name, "K": K},
            )
        counts[:] = len(levels), drawn
    raise AssertionError


def responses(name: str, K: int, x: np.ndarray, noises: int) -> np.ndarray:
    """The scheduler's gain on its start, the mean and every noise, (2 + J, E)."""
    import torch

    variances = torch.tensor(x)
    shape = (1, 1, 2 + noises, x.size)
    mean = torch.zeros(2 + noises, 1, dtype=torch.float64)
    mean[1] = 1.0

    def impulse(row: int) -> Any:
        out = torch.zeros(shape, dtype=torch.float64)
        out[0, 0, row] = 1.0
        return out

    def answer(_: int, v: Any, level: float) -> Any:
        whole = variances + level
        return v * (variances * math.sqrt(1.0 + level) / whole) + mean * (level / whole)

    out, _ = run(name, K, impulse(0), answer, lambda j: impulse(2 + j))
    return np.asarray(out[0, 0].numpy())


#: A law is asked for so often in a row, as a ranking does, and its time is one call's share.
CALLS = 10


def _seconds(times: int, of: Callable[..., Any], *arguments: Any, **options: Any) -> float:
    begin = time.process_time()
    for _ in range(times):
        of(*arguments, **options)
    return (time.process_time() - begin) / times


def measure(rounds: int = 9, K: int = 50, E: int = 3072) -> list[dict[str, Any]]:
    """A row for each scheduler: seconds of processor of both (medians), their ratio, and how far the gains are apart."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    x, rows = np.geomspace(1e-4, 100.0, E), []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # diffusers' own
            for name in SCHEDULERS:
                tape = record(name, K)
                gains = responses(name, K, x, tape.J)
                law = tape_law(tape, x)
                tape_law(tape, x, compiled=True)
                own = np.abs(gains[0] / (law.gain * tape.start_std) - 1.0).max()
                times = []
                for _ in range(rounds):
                    times.append(
                        (
                            _seconds(1, responses, name, K, x, tape.J),
                            _seconds(CALLS, tape_law, tape, x),
                            _seconds(CALLS, tape_law, tape, x, compiled=True),
                        )
                    )
                rows.append(
                    {
                        "scheduler": name,
                        "evaluations": tape.K,
                        "noises": tape.J,
                        "run": statistics.median(t for t, _, _ in times),
                        "law": statistics.median(t for _, t, _ in times),
                        "compiled": statistics.median(t for _, _, t in times),
                        "ratio": statistics.median(t / s for t, s, _ in times),
                        "compiled_ratio": statistics.median(t / s for t, _, s in times),
                        "apart": float(own),
                    }
                )
    finally:
        torch.set_num_threads(threads)
    return rows


#: Processor seconds that a ranking of the library's schedulers on digits may take when all are run anew.
ANEW = 20.0


def rank(rounds: int = 3, calls: int = 20) -> dict[str, float]:
    """Processor seconds of `ranked_schedulers` on digits: ``anew`` with an empty folder of tapes, ``kept`` with a full one;
    of ``run``, one DDIM run of so many steps on the digits' 64 directions; and how many ``rows``."""
    import os
    import tempfile

    import torch

    from numerics.recorders.scheduler_catalogue import ranked_schedulers
    from numerics.targets.datasets import digits

    data, threads, kept, runs = digits(), torch.get_num_threads(), [], []
    torch.set_num_threads(1)
    before = os.environ.get("XDG_CACHE_HOME")
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # diffusers' own
            os.environ["XDG_CACHE_HOME"] = folder
            anew = _seconds(1, ranked_schedulers, data, calls)
            rows = len(ranked_schedulers(data, calls))
            for _ in range(rounds):
                runs.append(_seconds(CALLS, responses, "DDIM", calls, data.eigenvalues, 0))
                kept.append(_seconds(1, ranked_schedulers, data, calls))
    finally:
        torch.set_num_threads(threads)
        os.environ.pop("XDG_CACHE_HOME")
        if before is not None:
            os.environ["XDG_CACHE_HOME"] = before
    ratio = statistics.median(k / r for k, r in zip(kept, runs, strict=True))
    return {
        "anew": anew,
        "kept": statistics.median(kept),
        "run": statistics.median(runs),
        "ratio": ratio,
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in (("rounds", 9), ("K", 50), ("E", 3072)):
        parser.add_argument(f"--{name}", type=int, default=value)
    rows = measure(**vars(parser.parse_args()))
    for row in rows:
        print(
            f"{row['scheduler']:>18}: {row['evaluations']} evaluations, {row['noises']} noises: run "
            f"{1e3 * row['run']:.1f} ms, law {1e3 * row['law']:.2f} ms, {row['ratio']:.1f} x; "
            f"compiled {1e3 * row['compiled']:.2f} ms, {row['compiled_ratio']:.1f} x "
            f"(gains apart by {row['apart']:.1e})"
        )
    found = rank()
    print(
        f"{found['rows']} schedulers ranked on digits: anew {found['anew']:.1f} s of {ANEW:g}; with kept tapes "
        f"{1e3 * found['kept']:.0f} ms, {found['ratio']:.1f} x one 20-step DDIM run ({1e3 * found['run']:.1f} ms)"
    )
    for key in ("ratio", "compiled_ratio"):
        print(f"median {key}: {statistics.median(row[key] for row in rows):.1f} x")


if __name__ == "__main__":
    main()
