"""Writes docs/published-measured.md: what was measured beside the published table; no number is typed.

Run as ``python docs/published_numbers.py`` (about a minute); a test computes the first table and the derived
orders again and holds the page to them.
"""

from __future__ import annotations

from pathlib import Path

import wbound
from numerics.tables.orders import as_markdown

PAGE = Path(__file__).with_name("published-measured.md")
#: (d, ε) of the tables; the first is checked by a test
CELLS = ((10, 0.1), (10, 0.01), (1000, 0.1))

HEAD = r"""# Measured: the published table in numbers

This page is written by `python docs/published_numbers.py`. What the columns mean, and why they differ, is on
the page [what the published table says](published-table.md).

## Steps

The smallest $K$ with $W_2\le\varepsilon$ and its $T$, on the uniform grid from the prior start with the best
$T$, for centred data with $m_0=\frac14$, $L_0=1$, $\|X_0\|^2=\frac52d$, and the scheme `em`: by
[Theorem 1](#theorem-1) (with $M_1$ of the Gaussian half of whose variances are 4 and half 1), by
[Theorem 2](#theorem-2), and by the exact law of the worst Gaussian with these facts
([definition](#exact-iterations)). The last two tables have one and the same $x=\sqrt d/\varepsilon$, and hardly
differ.
"""
ORDERS = r"""
## Orders

Derived from $f$ and $g$ alone, with $x=\sqrt d/\varepsilon$, beside the published cell: `=` they agree, `>`
the cell asks for more than is needed, `<` for less. Measured: powers of $d$ and $\varepsilon$ in
$K(\varepsilon)$ and $T$ by regression over $\varepsilon=10^{-4},10^{-8},10^{-12}$ and $d=1,10^3,10^6$, with the
powers of the logarithms held at their derived values.

"""


def steps_table(d: int, eps: float) -> str:
    """`wbound.complexity_table` as Markdown."""
    table = wbound.complexity_table(d=d, eps=eps)
    head = ("process", *(f"{x}, {by}" for by in ("Theorem 1", "Theorem 2", "exact") for x in ("$K$", "$T$")))
    lines = ["| " + " | ".join((*head, "Th. 1 / Th. 2", "Th. 2 / exact")) + " |", "|---" + "|---:" * 8 + "|"]
    for row in table.itertuples():
        numbers = [
            text
            for by in ("published", "sharp", "exact")
            for text in (f"{getattr(row, f'K_{by}'):,}".replace(",", " "), f"{getattr(row, f'T_{by}'):.3f}")
        ]
        ratios = [f"{row.K_published / row.K_sharp:.3g}", f"{row.K_sharp / row.K_exact:.2f}"]
        lines.append("| " + " | ".join((f"`{row.process}`", *numbers, *ratios)) + " |")
    return "\n".join(lines) + "\n"


def orders_table(measured: bool) -> str:
    """`wbound.order_rows` of the eight published processes as Markdown."""
    rows = wbound.order_rows([wbound.process(name) for name in wbound.PUBLISHED], measured=measured)
    return as_markdown(rows)


def main() -> None:
    """Write the page."""
    parts = [HEAD]
    for d, eps in CELLS:
        parts.append(f"\n### d = {d}, ε = {eps:g}\n\n{steps_table(d, eps)}")
    parts += [ORDERS, orders_table(measured=True)]
    PAGE.write_text("".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
