"""wbound score-error, smoothed, search --view scatter: noisy scores beside biased ones; real data sampled with their exact
score; Theorem 3 over random cells."""

from __future__ import annotations

from typing import Annotated, Any

from numerics.cli import data_options as s
from numerics.cli import options as o
from numerics.cli import standard_input
from numerics.cli.option_groups import UNASKED, MaybeProcess, PictureOptions, ProcessOptions, grouped
from numerics.cli.output import aligned, emit, figures, grid_table, note, placed, say


@grouped
def score_error(
    *,
    given: ProcessOptions,
    T: o.Horizon = None,
    d: o.Dimension = "3",
    variance: Annotated[str, o.numeric("--variance", "Variance of the Gaussian data, x².")] = "2",
    bias: o.ScoreBias = "0.1",
    noise: o.ScoreNoise = "1",
    scheme: o.SchemeName = "hf",
    low: Annotated[str, o.numeric("--from", "First K.")] = "10",
    high: Annotated[str, o.numeric("--to", "Last K.")] = "10000",
    points: Annotated[str, o.numeric("--points", "How many K.")] = "10",
    to: PictureOptions,
    json: o.Json = False,
) -> None:
    """Bias stays, noise fades.

    Bound and exact W2 on N(0, variance·I) along K with the exact score, with a constant bias of size M, and
    with noise of size V.

    \b
    Example:
      wbound score-error --process vp-linear --score-bias 0.1 --score-noise 1 --figure score-error.svg
    """
    import numpy as np

    from numerics.studies.curves import geometric, horizon
    from numerics.studies.score_error import fading
    from wbound.data.gaussian import Gaussian
    from wbound.errors import BadInput, count, positive
    from wbound.memory import dimension

    chosen = given.made
    size, wide = dimension(o.required("d", d)), positive("variance", o.required("variance", variance))
    to = to.placed
    first, last = count("from", o.required("from", low)), count("to", o.required("to", high))
    if not first < last <= 10**6:
        raise BadInput("to", last, f"must be above --from = {first} and at most 1e6: every step is summed")
    many = count("points", o.required("points", points), 2)
    if many > 1000:
        raise BadInput("points", many, "must be at most 1000")
    time = o.number("T", T)
    found = fading(
        chosen,
        geometric(first, last, many),
        T=horizon(chosen, Gaussian(np.zeros(size), wide)) if time is None else positive("T", time),
        d=size,
        variance=wide,
        M=o.required("score_bias", bias),
        V=o.required("score_noise", noise),
        scheme=scheme,
    )
    columns = found.columns()

    to.keep(columns, lambda: figures.schedules.fading_figure(found, to.width))
    payload = {**vars(found), **to.files}

    def text() -> str:
        rows = [[int(row[0]), *row[1:]] for row in zip(*(v.tolist() for v in columns.values()), strict=True)]
        heads = [key.replace("_", ", ") for key in columns]
        title = (
            f"{found.process}, {found.scheme}, N(0, {found.variance:g} I), d = {found.d}, T = {found.T:g}; "
            f"M = {found.M:g}, V = {found.V:g}; M S(T) = {found.floor:.5g} stays"
        )
        return f"{title}\n\n{grid_table(heads, rows)}"

    emit(payload, json, text, UNASKED)


