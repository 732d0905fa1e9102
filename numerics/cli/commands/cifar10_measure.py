"""wbound images, with trained networks: compare, score-error (extra cifar10)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from numerics.cli import image_options as i
from numerics.cli import options as o
from numerics.cli import output
from numerics.cli.output import WRITTEN, aligned, emit, note, say


def compare(
    out: Annotated[str, o.out("Runs, table and figures go here.", "DIR")] = "comparison",
    data: i.DataName = "digits",
    root: i.Root = None,
    preset: i.Preset = "smoke",
    process: Annotated[
        list[str] | None,
        o.word("--process", "Only these (give it once for each); default: all eight."),
    ] = None,
    K: Annotated[str | None, o.word("--K", "Sampling steps to sweep: 10,30,100.", metavar="LIST")] = None,
    at: Annotated[str | None, o.numeric("--at", "The K at which training is followed.")] = None,
    n: Annotated[str | None, o.numeric("--n", "Images a seed.")] = None,
    seeds: Annotated[str | None, o.numeric("--seeds", "Sampling seeds.")] = None,
    scheme: i.Scheme = "em",
    grid: i.GridName = "uniform",
    eps_rel: Annotated[
        str | None, o.numeric("--eps-rel", "ε of the theory's K, of the data's spread (default 0.1).")
    ] = None,
    tau: Annotated[
        str | None, o.numeric("--tau", "The Gaussian has the data's covariance + tau² I (default 0.1).")
    ] = None,
    steps: Annotated[str | None, o.numeric("--steps", "Training steps (default: the preset's).")] = None,
    seed: Annotated[str | None, o.numeric("--seed", "Of the training.")] = None,
    one_network: Annotated[
        bool,
        typer.Option(
            "--one-network",
            help="Train one network, conditioned on σ, for all processes (default: one for each).",
        ),
    ] = False,
    network: i.Network = None,
    inception: i.Inception = None,
    statistics: i.Statistics = None,
    jobs: Annotated[
        str | None, o.numeric("--jobs", "Processes at once (default: a CPU's cores; 1 with a GPU).")
    ] = None,
    width: o.Width = "report",
    device: i.Device = "auto",
    json: o.Json = False,
) -> None:
    """Compare the eight processes, beside what the theory says.

    Each is trained, or loaded; with --one-network a single network, conditioned on σ, serves them all, with --network
    somebody else's. Writes comparison.csv, .md and .json, and the figures: quality against sampling
    steps and against training iterations, the exact W2 of the Gaussian with the data's mean and covariance, and
    the ranks. Runs under DIR/runs are used again, and gone on with where they were cut off.

    \b
    Examples:
      wbound images compare --data digits --preset smoke
      wbound images compare --data cifar10 --root data --preset paper --inception weights.pth -o paper
      wbound images compare --data digits --inception weights.pth --statistics digits.npz -o saved
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
        at=i.integer("at", at, default.at if K is None else swept[-1]),
        n=i.integer("n", n, default.n, LEAST),
        seeds=i.integer("seeds", seeds, default.seeds),
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
        statistics=statistics,
        jobs=None if jobs is None else i.integer("jobs", jobs, 1),
        root=root,
        steps=None if steps is None else i.integer("steps", steps, 1),
        seed=None if seed is None else i.integer("seed", seed, 0, 0),
        one_network=one_network,
        network=network,
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
    run: i.RunDir,
    process: i.ProcessName = None,
    p: o.Parameters = None,
    K: i.K = None,
    n: Annotated[str | None, o.numeric("--n", "Images (default 500).")] = None,
    scheme: Annotated[
        str,
        o.word("--scheme", "Sampler: em, em-point, em-point-arrival, ei, hf, ddpm."),
    ] = "em",
    seed: i.Seed = None,
    step: i.Step = None,
    device: i.Device = "auto",
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
    trained = load_run(run, on, i.one_step(step), i.chosen(process, p))
    law = trained.config.training_data(on)
    if not isinstance(law, GaussianImages):
        raise BadInput("run", run, "was trained on data whose score is not known: train with --gaussian-tau")
    first, many = i.integer("seed", seed, 0, 0), i.integer("n", n, 500, LEAST)
    room(many, trained.shape)
    found = measure(
        trained.score, trained.process, law, i.integer("K", K, 100), scheme, range(first, first + many)
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
