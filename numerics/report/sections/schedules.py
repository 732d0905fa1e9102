"""Section: the chooser on digits, all schedules at K = 20."""

from __future__ import annotations

from typing import Any

from numerics.figures import curves
from numerics.figures.schedules import ranking_figure
from numerics.report.blocks import Column, Context, Figure, Figures, Part, Prose, Table
from numerics.schedules.choice import choose
from numerics.targets import datasets

__all__ = ["build"]

K, EPS_REL = 20, 0.05


def build(context: Context) -> Part:
    """The part of this section."""
    ranking = choose(datasets.digits(), K, eps_rel=None if context.quick else EPS_REL, scheme="hf")
    rows: list[dict[str, Any]] = [
        {
            "rank": row.rank,
            "process": row.process,
            "grid": row.grid,
            "T": row.T,
            "sigma_max": row.sigma_max,
            "error": row.error,
            "factor": row.factor,
            "steps": row.steps,
        }
        for row in ranking.rows
    ]
    named = ranking.best_named
    content = {
        "K": K,
        "eps_rel": EPS_REL,
        "eps": EPS_REL * ranking.data.spread,
        "scale": ranking.data.spread,
        "schedules": len(rows),
        "best": ranking.best.grid,
        "best_error": ranking.best.error,
        "best_share": ranking.best.error / ranking.data.spread,
        "named": named.process,
        "named_grid": named.grid,
        "gain": named.error / ranking.best.error,
        "uniform": next(r.factor for r in ranking.rows if r.grid == "uniform"),
        "worst": ranking.rows[-1].process,
        "worst_factor": ranking.rows[-1].factor,
        "limits": list(ranking.limits),
        "rows": rows,
    }
    said = (
        " ".join(f"({i}) {line}." for i, line in enumerate(ranking.limits, 1))
        .replace("{", "{{")
        .replace("}", "}}")
    )
    text = (
        "Which schedule for digits at K = {K:int} steps of hf? {schedules:int} of them, each at the best T found, by the "
        "exact error on the Gaussian with the digits' mean and covariance. The numerically optimised grid gives "
        "{best_error:.4g}, {best_share:.3g} of the data's scale {scale:.4g}; the best named schedule is {gain:.4f} "
        "times that, the best process on its uniform grid {uniform:.4f} times, and the worst, {worst}, "
        "{worst_factor:.3g} times. Where the process is `any`, the scheme sees the grid in λ alone.\n\n"
        "What this says and does not say: " + said
    )
    drawn = Figure(
        "chooser",
        curves.svg(ranking_figure(ranking), "cho"),
        f"Exact W2 of {len(rows)} schedules on digits as points on one logarithmic axis, best on top, with the factor "
        "to the best.",
        "Each schedule at the best T found; the factor is to the best.",
        {
            key: [row[key] for row in rows]
            for key in ("rank", "process", "grid", "sigma_max", "error", "factor")
        },
        f"wbound choose --data digits --steps {K} --top {len(rows)} --figure chooser.svg",
    )
    columns = (
        Column("rank", "rank", "int"),
        Column("process", "process"),
        Column("grid", "grid"),
        Column("T", "T found", ".4g", "forward time; — where the scheme sees the clock alone"),
        Column("sigma_max", "σ_max", ".4g", "√λ(T), where the sampler starts, pixel units"),
        Column("error", "exact W2", ".5g", "from p_T, plus what the prior start changes; pixel units"),
        Column("factor", "× best", ".4f"),
        Column("steps", "steps for 5 %", "int", "steps that bring the error to 5 % of the data's scale"),
    )
    command = f"wbound choose --data digits --steps {K} --eps-rel {EPS_REL:g}"
    table = Table(
        "rows", f"Schedules for digits at K = {K}", columns, csv="chooser-table.csv", command=command
    )
    return Part(content, (Prose(text), Figures((drawn,)), table))
