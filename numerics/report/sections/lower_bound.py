"""Section: Proposition 1's floor, and the tuned point where its naive form fails."""

from __future__ import annotations

import math

from numerics.figures import curves, lower_bound
from numerics.report.blocks import Column, Context, Figure, Figures, Part, Prose, Table
from numerics.studies.lower_bound import cancellation, floor_check
from numerics.studies.slopes import geometric

__all__ = ["build"]


def build(context: Context) -> Part:
    """The part of this section."""
    at = geometric(10.0, 1e4, 7) if context.quick else geometric(10.0, 1e5, 13)
    check = floor_check(3, 1.0, at)
    tuned = cancellation(3, math.sqrt(2.0), 50)
    columns = check.columns()
    rows = [
        {name: int(v) if name == "K" else v for name, v in zip(columns, row, strict=True)}
        for row in zip(*(values.tolist() for values in columns.values()), strict=True)
    ]
    for row in rows:
        row["ratio"] = row["exact"] / row["floor"]
        row["prior_ratio"] = row["prior"] / row["floor"]
    content = {
        "d": check.d,
        "sigma0": check.sigma0,
        "lam_T": check.lam_T,
        "process": check.process.name,
        "rows": rows,
        "slopes": check.slopes,
        "closest": check.closest,
        "lowest_prior": min(row["prior_ratio"] for row in rows),
        "cancellation": {
            "sigma0_squared": tuned.sigma0**2,
            "K": tuned.K,
            "lam_T": tuned.lam_T,
            "prior": tuned.prior,
            "exact": tuned.exact,
            "floor": tuned.floor,
            "below": bool(tuned.prior < 1e-6),
        },
    }
    text = (
        "Data N(0, σ_0² I) with σ_0 = {sigma0:g}, d = {d}, scheme hf, λ(T) = {lam_T:g}. From the exact "
        "start p_T the error of K steps, of any forward process on any grid, is at least the floor "
        "(Proposition 1, Eq. 11); it falls as K to the power {slopes.exact:.3f} on the grid uniform in "
        "w^(-1/2), which reaches the floor up to a factor {closest:.5f}.\n\n"
        "From the prior start this needs a proviso: the start's own term has the other sign. At σ_0² = "
        "{cancellation.sigma0_squared:g}, K = {cancellation.K:int}, a root finder gives λ(T) = "
        "{cancellation.lam_T:.9f}, where W2 from the prior is {cancellation.prior:.1e}, while from p_T it "
        "is {cancellation.exact:.6f}, above the floor {cancellation.floor:.6f}. And on the far grid of the "
        "table W2 from the prior is {lowest_prior:.5f} times the floor at the lowest."
    )
    drawn = (
        Figure(
            "lower-bound",
            curves.svg(lower_bound.floor_figure(check), "low"),
            "Exact W2 of hf against the number of steps, both axes logarithmic: the grid uniform in w to "
            "the power minus one half runs into the lower bound from above; a uniform time grid stays "
            "parallel to it.",
            "Slopes: {slopes.exact:.4f} (gaussian grid, from p_T), {slopes.prior:.4f} (prior), "
            "{slopes.uniform_exact:.4f} (uniform grid of vp-linear), {slopes.floor:.4f} (floor).",
            columns,
            "wbound lower-bound --d 3 --sigma0 1 --figure lower-bound.svg",
        ),
        Figure(
            "cancellation",
            curves.svg(lower_bound.cancellation_figure(tuned), "can"),
            "Exact W2 from the prior start against the clock at the end, both axes logarithmic: a sharp dip "
            "to zero near ten, below the floor that holds for the exact start.",
            "K = {cancellation.K:int}, σ_0² = {cancellation.sigma0_squared:g}: the naive lower bound fails "
            "at one tuned λ(T).",
            {"lam_T": tuned.curve[0], "W2_from_the_prior": tuned.curve[1]},
            "wbound lower-bound --sigma0 2**0.5 --K-tuned 50 --json",
        ),
    )
    table = Table(
        "rows",
        "W2 of hf: floor and exact values",
        (
            Column("K", "K", "int"),
            Column("floor", "floor (Eq. 11)", ".5g"),
            Column("exact", "gaussian grid, from p_T", ".5g"),
            Column("ratio", "over the floor", ".5f"),
            Column("prior", "from the prior", ".5g"),
            Column("prior_ratio", "over the floor", ".5f"),
            Column("uniform_exact", "uniform in t, from p_T", ".5g"),
            Column("uniform_prior", "from the prior", ".5g"),
        ),
        command="wbound lower-bound --d 3 --sigma0 1",
        csv="lower-bound-table.csv",
    )
    return Part(content, (Prose(text), Figures(drawn), table))
