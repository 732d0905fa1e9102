"""Section: the eight processes on real data, by the exact law of the Gaussian with the data's moments."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from numerics.figures import curves as figures
from numerics.report.blocks import Column, Context, Figure, Figures, Part, Prose, Table
from numerics.schedules.candidates import seen_as
from numerics.studies.curves import exact_curve, geometric
from numerics.targets import datasets
from wbound.errors import HypothesisFailed
from wbound.forward.catalogue import PUBLISHED, process
from wbound.theory.statements import w2_bound

__all__ = ["build"]

#: K at which the table compares the processes.
AT = (10, 100, 1000)


def build(context: Context) -> Part:
    """The part of this section."""
    source = datasets.digits()
    data = source.gaussian
    at = geometric(5.0, 200.0, 5) if context.quick else geometric(5.0, 1e3, 12)
    em = [exact_curve(process(n), data, at, scheme="em") for n in PUBLISHED]
    hf = [
        replace(curve, facts=curve.facts | {"scheme": "hf"})
        if seen_as("em", curve.process) == "hf"  # where f = 0
        else exact_curve(curve.process, data, at, scheme="hf")
        for curve in em
    ]
    rows = []
    for one, other in zip(em, hf, strict=True):
        row: dict[str, object] = {"process": one.process.name}
        for K in AT:
            i = int(np.argmin(np.abs(np.log(one.at / K))))
            row |= {
                f"K_{K}": int(one.at[i]),
                f"em_{K}": one.lines[0].values[i],
                f"hf_{K}": other.lines[0].values[i],
            }
        row["T"] = one.lines[1].values[-1]
        row["slope"] = one.lines[0].slope
        rows.append(row)
    refusal = ""
    try:
        w2_bound(process("vp-linear"), data, T=4.0, K=100)
    except HypothesisFailed as failed:
        refusal = str(failed)
    last = f"em_{AT[-1]}"
    best = min(rows, key=lambda row: float(str(row[last])))
    worst = max(rows, key=lambda row: float(str(row[last])))
    content = {
        "n": source.n,
        "d": source.d,
        "rank": source.rank,
        "constant": source.d - source.rank,
        "scale": source.spread,
        "size": math.sqrt(data.second_moment),
        "K_last": int(at[-1]),
        "rows": rows,
        "refusal": refusal,
        "best": best["process"],
        "best_w2": best[last],
        "worst": worst["process"],
        "worst_w2": worst[last],
        "factor": float(str(worst[last])) / float(str(best[last])),
    }
    text = (
        "scikit-learn's digits: {n:int} images of 8 × 8 pixels, d = {d}, values from 0 to 16, ‖X_0 - E X_0‖ "
        "= {scale:.4g}. Their mean and covariance give a Gaussian on which the error of each scheme is "
        "exact: no network, no training, no sampling. Each point has the best T found for its process, λ(T) up to 1e8 times the "
        "mean variance. At K = "
        "{K_last:int} the best process, {best}, is {factor:.3g} times closer than the worst, {worst}. What "
        "this surrogate leaves out is everything beyond the first two moments.\n\n"
        "{constant:int} pixels are constant: the covariance is singular, of rank {rank}. The exact law "
        "takes it; a bound "
        "that needs a density does not, and says so: `" + refusal.replace("{", "{{").replace("}", "}}") + "`"
    )
    drawn = (
        Figure(
            "digits",
            figures.svg(figures.processes_figure(em, "exact", "exact W2, pixel units", title="em"), "dig"),
            "Exact W2 against the number of steps for the eight processes on the digits' Gaussian, scheme "
            "em, both axes logarithmic. The table gives the values.",
            "Scheme em, prior start, the best T found for each point.",
            {"K": at} | {c.process.name: c.lines[0].values for c in em},
            "wbound curve --data digits --scheme em --from 5 --to 1000 --points 12 --figure digits.svg",
        ),
        Figure(
            "digits-hf",
            figures.svg(figures.processes_figure(hf, "exact", "exact W2, pixel units", title="hf"), "dih"),
            "The same for the scheme hf, which sees a process through its clock only.",
            "Scheme hf: a process matters only through its clock, so ou (λ = e^t - 1) and ve-exponential "
            "(the same) coincide.",
            {"K": at} | {c.process.name: c.lines[0].values for c in hf},
            "wbound curve --data digits --scheme hf --from 5 --to 1000 --points 12 --figure digits-hf.svg",
        ),
    )
    columns = [Column("process", "process")]
    for K in AT:
        i = int(np.argmin(np.abs(np.log(at / K))))
        columns += [
            Column(f"em_{K}", f"em, K = {int(at[i])}", ".4g"),
            Column(f"hf_{K}", f"hf, K = {int(at[i])}", ".4g"),
        ]
    columns += [
        Column("T", "T found", ".4g", "of em at the last K"),
        Column("slope", "slope", ".3f", "power of K, em, last decade"),
    ]
    shades = [figures.colour(name) for name in PUBLISHED]
    table = Table(
        "rows",
        "Exact W2 on the digits' Gaussian, pixel units",
        columns,
        csv="digits-table.csv",
        colours=shades,
    )
    return Part(content, (Prose(text), Figures(drawn), table))
