"""A note in LaTeX: statements with hypotheses and citations, tables (booktabs), figures at column width, and the command
behind each of them; it compiles with Debian's texlive-latex-recommended."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from numerics.figures.lower_bound import affine_figure
from numerics.figures.output import save
from numerics.figures.schedules import gap_figure
from numerics.io.locks import locked
from numerics.io.table_writers import booktabs_table
from numerics.io.writing import write
from numerics.report.sections.environment import LIBRARIES, commit
from numerics.studies.bounds_compared import LAWS, called_best, law_named, peers, rising_beta
from numerics.studies.errors_on_a_spectrum import error_table, power_law
from numerics.studies.floors_by_sampler import floor_columns
from numerics.studies.gap import gap_closed
from numerics.tables.complexity import complexity_text
from wbound.complexity.tables import complexity_rows
from wbound.forward.catalogue import process
from wbound.theory.statements import STATEMENTS

__all__ = ["STATED", "escaped", "pieces", "write_paper"]

#: The statements of the note, in their order.
STATED = (
    *("theorem-1", "theorem-2", "eq-9-prime", "theorem-3", "theorem-7", "modified-score-bound"),
    *("exact-law", "eq-12", "theorem-6"),
)
#: Characters that LaTeX reads as commands, or that its oldest engine does not know, as it takes them in text.
SPELLED = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%#_{}$"},
    "^": r"\^{}",
    "~": r"\~{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "′": "$'$",
    "″": "$''$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "ε": r"$\varepsilon$",
    "κ": r"$\kappa$",
    "λ": r"$\lambda$",
    "σ": r"$\sigma$",
    "Σ": r"$\Sigma$",
    "√": r"$\surd$",
    "²": r"$^2$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "−": r"$-$",
    "‖": r"$\|$",
    "–": "--",
}
HEAD = r"""\documentclass[10pt,twocolumn]{article}
\usepackage[utf8]{inputenc}
\usepackage[letterpaper,textwidth=7in,textheight=9.2in,columnsep=0.2in]{geometry}
\usepackage{amsmath,amssymb,booktabs,graphicx}
\usepackage[hidelinks]{hyperref}
\newsavebox{\widebox}
% a formula or a table, no wider than the column
\newcommand{\kept}{\ifdim\wd\widebox>\linewidth\resizebox{\linewidth}{!}{\usebox{\widebox}}\else\usebox{\widebox}\fi}
\newcommand{\fit}[1]{\sbox{\widebox}{$\displaystyle #1$}\kept}
\newcommand{\stated}[3]{\medskip\noindent\textbf{#1.} \emph{Kind:} #2. #3\par}
\sloppy
\begin{document}
"""


def escaped(text: str) -> str:
    """Plain text for LaTeX. Raises `ValueError` for a character beyond ASCII that it has no word for."""
    out = "".join(SPELLED.get(c, c) for c in text)
    unknown = sorted({c for c in out if ord(c) > 126 and not c.isalpha()})
    if unknown:
        raise ValueError(f"no LaTeX for {unknown}")
    return out


def pieces(formula: str) -> list[str]:
    """A formula cut before each sign at its outermost level, for a narrow column: together they are the formula."""
    out, start, depth, i = [], 0, 0, 0
    while i < len(formula):
        word = re.match(r"\\(left|right)(?![a-zA-Z])|\\[a-zA-Z]+|\\.|[{}]| [+-] ", formula[i:])
        text = word[0] if word else formula[i]
        if text in ("{", r"\left"):
            depth += 1
        elif text in ("}", r"\right"):
            depth -= 1
        elif text in (" + ", " - ") and depth == 0 and i > start:
            out.append(formula[start:i])
            start = i + 1
        i += len(text)
    return [*out, formula[start:]]


def _number(value: float | None, digits: int = 3) -> str:
    if value is None:
        return "--"
    text = f"{value:.{digits}g}"
    mantissa, e, power = text.partition("e")
    return f"${mantissa}\\cdot10^{{{int(power)}}}$" if e else f"${text}$"


def _statements() -> Iterable[str]:
    for id in STATED:
        s = STATEMENTS[id]
        named = ", ".join(escaped(h.name) for h in s.hypotheses)
        yield rf"\stated{{{escaped(s.name[0].upper() + s.name[1:])}}}{{{s.kind}}}{{Hypotheses: {named}.}}"
        yield r"\smallskip\noindent " + r"\\[2pt]".join(rf"\fit{{{part}}}" for part in pieces(s.latex))
        yield rf"\smallskip\noindent\emph{{{escaped(s.citation)}.}}\par"


def _fitted(table: str, *, wide: bool = False) -> str:
    """A table that is no wider than its column; ``wide``: over both columns."""
    table = table.replace(r"\begin{tabular}", "\\begin{lrbox}{\\widebox}\n\\begin{tabular}")
    table = table.replace(r"\end{tabular}", "\\end{tabular}\n\\end{lrbox}\n\\kept")
    star = "*" if wide else ""
    return table.replace(r"\begin{table}", rf"\begin{{table{star}}}[tb]").replace(
        r"\end{table}", rf"\end{{table{star}}}"
    )


def _command(words: str) -> str:
    return rf"\texttt{{{escaped(words)}}}"


def _peers_tables() -> str:
    rows: list[list[str]] = []
    best: list[list[str]] = []
    several = (-10.0, -5.0, 0.0, 5.0, 10.0)
    for name in LAWS:
        tables = {a: peers(rising_beta(a), law_named(name), 1.0, 100) for a in several}
        for row in tables[0.0].rows:
            rows.append(
                [
                    name,
                    escaped(row.name),
                    rf"\texttt{{{row.scheme}}}, {row.start}",
                    *map(_number, (row.bound, row.exact, row.ratio)),
                    "no" if row.fails else "yes",
                ]
            )
        called = called_best(tables, [row.statement for row in tables[0.0].rows])
        best.append([name, *("--" if a is None else f"${a:g}$" for a in called.values())])
        heads = [row.short for row in tables[0.0].rows]
    shown = booktabs_table(
        r"Bounds beside the exact value of the sampler that each is about, on the public configuration of Strasman et al. (arXiv "
        r"2402.04650): $\beta$ linear from 0.1 to 20, $T=1$, $K=100$, $d=10$. Where hypotheses fail the value is no bound. "
        + _command("wbound peers"),
        "lllrrrl",
        ["data", "bound", "of", r"$W_2\leq$", "exact", "ratio", "hypotheses hold"],
        rows,
    )
    chosen = booktabs_table(
        r"The $a$ of $\beta(t)=0.1+19.9(e^{at}-1)/(e^a-1)$, of $-10,-5,0,5,10$, that each bound calls best, and that is best by "
        r"the exact law of \texttt{ei}. " + _command("wbound peers"),
        "l" + "r" * (len(heads) + 1),
        ["data", *heads, "exact"],
        best,
    )
    return _fitted(shown, wide=True) + "\n" + _fitted(chosen)


def _spectrum_table() -> str:
    vp, stops, Ks = process("vp-linear", a=19.9, b=0.1), (0.0, 1e-3), (49, 249)
    found = {(r.sampler, r.K, r.eps): r.w2 for r in error_table(vp, power_law(), 1.0, Ks, eps=stops)}
    rows = [
        [rf"\texttt{{{name}}}", str(K) if K else r"$\infty$", *(_number(found[name, K, at]) for at in stops)]
        for name, K in dict.fromkeys(key[:2] for key in found)
    ]
    caption = (
        r"Exact $W_2$ on a Gaussian with spectrum $100\,k^{-1.72}$, $d=3072$, from $N(0,I)$, $\beta$ linear from 0.1 to 20, in "
        r"the rows of Pierret \& Galerne (arXiv 2405.14250); output as it is. "
        + _command("wbound gaussian-errors")
    )
    heads = ["sampler", "$K$", *(rf"$\varepsilon={at:g}$" for at in stops)]
    return _fitted(booktabs_table(caption, "lrrr", heads, rows))


def _figure(name: str, caption: str, words: str) -> str:
    return (
        r"\begin{figure}[tb]\centering"
        rf"\includegraphics[width=\columnwidth]{{{name}.pdf}}"
        rf"\caption{{{caption} {_command(words)}}}\end{{figure}}"
    )


def _versions() -> str:
    rows = [["Python", platform.python_version()], ["commit", escaped(commit() or "not in a repository")]]
    for name in LIBRARIES:
        try:
            rows.append([name, escaped(metadata.version(name))])
        except metadata.PackageNotFoundError:
            rows.append([name, "not installed"])
    table = booktabs_table("Versions with which every number was computed.", "ll", ["what", "version"], rows)
    return _fitted(table)


def write_paper(
    out: Path | str,
    *,
    quick: bool = False,
    say: Callable[[str], None] = lambda line: None,
    wrote: Callable[[Path], None] = lambda path: None,
) -> Path:
    """Write the note, note.tex with its figures as PDF, into the folder ``out``; returns the path of note.tex.

    quick: fewer points in the figures; say, wrote: as `numerics.report.page.build`. ``pdflatex note.tex`` makes the PDF. Raises
    `IOFailure`.
    """
    values: dict[str, Any] = {"d": 10, "eps": 0.1, "m0": 1.0, "L0": 1.0}
    with locked(out) as folder:
        say("[1/4] steps for the eight processes")
        steps = _fitted(complexity_text(complexity_rows(**values), "latex", values), wide=True)
        say("[2/4] bounds beside the exact values")
        compared = _peers_tables()
        say("[3/4] exact errors on a spectrum")
        spectrum = _spectrum_table()
        say("[4/4] figures")
        gap = gap_closed(np.geomspace(1e-1, 1e-3 if quick else 1e-4, 3 if quick else 7))
        lines = [line.key for line in gap.lines if line.key != "theorem_1"]
        wrote(save(gap_figure(gap, lines, "column"), folder / "gap.pdf"))
        wrote(save(affine_figure(floor_columns(1e6, 20 if quick else 100), "column"), folder / "floors.pdf"))
        text = "\n\n".join(
            [
                HEAD
                + r"\title{Bounds, exact values and floors of diffusion samplers in $W_2$}"
                + rf"\author{{computed by \texttt{{wbound}} {escaped(metadata.version('wbound'))}}}\date{{}}\maketitle",
                r"Every number below is computed, none is sampled. $W_2$ is never squared and in the data's units. A statement "
                "is cited with its hypotheses; what is said to be derived here is proved in the toolkit's page on the theory, "
                "and no priority is claimed. Symbols are those of that page.",
                r"\section*{Statements}",
                *_statements(),
                r"\section*{Numbers}",
                steps,
                compared,
                spectrum,
                _figure(
                    "gap",
                    r"$K\varepsilon/(\sigma_0\sqrt d)$ of \texttt{hf} from $p_T$ on $N(0,\sigma_0^2I)$: exact laws, Theorem 2 "
                    "and the floor (Eq. 12).",
                    "wbound lower-bound --view gap",
                ),
                _figure(
                    "floors",
                    r"What \texttt{hf}, \texttt{ddim} and every affine sampler cannot go below at the worst spectrum of Gaussian "
                    r"data, $\kappa=10^6$.",
                    "wbound lower-bound --sampler affine --kappa 1e6",
                ),
                r"The table of steps: " + _command("wbound table --format latex") + ".",
                _versions(),
                r"\end{document}",
            ]
        )
        note = write(folder / "note.tex", text + "\n")
        wrote(note)
        return note
