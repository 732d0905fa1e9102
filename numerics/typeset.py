"""Orders and the complexity table as text, Markdown, LaTeX, CSV and MathML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from numerics.figures import csv_text

__all__ = ["TITLES", "complexity_text", "formula_latex", "formula_mathml", "formula_text"]

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
    "K_exact": ("K, exact", r"$K$, exact"),
    "T_exact": ("T", "$T$"),
}


def formula_text(value: Any) -> str:
    """An order for the terminal: powers with ^, ε for epsilon."""
    return str(value).replace("**", "^").replace("epsilon", "ε")


def formula_latex(value: Any) -> str:
    """An order in LaTeX, without the dollars."""
    if isinstance(value, sp.Expr):
        return str(
            sp.latex(value, symbol_names={sp.Symbol("epsilon", positive=True): r"\varepsilon"})
        ).replace(r"\epsilon", r"\varepsilon")
    return rf"\text{{{value}}}"


def formula_mathml(value: sp.Expr) -> str:
    """An order as MathML, which browsers set without a script."""
    from sympy.printing.mathml import mathml

    body = mathml(value, printer="presentation", fold_short_frac=False)
    return f"<math>{body}</math>"


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _latex_number(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= 10**4:
        grouped = f"{value:,}".replace(",", r"\,")
        return f"${grouped}$"
    return f"${_number(value)}$"


def _latex(rows: list[dict[str, Any]], values: Mapping[str, float]) -> str:
    """A booktabs table."""
    names = list(rows[0])
    aligned = "".join("l" if name == "process" or name.startswith("published_") else "r" for name in names)
    given = ", ".join(
        f"${symbol} = {values[key]:g}$"
        for key, symbol in (("d", "d"), ("eps", r"\varepsilon"), ("m0", "m_0"), ("L0", "L_0"))
    )
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\caption{Steps that bring the 2-Wasserstein error below $\varepsilon$: published orders, and numbers"
        f" at {given}.}}",
        r"\centering\small",
        rf"\begin{{tabular}}{{{aligned}}}",
        r"\toprule",
        " & ".join(TITLES.get(name, (name, name))[1] for name in names) + r" \\",
        r"\midrule",
    ]
    for row in rows:
        cells = []
        for name in names:
            value = row[name]
            if name == "process":
                cells.append(rf"\texttt{{{value}}}")
            elif name.startswith("published_"):
                cells.append(f"${formula_latex(value)}$")
            else:
                cells.append("--" if value is None else _latex_number(value))
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def plain(value: Any) -> Any:
    """A cell of the frame as a plain value: int, float, None for what is missing, anything else as it is."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and value != value else value


def complexity_text(frame: Any, kind: str, values: Mapping[str, float]) -> str:
    """`wbound.complexity_table` as "text", "markdown", "latex" (booktabs) or "csv".

    frame: the pandas frame; values: d, eps, m0, L0, for the caption.
    """
    rows = [{str(k): plain(v) for k, v in row.items()} for row in frame.to_dict("records")]
    if kind == "latex":
        return _latex(rows, values)
    shown = [
        {k: formula_text(v) if k.startswith("published_") else v for k, v in row.items()} for row in rows
    ]
    if kind == "csv":
        return csv_text(
            {name: ["" if row[name] is None else row[name] for row in shown] for name in shown[0]}
        )
    from tabulate import tabulate

    cells = [["—" if v is None else _number(v) for v in row.values()] for row in shown]
    names = [TITLES.get(name, (name, name))[0] for name in shown[0]]
    right = ["left" if k == "process" or k.startswith("published_") else "right" for k in shown[0]]
    style = "pipe" if kind == "markdown" else "simple"
    out = tabulate(cells, headers=names, tablefmt=style, disable_numparse=True, colalign=right)
    if kind == "markdown":
        return str(out)
    given = ", ".join(f"{key} = {value:g}" for key, value in values.items())
    return f"Steps K that bring W2 below eps; {given}, centred data\n\n{out}"
