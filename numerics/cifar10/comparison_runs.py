"""The runs of a comparison: each process trained where there is no run yet, gone on with where it was cut off,
sampled from its checkpoints and from the network as it was made; several processes at once on a CPU. Or one run,
conditioned on σ, that all processes are sampled with.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from numerics.cifar10.checkpoints import checkpoint_step, checkpoints_of
from numerics.cifar10.comparison import Comparison, Judge, Side, Snapshot, Sweep, assemble, judge_of, measure
from numerics.cifar10.evaluation import inception
from numerics.cifar10.fast_networks import Speed
from numerics.cifar10.images import load_images
from numerics.cifar10.kept_cells import CellStore
from numerics.cifar10.networks import ScoreNetwork
from numerics.cifar10.networks_in_use import in_use
from numerics.cifar10.processes import NAMES, ImageProcess, image_process
from numerics.cifar10.runs import (
    OF_ALL,
    Config,
    Run,
    load_run,
    make_config,
    paper_parameters,
    range_of,
    score_of,
)
from numerics.cifar10.sample_quality import Statistics
from numerics.cifar10.sampling import plan
from numerics.cifar10.training import resume, train
from numerics.io.reading import is_file
from numerics.samplers.sampling import cores
from wbound.errors import BadInput, count, one_of

__all__ = ["SWEEPS", "Job", "Prepared", "device_of", "prepared", "snapshots_of", "spread", "trained"]

#: What `wbound images compare` does by preset where nothing else is said: training steps and the sweep.
SWEEPS: dict[str, tuple[int | None, Sweep]] = {
    "smoke": (400, Sweep(steps=(10, 30, 100), at=30, n=200, seeds=2)),
    "small": (None, Sweep(steps=(10, 30, 100, 300), at=100, n=400, seeds=3)),
    **{
        name: (None, Sweep(steps=(10, 30, 100, 300, 1000), at=1000, n=20_000, seeds=1, scheme="paper"))
        for name in ("paper", "paper-deep")
    },
    "large": (None, Sweep(steps=(10, 30, 100, 300, 1000), at=300, n=5000, seeds=3)),
}
#: Checkpoints that a comparison follows training by.
FOLLOWED = 4
#: What a run that is used again has to have in common with what was asked for.
MADE_BY = (
    *("process", "parameters", "conditioning", "p_mean", "p_std"),
    *("data", "root", "flips", "dequantise", "gaussian_tau", "split_seed"),
    *("preset", "steps", "batch", "lr", "warmup", "decay", "ema", "clip", "seed"),
)


@dataclass(frozen=True)
class Job:
    """What one process of a comparison needs, as plain values: it may run in another interpreter."""

    process: str
    folder: Path
    config: Config
    sweep: Sweep
    device: str
    inception: str | None
    threads: int | None = None
    quiet: bool = False
    network: str | None = None
    statistics: str | None = None


def trained(folder: Path, config: Config, device: str = "auto", progress: bool | None = None) -> Run:
    """The finished run of ``config`` in ``folder``: loaded, gone on with, or trained. Raises `BadInput` where a
    run of something else is there."""
    run = Run(folder)
    if not is_file(folder / "config.json"):
        train(folder, config, device=device, progress=progress)
        return run
    found, _ = run.read()
    for key in MADE_BY:
        mine, theirs = getattr(config, key), getattr(found, key)
        if mine != theirs:
            raise BadInput("out", str(folder), f"holds a run with {key} = {theirs}, not {mine}")
    done = 0 if run.last is None else checkpoint_step(run.last)
    if done < found.steps:
        resume(folder, device=device, progress=progress)
    return run


def snapshots_of(
    run: Run,
    device: torch.device | str = "cpu",
    most: int = FOLLOWED,
    process: ImageProcess | None = None,
) -> list[Snapshot]:
    """The network as it was made, and those of the last checkpoint and of evenly spaced ones before it, ``most``
    in all; as the score of ``process``, see `load_run`. Raises as `load_run`."""
    config, shape = run.read()
    chosen = process or config.image_process()
    steps = [checkpoint_step(path) for path in checkpoints_of(run.checkpoints)]
    if not steps:
        raise BadInput("run", str(run.folder), "has no checkpoint")
    many = count("most", most)
    kept = sorted({steps[-1 - (i * len(steps)) // many] for i in range(min(many, len(steps)))})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # as training makes it
        fresh = ScoreNetwork(shape).to(device).eval().requires_grad_(False)
    first = Snapshot(0, score_of(fresh, chosen), f"{shape.to_dict()}, seed {config.seed}")
    auto = Speed()  # as ``wbound images sample`` has it
    rest = []
    for step in kept:
        found = load_run(run.folder, device, step, chosen, auto)
        rest.append(Snapshot(step, found.score, f"{found.sha256}, {found.how}"))
    return [first, *rest]


def _side(job: Job, judge: Judge | None = None) -> Side:
    """Train or load one process and measure it; in a worker, with its share of the cores and its own judge."""
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    device = device_of(job.device)

    def tell(text: str) -> None:
        if not job.quiet:
            print(text, file=sys.stderr, flush=True)

    process = _process_of(job)
    if job.network is not None:
        judge = judge or _judge(job)
        theirs = in_use(None, job.network, device, process=process, shape=judge.shape)
        return measure(
            judge, process, [Snapshot(0, theirs.score)], tell
        )  # weights that nobody knows: nothing is kept
    began = time.perf_counter()
    store = CellStore(job.folder.parent.parent / "cells")
    run = trained(job.folder, job.config, job.device, False if job.quiet or job.threads else None)
    tell(f"{job.process}: trained or loaded in {time.perf_counter() - began:.1f} s")
    return measure(judge or _judge(job), process, snapshots_of(run, device, process=process), tell, store)


def _process_of(job: Job) -> ImageProcess:
    return image_process(job.process, **paper_parameters(job.config.preset, job.process))


def _judge(job: Job) -> Judge:
    """What judges the job's networks: its images, and Inception where there are weights."""
    c, device = job.config, device_of(job.device)
    images = load_images(c.data, c.root, device, flips=c.flips, dequantise=c.dequantise)
    extractor = None if job.inception is None else inception(job.inception, device)
    known = None if job.statistics is None else Statistics.load(job.statistics)
    return judge_of(images, job.sweep, seed=c.split_seed, extractor=extractor, statistics=known)


