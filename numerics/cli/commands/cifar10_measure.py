"""wbound images, with trained networks: sample, evaluate, compare, score-error (extra cifar10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from numerics.cli import options as o
from numerics.cli import output
from numerics.cli.output import WRITTEN, aligned, emit, grid_table, note, placed, say

if TYPE_CHECKING:
    from numerics.cifar10.evaluation import Quality, Summary

RunDir = Annotated[str, typer.Argument(metavar="DIR", help="A run directory of wbound images train.")]
Scheme = Annotated[
    str,
    typer.Option(
        "--scheme",
        metavar="NAME",
        help="Sampler: em (f and g² integrated over each step), em-point (taken where it departs), em-point-arrival, ei, hf, "
        "ddpm, pc, ode-heun.",
    ),
]
GridName = Annotated[
    str, typer.Option("--grid", metavar="NAME", help="Where the steps are: uniform, log-lam, edm, cosine.")
]
Seed = Annotated[
    str | None, o.numeric("--seed", "Seed of the first image; the next ones follow (default 0).")
]
Step = Annotated[str | None, o.numeric("--step", "The checkpoint of this step (default: the last).")]
Batch = Annotated[
    str | None, o.numeric("--batch", "Images at once; changes no sample but by rounding (default 256).")
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N.")]
Inception = Annotated[
    str | None,
    typer.Option(
        "--inception",
        metavar="FILE",
        help="Inception's weights, for FID and IS (needs torch-fidelity; nothing is downloaded).",
    ),
]


def add_to(group: typer.Typer) -> None:
    """Add the commands of this file to the group ``wbound images``."""
    group.command("sample")(sample)
    group.command("evaluate")(evaluate)
    group.command("compare")(compare)
    group.command("score-error")(score_error)


def _integer(option: str, text: str | None, default: int, least: int = 1) -> int:
    from wbound.errors import count

    return count(option, o.number(option, text, float(default)), least)


def _one_step(text: str | None) -> int | None:
    return None if text is None else _integer("step", text, 0, 0)


def sample(
    run: RunDir,
    out: Annotated[str | None, o.out("The images as bytes: .npz. [required, or --figure]")] = None,
    figure: Annotated[
        str | None,
        typer.Option("--figure", metavar="FILE", help="A grid of them: .png. [required, or --out]"),
    ] = None,
    K: Annotated[str | None, o.numeric("--K", "Sampling steps (default 100).")] = None,
    n: Annotated[str | None, o.numeric("--n", "Images (default 64).")] = None,
    scheme: Scheme = "em",
    grid: GridName = "uniform",
    seed: Seed = None,
    snr: Annotated[str | None, o.numeric("--snr", "Of pc's corrector (default 0.16).")] = None,
    denoise: Annotated[
        bool | None,
        typer.Option("--denoise/--no-denoise", help="Leave the last step's noise out (default: pc only)."),
    ] = None,
    step: Step = None,
    batch: Batch = None,
    device: Device = "auto",
    json: o.Json = False,
) -> None:
    """Draw images with a trained network.

    Image i has the seed --seed + i: neither the batch nor the number of images changes it, but for the rounding of
    the network's float32.

    \b
    Examples:
      wbound images sample runs/digits --K 100 --n 64 --scheme hf --figure grid.png
      wbound images sample runs/ve-v2 --K 1000 --n 50000 --scheme pc -o samples.npz
    """
    import io

    import numpy as np

    from numerics.cifar10.comparison_runs import device_of
    from numerics.cifar10.images import to_png, to_uint8
    from numerics.cifar10.runs import load_run
    from numerics.cifar10.sampling import SNR, plan, room, sample_images
    from numerics.io.writing import write
    from wbound.errors import BadInput, nonnegative

    out, figure = placed(out, figure, "report", (".npz",), (".png",))
    if out is None and figure is None:
        raise BadInput("out", "(not given)", "give -o FILE.npz, or --figure FILE.png")
    trained = load_run(run, device_of(device), _one_step(step))
    steps, many = _integer("K", K, 100), _integer("n", n, 64)
    first = _integer("seed", seed, 0, 0)
    room(many, trained.shape)
    images = sample_images(
        trained.score,
        trained.process,
        trained.shape,
        steps,
        scheme,
        range(first, first + many),
        device_of(device),
        _integer("batch", batch, 256),
        grid=grid,
        snr=nonnegative("snr", o.number("snr", snr, SNR)),
        denoise=denoise,
    )
    if out is not None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, images=to_uint8(images).cpu().numpy())
        note(write(out, buffer.getvalue()))
    if figure is not None:
        note(write(figure, to_png(images)))
    payload = {
        "out": out,
        "figure": figure,
        "process": trained.process.name,
        "step": trained.step,
        "n": many,
        "K": steps,
        "scheme": scheme,
        "evaluations": plan(trained.process, steps, scheme, grid).evaluations,
    }
    emit(
        payload,
        json,
        lambda: (
            f"{many} images of {trained.process.name}, step {trained.step}: {payload['evaluations']} score "
            f"evaluations each ({scheme}, K = {steps})"
        ),
        {"out": "no -o", "figure": "no --figure"},
    )


def evaluate(
    run: RunDir,
    K: Annotated[str | None, o.numeric("--K", "Sampling steps (default 100).")] = None,
    n: Annotated[str | None, o.numeric("--n", "Images a seed (default 400).")] = None,
    seeds: Annotated[str | None, o.numeric("--seeds", "Sampling seeds (default 3).")] = None,
    scheme: Scheme = "em",
    grid: GridName = "uniform",
    step: Step = None,
    inception: Inception = None,
    batch: Batch = None,
    device: Device = "auto",
    json: o.Json = False,
) -> None:
    """How far samples are from held-out images.

    Without --inception: sliced and Bures W2 in pixel and principal-component space, and the bracket of W2,
    beside the same of real images. With it FID too, at several n, and the inception score. Mean and spread of
    all seeds.

    \b
    Example:
      wbound images evaluate runs/digits --K 100 --scheme hf
    """
    from dataclasses import asdict

    from numerics.cifar10.comparison import Snapshot, Sweep, judge_of
    from numerics.cifar10.comparison_runs import device_of
    from numerics.cifar10.evaluation import inception as read
    from numerics.cifar10.images import load_images
    from numerics.cifar10.runs import load_run
    from numerics.transport.samples import LEAST

    on = device_of(device)
    steps = _integer("K", K, 100)
    sweep = Sweep(
        steps=(steps,),
        at=steps,
        n=_integer("n", n, 400, LEAST),
        seeds=_integer("seeds", seeds, 3),
        scheme=scheme,
        grid=grid,
        batch=_integer("batch", batch, 256),
    )
    extractor = None if inception is None else read(inception, on)
    trained = load_run(run, on, _one_step(step))
    c = trained.config
    images = load_images(c.data, c.root, on, flips=c.flips, dequantise=c.dequantise)
    judge = judge_of(images, sweep, seed=c.split_seed, extractor=extractor)
    cell = judge.cell(trained.process, Snapshot(trained.step, trained.score), steps)
    floor = judge.reference.floor(sweep.n)
    found = {
        "label": floor.label,
        "n": sweep.n,
        "scheme": scheme,
        "grid": grid,
        **{k: _plain(v) for k, v in vars(cell).items()},
        "floor": {name: asdict(d) for name, d in floor.spaces.items()},
        "inception_sha256": None if extractor is None else extractor.sha256,
    }
    reasons = dict.fromkeys(("fid", "inception_score", "inception_sha256"), "no --inception")
    diverged = dict.fromkeys(
        ("sliced", "bures", "pca_sliced", "pca_bures", "low", "high"), "the sampler diverged"
    )

    def text() -> str:
        rows = [
            ("pixel, sliced W2", cell.sliced, floor.spaces["pixel"].sliced),
            ("pixel, Bures W2", cell.bures, floor.spaces["pixel"].bures),
            ("pca, sliced W2", cell.pca_sliced, floor.spaces["pca"].sliced),
            ("pca, Bures W2", cell.pca_bures, floor.spaces["pca"].bures),
        ]
        table = [(name, *_pair(value), real) for name, value, real in rows]
        lines = [
            f"{cell.process}, step {cell.iterations}, {scheme}, K = {steps}, {sweep.seeds} seeds of {sweep.n} images",
            floor.label,
            "",
            grid_table(("", "mean", "spread", "real images"), table),
            *_brackets(cell.low, cell.high, floor),
        ]
        for many, value in cell.fid or ():
            lines.append(f"FID, n = {many}: {_said(value)}")
        if cell.inception_score is not None:
            lines.append(f"inception score: {_said(cell.inception_score)}")
        if extractor is not None:
            lines.append(f"Inception weights: SHA-256 {extractor.sha256}")
        return "\n".join(lines)

    emit(found, json, text, reasons | diverged)


def _brackets(low: float | None, high: float | None, floor: Quality) -> list[str]:
    real = floor.spaces["pixel"]
    if low is None or high is None:
        return []
    return [
        "",
        f"W2 in pixel space, 99 %: [{low:.4g}, {high:.4g}]; of real images: [{real.low:.4g}, {real.high:.4g}]",
    ]


def _plain(value: Any) -> Any:
    """A `Summary`, or a tuple of (n, `Summary`), as plain values."""
    if hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, tuple):
        return [{"n": n, **found._asdict()} for n, found in value]
    return value


def _pair(value: Summary | None) -> tuple[Any, Any]:
    return ("diverged", None) if value is None else (value.mean, value.spread)


def _said(value: Summary) -> str:
    return f"{value.mean:.4g}" + ("" if value.spread is None else f" ± {value.spread:.2g}")


def compare(
    out: Annotated[str, o.out("Runs, table and figures go here.", "DIR")] = "comparison",
    data: Annotated[
        str, typer.Option("--data", metavar="cifar10|digits|FILE|FOLDER", help="Images: by name, or a path.")
    ] = "digits",
    root: Annotated[
        str | None, typer.Option("--root", metavar="DIR", help="Where the CIFAR-10 archive or its files are.")
    ] = None,
    preset: Annotated[
        str, typer.Option("--preset", metavar="NAME", help="smoke, small, paper, large.")
    ] = "smoke",
    process: Annotated[
        list[str] | None,
        typer.Option(
            "--process", metavar="NAME", help="Only these (give it once for each); default: all eight."
        ),
    ] = None,
    K: Annotated[
        str | None, typer.Option("--K", metavar="LIST", help="Sampling steps to sweep: 10,30,100.")
    ] = None,
    at: Annotated[str | None, o.numeric("--at", "The K at which training is followed.")] = None,
    n: Annotated[str | None, o.numeric("--n", "Images a seed.")] = None,
    seeds: Annotated[str | None, o.numeric("--seeds", "Sampling seeds.")] = None,
    scheme: Scheme = "em",
    grid: GridName = "uniform",
    eps_rel: Annotated[
        str | None, o.numeric("--eps-rel", "ε of the theory's K, of the data's spread (default 0.1).")
    ] = None,
    tau: Annotated[
        str | None, o.numeric("--tau", "The Gaussian has the data's covariance + tau² I (default 0.1).")
    ] = None,
    steps: Annotated[str | None, o.numeric("--steps", "Training steps (default: the preset's).")] = None,
    seed: Annotated[str | None, o.numeric("--seed", "Of the training.")] = None,
    inception: Inception = None,
    jobs: Annotated[
        str | None, o.numeric("--jobs", "Processes at once (default: a CPU's cores; 1 with a GPU).")
    ] = None,
    width: Annotated[
        str, typer.Option("--width", help="Of the figures: column, page, report, or inches.")
    ] = "report",
    device: Device = "auto",
    json: o.Json = False,
) -> None:
    """Compare the eight processes, beside what the theory says.

    Each is trained, or loaded. Writes comparison.csv, .md and .json, and the figures: quality against sampling
    steps and against training iterations, the exact W2 of the Gaussian with the data's mean and covariance, and
    the ranks. Runs under DIR/runs are used again, and gone on with where they were cut off.

    \b
    Examples:
      wbound images compare --data digits --preset smoke
      wbound images compare --data cifar10 --root data --preset paper --inception weights.pth -o paper
    """
    from dataclasses import replace

    from numerics.cifar10.comparison_output import markdown, plain, write_all
    from numerics.cifar10.comparison_runs import SWEEPS, prepared
    from numerics.cifar10.processes import NAMES
    from numerics.figures.style import width_of
    from numerics.io.locks import locked
    from numerics.io.reading import is_file
    from numerics.transport.samples import LEAST
    from wbound.errors import count, one_of

    width_of(width)
    default = SWEEPS[one_of("preset", preset, SWEEPS)][1]
    swept = default.steps
    if K is not None:
        swept = tuple(sorted({count("K", o.number("K", part)) for part in K.split(",")}))
    sweep = replace(
        default,
        steps=swept,
        at=_integer("at", at, default.at if K is None else swept[-1]),
        n=_integer("n", n, default.n, LEAST),
        seeds=_integer("seeds", seeds, default.seeds),
        scheme=scheme,
        grid=grid,
        eps_rel=default.eps_rel if eps_rel is None else o.required("eps_rel", eps_rel),
        tau=default.tau if tau is None else o.required("tau", tau),
    )
    names = [one_of("process", name, NAMES) for name in process or NAMES]
    ready = prepared(
        out,
        data,
        preset,
        sweep=sweep,
        processes=names,
        device=device,
        weights=inception,
        jobs=None if jobs is None else _integer("jobs", jobs, 1),
        root=root,
        steps=None if steps is None else _integer("steps", steps, 1),
        seed=None if seed is None else _integer("seed", seed, 0, 0),
        quiet=output.QUIET,
    )
    with locked(out):
        try:
            found = ready.run()
        except KeyboardInterrupt:
            runs = [str(job.folder) for job in ready.jobs if is_file(job.folder / "config.json")]
            if runs:
                WRITTEN.append(f"{', '.join(runs)} (the same command goes on)")
            raise
        written = write_all(found, out, width)
    for path in written:
        note(path)
    say(f"compared in {found.seconds:.0f} s")
    payload = plain(found) | {"written": [str(path) for path in written]}
    emit(payload, json, lambda: markdown(found))


def score_error(
    run: RunDir,
    K: Annotated[str | None, o.numeric("--K", "Sampling steps (default 100).")] = None,
    n: Annotated[str | None, o.numeric("--n", "Images (default 500).")] = None,
    scheme: Annotated[
        str,
        typer.Option(
            "--scheme", metavar="NAME", help="Sampler: em, em-point, em-point-arrival, ei, hf, ddpm."
        ),
    ] = "em",
    seed: Seed = None,
    step: Step = None,
    device: Device = "auto",
    json: o.Json = False,
) -> None:
    """Measure a network's score error M along its sampler.

    Theorem 2 with it stands beside the W2 of its samples. The run must have been trained on images whose score
    is known: wbound images train --gaussian-tau. Exit code 3: the samples refute the bound.

    \b
    Examples:
      wbound images train --process vp-original --preset smoke --gaussian-tau 0.1 -o runs/gaussian
      wbound images score-error runs/gaussian --K 100
    """
    from numerics.cifar10.comparison_runs import device_of
    from numerics.cifar10.gaussian_images import GaussianImages
    from numerics.cifar10.network_error import score_error as measure
    from numerics.cifar10.runs import load_run
    from numerics.cifar10.sampling import room
    from numerics.transport.samples import LEAST
    from wbound.errors import BadInput

    on = device_of(device)
    trained = load_run(run, on, _one_step(step))
    law = trained.config.training_data(on)
    if not isinstance(law, GaussianImages):
        raise BadInput("run", run, "was trained on data whose score is not known: train with --gaussian-tau")
    first, many = _integer("seed", seed, 0, 0), _integer("n", n, 500, LEAST)
    room(many, trained.shape)
    found = measure(
        trained.score, trained.process, law, _integer("K", K, 100), scheme, range(first, first + many)
    )
    payload = found.to_dict() | {"step": trained.step, "tau": trained.config.gaussian_tau}

    def text() -> str:
        worst = int(found.M_k.argmax())
        rows: list[tuple[str, Any, str]] = [
            (
                "M",
                found.M,
                f"largest of {found.K} steps, at t = {found.t[worst]:.4g}; least {found.M_k.min():.4g}",
            ),
            ("initialisation", found.initialisation, "Theorem 2, its three terms, each step with its own M"),
            ("discretisation", found.discretisation, ""),
            ("score", found.score, ""),
            (
                "total",
                found.total,
                "upper, given M + 3 standard errors" + _vacuous(found.total, found.trivial),
            ),
            ("with sup M", found.bound.total, "A3 as it stands" + _vacuous(found.bound.total, found.trivial)),
            (
                "sampled W2",
                found.sampled.w2,
                f"plug-in; [{found.sampled.low:.4g}, {found.sampled.high:.4g}] at 99 %",
            ),
            ("Bures W2", found.bures, "of the samples' moments from the law's (biased upward)"),
            ("exact score", found.exact, "W2 of the same sampler without score error, exact"),
            ("trivial", found.trivial, "‖X_0‖"),
        ]
        head = (
            f"{found.process}, step {trained.step}, {scheme}, K = {found.K}, {found.n} images, d = {found.d}, "
            f"tau = {trained.config.gaussian_tau:g}"
        )
        return f"{head}\n\n{aligned(rows)}\n\n" + f"{found.verdict} (by the samples' bracket)"

    emit(payload, json, text)
    if found.verdict == "refuted":
        raise typer.Exit(3)


def _vacuous(total: float, trivial: float) -> str:
    return "" if total < trivial else ": vacuous"


__all__ = ["add_to", "compare", "evaluate", "sample", "score_error"]
