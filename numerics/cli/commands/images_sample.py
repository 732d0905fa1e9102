"""wbound images sample: images of a run, or of somebody else's network, by any process, scheme, grid or tape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from numerics.cli import image_options as i
from numerics.cli import options as o
from numerics.cli.output import WRITTEN, emit, note, placed, say, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numerics.cifar10.networks_in_use import InUse
    from wbound.sampler.tape import Tape

#: Images beyond which the cost is said, and parts are kept.
MANY = 1024


def sample(
    run: i.MaybeRunDir = None,
    out: Annotated[str | None, o.out("The images as bytes: .npz. [required, or --figure]")] = None,
    figure: Annotated[
        str | None,
        o.word("--figure", "A grid of them: .png. [required, or --out]", metavar="FILE"),
    ] = None,
    network: i.Network = None,
    shape: i.Shape = None,
    process: i.ProcessName = None,
    p: o.Parameters = None,
    K: i.K = None,
    n: Annotated[str | None, o.numeric("--n", "Images (default 64).")] = None,
    scheme: i.Scheme = "em",
    grid: i.GridName = "uniform",
    tape: Annotated[
        str | None,
        o.word("--tape", "A recorded sampler instead of --process, --K, --scheme, --grid.", metavar="FILE"),
    ] = None,
    seed: i.Seed = None,
    snr: Annotated[str | None, o.numeric("--snr", "Of pc's corrector (default 0.16).")] = None,
    denoise: Annotated[
        bool | None,
        typer.Option("--denoise/--no-denoise", help="Leave the last step's noise out (default: pc only)."),
    ] = None,
    step: i.Step = None,
    batch: i.Batch = None,
    precision: i.Precision = "auto",
    compile_: i.Compile = None,
    device: i.Device = "auto",
    json: o.Json = False,
) -> None:
    """Draw images with a trained network.

    Image i has the seed --seed + i: neither the batch nor the number of images changes it, but for the rounding of
    the network's numbers. More than 1024 images are drawn in parts beside -o, after a line that says how long it will
    take: the same command goes on after an interruption. Under torchrun each process draws its share; write -- before
    wbound there, or torchrun takes --n for its own.

    \b
    Examples:
      wbound images sample runs/digits --K 100 --n 64 --scheme hf --figure grid.png
      wbound images sample runs/all --process vp-v2 --K 50 -o samples.npz
      wbound images sample --network diffusers:ddpm-cifar10-32 --process vp-original --K 50 -o samples.npz
      wbound images sample runs/ve-v2 --K 1000 --n 50000 --scheme pc -o samples.npz
    """
    import os

    from numerics.cifar10.comparison_runs import device_of
    from numerics.cifar10.fast_networks import LONG, Speed, for_images
    from numerics.cifar10.images import to_png, to_uint8
    from numerics.cifar10.long_sampling import Parts, archive
    from numerics.cifar10.networks_in_use import finite, in_use
    from numerics.cifar10.runs import range_of
    from numerics.cifar10.sampling import SNR, plan, room, sample_images
    from numerics.io.writing import write
    from wbound.errors import BadInput, nonnegative

    out, figure = placed(out, figure, "report", (".npz",), (".png",))
    if out is None and figure is None:
        raise BadInput("out", "(not given)", "give -o FILE.npz, or --figure FILE.png")
    launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if launched and out is None:
        raise BadInput("out", "(not given)", "give -o FILE.npz: several processes draw into it")
    engine = None
    if launched:
        from numerics.cifar10.training import engine_of

        engine = engine_of(device)
    on = device_of(device) if engine is None else engine.device
    wanted, number, sides = i.chosen(process, p), i.one_step(step), i.sides(shape)
    numbers = precision if run is None else for_images(precision, on)

    def used(compiled: bool | None) -> InUse:
        speed = Speed(numbers, compiled)
        return in_use(run, network, on, process=wanted, step=number, shape=sides, speed=speed, tell=warn)

    drawn = used(compile_)
    steps, many = i.integer("K", K, 100), i.integer("n", n, 64)
    first, at_once = i.integer("seed", seed, 0, 0), i.integer("batch", batch, 256)
    others = {"K": K, "process": process, "snr": snr, "denoise": denoise}
    others |= {"scheme": None if scheme == "em" else scheme, "grid": None if grid == "uniform" else grid}
    held = _tape_of(tape, others)
    ratio = nonnegative("snr", o.number("snr", snr, SNR))
    evaluations = held.K if held is not None else plan(drawn.process, steps, scheme, grid).evaluations
    room(many, drawn.shape, at_once, 1 + evaluations)

    def draw(seeds: Sequence[int]) -> Any:
        if held is not None:
            from numerics.cifar10.tape_sampling import sample_tape

            mean = None if drawn.config is None else drawn.config.images(on).floats().mean(dim=0)
            images = sample_tape(drawn.level_score, held, drawn.shape, seeds, on, at_once, mean=mean)
        else:
            images = sample_images(
                drawn.score,
                drawn.process,
                drawn.shape,
                steps,
                scheme,
                seeds,
                on,
                at_once,
                grid=grid,
                snr=ratio,
                denoise=denoise,
            )
        return to_uint8(finite(images))

    seeds = range(first, first + many)
    main = engine is None or engine.is_main_process
    if out is not None and (many > MANY or engine is not None):
        about = {
            **{"network": drawn.name, "about": drawn.identity, "process": drawn.process.to_dict()},
            **{"K": steps, "scheme": scheme, "grid": grid, "snr": ratio, "denoise": denoise},
            "tape": None if held is None else held.to_dict()["digest"],
        }
        parts = Parts(out, about, seeds, at_once)
        WRITTEN.append(f"{parts.folder} (the same command goes on)")
        world = 1 if engine is None else engine.num_processes
        if main:
            left = len(parts.missing())
            cost = _say_cost(drawn, min(at_once, many), on, evaluations, left, world)
            may = run is not None and compile_ is None and on.type == "cpu" and engine is None
            if may and cost > LONG:
                drawn = used(True)
                if "compiled" in drawn.about:
                    say("long enough for a compiler, which takes a minute or some (--no-compile: without it)")
                    _say_cost(drawn, min(at_once, many), on, evaluations, left, world)
        rank = 0 if engine is None else engine.process_index
        parts.draw(draw, rank, world, say)
        if engine is not None:
            engine.wait_for_everyone()
        if not main:
            return
        whole = parts.whole()
        write(out, archive(whole))
        parts.done()
        WRITTEN.pop()
        note(out)
    else:
        whole = draw(seeds)
        if out is not None:
            note(write(out, archive(whole)))
    if figure is not None:
        note(write(figure, to_png(whole)))
    how = f"{scheme}, K = {steps}" if held is None else f"the tape {tape}"
    name = drawn.process.name if held is None else drawn.name
    # other people's networks have units of their own
    acts_on = range_of(None if held is not None else drawn.process) if drawn.config is not None else None
    payload: dict[str, Any] = {
        "out": out,
        "figure": figure,
        "process": drawn.process.name if held is None else None,
        "step": drawn.step,
        "about": drawn.about,
        "range": acts_on,
        "n": many,
        "K": steps if held is None else held.K,
        "scheme": scheme if held is None else None,
        "evaluations": evaluations,
    }
    emit(
        payload,
        json,
        lambda: (
            f"{many} images of {name}, {drawn.about}: {evaluations} score evaluations each ({how})"
            + ("" if acts_on is None else f"\n{acts_on}")
        ),
        {
            "out": "no -o",
            "figure": "no --figure",
            "step": "no run of ours",
            "range": "the units of a network that is no run of ours",
            "process": "the tape says its levels",
            "scheme": "the tape is the scheme",
        },
    )


def _tape_of(path: str | None, others: dict[str, Any]) -> Tape | None:
    from wbound.errors import BadInput
    from wbound.sampler.tape import Tape

    if path is None:
        return None
    for option, value in others.items():
        if value is not None:
            raise BadInput(option, str(value), "does not go with --tape: the tape is the whole sampler")
    return Tape.load(path)


def _say_cost(drawn: InUse, batch: int, on: Any, evaluations: int, parts: int, world: int) -> float:
    """What the images will cost, from one evaluation of one batch; its seconds."""
    from numerics.cifar10.long_sampling import said_seconds, seconds_of

    each = seconds_of(drawn.score, (batch, *drawn.shape), on)
    seconds = each * evaluations * -(-parts // world)
    more = f" and {world - 1} more" if world > 1 else ""
    say(
        f"{parts} parts of {batch} images, {evaluations} evaluations each of {1e3 * each:.3g} ms: about "
        f"{said_seconds(seconds)} on {on}{more}"
    )
    return seconds
