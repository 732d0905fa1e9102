"""wbound images evaluate, fid-stats: how far samples are from data, ours or anybody's (extra cifar10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from numerics.cli import image_options as i
from numerics.cli import options as o
from numerics.cli.output import aligned, emit, grid_table, note, warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numerics.cifar10.evaluation import Quality, Summary
    from numerics.cifar10.sample_quality import SampleQuality


def evaluate(
    run: i.MaybeRunDir = None,
    process: i.ProcessName = None,
    p: o.Parameters = None,
    K: i.K = None,
    n: Annotated[str | None, o.numeric("--n", "Images a seed (default 400).")] = None,
    seeds: Annotated[str | None, o.numeric("--seeds", "Sampling seeds (default 3).")] = None,
    scheme: i.Scheme = "em",
    grid: i.GridName = "uniform",
    step: i.Step = None,
    network: i.Network = None,
    samples: Annotated[
        str | None,
        o.word("--samples", "Judge these images instead: .npz, .npy or a folder.", metavar="FILE|FOLDER"),
    ] = None,
    data: Annotated[
        str | None,
        o.word(
            "--data", "With --samples or --network: the real images.", metavar="cifar10|digits|FILE|FOLDER"
        ),
    ] = None,
    root: i.Root = None,
    statistics: i.Statistics = None,
    inception: i.Inception = None,
    batch: i.Batch = None,
    precision: i.Precision = "auto",
    compile_: i.Compile = None,
    device: i.Device = "auto",
    json: o.Json = False,
) -> None:
    """How far samples are from held-out images.

    Without --inception: sliced and Bures W2 in pixel and principal-component space, and the bracket of W2,
    beside the same of real images. With it FID too, at several n, and the inception score. Mean and spread of
    all seeds.

    With --samples images from anywhere are judged: against --data the same and KID, against --statistics the Fréchet
    distance alone. It is biased upward in the number of samples, so a line in 1/n is fitted through it.

    \b
    Examples:
      wbound images evaluate runs/digits --K 100 --scheme hf
      wbound images evaluate --samples theirs.npz --data cifar10 --root data --inception weights.pth
      wbound images evaluate --samples theirs.npz --statistics cifar10.npz --inception weights.pth
    """
    if samples is not None:
        others = {"run": run, "network": network, "K": K, "n": n, "seeds": seeds, "process": process}
        _judge_samples(samples, data, root, statistics, inception, device, json, others)
        return
    from dataclasses import asdict

    from numerics.cifar10.comparison import Snapshot, Sweep, judge_of
    from numerics.cifar10.comparison_runs import device_of
    from numerics.cifar10.evaluation import inception as read
    from numerics.cifar10.fast_networks import Speed
    from numerics.cifar10.images import load_images
    from numerics.cifar10.networks_in_use import in_use
    from numerics.cifar10.sample_quality import Statistics
    from numerics.transport.samples import LEAST
    from wbound.errors import BadInput

    if run is None and network is None:
        raise BadInput("run", "(not given)", "give DIR, --network or --samples")
    if (data is None) == (network is not None):
        raise BadInput(
            "data", data or "(not given)", "goes with --network, which needs it: a run knows its own"
        )
    on = device_of(device)
    steps = i.integer("K", K, 100)
    sweep = Sweep(
        steps=(steps,),
        at=steps,
        n=i.integer("n", n, 400, LEAST),
        seeds=i.integer("seeds", seeds, 3),
        scheme=scheme,
        grid=grid,
        batch=i.integer("batch", batch, 256),
    )
    known = None if statistics is None else Statistics.load(statistics)
    extractor = None if inception is None else read(inception, on)
    wanted = i.chosen(process, p)
    if data is not None:
        images, split = load_images(data, root, on), 0
        trained = in_use(run, network, on, process=wanted, step=i.one_step(step), shape=images.shape)
    else:
        speed = Speed(precision, compile_)
        trained = in_use(run, network, on, process=wanted, step=i.one_step(step), speed=speed, tell=warn)
        c = trained.config
        assert c is not None
        images = load_images(c.data, c.root, on, flips=c.flips, dequantise=c.dequantise)
        split = c.split_seed
    judge = judge_of(images, sweep, seed=split, extractor=extractor, statistics=known)
    cell = judge.cell(trained.process, Snapshot(trained.step or 0, trained.score), steps)
    floor = judge.reference.floor(sweep.n)
    found = {
        "label": floor.label,
        "n": sweep.n,
        "scheme": scheme,
        "grid": grid,
        **{k: _plain(v) for k, v in vars(cell).items()},
        "floor": {name: asdict(d) for name, d in floor.spaces.items()},
        "statistics": statistics,
        "inception_sha256": None if extractor is None else extractor.sha256,
    }
    reasons = dict.fromkeys(("fid", "inception_score", "inception_sha256"), "no --inception")
    reasons["statistics"] = "not given: FID is from the training images"
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
            f"{cell.process}, {trained.about}, {scheme}, K = {steps}, {sweep.seeds} seeds of {sweep.n} images",
            floor.label,
            "",
            grid_table(("", "mean", "spread", "real images"), table),
            *_brackets(cell.low, cell.high, floor),
        ]
        for many, value in cell.fid or ():
            lines.append(f"FID, n = {many}: {_said(value)}")
        if cell.inception_score is not None:
            lines.append(f"inception score: {_said(cell.inception_score)}")
        if known is not None:
            lines.append(known.said)
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


def _judge_samples(
    samples: str,
    data: str | None,
    root: str | None,
    statistics: str | None,
    inception: str | None,
    device: str,
    json: bool,
    others: Mapping[str, str | None],
) -> None:
    from numerics.cifar10.comparison_runs import device_of
    from numerics.cifar10.evaluation import inception as read
    from numerics.cifar10.images import load_images
    from numerics.cifar10.sample_quality import Statistics, quality_of
    from wbound.errors import BadInput

    for name, value in others.items():
        if value is not None:
            raise BadInput(name, value, "goes without --samples: nothing is drawn")
    if data is None and statistics is None:
        raise BadInput("data", "(not given)", "give --data or --statistics")
    on = device_of(device)
    known = None if statistics is None else Statistics.load(statistics)
    extractor = None if inception is None else read(inception, on)
    theirs = load_images(samples, None, on)
    real = None if data is None else load_images(data, root, on)
    found = quality_of(theirs, real, statistics=known, extractor=extractor)
    reasons = {
        **dict.fromkeys(("kid", "floor_kid", "inception_score"), "no --inception, or no --data"),
        **dict.fromkeys(("quality", "floor", "floor_frechet"), "no --data"),
        "m": "the statistics do not say of how many images they are",
        "fit": "too few samples for a line in 1/n",
    }
    payload = {"samples": samples, "data": data, "statistics": statistics, **found.to_dict()}
    emit(
        payload,
        json,
        lambda: _said_of(found, samples),
        reasons | dict.fromkeys(("data", "statistics"), "not given"),
    )


def _said_of(found: SampleQuality, samples: str) -> str:
    inception = found.features != "pixels"
    what = "FID" if inception else "Fréchet distance in pixels (Bures W2, squared)"
    against = "" if found.m is None else f" against {found.m} images"
    lines = [f"{found.n} images of {samples}{against}", ""]
    if found.quality is not None and found.floor is not None:
        table = [
            (
                f"{space}, {said}",
                getattr(found.quality.spaces[space], key),
                getattr(found.floor.spaces[space], key),
            )
            for space in ("pixel", "pca")
            for key, said in (("sliced", "sliced W2"), ("bures", "Bures W2"))
        ]
        lines += [
            found.quality.label,
            grid_table(("", "samples", "real images"), table),
            *_brackets(found.quality.spaces["pixel"].low, found.quality.spaces["pixel"].high, found.floor),
            "",
        ]
    rows: list[tuple[str, Any, str]] = [
        (what, found.frechet, f"at n = {found.n}: biased upward, by about c/n")
    ]
    if found.fit is not None:
        rows.append(
            (
                "at 1/n = 0",
                found.fit.at_infinity,
                f"± {found.fit.standard_error:.2g}, by a line in 1/n from n = {min(found.fit.sizes)}",
            )
        )
    if found.floor_frechet is not None:
        rows.append(("of held-out images", found.floor_frechet, "the floor, at their own number"))
    for name, value in (("KID", found.kid), ("KID of held-out images", found.floor_kid)):
        if value is not None:
            rows.append((name, value.mean, f"± {value.spread:.2g} over subsets: squared MMD, unbiased in n"))
    if found.inception_score is not None:
        rows.append(("inception score", found.inception_score.mean, ""))
    lines.append(aligned(rows))
    if inception:
        lines.append(f"Inception weights: SHA-256 {found.features.partition(' ')[2]}")
    return "\n".join(lines)


def fid_stats(
    data: Annotated[str, o.word("--data", "The real images.", metavar="cifar10|digits|FILE|FOLDER")],
    out: Annotated[str, o.out("The statistics: .npz.")],
    root: i.Root = None,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Of all images (default: the training part, as published figures)."),
    ] = False,
    inception: i.Inception = None,
    device: i.Device = "auto",
    json: o.Json = False,
) -> None:
    """Mean and covariance of data, for FID, in a file.

    Of Inception's features with --inception, else of the pixels. `wbound images evaluate --statistics` takes the file,
    and so does whoever reads mu and sigma from an .npz.

    \b
    Example:
      wbound images fid-stats --data cifar10 --root data --inception weights.pth -o cifar10.npz
    """
    from numerics.cifar10.comparison_runs import device_of
    from numerics.cifar10.evaluation import inception as read
    from numerics.cifar10.images import load_images
    from numerics.cifar10.sample_quality import Statistics, features_of
    from wbound.errors import one_of

    one_of("out", out[-4:], (".npz",))
    on = device_of(device)
    images = load_images(data, root, on)
    chosen = images if whole else images.split()[0]
    features, kind = features_of(chosen, None if inception is None else read(inception, on))
    made = Statistics.of(features, kind, images.name)
    note(made.save(out))
    payload = {"out": out, "n": made.n, "features": kind, "dimension": int(made.mu.size), "data": images.name}
    emit(payload, json, lambda: f"{kind} of {made.n} images: {made.mu.size} features")
