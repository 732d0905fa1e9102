"""Section: the processes' clocks, and where processes and grids put their nodes in λ."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numerics.figures import curves
from numerics.figures.schedules import clock_figure, nodes_figure
from numerics.report.blocks import Column, Context, Figure, Figures, Part, Prose, Table
from numerics.schedules.grid_comparison import side_by_side
from wbound.data.log_concave import LogConcave
from wbound.forward.catalogue import PUBLISHED, process

__all__ = ["build"]

K, FAR = 20, 1e3


def build(context: Context) -> Part:
    """The part of this section."""
    data = LogConcave(1, 1.0, 1.0, 1.0, 0.0)
    found = side_by_side(data, K, FAR, objective="exact")
    processes = [process(name) for name in (*PUBLISHED, "sub-vp", "optimal")]
    rows: list[dict[str, Any]] = [
        {
            "schedule": lane.name,
            "nodes": {"process": "uniform in t", "grid": "grid", "optimum": "optimised"}[lane.kind],
            "exact": lane.exact,
            "factor": lane.factor,
            "theorem_2": lane.theorem_2,
            "below_1": int((lane.lam[:-1] < 1.0).sum()),
        }
        for lane in found.lanes
    ]
    named = [row for row in rows if row["nodes"] != "optimised"]
    content = {
        "K": K,
        "lam_T": FAR,
        "floor": found.floor,
        "best": named[0]["schedule"],
        "best_factor": named[0]["factor"],
        "worst": named[-1]["schedule"],
        "worst_factor": named[-1]["factor"],
        "rows": rows,
    }
    text = (
        "All forward processes are one heat flow, read with different clocks λ(t) = σ²/α². Side by side with the "
        "same λ(T) = {lam_T:g} data variances they differ in where they spend their time, and a uniform grid in t "
        "turns that into nodes in λ. For N(0, 1), hf and K = {K:int} steps from p_T, the best named schedule, "
        "{best}, is {best_factor:.4f} times the numerically optimal grid, and the worst, {worst}, is "
        "{worst_factor:.3g} times; no grid is below {floor:.5g} (Eq. 11)."
    )
    share = np.linspace(0.0, 1.0, 101)
    clock_columns = {"share": share} | {
        p.name: p.lam(float(p.time_of(math.log(FAR))[()]) * share) for p in processes
    }
    drawn = (
        Figure(
            "clocks",
            curves.svg(clock_figure(processes, math.log(FAR), 1.0), "clk"),
            "The clock of each process against the share of forward time, the clock logarithmic. Polynomial clocks "
            "rise at once and then slowly; exponential ones rise as straight lines; the optimal clock lies among "
            "the variance-preserving ones.",
            "λ(t) in units of the data's variance, at the same λ(T).",
            clock_columns,
            f"wbound optimal --view clocks --lam-max {FAR:g} --figure clocks.svg",
        ),
        Figure(
            "nodes",
            curves.svg(nodes_figure(found), "nod"),
            f"The {K} nodes of each schedule on one logarithmic axis of the clock, best schedule on top; at the right "
            "its exact W2 over the optimum's. The best put their nodes around the data's variance, the worst far "
            "above it.",
            "Nodes in λ, best schedule on top; the factor is exact W2 over the numerical optimum's.",
            {"k": np.arange(K + 1)} | {lane.name: lane.lam for lane in found.lanes},
            f"wbound optimal --K {K} --d 1 --lam-max {FAR:g} --objective exact --figure nodes.svg",
        ),
    )
    columns = (
        Column("schedule", "schedule"),
        Column("nodes", "nodes"),
        Column("exact", "exact W2", ".5g"),
        Column("factor", "× optimum", ".4g", "exact W2 over that of the numerically optimal grid"),
        Column("theorem_2", "Theorem 2", ".5g"),
        Column("below_1", "nodes below the variance", "int", "nodes with λ > 0 below the data's variance"),
    )
    command = f"wbound optimal --K {K} --d 1 --lam-max {FAR:g} --objective exact"
    table = Table("rows", f"Schedules of {K} steps", columns, csv="clocks-table.csv", command=command)
    return Part(content, (Prose(text), Figures(drawn), table))
