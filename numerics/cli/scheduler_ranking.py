"""wbound choose --for diffusers: schedulers with their options, beside the best of our own grids."""

from __future__ import annotations

from numerics.cli import data_options as s
from numerics.cli import options as o
from numerics.cli.output import emit, grid_table, say
from numerics.cli.progress import Progress

__all__ = ["rank_schedulers"]


def rank_schedulers(
    data: str | None, key: str | None, steps: str | None, training: str | None, top: float | None, json: bool
) -> None:
    """Print the ranking. Raises `BadInput`, `IOFailure` and `Missing`."""
    from numerics.recorders.audited import SAYS
    from numerics.recorders.scheduler_catalogue import ranked_schedulers
    from numerics.schedules.choice import choose
    from wbound.errors import BadInput, count

    if steps is None:
        raise BadInput("steps", "(not given)", "give --steps, the calls of the network")
    calls, shown = count("steps", o.number("steps", steps)), count("top", top)
    loaded = s.dataset_from(data, key)
    rows = ranked_schedulers(loaded, calls, training or "DDPMScheduler", watch=Progress("schedulers"))
    own = choose(loaded, calls, scheme="ddim").best
    say(f"{len(rows)} schedulers with their options run at {calls} calls")
    best = rows[0] if rows and rows[0].w2 is not None else None
    payload = {
        "for": "diffusers",
        "steps": calls,
        "training": training or "DDPMScheduler",
        "rows": [row.to_dict() for row in rows],
        "best": None if best is None else best.to_dict(),
        "own": {"process": own.process, "grid": own.grid, "scheme": own.scheme, "K": own.K, "w2": own.w2},
        "data": loaded.to_dict(),
        "says": SAYS,
    }
    reasons = {f"rows.{i}.failed": "it did not" for i, row in enumerate(rows) if row.failed is None}
    for i, row in enumerate(rows):
        if row.failed is not None:
            reasons |= {f"rows.{i}.calls": row.failed, f"rows.{i}.w2": row.failed}
    reasons |= {"best": "all rows failed", "best.failed": "it did not"}

    def text() -> str:
        table = [
            [i + 1, row.w2, row.calls, row.line] for i, row in enumerate(rows[:shown]) if row.w2 is not None
        ]
        failed = sum(row.w2 is None for row in rows)
        lines = [
            *s.dataset_lines(loaded),
            f"diffusers' schedulers for the training of {training or 'DDPMScheduler'}, {calls} calls of the network",
            "",
            grid_table(("", "W2", "calls", "line to paste"), table),
            "",
            f"Beside them, the best found of our own grids for ddim: {own.process} on {own.grid}, W2 {own.w2:.5g}.",
        ]
        if failed:
            lines.append(f"{failed} rows could not be run: the JSON says why.")
        return "\n".join([*lines, SAYS])

    emit(payload, json, text, reasons)
