"""The three-column table of orders: published | derived | measured, with agreement per cell and footnotes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wbound.complexity.order_formulas import Orders, derive
from wbound.complexity.orders_measured import Measured, measured_orders
from wbound.complexity.orders_published import Cell, compare
from wbound.errors import WboundError
from wbound.forward.catalogue import PUBLISHED, process
from wbound.forward.forward_process import Process
from wbound.sampler.scheme import scheme_named
from wbound.theory.statements import upper_bound

__all__ = ["ROWS", "Row", "order_rows"]

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
