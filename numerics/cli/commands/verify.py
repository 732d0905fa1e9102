"""wbound verify: a bound beside its referee and beside samples, for one setting or for the whole matrix."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import typer

from numerics.cli import data_options as s
from numerics.cli import options as o
from numerics.cli.option_groups import RunOptions, SamplerOptions, TargetOptions, grouped
from numerics.cli.output import aligned, emit, grid_table, note, say
from numerics.cli.progress import Progress, keeping, rows_as_json


@dataclass(frozen=True)
class VerifiedOptions(SamplerOptions):
    """A sampler, whose target knows A2's constant."""

    M1: o.M1 = "exact"


@dataclass(frozen=True)
class VerifyOptions(RunOptions):
    """What is run, and held against its target."""

    sampler: VerifiedOptions = field(default_factory=VerifiedOptions)


@grouped
def verify(
    *,
    run: VerifyOptions,
    on: TargetOptions,
    n: Annotated[
        str | None, o.numeric("--n", "Points of the bracket; 0: no samples (default 1000; 1e5 on the line).")
    ] = None,
    seed: o.Seed = "0",
    level: Annotated[str, o.numeric("--level", "Confidence of the bracket.")] = "0.99",
    tape: Annotated[
        str | None,
        s.tape_in("for --process, --T, --K and --scheme: its samples beside its exact law."),
    ] = None,
    samples: Annotated[
        str | None,
        o.numbers_in("--samples", "FILE", "Outputs of your own sampler, .npy of shape (n, d)."),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="The matrix: processes × schemes × targets (or one --process).")
    ] = False,
    jobs: o.Jobs = None,
    out: Annotated[str | None, o.out("Results of --all, as JSON.")] = None,
    json: o.Json = False,
) -> None:
    """Say whether a bound holds, and by what evidence.

    The verdict is by the strongest evidence there is: the exact law (Gaussian data), quadrature on the line
    (products of laws on the line), else samples, whose bracket refutes if its lower end is above the bound
    and supports it if its upper end is below, at --level. Exit code 3 where a bound is refuted, where samples
    do not have the law that the referee computes (single coordinates and their joint law are tested, at a risk
    of 1e-6), or where their bracket lies above a bound that the referee does not refute. A tape has no bound: its
    outputs, or --samples of your own run of it, are held against its exact law, on Gaussian targets.

    \b
    Examples:
      wbound verify --process vp-linear --T 4 --K 60 --target mixture --scheme hf
      wbound verify --process ou --T 4 --K 200 --target gaussian -q mean=1,0 -q cov=2,0.5 --theorem published
      wbound verify --process ve-sqrt --T 4 --K 60 --target "density=-x**2/2-log(1+exp(a*x))" -q a=1 --d 2
      wbound verify --tape tape.json --target gaussian -q mean=1,0 -q cov=2,0.5
      wbound verify --all --out verify.json
    """
    from wbound.errors import Inconsistent, count

    def named(*options: str) -> dict[str, Any]:
        return {name: getattr(run.process, name) for name in options}

    if all_:
        given: dict[str, Any] = {**named("p", "f", "g"), "T": run.T, "K": run.K, **vars(on)}
        given |= {"samples": samples, "tape": tape}
        o.refuse(given, "does not go with --all, which has its own settings")
        _everything(run.process.process, n, count("seed", o.required("seed", seed), 0), jobs, out, json)
        return
    points = o.number("n", n)
    if tape is not None:
        given = {**named("process", "p", "f", "g"), "T": run.T, "K": run.K, **vars(run.nodes)}
        given |= {"jobs": jobs, "out": out}
        o.refuse(given, "does not go with --tape, which has its own levels and start")
        _tape(
            s.tapes_from([tape])[0],
            on.made,
            None if points is None else count("n", points),
            count("seed", o.required("seed", seed), 0),
            o.required("level", level),
            None if samples is None else o.array_from("samples", samples),
            json,
        )
        return
    o.refuse({"out": out}, "goes with --all; --json prints a single verdict")
    from numerics.verification.verdict import as_target, judged, needed_M1

    target, theorem = as_target(on.made), run.sampler.theorem
    described = run.with_data({})
    v = judged(
        described.but(M1=needed_M1(theorem, described.M1, target)).about(target),
        theorem,
        n=None if points is None else count("n", points, 0),
        seed=count("seed", o.required("seed", seed), 0),
        samples=None if samples is None else o.array_from("samples", samples),
        level=o.required("level", level),
    )
    payload = v.to_dict()
    why = "no referee without noise" + (
        f": score_bias = {v.score_bias:g} has no one law" if v.score_bias else " for this target or scheme"
    )
    reasons = {
        "exact": why,
        "error": why,
        "M1": "only Theorem 1 needs M1",
        "empirical": "no samples (n = 0)",
        "coupling": "only for Gaussian data with a score bias",
        "ratio": "nothing to divide by",
        "agreement": "no referee, or too few samples",
    }

    def text() -> str:
        strange = v.agreement is not None and not v.agreement.holds
        parameters = "".join(f", {key} = {value:g}" for key, value in v.parameters.items())
        kind = "W2, " + v.bound.statement + ("; vacuous" if v.bound.vacuous else "")
        rows: list[tuple[str, Any, str]] = [("bound", v.bound.total, kind)]
        if v.exact is not None:
            rows.append(("referee", v.exact, f"W2 without sampling noise, error {v.error:.2g}"))
        if v.empirical is not None:
            remark = f"at level {v.level:g}, {v.empirical.n} points"
            rows += [("samples, low", v.empirical.low, remark), ("samples, high", v.empirical.high, remark)]
            rows.append(("plug-in", v.empirical.w2, "W2 of the points: biased upward, decides nothing"))
        if v.coupling is not None:
            rows.append(("coupling", v.coupling, "upper limit from coupled exact paths"))
        if v.ratio is not None:
            over = "upper limit" if v.exact is None or strange else "referee"
            rows.append(("ratio", v.ratio, f"bound/{over}"))
        if v.agreement is not None:
            state = (
                "no test tells the samples from the referee's law"
                if not strange
                else "the samples do NOT have the referee's law"
            )
            rows.append(("p-value", v.agreement.p, state))
        title = (
            f"{v.process}{parameters}; {v.target}, d = {v.d}; {v.scheme}, start {v.start}, "
            f"T = {v.T:g}, K = {v.K}"
        )
        return "\n".join([title, "", aligned(rows), "", f"{v.verdict} ({v.reason})"])

    emit(payload, json, text, reasons)
    if v.verdict == "refuted" or not v.consistent:
        raise Inconsistent(f"{'refuted' if v.verdict == 'refuted' else 'inconsistent'}: {v.reason}")


