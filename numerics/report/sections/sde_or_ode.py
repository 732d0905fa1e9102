"""Section: when is the ODE better than the SDE? K(ε) of both by bound and by exact law, stored results."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib import resources
from typing import Any

from numerics.figures.curves import colour
from numerics.report.blocks import Column, Context, Part, Prose, Table
from numerics.tables.formulas import formula_mathml, formula_text
from wbound.complexity.order_formulas import derive
from wbound.complexity.tables import TWICE
from wbound.forward.catalogue import process

__all__ = ["RENEW", "RESULTS", "build", "stored"]

#: The stored rows, within this package, and the command that makes them.
RESULTS = ("results", "schemes.json")
RENEW = "wbound schemes --d 10,1000 --eps 1,0.1,0.01 -o numerics/report/results/schemes.json"
#: The schemes that have columns; the gains are over all.
SHOWN = ("em", "em-point", "hf", "ddpm", "ode-hf", "ddim")
#: The schemes whose powers of ε are shown.
POWERS = ("hf", "ode-hf", "ddim", "heun", "heun-lam", "heun-lambda")
#: The schemes whose orders are derived from f and g.
DERIVED = ("hf", "ode-hf")


@cache
def stored() -> dict[str, Any]:
    """The results that come with the package."""
    found: dict[str, Any] = json.loads(
        resources.files("numerics.report").joinpath(*RESULTS).read_text("utf-8")
    )
    return found


def _powers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each process p with K ~ ε^(−p) between the two smallest ε, at the largest d."""
    d = max(row["d"] for row in rows)
    small, large = sorted({row["eps"] for row in rows if row["d"] == d})[:2]
    at = {(row["process"], row["eps"]): row for row in rows if row["d"] == d}
    out = []
    for name in dict.fromkeys(row["process"] for row in rows):
        line: dict[str, Any] = {"process": name}
        for scheme in DERIVED:
            line[f"order_{scheme}"] = derive(process(name), "sharp", "centred", scheme).K
        for how in ("bound", "exact"):
            for scheme in POWERS:
                few, many = at[name, large][f"K_{how}_{scheme}"], at[name, small][f"K_{how}_{scheme}"]
                line[f"{how}_{scheme}"] = (
                    None if few is None else math.log(many / few) / math.log(large / small)
                )
        out.append(line)
    return out