@grouped
def smoothed(
    *,
    data: Annotated[
        str,
        o.numbers_in("--data", "digits|FILE|FOLDER", "digits, or samples: .npy, .npz, .csv, .txt, images."),
    ] = "digits",
    key: s.Key = None,
    tau: Annotated[str, o.numeric("--tau", "Noise that smooths the data, in their units.")] = "1",
    K: o.K = "200",
    n: Annotated[str, o.numeric("--n", "Samples.")] = "1000",
    scheme: o.SchemeName = "hf",
    own: MaybeProcess,
    T: o.T = None,
    grid: o.GridName = "edm",
    start: o.Start = "prior",
    seed: o.Seed = "0",
    out: Annotated[str | None, o.out("Write the samples: .npy.")] = None,
    figure: Annotated[
        str | None, o.word("--figure", "Draw the first 100, grey images: .png.", metavar="FILE")
    ] = None,
    json: o.Json = False,
) -> None:
    """Sample real data with their exact score, and no network.

    One half of the data, smoothed by noise τ, has an exact score: a softmax over its points. Its samples are
    compared with the other half, beside what the two halves are apart. The bound is Theorem 2' with the
    profile of bounded data, flagged where it says nothing.

    \b
    Examples:
      wbound smoothed --data digits --tau 1 --K 200 --figure digits.png
      wbound smoothed --data samples.npy --tau 0.1 --scheme heun --K 40
    """

    import numpy as np

    from numerics.io.image_files import png, tiles
    from numerics.io.writing import write
    from numerics.targets import datasets
    from numerics.verification.held_out_samples import held_out
    from wbound.errors import count, positive

    out, figure = placed(out, figure, "report", (".npy",), (".png",))
    if not own.given:
        o.refuse({"-p": own.p}, "goes with --process, or --f and --g")
    points, said = datasets.noted_samples_of(data, key)
    if points.ndim == 2 and figure is not None:
        from wbound.errors import BadInput

        raise BadInput("figure", figure, "is for images: these data have no height and width")
    got = held_out(
        points,
        positive("tau", o.required("tau", tau)),
        process=own.made if own.given else None,
        T=o.number("T", T),
        K=o.steps_from(K) or 0,
        n=count("n", o.required("n", n)),
        scheme=scheme,
        grid=grid or "edm",
        start=start,
        seed=count("seed", o.required("seed", seed), 0),
    )
    samples = got.samples.reshape(-1, *points.shape[1:]) + points.mean(axis=0)
    if out is not None:
        import io

        buffer = io.BytesIO()
        np.save(buffer, samples)
        note(write(out, buffer.getvalue()))
    if figure is not None:
        grey = samples.reshape(samples.shape[0], *samples.shape[1:3], -1).mean(axis=-1)[:100]
        note(write(figure, png(tiles(grey, 10, float(points.min()), float(points.max())), 4)))
    numbers = got.to_dict()
    payload: dict[str, Any] = {
        "data": standard_input.as_typed(data),
        "notes": list(said),
        "tau": got.target.tau,
        "scheme": scheme,
        "trivial": got.target.second_moment**0.5,
        **numbers,
        "out": out,
        "figure": figure,
    }
    none = "Theorem 3 needs A1" if got.bound is None else "infinite: it overflows"

    def text() -> str:
        rows: list[tuple[str, Any, str]] = [
            ("samples to held-out", got.w2, f"W2 of {got.pairs} points each (plug-in, biased upward alike)"),
            (
                "fresh smoothed data",
                got.floor_smoothed,
                "the same for exact draws: what a perfect sampler has",
            ),
            ("half to half", got.floor, "the same for the data themselves"),
            ("trivial error", payload["trivial"], "‖X_0‖ of the centred, smoothed data"),
        ]
        if got.bound is not None:
            flag = "; vacuous: above the trivial error" if got.bound.vacuous else ""
            rows.append(("bound", got.bound.total, f"{got.bound.statement}, sampler to smoothed data{flag}"))
        head = f"{payload['data']} smoothed by τ = {got.target.tau:g}; {scheme}, K = {K}, {got.seconds:.1f} s of sampling"
        why = "" if got.bound is not None else f"\n\nno bound: {none}"
        return "\n".join([head, *said, "", aligned(rows)]) + why

    emit(payload, json, text, UNASKED | {"bound": none, "vacuous": none})


def scatter(
    cells: Annotated[str, o.numeric("--cells", "How many random cells.")] = "1000",
    seed: o.Seed = "0",
    jobs: o.Jobs = None,
    out: o.Kept = None,
    json: o.Json = False,
) -> None:
    """Theorem 3 over random cells.

    Bound of the ODE schemes over their exact W2: processes and parameters, horizons, K, Gaussians of any
    spectrum and mean, mixtures inside A1. Exit code 3 where a bound is below the exact value.

    \b
    Example:
      wbound search --view scatter --cells 1e5 -o scatter.json
    """
    import json as standard
    import time

    from numerics.io.writing import write
    from numerics.verification import theorem_3_at_random as over
    from wbound.errors import Inconsistent, count

    begun, told = time.monotonic(), [0.0]

    def progress(done: int, total: int) -> None:
        passed = time.monotonic() - begun
        if passed - told[0] >= 5.0 or done == total:
            told[0] = passed
            say(f"{done}/{total} cells, {passed:.0f} s, about {passed / done * (total - done):.0f} s left")

    found = over.scatter(
        count("cells", o.required("cells", cells)),
        count("seed", o.required("seed", seed), 0),
        jobs=None if jobs is None else count("jobs", o.number("jobs", jobs)),
        progress=progress,
    )
    if out is not None:
        note(write(out, standard.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n"))

    def text() -> str:
        rows: list[tuple[str, Any, str]] = [
            ("cells", found.cells, f"of them {found.mixtures} mixtures; seed {found.seed}"),
            ("below the exact value", found.violations, "0 if Theorems 3 and 3' and their code are right"),
        ]
        rows += [(name, found.smallest[name], found.where[name]) for name in found.smallest]
        rows += [
            (f"{name}, 3'", value, "the data's curvature as a profile")
            for name, value in found.as_profile.items()
        ]
        return f"Theorem 3, smallest bound/exact on centred data, and Theorem 3'\n\n{aligned(rows)}"

    emit({**found.to_dict(), "out": out}, json, text, {"out": "no --out"})
    if found.violations:
        raise Inconsistent(f"{found.violations} bounds are below the exact value")