def _tape(tape: Any, target: Any, n: int | None, seed: int, level: float, samples: Any, json: bool) -> None:
    """A tape's outputs, or those of your own run of it, beside its exact law. Raises `Inconsistent` where they do not have
    it."""
    from numerics.verification.verdict import verify as judge
    from wbound.errors import Inconsistent

    found = judge(None, target, scheme=tape, n=n, seed=seed, samples=samples, level=level)
    name = str(tape.made.get("sampler") or tape.made.get("scheme") or "tape")
    payload = {
        "tape": name,
        "calls": tape.K,
        "target": type(target).__name__,
        "d": target.d,
        "exact": found.referee.w2,
        "empirical": asdict(found.empirical),
        "agreement": asdict(found.agreement) | {"holds": found.agreement.holds},
        "consistent": found.agreement.holds,
        "reason": found.reason,
    }

    def text() -> str:
        told = found.agreement.holds
        rows: list[tuple[str, Any, str]] = [
            ("exact W2", found.referee.w2, "the exact law of the tape, from its own start"),
            ("samples", found.empirical.w2, f"plug-in of n = {found.empirical.n}, biased upward"),
            ("", found.empirical.low, f"W2 is at least this, at level {level:g}"),
            ("", found.empirical.high, "W2 is at most this"),
            (
                "p-value",
                found.agreement.p,
                "no test tells the samples from that law" if told else "the samples do NOT have that law",
            ),
        ]
        return "\n".join(
            [f"{name}, {tape.K} calls; {type(target).__name__}, d = {target.d}", "", aligned(rows)]
        )

    emit(payload, json, text, {})
    if not found.agreement.holds:
        raise Inconsistent(f"inconsistent: {found.reason}")


def _everything(
    process: str | None, n: str | None, seed: int, jobs: str | None, out: str | None, json: bool
) -> None:
    """The matrix, its summary on stdout, its rows in a file."""
    from numerics.io.writing import write
    from numerics.verification import matrix
    from wbound.errors import Inconsistent, count, one_of
    from wbound.forward.catalogue import PUBLISHED

    which = matrix.cells() if process is None else matrix.cells([one_of("process", process, PUBLISHED)])
    points = matrix.N if n is None else count("n", o.number("n", n), 16)
    workers = None if jobs is None else count("jobs", o.number("jobs", jobs))
    watch = Progress("verification", every=5.0)

    def progress(done: int, total: int, row: dict[str, Any]) -> None:
        if row["verdict"] != "holds":
            what = row["statement"] or row["theorem"]
            say(f"{row['verdict']}: {what} {row['process']} {row['scheme']} {row['target']}")
        watch(done, total, row)

    with keeping(watch, out, ".json", rows_as_json):
        found = matrix.verify_all(seed=seed, n=points, jobs=workers, which=which, progress=progress)
    if out is not None:
        note(write(out, found.to_json()))
    finer = ("statement", "target", "M", "V", "delta")
    kinds, targets = found.summary(), found.summary((*finer, "evidence"))
    payload: dict[str, Any] = {
        "date": found.date,
        "seconds": found.seconds,
        "seed": found.seed,
        "n": found.n,
        "cells": len(found.rows),
        "refuted": found.refuted,
        "inconsistent": found.inconsistent,
        "undecided": found.count("undecided"),
        "by_evidence": kinds,
        "by_target": targets,
        "rows": found.rows,
        "out": out,
    }

    def text() -> str:
        heads = ("cells", "holds", "refuted", "undecided", "does_not_apply", "ratio", "where")
        tables = []
        for by, rows in ((("statement", "evidence"), kinds), (finer, targets)):
            names = [*by, *heads]
            shown = [name.replace("_", " ").replace("ratio", "smallest ratio") for name in names]
            cells = [
                [row[name] or "no bound" if name == "statement" else row[name] for name in names]
                for row in rows
            ]
            tables.append(grid_table(shown, cells))
        samples = (
            f"samples: not told from the referee's law in {sum(k['agree'] for k in kinds)} of "
            f"{sum(k['tested'] for k in kinds)} tests, its value inside the bracket in "
            f"{sum(k['inside'] for k in kinds)} of {sum(k['bracketed'] for k in kinds)}"
        )
        last = (
            f"{len(found.rows)} verified, {found.refuted} refuted; {found.seconds:.0f} s, seed {found.seed}"
        )
        return "\n\n".join([*tables, samples, last])

    reasons = {
        f"rows.{i}.{key}": row["reason"] or "no referee, or no samples"
        for i, row in enumerate(found.rows)
        for key, value in row.items()
        if value is None
    }
    emit(payload, json, text, reasons | {"out": "no --out"})
    if found.refuted or found.inconsistent:
        raise Inconsistent(f"{found.refuted} refuted, {found.inconsistent} inconsistent")
