"""wbound lower-bound --view gap, --view landscape: the lower bound and the truth as ε falls, and over (T, K) from the prior."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from numerics.cli import options as o
from numerics.cli.option_groups import UNASKED, MaybeProcess, PictureOptions, grouped
from numerics.cli.output import aligned, emit, figures, grid_table, say


@grouped
def gap(
    *,
    d: o.Dimension = "100",
    sigma0: o.Sigma0 = "2**0.5",
    u_from: Annotated[str, o.numeric("--u-from", "First u = ε/(σ_0√d), below 1.")] = "0.1",
    u_to: Annotated[str, o.numeric("--u-to", "Last u, at least 1e-5.")] = "1e-4",
    points: Annotated[str, o.numeric("--points", "How many values of u.")] = "7",
    over: Annotated[bool, typer.Option("--over", help="Draw steps over the floor's steps.")] = False,
    to: PictureOptions,
    json: o.Json = False,
) -> None:
    """Show how the gap between bounds closes.

    K ε/(σ_0√d) against ε: the exact law of hf from p_T for the eight processes, the optimal clock and the
    gaussian grid, Theorem 2 on the optimal clock, Theorem 1, and the floor of Eq. 12, 4(1-ϱ)²/(2+u), below
    which hf from p_T never is on N(0, σ_0² I), for any process and grid. λ(T) is where a prior start would add 1 % of ε.

    \b
    Example:
      wbound lower-bound --view gap --over --figure gap.svg
    """
    import numpy as np

    from numerics.studies.gap import gap_closed
    from wbound.errors import BadInput, count, positive

    first, last = (positive(n, o.required(n, text)) for n, text in (("u_from", u_from), ("u_to", u_to)))
    many = count("points", o.required("points", points))
    if not 1e-5 <= last <= first < 1.0:
        raise BadInput("u_to", last, f"must be from 1e-5 to u-from = {first:g}, which must be below 1")
    if many > 50:
        raise BadInput("points", many, "must be at most 50")
    to = to.placed
    dimension, size = count("d", o.required("d", d)), positive("sigma0", o.required("sigma0", sigma0))
    say(f"{many} values of ε")
    found = gap_closed(np.geomspace(first, last, many), d=dimension, sigma0=size)
    keys = [line.key for line in found.lines if not over or line.key != "theorem_1"]

    to.keep(found.columns(), lambda: figures.schedules.gap_figure(found, keys, to.width, over=over))
    rows = [
        {
            "key": line.key,
            "label": line.label,
            "kind": line.kind,
            "K": [int(k) for k in line.K],
            "values": line.values,
            "over_floor": found.over_floor(line.key),
        }
        for line in found.lines
    ]
    payload: dict[str, Any] = {
        "d": found.d,
        "sigma0": found.sigma0,
        "u": found.u,
        "eps": found.columns()["eps"],
        "lam_T": found.lam_T,
        "varrho": found.varrho,
        "floor": found.floor,
        "rows": rows,
        **to.files,
    }

    def text() -> str:
        heads = ("clock or bound", "kind", *(f"u = {u:.3g}" for u in found.u))
        body: list[tuple[Any, ...]] = [(e.label, e.kind, *e.values.tolist()) for e in found.lines]
        body.append(("floor (Eq. 12)", "lower", *found.floor.tolist()))
        ends = [
            (line.label, float(found.over_floor(line.key).min()), float(found.over_floor(line.key).max()))
            for line in found.lines
        ]
        return "\n".join(
            [
                f"K ε/(σ_0√d) on N(0, σ_0² I), σ_0 = {found.sigma0:g}, d = {found.d}; u = ε/(σ_0√d); "
                "hf from p_T",
                "",
                grid_table(heads, body),
                "",
                grid_table(("over the floor", "least", "most"), ends),
            ]
        )

    emit(payload, json, text, UNASKED)


@grouped
def landscape(
    *,
    given: MaybeProcess,
    d: o.Dimension = "1",
    sigma0: o.Sigma0 = "1",
    T_from: Annotated[str | None, o.numeric("--T-from", "First T (λ(T) = σ_0²/4).")] = None,
    T_to: Annotated[str | None, o.numeric("--T-to", "Last T (λ(T) = 1e4 σ_0²).")] = None,
    K_to: Annotated[str, o.numeric("--K-to", "Last K; the first is 1.")] = "1000",
    points: Annotated[str, o.numeric("--points", "Values of T; a third as many of K.")] = "120",
    to: PictureOptions,
    json: o.Json = False,
) -> None:
    """Map where a prior start cancels the error.

    Exact W2 of hf over (T, K) from the prior, on the process's uniform grid (default vp-linear): the curve on
    which it is 0, and the statement of section 6 that survives, with its smallest ratio over the map.

    \b
    Example:
      wbound lower-bound --view landscape --process vp-linear --sigma0 "2**0.5" --figure landscape.svg
    """
    import numpy as np

    from numerics.studies import exact_over_horizons as land
    from wbound.errors import BadInput, count, positive

    chosen = given.made if given.given else o.process_from("vp-linear", given.p, None, None)
    size = positive("sigma0", o.required("sigma0", sigma0))
    ends = []
    for option, typed, share in (("T_from", T_from, 0.25), ("T_to", T_to, 1e4)):
        usual = None if typed is not None else float(chosen.time_of(math.log(share * size**2))[()])
        ends.append(positive(option, o.number(option, typed, usual)))
    most, many = count("K_to", o.required("K_to", K_to)), count("points", o.required("points", points), 6)
    if not ends[0] < ends[1]:
        raise BadInput("T_to", ends[1], f"must be above T-from = {ends[0]:g}")
    if most > 10_000 or many > 500:
        raise BadInput("K_to" if most > 10_000 else "points", most if most > 10_000 else many,
                       "must be at most 10000" if most > 10_000 else "must be at most 500")  # fmt: skip
    to = to.placed
    Ks = np.unique(np.rint(np.geomspace(1, most, max(many // 3, 2)))).astype(int)
    found = land.landscape(
        chosen, np.geomspace(ends[0], ends[1], many), Ks, d=count("d", o.required("d", d)), sigma0=size
    )

    to.keep(found.columns(), lambda: figures.schedules.landscape_figure(found, to.width))
    payload: dict[str, Any] = {
        "process": chosen.name,
        "parameters": chosen.parameters,
        "d": found.d,
        "sigma0": size,
        "T": found.T,
        "K": found.K,
        "prior": found.prior,
        "exact": found.exact,
        "floor": found.floor,
        "zero": found.curve,
        "survives": found.survives,
        "naive": found.naive,
        "exact_over_floor": float((found.exact / found.floor).min()),
        **to.files,
    }

    def text() -> str:
        pick = range(0, found.curve["K"].size, max(found.curve["K"].size // 12, 1))
        zero = [(int(found.curve["K"][i]), float(found.curve["T"][i])) for i in pick]
        below = int((found.prior < found.floor).sum())
        rows: list[tuple[str, Any, str]] = [
            ("from p_T", payload["exact_over_floor"], "smallest exact W2 over the floor (Eq. 11)"),
            ("from the prior", below, f"of {found.prior.size} cells are below that floor"),
            ("naive", found.naive, "smallest K over Eq. 12 without the proviso: it fails"),
            ("survives", found.survives, "the same with it, ϱ⁴ ≤ θ(2u+u²): at least 1"),
        ]
        heading = f"{chosen.name}, uniform in t, hf, N(0, σ_0² I), σ_0 = {size:g}, d = {found.d}"
        zeros = grid_table(("K", "T where W2 = 0 from the prior"), zero) if zero else "no zero on this map"
        return "\n".join([heading, "", aligned(rows), "", zeros])

    emit(payload, json, text, UNASKED)
