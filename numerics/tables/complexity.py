"""Orders and the complexity table as text, Markdown, LaTeX, CSV and MathML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from numerics.io import terminal
from numerics.io.table_writers import booktabs_table, markdown_table
from numerics.io.writing import csv_text
from numerics.tables.formulas import formula_latex, formula_text
from wbound.complexity.tables import table_data

__all__ = ["TITLES", "complexity_text", "fewest"]

#: Titles of the complexity table's columns, plain and in LaTeX.
TITLES: dict[str, tuple[str, str]] = {
    "process": ("process", "process"),
    "published_K": ("published K", "published $K$"),
    "published_M": ("published M", "published $M$"),
    "published_eta": ("published η", r"published $\eta$"),
    "K_published": ("K, Theorem 1", r"$K$, Theorem 1"),
    "T_published": ("T", "$T$"),
    "K_sharp": ("K, Theorem 2", r"$K$, Theorem 2"),
    "T_sharp": ("T", "$T$"),
    "K_heun": ("K, Theorem 7", r"$K$, Theorem 7"),
    "T_heun": ("T", "$T$"),
    "K_exact": ("K, exact", r"$K$, exact"),
    "T_exact": ("T", "$T$"),
}


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _latex_number(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= 10**4:
        grouped = f"{value:,}".replace(",", r"\,")
        return f"${grouped}$"
    return f"${_number(value)}$"


def _latex(rows: list[dict[str, Any]], values: Mapping[str, float], aligned: str) -> str:
    """A booktabs table."""
    names = list(rows[0])
    given = ", ".join(
        f"${symbol} = {values[key]:g}$"
        for key, symbol in (("d", "d"), ("eps", r"\varepsilon"), ("m0", "m_0"), ("L0", "L_0"))
    )
    caption = (
        r"Steps that bring the 2-Wasserstein error below $\varepsilon$: published orders, and"
        rf" numbers at {given}, scheme \texttt{{em}} (Theorem 7: \texttt{{heun-lambda}}, two calls of the score a step);"
        " exact: for the worst centred Gaussian with these $d$, $m_0$,"
        " $L_0$ and second moment."
    )

    def cell(name: str, value: Any) -> str:
        if name == "process":
            return rf"\texttt{{{value}}}"
        if name.startswith("published_"):
            return f"${formula_latex(value)}$"
        return "--" if value is None else _latex_number(value)

    cells = ((cell(name, row[name]) for name in names) for row in rows)
    return booktabs_table(caption, aligned, (TITLES.get(name, (name, name))[1] for name in names), cells)


def plain(value: Any) -> Any:
    """A cell as a plain value: int, float, None for what is missing, anything else as it is."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and value != value else value


def complexity_text(
    records: Iterable[Mapping[str, Any]], kind: str, values: Mapping[str, float], width: int | None = None
) -> str:
    """`wbound.complexity.tables.complexity_rows` as "text", "markdown", "latex" (booktabs) or "csv".

    records: the rows; values: d, eps, m0, L0, for the caption; width: characters that a text table may
    take, beyond which it is several.
    """
    rows = [{str(k): plain(v) for k, v in row.items()} for row in records]
    aligned = "".join("l" if k == "process" or k.startswith("published_") else "r" for k in rows[0])
    if kind == "latex":
        return _latex(rows, values, aligned)
    shown = [
        {k: formula_text(v) if k.startswith("published_") else v for k, v in row.items()} for row in rows
    ]
    if kind == "csv":
        return csv_text({name: [row[name] for row in shown] for name in shown[0]})
    cells = [["—" if v is None else _number(v) for v in row.values()] for row in shown]
    names = [TITLES.get(name, (name, name))[0] for name in shown[0]]
    if kind == "markdown":
        return markdown_table(names, cells, aligned)
    given = ", ".join(f"{key} = {value:g}" for key, value in values.items())
    sides = ["left" if side == "l" else "right" for side in aligned]
    table = terminal.table(names, cells, sides, width)
    best = fewest(rows)
    return (
        f"Steps K of em that bring W2 below eps; {given}, centred\n\n{table}\n\n"
        "Theorem 7: heun-lambda, two calls of the score a step\n"
        f"exact: for the worst centred Gaussian with\n{_facts(values)}.\n"
        f"Fewest steps: {best['process']} (K, exact = {best['K_exact']})."
    )


def _facts(values: Mapping[str, float]) -> str:
    """What the table's Gaussians have in common."""
    moment = table_data(int(values["d"]), values["m0"], values["L0"]).second_moment
    return f"variances from {1.0 / values['L0']:g} to {1.0 / values['m0']:g} and E|X_0|^2 = {moment:g}"


def fewest(rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The row of the complexity table that needs the fewest steps by the exact law; of equals the first."""
    return min(rows, key=lambda row: int(row["K_exact"]))
