"""The three-column table of orders: published | derived | measured, with agreement per cell and footnotes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sympy as sp

from wbound.complexity.order_formulas import Orders, X, derive
from wbound.complexity.orders_measured import TOLERANCE, Measured, measured_orders
from wbound.complexity.orders_published import Cell, compare
from wbound.errors import WboundError
from wbound.forward.catalogue import PUBLISHED, process
from wbound.forward.forward_process import Process
from wbound.sampler.scheme import scheme_named
from wbound.theory.statements import upper_bound

__all__ = ["ROWS", "Row", "as_markdown", "order_rows"]

#: The processes of the table.
ROWS = (*PUBLISHED, "sub-vp", "optimal")


@dataclass(frozen=True)
class Row:
    """One process under one theorem: the derived orders, each cell beside the published one, the measurement.

    ``measured`` is None where it was not asked for or not possible; ``why`` says so.
    """

    process: str
    theorem: str
    orders: Orders
    cells: tuple[Cell, ...]
    measured: Measured | None
    why: str = ""

    @property
    def number(self) -> str:
        """The theorem's: 3 of an ODE scheme."""
        return upper_bound(self.theorem, self.orders.scheme).name.removeprefix("Theorem ")

    def cell(self, column: str) -> Cell:
        """The cell of column "K", "eta" or "M"."""
        return next(c for c in self.cells if c.column == column)


def order_rows(
    processes: Iterable[Process] | None = None,
    *,
    theorems: Iterable[str] = ("published", "sharp"),
    measured: bool = False,
    start: str = "prior",
    scheme: str = "em",
) -> list[Row]:
    """A `Row` for each process and theorem. Kind: *order*

    processes: default the eight published rows, sub-vp and optimal at their default parameters. measured: fit
    the powers of K and T as well (`measured_orders`, cached). Source: docs/theory.md, section 8.
    """
    chosen = [process(name) for name in ROWS] if processes is None else list(processes)
    theorems = tuple(theorems)
    rows = []
    for p in chosen:
        for theorem in theorems:
            own = scheme if upper_bound(theorem, scheme).takes(scheme_named(scheme)) else "em"
            found, why = None, ""
            if measured:
                try:
                    found = measured_orders(p, theorem, start, own)
                except WboundError as error:
                    why = str(error)
            rows.append(
                Row(
                    p.name,
                    theorem,
                    derive(p, theorem, start, own),
                    compare(p, theorem, start, own),
                    found,
                    why,
                )
            )
    return rows


_MARKS = {"agrees": "=", "sufficient": ">", "insufficient": "<"}
_SHORT = {sp.Symbol("epsilon", positive=True): r"\varepsilon"}


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
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    notes: list[str] = []
    for label, row in zip(labels, rows, strict=True):
        cells = [label, row.number, _latex(row.orders.T)]
        cells += [_cell(row.cell(column), notes) for column in ("K", "eta", "M")]
        cells += [_measured(row)] if with_measured else []
        lines.append("| " + " | ".join(cells) + " |")
    for i, note in enumerate(notes, 1):
        lines += ["", f"[{i}] {note}"]
    return "\n".join(lines) + "\n"


def _cell(cell: Cell, notes: list[str]) -> str:
    text = _latex(cell.derived)
    if cell.published is not None and cell.agree is not None:
        text += (
            " (= published)"
            if cell.agree
            else f" ({_MARKS[cell.verdict]} published {_latex(cell.published)})"
        )
    if cell.footnote:
        if cell.footnote not in notes:
            notes.append(cell.footnote)
        text += f" [{notes.index(cell.footnote) + 1}]"
    return text


def _latex(e: sp.Expr | None) -> str:
    if e is None:
        return "not recognised"
    x = sp.Symbol("x", positive=True)
    short = e.replace(sp.log, lambda inner: sp.log(inner.subs(X, x)))
    return f"${sp.latex(short, symbol_names=_SHORT, root_notation=False, fold_frac_powers=True)}$"


def _measured(row: Row) -> str:
    m = row.measured
    if m is None:
        return f"none: {row.why}" if row.why else ""
    verdict = {True: f", agrees within {TOLERANCE:g}", False: ", does not agree", None: ""}[m.agree]
    return (
        f"$K\\sim d^{{{m.K_d:.3f}}}\\varepsilon^{{{m.K_eps:.3f}}}$, "
        f"$T\\sim d^{{{m.T_d:.3f}}}\\varepsilon^{{{m.T_eps:.3f}}}${verdict}"
    )
