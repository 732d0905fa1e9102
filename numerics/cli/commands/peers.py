"""wbound peers: every bound of one setting side by side, others' included, and which schedule each calls best."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

from numerics.cli import options as o
from numerics.cli.option_groups import MaybeProcess, TargetOptions, grouped
from numerics.cli.output import aligned, emit, grid_table, keep, placed

if TYPE_CHECKING:
    from numerics.studies.bounds_compared import Peers

#: The a of the schedules where none are given: those of the public configuration.
EVERY_A = "-10,-5,0,5,10"


@grouped
def peers(
    *,
    given: MaybeProcess,
    T: o.T = "1",
    K: Annotated[str, o.steps("Number of steps, uniform in t.")] = "100",
    law: Annotated[
        str | None,
        o.word(
            "--law",
            "Data of the public configuration of Strasman et al.: isotropic, heteroscedastic, correlated "
            "(default: all three).",
            metavar="NAME[,NAME…]",
        ),
    ] = None,
    on: TargetOptions,
    a: Annotated[
        str | None,
        o.word(
            "--a",
            f"Schedules β(t) = .1 + 19.9(e^(at) − 1)/(e^(aT) − 1) to choose from ({EVERY_A}), where no process is given.",
            metavar="LIST",
        ),
    ] = None,
    scheme: o.SchemeName = "ei",
    start: o.Start = "standard",
    out: o.Numbers = None,
    json: o.Json = False,
) -> None:
    """Every bound of one setting beside the truth.

    Ours and others': Theorems 1, 2, 3 and 7, the bound after Strasman et al. (arXiv 2402.04650), ‖X_0‖, the exact W2 and
    the floors, on Gaussian data with the exact score. A bound is about one sampler and start: each row says which, has
    the exact value of that very sampler beside it, and says which hypothesis of its own fails, if one does. Then the
    question the other way: which of the schedules does each bound call best, and which does the exact law of --scheme.

    \b
    Examples:
      wbound peers
      wbound peers --law isotropic --a -5,0,5 --K 1000
      wbound peers --f "(b+c*exp(a*t))/2" --g "sqrt(b+c*exp(a*t))" -p a=-2 -p b=1 -p c=3 --T 2 \\
        --target gaussian -q cov=0.5 --d 3
    """
    from numerics.studies import bounds_compared as study
    from numerics.targets.products import Gaussian
    from wbound.errors import BadInput, count, positive

    if on.target is not None:
        o.refuse({"law": law}, "give --law or --target")
    elif on.q or on.d is not None:
        raise BadInput("target", "(not given)", "-q and --d go with --target gaussian")
    out, _ = placed(out, None, "report")
    end, steps = positive("T", o.required("T", T)), count("K", o.required("K", K))
    schedules: dict[str, Any] = {}
    if given.given:
        o.refuse({"a": a}, "is for the schedules that are chosen from: give no process with it")
        chosen = given.made
        schedules[chosen.name] = chosen
    else:
        o.refuse({"-p": given.p}, "is a parameter of --process, or of --f and --g")
        for text in (a or EVERY_A).split(","):
            value = o.required("a", text)
            schedules[f"a = {value:g}"] = study.rising_beta(value, T=end)
    if on.target is not None:
        made = on.made
        if not isinstance(made, Gaussian):
            raise BadInput("target", on.target, "must be gaussian: the exact values are known there")
        laws: dict[str, Any] = {"gaussian": made}
    else:
        laws = {
            name.strip(): study.law_named(name.strip())
            for name in (study.LAWS if law is None else law.split(","))
        }
    tables = {
        name: {
            label: study.peers(chosen, data, end, steps, scheme=scheme, start=start)
            for label, chosen in schedules.items()
        }
        for name, data in laws.items()
    }
    payload: dict[str, Any] = {"T": end, "K": steps, "scheme": scheme, "start": start, "laws": {}}
    for name, by in tables.items():
        ids = [row.statement for row in next(iter(by.values())).rows]
        payload["laws"][name] = {
            "d": laws[name].d,
            "schedules": {label: _as_data(table) for label, table in by.items()},
            "best": study.called_best(by, ids) if len(by) > 1 else None,
        }
    keep(_columns(tables), lambda: None, out, None)
    reasons = _reasons(payload)
    emit(payload, json, lambda: "\n\n".join(_text(name, by, payload) for name, by in tables.items()), reasons)


def _as_data(table: Peers) -> dict[str, Any]:
    return {
        "exact": table.exact,
        "trivial": table.trivial,
        "rows": [row.to_dict() for row in table.rows],
        "floors": [{"name": x.name, "about": x.about, "value": x.value} for x in table.floors],
    }


def _columns(tables: dict[str, dict[str, Peers]]) -> dict[str, list[Any]]:
    flat = [
        {"law": name, "schedule": label} | row.to_dict()
        for name, by in tables.items()
        for label, table in by.items()
        for row in table.rows
    ]
    return {key: ["" if row[key] is None else row[key] for row in flat] for key in flat[0]}


def _reasons(payload: dict[str, Any]) -> dict[str, str]:
    out: dict[str, str] = {}
    for name, law in payload["laws"].items():
        out[f"laws.{name}.best"] = "one schedule: nothing to choose from"
        for key in law["best"] or {}:
            out[f"laws.{name}.best.{key}"] = "it has no value for some schedule, or two are level"
        for label, table in law["schedules"].items():
            for i, row in enumerate(table["rows"]):
                at = f"laws.{name}.schedules.{label}.rows.{i}"
                out[f"{at}.fails"] = "every hypothesis holds"
                for key in ("bound", "exact", "ratio"):
                    out[f"{at}.{key}"] = row["fails"] or "the exact value is 0"
    return out


def _text(name: str, by: dict[str, Peers], payload: dict[str, Any]) -> str:
    lines: list[str] = []
    shown = "a = 0" if "a = 0" in by else next(iter(by))
    table, law = by[shown], payload["laws"][name]
    where = f"{shown}, T = {payload['T']:g}, K = {payload['K']}"
    lines += [f"{name}, d = {law['d']}; {where}; W2", ""]
    body = [
        [
            row.name,
            f"{row.scheme}, {row.start}",
            row.bound,
            row.exact,
            row.ratio,
            "no" if row.fails else "yes",
        ]
        for row in table.rows
    ]
    lines.append(grid_table(["bound", "sampler", "W2 ≤", "exact", "ratio", "holds"], body))
    lines += [textwrap.fill(f"{row.name}: {row.fails}", 80) for row in table.rows if row.fails]
    rows: list[tuple[str, Any, str]] = [
        ("exact", table.exact, f"{table.scheme}, start {table.start}"),
        ("trivial", table.trivial, "‖X_0‖: everything sent to the origin"),
        *((f"floor, {x.name}", x.value, x.about) for x in table.floors),
    ]
    lines += ["", aligned(rows)]
    if law["best"] is not None:
        heads = ["schedule", *(row.short for row in table.rows), "exact"]
        called = [law["best"][row.statement] or "none" for row in table.rows]
        compared = [[label, *(row.bound for row in x.rows), x.exact] for label, x in by.items()]
        lines += [
            "",
            grid_table(heads, [*compared, ["best of these", *called, law["best"]["exact"] or "none"]]),
        ]
    return "\n".join(lines)
