"""wbound optimal, and its view of clocks: the numerically optimal grid, and how far each named schedule is from it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from numerics.cli import data_options as s
from numerics.cli import options as o
from numerics.cli.option_groups import UNASKED, MaybeFacts, MaybeProcess, PictureOptions, grouped
from numerics.cli.output import drawable, emit, figures, grid_table, keep, note, short

#: λ(T) over the data's variance per coordinate where nothing is said.
FAR = 1e4


@dataclass(frozen=True)
class OptimalFacts(MaybeFacts):
    """What A1 knows of the data, with usual values."""

    d: Annotated[str | None, o.usually("--d", "10")] = None
    m0: Annotated[str | None, o.usually("--m0", "1")] = None
    L0: Annotated[str | None, o.usually("--L0", "m0")] = None


@grouped
def optimal(
    *,
    given: MaybeProcess,
    K: o.K = "20",
    T: Annotated[str | None, o.numeric("--T", "Forward time of the process, in place of --lam-max.")] = None,
    lam_max: Annotated[
        str | None,
        o.word("--lam-max", "λ(T) (1e4 data variances); best: with --start prior.", metavar="NUMBER|best"),
    ] = None,
    on: s.DataOptions,
    facts: OptimalFacts,
    objective: Annotated[
        str | None, o.word("--objective", "sharp (Theorem 2) or exact (Gaussian W2; with --data).")
    ] = None,
    scheme: Annotated[
        str, o.word("--scheme", "hf; for exact also ddpm, ode-hf, ddim, heun, heun-lam.")
    ] = "hf",
    start: o.ExactOrPrior = "exact",
    figure: o.Figure = None,
    width: o.Width = "report",
    as_: Annotated[
        str, o.word("--as", "How -o writes it: sigmas, betas, alphas_cumprod.", metavar="FORM")
    ] = "sigmas",
    out: Annotated[str | None, o.out("Write the optimum for a sampler.")] = None,
    json: o.Json = False,
) -> None:
    """Find the optimal grid; compare the named.

    The K nodes in λ that minimise Theorem 2 of hf, or the exact W2 of Gaussian data (where that is not convex, the
    best local optimum of several starts, and it is said), beside section 7's closed form, the grids by name, and
    each process on its uniform grid, all with the same λ(T).

    \b
    Examples:
      wbound optimal --K 1000 --d 100 --m0 0.5 --L0 0.5 --lam-max 1e6
      wbound optimal --K 20 --m0 0.2 --L0 5 --figure nodes.svg
      wbound optimal --data digits --K 20 --start prior --lam-max best -o sigmas.npy
      wbound optimal --process vp-linear --T 4 --K 50
    """
    from numerics.schedules.grid_comparison import SHOWN, side_by_side
    from wbound.design.largest_level import LIMITS
    from wbound.errors import BadInput, count, positive

    about: Any
    if (loaded := on.made) is not None:
        o.refuse(asdict(facts) | {"mean_norm": None}, "does not go with --data")
        about, lines = loaded.gaussian, s.dataset_lines(loaded)
    else:
        about = facts.usually("10", "1").made
        lines = [f"d = {about.d}, m0 = {about.m0:g}, L0 = {about.L0:g}; {o.scale_text(about)}"]
    goal = objective or ("exact" if on.data is not None else "sharp")
    chosen = given.made if given.given else None
    if chosen is None:
        o.refuse({"-p": given.p}, "is for --process, or --f and --g")
    variance = max(about.second_moment - (about.mean_norm or 0.0) ** 2, 0.0) / about.d
    top: float | None
    if T is not None:
        if chosen is None or lam_max is not None:
            raise BadInput("T", T, "is the time of --process, in place of --lam-max")
        top = math.exp(min(float(chosen.log_lam(positive("T", o.number("T", T)))), 700.0))
    elif lam_max == "best":
        top = None
        if start != "prior":
            raise BadInput(
                "lam_max",
                lam_max,
                "goes with --start prior: from p_T the best is T -> 0, which costs nothing",
            )
    elif lam_max is None and variance == 0.0:
        raise BadInput("mean_norm", facts.mean_norm, "hides the variance in double precision: give --lam-max")
    else:
        top = FAR * variance if lam_max is None else positive("lam_max", o.number("lam_max", lam_max))
    if figure is not None:
        drawable(figure, width)
    processes: tuple[Any, ...] = (
        SHOWN if chosen is None else (chosen, *(name for name in SHOWN if name != chosen.name))
    )
    found = side_by_side(
        about,
        count("K", o.required("K", K)),
        top,
        objective=goal,
        scheme=scheme,
        start=start,
        processes=processes,
    )
    nodes = {lane.name: lane.lam for lane in found.lanes}

    keep(nodes, lambda: figures.schedules.nodes_figure(found, width, variance), None, figure)
    if out is not None:
        from numerics.schedules import schedule_formats

        schedule_formats.export(_schedule(found), out, as_)
        note(out)
    payload = {**found.to_dict(), "figure": figure, "out": out}
    reasons = {
        "floor": "Eq. 11 is about centred isotropic data, hf, from p_T",
        "figure": "no --figure",
        "out": "no -o",
        "optimum.section7": "the data have no m0, L0",
        "optimum.limit": "λ(T) was given, or is an inner minimum",
        "optimum.last_decade": "λ(T) was given, or is an inner minimum",
    }
    for i in range(len(found.lanes)):
        reasons[f"rows.{i}.theorem_2"] = "the data are outside A1, or the scheme is not hf"
        reasons[f"rows.{i}.exact"] = "the data are not Gaussian"

    def text() -> str:
        rows = [
            (
                lane.name,
                lane.kind if lane.kind != "process" else "uniform in t",
                lane.theorem_2,
                lane.exact,
                lane.factor,
            )
            for lane in found.lanes
        ]
        best = found.optimum
        goal_words = "Theorem 2" if found.objective == "sharp" else "exact W2"
        proof = (
            "the global optimum (convex)" if best.convex else "a local optimum, the best of several starts"
        )
        tail = [
            f"optimised: {goal_words}, {found.scheme}, start {found.start}; {proof}, "
            f"{best.iterations} Newton steps",
        ]
        if found.floor is not None:
            tail.append(f"no grid is below {short(found.floor)} (Eq. 11)")
        if best.limit is not None:
            tail.append(
                f"λ(T) sits at a limit of the search: {LIMITS[best.limit]}; the last ten times of σ_max gained "
                f"{best.last_decade:.2g} of W2"
            )
        tail += [f"without {name}: {why}" for name, why in found.left_out.items()]
        return "\n".join(
            [
                *lines,
                f"K = {found.K}, λ(T) = {short(found.lam_max)}; W2",
                "",
                grid_table(("schedule", "nodes", "Theorem 2", "exact", "× optimum"), rows),
                "",
                *tail,
            ]
        )

    emit(payload, json, text, reasons)


def _schedule(found: Any) -> Any:
    from numerics.schedules.schedule_object import Schedule, vp

    return Schedule("numerically optimal", found.lane("numerical").log_lam, vp())


@grouped
def clocks(
    *,
    process: o.Processes = None,
    lam_max: Annotated[str, o.numeric("--lam-max", "λ(T) of all, in units of the data's variance.")] = "1000",
    points: Annotated[str, o.numeric("--points", "How many times t.")] = "101",
    to: PictureOptions,
    json: o.Json = False,
) -> None:
    """Put the clocks of the processes side by side.

    λ(t) against the share t/T of forward time, every process with the same λ(T).

    \b
    Example:
      wbound optimal --view clocks --lam-max 1000 --figure clocks.svg
    """
    import numpy as np

    import wbound
    from numerics.schedules.grid_comparison import SHOWN
    from wbound.errors import count, positive
    from wbound.memory import fits

    top = positive("lam_max", o.required("lam_max", lam_max))
    many = count("points", o.required("points", points), 2)
    fits("points", many, 1000.0)  # a dozen processes, as numbers and as text
    to = to.placed
    chosen = [wbound.process(name) for name in process or (*SHOWN, "optimal")]
    share = np.linspace(0.0, 1.0, many)
    times = {p.name: float(p.time_of(math.log(top))[()]) for p in chosen}
    columns = {"share": share} | {p.name: p.lam(times[p.name] * share) for p in chosen}

    to.keep(columns, lambda: figures.schedules.clock_figure(chosen, math.log(top), 1.0, to.width))
    payload = {"lam_max": top, "T": times, "lam": columns, **to.files}

    def text() -> str:
        few = np.linspace(0.0, 1.0, 6)[1:]
        rows = [(p.name, times[p.name], *p.lam(times[p.name] * few).tolist()) for p in chosen]
        return grid_table(("process", "T", *(f"λ({x:g} T)" for x in few)), rows)

    emit(payload, json, text, UNASKED)
