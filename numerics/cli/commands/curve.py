"""wbound curve: bound against exact value and samples along K, T, d or M, as a figure or as numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from numerics.cli import data_options as s
from numerics.cli import options as o
from numerics.cli import target_options as t
from numerics.cli.option_groups import UNASKED, MaybeFacts, PictureOptions, ProcessOptions, grouped
from numerics.cli.output import emit, figures, grid_table, say
from numerics.cli.progress import Progress, keeping

if TYPE_CHECKING:
    from numerics.studies.curves import Curve

#: Points to a decade where --points is not given.
DENSITY = 3
RANGES = {"K": (10.0, 1e5), "T": (0.5, 8.0), "d": (1.0, 1e4), "M": (0.01, 1.0), "eps": (1e-3, 1.0)}
#: With a target every point is a quadrature and an optimal transport: a shorter range is usual.
RANGES_OF_TARGETS = RANGES | {"K": (10.0, 1e3), "d": (1.0, 30.0)}


@dataclass(frozen=True)
class CurveProcess(ProcessOptions):
    """A process, or data for every process."""

    process: o.ProcessOrData = None


@dataclass(frozen=True)
class CurveData(s.DataOptions):
    """Data of one's own in place of the facts."""

    data: Annotated[
        str | None,
        o.numbers_in(
            "--data",
            "digits|FILE|FOLDER|LIST",
            "Real data (or a spectrum) instead of --d, --m0, --L0: their Gaussian.",
        ),
    ] = None


@dataclass(frozen=True)
class CurveFacts(MaybeFacts):
    """What A1 knows of the data, with usual values."""

    d: Annotated[str | None, o.usually("--d", "3")] = None
    m0: Annotated[str | None, o.usually("--m0", "1/2")] = None
    L0: Annotated[str | None, o.usually("--L0", "1/2")] = None


@dataclass(frozen=True)
class PagePicture(PictureOptions):
    """The same, as wide as a page."""

    width: o.Width = "page"


