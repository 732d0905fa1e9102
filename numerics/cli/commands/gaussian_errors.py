"""wbound gaussian-errors: exact W2 of samplers on any spectrum, row by row as Pierret & Galerne tabulate it."""

from __future__ import annotations

import textwrap
from typing import Annotated, Any

from numerics.cli import data_options as s
from numerics.cli import options as o
from numerics.cli.option_groups import MaybeProcess, grouped
from numerics.cli.output import emit, grid_table, keep, placed

#: The VP process of Pierret & Galerne, where none is given.
THEIRS = {"a": 19.9, "b": 0.1}


@grouped
def gaussian_errors(
    *,
    own: MaybeProcess,
    T: o.T = "1",
    K: Annotated[str, o.steps("Numbers of steps, uniform in t, after commas.", "LIST")] = "49,249",
    eps: Annotated[
        str,
        o.word("--eps", "Forward times at which the steps stop, after commas: 0,1e-3.", metavar="LIST"),
    ] = "0,1e-3",
    data: Annotated[
        str,
        o.numbers_in(
            "--data",
            "digits|power-law|FILE|FOLDER|LIST",
            "Their spectrum: digits, power-law (100 k^-1.72, d = 3072), data, or eigenvalues of the covariance.",
        ),
    ] = "power-law",
    key: s.Key = None,
    samplers: Annotated[
        str | None,
        o.word(
            "--sampler",
            "sde-limit, em-point, ei, ddpm, ode-limit, euler-t, heun-t, rk4-t (default: these), or a scheme.",
            metavar="NAME[,NAME…]",
        ),
    ] = None,
    start: o.Start = "standard",
    output: Annotated[
        str,
        o.word("--output", "raw: x_K as it is; divided: over α at the last time."),
    ] = "raw",
    out: o.Numbers = None,
    json: o.Json = False,
) -> None:
    """Exact W2 of samplers on any spectrum.

    The rows of Pierret & Galerne (arXiv 2405.14250): Euler-Maruyama with f and g² at the departure (em-point), the
    exponential integrator, DDPM, and Euler, Heun and RK4 in t for the probability-flow ODE; and what remains without
    steps, of the reverse SDE and of the ODE, from N(0, I). The data are Gaussian, their mean is taken off, the score is
    exact. Without a process it is theirs, VP with β from 0.1 to 20. Their own spectrum, CIFAR-10's, is not shipped.

    \b
    Examples:
      wbound gaussian-errors
      wbound gaussian-errors --data digits --K 50,250 --eps 1e-3 --output divided
      wbound gaussian-errors --data 4,1,0.25 --sampler em,heun-t,heun --process vp-linear --T 4
    """
    from numerics.studies import errors_on_a_spectrum as study
    from wbound.errors import count

    out, _ = placed(out, None, "report")
    if not own.given and own.p is None:
        chosen = o.process_from("vp-linear", [f"{k}={v}" for k, v in THEIRS.items()], None, None)
    else:
        chosen = own.made
    if data == "power-law":
        values, name = study.power_law(), "power law 100 k^-1.72"
    else:
        read = s.dataset_from(data, key)
        values, name = read.eigenvalues, read.name
    end = o.required("T", T)
    steps = [count("K", o.required("K", part)) for part in K.split(",")]
    stops = [o.required("eps", part) for part in eps.split(",")]
    chosen_rows = [part.strip() for part in samplers.split(",")] if samplers else list(study.ROWS)
    rows = study.error_table(
        chosen, values, end, steps, eps=stops, samplers=chosen_rows, start=start, output=output
    )
    payload: dict[str, Any] = {
        "process": chosen.name,
        "parameters": chosen.parameters,
        "T": end,
        "data": name,
        "d": int(values.size),
        "scale": float(values.sum() ** 0.5),
        "start": start,
        "output": output,
        "rows": [row.to_dict() for row in rows],
    }
    columns = {
        key: ["" if row.to_dict()[key] is None else row.to_dict()[key] for row in rows]
        for key in ("sampler", "K", "eps", "w2")
    }
    keep(columns, lambda: None, out, None)
    reasons = {f"rows.{i}.w2": row.why for i, row in enumerate(rows)}

    def text() -> str:
        found = {(row.sampler, row.K, row.eps): row for row in rows}
        body = [
            [name, K or "limit", *(found[name, K, at].w2 for at in stops)]
            for name, K in dict.fromkeys((row.sampler, row.K) for row in rows)
        ]
        why = dict.fromkeys(row.why for row in rows if row.why)
        heads = ["sampler", "K", *(f"ε = {at:g}" for at in stops)]
        return "\n".join(
            [
                f"{name}, d = {values.size}, √tr Σ = {payload['scale']:.6g}; {chosen.name}, T = {end:g}",
                f"start {start}, output {output}; W2, exact",
                "",
                grid_table(heads, body),
                *(textwrap.fill(f"none: {reason}", 80) for reason in why),
            ]
        )

    emit(payload, json, text, reasons)
