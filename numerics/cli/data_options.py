"""Options that name data and schedules: --data, --sigmas, --betas, --alphas-cumprod, --diffusers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from numerics.cli import options as o

if TYPE_CHECKING:
    from numerics.schedules.schedule_object import Schedule
    from numerics.targets.datasets import Dataset

_DATA = (
    "digits; samples (.npy, .npz: n first; .csv, .txt: a line each, columns named or not); a folder of "
    "images, or of one folder a class; or a covariance spectrum (a vector: any of these files, or 4,1,0.25)."
)
Data = Annotated[str | None, o.numbers_in("--data", "digits|FILE|FOLDER|LIST", _DATA)]
NeededData = Annotated[str | None, o.numbers_in("--data", "digits|FILE|FOLDER|LIST", f"{_DATA} [required]")]
Key = Annotated[
    str | None,
    o.word("--key", "Which array of an .npz file of several: of --data, or else of the schedule."),
]
SigmaMin = Annotated[
    str | None, o.numeric("--sigma-min", "Least level above 0 (of --for …: the training's).")
]
SigmaMax = Annotated[str | None, o.numeric("--sigma-max", "Largest level (of --for …: the training's).")]
_TAPE = "A recorded tape (.json, .npz)"
Tapes = Annotated[
    list[str] | None, o.word("--tape", f"{_TAPE} beside the rest; again for each.", metavar="FILE")
]
Sigmas = Annotated[str | None, o.numbers_in("--sigmas", "LIST|FILE", "A schedule of noise levels σ = √λ.")]
Betas = Annotated[str | None, o.numbers_in("--betas", "LIST|FILE", "A schedule of betas.")]
AlphasCumprod = Annotated[
    str | None, o.numbers_in("--alphas-cumprod", "LIST|FILE", "A schedule of products of 1 - beta.")
]
Stop = Annotated[
    str | None,
    o.word(
        "--stop",
        "early: the array's last level is where the sampler stops; no step goes from it to 0.",
        metavar="early",
    ),
]
Diffusers = Annotated[
    str | None,
    o.numbers_in(
        "--diffusers",
        "FILE|CLASS",
        "A scheduler of the diffusers library, which reads it: a scheduler_config.json, or a class.",
    ),
]


def tape_in(instead: str) -> Any:
    """The option --tape of one tape, which stands ``instead`` of others."""
    return o.word("--tape", f"{_TAPE}, {instead}", metavar="FILE")


@dataclass(frozen=True)
class DataOptions:
    """Data of one's own, whose mean and covariance are read."""

    data: Data = None
    key: Key = None

    @cached_property
    def read(self) -> tuple[Dataset, Any]:
        """The data and their samples, as `dataset_and_samples` has them. Raises `BadInput` and `IOFailure`."""
        return dataset_and_samples(self.data, self.key)

    @property
    def made(self) -> Dataset | None:
        """The data; None where there are none. Raises `BadInput` and `IOFailure`."""
        if self.data is None:
            o.refuse({"key": self.key}, "goes with --data")
            return None
        return self.read[0]


@dataclass(frozen=True)
class ScheduleOptions:
    """Schedules that somebody has: arrays, or a configuration."""

    sigmas: Sigmas = None
    betas: Betas = None
    alphas_cumprod: AlphasCumprod = None
    stop: Stop = None
    diffusers: Diffusers = None

    @property
    def arrays(self) -> dict[str, str]:
        """The arrays among them by their form, as typed."""
        forms = {"sigmas": self.sigmas, "betas": self.betas, "alphas_cumprod": self.alphas_cumprod}
        return {form: text for form, text in forms.items() if text is not None}

    def read(self, key: str | None = None, steps: int | None = None) -> list[Schedule]:
        """As `schedules_from`."""
        return schedules_from(
            self.sigmas, self.betas, self.alphas_cumprod, self.diffusers, key, steps, self.stop
        )

    @property
    def training(self) -> tuple[Any, tuple[str, ...]]:
        """As `training_from`: of --diffusers where both are there."""
        return training_from(None if self.diffusers is not None else self.betas, self.diffusers)

    @property
    def beside_training(self) -> ScheduleOptions:
        """What is there besides the training."""
        return replace(self, betas=self.betas if self.diffusers is not None else None, diffusers=None)