@grouped
def curve(
    *,
    own: CurveProcess,
    on: CurveData,
    tape: s.Tapes = None,
    target: t.TargetName = None,
    q: t.TargetParameters = None,
    against: Annotated[
        str,
        o.word(
            "--against",
            "What runs; M is the score's bias; eps: K(ε) at the best T found.",
            RANGES,
            "K|T|d|M|eps",
        ),
    ] = "K",
    low: Annotated[str | None, o.numeric("--from", "First value (K: 10).")] = None,
    high: Annotated[str | None, o.numeric("--to", "Last value (K: 1e5).")] = None,
    points: Annotated[str | None, o.numeric("--points", "How many values (three a decade).")] = None,
    T: o.Horizon = None,
    K: o.K = None,
    facts: CurveFacts,
    scheme: o.SchemeName = "hf",
    start: o.Start = "prior",
    M1: o.M1 = None,
    score_bias: o.ScoreBias = "0",
    n: Annotated[
        str | None,
        o.numeric("--n", "Samples for the bracket, 0: none (with --target 1000, on the line 1e5)."),
    ] = None,
    seed: o.Seed = "0",
    to: PagePicture,
    json: o.Json = False,
) -> None:
    """Draw bound against exact error.

    Theorem 1 (of em), Theorem 2 or 3, the exact W2 (Gaussian data, product targets), the bracket of samples
    as a band, and the lower bound along K, T, d or M; log–log, with the slopes in K. Along eps: the steps K(ε)
    that each needs, with the powers of ε. The numbers are printed, and written with -o. With --data, the exact W2 of
    each K at the best T found on the Gaussian with the data's mean and covariance, for --process or for the eight
    published; with --tape too, the exact W2 of the tapes over their calls of the network.

    \b
    Examples:
      wbound curve --process vp-linear --figure bound-vs-exact.png
      wbound curve --f 0 --g "(1+t)**3" --to 1e4 --json
      wbound curve --process ou --against d --K 1000 --T 4
      wbound curve --process ve-sqrt --against eps --from 1e-4 --to 0.1 --figure steps.svg
      wbound curve --process vp-linear --target mixture --against M --K 200 --figure score-error.svg
      wbound curve --data digits --scheme em --to 1000 --figure digits.svg
      wbound curve --data digits --tape ten.json --tape twenty.json --figure mine.svg
    """
    from numerics.studies import curves
    from wbound.errors import BadInput, count, nonnegative, one_of, positive
    from wbound.sampler.make_setting import STARTS
    from wbound.sampler.scheme import scheme_named

    if tape is not None:
        unused: dict[str, Any] = {
            **asdict(own),
            "target": target,
            "q": q,
            "T": T,
            "K": K,
            "d": facts.d,
            "m0": facts.m0,
        }
        unused |= {
            "second_moment": facts.second_moment,
            "n": n,
            "M1": M1,
            "from": low,
            "to": high,
            "points": points,
        }
        o.refuse(unused, "does not go with --tape, which is one point of its own")
        if on.data is None:
            raise BadInput("tape", tape[0], "needs --data, which it is judged on")
        _tapes(tape, on, to.placed, json)
        return
    chosen = own.made if own.given or on.data is None else None
    axis = one_of("against", against, curves.AXES)
    if target is not None:
        known = asdict(facts) | {"d": None, "data": on.data}
        o.refuse(known, "does not go with --target, which knows its own facts")
    ranges = RANGES if target is None else RANGES_OF_TARGETS
    first = positive("from", o.number("from", low, ranges[axis][0]))
    last = positive("to", o.number("to", high, ranges[axis][1]))
    if not first < last:
        raise BadInput("to", last, f"must be above --from = {first:g}")
    usual = max(2, 1 + round(DENSITY * math.log10(last / first)))
    many = count("points", o.number("points", points, float(usual)), least=2)
    if many > 1000:
        raise BadInput("points", many, "must be at most 1000")
    if axis == "K" and last > 1e7:
        raise BadInput("to", last, "must be at most 1e7: every step is summed; see wbound iterations")
    to = to.placed
    at = curves.spaced(axis, first, last, many)
    if on.data is not None:
        if axis != "K":
            raise BadInput("against", axis, "with --data only K runs")
        o.refuse(asdict(facts) | {"mean_norm": None}, "does not go with --data")
        _on_data(on, chosen, at, scheme, start, to, json)
        return
    o.refuse({"key": on.key}, "goes with --data")
    assert chosen is not None
    a2 = o.m1_from(M1)
    data: Any
    if target is not None:
        data = t.target_from(target, q, facts.d)
        a2 = "exact" if a2 is None and hasattr(data, "M1") else a2  # Theorem 1 is about A1
    else:
        data = facts.usually("3", "0.5", "0.5").made
        if a2 is None and data.m0 == data.L0:
            a2 = "exact"
    usual_n = None if target is not None else 0.0
    if axis == "eps":
        unused = {"target": target, "K": K, "n": n}
        o.refuse(unused, "does not go with --against eps, which counts steps")
        bias = nonnegative("score_bias", o.required("score_bias", score_bias))
        _steps(chosen, data, at, o.number("T", T), scheme, start, a2, bias, to, json)
        return
    given_n = o.number("n", n, usual_n)
    if given_n is None:
        from numerics.verification.referees import usual_points

        samples = usual_points(data.d)
    else:
        samples = count("n", given_n, 0)
    time, steps = o.number("T", T), o.steps_from(K) if axis != "K" else None
    bias = nonnegative("score_bias", o.required("score_bias", score_bias))
    root = count("seed", o.required("seed", seed), 0)
    scheme_named(scheme)
    one_of("start", start, STARTS)
    say(f"{chosen.name}: {at.size} values of {axis}")
    progress = Progress(f"{chosen.name} along {axis}")
    with keeping(progress, to.out or to.figure, ".csv"):
        result = curves.bound_curve(
            chosen,
            data,
            at,
            axis=axis,
            T=time,
            K=steps,
            scheme=scheme,
            start=start,
            M1=a2,
            score_bias=bias,
            n=samples,
            seed=root,
            watch=progress,
        )
    columns = result.columns()

    to.keep(columns, lambda: figures.curves.bound_figure(result, to.width))
    refusals = result.refusals
    payload: dict[str, Any] = {
        **result.facts,
        "against": axis,
        **columns,
        "slopes": {line.key: line.slope for line in result.lines} if axis == "K" else {},
        "refusals": refusals,
        **to.files,
    }

    def text() -> str:
        labels = {line.key: line.label for line in result.lines}
        labels |= {f"samples_{end}": f"samples, {end}" for end in ("low", "high")} | {"samples": "plug-in"}
        names = [labels.get(key, key) for key in columns]
        slopes = {line.key: line.slope for line in result.lines}
        rows = [list(row) for row in zip(*(v.tolist() for v in columns.values()), strict=True)]
        if axis in ("K", "d"):
            rows = [[int(row[0]), *row[1:]] for row in rows]
        if axis == "K":
            rows.append(["slope", *(slopes.get(key) for key in list(columns)[1:])])
        fixed = "" if axis == "T" else f", T = {float(result.facts['T']):g}"
        title = f"{chosen.name}, {scheme}, start {start}{fixed}; W2 along {axis}"
        lines = [title, "", grid_table(names, rows)]
        return "\n".join([*lines, *(f"\n{key}: {reason}" for key, reason in refusals.items())])

    emit(payload, json, text, _unreached(result) | UNASKED)


def _unreached(result: Curve) -> dict[str, str]:
    """Why lines have no value, by its place."""
    return {
        f"{line.key}.{i}": line.reason
        for line in result.lines
        if line.reason
        for i, value in enumerate(line.values)
        if math.isnan(value)
    }


