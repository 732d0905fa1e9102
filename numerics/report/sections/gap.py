"""Section: from Õ(d/ε²) and Ω(√d/ε) to one number: K·ε/(σ_0√d) of exact laws, bounds and the floor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numerics.figures import curves
from numerics.figures.schedules import BEST, gap_figure
from numerics.figures.style import MUTED, colour
from numerics.report.blocks import Column, Context, Figure, Figures, Part, Prose, Table
from numerics.studies.gap import SHARE, gap_closed

__all__ = ["build"]

#: Lines of the figure that has room for Theorem 1.
WIDE = ("theorem_1", "theorem_2", "ve-constant", "optimal")


def build(context: Context) -> Part:
    """The part of this section."""
    gap = gap_closed(np.geomspace(1e-1, 1e-3 if context.quick else 1e-4, 3 if context.quick else 7))
    rows: list[dict[str, Any]] = []
    for line in gap.lines:
        over = gap.over_floor(line.key)
        rows.append(
            {
                "key": line.key,
                "what": line.label,
                "kind": line.kind,
                "K": int(line.K[-1]),
                "value": float(line.values[-1]),
                "over": float(over[-1]),
                "least": float(over.min()),
                "most": float(over.max()),
            }
        )
    index = {row["key"]: i for i, row in enumerate(rows)}
    exact = [row for row in rows if row["kind"] == "exact"]
    content = {
        "d": gap.d,
        "variance": gap.sigma0**2,
        "share": 100.0 * SHARE,
        "u_first": float(gap.u[0]),
        "u_last": float(gap.u[-1]),
        "varrho_last": float(gap.varrho[-1]),
        "floor_first": float(gap.floor[0]),
        "floor_last": float(gap.floor[-1]),
        "compared": len(exact) * gap.u.size,
        "below": int(sum((gap.over_floor(row["key"]) < 1.0).sum() for row in exact)),
        "reached": rows[index["gaussian"]]["over"],
        "optimal": rows[index["optimal"]]["over"],
        "theorem_2": rows[index["theorem_2"]]["over"],
        "theorem_2_most": rows[index["theorem_2"]]["most"],
        "theorem_1": rows[index["theorem_1"]]["over"],
        "rows": rows,
    }
    text = (
        "How many steps does W2 ≤ ε need? The published bounds leave it between √d/ε and d/ε². Here the data "
        "are N(0, σ_0² I), σ_0² = {variance:g}, d = {d:int}, the scheme is hf from the exact start p_T, and "
        "steps are counted as K ε/(σ_0√d): Eq. 12 says that this is at least 4(1 - ϱ)²/(2 + u), u = ε/(σ_0√d), "
        "for any forward process on any grid, which tends to 2(1 - ϱ)². For each ε, λ(T) is where a prior "
        "start would add {share:g} % of ε, so ϱ falls to {varrho_last:.3g} and the floor rises from "
        "{floor_first:.4g} to {floor_last:.4g}.\n\n"
        "Of {compared:int} exact values {below:int} lie below the floor. The grid uniform in w^(-1/2) reaches it: "
        "{reached:.5f} times the floor at the smallest ε. The optimal clock of section 7, which is made for "
        "Theorem 2, takes {optimal:.4f} times the floor, and Theorem 2 itself on that clock never asks for more "
        "than {theorem_2_most:.4f} times it, within the 3/2 that section 7 promises. Theorem 1 asks for "
        "{theorem_1:.3g} times it, and the factor grows as √d/ε."
    )
    end = f"from {gap.u[0]:g} to {gap.u[-1]:g}"
    shown = [line.key for line in gap.lines if line.key != "theorem_1"]
    drawn = (
        Figure(
            "gap",
            curves.svg(gap_figure(gap, WIDE), "gap"),
            f"K times ε over σ_0 √d against u {end}, both axes logarithmic. Theorem 1 rises steeply; ve-constant "
            "rises half as steeply; Theorem 2 on the optimal clock and the exact law on it stay flat, just above "
            "the floor.",
            "Theorem 1 asks for d/ε²; the truth and Theorem 2 on the optimal clock are √d/ε.",
            gap.columns(),
            "wbound lower-bound --view gap --figure gap.svg",
        ),
        Figure(
            "gap-floor",
            curves.svg(gap_figure(gap, shown, over=True), "gpf"),
            f"Steps over the steps of the floor against u {end}. The gaussian grid runs into 1, the optimal clock "
            "stays near it, Theorem 2 on the optimal clock stays below 3/2; the processes with an exponential clock "
            "stay below 3/2 or slightly above, those with a polynomial clock rise.",
            "The same as a multiple of the floor. Exact values are above 1, all of them.",
            {"u": gap.u} | {key: gap.over_floor(key) for key in shown},
            "wbound lower-bound --view gap --over --figure gap-floor.svg",
        ),
    )
    columns = (
        Column("what", "clock or bound"),
        Column("kind", "kind"),
        Column("K", "K", "int", "steps at the smallest ε"),
        Column("value", "K ε/(σ_0√d)", ".5g", "at the smallest ε"),
        Column("over", "over the floor", ".5g", "at the smallest ε"),
        Column("least", "least", ".5g", "over all ε"),
        Column("most", "most", ".5g", "over all ε"),
    )
    shades = [
        MUTED if line.key == "theorem_1" else colour(line.process) if line.process else BEST
        for line in gap.lines
    ]
    table = Table(
        "rows",
        "Steps for ε against the floor",
        columns,
        csv="gap-table.csv",
        command="wbound lower-bound --view gap --json",
        colours=shades,
    )
    assert math.isfinite(content["theorem_1"])
    return Part(content, (Prose(text), Figures(drawn), table))
