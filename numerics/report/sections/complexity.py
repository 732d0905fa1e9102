"""Section: the complexity table."""

from __future__ import annotations

from typing import Any

import sympy as sp

from numerics.figures.curves import colour
from numerics.report.blocks import Column, Context, Folded, Part, Prose, Table
from numerics.tables.complexity import fewest, plain
from numerics.tables.formulas import formula_mathml, formula_text
from wbound.complexity.tables import complexity_rows, table_data

__all__ = ["build"]

#: The table's default data: centred, variances between 1 and 4.
GIVEN: dict[str, Any] = {"d": 10, "eps": 0.1, "m0": 0.25, "L0": 1.0}
FORMULAS = ("published_K", "published_eta", "published_M")


def build(context: Context) -> Part:
    """The part of this section."""
    records = complexity_rows(**GIVEN, progress=lambda name: context.say(f"    {name}"))
    rows: list[dict[str, Any]] = []
    markup: dict[tuple[int, str], str] = {}
    for i, record in enumerate(records):
        row = {str(key): plain(value) for key, value in record.items()}
        for key in FORMULAS:
            if isinstance(row[key], sp.Expr):
                markup[i, key] = formula_mathml(row[key])
            row[key] = formula_text(row[key])
        rows.append(row)
    best, data = fewest(rows), table_data(GIVEN["d"], GIVEN["m0"], GIVEN["L0"])
    content = {
        **GIVEN,
        "least": 1.0 / data.L0,
        "most": 1.0 / data.m0,
        "mean": data.second_moment / data.d,
        "rows": rows,
        "best": best["process"],
        "published": best["K_published"],
        "sharp": best["K_sharp"],
        "exact": best["K_exact"],
        "gain": best["K_published"] / best["K_sharp"],
    }
    text = (
        "To bring W2 below ε = {eps:g} for every centred Gaussian in d = {d:int} dimensions whose variances lie between "
        "{least:g} and {most:g}, {mean:g} on average, em on a uniform grid needs {exact:int} steps with {best}, the fewest "
        "of the eight; for it Theorem 2 asks for {sharp:int} and Theorem 1, the published one, for {published:int}.\n\n"
        "Each number is the least K at the best forward time T found, from the prior. Both theorems hold for all centred "
        "data under [[A1]], with m_0 = {m0:g} and L_0 = {L0:g}, and this second moment. Exact: W2 from the exact start "
        "p_T plus what "
        "the prior start changes, for the worst of those Gaussians."
    )
    columns = (
        Column("process", "process"),
        Column("published_K", "the paper's K", "", "the order of the published table"),
        Column("K_published", "K, Theorem 1", "int"),
        Column("K_sharp", "K, Theorem 2", "int"),
        Column("K_heun", "K, Theorem 7", "int", "heun-lambda, two calls of the score a step"),
        Column("K_exact", "K, exact", "int", "for the worst of these Gaussians"),
    )
    more = (
        Column("process", "process"),
        Column("published_eta", "published η"),
        Column("published_M", "published M", "", "the score error that the published theorem allows"),
        Column("T_published", "T, Theorem 1", ".4g"),
        Column("T_sharp", "T, Theorem 2", ".4g"),
        Column("T_heun", "T, Theorem 7", ".4g"),
        Column("T_exact", "T, exact", ".4g"),
    )
    command, shades = (
        "wbound table --d 10 --eps 0.1 --m0 0.25 --L0 1",
        [colour(str(row["process"])) for row in rows],
    )
    table = Table(
        "rows",
        "Steps that bring W2 below ε",
        columns,
        command=command,
        csv="complexity.csv",
        markup=markup,
        colours=shades,
    )
    rest = Table(
        "rows", "The paper's η and M, and T", more, csv="complexity-more.csv", markup=markup, colours=shades
    )
    return Part(
        content,
        (
            Prose(text),
            table,
            Folded("The paper's step size η and score error M, and the T of each K", (rest,)),
        ),
    )
