"""wbound schedule: any process and grid, or the chooser's winner, in the form that other samplers take."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from numerics.cli import data_options as s
from numerics.cli import options as o
from numerics.cli import words
from numerics.cli.option_groups import GridOptions, MaybeFacts, ProcessOptions, grouped
from numerics.cli.output import emit, note, short


@dataclass(frozen=True)
class ScheduledProcess(ProcessOptions):
    """A process, or a schedule that is there already."""

    process: o.ProcessOrSchedule = None


@grouped
def schedule(
    *,
    own: ScheduledProcess,
    T: Annotated[
        str | None,
        o.numeric("--T", "Forward time, > 0. [required of a process, or --sigma-max, or an explicit grid]"),
    ] = None,
    sigma_max: Annotated[str | None, o.numeric("--sigma-max", "√λ(T), in place of --T.")] = None,
    K: Annotated[
        str | None, o.steps("Number of steps. [required, but of a schedule or an explicit grid]")
    ] = None,
    nodes: GridOptions,
    rho: Annotated[str | None, o.numeric("--rho", "Exponent of --grid edm (7).")] = None,
    sigma_min: Annotated[
        str | None, o.numeric("--sigma-min", "Last level above 0 of --grid edm and log-lam.")
    ] = None,
    given: s.ScheduleOptions,
    on: s.DataOptions,
    scheme: o.SchemeName = "ddim",
    facts: MaybeFacts,
    as_: Annotated[
        str,
        o.word(
            "--as",
            "sigmas, betas, alphas_cumprod, times (of the process), or timesteps (indices of training steps).",
            words.FORMS,
            "FORM",
        ),
    ] = "sigmas",
    out: Annotated[str | None, o.out("Write it: .npy .npz .json .txt .csv.")] = None,
    json: o.Json = False,
) -> None:
    """Write a schedule for other samplers.

    σ = √λ and ᾱ = α² = 1/(1+λ); times are the process's own, timesteps the nearest indices of the steps of
    training that --diffusers (or --betas) describes. From a process on a grid; or, with --data and no process, the winner of
    wbound choose at K steps; or from another array, to change its form. What is written gives the same λ to
    1e-12 when it is read back, or is refused. Grids in units of the data (optimal, gaussian, cosine) take
    --data, or --d, --m0, --L0.

    \b
    Examples:
      wbound schedule --process vp-linear --T 4 --K 20 --as betas -o betas.npy
      wbound schedule --process ve-constant --sigma-max 80 --K 18 --grid edm --sigma-min 0.002 --as sigmas
      wbound schedule --data digits --K 20 --as sigmas -o sigmas.npy
      wbound schedule --diffusers scheduler_config.json --K 20 --as alphas_cumprod -o alphas_cumprod.npy
      wbound schedule --data digits --K 20 --diffusers scheduler_config.json --as timesteps
    """
    import numpy as np

    from numerics.schedules import schedule_formats
    from wbound.errors import BadInput, count, one_of

    one_of("as", as_, schedule_formats.FORMS)
    training: Any = None
    notes: list[str] = []
    if as_ == "timesteps":
        training, said = given.training
        notes += said
        if own.given or on.data is not None or given.sigmas is not None or given.alphas_cumprod is not None:
            given = given.beside_training  # what is written is one of these, on the steps of that training
    made = s.one_schedule(given.read(None if on.data is not None else on.key, o.steps_from(K)))
    if made is None and on.data is None:
        o.refuse({"key": on.key}, "goes with --data or a schedule's array")
    if made is not None and own.given:
        raise BadInput(
            "process",
            own.process or own.f or own.g,
            f"{made.name} is a schedule already: give one of the two",
        )
    of_process = {"T": T, "sigma_max": sigma_max, "rho": rho, "sigma_min": sigma_min}
    of_process |= asdict(nodes) | asdict(facts)
    if made is None and own.given:
        chosen = own.made
        law = _law(on, facts)
        where: Any = _grid(nodes, rho, sigma_min)
        time = o.number("T", T)
        if sigma_max is not None:
            if time is not None:
                raise BadInput("sigma_max", sigma_max, "give --T or --sigma-max")
            from wbound.errors import positive

            top = 2.0 * math.log(positive("sigma_max", o.number("sigma_max", sigma_max)))
            time = float(chosen.time_of(top)[()])
        made = schedule_formats.schedule(chosen, law, time, o.steps_from(K), grid=where)
    elif made is None:
        if on.data is not None:
            o.refuse(of_process | {"-p": own.p}, "does not go with --data alone: give --process too")
        made, won = _winner(on, K, scheme, as_)
        notes += won
    else:
        # the steps at which a configuration is read
        of_process |= {"data": on.data} | ({"K": K} if given.diffusers is None else {})
        o.refuse(of_process, f"does not go with {made.name}, which has its own nodes")
    if training is not None:
        made = schedule_formats.nearest(made, training)
    if made.stopped_early:
        notes.append(
            "its value nearest the data is where it ends, and no step goes from there: --stop early reads it so"
        )
    array, std = (
        schedule_formats.to_array(made, as_, training=training),
        schedule_formats.start_std(made, as_),
    )
    error = None
    if out is not None:
        schedule_formats.export(made, out, as_, training=training)
        stops = "early" if made.stopped_early else None
        back = schedule_formats.read(out, as_, process=made.process, training=training, stop=stops)
        error = float(np.abs(np.expm1(back.above - made.above)).max())
        note(out)  # last: /dev/zero takes what is written and gives no end of it back
    count("K", made.K)
    payload: dict[str, Any] = {
        **made.to_dict(),
        "notes": [*made.notes, *notes],
        "sigma_max": made.sigma_max,
        "form": as_,
        "start_std": std,
        "values": array,
        "out": out,
        "read_back": error,
    }

    def text() -> str:
        head = [
            f"{made.name}: K = {made.K}, σ_max = {short(made.sigma_max)}, as {as_}",
            f"start: x ~ N(0, s² I), s = {std:.6g}",
            *made.notes,
            *notes,
        ]
        if out is not None:
            return "\n".join(
                [*head, f"{array.size} values in {out}; read back, λ differs by {error:.2g} at most"]
            )
        return "\n".join([*(f"# {line}" for line in head), *(repr(v) for v in array.tolist())])

    emit(payload, json, text, {"out": "no -o", "read_back": "no -o"})


def _law(on: s.DataOptions, facts: MaybeFacts) -> Any:
    """The data that grids in their units need; None without."""
    from wbound.errors import BadInput

    given = any(value is not None for value in asdict(facts).values())
    if on.data is not None:
        if given:
            raise BadInput("data", on.data, "give --data, or --d, --m0, --L0")
        return s.dataset_from(on.data, on.key).gaussian
    return facts.centred.made if given else None


def _grid(nodes: GridOptions, rho: str | None, sigma_min: str | None) -> Any:
    """The grid of the options, with its parameters."""
    import wbound
    from wbound.errors import BadInput, positive

    if rho is None and sigma_min is None:
        return o.grid_from(*asdict(nodes).values())
    least = None if sigma_min is None else positive("sigma_min", o.number("sigma_min", sigma_min))
    if nodes.grid == "edm":
        return wbound.Grid.edm(rho=positive("rho", o.number("rho", rho, 7.0)), sigma_min=least)
    if nodes.grid == "log-lam" and rho is None:
        return wbound.Grid.log_lam(sigma_min=least)
    option = "rho" if rho is not None else "sigma_min"
    raise BadInput(option, rho or sigma_min, "goes with --grid edm" + ("" if rho else " and log-lam"))


def _winner(on: s.DataOptions, K: str | None, scheme: str, form: str) -> tuple[Any, list[str]]:
    """The first row of the chooser that this form can mean."""
    from numerics.schedules.choice import choose
    from wbound.errors import BadInput

    if on.data is None:
        raise BadInput(
            "process", "(not given)", "give --process, or --f and --g, or --data, or a schedule's array"
        )
    steps = o.steps_from(K)
    if steps is None:
        raise BadInput("K", "(not given)", "give --K, the steps to choose for")
    loaded = s.dataset_from(on.data, on.key)
    best = next((row for row in choose(loaded, steps, scheme=scheme).rows if form in row.forms), None)
    if best is None:
        raise BadInput("as", form, f"holds no schedule that {scheme} runs on")
    said = [
        f"the best of wbound choose on {loaded.name}, {scheme}: exact W2 {best.error:.6g} on its Gaussian"
    ]
    if best.limit is not None:
        from wbound.design.largest_level import LIMITS

        said.append(
            f"σ_max: {LIMITS[best.limit]}; its last ten times gained {best.last_decade:.2g} of the error"
        )
    return best.schedule, said