def dataset_from(text: str | None, key: str | None = None) -> Dataset:
    """The data of --data, their mean and covariance. Raises `BadInput` and `IOFailure`."""
    return dataset_and_samples(text, key)[0]


def dataset_and_samples(text: str | None, key: str | None = None) -> tuple[Dataset, Any]:
    """`dataset_from`, and the samples (n, …) themselves; None for a spectrum. Raises `BadInput` and `IOFailure`."""
    from numerics.targets import datasets
    from wbound.errors import BadInput

    if text is None:
        raise BadInput("data", "(not given)", "give --data digits, a file, a folder of images or a spectrum")
    if o.is_list(text) and key is None:
        return datasets.from_spectrum(o.listed("data", text), "spectrum"), None
    return datasets.load_with_samples(text, key)


def dataset_lines(data: Dataset) -> list[str]:
    """What a command says of the data: their size and scale."""
    count = f"{data.n} samples, " if data.n is not None else ""
    first = (
        f"{data.name}: {count}d = {data.d}, rank {data.rank}; scale ‖X_0 - E X_0‖ = {data.spread:.6g}, "
        f"{data.scale:.6g} a coordinate; eps-rel is relative to the former"
    )
    return [first, *(f"  {note}" for note in data.notes)]


def vector_from(
    form: str, text: str, key: str | None = None, stop: str | None = None
) -> tuple[Any, tuple[str, ...], str | None]:
    """The numbers of a schedule's list or file, whatever they are; what of the file was not read; and where it stops:
    --stop, or as the file says. Raises `BadInput` and `IOFailure`."""
    from numerics.schedules.schedule_formats import values_of
    from wbound.errors import BadInput

    if not o.is_list(text):
        return values_of(text, form, key=key, stop=stop)
    if key is not None:
        raise BadInput("key", key, f"goes with an .npz file of several arrays, not {text}")
    return o.listed(form, text), (), stop


def schedules_from(
    sigmas: str | None,
    betas: str | None,
    alphas_cumprod: str | None,
    diffusers: str | None,
    key: str | None = None,
    steps: int | None = None,
    stop: str | None = None,
) -> list[Schedule]:
    """The schedules that the options name; a configuration at ``steps``, or at all steps of its training; an array that
    ends above 0 with a step to 0, or with ``stop`` "early". Raises `BadInput`, `IOFailure` and `Missing` (the extra
    diffusers)."""
    from numerics.schedules.schedule_formats import from_array
    from wbound.errors import BadInput

    arrays = {"sigmas": sigmas, "betas": betas, "alphas_cumprod": alphas_cumprod}
    found = []
    for form, text in arrays.items():
        if text is not None:
            values, notes, ends = vector_from(form, text, key, stop)
            name = form if o.is_list(text) else Path(text).name
            found.append(from_array(values, form, name=name, notes=notes, stop=ends))
    if stop is not None and not found:
        raise BadInput("stop", stop, "goes with --sigmas, --betas or --alphas-cumprod")
    if diffusers is not None:
        from numerics.recorders.scheduler_nodes import schedule_of_diffusers

        found.append(schedule_of_diffusers(diffusers, steps))
    return found


def training_from(betas: str | None, diffusers: str | None) -> tuple[Any, tuple[str, ...]]:
    """log λ (N,) at the steps of training that timesteps are indices of, and notes. Raises `BadInput`, `IOFailure`."""
    from numerics.recorders.scheduler_nodes import training_log_lam
    from wbound.errors import BadInput

    if (betas is None) == (diffusers is None):
        raise BadInput(
            "as",
            "timesteps",
            "are indices of steps of training: give --diffusers scheduler_config.json, or --betas, of the training",
        )
    if diffusers is not None:
        return training_log_lam(diffusers)
    made = schedules_from(None, betas, None, None)[0]
    return made.log_lam[-2::-1], made.notes


def tapes_from(files: list[str] | None) -> list[Any]:
    """The tapes of --tape. Raises `BadInput` (no tape, an edited one) and `IOFailure`."""
    from wbound.sampler.tape import Tape

    return [Tape.load(file) for file in files or ()]


def one_schedule(given: list[Any]) -> Any:
    """The only schedule of the list, or None. Raises `BadInput`."""
    from wbound.errors import BadInput

    if len(given) > 1:
        raise BadInput(
            "schedule", given[1].name, "give one of --sigmas, --betas, --alphas-cumprod, --diffusers"
        )
    return given[0] if given else None
