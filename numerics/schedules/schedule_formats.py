"""Schedules as others write them (sigmas, betas, alphas_cumprod, times, timesteps) and back.

In the clock: σ_k = √λ_k, ᾱ_k = 1/(1+λ_k), β_k = 1 − ᾱ_k/ᾱ_{k−1}. Arrays that hold ᾱ or β belong to a
variance- preserving process, those that hold σ to a variance-exploding one; hf and ddpm see the clock
alone.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics.io import writing
from numerics.io.reading import load_json, load_numpy, names_in, text_numbers
from numerics.schedules.checked_arrays import inside, vector
from numerics.schedules.schedule_object import NoClock, Schedule, schedule, ve, vp
from wbound import Process
from wbound.errors import BadInput, one_of
from wbound.typing import Array

__all__ = [
    "FORMS",
    "NoClock",
    "Schedule",
    "export",
    "from_array",
    "nearest",
    "read",
    "schedule",
    "start_std",
    "to_array",
    "values_of",
    "write_numbers",
]


#: What a schedule can be written as: σ = √λ (K+1,) from the largest to 0; β (K,) and ᾱ (K,) from the data
#: outward; times, the process's own forward times (K+1,) from T to 0; timesteps, the indices (K,) of steps of
#: training, from the noisiest down, which mean nothing without the betas of the training.
FORMS = ("sigmas", "betas", "alphas_cumprod", "times", "timesteps")
#: Relative error of λ that a file may cost (of 1+λ for ᾱ, which holds no more).
EXACT = 1e-12


def from_array(
    values: ArrayLike,
    form: str,
    *,
    name: str | None = None,
    process: Process | None = None,
    notes: tuple[str, ...] = (),
    begin: int = 0,
    training: Array | None = None,
    stop: str | None = None,
) -> Schedule:
    """A user's array as a schedule. ``form`` is one of `FORMS`; ``begin``: the index of its first value in the
    array that the user has, for what is said of it.

    sigmas: noise levels in x, monotone either way, > 0 (a last 0 is added if it is not there); betas: (K,) in
    (0, 1), noise increasing with the index; alphas_cumprod: ᾱ in (0, 1), monotone either way (1 is the data);
    times: forward times of ``process``, monotone, down to 0; timesteps: indices of ``training``, log λ at each
    step of training (N,), strictly decreasing. With stop="early" the steps end at the array's last level, which is above
    0 and one more value, and no step goes from it to the data. What was added or taken as the data is in the schedule's
    notes, after ``notes``. Raises `BadInput`: shape, NaN, values out of range, λ = ∞; and `NoClock` where λ does not
    fall strictly.
    """
    one_of("form", form, FORMS)
    early = stop is not None and one_of("stop", stop, ("early",)) == "early"
    a = vector(values, form, begin)
    if early and a.size < 2:
        raise BadInput(form, f"{a.size} value", "must be at least two where stop = early: a step and its end")
    said = list(notes)
    place = np.arange(begin, begin + a.size)
    if form == "timesteps":
        if early:
            raise BadInput("stop", stop, "goes with levels: where timesteps end is their training's")
        levels = _ended(_at(a, training))
        return _checked(Schedule(name or form, levels, vp(), tuple(said), place), form)
    if form == "betas":
        if (a <= 0.0).any():
            k = int(np.argmax(a <= 0.0))
            raise NoClock(
                form, f"{a[k]:g} at index {k}", "must be above 0 and below 1: lam does not rise there"
            )
        inside(a, form, 0.0, 1.0)
        # log(1+λ_k) = −Σ log(1−β): small λ keep their digits
        outward = np.cumsum(-np.log1p(-a))
        with np.errstate(over="ignore"):  # refused in _checked
            log_lam = np.log(np.expm1(outward))[::-1]
        levels = log_lam if early else _ended(log_lam)
        return _checked(Schedule(name or form, levels, vp(), tuple(said), place[::-1]), form)
    if a[0] < a[-1]:
        a, place = a[::-1], place[::-1]
    wrong = np.flatnonzero(np.diff(a) >= 0.0)
    if wrong.size:
        k = int(wrong[0])
        first, second = sorted((int(place[k]), int(place[k + 1])))
        raise NoClock(
            form,
            f"{a[k]:g}, {a[k + 1]:g} at indices {first}, {second}"
            if place[k] == first
            else f"{a[k + 1]:g}, {a[k]:g} at indices {first}, {second}",
            "must be strictly monotone",
        )
    if form == "alphas_cumprod":
        if a[0] == 1.0 and not early:
            said.append(f"alphas_cumprod[{place[0]}] = 1 is the data themselves, where the last step ends")
            a, place = a[1:], place[1:]
        inside(a, form, 0.0, 1.0, place)
        if not a.size:
            raise BadInput(form, "1", "must hold a level below 1: 1 is the data")
        log_lam = (np.log1p(-a) - np.log(a))[::-1]
        levels = log_lam if early else _ended(log_lam)
        return _checked(Schedule(name or form, levels, vp(), tuple(said), place[::-1]), form)
    if a[-1] < 0.0 or a[0] <= 0.0:
        raise BadInput(form, f"{a[-1]:g} at index {place[-1]}", "must be > 0 (a last 0 is the data)")
    if early:
        if a[-1] == 0.0:
            raise BadInput(form, "last value 0", "must end above 0 where stop = early")
    elif a[-1] != 0.0:
        if form == "times":
            raise BadInput(form, f"last value {a[-1]:g}", "must end at 0, the data (or say stop = early)")
        said.append(
            f"a last step from sigma = {a[-1]:.6g} to 0 was added: the array ends above 0 (stop = early leaves it out)"
        )
        a = np.concatenate((a, [0.0]))
    else:
        place = place[:-1]
    if form == "sigmas":
        with np.errstate(divide="ignore"):  # the last level is 0
            log_lam = 2.0 * np.log(a)
        return _checked(Schedule(name or form, log_lam, ve(), tuple(said), place), form)
    if process is None:
        raise BadInput("process", "None", "is needed to read times")
    process.check_domain(float(a[0]))
    return Schedule(name or form, process.log_lam(a), process, tuple(said), place)


def _ended(log_lam: Array) -> Array:
    return np.concatenate((log_lam, [-np.inf]))


def _checked(s: Schedule, form: str) -> Schedule:
    """The schedule, if its levels are finite and apart in double precision."""
    if s.places is None:
        return s
    levels = s.above
    wrong = np.flatnonzero(~np.isfinite(levels))
    if wrong.size:
        raise BadInput(form, f"index {s.places[wrong[-1]]}", "lam is 0 or infinite there in double precision")
    wrong = np.flatnonzero(np.diff(levels) >= 0.0)
    if wrong.size:
        k = int(wrong[0])
        first, second = sorted((int(s.places[k]), int(s.places[k + 1])))
        raise NoClock(form, f"indices {first}, {second}", "two levels coincide in double precision")
    return s


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
    _to_the_data(s)
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


def _to_the_data(s: Schedule) -> None:
    if s.stopped_early:
        end = math.exp(0.5 * float(s.log_lam[-1]))
        raise BadInput(
            "timesteps",
            f"an end at sigma = {end:.6g}",
            "is in no list of timesteps, but in the configuration",
        )


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
        _to_the_data(s)
        known = _trained(training)
        index = np.searchsorted(known, log_lam[:-1] - EXACT)
        out = np.minimum(index, known.size - 1)
    elif form == "times":
        out = np.asarray(s.process.time_of(log_lam))
    else:
        if s.stopped_early:  # its end is a value of the array
            log_lam = _ended(log_lam)
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
        stop = "early" if s.stopped_early else None
        error = _error(s, from_array(out, form, process=s.process, training=training, stop=stop), form)
    except BadInput:
        error = math.inf
    if not error <= EXACT:
        why = (
            f"read back it would differ by {error:.2g}"
            if error < math.inf
            else "levels coincide in this form"
        )
        way = "take `nearest`" if form == "timesteps" else _instead(s, form, error)
        raise BadInput("as", form, f"cannot hold this schedule to {EXACT:g}: {why}; {way}")
    return out


def _instead(s: Schedule, form: str, error: float) -> str:
    """The form that holds a schedule which ``form`` does not, in words; error: that of λ, ∞ where two
    coincide."""
    if form == "sigmas":
        two = "two of its levels are one number in double precision"
        return two if error == math.inf else "its smallest levels leave double precision"
    try:
        to_array(s, "sigmas")
    except BadInput:
        return "nor can sigmas"
    return "write sigmas instead"


def _error(s: Schedule, read_back: Schedule, form: str) -> float:
    one, two = s.above, read_back.above
    if one.size != two.size:
        return math.inf
    relative = np.abs(np.expm1(two - one))
    if form == "alphas_cumprod":  # of 1 + λ
        relative = relative * np.exp(one - np.logaddexp(0.0, one))
    return float(relative.max())


# ---------------------------------------------------------------------- files


def export(s: Schedule, path: Path | str, form: str, *, training: Array | None = None) -> Path:
    """Write the schedule to ``path`` as ``form``: .npy (the array alone), .npz (with ``lam`` and ``start_std``
    beside it), .json (these and the rest), or .txt/.csv (17 digits). Raises `BadInput` (form, suffix) and
    `IOFailure`."""
    out = Path(path)
    suffix = one_of("file suffix", out.suffix.lower(), (".npy", ".npz", ".json", ".txt", ".csv"))
    array, std = to_array(s, form, training=training), start_std(s, form)
    if suffix == ".json":
        record = {"form": form, form: array.tolist(), "start_std": std, **s.to_dict()}
        return writing.write(out, json.dumps(record, allow_nan=False, indent=1) + "\n")
    return write_numbers(out, form, array, {"lam": s.lam, "start_std": std})


def write_numbers(
    path: Path | str, form: str, values: Sequence[float] | Array, beside: Mapping[str, Any] | None = None
) -> Path:
    """Write one list of ``form``: .npy (the array alone), .npz (``beside`` with it), .json (the list), .txt/.csv (a line
    each, all digits). Raises `BadInput` (suffix) and `IOFailure`."""
    out, array = Path(path), np.asarray(values)
    suffix = one_of("file suffix", out.suffix.lower(), (".npy", ".npz", ".json", ".txt", ".csv"))
    if suffix in (".txt", ".csv"):
        return writing.write(out, "".join(f"{v!r}\n" for v in array.tolist()))
    if suffix == ".json":
        return writing.write(out, json.dumps(array.tolist(), allow_nan=False) + "\n")
    stream = io.BytesIO()
    if suffix == ".npy":
        np.save(stream, array, allow_pickle=False)
    else:
        held: dict[str, Any] = {form: array, **(beside or {})}
        np.savez(stream, **held)
    return writing.write(out, stream.getvalue())


def read(
    path: Path | str,
    form: str,
    *,
    process: Process | None = None,
    key: str | None = None,
    training: Array | None = None,
    stop: str | None = None,
) -> Schedule:
    """A schedule from a file: .npy, .npz, .json, .txt or .csv as `export` writes them, or any with one
    vector of ``form``, or of the name ``key``. ``stop``: see `from_array`; a file with ``lam`` beside the array says
    itself where it ends. Raises `BadInput` and `IOFailure`; nothing in a file is ever executed."""
    values, notes, stop = values_of(path, form, key=key, stop=stop)
    name = Path(path).name
    return from_array(values, form, name=name, process=process, notes=notes, training=training, stop=stop)


def values_of(
    path: Path | str, form: str, *, key: str | None = None, stop: str | None = None
) -> tuple[Any, tuple[str, ...], str | None]:
    """The array of ``form`` in a file (see `read`), whatever its numbers are; in words which other arrays
    of the file were not read; and "early" where it ends above 0: ``stop``, or by a ``lam`` beside it, as `export` writes,
    which must be the same schedule's.
    """
    source = Path(path)
    one_of("form", form, FORMS)
    suffix = one_of("file suffix", source.suffix.lower(), (".npy", ".npz", ".json", ".txt", ".csv"))
    if suffix == ".json":
        record = load_json(source)
        held = record if isinstance(record, dict) else {}
        name = key or form
        if key is not None and key not in held:
            raise BadInput("key", key, f"is not in {source.name}")
        values = held.get(name) if held else record
        if not isinstance(values, list):
            raise BadInput("file", source.name, f"must hold a list, or an object with a list named {name}")
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
            raise BadInput(form, source.name, "must be a list of numbers")
        beside = [name for name, item in held.items() if isinstance(item, list) and item and name != "notes"]
        lam: Any = held.get("lam")
    elif suffix in (".npy", ".npz"):
        values = load_numpy(source, form, key=key, advice="; --key NAME (key=NAME in Python) picks one")
        beside = names_in(source)
        name = key or (form if form in beside else "".join(beside))
        lam = load_numpy(source, key="lam") if "lam" in beside else None
    elif key is not None:
        raise BadInput("key", key, f"goes with an .npz or .json file, not {source.name}")
    else:
        return text_numbers(source), (), stop
    if lam is not None and name != "lam":
        stop = _same_lam(source, values, form, lam, stop)
    others = [other[:40] for other in beside if other not in (name, "lam")]
    if not others:
        return values, (), stop
    return values, (f"{source.name}: {name} was read, and not {', '.join(others[:8])}",), stop


def _same_lam(source: Path, values: Any, form: str, lam: Any, stop: str | None) -> str | None:
    """Refuse a file whose ``lam`` is not that of its array, to 1e-5 of 1 + λ (what single precision holds); "early" where
    it ends above 0."""
    try:
        read_lam = vector(lam, "lam")
        if read_lam[-1] > 0.0:
            stop = "early"
        if form in ("times", "timesteps"):
            return stop  # their λ is known with the process, or the training
        with np.errstate(over="ignore"):
            own = from_array(values, form, stop=stop).lam
    except BadInput:
        return stop  # said where the array is read
    if read_lam.shape != own.shape:
        raise BadInput(
            "lam", source.name, f"has {read_lam.size} values where {form} has {own.size}: which holds?"
        )
    with np.errstate(all="ignore"):  # beyond double precision both are infinite
        apart = np.where(read_lam == own, 0.0, np.abs(read_lam - own) / (1.0 + own))
    if not apart.max() <= 1e-5:
        k = int(np.argmax(np.nan_to_num(apart, nan=np.inf)))
        raise BadInput("lam", source.name, f"is {read_lam[k]:g} at index {k} where {form} has {own[k]:g}")
    return stop
