"""Options that name data and schedules: --data, --sigmas, --betas, --alphas-cumprod, --diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from numerics.cli import options as o

if TYPE_CHECKING:
    from numerics.datasets import Dataset
    from numerics.schedules import Schedule

__all__ = [
    "AlphasCumprod",
    "Betas",
    "Data",
    "Diffusers",
    "Sigmas",
    "dataset_from",
    "dataset_lines",
    "one_schedule",
    "schedules_from",
    "training_from",
    "vector_from",
]

Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="digits|FILE|FOLDER|LIST",
        help="digits; samples (.npy, .npz: n first); a folder of images; or a covariance spectrum (a vector: "
        ".npy, .txt, .csv, or 4,1,0.25).",
    ),
]
Sigmas = Annotated[
    str | None, typer.Option("--sigmas", metavar="LIST|FILE", help="A schedule of noise levels σ = √λ.")
]
Betas = Annotated[str | None, typer.Option("--betas", metavar="LIST|FILE", help="A schedule of betas.")]
AlphasCumprod = Annotated[
    str | None,
    typer.Option("--alphas-cumprod", metavar="LIST|FILE", help="A schedule of products of 1 - beta."),
]
Diffusers = Annotated[
    str | None,
    typer.Option("--diffusers", metavar="FILE", help="A scheduler_config.json of the diffusers library."),
]
#: What a file of numbers may be.
SUFFIXES = (".npy", ".npz", ".json", ".txt", ".csv")


def _is_list(text: str) -> bool:
    return not o.exists(text) and Path(text).suffix.lower() not in SUFFIXES and "," in text


def dataset_from(text: str | None) -> Dataset:
    """The data of --data, their mean and covariance. Raises `BadInput` and `IOFailure`."""
    from numerics import datasets
    from numerics.loading import is_folder
    from wbound.errors import BadInput

    if text is None:
        raise BadInput("data", "(not given)", "give --data digits, a file, a folder of images or a spectrum")
    if _is_list(text):
        return datasets.from_spectrum(o.array_from("data", text), "spectrum")
    path = Path(text)
    if text == "digits" or is_folder(path):
        return datasets.load(text)
    if path.suffix.lower() in (".txt", ".csv"):
        return datasets.from_spectrum(path)
    samples = datasets.samples_of(text)
    if samples.ndim == 1:  # samples have their number first: a vector can only be a spectrum
        return datasets.from_spectrum(samples, path.name)
    return datasets.from_samples(samples, path.name)


def dataset_lines(data: Dataset) -> list[str]:
    """What a command says of the data: their size and scale."""
    count = f"{data.n} samples, " if data.n is not None else ""
    first = (
        f"{data.name}: {count}d = {data.d}, rank {data.rank}; scale ‖X_0 - E X_0‖ = {data.spread:.6g}, "
        f"{data.scale:.6g} a coordinate; eps-rel is relative to the former"
    )
    return [first, *(f"  {note}" for note in data.notes)]


def vector_from(option: str, text: str) -> Any:
    """The numbers of a list or a file, whatever they are. Raises `BadInput` and `IOFailure`."""
    from numerics.loading import load_json, load_numpy
    from wbound.errors import BadInput

    path = Path(text)
    if path.suffix.lower() == ".npz":
        return load_numpy(path, option)
    if path.suffix.lower() == ".json":
        held = load_json(path)
        values = held.get(option) if isinstance(held, dict) else held
        if not isinstance(values, list):
            raise BadInput("file", path.name, f"must hold a list, or an object with a list named {option}")
        return values
    return o.array_from(option, text)


def _read(form: str, text: str) -> Schedule:
    from numerics.schedules import from_array, read

    if _is_list(text) or (not Path(text).suffix and not o.exists(text)):
        return from_array(o.array_from(form, text), form)
    return read(text, form)


def schedules_from(
    sigmas: str | None, betas: str | None, alphas_cumprod: str | None, diffusers: str | None
) -> list[Schedule]:
    """The schedules that the options name. Raises `BadInput` and `IOFailure`."""
    arrays = {"sigmas": sigmas, "betas": betas, "alphas_cumprod": alphas_cumprod}
    found = [_read(form, text) for form, text in arrays.items() if text is not None]
    if diffusers is not None:
        from numerics.scheduler_config import from_diffusers

        found.append(from_diffusers(diffusers))
    return found


def training_from(betas: str | None, diffusers: str | None) -> tuple[Any, tuple[str, ...]]:
    """log λ (N,) at the steps of training that timesteps are indices of, and notes. Raises `BadInput`, `IOFailure`."""
    from numerics.scheduler_config import training_log_lam
    from wbound.errors import BadInput

    if (betas is None) == (diffusers is None):
        raise BadInput(
            "as",
            "timesteps",
            "are indices of steps of training: give --diffusers scheduler_config.json, or --betas, of the training",
        )
    if diffusers is not None:
        return training_log_lam(diffusers)
    assert betas is not None
    return _read("betas", betas).log_lam[-2::-1], ()


def one_schedule(given: list[Any]) -> Any:
    """The only schedule of the list, or None. Raises `BadInput`."""
    from wbound.errors import BadInput

    if len(given) > 1:
        raise BadInput(
            "schedule", given[1].name, "give one of --sigmas, --betas, --alphas-cumprod, --diffusers"
        )
    return given[0] if given else None
