"""wbound choose: which schedule, and how many steps, for one's own data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from numerics.cli import data_options as s
from numerics.cli import few_calls_rows as few
from numerics.cli import options as o
from numerics.cli import samples_check, words
from numerics.cli.option_groups import grouped
from numerics.cli.output import drawable, emit, figures, grid_table, keep, note, say, warn
from numerics.cli.progress import Progress, keeping


@dataclass(frozen=True)
class NeededDataOptions(s.DataOptions):
    """Data, without which there is nothing to choose for."""

    data: s.NeededData = None


@grouped
def choose(
    *,
    on: NeededDataOptions,
    K: Annotated[str | None, o.steps("Steps of every row. [required, or --eps, --eps-rel]")] = None,
    eps: o.Eps = None,
    eps_rel: o.EpsRel = None,
    scheme: Annotated[
        str,
        o.word(
            "--scheme",
            "Sampler, SDE or ODE; several (ddim,heun,dpmpp-2m) are ranked together at --K network calls.",
            words.SCHEMES,
            "NAME[,NAME…]",
        ),
    ] = "ddim",
    process: o.Processes = None,
    grid: Annotated[
        list[str] | None,
        o.word(
            "--grid",
            "Only these grids, given once for each; tangent (made for ddim) and sinh (for heun-lambda) are tried only if "
            "named.",
            words.GRIDS,
        ),
    ] = None,
    for_: Annotated[
        str,
        o.word(
            "--for",
            "own: grids of any sampler; diffusers, k-diffusion: its samplers with their options at --K calls of the "
            "network, for the training that --diffusers names, and our best levels run by them.",
        ),
    ] = "own",
    given: s.ScheduleOptions,
    sigma_min: s.SigmaMin = None,
    sigma_max: s.SigmaMax = None,
    tape: s.Tapes = None,
    check: Annotated[
        bool,
        typer.Option(
            "--samples-check", help="Run the best five on your samples too, with their exact smoothed score."
        ),
    ] = False,
    top: Annotated[str | None, o.numeric("--top", "Print so many rows (12); the JSON has all.")] = None,
    figure: o.Figure = None,
    width: o.Width = "report",
    row: Annotated[str | None, o.numeric("--row", "The row that -o writes (1: the best).")] = None,
    as_: Annotated[
        str | None,
        o.word(
            "--as",
            "How -o writes it: sigmas, betas, alphas_cumprod, times, or timesteps (of --diffusers or --betas); phase or "
            "refitted: that sampler, its levels, coefficients and start (.json, .npz); of --for: config (a "
            "scheduler_config.json), or the row's own sigmas or timesteps.",
            (*words.FORMS, "phase", "refitted", "config"),
            "FORM",
        ),
    ] = None,
    out: Annotated[str | None, o.out("Write the best schedule for a sampler.")] = None,
    json: o.Json = False,
) -> None:
    """Rank schedules for your own data.

    All processes and grids, each at the best T (or σ_max, β_max) found, by the exact W2 of the Gaussian with the
    data's mean and covariance, in the sampler chosen, SDE or ODE; and the steps that each needs for ε. σ_max
    is raised only where more of it gains 1 %, and no farther than float32 follows. Your own schedules are
    ranked at their own number of steps, and so are tapes. What you run may be ranked in its own words: --for diffusers,
    --for k-diffusion. A warning says when the data are far from Gaussian.

    \b
    Examples:
      wbound choose --data digits --K 20
      wbound choose --data digits --K 20 --scheme hf,ddim,heun
      wbound choose --data samples.npy --eps-rel 0.05 --figure ranking.svg
      wbound choose --data digits --K 20 --diffusers scheduler_config.json
      wbound choose --data digits --K 20 --for diffusers -o scheduler_config.json
      wbound choose --data samples.npy --K 20 --for k-diffusion --samples-check
      wbound choose --data digits --K 20 --as sigmas -o sigmas.npy
      wbound choose --data digits --K 10 --as phase -o phase.json
      wbound choose --data digits --K 20 --diffusers scheduler_config.json --as timesteps -o timesteps.npy
    """
    from numerics.schedules.choice import choose as rank
    from wbound.errors import BadInput, count, one_of

    if on.data is None:
        raise BadInput("data", "(not given)", "give --data digits, a file, a folder of images or a spectrum")
    if K is None and eps is None and eps_rel is None:
        raise BadInput("K", "(not given)", "give --K, or --eps, or --eps-rel")
    shown, k = count("top", o.number("top", top, 12.0)), count("row", o.number("row", row, 1.0))
    if one_of("for", for_, ("own", "diffusers", "k-diffusion")) != "own":
        unused: dict[str, Any] = {"eps": eps, "eps-rel": eps_rel, "process": process, "grid": grid}
        o.refuse(
            unused | given.arrays | {"stop": given.stop, "figure": figure}, f"does not go with --for {for_}"
        )
        from numerics.cli.scheduler_ranking import Asked, rank_samplers

        if row is not None and out is None:
            raise BadInput("row", row, "goes with -o FILE")
        asked_of = (for_, on, K, given.diffusers, sigma_min, sigma_max, tuple(tape or ()))
        rank_samplers(Asked(*asked_of, check, shown, k, as_, out), json)
        return
    if out is None and (as_ is not None or row is not None):
        raise BadInput("as" if as_ is not None else "row", as_ or row, "goes with -o FILE")
    if out is not None and as_ in few.AS:
        few.writable_sampler(out, row)
    elif out is not None:
        _writable(out, as_)
    training: Any = None
    said: tuple[str, ...] = ()
    if as_ == "timesteps":
        training, said = given.training
        given = given.beside_training
    if figure is not None:
        drawable(figure, width)
    tapes = s.tapes_from(tape)
    loaded, samples = on.read
    if check and samples is None:
        raise BadInput("samples-check", on.data, "needs samples: a spectrum has none")
    asked = o.steps_from(K)
    schedules = given.read(steps=asked)
    for one in schedules:
        for remark in one.notes:
            warn(f"{one.name}: {remark}")
    progress = Progress("schedules")
    with keeping(progress, figure or out, ".csv"):
        ranking = rank(
            loaded,
            asked,
            eps=o.number("eps", eps),
            eps_rel=o.number("eps_rel", eps_rel),
            scheme=[name.strip() for name in scheme.split(",")],
            processes=process or None,
            grids=grid or None,
            schedules=schedules,
            tapes=tapes,
            sigma_min=o.number("sigma_min", sigma_min),
            sigma_max=o.number("sigma_max", sigma_max),
            watch=progress,
        )
    picked, written = None, None
    beside = few.few_rows(loaded, samples, ranking)
    if out is not None and as_ in few.AS:
        written = few.write_sampler(beside, as_, out)
    elif out is not None:
        if k > len(ranking.rows):
            raise BadInput("row", k, f"must be at most {len(ranking.rows)}")
        picked = ranking.rows[k - 1]
        written = _write(picked, loaded, out, as_ or "sigmas", training, said)
    checked = samples_check.checked(samples, _first(ranking, loaded)) if check else None
    say(f"{len(ranking.rows)} schedules ranked in {ranking.seconds:.1f} s")
    columns = {name: [getattr(row, name) for row in ranking.rows] for name in COLUMNS}

    keep(columns, lambda: figures.schedules.ranking_figure(ranking, shown, width), None, figure)
    if out is not None:
        note(out)
    try:
        best_named: Any = ranking.best_named
    except StopIteration:
        best_named = None
    gain = None if best_named is None else best_named.factor
    payload: dict[str, Any] = {
        **ranking.to_dict(),
        "best": ranking.best.to_dict() | {"lam": ranking.best.schedule.lam},
        "best_named": None if best_named is None else best_named.to_dict(),
        "gain_over_named": gain,
        "samples_check": checked,
        "figure": figure,
        "out": out,
        "written": None if picked is None else picked.rank,
        "file": written,
    }
    more, reasons = few.row_payload(beside)
    payload |= more
    reasons |= {
        "eps": "no --eps",
        "eps_rel": "no --eps",
        "figure": "no --figure",
        "out": "no -o",
        "written": "no -o",
        "file": "no -o",
        "samples_check": "no --samples-check",
    }
    for row in ("best", "best_named"):
        for key in ("limit", "last_decade"):
            reasons[f"{row}.{key}"] = "σ_max is an inner minimum, or the user's"
    for i in range(len(ranking.rows)):
        reasons[f"rows.{i}.sigma_max"] = "it starts at pure noise"
        reasons[f"rows.{i}.T"] = "the scheme sees the clock alone: sigma_max says where it starts"
        reasons[f"rows.{i}.limit"] = reasons[f"rows.{i}.last_decade"] = (
            "σ_max is an inner minimum, or the user's"
        )
        reasons[f"rows.{i}.steps"] = "no --eps" if ranking.eps is None else "more than 5000, or not searched"

    payload["warnings"] = samples_check.warned(samples)

    def text() -> str:
        names: list[tuple[str, Any]] = [
            ("", "rank"),
            ("process", "process"),
            ("grid", "grid"),
            ("T", "T"),
            ("σ_max", "sigma_max"),
            ("K", "K"),
            ("error", "error"),
            ("W2", "w2"),
            ("× best", "factor"),
        ]
        if "," in ranking.scheme:
            names[1:1] = [("scheme", "scheme")]
        if any(r.calls != r.K for r in ranking.rows):
            names.append(("score calls", "calls"))
        if ranking.eps is not None:
            names.append(("steps for ε", "steps"))
        lines = [
            *s.dataset_lines(loaded),
            f"scheme {ranking.scheme}, K = {ranking.steps}"
            + (
                ""
                if ranking.eps is None
                else f", ε = {ranking.eps:.6g} (eps-rel {ranking.eps / loaded.spread:.4g})"
            ),
            "",
            grid_table(
                [head for head, _ in names], [[getattr(r, k) for _, k in names] for r in ranking.rows[:shown]]
            ),
        ]
        own = [r for r in ranking.rows[shown:] if r.kind == "given"]
        if own:
            lines += [
                "",
                *(
                    f"{r.rank}: {r.process}, K = {r.K}, error {r.error:.5g}, × best {r.factor:.4g}"
                    for r in own
                ),
            ]
        if len(ranking.rows) > shown:
            lines.append(f"… {len(ranking.rows) - shown} more: --top {len(ranking.rows)}")
        if gain is not None and ranking.best.kind == "numerical":
            lines += [
                "",
                f"The numerically optimised grid is {gain:.4g} times better than the best named schedule, "
                f"{best_named.process} on {best_named.grid}.",
            ]
        at_limit = _limits(ranking.rows[:shown])
        if at_limit:
            lines += ["", "σ_max at a limit of the search:", *(f"  {line}" for line in at_limit)]
        moved = [
            f"{r.process}: {', '.join(f'{k} = {v:.6g}' for k, v in r.parameters.items())}"
            for r in ranking.rows[:shown]
            if r.process.startswith("image-")
        ]
        if moved:
            lines += ["", "Parameters of the image processes:", *(f"  {line}" for line in moved)]
        lines += ["", *few.row_lines(beside, loaded.spread)]
        if written is not None:
            lines += ["", *_written_lines(picked, written)]
        if checked is not None:
            lines += samples_check.checked_lines(checked)
        return "\n".join(
            [*lines, "", "What this says and does not say:", *(f"- {one}" for one in ranking.limits)]
        )

    emit(payload, json, text, reasons)


def _first(ranking: Any, data: Any) -> list[tuple[int, str, float, Any]]:
    """The best rows as tapes."""
    from wbound.sampler.make_setting import setting
    from wbound.sampler.tape_of_scheme import tape_of

    out = []
    for row in ranking.rows[: samples_check.BEST]:
        made = row.tape
        if made is None:
            of = row.schedule
            made = tape_of(setting(of.process, data.gaussian, scheme=row.scheme, grid=of.grid))
        out.append((row.rank, f"{row.scheme}: {row.process} on {row.grid}", row.w2, made))
    return out


def _limits(rows: Any) -> list[str]:
    """What to say of rows whose σ_max sits at a limit of the search: one line a limit."""
    from wbound.design.largest_level import LIMITS

    lines = []
    for limit, said_of in LIMITS.items():
        held = [r for r in rows if r.limit == limit]
        if held:
            said = ", ".join(f"{r.rank} ({r.last_decade:.2g})" for r in held)
            lines.append(f"{said_of}: rows {said}; in brackets the share that its last ten times gained")
    return lines


def _writable(out: str, form: str | None) -> None:
    from pathlib import Path

    from numerics.schedules.schedule_formats import FORMS
    from wbound.errors import one_of

    one_of("as", form or "sigmas", FORMS)
    one_of("out", Path(out).suffix.lower(), o.SUFFIXES)


def _write(row: Any, data: Any, out: str, form: str, training: Any, notes: tuple[str, ...]) -> dict[str, Any]:
    """The file, and what its number is: exact W2 of the Gaussian from the start that a sampler of this form makes."""
    from numerics.schedules.schedule_formats import export, nearest, start_std
    from wbound.errors import BadInput
    from wbound.exact.gaussian_law import exact_w2

    if form not in row.forms:
        other = "write " + " or ".join(row.forms) if row.forms else "pick another --row"
        raise BadInput("as", form, f"is not what {row.scheme} on {row.process} ran on: {other}")
    made, w2 = row.schedule, row.w2
    if training is not None:
        made = nearest(made, training)
        w2 = exact_w2(made.process, data.gaussian, scheme=row.scheme, start="prior", grid=made.grid)
        notes = (*made.notes, *notes)
    export(made, out, form, training=training)
    return {"form": form, "start_std": start_std(made, form), "w2": w2, "notes": list(notes)}


def _written_lines(row: Any, written: dict[str, Any]) -> list[str]:
    """What is in the file, the start that its number assumes, and the number."""
    which, scheme = (
        (f"the sampler {written['form']}", "it")
        if row is None
        else (f"row {row.rank} as {written['form']}", row.scheme)
    )
    return [
        f"Written: {which}. From x ~ N({'mean' if row is None else 0}, s² I), s = {written['start_std']:.6g}, "
        f"{scheme} has W2 {written['w2']:.6g}.",
        *(f"  {line}" for line in written["notes"]),
    ]


#: What the numbers of the ranking's figure are.
COLUMNS = (
    *(
        "rank",
        "process",
        "grid",
        "kind",
        "K",
        "sigma_max",
        "error",
        "w2",
        "w2_exact_start",
        "factor",
        "scheme",
    ),
    *("limit", "last_decade"),
)