def _said(job: Job) -> tuple[str, ...]:
    """What a comparison says of its networks."""
    config = job.config
    if job.network is not None:
        return (f"one network, {job.network}, serves all processes; nothing was trained",)
    if config.conditioning == "process":
        return ("each process has a network of its own, trained at its own times",)
    return (
        f"one network, conditioned on σ (ln σ ~ N({config.p_mean:g}, {config.p_std:g}²)), serves all processes",
    )


@dataclass(frozen=True)
class Prepared:
    """A comparison whose settings and data are right: nothing is trained or written yet. Made by `prepared`."""

    jobs: tuple[Job, ...]
    judge: Judge
    many: int

    def run(self) -> Comparison:
        """Train or load, and compare; whoever calls has the folder locked."""
        began = time.perf_counter()
        first = self.jobs[0]
        if (
            first.config.conditioning == "sigma" and first.network is None
        ):  # one run, which everybody waits for
            trained(first.folder, first.config, first.device, False if first.quiet else None)
        if self.many == 1:
            sides = [_side(job, self.judge) for job in self.jobs]
        else:
            from joblib import Parallel, delayed

            sides = Parallel(n_jobs=self.many, backend="loky")(delayed(_side)(job) for job in self.jobs)
        ranges = {
            job.process[:2]: f"{job.process[:2].upper()}: {range_of(_process_of(job))}" for job in self.jobs
        }
        notes = (*_said(first), *ranges.values())
        return assemble(self.judge, sides, time.perf_counter() - began, notes)


def prepared(
    out: str | Path,
    data: str = "digits",
    preset: str = "smoke",
    *,
    sweep: Sweep | None = None,
    processes: Sequence[str] = NAMES,
    device: str = "auto",
    weights: str | None = None,
    statistics: str | None = None,
    jobs: int | None = None,
    one_network: bool = False,
    network: str | None = None,
    quiet: bool = False,
    **given: Any,
) -> Prepared:
    """What trains or loads every process under ``out``/runs and compares them: what can be refused is, before.

    ``sweep``: default, the preset's (`SWEEPS`); ``weights``: a file of Inception's, for FID and IS; ``statistics``: a
    file that FID is from, where not the training images; ``jobs``:
    processes at once, default the GPUs, or the cores of a CPU (one with weights); ``one_network``: a single run,
    conditioned on σ, serves them all, where else each is trained; or ``network``, somebody else's, does; ``given``:
    settings of `make_config`. Runs that are there are kept, so that a second call only samples. Raises `BadInput`.
    """
    steps, default = SWEEPS[one_of("preset", preset, SWEEPS)]
    chosen = sweep or default
    if not processes:
        raise BadInput("process", "(none)", f"must be one or more of {', '.join(NAMES)}")
    settings = {"steps": steps} | {k: v for k, v in given.items() if v is not None}
    one_network = one_network or network is not None
    settings["conditioning"] = "sigma" if one_network else "process"
    names = tuple(dict.fromkeys(processes))
    configs = []
    for name in (OF_ALL,) if one_network else names:
        if not one_network:
            settings["parameters"] = paper_parameters(preset, name)
        made = make_config(name, data, preset, **settings)
        every = max(1, made.steps // FOLLOWED)
        settled = {"checkpoint_every": every, "keep": FOLLOWED + 1} | settings
        configs.append(make_config(name, data, preset, **settled))
    configs = configs * len(names) if one_network else configs
    on = device_of(device)
    have = cores()
    places = spread(device, len(names))
    at_once = len(set(places)) if on.type != "cpu" else 1 if weights is not None else have
    many = min(count("jobs", jobs) if jobs is not None else at_once, len(configs))
    threads = max(1, have // many) if many > 1 else None
    folder = Path(out) / "runs"
    todo = [
        Job(
            name,
            folder / ("sigma" if one_network else name),
            c,
            chosen,
            place,
            weights,
            threads,
            quiet,
            network,
            statistics,
        )
        for name, c, place in zip(names, configs, places, strict=True)
    ]
    for name in names:
        process = image_process(name, **paper_parameters(preset, name))
        for K in {*chosen.steps, chosen.at}:
            plan(process, K, chosen.scheme, chosen.grid)
    judge = _judge(todo[0])
    if network is not None:  # what can be refused is, before
        in_use(None, network, on, shape=judge.shape)
    return Prepared(tuple(todo), judge, many)


def spread(device: str, many: int) -> list[str]:
    """The device of each of many jobs: in turn the GPUs, where "auto" or "cuda" leaves the choice among several."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device not in ("auto", "cuda") or gpus < 2:
        return [device] * many
    return [f"cuda:{i % gpus}" for i in range(many)]


def device_of(name: str) -> torch.device:
    """As training takes it: auto is the GPU where there is one. Raises `BadInput`."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
    except RuntimeError:
        raise BadInput("device", name, "must be auto, cpu, cuda or cuda:N") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise BadInput("device", name, "there is no CUDA device")
    return found
