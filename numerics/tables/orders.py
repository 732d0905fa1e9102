"""The three-column table of orders, published | derived | measured, as records and as text (section 8).

Records are what is stored: `load` reads those that come with the package, with their date; ``wbound table
--measured --format json -o FILE`` makes them anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import sympy as sp

from numerics.io import terminal
from numerics.io.table_writers import booktabs_table, markdown_table
from numerics.io.writing import csv_text
from numerics.tables.formulas import formula_latex, formula_text
from wbound.complexity.order_formulas import X
from wbound.complexity.orders_measured import D_AT, DIMENSIONS, EPS_AT, EPSILONS, TOLERANCE
from wbound.complexity.orders_published import Cell
from wbound.complexity.orders_table import Row

__all__ = [
    "COLUMNS",
    "HEADS",
    "MARKS",
    "RENEW",
    "as_markdown",
    "columns_text",
    "flat",
    "load",
    "record",
    "records",
]

COLUMNS = ("K", "eta", "M")
#: How a published cell stands to the derived one.
MARKS = {
    "agrees": "=",
    "sufficient": "> needed",
    "insufficient": "< needed",
    "derived": "",
    "not recognised": "?",
}
#: The command that renews the stored records.
RENEW = "wbound table --measured --format json -o numerics/report/results/orders.json"
#: Titles of the flat table.
HEADS = {
    "process": "process",
    "theorem": "Theorem",
    "K_published": "K, published",
    "K_derived": "K, derived",
    "K_verdict": "",
    "K_measured": "K, measured",
    "eta_published": "η, published",
    "eta_derived": "η, derived",
    "M_published": "M, published",
    "M_derived": "M, derived",
    "M_verdict": "",
    "T_derived": "T, derived",
    "T_measured": "T, measured",
    "agree": "powers agree",
    "notes": "notes",
}
FORMULAS = tuple(key for key in HEADS if key.endswith(("_published", "_derived")))


def record(row: Row) -> dict[str, Any]:
    """One row as plain values: orders as text, powers as numbers."""
    cells = {}
    for name in COLUMNS:
        cell = row.cell(name)
        cells[name] = {
            "published": None if cell.published is None else str(cell.published),
            "derived": None if cell.derived is None else str(cell.derived),
            "verdict": cell.verdict,
            "powers_agree": cell.powers_agree,
            "logs_agree": cell.logs_agree,
            "footnote": cell.footnote,
        }
    m = row.measured
    measured = None
    if m is not None:
        names = ("K_eps", "K_d", "T_eps", "T_d")
        measured = dict(zip(names, m.powers, strict=True)) | {
            "derived": None if m.derived is None else dict(zip(names, m.derived, strict=True)),
            "gap": m.gap,
            "agree": m.agree,
            "points": [vars(point) for point in m.points],
        }
    return {
        "process": row.process,
        "theorem": row.theorem,
        "start": row.orders.start,
        "scheme": row.orders.scheme,
        "recognised": row.orders.recognised,
        "T": None if row.orders.T is None else str(row.orders.T),
        "cells": cells,
        "measured": measured,
        "why_not_measured": row.why or None,
        "notes": list(row.orders.notes),
    }


def records(rows: Sequence[Row], seconds: float, version: str) -> dict[str, Any]:
    """The table as one object, with its date and how it was made."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seconds": round(seconds, 1),
        "version": version,
        "renew": RENEW,
        "epsilons": {"values": list(EPSILONS), "d": D_AT},
        "dimensions": {"values": list(DIMENSIONS), "eps": EPS_AT},
        "tolerance": TOLERANCE,
        "rows": [record(row) for row in rows],
    }


def load() -> dict[str, Any]:
    """The records that come with the package."""
    text = resources.files("numerics.report").joinpath("results", "orders.json").read_text("utf-8")
    stored: dict[str, Any] = json.loads(text)
    return stored


def powers(measured: Mapping[str, Any] | None, name: str) -> str | None:
    """The fitted powers of K or T in words."""
    if measured is None:
        return None
    return f"d^{measured[f'{name}_d'] + 0.0:.3f} ε^{measured[f'{name}_eps'] + 0.0:.3f}"


