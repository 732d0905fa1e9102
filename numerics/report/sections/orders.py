"""Section: the three-column table of orders, and d/ε² against √d/ε; measured powers are stored results."""

from __future__ import annotations

from typing import Any

import sympy as sp

from numerics.figures import curves
from numerics.figures.curves import colour
from numerics.figures.schedules import orders_figure, span
from numerics.report.blocks import Column, Context, Figure, Figures, Part, Prose, Table
from numerics.tables import orders
from numerics.tables.formulas import formula_mathml, formula_text
from wbound.complexity.orders_table import order_rows

__all__ = ["build"]

#: Marks of the notes: letters, since the page's numbers are all numbers of its data.
LETTERS = "abcdefghijklmnopqrstuvwxyz"
FORMULAS = tuple(key for key in orders.HEADS if key.endswith(("_published", "_derived")))
NAMES = {1: "Theorem 1, d/ε²", 2: "Theorem 2, √d/ε"}


def build(context: Context) -> Part:
    """The part of this section."""
    stored = orders.load()
    measured = {(row["process"], row["theorem"]): row["measured"] for row in stored["rows"]}
    derived = order_rows()
    table, notes = orders.flat(derived)
    rows: list[dict[str, Any]] = []
    markup: dict[tuple[int, str], str] = {}
    lines: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    for i, (row, line) in enumerate(zip(derived, table, strict=True)):
        found = measured.get((row.process, row.theorem))
        out = dict(line)
        for key in FORMULAS:
            if isinstance(line[key], sp.Expr):
                markup[i, key] = formula_mathml(line[key])
            out[key] = None if line[key] is None else formula_text(line[key])
        for name in ("K_d", "K_eps", "T_d", "T_eps"):
            out[name] = None if found is None else found[name] + 0.0
        out["gap"] = None if found is None else found["gap"]
        out["agree"] = None if found is None else "yes" if found["agree"] else "no"
        out["notes"] = ", ".join(LETTERS[int(n) - 1] for n in line["notes"].split(", ") if n) or None
        rows.append(out)
        if found is not None:
            at = [p for p in found["points"] if p["d"] == stored["epsilons"]["d"]]
            at = [p for p in at if p["eps"] in stored["epsilons"]["values"]]
            at.sort(key=lambda p: -float(p["eps"]))
            lines[line["theorem"]].append(
                {
                    "name": row.process,
                    "eps": [p["eps"] for p in at],
                    "K": [p["K"] for p in at],
                    "power": found["K_eps"],
                }
            )
    first = [row for row in rows if row["theorem"] == 1 and row["K_published"] is not None]
    known = [row["agree"] for row in rows if row["agree"] is not None]
    gaps = [row["gap"] for row in rows if row["gap"] is not None]
    content = {
        "rows": rows,
        "notes": notes,
        "date": stored["date"],
        "renew": stored["renew"],
        "seconds": stored["seconds"],
        "tolerance": stored["tolerance"],
        "published": len(first),
        "powers": sum(
            c.powers_agree is True for r in derived if r.theorem == "published" for c in [r.cell("K")]
        ),
        "logs": sum(bool(c.agree) for r in derived if r.theorem == "published" for c in [r.cell("K")]),
        "measured": len(known),
        "agree": known.count("yes"),
        "largest_gap": max(gaps, default=None),
        "eps_first": max(stored["epsilons"]["values"]),
        "eps_last": min(stored["epsilons"]["values"]),
        "d_last": max(stored["dimensions"]["values"]),
    }
    text = (
        "For any f and g the orders of T, K, η and M follow from the growth of the clock and of the theorem's sums, "
        "by sympy's limits. For Theorem 1 the derived K equals the published one in its powers in {powers:int} rows "
        "of {published:int}, and in its logarithms too in {logs:int}; a note explains each disagreement. Theorem 2 "
        "asks for √d/ε where Theorem 1 asks for d/ε².\n\n"
        "Measured: powers fitted to K(ε), which is found at any size, for ε from {eps_first:.0e} to {eps_last:.0e} "
        "and d up to {d_last:int}, logarithms at their derived powers. {agree:int} of {measured:int} rows agree "
        "within {tolerance:g}; the largest gap is {largest_gap:.4f}. These are stored results of {date}; renew them, "
        "in {seconds:.0f} s, with `" + stored["renew"] + "`."
    )
    ranged = span([*lines[1], *lines[2]])
    under = f"\nd = {stored['epsilons']['d']}, m_0 = L_0 = 1; em; best T found"
    drawn = [
        Figure(
            f"orders-{number}",
            curves.svg(orders_figure(lines[number], NAMES[number] + under, ranged), f"or{number}"),
            f"Steps that Theorem {number} asks for against ε, at d = {stored['epsilons']['d']}, both axes "
            "logarithmic, a line a process; the table gives the fitted powers.",
            f"K(ε) of Theorem {number}, d = {stored['epsilons']['d']}, m_0 = L_0 = 1.",
            {"eps": lines[number][0]["eps"]} | {line["name"]: line["K"] for line in lines[number]},
            "wbound table --measured --json",
        )
        for number in (1, 2)
    ]
    columns = (
        Column("process", "process"),
        Column("theorem", "Theorem", "int"),
        Column("K_published", "K, published"),
        Column("K_derived", "K, derived"),
        Column("K_verdict", "published K is"),
        Column("notes", "notes"),
        Column("K_d", "measured: d to the", ".3f", "fitted power of d in K"),
        Column("K_eps", "ε to the", ".3f", "fitted power of ε in K"),
        Column(
            "agree", "measured agrees", "", f"all powers within {stored['tolerance']:g} of the derived ones"
        ),
        Column("T_derived", "T, derived"),
        Column("T_eps", "ε to the", ".3f", "fitted power of ε in T"),
        Column("M_published", "M, published"),
        Column("M_derived", "M, derived"),
        Column("M_verdict", "published M is"),
        Column("eta_published", "η, published"),
        Column("eta_derived", "η, derived"),
    )
    blocks = (
        Prose(text),
        Figures(drawn),
        Table(
            "rows",
            "Orders in d and ε; = the published cell is the derived one",
            columns,
            command="wbound table --measured",
            csv="orders.csv",
            markup=markup,
            colours=[colour(row["process"]) for row in rows],
        ),
        Prose("\n\n".join(f"({LETTERS[i]}) {_literal(note)}" for i, note in enumerate(notes))),
    )
    return Part(content, blocks)


def _literal(text: str) -> str:
    """Text that `Prose` shows as it is."""
    return (
        text.replace("{", "{{")
        .replace("}", "}}")
        .replace("**", "^")
        .replace("epsilon", "ε")
        .replace("(t)^", "t^")
    )
