"""wbound choose --for diffusers|k-diffusion: what their users run, ranked, beside our own best levels run by them."""

from __future__ import annotations

import json as text_json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numerics.cli import data_options as s
from numerics.cli import options as o
from numerics.cli import samples_check
from numerics.cli.output import emit, grid_table, note, say
from numerics.cli.progress import Progress

#: How -o writes a row.
FORMS = ("config", "sigmas", "timesteps")
DEFAULT = "DDPMScheduler"


@dataclass(frozen=True)
class Asked:
    """The options of the command, as typed."""

    library: str
    on: s.DataOptions
    K: str | None
    training: str | None
    sigma_min: str | None
    sigma_max: str | None
    tapes: Sequence[str]
    check: bool
    top: int
    row: int
    form: str | None
    out: str | None


def rank_samplers(asked: Asked, json: bool) -> None:
    """Print the ranking. Raises `BadInput`, `IOFailure` and `Missing`."""
    from numerics.recorders.audited import SAYS
    from wbound.errors import BadInput, one_of

    calls = o.steps_from(asked.K)
    if calls is None:
        raise BadInput("K", "(not given)", "give --K, the calls of the network")
    form = one_of("as", asked.form or ("sigmas" if asked.library == "k-diffusion" else "config"), FORMS)
    if asked.out is not None:
        one_of("out", Path(asked.out).suffix.lower(), (".json",) if form == "config" else o.SUFFIXES)
    elif asked.form is not None:
        raise BadInput("as", asked.form, "goes with -o FILE")
    tapes = list(zip((Path(file).name for file in asked.tapes), s.tapes_from(list(asked.tapes)), strict=True))
    loaded, samples = asked.on.read
    if asked.check and samples is None:
        raise BadInput("samples-check", str(asked.on.data), "needs samples: a spectrum has none")
    rows = _ranked(asked, loaded, calls, tapes)
    say(f"{len(rows)} samplers with their options run at {calls} calls")
    best = rows[0] if rows and rows[0].w2 is not None else None
    picked = None
    if asked.out is not None:
        if asked.row > len(rows):
            raise BadInput("row", asked.row, f"must be at most {len(rows)}")
        picked = rows[asked.row - 1]
        _write(picked, asked.row, form, asked.out)
        note(asked.out)
    check = None
    if asked.check:
        first = [(i, r.line, r.w2, r.tape) for i, r in enumerate(rows[: samples_check.BEST], 1) if r.tape]
        check = samples_check.checked(samples, first)
    payload = {
        "for": asked.library,
        "steps": calls,
        "training": asked.training or DEFAULT,
        "rows": [row.to_dict() for row in rows],
        "best": None if best is None else best.to_dict(),
        "data": loaded.to_dict(),
        "warnings": samples_check.warned(samples),
        "samples_check": check,
        "out": asked.out,
        "written": None if picked is None else asked.row,
        "says": SAYS,
    }
    reasons = {f"rows.{i}.failed": "it did not" for i, row in enumerate(rows) if row.failed is None}
    for i, row in enumerate(rows):
        if row.failed is not None:
            reasons |= {f"rows.{i}.calls": row.failed, f"rows.{i}.w2": row.failed}
    reasons |= {"best": "all rows failed", "best.failed": "it did not", "samples_check": "no --samples-check"}
    reasons |= {"out": "no -o", "written": "no -o"}

    def text() -> str:
        shown = rows[: asked.top]
        table = [[i, row.w2, row.calls, row.line] for i, row in enumerate(shown, 1) if row.w2 is not None]
        failed = sum(row.w2 is None for row in rows)
        lines = [
            *s.dataset_lines(loaded),
            f"{asked.library} for the training of {asked.training or DEFAULT}, {calls} calls of the network",
            "",
            grid_table(("", "W2", "calls", "line to paste"), table),
        ]
        own = next(((i, r) for i, r in enumerate(rows, 1) if r.levels and r.config is not None), None)
        if own is not None:
            lines += ["", f"The best row on levels of ours is {own[0]}, W2 {own[1].w2:.5g}."]
        if failed:
            lines.append(f"{failed} rows could not be run: the JSON says why.")
        if picked is not None:
            lines += ["", f"Written: row {asked.row} as {form}; it is run by", f"  {picked.line}"]
        if check is not None:
            lines += samples_check.checked_lines(check)
        return "\n".join([*lines, "", SAYS])

    emit(payload, json, text, reasons)


def _ranked(asked: Asked, data: Any, calls: int, tapes: Sequence[tuple[str, Any]]) -> Any:
    from numerics.laws.tape_parts import w2_on
    from numerics.recorders.scheduler_catalogue import RankedSampler, best_first, ranked_schedulers
    from wbound.errors import positive

    low, high = (
        None if value is None else positive(option, o.number(option, value))
        for option, value in (("sigma_min", asked.sigma_min), ("sigma_max", asked.sigma_max))
    )
    progress = Progress("samplers")
    if asked.library == "diffusers":
        training = asked.training or DEFAULT
        rows = ranked_schedulers(
            data, calls, training, own=True, sigma_min=low, sigma_max=high, watch=progress
        )
    else:
        from numerics.recorders.k_diffusion_catalogue import ranked_k_diffusion

        if low is None or high is None:
            from numerics.recorders.scheduler_nodes import sigma_range

            known = sigma_range(asked.training or DEFAULT)
            low, high = known[0] if low is None else low, known[1] if high is None else high
        rows = ranked_k_diffusion(data, calls, low, high, watch=progress)
    given = [
        RankedSampler(f"tape {name}", tape.K, tape.K, w2_on(tape, data), tape=tape) for name, tape in tapes
    ]
    return best_first([*rows, *given])


def _write(row: Any, number: int, form: str, out: str) -> None:
    """A configuration that the library reads, or the row's own list."""
    from numerics.io.writing import write
    from numerics.schedules.schedule_formats import write_numbers
    from wbound.errors import BadInput

    if form == "config":
        if row.config is None:
            raise BadInput(
                "as", form, f"row {number} is no scheduler with a configuration: pick another --row"
            )
        # what is infinite (lambda_min_clipped) is so by default, and JSON has no number for it
        kept = {k: v for k, v in row.config.items() if not (isinstance(v, float) and not math.isfinite(v))}
        write(out, text_json.dumps(kept, indent=2, allow_nan=False) + "\n")
        return
    if row.levels is None or row.levels[0] != form:
        other = "config" if row.levels is None else row.levels[0]
        raise BadInput(
            "as", form, f"row {number} is laid out by no list of {form}: --as {other}, or another --row"
        )
    write_numbers(out, form, row.levels[1])