def _steps(
    chosen: Any,
    facts: Any,
    at: Any,
    T: float | None,
    scheme: str,
    start: str,
    a2: Any,
    bias: float,
    to: PictureOptions,
    json: bool,
) -> None:
    """K(ε) of the bounds, the exact law and the floor."""
    from numerics.studies.steps_needed import steps_curve

    say(f"{chosen.name}: steps for {at.size} values of ε")
    progress = Progress(f"{chosen.name} along eps")
    with keeping(progress, to.out or to.figure, ".csv"):
        result = steps_curve(
            chosen, facts, at, T=T, scheme=scheme, start=start, M1=a2, score_bias=bias, watch=progress
        )
    columns = result.columns()

    to.keep(columns, lambda: figures.curves.steps_figure(result, to.width))
    slopes = {line.key: line.slope for line in result.lines}
    payload = {
        **result.facts,
        "against": "eps",
        **columns,
        "slopes": slopes,
        "refusals": result.refusals,
        **to.files,
    }

    def text() -> str:
        rows: list[list[Any]] = [
            [eps, *(None if math.isnan(K) else int(K) for K in steps)]
            for eps, *steps in zip(*(v.tolist() for v in columns.values()), strict=True)
        ]
        rows.append(["power", *(slopes[key] for key in list(columns)[1:])])
        names = ["ε", *(line.label for line in result.lines)]
        how = "best T found for each" if T is None else f"T = {T:g}"
        title = f"{chosen.name}, {scheme}, start {start}, d = {facts.d}, {how}: steps K for W2 ≤ ε"
        lines = [title, "", grid_table(names, rows)]
        return "\n".join([*lines, *(f"\n{key}: {reason}" for key, reason in result.refusals.items())])

    emit(payload, json, text, _unreached(result) | UNASKED)


def _tapes(
    files: list[str],
    on: s.DataOptions,
    to: PictureOptions,
    json: bool,
) -> None:
    """The exact W2 of tapes over their calls, on the Gaussian with the data's moments."""
    from pathlib import Path

    from numerics.studies.tapes import tape_curve

    tapes = s.tapes_from(files)
    loaded = on.read[0]
    found = tape_curve([(Path(f).name, one) for f, one in zip(files, tapes, strict=True)], loaded)

    to.keep(found.columns(), lambda: figures.curves.tapes_figure(found, to.width))
    payload = {
        "data": loaded.to_dict(),
        "tapes": list(found.names),
        **found.columns(),
        "slope": found.slope,
        **to.files,
    }

    def text() -> str:
        rows = [
            [name, int(calls), w2, exact]
            for name, calls, w2, exact in zip(
                found.names, found.calls, found.w2, found.exact_start, strict=True
            )
        ]
        if found.slope is not None:
            rows.append(["slope", None, found.slope, None])
        heads = ("tape", "calls", "W2", "W2 from the exact start")
        return "\n".join([*s.dataset_lines(loaded), "", grid_table(heads, rows)])

    emit(payload, json, text, UNASKED | {"slope": "fewer than three tapes"})


def _on_data(
    on: s.DataOptions,
    only: Any,
    at: Any,
    scheme: str,
    start: str,
    to: PictureOptions,
    json: bool,
) -> None:
    """The exact W2 of one process, or of the eight, on the Gaussian with the data's moments."""
    from numerics.studies import curves
    from wbound.forward.catalogue import PUBLISHED
    from wbound.forward.catalogue import process as named

    loaded = on.read[0]
    chosen = [only] if only is not None else [named(name) for name in PUBLISHED]
    found = []
    progress = Progress(f"{loaded.name} along K")
    with keeping(progress, to.out or to.figure, ".csv"):
        for i, process in enumerate(chosen):
            say(f"{process.name}: {at.size} values of K")

            def watch(done: int, total: int, row: dict[str, Any], before: int = i) -> None:
                progress(before * total + done, len(chosen) * total, row)

            found.append(
                curves.exact_curve(process, loaded.gaussian, at, scheme=scheme, start=start, watch=watch)
            )
    columns = {"K": at} | {curve.process.name: curve.lines[0].values for curve in found}
    label = "exact W2, units of the data"

    to.keep(columns, lambda: figures.curves.processes_figure(found, "exact", label, to.width, scheme))
    payload = {
        "data": loaded.to_dict(),
        "scheme": scheme,
        "start": start,
        **columns,
        "T": {curve.process.name: curve.lines[1].values for curve in found},
        "slopes": {curve.process.name: curve.lines[0].slope for curve in found},
        **to.files,
    }

    def text() -> str:
        rows = [[int(row[0]), *row[1:]] for row in zip(*(v.tolist() for v in columns.values()), strict=True)]
        rows.append(["slope", *(curve.lines[0].slope for curve in found)])
        title = (
            f"{loaded.name}: d = {loaded.d}, rank {loaded.rank}, scale ‖X_0 - E X_0‖ = {loaded.spread:.6g}; "
            f"{scheme}, start {start}, best T found for each point; exact W2 on the Gaussian with these moments"
        )
        return "\n".join([title, *loaded.notes, "", grid_table(list(columns), rows)])

    emit(payload, json, text, UNASKED)
