"""wbound iterations, table: how many steps a bound needs."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer

from numerics.cli import options as o
from numerics.cli import words
from numerics.cli.commands.orders import FORMATS, theorems, three_columns
from numerics.cli.option_groups import (
    EpsOptions,
    FactOptions,
    ProcessOptions,
    SamplerOptions,
    gaussian_of,
    grouped,
)
from numerics.cli.output import aligned, emit, emit_table
from numerics.cli.progress import announcing

#: Usual ε, m_0, L_0 of the table.
USUAL = ("0.1", "0.25", "1")


@grouped
def iterations(
    given: ProcessOptions,
    target: EpsOptions,
    facts: FactOptions,
    sampler: SamplerOptions,
    T: Annotated[
        str | None, o.numeric("--T", "Forward time; without it the best one is searched for.")
    ] = None,
    json: o.Json = False,
) -> None:
    """How many steps make a bound ≤ ε.

    The smallest K, and its T, for which the theorem's bound is at most ε, on the uniform grid; at any size (beyond
    1e10 a formula's value). Of Theorem 2 it is the form Eq. 7″, which is at least the total of `wbound bound`.

    \b
    Example:
      wbound iterations --process vp-linear --eps 0.1 --d 3 --m0 0.5 --L0 0.5 --second-moment 6 --scheme hf
    """
    import wbound

    chosen, data = given.made, facts.made
    eps, a2 = target.of(data), o.m1_from(sampler.M1)
    answer = wbound.iterations(
        chosen,
        gaussian_of(data) if a2 == "exact" else data,
        eps=eps,
        scheme=sampler.scheme,
        theorem=sampler.theorem,
        start=sampler.start,
        **sampler.error,
        M1=a2,
        T=o.number("T", T),
    )
    fields = dataclasses.asdict(answer)
    payload: dict[str, Any] = {
        "process": chosen.name,
        "parameters": chosen.parameters,
        "theorem": sampler.theorem,
        "scheme": sampler.scheme,
        "start": sampler.start,
        **fields,
        "scale": o.scale_of(data),
    }

    def text() -> str:
        how = "every step summed" if answer.summed else f"relative error {answer.relative_error:.1g}"
        rows: list[tuple[str, Any, str]] = [
            (
                "K",
                answer.K if answer.counted else f"{answer.K:.9g}",
                f"steps; {answer.criterion}"
                + ("" if answer.counted else ": its formula's value, not counted"),
            ),
            ("T", answer.T, "forward time"),
            ("eta", answer.eta, "step size"),
            ("bound", answer.bound, f"W2 at (T, K), at most ε = {eps:g}; {how}"),
            ("  initialisation", answer.initialisation, "part"),
            ("  discretisation", answer.discretisation, "part"),
            ("  score error", answer.score, "part"),
        ]
        return "\n".join([f"{chosen.name}, {sampler.scheme}; {o.scale_text(data)}", "", aligned(rows)])

    emit(payload, json, text, {"scale": "the mean is not known: give --mean-norm"})


@dataclasses.dataclass(frozen=True)
class TabledProcess(ProcessOptions):
    """A process of one's own, for the tables of orders."""

    process: Annotated[
        str | None, o.word("--process", "Of orders: one more row; or --f and --g.", words.PROCESSES)
    ] = None


@grouped
def table(
    *,
    d: Annotated[str | None, o.usually("--d", "10")] = None,
    eps: Annotated[str | None, o.usually("--eps", USUAL[0])] = None,
    m0: Annotated[str | None, o.usually("--m0", USUAL[1])] = None,
    L0: Annotated[str | None, o.usually("--L0", USUAL[2])] = None,
    measured: Annotated[
        bool,
        typer.Option("--measured", help="Orders instead: published, derived, measured (cached; about 30 s)."),
    ] = False,
    derived: Annotated[
        bool, typer.Option("--derived", help="Orders instead: published and derived (a second or two).")
    ] = False,
    theorem: o.TheoremOrBoth = "both",
    own: TabledProcess,
    format: Annotated[
        str,
        o.word("--format", ", ".join(FORMATS), FORMATS),
    ] = "text",
    out: Annotated[str | None, o.out("Write it there instead of printing it.")] = None,
    json: o.Json = False,
) -> None:
    """The complexity table of the eight processes.

    Published orders beside K(ε) and T of Theorems 1 and 2 (em) and 7 (heun-lambda), and of the exact law of em for the
    worst centred Gaussian with variances in [1/L0, 1/m0] and a given mean of them (one isotropic law may flatter em).
    With --derived or --measured, the orders of ten processes and of your own in three columns, with a footnote for each
    disagreement.

    \b
    Examples:
      wbound table --d 10 --eps 0.1
      wbound table --format latex -o table.tex
      wbound table --measured
      wbound table --derived --f 0 --g "(1+t)**3"
    """
    from numerics.tables.complexity import complexity_text
    from wbound.complexity.tables import complexity_rows
    from wbound.errors import count, one_of
    from wbound.forward.catalogue import PUBLISHED

    kind = "json" if json else one_of("format", format, FORMATS)
    numbers = {"eps": eps, "m0": m0, "L0": L0}
    if measured or derived:
        o.refuse({"d": d, **numbers}, "is for the numbers; orders are as eps -> 0")
        theorems(theorem)
        three_columns(theorem, own.made if own.given else None, measured, kind, out)
        return
    named = {"process": own.process or own.f or own.g, "-p": own.p}
    o.refuse(named, "goes with --derived or --measured")
    values: dict[str, Any] = {"d": count("d", o.required("d", d or "10"))}
    values |= {
        name: o.required(name, text or usual)
        for (name, text), usual in zip(numbers.items(), USUAL, strict=True)
    }
    rows = complexity_rows(**values, progress=announcing("K(ε)", len(PUBLISHED)))
    told = {**values, "rows": rows}
    emit_table(told, kind, out, lambda width: complexity_text(rows, kind, values, width))