def flat(rows: Sequence[Row]) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of the table by the keys of `HEADS`, formulas still sympy, and the numbered footnotes."""
    out, notes = [], []
    for row in rows:
        plain = record(row)
        numbers = []
        for name in COLUMNS:
            note = row.cell(name).footnote
            if note:
                if note not in notes:
                    notes.append(note)
                numbers.append(notes.index(note) + 1)
        line: dict[str, Any] = {"process": row.process, "theorem": int(row.number)}
        for name in COLUMNS:
            cell = row.cell(name)
            line |= {f"{name}_published": cell.published, f"{name}_derived": cell.derived}
            line[f"{name}_verdict"] = MARKS.get(cell.verdict, cell.verdict)
        line["T_derived"] = row.orders.T
        measured = plain["measured"]
        line |= {f"{name}_measured": powers(measured, name) for name in ("K", "T")}
        line["agree"] = None if measured is None else measured["agree"]
        line["notes"] = ", ".join(map(str, sorted(set(numbers))))
        out.append({key: line[key] for key in HEADS})
    return out, notes


_X = sp.Symbol("x", positive=True)


def in_x(order: sp.Expr) -> sp.Expr:
    """An order with √d/ε inside logarithms written x."""
    return order.replace(sp.log, lambda inner: sp.log(inner.subs(X, _X)))


def short(value: Any) -> str:
    """An order for the terminal."""
    return formula_text(in_x(value) if isinstance(value, sp.Expr) else value)


def columns_text(rows: Sequence[Row], kind: str, width: int | None = None) -> str:
    """The table as "text", "markdown", "latex" (booktabs) or "csv", with its footnotes; ``width``: characters
    that a table of the text may take, beyond which it is several."""
    if kind == "markdown":
        return as_markdown(rows)
    table, notes = flat(rows)
    if kind == "latex":
        return _latex(table, notes)
    shown = []
    for row in table:
        line = dict(row)
        for key in FORMULAS:
            if row[key] is not None:
                own = kind == "text" and key.endswith("_derived")
                line[key] = short(row[key]) if own else formula_text(row[key])
        shown.append(line)
    if kind == "csv":
        return csv_text({key: [row[key] for row in shown] for key in HEADS})
    parts = _tabulated(shown, width)
    parts.append(
        "x = √d/ε. = the published cell agrees; > needed: it asks for more than the bound needs; < needed: "
        "for less."
    )
    known = [r["agree"] for r in shown if r["agree"] is not None]
    if known:
        parts.append(
            f"Measured: K and T of wbound iterations, ε from {EPSILONS[0]:g} to {EPSILONS[-1]:g} at "
            f"d = {D_AT}, d from {DIMENSIONS[0]} to {DIMENSIONS[-1]:g} at ε = {EPS_AT:g}, logarithms at "
            f"their derived powers. {sum(known)} of {len(known)} rows agree within {TOLERANCE:g}."
        )
    parts += [f"[{i}] {note}" for i, note in enumerate(notes, 1)]
    return "\n\n".join(parts)


def _tabulated(shown: Sequence[Mapping[str, Any]], width: int | None) -> list[str]:
    """A table for each theorem."""
    parts = []
    for number in sorted({row["theorem"] for row in shown}):
        mine = [row for row in shown if row["theorem"] == number]
        keys = [k for k in HEADS if k not in ("theorem", "agree")]
        keys = [k for k in keys if any(row[k] not in (None, "") for row in mine)]
        cells = [["—" if row[k] is None else str(row[k]) for k in keys] for row in mine]
        table = terminal.table([HEADS[k] for k in keys], cells, width=width)
        parts.append(f"Theorem {number}\n\n{table}")
    return parts


def _latex(table: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> str:
    """A booktabs table of K and M, published, derived and measured; notes as comments below."""
    heads = {
        "process": "process",
        "theorem": "Theorem",
        "K_published": "$K$, published",
        "K_derived": "derived",
        "K_measured": "measured",
        "M_published": "$M$, published",
        "M_derived": "derived",
    }
    if not any(row["K_measured"] for row in table):
        del heads["K_measured"]

    def cell(key: str, value: Any) -> str:
        if value is None:
            return "--"
        if key == "process":
            return rf"\texttt{{{value}}}"
        if key == "K_measured":
            in_d, in_eps = str(value).split(" ")
            return f"$d^{{{in_d[2:]}}}\\varepsilon^{{{in_eps[2:]}}}$"
        return str(value) if key == "theorem" else f"${formula_latex(value)}$"

    caption = r"Orders of $K$ and $M$ in $d$ and $\varepsilon$: published, derived, measured."
    cells = ((cell(key, row[key]) for key in heads) for row in table)
    text = booktabs_table(caption, "l" * len(heads), heads.values(), cells)
    return "\n".join([text, *(f"% [{i}] {note}" for i, note in enumerate(notes, 1))])


def as_markdown(rows: Iterable[Row], names: Iterable[str] | None = None) -> str:
    """The rows as a Markdown table with LaTeX cells (x = √d/ε) and numbered notes.

    ``names`` replace the processes'. Marks beside a published cell: = the derivation agrees, > the cell asks
    for more than needed, < for less.
    """
    rows = list(rows)
    labels = [r.process for r in rows] if names is None else list(names)
    head = ["process", "Theorem", "$T$", "$K$", "$\\eta$", "$M$"]
    with_measured = any(r.measured is not None or r.why for r in rows)
    head += ["measured"] if with_measured else []
    lines, notes = [], list[str]()
    for label, row in zip(labels, rows, strict=True):
        cells = [label, row.number, _markdown(row.orders.T)]
        cells += [_cell(row.cell(column), notes) for column in ("K", "eta", "M")]
        cells += [_measured(row)] if with_measured else []
        lines.append(cells)
    return (
        "\n\n".join([markdown_table(head, lines), *(f"[{i}] {note}" for i, note in enumerate(notes, 1))])
        + "\n"
    )


def _cell(cell: Cell, notes: list[str]) -> str:
    text = _markdown(cell.derived)
    if cell.published is not None and cell.agree is not None:
        text += (
            " (= published)"
            if cell.agree
            else f" ({MARKS[cell.verdict].removesuffix(' needed')} published {_markdown(cell.published)})"
        )
    if cell.footnote:
        if cell.footnote not in notes:
            notes.append(cell.footnote)
        text += f" [{notes.index(cell.footnote) + 1}]"
    return text


def _markdown(e: sp.Expr | None) -> str:
    if e is None:
        return "not recognised"
    names = {sp.Symbol("epsilon", positive=True): r"\varepsilon"}
    return f"${sp.latex(in_x(e), symbol_names=names, root_notation=False, fold_frac_powers=True)}$"


def _measured(row: Row) -> str:
    m = row.measured
    if m is None:
        return f"none: {row.why}" if row.why else ""
    verdict = {True: f", agrees within {TOLERANCE:g}", False: ", does not agree", None: ""}[m.agree]
    return (
        f"$K\\sim d^{{{m.K_d:.3f}}}\\varepsilon^{{{m.K_eps:.3f}}}$, "
        f"$T\\sim d^{{{m.T_d:.3f}}}\\varepsilon^{{{m.T_eps:.3f}}}${verdict}"
    )
