"""wbound schemes: SDE or ODE, K(ε) of every sampler by bound and by exact law."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

from numerics.cli import options as o
from numerics.cli import words
from numerics.cli.output import clean, emit, grid_table, note, say


def schemes(
    d: Annotated[str, o.numeric("--d", "Dimension, or a list.")] = "10",
    eps: Annotated[str, o.numeric("--eps", "Target W2, in the data's units, or a list.")] = "0.1",
    m0: o.M0 = "0.25",
    L0: o.L0 = "1",
    scheme: Annotated[
        str | None,
        o.word("--scheme", "Only these samplers (default: all).", words.SCHEMES, "NAME[,NAME…]"),
    ] = None,
    process: o.Processes = None,
    out: o.Kept = None,
    json: o.Json = False,
) -> None:
    """When is the ODE better than the SDE?

    The steps K that bring W2 below ε with each sampler, the best T found for each: by its bound (Theorem 2; Theorem
    3 for an ODE, 7 where a step has two stages) and by the exact law, on centred Gaussian data with variances 1/m_0
    and 1/L_0. A gain above 1 is how many times fewer steps the best ODE scheme of one stage needs than the best
    SDE scheme; a step of two stages counts as two calls of the score.

    \b
    Examples:
      wbound schemes --d 10 --eps 1,0.1,0.01
      wbound schemes --scheme hf,ddpm,ddim,heun --process vp-linear --json
    """
    import wbound
    from wbound.complexity.tables import TWICE, scheme_rows
    from wbound.errors import one_of
    from wbound.memory import dimension

    sizes = [dimension(o.required("d", part)) for part in d.split(",")]
    errors = [o.required("eps", part) for part in eps.split(",")]
    names = [one_of("process", name, wbound.NAMED) for name in process or wbound.PUBLISHED]
    chosen = [name.strip() for name in (scheme.split(",") if scheme else wbound.SCHEMES)]
    begun = time.monotonic()
    records = scheme_rows(
        sizes,
        errors,
        o.required("m0", m0),
        o.required("L0", L0),
        schemes=chosen,
        processes=names,
        progress=say,
    )
    payload: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "version": wbound.__version__,
        "m0": o.required("m0", m0),
        "L0": o.required("L0", L0),
        "schemes": chosen,
        "seconds": round(time.monotonic() - begun, 1),
        "rows": records,
        "out": out,
    }
    if out is not None:
        import json as standard

        from numerics.io.writing import write

        kept = {key: value for key, value in payload.items() if key != "out"}
        lines = ",\n".join(
            standard.dumps(row, ensure_ascii=False) for row in clean({"rows": records})["rows"]
        )
        head = standard.dumps(kept | {"rows": []}, ensure_ascii=False)[:-3]
        note(write(out, f"{head}[\n{lines}\n]}}\n"))

    def text() -> str:
        heads = [f"{s}, {how}" for s in chosen for how in ("bound", "exact")]
        keys = [f"K_{how}_{s}" for s in chosen for how in ("bound", "exact")]
        gains = {
            "bound_gain": "ODE gain, bound",
            "exact_gain": "exact",
            **{f"{how}_gain_{name}": f"{name}, {how}" for name in TWICE for how in ("bound", "exact")},
        }
        gains = {key: head for key, head in gains.items() if any(row[key] is not None for row in records)}
        table = grid_table(
            ["process", "d", "ε", *heads, *gains.values()],
            [
                [
                    row["process"],
                    row["d"],
                    row["eps"],
                    *(row[key] for key in keys),
                    *(row[k] for k in gains),
                ]
                for row in records
            ],
        )
        return f"K(ε) by bound and by exact law; data N(0, ·), variances 1/{m0} and 1/{L0}\n\n{table}"

    because = {
        f"rows.{i}.{key}": "nothing to compare with"
        for i, row in enumerate(records)
        for key, value in row.items()
        if value is None
    }
    emit(payload, json, text, because | {"out": "no --out"})
