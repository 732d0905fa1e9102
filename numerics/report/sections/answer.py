"""Section: which sampler and schedule for these data, and what no sampler can beat."""

from __future__ import annotations

from typing import Any

from numerics.report.blocks import Column, Context, Figures, Part, Prose, Table
from numerics.report.sections.few_calls import found_lines, lines_drawn, shipped_words
from numerics.schedules.choice import choose
from numerics.studies.floors_by_sampler import conditioning
from numerics.targets import datasets
from wbound.bounds.theorem_6 import affine_floor, affine_iterations

__all__ = ["CALLS", "SCHEMES", "build"]

#: Calls of the network of the table, and the samplers that are ranked at them.
CALLS = 20
SCHEMES = ("ddpm", "ddim", "heun", "dpmpp-2m")
#: Every grid of the clock, and the uniform grids of two processes: what is tried for each sampler.
TRIED = ("vp-linear", "ve-exponential")
#: Fewer calls, at which the floor is said too.
FEW = 5
#: Between the schemes of --scheme.
SEVERAL = ","
COMMAND = " ".join(
    (
        "wbound choose --data digits",
        f"--steps {CALLS}",
        f"--scheme {SEVERAL.join(SCHEMES)}",
        *(f"--process {name}" for name in TRIED),
    )
)


def build(context: Context) -> Part:
    """The part of this section."""
    source = datasets.digits()
    ranking = choose(source, CALLS, scheme=SCHEMES, processes=TRIED)
    known, lines = conditioning(source.gaussian.eigenvalues), found_lines(context.quick)
    least = ranking.best.error
    rows: list[dict[str, Any]] = []
    for scheme in SCHEMES:
        row = next(row for row in ranking.rows if row.scheme == scheme)  # best first
        rows.append(
            {
                "scheme": scheme,
                "schedule": row.grid if row.process.startswith("any") else f"{row.grid}, {row.process}",
                "calls": row.calls,
                "error": row.error,
                "share": row.error / source.spread,
                "factor": row.error / least,
                "sigma_max": row.sigma_max,
            }
        )
    rows.sort(key=lambda row: row["error"])
    best = rows[0]
    content = {
        "data": source.name,
        "n": source.n,
        "d": source.d,
        "scale": source.spread,
        "kappa": known.kappa,
        "directions": known.directions,
        "calls": CALLS,
        "tried": len(ranking.rows),
        "best": best["scheme"],
        "schedule": best["schedule"],
        "share": best["share"],
        "worst": rows[-1]["scheme"],
        "worst_share": rows[-1]["share"],
        "floor": affine_floor(known.kappa, CALLS),
        "floor_few": affine_floor(known.kappa, FEW),
        "few": FEW,
        "per_cent": affine_iterations(0.01, known.kappa),
        "rows": rows,
        "shipped": shipped_words(lines),
    }
    worst = rows[-1]["scheme"]
    others = ", ".join(f"[[{scheme}]]" for scheme in SCHEMES if scheme not in (best["scheme"], worst))
    text = (
        "Built-in data, {n:int} handwritten digits of {d:int} pixels, stand in for yours. "
        "What costs is a [[call]]: at {calls:int} of them, of "
        f"{{tried:int}} pairs of sampler and schedule, [[{best['scheme']}]] on {{schedule}} has the smallest [[W2]]: "
        "{share:.3g} of the data's scale; "
        f"the best schedule of [[{worst}]] leaves {{worst_share:.3g}}. Tried beside it: "
        f"{others}.\n\n"
        "What no sampler can beat: no [[affine sampler]], whatever its schedule, brings W2 below {floor_few:.2g} of the scale "
        "with {few:int} calls, or below one per cent with fewer than {per_cent:int}, at the worst Gaussian data with the "
        "digits' [[κ]], {kappa:.3g}. That is the [[floor]] of Theorem 6; on the digits' own spectrum a sampler may do better.\n\n"
        "For your own data: `wbound choose --data samples.npy --steps 20 --scheme ddim,heun,dpmpp-2m`, or the explorer below."
    )
    table = Table(
        "rows",
        f"The best schedule found of each sampler at {CALLS} calls. A schedule says where the calls lie: numerical, optimised "
        "one by one; optimal, for a bound; edm and log-lam, even in σ^(1/7) and in log λ; uniform, even in a process's time",
        (
            Column("scheme", "sampler"),
            Column("schedule", "schedule"),
            Column("calls", "calls", "int"),
            Column("share", "W2 / scale", ".4g", "exact, from p_T, plus what the prior start changes"),
            Column("factor", "× best", ".3g"),
            Column("sigma_max", "σ_max", ".4g", "√λ(T), where the sampler starts, pixel units"),
        ),
        csv="answer-table.csv",
        command=COMMAND,
    )
    return Part(content, (Prose(text, lead=True), Figures((lines_drawn(lines),)), table))
