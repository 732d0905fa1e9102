"""Options that the commands of ``wbound images`` share, and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from numerics.cli import options as o

if TYPE_CHECKING:
    from numerics.cifar10.processes import ImageProcess

RunDir = Annotated[str, typer.Argument(metavar="DIR", help="A run directory of wbound images train.")]
MaybeRunDir = Annotated[
    str | None, typer.Argument(metavar="[DIR]", help="A run directory of wbound images train, or --network.")
]
Network = Annotated[
    str | None,
    o.word(
        "--network",
        "Somebody else's: a UNet2DModel in safetensors with its scheduler's configuration, or a function that "
        "returns D(x, sigma), the denoised images.",
        metavar="diffusers:FOLDER|MODULE:FUNCTION",
    ),
]
Shape = Annotated[
    str | None,
    o.word("--shape", "Of its images, where --network does not say it.", metavar="C,H,W"),
]
ProcessName = Annotated[
    str | None,
    o.word(
        "--process",
        "The process to sample, with a network that knows the noise level (default: the run's; ve-v2).",
    ),
]
Scheme = Annotated[
    str,
    o.word(
        "--scheme",
        "Sampler: em (f and g² integrated over each step), em-point (taken where it departs), em-point-arrival, ei, "
        "hf, ddpm, pc, ode-heun; paper: em-point for VP, pc for VE.",
    ),
]
GridName = Annotated[str, o.word("--grid", "Where the steps are: uniform, log-lam, edm, cosine.")]
DataName = Annotated[
    str,
    o.word("--data", "Images: .npz, .npy or a folder, or by name.", metavar="cifar10|digits|FILE|FOLDER"),
]
Preset = Annotated[str, o.word("--preset", "Network and defaults: smoke, small, paper, paper-deep, large.")]
K = Annotated[str | None, o.numeric("--K", "Sampling steps (default 100).")]
Root = Annotated[str | None, o.word("--root", "Where the CIFAR-10 archive or its files are.", metavar="DIR")]
Seed = Annotated[
    str | None, o.numeric("--seed", "Seed of the first image; the next ones follow (default 0).")
]
Step = Annotated[str | None, o.numeric("--step", "The checkpoint of this step (default: the last).")]
Batch = Annotated[
    str | None, o.numeric("--batch", "Images at once; changes no sample but by rounding (default 256).")
]
Device = Annotated[str, o.word("--device", "auto, cpu, cuda or cuda:N.")]
Precision = Annotated[
    str,
    o.word(
        "--precision",
        "auto (bf16 on a GPU, else fp32; sample: bf16 on a CPU with instructions for it too), fp32, tf32, bf16.",
    ),
]
Compile = Annotated[
    bool | None,
    typer.Option(
        "--compile/--no-compile",
        help="torch.compile (default: on a GPU; sample: on a CPU too where that would take more than ten minutes).",
    ),
]
Inception = Annotated[
    str | None,
    o.word(
        "--inception",
        "Inception's weights, for FID and IS (needs torch-fidelity; nothing is downloaded).",
        metavar="FILE",
    ),
]
Statistics = Annotated[
    str | None,
    o.word("--statistics", "Of wbound images fid-stats, or .npz with mu and sigma.", metavar="FILE"),
]


def integer(option: str, text: str | None, default: int, least: int = 1) -> int:
    """The option as an integer ≥ ``least``. Raises `BadInput`."""
    from wbound.errors import count

    return count(option, o.number(option, text, float(default)), least)


def one_step(text: str | None) -> int | None:
    """The step of --step."""
    return None if text is None else integer("step", text, 0, 0)


def parameters(texts: list[str] | None) -> dict[str, float]:
    """The process's parameters of -p. Raises `BadInput`."""
    from wbound.calculus.parser import number
    from wbound.errors import BadInput

    values: dict[str, float] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or not value.strip() or key.strip() in values:
            raise BadInput("-p", text, "must be NAME=VALUE, once for each name")
        values[key.strip()] = number(value, key.strip())
    return values


def chosen(process: str | None, p: list[str] | None) -> ImageProcess | None:
    """The process of --process and -p, None where none is said. Raises `BadInput`."""
    from numerics.cifar10.processes import image_process
    from wbound.errors import BadInput

    given = parameters(p)
    if process is None and given:
        raise BadInput("-p", ", ".join(p or ()), "goes with --process NAME")
    return None if process is None else image_process(process, **given)


def sides(text: str | None) -> tuple[int, int, int] | None:
    """--shape as (C, H, W). Raises `BadInput`."""
    from wbound.errors import BadInput, count

    if text is None:
        return None
    named = [count("shape", o.number("shape", side)) for side in text.split(",")]
    if len(named) != 3:
        raise BadInput("shape", text, "must be C,H,W")
    return named[0], named[1], named[2]
