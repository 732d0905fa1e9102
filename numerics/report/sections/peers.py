"""Section: every published bound that can be evaluated in one setting, beside the truth, and what each calls best."""

from __future__ import annotations

from typing import Any

from numerics.report.blocks import Column, Context, Part, Prose, Table
from numerics.studies.bounds_compared import LAWS, Peers, called_best, law_named, peers, rising_beta

__all__ = ["build"]

#: The schedules compared: a of β_a, and T and K, of Strasman et al.'s public configuration.
A, T, K = (-10.0, -5.0, 0.0, 5.0, 10.0), 1.0, 100


def build(context: Context) -> Part:
    """The part of this section."""
    among = A[2:4] if context.quick else A
    tables: dict[str, dict[float, Peers]] = {
        name: {a: peers(rising_beta(a), law_named(name), T, K) for a in among} for name in LAWS
    }
    rows: list[dict[str, Any]] = []
    best: list[dict[str, Any]] = []
    for name, by in tables.items():
        linear = by[0.0]
        rows += [{"law": name} | row.to_dict() | {"of": f"{row.scheme}, {row.start}"} for row in linear.rows]
        called = called_best(by, [row.statement for row in linear.rows])
        best.append({"law": name} | {key: None if a is None else f"{a:g}" for key, a in called.items()})
    by_name = {(row["law"], row["statement"]): row for row in rows}
    ratios = [row["ratio"] for row in rows if row["statement"] == "theorem-2"]
    data: dict[str, Any] = {
        "T": T,
        "K": K,
        "among": ", ".join(f"{a:g}" for a in among),
        "rows": rows,
        "best": best,
        "least": min(ratios),
        "most": max(ratios),
        "theirs": by_name["heteroscedastic", "modified-score-bound"]["ratio"],
        "worst": by_name["heteroscedastic", "theorem-1"]["bound"],
    }
    text = (
        "One setting, every bound that can be evaluated in it: the public configuration of Strasman et al. (arXiv "
        "2402.04650), β(t) = 0.1 + 19.9 (e^(at) - 1)/(e^a - 1), T = {T:g}, K = {K:int} uniform steps, Gaussian data in 10 "
        "dimensions, the exact score. A bound is about one sampler, and stands beside the exact W2 of that one. Theorem 2 "
        "is {least:.3g} to {most:.3g} times the truth here, the bound after Strasman et al. {theirs:.2g} times on the "
        "second law, and Theorem 1, the published theorem of this page, is {worst:.1g} there, the largest of all: its "
        "time-regularity constant stands in an exponent. The bound after Strasman et al. is derived again in section 19 of "
        "the theory; on the third law its own hypothesis fails, and its value is no bound there.\n\n"
        "The second table asks the other way: which a does each bound call best of {among}, and which is best for the "
        "scheme ei by its exact law?"
    )
    shown = Table(
        "rows",
        "Bounds beside the exact value of the sampler that each is about, a = 0",
        (
            Column("law", "data"),
            Column("name", "bound"),
            Column("of", "of"),
            Column("bound", "W2 at most", ".3g"),
            Column("exact", "exact", ".3g"),
            Column("ratio", "ratio", ".3g"),
            Column("holds", "its hypotheses hold"),
        ),
        command="wbound peers",
        csv="peers.csv",
    )
    names = {row["statement"]: row["name"] for row in rows}
    chosen = Table(
        "best",
        "The a that each calls best",
        (
            Column("law", "data"),
            *(Column(key, name) for key, name in names.items()),
            Column("exact", "the exact law of ei"),
        ),
        command="wbound peers",
        csv="peers-best.csv",
    )
    return Part(data, (Prose(text), shown, chosen))
