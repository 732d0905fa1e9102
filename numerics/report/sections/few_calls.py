"""Section: network calls on Gaussian data of the digits' κ, and the region that no affine sampler enters."""

from __future__ import annotations

from functools import cache
from typing import Any

from numerics.figures import curves
from numerics.figures.few_calls import LOOKS, few_calls_figure
from numerics.report.blocks import Column, Context, Figure, Part, Prose, Table
from numerics.studies.floors_by_sampler import NOTHING
from numerics.studies.worst_by_calls import CALLS, lines_by_calls
from numerics.targets import datasets
from wbound.data.log_concave import LogConcave

__all__ = ["build", "found_lines", "lines_drawn", "shipped_words"]

#: The pixels' largest value is 16: half of it takes digits to [−1, 1], where networks work.
SCALE = 8.0


@cache
def found_lines(quick: bool) -> dict[str, Any]:
    """`lines_by_calls` of the digits' class."""
    x = datasets.digits().eigenvalues
    x = x[x > NOTHING * x[-1]]
    facts = LogConcave(int(x.size), 1.0 / float(x[-1]), 1.0 / float(x[0]), float(x.sum()), 0.0)
    found = lines_by_calls(facts, SCALE, *(((5, 10, 20), (100, 1000)) if quick else (CALLS,)))
    return found | {"d": int(x.size)}


def shipped_words(found: dict[str, Any]) -> str:
    """Which versions UniPC's line was recorded from."""
    return ", ".join(f"{name} {v}" for name, v in found["shipped"].items()) or "not recorded"


def lines_drawn(found: dict[str, Any]) -> Figure:
    """The figure, for a part that says ``kappa`` and ``shipped``; of its numbers a line's name, calls and W2 a row."""
    flat = [
        (name, K, v) for name, (at, values) in found["lines"].items() for K, v in zip(at, values, strict=True)
    ]
    columns = {key: [row[i] for row in flat] for i, key in enumerate(("line", "calls", "W2_over_root_trace"))}
    return Figure(
        "few-calls",
        curves.svg(few_calls_figure(found), "few"),
        "W2 over the root of the trace against network calls, both axes logarithmic: the published bound and Theorem 2 fall to "
        "a hundredth after thousands of calls, DPM-Solver++ after twenty, the phase sampler runs along the edge of a shaded "
        "region into which no affine sampler comes and is at a hundred-millionth after fifteen.",
        "Samplers at their worst spectrum within κ = {kappa:.3g}, hf, Heun and 2M on the best log-uniform levels found "
        "for it; UniPC "
        "as shipped ({shipped}), whose levels end at σ = 0.03, above the narrowest directions. The two bounds are for "
        "the digits' own m_0, L_0 and second moment on uniform grids of vp-linear with the best T found.",
        columns,
        "wbound report",
    )


def build(context: Context) -> Part:
    """The part of this section."""
    found = found_lines(context.quick)
    calls = (5, 10, 20) if context.quick else CALLS
    lines = found["lines"]
    by = {name: dict(zip(*line, strict=True)) for name, line in lines.items()}
    rows: list[dict[str, Any]] = [
        {"K": K, **{name: by[name].get(K) for name in (*LOOKS, "affine") if not name.startswith("theorem")}}
        for K in calls
    ]
    content: dict[str, Any] = {
        "kappa": found["kappa"],
        "d": found["d"],
        "rows": rows,
        "K": 10,
        "floor": by["affine"][10],
        "phase": by["phase"][10],
        "two_m": by["dpmpp-2m"][10],
        "ddim": by["ddim"][10],
        "shipped": shipped_words(found),
    }
    text = (
        "How few calls of the network could do? For Gaussian data whose eigenvalues lie within κ = {kappa:.3g}, as those of "
        "the digits' {d:int} directions do, exact scores and a known mean, no sampler that scales states, adds answers and draws "
        "noise, its levels not drawn at random, stays below E_K of tr Σ's root at its worst spectrum (Theorem 6): {floor:.2g} "
        "after {K:int} calls, and the phase sampler is at {phase:.2g} there. DPM-Solver++(2M) on the best log-uniform "
        "levels found is at "
        "{two_m:.2g}, ddim from the exact start at {ddim:.2g} or more. So the published lower bound is about Euler's "
        "steps and not "
        "about sampling. And this is a fact about Gaussian data: on other laws and with a network the phase sampler is "
        "not always the "
        "better one, as `wbound choose` says of your own data."
    )
    titles = {name: label for name, (label, _) in LOOKS.items()} | {"affine": "E_K, the floor"}
    table = Table(
        "rows",
        "W2/√tr Σ at the worst spectrum",
        (
            Column("K", "calls", "int"),
            *(Column(name, titles[name], ".2e") for name in rows[0] if name != "K"),
        ),
        csv="few-calls-table.csv",
    )
    return Part(content, (Prose(text), table))
