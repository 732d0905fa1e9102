"""Schedules as others write them (sigmas, betas, alphas_cumprod, times, timesteps) and back.

In the clock: σ_k = √λ_k, ᾱ_k = 1/(1+λ_k), β_k = 1 − ᾱ_k/ᾱ_{k−1}. Arrays that hold ᾱ or β belong to a
variance- preserving process, those that hold σ to a variance-exploding one; hf and ddpm see the clock
alone.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics import files
from numerics.loading import MOST, load_json, load_numpy, text_numbers
from wbound import Grid, Process, process
from wbound.clock import grid_named
from wbound.errors import BadInput, one_of
from wbound.setting import setting

__all__ = [
    "FORMS",
    "Schedule",
    "export",
    "from_array",
    "nearest",
    "read",
    "schedule",
    "start_std",
    "to_array",
]

Array = NDArray[np.float64]

#: What a schedule can be written as: σ = √λ (K+1,) from the largest to 0; β (K,) and ᾱ (K,) from the data
#: outward; times, the process's own forward times (K+1,) from T to 0; timesteps, the indices (K,) of steps of
#: training, from the noisiest down, which mean nothing without the betas of the training.
FORMS = ("sigmas", "betas", "alphas_cumprod", "times", "timesteps")
#: Relative error of λ that a file may cost (of 1+λ for ᾱ, which holds no more).
EXACT = 1e-12


@dataclass(frozen=True, eq=False)
class Schedule:
    """A schedule: log λ at its K+1 nodes, decreasing to −∞, and the process whose α goes with it.

    ``notes`` say in words what was assumed when it was read.
    """

    name: str
    log_lam: Array
    process: Process
    notes: tuple[str, ...] = ()

    @property
    def K(self) -> int:
        return int(self.log_lam.size - 1)

    @property
    def lam(self) -> Array:
        """λ (K+1,) in x², decreasing to 0."""
        return np.exp(self.log_lam)

    @property
    def sigma_max(self) -> float:
        """√λ at the first node, in x."""
        return math.exp(0.5 * float(self.log_lam[0]))

    @cached_property
    def grid(self) -> Grid:
        """The grid that reads these nodes through any process: give it to exact_w2, w2_bound or sample."""
        return Grid.from_lam(self.lam)

    def to_dict(self) -> dict[str, Any]:
        """Name, K, λ, the process and the notes as plain values."""
        return {
            "name": self.name,
            "K": self.K,
            "lam": self.lam.tolist(),
            "process": self.process.name,
            "parameters": dict(self.process.parameters),
            "notes": list(self.notes),
        }


def vp() -> Process:
    """The variance-preserving process with λ = e^t − 1."""
    return process("ou", theta=0.5, sigma=1.0)  # λ = e^t − 1: β = 1


def ve() -> Process:
    """The variance-exploding process with λ = t."""
    return process("ve-constant", a=1.0)  # λ = t


def schedule(
    p: Process,
    data: Any = None,
    T: float | None = None,
    K: int | None = None,
    *,
    grid: str | Grid = "uniform",
) -> Schedule:
    """The schedule of a process on a grid (T and K come from an explicit grid). Raises `BadInput`.

    ``data`` matters to the grids whose scale is the data's own (`wbound.GRIDS`).
    """
    nodes = grid_named(grid).nodes(p, data, T, K) if data is None else setting(p, data, T, K, grid=grid).nodes
    name = grid if isinstance(grid, str) else grid.name
    return Schedule(f"{p.name} on {name}", nodes.log_lam, p)


# ---------------------------------------------------------------------- arrays


def from_array(
    values: ArrayLike,
    form: str,
    *,
    name: str | None = None,
    process: Process | None = None,
    training: Array | None = None,
) -> Schedule:
    """A user's array as a schedule. ``form`` is one of `FORMS`.

    sigmas: noise levels in x, monotone either way, > 0 (a last 0 is added if it is not there); betas: (K,) in
    (0, 1), noise increasing with the index; alphas_cumprod: ᾱ in (0, 1), monotone either way (1 is the data);
    times: forward times of ``process``, monotone, down to 0; timesteps: indices of ``training``, log λ at each
    step of training (N,), strictly decreasing. Raises `BadInput`: shape, NaN, zeros, order.
    """
    one_of("form", form, FORMS)
    a = vector(values, form)
    if form == "timesteps":
        return Schedule(name or form, _finite(np.append(_at(a, training), -np.inf), form), vp())
    notes: list[str] = []
    if form == "betas":
        inside(a, form, 0.0, 1.0)
        # log(1+λ_k) = −Σ log(1−β): small λ keep their digits
        outward = np.cumsum(-np.log1p(-a))
        log_lam = np.concatenate((np.log(np.expm1(outward))[::-1], [-np.inf]))
        return Schedule(name or form, _finite(log_lam, form), vp())
    a = (
        _downward(a, form)
        if form != "alphas_cumprod"
        else _downward(a[::-1] if a[0] < a[-1] else a, form)[::-1]
    )
    if form == "alphas_cumprod":
        if a[-1] == 1.0:
            a = a[:-1]
        inside(a, form, 0.0, 1.0)
        log_lam = np.log1p(-a) - np.log(a)
        return Schedule(name or form, _finite(np.concatenate((log_lam, [-np.inf])), form), vp())
    if a[-1] != 0.0:
        a = np.concatenate((a, [0.0]))
        if form == "times":
            raise BadInput(form, f"last value {a[-2]:g}", "must end at 0, the data")
        notes.append(f"a last step from sigma = {a[-2]:.6g} to 0 was added: the array ends above 0")
    if form == "sigmas":
        with np.errstate(divide="ignore"):  # the last level is 0
            return Schedule(name or form, 2.0 * np.log(a), ve(), tuple(notes))
    if process is None:
        raise BadInput("process", "None", "is needed to read times")
    process.check_domain(float(a[0]))
    return Schedule(name or form, process.log_lam(a), process)


def vector(values: ArrayLike, form: str) -> Array:
    """A finite real vector. Raises `BadInput`."""
    try:
        given = np.asarray(values)
    except (TypeError, ValueError):
        raise BadInput(form, "an array", "must be numbers of one length") from None
    if given.dtype.kind not in "fiu" and given.size:
        raise BadInput(form, f"dtype {given.dtype}", "must be real numbers")
    a = given.astype(float)
    if a.ndim != 1 or a.size < 1:
        raise BadInput(form, f"shape {a.shape}", "must be a vector of at least one value")
    if a.size > MOST:
        raise BadInput(form, f"{a.size} values", f"must have at most {MOST}")
    bad = np.flatnonzero(~np.isfinite(a))
    if bad.size:
        raise BadInput(form, f"{a[bad[0]]} at index {bad[0]}", "must be finite")
    return a


def inside(a: Array, form: str, low: float, high: float) -> None:
    """Refuse values outside (low, high)."""
    bad = np.flatnonzero((a <= low) | (a >= high))
    if bad.size:
        raise BadInput(form, f"{a[bad[0]]:g} at index {bad[0]}", f"must be above {low:g} and below {high:g}")


def _downward(a: Array, form: str) -> Array:
    """The array from its largest value down; strictly monotone, ≥ 0, at most one 0."""
    index = np.arange(a.size)
    if a.size > 1 and a[0] < a[-1]:
        a, index = a[::-1], index[::-1]
    wrong = np.flatnonzero(np.diff(a) >= 0.0)
    if wrong.size:
        k = int(wrong[0])
        raise BadInput(
            form, f"{a[k]:g}, {a[k + 1]:g} at indices {index[k]}, {index[k + 1]}", "must be strictly monotone"
        )
    if a[-1] < 0.0 or a[0] <= 0.0:
        raise BadInput(form, f"{a[-1]:g} at index {index[-1]}", "must be > 0 (a last 0 is the data)")
    return a


def _finite(log_lam: Array, form: str) -> Array:
    if not (np.isfinite(log_lam[:-1]).all() and (np.diff(log_lam) < 0.0).all()):
        raise BadInput(form, "lam", "two levels coincide, or one is infinite, in double precision")
    return log_lam


def _trained(training: Array | None) -> Array:
    if training is None:
        raise BadInput(
            "timesteps",
            "indices",
            "are of steps of training: give the configuration or the betas of the training",
        )
    return training


def _at(indices: Array, training: Array | None) -> Array:
    """log λ at these steps of training."""
    known = _trained(training)
    bad = np.flatnonzero((indices != np.rint(indices)) | (indices < 0) | (indices > known.size - 1))
    if bad.size:
        raise BadInput(
            "timesteps", f"{indices[bad[0]]:g} at index {bad[0]}", f"must be whole, 0 … {known.size - 1}"
        )
    return np.asarray(known[indices.astype(int)])


def nearest(s: Schedule, training: Array) -> Schedule:
    """The schedule on steps of training: each node at the step whose log λ is nearest, no step twice; the notes
    say how far nodes moved. training: log λ (N,) increasing. Raises `BadInput` for more nodes than steps.
    """
    wanted, k = s.log_lam[:-1], np.arange(s.K)
    if s.K > training.size:
        raise BadInput("K", s.K, f"must be at most the {training.size} steps of training")
    above = np.clip(np.searchsorted(training, wanted), 1, max(training.size - 1, 1))
    above = np.minimum(above, training.size - 1)
    below = np.maximum(above - 1, 0)
    index = np.where(training[above] - wanted < wanted - training[below], above, below)
    # no step twice: K−1−k others are below node k, and k above
    index = np.maximum.accumulate((index + k)[::-1])[::-1] - k
    index = np.clip(index, s.K - 1 - k, training.size - 1 - k)
    moved = float(np.abs(training[index] - wanted).max())
    notes = (f"on steps of training: σ moves by a factor of {math.exp(0.5 * moved):.4g} at most",)
    return Schedule(f"{s.name}, on training steps", np.append(training[index], -np.inf), vp(), notes)


def start_std(s: Schedule, form: str) -> float:
    """The standard deviation of the normal start x of a sampler that takes ``form``: √λ(T) where x = X_0 + noise
    (sigmas), √(1 − ᾱ(T)) where the variance is preserved, and σ(T) of the process for its times."""
    top = s.log_lam[:1]
    if form == "sigmas":
        return s.sigma_max
    if form == "times":
        log_alpha, _ = s.process.law(s.process.time_of(top))
        return math.exp(0.5 * float(top[0]) + float(log_alpha[0]))
    return math.exp(-0.5 * math.log1p(math.exp(-float(top[0]))))


def to_array(s: Schedule, form: str, *, training: Array | None = None) -> NDArray[Any]:
    """The schedule as an array of ``form`` (`FORMS`). Raises `BadInput` where the form cannot hold it to
    `EXACT`: read back, λ must be the same to 1e-12 (for ᾱ, whose doubles hold 1+λ, to 1e-12 of 1+λ).
    ``training``: log λ (N,) at the steps of training, for timesteps; `nearest` moves a schedule onto them."""
    one_of("form", form, FORMS)
    log_lam = s.log_lam
    if form == "sigmas":
        with np.errstate(over="ignore"):  # refused below
            out = np.exp(0.5 * log_lam)
    elif form == "timesteps":
        known = _trained(training)
        index = np.searchsorted(known, log_lam[:-1] - EXACT)
        out = np.minimum(index, known.size - 1)
    elif form == "times":
        out = np.asarray(s.process.time_of(log_lam))
    else:
        log_total = np.logaddexp(0.0, log_lam)  # log(1+λ)
        if form == "alphas_cumprod":
            out = np.exp(-log_total[:-1])[::-1]
        else:
            # β = (λ_{k−1} − λ_k)/(1 + λ_{k−1})
            gap = log_lam[:-1] + np.log(-np.expm1(log_lam[1:] - log_lam[:-1]))
            out = np.exp(gap - log_total[:-1])[::-1]
    if not np.isfinite(out).all():
        raise BadInput("as", form, "this schedule overflows double precision in this form")
    try:
        back = from_array(out, form, process=s.process, training=training).log_lam
        error = _error(log_lam, back, form)
    except BadInput:
        error = math.inf
    if not error <= EXACT:
        why = (
            f"read back it would differ by {error:.2g}"
            if error < math.inf
            else "levels coincide in this form"
        )
        way = "take `nearest`" if form == "timesteps" else "write sigmas instead"
        raise BadInput("as", form, f"cannot hold this schedule to {EXACT:g}: {why}; {way}")
    return out


def _error(log_lam: Array, back: Array, form: str) -> float:
    if back.size != log_lam.size:
        return math.inf
    relative = np.abs(np.expm1(back[:-1] - log_lam[:-1]))
    if form == "alphas_cumprod":  # of 1 + λ
        relative = relative * np.exp(log_lam[:-1] - np.logaddexp(0.0, log_lam[:-1]))
    return float(relative.max())


# ---------------------------------------------------------------------- files


def export(s: Schedule, path: Path | str, form: str, *, training: Array | None = None) -> Path:
    """Write the schedule to ``path`` as ``form``: .npy (the array alone), .npz (with ``lam`` and ``start_std``
    beside it), .json (these and the rest), or .txt/.csv (17 digits). Raises `BadInput` (form, suffix) and
    `IOFailure`."""
    out = Path(path)
    suffix = one_of("file suffix", out.suffix.lower(), (".npy", ".npz", ".json", ".txt", ".csv"))
    array, std = to_array(s, form, training=training), start_std(s, form)
    if suffix in (".txt", ".csv"):
        return files.write(out, "".join(f"{v!r}\n" for v in array.tolist()))
    if suffix == ".json":
        record = {"form": form, form: array.tolist(), "start_std": std, **s.to_dict()}
        return files.write(out, json.dumps(record, allow_nan=False, indent=1) + "\n")
    stream = io.BytesIO()
    if suffix == ".npy":
        np.save(stream, array, allow_pickle=False)
    else:
        held: dict[str, Any] = {form: array, "lam": s.lam, "start_std": std}
        np.savez(stream, **held)
    return files.write(out, stream.getvalue())


def read(
    path: Path | str, form: str, *, process: Process | None = None, training: Array | None = None
) -> Schedule:
    """A schedule from a file: .npy, .npz, .json, .txt or .csv as `export` writes them, or any with one
    vector of ``form``. Raises `BadInput` and `IOFailure`; nothing in a file is ever executed."""
    source = Path(path)
    one_of("form", form, FORMS)
    suffix = one_of("file suffix", source.suffix.lower(), (".npy", ".npz", ".json", ".txt", ".csv"))
    if suffix in (".npy", ".npz"):
        values: Any = load_numpy(source, form)
    elif suffix == ".json":
        record = load_json(source)
        values = record.get(form) if isinstance(record, dict) else record
        if not isinstance(values, list):
            raise BadInput("file", source.name, f"must hold a list, or an object with a list named {form}")
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
            raise BadInput(form, source.name, "must be a list of numbers")
    else:
        values = text_numbers(source)
    return from_array(values, form, name=source.name, process=process, training=training)
