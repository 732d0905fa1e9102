"""Section: the complexity table."""

from __future__ import annotations

from typing import Any

import sympy as sp

from numerics.figures.curves import colour
from numerics.report.blocks import Column, Context, Part, Prose, Table
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
        "Published: the orders of the paper's table, as data. Numbers: the smallest K, with the best T found, "
        "that brings the bound below ε = {eps:g} for centred data in d = {d:int} with m_0 = {m0:g}, L_0 = "
        "{L0:g}, scheme em. Exact: the smallest K for which W2 from p_T plus the difference made by the "
        "prior start is at most ε for every centred Gaussian with variances from 1/L_0 = {least:g} to 1/m_0 = "
        "{most:g}, {mean:g} on average; on one isotropic Gaussian, or from the prior start alone, errors may "
        "cancel. By the exact law {best} needs the fewest steps, {exact:int}."
    )
    columns = (
        Column("process", "process"),
        Column("published_K", "published K"),
        Column("published_eta", "published η"),
        Column("published_M", "published M", "", "the score error that the published theorem allows"),
        Column("K_published", "K, Theorem 1", "int"),
        Column("T_published", "T", ".4g"),
        Column("K_sharp", "K, Theorem 2", "int"),
        Column("T_sharp", "T", ".4g"),
        Column("K_exact", "K, exact", "int", "for the worst of these Gaussians"),
        Column("T_exact", "T", ".4g"),
    )
    table = Table(
        "rows",
        "Steps that bring W2 below ε",
        columns,
        command="wbound table --d 10 --eps 0.1 --m0 0.25 --L0 1",
        csv="complexity.csv",
        markup=markup,
        colours=[colour(str(row["process"])) for row in rows],
    )
    return Part(content, (Prose(text), table))
