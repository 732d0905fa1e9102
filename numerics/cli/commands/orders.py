"""wbound orders, tolerance: orders of K, η, M, derived and measured; how accurate the score must be."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from numerics.cli import options as o
from numerics.cli import words
from numerics.cli.option_groups import EpsOptions, FactOptions, ProcessOptions, grouped
from numerics.cli.output import aligned, emit, emit_table
from numerics.cli.progress import announcing

#: How the three-column table can be written.
FORMATS = ("text", "markdown", "latex", "csv", "json")


@grouped
def orders(
    given: ProcessOptions,
    theorem: o.TheoremOrBoth = "published",
    start: Annotated[str, o.word("--start", "prior or centred.")] = "prior",
    scheme: o.SchemeName = "em",
    measured: Annotated[
        bool, typer.Option("--measured", help="Measure the powers too (cached; seconds the first time).")
    ] = False,
    json: o.Json = False,
) -> None:
    """Orders of K, η, M in d and ε, derived.

    From f and g alone, up to constant factors, as ε → 0; beside the published cells for the eight, and beside
    the powers measured from K(ε) with --measured.

    \b
    Examples:
      wbound orders --f 0 --g "(1+t)**3" --theorem sharp
      wbound orders --process ve-constant --theorem both --measured
    """
    from numerics.tables import orders as threecolumn
    from wbound import orders as derive
    from wbound.complexity.orders_table import order_rows

    chosen, named = given.made, theorems(theorem)
    if measured or theorem == "both":
        rows = order_rows([chosen], theorems=named, measured=measured, start=start, scheme=scheme)
        records = [threecolumn.record(row) for row in rows]
        payload = {"process": chosen.name, "rows": records}
        emit(payload, json, lambda: threecolumn.columns_text(rows, "text"), gaps(records))
        return
    answer = derive(chosen, theorem, start, scheme)
    names = ("K", "eta", "M", "T")
    single = {
        "process": chosen.name,
        "theorem": answer.theorem,
        "start": answer.start,
        "scheme": answer.scheme,
        "recognised": answer.recognised,
        **{name: None if (v := getattr(answer, name)) is None else str(v) for name in names},
        "text": answer.text,
        "slopes": dict(answer.slopes) if answer.slopes else None,
        "notes": answer.notes,
    }
    why = "; ".join(answer.notes) or "the class of f and g is not recognised"
    reasons = {**dict.fromkeys(names, why), "slopes": "the orders are derived"}
    emit(single, json, lambda: "\n".join([answer.text, *answer.notes]), reasons)


def theorems(text: str) -> tuple[str, ...]:
    """The theorems that --theorem means. Raises `BadInput`."""
    from wbound.errors import one_of

    one_of("theorem", text, (*words.THEOREMS, "both"))
    return words.THEOREMS if text == "both" else (text,)


def gaps(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Why cells of records are null."""
    reasons = {}
    for i, row in enumerate(rows):
        reasons[f"rows.{i}.why_not_measured"] = "measured" if row["measured"] else "not asked for"
        reasons[f"rows.{i}.measured"] = row["why_not_measured"] or "not asked for: --measured"
        reasons[f"rows.{i}.T"] = "; ".join(row["notes"]) or "not recognised"
        for name in row["cells"]:
            for key in ("published", "powers_agree", "logs_agree"):
                reasons[f"rows.{i}.cells.{name}.{key}"] = "no published row"
            reasons[f"rows.{i}.cells.{name}.derived"] = "not recognised"
        for key in ("derived", "gap", "agree"):
            reasons[f"rows.{i}.measured.{key}"] = "nothing derived to compare with"
    return reasons


def three_columns(theorem: str, chosen: Any, measured: bool, kind: str, out: str | None) -> None:
    """The table of orders of the ten processes, and the user's own if there is one."""
    from numerics.tables import orders as threecolumn
    from wbound import __version__, process
    from wbound.complexity.orders_table import ROWS, order_rows

    began = time.perf_counter()
    wanted = [process(name) for name in ROWS if chosen is None or name != chosen.name]
    wanted += [chosen] if chosen is not None else []
    rows = []
    announce = announcing("orders", len(wanted))
    for p in wanted:
        announce(p.name)
        rows += order_rows([p], theorems=theorems(theorem), measured=measured)
    payload = threecolumn.records(rows, time.perf_counter() - began, __version__)
    reasons = gaps(payload["rows"])
    emit_table(payload, kind, out, lambda width: threecolumn.columns_text(rows, kind, width), reasons)


@grouped
def tolerance(
    given: ProcessOptions,
    target: EpsOptions,
    facts: FactOptions,
    theorem: o.Theorem = "sharp",
    scheme: o.SchemeName = "em",
    start: o.Start = "prior",
    share: Annotated[str, o.numeric("--share", "The part of ε that the score may take, in (0, 1].")] = "1",
    json: o.Json = False,
) -> None:
    """How accurate the score must be for ε.

    The largest score error M (A3, in 1/x) that leaves ε in the theorem's reach: below it some K and T bring its
    bound to ε, at or above it none do (W2 itself may be smaller). Beside it the order of M in d and ε, derived and,
    for the eight, published.

    \b
    Example:
      wbound tolerance --process vp-linear --eps 0.1 --d 10 --m0 1 --L0 1 --mean-norm 0
    """
    from numerics.schedules.candidates import twin
    from wbound import orders as derive
    from wbound.complexity.order_formulas import STEPS_OF_SDE
    from wbound.complexity.orders_published import compare
    from wbound.complexity.tolerance_search import score_tolerance
    from wbound.errors import one_of
    from wbound.sampler.scheme import scheme_named
    from wbound.theory.statements import upper_bound

    chosen, data = given.made, facts.made
    eps = target.of(data)
    one_of("theorem", theorem, words.THEOREMS)
    M = score_tolerance(
        chosen, data, eps, theorem=theorem, scheme=scheme, start=start, share=o.required("share", share)
    )
    centred = "centred" if theorem == "sharp" and data.mean_norm == 0.0 else "prior"
    by, flow = upper_bound(theorem, scheme), scheme_named(scheme).flow
    # M's order does not depend on the SDE scheme, nor on the ODE scheme
    own = scheme if scheme in STEPS_OF_SDE else twin(scheme)
    order = derive(chosen, theorem, centred, own, measure=False).M
    cell = next(c for c in compare(chosen, theorem, centred, own) if c.column == "M")
    payload: dict[str, Any] = {
        "process": chosen.name,
        "parameters": chosen.parameters,
        "theorem": theorem,
        "scheme": scheme,
        "start": start,
        "eps": eps,
        "share": o.required("share", share),
        "M": M,
        "order": None if order is None else str(order),
        "published": None if cell.published is None else str(cell.published),
        "verdict": cell.verdict,
        "footnote": cell.footnote,
        "scale": o.scale_of(data),
    }
    reasons = {
        "order": "the class of f and g is not recognised",
        "published": "the published orders are of the SDE" if flow else "no published row",
        "scale": "the mean is not known: give --mean-norm",
    }

    def text() -> str:
        rows: list[tuple[str, Any, str]] = [
            ("M", M, f"1/x: the score error (A3) below which some K brings the bound to ε = {eps:g}"),
        ]
        rows.append(("order", payload["order"], "derived, in d and ε"))
        if cell.published is not None:
            rows.append(("published", payload["published"], cell.verdict))
        lines = [f"{chosen.name}, {by.name}; {o.scale_text(data)}", ""]
        return "\n".join([*lines, aligned(rows), *(["", cell.footnote] if cell.footnote else [])])

    emit(payload, json, text, reasons)