def build(context: Context) -> Part:
    """The part of this section."""
    found = stored()
    every = found["rows"]
    first = min(row["d"] for row in every)
    last = max(row["d"] for row in every)
    least = min(row["eps"] for row in every)
    rows = [row for row in every if row["d"] == first or row["eps"] == least]
    content: dict[str, Any] = {
        "date": found["date"],
        "seconds": found["seconds"],
        "m0": found["m0"],
        "L0": found["L0"],
        "d_first": first,
        "d_last": last,
        "eps_last": least,
        "rows": rows,
        "powers": _powers(every),
        "settings": len(every),
        "bound_better": sum(row["bound_gain"] > 1.0 for row in every),
        "exact_better": sum(row["exact_gain"] > 1.0 for row in every),
        "exact_even": sum(row["exact_gain"] == 1.0 for row in every),
        "heun_better": sum(row["exact_gain_heun"] > 1.0 for row in every),
        "bound_gain": max(row["bound_gain"] for row in every),
        "exact_gain": max(row["exact_gain"] for row in every),
        "lam_better": sum(row["exact_gain_heun-lam"] > 1.0 for row in every),
        "heun_gain": max(row["exact_gain_heun-lam"] for row in every),
        "heun_small": sum(
            row["exact_gain_heun-lam"] > 1.0 for row in every if row["eps"] / row["d"] ** 0.5 <= 0.01
        ),
        "small": sum(row["eps"] / row["d"] ** 0.5 <= 0.01 for row in every),
    }
    text = (
        "The steps K that bring W2 below ε, each with the best T found, on the uniform grid of each process, from "
        "the prior: by bound (Theorem 2; for the ODE Theorem 3, or 7 of two stages) and by exact law (W2 from p_T plus what the "
        "prior start changes), on a centred Gaussian with variances {inverse_m0:g} and {inverse_L0:g} in equal "
        "parts. In {settings:int} settings of process, d and ε the best ODE scheme of one stage needs fewer steps "
        "than the best SDE scheme in {bound_better:int} by bound and in {exact_better:int} by exact law (equally "
        "many in {exact_even:int}); at best the ratio SDE/ODE is {bound_gain:.3g} by bound and {exact_gain:.3g} by "
        "exact law. The reason: the start's error contracts as the root only, so the ODE needs a longer clock. "
        "What makes an ODE pay is order: heun-lam (the trapezoidal rule in σ, its last step Euler in λ), counted at "
        "two calls of the score a step, needs fewer calls in {lam_better:int} settings, up to {heun_gain:.3g} times "
        "fewer, and in {heun_small:int} of the {small:int} in which ε is at most a hundredth of √d; heun (the same "
        "rule, its last step Euler in σ, as Karras et al. have it) in {heun_better:int}: where the clock begins like t, "
        "the last of these uniform steps leaves an error of first order. Theorem 7 bounds both, and heun-lambda (the "
        "rule in λ).\n\n"
        "Only ε/√d matters for data of this kind; d = {d_last:int} is shown at ε = {eps_last:g}. These are stored "
        "results of {date} ({seconds:.0f} s); to renew them: `" + RENEW + "` in the sources."
    )
    content |= {"inverse_m0": 1.0 / found["m0"], "inverse_L0": 1.0 / found["L0"]}
    columns = [
        Column("process", "process"),
        Column("d", "d", "int"),
        Column("eps", "ε", ".3g"),
        *(Column(f"K_bound_{s}", f"{s}, bound", "int") for s in SHOWN),
        *(Column(f"K_exact_{s}", f"{s}, exact", "int") for s in SHOWN),
        *(Column(f"K_bound_{s}", f"{s}, bound", "int", "steps; Theorem 7") for s in TWICE),
        *(
            Column(f"K_exact_{s}", f"{s}, exact", "int", "steps; 2K − 1 or 2K calls of the score")
            for s in TWICE
        ),
        Column("bound_gain", "SDE/ODE, bound", ".3g", "best SDE scheme's K over the best ODE scheme's"),
        Column("exact_gain", "exact", ".3g", "the same by exact law, over all schemes of one stage"),
        *(
            Column(f"{how}_gain_{s}", f"SDE/{s}, {how}", ".3g", f"calls of the score, by {what}")
            for s in TWICE
            for how, what in (("bound", "bound"), ("exact", "exact law"))
        ),
    ]
    table = Table(
        "rows",
        "Steps K(ε), SDE beside ODE",
        columns,
        command="wbound schemes --d 10 --eps 1,0.1,0.01",
        csv="sde-or-ode.csv",
        colours=[colour(row["process"]) for row in rows],
    )
    markup: dict[tuple[int, str], str] = {}
    powers = Table(
        "powers",
        f"Orders, and powers p of K ~ (1/ε)^p between ε = {sorted({r['eps'] for r in every})[1]:g} and {least:g}, d = {last}",
        (
            Column("process", "process"),
            *(
                Column(f"order_{s}", f"order, {s}", "", "K of its bound, derived from f and g, centred data")
                for s in DERIVED
            ),
            *(Column(f"bound_{s}", f"{s}, bound", ".3f") for s in POWERS),
            *(Column(f"exact_{s}", f"{s}, exact", ".3f") for s in POWERS),
        ),
        csv="sde-or-ode-powers.csv",
        markup=markup,
        colours=[colour(row["process"]) for row in content["powers"]],
    )
    for i, line in enumerate(content["powers"]):
        for scheme in DERIVED:
            order = line[f"order_{scheme}"]
            markup[i, f"order_{scheme}"] = formula_mathml(order)
            line[f"order_{scheme}"] = formula_text(order)
    return Part(content, (Prose(text), table, powers))
