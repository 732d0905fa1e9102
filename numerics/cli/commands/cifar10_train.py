"""wbound images: the same processes on images, with trained networks (extra cifar10): train, resume, check."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Any

import typer

from numerics.cli import image_options as i
from numerics.cli import options as o
from numerics.cli import output
from numerics.cli.commands.cifar10_measure import compare, score_error
from numerics.cli.commands.images_evaluate import evaluate, fid_stats
from numerics.cli.commands.images_sample import sample
from numerics.cli.output import WRITTEN, emit, grid_table, note

#: What the extra brings.
NEEDS = ("torch", "diffusers", "accelerate", "torchmetrics", "safetensors")

ProcessName = Annotated[
    str | None,
    o.word(
        "--process",
        "vp-original, vp-v1, vp-v2, vp-v3, ve-original, ve-v1, ve-v2, ve-v3 (default with sigma: ve-v2).",
    ),
]
Device = Annotated[str, o.word("--device", "auto, cpu, cuda or cuda:N (torchrun: auto or cpu).")]
Progress = Annotated[
    bool | None,
    typer.Option("--progress/--no-progress", help="A bar on stderr (default: on a terminal)."),
]


images = typer.Typer(
    name="images",
    help="Images: train, sample and compare (extra cifar10).",
    no_args_is_help=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@images.callback(invoke_without_command=True, help=images.info.help)
def top(context: typer.Context) -> None:
    """Without a command: the help."""
    installed()
    if context.invoked_subcommand is None:
        print(context.get_help())


def installed() -> None:
    """Refuse in one line where the extra is not installed. Raises `BadInput`."""
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        from wbound.errors import BadInput

        raise BadInput(
            "cifar10",
            f"{', '.join(missing)} not installed",
            "pip install 'wbound[cifar10]' installs what it needs",
        )


def train(
    out: Annotated[str, o.out("The run's new directory.", "DIR")],
    process: ProcessName = None,
    conditioning: Annotated[
        str,
        o.word(
            "--conditioning",
            "sigma: one network for every process. process: one for --process alone, as in the paper.",
        ),
    ] = "sigma",
    data: i.DataName = "digits",
    root: i.Root = None,
    preset: i.Preset = "small",
    p: o.Parameters = None,
    steps: Annotated[str | None, o.numeric("--steps", "Steps of Adam.")] = None,
    batch: Annotated[str | None, o.numeric("--batch", "Images a step, of all processes together.")] = None,
    lr: Annotated[str | None, o.numeric("--lr", "Learning rate after the warm-up.")] = None,
    warmup: Annotated[str | None, o.numeric("--warmup", "Steps of the warm-up.")] = None,
    decay: Annotated[str | None, o.word("--decay", "Of the learning rate: none or cosine.")] = None,
    ema: Annotated[str | None, o.numeric("--ema", "Decay of the average network, in [0, 1).")] = None,
    clip: Annotated[str | None, o.numeric("--clip", "Largest norm of the gradient (default 1).")] = None,
    seed: Annotated[str | None, o.numeric("--seed", "Of everything that is random.")] = None,
    flips: Annotated[
        bool | None, typer.Option("--flips/--no-flips", help="Mirror images (default: CIFAR-10 only).")
    ] = None,
    dequantise: Annotated[
        bool, typer.Option("--dequantise", help="Draw within the interval of a byte.")
    ] = False,
    gaussian_tau: Annotated[
        str | None,
        o.numeric("--gaussian-tau", "Train on the Gaussian with the data's mean and covariance + this² I."),
    ] = None,
    p_mean: Annotated[
        str | None, o.numeric("--p-mean", "Mean of ln σ in training (default -1.2; --conditioning sigma).")
    ] = None,
    p_std: Annotated[str | None, o.numeric("--p-std", "Its standard deviation (default 1.2).")] = None,
    precision: Annotated[
        str | None,
        o.word("--precision", "auto, fp32, tf32, bf16 (auto: bf16 on a GPU)."),
    ] = None,
    compile_: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="torch.compile (default: on a GPU).")
    ] = None,
    checkpoint_every: Annotated[
        str | None, o.numeric("--checkpoint-every", "Steps between checkpoints (default 1000).")
    ] = None,
    save_minutes: Annotated[
        str | None,
        o.numeric(
            "--save-minutes", "Minutes between checkpoints to go on from after a crash (default 5; 0: none)."
        ),
    ] = None,
    keep: Annotated[str | None, o.numeric("--keep", "Checkpoints to keep (default 2).")] = None,
    log_every: Annotated[
        str | None, o.numeric("--log-every", "Steps between lines of metrics.jsonl (default 50).")
    ] = None,
    sample_every: Annotated[
        str | None, o.numeric("--sample-every", "Steps between grids of samples (default 0: none).")
    ] = None,
    device: Device = "auto",
    progress: Progress = None,
    json: o.Json = False,
) -> None:
    """Train a score network into a run directory.

    With --conditioning sigma the network knows the noise level alone (EDM's preconditioning and law of levels), and
    `wbound images sample --process NAME` samples any process with it; --process is then what it is sampled with
    where nothing is said.

    The directory holds config.json, metrics.jsonl, checkpoints/ (safetensors) and samples/. A run that was
    killed goes on with `wbound images resume`. Under torchrun every process takes a GPU (or the CPU).
    Exit code 4: the loss is not finite, or a file cannot be written.

    \b
    Examples:
      wbound images train --preset smoke -o runs/digits
      wbound images train --conditioning process --process ve-v2 --data cifar10 --root data --preset paper -o runs/ve-v2
      torchrun --nproc-per-node 4 --no-python wbound images train --data cifar10 ... -o runs/all
    """
    installed()
    from numerics.cifar10.runs import OF_ALL, make_config, paper_parameters
    from numerics.cifar10.training import train as start
    from wbound.errors import BadInput

    if process is None and conditioning == "process":
        raise BadInput("process", "(not given)", "give --process NAME, or --conditioning sigma")
    chosen = OF_ALL if process is None else process
    published = {} if conditioning == "sigma" else paper_parameters(preset, chosen)
    config = make_config(
        chosen,
        data,
        preset,
        parameters=published | i.parameters(p),
        root=root,
        steps=o.number("steps", steps),
        batch=o.number("batch", batch),
        lr=o.number("lr", lr),
        warmup=o.number("warmup", warmup),
        decay=decay,
        ema=o.number("ema", ema),
        clip=o.number("clip", clip),
        seed=o.number("seed", seed),
        flips=flips,
        dequantise=dequantise,
        gaussian_tau=o.number("gaussian-tau", gaussian_tau),
        conditioning=conditioning,
        p_mean=o.number("p-mean", p_mean),
        p_std=o.number("p-std", p_std),
        precision=precision,
        compile=compile_,
        checkpoint_every=o.number("checkpoint-every", checkpoint_every),
        keep=o.number("keep", keep),
        save_minutes=o.number("save-minutes", save_minutes),
        log_every=o.number("log-every", log_every),
        sample_every=o.number("sample-every", sample_every),
    )
    _finish(lambda: start(out, config, device=device, progress=_bar(progress)), out, json)


def resume(
    run: Annotated[str, typer.Argument(metavar="DIR", help="A run directory.")],
    steps: Annotated[str | None, o.numeric("--steps", "Go on to this step instead.")] = None,
    device: Device = "auto",
    progress: Progress = None,
    json: o.Json = False,
) -> None:
    """Go on with a run from its last checkpoint.

    On a CPU the result is that of a run that never stopped, to the bit.

    \b
    Example:
      wbound images resume runs/digits
    """
    installed()
    from numerics.cifar10.training import resume as go_on

    wanted: Any = o.number("steps", steps)
    _finish(lambda: go_on(run, steps=wanted, device=device, progress=_bar(progress)), run, json)


def _bar(progress: bool | None) -> bool | None:
    """--progress as given, none under --quiet."""
    return False if output.QUIET else progress


def _finish(work: Any, folder: str, json: bool) -> None:
    """Train, and say what came of it; an interruption names the last checkpoint."""
    try:
        result = work()
    except KeyboardInterrupt:
        from numerics.cifar10.runs import Run

        last = Run(Path(folder)).last
        if last is not None:
            WRITTEN.append(f"{last} (wbound images resume {folder} goes on)")
        raise
    if not result.main:
        return
    from numerics.cifar10.runs import Run, range_of

    config, _ = Run(result.folder).read()
    acts_on = range_of(None if config.conditioning == "sigma" else config.image_process())
    note(result.folder)
    payload = {**result.to_dict(), "range": acts_on}

    def text() -> str:
        least = "" if result.optimum is None else f" (least possible: {result.optimum:.4f})"
        return (
            f"step {result.step}: loss {result.loss:.4f}{least}, {result.images_per_second:.0f} images/s on "
            f"{result.device}, {result.processes} process{'es' if result.processes > 1 else ''}\n{acts_on}"
        )

    reasons = {
        "optimum": "known for Gaussian images only",
        "loss": "no step was made",
        "images_per_second": "no step was made",
    }
    emit(payload, json, text, reasons)


def check(
    data: Annotated[
        str | None,
        o.word("--data", "Read and check these images too.", metavar="cifar10|digits|FILE|FOLDER"),
    ] = None,
    root: i.Root = None,
    json: o.Json = False,
) -> None:
    """Check what images need: processes, data, device.

    Each process is held against section 0's identities, and its marginal shown at t = 1/2. Exit code 3: one
    is inconsistent.

    \b
    Examples:
      wbound images check
      wbound images check --data cifar10 --root data
    """
    installed()
    from numerics.cifar10.images import load_images
    from numerics.cifar10.processes import NAMES, image_process
    from numerics.cifar10.runs import gpus, versions

    rows = []
    for name in NAMES:
        process = image_process(name)
        found = process.check()
        rows.append(
            {
                "process": name,
                "consistent": found.consistent,
                "alpha": float(process.alpha(0.5)),
                "std": float(process.std(0.5)),
                "prior_std": process.prior_std,
                "signal_at_T": found["signal at T"].value,
            }
        )
    devices = gpus()
    payload: dict[str, Any] = {"processes": rows, "gpus": devices, "versions": versions()}
    if data is not None:
        images = load_images(data, root)
        train_part, held_out = images.split()
        payload["data"] = {
            "name": images.name,
            "n": len(images),
            "shape": list(images.shape),
            "training": len(train_part),
            "held_out": len(held_out),
            "notes": list(images.notes),
        }

    def text() -> str:
        heads = ("process", "verdict", "α(1/2)", "std(1/2)", "prior std", "SNR at T")
        body = [
            (r["process"], "consistent", r["alpha"], r["std"], r["prior_std"], r["signal_at_T"]) for r in rows
        ]
        lines = [grid_table(heads, body), "", "GPUs: " + (", ".join(devices) or "none: the CPU is used")]
        if data is not None:
            d = payload["data"]
            lines.append(
                f"data: {d['name']}, {d['n']} images of {'x'.join(map(str, d['shape']))}, "
                f"{d['training']} to train on, {d['held_out']} held out"
            )
        return "\n".join(lines)

    emit(payload, json, text)


for command in (train, resume, check, sample, evaluate, fid_stats, compare, score_error):
    images.command(command.__name__.replace("_", "-"))(command)
